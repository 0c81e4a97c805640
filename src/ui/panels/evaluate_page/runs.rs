//! The runs of the project and those below its runs folder: how far they came, what can be done with them.

use super::super::{format, kit};
use super::{Chosen, EvaluateState, Pick};
use crate::data::Split;
use crate::session::{Command, Ending, Phase, RunAnswer, RunRecord, RunState, Which};
use crate::train::WeightsSource;
use crate::ui::icons::Icon;
use crate::ui::{Action, Context, Page, Theme, folders};
use egui::{Align2, Color32, Rect, RichText, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};
use std::path::{Path, PathBuf};

/// Height of a row, in points.
const ROW: f32 = 58.0;

/// All runs that are known, newest first: the one at hand, the project's, those below its runs folder.
pub fn known(cx: &Context<'_>, state: &EvaluateState) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = cx.view.run.iter().map(|run| run.info.folder.clone()).collect();
    all.extend(cx.project.runs.iter().rev().cloned());
    let mut homes: Vec<&Path> = state.home.iter().map(PathBuf::as_path).collect();
    homes.extend(cx.project.runs.iter().filter_map(|run| run.parent()));
    homes.dedup();
    if let Some(shelf) = &state.shelf {
        all.extend(homes.into_iter().filter_map(|home| shelf.below(home)).flatten());
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|run| seen.insert(run.clone()) && !cx.project.hidden_runs.contains(run));
    all
}

/// A run's name for people.
pub fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a row says.
struct Words {
    model: String,
    best: String,
    epochs: String,
    state: &'static str,
    icon: Icon,
    color: Color32,
    date: String,
}

fn words_at_hand(cx: &Context<'_>, folder: &Path) -> Option<Words> {
    let run = cx.view.run.as_ref().filter(|run| run.info.folder == folder)?;
    let theme = cx.theme;
    let (state, icon, color) = match run.phase {
        Phase::Running => ("running", Icon::Play, theme.amber),
        Phase::Paused => ("paused", Icon::Pause, theme.amber),
        Phase::Ended(Ending::Cancelled) | Phase::Failed => ("interrupted", Icon::Pause, theme.weak),
        Phase::Ended(ending) => (ended(ending), Icon::Tick, theme.good),
    };
    let done = run.epochs.last().map_or(0, |news| news.epoch);
    let best =
        run.best.as_ref().map(|best| format!("{} {}", format::metric(&best.metric), value(&best.metric, best.value)));
    Some(Words {
        model: run.info.plan.model.clone(),
        best: best.unwrap_or_default(),
        epochs: format!("{done}/{}", run.info.plan.epochs),
        state,
        icon,
        color,
        date: String::new(),
    })
}

fn words(theme: &Theme, record: &RunRecord) -> Words {
    let (state, icon, color) = match record.state() {
        RunState::Finished(ending) => (ended(ending), Icon::Tick, theme.good),
        RunState::Interrupted => ("interrupted", Icon::Pause, theme.weak),
    };
    let best = record
        .best
        .as_ref()
        .map(|best| format!("{} {}", format::metric(&best.metric), value(&best.metric, best.value)));
    Words {
        model: record.plan.model.clone(),
        best: best.unwrap_or_default(),
        epochs: format!("{}/{}", record.last_epoch(), record.plan.epochs),
        state,
        icon,
        color,
        date: record.changed.map_or(String::new(), folders::date),
    }
}

fn ended(ending: Ending) -> &'static str {
    match ending {
        Ending::Completed => "finished",
        Ending::EarlyStop => "stopped early",
        Ending::Finished => "finished by hand",
        Ending::Cancelled => "cancelled",
    }
}

/// A metric's value: losses as numbers, everything else as a share.
pub fn value(metric: &str, value: f64) -> String {
    if metric.ends_with("loss") { format::number(value) } else { format::percent(value) }
}

/// Draws the list, at most `height` points high.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut EvaluateState, shown: Option<&Path>, height: f32) {
    let theme = cx.theme;
    let runs = known(cx, state);
    state.checked.retain(|run| runs.contains(run));
    ui.horizontal(|ui| {
        kit::caps(ui, theme, "Runs");
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let text = if state.checked.is_empty() {
                "Compare".to_owned()
            } else {
                format!("Compare {}", state.checked.len())
            };
            let chip = kit::chip(ui, theme, state.compare, &text);
            if chip.on_hover_text("Curves of the checked runs in one plot, and the settings that differ").clicked() {
                state.compare = !state.compare;
            }
        });
    });
    if runs.is_empty() {
        kit::weak(
            ui,
            theme,
            "Runs of this project come here, with their best result. Drop a run's folder on the window to go on with it.",
        );
        return;
    }
    ui.spacing_mut().item_spacing.y = 2.0;
    let scroll = egui::ScrollArea::vertical().id_salt("runs").max_height(height - 24.0).auto_shrink([false, true]);
    scroll.show_rows(ui, ROW, runs.len(), |ui, rows| {
        for run in runs.get(rows).unwrap_or_default() {
            row(ui, cx, state, run, shown == Some(run.as_path()) && !state.compare);
        }
    });
}

fn row(ui: &mut Ui, cx: &mut Context<'_>, state: &mut EvaluateState, run: &Path, on: bool) {
    let theme = cx.theme;
    let answer: Option<RunAnswer> = state.shelf.as_ref().and_then(|shelf| shelf.run(run));
    let words = match (words_at_hand(cx, run), &answer) {
        (Some(words), _) => Ok(words),
        (None, Some(Ok(record))) => Ok(self::words(theme, record)),
        (None, Some(Err(problem))) => Err(problem.as_str()),
        (None, None) => Err(""),
    };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width() - 6.0, ROW), Sense::click());
    let title = name(run);
    let spoken = match &words {
        Ok(words) => {
            format!("{title}: {}, {}, {} epochs, {}", words.model, words.best, words.epochs, words.state)
        }
        Err("") => format!("{title}: being read"),
        Err(problem) => format!("{title}: {problem}"),
    };
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &spoken));
    if on || response.contains_pointer() {
        ui.painter().rect_filled(rect, kit::RADIUS, theme.raised);
    }
    if on {
        ui.painter().rect_stroke(rect, kit::RADIUS, Stroke::new(1.0, theme.accent), StrokeKind::Inside);
    }
    kit::focus_ring(ui, theme, &response);
    check(ui, theme, state, run, pos2(rect.left() + 13.0, rect.top() + 13.0));
    menu(
        ui,
        cx,
        state,
        run,
        words.is_ok(),
        Rect::from_center_size(rect.right_top() + vec2(-14.0, 13.0), vec2(22.0, 20.0)),
    );
    let left = rect.left() + 26.0;
    let text = |at: egui::Pos2, anchor: Align2, text: &str, size: f32, color: Color32, width: f32| {
        kit::text_at(ui.painter(), at, anchor, text, size, color, width);
    };
    let (first, second, third) = (rect.top() + 13.0, rect.top() + 30.0, rect.top() + 45.0);
    text(pos2(left, first), Align2::LEFT_CENTER, &title, 12.0, theme.text, rect.right() - 28.0 - left);
    match &words {
        Ok(words) => {
            words.icon.paint(ui.painter(), pos2(rect.left() + 13.0, second), 4.5, words.color);
            let right = |y: f32, line: &str| {
                text(pos2(rect.right() - 6.0, y), Align2::RIGHT_CENTER, line, 11.0, theme.weak, 90.0);
            };
            right(second, words.date.get(..10).unwrap_or_default());
            text(pos2(left, second), Align2::LEFT_CENTER, &words.model, 11.0, theme.text, rect.width() - 104.0);
            let line = if words.best.is_empty() { words.state } else { &words.best };
            right(third, &format!("{} ep.", words.epochs));
            text(pos2(left, third), Align2::LEFT_CENTER, line, 11.0, theme.weak, rect.width() - 94.0);
        }
        Err(problem) => {
            let (line, color) = if problem.is_empty() { ("reading…", theme.weak) } else { (*problem, theme.bad) };
            text(pos2(left, second), Align2::LEFT_CENTER, line, 11.0, color, rect.width() - 32.0);
        }
    }
    if response.clicked() {
        state.chosen = Chosen::Run(run.to_path_buf());
        state.epoch = None;
        state.pick = Pick::Worst;
        state.compare = false;
    }
    let hover = match &words {
        Ok(words) => [
            run.display().to_string(),
            words.model.clone(),
            words.best.clone(),
            format!("{} epochs, {}", words.epochs, words.state),
            words.date.clone(),
        ]
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n"),
        Err(problem) => format!("{}\n{problem}", run.display()),
    };
    response.on_hover_text(hover);
}

/// The box that takes a run into the comparison.
fn check(ui: &mut Ui, theme: &Theme, state: &mut EvaluateState, run: &Path, at: egui::Pos2) {
    let rect = Rect::from_center_size(at, vec2(13.0, 13.0));
    let response = ui.interact(rect.expand(4.0), ui.scope_id().with(("check", run)), Sense::click());
    let on = state.checked.iter().any(|known| known == run);
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, on, format!("Compare {}", name(run))));
    let line = if on || response.hovered() { theme.accent } else { theme.weak };
    let fill = if on { theme.accent } else { theme.panel };
    ui.painter().rect(rect, 3, fill, Stroke::new(1.2, line), StrokeKind::Inside);
    if on {
        Icon::Tick.paint(ui.painter(), rect.center(), 5.0, theme.on_accent());
    }
    kit::focus_ring(ui, theme, &response);
    if response.clicked() {
        if on {
            state.checked.retain(|known| known != run);
        } else {
            state.checked.push(run.to_path_buf());
        }
        state.compare = state.checked.len() > 1 || (state.compare && !state.checked.is_empty());
    }
    response.on_hover_text("Compare with other runs");
}

/// What can be done with a run.
fn menu(ui: &mut Ui, cx: &mut Context<'_>, state: &mut EvaluateState, run: &Path, readable: bool, rect: Rect) {
    let at_hand = cx.view.run.as_ref().is_some_and(|view| view.info.folder == run);
    let training = cx.view.is_training();
    let mut child = ui.new_child(egui::UiBuilder::new().max_rect(rect).id_salt(("menu", run)));
    let button = egui::Button::new(RichText::new("…").size(14.0).color(cx.theme.weak)).frame(false);
    let shown = egui::containers::menu::MenuButton::from_button(button).ui(&mut child, |ui| {
        let title = name(run);
        let best = run.join("best.safetensors");
        let item = |ui: &mut Ui, on: bool, text: &str, hint: &str| {
            ui.add_enabled(on, egui::Button::new(text)).on_hover_text(hint).on_disabled_hover_text(hint).clicked()
        };
        let rests = readable && !training;
        if item(ui, rests, "Resume", "Go on from its last checkpoint") {
            cx.push(Action::Send(Command::ResumeRun { run: run.to_path_buf(), epochs: None }));
            cx.push(Action::Show(Page::Train));
        }
        if item(ui, readable, "Predict with it", "Its best weights answer on the Predict page") {
            cx.push(Action::PredictWith(run.to_path_buf()));
        }
        if item(ui, rests, "Evaluate", "Measure its best weights on its validation pictures again") {
            let which = Which::Only(Split::Val);
            cx.push(Action::Send(Command::Evaluate { from: run.to_path_buf(), data: None, which }));
        }
        if item(ui, readable, "Use as start weights", "The next run starts from its best weights") {
            cx.edit(&format!("Start from {title}"), |plan| plan.weights = WeightsSource::File(best));
            cx.push(Action::Say(format!("The next run starts from the best weights of {title}.")));
        }
        ui.separator();
        if item(ui, true, "Copy path", &run.display().to_string()) {
            cx.push(Action::Copy(run.display().to_string()));
        }
        let hint = "Only the list forgets it: its folder and files stay where they are";
        if item(ui, !(at_hand && training), "Remove from the list", hint) {
            cx.push(Action::ForgetRun(run.to_path_buf()));
            state.checked.retain(|known| known != run);
            if state.chosen == Chosen::Run(run.to_path_buf()) {
                state.chosen = Chosen::Current;
            }
        }
    });
    shown.0.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Actions for {}", name(run))));
}
