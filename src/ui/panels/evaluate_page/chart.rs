//! Curves of several runs over epochs. Each has a color and a pattern of dashes: color is never alone.

use super::super::kit;
use crate::ui::Theme;
use egui::{Align2, Color32, Painter, Pos2, Rect, Role, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2};

/// One run.
#[derive(Debug)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// `[epoch, value]`, ascending.
    pub points: Vec<[f64; 2]>,
    /// Its best epoch.
    pub best: Option<f64>,
}

/// Dashes and gaps; the first line is whole.
const PATTERNS: [&[f32]; 6] = [&[], &[7.0, 4.0], &[2.0, 3.0], &[10.0, 3.0, 2.0, 3.0], &[14.0, 5.0], &[4.0, 2.0]];

fn color(theme: &Theme, i: usize) -> Color32 {
    theme.series.get(i % theme.series.len()).copied().unwrap_or(theme.text)
}

fn stroke(painter: &Painter, theme: &Theme, i: usize, path: &[Pos2], width: f32) {
    let line = Stroke::new(width, color(theme, i));
    // Eight colors and six patterns: 24 runs look different.
    let pattern = PATTERNS.get(i % PATTERNS.len()).copied().unwrap_or_default();
    if pattern.is_empty() {
        painter.add(Shape::line(path.to_vec(), line));
        return;
    }
    let every = |from: usize| pattern.iter().skip(from).step_by(2).copied().collect::<Vec<f32>>();
    painter.extend(Shape::dashed_line_with_offset(path, line, &every(0), &every(1), 0.0));
}

/// A short piece of a run's line, for legends.
pub fn sample(painter: &Painter, theme: &Theme, i: usize, at: Pos2, width: f32) {
    stroke(painter, theme, i, &[at, at + vec2(width, 0.0)], 2.0);
}

/// Round numbers between two values, at most about `count`.
fn marks(low: f64, high: f64, count: f64) -> Vec<f64> {
    let rough = (high - low) / count.max(1.0);
    if rough <= 0.0 || !rough.is_finite() {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

/// Draws the curves with their legend; `word` says a value.
pub fn ui(ui: &mut Ui, theme: &Theme, title: &str, curves: &[Curve], word: &dyn Fn(f64) -> String) {
    legend(ui, theme, curves, word);
    let area = ui.available_rect_before_wrap();
    let response = ui.allocate_rect(area, Sense::hover());
    let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
    response.widget_info(|| {
        WidgetInfo::labeled(Role::Canvas, true, format!("{title} over epochs of {}", names.join(", ")))
    });
    let all = || curves.iter().flat_map(|curve| &curve.points);
    if all().next().is_none() {
        kit::text_at(
            ui.painter(),
            area.center(),
            Align2::CENTER_CENTER,
            "None of these runs has measured this.",
            12.0,
            theme.weak,
            area.width(),
        );
        return;
    }
    let low = all().map(|point| point[1]).fold(f64::INFINITY, f64::min);
    let high = all().map(|point| point[1]).fold(f64::NEG_INFINITY, f64::max);
    let pad = ((high - low) * 0.06).max(1e-3 * high.abs()).max(1e-9);
    let (low, high) = (low - pad, high + pad);
    let last = all().map(|point| point[0]).fold(1.0, f64::max);
    let plot = Rect::from_min_max(area.min + vec2(52.0, 6.0), area.max - vec2(10.0, 18.0));
    let at = |[x, y]: [f64; 2]| {
        let across = egui::lerp(plot.left()..=plot.right(), (x / last) as f32);
        let up = egui::lerp(plot.bottom()..=plot.top(), ((y - low) / (high - low)) as f32);
        pos2(across, up)
    };
    let painter = ui.painter();
    for value in marks(low, high, f64::from(plot.height() / 40.0)) {
        let y = at([0.0, value]).y;
        painter.hline(plot.x_range(), y, Stroke::new(1.0, theme.border.gamma_multiply(0.6)));
        kit::text_at(painter, pos2(plot.left() - 6.0, y), Align2::RIGHT_CENTER, &word(value), 10.5, theme.weak, 48.0);
    }
    for epoch in marks(0.0, last, f64::from(plot.width() / 60.0)).into_iter().filter(|epoch| epoch.fract() == 0.0) {
        let x = at([epoch, low]).x;
        let text = if epoch == 0.0 { "epoch 0".to_owned() } else { format!("{epoch:.0}") };
        let anchor = if epoch == 0.0 { Align2::LEFT_TOP } else { Align2::CENTER_TOP };
        kit::text_at(painter, pos2(x, plot.bottom() + 3.0), anchor, &text, 10.5, theme.weak, 60.0);
    }
    for (i, curve) in curves.iter().enumerate() {
        let path: Vec<Pos2> = curve.points.iter().map(|point| at(*point)).collect();
        stroke(painter, theme, i, &path, 1.8);
        if path.len() < 60 {
            path.iter().for_each(|point| {
                painter.circle_filled(*point, 2.2, color(theme, i));
            });
        }
        if let Some(best) = curve.points.iter().find(|point| Some(point[0]) == curve.best) {
            painter.circle(at(*best), 4.5, color(theme, i), Stroke::new(1.5, theme.panel));
        }
    }
    if let Some(pointer) = response.hover_pos() {
        let epoch = (f64::from((pointer.x - plot.left()) / plot.width()) * last).round().clamp(0.0, last);
        painter.vline(at([epoch, low]).x, plot.y_range(), Stroke::new(1.0, theme.weak));
        let said = |curve: &Curve| {
            let point = curve.points.iter().find(|point| point[0] == epoch)?;
            Some(format!("{}: {}", curve.name, word(point[1])))
        };
        let lines: Vec<String> = curves.iter().filter_map(said).collect();
        response.on_hover_text_at_pointer(format!("epoch {epoch:.0}\n{}", lines.join("\n")));
    }
}

fn legend(ui: &mut Ui, theme: &Theme, curves: &[Curve], word: &dyn Fn(f64) -> String) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(14.0, 2.0);
        for (i, curve) in curves.iter().enumerate() {
            let best = curve.points.iter().find(|point| Some(point[0]) == curve.best);
            let text = match best {
                Some(best) => format!("{}  {}", curve.name, word(best[1])),
                None => curve.name.clone(),
            };
            let galley = kit::elided(ui.painter(), &text, 11.5, theme.text, 260.0);
            let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(30.0, 2.0), Sense::hover());
            sample(ui.painter(), theme, i, rect.left_center(), 24.0);
            ui.painter().galley(pos2(rect.left() + 30.0, rect.center().y - galley.size().y / 2.0), galley, theme.text);
            response.on_hover_text(format!("{text} in the best epoch"));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round() {
        let near = |low, high, count| -> Vec<f64> {
            marks(low, high, count).iter().map(|mark| (mark * 1e6).round() / 1e6).collect()
        };
        assert_eq!(near(0.0, 12.0, 6.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(near(0.51, 0.97, 5.0), [0.6, 0.7, 0.8, 0.9]);
        assert_eq!(near(3.0, 3.0, 5.0), [3.0]);
    }
}
