//! What a head says of each pixel of a picture: class ids as runs, and probabilities small enough to be kept, so that a person
//! can choose anew how sure it must be.

use crate::data::{IGNORE_ID, Placement};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of probabilities that are kept of a picture at most; beyond, those of the classes that it shows most of.
const BUDGET: usize = 4 << 20;

/// A class for each pixel of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// Width and height in pixels of the EXIF-oriented picture.
    pub size_px: [u32; 2],
    /// Class names in the order of ids.
    pub classes: Arc<Vec<String>>,
    /// Class ids in rows, each with the number of pixels in a row that have it: a hundredth of the ids of most masks.
    runs: Vec<(u8, u32)>,
    scores: Option<Arc<Scores>>,
}

/// Probabilities at the size of the network's input.
#[derive(Clone, Debug, PartialEq)]
struct Scores {
    height: usize,
    width: usize,
    placement: Placement,
    /// By class, row-major, 255 for 1.
    planes: BTreeMap<u8, Vec<u8>>,
}

/// A head's output for one picture, on the host.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    /// `[classes, height, width]`
    pub numbers: &'a [f32],
    /// Height and width in pixels of the input.
    pub size: [usize; 2],
    /// Where the picture lies in the input.
    pub placement: Placement,
}

impl Mask {
    /// From class ids, row-major, of a picture of this width and height.
    #[must_use]
    pub fn new(ids: &[u8], size_px: [u32; 2], classes: Arc<Vec<String>>) -> Self {
        let mut runs = Runs::default();
        runs.take(ids);
        runs.into_mask(size_px, classes)
    }

    /// The likeliest class of each pixel of a picture of `size_px`: logits are interpolated as torch's bilinear resize without
    /// aligned corners does it, then compared. What lies outside of the input is 255.
    #[must_use]
    pub fn of_logits(logits: Logits<'_>, size_px: [u32; 2], classes: Arc<Vec<String>>) -> Self {
        let ids = logits.ids(size_px);
        let scores = logits.scores(&ids);
        Self { scores: Some(Arc::new(scores)), ..Self::new(&ids, size_px, classes) }
    }

    /// Class ids, row-major; 255 where nothing is said.
    #[must_use]
    pub fn ids(&self) -> Vec<u8> {
        let mut ids = Vec::with_capacity(self.size_px[0] as usize * self.size_px[1] as usize);
        self.runs.iter().for_each(|&(id, count)| ids.resize(ids.len() + count as usize, id));
        ids
    }

    /// Rows of class ids from the top.
    pub fn rows(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let width = self.size_px[0] as usize;
        let (mut at, mut used) = (0, 0);
        (0..self.size_px[1]).map(move |_| {
            let mut row = Vec::with_capacity(width);
            while let Some(&(id, count)) = self.runs.get(at).filter(|_| row.len() < width) {
                let take = (count - used).min((width - row.len()) as u32);
                row.resize(row.len() + take as usize, id);
                used += take;
                if used == count {
                    (at, used) = (at + 1, 0);
                }
            }
            row
        })
    }

    /// The ids that are there with their pixels, ascending.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<u8, u64> {
        let mut counts = BTreeMap::new();
        self.runs.iter().for_each(|&(id, count)| *counts.entry(id).or_default() += u64::from(count));
        counts
    }

    /// The name of a class for people.
    #[must_use]
    pub fn name(&self, id: u8) -> String {
        let unknown = || if id == IGNORE_ID { "nothing said".to_owned() } else { format!("class {id}") };
        self.classes.get(usize::from(id)).cloned().unwrap_or_else(unknown)
    }

    /// Whether probabilities of a class are kept.
    #[must_use]
    pub fn has_scores(&self, class: u8) -> bool {
        self.scores.as_ref().is_some_and(|scores| scores.planes.contains_key(&class))
    }

    /// The probability of a class at each pixel of the picture, row-major, 255 for 1, interpolated from the input; 0 outside of it.
    /// None where it was not kept.
    #[must_use]
    pub fn heat(&self, class: u8) -> Option<Vec<u8>> {
        let scores = self.scores.as_ref()?;
        let plane = scores.planes.get(&class)?;
        let grid = Grid::new(&scores.placement, [scores.height, scores.width], self.size_px);
        let value = |at: usize| f32::from(plane.get(at).copied().unwrap_or(0));
        let mut heat = vec![0; self.size_px[0] as usize * self.size_px[1] as usize];
        grid.each_row(
            &mut heat,
            scores.width,
            |taps, shares| (taps.iter().zip(shares).map(|(&at, share)| share * value(at)).sum::<f32>() + 0.5) as u8,
            0,
        );
        Some(heat)
    }

    /// Whether each pixel, row-major, is of a class when it must have at least this probability; none where it was not kept.
    #[must_use]
    pub fn at_least(&self, class: u8, probability: f32) -> Option<Vec<bool>> {
        let least = (probability * 255.0).round() as u8;
        Some(self.heat(class)?.into_iter().map(|score| score >= least.max(1)).collect())
    }

    /// The same where the second of two classes must have at least this probability; itself where that was not kept or there are
    /// other classes.
    #[must_use]
    pub fn with_least(&self, probability: f32) -> Self {
        let on = (self.classes.len() == 2).then(|| self.at_least(1, probability)).flatten();
        let Some(on) = on else { return self.clone() };
        let mut ids = self.ids();
        for (id, on) in ids.iter_mut().zip(on).filter(|(id, _)| **id != IGNORE_ID) {
            *id = u8::from(on);
        }
        Self { scores: self.scores.clone(), ..Self::new(&ids, self.size_px, Arc::clone(&self.classes)) }
    }

    /// The same with these probabilities.
    pub(super) fn with_kept(self, kept: Kept) -> Self {
        let [width, height] = kept.size();
        let placement = Placement::resized(self.size_px, [width as u32, height as u32]);
        let planes = (0_u8..).zip(kept.planes).collect();
        Self { scores: Some(Arc::new(Scores { height, width, placement, planes })), ..self }
    }

    /// The same without probabilities: for epochs that are past.
    #[must_use]
    pub fn without_scores(&self) -> Self {
        Self { scores: None, ..self.clone() }
    }

    /// Bytes of memory that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let scores = self.scores.as_ref().map_or(0, |scores| scores.planes.values().map(Vec::len).sum());
        self.runs.len() * size_of::<(u8, u32)>() + scores
    }
}

/// Probabilities of a large picture, every so many pixels, so that they fit the budget.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    canvas_px: [usize; 2],
    every: usize,
    planes: Vec<Vec<u8>>,
}

impl Kept {
    /// Nothing yet, of a canvas of this width and height.
    pub(super) fn new(classes: usize, canvas_px: [usize; 2]) -> Self {
        let [width, height] = canvas_px;
        let fits = |every: &usize| classes * (width / every + 1) * (height / every + 1) <= BUDGET;
        let every = (1..width.max(height).max(2)).find(fits).unwrap_or(width.max(height).max(1));
        Self { canvas_px, every, planes: vec![Vec::new(); classes] }
    }

    /// Takes row `y`, `[class][column]`, in.
    pub(super) fn row(&mut self, y: usize, shares: &[f32]) {
        let (first, every) = (self.every / 2, self.every);
        if y % every == first {
            for (plane, row) in self.planes.iter_mut().zip(shares.chunks(self.canvas_px[0].max(1))) {
                plane.extend(row.iter().skip(first).step_by(every).map(|share| (share * 255.0).round() as u8));
            }
        }
    }

    /// Width and height of what is kept.
    fn size(&self) -> [usize; 2] {
        self.canvas_px.map(|px| px.saturating_sub(self.every / 2).div_ceil(self.every))
    }
}

/// Class ids that come row by row.
#[derive(Clone, Debug, Default)]
pub struct Runs(Vec<(u8, u32)>);

impl Runs {
    /// Takes more ids in.
    pub fn take(&mut self, ids: &[u8]) {
        for part in ids.chunk_by(|a, b| a == b) {
            let (Some(&id), Ok(count)) = (part.first(), u32::try_from(part.len())) else { continue };
            match self.0.last_mut() {
                Some((last, sum)) if *last == id && sum.checked_add(count).is_some() => *sum += count,
                _ => self.0.push((id, count)),
            }
        }
    }

    /// The mask that they are.
    #[must_use]
    pub fn into_mask(mut self, size_px: [u32; 2], classes: Arc<Vec<String>>) -> Mask {
        self.0.shrink_to_fit();
        Mask { size_px, classes, runs: self.0, scores: None }
    }
}

impl Logits<'_> {
    fn classes(&self) -> usize {
        self.numbers.len() / (self.size[0] * self.size[1]).max(1)
    }

    /// The likeliest class of each pixel of the picture.
    fn ids(&self, size_px: [u32; 2]) -> Vec<u8> {
        let (plane, classes) = (self.size[0] * self.size[1], self.classes());
        let grid = Grid::new(&self.placement, self.size, size_px);
        let mut ids = vec![IGNORE_ID; size_px[0] as usize * size_px[1] as usize];
        let best = |taps: [usize; 4], shares: [f32; 4]| {
            let mut best = (0, f32::NEG_INFINITY);
            for class in 0..classes {
                let own = self.numbers.get(class * plane..(class + 1) * plane).unwrap_or_default();
                let at = |tap: usize| own.get(tap).copied().unwrap_or(0.0);
                let value = shares[0] * at(taps[0])
                    + shares[1] * at(taps[1])
                    + shares[2] * at(taps[2])
                    + shares[3] * at(taps[3]);
                if value > best.1 {
                    best = (class, value);
                }
            }
            u8::try_from(best.0).unwrap_or(IGNORE_ID - 1)
        };
        grid.each_row(&mut ids, self.size[1], best, IGNORE_ID);
        ids
    }

    /// The probabilities of as many classes as the budget has room for; those with most pixels in `ids` first.
    fn scores(&self, ids: &[u8]) -> Scores {
        let [height, width] = self.size;
        let (plane, classes) = (height * width, self.classes());
        let mut counts = [0_u64; 256];
        ids.iter().for_each(|&id| counts[usize::from(id)] += 1);
        let mut order: Vec<usize> = (0..classes.min(255)).collect();
        order.sort_by_key(|&class| std::cmp::Reverse(counts[class]));
        order.truncate((BUDGET / plane.max(1)).max(1));
        let at = |class: usize, pixel: usize| self.numbers.get(class * plane + pixel).copied().unwrap_or(0.0);
        let sums: Vec<(f32, f32)> = (0..plane)
            .into_par_iter()
            .map(|pixel| {
                let top = (0..classes).map(|class| at(class, pixel)).fold(f32::NEG_INFINITY, f32::max);
                (top, (0..classes).map(|class| (at(class, pixel) - top).exp()).sum())
            })
            .collect();
        let of = |class: usize| {
            let score = |(pixel, (top, sum)): (usize, &(f32, f32))| {
                ((at(class, pixel) - top).exp() / sum * 255.0).round() as u8
            };
            (class as u8, sums.iter().enumerate().map(score).collect())
        };
        Scores { height, width, placement: self.placement, planes: order.into_iter().map(of).collect() }
    }
}

/// For each row and column of a picture the two rows and columns of an input around it, with the share of the second.
struct Grid {
    rows: Vec<Option<(usize, usize, f32)>>,
    columns: Vec<Option<(usize, usize, f32)>>,
}

impl Grid {
    fn new(placement: &Placement, [height, width]: [usize; 2], size_px: [u32; 2]) -> Self {
        let ends =
            (placement.input_from_image(0.0, 0.0), placement.input_from_image(size_px[0] as f32, size_px[1] as f32));
        // Around a picture in a letterbox lies what is no picture: nothing is taken from there.
        let axis = |count: u32, limit: usize, ends: (f32, f32), to: &dyn Fn(f32) -> f32| {
            let low = ends.0.min(ends.1).max(0.0);
            let high = ends.0.max(ends.1).min(limit as f32);
            let (first, last) = (low.floor().max(0.0), (high.ceil() - 1.0).max(0.0));
            let of = |pixel: u32| {
                let at = to(pixel as f32 + 0.5);
                (at >= 0.0 && at < limit as f32).then(|| {
                    let at = (at - 0.5).clamp(first, last.max(first));
                    let before = at as usize;
                    (before, (before + 1).min(last as usize).max(before), at - before as f32)
                })
            };
            (0..count).map(of).collect()
        };
        let x = |x: f32| placement.input_from_image(x, 0.0).0;
        let y = |y: f32| placement.input_from_image(0.0, y).1;
        Self {
            columns: axis(size_px[0], width, (ends.0.0, ends.1.0), &x),
            rows: axis(size_px[1], height, (ends.0.1, ends.1.1), &y),
        }
    }

    /// Fills `out`, row-major, with what `value` gives for the four inputs around each pixel and their shares; `outside` where
    /// there are none.
    fn each_row(&self, out: &mut [u8], width: usize, value: impl Fn([usize; 4], [f32; 4]) -> u8 + Sync, outside: u8) {
        out.par_chunks_mut(self.columns.len().max(1)).zip(&self.rows).for_each(|(out, row)| {
            let Some((above, below, down)) = *row else { return out.fill(outside) };
            for (out, column) in out.iter_mut().zip(&self.columns) {
                *out = column.map_or(outside, |(left, right, across)| {
                    let taps =
                        [above * width + left, above * width + right, below * width + left, below * width + right];
                    let (up, near) = (1.0 - down, 1.0 - across);
                    value(taps, [up * near, up * across, down * near, down * across])
                });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Arc<Vec<String>> {
        Arc::new(vec!["ground".to_owned(), "cell".to_owned()])
    }

    #[test]
    fn runs_give_back_the_ids() {
        let ids = [0, 0, 1, 1, 1, 0, 0, 0, 255, 255, 255, 1];
        let mask = Mask::new(&ids, [4, 3], names());
        assert_eq!((mask.ids(), mask.runs.len()), (ids.to_vec(), 5));
        assert_eq!(mask.rows().collect::<Vec<_>>(), [&ids[..4], &ids[4..8], &ids[8..]]);
        assert_eq!(mask.counts(), BTreeMap::from([(0, 5), (1, 4), (255, 3)]));
        assert_eq!(
            (mask.name(1), mask.name(7), mask.name(255)),
            ("cell".to_owned(), "class 7".to_owned(), "nothing said".to_owned())
        );
        assert!(mask.heat(1).is_none() && !mask.has_scores(1));
    }

    #[test]
    fn probabilities_follow_a_threshold_and_a_picture_its_place() {
        // Class 1 has the logits -2, -1, 1, 2 from left to right, class 0 has 0: probabilities 0.119, 0.269, 0.731, 0.881.
        let numbers = [vec![0.0; 8], [-2.0, -1.0, 1.0, 2.0].repeat(2)].concat();
        let logits = Logits { numbers: &numbers, size: [2, 4], placement: Placement::IDENTITY };
        let mask = Mask::of_logits(logits, [4, 2], names());
        assert_eq!(mask.ids(), [0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(mask.heat(1).unwrap()[..4], [30, 69, 186, 225]);
        assert_eq!(mask.at_least(1, 0.25).unwrap()[..4], [false, true, true, true]);
        assert_eq!(mask.at_least(1, 0.8).unwrap()[4..], [false, false, false, true]);
        let chosen = mask.with_least(0.25);
        assert_eq!((chosen.ids()[..4].to_vec(), chosen.has_scores(1)), (vec![0, 1, 1, 1], true));
        assert!(!mask.without_scores().has_scores(1) && mask.bytes() > mask.without_scores().bytes());
        // Mirrored, and a picture of twice the size: between -1 and 1 the border is in the middle.
        let mirrored = Logits { placement: Placement::IDENTITY.mirrored(4), ..logits };
        assert_eq!(Mask::of_logits(mirrored, [4, 2], names()).ids()[..4], [1, 1, 0, 0]);
        // More pixels to the left than the input holds are not told.
        let moved = Logits { placement: Placement::shift(-2.0, 0.0), ..logits };
        assert_eq!(Mask::of_logits(moved, [4, 2], names()).ids(), [255, 255, 0, 0, 255, 255, 0, 0]);
    }
}
