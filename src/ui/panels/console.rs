//! The console: everything that was said, by severity, to be searched and copied.

use super::{format, kit};
use crate::data::Severity;
use crate::session::Notice;
use crate::ui::{Action, Context, Theme};
use egui::{Color32, RichText, Ui};

/// What the console remembers.
#[derive(Debug)]
pub struct ConsoleState {
    /// Notes are shown.
    pub notes: bool,
    /// Warnings are shown.
    pub warnings: bool,
    /// Errors are shown.
    pub errors: bool,
    /// Only lines with this text are shown.
    pub search: String,
}

impl Default for ConsoleState {
    fn default() -> Self {
        Self { notes: true, warnings: true, errors: true, search: String::new() }
    }
}

impl ConsoleState {
    fn shows(&self, notice: &Notice, search: &str) -> bool {
        let wanted = match notice.severity {
            Severity::Note => self.notes,
            Severity::Warning => self.warnings,
            Severity::Error => self.errors,
        };
        wanted && (search.is_empty() || notice.text.to_lowercase().contains(search))
    }
}

/// The sign of a severity and its color; the sign alone tells it.
#[must_use]
pub fn sign(theme: &Theme, severity: Severity) -> (&'static str, &'static str, Color32) {
    match severity {
        Severity::Note => ("•", "note", theme.weak),
        Severity::Warning => ("▲", "warning", theme.amber),
        Severity::Error => ("✗", "error", theme.bad),
    }
}

/// The console.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut ConsoleState) {
    let (view, theme) = (cx.view, cx.theme);
    let count = |severity| view.notices.iter().filter(|notice| notice.severity == severity).count();
    ui.horizontal(|ui| {
        let switches = [
            (&mut state.errors, Severity::Error, "error"),
            (&mut state.warnings, Severity::Warning, "warning"),
            (&mut state.notes, Severity::Note, "note"),
        ];
        for (on, severity, name) in switches {
            if kit::chip(ui, theme, *on, &format::counted(count(severity), name)).clicked() {
                *on = !*on;
            }
        }
        let field = egui::TextEdit::singleline(&mut state.search).hint_text("Search").desired_width(140.0);
        ui.add(field).accessible_name("Search the console");
    });
    let search = state.search.to_lowercase();
    let lines: Vec<&Notice> = view.notices.iter().filter(|notice| state.shows(notice, &search)).collect();
    if lines.is_empty() {
        kit::empty(ui, theme, "Nothing to read", "Notes, warnings and errors of the session are listed here.");
        return;
    }
    let start = view.notices.first().map(|first| first.at);
    ui.add_space(2.0);
    let scroll = egui::ScrollArea::vertical().auto_shrink(false).stick_to_bottom(true);
    scroll.show_rows(ui, 15.0, lines.len(), |ui, rows| {
        for notice in lines.get(rows).unwrap_or_default() {
            line(ui, theme, notice, start);
        }
    });
}

fn line(ui: &mut Ui, theme: &Theme, notice: &Notice, start: Option<std::time::Instant>) {
    let (icon, word, color) = sign(theme, notice.severity);
    let after = start.map_or(String::new(), |start| format::clock(notice.at.duration_since(start)));
    ui.horizontal(|ui| {
        ui.set_height(15.0);
        ui.label(RichText::new(after).monospace().size(11.0).color(theme.weak));
        ui.label(RichText::new(icon).size(12.0).color(color)).on_hover_text(word);
        let color = if notice.severity == Severity::Note { theme.text } else { color };
        let text = egui::Label::new(RichText::new(&notice.text).size(12.0).color(color)).truncate();
        ui.add(text).on_hover_text(&notice.text);
    });
}

/// The switches of the tab, on the row of the tabs.
pub fn controls(ui: &mut Ui, cx: &mut Context<'_>) {
    if !cx.view.notices.is_empty() && kit::link_button(ui, cx.theme, "Copy all").clicked() {
        let theme = cx.theme;
        let line = |notice: &Notice| format!("{}: {}\n", sign(theme, notice.severity).1, notice.text);
        let text = cx.view.notices.iter().map(line).collect();
        cx.push(Action::Copy(text));
        cx.push(Action::Say("Console copied".to_owned()));
    }
}
