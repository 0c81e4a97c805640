//! COCO JSON: ids, places of pictures, masks, crowds, and what is said of each entry that does not fit.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use common::sets::{open_at, sample, write};
use frostline::data::{BoxTarget, Dataset, Issue, OpenOptions, Quiet, Severity, Split, Task, open};
use std::path::PathBuf;

fn png(width: u32, height: u32, n: u8) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([n, x as u8, y as u8]));
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

fn boxes(set: &Dataset, end: &str) -> Vec<BoxTarget> {
    sample(set, end).target.boxes.clone().unwrap()
}

fn issue<'a>(set: &'a Dataset, line: Option<usize>, what: &str) -> &'a Issue {
    let found = set.issues.iter().find(|i| i.line == line && i.what.contains(what));
    found.unwrap_or_else(|| panic!("no issue of line {line:?} with '{what}' in {:#?}", set.issues))
}

/// One entry a line: images from line 2, categories from `images + 3`, annotations after them.
fn json(images: &[&str], categories: &[&str], annotations: &[&str]) -> String {
    let list = |all: &[&str]| all.join(",\n");
    format!(
        "{{\"images\": [\n{}],\"categories\": [\n{}],\"annotations\": [\n{}]}}",
        list(images),
        list(categories),
        list(annotations)
    )
}

const CATEGORIES: [&str; 3] = [
    r#"{"id": 3, "name": "zebra"}"#,
    r#"{"id": 90, "name": "ant"}"#,
    r#"{"id": 7, "name": "bee", "supercategory": "x"}"#,
];

#[test]
fn a_file_of_every_quirk() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    for (n, name) in ["a", "sub/b", "c", "d", "extra"].iter().enumerate() {
        write(&root, &format!("images/{name}.png"), &png(20, 10, n as u8));
    }
    write(dir.path(), "secret.png", &png(20, 10, 99));
    let images = [
        r#"{"id": 11, "file_name": "a.png", "width": 20, "height": 10}"#,
        r#"{"id": 12, "file_name": "sub/b.png", "width": 20, "height": 10}"#,
        r#"{"id": 13, "file_name": "C:\\data\\other\\images\\c.png", "width": 10, "height": 20}"#,
        r#"{"id": 14, "file_name": "../../secret.png", "width": 20, "height": 10}"#,
        r#"{"id": 15, "file_name": "gone.png", "width": 20, "height": 10}"#,
        r#"{"id": 16, "width": 20}"#,
        r#"{"id": 11, "file_name": "d.png", "width": 20, "height": 10}"#,
        r#"{"id": 18, "file_name": "a.png", "width": 20, "height": 10}"#,
    ];
    let annotations = [
        r#"{"id": 1, "image_id": 11, "category_id": 90, "bbox": [1, 2, 3.5, 4], "area": 7.25, "iscrowd": 0, "segmentation": [[1,2,4,2,4,6]]}"#,
        r#"{"id": 2, "image_id": 11, "category_id": 3, "bbox": [0, 0, 20, 10], "iscrowd": 1, "segmentation": {"size": [10, 20], "counts": [0, 200]}}"#,
        r#"{"id": 3, "image_id": 12, "category_id": 7, "bbox": [5, 5, 0, 4]}"#,
        r#"{"id": 4, "image_id": 12, "category_id": 7, "bbox": [15, 5, 10, 4]}"#,
        r#"{"id": 5, "image_id": 77, "category_id": 7, "bbox": [1, 1, 1, 1]}"#,
        r#"{"id": 6, "image_id": 12, "category_id": 8, "bbox": [1, 1, 1, 1]}"#,
        r#"{"id": 7, "image_id": 12, "category_id": 7, "bbox": [1, 1, 1]}"#,
        r#"{"id": 8, "image_id": 12, "category_id": 7, "segmentation": [[1,1,4,1,4,3]]}"#,
        r#"{"id": 9, "image_id": 12, "category_id": 7, "bbox": [9, 1, 2, 2], "segmentation": {"size": [10, 20], "counts": "~"}}"#,
        r#"{"id": 10, "image_id": 14, "category_id": 7, "bbox": [9, 1, 2, 2]}"#,
    ];
    let file = "annotations/all.json";
    write(&root, file, json(&images, &CATEGORIES, &annotations).as_bytes());
    let one = |class, xyxy, crowd| BoxTarget { crowd, ..BoxTarget::new(class, xyxy) };
    let whole = open_at(&root);
    let alone = open_at(&root.join(file));
    for set in [&whole, &alone] {
        assert_eq!(set.task, Task::Detect);
        assert_eq!(set.classes(), ["ant", "bee", "zebra"]);
        assert_eq!(set.category_ids, [90, 7, 3]);
        let with_area = BoxTarget { area_px: Some(7.25), ..one(0, [1.0, 2.0, 4.5, 6.0], false) };
        assert_eq!(boxes(set, "a.png"), [with_area, one(2, [0.0, 0.0, 20.0, 10.0], true)]);
        assert_eq!(
            boxes(set, "sub/b.png"),
            [
                one(1, [15.0, 5.0, 20.0, 9.0], false),
                one(1, [1.0, 1.0, 4.0, 3.0], false),
                one(1, [9.0, 1.0, 11.0, 3.0], false),
            ]
        );
        assert_eq!(boxes(set, "c.png"), [], "listed and without annotations: known to be without objects");
        let names: Vec<String> = set.samples.iter().map(|s| s.image.name()).collect();
        assert!(names.iter().all(|name| !name.contains("secret") && !name.contains("extra")), "{names:?}");
        for (line, what) in [
            (4, "c.png has 20x10 pixels, and not 10x20 as its EXIF data turns it"),
            (5, "../../secret.png lies outside of the set's folder; refused"),
            (6, "gone.png does not exist"),
            (7, "this image cannot be used: it has no file_name"),
            (8, "two images have the id 11"),
            (9, "is listed again"),
            (14, "a crowd"),
            (15, "a box of bee in b.png has no area"),
            (16, "reaches out of the picture"),
            (17, "an annotation of the image 77, which is not listed"),
            (18, "an annotation of the category 8, which is not listed"),
            (19, "its bbox is [1,1,1] and not four numbers"),
            (21, "its mask cannot be read: the character '~' in it; only the box is used"),
        ] {
            assert!(issue(set, Some(line), what).file.ends_with(file));
        }
    }
    let unnamed = |i: &&Issue| i.what.contains("not named by the annotations");
    let unnamed: Vec<_> = whole.issues.iter().filter(unnamed).filter_map(|i| i.file.file_name()).collect();
    assert_eq!(unnamed, ["d.png", "extra.png"]);
    assert!(alone.issues.iter().all(|i| !i.file.ends_with("extra.png")), "the rest of the folder was not asked for");
}

#[test]
fn files_of_parts_are_one_set() {
    let dir = tempfile::tempdir().unwrap();
    // The same names in both parts, as in sets of frames; ids of categories differ, names count.
    for (n, part) in ["train", "val"].iter().enumerate() {
        for i in 0..2u8 {
            write(dir.path(), &format!("{part}2017/{i}.png"), &png(20, 10, 10 * n as u8 + i));
        }
        let id = 5 + n;
        let images =
            [0, 1].map(|i| format!("{{\"id\": \"{i}\", \"file_name\": \"{i}.png\", \"width\": 20, \"height\": 10}}"));
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        let annotation = format!("{{\"image_id\": \"0\", \"category_id\": {id}, \"bbox\": [1, 1, 2, {}]}}", n + 3);
        let category = format!("{{\"id\": {id}, \"name\": \"thing\"}}");
        let text = json(&images, &[&category], &[&annotation]);
        write(dir.path(), &format!("annotations/instances_{part}2017.json"), text.as_bytes());
        write(dir.path(), &format!("annotations/captions_{part}2017.json"), b"{\"images\": [], \"annotations\": []}");
    }
    let set = open_at(dir.path());
    assert_eq!((set.indices(Split::Train).len(), set.indices(Split::Val).len()), (2, 2));
    assert_eq!(set.classes(), ["thing"]);
    assert_eq!(boxes(&set, "train2017/0.png")[0].xyxy, [1.0, 1.0, 3.0, 4.0]);
    assert_eq!(boxes(&set, "val2017/0.png")[0].xyxy, [1.0, 1.0, 3.0, 5.0]);
    assert_eq!(boxes(&set, "val2017/1.png"), []);
    assert!(issue(&set, None, "another file of annotations").file.ends_with("captions_train2017.json"));
    set.usable().unwrap();
    // A broken file is one sentence, whether it is opened itself or in its folder.
    write(dir.path(), "annotations/instances_val2017.json", b"{\"images\": [], \"annotations\": [\n\n{]}");
    let path = dir.path().join("annotations/instances_val2017.json");
    let error = open(&path, &OpenOptions::default(), &Quiet).unwrap_err().to_string();
    assert!(error.contains("instances_val2017.json") && error.contains("line 3"), "{error}");
    let set = open_at(dir.path());
    assert!(issue(&set, None, "line 3").file.ends_with("instances_val2017.json"));
    assert_eq!(set.used(), 2);
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent", path.display());
    }
    path.exists().then_some(path)
}

#[test]
fn tiny_coco() {
    let Some(path) = shared("detection_coco/tiny_coco") else { return };
    let set = open_at(&path);
    assert_eq!((set.indices(Split::Train).len(), set.indices(Split::Val).len(), set.found), (50, 50, 100));
    assert_eq!((set.classes().len(), set.category_ids.len()), (80, 80));
    let person = set.classes().iter().position(|name| name == "person").unwrap();
    assert_eq!(set.category_ids[person], 1);
    let counts = [Split::Train, Split::Val].map(|split| set.class_counts(split).iter().sum::<usize>());
    assert_eq!(counts, [470, 382]);
    let used = [Split::Train, Split::Val].map(|split| set.class_counts(split).iter().filter(|n| **n > 0).count());
    assert_eq!(used, [49, 48]);
    let crowds = set.samples.iter().flat_map(|s| s.target.boxes.iter().flatten()).filter(|b| b.crowd).count();
    assert_eq!(crowds, 10);
    for name in ["000000262284.jpg", "000000058636.jpg", "000000226111.jpg"] {
        assert_eq!(boxes(&set, name), []);
        assert!(set.issues.iter().any(|i| i.file.ends_with(name)), "{name}");
    }
    assert!(set.issues.iter().all(|issue| issue.severity < Severity::Error), "{:#?}", set.issues);
    let val = open_at(&path.join("annotations/instances_val2017.json"));
    assert_eq!(val.used(), 50);
    assert!(val.samples.iter().all(|s| s.image.name().contains("val2017")));
}
