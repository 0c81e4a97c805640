//! Agreement with PyTorch: forward, stages, losses, gradients in three freezing cases, batch-norm statistics, SGD steps.
//! Fixtures and tolerances: `../shared/parity/README.md`. Set `FROSTLINE_PARITY_DIR` to check a whole folder as well, and
//! the networks of more than a hundred million parameters that are checked by names and shapes only otherwise.
//! With `--nocapture` each test ends in lines `PARITY ...`: the greatest errors of each variant.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use common::grads::{gradients, other_side, training};
use common::{filled, floats, model_fixtures, samples, state_dict, uniform, usizes};
use frostline::graph::{NodeId, Role, TensorSpec};
use frostline::models::{Mode, Network, find};
use frostline::nn::{Ctx, Value, loss};
use frostline::train::{Optimizer, OptimizerChoice};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The fixture's network filled by the rule; its images may have any size.
fn network(fixture: &Json) -> Option<Network> {
    let variant = find(fixture["model"].as_str()?).ok()?;
    Some(filled(variant.published().unwrap(), fixture))
}

/// Whether a fixture's network is so large that it is run on demand only; the smallest such one always runs.
fn on_demand(fixture: &Json) -> bool {
    let large = fixture["params"].as_u64().unwrap() > 100_000_000 && fixture["model"] != "vgg11_bn";
    large && std::env::var_os("FROSTLINE_PARITY_DIR").is_none()
}

/// The greatest errors of a variant: as shares of the tolerance, and as they are.
#[derive(Default)]
struct Maxima {
    forward: [f64; 2],
    loss: [f64; 2],
    grad: [f64; 2],
    statistics: f64,
    cases: usize,
    wrong: Vec<String>,
}

fn raise(maximum: &mut [f64; 2], error: f64, tolerance: f64) {
    *maximum = [maximum[0].max(error / tolerance), maximum[1].max(error)];
}

fn input(case: &Json) -> Tensor<4> {
    let description = &case["input"];
    let shape = usizes(&description["shape"]);
    let (lo, hi) = (description["lo"].as_f64().unwrap(), description["hi"].as_f64().unwrap());
    let values = uniform(description["key"].as_str().unwrap(), shape.iter().product(), lo, hi);
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn values(value: &Value) -> Vec<f32> {
    let data = match value {
        Value::Map(x) => x.clone().inner().into_data(),
        Value::Vector(x) => x.clone().inner().into_data(),
        other => panic!("no single tensor: {other:?}"),
    };
    data.try_to_vec::<f32>().unwrap()
}

/// The worst error of a tensor's samples, and the tolerance `1e-4 std + 20 f32_err`.
fn forward_error(ours: &[f32], reference: &Json) -> (f64, f64) {
    let tolerance = 1e-4 * reference["std"].as_f64().unwrap() + 20.0 * reference["f32_err"].as_f64().unwrap_or(0.0);
    let (indices, wanted) = samples(reference);
    let error = indices.iter().zip(wanted).map(|(&i, want)| (f64::from(ours[i]) - want).abs()).fold(0.0, f64::max);
    (error, tolerance)
}

/// The nodes whose outputs are a fixture's taps: a node's path, the last node of a stage, or the stem under `maxpool`.
fn tap(network: &Network, name: &str) -> Option<NodeId> {
    let graph = network.graph();
    match name {
        "output" => Some(graph.heads[0].output),
        "maxpool" => graph.find("stem"),
        _ => graph.find(name).or_else(|| graph.ids().rev().find(|&id| graph.node(id).stage == name)),
    }
}

#[test]
fn state_dict_names_and_shapes_are_torchs() {
    let mut checked = 0;
    for (path, fixture) in model_fixtures() {
        let Ok(variant) = find(fixture["model"].as_str().unwrap()) else { continue };
        let mut theirs = state_dict(&fixture);
        // Networks whose heads know no classes are looked at in tests/parity_sam_encoder.rs.
        let counting = variant.class_tensors();
        let Some(counting) = counting.first() else { continue };
        let rows = theirs.iter().find(|(name, _)| *name == counting.name).unwrap().1[0];
        let classes = (rows - counting.more) / counting.each;
        let facts = variant.graph(classes, variant.preprocess.size[0] as usize).unwrap().facts().unwrap();
        let ours: Vec<(String, Vec<usize>)> = facts.tensors().map(|t| (t.name.clone(), t.shape.clone())).collect();
        let mut ours_sorted = ours;
        ours_sorted.sort();
        theirs.sort();
        assert_eq!(ours_sorted, theirs, "{}", path.display());
        // PyTorch counts constants that are kept as parameters; here they are none.
        let constants = facts.tensors().filter(|t| t.role == Role::Constant).map(TensorSpec::numel).sum::<u64>();
        assert_eq!(facts.params() + constants, fixture["params"].as_u64().unwrap(), "{}", path.display());
        checked += 1;
    }
    assert!(checked >= 20, "{checked} fixtures");
}

#[test]
fn resnets_agree_with_torch() {
    agree("resnet", 44);
}

#[test]
fn mobilenets_agree_with_torch() {
    agree("mobilenet", 97);
}

#[test]
fn vggs_agree_with_torch() {
    agree("vgg", 14);
}

/// Checks the fixtures whose model begins so: the training cases, and each tensor of the others.
fn agree(family: &str, least: usize) {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for (_, fixture) in model_fixtures() {
        let name = fixture["model"].as_str().unwrap();
        if !name.starts_with(family) {
            continue;
        }
        if on_demand(&fixture) {
            println!("SKIPPED {name}: it is large; FROSTLINE_PARITY_DIR=tests/fixtures runs it too");
            continue;
        }
        let Some(network) = network(&fixture) else { continue };
        let start = std::time::Instant::now();
        let mut maxima = Maxima::default();
        for case in fixture["cases"].as_array().unwrap() {
            if case["mode"] == "eval" {
                check_forward(&network, name, case, &mut maxima);
            } else {
                check_training(
                    &network,
                    case,
                    &other_side(&fixture, case),
                    &format!("{name} {}", case["name"]),
                    &mut maxima,
                );
            }
        }
        let Maxima { forward, loss, grad, statistics, .. } = maxima;
        println!(
            "PARITY {name}: forward {:.4} of the tolerance, {:.1e}; loss {:.4}, {:.1e}; gradients {:.4}, {:.1e} relative; \
             statistics {statistics:.1e} relative; {:.1} s",
            forward[0],
            forward[1],
            loss[0],
            loss[1],
            grad[0],
            grad[1],
            start.elapsed().as_secs_f64()
        );
        checked += maxima.cases;
        wrong.extend(maxima.wrong);
    }
    assert!(wrong.is_empty(), "outside the tolerance:\n{}", wrong.join("\n"));
    assert!(checked >= least, "{checked} tensors and cases");
}

fn check_forward(network: &Network, name: &str, case: &Json, maxima: &mut Maxima) {
    let taps = case["tensors"].as_object().unwrap();
    let wanted: Vec<NodeId> =
        taps.keys().map(|name| tap(network, name).unwrap_or_else(|| panic!("no node for {name}"))).collect();
    let outputs = network
        .inference()
        .run(&[Value::Map(input(case))], &BTreeMap::new(), &wanted, Mode::Infer, &mut Ctx::default())
        .unwrap();
    for ((tap, reference), output) in taps.iter().zip(&outputs) {
        let (error, tolerance) = forward_error(&values(output), reference);
        println!("{name} {} {tap}: {error:.2e} (tolerance {tolerance:.2e})", case["name"]);
        if error > tolerance || error.is_nan() {
            maxima.wrong.push(format!("{name} {} {tap}: {error:.2e}, tolerance {tolerance:.2e}", case["name"]));
        }
        raise(&mut maxima.forward, error, tolerance);
        maxima.cases += 1;
    }
}

fn relative(ours: impl Iterator<Item = f64>, theirs: &[f64]) -> f64 {
    let (mut difference, mut norm) = (0.0, 0.0);
    for (a, b) in ours.zip(theirs) {
        difference += (a - b).powi(2);
        norm += b.powi(2);
    }
    (difference / norm.max(1e-30)).sqrt()
}

fn check_training(network: &Network, case: &Json, other: &Json, who: &str, maxima: &mut Maxima) {
    let mut network = network.clone();
    let prefixes: Vec<&str> = case["trainable"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
    network.set_plan(&training(&network, &prefixes));
    assert_eq!(network.frontier().trainable, case["trainable_params"].as_u64().unwrap(), "{who}");
    let targets: Vec<i64> = case["target"].as_array().unwrap().iter().filter_map(Json::as_i64).collect();
    let targets = Tensor::<1, Int>::from_data(TensorData::from(targets.as_slice()), &Device::flex());
    let mut optimizer = Optimizer::new(OptimizerChoice::Sgd { momentum: 0.9, weight_decay: 1e-4 });
    let (wanted, torch_f32) = (floats(&case["sgd_losses"]), floats(&case["sgd_losses_f32"]));
    for (step, (want, f32_loss)) in wanted.iter().zip(&torch_f32).enumerate() {
        let mut ctx = Ctx::default();
        let outputs = network.forward(input(case), Mode::Train, &mut ctx).unwrap();
        let loss = loss::cross_entropy(outputs[0].vector().unwrap(), targets.clone(), None, 0.0);
        let ours = f64::from(loss.clone().inner().into_scalar::<f32>());
        // Later losses carry the noise of the steps before, which torch's own f32 run shows.
        let tolerance = 1e-4 * want.abs() + 1e-5 + 20.0 * (f32_loss - want).abs();
        let beside = other["sgd_losses"].get(step).and_then(Json::as_f64).map(|beside| (ours - beside).abs());
        println!("{who} loss {step}: {ours} (torch {want}, in f32 {f32_loss}, from the other side {beside:?})");
        let error = beside.map_or((ours - want).abs(), |beside| beside.min((ours - want).abs()));
        if error > tolerance || error.is_nan() {
            maxima.wrong.push(format!("{who} loss {step}: {ours} and not {want} (tolerance {tolerance:.1e})"));
        }
        raise(&mut maxima.loss, error, tolerance);
        let grads = loss.backward();
        network.apply_statistics(ctx);
        if step == 0 {
            check_gradients(&network, &grads, case, other, who, maxima);
            check_statistics(&network, case, who, maxima);
        }
        if step + 1 < wanted.len() {
            optimizer.step(&mut network, grads, None, &|_| 0.01);
        }
    }
    maxima.cases += 1;
}

fn check_gradients(network: &Network, grads: &Gradients, case: &Json, other: &Json, who: &str, maxima: &mut Maxima) {
    let see = gradients(network, grads, &case["grads"]);
    let trainable = case["trainable_params"].as_u64().unwrap();
    assert_eq!(see.count, trainable, "{who}: gradients of what trains and nothing else");
    for (name, reference) in case["grads"].as_object().unwrap() {
        let ours = &see.found[name];
        let difference = |reference: &Json| {
            let (indices, wanted) = samples(reference);
            relative(indices.iter().map(|&i| f64::from(ours[i])), &wanted)
        };
        let tolerance = 20.0 * reference["f32_rel"].as_f64().unwrap_or(0.0) + 1e-3;
        let (own, beside) = (difference(reference), other["grads"].get(name).map(difference));
        println!("{who} grad {name}: {own:.2e} (tolerance {tolerance:.2e}, from the other side {beside:?})");
        let error = beside.map_or(own, |beside| beside.min(own));
        if error > tolerance || error.is_nan() {
            maxima.wrong.push(format!("{who} grad {name}: relative error {error:.2e}, tolerance {tolerance:.2e}"));
        }
        // A bias before a batch norm has no gradient but rounding: its relative error says nothing.
        if tolerance < 1.0 {
            raise(&mut maxima.grad, error, tolerance);
        }
    }
}

fn check_statistics(network: &Network, case: &Json, who: &str, maxima: &mut Maxima) {
    let Some(wanted) = case["running_after_1_forward"].as_object() else { return };
    let tensors = network.tensors_where(|_, spec| wanted.contains_key(&spec.name)).unwrap();
    for (name, reference) in wanted.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
        let ours = &tensors.iter().find(|tensor| tensor.spec.name == *name).unwrap().values;
        let (indices, wanted) = samples(reference);
        let error = relative(indices.iter().map(|&i| f64::from(ours[i])), &wanted);
        println!("{who} {name}: {error:.2e}");
        if error > 1e-4 || error.is_nan() {
            maxima.wrong.push(format!("{who} {name}: relative error {error:.2e}"));
        }
        maxima.statistics = maxima.statistics.max(error);
    }
}
