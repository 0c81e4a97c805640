//! Gradient of a convolution's weight, as a matrix product over the pixels.
//!
//! The input is turned to channels-last with its padding; then the channels of all taps in a row of the kernel lie one
//! behind the other for every pixel, and are the vectors of the sums. Eight output channels are summed at once.

use super::arch::{Arch, lanes, operation};
use super::conv::Conv;
use super::pointwise_grad;
use super::rows::resize;
use super::tile::ROWS;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Floats of the turned input that are used at a time, so that they stay in a core's second cache.
const BLOCK: usize = 1 << 18;

/// Channels that are turned at a time.
const TURN: usize = 16;

/// Values that lie one behind the other in the turned input for each output pixel.
struct Runs {
    /// Where each run of pixel 0 begins.
    starts: Vec<usize>,
    /// Values of a run.
    len: usize,
    /// The same, filled up to whole vectors.
    padded: usize,
}

/// `[outputs, inputs, kernel]` from `x`: `[batch, inputs, h, w]`, and `grad`: `[batch, outputs, h', w']`.
#[must_use]
pub fn weight_grad(conv: &Conv, x: &[f32], grad: &[f32]) -> Vec<f32> {
    if pointwise_grad::applies(conv) {
        return pointwise_grad::weight_grad(conv, x, grad);
    }
    let Conv { batch, inputs, outputs, size, kernel, stride, dilation, .. } = *conv;
    let [height, width] = conv.out_size();
    let columns = (width - 1) * stride + (kernel[1] - 1) * dilation + 1;
    let lanes = lanes();
    let runs = if dilation == 1 {
        let starts = (0..kernel[0]).map(|ky| ky * columns * inputs).collect();
        Runs { starts, len: kernel[1] * inputs, padded: (kernel[1] * inputs).next_multiple_of(lanes) }
    } else {
        let of = |ky| (0..kernel[1]).map(move |kx| (ky * columns + kx) * dilation * inputs);
        let starts = (0..kernel[0]).flat_map(of).collect();
        Runs { starts, len: inputs, padded: inputs.next_multiple_of(lanes) }
    };
    let panels = outputs.div_ceil(ROWS);
    let tile = ROWS * runs.padded;
    let mut sums = vec![0.0; panels * runs.starts.len() * tile];
    let rows = (BLOCK / (columns * inputs * stride)).saturating_sub(kernel[0] / stride).clamp(1, height);
    let (mut turned, mut packed) = (Vec::new(), Vec::new());
    for picture in 0..batch {
        let x = &x[picture * inputs * size[0] * size[1]..][..inputs * size[0] * size[1]];
        let grad = &grad[picture * outputs * height * width..][..outputs * height * width];
        for first in (0..height).step_by(rows) {
            let rows = rows.min(height - first);
            turn(conv, x, first * stride, (rows - 1) * stride + (kernel[0] - 1) * dilation + 1, columns, &mut turned);
            pack(grad, [outputs, height * width], first * width, rows * width, &mut packed);
            let pixels = rows * width;
            let (turned, packed) = (&turned, &packed);
            sums.par_chunks_mut(tile).enumerate().for_each(|(i, sums)| {
                let (panel, run) = (i / runs.starts.len(), i % runs.starts.len());
                let grad = &packed[panel * pixels * ROWS..][..pixels * ROWS];
                let steps = Steps { width, pixel: stride * inputs, row: stride * columns * inputs };
                Arch::new().dispatch(Products { input: &turned[runs.starts[run]..], grad, sums, steps });
            });
        }
    }
    unpack(conv, &runs, &sums)
}

/// `[rows, columns, inputs]` of the padded input from its row `first` on.
fn turn(conv: &Conv, x: &[f32], first: usize, rows: usize, columns: usize, out: &mut Vec<f32>) {
    let Conv { inputs, size: [height, width], padding, .. } = *conv;
    resize(out, rows * columns * inputs + 4 * TURN);
    let arch = Arch::new();
    out[..rows * columns * inputs].par_chunks_exact_mut(columns * inputs).enumerate().for_each(|(i, out)| {
        let Some(y) = (first + i).checked_sub(padding).filter(|y| *y < height) else { return out.fill(0.0) };
        let count = width.min(columns.saturating_sub(padding));
        out[..padding.min(columns) * inputs].fill(0.0);
        out[(padding + count).min(columns) * inputs..].fill(0.0);
        let out = &mut out[padding.min(columns) * inputs..][..count * inputs];
        arch.dispatch(Turn { x: &x[y * width..], out, inputs, plane: height * width, count });
    });
}

operation!(<'a> Turn { x: &'a [f32], out: &'a mut [f32], inputs: usize, plane: usize, count: usize } -> () {
    for channel in (0..inputs).step_by(TURN) {
        let row = |c: usize| &x[(channel + c) * plane..][..count];
        if channel + TURN <= inputs {
            let rows: [&[f32]; TURN] = std::array::from_fn(row);
            turn_rows(&rows, out, inputs, channel);
        } else {
            for c in 0..inputs - channel {
                let places = out.iter_mut().skip(channel + c).step_by(inputs);
                places.zip(row(c)).for_each(|(out, x)| *out = *x);
            }
        }
    }
});

/// Turns `TURN` rows of equal length.
#[inline(always)]
fn turn_rows(rows: &[&[f32]; TURN], out: &mut [f32], inputs: usize, channel: usize) {
    let mut blocks = out.chunks_exact_mut(TURN * inputs);
    let mut at = 0;
    for out in &mut blocks {
        let mut tile = [[0.0_f32; TURN]; TURN];
        for (tile, row) in tile.iter_mut().zip(rows) {
            tile.copy_from_slice(&row[at..at + TURN]);
        }
        for (i, out) in out.chunks_exact_mut(inputs).enumerate().take(TURN) {
            let values: [f32; TURN] = std::array::from_fn(|c| tile[c][i]);
            out[channel..channel + TURN].copy_from_slice(&values);
        }
        at += TURN;
    }
    for (i, out) in blocks.into_remainder().chunks_exact_mut(inputs).enumerate() {
        let values: [f32; TURN] = std::array::from_fn(|c| rows[c][at + i]);
        out[channel..channel + TURN].copy_from_slice(&values);
    }
}

/// `[panels, pixels, ROWS]` of the output's gradient.
fn pack(grad: &[f32], [outputs, plane]: [usize; 2], first: usize, pixels: usize, out: &mut Vec<f32>) {
    let panels = outputs.div_ceil(ROWS);
    resize(out, panels * pixels * ROWS);
    out[..panels * pixels * ROWS].par_chunks_exact_mut(pixels * ROWS).enumerate().for_each(|(panel, out)| {
        let (out, _) = pulp::as_arrays_mut::<ROWS, f32>(out);
        let row = |r: usize| &grad[(panel * ROWS + r) * plane + first..][..pixels];
        if (panel + 1) * ROWS <= outputs {
            let rows: [&[f32]; ROWS] = std::array::from_fn(row);
            for (i, out) in out.iter_mut().enumerate() {
                *out = std::array::from_fn(|r| rows[r][i]);
            }
        } else {
            out.fill([0.0; ROWS]);
            for r in 0..outputs - panel * ROWS {
                out.iter_mut().zip(row(r)).for_each(|(out, x)| out[r] = *x);
            }
        }
    });
}

/// How far pixels are apart in the turned input.
#[derive(Clone, Copy)]
struct Steps {
    /// Pixels of a row.
    width: usize,
    /// From pixel to pixel.
    pixel: usize,
    /// From row to row.
    row: usize,
}

/// `sums[r][v] += Σ_p grad[p][r] · input[p][v]`
struct Products<'a> {
    input: &'a [f32],
    grad: &'a [f32],
    sums: &'a mut [f32],
    steps: Steps,
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Products { input, grad, sums, steps } = self;
        let padded = sums.len() / ROWS;
        let mut at = 0;
        while at < padded {
            let input = input.get(at..).unwrap_or_default();
            match (padded - at) / S::F32_LANES {
                0 => return,
                1 => {
                    rows::<S, 1>(simd, input, grad, sums, (at, padded), steps);
                    at += S::F32_LANES;
                }
                2 | 4 => {
                    rows::<S, 2>(simd, input, grad, sums, (at, padded), steps);
                    at += 2 * S::F32_LANES;
                }
                _ => {
                    rows::<S, 3>(simd, input, grad, sums, (at, padded), steps);
                    at += 3 * S::F32_LANES;
                }
            }
        }
    }
}

#[inline(always)]
fn rows<S: Simd, const N: usize>(
    simd: S,
    input: &[f32],
    grad: &[f32],
    sums: &mut [f32],
    (at, padded): (usize, usize),
    steps: Steps,
) {
    if S::REGISTER_COUNT >= 32 {
        products::<S, 8, N>(simd, input, grad, sums, (0, at, padded), steps);
    } else {
        products::<S, 4, N>(simd, input, grad, sums, (0, at, padded), steps);
        products::<S, 4, N>(simd, input, grad, sums, (4, at, padded), steps);
    }
}

/// `M` rows from `first` on, `N` vectors from `at` on, of `padded` values.
#[inline(always)]
fn products<S: Simd, const M: usize, const N: usize>(
    simd: S,
    input: &[f32],
    grad: &[f32],
    out: &mut [f32],
    (first, at, padded): (usize, usize, usize),
    steps: Steps,
) {
    let width = N * S::F32_LANES;
    // Each block is summed from zero: fewer roundings than one long sum.
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    let (grad, _) = pulp::as_arrays::<ROWS, f32>(grad);
    for (y, grad) in grad.chunks_exact(steps.width).enumerate() {
        let mut place = y * steps.row;
        for grad in grad {
            let (values, _) = S::as_simd_f32s(&input[place..place + width]);
            let mut x = [simd.splat_f32s(0.0); N];
            x.copy_from_slice(&values[..N]);
            for (sums, &grad) in sums.iter_mut().zip(&grad[first..first + M]) {
                let grad = simd.splat_f32s(grad);
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = simd.mul_add_f32s(grad, x, *sum);
                }
            }
            place += steps.pixel;
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let (row, _) = S::as_mut_simd_f32s(&mut out[(first + r) * padded + at..][..width]);
        for (out, sum) in row.iter_mut().zip(sums) {
            *out = simd.add_f32s(*out, *sum);
        }
    }
}

/// From `[panels, runs, ROWS, padded]` to torch's order.
fn unpack(conv: &Conv, runs: &Runs, sums: &[f32]) -> Vec<f32> {
    let Conv { inputs, outputs, kernel, .. } = *conv;
    let taps = kernel[0] * kernel[1];
    let per_run = runs.len / inputs;
    let mut out = vec![0.0; outputs * inputs * taps];
    out.par_chunks_mut(inputs * taps).enumerate().for_each(|(output, out)| {
        let (panel, r) = (output / ROWS, output % ROWS);
        for run in 0..runs.starts.len() {
            let row = &sums[((panel * runs.starts.len() + run) * ROWS + r) * runs.padded..][..runs.len];
            for (i, row) in row.chunks_exact(inputs).enumerate() {
                let places = out.iter_mut().skip(run * per_run + i).step_by(taps);
                places.zip(row).for_each(|(out, sum)| *out = *sum);
            }
        }
    });
    out
}
