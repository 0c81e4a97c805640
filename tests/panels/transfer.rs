//! How the weights go over: the states of the panel, and what clicks on it ask for.

use super::world::{Shows, World};
use super::{picture, write};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use frostline::data::{Dataset, LabelColumn, Task};
use frostline::graph::Preprocess;
use frostline::session::Event;
use frostline::train::{Plan, WeightsSource, inspect_weights, wanted};
use frostline::ui::{Action, Theme};
use frostline::weights::{HeadPolicy, PlainTensor, SaveDtype, imagenet_classes, save_safetensors};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Writes a checkpoint of the small model whose head knows `classes`, without the tensors of `lacks`.
fn checkpoint(path: &Path, classes: &[&str], key: &str, lacks: &str) {
    let graph = frostline::models::find("resnet_mini").unwrap().graph(classes.len(), 96).unwrap();
    let tensors: Vec<PlainTensor> = wanted(&graph, &graph.facts().unwrap())
        .into_iter()
        .filter(|tensor| lacks.is_empty() || !tensor.name.starts_with(lacks))
        .map(|tensor| {
            let count = tensor.shape.iter().product();
            (tensor.name, tensor.shape, vec![0.5; count])
        })
        .collect();
    let mut metadata = BTreeMap::from([(key.to_owned(), serde_json::to_string(classes).unwrap())]);
    if key == "frostline.classes" {
        let rule = serde_json::to_string(&Preprocess::imagenet(64)).unwrap();
        metadata.extend([
            ("frostline.model".to_owned(), "resnet_mini".to_owned()),
            ("frostline.preprocess".to_owned(), rule),
        ]);
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    save_safetensors(path, &tensors, SaveDtype::F32, &metadata).unwrap();
}

fn dataset(classes: &[&str]) -> Dataset {
    Dataset {
        root: PathBuf::new(),
        name: "insects".to_owned(),
        task: Task::Classify,
        format: "class folders".to_owned(),
        columns: vec![LabelColumn::single(classes.iter().map(|&class| class.to_owned()).collect())],
        category_ids: Vec::new(),
        samples: Vec::new(),
        issues: Vec::new(),
        found: 0,
        suggested_split: false,
        unnamed: Vec::new(),
    }
}

/// What the panel would show for a checkpoint and these classes.
fn load(world: &mut World, file: &Path, classes: &[&str]) {
    let head = world.project.plan.head.clone();
    let plan = Plan {
        model: "resnet_mini".to_owned(),
        weights: WeightsSource::File(file.to_path_buf()),
        head,
        ..Plan::default()
    };
    let report = inspect_weights(&plan, &Arc::new(dataset(classes))).unwrap().unwrap();
    world.project.plan = plan;
    world.view.fold(Event::CheckpointReady(Arc::new(report)));
}

#[test]
fn pictures_of_the_weights_that_go_over() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str| home.path().join(name);
    let imagenet = imagenet_classes();
    checkpoint(&file("imagenet.safetensors"), &imagenet, "class_names", "");
    checkpoint(&file("insects.safetensors"), &["ants", "bees", "moths", "wasps"], "classes", "");
    checkpoint(&file("cut.safetensors"), &["ants", "bees", "moths", "wasps"], "classes", "layer4");
    checkpoint(&file("run-3/best.safetensors"), &["ants", "bees", "wasps"], "frostline.classes", "");
    let wide = [1400.0, 290.0];
    let show = |name: &str, size: [f32; 2], from: &str, classes: &[&str], policy: &HeadPolicy| {
        picture(name, Shows::Transfer, size, |world| {
            world.project.plan.head = policy.clone();
            load(world, &file(from), classes);
        });
    };
    let keep = HeadPolicy::default();
    show("transfer_imagenet", wide, "imagenet.safetensors", &["ants", "bees"], &keep);
    show("transfer_some", wide, "insects.safetensors", &["ants", "bees", "beetles", "flies", "wasps"], &keep);
    show("transfer_permuted", wide, "insects.safetensors", &["wasps", "moths", "Bees", "ants"], &keep);
    show("transfer_run", [1100.0, 210.0], "run-3/best.safetensors", &["ants", "bees", "wasps"], &keep);
    show("transfer_cut", [1100.0, 210.0], "cut.safetensors", &["ants", "bees", "wasps"], &keep);
    let many: Vec<&str> =
        ["Cardigan dog", "CARDIGAN", "tabby"].into_iter().chain(imagenet.iter().copied().skip(300).take(40)).collect();
    show("transfer_many", wide, "imagenet.safetensors", &many, &keep);
    let off = HeadPolicy { keep: false, ..keep };
    show("transfer_off", wide, "insects.safetensors", &["ants", "bees"], &off);
}

fn window(from: &Path, classes: &[&str]) -> Harness<'static, World> {
    let mut world = World::new(Shows::Transfer, Theme::dark());
    load(&mut world, from, classes);
    world.window(1400.0, 420.0)
}

/// The plan that the last click asked for.
fn edited(harness: &Harness<'_, World>) -> (String, Plan) {
    let edit = harness.state().actions.iter().rev().find_map(|action| match action {
        Action::Edit { name, plan } => Some((name.clone(), (**plan).clone())),
        _ => None,
    });
    edit.expect("the plan was edited")
}

#[test]
fn a_row_is_chosen_by_hand_and_the_head_is_made_new() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("imagenet.safetensors");
    checkpoint(&file, &imagenet_classes(), "class_names", "");
    let mut harness = window(&file, &["ants", "cardigan", "CARDIGAN"]);
    assert!(harness.query_by_label("cardigan starts from cardigan: same name").is_some(), "spelled alike");
    let ambiguous = "CARDIGAN starts from made new: 2 classes match: Cardigan, cardigan; choose one";
    assert!(harness.query_by_label(ambiguous).is_some());
    harness.get_by_label("ants starts from made new: not in the file; similar: ant").click();
    harness.run_ok();
    harness.get_by_label("ant").click();
    harness.run_ok();
    let (name, plan) = edited(&harness);
    assert_eq!(name, "ants starts from ant");
    assert_eq!(plan.head.chosen("cls", "ants"), Some(&Some("ant".to_owned())));
    // Only what is in sight is drawn of a thousand.
    let drawn = harness.query_all_by_label_contains("dropped, forgotten").count();
    assert!((5..40).contains(&drawn), "{drawn} rows");
    harness.get_by_label("Search classes").focus();
    harness.get_by_label("Search classes").type_text("toilet");
    harness.run_ok();
    assert_eq!(harness.query_all_by_label_contains("dropped, forgotten").count(), 2, "toilet seat, toilet tissue");
    harness.get_by_label("keep same-named classes").click();
    harness.run_ok();
    let (name, plan) = edited(&harness);
    assert_eq!((name.as_str(), plan.head.keep), ("Make the head new", false));
}

#[test]
fn tensors_are_grouped_and_say_why() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("insects.safetensors");
    checkpoint(&file, &["ants", "bees", "moths", "wasps"], "classes", "");
    let mut harness = window(&file, &["ants", "bees", "beetles", "flies", "wasps"]);
    assert!(harness.query_by_label("fc.weight: 4 × 256 → 5 × 256; 3 of 5 rows kept, 2 made new").is_some());
    assert!(harness.query_by_label_contains("moths: dropped").is_some());
    assert!(harness.query_by_label_contains("layer1.0.conv1.weight").is_none());
    harness.get_by_label("loaded: 60 tensors").click();
    harness.run_ok();
    assert!(harness.query_by_label("layer1.0.conv1.weight: 32 × 32 × 3 × 3").is_some());
    write_if_drawn(&file);
}

/// The open list too, to be looked at.
fn write_if_drawn(file: &Path) {
    let mut world = World::new(Shows::Transfer, Theme::dark());
    load(&mut world, file, &["ants", "bees", "beetles", "flies", "wasps"]);
    world.panels.transfer.open.insert(frostline::ui::panels::transfer::Group::Loaded);
    if let Some(mut harness) = world.drawn_window(1100.0, 260.0) {
        write(&mut harness, "transfer_loaded_dark");
    }
}
