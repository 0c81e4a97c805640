//! Several batches make one step: PyTorch's numbers, one large batch against several small ones, every task, exact resume,
//! what is asked for between the batches of a step.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::Device;
use common::tiny::{self, Notes, dataset};
use common::{filled, floats, integers, rule_values, uniform, usizes};
use frostline::data::batch::Batch;
use frostline::data::{Augment, Dataset, PixelCache, Placement, RawBatch, Split, Target, Task};
use frostline::graph::blocks::{Classifier, GlobalAvgPool, MaxPool, PlainConv};
use frostline::graph::{Builder, Conv, FreezePlan, Graph, HeadKind, Part, Preset, Segments};
use frostline::models::{Network, find};
use frostline::train::features::Given;
use frostline::train::losses::LossOptions;
use frostline::train::{
    CacheChoice, CacheMode, Control, Ending, LrSweep, Optimizer, OptimizerChoice, PendingStep, Plan, Rates, RunFolder,
    Setup, Trainer, find_lr,
};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pictures and classes that tests/reference/accumulate.py gives its batch with this number.
fn batch(fixture: &Json, at: usize) -> Batch {
    let number = |name: &str| fixture[name].as_u64().unwrap() as usize;
    let (count, side) = (number("pictures"), number("side"));
    let edge = f64::sqrt(3.0);
    let classes = integers(&format!("classes{at}"), count, number("classes") as u64);
    let raw = RawBatch {
        indices: (0..count).collect(),
        size_px: [side as u32; 2],
        pixels: uniform(&format!("batch{at}"), count * 3 * side * side, -edge, edge),
        targets: classes.iter().map(|&class| Target::of_class(Some(class as u32))).collect(),
        masks: vec![None; count],
        objects: vec![None; count],
        placements: vec![Placement::IDENTITY; count],
        images_px: vec![[side as u32; 2]; count],
        hits: vec![None; count],
        views: vec![None; count],
        ..RawBatch::default()
    };
    Batch::upload(raw, &Device::flex()).unwrap()
}

fn by_name(network: &Network) -> BTreeMap<String, Vec<f32>> {
    network.tensors().unwrap().into_iter().map(|tensor| (tensor.spec.name, tensor.values)).collect()
}

#[test]
fn two_batches_a_step_move_the_weights_as_in_torch() {
    let text = std::fs::read_to_string("tests/fixtures/accumulate.json").unwrap();
    let fixture: Json = serde_json::from_str(&text).unwrap();
    let number = |name: &str| fixture[name].as_f64().unwrap();
    let (classes, side) = (number("classes") as usize, number("side") as usize);
    let every = number("accumulate") as usize;
    let cases = fixture["cases"].as_array().unwrap();
    // Computing activations again gives the same numbers, and batch norm's statistics move once.
    for (case, recompute) in cases.iter().flat_map(|case| [(case, false), (case, true)]) {
        let graph = find("resnet_mini").unwrap().graph(classes, side).unwrap();
        let mut network = filled(graph, &fixture);
        network.set_plan(&FreezePlan::default());
        let optimizer = OptimizerChoice::Sgd { momentum: number("momentum"), weight_decay: number("weight_decay") };
        let plan = Plan { accumulate: every, optimizer, clip_norm: case["clip"].as_f64(), ..Plan::default() };
        let plan = Plan { recompute, ..plan };
        let segments = Segments::of(network.graph(), network.facts(), &network.frontier());
        assert!(segments.boundaries.len() > 1);
        let options = LossOptions::of(&plan, network.graph(), &dataset(4), &Device::flex()).unwrap();
        let mut optimizer = Optimizer::new(plan.optimizer);
        let (losses, norms) = (floats(&case["losses"]), floats(&case["norms"]));
        let near = |what: &str, ours: f64, theirs: f64| {
            assert!((ours / theirs - 1.0).abs() < 2e-4, "{what}: {ours} and not {theirs}");
        };
        let batches: Vec<usize> = (0..losses.len()).collect();
        // 0 and 1, 2 and 3, 4 alone.
        for (step, group) in batches.chunks(every).enumerate() {
            let mut pending = PendingStep::default();
            assert!(pending.is_empty());
            let mut sum = 0.0;
            for &at in group {
                let batch = batch(&fixture, at);
                let seen = (&batch, &Given::new());
                let told = pending.add(&mut network, seen, &options, &plan, step as u64, false).unwrap();
                near(&format!("loss {at}"), told["total"], losses[at]);
                sum += told["total"];
            }
            let stages = BTreeMap::new();
            let rates = Rates { base: number("lr"), stages: &stages };
            let result = pending.finish(&mut network, &mut optimizer, &plan, rates).unwrap();
            assert!((result.losses["total"] - sum / group.len() as f64).abs() < 1e-12);
            assert_eq!(result.grad_norm.is_some(), plan.clip_norm.is_some());
            if let Some(norm) = result.grad_norm {
                near(&format!("norm {step}"), norm, norms[step]);
            }
        }
        let after = by_name(&network);
        for (name, told) in case["tensors"].as_object().unwrap() {
            let facts = network.facts();
            let spec = facts.tensors().find(|spec| spec.name == *name).unwrap();
            let before = rule_values(name, &spec.shape, 1.0, &serde_json::Map::new());
            let change: Vec<f64> =
                after[name].iter().zip(&before).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
            let norm = change.iter().map(|x| x * x).sum::<f64>().sqrt();
            let theirs = told["norm"].as_f64().unwrap();
            assert!((norm / theirs - 1.0).abs() < 1e-3, "{name}: moved by {norm} and not {theirs}");
            let (idx, wanted) = (usizes(&told["idx"]), floats(&told["change"]));
            let error = idx.iter().zip(&wanted).map(|(&i, want)| (change[i] - want).powi(2)).sum::<f64>().sqrt();
            let scale = wanted.iter().map(|want| want * want).sum::<f64>().sqrt();
            assert!(error <= 2e-3 * scale, "{name}: {error:.1e} of {scale:.1e}");
        }
    }
}

/// Convolutions without batch norm and a head without dropout: pictures do not see each other.
fn plain() -> Graph {
    let mut b = Builder::new("plain", 16, 16);
    b.stage("features");
    let conv = |at, inputs, outputs| PlainConv { at, conv: Conv::new(inputs, outputs, 3, 1).with_bias(), norm: None };
    let x = b.named("features.0", "features", conv(0, 3, 8), &[b.image()]);
    let x = b.node("features.2", MaxPool::new(2, 2), &[x]);
    let x = b.named("features.3", "features", conv(3, 8, 16), &[x]);
    let x = b.node("avgpool", GlobalAvgPool {}, &[x]);
    b.part(Part::Head("cls".to_owned()));
    let logits = b.node("fc", Classifier::new(16, 2), &[x]);
    b.head("cls", logits, HeadKind::Classify { classes: 2 });
    b.finish().unwrap()
}

fn plain_setup(plan: Plan, dataset: &Arc<Dataset>) -> Setup {
    Setup::with_graph(plan, Arc::clone(dataset), plain(), tiny::rule(), &Device::flex()).unwrap()
}

fn run(setup: Setup, notes: &mut Notes) -> (Trainer, Ending, tempfile::TempDir) {
    let out = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(setup, &out.path().join("run")).unwrap();
    let ending = trainer.run(notes).unwrap().ending;
    (trainer, ending, out)
}

/// 12 pictures to train on of 20.
fn of_twelve() -> Arc<Dataset> {
    let set = dataset(20);
    assert_eq!(set.samples.iter().filter(|sample| sample.split == Split::Train).count(), 12);
    set
}

#[test]
fn small_batches_together_move_the_weights_as_a_large_one() {
    let dataset = of_twelve();
    for optimizer in [OptimizerChoice::SGD, OptimizerChoice::ADAMW] {
        // 8 and 4 pictures: two steps an epoch, the second of one small batch.
        let clip_norm = Some(0.05);
        let own =
            Plan { optimizer, lr: 0.02, clip_norm, augment: Augment { flip: 0.5, ..Augment::none() }, ..tiny::plan(4) };
        let (mut large, mut small) = (Notes::default(), Notes::default());
        let (at_once, ..) = run(plain_setup(Plan { batch: 8, ..own.clone() }, &dataset), &mut large);
        let (in_parts, _, out) = run(plain_setup(Plan { accumulate: 2, ..own.clone() }, &dataset), &mut small);
        assert_eq!((large.steps.len(), small.steps.len()), (8, 8));
        assert!(large.steps.iter().all(|step| step.grad_norm.unwrap() > 0.05), "every step is clipped");
        for (a, b) in large.steps.iter().zip(&small.steps) {
            assert_eq!((a.step, a.epoch, a.lr), (b.step, b.epoch, b.lr));
            let close = |x: f64, y: f64| (x - y).abs() < 2e-5 * x.abs();
            assert!(close(a.losses["total"], b.losses["total"]), "{:?} {:?}", a.losses, b.losses);
            assert!(close(a.grad_norm.unwrap(), b.grad_norm.unwrap()), "{:?} {:?}", a.grad_norm, b.grad_norm);
        }
        let start = by_name(&plain_setup(own.clone(), &dataset).network);
        let (a, b) = (by_name(at_once.network()), by_name(in_parts.network()));
        for (name, before) in &start {
            let far = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            let (moved, apart) = (far(before, &a[name]), far(&a[name], &b[name]));
            assert!(moved > 1e-4 && apart < 1e-3 * moved, "{name}: moved by {moved:.1e}, {apart:.1e} apart");
        }
        // An epoch's loss is the mean over its batches, of which the small run has three.
        let mean = |notes: &Notes, epoch: usize| notes.epochs[epoch].train["total"];
        let of_steps = (2.0 * small.steps[0].losses["total"] + small.steps[1].losses["total"]) / 3.0;
        assert!((mean(&small, 1) - of_steps).abs() < 1e-12);
        let (_, state, position) = RunFolder::open(&out.path().join("run")).unwrap().0.read_resume().unwrap();
        assert_eq!((position.step, position.batch_in_epoch, state["fc.weight"].step), (8, 0, 8));
    }
}

#[test]
fn one_batch_a_step_is_what_it_was() {
    // The number is left out of files where it is 1, so that older programs read them, and older files have none.
    let text = serde_json::to_string(&Plan::default()).unwrap();
    assert!(!text.contains("accumulate"), "{text}");
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap().accumulate, 1);
    let four = Plan { accumulate: 4, ..Plan::default() };
    assert_eq!(serde_json::from_str::<Plan>(&serde_json::to_string(&four).unwrap()).unwrap(), four);
    let none = Plan { accumulate: 0, ..Plan::default() };
    assert_eq!(none.problems(), ["A step must accumulate the gradients of at least 1 batch."]);
    // A position that an older program stored in the middle of an epoch.
    let text = r#"{"epoch":1,"step_in_epoch":2,"step":5,"loss_sums":{},"best":null,"waiting":0,"reference":null,
        "freeze":{"frozen":[],"bn":{}},"lr":null,"proof":{"digests":{}}}"#;
    let position: frostline::train::Position = serde_json::from_str(text).unwrap();
    assert_eq!((position.step, position.batch_in_epoch), (5, 2));
}

#[test]
fn the_same_batch_twice_is_the_batch_once_in_every_task() {
    let classified = dataset(8);
    let mut segmented = Dataset::clone(&classified);
    segmented.task = Task::Segment;
    segmented.columns[0].classes = vec!["ground".to_owned(), "square".to_owned()];
    let sets = [
        ("resnet_mini", Arc::clone(&classified)),
        ("unet_mini", Arc::new(segmented)),
        ("yolox_nano", tiny::boxed(&classified)),
    ];
    for (model, set) in sets {
        let own =
            Plan { model: model.to_owned(), size_px: 64, optimizer: OptimizerChoice::ADAMW, lr: 1e-3, ..tiny::plan(1) };
        let mut results = Vec::new();
        for times in [1, 2] {
            let plan = Plan { accumulate: times, ..own.clone() };
            let mut setup = Setup::new(plan, Arc::clone(&set), &Device::flex()).unwrap();
            let options = LossOptions::of(&setup.plan, setup.network.graph(), &set, &Device::flex()).unwrap();
            let raw = setup.loader(1, 0, &Arc::new(PixelCache::default())).next_batch().unwrap();
            let batch = Batch::upload(raw, &Device::flex()).unwrap();
            let before = by_name(&setup.network);
            let mut pending = PendingStep::default();
            for _ in 0..times {
                let seen = (&batch, &Given::new());
                pending.add(&mut setup.network, seen, &options, &setup.plan, 0, false).unwrap();
            }
            let rates = Rates { base: setup.plan.lr, stages: &setup.plan.stage_lr };
            let mut optimizer = Optimizer::new(setup.plan.optimizer);
            let result = pending.finish(&mut setup.network, &mut optimizer, &setup.plan, rates).unwrap();
            results.push((result.losses, before, setup.network.tensors().unwrap()));
        }
        let [(once, before, a), (twice, _, b)] = results.as_slice() else { panic!("two") };
        assert_eq!(once, twice, "{model}");
        let mut moved = 0;
        for (a, b) in a.iter().zip(b) {
            // (g + g) / 2 is g to the bit; only the statistics of batch norm have seen the batch twice.
            assert_eq!(a.values == b.values, !a.spec.role.is_buffer(), "{model}: {}", a.spec.name);
            moved += usize::from(!a.spec.role.is_buffer() && before[&a.spec.name] != a.values);
        }
        assert!(moved > 20, "{model}: {moved} tensors moved");
    }
}

/// Batches of the validation before training, which asks once for each; then come the batches of the first step.
fn val_batches(dataset: &Dataset) -> u64 {
    dataset.samples.iter().filter(|sample| sample.split == Split::Val).count().div_ceil(4) as u64
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    let dataset = dataset(40); // 25 to train on: 7 batches, of which 3 make a step: 3, 3 and 1
    let out = tempfile::tempdir().unwrap();
    let plan = Plan { accumulate: 3, augment: Augment { flip: 0.5, ..Augment::none() }, ..tiny::plan(2) };
    let mut whole = Trainer::new(tiny::setup(plan.clone(), &dataset), &out.path().join("whole")).unwrap();
    let mut expected = Notes::default();
    whole.run(&mut expected).unwrap();
    assert_eq!(expected.steps.iter().map(|step| step.epoch).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 2]);
    // Within the first step, in the middle of the run and a batch later, in the last validation.
    let (val, all) = (val_batches(&dataset), expected.polls);
    for at in [val + 2, all / 2, all / 2 + 1, all - 1] {
        let run = out.path().join(format!("cut{at}"));
        let mut first = Trainer::new(tiny::setup(plan.clone(), &dataset), &run).unwrap();
        let mut notes = Notes { asked: [(at, Control::Cancel)].into(), ..Notes::default() };
        assert_eq!(first.run(&mut notes).unwrap().ending, Ending::Cancelled);
        drop(first);
        let (folder, file) = RunFolder::open(&run).unwrap();
        assert_eq!(file.plan.accumulate, 3);
        let mut second = Trainer::resume(tiny::setup(file.plan, &dataset), folder).unwrap();
        let mut rest = Notes::default();
        assert_eq!(second.run(&mut rest).unwrap().ending, Ending::Completed);
        let losses =
            |notes: &Notes| notes.steps.iter().map(|step| (step.step, step.losses.clone())).collect::<Vec<_>>();
        assert_eq!([losses(&notes), losses(&rest)].concat(), losses(&expected), "cut at {at}");
        assert_eq!(by_name(whole.network()), by_name(second.network()), "cut at {at}");
        let last = |notes: &Notes| notes.epochs.last().map(|epoch| (epoch.train.clone(), epoch.val.clone()));
        assert_eq!(last(&rest), last(&expected));
    }
}

#[test]
fn what_is_asked_for_within_a_step_waits_for_its_end() {
    let dataset = dataset(40); // 25 to train on: 7 batches of which 4 make a step
    let mut own = Plan { accumulate: 4, ..tiny::plan(2) };
    own.freeze = FreezePlan::preset(&tiny::two_heads(), &Preset::HeadOnly).unwrap();
    let mut thawed = own.freeze.clone();
    thawed.set("body.1", false);
    let val = val_batches(&dataset);
    let asked = [(val + 3, Control::SetFreeze(thawed)), (val + 3, Control::SetLr(0.5)), (val + 3, Control::Pause)];
    let asked = asked.into_iter().chain([(val + 4, Control::Resume)]).collect();
    let mut notes = Notes { asked, ..Notes::default() };
    let (trainer, ending, _out) = run(tiny::setup(own.clone(), &dataset), &mut notes);
    assert_eq!(ending, Ending::Completed);
    assert_eq!(notes.frozen, [(1, "body.1 thawed, starts with a fresh optimizer state".to_owned())]);
    assert_eq!(notes.paused, [true, false]);
    assert_eq!(notes.steps.len(), 4);
    let scheduled = |step| frostline::train::learning_rate(&own, step, 2, 4);
    assert!((notes.steps[0].lr - scheduled(0)).abs() < 1e-12);
    assert!((notes.steps[1].lr - 10.0 * scheduled(1)).abs() < 1e-12, "0.5 for 0.05: {}", notes.steps[1].lr);
    assert!(notes.epochs.iter().all(|epoch| epoch.frozen_verified));
    assert_eq!(notes.epochs.iter().map(|epoch| epoch.frozen_tensors).collect::<Vec<_>>(), [30, 20, 20]);
    assert_eq!(trainer.run_file().plan.accumulate, 4);
    // Stopped within the second step: it is made, and kept.
    let mut notes = Notes { asked: [(val + 1 + 4 + 2, Control::Finish)].into(), ..Notes::default() };
    let (_, ending, out) = run(tiny::setup(own.clone(), &dataset), &mut notes);
    assert_eq!((ending, notes.steps.len()), (Ending::Finished, 2));
    let (_, _, position) = RunFolder::open(&out.path().join("run")).unwrap().0.read_resume().unwrap();
    assert_eq!((position.step, position.batch_in_epoch, position.epoch), (2, 7, 0));
}

#[test]
fn kept_features_give_the_same_run_to_the_bit() {
    let dataset = dataset(24);
    let run_with = |mode| {
        let mut own = Plan { accumulate: 2, cache: CacheChoice { mode, ..CacheChoice::default() }, ..tiny::plan(3) };
        own.freeze = FreezePlan::parse(&tiny::two_heads(), "until:body.0").unwrap();
        let mut notes = Notes::default();
        let (trainer, ..) = run(tiny::setup(own, &dataset), &mut notes);
        let losses: Vec<_> = notes.steps.iter().map(|step| step.losses.clone()).collect();
        (by_name(trainer.network()), losses, notes.epochs.iter().map(|epoch| epoch.cached).collect::<Vec<_>>())
    };
    let (off, on) = (run_with(CacheMode::Off), run_with(CacheMode::On));
    assert_eq!(on.2[2..], [true, true]);
    assert_eq!((off.0, off.1), (on.0, on.1));
}

#[test]
fn a_sweep_of_the_learning_rate_makes_the_steps_of_a_run() {
    let dataset = of_twelve();
    let sweep = LrSweep { from: 1e-4, to: 1.0, steps: 12 };
    let points = |batch, accumulate| {
        let mut setup = plain_setup(Plan { batch, accumulate, ..tiny::plan(1) }, &dataset);
        find_lr(&mut setup, &sweep, &mut |_| true).unwrap().points
    };
    let (large, small, other) = (points(8, 1), points(4, 2), points(4, 1));
    assert_eq!((large.len(), small.len()), (12, 12));
    for (a, b) in large.iter().zip(&small) {
        assert!(a.lr == b.lr && (a.loss - b.loss).abs() < 1e-4 * a.loss, "{a:?} {b:?}");
    }
    assert!(large.iter().zip(&other).any(|(a, b)| (a.loss - b.loss).abs() > 1e-3), "a batch alone is another step");
}
