//! Which pictures an entry of `data.yaml` means, on this machine.

use std::path::{Path, PathBuf};

use super::text;
use crate::data::Severity;
use crate::data::formats::paths::{Finder, Found, inside, is_absolute};
use crate::data::listing::{Folder, IMAGE_EXTENSIONS, extension};

/// What an entry means.
#[derive(Debug)]
pub(super) struct Meant {
    pub pictures: Vec<PathBuf>,
    /// Lists of pictures that were read.
    pub lists: Vec<PathBuf>,
    /// Lines of lists whose picture is not there.
    pub missing: Vec<(PathBuf, usize, String)>,
    /// What should be said of the entry itself.
    pub told: Option<String>,
    pub severity: Severity,
}

/// Finds folders of one description.
pub(super) struct Folders<'a> {
    root: &'a Folder,
    /// Where relative entries start, likeliest first.
    bases: Vec<PathBuf>,
}

impl<'a> Folders<'a> {
    /// For the description `file`, whose key `path` is this.
    pub fn new(root: &'a Folder, file: &Path, path: Option<&str>) -> Self {
        let own = file.parent().unwrap_or(&root.path).to_owned();
        let mut bases = Vec::new();
        if let Some(path) = path {
            let path = path.replace('\\', "/");
            bases.extend(inside(&root.path, &own, &path).filter(|at| at.is_dir()));
            // Another machine's folder, or one above: its end may be here.
            let parts: Vec<&str> = path.split('/').filter(|part| !["", ".", ".."].contains(part)).collect();
            let ends = (0..parts.len()).filter_map(|skip| parts.get(skip..)).map(|end| root.path.join(end.join("/")));
            bases.extend(ends.filter(|at| at.is_dir()));
        }
        bases.push(own);
        bases.push(root.path.clone());
        bases.dedup();
        Self { root, bases }
    }

    /// The pictures of an entry: a folder with everything below it, or a list of pictures.
    pub fn find(&self, entry: &str) -> Meant {
        let plain = entry.trim().replace('\\', "/");
        let mut meant = Meant {
            pictures: Vec::new(),
            lists: Vec::new(),
            missing: Vec::new(),
            told: None,
            severity: Severity::Error,
        };
        let (at, exact) = match self.locate(&plain) {
            Some(found) => found,
            None => {
                let outside = self.bases.iter().any(|base| base.join(&plain).exists());
                let why = if outside { "lies outside of the set's folder; not read" } else { "does not exist" };
                meant.told = Some(format!("{entry} {why}"));
                return meant;
            }
        };
        if !exact {
            meant.severity = Severity::Note;
            meant.told = Some(format!("{entry} is not there; {} is used", at.display()));
        }
        if at.is_file() {
            self.list(&at, &mut meant);
        } else {
            let folder =
                self.root.all_folders().into_iter().find(|folder| folder.path.components().eq(at.components()));
            let all = folder.map(Folder::images).unwrap_or_default();
            meant.pictures = all.into_iter().map(|file| file.path.clone()).collect();
        }
        if meant.pictures.is_empty() {
            meant.severity = Severity::Error;
            meant.told = Some(format!("{} has no pictures", at.display()));
        }
        meant
    }

    /// The path of an entry, and whether it is where it says.
    fn locate(&self, entry: &str) -> Option<(PathBuf, bool)> {
        // Without a slash at its end, which the listing has not.
        let there = |base: &PathBuf, path: &str| {
            inside(&self.root.path, base, path).map(|at| at.components().collect::<PathBuf>()).filter(|at| at.exists())
        };
        if let Some(at) = self.bases.iter().find_map(|base| there(base, entry)) {
            return Some((at, true));
        }
        // `../train/images` as Roboflow writes it, or the end of another machine's path.
        let parts: Vec<&str> = entry.split('/').filter(|part| !["", ".", ".."].contains(part)).collect();
        let whole = if is_absolute(entry) { parts.len() } else { 1 };
        let mut ends = (0..whole).filter_map(|skip| parts.get(skip..)).map(|end| end.join("/"));
        let at = ends.find_map(|end| self.bases.iter().find_map(|base| there(base, &end)));
        at.filter(|at| *at != self.root.path).map(|at| (at, false))
    }

    fn list(&self, file: &Path, meant: &mut Meant) {
        meant.lists.push(file.to_owned());
        let text = match text(file) {
            Ok(text) => text,
            Err(why) => return meant.missing.push((file.to_owned(), 0, format!("the list {why}; not used"))),
        };
        let finders: Vec<Finder<'_>> = std::iter::once(file.parent().unwrap_or(&self.root.path))
            .chain(self.bases.iter().map(PathBuf::as_path))
            .map(|base| Finder::new(&self.root.path, base, Some(self.root)))
            .collect();
        for (line, name) in (1..).zip(text.lines()).filter(|(_, name)| !name.trim().is_empty()) {
            let found: Vec<Found> = finders.iter().map(|finder| finder.find(name)).collect();
            let at = found.iter().find_map(|found| match found {
                Found::At(path) => Some(path.clone()),
                _ => None,
            });
            let name = name.trim();
            match (at, found.first()) {
                (Some(path), _) => meant.pictures.push(path),
                (None, Some(Found::Outside)) => {
                    meant.missing.push((
                        file.to_owned(),
                        line,
                        format!("{name} lies outside of the set's folder; refused"),
                    ));
                }
                (None, Some(Found::Several(n))) => {
                    meant.missing.push((file.to_owned(), line, format!("{name} may be any of {n} files; left out")));
                }
                (None, _) => meant.missing.push((file.to_owned(), line, format!("{name} does not exist; left out"))),
            }
        }
    }
}

/// The label file of a picture: the last folder `images` of its path becomes `labels`. Beside the picture where there is
/// no such folder, or no file in it.
pub(super) fn label_file(root: &Path, picture: &Path) -> PathBuf {
    let beside = picture.with_extension("txt");
    let Ok(inside) = picture.strip_prefix(root) else { return beside };
    let mut parts: Vec<&std::ffi::OsStr> = inside.iter().collect();
    let folders = parts.len().saturating_sub(1);
    let Some(part) = parts.iter_mut().take(folders).rev().find(|part| part.eq_ignore_ascii_case("images")) else {
        return beside;
    };
    *part = std::ffi::OsStr::new("labels");
    let labels = root.join(parts.iter().collect::<PathBuf>());
    let whole = || PathBuf::from(format!("{}.txt", labels.display()));
    match labels.with_extension("txt") {
        at if at.is_file() => at,
        _ if !IMAGE_EXTENSIONS.contains(&extension(picture).as_str()) && whole().is_file() => whole(),
        _ if beside.is_file() => beside,
        at => at,
    }
}
