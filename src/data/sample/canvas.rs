//! The picture under work, and the one routine that paints a form on it: antialiased, shaded as a relief, with its shadow.

use super::color::{Rgb, blend};
use super::math::{cos, sin};
use super::noise;
use crate::rng::Rng;

/// What a form says about one point of its own space, where the form fills the unit disk (x right, y down).
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    /// Signed distance to the outline in form units, negative inside (approximate away from the outline).
    pub(super) dist: f32,
    /// Relief above the ground in form units: its slope is what the light falls on.
    pub(super) height: f32,
    /// Mix of the form's two colors, 0..1.
    pub(super) tone: f32,
}

impl Spot {
    /// Beyond this distance from the outline neither color nor slope is looked at: forms may stop here.
    pub(super) const MARGIN: f32 = 0.2;

    /// A point outside.
    pub(super) fn outside(dist: f32) -> Self {
        Self { dist, height: 0.0, tone: 0.0 }
    }
}

/// A shape with its relief and pattern.
pub(super) type Form = Box<dyn Fn(f32, f32) -> Spot>;

/// Where a form lies in the picture. Lengths are fractions of the picture's side.
#[derive(Debug, Clone)]
pub(super) struct Placement {
    pub(super) center: [f32; 2],
    pub(super) radius: f32,
    /// Rotation in radians.
    pub(super) angle: f32,
    /// How much the form is foreshortened (1 = seen from straight above), and along which direction.
    pub(super) squeeze: f32,
    pub(super) squeeze_angle: f32,
    /// Organic deformation: strength in form units and the phases of its two waves.
    pub(super) warp: f32,
    pub(super) warp_phase: [f32; 2],
}

impl Placement {
    /// A placement with random rotation, foreshortening and deformation.
    pub(super) fn random(rng: &mut Rng, center: [f32; 2], radius: f32) -> Self {
        Self {
            center,
            radius,
            angle: rng.range(0.0, super::math::TAU),
            squeeze: rng.range(0.72, 1.0),
            squeeze_angle: rng.range(0.0, super::math::PI),
            warp: rng.range(0.0, 0.08),
            warp_phase: [rng.range(0.0, super::math::TAU), rng.range(0.0, super::math::TAU)],
        }
    }
}

/// The color and surface of a form.
#[derive(Debug, Clone)]
pub(super) struct Finish {
    pub(super) colors: [Rgb; 2],
    /// Strength of the highlight, 0..1.
    pub(super) gloss: f32,
    /// Darkness of the shadow on what lies below, 0..1.
    pub(super) shadow: f32,
}

/// Light from one side: unit vector, z towards the viewer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light(pub(super) [f32; 3]);

impl Light {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let angle = rng.range(0.0, super::math::TAU);
        let tilt = rng.range(0.55, 0.95); // 0 = from above
        Self([tilt * cos(angle), tilt * sin(angle), (1.0 - tilt * tilt).sqrt()])
    }

    /// Brightness of a surface with slopes `(sx, sy)`, 1 for a level one, and the highlight's share.
    fn shade(self, sx: f32, sy: f32) -> (f32, f32) {
        let [lx, ly, lz] = self.0;
        let norm = 1.0 / (1.0 + sx * sx + sy * sy).sqrt();
        let facing = ((lz - sx * lx - sy * ly) * norm).max(0.0);
        // Half-way vector between the light and the viewer.
        let half = 1.0 / (2.0 + 2.0 * lz).sqrt();
        let mirror = ((1.0 + lz - sx * lx - sy * ly) * norm * half).clamp(0.0, 1.0);
        let m2 = mirror * mirror;
        let m8 = m2 * m2 * m2 * m2;
        (0.5 + 0.5 * facing / lz.max(0.3), m8 * m8 * m8)
    }
}

/// A square RGB picture in 0..1.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) side_px: usize,
    pub(super) rgb: Vec<Rgb>,
}

/// Coverage 0..1 of every pixel by one painted form.
pub(super) type Coverage = Vec<f32>;

/// Samples per pixel and axis.
const FINE: usize = 2;

/// Nothing of a form lies further out than this, in form units: its disk and the deformation.
const REACH: f32 = 1.1;

impl Picture {
    /// One color everywhere.
    pub(super) fn new(side_px: usize) -> Self {
        Self { side_px, rgb: vec![[0.0; 3]; side_px * side_px] }
    }

    /// Paints `form` over the picture and returns which pixels it covers.
    pub(super) fn paint(&mut self, form: &Form, at: &Placement, finish: &Finish, light: Light) -> Coverage {
        let side = self.side_px as f32;
        let reach = at.radius * side * REACH + 2.0;
        let span = |c: f32| {
            let low = (c * side - reach).floor().clamp(0.0, side);
            let high = (c * side + reach).ceil().clamp(0.0, side);
            low as usize..high as usize
        };
        let (columns, rows) = (span(at.center[0]), span(at.center[1]));
        let mut coverage = vec![0.0; self.rgb.len()];
        if columns.is_empty() || rows.is_empty() {
            return coverage;
        }
        let spots = sample(form, at, side, &columns, &rows);
        let grid = Grid { spots: &spots, wide: columns.len() * FINE, edge: at.radius * side * FINE as f32 };
        let mut inks = Vec::with_capacity(columns.len() * rows.len());
        for (j, y) in rows.enumerate() {
            for (i, x) in columns.clone().enumerate() {
                let (covered, ink) = grid.ink(i, j, finish, light);
                if covered > 0.0 {
                    if let Some(c) = coverage.get_mut(y * self.side_px + x) {
                        *c = covered;
                    }
                    inks.push((x, y, covered, ink));
                }
            }
        }
        self.cast(&coverage, at, finish, light);
        for (x, y, covered, ink) in inks {
            self.lay(x, y, covered, ink);
        }
        coverage
    }

    /// Puts a pixel's ink (already scaled by its coverage) over what is there.
    fn lay(&mut self, x: usize, y: usize, covered: f32, ink: Rgb) {
        if let Some(pixel) = self.rgb.get_mut(y * self.side_px + x) {
            for (below, color) in pixel.iter_mut().zip(ink) {
                *below = *below * (1.0 - covered) + color;
            }
        }
    }

    /// Darkens what lies under a form: its coverage, shifted away from the light and softened.
    fn cast(&mut self, coverage: &Coverage, at: &Placement, finish: &Finish, light: Light) {
        let side = self.side_px as f32;
        let shift = at.radius * side * 0.14;
        let (dx, dy) = ((light.0[0] * shift).round() as i32, (light.0[1] * shift).round() as i32);
        let blur = (at.radius * side * 0.07).round().max(1.0) as usize;
        let soft = soften(coverage, self.side_px, blur);
        let whole = self.side_px as i32;
        for (i, pixel) in self.rgb.iter_mut().enumerate() {
            let (x, y) = ((i % self.side_px) as i32 + dx, (i / self.side_px) as i32 + dy);
            if !(0..whole).contains(&x) || !(0..whole).contains(&y) {
                continue;
            }
            let covered = soft.get((y * whole + x) as usize).copied().unwrap_or(0.0);
            if covered > 0.0 {
                *pixel = pixel.map(|c| c * (1.0 - finish.shadow * covered));
            }
        }
    }

    /// Whole-picture finish: a light that falls off across the picture, darker corners, grain; then 8-bit.
    pub(super) fn develop(&self, rng: &mut Rng) -> Vec<u8> {
        let side = self.side_px as f32;
        let angle = rng.range(0.0, super::math::TAU);
        let (gx, gy) = (cos(angle), sin(angle));
        let (fall, corner, grain) = (rng.range(0.0, 0.3), rng.range(0.1, 0.45), rng.range(0.004, 0.015));
        let exposure = rng.range(0.85, 1.15);
        let key = rng.next_u32();
        let mut bytes = Vec::with_capacity(self.rgb.len() * 3);
        for (i, pixel) in self.rgb.iter().enumerate() {
            let x = ((i % self.side_px) as f32 + 0.5) / side - 0.5;
            let y = ((i / self.side_px) as f32 + 0.5) / side - 0.5;
            let gain = exposure * (1.0 + 2.0 * fall * (x * gx + y * gy)) * (1.0 - corner * 1.6 * (x * x + y * y));
            for (channel, c) in pixel.iter().enumerate() {
                let noise = noise::lattice(i as i32, channel as i32, key) - 0.5;
                let level = c * gain + grain * 2.0 * noise;
                bytes.push((level.clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
            }
        }
        bytes
    }
}

/// A square plane blurred twice along both axes by a box of `2 * radius + 1` pixels; beyond the rim lies nothing.
fn soften(plane: &[f32], side: usize, radius: usize) -> Vec<f32> {
    let mut soft = plane.to_vec();
    let mut line = vec![0.0; side];
    let share = 1.0 / (2 * radius + 1) as f32;
    for (along, across) in [(1, side), (side, 1), (1, side), (side, 1)] {
        for start in (0..side).map(|k| k * across) {
            for (to, from) in line.iter_mut().zip(soft.iter().skip(start).step_by(along)) {
                *to = *from;
            }
            let ahead = line.iter().skip(radius).copied().chain(std::iter::repeat(0.0));
            let behind = std::iter::repeat_n(0.0, radius + 1).chain(line.iter().copied());
            let mut sum: f32 = line.iter().take(radius).sum();
            for (to, (new, old)) in soft.iter_mut().skip(start).step_by(along).take(side).zip(ahead.zip(behind)) {
                sum += new - old;
                *to = (sum * share).max(0.0);
            }
        }
    }
    soft
}

/// A form's answers on the fine grid.
struct Grid<'a> {
    spots: &'a [Spot],
    /// Samples in a row.
    wide: usize,
    /// Samples in a form unit.
    edge: f32,
}

impl Grid<'_> {
    /// Coverage 0..1 of the pixel in column `i` and row `j` of the grid, and its ink scaled by that.
    fn ink(&self, i: usize, j: usize, finish: &Finish, light: Light) -> (f32, Rgb) {
        let (mut ink, mut covered) = ([0.0_f32; 3], 0.0_f32);
        for k in 0..FINE * FINE {
            let here = (j * FINE + k / FINE) * self.wide + i * FINE + k % FINE;
            let Some(spot) = self.spots.get(here) else { continue };
            let alpha = (0.5 - spot.dist * self.edge).clamp(0.0, 1.0);
            if alpha == 0.0 {
                continue;
            }
            let slope = |step: usize| {
                let ahead = self.spots.get(here + step).unwrap_or(spot);
                let behind = here.checked_sub(step).and_then(|b| self.spots.get(b)).unwrap_or(spot);
                ((ahead.height - behind.height) * 0.5 * self.edge).clamp(-2.5, 2.5)
            };
            let (shade, mirror) = light.shade(slope(1), slope(self.wide));
            let color = blend(finish.colors[0], finish.colors[1], spot.tone.clamp(0.0, 1.0));
            for (sum, c) in ink.iter_mut().zip(color) {
                *sum += alpha * (c * shade + finish.gloss * mirror);
            }
            covered += alpha;
        }
        let share = 1.0 / (FINE * FINE) as f32;
        (covered * share, ink.map(|c| c * share))
    }
}

/// The form's answers on the fine grid over the given pixel ranges, row by row.
fn sample(
    form: &Form,
    at: &Placement,
    side: f32,
    columns: &std::ops::Range<usize>,
    rows: &std::ops::Range<usize>,
) -> Vec<Spot> {
    let (turn_cos, turn_sin) = (cos(at.angle), sin(at.angle));
    let (tilt_cos, tilt_sin) = (cos(at.squeeze_angle), sin(at.squeeze_angle));
    let scale = 1.0 / (at.radius * side).max(1e-3);
    let stretch = 1.0 / at.squeeze.max(0.1);
    let step = 1.0 / FINE as f32;
    let mut spots = Vec::with_capacity(columns.len() * rows.len() * FINE * FINE);
    for row in 0..rows.len() * FINE {
        let y = (rows.start as f32 + (row as f32 + 0.5) * step - at.center[1] * side) * scale;
        for column in 0..columns.len() * FINE {
            let x = (columns.start as f32 + (column as f32 + 0.5) * step - at.center[0] * side) * scale;
            // Undo the foreshortening, then the rotation, then the deformation.
            let along = x * tilt_cos + y * tilt_sin;
            let across = y * tilt_cos - x * tilt_sin;
            let along = along * stretch;
            if along * along + across * across > REACH * REACH {
                spots.push(Spot::outside(1.0));
                continue;
            }
            let (u, v) = (along * tilt_cos - across * tilt_sin, along * tilt_sin + across * tilt_cos);
            let (mut p, mut q) = (u * turn_cos + v * turn_sin, v * turn_cos - u * turn_sin);
            let (bent_p, bent_q) = (sin(q * 2.6 + at.warp_phase[0]), sin(p * 2.6 + at.warp_phase[1]));
            p += at.warp * bent_p;
            q += at.warp * bent_q;
            spots.push(form(p, q));
        }
    }
    spots
}
