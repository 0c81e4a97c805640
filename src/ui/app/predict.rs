//! What pictures are handed to.

use super::App;
use crate::session::{Command, Parts};
use crate::ui::action::Page;
use crate::ui::panels::prompt;
use std::path::PathBuf;

impl App {
    /// The run of this session, else the project's last.
    pub(super) fn run_at_hand(&self) -> Option<PathBuf> {
        let run = self.view.run.as_ref().map(|run| run.info.folder.clone());
        run.or_else(|| self.project.runs.last().cloned())
    }

    /// Asks about pictures, or puts them before a person where the model takes prompts.
    pub(super) fn predict(&mut self, images: Vec<PathBuf>) {
        let from = self.panels.predict.from.clone().or_else(|| self.run_at_hand());
        self.show(Page::Predict);
        if prompt::is_offered(&self.network.graph) {
            return self.panels.predict.prompt.open(&images);
        }
        let from = from.filter(|_| !self.view.is_training());
        self.send(Command::Predict { images, from, parts: Parts::Auto });
    }
}
