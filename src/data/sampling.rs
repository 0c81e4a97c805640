//! Repeat-factor sampling: pictures with rare classes come more often in an epoch.
//!
//! Gupta, Dollár, Girshick 2019, LVIS (<https://arxiv.org/abs/1908.03195>), section 5 and appendix: with `f(c)` the part of
//! the pictures that have class `c`, a class is repeated `r(c) = max(1, sqrt(t / f(c)))` times, and a picture as often as
//! the most repeated of its classes. The part after the point is drawn anew in each epoch, as in detectron2.

use std::collections::BTreeSet;

use super::{Dataset, Split};
use crate::rng::Rng;

/// The threshold of the paper: classes in fewer than this part of the pictures are repeated.
pub const THRESHOLD: f64 = 0.001;

/// How often each picture is wanted in an epoch, at least 1. `classes` are those of each picture; `threshold` (0-1) is the
/// part of the pictures below which a class counts as rare.
#[must_use]
pub fn repeat_factors(classes: &[BTreeSet<u32>], threshold: f64) -> Vec<f64> {
    let most = classes.iter().flatten().max().map_or(0, |class| *class as usize + 1);
    let mut pictures = vec![0usize; most];
    for class in classes.iter().flatten() {
        if let Some(count) = pictures.get_mut(*class as usize) {
            *count += 1;
        }
    }
    let factor = |class: &u32| {
        let part = pictures.get(*class as usize).map_or(1.0, |count| *count as f64 / classes.len() as f64);
        (threshold / part).sqrt().max(1.0)
    };
    classes.iter().map(|own| own.iter().map(factor).fold(1.0, f64::max)).collect()
}

/// The order of one epoch: `indices` repeated by their factors, shuffled. A factor of 2.3 is two pictures, and with
/// probability 0.3 a third. The same for the same seed and epoch.
#[must_use]
pub fn epoch_order(indices: &[usize], factors: &[f64], seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = Rng::from_words(1, &[seed, epoch]);
    let mut order = Vec::with_capacity(indices.len());
    for (at, index) in indices.iter().enumerate() {
        let factor = factors.get(at).copied().filter(|factor| factor.is_finite()).unwrap_or(1.0).clamp(0.0, 1e4);
        let times = factor.floor() as usize + usize::from(rng.unit_f64() < factor.fract());
        order.extend(std::iter::repeat_n(*index, times));
    }
    rng.shuffle(&mut order);
    order
}

impl Dataset {
    /// The classes that a picture of the first column shows: of its boxes, its mask, or its labels.
    #[must_use]
    pub fn classes_of(&self, sample: usize) -> BTreeSet<u32> {
        let Some(sample) = self.samples.get(sample) else { return BTreeSet::new() };
        let boxes = sample.target.boxes.iter().flatten().filter(|one| !one.crowd).map(|one| one.class);
        sample.target.label(0).classes().chain(boxes).chain(sample.target.mask_classes()).collect()
    }

    /// Pictures of a split that show each class of the first column, however many boxes or pixels of it they have.
    #[must_use]
    pub fn pictures_per_class(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.classes().len()];
        for class in self.indices(split).into_iter().flat_map(|index| self.classes_of(index)) {
            if let Some(count) = counts.get_mut(class as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// How often each picture of [`Dataset::indices`] of a split is wanted in an epoch ([`repeat_factors`]).
    #[must_use]
    pub fn repeat_factors(&self, split: Split, threshold: f64) -> Vec<f64> {
        let classes: Vec<BTreeSet<u32>> = self.indices(split).into_iter().map(|index| self.classes_of(index)).collect();
        repeat_factors(&classes, threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_by_hand() {
        // Ten pictures: class 0 in all of them, 1 in four (0.4), 2 in one (0.1). t = 0.4:
        // r(0) = max(1, sqrt(0.4)) = 1, r(1) = sqrt(0.4 / 0.4) = 1, r(2) = sqrt(0.4 / 0.1) = 2; a picture without any: 1.
        let mut classes = vec![BTreeSet::from([0]); 10];
        for own in &mut classes[..4] {
            own.insert(1);
        }
        classes[3].insert(2);
        assert_eq!(repeat_factors(&classes, 0.4), [1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        // t = 0.9: r(1) = sqrt(0.9 / 0.4) = 1.5, r(2) = sqrt(0.9 / 0.1) = 3.
        assert_eq!(repeat_factors(&classes, 0.9)[..5], [1.5, 1.5, 1.5, 3.0, 1.0]);
        assert_eq!(repeat_factors(&[BTreeSet::new(), BTreeSet::new()], 0.5), [1.0, 1.0]);
        assert!(repeat_factors(&[], 0.5).is_empty());
    }

    #[test]
    fn orders_round_at_random_and_repeat_by_seed() {
        let (indices, factors) = ([7, 8, 9], [1.0, 2.0, 1.25]);
        let mut third = 0;
        for epoch in 0..4000 {
            let order = epoch_order(&indices, &factors, 3, epoch);
            let count = |index| order.iter().filter(|own| **own == index).count();
            assert_eq!((count(7), count(8)), (1, 2));
            assert!((1..=2).contains(&count(9)));
            third += count(9);
        }
        // 4000 draws of 1 + Bernoulli(0.25): 5000, with a standard deviation of 27.
        assert!((4890..5110).contains(&third), "{third}");
        assert_eq!(epoch_order(&indices, &factors, 3, 5), epoch_order(&indices, &factors, 3, 5));
        assert_ne!(
            (0..9).map(|epoch| epoch_order(&indices, &factors, 3, epoch)).collect::<Vec<_>>(),
            (0..9).map(|epoch| epoch_order(&indices, &factors, 4, epoch)).collect::<Vec<_>>()
        );
    }
}
