//! Losses of masks: cross-entropy, Dice, Jaccard and focal loss with their gradients against PyTorch (`ops_losses.json`),
//! Lovász-softmax by hand and against PyTorch's autograd, what must hold for all of them.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use common::{floats, integers, samples, uniform, usizes};
use frostline::train::segmentation::{Borders, MaskBatch, MaskLoss, border_weights, dice, jaccard, loss};
use serde_json::Value as Json;

fn cases(name: &str) -> Vec<Json> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ops_losses.json");
    let all: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all["cases"].as_array().unwrap().iter().filter(|case| case["name"] == name).cloned().collect()
}

fn tracked<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex()).autodiff().require_grad()
}

fn number(x: &Tensor<1>) -> f64 {
    f64::from(x.clone().inner().into_scalar::<f32>())
}

fn gradient<const D: usize>(of: &Tensor<1>, by: &Tensor<D>) -> Vec<f32> {
    let grads = of.clone().backward();
    by.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap()
}

/// The loss of logits `[n, classes, h, w]` and ids by a choice of losses.
fn chosen(logits: &Tensor<4>, ids: &[u8], choice: &str, weights: Option<&Tensor<1>>, smoothing: f64) -> Tensor<1> {
    let [n, _, h, w] = logits.dims();
    chosen_at([n, h, w], logits, ids, choice, weights, smoothing)
}

/// The same for masks of another size than the logits.
fn chosen_at(
    [n, h, w]: [usize; 3],
    logits: &Tensor<4>,
    ids: &[u8],
    choice: &str,
    weights: Option<&Tensor<1>>,
    smoothing: f64,
) -> Tensor<1> {
    let numbers: Vec<i32> = ids.iter().map(|&id| i32::from(id)).collect();
    let targets = Tensor::<3, Int>::from_data(TensorData::new(numbers, [n, h, w]), &Device::flex());
    let batch = MaskBatch { targets, ids: ids.chunks(h * w).collect() };
    let choice: MaskLoss = choice.parse().unwrap();
    loss(logits.clone(), &batch, &choice, weights, smoothing).unwrap().0
}

/// The loss and its gradient are those of a case; `dloss` of a scalar is the first value named `w`.
fn compare(case: &Json, loss: &Tensor<1>, gradient: &[f32]) {
    let want = floats(&case["out"]["val"])[0];
    assert!((number(loss) - want).abs() < 1e-5, "{}: {} and not {want}", case["args"], number(loss));
    let upstream = f64::from(uniform("w", 1, -1.0, 1.0)[0]);
    let (indices, wanted) = samples(&case["grad"]["logits"]);
    for (i, want) in indices.into_iter().zip(wanted) {
        let have = f64::from(gradient[i]) * upstream;
        assert!((have - want).abs() < 1e-6, "{} gradient {i}: {have} and not {want}", case["args"]);
    }
}

fn logits_and_ids(case: &Json) -> (Tensor<4>, Vec<u8>) {
    let shape: [usize; 4] = usizes(&case["in"]["logits"]["shape"]).try_into().unwrap();
    let [n, classes, h, w] = shape;
    let mut ids: Vec<u8> = integers("labels", n * h * w, classes as u64).into_iter().map(|id| id as u8).collect();
    if case["args"].get("ignore_index").is_some() {
        // Row 0 of each picture.
        (0..n).for_each(|i| ids[i * h * w..i * h * w + w].fill(255));
    }
    (tracked(uniform("logits", shape.iter().product(), -3.0, 3.0), shape), ids)
}

#[test]
fn cross_entropy_with_weights_smoothing_and_ignored_pixels_is_torchs() {
    let all = cases("cross_entropy");
    for case in &all {
        let (logits, ids) = logits_and_ids(case);
        let weights = case["args"].get("weight").map(|given| {
            let given: Vec<f32> = floats(given).into_iter().map(|x| x as f32).collect();
            Tensor::<1>::from_data(TensorData::new(given, [3]), &Device::flex())
        });
        let smoothing = case["args"]["label_smoothing"].as_f64().unwrap_or(0.0);
        let found = chosen(&logits, &ids, "ce", weights.as_ref(), smoothing);
        compare(case, &found, &gradient(&found, &logits));
    }
    assert_eq!(all.len(), 5);
}

#[test]
fn dice_and_jaccard_and_their_gradients_are_segmentation_models_pytorchs() {
    for (name, choice) in [("dice_multiclass", "dice"), ("jaccard_multiclass", "jaccard")] {
        for case in cases(name) {
            let (logits, ids) = logits_and_ids(&case);
            let found = chosen(&logits, &ids, choice, None, 0.0);
            compare(&case, &found, &gradient(&found, &logits));
        }
    }
    let all = cases("dice_binary");
    for case in &all {
        let logits = tracked(uniform("logits", 60, -3.0, 3.0), [2, 1, 30]);
        let truth: Vec<f32> = integers("mask", 60, 2).into_iter().map(|x| x as f32).collect();
        let truth = Tensor::<3>::from_data(TensorData::new(truth, [2, 1, 30]), &Device::flex());
        let found = dice(activation::sigmoid(logits.clone()), truth, case["args"]["smooth"].as_f64().unwrap());
        compare(case, &found, &gradient(&found, &logits));
    }
    assert_eq!(all.len(), 2);
}

/// With two classes and logits 0 and x the softmax is the sigmoid of x.
#[test]
fn the_focal_loss_of_two_classes_is_torchvisions() {
    let case = cases("sigmoid_focal_loss")
        .into_iter()
        .find(|case| case["args"]["alpha"] == -1 && case["args"]["gamma"] == 2.0 && case["args"]["reduction"] == "mean")
        .unwrap();
    let x = tracked(uniform("logits", 24, -4.0, 4.0), [1, 1, 4, 6]);
    let logits = Tensor::cat(vec![x.zeros_like(), x.clone()], 1);
    let ids: Vec<u8> = integers("target", 24, 2).into_iter().map(|id| id as u8).collect();
    let found = chosen(&logits, &ids, "focal", None, 0.0);
    compare(&case, &found, &gradient(&found, &x));
}

/// Two pixels of two classes, probabilities 0.7 and 0.4 of class 1 where the truth is 1 and 0. Class 1: errors 0.3 (hit) and
/// 0.4 (miss); sorted 0.4, 0.3 with rises 1 - 1/2 and 1 - 0 - 1/2: 0.35. Class 0: pixel 0 misses by 0.3, pixel 1 is a hit
/// with 1 - 0.6 = 0.4; sorted 0.4 (hit, 1 - 0 = 1), 0.3 (miss, 0): 0.4. The mean is 0.375.
#[test]
fn lovasz_by_hand() {
    let odds = |p: f32| (p / (1.0 - p)).ln();
    let logits = tracked(vec![0.0, 0.0, odds(0.7), odds(0.4)], [1, 2, 1, 2]);
    let found = number(&chosen(&logits, &[1, 0], "lovasz", None, 0.0));
    assert!((found - 0.375).abs() < 1e-6, "{found}");
}

/// `tests/fixtures/segment_losses.py`: Lovász-softmax as the paper's algorithm 1 in torch, with torch's autograd, and the
/// cross-entropy with U-Net's weights from scipy's distance transform.
#[test]
fn lovasz_and_border_losses_and_their_gradients_are_those_of_a_reference_in_torch() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/segment_losses.json");
    let all: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in all["cases"].as_array().unwrap() {
        let shape: [usize; 4] = usizes(&case["shape"]).try_into().unwrap();
        let logits = tracked(uniform("logits", shape.iter().product(), -3.0, 3.0), shape);
        let ids: Vec<u8> = usizes(&case["ids"]).into_iter().map(|id| id as u8).collect();
        let choice = case["choice"].as_str().unwrap();
        let found = chosen(&logits, &ids, choice, None, 0.0);
        let want = case["loss"].as_f64().unwrap();
        assert!((number(&found) - want).abs() < 2e-6 * want.max(1.0), "{choice}: {} and not {want}", number(&found));
        for (have, want) in gradient(&found, &logits).iter().zip(floats(&case["grad"])) {
            assert!((f64::from(*have) - want).abs() < 1e-6, "{choice}: {have} and not {want}");
        }
    }
}

#[test]
fn a_right_answer_costs_nothing_and_a_wrong_one_costs_all() {
    let ids = [0, 1, 2, 2, 1, 0, 255, 0];
    let sure = |right: bool| {
        let mut logits = vec![-40.0; 3 * 8];
        for (at, &id) in ids.iter().enumerate().filter(|(_, id)| **id < 3) {
            let class = if right { usize::from(id) } else { (usize::from(id) + 1) % 3 };
            logits[class * 8 + at] = 40.0;
        }
        tracked(logits, [1, 3, 2, 4])
    };
    for choice in ["ce", "dice", "jaccard", "focal", "lovasz", "border", "ce+dice+lovasz"] {
        let found = number(&chosen(&sure(true), &ids, choice, None, 0.0));
        assert!(found.abs() < 1e-6, "{choice}: {found}");
    }
    for choice in ["dice", "jaccard", "lovasz"] {
        let found = number(&chosen(&sure(false), &ids, choice, None, 0.0));
        assert!((found - 1.0).abs() < 1e-6, "{choice}: {found}");
    }
    let found = number(&chosen(&sure(false), &ids, "focal", None, 0.0));
    assert!((found - 80.0).abs() < 1e-3, "{found}");
}

#[test]
fn ignored_pixels_change_nothing_and_a_batch_of_them_costs_nothing() {
    let shape = [2, 3, 4, 4];
    let values = uniform("logits", 96, -3.0, 3.0);
    let mut ids: Vec<u8> = integers("labels", 32, 3).into_iter().map(|id| id as u8).collect();
    (0..32).step_by(5).for_each(|at| ids[at] = 255);
    let mut other = values.clone();
    for (at, _) in ids.iter().enumerate().filter(|(_, id)| **id == 255) {
        (0..3).for_each(|class| other[(at / 16 * 3 + class) * 16 + at % 16] += 5.0 * class as f32);
    }
    for choice in ["ce", "dice", "jaccard", "focal", "lovasz", "border"] {
        let (a, b) = (tracked(values.clone(), shape), tracked(other.clone(), shape));
        let (of_a, of_b) = (chosen(&a, &ids, choice, None, 0.1), chosen(&b, &ids, choice, None, 0.1));
        assert!((number(&of_a) - number(&of_b)).abs() < 1e-6, "{choice}");
        let slopes = gradient(&of_a, &a);
        for (at, _) in ids.iter().enumerate().filter(|(_, id)| **id == 255) {
            assert!((0..3).all(|class| slopes[(at / 16 * 3 + class) * 16 + at % 16] == 0.0), "{choice}");
        }
        let none = chosen(&a, &[255; 32], choice, None, 0.0);
        assert!(number(&none) == 0.0 && gradient(&none, &a).iter().all(|slope| *slope == 0.0), "{choice}");
    }
}

#[test]
fn sums_are_weighed_and_outputs_of_another_size_are_resized() {
    let logits = tracked(uniform("logits", 2 * 3 * 16, -3.0, 3.0), [2, 3, 4, 4]);
    let ids: Vec<u8> = integers("labels", 32, 3).into_iter().map(|id| id as u8).collect();
    let of = |choice: &str| number(&chosen(&logits, &ids, choice, None, 0.0));
    assert!((of("2*ce+0.5*dice") - (2.0 * of("ce") + 0.5 * of("dice"))).abs() < 1e-5);
    // Everywhere the same logits: resizing changes nothing.
    let flat = tracked([vec![0.5; 4], vec![-1.0; 4]].concat(), [1, 2, 2, 2]);
    let found = chosen_at([1, 35, 35], &flat, &[1; 35 * 35], "ce", None, 0.0);
    assert!((number(&found) - (1.0 + 1.5_f64.exp()).ln()).abs() < 1e-5);
    // A gap of one pixel in a row: the background's weight is 1 + 10 exp(-4 / 50).
    let weights = border_weights(&[1, 0, 1], 3, Borders::PAPER);
    assert!((weights[1] - 9.231_163).abs() < 1e-5, "{weights:?}");
    assert_eq!(
        jaccard(Tensor::ones([1, 1, 4], &Device::flex()), Tensor::ones([1, 1, 4], &Device::flex()), 0.0)
            .into_scalar::<f32>(),
        0.0
    );
}
