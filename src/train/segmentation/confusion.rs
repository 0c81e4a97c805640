//! Pixels counted: one confusion matrix over a set, and what it says of each class. Exact, in whole numbers.

use serde::{Deserialize, Serialize};

/// Pixels of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u64, u64, u64)", into = "(u32, u64, u64, u64)")]
pub struct ClassPixels {
    /// The class.
    pub class: u32,
    /// Pixels that are of it and called so.
    pub hits: u64,
    /// Pixels that are called so.
    pub said: u64,
    /// Pixels that are of it.
    pub there: u64,
}

impl From<(u32, u64, u64, u64)> for ClassPixels {
    fn from((class, hits, said, there): (u32, u64, u64, u64)) -> Self {
        Self { class, hits, said, there }
    }
}

impl From<ClassPixels> for (u32, u64, u64, u64) {
    fn from(of: ClassPixels) -> Self {
        (of.class, of.hits, of.said, of.there)
    }
}

impl ClassPixels {
    /// Intersection over union; none for a class that is neither there nor said.
    #[must_use]
    pub fn iou(&self) -> Option<f64> {
        share(self.hits, (self.said + self.there).saturating_sub(self.hits))
    }

    /// Twice the intersection over the sum; none for a class that is neither there nor said.
    #[must_use]
    pub fn dice(&self) -> Option<f64> {
        share(2 * self.hits, self.said + self.there)
    }

    /// Part of its pixels that are called so; none where there are none.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        share(self.hits, self.there)
    }

    /// Part of the pixels called so that are of it; none where none are.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        share(self.hits, self.said)
    }

    fn and(self, other: &Self) -> Self {
        let Self { class, hits, said, there } = self;
        Self { class, hits: hits + other.hits, said: said + other.said, there: there + other.there }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Mean intersection over union and mean Dice over the classes that are there or said: one that is neither is left out, not
/// counted as right. Then the part of all pixels that are right. None without pixels.
#[must_use]
pub fn mask_means(classes: &[ClassPixels]) -> Option<[f64; 3]> {
    let mean = |of: fn(&ClassPixels) -> Option<f64>| {
        let known: Vec<f64> = classes.iter().filter_map(of).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let sum = |of: fn(&ClassPixels) -> u64| classes.iter().map(of).sum::<u64>();
    Some([mean(ClassPixels::iou)?, mean(ClassPixels::dice)?, share(sum(|of| of.hits), sum(|of| of.there))?])
}

/// Counts of pixels, `[truth][said]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskConfusion {
    classes: usize,
    counts: Vec<u64>,
}

impl MaskConfusion {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Takes the pixels of a picture in. Pixels whose truth is no class do not count.
    pub fn add(&mut self, said: &[u8], truth: &[u8]) {
        for (&said, &truth) in said.iter().zip(truth) {
            let (said, truth) = (usize::from(said), usize::from(truth));
            if truth < self.classes && said < self.classes {
                self.counts[truth * self.classes + said] += 1;
            }
        }
    }

    /// Takes the counts of others in.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
    }

    /// The counts, `[truth][said]`.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<u64>> {
        self.counts.chunks(self.classes.max(1)).map(<[u64]>::to_vec).collect()
    }

    /// Pixels that count.
    #[must_use]
    pub fn pixels(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The pixels of each class.
    #[must_use]
    pub fn per_class(&self) -> Vec<ClassPixels> {
        let cell = |truth: usize, said: usize| self.counts.get(truth * self.classes + said).copied().unwrap_or(0);
        let of = |class: usize| ClassPixels {
            class: class as u32,
            hits: cell(class, class),
            said: (0..self.classes).map(|truth| cell(truth, class)).sum(),
            there: (0..self.classes).map(|said| cell(class, said)).sum(),
        };
        (0..self.classes).map(of).collect()
    }
}

/// What a head says of the pixels of one picture, in counts: some bytes for each class that is there or said.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskResult {
    /// Index in the data set's samples.
    pub index: u32,
    /// The classes that are there or said, ascending.
    pub classes: Vec<ClassPixels>,
}

impl MaskResult {
    /// From the counts of the picture.
    #[must_use]
    pub fn of(index: usize, counts: &MaskConfusion) -> Self {
        let mut classes = counts.per_class();
        classes.retain(|of| of.said + of.there > 0);
        Self { index: u32::try_from(index).unwrap_or(u32::MAX), classes }
    }

    /// The picture's mean intersection over union over the classes that are there or said; none where no pixel counts.
    #[must_use]
    pub fn iou(&self) -> Option<f64> {
        mask_means(&self.classes).map(|means| means[0])
    }

    /// The picture's mean Dice, likewise.
    #[must_use]
    pub fn dice(&self) -> Option<f64> {
        mask_means(&self.classes).map(|means| means[1])
    }
}

/// The pixels of each of `classes` classes over all pictures: the same as from one confusion matrix over the set.
#[must_use]
pub fn over_set(pictures: &[MaskResult], classes: usize) -> Vec<ClassPixels> {
    let mut sums: Vec<ClassPixels> =
        (0..classes).map(|class| ClassPixels { class: class as u32, ..ClassPixels::default() }).collect();
    for own in pictures.iter().flat_map(|picture| &picture.classes) {
        if let Some(sum) = sums.get_mut(own.class as usize) {
            *sum = sum.and(own);
        }
    }
    sums
}
