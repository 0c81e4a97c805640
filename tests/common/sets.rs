//! Data sets that tests write to disk.

use frostline::data::{Dataset, OpenOptions, Quiet, Sample, load_mask, open};
use std::fs;
use std::path::Path;

/// Writes a file, with the folders that it lies in.
pub fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Opens a set as a person does who says nothing about it.
pub fn open_at(path: &Path) -> Dataset {
    open(path, &OpenOptions::default(), &Quiet).unwrap()
}

/// The sample whose picture's path has this end.
pub fn sample<'a>(set: &'a Dataset, end: &str) -> &'a Sample {
    let named = |s: &&Sample| s.image.path().is_some_and(|path| path.ends_with(end));
    set.samples.iter().find(named).unwrap_or_else(|| panic!("{end} is not in the set: {:#?}", set.issues))
}

/// The first class ids of a picture's mask.
pub fn ids(set: &Dataset, end: &str, count: usize) -> Vec<u8> {
    load_mask(sample(set, end).target.mask.as_ref().unwrap()).unwrap().ids[..count].to_vec()
}
