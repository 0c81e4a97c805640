//! The exported ONNX file against the network that it was written from, in another engine (tract): the record of the
//! layers (`Facts::layers`) is what `nn` executes. Odd and uneven sizes, more than one picture, more than one head.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::{rule_values, sized, tiny, uniform};
use frostline::graph::blocks::{
    Activation, Classifier, ConvNormAct, ConvUnit, CspLayer, Dense, DoubleConv, DoubleConvDown, DoubleConvUp, Focus,
    GlobalAvgPool, InvertedResidual, MapClassifier, MaxPool, PoolFlatten, SppBottleneck,
};
use frostline::graph::{Builder, Conv, Graph, HeadKind, Norm, Part};
use frostline::models::{Mode, ModelTask, Network, catalogue};
use frostline::nn::Ctx;
use frostline::train::host;
use frostline::weights::{BoxOutput, Draft, run_onnx, write_onnx};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A network whose values, statistics included, are far from those of a new one.
fn filled(graph: Graph) -> Network {
    let mut network = Network::new(Arc::new(graph), 1, &Device::flex()).unwrap();
    let specs: Vec<_> = network.facts().tensors().cloned().collect();
    let scale = serde_json::Map::new();
    let values = specs.iter().map(|spec| (spec.name.clone(), rule_values(&spec.name, &spec.shape, 1.0, &scale)));
    network.assign(values.collect()).unwrap();
    network.inference()
}

fn write(network: &Network, to: &Path) {
    let draft = Draft::new(to).unwrap();
    let notes = [("model".to_owned(), network.graph().name.clone())];
    write_onnx(&draft, network.graph(), network.facts(), &network.tensors().unwrap(), &BoxOutput::default(), &notes)
        .unwrap();
    draft.publish().unwrap();
}

/// Writes the network, runs both on `batch` pictures, compares; the greatest difference over the greatest value.
fn compare(network: &Network, batch: usize, folder: &Path) -> f32 {
    let graph = network.graph();
    let [channels, height, width] = graph.inputs[0].shape.dims()[..] else { panic!("no map") };
    let shape = [batch, channels, height, width];
    let pixels = uniform(&graph.name, shape.iter().product(), -2.0, 2.0);
    let file: PathBuf = folder.join(format!("{}-{height}x{width}.onnx", graph.name));
    write(network, &file);
    let images = Tensor::<4>::from_data(TensorData::new(pixels.clone(), shape), network.device());
    let ours = network.forward(images, Mode::Infer, &mut Ctx::default()).unwrap();
    let theirs = run_onnx(&file, shape, &pixels).unwrap();
    assert_eq!(ours.len(), theirs.len());
    let mut worst = 0.0_f32;
    let numbers = ours.iter().flat_map(|output| host(output).unwrap()).flat_map(f32::to_le_bytes);
    std::fs::write(file.with_extension("f32"), numbers.collect::<Vec<u8>>()).unwrap();
    for ((head, ours), theirs) in graph.heads.iter().zip(&ours).zip(&theirs) {
        assert_eq!(theirs.name, head.name);
        assert_eq!(ours.dims(), std::slice::from_ref(&theirs.shape), "{} {}", graph.name, head.name);
        let ours = host(ours).unwrap();
        let largest = ours.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        assert!(largest > 1e-3, "{} {}: the outputs say nothing", graph.name, head.name);
        let difference = ours.iter().zip(&theirs.values).fold(0.0_f32, |max, (a, b)| max.max((a - b).abs()));
        worst = worst.max(difference / largest);
    }
    worst
}

#[test]
fn two_heads_at_uneven_sizes_say_the_same_in_another_engine() {
    let folder = tempfile::tempdir().unwrap();
    for (height, width) in [(16, 16), (32, 20), (18, 26)] {
        let network = filled(sized(&tiny::two_heads(), height, width));
        for batch in [1, 3] {
            let worst = compare(&network, batch, folder.path());
            assert!(worst < 1e-5, "{height}×{width}, {batch} pictures: {worst}");
        }
    }
}

/// A network of every kind of layer, for images of this size.
fn of_everything(function: Activation, height: usize, width: usize) -> Graph {
    let mut b = Builder::new("of_everything", height, width);
    let x = b.node("stem", ConvNormAct::new(Conv::new(3, 4, 3, 1), function), &[b.image()]);
    let block = InvertedResidual {
        inputs: 4,
        hidden: 8,
        outputs: 4,
        kernel: 5,
        stride: 1,
        squeezed: Some(2),
        activation: function,
        norm: Norm { epsilon: 1e-3, momentum: 0.01, frozen: false },
        nested: true,
    };
    let x = b.node("body", block, &[x]);
    let x = b.node("pool", MaxPool::new(2, 2), &[x]);
    b.part(Part::Head("cls".to_owned()));
    let x = b.node("parts", PoolFlatten { side: 3 }, &[x]);
    let x = b.node(
        "dense",
        Dense { inputs: 36, outputs: 6, activation: function, dropout: 0.5, init: Dense::default_init() },
        &[x],
    );
    let x = b.node("cls", Classifier::new(6, 4), &[x]);
    b.head("cls", x, HeadKind::Classify { classes: 4 });
    b.finish().unwrap()
}

#[test]
fn every_kind_of_layer_says_the_same_at_sizes_that_divide_and_that_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let functions = [
        Activation::Identity,
        Activation::Relu,
        Activation::Relu6,
        Activation::Silu,
        Activation::Hardswish,
        Activation::HardSigmoid,
    ];
    // Maps of 3×3, 6×9, 5×11, 4×2, 8×7 and 3×3 cells before the pooling to 3×3.
    for (i, (height, width)) in [(6, 6), (12, 18), (10, 22), (8, 4), (17, 15), (7, 7)].into_iter().enumerate() {
        let network = filled(of_everything(functions[i], height, width));
        let worst = compare(&network, 2, folder.path());
        assert!(worst < 1e-5, "{height}×{width}: {worst}");
    }
}

#[test]
fn joined_and_folded_maps_say_the_same_in_another_engine() {
    let mut b = Builder::new("joins", 32, 48);
    let stem = b.node("stem", Focus { outputs: 4 }, &[b.image()]);
    let x = b.node("down", ConvUnit::new(4, 8, 3, 2).separable(true), &[stem]);
    let x = b.node("spp", SppBottleneck { inputs: 8, outputs: 6 }, &[x]);
    let merge = CspLayer { upsample: 2, inputs: 10, outputs: 8, count: 2, shortcut: true, separable: false };
    let x = b.node("merge", merge, &[x, stem]);
    b.part(Part::Head("cls".to_owned()));
    let x = b.node("pool", GlobalAvgPool {}, &[x]);
    let x = b.node("cls", Classifier::new(8, 4), &[x]);
    b.head("cls", x, HeadKind::Classify { classes: 4 });
    let folder = tempfile::tempdir().unwrap();
    let worst = compare(&filled(b.finish().unwrap()), 2, folder.path());
    assert!(worst < 1e-5, "{worst}");
}

/// Transposed convolutions, bilinear doubling, skips of even and odd sides (padded rows and columns), repeated cells.
#[test]
fn enlarged_and_padded_maps_say_the_same_in_another_engine() {
    let folder = tempfile::tempdir().unwrap();
    for bilinear in [false, true] {
        for (height, width) in [(16, 24), (13, 11), (18, 7)] {
            let mut b = Builder::new(if bilinear { "bilinear" } else { "transposed" }, height, width);
            let top = b.node("top", DoubleConv { inputs: 3, middle: 4, outputs: 4 }, &[b.image()]);
            let down = b.node("down", DoubleConvDown { inputs: 4, outputs: 8 }, &[top]);
            b.part(Part::Neck);
            let up = b.node("up", DoubleConvUp { inputs: 8, skip: 4, outputs: 6, bilinear }, &[down, top]);
            b.part(Part::Head("mask".to_owned()));
            let mask = b.node("mask", MapClassifier { inputs: 6, classes: 3, upsample: 2 }, &[up]);
            b.head("mask", mask, HeadKind::PixelClassify { classes: 3 });
            let worst = compare(&filled(b.finish().unwrap()), 2, folder.path());
            assert!(worst < 1e-5, "bilinear {bilinear}, {height}×{width}: {worst}");
        }
    }
}

/// Those with few parameters; with `FROSTLINE_ONNX_DIR` all, at their own size, as below.
#[test]
fn segmenters_say_the_same_in_another_engine() {
    let keep = std::env::var_os("FROSTLINE_ONNX_DIR").map(PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for variant in catalogue().into_iter().filter(|variant| variant.name.starts_with("unet")) {
        let size = if keep.is_some() { variant.preprocess.size[0] as usize } else { 64 };
        let graph = variant.graph(3, size).unwrap();
        if keep.is_none() && graph.facts().unwrap().params() > 15_000_000 {
            continue;
        }
        let worst = compare(&filled(graph), 2, keep.as_deref().unwrap_or(folder.path()));
        println!("{} {worst:e}", variant.name);
        assert!(worst < 1e-4, "{}: {worst}", variant.name);
        seen += 1;
    }
    assert!(seen >= 3, "{seen}");
}

/// All models with few classes and small pictures; with `FROSTLINE_ONNX_DIR` at their own size with a thousand classes, the
/// files kept there with the network's own outputs (`.f32`), for other engines.
#[test]
fn every_classifier_says_the_same_in_another_engine() {
    let keep = std::env::var_os("FROSTLINE_ONNX_DIR").map(PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let mut families = std::collections::BTreeSet::new();
    for variant in catalogue().into_iter().filter(|variant| variant.task == ModelTask::Classify) {
        let (classes, size, batch) =
            if keep.is_some() { (1000, variant.preprocess.size[0] as usize, 3) } else { (7, 64, 2) };
        let graph = variant.graph(classes, size).unwrap();
        // The others are left to the long form: they have no kind of layer that these or the networks above lack.
        if keep.is_none() && graph.facts().unwrap().params() > 2_000_000 {
            continue;
        }
        let network = filled(graph);
        families.insert(variant.family);
        let worst = compare(&network, batch, keep.as_deref().unwrap_or(folder.path()));
        assert!(worst < 1e-4, "{}: {worst}", variant.name);
        if keep.is_some() {
            println!("{} {worst:e}", variant.name);
        }
    }
    println!("{families:?}");
    assert!(["ResNet", "MobileNet"].iter().all(|family| families.contains(family)), "{families:?}");
}

#[test]
fn a_file_that_cannot_be_written_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("model.onnx");
    std::fs::write(&target, "what was there").unwrap();
    let network = filled(tiny::two_heads());
    let draft = Draft::new(&target).unwrap();
    write_onnx(&draft, network.graph(), network.facts(), &network.tensors().unwrap(), &BoxOutput::default(), &[])
        .unwrap();
    drop(draft);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "what was there");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(run_onnx(&target, [1, 3, 16, 16], &[0.0; 768]).unwrap_err().contains("model.onnx"));
}
