//! The table of classes: precision, recall, F1; sortable, and every number opens its pictures.

use super::super::kit::{self, Cell};
use super::super::{format, masks, samples};
use super::findings::{Findings, Pick};
use super::{EvaluateState, head, help};
use crate::train::ClassScores;
use crate::ui::Theme;
use egui::{Align2, CursorIcon, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

/// A column of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// The class.
    Name,
    /// Precision.
    Precision,
    /// Recall.
    Recall,
    /// F1.
    #[default]
    F1,
    /// Number of pictures.
    Pictures,
}

const COLUMNS: [(Column, &str, &str); 5] = [
    (Column::Name, "class", "The classes in the order of the set. Click a class to see all its pictures."),
    (Column::Precision, "precision", help::PRECISION),
    (Column::Recall, "recall", help::RECALL),
    (Column::F1, "F1", help::F1),
    (Column::Pictures, "pictures", help::SUPPORT),
];

/// How the table is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// By this column.
    pub by: Column,
    /// Upside down: the best, the last, the fewest first.
    pub reversed: bool,
}

/// Classes in the order of the table.
pub fn order(scores: &[ClassScores], sort: Sort) -> Vec<u32> {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    let of = |class: u32| scores.get(class as usize);
    // What is not defined stands at the end, whichever way.
    let value = |class: u32| {
        let scores = of(class)?;
        match sort.by {
            Column::Name => None,
            Column::Precision => scores.precision,
            Column::Recall => scores.recall,
            Column::F1 => scores.f1,
            Column::Pictures => Some(-(scores.support as f64)),
        }
    };
    match sort.by {
        Column::Name if sort.reversed => order.reverse(),
        Column::Name => {}
        _ => order.sort_by(|&a, &b| match (value(a), value(b)) {
            (Some(a), Some(b)) if sort.reversed => b.total_cmp(&a),
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        }),
    }
    order
}

/// Draws the table.
pub fn ui(ui: &mut Ui, theme: &Theme, findings: &Findings, state: &mut EvaluateState) {
    head(ui, theme, "Classes", "", |_| {});
    if findings.scores.is_empty() {
        let text = "The first head of this model says something else than one class.";
        kit::empty(ui, theme, "No classes were counted", text);
        return;
    }
    let whole = ui.available_width() - 8.0;
    let number = ((whole * 0.62) / 4.0).clamp(44.0, 84.0);
    let widths = [whole - 4.0 * number, number, number, number, number];
    titles(ui, theme, widths, findings, state);
    let order = order(&findings.scores, state.sort);
    ui.spacing_mut().item_spacing.y = 1.0;
    let scroll = egui::ScrollArea::vertical().id_salt("class scores").auto_shrink(false);
    scroll.show_rows(ui, 24.0, order.len(), |ui, rows| {
        for &class in order.get(rows).unwrap_or_default() {
            row(ui, theme, findings, class, widths, state);
        }
    });
}

fn titles(ui: &mut Ui, theme: &Theme, widths: [f32; 5], findings: &Findings, state: &mut EvaluateState) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    let mut left = rect.left();
    for ((column, title, help), width) in COLUMNS.into_iter().zip(widths) {
        let (column, title, help) = match column {
            Column::Pictures if findings.detected.is_some() => (column, "objects", help),
            Column::F1 if findings.pixels => (column, "Dice", help::DICE),
            // Which stands in the same order.
            Column::Pictures if findings.pixels => (Column::F1, "IoU", help::IOU),
            _ => (column, title, help),
        };
        let cell = Rect::from_min_size(pos2(left, rect.top()), vec2(width, rect.height()));
        left += width;
        let response = ui.interact(cell, ui.scope_id().with(("sort", title)), Sense::click());
        let on = state.sort.by == column;
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, format!("Sort by {title}")));
        let arrow = match (on, state.sort.reversed) {
            (false, _) => "",
            (true, false) => " ↓",
            (true, true) => " ↑",
        };
        let color = if on || response.hovered() { theme.text } else { theme.weak };
        let text = format!("{title}{arrow}");
        let (at, anchor) = match column {
            Column::Name => (cell.left_center() + vec2(6.0, 0.0), Align2::LEFT_CENTER),
            _ => (cell.right_center() - vec2(6.0, 0.0), Align2::RIGHT_CENTER),
        };
        kit::text_at(ui.painter(), at, anchor, &text, 11.0, color, width + 8.0);
        kit::focus_ring(ui, theme, &response);
        if response.clicked() {
            state.sort = Sort { by: column, reversed: on && !state.sort.reversed };
        }
        response.on_hover_text(help).on_hover_cursor(CursorIcon::PointingHand);
    }
}

fn row(ui: &mut Ui, theme: &Theme, findings: &Findings, class: u32, widths: [f32; 5], state: &mut EvaluateState) {
    let Some(scores) = findings.scores.get(class as usize) else { return };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
    let name = findings.class(class);
    let share = |value: Option<f64>| match value {
        None => "–".to_owned(),
        // The one number that is too wide with its digit.
        Some(value) if value > 0.9995 => "100 %".to_owned(),
        Some(value) => format::percent(value),
    };
    let iou_of = |dice: f64| dice / (2.0 - dice);
    let iou = scores.f1.map(iou_of).filter(|_| findings.pixels);
    let values = [None, scores.precision, scores.recall, scores.f1, iou];
    let texts = [share(scores.precision), share(scores.recall), share(scores.f1)];
    // From Dice: hits over said and there together less the hits.
    let last = if findings.pixels { share(iou) } else { format::count(scores.support as usize) };
    let [precision, recall, f1] = &texts;
    let words = match findings.pixels {
        true => format!("{name}: precision {precision}, recall {recall}, Dice {f1}, IoU {last}"),
        false => format!("{name}: precision {precision}, recall {recall}, F1 {f1}, {} pictures", scores.support),
    };
    response.widget_info(|| WidgetInfo::labeled(Role::Row, true, &words));
    if response.hovered() || response.contains_pointer() {
        ui.painter().rect_filled(rect, 3, theme.raised);
    }
    let [precision, recall, f1] = texts;
    let texts = [format!("    {name}"), precision, recall, f1, last];
    let picks = [Pick::Class, Pick::FalseAlarms, Pick::Misses, Pick::Mistakes, Pick::Class].map(|pick| pick(class));
    let mut left = rect.left();
    for (i, (text, width)) in texts.into_iter().zip(widths).enumerate() {
        let cell = Rect::from_min_size(pos2(left, rect.top()), vec2(width, rect.height()));
        left += width;
        let pick = picks[i];
        let response = ui.interact(cell, ui.scope_id().with(("class", class, i)), Sense::click());
        let title = pick.words(findings);
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, state.pick == pick, &title));
        if response.hovered() || state.pick == pick && (i != 4) {
            ui.painter().rect_filled(cell.shrink(1.0), 3, theme.hovered());
        }
        if let Some(value) = values[i] {
            let bar = Rect::from_min_size(pos2(cell.left() + 8.0, rect.bottom() - 4.0), vec2(width - 14.0, 2.5));
            kit::bar(ui.painter(), bar, value as f32, grade(theme, value), theme.raised);
        }
        let color = if i == 4 && !findings.pixels { theme.weak } else { theme.text };
        let drawn = if i == 0 { Cell::name(text, color, width) } else { Cell::number(text, color, width) };
        kit::cells(ui.painter(), cell.translate(vec2(0.0, -1.0)), &[drawn]);
        kit::focus_ring(ui, theme, &response);
        if response.clicked() {
            state.pick = if state.pick == pick { Pick::Worst } else { pick };
        }
        response.on_hover_text(title).on_hover_cursor(CursorIcon::PointingHand);
    }
    let dot = rect.left_center() + vec2(8.0, -1.0);
    let color = match u8::try_from(class) {
        Ok(0) if findings.pixels => theme.weak,
        Ok(id) if findings.pixels => masks::color(id),
        _ => samples::class_color(theme, class),
    };
    ui.painter().circle_filled(dot, 4.0, color);
}

/// Good, middling, bad.
pub fn grade(theme: &Theme, value: f64) -> egui::Color32 {
    if value >= 0.8 {
        theme.good
    } else if value >= 0.5 {
        theme.amber
    } else {
        theme.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::class_scores;

    #[test]
    fn classes_are_sorted_and_undefined_ones_stand_last() {
        // F1: 16/19, 8/12, none, 0.
        let scores = class_scores(&[vec![8, 2, 0, 0], vec![1, 4, 0, 0], vec![0; 4], vec![0, 1, 0, 0]]);
        let sorted = |by, reversed| order(&scores, Sort { by, reversed });
        assert_eq!(sorted(Column::F1, false), [3, 1, 0, 2], "worst first");
        assert_eq!(sorted(Column::F1, true), [0, 1, 3, 2]);
        assert_eq!(sorted(Column::Name, true), [3, 2, 1, 0]);
        assert_eq!(sorted(Column::Pictures, false), [0, 1, 3, 2], "most pictures first");
    }
}
