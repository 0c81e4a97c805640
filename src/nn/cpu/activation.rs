//! Activation functions.

use super::function;
use super::kernels::activation;
use super::record::{Input, record};
use crate::graph::blocks::Activation;
use burn::tensor::Tensor;

/// `f(x)`
pub(in crate::nn) fn activate<const D: usize>(x: &Tensor<D>, activation: Activation) -> Option<Tensor<D>> {
    let input = Input::new(x)?;
    let function = function(activation);
    let values = input.values().clone();
    let out = activation::forward(function, values.get());
    Some(record(&[input], (out, x.dims()), move |grad, _| [Some(activation::backward(function, values.get(), grad))]))
}

/// `f(a + b)`
pub(in crate::nn) fn add_activate<const D: usize>(
    a: &Tensor<D>,
    b: &Tensor<D>,
    activation: Activation,
) -> Option<Tensor<D>> {
    let inputs = [Input::new(a)?, Input::new(b)?];
    if a.dims() != b.dims() {
        return None;
    }
    let function = function(activation);
    let [x, y] = inputs.each_ref().map(|input| input.values().clone());
    let out = activation::add_forward(function, x.get(), y.get());
    Some(record(&inputs, (out, a.dims()), move |grad, wanted| {
        let grad = activation::add_backward(function, x.get(), y.get(), grad);
        match wanted {
            [true, true] => [Some(grad.clone()), Some(grad)],
            [first, second] => [first.then(|| grad.clone()), second.then_some(grad)],
        }
    }))
}
