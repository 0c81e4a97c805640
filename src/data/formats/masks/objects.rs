//! A folder for each picture, with the picture in `images` and a mask file for each of its objects in `masks`: the layout of
//! the Data Science Bowl of 2018 (`ID/images/ID.png`, `ID/masks/*.png`).

use std::path::{Path, PathBuf};

use super::meaning::MaskRule;
use crate::data::formats::{Draft, Item, fold, note_other_files, split_of_path};
use crate::data::listing::{Folder, Kind};
use crate::data::mask::files::Objects;
use crate::data::{Issue, LabelColumn, Severity, Target, Task};

/// More overlaps than this are told as a number.
const TOLD: usize = 20;

/// A folder of one picture.
struct Cell<'a> {
    folder: &'a Folder,
    pictures: Vec<&'a Path>,
    masks: Vec<&'a Path>,
}

impl<'a> Cell<'a> {
    fn of(folder: &'a Folder) -> Option<Self> {
        let files = |name: &str| -> Vec<&'a Path> {
            let files = folder.child(name).into_iter().flat_map(|child| &child.files);
            files.filter(|file| file.kind == Kind::Image).map(|file| file.path.as_path()).collect()
        };
        let (pictures, masks) = (files("images"), files("masks"));
        let is_one = folder.child("images").is_some() || folder.child("masks").is_some();
        is_one.then_some(Self { folder, pictures, masks })
    }

    /// Its only picture, where its masks do not bear that one's name.
    fn picture(&self) -> Option<&'a Path> {
        let [picture] = self.pictures.as_slice() else { return None };
        let named = |mask: &Path| mask.file_stem() == picture.file_stem();
        (!self.masks.iter().any(|mask| named(mask))).then_some(picture)
    }

    /// Whether the folder bears the picture's name.
    fn is_named(&self) -> bool {
        let stem = self.pictures.first().and_then(|path| path.file_stem());
        stem.is_some_and(|stem| self.folder.name() == stem.to_string_lossy())
    }
}

/// Reads a set; none where it has another layout.
pub(super) fn read(root: &Folder) -> Option<Draft> {
    let cells: Vec<Cell<'_>> = root.all_folders().into_iter().filter_map(Cell::of).collect();
    let whole: Vec<&Cell<'_>> =
        cells.iter().filter(|cell| !cell.masks.is_empty() && cell.picture().is_some()).collect();
    let paired = cells.iter().any(|cell| {
        let stems: Vec<_> = cell.masks.iter().map(|mask| mask.file_stem()).collect();
        cell.pictures.iter().any(|picture| stems.contains(&picture.file_stem()))
    });
    let one = |cell: &&&Cell<'_>| cell.is_named();
    if paired || whole.is_empty() || (whole.len() == 1 && !whole.iter().any(|cell| one(&cell))) {
        return None;
    }
    let mut issues = Vec::new();
    let (mut items, mut without_mask, mut without_picture) = (Vec::new(), Vec::new(), Vec::new());
    for cell in &cells {
        match (cell.pictures.as_slice(), cell.masks.is_empty()) {
            ([], true) => {}
            ([], false) => without_picture.push(cell.folder.path.join("masks")),
            (pictures, true) => without_mask.extend(pictures.iter().map(|path| path.to_path_buf())),
            ([picture], false) => items.push(Item {
                path: picture.to_path_buf(),
                split: split_of_path(&root.path, picture),
                target: Target::default(),
                origin: None,
                objects: cell.masks.iter().map(|path| path.to_path_buf()).collect(),
            }),
            (pictures, false) => {
                let what = format!(
                    "{} pictures beside masks of objects, which belong to one picture; left out",
                    pictures.len()
                );
                issues.push(Issue::new(Severity::Error, cell.folder.path.join("images"), what));
            }
        }
    }
    let unclear: usize =
        cells.iter().filter(|c| !c.masks.is_empty()).map(|c| c.pictures.len()).filter(|n| *n > 1).sum();
    let found = items.len() + without_mask.len() + unclear;
    let one = "a picture without masks of objects: nothing is known of it; left out";
    fold(&root.path, Severity::Warning, without_mask, one, |n| format!("{n} pictures: each is {one}"), &mut issues);
    let one = "masks of objects without a picture in images beside them; left out";
    let many = |n| format!("{n} folders: in each {one}");
    fold(&root.path, Severity::Warning, without_picture, one, many, &mut issues);
    note_other_files(root, &mut issues);
    Some(Draft {
        task: Task::Segment,
        format: "pictures with a mask for each object".to_owned(),
        columns: vec![LabelColumn::single(Vec::new())],
        category_ids: Vec::new(),
        classes_from_pictures: false,
        found,
        masks: Some(MaskRule::shapes(super::meaning::two())),
        items,
        issues,
    })
}

/// What is said of objects that were read from files.
#[derive(Default)]
pub(super) struct Told {
    empty: Vec<PathBuf>,
    shared: Vec<Issue>,
}

impl Told {
    pub fn of(&mut self, picture: &Path, objects: Objects) {
        self.empty.extend(objects.empty);
        if let Some((count, first, second)) = objects.shared {
            let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let what = format!(
                "{} overlap, first in {} and {}: the smaller object is in front",
                crate::format::plural(usize::try_from(count).unwrap_or(usize::MAX), "pixel"),
                name(&first),
                name(&second)
            );
            self.shared.push(Issue::new(Severity::Warning, picture, format!("objects: {what}")));
        }
    }

    pub fn finish(mut self, root: &Path, issues: &mut Vec<Issue>) {
        let one = "a mask of an object without a pixel; left out";
        fold(root, Severity::Warning, self.empty, one, |n| format!("{n} files: each is {one}"), issues);
        if self.shared.len() > TOLD {
            let what = format!("objects overlap in {} pictures; the first {TOLD} are listed", self.shared.len());
            issues.push(Issue::new(Severity::Warning, root, what));
            self.shared.truncate(TOLD);
        }
        issues.extend(self.shared);
    }
}
