//! Batch normalisation over `[batch, channels, pixels]` (Ioffe & Szegedy 2015, arXiv:1502.03167), together with the
//! activation behind it: forward and backward, with stored statistics or those of the batch.

use super::activation::{Activation, Function, with_function};
use super::arch::{Arch, operation};
use rayon::prelude::*;
use std::marker::PhantomData;

/// Planes that a thread takes at a time, at least this many values.
const VALUES: usize = 1 << 14;

/// `f(x · scale + shift)` by channel.
#[must_use]
pub fn affine(x: &[f32], pixels: usize, scale: &[f32], shift: &[f32], activation: Activation) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let (arch, channels) = (Arch::new(), scale.len());
    with_function!(activation, F => {
        let each = |(i, (out, x)): (usize, (&mut [f32], &[f32]))| {
            let line = Line { center: 0.0, slope: scale[i % channels], shift: shift[i % channels] };
            arch.dispatch(Values::<F> { line, out, x, function: PhantomData });
        };
        let planes = out.par_chunks_mut(pixels).zip(x.par_chunks(pixels));
        planes.with_min_len(VALUES.div_ceil(pixels)).enumerate().for_each(each);
    });
    out
}

/// What flows back through [`affine`].
#[derive(Clone, Debug)]
pub struct AffineGrads {
    /// Of the input; empty where it was not asked for.
    pub x: Vec<f32>,
    /// By channel, Σ f' · grad: the gradient of the shift.
    pub shift: Vec<f32>,
    /// By channel, Σ f' · grad · (x - center).
    pub product: Vec<f32>,
}

/// Gradients of [`affine`]; the sums over channels only if there is a `center`.
#[must_use]
pub fn affine_backward(
    x: &[f32],
    grad: &[f32],
    pixels: usize,
    (scale, shift): (&[f32], &[f32]),
    activation: Activation,
    center: Option<&[f32]>,
) -> AffineGrads {
    let (arch, channels) = (Arch::new(), scale.len());
    let mut out = vec![0.0; x.len()];
    with_function!(activation, F => {
        let planes = out.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).zip(grad.par_chunks(pixels));
        planes.with_min_len(VALUES.div_ceil(pixels)).enumerate().for_each(|(i, ((out, x), grad))| {
            let line = Line { center: 0.0, slope: scale[i % channels], shift: shift[i % channels] };
            let none = Line { center: 0.0, slope: 0.0, shift: 0.0 };
            arch.dispatch(Grads::<F> { line, out, x, grad, back: none, function: PhantomData });
        });
    });
    let mut grads = AffineGrads { x: out, shift: Vec::new(), product: Vec::new() };
    if let Some(center) = center {
        let of = |c: usize| {
            let line = Line { center: 0.0, slope: scale[c], shift: shift[c] };
            let factor = Line { center: center[c], slope: 1.0, shift: 0.0 };
            with_function!(activation, F => channel_sums::<F>(arch, x, grad, (c, channels, pixels), line, factor))
        };
        let all: Vec<[f64; 2]> = (0..channels).into_par_iter().map(of).collect();
        grads.shift = all.iter().map(|[shift, _]| *shift as f32).collect();
        grads.product = all.iter().map(|[_, product]| *product as f32).collect();
    }
    grads
}

/// Result of a training step's normalisation.
#[derive(Clone, Debug)]
pub struct Trained {
    /// As `x`.
    pub out: Vec<f32>,
    /// Of the batch, by channel.
    pub mean: Vec<f32>,
    /// Of the batch, by channel, divided by n.
    pub variance: Vec<f32>,
}

/// `f((x - mean) / √(variance + epsilon) · weight + bias)` with the batch's statistics.
#[must_use]
pub fn train(
    x: &[f32],
    pixels: usize,
    (weight, bias): (&[f32], &[f32]),
    epsilon: f32,
    activation: Activation,
) -> Trained {
    let (arch, channels) = (Arch::new(), weight.len());
    let mut out = vec![0.0; x.len()];
    let of = |(c, planes): (usize, Vec<&mut [f32]>)| {
        let from = || x.chunks_exact(pixels).skip(c).step_by(channels);
        let count = (planes.len() * pixels).max(1) as f64;
        let total: f64 = from().map(|x| f64::from(arch.dispatch(Sum { x }))).sum();
        let mean = (total / count) as f32;
        let total: f64 = from().map(|x| f64::from(arch.dispatch(Squares { x, center: mean }))).sum();
        let variance = (total / count) as f32;
        let line = Line { center: mean, slope: weight[c] / (variance + epsilon).sqrt(), shift: bias[c] };
        for (out, x) in planes.into_iter().zip(from()) {
            with_function!(activation, F => arch.dispatch(Values::<F> { line, out, x, function: PhantomData }));
        }
        (mean, variance)
    };
    let (mean, variance) = by_channel(&mut out, channels, pixels).into_par_iter().enumerate().map(of).unzip();
    Trained { out, mean, variance }
}

/// What flows back through [`train`].
#[derive(Clone, Debug)]
pub struct TrainGrads {
    /// Of the input.
    pub x: Vec<f32>,
    /// By channel.
    pub weight: Vec<f32>,
    /// By channel.
    pub bias: Vec<f32>,
}

/// A step's statistics, by channel.
#[derive(Clone, Copy, Debug)]
pub struct Statistics<'a> {
    /// Of the batch.
    pub mean: &'a [f32],
    /// Of the batch, divided by n.
    pub variance: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// Gradients of [`train`].
#[must_use]
pub fn train_backward(
    x: &[f32],
    grad: &[f32],
    pixels: usize,
    (weight, bias): (&[f32], &[f32]),
    statistics: Statistics<'_>,
    activation: Activation,
) -> TrainGrads {
    let (arch, channels) = (Arch::new(), weight.len());
    let mut out = vec![0.0; x.len()];
    let of = |(c, planes): (usize, Vec<&mut [f32]>)| {
        let inverse = 1.0 / (statistics.variance[c] + statistics.epsilon).sqrt();
        let center = statistics.mean[c];
        let line = Line { center, slope: weight[c] * inverse, shift: bias[c] };
        let normed = Line { center, slope: inverse, shift: 0.0 };
        let count = (planes.len() * pixels).max(1) as f64;
        with_function!(activation, F => {
            let [total, product] = channel_sums::<F>(arch, x, grad, (c, channels, pixels), line, normed);
            let slope = (product / count) as f32 * inverse;
            let back = Line { center, slope, shift: (total / count) as f32 };
            let from = x.chunks_exact(pixels).zip(grad.chunks_exact(pixels)).skip(c).step_by(channels);
            for (out, (x, grad)) in planes.into_iter().zip(from) {
                arch.dispatch(Grads::<F> { line, out, x, grad, back, function: PhantomData });
            }
            (product as f32, total as f32)
        })
    };
    let (weight, bias) = by_channel(&mut out, channels, pixels).into_par_iter().enumerate().map(of).unzip();
    TrainGrads { x: out, weight, bias }
}

/// `(x - center) · slope + shift`
#[derive(Clone, Copy)]
struct Line {
    center: f32,
    slope: f32,
    shift: f32,
}

impl Line {
    #[inline(always)]
    fn at(self, x: f32) -> f32 {
        (x - self.center).mul_add(self.slope, self.shift)
    }
}

operation!(<'a, F> Values { line: Line, out: &'a mut [f32], x: &'a [f32] } -> () {
    for (out, x) in out.iter_mut().zip(x) {
        *out = F::value(line.at(*x));
    }
});

// (f' · grad - back(x)) · slope
operation!(<'a, F> Grads { line: Line, out: &'a mut [f32], x: &'a [f32], grad: &'a [f32], back: Line } -> () {
    for ((out, x), grad) in out.iter_mut().zip(x).zip(grad) {
        *out = (F::slope(line.at(*x)) * grad - back.at(*x)) * line.slope;
    }
});

// Sum of the values, in 32 lanes.
operation!(<'a> Sum { x: &'a [f32] } -> f32 {
    let (blocks, rest) = pulp::as_arrays::<32, f32>(x);
    let mut sums = [0.0_f32; 32];
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += *x;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
});

// Sum of the squared distances from `center`, in 32 lanes.
operation!(<'a> Squares { x: &'a [f32], center: f32 } -> f32 {
    let (blocks, rest) = pulp::as_arrays::<32, f32>(x);
    let mut sums = [0.0_f32; 32];
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += (x - center) * (x - center);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| (x - center) * (x - center)).sum::<f32>()
});

/// Adds its channel's value to each plane.
pub fn add_bias(out: &mut [f32], pixels: usize, bias: &[f32]) {
    out.par_chunks_mut(pixels.max(1)).with_min_len(VALUES.div_ceil(pixels.max(1))).enumerate().for_each(|(i, out)| {
        let bias = bias[i % bias.len()];
        out.iter_mut().for_each(|out| *out += bias);
    });
}

/// Sum of each channel: the gradient of a convolution's bias.
#[must_use]
pub fn bias_grad(grad: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let arch = Arch::new();
    let of = |c: usize| {
        let planes = grad.chunks_exact(pixels).skip(c).step_by(channels);
        planes.map(|plane| f64::from(arch.dispatch(Sum { x: plane }))).sum::<f64>() as f32
    };
    (0..channels).into_par_iter().map(of).collect()
}

/// Σ f'(line(x)) · grad, and the same times `factor(x)`, over a channel; in f32 by plane, in f64 over the planes.
fn channel_sums<F: Function>(
    arch: Arch,
    x: &[f32],
    grad: &[f32],
    (channel, channels, pixels): (usize, usize, usize),
    line: Line,
    factor: Line,
) -> [f64; 2] {
    let planes = x.chunks_exact(pixels).zip(grad.chunks_exact(pixels)).skip(channel).step_by(channels);
    planes.fold([0.0, 0.0], |[total, product], (x, grad)| {
        let [a, b] = arch.dispatch(PlaneSums::<F> { x, grad, line, factor, function: PhantomData });
        [total + f64::from(a), product + f64::from(b)]
    })
}

operation!(<'a, F> PlaneSums { x: &'a [f32], grad: &'a [f32], line: Line, factor: Line } -> [f32; 2] {
    let (mut totals, mut products) = ([0.0_f32; 32], [0.0_f32; 32]);
    let (xs, x) = pulp::as_arrays::<32, f32>(x);
    let (grads, grad) = pulp::as_arrays::<32, f32>(grad);
    for (x, grad) in xs.iter().zip(grads) {
        for i in 0..32 {
            let grad = F::slope(line.at(x[i])) * grad[i];
            totals[i] += grad;
            products[i] += grad * factor.at(x[i]);
        }
    }
    let mut out = [totals.iter().sum::<f32>(), products.iter().sum::<f32>()];
    for (x, grad) in x.iter().zip(grad) {
        let grad = F::slope(line.at(*x)) * grad;
        out[0] += grad;
        out[1] += grad * factor.at(*x);
    }
    out
});

/// The planes of each channel.
fn by_channel(out: &mut [f32], channels: usize, pixels: usize) -> Vec<Vec<&mut [f32]>> {
    let mut all: Vec<Vec<&mut [f32]>> = (0..channels).map(|_| Vec::new()).collect();
    for (i, plane) in out.chunks_exact_mut(pixels).enumerate() {
        all[i % channels].push(plane);
    }
    all
}
