//! Metrics and the learning rate over epochs.

use super::super::{format, kit};
use super::plot::{self, Spec, Vertical};
use crate::session::Series;
use crate::ui::{Context, Theme};
use egui::{Align2, Color32, Rect, RichText, Stroke, Ui, UiBuilder, pos2, vec2};
use egui_plot::{Line, PlotPoint, PlotPoints, Points};

/// Width of the table beside the metrics, in points.
const TABLE: f32 = 286.0;

/// Metrics of the validation pictures, epoch 0 included, with their last and best values.
pub fn metrics(ui: &mut Ui, cx: &mut Context<'_>, scrubbed: Option<u32>) {
    let (view, theme) = (cx.view, cx.theme);
    let Some(run) = view.run.as_ref().filter(|run| !run.metrics.is_empty()) else {
        let text = "After each epoch, and once before training, the validation pictures are measured.";
        kit::empty(ui, theme, "Metrics appear here", text);
        return;
    };
    let rect = ui.available_rect_before_wrap();
    let table = if rect.width() > 2.2 * TABLE { TABLE } else { 0.0 };
    let plot_rect = Rect::from_min_max(rect.min, rect.max - vec2(table, plot::TICKS));
    let colors: Vec<Color32> = (0..run.metrics.len()).map(|i| theme.series[i % theme.series.len()]).collect();
    let shares = run.metrics.values().flat_map(Series::points).all(|point| (0.0..=1.0).contains(&point[1]));
    let vertical = if shares { Vertical::Share } else { Vertical::Linear };
    let last = |series: &Series| series.last().map_or("–".to_owned(), |last| value(last[1], shares));
    let words = run.metrics.iter().map(|(name, series)| format!("{} {}", format::metric(name), last(series)));
    let words = format!("Metrics over epochs. {}", words.collect::<Vec<_>>().join(", "));
    let epochs = f64::from(run.info.plan.epochs.max(1));
    let spec = Spec { name: "metrics", label: &words, epochs, vertical };
    let (axis, response) = plot::show(ui, theme, &spec, plot_rect, |plot_ui| {
        for (series, &color) in run.metrics.values().zip(&colors) {
            let points = || -> PlotPoints<'static> {
                PlotPoints::Owned(series.points().iter().map(|&[x, y]| PlotPoint::new(x, y)).collect())
            };
            plot_ui.line(Line::new("", points()).color(color).width(2.0).allow_hover(false));
            plot_ui.points(Points::new("", points()).color(color).radius(3.0).allow_hover(false));
        }
    });
    let painter = ui.painter_at(rect);
    plot::ticks(&painter, theme, &axis, axis.frame.bottom());
    plot::marks(&painter, theme, &axis, run, scrubbed, axis.frame.bottom());
    let hovered = response.hover_pos().filter(|at| axis.frame.contains(*at)).map(|at| axis.epoch_at(at.x).round());
    if let Some(epoch) = hovered {
        painter.vline(axis.x(epoch), axis.frame.y_range(), Stroke::new(1.0, theme.weak));
    }
    if table > 0.0 {
        let area = Rect::from_min_max(pos2(rect.right() - table + 16.0, rect.top()), rect.max);
        ui.scope_builder(UiBuilder::new().max_rect(area), |ui| {
            egui::ScrollArea::vertical().show(ui, |ui| {
                let rows =
                    run.metrics.iter().zip(&colors).map(|((name, series), &color)| (name.as_str(), series, color));
                metric_table(ui, theme, rows, hovered, shares);
            });
        });
    }
}

fn value(value: f64, share: bool) -> String {
    if share { format::percent(value) } else { format::number(value) }
}

fn metric_table<'a>(
    ui: &mut Ui,
    theme: &Theme,
    rows: impl Iterator<Item = (&'a str, &'a Series, Color32)>,
    at: Option<f64>,
    shares: bool,
) {
    let cell = |text: &str, color: Color32| RichText::new(text).size(12.0).color(color);
    egui::Grid::new("metric table").num_columns(3).spacing([16.0, 5.0]).min_col_width(0.0).show(ui, |ui| {
        ui.label(cell("metric", theme.weak));
        ui.label(cell(&at.map_or("last".to_owned(), |epoch| format!("epoch {epoch:.0}")), theme.weak));
        ui.label(cell("best", theme.weak));
        ui.end_row();
        for (name, series, color) in rows {
            ui.horizontal(|ui| {
                let (dot, _) = ui.allocate_exact_size(vec2(8.0, 12.0), egui::Sense::hover());
                ui.painter().circle_filled(dot.center(), 4.0, color);
                ui.label(cell(&format::metric(name), theme.text));
            });
            let now = match at {
                Some(epoch) => super::super::curves::value_at(series, epoch),
                None => series.last().map(|last| last[1]),
            };
            ui.label(cell(&now.map_or("–".to_owned(), |now| value(now, shares)), theme.text));
            let best = series.points().iter().copied().reduce(|a, b| if b[1] > a[1] { b } else { a });
            let best = best.map_or("–".to_owned(), |[x, y]| format!("{} · epoch {x:.0}", value(y, shares)));
            ui.label(cell(&best, theme.good));
            ui.end_row();
        }
    });
}

/// The base learning rate, step by step.
pub fn learning_rate(ui: &mut Ui, cx: &mut Context<'_>, log: bool, scrubbed: Option<u32>) {
    let (view, theme) = (cx.view, cx.theme);
    let Some(run) = view.run.as_ref().filter(|run| run.lr.last().is_some()) else {
        let text = "It rises over the warm-up and then follows the schedule; changes by hand are marked.";
        kit::empty(ui, theme, "The learning rate appears here", text);
        return;
    };
    let rect = ui.available_rect_before_wrap();
    let plot_rect = Rect::from_min_max(rect.min, rect.max - vec2(0.0, plot::TICKS));
    let epochs = f64::from(run.info.plan.epochs.max(1));
    let last = run.lr.last().map_or(0.0, |last| last[1]);
    let words = format!("Learning rate over epochs, now {}", format::rate(last));
    let vertical = if log { Vertical::Log } else { Vertical::Linear };
    let spec = Spec { name: "learning rate", label: &words, epochs, vertical };
    let (axis, response) = plot::show(ui, theme, &spec, plot_rect, |plot_ui| {
        let bounds = plot_ui.plot_bounds();
        let columns = plot_ui.transform().frame().width().max(1.0) as usize;
        let seen = run.lr.decimated(bounds.min()[0], bounds.max()[0], columns);
        let seen = seen.into_iter().filter(|point| !log || point[1] > 0.0);
        let points = seen.map(|[x, y]| PlotPoint::new(x, if log { y.log10() } else { y })).collect();
        plot_ui.line(Line::new("", PlotPoints::Owned(points)).color(theme.series[5]).width(2.0).allow_hover(false));
    });
    let painter = ui.painter_at(rect);
    plot::ticks(&painter, theme, &axis, axis.frame.bottom());
    plot::marks(&painter, theme, &axis, run, scrubbed, axis.frame.bottom());
    let hovered = response.hover_pos().filter(|at| axis.frame.contains(*at)).map(|at| axis.epoch_at(at.x));
    let (epoch, value) = match hovered {
        Some(epoch) => (epoch, super::super::curves::value_at(&run.lr, epoch).unwrap_or(last)),
        None => (run.position(), last),
    };
    if hovered.is_some() {
        painter.vline(axis.x(epoch), axis.frame.y_range(), Stroke::new(1.0, theme.weak));
    }
    let at = axis.frame.right_top() + vec2(-6.0, 4.0);
    let text = format!("{} at epoch {epoch:.2}", format::rate(value));
    kit::plate(&painter, theme, at, Align2::RIGHT_TOP, &text, theme.text, 200.0);
}
