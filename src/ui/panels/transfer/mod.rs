//! Under the graph of the Model page: how a checkpoint goes over. Classes of the head on the left, every tensor on the
//! right.

mod classes;
mod tensors;

use super::kit;
use crate::ui::icons::Icon;
use crate::ui::{Context, widgets};
use crate::weights::LoadReport;
use egui::{Rect, RichText, Ui, UiBuilder, vec2};
use std::collections::BTreeSet;

pub use tensors::Group;

/// What the panel remembers.
#[derive(Debug)]
pub struct TransferState {
    /// Whether only its title is shown.
    pub folded: bool,
    /// Which of several heads is shown, by place in the report.
    pub head: usize,
    /// What classes are searched for.
    pub search: String,
    /// What is searched for among the file's classes, while one is chosen.
    pick: String,
    /// Groups of tensors whose rows are shown.
    pub open: BTreeSet<Group>,
}

impl Default for TransferState {
    fn default() -> Self {
        let open = BTreeSet::from([Group::InPart, Group::Remade, Group::Missing]);
        Self { folded: false, head: 0, search: String::new(), pick: String::new(), open }
    }
}

/// Height of the title, in points; all that is left when the panel is folded.
pub const TITLE: f32 = 30.0;
/// Below this width, in points, the two halves share the room as one column each with shorter words.
const NARROW: f32 = 760.0;

/// Draws the panel over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut TransferState, report: &LoadReport) {
    let whole = ui.available_rect_before_wrap();
    let rect = whole.shrink2(vec2(12.0, 2.0));
    let (head, body) = rect.split_top_bottom_at_y(rect.top() + TITLE - 4.0);
    title(ui, cx, state, report, head);
    if !state.folded && body.height() > 40.0 {
        if report.heads.is_empty() {
            area(ui, body, "tensors", |ui| tensors::ui(ui, cx, state, report));
        } else {
            let share = if rect.width() < NARROW { 0.5 } else { 0.54 };
            let x = body.left() + body.width() * share;
            area(ui, body.with_max_x(x - 10.0), "classes", |ui| classes::ui(ui, cx, state, report));
            ui.painter().vline(x, body.y_range().shrink(2.0), egui::Stroke::new(1.0, cx.theme.border));
            area(ui, body.with_min_x(x + 10.0), "tensors", |ui| tensors::ui(ui, cx, state, report));
        }
    }
    ui.advance_cursor_after_rect(whole);
}

/// From which file, in sum, and what to look at.
fn title(ui: &mut Ui, cx: &Context<'_>, state: &mut TransferState, report: &LoadReport, rect: Rect) {
    let theme = cx.theme;
    let layout = egui::Layout::left_to_right(egui::Align::Center);
    ui.scope_builder(UiBuilder::new().max_rect(rect).layout(layout).id_salt("transfer title"), |ui| {
        let (icon, name) = if state.folded {
            (Icon::Right, "Show how the weights go over")
        } else {
            (Icon::Down, "Fold how the weights go over")
        };
        if widgets::icon_button(ui, theme, icon, name).clicked() {
            state.folded = !state.folded;
        }
        ui.label(RichText::new("Weights → network").size(12.5).color(theme.text).strong());
        ui.label(RichText::new(format!("{} · {}", file_words(report), report.summary())).size(12.0).color(theme.weak));
        if let Some(concern) = report.warning() {
            let text = egui::Label::new(RichText::new(format!("▲ {concern}")).size(12.0).color(theme.bad)).truncate();
            ui.add(text).on_hover_text(concern);
        }
    });
}

/// `resnet18.pth`, or of a run's folder `run-3/best.safetensors`.
fn file_words(report: &LoadReport) -> String {
    let name = |path: Option<&std::path::Path>| {
        path.and_then(std::path::Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    };
    let file = name(Some(&report.file));
    if matches!(file.as_str(), "best.safetensors" | "last.safetensors") {
        return format!("{}/{file}", name(report.file.parent()));
    }
    file
}

fn area(ui: &mut Ui, rect: Rect, name: &str, add: impl FnOnce(&mut Ui)) {
    ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt(name), |ui| {
        ui.set_clip_rect(rect.expand(3.0).intersect(ui.clip_rect()));
        ui.spacing_mut().item_spacing.y = 2.0;
        add(ui);
    });
}

/// A small sign before a row, in its color.
fn sign(ui: &Ui, at: egui::Pos2, text: &str, color: egui::Color32) {
    kit::text_at(ui.painter(), at, egui::Align2::CENTER_CENTER, text, 12.0, color, 20.0);
}
