//! The learning-rate sweep on a tiny network, which leaves no trace; sweep and freeze timeline from the command line.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use common::tiny::{Notes, dataset, plan, setup, two_heads};
use frostline::data::Augment;
use frostline::graph::{FreezePlan, Preset};
use frostline::train::{FreezePhase, LrSweep, OptimizerChoice, Plan, RunFolder, SweepEnd, Trainer, find_lr};
use serde_json::Value as Json;
use std::process::Command;

fn heads_first() -> Plan {
    let freeze = FreezePlan::preset(&two_heads(), &Preset::HeadOnly).unwrap();
    let augment = Augment { flip: 0.5, ..Augment::none() };
    let timeline = vec![FreezePhase::new(2, FreezePlan::default())];
    Plan { freeze, augment, timeline, optimizer: OptimizerChoice::ADAMW, lr: 0.01, ..plan(2) }
}

#[test]
fn the_network_is_the_same_to_the_bit_and_a_run_afterwards_too() {
    let dataset = dataset(16); // 3 steps an epoch: the sweep goes over several epochs
    let sweep = LrSweep { steps: 30, ..LrSweep::default() };
    let mut swept = setup(heads_first(), &dataset);
    let before = swept.network.tensors().unwrap();
    let mut seen = Vec::new();
    let mut moved = false;
    let found = find_lr(&mut swept, &sweep, &mut |point| {
        seen.push(*point);
        true
    })
    .unwrap();
    assert_eq!(seen, found.points);
    for (step, point) in found.points.iter().enumerate() {
        assert!(
            (point.lr / (1e-7 * 1e8_f64.powf(step as f64 / 30.0)) - 1.0).abs() < 1e-12,
            "step {step}: {}",
            point.lr
        );
        moved |= (point.loss - found.points[0].loss).abs() > 0.3;
    }
    assert!(moved && found.points.len() > 20, "it trained on the way: {:?}", found.points);
    for (a, b) in before.iter().zip(&swept.network.tensors().unwrap()) {
        assert!(a.values.iter().zip(&b.values).all(|(x, y)| x.to_bits() == y.to_bits()), "{}", a.spec.name);
    }
    assert_eq!(swept.network.plan(), &heads_first().freeze);
    // A run that follows a sweep is the run without one.
    let out = tempfile::tempdir().unwrap();
    let mut weights = Vec::new();
    for (name, setup) in [("swept", swept), ("plain", setup(heads_first(), &dataset))] {
        let mut trainer = Trainer::new(setup, &out.path().join(name)).unwrap();
        trainer.run(&mut Notes::default()).unwrap();
        weights.push(trainer.network().tensors().unwrap().into_iter().map(|t| t.values).collect::<Vec<_>>());
    }
    assert_eq!(weights[0], weights[1]);
}

#[test]
fn it_can_be_stopped_at_each_step_and_ends_when_the_loss_explodes() {
    let dataset = dataset(16);
    let mut setup = setup(heads_first(), &dataset);
    let before = setup.network.tensors().unwrap();
    let mut left = 4;
    let stopped = find_lr(&mut setup, &LrSweep::default(), &mut |_| {
        left -= 1;
        left > 0
    })
    .unwrap();
    assert_eq!((stopped.points.len(), stopped.end), (4, SweepEnd::Cancelled));
    assert_eq!(stopped.suggestions.valley, None);
    setup.plan.optimizer = OptimizerChoice::SGD;
    let steep = LrSweep { from: 1e-3, to: 1e6, steps: 40 };
    let exploded = find_lr(&mut setup, &steep, &mut |_| true).unwrap();
    assert_eq!(exploded.end, SweepEnd::Exploded);
    assert!(exploded.points.iter().all(|point| point.smoothed.is_finite()));
    let after = setup.network.tensors().unwrap();
    assert!(before.iter().zip(&after).all(|(a, b)| a.values == b.values));
    assert!(find_lr(&mut setup, &LrSweep { from: 1.0, to: 0.1, steps: 10 }, &mut |_| true).is_err());
}

/// The program on the built-in sample at 32 px: exit code, JSON lines, standard error.
fn frostline(command: &str, more: &[&str]) -> (i32, Vec<Json>, String) {
    let plan =
        ["--data", "sample", "--model", "resnet_mini", "--size", "32", "--batch", "64", "--device", "cpu", "--json"];
    let output = Command::new(env!("CARGO_BIN_EXE_frostline")).arg(command).args(plan).args(more).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), lines, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn lr_prints_each_point_and_the_suggestions() {
    let (code, lines, errors) = frostline("lr", &["--weights", "builtin", "--freeze", "head-only", "--steps", "24"]);
    assert_eq!(code, 0, "{errors}");
    let (last, points) = lines.split_last().unwrap();
    assert_eq!((&last["type"], last["steps"].as_u64()), (&Json::from("lr"), Some(points.len() as u64)));
    for (step, point) in points.iter().enumerate() {
        assert_eq!(point["type"], "lr_point");
        let (lr, wanted) = (point["lr"].as_f64().unwrap(), 1e-7 * 1e8_f64.powf(step as f64 / 24.0));
        assert!((lr / wanted - 1.0).abs() < 1e-9 && point["loss"].as_f64().is_some(), "{point}");
    }
    let suggested = ["valley", "minimum", "steepest"].map(|name| last[name].as_f64().unwrap());
    assert!(suggested.iter().all(|lr| (1e-8..10.0).contains(lr)), "{suggested:?}");
    let (code, lines, errors) = frostline("lr", &["--from", "1", "--to", "0.1"]);
    assert_eq!((code, lines.len()), (2, 0));
    assert!(errors.contains("must rise from a positive number"), "{errors}");
}

#[test]
fn train_follows_a_schedule_and_phases() {
    let out = tempfile::tempdir().unwrap();
    let run = out.path().join("run");
    let run = run.to_str().unwrap();
    let out = ["--out", run];
    for (more, what) in [
        (&["--freeze-at", "1=none"][..], "epoch 1 belongs to --freeze"),
        (&["--freeze-at", "2=layer9"], "--freeze-at 2: resnet_mini has no node or stage named layer9"),
        (&["--freeze-at", "9=none", "--epochs", "3"], "the run has only 3 epochs"),
        (&["--freeze-at", "2=none", "--freeze-at", "2=backbone", "--epochs", "3"], "not in epoch 2"),
        (&["--freeze-at", "2=backbone,head", "--epochs", "2"], "Nothing would train in phase 2 (from epoch 2)"),
        (&["--schedule", "gradual", "--epochs", "1"], "needs at least 2 epochs"),
        (&["--schedule", "gradual", "--freeze", "backbone"], "cannot be used with"),
    ] {
        let (code, lines, errors) = frostline("train", &[&out[..], more].concat());
        assert_eq!((code, lines.len()), (2, 0), "{more:?}: {errors}");
        assert!(errors.contains(what), "{more:?}: {errors}");
    }
    let (code, lines, errors) =
        frostline("train", &[&out[..], &["--schedule", "two-phases", "--epochs", "2"]].concat());
    assert_eq!(code, 0, "{errors}");
    assert!(
        errors.contains("thawed, starts with a fresh optimizer state (phase 2, from epoch 2, learning rate × 0.5)")
    );
    let verified =
        lines.iter().filter(|line| line["type"] == "epoch").map(|line| line["frozen_tensors"].as_u64().unwrap());
    let verified: Vec<u64> = verified.collect();
    assert!(verified[0] > 0 && verified[1] == verified[0] && verified[2] == 0, "{verified:?}");
    let (_, file) = RunFolder::open(run.as_ref()).unwrap();
    assert_eq!((file.plan.timeline.len(), file.plan.timeline[0].from_epoch), (1, 2));
    assert!((file.plan.stage_lr["stem"] - 0.01).abs() < 1e-12, "{:?}", file.plan.stage_lr);
}
