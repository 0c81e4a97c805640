//! Class-id maps: read as indices, never as colors, and moved into the input by nearest neighbor.

use super::image::{decode, read};
use super::{DataError, IGNORE_ID, MaskPixels, MaskTarget, Placement};

/// The class ids of a mask.
///
/// # Errors
/// [`DataError`] naming the file and the cause; also for a picture with colors but without a palette.
pub fn load_mask(target: &MaskTarget) -> Result<MaskPixels, DataError> {
    let path = match target {
        MaskTarget::Pixels(pixels) => return Ok(pixels.as_ref().clone()),
        MaskTarget::File(path) => path,
    };
    let (bytes, name) = (read(path)?, path.display().to_string());
    let image = decode(&bytes, &name)?;
    let palette = png_palette(&bytes);
    let id = |[r, g, b]: [u8; 3]| match &palette {
        // The decoder has looked the colors up already; a palette without repeated colors leads back.
        Some(colors) => colors.iter().position(|color| *color == [r, g, b]).map(|index| index as u8),
        None => (r == g && g == b).then_some(r),
    };
    let (pixels, _) = image.pixels.as_chunks::<3>();
    let mut ids = Vec::with_capacity(pixels.len());
    let mut last = None; // masks are mostly runs
    for pixel in pixels {
        let found = match last {
            Some((color, found)) if color == *pixel => found,
            _ => {
                let found = id(*pixel).ok_or_else(|| {
                    DataError::decode(
                        &name,
                        "the mask has colors; a mask holds class ids as grey values or palette indices",
                    )
                })?;
                last = Some((*pixel, found));
                found
            }
        };
        ids.push(found);
    }
    Ok(MaskPixels { width: image.width, height: image.height, ids })
}

/// Colors of a PNG's palette; `None` for other files and PNGs whose color type is not "indexed".
fn png_palette(bytes: &[u8]) -> Option<Vec<[u8; 3]>> {
    const INDEXED: u8 = 3;
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.get(25) != Some(&INDEXED) {
        return None;
    }
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(*bytes.get(at..at + 4)?.first_chunk::<4>()?) as usize;
        let end = at.checked_add(8)?.checked_add(length)?;
        if bytes.get(at + 4..at + 8)? == b"PLTE" {
            return Some(bytes.get(at + 8..end)?.as_chunks::<3>().0.to_vec());
        }
        at = end.checked_add(4)?;
    }
}

/// The mask at input size (`[height, width]`), one id per input pixel: the id of the picture pixel at its center, 255
/// outside of the picture.
pub(crate) fn place_mask(mask: &MaskPixels, placement: &Placement, size: [u32; 2]) -> Vec<u8> {
    let [height, width] = size;
    let inside = |value: f32, limit: u32| (value >= 0.0 && value < limit as f32).then_some(value as usize);
    let mut ids = Vec::with_capacity(width as usize * height as usize);
    for y in 0..height {
        for x in 0..width {
            let (ix, iy) = placement.image_from_input(x as f32 + 0.5, y as f32 + 0.5);
            let at = inside(ix, mask.width).zip(inside(iy, mask.height)).map(|(ix, iy)| iy * mask.width as usize + ix);
            ids.push(at.and_then(|at| mask.ids.get(at)).copied().unwrap_or(IGNORE_ID));
        }
    }
    ids
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
        assert_eq!(place_mask(&mask, &placement, [4, 4]), [padding, [0, 1, 2, 3], [4, 5, 6, 7], padding].concat());
        let mirrored = placement.mirrored(4);
        assert_eq!(place_mask(&mask, &mirrored, [4, 4]), [padding, [3, 2, 1, 0], [7, 6, 5, 4], padding].concat());
    }
}
