//! Blocks of cross-stage partial networks (Wang et al. 2020, arXiv:1911.11929) in the form of one-stage detectors: every
//! convolution is followed by batch norm and `SiLU`.

use super::{Activation, Describe, single};
use crate::graph::GraphError;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Norm, Trace};
use serde::{Deserialize, Serialize};

/// What all batch norms of these blocks have: their publishers' numbers, not torch's.
const NORM: Norm = Norm { epsilon: 1e-3, momentum: 0.03, frozen: false };

/// Convolution, batch norm, `SiLU`. Tensors `conv`, `bn`; separable: the same for a depthwise convolution under `dconv`
/// and a 1×1 convolution under `pconv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvUnit {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between output cells.
    pub stride: usize,
    /// Whether each channel is filtered by itself and then a 1×1 convolution mixes them.
    #[serde(default)]
    pub separable: bool,
}

impl ConvUnit {
    /// Not separable.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
        Self { inputs, outputs, kernel, stride, separable: false }
    }

    /// The same, separable or not.
    #[must_use]
    pub fn separable(self, separable: bool) -> Self {
        Self { separable, ..self }
    }

    /// The depthwise and the mixing convolution, or the only one.
    #[must_use]
    pub fn convs(&self) -> (Option<Conv>, Conv) {
        let &Self { inputs, outputs, kernel, stride, separable } = self;
        if separable {
            (Some(Conv::new(inputs, inputs, kernel, stride).with_groups(inputs)), Conv::new(inputs, outputs, 1, 1))
        } else {
            (None, Conv::new(inputs, outputs, kernel, stride))
        }
    }

    /// Its batch norms.
    #[must_use]
    pub fn norm() -> Norm {
        NORM
    }

    /// The symbolic forward pass with `prefix` before the names.
    pub(super) fn trace_at(&self, prefix: &str, t: &mut Trace, x: &Signal) -> Result<Signal, GraphError> {
        let mut unit = |name: &str, conv: Conv, x: &Signal| {
            let x = t.conv(&format!("{prefix}{name}conv"), x, conv, Init::UniformFanIn { fan_in: 0 })?;
            let x = t.batch_norm(&format!("{prefix}{name}bn"), &x, NORM)?;
            Ok(t.activation(Activation::Silu, &x))
        };
        match self.convs() {
            (Some(depthwise), mix) => {
                let x = unit("dconv.", depthwise, x)?;
                unit("pconv.", mix, &x)
            }
            (None, conv) => unit("", conv, x),
        }
    }
}

impl Describe for ConvUnit {
    fn kind(&self) -> &'static str {
        "Conv-BN"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        self.trace_at("", t, single(self.kind(), inputs)?)
    }
}

/// Each square of 2×2 pixels as one cell of four times the channels, then a 3×3 convolution unit. Tensors `conv.conv`,
/// `conv.bn`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Focus {
    /// Output channels.
    pub outputs: usize,
}

impl Focus {
    /// Its convolution.
    #[must_use]
    pub fn unit(&self) -> ConvUnit {
        ConvUnit::new(4 * 3, self.outputs, 3, 1)
    }
}

impl Describe for Focus {
    fn kind(&self) -> &'static str {
        "Stem"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = t.space_to_depth(single(self.kind(), inputs)?)?;
        self.unit().trace_at("conv.", t, &x)
    }
}

/// Two 1×1 paths, one with bottlenecks, joined by a third convolution. Several inputs are joined first. Tensors `conv1`
/// (before the bottlenecks), `conv2` (past them), `m.N.conv1`, `m.N.conv2`, `conv3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CspLayer {
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
    /// Whether the bottlenecks' 3×3 convolutions are separable.
    pub separable: bool,
}

impl CspLayer {
    /// Channels of each path.
    fn hidden(&self) -> usize {
        self.outputs / 2
    }

    /// `conv1`, `conv2` and `conv3`.
    #[must_use]
    pub fn units(&self) -> [ConvUnit; 3] {
        let path = ConvUnit::new(self.inputs, self.hidden(), 1, 1);
        [path, path, ConvUnit::new(2 * self.hidden(), self.outputs, 1, 1)]
    }

    /// `conv1` and `conv2` of a bottleneck.
    #[must_use]
    pub fn bottleneck(&self) -> [ConvUnit; 2] {
        let hidden = self.hidden();
        [ConvUnit::new(hidden, hidden, 1, 1), ConvUnit::new(hidden, hidden, 3, 1).separable(self.separable)]
    }
}

impl Describe for CspLayer {
    fn kind(&self) -> &'static str {
        "CSP layer"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = t.join(inputs, self.upsample)?;
        let [first, past, last] = self.units();
        let [narrow, wide] = self.bottleneck();
        let mut y = first.trace_at("conv1.", t, &x)?;
        let past = past.trace_at("conv2.", t, &x)?;
        for i in 0..self.count {
            let z = narrow.trace_at(&format!("m.{i}.conv1."), t, &y)?;
            let z = wide.trace_at(&format!("m.{i}.conv2."), t, &z)?;
            y = if self.shortcut { t.add(&z, &y)? } else { z };
        }
        let joined = t.concat(&[y, past])?;
        last.trace_at("conv3.", t, &joined)
    }
}

/// A 1×1 convolution, its greatest values over squares of 5, 9 and 13 cells beside it, and a 1×1 convolution of all (He et
/// al. 2015, arXiv:1406.4729). Tensors `conv1`, `conv2`. The squares of 9 and 13 are squares of 5 over squares of 5.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SppBottleneck {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

impl SppBottleneck {
    /// Side of the square that is pooled three times.
    pub const SIDE: usize = 5;

    /// Its two convolutions.
    #[must_use]
    pub fn units(&self) -> [ConvUnit; 2] {
        let hidden = self.inputs / 2;
        [ConvUnit::new(self.inputs, hidden, 1, 1), ConvUnit::new(4 * hidden, self.outputs, 1, 1)]
    }

    /// The symbolic forward pass with the convolutions' names.
    pub(super) fn trace_as(&self, names: [&str; 2], t: &mut Trace, x: &Signal) -> Result<Signal, GraphError> {
        let [narrow, wide] = self.units();
        let mut maps = vec![narrow.trace_at(names[0], t, x)?];
        for i in 0..3 {
            let pooled = t.max_pool(&maps[i], Self::SIDE, 1, Self::SIDE / 2)?;
            maps.push(pooled);
        }
        let joined = t.concat(&maps)?;
        wide.trace_at(names[1], t, &joined)
    }
}

impl Describe for SppBottleneck {
    fn kind(&self) -> &'static str {
        "Spatial pyramid"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        self.trace_as(["conv1.", "conv2."], t, single(self.kind(), inputs)?)
    }
}
