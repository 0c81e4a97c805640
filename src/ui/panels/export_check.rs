//! What became of the last export: where the file is, and what another engine says of it.

use super::kit::{self, Cell};
use super::{export_page, format};
use crate::session::{ExportCheck, Exported, HeadCheck};
use crate::train::{Answer, HeadPrediction};
use crate::ui::{Context, Theme, widgets};
use egui::{RichText, Role, Sense, Ui, WidgetInfo, vec2};

/// What the session says while it exports; anything before this is other work.
const EXPORTING: &str = "exporting: ";
/// Shares of the columns of the table.
const COLUMNS: [f32; 5] = [0.14, 0.27, 0.27, 0.16, 0.16];
const ROW: f32 = 22.0;

/// What is being exported at this moment, in words.
#[must_use]
pub fn running<'a>(cx: &Context<'a>) -> Option<&'a str> {
    cx.view.busy.as_ref().and_then(|busy| busy.what.strip_prefix(EXPORTING))
}

/// Draws the card, where there is something to say.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>) {
    let (theme, view) = (cx.theme, cx.view);
    let running = running(cx);
    if running.is_none() && view.exported.is_none() {
        return;
    }
    kit::sheet(theme).show(ui, |ui| {
        ui.set_width(ui.available_width());
        kit::caps(ui, theme, "Last export");
        match (running, &view.exported) {
            (Some(what), _) => {
                ui.horizontal(|ui| {
                    widgets::waiting(ui, theme);
                    ui.label(RichText::new(what).size(13.0).color(theme.text));
                });
            }
            (None, Some(exported)) => outcome(ui, cx, exported),
            (None, None) => {}
        }
    });
    ui.add_space(10.0);
}

fn outcome(ui: &mut Ui, cx: &mut Context<'_>, exported: &Exported) {
    let theme = cx.theme;
    match &exported.problem {
        Some(problem) => {
            ui.label(RichText::new(format!("✗ {problem}")).size(13.0).color(theme.bad));
        }
        None => {
            let name = exported.to.file_name().unwrap_or_default().to_string_lossy();
            let text = format!("✓ {name} · {:.1} MiB", exported.bytes as f64 / (1 << 20) as f64);
            ui.label(RichText::new(text).size(15.0).color(theme.good));
        }
    }
    if let Some(file) = &exported.file {
        export_page::path_row(ui, cx, "written to", &file.display().to_string());
    }
    if let Some(check) = &exported.check {
        table(ui, theme, check);
    }
}

fn table(ui: &mut Ui, theme: &Theme, check: &ExportCheck) {
    ui.add_space(6.0);
    let text = format!(
        "Run by {}, an engine of its own, on {} and its mirror image: {:.1} s.",
        check.engine,
        format::file_name(&check.picture),
        check.seconds
    );
    kit::weak(ui, theme, text).on_hover_text(&check.picture);
    ui.add_space(4.0);
    ui.spacing_mut().item_spacing.y = 0.0;
    let heads = ["head", "the network says", "the file says", "max difference", "rounding is"];
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    kit::cells(ui.painter(), rect, &row(heads.map(str::to_owned), rect.width(), |_| theme.weak));
    ui.painter().hline(rect.x_range(), rect.bottom(), egui::Stroke::new(1.0, theme.border));
    for head in &check.heads {
        let (network, file) = (said(&head.program), said(&head.file));
        let difference = format!("{:.1e}", head.max_abs_diff);
        let same = if head.same_top { "" } else { "≠ " };
        let texts =
            [head.head.clone(), network, format!("{same}{file}"), difference, format!("to {:.1e}", head.tolerance())];
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, words(head, &texts)));
        let color = |column: usize| match column {
            2 if !head.same_top => theme.bad,
            3 if head.passes() => theme.good,
            3 => theme.bad,
            4 => theme.weak,
            _ => theme.text,
        };
        kit::cells(ui.painter(), rect, &row(texts, rect.width(), color));
        response.on_hover_text(format!("greatest raw output {}", format::number(f64::from(head.max_abs))));
    }
}

fn row(texts: [String; 5], width: f32, color: impl Fn(usize) -> egui::Color32) -> Vec<Cell> {
    let cell = |(i, text): (usize, String)| {
        let width = width * COLUMNS.get(i).copied().unwrap_or_default();
        if i < 3 { Cell::name(text, color(i), width) } else { Cell::number(text, color(i), width) }
    };
    texts.into_iter().enumerate().map(cell).collect()
}

/// A row for a screen reader.
fn words(head: &HeadCheck, [name, network, file, difference, _]: &[String; 5]) -> String {
    let verdict = if head.passes() { "rounding" } else { "too much" };
    format!("{name}: the network says {network}, the file says {file}, max difference {difference}, {verdict}")
}

/// What a head decides for, with the scores.
fn said(prediction: &HeadPrediction) -> String {
    if let Answer::Mask(mask) = &prediction.answer {
        let [width, height] = mask.size_px;
        return format!("a mask of {width}×{height}");
    }
    if let Answer::Boxes(boxes) = &prediction.answer {
        return format!("{} objects", boxes.chosen(boxes.own).len());
    }
    let decided = prediction.decided();
    let classes = decided.iter().map(|class| format!("{} {}", class.name, format::percent(f64::from(class.score))));
    if decided.is_empty() { "none".to_owned() } else { classes.collect::<Vec<_>>().join(", ") }
}
