//! Modules of `graph::blocks::regions`.

use super::align::{Align, Region, level_of, roi_align};
use super::proposals;
use crate::graph::blocks::{self, Activation};
use crate::graph::{Norm, TwoStage};
use crate::nn::basic::activate;
use crate::nn::init::Params;
use crate::nn::layers::{BatchNorm, Conv2d, conv_norm};
use crate::nn::resize;
use crate::nn::value::{Ctx, RunError, Value, single};
use burn::module::Module;
use std::sync::Arc;

/// See [`blocks::PyramidConv`].
#[derive(Module, Debug)]
pub struct PyramidConv {
    n0: Conv2d,
    n1: Option<BatchNorm>,
}

impl PyramidConv {
    pub(crate) fn new(spec: &blocks::PyramidConv, params: &mut Params<'_>) -> Result<Self, RunError> {
        let norm = |norm: Norm, params: &mut Params<'_>| BatchNorm::new(norm, "1", params);
        Ok(Self { n0: Conv2d::new(spec.conv, "0", params)?, n1: spec.norm.map(|n| norm(n, params)).transpose()? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let (x, above) = match inputs {
            [x] => (x.map()?, None),
            [x, above] => (x.map()?, Some(above.map()?)),
            _ => return Err(RunError::Kind { wanted: "one map or two", got: "another number" }),
        };
        let y = match &self.n1 {
            Some(norm) => conv_norm(&self.n0, norm, x, Activation::Identity, ctx),
            None => self.n0.forward(x), // [batch, outputs, h, w]
        };
        let [_, _, height, width] = y.dims();
        Ok(Value::Map(match above {
            Some(above) => y + resize::nearest(above, [height, width]),
            None => y,
        }))
    }
}

/// See [`blocks::SharedConv`]. Its layer's tensors are the node's own, so the names have no segment for it.
#[derive(Module, Debug)]
pub struct SharedConv {
    this: Conv2d,
    #[module(skip)]
    activation: Activation,
}

impl SharedConv {
    pub(crate) fn new(spec: &blocks::SharedConv, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { this: Conv2d::new(spec.conv, "", params)?, activation: spec.activation })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let maps = single(inputs)?.pyramid()?.into_iter(); // each [batch, inputs, h, w]
        Ok(Value::Pyramid(maps.map(|x| activate(self.this.forward(x), self.activation)).collect()))
    }
}

/// See [`blocks::Proposals`].
#[derive(Module, Debug)]
pub struct Proposals {
    #[module(skip)]
    method: Arc<TwoStage>,
}

impl Proposals {
    #[expect(clippy::unnecessary_wraps, reason = "all blocks are made alike")]
    pub(crate) fn new(spec: &blocks::Proposals, _: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { method: Arc::new(spec.method.clone()) })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let [objectness, boxes] = inputs else {
            return Err(RunError::Kind { wanted: "objectness and boxes", got: "another number" });
        };
        let regions = proposals::regions(&self.method, objectness, boxes, ctx)?;
        ctx.regions = Some(Arc::clone(&regions));
        Ok(Value::Regions(regions))
    }
}

/// See [`blocks::RegionPool`].
#[derive(Module, Debug)]
pub struct RegionPool {
    side: usize,
    samples: usize,
    levels: usize,
}

impl RegionPool {
    #[expect(clippy::unnecessary_wraps, reason = "all blocks are made alike")]
    pub(crate) fn new(spec: &blocks::RegionPool, _: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { side: spec.side, samples: spec.samples, levels: spec.levels })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let [pyramid, regions] = inputs else {
            return Err(RunError::Kind { wanted: "a pyramid and regions", got: "another number" });
        };
        let maps: Vec<_> = pyramid.pyramid()?.into_iter().take(self.levels).collect();
        // The scale of a level is the power of two next to the ratio of the sides, as torchvision finds it.
        let log = |map: &burn::tensor::Tensor<4>| (ctx.input[0] as f32 / map.dims()[2].max(1) as f32).log2().round();
        let logs: Vec<f32> = maps.iter().map(log).collect();
        let scales: Vec<f32> = logs.iter().map(|log| (-log).exp2()).collect();
        let finest = logs.first().map_or(0, |log| log.max(0.0) as usize);
        let regions: Vec<Region> = regions
            .regions()?
            .all()
            .map(|(picture, &xyxy)| Region { picture, level: level_of(&xyxy, finest, maps.len()), xyxy })
            .collect();
        let align = Align { output: [self.side; 2], samples: self.samples, aligned: false };
        let none = RunError::Kind { wanted: "a pyramid", got: "no level" };
        roi_align(&maps, &scales, &regions, align).map(Value::Map).ok_or(none) // [regions, channels, side, side]
    }
}
