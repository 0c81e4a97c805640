//! Passing notes in the corner: notes and warnings go by themselves, errors stay until they are closed.

use crate::data::Severity;
use crate::session::View;
use crate::ui::action::Action;
use crate::ui::icons::Icon;
use crate::ui::theme::Theme;
use crate::ui::widgets;
use egui::{Align2, Area, Frame, Id, Margin, RichText, Stroke, Ui, vec2};
use std::time::{Duration, Instant};

/// A note goes after this time.
const STAYS: Duration = Duration::from_secs(5);
/// Notes at the same time; older ones are in the console.
const SHOWN: usize = 4;

/// A note on screen.
#[derive(Clone, Debug)]
struct Toast {
    severity: Severity,
    text: String,
    since: Instant,
}

/// The notes on screen.
#[derive(Debug, Default)]
pub struct Toasts {
    shown: Vec<Toast>,
    seen: Option<Instant>,
}

impl Toasts {
    /// Takes over what is new in the console: warnings and errors.
    pub fn follow(&mut self, view: &View) {
        let seen = self.seen;
        let is_new = |at: Instant| seen.is_none_or(|seen| at > seen);
        let fresh: Vec<_> = view
            .notices
            .iter()
            .rev()
            .take_while(|notice| is_new(notice.at))
            .filter(|notice| notice.severity != Severity::Note)
            .take(SHOWN)
            .map(|notice| (notice.severity, notice.text.clone()))
            .collect();
        if let Some(last) = view.notices.last() {
            self.seen = Some(last.at);
        }
        for (severity, text) in fresh.into_iter().rev() {
            self.add(severity, text);
        }
    }

    /// Shows a note.
    pub fn add(&mut self, severity: Severity, text: String) {
        // Of passing notes only the newest counts: ten steps of undo are not ten notes.
        let replaced = |toast: &Toast| severity == Severity::Note && toast.severity == Severity::Note;
        self.shown.retain(|toast| toast.text != text && !replaced(toast));
        self.shown.push(Toast { severity, text, since: Instant::now() });
        while self.shown.len() > SHOWN {
            let oldest = self.shown.iter().position(|toast| toast.severity != Severity::Error).unwrap_or(0);
            self.shown.remove(oldest);
        }
    }

    /// Texts on screen, oldest first.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.shown.iter().map(|toast| toast.text.as_str()).collect()
    }

    /// Draws the notes above the status bar.
    pub fn ui(&mut self, ui: &Ui, theme: &Theme, actions: &mut Vec<Action>) {
        self.shown.retain(|toast| toast.severity == Severity::Error || toast.since.elapsed() < STAYS);
        if self.shown.is_empty() {
            return;
        }
        let passing = self.shown.iter().filter(|toast| toast.severity != Severity::Error);
        if let Some(next) = passing.map(|toast| STAYS.saturating_sub(toast.since.elapsed())).min() {
            ui.ctx().request_repaint_after(next + Duration::from_millis(20));
        }
        let mut closed = None;
        Area::new(Id::unique("toasts")).anchor(Align2::RIGHT_BOTTOM, vec2(-16.0, -44.0)).interactable(true).show(
            ui.ctx(),
            |ui| {
                for (index, toast) in self.shown.iter().enumerate() {
                    if show(ui, theme, toast, actions) {
                        closed = Some(index);
                    }
                }
            },
        );
        if let Some(index) = closed {
            self.shown.remove(index);
        }
    }
}

fn show(ui: &mut Ui, theme: &Theme, toast: &Toast, actions: &mut Vec<Action>) -> bool {
    let (color, word) = match toast.severity {
        Severity::Error => (theme.bad, "Error"),
        Severity::Warning => (theme.amber, "Warning"),
        Severity::Note => (theme.accent, "Note"),
    };
    let mut closed = false;
    let frame =
        Frame::popup(ui.style()).fill(theme.raised).stroke(Stroke::new(1.0, color)).inner_margin(Margin::same(10));
    frame.show(ui, |ui| {
        ui.set_width(268.0);
        ui.horizontal_top(|ui| {
            ui.vertical(|ui| {
                ui.set_width(230.0);
                ui.label(widgets::bold(word, 11.0).color(color));
                ui.add(egui::Label::new(RichText::new(&toast.text).size(12.0).color(theme.text)).wrap());
                if toast.severity == Severity::Error && widgets::link(ui, theme, "Copy", theme.accent).clicked() {
                    actions.push(Action::Copy(toast.text.clone()));
                }
            });
            closed = widgets::icon_button(ui, theme, Icon::Cross, "Close this note").clicked();
        });
    });
    closed
}
