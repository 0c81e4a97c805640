//! Every checkpoint of the PyTorch fixture set (see shared/parity/tools/parity_files.py), value by value.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use frostline::weights::{Checkpoint, Container, Dtype, Wanted, plan, read, similarity};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/files").join(name)
}

fn cases() -> Vec<Value> {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ops_files.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    json["cases"].as_array().unwrap().clone()
}

fn shape_of(entry: &Value) -> Vec<usize> {
    entry["shape"].as_array().unwrap().iter().map(|n| usize::try_from(n.as_u64().unwrap()).unwrap()).collect()
}

/// Compares one tensor with its fixture: shape, type, sampled values bit for bit (f64 within one f32 step), sums.
fn assert_entry(checkpoint: &Checkpoint, expected: &Value, file: &str) {
    let key = expected["key"].as_str().unwrap();
    let entry = checkpoint.entries.get(key).unwrap_or_else(|| panic!("{file}: {key} is not in the file"));
    assert_eq!(entry.shape, shape_of(expected), "{file}: {key}");
    assert_eq!(entry.dtype.name(), expected["dtype"].as_str().unwrap(), "{file}: {key}");
    let values = checkpoint.read_f32(key).unwrap();
    let val: Vec<f64> = expected["val"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let idx: Vec<usize> = match expected["idx"].as_array() {
        Some(idx) => idx.iter().map(|i| usize::try_from(i.as_u64().unwrap()).unwrap()).collect(),
        None => (0..values.len()).collect(),
    };
    assert_eq!(idx.len(), val.len(), "{file}: {key}");
    for (&i, &expected) in idx.iter().zip(&val) {
        let tolerance = if entry.dtype == Dtype::Float64 { expected.abs() * 1.2e-7 } else { 0.0 };
        let got = values[i];
        assert!(
            (f64::from(got) - f64::from(expected as f32)).abs() <= tolerance,
            "{file}: {key}[{i}] is {got}, not {expected}"
        );
    }
    let sum: f64 = values.iter().map(|v| f64::from(v.abs())).sum();
    let expected_sum = expected["abs_sum"].as_f64().unwrap();
    assert!((sum - expected_sum).abs() <= 1e-6 * expected_sum.abs(), "{file}: {key} sums to {sum}, not {expected_sum}");
}

#[test]
fn every_fixture_file_reads_as_pytorch_wrote_it() {
    let mut tensors = 0;
    for case in cases() {
        let name = case["file"].as_str().unwrap();
        let path = file(name);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), case["bytes"].as_u64().unwrap(), "{name}");
        if case.get("error").is_some() {
            let error = Checkpoint::open(&path).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            continue;
        }
        let checkpoint = Checkpoint::open(&path).unwrap();
        let Some(entries) = case["entries"].as_array() else { continue };
        let (in_file, plain): (Vec<_>, Vec<_>) = entries.iter().partition(|e| e.get("shape").is_some());
        assert_eq!(checkpoint.names().count(), in_file.len(), "{name}");
        for entry in in_file {
            assert_entry(&checkpoint, entry, name);
            tensors += 1;
        }
        for value in plain {
            let (key, python) = (value["key"].as_str().unwrap(), value["python"].as_str().unwrap());
            if let Some(text) = checkpoint.metadata.get(key) {
                assert_eq!(text, python.trim_matches('\''), "{name}: {key}");
            }
        }
        if let Some(metadata) = case["metadata"].as_object() {
            for (key, value) in metadata {
                assert_eq!(checkpoint.metadata[key], value.as_str().unwrap());
            }
        }
    }
    assert_eq!(tensors, 93, "the fixture set has shrunk");
}

#[test]
fn refusals_say_what_the_file_is() {
    for (name, words) in [
        ("truncated_zip.pth", "is cut off"),
        ("git_lfs_pointer.pth", "Git LFS pointer"),
        ("pickle_calls_print.pth", "its root is builtins.print"),
    ] {
        let error = Checkpoint::open(&file(name)).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_whole_model_pickle_is_read_as_its_state_dict() {
    // torch.load(weights_only=False).state_dict() of the same file, torch 2.15.0.
    let checkpoint = Checkpoint::open(&file("zip_not_weights_only_module.pth")).unwrap();
    let weight = [-0.710_494_16, 0.125_617_73, 0.126_028_05, -0.092_949_64, -0.783_373_6, 0.820_273_64];
    assert_eq!(checkpoint.read_f32("weight").unwrap(), weight);
    assert_eq!(checkpoint.read_f32("bias").unwrap(), [-0.144_531_62, -0.370_933_53]);
    assert_eq!(checkpoint.entries["weight"].shape, [2, 3]);
}

#[test]
fn containers_and_nesting_are_recognized() {
    for (name, format, nested, stripped) in [
        ("zip_state_dict.pth", Container::Zip, None, None),
        ("legacy_state_dict.pth", Container::Legacy, None, None),
        ("tar_state_dict.pth", Container::Tar, None, None),
        ("dtypes.safetensors", Container::Safetensors, None, None),
        ("zip_checkpoint_nested.pth", Container::Zip, Some("model"), None),
        ("zip_data_parallel.pth", Container::Zip, None, Some("module.")),
        ("legacy_cuda_data_parallel.pth", Container::Legacy, Some("state_dict"), Some("module.")),
    ] {
        let checkpoint = Checkpoint::open(&file(name)).unwrap();
        assert_eq!(checkpoint.format, format, "{name}");
        assert_eq!(checkpoint.nested_under.as_deref(), nested, "{name}");
        assert_eq!(checkpoint.stripped_prefix.as_deref(), stripped, "{name}");
    }
}

/// The network that the fixture's state dict belongs to, with a head of `classes`.
fn tiny(classes: usize) -> Vec<Wanted> {
    let tensor = |name: &str, shape: &[usize]| Wanted {
        name: name.into(),
        shape: shape.into(),
        head: name.starts_with("fc."),
        part: if name.starts_with("fc.") { "head cls" } else { "backbone" }.into(),
        ..Wanted::default()
    };
    vec![
        tensor("conv1.weight", &[4, 3, 3, 3]),
        tensor("bn1.weight", &[4]),
        tensor("bn1.running_var", &[4]),
        tensor("fc.weight", &[classes, 5]),
    ]
}

#[test]
fn wrapped_and_nested_files_map_onto_plain_names() {
    let plain = Checkpoint::open(&file("zip_state_dict.pth")).unwrap();
    let expected = plain.read_f32("conv1.weight").unwrap();
    for (name, nested, stripped, outside) in [
        ("zip_state_dict.pth", None, None, 0),
        ("zip_parameters.pth", None, None, 0),
        ("tar_state_dict.pth", None, None, 0),
        ("zip_checkpoint_nested.pth", Some("model"), None, 6),
        ("zip_data_parallel.pth", None, Some("module."), 0),
        ("legacy_cuda_data_parallel.pth", Some("state_dict"), Some("module."), 0),
    ] {
        let checkpoint = Checkpoint::open(&file(name)).unwrap();
        let mut report = plan(&checkpoint, &tiny(2)).unwrap();
        assert_eq!(report.nested_under.as_deref(), nested, "{name}");
        assert_eq!(report.stripped_prefix.as_deref(), stripped, "{name}");
        assert_eq!(report.outside, outside, "{name}");
        assert_eq!((report.counts().loaded, report.counts().unused, report.counts().missing), (4, 0, 0), "{name}");
        assert!((similarity(&checkpoint, &tiny(2)) - 1.0).abs() < 1e-6, "{name}");
        let tensors = read(&checkpoint, &mut report).unwrap();
        assert_eq!(tensors[0].2, expected, "{name}");
        assert!(report.non_finite.is_empty() && report.warning().is_none());
    }
}

#[test]
fn a_network_may_hold_the_file_as_a_part() {
    let checkpoint = Checkpoint::open(&file("zip_data_parallel.pth")).unwrap();
    let mut wanted: Vec<Wanted> = tiny(2).into_iter().filter(|tensor| !tensor.head).collect();
    for tensor in &mut wanted {
        tensor.name = format!("encoder.{}", tensor.name);
    }
    let report = plan(&checkpoint, &wanted).unwrap();
    assert_eq!(report.added_prefix.as_deref(), Some("encoder."));
    assert_eq!(report.stripped_prefix.as_deref(), Some("module."));
    assert_eq!(report.summary(), "3 loaded, 1 unused (without `module.`, into `encoder.`)");
}
