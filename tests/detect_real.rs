//! A published detector with its published weights: the reference output, and the objects in a photograph from COCO.
//! Needs `../shared/data`; says `SKIPPED` where that is absent.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::shared_or_skip;
use frostline::data::{ImageSource, image, transform};
use frostline::models::{Mode, Network, find};
use frostline::nn::{Ctx, Value};
use frostline::train::{detection, load_into, recognize};
use frostline::weights::Checkpoint;
use std::path::Path;
use std::sync::Arc;

const WEIGHTS: &str = "data/weights/yolox_nano_coco.safetensors";

/// The network with the published weights.
fn published(file: &Path) -> Network {
    let graph = Arc::new(find("yolox_nano").unwrap().published().unwrap());
    let mut network = Network::new(graph, 0, &Device::flex()).unwrap();
    let counts = load_into(&mut network, &Checkpoint::open(file).unwrap()).unwrap().counts();
    assert_eq!((counts.missing, counts.remade, counts.unused), (0, 0, 0));
    network.inference()
}

fn run(network: &Network, pixels: Vec<f32>) -> Vec<Value> {
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [1, 3, 416, 416]), network.device());
    network.forward(images, Mode::Infer, &mut Ctx::default()).unwrap()
}

/// A safetensors file's tensor; bytes as they are.
fn tensor(bytes: &[u8], name: &str) -> (String, Vec<u8>) {
    let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let at = |i: usize| usize::try_from(json[name]["data_offsets"][i].as_u64().unwrap()).unwrap() + 8 + header;
    (json[name]["dtype"].as_str().unwrap().to_owned(), bytes[at(0)..at(1)].to_vec())
}

#[test]
fn published_weights_give_the_reference_output() {
    let Some(weights) = shared_or_skip(WEIGHTS, "the reference output") else { return };
    let Some(file) = shared_or_skip("data/weights/reference/yolox_nano_reference.safetensors", "the same") else {
        return;
    };
    let bytes = std::fs::read(file).unwrap();
    let (input, output) = (tensor(&bytes, "input_0"), tensor(&bytes, "output_0"));
    assert_eq!((input.0.as_str(), output.0.as_str()), ("U8", "F32"));
    let network = published(&weights);
    let outputs = run(&network, input.1.into_iter().map(f32::from).collect());
    let Some(frostline::graph::Detector::SimOta(method)) = network.graph().detector.clone() else { unreachable!() };
    // The reference has offsets and logarithms in cells where `decoded` has pixels.
    let ours = detection::decoded(network.graph().detector.as_ref().unwrap(), &outputs).unwrap();
    let ours = ours.into_data().try_to_vec::<f32>().unwrap();
    let wanted: Vec<f32> = output.1.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!((ours.len(), wanted.len()), (3549 * 85, 3549 * 85));
    let mut cells = Vec::new();
    for &stride in &method.strides {
        let side = 416 / stride;
        cells.extend((0..side * side).map(|i| [(i % side) as f32, (i / side) as f32, stride as f32]));
    }
    let mut worst = 0.0_f32;
    for ((ours, wanted), [column, row, stride]) in ours.chunks_exact(85).zip(wanted.chunks_exact(85)).zip(cells) {
        let raw = [ours[0] / stride - column, ours[1] / stride - row, (ours[2] / stride).ln(), (ours[3] / stride).ln()];
        let ours = raw.iter().chain(&ours[4..]);
        worst = ours.zip(wanted).fold(worst, |worst, (a, b)| worst.max((a - b).abs()));
    }
    eprintln!("greatest difference from the reference: {worst:.2e}");
    assert!(worst < 1e-3, "{worst}");
}

fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |x: [f32; 4]| (x[2] - x[0]) * (x[3] - x[1]);
    let common = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    common / (area(a) + area(b) - common)
}

#[test]
fn published_weights_find_what_is_in_a_photograph() {
    let Some(weights) = shared_or_skip(WEIGHTS, "objects in a photograph") else { return };
    let Some(wanted) = shared_or_skip("data/weights/reference/yolox_nano_detections.json", "the same") else { return };
    let name = "data/detection_yolo/coco128_mini/images/val2017/000000000139.jpg";
    let Some(picture) = shared_or_skip(name, "the same") else { return };
    let network = published(&weights);
    let rule = find("yolox_nano").unwrap().preprocess;
    let picture = image::load(&ImageSource::File(picture)).unwrap();
    let (input, placement) = transform::preprocess(&picture, &rule);
    let mut pixels = vec![0.0; 3 * 416 * 416];
    transform::normalize(&input, &rule, &mut pixels);
    // The reference's input was made from the same picture.
    let reference = shared_or_skip("data/weights/reference/yolox_nano_reference.safetensors", "the same").unwrap();
    let (_, bytes) = tensor(&std::fs::read(reference).unwrap(), "input_0");
    let differences: Vec<f32> =
        pixels.iter().zip(bytes).map(|(ours, theirs)| (ours - f32::from(theirs)).abs()).collect();
    let mean = differences.iter().sum::<f32>() / differences.len() as f32;
    let greatest = differences.iter().copied().fold(0.0, f32::max);
    eprintln!("input: mean difference from the reference's {mean:.4}, greatest {greatest}");
    // Decoders of JPEG differ by a level here and there.
    assert!(mean < 0.05 && greatest <= 4.0, "{mean} {greatest}");
    let outputs = run(&network, pixels);
    let found =
        &detection::candidates(network.graph().detector.as_ref().unwrap(), &outputs, &Ctx::default()).unwrap()[0];
    // Megvii's threshold of 0.45 for boxes of one class.
    let mut kept: Vec<([f32; 4], f32, u32)> = Vec::new();
    for ((&[left, top, right, bottom], &score), &class) in found.boxes.iter().zip(&found.scores).zip(&found.classes) {
        let (a, b) = (placement.image_from_input(left, top), placement.image_from_input(right, bottom));
        let xyxy = [a.0, a.1, b.0, b.1];
        if score > 0.3 && kept.iter().all(|(other, _, c)| *c != class || iou(*other, xyxy) <= 0.45) {
            kept.push((xyxy, score, class));
        }
    }
    let wanted: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(wanted).unwrap()).unwrap();
    let wanted = wanted[0]["detections"].as_array().unwrap();
    assert_eq!(kept.len(), wanted.len(), "{kept:?}");
    for object in wanted {
        let xyxy = std::array::from_fn(|i| object["xyxy"][i].as_f64().unwrap() as f32);
        let (class, score) = (object["cls"].as_u64().unwrap(), object["score"].as_f64().unwrap());
        let of_class = kept.iter().filter(|(.., c)| u64::from(*c) == class).map(|(b, s, _)| (iou(*b, xyxy), *s));
        let (overlap, ours) = of_class.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        eprintln!("class {class}: IoU {overlap:.3}, score {ours:.3} and {score}");
        assert!(overlap >= 0.9 && (f64::from(ours) - score).abs() < 0.02, "{object}: {overlap} {ours}");
    }
}

#[test]
fn published_weights_are_recognized() {
    let Some(weights) = shared_or_skip(WEIGHTS, "recognition") else { return };
    let found = recognize(&Checkpoint::open(&weights).unwrap()).unwrap();
    assert_eq!((found.variant.name, found.classes), ("yolox_nano", Some(80)));
}
