//! A training step that keeps little: the network runs segment by segment, only what crosses their boundaries is kept, and each
//! segment runs again when its gradients are wanted (Chen et al. 2016, arXiv:1604.06174). Batch norm sees the same batch both
//! times, dropout draws the same numbers, and gradients are those of a step at once but for roundings where paths meet.

use crate::graph::{Frontier, NodeId, Segments};
use crate::models::{Mode, Network};
use crate::nn::{Ctx, RunError, Value};
use burn::tensor::{Gradients, Tensor};
use std::collections::BTreeMap;

/// Outputs of nodes.
type Outputs = BTreeMap<NodeId, Value>;

/// The segments of a step that have run and are to be run again, and what they began from.
#[derive(Debug, Default)]
pub(super) struct Kept {
    inputs: Vec<Value>,
    /// For each segment but the last, what it was given and what it was asked for.
    segments: Vec<(Outputs, Vec<NodeId>)>,
    /// What the last segment was given.
    last: Outputs,
}

impl Kept {
    /// Runs all segments but the last: for it there are gradients at once. Then the heads' outputs.
    pub(super) fn forward(
        network: &Network,
        images: Option<&Tensor<4>>,
        given: &Outputs,
        segments: &Segments,
        ctx: &mut Ctx,
    ) -> Result<(Self, Vec<Value>), RunError> {
        let images = images.filter(|_| given.is_empty()).map(|images| Value::Map(images.clone()));
        let inputs: Vec<Value> = images.into_iter().collect();
        // Burn keeps what gradients need until the next backward pass, also where nobody can ask for them any more.
        let untracked = network.inference();
        let mut at = given.clone();
        let mut kept = Self { inputs, segments: Vec::new(), last: Outputs::new() };
        for boundary in &segments.boundaries {
            let outputs = untracked.run(&kept.inputs, &at, boundary, Mode::Train, ctx)?;
            let next = boundary.iter().copied().zip(outputs).collect();
            kept.segments.push((std::mem::replace(&mut at, next), boundary.clone()));
        }
        kept.last = leaves(at, &network.frontier());
        let heads: Vec<NodeId> = network.graph().heads.iter().map(|head| head.output).collect();
        let outputs = network.run(&kept.inputs, &kept.last, &heads, Mode::Train, ctx)?;
        Ok((kept, outputs))
    }

    /// From the gradients of the last segment to those of all: each segment runs again, the last one first. `join` adds the
    /// gradients of weights that it is given first to the others.
    pub(super) fn backward(
        self,
        network: &Network,
        mut grads: Gradients,
        ctx: &mut Ctx,
        join: impl Fn(Gradients, &mut Gradients),
    ) -> Result<Gradients, RunError> {
        let Self { inputs, segments, mut last } = self;
        let frontier = network.frontier();
        for (given, boundary) in segments.into_iter().rev() {
            if !boundary.iter().any(|id| last.get(id).is_some_and(Value::is_tracked)) {
                break;
            }
            let given = leaves(given, &frontier);
            let outputs = network.run(&inputs, &given, &boundary, Mode::Train, ctx)?;
            // A number whose gradients are those of the loss; its value means nothing.
            let mut products = Vec::new();
            for (id, output) in boundary.iter().zip(&outputs) {
                if let Some(leaf) = last.get(id) {
                    multiply(output, leaf, &grads, &mut products);
                }
            }
            last = given;
            if let Some(sum) = products.into_iter().reduce(|sum, product| sum + product) {
                let mut own = sum.backward();
                join(grads, &mut own);
                grads = own;
            }
        }
        Ok(grads)
    }
}

/// The same values, of which gradients are asked where something before them trains.
fn leaves(values: Outputs, frontier: &Frontier) -> Outputs {
    let asked = |(id, value)| (id, if frontier.state(id).in_prefix() { value } else { leaf(value) });
    values.into_iter().map(asked).collect()
}

fn leaf(value: Value) -> Value {
    fn own<const D: usize>(x: Tensor<D>) -> Tensor<D> {
        x.autodiff().require_grad()
    }
    match value {
        Value::Map(x) => Value::Map(own(x)),
        Value::Vector(x) => Value::Vector(own(x)),
        Value::Tokens(x) => Value::Tokens(own(x)),
        Value::Pyramid(maps) => Value::Pyramid(maps.into_iter().map(own).collect()),
        other @ (Value::Regions(_) | Value::Prompt(_) | Value::Asking(_)) => other,
    }
}

/// Adds to `products` the sum of each tensor's values by the gradients of its leaf.
fn multiply(output: &Value, leaf: &Value, grads: &Gradients, products: &mut Vec<Tensor<1>>) {
    fn one<const D: usize>(x: &Tensor<D>, leaf: &Tensor<D>, grads: &Gradients, products: &mut Vec<Tensor<1>>) {
        if x.is_tracked()
            && let Some(grad) = leaf.grad(grads)
        {
            products.push((x.clone() * Tensor::from_inner(grad)).sum());
        }
    }
    match (output, leaf) {
        (Value::Map(x), Value::Map(leaf)) => one(x, leaf, grads, products),
        (Value::Vector(x), Value::Vector(leaf)) => one(x, leaf, grads, products),
        (Value::Tokens(x), Value::Tokens(leaf)) => one(x, leaf, grads, products),
        (Value::Pyramid(maps), Value::Pyramid(leaves)) => {
            maps.iter().zip(leaves).for_each(|(x, leaf)| one(x, leaf, grads, products));
        }
        _ => {}
    }
}
