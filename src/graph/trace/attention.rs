//! Steps of the symbolic forward pass of transformers.

use super::Trace;
use crate::graph::GraphError;
use crate::graph::op::{Op, Positions};
use crate::graph::signal::{Shape, Signal};
use crate::graph::tensor::{Init, Role};

impl Trace {
    /// Normalises the channels of each cell of a map or of each token (Ba et al. 2016, arXiv:1607.06450); tensors
    /// `weight`, `bias`.
    ///
    /// # Errors
    /// When the input is neither a map nor tokens.
    pub fn layer_norm(&mut self, name: &str, x: &Signal, epsilon: f64) -> Result<Signal, GraphError> {
        let (channels, _) = x.expect_rows(name)?;
        self.tensor(name, "weight", vec![channels], Role::Weight, Init::Constant(1.0));
        self.tensor(name, "bias", vec![channels], Role::Bias, Init::Constant(0.0));
        self.kept += x.numel();
        Ok(self.layer(name, Op::LayerNorm { epsilon }, &[x], x.clone(), 0))
    }

    /// A linear layer on each cell of a map, each token or a vector; tensors as [`Trace::linear`].
    ///
    /// # Errors
    /// When the input is something else or of another depth.
    pub fn linear_each(
        &mut self,
        name: &str,
        x: &Signal,
        [inputs, outputs]: [usize; 2],
        init: Init,
    ) -> Result<Signal, GraphError> {
        let init = match init {
            Init::UniformFanIn { .. } => Init::UniformFanIn { fan_in: inputs },
            other => other,
        };
        if let Shape::Vector { .. } = x.shape {
            return self.linear(name, x, [inputs, outputs], init);
        }
        let (channels, rows) = x.expect_rows(name)?;
        if channels != inputs {
            return Err(GraphError::Shape(format!("{name} wants {inputs} channels and gets {channels}")));
        }
        let bias = match init {
            Init::UniformFanIn { .. } => init,
            _ => Init::Constant(0.0),
        };
        self.tensor(name, "weight", vec![outputs, inputs], Role::Weight, init);
        self.tensor(name, "bias", vec![outputs], Role::Bias, bias);
        self.kept += x.numel();
        let macs = (inputs * outputs * rows) as u64;
        Ok(self.layer(name, Op::LinearEach, &[x], x.with_depth(outputs), macs))
    }

    /// A table of positions added to a map, resized to it; tensor `name`, `[1, height, width, channels]`.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn add_positions(&mut self, name: &str, x: &Signal, table: [usize; 2]) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map(name)?;
        self.tensor("", name, vec![1, table[0], table[1], channels], Role::Weight, Init::Normal(0.02));
        let op = Op::AddPositions { table, map: [height, width] };
        Ok(self.layer(name, op, &[x], x.clone(), 0))
    }

    /// Zeros below and to the right of a map, so that its sides are multiples of `side`.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn pad_cells(&mut self, x: &Signal, side: usize) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("padding")?;
        let to = [height, width].map(|n| n.next_multiple_of(side.max(1)));
        if to == [height, width] {
            return Ok(x.clone());
        }
        let shape = Shape::map(channels, to[0], to[1]);
        Ok(self.layer("", Op::PadCells { to }, &[x], Signal { shape, ..x.clone() }, 0))
    }

    /// The upper left part of a map, as large as `like`.
    ///
    /// # Errors
    /// When one of them is no map.
    pub fn crop_cells(&mut self, x: &Signal, like: &Signal) -> Result<Signal, GraphError> {
        let [channels, ..] = x.expect_map("crop")?;
        let [_, height, width] = like.expect_map("crop")?;
        let shape = Shape::map(channels, height, width);
        if shape == x.shape {
            return Ok(x.clone());
        }
        Ok(self.layer("", Op::CropCells { to: [height, width] }, &[x], Signal { shape, ..x.clone() }, 0))
    }

    /// Attention of the cells of a map to each other, or of square windows of it; the map holds queries, keys and values
    /// of equal width. Tensors `{name}.rel_pos_h` and `rel_pos_w` for a table of `side` cells, or
    /// `{name}.attention_biases`.
    ///
    /// # Errors
    /// When the input is no such map, or its sides are no multiples of the window's.
    pub fn self_attention(
        &mut self,
        name: &str,
        x: &Signal,
        heads: usize,
        (window, side): (Option<usize>, usize),
        positions: Positions,
    ) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map(name)?;
        let depth = channels / 3;
        let [rows, columns] = window.map_or([height, width], |side| [side; 2]);
        let whole = rows > 0 && height.is_multiple_of(rows) && width.is_multiple_of(columns);
        if heads == 0 || !channels.is_multiple_of(3 * heads) || !whole {
            return Err(GraphError::Shape(format!("{name} cannot divide {} among {heads} heads", x.shape)));
        }
        let each = depth / heads;
        match positions {
            Positions::Decomposed => {
                for axis in ["rel_pos_h", "rel_pos_w"] {
                    self.tensor(name, axis, vec![2 * side - 1, each], Role::Weight, Init::Constant(0.0));
                }
            }
            Positions::Distances => {
                self.tensor(name, "attention_biases", vec![heads, side * side], Role::Weight, Init::Constant(0.0));
            }
        }
        let cells = height * width;
        let seen = rows * columns;
        // Scores and their sums; for decomposed positions a product with one vector per row and one per column.
        let extra = if positions == Positions::Decomposed { rows + columns } else { 0 };
        let macs = (cells * depth * (2 * seen + extra)) as u64;
        self.kept += x.numel() + 2 * (heads * cells * seen) as u64;
        let receptive_px = x.receptive_px + (rows.max(columns).saturating_sub(1)) as u64 * x.stride_px;
        let output = Signal { shape: Shape::map(depth, height, width), receptive_px, ..x.clone() };
        Ok(self.layer(name, Op::SelfAttention { heads, window, positions }, &[x], output, macs))
    }

    /// Attention of queries to keys and values, each tokens or a map.
    ///
    /// # Errors
    /// When depths or numbers do not fit.
    pub fn attention(&mut self, [q, k, v]: [&Signal; 3], heads: usize) -> Result<Signal, GraphError> {
        let ((depth, asking), (of_keys, keys), (of_values, values)) =
            (q.expect_rows("attention")?, k.expect_rows("attention")?, v.expect_rows("attention")?);
        if depth != of_keys || keys != values || heads == 0 || !depth.is_multiple_of(heads) {
            return Err(GraphError::Shape(format!(
                "attention of {} to {} and {} does not fit",
                q.shape, k.shape, v.shape
            )));
        }
        let macs = (asking * keys * (depth + of_values)) as u64;
        self.kept += q.numel() + k.numel() + v.numel() + 2 * (heads * asking * keys) as u64;
        Ok(self.layer("", Op::Attention { heads }, &[q, k, v], q.with_depth(of_values), macs))
    }

    /// Names a tensor that the public checkpoints keep and nothing uses, for the layer that follows.
    pub fn unused(&mut self, layer: &str, name: &str, shape: Vec<usize>) {
        self.tensor(layer, name, shape, Role::Constant, Init::Constant(0.0));
    }
}

impl Signal {
    /// Channels and number of the cells of a map or of tokens, or an error that names who wanted them.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn expect_rows(&self, who: &str) -> Result<(usize, usize), GraphError> {
        match self.shape {
            Shape::Map { channels, height, width } => Ok((channels, height * width)),
            Shape::Tokens { count, width } => Ok((width, count)),
            ref other => Err(GraphError::Shape(format!("{who} wants a map or tokens and gets {other}"))),
        }
    }

    /// The same cells or tokens with another number of channels.
    fn with_depth(&self, channels: usize) -> Self {
        let shape = match self.shape {
            Shape::Map { height, width, .. } => Shape::map(channels, height, width),
            Shape::Tokens { count, .. } => Shape::Tokens { count, width: channels },
            ref other => other.clone(),
        };
        Self { shape, ..self.clone() }
    }
}
