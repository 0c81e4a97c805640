//! From tensors to numbers on the host.

use super::RunError;
use burn::backend::Flex;
use burn::tensor::{DType, Tensor};

/// The numbers of a tensor without automatic differentiation, row-major.
///
/// # Errors
/// When the device fails, or the numbers are not f32.
pub fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, RunError> {
    // On the processor they are copied once; by way of burn's data it would be twice.
    if x.dtype() == DType::F32
        && let Ok(tensor) = x.clone().try_into_primitive::<Flex>()
        && let Some(numbers) = tensor.to_contiguous().as_slice::<f32>()
    {
        return Ok(numbers.to_vec());
    }
    let data = x.try_into_data().map_err(|error| RunError::Device(format!("{error:?}")))?;
    data.try_into_vec::<f32>().map_err(|error| RunError::Device(format!("{error:?}")))
}
