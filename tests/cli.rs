//! The command line as scripts use it: exit codes, and every line of JSON field by field.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

use frostline::weights::{SaveDtype, save_safetensors};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

fn frostline() -> Command {
    // Not in the home of whoever runs the tests.
    static FEATURES: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_frostline"));
    command.env("FROSTLINE_FEATURES", FEATURES.path());
    command
}

fn run(args: &[&str]) -> Output {
    frostline().args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("killed: {}", stderr(output)))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Every line of standard output, which must be an object with a type.
fn lines(output: &Output) -> Vec<Json> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let parse = |line: &str| serde_json::from_str::<Json>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let lines: Vec<Json> = text.lines().map(parse).collect();
    assert!(lines.iter().all(|line| line["type"].is_string()), "{text}");
    lines
}

fn of_type<'a>(lines: &'a [Json], kind: &str) -> Vec<&'a Json> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

/// Fails with 2 and one sentence on standard error that names `what`.
fn refused(args: &[&str], what: &str) {
    let output = run(args);
    let text = stderr(&output);
    assert_eq!(code(&output), 2, "{args:?}: {text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && errors[0].contains(what), "{args:?}: {text}");
    assert!(errors[0].ends_with('.') && !errors[0].ends_with(".."), "{args:?}: {text}");
}

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/files/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn shared(below: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(below);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is absent", path.display());
    None
}

/// Class folders of noise in two colors: `train/{cold,warm}`, `val/{cold,warm}`.
fn set(root: &Path, train: u32, val: u32) {
    for (split, count) in [("train", train), ("val", val)] {
        for (class, tint) in [("cold", [40, 90, 220]), ("warm", [220, 90, 40])] {
            let folder = root.join(split).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for i in 0..count {
                let noise = |x: u32, y: u32| ((x * 31 + y * 17 + i * 97 + count * 13) % 61) as u8;
                let pixel = |x, y| image::Rgb([tint[0] - 30 + noise(x, y) / 2, tint[1] + noise(y, x), tint[2] - 30]);
                image::RgbImage::from_fn(36, 32, pixel).save(folder.join(format!("{class}{i}.png"))).unwrap();
            }
        }
    }
}

/// A checkpoint of a model of the zoo, all values equal, as torch would name it.
fn checkpoint(path: &Path, model: &str, classes: usize) {
    let facts = frostline::session::find_model(model).unwrap().graph(classes, 64).unwrap().facts().unwrap();
    let tensors: Vec<_> = facts
        .tensors()
        .map(|t| (t.name.clone(), t.shape.clone(), vec![0.5; usize::try_from(t.numel()).unwrap()]))
        .collect();
    save_safetensors(path, &tensors, SaveDtype::F16, &BTreeMap::new()).unwrap();
}

#[test]
fn models_have_torchvisions_sizes() {
    let output = run(&["models", "--json"]);
    assert_eq!(code(&output), 0);
    assert!(output.stderr.is_empty());
    let lines = lines(&output);
    // Parameters as in torchvision's table of models; MACs as its `_ops` (GFLOPS there), rounded to 1e7.
    for (name, params, gmacs) in [
        ("resnet18", 11_689_512, 1.81),
        ("resnet34", 21_797_672, 3.66),
        ("resnet50", 25_557_032, 4.09),
        ("resnet101", 44_549_160, 7.80),
        ("resnet152", 60_192_808, 11.51),
    ] {
        let line = lines.iter().find(|line| line["name"] == name).unwrap();
        assert_eq!(line["type"], "model");
        assert_eq!(line["task"], "classify");
        assert_eq!(line["params"], params, "{name}");
        assert_eq!(line["size"], 224);
        assert!((line["macs"].as_f64().unwrap() / 1e9 - gmacs).abs() < 0.01, "{name}: {}", line["macs"]);
        let weights = &line["weights"][0];
        assert!(weights["url"].as_str().unwrap().starts_with("https://download.pytorch.org/models/"));
        assert_eq!(weights["license"], "BSD-3-Clause");
        assert_eq!(weights["classes"], 1000);
    }
    let table = String::from_utf8(run(&["models"]).stdout).unwrap();
    assert_eq!(table.lines().count(), lines.len() + 1);
}

#[test]
fn inspect_tells_every_node() {
    let output = run(&["inspect", "resnet18", "--classes", "2", "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let lines = lines(&output);
    let graph = of_type(&lines, "graph");
    assert_eq!(graph.len(), 1);
    assert_eq!(graph[0]["classes"], 2);
    assert_eq!(graph[0]["params"], 11_689_512 - 513_000 + 2 * 512 + 2);
    assert_eq!(graph[0]["input_shape"], serde_json::json!([3, 224, 224]));
    let nodes = of_type(&lines, "node");
    assert_eq!(nodes.len(), 11);
    let node = nodes.iter().find(|node| node["path"] == "layer2.0").unwrap();
    assert_eq!(node["part"], "backbone");
    assert_eq!(node["stage"], "layer2");
    assert_eq!(node["inputs"], serde_json::json!(["layer1.1"]));
    assert_eq!(node["output_shape"], serde_json::json!([128, 28, 28]));
    // 128*64*9 + 128*128*9 + 128*64 weights, three batch norms of 128.
    assert_eq!(node["params"], 128 * 64 * 9 + 128 * 128 * 9 + 128 * 64 + 3 * 2 * 128);
    assert_eq!(node["macs"], 28 * 28 * (128 * 64 * 9 + 128 * 128 * 9 + 128 * 64));
    assert_eq!(node["tensors"][0], serde_json::json!({"name": "layer2.0.conv1.weight", "shape": [128, 64, 3, 3]}));
    assert_eq!(nodes[0]["inputs"], serde_json::json!(["image"]));
    assert_eq!(nodes[10]["part"], "head cls");
    let sum = |key: &str| nodes.iter().map(|node| node[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("params"), graph[0]["params"].as_u64().unwrap());
    assert_eq!(sum("macs"), graph[0]["macs"].as_u64().unwrap());
}

#[test]
fn inspect_recognizes_a_file_and_its_classes() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("Ünder 路径.safetensors");
    checkpoint(&file, "resnet34", 7);
    let name = file.to_str().unwrap();
    let output = run(&["inspect", name, "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let all = lines(&output);
    assert_eq!(of_type(&all, "graph")[0]["model"], "resnet34");
    assert_eq!(of_type(&all, "graph")[0]["classes"], 7);
    let load = of_type(&all, "load")[0];
    assert_eq!((&load["model"], &load["loaded"], &load["remade"]), (&"resnet34".into(), &182.into(), &0.into()));
    assert_eq!((&load["missing"], &load["unused"]), (&0.into(), &0.into()));
    assert_eq!(load["container"], "safetensors");
    assert_eq!(load["similarity"], 1.0);
    let tensors = of_type(&all, "tensor");
    assert_eq!(tensors.len(), 182);
    assert_eq!(tensors[0]["name"], "conv1.weight");
    assert_eq!(tensors[0]["state"], "loaded");
    assert_eq!(tensors[0]["file_shape"], serde_json::json!([64, 3, 7, 7]));
    assert_eq!(tensors[0]["dtype"], "float16");
    // Other classes than the file's: the head is made anew, and says so.
    let output = run(&["inspect", name, "--classes", "2", "--json"]);
    let all = lines(&output);
    let remade: Vec<&Json> = of_type(&all, "tensor").into_iter().filter(|t| t["state"] == "remade").collect();
    assert_eq!(remade.len(), 2);
    assert_eq!(remade[0]["reason"], "7 classes in the file, 2 here");
    let text = String::from_utf8(run(&["inspect", name]).stdout).unwrap();
    assert!(text.contains("as resnet34: 182 loaded, 0 unused"), "{text}");
}

#[test]
fn inspect_of_a_part_of_a_network_says_what_is_missing() {
    let Some(file) = shared("data/weights/resnet18_imagenet_PARTIAL_no_layer4.safetensors") else { return };
    let output = run(&["inspect", file.to_str().unwrap(), "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let all = lines(&output);
    let load = of_type(&all, "load")[0];
    assert_eq!(load["model"], "resnet18");
    let missing = of_type(&all, "tensor").into_iter().filter(|tensor| tensor["state"] == "missing");
    let layer4 = missing.filter(|tensor| tensor["name"].as_str().unwrap().starts_with("layer4.")).count();
    // SOURCE.md: layer4 is absent but for its downsampling branch: 4 convolutions and 4 batch norms of 4 tensors.
    assert_eq!(layer4, 20);
    assert!(load["warning"].as_str().unwrap().contains("80 % of the backbone"), "{load}");
}

#[test]
fn inspect_of_another_network_names_the_nearest() {
    let output = run(&["inspect", &fixture("zip_state_dict.pth"), "--json"]);
    assert_eq!(code(&output), 2);
    let all = lines(&output);
    let nearest = of_type(&all, "nearest");
    assert_eq!(nearest.len(), 3);
    assert!(nearest[0]["what"].as_str().unwrap().contains("conv1.weight is [4, 3, 3, 3] in the file"), "{nearest:?}");
    assert!(nearest[0]["similarity"].as_f64().unwrap() < 0.1);
    refused(&["inspect", &fixture("zip_state_dict.pth")], "fits none of the models");
    refused(&["inspect", &fixture("truncated_zip.pth")], "is cut off");
    refused(&["inspect", &fixture("git_lfs_pointer.pth")], "git_lfs_pointer.pth");
    refused(&["inspect", "resnet19"], "There is no model named resnet19");
}

#[test]
fn check_counts_what_is_used_and_names_what_is_not() {
    let home = tempfile::tempdir().unwrap();
    set(home.path(), 4, 2);
    std::fs::write(home.path().join("train/cold/broken.jpg"), b"not a picture").unwrap();
    std::fs::write(home.path().join("train/warm/empty.png"), b"").unwrap();
    let path = home.path().to_str().unwrap();
    let output = run(&["check", path, "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let all = lines(&output);
    let set = all.last().unwrap();
    assert_eq!(set["type"], "dataset");
    assert_eq!(set["task"], "classify");
    assert_eq!(set["classes"], serde_json::json!(["cold", "warm"]));
    assert_eq!((&set["images"], &set["used"], &set["skipped"]), (&14.into(), &12.into(), &2.into()));
    assert_eq!(set["splits"], serde_json::json!({"train": 8, "val": 4, "test": 0}));
    assert_eq!(set["usable"], true);
    assert!(set["format"].as_str().unwrap().contains("class folders"));
    for name in ["broken.jpg", "empty.png"] {
        let found = |issue: &&&Json| issue["file"].as_str().unwrap().ends_with(name);
        let issue = *of_type(&all, "issue").iter().find(found).unwrap();
        assert_eq!(issue["severity"], "error", "{issue}");
        assert!(!issue["what"].as_str().unwrap().is_empty());
    }
    // A share of the pictures instead of the set's own split: 12 pictures, a third of each class.
    let output = run(&["check", path, "--val", "0.5", "--json"]);
    assert_eq!(lines(&output).last().unwrap()["splits"], serde_json::json!({"train": 6, "val": 6, "test": 0}));
    let table = String::from_utf8(run(&["check", path]).stdout).unwrap();
    assert!(table.contains("14 images, 12 used, 2 skipped") && table.contains("broken.jpg"), "{table}");
}

#[test]
fn check_refuses_what_cannot_be_trained_on() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_str().unwrap();
    refused(&["check", path], "is empty");
    refused(&["check", "/nonexistent/set"], "/nonexistent/set does not exist");
    refused(&["check", path, "--val", "1.5"], "--val 1.5");
    set(home.path(), 3, 1);
    std::fs::remove_dir_all(home.path().join("train/warm")).unwrap();
    std::fs::remove_dir_all(home.path().join("val/warm")).unwrap();
    let output = run(&["check", path, "--json"]);
    assert_eq!(code(&output), 2);
    let all = lines(&output);
    let set = all.last().unwrap();
    assert_eq!(set["usable"], false);
    assert!(set["reasons"][0].as_str().unwrap().contains("only one class (cold)"), "{set}");
    let output = run(&["check", "/nonexistent/set", "--json"]);
    assert_eq!((code(&output), &lines(&output).last().unwrap()["usable"]), (2, &false.into()));
}

#[test]
fn usage_errors_are_2_and_help_is_0() {
    for args in [
        &["train"][..],
        &["train", "--data", "sample", "--model", "resnet18"],
        &["train", "--data", "sample", "--model", "resnet18", "--out", "x", "--epochs", "many"],
        &["models", "--jsn"],
        &["models", "--device", "cuda"],
        &["eval", "run"],
        &["predict", "run"],
        &["sample"],
    ] {
        let output = run(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
    refused(&["chek"], "chek");
    for args in [&["--help"][..], &["--version"], &["train", "--help"], &["help", "predict"]] {
        let output = run(args);
        assert_eq!(code(&output), 0, "{args:?}");
        assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn train_refuses_bad_plans_before_anything_is_written() {
    let home = tempfile::tempdir().unwrap();
    set(&home.path().join("set"), 2, 1);
    let (data, out) = (home.path().join("set"), home.path().join("run"));
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    let with = |model: &str, more: &[&str], what: &str| {
        let args = [&["train", "--data", data, "--model", model, "--out", out, "--device", "cpu"], more].concat();
        refused(&args, what);
        assert!(!Path::new(out).exists(), "{args:?} wrote a run");
    };
    with("resnet19", &[], "There is no model named resnet19; known are resnet18");
    with("resnet18", &["--freeze", "until:layer9"], "no node or stage named layer9; it has stem, layer1");
    with("resnet18", &["--freeze", "layer1", "layer8"], "layer8");
    with("resnet18", &["--stage-lr", "layer9=0.1"], "no stage layer9");
    with("resnet18", &["--weights", "/nonexistent.pth"], "/nonexistent.pth");
    with("resnet18", &["--weights", &fixture("truncated_zip.pth")], "; fetch it again");
    with("resnet18", &["--weights", &fixture("zip_state_dict.pth")], "zip_state_dict.pth");
    with("resnet_mini", &["--weights", "public"], "resnet_mini has no public weights");
    with("resnet18", &["--size", "8"], "8");
    with("resnet18", &["--lr", "0"], "learning rate");
    with("resnet18", &["--epochs", "0"], "epochs");
    with("resnet18", &["--accumulate", "0"], "at least 1 batch");
    with("resnet18", &["--val", "/nonexistent/val"], "/nonexistent/val");
    with("resnet18", &["--optimizer", "adamw", "--momentum", "0.9"], "--momentum belongs to sgd");
    refused(&["train", "--data", "/nonexistent", "--model", "resnet18", "--out", out], "/nonexistent does not exist");
    refused(&["resume", out], "is not a run's folder");
    refused(&["eval", out, "--data", data], "does not exist");
    refused(&["predict", out, "a.jpg"], "does not exist");
    refused(&["export", out, "--to", "x.safetensors"], "does not exist");
}

#[test]
fn sample_unpacks_and_never_overwrites() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("sample");
    let name = folder.to_str().unwrap();
    let output = run(&["sample", "--out", name, "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(lines(&output)[0], serde_json::json!({"type": "written", "path": name}));
    let leaves = std::fs::read_dir(folder.join("train/leaf")).unwrap().count();
    assert_eq!(leaves, frostline::data::sample::ASSET_TRAIN);
    refused(&["sample", "--out", name], "is not an empty folder");
}

#[test]
fn steps_of_several_batches_are_told_as_steps() {
    let home = tempfile::tempdir().unwrap();
    set(&home.path().join("set"), 6, 3);
    let (data, out) = (home.path().join("set"), home.path().join("run"));
    let more = ["--epochs", "2", "--freeze", "head-only", "--accumulate", "2"];
    let output = run(&tiny(data.to_str().unwrap(), out.to_str().unwrap(), &more));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let all = lines(&output);
    let told: Vec<_> = of_type(&all, "step").iter().map(|step| (step["step"].clone(), step["epoch"].clone())).collect();
    assert_eq!(
        told,
        [(1, 1), (2, 1), (3, 2), (4, 2)].map(|(step, epoch)| (step.into(), epoch.into())),
        "3 batches: 2, 1"
    );
}

#[test]
fn train_names_the_pictures_that_it_leaves_out() {
    let home = tempfile::tempdir().unwrap();
    set(&home.path().join("set"), 6, 3);
    let (data, out) = (home.path().join("set"), home.path().join("run"));
    let class = std::fs::read_dir(data.join("train")).unwrap().next().unwrap().unwrap().path();
    (0..7).for_each(|i| std::fs::write(class.join(format!("broken{i}.png")), "no picture").unwrap());
    let output = run(&tiny(data.to_str().unwrap(), out.to_str().unwrap(), &["--epochs", "1"]));
    let said = stderr(&output);
    assert_eq!(code(&output), 0, "{said}");
    let named = (0..7).filter(|i| said.matches(&format!("broken{i}.png")).count() == 1).count();
    assert_eq!(named, 5, "{said}");
    assert!(said.contains("2 more files cannot be used") && said.contains("frostline check"), "{said}");
}

/// Arguments of a run that takes a second: the small network at 32 px on the CPU.
fn tiny<'a>(data: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = ["train", "--data", data, "--model", "resnet_mini", "--size", "32", "--batch", "4", "--device", "cpu"];
    [&base[..], &["--seed", "1", "--out", out, "--json"], more].concat()
}

fn numbers(value: &Json) -> usize {
    let map = value.as_object().unwrap();
    assert!(map.values().all(|value| value.as_f64().is_some_and(f64::is_finite)), "{value}");
    map.len()
}

#[test]
fn train_eval_predict_and_export_agree() {
    let home = tempfile::tempdir().unwrap();
    set(&home.path().join("set"), 6, 3);
    let (data, out) = (home.path().join("set"), home.path().join("run"));
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    let output = run(&tiny(data, out, &["--epochs", "2", "--freeze", "until:layer2", "--cache", "on", "--views", "1"]));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("feature cache: on at layer2.0"), "{}", stderr(&output));
    assert!(stderr(&output).contains("from kept features"), "{}", stderr(&output));
    assert!(stderr(&output).contains("frozen verified"), "{}", stderr(&output));
    let all = lines(&output);

    let start = &all[0];
    assert_eq!(
        (&start["type"], &start["model"], &start["cache"]),
        (&"start".into(), &"resnet_mini".into(), &"on".into())
    );
    assert!(!start["device"].as_str().unwrap().is_empty());
    assert_eq!(start["images"], serde_json::json!({"train": 12, "val": 6}));
    // Stem, layer1 and layer2 are frozen: 3 * 32 * 49 + 64, then 2 * 32 * 32 * 9 + 4 * 32, then 32 * 64 * 9 + 64 * 64 * 9
    // + 32 * 64 + 6 * 64 values do not train.
    let frozen = 3 * 32 * 49 + 64 + 2 * 32 * 32 * 9 + 4 * 32 + 32 * 64 * 9 + 64 * 64 * 9 + 32 * 64 + 6 * 64;
    assert_eq!(start["trainable"].as_u64().unwrap(), start["params"].as_u64().unwrap() - frozen);

    let steps = of_type(&all, "step");
    assert_eq!(steps.len(), 6, "12 pictures in batches of 4, twice");
    for (i, step) in steps.iter().enumerate() {
        assert_eq!(step["step"], i + 1);
        assert_eq!(step["epoch"], i / 3 + 1);
        assert_eq!(numbers(&step["losses"]), 2);
        assert_eq!(step["losses"]["total"], step["losses"]["cls"]);
        assert_eq!(numbers(&step["ms"]), 4);
        assert!(step["lr"].as_f64().unwrap() > 0.0 && step["images_per_s"].as_f64().unwrap() > 0.0);
    }
    let epochs = of_type(&all, "epoch");
    assert_eq!(epochs.len(), 3);
    for (i, epoch) in epochs.iter().enumerate() {
        assert_eq!(epoch["epoch"], i);
        assert_eq!(numbers(&epoch["train"]), if i == 0 { 0 } else { 2 });
        assert_eq!(numbers(&epoch["val"]), 2);
        assert!((0.0..=1.0).contains(&epoch["metrics"]["top1"].as_f64().unwrap()));
        assert!(epoch["seconds"].as_f64().unwrap() > 0.0);
        assert_eq!((&epoch["frozen_verified"], &epoch["cached"]), (&true.into(), &(i == 2).into()));
        // conv1 and bn1 of the stem (5), of layer1 two of each (10), of layer2 three of each (15).
        assert_eq!(epoch["frozen_tensors"], 30);
    }
    let done = all.last().unwrap();
    assert_eq!((&done["type"], &done["best"]["metric"]), (&"done".into(), &"top1".into()));
    let best = usize::try_from(done["best"]["epoch"].as_u64().unwrap()).unwrap();
    assert_eq!(done["best"]["value"], epochs[best]["metrics"]["top1"]);
    assert!(Path::new(done["checkpoint"].as_str().unwrap()).is_file());

    refused(&tiny(data, out, &[]), "holds a run already");
    eval_by_class_and_picture(data, out, best);
    eval_and_predict(data, out, done["best"]["value"].as_f64().unwrap());
    export(home.path(), out);
}

/// Rows and lines of `eval` agree with each other, and the run's folder holds what its best epoch says.
fn eval_by_class_and_picture(data: &str, out: &str, best: usize) {
    let output = run(&["eval", out, "--data", data, "--device", "cpu", "--json", "--per-image"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let all = lines(&output);
    let (eval, images) = (all.last().unwrap(), of_type(&all, "image"));
    assert_eq!((images.len(), all.len(), &eval["split"]), (6, 7, &"val".into()));
    let loss: f64 = images.iter().map(|image| image["loss"].as_f64().unwrap()).sum::<f64>() / 6.0;
    // One is summed on the device, the other from each picture's logits here.
    assert!((loss - eval["losses"]["cls"].as_f64().unwrap()).abs() < 1e-5, "{loss} against {}", eval["losses"]);
    let right = images.iter().filter(|image| image["correct"] == true).count();
    let rows = eval["per_class"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>(), ["cold", "warm"]);
    assert!(rows.iter().all(|row| row["support"] == 3));
    let found: f64 = rows.iter().map(|row| row["recall"].as_f64().unwrap() * 3.0).sum();
    assert!((found - right as f64).abs() < 1e-9, "{found} found, {right} right");
    for name in ["macro", "weighted"] {
        assert!((eval[name]["recall"].as_f64().unwrap() - right as f64 / 6.0).abs() < 1e-9, "three of each class");
        assert_eq!(numbers(&eval[name]), 3);
    }
    assert!((0.0..=1.0).contains(&eval["ece"].as_f64().unwrap()) && eval["mce"].as_f64() >= eval["ece"].as_f64());
    for image in images {
        let scores: f64 =
            image["classes"].as_array().unwrap().iter().map(|class| class["score"].as_f64().unwrap()).sum();
        assert!((scores - 1.0).abs() < 1e-5);
        let loss = -image["truth_score"].as_f64().unwrap().ln();
        assert!((loss - image["loss"].as_f64().unwrap()).abs() < 1e-4);
        assert!(
            image["image"].as_str().unwrap().starts_with(&format!("{data}/val/{}", image["truth"].as_str().unwrap()))
        );
    }
    let kept = std::fs::read_to_string(format!("{out}/evaluation.jsonl")).unwrap();
    let kept: Vec<Json> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((kept.len(), &kept[0]["epoch"]), (7, &best.into()));
    assert_eq!(kept[0]["metrics"], eval["metrics"]);

    let train = run(&["eval", out, "--data", data, "--device", "cpu", "--json", "--split", "train"]);
    assert_eq!((&lines(&train)[0]["images"], &lines(&train)[0]["split"]), (&12.into(), &"train".into()));
    let test = run(&["eval", out, "--data", data, "--device", "cpu", "--split", "test"]);
    assert_ne!(code(&test), 0);
    assert!(stderr(&test).contains("no test pictures"), "{}", stderr(&test));
}

/// `eval` measures on the same pictures what the run measured; `predict` knows the run's classes.
fn eval_and_predict(data: &str, out: &str, top1: f64) {
    let output = run(&["eval", out, "--data", data, "--device", "cpu", "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let eval = &lines(&output)[0];
    assert_eq!((&eval["type"], &eval["images"]), (&"eval".into(), &6.into()));
    assert!((eval["metrics"]["top1"].as_f64().unwrap() - top1).abs() < 1e-9, "{eval} against {top1}");

    let picture = format!("{data}/val/warm/warm0.png");
    let output = run(&["predict", out, &picture, &picture, "--device", "cpu", "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let all = lines(&output);
    assert_eq!(all.len(), 2);
    assert_eq!((&all[0]["type"], &all[0]["image"]), (&"prediction".into(), &picture.as_str().into()));
    assert_eq!(all[0]["size"], serde_json::json!([36, 32]));
    let classes = all[0]["classes"].as_array().unwrap();
    let mut names: Vec<&str> = classes.iter().map(|class| class["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["cold", "warm"]);
    let scores: Vec<f64> = classes.iter().map(|class| class["score"].as_f64().unwrap()).collect();
    assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-5 && scores[0] >= scores[1], "{scores:?}");

    let (broken, answers) = (format!("{data}/broken.jpg"), format!("{out}/answers"));
    std::fs::write(&broken, b"no picture").unwrap();
    let output = run(&["predict", out, &picture, &broken, "--out", &answers, "--device", "cpu", "--json"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert_eq!(lines(&output).len(), 2);
    assert!(stderr(&output).contains("broken.jpg"), "{}", stderr(&output));
    let written = std::fs::read_to_string(format!("{answers}/predictions.jsonl")).unwrap();
    assert_eq!(written.as_bytes(), output.stdout);
    // Mesa writes an error of its own where it looks for a display, so that no graphics device is asked for.
    refused(&["predict", out, &picture, "--prompt", "point:3,4", "--device", "cpu"], "prompt");
}

/// The exported file is a checkpoint that this program recognizes whole, with its classes.
fn export(home: &Path, out: &str) {
    let file = home.join("exported.safetensors");
    let name = file.to_str().unwrap();
    let output = run(&["export", out, "--to", name, "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let bytes = std::fs::metadata(&file).unwrap().len();
    assert_eq!(lines(&output)[0], serde_json::json!({"type": "written", "path": name, "bytes": bytes}));
    let all = lines(&run(&["inspect", name, "--json"]));
    let load = of_type(&all, "load")[0];
    assert_eq!((&load["model"], &load["similarity"]), (&"resnet_mini".into(), &1.0.into()));
    assert_eq!(load["metadata"]["frostline.classes"], "[\"cold\",\"warm\"]");
    let pth = home.join("exported.pth");
    assert_eq!(code(&run(&["export", out, "--to", pth.to_str().unwrap()])), 0);
    let all = lines(&run(&["inspect", pth.to_str().unwrap(), "--json"]));
    let load = of_type(&all, "load")[0];
    assert_eq!((&load["model"], &load["similarity"]), (&"resnet_mini".into(), &1.0.into()));
    // The same weights from the run and from the checkpoint, as a file that another engine runs alike.
    for (source, to) in [(out, "run.onnx"), (name, "file.onnx")] {
        let to = home.join(to);
        let output = run(&["export", source, "--to", to.to_str().unwrap(), "--json"]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let written = &lines(&output)[0];
        assert_eq!((&written["type"], &written["path"]), (&"written".into(), &to.to_str().unwrap().into()));
        let check = &written["check"];
        assert_eq!(
            (&check["engine"], &check["batch"], &check["same_top1"]),
            (&"tract".into(), &2.into(), &true.into())
        );
        assert!(check["max_abs_diff"].as_f64().unwrap() < 1e-4, "{check}");
        let head = &check["heads"][0];
        assert_eq!((&head["head"], &head["program"]["name"]), (&"cls".into(), &head["file"]["name"]));
        assert!(["cold", "warm"].contains(&head["program"]["name"].as_str().unwrap()), "{head}");
        // The run's set has pictures for validation; a checkpoint alone is tried on a generated one.
        let image = check["image"].as_str().unwrap();
        assert_eq!(image.contains("set/val/cold"), source == out, "{image}");
    }
    let bytes = |name: &str| std::fs::read(home.join(name)).unwrap();
    let text = String::from_utf8_lossy(&bytes("run.onnx")).into_owned();
    for note in ["[\"cold\",\"warm\"]", "resize the shorter side to 36 px (bilinear, antialiased), crop 32×32 px"] {
        assert!(text.contains(note), "{note}");
    }
    assert_eq!(bytes("run.onnx").len(), bytes("file.onnx").len());
    refused(&["export", out, "--to", "x.pb"], "must end in .safetensors or .pth or .onnx");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_the_run_can_be_resumed() {
    use std::io::{BufRead as _, BufReader};
    let home = tempfile::tempdir().unwrap();
    set(&home.path().join("set"), 6, 3);
    let (data, out) = (home.path().join("set"), home.path().join("run"));
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    let mut child = frostline()
        .args(tiny(data, out, &["--epochs", "5000"]))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let mut done = None;
    let mut last = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Json = serde_json::from_str(&line.unwrap()).unwrap();
        match line["type"].as_str().unwrap() {
            "step" if last == 0 => {
                last = line["step"].as_u64().unwrap();
                assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
            }
            "step" => last = line["step"].as_u64().unwrap(),
            "done" => done = Some(line),
            _ => {}
        }
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", stderr(&output));
    assert_eq!(done.unwrap()["ending"], "cancelled");
    assert!(stderr(&output).contains("frostline resume"), "{}", stderr(&output));

    let epochs = (last / 3 + 1).to_string();
    let output = run(&["resume", out, "--epochs", &epochs, "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let all = lines(&output);
    let first = of_type(&all, "step")[0]["step"].as_u64().unwrap();
    assert!(first == last + 1 || first == last, "stopped after step {last}, went on with {first}");
    let finished = of_type(&all, "epoch").last().unwrap()["epoch"].to_string();
    assert_eq!(finished, epochs);
    assert_eq!(all.last().unwrap()["ending"], "completed");
}

#[test]
fn bench_measures_each_case_in_a_process_of_its_own() {
    let small = ["bench", "--device", "cpu", "--batch", "2", "--steps", "2", "--json"];
    let cases = [("resnet_mini", "classify", "32"), ("yolox_nano", "detect", "64"), ("unet_mini", "segment", "32")];
    for (model, task, size) in cases {
        let plans = ["--freeze", "all", "head-only", "head-only-cached"];
        let output = run(&[&small[..], &["--model", model, "--size", size], &plans].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let all = lines(&output);
        let head = |line: &Json| (line["model"].clone(), line["task"].clone(), line["freeze"].clone());
        let heads: Vec<_> = all.iter().map(head).collect();
        assert_eq!(
            heads,
            ["all", "head-only", "head-only-cached"].map(|freeze| (model.into(), task.into(), freeze.into()))
        );
        for line in &all {
            let number = |value: &Json| value.as_f64().unwrap_or_else(|| panic!("{line}"));
            let ms = &line["ms"];
            let (slow, fast) = (number(&line["images_per_s_range"][0]), number(&line["images_per_s_range"][1]));
            assert!(slow > 0.0 && (slow..=fast).contains(&number(&line["images_per_s"])), "{line}");
            assert!(number(&ms["forward"]) > 0.0 && number(&ms["backward"]) > 0.0, "{line}");
            assert!(number(&ms["data"]) >= 0.0 && number(&ms["optimizer"]) >= 0.0, "{line}");
            assert!(number(&line["first_step_ms"]) > 0.0 && number(&line["start_s"]) > 0.0, "{line}");
            assert_eq!((&line["batch"], &line["size"]), (&2.into(), &json_number(size)));
            // More than the program's own code, less than the machine has.
            assert!(line["peak_mib"].is_null() || (10.0..100_000.0).contains(&number(&line["peak_mib"])), "{line}");
        }
        assert_eq!(all[0]["trainable"], all[0]["params"], "{model}: everything trains");
        for line in &all[1..] {
            assert!(line["trainable"].as_u64() < line["params"].as_u64(), "{model}: the backbone is frozen");
        }
        assert_eq!((&all[0]["steps"], &all[1]["steps"]), (&2.into(), &2.into()));
        // Three epochs of a pass over all pictures, without the part that is cached.
        let (images, epoch) = (all[2]["epoch_images"].as_u64().unwrap(), all[2]["epoch_s"].as_f64().unwrap());
        assert_eq!(all[2]["steps"], 3 * images.div_ceil(2));
        assert!(epoch > 0.0 && all[1]["epoch_s"].is_null(), "{}", all[2]);
    }
}

fn json_number(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

#[test]
fn bench_refuses_what_cannot_be_measured() {
    refused(&["bench", "--model", "resnet19"], "There is no model named resnet19");
    refused(&["bench", "--model", "resnet_mini", "--freeze", "layer9"], "layer9");
    refused(&["bench", "--model", "unet_resnet18", "--size", "100"], "100 px");
    for args in [&["bench", "--all", "--model", "resnet18"][..], &["bench", "--steps", "0"], &["bench", "--size", "8"]]
    {
        assert_eq!(code(&run(args)), 2, "{args:?}");
    }
}

#[test]
fn an_adapter_that_failed_its_self_test_is_not_used_and_it_is_said() {
    use frostline::train::{DeviceChoice, SelfTest, device};
    let Ok((_, adapter)) = device::open(DeviceChoice::Wgpu(None)) else {
        assert!(std::env::var_os("FROSTLINE_REQUIRE_WGPU").is_none(), "no adapter");
        eprintln!("SKIPPED an_adapter_that_failed_its_self_test_is_not_used_and_it_is_said: no adapter");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("frostline")).unwrap();
    let known = serde_json::json!({"adapters": {SelfTest::key(&adapter): {"fault": "planted"}}});
    std::fs::write(home.path().join("frostline/adapters.json"), known.to_string()).unwrap();
    let args = ["bench", "--device", "wgpu", "--model", "resnet_mini", "--size", "32", "--batch", "2", "--steps", "1"];
    let output = frostline()
        .args(args)
        .args(["--freeze", "head-only", "--json"])
        .env("XDG_CACHE_HOME", home.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let why = format!("the processor computes: the self-test of {} failed (planted)", adapter.name);
    assert!(stderr(&output).lines().any(|line| line == why), "{}", stderr(&output));
    assert_ne!(lines(&output)[0]["device"], adapter.name);
}
