//! What exported detectors give in another engine (tract), in all three forms, against the network and, with the published
//! weights, against the publisher's own file.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::{shared_or_skip, sized, uniform};
use frostline::graph::Graph;
use frostline::models::{Mode, Network, find};
use frostline::nn::{Ctx, Value};
use frostline::train::{detection, load_into};
use frostline::weights::{BoxForm, BoxOutput, Checkpoint, Draft, MOST_OF_A_CLASS, OnnxOutput, run_onnx, write_onnx};
use std::path::Path;
use std::sync::Arc;

const CLASSES: usize = 3;

fn filled(graph: Graph) -> Network {
    common::filled(graph, &serde_json::json!({ "gain": 1.0 })).inference()
}

fn write(network: &Network, boxes: &BoxOutput, to: &Path) -> Result<(), String> {
    let draft = Draft::new(to).unwrap();
    let tensors = network.tensors().unwrap();
    write_onnx(&draft, network.graph(), network.facts(), &tensors, boxes, &[]).map_err(|error| error.to_string())?;
    draft.publish().map_err(|error| error.to_string())
}

/// Two pictures through the network and through its file.
fn both(network: &Network, boxes: &BoxOutput, folder: &Path) -> (Vec<Value>, Vec<OnnxOutput>) {
    let [_, height, width] = network.graph().inputs[0].shape.dims()[..] else { panic!("no map") };
    let shape = [2, 3, height, width];
    let pixels = uniform("pictures", shape.iter().product(), -2.0, 2.0);
    let file = folder.join(format!("{}-{}.onnx", network.graph().name, boxes.form.name()));
    write(network, boxes, &file).unwrap();
    let images = Tensor::<4>::from_data(TensorData::new(pixels.clone(), shape), network.device());
    (network.forward(images, Mode::Infer, &mut Ctx::default()).unwrap(), run_onnx(&file, shape, &pixels).unwrap())
}

fn numbers(x: Tensor<3>) -> (Vec<usize>, Vec<f32>) {
    let dims = x.dims().to_vec();
    (dims, x.inner().into_data().try_to_vec().unwrap())
}

/// Small networks of both methods at a size whose sides differ.
fn networks() -> Vec<Network> {
    ["yolox_nano", "yolov8n"]
        .map(|name| filled(sized(&find(name).unwrap().graph(CLASSES, 64).unwrap(), 64, 96)))
        .into_iter()
        .collect()
}

#[test]
fn raw_numbers_and_boxes_of_cells_are_the_networks_own() {
    let folder = tempfile::tempdir().unwrap();
    for network in networks() {
        let detector = network.graph().detector.clone().unwrap();
        for form in [BoxForm::Raw, BoxForm::Decoded] {
            let (ours, theirs) = both(&network, &BoxOutput { form, ..BoxOutput::default() }, folder.path());
            let ours = if form == BoxForm::Raw {
                detection::raw(&detector, &ours).unwrap()
            } else {
                detection::decoded(&detector, &ours).unwrap()
            };
            let (dims, ours) = numbers(ours);
            let [theirs] = theirs.as_slice() else { panic!("one output") };
            assert_eq!((theirs.name.as_str(), &theirs.shape), ("output", &dims));
            assert_eq!(dims[..2], [2, 8 * 12 + 4 * 6 + 2 * 3]);
            for (a, b) in ours.iter().zip(&theirs.values) {
                assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{} {form:?}: {a} {b}", network.graph().name);
            }
        }
    }
}

#[test]
fn objects_are_those_that_this_programs_suppression_leaves() {
    let folder = tempfile::tempdir().unwrap();
    for network in networks() {
        let detector = network.graph().detector.clone().unwrap();
        let name = network.graph().name.clone();
        // Scores of such a network lie close together: the threshold is put where a share of them is above.
        let (ours, _) = both(&network, &BoxOutput::default(), folder.path());
        let all = detection::candidates(&detector, &ours, &Ctx::default()).unwrap();
        let confidence = all[0].scores[all[0].len() / 3] + 1e-6;
        let asked = BoxOutput { form: BoxForm::Objects, confidence: Some(confidence), overlap: Some(0.5) };
        let (_, theirs) = both(&network, &asked, folder.path());
        let column = |name: &str| theirs.iter().find(|output| output.name == name).unwrap();
        let (boxes, scores) = (column("boxes"), column("scores"));
        let (classes, pictures) = (column("classes"), column("pictures"));
        assert_eq!(boxes.shape, [scores.values.len(), 4]);
        let mut found = 0;
        for (picture, candidates) in all.iter().enumerate() {
            let kept = detection::filter(candidates, confidence, 0.5, usize::MAX);
            let mut rows: Vec<usize> = (0..scores.values.len()).collect();
            rows.retain(|&row| pictures.values[row] as usize == picture);
            rows.sort_by(|&a, &b| scores.values[b].total_cmp(&scores.values[a]));
            assert_eq!(rows.len(), kept.len(), "{name}, picture {picture}");
            assert!(kept.len() < candidates.len() && kept.len() <= MOST_OF_A_CLASS);
            for (row, at) in rows.into_iter().zip(kept) {
                assert!((scores.values[row] - candidates.scores[at]).abs() < 1e-5);
                assert_eq!(classes.values[row] as u32, candidates.classes[at]);
                for (a, b) in boxes.values[4 * row..4 * row + 4].iter().zip(candidates.boxes[at]) {
                    assert!((a - b).abs() <= 1e-4 * b.abs().max(10.0), "{name}: {a} {b}");
                }
                found += 1;
            }
        }
        println!("{name}: {found} objects");
        assert!(found > 4, "{name}: {found} objects say little");
    }
}

#[test]
fn a_detector_that_proposes_regions_says_what_to_do_instead() {
    let network = filled(find("fasterrcnn_resnet18_fpn").unwrap().graph(CLASSES, 64).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let error = write(&network, &BoxOutput::default(), &folder.path().join("regions.onnx")).unwrap_err();
    assert!(error.contains("regions.onnx") && error.contains("write .safetensors"), "{error}");
}

#[test]
fn published_weights_give_what_the_publishers_own_file_gives() {
    let Some(weights) = shared_or_skip("data/weights/yolox_nano_coco.safetensors", "the publisher's ONNX file") else {
        return;
    };
    let Some(theirs) = shared_or_skip("data/weights/yolox_nano.onnx", "the same") else { return };
    let graph = Arc::new(find("yolox_nano").unwrap().published().unwrap());
    let mut network = Network::new(graph, 0, &Device::flex()).unwrap();
    load_into(&mut network, &Checkpoint::open(&weights).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.onnx");
    write(&network.inference(), &BoxOutput { form: BoxForm::Raw, ..BoxOutput::default() }, &ours).unwrap();
    let shape = [1, 3, 416, 416];
    let pixels = uniform("photograph", shape.iter().product(), 0.0, 255.0);
    let (ours, theirs) = (run_onnx(&ours, shape, &pixels).unwrap(), run_onnx(&theirs, shape, &pixels).unwrap());
    assert_eq!(ours[0].shape, theirs[0].shape);
    let worst = ours[0].values.iter().zip(&theirs[0].values).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    println!("greatest difference from the publisher's file: {worst:.1e}");
    assert!(worst < 1e-3, "{worst}");
}
