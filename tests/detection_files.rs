//! Detections as COCO results and YOLO text, read back by other means.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use frostline::train::detection::{Detection, LabelFolder, label_lines, write_coco_results};
use serde_json::{Value as Json, json};
use std::path::Path;

fn said(class: u32, xywh: [f64; 4], score: f64) -> Detection {
    Detection { class, xywh, score }
}

#[test]
fn coco_results_are_read_back_to_the_last_digit() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("results.json");
    let third = f64::from(1.0_f32 / 3.0);
    let first = [said(0, [0.1, 2.5, 30.0, third], 0.875), said(2, [5.0, 6.0, 7.0, 8.0], f64::from(0.87_f32))];
    let second = [said(1, [1.0, 2.0, 3.0, 4.0], 1.0)];
    let pictures = [(139, &first[..]), (7, &[][..]), (4_000_000_000, &second[..])];
    assert_eq!(write_coco_results(&file, pictures, &[1, 18, 90]), Ok(3));
    let text = std::fs::read_to_string(&file).unwrap();
    let read: Json = serde_json::from_str(&text).unwrap();
    let want = json!([
        { "image_id": 139, "category_id": 1, "bbox": [0.1, 2.5, 30.0, third], "score": 0.875 },
        { "image_id": 139, "category_id": 90, "bbox": [5.0, 6.0, 7.0, 8.0], "score": f64::from(0.87_f32) },
        { "image_id": 4_000_000_000_u64, "category_id": 18, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 1.0 },
    ]);
    assert_eq!(read, want);
    assert!(text.contains("0.3333333432674408") && text.contains("0.8700000047683716"), "{text}");
    assert_eq!(text.lines().count(), 5, "a line for each");
    assert_eq!(write_coco_results(&file, [(1, &[][..])], &[]), Ok(0));
    assert_eq!(serde_json::from_str::<Json>(&std::fs::read_to_string(&file).unwrap()).unwrap(), json!([]));
}

#[test]
fn what_cannot_be_written_is_said_and_leaves_the_old_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("results.json");
    let fine = [said(0, [0.0, 0.0, 1.0, 1.0], 0.5)];
    write_coco_results(&file, [(1, &fine[..])], &[1]).unwrap();
    let before = std::fs::read(&file).unwrap();
    let stranger = [fine[0], said(3, [0.0, 0.0, 1.0, 1.0], 0.5)];
    let error = write_coco_results(&file, [(9, &stranger[..])], &[1]).unwrap_err();
    assert_eq!(error, format!("Cannot write {}: class 3 of image 9 has no category id.", file.display()));
    let broken = [said(0, [0.0, f64::NAN, 1.0, 1.0], 0.5)];
    let error = write_coco_results(&file, [(9, &broken[..])], &[1]).unwrap_err();
    assert!(error.ends_with("a detection of image 9 has a number that is not finite."), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "no part is left");
    let error = write_coco_results(&home.path().join("none/results.json"), [(1, &fine[..])], &[1]).unwrap_err();
    assert!(error.starts_with("Cannot write ") && error.contains("none"), "{error}");
}

/// One line of a file in the units of the picture.
fn read(line: &str, width: f64, height: f64) -> Detection {
    let words: Vec<f64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
    let [class, cx, cy, w, h, score] = words.try_into().unwrap();
    said(class as u32, [(cx - w / 2.0) * width, (cy - h / 2.0) * height, w * width, h * height], score)
}

#[test]
fn yolo_lines_by_hand_and_back() {
    let inside = said(3, [160.0, 120.0, 320.0, 60.0], 0.8125);
    assert_eq!(label_lines(&[inside], 640, 480), Ok("3 0.500000 0.312500 0.500000 0.125000 0.812500\n".to_owned()));
    // Cut at the edges: 0..64 of 640 and 468..480 of 480 remain.
    let over = said(0, [-36.0, 468.0, 100.0, 100.0], 0.25);
    let text = label_lines(&[inside, over], 640, 480).unwrap();
    assert_eq!(text.lines().nth(1), Some("0 0.050000 0.987500 0.100000 0.025000 0.250000"));
    let odd = said(11, [17.3, 101.9, 33.7, 250.1], 0.123_456);
    let back = read(label_lines(&[odd], 1333, 800).unwrap().trim_end(), 1333.0, 800.0);
    assert_eq!(back.class, 11);
    assert!((back.score - odd.score).abs() < 1e-6);
    // Half of the last digit of 1333 pixels, in the center and in half of the width.
    assert!(back.xywh.iter().zip(odd.xywh).all(|(have, want)| (have - want).abs() < 1.1e-3), "{back:?}");
    assert!(label_lines(&[odd], 0, 480).unwrap_err().contains("0x480"));
    assert!(label_lines(&[said(0, [f64::INFINITY; 4], 0.5)], 4, 4).unwrap_err().contains("not finite"));
    assert_eq!(label_lines(&[], 4, 4), Ok(String::new()));
}

#[test]
fn each_picture_has_its_text_file() {
    let home = tempfile::tempdir().unwrap();
    let mut folder = LabelFolder::new(&home.path().join("labels"));
    let box_ = [said(0, [0.0, 0.0, 2.0, 2.0], 0.5)];
    let mut write = |name: &str, detections: &[Detection]| {
        let path = folder.write(Path::new(name), detections, 4, 4);
        path.map(|path| path.strip_prefix(home.path()).unwrap().to_string_lossy().replace('\\', "/"))
    };
    assert_eq!(write("val/a.jpg", &box_).unwrap(), "labels/val/a.txt");
    assert_eq!(write("train/a.jpg", &[]).unwrap(), "labels/train/a.txt");
    assert_eq!(write("val/a.png", &box_).unwrap(), "labels/val/a.png.txt");
    assert_eq!(write("b.c.jpg", &box_).unwrap(), "labels/b.c.txt");
    for name in ["../a.jpg", "/etc/a.jpg", "val/../../a.jpg", ""] {
        assert!(write(name, &box_).unwrap_err().ends_with("does not lie in the folder of the pictures."), "{name}");
    }
    let text = |name: &str| std::fs::read_to_string(home.path().join(name)).unwrap();
    assert_eq!(text("labels/val/a.txt"), "0 0.250000 0.250000 0.500000 0.500000 0.500000\n");
    assert_eq!(text("labels/train/a.txt"), "");
}
