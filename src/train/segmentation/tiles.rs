//! Pictures that are larger than what a network sees at once: overlapping tiles, of which the probabilities are blended. The rows of
//! the answer come as soon as all tiles over them are done, so that memory holds one row of tiles, however high the picture is.

use super::answer::{Kept, Mask, Runs};
use super::pass::fitted;
use crate::data::Rgb8;
use crate::data::transform::{normalize, resize};
use crate::graph::Preprocess;
use crate::models::{Mode, Network};
use crate::nn::{Ctx, RunError, Value};
use burn::tensor::{Tensor, TensorData, activation};
use std::borrow::Cow;
use std::sync::Arc;

/// Tiles that go through the network together.
const BATCH: usize = 4;
/// Part of a tile's side that it shares with the next one, at least.
const OVERLAP: f64 = 0.25;

/// How pictures are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// In tiles where a picture is clearly larger than those that the network was trained on, else as a whole.
    #[default]
    Auto,
    /// As a whole, whatever its size.
    Whole,
    /// In tiles that cover this many pixels of the picture on each side.
    Of(u32),
}

impl Parts {
    /// The side in pixels of the part of a picture that becomes one input; none for the whole. `usual_px` is the usual width and
    /// height of the training pictures, where that is known.
    #[must_use]
    pub fn part_px(self, size_px: [u32; 2], usual_px: Option<[u32; 2]>, input_px: [u32; 2]) -> Option<u32> {
        let longest = |of: [u32; 2]| of[0].max(of[1]).max(1);
        match (self, usual_px) {
            (Self::Whole, _) => None,
            (Self::Of(px), _) => Some(px.max(1)),
            // Objects look to the network as large as they did in training.
            (Self::Auto, Some(usual)) => {
                (u64::from(longest(size_px)) * 2 > u64::from(longest(usual)) * 3).then(|| longest(usual))
            }
            (Self::Auto, None) => (longest(size_px) / 4 > longest(input_px)).then(|| longest(input_px)),
        }
    }
}

/// One axis of the tiles.
#[derive(Clone, Debug, PartialEq)]
pub struct TileAxis {
    /// Where tiles begin, ascending; they end at the picture's end, or beyond it where that is shorter than a tile.
    pub starts: Vec<usize>,
    /// How much each pixel of a tile counts.
    pub shares: Vec<f32>,
    /// What the shares of all tiles over a pixel add up to.
    pub sums: Vec<f32>,
}

impl TileAxis {
    /// Tiles of a side over `length` pixels, evenly spread.
    #[must_use]
    pub fn new(length: usize, side: usize) -> Self {
        let overlap = ((side as f64 * OVERLAP) as usize).max(1);
        let count = 1 + length.saturating_sub(side).div_ceil(side.saturating_sub(overlap).max(1));
        let start = |tile: usize| match count {
            1 => 0,
            _ => (tile as f64 * (length - side) as f64 / (count - 1) as f64).round() as usize,
        };
        let starts: Vec<usize> = (0..count).map(start).collect();
        // A ramp on either side, so that the middle of a tile, which sees most around it, says most.
        let share = |at: usize| ((at.min(side - 1 - at) as f32 + 0.5) / overlap as f32).min(1.0);
        let shares: Vec<f32> = (0..side).map(share).collect();
        let mut sums = vec![0.0; length];
        for start in &starts {
            sums.iter_mut().skip(*start).zip(&shares).for_each(|(sum, share)| *sum += share);
        }
        Self { starts, shares, sums }
    }
}

/// The likeliest class of each pixel of a picture, looked at in parts of `part_px` pixels. `go_on` is told how many of how many
/// tiles are done; none when it broke off.
///
/// # Errors
/// When the device fails or the network has no head for pixels.
pub fn in_tiles(
    network: &Network,
    picture: &Rgb8,
    rule: &Preprocess,
    part_px: u32,
    classes: &Arc<Vec<String>>,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Option<Mask>, RunError> {
    let [height, width] = rule.size;
    let scaled = |length: u32, side: u32| {
        let scaled = u64::from(length) * u64::from(side) / u64::from(part_px);
        u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
    };
    let canvas_px = [scaled(picture.width, width), scaled(picture.height, height)];
    let canvas = match canvas_px == [picture.width, picture.height] {
        true => Cow::Borrowed(picture),
        false => Cow::Owned(resize(picture, canvas_px[0], canvas_px[1], rule.interpolation)),
    };
    let [across, down] = [(canvas_px[0], width), (canvas_px[1], height)]
        .map(|(length, side)| TileAxis::new(length as usize, side as usize));
    let (total, mut done) = (across.starts.len() * down.starts.len(), 0);
    let mut band: Option<Band> = None;
    for (at, top) in down.starts.iter().enumerate() {
        for starts in across.starts.chunks(BATCH) {
            if !go_on(done, total) {
                return Ok(None);
            }
            let (found, count) = shares_of(network, &canvas, rule, starts, *top)?;
            let band = band.get_or_insert_with(|| {
                Band::new(count, [picture.width, picture.height], canvas_px, rule.size.map(|px| px as usize))
            });
            let plane = height as usize * width as usize;
            for (tile, start) in found.chunks(count * plane).zip(starts) {
                band.add(tile, *start, &across.shares, &down.shares);
            }
            done += starts.len();
        }
        if let Some(band) = &mut band {
            let next = down.starts.get(at + 1).copied().unwrap_or(canvas_px[1] as usize);
            band.emit(next - top, *top, &across.sums, &down.sums);
        }
    }
    go_on(done, total);
    Ok(band.map(|band| band.finish(classes)))
}

/// Probabilities of tiles in one row, `[tile, classes, height, width]`, and the number of classes.
fn shares_of(
    network: &Network,
    canvas: &Rgb8,
    rule: &Preprocess,
    starts: &[usize],
    top: usize,
) -> Result<(Vec<f32>, usize), RunError> {
    let [height, width] = rule.size.map(|px| px as usize);
    let mut pixels = vec![0.0; starts.len() * 3 * height * width];
    for (out, left) in pixels.chunks_mut(3 * height * width).zip(starts) {
        normalize(&cut(canvas, *left, top, rule.size), rule, out);
    }
    let images = TensorData::new(pixels, [starts.len(), 3, height, width]);
    let images = Tensor::<4>::from_data(images, network.device());
    let outputs = network.forward(images, Mode::Infer, &mut Ctx::default())?;
    let logits = outputs.first().map(Value::map).transpose()?;
    let logits = logits.ok_or_else(|| RunError::Description("the network has no head".to_owned()))?;
    let shares = activation::softmax(fitted(logits, [height, width]), 1);
    let [_, classes, ..] = shares.dims();
    Ok((super::super::predict::host(&Value::Map(shares))?, classes))
}

/// A tile of the canvas; what lies beyond its end is mirrored, as in U-Net's paper.
fn cut(canvas: &Rgb8, left: usize, top: usize, [height, width]: [u32; 2]) -> Rgb8 {
    let mirrored = |at: usize, length: u32| {
        let length = (length as usize).max(1);
        let period = 2 * length.saturating_sub(1);
        let at = if period == 0 { 0 } else { at % period };
        if at < length { at } else { period - at }
    };
    let columns: Vec<usize> = (0..width as usize).map(|x| mirrored(left + x, canvas.width) * 3).collect();
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height as usize {
        let from = mirrored(top + y, canvas.height) * canvas.width as usize * 3;
        let row = canvas.pixels.get(from..from + canvas.width as usize * 3).unwrap_or_default();
        columns.iter().for_each(|&x| pixels.extend_from_slice(row.get(x..x + 3).unwrap_or(&[0; 3])));
    }
    Rgb8 { width, height, pixels }
}

/// The rows of the canvas that a row of tiles covers, and what came of those before.
struct Band {
    classes: usize,
    /// Height and width of a tile.
    side: [usize; 2],
    /// Width and height of the picture and of the canvas.
    picture_px: [usize; 2],
    canvas_px: [usize; 2],
    /// `[row][class][column]`, weighed sums.
    sums: Vec<f32>,
    /// The last finished row of the canvas, `[class][column]`, and the one before.
    last: [Vec<f32>; 2],
    /// Columns of the canvas around each column of the picture, with the share of the second.
    columns: Vec<(usize, usize, f32)>,
    /// Rows of the picture that are done.
    written: usize,
    runs: Runs,
    kept: Kept,
}

/// The two pixels of `from` around pixel `at` of `to`, with the share of the second: torch's bilinear resize.
fn taps(at: usize, to: usize, from: usize) -> (usize, usize, f32) {
    let place = ((at as f64 + 0.5) * from as f64 / to.max(1) as f64 - 0.5).clamp(0.0, from.saturating_sub(1) as f64);
    let before = place as usize;
    (before, (before + 1).min(from.saturating_sub(1)), (place - before as f64) as f32)
}

impl Band {
    fn new(classes: usize, picture_px: [u32; 2], canvas_px: [u32; 2], side: [usize; 2]) -> Self {
        let [picture_px, canvas_px] = [picture_px, canvas_px].map(|of| of.map(|px| px as usize));
        Self {
            classes,
            side,
            picture_px,
            canvas_px,
            sums: vec![0.0; side[0] * classes * canvas_px[0]],
            last: [vec![0.0; classes * canvas_px[0]], vec![0.0; classes * canvas_px[0]]],
            columns: (0..picture_px[0]).map(|x| taps(x, picture_px[0], canvas_px[0])).collect(),
            written: 0,
            runs: Runs::default(),
            kept: Kept::new(classes, canvas_px),
        }
    }

    /// Adds the probabilities of a tile, `[class, height, width]`, that begins at column `left`.
    fn add(&mut self, tile: &[f32], left: usize, across: &[f32], down: &[f32]) {
        let ([height, width], row) = (self.side, self.canvas_px[0]);
        for (class, plane) in tile.chunks(height * width).enumerate() {
            for ((y, own), down) in plane.chunks(width).enumerate().zip(down) {
                let from = (y * self.classes + class) * row;
                let sums = self.sums.get_mut(from + left.min(row)..from + row).unwrap_or_default();
                for ((sum, value), across) in sums.iter_mut().zip(own).zip(across) {
                    *sum += value * across * down;
                }
            }
        }
    }

    /// Finishes the first `rows` rows of the band, which begins at row `top` of the canvas, and moves the rest up.
    fn emit(&mut self, rows: usize, top: usize, across: &[f32], down: &[f32]) {
        let row = self.classes * self.canvas_px[0];
        for y in 0..rows.min(self.side[0]) {
            let own = self.sums.get(y * row..(y + 1) * row).unwrap_or_default();
            let down = down.get(top + y).copied().unwrap_or(1.0);
            self.last.swap(0, 1);
            for (class, out) in self.last[0].chunks_mut(self.canvas_px[0]).enumerate() {
                let own = own.get(class * self.canvas_px[0]..).unwrap_or_default();
                out.iter_mut().zip(own).zip(across).for_each(|((out, sum), across)| *out = sum / (across * down));
            }
            self.kept.row(top + y, &self.last[0]);
            self.write_up_to(top + y);
        }
        let moved = rows.min(self.side[0]) * row;
        self.sums.copy_within(moved.., 0);
        let stays = self.sums.len() - moved;
        self.sums.iter_mut().skip(stays).for_each(|sum| *sum = 0.0);
    }

    /// Writes the rows of the picture that need no row of the canvas beyond `at`, the last one finished.
    fn write_up_to(&mut self, at: usize) {
        let mut ids = vec![0; self.picture_px[0]];
        while self.written < self.picture_px[1] {
            let (above, below, share) = taps(self.written, self.picture_px[1], self.canvas_px[1]);
            let needed = if share > 0.0 { below } else { above };
            if needed > at {
                return;
            }
            // `above` is the row at hand or the one before it.
            let [now, before] = &self.last;
            let (first, second) = if above == at { (now, now) } else { (before, now) };
            self.likeliest(first, second, share, &mut ids);
            self.runs.take(&ids);
            self.written += 1;
        }
    }

    /// The likeliest class of each pixel of a row of the picture between two rows of the canvas.
    fn likeliest(&self, first: &[f32], second: &[f32], share: f32, ids: &mut [u8]) {
        let width = self.canvas_px[0];
        let mut best = vec![f32::NEG_INFINITY; ids.len()];
        for class in 0..self.classes {
            let own = |row: &[f32], at: usize| row.get(class * width + at).copied().unwrap_or(0.0);
            for ((id, best), &(left, right, across)) in ids.iter_mut().zip(&mut best).zip(&self.columns) {
                let mix = |row: &[f32]| own(row, left) * (1.0 - across) + own(row, right) * across;
                let value = if share > 0.0 { mix(first) * (1.0 - share) + mix(second) * share } else { mix(first) };
                if value > *best {
                    (*best, *id) = (value, u8::try_from(class).unwrap_or(u8::MAX - 1));
                }
            }
        }
    }

    fn finish(self, classes: &Arc<Vec<String>>) -> Mask {
        let picture_px = self.picture_px.map(|px| px as u32);
        self.runs.into_mask(picture_px, Arc::clone(classes)).with_kept(self.kept)
    }
}
