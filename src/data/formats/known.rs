//! Looking into files without reading them whole.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::data::listing::{Folder, extension};

/// Enough of both ends of a file to see its keys; an annotation file may have gigabytes.
const PEEK_BYTES: u64 = 64 << 10;

/// Both ends of a file as text.
pub(super) fn peek(path: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(path) {
        let length = file.metadata().map_or(0, |m| m.len());
        let _ = file.by_ref().take(PEEK_BYTES).read_to_end(&mut text);
        if length > 2 * PEEK_BYTES && file.seek(SeekFrom::End(-(PEEK_BYTES as i64))).is_ok() {
            let _ = file.take(PEEK_BYTES).read_to_end(&mut text);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Files with one of these extensions, at most as many as are worth looking into.
pub(super) fn files_named<'a>(root: &'a Folder, extensions: &[&str]) -> Vec<&'a Path> {
    let files = root.all_files().into_iter().map(|f| f.path.as_path());
    files.filter(|path| extensions.contains(&extension(path).as_str())).take(50).collect()
}
