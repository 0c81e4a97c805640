//! How often classes are in the masks of a set, and what weights that gives them.

use crate::data::{Dataset, Split, load_mask};
use rayon::prelude::*;

/// Pixels of each class in the training pictures, and pixels of the pictures in which the class is. Masks that cannot be read
/// are left out; the loader tells of them. Where opening the set has counted them, nothing is read again.
#[must_use]
pub fn pixel_counts(dataset: &Dataset, classes: usize) -> Vec<[u64; 2]> {
    let masks = dataset.samples.par_iter().filter(|sample| sample.split == Split::Train);
    let of_picture = |sample: &crate::data::Sample| {
        let mask = sample.target.mask.as_ref()?;
        let mut own = vec![0_u64; classes];
        if sample.target.mask_px.is_empty() {
            for id in load_mask(mask).ok()?.ids {
                if let Some(count) = own.get_mut(usize::from(id)) {
                    *count += 1;
                }
            }
        }
        own.iter_mut().zip(&sample.target.mask_px).for_each(|(count, known)| *count = *known);
        let all: u64 = own.iter().sum();
        Some(own.into_iter().map(|count| [count, if count > 0 { all } else { 0 }]).collect::<Vec<_>>())
    };
    masks.filter_map(of_picture).reduce(
        || vec![[0, 0]; classes],
        |mut sum, own| {
            sum.iter_mut().zip(own).for_each(|(sum, own)| *sum = [sum[0] + own[0], sum[1] + own[1]]);
            sum
        },
    )
}

/// Median frequency balancing (Eigen & Fergus 2015, arXiv:1411.4734): the median of the classes' frequencies over each one's own,
/// where a frequency counts the pictures in which the class is. A class without pixels weighs 1.
#[must_use]
pub fn median_frequency(counts: &[[u64; 2]]) -> Vec<f32> {
    let frequency = |[own, all]: &[u64; 2]| (*own > 0).then(|| *own as f64 / *all as f64);
    let mut known: Vec<f64> = counts.iter().filter_map(frequency).collect();
    known.sort_by(f64::total_cmp);
    let at = |i: usize| known.get(i).copied().unwrap_or(1.0);
    let half = known.len() / 2;
    let median = if known.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.wrapping_sub(1)), at(half)) };
    counts.iter().map(|count| frequency(count).map_or(1.0, |own| (median / own) as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_by_hand() {
        // 80 of 100 pixels; 20 of 100; 10 of the 40 pixels of the only picture with it; never.
        let weights = median_frequency(&[[80, 100], [20, 100], [10, 40], [0, 0]]);
        let wanted = [0.25 / 0.8, 0.25 / 0.2, 1.0, 1.0];
        assert!(weights.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{weights:?}");
        // Of two classes the median lies between: 0.5 / 0.8, 0.5 / 0.2.
        let weights = median_frequency(&[[80, 100], [20, 100]]);
        assert!((weights[0] - 0.625).abs() < 1e-6 && (weights[1] - 2.5).abs() < 1e-6, "{weights:?}");
        assert!(median_frequency(&[]).is_empty());
    }
}
