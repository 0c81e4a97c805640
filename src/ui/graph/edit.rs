//! Changes of the freeze plan that the canvas and the inspector offer, each one undoable step.

use super::look::has_weights;
use crate::graph::{FreezePlan, NodeId};
use crate::ui::context::Context;
use std::collections::BTreeSet;

/// The plan with these nodes frozen or thawed.
#[must_use]
pub fn with_nodes(ctx: &Context<'_>, nodes: &[NodeId], frozen: bool) -> FreezePlan {
    let mut freeze = ctx.freeze().clone();
    for &id in nodes {
        freeze.set(&ctx.graph.node(id).path, frozen);
    }
    freeze
}

/// Whether all of these nodes that have weights are frozen in the plan.
#[must_use]
pub fn all_frozen(ctx: &Context<'_>, nodes: &[NodeId]) -> bool {
    let mut weighted = nodes.iter().filter(|&&id| has_weights(ctx, id)).peekable();
    weighted.peek().is_some() && weighted.all(|&id| ctx.freeze().is_frozen(&ctx.graph.node(id).path))
}

/// Freezes or thaws nodes, under a name.
pub fn set(ctx: &mut Context<'_>, name: &str, nodes: &[NodeId], frozen: bool) {
    let freeze = with_nodes(ctx, nodes, frozen);
    let verb = if frozen { "Freeze" } else { "Thaw" };
    ctx.edit_freeze(&format!("{verb} {name}"), freeze);
}

/// Freezes what is not frozen, or thaws if all is.
pub fn toggle(ctx: &mut Context<'_>, name: &str, nodes: &[NodeId]) {
    let frozen = all_frozen(ctx, nodes);
    set(ctx, name, nodes, !frozen);
}

/// Replaces what is frozen; policies of batch normalisations stay.
pub fn replace(ctx: &mut Context<'_>, step: &str, frozen: impl IntoIterator<Item = NodeId>) {
    let frozen: BTreeSet<String> = frozen.into_iter().map(|id| ctx.graph.node(id).path.clone()).collect();
    let freeze = FreezePlan { frozen, ..ctx.freeze().clone() };
    ctx.edit_freeze(step, freeze);
}

/// Freezes everything up to and including these nodes, and thaws the rest.
pub fn freeze_until(ctx: &mut Context<'_>, name: &str, nodes: &[NodeId]) {
    let before = ctx.graph.ancestors(nodes);
    replace(ctx, &format!("Freeze up to {name}"), before);
}

/// Freezes everything but these nodes.
pub fn train_only(ctx: &mut Context<'_>, name: &str, nodes: &[NodeId]) {
    let rest: Vec<NodeId> = ctx.graph.ids().filter(|id| !nodes.contains(id)).collect();
    replace(ctx, &format!("Train only {name}"), rest);
}

/// Swaps frozen and trainable.
pub fn invert(ctx: &mut Context<'_>) {
    let thawed: Vec<NodeId> = ctx.graph.ids().filter(|&id| !ctx.freeze().is_frozen(&ctx.graph.node(id).path)).collect();
    replace(ctx, "Invert what is frozen", thawed);
}

/// The nodes that are selected: the one in the project, and the range.
#[must_use]
pub fn selected(ctx: &Context<'_>, range: &BTreeSet<NodeId>) -> Vec<NodeId> {
    let named = ctx.project.selected.as_ref().and_then(|name| ctx.graph.select(name).ok()).unwrap_or_default();
    let mut nodes: BTreeSet<NodeId> = named.into_iter().collect();
    nodes.extend(range.iter().copied().filter(|id| id.0 < ctx.graph.nodes.len()));
    nodes.into_iter().collect()
}
