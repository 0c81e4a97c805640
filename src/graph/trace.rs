//! The symbolic forward pass: one walk through a block gives its output shape, tensors, multiply-adds, kept
//! activations and receptive field. Blocks describe themselves with it, so no number on screen has a second source.

use super::GraphError;
use super::signal::{Shape, Signal};
use super::tensor::{Init, Role, TensorSpec};
use serde::{Deserialize, Serialize};

/// The numbers of a 2-d convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conv {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step between output cells.
    pub stride: usize,
    /// Zeros added on each side.
    pub padding: usize,
    /// Distance between kernel taps.
    pub dilation: usize,
    /// Number of groups; `inputs` for a depthwise convolution.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv {
    /// A convolution without bias whose padding keeps the size at stride 1.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
        Self { inputs, outputs, kernel, stride, padding: kernel / 2, dilation: 1, groups: 1, bias: false }
    }

    /// The same with a bias.
    #[must_use]
    pub fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }

    /// The same in groups.
    #[must_use]
    pub fn with_groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }
}

/// The numbers of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    /// Added to the variance before the root.
    pub epsilon: f64,
    /// Share of the batch's statistics in the new running ones.
    pub momentum: f64,
}

impl Default for Norm {
    /// torch's.
    fn default() -> Self {
        Self { epsilon: 1e-5, momentum: 0.1 }
    }
}

/// One leaf layer of a block, for the inspector's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Name relative to the node's prefix; empty for a layer without tensors.
    pub name: String,
    /// What it does, in a person's words: `conv 3×3`, `batch norm`, `ReLU`.
    pub op: String,
    /// Its output for one image.
    pub output: Shape,
    /// Learnable values.
    pub params: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
}

/// What a walk has collected.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Tensors in the checkpoint's order.
    pub tensors: Vec<TensorSpec>,
    /// Leaf layers in order of execution.
    pub layers: Vec<Layer>,
    /// Values that a training step keeps for the backward pass, for one image.
    pub kept: u64,
}

impl Trace {
    fn tensor(&mut self, layer: &str, name: &str, shape: Vec<usize>, role: Role, init: Init) {
        let name = if layer.is_empty() { name.to_owned() } else { format!("{layer}.{name}") };
        self.tensors.push(TensorSpec { name, shape, role, init });
    }

    fn layer(&mut self, name: &str, op: String, output: &Shape, params: u64, macs: u64) {
        self.layers.push(Layer { name: name.to_owned(), op, output: output.clone(), params, macs });
    }

    /// A 2-d convolution; tensors `weight` and, with a bias, `bias`.
    ///
    /// # Errors
    /// When the input is not a map of the right depth or is smaller than the kernel.
    pub fn conv(&mut self, name: &str, x: &Signal, conv: Conv, init: Init) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map(name)?;
        if channels != conv.inputs {
            return Err(GraphError::Shape(format!("{name} wants {} channels and gets {channels}", conv.inputs)));
        }
        let out = |n: usize| {
            let reach = conv.dilation * (conv.kernel - 1) + 1;
            (n + 2 * conv.padding).checked_sub(reach).map(|room| room / conv.stride + 1)
        };
        let (Some(h), Some(w)) = (out(height), out(width)) else {
            return Err(GraphError::Shape(format!("{name}: a {height}×{width} map is smaller than its kernel")));
        };
        let per_group = conv.inputs / conv.groups.max(1);
        let shape = vec![conv.outputs, per_group, conv.kernel, conv.kernel];
        let fan_in = per_group * conv.kernel * conv.kernel;
        let mut params = (conv.outputs * fan_in) as u64;
        self.tensor(name, "weight", shape, Role::Weight, init);
        if conv.bias {
            let init = match init {
                Init::UniformFanIn { .. } => Init::UniformFanIn { fan_in },
                _ => Init::Constant(0.0),
            };
            self.tensor(name, "bias", vec![conv.outputs], Role::Bias, init);
            params += conv.outputs as u64;
        }
        let output = Shape::map(conv.outputs, h, w);
        let macs = output.numel() * fan_in as u64;
        let depthwise = if conv.groups == conv.inputs && conv.groups > 1 { "depthwise " } else { "" };
        let stride = if conv.stride > 1 { format!(" / {}", conv.stride) } else { String::new() };
        self.layer(name, format!("{depthwise}conv {0}×{0}{stride}", conv.kernel), &output, params, macs);
        self.kept += x.shape.numel();
        let reach = (conv.dilation * (conv.kernel - 1)) as u64;
        Ok(Signal {
            shape: output,
            receptive_px: x.receptive_px + reach * x.stride_px,
            stride_px: x.stride_px * conv.stride as u64,
        })
    }

    /// Batch normalisation; tensors `weight`, `bias`, `running_mean`, `running_var`.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn batch_norm(&mut self, name: &str, x: &Signal, _: Norm) -> Result<Signal, GraphError> {
        let [channels, ..] = x.expect_map(name)?;
        for (tensor, role, value) in [
            ("weight", Role::NormScale, 1.0),
            ("bias", Role::NormShift, 0.0),
            ("running_mean", Role::RunningMean, 0.0),
            ("running_var", Role::RunningVar, 1.0),
        ] {
            self.tensor(name, tensor, vec![channels], role, Init::Constant(value));
        }
        self.layer(name, "batch norm".to_owned(), &x.shape, 2 * channels as u64, 0);
        self.kept += x.shape.numel();
        Ok(x.clone())
    }

    /// An activation function applied to each value.
    #[must_use]
    pub fn activation(&mut self, op: &str, x: &Signal) -> Signal {
        self.layer("", op.to_owned(), &x.shape, 0, 0);
        self.kept += x.shape.numel();
        x.clone()
    }

    /// Max-pooling over squares.
    ///
    /// # Errors
    /// When the input is not a map or smaller than the window.
    pub fn max_pool(&mut self, x: &Signal, kernel: usize, stride: usize, padding: usize) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("max pool")?;
        let out = |n: usize| (n + 2 * padding).checked_sub(kernel).map(|room| room / stride + 1);
        let (Some(h), Some(w)) = (out(height), out(width)) else {
            return Err(GraphError::Shape(format!("max pool: a {height}×{width} map is smaller than its window")));
        };
        let shape = Shape::map(channels, h, w);
        self.layer("", format!("max pool {kernel}×{kernel} / {stride}"), &shape, 0, 0);
        self.kept += x.shape.numel();
        Ok(Signal {
            shape,
            receptive_px: x.receptive_px + (kernel as u64 - 1) * x.stride_px,
            stride_px: x.stride_px * stride as u64,
        })
    }

    /// The mean of each channel: a map becomes a vector.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn global_avg_pool(&mut self, x: &Signal) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("average pool")?;
        let shape = Shape::Vector { features: channels };
        self.layer("", "average pool".to_owned(), &shape, 0, 0);
        let reach = height.max(width).saturating_sub(1) as u64;
        Ok(Signal { shape, receptive_px: x.receptive_px + reach * x.stride_px, stride_px: x.stride_px })
    }

    /// The mean over `side`² parts of equal size, which overlap where the sides are no multiples: torch's
    /// `AdaptiveAvgPool2d`. A smaller map is enlarged.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn adaptive_avg_pool(&mut self, x: &Signal, side: usize) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("average pool")?;
        let shape = Shape::map(channels, side, side);
        self.layer("", format!("average pool to {side}×{side}"), &shape, 0, 0);
        let window = |n: usize| n.div_ceil(side.max(1));
        let reach = window(height).max(window(width)).saturating_sub(1) as u64;
        let stride = (height.max(width) / side.max(1)).max(1) as u64;
        Ok(Signal { shape, receptive_px: x.receptive_px + reach * x.stride_px, stride_px: x.stride_px * stride })
    }

    /// A map written as a vector, channel by channel.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn flatten(&mut self, x: &Signal) -> Result<Signal, GraphError> {
        x.expect_map("flatten")?;
        let shape = Shape::Vector { features: x.shape.numel() as usize };
        self.layer("", "flatten".to_owned(), &shape, 0, 0);
        Ok(Signal { shape, ..x.clone() })
    }

    /// Each channel of a map times its value in a map of one cell.
    ///
    /// # Errors
    /// When the numbers of channels differ.
    pub fn scale(&mut self, x: &Signal, gate: &Signal) -> Result<Signal, GraphError> {
        let [channels, ..] = x.expect_map("scale")?;
        if gate.shape != Shape::map(channels, 1, 1) {
            return Err(GraphError::Shape(format!("cannot scale {} by {}", x.shape, gate.shape)));
        }
        self.layer("", "scale".to_owned(), &x.shape, 0, 0);
        self.kept += x.shape.numel() + gate.shape.numel();
        let receptive_px = x.receptive_px.max(gate.receptive_px);
        Ok(Signal { receptive_px, ..x.clone() })
    }

    /// Dropout: in a training step a `share` of the values, drawn anew, becomes zero and the rest grows by as much.
    #[must_use]
    pub fn dropout(&mut self, x: &Signal, share: f32) -> Signal {
        if share <= 0.0 {
            return x.clone();
        }
        self.layer("", format!("dropout {share}"), &x.shape, 0, 0);
        self.kept += x.shape.numel();
        x.clone()
    }

    /// A linear layer on a vector; tensors `weight` `[outputs, inputs]` and `bias`, which starts as the weight where
    /// that is torch's default, else at zero.
    ///
    /// # Errors
    /// When the input is not a vector of length `inputs`.
    pub fn linear(
        &mut self,
        name: &str,
        x: &Signal,
        [inputs, outputs]: [usize; 2],
        init: Init,
    ) -> Result<Signal, GraphError> {
        let Shape::Vector { features } = x.shape else {
            return Err(GraphError::Shape(format!("{name} wants a vector and gets {}", x.shape)));
        };
        if features != inputs {
            return Err(GraphError::Shape(format!("{name} wants {inputs} features and gets {features}")));
        }
        let bias = match init {
            Init::UniformFanIn { .. } => init,
            _ => Init::Constant(0.0),
        };
        self.tensor(name, "weight", vec![outputs, inputs], Role::Weight, init);
        self.tensor(name, "bias", vec![outputs], Role::Bias, bias);
        let shape = Shape::Vector { features: outputs };
        let macs = (inputs * outputs) as u64;
        self.layer(name, "linear".to_owned(), &shape, macs + outputs as u64, macs);
        self.kept += x.shape.numel();
        Ok(Signal { shape, ..x.clone() })
    }

    /// The sum of two equal shapes.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn add(&mut self, a: &Signal, b: &Signal) -> Result<Signal, GraphError> {
        if a.shape != b.shape {
            return Err(GraphError::Shape(format!("cannot add {} and {}", a.shape, b.shape)));
        }
        self.layer("", "add".to_owned(), &a.shape, 0, 0);
        Ok(Signal {
            shape: a.shape.clone(),
            receptive_px: a.receptive_px.max(b.receptive_px),
            stride_px: a.stride_px.max(b.stride_px),
        })
    }

    /// A map repeated to another size, nearest neighbour.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn upsample(&mut self, x: &Signal, factor: usize) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("upsample")?;
        let shape = Shape::map(channels, height * factor, width * factor);
        self.layer("", format!("upsample ×{factor}"), &shape, 0, 0);
        Ok(Signal { shape, stride_px: (x.stride_px / factor as u64).max(1), ..x.clone() })
    }
}

impl Signal {
    /// The axes of a map, or an error that names who wanted one.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn expect_map(&self, who: &str) -> Result<[usize; 3], GraphError> {
        match self.shape {
            Shape::Map { channels, height, width } => Ok([channels, height, width]),
            ref other => Err(GraphError::Shape(format!("{who} wants a feature map and gets {other}"))),
        }
    }
}
