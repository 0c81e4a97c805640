//! Depthwise convolution: every channel has its own kernel. Output, and the gradients of input and weight.

use super::activation::with_function;
use super::arch::{Arch, lanes};
use super::conv::{Conv, Finish, Place, Write, slot};
use super::rows::{Window, resize};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::cell::RefCell;
use std::marker::PhantomData;

/// Planes that a thread takes at a time, at least.
const PLANES: usize = 4;

/// Taps that are summed at once for the weight's gradient.
const TAPS: usize = 9;

thread_local! {
    /// The window of a plane, and its sums.
    static BUFFERS: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Pixels with the same taps, see the convolution of one group.
struct Phase {
    first: [usize; 2],
    /// Slot, row and column of each tap.
    taps: Vec<[usize; 3]>,
    /// Which value of the kernel each tap is.
    values: Vec<usize>,
}

struct Plan {
    channels: usize,
    kernel: usize,
    window: Window,
    /// Height and width of the output.
    size: [usize; 2],
    step: usize,
    phases: Vec<Phase>,
}

/// `[batch, channels, h', w']` of `x`: `[batch, channels, h, w]`, and `weight`: `[channels, kernel]`. `conv.inputs` and
/// `conv.outputs` are the channels.
#[must_use]
pub fn forward(conv: &Conv, x: &[f32], weight: &[f32], finish: &Finish<'_>) -> Vec<f32> {
    let out_size = conv.out_size();
    let (window, taps) = reading(conv);
    let values = (0..taps.len()).collect();
    let phases = vec![Phase { first: [0, 0], taps, values }];
    let kernel = conv.kernel[0] * conv.kernel[1];
    run(&Plan { channels: conv.inputs, kernel, window, size: out_size, step: 1, phases }, conv.batch, x, weight, finish)
}

/// What the output reads of a plane, and where its taps are.
fn reading(conv: &Conv) -> (Window, Vec<[usize; 3]>) {
    let Conv { size, kernel, stride, padding, dilation, .. } = *conv;
    let mut slots = Vec::new();
    let mut taps = Vec::new();
    for ky in 0..kernel[0] {
        for kx in 0..kernel[1] {
            let [y, x] = [ky * dilation, kx * dilation];
            let slot = slot(&mut slots, [y % stride, x % stride]);
            taps.push([slot, y / stride, x / stride]);
        }
    }
    let [rows, columns] = [0, 1].map(|i| conv.out_size()[i] + (kernel[i] - 1) * dilation / stride);
    (Window { size, step: stride, before: [padding; 2], slots, rows, columns }, taps)
}

/// Gradient of the input, `[batch, channels, h, w]`, from that of the output, `[batch, channels, h', w']`.
#[must_use]
pub fn input_grad(conv: &Conv, weight: &[f32], grad: &[f32]) -> Vec<f32> {
    let phases = conv.grad_phases();
    let before = phases.before;
    let of = |phase: super::conv::GradPhase| Phase { first: phase.first, taps: phase.taps, values: phase.values };
    let phases: Vec<Phase> = phases.phases.into_iter().map(of).collect();
    let reach = [1, 2].map(|i| phases.iter().flat_map(|p| p.taps.iter().map(move |tap| tap[i])).max().unwrap_or(0));
    let [rows, columns] = [0, 1].map(|i| conv.size[i].div_ceil(conv.stride) + reach[i]);
    let window = Window { size: conv.out_size(), step: 1, before, slots: vec![[0, 0]], rows, columns };
    let kernel = conv.kernel[0] * conv.kernel[1];
    let plan = Plan { channels: conv.inputs, kernel, window, size: conv.size, step: conv.stride, phases };
    run(&plan, conv.batch, grad, weight, &Finish::NONE)
}

fn run(plan: &Plan, batch: usize, x: &[f32], weight: &[f32], finish: &Finish<'_>) -> Vec<f32> {
    let Plan { channels, kernel, ref window, size: [height, width], step, ref phases } = *plan;
    let mut out = vec![0.0; batch * channels * height * width];
    if out.is_empty() {
        return out;
    }
    let (arch, lanes) = (Arch::new(), lanes());
    let plane = window.size[0] * window.size[1];
    let slot = window.rows * window.columns;
    let places = |phase: &Phase| -> Vec<usize> {
        phase.taps.iter().map(|[s, y, x]| s * slot + y * window.columns + x).collect()
    };
    let phases: Vec<(&Phase, Vec<usize>)> = phases.iter().map(|phase| (phase, places(phase))).collect();
    let of = |i: usize, out: &mut [f32]| {
        let channel = i % channels;
        BUFFERS.with_borrow_mut(|(input, sums)| {
            resize(input, window.plane_len() + 8 * lanes);
            window.copy(&mut input[..window.plane_len()], &x[i * plane..(i + 1) * plane], 0);
            for (phase, offsets) in &phases {
                let rows = height.saturating_sub(phase.first[0]).div_ceil(step);
                let count = width.saturating_sub(phase.first[1]).div_ceil(step);
                if rows == 0 || count == 0 {
                    continue;
                }
                let pixels = ((rows - 1) * window.columns + count).next_multiple_of(lanes);
                resize(sums, pixels);
                let sums = &mut sums[..pixels];
                let weights = &weight[channel * kernel..(channel + 1) * kernel];
                arch.dispatch(Sums { input, offsets, weights, values: &phase.values, out: sums });
                let place = Place {
                    first: phase.first,
                    step,
                    columns: window.columns,
                    width,
                    count,
                    scale: finish.scale.map_or(1.0, |scale| scale[channel]),
                    shift: finish.shift.map_or(0.0, |shift| shift[channel]),
                    plain: finish.scale.is_none() && finish.shift.is_none(),
                };
                let residual = finish.residual.map(|residual| &residual[i * out.len()..(i + 1) * out.len()]);
                with_function!(finish.activation, F => arch.dispatch(Write::<F> { place: &place, out, sums, residual, function: PhantomData }));
            }
        });
    };
    out.par_chunks_mut(height * width).with_min_len(PLANES).enumerate().for_each(|(i, out)| of(i, out));
    out
}

/// `out[p] = Σ_t weights[values[t]] · input[offsets[t] + p]`
struct Sums<'a> {
    input: &'a [f32],
    offsets: &'a [usize],
    weights: &'a [f32],
    values: &'a [usize],
    out: &'a mut [f32],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Sums { input, offsets, weights, values, out } = self;
        let (out, _) = S::as_mut_simd_f32s(out);
        let mut at = 0;
        let mut groups = out.chunks_exact_mut(4);
        for out in &mut groups {
            sums::<S, 4>(simd, &input[at..], offsets, weights, values, out);
            at += 4 * S::F32_LANES;
        }
        for out in groups.into_remainder() {
            sums::<S, 1>(simd, &input[at..], offsets, weights, values, std::slice::from_mut(out));
            at += S::F32_LANES;
        }
    }
}

#[inline(always)]
fn sums<S: Simd, const N: usize>(
    simd: S,
    input: &[f32],
    offsets: &[usize],
    weights: &[f32],
    values: &[usize],
    out: &mut [S::f32s],
) {
    let mut sums = [simd.splat_f32s(0.0); N];
    for (&offset, &value) in offsets.iter().zip(values) {
        let weight = simd.splat_f32s(weights[value]);
        let (x, _) = S::as_simd_f32s(&input[offset..offset + N * S::F32_LANES]);
        for (sum, x) in sums.iter_mut().zip(&x[..N]) {
            *sum = simd.mul_add_f32s(weight, *x, *sum);
        }
    }
    out[..N].copy_from_slice(&sums);
}

/// `[channels, kernel]` from `x`: `[batch, channels, h, w]`, and `grad`: `[batch, channels, h', w']`.
#[must_use]
pub fn weight_grad(conv: &Conv, x: &[f32], grad: &[f32]) -> Vec<f32> {
    let Conv { batch, inputs: channels, size, kernel, .. } = *conv;
    let [height, width] = conv.out_size();
    let (window, taps) = reading(conv);
    let (arch, lanes) = (Arch::new(), lanes());
    let slot = window.rows * window.columns;
    let offsets: Vec<usize> = taps.iter().map(|[s, y, x]| s * slot + y * window.columns + x).collect();
    let mut out = vec![0.0; channels * kernel[0] * kernel[1]];
    let pixels = ((height - 1) * window.columns + width).next_multiple_of(lanes);
    let of = |channel: usize, out: &mut [f32]| {
        BUFFERS.with_borrow_mut(|(input, spread)| {
            resize(input, window.plane_len() + 8 * lanes);
            // Stale values there meet zeros of the gradient, and must be numbers for it.
            input[window.plane_len()..].fill(0.0);
            resize(spread, pixels);
            for picture in 0..batch {
                let plane = picture * channels + channel;
                let (inside, outside) = (size[0] * size[1], height * width);
                window.copy(&mut input[..window.plane_len()], &x[plane * inside..(plane + 1) * inside], 0);
                let spread = &mut spread[..pixels];
                let grad = &grad[plane * outside..(plane + 1) * outside];
                let mut rows = grad.chunks_exact(width);
                for out in spread.chunks_mut(window.columns) {
                    let row = rows.next().unwrap_or_default();
                    out[..row.len()].copy_from_slice(row);
                    out[row.len()..].fill(0.0);
                }
                for (out, offsets) in out.chunks_mut(TAPS).zip(offsets.chunks(TAPS)) {
                    arch.dispatch(Dots { input, offsets, grad: spread, out });
                }
            }
        });
    };
    out.par_chunks_mut(kernel[0] * kernel[1]).with_min_len(PLANES).enumerate().for_each(|(c, out)| of(c, out));
    out
}

/// `out[t] += Σ_p grad[p] · input[offsets[t] + p]`
struct Dots<'a> {
    input: &'a [f32],
    offsets: &'a [usize],
    grad: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Dots { input, offsets, grad, out } = self;
        match offsets.len() {
            9 => dots::<S, 9>(simd, input, offsets, grad, out),
            7 => dots::<S, 7>(simd, input, offsets, grad, out),
            _ => {
                for (offset, out) in offsets.iter().zip(out) {
                    dots::<S, 1>(simd, input, std::slice::from_ref(offset), grad, std::slice::from_mut(out));
                }
            }
        }
    }
}

#[inline(always)]
fn dots<S: Simd, const N: usize>(simd: S, input: &[f32], offsets: &[usize], grad: &[f32], out: &mut [f32]) {
    let mut sums = [simd.splat_f32s(0.0); N];
    let (vectors, _) = S::as_simd_f32s(grad);
    let rows: [&[S::f32s]; N] =
        std::array::from_fn(|t| &S::as_simd_f32s(&input[offsets[t]..][..grad.len()]).0[..vectors.len()]);
    for (i, grad) in vectors.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(&rows) {
            *sum = simd.mul_add_f32s(*grad, row[i], *sum);
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out += simd.reduce_sum_f32s(sum);
    }
}
