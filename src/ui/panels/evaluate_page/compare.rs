//! Several runs beside each other: their curves in one plot, and the settings that differ.

use super::super::{format, kit};
use super::{EvaluateState, chart, head, part, runs};
use crate::session::{Difference, EpochNews, RunRecord, differences};
use crate::ui::{Context, Theme};
use chart::Curve;
use egui::{Align2, Rect, RichText, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};
use std::path::PathBuf;
use std::sync::Arc;

/// Width of the column with the settings' names, in points.
const NAMES: f32 = 170.0;

/// What was found to differ, and between which records.
#[derive(Debug, Default)]
pub struct Known {
    of: Vec<usize>,
    rows: Vec<Difference>,
}

/// A checked run.
struct Checked {
    folder: PathBuf,
    record: Arc<RunRecord>,
    epochs: Vec<EpochNews>,
}

fn checked(cx: &Context<'_>, state: &EvaluateState) -> Vec<Checked> {
    let of = |folder: &PathBuf| {
        let record = state.shelf.as_ref()?.run(folder)?.ok()?;
        // The run at hand is ahead of what was read.
        let at_hand = cx.view.run.as_ref().filter(|run| run.info.folder == *folder);
        let epochs = at_hand.map_or_else(|| record.epochs.clone(), |run| run.epochs.clone());
        Some(Checked { folder: folder.clone(), record, epochs })
    };
    state.checked.iter().filter_map(of).collect()
}

/// The names of everything that can be drawn over epochs.
fn choices(runs: &[Checked]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for news in runs.iter().flat_map(|run| &run.epochs) {
        news.metrics.keys().for_each(|name| add(name.clone()));
    }
    for (part, of) in [("validation", true), ("training", false)] {
        for news in runs.iter().flat_map(|run| &run.epochs) {
            let losses = if of { &news.val } else { &news.train };
            losses.keys().for_each(|name| add(format!("{part} {name} loss").replace(" total loss", " loss")));
        }
    }
    names
}

/// The value of a choice in an epoch.
fn value(news: &EpochNews, choice: &str) -> Option<f64> {
    let loss = |text: &str| match text.strip_suffix("loss")?.trim() {
        "" => Some("total".to_owned()),
        name => Some(name.to_owned()),
    };
    if let Some(name) = choice.strip_prefix("validation ").and_then(loss) {
        return news.val.get(&name).copied();
    }
    if let Some(name) = choice.strip_prefix("training ").and_then(loss) {
        return news.train.get(&name).copied();
    }
    news.metrics.get(choice).copied()
}

/// Draws the comparison over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut EvaluateState) {
    let theme = cx.theme;
    let runs = checked(cx, state);
    let rect = ui.available_rect_before_wrap().shrink2(vec2(12.0, 10.0));
    if runs.is_empty() {
        let text = "Check two or more runs on the left: their curves are drawn in one plot, and below it stand the settings \
                    that differ between them, and only those.";
        kit::empty(ui, theme, "Nothing is checked", text);
        return;
    }
    let settings = 66.0 + 24.0 * state.diff.rows.len().max(3) as f32;
    let middle = rect.bottom() - settings.clamp(rect.height() * 0.25, rect.height() * 0.5) - 10.0;
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        let top = rect.with_max_y(middle);
        let low = rect.with_min_y(middle + 10.0);
        part(ui, theme, top, "curves", |ui| curves(ui, theme, &runs, state));
        part(ui, theme, low, "diff", |ui| diff(ui, theme, &runs, state));
    });
}

fn curves(ui: &mut Ui, theme: &Theme, runs: &[Checked], state: &mut EvaluateState) {
    let choices = choices(runs);
    let usual = runs.iter().find_map(|run| run.record.best.as_ref()).map(|best| best.metric.clone());
    let usual = usual.filter(|name| choices.contains(name)).or_else(|| choices.first().cloned()).unwrap_or_default();
    let choice = state.curve.clone().filter(|choice| choices.contains(choice)).unwrap_or(usual);
    head(ui, theme, "Curves", "A point for each epoch; the large dot is the run's best epoch.", |ui| {
        for name in choices.iter().rev() {
            if kit::chip(ui, theme, *name == choice, &format::metric(name)).clicked() {
                state.curve = Some(name.clone());
            }
        }
    });
    let curves: Vec<Curve> = runs
        .iter()
        .map(|run| Curve {
            name: runs::name(&run.folder),
            points: run
                .epochs
                .iter()
                .filter_map(|news| Some([f64::from(news.epoch), value(news, &choice)?]))
                .filter(|point| point[1].is_finite())
                .collect(),
            best: run.record.best.as_ref().map(|best| f64::from(best.epoch)),
        })
        .collect();
    chart::ui(ui, theme, &format::metric(&choice), &curves, &|value| runs::value(&choice, value));
}

fn diff(ui: &mut Ui, theme: &Theme, runs: &[Checked], state: &mut EvaluateState) {
    let of: Vec<usize> = runs.iter().map(|run| Arc::as_ptr(&run.record) as usize).collect();
    if state.diff.of != of {
        let plans: Vec<_> = runs.iter().map(|run| (&run.record.plan, run.record.graph.as_deref())).collect();
        state.diff = Known { rows: differences(&plans), of };
    }
    let rows = &state.diff.rows;
    let help = "Only the settings that are not the same in all checked runs. Hover a value to read it whole.";
    head(ui, theme, "Diff", help, |ui| {
        let text = if runs.len() > 1 { crate::format::plural(rows.len(), "setting") } else { String::new() };
        ui.label(RichText::new(text).size(11.0).color(theme.weak));
    });
    if runs.len() < 2 {
        kit::empty(ui, theme, "One run is checked", "Check a second one to see which settings differ.");
        return;
    }
    if rows.is_empty() {
        kit::empty(ui, theme, "The same settings", "These runs were made with the same plan.");
        return;
    }
    let width = ((ui.available_width() - NAMES - 8.0) / runs.len() as f32).max(120.0);
    let scroll = egui::ScrollArea::both().id_salt("diff rows").auto_shrink(false);
    ui.spacing_mut().item_spacing.y = 0.0;
    scroll.show(ui, |ui| {
        let whole = NAMES + width * runs.len() as f32;
        let (rect, _) = ui.allocate_exact_size(vec2(whole, 22.0), Sense::hover());
        for (i, run) in runs.iter().enumerate() {
            let left = rect.left() + NAMES + width * i as f32;
            chart::sample(ui.painter(), theme, i, pos2(left + 2.0, rect.center().y), 16.0);
            let at = pos2(left + 24.0, rect.center().y);
            kit::text_at(
                ui.painter(),
                at,
                Align2::LEFT_CENTER,
                &runs::name(&run.folder),
                11.5,
                theme.text,
                width - 30.0,
            );
        }
        for (i, row) in rows.iter().enumerate() {
            line(ui, theme, row, (whole, width), i % 2 == 0);
        }
    });
}

fn line(ui: &mut Ui, theme: &Theme, row: &Difference, (whole, width): (f32, f32), striped: bool) {
    let (rect, response) = ui.allocate_exact_size(vec2(whole, 24.0), Sense::hover());
    let words = format!("{}: {}", row.name, row.values.join(" | "));
    response.widget_info(|| WidgetInfo::labeled(Role::Row, true, &words));
    if striped {
        ui.painter().rect_filled(rect, 2, theme.raised.gamma_multiply(0.55));
    }
    let at = rect.left_center() + vec2(6.0, 0.0);
    kit::text_at(ui.painter(), at, Align2::LEFT_CENTER, &row.name, 12.0, theme.weak, NAMES - 12.0);
    for (i, value) in row.values.iter().enumerate() {
        let cell = Rect::from_min_size(pos2(rect.left() + NAMES + width * i as f32, rect.top()), vec2(width, 24.0));
        let at = cell.left_center() + vec2(2.0, 0.0);
        kit::text_at(ui.painter(), at, Align2::LEFT_CENTER, value, 12.0, theme.text, width - 10.0);
        let detail = if row.detail.is_empty() { value.clone() } else { format!("{value}\n{}", row.detail) };
        ui.interact(cell, ui.scope_id().with(("diff", &row.name, i)), Sense::hover()).on_hover_text(detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn choices_are_found_again_in_an_epoch() {
        let map = |entries: &[(&str, f64)]| -> BTreeMap<String, f64> {
            entries.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
        };
        let news = EpochNews {
            epoch: 1,
            train: map(&[("total", 1.0), ("cls", 2.0)]),
            val: map(&[("total", 3.0), ("cls", 4.0)]),
            metrics: map(&[("top1", 0.5)]),
            seconds: 1.0,
            frozen_verified: true,
            frozen_tensors: 0,
            cached: false,
            confusion: Vec::new(),
            frozen: Vec::new(),
        };
        let found = |choice: &str| value(&news, choice);
        assert_eq!(found("top1"), Some(0.5));
        assert_eq!((found("validation loss"), found("validation cls loss")), (Some(3.0), Some(4.0)));
        assert_eq!((found("training loss"), found("training cls loss")), (Some(1.0), Some(2.0)));
    }
}
