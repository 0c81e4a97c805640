//! SGD with momentum and AdamW in torch's semantics, over the tensors that train and no others.

use super::plan::OptimizerChoice;
use crate::graph::{Node, TensorSpec};
use crate::models::{ChangeTensors, Network, SeeTensors};
use crate::nn::RunError;
use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use std::collections::BTreeMap;

/// What the optimizer remembers of one tensor, flattened.
#[derive(Clone, Debug)]
struct Memory {
    step: i32,
    first: Tensor<1>,
    second: Option<Tensor<1>>,
}

/// What the optimizer remembers of one tensor, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorState {
    /// Steps that it has made.
    pub step: i32,
    /// Momentum, or Adam's mean of the gradient.
    pub first: Vec<f32>,
    /// Adam's mean of the squared gradient.
    pub second: Option<Vec<f32>>,
}

/// What the optimizer remembers, by tensor name.
pub type OptimizerState = BTreeMap<String, TensorState>;

/// An optimizer with its memory. A tensor that starts to train, or trains again after a freeze, starts without memory.
#[derive(Debug)]
pub struct Optimizer {
    choice: OptimizerChoice,
    memory: BTreeMap<String, Memory>,
}

impl Optimizer {
    /// An optimizer without memory.
    #[must_use]
    pub fn new(choice: OptimizerChoice) -> Self {
        Self { choice, memory: BTreeMap::new() }
    }

    /// One step on every tensor that has a gradient. `lr` gives the learning rate of a node; gradients are multiplied by
    /// `scale` (a clipping factor) first.
    pub fn step(
        &mut self,
        network: &mut Network,
        grads: Gradients,
        scale: Option<Tensor<1>>,
        lr: &dyn Fn(&Node) -> f64,
    ) {
        let mut step = Step { optimizer: self, grads, scale, lr, node_lr: 0.0 };
        network.change_tensors(&mut step);
    }

    /// Forgets the tensors that `keep` does not choose by name; how many were forgotten.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) -> usize {
        let before = self.memory.len();
        self.memory.retain(|name, _| keep(name));
        before - self.memory.len()
    }

    /// The memory on the host, for a checkpoint.
    ///
    /// # Errors
    /// When the device fails.
    pub fn state(&self) -> Result<OptimizerState, RunError> {
        let read = |tensor: &Tensor<1>| -> Result<Vec<f32>, RunError> {
            let data = tensor.clone().try_into_data().map_err(|error| RunError::Device(format!("{error:?}")))?;
            data.try_to_vec::<f32>().map_err(|error| RunError::Device(format!("{error:?}")))
        };
        let mut state = OptimizerState::new();
        for (name, memory) in &self.memory {
            let second = memory.second.as_ref().map(read).transpose()?;
            state.insert(name.clone(), TensorState { step: memory.step, first: read(&memory.first)?, second });
        }
        Ok(state)
    }

    /// Puts a memory back.
    pub fn restore(&mut self, state: OptimizerState, device: &Device) {
        let upload = |values: Vec<f32>| {
            let count = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [count]), device)
        };
        self.memory = state
            .into_iter()
            .map(|(name, state)| {
                let second = state.second.map(upload);
                (name, Memory { step: state.step, first: upload(state.first), second })
            })
            .collect();
    }

    fn update(&mut self, name: &str, weight: Tensor<1>, grad: Tensor<1>, lr: f64) -> Tensor<1> {
        match self.choice {
            OptimizerChoice::Sgd { momentum, weight_decay } => {
                let grad = if weight_decay == 0.0 { grad } else { grad + weight.clone() * weight_decay };
                if momentum == 0.0 {
                    return weight - grad * lr;
                }
                let (step, buffer) = match self.memory.remove(name) {
                    Some(memory) => (memory.step, memory.first * momentum + grad),
                    None => (0, grad), // torch's buffer starts as the first gradient, not as zero
                };
                let new = weight - buffer.clone() * lr;
                self.memory.insert(name.to_owned(), Memory { step: step + 1, first: buffer, second: None });
                new
            }
            OptimizerChoice::AdamW { beta1, beta2, epsilon, weight_decay } => {
                let memory = self.memory.remove(name);
                let step = memory.as_ref().map_or(0, |memory| memory.step) + 1;
                let square = grad.clone() * grad.clone() * (1.0 - beta2);
                let grad = grad * (1.0 - beta1);
                let (first, second) = match memory {
                    Some(Memory { first, second: Some(second), .. }) => (first * beta1 + grad, second * beta2 + square),
                    _ => (grad, square),
                };
                let denominator = second.clone().sqrt() / (1.0 - beta2.powi(step)).sqrt() + epsilon;
                let change = first.clone() / denominator * (lr / (1.0 - beta1.powi(step)));
                let new = weight * (1.0 - lr * weight_decay) - change;
                self.memory.insert(name.to_owned(), Memory { step, first, second: Some(second) });
                new
            }
        }
    }
}

struct Step<'a> {
    optimizer: &'a mut Optimizer,
    grads: Gradients,
    scale: Option<Tensor<1>>,
    lr: &'a dyn Fn(&Node) -> f64,
    node_lr: f64,
}

impl ChangeTensors for Step<'_> {
    fn enter(&mut self, node: &Node) {
        self.node_lr = (self.lr)(node);
    }

    fn change<const D: usize>(&mut self, spec: &TensorSpec, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let (id, value, _) = param.consume();
        let Some(grad) = value.grad_remove(&mut self.grads) else { return Param::initialized(id, value) };
        let shape = value.shape();
        let count = shape.num_elements();
        let mut grad = grad.reshape([count]);
        if let Some(scale) = &self.scale {
            grad = grad * scale.clone();
        }
        let weight = value.inner().reshape([count]);
        let new = self.optimizer.update(&spec.name, weight, grad, self.node_lr);
        Param::initialized(id, new.reshape(shape).autodiff().require_grad())
    }
}

/// The norm of all gradients together, `[1]`; none when nothing has a gradient.
#[must_use]
pub fn global_norm(network: &Network, grads: &Gradients) -> Option<Tensor<1>> {
    let mut sum = SquareSum { grads, sum: None };
    network.see_tensors(&mut sum);
    sum.sum.map(Tensor::sqrt)
}

struct SquareSum<'a> {
    grads: &'a Gradients,
    sum: Option<Tensor<1>>,
}

impl SeeTensors for SquareSum<'_> {
    fn see<const D: usize>(&mut self, _: &TensorSpec, param: &Param<Tensor<D>>) {
        if let Some(grad) = param.val().grad(self.grads) {
            let square = (grad.clone() * grad).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}
