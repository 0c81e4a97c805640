//! Objects that have a mask file each, which is read once and kept as runs.

use std::path::{Path, PathBuf};

use super::raster::runs_of;
use super::raw::{Raw, decode_mask};
use super::shapes::{Region, Shape, Shapes};
use crate::data::image;

/// From this level on a pixel of a lossy file is of the object.
const HALF: u8 = 128;

/// The objects of a picture, and what is odd about them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Objects {
    pub shapes: Shapes,
    /// Files without a pixel of an object.
    pub empty: Vec<PathBuf>,
    /// Pixels that belong to several objects, and the first two of these.
    pub shared: Option<(u64, PathBuf, PathBuf)>,
}

/// Reads the objects of a picture of `size_px`, one from each file: 0 is not the object, and one other value is. All are of
/// class 1, and 0 is the background.
///
/// # Errors
/// The file that cannot be used, and why.
pub(crate) fn read_objects(files: &[PathBuf], size_px: [u32; 2]) -> Result<Objects, (PathBuf, String)> {
    let mut objects =
        Objects { shapes: Shapes { size_px, background: 0, shapes: Vec::new() }, empty: Vec::new(), shared: None };
    let mut owner: Vec<Option<&Path>> = vec![None; size_px.iter().map(|&side| side as usize).product()];
    for file in files {
        let set = pixels(file, size_px).map_err(|why| (file.clone(), why))?;
        if !set.contains(&true) {
            objects.empty.push(file.clone());
            continue;
        }
        for (place, _) in owner.iter_mut().zip(&set).filter(|(_, set)| **set) {
            match (&*place, &mut objects.shared) {
                (None, _) => *place = Some(file),
                (Some(_), Some((count, ..))) => *count += 1,
                (Some(first), none) => *none = Some((1, first.to_path_buf(), file.clone())),
            }
        }
        let runs = runs_of(|at| set.get(at) == Some(&true), size_px);
        objects.shapes.shapes.push(Shape { class: 1, region: Region::Runs(runs), crowd: false });
    }
    Ok(objects)
}

/// Which pixels are of the object.
fn pixels(file: &Path, [width, height]: [u32; 2]) -> Result<Vec<bool>, String> {
    let bytes = image::read(file).map_err(|error| error.reason())?;
    let mask = decode_mask(&bytes, "").map_err(|error| format!("it cannot be decoded: {}", error.reason()))?;
    if [mask.width, mask.height] != [width, height] {
        return Err(format!("it has {}x{} pixels, and its picture has {width}x{height}", mask.width, mask.height));
    }
    match mask.pixels {
        Raw::Grey8(values) if mask.lossy => Ok(values.into_iter().map(|value| value >= HALF).collect()),
        Raw::Grey8(values) | Raw::Indexed(values, _) => one_value(values.into_iter().map(u16::from)),
        Raw::Grey16(values) => one_value(values.into_iter()),
        Raw::Color(_) => Err("it has colors, where 0 and one other value tell one object".to_owned()),
    }
}

fn one_value(values: impl Iterator<Item = u16>) -> Result<Vec<bool>, String> {
    let mut known = 0;
    let mut set = Vec::with_capacity(values.size_hint().0);
    for value in values {
        if value != 0 && known != 0 && value != known {
            return Err(format!("it has the values {known} and {value}, where 0 and one other value tell one object"));
        }
        known = known.max(value);
        set.push(value != 0);
    }
    Ok(set)
}
