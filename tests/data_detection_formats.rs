//! Sets of boxes that the tests write themselves: every form, every mistake, by file and line.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use frostline::data::{Dataset, OpenOptions, Quiet, Severity, Split, Task, open};
use tempfile::TempDir;

/// A folder with these files; pictures are 40 x 30 pixels, each another one.
fn folder(pictures: &[&str], texts: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (n, path) in pictures.iter().enumerate() {
        let picture = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([n as u8 * 7, x as u8, y as u8]));
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    }
    for (path, text) in texts {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn opened(path: &Path) -> Dataset {
    open(path, &OpenOptions::default(), &Quiet).unwrap()
}

fn told(set: &Dataset, severity: Severity, file: &str, line: Option<usize>, what: &str) {
    let fits = |issue: &&frostline::data::Issue| {
        issue.severity == severity && issue.file.ends_with(file) && issue.line == line && issue.what.contains(what)
    };
    assert!(set.issues.iter().any(|issue| fits(&issue)), "{file}:{line:?} {what}: {:#?}", set.issues);
}

/// Boxes by file name: class name, corners, crowd.
fn boxes<'a>(set: &'a Dataset, name: &str) -> Vec<(&'a str, [f32; 4], bool)> {
    let sample = set.samples.iter().find(|sample| sample.image.name().ends_with(name));
    let sample = sample.unwrap_or_else(|| panic!("{name}: {:#?}", set.issues));
    let boxes = sample.target.boxes.as_ref().unwrap();
    boxes.iter().map(|one| (set.classes()[one.class as usize].as_str(), one.xyxy, one.crowd)).collect()
}

fn split(set: &Dataset, name: &str) -> Split {
    set.samples.iter().find(|sample| sample.image.name().ends_with(name)).unwrap().split
}

const COCO: &str = r#"{"categories": [{"id": 7, "name": "zebra"}, {"id": 3, "name": "ant"}],
"images": [
{"id": 10, "file_name": "a.png", "width": 40, "height": 30},
{"id": 11, "file_name": "sub/b.png", "width": 400, "height": 300},
{"id": "12", "file_name": "../../secret.png", "width": 40, "height": 30},
{"id": 13, "file_name": "gone.png", "width": 40, "height": 30},
{"id": 14, "file_name": "/home/ada/x/c.png", "width": 30, "height": 40},
{"id": 15}
],
"annotations": [
{"id": 1, "image_id": 10, "category_id": 7, "bbox": [1, 2, 10, 20], "iscrowd": 0, "segmentation": [[1,2,11,2,11,22]]},
{"id": 2, "image_id": 10, "category_id": 3, "bbox": [30, 20, 20, 20], "iscrowd": 0},
{"id": 3, "image_id": 10, "category_id": 3, "bbox": [1, 2, 10, 0]},
{"id": 4, "image_id": 10, "category_id": 3, "bbox": [50, 2, 10, 10]},
{"id": 5, "image_id": 10, "category_id": 7, "bbox": [1, 2, 10, 20]},
{"id": 6, "image_id": 99, "category_id": 7, "bbox": [1, 2, 10, 20]},
{"id": 7, "image_id": 10, "category_id": 99, "bbox": [1, 2, 10, 20]},
{"id": 8, "image_id": 10, "category_id": 7, "bbox": [1, 2, 10]},
{"id": 9, "image_id": 13, "category_id": 7, "bbox": [1, 2, 10, 20]},
{"id": 10, "image_id": 11, "category_id": 3, "bbox": [2, 2, 20, 20], "iscrowd": 1,
 "segmentation": {"size": [30, 40], "counts": [5]}}
]}"#;

#[test]
fn coco_with_every_mistake() {
    let dir = folder(&["x/a.png", "x/sub/b.png", "x/c.png", "x/d.png"], &[("x/labels.json", COCO)]);
    fs::write(dir.path().join("secret.png"), b"").unwrap();
    for path in [dir.path().join("x"), dir.path().join("x/labels.json")] {
        let set = opened(&path);
        assert_eq!((set.task, set.classes()), (Task::Detect, &["ant".to_owned(), "zebra".into()][..]));
        assert_eq!((set.category_ids.as_slice(), set.used()), (&[3, 7][..], 3));
        assert_eq!(
            boxes(&set, "a.png"),
            [("zebra", [1.0, 2.0, 11.0, 22.0], false), ("ant", [30.0, 20.0, 40.0, 30.0], false)]
        );
        assert_eq!(boxes(&set, "b.png"), [("ant", [2.0, 2.0, 22.0, 22.0], true)]);
        assert_eq!(boxes(&set, "c.png"), []);
        let file = "labels.json";
        told(&set, Severity::Warning, file, Some(4), "has 40x30 pixels, and not 400x300");
        told(&set, Severity::Error, file, Some(5), "lies outside of the set's folder; refused");
        told(&set, Severity::Error, file, Some(6), "gone.png does not exist");
        told(&set, Severity::Warning, file, Some(7), "as its EXIF data turns it");
        told(&set, Severity::Error, file, Some(8), "it has no file_name");
        told(&set, Severity::Warning, file, Some(12), "reaches out of the picture");
        told(&set, Severity::Warning, file, Some(13), "has no area");
        told(&set, Severity::Warning, file, Some(14), "lies outside of the picture");
        told(&set, Severity::Note, file, Some(15), "is the same as the one in line 11; used once");
        told(&set, Severity::Warning, file, Some(16), "the image 99, which is not listed");
        told(&set, Severity::Error, file, Some(17), "the category 99, which is not listed");
        told(&set, Severity::Error, file, Some(18), "not four numbers");
        told(&set, Severity::Note, file, Some(20), "a crowd");
        told(&set, Severity::Warning, file, Some(20), "5 pixels in its runs where 30x40 are 1200");
        told(&set, Severity::Note, "c.png", None, "counts as background");
        if path.is_dir() {
            told(&set, Severity::Warning, "d.png", None, "is not named by the annotations");
        }
    }
    let broken = folder(&["a.png"], &[("b.json", &COCO[..COCO.len() - 4])]);
    let why = open(broken.path(), &OpenOptions::default(), &Quiet).unwrap_err().to_string();
    assert!(why.contains("b.json") && why.contains("line 21"), "{why}");
}

#[test]
fn coco_parts_with_the_same_file_names() {
    let json = |name: &str, x: u32| {
        format!(
            r#"{{"images":[{{"id":1,"file_name":"0.png","width":40,"height":30}}],"categories":[{{"id":1,"name":"{name}"}}],
            "annotations":[{{"image_id":1,"category_id":1,"bbox":[{x},2,10,10]}}]}}"#
        )
    };
    let (train, valid) = (json("cat", 1), json("cat", 2));
    let roboflow = [("train/_annotations.coco.json", train.as_str()), ("valid/_annotations.coco.json", &valid)];
    let set = opened(folder(&["train/0.png", "valid/0.png"], &roboflow).path());
    assert_eq!((split(&set, "train/0.png"), split(&set, "valid/0.png")), (Split::Train, Split::Val));
    assert_eq!(boxes(&set, "valid/0.png"), [("cat", [2.0, 2.0, 12.0, 12.0], false)]);
    let usual =
        [("annotations/instances_train2017.json", train.as_str()), ("annotations/instances_val2017.json", &valid)];
    let set = opened(folder(&["train2017/0.png", "val2017/0.png"], &usual).path());
    assert_eq!((split(&set, "train2017/0.png"), split(&set, "val2017/0.png")), (Split::Train, Split::Val));
    assert_eq!(boxes(&set, "train2017/0.png"), [("cat", [1.0, 2.0, 11.0, 12.0], false)]);
}

#[test]
fn yolo_in_all_its_layouts() {
    let label = "0 0.5 0.5 0.5 0.5\n";
    let middle = [10.0, 7.5, 30.0, 22.5];
    for (yaml, root) in [
        ("path: .\ntrain: images/train\nval: images/val\nnames: [b, a]\n", ""),
        ("path: ../datasets/other\ntrain: images/train\nval: ./images/val/\nnc: 2\nnames:\n- b\n- a\n", ""),
        ("train: ../images/train\nval: ../images/val\nnames:\n  0: b\n  5: a\n", ""),
        ("path: /home/ada/set\ntrain: /home/ada/set/images/train\nval: [images/val]\nnames: {0: b, 1: a}\n", ""),
        ("path: set\ntrain: images/train\nval: images/val\nnames: ['b', \"a\"]\n", "set/"),
        ("train: train.txt\nval: val.txt\nnames: ['b', \"a\"]\n", ""),
    ] {
        let at = |path: &str| format!("{root}{path}");
        let (train, val) = (at("images/train/0.png"), at("images/val/1.png"));
        let texts = [
            (at("labels/train/0.txt"), label.to_owned()),
            (at("labels/val/1.txt"), label.to_owned()),
            ("data.yaml".to_owned(), yaml.to_owned()),
            ("train.txt".to_owned(), "./images/train/0.png\n".to_owned()),
            ("val.txt".to_owned(), "/home/ada/set/images/val/1.png\r\nimages/val/9.png\n".to_owned()),
        ];
        let texts: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let set = opened(folder(&[&train, &val], &texts).path());
        assert_eq!(set.classes(), ["a", "b"], "{yaml}");
        assert_eq!(set.category_ids[1], 0, "{yaml}");
        assert_eq!((split(&set, "0.png"), split(&set, "1.png")), (Split::Train, Split::Val), "{yaml}");
        assert_eq!(boxes(&set, "0.png"), [("b", middle, false)], "{yaml}");
        assert_eq!(set.usable(), Ok(()));
        if yaml.contains("txt") {
            told(&set, Severity::Error, "val.txt", Some(2), "images/val/9.png does not exist");
        }
    }
    let labels = [("train/labels/0.txt", label), ("valid/labels/1.txt", label), ("classes.txt", "x\ny\n")];
    let set = opened(folder(&["train/images/0.png", "valid/images/1.png"], &labels).path());
    assert_eq!((set.classes(), split(&set, "1.png")), (&["x".to_owned(), "y".into()][..], Split::Val));
    assert_eq!(boxes(&set, "0.png"), [("x", middle, false)]);
}

#[test]
fn yolo_with_every_mistake() {
    let lines = "\u{FEFF}0 0.5 0.5 0.5 0.5\r\n\r\n1\t0.5\t0.5\t0.1\t0.1\r\n0 0.5 0.5 0.5 0.5 0.9\n7 0.5 0.5 0.5 0.5\n\
        0 0,5 0,5 0,5 0,5\n0 0.1 0.1 0.2 0.1 0.2 0.3\n0 320 240 20 20\n0 0.5 0.5 0 0.5\n0 1 1 0.5 0.5\n0 0.5\n";
    let texts = [
        ("data.yaml", "train: images/train\nval: images/val\ntest: images/test\nnc: 3 # wrong\nnames: [a, b]\n"),
        ("labels/train/0.txt", lines),
        ("labels/train/9.txt", "0 0.5 0.5 0.5 0.5\n"),
        ("labels/val/1.txt", ""),
    ];
    let set = opened(folder(&["images/train/0.png", "images/train/2.png", "images/val/1.png"], &texts).path());
    let file = "0.txt";
    told(&set, Severity::Warning, "data.yaml", Some(4), "nc is 3, but there are 2 names");
    told(&set, Severity::Error, "data.yaml", Some(3), "images/test does not exist");
    told(&set, Severity::Error, file, Some(4), "a prediction with its confidence");
    told(&set, Severity::Error, file, Some(5), "class 7 has no name");
    told(&set, Severity::Warning, file, Some(6), "decimal points");
    told(&set, Severity::Note, file, Some(6), "is the same as the one in line 1; used once");
    told(&set, Severity::Error, file, Some(8), "pixels are not read");
    told(&set, Severity::Warning, file, Some(9), "has no area");
    told(&set, Severity::Warning, file, Some(10), "cut off");
    told(&set, Severity::Error, file, Some(11), "2 values");
    told(&set, Severity::Warning, "9.txt", None, "a picture that is not there");
    told(&set, Severity::Note, "2.png", None, "counts as background");
    let all = boxes(&set, "0.png");
    assert_eq!(all.iter().map(|one| one.0).collect::<Vec<_>>(), ["a", "b", "a", "a"]);
    assert_eq!(all[3].1, [30.0, 22.5, 40.0, 30.0]);
    assert!(boxes(&set, "1.png").is_empty() && boxes(&set, "2.png").is_empty());
    // A description that leads out of the folder.
    let out = [("x/data.yaml", "train: ../other\nval: images\nnames: [a]\n"), ("x/labels/1.txt", "0 .5 .5 .5 .5\n")];
    let dir = folder(&["other/0.png", "x/images/1.png"], &out);
    let set = opened(&dir.path().join("x"));
    told(&set, Severity::Error, "data.yaml", Some(1), "lies outside of the set's folder");
    assert_eq!(set.used(), 1);
}

fn voc(filename: &str, size: [u32; 2], objects: &str) -> String {
    let [width, height] = size;
    format!(
        "<annotation>\n<filename>{filename}</filename><path>C:\\ada\\{filename}</path>\n<size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n{objects}\n</annotation>\n"
    )
}

fn object(name: &str, [left, top, right, bottom]: [f32; 4]) -> String {
    format!(
        "<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>\n"
    )
}

#[test]
fn voc_counted_from_0() {
    // A file by itself, from 0, with no lists.
    let zero = voc("0.png", [40, 30], &object("cat", [0.0, 2.0, 11.0, 12.0]));
    let dir = folder(&["0.png"], &[("0.xml", zero.as_str())]);
    let set = opened(&dir.path().join("0.xml"));
    assert_eq!(boxes(&set, "0.png"), [("cat", [0.0, 2.0, 11.0, 12.0], false)]);
}

#[test]
fn csv_with_boxes() {
    let header = "filename,width,height,class,xmin,ymin,xmax,ymax\n0.png,40,30,cat,1,2,11,12\n0.png,40,30,dog,3,2,41,12\n1.png,50,30,cat,1,2,1,12\n2.png,40,30,,,,,\n9.png,40,30,cat,1,2,3,4\n0.png,40,30,cat,x,2,3,4\n";
    let dir = folder(&["0.png", "1.png", "2.png", "3.png"], &[("boxes.csv", header)]);
    for path in [dir.path().to_owned(), dir.path().join("boxes.csv")] {
        let set = opened(&path);
        assert_eq!((set.task, set.classes()), (Task::Detect, &["cat".to_owned(), "dog".into()][..]));
        let both = [("cat", [1.0, 2.0, 11.0, 12.0], false), ("dog", [3.0, 2.0, 40.0, 12.0], false)];
        assert_eq!(boxes(&set, "0.png"), both);
        assert!(boxes(&set, "2.png").is_empty());
        told(&set, Severity::Warning, "boxes.csv", Some(4), "has no area");
        told(&set, Severity::Warning, "boxes.csv", Some(4), "and not 50x30");
        told(&set, Severity::Error, "boxes.csv", Some(6), "9.png does not exist");
        told(&set, Severity::Error, "boxes.csv", Some(7), "\"x\" is no number");
    }
    let retina = "x/0.png,1,2,11,12,cat\nx/1.png,,,,,\nx/2.png,1,1,5,5,dog\n";
    let set = opened(folder(&["x/0.png", "x/1.png", "x/2.png"], &[("annotations.csv", retina)]).path());
    assert_eq!(boxes(&set, "0.png"), [("cat", [1.0, 2.0, 11.0, 12.0], false)]);
    assert!(boxes(&set, "1.png").is_empty());
    let wheat = "image_id,bbox\n0,\"[1.0, 2, 10, 10]\"\n1,\"[1, 2, 10, 10]\"\n";
    let set = opened(folder(&["train/0.png", "train/1.png"], &[("train.csv", wheat)]).path());
    assert_eq!(boxes(&set, "0.png"), [("object", [1.0, 2.0, 11.0, 12.0], false)]);
    let (train, val) = ("path,x1,y1,x2,y2,label\n0.png,1,2,3,4,b\n", "path,x1,y1,x2,y2,label\n1.png,1,2,3,4,a\n");
    let set = opened(folder(&["0.png", "1.png"], &[("train.csv", train), ("val.csv", val)]).path());
    assert_eq!((split(&set, "0.png"), split(&set, "1.png")), (Split::Train, Split::Val));
    assert_eq!(set.classes(), ["a", "b"]);
}
