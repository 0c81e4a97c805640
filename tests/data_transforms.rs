//! Preprocessing of photos against torchvision's transforms (`fixtures/data_torchvision.py`): at most 2 of 255 levels in any
//! pixel, less than 0.3 on average. Small self-made pictures are in `data_pixels.rs`.
//!
//! With `FROSTLINE_PIXELS_DIR` (a folder that the script filled) all pixels of all photos are compared, and the decoder's share
//! of the difference is told from the resize's. Of 398 photos: decoding equals Pillow's in every pixel, the resize differs by
//! at most 1 level (bicubic 2), on average by 0.002 (0.004).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use frostline::data::transform::{normalize, preprocess};
use frostline::data::{Rgb8, image};
use frostline::graph::{Interpolation, Preprocess, Resize};
use frostline::rng::Rng;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn number(case: &Value, key: &str) -> u32 {
    case[key].as_u64().unwrap() as u32
}

fn rule(case: &Value) -> Preprocess {
    Preprocess {
        resize: Resize::ShorterThenCrop { shorter_px: number(case, "shorter") },
        interpolation: serde_json::from_value(case["interpolation"].clone()).unwrap(),
        ..Preprocess::imagenet(number(case, "crop"))
    }
}

/// The JPEG with an EXIF segment that holds this orientation and nothing else.
fn turned(data: &[u8], orientation: u8) -> Vec<u8> {
    let tiff =
        [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[orientation, 0, 0, 0, 0, 0, 0, 0]].concat();
    let length = u16::try_from(tiff.len() + 8).unwrap().to_be_bytes();
    [&data[..2], b"\xff\xe1", &length, b"Exif\0\0", &tiff, &data[2..]].concat()
}

/// Largest and mean difference at the samples.
fn differences(got: impl Fn(usize) -> f64, samples: &Value) -> (f64, f64) {
    let list = |key: &str| samples[key].as_array().unwrap().clone();
    let pairs = list("idx").into_iter().zip(list("val"));
    let each: Vec<f64> = pairs.map(|(i, v)| (got(i.as_u64().unwrap() as usize) - v.as_f64().unwrap()).abs()).collect();
    (each.iter().copied().fold(0.0, f64::max), each.iter().sum::<f64>() / each.len() as f64)
}

#[test]
fn photos_become_what_torchvisions_transforms_make_of_them() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    let doc = json(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data_torchvision.json")));
    let mut checked = 0;
    for case in doc["cases"].as_array().unwrap() {
        let (file, orientation) = (case["file"].as_str().unwrap(), number(case, "orientation") as u8);
        let Ok(data) = std::fs::read(root.join(file)) else {
            eprintln!("SKIPPED: ../shared/data/{file} is absent");
            continue;
        };
        let data = if orientation > 1 { turned(&data, orientation) } else { data };
        let decoded = image::decode(&data, file).unwrap();
        assert_eq!(serde_json::json!([decoded.width, decoded.height]), case["size"], "{file}");
        let rule = rule(case);
        let (input, _) = preprocess(&decoded, &rule);
        let (most, mean) = differences(|i| f64::from(input.pixels[i]), &case["pixels"]);
        println!("{file} turned {orientation} {}: most {most}, mean {mean:.3}", case["rule"]);
        let (most_allowed, mean_allowed) = (2.0, 0.1);
        assert!(
            most <= most_allowed && mean < mean_allowed,
            "{file} turned {orientation} {}: {most} {mean}",
            case["rule"]
        );
        if case["input"].is_object() {
            let mut ready = vec![0.0; input.pixels.len()];
            normalize(&input, &rule, &mut ready);
            let (most, mean) = differences(|i| f64::from(ready[i]), &case["input"]);
            // A level is at most 1 / 255 / 0.224 after normalization.
            let level = 1.0 / 255.0 / 0.224;
            assert!(
                most <= (most_allowed + 0.01) * level && mean < mean_allowed * level,
                "{file}: input {most} {mean}"
            );
        }
        checked += 1;
    }
    assert!(checked == 0 || checked >= 40, "{checked} cases");
}

/// Shrinking without antialiasing on a self-made picture: torchvision's resize of tensors.
#[test]
fn resizing_without_antialias_is_torchvisions() {
    let seed = b"image".iter().fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01B3));
    let mut rng = Rng::new(seed);
    let pixels = (0..37 * 53 * 3).map(|_| ((rng.next_u64() >> 40) % 256) as u8).collect();
    let image = Rgb8 { width: 53, height: 37, pixels };
    let doc = json(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data_torchvision.json")));
    for case in doc["not_antialiased"].as_array().unwrap() {
        let [width, height] = [0, 1].map(|i| case["size_wh"][i].as_u64().unwrap() as u32);
        let interpolation: Interpolation = serde_json::from_value(case["interpolation"].clone()).unwrap();
        let rule = |antialias| Preprocess {
            size: [height, width],
            resize: Resize::Stretch,
            interpolation,
            antialias,
            ..Preprocess::imagenet(224)
        };
        let of = |antialias| {
            let (input, _) = preprocess(&image, &rule(antialias));
            differences(|i| f64::from(input.pixels[i]), &case["pixels"])
        };
        let (most, mean) = of(false);
        println!("{} {}: most {most}, mean {mean:.3}", case["interpolation"], case["size_wh"]);
        assert!(most <= 1.0 && mean < 0.3, "{} {}: {most} {mean}", case["interpolation"], case["size_wh"]);
        // Where the picture shrinks by far, antialiasing is something else altogether.
        assert!(width > 20 || of(true).1 > 10.0, "{}", case["interpolation"]);
    }
}

/// Differences of many pictures.
#[derive(Default)]
struct Sum {
    most: u8,
    sum: u64,
    count: u64,
    worst_mean: f64,
}

impl Sum {
    fn add(&mut self, ours: &[u8], theirs: &[u8], file: &str) {
        assert_eq!(ours.len(), theirs.len(), "{file}");
        let (mut most, mut sum) = (0, 0);
        for (a, b) in ours.iter().zip(theirs) {
            let difference = a.abs_diff(*b);
            most = most.max(difference);
            sum += u64::from(difference);
        }
        self.most = self.most.max(most);
        self.sum += sum;
        self.count += ours.len() as u64;
        self.worst_mean = self.worst_mean.max(sum as f64 / ours.len() as f64);
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.count.max(1) as f64
    }

    fn tell(&self, what: &str) {
        println!("{what}: most {}, mean {:.4}, of the worst photo {:.3}", self.most, self.mean(), self.worst_mean);
    }
}

#[test]
fn all_pixels_of_all_photos() {
    let Some(folder) = std::env::var_os("FROSTLINE_PIXELS_DIR").map(PathBuf::from) else {
        eprintln!("SKIPPED: FROSTLINE_PIXELS_DIR is not set");
        return;
    };
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    let mut decoding = Sum::default();
    let mut by_rule: std::collections::BTreeMap<String, [Sum; 2]> = std::collections::BTreeMap::new();
    for row in json(&folder.join("pixels.json")).as_array().unwrap() {
        let file = row["file"].as_str().unwrap();
        let bytes = |name: &Value| std::fs::read(folder.join(name.as_str().unwrap())).unwrap();
        let ours = image::decode(&std::fs::read(root.join(file)).unwrap(), file).unwrap();
        let theirs = Rgb8 { pixels: bytes(&row["raw"]), ..ours.clone() };
        decoding.add(&ours.pixels, &theirs.pixels, file);
        for case in row["cases"].as_array().unwrap() {
            let (rule, wanted) = (rule(case), bytes(&case["out"]));
            let sums = by_rule.entry(case["rule"].as_str().unwrap().to_owned()).or_default();
            sums[0].add(&preprocess(&ours, &rule).0.pixels, &wanted, file);
            sums[1].add(&preprocess(&theirs, &rule).0.pixels, &wanted, file);
        }
    }
    decoding.tell("decoding alone");
    for (rule, [whole, resize]) in &by_rule {
        whole.tell(&format!("{rule}, decoding and resize"));
        resize.tell(&format!("{rule}, resize alone"));
    }
    let within = |sum: &Sum| sum.most <= 2 && sum.worst_mean < 0.3;
    assert!(by_rule.values().flatten().all(within) && decoding.most == 0);
}
