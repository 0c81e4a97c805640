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
                match ctx.load() {
                    Some(report) => {
                        if report.file != path {
                            let which = report.file.file_stem().unwrap_or_default().to_string_lossy();
                            let text = format!("a run's {which} weights");
                            ui.label(RichText::new(text).size(11.0).color(ctx.theme.weak));
                        }
                        loaded(ui, ctx, report);
                    }
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

pub(super) fn loaded(ui: &mut Ui, ctx: &mut Context<'_>, report: &LoadReport) {
    let counts = report.counts();
    let good = counts.missing == 0 && report.non_finite.is_empty();
    let color = if good { ctx.theme.good } else { ctx.theme.amber };
    ui.label(RichText::new(report.summary()).size(11.0).color(color));
    for head in &report.heads {
        let (kept, new, old) = (head.kept(), head.rows.len(), head.old.len());
        let made = match kept {
            0 => "new".to_owned(),
            _ if kept == new => "kept".to_owned(),
            _ => format!("{kept} kept"),
        };
        let name = if report.heads.len() > 1 { format!("head {}", head.head) } else { "head".to_owned() };
        let text = format!("{name}: {old} → {}, {made}", format::plural(new, "class"));
        let color = if kept == new { ctx.theme.weak } else { ctx.theme.amber };
        ui.label(RichText::new(text).size(11.0).color(color)).on_hover_text(head.summary());
    }
    let trained_px = report.preprocess.as_ref().map(|rule| rule.size[0]).filter(|&size| size != ctx.plan().size_px);
    if let Some(size) = trained_px {
        let text = format!("trained at {size} px; this plan: {} px", ctx.plan().size_px);
        ui.label(RichText::new(text).size(11.0).color(ctx.theme.amber));
        if widgets::link(ui, ctx.theme, &format!("Use {size} px"), ctx.theme.accent).clicked() {
            ctx.edit(&format!("Input size {size} px"), |plan| plan.size_px = size);
        }
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
    let text = |text: &str| RichText::new(text).size(11.0);
    ui.horizontal_wrapped(|ui| {
        // Four in a row of the list's usual width.
        ui.spacing_mut().item_spacing.x = 2.5;
        ui.spacing_mut().button_padding.x = 3.5;
        if ui.button(text("Open…")).on_hover_text("A .pth, .pt or .safetensors file").clicked() {
            ctx.push(Action::AskWeights);
        }
        let response = ui.button(text("Run…")).on_hover_text("Start from the best weights of a run");
        egui::Popup::menu(&response).show(|ui| runs(ui, ctx));
        if built_in && ui.add(egui::Button::selectable(source == WeightsSource::BuiltIn, text("Built-in"))).clicked() {
            ctx.edit("Use built-in weights", |plan| plan.weights = WeightsSource::BuiltIn);
        }
        if ui.add(egui::Button::selectable(source == WeightsSource::Random, text("Random"))).clicked() {
            ctx.edit("Use random weights", |plan| plan.weights = WeightsSource::Random);
        }
    });
}

/// The project's runs, the newest first.
fn runs(ui: &mut Ui, ctx: &mut Context<'_>) {
    ui.set_min_width(220.0);
    for run in ctx.project.runs.iter().rev().take(12) {
        let name = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if ui.button(name).on_hover_text(run.display().to_string()).clicked() {
            ctx.actions.push(Action::StartFrom(run.clone()));
            ui.close();
        }
    }
    if !ctx.project.runs.is_empty() {
        ui.separator();
    }
    if ui.button("Another run's folder…").clicked() {
        ctx.push(Action::AskRun);
        ui.close();
    }
}
