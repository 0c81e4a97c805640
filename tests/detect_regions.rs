//! Behavior of the detector that proposes regions: what it costs, what its files are called, what it makes of odd batches.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and say what they skip"
)]

mod common;

use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use common::uniform;
use frostline::graph::blocks::{
    Activation, BasicBlock, Classifier, Dense, Levels, Proposals, PyramidConv, RegionPool, SharedConv, Stem,
};
use frostline::graph::{
    Builder, Conv, Detector, FreezePlan, Graph, HeadKind, Init, Norm, Part, Preset, Tells, TensorSpec, TwoStage,
};
use frostline::models::{Mode, Network, SeeTensors, find};
use frostline::nn::regions::proposals::Lesson;
use frostline::nn::{Ctx, Object, Pictures};
use frostline::train::detection::{Candidates, candidates, losses};
use frostline::train::{DeviceChoice, device, wanted};
use frostline::weights::{Checkpoint, plan};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A small network of the method: two levels, three classes.
fn tiny() -> Graph {
    let classes = 3;
    let mut method = TwoStage::new(classes);
    method.anchors.sizes = vec![vec![12.0], vec![24.0]];
    method.proposals.after_nms.train = 60;
    method.proposals.after_nms.infer = 30;
    method.proposals.learning.samples = 64;
    method.regions.learning.samples = 32;
    let norm = Norm { frozen: true, ..Norm::default() };
    let mut b = Builder::new("tiny", 64, 64);
    let image = b.image();
    let x = b.named("stem", "", Stem { inputs: 3, outputs: 8, norm }, &[image]);
    let fine = b.node("layer1.0", BasicBlock { inputs: 8, outputs: 8, stride: 1, norm }, &[x]);
    let coarse = b.node("layer2.0", BasicBlock { inputs: 8, outputs: 8, stride: 2, norm }, &[fine]);
    b.part(Part::Neck);
    let lateral = PyramidConv { conv: Conv::new(8, 8, 1, 1).with_bias(), norm: None };
    let top = b.node("inner.1", lateral.clone(), &[coarse]);
    let low = b.node("inner.0", lateral, &[fine, top]);
    let pyramid = b.node("levels", Levels {}, &[low, top]);
    let head = |b: &mut Builder, name: &str, outputs: usize| {
        b.part(Part::Head(name.to_owned()));
        let conv = Conv::new(8, outputs, 1, 1).with_bias();
        b.node(name, SharedConv { conv, activation: Activation::Identity }, &[pyramid])
    };
    let objectness = head(&mut b, "objectness", 3);
    let rpn_box = head(&mut b, "rpn_box", 12);
    b.part(Part::Neck);
    let regions = b.node("proposals", Proposals { method: method.clone() }, &[objectness, rpn_box]);
    let pooled = b.node("pool", RegionPool { side: 3, samples: 2, levels: 2 }, &[pyramid, regions]);
    let dense = Dense {
        inputs: 72,
        outputs: 16,
        activation: Activation::Relu,
        dropout: 0.0,
        init: Init::UniformFanIn { fan_in: 72 },
    };
    let features = b.node("fc", dense, &[pooled]);
    b.part(Part::Head("class".to_owned()));
    let class = b.node("class", Classifier::new(16, classes + 1), &[features]);
    b.part(Part::Head("box".to_owned()));
    let bbox = b.node("box", Classifier::new(16, 4 * (classes + 1)), &[features]);
    for (name, output, tells) in [
        ("class", class, Tells::Class),
        ("box", bbox, Tells::Box),
        ("objectness", objectness, Tells::Objectness),
        ("rpn_box", rpn_box, Tells::Box),
    ] {
        b.head(name, output, HeadKind::Detect { classes, tells });
    }
    b.detector(Detector::TwoStage(method));
    b.finish().unwrap()
}

fn network(device: &Device) -> Network {
    let mut network = Network::new(Arc::new(tiny()), 7, device).unwrap();
    network.set_plan(&FreezePlan::default());
    network
}

fn images(device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(uniform("images", 2 * 3 * 64 * 64, -1.0, 1.0), [2, 3, 64, 64]), device)
}

fn object(class: usize, xyxy: [f32; 4]) -> Object {
    Object { class, xyxy, crowd: false }
}

fn ctx(seed: Option<u64>, objects: Option<Vec<Vec<Object>>>) -> Ctx {
    let mut ctx = seed.map_or_else(Ctx::default, |seed| Ctx::of_step(seed, 0));
    let mut pictures = Pictures { sizes: vec![[64.0, 48.0], [60.0, 64.0]], ..Pictures::default() };
    pictures.objects = objects;
    ctx.pictures = pictures;
    ctx
}

struct Seen<'a> {
    grads: &'a Gradients,
    all: BTreeMap<String, Vec<f32>>,
}

impl SeeTensors for Seen<'_> {
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>) {
        if let Some(grad) = param.val().grad(self.grads) {
            self.all.insert(spec.name.clone(), grad.into_data().try_to_vec().unwrap());
        }
    }
}

/// Losses of a training step and the gradients of their sum.
fn step(network: &Network, ctx: &mut Ctx) -> (Vec<f32>, BTreeMap<String, Vec<f32>>) {
    let outputs = network.forward(images(network.device()), Mode::Train, ctx).unwrap();
    let terms = losses(network.graph().detector.as_ref().unwrap(), &outputs, ctx).unwrap();
    let values = terms.iter().map(|term| term.clone().inner().into_scalar::<f32>()).collect();
    let grads = terms.into_iter().reduce(|a, b| a + b).unwrap().backward();
    let mut seen = Seen { grads: &grads, all: BTreeMap::new() };
    network.see_tensors(&mut seen);
    (values, seen.all)
}

fn usual() -> Vec<Vec<Object>> {
    vec![
        vec![object(0, [5.0, 6.0, 20.0, 18.0]), object(2, [30.0, 10.0, 60.0, 40.0])],
        vec![object(1, [10.0, 20.0, 33.0, 41.0])],
    ]
}

#[test]
fn odd_batches_train() {
    let network = network(&Device::flex());
    let many: Vec<Object> = (0..1000)
        .map(|i| {
            let (x, y) = ((i % 40) as f32, (i / 40) as f32);
            object(i % 3, [x, y, x + 8.0, y + 9.0])
        })
        .collect();
    let crowd = Object { class: 0, xyxy: [0.0, 0.0, 64.0, 64.0], crowd: true };
    let empty = object(1, [7.0, 7.0, 7.0, 20.0]);
    let outside = object(1, [200.0, 200.0, 220.0, 220.0]);
    for (name, objects, learns_boxes) in [
        ("usual", usual(), true),
        ("one picture without", vec![usual()[0].clone(), Vec::new()], true),
        ("none at all", vec![Vec::new(), Vec::new()], false),
        ("a thousand", vec![many.clone(), many], true),
        ("crowds alone", vec![vec![crowd], vec![crowd]], false),
        ("without area", vec![vec![empty], vec![empty]], false),
        ("outside", vec![vec![outside], Vec::new()], true),
    ] {
        let (values, grads) = step(&network, &mut ctx(Some(1), Some(objects)));
        println!("{name}: {values:?}");
        assert!(values.iter().all(|value| value.is_finite() && *value >= 0.0), "{name}: {values:?}");
        assert!(grads.values().flatten().all(|value| value.is_finite()), "{name}");
        // Every tensor that can train has a gradient, also where there is nothing to learn.
        assert_eq!(grads.len(), network.facts().tensors().filter(|spec| !spec.role.is_buffer()).count(), "{name}");
        assert_eq!(values[1] > 0.0, learns_boxes, "{name}: {values:?}");
        assert_eq!(grads["box.weight"].iter().any(|&g| g != 0.0), learns_boxes, "{name}");
    }
}

#[test]
fn regions_are_drawn_by_the_seed_and_carry_what_is_learned() {
    let network = network(&Device::flex());
    let run = |seed| {
        let mut ctx = ctx(Some(seed), Some(usual()));
        network.forward(images(&Device::flex()), Mode::Train, &mut ctx).unwrap();
        ctx.regions.unwrap()
    };
    let (a, b, other) = (run(1), run(1), run(2));
    assert_eq!(a, b);
    assert_ne!(a, other);
    for (picture, objects) in a.pictures.iter().zip(usual()) {
        assert_eq!((picture.boxes.len(), picture.lessons.len()), (32, 32));
        let positive = picture.lessons.iter().filter(|lesson| matches!(lesson, Lesson::Object { .. })).count();
        assert!((1..=8).contains(&positive), "{positive}"); // a quarter at most
        for object in objects {
            // The object itself is one of the regions, with nothing to move; or others of its took the places.
            let own = picture.boxes.iter().position(|b| *b == object.xyxy);
            if let Some(own) = own {
                assert_eq!(picture.lessons[own], Lesson::Object { class: object.class, target: [0.0; 4] });
            }
        }
    }
    // A loss pass without training labels all that is proposed, and gives what a pass without a loss gives.
    let mut labelled = ctx(None, Some(usual()));
    let outputs = network.forward(images(&Device::flex()), Mode::Infer, &mut labelled).unwrap();
    let mut plain = ctx(None, None);
    network.forward(images(&Device::flex()), Mode::Infer, &mut plain).unwrap();
    let (labelled_regions, plain) = (labelled.regions.clone().unwrap(), plain.regions.unwrap());
    for (a, b) in labelled_regions.pictures.iter().zip(&plain.pictures) {
        assert_eq!(a.boxes, b.boxes);
        assert_eq!((a.lessons.len(), b.lessons.len()), (a.boxes.len(), 0));
    }
    let detector = network.graph().detector.as_ref().unwrap();
    let terms = losses(detector, &outputs, &labelled).unwrap();
    assert!(terms.iter().all(|term| term.clone().inner().into_scalar::<f32>().is_finite()));
    let found = candidates(detector, &outputs, &labelled).unwrap();
    assert_eq!(found.len(), 2);
    for (found, [width, height]) in found.iter().zip([[64.0, 48.0], [60.0, 64.0]]) {
        assert!(!found.is_empty() && found.scores.is_sorted_by(|a, b| a >= b));
        assert!(found.boxes.iter().all(|b| b[0] >= 0.0 && b[1] >= 0.0 && b[2] <= width && b[3] <= height));
        assert!(found.classes.iter().all(|&class| class < 3));
    }
}

#[test]
fn norms_that_never_train_stay_as_they_are() {
    let network = network(&Device::flex());
    let mut ctx = ctx(Some(1), Some(usual()));
    let (_, grads) = step(&network, &mut ctx);
    assert!(ctx.statistics.is_empty());
    assert!(grads.keys().all(|name| !name.contains("bn")), "{:?}", grads.keys());
    assert!(network.graph().ids().all(|id| !network.facts().has_norm(id)));
}

#[test]
fn weights_that_are_no_numbers_are_no_panic() {
    let device = Device::flex();
    let nan = |spec: &TensorSpec| vec![f32::NAN; spec.numel() as usize];
    let network = Network::filled(Arc::new(tiny()), &nan, &device).unwrap();
    for objects in [None, Some(usual())] {
        let mut ctx = ctx(Some(1), objects);
        let mode = if ctx.pictures.objects.is_some() { Mode::Train } else { Mode::Infer };
        let outputs = network.forward(images(&device), mode, &mut ctx).unwrap();
        let detector = network.graph().detector.as_ref().unwrap();
        assert!(candidates(detector, &outputs, &ctx).unwrap().iter().all(Candidates::is_empty));
        if ctx.pictures.objects.is_some() {
            let terms = losses(detector, &outputs, &ctx).unwrap();
            assert!(terms[0].clone().inner().into_scalar::<f32>().is_nan());
        }
    }
}

const INSIDE: &str = "FROSTLINE_TEST_INSIDE";

#[test]
fn a_step_on_the_adapter_is_that_of_the_cpu() {
    let name = "a_step_on_the_adapter_is_that_of_the_cpu";
    let (adapter, info) = match device::open(DeviceChoice::Wgpu(None)) {
        Ok(opened) => opened,
        Err(why) => {
            assert!(std::env::var_os("FROSTLINE_REQUIRE_WGPU").is_none(), "no adapter: {why}");
            eprintln!("SKIPPED {name}: {why}");
            return;
        }
    };
    if std::env::var_os(INSIDE).is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(INSIDE, "1")
            .env("CUBECL_AUTOTUNE_LEVEL", "minimal")
            .output()
            .unwrap();
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    println!("{info:?}");
    // The backbone is frozen: its kernels are those of other tests, and each takes seconds to build.
    let run = |device: &Device| {
        let mut network = network(device);
        network.set_plan(&FreezePlan::preset(network.graph(), &Preset::HeadOnly).unwrap());
        step(&network, &mut ctx(Some(1), Some(usual())))
    };
    let ((cpu, cpu_grads), (gpu, gpu_grads)) = (run(&Device::flex()), run(&adapter));
    println!("{cpu:?} {gpu:?}");
    assert!(cpu.iter().zip(&gpu).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs().max(1.0)), "{cpu:?} {gpu:?}");
    for (name, wanted) in &cpu_grads {
        let largest = wanted.iter().fold(1e-6f32, |largest, value| largest.max(value.abs()));
        let worst = wanted.iter().zip(&gpu_grads[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3 * largest, "{name}: {worst} of {largest}");
    }
}

/// A file with these tensors in f16, all zeros: a hole in the file system.
fn write(path: &Path, tensors: &[(String, Vec<usize>)]) -> Checkpoint {
    let mut end = 0;
    let rows: Vec<String> = tensors
        .iter()
        .map(|(name, shape)| {
            let start = end;
            end += 2 * shape.iter().product::<usize>();
            format!(r#""{name}":{{"dtype":"F16","shape":{shape:?},"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", rows.join(","));
    let mut file = std::fs::File::create(path).unwrap();
    std::io::Write::write_all(&mut file, &(header.len() as u64).to_le_bytes()).unwrap();
    std::io::Write::write_all(&mut file, header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
    Checkpoint::open(path).unwrap()
}

#[test]
fn a_file_of_the_backbone_alone_fills_the_backbone() {
    let dir = tempfile::tempdir().unwrap();
    for (file, model) in [
        ("resnet18", "fasterrcnn_resnet18_fpn"),
        ("resnet50", "fasterrcnn_resnet50_fpn"),
        ("resnet50", "fasterrcnn_resnet50_fpn_v2"),
    ] {
        let tensors = |model: &str, classes| {
            let graph = find(model).unwrap().graph(classes, 224).unwrap();
            wanted(&graph, &graph.facts().unwrap())
        };
        let held: Vec<(String, Vec<usize>)> =
            tensors(file, 1000).into_iter().map(|tensor| (tensor.name, tensor.shape)).collect();
        let checkpoint = write(&dir.path().join(format!("{file}.safetensors")), &held);
        let report = plan(&checkpoint, &tensors(model, 3)).unwrap();
        assert_eq!(report.counts().loaded, held.len() - 2, "{model}: all but the classifier");
    }
}

#[test]
fn published_files_of_older_names_load_whole() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/fasterrcnn_resnet50_fpn.json");
    let fixture: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let older: BTreeMap<String, String> = fixture["legacy_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[1].as_str().unwrap().to_owned(), pair[0].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(older.len(), 18);
    let graph = find("fasterrcnn_resnet50_fpn").unwrap().graph(90, 224).unwrap();
    let tensors = wanted(&graph, &graph.facts().unwrap());
    let held: Vec<(String, Vec<usize>)> = tensors
        .iter()
        .map(|tensor| (older.get(&tensor.name).unwrap_or(&tensor.name).clone(), tensor.shape.clone()))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let report = plan(&write(&dir.path().join("w.safetensors"), &held), &tensors).unwrap();
    assert_eq!((report.counts().loaded, held.len()), (295, 295));
}

#[test]
fn costs_are_the_published_ones() {
    // torchvision counts at 800 px with a thousand regions: 134.38 and 280.371 giga multiply-adds.
    for (name, params, giga) in
        [("fasterrcnn_resnet50_fpn", 41_755_286, 134.38), ("fasterrcnn_resnet50_fpn_v2", 43_712_278, 280.371)]
    {
        let facts = find(name).unwrap().graph(90, 800).unwrap().facts().unwrap();
        let ours = facts.macs() as f64 / 1e9;
        println!("{name}: {} parameters, {ours} giga multiply-adds", facts.params());
        assert_eq!(facts.params(), params, "{name}");
        assert!((ours - giga).abs() < 0.006, "{name}: {ours} and not {giga}");
    }
}
