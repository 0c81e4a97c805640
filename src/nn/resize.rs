//! Maps of other sizes, with torch's `interpolate` semantics and gradients on every device.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Where samples lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Corners {
    /// The outermost pixels' centers coincide (`align_corners=True`).
    Aligned,
    /// The outermost pixels' edges coincide (`align_corners=False`).
    Edges,
    /// As `Edges`, but with these factors of height and width instead of the ratio of the sizes: `scale_factor` without
    /// `recompute_scale_factor`.
    Scaled([f64; 2]),
}

/// Bilinear resize of `[batch, channels, h, w]` to `[height, width]`. Two products with constant matrices: burn's own
/// bilinear resize has no gradient on graphics adapters, and matrices add in the same order on every run.
#[must_use]
pub fn bilinear(x: Tensor<4>, size: [usize; 2], corners: Corners) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let device = x.device();
    let factor = |axis: usize| match corners {
        Corners::Scaled(factors) => Some(factors[axis]),
        _ => None,
    };
    let aligned = corners == Corners::Aligned;
    let columns = matrix(width, size[1], aligned, factor(1), &device); // [w, width]
    let rows = matrix(height, size[0], aligned, factor(0), &device); // [h, height]
    let x = x.reshape([batch * channels * height, width]).matmul(columns);
    let x = x.reshape([batch * channels, height, size[1]]).swap_dims(1, 2);
    let x = x.reshape([batch * channels * size[1], height]).matmul(rows);
    x.reshape([batch, channels, size[1], size[0]]).swap_dims(2, 3)
}

/// Bilinear resize of `[batch, channels, h, w]` to `through`, of which the upper left `[height, width]` `seen` go on,
/// resized to `size`; edges coincide. One product on each axis, so that the size between is never made.
#[must_use]
pub fn bilinear_part(x: Tensor<4>, through: [usize; 2], seen: [usize; 2], size: [usize; 2]) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let device = x.device();
    let axis = |from: usize, i: usize| {
        let larger = matrix(from, through[i], false, None, &device).narrow(1, 0, seen[i]);
        larger.matmul(matrix(seen[i], size[i], false, None, &device)) // [from, size]
    };
    let (columns, rows) = (axis(width, 1), axis(height, 0));
    let x = x.reshape([batch * channels * height, width]).matmul(columns);
    let x = x.reshape([batch * channels, height, size[1]]);
    let rows: Tensor<3> = rows.transpose().unsqueeze(); // [1, size, h]
    rows.matmul(x).reshape([batch, channels, size[0], size[1]])
}

/// The weights `[from, to]` of an axis.
fn matrix(from: usize, to: usize, aligned: bool, factor: Option<f64>, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(weights(from, to, aligned, factor), [from, to]), device)
}

/// The weights `[from, to]` of a bilinear resize of an axis; edges coincide.
#[must_use]
pub fn linear_weights(from: usize, to: usize) -> Vec<f32> {
    weights(from, to, false, None)
}

fn weights(from: usize, to: usize, aligned: bool, factor: Option<f64>) -> Vec<f32> {
    let mut weights = vec![0.0f32; from * to];
    let step = match factor {
        Some(factor) => (1.0 / factor) as f32,
        None if aligned && to > 1 => (from - 1) as f32 / (to - 1) as f32,
        None if aligned => 0.0,
        None => from as f32 / to as f32,
    };
    for i in 0..to {
        let at = if aligned { i as f32 * step } else { ((i as f32 + 0.5) * step - 0.5).max(0.0) };
        let low = (at as usize).min(from - 1);
        let part = if low + 1 < from { at - low as f32 } else { 0.0 };
        weights[low * to + i] += 1.0 - part;
        if part > 0.0 {
            weights[(low + 1) * to + i] += part;
        }
    }
    weights
}

/// Antialiased bicubic resize of `[batch, channels, h, w]` to `[height, width]`: torch's `interpolate(mode="bicubic",
/// antialias=True)`, Keys' kernel (1981) with a = -0.5 as wide as the larger of the two steps.
#[must_use]
pub fn bicubic_antialiased(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let device = x.device();
    let columns = cubic_matrix(width, size[1], &device); // [w, width]
    let rows = cubic_matrix(height, size[0], &device); // [h, height]
    let x = x.reshape([batch * channels * height, width]).matmul(columns);
    let x = x.reshape([batch * channels, height, size[1]]).swap_dims(1, 2);
    let x = x.reshape([batch * channels * size[1], height]).matmul(rows);
    x.reshape([batch, channels, size[1], size[0]]).swap_dims(2, 3)
}

/// The weights `[from, to]` of an axis.
fn cubic_matrix(from: usize, to: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(cubic_weights(from, to), [from, to]), device)
}

/// The weights `[from, to]` of an antialiased bicubic resize of an axis.
#[must_use]
pub fn cubic_weights(from: usize, to: usize) -> Vec<f32> {
    let mut weights = vec![0.0f32; from * to];
    let step = from as f64 / to as f64;
    let wide = step.max(1.0);
    for i in 0..to {
        let center = (i as f64 + 0.5) * step;
        let first = (center - 2.0 * wide + 0.5).max(0.0) as usize;
        let last = ((center + 2.0 * wide + 0.5) as usize).min(from);
        let share = |j: usize| cubic((j as f64 + 0.5 - center) / wide);
        let sum: f64 = (first..last).map(share).sum();
        for j in first..last {
            weights[j * to + i] = (share(j) / sum) as f32;
        }
    }
    weights
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Nearest-neighbour resize of `[batch, channels, h, w]` to `[height, width]`, torch's `nearest`: cell i takes cell
/// floor(i · from / to).
#[must_use]
pub fn nearest(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let [to_height, to_width] = size;
    if to_height % height.max(1) == 0 && to_width % width.max(1) == 0 {
        let (down, across) = (to_height / height.max(1), to_width / width.max(1));
        return x
            .reshape([batch, channels, height, 1, width, 1])
            .expand([batch, channels, height, down, width, across])
            .reshape([batch, channels, to_height, to_width]);
    }
    let device = x.device();
    let indices = |from: usize, to: usize| {
        let step = from as f32 / to as f32;
        let of = |i: usize| ((i as f32 * step) as usize).min(from - 1) as i32;
        Tensor::<1, Int>::from_data(TensorData::new((0..to).map(of).collect::<Vec<_>>(), [to]), &device)
    };
    x.select(2, indices(height, to_height)).select(3, indices(width, to_width))
}
