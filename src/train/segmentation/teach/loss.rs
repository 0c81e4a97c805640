//! What a mask and its predicted quality are worth, for each mask by itself.

use crate::nn::loss::focal;
use crate::nn::resize::{Corners, bilinear};
use crate::nn::{RunError, Value};
use crate::train::predict::host;
use crate::train::segmentation::prompt::OFFERED;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

/// Weight of the focal loss beside that of the Dice loss.
pub const FOCAL_WEIGHT: f64 = 20.0;
/// The focal loss's weight of pixels that belong to the object, and how much less counts what is told apart already (Lin et al.
/// 2017, arXiv:1708.02002).
const ALPHA: f64 = 0.25;
const GAMMA: f64 = 2.0;

/// What masks should be, at the size of the input.
#[derive(Clone, Debug)]
pub struct Truths {
    /// 1 where the object is, `[n, 1, pixels]`
    truth: Tensor<3>,
    /// 1 where a pixel counts, `[n, 1, pixels]`
    counted: Tensor<3>,
    size: [usize; 2],
}

/// The losses of masks.
#[derive(Clone, Debug)]
pub struct MaskLosses {
    /// The mean over the pixels that count, `[n, k]`
    pub focal: Tensor<2>,
    /// One minus `(2 Σpt + 1) / (Σp + Σt + 1)`, `[n, k]`
    pub dice: Tensor<2>,
}

impl Truths {
    /// From values for each pixel, `[n · height · width]` each, on a device.
    #[must_use]
    pub fn new(truth: Vec<f32>, counted: Vec<f32>, [height, width]: [usize; 2], device: &Device) -> Self {
        let n = truth.len() / (height * width).max(1);
        let of = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [n, 1, height * width]), device);
        Self { truth: of(truth), counted: of(counted), size: [height, width] }
    }

    /// Height and width in pixels.
    #[must_use]
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The same, several times one after the other.
    #[must_use]
    pub fn repeated(&self, times: usize) -> Self {
        let of = |x: &Tensor<3>| x.clone().repeat_dim(0, times);
        Self { truth: of(&self.truth), counted: of(&self.counted), size: self.size }
    }
}

/// The losses of logits `[n, k, height, width]` at the size of the truths.
#[must_use]
pub fn mask_losses(logits: Tensor<4>, truths: &Truths) -> MaskLosses {
    let [n, k, height, width] = logits.dims();
    let logits = logits.reshape([n, k, height * width]);
    let all = [n, k, height * width];
    let (truth, counted) = (truths.truth.clone().expand(all), truths.counted.clone().expand(all));
    let sum = |x: Tensor<3>| x.sum_dim(2).reshape([n, k]);
    let whole = sum(counted.clone());
    let of_pixels = focal(logits.clone(), truth.clone(), Some(ALPHA), GAMMA);
    let p = activation::sigmoid(logits) * counted.clone();
    let truth = truth * counted.clone();
    let both = sum(p.clone() * truth.clone());
    let dice = -((both * 2.0 + 1.0) / (sum(p) + sum(truth) + 1.0)) + 1.0;
    MaskLosses { focal: sum(of_pixels * counted) / whole.clamp_min(1.0), dice }
}

/// Intersection over union of masks of logits above zero with the truth, `[n, k]`; 1 where both are empty.
#[must_use]
pub fn overlaps(logits: Tensor<4>, truths: &Truths) -> Tensor<2> {
    let [n, k, height, width] = logits.dims();
    let all = [n, k, height * width];
    let counted = truths.counted.clone().expand(all);
    let said = logits.reshape(all).greater_elem(0.0).float() * counted.clone();
    let truth = truths.truth.clone().expand(all) * counted;
    let sum = |x: Tensor<3>| x.sum_dim(2).reshape([n, k]);
    let both = sum(said.clone() * truth.clone());
    let either = sum(said) + sum(truth) - both.clone();
    let none = either.clone().equal_elem(0.0).float();
    (both + none.clone()) / (either + none)
}

/// The mean squared difference of predicted and true overlaps `[n, k]` of each prompt's masks, `[n]`
#[must_use]
pub fn quality_loss(predicted: Tensor<2>, overlaps: Tensor<2>) -> Tensor<1> {
    let [n, _] = predicted.dims();
    (predicted - overlaps).square().mean_dim(1).reshape([n])
}

/// The losses of answers: focal, Dice and quality, sums over the prompts, `[1]` each, of masks `[n, candidates, h, w]` with their
/// predicted quality `[n, candidates]`. Of the three offered masks the one with the least loss counts. Corrections leave no
/// choice: there the mask that is for such prompts counts as much.
///
/// # Errors
/// When the device fails.
pub fn told(
    low: &Tensor<4>,
    quality: &Tensor<2>,
    truths: &Truths,
    corrected: bool,
) -> Result<[Tensor<1>; 3], RunError> {
    let [n, candidates, height, width] = low.dims();
    let worth = Worth::of(low, truths)?;
    let chosen = best(n, |row, at| worth.loss(row, at)).into_iter().enumerate();
    let mut ids: Vec<usize> = chosen.map(|(row, at)| row * candidates + at).collect();
    let (mut share, mut truth) = (1.0, truths.clone());
    if corrected {
        ids.extend((0..n).map(|row| row * candidates));
        (share, truth) = (0.5, truths.repeated(2));
    }
    let masks = picked(low.clone().reshape([n * candidates, 1, height, width]), &ids);
    let MaskLosses { focal, dice } = mask_losses(bilinear(masks, truths.size(), Corners::Edges), &truth);
    let first = usize::from(!corrected);
    let told = candidates.min(OFFERED + 1) - first;
    let overlap: Vec<f32> = worth.overlap.iter().flat_map(|own| own.iter().skip(first).take(told)).copied().collect();
    let overlap = Tensor::from_data(TensorData::new(overlap, [n, told]), &low.device().inner());
    let quality = quality_loss(quality.clone().narrow(1, first, told), overlap);
    Ok([focal.sum() * share, dice.sum() * share, quality.sum()])
}

/// Some of the first axis.
pub(super) fn picked<const D: usize>(x: Tensor<D>, rows: &[usize]) -> Tensor<D> {
    let ids: Vec<i32> = rows.iter().map(|&row| i32::try_from(row).unwrap_or(i32::MAX)).collect();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [rows.len()]), &x.device().inner());
    x.select(0, ids)
}

/// What the masks of all candidates are worth, without gradients: focal, Dice and overlap, `[n][candidates]` each, on the host.
#[derive(Clone, Debug)]
pub struct Worth {
    /// Focal losses.
    pub focal: Vec<Vec<f32>>,
    /// Dice losses.
    pub dice: Vec<Vec<f32>>,
    /// Intersections over union.
    pub overlap: Vec<Vec<f32>>,
}

impl Worth {
    /// Of masks `[n, candidates, h, w]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn of(low: &Tensor<4>, truths: &Truths) -> Result<Self, RunError> {
        let low = low.clone().inner();
        // One candidate at a time: at the size of the input they are large.
        let each = (0..low.dims()[1]).map(|at| {
            let logits = bilinear(low.clone().narrow(1, at, 1), truths.size(), Corners::Edges);
            let MaskLosses { focal, dice } = mask_losses(logits.clone(), truths);
            [focal, dice, overlaps(logits, truths)]
        });
        let mut columns: [Vec<Tensor<2>>; 3] = Default::default();
        for found in each {
            columns.iter_mut().zip(found).for_each(|(column, x)| column.push(x));
        }
        let [focal, dice, overlap] = columns.map(|column| rows(Tensor::cat(column, 1)));
        Ok(Self { focal: focal?, dice: dice?, overlap: overlap? })
    }

    /// The loss of a mask.
    #[must_use]
    pub fn loss(&self, row: usize, candidate: usize) -> f64 {
        let of = |x: &[Vec<f32>]| f64::from(x.get(row).and_then(|x| x.get(candidate)).copied().unwrap_or(f32::NAN));
        FOCAL_WEIGHT * of(&self.focal) + of(&self.dice)
    }
}

/// The offered candidate of each row with the least, or greatest, value; the first of equal ones.
pub(super) fn best(rows: usize, worse: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let of = |row: usize| (1..=OFFERED).min_by(|&a, &b| worse(row, a).total_cmp(&worse(row, b))).unwrap_or(1);
    (0..rows).map(of).collect()
}

/// Numbers of `[n, k]` on the host, `[n][k]`.
///
/// # Errors
/// When the device fails.
pub(super) fn rows(x: Tensor<2>) -> Result<Vec<Vec<f32>>, RunError> {
    let [_, k] = x.dims();
    Ok(host(&Value::Vector(x))?.chunks(k.max(1)).map(<[f32]>::to_vec).collect())
}
