//! The parity fixtures' rule (`../shared/parity/README.md`): weights and inputs computed from their names.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "helpers of tests; each test file uses a part of them"
)]

pub mod grads;
pub mod prompted;
pub mod sets;
pub mod tiny;

use frostline::graph::{Graph, TensorSpec};
use frostline::models::Network;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// FNV-1a 64.
pub fn hash(key: &str) -> u64 {
    key.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// The 24 random bits of index `i`.
fn bits(seed: u64, i: u64) -> u64 {
    let s = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let s = (s ^ (s >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let s = (s ^ (s >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (s ^ (s >> 31)) >> 40
}

/// `count` values of the rule; large tensors on all cores.
pub fn uniform(key: &str, count: usize, lo: f64, hi: f64) -> Vec<f32> {
    let seed = hash(key);
    let mut values = vec![0.0; count];
    let part = if count < 1_000_000 { count.max(1) } else { count.div_ceil(4) };
    std::thread::scope(|scope| {
        for (k, values) in values.chunks_mut(part).enumerate() {
            let mut fill = move || {
                for (i, value) in values.iter_mut().enumerate() {
                    *value = (lo + (hi - lo) * (bits(seed, (k * part + i) as u64) as f64 / 16_777_216.0)) as f32;
                }
            };
            if part == count { fill() } else { drop(scope.spawn(fill)) }
        }
    });
    values
}

/// `count` integers below `n`.
pub fn integers(key: &str, count: usize, n: u64) -> Vec<i64> {
    let seed = hash(key);
    (0..count as u64).map(|i| (bits(seed, i) % n) as i64).collect()
}

/// What the names of tables of positions and learned tokens hold: their values are between ±0.5.
const PROMPT_TABLES: [&str; 10] = [
    "pos_embed",
    "rel_pos_h",
    "rel_pos_w",
    "attention_biases",
    "point_embeddings",
    "not_a_point_embed",
    "no_mask_embed",
    "iou_token",
    "mask_tokens",
    "gaussian_matrix",
];

/// The rule's values for one tensor of a state dict.
pub fn rule_values(name: &str, shape: &[usize], gain: f64, scale: &serde_json::Map<String, Json>) -> Vec<f32> {
    let count = shape.iter().product();
    let last = name.rsplit('.').next().unwrap_or(name);
    let half = PROMPT_TABLES.iter().any(|table| name.contains(table));
    let (lo, hi) = match last {
        "running_mean" => (-0.1, 0.1),
        "running_var" => (0.5, 1.5),
        _ if half => (-0.5, 0.5),
        _ if shape.len() < 2 && last == "weight" => (0.5, 1.5),
        _ if shape.len() < 2 => (-0.1, 0.1),
        _ => {
            let factors: f64 =
                scale.iter().filter(|(k, _)| name.contains(k.as_str())).filter_map(|(_, v)| v.as_f64()).product();
            let n: usize = shape[1..].iter().product();
            let a = gain * factors * (3.0 / n as f64).sqrt();
            (-a, a)
        }
    };
    uniform(name, count, lo, hi)
}

/// A network filled by the rule of a fixture.
pub fn filled(graph: Graph, fixture: &Json) -> Network {
    let gain = fixture["gain"].as_f64().unwrap();
    let scale = fixture["scale"].as_object().cloned().unwrap_or_default();
    let fill = |spec: &TensorSpec| rule_values(&spec.name, &spec.shape, gain, &scale);
    Network::filled(std::sync::Arc::new(graph), &fill, &burn::tensor::Device::flex()).unwrap()
}

/// Names and shapes of a fixture's state dict without the counters that this program has no use for.
pub fn state_dict(fixture: &Json) -> Vec<(String, Vec<usize>)> {
    let entries = fixture["state_dict"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let (name, shape) = match entry {
                Json::Array(parts) => (parts[0].as_str().unwrap().to_owned(), &parts[1]),
                other => (other["key"].as_str().or(other["name"].as_str()).unwrap().to_owned(), &other["shape"]),
            };
            (name, usizes(shape))
        })
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .collect()
}

pub fn usizes(json: &Json) -> Vec<usize> {
    json.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

pub fn floats(json: &Json) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect()
}

/// The samples of a tensor in a fixture: indices (all of them without `idx`) and values.
pub fn samples(tensor: &Json) -> (Vec<usize>, Vec<f64>) {
    let values = floats(&tensor["val"]);
    let indices = tensor.get("idx").filter(|idx| idx.is_array()).map_or_else(|| (0..values.len()).collect(), usizes);
    (indices, values)
}

/// All fixtures of model families that this program has: those kept in `tests/fixtures`, and all of
/// `FROSTLINE_PARITY_DIR` if it is set.
pub fn model_fixtures() -> Vec<(PathBuf, Json)> {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    let mut folders = vec![own];
    folders.extend(std::env::var_os("FROSTLINE_PARITY_DIR").map(PathBuf::from));
    let mut found: std::collections::BTreeMap<String, (PathBuf, Json)> = std::collections::BTreeMap::new();
    for folder in folders {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let Ok(json) = serde_json::from_str::<Json>(&std::fs::read_to_string(&path).unwrap()) else { continue };
            if json["format"] == "parity/1" {
                found.insert(json["model"].as_str().unwrap_or_default().to_owned(), (path, json));
            }
        }
    }
    found.into_values().collect()
}

/// `../shared` beside the repository, if it is there.
pub fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    path.is_dir().then_some(path)
}

/// `../shared/PATH`, or a line that says that a test is skipped.
pub fn shared_or_skip(path: &str, test: &str) -> Option<PathBuf> {
    let found = shared().map(|shared| shared.join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED {test}: ../shared/{path} is not there");
    }
    found
}

/// A graph whose image has this size.
pub fn sized(graph: &Graph, height: usize, width: usize) -> Graph {
    graph.with_image_size(height, width)
}
