//! Modules of `graph::blocks::skips`.

use super::basic::{ConvNormAct, max_pool};
use super::csp::join;
use super::init::Params;
use super::layers::{BatchNorm, Conv2d, ConvTranspose2d, conv_norm};
use super::resize::{Corners, bilinear};
use super::value::{Ctx, RunError, Value, single};
use crate::graph::blocks::Activation;
use crate::graph::{Norm, blocks};
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::ops::PadMode;

/// Two convolutions with their norms, by their positions in the row.
#[derive(Module, Debug)]
struct Pair {
    n0: Conv2d,
    n1: BatchNorm,
    n3: Conv2d,
    n4: BatchNorm,
}

/// See [`blocks::DoubleConv`].
#[derive(Module, Debug)]
pub struct DoubleConv {
    double_conv: Pair,
}

impl DoubleConv {
    pub(crate) fn new(spec: &blocks::DoubleConv, params: &mut Params<'_>) -> Result<Self, RunError> {
        Self::at("", spec, params)
    }

    /// The block with `prefix` before its tensors' names.
    fn at(prefix: &str, spec: &blocks::DoubleConv, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [first, second] = spec.convs();
        let name = |at: usize| format!("{prefix}double_conv.{at}");
        let double_conv = Pair {
            n0: Conv2d::new(first, &name(0), params)?,
            n1: BatchNorm::new(Norm::default(), &name(1), params)?,
            n3: Conv2d::new(second, &name(3), params)?,
            n4: BatchNorm::new(Norm::default(), &name(4), params)?,
        };
        Ok(Self { double_conv })
    }

    /// `[batch, inputs, h, w]` → `[batch, outputs, h, w]`
    fn apply(&self, x: Tensor<4>, ctx: &mut Ctx) -> Tensor<4> {
        let Pair { n0, n1, n3, n4 } = &self.double_conv;
        let x = conv_norm(n0, n1, x, Activation::Relu, ctx); // [batch, middle, h, w]
        conv_norm(n3, n4, x, Activation::Relu, ctx)
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        Ok(Value::Map(self.apply(single(inputs)?.map()?, ctx)))
    }
}

/// What stands behind the pooling.
#[derive(Module, Debug)]
struct Pooled {
    n1: DoubleConv,
}

/// See [`blocks::DoubleConvDown`].
#[derive(Module, Debug)]
pub struct DoubleConvDown {
    maxpool_conv: Pooled,
}

impl DoubleConvDown {
    pub(crate) fn new(spec: &blocks::DoubleConvDown, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { maxpool_conv: Pooled { n1: DoubleConv::at("maxpool_conv.1.", &spec.convs(), params)? } })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let x = max_pool(single(inputs)?.map()?, 2, 2, 0); // [batch, inputs, h / 2, w / 2]
        Ok(Value::Map(self.maxpool_conv.n1.apply(x, ctx)))
    }
}

/// See [`blocks::DoubleConvUp`].
#[derive(Module, Debug)]
pub struct DoubleConvUp {
    up: Option<ConvTranspose2d>,
    conv: DoubleConv,
}

impl DoubleConvUp {
    pub(crate) fn new(spec: &blocks::DoubleConvUp, params: &mut Params<'_>) -> Result<Self, RunError> {
        let up = spec.up().map(|conv| ConvTranspose2d::new(conv, "up", params)).transpose()?;
        Ok(Self { up, conv: DoubleConv::at("conv.", &spec.convs(), params)? })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        let [x, skip] = inputs else { return Err(RunError::Kind { wanted: "two inputs", got: "another number" }) };
        let (x, skip) = (x.map()?, skip.map()?);
        let x = match &self.up {
            Some(up) => up.forward(x), // [batch, inputs / 2, 2 h, 2 w]
            None => {
                let [_, _, height, width] = x.dims();
                bilinear(x, [2 * height, 2 * width], Corners::Aligned) // [batch, inputs, 2 h, 2 w]
            }
        };
        let [_, _, height, width] = skip.dims();
        let x = pad_to(x, [height, width])?;
        Ok(Value::Map(self.conv.apply(Tensor::cat(vec![skip, x], 1), ctx))) // [batch, outputs, height, width]
    }
}

/// Zeros around a map up to the size `[height, width]`; of an odd number the greater half comes after the map.
fn pad_to(x: Tensor<4>, [height, width]: [usize; 2]) -> Result<Tensor<4>, RunError> {
    let [_, _, h, w] = x.dims();
    if [h, w] == [height, width] {
        return Ok(x);
    }
    let (Some(rows), Some(columns)) = (height.checked_sub(h), width.checked_sub(w)) else {
        return Err(RunError::Kind { wanted: "a skip that is as large as the map", got: "a smaller one" });
    };
    let pairs = [(rows / 2, rows - rows / 2), (columns / 2, columns - columns / 2)];
    Ok(x.pad(pairs, PadMode::Constant(0.0)))
}

/// See [`blocks::SkipDecoder`].
#[derive(Module, Debug)]
pub struct SkipDecoder {
    conv1: ConvNormAct,
    conv2: ConvNormAct,
}

impl SkipDecoder {
    pub(crate) fn new(spec: &blocks::SkipDecoder, params: &mut Params<'_>) -> Result<Self, RunError> {
        let [first, second] = spec.units();
        Ok(Self {
            conv1: ConvNormAct::at("conv1.", &first, params)?,
            conv2: ConvNormAct::at("conv2.", &second, params)?,
        })
    }

    pub(crate) fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
        if let [coarse, skip, ..] = inputs {
            let ([_, _, height, width], [_, _, h, w]) = (coarse.map()?.dims(), skip.map()?.dims());
            if [2 * height, 2 * width] != [h, w] {
                return Err(RunError::Kind { wanted: "a skip of twice the map's size", got: "one of another size" });
            }
        }
        let x = join(inputs, 2)?; // [batch, inputs, 2 h, 2 w]
        let x = self.conv1.apply(x, ctx);
        Ok(Value::Map(self.conv2.apply(x, ctx))) // [batch, outputs, 2 h, 2 w]
    }
}

/// See [`blocks::MapClassifier`].
#[derive(Module, Debug)]
pub struct MapClassifier {
    n0: Conv2d,
    upsample: usize,
}

impl MapClassifier {
    pub(crate) fn new(spec: &blocks::MapClassifier, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { n0: Conv2d::new(spec.conv(), "0", params)?, upsample: spec.upsample })
    }

    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        let x = self.n0.forward(single(inputs)?.map()?); // [batch, classes, h, w]
        if self.upsample <= 1 {
            return Ok(Value::Map(x));
        }
        let [_, _, height, width] = x.dims();
        Ok(Value::Map(bilinear(x, [self.upsample * height, self.upsample * width], Corners::Aligned)))
    }
}
