//! Layers on tokens, and on maps whose cells are taken as tokens: `[batch, h, w, channels]`. Maps are turned where they are needed
//! the other way round, once.

use super::lower::{Lowering, float, int, ints, word};
use crate::graph::{Layer, Op, Positions, Shape, ValueId};
use crate::nn::resize;

impl Lowering {
    /// A value; of a map that with channels before cells.
    ///
    /// # Errors
    /// When nothing made it.
    pub fn map(&mut self, path: &str, id: ValueId) -> Result<String, String> {
        if let Some(name) = self.names.get(&id) {
            return Ok(name.clone());
        }
        let cells = self.cells.get(&id).cloned().ok_or_else(|| format!("{path} reads a value that nothing made"))?;
        let name = match self.heads.get(&id) {
            Some(head) => head.clone(),
            None => self.fresh(&format!("{path}/map")),
        };
        self.push("Transpose", vec![cells], vec![ints("perm", &[0, 3, 1, 2])], &name);
        self.names.insert(id, name.clone());
        Ok(name)
    }

    /// A map with cells before channels, or tokens.
    ///
    /// # Errors
    /// When nothing made it.
    pub fn rows(&mut self, path: &str, id: ValueId) -> Result<String, String> {
        if !matches!(self.shapes.get(&id), Some(Shape::Map { .. })) {
            return self.map(path, id);
        }
        if let Some(name) = self.cells.get(&id) {
            return Ok(name.clone());
        }
        let map = self.map(path, id)?;
        let name = self.emit("Transpose", vec![map.clone()], vec![ints("perm", &[0, 2, 3, 1])]);
        self.cells.insert(id, name.clone());
        Ok(name)
    }

    /// Cells or tokens one after the other, `[batch, count, width]`.
    fn flat(&mut self, path: &str, id: ValueId) -> Result<String, String> {
        let rows = self.rows(path, id)?;
        match self.shapes.get(&id) {
            Some(Shape::Map { channels, height, width }) => {
                let to = [0, height * width, *channels];
                Ok(self.reshape(&rows, &to))
            }
            _ => Ok(rows),
        }
    }

    /// Keeps what a layer on rows gave.
    pub fn keep_rows(&mut self, layer: &Layer, name: String) {
        let kept = if matches!(layer.output, Shape::Map { .. }) { &mut self.cells } else { &mut self.names };
        kept.insert(layer.value, name);
    }

    /// Another shape; an axis of 0 keeps its length.
    pub fn reshape(&mut self, x: &str, to: &[usize]) -> String {
        let shape = self.whole("constant/shape", to.iter().map(|&n| n as i64).collect());
        self.emit("Reshape", vec![x.to_owned(), shape], Vec::new())
    }

    pub fn transpose(&mut self, x: &str, perm: &[usize]) -> String {
        self.emit("Transpose", vec![x.to_owned()], vec![ints("perm", perm)])
    }

    pub fn unsqueeze(&mut self, x: &str, axis: usize) -> String {
        let axes = self.whole("constant/axes", vec![axis as i64]);
        self.emit("Unsqueeze", vec![x.to_owned(), axes], Vec::new())
    }

    /// An operation on two values.
    pub fn both(&mut self, kind: &str, a: &str, b: &str) -> String {
        self.emit(kind, vec![a.to_owned(), b.to_owned()], Vec::new())
    }

    /// Whether the layer is one on rows; then it is written down.
    pub(super) fn of_rows(&mut self, path: &str, layer: &Layer) -> Result<bool, String> {
        let is_map = matches!(layer.output, Shape::Map { .. });
        let input = |at: usize| layer.inputs.get(at).copied().ok_or_else(|| format!("{path} lacks an input"));
        let tensor = |at: usize| layer.tensors.get(at).cloned().ok_or_else(|| format!("{path} lacks a tensor"));
        let name = match layer.op {
            Op::LayerNorm { epsilon } => {
                let x = self.rows(path, input(0)?)?;
                let axis = if is_map { 3 } else { 2 };
                let attributes = vec![int("axis", axis), float("epsilon", epsilon as f32)];
                self.emit("LayerNormalization", vec![x, tensor(0)?, tensor(1)?], attributes)
            }
            Op::LinearEach => {
                let x = self.rows(path, input(0)?)?;
                let weight = self.transpose(&tensor(0)?, &[1, 0]);
                let product = self.both("MatMul", &x, &weight);
                self.both("Add", &product, &tensor(1)?)
            }
            Op::AddPositions { table, map } => {
                let x = self.rows(path, input(0)?)?;
                let positions = self.positions(&tensor(0)?, table, map, &layer.output);
                self.both("Add", &x, &positions)
            }
            Op::PadCells { to: [tall, wide] } => {
                let [_, height, width] = self.axes(path, input(0)?)?;
                let x = self.rows(path, input(0)?)?;
                let pads = [0, 0, 0, 0, 0, tall - height, wide - width, 0].map(|n| n as i64).to_vec();
                let pads = self.whole("constant/pads", pads);
                self.emit("Pad", vec![x, pads], vec![word("mode", "constant")])
            }
            Op::CropCells { to: [height, width] } => {
                let x = self.rows(path, input(0)?)?;
                let [starts, ends, axes] = [[0, 0], [height, width], [1, 2]]
                    .map(|pair| self.whole("constant/part", pair.map(|n| n as i64).to_vec()));
                self.emit("Slice", vec![x, starts, ends, axes], Vec::new())
            }
            Op::SelfAttention { heads, window, positions } => {
                self.self_attention(path, layer, (heads, window, positions))?
            }
            Op::Attention { heads } => self.attention(path, layer, heads)?,
            Op::Activate { function } if is_map && self.cells.contains_key(&input(0)?) => {
                let x = self.rows(path, input(0)?)?;
                let name = self.fresh(&format!("{path}/{}", layer.op));
                self.activate(function, vec![x], &name);
                name
            }
            Op::Add if is_map && layer.inputs.iter().any(|id| self.cells.contains_key(id)) => {
                let (a, b) = (self.rows(path, input(0)?)?, self.rows(path, input(1)?)?);
                self.both("Add", &a, &b)
            }
            _ => return Ok(false),
        };
        self.keep_rows(layer, name);
        Ok(true)
    }

    /// Channels, height and width of a map.
    pub fn axes(&self, path: &str, id: ValueId) -> Result<[usize; 3], String> {
        match self.shapes.get(&id) {
            Some(Shape::Map { channels, height, width }) => Ok([*channels, *height, *width]),
            _ => Err(format!("{path} reads something else than a map")),
        }
    }

    /// A table `[1, h, w, channels]` for a map of another size: products with the shares of rows and of columns.
    fn positions(&mut self, table: &str, from: [usize; 2], to: [usize; 2], output: &Shape) -> String {
        let Shape::Map { channels, .. } = *output else { return table.to_owned() };
        if from == to {
            return table.to_owned();
        }
        let [rows, columns] = [0, 1].map(|axis| {
            let shares = turned(&resize::cubic_weights(from[axis], to[axis]), from[axis]);
            self.constant("constant/resize", vec![to[axis], from[axis]], shares)
        });
        let x = self.reshape(table, &[from[0], from[1] * channels]);
        let x = self.both("MatMul", &rows, &x);
        let x = self.reshape(&x, &[to[0], from[1], channels]);
        let x = self.both("MatMul", &columns, &x); // [height, width, channels]
        self.unsqueeze(&x, 0)
    }

    /// For each pair of `count` places its vector of a table of differences, `[query, width, key]`.
    fn relative(&mut self, path: &str, table: &str, count: usize) -> Result<String, String> {
        let shape = self.tensors.get(table).cloned().unwrap_or_default();
        let [length, width] = shape[..] else { return Err(format!("{path} has no table {table}")) };
        let wanted = 2 * count - 1;
        let mut x = table.to_owned();
        if length != wanted {
            let shares = turned(&resize::linear_weights(length, wanted), length);
            let shares = self.constant("constant/resize", vec![wanted, length], shares);
            x = self.both("MatMul", &shares, &x);
        }
        let pairs = (0..count).flat_map(|query| (0..count).map(move |key| (query + count - 1 - key) as i64));
        let pairs = self.whole("constant/pairs", pairs.collect());
        let x = self.emit("Gather", vec![x, pairs], vec![int("axis", 0)]);
        let x = self.reshape(&x, &[count, count, width]);
        Ok(self.transpose(&x, &[0, 2, 1]))
    }

    fn self_attention(
        &mut self,
        path: &str,
        layer: &Layer,
        (heads, window, positions): (usize, Option<usize>, Positions),
    ) -> Result<String, String> {
        let id = *layer.inputs.first().ok_or_else(|| format!("{path} lacks an input"))?;
        let [channels, height, width] = self.axes(path, id)?;
        let [rows, columns] = window.map_or([height, width], |side| [side; 2]);
        let (down, across, depth) = (height / rows, width / columns, channels / 3);
        let (windows, cells, each) = (down * across, rows * columns, depth / heads);
        let mut x = self.rows(path, id)?;
        if windows > 1 {
            let divided = self.reshape(&x, &[0, down, rows, across, columns, channels]);
            x = self.transpose(&divided, &[0, 1, 3, 2, 4, 5]);
        }
        // Queries, keys and values, `[batch, windows, heads, cells, each]`.
        let (split, perm) = match positions {
            Positions::Decomposed => ([0, windows, cells, 3, heads, each], [3, 0, 1, 4, 2, 5]),
            Positions::Distances => ([0, windows, cells, heads, 3, each], [4, 0, 1, 3, 2, 5]),
        };
        let x = self.reshape(&x, &split);
        let x = self.transpose(&x, &perm);
        let parts = [0, 1, 2].map(|_| self.fresh(&format!("{path}/part")));
        let name = self.fresh(&format!("{path}/split"));
        self.push_many("Split", vec![x], vec![int("axis", 0)], &name, parts.to_vec());
        let first = self.whole("constant/axes", vec![0]);
        let [q, k, v] = parts.map(|part| self.both("Squeeze", &part, &first));
        let bias = match positions {
            Positions::Decomposed => {
                let [of_rows, of_columns] = &layer.tensors[..] else { return Err(format!("{path} lacks a table")) };
                let of_rows = self.relative(path, of_rows, rows)?;
                let of_columns = self.relative(path, of_columns, columns)?;
                let q = self.reshape(&q, &[0, windows, heads, rows, columns, each]);
                let down = self.both("MatMul", &q, &of_rows); // [.., rows, columns, keys' rows]
                let turned = self.transpose(&q, &[0, 1, 2, 4, 3, 5]);
                let across = self.both("MatMul", &turned, &of_columns);
                let across = self.transpose(&across, &[0, 1, 2, 4, 3, 5]); // [.., rows, columns, keys' columns]
                let (down, across) = (self.unsqueeze(&down, 6), self.unsqueeze(&across, 5));
                let sum = self.both("Add", &down, &across);
                self.reshape(&sum, &[0, windows, heads, cells, cells])
            }
            Positions::Distances => {
                let table = layer.tensors.first().cloned().ok_or_else(|| format!("{path} lacks a table"))?;
                let distance = |a: usize, b: usize| {
                    (a / columns).abs_diff(b / columns) * columns + (a % columns).abs_diff(b % columns)
                };
                let pairs = (0..cells * cells).map(|i| distance(i / cells, i % cells) as i64);
                let pairs = self.whole("constant/pairs", pairs.collect());
                let x = self.emit("Gather", vec![table.clone(), pairs], vec![int("axis", 1)]);
                self.reshape(&x, &[heads, cells, cells])
            }
        };
        let x = self.attend([&q, &k, &v], each, &[0, 1, 2, 4, 3], Some(&bias));
        let x = self.transpose(&x, &[0, 1, 3, 2, 4]); // [batch, windows, cells, heads, each]
        if windows == 1 {
            return Ok(self.reshape(&x, &[0, height, width, depth]));
        }
        let x = self.reshape(&x, &[0, down, across, rows, columns, depth]);
        let x = self.transpose(&x, &[0, 1, 3, 2, 4, 5]);
        Ok(self.reshape(&x, &[0, height, width, depth]))
    }

    /// Softmax of scaled products with the keys, plus a bias, times the values; `turn` swaps the last two axes.
    fn attend(&mut self, [q, k, v]: [&String; 3], each: usize, turn: &[usize], bias: Option<&String>) -> String {
        let scale = self.constant("constant/scale", Vec::new(), vec![(1.0 / (each as f64).sqrt()) as f32]);
        let q = self.both("Mul", q, &scale);
        let k = self.transpose(k, turn);
        let mut scores = self.both("MatMul", &q, &k);
        if let Some(bias) = bias {
            scores = self.both("Add", &scores, bias);
        }
        let shares = self.emit("Softmax", vec![scores], vec![int("axis", turn.len() - 1)]);
        self.both("MatMul", &shares, v)
    }

    fn attention(&mut self, path: &str, layer: &Layer, heads: usize) -> Result<String, String> {
        let mut parts = Vec::with_capacity(3);
        let mut each = 1;
        for id in &layer.inputs {
            let width = match self.shapes.get(id) {
                Some(Shape::Map { channels, .. }) => *channels,
                Some(Shape::Tokens { width, .. }) => *width,
                _ => return Err(format!("{path} attends to something else than tokens or a map")),
            };
            each = width / heads.max(1);
            let x = self.flat(path, *id)?;
            let x = self.reshape(&x, &[0, 0, heads, each]);
            parts.push(self.transpose(&x, &[0, 2, 1, 3]));
        }
        let [q, k, v] = &parts[..] else { return Err(format!("{path} lacks an input")) };
        let x = self.attend([q, k, v], each, &[0, 1, 3, 2], None);
        let x = self.transpose(&x, &[0, 2, 1, 3]);
        Ok(match layer.output {
            Shape::Map { channels, height, width } => self.reshape(&x, &[0, height, width, channels]),
            _ => self.reshape(&x, &[0, 0, heads * each]),
        })
    }
}

/// Weights `[from, to]` as `[to, from]`.
fn turned(weights: &[f32], from: usize) -> Vec<f32> {
    let to = weights.len() / from.max(1);
    (0..weights.len()).filter_map(|i| weights.get(i % from * to + i / from).copied()).collect()
}
