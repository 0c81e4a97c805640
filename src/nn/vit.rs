//! Modules of `graph::blocks::vit`.

use super::attention::{Heads, LayerNorm, channels_first, channels_last, crop, from_windows, pad, relative, windows};
use super::basic::activate;
use super::init::Params;
use super::layers::{Conv2d, Linear};
use super::resize;
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks::{self, Activation};
use burn::module::{Module, Param};
use burn::tensor::Tensor;

#[derive(Module, Debug)]
struct Projection {
    proj: Conv2d,
}

/// See [`blocks::PatchEmbed`].
#[derive(Module, Debug)]
pub struct PatchEmbed {
    patch_embed: Projection,
    pos_embed: Param<Tensor<4>>,
}

impl PatchEmbed {
    pub(crate) fn new(spec: &blocks::PatchEmbed, params: &mut Params<'_>) -> Result<Self, RunError> {
        let patch_embed = Projection { proj: Conv2d::new(spec.conv(), "patch_embed.proj", params)? };
        Ok(Self { patch_embed, pos_embed: params.take("", "pos_embed")? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let x = self.patch_embed.proj.forward(single(inputs)?.map()?); // [batch, width, h, w]
        let [_, _, height, width] = x.dims();
        let table = channels_first(self.pos_embed.val()); // [1, width, table, table]
        let [_, _, rows, columns] = table.dims();
        let same = [rows, columns] == [height, width];
        let table = if same { table } else { resize::bicubic_antialiased(table, [height, width]) };
        Ok(Value::Map(x + table))
    }
}

#[derive(Module, Debug)]
struct VitAttention {
    qkv: Linear,
    rel_pos_h: Param<Tensor<2>>,
    rel_pos_w: Param<Tensor<2>>,
    proj: Linear,
    heads: usize,
}

impl VitAttention {
    /// `[batch, rows, columns, width]` → the same shape
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, rows, columns, width] = x.dims();
        let (cells, each) = (rows * columns, width / self.heads);
        let qkv = self.qkv.each(x).reshape([batch, cells, 3, self.heads, each]).permute([2, 0, 3, 1, 4]);
        let part = |i: usize| qkv.clone().narrow(0, i, 1).reshape([batch, self.heads, cells, each]);
        let heads = Heads { q: part(0), k: part(1), v: part(2), size: [rows, columns] };
        let x = heads.decomposed(relative(self.rel_pos_h.val(), rows), relative(self.rel_pos_w.val(), columns));
        self.proj.each(x.swap_dims(1, 2).reshape([batch, rows, columns, width]))
    }
}

#[derive(Module, Debug)]
struct Mlp {
    lin1: Linear,
    lin2: Linear,
}

/// See [`blocks::VitBlock`].
#[derive(Module, Debug)]
pub struct VitBlock {
    norm1: LayerNorm,
    attn: VitAttention,
    norm2: LayerNorm,
    mlp: Mlp,
    #[module(skip)]
    window: Option<usize>,
}

impl VitBlock {
    pub(crate) fn new(spec: &blocks::VitBlock, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self {
            norm1: LayerNorm::new(spec.epsilon, "norm1", params)?,
            attn: VitAttention {
                qkv: Linear::new("attn.qkv", params)?,
                rel_pos_h: params.take("attn", "rel_pos_h")?,
                rel_pos_w: params.take("attn", "rel_pos_w")?,
                proj: Linear::new("attn.proj", params)?,
                heads: spec.heads,
            },
            norm2: LayerNorm::new(spec.epsilon, "norm2", params)?,
            mlp: Mlp { lin1: Linear::new("mlp.lin1", params)?, lin2: Linear::new("mlp.lin2", params)? },
            window: spec.window,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let x = channels_last(single(inputs)?.map()?); // [batch, h, w, width]
        let [_, height, width, _] = x.dims();
        let y = self.norm1.forward(x.clone());
        let y = match self.window {
            Some(side) => {
                let y = pad(y, side);
                let [_, tall, wide, _] = y.dims();
                let y = self.attn.forward(windows(y, [side; 2])); // [windows, side, side, width]
                crop(from_windows(y, [tall, wide]), [height, width])
            }
            None => self.attn.forward(y),
        };
        let x = x + y;
        let y = self.mlp.lin1.each(self.norm2.forward(x.clone()));
        let x = x + self.mlp.lin2.each(activate(y, Activation::Gelu));
        Ok(Value::Map(channels_first(x)))
    }
}

#[derive(Module, Debug)]
struct Neck {
    n0: Conv2d,
    n1: LayerNorm,
    n2: Conv2d,
    n3: LayerNorm,
}

/// Weight and bias that are kept as the checkpoints have them.
#[derive(Module, Debug)]
struct Kept<const D: usize> {
    weight: Param<Tensor<D>>,
    bias: Param<Tensor<1>>,
}

impl<const D: usize> Kept<D> {
    fn new(name: &str, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { weight: params.take(name, "weight")?, bias: params.take(name, "bias")? })
    }
}

/// See [`blocks::EncoderNeck`].
#[derive(Module, Debug)]
pub struct EncoderNeck {
    norm_head: Option<Kept<1>>,
    head: Option<Kept<2>>,
    neck: Neck,
}

impl EncoderNeck {
    pub(crate) fn new(spec: &blocks::EncoderNeck, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [first, second] = spec.convs();
        let unused = spec.unused_classes.is_some();
        Ok(Self {
            norm_head: if unused { Some(Kept::new("norm_head", params)?) } else { None },
            head: if unused { Some(Kept::new("head", params)?) } else { None },
            neck: Neck {
                n0: Conv2d::new(first, "neck.0", params)?,
                n1: LayerNorm::new(blocks::MAP_EPSILON, "neck.1", params)?,
                n2: Conv2d::new(second, "neck.2", params)?,
                n3: LayerNorm::new(blocks::MAP_EPSILON, "neck.3", params)?,
            },
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let x = self.neck.n0.forward(single(inputs)?.map()?); // [batch, outputs, h, w]
        let x = self.neck.n2.forward(self.neck.n1.forward_map(x));
        Ok(Value::Map(self.neck.n3.forward_map(x)))
    }
}
