//! Colors as linear-ish RGB in 0..1. Every class of both worlds draws from the same ranges: color must not give the class away.

use super::math::{TAU, cos, fract, mix};
use crate::rng::Rng;

pub(super) type Rgb = [f32; 3];

/// Hue (turns), saturation and value to RGB.
pub(super) fn hsv(hue: f32, saturation: f32, value: f32) -> Rgb {
    let h = fract(hue) * 6.0;
    let channel = |offset: f32| {
        let k = h + offset;
        let k = if k >= 6.0 { k - 6.0 } else { k };
        value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}

/// Rec. 601 luma.
pub(super) fn luma(c: Rgb) -> f32 {
    0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]
}

/// Mix of two colors: `a` at 0, `b` at 1.
pub(super) fn blend(a: Rgb, b: Rgb, t: f32) -> Rgb {
    [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)]
}

/// Saturation factor: pure greens and magentas are loud, ambers and blues are not.
fn calm(hue: f32) -> f32 {
    0.8 - 0.2 * cos((hue - 0.34) * 2.0 * TAU)
}

/// A muted pair for the ground, mostly dark.
pub(super) fn ground_pair(rng: &mut Rng) -> [Rgb; 2] {
    let hue = rng.unit();
    let value = if rng.chance(0.72) { rng.range(0.10, 0.34) } else { rng.range(0.4, 0.72) };
    let saturation = calm(hue) * rng.range(0.12, 0.6);
    let other = hsv(hue + rng.range(-0.12, 0.12), saturation * rng.range(0.5, 1.1), value * rng.range(1.25, 1.9));
    [hsv(hue, saturation, value), other]
}

/// The two colors of an object that stands out from `ground` in brightness.
pub(super) fn object_pair(rng: &mut Rng, ground: [Rgb; 2]) -> [Rgb; 2] {
    let ground_luma = 0.5 * (luma(ground[0]) + luma(ground[1]));
    let mut base = [0.0; 3];
    let mut hue = 0.0;
    for _ in 0..12 {
        hue = rng.unit();
        base = hsv(hue, calm(hue) * rng.range(0.15, 0.85), rng.range(0.3, 0.96));
        if (luma(base) - ground_luma).abs() > 0.2 {
            break;
        }
    }
    // The second color: a neighbor hue, clearly lighter or darker.
    let factor = if luma(base) > 0.5 { rng.range(0.45, 0.7) } else { rng.range(1.35, 1.8) };
    let second = hue + rng.range(-0.12, 0.12);
    let shifted = hsv(second, calm(second) * rng.range(0.15, 0.8), 1.0);
    let scale = luma(base) * factor / luma(shifted).max(0.05);
    [base, shifted.map(|c| (c * scale).clamp(0.02, 1.0))]
}
