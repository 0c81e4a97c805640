//! Modules of `graph::blocks::basic`.

use super::cpu;
use super::init::Params;
use super::layers::{BatchNorm, Conv2d, Linear, conv_norm, dropout};
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks::{self, Activation};
use burn::module::Module;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Tensor, activation, module};

/// Applies an activation function.
#[must_use]
pub fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    if function == Activation::Identity {
        return x;
    }
    if let Some(y) = cpu::activate(&x, function) {
        return y;
    }
    match function {
        Activation::Identity => x,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Silu => activation::silu(x),
        Activation::Hardswish => activation::hard_swish(x),
        Activation::HardSigmoid => activation::hard_sigmoid(x, 1.0 / 6.0, 0.5),
        Activation::Gelu => activation::gelu(x),
    }
}

/// The largest value of each square window: `[batch, channels, h, w]` → `[batch, channels, h', w']`.
#[must_use]
pub fn max_pool(x: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    if let Some(y) = cpu::max_pool(&x, kernel, stride, padding) {
        return y;
    }
    let pool = MaxPoolOptions::new([kernel; 2]).with_stride([stride; 2]).with_padding([padding; 2]);
    module::max_pool2d(x, pool)
}

/// See [`blocks::Stem`].
#[derive(Module, Debug)]
pub struct Stem {
    conv1: Conv2d,
    bn1: BatchNorm,
}

impl Stem {
    pub(crate) fn new(spec: &blocks::Stem, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { conv1: Conv2d::new(spec.conv(), "conv1", params)?, bn1: BatchNorm::new(spec.norm, "bn1", params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?;
        let x = conv_norm(&self.conv1, &self.bn1, x, Activation::Relu, ctx); // [batch, outputs, h / 2, w / 2]
        Ok(Value::Map(max_pool(x, 3, 2, 1))) // [batch, outputs, h / 4, w / 4]
    }
}

/// See [`blocks::StemConv`].
#[derive(Module, Debug)]
pub struct StemConv {
    conv1: Conv2d,
    bn1: BatchNorm,
}

impl StemConv {
    pub(crate) fn new(spec: &blocks::StemConv, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { conv1: Conv2d::new(spec.conv(), "conv1", params)?, bn1: BatchNorm::new(spec.norm, "bn1", params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?;
        Ok(Value::Map(conv_norm(&self.conv1, &self.bn1, x, Activation::Relu, ctx))) // [batch, outputs, h / 2, w / 2]
    }
}

/// See [`blocks::ConvNormAct`].
#[derive(Module, Debug)]
pub struct ConvNormAct {
    n0: Conv2d,
    n1: BatchNorm,
    #[module(skip)]
    activation: Activation,
}

impl ConvNormAct {
    pub(crate) fn new(spec: &blocks::ConvNormAct, params: &mut Params<'_>) -> Result<Self, RunError> {
        Self::at("", spec, params)
    }

    /// The block with `prefix` before its tensors' names.
    pub(super) fn at(prefix: &str, spec: &blocks::ConvNormAct, params: &mut Params<'_>) -> Result<Self, RunError> {
        let n0 = Conv2d::new(spec.conv, &format!("{prefix}0"), params)?;
        let n1 = BatchNorm::new(spec.norm, &format!("{prefix}1"), params)?;
        Ok(Self { n0, n1, activation: spec.activation })
    }

    /// `[batch, inputs, h, w]` → `[batch, outputs, h', w']`
    pub(super) fn apply(&self, x: Tensor<4>, ctx: &mut Ctx) -> Tensor<4> {
        conv_norm(&self.n0, &self.n1, x, self.activation, ctx)
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        Ok(Value::Map(self.apply(single(inputs)?.map()?, ctx)))
    }
}

/// See [`blocks::GlobalAvgPool`].
#[derive(Module, Debug)]
pub struct GlobalAvgPool {}

impl GlobalAvgPool {
    #[expect(clippy::unnecessary_wraps, reason = "all blocks are made alike")]
    pub(crate) fn new(_: &blocks::GlobalAvgPool, _: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self {})
    }

    #[expect(clippy::unused_self, reason = "all blocks run alike")]
    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?;
        let [batch, channels, height, width] = x.dims();
        let x = x.reshape([batch, channels, height * width]).mean_dim(2);
        Ok(Value::Vector(x.reshape([batch, channels])))
    }
}

/// See [`blocks::MaxPool`].
#[derive(Module, Debug)]
pub struct MaxPool {
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl MaxPool {
    #[expect(clippy::unnecessary_wraps, reason = "all blocks are made alike")]
    pub(crate) fn new(spec: &blocks::MaxPool, _: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { kernel: spec.kernel, stride: spec.stride, padding: spec.padding })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?;
        Ok(Value::Map(max_pool(x, self.kernel, self.stride, self.padding))) // [batch, channels, h / stride, w / stride]
    }
}

/// See [`blocks::PoolFlatten`].
#[derive(Module, Debug)]
pub struct PoolFlatten {
    side: usize,
}

impl PoolFlatten {
    #[expect(clippy::unnecessary_wraps, reason = "all blocks are made alike")]
    pub(crate) fn new(spec: &blocks::PoolFlatten, _: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { side: spec.side })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let x = module::adaptive_avg_pool2d(single(inputs)?.map()?, [self.side; 2]);
        let [batch, channels, height, width] = x.dims();
        Ok(Value::Vector(x.reshape([batch, channels * height * width])))
    }
}

/// See [`blocks::Dense`]. Its layer's tensors are the node's own, so the names have no segment for it.
#[derive(Module, Debug)]
pub struct Dense {
    this: Linear,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    dropout: f32,
}

impl Dense {
    pub(crate) fn new(spec: &blocks::Dense, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { this: Linear::new("", params)?, activation: spec.activation, dropout: spec.dropout })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?;
        let x = if let Value::Map(x) = x { x.clone().flatten(1, 3) } else { x.vector()? }; // [batch, inputs]
        let x = dropout(x, self.dropout, ctx);
        Ok(Value::Vector(activate(self.this.forward(x), self.activation))) // [batch, outputs]
    }
}
