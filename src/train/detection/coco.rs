//! The COCO measures of boxes (Lin et al. 2014, <https://cocodataset.org/#detection-eval>), equal to `pycocotools`.
//!
//! Per class and IoU threshold, detections of all pictures in the order of falling score take truths greedily within
//! their picture (at most [`LIMITS`] of each picture and class). Precision is made monotone and read at 101 recalls. What
//! matches a crowd or an object of another size, and what matches nothing and has another size itself, counts for nothing.

use super::boxes::{ClassBoxes, ClassPicture, Detection, ImageBoxes, Overlaps, Truth, area, by_class, falling};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// IoU thresholds: .50 to .95 in steps of .05.
pub const THRESHOLDS: usize = 10;
/// Recalls at which precision is read: 0 to 1 in steps of .01.
pub const RECALLS: usize = 101;
/// The best detections of each picture and class that recall is asked of.
pub const LIMITS: [usize; 3] = [1, 10, 100];
/// Least and largest area in square pixels, both included: all, small, medium, large.
pub const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// The position of IoU .75 among the thresholds.
const AT_75: usize = 5;
/// Pictures of one class that one thread takes at once.
const PICTURES_AT_ONCE: usize = 64;

/// The IoU threshold of a position, with the rounding of numpy's `linspace`, which decides borderline cases.
#[must_use]
pub fn threshold(at: usize) -> f64 {
    if at + 1 == THRESHOLDS { 0.95 } else { at as f64 * ((0.95 - 0.5) / 9.0) + 0.5 }
}

/// The twelve numbers of COCO. None where the set has no object of the kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CocoMetrics {
    /// AP, the mean over IoU .50 to .95 and over classes.
    pub ap: Option<f64>,
    /// AP at IoU .50.
    pub ap50: Option<f64>,
    /// AP at IoU .75.
    pub ap75: Option<f64>,
    /// AP of objects under 32² pixels.
    pub ap_small: Option<f64>,
    /// AP of objects between 32² and 96² pixels.
    pub ap_medium: Option<f64>,
    /// AP of objects over 96² pixels.
    pub ap_large: Option<f64>,
    /// The greatest recall with one detection per picture and class, the mean over IoU and classes.
    pub ar1: Option<f64>,
    /// The same with ten.
    pub ar10: Option<f64>,
    /// The same with a hundred.
    pub ar100: Option<f64>,
    /// The same with a hundred, of objects under 32² pixels.
    pub ar_small: Option<f64>,
    /// Of objects between 32² and 96² pixels.
    pub ar_medium: Option<f64>,
    /// Of objects over 96² pixels.
    pub ar_large: Option<f64>,
    /// Each class.
    pub per_class: Vec<ClassMetrics>,
    /// Truths and detections of classes that there are not: they count nowhere else.
    pub strangers: usize,
}

/// The numbers of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Objects that have to be found.
    pub truths: usize,
    /// Detections, all that were given.
    pub detections: usize,
    /// AP, the mean over IoU .50 to .95.
    pub ap: Option<f64>,
    /// AP at IoU .50.
    pub ap50: Option<f64>,
    /// AP at IoU .75.
    pub ap75: Option<f64>,
    /// Monotone precision at IoU .50 for each of the 101 recalls; empty without truths.
    pub precision: Vec<f64>,
    /// The score down to which detections count at that recall, 0 where it is not reached; empty without truths.
    pub confidence: Vec<f64>,
    /// The greatest recall, `[threshold][area][limit]`.
    pub recall: [[[Option<f64>; 3]; 4]; THRESHOLDS],
    /// Mean precision, `[threshold][area]`, with a hundred detections per picture and class.
    pub average_precision: [[Option<f64>; 4]; THRESHOLDS],
}

impl CocoMetrics {
    /// The twelve in the order in which COCO's own program lists them.
    #[must_use]
    pub fn stats(&self) -> [Option<f64>; 12] {
        [
            self.ap,
            self.ap50,
            self.ap75,
            self.ap_small,
            self.ap_medium,
            self.ap_large,
            self.ar1,
            self.ar10,
            self.ar100,
            self.ar_small,
            self.ar_medium,
            self.ar_large,
        ]
    }
}

/// The measures of all pictures; classes are `0..classes`.
#[must_use]
pub fn evaluate(images: &[ImageBoxes], classes: usize) -> CocoMetrics {
    let (groups, strangers) = by_class(images, classes);
    let per_class: Vec<ClassMetrics> = groups.par_iter().map(of_class).collect();
    let ap = |area: usize, at: Option<usize>| {
        let rows = |class: &ClassMetrics| -> Vec<Option<f64>> {
            (0..THRESHOLDS).filter(|&t| at.is_none_or(|at| at == t)).map(|t| class.average_precision[t][area]).collect()
        };
        mean(per_class.iter().flat_map(rows))
    };
    let ar = |area: usize, limit: usize| {
        let rows = |class: &ClassMetrics| class.recall.map(|row| row[area][limit]);
        mean(per_class.iter().flat_map(rows))
    };
    CocoMetrics {
        ap: ap(0, None),
        ap50: ap(0, Some(0)),
        ap75: ap(0, Some(AT_75)),
        ap_small: ap(1, None),
        ap_medium: ap(2, None),
        ap_large: ap(3, None),
        ar1: ar(0, 0),
        ar10: ar(0, 1),
        ar100: ar(0, 2),
        ar_small: ar(1, 2),
        ar_medium: ar(2, 2),
        ar_large: ar(3, 2),
        strangers,
        per_class,
    }
}

/// The mean of what there is.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.flatten().fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// What becomes of one detection, for each area range; a bit for each threshold.
#[derive(Clone, Copy)]
struct Outcome {
    score: f64,
    /// Its place among the detections of its picture and class.
    rank: u32,
    hit: [u16; 4],
    ignored: [u16; 4],
}

fn of_class(group: &ClassBoxes) -> ClassMetrics {
    let pictures = group.pictures.par_iter().with_min_len(PICTURES_AT_ONCE);
    let each: Vec<Vec<Outcome>> = pictures.map(|picture| of_picture(group, picture)).collect();
    let mut outcomes: Vec<Outcome> = each.into_iter().flatten().collect();
    outcomes.sort_by(|a, b| falling(a.score, b.score));
    let mut metrics = ClassMetrics { detections: group.detections.len(), ..ClassMetrics::default() };
    for area in 0..AREAS.len() {
        let asked = group.truths.iter().filter(|truth| !is_ignored(truth, area)).count();
        if area == 0 {
            metrics.truths = asked;
        }
        if asked == 0 {
            continue;
        }
        for t in 0..THRESHOLDS {
            for (limit, most) in LIMITS.iter().enumerate() {
                let counts = |o: &&Outcome| (o.rank as usize) < *most && is_set(o.hit[area] & !o.ignored[area], t);
                metrics.recall[t][area][limit] = Some(outcomes.iter().filter(counts).count() as f64 / asked as f64);
            }
            let curve = Curve::new(&outcomes, area, t, asked);
            metrics.average_precision[t][area] = Some(curve.precision.iter().sum::<f64>() / RECALLS as f64);
            if (area, t) == (0, 0) {
                (metrics.precision, metrics.confidence) = (curve.precision, curve.confidence);
            }
        }
    }
    metrics.ap = mean(metrics.average_precision.iter().map(|row| row[0]));
    metrics.ap50 = metrics.average_precision[0][0];
    metrics.ap75 = metrics.average_precision[AT_75][0];
    metrics
}

fn is_set(bits: u16, at: usize) -> bool {
    (bits >> at) & 1 == 1
}

fn is_outside(area_px: f64, range: usize) -> bool {
    let [least, largest] = AREAS[range];
    area_px < least || area_px > largest
}

fn is_ignored(truth: &Truth, range: usize) -> bool {
    !truth.is_asked() || is_outside(truth.area, range)
}

/// The best detections of one picture and class, by falling score, and what becomes of each.
fn of_picture(group: &ClassBoxes, picture: &ClassPicture) -> Vec<Outcome> {
    let truths = group.truths.get(picture.truths.clone()).unwrap_or_default();
    let mut said: Vec<&Detection> =
        group.detections.get(picture.detections.clone()).unwrap_or_default().iter().collect();
    said.sort_by(|a, b| falling(a.score, b.score));
    said.truncate(LIMITS[2]);
    let empty =
        |(rank, detection): (u32, &&Detection)| Outcome { score: detection.score, rank, hit: [0; 4], ignored: [0; 4] };
    let mut outcomes: Vec<Outcome> = (0..).zip(&said).map(empty).collect();
    let overlaps = Overlaps::new(said.iter().copied(), truths);
    for range in 0..AREAS.len() {
        if !truths.is_empty() {
            let ignored: Vec<bool> = truths.iter().map(|truth| is_ignored(truth, range)).collect();
            let mut order: Vec<usize> = (0..truths.len()).collect();
            order.sort_by_key(|&truth| ignored[truth]);
            for t in 0..THRESHOLDS {
                overlaps.take(
                    said.len(),
                    &order,
                    |truth| ignored[truth],
                    threshold(t),
                    |detection, truth| {
                        outcomes[detection].hit[range] |= 1 << t;
                        outcomes[detection].ignored[range] |= u16::from(ignored[truth]) << t;
                    },
                );
            }
        }
        for (outcome, detection) in outcomes.iter_mut().zip(&said) {
            if is_outside(area(&detection.xywh), range) {
                outcome.ignored[range] |= !outcome.hit[range];
            }
        }
    }
    outcomes
}

/// Precision at the 101 recalls.
struct Curve {
    precision: Vec<f64>,
    confidence: Vec<f64>,
}

impl Curve {
    /// From outcomes by falling score.
    fn new(outcomes: &[Outcome], area: usize, t: usize, asked: usize) -> Self {
        let (mut right, mut wrong) = (0.0, 0.0);
        let mut recalls = Vec::with_capacity(outcomes.len());
        let mut precisions = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            if !is_set(outcome.ignored[area], t) {
                *(if is_set(outcome.hit[area], t) { &mut right } else { &mut wrong }) += 1.0;
            }
            recalls.push(right / asked as f64);
            precisions.push(right / (wrong + right + f64::EPSILON));
        }
        let mut best = 0.0_f64;
        for precision in precisions.iter_mut().rev() {
            best = best.max(*precision);
            *precision = best;
        }
        let mut curve = Self { precision: vec![0.0; RECALLS], confidence: vec![0.0; RECALLS] };
        let mut from = 0;
        for (at, (precision, confidence)) in curve.precision.iter_mut().zip(&mut curve.confidence).enumerate() {
            let wanted = at as f64 * 0.01; // as numpy's linspace(0, 1, 101) rounds
            from += recalls.iter().skip(from).take_while(|&&recall| recall < wanted).count();
            let (Some(value), Some(outcome)) = (precisions.get(from), outcomes.get(from)) else { break };
            (*precision, *confidence) = (*value, outcome.score);
        }
        curve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.linspace(.5, .95, 10)` as Python prints it.
    #[test]
    fn thresholds_are_numpys() {
        let numpys = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.8999999999999999, 0.95];
        assert_eq!((0..THRESHOLDS).map(threshold).collect::<Vec<_>>(), numpys);
    }
}
