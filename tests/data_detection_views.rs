//! Random views of pictures with boxes as the loader gives them: mosaic, its end, and what decides about them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::sync::Arc;

use frostline::data::{Augment, Dataset, Loader, OpenOptions, Quiet, RawBatch, Split, View, open};
use frostline::graph::{Preprocess, Resize};

/// Twelve pictures of 60 x 40 pixels in one color each, with one box of it on black, and one without a box.
fn set(root: &Path) -> Arc<Dataset> {
    for part in ["train", "val"] {
        for folder in ["images", "labels"] {
            std::fs::create_dir_all(root.join(folder).join(part)).unwrap();
        }
    }
    for n in 0..13u8 {
        let inside = |x, y| n < 12 && (12..36).contains(&x) && (10..30).contains(&y);
        let picture = image::RgbImage::from_fn(60, 40, |x, y| {
            if inside(x, y) { image::Rgb([100 + n * 12, 255, 30]) } else { image::Rgb([0; 3]) }
        });
        let part = if n % 4 == 3 { "val" } else { "train" };
        picture.save(root.join(format!("images/{part}/{n:02}.png"))).unwrap();
        let label = if n < 12 { format!("{} 0.4 0.5 0.4 0.5\n", n % 3) } else { String::new() };
        std::fs::write(root.join(format!("labels/{part}/{n:02}.txt")), label).unwrap();
    }
    std::fs::write(root.join("data.yaml"), "train: images/train\nval: images/val\nnames: [a, b, c]\n").unwrap();
    Arc::new(open(root, &OpenOptions::default(), &Quiet).unwrap())
}

fn load(set: &Arc<Dataset>, order: &[usize], batch: usize, augment: &Augment, epoch: u64) -> Vec<RawBatch> {
    let rule = Preprocess {
        size: [64, 96],
        resize: Resize::LetterboxTopLeft { fill: 0 },
        divide_by: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
        ..Preprocess::imagenet(64)
    };
    let view = View { rule, augment: Some(augment.clone()), seed: 5, epoch };
    let mut loader = Loader::start(Arc::clone(set), order.to_vec(), batch, view);
    std::iter::from_fn(|| loader.next_batch()).collect()
}

/// Pixels and boxes of each picture.
fn views(batches: &[RawBatch]) -> Vec<(usize, Vec<f32>, Vec<[f32; 4]>)> {
    let length = 3 * 64 * 96;
    let of = |batch: &RawBatch| {
        assert!(batch.failed.is_empty(), "{:?}", batch.failed);
        let boxes = |at: usize| batch.targets[at].boxes.as_ref().unwrap().iter().map(|one| one.xyxy).collect();
        let pixels = |at: usize| batch.pixels[at * length..][..length].to_vec();
        (0..batch.indices.len()).map(|at| (batch.indices[at], pixels(at), boxes(at))).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

#[test]
fn a_mosaic_has_the_boxes_of_four_and_depends_on_seed_epoch_and_picture_alone() {
    let dir = tempfile::tempdir().unwrap();
    let set = set(dir.path());
    let train = set.indices(Split::Train);
    let augment = Augment { mosaic: 1.0, object_crop: 0.0, ..Augment::detection() };
    let views_of = |order: &[usize], batch, epoch| views(&load(&set, order, batch, &augment, epoch));
    let all = views_of(&train, 4, 1);
    let backward: Vec<usize> = train.iter().rev().copied().collect();
    let mut again = views_of(&backward, 3, 1);
    again.reverse();
    assert_eq!(all, again);
    assert_ne!(all, views_of(&train, 4, 2));
    let boxes: usize = all.iter().map(|(.., boxes)| boxes.len()).sum();
    // Ten pictures of four tiles each; a cut or empty tile has none.
    assert!(boxes > 2 * train.len() && boxes <= 4 * train.len(), "{boxes}");
    for (index, pixels, boxes) in &all {
        for [left, top, right, bottom] in boxes {
            assert!(0.0 <= *left && left < right && *right <= 96.0 && 0.0 <= *top && top < bottom && *bottom <= 64.0);
            // Green is 255 in every box before the change of color, which leaves it far from black.
            let (x, y) = (((left + right) / 2.0) as usize, ((top + bottom) / 2.0) as usize);
            if right - left > 4.0 && bottom - top > 4.0 {
                assert!(pixels[64 * 96 + y * 96 + x] > 90.0, "picture {index} at {x} {y}");
            }
        }
    }
}

#[test]
fn the_last_epochs_show_pictures_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let set = set(dir.path());
    let train = set.indices(Split::Train);
    let augment = Augment { mosaic: 1.0, close_mosaic: 2, ..Augment::detection() };
    let at_most = |epoch: u32| {
        let batches = load(&set, &train, 8, &augment.at_epoch(epoch, 10), u64::from(epoch));
        views(&batches).iter().map(|(.., boxes)| boxes.len()).max().unwrap()
    };
    assert!(at_most(0) > 1 && at_most(7) > 1);
    assert_eq!((at_most(8), at_most(9)), (1, 1));
}

#[test]
fn rare_classes_come_more_often() {
    let dir = tempfile::tempdir().unwrap();
    let set = set(dir.path());
    // Training pictures 0 1 2 4 5 6 8 9 10 12: classes 0 1 2 1 2 0 2 0 1 and none.
    assert_eq!(set.pictures_per_class(Split::Train), [3, 3, 3]);
    // sqrt(0.675 / 0.3) = 1.5 for each class, 1 for the picture without.
    let factors = set.repeat_factors(Split::Train, 0.675);
    assert!(factors[..9].iter().all(|factor| (factor - 1.5).abs() < 1e-9) && factors[9] == 1.0, "{factors:?}");
}

#[test]
fn each_batch_has_one_of_the_sizes_and_boxes_that_fit_it() {
    let dir = tempfile::tempdir().unwrap();
    let set = set(dir.path());
    let train = set.indices(Split::Train);
    let augment = Augment { sizes: vec![60, 90, 120], close_mosaic: 2, ..Augment::none() };
    let mut seen = std::collections::BTreeSet::new();
    for epoch in 0..6 {
        let batches = load(&set, &train, 2, &augment, epoch);
        for batch in &batches {
            let [height, width] = batch.size_px;
            assert_eq!(height, width);
            assert_eq!(batch.pixels.len(), batch.indices.len() * 3 * (height * width) as usize);
            seen.insert(height);
            for one in batch.targets.iter().flat_map(|target| target.boxes.iter().flatten()) {
                // A picture of 60 x 40 pixels in the upper left corner of a square; its box lies at 12, 10, 36, 30.
                let scale = height as f32 / 60.0;
                for (side, px) in one.xyxy.iter().zip([12.0, 10.0, 36.0, 30.0]) {
                    assert!((side - px * scale).abs() < 1e-3, "{:?} at {height}", one.xyxy);
                }
            }
        }
        // A run that is taken up after two batches sees the same sizes.
        let rest = load(&set, &train[4..], 2, &augment, epoch);
        let sizes = |batches: &[RawBatch]| batches.iter().map(|batch| batch.size_px).collect::<Vec<_>>();
        assert_eq!(sizes(&rest), sizes(&batches)[2..]);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [60, 90, 120]);
    // The last epochs have the network's own size.
    let last = load(&set, &train, 2, &augment.at_epoch(9, 10), 9);
    assert!(last.iter().all(|batch| batch.size_px == [64, 96]));
    assert_eq!(Augment::sizes_around(416), [288, 416, 512]);
    assert_eq!(Augment::sizes_around(32), [32]);
}
