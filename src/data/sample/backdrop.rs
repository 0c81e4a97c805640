//! What lies under and over the objects: grounds, pebbles, twigs. Both worlds share them, so they carry no class.

use super::canvas::{Finish, Form, Picture, Spot};
use super::color::{Rgb, blend};
use super::math::{cos, length, sin, smoothstep, triangle};
use super::noise;
use crate::rng::Rng;

/// Fills the picture with a random ground in the two colors.
pub(super) fn fill(picture: &mut Picture, colors: [Rgb; 2], rng: &mut Rng) {
    let (kind, key, zoom) = (rng.below(7), rng.next_u32(), rng.range(0.7, 1.5));
    let angle = rng.range(0.0, super::math::TAU);
    let (turn_cos, turn_sin) = (cos(angle), sin(angle));
    let contrast = rng.range(0.45, 1.0);
    let side = picture.side_px as f32;
    let side_px = picture.side_px;
    for (i, pixel) in picture.rgb.iter_mut().enumerate() {
        let x = ((i % side_px) as f32 + 0.5) / side - 0.5;
        let y = ((i / side_px) as f32 + 0.5) / side - 0.5;
        let (u, v) = (zoom * (x * turn_cos + y * turn_sin), zoom * (y * turn_cos - x * turn_sin));
        let tone = match kind {
            0 => noise::fractal(u * 5.0 + 40.0, v * 5.0, 5, key) * 1.4 - 0.2, // stone
            1 => {
                // sand ripples
                let bend = noise::fractal(u * 2.5, v * 2.5 + 9.0, 2, key);
                0.75 * triangle(u * 6.0 + bend * 2.2) + 0.25 * noise::value(u * 60.0, v * 60.0, key)
            }
            2 => {
                // gravel
                let (near, second, id) = noise::cells(u * 9.0 + 20.0, v * 9.0, key);
                (0.25 + 0.75 * id) * smoothstep(0.0, 0.22, second - near) * (1.05 - 0.5 * near)
            }
            3 => {
                // wet cracks
                let (near, second, _) = noise::cells(u * 4.0 + 8.0, v * 4.0, key);
                let crack = smoothstep(0.1, 0.0, second - near);
                0.5 * noise::fractal(u * 7.0, v * 7.0, 3, key) + 0.6 * crack
            }
            4 => {
                // planks
                let grain = noise::fractal(u * 26.0, v * 2.2, 3, key);
                let joint = smoothstep(0.1, 0.0, triangle(u * 2.6 + 0.1));
                grain * 1.2 - 0.7 * joint
            }
            5 => {
                // water
                let a = noise::fractal(u * 4.0, v * 7.0, 3, key) - 0.5;
                let b = 1.0 - (2.0 * noise::value(u * 6.0 + a * 3.0, v * 9.0 + a * 3.0, key ^ 5) - 1.0).abs();
                0.35 + a * 0.5 + 0.5 * b * b * b
            }
            _ => noise::fractal(u * 1.5 + 3.0, v * 1.5, 2, key), // soft, out of focus
        };
        *pixel = blend(colors[0], colors[1], (0.5 + contrast * (tone - 0.5)).clamp(0.0, 1.0));
    }
}

/// A pebble or a twig: a thing without a class, in the way or in front.
pub(super) fn clutter(rng: &mut Rng) -> Form {
    let key = rng.next_u32();
    if rng.chance(0.5) {
        let (flat, lobe) = (rng.range(0.55, 0.95), rng.range(0.0, 0.35));
        return Box::new(move |x, y| {
            let r = length(x, y / flat) + lobe * (noise::value(x * 1.5 + 4.0, y * 1.5, key) - 0.5);
            let dist = (r - 0.85) * flat;
            if dist > Spot::MARGIN {
                return Spot::outside(dist);
            }
            let tone = noise::fractal(x * 3.0 + 11.0, y * 3.0, 3, key);
            Spot { dist, height: 0.6 * (0.8 - r * r).max(0.0).sqrt(), tone }
        });
    }
    let (thick, bend) = (rng.range(0.04, 0.1), rng.range(-0.35, 0.35));
    Box::new(move |x, y| {
        let off = (y - bend * (x * x - 0.4)).abs();
        let width = thick * (1.0 - 0.35 * x);
        let dist = (off - width).max(x.abs() - 0.95);
        if dist > Spot::MARGIN {
            return Spot::outside(dist);
        }
        let tone = noise::fractal(x * 3.0, y * 16.0 + 5.0, 2, key);
        Spot { dist, height: (width * width - off * off).max(0.0).sqrt(), tone }
    })
}

/// How a pebble or twig is finished.
pub(super) fn clutter_finish(rng: &mut Rng, ground: [Rgb; 2]) -> Finish {
    Finish { colors: super::color::object_pair(rng, ground), gloss: rng.range(0.0, 0.15), shadow: rng.range(0.2, 0.5) }
}
