//! Random changes of a training picture: crop, mirror, color. Boxes and masks move with the pixels.
//!
//! What is drawn depends on (seed, epoch, picture) alone, never on threads or on the order of decoding.

use serde::{Deserialize, Serialize};

use super::copy::{crop, mirror};
use super::transform::preprocess;
use super::{Placement, Rgb8, color};
use crate::graph::{Preprocess, Resize};
use crate::rng::Rng;

/// Random changes of a training picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augment {
    /// Crop of random size and shape, resized to the input.
    pub random_resized_crop: Option<CropRange>,
    /// Probability of mirroring left to right.
    pub flip: f32,
    /// Random changes of color.
    pub jitter: Jitter,
    /// For pictures with boxes or masks: random size and place in the input.
    pub shift: Option<Shift>,
    /// For pictures with boxes or masks: probability of a crop that keeps a part of an object (of a mask, of a class).
    pub object_crop: f32,
    /// For pictures with boxes or masks: probability of four pictures in one.
    pub mosaic: f32,
    /// Epochs at the end without mosaic, so that training ends on pictures as they are.
    pub close_mosaic: u32,
    /// Sides of the input in pixels, one of which is drawn for each batch; empty: always the network's own. Few, because a
    /// device prepares its kernels for each. The closing epochs have the network's own.
    pub sizes: Vec<u32>,
}

/// Random size and place of a picture in the input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// Smallest and largest factor of its size.
    pub scale: [f32; 2],
    /// Largest shift from the middle, in parts of the input's sides.
    pub by: f32,
}

/// Range of a random resized crop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CropRange {
    /// Smallest and largest part of the picture's area (0-1).
    pub scale: [f32; 2],
    /// Smallest and largest ratio of width to height.
    pub ratio: [f32; 2],
}

/// Range of the color changes, as torchvision's `ColorJitter`; all 0 = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Jitter {
    /// Factor drawn from 1 - x to 1 + x.
    pub brightness: f32,
    /// Factor drawn from 1 - x to 1 + x.
    pub contrast: f32,
    /// Factor drawn from 1 - x to 1 + x.
    pub saturation: f32,
    /// Turn of the hue drawn from -x to x, in whole turns (at most 0.5).
    pub hue: f32,
}

impl Default for Augment {
    /// torchvision's reference recipe for classifiers, except for the smallest crop: its 0.08 of the area is made for
    /// ImageNet and often cuts the object out, which a small set cannot afford.
    fn default() -> Self {
        Self {
            random_resized_crop: Some(CropRange { scale: [0.35, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] }),
            flip: 0.5,
            ..Self::none()
        }
    }
}

impl Augment {
    /// No change at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            random_resized_crop: None,
            flip: 0.0,
            jitter: Jitter::default(),
            shift: None,
            object_crop: 0.0,
            mosaic: 0.0,
            close_mosaic: 0,
            sizes: Vec::new(),
        }
    }

    /// The usual changes for detectors: mirrored every other time, size and place at random, some crops around objects,
    /// mosaic but in the last epochs, and color as in YOLOX (Ge et al. 2021): value by 0.4, saturation by 0.7, hue by 0.015.
    #[must_use]
    pub fn detection() -> Self {
        Self {
            flip: 0.5,
            jitter: Jitter { brightness: 0.4, contrast: 0.0, saturation: 0.7, hue: 0.015 },
            shift: Some(Shift { scale: [0.5, 1.5], by: 0.1 }),
            object_crop: 0.3,
            mosaic: 0.5,
            close_mosaic: 10,
            ..Self::none()
        }
    }

    /// The usual changes for masks: mirrored every other time, size and place at random, every other time a crop that keeps
    /// a part of what the mask shows, brightness and contrast.
    #[must_use]
    pub fn segmentation() -> Self {
        Self {
            flip: 0.5,
            jitter: Jitter { brightness: 0.2, contrast: 0.2, saturation: 0.1, hue: 0.0 },
            shift: Some(Shift { scale: [0.75, 1.5], by: 0.1 }),
            object_crop: 0.5,
            ..Self::none()
        }
    }

    /// What applies in an epoch (from 0) of so many: without mosaic in the last ones, but never in more than half.
    #[must_use]
    pub fn at_epoch(&self, epoch: u32, epochs: u32) -> Self {
        if self.is_closing(epoch, epochs) {
            Self { mosaic: 0.0, sizes: Vec::new(), ..self.clone() }
        } else {
            self.clone()
        }
    }

    /// Whether an epoch (from 0) is one of the last, in which training ends on pictures as they are.
    #[must_use]
    pub fn is_closing(&self, epoch: u32, epochs: u32) -> bool {
        let closed = self.close_mosaic.min(epochs / 2);
        closed > 0 && epoch.saturating_add(closed) >= epochs
    }

    /// The sides that are usual around one: three quarters and five quarters of it, in whole cells of 32 pixels.
    #[must_use]
    pub fn sizes_around(side: u32) -> Vec<u32> {
        let mut sizes: Vec<u32> = [3, 4, 5].map(|quarters| (side * quarters / 128).max(1) * 32).to_vec();
        sizes.dedup();
        sizes
    }

    /// Whether it moves pictures as [`super::compose`] does, which needs their boxes or masks.
    pub(crate) fn composes(&self) -> bool {
        self.shift.is_some() || self.object_crop > 0.0 || self.mosaic > 0.0
    }

    /// Whether every view of a picture is the same.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::none()
    }
}

/// The random numbers of one view of one picture.
#[must_use]
pub fn view_rng(seed: u64, epoch: u64, index: usize) -> Rng {
    Rng::from_words(0, &[seed, epoch, index as u64])
}

/// One random view of a picture at the rule's input size, and where the picture lies in it.
#[must_use]
pub fn apply(image: &Rgb8, rule: &Preprocess, augment: &Augment, rng: &mut Rng) -> (Rgb8, Placement) {
    let moved = move_one(image, rule, augment, rng);
    (moved.input, moved.placement)
}

/// A random view of a picture.
pub(crate) struct Moved {
    pub input: Rgb8,
    /// Where the whole picture lies in it.
    pub placement: Placement,
    /// The part of it that shows the picture: left, top, right, bottom in pixels.
    pub window: [u32; 4],
}

/// [`apply`], with the part of the input that shows something: a crop ends before its picture does.
pub(crate) fn move_one(image: &Rgb8, rule: &Preprocess, augment: &Augment, rng: &mut Rng) -> Moved {
    let whole = [0, 0, image.width, image.height];
    let region = augment.random_resized_crop.as_ref().map(|range| crop_box(image.width, image.height, range, rng));
    let (mut input, mut placement) = match region {
        Some([left, top, width, height]) => {
            let part = crop(image, left, top, width, height);
            // A rule with a fixed crop gets the random one instead; a letterbox keeps the shape of what is in it.
            let resize = match rule.resize {
                Resize::ShorterThenCrop { .. } | Resize::Stretch => Resize::Stretch,
                letterbox => letterbox,
            };
            let (input, placement) = preprocess(&part, &Preprocess { resize, ..rule.clone() });
            (input, Placement::shift(-f64::from(left), -f64::from(top)).then(&placement))
        }
        None => preprocess(image, rule),
    };
    let flipped = rng.chance(augment.flip);
    if flipped {
        mirror(&mut input);
        placement = placement.mirrored(input.width);
    }
    apply_jitter(&mut input, &augment.jitter, rng);
    let window = window(&placement, region.unwrap_or(whole), rule.size);
    Moved { input, placement, window }
}

/// The part of an input that shows a region (left, top, width, height) of a picture.
pub(crate) fn window(placement: &Placement, region: [u32; 4], [height, width]: [u32; 2]) -> [u32; 4] {
    let [left, top, w, h] = region.map(|px| px as f32);
    let (ax, ay) = placement.input_from_image(left, top);
    let (bx, by) = placement.input_from_image(left + w, top + h);
    let side = |value: f32, limit: u32| value.round().clamp(0.0, limit as f32) as u32;
    [side(ax.min(bx), width), side(ay.min(by), height), side(ax.max(bx), width), side(ay.max(by), height)]
}

/// torchvision's `RandomResizedCrop.get_params`: left, top, width, height.
fn crop_box(width: u32, height: u32, range: &CropRange, rng: &mut Rng) -> [u32; 4] {
    let (w, h) = (f64::from(width), f64::from(height));
    let [low, high] = range.ratio.map(f64::from);
    for _ in 0..10 {
        let area = w * h * rng.range_f64(f64::from(range.scale[0]), f64::from(range.scale[1]));
        let ratio = rng.range_f64(low.ln(), high.ln()).exp();
        let (cw, ch) = ((area * ratio).sqrt().round_ties_even(), (area / ratio).sqrt().round_ties_even());
        if cw >= 1.0 && ch >= 1.0 && cw <= w && ch <= h {
            let (cw, ch) = (cw as u32, ch as u32);
            let top = rng.below((height - ch) as usize + 1) as u32;
            let left = rng.below((width - cw) as usize + 1) as u32;
            return [left, top, cw, ch];
        }
    }
    // The picture is narrower or wider than any ratio allows: the central part of the nearest ratio.
    let ratio = w / h.max(1.0);
    let side = |length: f64, limit: u32| (length.round_ties_even() as u32).clamp(1, limit.max(1));
    let (cw, ch) = if ratio < low {
        (width, side(w / low, height))
    } else if ratio > high {
        (side(h * high, width), height)
    } else {
        (width, height)
    };
    [(width - cw.min(width)) / 2, (height - ch.min(height)) / 2, cw, ch]
}

/// The four changes in random order, as torchvision's `ColorJitter`.
pub(super) fn apply_jitter(image: &mut Rgb8, jitter: &Jitter, rng: &mut Rng) {
    let mut order = [0, 1, 2, 3];
    rng.shuffle(&mut order);
    let mut factor = |spread: f32| rng.range_f64(f64::from((1.0 - spread).max(0.0)), f64::from(1.0 + spread)) as f32;
    let (brightness, contrast) = (factor(jitter.brightness), factor(jitter.contrast));
    let saturation = factor(jitter.saturation);
    let turn = rng.range_f64(f64::from(-jitter.hue), f64::from(jitter.hue)) as f32;
    for step in order {
        match step {
            0 if jitter.brightness > 0.0 => color::brightness(image, brightness),
            1 if jitter.contrast > 0.0 => color::contrast(image, contrast),
            2 if jitter.saturation > 0.0 => color::saturation(image, saturation),
            3 if jitter.hue > 0.0 => color::hue(image, turn.clamp(-0.5, 0.5)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: CropRange = CropRange { scale: [0.35, 1.0], ratio: [0.75, 4.0 / 3.0] };

    #[test]
    fn crops_lie_inside_and_in_range() {
        let mut rng = Rng::new(5);
        let mut areas = Vec::new();
        for _ in 0..2000 {
            let [left, top, width, height] = crop_box(500, 375, &RANGE, &mut rng);
            assert!(left + width <= 500 && top + height <= 375);
            let ratio = f64::from(width) / f64::from(height);
            assert!((0.74..1.35).contains(&ratio), "{width}x{height}");
            areas.push(f64::from(width) * f64::from(height) / (500.0 * 375.0));
        }
        let (low, high) = areas.iter().fold((1.0f64, 0.0f64), |(l, h), a| (l.min(*a), h.max(*a)));
        assert!((0.345..0.37).contains(&low) && (0.95..=1.0).contains(&high), "{low} {high}");
    }

    #[test]
    fn a_line_falls_back_to_its_middle() {
        // torchvision: ratio 1000 > 4/3, so height 1 and width round(1 * 4/3) = 1, left (1000 - 1) // 2.
        assert_eq!(crop_box(1000, 1, &CropRange { scale: [1.0, 1.0], ..RANGE }, &mut Rng::new(0)), [499, 0, 1, 1]);
    }

    #[test]
    fn points_move_with_the_pixels() {
        // A white 20x20 square on black: its center must be white in every view in which it lies.
        let mut image = Rgb8::filled(200, 150, 0);
        for y in 60..80 {
            for x in 40..60 {
                let at = (y * 200 + x) * 3;
                image.pixels[at..at + 3].fill(255);
            }
        }
        let rule = Preprocess::imagenet(64);
        let mut seen = 0;
        for epoch in 0..50 {
            let (input, placement) = apply(&image, &rule, &Augment::default(), &mut view_rng(1, epoch, 0));
            let (x, y) = placement.input_from_image(50.0, 70.0);
            let inside = |v: f32| (1.0..63.0).contains(&v);
            if inside(x) && inside(y) {
                seen += 1;
                assert!(input.pixels[(y as usize * 64 + x as usize) * 3] > 200, "epoch {epoch}: {x} {y}");
            }
        }
        assert!(seen > 25, "{seen}");
    }

    #[test]
    fn the_key_alone_decides() {
        let image = Rgb8 { width: 30, height: 20, pixels: (0..1800).map(|i| (i % 251) as u8).collect() };
        let augment = Augment {
            jitter: Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
            ..Augment::default()
        };
        let rule = Preprocess::imagenet(16);
        let view = |seed, epoch, index| apply(&image, &rule, &augment, &mut view_rng(seed, epoch, index)).0;
        assert_eq!(view(1, 2, 3), view(1, 2, 3));
        assert_ne!(view(1, 2, 3), view(2, 2, 3));
        assert_ne!(view(1, 2, 3), view(1, 3, 3));
        assert_ne!(view(1, 2, 3), view(1, 2, 4));
        let last: Vec<bool> = (0..6).map(|epoch| Augment::detection().at_epoch(epoch, 6).mosaic > 0.0).collect();
        assert_eq!(last, [true, true, true, false, false, false]);
        assert!(
            Augment::detection().at_epoch(89, 100).mosaic > 0.0 && Augment::detection().at_epoch(90, 100).mosaic == 0.0
        );
        let plain = apply(&image, &rule, &Augment::none(), &mut view_rng(1, 2, 3));
        assert_eq!(plain, preprocess(&image, &rule));
    }
}
