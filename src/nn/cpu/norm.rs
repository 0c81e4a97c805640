//! Batch normalisation with the activation behind it.

use super::function;
use super::kernels::norm::{self, Statistics, Trained};
use super::record::{Input, plain, record};
use crate::graph::blocks::Activation;
use burn::tensor::Tensor;

/// `f((x - mean) / √(variance + epsilon) · weight + bias)` with stored statistics.
pub(in crate::nn) fn norm_stored(
    x: &Tensor<4>,
    [weight, bias, mean, variance]: [&Tensor<1>; 4],
    epsilon: f64,
    activation: Activation,
) -> Option<Tensor<4>> {
    let [_, _, height, width] = x.dims();
    let inputs = [Input::new(x)?, Input::new(weight)?, Input::new(bias)?];
    let mean = Input::new(mean)?.values().clone();
    let inverse: Vec<f32> = Input::new(variance)?.get().iter().map(|v| 1.0 / (v + epsilon as f32).sqrt()).collect();
    let scale: Vec<f32> = inputs[1].get().iter().zip(&inverse).map(|(weight, inverse)| weight * inverse).collect();
    let centered = inputs[2].get().iter().zip(mean.get()).zip(&scale);
    let shift: Vec<f32> = centered.map(|((bias, mean), scale)| bias - mean * scale).collect();
    let (function, pixels, values) = (function(activation), height * width, inputs[0].values().clone());
    let out = norm::affine(values.get(), pixels, &scale, &shift, function);
    Some(record(&inputs, (out, x.dims()), move |grad, wanted| {
        let center = (wanted[1] || wanted[2]).then(|| mean.get());
        let grads = norm::affine_backward(values.get(), grad, pixels, (&scale, &shift), function, center);
        let of_weight = grads.product.iter().zip(&inverse).map(|(product, inverse)| product * inverse).collect();
        [wanted[0].then_some(grads.x), wanted[1].then_some(of_weight), wanted[2].then_some(grads.shift)]
    }))
}

/// A training step's normalisation.
pub(in crate::nn) struct Normed {
    /// As the input.
    pub output: Tensor<4>,
    /// Mean of the batch, `[channels]`, not tracked.
    pub mean: Tensor<1>,
    /// Variance of the batch divided by n, `[channels]`, not tracked.
    pub variance: Tensor<1>,
}

/// `f((x - mean) / √(variance + epsilon) · weight + bias)` with the batch's statistics.
pub(in crate::nn) fn norm_batch(
    x: &Tensor<4>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    epsilon: f64,
    activation: Activation,
) -> Option<Normed> {
    let [_, channels, height, width] = x.dims();
    let inputs = [Input::new(x)?, Input::new(weight)?, Input::new(bias)?];
    let (function, pixels, epsilon) = (function(activation), height * width, epsilon as f32);
    let [values, weights, biases] = inputs.each_ref().map(|input| input.values().clone());
    let affine = (weights.get(), biases.get());
    let Trained { out, mean, variance } = norm::train(values.get(), pixels, affine, epsilon, function);
    let statistics = [mean.clone(), variance.clone()].map(|values| plain(values, [channels]));
    let output = record(&inputs, (out, x.dims()), move |grad, wanted| {
        let statistics = Statistics { mean: &mean, variance: &variance, epsilon };
        let affine = (weights.get(), biases.get());
        let grads = norm::train_backward(values.get(), grad, pixels, affine, statistics, function);
        [wanted[0].then_some(grads.x), wanted[1].then_some(grads.weight), wanted[2].then_some(grads.bias)]
    });
    let [mean, variance] = statistics;
    Some(Normed { output, mean, variance })
}
