//! Gradients of a training step, and which nodes train in it.

use burn::module::Param;
use burn::tensor::{Gradients, Tensor};
use frostline::graph::{FreezePlan, TensorSpec};
use frostline::models::{Network, SeeTensors};
use serde_json::Value as Json;
use std::collections::HashMap;

/// What a step found.
#[derive(Default)]
pub struct Grads {
    /// The gradients that a fixture's `grads` names.
    pub found: HashMap<String, Vec<f32>>,
    /// Numbers in all gradients that there are.
    pub count: u64,
}

struct See<'a> {
    grads: &'a Gradients,
    wanted: &'a Json,
    seen: Grads,
}

impl SeeTensors for See<'_> {
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>) {
        if let Some(grad) = param.val().grad(self.grads) {
            self.seen.count += grad.shape().num_elements() as u64;
            if self.wanted.get(&spec.name).is_some() {
                self.seen.found.insert(spec.name.clone(), grad.into_data().try_to_vec().unwrap());
            }
        }
    }
}

/// The gradients of a network; `wanted` is a fixture's `grads`.
pub fn gradients(network: &Network, grads: &Gradients, wanted: &Json) -> Grads {
    let mut see = See { grads, wanted, seen: Grads::default() };
    network.see_tensors(&mut see);
    see.seen
}

/// A plan that trains the nodes whose tensors stand under one of the prefixes.
pub fn training(network: &Network, prefixes: &[&str]) -> FreezePlan {
    let under = |name: &str, prefix: &str| {
        prefix.is_empty() || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
    };
    let mut plan = FreezePlan::default();
    let graph = network.graph();
    for id in graph.ids() {
        let mut tensors = network.facts().node(id).tensors.iter();
        let trains = tensors.any(|tensor| prefixes.iter().any(|prefix| under(&tensor.name, prefix)));
        plan.set(&graph.node(id).path, !trains);
    }
    plan
}

/// What PyTorch gives for this case when the one ReLU whose input lies within f32's rounding of zero takes its other
/// side (`tests/reference/relu_side.py` says which and shows that PyTorch itself then moves by just what we see).
pub fn other_side(fixture: &Json, case: &Json) -> Json {
    let [model, case] = [&fixture["model"], &case["name"]].map(|name| name.as_str().unwrap());
    let name = format!("{model}_{case}_relu_side.json");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(path).map_or(Json::Null, |text| serde_json::from_str(&text).unwrap())
}
