//! From a file to what views are made of: the finished input, or a copy that is large enough for random crops.

use std::sync::Arc;

use super::cache::Stage;
use super::image::{Reduced, load, load_reduced};
use super::transform::{preprocess, resize_part, shorter_side_to};
use super::{DataError, ImageSource, Placement, Rgb8, View};
use crate::graph::{Interpolation, Preprocess};

/// Reads a picture for a view.
pub(crate) fn stage(source: &ImageSource, view: &View) -> Result<Stage, DataError> {
    match working_side(view) {
        None => load(source).map(|image| input(&image, view)),
        Some(side) => load_reduced(source, &|_, _| [side; 2]).map(|reduced| working_copy(reduced, side)),
    }
}

/// Without augmentation: the finished 8-bit input.
fn input(image: &Rgb8, view: &View) -> Stage {
    let (input, placement) = preprocess(image, &view.rule);
    Stage { image: Arc::new(input), placement }
}

/// With augmentation: the picture that crops are taken from. One of twice the working side is reduced to it.
fn working_copy(Reduced { image, seen, whole_px }: Reduced, side: u32) -> Stage {
    let [width, height] = whole_px;
    if width.min(height) < side.saturating_mul(2) {
        return Stage { image: Arc::new(image), placement: Placement::IDENTITY };
    }
    let (width, height) = shorter_side_to(width, height, side);
    let placement = Placement::resized(whole_px, [width, height]);
    Stage { image: Arc::new(resize_part(&image, seen, width, height, Interpolation::Bilinear)), placement }
}

/// How pictures are reduced for a view, in words that differ where the pixels do. (Normalization comes later.)
pub(crate) fn reduction(view: &View) -> String {
    match working_side(view) {
        Some(side) => format!("working copy, {side}"),
        None => {
            let Preprocess { size, resize, interpolation, antialias, .. } = &view.rule;
            format!("{size:?} {resize:?} {interpolation:?} {antialias}")
        }
    }
}

/// The shorter side that a training picture needs, so that its smallest crop still has a quarter more pixels than the
/// input. Pictures of twice that are reduced first, cached or not: a 12-megapixel photo then costs a tenth.
pub(crate) fn working_side(view: &View) -> Option<u32> {
    let augment = view.augment.as_ref()?;
    let longest = augment.sizes.iter().chain(&view.rule.size).fold(0, |longest, side| longest.max(*side));
    let longest = f64::from(longest);
    if augment.composes() {
        // Half of a picture at its largest size.
        let largest = augment.shift.map_or(1.0, |shift| f64::from(shift.scale[1]).clamp(0.1, 4.0));
        return Some((2.0 * largest * longest).ceil() as u32);
    }
    let smallest = augment.random_resized_crop.map_or(1.0, |range| f64::from(range.scale[0]).clamp(0.01, 1.0).sqrt());
    Some((1.25 * longest / smallest).ceil() as u32)
}
