//! What is placed as one thing: a node, a folded stage, or the column of an open stage.

use super::layout::lane_of;
use crate::graph::{Facts, Graph, HeadKind, NodeId, Part};
use std::collections::BTreeSet;

/// How an item looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// One box.
    Box,
    /// A column of boxes: an open stage whose nodes form a chain.
    Stack,
}

/// One thing to place.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its nodes in order.
    pub nodes: Vec<NodeId>,
    /// Their stage.
    pub stage: String,
    /// Their part.
    pub part: Part,
    /// 0 backbone, 1 neck, 2 heads.
    pub lane: usize,
    /// One box or a column.
    pub kind: ItemKind,
    /// Whether it is a folded stage of several nodes.
    pub folded: bool,
    /// Whether it has no weights.
    pub constant: bool,
    /// Step of the computation within the lane.
    pub column: usize,
    /// Resolution, counted from below: 0 is the finest, or the coarsest in a U.
    pub row: usize,
}

/// Groups a graph's nodes and ranks the groups.
pub fn items(graph: &Graph, facts: &Facts, folded: &BTreeSet<String>) -> Vec<Item> {
    let mut items = group(graph, facts, folded);
    let stride = |item: &Item| item.nodes.last().map_or(1, |&id| facts.node(id).output.stride_px);
    let strides: BTreeSet<u64> = items.iter().map(stride).collect();
    let u = is_u(graph, facts);
    for item in &mut items {
        let own = stride(item);
        let finer = strides.range(..own).count();
        item.row = if u { strides.len() - 1 - finer } else { finer };
    }
    rank(graph, &mut items, u);
    items
}

/// Whether the network goes down to a coarse map and up again, with skips across: its neck reads the backbone at several
/// resolutions, and all that it tells is told of pixels. Such a network is drawn as the U that it is, coarse below.
pub fn is_u(graph: &Graph, facts: &Facts) -> bool {
    let part = |id: NodeId| &graph.node(id).part;
    let skips = graph.edges().into_iter().filter(|&(a, b)| *part(a) == Part::Backbone && *part(b) == Part::Neck);
    let levels: BTreeSet<u64> = skips.map(|(from, _)| facts.node(from).output.stride_px).collect();
    levels.len() > 1 && graph.heads.iter().all(|head| matches!(head.kind, HeadKind::PixelClassify { .. }))
}

fn group(graph: &Graph, facts: &Facts, folded: &BTreeSet<String>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut done = BTreeSet::new();
    for id in graph.ids() {
        if done.contains(&id) {
            continue;
        }
        let node = graph.node(id);
        let same = |other: &NodeId| {
            let other = graph.node(*other);
            other.stage == node.stage && other.part == node.part
        };
        let members: Vec<NodeId> = graph.ids().filter(same).collect();
        let several = members.len() > 1;
        let folded = several && folded.contains(&node.stage);
        let stack = several && !folded && is_chain(graph, facts, &members);
        let nodes = if folded || stack { members } else { vec![id] };
        done.extend(nodes.iter().copied());
        let constant = nodes.iter().all(|&id| facts.node(id).tensors.is_empty());
        items.push(Item {
            stage: node.stage.clone(),
            part: node.part.clone(),
            lane: lane_of(&node.part),
            kind: if stack { ItemKind::Stack } else { ItemKind::Box },
            folded,
            constant,
            column: 0,
            row: 0,
            nodes,
        });
    }
    items
}

/// Each node reads the one before it (and perhaps something outside), and all have one resolution.
fn is_chain(graph: &Graph, facts: &Facts, members: &[NodeId]) -> bool {
    let stride = |id: NodeId| facts.node(id).output.stride_px;
    members.windows(2).all(|pair| match pair {
        [a, b] => {
            let inside: Vec<NodeId> = graph.parents(*b).filter(|parent| members.contains(parent)).collect();
            inside == [*a] && stride(*a) == stride(*b)
        }
        _ => true,
    })
}

/// Columns: along an edge within a lane one further; an edge between rows stays in its column outside the backbone,
/// so that a pyramid's levels stand above each other; in a U it goes on too, so that the way up mirrors the way down.
fn rank(graph: &Graph, items: &mut [Item], u: bool) {
    let owner: Vec<usize> =
        graph.ids().map(|id| items.iter().position(|item| item.nodes.contains(&id)).unwrap_or(0)).collect();
    let edges: BTreeSet<(usize, usize)> =
        graph.edges().into_iter().map(|(a, b)| (owner[a.0], owner[b.0])).filter(|(a, b)| a != b).collect();
    // A folded stage may close a circle; then the ranks stop where the passes end.
    for _ in 0..items.len() {
        let mut changed = false;
        for &(a, b) in &edges {
            if items[a].lane != items[b].lane {
                continue;
            }
            let ahead = usize::from(u || items[b].lane == 0 || items[a].row == items[b].row);
            let column = items[a].column + ahead;
            if column > items[b].column && column < items.len() {
                items[b].column = column;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
}
