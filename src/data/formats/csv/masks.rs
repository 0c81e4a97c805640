//! Tables of pictures and masks: a column with the path of each picture and one with that of its mask, as `image,mask`.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::columns::{LABEL_NAMES, split_column, split_of};
use super::table::{Row, Table};
use super::{TOLD, name, split_of_name};
use crate::data::formats::paths::{Finder, Found};
use crate::data::formats::{Draft, Item, Wish, fold, forget, masks, note_other_files};
use crate::data::listing::{Folder, IMAGE_EXTENSIONS, extension};
use crate::data::{Issue, LabelColumn, MaskTarget, Severity, Split, Target, Task};

/// Headers of columns of masks.
const MASKS: [&str; 19] = [
    "mask",
    "masks",
    "mask_path",
    "mask_file",
    "mask_filename",
    "mask_name",
    "maskpath",
    "segmentation",
    "segmentation_path",
    "seg",
    "seg_path",
    "label_path",
    "label_file",
    "annotation",
    "annotation_path",
    "gt",
    "gt_path",
    "ground_truth",
    "groundtruth",
];
/// Headers of columns of masks where the cells are names of picture files, and of labels elsewhere.
const MASKS_OR_LABELS: [&str; 3] = ["label", "labels", "target"];
/// Headers of columns of pictures.
const PICTURES: [&str; 14] = [
    "image",
    "images",
    "image_path",
    "image_file",
    "image_filename",
    "image_name",
    "imagepath",
    "img",
    "img_path",
    "picture",
    "path",
    "file",
    "filename",
    "input",
];

/// A table of pictures with masks.
pub(super) struct Masked {
    table: Table,
    image: usize,
    mask: usize,
    split: Option<usize>,
    /// For each row its picture and its mask.
    files: Vec<[Found; 2]>,
}

impl Masked {
    /// Looks for a column of masks. A table that has labels too is one of labels, unless masks are wanted.
    pub fn of(table: Table, finder: &Finder<'_>, wish: &Wish) -> Result<Self, Table> {
        let Some((image, mask)) = columns(&table, finder, wish) else { return Err(table) };
        let find = |row: &Row| [image, mask].map(|column| finder.find(row.cell(column)));
        let files = table.rows.iter().map(find).collect();
        let split = split_column(&table).filter(|column| ![image, mask].contains(column));
        Ok(Self { table, image, mask, split, files })
    }

    /// Rows with a picture that is there.
    fn at(&self) -> usize {
        self.files.iter().filter(|[image, _]| matches!(image, Found::At(_))).count()
    }
}

/// The columns of pictures and of masks.
fn columns(table: &Table, finder: &Finder<'_>, wish: &Wish) -> Option<(usize, usize)> {
    let names_pictures = |column: usize| {
        let mut cells = table.rows.iter().map(|row| row.cell(column)).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| finder.is_picture(cell))
    };
    // A class may be called like a picture without its extension.
    let names_files = |column: &usize| {
        let mut cells = table.rows.iter().map(|row| row.cell(*column)).filter(|cell| !cell.is_empty());
        cells.all(|cell| IMAGE_EXTENSIONS.contains(&extension(Path::new(cell)).as_str()))
    };
    let fitting: Vec<usize> = (0..table.width).filter(|&column| names_pictures(column)).collect();
    let Some(header) = &table.header else {
        let [image, mask] = fitting.as_slice() else { return None };
        return (table.width == 2 && names_files(mask)).then_some((*image, *mask));
    };
    let header: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    let at = |names: &[&str]| {
        let column = names.iter().find_map(|name| header.iter().position(|own| own == name));
        column.filter(|column| fitting.contains(column))
    };
    let mask = at(&MASKS).or_else(|| at(&MASKS_OR_LABELS).filter(names_files))?;
    let other = || fitting.iter().copied().find(|column| *column != mask);
    let image = at(&PICTURES).filter(|image| *image != mask).or_else(other)?;
    let labels = |(column, name): (usize, &String)| ![image, mask].contains(&column) && LABEL_NAMES.contains(&&**name);
    let labelled = header.iter().enumerate().any(labels);
    (wish.is_segment() || !labelled).then_some((image, mask))
}

/// The file of the table that finds most pictures.
pub(super) fn decided(tables: &[Masked]) -> Option<&Path> {
    let found = tables.iter().filter(|read| read.at() > 0).rev();
    found.max_by_key(|read| read.at()).map(|read| read.table.path.as_path())
}

/// Puts tables together: the one that was `decided`, and those that are named after parts of the set like it. `whole` says
/// that the listing is the set, so that what no table names is left out.
pub(super) fn draft(root: &Folder, tables: Vec<Masked>, decided: &Path, whole: bool) -> Draft {
    let best = tables.iter().find(|read| read.table.path == decided);
    let header = best.and_then(|read| read.table.header.clone());
    let is_part = |read: &Masked| split_of_name(&read.table.path).is_some();
    let parts = best.is_some_and(is_part);
    let like = |read: &Masked| {
        read.table.path == decided || (parts && is_part(read) && read.table.header == header && read.at() > 0)
    };
    let (set, others): (Vec<Masked>, Vec<Masked>) = tables.into_iter().partition(like);
    let mut made = Made::default();
    for read in &others {
        made.issues.push(Issue::new(Severity::Note, &read.table.path, "another table of pictures; not read"));
    }
    set.iter().for_each(|read| made.table(read));
    for (what, count) in made.told.iter().filter(|(_, count)| **count > TOLD) {
        let what = format!("{count} lines {what}; the first {TOLD} are listed");
        made.issues.push(Issue::new(Severity::Error, decided, what));
    }
    let tables: BTreeSet<PathBuf> = set.iter().map(|read| read.table.path.clone()).collect();
    let rule = masks::rule_of_pairs(root, decided, &made.pairs, &tables, &mut made.issues);
    let files: Vec<String> = set.iter().map(|read| name(&read.table.path)).collect();
    if whole {
        let named: BTreeSet<&Path> =
            made.pairs.iter().flat_map(|(picture, mask)| [picture.as_path(), mask.as_path()]).collect();
        let rest = root.images().into_iter().filter(|file| !named.contains(file.path.as_path()));
        let rest: Vec<PathBuf> = rest.map(|file| file.path.clone()).collect();
        let one = "is not used by the table; left out";
        fold(&root.path, Severity::Note, rest, one, |n| format!("{n} pictures: each {one}"), &mut made.issues);
        let mut others = root.clone();
        let own = rule.table_file().into_iter().chain(tables.iter().map(PathBuf::as_path)).collect();
        forget(&mut others, &own);
        note_other_files(&others, &mut made.issues);
    }
    Draft {
        task: Task::Segment,
        format: format!("CSV (pictures and masks; {})", files.join(", ")),
        columns: vec![LabelColumn::single(Vec::new())],
        category_ids: Vec::new(),
        classes_from_pictures: false,
        found: made.found,
        masks: Some(rule),
        items: made.items,
        issues: made.issues,
    }
}

#[derive(Default)]
struct Made {
    items: Vec<Item>,
    pairs: Vec<(PathBuf, PathBuf)>,
    found: usize,
    issues: Vec<Issue>,
    /// Lines by what is wrong with them.
    told: HashMap<&'static str, usize>,
    /// The line that named a file first.
    known: HashMap<PathBuf, usize>,
}

impl Made {
    fn say(&mut self, severity: Severity, kind: &'static str, file: &Path, line: usize, what: String) {
        let count = self.told.entry(kind).or_default();
        *count += 1;
        if *count <= TOLD {
            self.issues.push(Issue { severity, file: file.to_owned(), line: Some(line), what });
        }
    }

    fn table(&mut self, read: &Masked) {
        self.issues.extend(read.table.issues.iter().cloned());
        let whole = split_of_name(&read.table.path);
        for (row, [image, mask]) in read.table.rows.iter().zip(&read.files) {
            let file = &read.table.path;
            let picture = match found(image, row.cell(read.image)) {
                Ok(picture) => picture,
                Err(why) => {
                    self.say(
                        Severity::Error,
                        "name no picture that is there",
                        file,
                        row.line,
                        format!("{why}; left out"),
                    );
                    continue;
                }
            };
            self.found += 1;
            let shown = name(&picture);
            let mask = match found(mask, row.cell(read.mask)) {
                Ok(mask) => mask,
                Err(why) => {
                    let what = format!("the mask of {shown}: {why}; the picture is left out");
                    self.say(Severity::Error, "name no mask that is there", file, row.line, what);
                    continue;
                }
            };
            if mask == picture {
                let what = format!("{shown} is named as its own mask; left out");
                self.say(Severity::Error, "name a picture as its own mask", file, row.line, what);
                continue;
            }
            if let Some(first) = self.known.get(&picture) {
                let what = format!("names the picture of line {first} again ({shown}); the first counts");
                self.found -= 1;
                self.say(Severity::Warning, "name a picture again", file, row.line, what);
                continue;
            }
            self.known.insert(picture.clone(), row.line);
            let split = self.split(read, row).or(whole);
            let target = Target { mask: Some(MaskTarget::File(mask.clone())), ..Target::default() };
            self.pairs.push((picture.clone(), mask));
            self.items.push(Item { path: picture, split, target, origin: None, objects: Vec::new() });
        }
    }

    fn split(&mut self, read: &Masked, row: &Row) -> Option<Split> {
        let column = read.split?;
        let cell = row.cell(column);
        let split = split_of(&read.table.name(column), cell);
        if split.is_none() {
            let what = format!("{cell:?} is neither train, val nor test; used to train on");
            self.say(Severity::Warning, "say nothing known of the part of the set", &read.table.path, row.line, what);
        }
        split.or(Some(Split::Train))
    }
}

/// The file that a cell means, or why there is none.
fn found(file: &Found, cell: &str) -> Result<PathBuf, String> {
    match file {
        Found::At(file) => Ok(file.clone()),
        Found::Missing if cell.is_empty() => Err("no file is named".to_owned()),
        Found::Missing => Err(format!("{cell} does not exist")),
        Found::Outside => Err(format!("{cell} lies outside of the set's folder")),
        Found::Several(count) => Err(format!("{cell} may be any of {count} files")),
    }
}
