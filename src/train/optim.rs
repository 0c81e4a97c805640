//! SGD with momentum and AdamW in torch's semantics, over the tensors that train and no others.

use super::plan::OptimizerChoice;
use crate::graph::{Node, TensorSpec};
use crate::models::{ChangeTensors, Network, SeeTensors};
use crate::nn::cpu::{self, Adam, Descent, Moved, Moving, Rule};
use crate::nn::{RunError, read};
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
    pub fn step(&mut self, network: &mut Network, grads: Gradients, scale: Option<f32>, lr: &dyn Fn(&Node) -> f64) {
        let scale = scale.unwrap_or(1.0);
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
        let read = |tensor: &Tensor<1>| read(tensor.clone());
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

    /// Moves a tensor. The gradient is multiplied by `scale` first.
    fn update(&mut self, name: &str, weight: Tensor<1>, grad: Tensor<1>, scale: f32, lr: f64) -> Tensor<1> {
        let (step, first, second) = match self.memory.remove(name) {
            Some(Memory { step, first, second }) => (step + 1, Some(first), second),
            None => (1, None, None),
        };
        let rule = rule(self.choice, scale, step, lr);
        let moving = Moving { weight, grad, first, second };
        let Moved { weight, first, second } = cpu::update(rule, moving).unwrap_or_else(|moving| compose(rule, *moving));
        if let Some(first) = first {
            self.memory.insert(name.to_owned(), Memory { step, first, second });
        }
        weight
    }
}

/// A choice's step number `step` (from 1).
fn rule(choice: OptimizerChoice, scale: f32, step: i32, lr: f64) -> Rule {
    match choice {
        OptimizerChoice::Sgd { momentum, weight_decay } => {
            let descent = Descent { scale, decay: weight_decay as f32, lr: lr as f32 };
            if momentum == 0.0 { Rule::Descent(descent) } else { Rule::Momentum(descent, momentum as f32) }
        }
        OptimizerChoice::AdamW { beta1, beta2, epsilon, weight_decay } => Rule::Adam(Adam {
            scale,
            mean: [beta1 as f32, (1.0 - beta1) as f32],
            square: [beta2 as f32, (1.0 - beta2) as f32],
            root: (1.0 - beta2.powi(step)).sqrt() as f32,
            epsilon: epsilon as f32,
            rate: (lr / (1.0 - beta1.powi(step))) as f32,
            shrink: (1.0 - lr * weight_decay) as f32,
        }),
    }
}

/// The same step by burn's operations.
fn compose(rule: Rule, moving: Moving) -> Moved {
    let Moving { weight, grad, first, second } = moving;
    let scaled = |grad: Tensor<1>, scale: f32| if scale == 1.0 { grad } else { grad * scale };
    // (The gradient is given away: burn then reuses its memory.)
    let decayed = |grad: Tensor<1>, weight: &Tensor<1>, Descent { scale, decay, .. }: Descent| {
        let grad = scaled(grad, scale);
        if decay == 0.0 { grad } else { grad + weight.clone() * decay }
    };
    match rule {
        Rule::Descent(descent) => {
            let change = decayed(grad, &weight, descent) * descent.lr;
            Moved { weight: weight - change, first, second }
        }
        Rule::Momentum(descent, kept) => {
            let grad = decayed(grad, &weight, descent);
            let buffer = match first {
                Some(buffer) => buffer * kept + grad,
                None => grad, // torch's buffer starts as the first gradient, not as zero
            };
            Moved { weight: weight - buffer.clone() * descent.lr, first: Some(buffer), second }
        }
        Rule::Adam(Adam { scale, mean, square, root, epsilon, rate, shrink }) => {
            let grad = scaled(grad, scale);
            let fresh = grad.clone() * grad.clone() * square[1];
            let grad = grad * mean[1];
            let (first, second) = match (first, second) {
                (Some(first), Some(second)) => (first * mean[0] + grad, second * square[0] + fresh),
                _ => (grad, fresh),
            };
            let change = first.clone() / (second.clone().sqrt() / root + epsilon) * rate;
            Moved { weight: weight * shrink - change, first: Some(first), second: Some(second) }
        }
    }
}

struct Step<'a> {
    optimizer: &'a mut Optimizer,
    grads: Gradients,
    scale: f32,
    lr: &'a dyn Fn(&Node) -> f64,
    node_lr: f64,
}

impl ChangeTensors for Step<'_> {
    fn enter(&mut self, node: &Node, frozen: bool) -> bool {
        self.node_lr = (self.lr)(node);
        !frozen
    }

    fn change<const D: usize>(&mut self, spec: &TensorSpec, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let (id, value, _) = param.consume();
        let Some(grad) = value.grad_remove(&mut self.grads) else { return Param::initialized(id, value) };
        let shape = value.shape();
        let count = shape.num_elements();
        let (weight, grad) = (value.inner().reshape([count]), grad.reshape([count]));
        let new = self.optimizer.update(&spec.name, weight, grad, self.scale, self.node_lr);
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
