//! Max pooling.

use super::kernels::pool::{self, Pool};
use super::record::{Input, record};
use burn::tensor::Tensor;

/// `[batch, channels, h, w]` → `[batch, channels, h', w']`
pub(in crate::nn) fn max_pool(x: &Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Option<Tensor<4>> {
    let [batch, channels, height, width] = x.dims();
    let sizes = Pool { size: [height, width], kernel, stride, padding };
    if !sizes.fits() || batch * channels == 0 {
        return None;
    }
    let input = Input::new(x)?;
    let [height, width] = sizes.out_size();
    let (out, places) = pool::forward(&sizes, input.get(), input.is_tracked());
    Some(record(&[input], (out, [batch, channels, height, width]), move |grad, _| {
        [Some(pool::backward(&sizes, grad, &places))]
    }))
}
