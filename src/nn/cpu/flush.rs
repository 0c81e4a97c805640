//! Gradients that are too small to matter.

use super::record::{Input, record_as};
use burn::tensor::Tensor;

/// Gradients closer to zero than this become zero. A processor takes some hundred times as long for a product with a number
/// below 1.2e-38, and the gradient of a loss is full of them where a network is sure: a softmax has tails of `exp(-90)`.
/// The room between leaves products with weights and activations normal.
const LEAST: f32 = 1e-30;

/// `x`, with a gradient that has no value between zero and 1e-30.
pub(in crate::nn) fn flush_gradient<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    let input = Input::new(x)?;
    let same = input.tensor().clone();
    Some(record_as(&[input], same, |grad, _| {
        [Some(grad.iter().map(|g| if g.abs() < LEAST { 0.0 } else { *g }).collect())]
    }))
}
