//! Attention and the layers around it, with torch's semantics. Scores are never made all at once: queries go through in
//! tiles, so that memory stays bounded at thousands of cells.

use super::init::Params;
use super::layers::Linear;
use super::resize::{self, Corners};
use super::value::RunError;
use burn::module::{Module, Param};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Int, Tensor, TensorData, module};

/// Scores that are made at once, 64 MB of them.
const TILE: usize = 16 << 20;

/// Layer normalisation over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[channels]`
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`
    pub bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// Makes the layer from the tensors of `name`.
    ///
    /// # Errors
    /// When the description lacks them.
    pub fn new(epsilon: f64, name: &str, params: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self { weight: params.take(name, "weight")?, bias: params.take(name, "bias")?, epsilon })
    }

    /// `[…, channels]` → the same shape
    #[must_use]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        module::layer_norm(x, self.weight.val(), Some(self.bias.val()), self.epsilon)
    }

    /// Over the channels of each cell: `[batch, channels, h, w]` → the same shape
    #[must_use]
    pub fn forward_map(&self, x: Tensor<4>) -> Tensor<4> {
        channels_first(self.forward(channels_last(x)))
    }
}

/// `[batch, channels, h, w]` → `[batch, h, w, channels]`
#[must_use]
pub fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[batch, h, w, channels]` → `[batch, channels, h, w]`
#[must_use]
pub fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// Attention of `[batch, heads, n, width]` to `[batch, heads, m, width]`, in tiles of queries → `[batch, heads, n,
/// width]`.
#[must_use]
pub fn attend(q: &Tensor<4>, k: &Tensor<4>, v: &Tensor<4>) -> Tensor<4> {
    let [batch, heads, queries, _] = q.dims();
    let keys = k.dims()[2];
    let tile = (TILE / (batch * heads * keys).max(1)).clamp(1, queries.max(1));
    let told = (0..queries).step_by(tile).map(|first| {
        let q = q.clone().narrow(2, first, tile.min(queries - first));
        scaled(q, k.clone(), v.clone(), None)
    });
    joined(told.collect(), 2)
}

/// One product of queries with keys: their scores are scaled by the root of the width.
fn scaled(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Option<Tensor<4>>) -> Tensor<4> {
    module::attention(q, k, v, None, bias, AttentionModuleOptions::default())
}

/// Parts one after the other; one part as it is.
fn joined<const D: usize>(mut parts: Vec<Tensor<D>>, axis: usize) -> Tensor<D> {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    Tensor::cat(parts, axis)
}

/// Projections to heads and back around an attention of tokens or cells to others.
#[derive(Module, Debug)]
pub struct Projected {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
}

impl Projected {
    /// Makes the layers from the tensors of `name`.
    ///
    /// # Errors
    /// When the description lacks them.
    pub fn new(name: &str, heads: usize, params: &mut Params<'_>) -> Result<Self, RunError> {
        let mut linear = |layer: &str| Linear::new(&format!("{name}.{layer}"), params);
        Ok(Self {
            q_proj: linear("q_proj")?,
            k_proj: linear("k_proj")?,
            v_proj: linear("v_proj")?,
            out_proj: linear("out_proj")?,
            heads,
        })
    }

    /// `[batch, n, width]`, `[batch, m, width]`, `[batch, m, width]` → `[batch, n, width]`
    #[must_use]
    pub fn forward(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let divide = |x: Tensor<3>| {
            let [batch, count, width] = x.dims();
            x.reshape([batch, count, self.heads, width / self.heads]).swap_dims(1, 2) // [batch, heads, count, each]
        };
        let [q, k, v] =
            [(&self.q_proj, q), (&self.k_proj, k), (&self.v_proj, v)].map(|(layer, x)| divide(layer.each(x)));
        let x = attend(&q, &k, &v);
        let [batch, heads, count, each] = x.dims();
        self.out_proj.each(x.swap_dims(1, 2).reshape([batch, count, heads * each]))
    }
}

/// `[batch, h, w, channels]`, sides multiples of the window's → `[windows, rows, columns, channels]`, the windows of a
/// picture row by row.
#[must_use]
pub fn windows(x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let (down, across) = (height / rows, width / columns);
    if down == 1 && across == 1 {
        return x;
    }
    x.reshape([batch, down, rows, across, columns, channels]).permute([0, 1, 3, 2, 4, 5]).reshape([
        batch * down * across,
        rows,
        columns,
        channels,
    ])
}

/// What [`windows`] took apart, as `[batch, height, width, channels]`.
#[must_use]
pub fn from_windows(x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [count, rows, columns, channels] = x.dims();
    let (down, across) = (height / rows, width / columns);
    if down == 1 && across == 1 {
        return x;
    }
    let batch = count / (down * across);
    x.reshape([batch, down, across, rows, columns, channels])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([batch, height, width, channels])
}

/// Zeros below and to the right, so that sides are multiples of `side`: `[batch, h, w, channels]`.
#[must_use]
pub fn pad(x: Tensor<4>, side: usize) -> Tensor<4> {
    let [_, height, width, _] = x.dims();
    let [down, across] = [height, width].map(|n| n.next_multiple_of(side.max(1)) - n);
    if down == 0 && across == 0 { x } else { x.pad([(0, 0), (0, down), (0, across), (0, 0)], 0.0) }
}

/// The upper left part of `[batch, h, w, channels]`.
#[must_use]
pub fn crop(x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [_, h, w, _] = x.dims();
    if [h, w] == [height, width] { x } else { x.narrow(1, 0, height).narrow(2, 0, width) }
}

/// For each pair of `count` places its row of a table of differences, `[count · count, width]`; the table
/// `[2 · table - 1, width]` is resized where it is one for another number of places.
#[must_use]
pub fn relative(table: Tensor<2>, count: usize) -> Tensor<2> {
    let [length, width] = table.dims();
    let wanted = 2 * count - 1;
    let table = if length == wanted {
        table
    } else {
        let table = table.reshape([1, 1, length, width]);
        resize::bilinear(table, [wanted, width], Corners::Edges).reshape([wanted, width])
    };
    let rows = (0..count).flat_map(|q| (0..count).map(move |k| (q + count - 1 - k) as i32)).collect::<Vec<_>>();
    let device = table.device();
    table.select(0, Tensor::<1, Int>::from_data(TensorData::new(rows, [count * count]), &device))
}

/// Queries, keys and values of square cells, `[batch, heads, rows · columns, width]` each.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Queries.
    pub q: Tensor<4>,
    /// Keys.
    pub k: Tensor<4>,
    /// Values.
    pub v: Tensor<4>,
    /// Rows and columns of the cells.
    pub size: [usize; 2],
}

impl Heads {
    /// Attention with decomposed relative positions: the query's products with the vectors of `rows` `[rows · rows,
    /// width]` and `columns` (see [`relative`]) are added to the scores. → `[batch, heads, rows · columns, width]`.
    #[must_use]
    pub fn decomposed(self, rows: Tensor<2>, columns: Tensor<2>) -> Tensor<4> {
        let [batch, heads, cells, width] = self.q.dims();
        let [height, across] = self.size;
        let rows = rows.reshape([height, height, width]).swap_dims(1, 2); // [row, width, row of the key]
        let columns = columns.reshape([across, across, width]).swap_dims(1, 2);
        // As many pictures or windows at once as fit, and of one that does not fit as many rows of queries.
        let group = (TILE / (heads * cells * cells).max(1)).clamp(1, batch.max(1));
        let tile = (TILE / (group * heads * across * cells).max(1)).clamp(1, height.max(1));
        let groups = (0..batch).step_by(group).map(|first| {
            let count = group.min(batch - first);
            let [q, k, v] = [&self.q, &self.k, &self.v].map(|x| x.clone().narrow(0, first, count));
            let tiles = (0..height).step_by(tile).map(|top| {
                let deep = tile.min(height - top);
                let q = q.clone().narrow(2, top * across, deep * across);
                let bias = decomposed_bias(&q, rows.clone().narrow(0, top, deep), &columns);
                scaled(q, k.clone(), v.clone(), Some(bias))
            });
            joined(tiles.collect(), 2)
        });
        joined(groups.collect(), 0)
    }

    /// Attention with a number for each head and pair of cells, `[heads, cells, cells]`, added to the scores.
    #[must_use]
    pub fn biased(self, bias: Tensor<3>) -> Tensor<4> {
        let [batch, heads, cells, _] = self.q.dims();
        let group = (TILE / (heads * cells * cells).max(1)).clamp(1, batch.max(1));
        let bias: Tensor<4> = bias.unsqueeze();
        let groups = (0..batch).step_by(group).map(|first| {
            let count = group.min(batch - first);
            let [q, k, v] = [&self.q, &self.k, &self.v].map(|x| x.clone().narrow(0, first, count));
            scaled(q, k, v, Some(bias.clone()))
        });
        joined(groups.collect(), 0)
    }
}

/// What is added to the scores of some rows of queries: `q` `[batch, heads, n · columns, width]`, `rows` `[n, width,
/// keys' rows]`, `columns` `[columns, width, keys' columns]` → `[batch, heads, n · columns, keys]`.
fn decomposed_bias(q: &Tensor<4>, rows: Tensor<3>, columns: &Tensor<3>) -> Tensor<4> {
    let [batch, heads, queries, width] = q.dims();
    let ([deep, _, height], [across, ..]) = (rows.dims(), columns.dims());
    let q = q.clone().reshape([batch * heads, deep, across, width]);
    let of_rows = q.clone().swap_dims(0, 1).reshape([deep, batch * heads * across, width]).matmul(rows);
    let of_rows = of_rows.reshape([deep, batch * heads, across, height]).swap_dims(0, 1);
    let of_columns = q.permute([2, 0, 1, 3]).reshape([across, batch * heads * deep, width]).matmul(columns.clone());
    let of_columns = of_columns.reshape([across, batch * heads, deep, across]).permute([1, 2, 0, 3]);
    let each = batch * heads * queries;
    let sum = of_rows.reshape([each, height, 1]) + of_columns.reshape([each, 1, across]);
    sum.reshape([batch, heads, queries, height * across])
}
