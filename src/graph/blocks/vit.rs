//! Blocks of plain vision transformers for dense tasks (Li et al. 2022, arXiv:2203.16527): squares of the picture
//! become cells, which attend to each other in windows and, in some blocks, all to all.

use super::ask::MAP_EPSILON;
use super::{Activation, Describe, single};
use crate::graph::GraphError;
use crate::graph::op::Positions;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Trace};
use serde::{Deserialize, Serialize};

/// torch's start of a linear layer or a convolution.
const USUAL: Init = Init::UniformFanIn { fan_in: 0 };

/// Squares of the picture as cells, with a table of positions, which is resized for pictures of another size. Tensors
/// `pos_embed`, `patch_embed.proj`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchEmbed {
    /// Side of a square in pixels.
    pub patch_px: usize,
    /// Channels of a cell.
    pub width: usize,
    /// Side of the table in cells.
    pub table: usize,
}

impl PatchEmbed {
    /// The convolution that turns squares into cells.
    #[must_use]
    pub fn conv(&self) -> Conv {
        Conv { padding: 0, ..Conv::new(3, self.width, self.patch_px, self.patch_px).with_bias() }
    }
}

impl Describe for PatchEmbed {
    fn kind(&self) -> &'static str {
        "Patches"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = single(self.kind(), inputs)?;
        let [_, height, width] = x.expect_map(self.kind())?;
        if !height.is_multiple_of(self.patch_px) || !width.is_multiple_of(self.patch_px) {
            let side = self.patch_px;
            return Err(GraphError::Shape(format!("sides must be multiples of {side} px, not {height}×{width}")));
        }
        let x = t.conv("patch_embed.proj", x, self.conv(), USUAL)?;
        t.add_positions("pos_embed", &x, [self.table; 2])
    }
}

/// A transformer block: layer norm and attention, layer norm and two linear layers with GELU, each added to its input.
/// In windows, zeros fill up the last ones after the norm. Tensors `norm1`, `attn.rel_pos_h`, `attn.rel_pos_w`,
/// `attn.qkv`, `attn.proj`, `norm2`, `mlp.lin1`, `mlp.lin2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VitBlock {
    /// Channels of a cell.
    pub width: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width between the two linear layers.
    pub hidden: usize,
    /// Side of a window in cells; none where all cells attend to all.
    pub window: Option<usize>,
    /// Side of the table of relative positions in cells; for another size it is resized.
    pub table: usize,
    /// Added to the variance in the norms.
    pub epsilon: f64,
}

impl Describe for VitBlock {
    fn kind(&self) -> &'static str {
        if self.window.is_some() { "Window block" } else { "Global block" }
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = single(self.kind(), inputs)?;
        let width = self.width;
        let y = t.layer_norm("norm1", x, self.epsilon)?;
        let y = t.pad_cells(&y, self.window.unwrap_or(1))?;
        let y = t.linear_each("attn.qkv", &y, [width, 3 * width], USUAL)?;
        let y = t.self_attention("attn", &y, self.heads, (self.window, self.table), Positions::Decomposed)?;
        let y = t.linear_each("attn.proj", &y, [width, width], USUAL)?;
        let y = t.crop_cells(&y, x)?;
        let x = t.add(x, &y)?;
        let y = t.layer_norm("norm2", &x, self.epsilon)?;
        let y = t.linear_each("mlp.lin1", &y, [width, self.hidden], USUAL)?;
        let y = t.activation(Activation::Gelu, &y);
        let y = t.linear_each("mlp.lin2", &y, [self.hidden, width], USUAL)?;
        t.add(&x, &y)
    }
}

/// Two convolutions without bias, a layer norm after each, from the last cells to the features that are asked about.
/// Tensors `neck.0` to `neck.3`; before them, where the encoder was a classifier, the `norm_head` and `head` of that
/// classifier, which the checkpoints keep and nothing uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderNeck {
    /// Channels of a cell.
    pub inputs: usize,
    /// Channels of the features.
    pub outputs: usize,
    /// Classes of the classifier that the encoder was.
    pub unused_classes: Option<usize>,
}

impl EncoderNeck {
    /// Its two convolutions.
    #[must_use]
    pub fn convs(&self) -> [Conv; 2] {
        [Conv::new(self.inputs, self.outputs, 1, 1), Conv::new(self.outputs, self.outputs, 3, 1)]
    }
}

impl Describe for EncoderNeck {
    fn kind(&self) -> &'static str {
        "Encoder neck"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let [first, second] = self.convs();
        let x = single(self.kind(), inputs)?;
        if let Some(classes) = self.unused_classes {
            t.unused("norm_head", "weight", vec![self.inputs]);
            t.unused("norm_head", "bias", vec![self.inputs]);
            t.unused("head", "weight", vec![classes, self.inputs]);
            t.unused("head", "bias", vec![classes]);
        }
        let x = t.conv("neck.0", x, first, USUAL)?;
        let x = t.layer_norm("neck.1", &x, MAP_EPSILON)?;
        let x = t.conv("neck.2", &x, second, USUAL)?;
        t.layer_norm("neck.3", &x, MAP_EPSILON)
    }
}
