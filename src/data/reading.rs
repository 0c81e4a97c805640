//! From a path to what lies there: a folder, an annotation file, a table, or a folder of masks that stands for its set.

use std::path::{Path, PathBuf};

use super::formats::{Draft, Recognition, Wish, csv, masks, recognize, recognize_file};
use super::listing::{Folder, extension, list, list_parts};
use super::{DataError, Issue, Progress, Severity, Task};

/// Where a set lies, and what it is called.
pub(crate) struct Home {
    /// Its folder or file.
    pub root: PathBuf,
    /// For people.
    pub name: String,
}

/// Whether something can be opened there. A kind of masks, as `set/masks_3class` where only `set/train/masks_3class` and
/// `set/val/masks_3class` are there, is a set too.
#[must_use]
pub fn is_there(path: &Path) -> bool {
    path.exists() || masks::around(path).is_some_and(|(root, kind)| masks::has_kind(&root, &kind))
}

/// Understands what lies at a path; decodes nothing. What was seen on the way is added to `issues`.
///
/// # Errors
/// [`DataError`] where there is no set.
pub(crate) fn read_draft(
    path: &Path,
    task: Option<Task>,
    progress: &dyn Progress,
    issues: &mut Vec<Issue>,
) -> Result<(Draft, Home), DataError> {
    let wish = Wish { task };
    // A folder of masks stands for the set that it belongs to, also where only the parts of the set have it.
    if let (Some((root, kind)), false) = (masks::around(path), path.is_file()) {
        let mut around = Vec::new();
        let parts = list_parts(&root, &masks::is_part_of_set, progress, &mut around)?;
        if let Ok(draft) = masks::read(&parts, Some(&kind)) {
            issues.extend(around);
            let name = format!("{} ({kind})", name(&root));
            return Ok((draft, Home { root, name }));
        }
    }
    let home = Home { root: path.to_owned(), name: name(path) };
    let meta = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => DataError::Missing(path.to_owned()),
        _ => DataError::Io { path: path.to_owned(), source },
    })?;
    if meta.is_dir() {
        return Ok((recognize(&list(path, progress, issues)?, &wish)?, home));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    if csv::EXTENSIONS.contains(&extension(path).as_str()) {
        let file = super::listing::File { path: path.to_owned(), kind: super::listing::Kind::Other };
        let alone = Folder { path: parent.clone(), files: vec![file], folders: Vec::new() };
        return Ok((table(path, &alone, &wish, || list(&parent, progress, &mut Vec::new()))?, home));
    }
    let not_a_folder = || DataError::NotAFolder { path: path.to_owned(), what: kind_of_file(path) };
    let draft = recognize_file(path, &wish, |folder| list(folder, progress, &mut Vec::new()))?;
    Ok((draft.ok_or_else(not_a_folder)?, home))
}

/// Opens a table by itself. The folder around it is only walked where not every picture lies where the table says.
fn table(
    path: &Path,
    alone: &Folder,
    wish: &Wish,
    around: impl FnOnce() -> Result<Folder, DataError>,
) -> Result<Draft, DataError> {
    match csv::open(path, alone, wish) {
        Recognition::Read(draft) if draft.issues.iter().all(|issue| issue.severity < Severity::Error) => Ok(*draft),
        _ => match csv::open(path, &around()?, wish) {
            Recognition::Read(draft) => Ok(*draft),
            Recognition::No(why) => Err(DataError::NotATable { path: path.to_owned(), why }),
            Recognition::Beside(_, why) => Err(DataError::NotATable { path: path.to_owned(), why: why.to_owned() }),
        },
    }
}

fn kind_of_file(path: &Path) -> String {
    match extension(path).as_str() {
        "zip" | "tar" | "gz" | "tgz" | "7z" | "rar" | "xz" | "bz2" => "it is an archive; unpack it first".to_owned(),
        "json" => "it is no whole COCO file with images, annotations and categories".to_owned(),
        _ => "it is a file".to_owned(),
    }
}

fn name(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.file_name().unwrap_or(real.as_os_str()).to_string_lossy().into_owned()
}
