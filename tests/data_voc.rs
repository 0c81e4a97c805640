//! Pascal VOC: coordinates, parts of the set, and what is said of each file that does not fit.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do"
)]

use frostline::data::{BoxTarget, Dataset, Issue, OpenOptions, Quiet, Sample, Severity, Split, Task, open};
use std::fs;
use std::path::{Path, PathBuf};

fn png(width: u32, height: u32, n: u8) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([n, x as u8, y as u8]));
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn object(name: &str, [x0, y0, x1, y1]: [&str; 4], difficult: u8) -> String {
    format!(
        "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>\n<xmin>{x0}</xmin><ymin>{y0}</ymin>\
         <xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>\n"
    )
}

fn xml(name: &str, [width, height]: [u32; 2], objects: &str) -> String {
    format!(
        "\u{feff}<?xml version=\"1.0\"?>\n<annotation>\n<filename>{name}</filename><path>C:\\x\\{name}</path>\n\
         <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n{objects}</annotation>\n"
    )
}

fn open_at(path: &Path) -> Dataset {
    open(path, &OpenOptions::default(), &Quiet).unwrap()
}

fn sample<'a>(set: &'a Dataset, name: &str) -> &'a Sample {
    let named = |s: &&Sample| s.image.path().is_some_and(|path| path.file_stem().unwrap() == name);
    set.samples.iter().find(named).unwrap_or_else(|| panic!("{name} is not in the set: {:#?}", set.issues))
}

fn boxes(set: &Dataset, name: &str) -> Vec<BoxTarget> {
    sample(set, name).target.boxes.clone().unwrap()
}

fn issue<'a>(set: &'a Dataset, file: &str, what: &str) -> &'a Issue {
    let found = set.issues.iter().find(|i| i.file.ends_with(file) && i.what.contains(what));
    found.unwrap_or_else(|| panic!("no issue of {file} with '{what}' in {:#?}", set.issues))
}

#[test]
fn a_set_of_every_quirk() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("VOC2007");
    for (n, name) in ["a", "b", "c", "d", "e", "f", "g"].iter().enumerate() {
        write(&root, &format!("JPEGImages/{name}.png"), &png(20, 10, n as u8));
    }
    let objects = [
        object("dog", ["1", "1", "20", "10"], 0),
        object("cat", ["3.5", "2", "7", "9"], 1),
        object("cat", ["504", "337", "504", "337"], 0),
        object("cat", ["15", "5", "30", "8"], 0),
        object("cat", ["25", "5", "30", "8"], 0),
        object("dog", ["7", "9", "3", "2"], 0),
        object("dog", ["1", "1", "20", "10"], 0),
        object("dog", ["x", "1", "20", "10"], 0),
        "<object><name>dog</name></object>\n".to_owned(),
        "<object><bndbox/></object>\n".to_owned(),
    ]
    .concat();
    write(&root, "Annotations/a.xml", xml("a.png", [20, 10], &objects).as_bytes());
    write(&root, "Annotations/b.xml", xml("b.png", [20, 10], &object("cat", ["1", "1", "5", "5"], 0)).as_bytes());
    write(&root, "Annotations/c.xml", xml("c.png", [10, 20], "").as_bytes());
    write(&root, "Annotations/d.xml", b"<annotation>\n<object>\n</annotation>");
    write(&root, "Annotations/f.xml", xml("f.png", [0, 0], &object("dog", ["1", "1", "5", "5"], 0)).as_bytes());
    write(&root, "Annotations/gone.xml", xml("gone.png", [20, 10], "").as_bytes());
    // Of another name than its picture, which it names itself.
    write(&root, "Annotations/0007.xml", xml("g.png", [20, 10], &object("dog", ["1", "1", "5", "5"], 0)).as_bytes());
    write(&root, "Annotations/bomb.xml", b"<!DOCTYPE a [<!ENTITY b \"c\">]>\n<annotation>&b;</annotation>");
    write(&root, "Annotations/other.xml", b"<project/>");
    write(&root, "ImageSets/Main/train.txt", b"a\r\ng\nzz\n");
    write(&root, "ImageSets/Main/val.txt", b"b\nc.png\n");
    write(&root, "ImageSets/Main/trainval.txt", b"a\nb\nc\ng\n");
    write(&root, "ImageSets/Main/test.txt", b"a\ne\n");
    write(&root, "ImageSets/Main/dog_train.txt", b"a 1\nb -1\n");
    let set = open_at(dir.path());
    assert_eq!((set.task, set.classes()), (Task::Detect, &["cat".to_owned(), "dog".to_owned()][..]));
    // 1-based and with its last pixel: 1 is taken from left and top only.
    let one = |class, xyxy| BoxTarget::new(class, xyxy);
    let expected = [
        one(1, [0.0, 0.0, 20.0, 10.0]),
        BoxTarget { difficult: true, ..one(0, [2.5, 1.0, 7.0, 9.0]) },
        one(0, [14.0, 4.0, 20.0, 8.0]),
        one(1, [3.0, 2.0, 6.0, 8.0]),
    ];
    assert_eq!(boxes(&set, "a"), expected);
    assert_eq!(boxes(&set, "g"), [one(1, [0.0, 0.0, 5.0, 5.0])]);
    assert_eq!(boxes(&set, "c"), [], "known to be without objects");
    let parts: Vec<Split> = ["a", "g", "b", "c"].iter().map(|name| sample(&set, name).split).collect();
    assert_eq!(parts, [Split::Test, Split::Train, Split::Val, Split::Val]);
    assert_eq!((set.found, set.used()), (7, 4));
    assert_eq!(set.class_counts(Split::Test), [2, 2]);
    for (file, what, line) in [
        ("a.xml", "has no area (504, 337, 504, 337)", Some(9)),
        ("a.xml", "reaches out of the picture", Some(11)),
        ("a.xml", "lies outside of the picture", Some(13)),
        ("a.xml", "sides exchanged", Some(15)),
        ("a.xml", "a box of dog is the same as the one in line 5; used once", Some(17)),
        ("a.xml", "of dog whose <xmin> is not a number (x)", Some(19)),
        ("a.xml", "of dog without a <bndbox>", Some(21)),
        ("a.xml", "without a name", Some(22)),
        ("c.xml", "as its EXIF data turns it", None),
        ("d.xml", "is not valid XML", Some(3)),
        ("gone.xml", "annotates a picture that is not there", None),
        ("bomb.xml", "is not valid XML", Some(1)),
        ("other.xml", "<project>", None),
        ("JPEGImages/d.png", "has no annotation file", None),
        ("JPEGImages/e.png", "has no annotation file", None),
        ("f.png", "is in no list", None),
        ("train.txt", "a is in the list test.txt too; it counts as test", Some(1)),
        ("train.txt", "zz is listed, but there is no such picture", Some(3)),
        ("test.txt", "e is listed, but its picture has no annotation file", Some(2)),
    ] {
        assert_eq!(issue(&set, file, what).line, line, "{file}: {what}");
    }
    assert!(set.issues.iter().any(|i| i.what.starts_with("1 objects are marked as difficult")));
}

#[test]
fn pictures_and_files_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    for (n, part) in ["train", "valid"].iter().enumerate() {
        for name in ["x", "y"] {
            write(dir.path(), &format!("{part}/{name}.png"), &png(20, 10, n as u8));
            let objects = object("dog", ["2", "2", "5", &(n + 6).to_string()], 0);
            write(dir.path(), &format!("{part}/{name}.xml"), xml("wrong.jpg", [20, 10], &objects).as_bytes());
        }
    }
    let set = open_at(dir.path());
    assert_eq!((set.indices(Split::Train).len(), set.indices(Split::Val).len()), (2, 2));
    for sample in &set.samples {
        let bottom = if sample.split == Split::Train { 6.0 } else { 7.0 };
        assert_eq!(sample.target.boxes.as_ref().unwrap()[0].xyxy, [1.0, 1.0, 5.0, bottom]);
    }
    set.usable().unwrap();
    // trainval and test only: val is drawn from trainval.
    let dir = tempfile::tempdir().unwrap();
    for n in 0..12 {
        write(dir.path(), &format!("JPEGImages/{n}.png"), &png(20, 10, n));
        let objects = object("dog", ["2", "2", "5", "6"], 0);
        write(dir.path(), &format!("Annotations/{n}.xml"), xml("wrong.jpg", [20, 10], &objects).as_bytes());
    }
    write(dir.path(), "ImageSets/Main/trainval.txt", b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    write(dir.path(), "ImageSets/Main/test.txt", b"10\n11\n");
    let set = open_at(dir.path());
    let counts = [Split::Train, Split::Val, Split::Test].map(|split| set.indices(split).len());
    assert_eq!((counts, set.suggested_split), ([8, 2, 2], true));
    // Nothing to find in any picture: no set to train on.
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.png", &png(20, 10, 0));
    write(dir.path(), "a.xml", xml("a.png", [20, 10], "").as_bytes());
    assert!(open_at(dir.path()).usable().unwrap_err().contains(&"no picture to train on has an object".to_owned()));
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent", path.display());
    }
    path.exists().then_some(path)
}

#[test]
fn blood_cells() {
    let Some(path) = shared("detection_voc/bccd") else { return };
    let set = open_at(&path);
    let counts = [Split::Train, Split::Val, Split::Test].map(|split| set.indices(split).len());
    assert_eq!((counts, set.found), ([205, 87, 72], 364));
    assert_eq!(set.classes(), ["Platelets", "RBC", "WBC"]);
    let all = [Split::Train, Split::Val, Split::Test].map(|split| set.class_counts(split));
    let total: Vec<usize> = (0..3).map(|class| all.iter().map(|counts| counts[class]).sum()).collect();
    // 361, 4155 and 372 in the files, of which two have no area.
    assert_eq!(total, [361, 4153, 372]);
    for (file, what) in
        [("BloodImage_00338.xml", "(504, 337, 504, 337)"), ("BloodImage_00343.xml", "(181, 329, 181, 329)")]
    {
        assert!(issue(&set, file, what).line.is_some());
    }
    assert!(set.issues.iter().all(|issue| issue.severity < Severity::Error));
    // Besides: seven boxes that are nearly there twice, paths of another machine, where counting starts, two other files.
    assert_eq!(set.issues.len(), 2 + 7 + 2 + 2, "{:#?}", set.issues);
    set.usable().unwrap();
}
