//! Pascal VOC: an XML file for each picture (`Annotations/` beside `JPEGImages/`, or next to the pictures), and lists of
//! the parts of the set in `ImageSets/Main/`.
//!
//! Coordinates count from 1 and include the last pixel, so 1 is taken from left and top (as detectron2 does). Tools that write
//! the format often count from 0; a corner at 0 anywhere in the set says that they did, and then nothing is taken. Objects that
//! are marked difficult are learned and not asked for. A picture without a file is unlabelled and left out; a file without objects
//! says that there is none.

pub(super) mod lists;
mod pairs;
mod xml;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::lists::Lists;
use self::pairs::Pictures;
use self::xml::{Annotation, NotOne};
use super::boxes::{Builder, Origin};
use super::{Draft, Reader, Recognition, Wish};
use crate::data::listing::{Folder, extension};
use crate::data::{BoxTarget, Issue, Severity, on_decode_pool};

/// Reads Pascal VOC XML.
pub(crate) struct Voc;

impl Reader for Voc {
    fn name(&self) -> &'static str {
        "Pascal VOC"
    }

    fn recognize(&self, root: &Folder, _wish: &Wish) -> Recognition {
        let files: Vec<&Path> = root.all_files().into_iter().map(|file| file.path.as_path()).collect();
        let files: Vec<&Path> = files.into_iter().filter(|path| extension(path) == "xml").collect();
        if files.is_empty() {
            return Recognition::No("no .xml file".to_owned());
        }
        if !files.iter().take(50).any(|path| is_annotation(path)) {
            return Recognition::No("no .xml file with an <annotation>".to_owned());
        }
        Recognition::Read(Box::new(read(root, &files)))
    }
}

/// Whether a file is an annotation, as far as its ends show.
pub(super) fn is_annotation(path: &Path) -> bool {
    super::known::peek(path).contains("<annotation")
}

/// Reads the annotation files of a set.
pub(super) fn read(root: &Folder, files: &[&Path]) -> Draft {
    let mut builder = Builder::new(root);
    builder.rest = "has no annotation file: nothing is known of it; left out";
    let read: Vec<Result<Annotation, NotOne>> =
        on_decode_pool(|| files.par_iter().map(|path| xml::read(path)).collect());
    let mut annotations = Vec::new();
    for (path, annotation) in files.iter().zip(read) {
        builder.read.insert(path.to_path_buf());
        match annotation {
            Ok(annotation) => annotations.push((*path, annotation)),
            Err(NotOne::Other(what)) => {
                builder.teller.say(Severity::Note, "XML files of other kinds", path, None, what);
            }
            Err(NotOne::Broken(line, what)) => {
                builder.teller.say(Severity::Error, "annotation files that cannot be read", path, line, what);
            }
        }
    }
    // In order of name, so that their numbers are.
    let names: BTreeSet<&String> = annotations.iter().flat_map(|(_, a)| a.objects.iter().map(|o| &o.name)).collect();
    for name in names {
        builder.class(name, None);
    }
    let mut corners = annotations.iter().flat_map(|(_, a)| &a.objects).flat_map(|object| object.bndbox.iter().take(2));
    let first = if corners.any(|corner| *corner < 1.0) { 0.0 } else { 1.0 };
    let pictures = Pictures::new(root);
    let lists = Lists::new(root, "Main", &mut builder.read, &mut builder.teller);
    let mut taken = BTreeSet::new();
    for (path, annotation) in &annotations {
        taken.extend(add(path, annotation, first, &pictures, &lists, &mut builder));
    }
    lists.missing(&taken, &pictures, &mut builder.teller);
    builder.left_out.extend(taken);
    builder.left_out.extend(pictures.others());
    let difficult = annotations.iter().flat_map(|(_, a)| &a.objects).filter(|object| object.difficult).count();
    if difficult > 0 {
        let what = format!(
            "{difficult} objects are marked as difficult; they are learned like the others, and whether they are found does not count"
        );
        builder.issues.push(Issue::new(Severity::Note, &root.path, what));
    }
    let foreign = annotations.iter().filter(|(_, a)| a.is_foreign).count();
    if foreign > 0 {
        let what = format!("{foreign} annotations give a path of another machine; pictures are found by name");
        builder.issues.push(Issue::new(Severity::Note, &root.path, what));
    }
    let what = if first == 0.0 {
        "corners at 0: pixels are counted from 0, and corners are taken as they are"
    } else {
        "no corner at 0: pixels are counted from 1 as in VOC, and 1 is taken off xmin and ymin"
    };
    builder.issues.push(Issue::new(Severity::Note, &root.path, what));
    builder.draft("Pascal VOC".to_owned(), true)
}

/// Adds the picture of an annotation file, and gives it back even where the lists leave it out. `first` is the number of the
/// first pixel.
fn add(
    path: &Path,
    annotation: &Annotation,
    first: f64,
    pictures: &Pictures<'_>,
    lists: &Lists,
    builder: &mut Builder<'_>,
) -> Option<PathBuf> {
    let mut say = |kind, severity, line, what| builder.teller.say(severity, kind, path, line, what);
    for (line, what) in &annotation.issues {
        say("objects that cannot be read", Severity::Error, *line, what.clone());
    }
    let image = match pictures.of(path, annotation.filename.as_deref()) {
        Ok(image) => image.to_owned(),
        Err(what) => {
            say("annotation files without a picture", Severity::Warning, None, what);
            return None;
        }
    };
    let split = match lists.split(&image) {
        Ok(split) => split,
        Err(what) => {
            builder.teller.say(Severity::Warning, "pictures in no list", &image, None, what);
            return Some(image);
        }
    };
    let boxes = annotation.objects.iter().map(|object| {
        let [left, top, right, bottom] = object.bndbox;
        // Left as it is where it has no area, so that it is told as such.
        let first = if left == right || top == bottom { 0.0 } else { first };
        let xyxy = [left - first, top - first, right, bottom].map(|side| side as f32);
        BoxTarget { difficult: object.difficult, ..BoxTarget::new(builder.class(&object.name, None), xyxy) }
    });
    let boxes = boxes.collect();
    let origin = Origin {
        file: path.to_owned(),
        told_px: annotation.size_px.map(|size| (size, 0)),
        relative: false,
        lines: annotation.objects.iter().map(|object| object.line).collect(),
    };
    if !builder.picture(image.clone(), split, boxes, origin) {
        let what = format!("a second annotation file for {}; left out", image.display());
        builder.teller.say(Severity::Warning, "second annotation files", path, None, what);
    }
    Some(image)
}
