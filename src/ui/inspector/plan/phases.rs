//! The later phases of the freeze timeline: how fast each of them learns. What is frozen when is drawn under the losses.

use crate::session::RunView;
use crate::ui::context::Context;
use crate::ui::{format, widgets};
use egui::{DragValue, RichText, Ui};

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    let phases: Vec<(u32, f64)> = ctx.plan().timeline.iter().map(|phase| (phase.from_epoch, phase.lr_factor)).collect();
    if phases.is_empty() {
        return;
    }
    let later = format::plural(phases.len(), "phase");
    let text = format!("Changes over time: {later} more, see the freeze timeline under the losses.");
    ui.label(RichText::new(text).size(11.0).color(ctx.theme.weak));
    let reached = ctx.running().map_or(0, RunView::epoch);
    for (at, &(epoch, before)) in phases.iter().enumerate() {
        let mut factor = before;
        let help =
            "Factor on the learning rate in this phase, up to the next one; its schedule runs on over the whole run.";
        widgets::row(ui, ctx.theme, &format!("rate × from epoch {epoch}"), help, |ui| {
            let field = DragValue::new(&mut factor)
                .range(1e-4..=100.0)
                .clamp_existing_to_range(false)
                .speed(0.01)
                .max_decimals(6)
                .custom_formatter(|value, _| widgets::rate(value))
                .custom_parser(widgets::parse_rate);
            // A phase that has begun is history.
            if epoch <= reached {
                ui.disable();
            }
            ui.add_sized([78.0, 22.0], field);
        });
        if (factor - before).abs() > f64::EPSILON * before.abs() {
            ctx.edit(&format!("Learning rate × {} from epoch {epoch}", widgets::rate(factor)), |plan| {
                if let Some(phase) = plan.timeline.get_mut(at) {
                    phase.lr_factor = factor;
                }
            });
        }
    }
}
