//! Finding a node by a part of its name.

use super::state::GraphState;
use super::{Frame, look};
use crate::ui::action::Action;
use crate::ui::context::Context;
use egui::{Key, Rect, TextEdit, Ui, vec2};

impl GraphState {
    /// Shows the field.
    pub fn open_find(&mut self) {
        self.find = Some(String::new());
        self.find_focus = true;
    }
}

/// Whether a search hides this name.
pub fn dims(state: &GraphState, name: &str) -> bool {
    state.find.as_ref().is_some_and(|text| !text.is_empty() && !matches(name, text))
}

fn matches(name: &str, text: &str) -> bool {
    name.to_lowercase().contains(&text.trim().to_lowercase())
}

pub(super) fn ui(ui: &mut Ui, ctx: &mut Context<'_>, state: &mut GraphState, frame: &Frame<'_>) {
    let Some(mut text) = state.find.clone() else { return };
    let corner = frame.canvas.right_top() + vec2(-270.0, 12.0);
    let place = Rect::from_min_size(corner, vec2(256.0, 30.0));
    let hits: Vec<usize> = frame
        .layout
        .boxes
        .iter()
        .enumerate()
        .filter(|(_, placed)| !text.trim().is_empty() && matches(&look::name(ctx.graph, placed), &text))
        .map(|(index, _)| index)
        .collect();
    let (mut closed, mut entered) = (false, false);
    ui.scope_builder(egui::UiBuilder::new().max_rect(place), |ui| {
        egui::Frame::popup(ui.style()).inner_margin(6).show(ui, |ui| {
            ui.horizontal(|ui| {
                let field = TextEdit::singleline(&mut text).hint_text("Find a node").desired_width(170.0);
                let response = ui.add(field);
                if std::mem::take(&mut state.find_focus) {
                    response.request_focus();
                }
                entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
                closed = ui.input(|input| input.key_pressed(Key::Escape));
                ui.weak(if text.is_empty() { String::new() } else { format!("{} found", hits.len()) });
            });
        });
    });
    state.find = (!closed).then_some(text);
    if let (true, Some(placed)) = (entered, hits.first().and_then(|&index| frame.layout.boxes.get(index))) {
        ctx.push(Action::Select(Some(look::name(ctx.graph, placed))));
        state.reveal(frame.canvas, placed.rect);
        state.find = None;
    }
}
