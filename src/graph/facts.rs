//! Shapes, parameters, multiply-adds, activation memory: from the graph alone.

use super::GraphError;
use super::blocks::Describe as _;
use super::network::{Graph, HeadKind, NodeId, Part, PromptTells, Source};
use super::op::ValueId;
use super::signal::{Shape, Signal};
use super::tensor::{Role, TensorSpec};
use super::trace::{Layer, Trace};
use std::collections::BTreeSet;

/// What one node costs and gives, for one image.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// Its output with receptive field and stride.
    pub output: Signal,
    /// Its tensors under their full names.
    pub tensors: Vec<TensorSpec>,
    /// Its leaf layers in order of execution.
    pub layers: Vec<Layer>,
    /// Learnable values (buffers not counted).
    pub params: u64,
    /// Values in buffers.
    pub buffers: u64,
    /// Multiply-accumulates of the forward pass.
    pub macs: u64,
    /// Bytes (f32) that a training step keeps of it for the backward pass.
    pub kept_bytes: u64,
}

/// Facts of all nodes, by id.
#[derive(Clone, Debug)]
pub struct Facts {
    nodes: Vec<NodeFacts>,
}

impl Facts {
    /// Facts of one node.
    ///
    /// # Panics
    /// When the id belongs to another graph.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &NodeFacts {
        &self.nodes[id.0]
    }

    /// Facts of all nodes in order.
    #[must_use]
    pub fn nodes(&self) -> &[NodeFacts] {
        &self.nodes
    }

    /// Learnable values of the network.
    #[must_use]
    pub fn params(&self) -> u64 {
        self.nodes.iter().map(|node| node.params).sum()
    }

    /// Multiply-accumulates of a forward pass for one image.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|node| node.macs).sum()
    }

    /// All tensors of the network under their full names, in the checkpoint's order.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorSpec> {
        self.nodes.iter().flat_map(|node| &node.tensors)
    }

    /// All leaf layers in order of execution: with the inputs and [`Facts::tensors`] everything that a forward pass
    /// computes. Value `i` is input `i` for the first ones; a node's output is the value of its signal.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.nodes.iter().flat_map(|node| &node.layers)
    }

    /// Whether the node holds a batch normalisation that can train.
    #[must_use]
    pub fn has_norm(&self, id: NodeId) -> bool {
        self.node(id).tensors.iter().any(|tensor| tensor.role == Role::NormScale)
    }
}

impl Graph {
    /// Walks the graph symbolically and checks it on the way.
    ///
    /// # Errors
    /// When names repeat, an edge points forward, shapes do not fit, a head's output has the wrong shape or there is no head.
    pub fn facts(&self) -> Result<Facts, GraphError> {
        let inputs = self.inputs.iter().enumerate();
        let inputs: Vec<Signal> = inputs.map(|(i, input)| Signal::input(i, input.shape.clone())).collect();
        let mut next = ValueId(inputs.len());
        let mut paths = BTreeSet::new();
        let mut names = BTreeSet::new();
        let mut nodes: Vec<NodeFacts> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let fail = |reason: String| GraphError::Node { path: node.path.clone(), reason };
            if !paths.insert(&node.path) {
                return Err(fail("the path is used twice".to_owned()));
            }
            let mut values = Vec::with_capacity(node.inputs.len());
            for source in &node.inputs {
                let value = match source {
                    Source::Input(i) => inputs.get(*i),
                    Source::Node(id) => nodes.get(id.0).map(|facts| &facts.output),
                };
                values.push(
                    value.ok_or_else(|| fail("it reads a node that does not stand before it".to_owned()))?.clone(),
                );
            }
            let mut trace = Trace::starting_at(next);
            let output = node.block.trace(&mut trace, &values).map_err(|error| fail(error.to_string()))?;
            next = trace.next();
            for name in trace.layers.iter_mut().flat_map(|layer| &mut layer.tensors) {
                *name = node.tensor_name(name);
            }
            for tensor in &mut trace.tensors {
                tensor.name = node.tensor_name(&tensor.name);
                if !names.insert(tensor.name.clone()) {
                    return Err(fail(format!("the tensor {} has two owners", tensor.name)));
                }
            }
            let count = |buffers: bool| {
                trace.tensors.iter().filter(|t| t.role.is_buffer() == buffers).map(TensorSpec::numel).sum::<u64>()
            };
            nodes.push(NodeFacts {
                output,
                params: count(false),
                buffers: count(true),
                macs: trace.layers.iter().map(|layer| layer.macs).sum(),
                kept_bytes: trace.kept * 4,
                tensors: trace.tensors,
                layers: trace.layers,
            });
        }
        let facts = Facts { nodes };
        self.check_heads(&facts)?;
        Ok(facts)
    }

    fn check_heads(&self, facts: &Facts) -> Result<(), GraphError> {
        if self.heads.is_empty() {
            return Err(GraphError::Structure(format!("{} has no head", self.name)));
        }
        for head in &self.heads {
            let node = self.nodes.get(head.output.0);
            let belongs = node.is_some_and(|node| node.part == Part::Head(head.name.clone()));
            if !belongs {
                return Err(GraphError::Structure(format!("the head {} does not end in a node of its own", head.name)));
            }
            let shape = &facts.node(head.output).output.shape;
            let fits = match (&head.kind, shape) {
                (HeadKind::Classify { classes } | HeadKind::MultiLabel { classes }, Shape::Vector { features }) => {
                    classes == features
                }
                (HeadKind::PixelClassify { classes }, Shape::Map { channels, .. }) => classes == channels,
                (HeadKind::Detect { classes, .. }, Shape::Pyramid { .. } | Shape::Vector { .. }) => {
                    self.detector.as_ref().is_some_and(|detector| detector.classes() == *classes)
                }
                (HeadKind::Prompted { candidates, tells: PromptTells::Mask }, Shape::Map { channels, .. }) => {
                    candidates == channels
                }
                (HeadKind::Prompted { candidates, tells: PromptTells::Iou }, Shape::Vector { features }) => {
                    candidates == features
                }
                _ => false,
            };
            if !fits {
                return Err(GraphError::Structure(format!("the head {} cannot end in {shape}", head.name)));
            }
        }
        Ok(())
    }
}
