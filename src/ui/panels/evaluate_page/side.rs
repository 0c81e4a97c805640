//! The left of the page: the runs, what of a run is measured, and its epochs.

use super::super::kit::{self, Cell};
use super::super::{format, kit::caps};
use super::runs;
use super::{Chosen, EvaluateState, Pick};
use crate::data::Split;
use crate::session::{Command, EpochNews, RunView, Which};
use crate::ui::{Action, Context, Theme};
use egui::{Role, Sense, Ui, WidgetInfo, vec2};
use std::collections::BTreeMap;
use std::path::Path;

/// Which pictures are measured next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// One part of the set that the run was made with, as it was split then.
    #[default]
    Val,
    /// The same, what it was trained on.
    Train,
    /// The same, the test part.
    Test,
    /// The set that is open.
    Open,
    /// A folder that is asked for.
    Other,
}

/// Draws the side.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut EvaluateState, folder: Option<&Path>) {
    let theme = cx.theme;
    let at_hand = cx.view.run.as_ref().filter(|run| Some(run.info.folder.as_path()) == folder);
    let epochs = at_hand.filter(|run| !run.epochs.is_empty() && state.chosen != Chosen::Measured);
    let whole = ui.available_height();
    let list = if epochs.is_some() { whole * 0.45 } else { whole - 150.0 };
    runs::ui(ui, cx, state, folder, list.max(120.0));
    ui.add_space(8.0);
    measure(ui, cx, state, folder);
    if let Some(run) = epochs {
        ui.add_space(8.0);
        caps(ui, theme, "Epochs");
        table(ui, theme, run, state);
    }
}

/// Which pictures, and the button that measures them.
fn measure(ui: &mut Ui, cx: &mut Context<'_>, state: &mut EvaluateState, folder: Option<&Path>) {
    let theme = cx.theme;
    caps(ui, theme, "Measure");
    let open = cx.view.data.as_ref().map(|data| data.name.clone());
    let mut choices = vec![
        (Measure::Val, "its validation pictures".to_owned()),
        (Measure::Train, "its training pictures".to_owned()),
        (Measure::Test, "its test pictures".to_owned()),
    ];
    choices.extend(open.map(|name| (Measure::Open, format!("{name}, open now"))));
    choices.push((Measure::Other, "another folder…".to_owned()));
    let shown = choices.iter().find(|(choice, _)| *choice == state.measure).map_or("", |(_, text)| text);
    let combo = egui::ComboBox::from_id_salt("measured").selected_text(shown).width(ui.available_width() - 8.0);
    let combo = combo.truncate().show_ui(ui, |ui| {
        for (choice, text) in &choices {
            ui.selectable_value(&mut state.measure, *choice, text);
        }
    });
    combo.response.accessible_name("Pictures to measure");
    if let Some(busy) = cx.view.busy.as_ref().filter(|busy| busy.what == "evaluating") {
        let share = busy.done as f32 / busy.total.max(1) as f32;
        ui.horizontal(|ui| {
            let text = format!("{} of {}", format::count(busy.done), format::count(busy.total));
            let width = ui.available_width() - 76.0;
            let bar = egui::ProgressBar::new(share).fill(theme.accent.gamma_multiply(0.6)).text(text);
            ui.add(bar.desired_width(width).desired_height(20.0));
            if ui.button("Cancel").clicked() {
                cx.push(Action::Send(Command::Interrupt));
            }
        });
        return;
    }
    let reason = match folder {
        None => Some("There is no run yet: train one first."),
        Some(_) if cx.view.is_training() => Some("While a run is in progress it is measured after each epoch."),
        Some(_) if cx.view.busy.is_some() => Some("Something else is being done; wait for it."),
        Some(_) => None,
    };
    let size = vec2(ui.available_width(), 26.0);
    let button = ui.add_enabled_ui(reason.is_none(), |ui| ui.add_sized(size, egui::Button::new("Evaluate"))).inner;
    if let (true, Some(folder)) = (button.clicked(), folder) {
        cx.push(command(cx, state.measure, folder));
    }
    match reason {
        Some(reason) => button.on_disabled_hover_text(reason),
        None => button.on_hover_text("Measures the run's best weights on these pictures"),
    };
}

fn command(cx: &Context<'_>, measure: Measure, folder: &Path) -> Action {
    let (data, which) = match measure {
        Measure::Val => (None, Which::Only(Split::Val)),
        Measure::Train => (None, Which::Only(Split::Train)),
        Measure::Test => (None, Which::Only(Split::Test)),
        Measure::Open => (Some(cx.plan().data.clone()), Which::Auto),
        Measure::Other => return Action::AskEvaluate(folder.to_path_buf()),
    };
    Action::Send(Command::Evaluate { from: folder.to_path_buf(), data, which })
}

/// The epochs of the run at hand; a click shows one.
fn table(ui: &mut Ui, theme: &Theme, run: &RunView, state: &mut EvaluateState) {
    let metric = run.metrics.keys().next();
    let widths = [52.0, 62.0, (ui.available_width() - 124.0).clamp(50.0, 90.0)];
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 18.0), Sense::hover());
    let mut row = vec![Cell::name("epoch", theme.weak, widths[0]), Cell::number("val loss", theme.weak, widths[1])];
    row.extend(metric.map(|metric| Cell::number(format::metric(metric), theme.weak, widths[2])));
    kit::cells(ui.painter(), rect, &row);
    ui.spacing_mut().item_spacing.y = 1.0;
    let best = run.best.as_ref().map(|best| best.epoch);
    let shown = state.epoch.or(best).or(run.epochs.last().map(|news| news.epoch));
    let scroll = egui::ScrollArea::vertical().id_salt("epoch table").auto_shrink(false);
    scroll.show_rows(ui, 20.0, run.epochs.len(), |ui, rows| {
        for news in run.epochs.get(rows).unwrap_or_default() {
            let marks = (best == Some(news.epoch), shown == Some(news.epoch));
            if epoch(ui, theme, news, metric, widths, marks) {
                state.epoch = (best != Some(news.epoch)).then_some(news.epoch);
                state.chosen = Chosen::Current;
                state.pick = Pick::Worst;
            }
        }
    });
}

fn epoch(
    ui: &mut Ui,
    theme: &Theme,
    news: &EpochNews,
    metric: Option<&String>,
    widths: [f32; 3],
    (best, shown): (bool, bool),
) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::click());
    let loss = |losses: &BTreeMap<String, f64>| {
        losses.get("total").or(losses.values().next()).map_or("–".to_owned(), |loss| format::number(*loss))
    };
    let title = if best { format!("{} ★", news.epoch) } else { news.epoch.to_string() };
    let color = if best { theme.good } else { theme.text };
    let mut row = vec![Cell::name(title, color, widths[0]), Cell::number(loss(&news.val), theme.text, widths[1])];
    let value = |name: &String| news.metrics.get(name).map_or("–".to_owned(), |value| format::percent(*value));
    row.extend(metric.map(|metric| Cell::number(value(metric), color, widths[2])));
    let frozen = match (news.frozen_tensors, news.frozen_verified) {
        (0, _) => "nothing was frozen".to_owned(),
        (count, true) => format!("{count} frozen tensors found unchanged"),
        (count, false) => format!("{count} frozen tensors, not compared"),
    };
    let mut words =
        format!("epoch {}, training loss {}, validation loss {}", news.epoch, loss(&news.train), loss(&news.val));
    for (name, value) in &news.metrics {
        words.push_str(&format!(", {} {}", format::metric(name), format::percent(*value)));
    }
    words.push_str(&format!(", {:.1} s, {frozen}{}", news.seconds, if best { ", the best" } else { "" }));
    response.widget_info(|| WidgetInfo::selected(Role::Row, true, shown, &words));
    if shown || response.hovered() {
        ui.painter().rect_filled(rect, 3, theme.raised);
    }
    kit::focus_ring(ui, theme, &response);
    kit::cells(ui.painter(), rect, &row);
    response.on_hover_text(words.replace(", ", "\n")).clicked()
}
