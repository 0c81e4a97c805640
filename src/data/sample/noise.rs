//! Lattice noise: value noise, its fractal sum, and cells (Worley). All of it hashes integer lattice points, no tables.

use super::math::{floor, length};

/// 32 well-mixed bits of a lattice point.
fn hash(x: i32, y: i32, key: u32) -> u32 {
    let mut h = (x as u32).wrapping_mul(0x85EB_CA6B) ^ (y as u32).wrapping_mul(0xC2B2_AE35) ^ key;
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    h ^ (h >> 15)
}

/// Uniform in `[0, 1)` per lattice point.
pub(super) fn lattice(x: i32, y: i32, key: u32) -> f32 {
    (hash(x, y, key) >> 8) as f32 / 16_777_216.0
}

/// Smooth value noise in `[0, 1)`, one feature a unit.
#[inline]
pub(super) fn value(x: f32, y: f32, key: u32) -> f32 {
    let (fx, fy) = (floor(x), floor(y));
    let (ix, iy) = (fx as i32, fy as i32);
    let (tx, ty) = (x - fx, y - fy);
    let (sx, sy) = (tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty));
    let (jx, jy) = (ix.wrapping_add(1), iy.wrapping_add(1));
    let top = lattice(ix, iy, key) * (1.0 - sx) + lattice(jx, iy, key) * sx;
    let bottom = lattice(ix, jy, key) * (1.0 - sx) + lattice(jx, jy, key) * sx;
    top * (1.0 - sy) + bottom * sy
}

/// Sum of `octaves` of value noise, each twice as fine and half as strong; in `[0, 1)`.
pub(super) fn fractal(x: f32, y: f32, octaves: u32, key: u32) -> f32 {
    let (mut sum, mut weight, mut total, mut scale) = (0.0, 1.0, 0.0, 1.0);
    for octave in 0..octaves.max(1) {
        // The shift keeps the octaves' lattices from sharing the origin.
        let shift = octave as f32 * 17.31;
        sum += weight * value(x * scale + shift, y * scale - shift, key.wrapping_add(octave));
        total += weight;
        weight *= 0.5;
        scale *= 2.0;
    }
    sum / total
}

/// Cell noise: distance to the nearest and second nearest point, and the nearest one's own number in `[0, 1)`.
pub(super) fn cells(x: f32, y: f32, key: u32) -> (f32, f32, f32) {
    let (fx, fy) = (floor(x), floor(y));
    let (ix, iy) = (fx as i32, fy as i32);
    let (mut near, mut second, mut id) = (9.0_f32, 9.0_f32, 0.0);
    for dy in -1..=1 {
        for dx in -1..=1 {
            let (cx, cy) = (ix.wrapping_add(dx), iy.wrapping_add(dy));
            let h = hash(cx, cy, key);
            let px = fx + dx as f32 + (h & 0xFFFF) as f32 / 65_536.0;
            let py = fy + dy as f32 + (h >> 16) as f32 / 65_536.0;
            let d = length(x - px, y - py);
            if d < near {
                second = near;
                near = d;
                id = lattice(cx, cy, key ^ 0x9E37_79B9);
            } else if d < second {
                second = d;
            }
        }
    }
    (near, second, id)
}
