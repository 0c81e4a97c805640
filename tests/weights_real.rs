//! Published checkpoints and the key lists of the PyTorch fixtures: mapping, refusals, head replacement, saving.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests fail as tests do")]

use burn::tensor::{Device, Tensor, TensorData};
use frostline::graph::{Resize, TensorSpec};
use frostline::models::{Mode, Network, find};
use frostline::nn::{Ctx, Value as NodeValue};
use frostline::train::{about_weights, load_into, open_model};
use frostline::weights::{
    Checkpoint, PlainTensor, RowState, SaveDtype, Wanted, WeightsError, plan, read, save_safetensors, similarity,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of the shared data, or `None` with a loud word where it is absent.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).join(name);
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn json(name: &str) -> Option<Value> {
    Some(serde_json::from_str(&std::fs::read_to_string(shared(&format!("parity/{name}.json"))?).unwrap()).unwrap())
}

/// A network as the fixtures list it (`state_dict`: name, shape), without step counters. `head` and `neck` are prefixes.
fn network(name: &str, head: &[&str], neck: &[&str]) -> Option<Vec<Wanted>> {
    let is = |prefixes: &[&str], name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let fixture = json(name)?;
    let tensors = fixture["state_dict"].as_array().unwrap().iter().map(|entry| {
        let name = entry[0].as_str().unwrap().to_owned();
        let shape =
            entry[1].as_array().unwrap().iter().map(|n| usize::try_from(n.as_u64().unwrap()).unwrap()).collect();
        let head = is(head, &name);
        let part = if head {
            "head cls"
        } else if is(neck, &name) {
            "neck"
        } else {
            "backbone"
        }
        .to_owned();
        Wanted { name, shape, head, part, also: Vec::new() }
    });
    Some(tensors.filter(|tensor| !tensor.name.ends_with("num_batches_tracked")).collect())
}

fn with_classes(mut network: Vec<Wanted>, classes: usize) -> Vec<Wanted> {
    for tensor in network.iter_mut().filter(|tensor| tensor.head) {
        tensor.shape[0] = classes;
    }
    network
}

#[test]
fn mobilenet_v2_backbone_loads_and_the_head_is_missing() {
    let (Some(path), Some(wanted)) = (
        shared("data/weights/mobilenet_v2_imagenet_backbone.safetensors"),
        network("mobilenet_v2", &["classifier."], &[]),
    ) else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let mut report = plan(&checkpoint, &wanted).unwrap();
    assert_eq!(report.summary(), "260 loaded, 2 missing, 0 unused");
    assert_eq!(report.counts().ignored, 52);
    assert!((report.backbone_matched - 1.0).abs() < 1e-6 && report.warning().is_none());
    let tensors = read(&checkpoint, &mut report).unwrap();
    let values: usize = tensors.iter().map(|(_, _, values)| values.len()).sum();
    // torchvision's features: 2 223 872 parameters and 34 112 running statistics.
    assert_eq!(values, 2_223_872 + 34_112);
    assert!(report.non_finite.is_empty());
}

#[test]
fn a_partial_resnet18_loads_with_a_warning_and_its_head_is_remade() {
    let (Some(path), Some(wanted)) =
        (shared("data/weights/resnet18_imagenet_PARTIAL_no_layer4.safetensors"), network("resnet18", &["fc."], &[]))
    else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let report = plan(&checkpoint, &with_classes(wanted.clone(), 2)).unwrap();
    assert_eq!(report.summary(), "80 loaded, 2 re-made, 20 missing, 0 unused");
    assert!((report.backbone_matched - 0.8).abs() < 1e-6);
    let warning = report.warning().unwrap();
    assert!(
        warning.starts_with("only 80 % of the backbone loads, 20 tensors (the first is layer4.0.conv1.weight)"),
        "{warning}"
    );
    let fc = report.rows.iter().find(|row| row.name == "fc.weight").unwrap();
    assert_eq!(fc.state, RowState::Remade { reason: "1000 classes in the file, 2 here".into() });
    assert_eq!((fc.file_shape.clone(), fc.wanted_shape.clone()), (Some(vec![1000, 512]), Some(vec![2, 512])));
    let row = serde_json::to_value(fc).unwrap();
    assert_eq!(
        (row["state"].as_str(), row["reason"].as_str()),
        (Some("remade"), Some("1000 classes in the file, 2 here"))
    );
    assert_eq!(plan(&checkpoint, &wanted).unwrap().summary(), "82 loaded, 20 missing, 0 unused");
}

#[test]
fn yolox_nano_loads_whole() {
    let (Some(path), Some(wanted)) = (
        shared("data/weights/yolox_nano_coco.safetensors"),
        network(
            "yolox_nano",
            &["head.cls_preds"],
            &["backbone.lateral", "backbone.C3", "backbone.reduce", "backbone.bu_conv"],
        ),
    ) else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let report = plan(&checkpoint, &wanted).unwrap();
    assert_eq!((report.counts().missing, report.counts().unused, report.counts().remade), (0, 0, 0));
    assert_eq!(report.counts().loaded, wanted.len());
    assert!((similarity(&checkpoint, &wanted) - 1.0).abs() < 1e-6);
    let fewer = plan(&checkpoint, &with_classes(wanted, 3)).unwrap();
    // Three levels, weight and bias each.
    assert_eq!(fewer.counts().remade, 6);
}

#[test]
fn the_cifar_resnet_is_unwrapped_and_refused_elsewhere() {
    let (Some(path), Some(resnet18)) =
        (shared("data/weights/cifar/resnet20-12fca82f.th"), network("resnet18", &["fc."], &[]))
    else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.format.name(), "PyTorch legacy");
    // 91.78 as the f32 it once was; torch.load shows the same.
    assert_eq!(checkpoint.metadata["best_prec1"], "91.78000183105469");
    let own: Vec<Wanted> = checkpoint
        .entries
        .iter()
        .map(|(name, entry)| Wanted {
            name: name.strip_prefix("state_dict.module.").unwrap().to_owned(),
            shape: entry.shape.clone(),
            head: name.contains("linear"),
            part: if name.contains("linear") { "head cls" } else { "backbone" }.to_owned(),
            also: Vec::new(),
        })
        .collect();
    let mut report = plan(&checkpoint, &own).unwrap();
    assert_eq!(report.nested_under.as_deref(), Some("state_dict"));
    assert_eq!(report.stripped_prefix.as_deref(), Some("module."));
    assert_eq!(report.counts().loaded, own.len());
    assert_eq!(read(&checkpoint, &mut report).unwrap().len(), own.len());
    let error = plan(&checkpoint, &resnet18).unwrap_err();
    assert!(matches!(error, WeightsError::OtherArchitecture { .. }));
    let text = error.to_string();
    assert!(text.contains("resnet20-12fca82f.th belongs to another architecture: "), "{text}");
    assert!(text.contains(" is missing") || text.contains(" in the file and "), "{text}");
}

/// Writes a network's tensors, filled with something, under changed names.
fn write(path: &Path, wanted: &[Wanted], rename: impl Fn(&str) -> Option<String>) {
    let tensors: Vec<PlainTensor> = wanted
        .iter()
        .filter_map(|tensor| {
            let count = tensor.shape.iter().product::<usize>();
            Some((rename(&tensor.name)?, tensor.shape.clone(), (0..count).map(|i| (i % 17) as f32 - 8.0).collect()))
        })
        .collect();
    save_safetensors(path, &tensors, SaveDtype::F16, &BTreeMap::new()).unwrap();
}

#[test]
fn relatives_of_the_same_family_are_told_apart() {
    let names = ["resnet18", "resnet50", "vgg11", "vgg16", "vgg16_bn", "mobilenet_v2", "mobilenet_v3_small"];
    let networks: Vec<_> =
        names.iter().filter_map(|name| Some((*name, network(name, &["fc.", "classifier."], &[])?))).collect();
    let dir = tempfile::tempdir().unwrap();
    for (name, wanted) in &networks {
        // Convolutions of VGG alone are 30 MB; the names and shapes are what matters, so the heads stay out.
        let path = dir.path().join(format!("{name}.safetensors"));
        let backbone: Vec<Wanted> = wanted.iter().filter(|tensor| !tensor.head).cloned().collect();
        write(&path, &backbone, |name| Some(name.to_owned()));
        let checkpoint = Checkpoint::open(&path).unwrap();
        let mut scores: Vec<(f32, &str)> =
            networks.iter().map(|(other, wanted)| (similarity(&checkpoint, wanted), *other)).collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        assert_eq!(scores[0].1, *name, "{scores:?}");
        for (other, wanted) in &networks {
            let planned = plan(&checkpoint, wanted);
            assert_eq!(planned.is_ok(), other == name, "{name} into {other}: {:?}", planned.map(|r| r.summary()));
        }
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_deeper_network_is_not_taken_for_a_shallower_one() {
    // ResNet-34 has all of ResNet-18's names with the same shapes, and more blocks.
    let Some(resnet18) = network("resnet18", &["fc."], &[]) else { return };
    let mut resnet34 = Vec::new();
    for (layer, blocks, old) in [("layer1.", 3, 2), ("layer2.", 4, 2), ("layer3.", 6, 2), ("layer4.", 3, 2)] {
        let last = format!("{layer}1.");
        for block in old..blocks {
            let more = resnet18.iter().filter(|tensor| tensor.name.starts_with(&last)).cloned();
            resnet34.extend(more.map(|t| Wanted { name: t.name.replacen(&last, &format!("{layer}{block}."), 1), ..t }));
        }
    }
    resnet34.extend(resnet18.iter().cloned());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("resnet34.safetensors");
    write(&path, &resnet34, |name| Some(name.to_owned()));
    let checkpoint = Checkpoint::open(&path).unwrap();
    let error = plan(&checkpoint, &resnet18).unwrap_err().to_string();
    assert!(error.contains("100 of the 100 backbone tensors expected here match"), "{error}");
    assert!(error.contains("102 of the 182 in the file find a place"), "{error}");
    assert_eq!(plan(&checkpoint, &resnet34).unwrap().counts().loaded, resnet34.len());
    write(&path, &resnet18, |name| Some(name.to_owned()));
    let error = plan(&Checkpoint::open(&path).unwrap(), &resnet34).unwrap_err().to_string();
    assert!(error.contains("100 of the 180 backbone tensors"), "{error}");
}

#[test]
fn a_classifier_fills_the_backbone_of_a_detector() {
    let heads = ["rpn.", "roi_heads."];
    let (Some(resnet50), Some(mut detector)) =
        (network("resnet50", &["fc."], &[]), network("fasterrcnn_resnet50_fpn", &heads, &["backbone.fpn."]))
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("resnet50.safetensors");
    write(&path, &resnet50, |name| Some(format!("module.{name}")));
    let checkpoint = Checkpoint::open(&path).unwrap();
    let report = plan(&checkpoint, &detector).unwrap();
    assert_eq!(report.added_prefix.as_deref(), Some("backbone.body."));
    assert_eq!(report.stripped_prefix.as_deref(), Some("module."));
    assert!((report.backbone_matched - 1.0).abs() < 1e-6);
    // 53 convolutions with a norm of four tensors each.
    assert_eq!((report.counts().loaded, report.counts().unused), (265, 2));

    // The spelling of torchvision's older detector files.
    let path = dir.path().join("detector.safetensors");
    let pairs = json("fasterrcnn_resnet50_fpn").unwrap()["legacy_keys"].as_array().unwrap().clone();
    let former: BTreeMap<&str, &str> =
        pairs.iter().map(|pair| (pair[1].as_str().unwrap(), pair[0].as_str().unwrap())).collect();
    assert_eq!(former.len(), 18);
    write(&path, &detector, |name| Some(former.get(name).copied().unwrap_or(name).to_owned()));
    let checkpoint = Checkpoint::open(&path).unwrap();
    let report = plan(&checkpoint, &detector).unwrap();
    assert_eq!((report.counts().loaded, report.counts().missing, report.counts().unused), (detector.len(), 0, 0));

    // Another number of classes, and a tensor that must fit but does not.
    for tensor in detector.iter_mut().filter(|tensor| tensor.name.starts_with("roi_heads.box_predictor.cls_score")) {
        tensor.shape[0] = 3;
    }
    assert_eq!(plan(&checkpoint, &detector).unwrap().counts().remade, 2);
    let fpn = detector.iter_mut().find(|tensor| tensor.name == "backbone.fpn.inner_blocks.0.0.weight").unwrap();
    fpn.shape = vec![128, 256, 1, 1];
    let error = plan(&checkpoint, &detector).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "does not fit: backbone.fpn.inner_blocks.0.0.weight is [256, 256, 1, 1] in the file and [128, 256, 1, 1] here"
        ),
        "{error}"
    );
}

#[test]
fn saved_files_read_back_and_keep_what_was_there_on_failure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("saved.safetensors");
    let tensors: Vec<PlainTensor> = vec![
        ("b.weight".into(), vec![2, 3], vec![0.1, -0.2, 3.5, f32::MIN_POSITIVE, 1e30, -0.0]),
        ("a.running_mean".into(), vec![], vec![2.5]),
        ("c.empty".into(), vec![0, 4], vec![]),
    ];
    let metadata = BTreeMap::from([("model".to_owned(), "resnet18".to_owned())]);
    save_safetensors(&path, &tensors, SaveDtype::F32, &metadata).unwrap();
    let first = std::fs::read(&path).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    for (name, shape, values) in &tensors {
        assert_eq!(&checkpoint.entries[name].shape, shape);
        assert_eq!(&checkpoint.read_f32(name).unwrap(), values);
    }
    assert_eq!((checkpoint.metadata["format"].as_str(), checkpoint.metadata["model"].as_str()), ("pt", "resnet18"));
    save_safetensors(&path, &tensors, SaveDtype::F32, &metadata).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first, "the same input gives the same bytes");

    // 1e30 is beyond f16; a wrong count and a repeated name are refused; the file stays as it was.
    let error = save_safetensors(&path, &tensors, SaveDtype::F16, &metadata).unwrap_err().to_string();
    assert!(
        error.contains("saved.safetensors could not be written: b.weight holds a value beyond the range of f16"),
        "{error}"
    );
    let short = vec![("a".to_owned(), vec![3], vec![1.0])];
    assert!(save_safetensors(&path, &short, SaveDtype::F32, &metadata).is_err());
    let twice = vec![("a".to_owned(), vec![1], vec![1.0]), ("a".to_owned(), vec![1], vec![2.0])];
    assert!(save_safetensors(&path, &twice, SaveDtype::F32, &metadata).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), first);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");

    let halves: Vec<PlainTensor> = vec![("h".into(), vec![3], vec![0.1, -65504.0, 1.0 / 3.0])];
    save_safetensors(&path, &halves, SaveDtype::F16, &BTreeMap::new()).unwrap();
    // Nearest half-precision values of 0.1 and 1/3, by numpy.float16.
    assert_eq!(Checkpoint::open(&path).unwrap().read_f32("h").unwrap(), [0.099_975_586, -65504.0, 0.333_251_95]);
}

#[test]
fn of_two_copies_of_the_weights_the_averaged_one_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("both.safetensors");
    let tensor = |name: &str, value: f32| (name.to_owned(), vec![2], vec![value; 2]);
    let copies = ["model.a.weight", "model.a.bias", "ema.a.weight", "ema.a.bias"];
    let tensors: Vec<PlainTensor> =
        copies.iter().zip([1.0, 2.0, 3.0, 4.0]).map(|(name, value)| tensor(name, value)).collect();
    save_safetensors(&path, &tensors, SaveDtype::F32, &BTreeMap::new()).unwrap();
    let wanted: Vec<Wanted> = ["a.weight", "a.bias"]
        .iter()
        .map(|name| Wanted { name: (*name).into(), shape: vec![2], part: "backbone".into(), ..Wanted::default() })
        .collect();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let mut report = plan(&checkpoint, &wanted).unwrap();
    assert_eq!(report.stripped_prefix.as_deref(), Some("ema."));
    assert_eq!(read(&checkpoint, &mut report).unwrap()[0].2, [3.0, 3.0]);
}

#[test]
fn values_that_are_not_numbers_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nan.safetensors");
    let tensors: Vec<PlainTensor> =
        vec![("a.weight".into(), vec![2], vec![1.0, 2.0]), ("a.bias".into(), vec![2], vec![f32::NAN, f32::INFINITY])];
    save_safetensors(&path, &tensors, SaveDtype::F32, &BTreeMap::new()).unwrap();
    let wanted: Vec<Wanted> = tensors
        .iter()
        .map(|(name, shape, _)| Wanted {
            name: name.clone(),
            shape: shape.clone(),
            part: "backbone".into(),
            ..Wanted::default()
        })
        .collect();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let mut report = plan(&checkpoint, &wanted).unwrap();
    read(&checkpoint, &mut report).unwrap();
    assert_eq!(report.non_finite, ["a.bias"]);
    assert_eq!(report.warning().unwrap(), "a.bias holds NaN or infinity");
}

#[test]
fn published_weights_give_the_published_features() {
    for (model, weights, reference, node, features) in [
        (
            "mobilenet_v2",
            "mobilenet_v2_imagenet_backbone.safetensors",
            "mobilenet_v2_features_reference.safetensors",
            "avgpool",
            "features_0",
        ),
        (
            "resnet18",
            "resnet18_imagenet_PARTIAL_no_layer4.safetensors",
            "resnet18_layer3_reference.safetensors",
            "layer3.1",
            "layer3_gap_0",
        ),
    ] {
        let Some(weights) = shared(&format!("data/weights/{weights}")) else { continue };
        let Some(reference) = shared(&format!("data/weights/reference/{reference}")) else { continue };
        let reference = Checkpoint::open(&reference).unwrap();
        let graph = Arc::new(find(model).unwrap().published().unwrap());
        let zeros = |spec: &TensorSpec| vec![0.0; spec.numel() as usize];
        let mut network = Network::filled(Arc::clone(&graph), &zeros, &Device::flex()).unwrap();
        load_into(&mut network, &Checkpoint::open(&weights).unwrap()).unwrap();
        let image = TensorData::new(reference.read_f32("input_0").unwrap(), [1, 3, 224, 224]);
        let inputs = [NodeValue::Map(Tensor::from_data(image, &Device::flex()))];
        let wanted = [graph.find(node).unwrap()];
        let mut ctx = Ctx::default();
        let outputs = network.run(&inputs, &BTreeMap::new(), &wanted, Mode::Infer, &mut ctx).unwrap();
        let pooled = match &outputs[0] {
            NodeValue::Map(map) => map.clone().mean_dim(3).mean_dim(2).into_data(),
            other => other.vector().unwrap().into_data(),
        };
        let (ours, theirs) = (pooled.try_to_vec::<f32>().unwrap(), reference.read_f32(features).unwrap());
        assert_eq!(ours.len(), theirs.len(), "{model}");
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{model}: features differ by at most {worst:.1e}");
        assert!(worst < 1e-3, "{model}: {worst}");
    }
}

#[test]
fn a_published_file_brings_its_preprocessing() {
    let network =
        Network::new(Arc::new(find("mobilenet_v2").unwrap().published().unwrap()), 1, &Device::flex()).unwrap();
    let tensors: Vec<PlainTensor> =
        network.tensors().unwrap().into_iter().map(|t| (t.spec.name, t.spec.shape, t.values)).collect();
    let dir = tempfile::tempdir().unwrap();
    // torchvision: V1 resizes to 256, V2 to 232; a file that nobody has published says nothing.
    for (file, shorter_px) in
        [("mobilenet_v2-b0353104.pth", Some(256)), ("mobilenet_v2-7ebf99e0.pth", Some(232)), ("mine.pth", None)]
    {
        let path = dir.path().join(file);
        save_safetensors(&path, &tensors, SaveDtype::F16, &BTreeMap::new()).unwrap();
        let about = about_weights(&path).unwrap();
        assert_eq!(about.model, "mobilenet_v2");
        let resize = about.preprocess.map(|rule| rule.resize);
        assert_eq!(resize, shorter_px.map(|shorter_px| Resize::ShorterThenCrop { shorter_px }), "{file}");
        let (_, run) = open_model(&path, &Device::flex()).unwrap();
        assert_eq!(run.preprocess.resize, Resize::ShorterThenCrop { shorter_px: shorter_px.unwrap_or(256) });
    }
}
