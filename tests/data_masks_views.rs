//! Masks move with their pictures: whatever is drawn, each pixel of a view has the color of the class that its mask says,
//! and what no picture covers is 255.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::PathBuf;
use std::sync::Arc;

use frostline::data::{
    Augment, CropRange, Dataset, ImageSource, LabelColumn, Loader, MaskPixels, MaskTarget, RawBatch, Sample, Shift,
    Split, Target, Task, View,
};
use frostline::graph::{Preprocess, Resize};
use frostline::rng::Rng;

const COLORS: [[u8; 3]; 4] = [[30, 30, 30], [255, 0, 0], [0, 255, 0], [0, 0, 255]];
/// A color that no mixture of those has.
const FILL: u8 = 200;

/// Rectangles of classes on a background, and the same as a picture.
fn painted(seed: u64) -> Sample {
    let mut rng = Rng::new(seed);
    // In steps of 8 pixels, so that no line is thinner than a pixel of the view.
    let (width, height) = (8 * (5 + rng.below(15)), 8 * (5 + rng.below(15)));
    let mut ids = vec![0u8; width * height];
    for class in [1, 2, 3, 1, 2, 3] {
        let (w, h) = (8 * (1 + rng.below(width / 16)), 8 * (1 + rng.below(height / 16)));
        let (x, y) = (8 * rng.below((width - w) / 8), 8 * rng.below((height - h) / 8));
        for row in ids.chunks_mut(width).skip(y).take(h) {
            row[x..x + w].fill(class);
        }
    }
    let size_px = [width as u32, height as u32];
    let pixels: Vec<u8> = ids.iter().flat_map(|id| COLORS[usize::from(*id)]).collect();
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_raw(size_px[0], size_px[1], pixels).unwrap();
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let mask = MaskPixels { width: size_px[0], height: size_px[1], ids };
    Sample {
        image: ImageSource::Memory { name: format!("{seed}.png"), bytes: bytes.into_inner().into() },
        split: Split::Train,
        size_px,
        target: Target { mask: Some(MaskTarget::Pixels(Arc::new(mask))), ..Target::default() },
    }
}

fn set() -> Arc<Dataset> {
    let classes = ["background", "red", "green", "blue"].map(str::to_owned).to_vec();
    let samples: Vec<Sample> = (0..8).map(painted).collect();
    Arc::new(Dataset {
        root: PathBuf::from("memory"),
        name: "memory".into(),
        task: Task::Segment,
        format: "memory".into(),
        columns: vec![LabelColumn::single(classes)],
        category_ids: Vec::new(),
        found: samples.len(),
        samples,
        issues: Vec::new(),
        suggested_split: false,
        unnamed: Vec::new(),
    })
}

/// Checks every picture of a batch; gives back how many pixels show something, and how many are padding.
fn check(batch: &RawBatch, fill: u8, told: &str) -> [usize; 2] {
    let [height, width] = batch.size_px.map(|px| px as usize);
    let mut seen = [0; 2];
    for (n, mask) in batch.masks.iter().enumerate() {
        let mask = mask.as_ref().unwrap();
        let pixel = |at: usize| {
            [0, 1, 2].map(|channel| (batch.pixels[(n * 3 + channel) * width * height + at] * 255.0).round() as u8)
        };
        for y in 0..height {
            for x in 0..width {
                let (at, id) = (y * width + x, mask[y * width + x]);
                let is_fill = pixel(at) == [fill; 3];
                assert_eq!(is_fill, id == 255, "{told}: picture {n} at {x} {y}: {:?} is {id}", pixel(at));
                seen[usize::from(is_fill)] += 1;
                // Resizing mixes colors around borders of classes, and a crop may leave a line of one at its border.
                let is_inside = x >= 3 && y >= 3 && x + 3 < width && y + 3 < height;
                let same = || (y - 3..y + 4).all(|v| (x - 3..x + 4).all(|u| mask[v * width + u] == id));
                if is_inside && id != 255 && same() {
                    let want = COLORS[usize::from(id)];
                    let near = pixel(at).iter().zip(want).all(|(got, want)| got.abs_diff(want) <= 2);
                    assert!(near, "{told}: picture {n} at {x} {y}: {:?} is {id}", pixel(at));
                }
            }
        }
    }
    seen
}

#[test]
fn pixels_and_masks_agree_in_every_view() {
    let set = set();
    let shift = Augment { shift: Some(Shift { scale: [0.6, 1.5], by: 0.2 }), flip: 0.5, ..Augment::none() };
    let crop = CropRange { scale: [0.3, 1.0], ratio: [0.6, 1.6] };
    let augments = [
        None,
        Some(Augment { random_resized_crop: Some(crop), flip: 0.5, ..Augment::none() }),
        Some(shift.clone()),
        Some(Augment { object_crop: 1.0, ..shift.clone() }),
        // Not with crops: where two tiles of one class meet, a line that a crop left would look like a mistake.
        Some(Augment { mosaic: 1.0, ..shift }),
    ];
    let letterboxes = [Resize::LetterboxCentre { fill: FILL }, Resize::LetterboxTopLeft { fill: FILL }];
    for resize in letterboxes.into_iter().chain([Resize::Stretch, Resize::ShorterThenCrop { shorter_px: 72 }]) {
        for (number, augment) in augments.iter().enumerate() {
            let rule = Preprocess { size: [64, 80], resize, mean: [0.0; 3], std: [1.0; 3], ..Preprocess::imagenet(64) };
            // Views of several places pad with their own grey where the rule has none; its own padding is black.
            let fill = match (&rule.resize, number) {
                (Resize::LetterboxCentre { fill } | Resize::LetterboxTopLeft { fill }, _) => *fill,
                (_, 0 | 1) => 0,
                _ => 114,
            };
            let mut seen = [0; 2];
            for epoch in 0..4 {
                let view = View { rule: rule.clone(), augment: augment.clone(), seed: 9, epoch };
                let mut loader = Loader::start(Arc::clone(&set), (0..8).collect(), 8, view);
                let batch = loader.next_batch().unwrap();
                assert_eq!((batch.indices.len(), batch.failed.len()), (8, 0));
                let of = check(&batch, fill, &format!("{resize:?}, augment {number}, epoch {epoch}"));
                seen = [seen[0] + of[0], seen[1] + of[1]];
            }
            assert!(seen[0] > 4 * 8 * 64 * 80 / 4, "{resize:?} {number}: {seen:?}");
        }
    }
}

#[test]
fn crops_keep_a_part_of_what_the_mask_shows() {
    // One small object in a large background: every second view without the crop would miss it.
    let mut sample = painted(1);
    let (width, height) = (200, 160);
    let mut ids = vec![0u8; width * height];
    ids.chunks_mut(width).skip(20).take(8).for_each(|row| row[30..38].fill(1));
    let pixels: Vec<u8> = ids.iter().flat_map(|id| COLORS[usize::from(*id)]).collect();
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_raw(200, 160, pixels).unwrap();
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    sample.image = ImageSource::Memory { name: "one".into(), bytes: bytes.into_inner().into() };
    sample.size_px = [200, 160];
    sample.target.mask = Some(MaskTarget::Pixels(Arc::new(MaskPixels { width: 200, height: 160, ids })));
    let set = Arc::new(Dataset { samples: vec![sample], ..set().as_ref().clone() });
    let augment = Augment { object_crop: 1.0, flip: 0.5, ..Augment::none() };
    let rule = Preprocess { resize: Resize::LetterboxCentre { fill: FILL }, ..Preprocess::imagenet(96) };
    for epoch in 0..30 {
        let view = View { rule: rule.clone(), augment: Some(augment.clone()), seed: 2, epoch };
        let batch = Loader::start(Arc::clone(&set), vec![0], 1, view).next_batch().unwrap();
        assert!(batch.masks[0].as_ref().unwrap().contains(&1), "epoch {epoch}");
    }
}
