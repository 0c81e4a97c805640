//! Class-id maps: read as values, never as colors of a picture, drawn from outlines on demand, and moved into the input
//! by nearest neighbor.

pub(crate) mod facts;
pub(crate) mod files;
mod objects;
pub(crate) mod raster;
pub(crate) mod raw;
mod shapes;

use std::sync::Arc;

use self::raw::{Raw, RawMask, decode_mask};
use super::image::read;
use super::{DataError, IGNORE_ID, MaskPixels, MaskTarget, Placement};

pub use self::objects::{VOID, components, load_objects};
pub use self::raster::{pack, polygon_runs, runs_of};
pub use self::shapes::{Region, Shape, Shapes};

/// What the pixels of a mask file mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMap {
    /// The class of each grey value or palette index; values beyond its end count for nothing.
    Values(Vec<u8>),
    /// Each value from `first` on is one object of class 1, those below are class 0.
    Instances {
        /// The least value that is an object.
        first: u16,
        /// The value that counts for nothing.
        void: Option<u16>,
    },
    /// The class of each color. One that is not in the list counts for nothing; in a file of a lossy format it is the
    /// only color within `near` levels of each channel.
    Colors {
        /// Colors and their classes.
        classes: Vec<([u8; 3], u8)>,
        /// Largest difference in a lossy file.
        near: u8,
    },
}

impl ValueMap {
    /// The same with other class ids: `new[old]`; one without is ignored.
    #[must_use]
    pub fn renumbered(&self, new: &[u8]) -> Self {
        let id = |old: u8| new.get(usize::from(old)).copied().unwrap_or(IGNORE_ID);
        match self {
            Self::Values(ids) => Self::Values(ids.iter().map(|old| id(*old)).collect()),
            Self::Instances { .. } if new.starts_with(&[0, 1]) => self.clone(),
            Self::Instances { .. } => Self::Values((0..=u16::MAX).map(|value| id(self.of_value(value))).collect()),
            Self::Colors { classes, near } => {
                Self::Colors { classes: classes.iter().map(|(color, old)| (*color, id(*old))).collect(), near: *near }
            }
        }
    }

    /// The class of a value.
    pub(crate) fn of_value(&self, value: u16) -> u8 {
        match self {
            Self::Values(ids) => ids.get(usize::from(value)).copied().unwrap_or(IGNORE_ID),
            Self::Instances { void, .. } if *void == Some(value) => IGNORE_ID,
            Self::Instances { first, .. } => u8::from(value >= *first),
            Self::Colors { .. } => match u8::try_from(value) {
                Ok(grey) => self.of_color([grey; 3], false),
                Err(_) => IGNORE_ID,
            },
        }
    }

    /// The class of a color.
    pub(crate) fn of_color(&self, color: [u8; 3], lossy: bool) -> u8 {
        let Self::Colors { classes, near } = self else { return IGNORE_ID };
        if let Some((_, id)) = classes.iter().find(|(known, _)| *known == color) {
            return *id;
        }
        if !lossy {
            return IGNORE_ID;
        }
        let is_near = |known: &[u8; 3]| known.iter().zip(color).all(|(a, b)| a.abs_diff(b) <= *near);
        let mut close = classes.iter().filter(|(known, _)| is_near(known));
        match (close.next(), close.next()) {
            (Some((_, id)), None) => *id,
            _ => IGNORE_ID,
        }
    }
}

/// The class ids of a mask.
///
/// # Errors
/// [`DataError`] naming the file and the cause; also for a picture with colors but without a palette.
pub fn load_mask(target: &MaskTarget) -> Result<MaskPixels, DataError> {
    match target {
        MaskTarget::Pixels(pixels) => Ok(pixels.as_ref().clone()),
        MaskTarget::Shapes(shapes) => Ok(shapes.paint()),
        MaskTarget::File(path) => {
            let (mask, name) = (decode_mask(&read(path)?, &path.display().to_string())?, path.display());
            let RawMask { width, height, pixels, .. } = mask;
            let ids = match pixels {
                Raw::Grey8(ids) | Raw::Indexed(ids, _) => ids,
                Raw::Grey16(values) => {
                    let id = |value: u16| u8::try_from(value).ok();
                    let ids: Option<Vec<u8>> = values.into_iter().map(id).collect();
                    let why = "the mask has values above 255; a mask holds class ids";
                    ids.ok_or_else(|| DataError::decode(&name.to_string(), why))?
                }
                Raw::Color(_) => {
                    let why = "the mask has colors; a mask holds class ids as grey values or palette indices";
                    return Err(DataError::decode(&name.to_string(), why));
                }
            };
            Ok(MaskPixels { width, height, ids })
        }
        MaskTarget::Values { path, map } => {
            let mask = decode_mask(&read(path)?, &path.display().to_string())?;
            Ok(mapped(&mask, map))
        }
    }
}

/// The classes of a decoded file's pixels.
pub(crate) fn mapped(mask: &RawMask, map: &ValueMap) -> MaskPixels {
    let by_color = matches!(map, ValueMap::Colors { .. });
    let ids = match &mask.pixels {
        Raw::Grey16(values) => values.iter().map(|value| map.of_value(*value)).collect(),
        Raw::Indexed(indices, palette) if by_color => {
            let ids: Vec<u8> = palette.iter().map(|color| map.of_color(*color, false)).collect();
            indices.iter().map(|index| ids.get(usize::from(*index)).copied().unwrap_or(IGNORE_ID)).collect()
        }
        Raw::Grey8(values) | Raw::Indexed(values, _) => {
            let id =
                |value: u8| if by_color { map.of_color([value; 3], mask.lossy) } else { map.of_value(value.into()) };
            let ids: Vec<u8> = (0..=u8::MAX).map(id).collect();
            values.iter().map(|value| ids.get(usize::from(*value)).copied().unwrap_or(IGNORE_ID)).collect()
        }
        Raw::Color(colors) => {
            let mut last = ([0; 3], map.of_color([0; 3], mask.lossy)); // masks are mostly runs
            let id = |color: &[u8; 3]| {
                if *color != last.0 {
                    last = (*color, map.of_color(*color, mask.lossy));
                }
                last.1
            };
            colors.iter().map(id).collect()
        }
    };
    MaskPixels { width: mask.width, height: mask.height, ids }
}

/// A number for each object of a mask, 0 elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height` numbers, row-major; those of objects need not follow each other.
    pub ids: Vec<u16>,
}

/// The objects of a mask, where it tells them apart: an instance map, or outlines (where they overlap, the smaller
/// object is in front; crowds are no objects). `None` for a mask of classes.
///
/// # Errors
/// [`DataError`] naming the file and the cause.
pub fn load_instances(target: &MaskTarget) -> Result<Option<InstancePixels>, DataError> {
    match target {
        MaskTarget::Shapes(shapes) => Ok(Some(shapes.paint_instances())),
        MaskTarget::Values { path, map } if matches!(**map, ValueMap::Instances { .. }) => {
            let RawMask { width, height, pixels, .. } = decode_mask(&read(path)?, &path.display().to_string())?;
            let mut ids: Vec<u16> = match pixels {
                Raw::Grey16(ids) => ids,
                Raw::Grey8(ids) | Raw::Indexed(ids, _) => ids.into_iter().map(u16::from).collect(),
                Raw::Color(_) => return Ok(None),
            };
            // What is no object has no number.
            ids.iter_mut().filter(|id| map.of_value(**id) != 1).for_each(|id| *id = 0);
            Ok(Some(InstancePixels { width, height, ids }))
        }
        MaskTarget::File(_) | MaskTarget::Values { .. } | MaskTarget::Pixels(_) => Ok(None),
    }
}

impl MaskTarget {
    /// The same with other class ids: `new[old]`; one without is ignored.
    #[must_use]
    pub fn renumbered(&self, new: &[u8]) -> Self {
        let id = |old: u8| new.get(usize::from(old)).copied().unwrap_or(IGNORE_ID);
        match self {
            Self::File(path) => {
                let map = Arc::new(ValueMap::Values((0..=u8::MAX).map(id).collect()));
                Self::Values { path: path.clone(), map }
            }
            Self::Values { path, map } => Self::Values { path: path.clone(), map: Arc::new(map.renumbered(new)) },
            Self::Pixels(pixels) => {
                let ids = pixels.ids.iter().map(|old| id(*old)).collect();
                Self::Pixels(Arc::new(MaskPixels { ids, ..pixels.as_ref().clone() }))
            }
            Self::Shapes(shapes) => Self::Shapes(Arc::new(shapes.renumbered(new))),
        }
    }
}

/// The ids of a picture's pixels, row-major: classes, or numbers of objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids<'a, T> {
    /// Width and height in pixels.
    pub size_px: [u32; 2],
    pub ids: &'a [T],
    /// The id where nothing is known.
    pub none: T,
}

impl<'a> From<&'a MaskPixels> for Ids<'a, u8> {
    fn from(mask: &'a MaskPixels) -> Self {
        Self { size_px: [mask.width, mask.height], ids: &mask.ids, none: IGNORE_ID }
    }
}

impl<'a> From<&'a InstancePixels> for Ids<'a, u16> {
    fn from(objects: &'a InstancePixels) -> Self {
        Self { size_px: [objects.width, objects.height], ids: &objects.ids, none: VOID }
    }
}

/// The mask at input size (`[height, width]`), one id per input pixel: the id of the picture pixel at its center, none
/// outside of the picture and of `window` (left, top, right, bottom in input pixels), beyond which it is not drawn.
pub(crate) fn place_mask<T: Copy>(mask: Ids<'_, T>, placement: &Placement, size: [u32; 2], window: [u32; 4]) -> Vec<T> {
    let mut ids = vec![mask.none; size.map(|side| side as usize).iter().product()];
    paint_mask(&mut ids, mask, placement, size, window);
    ids
}

/// Draws a mask into a part of another one at input size ([`place_mask`]).
pub(crate) fn paint_mask<T: Copy>(
    onto: &mut [T],
    mask: Ids<'_, T>,
    placement: &Placement,
    [height, width]: [u32; 2],
    [left, top, right, bottom]: [u32; 4],
) {
    let inside = |value: f32, limit: u32| (value >= 0.0 && value < limit as f32).then_some(value as usize);
    let (right, [own_width, own_height]) = (right.min(width), mask.size_px);
    // Each axis by itself: a placement does not turn.
    let columns: Vec<Option<usize>> =
        (left..right).map(|x| inside(placement.image_from_input(x as f32 + 0.5, 0.0).0, own_width)).collect();
    for y in top..bottom.min(height) {
        let row = inside(placement.image_from_input(0.0, y as f32 + 0.5).1, own_height);
        let source = row.and_then(|row| mask.ids.get(row * own_width as usize..(row + 1) * own_width as usize));
        let start = y as usize * width as usize;
        let Some(target) = onto.get_mut(start + left as usize..start + right as usize) else { continue };
        for (place, column) in target.iter_mut().zip(&columns) {
            let id = source.zip(*column).and_then(|(source, column)| source.get(column));
            *place = id.copied().unwrap_or(mask.none);
        }
    }
}

/// The box around each class but the first (left, top, right, bottom in pixels): what a crop should keep a part of.
pub(crate) fn boxes_of_classes(mask: &MaskPixels) -> Vec<[f32; 4]> {
    let mut found: Vec<Option<[usize; 4]>> = vec![None; usize::from(IGNORE_ID)];
    for (y, row) in mask.ids.chunks_exact((mask.width as usize).max(1)).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            let end = x + run.len();
            if let Some(place) = run.first().and_then(|id| found.get_mut(usize::from(*id))) {
                let [left, top, right, bottom] = place.unwrap_or([x, y, end, y + 1]);
                *place = Some([left.min(x), top, right.max(end), bottom.max(y + 1)]);
            }
            x = end;
        }
    }
    found.into_iter().skip(1).flatten().map(|sides| sides.map(|side| side as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Rgb8;
    use crate::data::transform::preprocess;
    use crate::graph::{Preprocess, Resize};

    #[test]
    fn a_mask_follows_the_letterbox_and_the_mirror() {
        let mask = MaskPixels { width: 4, height: 2, ids: vec![0, 1, 2, 3, 4, 5, 6, 7] };
        let rule = Preprocess { resize: Resize::LetterboxCentre { fill: 0 }, ..Preprocess::imagenet(4) };
        let (_, placement) = preprocess(&Rgb8::filled(4, 2, 0), &rule);
        let padding = [255; 4];
        assert_eq!(
            place_mask((&mask).into(), &placement, [4, 4], [0, 0, 4, 4]),
            [padding, [0, 1, 2, 3], [4, 5, 6, 7], padding].concat()
        );
        let mirrored = placement.mirrored(4);
        assert_eq!(
            place_mask((&mask).into(), &mirrored, [4, 4], [0, 0, 4, 4]),
            [padding, [3, 2, 1, 0], [7, 6, 5, 4], padding].concat()
        );
        // Only a part of it is drawn.
        let part = [[255, 255, 255, 255], [255, 1, 2, 255], [255; 4], padding].concat();
        assert_eq!(place_mask((&mask).into(), &placement, [4, 4], [1, 0, 3, 2]), part);
    }

    #[test]
    fn boxes_lie_around_classes() {
        let ids = [0, 1, 1, 0, 0, 0, 1, 255, 2, 0, 0, 1].to_vec();
        let mask = MaskPixels { width: 4, height: 3, ids };
        assert_eq!(boxes_of_classes(&mask), [[1.0, 0.0, 4.0, 3.0], [0.0, 2.0, 1.0, 3.0]]);
    }
}
