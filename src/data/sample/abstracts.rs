//! The classes of the pretraining world: outlines filled with any pattern, and patterns cut out by any outline.
//! None of them is a class of the sample world; what carries over is edges, curves, rhythm, relief and texture.

use super::canvas::{Form, Spot};
use super::math::{PI, TAU, atan2, cos, exp, floor, fract, length, ln, segment, sin, smoothstep, triangle};
use super::noise;
use crate::rng::Rng;

/// Class names, in the byte-wise order of their folders.
pub(super) const CLASSES: &[&str] = &[
    "arrow", "bricks", "cells", "checks", "crescent", "cross", "dots", "drop", "fan", "gear", "heart", "marble",
    "moire", "polygon", "rays", "ring", "spiral", "star", "stripes", "target", "tree", "wave", "weave", "wood",
];

/// Signed distance (form units) to an outline.
type Outline = Box<dyn Fn(f32, f32) -> f32>;
/// Tone and relief of a pattern.
type Pattern = Box<dyn Fn(f32, f32) -> (f32, f32)>;

/// A new specimen of class `class` (an index into [`CLASSES`]).
pub(super) fn specimen(class: usize, rng: &mut Rng) -> Form {
    let name = CLASSES.get(class).copied().unwrap_or("polygon");
    if let Some(pattern) = pattern_class(name, rng) {
        return cut(blob(rng), pattern, rng.range(0.0, 0.4));
    }
    let outline = outline_class(name, rng);
    let pattern = any_pattern(rng);
    cut(outline, pattern, rng.range(0.05, 0.5))
}

/// Fills `outline` with `pattern`; `bevel` is how far the rim slopes.
fn cut(outline: Outline, pattern: Pattern, bevel: f32) -> Form {
    Box::new(move |x, y| {
        let dist = outline(x, y);
        if dist > Spot::MARGIN {
            return Spot::outside(dist);
        }
        let (tone, relief) = pattern(x, y);
        let inside = (-dist).clamp(0.0, 0.3);
        Spot { dist, height: bevel * (inside * (0.62 - inside)).max(0.0).sqrt() + relief, tone }
    })
}

/// The classes that an outline makes.
fn outline_class(name: &str, rng: &mut Rng) -> Outline {
    match name {
        "arrow" => arrow(rng),
        "crescent" => crescent(rng),
        "cross" => cross(rng),
        "drop" => drop(rng),
        "fan" => fan(rng),
        "gear" => gear(rng),
        "heart" => heart(rng),
        "rays" => rays(rng),
        "ring" => ring(rng),
        "spiral" => spiral(rng),
        "star" => star(rng),
        "tree" => tree(rng),
        "wave" => wave(rng),
        _ => polygon(rng),
    }
}

fn arrow(rng: &mut Rng) -> Outline {
    let (shaft, head, wing) = (rng.range(0.08, 0.22), rng.range(0.45, 0.8), rng.range(0.45, 0.75));
    Box::new(move |x, y| {
        let tip = y + 0.95;
        let point = (x.abs() - tip * wing / head).max(tip - head) * 0.75;
        point.min((x.abs() - shaft).max(y - 0.92).max(0.2 - tip))
    })
}

fn crescent(rng: &mut Rng) -> Outline {
    let (shift, bite) = (rng.range(0.3, 0.6), rng.range(0.65, 0.85));
    Box::new(move |x, y| (length(x, y) - 0.92).max(bite - length(x - shift, y)))
}

fn cross(rng: &mut Rng) -> Outline {
    let (wide, long) = (rng.range(0.12, 0.3), rng.range(0.6, 0.95));
    Box::new(move |x, y| {
        let (ax, ay) = (x.abs(), y.abs());
        (ax - wide).max(ay - 0.93).min((ay - wide).max(ax - long))
    })
}

fn drop(rng: &mut Rng) -> Outline {
    let (belly, hollow) = (rng.range(0.45, 0.68), rng.range(0.7, 1.3));
    Box::new(move |x, y| {
        let t = ((y + 0.95) / 1.2).clamp(0.0, 1.0);
        let neck = belly * super::math::pow(t, hollow);
        let cone = (x.abs() - neck * 0.98).max(y - 0.28).max(-0.95 - y) * 0.8;
        cone.min(length(x, y - 0.28) - belly)
    })
}

fn fan(rng: &mut Rng) -> Outline {
    let (half, hole) = (rng.range(0.4, 1.1), rng.range(0.0, 0.45));
    Box::new(move |x, y| {
        let (hx, hy) = (x, 0.8 - y);
        let r = length(hx, hy);
        ((atan2(hx, hy).abs() - half) * r).max(r - 1.6).max(hole * 1.6 - r)
    })
}

fn gear(rng: &mut Rng) -> Outline {
    let teeth = (6 + rng.below(9)) as f32;
    let (root, hole, sharp) = (rng.range(0.68, 0.82), rng.range(0.12, 0.45), rng.range(1.5, 4.0));
    Box::new(move |x, y| {
        let r = length(x, y);
        let tooth = (0.5 + sharp * 0.5 * cos(atan2(y, x) * teeth)).clamp(0.0, 1.0);
        (r - root - (0.95 - root) * tooth).max(hole - r) * 0.8
    })
}

fn heart(rng: &mut Rng) -> Outline {
    let (lobe, low) = (rng.range(0.4, 0.5), rng.range(0.75, 0.92));
    Box::new(move |x, y| {
        let (ax, top) = (x.abs(), -0.3);
        let disk = length(ax - lobe * 0.85, y - top) - lobe;
        let slope = (low - top - lobe * 0.4) / (lobe * 1.72);
        let wedge = ((y - low) + ax * slope) / (1.0 + slope * slope).sqrt();
        disk.min(wedge.max(top + 0.1 - y).max(ax - lobe * 1.8))
    })
}

fn rays(rng: &mut Rng) -> Outline {
    let arms = (3 + rng.below(7)) as f32;
    let (thick, curl) = (rng.range(0.05, 0.11), rng.range(-0.8, 0.8));
    Box::new(move |x, y| {
        let (r, angle) = (length(x, y), atan2(y, x));
        let sector = (angle + curl * r) / TAU * arms + 0.5;
        let off = (fract(sector) - 0.5) * TAU / arms;
        segment([r * cos(off), r * sin(off)], [0.0, 0.0], [0.88, 0.0]).0 - thick
    })
}

fn ring(rng: &mut Rng) -> Outline {
    let (thick, wobble, lobes) = (rng.range(0.08, 0.2), rng.range(0.0, 0.12), (2 + rng.below(5)) as f32);
    Box::new(move |x, y| {
        let middle = (0.93 - thick - wobble) + wobble * sin(atan2(y, x) * lobes);
        (length(x, y) - middle).abs() - thick
    })
}

fn spiral(rng: &mut Rng) -> Outline {
    let (turns, share) = (rng.range(1.8, 3.4), rng.range(0.2, 0.32));
    let hand = if rng.chance(0.5) { 1.0 } else { -1.0 };
    Box::new(move |x, y| {
        let r = length(x, y);
        let pitch = 0.93 / turns;
        let phase = r / pitch - hand * atan2(y, x) / TAU;
        let off = (fract(phase) - 0.5).abs() * pitch;
        (off - share * pitch).max(r - 0.93)
    })
}

fn star(rng: &mut Rng) -> Outline {
    let points = (4 + rng.below(5)) as f32;
    let inner = rng.range(0.35, 0.62);
    Box::new(move |x, y| {
        let (r, angle) = (length(x, y), atan2(y, x));
        let sector = angle / TAU * points + 0.5;
        let off = ((fract(sector) - 0.5) * TAU / points).abs();
        let (px, py) = (r * cos(off), r * sin(off));
        // The edge from the point (0.97, 0) to the notch between two points.
        let (nx, ny) = (inner * cos(PI / points), inner * sin(PI / points));
        let (ex, ey) = (nx - 0.97, ny);
        ((px - 0.97) * -ey + py * ex) / -length(ex, ey)
    })
}

fn polygon(rng: &mut Rng) -> Outline {
    let sides = (3 + rng.below(4)) as f32;
    let round = rng.range(0.0, 0.15);
    Box::new(move |x, y| {
        let (r, angle) = (length(x, y), atan2(y, x));
        let sector = angle / TAU * sides + 0.5;
        let off = (fract(sector) - 0.5) * TAU / sides;
        let flat = r * cos(off) - 0.95 * cos(PI / sides).max(0.6);
        flat.max(r - 0.97 + round)
    })
}

fn tree(rng: &mut Rng) -> Outline {
    let mut twigs = vec![([0.0, 0.93], [0.0, 0.2], 0.1_f32)];
    let spread = rng.range(0.35, 0.75);
    let mut tips = vec![([0.0_f32, 0.2_f32], -0.5 * PI, 0.48_f32, 0.085_f32)];
    for level in 0..3 {
        let mut next = Vec::new();
        for &(from, heading, long, thick) in &tips {
            let fork = if level == 0 && rng.chance(0.5) { 3 } else { 2 };
            for i in 0..fork {
                let side = 2.0 * i as f32 / (fork - 1) as f32 - 1.0;
                let turn = heading + side * spread * rng.range(0.7, 1.25);
                let to = [from[0] + long * cos(turn), from[1] + long * sin(turn)];
                twigs.push((from, to, thick));
                next.push((to, turn, long * 0.72, thick * 0.72));
            }
        }
        tips = next;
    }
    Box::new(move |x, y| twigs.iter().fold(1.0, |best: f32, &(a, b, thick)| best.min(segment([x, y], a, b).0 - thick)))
}

fn wave(rng: &mut Rng) -> Outline {
    let (height, count, thick) = (rng.range(0.2, 0.42), rng.range(1.0, 2.4), rng.range(0.09, 0.18));
    Box::new(move |x, y| {
        let crest = height * sin(x * PI * count);
        let lean = height * PI * count * cos(x * PI * count);
        ((y - crest).abs() / (1.0 + lean * lean).sqrt() - thick).max(x.abs() - 0.93)
    })
}

/// A soft random silhouette: what the pattern classes are cut from.
fn blob(rng: &mut Rng) -> Outline {
    let kind = rng.below(3);
    let (a, b) = (rng.range(0.0, 0.12), rng.range(0.0, 0.08));
    let (pa, pb, tall) = (rng.range(0.0, TAU), rng.range(0.0, TAU), rng.range(0.55, 0.9));
    Box::new(move |x, y| match kind {
        0 => (x.abs() - 0.82).max(y.abs() - tall * 0.9),
        1 => length(x, y / tall * 0.9) - 0.9,
        _ => {
            let angle = atan2(y, x);
            length(x, y) - (0.8 + a * sin(2.0 * angle + pa) + b * sin(3.0 * angle + pb))
        }
    })
}

/// The classes that a pattern makes; `None` for the others.
fn pattern_class(name: &str, rng: &mut Rng) -> Option<Pattern> {
    let n = rng.range(2.2, 5.5); // rhythm: repeats per form unit
    let key = rng.next_u32();
    let fill = rng.range(0.35, 0.65);
    let deep = rng.range(0.0, 0.05);
    let flip = rng.chance(0.5);
    let tone = move |t: f32| if flip { 1.0 - t } else { t };
    Some(match name {
        "bricks" => Box::new(move |x, y| {
            let row = floor(y * n);
            let joint = triangle(y * n).min(triangle(x * n * 0.5 + fract(row * 0.5)) * 2.0);
            let stone = smoothstep(0.1, 0.35, joint);
            (tone(stone), deep * stone)
        }),
        "checks" => Box::new(move |x, y| {
            let wave = sin(x * n * PI) * sin(y * n * PI);
            let t = smoothstep(-0.12, 0.12, wave);
            (tone(t), deep * t)
        }),
        "dots" => Box::new(move |x, y| {
            let row = floor(y * n);
            let shift = fract(row * 0.5);
            let (fx, fy) = (x * n + shift, y * n);
            let d = length(fract(fx) - 0.5, fract(fy) - 0.5);
            let t = smoothstep(fill * 0.7 + 0.06, fill * 0.7 - 0.06, d);
            (tone(t), 2.0 * deep * t)
        }),
        "cells" => Box::new(move |x, y| {
            let (near, second, _) = noise::cells(x * n, y * n, key);
            let t = smoothstep(0.05, 0.16, second - near);
            (tone(t), deep * t)
        }),
        "marble" => Box::new(move |x, y| {
            let drift = noise::fractal(x * 1.6 + 5.0, y * 1.6, 4, key) - 0.5;
            let vein = 1.0 - sin((x + 2.4 * drift) * n * 1.6).abs();
            (tone(0.15 + 0.85 * vein * vein * vein), 0.0)
        }),
        "moire" => Box::new(move |x, y| {
            let t = 0.5 + 0.25 * (sin(length(x - 0.7, y) * n * 9.0) + sin(length(x + 0.7, y) * n * 9.0));
            (tone(smoothstep(0.3, 0.7, t)), 0.0)
        }),
        "stripes" => Box::new(move |x, y| {
            let t = smoothstep(fill - 0.1, fill + 0.1, triangle(x * n + 0.04 * sin(y * 5.0)));
            (tone(t), deep * t)
        }),
        "target" => Box::new(move |x, y| {
            let t = smoothstep(fill - 0.12, fill + 0.12, triangle(length(x, y) * n));
            (tone(t), deep * t)
        }),
        "weave" => Box::new(move |x, y| {
            let over = sin(x * n * PI) * sin(y * n * PI) > 0.0;
            let (u, v) = if over { (triangle(x * n), y) } else { (triangle(y * n), x) };
            let t = u * (0.8 + 0.2 * triangle(v * n * 3.0));
            (tone(if over { 0.4 + 0.6 * t } else { 0.5 * t }), 0.5 * deep * u + if over { 0.03 } else { 0.0 })
        }),
        "wood" => Box::new(move |x, y| {
            let bend = noise::value(x * 0.9, y * 0.45, key) * 1.3;
            let grain = triangle((x + bend) * n * 1.4);
            let fiber = noise::fractal(x * 22.0, y * 1.5, 2, key ^ 1);
            (tone(0.65 * grain * grain + 0.45 * fiber - 0.05), 0.0)
        }),
        _ => return None,
    })
}

/// A filling that says nothing about the class: plain, mottled, graded, ribbed, ringed, seeded or veined.
fn any_pattern(rng: &mut Rng) -> Pattern {
    let (n, key, strength) = (rng.range(2.0, 6.0), rng.next_u32(), rng.range(0.15, 0.9));
    let (dx, dy) = (rng.range(-0.5, 0.5), rng.range(-0.5, 0.5));
    match rng.below(7) {
        0 => Box::new(move |_, _| (0.0, 0.0)),
        1 => Box::new(move |x, y| (strength * noise::fractal(x * n + 3.0, y * n, 3, key), 0.0)),
        2 => Box::new(move |x, y| (0.5 + dx * x * 1.6 + dy * y * 1.6, 0.0)),
        3 => Box::new(move |x, y| {
            let t = triangle((x * dx + y * dy) * n * 1.5);
            (strength * smoothstep(0.3, 0.7, t), 0.02 * t)
        }),
        4 => Box::new(move |x, y| (strength * triangle(length(x - dx, y - dy) * n), 0.0)),
        5 => Box::new(move |x, y| {
            let near = noise::cells(x * n, y * n, key).0;
            (strength * smoothstep(0.45, 0.2, near), 0.02 * smoothstep(0.45, 0.2, near))
        }),
        _ => Box::new(move |x, y| {
            // Log-polar veins: branching seen around a center off the middle.
            let (r, angle) = (length(x - dx, y - dy), atan2(y - dy, x - dx));
            let t = triangle(angle / TAU * floor(n * 2.0) + 0.3 * ln(r.max(0.05)) * exp(dx));
            (strength * smoothstep(0.2, 0.5, t), 0.02 * t)
        }),
    }
}
