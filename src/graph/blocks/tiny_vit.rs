//! Blocks of small hybrid transformers (Wu et al. 2022, arXiv:2207.10666): convolutions with batch norm first, attention
//! in windows later.

use super::{Activation, Describe, single};
use crate::graph::GraphError;
use crate::graph::op::Positions;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Norm, Trace};
use serde::{Deserialize, Serialize};

/// Added to the variance in the layer norms: torch's default.
pub const EPSILON: f64 = 1e-5;

/// How its linear layers start.
const LINEAR: Init = Init::Normal(0.02);

/// A convolution and its batch norm: tensors `{name}.c`, `{name}.bn`.
fn conv_bn(t: &mut Trace, name: &str, x: &Signal, conv: Conv) -> Result<Signal, GraphError> {
    let x = t.conv(&format!("{name}.c"), x, conv, Init::KaimingNormalFanOut)?;
    t.batch_norm(&format!("{name}.bn"), &x, Norm::default())
}

/// Two convolutions of stride 2 with GELU between them. Tensors `seq.0`, `seq.2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvPatches {
    /// Output channels.
    pub outputs: usize,
}

impl ConvPatches {
    /// Its two convolutions.
    #[must_use]
    pub fn convs(&self) -> [Conv; 2] {
        [Conv::new(3, self.outputs / 2, 3, 2), Conv::new(self.outputs / 2, self.outputs, 3, 2)]
    }
}

impl Describe for ConvPatches {
    fn kind(&self) -> &'static str {
        "Patches"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let [first, second] = self.convs();
        let x = conv_bn(t, "seq.0", single(self.kind(), inputs)?, first)?;
        let x = t.activation(Activation::Gelu, &x);
        conv_bn(t, "seq.2", &x, second)
    }
}

/// Wider by a 1×1 convolution, a depthwise one, back by a 1×1 one; GELU after each. As an inverted residual block the
/// input is added before the last GELU; as a merging of patches it goes on with other channels and perhaps a smaller
/// size, without the last GELU. Tensors `conv1`, `conv2`, `conv3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MbConv {
    /// Input channels.
    pub inputs: usize,
    /// Channels between the 1×1 convolutions.
    pub hidden: usize,
    /// Output channels.
    pub outputs: usize,
    /// Step of the depthwise convolution.
    pub stride: usize,
    /// Whether the input is added.
    pub residual: bool,
}

impl MbConv {
    /// Its three convolutions.
    #[must_use]
    pub fn convs(&self) -> [Conv; 3] {
        let Self { inputs, hidden, outputs, stride, .. } = *self;
        let depthwise = Conv::new(hidden, hidden, 3, stride).with_groups(hidden);
        [Conv::new(inputs, hidden, 1, 1), depthwise, Conv::new(hidden, outputs, 1, 1)]
    }
}

impl Describe for MbConv {
    fn kind(&self) -> &'static str {
        if self.residual { "Inverted residual" } else { "Patch merging" }
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = single(self.kind(), inputs)?;
        let [wider, depthwise, back] = self.convs();
        let y = conv_bn(t, "conv1", x, wider)?;
        let y = t.activation(Activation::Gelu, &y);
        let y = conv_bn(t, "conv2", &y, depthwise)?;
        let y = t.activation(Activation::Gelu, &y);
        let y = conv_bn(t, "conv3", &y, back)?;
        if !self.residual {
            return Ok(y);
        }
        let y = t.add(x, &y)?;
        Ok(t.activation(Activation::Gelu, &y))
    }
}

/// Attention in windows with a learned number for each distance, a depthwise convolution, two linear layers with GELU.
/// Zeros fill up the last windows before the norm, so that they are not zeros after it. Tensors `attn.norm`, `attn.qkv`,
/// `attn.attention_biases`, `attn.proj`, `local_conv`, `mlp.norm`, `mlp.fc1`, `mlp.fc2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TinyVitBlock {
    /// Channels of a cell.
    pub width: usize,
    /// Number of heads.
    pub heads: usize,
    /// Side of a window in cells.
    pub window: usize,
    /// Width between the two linear layers.
    pub hidden: usize,
}

impl TinyVitBlock {
    /// The depthwise convolution.
    #[must_use]
    pub fn conv(&self) -> Conv {
        Conv::new(self.width, self.width, 3, 1).with_groups(self.width)
    }
}

impl Describe for TinyVitBlock {
    fn kind(&self) -> &'static str {
        "Window block"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = single(self.kind(), inputs)?;
        let (width, window) = (self.width, self.window);
        let y = t.pad_cells(x, window)?;
        let y = t.layer_norm("attn.norm", &y, EPSILON)?;
        let y = t.linear_each("attn.qkv", &y, [width, 3 * width], LINEAR)?;
        let y = t.self_attention("attn", &y, self.heads, (Some(window), window), Positions::Distances)?;
        let y = t.linear_each("attn.proj", &y, [width, width], LINEAR)?;
        let y = t.crop_cells(&y, x)?;
        let x = t.add(x, &y)?;
        let x = conv_bn(t, "local_conv", &x, self.conv())?;
        let y = t.layer_norm("mlp.norm", &x, EPSILON)?;
        let y = t.linear_each("mlp.fc1", &y, [width, self.hidden], LINEAR)?;
        let y = t.activation(Activation::Gelu, &y);
        let y = t.linear_each("mlp.fc2", &y, [self.hidden, width], LINEAR)?;
        t.add(&x, &y)
    }
}
