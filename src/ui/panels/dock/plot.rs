//! A plot over epochs as all tabs of the dock share it: the axis, its zoom, its ticks and what happened when.

use super::super::kit;
use crate::session::{Phase, RunView};
use crate::ui::Theme;
use egui::{
    Align2, FontId, Id, Painter, PointerButton, Rect, Response, Role, Stroke, Ui, UiBuilder, WidgetInfo, pos2, vec2,
};
use egui_plot::{AxisHints, Plot, PlotTransform, PlotUi};

/// Width left of a plot for numbers and names of lanes, in points.
const GUTTER: f32 = 74.0;
/// Height of the row with the epochs' numbers, in points.
pub const TICKS: f32 = 16.0;

/// How the vertical axis counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Vertical {
    /// Evenly.
    Linear,
    /// By powers of ten: points hold the decimal logarithm.
    Log,
    /// Shares between 0 and 1.
    Share,
}

/// Where epochs lie on the screen.
#[derive(Debug)]
pub struct Axis {
    /// The plot's frame.
    pub frame: Rect,
    /// Epochs of the run.
    pub epochs: f64,
    transform: PlotTransform,
}

impl Axis {
    /// Where an epoch lies, in points.
    #[must_use]
    pub fn x(&self, epoch: f64) -> f32 {
        self.transform.position_from_point_x(epoch)
    }

    /// The epoch under a point of the screen.
    #[must_use]
    pub fn epoch_at(&self, x: f32) -> f64 {
        self.transform.value_from_position(pos2(x, self.frame.center().y)).x
    }

    /// The epochs that are seen.
    #[must_use]
    pub fn range(&self) -> [f64; 2] {
        let bounds = self.transform.bounds();
        [bounds.min()[0], bounds.max()[0]]
    }
}

/// What is asked of a plot.
#[derive(Debug)]
pub struct Spec<'a> {
    /// Distinguishes the plots.
    pub name: &'static str,
    /// What it shows, in words.
    pub label: &'a str,
    /// Epochs of the run.
    pub epochs: f64,
    /// How the vertical axis counts.
    pub vertical: Vertical,
}

/// Draws a plot in `rect`. The epochs that are seen are shared by all plots: wheel and dragged rectangle zoom, a double
/// click resets.
pub fn show(
    ui: &mut Ui,
    theme: &Theme,
    spec: &Spec<'_>,
    rect: Rect,
    add: impl FnOnce(&mut PlotUi<'_>),
) -> (Axis, Response) {
    let vertical = spec.vertical;
    let hints = AxisHints::new_y()
        .formatter(move |mark, _| match vertical {
            Vertical::Linear => short(mark.value),
            Vertical::Log => short(10f64.powf(mark.value)),
            Vertical::Share => format!("{:.0} %", mark.value * 100.0),
        })
        .tick_label_color(theme.weak)
        .tick_label_font(FontId::proportional(10.0))
        .label_spacing(4.0..=8.0)
        .min_thickness(GUTTER);
    let mut plot = Plot::new(spec.name)
        .custom_y_axes(vec![hints])
        .show_axes([false, true])
        .show_x(false)
        .show_y(false)
        .label_formatter(|_| None)
        .show_background(false)
        .grid_color(theme.border)
        .link_axis(Id::unique("dock epochs"), [true, false])
        .include_x(0.0)
        .include_x(spec.epochs)
        .set_margin_fraction(vec2(0.0, 0.08))
        .allow_drag(false)
        .allow_scroll(false)
        .allow_zoom([true, false])
        .allow_axis_zoom_drag(false)
        .boxed_zoom_pointer_button(PointerButton::Primary)
        .x_grid_spacer(|input| epoch_marks(input.bounds, input.base_step_size))
        .y_grid_spacer(move |input| value_marks(input.bounds, f64::from(rect.height()), vertical));
    if vertical == Vertical::Linear {
        plot = plot.include_y(0.0);
    }
    let epochs = spec.epochs;
    // Half of the last epoch's number stands outside.
    let build = UiBuilder::new().max_rect(rect.with_max_x(rect.right() - 8.0));
    let shown = ui.scope_builder(build, |ui| {
        plot.show(ui, |plot_ui| {
            wheel_zoom(plot_ui, epochs);
            add(plot_ui);
        })
    });
    let shown = shown.inner;
    shown.response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, spec.label));
    let axis = Axis { frame: *shown.transform.frame(), epochs, transform: shown.transform };
    ui.painter().hline(axis.frame.x_range(), axis.frame.bottom(), Stroke::new(1.0, theme.border));
    (axis, shown.response)
}

/// Zooms in time under the pointer; zoomed out to the whole run, the plot follows again.
fn wheel_zoom(plot_ui: &mut PlotUi<'_>, epochs: f64) {
    if !plot_ui.response().hovered() {
        return;
    }
    let scrolled = plot_ui.ctx().input(|input| input.smooth_scroll_delta().y);
    if scrolled == 0.0 {
        return;
    }
    let factor = (scrolled / 150.0).exp();
    let whole = plot_ui.plot_bounds().width() / f64::from(factor) >= epochs;
    let auto_y = plot_ui.auto_bounds().y;
    if !whole {
        plot_ui.zoom_bounds_around_hovered(vec2(factor, 1.0));
    }
    plot_ui.set_auto_bounds([whole, auto_y || whole]);
}

fn epoch_marks(bounds: (f64, f64), smallest: f64) -> Vec<egui_plot::GridMark> {
    let step = nice_step(smallest * 4.0);
    let first = (bounds.0 / step).ceil() as i64;
    let last = (bounds.1 / step).floor() as i64;
    (first..=last.min(first + 400)).map(|i| egui_plot::GridMark { value: i as f64 * step, step_size: step }).collect()
}

/// Marks about 22 points apart; whole powers of ten on a logarithmic axis, with their doubles and fives between where
/// there is room.
pub fn value_marks(bounds: (f64, f64), height: f64, vertical: Vertical) -> Vec<egui_plot::GridMark> {
    let (low, high) = bounds;
    let least = (high - low) / (height / 22.0).max(1.0);
    if !(least.is_finite() && least > 0.0) {
        return Vec::new();
    }
    let mark = |value: f64, step_size: f64| egui_plot::GridMark { value, step_size };
    if vertical == Vertical::Log && least < 1.0 {
        let between: &[f64] = if least < 0.35 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = (low.floor() as i64)..=(high.ceil() as i64).min(low.floor() as i64 + 60);
        let marks = decades.flat_map(|decade| between.iter().map(move |part| decade as f64 + part.log10()));
        return marks.filter(|value| (low..=high).contains(value)).map(|value| mark(value, 1.0)).collect();
    }
    let scale = 10f64.powf(least.log10().floor());
    let step = nice_step(least / scale) * scale;
    let first = (low / step).ceil() as i64;
    (0..200).map(|i| mark((first + i) as f64 * step, step)).take_while(|mark| mark.value <= high).collect()
}

/// The smallest of 1, 2, 5, 10, … that is at least this large; epochs are not divided.
fn nice_step(at_least: f64) -> f64 {
    let mut step = 1.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if step * factor >= at_least {
                return step * factor;
            }
        }
        step *= 10.0;
        if step > 1e12 {
            return step;
        }
    }
}

fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.0e}")
    } else {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// The epochs' numbers, under everything that shares the axis.
pub fn ticks(painter: &Painter, theme: &Theme, axis: &Axis, top: f32) {
    let [from, to] = axis.range();
    let per_epoch = axis.frame.width() / (to - from).max(f64::MIN_POSITIVE) as f32;
    let step = nice_step(f64::from(28.0 / per_epoch));
    let mut epoch = (from / step).ceil() * step;
    while epoch <= to + 1e-9 {
        let at = pos2(axis.x(epoch), top + 2.0);
        painter.text(at, Align2::CENTER_TOP, format!("{epoch:.0}"), FontId::proportional(10.0), theme.weak);
        epoch += step;
    }
    let at = pos2(axis.frame.left() - 6.0, top + 2.0);
    painter.text(at, Align2::RIGHT_TOP, "epoch", FontId::proportional(10.0), theme.weak);
}

/// What happened when: thaws, learning rates set by hand, the best epoch, where the run stands, the epoch looked at.
pub fn marks(painter: &Painter, theme: &Theme, axis: &Axis, run: &RunView, scrubbed: Option<u32>, bottom: f32) {
    let whole = Rect::from_min_max(axis.frame.min - vec2(1.0, 0.0), pos2(axis.frame.right() + 1.0, bottom));
    let painter = painter.with_clip_rect(whole.intersect(painter.clip_rect()));
    let line = |epoch: f64, stroke: Stroke, dash: f32| {
        let points = [pos2(axis.x(epoch), axis.frame.top()), pos2(axis.x(epoch), bottom)];
        if dash > 0.0 {
            painter.extend(egui::Shape::dashed_line(&points, stroke, dash, dash));
        } else {
            painter.line_segment(points, stroke);
        }
    };
    let mut free_from = [f32::NEG_INFINITY; 2];
    for mark in &run.marks {
        let froze = run.freeze_history.iter().skip(1).any(|(epoch, _)| (epoch - mark.epoch).abs() < 1e-9);
        let color = if froze { theme.amber } else { theme.weak };
        line(mark.epoch, Stroke::new(1.0, color), 3.0);
        let text = mark.text.split([';', '.', '(']).next().unwrap_or_default().trim();
        let x = axis.x(mark.epoch) + 2.0;
        // Two rows, so that neighbors do not cover each other.
        let row = usize::from(x < free_from[0]);
        let at = pos2(x, axis.frame.top() + 2.0 + row as f32 * 13.0);
        let rect = kit::plate(&painter, theme, at, Align2::LEFT_TOP, text, color, 170.0);
        if let Some(free) = free_from.get_mut(row) {
            *free = rect.right() + 6.0;
        }
    }
    if let Some(best) = &run.best {
        let x = axis.x(f64::from(best.epoch));
        line(f64::from(best.epoch), Stroke::new(1.0, theme.good.gamma_multiply(0.7)), 0.0);
        let text = format!("★ best, epoch {}", best.epoch);
        let (at, anchor) = if x > axis.frame.center().x {
            (pos2(x - 5.0, axis.frame.bottom() - 3.0), Align2::RIGHT_BOTTOM)
        } else {
            (pos2(x + 5.0, axis.frame.bottom() - 3.0), Align2::LEFT_BOTTOM)
        };
        kit::text_at(&painter, at, anchor, &text, 10.5, theme.good, 140.0);
    }
    if matches!(run.phase, Phase::Running | Phase::Paused) {
        line(run.position(), Stroke::new(1.5, theme.text), 0.0);
    }
    if let Some(epoch) = scrubbed {
        line(f64::from(epoch), Stroke::new(1.5, theme.accent), 0.0);
    }
}

/// Epochs until the run stops for want of gain, where the plan says so.
#[must_use]
pub fn early_stop(run: &RunView) -> Option<String> {
    let stop = run.info.plan.early_stop?;
    let best = run.best.as_ref()?;
    let last = run.epochs.last()?.epoch;
    if !matches!(run.phase, Phase::Running | Phase::Paused) {
        return None;
    }
    let left = stop.patience.saturating_sub(last.saturating_sub(best.epoch));
    Some(match left {
        0 => "stops now: no gain".to_owned(),
        1 => "stops after 1 more epoch without gain".to_owned(),
        n => format!("stops after {n} more epochs without gain"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_axis_are_whole_epochs() {
        assert_eq!(nice_step(0.01), 1.0);
        assert_eq!(nice_step(1.2), 2.0);
        assert_eq!(nice_step(40.0), 50.0);
        assert_eq!(short(0.25), "0.25");
        assert_eq!(short(1e-5), "1e-5");
        assert_eq!(short(0.0), "0");
    }

    #[test]
    fn values_are_marked_at_round_numbers() {
        let values = |bounds, vertical| -> Vec<f64> {
            value_marks(bounds, 88.0, vertical).iter().map(|mark| (mark.value * 1e6).round() / 1e6).collect()
        };
        assert_eq!(values((0.0, 0.9), Vertical::Linear), [0.0, 0.5]);
        assert_eq!(values((0.4, 1.0), Vertical::Share), [0.4, 0.6, 0.8, 1.0]);
        assert_eq!(values((-2.0, 0.0), Vertical::Log), [-2.0, -1.0, 0.0]);
        assert_eq!(values((0.0, 0.0), Vertical::Linear), [0.0; 0]);
    }
}
