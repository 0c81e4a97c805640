//! The loop on tiny networks: two heads at once, frozen proof, exact resume, live freezing, early stop.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do, and say what they skip"
)]

mod common;

use burn::tensor::Device;
use common::tiny::{Notes, dataset, plan, rule, setup, two_heads};
use frostline::data::{Augment, Split};
use frostline::graph::{BnPolicy, FreezePlan, Preset};
use frostline::train::{
    Control, Decay, EarlyStop, Ending, FreezePhase, OptimizerChoice, Plan, RunFolder, Setup, Trainer,
};
use std::sync::Arc;

#[test]
fn two_heads_learn_at_once_from_one_backbone() {
    let dataset = dataset(32);
    let out = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(setup(plan(12), &dataset), &out.path().join("run")).unwrap();
    let mut notes = Notes::default();
    let summary = trainer.run(&mut notes).unwrap();
    assert_eq!(summary.ending, Ending::Completed);
    let (first, last) = (&notes.epochs[0], notes.epochs.last().unwrap());
    assert_eq!((first.epoch, last.epoch), (0, 12));
    for name in ["total", "shape", "mask"] {
        assert!(last.val[name] < 0.5 * first.val[name], "{name}: {} -> {}", first.val[name], last.val[name]);
    }
    assert!(last.metrics["top1"] > 0.9 && last.metrics["mask/miou"] > 0.6, "{:?}", last.metrics);
    let step = &notes.steps[0].losses;
    assert!((step["total"] - step["shape"] - step["mask"]).abs() < 1e-5);
    assert_eq!(notes.samples, 8 * 13);
    assert!(summary.checkpoint.unwrap().exists());
    // What it says of each picture, after each epoch, agrees with what the pass summed up on the device.
    assert_eq!(notes.evaluated.len(), 13);
    for (epoch, evaluation) in notes.epochs.iter().zip(&notes.evaluated) {
        let [shape, mask] = evaluation.heads.as_slice() else { panic!("two heads") };
        assert_eq!((evaluation.epoch, shape.pictures.len(), mask.pictures.len()), (Some(epoch.epoch), 12, 0));
        assert_eq!(shape.confusion(), epoch.confusion);
        let loss: f64 = shape.pictures.iter().map(|picture| f64::from(picture.loss)).sum::<f64>() / 12.0;
        assert!((loss - epoch.val["shape"]).abs() < 1e-5, "{loss} against {}", epoch.val["shape"]);
        assert!(shape.pictures.iter().all(|picture| dataset.samples[picture.index as usize].split == Split::Val));
    }
}

#[test]
fn frozen_tensors_and_statistics_do_not_move_and_the_rest_does() {
    let dataset = dataset(16);
    for (policy, moves) in [(None, false), (Some(BnPolicy::Train), true)] {
        let out = tempfile::tempdir().unwrap();
        let mut plan = plan(2);
        plan.freeze = FreezePlan::preset(&two_heads(), &Preset::HeadOnly).unwrap();
        if let Some(policy) = policy {
            plan.freeze.bn.insert("body.0".to_owned(), policy);
        }
        let setup = setup(plan, &dataset);
        let before = setup.network.tensors().unwrap();
        let mut trainer = Trainer::new(setup, &out.path().join("run")).unwrap();
        let mut notes = Notes::default();
        trainer.run(&mut notes).unwrap();
        let after = trainer.network().tensors().unwrap();
        for (a, b) in before.iter().zip(&after) {
            let head = a.spec.name.starts_with("shape") || a.spec.name.starts_with("mask");
            let statistic = moves && a.spec.name.starts_with("body.0") && a.spec.role.is_buffer();
            assert_eq!(a.values != b.values, head || statistic, "{}", a.spec.name);
        }
        // 5 + 15 + 10 tensors of stem, body.0, body.1; three norms of body.0 with two statistics each
        let wanted = if moves { 30 - 6 } else { 30 };
        assert!(
            notes.epochs.iter().all(|epoch| epoch.frozen_verified && epoch.frozen_tensors == wanted),
            "{:?}",
            notes.epochs[0].frozen_tensors
        );
    }
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    let dataset = dataset(20);
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan(4);
    plan.augment = Augment { flip: 0.5, ..Augment::none() };
    let mut whole = Trainer::new(setup(plan.clone(), &dataset), &out.path().join("whole")).unwrap();
    let mut expected = Notes::default();
    whole.run(&mut expected).unwrap();
    // Cancelled in the middle of the third epoch, with a freeze on the way, then resumed.
    let run = out.path().join("cut");
    let mut first = Trainer::new(setup(plan.clone(), &dataset), &run).unwrap();
    let mut notes = Notes { script: [(8, Control::Cancel)].into(), ..Notes::default() };
    assert_eq!(first.run(&mut notes).unwrap().ending, Ending::Cancelled);
    drop(first);
    let (folder, file) = RunFolder::open(&run).unwrap();
    let mut second = Trainer::resume(setup(file.plan, &dataset), folder).unwrap();
    let mut rest = Notes::default();
    assert_eq!(second.run(&mut rest).unwrap().ending, Ending::Completed);
    let losses = |notes: &Notes| notes.steps.iter().map(|step| step.losses["total"]).collect::<Vec<_>>();
    assert_eq!([losses(&notes), losses(&rest)].concat(), losses(&expected));
    for (a, b) in whole.network().tensors().unwrap().iter().zip(&second.network().tensors().unwrap()) {
        assert_eq!(a.values, b.values, "{}", a.spec.name);
    }
    let val = |notes: &Notes| notes.epochs.last().map(|epoch| (epoch.train.clone(), epoch.val.clone())).unwrap();
    assert_eq!(val(&rest), val(&expected));
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let endings: Vec<&str> = metrics.lines().filter(|line| line.starts_with("{\"ending\"")).collect();
    assert_eq!(endings, ["{\"ending\":\"cancelled\"}", "{\"ending\":\"completed\"}"]);
}

#[test]
fn a_run_killed_between_checkpoints_is_made_up_bit_for_bit() {
    let dataset = dataset(20);
    let out = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| out.path().join(name));
    let mut trainer = Trainer::new(setup(plan(4), &dataset), &whole).unwrap();
    let mut expected = Notes { killed: Some((8, [whole, killed.clone()])), ..Notes::default() };
    trainer.run(&mut expected).unwrap();
    assert!(expected.killed.is_none() && expected.steps.len() > 8);
    let (folder, file) = RunFolder::open(&killed).unwrap();
    // Epochs of milliseconds share a checkpoint: the first one of the run, unless this machine was very slow.
    let kept = folder.position().unwrap().step;
    println!("killed after step 8, checkpoint after step {kept}, {} epochs on record", folder.epochs().len());
    assert!(kept <= 6 && folder.epochs().len() == 3);
    let mut second = Trainer::resume(setup(file.plan, &dataset), folder).unwrap();
    let mut rest = Notes::default();
    second.run(&mut rest).unwrap();
    let losses = |notes: &Notes| notes.steps.iter().map(|step| step.losses["total"]).collect::<Vec<_>>();
    assert_eq!(losses(&rest), losses(&expected)[kept as usize..]);
    for (a, b) in trainer.network().tensors().unwrap().iter().zip(&second.network().tensors().unwrap()) {
        assert_eq!(a.values, b.values, "{}", a.spec.name);
    }
    let (folder, _) = RunFolder::open(&killed).unwrap();
    assert_eq!(folder.epochs().iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [0, 1, 2, 3, 4], "each once");
}

#[test]
fn the_last_weights_are_those_of_the_last_whole_epoch_wherever_a_run_ends() {
    let dataset = dataset(20);
    let out = tempfile::tempdir().unwrap();
    // Three steps make an epoch: after two of them, and in the middle of the third.
    let [at, within] = [(2, 6), (4, 8)].map(|(epochs, step)| {
        let run = out.path().join(step.to_string());
        let plan = Plan { decay: Decay::Constant, ..plan(epochs) };
        let mut trainer = Trainer::new(setup(plan, &dataset), &run).unwrap();
        let mut notes = Notes { script: [(8, Control::Cancel)].into(), ..Notes::default() };
        trainer.run(&mut notes).unwrap();
        assert_eq!((notes.epochs.len(), notes.steps.len() as u64), (3, step));
        let (folder, _) = RunFolder::open(&run).unwrap();
        assert_eq!(folder.position().unwrap().step, step, "the position is exact");
        ["last.safetensors", "resume.safetensors"].map(|file| std::fs::read(run.join(file)).unwrap())
    });
    assert!(at[0] == within[0] && at[1] != within[1]);
}

#[test]
fn thawing_while_it_trains_takes_effect_at_the_next_step_with_a_fresh_optimizer() {
    let dataset = dataset(16);
    let out = tempfile::tempdir().unwrap();
    let mut own = plan(3);
    own.freeze = FreezePlan::preset(&two_heads(), &Preset::HeadOnly).unwrap();
    let mut thawed = own.freeze.clone();
    thawed.set("body.1", false);
    let everything: FreezePlan =
        FreezePlan { frozen: two_heads().nodes.iter().map(|n| n.path.clone()).collect(), ..FreezePlan::default() };
    let script = [
        (2, Control::SetFreeze(thawed)),
        (4, Control::SetFreeze(everything)),
        (5, Control::Pause),
        (5, Control::SetLr(0.001)),
        (5, Control::Resume),
    ];
    let mut trainer = Trainer::new(setup(own, &dataset), &out.path().join("run")).unwrap();
    let before = trainer.network().tensors().unwrap();
    let mut notes = Notes { script: script.into(), ..Notes::default() };
    trainer.run(&mut notes).unwrap();
    assert_eq!(notes.frozen[0], (2, "body.1 thawed, starts with a fresh optimizer state".to_owned()));
    assert!(notes.frozen[1].1.contains("nothing would train"), "{:?}", notes.frozen);
    assert_eq!(notes.trainable[1] - notes.trainable[0], 2 * (16 * 16 * 9 + 32));
    assert_eq!(notes.paused, [true, false]);
    let after = trainer.network().tensors().unwrap();
    let moved = |name: &str| {
        let at = before.iter().position(|t| t.spec.name == name).unwrap();
        before[at].values != after[at].values
    };
    assert!(moved("body.1.conv1.weight") && !moved("body.0.conv1.weight") && !moved("stem.0.weight"));
    let scheduled = frostline::train::learning_rate(&Plan { lr: 0.001, ..plan(3) }, 5, 3, 9);
    assert!((notes.steps[5].lr - scheduled).abs() < 1e-12, "{} and not {scheduled}", notes.steps[5].lr);
}

#[test]
fn it_stops_early_when_the_metric_does_not_rise_and_can_be_finished_by_hand() {
    let dataset = dataset(16);
    let out = tempfile::tempdir().unwrap();
    let mut plan = plan(30);
    plan.early_stop = Some(EarlyStop { patience: 2, min_gain: 10.0 });
    let mut trainer = Trainer::new(setup(plan.clone(), &dataset), &out.path().join("early")).unwrap();
    let mut notes = Notes::default();
    assert_eq!(trainer.run(&mut notes).unwrap().ending, Ending::EarlyStop);
    assert_eq!(notes.epochs.last().unwrap().epoch, 2);
    plan.early_stop = None;
    let mut trainer = Trainer::new(setup(plan, &dataset), &out.path().join("finish")).unwrap();
    let mut notes = Notes { script: [(4, Control::Finish)].into(), ..Notes::default() };
    let summary = trainer.run(&mut notes).unwrap();
    assert_eq!(summary.ending, Ending::Finished);
    assert_eq!(notes.steps.len(), 4);
    assert!(summary.best.is_some() && summary.checkpoint.is_some());
}

#[test]
fn what_cannot_train_is_refused_with_a_reason() {
    let dataset = dataset(16);
    let fail =
        |plan: Plan| Setup::with_graph(plan, Arc::clone(&dataset), two_heads(), rule(), &Device::flex()).unwrap_err();
    let mut all = plan(1);
    all.freeze.frozen = two_heads().nodes.iter().map(|node| node.path.clone()).collect();
    assert!(fail(all).contains("Nothing would train"));
    assert!(fail(Plan { lr: -1.0, ..plan(1) }).contains("learning rate"));
    let metric = fail(Plan { best_by: "nonsense".to_owned(), ..plan(1) });
    assert!(metric.ends_with("there are loss, top1, mask/miou, mask/dice, mask/pixel_accuracy."), "{metric}");
    let mut stray = plan(1);
    stray.freeze.set("layer9", true);
    assert!(fail(stray).contains("layer9"));
    let out = tempfile::tempdir().unwrap();
    let run = out.path().join("run");
    Trainer::new(setup(plan(1), &dataset), &run).unwrap();
    let again = Trainer::new(setup(plan(1), &dataset), &run).unwrap_err();
    assert!(again.contains("holds a run already"), "{again}");
}

/// Heads only, then `body.1` too, then everything but the stem.
fn phased(epochs: u32) -> Plan {
    let heads = FreezePlan::preset(&two_heads(), &Preset::HeadOnly).unwrap();
    let mut second = heads.clone();
    second.set("body.1", false);
    let mut third = second.clone();
    third.set("body.0", false);
    let second = FreezePhase { lr_factor: 0.5, ..FreezePhase::new(2, second) };
    let rates = std::collections::BTreeMap::from([("body".to_owned(), 0.25)]);
    let third = FreezePhase { stage_lr: Some(rates), ..FreezePhase::new(4, third) };
    Plan { freeze: heads, timeline: vec![second, third], decay: Decay::Constant, warmup_epochs: 0.0, ..plan(epochs) }
}

#[test]
fn phases_begin_at_their_epochs_with_fresh_optimizer_state_and_proof() {
    let dataset = dataset(16); // 10 pictures to train on, 3 steps an epoch
    let out = tempfile::tempdir().unwrap();
    let plan = Plan { optimizer: OptimizerChoice::ADAMW, lr: 0.01, ..phased(4) };
    let mut trainer = Trainer::new(setup(plan, &dataset), &out.path().join("run")).unwrap();
    let mut notes = Notes::default();
    trainer.run(&mut notes).unwrap();
    let wanted = [
        (3, "body.1 thawed, starts with a fresh optimizer state (phase 2, from epoch 2, learning rate × 0.5)"),
        (9, "body.0 thawed, starts with a fresh optimizer state (phase 3, from epoch 4)"),
    ];
    assert_eq!(notes.frozen, wanted.map(|(step, note)| (step, note.to_owned())));
    assert_eq!(
        notes.steps.iter().map(|step| step.lr).collect::<Vec<_>>(),
        [[0.01; 3], [0.005; 3], [0.005; 3], [0.01; 3]].concat()
    );
    // 30 tensors in the backbone: 5 of the stem, 15 of body.0, 10 of body.1.
    let frozen: Vec<_> = notes.epochs.iter().map(|epoch| (epoch.frozen_tensors, epoch.frozen_verified)).collect();
    assert_eq!(frozen, [(30, true), (30, true), (20, true), (20, true), (5, true)]);
    assert_eq!(notes.epochs[4].frozen, ["stem"]);
    let (folder, _) = RunFolder::open(&out.path().join("run")).unwrap();
    let (_, optimizer, position) = folder.read_resume().unwrap();
    assert_eq!(
        ["shape.weight", "body.1.conv1.weight", "body.0.conv1.weight"].map(|name| optimizer[name].step),
        [12, 9, 3]
    );
    assert_eq!(position.entered, 4);
    let log = std::fs::read_to_string(out.path().join("run/metrics.jsonl")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("fresh optimizer state (phase")).count(), 2);
}

#[test]
fn a_run_resumed_across_a_border_equals_an_uninterrupted_one_bit_for_bit() {
    let dataset = dataset(16);
    let out = tempfile::tempdir().unwrap();
    let mut whole = Trainer::new(setup(phased(5), &dataset), &out.path().join("whole")).unwrap();
    let mut expected = Notes::default();
    whole.run(&mut expected).unwrap();
    // One epoch; two more, so that the first border lies between; cancelled in the middle of epoch 4, after the second.
    let run = out.path().join("cut");
    let mut losses = Vec::new();
    let mut trainer = Trainer::new(setup(phased(1), &dataset), &run).unwrap();
    for (epochs, cancel) in [(1, None), (3, None), (5, Some(2)), (5, None)] {
        if epochs > 1 {
            let (folder, file) = RunFolder::open(&run).unwrap();
            trainer = Trainer::resume(setup(Plan { epochs, ..file.plan }, &dataset), folder).unwrap();
        }
        let script = cancel.map(|step| (step, Control::Cancel)).into_iter().collect();
        let mut notes = Notes { script, ..Notes::default() };
        trainer.run(&mut notes).unwrap();
        losses.extend(notes.steps.iter().map(|step| step.losses["total"]));
    }
    assert_eq!(losses, expected.steps.iter().map(|step| step.losses["total"]).collect::<Vec<_>>());
    for (a, b) in whole.network().tensors().unwrap().iter().zip(&trainer.network().tensors().unwrap()) {
        assert_eq!(a.values, b.values, "{}", a.spec.name);
    }
}

#[test]
fn a_click_holds_until_the_next_phase_and_the_future_can_be_replanned() {
    let dataset = dataset(16);
    let out = tempfile::tempdir().unwrap();
    let plan = phased(4);
    let mut everything = FreezePlan::default();
    everything.frozen.extend(two_heads().nodes.iter().map(|node| node.path.clone()));
    let idle = vec![FreezePhase::new(3, everything)];
    let later = vec![FreezePhase::new(2, FreezePlan::default()), FreezePhase::new(3, FreezePlan::default())];
    let script = [
        (1, Control::SetFreeze(FreezePlan::default())),
        (4, Control::SetTimeline(idle)),
        (5, Control::SetTimeline(later)),
    ];
    let mut trainer = Trainer::new(setup(plan.clone(), &dataset), &out.path().join("run")).unwrap();
    let mut notes = Notes { script: script.into(), ..Notes::default() };
    trainer.run(&mut notes).unwrap();
    let note = |at: usize| notes.frozen[at].1.as_str();
    assert!(note(0).ends_with("(by hand; the plan's next phase replaces it from epoch 2 on)"), "{}", note(0));
    assert_eq!(note(1), "stem, body.0 frozen (phase 2, from epoch 2, learning rate × 0.5)");
    assert!(note(2).contains("stay as they were: Nothing would train in phase 3 (from epoch 3)"), "{}", note(2));
    assert_eq!(note(3), "phases planned from epoch 3 on");
    assert_eq!(notes.frozen[4].0, 6);
    assert!(note(4).ends_with("fresh optimizer state (phase 3, from epoch 3)"), "{}", note(4));
    assert!(notes.epochs[3].frozen.is_empty() && !notes.epochs[2].frozen.is_empty());
    // The new plan is the run's: a resumed run follows it.
    let (folder, file) = RunFolder::open(&out.path().join("run")).unwrap();
    assert_eq!(file.plan.timeline, plan.timeline);
    let trainer = Trainer::resume(setup(file.plan, &dataset), folder).unwrap();
    let phases: Vec<u32> = trainer.run_file().plan.timeline.iter().map(|phase| phase.from_epoch).collect();
    assert_eq!(phases, [2, 3]);
}

#[test]
fn a_phase_that_would_train_nothing_is_refused_by_its_number() {
    let dataset = dataset(16);
    let refused = |timeline: Vec<FreezePhase>| {
        let plan = Plan { timeline, ..plan(3) };
        Setup::with_graph(plan, Arc::clone(&dataset), two_heads(), rule(), &Device::flex()).unwrap_err()
    };
    let mut all = FreezePlan::default();
    all.frozen.extend(two_heads().nodes.iter().map(|node| node.path.clone()));
    let idle = refused(vec![FreezePhase::new(2, FreezePlan::default()), FreezePhase::new(3, all)]);
    assert!(idle.contains("in phase 3 (from epoch 3)"), "{idle}");
    let mut stray = FreezePlan::default();
    stray.set("layer9", true);
    assert!(refused(vec![FreezePhase::new(2, stray)]).contains("layer9"));
    let order = refused(vec![FreezePhase::new(3, FreezePlan::default()), FreezePhase::new(3, FreezePlan::default())]);
    assert!(order.contains("not in epoch 3"), "{order}");
}
