//! Which candidates are shown: what a preview's sliders move is decided here, on stored candidates, without the network.

use super::Candidates;
use crate::nn::nms::sorted_nms;

/// Which candidates to show: those with at least `confidence`, without those that lie on a surer one of their class by more than
/// the IoU `threshold`, at most `most` of them. Indices by falling score. The candidates stand by falling score themselves.
#[must_use]
pub fn filter(candidates: &Candidates, confidence: f32, threshold: f32, most: usize) -> Vec<usize> {
    // Scores that are no numbers, of a diverged network, stand first and are passed over.
    let sure = candidates.scores.iter().take_while(|&&score| score >= confidence || score.is_nan()).enumerate();
    let order: Vec<usize> = sure.filter(|(_, score)| !score.is_nan()).map(|(i, _)| i).collect();
    sorted_nms(&candidates.boxes, &order, Some(&candidates.classes), threshold, most)
}
