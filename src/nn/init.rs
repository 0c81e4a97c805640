//! New weights: torch's distributions, drawn on the CPU from the seed and the tensor's full name, so that they depend on
//! neither the device nor the order of construction.

use super::value::RunError;
use crate::graph::{Init, TensorSpec};
use crate::rng::Rng;
use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};

/// Hands a block the tensors that its description lists.
pub struct Params<'a> {
    specs: Vec<&'a TensorSpec>,
    prefix: String,
    fill: &'a dyn Fn(&TensorSpec) -> Vec<f32>,
    device: &'a Device,
}

impl std::fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Params").field("prefix", &self.prefix).field("left", &self.left()).finish_non_exhaustive()
    }
}

impl<'a> Params<'a> {
    /// The tensors of one node, each with the values that `fill` gives; `prefix` is the node's, without the last dot.
    #[must_use]
    pub fn new(
        specs: &'a [TensorSpec],
        prefix: &str,
        fill: &'a dyn Fn(&TensorSpec) -> Vec<f32>,
        device: &'a Device,
    ) -> Self {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        Self { specs: specs.iter().collect(), prefix, fill, device }
    }

    /// Takes the tensor `name` of the layer `layer` (both relative to the node; `layer` may be empty).
    ///
    /// # Errors
    /// When the description does not list it or lists another number of axes.
    pub fn take<const D: usize>(&mut self, layer: &str, name: &str) -> Result<Param<Tensor<D>>, RunError> {
        let local = if layer.is_empty() { name.to_owned() } else { format!("{layer}.{name}") };
        let full = format!("{}{local}", self.prefix);
        let Some(at) = self.specs.iter().position(|spec| spec.name == full) else {
            return Err(RunError::Description(format!("the graph does not describe the tensor {full}")));
        };
        let spec = self.specs.swap_remove(at);
        if spec.shape.len() != D {
            return Err(RunError::Description(format!(
                "{full} has {} axes and the module wants {D}",
                spec.shape.len()
            )));
        }
        let data = TensorData::new((self.fill)(spec), spec.shape.clone());
        Ok(Param::initialized(ParamId::new(), Tensor::from_data(data, self.device)))
    }

    /// Names that no layer has taken.
    #[must_use]
    pub fn left(&self) -> Vec<&str> {
        self.specs.iter().map(|spec| spec.name.as_str()).collect()
    }
}

/// The values that a tensor starts with.
#[must_use]
pub fn values(spec: &TensorSpec, seed: u64) -> Vec<f32> {
    let count = spec.shape.iter().product();
    let mut rng = Rng::keyed(seed, &spec.name);
    match spec.init {
        Init::Constant(value) => vec![value; count],
        Init::Counting => (0..count).map(|i| i as f32).collect(),
        Init::Normal(std) => (0..count).map(|_| rng.normal() * std).collect(),
        Init::KaimingNormalFanOut => {
            let fan_out: usize = spec.shape.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, n)| n).product();
            let std = (2.0 / fan_out.max(1) as f32).sqrt();
            (0..count).map(|_| rng.normal() * std).collect()
        }
        Init::KaimingUniform => {
            let fan_in: usize = spec.shape.iter().skip(1).product();
            let bound = (3.0 / fan_in.max(1) as f32).sqrt();
            (0..count).map(|_| rng.range(-bound, bound)).collect()
        }
        Init::HeUniform | Init::XavierUniform => {
            let fan_in: usize = spec.shape.iter().skip(1).product();
            let fan_out: usize = spec.shape.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, n)| n).product();
            let fan = if spec.init == Init::HeUniform { fan_in } else { fan_in + fan_out };
            let bound = (6.0 / fan.max(1) as f32).sqrt();
            (0..count).map(|_| rng.range(-bound, bound)).collect()
        }
        Init::UniformFanIn { fan_in } => {
            let own: usize = spec.shape.iter().skip(1).product();
            let bound = 1.0 / (if fan_in > 0 { fan_in } else { own.max(1) } as f32).sqrt();
            (0..count).map(|_| rng.range(-bound, bound)).collect()
        }
    }
}
