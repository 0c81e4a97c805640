//! Nodes, edges, parts, heads: the description that is drawn, executed, costed and exported.

use super::GraphError;
use super::blocks::{BlockSpec, Describe as _};
use super::detector::{Detector, Tells};
use super::signal::Shape;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Index of a node in its graph; nodes are stored in an order in which they can be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub usize);

/// What a node belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The feature extractor.
    Backbone,
    /// What combines features of several resolutions.
    Neck,
    /// One of the heads, by name.
    Head(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backbone => f.write_str("backbone"),
            Self::Neck => f.write_str("neck"),
            Self::Head(name) => write!(f, "head {name}"),
        }
    }
}

/// Where a node's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An input of the graph, by index.
    Input(usize),
    /// Another node's output.
    Node(NodeId),
}

/// One clickable block: the smallest thing that can be frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Unique name, shown on screen and used in freeze plans.
    pub path: String,
    /// Prefix of its tensors' names in the public checkpoints, without the last dot; may be empty.
    pub prefix: String,
    /// The stage that folds it on screen; equal to `path` for a stage of its own.
    pub stage: String,
    /// What it belongs to.
    pub part: Part,
    /// What it computes.
    pub block: BlockSpec,
    /// Where its inputs come from.
    pub inputs: Vec<Source>,
}

impl Node {
    /// Full name of one of its tensors.
    #[must_use]
    pub fn tensor_name(&self, local: &str) -> String {
        if self.prefix.is_empty() { local.to_owned() } else { format!("{}.{local}", self.prefix) }
    }

    /// The last part of the path, for a narrow box.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.path
    }
}

/// An input of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// `image`, or `prompt` for a promptable network's second input.
    pub name: String,
    /// Shape for one image; the size of an image may differ from run to run.
    pub shape: Shape,
}

/// What a head's raw output means: which loss trains it and how it is decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum HeadKind {
    /// One of `classes` for the picture; raw output `[classes]` logits.
    Classify {
        /// Number of classes.
        classes: usize,
    },
    /// Any of `classes` for the picture, each by itself; raw output `[classes]` logits.
    MultiLabel {
        /// Number of classes.
        classes: usize,
    },
    /// One of `classes` for each pixel; raw output `[classes, height, width]` logits.
    PixelClassify {
        /// Number of classes, background included.
        classes: usize,
    },
    /// One of a detector's heads; what its raw output looks like, its [`Detector`] says.
    Detect {
        /// Number of classes, without a background.
        classes: usize,
        /// What it tells of each candidate.
        tells: Tells,
    },
    /// One of a promptable network's heads.
    Prompted {
        /// How many masks the network offers for a prompt; the first is for prompts that leave no choice.
        candidates: usize,
        /// What it tells of each.
        tells: PromptTells,
    },
}

/// What a promptable network's head tells of each mask that it offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptTells {
    /// The mask itself: a logit for each cell; raw output `[candidates, height, width]`.
    Mask,
    /// How much it overlaps what was meant, in IoU from 0 to 1; raw output `[candidates]`.
    Iou,
}

impl HeadKind {
    /// Number of classes that it tells apart; one where it only tells what belongs to a prompt.
    #[must_use]
    pub fn classes(&self) -> usize {
        match *self {
            Self::Prompted { .. } => 1,
            Self::Classify { classes }
            | Self::MultiLabel { classes }
            | Self::PixelClassify { classes }
            | Self::Detect { classes, .. } => classes,
        }
    }
}

/// A head: where it ends, what its output means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Its name: the loss term, the lane on screen, the prefix of further heads' metrics.
    pub name: String,
    /// The node whose output is the raw output.
    pub output: NodeId,
    /// What the raw output means.
    pub kind: HeadKind,
}

/// What another publisher calls the modules of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spelling {
    /// Whose names they are: `timm`.
    pub by: String,
    /// What else differs in that publisher's network, in words; empty where nothing does.
    pub note: String,
    /// Prefixes of tensors' names without the last dot: here, there. What none covers has the same name.
    pub modules: Vec<(String, String)>,
}

impl Spelling {
    /// The publisher's name of a tensor.
    #[must_use]
    pub fn name(&self, ours: &str) -> String {
        let rest = |prefix: &str| ours.strip_prefix(prefix).filter(|rest| rest.starts_with('.'));
        let longest = self.modules.iter().filter_map(|(here, there)| Some((here.len(), there, rest(here)?)));
        longest
            .max_by_key(|(len, ..)| *len)
            .map_or_else(|| ours.to_owned(), |(_, there, rest)| format!("{there}{rest}"))
    }
}

/// A whole network as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// The model's name, as in the registry.
    pub name: String,
    /// Inputs; the first is the image.
    pub inputs: Vec<Input>,
    /// Nodes, each after the nodes that it reads.
    pub nodes: Vec<Node>,
    /// Heads; the first gives the metric by which runs are compared.
    pub heads: Vec<Head>,
    /// How the heads work together, where they detect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<Detector>,
    /// Names that other publishers give to the same modules, for reading their checkpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spellings: Vec<Spelling>,
}

impl Graph {
    /// The node with this id; ids come from this graph.
    ///
    /// # Panics
    /// When the id belongs to another graph.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Whether it is asked by points and boxes for the masks of what is meant.
    #[must_use]
    pub fn takes_prompts(&self) -> bool {
        self.inputs.iter().any(|input| input.shape == Shape::Prompt)
    }

    /// All ids in order of execution.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// The node with this path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.path == path).map(NodeId)
    }

    /// The nodes that a name means: a node's path, a stage, a part (`backbone`, `neck`, `head`, `head cls`).
    ///
    /// # Errors
    /// When the name means nothing here.
    pub fn select(&self, name: &str) -> Result<Vec<NodeId>, GraphError> {
        let found: Vec<NodeId> = self
            .ids()
            .filter(|&id| {
                let node = self.node(id);
                let part = node.part.to_string();
                node.path == name
                    || node.stage == name
                    || part == name
                    || (name == "head" && matches!(node.part, Part::Head(_)))
                    || matches!(&node.part, Part::Head(head) if head == name)
            })
            .collect();
        if found.is_empty() {
            return Err(GraphError::Unknown {
                model: self.name.clone(),
                name: name.to_owned(),
                known: self.stages().join(", "),
            });
        }
        Ok(found)
    }

    /// Stages in order of first appearance.
    #[must_use]
    pub fn stages(&self) -> Vec<String> {
        let mut stages: Vec<String> = Vec::new();
        for node in &self.nodes {
            if !stages.contains(&node.stage) {
                stages.push(node.stage.clone());
            }
        }
        stages
    }

    /// Parts in the order backbone, neck, heads as declared.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for node in &self.nodes {
            if !parts.contains(&node.part) {
                parts.push(node.part.clone());
            }
        }
        parts.sort_by_key(|part| match part {
            Part::Backbone => 0,
            Part::Neck => 1,
            Part::Head(_) => 2,
        });
        parts
    }

    /// Edges between nodes, `(from, to)`.
    #[must_use]
    pub fn edges(&self) -> Vec<(NodeId, NodeId)> {
        let sources = |to: NodeId| {
            self.node(to).inputs.iter().filter_map(move |source| match source {
                Source::Node(from) => Some((*from, to)),
                Source::Input(_) => None,
            })
        };
        self.ids().flat_map(sources).collect()
    }

    /// The nodes that this one reads.
    pub fn parents(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.node(id).inputs.iter().filter_map(|source| match source {
            Source::Node(from) => Some(*from),
            Source::Input(_) => None,
        })
    }

    /// The same network for images of another size.
    #[must_use]
    pub fn with_image_size(&self, height: usize, width: usize) -> Self {
        let mut graph = self.clone();
        if let Some(Input { shape: Shape::Map { height: h, width: w, .. }, .. }) = graph.inputs.first_mut() {
            (*h, *w) = (height, width);
        }
        graph
    }

    /// A line for people: what a node is.
    #[must_use]
    pub fn title(&self, id: NodeId) -> String {
        let node = self.node(id);
        format!("{} · {} · stage {}", node.block.kind(), node.part, node.stage)
    }
}
