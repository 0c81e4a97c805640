//! A decoded picture becomes the network's input: resize, crop or pad, normalize, as torchvision does on Pillow images.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::copy::paste;
use super::{BoxTarget, Rgb8};
use crate::graph::{Channels, Interpolation, Preprocess, Resize};

/// Where a picture lies in the network's input: `input = image * scale + offset` on each axis, in pixels with the
/// origin at the top left corner of the top left pixel. A negative scale is a mirrored picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    scale: [f64; 2],
    offset: [f64; 2],
}

impl Placement {
    /// The picture is the input.
    pub const IDENTITY: Self = Self { scale: [1.0, 1.0], offset: [0.0, 0.0] };

    /// The picture moved by this many pixels.
    pub(crate) fn shift(x: f64, y: f64) -> Self {
        Self { scale: [1.0, 1.0], offset: [x, y] }
    }

    /// The picture in a resized copy of itself.
    pub(crate) fn resized(from: [u32; 2], to: [u32; 2]) -> Self {
        let axis = |i: usize| f64::from(to[i]) / f64::from(from[i].max(1));
        Self { scale: [axis(0), axis(1)], offset: [0.0, 0.0] }
    }

    /// Scale and offset along x and y, as they are stored.
    pub(crate) fn parts(&self) -> [f64; 4] {
        [self.scale[0], self.scale[1], self.offset[0], self.offset[1]]
    }

    /// From what [`Placement::parts`] gave.
    pub(crate) fn from_parts([sx, sy, x, y]: [f64; 4]) -> Self {
        Self { scale: [sx, sy], offset: [x, y] }
    }

    /// Input pixels per picture pixel, along x and y.
    #[must_use]
    pub fn scale(&self) -> [f64; 2] {
        self.scale
    }

    /// The point of the input at which a point of the picture lies.
    #[must_use]
    pub fn input_from_image(&self, x: f32, y: f32) -> (f32, f32) {
        let axis = |value: f32, i: usize| (f64::from(value) * self.scale[i] + self.offset[i]) as f32;
        (axis(x, 0), axis(y, 1))
    }

    /// The point of the picture that lies at a point of the input.
    #[must_use]
    pub fn image_from_input(&self, x: f32, y: f32) -> (f32, f32) {
        let axis = |value: f32, i: usize| ((f64::from(value) - self.offset[i]) / self.scale[i]) as f32;
        (axis(x, 0), axis(y, 1))
    }

    /// First `self`, then `next`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        let axis = |i: usize| (self.scale[i] * next.scale[i], self.offset[i] * next.scale[i] + next.offset[i]);
        let ((sx, ox), (sy, oy)) = (axis(0), axis(1));
        Self { scale: [sx, sy], offset: [ox, oy] }
    }

    /// The same in an input of this width that is mirrored left to right.
    #[must_use]
    pub fn mirrored(&self, width: u32) -> Self {
        self.then(&Self { scale: [-1.0, 1.0], offset: [f64::from(width), 0.0] })
    }

    /// A box of the picture in the input, cut off at its borders; `None` where less than `min_visible` (0-1) of its
    /// area, or nothing, is left.
    #[must_use]
    pub fn place_box(&self, target: &BoxTarget, input_size: [u32; 2], min_visible: f32) -> Option<BoxTarget> {
        let [left, top, right, bottom] = target.xyxy;
        let (ax, ay) = self.input_from_image(left, top);
        let (bx, by) = self.input_from_image(right, bottom);
        let (whole, [height, width]) = ((bx - ax).abs() * (by - ay).abs(), input_size.map(|px| px as f32));
        let xyxy = [
            ax.min(bx).clamp(0.0, width),
            ay.min(by).clamp(0.0, height),
            ax.max(bx).clamp(0.0, width),
            ay.max(by).clamp(0.0, height),
        ];
        let visible = (xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1]);
        (visible > 0.0 && visible >= min_visible * whole).then_some(BoxTarget { xyxy, ..*target })
    }
}

/// One axis of a resize with crop or padding, in output pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    /// Length of the whole picture after resizing.
    resized: u32,
    /// First resized pixel that is seen.
    start: u32,
    /// Resized pixels that are seen.
    visible: u32,
    /// Padding before them.
    pad: u32,
}

impl Axis {
    /// torchvision's `center_crop`: padded when too short (the odd pixel after it), cropped at a rounded offset.
    fn centered(resized: u32, size: u32) -> Self {
        if resized < size {
            return Self { resized, start: 0, visible: resized, pad: (size - resized) / 2 };
        }
        Self { resized, start: half_to_even(resized - size), visible: size, pad: 0 }
    }

    fn placed(resized: u32, pad: u32) -> Self {
        Self { resized, start: 0, visible: resized, pad }
    }

    /// The part of the picture's axis that is seen, in picture pixels: start and length.
    fn source(&self, length: u32) -> (f64, f64) {
        let step = f64::from(length) / f64::from(self.resized.max(1));
        let start = f64::from(self.start) * step;
        (start, (f64::from(self.visible) * step).min(f64::from(length) - start))
    }

    fn placement(&self, length: u32) -> (f64, f64) {
        (f64::from(self.resized) / f64::from(length.max(1)), f64::from(self.pad) - f64::from(self.start))
    }
}

/// Half of `n`, a half rounded to the even neighbor: Python's `round`, which torchvision's `center_crop` uses.
fn half_to_even(n: u32) -> u32 {
    let half = n / 2;
    if n % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

/// A picture brought to the rule's input size, still 8-bit RGB, and where it lies in it.
///
/// Only the part that is seen is computed, so a 1x60000 picture costs no more than any other.
#[must_use]
pub fn preprocess(image: &Rgb8, rule: &Preprocess) -> (Rgb8, Placement) {
    let [height, width] = rule.size;
    let (x, y, fill) = axes(image, rule);
    let ((sx, ox), (sy, oy)) = (x.placement(image.width), y.placement(image.height));
    let placement = Placement { scale: [sx, sy], offset: [ox, oy] };
    let ((left, seen_width), (top, seen_height)) = (x.source(image.width), y.source(image.height));
    let seen = resize_region(image, [left, top, seen_width, seen_height], x.visible, y.visible, Filter::of(rule));
    if [seen.width, seen.height] == [width, height] {
        return (seen, placement);
    }
    let mut input = Rgb8::filled(width, height, fill);
    paste(&mut input, &seen, x.pad, y.pad);
    (input, placement)
}

fn axes(image: &Rgb8, rule: &Preprocess) -> (Axis, Axis, u8) {
    let [height, width] = rule.size;
    let letterbox = |add: f64| {
        let (w, h) = (f64::from(image.width.max(1)), f64::from(image.height.max(1)));
        let scale = (f64::from(width) / w).min(f64::from(height) / h);
        // Never nothing, never larger than the input.
        let side = |length: f64, limit: u32| ((length * scale + add) as u32).clamp(1, limit.max(1));
        (side(w, width), side(h, height))
    };
    match rule.resize {
        Resize::ShorterThenCrop { shorter_px } => {
            let (w, h) = shorter_side_to(image.width, image.height, shorter_px);
            (Axis::centered(w, width), Axis::centered(h, height), 0)
        }
        Resize::Stretch => (Axis::placed(width, 0), Axis::placed(height, 0), 0),
        Resize::LetterboxCentre { fill } => {
            let (w, h) = letterbox(0.5);
            (Axis::placed(w, width.saturating_sub(w) / 2), Axis::placed(h, height.saturating_sub(h) / 2), fill)
        }
        Resize::LetterboxTopLeft { fill } => {
            let (w, h) = letterbox(0.0);
            (Axis::placed(w, 0), Axis::placed(h, 0), fill)
        }
        Resize::FitTopLeft => {
            let (w, h) = letterbox(0.5);
            (Axis::placed(w, 0), Axis::placed(h, 0), 0)
        }
    }
}

/// torchvision's `Resize(int)`: the shorter side becomes `shorter_px`, the longer one is cut to whole pixels.
pub(crate) fn shorter_side_to(width: u32, height: u32, shorter_px: u32) -> (u32, u32) {
    let shorter_px = shorter_px.max(1);
    let (short, long) = (width.min(height).max(1), width.max(height));
    let longer = u64::from(shorter_px) * u64::from(long) / u64::from(short);
    let longer = u32::try_from(longer).unwrap_or(u32::MAX);
    if width <= height { (shorter_px, longer) } else { (longer, shorter_px) }
}

/// How pixels are weighed in a resize.
#[derive(Clone, Copy, Debug)]
struct Filter {
    interpolation: Interpolation,
    antialias: bool,
}

impl Filter {
    fn of(rule: &Preprocess) -> Self {
        Self { interpolation: rule.interpolation, antialias: rule.antialias }
    }

    /// Half its width, in the larger of source and target pixels.
    fn support(self) -> f64 {
        match self.interpolation {
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
        }
    }

    /// The four source pixels around each of `count` targets with their shares, without antialias. The part of the
    /// axis that is seen begins at `start` and is `seen` long; beyond the border the last pixel goes on.
    fn taps(self, length: u32, start: f64, seen: f64, count: u32) -> Vec<[(usize, f32); 4]> {
        let share = |distance: f64| match self.interpolation {
            Interpolation::Bilinear => (1.0 - distance.abs()).max(0.0),
            Interpolation::Bicubic => sharp_cubic(distance.abs()),
        };
        let tap = |target: u32| {
            let at = start + (f64::from(target) + 0.5) * seen / f64::from(count) - 0.5;
            std::array::from_fn(|k| {
                let pixel = at.floor() + k as f64 - 1.0;
                (pixel.clamp(0.0, f64::from(length.max(1) - 1)) as usize, share(at - pixel) as f32)
            })
        };
        (0..count).map(tap).collect()
    }
}

/// Keys' cubic convolution (1981) with a = -0.75, as torch and OpenCV take it where they do not antialias.
fn sharp_cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        A * (((x - 5.0) * x + 8.0) * x - 4.0)
    } else {
        0.0
    }
}

/// The resize without antialias: each target pixel from the source pixels around its place.
fn interpolate(image: &Rgb8, region: [f64; 4], width: u32, height: u32, filter: Filter) -> Rgb8 {
    let [left, top, seen_width, seen_height] = region;
    let columns = filter.taps(image.width, left, seen_width, width);
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for rows in filter.taps(image.height, top, seen_height, height) {
        for column in &columns {
            let mut sum = [0.0; 3];
            for (row, row_share) in rows {
                for (x, share) in column {
                    let at = row * image.stride() + x * 3;
                    let pixel = image.pixels.get(at..at + 3).unwrap_or(&[0; 3]);
                    for (sum, value) in sum.iter_mut().zip(pixel) {
                        *sum += row_share * share * f32::from(*value);
                    }
                }
            }
            pixels.extend(sum.map(|value| value.round_ties_even().clamp(0.0, 255.0) as u8));
        }
    }
    Rgb8 { width, height, pixels }
}

/// Resizes a whole picture; antialiased when shrinking, as Pillow does.
#[must_use]
pub fn resize(image: &Rgb8, width: u32, height: u32, interpolation: Interpolation) -> Rgb8 {
    let whole = [0.0, 0.0, f64::from(image.width), f64::from(image.height)];
    resize_region(image, whole, width, height, Filter { interpolation, antialias: true })
}

/// The same of the part `[left, top, width, height]` (pixels, fractions allowed) of a picture.
pub(crate) fn resize_part(
    image: &Rgb8,
    region: [f64; 4],
    width: u32,
    height: u32,
    interpolation: Interpolation,
) -> Rgb8 {
    resize_region(image, region, width, height, Filter { interpolation, antialias: true })
}

/// Resizes the part `[left, top, width, height]` (pixels, fractions allowed) of a picture. Pixels around the part have
/// their share in its border, as if the whole had been resized and cropped.
fn resize_region(image: &Rgb8, region: [f64; 4], width: u32, height: u32, filter: Filter) -> Rgb8 {
    /// Pixels between the passes; only a picture one pixel wide and millions high gets there.
    const MAX_BETWEEN: f64 = 256e6;
    let [left, top, seen_width, seen_height] = region;
    // Pillow goes along x first and rounds to 8 bits in between; fast_image_resize would go along y first, which moves
    // a fifth of the pixels by a level (bicubic: by up to 5). So the passes are two calls, over the rows that are used.
    if !filter.antialias {
        return interpolate(image, region, width, height, filter);
    }
    let support = filter.support() * (seen_height / f64::from(height.max(1))).max(1.0);
    let first = (top - support).floor().max(0.0);
    let rows = (top + seen_height + support).ceil().min(f64::from(image.height)) - first;
    let along_y = seen_height != f64::from(height) || top.fract() != 0.0;
    if !along_y || f64::from(width) * rows > MAX_BETWEEN {
        return convolve(image, region, width, height, filter.interpolation);
    }
    let between = convolve(image, [left, first, seen_width, rows], width, rows as u32, filter.interpolation);
    convolve(&between, [0.0, top - first, f64::from(width), seen_height], width, height, filter.interpolation)
}

fn convolve(image: &Rgb8, region: [f64; 4], width: u32, height: u32, interpolation: Interpolation) -> Rgb8 {
    let filter = match interpolation {
        Interpolation::Bilinear => FilterType::Bilinear,
        // Catmull-Rom with a = -0.5 is Pillow's bicubic.
        Interpolation::Bicubic => FilterType::CatmullRom,
    };
    let [left, top, seen_width, seen_height] = region;
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(left, top, seen_width, seen_height);
    let mut out = Image::new(width, height, PixelType::U8x3);
    if let Ok(source) = ImageRef::new(image.width, image.height, &image.pixels, PixelType::U8x3) {
        let done = Resizer::new().resize(&source, &mut out, &options);
        // The region always lies inside the picture, and both are U8x3: no error is left.
        debug_assert!(done.is_ok(), "{done:?}");
    }
    Rgb8 { width, height, pixels: out.into_vec() }
}

/// Fills `out` (`[3, height, width]`, channels in the rule's order) with the normalized pixels of an input-sized
/// picture. In torchvision's order of operations (divide, subtract, divide), so that it is equal to the last bit.
pub fn normalize(image: &Rgb8, rule: &Preprocess, out: &mut [f32]) {
    let area = image.width as usize * image.height as usize;
    for (channel, plane) in out.chunks_exact_mut(area.max(1)).take(3).enumerate() {
        let source = match rule.channels {
            Channels::Rgb => channel,
            Channels::Bgr => 2 - channel,
        };
        let table: [f32; 256] =
            std::array::from_fn(|value| (value as f32 / rule.divide_by - rule.mean[channel]) / rule.std[channel]);
        let (pixels, _) = image.pixels.as_chunks::<3>();
        for (value, pixel) in plane.iter_mut().zip(pixels) {
            *value = table[usize::from(pixel[source])];
        }
    }
}

/// Sets to zero what lies outside of a picture of this width and height in a normalized input, where the rule wants so.
pub fn clear_padding(rule: &Preprocess, placement: &Placement, image_px: [u32; 2], input: &mut [f32]) {
    if rule.resize != Resize::FitTopLeft {
        return;
    }
    let [height, width] = rule.size.map(|n| n as usize);
    let seen = |axis: usize, limit: usize| {
        let ends = [0.0, f64::from(image_px[axis])].map(|x| x * placement.scale[axis] + placement.offset[axis]);
        let [low, high] =
            [ends[0].min(ends[1]), ends[0].max(ends[1])].map(|x| (x.round().max(0.0) as usize).min(limit));
        low..high
    };
    let (columns, rows) = (seen(0, width), seen(1, height));
    for plane in input.chunks_exact_mut((width * height).max(1)) {
        for (y, row) in plane.chunks_exact_mut(width.max(1)).enumerate() {
            if rows.contains(&y) {
                row[..columns.start].fill(0.0);
                row[columns.end..].fill(0.0);
            } else {
                row.fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crop_offsets_round_as_python() {
        // [round(n / 2) for n in range(8)] in Python.
        assert_eq!((0..8).map(half_to_even).collect::<Vec<_>>(), [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn the_longer_side_is_cut_as_torchvision_cuts_it() {
        // int(32 * 53 / 37) = int(45.8); int(256 * 500 / 375) = int(341.3)
        assert_eq!(shorter_side_to(53, 37, 32), (45, 32));
        assert_eq!(shorter_side_to(500, 375, 256), (341, 256));
        assert_eq!(shorter_side_to(375, 500, 256), (256, 341));
        assert_eq!(shorter_side_to(1, 60_000, 256), (256, 15_360_000));
    }

    #[test]
    fn placement_goes_there_and_back_for_every_rule() {
        let image = Rgb8::filled(53, 37, 9);
        let base = Preprocess { size: [20, 24], ..Preprocess::imagenet(24) };
        for resize in [
            Resize::ShorterThenCrop { shorter_px: 22 },
            Resize::ShorterThenCrop { shorter_px: 10 },
            Resize::Stretch,
            Resize::LetterboxCentre { fill: 114 },
            Resize::LetterboxTopLeft { fill: 0 },
        ] {
            let (input, placement) = preprocess(&image, &Preprocess { resize, ..base.clone() });
            assert_eq!((input.width, input.height), (24, 20));
            let placement = placement.mirrored(24);
            let (x, y) = placement.input_from_image(12.5, 30.25);
            let (x, y) = placement.image_from_input(x, y);
            assert!((x - 12.5).abs() < 1e-4 && (y - 30.25).abs() < 1e-4, "{resize:?} {x} {y}");
        }
    }

    #[test]
    fn letterboxes_put_the_picture_and_the_fill_where_they_say() {
        let image = Rgb8::filled(40, 20, 200);
        let rule = |resize| Preprocess { resize, ..Preprocess::imagenet(20) };
        // Scale 0.5: 20 x 10 pixels, 5 rows of padding above and below.
        let (input, placement) = preprocess(&image, &rule(Resize::LetterboxCentre { fill: 114 }));
        let rows: Vec<u8> = input.pixels.chunks_exact(60).map(|row| row[0]).collect();
        assert_eq!(rows, [vec![114; 5], vec![200; 10], vec![114; 5]].concat());
        assert_eq!(placement.input_from_image(40.0, 20.0), (20.0, 15.0));
        let (input, placement) = preprocess(&image, &rule(Resize::LetterboxTopLeft { fill: 0 }));
        let rows: Vec<u8> = input.pixels.chunks_exact(60).map(|row| row[0]).collect();
        assert_eq!(rows, [vec![200; 10], vec![0; 10]].concat());
        assert_eq!(placement.input_from_image(40.0, 20.0), (20.0, 10.0));
    }

    #[test]
    fn a_letterbox_at_the_corner_cuts_to_whole_pixels_and_a_centered_one_rounds() {
        // int(426 * 416 / 640) = int(276.9); round gives 277, and (416 - 277) // 2 = 69 rows lie above.
        let image = Rgb8::filled(640, 426, 200);
        let rule = |resize| Preprocess { resize, ..Preprocess::imagenet(416) };
        let rows = |resize| {
            let (input, _) = preprocess(&image, &rule(resize));
            let rows: Vec<u8> = input.pixels.chunks_exact(3 * 416).map(|row| row[0]).collect();
            (rows.iter().position(|p| *p == 200).unwrap_or(0), rows.iter().filter(|p| **p == 200).count())
        };
        assert_eq!(rows(Resize::LetterboxTopLeft { fill: 114 }), (0, 276));
        assert_eq!(rows(Resize::LetterboxCentre { fill: 114 }), (69, 277));
    }

    #[test]
    fn boxes_are_mirrored_and_cut() {
        let target = BoxTarget { crowd: true, ..BoxTarget::new(3, [-4.0, 2.0, 6.0, 8.0]) };
        let mirrored = Placement::IDENTITY.mirrored(10);
        let placed = mirrored.place_box(&target, [10, 10], 0.1);
        // x becomes 4..14, cut at 10.
        assert_eq!(placed, Some(BoxTarget { xyxy: [4.0, 2.0, 10.0, 8.0], ..target }));
        assert_eq!(mirrored.place_box(&target, [10, 10], 0.7), None);
        let outside = BoxTarget { xyxy: [-4.0, 2.0, 0.0, 8.0], ..target };
        assert_eq!(mirrored.place_box(&outside, [10, 10], 0.0), None);
    }

    #[test]
    fn extreme_shapes_cost_little() {
        let line = Rgb8::filled(1, 60_000, 77);
        let (input, _) = preprocess(&line, &Preprocess::imagenet(224));
        assert_eq!((input.width, input.height), (224, 224));
        assert!(input.pixels.iter().all(|p| *p == 77));
    }

    #[test]
    fn normalize_orders_channels() {
        let image = Rgb8 { width: 1, height: 1, pixels: vec![255, 0, 51] };
        let rule = Preprocess {
            channels: Channels::Bgr,
            mean: [0.2, 0.5, 0.0],
            std: [1.0, 0.5, 2.0],
            ..Preprocess::imagenet(1)
        };
        let mut out = [0.0; 3];
        normalize(&image, &rule, &mut out);
        // blue 0.2 - 0.2; green (0 - 0.5) / 0.5; red 1 / 2
        assert_eq!(out, [0.0, -1.0, 0.5]);
    }
}
