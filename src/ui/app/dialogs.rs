//! File dialogs, each on a thread of its own: the window never waits for one.

use crate::train::Choice;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A data folder.
    Data,
    /// A data folder to measure this run on.
    Evaluate(PathBuf),
    /// A checkpoint file.
    Weights,
    /// A run's folder.
    Run,
    /// Pictures.
    Pictures,
    /// A folder for the boxes of predictions.
    Boxes(Option<Choice>),
    /// A folder for the masks of predictions.
    Masks(Option<f32>),
    /// A folder for the data set of accepted masks.
    Drawn,
    /// A project file.
    Project,
    /// Where to write the project; a name to begin with.
    SaveAs(String),
    /// Where to write the model; a name to begin with.
    Export(String),
}

/// The dialog that is open, if one is.
#[derive(Debug, Default)]
pub struct Dialogs {
    open: Option<(Ask, Receiver<Vec<PathBuf>>)>,
}

impl Dialogs {
    /// Opens a dialog, unless one is open.
    ///
    /// # Errors
    /// A sentence, when no thread can be started for it.
    pub fn ask(&mut self, ask: Ask, ctx: &egui::Context) -> Result<(), String> {
        if self.open.is_some() {
            return Err("Another file dialog is open.".to_owned());
        }
        let (answer, inbox) = sync_channel(1);
        let (asked, ctx) = (ask.clone(), ctx.clone());
        let work = move || {
            answer.send(show(&asked)).ok();
            ctx.request_repaint();
        };
        std::thread::Builder::new()
            .name("frostline-dialog".to_owned())
            .spawn(work)
            .map_err(|error| format!("Cannot open a file dialog: {error}."))?;
        self.open = Some((ask, inbox));
        Ok(())
    }

    /// What was chosen since the last call; nothing when the dialog was closed without a choice.
    pub fn poll(&mut self) -> Option<(Ask, Vec<PathBuf>)> {
        let (ask, inbox) = self.open.as_ref()?;
        let answer = match inbox.try_recv() {
            Ok(paths) => (!paths.is_empty()).then(|| (ask.clone(), paths)),
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => None,
        };
        self.open = None;
        answer
    }
}

fn show(ask: &Ask) -> Vec<PathBuf> {
    let dialog = rfd::FileDialog::new();
    let one = |path: Option<PathBuf>| path.into_iter().collect();
    match ask {
        Ask::Data => one(dialog.set_title("Open a data folder").pick_folder()),
        Ask::Evaluate(_) => one(dialog.set_title("Measure the run on a data folder").pick_folder()),
        Ask::Weights => {
            let kinds = ["pth", "pt", "safetensors", "ckpt", "tar", "bin"];
            one(dialog.set_title("Open a checkpoint").add_filter("Checkpoints", &kinds).pick_file())
        }
        Ask::Run => one(dialog.set_title("Choose a run's folder").pick_folder()),
        Ask::Pictures => {
            let kinds = ["png", "jpg", "jpeg", "bmp", "webp", "tif", "tiff", "gif"];
            dialog.set_title("Predict on pictures").add_filter("Pictures", &kinds).pick_files().unwrap_or_default()
        }
        Ask::Boxes(_) => one(dialog.set_title("Choose a folder for pictures with boxes").pick_folder()),
        Ask::Masks(_) => one(dialog.set_title("Choose a folder for masks").pick_folder()),
        Ask::Drawn => one(dialog.set_title("Choose a folder for the data set").pick_folder()),
        Ask::Project => one(dialog.set_title("Open a project").add_filter("Frostline projects", &["json"]).pick_file()),
        Ask::Export(name) => one(dialog.set_title("Export the model").set_file_name(name).save_file()),
        Ask::SaveAs(name) => one(dialog.set_title("Save the project").set_file_name(name).save_file()),
    }
}
