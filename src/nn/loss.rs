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

/// Binary cross-entropy of logits `[n, classes]` with targets of 0 to 1 `[n, classes]`, torch's
/// `binary_cross_entropy_with_logits` with mean reduction; `pos_weight`, one for each class, weighs the positive part.
#[must_use]
pub fn binary_cross_entropy(logits: Tensor<2>, targets: Tensor<2>, pos_weight: Option<Tensor<1>>) -> Tensor<1> {
    let [_, classes] = logits.dims();
    let negative = targets.ones_like() - targets.clone();
    let log_p = activation::log_sigmoid(logits.clone()); // [n, classes]
    // -log(1 - sigmoid(x)) is x - log sigmoid(x)
    let positive = match pos_weight {
        Some(weight) => targets * weight.reshape([1, classes]),
        None => targets,
    };
    (negative.clone() * logits - (negative + positive) * log_p).mean()
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

/// The sum of torch's `smooth_l1_loss` over `x` and `target`: half the squared difference over `beta` below `beta`, above it
/// the difference less half of `beta` (Girshick 2015, arXiv:1504.08083).
#[must_use]
pub fn smooth_l1_sum<const D: usize>(x: Tensor<D>, target: Tensor<D>, beta: f64) -> Tensor<1> {
    let distance = (x - target).abs();
    // With c = min(d, beta): c² / (2 beta) + d - c is both parts.
    let near = distance.clone().clamp_max(beta);
    (near.clone().square() / (2.0 * beta) + distance - near).sum()
}

/// Binary cross-entropy of each logit with its target of 0 to 1, torch's `binary_cross_entropy_with_logits` without
/// reduction.
#[must_use]
pub fn binary_cross_entropy_each<const D: usize>(logits: Tensor<D>, targets: Tensor<D>) -> Tensor<D> {
    // -t log p - (1 - t) log (1 - p), and -log (1 - p) is x - log p.
    (targets.ones_like() - targets) * logits.clone() - activation::log_sigmoid(logits)
}

/// The focal loss of each logit with its target of 0 or 1 (Lin et al. 2017, arXiv:1708.02002), torchvision's
/// `sigmoid_focal_loss` without reduction. `gamma` lessens what is told apart already; `alpha` is the weight of the
/// positive targets (the negative ones have the rest), none where both count alike.
#[must_use]
pub fn focal<const D: usize>(logits: Tensor<D>, targets: Tensor<D>, alpha: Option<f64>, gamma: f64) -> Tensor<D> {
    let p = activation::sigmoid(logits.clone());
    let negative = targets.ones_like() - targets.clone();
    // The probability of the wrong answer.
    let miss = p.clone() * negative.clone() + (p.ones_like() - p) * targets.clone();
    let mut loss = binary_cross_entropy_each(logits, targets.clone());
    if gamma != 0.0 {
        loss = loss * miss.powf_scalar(gamma);
    }
    match alpha {
        Some(alpha) => loss * (targets * alpha + negative * (1.0 - alpha)),
        None => loss,
    }
}
