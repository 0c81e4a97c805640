//! Blocks of networks that go down to a coarse map and up again, with skips from each level of the way down to the same
//! level of the way up (Ronneberger et al. 2015, arXiv:1505.04597).

use super::{Activation, ConvNormAct, Describe, single};
use crate::graph::GraphError;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Norm, Trace};
use serde::{Deserialize, Serialize};

/// Two 3×3 convolutions, each with batch norm and `ReLU`. Tensors `double_conv.0` and `double_conv.3` (convolutions),
/// `double_conv.1` and `double_conv.4` (norms).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubleConv {
    /// Input channels.
    pub inputs: usize,
    /// Channels between the two.
    pub middle: usize,
    /// Output channels.
    pub outputs: usize,
}

impl DoubleConv {
    /// The two convolutions.
    #[must_use]
    pub fn convs(&self) -> [Conv; 2] {
        [Conv::new(self.inputs, self.middle, 3, 1), Conv::new(self.middle, self.outputs, 3, 1)]
    }

    /// The symbolic forward pass with `prefix` before the names.
    fn trace_at(&self, prefix: &str, t: &mut Trace, x: &Signal) -> Result<Signal, GraphError> {
        let mut x = x.clone();
        for (conv, at) in self.convs().into_iter().zip([0, 3]) {
            x = t.conv(&format!("{prefix}double_conv.{at}"), &x, conv, Init::UniformFanIn { fan_in: 0 })?;
            x = t.batch_norm(&format!("{prefix}double_conv.{}", at + 1), &x, Norm::default())?;
            x = t.activation(Activation::Relu, &x);
        }
        Ok(x)
    }
}

impl Describe for DoubleConv {
    fn kind(&self) -> &'static str {
        "Double conv"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        self.trace_at("", t, single(self.kind(), inputs)?)
    }
}

/// One level down: 2×2 max-pool, then a [`DoubleConv`]. Tensors `maxpool_conv.1.double_conv.…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubleConvDown {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

impl DoubleConvDown {
    /// Its convolutions.
    #[must_use]
    pub fn convs(&self) -> DoubleConv {
        DoubleConv { inputs: self.inputs, middle: self.outputs, outputs: self.outputs }
    }
}

impl Describe for DoubleConvDown {
    fn kind(&self) -> &'static str {
        "Down"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = t.max_pool(single(self.kind(), inputs)?, 2, 2, 0)?;
        self.convs().trace_at("maxpool_conv.1.", t, &x)
    }
}

/// One level up: the coarse map (first input) is doubled, padded to the size of the skip (second input) and joined behind
/// it; then a [`DoubleConv`]. Tensors `up` (a transposed convolution, not where the doubling is bilinear) and
/// `conv.double_conv.…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubleConvUp {
    /// Channels of the coarse map.
    pub inputs: usize,
    /// Channels of the skip.
    pub skip: usize,
    /// Output channels.
    pub outputs: usize,
    /// Whether the map is doubled by bilinear interpolation between aligned corners, else by a transposed 2×2 convolution
    /// that halves its channels.
    pub bilinear: bool,
}

impl DoubleConvUp {
    /// The transposed convolution, if there is one.
    #[must_use]
    pub fn up(&self) -> Option<Conv> {
        let conv = Conv { padding: 0, ..Conv::new(self.inputs, self.inputs / 2, 2, 2).with_bias() };
        (!self.bilinear).then_some(conv)
    }

    /// The convolutions on the joined maps.
    #[must_use]
    pub fn convs(&self) -> DoubleConv {
        let inputs = self.skip + self.up().map_or(self.inputs, |up| up.outputs);
        let middle = if self.bilinear { inputs / 2 } else { self.outputs };
        DoubleConv { inputs, middle, outputs: self.outputs }
    }
}

impl Describe for DoubleConvUp {
    fn kind(&self) -> &'static str {
        "Up"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let [x, skip] = inputs else {
            return Err(GraphError::Shape(format!("{} takes two inputs and gets {}", self.kind(), inputs.len())));
        };
        let [_, height, width] = x.expect_map(self.kind())?;
        let x = match self.up() {
            Some(conv) => t.conv_transposed("up", x, conv, Init::UniformFanIn { fan_in: 0 })?,
            None => t.resize_bilinear(x, [2 * height, 2 * width], true)?,
        };
        let [_, height, width] = skip.expect_map(self.kind())?;
        let x = t.pad_to(&x, [height, width])?;
        let joined = t.concat(&[skip.clone(), x])?;
        self.convs().trace_at("conv.", t, &joined)
    }
}

/// One level up without padding: the first input is doubled by repeating its cells and joined before the others; then two
/// 3×3 convolutions, each with batch norm and `ReLU`. Tensors `conv1` and `conv2`, `0` (convolution) and `1` (norm) each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipDecoder {
    /// Channels of all inputs together.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

impl SkipDecoder {
    /// `conv1` and `conv2`.
    #[must_use]
    pub fn units(&self) -> [ConvNormAct; 2] {
        [self.inputs, self.outputs].map(|inputs| {
            let conv = Conv::new(inputs, self.outputs, 3, 1);
            ConvNormAct { conv, activation: Activation::Relu, norm: Norm::default() }
        })
    }
}

impl Describe for SkipDecoder {
    fn kind(&self) -> &'static str {
        "Decoder"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        if let [coarse, skip, ..] = inputs {
            let [_, height, width] = coarse.expect_map(self.kind())?;
            let [_, h, w] = skip.expect_map(self.kind())?;
            if [2 * height, 2 * width] != [h, w] {
                let many = coarse.stride_px;
                return Err(GraphError::Shape(format!(
                    "a {height}×{width} map doubled does not fit a skip of {h}×{w}; the picture's sides must be multiples of \
                     {many} px"
                )));
            }
        }
        let mut x = t.join(inputs, 2)?;
        for (unit, name) in self.units().iter().zip(["conv1", "conv2"]) {
            x = t.conv(&format!("{name}.0"), &x, unit.conv, Init::HeUniform)?;
            x = t.batch_norm(&format!("{name}.1"), &x, unit.norm)?;
            x = t.activation(unit.activation, &x);
        }
        Ok(x)
    }
}

/// A 3×3 convolution that ends in one logit per class and cell, enlarged by bilinear interpolation between aligned corners
/// where the map is coarser than the picture. Tensors `0.weight`, `0.bias`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapClassifier {
    /// Input channels.
    pub inputs: usize,
    /// Number of classes, background included.
    pub classes: usize,
    /// How many times larger the logits' map becomes.
    pub upsample: usize,
}

impl MapClassifier {
    /// Its convolution.
    #[must_use]
    pub fn conv(&self) -> Conv {
        Conv::new(self.inputs, self.classes, 3, 1).with_bias()
    }
}

impl Describe for MapClassifier {
    fn kind(&self) -> &'static str {
        "Pixel classifier"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = t.conv("0", single(self.kind(), inputs)?, self.conv(), Init::XavierUniform)?;
        let [_, height, width] = x.expect_map(self.kind())?;
        if self.upsample <= 1 {
            return Ok(x);
        }
        t.resize_bilinear(&x, [self.upsample * height, self.upsample * width], true)
    }
}
