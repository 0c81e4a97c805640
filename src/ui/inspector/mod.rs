//! The right panel: the plan and Start when nothing is selected, else the node.

mod node;
mod plan;
mod start;

use super::context::Context;
use super::graph::{GraphState, edit};
use egui::{ScrollArea, Ui};

/// Draws the inspector.
pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>, graph: &GraphState) {
    let nodes = edit::selected(ctx, &graph.range);
    if nodes.is_empty() {
        start::ui(ui, ctx);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.set_max_width(ui.available_width() - 6.0);
            plan::ui(ui, ctx);
        });
    } else {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.set_max_width(ui.available_width() - 6.0);
            node::ui(ui, ctx, &nodes);
        });
    }
}
