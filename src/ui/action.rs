//! What a person can do. Panels never change anything: they push actions, and the app performs them after drawing.

use crate::session::{Command, Evaluation, ExportFormat};
use crate::train::{Choice, Plan};
use std::path::PathBuf;
use std::sync::Arc;

/// The pages, in the order of the work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Page {
    /// What the pictures are.
    Data,
    /// Which network, which weights, what is frozen.
    Model,
    /// The run.
    #[default]
    Train,
    /// What the model gets right and wrong.
    Evaluate,
    /// What the model says of new pictures.
    Predict,
    /// Writing the result.
    Export,
}

/// One thing that a person did.
#[derive(Clone, Debug)]
pub enum Action {
    /// Change the plan. Undoable under this name ("Freeze layer2"); changes with the same name that follow within a
    /// second (a slider being dragged) are one step of the history.
    Edit {
        /// The step's name in the undo list.
        name: String,
        /// The plan after the change.
        plan: Box<Plan>,
    },
    /// Take back the last change.
    Undo,
    /// Make it again.
    Redo,
    /// Hand a command to the session.
    Send(Command),
    /// Start a run of the plan, in a new folder.
    Start,
    /// Sweep the learning rate for the plan, and show it.
    FindLr,
    /// Show a page.
    Show(Page),
    /// Select a node by path, or nothing.
    Select(Option<String>),
    /// Open or fold a stage of the graph.
    Fold(String),
    /// Open files or folders that were dropped or chosen: data sets, checkpoints, pictures, projects, runs.
    Open(Vec<PathBuf>),
    /// Ask for a data folder.
    AskData,
    /// Ask for a checkpoint file.
    AskWeights,
    /// Ask for a data folder to measure this run on.
    AskEvaluate(PathBuf),
    /// Answer on the predict page with this run's best weights.
    PredictWith(PathBuf),
    /// Take a run off the list; its files stay.
    ForgetRun(PathBuf),
    /// Ask for a run's folder to start from.
    AskRun,
    /// Let the plan start from a run's best weights, with its model and input size.
    StartFrom(PathBuf),
    /// Ask for pictures to predict on.
    AskPictures,
    /// Ask for a folder for the boxes of the predictions, those that this choice leaves.
    AskSaveBoxes(Option<Choice>),
    /// Ask for a folder for the masks of the predictions, with this least probability of the second of two classes.
    AskSaveMasks(Option<f32>),
    /// Ask where to write the run's best weights.
    AskExport(ExportFormat),
    /// Ask for a folder for the data set of accepted masks.
    AskSaveDrawn,
    /// Ask for a project file.
    AskProject,
    /// Write the project; ask for a name if it has none or `ask` is set.
    Save {
        /// Ask for a name anyway.
        ask: bool,
    },
    /// Start a new project with the built-in sample.
    NewProject,
    /// Show a data set sample at full size, by index.
    ShowImage(Option<usize>),
    /// Show a measured picture at full size, with what the model says of it.
    ShowEvaluated {
        /// What was measured.
        evaluation: Arc<Evaluation>,
        /// The head that is looked at.
        head: usize,
        /// The picture's index in its set.
        index: usize,
        /// What the arrow keys step through.
        order: Arc<Vec<usize>>,
    },
    /// Say something in a passing note and in the console.
    Say(String),
    /// Show a folder in the system's file manager.
    Reveal(PathBuf),
    /// Put text on the clipboard.
    Copy(String),
    /// Switch between light and dark.
    ToggleTheme,
    /// Show or hide the list of keys.
    ToggleHelp,
    /// Close the window.
    Quit,
}
