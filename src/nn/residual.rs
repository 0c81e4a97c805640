//! Modules of `graph::blocks::residual`.

use super::init::Params;
use super::layers::{BatchNorm, Conv2d, conv_norm, conv_norm_onto};
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks::Activation;
use crate::graph::{Conv, Norm, blocks};
use burn::module::Module;
use burn::tensor::Tensor;

/// A 1×1 convolution and its norm, where a shortcut changes shape.
type Projection = Option<(Conv2d, BatchNorm)>;

fn projection(conv: Option<Conv>, norm: Norm, params: &mut Params<'_>) -> Result<Projection, RunError> {
    let Some(conv) = conv else { return Ok(None) };
    Ok(Some((Conv2d::new(conv, "downsample.0", params)?, BatchNorm::new(norm, "downsample.1", params)?)))
}

fn shortcut(projection: &Projection, x: Tensor<4>, ctx: &mut Ctx) -> Tensor<4> {
    match projection {
        Some((conv, norm)) => conv_norm(conv, norm, x, Activation::Identity, ctx),
        None => x,
    }
}

/// See [`blocks::BasicBlock`].
#[derive(Module, Debug)]
pub struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Projection,
}

impl BasicBlock {
    pub(crate) fn new(spec: &blocks::BasicBlock, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [conv1, conv2] = spec.convs();
        Ok(Self {
            conv1: Conv2d::new(conv1, "conv1", params)?,
            bn1: BatchNorm::new(spec.norm, "bn1", params)?,
            conv2: Conv2d::new(conv2, "conv2", params)?,
            bn2: BatchNorm::new(spec.norm, "bn2", params)?,
            downsample: projection(spec.projection(), spec.norm, params)?,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?; // [batch, inputs, h, w]
        let y = conv_norm(&self.conv1, &self.bn1, x.clone(), Activation::Relu, ctx);
        let x = shortcut(&self.downsample, x, ctx); // [batch, outputs, h / stride, w / stride]
        Ok(Value::Map(conv_norm_onto((&self.conv2, &self.bn2), y, x, Activation::Relu, ctx)))
    }
}

/// See [`blocks::Bottleneck`].
#[derive(Module, Debug)]
pub struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    downsample: Projection,
}

impl Bottleneck {
    pub(crate) fn new(spec: &blocks::Bottleneck, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [conv1, conv2, conv3] = spec.convs();
        Ok(Self {
            conv1: Conv2d::new(conv1, "conv1", params)?,
            bn1: BatchNorm::new(spec.norm, "bn1", params)?,
            conv2: Conv2d::new(conv2, "conv2", params)?,
            bn2: BatchNorm::new(spec.norm, "bn2", params)?,
            conv3: Conv2d::new(conv3, "conv3", params)?,
            bn3: BatchNorm::new(spec.norm, "bn3", params)?,
            downsample: projection(spec.projection(), spec.norm, params)?,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?; // [batch, inputs, h, w]
        let y = conv_norm(&self.conv1, &self.bn1, x.clone(), Activation::Relu, ctx); // [batch, width, h, w]
        let y = conv_norm(&self.conv2, &self.bn2, y, Activation::Relu, ctx); // [batch, width, h / stride, w / stride]
        let x = shortcut(&self.downsample, x, ctx); // [batch, outputs, h / stride, w / stride]
        Ok(Value::Map(conv_norm_onto((&self.conv3, &self.bn3), y, x, Activation::Relu, ctx)))
    }
}
