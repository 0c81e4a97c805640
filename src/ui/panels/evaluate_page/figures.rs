//! The row of numbers on top: what they are, what they were before training, and the pictures behind them.

use super::super::{format, kit};
use super::findings::{Findings, Pick, Subject, metrics_of};
use super::{EvaluateState, help};
use crate::ui::Theme;
use egui::{Align2, Rect, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2};
use std::collections::BTreeMap;

/// One number.
struct Figure {
    name: String,
    value: String,
    note: String,
    help: String,
    /// The pictures that it opens.
    opens: Option<Pick>,
}

/// Height of the row.
const HEIGHT: f32 = 56.0;

/// Draws the row.
pub fn ui(ui: &mut Ui, theme: &Theme, subject: Subject<'_>, findings: &Findings, state: &mut EvaluateState) {
    let figures = figures(subject, findings);
    let gap = 8.0;
    let whole = ui.available_width();
    let count = figures.len().max(1) as f32;
    let width = ((whole - gap * (count - 1.0)) / count).min(170.0);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        for figure in &figures {
            if card(ui, theme, figure, width) {
                state.pick = figure.opens.unwrap_or_default();
            }
        }
    });
}

fn figures(subject: Subject<'_>, findings: &Findings) -> Vec<Figure> {
    let (losses, images) = match subject {
        Subject::Epoch(run, news, _) => (&news.val, run.info.val_images),
        Subject::Measured(evaluation) => (&evaluation.losses, evaluation.images),
    };
    let heads = subject.heads();
    let head = heads.get(findings.head).map_or("", |head| head.0);
    // With several heads each has its own loss.
    let loss_of = |losses: &BTreeMap<String, f64>| {
        let own = losses.get(head).filter(|_| heads.len() > 1);
        own.or(losses.get("total")).or(losses.values().next()).copied()
    };
    let start = match subject {
        Subject::Epoch(run, news, _) if news.epoch > 0 => run.epochs.first(),
        _ => None,
    };
    let before = |text: Option<String>| text.map_or(String::new(), |text| format!("{text} before training"));
    let mut all = Vec::new();
    let mut metrics = subject.metrics(findings.head);
    if findings.detected.is_some() {
        // How many are found before how large they are.
        let place = |name: &str| ["ap", "ap50", "ap75", "ar100"].iter().position(|known| *known == name).unwrap_or(4);
        metrics.sort_by_key(|(name, _)| place(name));
        metrics.truncate(4);
    }
    for (name, value) in metrics.into_iter().take(5) {
        let opens = match name {
            "top1" | "subset" | "f1" | "ap50" => Some(Pick::Wrong),
            "top5" => Some(Pick::BeyondFive),
            _ => None,
        };
        all.push(Figure {
            name: format::metric(name),
            value: format::percent(value),
            note: before(start.and_then(|start| {
                let metrics = metrics_of(&start.metrics, head, findings.head);
                metrics.iter().find(|(known, _)| *known == name).map(|(_, value)| format::percent(*value))
            })),
            help: help::metric(name),
            opens,
        });
    }
    if let Some(average) = findings.macro_average {
        let weighted = findings.weighted_average.map(|all| format!("{} by pictures", format::percent(all.f1)));
        all.push(Figure {
            name: "Macro F1".to_owned(),
            value: format::percent(average.f1),
            note: weighted.unwrap_or_default(),
            help: help::MACRO.to_owned(),
            opens: Some(Pick::Wrong),
        });
    }
    if let Some(loss) = loss_of(losses) {
        all.push(Figure {
            name: "Validation loss".to_owned(),
            value: format::number(loss),
            note: before(start.and_then(|start| loss_of(&start.val)).map(format::number)),
            help: help::LOSS.to_owned(),
            opens: Some(Pick::Worst),
        });
    }
    if let Some(calibration) = &findings.reliability {
        all.push(Figure {
            name: "Calibration error".to_owned(),
            value: format::percent(calibration.ece),
            note: format!("at most {}", format::percent(calibration.mce)),
            help: help::ECE.to_owned(),
            opens: None,
        });
    }
    all.push(Figure {
        name: "Pictures".to_owned(),
        value: format::count(images),
        note: subject.evaluation().map_or("for validation".to_owned(), |evaluation| {
            evaluation.split.map_or("all of the set".to_owned(), |split| format!("{split} of {}", evaluation.set.name))
        }),
        help: "How many pictures were measured.".to_owned(),
        opens: Some(Pick::Worst),
    });
    all
}

/// A card with a number; whether it was clicked.
fn card(ui: &mut Ui, theme: &Theme, figure: &Figure, width: f32) -> bool {
    let clickable = figure.opens.is_some();
    let sense = if clickable { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), sense);
    let words = format!("{} {} {}", figure.name, figure.value, figure.note);
    let role = if clickable { egui::Role::Button } else { egui::Role::Label };
    response.widget_info(|| WidgetInfo::labeled(role, true, &words));
    let line = if clickable && response.hovered() { theme.accent } else { theme.border };
    ui.painter().rect(rect, kit::RADIUS, theme.panel, Stroke::new(1.0, line), StrokeKind::Inside);
    kit::focus_ring(ui, theme, &response);
    let inside = Rect::from_min_max(rect.min + vec2(11.0, 6.0), rect.max - vec2(6.0, 6.0));
    let lines = [(&figure.name, 11.0, theme.weak, 6.0), (&figure.value, 18.0, theme.text, 22.0)];
    for (text, size, color, y) in lines {
        let at = inside.left_top() + vec2(0.0, y);
        kit::text_at(ui.painter(), at, Align2::LEFT_CENTER, text, size, color, inside.width());
    }
    let at = inside.left_top() + vec2(0.0, 39.0);
    kit::text_at(ui.painter(), at, Align2::LEFT_CENTER, &figure.note, 10.5, theme.weak, inside.width());
    let clicked = response.clicked();
    if !figure.help.is_empty() {
        response.on_hover_text(&figure.help);
    }
    clicked
}
