//! Losses over epochs: what training says step by step, what validation says epoch by epoch.

use super::super::curves::{Curves, value_at};
use super::super::{format, kit};
use super::plot::{self, Axis, Spec, Vertical};
use super::timeline::{self, TimelineState};
use crate::session::{RunView, Series};
use crate::ui::{Action, Context, Theme};
use egui::{Align2, Color32, CornerRadius, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};
use egui_plot::{Line, PlotPoint, PlotPoints, PlotUi, Points};
use std::collections::BTreeSet;

/// What the tab remembers.
#[derive(Debug)]
pub struct LossesState {
    /// Whether the vertical axis counts by powers of ten.
    pub log: bool,
    /// Width of the moving average, in epochs.
    pub smoothing_epochs: f64,
    /// Curves that were switched off, by label.
    pub hidden: BTreeSet<String>,
    /// The freeze timeline below.
    pub timeline: TimelineState,
    curves: Curves,
}

impl Default for LossesState {
    fn default() -> Self {
        Self {
            log: false,
            smoothing_epochs: 0.25,
            hidden: BTreeSet::new(),
            timeline: TimelineState::default(),
            curves: Curves::default(),
        }
    }
}

/// One curve of the tab.
struct Entry<'a> {
    label: String,
    series: &'a Series,
    color: Color32,
    validation: bool,
}

/// Names of the losses worth a curve: the total only where it is a sum of several heads'.
fn names(run: &RunView) -> Vec<&String> {
    let mut names: BTreeSet<&String> = run.train_losses.keys().chain(run.val_losses.keys()).collect();
    if names.iter().filter(|name| !name.contains('/')).count() == 2 {
        names.retain(|name| *name != "total");
    }
    names.into_iter().collect()
}

fn entries<'a>(run: &'a RunView, theme: &Theme) -> Vec<Entry<'a>> {
    let names = names(run);
    let color = |i: usize| theme.series.get(i % theme.series.len()).copied().unwrap_or(theme.text);
    let alone = names.len() == 1;
    let mut out = Vec::new();
    for (i, name) in names.iter().enumerate() {
        if let Some(series) = run.train_losses.get(*name) {
            out.push(Entry { label: format!("{name} · train"), series, color: color(i), validation: false });
        }
        if let Some(series) = run.val_losses.get(*name) {
            let color = if alone { color(1) } else { color(i) };
            out.push(Entry { label: format!("{name} · val"), series, color, validation: true });
        }
    }
    out
}

/// The switches of the tab, on the row of the tabs: as many as there is room for.
pub fn controls(ui: &mut Ui, cx: &mut Context<'_>, state: &mut LossesState) {
    let theme = cx.theme;
    let room = ui.available_width();
    timeline::presets(ui, cx, &mut state.timeline);
    timeline::which_run(ui, cx, theme, &mut state.timeline);
    let Some(run) = &cx.view.run else { return };
    let log = "Count the losses by powers of ten";
    if room > 190.0 && kit::chip(ui, theme, state.log, "Log").on_hover_text(log).clicked() {
        state.log = !state.log;
    }
    let copy = "Copy all curves as comma-separated values";
    if room > 220.0 && kit::link_button(ui, theme, "Copy CSV").on_hover_text(copy).clicked() {
        let text = csv(run);
        cx.push(Action::Copy(text));
        cx.push(Action::Say("Losses copied".to_owned()));
    }
    if room > 400.0 {
        ui.spacing_mut().slider_width = 70.0;
        let hint = format!("Moving average over {:.2} epochs", state.smoothing_epochs);
        let slider = egui::Slider::new(&mut state.smoothing_epochs, 0.0..=2.0).show_value(false);
        ui.add(slider).accessible_name("Smoothing").on_hover_text(hint);
        ui.label(egui::RichText::new("smoothing").size(11.0).color(theme.weak));
    }
}

/// The curves with the freeze timeline below them.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut LossesState, scrubbed: Option<u32>) {
    let (view, theme) = (cx.view, cx.theme);
    let run = view.run.as_ref();
    let rect = ui.available_rect_before_wrap();
    let shown = state.timeline.shown(cx, ((rect.height() * 0.46 / timeline::LANE) as usize).clamp(2, 12));
    let lanes_height = shown.lanes.len() as f32 * timeline::LANE;
    let lanes_top = rect.bottom() - plot::TICKS - lanes_height;
    let plot_rect = Rect::from_min_max(rect.min, pos2(rect.right(), lanes_top - 5.0));
    if let Some(run) = run {
        state.curves.set_run(&run.info.folder, run.info.first_epoch);
    }
    let entries = run.map(|run| entries(run, theme)).unwrap_or_default();
    let epochs = f64::from(run.map_or(1, |run| run.info.plan.epochs).max(shown.epochs()));
    let window = state.smoothing_epochs * run.map_or(0.0, |run| run.info.steps_per_epoch as f64);
    let LossesState { log, hidden, curves, .. } = state;
    let vertical = if *log { Vertical::Log } else { Vertical::Linear };
    let words = in_words(&entries);
    let spec = Spec { name: "losses", label: &words, epochs, vertical };
    let (axis, response) = plot::show(ui, theme, &spec, plot_rect, |plot_ui| {
        if entries.is_empty() {
            // A point that nobody sees: bounds that are set would stay when curves come.
            plot_ui.points(Points::new("", vec![[0.0, 1.0]]).radius(0.0).color(theme.panel).allow_hover(false));
        }
        for entry in entries.iter().filter(|entry| !hidden.contains(&entry.label)) {
            draw(plot_ui, curves, entry, window, *log);
        }
    });
    let bottom = lanes_top + lanes_height;
    let lanes_rect = Rect::from_min_max(pos2(rect.left(), lanes_top), pos2(rect.right(), bottom));
    timeline::ui(ui, cx, &mut state.timeline, &axis, lanes_rect, &shown);
    let painter = ui.painter_at(rect);
    plot::ticks(&painter, theme, &axis, bottom);
    let Some(run) = run else {
        ui.scope_builder(egui::UiBuilder::new().max_rect(axis.frame), |ui| {
            let text = "Press Start: one point for each step, one dot for each validation. Below: what trains when.";
            kit::empty(ui, theme, "Losses appear here", text);
        });
        return;
    };
    plot::marks(&painter, theme, &axis, run, scrubbed, bottom);
    if let Some(text) = plot::early_stop(run) {
        let at = axis.frame.left_bottom() + vec2(6.0, -3.0);
        kit::plate(&painter, theme, at, Align2::LEFT_BOTTOM, &text, theme.weak, 240.0);
    }
    let hovered = response.hover_pos().filter(|at| axis.frame.contains(*at)).map(|at| axis.epoch_at(at.x));
    if let Some(epoch) = hovered {
        painter.vline(axis.x(epoch), axis.frame.y_range(), Stroke::new(1.0, theme.weak));
    }
    legend(ui, theme, state, &entries, &axis, hovered);
}

fn draw(plot_ui: &mut PlotUi<'_>, curves: &mut Curves, entry: &Entry<'_>, window: f64, log: bool) {
    let bounds = plot_ui.plot_bounds();
    let range = [bounds.min()[0], bounds.max()[0]];
    let columns = plot_ui.transform().frame().width().max(1.0) as usize;
    let points = |points: &[[f64; 2]]| -> PlotPoints<'static> {
        let seen = points.iter().filter(|point| point[1].is_finite() && (!log || point[1] > 0.0));
        PlotPoints::Owned(seen.map(|&[x, y]| PlotPoint::new(x, if log { y.log10() } else { y })).collect())
    };
    let line = |points: PlotPoints<'static>, color: Color32, width: f32| {
        Line::new("", points).color(color).width(width).allow_hover(false)
    };
    if entry.validation {
        let all = points(entry.series.points());
        plot_ui.line(line(all, entry.color, 2.2));
        let dots = Points::new("", points(entry.series.points())).color(entry.color).radius(3.0).allow_hover(false);
        plot_ui.points(dots);
        return;
    }
    let drawn = curves.draw(&entry.label, entry.series, range, columns, window);
    if drawn.smoothed.is_empty() {
        plot_ui.line(line(points(drawn.raw), entry.color, 1.0));
    } else {
        plot_ui.line(line(points(drawn.raw), entry.color.gamma_multiply(0.35), 1.0));
        plot_ui.line(line(points(drawn.smoothed), entry.color, 1.5));
    }
}

/// The names of the curves with their values, last or under the pointer; a click switches a curve off and on.
fn legend(ui: &mut Ui, theme: &Theme, state: &mut LossesState, entries: &[Entry<'_>], axis: &Axis, at: Option<f64>) {
    const ROW: f32 = 16.0;
    let width = 148.0;
    let head = at.map_or("last".to_owned(), |epoch| format!("epoch {epoch:.2}"));
    let height = ((entries.len() + 1) as f32 * ROW + 6.0).min(axis.frame.height() - 4.0);
    // It stays where it is, so that it can be clicked.
    let at_corner = axis.frame.right_top() + vec2(-width - 4.0, 3.0);
    let plate = Rect::from_min_size(at_corner, vec2(width, height));
    let painter = ui.painter_at(plate);
    painter.rect_filled(plate, CornerRadius::same(4), theme.panel.gamma_multiply(0.82));
    let corner = plate.right_top() + vec2(-8.0, 3.0);
    kit::text_at(&painter, corner, Align2::RIGHT_TOP, &head, 10.5, theme.weak, width);
    let mut y = plate.top() + ROW + 1.0;
    for entry in entries {
        let row = Rect::from_min_size(pos2(plate.left(), y), vec2(width, ROW));
        y += ROW;
        if row.bottom() > plate.bottom() + 1.0 {
            break;
        }
        let shown = !state.hidden.contains(&entry.label);
        let response = ui.interact(row, ui.scope_id().with(("curve", &entry.label)), Sense::click());
        response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, shown, &entry.label));
        if response.clicked() && !state.hidden.remove(&entry.label) {
            state.hidden.insert(entry.label.clone());
        }
        let color = if shown { entry.color } else { theme.border };
        let dot = pos2(row.left() + 12.0, row.center().y);
        if entry.validation {
            painter.circle_filled(dot, 3.5, color);
        } else {
            painter.line_segment([dot - vec2(5.0, 0.0), dot + vec2(5.0, 0.0)], Stroke::new(2.0, color));
        }
        kit::focus_ring(ui, theme, &response);
        let text = if shown && !response.hovered() { theme.text } else { theme.weak };
        let at_left = pos2(row.left() + 22.0, row.center().y);
        kit::text_at(&painter, at_left, Align2::LEFT_CENTER, &entry.label, 11.0, text, width - 72.0);
        let value = match at {
            Some(epoch) => value_at(entry.series, epoch),
            None => state.curves.smoothed_at(&entry.label, f64::INFINITY).or(entry.series.last().map(|last| last[1])),
        };
        let value = value.map_or("–".to_owned(), format::number);
        kit::text_at(&painter, row.right_center() - vec2(8.0, 0.0), Align2::RIGHT_CENTER, &value, 11.0, text, 60.0);
    }
}

fn in_words(entries: &[Entry<'_>]) -> String {
    let value = |entry: &Entry<'_>| {
        let last = entry.series.last().map_or("no value".to_owned(), |last| format::number(last[1]));
        format!("{} {last}", entry.label)
    };
    format!("Losses over epochs. {}", entries.iter().map(value).collect::<Vec<_>>().join(", "))
}

/// All curves as comma-separated values.
#[must_use]
pub fn csv(run: &RunView) -> String {
    let mut out = "part,name,epoch,value\n".to_owned();
    let parts = [("train", &run.train_losses), ("val", &run.val_losses), ("metric", &run.metrics)];
    for (part, curves) in parts {
        for (name, series) in curves {
            let name = format::csv_field(name);
            for [epoch, value] in series.points() {
                out.push_str(&format!("{part},{name},{epoch},{value}\n"));
            }
        }
    }
    for [epoch, value] in run.lr.points() {
        out.push_str(&format!("lr,lr,{epoch},{value}\n"));
    }
    out
}
