//! Comparisons with the fixtures of promptable networks.

use super::{samples, uniform, usizes};
use burn::tensor::Tensor;
use serde_json::Value as Json;

/// A fixture of this repository.
pub fn fixture(name: &str) -> Json {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A case of a fixture.
pub fn case<'a>(fixture: &'a Json, name: &str) -> &'a Json {
    fixture["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap()
}

/// The values that a description stands for.
pub fn described(description: &Json) -> Vec<f32> {
    let count = usizes(&description["shape"]).iter().product();
    let (lo, hi) = (description["lo"].as_f64().unwrap_or(0.0), description["hi"].as_f64().unwrap_or(1.0));
    uniform(description["key"].as_str().unwrap(), count, lo, hi)
}

/// The values of a tensor.
pub fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner().into_data().try_to_vec::<f32>().unwrap()
}

/// Compares the samples of a tensor; the error as a share of the tolerance `1e-4 std + 20 f32_err`.
pub fn compare(who: &str, ours: &[f32], reference: &Json) -> f64 {
    assert_eq!(ours.len(), usizes(&reference["shape"]).iter().product::<usize>(), "{who}");
    let tolerance = 1e-4 * reference["std"].as_f64().unwrap() + 20.0 * reference["f32_err"].as_f64().unwrap_or(0.0);
    let (indices, wanted) = samples(reference);
    let error = indices.iter().zip(wanted).map(|(&i, want)| (f64::from(ours[i]) - want).abs()).fold(0.0, f64::max);
    println!("{who}: {error:.2e} (tolerance {tolerance:.2e})");
    assert!(error <= tolerance, "{who}: {error:.2e}, tolerance {tolerance:.2e}");
    error / tolerance
}

/// Relative difference in L2.
pub fn relative(ours: &[f64], theirs: &[f64]) -> f64 {
    let sum = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let difference = sum(&mut ours.iter().zip(theirs).map(|(a, b)| a - b));
    (difference / sum(&mut theirs.iter().copied()).max(1e-30)).sqrt()
}
