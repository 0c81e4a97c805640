//! The Lovász-softmax loss (Berman et al. 2018, arXiv:1705.08790): the convex extension of one minus the intersection over
//! union of each class, over the whole batch.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

/// The extension's gradient at errors of which `hits` tells, largest error first, whether the pixel is of the class
/// (algorithm 1 of the paper): how much the Jaccard loss rises with each pixel that goes wrong.
#[must_use]
pub fn lovasz_gradient(hits: &[bool]) -> Vec<f32> {
    let all = hits.iter().filter(|hit| **hit).count() as f64;
    let (mut left, mut union, mut before) = (all, all, 0.0);
    let rise = |hit: &bool| {
        if *hit {
            left -= 1.0;
        } else {
            union += 1.0;
        }
        // Without a pixel of the class the union is empty at first.
        let jaccard = if union > 0.0 { 1.0 - left / union } else { 0.0 };
        let rise = jaccard - before;
        before = jaccard;
        rise as f32
    };
    hits.iter().map(rise).collect()
}

/// The loss of probabilities `[n, classes, pixels]` and the same for the truth, 1 or 0; the mean over the classes that
/// `ids` (`[n][pixels]`, other numbers do not count) names. Pixels are sorted on the host; their order has no gradient, so
/// that what is left for the device is a weighted sum of errors.
///
/// # Errors
/// When the device fails.
pub fn lovasz_softmax(p: &Tensor<3>, truth: Tensor<3>, ids: &[&[u8]]) -> Result<Tensor<1>, String> {
    let [n, classes, pixels] = p.dims();
    // t - p for a pixel of the class, p for others; both are |t - p|.
    let errors = p.clone() + truth.clone() - p.clone() * truth * 2.0;
    let values = errors.clone().inner().try_into_data().map_err(|error| format!("{error:?}"))?;
    let values = values.try_to_vec::<f32>().map_err(|error| format!("{error:?}"))?;
    let of_class = |class: usize| {
        let mut order: Vec<(f32, usize, bool)> = Vec::with_capacity(n * pixels);
        for (picture, ids) in ids.iter().enumerate() {
            let from = (picture * classes + class) * pixels;
            let own = values.get(from..from + pixels).unwrap_or_default();
            let counted = own.iter().zip(*ids).enumerate().filter(|(_, (_, id))| usize::from(**id) < classes);
            order.extend(counted.map(|(at, (error, id))| (*error, from + at, usize::from(*id) == class)));
        }
        if !order.iter().any(|one| one.2) {
            return Vec::new();
        }
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let rises = lovasz_gradient(&order.iter().map(|one| one.2).collect::<Vec<_>>());
        order.into_iter().zip(rises).map(|((_, at, _), rise)| (at, rise)).collect()
    };
    let found: Vec<Vec<(usize, f32)>> = (0..classes).into_par_iter().map(of_class).collect();
    let present = found.iter().filter(|own| !own.is_empty()).count();
    let mut weights = vec![0.0_f32; n * classes * pixels];
    for (at, rise) in found.into_iter().flatten() {
        if let Some(weight) = weights.get_mut(at) {
            *weight = rise;
        }
    }
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [n, classes, pixels]), &p.device().inner());
    Ok((errors * weights).sum() / present.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_by_hand() {
        // Two pixels of the class. Sorted: wrong hit, hit, hit. Jaccard losses: 1 - 2/3, 1 - 1/3, 1 - 0/3.
        let rises = lovasz_gradient(&[false, true, true]);
        assert!(rises.iter().all(|rise| (rise - 1.0 / 3.0).abs() < 1e-6), "{rises:?}");
        // Hit first: 1 - 1/2, 1 - 1/3, 1 - 0.
        let rises = lovasz_gradient(&[true, false, true]);
        for (have, want) in rises.iter().zip([0.5, 1.0 / 6.0, 1.0 / 3.0]) {
            assert!((have - want).abs() < 1e-6, "{rises:?}");
        }
        assert!(lovasz_gradient(&[]).is_empty());
    }
}
