//! The sweep of the learning rate: the loss over rates, and the rates to choose from.

use super::super::{format, kit};
use super::plot::{Vertical, value_marks};
use crate::session::{Command, SweepView};
use crate::train::{LrSweep, SweepEnd};
use crate::ui::{Action, Context, Theme, widgets};
use egui::{Align2, Color32, DragValue, FontId, Rect, RichText, Role, Stroke, Ui, UiBuilder, WidgetInfo, pos2, vec2};
use egui_plot::{AxisHints, GridMark, Line, Plot, PlotPoint, PlotPoints, VLine};

/// Width of the column with the suggestions, in points.
const SIDE: f32 = 214.0;
/// Height of the row with the rates, in points.
const TICKS: f32 = 16.0;

/// The switch of the tab, on the row of the tabs.
pub fn controls(ui: &mut Ui, cx: &mut Context<'_>) {
    if ui.available_width() < 70.0 {
        return;
    }
    let running = cx.view.sweep.as_ref().is_some_and(|sweep| sweep.end.is_none());
    if running {
        if kit::link_button(ui, cx.theme, "Stop").on_hover_text("Stop the sweep; nothing stays changed").clicked() {
            cx.push(Action::Send(Command::Interrupt));
        }
    } else if cx.view.sweep.is_some() && kit::link_button(ui, cx.theme, "Find again").clicked() {
        cx.push(Action::FindLr);
    }
}

/// The curve with its suggestions; `next` is what will be swept.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, next: &mut LrSweep) {
    let (view, theme) = (cx.view, cx.theme);
    let Some(sweep) = &view.sweep else { return nothing_yet(ui, cx, next) };
    let rect = ui.available_rect_before_wrap();
    let side = if rect.width() > 2.2 * SIDE { SIDE } else { 0.0 };
    let plot = rect.with_max_x(rect.right() - side);
    curve(ui, theme, sweep, plot);
    if side > 0.0 {
        let area = Rect::from_min_max(pos2(rect.right() - side + 18.0, rect.top() + 2.0), rect.max);
        ui.scope_builder(UiBuilder::new().max_rect(area), |ui| suggestions(ui, cx, sweep, next));
    }
}

/// The lowest and the highest rate of the next sweep, at least ten times apart.
fn bounds(ui: &mut Ui, theme: &Theme, next: &mut LrSweep) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        let mut field = |name: &str, hint: &str, value: &mut f64, range: std::ops::RangeInclusive<f64>| {
            let label = ui.label(RichText::new(name).size(12.0).color(theme.weak));
            let speed = *value * 0.03;
            let field = DragValue::new(value)
                .range(range)
                .speed(speed)
                .max_decimals(12)
                .custom_formatter(|value, _| widgets::rate(value))
                .custom_parser(widgets::parse_rate);
            ui.add_sized([54.0, 20.0], field).labelled_by(label.id).on_hover_text(hint);
        };
        field("rates from", "The first learning rate of the sweep", &mut next.from, 1e-12..=next.to / 10.0);
        field("to", "Where the rates end, if the loss does not explode before", &mut next.to, next.from * 10.0..=1e4);
    });
}

fn nothing_yet(ui: &mut Ui, cx: &mut Context<'_>, next: &mut LrSweep) {
    let (top, below) = {
        let rect = ui.available_rect_before_wrap();
        rect.split_top_bottom_at_y(rect.center().y + 4.0)
    };
    ui.scope_builder(UiBuilder::new().max_rect(top), |ui| {
        let text = "Some hundred steps with a rate that grows until the loss explodes; the weights are put back.";
        kit::empty(ui, cx.theme, "The loss over learning rates appears here", text);
    });
    let row = Rect::from_center_size(pos2(below.center().x, below.top() + 18.0), vec2(176.0, 30.0));
    ui.scope_builder(UiBuilder::new().max_rect(row), |ui| {
        if kit::primary_button(ui, cx.theme, "Find a learning rate").clicked() {
            cx.push(Action::FindLr);
        }
    });
    let row = Rect::from_center_size(row.center() + vec2(0.0, 32.0), vec2(220.0, 24.0));
    ui.scope_builder(UiBuilder::new().max_rect(row), |ui| bounds(ui, cx.theme, next));
}

/// The rates to choose from, the recommended one first: name, rate, color.
fn choices(sweep: &SweepView, theme: &Theme) -> Vec<(&'static str, f64, Color32)> {
    let found = &sweep.suggestions;
    let all = [
        ("valley", found.valley, theme.good),
        ("minimum / 10", found.minimum, theme.series[2]),
        ("steepest", found.steepest, theme.series[4]),
    ];
    all.into_iter().filter_map(|(name, lr, color)| Some((name, lr?, color))).collect()
}

fn curve(ui: &mut Ui, theme: &Theme, sweep: &SweepView, rect: Rect) {
    let plot_rect = Rect::from_min_max(rect.min, rect.max - vec2(8.0, TICKS));
    let choices = choices(sweep, theme);
    let [low, high] = [sweep.sweep.from.log10(), sweep.sweep.to.log10()];
    let hints = AxisHints::new_y()
        .formatter(|mark, _| format::number(mark.value))
        .tick_label_color(theme.weak)
        .tick_label_font(FontId::proportional(10.0))
        .label_spacing(4.0..=8.0)
        .min_thickness(74.0);
    let lowest = sweep.points.iter().map(|point| point.smoothed.min(point.loss)).fold(f64::INFINITY, f64::min);
    let first = sweep.points.first().map_or(1.0, |point| point.smoothed);
    let fall = (first - lowest).max(0.2 * first);
    // The explosion would press the valley flat.
    let (bottom, top) = ((lowest - 0.1 * fall).max(0.0), first + 0.4 * fall);
    let plot = Plot::new("learning-rate sweep")
        .custom_y_axes(vec![hints])
        .show_axes([false, true])
        .show_x(false)
        .show_y(false)
        .label_formatter(|_| None)
        .show_background(false)
        .grid_color(theme.border)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_zoom(false)
        .allow_boxed_zoom(false)
        .x_grid_spacer(|input| {
            decades(input.bounds).into_iter().map(|value| GridMark { value, step_size: 1.0 }).collect()
        })
        .y_grid_spacer(move |input| value_marks(input.bounds, f64::from(plot_rect.height()), Vertical::Linear));
    let shown = ui.scope_builder(UiBuilder::new().max_rect(plot_rect), |ui| {
        plot.show(ui, |plot_ui| {
            if sweep.points.is_empty() {
                plot_ui.set_plot_bounds_y(0.0..=1.0);
            } else {
                plot_ui.set_plot_bounds_y(bottom..=top);
            }
            plot_ui.set_plot_bounds_x(low..=high);
            let line = |pick: fn(&crate::train::LrPoint) -> f64, color: Color32, width: f32| {
                let points = sweep.points.iter().map(|point| PlotPoint::new(point.lr.log10(), pick(point))).collect();
                Line::new("", PlotPoints::Owned(points)).color(color).width(width).allow_hover(false)
            };
            plot_ui.line(line(|point| point.loss, theme.series[0].gamma_multiply(0.4), 1.0));
            plot_ui.line(line(|point| point.smoothed, theme.series[0], 2.2));
            for (_, lr, color) in &choices {
                plot_ui.vline(VLine::new("", lr.log10()).color(*color).width(1.5).allow_hover(false));
            }
        })
    });
    let shown = shown.inner;
    let words = in_words(sweep, &choices);
    shown.response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, &words));
    let frame = *shown.transform.frame();
    let painter = ui.painter_at(rect);
    painter.hline(frame.x_range(), frame.bottom(), Stroke::new(1.0, theme.border));
    for decade in decades((low, high)) {
        let at = pos2(shown.transform.position_from_point_x(decade), frame.bottom() + 2.0);
        painter.text(at, Align2::CENTER_TOP, power(decade), FontId::proportional(10.0), theme.weak);
    }
    let at = pos2(frame.left() - 20.0, frame.bottom() + 2.0);
    painter.text(at, Align2::RIGHT_TOP, "rate", FontId::proportional(10.0), theme.weak);
    for (row, (name, lr, color)) in choices.iter().enumerate() {
        let x = shown.transform.position_from_point_x(lr.log10());
        let near = sweep.points.iter().min_by(|a, b| (a.lr - lr).abs().total_cmp(&(b.lr - lr).abs()));
        if let Some(point) = near {
            let y = shown.transform.position_from_point_y(point.smoothed);
            painter.circle(pos2(x, y), 4.0, theme.panel, Stroke::new(2.0, *color));
        }
        let at = pos2(x + 4.0, frame.top() + 2.0 + row as f32 * 15.0);
        kit::plate(&painter, theme, at, Align2::LEFT_TOP, &format!("{name} {}", format::rate(*lr)), *color, 170.0);
    }
    let hovered = shown.response.hover_pos().filter(|at| frame.contains(*at));
    let near = hovered.and_then(|at| {
        let lr = shown.transform.value_from_position(at).x;
        sweep.points.iter().min_by(|a, b| (a.lr.log10() - lr).abs().total_cmp(&(b.lr.log10() - lr).abs()))
    });
    if let Some(point) = near {
        let x = shown.transform.position_from_point_x(point.lr.log10());
        painter.vline(x, frame.y_range(), Stroke::new(1.0, theme.weak));
        let loss = (format::number(point.smoothed), format::number(point.loss));
        let text = format!("{} · loss {} (raw {})", format::rate(point.lr), loss.0, loss.1);
        kit::plate(
            &painter,
            theme,
            frame.left_bottom() + vec2(6.0, -3.0),
            Align2::LEFT_BOTTOM,
            &text,
            theme.text,
            260.0,
        );
    }
}

/// Whole powers of ten in a range of decimal logarithms.
fn decades((low, high): (f64, f64)) -> Vec<f64> {
    let (first, last) = ((low - 1e-9).ceil() as i32, (high + 1e-9).floor() as i32);
    (first..=last).map(f64::from).collect()
}

fn power(decade: f64) -> String {
    match decade as i32 {
        decade @ 0..=3 => format!("{:.0}", 10f64.powi(decade)),
        decade @ -2..0 => format!("{}", 10f64.powi(decade)),
        decade => format!("1e{decade}"),
    }
}

fn suggestions(ui: &mut Ui, cx: &mut Context<'_>, sweep: &SweepView, next: &mut LrSweep) {
    let theme = cx.theme;
    ui.spacing_mut().item_spacing.y = 6.0;
    let steps = sweep.points.len();
    let Some(end) = sweep.end else {
        kit::weak(ui, theme, format!("step {steps} of {}", sweep.sweep.steps));
        let share = steps as f32 / sweep.sweep.steps.max(1) as f32;
        crate::ui::widgets::progress(ui, theme, 170.0, share, "Sweep of the learning rate");
        return;
    };
    let choices = choices(sweep, theme);
    if choices.is_empty() {
        kit::weak(ui, theme, "Too few steps for a suggestion.");
    }
    for (nth, (name, lr, color)) in choices.into_iter().enumerate() {
        ui.horizontal(|ui| {
            let (dot, _) = ui.allocate_exact_size(vec2(8.0, 12.0), egui::Sense::hover());
            ui.painter().circle_filled(dot.center(), 4.0, color);
            ui.label(RichText::new(name).size(12.0).color(theme.weak));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let text = format!("Use {}", format::rate(lr));
                let clicked = if nth == 0 {
                    kit::primary_button(ui, theme, &text).clicked()
                } else {
                    kit::link_button(ui, theme, &text).clicked()
                };
                if clicked {
                    cx.edit(&format!("Learning rate {} ({name})", format::rate(lr)), |plan| plan.lr = rounded(lr));
                }
            });
        });
    }
    let ended = match end {
        SweepEnd::Completed => "to its end",
        SweepEnd::Exploded => "until the loss exploded",
        SweepEnd::Cancelled => "stopped by hand",
    };
    kit::weak(ui, theme, format!("{steps} steps, {ended}"));
    if !same_network(cx, sweep) {
        ui.label(RichText::new("The plan has changed since.").size(12.0).color(theme.amber));
    }
    bounds(ui, theme, next);
}

/// Two digits are more than a sweep knows.
fn rounded(lr: f64) -> f64 {
    format!("{lr:.1e}").parse().unwrap_or(lr)
}

/// Whether the sweep is for the plan as it is, its learning rate and what comes after the first phase aside.
fn same_network(cx: &Context<'_>, sweep: &SweepView) -> bool {
    let own =
        |plan: &crate::train::Plan| crate::train::Plan { lr: 0.0, timeline: Vec::new(), epochs: 1, ..plan.clone() };
    own(cx.plan()) == own(&sweep.plan)
}

fn in_words(sweep: &SweepView, choices: &[(&'static str, f64, Color32)]) -> String {
    let found = choices.iter().map(|(name, lr, _)| format!(", {name} {}", format::rate(*lr)));
    format!("Loss over learning rates, {} steps{}", sweep.points.len(), found.collect::<String>())
}
