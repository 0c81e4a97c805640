//! Gradient of the weight of a 1×1 convolution with stride 1: products of rows of pixels, which lie in memory as they are
//! needed. A few output channels by a few inputs are summed at once, each in a vector over the pixels.

use super::arch::Arch;
use super::conv::Conv;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Output channels of a task.
const GROUP: usize = 4;

/// Pixels that are summed in a vector before its parts are added up.
const DEPTH: usize = 4096;

/// Whether the kernels of this file apply.
pub fn applies(conv: &Conv) -> bool {
    conv.kernel == [1, 1] && conv.stride == 1 && conv.padding == 0
}

/// `[outputs, inputs]` from `x`: `[batch, inputs, pixels]`, and `grad`: `[batch, outputs, pixels]`.
#[must_use]
pub fn weight_grad(conv: &Conv, x: &[f32], grad: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; conv.outputs * conv.inputs];
    let rows = Rows {
        x,
        grad,
        batch: conv.batch,
        inputs: conv.inputs,
        outputs: conv.outputs,
        pixels: conv.size[0] * conv.size[1],
    };
    let arch = Arch::new();
    out.par_chunks_mut(GROUP * conv.inputs).enumerate().for_each(|(i, out)| {
        arch.dispatch(Dots { rows, first: i * GROUP, out });
    });
    out
}

/// The operands.
#[derive(Clone, Copy)]
struct Rows<'a> {
    x: &'a [f32],
    grad: &'a [f32],
    batch: usize,
    inputs: usize,
    outputs: usize,
    pixels: usize,
}

/// The output channels from `first` on, for all inputs.
struct Dots<'a> {
    rows: Rows<'a>,
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Dots { rows, first, out } = self;
        let count = out.len() / rows.inputs;
        let wide = S::REGISTER_COUNT >= 32;
        let mut input = 0;
        while input < rows.inputs {
            let left = rows.inputs - input;
            let step = if wide && left >= 6 {
                6
            } else if left >= 3 {
                3
            } else {
                1
            };
            let mut row = 0;
            while row < count {
                let place = (first, row, input);
                let full = count - row >= 4;
                match (full, step) {
                    (true, 6) => tile::<S, 4, 6>(simd, rows, place, out),
                    (true, 3) => tile::<S, 4, 3>(simd, rows, place, out),
                    (true, _) => tile::<S, 4, 1>(simd, rows, place, out),
                    (false, 6) => tile::<S, 1, 6>(simd, rows, place, out),
                    (false, 3) => tile::<S, 1, 3>(simd, rows, place, out),
                    (false, _) => tile::<S, 1, 1>(simd, rows, place, out),
                }
                row += if full { 4 } else { 1 };
            }
            input += step;
        }
    }
}

/// `M` output channels by `N` inputs.
#[inline(always)]
fn tile<S: Simd, const M: usize, const N: usize>(
    simd: S,
    rows: Rows<'_>,
    (first, row, input): (usize, usize, usize),
    out: &mut [f32],
) {
    let Rows { x, grad, batch, inputs, outputs, pixels } = rows;
    let (count, rest) = (pixels / S::F32_LANES, pixels % S::F32_LANES);
    let every = DEPTH.div_ceil(pixels);
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    for picture in 0..batch {
        let of_grad = |r: usize| &grad[(picture * outputs + first + row + r) * pixels..][..pixels];
        let of_x = |c: usize| &x[(picture * inputs + input + c) * pixels..][..pixels];
        let grads: [&[S::f32s]; M] = std::array::from_fn(|r| &S::as_simd_f32s(of_grad(r)).0[..count]);
        let values: [&[S::f32s]; N] = std::array::from_fn(|c| &S::as_simd_f32s(of_x(c)).0[..count]);
        for k in 0..count {
            let x: [S::f32s; N] = std::array::from_fn(|c| values[c][k]);
            for (sums, grad) in sums.iter_mut().zip(&grads) {
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = simd.mul_add_f32s(grad[k], x, *sum);
                }
            }
        }
        if rest > 0 {
            let x: [S::f32s; N] = std::array::from_fn(|c| simd.partial_load_f32s(&of_x(c)[pixels - rest..]));
            for (r, sums) in sums.iter_mut().enumerate() {
                let grad = simd.partial_load_f32s(&of_grad(r)[pixels - rest..]);
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = simd.mul_add_f32s(grad, x, *sum);
                }
            }
        }
        if (picture + 1) % every == 0 || picture + 1 == batch {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (c, sum) in sums.iter_mut().enumerate() {
                    out[(row + r) * inputs + input + c] += simd.reduce_sum_f32s(*sum);
                    *sum = simd.splat_f32s(0.0);
                }
            }
        }
    }
}
