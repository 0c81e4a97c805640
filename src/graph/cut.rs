//! The cut at the frost line: the tensors that a feature cache keeps for each picture, so that the frozen prefix need not
//! run again.

use super::facts::Facts;
use super::freeze::Frontier;
use super::network::{Graph, NodeId, Part, Source};
use super::signal::Shape;

/// Where a network can be cut so that what comes before is computed once for each view of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// The nodes whose outputs the rest reads, or that end a head, in order of execution.
    pub nodes: Vec<NodeId>,
    /// For each of them the shapes of its tensors for one picture; a pyramid has several.
    pub shapes: Vec<Vec<Vec<usize>>>,
    /// The nodes that need not run again, those of the cut among them, in order of execution.
    pub prefix: Vec<NodeId>,
    /// Multiply-accumulates of them for one picture.
    pub macs: u64,
}

impl Cut {
    /// The latest cut before anything that trains; none where nothing is computed before it, or where what trains reads
    /// the picture itself.
    #[must_use]
    pub fn of(graph: &Graph, facts: &Facts, frontier: &Frontier) -> Option<Self> {
        let mut inside = vec![false; graph.nodes.len()];
        for id in graph.ids() {
            let known = |source: &Source| match source {
                Source::Node(from) => inside[from.0],
                Source::Input(at) => graph.inputs.get(*at).is_some_and(|input| input.shape != Shape::Prompt),
            };
            // Prompts are put to the end of the backbone, whatever else is frozen.
            let asked = graph.takes_prompts() && graph.node(id).part != Part::Backbone;
            inside[id.0] = !asked
                && frontier.state(id).in_prefix()
                && tensors(&facts.node(id).output.shape).is_some()
                && graph.node(id).inputs.iter().all(known);
        }
        let mut crosses = vec![false; graph.nodes.len()];
        for (from, to) in graph.edges() {
            crosses[from.0] |= inside[from.0] && !inside[to.0];
        }
        for head in &graph.heads {
            crosses[head.output.0] |= inside[head.output.0];
        }
        let nodes: Vec<NodeId> = graph.ids().filter(|id| crosses[id.0]).collect();
        let before = graph.ancestors(&nodes);
        let prefix: Vec<NodeId> = before.into_iter().collect();
        let macs = prefix.iter().map(|&id| facts.node(id).macs).sum();
        let reads_picture = graph.ids().filter(|id| !inside[id.0]).any(|id| {
            let picture = |source: &Source| matches!(source, Source::Input(0));
            graph.node(id).inputs.iter().any(picture)
        });
        if nodes.is_empty() || macs == 0 || reads_picture {
            return None;
        }
        let shapes = nodes.iter().filter_map(|&id| tensors(&facts.node(id).output.shape)).collect();
        Some(Self { nodes, shapes, prefix, macs })
    }

    /// How many numbers are kept for one view of a picture.
    #[must_use]
    pub fn values(&self) -> usize {
        self.shapes.iter().flatten().map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// Whether this cut can be computed from what an earlier one keeps, without the picture.
    #[must_use]
    pub fn continues(&self, graph: &Graph, earlier: &Self) -> bool {
        let mut open = self.nodes.clone();
        let mut seen = vec![false; graph.nodes.len()];
        while let Some(id) = open.pop() {
            if earlier.nodes.contains(&id) || std::mem::replace(&mut seen[id.0], true) {
                continue;
            }
            for source in &graph.node(id).inputs {
                match source {
                    Source::Node(from) => open.push(*from),
                    Source::Input(_) => return false,
                }
            }
        }
        true
    }

    /// The paths of the cut's nodes, for people.
    #[must_use]
    pub fn names(&self, graph: &Graph) -> String {
        let names: Vec<&str> = self.nodes.iter().map(|&id| graph.node(id).path.as_str()).collect();
        names.join(", ")
    }
}

/// Shapes of the tensors of a value for one picture; none where it is not a fixed number of numbers of that picture alone.
fn tensors(shape: &Shape) -> Option<Vec<Vec<usize>>> {
    match shape {
        Shape::Map { channels, height, width } => Some(vec![vec![*channels, *height, *width]]),
        Shape::Vector { features } => Some(vec![vec![*features]]),
        Shape::Tokens { count, width } => Some(vec![vec![*count, *width]]),
        Shape::Pyramid { levels } => Some(levels.iter().map(|level| level.to_vec()).collect()),
        // Regions depend on what is asked for (training or not), and there may be any number of them.
        Shape::Regions { .. } | Shape::Prompt | Shape::Asking { .. } => None,
    }
}
