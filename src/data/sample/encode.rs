//! Picture files: JPEG for what is seen, indexed PNG for what is meant.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};

use super::{SampleError, Scene};

/// JPEG quality of the written pictures.
const QUALITY: u8 = 90;

/// The scene's picture as a JPEG file.
pub(super) fn jpeg(scene: &Scene) -> Result<Vec<u8>, SampleError> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, QUALITY)
        .encode(&scene.pixels, scene.size_px, scene.size_px, ExtendedColorType::Rgb8)
        .map_err(|source| SampleError::Encode { what: "JPEG", source })?;
    Ok(file)
}

/// The scene's class-id mask as an 8-bit indexed PNG, with the palette of Pascal VOC so that people can look at it.
pub(super) fn mask_png(scene: &Scene) -> Result<Vec<u8>, SampleError> {
    let mut gray = Vec::new();
    PngEncoder::new_with_quality(&mut gray, CompressionType::Best, FilterType::NoFilter)
        .write_image(&scene.mask, scene.size_px, scene.size_px, ExtendedColorType::L8)
        .map_err(|source| SampleError::Encode { what: "PNG", source })?;
    let ids = scene.mask.iter().max().map_or(1, |&id| usize::from(id) + 1);
    indexed(&gray, ids).ok_or_else(|| SampleError::Archive("the PNG encoder wrote no header".to_owned()))
}

/// Turns an 8-bit gray PNG into an indexed one: the same pixel stream, another color type, and a palette chunk.
/// The `image` crate writes no indexed files.
fn indexed(gray: &[u8], ids: usize) -> Option<Vec<u8>> {
    const HEADER_END: usize = 33; // signature 8, IHDR 4 + 4 + 13 + 4
    let mut header = gray.get(16..29)?.to_vec();
    *header.get_mut(9)? = 3;
    let palette: Vec<u8> = (0..ids).flat_map(voc_color).collect();
    let mut file = gray.get(..8)?.to_vec();
    chunk(&mut file, b"IHDR", &header);
    chunk(&mut file, b"PLTE", &palette);
    file.extend_from_slice(gray.get(HEADER_END..)?);
    Some(file)
}

/// Appends a PNG chunk with its checksum.
fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    let body_bytes = u32::try_from(body.len()).unwrap_or(0);
    file.extend_from_slice(&body_bytes.to_be_bytes());
    let start = file.len();
    file.extend_from_slice(kind);
    file.extend_from_slice(body);
    let crc = crc32(file.get(start..).unwrap_or_default());
    file.extend_from_slice(&crc.to_be_bytes());
}

/// CRC-32 as PNG and zip use it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

/// Pascal VOC's color of an index: its bits dealt out to red, green and blue from the top.
fn voc_color(index: usize) -> [u8; 3] {
    let mut color = [0; 3];
    for bit in 0..8 {
        for (channel, value) in color.iter_mut().enumerate() {
            *value |= ((((index >> (3 * bit + channel)) & 1) << (7 - bit)) & 0xFF) as u8;
        }
    }
    color
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32 (ISO-HDLC) and the first colors of the VOC development kit.
    #[test]
    fn checksum_and_palette_are_the_published_ones() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let colors: Vec<[u8; 3]> = (0..5).map(voc_color).collect();
        assert_eq!(colors, [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]);
    }
}
