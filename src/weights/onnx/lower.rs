//! From the record of a network's layers to ONNX operations. One function over [`Op`]: no family and no block is known.

use super::asked::Asked;
use super::boxes::{self, BoxOutput};
use super::proto::{
    Attribute, AttributeType, Dimension, FLOAT, Graph, INT64, Node, TensorShape, TensorType, Type, ValueInfo,
};
use crate::graph::blocks::Activation;
use crate::graph::{self, Facts, Layer, NodeFacts, Op, Shape, ValueId};
use std::collections::{HashMap, HashSet};

/// The name of the axis that may have any length.
const BATCH: &str = "batch";

/// A graph in ONNX's terms with the numbers that are no tensors of the network.
pub(super) struct Lowered {
    pub graph: Graph,
    pub constants: Vec<Constant>,
}

/// Numbers that are no tensor of the network.
#[derive(PartialEq)]
pub(super) struct Constant {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Numbers,
}

#[derive(PartialEq)]
pub(super) enum Numbers {
    Float(Vec<f32>),
    Whole(Vec<i64>),
}

/// Writes down what `graph` computes; of a detector as far as `boxes` says.
///
/// # Errors
/// Words for what cannot be said in ONNX.
pub(super) fn lower(graph: &graph::Graph, facts: &Facts, boxes: &BoxOutput) -> Result<Lowered, String> {
    let mut to = Lowering::of(facts);
    for (i, input) in graph.inputs.iter().enumerate() {
        let name = to.fresh(&input.name);
        to.lowered.input.push(value_info(&name, &input.shape)?);
        to.names.insert(ValueId(i), name);
    }
    boxes::reserve(&mut to, graph, boxes)?;
    // A head's output bears the head's name, so the names are given before the layers take theirs.
    for head in graph.heads.iter().filter(|_| graph.detector.is_none()) {
        let output = &facts.node(head.output).output;
        let name = to.fresh(&head.name);
        to.lowered.output.push(value_info(&name, &output.shape)?);
        to.heads.insert(output.value, name);
    }
    for (node, facts) in graph.nodes.iter().zip(facts.nodes()) {
        to.node(&node.path, facts)?;
    }
    boxes::heads(&mut to, graph, facts, boxes)?;
    Ok(to.finish(&graph.name))
}

#[derive(Default)]
pub(super) struct Lowering {
    pub lowered: Graph,
    constants: Vec<Constant>,
    /// Of maps those with channels before cells.
    pub names: HashMap<ValueId, String>,
    /// Of maps those with cells before channels, `[batch, h, w, channels]`, where they are there so.
    pub cells: HashMap<ValueId, String>,
    pub shapes: HashMap<ValueId, Shape>,
    /// Axes of the network's tensors.
    pub tensors: HashMap<String, Vec<usize>>,
    /// What is asked and answered where a network takes prompts.
    pub asked: Asked,
    /// The path of the node at hand.
    place: String,
    /// The names of the maps of a pyramid, finest first.
    pub levels: HashMap<ValueId, Vec<String>>,
    pub heads: HashMap<ValueId, String>,
    taken: HashSet<String>,
}

impl Lowering {
    /// Nothing yet of a network.
    pub fn of(facts: &Facts) -> Self {
        let mut to = Self::default();
        to.taken.extend(facts.tensors().map(|tensor| tensor.name.clone()));
        to.tensors.extend(facts.tensors().map(|tensor| (tensor.name.clone(), tensor.shape.clone())));
        to
    }

    /// The layers of a node.
    pub fn node(&mut self, path: &str, facts: &NodeFacts) -> Result<(), String> {
        self.asked.enter();
        path.clone_into(&mut self.place);
        for layer in &facts.layers {
            self.layer(path, layer)?;
            self.shapes.insert(layer.value, layer.output.clone());
        }
        Ok(())
    }

    pub fn finish(mut self, name: &str) -> Lowered {
        name.clone_into(&mut self.lowered.name);
        Lowered { graph: self.lowered, constants: self.constants }
    }

    /// A name that nothing has yet.
    pub fn fresh(&mut self, name: &str) -> String {
        let mut candidate = name.to_owned();
        let mut n = 2;
        while !self.taken.insert(candidate.clone()) {
            candidate = format!("{name}_{n}");
            n += 1;
        }
        candidate
    }

    /// The name of a number that is no tensor of the network.
    pub fn constant(&mut self, name: &str, shape: Vec<usize>, values: Vec<f32>) -> String {
        self.numbers(name, shape, Numbers::Float(values))
    }

    /// The name of whole numbers, such as axes and shapes.
    pub fn whole(&mut self, name: &str, values: Vec<i64>) -> String {
        self.numbers(name, vec![values.len()], Numbers::Whole(values))
    }

    /// The name of one whole number.
    pub fn whole_one(&mut self, name: &str, value: usize) -> String {
        self.numbers(name, Vec::new(), Numbers::Whole(vec![value as i64]))
    }

    /// An operation whose only output gets a fresh name, after the node at hand.
    pub fn emit(&mut self, kind: &str, inputs: Vec<String>, attributes: Vec<Attribute>) -> String {
        let output = self.fresh(&format!("{}/{}", self.place, kind.to_lowercase()));
        self.push(kind, inputs, attributes, &output);
        output
    }

    fn numbers(&mut self, name: &str, shape: Vec<usize>, values: Numbers) -> String {
        if let Some(known) = self.constants.iter().find(|known| known.shape == shape && known.values == values) {
            return known.name.clone();
        }
        let name = self.fresh(name);
        self.constants.push(Constant { name: name.clone(), shape, values });
        name
    }

    pub fn push(&mut self, kind: &str, inputs: Vec<String>, attributes: Vec<Attribute>, output: &str) {
        self.push_many(kind, inputs, attributes, output, vec![output.to_owned()]);
    }

    /// An operation with several outputs.
    pub fn push_many(
        &mut self,
        kind: &str,
        inputs: Vec<String>,
        attributes: Vec<Attribute>,
        name: &str,
        outputs: Vec<String>,
    ) {
        let (name, op_type) = (name.to_owned(), kind.to_owned());
        self.lowered.node.push(Node { input: inputs, output: outputs, name, op_type, attribute: attributes });
    }

    fn layer(&mut self, path: &str, layer: &Layer) -> Result<(), String> {
        if self.of_rows(path, layer)? || self.of_prompts(path, layer)? {
            return Ok(());
        }
        let mut inputs = Vec::with_capacity(layer.inputs.len() + layer.tensors.len());
        for id in &layer.inputs {
            inputs.push(self.map(path, *id)?);
        }
        inputs.extend(layer.tensors.iter().cloned());
        let output = match self.heads.get(&layer.value) {
            Some(head) => head.clone(),
            None if layer.name.is_empty() => self.fresh(&format!("{path}/{}", layer.op)),
            None => self.fresh(&format!("{path}/{}", layer.name)),
        };
        match layer.op {
            Op::Conv(conv) => {
                // Before its own tensors may stand some that are only kept.
                let kept = layer.tensors.len().saturating_sub(1 + usize::from(conv.bias));
                inputs.drain(layer.inputs.len()..layer.inputs.len() + kept);
                let attributes = vec![
                    ints("kernel_shape", &[conv.kernel; 2]),
                    ints("strides", &[conv.stride; 2]),
                    ints("pads", &[conv.padding; 4]),
                    ints("dilations", &[conv.dilation; 2]),
                    int("group", conv.groups),
                ];
                self.push("Conv", inputs, attributes, &output);
            }
            Op::BatchNorm(norm) => {
                self.push("BatchNormalization", inputs, vec![float("epsilon", norm.epsilon as f32)], &output);
            }
            Op::Activate { function } => self.activate(function, inputs, &output),
            Op::MaxPool { kernel, stride, padding } => {
                let attributes = vec![
                    ints("kernel_shape", &[kernel; 2]),
                    ints("strides", &[stride; 2]),
                    ints("pads", &[padding; 4]),
                ];
                self.push("MaxPool", inputs, attributes, &output);
            }
            Op::GlobalAvgPool => {
                let map = self.fresh(&format!("{output}/map"));
                self.push("GlobalAveragePool", inputs, Vec::new(), &map);
                self.push("Flatten", vec![map], vec![int("axis", 1)], &output);
            }
            Op::AdaptiveAvgPool { from, side } => self.adaptive_avg_pool(inputs, from, side, &output),
            Op::Flatten => self.push("Flatten", inputs, vec![int("axis", 1)], &output),
            Op::Scale => self.push("Mul", inputs, Vec::new(), &output),
            Op::Dropout { .. } => self.push("Identity", inputs, Vec::new(), &output),
            Op::Linear => self.push("Gemm", inputs, vec![int("transB", 1)], &output),
            Op::Add => self.push("Add", inputs, Vec::new(), &output),
            Op::Concat => self.push("Concat", inputs, vec![int("axis", 1)], &output),
            Op::SpaceToDepth { channels } => {
                // A convolution that picks one value each: ONNX's own operation puts rows before columns.
                let weight = self.constant("constant/squares", vec![4 * channels, channels, 2, 2], squares(channels));
                inputs.push(weight);
                let attributes = vec![ints("kernel_shape", &[2; 2]), ints("strides", &[2; 2])];
                self.push("Conv", inputs, attributes, &output);
            }
            Op::ChannelPart { part, of } => {
                let outputs: Vec<String> = (0..of)
                    .map(|i| if i == part { output.clone() } else { self.fresh(&format!("{output}/rest")) })
                    .collect();
                self.push_many("Split", inputs, vec![int("axis", 1)], &output, outputs);
            }
            Op::Levels => {
                // Tensors that the block keeps for its publisher's names are no maps.
                inputs.truncate(layer.inputs.len());
                self.levels.insert(layer.value, inputs);
                return Ok(());
            }
            Op::ConvTransposed(conv) => {
                let attributes = vec![
                    ints("kernel_shape", &[conv.kernel; 2]),
                    ints("strides", &[conv.stride; 2]),
                    ints("pads", &[conv.padding; 4]),
                ];
                self.push("ConvTranspose", inputs, attributes, &output);
            }
            Op::ResizeBilinear { from, to, aligned } => {
                self.resize_bilinear(path, inputs, [from, to], aligned, &output)?;
            }
            Op::Pad { before: [above, left], after: [below, right] } => {
                // Batch, channel, row, column, first in front and then behind.
                let cells = [0, 0, above, left, 0, 0, below, right].map(|n| n as i64).to_vec();
                inputs.push(self.whole("constant/pads", cells));
                self.push("Pad", inputs, vec![word("mode", "constant")], &output);
            }
            Op::Upsample { factor } => self.upsample(inputs, factor, &output),
            _ => return Err(format!("{path} computes {}, which cannot be exported yet", layer.op)),
        }
        self.names.insert(layer.value, output);
        Ok(())
    }

    /// Cell i of the result is cell floor(i / factor) of the input.
    fn upsample(&mut self, mut inputs: Vec<String>, factor: usize, output: &str) {
        let attributes = vec![
            word("mode", "nearest"),
            word("coordinate_transformation_mode", "asymmetric"),
            word("nearest_mode", "floor"),
        ];
        let scale = factor as f32;
        let scales = self.constant("constant/scales", vec![4], vec![1.0, 1.0, scale, scale]);
        inputs.extend([String::new(), scales]);
        self.push("Resize", inputs, attributes, output);
    }

    /// ONNX has no such pooling: it is the mean of everything, a pooling of equal squares or, where the parts overlap, a
    /// product with the shares that each row and each column has in each part.
    fn adaptive_avg_pool(&mut self, inputs: Vec<String>, [height, width]: [usize; 2], side: usize, output: &str) {
        let squares = |n: usize| n.is_multiple_of(side);
        if side == 1 {
            self.push("GlobalAveragePool", inputs, Vec::new(), output);
        } else if [height, width] == [side; 2] {
            self.push("Identity", inputs, Vec::new(), output);
        } else if squares(height) && squares(width) {
            let size = [height / side, width / side];
            self.push("AveragePool", inputs, vec![ints("kernel_shape", &size), ints("strides", &size)], output);
        } else {
            let rows = self.constant("constant/rows", vec![side, height], shares(height, side));
            let columns = shares(width, side); // [side, width]
            let turned = (0..width * side).filter_map(|i| columns.get(i % side * width + i / side).copied()).collect();
            let columns = self.constant("constant/columns", vec![width, side], turned);
            let half = self.fresh(&format!("{output}/rows"));
            self.push("MatMul", [vec![rows], inputs].concat(), Vec::new(), &half);
            self.push("MatMul", vec![half, columns], Vec::new(), output);
        }
    }

    /// Scales and not sizes: the number of pictures is not known.
    fn resize_bilinear(
        &mut self,
        path: &str,
        mut inputs: Vec<String>,
        [from, to]: [[usize; 2]; 2],
        aligned: bool,
        output: &str,
    ) -> Result<(), String> {
        if !to[0].is_multiple_of(from[0].max(1)) || !to[1].is_multiple_of(from[1].max(1)) {
            return Err(format!("{path} resizes to a size that is no multiple, which cannot be exported yet"));
        }
        let scale = |axis: usize| (to[axis] / from[axis].max(1)) as f32;
        let scales = self.constant("constant/scales", vec![4], vec![1.0, 1.0, scale(0), scale(1)]);
        inputs.extend([String::new(), scales]);
        let corners = if aligned { "align_corners" } else { "half_pixel" };
        let attributes = vec![word("mode", "linear"), word("coordinate_transformation_mode", corners)];
        self.push("Resize", inputs, attributes, output);
        Ok(())
    }

    pub fn activate(&mut self, function: Activation, mut inputs: Vec<String>, output: &str) {
        let none = Vec::new;
        match function {
            Activation::Identity => self.push("Identity", inputs, none(), output),
            Activation::Relu => self.push("Relu", inputs, none(), output),
            Activation::Relu6 => {
                inputs.push(self.constant("constant/0", Vec::new(), vec![0.0]));
                inputs.push(self.constant("constant/6", Vec::new(), vec![6.0]));
                self.push("Clip", inputs, none(), output);
            }
            Activation::Silu => {
                let gate = self.fresh(&format!("{output}/sigmoid"));
                self.push("Sigmoid", inputs.clone(), none(), &gate);
                inputs.push(gate);
                self.push("Mul", inputs, none(), output);
            }
            Activation::Hardswish => self.push("HardSwish", inputs, none(), output),
            Activation::Gelu => {
                // x (1 + erf(x / √2)) / 2; the operation of this name came with a later set.
                let root = self.constant("constant/root", Vec::new(), vec![std::f32::consts::SQRT_2]);
                let [one, half] = [1.0, 0.5].map(|n| self.constant("constant/number", Vec::new(), vec![n]));
                let x = inputs.first().cloned().unwrap_or_default();
                let part = self.emit("Div", vec![x.clone(), root], none());
                let part = self.emit("Erf", vec![part], none());
                let part = self.emit("Add", vec![part, one], none());
                let part = self.emit("Mul", vec![x, part], none());
                self.push("Mul", vec![part, half], none(), output);
            }
            Activation::HardSigmoid => {
                self.push("HardSigmoid", inputs, vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)], output);
            }
        }
    }
}

/// The weights `[4 * channels, channels, 2, 2]` of a convolution that picks, in turn, the upper left, lower left, upper
/// right and lower right cell of each square.
fn squares(channels: usize) -> Vec<f32> {
    let mut all = vec![0.0; 16 * channels * channels];
    for place in 0..4 {
        let (column, row) = (place / 2, place % 2);
        for channel in 0..channels {
            let output = place * channels + channel;
            if let Some(weight) = all.get_mut((output * channels + channel) * 4 + row * 2 + column) {
                *weight = 1.0;
            }
        }
    }
    all
}

/// The share of each of `n` cells in each of `parts` means, `[parts, n]`: part i is the mean of the cells from
/// floor(i n / parts) up to and without ceil((i + 1) n / parts).
fn shares(n: usize, parts: usize) -> Vec<f32> {
    let mut all = vec![0.0; parts * n];
    for (i, row) in all.chunks_mut(n).enumerate() {
        let (start, end) = (i * n / parts, ((i + 1) * n).div_ceil(parts));
        row.iter_mut().take(end).skip(start).for_each(|share| *share = 1.0 / (end - start) as f32);
    }
    all
}

pub(super) fn attribute(name: &str, kind: AttributeType) -> Attribute {
    Attribute { name: name.to_owned(), r#type: kind.into(), ..Attribute::default() }
}

pub(super) fn int(name: &str, value: usize) -> Attribute {
    Attribute { i: Some(value as i64), ..attribute(name, AttributeType::Int) }
}

pub(super) fn ints(name: &str, values: &[usize]) -> Attribute {
    Attribute { ints: values.iter().map(|&value| value as i64).collect(), ..attribute(name, AttributeType::Ints) }
}

pub(super) fn float(name: &str, value: f32) -> Attribute {
    Attribute { f: Some(value), ..attribute(name, AttributeType::Float) }
}

pub(super) fn word(name: &str, value: &str) -> Attribute {
    Attribute { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}

/// An input or output: a batch of `shape`.
pub(super) fn value_info(name: &str, shape: &Shape) -> Result<ValueInfo, String> {
    let dims = shape.dims();
    if dims.is_empty() {
        return Err(format!("{name} is no single tensor ({shape})"));
    }
    Ok(rows_info(name, BATCH, &dims, FLOAT))
}

/// A value whose first axis may have any length, with the axes `dims` after it.
pub(super) fn rows_info(name: &str, any: &str, dims: &[usize], elem_type: i32) -> ValueInfo {
    let mut dim = vec![Dimension { dim_param: Some(any.to_owned()), dim_value: None }];
    dim.extend(dims.iter().map(|&n| Dimension { dim_value: Some(n as i64), dim_param: None }));
    let tensor_type = TensorType { elem_type, shape: Some(TensorShape { dim }) };
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor_type) }) }
}

/// An output for each picture of the batch.
pub(super) fn of_each_picture(name: &str, dims: &[usize]) -> ValueInfo {
    rows_info(name, BATCH, dims, FLOAT)
}

/// An output with as many rows as objects are found in the whole batch.
pub(super) fn of_each_object(name: &str, dims: &[usize], whole: bool) -> ValueInfo {
    rows_info(name, "objects", dims, if whole { INT64 } else { FLOAT })
}
