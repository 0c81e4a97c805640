//! Modules of `graph::blocks::tiny_vit`.

use super::attention::{Heads, LayerNorm, channels_first, channels_last, crop, from_windows, pad, windows};
use super::basic::activate;
use super::init::Params;
use super::layers::{BatchNorm, Conv2d, Linear, conv_norm, sum};
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks::Activation;
use crate::graph::{Conv, Norm, blocks};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

/// A convolution and its batch norm.
#[derive(Module, Debug)]
struct ConvBn {
    c: Conv2d,
    bn: BatchNorm,
}

impl ConvBn {
    fn new(name: &str, conv: Conv, params: &mut Params<'_>) -> Result<Self, RunError> {
        let c = Conv2d::new(conv, &format!("{name}.c"), params)?;
        Ok(Self { c, bn: BatchNorm::new(Norm::default(), &format!("{name}.bn"), params)? })
    }

    /// `[batch, inputs, h, w]` → `[batch, outputs, h', w']`
    fn forward(&self, x: Tensor<4>, activation: Activation, ctx: &mut Ctx) -> Tensor<4> {
        conv_norm(&self.c, &self.bn, x, activation, ctx)
    }
}

#[derive(Module, Debug)]
struct Pair {
    n0: ConvBn,
    n2: ConvBn,
}

/// See [`blocks::ConvPatches`].
#[derive(Module, Debug)]
pub struct ConvPatches {
    seq: Pair,
}

impl ConvPatches {
    pub(crate) fn new(spec: &blocks::ConvPatches, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [first, second] = spec.convs();
        Ok(Self { seq: Pair { n0: ConvBn::new("seq.0", first, params)?, n2: ConvBn::new("seq.2", second, params)? } })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?;
        let x = self.seq.n0.forward(x, Activation::Gelu, ctx); // [batch, outputs / 2, h / 2, w / 2]
        Ok(Value::Map(self.seq.n2.forward(x, Activation::Identity, ctx))) // [batch, outputs, h / 4, w / 4]
    }
}

/// See [`blocks::MbConv`].
#[derive(Module, Debug)]
pub struct MbConv {
    conv1: ConvBn,
    conv2: ConvBn,
    conv3: ConvBn,
    residual: bool,
}

impl MbConv {
    pub(crate) fn new(spec: &blocks::MbConv, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [wider, depthwise, back] = spec.convs();
        Ok(Self {
            conv1: ConvBn::new("conv1", wider, params)?,
            conv2: ConvBn::new("conv2", depthwise, params)?,
            conv3: ConvBn::new("conv3", back, params)?,
            residual: spec.residual,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = single(inputs)?.map()?;
        let y = self.conv1.forward(x.clone(), Activation::Gelu, ctx); // [batch, hidden, h, w]
        let y = self.conv2.forward(y, Activation::Gelu, ctx); // [batch, hidden, h / stride, w / stride]
        let y = self.conv3.forward(y, Activation::Identity, ctx); // [batch, outputs, h / stride, w / stride]
        Ok(Value::Map(if self.residual { sum(x, y, Activation::Gelu) } else { y }))
    }
}

#[derive(Module, Debug)]
struct WindowAttention {
    norm: LayerNorm,
    qkv: Linear,
    attention_biases: Param<Tensor<2>>,
    proj: Linear,
    window: usize,
}

impl WindowAttention {
    /// `[windows, side, side, width]` → the same shape
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [count, rows, columns, width] = x.dims();
        let heads = self.attention_biases.dims()[0];
        let (cells, each) = (rows * columns, width / heads);
        // The channels of each head are its query, key and value.
        let qkv = self.qkv.each(self.norm.forward(x)).reshape([count, cells, heads, 3 * each]).swap_dims(1, 2);
        let part = |i: usize| qkv.clone().narrow(3, i * each, each); // [windows, heads, cells, each]
        let parts = Heads { q: part(0), k: part(1), v: part(2), size: [rows, columns] };
        let x = parts.biased(self.biases()).swap_dims(1, 2);
        self.proj.each(x.reshape([count, rows, columns, width]))
    }

    /// The number of each head for each pair of cells, `[heads, cells, cells]`.
    fn biases(&self) -> Tensor<3> {
        let side = self.window;
        let cells = side * side;
        let distance = |a: usize, b: usize| (a / side).abs_diff(b / side) * side + (a % side).abs_diff(b % side);
        let rows: Vec<i32> = (0..cells * cells).map(|i| distance(i / cells, i % cells) as i32).collect();
        let table = self.attention_biases.val(); // [heads, side²]
        let (heads, device) = (table.dims()[0], table.device());
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [cells * cells]), &device);
        table.select(1, rows).reshape([heads, cells, cells])
    }
}

#[derive(Module, Debug)]
struct Mlp {
    norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

/// See [`blocks::TinyVitBlock`].
#[derive(Module, Debug)]
pub struct TinyVitBlock {
    attn: WindowAttention,
    local_conv: ConvBn,
    mlp: Mlp,
}

impl TinyVitBlock {
    pub(crate) fn new(spec: &blocks::TinyVitBlock, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self {
            attn: WindowAttention {
                norm: LayerNorm::new(blocks::TINY_EPSILON, "attn.norm", params)?,
                qkv: Linear::new("attn.qkv", params)?,
                attention_biases: params.take("attn", "attention_biases")?,
                proj: Linear::new("attn.proj", params)?,
                window: spec.window,
            },
            local_conv: ConvBn::new("local_conv", spec.conv(), params)?,
            mlp: Mlp {
                norm: LayerNorm::new(blocks::TINY_EPSILON, "mlp.norm", params)?,
                fc1: Linear::new("mlp.fc1", params)?,
                fc2: Linear::new("mlp.fc2", params)?,
            },
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = channels_last(single(inputs)?.map()?); // [batch, h, w, width]
        let [_, height, width, _] = x.dims();
        let side = self.attn.window;
        let y = pad(x.clone(), side);
        let [_, tall, wide, _] = y.dims();
        let y = self.attn.forward(windows(y, [side; 2]));
        let x = x + crop(from_windows(y, [tall, wide]), [height, width]);
        let x = channels_last(self.local_conv.forward(channels_first(x), Activation::Identity, ctx));
        let y = self.mlp.fc1.each(self.mlp.norm.forward(x.clone()));
        let x = x + self.mlp.fc2.each(activate(y, Activation::Gelu));
        Ok(Value::Map(channels_first(x)))
    }
}
