//! Is the model right as often as it says? Bars against the diagonal, and below them how many pictures say so.

use super::super::{format, kit};
use super::findings::{Findings, Pick};
use super::{EvaluateState, head, help};
use crate::train::{Bin, Reliability};
use crate::ui::Theme;
use egui::{Align2, CursorIcon, Rect, RichText, Role, Sense, Shape, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};

/// Left of the bars, in points.
const GUTTER: f32 = 40.0;
/// Below the bars: the confidence's numbers, in points.
const TICKS: f32 = 15.0;

/// Draws the curve.
pub fn ui(ui: &mut Ui, theme: &Theme, findings: &Findings, state: &mut EvaluateState) {
    head(ui, theme, "Reliability", help::RELIABILITY, |ui| {
        if let Some(found) = &findings.reliability {
            let text = format!("ECE {} · at most {}", format::percent(found.ece), format::percent(found.mce));
            ui.label(RichText::new(text).size(11.0).color(theme.weak)).on_hover_text(help::ECE);
        }
    });
    let Some(found) = &findings.reliability else {
        let text = match findings.results() {
            Some(_) => "The curve belongs to heads that give a picture one class.",
            None => "They are kept of the best and of the last epoch.",
        };
        kit::empty(ui, theme, "No confidences", text);
        return;
    };
    let area = ui.available_rect_before_wrap();
    let low = (area.height() * 0.2).clamp(24.0, 60.0);
    let plot =
        Rect::from_min_max(area.min + vec2(GUTTER, 5.0), pos2(area.right() - 6.0, area.bottom() - low - TICKS - 8.0));
    let counts = Rect::from_min_max(pos2(plot.left(), plot.bottom() + 6.0), pos2(plot.right(), area.bottom() - TICKS));
    axes(ui, theme, plot, counts);
    let most = found.bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(1);
    let width = plot.width() / found.bins.len().max(1) as f32;
    for (i, bin) in found.bins.iter().enumerate() {
        let left = plot.left() + width * i as f32;
        let column = Rect::from_min_max(pos2(left, plot.top()), pos2(left + width, counts.bottom()));
        let pick = Pick::Bin(i);
        if bar(ui, theme, bin, (column, plot, counts), most, state.pick == pick) {
            state.pick = if state.pick == pick { Pick::Worst } else { pick };
        }
    }
    diagonal(ui, theme, plot, found);
}

fn axes(ui: &Ui, theme: &Theme, plot: Rect, counts: Rect) {
    let painter = ui.painter();
    let line = Stroke::new(1.0, theme.border.gamma_multiply(0.6));
    for part in 0..=4_u8 {
        let share = f32::from(part) / 4.0;
        let y = egui::lerp(plot.bottom()..=plot.top(), share);
        painter.hline(plot.x_range(), y, line);
        if part % 2 == 0 {
            let text = format!("{:.0} %", share * 100.0);
            kit::text_at(painter, pos2(plot.left() - 6.0, y), Align2::RIGHT_CENTER, &text, 10.5, theme.weak, GUTTER);
        }
        let x = egui::lerp(plot.left()..=plot.right(), share);
        let anchor = match part {
            0 => Align2::LEFT_TOP,
            4 => Align2::RIGHT_TOP,
            _ => Align2::CENTER_TOP,
        };
        let text = if part == 2 { "confidence".to_owned() } else { format!("{:.0} %", share * 100.0) };
        kit::text_at(painter, pos2(x, counts.bottom() + 2.0), anchor, &text, 10.5, theme.weak, 80.0);
    }
    let side = pos2(plot.left() - 6.0, counts.center().y);
    kit::text_at(painter, side, Align2::RIGHT_CENTER, "count", 10.5, theme.weak, GUTTER);
}

/// One bin: a bar for its accuracy, the gap to its confidence, and its count. Whether it was clicked.
fn bar(ui: &mut Ui, theme: &Theme, bin: &Bin, (column, plot, counts): (Rect, Rect, Rect), most: u64, on: bool) -> bool {
    if bin.count == 0 {
        return false;
    }
    let response = ui.allocate_rect(column, Sense::click());
    let words = format!(
        "{:.0} to {:.0} % sure: {}, on average {} sure, {} right",
        bin.from * 100.0,
        bin.to * 100.0,
        crate::format::plural(usize::try_from(bin.count).unwrap_or(usize::MAX), "picture"),
        format::percent(bin.confidence),
        format::percent(bin.accuracy),
    );
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &words));
    let painter = ui.painter();
    let y = |share: f64| egui::lerp(plot.bottom()..=plot.top(), share as f32);
    let (left, right) = (column.left() + 1.0, column.right() - 1.0);
    let accuracy = Rect::from_min_max(pos2(left, y(bin.accuracy)), pos2(right, plot.bottom()));
    painter.rect_filled(accuracy, 1, theme.accent.gamma_multiply(0.75));
    let (high, low) = (y(bin.accuracy.max(bin.confidence)), y(bin.accuracy.min(bin.confidence)));
    let gap = Rect::from_min_max(pos2(left, high), pos2(right, low));
    if gap.height() >= 1.0 {
        // Too sure is bad, too modest is not: the hatch says that there is a gap, the color which.
        let color = if bin.confidence > bin.accuracy { theme.bad } else { theme.good };
        painter.rect_filled(gap, 0, theme.panel.gamma_multiply(0.55));
        kit::hatch(painter, gap, color);
        painter.rect_stroke(gap, 0, Stroke::new(1.0, color), StrokeKind::Inside);
    }
    let share = bin.count as f32 / most as f32;
    let height = (counts.height() * share).max(1.0);
    let count = Rect::from_min_max(pos2(left, counts.bottom() - height), pos2(right, counts.bottom()));
    painter.rect_filled(count, 1, theme.weak.gamma_multiply(0.7));
    if on || response.hovered() || response.has_focus() {
        let stroke = Stroke::new(if on { 1.5 } else { 1.0 }, theme.text);
        painter.rect_stroke(column.expand2(vec2(0.0, 1.0)), 2, stroke, StrokeKind::Inside);
    }
    response.on_hover_text(words).on_hover_cursor(CursorIcon::PointingHand).clicked()
}

/// Where confidence equals accuracy.
fn diagonal(ui: &Ui, theme: &Theme, plot: Rect, found: &Reliability) {
    let ends = [plot.left_bottom(), plot.right_top()];
    ui.painter().extend(Shape::dashed_line(&ends, Stroke::new(1.2, theme.text.gamma_multiply(0.7)), 5.0, 4.0));
    let points: Vec<egui::Pos2> = found
        .bins
        .iter()
        .filter(|bin| bin.count > 0)
        .map(|bin| plot.left_bottom() + vec2(bin.confidence as f32, -(bin.accuracy as f32)) * plot.size())
        .collect();
    for pair in points.windows(2) {
        if let [a, b] = *pair {
            ui.painter().line_segment([a, b], Stroke::new(1.5, theme.text));
        }
    }
    for point in points {
        ui.painter().circle_filled(point, 2.5, theme.text);
    }
}
