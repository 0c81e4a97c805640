//! What the check finds in a mask: which values or colors, how often. What they mean is decided over the whole set.

use std::collections::{BTreeMap, HashMap};

use super::raw::{Raw, decode_mask};
use super::{ValueMap, mapped};
use crate::data::{DataError, IGNORE_ID, MaskTarget, image};

/// More colors than this in a mask without a table are a photograph's.
const MOST_COLORS: usize = 4096;
/// Colors that are kept to be told.
const TOLD_COLORS: usize = 12;

/// What is in the mask of a picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    /// Width and height in pixels.
    pub size_px: [u32; 2],
    pub found: Found,
    /// The file is of a lossy format.
    pub lossy: bool,
}

impl Facts {
    /// Whether the file holds colors, and no values.
    pub fn has_colors(&self) -> bool {
        matches!(self.found, Found::Colors { .. })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// Pixels of each grey value or palette index.
    Values {
        counts: BTreeMap<u16, u64>,
        /// 16 bits a pixel.
        wide: bool,
        /// Colors of the indices, where there is a palette.
        palette: Option<Vec<[u8; 3]>>,
    },
    /// Pixels of each color, the most frequent first; of many only some. `known` are those of a table's colors.
    Colors { counts: Vec<([u8; 3], u64)>, unnamed: u64, known: Vec<u64>, ignored: u64 },
    /// Pixels of each class that were drawn, and the area in pixels of each object by itself.
    Drawn { classes: Vec<u64>, areas: Vec<u64> },
}

/// Looks into a mask of a picture of `size_px`; `relative` as in [`Shapes::placed`]. `colors` is what a table says of colors, for this many classes.
pub(crate) fn facts_of(
    mask: &MaskTarget,
    size_px: [u32; 2],
    relative: bool,
    colors: Option<&ValueMap>,
    classes: usize,
) -> Result<Facts, DataError> {
    let path = match mask {
        MaskTarget::File(path) | MaskTarget::Values { path, .. } => path,
        MaskTarget::Shapes(shapes) => {
            let shapes = shapes.placed(size_px, relative).map_err(|why| DataError::decode("", why))?;
            let (drawn, areas) = shapes.paint_and_count();
            let classes = count_ids(&drawn.ids, classes).0;
            return Ok(Facts { size_px, found: Found::Drawn { classes, areas }, lossy: false });
        }
        MaskTarget::Pixels(pixels) => {
            let (classes, _) = count_ids(&pixels.ids, classes);
            let size_px = [pixels.width, pixels.height];
            return Ok(Facts { size_px, found: Found::Drawn { classes, areas: Vec::new() }, lossy: false });
        }
    };
    let mask = decode_mask(&image::read(path)?, &path.display().to_string())?;
    let values = |values: &[u8]| {
        let mut counts = [0u64; 256];
        for value in values {
            if let Some(count) = counts.get_mut(usize::from(*value)) {
                *count += 1;
            }
        }
        (0u16..).zip(counts).filter(|(_, count)| *count > 0).collect::<BTreeMap<u16, u64>>()
    };
    let found = match &mask.pixels {
        Raw::Grey8(grey) => Found::Values { counts: values(grey), wide: false, palette: None },
        Raw::Indexed(indices, palette) => {
            Found::Values { counts: values(indices), wide: false, palette: Some(palette.clone()) }
        }
        Raw::Grey16(grey) => {
            let mut counts = BTreeMap::new();
            let mut runs = grey.chunk_by(|a, b| a == b);
            runs.by_ref()
                .for_each(|run| *counts.entry(run.first().copied().unwrap_or(0)).or_insert(0) += run.len() as u64);
            Found::Values { counts, wide: true, palette: None }
        }
        Raw::Color(pixels) => {
            let (known, ignored) = match colors {
                Some(map) => count_ids(&mapped(&mask, map).ids, classes),
                None => (Vec::new(), pixels.len() as u64),
            };
            let named = |color: [u8; 3]| match colors {
                Some(ValueMap::Colors { classes, .. }) if !mask.lossy => classes.iter().any(|(own, _)| *own == color),
                Some(map) => map.of_color(color, true) != IGNORE_ID,
                None => false,
            };
            let (counts, unnamed) = count_colors(pixels, named);
            Found::Colors { counts, unnamed, known, ignored }
        }
    };
    Ok(Facts { size_px: [mask.width, mask.height], found, lossy: mask.lossy })
}

/// Pixels of each class, and of no class.
pub(crate) fn count_ids(ids: &[u8], classes: usize) -> (Vec<u64>, u64) {
    let mut counts = [0u64; 256];
    for id in ids {
        if let Some(count) = counts.get_mut(usize::from(*id)) {
            *count += 1;
        }
    }
    let known: Vec<u64> = counts.iter().take(classes).copied().collect();
    let all: u64 = known.iter().sum();
    (known, ids.len() as u64 - all)
}

/// The most frequent colors that are not named, and the pixels of all of these.
fn count_colors(pixels: &[[u8; 3]], named: impl Fn([u8; 3]) -> bool) -> (Vec<([u8; 3], u64)>, u64) {
    let mut unnamed = 0;
    let mut counts: HashMap<[u8; 3], u64> = HashMap::new();
    for run in pixels.chunk_by(|a, b| a == b) {
        let Some(color) = run.first().filter(|color| !named(**color)) else { continue };
        unnamed += run.len() as u64;
        if counts.len() < MOST_COLORS || counts.contains_key(color) {
            *counts.entry(*color).or_insert(0) += run.len() as u64;
        }
    }
    let mut counts: Vec<([u8; 3], u64)> = counts.into_iter().collect();
    counts.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
    counts.truncate(TOLD_COLORS);
    (counts, unnamed)
}
