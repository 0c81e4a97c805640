//! Modules of `graph::blocks::c2f`.

use super::csp::{AnyUnit, join, pyramid};
use super::init::Params;
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// Two units in a row.
#[derive(Module, Debug)]
struct Bottleneck {
    cv1: AnyUnit,
    cv2: AnyUnit,
}

/// See [`blocks::C2f`].
#[derive(Module, Debug)]
pub struct C2f {
    cv1: AnyUnit,
    cv2: AnyUnit,
    m: Vec<Bottleneck>,
    upsample: usize,
    hidden: usize,
    shortcut: bool,
}

impl C2f {
    pub(crate) fn new(spec: &blocks::C2f, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [first, last] = spec.units();
        let each = spec.bottleneck();
        let mut bottleneck = |i: usize| {
            Ok(Bottleneck {
                cv1: AnyUnit::at(&format!("m.{i}.cv1."), &each, params)?,
                cv2: AnyUnit::at(&format!("m.{i}.cv2."), &each, params)?,
            })
        };
        let m = (0..spec.count).map(&mut bottleneck).collect::<Result<_, RunError>>()?;
        Ok(Self {
            cv1: AnyUnit::at("cv1.", &first, params)?,
            cv2: AnyUnit::at("cv2.", &last, params)?,
            m,
            upsample: spec.upsample,
            hidden: spec.hidden(),
            shortcut: spec.shortcut,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let whole = self.cv1.apply(join(inputs, self.upsample)?, ctx); // [batch, outputs, h, w]
        let mut y = whole.clone().narrow(1, self.hidden, self.hidden); // [batch, outputs / 2, h, w]
        let mut maps = vec![whole];
        for block in &self.m {
            let z = block.cv2.apply(block.cv1.apply(y.clone(), ctx), ctx);
            y = if self.shortcut { z + y } else { z };
            maps.push(y.clone());
        }
        Ok(Value::Map(self.cv2.apply(Tensor::cat(maps, 1), ctx))) // [batch, outputs, h, w]
    }
}

/// See [`blocks::Sppf`].
#[derive(Module, Debug)]
pub struct Sppf {
    cv1: AnyUnit,
    cv2: AnyUnit,
}

impl Sppf {
    pub(crate) fn new(spec: &blocks::Sppf, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [narrow, wide] = spec.units();
        Ok(Self { cv1: AnyUnit::at("cv1.", &narrow, params)?, cv2: AnyUnit::at("cv2.", &wide, params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = self.cv1.apply(single(inputs)?.map()?, ctx); // [batch, inputs / 2, h, w]
        Ok(Value::Map(self.cv2.apply(pyramid(x), ctx))) // [batch, outputs, h, w]
    }
}

/// A tensor that is kept as the checkpoints have it.
#[derive(Module, Debug)]
struct Kept {
    weight: Param<Tensor<4>>,
}

/// See [`blocks::DistanceLevels`].
#[derive(Module, Debug)]
pub struct DistanceLevels {
    conv: Kept,
}

impl DistanceLevels {
    pub(crate) fn new(_: &blocks::DistanceLevels, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { conv: Kept { weight: params.take("conv", "weight")? } })
    }

    #[expect(clippy::unused_self, reason = "all blocks run alike")]
    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        Ok(Value::Pyramid(inputs.iter().map(Value::map).collect::<Result<_, _>>()?))
    }
}
