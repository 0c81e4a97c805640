//! Which file a cell means: relative to the table, with another system's separators, as a bare name or without extension.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::data::listing::{Folder, IMAGE_EXTENSIONS, extension};

/// What became of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    At(PathBuf),
    /// It climbs out of the set's folder.
    Outside,
    /// So many files fit equally well.
    Several(usize),
    Missing,
}

/// Finds the files of one table.
pub(super) struct Finder<'a> {
    /// Nothing above it is looked at for relative paths.
    root: &'a Path,
    /// Where the table lies.
    base: &'a Path,
    /// Listed pictures by their name in lower case, with and without extension.
    by_name: HashMap<String, Vec<&'a Path>>,
}

impl<'a> Finder<'a> {
    /// For a table in the folder `base` of a set in `root`; `listing` holds what lies there, if it is known.
    pub fn new(root: &'a Path, base: &'a Path, listing: Option<&'a Folder>) -> Self {
        let mut by_name: HashMap<String, Vec<&Path>> = HashMap::new();
        for file in listing.map(Folder::images).unwrap_or_default() {
            let lower = |name: Option<&std::ffi::OsStr>| name.map(|name| name.to_string_lossy().to_lowercase());
            for name in [lower(file.path.file_name()), lower(file.path.file_stem())].into_iter().flatten() {
                by_name.entry(name).or_default().push(&file.path);
            }
        }
        Self { root, base, by_name }
    }

    /// Whether a cell seems to name a picture, there or not.
    pub fn is_picture(&self, cell: &str) -> bool {
        let named = |cell: &str| IMAGE_EXTENSIONS.contains(&extension(Path::new(cell)).as_str());
        !cell.is_empty() && (named(cell) || self.by_name.contains_key(&last(&plain(cell)).to_lowercase()))
    }

    /// The file that a cell means.
    pub fn find(&self, cell: &str) -> Found {
        let path = plain(cell);
        if path.is_empty() {
            return Found::Missing;
        }
        let absolute = is_absolute(&path);
        if absolute && Path::new(&path).is_file() {
            return Found::At(PathBuf::from(path));
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if absolute {
            // Another machine's path: its end may be here.
            let ends = (1..parts.len()).filter_map(|skip| parts.get(skip..)).map(|end| end.join("/"));
            let here = ends.filter(|end| !end.contains("..")).find_map(|end| self.relative(&end).ok().flatten());
            return here.map_or_else(|| self.by_end(&parts), Found::At);
        }
        match self.relative(&path) {
            Ok(Some(file)) => Found::At(file),
            Ok(None) => self.by_end(&parts),
            Err(()) => Found::Outside,
        }
    }

    /// A file at this path as seen from the table or from the set's folder; an error where it lies outside of that.
    fn relative(&self, path: &str) -> Result<Option<PathBuf>, ()> {
        let full = |from: &Path| inside(self.root, from, path);
        let own = full(self.base).ok_or(())?;
        for full in [Some(own), full(self.root)].into_iter().flatten() {
            if full.is_file() {
                return Ok(Some(full));
            }
            let bare = !IMAGE_EXTENSIONS.contains(&extension(&full).as_str());
            let with = |extension: &str| PathBuf::from(format!("{}.{extension}", full.display()));
            if bare && let Some(full) = IMAGE_EXTENSIONS.iter().map(|e| with(e)).find(|full| full.is_file()) {
                return Ok(Some(full));
            }
        }
        Ok(None)
    }

    /// The listed picture whose path ends as the cell does, as far as any does; upper and lower case count alike.
    fn by_end(&self, parts: &[&str]) -> Found {
        if parts.contains(&"..") {
            return Found::Missing;
        }
        let name = parts.last().map(|name| name.to_lowercase()).unwrap_or_default();
        let Some(candidates) = self.by_name.get(&name) else { return Found::Missing };
        let shared = |path: &Path| {
            let own = path.parent().into_iter().flat_map(|parent| parent.components().rev());
            let own = own.map(|part| part.as_os_str().to_string_lossy().to_lowercase());
            let wanted = parts.iter().rev().skip(1).map(|part| part.to_lowercase());
            own.zip(wanted).take_while(|(own, wanted)| own == wanted).count()
        };
        let best = candidates.iter().map(|path| shared(path)).max().unwrap_or(0);
        let mut fitting = candidates.iter().filter(|path| shared(path) == best);
        match (fitting.next(), fitting.count()) {
            (Some(only), 0) => Found::At(only.to_path_buf()),
            (Some(_), more) => Found::Several(more + 1),
            (None, _) => Found::Missing,
        }
    }
}

/// A cell with `/` as separator and without `file://`.
fn plain(cell: &str) -> String {
    let cell = cell.trim().replace('\\', "/");
    cell.strip_prefix("file://").unwrap_or(&cell).to_owned()
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a path starts at a root of any system: `/x`, `//server/x`, `C:/x`.
pub(super) fn is_absolute(path: &str) -> bool {
    let mut bytes = path.bytes();
    let drive = bytes.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && bytes.next() == Some(b':');
    path.starts_with('/') || drive
}

/// A path as seen from `base`, a folder in `root`; none where it climbs out of that. `root` may hold `..` itself.
pub(super) fn inside(root: &Path, base: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    if path.is_absolute() {
        return normal(path).filter(|path| path.starts_with(root));
    }
    Some(root.join(normal(&base.strip_prefix(root).ok()?.join(path))?))
}

/// Resolves `.` and `..` by name only; none where `..` goes above the start.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                _ => return None,
            },
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Quiet;

    #[test]
    fn cells_of_every_kind_find_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("set");
        for path in ["images/a.png", "images/sub/b.PNG", "tables/c.png", "one/same.png", "two/same.png"] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"\x89PNG\r\n\x1a\n....").unwrap();
        }
        std::fs::write(dir.path().join("secret.png"), b"").unwrap();
        let listing = crate::data::listing::list(&root, &Quiet, &mut Vec::new()).unwrap();
        let base = root.join("tables");
        let finder = Finder::new(&root, &base, Some(&listing));
        let at = |path: &str| Found::At(root.join(path));
        for (cell, found) in [
            ("c.png", at("tables/c.png")),
            ("./c.png", at("tables/c.png")),
            ("../images/a.png", at("images/a.png")),
            ("images/a.png", at("images/a.png")),
            ("..\\images\\sub\\b.PNG", at("images/sub/b.PNG")),
            ("images/a", at("images/a.png")),
            ("a", at("images/a.png")),
            ("SUB/B.png", at("images/sub/b.PNG")),
            ("C:\\Users\\ada\\set\\images\\a.png", at("images/a.png")),
            ("/home/ada/x/images/sub/b.PNG", at("images/sub/b.PNG")),
            ("two/same.png", at("two/same.png")),
            ("same.png", Found::Several(2)),
            ("gone.png", Found::Missing),
            ("../../secret.png", Found::Outside),
            ("images/../../../../../../../../etc/passwd", Found::Outside),
            ("/home/../../secret.png", Found::Missing),
            ("..", Found::Missing),
            ("", Found::Missing),
        ] {
            assert_eq!(finder.find(cell), found, "{cell}");
        }
        let absolute = root.join("images/a.png");
        assert_eq!(finder.find(absolute.to_str().unwrap()), Found::At(absolute));
    }
}
