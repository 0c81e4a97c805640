//! The dock under the graph: what the run says over epochs on the left, live samples on the right.

mod charts;
mod finder;
mod losses;
mod plot;
mod timeline;

use super::confusion::{self, Matrix};
use super::console::{self, ConsoleState};
use super::kit;
use super::live::{self, LiveState};
use super::textures::Textures;
use crate::train::LrSweep;
use crate::ui::{Action, Context};
use egui::{CursorIcon, Rect, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2};

pub use losses::{LossesState, csv};
pub use timeline::{Lane, LaneState, TimelineState, lanes};

/// The tabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Losses with the freeze timeline.
    #[default]
    Losses,
    /// Metrics of the validation pictures.
    Metrics,
    /// The learning rate.
    LearningRate,
    /// The sweep of the learning rate.
    Finder,
    /// The confusion matrix.
    Confusion,
    /// Notes, warnings, errors.
    Console,
    /// Live samples, where there is no room beside the other tabs.
    Live,
}

impl Tab {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Losses, "Losses"),
        (Self::Metrics, "Metrics"),
        (Self::LearningRate, "Learning rate"),
        (Self::Finder, "LR finder"),
        (Self::Confusion, "Confusion"),
        (Self::Console, "Console"),
        (Self::Live, "Live samples"),
    ];
}

/// What the dock remembers.
#[derive(Debug)]
pub struct DockState {
    /// The tab that is open.
    pub tab: Tab,
    /// Share of the width that the tabs take beside the live samples.
    pub split: f32,
    /// The losses.
    pub losses: LossesState,
    /// Whether the learning rate is drawn by powers of ten.
    pub log_rate: bool,
    /// What the next sweep of the learning rate goes through.
    pub sweep: LrSweep,
    /// The console.
    pub console: ConsoleState,
    /// The live samples.
    pub live: LiveState,
}

impl Default for DockState {
    fn default() -> Self {
        Self {
            tab: Tab::default(),
            split: 0.5,
            losses: LossesState::default(),
            log_rate: false,
            sweep: LrSweep::default(),
            console: ConsoleState::default(),
            live: LiveState::default(),
        }
    }
}

/// Below this width, in points, the live samples are one of the tabs.
const NARROW: f32 = 880.0;
/// Height of the row of the tabs, in points.
const HEAD: f32 = 30.0;

/// Draws the dock over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut DockState, textures: &mut Textures) {
    let whole = ui.available_rect_before_wrap();
    let rect = whole.shrink2(egui::vec2(12.0, 4.0));
    if rect.width() < NARROW {
        tabs(ui, cx, state, textures, rect, true);
    } else {
        if state.tab == Tab::Live {
            state.tab = Tab::Losses;
        }
        let x = rect.left() + rect.width() * state.split;
        handle(ui, cx, state, Rect::from_x_y_ranges(x - 4.0..=x + 4.0, rect.y_range()), rect);
        tabs(ui, cx, state, textures, rect.with_max_x(x - 8.0), false);
        let right = rect.with_min_x(x + 12.0);
        let (head, body) = right.split_top_bottom_at_y(right.top() + HEAD);
        row(ui, head, |ui| live::header(ui, cx, &mut state.live, true));
        area(ui, body.with_min_y(body.top() + 4.0), "live", |ui| live::ui(ui, cx, &mut state.live, textures));
    }
    ui.advance_cursor_after_rect(whole);
}

fn row(ui: &mut Ui, rect: Rect, add: impl FnOnce(&mut Ui)) {
    let layout = egui::Layout::left_to_right(egui::Align::Center);
    ui.scope_builder(UiBuilder::new().max_rect(rect).layout(layout).id_salt(("dock row", rect.left() as i32)), add);
}

fn area(ui: &mut Ui, rect: Rect, name: &str, add: impl FnOnce(&mut Ui)) {
    ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt(name), |ui| {
        ui.set_clip_rect(rect.expand(3.0).intersect(ui.clip_rect()));
        add(ui);
    });
}

/// The border between the halves; dragged, or moved with the arrow keys.
fn handle(ui: &mut Ui, cx: &Context<'_>, state: &mut DockState, rect: Rect, whole: Rect) {
    let response = ui.interact(rect, ui.scope_id().with("split"), Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Splitter, true, "Width of the charts"));
    let mut moved = response.drag_delta().x;
    if response.has_focus() {
        let keys = |key| ui.input(|input| input.num_presses(key)) as f32;
        moved += 16.0 * (keys(egui::Key::ArrowRight) - keys(egui::Key::ArrowLeft));
    }
    state.split = (state.split + moved / whole.width()).clamp(0.32, 0.72);
    if response.double_clicked() {
        state.split = 0.5;
    }
    let active = response.hovered() || response.dragged() || response.has_focus();
    let color = if active { cx.theme.accent } else { cx.theme.border };
    ui.painter().vline(rect.center().x, rect.y_range(), egui::Stroke::new(1.0, color));
    response.on_hover_and_drag_cursor(CursorIcon::ResizeHorizontal);
}

fn tabs(ui: &mut Ui, cx: &mut Context<'_>, state: &mut DockState, textures: &mut Textures, rect: Rect, narrow: bool) {
    let (head, body) = rect.split_top_bottom_at_y(rect.top() + HEAD);
    row(ui, head, |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (tab, name) in Tab::ALL {
            if (tab != Tab::Live || narrow) && kit::tab(ui, cx.theme, state.tab == tab, name).clicked() {
                state.tab = tab;
            }
        }
        ui.spacing_mut().item_spacing.x = 8.0;
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            controls(ui, cx, state);
        });
    });
    let body = body.with_min_y(body.top() + 4.0);
    area(ui, body, "dock body", |ui| match state.tab {
        Tab::Losses => losses::ui(ui, cx, &mut state.losses, state.live.epoch),
        Tab::Metrics => charts::metrics(ui, cx, state.live.epoch),
        Tab::LearningRate => charts::learning_rate(ui, cx, state.log_rate, state.live.epoch),
        Tab::Finder => finder::ui(ui, cx, &mut state.sweep),
        Tab::Confusion => confusion_tab(ui, cx, state, textures),
        Tab::Console => console::ui(ui, cx, &mut state.console),
        Tab::Live => {
            ui.horizontal(|ui| live::header(ui, cx, &mut state.live, false));
            live::ui(ui, cx, &mut state.live, textures);
        }
    });
}

fn controls(ui: &mut Ui, cx: &mut Context<'_>, state: &mut DockState) {
    match state.tab {
        Tab::Losses => losses::controls(ui, cx, &mut state.losses),
        Tab::Metrics => {
            if let Some(run) = &cx.view.run
                && kit::link_button(ui, cx.theme, "Copy CSV").clicked()
            {
                cx.push(Action::Copy(csv(run)));
                cx.push(Action::Say("Curves copied".to_owned()));
            }
        }
        Tab::LearningRate => {
            if kit::chip(ui, cx.theme, state.log_rate, "Log").clicked() {
                state.log_rate = !state.log_rate;
            }
        }
        Tab::Console => console::controls(ui, cx),
        Tab::Finder => finder::controls(ui, cx),
        Tab::Confusion | Tab::Live => {}
    }
}

/// The matrix of the epoch looked at, and the most frequent mistakes beside it.
fn confusion_tab(ui: &mut Ui, cx: &mut Context<'_>, state: &mut DockState, textures: &mut Textures) {
    let (view, theme) = (cx.view, cx.theme);
    let counted = view.run.as_ref().and_then(|run| {
        let until = state.live.epoch.unwrap_or(u32::MAX);
        let epochs = run.epochs.iter().rev().filter(|news| news.epoch <= until);
        epochs.map(|news| (run, news)).find(|(_, news)| !news.confusion.is_empty())
    });
    let Some((run, news)) = counted else {
        let text = "After each epoch: how often each class was called which. A click on a cell shows its pictures. More than \
                    200 classes are on the Evaluate page.";
        kit::empty(ui, theme, "The confusion matrix appears here", text);
        return;
    };
    let rect = ui.available_rect_before_wrap();
    let side = if rect.width() > 520.0 { 210.0 } else { 0.0 };
    let key = format!("confusion {} {}", run.info.folder.display(), news.epoch);
    let matrix = Matrix {
        counts: &news.confusion,
        classes: &run.info.classes,
        chosen: state.live.cell,
        key,
        order: &[],
        shares: false,
    };
    let area = rect.with_max_x(rect.right() - side);
    if let Some(cell) = confusion::ui(ui, theme, textures, &matrix, area) {
        state.live.cell = (state.live.cell != Some(cell)).then_some(cell);
    }
    if side > 0.0 {
        let at = Rect::from_min_max(pos2(rect.right() - side + 12.0, rect.top()), rect.max);
        ui.scope_builder(UiBuilder::new().max_rect(at), |ui| {
            kit::weak(ui, theme, format!("epoch {}", news.epoch));
            if let Some(cell) = confusion::mistakes(ui, theme, &matrix) {
                state.live.cell = Some(cell);
            }
        });
    }
}
