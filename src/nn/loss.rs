//! Losses with torch's semantics.

use burn::tensor::{Int, Tensor, activation};

/// Cross-entropy of logits `[n, classes]` with class ids `[n]`, torch's `cross_entropy` with mean reduction.
///
/// `smoothing` spreads that share of each target over all classes; `weights`, one for each class, weigh the targets,
/// and the mean divides by the weights of the targets (smoothing as torch does it: the smoothed part is weighted by each
/// class's own weight and divided by the same sum).
#[must_use]
pub fn cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weights: Option<Tensor<1>>,
    smoothing: f64,
) -> Tensor<1> {
    let [n, classes] = logits.dims();
    let log_p = activation::log_softmax(logits, 1); // [n, classes]
    let picked = log_p.clone().gather(1, targets.clone().reshape([n, 1])).reshape([n]);
    let Some(weights) = weights else {
        let hard = -picked.mean();
        if smoothing == 0.0 {
            return hard;
        }
        let soft = -log_p.sum() / (n * classes) as f64;
        return hard * (1.0 - smoothing) + soft * smoothing;
    };
    let of_target = weights.clone().select(0, targets); // [n]
    let total = of_target.clone().sum();
    let hard = -(picked * of_target).sum() / total.clone();
    if smoothing == 0.0 {
        return hard;
    }
    let soft = -(log_p * weights.reshape([1, classes])).sum() / total / classes as f64;
    hard * (1.0 - smoothing) + soft * smoothing
}

/// Cross-entropy for each pixel: logits `[n, classes, h, w]`, class ids `[n, h, w]`; pixels of the id `ignore` do not
/// count (torch's `cross_entropy` with `ignore_index`, mean). Zero when every pixel is ignored.
#[must_use]
pub fn pixel_cross_entropy(logits: Tensor<4>, targets: Tensor<3, Int>, ignore: i32) -> Tensor<1> {
    let [n, classes, h, w] = logits.dims();
    let log_p = activation::log_softmax(logits, 1).permute([0, 2, 3, 1]).reshape([n * h * w, classes]);
    let targets = targets.reshape([n * h * w]);
    let ignored = targets.clone().equal_elem(ignore);
    let counted = ignored.clone().bool_not().float(); // [n * h * w]
    let picked = log_p.gather(1, targets.mask_fill(ignored, 0).reshape([n * h * w, 1])).reshape([n * h * w]);
    let count = counted.clone().sum().clamp_min(1.0);
    -(picked * counted).sum() / count
}
