//! Pixels moved as they are: parts, mirror images, pictures in pictures.

use super::Rgb8;

/// The part of a picture at `left`, `top`, copied; cut off at the picture's borders.
pub(crate) fn crop(image: &Rgb8, left: u32, top: u32, width: u32, height: u32) -> Rgb8 {
    let (left, top) = (left.min(image.width), top.min(image.height));
    let (width, height) = (width.min(image.width - left), height.min(image.height - top));
    let rows = image.pixels.chunks_exact(image.stride().max(1)).skip(top as usize).take(height as usize);
    let (from, to) = (left as usize * 3, (left + width) as usize * 3);
    let pixels = rows.flat_map(|row| row.get(from..to).unwrap_or_default()).copied().collect();
    Rgb8 { width, height, pixels }
}

/// Mirrors a picture left to right.
pub(crate) fn mirror(image: &mut Rgb8) {
    let stride = image.stride().max(1);
    for row in image.pixels.chunks_exact_mut(stride) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
}

/// Copies a picture onto another at `left`, `top`, where it must fit.
pub(crate) fn paste(onto: &mut Rgb8, part: &Rgb8, left: u32, top: u32) {
    let (stride, from) = (onto.stride().max(1), left as usize * 3);
    let rows = onto.pixels.chunks_exact_mut(stride).skip(top as usize);
    for (row, source) in rows.zip(part.pixels.chunks_exact(part.stride().max(1))) {
        if let Some(place) = row.get_mut(from..from + source.len()) {
            place.copy_from_slice(source);
        }
    }
}
