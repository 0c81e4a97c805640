//! Teaching a promptable network: losses and gradients are PyTorch's, gradients of a step are those of its passes together, the
//! encoder stays as it is, a resumed run goes on bit for bit, objects are found better, what does not fit is said.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::grads::gradients;
use common::prompted::{fixture, numbers};
use common::tiny::{Notes, asking};
use common::{floats, usizes};
use frostline::data::batch::Batch;
use frostline::data::loader::Wants;
use frostline::data::{
    Augment, Dataset, ImageSource::Memory, LabelColumn, Loader, MaskPixels, MaskTarget, PixelCache, Sample, Split,
    Target, Task, VOID, View,
};
use frostline::graph::{FreezePlan, Preprocess, Resize};
use frostline::models::{Mode, Network, find};
use frostline::nn::ask::Prompt;
use frostline::nn::{Ctx, Value};
use frostline::rng::Rng;
use frostline::train::features::Given;
use frostline::train::losses::LossOptions;
use frostline::train::segmentation::MaskLoss;
use frostline::train::segmentation::prompt::{self, Ends, Prompter};
use frostline::train::segmentation::teach::{
    FOCAL_WEIGHT, Prompting, Truths, Worth, first_prompt, objects_of, teach, told,
};
use frostline::train::{
    Answer, CacheChoice, CacheMode, Control, Decay, DeviceChoice, Ending, Evaluation, OptimizerChoice, Plan, RunFolder,
    Setup, Trainer, Which, evaluate, open_model,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const SIDE: usize = 64;

/// A 64×48 picture with two or three shapes of several colors on dark ground, as encoded bytes, and its mask of two classes:
/// discs and squares.
fn drawn(rng: &mut Rng) -> (Vec<u8>, MaskPixels) {
    let (width, height) = (64_i32, 48_i32);
    let mut picture = image::RgbImage::from_pixel(64, 48, image::Rgb([40, 50, 60]));
    let mut ids = vec![0_u8; 64 * 48];
    for _ in 0..2 + rng.below(2) {
        let (radius, x, y) = (6 + rng.below(5) as i32, rng.below(64) as i32, rng.below(48) as i32);
        let class = 1 + rng.below(2) as u8;
        let color = [150 + rng.below(100) as u8, 120 + rng.below(120) as u8, 60 + rng.below(150) as u8];
        for (at, id) in ids.iter_mut().enumerate() {
            let (px, py) = (at as i32 % width, at as i32 / width);
            let (dx, dy) = ((px - x).abs(), (py - y).abs());
            let inside = if class == 1 { dx * dx + dy * dy <= radius * radius } else { dx.max(dy) < radius };
            if inside && py < height {
                *id = class;
                picture.put_pixel(px as u32, py as u32, image::Rgb(color));
            }
        }
    }
    let mut bytes = Vec::new();
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    (bytes, MaskPixels { width: 64, height: 48, ids })
}

fn shapes(count: usize) -> Arc<Dataset> {
    let mut rng = Rng::new(4);
    let sample = |at: usize| {
        let (bytes, mask) = drawn(&mut rng);
        Sample {
            image: Memory { name: format!("{at}.png"), bytes: bytes.into() },
            split: if at % 4 == 3 { Split::Val } else { Split::Train },
            size_px: [64, 48],
            target: Target { mask: Some(MaskTarget::Pixels(Arc::new(mask))), ..Target::default() },
        }
    };
    let samples: Vec<Sample> = (0..count).map(sample).collect();
    Arc::new(Dataset {
        root: PathBuf::from("/shapes"),
        name: "shapes".to_owned(),
        task: Task::Segment,
        format: "test".to_owned(),
        columns: vec![LabelColumn::single(["background", "disc", "square"].map(str::to_owned).to_vec())],
        category_ids: Vec::new(),
        found: samples.len(),
        samples,
        issues: Vec::new(),
        suggested_split: false,
        unnamed: Vec::new(),
    })
}

fn rule() -> Preprocess {
    Preprocess { resize: Resize::FitTopLeft, ..Preprocess::imagenet(SIDE as u32) }
}

fn plan(epochs: u32) -> Plan {
    Plan {
        model: "asking".to_owned(),
        size_px: SIDE as u32,
        epochs,
        batch: 4,
        lr: 0.001,
        warmup_epochs: 0.0,
        optimizer: OptimizerChoice::ADAMW,
        augment: Augment::none(),
        device: DeviceChoice::Cpu,
        ..Plan::default()
    }
}

fn setup(plan: Plan, dataset: &Arc<Dataset>) -> Setup {
    Setup::with_graph(plan, Arc::clone(dataset), asking(SIDE), rule(), &Device::flex()).unwrap()
}

fn trainer(plan: Plan, dataset: &Arc<Dataset>, out: &Path) -> Trainer {
    Trainer::new(setup(plan, dataset), out).unwrap()
}

fn backbone() -> FreezePlan {
    FreezePlan::parse(&asking(SIDE), "backbone").unwrap()
}

fn upload(values: &serde_json::Value, shape: [usize; 4]) -> Tensor<4> {
    let values: Vec<f32> = floats(values).into_iter().map(|x| x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn close(who: &str, ours: &[f32], theirs: &serde_json::Value, tolerance: f64) {
    let theirs = floats(theirs);
    assert_eq!(ours.len(), theirs.len(), "{who}");
    let error = ours.iter().zip(&theirs).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    println!("{who}: {error:.1e}");
    assert!(error < tolerance, "{who}: {error:.1e}");
}

#[test]
fn losses_and_gradients_are_torchs() {
    let fixture = fixture("prompt_losses.json");
    let [height, width] = usizes(&fixture["size"])[..] else { unreachable!() };
    let low = upload(&fixture["low"], [2, 4, 6, 5]);
    let quality = upload(&fixture["quality"], [1, 1, 2, 4]).reshape([2, 4]);
    let truth: String = fixture["truth"].as_array().unwrap().iter().map(|rows| rows.as_str().unwrap()).collect();
    let truth: Vec<f32> = truth.chars().map(|c| if c == '1' { 1.0 } else { 0.0 }).collect();
    let rows = height - usizes(&serde_json::json!([fixture["uncounted_rows"]]))[0];
    let counted = |at: usize| if at % (height * width) < rows * width { 1.0 } else { 0.0 };
    let counted = (0..2 * height * width).map(counted).collect();
    let truths = Truths::new(truth, counted, [height, width], &Device::flex());
    let worth = Worth::of(&low, &truths).unwrap();
    close("focal", &worth.focal.concat(), &fixture["focal"], 1e-6);
    close("dice", &worth.dice.concat(), &fixture["dice"], 1e-6);
    close("overlap", &worth.overlap.concat(), &fixture["overlap"], 1e-6);
    for (row, chosen) in usizes(&fixture["chosen"]).into_iter().enumerate() {
        assert!((1..4).all(|other| worth.loss(row, chosen) <= worth.loss(row, other)));
    }
    for (case, corrected) in [("first", false), ("corrected", true)] {
        let want = &fixture[case];
        let (low, quality) = (low.clone().autodiff().require_grad(), quality.clone().autodiff().require_grad());
        let [focal, dice, squares] = told(&low, &quality, &truths, corrected).unwrap();
        let mask = (focal * FOCAL_WEIGHT + dice) / 2.0;
        let squares = squares / 2.0;
        close(case, &numbers(mask.clone()), &serde_json::json!([want["mask"]]), 1e-5);
        close(case, &numbers(squares.clone()), &serde_json::json!([want["iou"]]), 1e-6);
        let total = mask + squares;
        close(case, &numbers(total.clone()), &serde_json::json!([want["total"]]), 1e-5);
        let grads = total.backward();
        close(case, &numbers(low.grad(&grads).unwrap()), &want["grad_low"], 1e-6);
        close(case, &numbers(quality.grad(&grads).unwrap()), &want["grad_quality"], 1e-6);
    }
}

#[test]
fn kept_features_give_the_same_run_to_the_bit() {
    let dataset = shapes(8);
    let dir = tempfile::tempdir().unwrap();
    // The encoder's neck, or only its first block: what is kept lies at the end of the encoder or inside of it.
    let patches = FreezePlan::parse(&asking(SIDE), "until:image_encoder.blocks.0").unwrap();
    let views = Augment { flip: 0.5, object_crop: 0.5, ..Augment::none() };
    for (at, (freeze, augment)) in
        [(backbone(), Augment::none()), (patches, Augment::none()), (backbone(), views)].into_iter().enumerate()
    {
        let run = |mode: CacheMode| {
            let cache = CacheChoice { mode, ..CacheChoice::default() };
            let plan = Plan { freeze: freeze.clone(), augment: augment.clone(), views: 1, cache, ..plan(3) };
            let mut trainer = trainer(plan, &dataset, &dir.path().join(format!("{at}-{mode:?}")));
            let mut notes = Notes::default();
            trainer.run(&mut notes).unwrap();
            let weights: Vec<Vec<f32>> =
                trainer.network().tensors().unwrap().into_iter().map(|tensor| tensor.values).collect();
            (notes, weights)
        };
        let ((without, plain), (with, kept)) = (run(CacheMode::Off), run(CacheMode::On));
        for (a, b) in without.epochs.iter().zip(&with.epochs) {
            assert_eq!((&a.train, &a.val, &a.metrics), (&b.train, &b.val, &b.metrics), "{at}, epoch {}", a.epoch);
        }
        assert_eq!(plain, kept, "{at}");
        let cached: Vec<bool> = with.epochs.iter().map(|epoch| epoch.cached).collect();
        assert_eq!(cached, [false, false, true, true], "{at}: {:?}", with.logs);
    }
}

/// A batch of the set's first pictures.
fn batch(dataset: &Arc<Dataset>, count: usize) -> Batch {
    let view = View { rule: rule(), augment: None, seed: 0, epoch: 0 };
    let cache = Arc::new(PixelCache::default());
    let wants = Wants { objects: true, ..Wants::default() };
    let mut loader = Loader::start_with(Arc::clone(dataset), (0..count).collect(), count, view, cache, wants);
    Batch::upload(loader.next_batch().unwrap(), &Device::flex()).unwrap()
}

#[test]
fn a_batch_knows_its_objects_and_its_padding() {
    let dataset = shapes(4);
    let batch = batch(&dataset, 4);
    for (row, sample) in dataset.samples.iter().enumerate() {
        let objects = batch.objects[row].as_ref().unwrap();
        let Some(MaskTarget::Pixels(mask)) = &sample.target.mask else { panic!("a mask") };
        let (seen, below) = objects.split_at(64 * 48);
        assert!(below.iter().all(|number| *number == VOID));
        assert!(seen.iter().zip(&mask.ids).all(|(number, id)| (*number > 0) == (*id > 0)));
        assert!(!objects_of(objects, 64).is_empty());
    }
    // Padding is zero in the input.
    let below = numbers(batch.images.clone().unwrap().narrow(2, 48, 16));
    assert!(below.iter().all(|value| *value == 0.0));
}

#[test]
fn a_step_has_the_gradients_of_all_its_prompts() {
    let dataset = shapes(4);
    let batch = batch(&dataset, 3);
    let graph = Arc::new(asking(SIDE));
    let ends = Ends::of(&graph).unwrap();
    let options = LossOptions::plain(BTreeMap::from([("iou".to_owned(), 0.5)]), MaskLoss::default());
    let prompting = Prompting { objects: 2, clicks: 0, boxes: 1.0 };
    for freeze in [FreezePlan::default(), backbone()] {
        let mut network = Network::new(Arc::clone(&graph), 3, &Device::flex()).unwrap();
        network.set_plan(&freeze);
        let lesson =
            teach(&network, ends, (&batch, &Given::new()), &options, &prompting, 9, &mut Ctx::default()).unwrap();
        let grads = lesson.total.backward();
        // The same prompts through the whole network at once.
        let (mut rows, mut marks, mut truth, mut counted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, &index) in batch.indices.iter().enumerate() {
            let map = batch.objects[row].as_ref().unwrap();
            let mut objects = objects_of(map, SIDE);
            Rng::from_words(9, &[index as u64]).shuffle(&mut objects);
            for object in objects.into_iter().take(2) {
                let mut rng = Rng::from_words(9, &[index as u64, u64::from(object.number)]);
                marks.push(first_prompt(&object, map, [SIDE; 2], 1.0, &mut rng));
                rows.push(row as i32);
                truth.extend(map.iter().map(|number| if *number == object.number { 1.0 } else { 0.0 }));
                counted.extend(map.iter().map(|number| if *number == VOID { 0.0 } else { 1.0 }));
            }
        }
        let count = rows.len();
        assert!(count > 3);
        let rows = Tensor::<1, burn::tensor::Int>::from_data(TensorData::new(rows, [count]), &Device::flex());
        let inputs = [
            Value::Map(batch.images.clone().unwrap().select(0, rows)),
            Value::Prompt(Arc::new(Prompt { marks, masks: None })),
        ];
        let wanted = [ends.masks, ends.quality];
        let outputs = network.run(&inputs, &BTreeMap::new(), &wanted, Mode::Train, &mut Ctx::default()).unwrap();
        let truths = Truths::new(truth, counted, [SIDE; 2], &Device::flex());
        let [focal, dice, quality] =
            told(&outputs[0].map().unwrap(), &outputs[1].vector().unwrap(), &truths, false).unwrap();
        let (mask, quality) = ((focal * FOCAL_WEIGHT + dice) / count as f64, quality / count as f64);
        let terms: Vec<f32> = lesson.terms.heads.iter().map(|term| numbers(term.clone())[0]).collect();
        assert!(
            (terms[0] - numbers(mask.clone())[0]).abs() < 1e-4 && (terms[1] - numbers(quality.clone())[0]).abs() < 1e-5
        );
        let whole = (mask + quality * 0.5).backward();
        let names: serde_json::Value =
            network.facts().tensors().map(|spec| (spec.name.clone(), serde_json::Value::Null)).collect();
        let (ours, theirs) = (gradients(&network, &grads, &names), gradients(&network, &whole, &names));
        assert!(
            ours.count > 0
                && ours.found.keys().collect::<std::collections::BTreeSet<_>>() == theirs.found.keys().collect()
        );
        let encoder = ours.found.keys().any(|name| name.starts_with("image_encoder."));
        assert_eq!(encoder, freeze == FreezePlan::default());
        for (name, want) in &theirs.found {
            let scale = want.iter().fold(1e-4_f32, |most, x| most.max(x.abs()));
            let error = ours.found[name].iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error <= 2e-4 * scale, "{name}: {error:.1e} of {scale:.1e}");
        }
    }
}

#[test]
fn objects_are_found_better_and_the_run_can_be_asked() {
    let dataset = shapes(32);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut notes = Notes::default();
    let prompting = Prompting { clicks: 1, ..Prompting::default() };
    let mut trainer =
        trainer(Plan { lr: 0.003, batch: 2, decay: Decay::Constant, prompting, ..plan(6) }, &dataset, &out);
    trainer.run(&mut notes).unwrap();
    let of = |name: &str| -> Vec<f64> { notes.epochs.iter().map(|epoch| epoch.metrics[name]).collect() };
    let (miou, points) = (of("miou"), of("point/miou"));
    println!("mIoU of boxes {miou:.3?}\nmIoU of points {points:.3?}");
    let best = notes.best.clone().unwrap();
    assert!(best.metric == "miou" && best.value > miou[0] + 0.2, "{miou:?}");
    assert!(points.last().unwrap() > &(points[0] + 0.1), "{points:?}");
    let (first, last) = (&notes.epochs[1], notes.epochs.last().unwrap());
    assert!(last.train["total"] < 0.8 * first.train["total"] && last.val["total"] < notes.epochs[0].val["total"]);
    // Named terms, and what the mask's is the sum of.
    for losses in [&last.train, &last.val] {
        assert!((losses["mask"] + losses["iou"] - losses["total"]).abs() < 1e-5, "{losses:?}");
        assert!((20.0 * losses["mask/focal"] + losses["mask/dice"] - losses["mask"]).abs() < 1e-5, "{losses:?}");
    }
    assert!(notes.samples > 0, "fixed pictures are shown");
    // What is kept of each picture.
    let kept = Evaluation::read(&out).unwrap().unwrap();
    assert_eq!((kept.heads.len(), kept.heads[0].name.as_str(), kept.heads[0].masks.len()), (1, "mask", 8));
    assert!((kept.metrics["miou"] - best.value).abs() < 1e-12);
}

#[test]
fn the_encoder_is_proved_frozen_and_a_resumed_run_goes_on_bit_for_bit() {
    let dataset = shapes(12);
    for (accumulate, cut) in [(1, 4), (2, 3)] {
        resumed(&dataset, &Plan { freeze: backbone(), augment: Augment::segmentation(), accumulate, ..plan(2) }, cut);
    }
}

/// Runs a plan as a whole, and cancelled after the step `cut` in its second epoch and taken up again.
fn resumed(dataset: &Arc<Dataset>, plan: &Plan, cut: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut whole = Notes::default();
    let mut straight = trainer(plan.clone(), dataset, &dir.path().join("whole"));
    let values = |trainer: &Trainer| -> BTreeMap<String, Vec<f32>> {
        trainer.network().tensors().unwrap().into_iter().map(|tensor| (tensor.spec.name, tensor.values)).collect()
    };
    let before = values(&straight);
    straight.run(&mut whole).unwrap();
    let after = values(&straight);
    for (name, old) in &before {
        let constant = name.contains("positional_encoding_gaussian_matrix");
        assert_eq!(after[name] == *old, name.starts_with("image_encoder.") || constant, "{name}");
    }
    assert!(whole.epochs.iter().all(|epoch| epoch.frozen_verified && epoch.frozen_tensors > 0));
    assert_eq!(whole.steps.len(), 2 * 3_usize.div_ceil(plan.accumulate));
    let out = dir.path().join("broken");
    let mut first = Notes { script: [(cut, Control::Cancel)].into(), ..Notes::default() };
    assert_eq!(trainer(plan.clone(), dataset, &out).run(&mut first).unwrap().ending, Ending::Cancelled);
    let (folder, file) = RunFolder::open(&out).unwrap();
    let mut second = Notes::default();
    let mut resumed = Trainer::resume(setup(file.plan, dataset), folder).unwrap();
    resumed.run(&mut second).unwrap();
    assert_eq!(after, values(&resumed));
    assert_eq!(whole.epochs.last().unwrap().metrics, second.epochs.last().unwrap().metrics);
}

#[test]
fn what_does_not_fit_is_said() {
    let dataset = shapes(8);
    let refused = |plan: Plan, set: Dataset| {
        Setup::with_graph(plan, Arc::new(set), asking(SIDE), rule(), &Device::flex()).unwrap_err()
    };
    let mut bare = dataset.as_ref().clone();
    bare.samples.iter_mut().for_each(|sample| sample.target = Target::of_class(Some(1)));
    let wanted = "asking learns from masks of objects, and no picture in shapes has a mask; they have labels: choose a model \
                  for classification.";
    assert_eq!(refused(plan(1), bare), wanted);
    let mut empty = dataset.as_ref().clone();
    for sample in &mut empty.samples {
        let mask = MaskPixels { width: 64, height: 48, ids: vec![0; 64 * 48] };
        sample.target.mask = Some(MaskTarget::Pixels(Arc::new(mask)));
    }
    let wanted = "No picture in shapes has a mask with an object to train asking on.";
    assert_eq!(refused(plan(1), empty), wanted);
    let prompting = Prompting { objects: 0, ..Prompting::default() };
    let said = refused(Plan { prompting, ..plan(1) }, dataset.as_ref().clone());
    assert_eq!(said, "Prompts must ask for at least 1 object of a picture.");
}

/// Pictures and masks as files: `images/` beside `masks/`.
fn on_disk(folder: &Path, count: usize) {
    let mut rng = Rng::new(8);
    std::fs::create_dir_all(folder.join("images")).unwrap();
    std::fs::create_dir_all(folder.join("masks")).unwrap();
    for at in 0..count {
        let (bytes, mask) = drawn(&mut rng);
        std::fs::write(folder.join(format!("images/{at}.png")), bytes).unwrap();
        let ids = mask.ids.iter().map(|id| if *id > 0 { 255 } else { 0 }).collect();
        image::GrayImage::from_raw(64, 48, ids).unwrap().save(folder.join(format!("masks/{at}.png"))).unwrap();
    }
}

#[test]
fn the_command_line_trains_measures_and_asks() {
    let dir = tempfile::tempdir().unwrap();
    let (data, run) = (dir.path().join("shapes"), dir.path().join("run"));
    on_disk(&data, 8);
    let run_it = |arguments: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_frostline")).args(arguments).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<serde_json::Value>>()
    };
    let (data, run) = (data.to_str().unwrap(), run.to_str().unwrap());
    let common =
        ["--device", "cpu", "--size", "64", "--epochs", "1", "--batch", "3", "--clicks", "1", "--objects", "2"];
    let recipe = ["--optimizer", "adamw", "--lr", "1e-4", "--out", run, "--json"];
    let start = ["train", "--data", data, "--model", "mobile_sam"];
    let lines = run_it(&[&start[..], &common[..], &recipe[..]].concat());
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    let (trainable, params) = (&of("start")[0]["trainable"], &of("start")[0]["params"]);
    // The decoder and the prompt encoder, as `../shared/parity/sam_decoder.json` counts them.
    assert_eq!(trainable.as_u64().unwrap(), 4_064_560, "{params}");
    let epochs = of("epoch");
    assert_eq!(epochs.len(), 2);
    for epoch in &epochs {
        for metric in ["miou", "dice", "point/miou", "point/dice"] {
            assert!(epoch["metrics"][metric].as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)), "{epoch}");
        }
        assert_eq!(epoch["frozen_verified"], true);
    }
    assert!(
        of("step")[0]["losses"]["mask/focal"].as_f64().is_some() && of("step")[0]["losses"]["iou"].as_f64().is_some()
    );
    assert_eq!(of("done")[0]["best"]["metric"], "miou");
    let measured = run_it(&["eval", run, "--data", data, "--json"]);
    assert!(measured[0]["metrics"]["point/miou"].as_f64().is_some(), "{measured:?}");
    let picture = format!("{data}/images/0.png");
    let asked = run_it(&["predict", run, &picture, "--prompt", "box:4,4,40,40", "--json"]);
    assert_eq!(asked[0]["masks"].as_array().map(Vec::len), Some(3), "{asked:?}");
}

#[test]
fn a_run_of_the_registry_is_loaded_and_asked() {
    // Weights that were trained stand under the public names: the same network answers from the exported file.
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let dataset = shapes(8);
    let plan = Plan { model: "mobile_sam".to_owned(), freeze: FreezePlan::default(), batch: 3, ..plan(1) };
    let plan = Plan { freeze: Plan::usual_freeze(&find("mobile_sam").unwrap(), 64), ..plan };
    assert!(plan.freeze.is_frozen("image_encoder.neck") && !plan.freeze.is_frozen("prompt_encoder"));
    let mut trainer = Trainer::new(Setup::new(plan, Arc::clone(&dataset), &Device::flex()).unwrap(), &out).unwrap();
    let mut notes = Notes::default();
    trainer.run(&mut notes).unwrap();
    let (network, run) = open_model(&out, &Device::flex()).unwrap();
    let prompter = Prompter::new(&network, run.preprocess.clone()).unwrap();
    let image = frostline::data::image::load(&dataset.samples[0].image).unwrap();
    let embedding = prompter.embed(&image).unwrap();
    let prompt = prompt::Prompt { xyxy: Some([2.0, 2.0, 40.0, 40.0]), ..prompt::Prompt::default() };
    assert_eq!(prompter.answer(&embedding, &prompt).unwrap().candidates.len(), 3);
    let measured = evaluate(&out, Arc::clone(&dataset), Which::Auto, &Device::flex(), &mut |_, _| true);
    let measured = measured.unwrap().unwrap();
    assert!((measured.metrics["miou"] - notes.best.unwrap().value).abs() < 1e-12);
    let shown = notes.shown.first().unwrap();
    let Answer::Mask(mask) = &shown.prediction.heads[0].answer else { panic!("a mask") };
    assert_eq!((mask.size_px, mask.classes.len()), ([64, 48], 3));
}
