//! Prompt encoder and mask decoder against PyTorch, part by part and as a training step (`tests/fixtures/sam_decoder.json`).
//! Tolerances: `../shared/parity/README.md`; the greatest errors are printed as `PARITY ...` with `--nocapture`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use burn::tensor::{Device, Int, Tensor, TensorData};
use common::grads::gradients;
use common::prompted::{case, compare, described, fixture, numbers, relative};
use common::{filled, floats, integers, samples, usizes};
use frostline::graph::{FreezePlan, NodeId, Role, TensorSpec};
use frostline::models::{Mode, Network, find};
use frostline::nn::ask::{Marks, Point, Prompt};
use frostline::nn::resize::{self, Corners};
use frostline::nn::{Ctx, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The smallest network with this decoder.
fn network(fixture: &Json) -> Network {
    filled(find("mobile_sam").unwrap().graph(1, 1024).unwrap(), fixture)
}

fn tensor(description: &Json) -> Tensor<4> {
    Tensor::from_data(TensorData::new(described(description), usizes(&description["shape"])), &Device::flex())
}

/// The prompt of a case.
fn prompt(case: &Json) -> Prompt {
    let rows = |key: &str| case[key].as_array().cloned().unwrap_or_default();
    let (points, labels, boxes) = (rows("points"), rows("labels"), rows("boxes"));
    let of = |i: usize| {
        let pairs = points.get(i).map(|points| points.as_array().unwrap().iter().zip(labels[i].as_array().unwrap()));
        let point = |(xy, label): (&Json, &Json)| {
            let [x, y] = floats(xy)[..] else { unreachable!() };
            Point { xy: [x as f32, y as f32], positive: label == 1 }
        };
        let side = |xyxy: &Json| -> [f32; 4] { std::array::from_fn(|k| xyxy[k].as_f64().unwrap() as f32) };
        Marks { points: pairs.into_iter().flatten().map(point).collect(), xyxy: boxes.get(i).map(side) }
    };
    let masks = case["mask_input"].is_object().then(|| tensor(&case["mask_input"]));
    Prompt { marks: (0..points.len().max(boxes.len())).map(of).collect(), masks }
}

/// What the nodes of these paths give for a prompt about the case's features.
fn run(network: &Network, features: Tensor<4>, prompt: Prompt, paths: &[&str], mode: Mode) -> Vec<Value> {
    let graph = network.graph();
    let wanted: Vec<NodeId> = paths.iter().map(|path| graph.find(path).unwrap()).collect();
    let given = BTreeMap::from([(graph.find("image_encoder.neck").unwrap(), Value::Map(features))]);
    let prompt = Value::Prompt(Arc::new(prompt));
    network.run(&[prompt.clone(), prompt], &given, &wanted, mode, &mut Ctx::default()).unwrap()
}

const PATHS: [&str; 4] = [
    "prompt_encoder",
    "mask_decoder.output_upscaling",
    "mask_decoder.output_hypernetworks_mlps",
    "mask_decoder.iou_prediction_head",
];

/// One mask where the prompt leaves no choice, three where it does.
fn offered<const D: usize>(x: Tensor<D>, case: &Json) -> Tensor<D> {
    if case["multimask"].as_bool().unwrap() { x.narrow(1, 1, 3) } else { x.narrow(1, 0, 1) }
}

#[test]
fn prompts_and_masks_are_segment_anythings() {
    let fixture = fixture("sam_decoder.json");
    let network = network(&fixture).inference();
    let mut worst = [0.0_f64; 7];
    for case in fixture["cases"].as_array().unwrap().iter().filter(|case| case["mode"] == "eval") {
        let name = case["name"].as_str().unwrap();
        let outputs = run(&network, tensor(&case["input"]), prompt(case), &PATHS, Mode::Infer);
        let asking = outputs[0].asking().unwrap();
        let low = offered(outputs[2].map().unwrap(), case);
        // The fixture was made with an encoder for inputs of 256 px, to which the masks are enlarged: as large as they
        // are, so that nothing is cropped.
        let whole = low.clone();
        let parts = [
            ("sparse", numbers(asking.tokens.clone())),
            ("dense", numbers(asking.map())),
            ("dense_pe", numbers(asking.map_codes())),
            ("output_upscaling", numbers(outputs[1].map().unwrap())),
            ("low_res_masks", numbers(low)),
            ("iou_predictions", numbers(offered(outputs[3].vector().unwrap(), case))),
            ("masks_640x427", numbers(resize::bilinear(whole, [427, 640], Corners::Edges))),
        ];
        for (worst, (part, ours)) in worst.iter_mut().zip(parts) {
            *worst = worst.max(compare(&format!("{name} {part}"), &ours, &case["tensors"][part]));
        }
    }
    println!("PARITY sam_decoder: shares of the tolerance {worst:.4?}");
}

#[test]
fn names_and_shapes_are_those_of_the_checkpoint() {
    let fixture = fixture("sam_decoder.json");
    let facts = find("mobile_sam").unwrap().graph(1, 1024).unwrap().facts().unwrap();
    let own: Vec<&TensorSpec> = facts.tensors().filter(|spec| !spec.name.starts_with("image_encoder.")).collect();
    let mut ours: Vec<(String, Vec<usize>)> = own.iter().map(|spec| (spec.name.clone(), spec.shape.clone())).collect();
    let mut theirs = common::state_dict(&fixture);
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    let params: u64 = own.iter().filter(|spec| spec.role != Role::Constant).map(|spec| spec.numel()).sum();
    assert_eq!(params, fixture["params"].as_u64().unwrap());
}

#[test]
fn gradients_of_the_decoder_are_torchs() {
    let fixture = fixture("sam_decoder.json");
    let train = case(&fixture, "train_decoder");
    let mut network = network(&fixture);
    let mut plan = FreezePlan::default();
    let graph = Arc::clone(network.graph());
    for id in graph.ids() {
        let path = &graph.node(id).path;
        plan.set(path, !path.starts_with("mask_decoder."));
    }
    network.set_plan(&plan);
    assert_eq!(network.frontier().trainable, train["trainable_params"].as_u64().unwrap());
    let prompt = prompt(case(&fixture, "two_points_box"));
    let outputs = run(&network, tensor(&train["input"]), prompt, &PATHS[2..], Mode::Train);
    let logits = outputs[0].map().unwrap().narrow(1, 0, 1);
    let iou = outputs[1].vector().unwrap().narrow(1, 0, 1);
    let target = integers("target", 256 * 256, 2);
    let target = Tensor::<4, Int>::from_data(TensorData::new(target, [1, 1, 256, 256]), &Device::flex()).float();
    let p = burn::tensor::activation::sigmoid(logits.clone());
    // log(1 + exp(-|x|)) + max(x, 0) - x y
    let bce = (-(logits.clone().abs())).exp().log1p() + logits.clone().clamp_min(0.0) - logits * target.clone();
    let both = (p.clone() * target.clone()).sum();
    let dice = -((both * 2.0 + 1.0) / (p.sum() + target.sum() + 1.0)) + 1.0;
    let terms = [("bce", bce.mean()), ("dice", dice), ("iou_mse", (iou.clone() * iou).mean())];
    let slack = (train["sgd_losses_f32"][0].as_f64().unwrap() - train["loss"].as_f64().unwrap()).abs();
    let mut total = Tensor::<1>::zeros([1], &Device::flex()).autodiff();
    for (name, term) in terms {
        let (ours, want) = (f64::from(numbers(term.clone())[0]), train["loss_parts"][name].as_f64().unwrap());
        assert!((ours - want).abs() <= 1e-4 * want + 20.0 * slack, "{name}: {ours} and not {want}");
        total = total + term;
    }
    let grads = total.backward();
    let see = gradients(&network, &grads, &train["grads"]);
    let mut worst = 0.0_f64;
    for (name, reference) in train["grads"].as_object().unwrap() {
        let (indices, wanted) = samples(reference);
        let ours: Vec<f64> = indices.iter().map(|&i| f64::from(see.found[name][i])).collect();
        let (error, tolerance) = (relative(&ours, &wanted), 20.0 * reference["f32_rel"].as_f64().unwrap() + 1e-3);
        println!("gradient {name}: {error:.2e} (tolerance {tolerance:.2e})");
        assert!(error <= tolerance, "gradient {name}: {error:.2e}, tolerance {tolerance:.2e}");
        worst = worst.max(error / tolerance);
    }
    println!("PARITY sam_decoder: gradients {worst:.4} of the tolerance");
}
