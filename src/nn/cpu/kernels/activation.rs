//! Activation functions and their slopes, in one pass over memory on all threads.

#![expect(clippy::excessive_precision, reason = "coefficients as they are published")]

use super::arch::{Arch, operation, pass};
use std::marker::PhantomData;

/// A function applied to every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x
    Identity,
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6)
    Relu6,
    /// x · sigmoid(x)
    Silu,
    /// x · relu6(x + 3) / 6
    HardSwish,
    /// relu6(x + 3) / 6
    HardSigmoid,
    /// x · Φ(x), with the normal distribution's Φ by its error function
    Gelu,
}

/// A function and its derivative, so that loops are compiled for each.
pub(crate) trait Function: Sync {
    /// f(x)
    fn value(x: f32) -> f32;
    /// f'(x); where f has a corner, torch's choice.
    fn slope(x: f32) -> f32;
}

macro_rules! functions {
    ($($name:ident: |$x:ident| $value:expr, $slope:expr;)*) => {$(
        pub(crate) struct $name;
        impl Function for $name {
            #[inline(always)]
            fn value($x: f32) -> f32 {
                $value
            }
            #[inline(always)]
            fn slope($x: f32) -> f32 {
                $slope
            }
        }
    )*};
}

functions! {
    Identity: |x| x, { let _ = x; 1.0 };
    // A value that is not a number stays one, as in torch.
    Relu: |x| if x < 0.0 { 0.0 } else { x }, if x > 0.0 { 1.0 } else { 0.0 };
    Relu6: |x| x.clamp(0.0, 6.0), if x > 0.0 && x < 6.0 { 1.0 } else { 0.0 };
    Silu: |x| x * sigmoid(x), { let s = sigmoid(x); s * (1.0 + x * (1.0 - s)) };
    HardSwish: |x| x * Relu6::value(x + 3.0) * (1.0 / 6.0),
        if x <= -3.0 { 0.0 } else if x < 3.0 { x * (1.0 / 3.0) + 0.5 } else { 1.0 };
    HardSigmoid: |x| Relu6::value(x + 3.0) * (1.0 / 6.0), if x > -3.0 && x < 3.0 { 1.0 / 6.0 } else { 0.0 };
    Gelu: |x| x * normal(x), normal(x) + x * exp(-0.5 * x * x) * 0.398_942_28;
}

/// Calls `$of` with the type of the activation as `F`.
macro_rules! with_function {
    ($activation:expr, $F:ident => $of:expr) => {
        match $activation {
            $crate::nn::cpu::kernels::Activation::Identity => {
                type $F = $crate::nn::cpu::kernels::activation::Identity;
                $of
            }
            $crate::nn::cpu::kernels::Activation::Relu => {
                type $F = $crate::nn::cpu::kernels::activation::Relu;
                $of
            }
            $crate::nn::cpu::kernels::Activation::Relu6 => {
                type $F = $crate::nn::cpu::kernels::activation::Relu6;
                $of
            }
            $crate::nn::cpu::kernels::Activation::Silu => {
                type $F = $crate::nn::cpu::kernels::activation::Silu;
                $of
            }
            $crate::nn::cpu::kernels::Activation::HardSwish => {
                type $F = $crate::nn::cpu::kernels::activation::HardSwish;
                $of
            }
            $crate::nn::cpu::kernels::Activation::HardSigmoid => {
                type $F = $crate::nn::cpu::kernels::activation::HardSigmoid;
                $of
            }
            $crate::nn::cpu::kernels::Activation::Gelu => {
                type $F = $crate::nn::cpu::kernels::activation::Gelu;
                $of
            }
        }
    };
}
pub(crate) use with_function;

/// exp(x) to 2 units in the last place, without branches or calls, so that loops over it are vectorised:
/// 2^n · exp(r) with |r| <= ln 2 / 2 and the polynomial of Cephes' `expf`. Below -87 as at -87, above 88 as at 88.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// 1.5 · 2^23: added to a small number, it leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_6e-1);
    let p = p.mul_add(r, 5.000_000_1e-1);
    let p = p.mul_add(r * r, r) + 1.0;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    p * f32::from_bits(power)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Φ(x), relative error below 2e-7 · (1 + x²/2): Φ(-|x|) = exp(-x²/2) · t · P(t), the Chebyshev fit of erfc of
/// Press et al., Numerical Recipes (1992), section 6.2.
#[inline(always)]
fn normal(x: f32) -> f32 {
    let z = if x < 0.0 { -x } else { x } * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let p = 0.170_872_77_f32;
    let p = p.mul_add(t, -0.822_152_23);
    let p = p.mul_add(t, 1.488_515_87);
    let p = p.mul_add(t, -1.135_203_98);
    let p = p.mul_add(t, 0.278_868_07);
    let p = p.mul_add(t, -0.186_288_06);
    let p = p.mul_add(t, 0.096_784_18);
    let p = p.mul_add(t, 0.374_091_96);
    let p = p.mul_add(t, 1.000_023_68);
    let p = p.mul_add(t, -1.265_512_23);
    let tail = 0.5 * t * exp(p - z * z);
    if x < 0.0 { tail } else { 1.0 - tail }
}

operation!(<'a, F> Value { out: &'a mut [f32], x: &'a [f32] } -> () {
    for (out, x) in out.iter_mut().zip(x) {
        *out = F::value(*x);
    }
});

operation!(<'a, F> Slope { out: &'a mut [f32], x: &'a [f32], grad: &'a [f32] } -> () {
    for ((out, x), grad) in out.iter_mut().zip(x).zip(grad) {
        *out = F::slope(*x) * grad;
    }
});

operation!(<'a, F> SumValue { out: &'a mut [f32], a: &'a [f32], b: &'a [f32] } -> () {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = F::value(a + b);
    }
});

operation!(<'a, F> SumSlope { out: &'a mut [f32], a: &'a [f32], b: &'a [f32] } -> () {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out *= F::slope(a + b);
    }
});

/// `f(x)`.
#[must_use]
pub fn forward(activation: Activation, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let arch = Arch::new();
    with_function!(activation, F => pass(&mut out, |from, out| {
        arch.dispatch(Value::<F> { out, x: &x[from..], function: PhantomData });
    }));
    out
}

/// `f'(x) · grad`.
#[must_use]
pub fn backward(activation: Activation, x: &[f32], grad: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let arch = Arch::new();
    with_function!(activation, F => pass(&mut out, |from, out| {
        arch.dispatch(Slope::<F> { out, x: &x[from..], grad: &grad[from..], function: PhantomData });
    }));
    out
}

/// `f(a + b)`, the end of a residual block.
#[must_use]
pub fn add_forward(activation: Activation, a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; a.len()];
    let arch = Arch::new();
    with_function!(activation, F => pass(&mut out, |from, out| {
        arch.dispatch(SumValue::<F> { out, a: &a[from..], b: &b[from..], function: PhantomData });
    }));
    out
}

/// `f'(a + b) · grad`, the gradient of both.
#[must_use]
pub fn add_backward(activation: Activation, a: &[f32], b: &[f32], grad: &[f32]) -> Vec<f32> {
    let mut out = grad.to_vec();
    let arch = Arch::new();
    with_function!(activation, F => pass(&mut out, |from, out| {
        arch.dispatch(SumSlope::<F> { out, a: &a[from..], b: &b[from..], function: PhantomData });
    }));
    out
}
