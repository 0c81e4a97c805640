//! Beside the picture: the pictures on the left; masks to choose from, classes, objects and the data set on the right.

use super::canvas::color_of;
use super::{PromptState, kit};
use crate::data::DrawnForm;
use crate::format::plural;
use crate::ui::panels::textures::Textures;
use crate::ui::panels::{format, samples};
use crate::ui::{Action, Context, Page};
use egui::{Align2, CornerRadius, Key, Rect, RichText, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};

const SAVE: &str = "Of all pictures with objects, into a folder that is empty or new (else into a new one inside it): the pictures \
                    are copied. COCO tells objects apart; class masks have one class for each pixel.";

/// What is said before there are pictures.
pub(super) fn empty(ui: &mut Ui, cx: &mut Context<'_>) {
    let theme = cx.theme;
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.36).max(10.0));
        ui.label(RichText::new("Drop pictures here").size(21.0).color(theme.text).strong());
        ui.add_space(4.0);
        let text = format!("Click on something: {} offers masks; accepted ones become a data set.", cx.plan().model);
        kit::weak(ui, theme, text);
        ui.add_space(14.0);
        if kit::primary_button(ui, theme, "Choose pictures…").clicked() {
            cx.push(Action::AskPictures);
        }
        if let Err(missing) = super::weights(cx) {
            ui.add_space(12.0);
            ui.label(RichText::new(missing).size(12.0).color(theme.amber));
            if kit::link_button(ui, theme, "See the weights").clicked() {
                cx.push(Action::Show(Page::Model));
            }
        }
    });
}

/// The list of pictures.
pub(super) fn pictures(ui: &mut Ui, cx: &mut Context<'_>, state: &mut PromptState, textures: &mut Textures) {
    const ROW: f32 = 44.0;
    let theme = cx.theme;
    if kit::primary_button(ui, theme, "Add pictures…").clicked() {
        cx.push(Action::AskPictures);
    }
    ui.add_space(6.0);
    kit::caps(ui, theme, &plural(state.work.len(), "picture"));
    ui.spacing_mut().item_spacing.y = 3.0;
    let scroll = egui::ScrollArea::vertical().id_salt("prompted").auto_shrink(false);
    let mut turn = None;
    scroll.show_rows(ui, ROW, state.work.len(), |ui, rows| {
        for index in rows {
            let Some(work) = state.work.get(index) else { continue };
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
            let path = work.image.display().to_string();
            let name = format::file_name(&path);
            let line = plural(work.objects.len(), "object");
            let on = index == state.at;
            response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, format!("{name}: {line}")));
            if response.clicked() {
                turn = Some(index);
            }
            if on || response.hovered() {
                ui.painter().rect_filled(rect, kit::RADIUS, theme.raised);
            }
            if on {
                ui.painter().rect_stroke(rect, kit::RADIUS, Stroke::new(1.0, theme.accent), StrokeKind::Inside);
            }
            kit::focus_ring(ui, theme, &response);
            let picture = Rect::from_min_size(rect.min + vec2(3.0, 3.0), vec2(50.0, 38.0));
            let source = samples::file_source(&path);
            samples::paint_cover(ui.painter(), cx, textures, source.as_ref(), picture, CornerRadius::same(3));
            let left = picture.right() + 9.0;
            let width = rect.right() - left - 6.0;
            let (above, below) = (pos2(left, rect.center().y - 8.0), pos2(left, rect.center().y + 8.0));
            kit::text_at(ui.painter(), above, Align2::LEFT_CENTER, name, 12.0, theme.text, width);
            kit::text_at(ui.painter(), below, Align2::LEFT_CENTER, &line, 11.0, theme.weak, width);
            response.on_hover_text(path);
        }
    });
    if let Some(index) = turn {
        state.turn_to(index);
    }
}

/// Masks, classes, objects and the data set.
pub(super) fn objects(ui: &mut Ui, cx: &mut Context<'_>, state: &mut PromptState) {
    let theme = cx.theme;
    let Some(work) = state.work.get(state.at) else { return };
    kit::title(ui, theme, format::file_name(&work.image.display().to_string()));
    if let Some([width, height]) = work.size_px {
        kit::weak(ui, theme, format!("{width} × {height} pixels"));
    }
    kit::weak(ui, theme, times(state));
    if state.failed.as_ref().is_some_and(|(change, _)| *change == state.change)
        && let Some(failure) = &cx.view.prompts.failure
    {
        ui.label(RichText::new(format!("✗ {failure}")).size(12.0).color(theme.bad));
    }
    ui.add_space(10.0);
    offered(ui, cx, state);
    ui.add_space(10.0);
    classes(ui, cx, state);
    ui.add_space(10.0);
    accepted(ui, cx, state);
    ui.add_space(10.0);
    save(ui, cx, state);
}

/// What was measured.
fn times(state: &PromptState) -> String {
    let encoder = match state.encode_secs {
        Some(secs) => format!("encoded in {secs:.1} s"),
        None if state.from_disk => "encoded earlier, read from disk".to_owned(),
        None => "not encoded yet".to_owned(),
    };
    match state.click_secs {
        Some(secs) => format!("{encoder} · last click {:.0} ms", secs * 1e3),
        None => encoder,
    }
}

fn offered(ui: &mut Ui, cx: &Context<'_>, state: &mut PromptState) {
    let theme = cx.theme;
    kit::caps(ui, theme, "masks offered");
    let offers: Vec<(f32, bool)> = state.answered().map_or_else(Vec::new, |answered| {
        answered.candidates.iter().map(|candidate| (candidate.iou, candidate.xyxy.is_some())).collect()
    });
    if offers.is_empty() {
        nothing_offered(ui, cx, state);
        return;
    }
    ui.horizontal_wrapped(|ui| {
        for (index, (iou, there)) in offers.iter().enumerate() {
            let worth = if *there { format!("IoU {iou:.2}") } else { "empty".to_owned() };
            let chip = kit::chip(ui, theme, state.chosen == index, &format!("{} · {worth}", index + 1));
            let help = format!("Key {}. How much it overlaps what you mean, as the model thinks.", index + 1);
            if chip.on_hover_text(help).clicked() {
                state.chosen = index;
            }
        }
    });
    ui.add_space(4.0);
    let there = offers.get(state.chosen).is_some_and(|offer| offer.1);
    let class = state.classes.get(state.class).cloned().unwrap_or_default();
    ui.add_enabled_ui(there, |ui| {
        if kit::primary_button(ui, theme, &format!("Accept as {class} (Enter)")).clicked() {
            state.accept();
        }
    });
}

/// Before there are masks to choose from: a hint, and the search for everything.
fn nothing_offered(ui: &mut Ui, cx: &Context<'_>, state: &mut PromptState) {
    let theme = cx.theme;
    if !state.marks.is_empty() {
        kit::weak(ui, theme, "…");
        return;
    }
    if state.everything.is_some() {
        kit::weak(ui, theme, "Looking at every point …");
        return;
    }
    match state.found {
        Some(count) => kit::weak(ui, theme, format!("{} found and accepted.", plural(count, "object"))),
        None => kit::weak(ui, theme, "Click on something, or find all:"),
    };
    let (here, training) = (state.work.get(state.at).is_some_and(|work| work.size_px.is_some()), cx.view.is_training());
    ui.add_enabled_ui(here && !training, |ui| {
        ui.horizontal(|ui| {
            for (side, name) in [(8, "coarse"), (16, "usual"), (32, "fine")] {
                let help = format!(
                    "Asks about {side} × {side} points and keeps masks that are good and new, as objects of the class below."
                );
                if ui.button(name).on_hover_text(help).clicked() {
                    state.find_everything(side);
                }
            }
        });
    });
}

fn classes(ui: &mut Ui, cx: &Context<'_>, state: &mut PromptState) {
    let theme = cx.theme;
    kit::caps(ui, theme, "class of the next object");
    ui.horizontal_wrapped(|ui| {
        for index in 0..state.classes.len() {
            let Some(name) = state.classes.get(index) else { continue };
            if kit::chip(ui, theme, state.class == index, name).clicked() {
                state.class = index;
            }
        }
    });
    ui.horizontal(|ui| {
        let width = (ui.available_width() - 50.0).max(60.0);
        let edit = egui::TextEdit::singleline(&mut state.typed).hint_text("another class").desired_width(width);
        let response = ui.add(edit);
        response.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, "Name of another class"));
        let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        if kit::link_button(ui, theme, "Add").clicked() || entered {
            state.name_class();
        }
    });
}

fn accepted(ui: &mut Ui, cx: &Context<'_>, state: &mut PromptState) {
    let theme = cx.theme;
    let Some(work) = state.work.get(state.at) else { return };
    kit::caps(ui, theme, &format!("{} accepted", plural(work.objects.len(), "object")));
    let (mut delete, mut pointed) = (None, None);
    let room = (ui.available_height() - 130.0).max(60.0);
    egui::ScrollArea::vertical().id_salt("accepted").max_height(room).show(ui, |ui| {
        for (index, one) in work.objects.iter().enumerate() {
            let name = state.classes.get(one.class).map_or("?", String::as_str);
            let row = ui.horizontal(|ui| {
                let (dot, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
                ui.painter().circle_filled(dot.center(), 5.0, color_of(theme, one.class));
                ui.label(RichText::new(name).size(12.5).color(theme.text));
                kit::weak(ui, theme, format!("{} px", format::count(usize::try_from(one.area).unwrap_or(usize::MAX))));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    let button = ui.small_button("×").on_hover_text("Delete");
                    button.widget_info(|| {
                        WidgetInfo::labeled(Role::Button, true, format!("Delete {name} {}", index + 1))
                    });
                    if button.clicked() {
                        delete = Some(index);
                    }
                });
            });
            if row.response.contains_pointer() {
                pointed = Some(index);
            }
        }
    });
    state.pointed = pointed;
    if let Some(index) = delete {
        state.delete(index);
    }
}

fn save(ui: &mut Ui, cx: &mut Context<'_>, state: &mut PromptState) {
    let theme = cx.theme;
    kit::caps(ui, theme, "data set");
    ui.horizontal(|ui| {
        for (form, name) in [(DrawnForm::Coco, "COCO"), (DrawnForm::Masks, "class masks")] {
            if kit::chip(ui, theme, state.form == form, name).clicked() {
                state.form = form;
            }
        }
    });
    let objects = state.accepted();
    let pictures = state.work.iter().filter(|work| !work.objects.is_empty()).count();
    ui.add_enabled_ui(objects > 0, |ui| {
        let text = format!("Save {} in {}…", plural(objects, "object"), plural(pictures, "picture"));
        if ui.button(text).on_hover_text(SAVE).clicked() {
            cx.push(Action::AskSaveDrawn);
        }
    });
    if let Some(saved) = cx.view.prompts.saved.clone() {
        let name = format::file_name(&saved.folder.display().to_string()).to_owned();
        kit::weak(ui, theme, format!("Saved: {name}, {}", plural(saved.objects, "object")))
            .on_hover_text(saved.folder.display().to_string());
        if kit::link_button(ui, theme, "Open it as the data set").clicked() {
            cx.push(Action::Open(vec![saved.folder]));
        }
    }
}
