//! Convolution, and convolution with the normalisation and activation behind it where nothing of it trains.

use super::function;
use super::kernels::conv::{self, Conv, Finish};
use super::kernels::{depthwise, norm};
use super::record::{Input, constant, record};
use crate::graph::{self, blocks::Activation};
use burn::tensor::Tensor;

/// The kernels for a convolution, if there are some.
#[derive(Clone, Copy)]
enum Kernels {
    /// One group.
    Dense,
    /// As many groups as channels in and out.
    Depthwise,
}

fn kernels(conv: &graph::Conv, [batch, inputs, height, width]: [usize; 4]) -> Option<(Kernels, Conv)> {
    let graph::Conv { outputs, kernel, stride, padding, dilation, groups, .. } = *conv;
    let kind = match groups {
        1 => Kernels::Dense,
        _ if groups == inputs && groups == outputs => Kernels::Depthwise,
        _ => return None,
    };
    let size = [height, width];
    let conv = Conv { batch, inputs, outputs, size, kernel: [kernel; 2], stride, padding, dilation };
    (batch > 0 && conv.fits()).then_some((kind, conv))
}

impl Kernels {
    fn forward(self, conv: &Conv, x: &[f32], weight: &[f32], finish: &Finish<'_>) -> Vec<f32> {
        match self {
            Self::Dense => conv::forward(conv, x, weight, finish),
            Self::Depthwise => depthwise::forward(conv, x, weight, finish),
        }
    }

    fn input_grad(self, conv: &Conv, weight: &[f32], grad: &[f32]) -> Vec<f32> {
        match self {
            Self::Dense => conv::input_grad(conv, weight, grad),
            Self::Depthwise => depthwise::input_grad(conv, weight, grad),
        }
    }

    fn weight_grad(self, conv: &Conv, x: &[f32], grad: &[f32]) -> Vec<f32> {
        match self {
            Self::Dense => conv::weight_grad(conv, x, grad),
            Self::Depthwise => depthwise::weight_grad(conv, x, grad),
        }
    }
}

/// `[batch, inputs, h, w]` → `[batch, outputs, h', w']`
pub(in crate::nn) fn conv2d(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    conv: &graph::Conv,
) -> Option<Tensor<4>> {
    let (kernels, sizes) = kernels(conv, x.dims())?;
    let inputs = [Input::new(x)?, Input::new(weight)?];
    let [height, width] = sizes.out_size();
    let shape = [sizes.batch, sizes.outputs, height, width];
    let [values, weights] = inputs.each_ref().map(|input| input.values().clone());
    let run = |finish: &Finish<'_>| kernels.forward(&sizes, values.get(), weights.get(), finish);
    let Some(bias) = bias else {
        let out = run(&Finish::NONE);
        return Some(record(&inputs, (out, shape), move |grad, wanted| {
            [
                wanted[0].then(|| kernels.input_grad(&sizes, weights.get(), grad)),
                wanted[1].then(|| kernels.weight_grad(&sizes, values.get(), grad)),
            ]
        }));
    };
    let bias = Input::new(bias)?;
    let out = run(&Finish { shift: Some(bias.get()), ..Finish::NONE });
    let [x, weight] = inputs;
    Some(record(&[x, weight, bias], (out, shape), move |grad, wanted| {
        [
            wanted[0].then(|| kernels.input_grad(&sizes, weights.get(), grad)),
            wanted[1].then(|| kernels.weight_grad(&sizes, values.get(), grad)),
            wanted[2].then(|| norm::bias_grad(grad, sizes.outputs, height * width)),
        ]
    }))
}

/// `[batch, inputs, h, w]` → `[batch, outputs, (h - 1) stride + kernel - 2 padding, …]`, with `weight`: `[inputs, outputs,
/// kernel, kernel]`: the gradient of the input of the convolution that goes the other way.
pub(in crate::nn) fn conv_transpose2d(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    conv: &graph::Conv,
) -> Option<Tensor<4>> {
    let graph::Conv { stride, padding, dilation, groups, .. } = *conv;
    let ([batch, inputs, height, width], [_, outputs, rows, columns]) = (x.dims(), weight.dims());
    let size = [(height, rows), (width, columns)].map(|(n, k)| ((n - 1) * stride + k).saturating_sub(2 * padding));
    let back =
        Conv { batch, inputs: outputs, outputs: inputs, size, kernel: [rows, columns], stride, padding, dilation: 1 };
    if dilation != 1 || groups != 1 || batch == 0 || !back.fits() || back.out_size() != [height, width] {
        return None;
    }
    let (x, weight) = (Input::new(x)?, Input::new(weight)?);
    let (values, weights) = (x.values().clone(), weight.values().clone());
    let mut out = conv::input_grad(&back, weights.get(), values.get());
    let (shape, pixels) = ([batch, outputs, size[0], size[1]], size[0] * size[1]);
    let grads = move |grad: &[f32], wanted: [bool; 2]| {
        [
            wanted[0].then(|| conv::forward(&back, grad, weights.get(), &Finish::NONE)),
            wanted[1].then(|| conv::weight_grad(&back, grad, values.get())),
        ]
    };
    let Some(bias) = bias else { return Some(record(&[x, weight], (out, shape), grads)) };
    let bias = Input::new(bias)?;
    norm::add_bias(&mut out, pixels, bias.get());
    Some(record(&[x, weight, bias], (out, shape), move |grad, wanted| {
        let [of_x, of_weight] = grads(grad, [wanted[0], wanted[1]]);
        [of_x, of_weight, wanted[2].then(|| norm::bias_grad(grad, outputs, pixels))]
    }))
}

/// What follows a convolution, with stored statistics.
pub(in crate::nn) struct Fused<'a> {
    /// `[outputs]`
    pub scale: &'a Tensor<1>,
    /// `[outputs]`
    pub shift: &'a Tensor<1>,
    /// Added before the function.
    pub residual: Option<&'a Tensor<4>>,
    /// The function.
    pub activation: Activation,
}

/// `f(conv(x) · scale + shift + residual)` in one pass, where no gradient will be asked of any of them.
pub(in crate::nn) fn fused(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    conv: &graph::Conv,
    behind: &Fused<'_>,
) -> Option<Tensor<4>> {
    if conv.bias {
        return None;
    }
    let (kernels, sizes) = kernels(conv, x.dims())?;
    let [x, weight] = [Input::new(x)?, Input::new(weight)?];
    let [scale, shift] = [Input::new(behind.scale)?, Input::new(behind.shift)?];
    let residual = match behind.residual {
        Some(residual) => Some(Input::new(residual)?),
        None => None,
    };
    if [&x, &weight, &scale, &shift].into_iter().chain(&residual).any(Input::is_tracked) {
        return None;
    }
    let finish = Finish {
        scale: Some(scale.get()),
        shift: Some(shift.get()),
        residual: residual.as_ref().map(Input::get),
        activation: function(behind.activation),
    };
    let [height, width] = sizes.out_size();
    let out = kernels.forward(&sizes, x.get(), weight.get(), &finish);
    Some(constant(&x, out, [sizes.batch, sizes.outputs, height, width]))
}
