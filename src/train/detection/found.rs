//! What a detector finds in a picture, small enough to be kept for every validation picture, and what that is worth.

use super::{Candidates, Detection, ImageBoxes, Marks, Truth, evaluate, filter, marks};
use crate::data::{BoxTarget, Dataset};
use crate::train::prediction::BoxScore;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Objects that are shown or measured in one picture at most, as COCO counts.
pub const MOST_BOXES: usize = 100;

/// An object that a detector finds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundBox {
    /// Its class.
    pub class: u32,
    /// How sure the detector is.
    pub score: f32,
    /// Left, top, right, bottom in pixels of the picture.
    pub xyxy: [f32; 4],
}

/// What a detector finds in one picture: as many objects as COCO counts.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxResult {
    /// Index in the data set's samples.
    pub index: u32,
    /// The objects, likeliest first.
    pub found: Vec<FoundBox>,
}

impl BoxResult {
    /// The least score that counts: average precision looks at the unlikely ones too.
    pub const LEAST: f32 = 0.001;

    /// The candidates of a picture that are left when those go that overlap a likelier one of their class by more than
    /// `overlap`.
    #[must_use]
    pub fn of(index: usize, candidates: &Candidates, overlap: f32) -> Self {
        let at = |at: usize| {
            let (class, score) = (*candidates.classes.get(at)?, *candidates.scores.get(at)?);
            Some(FoundBox { class, score, xyxy: *candidates.boxes.get(at)? })
        };
        let kept = filter(candidates, Self::LEAST, overlap, MOST_BOXES);
        Self { index: u32::try_from(index).unwrap_or(u32::MAX), found: kept.into_iter().filter_map(at).collect() }
    }
}

/// COCO's metrics of a set: `ap`, `ap50`, `ap75`, `ap_small`, `ap_medium`, `ap_large`, `ar1`, `ar10`, `ar100`. What the set
/// has no object for is left out, but for `ap`, `ap50`, `ap75` and `ar100`, which are 0 then.
#[must_use]
pub fn metrics(found: &[BoxResult], dataset: &Dataset, classes: usize) -> BTreeMap<String, f64> {
    let images: Vec<ImageBoxes> = found.iter().map(|result| boxes_of(result, dataset)).collect();
    let all = evaluate(&images, classes);
    let always = [("ap", all.ap), ("ap50", all.ap50), ("ap75", all.ap75), ("ar100", all.ar100)];
    let sometimes = [
        ("ap_small", all.ap_small),
        ("ap_medium", all.ap_medium),
        ("ap_large", all.ap_large),
        ("ar1", all.ar1),
        ("ar10", all.ar10),
    ];
    let always = always.into_iter().map(|(name, value)| (name, Some(value.unwrap_or(0.0))));
    let known = always.chain(sometimes).filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.collect()
}

/// The truth and the findings of a picture as the evaluator takes them.
#[must_use]
pub fn boxes_of(result: &BoxResult, dataset: &Dataset) -> ImageBoxes {
    let sample = dataset.samples.get(result.index as usize);
    let truths = sample.and_then(|sample| sample.target.boxes.as_ref()).into_iter().flatten().map(truth).collect();
    let detection =
        |found: &FoundBox| Detection { class: found.class, xywh: xywh(found.xyxy), score: f64::from(found.score) };
    ImageBoxes { truths, detections: result.found.iter().map(detection).collect() }
}

/// Which of the objects that are shown of a picture are right, wrong or missed, at the overlap `least_iou`.
#[must_use]
pub fn judge(truth: &[BoxTarget], found: &[BoxScore], least_iou: f64) -> Marks {
    let truths: Vec<Truth> = truth.iter().map(self::truth).collect();
    let detection = |one: &BoxScore| Detection { class: one.class, xywh: xywh(one.xyxy), score: f64::from(one.score) };
    marks(&truths, &found.iter().map(detection).collect::<Vec<_>>(), 0.0, least_iou)
}

fn truth(target: &BoxTarget) -> Truth {
    let xywh = xywh(target.xyxy);
    let [_, _, width, height] = xywh;
    let area = target.area_px.map_or(width * height, f64::from);
    Truth { class: target.class, xywh, area, crowd: target.crowd, ignore: target.difficult }
}

pub(super) fn xywh(xyxy: [f32; 4]) -> [f64; 4] {
    let [left, top, right, bottom] = xyxy.map(f64::from);
    [left, top, right - left, bottom - top]
}
