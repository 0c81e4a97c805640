//! One decode rule for training, validation, preview and the command line: EXIF orientation, then 8-bit RGB.
//!
//! There is one exception, of large JPEGs that are made smaller anyway: random views of training pictures and thumbnails
//! come from a reduced decode ([`load_reduced`]), whose pixels are means of the whole's. Whatever is measured, validated or
//! predicted is decoded whole.
//!
//! Grey becomes three equal channels, alpha is laid over white, 16 bits are scaled to 8, palettes are looked up, CMYK
//! and YCCK JPEGs are converted as Pillow does (Adobe's inverted inks; `tests/data_pixels.rs` holds it to that).
//! Animated files give their first frame.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits, RgbImage};

use super::jpeg::{self, Decoded};
use super::transform::resize_part;
use super::{DataError, ImageSource};
use crate::graph::Interpolation;

/// Pictures with more pixels than this are refused (at 3 bytes a pixel, 1.2 GB).
pub const MAX_PIXELS: u64 = 400_000_000;
/// Decoded bytes of any one picture, at up to 8 bytes a pixel before it becomes RGB.
const MAX_DECODED_BYTES: u64 = 2_400_000_000;
/// Encoded files larger than this are not read into memory.
const MAX_FILE_BYTES: u64 = 2_000_000_000;
/// Pictures above this are decoded one at a time, so that memory does not grow with the number of threads.
const BIG_PIXELS: u64 = 60_000_000;

/// A decoded picture: 8-bit RGB, row-major, interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8 {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height * width * 3` bytes.
    pub pixels: Vec<u8>,
}

impl Rgb8 {
    /// A picture of one color.
    #[must_use]
    pub fn filled(width: u32, height: u32, value: u8) -> Self {
        Self { width, height, pixels: vec![value; width as usize * height as usize * 3] }
    }

    /// Bytes of one row.
    pub(crate) fn stride(&self) -> usize {
        self.width as usize * 3
    }
}

/// Decodes an encoded picture. `name` is only for messages.
///
/// # Errors
/// [`DataError::Decode`] with the reason; also for pictures of more than [`MAX_PIXELS`].
pub fn decode(bytes: &[u8], name: &str) -> Result<Rgb8, DataError> {
    decode_reduced(bytes, name, None).map(|decoded| decoded.image)
}

fn decode_reduced(
    bytes: &[u8],
    name: &str,
    least: Option<&dyn Fn(u32, u32) -> [u32; 2]>,
) -> Result<Reduced, DataError> {
    // Decoders of foreign bytes may have bugs; one broken file must not take a run down.
    catch_unwind(AssertUnwindSafe(|| decode_unguarded(bytes, least)))
        .unwrap_or_else(|_| Err("the decoder failed on it (internal error)".to_owned()))
        .map_err(|why| DataError::decode(name, why))
}

/// Reads and decodes a picture.
///
/// # Errors
/// [`DataError`] naming the file and the cause.
pub fn load(source: &ImageSource) -> Result<Rgb8, DataError> {
    match source {
        ImageSource::File(path) => decode(&read(path)?, &path.display().to_string()),
        ImageSource::Memory { name, bytes } => decode(bytes, name),
    }
}

/// A picture that may be reduced, and how large the whole is.
pub(crate) struct Reduced {
    pub image: Rgb8,
    /// The part of `image` that is the picture: left, top, width, height in pixels. The last row and column of a reduced
    /// picture may be more than there is of it.
    pub seen: [f64; 4],
    /// Width and height of the whole in pixels.
    pub whole_px: [u32; 2],
}

/// Reads a picture of which only so many pixels are needed: `least` gives the sides for width and height of the whole. A
/// JPEG of at least twice these sides is decoded at a half, a quarter or an eighth of its size.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_reduced(source: &ImageSource, least: &dyn Fn(u32, u32) -> [u32; 2]) -> Result<Reduced, DataError> {
    match source {
        ImageSource::File(path) => decode_reduced(&read(path)?, &path.display().to_string(), Some(least)),
        ImageSource::Memory { name, bytes } => decode_reduced(bytes, name, Some(least)),
    }
}

/// The picture with its longer side at most `longest_px`, antialiased; never enlarged.
///
/// # Errors
/// As [`load`].
pub fn thumbnail(source: &ImageSource, longest_px: u32) -> Result<Rgb8, DataError> {
    // Half as many pixels again as are shown, so that what is left for the resize is smooth.
    let fit = |longest: u32, width: u32, height: u32| {
        let scale = f64::from(longest.max(1)) / f64::from(width.max(height).max(1));
        [width, height].map(|px| ((f64::from(px) * scale).round() as u32).max(1))
    };
    let Reduced { image, seen, whole_px: [width, height] } =
        load_reduced(source, &|w, h| fit(longest_px * 3 / 2, w, h))?;
    if width.max(height) <= longest_px.max(1) {
        return Ok(image);
    }
    let [width, height] = fit(longest_px, width, height);
    Ok(resize_part(&image, seen, width, height, Interpolation::Bilinear))
}

/// A whole file in memory.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let io = |source| DataError::Io { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(io)?.len();
    if length > MAX_FILE_BYTES {
        let why = format!(
            "the file is too large ({} MB; the limit is {} MB)",
            length / 1_000_000,
            MAX_FILE_BYTES / 1_000_000
        );
        return Err(DataError::decode(&path.display().to_string(), why));
    }
    std::fs::read(path).map_err(io)
}

fn decode_unguarded(bytes: &[u8], least: Option<&dyn Fn(u32, u32) -> [u32; 2]>) -> Result<Reduced, String> {
    if bytes.is_empty() {
        return Err("the file is empty (0 bytes)".to_owned());
    }
    let Decoded { stored, orientation, whole_px, reduced_by } =
        if jpeg::is_jpeg(bytes) { jpeg::decode(bytes, least)? } else { decode_others(bytes)? };
    let mut rgb = DynamicImage::ImageRgb8(stored);
    rgb.apply_orientation(orientation);
    let rgb = rgb.into_rgb8();
    let image = Rgb8 { width: rgb.width(), height: rgb.height(), pixels: rgb.into_raw() };
    let (turned, reversed) = axes(orientation);
    let whole_px = if turned { [whole_px[1], whole_px[0]] } else { whole_px };
    let [width, height] = whole_px.map(|px| f64::from(px) / f64::from(reduced_by));
    let start = |axis: usize, seen: f64, all: u32| if reversed[axis] { f64::from(all) - seen } else { 0.0 };
    let seen = [start(0, width, image.width), start(1, height, image.height), width, height];
    Ok(Reduced { image, seen, whole_px })
}

/// Whether an orientation exchanges the axes, and whether x and y then run the other way.
fn axes(orientation: Orientation) -> (bool, [bool; 2]) {
    match orientation {
        Orientation::NoTransforms => (false, [false, false]),
        Orientation::FlipHorizontal => (false, [true, false]),
        Orientation::FlipVertical => (false, [false, true]),
        Orientation::Rotate180 => (false, [true, true]),
        Orientation::Rotate90FlipH => (true, [false, false]),
        Orientation::Rotate90 => (true, [true, false]),
        Orientation::Rotate270 => (true, [false, true]),
        Orientation::Rotate270FlipH => (true, [true, true]),
    }
}

/// Every format but JPEG.
fn decode_others(bytes: &[u8]) -> Result<Decoded, String> {
    let decoded = decode_stored(bytes)?;
    let stored = opaque(decoded.pixels);
    let whole_px = [stored.width(), stored.height()];
    Ok(Decoded { stored, orientation: decoded.orientation, whole_px, reduced_by: 1 })
}

/// Pixels as a file stores them.
pub(crate) struct Stored {
    pub pixels: DynamicImage,
    pub orientation: Orientation,
}

/// Any format but JPEG, before it becomes 8-bit RGB.
///
/// # Errors
/// The reason, without the name of the file.
pub(crate) fn decode_stored(bytes: &[u8]) -> Result<Stored, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    if reader.format().is_none() {
        return Err("the content is not a picture in a known format".to_owned());
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    let _room = room_for(width, height)?;
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        return Err(too_many(width, height));
    }
    // A damaged EXIF block is no reason to lose the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let pixels = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    Ok(Stored { pixels, orientation })
}

/// The right to decode a picture of this size, to be held until it is decoded.
///
/// # Errors
/// A sentence, if it has no pixels or more than [`MAX_PIXELS`].
pub(crate) fn room_for(width: u32, height: u32) -> Result<Option<MutexGuard<'static, ()>>, String> {
    static ONE_BIG_AT_A_TIME: Mutex<()> = Mutex::new(());
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        return Err(too_many(width, height));
    }
    if pixels == 0 {
        return Err(format!("the picture has no pixels ({width}x{height})"));
    }
    Ok((pixels > BIG_PIXELS).then(|| ONE_BIG_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn too_many(width: u32, height: u32) -> String {
    let millions = u64::from(width) * u64::from(height) / 1_000_000;
    let most = MAX_PIXELS / 1_000_000;
    format!("{width}x{height} pixels are too many ({millions} megapixels; the limit is {most} megapixels)")
}

/// RGB with any alpha laid over white.
fn opaque(decoded: DynamicImage) -> RgbImage {
    if !decoded.color().has_alpha() {
        return decoded.into_rgb8();
    }
    let rgba = decoded.into_rgba8();
    let (width, height) = rgba.dimensions();
    let over_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for image::Rgba([r, g, b, a]) in rgba.pixels() {
        pixels.extend([over_white(*r, *a), over_white(*g, *a), over_white(*b, *a)]);
    }
    RgbImage::from_raw(width, height, pixels).unwrap_or_default()
}
