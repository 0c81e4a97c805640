//! Modules of `graph::blocks::towers`.

use super::csp::AnyUnit;
use super::init::Params;
use super::layers::Conv2d;
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks;
use burn::module::Module;

/// See [`blocks::CellPredictor`]. Its layer's tensors are the node's own, so the names have no segment for it.
#[derive(Module, Debug)]
pub struct CellPredictor {
    this: Conv2d,
}

impl CellPredictor {
    pub(crate) fn new(spec: &blocks::CellPredictor, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { this: Conv2d::new(spec.conv(), "", params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        Ok(Value::Map(self.this.forward(single(inputs)?.map()?))) // [batch, outputs, h, w]
    }
}

/// See [`blocks::Tower`].
#[derive(Module, Debug)]
pub struct Tower {
    n0: AnyUnit,
    n1: AnyUnit,
    n2: Option<Conv2d>,
}

impl Tower {
    pub(crate) fn new(spec: &blocks::Tower, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [first, second] = spec.units();
        let last = spec.last().map(|last| Conv2d::new(last.conv(), "2", params)).transpose()?;
        Ok(Self { n0: AnyUnit::at("0.", &first, params)?, n1: AnyUnit::at("1.", &second, params)?, n2: last })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = self.n0.apply(single(inputs)?.map()?, ctx);
        let x = self.n1.apply(x, ctx); // [batch, channels, h, w]
        Ok(Value::Map(match &self.n2 {
            Some(last) => last.forward(x), // [batch, outputs, h, w]
            None => x,
        }))
    }
}
