//! What a mask file stores: values (grey levels of 8 or 16 bits, indices of a palette) or colors. Nothing is scaled and
//! nothing is blended, unlike in pictures: a 2-bit grey 3 is the value 3.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::DynamicImage;

use crate::data::image::{decode, decode_stored};
use crate::data::{DataError, jpeg};

/// A decoded mask file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawMask {
    pub width: u32,
    pub height: u32,
    pub pixels: Raw,
    /// The file is a JPEG, whose values are only about what was drawn.
    pub lossy: bool,
}

/// Row-major pixels of a mask file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    /// Grey levels of 8 bits or less.
    Grey8(Vec<u8>),
    /// Grey levels of 16 bits.
    Grey16(Vec<u16>),
    /// Indices into a palette.
    Indexed(Vec<u8>, Vec<[u8; 3]>),
    /// Colors, of which one at least is not grey.
    Color(Vec<[u8; 3]>),
}

/// Decodes a mask file; `name` is only for messages.
///
/// # Errors
/// [`DataError::Decode`] with the reason; also where pixels are transparent, or indices cannot be told apart.
pub(crate) fn decode_mask(bytes: &[u8], name: &str) -> Result<RawMask, DataError> {
    if bytes.is_empty() || jpeg::is_jpeg(bytes) {
        let image = decode(bytes, name)?;
        let pixels = grey_or_color(image.pixels.as_chunks::<3>().0.to_vec());
        return Ok(RawMask { width: image.width, height: image.height, pixels, lossy: true });
    }
    // Decoders of foreign bytes may have bugs; one broken file must not take a run down.
    catch_unwind(AssertUnwindSafe(|| lossless(bytes)))
        .unwrap_or_else(|_| Err("the decoder failed on it (internal error)".to_owned()))
        .map_err(|why| DataError::decode(name, why))
}

fn lossless(bytes: &[u8]) -> Result<RawMask, String> {
    let stored = decode_stored(bytes)?;
    let mut image = stored.pixels;
    image.apply_orientation(stored.orientation);
    let (width, height) = (image.width(), image.height());
    let palette = png_palette(bytes);
    let pixels = match (palette, image) {
        (Some(palette), image) => {
            // The decoder has looked the colors up, perhaps with the transparency of some of them.
            let colors = image.into_rgb8().into_raw();
            let colors = colors.as_chunks::<3>().0;
            Raw::Indexed(indices(colors, &palette)?, palette)
        }
        (None, DynamicImage::ImageLuma8(grey)) => {
            let step = png_step(bytes);
            Raw::Grey8(grey.into_raw().into_iter().map(|value| value / step).collect())
        }
        (None, DynamicImage::ImageLuma16(grey)) => Raw::Grey16(grey.into_raw()),
        (None, image) => grey_or_color(opaque_colors(image)?),
    };
    Ok(RawMask { width, height, pixels, lossy: false })
}

/// Colors of a picture without transparent pixels.
fn opaque_colors(image: DynamicImage) -> Result<Vec<[u8; 3]>, String> {
    if image.color().has_alpha() {
        let rgba = image.into_rgba8();
        if rgba.pixels().any(|pixel| pixel.0[3] < 255) {
            return Err("the mask has transparent pixels, which mean no class; save it without transparency".to_owned());
        }
        return Ok(rgba.pixels().map(|image::Rgba([r, g, b, _])| [*r, *g, *b]).collect());
    }
    if image.color().bytes_per_pixel() > 4 {
        return Err("the mask has colors of 16 bits; colors of 8 bits and grey values of 16 are read".to_owned());
    }
    Ok(image.into_rgb8().into_raw().as_chunks::<3>().0.to_vec())
}

fn grey_or_color(colors: Vec<[u8; 3]>) -> Raw {
    if colors.iter().all(|[r, g, b]| r == g && g == b) {
        return Raw::Grey8(colors.into_iter().map(|[value, _, _]| value).collect());
    }
    Raw::Color(colors)
}

/// By how much a PNG's grey samples of 2 and 4 bits were multiplied to fill 8. Those of 1 bit stay 0 and 255, which mean
/// the same as 0 and 1.
fn png_step(bytes: &[u8]) -> u8 {
    const GREY: u8 = 0;
    match (bytes.starts_with(b"\x89PNG\r\n\x1a\n"), bytes.get(24..26)) {
        (true, Some(&[2, GREY])) => 85,
        (true, Some(&[4, GREY])) => 17,
        _ => 1,
    }
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

/// Which color of the palette each pixel has: the first of its color, which is right but where a palette repeats
/// colors before its end (where tools fill it up).
fn indices(colors: &[[u8; 3]], palette: &[[u8; 3]]) -> Result<Vec<u8>, String> {
    let same = |at: usize, other: usize| palette.get(at) == palette.get(other);
    let mut padding = palette.len().saturating_sub(1);
    while padding > 0 && same(padding, padding - 1) {
        padding -= 1;
    }
    let mut found = Vec::with_capacity(colors.len());
    let mut last: Option<([u8; 3], u8)> = None; // masks are mostly runs
    for color in colors {
        let index = match last {
            Some((known, index)) if known == *color => index,
            _ => {
                let first = palette.iter().position(|entry| entry == color).ok_or("a color outside of its palette")?;
                let again = palette.iter().take(padding).skip(first + 1).any(|entry| entry == color);
                if again || (padding == 0 && palette.len() > 1) {
                    let [r, g, b] = color;
                    return Err(format!(
                        "the mask's palette gives one color (#{r:02x}{g:02x}{b:02x}) to several indices, which cannot be told apart"
                    ));
                }
                first as u8
            }
        };
        last = Some((*color, index));
        found.push(index);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ExtendedColorType;

    fn png(color: ExtendedColorType, width: u32, height: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = std::io::Cursor::new(Vec::new());
        image::write_buffer_with_format(&mut out, bytes, width, height, color, image::ImageFormat::Png).unwrap();
        out.into_inner()
    }

    #[test]
    fn values_are_as_stored() {
        let of = |bytes: &[u8]| decode_mask(bytes, "mask").map(|mask| mask.pixels);
        assert_eq!(of(&png(ExtendedColorType::L8, 3, 1, &[0, 7, 255])).unwrap(), Raw::Grey8(vec![0, 7, 255]));
        let sixteen: Vec<u8> = [0u16, 300, 65535].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let read = of(&png(ExtendedColorType::L16, 3, 1, &sixteen)).unwrap();
        assert_eq!(read, Raw::Grey16(vec![0, 300, 65535]));
        assert_eq!(of(&png(ExtendedColorType::Rgb8, 1, 1, &[9, 9, 9])).unwrap(), Raw::Grey8(vec![9]));
        let red = png(ExtendedColorType::Rgba8, 2, 1, &[9, 0, 0, 255, 1, 1, 1, 255]);
        assert_eq!(of(&red).unwrap(), Raw::Color(vec![[9, 0, 0], [1, 1, 1]]));
        let clear = of(&png(ExtendedColorType::Rgba8, 1, 1, &[9, 0, 0, 0])).unwrap_err().to_string();
        assert!(clear.contains("transparent"), "{clear}");
        assert!(of(&[]).unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn palettes_may_be_filled_up_but_not_repeat() {
        let (black, red, blue) = ([0, 0, 0], [255, 0, 0], [0, 0, 255]);
        let filled = [black, red, blue, black, black, black];
        assert_eq!(indices(&[black, red, blue], &filled), Ok(vec![0, 1, 2]));
        assert_eq!(indices(&[blue, red], &[black, red, blue, blue]), Ok(vec![2, 1]));
        assert!(indices(&[black], &[black; 256]).is_err());
        assert!(indices(&[red], &[black, red, blue, red, black]).is_err());
        assert_eq!(indices(&[black], &[black]), Ok(vec![0]));
        assert_eq!(indices(&[black, red], &[black, red]), Ok(vec![0, 1]));
    }
}
