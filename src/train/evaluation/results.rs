//! What a head says of each picture, small enough to be kept for a hundred thousand of them.

use super::super::detection::BoxResult;
use super::super::metrics::argmax;
use super::super::segmentation::{ClassPixels, MaskResult, over_set};
use super::scores::{ClassScores, class_scores};
use crate::graph::HeadKind;
use serde::{Deserialize, Serialize};

/// Best classes that are kept of each picture.
pub const TOP: usize = 5;

/// What a classification head says of one picture: 60 bytes, whatever the number of classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureResult {
    /// Index in the data set's samples.
    pub index: u32,
    /// The true class.
    pub truth: u32,
    /// Classes that the model finds more likely than the truth: 0 when it is right.
    pub rank: u32,
    /// Probability of the truth.
    pub truth_score: f32,
    /// Cross-entropy: minus the logarithm of the truth's probability.
    pub loss: f32,
    top: [(u32, f32); TOP],
    kept: u8,
}

impl PictureResult {
    /// From the logits of all classes; none where the truth is no class of the head.
    #[must_use]
    pub fn of_logits(index: usize, logits: &[f32], truth: u32) -> Option<Self> {
        let own = *logits.get(truth as usize)?;
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&x| f64::from(x - largest).exp()).sum();
        let score = |x: f32| finite((f64::from(x - largest).exp() / sum) as f32, 0.0);
        // As torch's topk: of equal ones the lower class comes first.
        let above = |(i, &x): (usize, &f32)| x > own || (x == own && i < truth as usize);
        let rank = logits.iter().enumerate().filter(|&pair| above(pair)).count();
        let mut best: Vec<(u32, f32)> = Vec::with_capacity(TOP + 1);
        for (class, &x) in logits.iter().enumerate() {
            let place = best.partition_point(|&(_, known)| known >= x);
            if place < TOP {
                best.insert(place, (class as u32, x));
                best.truncate(TOP);
            }
        }
        // Numbers that are not finite have no order: the first class then, as the metrics count.
        if best.first().map(|best| best.0 as usize) != Some(argmax(logits.iter().copied())) {
            best = vec![(argmax(logits.iter().copied()) as u32, f32::NAN)];
        }
        let best: Vec<(u32, f32)> = best.into_iter().map(|(class, x)| (class, score(x))).collect();
        let loss = finite((sum.ln() - f64::from(own - largest)) as f32, f32::MAX);
        let rank = u32::try_from(rank).unwrap_or(u32::MAX);
        Self::new(u32::try_from(index).ok()?, truth, rank, score(own), loss, &best)
    }

    /// From its parts; `top` is best first. None without a best class.
    #[must_use]
    pub fn new(index: u32, truth: u32, rank: u32, truth_score: f32, loss: f32, top: &[(u32, f32)]) -> Option<Self> {
        let kept = top.len().min(TOP);
        let mut own = [(0, 0.0); TOP];
        own.iter_mut().zip(top).for_each(|(to, from)| *to = *from);
        (kept > 0).then_some(Self { index, truth, rank, truth_score, loss, top: own, kept: kept as u8 })
    }

    /// The best classes with their probabilities, best first.
    #[must_use]
    pub fn top(&self) -> &[(u32, f32)] {
        self.top.get(..usize::from(self.kept)).unwrap_or_default()
    }

    /// The class that the model gives it.
    #[must_use]
    pub fn said(&self) -> u32 {
        self.top[0].0
    }

    /// The probability of that class.
    #[must_use]
    pub fn confidence(&self) -> f32 {
        self.top[0].1
    }

    /// Whether the class is the true one.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.said() == self.truth
    }
}

/// A label that a head gives a picture, or should give.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The class.
    pub class: u32,
    /// Its probability.
    pub score: f32,
    /// Whether the head gives it.
    pub given: bool,
    /// Whether it is true.
    pub there: bool,
}

/// What a head with several labels for a picture says of one: only what it gives or should give, however many classes there
/// are.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelResult {
    /// Index in the data set's samples.
    pub index: u32,
    /// Binary cross-entropy, the mean over the classes.
    pub loss: f32,
    /// The labels, by class.
    pub told: Vec<Told>,
}

impl LabelResult {
    /// From the logits of all classes; a label is given from a probability of one half.
    #[must_use]
    pub fn of_logits(index: usize, logits: &[f32], has: impl Fn(u32) -> bool) -> Option<Self> {
        let mut loss = 0.0;
        let mut told = Vec::new();
        for (class, &x) in (0_u32..).zip(logits) {
            let (given, there, wide) = (x > 0.0, has(class), f64::from(x));
            let hit = if there { wide } else { 0.0 };
            loss += wide.max(0.0) - hit + (-wide.abs()).exp().ln_1p();
            if given || there {
                told.push(Told { class, score: finite((1.0 / (1.0 + (-wide).exp())) as f32, 0.0), given, there });
            }
        }
        let loss = finite((loss / logits.len().max(1) as f64) as f32, f32::MAX);
        Some(Self { index: u32::try_from(index).ok()?, loss, told })
    }

    /// Whether exactly the true labels are given.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.told.iter().all(|told| told.given == told.there)
    }

    /// What is said of a class; none where it is neither given nor true.
    #[must_use]
    pub fn of(&self, class: u32) -> Option<&Told> {
        self.told.iter().find(|told| told.class == class)
    }
}

fn finite(value: f32, otherwise: f32) -> f32 {
    if value.is_finite() { value } else { otherwise }
}

/// What one head says of all pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadResults {
    /// The head's name.
    pub name: String,
    /// What its raw output means.
    pub kind: HeadKind,
    /// Class names in the order of ids.
    pub classes: Vec<String>,
    /// A result for each picture, ascending by index; empty for a head that does not give pictures one class.
    pub pictures: Vec<PictureResult>,
    /// The same for a head that gives pictures several labels; empty for all others.
    pub labelled: Vec<LabelResult>,
    /// What a detector finds in each picture, with its first head; empty for all others.
    pub boxes: Vec<BoxResult>,
    /// The pixels of each picture, of a head that tells a class for each; empty for all others.
    pub masks: Vec<MaskResult>,
}

impl HeadResults {
    /// No picture yet.
    #[must_use]
    pub fn new(name: &str, kind: HeadKind, classes: Vec<String>) -> Self {
        let (name, pictures, labelled, boxes, masks) =
            (name.to_owned(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { name, kind, classes, pictures, labelled, boxes, masks }
    }

    /// Pixels of each class over all pictures, of a head that tells a class for each.
    #[must_use]
    pub fn pixels(&self) -> Vec<ClassPixels> {
        over_set(&self.masks, self.kind.classes())
    }

    /// The pixels of a picture by its index in the set.
    #[must_use]
    pub fn mask_of(&self, index: usize) -> Option<&MaskResult> {
        let at = self.masks.binary_search_by_key(&index, |picture| picture.index as usize).ok()?;
        self.masks.get(at)
    }

    /// Counts `[truth][prediction]`.
    #[must_use]
    pub fn confusion(&self) -> Vec<Vec<u32>> {
        let classes = self.classes.len();
        let mut counts = vec![vec![0_u32; classes]; classes];
        for picture in &self.pictures {
            let row = counts.get_mut(picture.truth as usize);
            if let Some(cell) = row.and_then(|row| row.get_mut(picture.said() as usize)) {
                *cell += 1;
            }
        }
        counts
    }

    /// The scores of each class, whether pictures have one or several.
    #[must_use]
    pub fn scores(&self) -> Vec<ClassScores> {
        if !matches!(self.kind, HeadKind::MultiLabel { .. }) {
            return class_scores(&self.confusion());
        }
        let mut counts = vec![[0_u64; 3]; self.classes.len()];
        for told in self.labelled.iter().flat_map(|picture| &picture.told) {
            if let Some([hits, called, support]) = counts.get_mut(told.class as usize) {
                *hits += u64::from(told.given && told.there);
                *called += u64::from(told.given);
                *support += u64::from(told.there);
            }
        }
        counts.into_iter().map(|[hits, called, support]| ClassScores::of(hits, called, support)).collect()
    }

    /// The labels of a picture by its index in the set.
    #[must_use]
    pub fn labels_of(&self, index: usize) -> Option<&LabelResult> {
        let at = self.labelled.binary_search_by_key(&index, |picture| picture.index as usize).ok()?;
        self.labelled.get(at)
    }

    /// The result of a picture by its index in the set.
    #[must_use]
    pub fn of(&self, index: usize) -> Option<&PictureResult> {
        let at = self.pictures.binary_search_by_key(&index, |picture| picture.index as usize).ok()?;
        self.pictures.get(at)
    }

    /// Positions in [`HeadResults::pictures`] or [`HeadResults::labelled`], the largest loss first; in [`HeadResults::masks`] the
    /// least mean intersection over union first.
    #[must_use]
    pub fn worst_first(&self) -> Vec<u32> {
        let losses = self.pictures.iter().map(|picture| picture.loss);
        let masks = self.masks.iter().map(|picture| picture.iou().map_or(0.0, |iou| 1.0 - iou as f32));
        let losses: Vec<f32> = losses.chain(self.labelled.iter().map(|picture| picture.loss)).chain(masks).collect();
        let loss = |at: &u32| losses.get(*at as usize).copied().unwrap_or_default();
        let mut order: Vec<u32> = (0..u32::try_from(losses.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by(|a, b| loss(b).total_cmp(&loss(a)).then(a.cmp(b)));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_loss_and_rank_by_hand() {
        // exp(ln 1..7) / 28: probabilities 1/28 … 7/28.
        let logits: Vec<f32> = (1..=7_u8).map(|n| f32::from(n).ln()).collect();
        let found = PictureResult::of_logits(9, &logits, 1).unwrap();
        assert_eq!(found.top().iter().map(|pair| pair.0).collect::<Vec<_>>(), [6, 5, 4, 3, 2]);
        assert!(found.top().iter().zip([7.0, 6.0, 5.0, 4.0, 3.0]).all(|(pair, n)| (pair.1 - n / 28.0).abs() < 1e-6));
        assert!((found.truth_score - 2.0 / 28.0).abs() < 1e-7);
        assert!((found.loss - 14_f32.ln()).abs() < 1e-6, "-ln(2/28) = ln 14");
        assert_eq!((found.index, found.rank, found.is_right()), (9, 5, false));
        assert_eq!(PictureResult::of_logits(9, &logits, 7), None, "no class 7");
    }

    #[test]
    fn equal_ones_go_by_class_and_large_logits_do_not_overflow() {
        let found = PictureResult::of_logits(0, &[2.0, 2.0, 2.0], 1).unwrap();
        assert_eq!((found.said(), found.rank, found.top().len()), (0, 1, 3));
        let sure = PictureResult::of_logits(0, &[1000.0, 0.0], 1).unwrap();
        assert_eq!((sure.truth_score, sure.confidence(), sure.loss), (0.0, 1.0, 1000.0));
    }

    #[test]
    fn a_diverged_network_gives_finite_numbers() {
        let found = PictureResult::of_logits(0, &[f32::NAN, 1.0], 1).unwrap();
        assert_eq!((found.said(), found.truth_score, found.loss), (0, 0.0, f32::MAX));
    }

    /// Three classes, six pictures; results are `(truth, said, loss)`.
    pub fn head(pictures: &[(u32, u32, f32)]) -> HeadResults {
        let made = pictures.iter().enumerate().map(|(i, &(truth, said, loss))| {
            PictureResult::new(i as u32, truth, u32::from(truth != said), 0.5, loss, &[(said, 0.5)]).unwrap()
        });
        HeadResults {
            name: "cls".to_owned(),
            kind: HeadKind::Classify { classes: 3 },
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
            pictures: made.collect(),
            ..HeadResults::new("", HeadKind::Classify { classes: 3 }, Vec::new())
        }
    }

    #[test]
    fn labels_are_scored_by_hand() {
        // Logits ±ln 3: probabilities 3/4 and 1/4. Loss of a hit and of a rightly absent one -ln 3/4, of the others -ln 1/4.
        let x = 3_f32.ln();
        let found = LabelResult::of_logits(4, &[x, x, -x, -x], |class| class % 2 == 0).unwrap();
        let wanted = [(0, 0.75, true, true), (1, 0.75, true, false), (2, 0.25, false, true)];
        assert_eq!(
            found.told.iter().map(|told| (told.class, told.given, told.there)).collect::<Vec<_>>(),
            [(0, true, true), (1, true, false), (2, false, true)]
        );
        assert!(found.told.iter().zip(wanted).all(|(told, wanted)| (told.score - wanted.1).abs() < 1e-6));
        let loss = (2.0 * -(0.75_f32.ln()) + 2.0 * -(0.25_f32.ln())) / 4.0;
        assert!((found.loss - loss).abs() < 1e-6 && !found.is_right(), "{} against {loss}", found.loss);
        let right = LabelResult::of_logits(5, &[x, -x, x, -x], |class| class % 2 == 0).unwrap();
        assert!(right.is_right());
        let kind = HeadKind::MultiLabel { classes: 4 };
        let classes = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let labelled = vec![found, right];
        let head = HeadResults { labelled, ..HeadResults::new("tags", kind, classes) };
        let scores = head.scores();
        assert_eq!((scores[0].precision, scores[0].recall, scores[0].support), (Some(1.0), Some(1.0), 2));
        assert_eq!((scores[1].precision, scores[1].recall, scores[1].f1), (Some(0.0), None, Some(0.0)));
        assert_eq!((scores[2].precision, scores[2].recall, scores[2].f1), (Some(1.0), Some(0.5), Some(2.0 / 3.0)));
        assert_eq!(scores[3].f1, None);
        assert_eq!((head.worst_first(), head.labels_of(5).map(LabelResult::is_right)), (vec![0, 1], Some(true)));
    }

    #[test]
    fn pictures_are_counted_and_ordered() {
        let head = head(&[(0, 0, 0.1), (0, 1, 2.0), (1, 1, 0.2), (2, 1, 3.0), (2, 2, 0.3), (2, 1, 2.0)]);
        assert_eq!(head.confusion(), [[1, 1, 0], [0, 1, 0], [0, 2, 1]]);
        assert_eq!(head.worst_first(), [3, 1, 5, 4, 2, 0]);
        assert_eq!(head.of(4).map(|picture| picture.loss), Some(0.3));
        assert_eq!(head.of(6), None);
        assert!(size_of::<PictureResult>() <= 64, "a hundred thousand pictures take 6.4 MB at most");
    }
}
