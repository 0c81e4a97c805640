//! The pre-flight report: every file that was repaired or left out, and why.

use super::super::console::sign;
use super::super::{format, kit};
use super::DataState;
use super::filter::in_set;
use crate::data::{Dataset, Issue, Severity};
use crate::ui::{Action, Context};
use egui::{RichText, Ui};

/// Indices of the issues to list: errors first.
pub fn matching(data: &Dataset, hidden: &[Severity], search: &str) -> Vec<usize> {
    let keeps = |issue: &Issue| {
        !hidden.contains(&issue.severity) && (search.is_empty() || issue.to_string().to_lowercase().contains(search))
    };
    let all = data.issues.iter().enumerate().filter(|(_, issue)| keeps(issue));
    let mut listed: Vec<(usize, Severity)> = all.map(|(index, issue)| (index, issue.severity)).collect();
    listed.sort_by_key(|&(_, severity)| std::cmp::Reverse(severity));
    listed.into_iter().map(|(index, _)| index).collect()
}

/// The report.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, data: &Dataset, state: &mut DataState) {
    let theme = cx.theme;
    ui.horizontal(|ui| {
        kit::title(ui, theme, "Pre-flight report");
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if !data.issues.is_empty() && kit::link_button(ui, theme, "Copy").clicked() {
                let text = data.issues.iter().map(|issue| format!("{}: {issue}\n", sign(theme, issue.severity).1));
                cx.push(Action::Copy(text.collect()));
                cx.push(Action::Say("Report copied".to_owned()));
            }
        });
    });
    let skipped = data.skipped();
    let line = if skipped == 0 {
        format!("All {} images are used.", format::count(data.found))
    } else {
        let (used, found) = (format::count(data.used()), format::count(data.found));
        format!("{used} images used of {found}, {} left out.", format::count(skipped))
    };
    ui.label(RichText::new(line).size(12.5).color(theme.text));
    ui.add_space(6.0);
    if data.issues.is_empty() {
        ui.label(RichText::new("✓ Every file was decoded and fits.").size(12.5).color(theme.good));
        return;
    }
    filters(ui, cx, state);
    ui.add_space(4.0);
    ui.spacing_mut().item_spacing.y = 6.0;
    let shown = &state.known.issues_shown;
    if shown.is_empty() {
        kit::weak(ui, theme, "No issue matches.");
    }
    let height = 58.0;
    let scroll = egui::ScrollArea::vertical().id_salt("issues").auto_shrink(false);
    scroll.show_rows(ui, height, shown.len(), |ui, rows| {
        for issue in shown.get(rows).unwrap_or_default().iter().filter_map(|&index| data.issues.get(index)) {
            row(ui, cx, data, issue, height);
        }
    });
}

fn filters(ui: &mut Ui, cx: &Context<'_>, state: &mut DataState) {
    let theme = cx.theme;
    let field = egui::TextEdit::singleline(&mut state.issue_search).hint_text("Search the report");
    ui.add(field.desired_width(f32::INFINITY)).accessible_name("Search the report");
    ui.horizontal_wrapped(|ui| {
        let [notes, warnings, errors] = state.known.issues;
        let all = [
            (errors, Severity::Error, "error"),
            (warnings, Severity::Warning, "warning"),
            (notes, Severity::Note, "note"),
        ];
        for (count, severity, name) in all.into_iter().filter(|(count, ..)| *count > 0) {
            let on = !state.hidden.contains(&severity);
            if kit::chip(ui, theme, on, &format::counted(count, name)).clicked() {
                if on {
                    state.hidden.push(severity);
                } else {
                    state.hidden.retain(|hidden| *hidden != severity);
                }
            }
        }
    });
}

/// One issue on two lines: the file, and what is the matter with it.
fn row(ui: &mut Ui, cx: &mut Context<'_>, data: &Dataset, issue: &Issue, height: f32) {
    let theme = cx.theme;
    let (icon, word, color) = sign(theme, issue.severity);
    let file = in_set(data, &issue.file.display().to_string());
    let file = issue.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"));
    let whole = format!("{word}: {file}: {}", issue.what);
    let frame =
        egui::Frame::new().fill(theme.raised).corner_radius(kit::RADIUS).inner_margin(egui::Margin::symmetric(8, 5));
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_height(height - 10.0);
        ui.spacing_mut().item_spacing.y = 1.0;
        ui.horizontal(|ui| {
            ui.label(RichText::new(icon).size(12.0).color(color));
            let name = RichText::new(super::super::format::file_name(&file)).size(12.0).color(theme.text).strong();
            ui.add(egui::Label::new(name).truncate());
        });
        let what = kit::elided_rows(ui.painter(), &issue.what, 11.0, theme.weak, ui.available_width(), 2);
        let (rect, response) = ui.allocate_exact_size(what.size(), egui::Sense::hover());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &whole));
        ui.painter().galley(rect.min, what, theme.weak);
    });
    let response = shown.response.on_hover_text(&whole);
    response.context_menu(|ui| {
        if ui.button("Copy line").clicked() {
            cx.push(Action::Copy(whole.clone()));
        }
        // Only an open menu looks for the picture among all.
        let index = data.samples.iter().position(|sample| sample.image.path() == Some(issue.file.as_path()));
        if let Some(index) = index
            && ui.button("Show image").clicked()
        {
            cx.push(Action::ShowImage(Some(index)));
        }
    });
}
