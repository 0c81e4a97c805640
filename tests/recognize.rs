//! A file's model is told by the names and shapes of its tensors: every model of the zoo, under its own and other names.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use frostline::models::{ModelTask, catalogue, find};
use frostline::train::{Misfit, recognize, wanted};
use frostline::weights::{Checkpoint, Wanted, plan};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// The tensors of a published model.
fn tensors(model: &str) -> Vec<Wanted> {
    let graph = find(model).unwrap().published().unwrap();
    wanted(&graph, &graph.facts().unwrap())
}

/// A safetensors file of these tensors in f16, all zeros: a hole in the file system, so that a VGG costs nothing.
fn write(path: &Path, tensors: &[(String, Vec<usize>)]) -> Checkpoint {
    let mut end = 0;
    let rows: Vec<String> = tensors
        .iter()
        .map(|(name, shape)| {
            let start = end;
            end += 2 * shape.iter().product::<usize>();
            format!(r#""{name}":{{"dtype":"F16","shape":{shape:?},"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", rows.join(","));
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
    Checkpoint::open(path).unwrap()
}

/// Under its own names, for another number of classes.
fn with_outputs(model: &str, classes: usize) -> Vec<(String, Vec<usize>)> {
    let variant = find(model).unwrap();
    let graph = variant.graph(classes, variant.preprocess.size[0] as usize).unwrap();
    let tensors = wanted(&graph, &graph.facts().unwrap());
    tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect()
}

#[test]
fn every_model_is_recognized_with_its_classes() {
    let dir = tempfile::tempdir().unwrap();
    let mut longest = Duration::ZERO;
    for variant in catalogue() {
        let checkpoint = write(&dir.path().join("w.safetensors"), &with_outputs(variant.name, 37));
        let start = Instant::now();
        let found = recognize(&checkpoint).unwrap();
        longest = longest.max(start.elapsed());
        // What is asked where an object is has no classes.
        let classes = (variant.task != ModelTask::Prompt).then_some(37);
        assert_eq!((found.variant.name, found.classes), (variant.name, classes));
    }
    eprintln!("the slowest recognition took {longest:?}");
    assert!(longest < Duration::from_secs(10), "{longest:?}");
}

/// `tests/reference/whole_detector.py` wrote the file; nothing in it is executed.
#[test]
fn a_whole_model_in_half_precision_is_recognized_without_its_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/files/zip_whole_detector.pt");
    let checkpoint = Checkpoint::open(&path).unwrap();
    let found = recognize(&checkpoint).unwrap();
    assert_eq!((found.variant.name, found.classes), ("yolov8n", Some(80)));
    assert!(found.variant.note.unwrap().contains("AGPL-3.0"));
    let report = plan(&checkpoint, &tensors("yolov8n")).unwrap();
    let counts = report.counts();
    assert_eq!((counts.loaded, counts.missing, counts.remade, counts.unused), (298, 0, 0, 0), "{counts:?}");
    assert_eq!(report.nested_under.as_deref(), Some("model"));
    assert!(report.rows.iter().filter(|row| row.wanted_shape.is_some()).all(|row| row.dtype == Some("float16")));
}

#[test]
fn timm_names_are_those_of_timm() {
    let text = include_str!("fixtures/timm_names.json");
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    let models = json["models"].as_object().unwrap();
    let spelled: Vec<&str> = catalogue()
        .into_iter()
        .filter(|variant| variant.published().is_ok_and(|graph| !graph.spellings.is_empty()))
        .map(|variant| variant.name)
        .collect();
    assert_eq!(spelled.len(), models.len(), "{spelled:?}");
    for (model, expected) in models {
        let lines: Vec<String> = tensors(model)
            .iter()
            .map(|tensor| {
                // timm keeps the linear layers of VGG and the last but one of MobileNetV3 as convolutions.
                let shape = match (tensor.also[0].name.as_str(), tensor.shape.as_slice()) {
                    ("pre_logits.fc1.weight", [out, inputs]) => vec![*out, inputs / 49, 7, 7],
                    ("pre_logits.fc2.weight" | "conv_head.weight", [out, inputs]) => vec![*out, *inputs, 1, 1],
                    (_, shape) => shape.to_vec(),
                };
                format!("{} {} {shape:?}", tensor.name, tensor.also[0].name).replace(", ", ",")
            })
            .collect();
        assert_eq!(lines.first().unwrap(), expected["first"].as_str().unwrap(), "{model}");
        assert_eq!(lines.last().unwrap(), expected["last"].as_str().unwrap(), "{model}");
        let sum: String = Sha256::digest(lines.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sum, expected["sha256"].as_str().unwrap(), "{model}: {lines:#?}");
    }
}

#[test]
fn a_backbone_under_other_names_and_a_prefix_is_recognized() {
    let dir = tempfile::tempdir().unwrap();
    for model in ["mobilenet_v2_0.35", "mobilenet_v3_large", "vgg13_bn"] {
        let backbone: Vec<(String, Vec<usize>)> = tensors(model)
            .iter()
            .filter(|tensor| !tensor.head)
            .map(|tensor| (format!("module.{}", tensor.also[0].name), tensor.shape.clone()))
            .collect();
        let checkpoint = write(&dir.path().join("w.safetensors"), &backbone);
        let found = recognize(&checkpoint).unwrap();
        assert_eq!((found.variant.name, found.classes), (model, None));
        let report = plan(&checkpoint, &tensors(model)).unwrap();
        assert_eq!(report.counts().loaded, backbone.len());
        assert_eq!(report.stripped_prefix.as_deref(), Some("module."));
        assert!(report.notes[0].starts_with("the tensors have timm's names"), "{:?}", report.notes);
    }
}

#[test]
fn another_model_is_named_where_a_file_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = write(&dir.path().join("w.safetensors"), &with_outputs("resnet50", 1000));
    let error = plan(&checkpoint, &tensors("resnet18")).unwrap_err();
    let misfit = Misfit::new(&checkpoint, &error);
    assert!(misfit.what.contains("w.safetensors belongs to another architecture: "), "{}", misfit.what);
    assert!(misfit.what.ends_with("; it fits resnet50"), "{}", misfit.what);
    assert_eq!(misfit.fits.unwrap().variant.name, "resnet50");
}

#[test]
fn a_stranger_is_told_the_nearest_and_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    // torchvision's wide_resnet50_2: the inner convolutions of a block have twice the channels.
    let wide: Vec<(String, Vec<usize>)> = tensors("resnet50")
        .into_iter()
        .map(|tensor| {
            let (inner, last) =
                (tensor.name.contains("conv") || tensor.name.contains("bn"), tensor.name.contains("conv3"));
            let mut shape = tensor.shape;
            if tensor.name.starts_with("layer") && inner && !tensor.name.contains("bn3") {
                if !last {
                    shape[0] *= 2;
                }
                if last || tensor.name.contains("conv2") {
                    shape[1] *= 2;
                }
            }
            (tensor.name, shape)
        })
        .collect();
    let stranger = recognize(&write(&dir.path().join("wide.safetensors"), &wide)).unwrap_err();
    assert_eq!(stranger.nearest.len(), 3);
    assert_eq!(stranger.nearest[0].model, "resnet50");
    let text = stranger.to_string();
    assert!(
        text.contains("wide.safetensors (267 tensors) fits none of the models; the nearest are resnet50, "),
        "{text}"
    );
    assert!(text.contains("layer1.0.conv1.weight is [128, 64, 1, 1] in the file and [64, 64, 1, 1] here"), "{text}");

    let strange = [("a.weight".to_owned(), vec![3]), ("b.weight".to_owned(), vec![2, 2])];
    let text = recognize(&write(&dir.path().join("strange.safetensors"), &strange)).unwrap_err().to_string();
    assert!(text.ends_with("(2 tensors) fits none of the models and has next to nothing in common with any"), "{text}");
}

#[test]
fn real_files_are_recognized_or_told_what_is_near() {
    let weights = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/weights"));
    if !weights.exists() {
        eprintln!("SKIPPED: {} is absent", weights.display());
        return;
    }
    let open = |name: &str| Checkpoint::open(&weights.join(name)).unwrap();
    let found = recognize(&open("mobilenet_v2_imagenet_backbone.safetensors")).unwrap();
    assert_eq!((found.variant.name, found.classes), ("mobilenet_v2", None));
    let found = recognize(&open("resnet18_imagenet_PARTIAL_no_layer4.safetensors")).unwrap();
    assert_eq!((found.variant.name, found.classes), ("resnet18", Some(1000)));
    // CIFAR's ResNet-20 has 16, 32 and 64 channels in three stages: of a size that the zoo does not have.
    let stranger = recognize(&open("cifar/resnet20-12fca82f.th")).unwrap_err();
    assert_eq!(stranger.nearest[0].model, "resnet18");
    let text = stranger.to_string();
    assert!(text.contains("layer1.0.conv1.weight is [64, 32, 3, 3] in the file and [64, 64, 3, 3] here"), "{text}");
}
