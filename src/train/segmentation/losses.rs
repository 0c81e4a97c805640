//! The losses of a head that tells a class for each pixel. All are over the whole batch; pixels that are ignored count
//! nowhere.

use super::borders::{Borders, border_weights};
use super::choice::{MaskLoss, MaskTerm};
use super::lovasz::lovasz_softmax;
use crate::nn::RunError;
use crate::nn::resize::{Corners, bilinear};
use burn::tensor::{Int, Tensor, TensorData, activation};
use rayon::prelude::*;

/// Least denominator of a Dice coefficient.
const EPSILON: f64 = 1e-7;

/// What the pixels of a batch should be.
#[derive(Clone, Debug)]
pub struct MaskBatch<'a> {
    /// Class ids, `[n, h, w]`; ids that are no class do not count.
    pub targets: Tensor<3, Int>,
    /// The same on the host, `[n][h * w]`.
    pub ids: Vec<&'a [u8]>,
}

/// The weighted sum of the losses, `[1]`, and each by itself without its weight where there are several.
pub type MaskParts = (Tensor<1>, Vec<(MaskTerm, Tensor<1>)>);

/// What every loss starts from.
struct Pixels<'a> {
    /// `[n, classes, pixels]`
    log_p: Tensor<3>,
    /// `[n, 1, pixels]`, 0 where the pixel does not count.
    targets: Tensor<3, Int>,
    /// `[n, 1, pixels]`, 1 where the pixel counts.
    counted: Tensor<3>,
    ids: &'a [&'a [u8]],
    width: usize,
}

/// The loss of logits `[n, classes, h', w']`, which are resized to the masks where their sizes differ. `weights`, one for each
/// class, weigh the pixels of cross-entropy, focal and border loss; `smoothing` is that of the cross-entropy.
///
/// # Errors
/// When the device fails.
pub fn loss(
    logits: Tensor<4>,
    batch: &MaskBatch<'_>,
    choice: &MaskLoss,
    weights: Option<&Tensor<1>>,
    smoothing: f64,
) -> Result<MaskParts, RunError> {
    let [n, height, width] = batch.targets.dims();
    let [_, classes, own_height, own_width] = logits.dims();
    let logits = match [own_height, own_width] == [height, width] {
        true => logits,
        false => bilinear(logits, [height, width], Corners::Edges),
    };
    let targets = batch.targets.clone().reshape([n, 1, height * width]);
    let ignored = targets.clone().greater_equal_elem(classes as i32);
    let pixels = Pixels {
        log_p: activation::log_softmax(logits.reshape([n, classes, height * width]), 1),
        counted: ignored.clone().bool_not().float(),
        targets: targets.mask_fill(ignored, 0),
        ids: &batch.ids,
        width,
    };
    let mut parts = Vec::with_capacity(choice.parts().len());
    for (term, _) in choice.parts() {
        parts.push((*term, pixels.term(*term, weights, smoothing)?));
    }
    let weighed = parts.iter().zip(choice.parts()).map(|((_, part), (_, weight))| part.clone() * *weight);
    let none = || RunError::Description("a mask loss has no part".to_owned());
    let sum = weighed.reduce(|sum, part| sum + part).ok_or_else(none)?;
    Ok((sum, if parts.len() > 1 { parts } else { Vec::new() }))
}

impl Pixels<'_> {
    fn term(&self, term: MaskTerm, weights: Option<&Tensor<1>>, smoothing: f64) -> Result<Tensor<1>, RunError> {
        Ok(match term {
            MaskTerm::CrossEntropy => self.cross_entropy(weights, smoothing),
            MaskTerm::Focal => self.focal(weights),
            MaskTerm::Border => self.border(weights),
            MaskTerm::Dice => {
                let (p, truth) = self.shares();
                dice(p, truth, 0.0)
            }
            MaskTerm::Jaccard => {
                let (p, truth) = self.shares();
                jaccard(p, truth, 0.0)
            }
            MaskTerm::Lovasz => {
                let (p, truth) = self.shares();
                lovasz_softmax(&p, truth, self.ids).map_err(RunError::Device)?
            }
        })
    }

    /// The logarithm of the truth's probability, `[n, 1, pixels]`.
    fn picked(&self) -> Tensor<3> {
        self.log_p.clone().gather(1, self.targets.clone())
    }

    /// The weight of each pixel by its class, `[n, 1, pixels]`; 0 where it does not count.
    fn by_class(&self, weights: Option<&Tensor<1>>) -> Tensor<3> {
        let [n, _, pixels] = self.counted.dims();
        match weights {
            None => self.counted.clone(),
            Some(weights) => {
                let each = weights.clone().select(0, self.targets.clone().reshape([n * pixels]));
                each.reshape([n, 1, pixels]) * self.counted.clone()
            }
        }
    }

    /// torch's `cross_entropy` with `weight`, `ignore_index` and `label_smoothing`; 0 when every pixel is ignored.
    fn cross_entropy(&self, weights: Option<&Tensor<1>>, smoothing: f64) -> Tensor<1> {
        let by_class = self.by_class(weights);
        let whole = by_class.clone().sum().clamp_min(f64::from(f32::MIN_POSITIVE));
        let hard = -(self.picked() * by_class).sum() / whole.clone();
        if smoothing == 0.0 {
            return hard;
        }
        let [_, classes, _] = self.log_p.dims();
        let log_p = match weights {
            Some(weights) => self.log_p.clone() * weights.clone().reshape([1, classes, 1]),
            None => self.log_p.clone(),
        };
        let soft = -(log_p * self.counted.clone()).sum() / whole / classes as f64;
        hard * (1.0 - smoothing) + soft * smoothing
    }

    /// `-(1 - p)² log p` of the truth's probability, the mean by the weights of the classes.
    fn focal(&self, weights: Option<&Tensor<1>>) -> Tensor<1> {
        let by_class = self.by_class(weights);
        let whole = by_class.clone().sum().clamp_min(f64::from(f32::MIN_POSITIVE));
        let log_p = self.picked();
        let miss = log_p.ones_like() - log_p.clone().exp();
        -(miss.square() * log_p * by_class).sum() / whole
    }

    /// Cross-entropy weighed by the class and by the gaps between objects, the mean over the pixels that count.
    fn border(&self, weights: Option<&Tensor<1>>) -> Tensor<1> {
        let [n, _, pixels] = self.counted.dims();
        let gaps: Vec<Vec<f32>> =
            self.ids.par_iter().map(|ids| border_weights(ids, self.width, Borders::PAPER)).collect();
        let gaps = TensorData::new(gaps.concat(), [n, 1, pixels]);
        let gaps = Tensor::<3>::from_data(gaps, &self.counted.device()) * self.counted.clone();
        let each = self.by_class(weights) + gaps;
        -(self.picked() * each).sum() / self.counted.clone().sum().clamp_min(1.0)
    }

    /// Probabilities and truth of the pixels that count, `[n, classes, pixels]`; 0 for the others.
    fn shares(&self) -> (Tensor<3>, Tensor<3>) {
        let [n, classes, pixels] = self.log_p.dims();
        let p = self.log_p.clone().exp() * self.counted.clone();
        let ids: Vec<i32> = (0..classes as i32).collect();
        let ids = Tensor::<3, Int>::from_data(TensorData::new(ids, [1, classes, 1]), &self.targets.device());
        let all = [n, classes, pixels];
        let truth = self.targets.clone().expand(all).equal(ids.expand(all)).float() * self.counted.clone();
        (p, truth)
    }
}

/// Sums of a class over batch and pixels: of both where they meet, of both together, of the truth; `[1, classes, 1]`.
fn overlaps(p: Tensor<3>, truth: Tensor<3>) -> [Tensor<3>; 3] {
    let sum = |x: Tensor<3>| x.sum_dim(0).sum_dim(2);
    let own = sum(truth.clone());
    [sum(p.clone() * truth), sum(p) + own.clone(), own]
}

/// The soft Dice loss of probabilities and truth `[n, classes, pixels]`: one minus `(Σpt + smooth) / ((Σp + Σt) / 2 + smooth)`
/// of each class over the batch, the mean over the classes; a class without a pixel counts 0.
#[must_use]
pub fn dice(p: Tensor<3>, truth: Tensor<3>, smooth: f64) -> Tensor<1> {
    let [both, sum, own] = overlaps(p, truth);
    let score = (both + smooth) / (sum / 2.0 + smooth).clamp_min(EPSILON);
    missing(score, own)
}

/// The soft Jaccard loss, as [`dice`] with `(Σpt + smooth) / (Σp + Σt - Σpt + smooth)`.
#[must_use]
pub fn jaccard(p: Tensor<3>, truth: Tensor<3>, smooth: f64) -> Tensor<1> {
    let [both, sum, own] = overlaps(p, truth);
    let score = (both.clone() + smooth) / (sum - both + smooth).clamp_min(EPSILON);
    missing(score, own)
}

/// The mean of what is missing to 1, where there is something to find.
fn missing(score: Tensor<3>, own: Tensor<3>) -> Tensor<1> {
    let there = own.greater_elem(0.0).float();
    ((score.ones_like() - score) * there).mean()
}
