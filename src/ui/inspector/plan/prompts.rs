//! How prompts are simulated for a model that is asked for masks.

use super::{Number, number};
use crate::ui::context::Context;
use crate::ui::widgets;
use egui::Ui;

/// Shown where the network takes prompts.
pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    if !ctx.graph.takes_prompts() {
        return;
    }
    widgets::section(ui, ctx.theme, "Prompts");
    let fields = [
        Number {
            name: "objects",
            help: "Objects of a picture that a step asks for at most, drawn anew each time.",
            range: 1.0..=64.0,
            speed: 0.05,
            whole: true,
            get: |plan| plan.prompting.objects as f64,
            set: |plan, value| plan.prompting.objects = value as usize,
        },
        Number {
            name: "corrective clicks",
            help: "Clicks after the first prompt, each where the mask before it is wrong.",
            range: 0.0..=16.0,
            speed: 0.05,
            whole: true,
            get: |plan| plan.prompting.clicks as f64,
            set: |plan, value| plan.prompting.clicks = value as usize,
        },
        Number {
            name: "share of boxes",
            help: "Share of the objects whose first prompt is a box; the others get a point.",
            range: 0.0..=1.0,
            speed: 0.01,
            whole: false,
            get: |plan| f64::from(plan.prompting.boxes),
            set: |plan, value| plan.prompting.boxes = value as f32,
        },
    ];
    fields.iter().for_each(|field| number(ui, ctx, field));
}
