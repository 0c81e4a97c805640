//! Summary of the network, Start, and why not.

use crate::session::find_model;
use crate::ui::action::Action;
use crate::ui::context::Context;
use crate::ui::{format, ready, widgets};
use egui::{RichText, Ui};

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    let title = find_model(&ctx.graph.name).map_or_else(|_| ctx.graph.name.clone(), |variant| variant.title.to_owned());
    ui.label(widgets::bold(title, 16.0).color(ctx.theme.text));
    let frontier = ctx.frontier;
    let share = 100.0 * frontier.trainable as f64 / frontier.params.max(1) as f64;
    ui.label(RichText::new(summary(ctx)).color(ctx.theme.weak));
    ui.add_space(2.0);
    let trainable = format!("{} of {}", format::short(frontier.trainable), format::short(frontier.params));
    widgets::fact(
        ui,
        ctx.theme,
        "trainable",
        format!("{trainable} ({share:.0} %)"),
        "Learnable values that change while training.",
    );
    let batch = ctx.plan().batch as u64;
    let kept = format!("{} × {batch}", format::bytes(ctx.kept_bytes(frontier)));
    widgets::fact(
        ui,
        ctx.theme,
        "kept activations",
        kept,
        "Values per picture that a step keeps for the backward pass.",
    );
    let macs = format!("{} / {}", format::short(ctx.facts.macs()), format::short(frontier.step_macs));
    widgets::fact(
        ui,
        ctx.theme,
        "MACs forward / step",
        macs,
        "Multiply-accumulates for one picture: forward, and in a training step with its gradients.",
    );
    ui.add_space(4.0);
    controls(ui, ctx);
    ui.add_space(4.0);
    ui.separator();
}

fn summary(ctx: &Context<'_>) -> String {
    let heads = ctx.graph.heads.len();
    format!("{} · {}", format::plural(ctx.graph.nodes.len(), "node"), format::plural(heads, "head"))
}

fn controls(ui: &mut Ui, ctx: &mut Context<'_>) {
    if ctx.view.is_training() {
        ui.horizontal(|ui| {
            ui.label(RichText::new("●").color(ctx.theme.good));
            ui.label(RichText::new("A run is in progress").color(ctx.theme.text));
        });
        let text = "Clicks on snowflakes take effect at the next step. The rest of this plan is for the next run.";
        ui.label(RichText::new(text).size(11.0).color(ctx.theme.weak));
        return;
    }
    let reasons = ready::reasons(ctx);
    let response = widgets::primary_button(ui, ctx.theme, "Start training", reasons.is_empty());
    if response.clicked() {
        ctx.push(Action::Start);
    }
    if reasons.is_empty() {
        response.on_hover_text("Starts a run of this plan in a new folder (Ctrl+Enter)");
        ui.label(RichText::new("✓ Ready").color(ctx.theme.good));
        return;
    }
    let text = format!("Not ready: {}", format::plural(reasons.len(), "reason"));
    response.on_hover_text(&text);
    ui.label(RichText::new(text).color(ctx.theme.amber));
    for reason in reasons {
        ui.label(RichText::new(&reason.text).size(11.5).color(ctx.theme.text));
        if widgets::link(ui, ctx.theme, &format!("{} ›", reason.mend), ctx.theme.accent).clicked() {
            ctx.push(reason.action);
        }
    }
}
