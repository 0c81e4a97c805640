//! Heads that stand on each level of a pyramid.

use super::csp::ConvUnit;
use super::{Describe, single};
use crate::graph::GraphError;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Trace};
use serde::{Deserialize, Serialize};

/// A 1×1 convolution with bias to raw outputs for each cell. Tensors `weight`, `bias`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellPredictor {
    /// Input channels.
    pub inputs: usize,
    /// Raw outputs of a cell.
    pub outputs: usize,
    /// What a new bias starts at.
    pub bias: Init,
}

impl CellPredictor {
    /// The numbers of its convolution.
    #[must_use]
    pub fn conv(&self) -> Conv {
        Conv::new(self.inputs, self.outputs, 1, 1).with_bias()
    }

    /// The symbolic forward pass of the layer `name`.
    fn trace_at(&self, name: &str, t: &mut Trace, x: &Signal) -> Result<Signal, GraphError> {
        t.conv_with_bias(name, x, self.conv(), [Init::UniformFanIn { fan_in: 0 }, self.bias])
    }
}

impl Describe for CellPredictor {
    fn kind(&self) -> &'static str {
        "Predictor"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        self.trace_at("", t, single(self.kind(), inputs)?)
    }
}

/// Two 3×3 convolution units in a row and, where it ends in raw outputs, a 1×1 convolution with bias. Tensors `0`, `1`,
/// `2.weight`, `2.bias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tower {
    /// Input channels.
    pub inputs: usize,
    /// Channels of the two convolutions.
    pub channels: usize,
    /// Whether they are separable.
    pub separable: bool,
    /// Raw outputs of a cell with what a new bias starts at, where it ends in them.
    pub predictor: Option<(usize, Init)>,
}

impl Tower {
    /// The two convolution units.
    #[must_use]
    pub fn units(&self) -> [ConvUnit; 2] {
        [self.inputs, self.channels].map(|inputs| ConvUnit::new(inputs, self.channels, 3, 1).separable(self.separable))
    }

    /// What it ends in.
    #[must_use]
    pub fn last(&self) -> Option<CellPredictor> {
        self.predictor.map(|(outputs, bias)| CellPredictor { inputs: self.channels, outputs, bias })
    }
}

impl Describe for Tower {
    fn kind(&self) -> &'static str {
        if self.predictor.is_some() { "Branch" } else { "Tower" }
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let mut x = single(self.kind(), inputs)?.clone();
        for (i, unit) in self.units().iter().enumerate() {
            x = unit.trace_at(&format!("{i}."), t, &x)?;
        }
        match self.last() {
            Some(last) => last.trace_at("2", t, &x),
            None => Ok(x),
        }
    }
}
