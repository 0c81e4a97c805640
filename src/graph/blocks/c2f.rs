//! Blocks of one-stage detectors whose cross-stage partial layers join the outcome of every bottleneck.

use super::csp::{ConvUnit, SppBottleneck};
use super::{Describe, single};
use crate::graph::GraphError;
use crate::graph::signal::Signal;
use crate::graph::trace::Trace;
use serde::{Deserialize, Serialize};

/// A 1×1 convolution whose second half goes through bottlenecks; it and the outcome of each are joined by another 1×1
/// convolution. Several inputs are joined first. Tensors `cv1`, `cv2`, `m.N.cv1`, `m.N.cv2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct C2f {
    /// How many times larger the first input is made before the inputs are joined.
    pub upsample: usize,
    /// Channels of all inputs together.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Number of bottlenecks.
    pub count: usize,
    /// Whether a bottleneck adds its input.
    pub shortcut: bool,
}

impl C2f {
    /// Channels of a bottleneck.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.outputs / 2
    }

    /// `cv1` and `cv2`.
    #[must_use]
    pub fn units(&self) -> [ConvUnit; 2] {
        let hidden = self.hidden();
        [ConvUnit::new(self.inputs, 2 * hidden, 1, 1), ConvUnit::new((2 + self.count) * hidden, self.outputs, 1, 1)]
    }

    /// Each of the two convolutions of a bottleneck.
    #[must_use]
    pub fn bottleneck(&self) -> ConvUnit {
        ConvUnit::new(self.hidden(), self.hidden(), 3, 1)
    }
}

impl Describe for C2f {
    fn kind(&self) -> &'static str {
        "C2f layer"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = t.join(inputs, self.upsample)?;
        let [first, last] = self.units();
        let whole = first.trace_at("cv1.", t, &x)?;
        let mut y = t.channel_part(&whole, 1, 2)?;
        let mut maps = vec![whole];
        for i in 0..self.count {
            let z = self.bottleneck().trace_at(&format!("m.{i}.cv1."), t, &y)?;
            let z = self.bottleneck().trace_at(&format!("m.{i}.cv2."), t, &z)?;
            y = if self.shortcut { t.add(&z, &y)? } else { z };
            maps.push(y.clone());
        }
        let joined = t.concat(&maps)?;
        last.trace_at("cv2.", t, &joined)
    }
}

/// As [`SppBottleneck`], with the tensors `cv1` and `cv2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sppf {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

impl Sppf {
    /// Its two convolutions.
    #[must_use]
    pub fn units(&self) -> [ConvUnit; 2] {
        self.pyramid().units()
    }

    fn pyramid(&self) -> SppBottleneck {
        SppBottleneck { inputs: self.inputs, outputs: self.outputs }
    }
}

impl Describe for Sppf {
    fn kind(&self) -> &'static str {
        "Spatial pyramid"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        self.pyramid().trace_as(["cv1.", "cv2."], t, single(self.kind(), inputs)?)
    }
}

/// Several maps as one value, finest first, whose channels are distributions of distances; with the constant that the
/// public checkpoints keep for it: tensor `conv.weight`, the distances 0, 1, 2, … of the bins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DistanceLevels {
    /// Values of the distribution of a distance.
    pub bins: usize,
}

impl Describe for DistanceLevels {
    fn kind(&self) -> &'static str {
        "Levels"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        t.counting("conv", vec![1, self.bins, 1, 1]);
        t.levels(inputs)
    }
}
