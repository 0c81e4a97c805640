//! The layouts that are known: each reader looks at the same listing and says what it is, or why it is not.

pub(crate) mod boxes;
mod class_folders;
mod coco;
pub(crate) mod csv;
mod known;
pub(crate) mod masks;
mod paths;
mod voc;
mod yolo;

use std::path::{Path, PathBuf};

use super::listing::{Folder, Kind, extension};
use super::{DataError, Issue, LabelColumn, Severity, Split, Target, Task};

/// More files of one kind than this are reported as a number.
const FOLD_ABOVE: usize = 20;

/// One image file with its target, before anything was decoded.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub path: PathBuf,
    /// The part of the set it belongs to, where the set says so.
    pub split: Option<Split>,
    /// Labels stand in the order of `Draft::columns`.
    /// Boxes are as the annotation gives them until [`boxes::settle`].
    pub target: Target,
    /// Where the boxes come from, if there are any.
    pub origin: Option<boxes::Origin>,
    /// Mask files of one object each, of which the target is made when they are checked.
    pub objects: Vec<PathBuf>,
}

/// What a reader understood.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub task: Task,
    /// Name of the layout, for people.
    pub format: String,
    pub columns: Vec<LabelColumn>,
    /// For each class of boxes: its number in the files.
    pub category_ids: Vec<u64>,
    /// A class counts only where it has a picture to train on (class folders, CSV); otherwise the list is given.
    pub classes_from_pictures: bool,
    pub items: Vec<Item>,
    /// How the masks of the pictures are read, if they have any.
    pub masks: Option<masks::MaskRule>,
    /// Image files seen, including those that are not in `items`.
    pub found: usize,
    pub issues: Vec<Issue>,
}

/// What is wanted of a set that can be read in several ways.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// What it should teach.
    pub task: Option<Task>,
}

impl Wish {
    /// Whether masks are wanted where there are boxes too.
    pub fn is_segment(&self) -> bool {
        self.task == Some(Task::Segment)
    }
}

/// A reader's answer.
#[derive(Debug)]
pub(crate) enum Recognition {
    /// This is it.
    Read(Box<Draft>),
    /// This is not it, but should be said of this file whatever the set is.
    Beside(PathBuf, &'static str),
    /// This is not it, because.
    No(String),
}

/// One layout.
pub(crate) trait Reader: Sync {
    /// Name of the layout, for people.
    fn name(&self) -> &'static str;
    /// Looks at the listing (and into annotation files), decodes nothing.
    fn recognize(&self, root: &Folder, wish: &Wish) -> Recognition;
}

/// In the order of asking: annotation files say more than folder names, so they come first.
static READERS: [&dyn Reader; 6] =
    [&coco::Coco, &yolo::Yolo, &voc::Voc, &masks::Masks, &csv::Csv, &class_folders::ClassFolders];

/// Asks every reader in turn. Where masks are wanted, outlines are asked for first, which have names, then masks in files.
pub(crate) fn recognize(root: &Folder, wish: &Wish) -> Result<Draft, DataError> {
    if wish.is_segment() {
        let outlines: [&dyn Reader; 2] = [&coco::Coco, &yolo::Yolo];
        for reader in outlines {
            if let Recognition::Read(draft) = reader.recognize(root, wish) {
                return Ok(*draft);
            }
        }
        if let Ok(draft) = masks::read(root, None) {
            return Ok(draft);
        }
        if let Recognition::Read(draft) = csv::Csv.recognize(root, wish)
            && draft.task == Task::Segment
        {
            return Ok(*draft);
        }
    }
    let mut tried = Vec::new();
    let mut beside = Vec::new();
    for reader in READERS {
        match reader.recognize(root, wish) {
            Recognition::Read(draft) if draft.task == Task::Detect && class_folders::is_certain(root) => {
                let what = format!(
                    "the pictures have boxes too ({}); the class folders are used (drop the file of the boxes by itself)",
                    draft.format
                );
                beside.push(Issue::new(Severity::Warning, &root.path, what));
            }
            Recognition::Read(mut draft) => {
                if draft.task == Task::Detect && draft.masks.is_none() && masks::read(root, None).is_ok() {
                    let what = "the pictures have masks in files too, which a segmentation model trains on";
                    beside.push(Issue::new(Severity::Note, &root.path, what));
                }
                draft.issues.append(&mut beside);
                return Ok(*draft);
            }
            Recognition::Beside(file, what) => beside.push(Issue::new(Severity::Note, file, what)),
            Recognition::No(why) => tried.push((reader.name().to_owned(), why)),
        }
    }
    if !root.has_images() {
        return Err(no_images(root));
    }
    Err(DataError::NotRecognized { path: root.path.clone(), tried })
}

/// Opens an annotation file by itself: its pictures are looked for in the folder of the set that it lies in, which `list`
/// lists. None for a file of another kind.
pub(crate) fn recognize_file(
    path: &Path,
    wish: &Wish,
    list: impl Fn(&Path) -> Result<Folder, DataError>,
) -> Result<Option<Draft>, DataError> {
    /// Folders for annotations beside those of the pictures.
    const INSIDE: [&str; 4] = ["annotations", "annotation", "labels", "json"];
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_inside =
        parent.file_name().is_some_and(|name| INSIDE.iter().any(|inside| name.eq_ignore_ascii_case(inside)));
    let around = parent.parent().filter(|above| is_inside && !above.as_os_str().is_empty());
    let root = || list(around.unwrap_or(parent));
    let read = match extension(path).as_str() {
        "json" if coco::is_coco(path) => coco::read(&root()?, &[path], false, wish),
        "yaml" | "yml" if yolo::is_data_yaml(path) => yolo::read(&root()?, path, false, wish),
        "xml" if voc::is_annotation(path) => {
            let root = root()?;
            let files = root.all_files();
            let xml = files.iter().map(|file| file.path.as_path()).filter(|path| extension(path) == "xml");
            Ok(voc::read(&root, &xml.collect::<Vec<_>>()))
        }
        _ => return Ok(None),
    };
    read.map(Some).map_err(|why| DataError::NotATable { path: path.to_owned(), why })
}

fn no_images(root: &Folder) -> DataError {
    let files = root.all_files();
    if files.is_empty() && root.folders.is_empty() {
        return DataError::Empty(root.path.clone());
    }
    DataError::NoImages { path: root.path.clone(), seen: files.len() }
}

/// Takes files that were read out of a listing.
fn forget(folder: &mut Folder, read: &std::collections::BTreeSet<&Path>) {
    folder.files.retain(|file| file.kind == Kind::Image || !read.contains(file.path.as_path()));
    folder.folders.iter_mut().for_each(|child| forget(child, read));
}

/// The part of the set that a word in a name means, with numbers at its end or not: `train2017`, `val`.
fn split_in(name: &str) -> Option<Split> {
    let word = |word: &str| csv::split_word(word.trim_end_matches(|c: char| c.is_ascii_digit()));
    name.split(|c: char| !c.is_alphanumeric()).find_map(word)
}

/// One note for each file that is not read because of its kind, or one for all of an extension where there are many.
pub(crate) fn note_other_files(root: &Folder, issues: &mut Vec<Issue>) {
    let mut by_extension: std::collections::BTreeMap<(bool, String), Vec<PathBuf>> = std::collections::BTreeMap::new();
    for file in root.all_files() {
        if file.kind != Kind::Image {
            let key = (file.kind == Kind::OtherPicture, extension(&file.path));
            by_extension.entry(key).or_default().push(file.path.clone());
        }
    }
    for ((picture, extension), paths) in by_extension {
        let (severity, one, many) = if picture {
            (
                Severity::Warning,
                "a picture in a format that is not read; left out",
                "pictures in a format that is not read; left out",
            )
        } else {
            (Severity::Note, "not a picture; left out", "files are not pictures; left out")
        };
        let extension =
            if extension.is_empty() { "files without extension".to_owned() } else { format!(".{extension}") };
        fold(&root.path, severity, paths, one, |n| format!("{n} {extension} {many}"), issues);
    }
}

/// One issue for each path, or one about `root` for all of them where there are many.
pub(crate) fn fold(
    root: &Path,
    severity: Severity,
    paths: Vec<PathBuf>,
    one: &str,
    many: impl Fn(usize) -> String,
    issues: &mut Vec<Issue>,
) {
    if paths.len() <= FOLD_ABOVE {
        issues.extend(paths.into_iter().map(|path| Issue::new(severity, path, one)));
        return;
    }
    let first = paths.first().and_then(|p| p.strip_prefix(root).ok()).unwrap_or(Path::new(""));
    issues.push(Issue::new(severity, root, format!("{} (first: {})", many(paths.len()), first.display())));
}

/// The part of the set that a file's folders below `root` are named after; the deepest one decides.
fn split_of_path(root: &Path, file: &Path) -> Option<Split> {
    let folders = file.strip_prefix(root).ok()?.parent()?.components().rev();
    folders.map(|part| part.as_os_str().to_string_lossy().into_owned()).find_map(|name| split_in(&name))
}
