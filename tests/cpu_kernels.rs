//! The kernels of the CPU against the definition of each operation, summed in f64, and a network with and without them.
//! (The dev profile has them off, so the parity tests then run on burn's operations; `cargo test --release` has them on.)

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::grads::{gradients, training};
use frostline::models::{Mode, Network, find};
use frostline::nn::cpu::kernels::conv::{self, Conv, Finish};
use frostline::nn::cpu::kernels::norm::{self, Statistics};
use frostline::nn::cpu::kernels::pool::{self, Pool};
use frostline::nn::cpu::kernels::sums::{self, Taps};
use frostline::nn::cpu::kernels::{Activation, activation, depthwise};
use frostline::nn::cpu::{Adam, Descent, Moving, Rule, update};
use frostline::nn::{Ctx, Value};
use std::sync::Mutex;

/// Numbers between -0.5 and 0.5.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX)) as f32 - 0.5
    };
    (0..count).map(next).collect()
}

/// Calls `of(output, input, weight)` with the indices of every product.
fn products(conv: &Conv, groups: usize, mut of: impl FnMut(usize, usize, usize)) {
    let Conv { batch, inputs, outputs, size, kernel, stride, padding, dilation } = *conv;
    let [height, width] = conv.out_size();
    let (per_in, per_out) = (inputs / groups, outputs / groups);
    for n in 0..batch * outputs * height * width {
        let (x, y, output) = (n % width, n / width % height, n / width / height % outputs);
        let picture = n / width / height / outputs;
        for k in 0..per_in * kernel[0] * kernel[1] {
            let (kx, ky, i) = (k % kernel[1], k / kernel[1] % kernel[0], k / kernel[1] / kernel[0]);
            let row = (y * stride + ky * dilation).checked_sub(padding).filter(|row| *row < size[0]);
            let column = (x * stride + kx * dilation).checked_sub(padding).filter(|column| *column < size[1]);
            if let (Some(row), Some(column)) = (row, column) {
                let plane = picture * inputs + output / per_out * per_in + i;
                of(n, (plane * size[0] + row) * size[1] + column, output * per_in * kernel[0] * kernel[1] + k);
            }
        }
    }
}

fn close(who: &str, ours: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), wanted.len(), "{who}");
    let largest = wanted.iter().fold(1e-20, |largest: f64, value| largest.max(value.abs()));
    for (i, (ours, wanted)) in ours.iter().zip(wanted).enumerate() {
        assert!((f64::from(*ours) - wanted).abs() <= tolerance * largest, "{who} [{i}]: {ours} and not {wanted}");
    }
}

/// Batch, inputs, outputs, height, width, kernel, stride, padding, dilation.
const CONVS: [[usize; 9]; 12] = [
    [2, 3, 5, 9, 11, 3, 1, 1, 1],
    [1, 8, 16, 14, 14, 3, 2, 1, 1],
    [2, 20, 9, 7, 7, 1, 1, 0, 1],
    [2, 6, 8, 10, 13, 1, 2, 0, 1],
    [1, 3, 8, 23, 21, 7, 2, 3, 1],
    [2, 4, 4, 12, 12, 3, 1, 2, 2],
    [1, 17, 33, 5, 4, 3, 2, 1, 1],
    [2, 2, 3, 8, 8, 2, 2, 0, 1],
    [1, 5, 4, 9, 9, 3, 3, 1, 1],
    [1, 3, 3, 3, 3, 3, 1, 0, 1],
    [1, 4, 4, 13, 9, 3, 2, 2, 2],
    [1, 60, 8, 6, 6, 3, 1, 1, 1],
];

fn each_conv(check: impl Fn(&Conv, bool)) {
    for [batch, inputs, outputs, height, width, kernel, stride, padding, dilation] in CONVS {
        let size = [height, width];
        let conv = Conv { batch, inputs, outputs, size, kernel: [kernel; 2], stride, padding, dilation };
        check(&conv, false);
        check(&Conv { outputs: inputs, ..conv }, true);
    }
}

#[test]
fn convolutions_and_their_gradients_are_the_sums_of_the_definition() {
    each_conv(|conv, deep| {
        let groups = if deep { conv.inputs } else { 1 };
        let [height, width] = conv.out_size();
        let x = numbers(conv.batch * conv.inputs * conv.size[0] * conv.size[1], 1);
        let weight = numbers(conv.outputs * conv.inputs / groups * conv.kernel[0] * conv.kernel[1], 2);
        let grad = numbers(conv.batch * conv.outputs * height * width, 3);
        let (mut out, mut of_x, mut of_weight) = (vec![0.0; grad.len()], vec![0.0; x.len()], vec![0.0; weight.len()]);
        products(conv, groups, |o, i, w| {
            out[o] += f64::from(x[i]) * f64::from(weight[w]);
            of_x[i] += f64::from(grad[o]) * f64::from(weight[w]);
            of_weight[w] += f64::from(grad[o]) * f64::from(x[i]);
        });
        let ours = if deep {
            let out = depthwise::forward(conv, &x, &weight, &Finish::NONE);
            [out, depthwise::input_grad(conv, &weight, &grad), depthwise::weight_grad(conv, &x, &grad)]
        } else {
            let out = conv::forward(conv, &x, &weight, &Finish::NONE);
            [out, conv::input_grad(conv, &weight, &grad), conv::weight_grad(conv, &x, &grad)]
        };
        for (who, (ours, wanted)) in ["output", "input", "weight"].iter().zip(ours.iter().zip([out, of_x, of_weight])) {
            close(&format!("{who} of {conv:?}, depthwise {deep}"), ours, &wanted, 2e-6);
        }
    });
}

#[test]
fn a_picture_has_the_same_bits_in_any_batch_and_on_any_number_of_threads() {
    each_conv(|conv, deep| {
        let picture = conv.inputs * conv.size[0] * conv.size[1];
        let x = numbers(5 * picture, 1);
        let weight = numbers(conv.outputs * conv.inputs * conv.kernel[0] * conv.kernel[1], 2);
        let of = if deep { depthwise::forward } else { conv::forward };
        let all = of(&Conv { batch: 5, ..*conv }, &x, &weight, &Finish::NONE);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let alone = Conv { batch: 1, ..*conv };
        let one = pool.install(|| of(&alone, &x[3 * picture..4 * picture], &weight, &Finish::NONE));
        assert_eq!(all[3 * one.len()..4 * one.len()], one[..], "{conv:?}");
    });
}

#[test]
fn what_follows_a_convolution_is_the_same_in_one_pass() {
    let conv =
        Conv { batch: 2, inputs: 3, outputs: 10, size: [9, 8], kernel: [3, 3], stride: 2, padding: 1, dilation: 1 };
    let [x, weight, scale, shift] = [(432, 1), (270, 2), (10, 3), (10, 4)].map(|(count, seed)| numbers(count, seed));
    let plain = conv::forward(&conv, &x, &weight, &Finish::NONE);
    let residual = numbers(plain.len(), 5);
    let finish =
        Finish { scale: Some(&scale), shift: Some(&shift), residual: Some(&residual), activation: Activation::Relu };
    let value = |(i, value): (usize, &f32)| {
        let channel = i / 20 % 10;
        f64::from(value.mul_add(scale[channel], shift[channel]) + residual[i]).max(0.0)
    };
    let wanted: Vec<f64> = plain.iter().enumerate().map(value).collect();
    assert!(wanted.contains(&0.0) && wanted.iter().any(|value| *value > 0.0));
    close("in one pass", &conv::forward(&conv, &x, &weight, &finish), &wanted, 1e-7);
}

/// f(x) in f64, erf by its series.
fn exact(activation: Activation, x: f64) -> f64 {
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Silu => x * sigmoid,
        Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::HardSigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Gelu => {
            let z = x / std::f64::consts::SQRT_2;
            let (mut term, mut sum) = (z, z);
            for n in 1..200 {
                term *= -z * z / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            x * 0.5 * (1.0 + sum * std::f64::consts::FRAC_2_SQRT_PI)
        }
    }
}

const ALL: [Activation; 7] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Relu6,
    Activation::Silu,
    Activation::HardSwish,
    Activation::HardSigmoid,
    Activation::Gelu,
];

#[test]
fn activations_and_their_slopes_are_right_to_a_few_roundings() {
    // Not on the corners, where the difference quotient sees both sides.
    let x: Vec<f32> = (0..2001).map(|i| (i as f32 - 1000.3) * 0.0047).collect();
    for activation in ALL {
        let (out, slope) =
            (activation::forward(activation, &x), activation::backward(activation, &x, &vec![1.0; 2001]));
        // The series for erf in f64 is exact enough up to here.
        let end = if activation == Activation::Gelu { 3.7 } else { 10.0 };
        for ((x, out), slope) in x.iter().zip(out).zip(slope).filter(|((x, _), _)| x.abs() < end) {
            let x = f64::from(*x);
            let wanted = exact(activation, x);
            let error = (f64::from(out) - wanted).abs();
            // Gelu's tail is exp(-x²/2), whose exponent is rounded.
            let share = if activation == Activation::Gelu { 1e-6 + 1e-7 * x * x } else { 1e-6 };
            assert!(error <= share * wanted.abs() + 1e-12, "{activation:?}({x}): {out} and not {wanted}");
            let quotient = (exact(activation, x + 1e-5) - exact(activation, x - 1e-5)) / 2e-5;
            assert!((f64::from(slope) - quotient).abs() <= 2e-6, "{activation:?}'({x}): {slope} and not {quotient}");
        }
    }
}

#[test]
fn activations_keep_what_is_not_a_number_and_reach_their_limits() {
    for activation in ALL {
        assert!(activation::forward(activation, &[f32::NAN])[0].is_nan(), "{activation:?}");
        let limit = match activation {
            Activation::Relu6 => 6.0,
            Activation::HardSigmoid => 1.0,
            _ => 1e30,
        };
        let ours = activation::forward(activation, &[1e30])[0];
        assert!((ours / limit - 1.0).abs() < 2e-7, "{activation:?}: {ours}");
    }
}

#[test]
fn batch_norm_and_its_gradients_are_those_of_the_definition() {
    let (batch, channels, pixels, epsilon) = (3, 4, 35, 1e-3);
    let [x, grad] = [7, 8].map(|seed| numbers(batch * channels * pixels, seed));
    let [weight, bias] = [9, 10].map(|seed| numbers(channels, seed));
    let at = |c: usize| (0..batch * pixels).map(move |i| (i / pixels * channels + c) * pixels + i % pixels);
    let count = (batch * pixels) as f64;
    let [mut out, mut of_x] = [(); 2].map(|()| vec![0.0; x.len()]);
    let [mut mean, mut variance, mut of_weight, mut of_bias] = [(); 4].map(|()| vec![0.0; channels]);
    for c in 0..channels {
        let (w, b) = (f64::from(weight[c]), f64::from(bias[c]));
        mean[c] = at(c).map(|i| f64::from(x[i])).sum::<f64>() / count;
        variance[c] = at(c).map(|i| (f64::from(x[i]) - mean[c]).powi(2)).sum::<f64>() / count;
        let inverse = 1.0 / (variance[c] + epsilon).sqrt();
        let normed = |i: usize| (f64::from(x[i]) - mean[c]) * inverse;
        let back = |i: usize| if normed(i) * w + b > 0.0 { f64::from(grad[i]) } else { 0.0 };
        of_bias[c] = at(c).map(back).sum();
        of_weight[c] = at(c).map(|i| back(i) * normed(i)).sum();
        for i in at(c) {
            out[i] = (normed(i) * w + b).max(0.0);
            of_x[i] = w * inverse * (back(i) - of_bias[c] / count - normed(i) * of_weight[c] / count);
        }
    }
    let ours = norm::train(&x, pixels, (&weight, &bias), epsilon as f32, Activation::Relu);
    close("output", &ours.out, &out, 1e-6);
    close("mean", &ours.mean, &mean, 1e-6);
    close("variance", &ours.variance, &variance, 1e-6);
    let statistics = Statistics { mean: &ours.mean, variance: &ours.variance, epsilon: epsilon as f32 };
    let grads = norm::train_backward(&x, &grad, pixels, (&weight, &bias), statistics, Activation::Relu);
    close("gradient of x", &grads.x, &of_x, 3e-6);
    close("gradient of the weight", &grads.weight, &of_weight, 3e-6);
    close("gradient of the bias", &grads.bias, &of_bias, 3e-6);
    // With stored statistics: the same output, and no way back through mean and variance.
    let inverse = |c: usize| 1.0 / (ours.variance[c] + epsilon as f32).sqrt();
    let scale: Vec<f32> = (0..channels).map(|c| weight[c] * inverse(c)).collect();
    let shift: Vec<f32> = (0..channels).map(|c| bias[c] - ours.mean[c] * scale[c]).collect();
    close("stored", &norm::affine(&x, pixels, &scale, &shift, Activation::Relu), &out, 1e-6);
    let affine = (scale.as_slice(), shift.as_slice());
    let stored = norm::affine_backward(&x, &grad, pixels, affine, Activation::Relu, Some(&ours.mean));
    close("stored bias", &stored.shift, &of_bias, 3e-6);
    let of_product: Vec<f32> = (0..channels).map(|c| stored.product[c] * inverse(c)).collect();
    close("stored weight", &of_product, &of_weight, 3e-6);
}

/// Ties and values that are not numbers as torch takes them: the first of equal values, any that is not a number.
#[test]
fn pooling_takes_the_first_of_the_largest() {
    for (size, kernel, stride, padding) in [
        ([9, 11], 3, 2, 1),
        ([8, 6], 2, 2, 0),
        ([7, 5], 5, 1, 2),
        ([4, 4], 4, 4, 0),
        ([5, 9], 2, 3, 1),
        ([1, 3], 3, 2, 1),
    ] {
        let pool = Pool { size, kernel, stride, padding };
        let [height, width] = pool.out_size();
        // Few different values, so that many are equal.
        let mut x: Vec<f32> = numbers(3 * size[0] * size[1], 7).iter().map(|x| (x * 6.0).round()).collect();
        x[1] = f32::NAN;
        let grad = numbers(3 * height * width, 8);
        let (out, places) = pool::forward(&pool, &x, true);
        let mut of_x = vec![0.0; x.len()];
        for (i, grad) in grad.iter().enumerate() {
            let (plane, oy, ox) = (i / (height * width), i / width % height, i % width);
            let mut best: Option<usize> = None;
            for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                let (y, x_at) = ((oy * stride + ky).wrapping_sub(padding), (ox * stride + kx).wrapping_sub(padding));
                if y < size[0] && x_at < size[1] {
                    let at = (plane * size[0] + y) * size[1] + x_at;
                    if best.is_none_or(|best| x[at] > x[best] || x[at].is_nan()) {
                        best = Some(at);
                    }
                }
            }
            let best = best.unwrap();
            assert!(out[i] == x[best] || out[i].is_nan() && x[best].is_nan(), "{pool:?} [{i}]: {}", out[i]);
            of_x[best] += f64::from(*grad);
        }
        close(&format!("gradient of {pool:?}"), &pool::backward(&pool, &grad, &places), &of_x, 1e-6);
        let (alone, none) = pool::forward(&pool, &x, false);
        assert!(alone.iter().zip(&out).all(|(a, b)| a.to_bits() == b.to_bits()) && none.is_empty());
    }
}

/// Sums of some rows of a table, of none, and of one row twice.
#[test]
fn sums_of_weighted_rows_go_back_to_their_rows() {
    for (rows, width, sums) in [(7, 5, 4), (40, 33, 200), (3, 1, 1)] {
        let (table, grad) = (numbers(rows * width, 9), numbers(sums * width, 10));
        let (places, weights) = (numbers(3 * sums, 11), numbers(3 * sums, 12));
        let (mut taps, mut out, mut of_table) = (Taps::default(), vec![0.0; sums * width], vec![0.0; rows * width]);
        for sum in 0..sums {
            let row = |tap: usize| ((places[3 * sum + tap] + 0.5) * (rows as f32 - 0.01)) as usize;
            let own: Vec<(u32, f32)> = match sum % 3 {
                0 => (0..3).map(|tap| (row(tap) as u32, weights[3 * sum + tap])).collect(),
                1 => Vec::new(),
                _ => [0, 0].map(|tap| (row(tap) as u32, weights[3 * sum])).to_vec(),
            };
            for (&(row, weight), i) in own.iter().flat_map(|tap| (0..width).map(move |i| (tap, i))) {
                out[sum * width + i] += f64::from(weight) * f64::from(table[row as usize * width + i]);
                of_table[row as usize * width + i] += f64::from(weight) * f64::from(grad[sum * width + i]);
            }
            taps.push(own);
        }
        assert_eq!(taps.sums(), sums);
        assert!(taps.table() <= rows);
        close("sums", &sums::forward(&taps, &table, width), &out, 1e-6);
        close("gradient of the table", &sums::backward(&taps, &grad, rows, width), &of_table, 3e-6);
    }
}

/// Torch's SGD with momentum and AdamW, written out, on more values than one thread takes at a time.
#[test]
fn optimizers_move_weights_where_they_lie_by_their_definition() {
    const COUNT: usize = 70_001;
    let tensor = |values: Vec<f32>| Tensor::<1>::from_data(TensorData::new(values, [COUNT]), &Device::flex());
    let read = |tensor: &Tensor<1>| tensor.clone().into_data().try_to_vec::<f32>().unwrap();
    let wide = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let descent = Descent { scale: 0.5, decay: 0.01, lr: 0.1 };
    let adam = |step: i32| Adam {
        scale: 0.5,
        mean: [0.9, 0.1],
        square: [0.999, 0.001],
        root: (1.0 - 0.999_f64.powi(step)).sqrt() as f32,
        epsilon: 1e-8,
        rate: (0.1 / (1.0 - 0.9_f64.powi(step))) as f32,
        shrink: 1.0 - 0.1 * 0.01,
    };
    for kind in 0..3 {
        let start = tensor(numbers(COUNT, 20));
        let (mut weight, mut first, mut second) = (start.clone(), None, None);
        let (mut w, mut m, mut v) = (wide(&read(&start)), vec![0.0; COUNT], vec![0.0; COUNT]);
        for step in 1..=3 {
            let grad = numbers(COUNT, 20 + step as u32);
            for i in 0..COUNT {
                let g = 0.5 * f64::from(grad[i]);
                match kind {
                    0 => w[i] -= 0.1 * (g + 0.01 * w[i]),
                    1 => {
                        m[i] = 0.9 * m[i] + g + 0.01 * w[i];
                        w[i] -= 0.1 * m[i];
                    }
                    _ => {
                        (m[i], v[i]) = (0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g * g);
                        let (mean, square) = (m[i] / (1.0 - 0.9_f64.powi(step)), v[i] / (1.0 - 0.999_f64.powi(step)));
                        w[i] = w[i] * (1.0 - 0.1 * 0.01) - 0.1 * mean / (square.sqrt() + 1e-8);
                    }
                }
            }
            let rule = match kind {
                0 => Rule::Descent(descent),
                1 => Rule::Momentum(descent, 0.9),
                _ => Rule::Adam(adam(step)),
            };
            let moving = Moving { weight, grad: tensor(grad), first, second };
            let moved = with_kernels(true, || update(rule, moving)).unwrap();
            (weight, first, second) = (moved.weight, moved.first, moved.second);
            close("weights", &read(&weight), &w, 1e-5);
        }
        assert_eq!((first.is_some(), second.is_some()), (kind > 0, kind > 1));
        assert_eq!(read(&start), numbers(COUNT, 20), "a copy that somebody holds stays as it is");
    }
    let weight = tensor(vec![1.0; COUNT]);
    let moving = Moving { grad: weight.clone(), weight, first: None, second: None };
    assert!(with_kernels(false, || update(Rule::Descent(descent), moving)).is_err(), "switched off");
}

/// A softmax that is sure has gradients of `exp(-90)`, for which a processor takes a hundred times as long.
#[test]
fn gradients_too_small_to_matter_become_zero_and_no_other_changes() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_floats([[1.0, -2.0, 3.0, 4.0, 5.0]], &device).require_grad();
    let back = [1.0, -9e-31, 1.1e-30, -1e-42, f32::NAN];
    let value = with_kernels(true, || {
        let same = Value::Vector(x.clone()).flush_gradient().vector().unwrap();
        let grads = (same.clone() * Tensor::from_floats([back], &device)).sum().backward();
        [same.inner(), x.grad(&grads).unwrap()].map(|tensor| tensor.into_data().try_to_vec::<f32>().unwrap())
    });
    assert_eq!(value[0], [1.0, -2.0, 3.0, 4.0, 5.0]);
    assert_eq!(value[1][..4], [1.0, 0.0, 1.1e-30, 0.0]);
    assert!(value[1][4].is_nan(), "what is not a number is not hidden");
}

/// Runs `of`, and nothing else of these tests, with the kernels on or off.
fn with_kernels<T>(on: bool, of: impl FnOnce() -> T) -> T {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock();
    frostline::nn::cpu::switch(on);
    let out = of();
    frostline::nn::cpu::switch(false);
    drop(one);
    out
}

/// Gradients by name.
type Named = Vec<(String, Vec<f32>)>;

/// Output values, and the gradients of all that trains by name, of a step on pictures of `side` pixels.
fn step(network: &Network, side: usize, on: bool) -> (Vec<f32>, Named, u64) {
    with_kernels(on, || run(network, side))
}

fn run(network: &Network, side: usize) -> (Vec<f32>, Named, u64) {
    let pixels = TensorData::new(numbers(2 * 3 * side * side, 5), [2, 3, side, side]);
    let outputs =
        network.forward(Tensor::from_data(pixels, &Device::flex()), Mode::Train, &mut Ctx::default()).unwrap();
    let maps = match &outputs[0] {
        Value::Pyramid(maps) => maps.clone(),
        other => vec![other.clone().map().unwrap()],
    };
    let values = maps.iter().flat_map(|map| map.clone().inner().into_data().try_to_vec::<f32>().unwrap()).collect();
    let square = |map: &Tensor<4>| (map.clone() * map.clone()).mean();
    let grads = maps.iter().map(square).reduce(|a, b| a + b).unwrap().backward();
    let all: serde_json::Map<String, serde_json::Value> =
        network.facts().tensors().map(|tensor| (tensor.name.clone(), serde_json::Value::Null)).collect();
    let see = gradients(network, &grads, &serde_json::Value::Object(all));
    let mut found: Named = see.found.into_iter().collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    (values, found, see.count)
}

/// Depthwise, 1×1, strided and transposed convolutions, batch norm in both ways, activations, pooling, biases, frozen parts.
#[test]
fn a_network_gives_the_same_with_and_without_them() {
    let yolox: [&[&str]; 3] = [&[""], &["head"], &["backbone.backbone.dark2", "head"]];
    agree("yolox_nano", 64, &yolox);
    agree("unet_small", 32, &[&[""], &["up2", "up3", "up4", "outc"]]);
}

fn agree(model: &str, side: usize, plans: &[&[&str]]) {
    let graph = std::sync::Arc::new(find(model).unwrap().graph(3, side).unwrap());
    let mut network = Network::new(graph, 1, &Device::flex()).unwrap();
    for prefixes in plans {
        network.set_plan(&training(&network, prefixes));
        let (output, grads, count) = step(&network, side, true);
        let (wanted, wanted_grads, wanted_count) = step(&network, side, false);
        assert_eq!(count, wanted_count, "what is frozen has no gradient");
        assert!(count > 0 && count <= network.frontier().trainable);
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        // Batch norm over the eight cells of the smallest maps enlarges roundings a hundredfold.
        close("output", &output, &wide(&wanted), 2e-4);
        assert!(grads.len() > 10 && grads.len() == wanted_grads.len());
        for ((name, ours), (_, wanted)) in grads.iter().zip(&wanted_grads) {
            // Where both are right they differ by what a rounding does behind max pooling and batch norm of small maps.
            let (mut difference, mut norm) = (0.0, 0.0);
            for (ours, wanted) in ours.iter().zip(wanted) {
                difference += f64::from(ours - wanted).powi(2);
                norm += f64::from(*wanted).powi(2);
            }
            // (A bias before a norm of the batch has no gradient but rounding.)
            let (difference, norm) = (difference.sqrt(), norm.sqrt());
            assert!(difference < 1e-2 * norm + 1e-4, "gradient of {name}: {difference} of {norm}");
        }
    }
}
