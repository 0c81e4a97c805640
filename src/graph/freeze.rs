//! What is frozen, and what follows from it: the frozen prefix, the islands, the frost line.

use super::GraphError;
use super::facts::Facts;
use super::network::{Graph, NodeId, Part, Source};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the batch normalisations of a node do while training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BnPolicy {
    /// Use the stored statistics; scale and shift stay as they are.
    Stored,
    /// Use the stored statistics; scale and shift train.
    Affine,
    /// Use the batch's statistics and update the stored ones; scale and shift train unless the node is frozen.
    Train,
}

impl fmt::Display for BnPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored => "stored",
            Self::Affine => "affine",
            Self::Train => "train",
        })
    }
}

/// The usual choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Transfer learning: everything but the heads (and the neck, if the backbone feeds one) is frozen.
    HeadOnly,
    /// Fine-tuning: the backbone's last stage trains as well.
    LastStageAndHead,
    /// Nothing is frozen.
    Everything,
    /// Everything up to and including this node or stage is frozen.
    Until(String),
}

/// Which nodes are frozen, by path. Plain data, kept in projects and runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezePlan {
    /// Paths of frozen nodes.
    pub frozen: BTreeSet<String>,
    /// Batch-norm policies that differ from the default (frozen: stored, trainable: train).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bn: BTreeMap<String, BnPolicy>,
}

/// What a node is under a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Frozen and behind nothing that trains: no gradient, no kept activations.
    Prefix,
    /// Frozen behind something that trains: its weights stay, gradients flow through it.
    Island,
    /// Its weights train.
    Trains,
    /// It has no tensors; it lies in the frozen prefix or not, as its inputs do.
    Constant {
        /// Whether everything before it is frozen.
        in_prefix: bool,
    },
}

impl NodeState {
    /// Whether the node lies before the frost line.
    #[must_use]
    pub fn in_prefix(self) -> bool {
        matches!(self, Self::Prefix | Self::Constant { in_prefix: true })
    }

    /// Whether the node has weights that must not change.
    #[must_use]
    pub fn is_frozen(self) -> bool {
        matches!(self, Self::Prefix | Self::Island)
    }
}

impl FreezePlan {
    /// A preset for this graph.
    ///
    /// # Errors
    /// When the preset names a node or stage that the graph does not have.
    pub fn preset(graph: &Graph, preset: &Preset) -> Result<Self, GraphError> {
        let of = |keep: &dyn Fn(NodeId) -> bool| {
            let frozen = graph.ids().filter(|&id| keep(id)).map(|id| graph.node(id).path.clone()).collect();
            Self { frozen, bn: BTreeMap::new() }
        };
        let in_backbone = |id: NodeId| graph.node(id).part == Part::Backbone;
        Ok(match preset {
            Preset::HeadOnly => of(&|id| in_backbone(id)),
            Preset::Everything => Self::default(),
            Preset::LastStageAndHead => {
                let facts = graph.facts()?;
                let last = graph.ids().rev().find(|&id| in_backbone(id) && facts.node(id).params > 0);
                let last = last.map(|id| graph.node(id).stage.clone());
                of(&|id| in_backbone(id) && Some(&graph.node(id).stage) != last.as_ref())
            }
            Preset::Until(name) => {
                let chosen = graph.select(name)?;
                let before = graph.ancestors(&chosen);
                of(&|id| before.contains(&id))
            }
        })
    }

    /// What this command-line word means: `none`, `backbone`, `head-only`, `until:PATH`, or names joined by commas.
    ///
    /// # Errors
    /// When a name means nothing in this graph.
    pub fn parse(graph: &Graph, text: &str) -> Result<Self, GraphError> {
        match text {
            "none" | "" => Self::preset(graph, &Preset::Everything),
            "backbone" | "head-only" => Self::preset(graph, &Preset::HeadOnly),
            "last-stage" => Self::preset(graph, &Preset::LastStageAndHead),
            _ => match text.strip_prefix("until:") {
                Some(name) => Self::preset(graph, &Preset::Until(name.to_owned())),
                None => {
                    let mut plan = Self::default();
                    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                        let nodes = graph.select(name)?;
                        plan.frozen.extend(nodes.iter().map(|&id| graph.node(id).path.clone()));
                    }
                    Ok(plan)
                }
            },
        }
    }

    /// Whether this node is frozen.
    #[must_use]
    pub fn is_frozen(&self, path: &str) -> bool {
        self.frozen.contains(path)
    }

    /// Freezes or thaws one node.
    pub fn set(&mut self, path: &str, frozen: bool) {
        if frozen {
            self.frozen.insert(path.to_owned());
        } else {
            self.frozen.remove(path);
        }
    }

    /// Freezes or thaws all nodes of a stage.
    pub fn set_stage(&mut self, graph: &Graph, stage: &str, frozen: bool) {
        for node in graph.nodes.iter().filter(|node| node.stage == stage) {
            self.set(&node.path, frozen);
        }
    }

    /// The policy of a node's batch normalisations.
    #[must_use]
    pub fn bn_policy(&self, path: &str) -> BnPolicy {
        let default = if self.is_frozen(path) { BnPolicy::Stored } else { BnPolicy::Train };
        self.bn.get(path).copied().unwrap_or(default)
    }

    /// Drops names that the graph does not have, and says which.
    pub fn retain_known(&mut self, graph: &Graph) -> Vec<String> {
        let known: BTreeSet<&str> = graph.nodes.iter().map(|node| node.path.as_str()).collect();
        let stray: BTreeSet<String> =
            self.frozen.iter().chain(self.bn.keys()).filter(|path| !known.contains(path.as_str())).cloned().collect();
        self.frozen.retain(|path| !stray.contains(path));
        self.bn.retain(|path, _| !stray.contains(path));
        stray.into_iter().collect()
    }
}

/// What a plan means for a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Frontier {
    /// State of each node, by id.
    pub states: Vec<NodeState>,
    /// Edges that cross the frost line: what a feature cache would store. A node appears once for each reader.
    pub cut: Vec<(NodeId, NodeId)>,
    /// Learnable values that train.
    pub trainable: u64,
    /// Learnable values in all.
    pub params: u64,
    /// Bytes (f32) that a training step keeps for one image: activations behind the frost line.
    pub kept_bytes: u64,
    /// Multiply-accumulates of one training step for one image: forward, and twice that where gradients are needed
    /// for inputs and for weights (once each).
    pub step_macs: u64,
}

impl Frontier {
    /// Computes what follows from a plan.
    #[must_use]
    pub fn of(graph: &Graph, facts: &Facts, plan: &FreezePlan) -> Self {
        let mut states: Vec<NodeState> = Vec::with_capacity(graph.nodes.len());
        let mut trainable = 0;
        let mut kept_bytes = 0;
        let mut step_macs = 0;
        for id in graph.ids() {
            let node = graph.node(id);
            let fact = facts.node(id);
            let before = graph.parents(id).all(|parent| states[parent.0].in_prefix());
            let moving_statistics = plan.bn_policy(&node.path) == BnPolicy::Train && facts.has_norm(id);
            let trains = trainable_params(graph, facts, plan, id);
            let state = if fact.params + fact.buffers == 0 {
                NodeState::Constant { in_prefix: before }
            } else if !plan.is_frozen(&node.path) && (trains > 0 || moving_statistics) {
                NodeState::Trains
            } else if before && !moving_statistics {
                NodeState::Prefix
            } else {
                NodeState::Island
            };
            if !state.in_prefix() {
                kept_bytes += fact.kept_bytes;
            }
            let weight_gradient = if trains > 0 { fact.macs } else { 0 };
            let input_gradient = if before { 0 } else { fact.macs };
            step_macs += fact.macs + weight_gradient + input_gradient;
            trainable += trains;
            states.push(state);
        }
        let crosses = |&(from, to): &(NodeId, NodeId)| states[from.0].in_prefix() && !states[to.0].in_prefix();
        let cut = graph.edges().into_iter().filter(crosses).collect();
        Self { states, cut, trainable, params: facts.params(), kept_bytes, step_macs }
    }

    /// State of one node.
    ///
    /// # Panics
    /// When the id belongs to another graph.
    #[must_use]
    pub fn state(&self, id: NodeId) -> NodeState {
        self.states[id.0]
    }
}

/// Learnable values of a node that train under a plan.
fn trainable_params(graph: &Graph, facts: &Facts, plan: &FreezePlan, id: NodeId) -> u64 {
    let path = &graph.node(id).path;
    if plan.is_frozen(path) {
        return 0;
    }
    let affine = plan.bn_policy(path) != BnPolicy::Stored;
    let counts = |role: super::Role| !role.is_buffer() && (affine || !role.is_norm());
    facts.node(id).tensors.iter().filter(|tensor| counts(tensor.role)).map(super::TensorSpec::numel).sum()
}

impl Graph {
    /// These nodes and everything that they depend on.
    #[must_use]
    pub fn ancestors(&self, of: &[NodeId]) -> BTreeSet<NodeId> {
        let mut seen: BTreeSet<NodeId> = BTreeSet::new();
        let mut open: Vec<NodeId> = of.to_vec();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.node(id).inputs.iter().filter_map(|source| match source {
                    Source::Node(from) => Some(*from),
                    Source::Input(_) => None,
                }));
            }
        }
        seen
    }
}
