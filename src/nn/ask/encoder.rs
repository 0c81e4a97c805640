//! The module of `graph::blocks::PromptEncoder`.

use super::{Asking, Marks, Prompt, cells};
use crate::graph::blocks;
use crate::nn::attention::LayerNorm;
use crate::nn::init::Params;
use crate::nn::layers::Conv2d;
use crate::nn::value::{Ctx, RunError, Value};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation};

#[derive(Module, Debug)]
struct Frequencies {
    positional_encoding_gaussian_matrix: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Embedding {
    weight: Param<Tensor<2>>,
}

impl Embedding {
    fn new(name: &str, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { weight: params.take(name, "weight")? })
    }
}

#[derive(Module, Debug)]
struct MaskDownscaling {
    n0: Conv2d,
    n1: LayerNorm,
    n3: Conv2d,
    n4: LayerNorm,
    n6: Conv2d,
}

impl MaskDownscaling {
    /// `[batch, 1, 4 h, 4 w]` → `[batch, width, h, w]`
    fn forward(&self, masks: Tensor<4>) -> Tensor<4> {
        let x = activation::gelu(self.n1.forward_map(self.n0.forward(masks)));
        let x = activation::gelu(self.n4.forward_map(self.n3.forward(x)));
        self.n6.forward(x)
    }
}

/// See [`blocks::PromptEncoder`].
#[derive(Module, Debug)]
pub struct PromptEncoder {
    pe_layer: Frequencies,
    /// Of a negative and a positive point, an upper left and a lower right corner.
    point_embeddings: Vec<Embedding>,
    not_a_point_embed: Embedding,
    mask_downscaling: MaskDownscaling,
    no_mask_embed: Embedding,
    stride: usize,
}

/// Where a token's place is, and which of the learned vectors is added: none of the four for what is no point.
struct Token {
    xy: [f32; 2],
    kind: Option<usize>,
}

/// The tokens of one prompt: its points, then a point that is none or the corners of its box.
fn tokens(marks: &Marks) -> Vec<Token> {
    // The middle of the pixel.
    let token = |[x, y]: [f32; 2], kind: usize| Token { xy: [x + 0.5, y + 0.5], kind: Some(kind) };
    let points = marks.points.iter().map(|point| token(point.xy, usize::from(point.positive)));
    let rest = match marks.xyxy {
        Some([left, top, right, bottom]) => vec![token([left, top], 2), token([right, bottom], 3)],
        None => vec![Token { xy: [0.0; 2], kind: None }],
    };
    points.chain(rest).collect()
}

impl PromptEncoder {
    pub(crate) fn new(spec: &blocks::PromptEncoder, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [first, second, last] = spec.convs();
        let norm = |i: usize, params: &mut Params<'_>| {
            LayerNorm::new(blocks::MAP_EPSILON, &format!("mask_downscaling.{i}"), params)
        };
        let kinds = (0..4).map(|i| Embedding::new(&format!("point_embeddings.{i}"), params));
        Ok(Self {
            point_embeddings: kinds.collect::<Result<_, RunError>>()?,
            pe_layer: Frequencies {
                positional_encoding_gaussian_matrix: params.take("pe_layer", "positional_encoding_gaussian_matrix")?,
            },
            not_a_point_embed: Embedding::new("not_a_point_embed", params)?,
            mask_downscaling: MaskDownscaling {
                n0: Conv2d::new(first, "mask_downscaling.0", params)?,
                n1: norm(1, params)?,
                n3: Conv2d::new(second, "mask_downscaling.3", params)?,
                n4: norm(4, params)?,
                n6: Conv2d::new(last, "mask_downscaling.6", params)?,
            },
            no_mask_embed: Embedding::new("no_mask_embed", params)?,
            stride: spec.stride,
        })
    }

    /// Sines and cosines of places `[n, 2]` from 0 to 1 → `[n, width]`
    fn waves(&self, places: Tensor<2>) -> Tensor<2> {
        let places = places * 2.0 - 1.0;
        let angles = places.matmul(self.pe_layer.positional_encoding_gaussian_matrix.val()) * std::f64::consts::TAU;
        Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1)
    }

    /// The codes of the cells of a map, `[1, h · w, width]`.
    fn cell_codes(&self, [height, width]: [usize; 2], device: &Device) -> Tensor<3> {
        let middle = |i: usize, of: usize| (i as f32 + 0.5) / of as f32;
        let places = (0..height * width).flat_map(|i| [middle(i % width, width), middle(i / width, height)]);
        let places = TensorData::new(places.collect::<Vec<_>>(), [height * width, 2]);
        self.waves(Tensor::from_data(places, device)).unsqueeze()
    }

    /// `[batch, count, width]` for inputs of this height and width in pixels.
    fn tokens(&self, prompt: &Prompt, [height, width]: [usize; 2], device: &Device) -> Result<Tensor<3>, RunError> {
        let all: Vec<Vec<Token>> = prompt.marks.iter().map(tokens).collect();
        let count = all.first().map_or(0, Vec::len);
        let batch = all.len();
        let boxes = prompt.marks.iter().filter(|marks| marks.xyxy.is_some()).count();
        if count == 0 || all.iter().any(|tokens| tokens.len() != count) || ![0, batch].contains(&boxes) {
            return Err(RunError::Kind { wanted: "prompts of one kind", got: "prompts of several or none" });
        }
        let [w, h] = [width as f32, height as f32];
        let places = all.iter().flatten().flat_map(|token| [token.xy[0] / w, token.xy[1] / h]);
        let places = TensorData::new(places.collect::<Vec<_>>(), [batch * count, 2]);
        let waves = self.waves(Tensor::from_data(places, device)); // [batch · count, width]
        // Which vectors each token takes: its waves count where it is a point.
        let kinds = self.point_embeddings.len();
        let choice = all.iter().flatten().flat_map(|token| {
            let taken = token.kind.unwrap_or(kinds);
            (0..=kinds).map(move |kind| if kind == taken { 1.0f32 } else { 0.0 })
        });
        let choice = TensorData::new(choice.collect::<Vec<_>>(), [batch * count, kinds + 1]);
        let points = all.iter().flatten().map(|token| if token.kind.is_some() { 1.0f32 } else { 0.0 });
        let points = TensorData::new(points.collect::<Vec<_>>(), [batch * count, 1]);
        let vectors = self.point_embeddings.iter().chain([&self.not_a_point_embed]);
        let vectors = Tensor::cat(vectors.map(|embedding| embedding.weight.val()).collect(), 0); // [kinds + 1, width]
        let learned = Tensor::<2>::from_data(choice, device).matmul(vectors);
        let all = waves * Tensor::from_data(points, device) + learned;
        let length = all.dims()[1];
        Ok(all.reshape([batch, count, length]))
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let [features, prompt] = inputs else {
            return Err(RunError::Kind { wanted: "features and a prompt", got: "another number" });
        };
        let features = features.map()?;
        let [_, _, height, width] = features.dims();
        let prompt = prompt.prompt()?;
        let device = features.device().inner();
        let input_px = [height * self.stride, width * self.stride];
        let tokens = self.tokens(prompt, input_px, &device)?;
        let map = match &prompt.masks {
            Some(masks) => cells(self.mask_downscaling.forward(masks.clone())), // [batch, h · w, width]
            None => {
                let vector = self.no_mask_embed.weight.val();
                let length = vector.dims()[1];
                vector.reshape([1, 1, length]).expand([prompt.marks.len(), height * width, length])
            }
        };
        Ok(Value::Asking(Box::new(Asking {
            token_codes: tokens.clone(),
            tokens,
            cells: map,
            cell_codes: self.cell_codes([height, width], &device),
            size: [height, width],
        })))
    }
}
