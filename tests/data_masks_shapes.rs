//! Outlines and run lengths as masks: pycocotools' numbers, COCO and YOLO sets opened for segmentation.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail as tests do"
)]

use frostline::data::{
    Dataset, MaskTarget, OpenOptions, Quiet, Region, Shape, Shapes, Split, Task, load_instances, load_mask, open, pack,
    polygon_runs, runs_of,
};
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::sync::Arc;

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

fn open_as(path: &Path, task: Option<Task>) -> Dataset {
    open(path, &OpenOptions { task, ..OpenOptions::default() }, &Quiet).unwrap()
}

fn says(set: &Dataset, what: &str) -> bool {
    set.issues.iter().any(|issue| issue.what.contains(what))
}

fn floats(value: &Json) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The class-id map of one shape of class 1.
fn drawn(size_px: [u32; 2], region: Region) -> Vec<u8> {
    let shape = Shape { class: 1, region, crowd: false };
    let shapes = Shapes { size_px, background: 0, shapes: vec![shape] };
    load_mask(&MaskTarget::Shapes(Arc::new(shapes))).unwrap().ids
}

#[test]
fn masks_are_those_of_pycocotools() {
    let text = fs::read_to_string("tests/fixtures/ops_coco_mask.json").unwrap();
    let cases: Json = serde_json::from_str(&text).unwrap();
    let (mut runs_seen, mut polygons_seen) = (0, 0);
    for case in cases["cases"].as_array().unwrap() {
        let size = case.get("size_hw").map(|size| [1, 0].map(|i| size[i].as_u64().unwrap() as u32));
        match (case["name"].as_str().unwrap(), size) {
            ("rle", Some(size)) => {
                let rows: String = case["rows"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
                let runs: Vec<u32> = floats(&case["counts"]).iter().map(|n| *n as u32).collect();
                let ids: Vec<u8> = rows.bytes().map(|byte| byte - b'0').collect();
                assert_eq!(drawn(size, Region::Runs(runs.clone())), ids);
                assert_eq!(runs_of(|at| ids[at] == 1, size), runs);
                assert_eq!(pack(&runs), case["compressed"].as_str().unwrap());
                runs_seen += 1;
            }
            ("polygon", Some(size)) => {
                let corners = floats(&case["polygon"]);
                let runs = polygon_runs(&corners, size);
                assert_eq!(pack(&runs), case["compressed"].as_str().unwrap(), "{corners:?}");
                let ids = drawn(size, Region::Polygons(vec![corners]));
                let rows: Vec<f64> =
                    ids.chunks(size[0] as usize).map(|row| row.iter().map(|id| f64::from(*id)).sum()).collect();
                assert_eq!(rows, floats(&case["pixels_per_row"]));
                assert_eq!(rows.iter().sum::<f64>(), case["area"].as_f64().unwrap());
                polygons_seen += 1;
            }
            _ => {}
        }
    }
    assert_eq!((runs_seen, polygons_seen), (3, 3));
}

#[test]
fn odd_polygons_are_those_of_pycocotools() {
    // pycocotools 2.0.11: mask.frPyObjects([corners], 9, 12)[0]["counts"].
    let text = fs::read_to_string("tests/fixtures/coco_polygons.json").unwrap();
    let cases: Json = serde_json::from_str(&text).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert!(cases.len() > 200);
    for case in cases {
        let (corners, size) = (floats(&case["polygon"]), floats(&case["size_wh"]));
        let runs = polygon_runs(&corners, [size[0] as u32, size[1] as u32]);
        assert_eq!(pack(&runs), case["counts"].as_str().unwrap(), "{corners:?} in {size:?}");
    }
}

#[test]
fn smaller_objects_are_in_front_and_crowds_are_no_objects() {
    let square = |class, from: f64, to: f64, crowd| Shape {
        class,
        region: Region::Polygons(vec![vec![from, from, to, from, to, to, from, to]]),
        crowd,
    };
    let shapes = vec![square(2, 2.0, 4.0, false), square(1, 1.0, 5.0, false), square(3, 0.0, 6.0, true)];
    let target = MaskTarget::Shapes(Arc::new(Shapes { size_px: [6, 6], background: 0, shapes }));
    let rows =
        |ids: &[u8]| ids.chunks(6).map(|row| row.iter().map(u8::to_string).collect::<String>()).collect::<Vec<_>>();
    let ids = load_mask(&target).unwrap().ids;
    assert_eq!(rows(&ids), ["333333", "311113", "312213", "312213", "311113", "333333"]);
    let objects = load_instances(&target).unwrap().unwrap().ids;
    let objects: Vec<u8> = objects.into_iter().map(|id| id as u8).collect();
    assert_eq!(rows(&objects), ["000000", "022220", "021120", "021120", "022220", "000000"]);
    let other = load_mask(&target.renumbered(&[5, 0, 255])).unwrap().ids;
    assert_eq!(rows(&other)[2], [255, 0, 255, 255, 0, 255].map(|v: u8| v.to_string()).concat());
}

/// Two pictures of 6x4; the first has a polygon, runs and a box only.
fn coco(root: &Path) {
    write(root, "a.png", &png(6, 4, 1));
    write(root, "b.png", &png(6, 4, 2));
    let json = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 6, "height": 4}, {"id": 2, "file_name": "b.png", "width": 6, "height": 4}],
"categories": [{"id": 3, "name": "zebra"}, {"id": 9, "name": "ant"}],
"annotations": [
{"id": 1, "image_id": 1, "category_id": 9, "bbox": [1, 1, 2, 2], "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]},
{"id": 2, "image_id": 1, "category_id": 3, "bbox": [4, 0, 1, 4], "segmentation": {"size": [4, 6], "counts": [16, 4, 4]}},
{"id": 3, "image_id": 1, "category_id": 3, "bbox": [0, 0, 2, 2]},
{"id": 4, "image_id": 1, "category_id": 3, "bbox": [0, 0, 2, 2], "segmentation": {"size": [6, 4], "counts": [16, 4, 4]}}
]}"#;
    write(root, "set.json", json.as_bytes());
}

#[test]
fn coco_is_boxes_or_masks_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    coco(dir.path());
    let boxes = open_as(dir.path(), None);
    assert_eq!(boxes.task, Task::Detect);
    assert!(boxes.samples.iter().all(|sample| sample.target.mask.is_none()));
    assert!(says(&boxes, "3 objects have outlines too"), "{:#?}", boxes.issues);
    let set = open_as(dir.path(), Some(Task::Segment));
    assert_eq!((set.task, set.classes()), (Task::Segment, &["background", "ant", "zebra"].map(str::to_owned)[..]));
    let a = set.samples.iter().find(|s| s.image.name().ends_with("a.png")).unwrap();
    let ids = load_mask(a.target.mask.as_ref().unwrap()).unwrap().ids;
    assert_eq!(
        ids.chunks(6).collect::<Vec<_>>(),
        // The box without a mask, 0 to 2 both ways and as large as the ant, counts for nothing.
        [[255, 255, 0, 0, 2, 0], [255, 255, 1, 0, 2, 0], [0, 1, 1, 0, 2, 0], [0, 0, 0, 0, 2, 0]]
    );
    assert_eq!((a.target.mask_px.as_slice(), a.target.boxes.is_none()), (&[13, 3, 4][..], true));
    let b = set.samples.iter().find(|s| s.image.name().ends_with("b.png")).unwrap();
    assert_eq!(b.target.mask_px, [24, 0, 0]);
    let line = |what: &str| set.issues.iter().find(|i| i.what.contains(what)).map(|i| i.line);
    assert_eq!(line("an annotation with a box and without a mask"), Some(Some(6)), "{:#?}", set.issues);
    assert_eq!(line("its mask is one of 4x6 pixels, and its picture has 6x4"), Some(Some(7)), "{:#?}", set.issues);
    assert!(says(&set, "the mask shows nothing but background"));
    // The file alone, and a set without outlines.
    let alone = open_as(&dir.path().join("set.json"), Some(Task::Segment));
    assert_eq!(
        alone
            .pixel_counts(Split::Train)
            .iter()
            .zip(alone.pixel_counts(Split::Val))
            .map(|(a, b)| a + b)
            .collect::<Vec<_>>(),
        [37, 3, 4]
    );
    let only = tempfile::tempdir().unwrap();
    coco(only.path());
    let text = fs::read_to_string(only.path().join("set.json")).unwrap().replace("segmentation", "elsewhere");
    write(only.path(), "set.json", text.as_bytes());
    let options = OpenOptions { task: Some(Task::Segment), ..OpenOptions::default() };
    let why = open(only.path(), &options, &Quiet).unwrap_err().to_string();
    assert!(why.contains("has boxes, but no outlines"), "{why}");
}

#[test]
fn yolo_polygons_are_parts_of_the_picture() {
    let dir = tempfile::tempdir().unwrap();
    for (n, part) in [(1, "train"), (2, "val")] {
        write(dir.path(), &format!("images/{part}/a.png"), &png(10, 4, n));
        // x 2..6 of 10 and y 1..3 of 4, then a box.
        write(
            dir.path(),
            &format!("labels/{part}/a.txt"),
            b"1 0.2 0.25 0.6 0.25 0.6 0.75 0.2 0.75\n0 0.5 0.5 0.2 0.2\n",
        );
    }
    write(dir.path(), "data.yaml", b"train: images/train\nval: images/val\nnames: [x, y]\n");
    let set = open_as(dir.path(), Some(Task::Segment));
    assert_eq!(set.classes(), ["background", "x", "y"]);
    let ids = load_mask(set.samples[0].target.mask.as_ref().unwrap()).unwrap().ids;
    let empty = [0; 10];
    let full = [0, 0, 2, 2, 2, 2, 0, 0, 0, 0];
    assert_eq!(ids.chunks(10).collect::<Vec<_>>(), [empty, full, full, empty]);
    assert_eq!(set.pixel_counts(Split::Val), [32, 0, 8]);
    let line = set.issues.iter().find(|i| i.what.contains("a box without an outline")).unwrap().line;
    assert_eq!(line, Some(2));
    assert!(says(&set, "1 of 3 classes have no pixel to train on: x"), "{:#?}", set.issues);
    assert_eq!(open_as(dir.path(), Some(Task::Detect)).task, Task::Detect);
}

/// Every pixel of a real set, as pycocotools draws it.
#[test]
fn tiny_coco_has_the_pixels_of_pycocotools() {
    let path = Path::new("../shared/data/detection_coco/tiny_coco");
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there", path.display());
        return;
    }
    let want: Json =
        serde_json::from_str(&fs::read_to_string("tests/fixtures/tiny_coco_pixels.json").unwrap()).unwrap();
    let set = open_as(path, Some(Task::Segment));
    for (name, split) in [("train", Split::Train), ("val", Split::Val)] {
        let want: Vec<u64> = floats(&want[name]).iter().map(|count| *count as u64).collect();
        assert_eq!(set.pixel_counts(split), want, "{name}");
    }
}
