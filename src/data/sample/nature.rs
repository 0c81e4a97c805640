//! The four classes of the sample world, seen from above: flower, leaf, shell and snowflake.
//! Each call draws a new specimen; they differ by outline, relief and pattern and never by color.

use super::canvas::{Form, Spot};
use super::math::{PI, TAU, atan2, cos, floor, fract, length, ln, mix, pow, segment, sin, smoothstep, triangle};
use super::noise;
use crate::rng::Rng;

/// Class names, in the byte-wise order of their folders.
pub(super) const CLASSES: &[&str] = &["flower", "leaf", "shell", "snowflake"];

/// A new specimen of class `class` (an index into [`CLASSES`]).
pub(super) fn specimen(class: usize, rng: &mut Rng) -> Form {
    match class {
        0 => flower(rng),
        1 => leaf(rng),
        2 if rng.chance(0.55) => scallop(rng),
        2 => snail(rng),
        _ => snowflake(rng),
    }
}

/// Four to nine petals in one or two rings around a seeded center.
fn flower(rng: &mut Rng) -> Form {
    let petals = 4 + rng.below(6);
    let count = petals as f32;
    let heart = rng.range(0.16, 0.3);
    // Petal half-width as a share of the room that it has: above 1 they overlap.
    let plump = rng.range(0.75, 1.25);
    let (tip, notch) = (rng.range(0.35, 0.8), if rng.chance(0.3) { rng.range(0.05, 0.12) } else { 0.0 });
    let rings = 1 + rng.below(2);
    let (veins, dark_rim) = (rng.range(0.0, 0.35), rng.chance(0.5));
    let key = rng.next_u32();
    Box::new(move |x, y| {
        let (r, angle) = (length(x, y), atan2(y, x));
        let mut best = Spot::outside(1.0);
        for ring in 0..rings {
            let size = 0.97 - 0.3 * ring as f32;
            let sector = (angle / TAU + 0.5) * count + 0.5 * ring as f32;
            let off = (fract(sector) - 0.5) * TAU / count;
            let (along, across) = (r * cos(off) / size, r * sin(off) / size);
            // Half-width over the length: round at the tip, narrow at the heart.
            let t = along.clamp(0.0, 1.0);
            let width = (PI / count).min(0.75) * plump * 1.35 * pow(t, 0.8) * pow(1.0 - t, tip) * 1.3;
            let bite = notch * smoothstep(0.08, 0.0, across.abs());
            let dist = ((across.abs() - width) * 0.75).max(along - 1.0 + bite) * size;
            if dist < 0.0 || best.dist > 0.0 {
                let u = across / width.max(0.02);
                let dome = 0.16 * (1.0 - u * u).max(0.0) + 0.1 * ring as f32 + 0.12 * (1.0 - t) * t;
                let lines = veins * triangle(u * 3.0 + 0.5) * t;
                let rim = if dark_rim { smoothstep(0.35, 1.0, t) } else { smoothstep(0.75, 0.15, t) };
                let tone = 0.75 * rim + lines;
                best = Spot { dist: dist.min(best.dist), height: dome, tone };
            }
        }
        if r < heart {
            let (near, _, _) = noise::cells(x * 16.0 / (heart * 4.0), y * 16.0 / (heart * 4.0), key);
            let bulge = 0.3 + 0.5 * (heart * heart - r * r).max(0.0).sqrt();
            let seed = smoothstep(0.6, 0.1, near);
            let tone = 0.25 + 0.75 * seed;
            return Spot {
                dist: best.dist.min(r - heart),
                height: bulge + 0.03 * seed,
                tone: if dark_rim { tone } else { 1.0 - tone },
            };
        }
        best
    })
}

/// A blade along a bent midrib with side veins: plain, toothed or lobed.
fn leaf(rng: &mut Rng) -> Form {
    let kind = rng.below(3);
    let (wide, belly) = (rng.range(0.32, 0.62), rng.range(0.5, 1.0));
    let (bend, stem) = (rng.range(-0.3, 0.3), rng.range(0.012, 0.03));
    let pairs = (4 + rng.below(5)) as f32;
    let slant = rng.range(0.45, 0.95);
    let (light_veins, mottle, key) = (rng.chance(0.6), rng.range(0.0, 0.45), rng.next_u32());
    let teeth = pairs * rng.range(1.5, 2.5);
    Box::new(move |x, y| {
        let x = x - bend * (y * y - 0.4);
        let t = ((y + 0.97) / 1.6).clamp(0.0, 1.0); // 0 at the tip, 1 where the stem begins
        let along = t - slant * 0.5 * x.abs(); // constant along a side vein
        let ripple = match kind {
            0 => 0.0,
            1 => 0.09 * fract(along * teeth) * (1.0 - t) * 2.0 * t.sqrt(),
            _ => 0.3 * (0.5 - 0.5 * cos(TAU * (t - 0.05) * (pairs * 0.55))),
        };
        let width = wide * 2.1 * pow(t, belly) * pow(1.0 - t, 0.55) * (1.0 - ripple);
        let blade = ((x.abs() - width) * 0.8).max(y - 0.63).max(-0.97 - y);
        let stalk = (x.abs() - stem - 0.012).max(y - 0.97).max(0.4 - y);
        if blade.min(stalk) > Spot::MARGIN {
            return Spot::outside(blade.min(stalk));
        }
        let u = (x.abs() / width.max(0.02)).min(1.0);
        let rib = smoothstep(0.05, 0.012, x.abs()) * smoothstep(0.0, 0.15, t);
        let vein = smoothstep(0.24, 0.04, triangle(along * pairs + 0.5).abs()) * (1.0 - 0.6 * u);
        let lines = rib.max(0.85 * vein);
        let spots = mottle * noise::fractal(x * 5.0 + 7.0, y * 5.0, 3, key);
        let tone = if light_veins { 0.95 * lines + spots } else { 0.8 - lines * 0.75 - spots };
        let quilt = 0.035 * triangle(along * pairs + 0.5) * (1.0 - u) + 0.22 * u * (1.0 - 0.5 * u);
        Spot { dist: blade.min(stalk), height: quilt - 0.02 * rib, tone }
    })
}

/// A fan of ridges from a hinge, with growth bands and two ears.
fn scallop(rng: &mut Rng) -> Form {
    let opening = rng.range(0.68, 0.98); // half-angle of the fan
    let ridges = (6 + rng.below(8)) as f32;
    let frill = rng.range(0.015, 0.06);
    let (bands, band_tone) = (rng.range(2.0, 6.0), rng.range(0.25, 0.8));
    let (deep, ear, key) = (rng.range(0.03, 0.07), rng.range(0.2, 0.34), rng.next_u32());
    Box::new(move |x, y| {
        let (hx, hy) = (x, 0.78 - y); // from the hinge, upwards
        let (r, angle) = (length(hx, hy), atan2(hx, hy.max(-0.2)));
        let share = angle / opening; // -1..1 across the fan
        let ridge = 0.5 + 0.5 * cos(share * ridges * PI);
        let outline = 1.66 * (1.0 - 0.24 * share * share) - frill * (1.0 - ridge);
        let fan = (r - outline).max((share.abs() - 1.0) * opening * r * 0.9);
        let ears = (hx.abs() - ear).max(hy - ear * 0.75).max(-hy - 0.05);
        if fan.min(ears) > Spot::MARGIN {
            return Spot::outside(fan.min(ears));
        }
        let s = (r / outline).min(1.0);
        let growth = noise::value(s * bands * 2.0, 3.0, key);
        let ring = smoothstep(0.35, 0.65, growth);
        let dome = 0.5 * (1.0 - share * share).max(0.0).sqrt() * s * (1.3 - s);
        let fine = if fan < ears { ridge } else { 0.3 };
        Spot {
            dist: fan.min(ears),
            height: dome + deep * fine * s + 0.012 * triangle(s * bands * 2.5),
            tone: band_tone * ring + 0.35 * (1.0 - fine) + 0.1 * (1.0 - s),
        }
    })
}

/// A logarithmic spiral with whorls, ribs across them and an open mouth.
fn snail(rng: &mut Rng) -> Form {
    let turn = rng.range(0.16, 0.24); // growth: radius times e^(turn * angle)
    let ribs = rng.range(12.0, 26.0);
    let stripe = rng.range(0.2, 0.8);
    let (across, deep, key) = (rng.chance(0.5), rng.range(0.02, 0.06), rng.next_u32());
    let mirror = if rng.chance(0.5) { 1.0 } else { -1.0 };
    Box::new(move |x, y| {
        let (cx, cy) = ((x - 0.12) * mirror, y - 0.05);
        let (r, angle) = (length(cx, cy), atan2(cy, cx));
        let phase = angle / TAU + 0.5; // 0..1, the mouth lies at 0/1
        // The outer whorl's edge grows from e^(-2 pi turn) to 1 over the turn.
        let outer = 1.02 * super::math::exp(turn * TAU * (phase - 1.0));
        let dist = (r - outer) * 0.95;
        if dist > Spot::MARGIN {
            return Spot::outside(dist);
        }
        let whorl = ln((r / outer).max(0.01)) / (turn * TAU); // 0 at the edge, -1 one whorl further in
        let f = fract(whorl); // 0 at the inner seam, 1 at the outer one
        let total = (floor(whorl) + phase) * TAU;
        let size = r.max(0.04);
        let tube = (1.0 - (2.0 * f - 1.0) * (2.0 * f - 1.0)).max(0.0);
        let rib = 0.5 + 0.5 * cos(total * ribs / PI);
        let line = if across { rib } else { triangle(f * 2.0 + 0.25) };
        let seam = smoothstep(0.12, 0.0, f.min(1.0 - f));
        let blot = noise::value(total * 2.0, f * 3.0, key);
        Spot {
            dist,
            height: 0.42 * tube.sqrt() * size + deep * rib * size + 0.25 * (1.0 - r),
            tone: stripe * line + 0.4 * seam + 0.3 * blot - 0.1,
        }
    })
}

/// Six equal arms with side branches on a hexagonal plate, mirrored as ice grows.
fn snowflake(rng: &mut Rng) -> Form {
    let thick = rng.range(0.045, 0.085);
    let plate = rng.range(0.14, 0.42);
    let branches: Vec<(f32, f32)> = {
        let count = 1 + rng.below(3);
        (0..count)
            .map(|i| {
                let at = mix(0.34, 0.82, (i as f32 + rng.range(0.2, 0.8)) / count as f32);
                (at, rng.range(0.14, 0.36) * (1.15 - 0.6 * at))
            })
            .collect()
    };
    let tip = rng.range(0.0, 0.14); // a small plate at the end of each arm
    let (facets, etched) = (rng.range(2.0, 5.0), rng.range(0.3, 0.9));
    Box::new(move |x, y| {
        let (r, angle) = (length(x, y), atan2(y, x));
        // Fold into one twelfth: a arm along +x, its mirror half above.
        let sector = angle / (PI / 3.0) + 0.5;
        let off = ((fract(sector) - 0.5) * PI / 3.0).abs();
        let (px, py) = (r * cos(off), r * sin(off));
        let reach = 0.96 - thick;
        let (arm, t) = segment([px, py], [0.0, 0.0], [reach, 0.0]);
        let mut d = arm - thick * mix(1.15, 0.8, t);
        for &(at, long) in &branches {
            let end = [at + long * 0.5, long * 0.866];
            let (branch, s) = segment([px, py], [at, 0.0], end);
            d = d.min(branch - thick * mix(0.85, 0.6, s));
        }
        let hexagon = px * 0.866 + py * 0.5; // along the flat between two arms
        d = d.min(hexagon - plate);
        if tip > 0.05 {
            let (ex, ey) = ((px - (reach - tip * 0.6)).abs(), py);
            d = d.min((ex * 0.866 + ey * 0.5).max(ey) - tip);
        }
        if d > Spot::MARGIN {
            return Spot::outside(d);
        }
        let inside = (-d).max(0.0);
        let ridge = 0.6 * inside.min(thick);
        let lines = triangle(hexagon * facets / plate) * smoothstep(plate, plate * 0.8, hexagon);
        let spine = smoothstep(thick * 0.5, thick * 0.15, py.min(arm));
        Spot { dist: d, height: ridge + 0.02 * lines, tone: etched * (0.55 * lines + 0.7 * spine) + 0.25 * r }
    })
}
