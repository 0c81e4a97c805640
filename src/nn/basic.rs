//! Modules of `graph::blocks::basic`.

use super::init::Params;
use super::layers::{BatchNorm, Conv2d};
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks::{self, Activation};
use burn::module::Module;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Tensor, activation, module};

/// Applies an activation function.
#[must_use]
pub fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    match function {
        Activation::Identity => x,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Silu => activation::silu(x),
        Activation::Hardswish => activation::hard_swish(x),
    }
}

/// See [`blocks::Stem`].
#[derive(Module, Debug)]
pub struct Stem {
    conv1: Conv2d,
    bn1: BatchNorm,
}

impl Stem {
    pub(crate) fn new(spec: &blocks::Stem, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { conv1: Conv2d::new(spec.conv(), "conv1", params)?, bn1: BatchNorm::new("bn1", params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = self.conv1.forward(single(inputs)?.map()?); // [batch, outputs, h / 2, w / 2]
        let x = activation::relu(self.bn1.forward(x, ctx));
        let pool = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
        Ok(Value::Map(module::max_pool2d(x, pool))) // [batch, outputs, h / 4, w / 4]
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
        let n0 = Conv2d::new(spec.conv, "0", params)?;
        Ok(Self { n0, n1: BatchNorm::new("1", params)?, activation: spec.activation })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = self.n0.forward(single(inputs)?.map()?);
        Ok(Value::Map(activate(self.n1.forward(x, ctx), self.activation)))
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
