//! Reads and decodes every file once, so that nothing breaks in the middle of a run that could be known before it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::formats::Item;
use super::formats::masks::MaskRule;
use super::mask::facts::{Facts, facts_of};
use super::mask::files::{Objects, read_objects};
use super::{DataError, MaskTarget, Progress, ValueMap, image, jpeg, listing, on_decode_pool};

/// What is known about a file that can be decoded.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    /// Width and height in pixels after EXIF orientation.
    pub size_px: [u32; 2],
    /// SHA-256 of the file.
    pub digest: [u8; 32],
    /// What is in its mask, if it has one, or why that cannot be read.
    pub mask: Option<Result<Facts, String>>,
    /// Of a picture whose objects have a file each: these, or the file that cannot be used and why.
    pub objects: Option<Result<Objects, (PathBuf, String)>>,
    /// Whether every pixel is grey.
    pub grey: bool,
    /// Used, but something about it should be known.
    pub remark: Option<Remark>,
}

/// What should be known about a file that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// Only the first frame of a GIF is used.
    FirstFrame,
    /// A JPEG without an end, whose picture seems to be complete.
    NoEnd,
}

/// Checks every item; each result stands at its item's place. `Err` within is the reason why the file is left out.
pub(crate) fn check(
    items: &[Item],
    masks: Option<&MaskRule>,
    progress: &dyn Progress,
) -> Result<Vec<Result<Checked, String>>, DataError> {
    let colors = masks.and_then(MaskRule::colors);
    let done = AtomicUsize::new(0);
    let checked: Vec<Option<Result<Checked, String>>> = on_decode_pool(|| {
        let each = items.par_iter().with_max_len(1).map(|item| {
            if progress.cancelled() {
                return None;
            }
            let result = check_one(item, masks, colors.as_ref());
            progress.update(done.fetch_add(1, Ordering::Relaxed) + 1, items.len(), "checking pictures");
            Some(result)
        });
        each.collect()
    });
    checked.into_iter().collect::<Option<Vec<_>>>().ok_or(DataError::Cancelled)
}

fn check_one(item: &Item, masks: Option<&MaskRule>, colors: Option<&ValueMap>) -> Result<Checked, String> {
    let bytes = image::read(&item.path).map_err(|error| error.reason())?;
    let decoded = image::decode(&bytes, "").map_err(|error| match listing::extension(&item.path) {
        extension if ::image::guess_format(&bytes).is_err() && !bytes.is_empty() && !extension.is_empty() => {
            format!("not a picture, although it is named .{extension}")
        }
        _ => format!("cannot be decoded: {}", error.reason()),
    })?;
    let remark = if jpeg::ends_early(&bytes) {
        if jpeg::bottom_is_flat(&decoded) {
            return Err("cannot be decoded: the file ends in the middle of the picture (truncated JPEG)".to_owned());
        }
        Some(Remark::NoEnd)
    } else {
        bytes.starts_with(b"GIF8").then_some(Remark::FirstFrame)
    };
    let grey = decoded.pixels.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b);
    let size_px = [decoded.width, decoded.height];
    let classes = masks.map_or(0, MaskRule::class_count);
    let relative = item.origin.as_ref().is_some_and(|origin| origin.relative);
    let facts = |mask| facts_of(mask, size_px, relative, colors, classes).map_err(|error| error.reason());
    let objects = (!item.objects.is_empty()).then(|| read_objects(&item.objects, size_px));
    let mask = match &objects {
        Some(Ok(objects)) => Some(facts(&MaskTarget::Shapes(Arc::new(objects.shapes.clone())))),
        Some(Err(_)) => None,
        None => item.target.mask.as_ref().map(facts),
    };
    Ok(Checked { grey, size_px, mask, objects, digest: Sha256::digest(&bytes).into(), remark })
}
