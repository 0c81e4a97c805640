//! The card that says where the weights come from, and what a checkpoint would fill.

use super::public;
use crate::session::find_model;
use crate::train::WeightsSource;
use crate::ui::action::Action;
use crate::ui::context::Context;
use crate::ui::{format, ready, widgets};
use crate::weights::LoadReport;
use egui::{RichText, Ui};
use std::path::Path;

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    widgets::section(ui, ctx.theme, "Weights");
    let source = ctx.plan().weights.clone();
    // Public weights have a card of their own below.
    let of_model = ready::chosen_public(&ctx.plan().model, &source);
    if of_model.is_none() {
        current(ui, ctx, source);
    }
    public::ui(ui, ctx);
    buttons(ui, ctx);
}

fn current(ui: &mut Ui, ctx: &mut Context<'_>, source: WeightsSource) {
    widgets::card(ctx.theme).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 4.0;
        match source {
            WeightsSource::Random => {
                ui.label(widgets::bold("random weights", 12.0).color(ctx.theme.bad));
                let text = "Nothing is learned yet. Take public weights or open a checkpoint to transfer from.";
                ui.label(RichText::new(text).size(11.0).color(ctx.theme.weak));
            }
            WeightsSource::BuiltIn => {
                ui.label(widgets::bold("built-in weights", 12.0).color(ctx.theme.text));
                ui.label(RichText::new("come with the program").size(11.0).color(ctx.theme.weak));
            }
            WeightsSource::Public { entry } => {
                let text = format!("{} has no public weights named {entry}", ctx.plan().model);
                ui.label(RichText::new(text).size(11.5).color(ctx.theme.bad));
            }
            WeightsSource::File(path) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                ui.add(egui::Label::new(widgets::bold(name, 12.0).color(ctx.theme.text)).truncate())
                    .on_hover_text(path.display().to_string());
                let report = ctx.view.load.as_ref().filter(|report| report.file.starts_with(&path));
                match report {
                    Some(report) => loaded(ui, ctx, report),
                    None if belongs_elsewhere(ui, ctx, &path) => {}
                    None => {
                        ui.label(RichText::new("not compared with this model yet").size(11.0).color(ctx.theme.weak));
                    }
                }
            }
        }
    });
}

/// The offer to take the model that the checkpoint fits.
fn belongs_elsewhere(ui: &mut Ui, ctx: &mut Context<'_>, path: &Path) -> bool {
    let belongs = ctx.view.belongs.clone().filter(|belongs| belongs.file == path && belongs.model != ctx.plan().model);
    let Some(belongs) = belongs else { return false };
    let text = format!("does not fit this model; it is a {}", belongs.title);
    ui.label(RichText::new(text).size(11.0).color(ctx.theme.bad)).on_hover_text(&belongs.what);
    let variant = find_model(belongs.model);
    if let (Ok(variant), true) = (variant, ui.button(format!("Use {}", belongs.title)).clicked()) {
        ctx.edit(&format!("Choose {}", variant.title), |plan| plan.choose(&variant));
    }
    true
}

pub(super) fn loaded(ui: &mut Ui, ctx: &Context<'_>, report: &LoadReport) {
    let counts = report.counts();
    let good = counts.missing == 0 && report.non_finite.is_empty();
    let color = if good { ctx.theme.good } else { ctx.theme.amber };
    ui.label(RichText::new(report.summary()).size(11.0).color(color));
    let classes = ctx.graph.heads.iter().find_map(|head| {
        let weight = report.rows.iter().find(|row| {
            row.part.as_deref() == Some(&format!("head {}", head.name)) && row.file_shape.as_ref().is_some()
        })?;
        let of = |shape: &Option<Vec<usize>>| shape.as_ref().and_then(|shape| shape.first().copied());
        Some((of(&weight.file_shape)?, of(&weight.wanted_shape)?))
    });
    if let Some((old, new)) = classes.filter(|(old, new)| old != new) {
        let text = format!("head: {old} → {}", format::plural(new, "class"));
        ui.label(RichText::new(text).size(11.0).color(ctx.theme.amber)).on_hover_text(
            "The head is made anew for the classes of your data; everything else keeps what it learned.",
        );
    }
    for note in &report.notes {
        ui.label(RichText::new(note).size(11.0).color(ctx.theme.weak));
    }
    if let Some(concern) = report.warning() {
        ui.label(RichText::new(concern).size(11.0).color(ctx.theme.bad));
    }
}

fn buttons(ui: &mut Ui, ctx: &mut Context<'_>) {
    let built_in = find_model(&ctx.plan().model).is_ok_and(|variant| ready::built_in_fits(&variant));
    let source = ctx.plan().weights.clone();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        ui.spacing_mut().button_padding.x = 7.0;
        if ui.button("Open…").on_hover_text("A .pth, .pt or .safetensors file").clicked() {
            ctx.push(Action::AskWeights);
        }
        if built_in && ui.add(egui::Button::selectable(source == WeightsSource::BuiltIn, "Built-in")).clicked() {
            ctx.edit("Use built-in weights", |plan| plan.weights = WeightsSource::BuiltIn);
        }
        if ui.add(egui::Button::selectable(source == WeightsSource::Random, "Random")).clicked() {
            ctx.edit("Use random weights", |plan| plan.weights = WeightsSource::Random);
        }
    });
}
