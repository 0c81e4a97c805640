//! Blocks that answer a prompt: marks and an earlier mask become tokens and a map, tokens and picture attend to each
//! other in turn, tokens become masks (Kirillov et al. 2023, arXiv:2304.02643, appendix A).

use super::{Activation, Describe, single};
use crate::graph::GraphError;
use crate::graph::op::Asked;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Trace};
use serde::{Deserialize, Serialize};

/// Added to the variance in the norms of maps.
pub const MAP_EPSILON: f64 = 1e-6;
/// Added to the variance in the norms between attentions: torch's default.
pub const TOKEN_EPSILON: f64 = 1e-5;

/// torch's start of a linear layer.
const LINEAR: Init = Init::UniformFanIn { fan_in: 0 };

/// Points, box and earlier mask of a prompt as tokens and a map. Inputs: the picture's features, which only give the size
/// of the map, and the prompt. Tensors `pe_layer`, `point_embeddings.N`, `not_a_point_embed`, `mask_downscaling.N`,
/// `no_mask_embed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptEncoder {
    /// Length of a token, depth of the map.
    pub width: usize,
    /// Channels between the convolutions that make the mask smaller.
    pub mask_channels: usize,
    /// Side of a cell of the features in input pixels.
    pub stride: usize,
}

impl PromptEncoder {
    /// How many times larger than the features an earlier mask is.
    pub const MASK_SCALE: usize = 4;

    /// The convolutions from an earlier mask to the map.
    #[must_use]
    pub fn convs(&self) -> [Conv; 3] {
        let conv = |inputs, outputs, side| Conv { padding: 0, ..Conv::new(inputs, outputs, side, side).with_bias() };
        let [half, all] = [self.mask_channels / 4, self.mask_channels];
        [conv(1, half, 2), conv(half, all, 2), conv(all, self.width, 1)]
    }
}

impl Describe for PromptEncoder {
    fn kind(&self) -> &'static str {
        "Prompt encoder"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let [features, prompt] = inputs else {
            return Err(GraphError::Shape(format!("the {} takes features and a prompt", self.kind().to_lowercase())));
        };
        let [_, height, width] = features.expect_map(self.kind())?;
        let tokens = t.prompt_tokens(prompt, self.width)?;
        let mut x = t.prompt_mask(prompt, [height, width].map(|n| n * Self::MASK_SCALE))?;
        for (i, conv) in self.convs().into_iter().enumerate() {
            x = t.conv(&format!("mask_downscaling.{}", 3 * i), &x, conv, LINEAR)?;
            if i < 2 {
                x = t.layer_norm(&format!("mask_downscaling.{}", 3 * i + 1), &x, MAP_EPSILON)?;
                x = t.activation(Activation::Gelu, &x);
            }
        }
        let map = t.if_masked("no_mask_embed", &x, prompt)?;
        t.ask(&tokens, &map)
    }
}

/// Puts the prompt to the picture: learned tokens of the answers before the prompt's own, the prompt's map added to the
/// features. Inputs: features, prompt. Tensors `iou_token.weight`, `mask_tokens.weight`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Number of masks that are offered.
    pub candidates: usize,
}

impl Describe for Question {
    fn kind(&self) -> &'static str {
        "Question"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let [features, prompt] = inputs else {
            return Err(GraphError::Shape("a question takes features and an encoded prompt".to_owned()));
        };
        let tokens = t.pick(prompt, Asked::Tokens)?;
        let tokens = t.prepend(&[("iou_token", 1), ("mask_tokens", self.candidates)], &tokens)?;
        let map = t.pick(prompt, Asked::Map)?;
        let map = t.add(features, &map)?;
        t.ask(&tokens, &map)
    }
}

/// Projections before and after an attention: tensors `q_proj`, `k_proj`, `v_proj`, `out_proj`.
fn projected(
    t: &mut Trace,
    name: &str,
    [q, k, v]: [&Signal; 3],
    [width, inner]: [usize; 2],
    heads: usize,
) -> Result<Signal, GraphError> {
    let q = t.linear_each(&format!("{name}.q_proj"), q, [width, inner], LINEAR)?;
    let k = t.linear_each(&format!("{name}.k_proj"), k, [width, inner], LINEAR)?;
    let v = t.linear_each(&format!("{name}.v_proj"), v, [width, inner], LINEAR)?;
    let x = t.attention([&q, &k, &v], heads)?;
    t.linear_each(&format!("{name}.out_proj"), &x, [inner, width], LINEAR)
}

/// Tokens attend to each other, then to the map, go through two linear layers, and the map attends to them; a layer norm
/// after each. Tensors `self_attn`, `cross_attn_token_to_image`, `mlp`, `cross_attn_image_to_token`, `norm1` to `norm4`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwoWayLayer {
    /// Length of a token, depth of the map.
    pub width: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width between the two linear layers.
    pub hidden: usize,
    /// Whether it is the first, whose tokens are their codes: they are not added again, nor is the sum kept.
    pub first: bool,
}

impl TwoWayLayer {
    /// Width of the heads together between tokens and map.
    #[must_use]
    pub fn inner(&self) -> usize {
        self.width / 2
    }
}

impl Describe for TwoWayLayer {
    fn kind(&self) -> &'static str {
        "Two-way attention"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = single(self.kind(), inputs)?;
        let (full, half) = ([self.width; 2], [self.width, self.inner()]);
        let mut tokens = t.pick(x, Asked::Tokens)?;
        let codes = t.pick(x, Asked::TokenCodes)?;
        let map = t.pick(x, Asked::Map)?;
        let map_codes = t.pick(x, Asked::MapCodes)?;
        tokens = if self.first {
            projected(t, "self_attn", [&tokens, &tokens, &tokens], full, self.heads)?
        } else {
            let coded = t.add(&tokens, &codes)?;
            let told = projected(t, "self_attn", [&coded, &coded, &tokens], full, self.heads)?;
            t.add(&tokens, &told)?
        };
        tokens = t.layer_norm("norm1", &tokens, TOKEN_EPSILON)?;
        let coded = t.add(&tokens, &codes)?;
        let coded_map = t.add(&map, &map_codes)?;
        let told = projected(t, "cross_attn_token_to_image", [&coded, &coded_map, &map], half, self.heads)?;
        tokens = t.add(&tokens, &told)?;
        tokens = t.layer_norm("norm2", &tokens, TOKEN_EPSILON)?;
        let wide = t.linear_each("mlp.lin1", &tokens, [self.width, self.hidden], LINEAR)?;
        let wide = t.activation(Activation::Relu, &wide);
        let told = t.linear_each("mlp.lin2", &wide, [self.hidden, self.width], LINEAR)?;
        tokens = t.add(&tokens, &told)?;
        tokens = t.layer_norm("norm3", &tokens, TOKEN_EPSILON)?;
        let coded = t.add(&tokens, &codes)?;
        let told = projected(t, "cross_attn_image_to_token", [&coded_map, &coded, &tokens], half, self.heads)?;
        let map = t.add(&map, &told)?;
        let map = t.layer_norm("norm4", &map, TOKEN_EPSILON)?;
        t.ask(&tokens, &map)
    }
}

/// A last look of the tokens at the map. Tensors `final_attn_token_to_image`, `norm_final_attn`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwoWayEnd {
    /// Length of a token, depth of the map.
    pub width: usize,
    /// Number of heads.
    pub heads: usize,
}

impl Describe for TwoWayEnd {
    fn kind(&self) -> &'static str {
        "Last attention"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = single(self.kind(), inputs)?;
        let tokens = t.pick(x, Asked::Tokens)?;
        let codes = t.pick(x, Asked::TokenCodes)?;
        let map = t.pick(x, Asked::Map)?;
        let map_codes = t.pick(x, Asked::MapCodes)?;
        let coded = t.add(&tokens, &codes)?;
        let coded_map = t.add(&map, &map_codes)?;
        let half = [self.width, self.width / 2];
        let told = projected(t, "final_attn_token_to_image", [&coded, &coded_map, &map], half, self.heads)?;
        let tokens = t.add(&tokens, &told)?;
        let tokens = t.layer_norm("norm_final_attn", &tokens, TOKEN_EPSILON)?;
        t.ask(&tokens, &map)
    }
}

/// The map of a question four times larger and an eighth as deep. Tensors `0` and `3` (transposed convolutions), `1`
/// (layer norm).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapUpscaling {
    /// Depth of the map.
    pub width: usize,
}

impl MapUpscaling {
    /// Its two transposed convolutions.
    #[must_use]
    pub fn convs(&self) -> [Conv; 2] {
        let conv = |inputs, outputs| Conv { padding: 0, ..Conv::new(inputs, outputs, 2, 2).with_bias() };
        [conv(self.width, self.width / 4), conv(self.width / 4, self.width / 8)]
    }
}

impl Describe for MapUpscaling {
    fn kind(&self) -> &'static str {
        "Upscaling"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let [first, second] = self.convs();
        let x = t.pick(single(self.kind(), inputs)?, Asked::Map)?;
        let x = t.conv_transposed("0", &x, first, LINEAR)?;
        let x = t.layer_norm("1", &x, MAP_EPSILON)?;
        let x = t.activation(Activation::Gelu, &x);
        let x = t.conv_transposed("3", &x, second, LINEAR)?;
        Ok(t.activation(Activation::Gelu, &x))
    }
}

/// Three linear layers with `ReLU` between them: tensors `layers.0` to `layers.2`.
fn mlp(t: &mut Trace, name: &str, x: &Signal, [inputs, hidden, outputs]: [usize; 3]) -> Result<Signal, GraphError> {
    let mut x = x.clone();
    for (i, pair) in [[inputs, hidden], [hidden, hidden], [hidden, outputs]].into_iter().enumerate() {
        x = t.linear_each(&format!("{name}layers.{i}"), &x, pair, LINEAR)?;
        if i < 2 {
            x = t.activation(Activation::Relu, &x);
        }
    }
    Ok(x)
}

/// A mask for each of the learned tokens: three linear layers make weights of it, whose products with the cells of the
/// enlarged map are logits. Inputs: tokens with map, enlarged map. Tensors `N.layers.M`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskProducts {
    /// Length of a token.
    pub width: usize,
    /// Depth of the enlarged map.
    pub depth: usize,
    /// Number of masks.
    pub candidates: usize,
}

impl Describe for MaskProducts {
    fn kind(&self) -> &'static str {
        "Masks"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let [question, map] = inputs else {
            return Err(GraphError::Shape("masks are made of tokens and a map".to_owned()));
        };
        let tokens = t.pick(question, Asked::Tokens)?;
        let mut vectors = Vec::with_capacity(self.candidates);
        for i in 0..self.candidates {
            let token = t.token(&tokens, i + 1)?;
            vectors.push(mlp(t, &format!("{i}."), &token, [self.width, self.width, self.depth])?);
        }
        t.products(&vectors, map)
    }
}

/// How well each mask will overlap what was meant: three linear layers on the first token. Tensors `layers.N`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskQuality {
    /// Length of a token.
    pub width: usize,
    /// Width between the linear layers.
    pub hidden: usize,
    /// Number of masks.
    pub candidates: usize,
}

impl Describe for MaskQuality {
    fn kind(&self) -> &'static str {
        "Predicted IoU"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let tokens = t.pick(single(self.kind(), inputs)?, Asked::Tokens)?;
        let token = t.token(&tokens, 0)?;
        mlp(t, "", &token, [self.width, self.hidden, self.candidates])
    }
}
