//! Agreement with torchvision of the detector that proposes regions: part by part, end to end, losses and gradients in
//! several freezing cases (`tests/fixtures/fasterrcnn_*.json`, of which `tests/reference/faster_rcnn.py` writes those that
//! `../shared/parity` lacks; tolerances of its README).

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::grads::{gradients, training};
use common::{filled, floats, samples, uniform, usizes};
use frostline::graph::{Detector, Graph, NodeId, TensorSpec, TwoStage};
use frostline::models::{Mode, Network, find};
use frostline::nn::nms::{iou, nms};
use frostline::nn::regions::proposals::{PictureRegions, Regions, all_anchors};
use frostline::nn::{Ctx, Object, Pictures, Value, resize};
use frostline::train::detection::{candidates, losses};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

/// A model's fixture and its network, filled by the rule once.
struct Model {
    name: &'static str,
    fixture: Json,
    filled: Network,
}

impl Model {
    fn new(name: &'static str) -> Self {
        let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let fixture: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let filled = filled(find(name).unwrap().graph(90, 192).unwrap(), &fixture);
        Self { name, fixture, filled }
    }

    fn case(&self, name: &str) -> &Json {
        self.fixture["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap()
    }

    /// The network with the numbers of a case.
    fn network(&self, case: &Json) -> Network {
        let graph = configured((**self.filled.graph()).clone(), case);
        let tensors: HashMap<String, Vec<f32>> =
            self.filled.tensors().unwrap().into_iter().map(|tensor| (tensor.spec.name, tensor.values)).collect();
        Network::filled(Arc::new(graph), &|spec: &TensorSpec| tensors[&spec.name].clone(), &Device::flex()).unwrap()
    }
}

/// The first of torchvision's recipes, which several tests look at.
fn first() -> &'static Model {
    static FIRST: OnceLock<Model> = OnceLock::new();
    FIRST.get_or_init(|| Model::new("fasterrcnn_resnet50_fpn"))
}

/// The numbers that a case changes.
fn configured(graph: Graph, case: &Json) -> Graph {
    let config = &case["config"];
    let number = |name: &str, usual: usize| config[name].as_u64().map_or(usual, |n| n as usize);
    graph.with_two_stage(|method: &mut TwoStage| {
        let proposals = &mut method.proposals;
        for (modes, when) in [(&mut proposals.before_nms, "pre"), (&mut proposals.after_nms, "post")] {
            modes.train = number(&format!("rpn_{when}_nms_top_n_train"), modes.train);
            modes.infer = number(&format!("rpn_{when}_nms_top_n_test"), modes.infer);
        }
        proposals.learning.samples = number("rpn_batch_size_per_image", proposals.learning.samples);
        // torchvision's own number where the case names none; the small variant has one of ours.
        method.regions.learning.samples = number("box_batch_size_per_image", 512);
    })
}

/// A batch as torchvision's transform makes it: normalized, resized (shorter side, or longer at most), zeros right and
/// below up to a multiple of 32; the sizes `[width, height]` of the pictures in it, and before.
fn batch(case: &Json) -> (Tensor<4>, Vec<[f32; 2]>, Vec<[f32; 2]>) {
    let device = Device::flex();
    let (mut pictures, mut sizes, mut before) = (Vec::new(), Vec::new(), Vec::new());
    let side = |name: &str| case["config"][name].as_f64().unwrap() as f32;
    for image in case["input"]["images"].as_array().unwrap() {
        let shape = usizes(&image["shape"]);
        let values = uniform(image["key"].as_str().unwrap(), shape.iter().product(), 0.0, 1.0);
        let x = Tensor::<4>::from_data(TensorData::new(values, [1, 3, shape[1], shape[2]]), &device);
        let of = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
        let x = (x - of([0.485, 0.456, 0.406])) / of([0.229, 0.224, 0.225]);
        let (height, width) = (shape[1] as f32, shape[2] as f32);
        let scale = (side("min_size") / height.min(width)).min(side("max_size") / height.max(width));
        let size = [(height * scale).floor() as usize, (width * scale).floor() as usize];
        before.push([width, height]);
        sizes.push([size[1] as f32, size[0] as f32]);
        pictures.push(resize::bilinear(x, size, resize::Corners::Edges));
    }
    let most = |axis: usize| pictures.iter().map(|x| x.dims()[axis]).max().unwrap().div_ceil(32) * 32;
    let (height, width) = (most(2), most(3));
    let mut padded = Tensor::<4>::zeros([pictures.len(), 3, height, width], &device);
    for (i, x) in pictures.into_iter().enumerate() {
        let [_, _, h, w] = x.dims();
        padded = padded.slice_assign([i..i + 1, 0..3, 0..h, 0..w], x);
    }
    (padded, sizes, before)
}

fn values<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone().inner().into_data().try_to_vec().unwrap()
}

/// Greatest share of the tolerance, and what lies outside.
#[derive(Default)]
struct Outcome {
    worst: f64,
    wrong: Vec<String>,
    checked: usize,
}

impl Outcome {
    /// `1e-4 std + 20 f32_err`.
    fn check(&mut self, name: &str, reference: &Json, ours: &[f32]) {
        if reference.is_null() {
            return; // This fixture does not hold it.
        }
        assert_eq!(ours.len(), usizes(&reference["shape"]).iter().product::<usize>(), "{name}");
        let tolerance = 1e-4 * reference["std"].as_f64().unwrap() + 20.0 * reference["f32_err"].as_f64().unwrap_or(0.0);
        let (indices, wanted) = samples(reference);
        let error = indices.iter().zip(wanted).map(|(&i, want)| (f64::from(ours[i]) - want).abs()).fold(0.0, f64::max);
        println!("{name}: {error:.2e} (tolerance {tolerance:.2e})");
        if error > tolerance || error.is_nan() {
            self.wrong.push(format!("{name}: {error:.2e}, tolerance {tolerance:.2e}"));
        }
        self.worst = self.worst.max(error / tolerance.max(1e-30));
        self.checked += 1;
    }
}

fn method(network: &Network) -> &TwoStage {
    let Some(Detector::TwoStage(method)) = &network.graph().detector else { panic!("another method") };
    method
}

#[test]
fn every_part_and_the_detections_are_torchvisions() {
    check_forward(first(), 23);
}

#[test]
fn the_second_recipe_is_torchvisions() {
    let model = Model::new("fasterrcnn_resnet50_fpn_v2");
    check_forward(&model, 20);
    check_training(&model, "train_heads");
}

#[test]
fn the_small_one_is_what_torchvision_builds_of_its_parts() {
    let model = Model::new("fasterrcnn_resnet18_fpn");
    check_forward(&model, 20);
    check_training(&model, "train_last");
}

/// Each tensor of a fixture's first case that is compared, and the detections.
fn check_forward(model: &Model, tensors: usize) {
    let start = std::time::Instant::now();
    let case = model.case("eval");
    let network = model.network(case).inference();
    let (images, sizes, before) = batch(case);
    let mut outcome = Outcome::default();
    let taps = &case["tensors"];
    outcome.check("transform", &taps["transform"], &values(&images));
    let graph = network.graph();
    let at = |path: &str| graph.find(path).unwrap_or_else(|| panic!("no node {path}"));
    let pictures = Pictures { sizes: sizes.clone(), ..Pictures::default() };
    let mut ctx = Ctx { pictures, ..Ctx::default() };
    let heads: Vec<NodeId> = graph.heads.iter().map(|head| head.output).collect();
    let wanted = [vec![at("fpn.levels")], heads].concat();
    let outputs = network.run(&[Value::Map(images.clone())], &BTreeMap::new(), &wanted, Mode::Infer, &mut ctx).unwrap();
    let (pyramid, heads) = (&outputs[0], &outputs[1..]);
    for (i, level) in pyramid.pyramid().unwrap().iter().enumerate() {
        let name = if i < 4 { format!("fpn.{i}") } else { "fpn.pool".to_owned() };
        outcome.check(&name, &taps[&name], &values(level));
    }
    let [_, _, objectness, rpn_box] = heads else { panic!("four heads") };
    let (objectness, rpn_box) = (objectness.pyramid().unwrap(), rpn_box.pyramid().unwrap());
    for (i, (objectness, boxes)) in objectness.iter().zip(&rpn_box).enumerate() {
        let (a, b) = (format!("rpn.objectness.{i}"), format!("rpn.bbox_deltas.{i}"));
        outcome.check(&a, &taps[&a], &values(objectness));
        outcome.check(&b, &taps[&b], &values(boxes));
    }
    let grids: Vec<[usize; 2]> = objectness.iter().map(|map| [map.dims()[2], map.dims()[3]]).collect();
    let anchors = all_anchors(&method(&network).anchors, &grids, [192, 192]).concat();
    outcome.check("anchors", &taps["anchors"], &anchors.concat());
    for (i, picture) in ctx.regions.clone().unwrap().pictures.iter().enumerate() {
        let name = format!("rpn.proposals.{i}");
        outcome.check(&name, &taps[&name], &picture.boxes.concat());
    }
    let found = candidates(graph.detector.as_ref().unwrap(), heads, &ctx).unwrap();
    for (i, found) in found.iter().enumerate() {
        let mut keep = nms(&found.boxes, &found.scores, Some(&found.classes), 0.5);
        keep.truncate(100);
        // Back to the picture's own pixels.
        let (sx, sy) = (before[i][0] / sizes[i][0], before[i][1] / sizes[i][1]);
        let ours: Vec<(u32, f32, [f32; 4])> = keep
            .iter()
            .map(|&k| {
                let [a, b, c, d] = found.boxes[k];
                (found.classes[k] + 1, found.scores[k], [a * sx, b * sy, c * sx, d * sy])
            })
            .collect();
        check_detections(i, case, &ours);
    }
    check_fixed(&network, case, pyramid, &mut outcome);
    println!(
        "PARITY {}: forward {:.3} of the tolerance; {:.1} s",
        model.name,
        outcome.worst,
        start.elapsed().as_secs_f64()
    );
    assert!(outcome.wrong.is_empty(), "outside the tolerance:\n{}", outcome.wrong.join("\n"));
    assert_eq!(outcome.checked, tensors);
}

/// Each of torchvision's detections has one of ours of the same label and (nearly) the same place and score, and there
/// are no others.
fn check_detections(picture: usize, case: &Json, ours: &[(u32, f32, [f32; 4])]) {
    let tensor = |what: &str| floats(&case["tensors"][format!("detections.{picture}.{what}")]["val"]);
    let (boxes, scores, labels) = (tensor("boxes"), tensor("scores"), tensor("labels"));
    assert_eq!(ours.len(), scores.len(), "detections of picture {picture}");
    let mut free: Vec<bool> = vec![true; ours.len()];
    let mut worst = [0.0f64; 2];
    for (i, (score, label)) in scores.iter().zip(&labels).enumerate() {
        let wanted: [f32; 4] = std::array::from_fn(|k| boxes[4 * i + k] as f32);
        let alike = |k: &usize| free[*k] && f64::from(ours[*k].0) == *label;
        let best = (0..ours.len())
            .filter(alike)
            .max_by(|&a, &b| iou(&ours[a].2, &wanted).total_cmp(&iou(&ours[b].2, &wanted)));
        let best = best.unwrap_or_else(|| panic!("picture {picture}: nothing of label {label}"));
        free[best] = false;
        worst[0] = worst[0].max(1.0 - f64::from(iou(&ours[best].2, &wanted)));
        worst[1] = worst[1].max((f64::from(ours[best].1) - score).abs());
        // Scores fall; places may be changed by those who are within 1e-5 only.
        assert!((f64::from(ours[i].1) - score).abs() < 2e-5, "picture {picture}, place {i}");
    }
    println!("picture {picture}: {} detections, 1 - IoU {:.1e}, score {:.1e}", ours.len(), worst[0], worst[1]);
    assert!(worst[0] < 1e-4 && worst[1] < 2e-5, "picture {picture}: {worst:?}");
}

/// Pooling and box head on regions that the fixture names.
fn check_fixed(network: &Network, case: &Json, pyramid: &Value, outcome: &mut Outcome) {
    let graph = network.graph();
    let at = |path: &str| graph.find(path).unwrap();
    let boxes = |picture: &Json| picture.as_array().unwrap().iter().map(floats).collect::<Vec<_>>();
    let pictures = case["fixed_proposals"].as_array().unwrap().iter().map(|picture| PictureRegions {
        boxes: boxes(picture).iter().map(|b| std::array::from_fn(|k| b[k] as f32)).collect(),
        lessons: Vec::new(),
    });
    let regions = Arc::new(Regions { pictures: pictures.collect() });
    let given = BTreeMap::from([(at("fpn.levels"), pyramid.clone()), (at("proposals"), Value::Regions(regions))]);
    let features = if graph.find("box_head.fc7").is_some() { "box_head.fc7" } else { "box_head.5" };
    let wanted = ["box_head.pool", features, "cls_score", "bbox_pred"].map(at);
    let images = Tensor::<4>::zeros([2, 3, 192, 192], &Device::flex());
    let outputs = network.run(&[Value::Map(images)], &given, &wanted, Mode::Infer, &mut Ctx::default()).unwrap();
    let names = ["fixed.roi_pool", "fixed.box_head", "fixed.class_logits", "fixed.box_regression"];
    for (name, output) in names.iter().zip(&outputs) {
        let ours = match output {
            Value::Map(x) => values(x),
            other => values(&other.vector().unwrap()),
        };
        outcome.check(name, &case["tensors"][*name], &ours);
    }
}

/// The objects of a case in input pixels.
fn objects(case: &Json, sizes: &[[f32; 2]], before: &[[f32; 2]]) -> Vec<Vec<Object>> {
    let of = |(i, target): (usize, &Json)| {
        let scale = [sizes[i][0] / before[i][0], sizes[i][1] / before[i][1]];
        let boxes = target["boxes"].as_array().unwrap().iter().map(floats);
        let object = |(b, label): (Vec<f64>, usize)| Object {
            class: label - 1,
            xyxy: std::array::from_fn(|k| b[k] as f32 * scale[k % 2]),
            crowd: false,
        };
        boxes.zip(usizes(&target["labels"])).map(object).collect()
    };
    case["targets"].as_array().unwrap().iter().enumerate().map(of).collect()
}

fn check_training(model: &Model, name: &str) {
    let start = std::time::Instant::now();
    let case = model.case(name);
    let mut network = model.network(case);
    let prefixes: Vec<&str> = case["trainable"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
    network.set_plan(&training(&network, &prefixes));
    assert_eq!(network.frontier().trainable, case["trainable_params"].as_u64().unwrap(), "{name}");
    let (images, sizes, before) = batch(case);
    let objects = objects(case, &sizes, &before);
    // Without a seed the samplers take the first in order, as the fixture's do.
    let mut pictures = Pictures { sizes, ..Pictures::default() };
    pictures.objects = Some(objects);
    let mut ctx = Ctx { pictures, ..Ctx::default() };
    let outputs = network.forward(images, Mode::Train, &mut ctx).unwrap();
    let terms = losses(network.graph().detector.as_ref().unwrap(), &outputs, &ctx).unwrap();
    let parts = ["loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"];
    let mut wrong = Vec::new();
    for (term, part) in terms.iter().zip(parts) {
        let (ours, want) = (f64::from(values(term)[0]), case["loss_parts"][part].as_f64().unwrap());
        println!("{name} {part}: {ours} (torch {want})");
        if (ours - want).abs() > 1e-4 * want.abs() + 1e-5 || ours.is_nan() {
            wrong.push(format!("{name} {part}: {ours} and not {want}"));
        }
    }
    let loss = terms.into_iter().reduce(|a, b| a + b).unwrap();
    let grads = loss.backward();
    let see = gradients(&network, &grads, &case["grads"]);
    assert_eq!(see.count, case["trainable_params"].as_u64().unwrap(), "{name}: what trains and nothing else");
    let mut worst = 0.0f64;
    for (tensor, reference) in case["grads"].as_object().unwrap() {
        let ours = &see.found[tensor];
        let (indices, wanted) = samples(reference);
        let (mut difference, mut norm) = (0.0, 0.0);
        for (&i, want) in indices.iter().zip(&wanted) {
            difference += (f64::from(ours[i]) - want).powi(2);
            norm += want.powi(2);
        }
        let error = difference.sqrt() / norm.sqrt().max(1e-7);
        let tolerance = 20.0 * reference["f32_rel"].as_f64().unwrap_or(0.0) + 1e-3;
        println!("{name} grad {tensor}: {error:.2e} (tolerance {tolerance:.2e})");
        if error > tolerance || error.is_nan() {
            wrong.push(format!("{name} grad {tensor}: relative error {error:.2e}, tolerance {tolerance:.2e}"));
        }
        worst = worst.max(error / tolerance);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("PARITY {} {name}: gradients {worst:.3} of the tolerance; {seconds:.1} s", model.name);
    assert!(wrong.is_empty(), "outside the tolerance:\n{}", wrong.join("\n"));
}

#[test]
fn losses_and_gradients_of_everything_are_torchvisions() {
    check_training(first(), "train_all");
    check_training(first(), "train_all_sampler_takes_all");
}

#[test]
fn losses_and_gradients_of_parts_are_torchvisions() {
    check_training(first(), "train_head");
    check_training(first(), "train_last");
}
