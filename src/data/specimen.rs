//! One picture to try a model on.

use super::listing::{self, Folder};
use super::{DataError, ImageSource, Quiet, image, sample};
use std::path::Path;

/// Names of folders whose pictures were not trained on.
const HELD_OUT: [&str; 5] = ["val", "valid", "validation", "test", "val2017"];
/// Pictures that are tried before it is given up.
const TRIES: usize = 8;

/// A picture of the set at `path`, of a folder for validation where there is one; a generated one of the built-in
/// sample where the set is not there, has none that can be read, or none is given.
///
/// # Errors
/// When the program's own archive is damaged.
pub fn specimen(path: Option<&Path>) -> Result<ImageSource, DataError> {
    if let Some(source) = path.and_then(of_folder) {
        return Ok(source);
    }
    let broken = |why: String| DataError::Decode { name: "the built-in sample".to_owned(), why };
    let files = sample::embedded().map_err(|error| broken(error.to_string()))?;
    let found = files.into_iter().find(|(name, _)| name.starts_with("val/") && name.ends_with(".jpg"));
    found
        .map(|(name, bytes)| ImageSource::Memory { name, bytes })
        .ok_or_else(|| broken("it has no pictures".to_owned()))
}

fn of_folder(path: &Path) -> Option<ImageSource> {
    let root = if path.is_dir() { path } else { path.parent()? };
    let folder = listing::list(root, &Quiet, &mut Vec::new()).ok()?;
    let held_out = HELD_OUT.iter().find_map(|name| folder.child(name)).filter(|folder| folder.has_images());
    let sources = [held_out, Some(&folder)].into_iter().flatten().flat_map(Folder::images).take(TRIES);
    sources.map(|file| ImageSource::File(file.path.clone())).find(|source| image::load(source).is_ok())
}
