//! From raw outputs to class ids at input size, with no more read back than the ids.

use crate::nn::RunError;
use crate::nn::resize::{Corners, bilinear};
use burn::tensor::{Int, Tensor};

/// The likeliest class of each pixel, `[n][height * width]`, of logits `[n, classes, h, w]`, which are resized first where their
/// size differs. Equal ones: the lower class.
///
/// # Errors
/// When the device fails.
pub fn said(logits: Tensor<4>, size: [usize; 2]) -> Result<Vec<Vec<u8>>, RunError> {
    let logits = fitted(logits.inner(), size);
    let [n, _, height, width] = logits.dims();
    let ids: Tensor<4, Int> = logits.argmax(1); // [n, 1, height, width]
    let ids = ids.reshape([n * height * width]).try_into_data();
    let ids = ids.map_err(|error| RunError::Device(format!("{error:?}")))?;
    let ids: Vec<u8> = ids.iter::<i64>().map(|id| u8::try_from(id).unwrap_or(u8::MAX)).collect();
    Ok(ids.chunks((height * width).max(1)).map(<[u8]>::to_vec).collect())
}

/// Logits `[n, classes, h, w]` at `[height, width]`.
#[must_use]
pub fn fitted(logits: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = logits.dims();
    if [height, width] == size { logits } else { bilinear(logits, size, Corners::Edges) }
}
