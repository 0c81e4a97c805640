//! Between the data's boxes and a network's: what a forward pass needs to know, and candidates in pixels of the picture.

use super::Candidates;
use crate::data::batch::Batch;
use crate::data::{Dataset, Placement, Split};
use crate::graph::{Detector, Graph};
use crate::nn::{Ctx, Object, Pictures, RunError, Value};

/// What a detector needs to know of a batch: where the pictures end and, for a loss, the objects in them.
#[must_use]
pub fn pictures(batch: &Batch) -> Pictures {
    let [height, width] = batch.size;
    let sizes = batch.placements.iter().zip(&batch.images_px);
    let sizes = sizes.map(|(placement, image_px)| content(placement, *image_px, [width, height])).collect();
    let object = |target: &crate::data::BoxTarget| Object {
        class: target.class as usize,
        xyxy: target.xyxy,
        crowd: target.crowd,
    };
    let objects = batch.boxes.iter().map(|boxes| boxes.iter().flatten().map(object).collect()).collect();
    Pictures { sizes, objects: Some(objects), ..Pictures::default() }
}

/// Width and height up to which an input of `input_px` (width, height) holds the picture; the whole where its upper left
/// corner is elsewhere.
#[must_use]
pub fn content(placement: &Placement, image_px: [u32; 2], input_px: [usize; 2]) -> [f32; 2] {
    let [width, height] = input_px.map(|n| n as f32);
    let (left, top) = placement.input_from_image(0.0, 0.0);
    let (right, bottom) = placement.input_from_image(image_px[0] as f32, image_px[1] as f32);
    if left.abs() > 0.5 || top.abs() > 0.5 || right <= left || bottom <= top {
        return [width, height];
    }
    [right.min(width), bottom.min(height)]
}

/// The candidates of each picture of a batch, in pixels of the picture and cut at its border.
///
/// # Errors
/// As [`super::candidates`].
pub fn in_pictures(
    detector: &Detector,
    outputs: &[Value],
    ctx: &Ctx,
    placements: &[(Placement, [u32; 2])],
) -> Result<Vec<Candidates>, RunError> {
    let mut all = super::candidates(detector, outputs, ctx)?;
    for (candidates, (placement, size_px)) in all.iter_mut().zip(placements) {
        to_picture(candidates, placement, *size_px);
    }
    Ok(all)
}

/// Moves candidates from input pixels to pixels of the picture and cuts them at its border.
pub fn to_picture(candidates: &mut Candidates, placement: &Placement, size_px: [u32; 2]) {
    let [width, height] = size_px.map(|n| n as f32);
    for xyxy in &mut candidates.boxes {
        let (left, top) = placement.image_from_input(xyxy[0], xyxy[1]);
        let (right, bottom) = placement.image_from_input(xyxy[2], xyxy[3]);
        // A mirrored input has its left on the right.
        let (left, right) = (left.min(right), left.max(right));
        *xyxy = [left.clamp(0.0, width), top.clamp(0.0, height), right.clamp(0.0, width), bottom.clamp(0.0, height)];
    }
}

/// The pictures of a split that the heads can learn from or be measured by. A detector leaves those out of whose objects
/// nothing is known: taking them for empty would teach it not to see. A promptable network needs an object to ask for.
#[must_use]
pub fn known(graph: &Graph, dataset: &Dataset, split: Split) -> Vec<usize> {
    let mut all = dataset.indices(split);
    if graph.detector.is_some() {
        all.retain(|&at| dataset.samples.get(at).is_some_and(|sample| sample.target.boxes.is_some()));
    }
    if graph.takes_prompts() {
        all.retain(|&at| dataset.samples.get(at).is_some_and(|sample| dataset.shows_objects(sample)));
    }
    all
}
