//! Elementary functions out of `+ - * /` and `sqrt` only. The platform's `sin` or `ln` may differ in the last bit
//! between operating systems; these do not, so a scene has the same bytes everywhere.

pub(super) const PI: f32 = std::f32::consts::PI;
pub(super) const TAU: f32 = std::f32::consts::TAU;

/// The next whole number below. The baseline x86-64 target has no instruction for `f32::floor`; for |x| < 2^31 this
/// is the same number without a call.
#[inline]
pub(super) fn floor(x: f32) -> f32 {
    let whole = x as i32 as f32;
    if whole > x { whole - 1.0 } else { whole }
}

/// The part after the decimal point, in `[0, 1)`.
#[inline]
pub(super) fn fract(x: f32) -> f32 {
    x - floor(x)
}

/// Sine of an angle in radians (error below 1e-5 for |x| < 100).
#[inline]
pub(super) fn sin(x: f32) -> f32 {
    let turns = x * (1.0 / TAU);
    let mut t = turns - floor(turns + 0.5); // [-0.5, 0.5)
    if t > 0.25 {
        t = 0.5 - t;
    } else if t < -0.25 {
        t = -0.5 - t;
    }
    let a = t * TAU;
    let s = a * a;
    a * (1.0 + s * (-1.0 / 6.0 + s * (1.0 / 120.0 + s * (-1.0 / 5040.0 + s * (1.0 / 362_880.0)))))
}

/// Cosine of an angle in radians.
pub(super) fn cos(x: f32) -> f32 {
    sin(x + 0.5 * PI)
}

/// Angle of the point `(x, y)` in `(-pi, pi]` (error below 2e-4); 0 at the origin.
pub(super) fn atan2(y: f32, x: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let (low, high) = (ax.min(ay), ax.max(ay));
    if high == 0.0 {
        return 0.0;
    }
    let r = low / high;
    let s = r * r;
    let mut a = r * (0.999_866 + s * (-0.330_299_5 + s * (0.180_141 + s * (-0.085_133 + s * 0.020_835_1))));
    if ay > ax {
        a = 0.5 * PI - a;
    }
    if x < 0.0 {
        a = PI - a;
    }
    if y < 0.0 { -a } else { a }
}

/// Natural logarithm of a positive, normal number (error below 1e-5); other numbers count as the smallest of those.
pub(super) fn ln(x: f32) -> f32 {
    let bits = x.max(f32::MIN_POSITIVE).to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let mantissa = f32::from_bits((bits & 0x007F_FFFF) | 0x3F80_0000); // [1, 2)
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let s = z * z;
    let series = 2.0 * z * (1.0 + s * (1.0 / 3.0 + s * (0.2 + s * (1.0 / 7.0 + s / 9.0))));
    exponent as f32 * std::f32::consts::LN_2 + series
}

/// e to the power `x`, for `x` held to `[-80, 80]` (relative error below 1e-5).
pub(super) fn exp(x: f32) -> f32 {
    let y = x.clamp(-80.0, 80.0) * std::f32::consts::LOG2_E;
    let whole = floor(y + 0.5);
    let f = (y - whole) * std::f32::consts::LN_2;
    let series = 1.0 + f * (1.0 + f * (0.5 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0)))));
    f32::from_bits((((whole as i32) + 127) as u32) << 23) * series
}

/// `base` to the power `exponent` for a base of at least 0.
pub(super) fn pow(base: f32, exponent: f32) -> f32 {
    if base <= 0.0 { 0.0 } else { exp(exponent * ln(base)) }
}

/// Hermite step from 0 at `low` to 1 at `high`.
pub(super) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Linear mix: `a` at 0, `b` at 1.
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Length of a vector.
pub(super) fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// Triangle wave of period 1: 0 at whole numbers, 1 half-way.
pub(super) fn triangle(x: f32) -> f32 {
    1.0 - (2.0 * fract(x) - 1.0).abs()
}

/// Distance of a point to the segment `a`-`b`, and where along it (0..1) the nearest point lies.
pub(super) fn segment(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> (f32, f32) {
    let (px, py) = (p[0] - a[0], p[1] - a[1]);
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let t = ((px * dx + py * dy) / (dx * dx + dy * dy).max(1e-9)).clamp(0.0, 1.0);
    (length(px - dx * t, py - dy * t), t)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each function against the platform's own in f64.
    #[test]
    fn agrees_with_the_platform() {
        for i in -2000..2000_i32 {
            let x = i as f32 * 0.01;
            let wide = f64::from(x);
            assert!((f64::from(sin(x)) - wide.sin()).abs() < 2e-5, "sin {x}");
            assert!((f64::from(cos(x)) - wide.cos()).abs() < 2e-5, "cos {x}");
            assert!((f64::from(exp(x)) / wide.exp() - 1.0).abs() < 2e-5, "exp {x}");
            if x > 0.0 {
                assert!((f64::from(ln(x)) - wide.ln()).abs() < 2e-5, "ln {x}");
                assert!((f64::from(pow(x, 0.7)) - wide.powf(0.7)).abs() < 2e-4, "pow {x}");
            }
            let y = sin(x * 7.0);
            assert!((f64::from(atan2(y, x)) - f64::from(y).atan2(wide)).abs() < 2e-4, "atan2 {y} {x}");
        }
    }
}
