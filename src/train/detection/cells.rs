//! The candidates of a one-stage detector: one for each cell of each level.

use super::candidates::Candidates;
use crate::nn::{RunError, Value, read};
use burn::tensor::{Device, Tensor, TensorData};

/// The cells of all levels, finest level first, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cells {
    /// Column, row and side in input pixels of each.
    pub all: Vec<[f32; 3]>,
}

impl Cells {
    /// The cells of levels of these heights and widths.
    pub(super) fn of(sizes: &[[usize; 2]], strides: &[usize]) -> Self {
        let mut all = Vec::new();
        for (&[height, width], &stride) in sizes.iter().zip(strides) {
            for row in 0..height {
                all.extend((0..width).map(|column| [column as f32, row as f32, stride as f32]));
            }
        }
        Self { all }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The upper left corners in cells `[1, cells, 2]`, and the sides in pixels `[1, cells, 1]`.
    pub(super) fn tensors(&self, device: &Device) -> (Tensor<3>, Tensor<3>) {
        let corners: Vec<f32> = self.all.iter().flat_map(|[column, row, _]| [*column, *row]).collect();
        let sides: Vec<f32> = self.all.iter().map(|[.., side]| *side).collect();
        let count = self.len();
        (
            Tensor::from_data(TensorData::new(corners, [1, count, 2]), device),
            Tensor::from_data(TensorData::new(sides, [1, count, 1]), device),
        )
    }
}

/// A head's raw outputs for each cell: maps `[batch, channels, h, w]` become `[batch, cells, channels]`.
///
/// # Errors
/// When the output is no pyramid or has another number of levels or channels.
pub(super) fn rows(output: &Value, levels: usize, channels: usize) -> Result<(Tensor<3>, Vec<[usize; 2]>), RunError> {
    let maps = output.pyramid()?;
    if maps.len() != levels || maps.iter().any(|map| map.dims()[1] != channels) {
        return Err(RunError::Kind { wanted: "a pyramid of its levels and channels", got: "another" });
    }
    let sizes = maps.iter().map(|map| [map.dims()[2], map.dims()[3]]).collect();
    let flat = maps.into_iter().map(|map| map.flatten::<3>(2, 3)).collect();
    Ok((Tensor::cat(flat, 2).swap_dims(1, 2), sizes))
}

/// The best class of each cell: `[batch, cells, channels]` scores to `[batch, cells, 2]`, score and class.
pub(super) fn best_class(scores: Tensor<3>) -> Tensor<3> {
    let (score, class) = scores.max_dim_with_indices(2);
    Tensor::cat(vec![score, class.float()], 2)
}

/// The candidates of each picture from boxes `[batch, cells, 4]` and, for each, score and class `[batch, cells, 2]`; those
/// below `least` are left out.
///
/// # Errors
/// When the device fails.
pub(super) fn candidates(boxes: Tensor<3>, best: Tensor<3>, least: f32) -> Result<Vec<Candidates>, RunError> {
    let cells = boxes.dims()[1];
    let numbers = read(Tensor::cat(vec![boxes, best], 2).inner())?;
    let of_picture = |numbers: &[f32]| {
        let (mut boxes, mut scores, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        let (rows, _) = numbers.as_chunks::<6>();
        for &[left, top, right, bottom, score, class] in rows {
            if score >= least {
                boxes.push([left, top, right, bottom]);
                scores.push(score);
                classes.push(class as u32);
            }
        }
        Candidates::sorted(&boxes, &scores, &classes)
    };
    Ok(numbers.chunks_exact((cells * 6).max(1)).map(of_picture).collect())
}

/// A tensor of these values.
pub(super) fn on<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The smallest values with their places, by rising value.
#[derive(Debug)]
pub(super) struct Least {
    most: usize,
    pub kept: Vec<(f32, usize)>,
}

impl Least {
    /// At most so many.
    pub(super) fn of(most: usize) -> Self {
        Self { most, kept: Vec::with_capacity(most + 1) }
    }

    pub(super) fn offer(&mut self, value: f32, at: usize) {
        if self.kept.len() == self.most && self.kept.last().is_some_and(|(last, _)| value.total_cmp(last).is_ge()) {
            return;
        }
        let place = self.kept.partition_point(|(kept, _)| kept.total_cmp(&value).is_le());
        self.kept.insert(place, (value, at));
        self.kept.truncate(self.most);
    }
}
