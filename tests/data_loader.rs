//! The loader: order, reproducibility, the cache, files that break, and stopping.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use frostline::data::transform::{normalize, preprocess};
use frostline::data::{
    Augment, BoxTarget, CropRange, Dataset, ImageSource, Jitter, LabelColumn, Loader, MaskPixels, MaskTarget,
    OpenOptions, PixelCache, Quiet, RawBatch, Sample, Split, Target, Task, View, image as pictures, open,
};
use frostline::graph::Preprocess;

fn png(width: u32, height: u32, n: u32) -> Arc<[u8]> {
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(n * 9) as u8, (x * 255 / width) as u8, (y * 255 / height) as u8])
    });
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner().into()
}

fn sample(image: ImageSource, size_px: [u32; 2], target: Target) -> Sample {
    Sample { image, split: Split::Train, size_px, target }
}

/// Pictures in memory; every fourth is large enough to be reduced before cropping.
fn set(count: u32) -> Arc<Dataset> {
    let samples = (0..count).map(|n| {
        let [width, height] = if n % 4 == 3 { [420, 300] } else { [50 + n, 40] };
        let source = ImageSource::Memory { name: format!("{n}.png"), bytes: png(width, height, n) };
        sample(source, [width, height], Target::of_class(Some(n % 2)))
    });
    dataset(samples.collect())
}

fn dataset(samples: Vec<Sample>) -> Arc<Dataset> {
    Arc::new(Dataset {
        root: PathBuf::from("memory"),
        name: "memory".into(),
        task: Task::Classify,
        format: "memory".into(),
        columns: vec![LabelColumn::single(vec!["a".into(), "b".into()])],
        category_ids: Vec::new(),
        found: samples.len(),
        samples,
        issues: Vec::new(),
        suggested_split: false,
        unnamed: Vec::new(),
    })
}

fn view(augment: Option<Augment>, epoch: u64) -> View {
    View { rule: Preprocess::imagenet(32), augment, seed: 3, epoch }
}

fn strong() -> Augment {
    let jitter = Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 };
    Augment { jitter, ..Augment::default() }
}

fn collect(mut loader: Loader) -> Vec<RawBatch> {
    std::iter::from_fn(|| loader.next_batch()).collect()
}

fn pixels(batches: &[RawBatch]) -> Vec<f32> {
    batches.iter().flat_map(|b| b.pixels.clone()).collect()
}

#[test]
fn the_order_is_kept_and_the_numbers_are_the_rules() {
    let set = set(11);
    let order = vec![7, 2, 9, 0, 10, 4, 3, 3, 1];
    let batches = collect(Loader::start(Arc::clone(&set), order.clone(), 4, view(None, 0)));
    let sizes: Vec<usize> = batches.iter().map(|b| b.indices.len()).collect();
    assert_eq!(sizes, [4, 4, 1]);
    assert_eq!(batches.iter().flat_map(|b| b.indices.clone()).collect::<Vec<_>>(), order);
    let classes: Vec<Option<u32>> = batches.iter().flat_map(|b| b.targets.iter().map(Target::class)).collect();
    assert_eq!(classes, order.iter().map(|i| Some(*i as u32 % 2)).collect::<Vec<_>>());
    let rule = Preprocess::imagenet(32);
    for (position, index) in order.iter().enumerate() {
        let image = pictures::load(&set.samples[*index].image).unwrap();
        let mut expected = vec![0.0; 3 * 32 * 32];
        normalize(&preprocess(&image, &rule).0, &rule, &mut expected);
        let (batch, at) = (&batches[position / 4], position % 4);
        assert_eq!(batch.pixels[at * 3072..(at + 1) * 3072], expected[..], "picture {index}");
    }
}

#[test]
fn a_view_depends_on_seed_epoch_and_picture_not_on_batching() {
    let set = set(12);
    let order: Vec<usize> = (0..12).collect();
    let load =
        |batch, epoch| collect(Loader::start(Arc::clone(&set), order.clone(), batch, view(Some(strong()), epoch)));
    let first = pixels(&load(4, 1));
    assert_eq!(first, pixels(&load(5, 1)));
    assert_ne!(first, pixels(&load(4, 2)));
    let other_seed = View { seed: 4, ..view(Some(strong()), 1) };
    assert_ne!(first, pixels(&collect(Loader::start(Arc::clone(&set), order.clone(), 4, other_seed))));
    let reversed: Vec<usize> = order.iter().rev().copied().collect();
    let backwards = pixels(&collect(Loader::start(set, reversed, 12, view(Some(strong()), 1))));
    assert_eq!(first[..3072], backwards[11 * 3072..]);
}

#[test]
fn the_cache_changes_nothing() {
    let set = set(12);
    let order: Vec<usize> = (0..12).collect();
    for augment in [None, Some(strong()), Some(Augment::none())] {
        // A cache that has room for all of it, and one for some of it.
        for budget in [64 << 20, 10_000] {
            let cache = Arc::new(PixelCache::new(budget));
            for epoch in 0..2 {
                let view = view(augment.clone(), epoch);
                let plain = collect(Loader::start(Arc::clone(&set), order.clone(), 5, view.clone()));
                let cached = Loader::start_cached(Arc::clone(&set), order.clone(), 5, view, Arc::clone(&cache));
                assert_eq!(pixels(&plain), pixels(&collect(cached)), "{augment:?} {budget} {epoch}");
            }
            assert!(!cache.is_empty() && cache.used_bytes() <= budget);
            assert_eq!(cache.len() == 12, budget > 10_000);
        }
    }
    // One cache for both kinds of view.
    let cache = Arc::new(PixelCache::default());
    for augment in [Some(strong()), None, Some(strong())] {
        let plain = collect(Loader::start(Arc::clone(&set), order.clone(), 5, view(augment.clone(), 0)));
        let cached = Loader::start_cached(Arc::clone(&set), order.clone(), 5, view(augment, 0), Arc::clone(&cache));
        assert_eq!(pixels(&plain), pixels(&collect(cached)));
    }
}

#[test]
fn a_file_that_broke_is_left_out_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..4).map(|n| dir.path().join(format!("{n}.png"))).collect();
    for (n, file) in files.iter().enumerate() {
        std::fs::write(file, png(40, 40, n as u32)).unwrap();
    }
    let samples = files.iter().map(|f| sample(ImageSource::File(f.clone()), [40, 40], Target::default()));
    let set = dataset(samples.collect());
    let whole = collect(Loader::start(Arc::clone(&set), vec![0, 1, 2, 3], 4, view(None, 0))).remove(0);
    std::fs::write(&files[1], b"gone").unwrap();
    std::fs::remove_file(&files[2]).unwrap();
    let batch = collect(Loader::start(set, vec![0, 1, 2, 3, 99], 5, view(None, 0))).remove(0);
    assert_eq!((batch.indices.clone(), batch.targets.len(), batch.masks.len()), (vec![0, 3], 2, 2));
    assert_eq!(batch.pixels, [&whole.pixels[..3072], &whole.pixels[3 * 3072..]].concat());
    let failed: Vec<(&Path, &str)> = batch.failed.iter().map(|i| (i.file.as_path(), i.what.as_str())).collect();
    assert_eq!(failed[0], (files[1].as_path(), "the content is not a picture in a known format"));
    assert!(failed[1].0 == files[2] && failed[1].1.starts_with("cannot be read"), "{failed:?}");
    assert!(failed[2].1.contains("picture 99 does not exist"), "{failed:?}");
}

#[test]
fn boxes_and_masks_come_with_the_pixels() {
    // The picture's green channel is its x, its blue one its y; so is the mask's id, in steps of 8 pixels.
    let (width, height) = (64, 48);
    let ids = (0..width * height).map(|i| (i % width / 8) as u8).collect();
    let mask = MaskTarget::Pixels(Arc::new(MaskPixels { width, height, ids }));
    let target = BoxTarget::new(1, [16.0, 12.0, 48.0, 36.0]);
    let target = Target { labels: Vec::new(), boxes: Some(vec![target]), mask: Some(mask), mask_px: Vec::new() };
    let source = ImageSource::Memory { name: "m".into(), bytes: png(width, height, 0) };
    let set = dataset(vec![sample(source, [width, height], target)]);
    let rule = Preprocess { mean: [0.0; 3], std: [1.0; 3], ..Preprocess::imagenet(32) };
    let range = CropRange { scale: [0.5, 1.0], ratio: [0.75, 1.34] };
    let augment = Augment { random_resized_crop: Some(range), flip: 0.5, ..Augment::none() };
    let mut mirrored = 0;
    for epoch in 0..20 {
        let view = View { rule: rule.clone(), augment: Some(augment.clone()), seed: 0, epoch };
        let batch = collect(Loader::start(Arc::clone(&set), vec![0], 1, view)).remove(0);
        let mask = batch.masks[0].as_ref().unwrap();
        let placement = batch.placements[0];
        mirrored += usize::from(placement.scale()[0] < 0.0);
        for (i, id) in mask.iter().enumerate() {
            let (x, y) = ((i % 32) as f32 + 0.5, (i / 32) as f32 + 0.5);
            let green = batch.pixels[1024 + i] * 64.0;
            let (image_x, _) = placement.image_from_input(x, y);
            assert_eq!(*id, (image_x / 8.0) as u8);
            // The gradient at pixel centers: within a pixel of where the placement says that this is.
            assert!((green - (image_x - 0.5)).abs() < 1.2, "epoch {epoch}, {x} {y}: {green} {image_x}");
        }
        let found = batch.targets[0].boxes.as_ref().unwrap();
        let (ax, ay) = placement.input_from_image(16.0, 12.0);
        let (bx, by) = placement.input_from_image(48.0, 36.0);
        let expected = [ax.min(bx), ay, ax.max(bx), by].map(|v| v.clamp(0.0, 32.0));
        assert_eq!(found[0].xyxy, expected);
        assert!(batch.targets[0].mask.is_none());
    }
    assert!((3..18).contains(&mirrored), "{mirrored}");
}

/// A smooth JPEG that its EXIF block turns by 90 degrees, and the same pixels, turned, as PNG.
fn turned_jpeg(width: u32, height: u32) -> (Arc<[u8]>, Arc<[u8]>) {
    let wave = |at: u32, period: f32| 127.0 + 120.0 * (at as f32 / period).sin();
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([wave(x, 90.0) as u8, wave(y, 70.0) as u8, wave(x + y, 130.0) as u8])
    });
    let mut file = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 95).encode_image(&picture).unwrap();
    // One TIFF entry: tag 0x0112 (orientation), a short, 6: turn by 90 degrees clockwise.
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    file.splice(2..2, [&[0xFF, 0xE1], &length[..], exif].concat());
    let whole = pictures::decode(&file, "turned.jpg").unwrap();
    assert_eq!([whole.width, whole.height], [height, width]);
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_raw(whole.width, whole.height, whole.pixels)
        .unwrap()
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    (file.into(), png.into_inner().into())
}

#[test]
fn only_random_views_and_thumbnails_take_large_jpegs_reduced() {
    let (jpeg, png) = turned_jpeg(645, 483);
    let boxes = vec![BoxTarget::new(0, [40.0, 60.0, 300.0, 500.0])];
    let set = |name: &str, bytes: Arc<[u8]>| {
        let source = ImageSource::Memory { name: name.into(), bytes };
        dataset(vec![sample(source, [483, 645], Target { boxes: Some(boxes.clone()), ..Target::of_class(Some(0)) })])
    };
    let (jpeg, png) = (set("a.jpg", jpeg), set("a.png", png));
    let load = |set: &Arc<Dataset>, view: View| collect(Loader::start(Arc::clone(set), vec![0], 1, view)).remove(0);
    let both = |view: View| (load(&jpeg, view.clone()), load(&png, view));
    let worst = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let mean = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32;
    // Validation, and training without changes: every pixel is that of the whole.
    let (a, b) = both(view(None, 0));
    assert_eq!((a.pixels, a.placements), (b.pixels, b.placements));
    // Random views of 32 px work on a shorter side of 68 px: a quarter of the picture, 121 px, is decoded.
    for epoch in 0..8 {
        let (a, b) = both(view(Some(Augment::default()), epoch));
        assert_eq!((&a.placements, &a.targets), (&b.placements, &b.targets), "epoch {epoch}");
        let (worst, mean) = (worst(&a.pixels, &b.pixels), mean(&a.pixels, &b.pixels));
        // One level of 255 is 0.017 of a standard deviation: on average two levels, seven at worst.
        assert!(worst > 0.0 && worst < 0.12 && mean < 0.035, "epoch {epoch}: {worst}, {mean}");
    }
    // Views that compose need more pixels; these too are the same but for rounding.
    let (a, b) = both(view(Some(Augment { mosaic: 0.0, ..Augment::segmentation() }), 1));
    assert_eq!((&a.placements, &a.targets), (&b.placements, &b.targets));
    assert!(mean(&a.pixels, &b.pixels) < 0.035, "{}", mean(&a.pixels, &b.pixels));
    let small = |set: &Arc<Dataset>| pictures::thumbnail(&set.samples[0].image, 50).unwrap();
    let (a, b) = (small(&jpeg), small(&png));
    assert_eq!([a.width, a.height], [37, 50]);
    assert_eq!([a.width, a.height], [b.width, b.height]);
    let off = a.pixels.iter().zip(&b.pixels).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(a.pixels != b.pixels && off < Some(8), "{off:?}");
}

#[test]
fn dropping_it_stops_it_soon() {
    let bytes = png(3000, 2000, 1);
    let samples = (0..64).map(|n| {
        sample(ImageSource::Memory { name: n.to_string(), bytes: Arc::clone(&bytes) }, [3000, 2000], Target::default())
    });
    let set = dataset(samples.collect());
    let start = Instant::now();
    Loader::start(Arc::clone(&set), vec![0], 1, view(None, 0)).next_batch().unwrap();
    let one = start.elapsed();
    let loader = Loader::start(set, (0..64).collect(), 64, view(None, 0));
    std::thread::sleep(one);
    let start = Instant::now();
    drop(loader);
    // All 64 would take 32 times as long on two cores.
    assert!(start.elapsed() < one * 12, "{:?} for one picture, {:?} to stop", one, start.elapsed());
}

#[test]
fn hymenoptera_is_loaded_whole_and_twice_the_same() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/classification/hymenoptera"));
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent", path.display());
        return;
    }
    let set = Arc::new(open(path, &OpenOptions::default(), &Quiet).unwrap());
    let order = set.indices(Split::Train);
    let cache = Arc::new(PixelCache::default());
    let view = View { rule: Preprocess::imagenet(224), augment: Some(Augment::default()), seed: 0, epoch: 0 };
    let mut sums = Vec::new();
    for round in ["first", "from the cache"] {
        let start = Instant::now();
        let mut loader = Loader::start_cached(Arc::clone(&set), order.clone(), 16, view.clone(), Arc::clone(&cache));
        let (mut count, mut sum) = (0, 0.0f64);
        while let Some(batch) = loader.next_batch() {
            assert!(batch.failed.is_empty(), "{:?}", batch.failed);
            count += batch.indices.len();
            sum += batch.pixels.iter().map(|v| f64::from(*v)).sum::<f64>();
        }
        let rate = count as f64 / start.elapsed().as_secs_f64();
        eprintln!("{round}: {count} pictures, {rate:.0} a second, cache {} MB", cache.used_bytes() >> 20);
        assert_eq!(count, 245);
        sums.push(sum);
    }
    assert!(sums[0] == sums[1] && sums[0].is_finite());
}
