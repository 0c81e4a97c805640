//! JPEGs are decoded by libjpeg (through mozjpeg), so that every pixel is what Pillow and torchvision see: other decoders
//! round the enlarged chroma in another way, and that is more than preprocessing may differ.
//!
//! libjpeg fills what is missing of a file with grey and does not say so; what tells such files from whole ones is here too.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use image::RgbImage;
use image::metadata::Orientation;
use mozjpeg::{ColorSpace, Decompress, Marker};

use super::Rgb8;
use super::image::room_for;

const HEADER_CUT: &str = "the file ends before its picture begins";

/// Whether a file with these first bytes is to be read as a JPEG.
pub(crate) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8, 0xFF])
}

/// A decoded file.
pub(crate) struct Decoded {
    /// The picture as it is stored, whole or reduced.
    pub stored: RgbImage,
    /// How its EXIF block says that it shall be turned.
    pub orientation: Orientation,
    /// Width and height of the whole as it is stored, in pixels.
    pub whole_px: [u32; 2],
    /// How many of its pixels one of `stored` stands for, along each axis; what is left at the end has one too.
    pub reduced_by: u32,
}

/// Decodes a file, whole where `reduce` is none. Otherwise at a half, a quarter or an eighth of its size, as far as its
/// sides do not fall below those that `reduce` gives for width and height of the whole: libjpeg then computes so many
/// fewer values of each block, which are means of the pixels, and leaves out most of the work.
pub(crate) fn decode(bytes: &[u8], reduce: Option<&dyn Fn(u32, u32) -> [u32; 2]>) -> Result<Decoded, String> {
    if let Some(why) = unsupported(bytes) {
        return Err(why);
    }
    // libjpeg cannot return from its errors: mozjpeg unwinds with their text.
    catch_unwind(AssertUnwindSafe(|| decompress(bytes, reduce))).unwrap_or_else(|thrown| Err(libjpegs_words(thrown)))
}

fn libjpegs_words(thrown: Box<dyn Any + Send>) -> String {
    let text = thrown.downcast_ref::<String>().and_then(|text| text.strip_prefix("libjpeg fatal error: "));
    match text {
        Some("Input file read error") => HEADER_CUT.to_owned(),
        Some(text) => text.to_owned(),
        None => resume_unwind(thrown),
    }
}

fn decompress(bytes: &[u8], reduce: Option<&dyn Fn(u32, u32) -> [u32; 2]>) -> Result<Decoded, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut opened = Decompress::with_markers(&[Marker::APP(1)]).from_mem(bytes).map_err(|_| HEADER_CUT)?;
    let side = |px: usize| u32::try_from(px).unwrap_or(u32::MAX);
    let (width, height) = (side(opened.width()), side(opened.height()));
    // Only the header has been read so far.
    let _room = room_for(width, height)?;
    let exif = opened.markers().find_map(|marker| marker.data.strip_prefix(b"Exif\0\0"));
    // A damaged EXIF block is no reason to lose the picture.
    let orientation = exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    let whole_px = [width, height];
    let reduced_by = reduce.map_or(1, |least| reduced_by(whole_px, least(width, height)));
    if reduced_by > 1 {
        opened.scale(8 / reduced_by as u8);
    }
    let [width, height] = whole_px.map(|px| px.div_ceil(reduced_by));
    let pixels = match opened.color_space() {
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => {
            let mut started = opened.to_colorspace(ColorSpace::JCS_CMYK).map_err(failed)?;
            let mut row = vec![0; width as usize * 4];
            let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
            for _ in 0..height {
                started.read_scanlines_into(&mut row).map_err(failed)?;
                pixels.extend(row.as_chunks::<4>().0.iter().flat_map(|inks| rgb_of_inks(*inks)));
            }
            pixels
        }
        _ => opened.rgb().and_then(|mut started| started.read_scanlines()).map_err(failed)?,
    };
    let stored = RgbImage::from_raw(width, height, pixels).ok_or("the file ends in the middle of the picture")?;
    Ok(Decoded { stored, orientation, whole_px, reduced_by })
}

/// How far a picture can be reduced, by 8, 4, 2 or not, so that it still has at least these sides.
fn reduced_by(whole_px: [u32; 2], least: [u32; 2]) -> u32 {
    let enough = |by: u32| whole_px.iter().zip(least).all(|(px, least)| px / by >= least.max(1));
    [8, 4, 2].into_iter().find(|by| enough(*by)).unwrap_or(1)
}

/// Inks as Adobe's programs store them, 255 for none, to colors as Pillow converts them.
fn rgb_of_inks([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|ink| {
        let product = u32::from(255 - ink) * u32::from(k) + 128;
        k.saturating_sub(((product + (product >> 8)) >> 8) as u8)
    })
}

/// Why the decoder does not read this kind of JPEG, where it does not.
fn unsupported(bytes: &[u8]) -> Option<String> {
    let frame = |(code, _): &(u8, usize)| matches!(code, 0xC0..=0xCF) && !matches!(code, 0xC4 | 0xC8 | 0xCC);
    let (code, at) = Segments { bytes, at: 2 }.find(frame)?;
    let kind = match code {
        0xC9..=0xCF => "arithmetic coding",
        0xC3 => "lossless coding",
        0xC5..=0xC7 => "hierarchical coding",
        _ => {
            let bits = *bytes.get(at + 2)?;
            return (bits != 8).then(|| format!("its samples have {bits} bits; JPEGs of 8 bits are read"));
        }
    };
    Some(format!("it is a JPEG with {kind}, which is not read"))
}

/// Whether `bytes` is a JPEG that ends before its end-of-image marker.
pub(crate) fn ends_early(bytes: &[u8]) -> bool {
    const END: u8 = 0xD9;
    bytes.starts_with(&[0xFF, 0xD8]) && !Segments { bytes, at: 2 }.any(|(code, _)| code == END)
}

/// The markers of a file, each with the place behind it. A thumbnail inside an EXIF segment is skipped with its segment.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Segments<'_> {
    type Item = (u8, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.bytes.get(self.at..)?.windows(2).position(is_marker)?;
        let behind = self.at + found + 2;
        let code = *self.bytes.get(behind - 1)?;
        self.at = match (self.bytes.get(behind), self.bytes.get(behind + 1)) {
            _ if matches!(code, 0x01 | 0xD8 | 0xD9) => behind,
            (Some(high), Some(low)) => behind + usize::from(u16::from_be_bytes([*high, *low])),
            _ => self.bytes.len(),
        };
        Some((code, behind))
    }
}

/// 0xFF (any number of them), then neither 0 (a stuffed byte) nor a restart marker.
fn is_marker(pair: &[u8]) -> bool {
    matches!(pair, [0xFF, code] if !matches!(code, 0x00 | 0xFF | 0xD0..=0xD7))
}

/// Whether the last rows of a picture are one flat color, as rows are that were never in the file.
pub(crate) fn bottom_is_flat(image: &Rgb8) -> bool {
    let rows = image.height.min(8) as usize;
    let tail = image.pixels.len().saturating_sub(rows * image.stride());
    let last = image.pixels.get(tail..).unwrap_or_default();
    last.chunks_exact(3).all(|p| Some(p) == last.get(..3))
}

#[cfg(test)]
mod tests {
    use super::reduced_by;

    #[test]
    fn the_smallest_scale_with_enough_pixels_is_taken() {
        assert_eq!(reduced_by([4000, 3000], [500, 375]), 8);
        assert_eq!(reduced_by([4000, 3000], [501, 375]), 4);
        assert_eq!(reduced_by([4000, 3000], [1, 1500]), 2);
        assert_eq!(reduced_by([4000, 3000], [1, 1501]), 1);
        assert_eq!(reduced_by([7, 7], [1, 1]), 4);
    }
}
