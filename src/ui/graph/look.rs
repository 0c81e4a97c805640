//! What a box shows: state in color, pattern, sign and words, never color alone.

use super::layout::Placed;
use crate::graph::{Frontier, Graph, NodeState};
use crate::ui::context::Context;
use crate::ui::format;

/// State of a box of one or several nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Frozen, before the frost line.
    Frozen {
        /// The last epoch compared its tensors with their digests.
        verified: bool,
    },
    /// Frozen behind something that trains.
    Island,
    /// All of it trains.
    Trains,
    /// Some of its nodes are frozen.
    Mixed {
        /// How many.
        frozen: usize,
        /// Of how many with weights.
        of: usize,
    },
    /// No weights.
    Constant,
}

impl Look {
    /// State of a box.
    #[must_use]
    pub fn of(ctx: &Context<'_>, placed: &Placed) -> Self {
        let states: Vec<NodeState> = placed.nodes.iter().map(|&id| ctx.frontier.state(id)).collect();
        let weighted = states.iter().filter(|state| !matches!(state, NodeState::Constant { .. })).count();
        let frozen = states.iter().filter(|state| state.is_frozen()).count();
        if weighted == 0 {
            return Self::Constant;
        }
        if frozen == 0 {
            return Self::Trains;
        }
        if frozen < weighted {
            return Self::Mixed { frozen, of: weighted };
        }
        if states.contains(&NodeState::Island) {
            return Self::Island;
        }
        Self::Frozen { verified: verified(ctx, placed) }
    }

    /// Whether all of it is frozen.
    #[must_use]
    pub fn is_frozen(self) -> bool {
        matches!(self, Self::Frozen { .. } | Self::Island)
    }

    /// In words, for the box.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Frozen { verified: true } => "✓ verified".to_owned(),
            Self::Frozen { verified: false } => "frozen".to_owned(),
            Self::Island => "frozen island".to_owned(),
            Self::Trains => "trains".to_owned(),
            Self::Mixed { frozen, of } => format!("{frozen} of {of} frozen"),
            Self::Constant => "no weights".to_owned(),
        }
    }

    /// In words, for a screen reader.
    #[must_use]
    pub fn spoken(self) -> String {
        match self {
            Self::Frozen { verified: true } => "frozen, verified unchanged".to_owned(),
            Self::Island => "frozen island, gradients flow through it".to_owned(),
            other => other.words(),
        }
    }
}

fn verified(ctx: &Context<'_>, placed: &Placed) -> bool {
    let Some(run) = ctx.shown_run() else { return false };
    run.epochs.last().is_some_and(|epoch| {
        let proved = |id: &crate::graph::NodeId| epoch.frozen.contains(&ctx.graph.node(*id).path);
        epoch.frozen_verified && placed.nodes.iter().filter(|&&id| has_weights(ctx, id)).all(proved)
    })
}

/// Whether a node has tensors at all.
#[must_use]
pub fn has_weights(ctx: &Context<'_>, id: crate::graph::NodeId) -> bool {
    !ctx.facts.node(id).tensors.is_empty()
}

/// Name of a box: the node's path or the folded stage.
#[must_use]
pub fn name(graph: &Graph, placed: &Placed) -> String {
    match placed.nodes.as_slice() {
        [id] if !placed.folded => graph.node(*id).label().to_owned(),
        _ => placed.stage.clone(),
    }
}

/// The second line: output shape, and how many blocks are folded.
#[must_use]
pub fn shape(ctx: &Context<'_>, placed: &Placed) -> String {
    let shape = placed.nodes.last().map_or_else(String::new, |&id| ctx.facts.node(id).output.shape.to_string());
    if placed.folded { format!("{shape} · {}", format::plural(placed.nodes.len(), "block")) } else { shape }
}

/// Learnable values of a box.
#[must_use]
pub fn params(ctx: &Context<'_>, placed: &Placed) -> u64 {
    placed.nodes.iter().map(|&id| ctx.facts.node(id).params).sum()
}

/// What a screen reader says of a box: `layer2, 2 blocks, frozen, 525 568 parameters`.
#[must_use]
pub fn spoken(ctx: &Context<'_>, placed: &Placed, look: Look) -> String {
    let mut parts = vec![name(ctx.graph, placed)];
    if placed.folded {
        parts.push(format::plural(placed.nodes.len(), "block"));
    }
    parts.push(look.spoken());
    let params = params(ctx, placed);
    if params > 0 {
        parts.push(format!("{} parameters", format::count(params)));
    }
    parts.join(", ")
}

/// What waits for the next step: some node of the box is to be frozen (`Some(true)`) or thawed (`Some(false)`).
#[must_use]
pub fn pending(ctx: &Context<'_>, placed: &Placed) -> Option<bool> {
    let run = ctx.running()?;
    placed.nodes.iter().filter(|&&id| has_weights(ctx, id)).find_map(|&id| {
        let path = &ctx.graph.node(id).path;
        let wanted = ctx.freeze().is_frozen(path);
        (wanted != run.freeze.is_frozen(path)).then_some(wanted)
    })
}

/// Whether all nodes of a box lie before the frost line.
#[must_use]
pub fn in_prefix(frontier: &Frontier, placed: &Placed) -> bool {
    placed.nodes.iter().all(|&id| frontier.state(id).in_prefix())
}
