//! Pascal VOC: an XML file for each picture (`Annotations/` beside `JPEGImages/`, or next to the pictures), and lists of
//! the parts of the set in `ImageSets/Main/`.
//!
//! Coordinates count from 1 and include the last pixel, so 1 is taken from left and top (as detectron2 does). Objects that
//! are marked difficult are objects. A picture without a file is unlabelled and left out; a file without objects
//! says that there is none.

mod lists;
mod pairs;
mod xml;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::lists::Lists;
use self::pairs::Pictures;
use self::xml::{Annotation, NotOne};
use super::{Draft, Item, Reader, Recognition, Told, fold};
use crate::data::listing::{Folder, extension};
use crate::data::objects::{RawBox, RawBoxes};
use crate::data::{Issue, Label, LabelColumn, Severity, Target, Task, on_decode_pool};

/// Reads Pascal VOC XML.
pub(crate) struct Voc;

impl Reader for Voc {
    fn name(&self) -> &'static str {
        "Pascal VOC"
    }

    fn recognize(&self, root: &Folder) -> Recognition {
        let files: Vec<&Path> = root.all_files().into_iter().map(|file| file.path.as_path()).collect();
        let files: Vec<&Path> = files.into_iter().filter(|path| extension(path) == "xml").collect();
        if files.is_empty() {
            return Recognition::No("no .xml file".to_owned());
        }
        if !files.iter().take(50).any(|path| super::known::peek(path).contains("<annotation")) {
            return Recognition::No("no .xml file with an <annotation>".to_owned());
        }
        Recognition::Read(Box::new(read(root, &files)))
    }
}

fn read(root: &Folder, files: &[&Path]) -> Draft {
    let mut told = Told::default();
    let mut issues = Vec::new();
    let read: Vec<Result<Annotation, NotOne>> =
        on_decode_pool(|| files.par_iter().map(|path| xml::read(path)).collect());
    let mut annotations = Vec::new();
    for (path, annotation) in files.iter().zip(read) {
        match annotation {
            Ok(annotation) => annotations.push((*path, annotation)),
            Err(NotOne::Other(what)) => told.say(Severity::Note, "XML files of other kinds", path, None, what),
            Err(NotOne::Broken(line, what)) => {
                told.say(Severity::Error, "annotation files that are left out", path, line, what);
            }
        }
    }
    let classes: BTreeSet<&String> = annotations.iter().flat_map(|(_, a)| a.objects.iter().map(|o| &o.name)).collect();
    let classes: Vec<String> = classes.into_iter().cloned().collect();
    let pictures = Pictures::new(root);
    let lists = Lists::new(root, &mut told);
    let mut items: Vec<Item> = Vec::new();
    let mut taken: BTreeSet<PathBuf> = BTreeSet::new();
    let mut difficult = 0;
    for (path, annotation) in &annotations {
        annotation.issues.iter().for_each(|(line, what)| {
            told.say(Severity::Error, "objects that cannot be read", path, *line, what.clone());
        });
        difficult += annotation.objects.iter().filter(|object| object.difficult).count();
        let image = match pictures.of(path, annotation.filename.as_deref()) {
            Ok(image) => image,
            Err(what) => {
                told.say(Severity::Warning, "annotation files without a picture", path, None, what);
                continue;
            }
        };
        if !taken.insert(image.to_owned()) {
            let what = format!("a second annotation file for {}; left out", image.display());
            told.say(Severity::Warning, "second annotation files", path, None, what);
            continue;
        }
        if let Some(item) = item(path, annotation, image, &classes, &lists, &mut told) {
            items.push(item);
        }
    }
    lists.missing(&taken, &pictures, &mut told);
    let unlabelled: Vec<PathBuf> = pictures.all().filter(|path| !taken.contains(*path)).map(Path::to_owned).collect();
    told.finish(&root.path, &mut issues);
    let one = "a picture without an annotation file: nothing is known of it; left out";
    let many = |n| format!("{n} pictures without an annotation file: nothing is known of them; left out");
    fold(&root.path, Severity::Warning, unlabelled, one, many, &mut issues);
    if difficult > 0 {
        let what = format!("{difficult} objects are marked as difficult; they are used like the others");
        issues.push(Issue::new(Severity::Note, &root.path, what));
    }
    Draft {
        task: Task::Detect,
        format: "Pascal VOC".to_owned(),
        columns: vec![LabelColumn::single(classes)],
        classes_from_pictures: false,
        items,
        found: pictures.count(),
        issues,
    }
}

/// The picture of an annotation file; none where the lists leave it out.
fn item(
    path: &Path,
    annotation: &Annotation,
    image: &Path,
    classes: &[String],
    lists: &Lists,
    told: &mut Told,
) -> Option<Item> {
    let split = match lists.split(image) {
        Ok(split) => split,
        Err(what) => {
            told.say(Severity::Warning, "pictures in no list", image, None, what);
            return None;
        }
    };
    let class = |name: &String| classes.binary_search(name).ok().and_then(|at| u32::try_from(at).ok());
    let boxes = annotation.objects.iter().filter_map(|object| {
        let [left, top, right, bottom] = object.bndbox;
        // Left as it is where it has no area, so that it is told as such.
        let from_zero = if left == right || top == bottom { 0.0 } else { 1.0 };
        let xyxy = [left - from_zero, top - from_zero, right, bottom];
        Some(RawBox { class: class(&object.name)?, xyxy, crowd: false, line: Some(object.line) })
    });
    let objects =
        RawBoxes { file: path.to_owned(), fractions: false, said_px: annotation.size_px, boxes: boxes.collect() };
    let target = Target { labels: vec![Label::Unknown], ..Target::default() };
    Some(Item { path: image.to_owned(), split, target, objects: Some(objects) })
}
