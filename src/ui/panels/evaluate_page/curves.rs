//! Precision against recall of each class of a detector, and the confidence that all other numbers of the page stand for.

use super::super::{format, kit, samples};
use super::detected::{Detected, HIT};
use super::findings::{Findings, Pick};
use super::{EvaluateState, head, help};
use crate::train::detection::{PrCurve, PrPoint};
use crate::ui::Theme;
use egui::{Align2, CursorIcon, Pos2, Rect, Role, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2};

/// Left of the curves, in points.
const GUTTER: f32 = 40.0;
/// Below the curves, in points.
const TICKS: f32 = 16.0;
/// Classes that have a row in the legend at most.
const LISTED: usize = 40;

/// Draws the curves, their legend, and the slider.
pub fn ui(ui: &mut Ui, theme: &Theme, findings: &Findings, found: &Detected, state: &mut EvaluateState) {
    head(ui, theme, "Precision and recall", help::CURVES, |ui| slider(ui, theme, found, state));
    let area = ui.available_rect_before_wrap();
    let side = (area.width() * 0.36).clamp(110.0, 190.0);
    let plot =
        Rect::from_min_max(area.min + vec2(GUTTER, 5.0), pos2(area.right() - side - 12.0, area.bottom() - TICKS - 4.0));
    axes(ui, theme, plot);
    let chosen = match state.pick {
        Pick::Class(class) | Pick::Misses(class) | Pick::FalseAlarms(class) | Pick::Mistakes(class) => Some(class),
        _ => None,
    };
    for (class, curve) in (0..).zip(found.curves.iter()) {
        if chosen != Some(class) {
            draw(ui, theme, plot, class, curve, found.confidence, chosen.is_none());
        }
    }
    if let Some((class, curve)) = chosen.and_then(|class| Some((class, found.curves.get(class as usize)?))) {
        draw(ui, theme, plot, class, curve, found.confidence, true);
    }
    pointer(ui, theme, findings, found, state, plot, chosen);
    let legend_at = Rect::from_min_max(pos2(plot.right() + 14.0, area.top()), area.max);
    ui.scope_builder(egui::UiBuilder::new().max_rect(legend_at), |ui| {
        legend(ui, theme, findings, found, state, chosen);
    });
}

fn slider(ui: &mut Ui, theme: &Theme, found: &Detected, state: &mut EvaluateState) {
    ui.spacing_mut().slider_width = 90.0;
    let mut value = found.confidence;
    let slider = egui::Slider::new(&mut value, 0.001..=1.0).max_decimals(3).trailing_fill(true);
    let response = ui.add(slider).accessible_name("Least confidence").on_hover_text(help::CONFIDENCE);
    if response.changed() {
        state.confidence = Some(value);
    }
    ui.label(egui::RichText::new("from").size(11.0).color(theme.weak));
    if state.confidence.is_some() && found.best.is_some() && kit::link_button(ui, theme, "Best F1").clicked() {
        state.confidence = None;
    }
}

fn axes(ui: &Ui, theme: &Theme, plot: Rect) {
    let painter = ui.painter();
    let line = Stroke::new(1.0, theme.border.gamma_multiply(0.6));
    for part in 0..=4_u8 {
        let share = f32::from(part) / 4.0;
        let at = plot.left_bottom() + vec2(share * plot.width(), -share * plot.height());
        painter.hline(plot.x_range(), at.y, line);
        painter.vline(at.x, plot.y_range(), line);
        if part % 2 == 0 {
            let text = format!("{:.0} %", share * 100.0);
            let y = pos2(plot.left() - 6.0, at.y);
            kit::text_at(painter, y, Align2::RIGHT_CENTER, &text, 10.5, theme.weak, GUTTER);
            let text = if part == 2 { "recall".to_owned() } else { text };
            let below = pos2(at.x, plot.bottom() + 3.0);
            kit::text_at(painter, below, Align2::CENTER_TOP, &text, 10.5, theme.weak, 80.0);
        }
    }
}

fn place(plot: Rect, point: &PrPoint) -> Pos2 {
    plot.left_bottom() + vec2(point.recall as f32 * plot.width(), -(point.precision as f32) * plot.height())
}

/// A class's curve, with a dot at the confidence.
fn draw(ui: &Ui, theme: &Theme, plot: Rect, class: u32, curve: &PrCurve, confidence: f64, strong: bool) {
    if curve.points.is_empty() {
        return;
    }
    let color = samples::class_color(theme, class).gamma_multiply(if strong { 1.0 } else { 0.35 });
    let points: Vec<Pos2> = curve.points.iter().map(|point| place(plot, point)).collect();
    ui.painter().add(Shape::line(points, Stroke::new(1.6, color)));
    if let Some(point) = curve.at(confidence) {
        ui.painter().circle_filled(place(plot, &point), 3.5, color);
    }
}

/// The point of the curves under the pointer; a click on it chooses its confidence.
fn pointer(
    ui: &mut Ui,
    theme: &Theme,
    findings: &Findings,
    found: &Detected,
    state: &mut EvaluateState,
    plot: Rect,
    chosen: Option<u32>,
) {
    let response = ui.interact(plot, ui.scope_id().with("curves"), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "Precision against recall"));
    let Some(at) = response.hover_pos() else { return };
    let near = |(class, curve): (u32, &PrCurve)| {
        let nearest = curve.points.iter().map(|point| (place(plot, point).distance(at), *point));
        nearest.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(distance, point)| (distance, class, point))
    };
    let all = (0..).zip(found.curves.iter()).filter(|(class, _)| chosen.is_none_or(|chosen| chosen == *class));
    let nearest = all.filter_map(near).min_by(|a, b| a.0.total_cmp(&b.0)).filter(|(distance, ..)| *distance < 24.0);
    let Some((_, class, point)) = nearest else { return };
    ui.painter().circle_stroke(place(plot, &point), 5.0, Stroke::new(1.5, theme.text));
    let words = format!(
        "{} from {:.3} on: precision {}, recall {}, F1 {}. Click to set the confidence.",
        findings.class(class),
        point.confidence,
        format::percent(point.precision),
        format::percent(point.recall),
        format::percent(point.f1())
    );
    if response.clicked() {
        state.confidence = Some(point.confidence.clamp(0.001, 1.0));
    }
    response.on_hover_text_at_pointer(words).on_hover_cursor(CursorIcon::PointingHand);
}

/// The classes with their AP at half overlap; a click shows the mistakes about one.
fn legend(
    ui: &mut Ui,
    theme: &Theme,
    findings: &Findings,
    found: &Detected,
    state: &mut EvaluateState,
    chosen: Option<u32>,
) {
    kit::weak(ui, theme, format!("AP at IoU {HIT}"));
    ui.spacing_mut().item_spacing.y = 1.0;
    egui::ScrollArea::vertical().id_salt("curve legend").auto_shrink(false).show(ui, |ui| {
        for class in 0..found.curves.len().min(LISTED) as u32 {
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::click());
            let value = found.ap50.get(class as usize).copied().flatten();
            let value = value.map_or("–".to_owned(), format::percent);
            let (name, on) = (findings.class(class), chosen == Some(class));
            response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, format!("{name}: {value}")));
            if on || response.hovered() {
                ui.painter().rect_filled(rect, 3, theme.raised);
            }
            kit::focus_ring(ui, theme, &response);
            let dot = rect.left_center() + vec2(7.0, 0.0);
            ui.painter().circle_filled(dot, 4.0, samples::class_color(theme, class));
            let left = rect.left_center() + vec2(16.0, 0.0);
            kit::text_at(ui.painter(), left, Align2::LEFT_CENTER, name, 11.5, theme.text, rect.width() - 70.0);
            let right = rect.right_center() - vec2(6.0, 0.0);
            kit::text_at(ui.painter(), right, Align2::RIGHT_CENTER, &value, 11.5, theme.weak, 56.0);
            if response.clicked() {
                let pick = Pick::Mistakes(class);
                state.pick = if state.pick == pick { Pick::Worst } else { pick };
            }
        }
    });
}
