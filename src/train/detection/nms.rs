//! Non-maximum suppression on the host: of boxes that lie on each other the surest stays.
//!
//! What a preview's sliders move is decided here, on stored candidates, without the network.

use super::Candidates;
use super::boxes::falling;
use std::collections::HashMap;

/// Indices of the boxes that stay, by falling score; equal scores stay in the order given. A box goes when its IoU with a surer
/// one of its class that stays is over `threshold`, strictly. Boxes are left, top, right, bottom; without `classes` all are
/// of one class.
#[must_use]
pub fn nms(boxes: &[[f32; 4]], scores: &[f32], classes: Option<&[u32]>, threshold: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len().min(scores.len())).collect();
    order.sort_by(|&a, &b| falling(scores[a].into(), scores[b].into()));
    let class = |i: usize| classes.and_then(|classes| classes.get(i)).copied().unwrap_or_default();
    greedy(order.into_iter(), boxes, class, threshold, usize::MAX)
}

/// Which candidates to show: those with at least `confidence`, without those that lie on a surer one of their class by more than
/// the IoU `threshold`, at most `most` of them. Indices by falling score. The candidates stand by falling score themselves.
#[must_use]
pub fn filter(candidates: &Candidates, confidence: f32, threshold: f64, most: usize) -> Vec<usize> {
    // Scores that are no numbers, of a diverged network, stand first and are passed over.
    let sure = candidates.scores.iter().take_while(|score| **score >= confidence || score.is_nan()).enumerate();
    let order = sure.filter(|(_, score)| !score.is_nan()).map(|(i, _)| i);
    let class = |i: usize| candidates.classes.get(i).copied().unwrap_or_default();
    greedy(order, &candidates.boxes, class, threshold, most)
}

/// A box that stays, with its area.
struct Kept {
    corners: [f32; 4],
    area: f32,
}

/// The order decides; a box is compared with those of its class that stay already.
fn greedy(
    order: impl Iterator<Item = usize>,
    boxes: &[[f32; 4]],
    class: impl Fn(usize) -> u32,
    threshold: f64,
    most: usize,
) -> Vec<usize> {
    let mut kept: HashMap<u32, Vec<Kept>> = HashMap::new();
    let mut indices = Vec::new();
    for i in order {
        if indices.len() >= most {
            break;
        }
        let Some(&corners) = boxes.get(i) else { continue };
        let own = Kept { corners, area: (corners[2] - corners[0]) * (corners[3] - corners[1]) };
        let others = kept.entry(class(i)).or_default();
        // Two empty boxes give 0/0, which is over no threshold: both stay, as in torchvision.
        if !others.iter().any(|other| f64::from(iou(other, &own)) > threshold) {
            others.push(own);
            indices.push(i);
        }
    }
    indices
}

/// Intersection over union in single precision, as torchvision computes it.
fn iou(a: &Kept, b: &Kept) -> f32 {
    let width = (a.corners[2].min(b.corners[2]) - a.corners[0].max(b.corners[0])).max(0.0);
    let height = (a.corners[3].min(b.corners[3]) - a.corners[1].max(b.corners[1])).max(0.0);
    let both = width * height;
    both / (a.area + b.area - both)
}
