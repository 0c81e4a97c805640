//! Residual blocks (He et al. 2016, arXiv:1512.03385), as torchvision builds them: the stride sits in the 3×3 convolution.

use super::{Activation, Describe, single};
use crate::graph::GraphError;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Norm, Trace};
use serde::{Deserialize, Serialize};

/// Two 3×3 convolutions and a shortcut. Tensors `conv1`, `bn1`, `conv2`, `bn2`, `downsample.{0,1}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BasicBlock {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Stride of the first convolution.
    pub stride: usize,
    /// All batch norms.
    #[serde(default)]
    pub norm: Norm,
}

/// 1×1, 3×3, 1×1 convolutions and a shortcut. Tensors `conv1..3`, `bn1..3`, `downsample.{0,1}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// Input channels.
    pub inputs: usize,
    /// Channels of the 3×3 convolution.
    pub width: usize,
    /// Output channels.
    pub outputs: usize,
    /// Stride of the 3×3 convolution.
    pub stride: usize,
    /// All batch norms.
    #[serde(default)]
    pub norm: Norm,
}

impl BasicBlock {
    /// The two convolutions of the main path.
    #[must_use]
    pub fn convs(&self) -> [Conv; 2] {
        [Conv::new(self.inputs, self.outputs, 3, self.stride), Conv::new(self.outputs, self.outputs, 3, 1)]
    }

    /// The shortcut's convolution, where the shape changes.
    #[must_use]
    pub fn projection(&self) -> Option<Conv> {
        projection(self.inputs, self.outputs, self.stride)
    }
}

impl Bottleneck {
    /// The three convolutions of the main path.
    #[must_use]
    pub fn convs(&self) -> [Conv; 3] {
        [
            Conv::new(self.inputs, self.width, 1, 1),
            Conv::new(self.width, self.width, 3, self.stride),
            Conv::new(self.width, self.outputs, 1, 1),
        ]
    }

    /// The shortcut's convolution, where the shape changes.
    #[must_use]
    pub fn projection(&self) -> Option<Conv> {
        projection(self.inputs, self.outputs, self.stride)
    }
}

fn projection(inputs: usize, outputs: usize, stride: usize) -> Option<Conv> {
    (stride != 1 || inputs != outputs).then(|| Conv::new(inputs, outputs, 1, stride))
}

/// The main path with batch norm after each convolution and ReLU between, then the shortcut, the sum and a ReLU.
fn trace(
    t: &mut Trace,
    x: &Signal,
    convs: &[Conv],
    projection: Option<Conv>,
    norm: Norm,
) -> Result<Signal, GraphError> {
    let mut y = x.clone();
    for (i, conv) in convs.iter().enumerate() {
        y = t.conv(&format!("conv{}", i + 1), &y, *conv, Init::KaimingNormalFanOut)?;
        y = t.batch_norm(&format!("bn{}", i + 1), &y, norm)?;
        if i + 1 < convs.len() {
            y = t.activation(Activation::Relu, &y);
        }
    }
    let shortcut = match projection {
        Some(conv) => {
            let s = t.conv("downsample.0", x, conv, Init::KaimingNormalFanOut)?;
            t.batch_norm("downsample.1", &s, norm)?
        }
        None => x.clone(),
    };
    let sum = t.add(&y, &shortcut)?;
    Ok(t.activation(Activation::Relu, &sum))
}

impl Describe for BasicBlock {
    fn kind(&self) -> &'static str {
        "Basic block"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        trace(t, single(self.kind(), inputs)?, &self.convs(), self.projection(), self.norm)
    }
}

impl Describe for Bottleneck {
    fn kind(&self) -> &'static str {
        "Bottleneck"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        trace(t, single(self.kind(), inputs)?, &self.convs(), self.projection(), self.norm)
    }
}
