//! Sums of weighted rows.

pub(in crate::nn) use super::kernels::sums::Taps;

use super::kernels::sums;
use super::record::{Input, record};
use burn::tensor::Tensor;

/// `[rows, width]` → `[sums, width]`; the taps are asked for where the kernels apply.
pub(in crate::nn) fn sum_rows(table: &Tensor<2>, taps: impl FnOnce() -> Taps) -> Option<Tensor<2>> {
    let [rows, width] = table.dims();
    let input = Input::new(table)?;
    let taps = taps();
    if width == 0 || taps.table() > rows {
        return None;
    }
    let out = sums::forward(&taps, input.get(), width);
    let shape = [taps.sums(), width];
    Some(record(&[input], (out, shape), move |grad, _| [Some(sums::backward(&taps, grad, rows, width))]))
}
