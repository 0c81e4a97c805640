//! Opening class folders: layouts, split, pre-flight report.

#![expect(clippy::unwrap_used, clippy::print_stderr, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use frostline::data::{
    DataError, Dataset, Issue, OpenOptions, Progress, Quiet, Severity, Split, Task, ValSource, open,
};
use tempfile::TempDir;

fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent", path.display());
    }
    path.exists().then_some(path)
}

/// A small PNG that differs for every `n`.
fn png(n: usize) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(6, 5, |x, y| image::Rgb([n as u8, (n / 256) as u8, (x + y) as u8]));
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A folder with `count` different pictures in each of these folders.
fn set(folders: &[(&str, usize)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut n = 0;
    for (folder, count) in folders {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
        for i in 0..*count {
            write(dir.path(), &format!("{folder}/{i:04}.png"), &png(n));
            n += 1;
        }
    }
    dir
}

fn open_set(dir: &TempDir) -> Dataset {
    open(dir.path(), &OpenOptions::default(), &Quiet).unwrap()
}

fn counts(set: &Dataset) -> [Vec<usize>; 3] {
    [Split::Train, Split::Val, Split::Test].map(|split| set.class_counts(split))
}

#[track_caller]
fn issue<'a>(set: &'a Dataset, file: &str, what: &str) -> &'a Issue {
    let found = set.issues.iter().find(|i| i.file.ends_with(file) && i.what.contains(what));
    found.unwrap_or_else(|| panic!("no issue of {file} with '{what}' in {:#?}", set.issues))
}

fn path_of(set: &Dataset, index: usize) -> String {
    let path = set.samples[index].image.path().unwrap();
    path.strip_prefix(&set.root).unwrap().to_str().unwrap().replace('\\', "/")
}

#[test]
fn split_then_class() {
    let dir =
        set(&[("train/b", 3), ("train/B", 2), ("train/a", 4), ("val/a", 1), ("val/b", 2), ("val/B", 1), ("test/a", 2)]);
    let set = open_set(&dir);
    assert_eq!((set.task, set.classes().to_vec()), (Task::Classify, vec!["B".to_owned(), "a".into(), "b".into()]));
    assert_eq!(counts(&set), [vec![2, 4, 3], vec![1, 1, 2], vec![0, 2, 0]]);
    assert_eq!((set.found, set.used(), set.skipped(), set.suggested_split), (15, 15, 0, false));
    assert_eq!(set.usable(), Ok(()));
    assert!(set.issues.is_empty(), "{:?}", set.issues);
    let val: Vec<String> = set.indices(Split::Val).into_iter().map(|i| path_of(&set, i)).collect();
    assert_eq!(val, ["val/B/0000.png", "val/a/0000.png", "val/b/0000.png", "val/b/0001.png"]);
    assert_eq!(set.samples[0].size_px, [6, 5]);
}

#[test]
fn class_then_split() {
    let dir = set(&[("cat/train", 3), ("cat/val", 2), ("dog/train", 4), ("dog/valid", 1), ("dog/test", 1)]);
    let set = open_set(&dir);
    assert_eq!(set.classes(), ["cat", "dog"]);
    assert_eq!(counts(&set), [vec![3, 4], vec![2, 1], vec![0, 1]]);
    assert!(!set.suggested_split);
}

#[test]
fn bare_classes_get_a_stratified_seeded_split() {
    let dir = set(&[("x", 20), ("y", 50), ("z/deep/er", 10)]);
    let first = open_set(&dir);
    assert!(first.suggested_split);
    assert_eq!(counts(&first), [vec![16, 40, 8], vec![4, 10, 2], vec![0; 3]]);
    let again = open_set(&dir);
    assert_eq!(first.samples, again.samples);
    let other = open(dir.path(), &OpenOptions { seed: 1, ..OpenOptions::default() }, &Quiet).unwrap();
    assert_eq!(counts(&other), counts(&first));
    assert_ne!(other.indices(Split::Val), first.indices(Split::Val));
    let half = OpenOptions { val: ValSource::Fraction(0.5), seed: 0, task: None };
    assert_eq!(counts(&open(dir.path(), &half, &Quiet).unwrap())[1], [10, 25, 5]);
}

#[test]
fn a_fraction_replaces_the_sets_own_split_and_says_so() {
    let dir = set(&[("train/a", 8), ("train/b", 8), ("val/a", 2), ("val/b", 2), ("test/a", 3)]);
    let options = OpenOptions { val: ValSource::Fraction(0.3), seed: 5, task: None };
    let set = open(dir.path(), &options, &Quiet).unwrap();
    assert_eq!(counts(&set), [vec![7, 7], vec![3, 3], vec![3, 0]]);
    issue(&set, "", "split anew");
    for bad in [0.0, 1.0, -1.0, f32::NAN] {
        let error =
            open(dir.path(), &OpenOptions { val: ValSource::Fraction(bad), seed: 0, task: None }, &Quiet).unwrap_err();
        assert!(matches!(error, DataError::Option(_)), "{error}");
    }
}

#[test]
fn another_set_validates_with_classes_matched_by_name() {
    let train = set(&[("a", 3), ("c", 3)]);
    let val = set(&[("a", 2), ("b", 4), ("c", 1)]);
    let options = OpenOptions { val: ValSource::Other(val.path().to_owned()), seed: 0, task: None };
    let set = open(train.path(), &options, &Quiet).unwrap();
    assert_eq!(set.classes(), ["a", "c"]);
    assert_eq!(counts(&set), [vec![3, 3], vec![2, 1], vec![0, 0]]);
    let issue = issue(&set, "", "class b is in val or test, but has no picture to train on; its 4 pictures");
    assert_eq!(issue.severity, Severity::Warning);
    assert_eq!((set.found, set.used(), set.skipped()), (13, 9, 4));
}

#[test]
fn classes_that_train_and_val_do_not_share_are_reported() {
    let dir = set(&[
        ("train/ants", 3),
        ("train/bees", 3),
        ("train/wasps", 2),
        ("val/ants", 1),
        ("val/bees", 1),
        ("val/Wasps", 2),
    ]);
    let set = open_set(&dir);
    assert_eq!(set.classes(), ["ants", "bees", "wasps"]);
    assert_eq!(counts(&set)[1], [1, 1, 0]);
    issue(&set, "", "class wasps is in train, but has no picture in val");
    issue(&set, "", "class Wasps is in val or test, but has no picture to train on; its 2 pictures are left out");
}

#[test]
fn every_trap_is_named_and_the_rest_is_used() {
    let dir = set(&[("a", 5), ("b", 5), ("empty", 0), (".hidden", 2)]);
    let root = dir.path();
    let whole = png(900);
    write(root, "a/zero.jpg", b"");
    write(root, "a/text.jpg", b"this is a text file, not a picture");
    write(root, "a/cut.png", &whole[..whole.len() / 2]);
    write(root, "b/notes.txt", b"notes");
    write(root, "b/phone.heic", b"....ftypheic");
    write(root, "b/.DS_Store", b"x");
    write(root, "b/Thumbs.db", b"x");
    write(root, "stray.png", &png(901));
    write(root, "b/no_extension", &png(902));
    write(root, "b/\u{e4}\u{f6}\u{fc} \u{6f22}\u{5b57}.PNG", &png(903));
    let set = open_set(&dir);
    assert_eq!(set.classes(), ["a", "b"]);
    let total = |split| set.class_counts(split).iter().sum::<usize>();
    // 5 + 5, one without an extension, one with a name beyond ASCII; 3 broken, 1 outside.
    assert_eq!((total(Split::Train) + total(Split::Val), set.found, set.skipped()), (12, 16, 4));
    let is = |file: &str, what: &str, severity| assert_eq!(issue(&set, file, what).severity, severity, "{file}");
    is("a/zero.jpg", "the file is empty (0 bytes)", Severity::Error);
    is("a/text.jpg", "not a picture, although it is named .jpg", Severity::Error);
    is("a/cut.png", "cannot be decoded", Severity::Error);
    is("b/notes.txt", "not a picture", Severity::Note);
    is("b/phone.heic", "a format that is not read", Severity::Warning);
    is("b/.DS_Store", "hidden file", Severity::Note);
    is("b/Thumbs.db", "hidden file", Severity::Note);
    is(".hidden", "hidden folder", Severity::Note);
    is("empty", "class folder without pictures", Severity::Warning);
    is("stray.png", "outside of any class folder", Severity::Warning);
    assert_eq!(set.issues.len(), 10, "{:#?}", set.issues);
    assert_eq!(set.usable(), Ok(()));
}

#[test]
fn many_files_of_one_kind_become_one_line_with_the_number() {
    let dir = set(&[("a", 3), ("b", 3)]);
    for i in 0..25 {
        write(dir.path(), &format!("a/{i:02}.txt"), b"label");
    }
    let set = open_set(&dir);
    let found = issue(&set, "", "25 .txt files are not pictures");
    assert!(found.what.contains("a/00.txt"), "{}", found.what);
    assert_eq!(set.issues.len(), 1);
}

#[test]
fn equal_files_are_found_across_split_and_class() {
    let dir = set(&[("train/a", 3), ("train/b", 3), ("val/a", 1), ("val/b", 1)]);
    let root = dir.path();
    fs::copy(root.join("train/a/0001.png"), root.join("val/a/leak.png")).unwrap();
    fs::copy(root.join("train/a/0002.png"), root.join("train/b/twice.png")).unwrap();
    fs::copy(root.join("train/b/0000.png"), root.join("train/b/zzz.png")).unwrap();
    let set = open_set(&dir);
    let across = issue(&set, "val/a/leak.png", "which is in train while this is in val");
    assert!(across.severity == Severity::Warning && across.what.contains("0001.png"), "{across}");
    let classes = issue(&set, "train/b/twice.png", "its class is b and that one's a");
    assert!(classes.severity == Severity::Warning && classes.what.contains("0002.png"), "{classes}");
    assert_eq!(issue(&set, "train/b/zzz.png", "the same file as").severity, Severity::Note);
    assert_eq!((set.issues.len(), set.used()), (3, 11));
}

#[test]
fn a_cut_jpeg_is_left_out_and_one_without_its_end_is_used() {
    let dir = set(&[("a", 2), ("b", 2)]);
    let noise =
        image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 37 + y * 101) as u8, (x * y) as u8, (x ^ y) as u8]));
    let mut out = std::io::Cursor::new(Vec::new());
    noise.write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
    let jpeg = out.into_inner();
    write(dir.path(), "a/half.jpg", &jpeg[..jpeg.len() / 2]);
    write(dir.path(), "a/no_end.jpg", &jpeg[..jpeg.len() - 2]);
    write(dir.path(), "a/whole.jpg", &jpeg);
    let set = open_set(&dir);
    assert_eq!(issue(&set, "a/half.jpg", "").severity, Severity::Error);
    assert_eq!(issue(&set, "a/no_end.jpg", "without its end marker").severity, Severity::Warning);
    assert_eq!((set.issues.len(), set.used()), (2, 6), "{:#?}", set.issues);
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end() {
    let dir = set(&[("a", 3), ("b", 3)]);
    std::os::unix::fs::symlink(dir.path(), dir.path().join("a/up")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("b/broken.png")).unwrap();
    let set = open_set(&dir);
    assert_eq!(set.used(), 6);
    issue(&set, "a/up", "a link back");
    issue(&set, "b/broken.png", "cannot be read");
}

#[test]
fn a_folder_around_the_set_is_stepped_into() {
    let dir = set(&[("inner/train/a", 2), ("inner/train/b", 2), ("inner/val/a", 1), ("inner/val/b", 1)]);
    let set = open_set(&dir);
    assert_eq!((set.classes().to_vec(), counts(&set)[1].clone()), (vec!["a".to_owned(), "b".into()], vec![1, 1]));
    issue(&set, "inner", "starts in this folder");
}

#[test]
fn sets_that_cannot_train_say_why() {
    let reasons = |folders: &[(&str, usize)]| open_set(&set(folders)).usable().unwrap_err().join("; ");
    assert_eq!(reasons(&[("cats", 5)]), "there is only one class (cats); a classifier needs at least two");
    let single = reasons(&[("a", 1), ("b", 1)]);
    assert_eq!(single, "no picture is left for validation: every class has fewer than 2 pictures");
    let one = open_set(&set(&[("a", 5), ("b", 1)]));
    issue(&one, "", "class b has only 1 picture");
    assert_eq!(one.usable(), Ok(()));
    let broken = set(&[]);
    write(broken.path(), "a/x.jpg", b"no");
    write(broken.path(), "b/x.jpg", b"nor this");
    assert_eq!(open_set(&broken).usable().unwrap_err(), ["no picture can be used"]);
}

#[test]
fn what_is_no_set_is_refused_with_the_reason() {
    let error = |path: &Path| open(path, &OpenOptions::default(), &Quiet).unwrap_err().to_string();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    assert!(error(&root.join("nothing")).ends_with("nothing does not exist"));
    assert!(error(root).ends_with(" is empty"));
    write(root, "a/readme.txt", b"hi");
    assert!(error(root).ends_with("contains no pictures (1 other files)"), "{}", error(root));
    write(root, "set.zip", b"PK");
    assert!(error(&root.join("set.zip")).contains("it is an archive; unpack it first"));
    let flat = set(&[("train", 3), ("val", 2)]);
    let why = error(flat.path());
    assert!(why.contains("class folders (the folder train has no class folders"), "{why}");
    assert!(why.contains("COCO (no .json file)"), "{why}");
    write(flat.path(), "train/labels.csv", b"path,x1,y1,x2,y2,label\n0001.png,1,2,3,4,cat\n");
    // A table of boxes makes it one; the only box stands out of its 6x5 picture.
    assert_eq!(open(flat.path(), &OpenOptions::default(), &Quiet).unwrap().task, Task::Detect);
}

struct Stop(AtomicUsize);

impl Progress for Stop {
    fn update(&self, done: usize, total: usize, what: &str) {
        assert!(done <= total && what == "checking pictures", "{done} {total} {what}");
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 10
    }
}

#[test]
fn opening_can_be_cancelled() {
    let dir = set(&[("a", 60), ("b", 60)]);
    let stop = Stop(AtomicUsize::new(0));
    assert!(matches!(open(dir.path(), &OpenOptions::default(), &stop), Err(DataError::Cancelled)));
    assert!(stop.0.load(Ordering::Relaxed) < 60);
}

#[test]
fn hymenoptera() {
    let Some(path) = shared("classification/hymenoptera") else { return };
    let set = open(&path, &OpenOptions::default(), &Quiet).unwrap();
    assert_eq!(set.classes(), ["ants", "bees"]);
    // SOURCE.md: train 124 ants (the GIF among them) and 121 bees, val 70 and 83.
    assert_eq!(counts(&set), [vec![124, 121], vec![70, 83], vec![0, 0]]);
    assert_eq!((set.found, set.skipped(), set.suggested_split), (398, 0, false));
    issue(&set, "train/ants/imageNotFound.gif", "first frame");
    issue(&set, "SOURCE.md", "not a picture");
    assert_eq!(set.issues.len(), 2, "{:#?}", set.issues);
    assert_eq!((set.usable(), set.name.as_str()), (Ok(()), "hymenoptera"));
}

#[test]
fn cifar10_in_bare_folders() {
    let Some(path) = shared("classification/cifar10_test1000_jpg") else { return };
    let set = open(&path, &OpenOptions::default(), &Quiet).unwrap();
    assert_eq!(set.classes().first().map(String::as_str), Some("airplane"));
    assert_eq!(counts(&set), [vec![80; 10], vec![20; 10], vec![0; 10]]);
    assert!(set.suggested_split && set.samples.iter().all(|s| s.size_px == [32, 32]));
}
