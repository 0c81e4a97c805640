//! Right, wrong and missed in one picture, at a confidence and an IoU of a person's choice.

use super::boxes::{Detection, Overlaps, Truth, falling};
use std::collections::BTreeMap;

/// What a detection is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// Not as sure as asked for: not shown.
    Hidden,
    /// Found (true positive): the truth's position.
    Right(usize),
    /// There is no such object, or it is found already (false positive).
    Wrong(Blame),
    /// It lies on a crowd or an ignored object, at this position: neither right nor wrong.
    Ignored(usize),
}

/// Why a detection is wrong, after Bolya et al. 2020 (TIDE); with the position of the truth that it covers best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// A surer detection found this object.
    Twice(usize),
    /// An object of another class is there.
    OtherClass(usize),
    /// An object of its class is near, covered too little: by at least [`NEAR`].
    Loose(usize),
    /// Nothing is there.
    Background,
}

/// The least IoU with a truth of which a detection can be called a loose one.
pub const NEAR: f64 = 0.1;

/// What becomes of a truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruthMark {
    /// Found by the detection at this position.
    Found(usize),
    /// Not found (false negative).
    Missed,
    /// A crowd or an ignored object: need not be found.
    Ignored,
}

/// One picture's detections and truths, in the order given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// Each detection.
    pub detections: Vec<Mark>,
    /// Each truth.
    pub truths: Vec<TruthMark>,
}

impl Marks {
    /// True positives, false positives and false negatives.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let count = |wanted: fn(&Mark) -> bool| self.detections.iter().filter(|mark| wanted(mark)).count();
        let missed = self.truths.iter().filter(|mark| **mark == TruthMark::Missed).count();
        [count(|mark| matches!(mark, Mark::Right(_))), count(|mark| matches!(mark, Mark::Wrong(_))), missed]
    }
}

/// Marks what at least `confidence` is said of a picture. Detections take truths of their class as COCO has it: by falling
/// score, each the free one that it covers best, by at least `least_iou`.
#[must_use]
pub fn marks(truths: &[Truth], detections: &[Detection], confidence: f64, least_iou: f64) -> Marks {
    let mut marks = Marks {
        detections: vec![Mark::Hidden; detections.len()],
        truths: truths.iter().map(|t| if t.is_asked() { TruthMark::Missed } else { TruthMark::Ignored }).collect(),
    };
    let mut shown: Vec<usize> = (0..detections.len()).filter(|&i| detections[i].score >= confidence).collect();
    shown.sort_by(|&a, &b| falling(detections[a].score, detections[b].score));
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for &i in &shown {
        classes.entry(detections[i].class).or_default().push(i);
        marks.detections[i] = Mark::Wrong(Blame::Background);
    }
    for (class, said) in classes {
        let there: Vec<usize> = (0..truths.len()).filter(|&i| truths[i].class == class).collect();
        let of_class: Vec<Truth> = there.iter().map(|&i| truths[i]).collect();
        let overlaps = Overlaps::new(said.iter().map(|&i| &detections[i]), &of_class);
        let mut order: Vec<usize> = (0..of_class.len()).collect();
        order.sort_by_key(|&i| !of_class[i].is_asked());
        overlaps.take(
            said.len(),
            &order,
            |i| !of_class[i].is_asked(),
            least_iou,
            |detection, truth| {
                let (detection, at) = (said[detection], there[truth]);
                if of_class[truth].is_asked() {
                    marks.detections[detection] = Mark::Right(at);
                    marks.truths[at] = TruthMark::Found(detection);
                } else {
                    marks.detections[detection] = Mark::Ignored(at);
                }
            },
        );
    }
    let overlaps = Overlaps::new(detections.iter(), truths);
    for i in shown {
        if matches!(marks.detections[i], Mark::Wrong(_)) {
            marks.detections[i] = Mark::Wrong(blame(&overlaps, truths, &detections[i], i, least_iou));
        }
    }
    marks
}

/// What a wrong detection is mistaken in.
fn blame(overlaps: &Overlaps<'_>, truths: &[Truth], detection: &Detection, at: usize, least_iou: f64) -> Blame {
    let best = |wanted: &dyn Fn(&Truth) -> bool| {
        let asked = (0..truths.len()).filter(|&i| truths[i].is_asked() && wanted(&truths[i]));
        let all = asked.map(|i| (overlaps.iou(at, i), i));
        all.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).unwrap_or_default()
    };
    let own = best(&|truth| truth.class == detection.class);
    let other = best(&|truth| truth.class != detection.class);
    if own.0 >= least_iou && own.0 > 0.0 {
        Blame::Twice(own.1)
    } else if other.0 >= least_iou && other.0 > 0.0 {
        Blame::OtherClass(other.1)
    } else if own.0 >= NEAR {
        Blame::Loose(own.1)
    } else {
        Blame::Background
    }
}
