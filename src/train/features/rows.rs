//! Between the tensors of a cut for a batch and the numbers of each picture.

use super::Given;
use crate::graph::Cut;
use crate::nn::{RunError, Value, read};
use burn::tensor::{Device, Tensor, TensorData};

/// The numbers of each of `count` pictures: all tensors, one after the other.
///
/// # Errors
/// When a value is of a kind that cannot be kept, or the device fails.
pub(super) fn split(outputs: &[Value], count: usize) -> Result<Vec<Vec<f32>>, RunError> {
    let mut tensors: Vec<Vec<f32>> = Vec::new();
    for output in outputs {
        match output {
            Value::Map(x) => tensors.push(read(x.clone().inner())?),
            Value::Vector(x) => tensors.push(read(x.clone().inner())?),
            Value::Tokens(x) => tensors.push(read(x.clone().inner())?),
            Value::Pyramid(maps) => {
                for map in maps {
                    tensors.push(read(map.clone().inner())?);
                }
            }
            Value::Regions(_) | Value::Prompt(_) | Value::Asking(_) => {
                return Err(RunError::Kind { wanted: "tensors of each picture", got: "something else" });
            }
        }
    }
    let each = |at: usize| {
        let mut all = Vec::new();
        for tensor in &tensors {
            let length = tensor.len() / count.max(1);
            all.extend_from_slice(tensor.get(at * length..(at + 1) * length).unwrap_or_default());
        }
        all
    };
    Ok((0..count).map(each).collect())
}

/// The values of a cut for a batch, from the numbers of its pictures.
pub(super) fn join(cut: &Cut, rows: &[&[f32]], device: &Device) -> Given {
    let mut from = 0;
    let mut given = Given::new();
    for (&node, shapes) in cut.nodes.iter().zip(&cut.shapes) {
        let mut parts = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let length: usize = shape.iter().product();
            let mut all = Vec::with_capacity(length * rows.len());
            for row in rows {
                all.extend_from_slice(row.get(from..from + length).unwrap_or_default());
            }
            from += length;
            parts.push((shape.as_slice(), all));
        }
        let map = |(shape, all): (&[usize], Vec<f32>)| match *shape {
            [c, h, w] => Tensor::<4>::from_data(TensorData::new(all, [rows.len(), c, h, w]), device),
            _ => Tensor::<4>::zeros([0, 0, 0, 0], device),
        };
        let value = match (parts.len(), parts.first().map(|(shape, _)| *shape)) {
            (1, Some([features])) => {
                let (features, all) = (*features, parts.remove(0).1);
                Value::Vector(Tensor::from_data(TensorData::new(all, [rows.len(), features]), device))
            }
            (1, Some([count, width])) => {
                let (shape, all) = ([rows.len(), *count, *width], parts.remove(0).1);
                Value::Tokens(Tensor::from_data(TensorData::new(all, shape), device))
            }
            (1, Some(_)) => Value::Map(map(parts.remove(0))),
            _ => Value::Pyramid(parts.into_iter().map(map).collect()),
        };
        given.insert(node, value);
    }
    given
}
