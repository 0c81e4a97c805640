//! Precision against recall of each class as the confidence falls, with the pictures behind each point.

use super::boxes::{ClassBoxes, ImageBoxes, Overlaps, Truth, by_class, falling};
use super::coco::LIMITS;
use rayon::prelude::*;

/// Confidences that [`best_mean_f1`] tries: 0 to 1 in steps of .001.
const STEPS: u32 = 1000;

/// A detection that counts, in the order of falling score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The picture's position.
    pub picture: usize,
    /// The detection's position in the picture.
    pub detection: usize,
    /// How sure the detector is.
    pub score: f64,
    /// The position of the truth that it finds; none where it is wrong.
    pub truth: Option<usize>,
}

/// An object that has to be found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// The picture's position.
    pub picture: usize,
    /// The truth's position in the picture.
    pub truth: usize,
    /// The score of the detection that finds it, if one does.
    pub found: Option<f64>,
}

/// Precision and recall of what is said with at least some confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PrPoint {
    /// The least score that counts.
    pub confidence: f64,
    /// Right ones of the detections; 1 without any.
    pub precision: f64,
    /// Objects found, of all.
    pub recall: f64,
}

impl PrPoint {
    /// The harmonic mean of both.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let sum = self.precision + self.recall;
        if sum > 0.0 { 2.0 * self.precision * self.recall / sum } else { 0.0 }
    }
}

/// One class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrCurve {
    /// The detections that count, by falling score; those on crowds and ignored objects do not.
    pub ranked: Vec<Ranked>,
    /// The objects to be found, by picture.
    pub asked: Vec<Asked>,
    /// A point for each distinct score, falling; empty where there is nothing to be found.
    pub points: Vec<PrPoint>,
}

impl PrCurve {
    /// The point with the greatest F1, of equal ones the surest; none where there is nothing to be found or nothing said.
    #[must_use]
    pub fn best(&self) -> Option<PrPoint> {
        let better = |best: PrPoint, point: &PrPoint| if point.f1() > best.f1() { *point } else { best };
        self.points.split_first().map(|(first, rest)| rest.iter().fold(*first, better))
    }

    /// Precision and recall of what is said with at least `confidence`; none where there is nothing to be found.
    #[must_use]
    pub fn at(&self, confidence: f64) -> Option<PrPoint> {
        if self.asked.is_empty() {
            return None;
        }
        let count = self.points.partition_point(|point| point.confidence >= confidence);
        let last = count.checked_sub(1).and_then(|i| self.points.get(i));
        Some(last.map_or(PrPoint { confidence, precision: 1.0, recall: 0.0 }, |last| PrPoint { confidence, ..*last }))
    }

    /// What is wrong among what is said with at least `confidence` (false positives), the surest first.
    pub fn wrong(&self, confidence: f64) -> impl Iterator<Item = &Ranked> {
        let sure = self.ranked.iter().take_while(move |ranked| ranked.score >= confidence);
        sure.filter(|ranked| ranked.truth.is_none())
    }

    /// What is not found by what is said with at least `confidence` (false negatives), by picture.
    pub fn missed(&self, confidence: f64) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(move |asked| asked.found.is_none_or(|score| score < confidence))
    }
}

/// The curve of each class `0..classes`, with objects found at an IoU of at least `least_iou`; matching and the limit of
/// a hundred detections per picture and class are COCO's.
#[must_use]
pub fn pr_curves(images: &[ImageBoxes], classes: usize, least_iou: f64) -> Vec<PrCurve> {
    let (groups, _) = by_class(images, classes);
    groups.par_iter().map(|group| of_class(group, least_iou)).collect()
}

/// The confidence at which the mean F1 over the classes with something to find is greatest, in steps of .001, with
/// that mean: the usual choice where one confidence has to serve all classes. None where nothing is to be found.
#[must_use]
pub fn best_mean_f1(curves: &[PrCurve]) -> Option<(f64, f64)> {
    let asked: Vec<&PrCurve> = curves.iter().filter(|curve| !curve.asked.is_empty()).collect();
    let mean = |step: u32| {
        let confidence = f64::from(step) / f64::from(STEPS);
        let sum: f64 = asked.iter().filter_map(|curve| curve.at(confidence)).map(|point| point.f1()).sum();
        (confidence, sum / asked.len() as f64)
    };
    let better = |best: (f64, f64), next: (f64, f64)| if next.1 > best.1 { next } else { best };
    (!asked.is_empty()).then(|| (1..=STEPS).map(mean).fold(mean(0), better))
}

fn of_class(group: &ClassBoxes, least_iou: f64) -> PrCurve {
    let mut curve = PrCurve::default();
    for picture in &group.pictures {
        let truths: &[Truth] = group.truths.get(picture.truths.clone()).unwrap_or_default();
        let mut said: Vec<usize> = picture.detections.clone().collect();
        said.sort_by(|&a, &b| falling(group.detections[a].score, group.detections[b].score));
        said.truncate(LIMITS[2]);
        let mut taken: Vec<Option<usize>> = vec![None; said.len()];
        let mut found = vec![None; truths.len()];
        let ignored = |i: usize| !truths[i].is_asked();
        let mut order: Vec<usize> = (0..truths.len()).collect();
        order.sort_by_key(|&i| ignored(i));
        let overlaps = Overlaps::new(said.iter().map(|&i| &group.detections[i]), truths);
        overlaps.take(said.len(), &order, ignored, least_iou, |detection, truth| {
            taken[detection] = Some(truth);
            found[truth] = Some(group.detections[said[detection]].score);
        });
        let place = |i: usize| group.truth_at[picture.truths.start + i] as usize;
        for (&i, taken) in said.iter().zip(taken) {
            if !taken.is_some_and(ignored) {
                curve.ranked.push(Ranked {
                    picture: picture.index,
                    detection: group.detection_at[i] as usize,
                    score: group.detections[i].score,
                    truth: taken.map(place),
                });
            }
        }
        let asked = found.into_iter().enumerate().filter(|(i, _)| !ignored(*i));
        curve.asked.extend(asked.map(|(i, found)| Asked { picture: picture.index, truth: place(i), found }));
    }
    curve.ranked.sort_by(|a, b| falling(a.score, b.score));
    if !curve.asked.is_empty() {
        curve.points = points(&curve.ranked, curve.asked.len());
    }
    curve
}

fn points(ranked: &[Ranked], asked: usize) -> Vec<PrPoint> {
    let mut points: Vec<PrPoint> = Vec::new();
    let mut right = 0;
    for (i, own) in ranked.iter().enumerate() {
        right += usize::from(own.truth.is_some());
        let precision = right as f64 / (i + 1) as f64;
        let point = PrPoint { confidence: own.score, precision, recall: right as f64 / asked as f64 };
        match points.last_mut() {
            Some(last) if last.confidence.to_bits() == own.score.to_bits() => *last = point,
            _ => points.push(point),
        }
    }
    points
}
