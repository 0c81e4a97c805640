//! Which picture an annotation file is about.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::data::listing::{File, Folder};

/// The pictures of a set by their names without extension, in lower case.
pub(super) struct Pictures<'a> {
    /// Masks, which are no pictures of the set.
    others: Vec<&'a File>,
    by_stem: HashMap<String, Vec<&'a Path>>,
}

impl<'a> Pictures<'a> {
    pub fn new(root: &'a Folder) -> Self {
        let (others, all): (Vec<&File>, Vec<&File>) = root.images().into_iter().partition(|file| is_mask(&file.path));
        let mut by_stem: HashMap<String, Vec<&Path>> = HashMap::new();
        for file in &all {
            by_stem.entry(stem(&file.path)).or_default().push(&file.path);
        }
        Self { others, by_stem }
    }

    /// Pictures that show masks.
    pub fn others(&self) -> impl Iterator<Item = PathBuf> {
        self.others.iter().map(|file| file.path.clone())
    }

    /// The pictures with this name, with or without extension.
    pub fn named(&self, name: &str) -> &[&'a Path] {
        self.by_stem.get(&name.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The picture that a file is about: the one of its own name, or of the name that it says. Among several of one name
    /// the nearest in the tree of folders is meant.
    pub fn of(&self, xml: &Path, filename: Option<&str>) -> Result<&'a Path, String> {
        let own = self.named(&stem(xml));
        let said = filename.map(|name| name.replace('\\', "/"));
        let said = said.as_deref().map(Path::new);
        let candidates = match (own, said) {
            ([], Some(said)) => self.named(&stem(said)),
            (own, _) => own,
        };
        let best = candidates.iter().map(|image| nearness(xml, image)).max();
        let mut nearest = candidates.iter().filter(|image| Some(nearness(xml, image)) == best);
        match (nearest.next(), nearest.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err("annotates a picture that is not there; left out".to_owned()),
            (Some(first), Some(second)) => {
                // `a.jpg` and `a.png` side by side: the name in the file decides.
                let is_said = |image: &&&Path| said.is_some_and(|said| image.file_name() == said.file_name());
                let exact = candidates.iter().find(|image| Some(nearness(xml, image)) == best && is_said(image));
                exact
                    .copied()
                    .ok_or_else(|| format!("may be about {} or {}; left out", first.display(), second.display()))
            }
        }
    }
}

/// Whether a picture lies in `SegmentationClass` or `SegmentationObject`.
fn is_mask(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    ["SegmentationClass", "SegmentationObject"].iter().any(|name| folder.eq_ignore_ascii_case(name))
}

/// The name without extension, in lower case.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Folders that two files share from above, then from below (`annotations/train/a.xml`, `images/train/a.jpg`).
fn nearness(a: &Path, b: &Path) -> (usize, usize) {
    let parts = |path: &Path| -> Vec<String> {
        let folders = path.parent().into_iter().flat_map(Path::components);
        folders
            .filter(|part| *part != Component::CurDir)
            .map(|p| p.as_os_str().to_string_lossy().to_lowercase())
            .collect()
    };
    let (a, b) = (parts(a), parts(b));
    let above = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let below = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    // All folders shared is nearer than any other place.
    if above == a.len() && above == b.len() { (usize::MAX, 0) } else { (above, below) }
}
