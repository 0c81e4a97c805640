//! Head surgery against a checkpoint of torch's: rows go to the places of their classes, the rest starts anew.
//! `tests/reference/surgery.py` writes the fixture.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and say what they skip"
)]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::tiny;
use frostline::data::Dataset;
use frostline::graph::blocks::{Activation, Classifier, ConvNormAct, GlobalAvgPool};
use frostline::graph::{Builder, Conv, Graph, HeadKind, Part, Preprocess};
use frostline::models::{Mode, Network};
use frostline::nn::{Ctx, Value};
use frostline::train::{Plan, RunFolder, Setup, Trainer, WeightsSource, about_weights, weights_file};
use frostline::weights::{
    self, Checkpoint, ClassNames, HeadPolicy, LoadReport, NewHead, RowLayout, RowState, SaveDtype, Wanted, Why,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn fixture() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/surgery.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/files").join(name)
}

fn floats(json: &serde_json::Value) -> Vec<f32> {
    json.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

/// The fixture's network for other classes, and with another width if asked.
fn small(classes: usize, width: usize) -> Graph {
    let mut b = Builder::new("small", 16, 16);
    let conv = Conv::new(3, width, 3, 1);
    let x = b.named("stem", "stem", ConvNormAct::new(conv, Activation::Relu), &[b.image()]);
    b.part(Part::Backbone);
    let x = b.node("avgpool", GlobalAvgPool {}, &[x]);
    b.part(Part::Head("cls".to_owned()));
    let x = b.node("fc", Classifier::new(width, classes), &[x]);
    b.head("cls", x, HeadKind::Classify { classes });
    b.finish().unwrap()
}

/// A set of pictures with these classes.
fn named(classes: &[&str]) -> Arc<Dataset> {
    let mut dataset = Arc::unwrap_or_clone(tiny::dataset(16));
    dataset.columns[0].classes = classes.iter().map(|&class| class.to_owned()).collect();
    Arc::new(dataset)
}

fn plan_from(path: PathBuf, head: HeadPolicy) -> Plan {
    Plan { weights: WeightsSource::File(path), head, seed: 7, ..tiny::plan(1) }
}

fn load(name: &str, classes: &[&str], head: HeadPolicy) -> (Network, LoadReport) {
    let (plan, dataset) = (plan_from(file(name), head), named(classes));
    let graph = small(classes.len(), 6);
    let setup = Setup::with_graph(plan, dataset, graph, tiny::rule(), &Device::flex()).unwrap();
    let report = setup.load.as_deref().unwrap().clone();
    (setup.network, report)
}

fn tensor(network: &Network, name: &str) -> Vec<f32> {
    network.tensors_where(|_, spec| spec.name == name).unwrap().remove(0).values
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Each class's row of weight and bias, as bits.
fn head_rows(network: &Network) -> Vec<Vec<u32>> {
    let (weight, bias) = (tensor(network, "fc.weight"), tensor(network, "fc.bias"));
    weight.chunks(6).zip(&bias).map(|(row, bias)| bits(&[row, &[*bias]].concat())).collect()
}

/// The rows of the old head in torch's file.
fn old_rows() -> Vec<Vec<u32>> {
    let fixture = fixture();
    let weight = fixture["weight"].as_array().unwrap().iter().map(floats);
    weight.zip(floats(&fixture["bias"])).map(|(row, bias)| bits(&[row, vec![bias]].concat())).collect()
}

/// The rows that the same seed gives without any checkpoint.
fn fresh_rows(classes: usize) -> Vec<Vec<u32>> {
    head_rows(&Network::new(Arc::new(small(classes, 6)), 7, &Device::flex()).unwrap())
}

fn logits(network: &Network) -> Vec<f32> {
    let values: Vec<f32> = (0..768).map(|i| (-2.0 + 4.0 * f64::from(i) / 767.0) as f32).collect();
    let x = Tensor::<4>::from_data(TensorData::new(values, [1, 3, 16, 16]), &Device::flex());
    let Value::Vector(out) = network.forward(x, Mode::Infer, &mut Ctx::default()).unwrap().remove(0) else {
        panic!("a classifier answers with a vector");
    };
    out.into_data().try_to_vec::<f32>().unwrap()
}

fn state<'r>(report: &'r LoadReport, name: &str) -> &'r RowState {
    &report.rows.iter().find(|row| row.name == name).unwrap().state
}

#[test]
fn kept_rows_are_the_files_and_the_rest_is_what_the_seed_gives() {
    // Case and spaces do not count, and one of several names is enough; `fly` is new.
    let classes = ["bee", "fly", "paper wasp", "Yellow Jacket", "ant"];
    let from = [Some(1), None, Some(2), Some(3), Some(0)];
    let (old, fresh, fixture) = (old_rows(), fresh_rows(5), fixture());
    for name in ["surgery_names.pth", "surgery_idx.pth", "surgery_ints.pth"] {
        let (network, report) = load(name, &classes, HeadPolicy::default());
        for (id, row) in head_rows(&network).iter().enumerate() {
            assert_eq!(row, from[id].map_or(&fresh[id], |from| &old[from]), "{name}: {}", classes[id]);
        }
        assert_eq!(state(&report, "fc.weight"), &RowState::Rows { kept: 4, made: 1 });
        assert_eq!(state(&report, "fc.bias"), &RowState::Rows { kept: 4, made: 1 });
        assert_eq!(report.summary().split(" (").next().unwrap(), "5 loaded, 2 in part, 0 unused");
        // The old model's answers, where the old classes are now.
        let (answers, expected) = (logits(&network), floats(&fixture["logits"]));
        for (id, from) in from.iter().enumerate() {
            if let Some(from) = *from {
                let error = (answers[id] - expected[from]).abs();
                assert!(error < 2e-6, "{name}: {}: {} and {}", classes[id], answers[id], expected[from]);
            }
        }
        let [head] = report.heads.as_slice() else { panic!("one head") };
        assert_eq!(
            head.summary(),
            "head cls: 4 of 5 classes keep their weights (bee, paper wasp, Yellow Jacket, ant), 1 made new (fly)"
        );
        assert!(head.dropped.is_empty() && head.concerns().is_empty());
    }
}

#[test]
fn names_beat_positions() {
    let classes = ["hornet, yellow jacket", "ant", "Paper_Wasp", "bee"];
    let (network, report) = load("surgery_names.pth", &classes, HeadPolicy::default());
    let old = old_rows();
    assert_eq!(head_rows(&network), [3, 0, 2, 1].map(|id: usize| old[id].clone()));
    assert_eq!(state(&report, "fc.weight"), &RowState::Rows { kept: 4, made: 0 });
    assert!(report.heads[0].summary().contains("4 of 4 classes keep their weights and move to their places"));
}

#[test]
fn equal_lists_load_whole_and_nameless_ones_by_position() {
    let same = ["ant", "bee", "Paper_Wasp", "hornet, yellow jacket"];
    let (network, report) = load("surgery_names.pth", &same, HeadPolicy::default());
    assert_eq!((head_rows(&network), report.counts().loaded), (old_rows(), 7));
    assert!(report.heads[0].summary().contains("all 4 classes keep their weights (the same, in order)"));
    let (network, report) = load("surgery_nameless.pth", &["a", "b", "c", "d"], HeadPolicy::default());
    assert_eq!((head_rows(&network), report.counts().loaded), (old_rows(), 7));
    assert!(report.heads[0].summary().contains("by position: the file names no classes"), "{:?}", report.heads[0]);
    let (network, report) = load("surgery_nameless.pth", &["a", "b"], HeadPolicy::default());
    assert_eq!(head_rows(&network), fresh_rows(2));
    let reason = "4 classes in the file, 2 here; the file does not name its 4 classes".to_owned();
    assert_eq!(state(&report, "fc.weight"), &RowState::Remade { reason });
}

#[test]
fn a_plan_may_make_the_head_new_or_choose_rows_by_hand() {
    let classes = ["ant", "fly", "bee"];
    let (network, report) = load("surgery_names.pth", &classes, HeadPolicy { keep: false, ..HeadPolicy::default() });
    assert_eq!(head_rows(&network), fresh_rows(3));
    assert!(matches!(state(&report, "fc.bias"), RowState::Remade { reason } if reason.contains("the plan makes")));
    // The fly starts from the wasp, the ant anew, and what is chosen from a file that has it no more is said.
    let mut policy = HeadPolicy::default();
    policy.choose("cls", "fly", Some(Some("Paper_Wasp".to_owned())));
    policy.choose("cls", "ant", Some(None));
    policy.choose("cls", "bee", Some(Some("moth".to_owned())));
    let (network, report) = load("surgery_names.pth", &classes, policy.clone());
    let (old, fresh) = (old_rows(), fresh_rows(3));
    assert_eq!(head_rows(&network), [fresh[0].clone(), old[2].clone(), fresh[2].clone()]);
    let head = &report.heads[0];
    assert_eq!(head.rows[0].why, Why::Chosen);
    assert_eq!(head.words(&head.rows[2]), "the file has no class moth");
    assert_eq!(head.dropped, [0, 1, 3]);
    let notes = report.head_notes();
    assert!(
        notes[2].starts_with("3 old classes will be forgotten unless they are in the data (ant, bee, "),
        "{notes:?}"
    );
    policy.choose("cls", "bee", None);
    let (network, _) = load("surgery_names.pth", &classes, policy);
    assert_eq!(head_rows(&network)[2], old[1], "without a choice the name decides again");
}

#[test]
fn what_several_names_match_is_listed_and_not_guessed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("small.pth");
    std::fs::copy(file("surgery_nameless.pth"), &path).unwrap();
    // Names may stand in a file beside the checkpoint. One list of another length names nothing.
    std::fs::write(home.path().join("classes.json"), r#"["one", "two"]"#).unwrap();
    std::fs::write(home.path().join("labels.txt"), "crane, bird\ncrane, machine\nbees\nbee\n").unwrap();
    let classes = ["crane", "bee", "ants"];
    let plan = plan_from(path, HeadPolicy::default());
    let setup = Setup::with_graph(plan, named(&classes), small(3, 6), tiny::rule(), &Device::flex()).unwrap();
    let report = setup.load.unwrap();
    let head = &report.heads[0];
    assert_eq!(head.named_by.as_deref(), Some("labels.txt beside it"));
    assert_eq!(head.rows[0].why, Why::Ambiguous { among: vec![0, 1] });
    assert_eq!(head.rows[1].from, Some(3), "the exact name, not its plural");
    assert_eq!(head.rows[2].why, Why::Unknown { similar: Vec::new() });
    assert_eq!(head.concerns()[0], "crane: 2 classes match: crane, bird, crane, machine; choose one");
}

#[test]
fn a_head_with_other_features_is_made_new_with_a_reason() {
    let home = tempfile::tempdir().unwrap();
    let wide = Network::new(Arc::new(small(2, 6)), 1, &Device::flex()).unwrap();
    let mut tensors: Vec<_> =
        wide.tensors().unwrap().into_iter().map(|t| (t.spec.name, t.spec.shape, t.values)).collect();
    let fc = tensors.iter_mut().find(|tensor| tensor.0 == "fc.weight").unwrap();
    (fc.1, fc.2) = (vec![2, 9], vec![0.5; 18]);
    let names = BTreeMap::from([("classes".to_owned(), "['left', 'right']".to_owned())]);
    let path = home.path().join("wide.safetensors");
    frostline::weights::save_safetensors(&path, &tensors, frostline::weights::SaveDtype::F32, &names).unwrap();
    let plan = plan_from(path, HeadPolicy::default());
    let setup = Setup::with_graph(plan, tiny::dataset(16), small(2, 6), tiny::rule(), &Device::flex()).unwrap();
    let report = setup.load.unwrap();
    assert_eq!(head_rows(&setup.network), fresh_rows(2));
    let reasons: Vec<&RowState> = ["fc.weight", "fc.bias"].map(|name| state(&report, name)).to_vec();
    assert_eq!(reasons[0], &RowState::Remade { reason: "[2, 9] in the file, [2, 6] here".to_owned() });
    assert!(matches!(reasons[1], RowState::Remade { reason } if reason.starts_with("its layer is re-made")));
    assert_eq!(report.heads[0].rows[0].why, Why::Unfit);
}

#[test]
fn a_run_is_a_checkpoint_and_brings_its_classes_and_preprocessing() {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run");
    let model = frostline::models::find("resnet_mini").unwrap();
    let plan = Plan { model: model.name.to_owned(), size_px: 32, ..tiny::plan(1) };
    let setup = Setup::new(plan.clone(), tiny::dataset(16), &Device::flex()).unwrap();
    assert_eq!(setup.rule, model.preprocess.with_size(32));
    let mut first = Trainer::new(setup, &run).unwrap();
    first.run(&mut tiny::Notes::default()).unwrap();
    assert_eq!(weights_file(&run).unwrap(), run.join("best.safetensors"));
    // As if it had been trained with another rule than the model's.
    let (folder, mut file) = RunFolder::open(&run).unwrap();
    file.preprocess = Preprocess { mean: [0.5; 3], ..tiny::rule().with_size(32) };
    let best = frostline::train::open_model(&run, &Device::flex()).unwrap().0.tensors().unwrap();
    folder.write_weights(&folder.best(), &best, &file).unwrap();

    let again = Plan { weights: WeightsSource::File(run.clone()), size_px: 64, seed: 9, ..plan };
    let setup = Setup::new(again.clone(), named(&["right", "left"]), &Device::flex()).unwrap();
    assert_eq!(setup.rule, file.preprocess.with_size(64), "the preprocessing of the weights, at this plan's size");
    let report = setup.load.unwrap();
    assert_eq!(state(&report, "fc.weight"), &RowState::Rows { kept: 2, made: 0 });
    assert_eq!(report.heads[0].named_by.as_deref(), Some("frostline.classes in the file"));
    for (old, new) in best.iter().zip(setup.network.tensors().unwrap()) {
        let width = if old.spec.name == "fc.weight" { old.values.len() / 2 } else { 1 };
        let expected: Vec<f32> = match old.spec.name.as_str() {
            "fc.weight" | "fc.bias" => old.values.chunks(width).rev().flatten().copied().collect(),
            _ => old.values.clone(),
        };
        assert_eq!(bits(&new.values), bits(&expected), "{}", old.spec.name);
    }
    // A resumed run keeps its preprocessing, and is not resumed on other classes.
    let out = home.path().join("second");
    let plan = Plan { epochs: 1, ..again };
    let setup = Setup::new(plan, tiny::dataset(16), &Device::flex()).unwrap();
    Trainer::new(setup, &out).unwrap().run(&mut tiny::Notes::default()).unwrap();
    let (_, file) = RunFolder::open(&out).unwrap();
    std::fs::remove_dir_all(&run).unwrap();
    let resumed = Setup::again(file.clone(), tiny::dataset(16), &Device::flex()).unwrap();
    assert_eq!(resumed.rule, file.preprocess);
    let error = Setup::again(file, named(&["left", "wrong"]), &Device::flex()).unwrap_err();
    assert!(error.contains("are no longer those of the run (left, wrong now, left, right then)"), "{error}");
}

#[test]
fn damaged_preprocessing_is_told_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    let about = [("frostline.model", "resnet_mini"), ("frostline.preprocess", "{\"size\": [96")];
    let about = about.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let tensors = [("conv1.weight".to_owned(), vec![1], vec![0.0])];
    frostline::weights::save_safetensors(&path, &tensors, SaveDtype::F32, &BTreeMap::from(about)).unwrap();
    let text = about_weights(&path).unwrap_err();
    assert!(text.contains("The preprocessing in") && text.contains("damaged.safetensors is damaged"), "{text}");
}

#[test]
fn a_detectors_rows_move_with_their_classes_and_the_background_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("detector.safetensors");
    // Background, ant, bee: one row of scores each, four of boxes; the value says whose it is.
    let score = [0.0, 1.0, 2.0].into_iter().flat_map(|class| [class, class + 0.5]).collect();
    let boxes = [0.0, 1.0, 2.0].into_iter().flat_map(|class| (0..4_u8).map(move |side| class * 10.0 + f32::from(side)));
    let tensors = vec![
        ("body.weight".to_owned(), vec![2], vec![7.0, 8.0]),
        ("score.weight".to_owned(), vec![3, 2], score),
        ("box.bias".to_owned(), vec![12], boxes.collect()),
    ];
    weights::save_safetensors(&path, &tensors, SaveDtype::F32, &BTreeMap::new()).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let wanted = |name: &str, shape: Vec<usize>, part: &str| Wanted {
        name: name.to_owned(),
        shape,
        head: part != "backbone",
        part: part.to_owned(),
        also: Vec::new(),
    };
    let wanted = [
        wanted("body.weight", vec![2], "backbone"),
        wanted("score.weight", vec![4, 2], "head class"),
        wanted("box.bias", vec![16], "head box"),
    ];
    let head = NewHead {
        name: "class".to_owned(),
        tensors: vec!["score.weight".to_owned(), "box.bias".to_owned()],
        classes: ["bee", "cat", "ant"].map(str::to_owned).to_vec(),
        layout: RowLayout { background: true, several: BTreeMap::from([("box.bias".to_owned(), 4)]) },
    };
    let mut names = |_: &str, count: usize| {
        assert_eq!(count, 2);
        Some(ClassNames { names: vec!["ant".to_owned(), "bee".to_owned()], source: "test".to_owned() })
    };
    let report = weights::plan_heads(&checkpoint, &wanted, &[head], &mut names, &HeadPolicy::default());
    let mut report = report.unwrap();
    assert_eq!(report.heads[0].kept(), 2);
    let fresh = |name: &str| Some(vec![-1.0; if name == "box.bias" { 16 } else { 8 }]);
    let read = weights::read_onto(&checkpoint, &mut report, &fresh).unwrap();
    let of = |name: &str| read.iter().find(|tensor| tensor.0 == name).unwrap().2.clone();
    assert_eq!(of("score.weight"), [0.0, 0.5, 2.0, 2.5, -1.0, -1.0, 1.0, 1.5]);
    let expected = [[0.0, 1.0, 2.0, 3.0], [20.0, 21.0, 22.0, 23.0], [-1.0; 4], [10.0, 11.0, 12.0, 13.0]];
    assert_eq!(of("box.bias"), expected.concat());
}
