//! Modules of `graph::blocks::csp`.

use super::basic::max_pool;
use super::heads::repeat_cells;
use super::init::Params;
use super::layers::{BatchNorm, Conv2d, conv_norm};
use super::value::{Ctx, RunError, Value, single};
use crate::graph::Conv;
use crate::graph::blocks::{self, Activation};
use burn::module::Module;
use burn::tensor::Tensor;

/// Convolution, batch norm, `SiLU`.
#[derive(Module, Debug)]
pub(super) struct Unit {
    conv: Conv2d,
    bn: BatchNorm,
}

impl Unit {
    fn at(prefix: &str, conv: Conv, params: &mut Params<'_>) -> Result<Self, RunError> {
        let norm = blocks::ConvUnit::norm();
        Ok(Self {
            conv: Conv2d::new(conv, &format!("{prefix}conv"), params)?,
            bn: BatchNorm::new(norm, &format!("{prefix}bn"), params)?,
        })
    }

    fn apply(&self, x: Tensor<4>, ctx: &mut Ctx) -> Tensor<4> {
        conv_norm(&self.conv, &self.bn, x, Activation::Silu, ctx)
    }
}

/// A depthwise unit and a 1×1 unit.
#[derive(Module, Debug)]
pub(super) struct Separable {
    dconv: Unit,
    pconv: Unit,
}

/// One unit, or two.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "half a kilobyte each, against the weights")]
pub(super) enum AnyUnit {
    Plain(Unit),
    Separable(Separable),
}

impl AnyUnit {
    /// The unit with `prefix` before its tensors' names.
    pub(super) fn at(prefix: &str, spec: &blocks::ConvUnit, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(match spec.convs() {
            (None, conv) => Self::Plain(Unit::at(prefix, conv, params)?),
            (Some(depthwise), mix) => Self::Separable(Separable {
                dconv: Unit::at(&format!("{prefix}dconv."), depthwise, params)?,
                pconv: Unit::at(&format!("{prefix}pconv."), mix, params)?,
            }),
        })
    }

    /// `[batch, inputs, h, w]` → `[batch, outputs, h / stride, w / stride]`
    pub(super) fn apply(&self, x: Tensor<4>, ctx: &mut Ctx) -> Tensor<4> {
        match self {
            Self::Plain(unit) => unit.apply(x, ctx),
            Self::Separable(units) => units.pconv.apply(units.dconv.apply(x, ctx), ctx),
        }
    }
}

/// See [`blocks::ConvUnit`].
#[derive(Module, Debug)]
pub struct ConvUnit {
    this: AnyUnit,
}

impl ConvUnit {
    pub(crate) fn new(spec: &blocks::ConvUnit, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { this: AnyUnit::at("", spec, params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        Ok(Value::Map(self.this.apply(single(inputs)?.map()?, ctx)))
    }
}

/// See [`blocks::Focus`].
#[derive(Module, Debug)]
pub struct Focus {
    conv: AnyUnit,
}

impl Focus {
    pub(crate) fn new(spec: &blocks::Focus, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { conv: AnyUnit::at("conv.", &spec.unit(), params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?;
        let [batch, channels, height, width] = x.dims();
        let (h, w) = (height / 2, width / 2);
        // The place in a square becomes the slower part of the channel: column, row, channel.
        let x = x.reshape([batch, channels, h, 2, w, 2]).permute([0, 5, 3, 1, 2, 4]);
        Ok(Value::Map(self.conv.apply(x.reshape([batch, 4 * channels, h, w]), ctx)))
    }
}

/// The inputs of a block that takes several as one map, the first enlarged `upsample` times.
pub(super) fn join(inputs: &[Value], upsample: usize) -> Result<Tensor<4>, RunError> {
    let mut maps = inputs.iter().map(Value::map).collect::<Result<Vec<_>, _>>()?;
    if upsample > 1
        && let Some(first) = maps.first_mut()
    {
        *first = repeat_cells(first.clone(), upsample);
    }
    match maps.len() {
        0 => Err(RunError::Kind { wanted: "a map", got: "nothing" }),
        1 => Ok(maps.swap_remove(0)),
        _ => Ok(Tensor::cat(maps, 1)),
    }
}

/// Two units in a row.
#[derive(Module, Debug)]
struct Bottleneck {
    conv1: AnyUnit,
    conv2: AnyUnit,
}

/// See [`blocks::CspLayer`].
#[derive(Module, Debug)]
pub struct CspLayer {
    conv1: AnyUnit,
    conv2: AnyUnit,
    conv3: AnyUnit,
    m: Vec<Bottleneck>,
    upsample: usize,
    shortcut: bool,
}

impl CspLayer {
    pub(crate) fn new(spec: &blocks::CspLayer, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [first, past, last] = spec.units();
        let [narrow, wide] = spec.bottleneck();
        let mut bottleneck = |i: usize| {
            Ok(Bottleneck {
                conv1: AnyUnit::at(&format!("m.{i}.conv1."), &narrow, params)?,
                conv2: AnyUnit::at(&format!("m.{i}.conv2."), &wide, params)?,
            })
        };
        let m = (0..spec.count).map(&mut bottleneck).collect::<Result<_, RunError>>()?;
        Ok(Self {
            conv1: AnyUnit::at("conv1.", &first, params)?,
            conv2: AnyUnit::at("conv2.", &past, params)?,
            conv3: AnyUnit::at("conv3.", &last, params)?,
            m,
            upsample: spec.upsample,
            shortcut: spec.shortcut,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = join(inputs, self.upsample)?; // [batch, inputs, h, w]
        let mut y = self.conv1.apply(x.clone(), ctx); // [batch, outputs / 2, h, w]
        let past = self.conv2.apply(x, ctx);
        for block in &self.m {
            let z = block.conv2.apply(block.conv1.apply(y.clone(), ctx), ctx);
            y = if self.shortcut { z + y } else { z };
        }
        Ok(Value::Map(self.conv3.apply(Tensor::cat(vec![y, past], 1), ctx))) // [batch, outputs, h, w]
    }
}

/// A map and its greatest values over squares of 5, 9 and 13 cells, along the channels.
pub(super) fn pyramid(x: Tensor<4>) -> Tensor<4> {
    let side = blocks::SppBottleneck::SIDE;
    let mut maps = vec![x.clone()];
    let mut pooled = x;
    for _ in 0..3 {
        pooled = max_pool(pooled, side, 1, side / 2);
        maps.push(pooled.clone());
    }
    Tensor::cat(maps, 1)
}

/// See [`blocks::SppBottleneck`].
#[derive(Module, Debug)]
pub struct SppBottleneck {
    conv1: AnyUnit,
    conv2: AnyUnit,
}

impl SppBottleneck {
    pub(crate) fn new(spec: &blocks::SppBottleneck, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [narrow, wide] = spec.units();
        Ok(Self { conv1: AnyUnit::at("conv1.", &narrow, params)?, conv2: AnyUnit::at("conv2.", &wide, params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = self.conv1.apply(single(inputs)?.map()?, ctx); // [batch, inputs / 2, h, w]
        Ok(Value::Map(self.conv2.apply(pyramid(x), ctx))) // [batch, outputs, h, w]
    }
}
