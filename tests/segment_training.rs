//! Masks in the loop, on pictures that the test draws: mean IoU rises; a frozen way down is proved frozen; a resumed run goes on
//! bit for bit; results reach the evaluation, predictions and files.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::Device;
use common::tiny::Notes;
use frostline::data::{
    Augment, Dataset, ImageSource, ImageSource::Memory, LabelColumn, MaskPixels, MaskTarget, Sample, Split, Target,
    Task,
};
use frostline::graph::FreezePlan;
use frostline::models::find;
use frostline::rng::Rng;
use frostline::train::segmentation::{Parts, over_set};
use frostline::train::{
    Answer, ClassWeights, Control, DeviceChoice, Ending, Evaluation, OptimizerChoice, Plan, RunFolder, Setup, Trainer,
    Which, evaluate, open_model, predict_in_parts,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A 32×32 picture with bright discs (class 1) on dark ground, its border row ignored, as encoded bytes with its mask.
fn drawn(rng: &mut Rng) -> (Vec<u8>, MaskPixels) {
    let mut picture = image::RgbImage::from_pixel(32, 32, image::Rgb([50, 60, 70]));
    let mut ids = vec![0_u8; 32 * 32];
    for _ in 0..2 {
        let (radius, x, y) = (4 + rng.below(4) as i32, rng.below(32) as i32, rng.below(32) as i32);
        for (at, id) in ids.iter_mut().enumerate() {
            let (dx, dy) = ((at % 32) as i32 - x, (at / 32) as i32 - y);
            if dx * dx + dy * dy <= radius * radius {
                *id = 1;
                picture.put_pixel((at % 32) as u32, (at / 32) as u32, image::Rgb([200, 170, 90]));
            }
        }
    }
    ids[..32].fill(255);
    let mut bytes = Vec::new();
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    (bytes, MaskPixels { width: 32, height: 32, ids })
}

fn discs(count: usize) -> Arc<Dataset> {
    let mut rng = Rng::new(9);
    let sample = |at: usize| {
        let (bytes, mask) = drawn(&mut rng);
        Sample {
            image: Memory { name: format!("{at}.png"), bytes: bytes.into() },
            split: if at % 4 == 3 { Split::Val } else { Split::Train },
            size_px: [32, 32],
            target: Target { mask: Some(MaskTarget::Pixels(Arc::new(mask))), ..Target::default() },
        }
    };
    let samples: Vec<Sample> = (0..count).map(sample).collect();
    Arc::new(Dataset {
        root: PathBuf::from("/discs"),
        name: "discs".to_owned(),
        task: Task::Segment,
        format: "test".to_owned(),
        columns: vec![LabelColumn::single(vec!["ground".to_owned(), "disc".to_owned()])],
        category_ids: Vec::new(),
        found: samples.len(),
        samples,
        issues: Vec::new(),
        suggested_split: false,
        unnamed: Vec::new(),
    })
}

fn plan(epochs: u32) -> Plan {
    Plan {
        model: "unet_mini".to_owned(),
        size_px: 32,
        epochs,
        batch: 4,
        lr: 0.003,
        warmup_epochs: 0.0,
        optimizer: OptimizerChoice::ADAMW,
        augment: Augment::none(),
        device: DeviceChoice::Cpu,
        ..Plan::default()
    }
}

fn trainer(plan: Plan, dataset: &Arc<Dataset>, out: &Path) -> Trainer {
    Trainer::new(Setup::new(plan, Arc::clone(dataset), &Device::flex()).unwrap(), out).unwrap()
}

#[test]
fn the_mean_iou_rises_and_the_results_are_kept() {
    let dataset = discs(32);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut notes = Notes::default();
    trainer(plan(6), &dataset, &out).run(&mut notes).unwrap();
    let miou: Vec<f64> = notes.epochs.iter().map(|epoch| epoch.metrics["miou"]).collect();
    let best = notes.best.clone().unwrap();
    assert!(best.metric == "miou" && best.value > 0.85 && best.value > miou[0] + 0.2, "{miou:?}");
    let last = notes.epochs.last().unwrap();
    assert!(last.metrics["dice"] > 0.9 && last.metrics["pixel_accuracy"] > 0.9, "{:?}", last.metrics);
    // One term for the head, and what it is the sum of.
    let losses = &last.train;
    assert!((losses["mask"] - losses["total"]).abs() < 1e-9);
    assert!((losses["mask/ce"] + losses["mask/dice"] - losses["mask"]).abs() < 1e-5, "{losses:?}");
    assert!((last.val["mask/ce"] + last.val["mask/dice"] - last.val["mask"]).abs() < 1e-5, "{:?}", last.val);

    // What was kept on disk says the same as what was told.
    let kept = Evaluation::read(&out).unwrap().unwrap();
    let head = &kept.heads[0];
    assert_eq!((head.name.as_str(), head.masks.len(), head.classes[1].as_str()), ("mask", 8, "disc"));
    let classes = over_set(&head.masks, 2);
    let mean = (classes[0].iou().unwrap() + classes[1].iou().unwrap()) / 2.0;
    assert!((mean - best.value).abs() < 1e-12);
    assert!(head.masks.iter().all(|picture| picture.classes.iter().map(|of| of.there).sum::<u64>() == 31 * 32));
    // Measured again from the checkpoint: the same number of the same pixels.
    let again = evaluate(&out, Arc::clone(&dataset), Which::Auto, &Device::flex(), &mut |_, _| true).unwrap().unwrap();
    assert!((again.metrics["miou"] - best.value).abs() < 1e-12, "{:?}", again.metrics);

    // And the kept weights find the discs in a picture of another size, as a whole or in parts.
    let (network, run) = open_model(&RunFolder::open(&out).unwrap().0.best(), &Device::flex()).unwrap();
    assert_eq!(run.picture_px, Some([32, 32]));
    let (bytes, mask) = drawn(&mut Rng::new(77));
    let source = ImageSource::Memory { name: "new.png".to_owned(), bytes: bytes.into() };
    for parts in [Parts::Auto, Parts::Whole, Parts::Of(32), Parts::Of(20)] {
        let found = predict_in_parts(&network.inference(), &source, &run, parts, &mut |_, _| true).unwrap().unwrap();
        let Answer::Mask(said) = &found.heads[0].answer else { panic!("a mask") };
        assert_eq!((said.size_px, said.classes.len(), said.has_scores(1)), ([32, 32], 2, true));
        let right = said.ids().iter().zip(&mask.ids).filter(|(said, truth)| **truth == 255 || said == truth).count();
        assert!(right > 32 * 32 * 85 / 100, "{parts:?}: {right}");
    }
}

#[test]
fn a_frozen_way_down_stays_as_it_is_and_runs_without_gradients() {
    let dataset = discs(12);
    let dir = tempfile::tempdir().unwrap();
    let graph = find("unet_mini").unwrap().graph(2, 32).unwrap();
    let freeze = FreezePlan::parse(&graph, "backbone").unwrap();
    let mut trainer =
        trainer(Plan { freeze, class_weights: ClassWeights::Balanced, ..plan(2) }, &dataset, &dir.path().join("run"));
    let frozen = |trainer: &Trainer| -> Vec<Vec<f32>> {
        let plan = trainer.network().plan().clone();
        let graph = Arc::clone(trainer.network().graph());
        let all = trainer.network().tensors_where(|id, _| plan.is_frozen(&graph.node(id).path)).unwrap();
        all.into_iter().map(|tensor| tensor.values).collect()
    };
    let before = frozen(&trainer);
    let mut notes = Notes::default();
    trainer.run(&mut notes).unwrap();
    assert!(!before.is_empty() && frozen(&trainer) == before);
    assert!(notes.epochs.iter().all(|epoch| epoch.frozen_verified && epoch.frozen_tensors == before.len()));
    assert!(notes.epochs[2].train["total"] < notes.epochs[1].train["total"], "{:?}", notes.epochs);
}

#[test]
fn a_resumed_run_goes_on_bit_for_bit() {
    let dataset = discs(12);
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan { mask_loss: "border+0.5*lovasz".parse().unwrap(), augment: Augment::default(), ..plan(2) };
    let mut whole = Notes::default();
    let mut straight = trainer(plan.clone(), &dataset, &dir.path().join("whole"));
    straight.run(&mut whole).unwrap();
    // Stopped after the fourth of six steps, in the second epoch, and taken up again.
    let out = dir.path().join("broken");
    let mut first = Notes { script: [(4, Control::Cancel)].into(), ..Notes::default() };
    assert_eq!(trainer(plan, &dataset, &out).run(&mut first).unwrap().ending, Ending::Cancelled);
    let (folder, file) = RunFolder::open(&out).unwrap();
    assert_eq!(file.plan.mask_loss.to_string(), "border+0.5*lovasz");
    let setup = Setup::again(file, Arc::clone(&dataset), &Device::flex()).unwrap();
    let mut second = Notes::default();
    let mut resumed = Trainer::resume(setup, folder).unwrap();
    resumed.run(&mut second).unwrap();
    let values = |trainer: &Trainer| -> Vec<Vec<f32>> {
        trainer.network().tensors().unwrap().into_iter().map(|tensor| tensor.values).collect()
    };
    assert_eq!(values(&straight), values(&resumed));
    assert_eq!(whole.epochs.last().unwrap().metrics, second.epochs.last().unwrap().metrics);
}

#[test]
fn what_does_not_fit_is_said() {
    let dataset = discs(8);
    let refused = |plan: Plan, set: &Arc<Dataset>| Setup::new(plan, Arc::clone(set), &Device::flex()).unwrap_err();
    let mut bare = dataset.as_ref().clone();
    bare.samples.iter_mut().for_each(|sample| sample.target = Target::of_class(Some(1)));
    let said = refused(plan(1), &Arc::new(bare));
    let wanted = "unet_mini tells a class for each pixel, and no picture in discs has a mask; they have labels: choose a \
                  model for classification.";
    assert_eq!(said, wanted);
    let mut half = dataset.as_ref().clone();
    half.samples[2].target.mask = None;
    let said = refused(plan(1), &Arc::new(half));
    assert!(said.contains("1 of 8"), "{said}");
    let said = refused(Plan { model: "mobilenet_v3_small".to_owned(), ..plan(1) }, &dataset);
    let wanted = "mobilenet_v3_small tells classes of pictures, and no picture in discs has a label; they have masks: choose \
                  a model for segmentation.";
    assert_eq!(said, wanted);
}
