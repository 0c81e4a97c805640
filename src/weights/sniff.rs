//! What a file is, from its first bytes, and a friendly word for files that are something else.

use super::checkpoint::Container;
use super::error::WeightsError;
use std::path::Path;

/// How much of the file [`container`] wants to see: a tar header's magic ends at byte 262.
pub(super) const SNIFF_LEN: usize = 512;

/// The number that opens a legacy file, 0x1950a86a20f9469cfc6c, as protocols 2 and up write it.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The same number in decimal, which protocols 0 and 1 write.
const LEGACY_MAGIC_TEXT: &[u8] = b"119547037146038801333356";

/// Magic bytes of what people drop by mistake, and what to say.
const STRANGERS: &[(&[u8], &str)] = &[
    (b"\xff\xd8\xff", "is a JPEG image, not a checkpoint"),
    (b"\x89PNG", "is a PNG image, not a checkpoint"),
    (b"GIF8", "is a GIF image, not a checkpoint"),
    (b"%PDF", "is a PDF document, not a checkpoint"),
    (b"\x89HDF\r\n\x1a\n", "is an HDF5 file (Keras or TensorFlow .h5); PyTorch .pth and .safetensors are read"),
    (b"\x93NUMPY", "is a NumPy array, not a checkpoint"),
    (b"GGUF", "is a GGUF file; PyTorch .pth and .safetensors are read"),
    (b"\x1f\x8b", "is gzip-compressed; unpack it first"),
    (b"\xfd7zXZ", "is xz-compressed; unpack it first"),
    (b"BZh", "is bzip2-compressed; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is zstd-compressed; unpack it first"),
    (b"7z\xbc\xaf", "is a 7-Zip archive; unpack it first"),
    (b"Rar!", "is a RAR archive; unpack it first"),
];

/// Tells the container by `head`, the file's first [`SNIFF_LEN`] bytes (or all of a shorter file).
///
/// # Errors
/// A sentence that says what the file is instead, where that can be told.
pub(super) fn container(path: &Path, head: &[u8]) -> Result<Container, WeightsError> {
    let not = |what: &str| Err(WeightsError::not_a_checkpoint(path, what));
    if head.is_empty() {
        return not("is empty (0 bytes)");
    }
    if head.starts_with(b"version https://git-lfs") {
        return not("is a Git LFS pointer, not the weights; run `git lfs pull` in its repository");
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Ok(Container::Zip);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Ok(Container::Tar);
    }
    let opening = head.get(..64).unwrap_or(head);
    if contains(opening, &LEGACY_MAGIC) || contains(opening, LEGACY_MAGIC_TEXT) {
        return Ok(Container::Legacy);
    }
    if let Some((_, what)) = STRANGERS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return not(what);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return not("is a WebP image, not a checkpoint");
    }
    if head.get(4..8) == Some(b"TFL3") {
        return not("is a TensorFlow Lite model; PyTorch .pth and .safetensors are read");
    }
    if head.get(8) == Some(&b'{') && (head.first() != Some(&0x80) || head.get(4..8) == Some(&[0; 4])) {
        return Ok(Container::Safetensors);
    }
    if let Some(what) = text_kind(head) {
        return not(what);
    }
    if has_extension(path, "safetensors") {
        return not("is not a safetensors file: its header does not start with `{` after the eight length bytes");
    }
    if looks_like_onnx(path, head) {
        return not("is an ONNX model (a graph with weights); PyTorch .pth and .safetensors are read");
    }
    if head.first() == Some(&0x80) && contains(head, b"numpy") {
        return not("is a pickle of NumPy arrays, not of PyTorch tensors; PyTorch .pth and .safetensors are read");
    }
    if matches!(head.first(), Some(0x80 | b'(' | b'}' | b']' | b'c')) {
        return Ok(Container::Pickle);
    }
    not("is not a checkpoint: it is neither a PyTorch file (zip, legacy, tar, pickle) nor a safetensors file")
}

/// Names the text formats that end up in a download folder under a checkpoint's name.
fn text_kind(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let lower: Vec<u8> = text.iter().take(64).map(u8::to_ascii_lowercase).collect();
    let starts = |prefix: &[u8]| lower.starts_with(prefix);
    if starts(b"<!doctype html") || starts(b"<html") || starts(b"<head") {
        Some("is a web page (HTML), not the weights; the download led to a page, so fetch the file itself")
    } else if starts(b"<?xml") || starts(b"<!--") {
        Some("is an XML text, not a checkpoint")
    } else if starts(b"{") && contains(head, b"weight_map") {
        Some("is the index of a checkpoint in several files, not the weights; open one of the files it lists")
    } else if starts(b"{\"") || starts(b"{\n") || starts(b"{ ") {
        Some("is a JSON text, not a checkpoint")
    } else {
        None
    }
}

/// ONNX is a bare protobuf: field 1 (`ir_version`, a small varint), then field 2, 3, 7 or 8.
fn looks_like_onnx(path: &Path, head: &[u8]) -> bool {
    has_extension(path, "onnx") || matches!(head, [0x08, 1..=32, 0x12 | 0x1a | 0x3a | 0x42, ..])
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
