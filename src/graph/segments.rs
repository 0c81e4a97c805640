//! Where a network is divided so that a training step keeps little: of each segment only what crosses into the next, the rest is
//! computed again when its gradients are wanted (Chen et al. 2016, arXiv:1604.06174).

use super::facts::Facts;
use super::freeze::Frontier;
use super::network::{Graph, NodeId};
use super::signal::Shape;

/// Divisions that are compared.
const TRIED: u64 = 24;

/// The boundaries between the segments of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segments {
    /// For each boundary the nodes whose outputs cross it, in order of execution.
    pub boundaries: Vec<Vec<NodeId>>,
    /// Bytes (f32) that a training step keeps for one image: what crosses the boundaries, and all of the largest segment.
    pub kept_bytes: u64,
}

impl Segments {
    /// The division that keeps least of what lies behind the frost line; without a boundary where none helps. (A network that
    /// is asked for masks is not divided: it runs again for each prompt.)
    #[must_use]
    pub fn of(graph: &Graph, facts: &Facts, frontier: &Frontier) -> Self {
        let count = graph.nodes.len();
        // A frozen node keeps nothing, and computing it again would be for nothing.
        let kept = |id: NodeId| if frontier.state(id).in_prefix() { 0 } else { facts.node(id).kept_bytes };
        let kept: Vec<u64> = graph.ids().map(kept).collect();
        let whole: u64 = kept.iter().sum();
        let none = Self { boundaries: Vec::new(), kept_bytes: whole };
        let frost = graph.ids().position(|id| !frontier.state(id).in_prefix()).unwrap_or(count);
        if graph.takes_prompts() || frost == count {
            return none;
        }
        let crossing: Vec<Vec<NodeId>> = (0..count).map(|at| crossing(graph, at)).collect();
        let bytes = |at: usize| -> Option<u64> { crossing[at].iter().map(|&id| node_bytes(facts, frontier, id)).sum() };
        let bytes: Vec<Option<u64>> = (0..count).map(bytes).collect();
        let divided = |limit: u64| {
            let (mut starts, mut within, mut largest, mut crossed) = (Vec::new(), 0, 0, 0);
            for at in frost..count {
                if within > 0
                    && within + kept[at] > limit
                    && let Some(bytes) = bytes[at]
                {
                    starts.push(at);
                    (within, crossed) = (0, crossed + bytes);
                }
                within += kept[at];
                largest = largest.max(within);
            }
            (crossed + largest, starts)
        };
        let best = (1..=TRIED).map(|parts| divided(whole / parts)).min();
        let Some((kept_bytes, mut starts)) = best.filter(|(bytes, starts)| *bytes < whole && !starts.is_empty()) else {
            return none;
        };
        // What is frozen at the front runs once.
        if frost > 0 && bytes[frost].is_some() {
            starts.insert(0, frost);
        }
        Self { boundaries: starts.into_iter().map(|at| crossing[at].clone()).collect(), kept_bytes }
    }
}

/// The nodes before `at` that a node from `at` on reads, or that end a head.
fn crossing(graph: &Graph, at: usize) -> Vec<NodeId> {
    let mut crosses = vec![false; graph.nodes.len()];
    for (from, to) in graph.edges() {
        crosses[from.0] |= from.0 < at && to.0 >= at;
    }
    for head in &graph.heads {
        crosses[head.output.0] |= head.output.0 < at;
    }
    graph.ids().filter(|id| crosses[id.0]).collect()
}

/// Bytes of a node's output for one image, where it is there in any case none; no answer where it cannot cross a boundary.
fn node_bytes(facts: &Facts, frontier: &Frontier, id: NodeId) -> Option<u64> {
    let numbers = |shape: &[usize]| shape.iter().product::<usize>() as u64 * 4;
    let bytes = match &facts.node(id).output.shape {
        Shape::Map { channels, height, width } => numbers(&[*channels, *height, *width]),
        Shape::Vector { features } => numbers(&[*features]),
        Shape::Tokens { count, width } => numbers(&[*count, *width]),
        Shape::Pyramid { levels } => levels.iter().map(|level| numbers(&level[..])).sum(),
        // They lie on the host.
        Shape::Regions { .. } => 0,
        Shape::Prompt | Shape::Asking { .. } => return None,
    };
    Some(if frontier.state(id).in_prefix() { 0 } else { bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{FreezePlan, Preset};
    use crate::models::find;

    fn of(model: &str, side: usize, preset: &Preset) -> (Graph, Frontier, Segments) {
        let graph = find(model).unwrap().graph(3, side).unwrap();
        let facts = graph.facts().unwrap();
        let frontier = Frontier::of(&graph, &facts, &FreezePlan::preset(&graph, preset).unwrap());
        let segments = Segments::of(&graph, &facts, &frontier);
        (graph, frontier, segments)
    }

    #[test]
    fn a_deep_network_keeps_less_than_half() {
        for (model, side) in [("resnet50", 224), ("mobilenet_v2", 224), ("vgg16_bn", 224), ("yolox_nano", 320)] {
            let (graph, frontier, segments) = of(model, side, &Preset::Everything);
            let share = segments.kept_bytes as f64 / frontier.kept_bytes as f64;
            println!("{model}: {:.2} in {} segments", share, segments.boundaries.len() + 1);
            assert!((0.05..0.6).contains(&share), "{model}: {share}");
            // Each boundary separates: whoever stands behind it reads nothing before it but what crosses.
            for boundary in &segments.boundaries {
                let at = boundary.iter().max().unwrap().0 + 1;
                for (from, to) in graph.edges() {
                    assert!(from.0 >= at || to.0 < at || boundary.contains(&from), "{model}: {from:?} {to:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_frozen_at_the_front_is_not_computed_again() {
        let (graph, frontier, segments) = of("resnet18", 224, &Preset::Until("layer2".to_owned()));
        let paths: Vec<&str> = segments.boundaries[0].iter().map(|&id| graph.node(id).path.as_str()).collect();
        assert_eq!(paths, ["layer2.1"]);
        assert!(segments.boundaries.len() > 1 && segments.kept_bytes < frontier.kept_bytes);
        assert!(of("resnet18", 224, &Preset::HeadOnly).2.boundaries.is_empty(), "one layer has nothing to divide");
        let prompted = of("mobile_sam", 1024, &Preset::Everything);
        assert_eq!(prompted.2, Segments { boundaries: Vec::new(), kept_bytes: prompted.1.kept_bytes });
    }
}
