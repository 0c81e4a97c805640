//! Several heads on one backbone, from a table of pictures to predictions: two label columns of one class each, and
//! columns of several labels; names of losses and metrics, gradients, unknown labels, resume, evaluation.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor};
use frostline::data::batch::Batch;
use frostline::data::{Augment, Dataset, Loader, OpenOptions, Quiet, View, open};
use frostline::graph::{FreezePlan, HeadKind, HeadPlan, Preset, TensorSpec};
use frostline::models::{Mode, ModelTask, SeeTensors, Variant};
use frostline::nn::Ctx;
use frostline::train::losses::{LossOptions, losses, total};
use frostline::train::segmentation::MaskLoss;
use frostline::train::{DataSource, DeviceChoice, Plan, Setup};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;

const COLORS: [(&str, [u8; 3]); 3] = [("red", [210, 40, 40]), ("green", [40, 190, 60]), ("blue", [40, 70, 220])];

/// A disc or bars of a color on grey, another one for each `n`.
fn picture(n: usize) -> image::RgbImage {
    let (color, bars) = (COLORS[n % 3].1, n / 3 % 2 == 1);
    let (x, y) = (14.0 + (n / 6 % 5) as f32, 20.0 - (n / 6 % 4) as f32);
    image::RgbImage::from_fn(36, 36, |u, v| {
        let (dx, dy) = ((u as f32 - x).abs(), (v as f32 - y).abs());
        let inside = if bars { u / 5 % 2 == 0 } else { dx.hypot(dy) < 9.0 };
        image::Rgb(if inside { color } else { [110 + (n % 7) as u8; 3] })
    })
}

/// Pictures with a table: a color, a shape that is unknown for every seventh, and labels of both in one cell.
fn set(count: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("images")).unwrap();
    let mut table = "file,color,shape,seen,split\n".to_owned();
    for n in 0..count {
        picture(n).save(dir.path().join(format!("images/{n}.png"))).unwrap();
        let shape = ["disc", "bars"][n / 3 % 2];
        let known = if n % 7 == 5 { "" } else { shape };
        let tags = if n % 3 == 0 { shape.to_owned() } else { format!("{};{shape}", COLORS[n % 3].0) };
        table += &format!(
            "images/{n}.png,{},{known},{tags},{}\n",
            COLORS[n % 3].0,
            if n % 4 == 3 { "val" } else { "train" }
        );
    }
    std::fs::write(dir.path().join("labels.csv"), table).unwrap();
    dir
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_frostline")).args(args).output().unwrap()
}

fn lines(output: &Output) -> Vec<Json> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn keys(value: &Json) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn number(value: &Json) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn two_columns_train_two_heads_and_come_back_in_every_command() {
    let dir = set(48);
    let data = dir.path().join("labels.csv");
    let (data, out) = (data.to_str().unwrap(), dir.path().join("run"));
    let out = out.to_str().unwrap();
    let check = lines(&run(&["check", data, "--json"]));
    let columns: Vec<&str> =
        check.last().unwrap()["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["color", "shape", "seen"]);
    let train = [
        "train",
        "--data",
        data,
        "--model",
        "resnet_mini",
        "--weights",
        "builtin",
        "--size",
        "48",
        "--batch",
        "6",
        "--lr",
        "0.05",
        "--freeze",
        "backbone",
        "--augment",
        "off",
        "--heads",
        "color,shape",
        "--loss-weight",
        "shape=0.5",
        "--epochs",
        "6",
        "--device",
        "cpu",
        "--out",
        out,
        "--json",
    ];
    let all = lines(&run(&train));
    assert_eq!(all[0]["heads"][1], serde_json::json!({"name": "shape", "classes": ["bars", "disc"]}));
    // Two linear heads on 256 features.
    assert_eq!(all[0]["trainable"], 257 * 3 + 257 * 2);
    let of = |kind: &str| all.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    for losses in of("step").iter().map(|step| &step["losses"]).chain(of("epoch").iter().map(|epoch| &epoch["val"])) {
        assert_eq!(keys(losses), ["color", "shape", "total"]);
        let sum = number(&losses["color"]) + 0.5 * number(&losses["shape"]);
        assert!((number(&losses["total"]) - sum).abs() < 1e-5, "{losses}");
    }
    let epochs = of("epoch");
    let (first, last) = (epochs[0], epochs[6]);
    assert_eq!(keys(&last["metrics"]), ["shape/top1", "top1"]);
    for name in ["color", "shape"] {
        let (before, after) = (number(&first["val"][name]), number(&last["val"][name]));
        assert!(after < 0.75 * before, "{name}: {before} -> {after}");
    }
    assert!(number(&last["metrics"]["top1"]) > 0.9, "{last}");
    assert_eq!(of("done")[0]["best"]["metric"], "top1");

    let eval = &lines(&run(&["eval", out, "--data", data, "--device", "cpu", "--json"]))[0];
    let best = usize::try_from(of("done")[0]["best"]["epoch"].as_u64().unwrap()).unwrap();
    assert_eq!(eval["metrics"], epochs[best]["metrics"]);
    let picture = dir.path().join("images/1.png");
    let told = &lines(&run(&["predict", out, picture.to_str().unwrap(), "--device", "cpu", "--json"]))[0];
    let name = |scores: &Json| scores[0]["name"].as_str().unwrap().to_owned();
    assert_eq!((name(&told["classes"]), told["heads"]["shape"].as_array().unwrap().len()), ("green".to_owned(), 2));
    // Resumed as it was, exported under the names that a second head has, and told apart again from the file alone.
    let more = lines(&run(&["resume", out, "--epochs", "7", "--json"]));
    assert_eq!(keys(&more.iter().rfind(|line| line["type"] == "epoch").unwrap()["val"]), ["color", "shape", "total"]);
    let file = dir.path().join("model.safetensors");
    let file = file.to_str().unwrap();
    assert!(run(&["export", out, "--to", file]).status.success());
    let again = &lines(&run(&["predict", file, picture.to_str().unwrap(), "--device", "cpu", "--json"]))[0];
    assert_eq!((keys(&again["heads"]), name(&again["classes"])), (vec!["shape"], "green".to_owned()));
    for (heads, what) in [("size", "it has color, shape, seen"), ("color,color", "color is there twice")] {
        let heads: Vec<&str> = train.iter().map(|&arg| if arg == "color,shape" { heads } else { arg }).collect();
        let heads: Vec<&str> = heads.iter().map(|&arg| if arg == "shape=0.5" { "color=1" } else { arg }).collect();
        let heads: Vec<&str> = heads.iter().map(|&arg| if arg == out { "nowhere" } else { arg }).collect();
        let refused = run(&heads);
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(what), "{refused:?}");
    }
}

#[test]
fn several_labels_for_a_picture_train_and_are_measured() {
    let dir = set(60);
    let data = dir.path().to_str().unwrap();
    let out = dir.path().join("run");
    let out = out.to_str().unwrap();
    let all = lines(&run(&[
        "train",
        "--data",
        data,
        "--model",
        "resnet_mini",
        "--weights",
        "builtin",
        "--size",
        "48",
        "--batch",
        "6",
        "--lr",
        "0.1",
        "--freeze",
        "backbone",
        "--augment",
        "off",
        "--heads",
        "seen",
        "--class-weights",
        "balanced",
        "--epochs",
        "12",
        "--device",
        "cpu",
        "--out",
        out,
        "--json",
    ]));
    assert_eq!(all[0]["heads"][0]["multi"], true);
    let epochs: Vec<&Json> = all.iter().filter(|line| line["type"] == "epoch").collect();
    let (first, last) = (epochs[0], epochs[12]);
    assert_eq!(keys(&last["metrics"]), ["f1", "f1_macro", "hamming", "map", "subset"]);
    assert!(number(&last["val"]["seen"]) < 0.8 * number(&first["val"]["seen"]), "{first} {last}");
    assert!(number(&last["metrics"]["map"]) > 0.8, "{last}");
    assert_eq!(all.last().unwrap()["best"]["metric"], "map");
    let told = run(&["predict", out, &format!("{data}/images/1.png"), "--device", "cpu"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("green"), "{told}");
}

fn opened(dir: &Path) -> Dataset {
    open(dir, &OpenOptions::default(), &Quiet).unwrap()
}

fn plan(dir: &Path, heads: &[&str]) -> Plan {
    Plan {
        data: DataSource::Path(dir.to_path_buf()),
        model: "resnet_mini".to_owned(),
        heads: heads.iter().map(|&name| name.to_owned()).collect(),
        size_px: 32,
        batch: 4,
        augment: Augment::none(),
        device: DeviceChoice::Cpu,
        ..Plan::default()
    }
}

/// Gradients by tensor.
struct Seen<'a> {
    grads: &'a Gradients,
    all: BTreeMap<String, Vec<f32>>,
}

impl SeeTensors for Seen<'_> {
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>) {
        if let Some(grad) = param.val().grad(self.grads) {
            self.all.insert(spec.name.clone(), grad.into_data().try_to_vec::<f32>().unwrap());
        }
    }
}

/// The gradient of the run's loss is the weighted sum of the heads' own, each from a pass of its own.
#[test]
fn the_gradient_of_the_sum_is_the_weighted_sum_of_gradients() {
    let dir = set(12);
    let mut plan = plan(dir.path(), &["color", "shape"]);
    plan.loss_weights = BTreeMap::from([("color".to_owned(), 0.25), ("shape".to_owned(), 3.0)]);
    let setup = Setup::new(plan, Arc::new(opened(dir.path())), &Device::flex()).unwrap();
    let graph = Arc::clone(setup.network.graph());
    let options = LossOptions::of(&setup.plan, &graph, &setup.dataset, &Device::flex()).unwrap();
    let view = View { rule: setup.rule.clone(), augment: None, seed: 0, epoch: 0 };
    // Picture 5 has a color and no shape.
    let raw = Loader::start(Arc::clone(&setup.dataset), vec![0, 4, 5, 8], 4, view).next_batch().unwrap();
    let batch = Batch::upload(raw, &Device::flex()).unwrap();
    assert_eq!(batch.column(1).filter(|label| label.is_known()).count(), 3);
    let gradients = |of: &dyn Fn(&[Tensor<1>]) -> Tensor<1>| {
        let mut ctx = Ctx::default();
        let outputs = setup.network.forward(batch.images.clone().unwrap(), Mode::Train, &mut ctx).unwrap();
        let grads = of(&losses(&graph, &outputs, &batch, &options, &ctx).unwrap().heads).backward();
        let mut seen = Seen { grads: &grads, all: BTreeMap::new() };
        setup.network.see_tensors(&mut seen);
        seen.all
    };
    let both = gradients(&|terms| total(&graph, terms, &options).unwrap());
    let (color, shape) = (gradients(&|terms| terms[0].clone()), gradients(&|terms| terms[1].clone()));
    assert!(both.contains_key("conv1.weight") && color["conv1.weight"] != shape["conv1.weight"]);
    for (name, values) in &both {
        let part = |of: &BTreeMap<String, Vec<f32>>, at: usize| of.get(name).map_or(0.0, |values| values[at]);
        // Rounding goes with the terms that were added up.
        let largest = values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        for (at, &value) in values.iter().enumerate() {
            let sum = 0.25 * part(&color, at) + 3.0 * part(&shape, at);
            assert!((value - sum).abs() < 2e-5 * largest, "{name} {at}: {value} and {sum} of up to {largest}");
        }
    }
    assert!(!color.contains_key("heads.shape.fc.weight") || color["heads.shape.fc.weight"].iter().all(|&g| g == 0.0));
}

#[test]
fn a_second_head_keeps_the_public_names_of_the_first() {
    let classifier = |variant: &Variant| variant.task == ModelTask::Classify;
    for variant in frostline::models::catalogue().into_iter().filter(classifier) {
        let head = |name: &str, classes, multi| HeadPlan { name: name.to_owned(), classes, multi };
        let size = variant.preprocess.size[0] as usize;
        let one = variant.graph(3, size).unwrap();
        let two = variant.graph_with(&[head("color", 3, false), head("shape", 5, true)], size).unwrap();
        let (one_facts, two_facts) = (one.facts().unwrap(), two.facts().unwrap());
        let names: Vec<&str> = one_facts.tensors().map(|spec| spec.name.as_str()).collect();
        let all: Vec<&str> = two_facts.tensors().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names, all[..names.len()], "{}", variant.name);
        assert!(all.len() > names.len() && all[names.len()..].iter().all(|name| name.starts_with("heads.shape.")));
        assert_eq!(two.heads[1].kind, HeadKind::MultiLabel { classes: 5 });
        assert_eq!((two.label_column(0), two.label_column(1)), (Some(0), Some(1)));
        // Only the heads stay warm, both of them.
        let freeze = FreezePlan::preset(&two, &Preset::HeadOnly).unwrap();
        assert_eq!(freeze, FreezePlan::preset(&one, &Preset::HeadOnly).unwrap(), "{}", variant.name);
        assert_eq!(two.select("shape").unwrap().len() * 2, two.select("head").unwrap().len());
    }
}

#[test]
fn a_batch_of_which_a_column_knows_nothing_does_not_move_its_head() {
    let dir = set(12);
    let setup =
        Setup::new(plan(dir.path(), &["color", "shape"]), Arc::new(opened(dir.path())), &Device::flex()).unwrap();
    let graph = Arc::clone(setup.network.graph());
    let view = View { rule: setup.rule.clone(), augment: None, seed: 0, epoch: 0 };
    let raw = Loader::start(Arc::clone(&setup.dataset), vec![5], 1, view).next_batch().unwrap();
    let batch = Batch::upload(raw, &Device::flex()).unwrap();
    let mut ctx = Ctx::default();
    let outputs = setup.network.forward(batch.images.clone().unwrap(), Mode::Infer, &mut ctx).unwrap();
    let options = LossOptions::plain(BTreeMap::new(), MaskLoss::default());
    let terms = losses(&graph, &outputs, &batch, &options, &ctx).unwrap();
    let values: Vec<f32> = terms.heads.iter().map(|term| term.clone().inner().into_scalar::<f32>()).collect();
    assert!(values[0] > 0.0 && values[1] == 0.0, "{values:?}");
    let grads = total(&graph, &terms.heads, &options).unwrap().backward();
    let mut seen = Seen { grads: &grads, all: BTreeMap::new() };
    setup.network.see_tensors(&mut seen);
    let moves = |name: &str| seen.all.get(name).is_some_and(|grad| grad.iter().any(|&g| g != 0.0));
    assert_eq!((moves("fc.weight"), moves("heads.shape.fc.weight")), (true, false));
}
