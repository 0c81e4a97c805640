//! Which object a box stands for, and which of many boxes a step learns from.

use crate::nn::nms::{area, iou};
use crate::rng::Rng;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The object with this index.
    Object(usize),
    /// None.
    Background,
    /// Neither is sure: nothing is learned from it.
    Between,
}

/// Matches boxes with objects by their overlap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matcher {
    /// From this overlap on a box stands for the object.
    pub high: f32,
    /// Below this overlap it is background.
    pub low: f32,
    /// Whether the boxes that overlap an object most stand for what they overlap most, however little that is.
    pub low_quality: bool,
}

impl Matcher {
    /// For each of `count` boxes the object, of `objects`, that it overlaps most, where `overlap(object, box)` says how
    /// much. Objects that overlap nothing are matched with nothing; torchvision refuses such (empty) ones before.
    pub fn assign_by(&self, objects: usize, count: usize, overlap: impl Fn(usize, usize) -> f32) -> Vec<Match> {
        let mut highest = vec![0.0f32; objects];
        let mut best = vec![(0usize, 0.0f32); count];
        for (b, best) in best.iter_mut().enumerate() {
            for (object, highest) in highest.iter_mut().enumerate() {
                let value = overlap(object, b);
                if value > best.1 {
                    *best = (object, value);
                }
                *highest = highest.max(value);
            }
        }
        let closest = |b: usize| {
            (0..objects).any(|object| {
                let top = highest[object];
                // Equal, not close: several boxes may share the top.
                top > 0.0 && overlap(object, b).total_cmp(&top).is_eq()
            })
        };
        let of = |(b, &(object, value)): (usize, &(usize, f32))| {
            if value >= self.high && value > 0.0 || self.low_quality && value > 0.0 && closest(b) {
                Match::Object(object)
            } else if value < self.low || objects == 0 {
                Match::Background
            } else {
                Match::Between
            }
        };
        best.iter().enumerate().map(of).collect()
    }

    /// The same for boxes left, top, right, bottom. What lies by more than half in one of `crowds` and is no object is
    /// [`Match::Between`].
    #[must_use]
    pub fn assign(&self, objects: &[[f32; 4]], crowds: &[[f32; 4]], boxes: &[[f32; 4]]) -> Vec<Match> {
        let mut matches = self.assign_by(objects.len(), boxes.len(), |object, b| iou(&objects[object], &boxes[b]));
        if !crowds.is_empty() {
            for (found, b) in matches.iter_mut().zip(boxes) {
                if *found == Match::Background && crowds.iter().any(|crowd| share_inside(b, crowd) > 0.5) {
                    *found = Match::Between;
                }
            }
        }
        matches
    }
}

/// The share of a box's area that lies inside another.
fn share_inside(b: &[f32; 4], other: &[f32; 4]) -> f32 {
    let width = (b[2].min(other[2]) - b[0].max(other[0])).max(0.0);
    let height = (b[3].min(other[3]) - b[1].max(other[1])).max(0.0);
    width * height / area(b).max(f32::MIN_POSITIVE)
}

/// Draws the boxes that a step learns from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// How many of a picture.
    pub count: usize,
    /// At most this share stands for objects; background fills up the rest.
    pub positive: f32,
}

impl Sampler {
    /// Indices of the chosen objects and of the chosen background, each rising. Without `rng` the first of each.
    #[must_use]
    pub fn choose(&self, matches: &[Match], mut rng: Option<&mut Rng>) -> [Vec<usize>; 2] {
        let of = |keep: fn(&Match) -> bool| {
            matches.iter().enumerate().filter(move |(_, found)| keep(found)).map(|(i, _)| i).collect::<Vec<_>>()
        };
        let positives = of(|found| matches!(found, Match::Object(_)));
        let negatives = of(|found| *found == Match::Background);
        let wanted = ((self.count as f32 * self.positive) as usize).min(positives.len());
        let positives = some(positives, wanted, rng.as_deref_mut());
        let negatives = some(negatives, self.count.saturating_sub(wanted), rng);
        [positives, negatives]
    }
}

/// `count` of the indices, which rise; drawn without replacement, or the first.
fn some(mut indices: Vec<usize>, count: usize, rng: Option<&mut Rng>) -> Vec<usize> {
    if count < indices.len() {
        if let Some(rng) = rng {
            for i in 0..count {
                let other = i + rng.below(indices.len() - i);
                indices.swap(i, other);
            }
        }
        indices.truncate(count);
        indices.sort_unstable();
    }
    indices
}
