//! Masks whose colors or values no table explains: each of them with a field for its name.

use super::super::{format, kit};
use crate::data::{Dataset, MaskValue, Unnamed};
use crate::session::Command;
use crate::ui::{Action, Context, Theme};
use egui::{RichText, Sense, Ui, vec2};
use std::path::PathBuf;

/// The names that are being given.
#[derive(Debug, Default)]
pub struct Naming {
    root: PathBuf,
    values: Vec<MaskValue>,
    names: Vec<String>,
}

/// The sheet, where the set has such masks.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, data: &Dataset, state: &mut Naming) {
    let values: Vec<MaskValue> = data.unnamed.iter().map(|unnamed| unnamed.value).collect();
    if values.is_empty() {
        return;
    }
    if (&state.root, &state.values) != (&data.root, &values) {
        let names = data.unnamed.iter().map(first_name).collect();
        *state = Naming { root: data.root.clone(), values, names };
    }
    let theme = cx.theme;
    kit::sheet(theme).show(ui, |ui| {
        let colors = matches!(state.values.first(), Some(MaskValue::Color(_)));
        let word = if colors { "colors" } else { "values" };
        kit::title(ui, theme, format!("What do the {word} of the masks mean?"));
        kit::weak(ui, theme, "Give each class a name. What has none, or is called void, counts for nothing.");
        ui.add_space(8.0);
        let scroll = egui::ScrollArea::vertical().max_height(260.0).id_salt("mask values");
        scroll.show(ui, |ui| {
            for (unnamed, name) in data.unnamed.iter().zip(&mut state.names) {
                ui.horizontal(|ui| {
                    let text = match unnamed.value {
                        MaskValue::Color([r, g, b]) => {
                            let (rect, _) = ui.allocate_exact_size(vec2(22.0, 18.0), Sense::hover());
                            ui.painter().rect_filled(rect, 3, Theme::of_pixel([r, g, b]));
                            format!("#{r:02x}{g:02x}{b:02x}")
                        }
                        MaskValue::Value(value) => format::count(usize::from(value)),
                    };
                    let label = RichText::new(&text).monospace().size(12.5).color(theme.text);
                    ui.add_sized([70.0, 20.0], egui::Label::new(label));
                    let share = RichText::new(format::percent(unnamed.share)).size(12.0).color(theme.weak);
                    ui.add_sized([64.0, 20.0], egui::Label::new(share));
                    let field = egui::TextEdit::singleline(name).hint_text("counts for nothing").desired_width(190.0);
                    ui.add(field).accessible_name(format!("Class of {text}"));
                });
            }
        });
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            let some = state.names.iter().any(|name| !name.trim().is_empty());
            let file = data.root.join("classes.csv");
            let button = ui.add_enabled_ui(some, |ui| kit::primary_button(ui, theme, "Write classes.csv"));
            let help = format!("Writes {} and reads the set again. Nothing else is changed.", file.display());
            if button.inner.on_hover_text(help).clicked() {
                let names = state.values.iter().copied().zip(state.names.iter().cloned()).collect();
                cx.push(Action::Send(Command::NameClasses { folder: data.root.clone(), names }));
            }
        });
    });
    ui.add_space(10.0);
}

/// Black, and what is nothing in most sets.
fn first_name(unnamed: &Unnamed) -> String {
    let is_ground = matches!(unnamed.value, MaskValue::Color([0, 0, 0]) | MaskValue::Value(0));
    if is_ground { "background".to_owned() } else { String::new() }
}
