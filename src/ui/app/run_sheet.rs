//! What shall become of a run's folder that was dropped: go on with it, start another run from it, or measure it.

use crate::session::{Command, Which};
use crate::train::{DataSource, RunFile, RunFolder};
use crate::ui::action::{Action, Page};
use crate::ui::theme::Theme;
use crate::ui::{format, widgets};
use egui::{Id, Modal, RichText, Ui};
use std::path::{Path, PathBuf};

/// The question, while it is on screen.
#[derive(Debug, Default)]
pub struct RunSheet {
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    folder: PathBuf,
    run: RunFile,
    /// Epochs that are on record.
    epochs: u32,
}

impl RunSheet {
    /// Puts the question.
    ///
    /// # Errors
    /// A sentence, when the folder cannot be read as a run's.
    pub fn ask(&mut self, folder: &Path) -> Result<(), String> {
        let (opened, run) = RunFolder::open(folder)?;
        let epochs = opened.epochs().last().map_or(0, |news| news.epoch);
        self.asked = Some(Asked { folder: folder.to_path_buf(), run, epochs });
        Ok(())
    }

    /// Whether the question is on screen.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Draws the question.
    pub fn ui(&mut self, ui: &Ui, theme: &Theme, data: &DataSource, actions: &mut Vec<Action>) {
        let Some(asked) = &self.asked else { return };
        let mut done = false;
        let modal = Modal::new(Id::unique("run-sheet")).frame(widgets::sheet(ui)).show(ui.ctx(), |ui| {
            ui.set_width(430.0);
            let name = asked.folder.file_name().unwrap_or_default().to_string_lossy();
            ui.add(egui::Label::new(widgets::bold(name, 17.0).color(theme.text)).truncate());
            ui.label(RichText::new(asked.words()).size(11.5).color(theme.weak));
            ui.add_space(10.0);
            let mut choice = |ui: &mut Ui, title: &str, text: &str, chosen: &dyn Fn() -> Vec<Action>| {
                let button = egui::Button::new(title).min_size(egui::vec2(ui.available_width(), 30.0));
                if ui.add(button).clicked() {
                    actions.extend(chosen());
                    done = true;
                }
                ui.label(RichText::new(text).size(11.5).color(theme.weak));
                ui.add_space(6.0);
            };
            let resume = || vec![Action::Send(Command::ResumeRun { run: asked.folder.clone(), epochs: None })];
            let left = asked.run.plan.epochs.saturating_sub(asked.epochs);
            let text = match left {
                0 => "All of its epochs are done.".to_owned(),
                _ => format!("Goes on after epoch {} of {}, bit for bit.", asked.epochs, asked.run.plan.epochs),
            };
            choice(ui, "Resume the run", &text, &resume);
            let text =
                "Model, weights and input size become the run's. Classes with the same name keep what they learned.";
            let start = || vec![Action::StartFrom(asked.folder.clone()), Action::Show(Page::Model)];
            choice(ui, "Start a new run from its weights", text, &start);
            let text = match data {
                DataSource::Path(path) => format!("Measures its best weights on {}.", path.display()),
                DataSource::Sample => "Measures its best weights on the built-in sample.".to_owned(),
            };
            let evaluate = || {
                let (from, data) = (asked.folder.clone(), Some(data.clone()));
                let command = Command::Evaluate { from, data, which: Which::Auto };
                vec![Action::Send(command), Action::Show(Page::Evaluate)]
            };
            choice(ui, "Evaluate it on the open data set", &text, &evaluate);
            ui.vertical_centered(|ui| done |= ui.button("Cancel").clicked());
        });
        if done || modal.should_close() {
            self.asked = None;
        }
    }
}

impl Asked {
    /// `resnet18 · 224 px · 2 classes: ants, bees · 4 of 12 epochs`
    fn words(&self) -> String {
        let run = &self.run;
        let some = run.classes.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
        let more = if run.classes.len() > 4 { ", …" } else { "" };
        format!(
            "{} · {} px · {}: {some}{more} · {} of {} done",
            run.plan.model,
            run.preprocess.size[0],
            format::plural(run.classes.len(), "class"),
            self.epochs,
            format::plural(run.plan.epochs as usize, "epoch"),
        )
    }
}
