//! Masks as files: indexed PNG that reads back as class ids, colors over the picture, COCO's run lengths; the command line end
//! to end on a folder of pictures and masks.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use frostline::data::{MaskTarget, OpenOptions, Quiet, Rgb8, Task, load_mask, open};
use frostline::graph::HeadKind;
use frostline::rng::Rng;
use frostline::train::segmentation::{Mask, MaskFolder, lay_over, write_mask};
use frostline::train::{Answer, HeadPrediction, Prediction};
use serde_json::Value as Json;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

fn names() -> Arc<Vec<String>> {
    Arc::new(["background", "cell", "edge"].map(str::to_owned).to_vec())
}

fn prediction(image: &Path, mask: Mask) -> Prediction {
    let size_px = mask.size_px;
    let heads = vec![HeadPrediction {
        head: "mask".to_owned(),
        kind: HeadKind::PixelClassify { classes: 3 },
        answer: Answer::Mask(Arc::new(mask)),
    }];
    Prediction { image: image.display().to_string(), size_px, heads, error: None }
}

#[test]
fn a_mask_file_is_read_as_the_ids_that_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(2);
    for (width, height) in [(1, 1), (37, 11), (300, 200)] {
        let ids: Vec<u8> = (0..width * height).map(|_| [0, 1, 2, 254, 255][rng.below(5)]).collect();
        let path = dir.path().join(format!("{width}.png"));
        write_mask(&Mask::new(&ids, [width, height], names()), &path).unwrap();
        let read = load_mask(&MaskTarget::File(path.clone())).unwrap();
        assert_eq!((read.width, read.height, read.ids), (width, height, ids));
        // To a program that knows no indices it is a picture in Pascal VOC's colors.
        assert_eq!(image::open(&path).unwrap().width(), width);
    }
    let refused = write_mask(&Mask::new(&[0], [1, 1], names()), &dir.path().join("no/where.png")).unwrap_err();
    assert!(refused.contains("where.png"), "{refused}");
}

#[test]
fn colors_lie_inside_and_outlines_around() {
    let mut ids = vec![0_u8; 49];
    for y in 2..6 {
        ids[y * 7 + 1..y * 7 + 6].fill(2);
    }
    ids[6] = 255;
    let mut picture = Rgb8::filled(7, 7, 100);
    lay_over(&mut picture, &Mask::new(&ids, [7, 7], names()));
    let pixel = |x: usize, y: usize| <[u8; 3]>::try_from(&picture.pixels[(y * 7 + x) * 3..][..3]).unwrap();
    // Class 2 is red: pure on the outline, 55 parts of the picture and 45 of it inside.
    assert_eq!((pixel(1, 2), pixel(5, 5), pixel(3, 2)), ([255, 0, 0], [255, 0, 0], [255, 0, 0]));
    assert_eq!(pixel(3, 3), [170, 55, 55]);
    assert_eq!((pixel(0, 0), pixel(6, 0), pixel(6, 3)), ([100; 3], [100; 3], [100; 3]));
}

#[test]
fn regions_are_read_by_a_coco_reader_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut masks = Vec::new();
    let mut folder = MaskFolder::new(&dir.path().join("out")).unwrap();
    for (at, sub) in ["a", "b"].into_iter().enumerate() {
        std::fs::create_dir_all(dir.path().join(sub)).unwrap();
        let path = dir.path().join(sub).join("cells.png");
        image::RgbImage::new(12, 9).save(&path).unwrap();
        let mut ids = vec![0_u8; 108];
        for y in 2..5 {
            ids[y * 12 + 3 + at..y * 12 + 8].fill(1);
        }
        ids[100] = 2;
        ids[107] = 255;
        masks.push(ids.clone());
        let saved = folder.write(&prediction(&path, Mask::new(&ids, [12, 9], names()))).unwrap().unwrap();
        // Given twice, it is written once.
        let again = folder.write(&prediction(&path, Mask::new(&ids, [12, 9], names()))).unwrap().unwrap();
        assert_eq!(again, saved);
        // Two pictures of one name keep apart.
        assert_eq!(load_mask(&MaskTarget::File(saved.mask)).unwrap().ids, ids);
        assert_eq!(image::open(saved.overlay).unwrap().height(), 9);
    }
    let path = folder.finish().unwrap();
    let set: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let names: Vec<&str> =
        set["categories"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!((names, set["annotations"].as_array().unwrap().len()), (vec!["cell", "edge"], 4));
    assert_eq!(set["images"].as_array().unwrap().len(), 2);
    let first = &set["annotations"][0];
    assert_eq!((&first["bbox"], &first["area"]), (&serde_json::json!([3, 2, 5, 3]), &Json::from(15)));
    assert_eq!(first["segmentation"]["size"], serde_json::json!([9, 12]));
    let options = OpenOptions { task: Some(Task::Segment), ..OpenOptions::default() };
    let read = open(&path, &options, &Quiet).unwrap();
    assert_eq!(read.samples.len(), 2, "{:?}", read.issues);
    for (sample, ids) in read.samples.iter().zip(&masks) {
        let got = load_mask(sample.target.mask.as_ref().unwrap()).unwrap().ids;
        let cell = |ids: &[u8], id: u8| ids.iter().filter(|own| **own == id).count();
        let of = |name: &str| read.classes().iter().position(|class| class == name).unwrap() as u8;
        assert_eq!((cell(&got, of("cell")), cell(&got, of("edge"))), (cell(ids, 1), 1));
        assert!(ids.iter().zip(&got).all(|(id, got)| (*id == 1) == (*got == of("cell"))));
    }
}

/// 40×24 pictures of a bright square with its mask, `train` and `val`.
fn folder(root: &Path) {
    for (split, count) in [("train", 8), ("val", 4)] {
        for kind in ["images", "masks"] {
            std::fs::create_dir_all(root.join(split).join(kind)).unwrap();
        }
        for n in 0..count {
            let (mut picture, mut mask) =
                (image::RgbImage::from_pixel(40, 24, image::Rgb([30, 50, 40])), image::GrayImage::new(40, 24));
            for (x, y) in
                (4 + n..14 + n).flat_map(|y| (3 + 2 * n..15 + 2 * n).map(move |x| (x, y))).filter(|at| at.1 < 24)
            {
                picture.put_pixel(x, y, image::Rgb([220, 200, 120]));
                mask.put_pixel(x, y, image::Luma([255]));
            }
            picture.save(root.join(split).join(format!("images/{n}.png"))).unwrap();
            mask.save(root.join(split).join(format!("masks/{n}.png"))).unwrap();
        }
    }
}

fn frostline(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_frostline")).args(words).env("FROSTLINE_NO_PUBLIC", "1").output().unwrap()
}

fn lines(output: &Output) -> Vec<Json> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_command_line_trains_measures_and_predicts() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    folder(&home.path().join("squares"));
    let told = lines(&frostline(&[
        "train",
        "--data",
        &path("squares"),
        "--model",
        "unet_mini",
        "--size",
        "32",
        "--epochs",
        "2",
        "--batch",
        "4",
        "--optimizer",
        "adamw",
        "--mask-loss",
        "ce+0.5*dice",
        "--class-weights",
        "balanced",
        "--device",
        "cpu",
        "--out",
        &path("run"),
        "--json",
    ]));
    let epochs: Vec<&Json> = told.iter().filter(|line| line["type"] == "epoch").collect();
    assert_eq!(epochs.len(), 3);
    for key in ["miou", "dice", "pixel_accuracy"] {
        assert!(epochs.iter().all(|epoch| (0.0..=1.0).contains(&epoch["metrics"][key].as_f64().unwrap())));
    }
    assert!(epochs[2]["val"]["mask/dice"].is_f64() && told.last().unwrap()["best"]["metric"] == "miou");

    let told = lines(&frostline(&[
        "eval",
        &path("run"),
        "--data",
        &path("squares"),
        "--device",
        "cpu",
        "--per-image",
        "--json",
    ]));
    assert_eq!(told.iter().filter(|line| line["type"] == "image" && line["miou"].is_f64()).count(), 4);
    let measured = told.last().unwrap();
    let classes = measured["masks"].as_array().unwrap();
    let mean = classes.iter().map(|class| class["iou"].as_f64().unwrap()).sum::<f64>() / 2.0;
    assert!((mean - measured["metrics"]["miou"].as_f64().unwrap()).abs() < 1e-9, "{measured}");
    assert_eq!(classes[0]["name"], "background");
    let shown = frostline(&["eval", &path("run"), "--data", &path("squares"), "--device", "cpu"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("IoU") && shown.contains("least IoU"), "{shown}");

    // A picture of its own size, then one in tiles.
    let large = home.path().join("large.png");
    image::RgbImage::from_pixel(150, 61, image::Rgb([30, 50, 40])).save(&large).unwrap();
    let (first, large) = (path("squares/val/images/0.png"), large.display().to_string());
    let out = path("out");
    let told =
        lines(&frostline(&["predict", &path("run"), &first, &large, "--device", "cpu", "--out", &out, "--json"]));
    assert_eq!((told.len(), &told[1]["size"]), (2, &serde_json::json!([150, 61])));
    for (line, size) in told.iter().zip([[40, 24], [150, 61]]) {
        let mask = load_mask(&MaskTarget::File(line["mask"].as_str().unwrap().into())).unwrap();
        assert_eq!([mask.width, mask.height], size);
        assert!(mask.ids.iter().all(|id| *id < 2));
    }
    assert!(home.path().join("out/overlays/large.png").exists() && home.path().join("out/coco_masks.json").exists());
    let shown = frostline(&["predict", &path("run"), &first, "--device", "cpu", "--tile", "20"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("background"), "{shown:?}");
    let refused = frostline(&[
        "train",
        "--data",
        &path("squares"),
        "--model",
        "unet_mini",
        "--mask-loss",
        "ce+bce",
        "--out",
        &path("no"),
    ]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && why.contains("no mask loss named \"bce\""), "{why}");
}
