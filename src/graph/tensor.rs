//! The tensors that a block owns, under the public checkpoints' names, with torch's initialisation.

use serde::{Deserialize, Serialize};

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A convolution's or linear layer's weight.
    Weight,
    /// A convolution's or linear layer's bias.
    Bias,
    /// Scale of a normalisation.
    NormScale,
    /// Shift of a normalisation.
    NormShift,
    /// Scale of a normalisation that never trains (a buffer: no gradient).
    FixedScale,
    /// Shift of a normalisation that never trains (a buffer: no gradient).
    FixedShift,
    /// A constant that checkpoints keep though it never changes (a buffer: no gradient).
    Constant,
    /// Running mean of a batch normalisation (a buffer: no gradient).
    RunningMean,
    /// Running variance of a batch normalisation (a buffer: no gradient).
    RunningVar,
}

impl Role {
    /// Whether the tensor is a statistic and not a learnable parameter.
    #[must_use]
    pub fn is_buffer(self) -> bool {
        matches!(self, Self::Constant | Self::FixedScale | Self::FixedShift | Self::RunningMean | Self::RunningVar)
    }

    /// Whether the tensor belongs to a normalisation layer.
    #[must_use]
    pub fn is_norm(self) -> bool {
        !matches!(self, Self::Weight | Self::Bias | Self::Constant)
    }
}

/// How a tensor starts when no checkpoint fills it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// All equal.
    Constant(f32),
    /// Normal with variance 2 / fan-out (He et al. 2015; torchvision's ResNet and VGG convolutions).
    KaimingNormalFanOut,
    /// Uniform in ±√(3 / fan-in): torch's `kaiming_uniform_` with a = 1 (feature pyramids).
    KaimingUniform,
    /// Uniform with variance 2 / fan-in (He et al. 2015): torch's `kaiming_uniform_` for layers before a `ReLU`.
    HeUniform,
    /// Uniform with variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010): torch's `xavier_uniform_`.
    XavierUniform,
    /// Uniform in ±1/√fan-in (torch's default for convolutions, linear layers and their biases).
    UniformFanIn {
        /// Inputs of one output value.
        fan_in: usize,
    },
    /// Normal with this standard deviation.
    Normal(f32),
    /// 0, 1, 2, …
    Counting,
}

/// One tensor of a block or of a whole network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Name; inside a block relative to the node's prefix, in a network's list the full name.
    pub name: String,
    /// Shape in torch's layout.
    pub shape: Vec<usize>,
    /// What it is to its layer.
    pub role: Role,
    /// How it starts.
    pub init: Init,
}

impl TensorSpec {
    /// Number of values.
    #[must_use]
    pub fn numel(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }
}
