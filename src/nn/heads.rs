//! Modules of `graph::blocks::heads`.

use super::init::Params;
use super::layers::{Conv2d, Linear, dropout};
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks;
use burn::module::Module;
use burn::tensor::Tensor;

/// See [`blocks::Classifier`]. Its layer's tensors are the node's own, so the names have no segment for it.
#[derive(Module, Debug)]
pub struct Classifier {
    this: Linear,
    #[module(skip)]
    dropout: f32,
}

impl Classifier {
    pub(crate) fn new(spec: &blocks::Classifier, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { this: Linear::new("", params)?, dropout: spec.dropout })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = dropout(single(inputs)?.vector()?, self.dropout, ctx); // [batch, inputs]
        Ok(Value::Vector(self.this.forward(x))) // [batch, classes]
    }
}

/// See [`blocks::PixelClassifier`].
#[derive(Module, Debug)]
pub struct PixelClassifier {
    this: Conv2d,
    upsample: usize,
}

impl PixelClassifier {
    pub(crate) fn new(spec: &blocks::PixelClassifier, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { this: Conv2d::new(spec.conv(), "", params)?, upsample: spec.upsample })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let x = self.this.forward(single(inputs)?.map()?); // [batch, classes, h, w]
        Ok(Value::Map(repeat_cells(x, self.upsample)))
    }
}

/// Nearest-neighbour upsampling: each cell becomes a square of `factor` cells.
pub(super) fn repeat_cells(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height, 1, width, 1])
        .expand([batch, channels, height, factor, width, factor])
        .reshape([batch, channels, height * factor, width * factor])
}
