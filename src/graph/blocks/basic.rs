//! Stems, plain convolutions and pooling.

use super::{Describe, single};
use crate::graph::GraphError;
use crate::graph::signal::{Shape, Signal};
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Norm, Trace};
use serde::{Deserialize, Serialize};

/// Activation functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// None.
    Identity,
    /// max(x, 0).
    #[default]
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x · sigmoid(x).
    Silu,
    /// x · relu6(x + 3) / 6.
    Hardswish,
    /// relu6(x + 3) / 6.
    HardSigmoid,
    /// x · Φ(x), Φ the normal distribution (Hendrycks & Gimpel 2016, arXiv:1606.08415).
    Gelu,
}

impl Activation {
    /// Its name for people; empty for none.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Relu => "ReLU",
            Self::Relu6 => "ReLU6",
            Self::Silu => "SiLU",
            Self::Hardswish => "hard swish",
            Self::HardSigmoid => "hard sigmoid",
            Self::Gelu => "GELU",
        }
    }
}

/// ResNet's stem: 7×7 convolution with stride 2, batch norm, ReLU, 3×3 max-pool with stride 2.
/// Tensors `conv1`, `bn1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stem {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// The batch norm.
    #[serde(default)]
    pub norm: Norm,
}

impl Stem {
    /// The numbers of its convolution.
    #[must_use]
    pub fn conv(&self) -> Conv {
        Conv::new(self.inputs, self.outputs, 7, 2)
    }
}

impl Describe for Stem {
    fn kind(&self) -> &'static str {
        "Stem"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = single(self.kind(), inputs)?;
        let x = t.conv("conv1", x, self.conv(), Init::KaimingNormalFanOut)?;
        let x = t.batch_norm("bn1", &x, self.norm)?;
        let x = t.activation(Activation::Relu, &x);
        t.max_pool(&x, 3, 2, 1)
    }
}

/// ResNet's stem up to its `ReLU`, for a network that also uses what stands before the max-pool. Tensors `conv1`, `bn1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StemConv {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// The batch norm.
    #[serde(default)]
    pub norm: Norm,
}

impl StemConv {
    /// The numbers of its convolution.
    #[must_use]
    pub fn conv(&self) -> Conv {
        Conv::new(self.inputs, self.outputs, 7, 2)
    }
}

impl Describe for StemConv {
    fn kind(&self) -> &'static str {
        "Stem"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = t.conv("conv1", single(self.kind(), inputs)?, self.conv(), Init::KaimingNormalFanOut)?;
        let x = t.batch_norm("bn1", &x, self.norm)?;
        Ok(t.activation(Activation::Relu, &x))
    }
}

/// Convolution, batch norm, activation. Tensors `0` (convolution) and `1` (norm), as in torch's `Sequential`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvNormAct {
    /// The convolution.
    pub conv: Conv,
    /// The activation.
    pub activation: Activation,
    /// The batch norm.
    #[serde(default)]
    pub norm: Norm,
}

impl ConvNormAct {
    /// With torch's default norm.
    #[must_use]
    pub fn new(conv: Conv, activation: Activation) -> Self {
        Self { conv, activation, norm: Norm::default() }
    }

    /// The symbolic forward pass with `prefix` before the names.
    pub(super) fn trace_at(&self, prefix: &str, t: &mut Trace, x: &Signal) -> Result<Signal, GraphError> {
        let x = t.conv(&format!("{prefix}0"), x, self.conv, Init::KaimingNormalFanOut)?;
        let x = t.batch_norm(&format!("{prefix}1"), &x, self.norm)?;
        Ok(t.activation(self.activation, &x))
    }
}

impl Describe for ConvNormAct {
    fn kind(&self) -> &'static str {
        "Conv-BN"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        self.trace_at("", t, single(self.kind(), inputs)?)
    }
}

/// The mean of each channel: a map becomes a vector. No tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalAvgPool {}

impl Describe for GlobalAvgPool {
    fn kind(&self) -> &'static str {
        "Average pool"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        t.global_avg_pool(single(self.kind(), inputs)?)
    }
}

/// The greatest value of each square. No tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxPool {
    /// Side of the square.
    pub kernel: usize,
    /// Step between squares.
    pub stride: usize,
    /// Cells added on each side, which are never the greatest.
    #[serde(default)]
    pub padding: usize,
}

impl MaxPool {
    /// Without padding.
    #[must_use]
    pub fn new(kernel: usize, stride: usize) -> Self {
        Self { kernel, stride, padding: 0 }
    }
}

impl Describe for MaxPool {
    fn kind(&self) -> &'static str {
        "Max pool"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        t.max_pool(single(self.kind(), inputs)?, self.kernel, self.stride, self.padding)
    }
}

/// The mean over `side`² parts of a map, as a vector: what stands before the linear layers of older classifiers. No tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolFlatten {
    /// Parts along each side.
    pub side: usize,
}

impl Describe for PoolFlatten {
    fn kind(&self) -> &'static str {
        "Average pool"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = t.adaptive_avg_pool(single(self.kind(), inputs)?, self.side)?;
        t.flatten(&x)
    }
}

/// A linear layer with its activation, and dropout before it, on a feature vector or a map written as one. Tensors `weight`, `bias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// Length of the input.
    pub inputs: usize,
    /// Length of the output.
    pub outputs: usize,
    /// The activation.
    pub activation: Activation,
    /// Share of the inputs that a training step drops.
    pub dropout: f32,
    /// How a new weight starts.
    #[serde(default = "Dense::default_init")]
    pub init: Init,
}

impl Dense {
    /// The usual start: normal with a hundredth.
    #[must_use]
    pub fn default_init() -> Init {
        Init::Normal(0.01)
    }
}

impl Describe for Dense {
    fn kind(&self) -> &'static str {
        "Linear"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let mut x = single(self.kind(), inputs)?.clone();
        if let Shape::Map { .. } = x.shape {
            x = t.flatten(&x)?;
        }
        let x = t.dropout(&x, self.dropout);
        let x = t.linear("", &x, [self.inputs, self.outputs], self.init)?;
        Ok(t.activation(self.activation, &x))
    }
}
