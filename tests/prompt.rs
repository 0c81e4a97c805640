//! Asking a promptable network: preprocessing and postprocessing as published, answers, the grid, the command line.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::prompted::{fixture, numbers};
use common::{floats, usizes};
use frostline::data::Rgb8;
use frostline::data::transform::{clear_padding, normalize, preprocess};
use frostline::graph::Preprocess;
use frostline::models::{Mode, Network, find};
use frostline::nn::ask::{Marks, Point as Mark, Prompt as Question};
use frostline::nn::{Ctx, resize};
use frostline::train::recognize;
use frostline::train::segmentation::prompt::{Grid, Point, Prompt, Prompter};
use frostline::weights::{Checkpoint, PlainTensor, SaveDtype, save_safetensors};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const SIDE: u32 = 64;

fn rule() -> Preprocess {
    find("mobile_sam").unwrap().preprocess.with_size(SIDE)
}

fn network() -> Network {
    Network::new(Arc::new(find("mobile_sam").unwrap().graph(1, SIDE as usize).unwrap()), 7, &Device::flex()).unwrap()
}

/// A picture with a bright square on dark ground.
fn picture(width: u32, height: u32) -> Rgb8 {
    let mut image = Rgb8::filled(width, height, 30);
    for y in height / 4..height / 2 {
        for x in width / 4..width / 2 {
            let at = ((y * width + x) * 3) as usize;
            image.pixels[at..at + 3].copy_from_slice(&[220, 180, 90]);
        }
    }
    image
}

fn click(x: f32, y: f32) -> Prompt {
    Prompt { points: vec![Point { xy: [x, y], positive: true }], ..Prompt::default() }
}

#[test]
fn the_longer_side_is_resized_as_published_and_padding_is_zero() {
    let rule = find("sam_vit_b").unwrap().preprocess;
    let cases = fixture("ops_preprocess.json");
    let cases = cases["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["name"] == "sam_resize_longest_side_1024").unwrap();
    let mut checked = 0;
    for row in case["hw"].as_array().unwrap() {
        let [height, width, h, w] = usizes(row)[..] else { unreachable!() };
        let image = Rgb8::filled(width as u32, height as u32, 200);
        let (input, placement) = preprocess(&image, &rule);
        let mut out = vec![9.0; 3 * 1024 * 1024];
        normalize(&input, &rule, &mut out);
        clear_padding(&rule, &placement, [image.width, image.height], &mut out);
        // (200 - 123.675) / 58.395 of red; a side of no pixels, which the reference makes of 1×3000, cannot be asked about.
        let h = h.max(1);
        let red = (200.0 - 123.675_f32) / 58.395;
        for (y, row) in out.chunks(1024).take(1024).enumerate() {
            let (seen, rest) = row.split_at(if y < h { w } else { 0 });
            assert!(seen.iter().all(|&x| x == red) && rest.iter().all(|&x| x == 0.0), "{height}×{width}: row {y}");
        }
        assert!(out[1024 * 1024..].iter().all(|x| *x != 9.0));
        checked += 1;
    }
    assert_eq!(checked, 6);
}

#[test]
fn masks_are_brought_to_the_picture_as_published() {
    let fixture = fixture("mask_postprocess.json");
    let low = (0..512).map(|i| (f64::from(i) * 0.7).sin() as f32).collect::<Vec<_>>();
    let low = Tensor::<4>::from_data(TensorData::new(low, [1, 2, 16, 16]), &Device::flex());
    for (key, seen, size) in [("a", [43, 64], [27, 40]), ("b", [64, 31], [100, 48])] {
        let ours = numbers(resize::bilinear_part(low.clone(), [64, 64], seen, size));
        assert_eq!(ours.len(), 2 * size[0] * size[1]);
        for (ours, want) in ours.iter().step_by(7).zip(floats(&fixture[key])) {
            assert!((f64::from(*ours) - want).abs() < 1e-5, "{key}: {ours} and not {want}");
        }
    }
}

#[test]
fn a_click_is_answered_from_the_embedding_as_the_whole_network_answers() {
    let network = network();
    let prompter = Prompter::new(&network, rule()).unwrap();
    let image = picture(80, 40);
    let embedding = prompter.embed(&image).unwrap();
    let answered = prompter.answer(&embedding, &click(30.0, 15.0)).unwrap();
    assert_eq!((answered.size_px, answered.candidates.len()), ([80, 40], 3));
    // The same through the whole network; 80 px become 64.
    let (input, placement) = preprocess(&image, &rule());
    let mut pixels = vec![0.0; 3 * 64 * 64];
    normalize(&input, &rule(), &mut pixels);
    clear_padding(&rule(), &placement, [80, 40], &mut pixels);
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [1, 3, 64, 64]), &Device::flex());
    let marks = Marks { points: vec![Mark { xy: [24.0, 12.0], positive: true }], xyxy: None };
    let prompt = Some(Arc::new(Question { marks: vec![marks], masks: None }));
    let outputs = network.inference().forward(images, Mode::Infer, &mut Ctx { prompt, ..Ctx::default() }).unwrap();
    let low = numbers(outputs[0].map().unwrap());
    let iou = numbers(outputs[1].vector().unwrap());
    for (i, candidate) in answered.candidates.iter().enumerate() {
        assert_eq!(candidate.low.size, [16, 16]);
        assert_eq!(*candidate.low.logits, low[(i + 1) * 256..(i + 2) * 256], "the first mask is not offered");
        assert!((candidate.iou - iou[i + 1]).abs() < 1e-6);
        assert_eq!(candidate.pixels.len(), 80 * 40);
        assert_eq!(candidate.area, candidate.pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>());
    }
    let best = answered.candidates.iter().map(|candidate| candidate.iou).fold(f32::MIN, f32::max);
    assert!((answered.candidates[answered.best].iou - best).abs() < 1e-9);
    // A second click corrects the first answer: it says something else than without it.
    let mut second = click(30.0, 15.0);
    second.points.push(Point { xy: [70.0, 30.0], positive: false });
    let alone = prompter.answer(&embedding, &second).unwrap();
    second.previous = Some(answered.candidates[0].low.clone());
    let corrected = prompter.answer(&embedding, &second).unwrap();
    assert_ne!(alone.candidates[0].low, corrected.candidates[0].low);
    let outside = prompter.answer(&embedding, &click(90.0, 1.0)).unwrap_err().to_string();
    assert!(outside.contains("90,1 lies outside of the picture of 80×40 pixels"), "{outside}");
}

#[test]
fn networks_without_prompts_are_refused() {
    let network = Network::new(Arc::new(find("resnet18").unwrap().graph(2, 32).unwrap()), 1, &Device::flex()).unwrap();
    assert_eq!(Prompter::new(&network, rule()).unwrap_err(), "resnet18 takes no prompts.");
}

#[test]
fn everything_is_found_once() {
    let prompter = Prompter::new(&network(), rule()).unwrap();
    let embedding = prompter.embed(&picture(64, 48)).unwrap();
    // A network that was never trained: all its masks are taken, and boxes of one place are one.
    let all = Grid { side: 3, batch: 4, iou: f32::MIN, stability: 0.0, overlap: 0.7 };
    let mut told = Vec::new();
    let mut progress = |asked: usize, of: usize| {
        told.push((asked, of));
        true
    };
    let everything = prompter.everything(&embedding, &all, &mut progress).unwrap().unwrap();
    assert_eq!(told, [(0, 9), (4, 9), (8, 9), (9, 9)]);
    assert!(!everything.found.is_empty() && everything.found.len() < 27, "{}", everything.found.len());
    assert!(everything.found.windows(2).all(|pair| pair[0].iou >= pair[1].iou));
    for (i, one) in everything.found.iter().enumerate() {
        assert_eq!(one.runs.iter().map(|&run| u64::from(run)).sum::<u64>(), 64 * 48);
        assert_eq!(one.runs.iter().skip(1).step_by(2).map(|&run| u64::from(run)).sum::<u64>(), one.area);
        for other in &everything.found[..i] {
            let [a, b] = [one, other].map(|one| one.xyxy.map(|side| side as f32));
            assert!(frostline::nn::nms::iou(&a, &b) <= 0.7, "{a:?} and {b:?}");
        }
    }
    let strict = Grid { iou: f32::MAX, ..all };
    assert!(prompter.everything(&embedding, &strict, &mut |_, _| true).unwrap().unwrap().found.is_empty());
    assert!(prompter.everything(&embedding, &all, &mut |_, _| false).unwrap().is_none());
}

/// Writes the network's tensors with or without what this program says of them.
fn write(network: &Network, path: &Path, described: bool) {
    let plain = |tensor: frostline::models::HostTensor| -> PlainTensor {
        (tensor.spec.name.clone(), tensor.spec.shape.clone(), tensor.values)
    };
    let tensors: Vec<PlainTensor> = network.tensors().unwrap().into_iter().map(plain).collect();
    let own = [
        ("frostline.model", "mobile_sam".to_owned()),
        ("frostline.classes", "[]".to_owned()),
        ("frostline.preprocess", serde_json::to_string(&rule()).unwrap()),
    ];
    let metadata = own.into_iter().filter(|_| described).map(|(key, value)| (key.to_owned(), value));
    save_safetensors(path, &tensors, SaveDtype::F32, &metadata.collect::<BTreeMap<_, _>>()).unwrap();
}

#[test]
fn a_public_checkpoint_is_recognized_by_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mobile_sam.safetensors");
    write(&network(), &path, false);
    let found = recognize(&Checkpoint::open(&path).unwrap()).unwrap();
    assert_eq!(found.variant.name, "mobile_sam");
}

#[test]
fn the_command_line_answers_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    write(&network(), Path::new(&path("model.safetensors")), true);
    let image = picture(80, 40);
    image::save_buffer(path("square.png"), &image.pixels, 80, 40, image::ExtendedColorType::Rgb8).unwrap();
    let predict = |prompt: &str| {
        let arguments = ["predict", &path("model.safetensors"), &path("square.png"), "--prompt", prompt, "--json"];
        let rest = ["--out", &path("out"), "--device", "cpu"];
        Command::new(env!("CARGO_BIN_EXE_frostline")).args(arguments).args(rest).output().unwrap()
    };
    let line = |prompt: &str| -> Json {
        let output = predict(prompt);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let answer = line("point:30,15 box:20,10,40,20");
    assert_eq!((&answer["type"], &answer["size"]), (&"prediction".into(), &serde_json::json!([80, 40])));
    assert_eq!(answer["masks"].as_array().unwrap().len(), 3);
    let best = answer["best"].as_u64().unwrap() as usize;
    let written = image::open(answer["mask"].as_str().unwrap()).unwrap().into_luma8();
    assert_eq!(written.dimensions(), (80, 40));
    let white = written.pixels().filter(|pixel| pixel.0[0] == 255).count() as u64;
    assert_eq!(answer["masks"][best]["area"], white);
    assert_eq!(answer["masks"][best]["segmentation"]["size"], serde_json::json!([40, 80]));
    assert!(Path::new(answer["masks"][0]["file"].as_str().unwrap()).is_file());
    assert!(answer["ms"]["encode"].as_f64().unwrap() > 0.0);
    let everything = line("everything:2");
    assert!(everything["masks"].is_array() && everything["best"].is_null());
    assert_eq!(image::open(everything["mask"].as_str().unwrap()).unwrap().into_luma16().dimensions(), (80, 40));
    for (prompt, told) in [("point:200,3", "lies outside of the picture of 80×40 pixels"), ("dog", "neither point:X,Y")]
    {
        let output = predict(prompt);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(told), "{text}");
    }
}
