//! Boxes as the measures of detection take them: what is there, what is said, and how much of each other they cover.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ops::Range;

/// An object that is there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Its class.
    pub class: u32,
    /// Left, top, width and height in pixels of the picture.
    pub xywh: [f64; 4],
    /// Area in square pixels, that of the mask where there is one: it decides between small, medium and large.
    pub area: f64,
    /// Stands for a group of objects: any number of boxes inside it are neither right nor wrong.
    pub crowd: bool,
    /// Not asked for (Pascal VOC's `difficult`): finding it is neither right nor wrong.
    pub ignore: bool,
}

impl Truth {
    /// A plain object with the area of its box.
    #[must_use]
    pub fn new(class: u32, xywh: [f64; 4]) -> Self {
        Self { class, xywh, area: area(&xywh), crowd: false, ignore: false }
    }

    /// Whether it has to be found.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        !self.crowd && !self.ignore
    }
}

/// A box that a detector draws.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Its class.
    pub class: u32,
    /// Left, top, width and height in pixels of the picture.
    pub xywh: [f64; 4],
    /// How sure the detector is, 0 to 1.
    pub score: f64,
}

/// What is there in a picture and what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageBoxes {
    /// What is there.
    pub truths: Vec<Truth>,
    /// What is said.
    pub detections: Vec<Detection>,
}

/// Square pixels of a box.
pub(super) fn area(xywh: &[f64; 4]) -> f64 {
    xywh[2] * xywh[3]
}

/// Intersection over union of a detection and a truth; with a crowd, over the detection's own area, as COCO has it.
/// Boxes that only touch have none.
#[must_use]
pub fn iou(detection: &[f64; 4], truth: &[f64; 4], crowd: bool) -> f64 {
    let overlap = |axis: usize| {
        let end = (detection[axis] + detection[axis + 2]).min(truth[axis] + truth[axis + 2]);
        end - detection[axis].max(truth[axis])
    };
    let (width, height) = (overlap(0), overlap(1));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let both = width * height;
    let iou = both / if crowd { area(detection) } else { area(detection) + area(truth) - both };
    // `min` and `max` pass over what is no number; a box with one covers nothing.
    let broken = iou.is_nan() || detection.iter().chain(truth).any(|value| value.is_nan());
    if broken { 0.0 } else { iou }
}

/// Falling scores; what is no number comes last.
pub(super) fn falling(a: f64, b: f64) -> Ordering {
    let key = |score: f64| if score.is_nan() { f64::NEG_INFINITY } else { score };
    key(b).partial_cmp(&key(a)).unwrap_or(Ordering::Equal)
}

/// All boxes of one class: a measure looks at no pair of different classes or pictures.
#[derive(Default)]
pub(super) struct ClassBoxes {
    pub truths: Vec<Truth>,
    pub detections: Vec<Detection>,
    /// Places of both in [`ImageBoxes`], in the order of the lists above.
    pub truth_at: Vec<u32>,
    pub detection_at: Vec<u32>,
    /// The pictures that have any, in order.
    pub pictures: Vec<ClassPicture>,
}

/// What one picture has of one class.
#[derive(Clone)]
pub(super) struct ClassPicture {
    pub index: usize,
    pub truths: Range<usize>,
    pub detections: Range<usize>,
}

/// The boxes of each class, and how many boxes have a class from `classes` on.
pub(super) fn by_class(images: &[ImageBoxes], classes: usize) -> (Vec<ClassBoxes>, usize) {
    let mut groups: Vec<ClassBoxes> = (0..classes).map(|_| ClassBoxes::default()).collect();
    let mut strangers = 0;
    for (index, image) in images.iter().enumerate() {
        for (at, truth) in (0..).zip(&image.truths) {
            let Some(group) = groups.get_mut(truth.class as usize) else {
                strangers += 1;
                continue;
            };
            group.open(index);
            group.truths.push(*truth);
            group.truth_at.push(at);
            group.close();
        }
        for (at, detection) in (0..).zip(&image.detections) {
            let Some(group) = groups.get_mut(detection.class as usize) else {
                strangers += 1;
                continue;
            };
            group.open(index);
            group.detections.push(*detection);
            group.detection_at.push(at);
            group.close();
        }
    }
    (groups, strangers)
}

impl ClassBoxes {
    fn open(&mut self, index: usize) {
        if self.pictures.last().is_none_or(|last| last.index != index) {
            let (truths, detections) = (self.truths.len(), self.detections.len());
            self.pictures.push(ClassPicture { index, truths: truths..truths, detections: detections..detections });
        }
    }

    fn close(&mut self) {
        if let Some(last) = self.pictures.last_mut() {
            last.truths.end = self.truths.len();
            last.detections.end = self.detections.len();
        }
    }
}

/// How well each of some detections covers each of some truths, and which truths may be taken.
pub(super) struct Overlaps<'a> {
    /// `[detection][truth]`, row-major.
    ious: Vec<f64>,
    truths: &'a [Truth],
}

impl<'a> Overlaps<'a> {
    pub fn new(detections: impl Iterator<Item = &'a Detection>, truths: &'a [Truth]) -> Self {
        let pairs =
            detections.flat_map(|detection| truths.iter().map(|truth| iou(&detection.xywh, &truth.xywh, truth.crowd)));
        Self { ious: pairs.collect(), truths }
    }

    pub fn iou(&self, detection: usize, truth: usize) -> f64 {
        self.ious.get(detection * self.truths.len() + truth).copied().unwrap_or_default()
    }

    /// COCO's greedy matching: each detection in turn takes the free truth that it covers best, at least by
    /// `threshold`; one that has to be found goes before an ignored one however much better that is covered, and a crowd
    /// is never used up. Of equal ones the last is taken. `order` lists the truths, the ignored last.
    pub fn take(
        &self,
        count: usize,
        order: &[usize],
        ignored: impl Fn(usize) -> bool,
        threshold: f64,
        mut found: impl FnMut(usize, usize),
    ) {
        let mut taken = vec![false; self.truths.len()];
        for detection in 0..count {
            let mut least = threshold.min(1.0 - 1e-10);
            let mut best = None;
            for &truth in order {
                if taken[truth] && !self.truths[truth].crowd {
                    continue;
                }
                if best.is_some_and(|best| !ignored(best)) && ignored(truth) {
                    break;
                }
                let iou = self.iou(detection, truth);
                if iou >= least && iou > 0.0 {
                    (least, best) = (iou, Some(truth));
                }
            }
            if let Some(truth) = best {
                taken[truth] = true;
                found(detection, truth);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_by_hand() {
        let (a, b) = ([0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 10.0, 10.0]);
        assert!((iou(&a, &b, false) - 25.0 / 175.0).abs() < 1e-12);
        assert!((iou(&a, &b, true) - 0.25).abs() < 1e-12);
        assert_eq!(iou(&a, &[10.0, 0.0, 5.0, 5.0], false), 0.0, "they only touch");
        assert_eq!(iou(&a, &[f64::NAN, 0.0, 5.0, 5.0], false), 0.0, "no number, no overlap");
        assert_eq!(iou(&[0.0, 0.0, f64::INFINITY, 5.0], &[0.0, 0.0, f64::INFINITY, 5.0], false), 0.0);
        assert_eq!(iou(&[3.0, 3.0, 0.0, 0.0], &[3.0, 3.0, 0.0, 0.0], false), 0.0, "no area, no overlap");
    }

    #[test]
    fn groups_keep_pictures_apart_and_count_strangers() {
        let said = |class| Detection { class, xywh: [0.0, 0.0, 1.0, 1.0], score: 0.5 };
        let there = |class| Truth::new(class, [0.0, 0.0, 1.0, 1.0]);
        let images = [
            ImageBoxes { truths: vec![there(1), there(0), there(1)], detections: vec![said(2)] },
            ImageBoxes::default(),
            ImageBoxes { truths: vec![], detections: vec![said(1), said(0), said(1)] },
        ];
        let (groups, strangers) = by_class(&images, 2);
        assert_eq!(strangers, 1);
        let shape = |group: &ClassBoxes| {
            let each = group.pictures.iter().map(|p| (p.index, p.truths.clone(), p.detections.clone()));
            each.collect::<Vec<_>>()
        };
        assert_eq!(shape(&groups[0]), [(0, 0..1, 0..0), (2, 1..1, 0..1)]);
        assert_eq!(shape(&groups[1]), [(0, 0..2, 0..0), (2, 2..2, 0..2)]);
        assert_eq!((groups[1].truth_at.clone(), groups[1].detection_at.clone()), (vec![0, 2], vec![0, 2]));
    }
}
