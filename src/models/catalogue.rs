//! The zoo as plain rows: what a front end lists and what the registry builds.

use crate::graph::{Graph, GraphError, Preprocess};
use serde::Serialize;

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelTask {
    /// One class for a picture.
    Classify,
    /// Boxes with classes.
    Detect,
    /// A class for each pixel.
    Segment,
}

/// Where public weights of a model are found.
#[derive(Clone, Debug, Serialize)]
pub struct PublicWeights {
    /// Address.
    pub url: &'static str,
    /// The file's usual name.
    pub file: &'static str,
    /// Licence of the weights.
    pub license: &'static str,
    /// What they were trained on.
    pub trained_on: &'static str,
    /// Classes of their head.
    pub classes: usize,
}

/// One model of the zoo.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Name in commands and files.
    pub name: &'static str,
    /// Name on screen.
    pub title: &'static str,
    /// Family, for grouping: `ResNet`.
    pub family: &'static str,
    /// What it is for.
    pub task: ModelTask,
    /// Preprocessing of its public weights; the default input size.
    pub preprocess: Preprocess,
    /// Public weights, the usual ones first.
    pub weights: Vec<PublicWeights>,
    /// Whether the program carries weights for its backbone.
    pub built_in: bool,
    /// Builds the graph for this many classes and this input size in pixels.
    pub build: fn(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError>,
}

impl Variant {
    /// The graph for this many classes and square inputs of `size_px`.
    ///
    /// # Errors
    /// When the input is too small for the network.
    pub fn graph(&self, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
        (self.build)(self.name, classes, size_px)
    }

    /// The graph as published: the classes of its public weights, its default size.
    ///
    /// # Errors
    /// Never for the variants of this program; `tests/graph.rs` builds them all.
    pub fn published(&self) -> Result<Graph, GraphError> {
        let classes = self.weights.first().map_or(1000, |weights| weights.classes);
        self.graph(classes, self.preprocess.size[0] as usize)
    }
}
