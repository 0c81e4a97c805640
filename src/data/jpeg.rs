//! Whether a JPEG file ends where it should: the decoder fills what is missing with grey and does not say so.

use super::Rgb8;

/// Whether `bytes` is a JPEG that ends before its end-of-image marker.
pub(crate) fn ends_early(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8]) && !has_end_marker(bytes)
}

/// Walks the segments; a thumbnail's end marker inside an EXIF segment is skipped with its segment.
fn has_end_marker(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // The next marker: 0xFF (any number of them), then neither 0 (a stuffed byte) nor a restart marker.
        let Some(found) = bytes.get(at..).and_then(|rest| rest.windows(2).position(is_marker)) else {
            return false;
        };
        at += found + 2;
        match bytes.get(at - 1) {
            Some(0xD9) => return true,
            Some(0x01 | 0xD8) => {}
            Some(_) => match (bytes.get(at), bytes.get(at + 1)) {
                (Some(high), Some(low)) => at += usize::from(u16::from_be_bytes([*high, *low])),
                _ => return false,
            },
            None => return false,
        }
    }
}

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
