//! Agreement with PyTorch: forward, stages, losses, gradients in three freezing cases, batch-norm statistics, SGD steps.
//! Fixtures and tolerances: `../shared/parity/README.md`. Set `FROSTLINE_PARITY_DIR` to check a whole folder.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use burn::module::Param;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use common::{fill, floats, model_fixtures, samples, state_dict, uniform, usizes};
use frostline::graph::{FreezePlan, NodeId, TensorSpec};
use frostline::models::{Mode, Network, SeeTensors, find};
use frostline::nn::{Ctx, Value, loss};
use frostline::train::{Optimizer, OptimizerChoice};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

fn network(fixture: &Json, height: usize, width: usize) -> Option<Network> {
    let variant = find(fixture["model"].as_str()?).ok()?;
    let graph = variant.published().unwrap().with_image_size(height, width);
    let mut network = Network::new(Arc::new(graph), 0, &Device::flex()).unwrap();
    fill(&mut network, fixture);
    Some(network)
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

/// The worst error of a tensor's samples as a share of the tolerance `1e-4 std + 20 f32_err`.
fn forward_error(ours: &[f32], reference: &Json) -> f64 {
    let tolerance = 1e-4 * reference["std"].as_f64().unwrap() + 20.0 * reference["f32_err"].as_f64().unwrap_or(0.0);
    let (indices, wanted) = samples(reference);
    indices.iter().zip(wanted).map(|(&i, want)| (f64::from(ours[i]) - want).abs() / tolerance).fold(0.0, f64::max)
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
        let facts = variant.published().unwrap().facts().unwrap();
        let ours: Vec<(String, Vec<usize>)> = facts.tensors().map(|t| (t.name.clone(), t.shape.clone())).collect();
        let (mut ours_sorted, mut theirs) = (ours, state_dict(&fixture));
        ours_sorted.sort();
        theirs.sort();
        assert_eq!(ours_sorted, theirs, "{}", path.display());
        assert_eq!(facts.params(), fixture["params"].as_u64().unwrap(), "{}", path.display());
        checked += 1;
    }
    assert!(checked >= 5, "{checked} fixtures");
}

#[test]
fn forward_and_every_tap_agree_with_torch() {
    let mut checked = 0;
    for (path, fixture) in model_fixtures() {
        for case in fixture["cases"].as_array().unwrap().iter().filter(|case| case["mode"] == "eval") {
            let shape = usizes(&case["input"]["shape"]);
            let Some(network) = network(&fixture, shape[2], shape[3]) else { continue };
            let taps = case["tensors"].as_object().unwrap();
            let wanted: Vec<NodeId> =
                taps.keys().map(|name| tap(&network, name).unwrap_or_else(|| panic!("no node for {name}"))).collect();
            let outputs = network
                .inference()
                .run(&[Value::Map(input(case))], &BTreeMap::new(), &wanted, Mode::Infer, &mut Ctx::default())
                .unwrap();
            for ((name, reference), output) in taps.iter().zip(&outputs) {
                let worst = forward_error(&values(output), reference);
                println!("{} {} {name}: {:.4} of the tolerance", fixture["model"], case["name"], worst);
                assert!(worst <= 1.0, "{} {} {name}: {worst} times the tolerance", path.display(), case["name"]);
                checked += 1;
            }
        }
    }
    assert!(checked >= 35, "{checked} tensors");
}

struct Grads<'a> {
    grads: &'a Gradients,
    found: HashMap<String, Vec<f32>>,
}

impl SeeTensors for Grads<'_> {
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>) {
        if let Some(grad) = param.val().grad(self.grads) {
            self.found.insert(spec.name.clone(), grad.into_data().try_to_vec().unwrap());
        }
    }
}

/// A plan that trains the nodes whose tensors stand under one of the prefixes.
fn plan(network: &Network, trainable: &[&str]) -> FreezePlan {
    let mut plan = FreezePlan::default();
    let graph = network.graph();
    for id in graph.ids() {
        let tensors = &network.facts().node(id).tensors;
        let under = |name: &str| {
            trainable
                .iter()
                .any(|prefix| prefix.is_empty() || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')))
        };
        plan.set(&graph.node(id).path, !tensors.iter().any(|tensor| under(&tensor.name)));
    }
    plan
}

fn relative(ours: impl Iterator<Item = f64>, theirs: &[f64]) -> f64 {
    let (mut difference, mut norm) = (0.0, 0.0);
    for (a, b) in ours.zip(theirs) {
        difference += (a - b).powi(2);
        norm += b.powi(2);
    }
    (difference / norm.max(1e-30)).sqrt()
}

#[test]
fn losses_gradients_statistics_and_sgd_steps_agree_with_torch_in_all_freezing_cases() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for (path, fixture) in model_fixtures() {
        for case in fixture["cases"].as_array().unwrap().iter().filter(|case| case["mode"] == "train") {
            let shape = usizes(&case["input"]["shape"]);
            let Some(mut network) = network(&fixture, shape[2], shape[3]) else { continue };
            let who = format!("{} {}", path.display(), case["name"]);
            let prefixes: Vec<&str> = case["trainable"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
            network.set_plan(&plan(&network, &prefixes));
            assert_eq!(network.frontier().trainable, case["trainable_params"].as_u64().unwrap(), "{who}");
            check_training(&mut network, case, &other_side(&fixture, case), &who, &mut wrong);
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "outside the tolerance:\n{}", wrong.join("\n"));
    assert!(checked >= 9, "{checked} cases");
}

/// What PyTorch gives for this case when the one ReLU whose input lies within f32's rounding of zero takes its other
/// side (`tests/reference/relu_side.py` says which and shows that PyTorch itself then moves by just what we see).
fn other_side(fixture: &Json, case: &Json) -> Json {
    let name = format!("{}_relu_side.json", fixture["model"].as_str().unwrap());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let other = std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str::<Json>(&text).ok());
    other.filter(|other| other["case"] == case["name"]).unwrap_or(Json::Null)
}

fn check_training(network: &mut Network, case: &Json, other: &Json, who: &str, wrong: &mut Vec<String>) {
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
        let beside = other["sgd_losses"].get(step).and_then(Json::as_f64);
        println!("{who} loss {step}: {ours} (torch {want}, in f32 {f32_loss}, other side {beside:?})");
        if (ours - want).abs() > tolerance && beside.is_none_or(|beside| (ours - beside).abs() > tolerance) {
            wrong.push(format!("{who} loss {step}: {ours} and not {want} (tolerance {tolerance:.1e})"));
        }
        let grads = loss.backward();
        network.apply_statistics(ctx);
        if step == 0 {
            check_gradients(network, &grads, case, other, who, wrong);
            check_statistics(network, case, who);
        }
        optimizer.step(network, grads, None, &|_| 0.01);
    }
}

fn check_gradients(
    network: &Network,
    grads: &Gradients,
    case: &Json,
    other: &Json,
    who: &str,
    wrong: &mut Vec<String>,
) {
    let mut see = Grads { grads, found: HashMap::new() };
    network.see_tensors(&mut see);
    let count: usize = see.found.values().map(Vec::len).sum();
    assert_eq!(
        count as u64,
        case["trainable_params"].as_u64().unwrap(),
        "{who}: gradients of what trains and nothing else"
    );
    for (name, reference) in case["grads"].as_object().unwrap() {
        let ours = &see.found[name];
        let (indices, wanted) = samples(reference);
        let error = relative(indices.iter().map(|&i| f64::from(ours[i])), &wanted);
        let tolerance = 20.0 * reference["f32_rel"].as_f64().unwrap_or(0.0) + 1e-3;
        let beside = other["grads"].get(name).map(|reference| {
            let (indices, wanted) = samples(reference);
            relative(indices.iter().map(|&i| f64::from(ours[i])), &wanted)
        });
        println!("{who} grad {name}: {error:.2e} (tolerance {tolerance:.2e}, other side {beside:?})");
        if error > tolerance && beside.is_none_or(|beside| beside > tolerance) {
            wrong.push(format!("{who} grad {name}: relative error {error:.2e}, tolerance {tolerance:.2e}"));
        }
    }
}

fn check_statistics(network: &Network, case: &Json, who: &str) {
    let tensors = network.tensors().unwrap();
    for (name, reference) in case["running_after_1_forward"].as_object().unwrap() {
        if name.ends_with("num_batches_tracked") {
            continue;
        }
        let ours = &tensors.iter().find(|tensor| tensor.spec.name == *name).unwrap().values;
        let (indices, wanted) = samples(reference);
        let error = relative(indices.iter().map(|&i| f64::from(ours[i])), &wanted);
        println!("{who} {name}: {error:.2e}");
        assert!(error <= 1e-4, "{who} {name}: relative error {error}");
    }
}
