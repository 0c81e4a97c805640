//! The right panel: the plan and Start when nothing is selected, else the node.

mod node;
mod plan;
mod start;

use super::context::Context;
use super::graph::{GraphState, edit};
use egui::{ScrollArea, Ui};

/// Draws the inspector.
pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>, graph: &GraphState) {
    ui.spacing_mut().item_spacing.y = 5.0;
    ui.spacing_mut().interact_size.y = 22.0;
    let nodes = edit::selected(ctx, &graph.range);
    if nodes.is_empty() {
        ui.scope(|ui| {
            ui.set_max_width(ui.available_width() - 6.0);
            start::ui(ui, ctx);
        });
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
