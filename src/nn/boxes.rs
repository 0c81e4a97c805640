//! Boxes as tensors: how much they overlap, with gradients.

use burn::tensor::Tensor;
use std::f64::consts::PI;

/// How the overlap of two boxes is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Area in common over area of both: 0 to 1.
    Iou,
    /// Less the share of the enclosing box that neither covers (Rezatofighi et al. 2019, arXiv:1902.09630): -1 to 1.
    Giou,
    /// Less the squared distance of the centers in diagonals of the enclosing box (Zheng et al. 2020, arXiv:1911.08287).
    Diou,
    /// That, less a term for the ratio of width to height (same paper), whose weight is a constant for the gradient.
    Ciou,
}

/// Row by row the overlap of boxes `[n, 4]` given by left, top, right, bottom: `[n]`. `eps` is added to what is divided
/// by; torchvision's losses take 1e-7.
#[must_use]
pub fn overlap(a: &Tensor<2>, b: &Tensor<2>, kind: Overlap, eps: f64) -> Tensor<1> {
    of_sides(sides(a).map(|side| side.flatten(0, 1)), sides(b).map(|side| side.flatten(0, 1)), kind, eps)
}

/// The overlap of each of `[n, 4]` with each of `[m, 4]`: `[n, m]`.
#[must_use]
pub fn overlap_matrix(a: &Tensor<2>, b: &Tensor<2>, kind: Overlap, eps: f64) -> Tensor<2> {
    let shape = [a.dims()[0], b.dims()[0]];
    let (a, b) = (sides(a), sides(b));
    of_sides(a.map(|side| side.expand(shape)), b.map(|side| side.transpose().expand(shape)), kind, eps)
}

/// The four columns, each `[n, 1]`.
fn sides(boxes: &Tensor<2>) -> [Tensor<2>; 4] {
    std::array::from_fn(|i| boxes.clone().narrow(1, i, 1))
}

fn of_sides<const D: usize>(a: [Tensor<D>; 4], b: [Tensor<D>; 4], kind: Overlap, eps: f64) -> Tensor<D> {
    let [al, at, ar, ab] = a;
    let [bl, bt, br, bb] = b;
    let span = |from: &Tensor<D>, to: &Tensor<D>| to.clone() - from.clone();
    let inside = |from: [&Tensor<D>; 2], to: [&Tensor<D>; 2]| {
        (to[0].clone().min_pair(to[1].clone()) - from[0].clone().max_pair(from[1].clone())).clamp_min(0.0)
    };
    let [aw, ah, bw, bh] = [span(&al, &ar), span(&at, &ab), span(&bl, &br), span(&bt, &bb)];
    let common = inside([&al, &bl], [&ar, &br]) * inside([&at, &bt], [&ab, &bb]);
    let union = aw.clone() * ah.clone() + bw.clone() * bh.clone() - common.clone();
    let iou = common / (union.clone() + eps);
    if kind == Overlap::Iou {
        return iou;
    }
    let around = |from: [&Tensor<D>; 2], to: [&Tensor<D>; 2]| {
        to[0].clone().max_pair(to[1].clone()) - from[0].clone().min_pair(from[1].clone())
    };
    let [width, height] = [around([&al, &bl], [&ar, &br]), around([&at, &bt], [&ab, &bb])];
    if kind == Overlap::Giou {
        let area = width * height;
        return iou - (area.clone() - union) / (area + eps);
    }
    let square = |x: Tensor<D>| x.clone() * x;
    let distance = square((al + ar - bl - br) / 2.0) + square((at + ab - bt - bb) / 2.0);
    let diou = iou.clone() - distance / (square(width) + square(height) + eps);
    if kind == Overlap::Diou {
        return diou;
    }
    let v = square((bw / (bh + eps)).atan() - (aw / (ah + eps)).atan()) * (4.0 / (PI * PI));
    let weight = v.clone().detach();
    let weight = weight.clone() / (weight - iou.detach() + (1.0 + eps));
    diou - v * weight
}

/// Center and size to left, top, right, bottom, `[.., 4]` along the last axis.
#[must_use]
pub fn corners<const D: usize>(boxes: Tensor<D>) -> Tensor<D> {
    let [center, size] = halves(boxes);
    let half = size / 2.0;
    Tensor::cat(vec![center.clone() - half.clone(), center + half], D - 1)
}

/// Left, top, right, bottom to center and size, `[.., 4]` along the last axis.
#[must_use]
pub fn centered<const D: usize>(boxes: Tensor<D>) -> Tensor<D> {
    let [from, to] = halves(boxes);
    Tensor::cat(vec![(from.clone() + to.clone()) / 2.0, to - from], D - 1)
}

fn halves<const D: usize>(boxes: Tensor<D>) -> [Tensor<D>; 2] {
    [boxes.clone().narrow(D - 1, 0, 2), boxes.narrow(D - 1, 2, 2)]
}
