//! The published weights of the chosen model: what they are, whether they are here, and how they come.

use super::weights::loaded;
use crate::format;
use crate::session::{Accuracy, Command, PublicWeights, WeightsCommand, WeightsState, find_model};
use crate::train::WeightsSource;
use crate::ui::action::Action;
use crate::ui::context::Context;
use crate::ui::icons::Icon;
use crate::ui::widgets;
use crate::weights::hub::{self, Progress, Stage};
use egui::{Align, Layout, RichText, Stroke, Ui};

/// A card for each entry, and the folder that they lie in.
pub(super) fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    let Ok(variant) = find_model(&ctx.plan().model) else { return };
    for weights in &variant.weights {
        let state = ctx.view.weights.get(weights.file).cloned();
        card(ui, ctx, weights, state.as_ref());
    }
    if !variant.weights.is_empty() {
        folder(ui, ctx);
    }
    if let Some(note) = variant.note {
        ui.label(RichText::new(note).size(11.0).color(ctx.theme.weak));
    }
}

fn card(ui: &mut Ui, ctx: &mut Context<'_>, weights: &PublicWeights, state: Option<&WeightsState>) {
    let chosen = is_chosen(&ctx.plan().weights, weights);
    let stroke = if chosen { Stroke::new(1.2, ctx.theme.accent) } else { Stroke::NONE };
    widgets::card(ctx.theme).stroke(stroke).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 3.0;
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let (text, help) = match weights.accuracy {
                    Accuracy::Top1(top1) => {
                        (format!("{top1:.1} %"), "Top-1 accuracy on ImageNet's validation set, as published.")
                    }
                    Accuracy::BoxAp(ap) => {
                        (format!("AP {ap:.1} %"), "Average precision of boxes on COCO's validation set, as published.")
                    }
                    Accuracy::Unpublished => (String::new(), "The publisher gives no single number."),
                };
                ui.label(RichText::new(text).size(11.0).color(ctx.theme.weak)).on_hover_text(help);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let name = widgets::bold(weights.name, 11.5).color(ctx.theme.text);
                    ui.add(egui::Label::new(name).truncate()).on_hover_text(about(weights));
                });
            });
        });
        let size = size(weights).map_or_else(String::new, |size| format!(" · {size}"));
        let part = if weights.of_backbone { " · backbone" } else { "" };
        let line = format!("{}{size}{part}", weights.license);
        ui.label(RichText::new(line).size(10.5).color(ctx.theme.weak)).on_hover_text(about(weights));
        standing(ui, ctx, weights, state, chosen);
    });
}

fn is_chosen(source: &WeightsSource, weights: &PublicWeights) -> bool {
    matches!(source, WeightsSource::Public { entry } if entry == weights.name)
}

/// What the entry's file weighs, where that is published.
pub(crate) fn size(weights: &PublicWeights) -> Option<String> {
    weights.size_mib.map(|mib| format::bytes((mib * 1_048_576.0) as u64))
}

fn about(weights: &PublicWeights) -> String {
    let hash = hub::Source::from(weights).hash_words().unwrap_or_else(|| "no SHA-256 is published".to_owned());
    let fills = if weights.of_backbone { "Fill the backbone; the rest starts from random values.\n" } else { "" };
    format!(
        "{}\n{hash}\n{fills}Trained on {}, {} classes\nInput: {}\nLicense of the weights: {}\n{}",
        weights.file, weights.trained_on, weights.classes, weights.preprocess, weights.license, weights.url
    )
}

/// Where the file stands, and what can be done.
fn standing(ui: &mut Ui, ctx: &mut Context<'_>, weights: &PublicWeights, state: Option<&WeightsState>, chosen: bool) {
    let small = |text: &str| RichText::new(text).size(11.0);
    match state {
        None | Some(WeightsState::Checking) => {
            ui.label(small("looking at the file…").color(ctx.theme.weak));
        }
        Some(WeightsState::Absent) => {
            if ui.button("Download").on_hover_text(weights.url).clicked() {
                fetch(ctx, weights);
            }
        }
        Some(WeightsState::Fetching(news)) => fetching(ui, ctx, weights, news),
        Some(WeightsState::Here { path, proof }) => {
            let mark = if proof.starts_with("verified") { "✓ verified" } else { "✓ here" };
            ui.horizontal(|ui| {
                let told = ui.label(small(mark).color(ctx.theme.good));
                told.on_hover_text(format!("{}\n{proof}", path.display()));
                if !chosen {
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        if ui.button("Use").clicked() {
                            choose(ctx, weights);
                        }
                    });
                }
            });
            if let (true, Some(report)) = (chosen, ctx.view.load.as_ref().filter(|report| report.file == *path)) {
                loaded(ui, ctx, report);
            }
        }
        Some(WeightsState::Failed(what)) => {
            ui.label(small("✗ failed, hover for the reason").color(ctx.theme.bad)).on_hover_text(what);
            let prefix = weights.hash_prefix().map_or_else(String::new, |prefix| format!(" (SHA-256 {prefix}…)"));
            let text = format!("Drop {}{prefix} here, or:", weights.file);
            ui.label(small(&text).color(ctx.theme.text));
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing.x = 5.0;
                ui.spacing_mut().button_padding.x = 5.0;
                if ui.button("Try again").on_hover_text(weights.url).clicked() {
                    fetch(ctx, weights);
                }
                if ui.button("Copy link").on_hover_text(weights.url).clicked() {
                    ctx.push(Action::Copy(weights.url.to_owned()));
                }
            });
        }
    }
}

fn choose(ctx: &mut Context<'_>, weights: &PublicWeights) {
    let entry = weights.name.to_owned();
    ctx.edit(&format!("Use {entry}"), |plan| plan.weights = WeightsSource::Public { entry });
}

/// Who downloads weights means to use them.
fn fetch(ctx: &mut Context<'_>, weights: &PublicWeights) {
    choose(ctx, weights);
    let model = ctx.plan().model.clone();
    let command = WeightsCommand::Fetch { model, entry: weights.name.to_owned() };
    ctx.push(Action::Send(Command::Weights(command)));
}

fn fetching(ui: &mut Ui, ctx: &mut Context<'_>, weights: &PublicWeights, news: &Progress) {
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let name = format!("Stop downloading {}", weights.file);
            if widgets::icon_button(ui, ctx.theme, Icon::Cross, &name).clicked() {
                let command = WeightsCommand::Stop { file: weights.file.to_owned() };
                ctx.push(Action::Send(Command::Weights(command)));
            }
            let share = news.total.map_or(0.0, |total| news.done as f32 / total.max(1) as f32);
            let name = format!("Download of {}", weights.file);
            widgets::progress_on(ui, ctx.theme, ui.available_width(), share, &name, ctx.theme.border);
        });
    });
    ui.label(RichText::new(progress(news)).size(10.5).color(ctx.theme.weak));
}

/// How far a download is: `37 % · 17.3 of 46.8 MB · 3.1 MB/s`.
#[must_use]
pub(crate) fn progress(news: &Progress) -> String {
    let done = format::bytes(news.done);
    match (news.stage, news.total) {
        (Stage::Waiting, _) => "another program downloads it…".to_owned(),
        (Stage::Connecting, _) => "connecting…".to_owned(),
        (Stage::Pausing, _) => format!("{done} so far, trying again…"),
        (Stage::Receiving, None) => format!("{done} · {:.1} MB/s", news.bytes_per_s / 1e6),
        (Stage::Receiving, Some(total)) => {
            let percent = 100.0 * news.done as f64 / total.max(1) as f64;
            format!("{percent:.0} % of {} · {:.1} MB/s", format::bytes(total), news.bytes_per_s / 1e6)
        }
    }
}

fn folder(ui: &mut Ui, ctx: &mut Context<'_>) {
    let folder = match hub::weights_folder() {
        Ok(folder) => folder,
        Err(problem) => {
            ui.label(RichText::new(problem).size(11.0).color(ctx.theme.bad));
            return;
        }
    };
    let text = folder.display().to_string();
    let label = RichText::new(format!("in {text}")).size(10.5).color(ctx.theme.weak);
    ui.add(egui::Label::new(label).truncate()).on_hover_text(format!("The weights folder:\n{text}"));
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 12.0;
        if widgets::link(ui, ctx.theme, "Open folder", ctx.theme.accent).clicked() {
            ctx.push(Action::Reveal(folder));
        }
        if widgets::link(ui, ctx.theme, "Copy path", ctx.theme.accent).clicked() {
            ctx.push(Action::Copy(text));
        }
    });
}
