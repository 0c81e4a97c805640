//! The symbolic forward pass: one walk through a block gives its output shape, tensors, multiply-adds, kept
//! activations, receptive field, and the record of what is computed from what ([`Layer`]). Blocks describe themselves
//! with it, so no number on screen and no line of an exported file has a second source.

mod attention;
mod prompt;
mod regions;

use super::GraphError;
use super::blocks::Activation;
use super::op::{Op, ValueId};
use super::signal::{Shape, Signal};
use super::tensor::{Init, Role, TensorSpec};
use serde::{Deserialize, Serialize};

mod enlarge;
mod joins;

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

    /// What its bias usually starts as beside a weight that starts as `weight`: torch's default goes with torch's default.
    fn usual_bias(self, weight: Init) -> Init {
        match weight {
            Init::UniformFanIn { .. } => {
                Init::UniformFanIn { fan_in: self.inputs / self.groups.max(1) * self.kernel * self.kernel }
            }
            _ => Init::Constant(0.0),
        }
    }

    /// Height and width of its output for those of its input; none where the kernel does not fit.
    #[must_use]
    pub fn output(self, size: [usize; 2]) -> Option<[usize; 2]> {
        let reach = self.dilation * (self.kernel - 1) + 1;
        let out = |n: usize| (n + 2 * self.padding).checked_sub(reach).map(|room| room / self.stride + 1);
        Some([out(size[0])?, out(size[1])?])
    }
}

/// The numbers of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    /// Added to the variance before the root.
    pub epsilon: f64,
    /// Share of the batch's statistics in the new running ones.
    pub momentum: f64,
    /// Whether it never trains: stored statistics, fixed scale and shift, whatever the plan says.
    #[serde(default)]
    pub frozen: bool,
}

impl Default for Norm {
    /// torch's.
    fn default() -> Self {
        Self { epsilon: 1e-5, momentum: 0.1, frozen: false }
    }
}

/// One leaf layer of a block: a line of the inspector's list and a step of the exported network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Name relative to the node's prefix; empty for a layer without tensors.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// The values that it reads.
    pub inputs: Vec<ValueId>,
    /// The value that it makes.
    pub value: ValueId,
    /// Names of its tensors as `op` lists them; inside a block relative to the node's prefix, in [`Facts`] the full names.
    ///
    /// [`Facts`]: super::Facts
    pub tensors: Vec<String>,
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
    /// The next value.
    next: ValueId,
    /// How many of `tensors` belong to `layers` already.
    placed: usize,
}

impl Trace {
    /// A walk whose first value gets this number.
    #[must_use]
    pub fn starting_at(next: ValueId) -> Self {
        Self { next, ..Self::default() }
    }

    /// The number of the value after the last.
    #[must_use]
    pub fn next(&self) -> ValueId {
        self.next
    }

    fn tensor(&mut self, layer: &str, name: &str, shape: Vec<usize>, role: Role, init: Init) {
        let name = if layer.is_empty() { name.to_owned() } else { format!("{layer}.{name}") };
        self.tensors.push(TensorSpec { name, shape, role, init });
    }

    /// Records a step that reads `inputs` and owns the tensors that were named since the last one.
    fn layer(&mut self, name: &str, op: Op, inputs: &[&Signal], output: Signal, macs: u64) -> Signal {
        let own = self.tensors.get(self.placed..).unwrap_or_default();
        let params = own.iter().filter(|tensor| !tensor.role.is_buffer()).map(TensorSpec::numel).sum();
        let tensors = own.iter().map(|tensor| tensor.name.clone()).collect();
        let inputs = inputs.iter().map(|input| input.value).collect();
        let value = self.next;
        let shape = output.shape.clone();
        let macs = macs * output.count as u64;
        self.layers.push(Layer { name: name.to_owned(), op, inputs, value, tensors, output: shape, params, macs });
        self.placed = self.tensors.len();
        self.next = ValueId(value.0 + 1);
        Signal { value, ..output }
    }

    /// A 2-d convolution; tensors `weight` and, with a bias, `bias`.
    ///
    /// # Errors
    /// When the input is not a map of the right depth or is smaller than the kernel.
    pub fn conv(&mut self, name: &str, x: &Signal, conv: Conv, init: Init) -> Result<Signal, GraphError> {
        self.conv_with_bias(name, x, conv, [init, conv.usual_bias(init)])
    }

    /// The same with what weight and bias start as.
    ///
    /// # Errors
    /// As [`Trace::conv`].
    pub fn conv_with_bias(
        &mut self,
        name: &str,
        x: &Signal,
        conv: Conv,
        [init, bias]: [Init; 2],
    ) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map(name)?;
        if channels != conv.inputs {
            return Err(GraphError::Shape(format!("{name} wants {} channels and gets {channels}", conv.inputs)));
        }
        let Some([h, w]) = conv.output([height, width]) else {
            return Err(GraphError::Shape(format!("{name}: a {height}×{width} map is smaller than its kernel")));
        };
        let fan_in = self.conv_tensors(name, conv, [init, bias]);
        let output = Shape::map(conv.outputs, h, w);
        let macs = output.numel() * fan_in as u64;
        self.kept += x.numel();
        let reach = (conv.dilation * (conv.kernel - 1)) as u64;
        let output = x.seen(output, reach, conv.stride as u64);
        Ok(self.layer(name, Op::Conv(conv), &[x], output, macs))
    }

    /// Names a convolution's tensors; the inputs of one output value.
    fn conv_tensors(&mut self, name: &str, conv: Conv, [init, bias]: [Init; 2]) -> usize {
        let per_group = conv.inputs / conv.groups.max(1);
        let shape = vec![conv.outputs, per_group, conv.kernel, conv.kernel];
        let fan_in = per_group * conv.kernel * conv.kernel;
        self.tensor(name, "weight", shape, Role::Weight, init);
        if conv.bias {
            self.tensor(name, "bias", vec![conv.outputs], Role::Bias, bias);
        }
        fan_in
    }

    /// Batch normalisation; tensors `weight`, `bias`, `running_mean`, `running_var`.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn batch_norm(&mut self, name: &str, x: &Signal, norm: Norm) -> Result<Signal, GraphError> {
        let [channels, ..] = x.expect_map(name)?;
        let [scale, shift] =
            if norm.frozen { [Role::FixedScale, Role::FixedShift] } else { [Role::NormScale, Role::NormShift] };
        for (tensor, role, value) in [
            ("weight", scale, 1.0),
            ("bias", shift, 0.0),
            ("running_mean", Role::RunningMean, 0.0),
            ("running_var", Role::RunningVar, 1.0),
        ] {
            self.tensor(name, tensor, vec![channels], role, Init::Constant(value));
        }
        self.kept += x.numel();
        Ok(self.layer(name, Op::BatchNorm(norm), &[x], x.clone(), 0))
    }

    /// An activation function applied to each value.
    #[must_use]
    pub fn activation(&mut self, function: Activation, x: &Signal) -> Signal {
        if function == Activation::Identity {
            return x.clone();
        }
        self.kept += x.numel();
        self.layer("", Op::Activate { function }, &[x], x.clone(), 0)
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
        self.kept += x.numel();
        let output = x.seen(shape, kernel as u64 - 1, stride as u64);
        Ok(self.layer("", Op::MaxPool { kernel, stride, padding }, &[x], output, 0))
    }

    /// The mean of each channel: a map becomes a vector.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn global_avg_pool(&mut self, x: &Signal) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("average pool")?;
        let shape = Shape::Vector { features: channels };
        let output = x.seen(shape, height.max(width).saturating_sub(1) as u64, 1);
        Ok(self.layer("", Op::GlobalAvgPool, &[x], output, 0))
    }

    /// The mean over `side`² parts of equal size, which overlap where the sides are no multiples: torch's
    /// `AdaptiveAvgPool2d`. A smaller map is enlarged.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn adaptive_avg_pool(&mut self, x: &Signal, side: usize) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("average pool")?;
        let shape = Shape::map(channels, side, side);
        let window = |n: usize| n.div_ceil(side.max(1));
        let reach = window(height).max(window(width)).saturating_sub(1) as u64;
        let stride = (height.max(width) / side.max(1)).max(1) as u64;
        let output = x.seen(shape, reach, stride);
        Ok(self.layer("", Op::AdaptiveAvgPool { from: [height, width], side }, &[x], output, 0))
    }

    /// A map written as a vector, channel by channel.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn flatten(&mut self, x: &Signal) -> Result<Signal, GraphError> {
        x.expect_map("flatten")?;
        let shape = Shape::Vector { features: x.shape.numel() as usize };
        Ok(self.layer("", Op::Flatten, &[x], Signal { shape, ..x.clone() }, 0))
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
        self.kept += x.numel() + gate.numel();
        let receptive_px = x.receptive_px.max(gate.receptive_px);
        Ok(self.layer("", Op::Scale, &[x, gate], Signal { receptive_px, ..x.clone() }, 0))
    }

    /// Dropout: in a training step a `share` of the values, drawn anew, becomes zero and the rest grows by as much.
    #[must_use]
    pub fn dropout(&mut self, x: &Signal, share: f32) -> Signal {
        if share <= 0.0 {
            return x.clone();
        }
        self.kept += x.numel();
        self.layer("", Op::Dropout { share }, &[x], x.clone(), 0)
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
        self.kept += x.numel();
        Ok(self.layer(name, Op::Linear, &[x], Signal { shape, ..x.clone() }, macs))
    }

    /// The sum of two equal shapes.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn add(&mut self, a: &Signal, b: &Signal) -> Result<Signal, GraphError> {
        if a.shape != b.shape {
            return Err(GraphError::Shape(format!("cannot add {} and {}", a.shape, b.shape)));
        }
        let output = Signal {
            receptive_px: a.receptive_px.max(b.receptive_px),
            stride_px: a.stride_px.max(b.stride_px),
            ..a.clone()
        };
        Ok(self.layer("", Op::Add, &[a, b], output, 0))
    }

    /// Several maps as one value, finest first.
    ///
    /// # Errors
    /// When one is no map or there is none.
    pub fn levels(&mut self, maps: &[Signal]) -> Result<Signal, GraphError> {
        let levels = maps.iter().map(|x| x.expect_map("a pyramid")).collect::<Result<Vec<_>, _>>()?;
        let none = || GraphError::Shape("a pyramid wants maps and gets none".to_owned());
        let (first, last) = maps.first().zip(maps.last()).ok_or_else(none)?;
        let output = Signal { shape: Shape::Pyramid { levels }, receptive_px: last.receptive_px, ..first.clone() };
        Ok(self.layer("", Op::Levels, &maps.iter().collect::<Vec<_>>(), output, 0))
    }

    /// A map repeated to another size, nearest neighbour.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn upsample(&mut self, x: &Signal, factor: usize) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("upsample")?;
        let shape = Shape::map(channels, height * factor, width * factor);
        let output = Signal { shape, stride_px: (x.stride_px / factor as u64).max(1), ..x.clone() };
        Ok(self.layer("", Op::Upsample { factor }, &[x], output, 0))
    }
}

impl Signal {
    /// What a window makes of it: `reach` more cells on a side, every `stride`-th cell.
    fn seen(&self, shape: Shape, reach: u64, stride: u64) -> Self {
        let receptive_px = self.receptive_px + reach * self.stride_px;
        Self { shape, receptive_px, stride_px: self.stride_px * stride, count: self.count, value: self.value }
    }

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
