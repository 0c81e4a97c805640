//! Modules that let tokens and picture attend to each other and make masks of them.

use super::{Asking, cells};
use crate::graph::blocks;
use crate::nn::attention::{LayerNorm, Projected, channels_first};
use crate::nn::init::Params;
use crate::nn::layers::{ConvTranspose2d, Linear};
use crate::nn::value::{Ctx, RunError, Value, single};
use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation, module};

#[derive(Module, Debug)]
struct Learned {
    weight: Param<Tensor<2>>,
}

/// See [`blocks::Question`].
#[derive(Module, Debug)]
pub struct Question {
    iou_token: Learned,
    mask_tokens: Learned,
}

impl Question {
    pub(crate) fn new(_: &blocks::Question, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self {
            iou_token: Learned { weight: params.take("iou_token", "weight")? },
            mask_tokens: Learned { weight: params.take("mask_tokens", "weight")? },
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let [features, prompt] = inputs else {
            return Err(RunError::Kind { wanted: "features and an encoded prompt", got: "another number" });
        };
        let (features, prompt) = (cells(features.map()?), prompt.asking()?);
        let [pictures, count, width] = features.dims();
        let [batch, ..] = prompt.tokens.dims();
        let features = match pictures {
            1 if batch > 1 => features.expand([batch, count, width]),
            _ if pictures == batch => features,
            _ => return Err(RunError::Kind { wanted: "a prompt for each picture", got: "another number" }),
        };
        let learned = Tensor::cat(vec![self.iou_token.weight.val(), self.mask_tokens.weight.val()], 0);
        let rows = learned.dims()[0];
        let learned = learned.reshape([1, rows, width]).expand([batch, rows, width]);
        let tokens = Tensor::cat(vec![learned, prompt.tokens.clone()], 1); // [batch, 1 + candidates + count, width]
        Ok(Value::Asking(Box::new(Asking {
            token_codes: tokens.clone(),
            tokens,
            cells: features + prompt.cells.clone(),
            cell_codes: prompt.cell_codes.clone(),
            size: prompt.size,
        })))
    }
}

#[derive(Module, Debug)]
struct TokenMlp {
    lin1: Linear,
    lin2: Linear,
}

/// See [`blocks::TwoWayLayer`].
#[derive(Module, Debug)]
pub struct TwoWayLayer {
    self_attn: Projected,
    norm1: LayerNorm,
    cross_attn_token_to_image: Projected,
    norm2: LayerNorm,
    mlp: TokenMlp,
    norm3: LayerNorm,
    norm4: LayerNorm,
    cross_attn_image_to_token: Projected,
    first: bool,
}

impl TwoWayLayer {
    pub(crate) fn new(spec: &blocks::TwoWayLayer, params: &mut Params<'_>) -> Result<Self, RunError> {
        let norm =
            |i: usize, params: &mut Params<'_>| LayerNorm::new(blocks::TOKEN_EPSILON, &format!("norm{i}"), params);
        Ok(Self {
            self_attn: Projected::new("self_attn", spec.heads, params)?,
            norm1: norm(1, params)?,
            cross_attn_token_to_image: Projected::new("cross_attn_token_to_image", spec.heads, params)?,
            norm2: norm(2, params)?,
            mlp: TokenMlp { lin1: Linear::new("mlp.lin1", params)?, lin2: Linear::new("mlp.lin2", params)? },
            norm3: norm(3, params)?,
            norm4: norm(4, params)?,
            cross_attn_image_to_token: Projected::new("cross_attn_image_to_token", spec.heads, params)?,
            first: spec.first,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let Asking { tokens, token_codes, cells, cell_codes, size } = single(inputs)?.asking()?.clone();
        let tokens = if self.first {
            self.self_attn.forward(tokens.clone(), tokens.clone(), tokens)
        } else {
            let coded = tokens.clone() + token_codes.clone();
            tokens.clone() + self.self_attn.forward(coded.clone(), coded, tokens)
        };
        let tokens = self.norm1.forward(tokens); // [batch, count, width]
        let coded_cells = cells.clone() + cell_codes.clone(); // [batch, h · w, width]
        let coded = tokens.clone() + token_codes.clone();
        let told = self.cross_attn_token_to_image.forward(coded, coded_cells.clone(), cells.clone());
        let tokens = self.norm2.forward(tokens + told);
        let told = self.mlp.lin2.each(activation::relu(self.mlp.lin1.each(tokens.clone())));
        let tokens = self.norm3.forward(tokens + told);
        let coded = tokens.clone() + token_codes.clone();
        let told = self.cross_attn_image_to_token.forward(coded_cells, coded, tokens.clone());
        let cells = self.norm4.forward(cells + told);
        Ok(Value::Asking(Box::new(Asking { tokens, token_codes, cells, cell_codes, size })))
    }
}

/// See [`blocks::TwoWayEnd`].
#[derive(Module, Debug)]
pub struct TwoWayEnd {
    final_attn_token_to_image: Projected,
    norm_final_attn: LayerNorm,
}

impl TwoWayEnd {
    pub(crate) fn new(spec: &blocks::TwoWayEnd, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self {
            final_attn_token_to_image: Projected::new("final_attn_token_to_image", spec.heads, params)?,
            norm_final_attn: LayerNorm::new(blocks::TOKEN_EPSILON, "norm_final_attn", params)?,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let mut asking = single(inputs)?.asking()?.clone();
        let coded = asking.tokens.clone() + asking.token_codes.clone();
        let coded_cells = asking.cells.clone() + asking.cell_codes.clone();
        let told = self.final_attn_token_to_image.forward(coded, coded_cells, asking.cells.clone());
        asking.tokens = self.norm_final_attn.forward(asking.tokens + told);
        Ok(Value::Asking(Box::new(asking)))
    }
}

/// A transposed convolution without overlap (its kernel is its stride) as one product: `[batch, h, w, inputs]` → `[batch,
/// kernel · h, kernel · w, outputs]`. Five times as fast on the CPU as the convolution.
fn spread(layer: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
    let [batch, height, width, _] = x.dims();
    let [inputs, outputs, side, _] = layer.weight.dims();
    let weight = layer.weight.val().permute([0, 2, 3, 1]).reshape([inputs, side * side * outputs]);
    let bias = layer.bias.as_ref().map(|bias| bias.val().repeat_dim(0, side * side));
    module::linear(x, weight, bias)
        .reshape([batch, height, width, side, side, outputs])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([batch, height * side, width * side, outputs])
}

/// See [`blocks::MapUpscaling`].
#[derive(Module, Debug)]
pub struct MapUpscaling {
    n0: ConvTranspose2d,
    n1: LayerNorm,
    n3: ConvTranspose2d,
}

impl MapUpscaling {
    pub(crate) fn new(spec: &blocks::MapUpscaling, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [first, second] = spec.convs();
        Ok(Self {
            n0: ConvTranspose2d::new(first, "0", params)?,
            n1: LayerNorm::new(blocks::MAP_EPSILON, "1", params)?,
            n3: ConvTranspose2d::new(second, "3", params)?,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let asking = single(inputs)?.asking()?;
        let [batch, _, width] = asking.cells.dims();
        let x = asking.cells.clone().reshape([batch, asking.size[0], asking.size[1], width]);
        let x = activation::gelu(self.n1.forward(spread(&self.n0, x))); // [batch, 2 h, 2 w, width / 4]
        let x = activation::gelu(spread(&self.n3, x)); // [batch, 4 h, 4 w, width / 8]
        Ok(Value::Map(channels_first(x)))
    }
}

/// Three linear layers with `ReLU` between them.
#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(prefix: &str, params: &mut Params<'_>) -> Result<Self, RunError> {
        let layers = (0..3).map(|i| Linear::new(&format!("{prefix}layers.{i}"), params));
        Ok(Self { layers: layers.collect::<Result<_, _>>()? })
    }

    /// `[batch, inputs]` → `[batch, outputs]`
    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(if i > 0 { activation::relu(x) } else { x });
        }
        x
    }
}

/// One of the tokens, `[batch, width]`.
fn token(asking: &Asking, index: usize) -> Tensor<2> {
    let [batch, _, width] = asking.tokens.dims();
    asking.tokens.clone().narrow(1, index, 1).reshape([batch, width])
}

/// See [`blocks::MaskProducts`].
#[derive(Module, Debug)]
pub struct MaskProducts {
    this: Vec<Mlp>,
}

impl MaskProducts {
    pub(crate) fn new(spec: &blocks::MaskProducts, params: &mut Params<'_>) -> Result<Self, RunError> {
        let each = (0..spec.candidates).map(|i| Mlp::new(&format!("{i}."), params));
        Ok(Self { this: each.collect::<Result<_, _>>()? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let [question, map] = inputs else {
            return Err(RunError::Kind { wanted: "tokens and a map", got: "another number" });
        };
        let (question, map) = (question.asking()?, map.map()?);
        let [batch, depth, height, width] = map.dims();
        let rows = self.this.iter().enumerate().map(|(i, mlp)| mlp.forward(token(question, i + 1)).unsqueeze_dim(1));
        let weights: Tensor<3> = Tensor::cat(rows.collect(), 1); // [batch, candidates, depth]
        let masks = weights.matmul(map.reshape([batch, depth, height * width]));
        Ok(Value::Map(masks.reshape([batch, self.this.len(), height, width])))
    }
}

/// See [`blocks::MaskQuality`].
#[derive(Module, Debug)]
pub struct MaskQuality {
    this: Mlp,
}

impl MaskQuality {
    pub(crate) fn new(_: &blocks::MaskQuality, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { this: Mlp::new("", params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let question = single(inputs)?.asking()?;
        Ok(Value::Vector(self.this.forward(token(question, 0)))) // [batch, candidates]
    }
}
