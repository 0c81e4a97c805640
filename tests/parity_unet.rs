//! U-Nets against PyTorch: names, forward pass (odd sizes too), loss, gradients, batch-norm statistics and SGD steps under
//! three freeze plans, for the classic ones and for those on a ResNet (`segmentation_models.pytorch`).
//! Tolerances: `../shared/parity/README.md`; the greatest errors are printed as `PARITY ...` with `--nocapture`.
//! Fixtures: `../shared/parity` and `tests/reference/unet.py`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use burn::tensor::{Device, Int, Tensor, TensorData};
use common::grads::{gradients, other_side, training};
use common::{filled, floats, integers, samples, state_dict, uniform, usizes};
use frostline::graph::NodeId;
use frostline::models::{Mode, Network, find};
use frostline::nn::{Ctx, Value, loss};
use frostline::train::{Optimizer, OptimizerChoice};
use serde_json::Value as Json;
use std::collections::BTreeMap;

fn fixture(name: &str) -> Json {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The fixture's network with as many classes, filled by the rule.
fn network(fixture: &Json) -> Network {
    let model = fixture["model"].as_str().unwrap();
    let classes = if model.starts_with("smp_") { 1 } else { 2 };
    let variant = find(model.strip_prefix("smp_").unwrap_or(model)).unwrap();
    filled(variant.graph(classes, 64).unwrap(), fixture)
}

/// The greatest errors as shares of their tolerances.
#[derive(Default)]
struct Maxima {
    forward: f64,
    loss: f64,
    grad: f64,
    statistics: f64,
    wrong: Vec<String>,
}

impl Maxima {
    /// Notes an error; the share of the tolerance.
    fn note(&mut self, who: &str, error: f64, tolerance: f64) -> f64 {
        println!("{who}: {error:.2e} (tolerance {tolerance:.2e})");
        if error > tolerance || error.is_nan() {
            self.wrong.push(format!("{who}: {error:.2e}, tolerance {tolerance:.2e}"));
        }
        error / tolerance
    }
}

fn input(case: &Json) -> Tensor<4> {
    let description = &case["input"];
    let shape = usizes(&description["shape"]);
    let (lo, hi) = (description["lo"].as_f64().unwrap(), description["hi"].as_f64().unwrap());
    let values = uniform(description["key"].as_str().unwrap(), shape.iter().product(), lo, hi);
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner().into_data().try_to_vec::<f32>().unwrap()
}

/// The node whose output is a fixture's tap: torch's module name without the part, or the last node of a stage.
fn tap(network: &Network, name: &str) -> NodeId {
    let graph = network.graph();
    let path = name.trim_start_matches("encoder.").replace("decoder.blocks.", "decoder.");
    match path.as_str() {
        "output" => graph.heads[0].output,
        path => graph.find(path).or_else(|| graph.ids().rev().find(|&id| graph.node(id).stage == path)).unwrap(),
    }
}

fn check_forward(network: &Network, case: &Json, who: &str, maxima: &mut Maxima) {
    let taps = case["tensors"].as_object().unwrap();
    let wanted: Vec<NodeId> = taps.keys().map(|name| tap(network, name)).collect();
    let inputs = [Value::Map(input(case))];
    let run = network.inference();
    let outputs = run.run(&inputs, &BTreeMap::new(), &wanted, Mode::Infer, &mut Ctx::default()).unwrap();
    for ((name, reference), output) in taps.iter().zip(outputs) {
        let output = output.map().unwrap();
        assert_eq!(output.dims().to_vec(), usizes(&reference["shape"]), "{who} {name}");
        let ours = numbers(output);
        let tolerance = 1e-4 * reference["std"].as_f64().unwrap() + 20.0 * reference["f32_err"].as_f64().unwrap();
        let (indices, wanted) = samples(reference);
        let error = indices.iter().zip(wanted).map(|(&i, want)| (f64::from(ours[i]) - want).abs()).fold(0.0, f64::max);
        maxima.forward = maxima.forward.max(maxima.note(&format!("{who} {name}"), error, tolerance));
    }
}

fn loss_of(case: &Json, logits: Tensor<4>) -> Tensor<1> {
    let shape = usizes(&case["target"]["shape"]);
    let ids = integers("target", shape.iter().product(), case["target"]["integers_below"].as_u64().unwrap());
    if case["loss_fn"] == "cross_entropy, mean" {
        return loss::pixel_cross_entropy(
            logits,
            Tensor::<3, Int>::from_data(TensorData::new(ids, shape), &Device::flex()),
            255,
        );
    }
    let targets: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
    let targets = Tensor::<4>::from_data(TensorData::new(targets, logits.dims()), &Device::flex());
    loss::binary_cross_entropy_each(logits, targets).mean()
}

fn relative(ours: &[f32], reference: &Json) -> f64 {
    let (indices, wanted) = samples(reference);
    let norm: f64 = wanted.iter().map(|b| b * b).sum();
    let difference: f64 = indices.iter().zip(wanted).map(|(&i, b)| (f64::from(ours[i]) - b).powi(2)).sum();
    (difference / norm.max(1e-30)).sqrt()
}

fn check_training(network: &Network, case: &Json, other: &Json, who: &str, maxima: &mut Maxima) {
    let mut network = network.clone();
    let prefixes: Vec<&str> = case["trainable"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
    network.set_plan(&training(&network, &prefixes));
    let trainable = case["trainable_params"].as_u64().unwrap();
    assert_eq!(network.frontier().trainable, trainable, "{who}");
    let mut optimizer = Optimizer::new(OptimizerChoice::Sgd { momentum: 0.9, weight_decay: 1e-4 });
    let (wanted, torch_f32) = (floats(&case["sgd_losses"]), floats(&case["sgd_losses_f32"]));
    for (step, (want, f32_loss)) in wanted.iter().zip(&torch_f32).enumerate() {
        let mut ctx = Ctx::default();
        let outputs = network.forward(input(case), Mode::Train, &mut ctx).unwrap();
        let loss = loss_of(case, outputs[0].map().unwrap());
        let ours = f64::from(numbers(loss.clone())[0]);
        // Later losses carry the noise of the steps before, which torch's own f32 run shows.
        let tolerance = 1e-4 * want.abs() + 1e-5 + 20.0 * (f32_loss - want).abs();
        let beside = other["sgd_losses"].get(step).and_then(Json::as_f64).map(|beside| (ours - beside).abs());
        let error = beside.map_or((ours - want).abs(), |beside| beside.min((ours - want).abs()));
        let share = maxima.note(&format!("{who} loss {step}"), error, tolerance);
        maxima.loss = maxima.loss.max(share);
        let grads = loss.backward();
        network.apply_statistics(ctx);
        if step == 0 {
            let see = gradients(&network, &grads, &case["grads"]);
            assert_eq!(see.count, trainable, "{who}: gradients of what trains and nothing else");
            for (name, reference) in case["grads"].as_object().unwrap() {
                let tolerance = 20.0 * reference["f32_rel"].as_f64().unwrap() + 1e-3;
                let own = relative(&see.found[name], reference);
                let beside = other["grads"].get(name).map(|beside| relative(&see.found[name], beside));
                let error = beside.map_or(own, |beside| beside.min(own));
                maxima.grad = maxima.grad.max(maxima.note(&format!("{who} gradient {name}"), error, tolerance));
            }
            for (name, reference) in case["running_after_1_forward"].as_object().unwrap() {
                let tensors = network.tensors_where(|_, spec| spec.name == *name).unwrap();
                let error = relative(&tensors[0].values, reference);
                maxima.statistics = maxima.statistics.max(maxima.note(&format!("{who} {name}"), error, 1e-4));
            }
        }
        if step + 1 < wanted.len() {
            optimizer.step(&mut network, grads, None, &|_| 0.01);
        }
    }
}

/// Checks the cases of a fixture but those of other sizes than 64 px, which are for the forward pass only.
fn agree(name: &str, cases: usize) {
    let fixture = fixture(name);
    let network = network(&fixture);
    let mut ours: Vec<(String, Vec<usize>)> =
        network.facts().tensors().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
    let mut theirs = state_dict(&fixture);
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs, "{name}");
    assert_eq!(network.facts().params(), fixture["params"].as_u64().unwrap(), "{name}");
    let start = std::time::Instant::now();
    let mut maxima = Maxima::default();
    let all = fixture["cases"].as_array().unwrap();
    for case in all {
        let who = format!("{name} {}", case["name"].as_str().unwrap());
        if case["mode"] == "eval" {
            check_forward(&network, case, &who, &mut maxima);
        } else {
            check_training(&network, case, &other_side(&fixture, case), &who, &mut maxima);
        }
    }
    let Maxima { forward, loss, grad, statistics, wrong } = maxima;
    println!(
        "PARITY {name}: of the tolerance: forward {forward:.4}, loss {loss:.4}, gradients {grad:.4}, statistics \
         {statistics:.4}; {:.1} s",
        start.elapsed().as_secs_f64()
    );
    assert!(wrong.is_empty(), "outside the tolerance:\n{}", wrong.join("\n"));
    assert_eq!(all.len(), cases, "{name}");
}

#[test]
fn the_classic_with_transposed_convolutions_is_torchs() {
    agree("unet", 6);
    agree("unet_small", 5);
}

#[test]
fn the_classic_with_interpolation_and_of_another_depth_is_torchs() {
    agree("unet_bilinear", 5);
    agree("unet_mini", 5);
}

#[test]
fn those_on_residual_networks_are_torchs() {
    agree("smp_unet_resnet18", 5);
    agree("smp_unet_resnet34", 4);
    agree("smp_unet_resnet50", 4);
}
