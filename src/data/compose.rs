//! Random views of pictures with boxes or masks: crop around objects, scale and place, or four pictures in one (mosaic).
//! Boxes and masks move with the pixels and are cut off where these are.
//!
//! Mosaic: Bochkovskiy et al. 2020 (<https://arxiv.org/abs/2004.10934>). Crops by overlap: Liu et al. 2016, SSD
//! (<https://arxiv.org/abs/1512.02325>).

use super::augment::{Augment, apply_jitter};
use super::copy::{crop, mirror, paste};
use super::mask::{boxes_of_classes, paint_mask};
use super::transform::resize;
use super::{BoxTarget, IGNORE_ID, InstancePixels, MaskPixels, Placement, Rgb8, VOID};
use crate::graph::{Preprocess, Resize};
use crate::rng::Rng;
use std::borrow::Cow;

/// Color of what no picture covers, where the rule has none of its own.
const FILL: u8 = 114;
/// Smallest overlaps of which one is drawn: what a crop must share with an object (intersection over union).
const OVERLAPS: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];
/// Crops that are tried before the picture is left whole.
const TRIES: usize = 50;

/// A picture that takes part in a view.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// Its pixels, reduced perhaps.
    pub image: &'a Rgb8,
    /// Where the whole picture lies in `image`.
    pub placement: Placement,
    /// Its boxes in pixels of the whole picture.
    pub boxes: &'a [BoxTarget],
    /// Its mask at the size of the whole picture.
    pub mask: Option<&'a MaskPixels>,
    /// The objects of its mask at the size of the whole picture.
    pub objects: Option<&'a InstancePixels>,
}

/// A view at the rule's input size.
#[derive(Clone, Debug)]
pub struct View {
    /// The pixels.
    pub input: Rgb8,
    /// The boxes of all tiles in pixels of the input.
    pub boxes: Vec<BoxTarget>,
    /// `[height, width]` class ids where the first tile has a mask: those of all tiles, 255 where no picture is.
    pub mask: Option<Vec<u8>>,
    /// `[height, width]` numbers of objects where the first tile has them: those of all tiles, each its own.
    pub objects: Option<Vec<u16>>,
    /// Where the first tile's whole picture lies in the input.
    pub placement: Placement,
}

/// One random view: of the first tile alone, or of four tiles around a point. A box of which less than `min_visible`
/// (0-1) of the area is left is dropped.
#[must_use]
pub fn compose(tiles: &[Tile<'_>], rule: &Preprocess, augment: &Augment, min_visible: f32, rng: &mut Rng) -> View {
    let [height, width] = rule.size;
    let fill = match rule.resize {
        Resize::LetterboxCentre { fill } | Resize::LetterboxTopLeft { fill } => fill,
        Resize::ShorterThenCrop { .. } | Resize::Stretch | Resize::FitTopLeft => FILL,
    };
    let mask = tiles.first().and_then(|tile| tile.mask).map(|_| vec![IGNORE_ID; width as usize * height as usize]);
    let input = Rgb8::filled(width, height, fill);
    let objects = tiles.first().and_then(|tile| tile.objects).map(|_| vec![VOID; width as usize * height as usize]);
    let mut view = View { input, boxes: Vec::new(), mask, objects, placement: Placement::IDENTITY };
    let mut numbered = 0;
    let middle = |length: u32, rng: &mut Rng| (f64::from(length) * rng.range_f64(0.25, 0.75)).round() as u32;
    let (x, y) = if tiles.len() == 4 { (middle(width, rng), middle(height, rng)) } else { (0, 0) };
    for (at, tile) in tiles.iter().enumerate() {
        let region = object_crop(tile, augment, rng);
        let [scale_x, scale_y] = scale(rule, region, augment, tiles.len() == 4, rng);
        let side = |length: u32, scale: f64| ((f64::from(length) * scale).round() as i64).max(1);
        let (w, h) = (side(region[2], scale_x), side(region[3], scale_y));
        // The part of the input that the tile may cover, and where its left top corner is.
        let (window, left, top) = if tiles.len() == 4 {
            let (right, below) = (at % 2 == 1, at / 2 == 1);
            let window = [
                if right { x } else { 0 },
                if below { y } else { 0 },
                if right { width } else { x },
                if below { height } else { y },
            ];
            let corner = |after: bool, middle: u32, length: i64| {
                if after { i64::from(middle) } else { i64::from(middle) - length }
            };
            (window, corner(right, x, w), corner(below, y, h))
        } else {
            let free = |length: u32, own: i64, rng: &mut Rng| {
                let shift = augment.shift.map_or(0.0, |shift| rng.range_f64(-f64::from(shift.by), f64::from(shift.by)));
                (i64::from(length) - own) / 2 + (shift * f64::from(length)).round() as i64
            };
            ([0, 0, width, height], free(width, w, rng), free(height, h, rng))
        };
        let placed = place(tile, region, [left, top, w, h], window, &mut view.input);
        if at == 0 {
            view.placement = placed;
        }
        // What is drawn of the tile: a crop's pixels end before its picture does.
        let px = |at: i64| u32::try_from(at.max(0)).unwrap_or(0);
        let [x0, y0] = [window[0].max(px(left)), window[1].max(px(top))];
        let [x1, y1] = [window[2].min(px(left + w)).max(x0), window[3].min(px(top + h)).max(y0)];
        if let (Some(onto), Some(mask)) = (&mut view.mask, tile.mask) {
            paint_mask(onto, mask.into(), &placed, rule.size, [x0, y0, x1, y1]);
        }
        if let (Some(onto), Some(objects)) = (&mut view.objects, tile.objects) {
            let own = after(objects, numbered);
            numbered = own.ids.iter().copied().filter(|id| *id != VOID).max().unwrap_or(0).max(numbered);
            paint_mask(onto, own.as_ref().into(), &placed, rule.size, [x0, y0, x1, y1]);
        }
        let in_window = placed.then(&Placement::shift(-f64::from(x0), -f64::from(y0)));
        let (dx, dy) = (x0 as f32, y0 as f32);
        let boxes = tile.boxes.iter().filter_map(|one| in_window.place_box(one, [y1 - y0, x1 - x0], min_visible));
        view.boxes.extend(boxes.map(|one| {
            let [a, b, c, d] = one.xyxy;
            BoxTarget { xyxy: [a + dx, b + dy, c + dx, d + dy], ..one }
        }));
    }
    if rng.chance(augment.flip) {
        mirror(&mut view.input);
        view.placement = view.placement.mirrored(width);
        let across = (width as usize).max(1);
        view.mask.iter_mut().flat_map(|ids| ids.chunks_exact_mut(across)).for_each(<[u8]>::reverse);
        view.objects.iter_mut().flat_map(|ids| ids.chunks_exact_mut(across)).for_each(<[u16]>::reverse);
        let width = width as f32;
        for one in &mut view.boxes {
            let [left, top, right, bottom] = one.xyxy;
            one.xyxy = [width - right, top, width - left, bottom];
        }
    }
    apply_jitter(&mut view.input, &augment.jitter, rng);
    view
}

/// Objects with numbers after this one.
fn after(objects: &InstancePixels, numbered: u16) -> Cow<'_, InstancePixels> {
    if numbered == 0 {
        return Cow::Borrowed(objects);
    }
    let number = |id: &u16| if matches!(*id, 0 | VOID) { *id } else { id.saturating_add(numbered) };
    Cow::Owned(InstancePixels { ids: objects.ids.iter().map(number).collect(), ..*objects })
}

/// Factors from the pixels of a region to those of the input.
fn scale(rule: &Preprocess, region: [u32; 4], augment: &Augment, mosaic: bool, rng: &mut Rng) -> [f64; 2] {
    let [height, width] = rule.size.map(f64::from);
    let (x, y) = (width / f64::from(region[2].max(1)), height / f64::from(region[3].max(1)));
    let factor = augment.shift.map_or(1.0, |shift| {
        let [low, high] = shift.scale.map(f64::from);
        rng.range_f64(low.max(0.01), high.max(low.max(0.01)))
    });
    // Four pictures have half the input's side each on average.
    let factor = if mosaic { factor * 0.75 } else { factor };
    match rule.resize {
        Resize::LetterboxCentre { .. } | Resize::LetterboxTopLeft { .. } | Resize::FitTopLeft => [x.min(y) * factor; 2],
        Resize::ShorterThenCrop { .. } | Resize::Stretch => [x * factor, y * factor],
    }
}

/// Left, top, width and height in pixels of the tile's image: the whole, or a part that shares enough with an object.
fn object_crop(tile: &Tile<'_>, augment: &Augment, rng: &mut Rng) -> [u32; 4] {
    let (width, height) = (tile.image.width, tile.image.height);
    let whole = [0, 0, width, height];
    if !rng.chance(augment.object_crop) {
        return whole;
    }
    // A mask without boxes: around what it shows.
    let of_mask = tile.mask.filter(|_| tile.boxes.is_empty()).map(boxes_of_classes).unwrap_or_default();
    let of_mask = of_mask.into_iter().map(|xyxy| BoxTarget::new(0, xyxy));
    let objects: Vec<[f64; 4]> = tile
        .boxes
        .iter()
        .filter(|one| !one.crowd)
        .copied()
        .chain(of_mask)
        .filter_map(|one| tile.placement.place_box(&one, [height, width], 0.0))
        .map(|one| one.xyxy.map(f64::from))
        .collect();
    let least = OVERLAPS.get(rng.below(OVERLAPS.len())).copied().unwrap_or(0.5);
    for _ in 0..TRIES {
        let side = |length: u32, rng: &mut Rng| ((f64::from(length) * rng.range_f64(0.3, 1.0)).round() as u32).max(1);
        let (w, h) = (side(width, rng), side(height, rng));
        let ratio = f64::from(w) / f64::from(h);
        let left = rng.below((width - w.min(width)) as usize + 1) as u32;
        let top = rng.below((height - h.min(height)) as usize + 1) as u32;
        let part = [left, top, left + w, top + h].map(f64::from);
        if (0.5..=2.0).contains(&ratio) && objects.iter().any(|object| shared(*object, part) >= least) {
            return [left, top, w, h];
        }
    }
    whole
}

/// The part of an object's area that a crop keeps. SSD takes the intersection over union, which for small objects no
/// crop ever reaches.
fn shared(object: [f64; 4], part: [f64; 4]) -> f64 {
    let side = |low: usize, high: usize| (object[high].min(part[high]) - object[low].max(part[low])).max(0.0);
    let area = (object[2] - object[0]) * (object[3] - object[1]);
    side(0, 2) * side(1, 3) / area.max(f64::MIN_POSITIVE)
}

/// Draws a region of a tile at `[left, top, width, height]` of the input, as far as that lies in the window
/// `[left, top, right, bottom]`. Where the tile's whole picture lies then.
fn place(tile: &Tile<'_>, region: [u32; 4], at: [i64; 4], window: [u32; 4], input: &mut Rgb8) -> Placement {
    let [left, top, width, height] = at;
    let part = crop(tile.image, region[0], region[1], region[2], region[3]);
    let size = [width, height].map(|length| u32::try_from(length).unwrap_or(1).max(1));
    let part = resize(&part, size[0], size[1], crate::graph::Interpolation::Bilinear);
    let [x0, y0, x1, y1] = window.map(i64::from);
    let (from_x, from_y) = (left.max(x0), top.max(y0));
    let (to_x, to_y) = ((left + width).min(x1), (top + height).min(y1));
    if to_x > from_x && to_y > from_y {
        let px = |length: i64| u32::try_from(length).unwrap_or(0);
        let seen = crop(&part, px(from_x - left), px(from_y - top), px(to_x - from_x), px(to_y - from_y));
        paste(input, &seen, px(from_x), px(from_y));
    }
    let moved = Placement::shift(-f64::from(region[0]), -f64::from(region[1]));
    let scaled = Placement::resized([region[2], region[3]], size);
    tile.placement.then(&moved).then(&scaled).then(&Placement::shift(left as f64, top as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::augment::{Shift, view_rng};

    /// Red, green, blue and yellow: the color of each tile's object.
    const COLORS: [[u8; 3]; 4] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]];

    /// A black picture with a box in a color, and the box.
    fn painted(tile: usize, rng: &mut Rng) -> (Rgb8, BoxTarget) {
        let (width, height) = (60 + rng.below(120) as u32, 60 + rng.below(120) as u32);
        let (w, h) = (20 + rng.below(width as usize - 30), 20 + rng.below(height as usize - 30));
        let (x, y) = (rng.below(width as usize - w), rng.below(height as usize - h));
        let mut image = Rgb8::filled(width, height, 0);
        for row in y..y + h {
            for column in x..x + w {
                let at = (row * width as usize + column) * 3;
                image.pixels[at..at + 3].copy_from_slice(&COLORS[tile]);
            }
        }
        let xyxy = [x, y, x + w, y + h].map(|px| px as f32);
        (image, BoxTarget::new(tile as u32, xyxy))
    }

    /// Painted pixels and boxes agree: inside of a box is its color, outside of all there is none.
    fn check(tiles: usize, augment: &Augment, resize: Resize, seed: u64) -> usize {
        let mut rng = Rng::new(seed);
        let pictures: Vec<(Rgb8, BoxTarget)> = (0..tiles).map(|tile| painted(tile, &mut rng)).collect();
        let tiles: Vec<Tile<'_>> = pictures
            .iter()
            .map(|(image, one)| Tile {
                image,
                placement: Placement::IDENTITY,
                boxes: std::slice::from_ref(one),
                mask: None,
                objects: None,
            })
            .collect();
        let rule = Preprocess { size: [96, 128], resize, ..Preprocess::imagenet(96) };
        let view = compose(&tiles, &rule, augment, 0.1, &mut view_rng(seed, 1, 2));
        assert_eq!((view.input.width, view.input.height), (128, 96));
        for y in 0..96 {
            for x in 0..128 {
                let at = (y * 128 + x) * 3;
                let pixel = [0, 1, 2].map(|i| view.input.pixels[at + i]);
                let (cx, cy) = (x as f32 + 0.5, y as f32 + 0.5);
                // Resizing mixes colors over a source pixel and a target pixel at borders.
                let within = |one: &BoxTarget, margin: f32| {
                    let [left, top, right, bottom] = one.xyxy;
                    cx > left + margin && cx < right - margin && cy > top + margin && cy < bottom - margin
                };
                for one in &view.boxes {
                    if within(one, 3.0) {
                        let close = |(got, want): (&u8, &u8)| got.abs_diff(*want) <= 2;
                        let color = &COLORS[one.class as usize];
                        assert!(pixel.iter().zip(color).all(close), "seed {seed} {x} {y} {pixel:?} {one:?}");
                    }
                }
                for (tile, color) in COLORS.iter().enumerate().take(tiles.len()) {
                    let is_kept = view.boxes.iter().any(|one| one.class as usize == tile);
                    let is_its = pixel.iter().zip(color).all(|(got, want)| got.abs_diff(*want) <= 2);
                    if is_kept && is_its {
                        assert!(view.boxes.iter().any(|one| within(one, -3.0)), "seed {seed} {x} {y} {:?}", view.boxes);
                    }
                }
            }
        }
        view.boxes.len()
    }

    #[test]
    fn painted_pixels_and_boxes_agree() {
        let moved = Augment { shift: Some(Shift { scale: [0.5, 1.5], by: 0.2 }), ..Augment::none() };
        let flipped = Augment { flip: 0.5, ..moved.clone() };
        let cropped = Augment { object_crop: 1.0, ..flipped.clone() };
        let (letterbox, stretch) = (Resize::LetterboxTopLeft { fill: 0 }, Resize::Stretch);
        for (augment, tiles) in [(&moved, 1), (&flipped, 1), (&cropped, 1), (&flipped, 4), (&cropped, 4)] {
            let mut kept = 0;
            for seed in 0..40 {
                kept += check(tiles, augment, if seed % 4 == 0 { stretch } else { letterbox }, seed);
            }
            // A crop keeps an object, and a shift by a fifth loses few.
            assert!(kept >= 40 * tiles * 6 / 10, "{kept} of {} with {augment:?}", 40 * tiles);
        }
    }

    #[test]
    fn crops_keep_objects() {
        for seed in 0..100 {
            let mut rng = Rng::new(seed);
            let (image, one) = painted(0, &mut rng);
            let tile = Tile { image: &image, placement: Placement::IDENTITY, boxes: &[one], mask: None, objects: None };
            let augment = Augment { object_crop: 1.0, ..Augment::none() };
            let [left, top, width, height] = object_crop(&tile, &augment, &mut rng);
            assert!(left + width <= image.width && top + height <= image.height);
            let part = [left, top, left + width, top + height].map(f64::from);
            assert!(shared(one.xyxy.map(f64::from), part) >= 0.1);
        }
    }

    #[test]
    fn without_changes_a_view_is_a_centered_letterbox() {
        let image = Rgb8::filled(40, 20, 200);
        let one = BoxTarget::new(0, [10.0, 5.0, 30.0, 15.0]);
        let tile = Tile { image: &image, placement: Placement::IDENTITY, boxes: &[one], mask: None, objects: None };
        let rule =
            Preprocess { size: [20, 20], resize: Resize::LetterboxCentre { fill: 7 }, ..Preprocess::imagenet(20) };
        let view = compose(&[tile], &rule, &Augment::none(), 0.1, &mut Rng::new(1));
        assert_eq!(view.boxes, [BoxTarget { xyxy: [5.0, 7.5, 15.0, 12.5], ..one }]);
        assert_eq!(view.input, super::super::transform::preprocess(&image, &rule).0);
    }
}
