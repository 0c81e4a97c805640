//! Masks as pictures: indexed PNG files that other programs read as class ids, and colors laid over the picture itself.

use super::answer::Mask;
use crate::data::{IGNORE_ID, IndexedPng, Rgb8};
use crate::train::detection::{class_color, write_whole};
use std::io::Write as _;
use std::path::Path;

/// How much of a pixel's color is its class's.
const OPACITY: f32 = 0.45;
/// The shorter side of a picture for each pixel of an outline's width.
const SIDE_PER_LINE_PX: u32 = 1000;

/// Writes the class ids as an indexed PNG, whole or not at all; its palette is Pascal VOC's, so that a picture viewer shows
/// the classes apart, and 255 stands where nothing is said.
///
/// # Errors
/// A sentence, when the file cannot be written.
pub fn write_mask(mask: &Mask, to: &Path) -> Result<(), String> {
    let mut file = IndexedPng::new(mask.size_px);
    mask.rows().for_each(|row| file.row(&row));
    let bytes = file.finish();
    write_whole(to, |out| out.write_all(&bytes).map_err(|error| error.to_string()))
}

/// Lays the classes of a mask over its picture: translucent, with an outline where one class meets another. Class 0, the
/// background, and what is ignored stay clear.
pub fn lay_over(picture: &mut Rgb8, mask: &Mask) {
    if [picture.width, picture.height] != mask.size_px || picture.width == 0 {
        return;
    }
    let (width, height) = (picture.width as usize, picture.height as usize);
    let ids = mask.ids();
    let line = (picture.width.min(picture.height) / SIDE_PER_LINE_PX).max(1) as usize;
    let at = |x: usize, y: usize| ids.get(y * width + x).copied().unwrap_or(IGNORE_ID);
    for (y, row) in picture.pixels.chunks_exact_mut(width * 3).enumerate() {
        let (pixels, _) = row.as_chunks_mut::<3>();
        for (x, pixel) in pixels.iter_mut().enumerate() {
            let id = at(x, y);
            if id == 0 || id == IGNORE_ID {
                continue;
            }
            let around = [
                (x.saturating_sub(line), y),
                ((x + line).min(width - 1), y),
                (x, y.saturating_sub(line)),
                (x, (y + line).min(height - 1)),
            ];
            let color = class_color(u32::from(id));
            if around.into_iter().any(|(x, y)| at(x, y) != id) {
                *pixel = color;
            } else {
                for (value, color) in pixel.iter_mut().zip(color) {
                    *value = (f32::from(*value) * (1.0 - OPACITY) + f32::from(color) * OPACITY).round() as u8;
                }
            }
        }
    }
}
