//! What follows from a detector's results at a confidence of a person's choice: which objects are right, wrong and missed, and
//! the curves that the choice is made on.

use crate::session::Evaluation;
use crate::train::detection::{DetectionConfusion, PrCurve, best_mean_f1, pr_curves};
use crate::train::{ClassScores, HeadResults};
use std::sync::Arc;

/// The intersection over union from which a found object counts as the true one.
pub const HIT: f64 = 0.5;
/// The confidence where nothing better is known.
const USUAL: f64 = 0.3;

/// What a detector says of one picture at the confidence at hand.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxItem {
    /// The picture's index in the set.
    pub index: usize,
    /// Pairs of truth and detection, the background being the class after the last one.
    pub pairs: Vec<(u32, u32)>,
}

impl BoxItem {
    /// Objects that are right, wrong and missed; one of another class is both wrong and missed.
    pub fn counts(&self, background: u32) -> [usize; 3] {
        let count = |holds: &dyn Fn(u32, u32) -> bool| self.pairs.iter().filter(|(t, s)| holds(*t, *s)).count();
        let right = count(&|truth, said| truth == said);
        let wrong = count(&|truth, said| truth != said && said != background);
        let missed = count(&|truth, said| truth != said && truth != background);
        [right, wrong, missed]
    }

    /// Whether nothing is wrong and nothing missed.
    pub fn is_right(&self) -> bool {
        self.pairs.iter().all(|(truth, said)| truth == said)
    }
}

/// A detector's results at one confidence.
#[derive(Debug)]
pub struct Detected {
    /// The least score that counts.
    pub confidence: f64,
    /// The one with the best mean F1, where there is something to be found.
    pub best: Option<f64>,
    /// Each class's curve.
    pub curves: Arc<Vec<PrCurve>>,
    /// Each class's average precision at half overlap.
    pub ap50: Arc<Vec<Option<f64>>>,
    /// Counts `[truth][detection]`, the background last.
    pub counts: Vec<Vec<u32>>,
    /// Each picture.
    pub items: Vec<BoxItem>,
    /// Each class at the confidence.
    pub scores: Vec<ClassScores>,
}

impl Detected {
    /// Of the head's results; at the confidence with the best mean F1 where none is given. `known` is the same at another
    /// confidence, of which is taken what does not depend on it.
    pub fn of(
        evaluation: &Evaluation,
        results: &HeadResults,
        confidence: Option<f64>,
        known: Option<&Self>,
    ) -> Option<Self> {
        let images = evaluation.boxes()?;
        let classes = results.classes.len();
        let (curves, ap50) = match known {
            Some(known) => (Arc::clone(&known.curves), Arc::clone(&known.ap50)),
            None => {
                let measures = evaluation.coco()?;
                let ap50 = measures.per_class.iter().map(|of| of.ap50).collect();
                (Arc::new(pr_curves(&images, classes, HIT)), Arc::new(ap50))
            }
        };
        let best = best_mean_f1(&curves).map(|(confidence, _)| confidence);
        let confidence = confidence.or(best).unwrap_or(USUAL);
        let confusion = DetectionConfusion::new(&images, classes, confidence, HIT);
        let mut items: Vec<BoxItem> =
            results.boxes.iter().map(|found| BoxItem { index: found.index as usize, pairs: Vec::new() }).collect();
        for truth in 0..=classes {
            for said in 0..=classes {
                for hit in confusion.hits(truth, said) {
                    if let Some(item) = items.get_mut(hit.picture) {
                        item.pairs.push((truth as u32, said as u32));
                    }
                }
            }
        }
        let counts = confusion.counts();
        let mut scores = crate::train::class_scores(&counts);
        scores.truncate(classes);
        Some(Self { confidence, best, curves, ap50, counts, items, scores })
    }

    /// Positions of the pictures, those with the most mistakes first.
    pub fn worst_first(&self) -> Vec<u32> {
        let background = self.counts.len().saturating_sub(1) as u32;
        let mistakes = |at: &u32| {
            let counts = self.items.get(*at as usize).map(|item| item.counts(background));
            counts.map_or(0, |[_, wrong, missed]| wrong + missed)
        };
        let mut order: Vec<u32> = (0..self.items.len() as u32).collect();
        order.sort_by_key(|at| std::cmp::Reverse(mistakes(at)));
        order
    }
}
