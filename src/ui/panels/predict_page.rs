//! The predict page: pictures that a person gave, and what each head says of them.

use super::boxes::{self, BoxView, Layer};
use super::live::Show;
use super::masks::{self, MaskView, Over};
use super::prompt::{self, PromptState};
use super::textures::{Textures, Thumb};
use super::{format, kit, samples};
use crate::graph::HeadKind;
use crate::session::Phase;
use crate::train::segmentation::Mask;
use crate::train::{Answer, BoxScore, ClassScore, HeadPrediction, Prediction};
use crate::ui::{Action, Context, Theme};
use egui::{
    Align2, Color32, CornerRadius, Panel, Rect, RichText, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a folder of saved boxes holds.
const SAVE: &str = "Of all these pictures, into a folder: pictures with the boxes drawn, YOLO text, COCO results, and a COCO data \
                    set to correct and train on. The boxes are those that the sliders leave.";

/// The same of masks.
const SAVE_MASKS: &str = "Of all these pictures, into a folder: the class ids as PNG files with a palette, and pictures with the classes \
                          laid over them. The threshold is the one chosen here.";
/// Where the large picture's mask is drawn.
const PLACE: u64 = 0;

/// What the page remembers.
#[derive(Debug, Default)]
pub struct PredictState {
    /// The picture that is shown, by index in the answers.
    pub chosen: usize,
    /// A run folder or checkpoint to ask instead of the current weights: what `AskPictures` and dropped pictures use.
    pub from: Option<PathBuf>,
    /// Prompting, where the model takes prompts.
    pub prompt: PromptState,
    /// Which boxes of a detector are shown.
    pub boxes: BoxView,
    /// How masks are shown.
    pub masks: MaskView,
}

/// Draws the page over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut PredictState, textures: &mut Textures) {
    let (view, theme) = (cx.view, cx.theme);
    if prompt::is_offered(cx.graph) {
        return prompt::ui(ui, cx, &mut state.prompt, textures);
    }
    let predictions = view.predictions.as_ref().map(|all| all.as_slice()).unwrap_or_default();
    if predictions.is_empty() {
        empty(ui, cx, state);
        return;
    }
    state.chosen = state.chosen.min(predictions.len() - 1);
    step_by_keys(ui, state, predictions.len());
    let list = Panel::left("predict list").frame(kit::side(theme)).default_size(250.0).size_range(180.0..=420.0);
    list.show(ui, |ui| {
        if kit::primary_button(ui, theme, "Predict on pictures…").clicked() {
            cx.push(Action::AskPictures);
        }
        weights(ui, cx, state);
        ui.add_space(8.0);
        let failed = predictions.iter().filter(|prediction| prediction.error.is_some()).count();
        let text = if failed == 0 { String::new() } else { format!(" · {} unreadable", format::count(failed)) };
        kit::caps(ui, theme, &format!("{}{text}", crate::format::plural(predictions.len(), "picture")));
        ui.spacing_mut().item_spacing.y = 3.0;
        let scroll = egui::ScrollArea::vertical().id_salt("predicted").auto_shrink(false);
        scroll.show_rows(ui, 44.0, predictions.len(), |ui, rows| {
            for index in rows {
                if let Some(prediction) = predictions.get(index) {
                    list_row(ui, cx, state, textures, index, prediction);
                }
            }
        });
    });
    let Some(prediction) = predictions.get(state.chosen) else { return };
    let scores = Panel::right("predict scores").frame(kit::side(theme)).default_size(300.0).size_range(220.0..=480.0);
    scores.show(ui, |ui| answers(ui, cx, state, prediction));
    picture(ui, cx, state, textures, prediction);
}

fn step_by_keys(ui: &Ui, state: &mut PredictState, len: usize) {
    if !kit::keys_are_free(ui) || ui.memory(|memory| memory.focused().is_some()) {
        return;
    }
    let pressed = |key| ui.input(|input| input.num_presses(key));
    let down = pressed(egui::Key::ArrowDown) + pressed(egui::Key::ArrowRight);
    let up = pressed(egui::Key::ArrowUp) + pressed(egui::Key::ArrowLeft);
    state.chosen = (state.chosen + down).min(len.saturating_sub(1)).saturating_sub(up);
}

/// Whose weights answer, and the choice of others.
fn weights(ui: &mut Ui, cx: &Context<'_>, state: &mut PredictState) {
    let theme = cx.theme;
    let name = |path: &PathBuf| format::file_name(&path.display().to_string()).to_owned();
    let current = match &cx.view.run {
        Some(run) if matches!(run.phase, Phase::Running | Phase::Paused) => {
            format!("current weights, epoch {:.1}", run.position())
        }
        Some(run) => format!("best weights of {}", name(&run.info.folder)),
        None => "current weights".to_owned(),
    };
    kit::weak(ui, theme, "answered by");
    let shown = state.from.as_ref().map_or_else(|| current.clone(), name);
    let combo =
        egui::ComboBox::from_id_salt("weights").selected_text(shown).width(ui.available_width() - 8.0).truncate();
    let shown = combo.show_ui(ui, |ui| {
        ui.selectable_value(&mut state.from, None, current);
        for run in cx.project.runs.iter().rev() {
            ui.selectable_value(&mut state.from, Some(run.clone()), name(run)).on_hover_text(run.display().to_string());
        }
    });
    shown.response.accessible_name("Weights that answer");
}

fn list_row(
    ui: &mut Ui,
    cx: &Context<'_>,
    state: &mut PredictState,
    textures: &mut Textures,
    index: usize,
    prediction: &Prediction,
) {
    let theme = cx.theme;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), Sense::click());
    let name = format::file_name(&prediction.image);
    let (line, color) = match (&prediction.error, prediction.top()) {
        (Some(error), _) => (format!("✗ {error}"), theme.bad),
        (None, Some(top)) => (format!("{} {:.1} %", top.name, top.score * 100.0), theme.text),
        (None, None) => (head_words(prediction), theme.text),
    };
    let on = state.chosen == index;
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, format!("{name}: {line}")));
    if response.clicked() {
        state.chosen = index;
    }
    if on || response.hovered() {
        ui.painter().rect_filled(rect, kit::RADIUS, theme.raised);
    }
    if on {
        ui.painter().rect_stroke(rect, kit::RADIUS, Stroke::new(1.0, theme.accent), StrokeKind::Inside);
    }
    kit::focus_ring(ui, theme, &response);
    let picture = Rect::from_min_size(rect.min + vec2(3.0, 3.0), vec2(50.0, 38.0));
    let source = samples::file_source(&prediction.image);
    samples::paint_cover(ui.painter(), cx, textures, source.as_ref(), picture, CornerRadius::same(3));
    let left = picture.right() + 9.0;
    let width = rect.right() - left - 6.0;
    kit::text_at(ui.painter(), pos2(left, rect.center().y - 8.0), Align2::LEFT_CENTER, &line, 12.5, color, width);
    kit::text_at(ui.painter(), pos2(left, rect.center().y + 8.0), Align2::LEFT_CENTER, name, 11.0, theme.weak, width);
    response.on_hover_text(format!("{}\n{line}", prediction.image));
}

fn head_words(prediction: &Prediction) -> String {
    if let Some(boxes) = boxes::of(prediction) {
        return crate::format::plural(boxes.chosen(boxes.own).len(), "object");
    }
    if let Some(mask) = masks::of(prediction) {
        return masks::shown(mask);
    }
    prediction.heads.iter().map(|head| head.head.as_str()).collect::<Vec<_>>().join(", ")
}

fn picture(ui: &mut Ui, cx: &Context<'_>, state: &mut PredictState, textures: &mut Textures, prediction: &Prediction) {
    let theme = cx.theme;
    let area = ui.available_rect_before_wrap().shrink(18.0);
    let response = ui.allocate_rect(area, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &prediction.image));
    let painter = ui.painter_at(area.expand(2.0));
    if let Some(error) = &prediction.error {
        let galley = kit::elided_rows(&painter, &format!("✗ {error}"), 14.0, theme.bad, area.width() * 0.8, 4);
        painter.galley(area.center() - galley.size() / 2.0, galley, theme.bad);
        return;
    }
    let [width, height] = prediction.size_px;
    let rect = kit::fit(area, vec2(width.max(1) as f32, height.max(1) as f32));
    let px = samples::decode_px(rect.size().max_elem(), ui.pixels_per_point());
    let source = samples::file_source(&prediction.image);
    match source.map(|source| textures.thumbnail(ui.ctx(), cx.thumbs, &source, px)) {
        Some(Thumb::Ready(texture)) => {
            let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(texture.id(), rect, uv, Color32::WHITE);
            if let Some(said) = masks::of(prediction) {
                let over = Over { show: Show::Prediction, truth: None, said: Some(said), place: PLACE };
                state.masks.paint(&painter, theme, over, rect);
            }
            if let Some(boxes) = boxes::of(prediction) {
                let (found, classes) = (state.boxes.chosen(boxes), boxes.classes.as_slice());
                let size_px = prediction.size_px;
                let layer = Layer { show: Show::Prediction, truth: None, found: &found, classes, size_px, named: true };
                layer.paint(&painter, theme, rect);
            }
        }
        Some(Thumb::Waiting) => {
            painter.rect_filled(rect, kit::RADIUS, theme.raised);
            kit::text_at(&painter, rect.center(), Align2::CENTER_CENTER, "decoding…", 13.0, theme.weak, 200.0);
        }
        Some(Thumb::Broken(reason)) => {
            kit::text_at(&painter, area.center(), Align2::CENTER_CENTER, &reason, 13.0, theme.bad, area.width());
        }
        None => {
            painter.rect_filled(rect, kit::RADIUS, theme.raised);
            kit::text_at(&painter, rect.center(), Align2::CENTER_CENTER, &prediction.image, 13.0, theme.weak, 300.0);
        }
    }
    painter.rect_stroke(rect, 2, Stroke::new(1.0, theme.border), StrokeKind::Outside);
    if let Some(top) = prediction.top() {
        let text = format!("{}  {:.1} %", top.name, top.score * 100.0);
        kit::plate(
            &painter,
            theme,
            rect.left_top() + vec2(8.0, 8.0),
            Align2::LEFT_TOP,
            &text,
            theme.text,
            rect.width(),
        );
    }
}

/// What each head says, whatever kind it is.
fn answers(ui: &mut Ui, cx: &mut Context<'_>, state: &mut PredictState, prediction: &Prediction) {
    let theme = cx.theme;
    let [width, height] = prediction.size_px;
    kit::title(ui, theme, format::file_name(&prediction.image));
    if prediction.error.is_none() {
        kit::weak(ui, theme, format!("{width} × {height} pixels"));
    }
    ui.horizontal(|ui| {
        if kit::link_button(ui, theme, "Copy path").clicked() {
            cx.push(Action::Copy(prediction.image.clone()));
        }
        let detected = boxes::of(prediction).is_some();
        if detected && kit::link_button(ui, theme, "Save boxes…").on_hover_text(SAVE).clicked() {
            cx.push(Action::AskSaveBoxes(state.boxes.choice));
        }
        let masked = masks::of(prediction).is_some();
        if masked && kit::link_button(ui, theme, "Save masks…").on_hover_text(SAVE_MASKS).clicked() {
            cx.push(Action::AskSaveMasks(state.masks.least));
        }
        if !prediction.heads.is_empty() && !detected && !masked && kit::link_button(ui, theme, "Copy scores").clicked()
        {
            cx.push(Action::Copy(csv(prediction)));
            cx.push(Action::Say("Scores copied".to_owned()));
        }
    });
    if let Some(error) = &prediction.error {
        ui.add_space(8.0);
        ui.label(RichText::new(format!("✗ {error}")).size(12.5).color(theme.bad));
    }
    for head in &prediction.heads {
        ui.add_space(10.0);
        let kind = match head.kind {
            HeadKind::Classify { classes } => format!("{} · one of {classes} classes", head.head),
            HeadKind::MultiLabel { classes } => format!("{} · any of {classes} labels", head.head),
            HeadKind::PixelClassify { classes } => format!("{} · one of {classes} classes for each pixel", head.head),
            HeadKind::Detect { classes, .. } => format!("{} · boxes of {classes} classes", head.head),
            HeadKind::Prompted { candidates, .. } => format!("{} · {candidates} masks for a prompt", head.head),
        };
        kit::caps(ui, theme, &kind);
        ui.add_space(2.0);
        match &head.answer {
            Answer::Classes(scores) => bars(ui, theme, head, scores),
            Answer::Boxes(boxes) => {
                ui.horizontal_wrapped(|ui| state.boxes.sliders(ui, theme, boxes.own));
                ui.add_space(6.0);
                objects(ui, theme, &state.boxes.chosen(boxes));
            }
            Answer::Mask(mask) => {
                ui.horizontal_wrapped(|ui| state.masks.tools(ui, theme, Some(mask), &mask.classes));
                ui.add_space(6.0);
                shares(ui, theme, mask, state.masks.counts(PLACE).unwrap_or(&mask.counts()));
            }
        }
    }
}

fn bars(ui: &mut Ui, theme: &Theme, head: &HeadPrediction, scores: &[ClassScore]) {
    const ROW: f32 = 24.0;
    let scroll = egui::ScrollArea::vertical().id_salt(("scores", &head.head)).max_height(ROW * 14.0);
    ui.spacing_mut().item_spacing.y = 0.0;
    scroll.show_rows(ui, ROW, scores.len(), |ui, rows| {
        for index in rows {
            let Some(score) = scores.get(index) else { continue };
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width() - 4.0, ROW), Sense::hover());
            let words = format!("{} {:.1} %", score.name, score.score * 100.0);
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &words));
            let best = index < head.decided().len();
            let line = Rect::from_min_max(rect.min, rect.max - vec2(0.0, 3.0));
            let fill = if best { theme.accent } else { theme.weak };
            kit::bar(ui.painter(), line, score.score, fill.gamma_multiply(0.35), theme.raised);
            let color = if best { theme.text } else { theme.weak };
            let left = line.left_center() + vec2(8.0, 0.0);
            kit::text_at(ui.painter(), left, Align2::LEFT_CENTER, &score.name, 12.5, color, line.width() - 70.0);
            let text = format!("{:.1} %", score.score * 100.0);
            kit::text_at(
                ui.painter(),
                line.right_center() - vec2(8.0, 0.0),
                Align2::RIGHT_CENTER,
                &text,
                12.5,
                color,
                60.0,
            );
        }
    });
}

/// How much of the picture each class of a mask covers.
fn shares(ui: &mut Ui, theme: &Theme, mask: &Mask, counts: &BTreeMap<u8, u64>) {
    let all: u64 = counts.values().sum();
    for (&id, &count) in counts {
        let share = count as f32 / all.max(1) as f32;
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 18.0), Sense::hover());
        let color = if id == 0 { theme.weak } else { masks::color(id) };
        kit::bar(ui.painter(), rect.shrink2(vec2(0.0, 2.0)), share, color.gamma_multiply(0.4), theme.raised);
        let text = format!("{} · {:.1} %", mask.name(id), share * 100.0);
        kit::text_at(
            ui.painter(),
            rect.left_center() + vec2(6.0, 0.0),
            Align2::LEFT_CENTER,
            &text,
            11.5,
            theme.text,
            rect.width(),
        );
    }
}

fn objects(ui: &mut Ui, theme: &Theme, found: &[BoxScore]) {
    if found.is_empty() {
        kit::weak(ui, theme, "No object that the model is sure of.");
    }
    egui::ScrollArea::vertical().id_salt("objects").max_height(360.0).show(ui, |ui| {
        for one in found {
            let [left, top, right, bottom] = one.xyxy.map(f32::round);
            let row = kit::key_value(ui, theme, &one.name, &format!("{:.1} %", one.score * 100.0));
            row.on_hover_text(format!("{left}, {top} to {right}, {bottom} px"));
        }
    });
}

fn csv(prediction: &Prediction) -> String {
    let mut out = "head,class,score\n".to_owned();
    for head in &prediction.heads {
        if let Answer::Classes(scores) = &head.answer {
            for score in scores {
                let (head, name) = (format::csv_field(&head.head), format::csv_field(&score.name));
                out.push_str(&format!("{head},{name},{}\n", score.score));
            }
        }
    }
    out
}

fn empty(ui: &mut Ui, cx: &mut Context<'_>, state: &mut PredictState) {
    let theme = cx.theme;
    let rect = ui.available_rect_before_wrap();
    let area =
        Rect::from_center_size(rect.center(), vec2(460.0_f32.min(rect.width() - 24.0), 250.0_f32.min(rect.height())));
    let corners = [area.left_top(), area.right_top(), area.right_bottom(), area.left_bottom(), area.left_top()];
    ui.painter().extend(egui::Shape::dashed_line(&corners, Stroke::new(1.5, theme.border), 7.0, 5.0));
    ui.scope_builder(egui::UiBuilder::new().max_rect(area.shrink(24.0)), |ui| {
        ui.vertical_centered(|ui| {
            ui.add_space(10.0);
            ui.label(RichText::new("Drop pictures here").size(21.0).color(theme.text).strong());
            ui.add_space(4.0);
            kit::weak(ui, theme, "The model says what it sees, with the current weights or those of an earlier run.");
            ui.add_space(14.0);
            if kit::primary_button(ui, theme, "Choose pictures…").clicked() {
                cx.push(Action::AskPictures);
            }
            ui.add_space(12.0);
            if cx.view.run.is_none() && cx.project.runs.is_empty() {
                ui.label(
                    RichText::new("There is no trained model yet: train one first.").size(12.0).color(theme.amber),
                );
            } else {
                weights(ui, cx, state);
            }
        });
    });
}
