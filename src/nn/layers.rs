//! Leaf layers in torch's layout and semantics.

use super::basic::activate;
use super::cpu;
use super::init::Params;
use super::value::{Ctx, RunError};
use crate::graph::blocks::Activation;
use crate::graph::{Conv, Norm};
use burn::module::{Module, Param};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, TensorData, module};

/// How batch normalisation behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NormMode {
    /// Stored statistics, which stay as they are.
    #[default]
    Stored,
    /// Statistics of the batch; the stored ones are updated.
    Batch,
}

/// 2-d convolution.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[outputs, inputs / groups, kernel, kernel]`
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    conv: Conv,
}

impl Conv2d {
    /// Makes the layer from the tensors of `name`.
    ///
    /// # Errors
    /// When the description lacks them.
    pub fn new(conv: Conv, name: &str, params: &mut Params<'_>) -> Result<Self, RunError> {
        let weight = params.take(name, "weight")?;
        let bias = if conv.bias { Some(params.take(name, "bias")?) } else { None };
        Ok(Self { weight, bias, conv })
    }

    /// `[batch, inputs, h, w]` → `[batch, outputs, h', w']`
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        if let Some(y) = cpu::conv2d(&x, &weight, bias.as_ref(), &self.conv) {
            return y;
        }
        let Conv { stride, padding, dilation, groups, .. } = self.conv;
        let options = ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], groups);
        module::conv2d(x, weight, bias, options)
    }
}

/// Transposed 2-d convolution of one group.
#[derive(Module, Debug)]
pub struct ConvTranspose2d {
    /// `[inputs, outputs, kernel, kernel]`
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    conv: Conv,
}

impl ConvTranspose2d {
    /// Makes the layer from the tensors of `name`.
    ///
    /// # Errors
    /// When the description lacks them.
    pub fn new(conv: Conv, name: &str, params: &mut Params<'_>) -> Result<Self, RunError> {
        let weight = params.take(name, "weight")?;
        let bias = if conv.bias { Some(params.take(name, "bias")?) } else { None };
        Ok(Self { weight, bias, conv })
    }

    /// `[batch, inputs, h, w]` → `[batch, outputs, (h - 1) stride + kernel - 2 padding, …]`
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        if let Some(y) = cpu::conv_transpose2d(&x, &weight, bias.as_ref(), &self.conv) {
            return y;
        }
        let Conv { stride, padding, .. } = self.conv;
        let options = ConvTransposeOptions::new([stride; 2], [padding; 2], [0; 2], [1; 2], 1);
        module::conv_transpose2d(x, weight, bias, options)
    }
}

/// Batch normalisation over `[batch, h, w]` (Ioffe & Szegedy 2015, arXiv:1502.03167) with torch's running variance:
/// burn's own layer keeps the biased one.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `[channels]`
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`
    pub bias: Param<Tensor<1>>,
    /// `[channels]`
    pub running_mean: Param<Tensor<1>>,
    /// `[channels]`
    pub running_var: Param<Tensor<1>>,
    #[module(skip)]
    norm: Norm,
}

impl BatchNorm {
    /// Makes the layer from the tensors of `name`.
    ///
    /// # Errors
    /// When the description lacks them.
    pub fn new(norm: Norm, name: &str, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self {
            weight: params.take(name, "weight")?,
            bias: params.take(name, "bias")?,
            running_mean: params.take(name, "running_mean")?,
            running_var: params.take(name, "running_var")?,
            norm,
        })
    }

    /// `[batch, channels, h, w]` → the same shape
    #[must_use]
    pub fn forward(&self, x: Tensor<4>, ctx: &mut Ctx) -> Tensor<4> {
        self.forward_then(x, Activation::Identity, ctx)
    }

    /// [`Self::forward`] and the activation behind it, on the CPU in one pass.
    #[must_use]
    pub fn forward_then(&self, x: Tensor<4>, activation: Activation, ctx: &mut Ctx) -> Tensor<4> {
        if self.takes_batch(ctx) { self.forward_batch(x, activation, ctx) } else { self.forward_stored(x, activation) }
    }

    fn takes_batch(&self, ctx: &Ctx) -> bool {
        ctx.norm == NormMode::Batch && !self.norm.frozen
    }

    /// The stored statistics as `x · scale + shift`.
    fn affine(&self) -> [Tensor<1>; 2] {
        let scale = self.weight.val() / (self.running_var.val() + self.norm.epsilon).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        [scale, shift]
    }

    fn forward_stored(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        let tensors = [&self.weight, &self.bias, &self.running_mean, &self.running_var].map(Param::val);
        if let Some(y) = cpu::norm_stored(&x, tensors.each_ref(), self.norm.epsilon, activation) {
            return y;
        }
        let [_, channels, ..] = x.dims();
        let [scale, shift] = self.affine().map(|values| values.reshape([1, channels, 1, 1]));
        activate(x * scale + shift, activation)
    }

    fn forward_batch(&self, x: Tensor<4>, activation: Activation, ctx: &mut Ctx) -> Tensor<4> {
        let [batch, _, height, width] = x.dims();
        let count = (batch * height * width) as f64;
        let (weight, bias, epsilon) = (self.weight.val(), self.bias.val(), self.norm.epsilon);
        let (output, mean, variance) = match cpu::norm_batch(&x, &weight, &bias, epsilon, activation) {
            Some(normed) => (normed.output, normed.mean, normed.variance),
            None => {
                let result = module::batch_norm_train(x, weight, bias, epsilon);
                (activate(result.output, activation), result.mean.inner(), result.variance.inner())
            }
        };
        // torch divides by n - 1 here; the variance is divided by n.
        let unbiased = variance * (count / (count - 1.0).max(1.0));
        let momentum = self.norm.momentum;
        let blend = |old: &Param<Tensor<1>>, new: Tensor<1>| old.val() * (1.0 - momentum) + new * momentum;
        ctx.statistics.insert(self.running_mean.id, blend(&self.running_mean, mean));
        ctx.statistics.insert(self.running_var.id, blend(&self.running_var, unbiased));
        output
    }
}

/// A convolution, the norm behind it and the activation behind that.
#[must_use]
pub fn conv_norm(conv: &Conv2d, norm: &BatchNorm, x: Tensor<4>, activation: Activation, ctx: &mut Ctx) -> Tensor<4> {
    fused(conv, norm, &x, None, activation, ctx).unwrap_or_else(|| norm.forward_then(conv.forward(x), activation, ctx))
}

/// A convolution and the norm behind it, `onto` which another branch is added before the activation.
#[must_use]
pub fn conv_norm_onto(
    (conv, norm): (&Conv2d, &BatchNorm),
    x: Tensor<4>,
    onto: Tensor<4>,
    activation: Activation,
    ctx: &mut Ctx,
) -> Tensor<4> {
    fused(conv, norm, &x, Some(&onto), activation, ctx)
        .unwrap_or_else(|| sum(norm.forward(conv.forward(x), ctx), onto, activation))
}

/// What neither trains nor passes a gradient on is one pass of the convolution, on the CPU.
fn fused(
    conv: &Conv2d,
    norm: &BatchNorm,
    x: &Tensor<4>,
    residual: Option<&Tensor<4>>,
    activation: Activation,
    ctx: &Ctx,
) -> Option<Tensor<4>> {
    if norm.takes_batch(ctx) {
        return None;
    }
    let [scale, shift] = &norm.affine();
    cpu::fused(x, &conv.weight.val(), &conv.conv, &cpu::Fused { scale, shift, residual, activation })
}

/// `f(a + b)`
#[must_use]
pub fn sum<const D: usize>(a: Tensor<D>, b: Tensor<D>, activation: Activation) -> Tensor<D> {
    cpu::add_activate(&a, &b, activation).unwrap_or_else(|| activate(a + b, activation))
}

/// Linear layer with torch's weight layout.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[outputs, inputs]`
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// Makes the layer from the tensors of `name`.
    ///
    /// # Errors
    /// When the description lacks them.
    pub fn new(name: &str, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { weight: params.take(name, "weight")?, bias: params.take(name, "bias")? })
    }

    /// `[batch, inputs]` → `[batch, outputs]`
    #[must_use]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }

    /// `[…, inputs]` → `[…, outputs]`
    #[must_use]
    pub fn each<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        module::linear(x, self.weight.val().transpose(), Some(self.bias.val()))
    }
}

/// Dropout of a training step (Srivastava et al. 2014): a `share` of the values becomes zero, the rest grows by
/// 1 / (1 - share), as in torch. Drawn on the CPU, so that a run does not depend on the device. Elsewhere the identity.
#[must_use]
pub fn dropout<const D: usize>(x: Tensor<D>, share: f32, ctx: &mut Ctx) -> Tensor<D> {
    let Some(rng) = ctx.dropout.as_mut().filter(|_| share > 0.0) else { return x };
    let count = x.shape().num_elements();
    let mask = cpu::kernels::dropout::mask(rng, count, share);
    let mask = Tensor::<D>::from_data(TensorData::new(mask, x.shape()), &x.device());
    x * mask
}
