//! Decoding, preprocessing and color against numbers from Pillow, and decoding of every kind of file.
//!
//! `fixtures/ops_preprocess.json` comes from torchvision (parity_ops.py), `fixtures/data_pillow.json` and the CMYK files
//! from `fixtures/data_pillow.py`.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use frostline::data::transform::{normalize, preprocess, resize};
use frostline::data::{DataError, ImageSource, MaskTarget, Rgb8, color, image, load_mask};
use frostline::graph::{Interpolation, Preprocess, Resize};
use frostline::rng::Rng;
use serde_json::Value;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn fixture_bytes(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent", path.display());
    }
    path.exists().then_some(path)
}

/// The picture of `ops_preprocess.json`: integers below 256 of the key "image".
fn key_image() -> Rgb8 {
    let seed = b"image".iter().fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01B3));
    let mut rng = Rng::new(seed);
    let pixels = (0..37 * 53 * 3).map(|_| ((rng.next_u64() >> 40) % 256) as u8).collect();
    Rgb8 { width: 53, height: 37, pixels }
}

fn samples(case: &Value) -> Vec<(usize, f64)> {
    let list = |key: &str| case[key].as_array().unwrap().clone();
    let pairs = list("idx").into_iter().zip(list("val"));
    pairs.map(|(i, v)| (i.as_u64().unwrap() as usize, v.as_f64().unwrap())).collect()
}

/// Largest and mean absolute difference at the samples, and the difference of the means of all values.
fn differences(got: &[f64], case: &Value) -> (f64, f64, f64) {
    let each: Vec<f64> = samples(case).iter().map(|(i, v)| (got[*i] - v).abs()).collect();
    let mean = got.iter().sum::<f64>() / got.len() as f64;
    let largest = each.iter().fold(0.0f64, |a, b| a.max(*b));
    (largest, each.iter().sum::<f64>() / each.len() as f64, (mean - case["mean"].as_f64().unwrap()).abs())
}

fn bytes(image: &Rgb8) -> Vec<f64> {
    image.pixels.iter().map(|v| f64::from(*v)).collect()
}

#[test]
fn resizing_agrees_with_pillow() {
    let (doc, image) = (fixture("ops_preprocess.json"), key_image());
    let mut tested = 0;
    for case in doc["cases"].as_array().unwrap().iter().filter(|c| c["name"] == "pil_resize") {
        let interpolation = match case["filter"].as_str().unwrap() {
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            _ => continue,
        };
        let size = |i: usize| case["size_wh"][i].as_u64().unwrap() as u32;
        let out = resize(&image, size(0), size(1), interpolation);
        let (largest, mean, total) = differences(&bytes(&out), &case["out_hwc"]);
        eprintln!("{} {}: largest {largest}, mean {mean:.4}, of means {total:.5}", case["filter"], case["size_wh"]);
        // The SIMD kernels round coefficients to 16 bits where Pillow uses 22: now and then one level.
        assert!(largest <= 1.0 && mean < 0.03 && total < 0.005, "{}: {largest} {mean} {total}", case["size_wh"]);
        tested += 1;
    }
    assert_eq!(tested, 6);
}

#[test]
fn the_imagenet_pipeline_agrees_with_torchvision() {
    let doc = fixture("ops_preprocess.json");
    let case = doc["cases"].as_array().unwrap().iter().find(|c| c["name"] == "imagenet_pipeline_pil").unwrap();
    let rule = Preprocess { resize: Resize::ShorterThenCrop { shorter_px: 32 }, ..Preprocess::imagenet(28) };
    let (input, placement) = preprocess(&key_image(), &rule);
    let mut out = vec![0.0f32; 3 * 28 * 28];
    normalize(&input, &rule, &mut out);
    let out: Vec<f64> = out.into_iter().map(f64::from).collect();
    // One step of 8 bits is at most 1 / 255 / 0.224 = 0.0175 after normalization.
    let (largest, mean, total) = differences(&out, &case["out"]);
    eprintln!("largest {largest}, mean {mean:.5}, of means {total:.6}");
    assert!(largest < 0.0176 && mean < 0.001, "{largest} {mean}");
    // 45 x 32 after resizing; the crop starts at round(8.5) = 8 and 2.
    let (x, y) = placement.input_from_image(53.0, 37.0);
    assert!((x - 37.0).abs() < 1e-4 && (y - 30.0).abs() < 1e-4, "{x} {y}");
}

#[test]
fn whole_photos_agree_with_pillow() {
    let doc = fixture("data_pillow.json");
    for case in doc["photos"].as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let Some(path) = shared(&format!("classification/hymenoptera/{file}")) else { return };
        let number = |key: &str| case[key].as_u64().unwrap() as u32;
        let interpolation = if case["filter"] == "bicubic" { Interpolation::Bicubic } else { Interpolation::Bilinear };
        let resize = Resize::ShorterThenCrop { shorter_px: number("shorter") };
        let rule = Preprocess { resize, interpolation, ..Preprocess::imagenet(number("crop")) };
        let (input, _) = preprocess(&image::load(&ImageSource::File(path)).unwrap(), &rule);
        let (largest, mean, total) = differences(&bytes(&input), case);
        eprintln!("{file}: largest {largest}, mean {mean:.4}, of means {total:.5}");
        assert!(largest <= 2.0 && mean < 0.1 && total < 0.1, "{file}: {largest} {mean} {total}");
    }
}

#[test]
fn a_crop_in_the_resize_equals_a_resize_and_a_crop() {
    let image = key_image();
    let rule = Preprocess { resize: Resize::ShorterThenCrop { shorter_px: 32 }, ..Preprocess::imagenet(28) };
    let (input, _) = preprocess(&image, &rule);
    let whole = resize(&image, 45, 32, Interpolation::Bilinear);
    let rows = whole.pixels.chunks_exact(45 * 3).skip(2).take(28);
    let cropped: Vec<u8> = rows.flat_map(|row| row[8 * 3..(8 + 28) * 3].to_vec()).collect();
    assert_eq!(input.pixels, cropped);
}

#[test]
fn small_pictures_are_padded_as_torchvision_pads() {
    // Resize(3) leaves 5 x 3 as it is; CenterCrop(4) adds (4 - 3) // 2 = 0 rows above and 1 below, and cuts the
    // columns at round((5 - 4) / 2) = 0.
    let image = Rgb8 { width: 5, height: 3, pixels: (0..45).map(|i| 10 + i / 3).collect() };
    let rule = Preprocess { resize: Resize::ShorterThenCrop { shorter_px: 3 }, ..Preprocess::imagenet(4) };
    let (input, placement) = preprocess(&image, &rule);
    let red: Vec<u8> = input.pixels.iter().step_by(3).copied().collect();
    assert_eq!(red, [10, 11, 12, 13, 15, 16, 17, 18, 20, 21, 22, 23, 0, 0, 0, 0]);
    assert_eq!(placement.image_from_input(1.0, 1.0), (1.0, 1.0));
}

#[test]
fn colors_agree_with_pillow_exactly() {
    let doc = fixture("data_pillow.json");
    for case in doc["color"].as_array().unwrap() {
        let (mut image, factor) = (key_image(), case["factor"].as_f64().unwrap() as f32);
        let name = case["name"].as_str().unwrap();
        match name {
            "brightness" => color::brightness(&mut image, factor),
            "contrast" => color::contrast(&mut image, factor),
            "saturation" => color::saturation(&mut image, factor),
            _ => color::hue(&mut image, factor),
        }
        let (largest, _, total) = differences(&bytes(&image), case);
        assert!(largest == 0.0 && total < 1e-9, "{name} {factor}: {largest} {total}");
    }
}

/// torchvision's formulas on floats: 8-bit rounding, and the cut of HSV to 8 bits, are all that may differ.
#[test]
fn colors_are_near_torchvisions_on_floats() {
    let doc = fixture("ops_preprocess.json");
    let case = |name: &str| doc["cases"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap()["out"].clone();
    type Change = fn(&mut Rgb8);
    let changes: [(&str, Change, f64, f64); 4] = [
        ("brightness_1.3", |i| color::brightness(i, 1.3), 1.1, 0.6),
        ("contrast_0.7", |i| color::contrast(i, 0.7), 1.6, 0.9),
        ("saturation_1.5", |i| color::saturation(i, 1.5), 2.0, 0.9),
        ("hue_0.1", |i| color::hue(i, 0.1), 8.0, 2.0),
    ];
    for (name, change, most, mean_most) in changes {
        let mut image = key_image();
        change(&mut image);
        let planes: Vec<f64> =
            (0..3).flat_map(|c| image.pixels.iter().skip(c).step_by(3).map(|v| f64::from(*v) / 255.0)).collect();
        let (largest, mean, _) = differences(&planes, &case(name));
        assert!(largest * 255.0 < most && mean * 255.0 < mean_most, "{name}: {} {}", largest * 255.0, mean * 255.0);
    }
}

#[test]
fn cmyk_and_ycck_jpegs_look_as_pillow_shows_them() {
    let doc = fixture("data_pillow.json");
    for name in ["cmyk", "ycck"] {
        let image = image::decode(&fixture_bytes(&format!("data_{name}.jpg")), name).unwrap();
        let (largest, mean, total) = differences(&bytes(&image), &doc["jpeg"][name]);
        eprintln!("{name}: largest {largest}, mean {mean:.3}, of means {total:.4}");
        assert!(largest <= 1.0 && mean < 0.1 && total < 0.1, "{name}: {largest} {mean} {total}");
    }
}

fn png(color: ::image::ExtendedColorType, width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    use ::image::ImageEncoder as _;
    let mut out = Vec::new();
    ::image::codecs::png::PngEncoder::new(&mut out).write_image(data, width, height, color).unwrap();
    out
}

#[test]
fn grey_alpha_and_16_bits_become_rgb() {
    use ::image::ExtendedColorType as C;
    let pixels = |bytes: &[u8]| image::decode(bytes, "made").unwrap().pixels;
    assert_eq!(pixels(&png(C::L8, 2, 1, &[7, 200])), [7, 7, 7, 200, 200, 200]);
    // Grey 100 at alpha 0, 255 and 128 over white: 255, 100, (100 * 128 + 255 * 127) / 255 = 177.2
    assert_eq!(pixels(&png(C::La8, 3, 1, &[100, 0, 100, 255, 100, 128])), [[255; 3], [100; 3], [177; 3]].concat());
    assert_eq!(pixels(&png(C::Rgba8, 1, 1, &[10, 20, 30, 51])), [206, 208, 210]);
    // 16 bits are scaled (65535 -> 255, 257 * n -> n), not cut off at 255 as Pillow's mode I;16 does.
    let sixteen: Vec<u8> = [0u16, 257 * 100, 65_535].iter().flat_map(|v| v.to_ne_bytes()).collect();
    assert_eq!(pixels(&png(C::L16, 3, 1, &sixteen)), [[0; 3], [100; 3], [255; 3]].concat());
    let rgb: Vec<u8> = [257u16 * 9, 257 * 80, 257 * 254].iter().flat_map(|v| v.to_ne_bytes()).collect();
    assert_eq!(pixels(&png(C::Rgb16, 1, 1, &rgb)), [9, 80, 254]);
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let body: Vec<u8> = kind.iter().chain(data).copied().collect();
    let crc = body.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 })
    });
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(body);
    out.extend((!crc).to_be_bytes());
}

/// An indexed PNG of one row, made by hand: nothing here writes palettes.
fn palette_png(indices: &[u8], palette: &[u8]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = (indices.len() as u32).to_be_bytes().to_vec();
    header.extend([0, 0, 0, 1, 8, 3, 0, 0, 0]);
    chunk(&mut out, b"IHDR", &header);
    chunk(&mut out, b"PLTE", palette);
    let row: Vec<u8> = [0].into_iter().chain(indices.iter().copied()).collect();
    let (length, mut a, mut b) = (row.len() as u16, 1u32, 0u32);
    for byte in &row {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let mut zlib = vec![0x78, 0x01, 0x01];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(&row);
    zlib.extend((b << 16 | a).to_be_bytes());
    chunk(&mut out, b"IDAT", &zlib);
    chunk(&mut out, b"IEND", &[]);
    out
}

#[test]
fn palettes_are_colors_in_pictures_and_ids_in_masks() {
    let palette = [0, 0, 0, 128, 0, 0, 0, 128, 0, 224, 224, 192];
    let bytes = palette_png(&[0, 2, 1, 3], &palette);
    let image = image::decode(&bytes, "palette").unwrap();
    assert_eq!(image.pixels, [0, 0, 0, 0, 128, 0, 128, 0, 0, 224, 224, 192]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.png");
    std::fs::write(&path, bytes).unwrap();
    let mask = load_mask(&MaskTarget::File(path.clone())).unwrap();
    assert_eq!((mask.width, mask.height, mask.ids), (4, 1, vec![0, 2, 1, 3]));
    std::fs::write(&path, png(::image::ExtendedColorType::L8, 2, 1, &[5, 255])).unwrap();
    assert_eq!(load_mask(&MaskTarget::File(path.clone())).unwrap().ids, [5, 255]);
    std::fs::write(&path, png(::image::ExtendedColorType::Rgb8, 1, 1, &[5, 6, 7])).unwrap();
    let error = load_mask(&MaskTarget::File(path.clone())).unwrap_err().to_string();
    assert!(error.contains("mask.png") && error.contains("class ids"), "{error}");
}

#[test]
fn other_formats_are_read() {
    let rgb = ::image::RgbImage::from_fn(5, 3, |x, y| ::image::Rgb([x as u8 * 50, y as u8 * 100, 7]));
    for format in [::image::ImageFormat::WebP, ::image::ImageFormat::Bmp, ::image::ImageFormat::Tiff] {
        let mut out = std::io::Cursor::new(Vec::new());
        rgb.write_to(&mut out, format).unwrap();
        // WebP is written lossless here.
        assert_eq!(image::decode(out.get_ref(), "made").unwrap().pixels, *rgb.as_raw(), "{format:?}");
    }
    let mut out = std::io::Cursor::new(Vec::new());
    ::image::DynamicImage::ImageRgb8(rgb.clone()).into_rgba8().write_to(&mut out, ::image::ImageFormat::Gif).unwrap();
    assert_eq!(image::decode(out.get_ref(), "made").unwrap().pixels, *rgb.as_raw());
}

/// A JPEG of 16 x 8 whose left 8 x 8 block is black and right one white, with an EXIF orientation.
fn oriented_jpeg(orientation: u8) -> Vec<u8> {
    let picture = ::image::RgbImage::from_fn(16, 8, |x, _| ::image::Rgb([if x < 8 { 0 } else { 255 }; 3]));
    // The lower left corner is marked grey, so that mirrored pictures differ from turned ones.
    let picture = ::image::RgbImage::from_fn(16, 16, |x, y| {
        if y < 8 { *picture.get_pixel(x, y) } else { ::image::Rgb([if x < 8 { 128 } else { 255 }; 3]) }
    });
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, ::image::ImageFormat::Jpeg).unwrap();
    let jpeg = out.into_inner();
    // Big-endian TIFF with one entry in IFD 0: tag 0x0112, type 3 (short), count 1.
    let mut exif = b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    exif.extend([0, orientation, 0, 0, 0, 0, 0, 0]);
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xFF, 0xE1]);
    bytes.extend((exif.len() as u16 + 2).to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

#[test]
fn exif_orientations_turn_the_picture() {
    // Stored: black, white above grey, white. The quadrants as they must be seen: upper left, upper right, lower left,
    // lower right, by the EXIF definition (where the stored row 0 and column 0 are seen).
    let (k, w, g) = (0, 255, 128);
    let expected = [
        [k, w, g, w], // 1: as stored
        [w, k, w, g], // 2: mirrored left to right
        [w, g, w, k], // 3: turned by 180
        [g, w, k, w], // 4: mirrored top to bottom
        [k, g, w, w], // 5: transposed: row 0 at the left, column 0 at the top
        [g, k, w, w], // 6: turned clockwise: row 0 at the right, column 0 at the top
        [w, w, g, k], // 7: transverse: row 0 at the right, column 0 at the bottom
        [w, w, k, g], // 8: turned counterclockwise: row 0 at the left, column 0 at the bottom
    ];
    for (orientation, expected) in (1..=8).zip(expected) {
        let image = image::decode(&oriented_jpeg(orientation), "exif").unwrap();
        let at = |x: usize, y: usize| i32::from(image.pixels[(y * image.width as usize + x) * 3]);
        let seen = [at(4, 4), at(12, 4), at(4, 12), at(12, 12)];
        assert!(seen.iter().zip(expected).all(|(s, e)| (s - e).abs() < 12), "{orientation}: {seen:?} {expected:?}");
    }
}

#[test]
fn absurd_and_broken_files_are_refused_with_a_reason() {
    let why = |bytes: &[u8]| match image::decode(bytes, "x.jpg") {
        Err(DataError::Decode { why, .. }) => why,
        other => format!("{:?}", other.map(|i| (i.width, i.height))),
    };
    let mut header = 60_000u32.to_be_bytes().to_vec();
    header.extend(60_000u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut bomb = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut bomb, b"IHDR", &header);
    chunk(&mut bomb, b"IDAT", &[0x78, 0x01]);
    chunk(&mut bomb, b"IEND", &[]);
    assert_eq!(why(&bomb), "60000x60000 pixels are too many (3600 megapixels; the limit is 400 megapixels)");
    // The same in a JPEG: height and width follow the frame marker FF C0, its length and its precision.
    let mut jpeg = oriented_jpeg(1);
    let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    assert!(why(&jpeg).contains("3600 megapixels"), "{}", why(&jpeg));
    assert_eq!(why(b""), "the file is empty (0 bytes)");
    assert_eq!(why(b"hello, this is no picture"), "the content is not a picture in a known format");
    let whole = png(::image::ExtendedColorType::Rgb8, 64, 64, &[9; 64 * 64 * 3]);
    assert!(!why(&whole[..whole.len() / 2]).starts_with("Ok"));
    let error = image::decode(b"", "folder/a.png").unwrap_err().to_string();
    assert!(error.starts_with("folder/a.png: "), "{error}");
}

/// libjpeg's errors unwind through C; they must become sentences, from any thread and as often as there are such files.
#[test]
fn broken_and_uncommon_jpegs_are_refused_with_a_reason() {
    let whole = oriented_jpeg(1);
    let behind = |marker: u8| whole.windows(2).position(|pair| pair == [0xFF, marker]).unwrap() + 2;
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let (frame, huffman, scan) = (behind(0xC0), behind(0xC4), behind(0xDA));
    let cases = [
        (changed(frame - 1, &[0xC9]), "it is a JPEG with arithmetic coding, which is not read"),
        (changed(frame - 1, &[0xC3]), "it is a JPEG with lossless coding, which is not read"),
        (changed(frame + 2, &[12]), "its samples have 12 bits; JPEGs of 8 bits are read"),
        // More codes of one bit than there can be.
        (changed(huffman + 3, &[9]), "Bogus Huffman table definition"),
        // The scan is of a component that the picture does not have.
        (changed(scan + 3, &[77]), "Invalid component ID 77 in SOS"),
        (changed(frame + 3, &[0, 16, 0, 0]), "Empty JPEG image (DNL not supported)"),
        (whole[..4].to_vec(), "the file ends before its picture begins"),
        (whole[..3].to_vec(), "the file ends before its picture begins"),
    ];
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for (bytes, wanted) in &cases {
                    for _ in 0..50 {
                        let error = image::decode(bytes, "x.jpg").unwrap_err().to_string();
                        assert_eq!(error, format!("x.jpg: {wanted}"));
                    }
                    assert!(image::decode(&whole, "x.jpg").is_ok());
                }
            });
        }
    });
}

/// As libjpeg does it everywhere: what is missing is grey. Opening a folder tells of such files (`data_open.rs`).
#[test]
fn what_a_cut_off_jpeg_lacks_is_grey() {
    let picture = ::image::RgbImage::from_fn(64, 64, |x, y| ::image::Rgb([(x * 4) as u8, (y * 4) as u8, 200]));
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, ::image::ImageFormat::Jpeg).unwrap();
    let bytes = out.into_inner();
    let half = image::decode(&bytes[..bytes.len() * 2 / 3], "half").unwrap();
    let whole = image::decode(&bytes, "whole").unwrap();
    assert_eq!((half.width, half.height), (64, 64));
    assert_eq!(half.pixels[..64 * 3], whole.pixels[..64 * 3]);
    assert!(half.pixels[63 * 64 * 3..].iter().all(|value| *value == 128));
}

#[test]
fn a_grey_jpeg_has_three_equal_channels() {
    let picture = ::image::GrayImage::from_fn(16, 8, |x, _| ::image::Luma([if x < 8 { 40 } else { 220 }]));
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, ::image::ImageFormat::Jpeg).unwrap();
    let image = image::decode(out.get_ref(), "grey").unwrap();
    let (pixels, _) = image.pixels.as_chunks::<3>();
    assert!(pixels.len() == 128 && pixels.iter().all(|[r, g, b]| r == g && g == b));
    assert!(pixels[0][0].abs_diff(40) < 4 && pixels[15][0].abs_diff(220) < 4);
}

#[test]
fn thumbnails_keep_the_shape_and_never_grow() {
    let bytes: Arc<[u8]> = png(::image::ExtendedColorType::Rgb8, 100, 40, &[9; 12_000]).into();
    let source = ImageSource::Memory { name: "m".to_owned(), bytes };
    let size = |longest| image::thumbnail(&source, longest).map(|i| (i.width, i.height)).unwrap();
    assert_eq!((size(50), size(33), size(1), size(4000)), ((50, 20), (33, 13), (1, 1), (100, 40)));
}
