//! Layers in a row, named by their positions as in torch's `Sequential`, and the blocks that are such rows.

use super::{Activation, ConvNormAct, Describe, single};
use crate::graph::GraphError;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Norm, Trace};
use serde::{Deserialize, Serialize};

/// One position of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A convolution.
    Conv(Conv),
    /// A batch normalisation.
    Norm(Norm),
    /// A function of each value.
    Activation(Activation),
    /// Three layers that stand in a `Sequential` of their own.
    ConvNormAct(ConvNormAct),
    /// A weight for each channel.
    SqueezeExcite(SqueezeExcite),
}

/// Walks through a row whose first layer has the position `first`.
fn trace(steps: &[Step], first: usize, t: &mut Trace, x: &Signal) -> Result<Signal, GraphError> {
    let mut x = x.clone();
    for (i, step) in steps.iter().enumerate() {
        let name = (first + i).to_string();
        x = match step {
            Step::Conv(conv) => t.conv(&name, &x, *conv, Init::KaimingNormalFanOut)?,
            Step::Norm(norm) => t.batch_norm(&name, &x, *norm)?,
            Step::Activation(function) => t.activation(*function, &x),
            Step::ConvNormAct(block) => block.trace_at(&format!("{name}."), t, &x)?,
            Step::SqueezeExcite(block) => block.trace_at(&name, t, &x)?,
        };
    }
    Ok(x)
}

/// Convolution, batch norm where there is one, ReLU: a stretch of a longer `Sequential`. Tensors `{at}` (convolution)
/// and `{at + 1}` (norm).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlainConv {
    /// Position of the convolution.
    pub at: usize,
    /// The convolution.
    pub conv: Conv,
    /// The batch norm.
    pub norm: Option<Norm>,
}

impl PlainConv {
    /// Its layers.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let norm = self.norm.map(Step::Norm);
        [Some(Step::Conv(self.conv)), norm, Some(Step::Activation(Activation::Relu))].into_iter().flatten().collect()
    }
}

impl Describe for PlainConv {
    fn kind(&self) -> &'static str {
        if self.norm.is_some() { "Conv-BN" } else { "Conv" }
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        trace(&self.steps(), self.at, t, single(self.kind(), inputs)?)
    }
}

/// A weight between 0 and 1 for each channel, computed from the channels' means (Hu et al. 2018, arXiv:1709.01507).
/// Tensors `fc1` and `fc2`, 1×1 convolutions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SqueezeExcite {
    /// Channels in and out.
    pub channels: usize,
    /// Channels between.
    pub squeezed: usize,
}

impl SqueezeExcite {
    /// The numbers of its two convolutions.
    #[must_use]
    pub fn convs(&self) -> [Conv; 2] {
        let [narrow, wide] = [(self.channels, self.squeezed), (self.squeezed, self.channels)];
        [Conv::new(narrow.0, narrow.1, 1, 1).with_bias(), Conv::new(wide.0, wide.1, 1, 1).with_bias()]
    }

    fn trace_at(&self, name: &str, t: &mut Trace, x: &Signal) -> Result<Signal, GraphError> {
        let [narrow, wide] = self.convs();
        let gate = t.adaptive_avg_pool(x, 1)?;
        let gate = t.conv(&format!("{name}.fc1"), &gate, narrow, Init::KaimingNormalFanOut)?;
        let gate = t.activation(Activation::Relu, &gate);
        let gate = t.conv(&format!("{name}.fc2"), &gate, wide, Init::KaimingNormalFanOut)?;
        let gate = t.activation(Activation::HardSigmoid, &gate);
        t.scale(x, &gate)
    }
}

/// A 1×1 convolution to more channels, a depthwise convolution, a 1×1 convolution to few channels, and the input added
/// where the shape allows it (Sandler et al. 2018, arXiv:1801.04381; with squeeze-excitation Howard et al. 2019,
/// arXiv:1905.02244). Tensors under their positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvertedResidual {
    /// Input channels.
    pub inputs: usize,
    /// Channels of the depthwise convolution; no first convolution where they are as many as the inputs.
    pub hidden: usize,
    /// Output channels.
    pub outputs: usize,
    /// Side of the depthwise kernel.
    pub kernel: usize,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Channels between in the squeeze-excitation after the depthwise convolution, if there is one.
    pub squeezed: Option<usize>,
    /// Activation after the first two convolutions.
    pub activation: Activation,
    /// All batch norms.
    pub norm: Norm,
    /// Whether the last convolution and its norm stand in a `Sequential` of their own.
    pub nested: bool,
}

impl InvertedResidual {
    /// The layers of its main path.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let unit = |conv, activation| Step::ConvNormAct(ConvNormAct { conv, activation, norm: self.norm });
        let &Self { inputs, hidden, outputs, .. } = self;
        let mut steps = Vec::new();
        if hidden != inputs {
            steps.push(unit(Conv::new(inputs, hidden, 1, 1), self.activation));
        }
        let depthwise = Conv::new(hidden, hidden, self.kernel, self.stride).with_groups(hidden);
        steps.push(unit(depthwise, self.activation));
        steps.extend(self.squeezed.map(|squeezed| Step::SqueezeExcite(SqueezeExcite { channels: hidden, squeezed })));
        let project = Conv::new(hidden, outputs, 1, 1);
        if self.nested {
            steps.push(unit(project, Activation::Identity));
        } else {
            steps.extend([Step::Conv(project), Step::Norm(self.norm)]);
        }
        steps
    }

    /// Whether the input is added.
    #[must_use]
    pub fn adds_input(&self) -> bool {
        self.stride == 1 && self.inputs == self.outputs
    }
}

impl Describe for InvertedResidual {
    fn kind(&self) -> &'static str {
        "Inverted residual"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = single(self.kind(), inputs)?;
        let y = trace(&self.steps(), 0, t, x)?;
        if self.adds_input() { t.add(&y, x) } else { Ok(y) }
    }
}
