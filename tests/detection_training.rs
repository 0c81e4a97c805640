//! Detectors in the loop, on pictures that the test draws: they learn from squares; odd batches train; frozen
//! parts are proved frozen; results reach the evaluation, the file of it, and predictions.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::Device;
use common::tiny::Notes;
use frostline::data::{
    Augment, BoxTarget, Dataset, ImageSource, ImageSource::Memory, LabelColumn, Sample, Split, Target, Task,
};
use frostline::graph::{FreezePlan, Preset};
use frostline::models::find;
use frostline::rng::Rng;
use frostline::train::detection::{Diagnosis, diagnose};
use frostline::train::{
    Answer, DeviceChoice, Evaluation, OptimizerChoice, Plan, RunFolder, Setup, Trainer, open_model, predict,
};
use std::path::PathBuf;
use std::sync::Arc;

/// A 64×64 picture with these squares: class 0 is red, class 1 is blue.
fn picture(boxes: &[BoxTarget]) -> Vec<u8> {
    let mut picture = image::RgbImage::from_pixel(64, 64, image::Rgb([60, 70, 60]));
    for one in boxes {
        let [left, top, right, bottom] = one.xyxy.map(|edge| edge as u32);
        let color = if one.class == 0 { [230, 40, 40] } else { [40, 60, 240] };
        for (x, y) in (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y))) {
            picture.put_pixel(x.min(63), y.min(63), image::Rgb(color));
        }
    }
    let mut bytes = Vec::new();
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

fn sample(at: usize, split: Split, boxes: Option<Vec<BoxTarget>>) -> Sample {
    let bytes = picture(boxes.as_deref().unwrap_or_default()).into();
    let target = Target { boxes, ..Target::default() };
    Sample { image: Memory { name: format!("{at}.png"), bytes }, split, size_px: [64, 64], target }
}

fn set(samples: Vec<Sample>, classes: &[&str]) -> Arc<Dataset> {
    Arc::new(Dataset {
        root: PathBuf::from("/squares"),
        name: "squares".to_owned(),
        task: Task::Detect,
        format: "test".to_owned(),
        columns: vec![LabelColumn::single(classes.iter().map(|&class| class.to_owned()).collect())],
        category_ids: Vec::new(),
        found: samples.len(),
        samples,
        issues: Vec::new(),
        suggested_split: false,
        unnamed: Vec::new(),
    })
}

/// One square in each picture, of 20 to 30 pixels.
fn squares(count: usize) -> Vec<Sample> {
    let mut rng = Rng::new(7);
    let mut one = |at: usize| {
        let side = 20 + rng.below(11);
        let (left, top) = (rng.below(64 - side), rng.below(64 - side));
        let xyxy = [left, top, left + side, top + side].map(|edge| edge as f32);
        let boxes = vec![BoxTarget::new((at % 2) as u32, xyxy)];
        sample(at, if at % 4 == 3 { Split::Val } else { Split::Train }, Some(boxes))
    };
    (0..count).map(&mut one).collect()
}

fn plan(model: &str, epochs: u32) -> Plan {
    Plan {
        model: model.to_owned(),
        size_px: 64,
        epochs,
        batch: 4,
        lr: 0.01,
        optimizer: OptimizerChoice::ADAMW,
        augment: Augment::none(),
        device: DeviceChoice::Cpu,
        ..Plan::default()
    }
}

fn train(plan: Plan, dataset: &Arc<Dataset>, out: &std::path::Path) -> (Trainer, Notes) {
    let setup = Setup::new(plan, Arc::clone(dataset), &Device::flex()).unwrap();
    let mut trainer = Trainer::new(setup, out).unwrap();
    let mut notes = Notes::default();
    trainer.run(&mut notes).unwrap();
    (trainer, notes)
}

#[test]
fn the_loss_falls_and_the_results_are_kept() {
    let dataset = set(squares(48), &["red", "blue"]);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut plan = plan("yolox_nano", 8);
    plan.lr = 0.002;
    let (_, notes) = train(plan, &dataset, &out);
    let (first, last) = (&notes.epochs[1], notes.epochs.last().unwrap());
    assert!(last.train["total"] < 0.8 * first.train["total"], "{:?} {:?}", first.train, last.train);
    let parts = ["class", "box", "objectness"];
    assert!((parts.iter().map(|part| last.val[*part]).sum::<f64>() - last.val["total"]).abs() < 1e-4);
    let best = notes.best.clone().unwrap();
    assert_eq!(best.metric, "ap");
    assert_eq!(notes.samples, 8 * 9);

    // What was kept on disk says the same as what was told.
    let told = notes.evaluated.iter().find(|told| told.epoch == Some(best.epoch)).unwrap();
    let kept = Evaluation::read(&out).unwrap().unwrap();
    assert_eq!(kept.heads[0].boxes.len(), 12);
    let (a, b) = (told.coco().unwrap(), kept.coco().unwrap());
    assert!((a.ap.unwrap() - b.ap.unwrap()).abs() < 1e-9 && (a.ap.unwrap() - best.value).abs() < 1e-9);

    // And the kept weights find them in a file.
    let (network, run) = open_model(&RunFolder::open(&out).unwrap().0.best(), &Device::flex()).unwrap();
    let one = dataset.samples.iter().find(|sample| sample.split == Split::Val).unwrap();
    let ImageSource::Memory { bytes, .. } = &one.image else { panic!("in memory") };
    let file = dir.path().join("one.png");
    std::fs::write(&file, bytes).unwrap();
    let prediction = predict(&network, &ImageSource::File(file), &run.preprocess, &run.columns()).unwrap();
    let Answer::Boxes(boxes) = &prediction.heads[0].answer else { panic!("boxes") };
    assert_eq!((prediction.heads.len(), prediction.size_px), (1, [64, 64]));
    assert_eq!(*boxes.classes, ["red", "blue"]);
}

#[test]
fn a_frozen_backbone_is_proved_and_every_method_trains() {
    let dataset = set(squares(8), &["red", "blue"]);
    for model in ["yolox_nano", "yolov8n", "fasterrcnn_resnet18_fpn"] {
        let dir = tempfile::tempdir().unwrap();
        let graph = find(model).unwrap().graph(2, 64).unwrap();
        let mut plan = plan(model, 1);
        plan.lr = 1e-4;
        plan.augment.sizes = vec![64, 96];
        plan.freeze = FreezePlan::preset(&graph, &Preset::HeadOnly).unwrap();
        let (_, notes) = train(plan, &dataset, &dir.path().join("run"));
        for epoch in &notes.epochs {
            assert!(epoch.frozen_verified && epoch.frozen_tensors > 50, "{model}: {}", epoch.frozen_tensors);
            assert!(epoch.val.values().all(|loss| loss.is_finite()), "{model}: {:?}", epoch.val);
            assert!(epoch.metrics.contains_key("ap") && epoch.metrics.contains_key("ar100"), "{model}");
        }
        let heads: Vec<&str> = graph.heads.iter().map(|head| head.name.as_str()).collect();
        assert!(heads.iter().all(|head| notes.steps[0].losses.contains_key(*head)), "{model}: {heads:?}");
    }
}

#[test]
fn odd_pictures_train() {
    let object = |x: f32| BoxTarget::new(0, [x, 8.0, x + 24.0, 40.0]);
    let many: Vec<BoxTarget> = (0..1000)
        .map(|i| {
            let (x, y) = ((i % 40) as f32, (i / 40) as f32);
            BoxTarget { crowd: i % 50 == 0, ..BoxTarget::new(0, [x, y, x + 4.0 + (i % 7) as f32, y + 5.0]) }
        })
        .collect();
    // A batch without any box, one with some, one of one picture with a thousand; one is not annotated and left out.
    let boxes = [Some(vec![]), Some(vec![]), Some(vec![]), Some(vec![object(4.0)]), Some(many), None];
    let mut samples: Vec<Sample> =
        boxes.into_iter().enumerate().map(|(at, boxes)| sample(at, Split::Train, boxes)).collect();
    samples.push(sample(6, Split::Val, Some(vec![object(20.0)])));
    samples.push(sample(7, Split::Val, Some(vec![])));
    samples.push(sample(8, Split::Val, None));
    let dataset = set(samples, &["thing"]);
    for model in ["yolox_nano", "yolov8n"] {
        let dir = tempfile::tempdir().unwrap();
        let mut plan = plan(model, 1);
        (plan.batch, plan.lr) = (2, 1e-4);
        let (_, notes) = train(plan, &dataset, &dir.path().join("run"));
        assert_eq!(notes.steps.len(), 3, "{model}: five pictures are known, two in a step");
        assert!(notes.steps.iter().all(|step| step.losses.values().all(|loss| loss.is_finite())), "{model}");
        let evaluated = notes.evaluated.last().unwrap();
        assert_eq!(evaluated.images, 2, "{model}");
    }
}

#[test]
fn a_set_without_boxes_is_refused_with_the_reason() {
    let dataset = set(vec![sample(0, Split::Train, Some(vec![])), sample(1, Split::Val, None)], &["thing"]);
    let problem = Setup::new(plan("yolox_nano", 1), dataset, &Device::flex()).unwrap_err();
    assert!(problem.contains("no picture to train on has an object"), "{problem}");
}

#[test]
fn zero_is_explained() {
    let dataset = set(squares(8), &["red", "blue"]);
    let none = [frostline::train::detection::BoxResult { index: 3, found: Vec::new() }];
    assert_eq!(diagnose(&none, &dataset), Some(Diagnosis::NothingFound));
}
