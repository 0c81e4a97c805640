//! Closing the window never loses a run or a project silently: it asks.

use crate::session::{Command, View};
use crate::ui::action::Action;
use crate::ui::theme::Theme;
use crate::ui::widgets;
use egui::{Context, Id, Modal, RichText, Ui, ViewportCommand};

/// Whether and what the window asks before it closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The window is open.
    #[default]
    Open,
    /// A run is in progress: what shall become of it?
    AskRun,
    /// The project's file is older than what is set up.
    AskSave,
    /// The run finishes; then the window closes.
    Finishing,
    /// Nothing holds it any more.
    Agreed,
}

/// The state of closing.
#[derive(Debug, Default)]
pub struct Close {
    stage: Stage,
}

impl Close {
    /// Whether a question is on screen.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::AskRun | Stage::AskSave)
    }

    /// Whether the window closes as soon as the run is done.
    #[must_use]
    pub fn closes_when_done(&mut self) -> bool {
        let finishing = self.stage == Stage::Finishing;
        if finishing {
            self.stage = Stage::Agreed;
        }
        finishing
    }

    /// Nothing holds the window any more: what was wanted of it is done.
    pub fn agree(&mut self) {
        self.stage = Stage::Agreed;
    }

    /// Holds the window open when somebody closes it and something would be lost.
    pub fn follow(&mut self, ctx: &Context, view: &View, needs_saving: bool) {
        if !ctx.input(|input| input.viewport().close_requested()) || self.stage == Stage::Agreed {
            return;
        }
        let stage = match (view.is_training(), needs_saving) {
            (true, _) => Stage::AskRun,
            (false, true) => Stage::AskSave,
            (false, false) => return,
        };
        ctx.send_viewport_cmd(ViewportCommand::CancelClose);
        self.stage = stage;
    }

    /// Draws the question.
    pub fn ui(&mut self, ui: &Ui, theme: &Theme, actions: &mut Vec<Action>) {
        match self.stage {
            Stage::AskRun => self.ask_run(ui, theme, actions),
            Stage::AskSave => self.ask_save(ui, theme, actions),
            Stage::Open | Stage::Finishing | Stage::Agreed => {}
        }
    }

    fn ask_run(&mut self, ui: &Ui, theme: &Theme, actions: &mut Vec<Action>) {
        let modal = Modal::new(Id::unique("close-run")).frame(widgets::sheet(ui)).show(ui.ctx(), |ui| {
            ui.set_width(430.0);
            ui.label(widgets::bold("A run is in progress", 17.0).color(theme.text));
            ui.add_space(6.0);
            let choice = |ui: &mut Ui, title: &str, text: &str| {
                let clicked = ui.add_sized([ui.available_width(), 30.0], egui::Button::new(title)).clicked();
                ui.label(RichText::new(text).size(11.5).color(theme.weak));
                ui.add_space(6.0);
                clicked
            };
            let text =
                "Stops now and closes. The run's folder is complete up to its last checkpoint and can be resumed.";
            if choice(ui, "Pause and keep the run", text) {
                self.stage = Stage::Agreed;
                actions.push(Action::Send(Command::Pause));
                ui.ctx().send_viewport_cmd(ViewportCommand::Close);
            }
            let text = "Ends the run at the next step with its best weights as the result, then closes.";
            if choice(ui, "Finish, keep the best weights", text) {
                self.stage = Stage::Finishing;
                actions.push(Action::Send(Command::Finish));
            }
            if choice(ui, "Go on training", "The window stays open.") {
                self.stage = Stage::Open;
            }
        });
        if modal.should_close() && self.stage == Stage::AskRun {
            self.stage = Stage::Open;
        }
    }

    fn ask_save(&mut self, ui: &Ui, theme: &Theme, actions: &mut Vec<Action>) {
        let modal = Modal::new(Id::unique("close-save")).frame(widgets::sheet(ui)).show(ui.ctx(), |ui| {
            ui.set_width(380.0);
            ui.label(widgets::bold("Save the changes of the project?", 17.0).color(theme.text));
            ui.add_space(10.0);
            ui.horizontal(|ui| {
                if ui.button("Save and close").clicked() {
                    self.stage = Stage::Agreed;
                    actions.push(Action::Save { ask: false });
                    actions.push(Action::Quit);
                }
                if ui.button("Close without saving").clicked() {
                    self.stage = Stage::Agreed;
                    actions.push(Action::Quit);
                }
                if ui.button("Stay").clicked() {
                    self.stage = Stage::Open;
                }
            });
        });
        if modal.should_close() && self.stage == Stage::AskSave {
            self.stage = Stage::Open;
        }
    }
}
