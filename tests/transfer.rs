//! The README's claim in small: on the built-in sample, the built-in backbone, frozen, beats training from scratch.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use burn::tensor::Device;
use common::tiny::Notes;
use frostline::data::open_builtin;
use frostline::graph::FreezePlan;
use frostline::train::{Plan, Setup, Trainer, WeightsSource, sample_plan};
use std::sync::Arc;

/// Best validation accuracy and seconds of a run on the sample.
fn run(plan: Plan) -> (f64, f64) {
    let dataset = Arc::new(open_builtin().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let start = std::time::Instant::now();
    let setup = Setup::new(plan, dataset, &Device::flex()).unwrap();
    let mut notes = Notes::default();
    let summary = Trainer::new(setup, &folder.path().join("run")).unwrap().run(&mut notes).unwrap();
    for epoch in &notes.epochs {
        println!("epoch {} top1 {:.3} {:.1} s", epoch.epoch, epoch.metrics["top1"], epoch.seconds);
    }
    (summary.best.unwrap().value, start.elapsed().as_secs_f64())
}

#[test]
fn the_frozen_builtin_backbone_beats_training_from_scratch() {
    let transfer = Plan { epochs: 3, ..sample_plan() };
    let scratch = Plan { weights: WeightsSource::Random, freeze: FreezePlan::default(), ..transfer.clone() };
    let (with, with_seconds) = run(transfer);
    let (without, without_seconds) = run(scratch);
    println!("transfer {with:.3} in {with_seconds:.0} s, scratch {without:.3} in {without_seconds:.0} s");
    assert!(with > without + 0.1, "transfer {with}, scratch {without}");
}
