//! Sets of masks as people have them: a part of a set that was dropped, another set to validate on, a file for each
//! object, tables of pictures and masks.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use common::sets::{ids, open_at, sample, write};
use frostline::data::{
    Dataset, Issue, OpenOptions, Quiet, Severity, Split, Task, ValSource, load_instances, load_mask, open,
};
use image::{ExtendedColorType, ImageFormat};
use std::fs;
use std::path::Path;

const SIZE: [u32; 2] = [8, 6];

fn png(color: ExtendedColorType, size: [u32; 2], bytes: &[u8]) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut out, bytes, size[0], size[1], color, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// A picture that no other has.
fn picture(n: u8) -> Vec<u8> {
    let bytes: Vec<u8> = (0..SIZE[0] * SIZE[1]).flat_map(|i| [n, i as u8, 7]).collect();
    png(ExtendedColorType::Rgb8, SIZE, &bytes)
}

fn filled<T: Copy>(values: &[T], rest: T) -> Vec<T> {
    let mut all = values.to_vec();
    all.resize((SIZE[0] * SIZE[1]) as usize, rest);
    all
}

/// A grey mask: its first pixels have these values, the others the first of them.
fn grey(values: &[u8]) -> Vec<u8> {
    png(ExtendedColorType::L8, SIZE, &filled(values, values[0]))
}

fn colored(colors: &[[u8; 3]]) -> Vec<u8> {
    png(ExtendedColorType::Rgb8, SIZE, &filled(colors, colors[0]).concat())
}

fn parts(set: &Dataset) -> [usize; 3] {
    [Split::Train, Split::Val, Split::Test].map(|split| set.indices(split).len())
}

/// The only issue with these words; `file` is the end of its path.
fn issue<'a>(set: &'a Dataset, file: &str, what: &str) -> &'a Issue {
    let found: Vec<&Issue> = set.issues.iter().filter(|issue| issue.what.contains(what)).collect();
    assert_eq!(found.len(), 1, "{what}: {:#?}", set.issues);
    assert!(found[0].file.ends_with(file), "{:?} is not about {file}", found[0]);
    found[0]
}

/// `images/NAME0.png`, … with `masks/` of these.
fn set_of(name: &str, masks: &[Vec<u8>]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (n, mask) in (0u8..).zip(masks) {
        write(dir.path(), &format!("images/{name}{n}.png"), &picture(16 * (name.as_bytes()[0] - b'a') + n));
        write(dir.path(), &format!("masks/{name}{n}.png"), mask);
    }
    dir
}

fn with_val(train: &Path, val: &Path) -> Dataset {
    let options = OpenOptions { val: ValSource::Other(val.to_owned()), ..OpenOptions::default() };
    open(train, &options, &Quiet).unwrap()
}

#[test]
fn a_folder_of_cityscapes_masks_brings_its_pictures() {
    let dir = tempfile::tempdir().unwrap();
    for (n, part, town) in [(1u8, "train", "ulm"), (2, "val", "bonn")] {
        let name = format!("{part}/{town}/{town}_000000_00001{n}");
        write(dir.path(), &format!("leftImg8bit/{name}_leftImg8bit.png"), &picture(n));
        write(dir.path(), &format!("gtFine/{name}_gtFine_labelIds.png"), &grey(&[7, 33, 0]));
        write(dir.path(), &format!("gtFine/{name}_gtFine_instanceIds.png"), &grey(&[7, 33, 0]));
        write(dir.path(), &format!("gtFine/{name}_gtFine_color.png"), &colored(&[[128, 64, 128], [1, 2, 3]]));
    }
    let set = open_at(&dir.path().join("gtFine"));
    assert_eq!((set.format.as_str(), parts(&set)), ("Cityscapes (gtFine_labelIds)", [1, 1, 0]));
    assert_eq!(ids(&set, "ulm_000000_000011_leftImg8bit.png", 4), [0, 18, 255, 0]);
    assert_eq!(set.root, dir.path());
    assert!(set.issues.iter().all(|issue| issue.severity < Severity::Error), "{:#?}", set.issues);
}

#[test]
fn a_dropped_folder_of_masks_looks_at_the_parts_of_its_set_alone() {
    let dir = set_of("a", &[grey(&[0, 255]), grey(&[0, 255, 255])]);
    // A home: what has nothing to do with the set is not read. A file of it would be told as no picture, a link as a loop.
    write(dir.path(), "work/notes/thesis.doc", b"x");
    write(dir.path(), "work/classes.csv", b"value,name\n0,sky\n255,bird\n");
    write(dir.path(), ".cache/x", b"x");
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.path(), dir.path().join("work/loop")).unwrap();
    let set = open_at(&dir.path().join("masks"));
    assert_eq!((set.samples.len(), set.classes()), (2, ["background", "foreground"].map(str::to_owned).as_slice()));
    let told = |issue: &&Issue| ["work", ".cache"].iter().any(|part| issue.file.starts_with(dir.path().join(part)));
    assert_eq!(set.issues.iter().find(told), None);
    // The whole folder is another matter.
    assert_eq!(open_at(dir.path()).classes(), ["sky", "bird"]);
}

#[test]
fn masks_to_validate_on_mean_what_those_mean_that_are_trained_on() {
    // Alone {0, 1} would be background and foreground.
    let train = set_of("a", &[grey(&[0, 1, 2]), grey(&[0, 2, 1])]);
    let val = set_of("b", &[grey(&[0, 1])]);
    let set = with_val(train.path(), val.path());
    assert_eq!(set.classes(), ["background", "class 1", "class 2"]);
    assert_eq!((parts(&set), set.pixel_counts(Split::Val)), ([2, 1, 0], vec![47, 1, 0]));
    assert!(set.issues.iter().all(|issue| issue.severity < Severity::Warning), "{:#?}", set.issues);
    // 255 is ignored where 0 and 1 are the classes, and would be foreground alone: that is said.
    let train = set_of("a", &[grey(&[0, 1, 255]), grey(&[0, 1, 1])]);
    let val = set_of("b", &[grey(&[0, 255])]);
    let set = with_val(train.path(), val.path());
    assert_eq!((set.pixel_counts(Split::Val), ids(&set, "b0.png", 3)), (vec![47, 0], vec![0, 255, 0]));
    let said = issue(&set, val.path().to_str().unwrap(), "alone they would mean");
    assert_eq!(
        (said.severity, said.what.as_str()),
        (
            Severity::Warning,
            "the masks are read as those that are trained on (0 is background, 1 foreground; 255 counts for nothing); \
             alone they would mean: 0 is background, 255 foreground"
        )
    );
    // The same two classes in other values: each by its own.
    let train = set_of("a", &[grey(&[0, 255]), grey(&[0, 255, 255])]);
    let val = set_of("b", &[grey(&[0, 1, 1])]);
    let set = with_val(train.path(), val.path());
    assert_eq!(set.pixel_counts(Split::Val), [46, 2]);
    assert_eq!(issue(&set, val.path().to_str().unwrap(), "and the same classes").severity, Severity::Warning);
    // A value that is not trained on counts for nothing.
    let train = set_of("a", &[grey(&[0, 1, 2]), grey(&[0, 2, 1])]);
    let val = set_of("b", &[grey(&[0, 1, 5])]);
    let set = with_val(train.path(), val.path());
    assert_eq!((set.classes().len(), ids(&set, "b0.png", 4)), (3, vec![0, 1, 255, 0]));
    issue(&set, val.path().to_str().unwrap(), "no class of those that are trained on");
}

#[test]
fn the_table_of_the_set_that_is_trained_on_explains_masks_to_validate_on() {
    let (sky, car) = ([70, 130, 180], [0, 0, 142]);
    let train = set_of("a", &[colored(&[sky, car]), colored(&[sky, sky, car])]);
    write(train.path(), "classes.csv", b"name,r,g,b\nsky,70,130,180\ncar,0,0,142\n");
    let val = set_of("b", &[colored(&[car, sky])]);
    let set = with_val(train.path(), val.path());
    assert_eq!(
        (set.classes(), set.pixel_counts(Split::Val)),
        (["sky", "car"].map(str::to_owned).as_slice(), vec![1, 47])
    );
    // Names for 0 and 255.
    let train = set_of("a", &[grey(&[0, 255]), grey(&[0, 255, 255])]);
    write(train.path(), "classes.txt", b"ground\nnucleus\n");
    let set = with_val(train.path(), set_of("b", &[grey(&[0, 255])]).path());
    assert_eq!((set.classes().len(), set.pixel_counts(Split::Val)), (2, vec![47, 1]));
}

#[test]
fn classes_that_are_not_trained_on_count_for_nothing_and_are_named() {
    let train = set_of("a", &[grey(&[0, 1, 2]), grey(&[0, 2, 1])]);
    write(train.path(), "classes.txt", b"sky\nroad\ncar\n");
    let val = set_of("b", &[grey(&[0, 1, 2])]);
    write(val.path(), "classes.txt", b"sky\nboat\ncar\n");
    let set = with_val(train.path(), val.path());
    assert_eq!(
        (set.classes(), ids(&set, "b0.png", 4)),
        (["sky", "road", "car"].map(str::to_owned).as_slice(), vec![0, 255, 2, 0])
    );
    let said = issue(&set, val.path().to_str().unwrap(), "classes that are not trained on");
    assert!(said.what.ends_with("nothing: boat (trained on: sky, road, car)"), "{said}");
    // The only class besides the background needs no name.
    let train = set_of("a", &[grey(&[0, 255]), grey(&[0, 255, 255])]);
    let val = set_of("b", &[grey(&[0, 1])]);
    write(val.path(), "classes.txt", b"background\nnucleus\n");
    let set = with_val(train.path(), val.path());
    assert_eq!(
        (set.classes(), set.pixel_counts(Split::Val)),
        (["background", "foreground"].map(str::to_owned).as_slice(), vec![47, 1])
    );
    issue(&set, val.path().to_str().unwrap(), "its class nucleus is taken as foreground");
    assert_eq!(set.task, Task::Segment);
}

/// Rows of a mask of 8×6 pixels as a PNG: `#` is 255.
fn object(rows: [&str; 6]) -> Vec<u8> {
    let bytes: Vec<u8> = rows.concat().bytes().map(|byte| if byte == b'#' { 255 } else { 0 }).collect();
    png(ExtendedColorType::L8, SIZE, &bytes)
}

const SQUARE: [&str; 6] = ["........", ".##.....", ".##.....", "........", "........", "........"];
const BAR: [&str; 6] = ["........", "........", "........", "....###.", "........", "........"];
/// Shares a pixel with the square.
const LINE: [&str; 6] = ["........", "........", "..####..", "........", "........", "........"];

/// Two pictures of two objects in the layout of the Data Science Bowl.
fn bowl() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (n, id) in [(1, "00ae65"), (2, "1b44d2")] {
        write(dir.path(), &format!("stage1_train/{id}/images/{id}.png"), &picture(n));
        write(dir.path(), &format!("stage1_train/{id}/masks/07a9bf.png"), &object(SQUARE));
        write(dir.path(), &format!("stage1_train/{id}/masks/9a4eac.png"), &object(BAR));
    }
    dir
}

#[test]
fn a_mask_file_for_each_object_tells_objects_apart_and_joins_them_to_a_class() {
    let dir = bowl();
    write(dir.path(), "stage1_test/2c3d4e/images/2c3d4e.png", &picture(3));
    write(dir.path(), "stage1_train_labels.csv", b"ImageId,EncodedPixels\n00ae65,1 2\n");
    for path in [dir.path().to_owned(), dir.path().join("stage1_train")] {
        let set = open_at(&path);
        assert_eq!((set.task, set.format.as_str()), (Task::Segment, "pictures with a mask for each object"));
        assert_eq!((set.classes(), set.samples.len()), (["background", "foreground"].map(str::to_owned).as_slice(), 2));
        let mask = sample(&set, "00ae65.png").target.mask.clone().unwrap();
        let rows = |ids: Vec<u8>| -> Vec<String> {
            ids.chunks(8).map(|row| row.iter().map(|id| char::from(b'0' + id)).collect()).collect()
        };
        let classes = ["00000000", "01100000", "01100000", "00001110", "00000000", "00000000"];
        assert_eq!(rows(load_mask(&mask).unwrap().ids), classes);
        let objects = load_instances(&mask).unwrap().unwrap().ids.into_iter().map(|id| id as u8).collect();
        assert_eq!(rows(objects), ["00000000", "01100000", "01100000", "00002220", "00000000", "00000000"]);
        assert!(set.issues.iter().all(|issue| issue.severity < Severity::Error), "{:#?}", set.issues);
        assert!(set.usable().is_ok());
    }
    let set = open_at(dir.path());
    assert_eq!((set.found, set.pixel_counts(Split::Train).iter().sum::<u64>() % 48), (3, 0));
    issue(&set, "stage1_test/2c3d4e/images/2c3d4e.png", "a picture without masks of objects");
    issue(&set, "stage1_train_labels.csv", "not a picture");
    // One picture by itself.
    assert_eq!(open_at(&dir.path().join("stage1_train/1b44d2")).samples.len(), 1);
}

#[test]
fn object_masks_that_cannot_be_used_are_named() {
    let dir = bowl();
    let cell = |id: &str, mask: &[u8]| {
        write(dir.path(), &format!("stage1_train/{id}/images/{id}.png"), &picture(id.as_bytes()[0]));
        write(dir.path(), &format!("stage1_train/{id}/masks/0.png"), &object(SQUARE));
        write(dir.path(), &format!("stage1_train/{id}/masks/1.png"), mask);
    };
    cell("size", &png(ExtendedColorType::L8, [4, 4], &[255; 16]));
    cell("many", &grey(&[0, 80, 255]));
    cell("broken", b"no picture");
    cell("lapped", &object(LINE));
    cell("void", &grey(&[0]));
    write(dir.path(), "stage1_train/lost/masks/0.png", &object(SQUARE));
    let set = open_at(dir.path());
    assert_eq!(set.samples.len(), 4, "{:#?}", set.issues);
    let told = |file: &str, what: &str, severity: Severity| {
        let found = issue(&set, file, what);
        assert_eq!(found.severity, severity, "{found}");
    };
    let size = "cannot be used: it has 4x4 pixels, and its picture has 8x6; size.png is left out with its objects";
    told("size/masks/1.png", size, Severity::Error);
    told("many/masks/1.png", "it has the values 80 and 255, where 0 and one other value", Severity::Error);
    told("broken/masks/1.png", "cannot be decoded", Severity::Error);
    told("lapped/images/lapped.png", "1 pixel overlap, first in 0.png and 1.png", Severity::Warning);
    told("void/masks/1.png", "a mask of an object without a pixel", Severity::Warning);
    told("lost/masks", "without a picture", Severity::Warning);
    // The smaller object is in front; of two of one size the later.
    let mask = sample(&set, "lapped.png").target.mask.clone().unwrap();
    assert_eq!(load_instances(&mask).unwrap().unwrap().ids[16..24], [0, 1, 2, 2, 2, 2, 0, 0]);
    assert_eq!(load_mask(&mask).unwrap().ids.iter().filter(|id| **id == 1).count(), 7);
}

#[test]
fn a_table_names_pictures_and_their_masks() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..4u8 {
        write(dir.path(), &format!("raw/scan {n}.png"), &picture(n));
        write(dir.path(), &format!("truth/t{n}.png"), &grey(&[0, 1, 2]));
    }
    write(dir.path(), "classes.csv", b"value,name\n0,ground\n1,leaf\n2,stem\n");
    let rows = "image,mask,split\nraw/scan 0.png,truth/t0.png,train\nraw/scan 1.png,truth/t1.png,train\nraw/scan 2.png,truth/t2.png,val\nraw/scan 3.png,truth/t3.png,val\n";
    write(dir.path(), "pairs.csv", rows.as_bytes());
    for path in [dir.path().to_owned(), dir.path().join("pairs.csv")] {
        let set = open_at(&path);
        assert_eq!((set.task, set.format.as_str()), (Task::Segment, "CSV (pictures and masks; pairs.csv)"));
        assert_eq!((set.classes(), parts(&set)), (["ground", "leaf", "stem"].map(str::to_owned).as_slice(), [2, 2, 0]));
        assert_eq!(ids(&set, "scan 3.png", 4), [0, 1, 2, 0]);
        assert!(set.issues.iter().all(|issue| issue.severity == Severity::Note), "{:#?}", set.issues);
    }
    // Other headers, semicolons, no header, a table for each part.
    for text in [
        "id;mask_path;image_path\n1;truth/t0.png;raw/scan 0.png\n2;truth/t1.png;raw/scan 1.png\n",
        "raw/scan 0.png,truth/t0.png\nraw/scan 1.png,truth/t1.png\n",
        "filename,label\nraw/scan 0.png,truth/t0.png\nraw/scan 1.png,truth/t1.png\n",
    ] {
        write(dir.path(), "pairs.csv", text.as_bytes());
        let set = open_at(&dir.path().join("pairs.csv"));
        assert_eq!(
            (set.task, set.samples.len(), ids(&set, "scan 1.png", 3)),
            (Task::Segment, 2, vec![0, 1, 2]),
            "{text}"
        );
    }
    fs::remove_file(dir.path().join("pairs.csv")).unwrap();
    write(dir.path(), "train.csv", b"image,mask\nraw/scan 0.png,truth/t0.png\nraw/scan 1.png,truth/t1.png\n");
    write(dir.path(), "val.csv", b"image,mask\nraw/scan 2.png,truth/t2.png\n");
    let set = open_at(dir.path());
    assert_eq!(parts(&set), [2, 1, 0]);
    // With labels beside masks it is a table of labels unless masks are wanted.
    let row = |n: usize| format!("raw/scan {n}.png,truth/t{n}.png,{}\n", ["oak", "ash"][n / 2]);
    let both = (0..4).map(row).fold("image,mask,label\n".to_owned(), |text, row| text + &row);
    write(dir.path(), "both.csv", both.as_bytes());
    assert_eq!(open_at(&dir.path().join("both.csv")).task, Task::Classify);
    let options = OpenOptions { task: Some(Task::Segment), ..OpenOptions::default() };
    assert_eq!(open(&dir.path().join("both.csv"), &options, &Quiet).unwrap().samples.len(), 4);
}

#[test]
fn lines_of_a_table_of_masks_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..4u8 {
        write(dir.path(), &format!("p/{n}.png"), &picture(n));
        write(dir.path(), &format!("m/{n}.png"), &grey(&[0, 255]));
    }
    write(dir.path(), "m/3.png", &png(ExtendedColorType::L8, [4, 4], &[255; 16]));
    let rows =
        "image,mask\np/0.png,m/0.png\np/9.png,m/1.png\np/1.png,m/9.png\np/2.png,\np/0.png,m/2.png\np/3.png,m/3.png\n";
    write(dir.path(), "pairs.csv", rows.as_bytes());
    let set = open_at(&dir.path().join("pairs.csv"));
    assert_eq!((set.samples.len(), set.found, set.skipped()), (1, 4, 3), "{:#?}", set.issues);
    let told = |line: Option<usize>, file: &str, what: &str| {
        let found = issue(&set, file, what);
        assert_eq!(found.line, line, "{found}");
    };
    told(Some(3), "pairs.csv", "p/9.png does not exist; left out");
    told(Some(4), "pairs.csv", "the mask of 1.png: m/9.png does not exist; the picture is left out");
    told(Some(5), "pairs.csv", "the mask of 2.png: no file is named");
    told(Some(6), "pairs.csv", "names the picture of line 2 again (0.png)");
    told(None, "m/3.png", "the mask has 4x4 pixels, and 3.png has 8x6");
}
