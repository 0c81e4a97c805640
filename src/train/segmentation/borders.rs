//! The weights that U-Net's paper gives to the gaps between objects (Ronneberger et al. 2015, arXiv:1505.04597, eq. 2):
//! `w0 exp(-(d1 + d2)² / 2σ²)` with the distances to the nearest and the second nearest object.

use crate::data::{IGNORE_ID, components};

/// How much gaps count, and how wide they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Borders {
    /// The weight of a gap without width, beside the 1 of every pixel.
    pub weight: f32,
    /// How fast it falls with the gap's width, in pixels.
    pub sigma_px: f32,
}

impl Borders {
    /// The paper's: 10 and 5 pixels.
    pub const PAPER: Self = Self { weight: 10.0, sigma_px: 5.0 };

    /// Sums of distances from which on nothing is added: less than a thousandth of the weight.
    fn reach_px(self) -> usize {
        (3.8 * self.sigma_px).ceil().max(1.0) as usize
    }
}

/// A number and the label that has it.
type Near = [(u32, u32); 2];

/// No label, far away.
const NONE: (u32, u32) = (0, u32::MAX);

/// What the gaps add to the weight of each pixel of a class-id map of this width. Objects are the connected parts (over corners
/// too) of each class but 0, the background, whose pixels alone have a weight; a pixel's distance to an object is that to
/// the center of its nearest pixel.
#[must_use]
pub fn border_weights(ids: &[u8], width: usize, borders: Borders) -> Vec<f32> {
    let mut weights = vec![0.0; ids.len()];
    if width == 0 || ids.is_empty() {
        return weights;
    }
    let labels = parts(ids, width);
    if labels.iter().max().is_none_or(|most| *most < 2) {
        return weights;
    }
    let reach = borders.reach_px();
    let nearest = along_columns(&labels, width, reach);
    let spread = 2.0 * borders.sigma_px * borders.sigma_px;
    for (at, weight) in weights.iter_mut().enumerate().filter(|(at, _)| ids[*at] == 0) {
        let (row, x) = (at / width * width, at % width);
        let mut two: Near = [NONE; 2];
        // The second nearest object is never farther than `reach` where it matters, so the row is searched as far only.
        for column in x.saturating_sub(reach)..(x + reach + 1).min(width) {
            let across = column.abs_diff(x) as u32;
            for (label, down) in nearest[row + column].into_iter().filter(|near| near.0 != 0) {
                keep(&mut two, (label, down * down + across * across));
            }
        }
        if two[1].0 != 0 {
            let sum = (two[0].1 as f32).sqrt() + (two[1].1 as f32).sqrt();
            if sum <= reach as f32 {
                *weight = borders.weight * (-sum * sum / spread).exp();
            }
        }
    }
    weights
}

/// Takes a label with its distance in, if it is one of the two nearest.
fn keep(two: &mut Near, new: (u32, u32)) {
    if new.0 == two[0].0 {
        two[0].1 = two[0].1.min(new.1);
    } else if new.1 < two[0].1 {
        // The old first becomes the second; where the new one was second, its old place goes.
        *two = [new, two[0]];
    } else if new.0 == two[1].0 || new.1 < two[1].1 {
        let at = if new.0 == two[1].0 { new.1.min(two[1].1) } else { new.1 };
        two[1] = (new.0, at);
    }
}

/// For each pixel the two nearest labels of its column, with their distances in pixels, as far as `reach`.
fn along_columns(labels: &[u32], width: usize, reach: usize) -> Vec<Near> {
    let mut nearest = vec![[NONE; 2]; labels.len()];
    let height = labels.len() / width;
    for x in 0..width {
        for down in [true, false] {
            // The last two labels that the sweep met, with their rows.
            let mut met: [(u32, usize); 2] = [(0, 0); 2];
            for step in 0..height {
                let y = if down { step } else { height - 1 - step };
                let label = labels[y * width + x];
                if label != 0 && label == met[0].0 {
                    met[0].1 = y;
                } else if label != 0 {
                    met = [(label, y), met[0]];
                }
                for (label, row) in met.into_iter().filter(|met| met.0 != 0) {
                    let distance = row.abs_diff(y);
                    if distance <= reach {
                        keep(&mut nearest[y * width + x], (label, distance as u32));
                    }
                }
            }
        }
    }
    nearest
}

/// Numbers the connected parts of each class but 0 and 255, from 1 on; 0 elsewhere.
fn parts(ids: &[u8], width: usize) -> Vec<u32> {
    components(ids, width, |class| class != 0 && class != IGNORE_ID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_gap_by_hand() {
        // Two objects, a gap of three pixels: distances 1 + 3, 2 + 2, 3 + 1; beyond the second object 1 + 5.
        let ids = [1, 0, 0, 0, 1, 0];
        let want = |sum: f32| 10.0 * (-sum * sum / 50.0).exp();
        let weights = border_weights(&ids, 6, Borders::PAPER);
        let wanted = [0.0, want(4.0), want(4.0), want(4.0), 0.0, want(6.0)];
        assert!(weights.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{weights:?}");
        // One object alone, and two that touch over a corner, have no gap.
        assert_eq!(border_weights(&[1, 0, 0, 1], 2, Borders::PAPER), [0.0; 4]);
        assert!(border_weights(&[], 0, Borders::PAPER).is_empty());
        // Classes are told apart even where they touch; what is ignored is no object.
        let weights = border_weights(&[1, 2, 0, 255], 4, Borders::PAPER);
        assert!((weights[2] - want(3.0)).abs() < 1e-5 && weights[3] == 0.0, "{weights:?}");
    }

    #[test]
    fn the_sweeps_find_what_a_search_over_all_finds() {
        let mut rng = Rng::new(3);
        for round in 0..12 {
            let (width, height) = (9 + round, 23 - round);
            let ids: Vec<u8> =
                (0..width * height).map(|_| if rng.chance(0.08) { 1 + (round % 2) as u8 } else { 0 }).collect();
            let labels = parts(&ids, width);
            let weights = border_weights(&ids, width, Borders { weight: 7.0, sigma_px: 3.0 });
            for at in (0..ids.len()).filter(|&at| ids[at] == 0) {
                let mut nearest: std::collections::BTreeMap<u32, f32> = std::collections::BTreeMap::new();
                for other in (0..ids.len()).filter(|&other| labels[other] != 0) {
                    let (dx, dy) = ((other % width).abs_diff(at % width), (other / width).abs_diff(at / width));
                    let distance = ((dx * dx + dy * dy) as f32).sqrt();
                    let known = nearest.entry(labels[other]).or_insert(f32::MAX);
                    *known = known.min(distance);
                }
                let mut all: Vec<f32> = nearest.into_values().collect();
                all.sort_by(f32::total_cmp);
                let want = match all.as_slice() {
                    [a, b, ..] if a + b <= 12.0 => 7.0 * (-(a + b) * (a + b) / 18.0).exp(),
                    _ => 0.0,
                };
                assert!((weights[at] - want).abs() < 1e-5, "round {round} pixel {at}: {} and not {want}", weights[at]);
            }
        }
    }
}
