//! What the set is: its facts, its classes with their numbers, its parts, its issues.

use super::super::{format, kit, samples};
use super::{DataState, SPLITS, class_names};
use crate::data::{Dataset, Severity};
use crate::ui::{Action, Context, Theme};
use egui::{Align2, Color32, Rect, RichText, Role, Sense, Ui, WidgetInfo, pos2, vec2};

/// The side panel.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, data: &Dataset, state: &mut DataState) {
    let theme = cx.theme;
    kit::title(ui, theme, &data.name);
    kit::weak(ui, theme, &data.format);
    ui.add_space(6.0);
    let used = format!("{} of {}", format::count(data.used()), format::count(data.found));
    kit::key_value(ui, theme, "images used", &used);
    kit::key_value(ui, theme, "task", &data.task.to_string());
    match data.columns.as_slice() {
        [_, _, ..] => kit::key_value(ui, theme, "label columns", &format::count(data.columns.len())),
        _ => kit::key_value(ui, theme, "classes", &format::count(data.classes().len())),
    };
    let root = data.root.display().to_string();
    ui.horizontal(|ui| {
        let path = egui::Label::new(RichText::new(&root).size(11.0).color(theme.weak)).truncate();
        ui.add(path).on_hover_text(&root);
    });
    ui.horizontal(|ui| {
        if kit::link_button(ui, theme, "Open another folder…").clicked() {
            cx.push(Action::AskData);
        }
        if kit::link_button(ui, theme, "Copy path").clicked() {
            cx.push(Action::Copy(root.clone()));
        }
    });
    if let Err(reasons) = data.usable() {
        ui.add_space(6.0);
        for reason in reasons {
            ui.label(RichText::new(format!("✗ {reason}")).size(12.0).color(theme.bad));
        }
    }
    ui.add_space(10.0);
    splits(ui, theme, data, state);
    ui.add_space(10.0);
    issues(ui, theme, state);
    ui.add_space(10.0);
    classes(ui, theme, data, state);
}

/// The color of a part of the set in bars, in the order of [`SPLITS`].
fn split_color(theme: &Theme, index: usize) -> Color32 {
    match index {
        0 => theme.series[0],
        1 => theme.series[3],
        _ => theme.series[7],
    }
}

fn splits(ui: &mut Ui, theme: &Theme, data: &Dataset, state: &mut DataState) {
    kit::caps(ui, theme, "Split");
    let total: usize = state.known.splits.iter().sum();
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 8.0), Sense::hover());
    stacked(ui, theme, rect, state.known.splits, total);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 4.0);
        for (i, split) in SPLITS.into_iter().enumerate() {
            let count = state.known.splits[i];
            let on = state.filter.split == Some(split);
            if count > 0 && kit::chip(ui, theme, on, &format!("{split} {}", format::count(count))).clicked() {
                state.filter.split = (!on).then_some(split);
            }
        }
    });
    let text = if data.suggested_split {
        "The set has no validation part of its own; one was drawn, each class alike."
    } else {
        "The set's own split is used."
    };
    ui.label(RichText::new(text).size(11.0).color(theme.weak));
}

fn issues(ui: &mut Ui, theme: &Theme, state: &mut DataState) {
    let [notes, warnings, errors] = state.known.issues;
    kit::caps(ui, theme, "Issues");
    if notes + warnings + errors == 0 {
        ui.label(RichText::new("✓ none").size(12.0).color(theme.good));
        return;
    }
    ui.horizontal_wrapped(|ui| {
        let counts = [(errors, Severity::Error), (warnings, Severity::Warning), (notes, Severity::Note)];
        for (count, severity) in counts.into_iter().filter(|(count, _)| *count > 0) {
            let (icon, word, color) = super::super::console::sign(theme, severity);
            let text = format!("{icon} {}", format::counted(count, word));
            ui.label(RichText::new(text).size(12.0).color(color));
        }
    });
}

/// Which label column is looked at, where there are several.
fn columns(ui: &mut Ui, theme: &Theme, data: &Dataset, state: &mut DataState) {
    if data.columns.len() < 2 {
        return;
    }
    kit::caps(ui, theme, "Label columns");
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 4.0);
        for (at, column) in data.columns.iter().enumerate() {
            let several = if column.multi { " · several" } else { "" };
            let text = format!("{} {}{several}", column.name, column.classes.len());
            let chip = kit::chip(ui, theme, state.filter.column == at, &text);
            if chip.on_hover_text("Show this column's classes and labels").clicked() {
                state.filter.column = at;
                state.filter.class = None;
            }
        }
    });
    ui.add_space(8.0);
}

fn classes(ui: &mut Ui, theme: &Theme, data: &Dataset, state: &mut DataState) {
    columns(ui, theme, data, state);
    ui.horizontal(|ui| {
        kit::caps(ui, theme, "Classes");
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            for (i, split) in SPLITS.into_iter().enumerate().rev().filter(|(i, _)| state.known.splits[*i] > 0) {
                ui.label(RichText::new(split.to_string()).size(10.5).color(theme.weak));
                let (dot, _) = ui.allocate_exact_size(vec2(7.0, 7.0), Sense::hover());
                ui.painter().circle_filled(dot.center(), 3.5, split_color(theme, i));
            }
        });
    });
    let largest = state.known.counts.iter().map(|counts| counts.iter().sum()).max().unwrap_or(0);
    let scroll = egui::ScrollArea::vertical().id_salt("classes").auto_shrink(false);
    let names = class_names(data, state.filter.column);
    scroll.show_rows(ui, 30.0, names.len(), |ui, rows| {
        for class in rows {
            class_row(ui, theme, names, state, class, largest);
        }
    });
}

/// One class: its name, how many pictures each part has of it; a click shows only these.
fn class_row(ui: &mut Ui, theme: &Theme, names: &[String], state: &mut DataState, class: usize, largest: usize) {
    let counts = state.known.counts.get(class).copied().unwrap_or_default();
    let name = names.get(class).map_or("?", String::as_str);
    let id = u32::try_from(class).unwrap_or(u32::MAX);
    let on = state.filter.class == Some(id);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 30.0), Sense::click());
    let [train, val, test] = counts;
    let words = format!("{name}: {train} train, {val} val, {test} test");
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &words));
    if response.clicked() {
        state.filter.class = (!on).then_some(id);
    }
    if on || response.hovered() {
        ui.painter().rect_filled(rect.expand2(vec2(4.0, 0.0)), kit::RADIUS, theme.raised);
    }
    kit::focus_ring(ui, theme, &response);
    let top = rect.top() + 9.0;
    ui.painter().circle_filled(pos2(rect.left() + 4.0, top), 4.0, samples::class_color(theme, id));
    let at = pos2(rect.left() + 14.0, top);
    kit::text_at(ui.painter(), at, Align2::LEFT_CENTER, name, 12.5, theme.text, rect.width() - 80.0);
    let total = format::count(train + val + test);
    kit::text_at(ui.painter(), pos2(rect.right(), top), Align2::RIGHT_CENTER, &total, 12.0, theme.weak, 64.0);
    let bar = Rect::from_min_size(pos2(rect.left(), rect.top() + 19.0), vec2(rect.width(), 5.0));
    stacked(ui, theme, bar, counts, largest);
    response.on_hover_text(words);
}

/// A bar with one piece for each part of the set.
fn stacked(ui: &Ui, theme: &Theme, rect: Rect, counts: [usize; 3], whole: usize) {
    kit::bar(ui.painter(), rect, 0.0, theme.border, theme.raised);
    let mut left = rect.left();
    for (i, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        let width = (rect.width() * count as f32 / whole.max(1) as f32).max(1.0);
        let piece = Rect::from_min_size(pos2(left, rect.top()), vec2(width, rect.height()));
        ui.painter().rect_filled(piece.with_max_x((piece.right() - 1.0).max(left + 1.0)), 2, split_color(theme, i));
        left += width;
    }
}
