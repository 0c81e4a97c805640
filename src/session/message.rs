//! What goes in and out of a session: small plain values, never a tensor.

pub use crate::data::features::Kept as FeaturesKept;
use crate::data::{Dataset, Drawn, DrawnForm, Issue, MaskValue, SavedSet, Task};
use crate::graph::FreezePlan;
use crate::train::segmentation::Parts;
use crate::train::segmentation::prompt::{Answered, Everything, Grid, Prompt};
pub use crate::train::{
    Best, DeviceInfo, Ending, EpochNews, Evaluation, ExportCheck, ExportFormat, Exported, HeadCheck, LiveSample,
    RunInfo, StepNews, StepTimes, Which,
};
use crate::train::{
    Choice, DataSource, FreezePhase, LrPoint, LrSuggestions, LrSweep, Plan, Prediction, SweepEnd, ValChoice,
};
use crate::weights::LoadReport;
use crate::weights::hub::Progress;
pub use crate::weights::{BoxForm, BoxOutput};
use std::path::PathBuf;
use std::sync::Arc;

/// A picture that a promptable model can be asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptOpened {
    /// The picture.
    pub image: PathBuf,
    /// Its width and height in pixels, EXIF-oriented.
    pub size_px: [u32; 2],
    /// Seconds that encoding it took; none where it was encoded already.
    pub encode_secs: Option<f64>,
    /// Whether it was encoded in an earlier session and read from disk.
    pub from_disk: bool,
}

/// What is asked of a promptable model about a picture.
#[derive(Clone, Debug)]
pub enum MaskQuestion {
    /// What lies at points or in a box.
    Prompt(Prompt),
    /// Everything.
    Everything(Grid),
}

/// Masks of a picture.
#[derive(Clone, Debug)]
pub enum Masks {
    /// Those that are offered for a prompt.
    Offered(Answered),
    /// All that were found.
    Found(Everything),
}

/// What a promptable model answers.
#[derive(Clone, Debug)]
pub struct MaskAnswer {
    /// The picture.
    pub image: PathBuf,
    /// The masks.
    pub masks: Masks,
    /// Seconds that encoding the picture took; none where it was encoded already.
    pub encode_secs: Option<f64>,
    /// Seconds that the answer took.
    pub answer_secs: f64,
}

/// What a person asks of the session. Each is answered within one training step.
#[derive(Clone, Debug)]
pub enum Command {
    /// Read a data set; answered by [`Event::DataReady`] or [`Event::Failed`].
    OpenData {
        /// A folder or an annotation file.
        path: PathBuf,
        /// Where the pictures for validation come from.
        val: ValChoice,
        /// Decides the split.
        seed: u64,
        /// What the model is for, where a set may have boxes and masks.
        task: Option<Task>,
    },
    /// Open the built-in sample.
    OpenSample,
    /// Compare the weights that a plan starts from with its network; answered by [`Event::CheckpointReady`],
    /// [`Event::CheckpointOfOther`] or [`Event::Failed`].
    InspectWeights(Box<Plan>),
    /// Train; answered by [`Event::RunStarted`] or [`Event::Failed`].
    Start {
        /// Everything that decides the run.
        plan: Box<Plan>,
        /// The run's folder; it must not hold a run yet.
        out: PathBuf,
    },
    /// Go on with a run from its last checkpoint.
    ResumeRun {
        /// The run's folder.
        run: PathBuf,
        /// A new number of epochs.
        epochs: Option<u32>,
    },
    /// Write the classes that values of masks mean into a set's folder, and read the set again; answered by
    /// [`Event::DataReady`] or [`Event::Failed`].
    NameClasses {
        /// The set's folder.
        folder: PathBuf,
        /// Values and their names; one without a name counts for nothing.
        names: Vec<(MaskValue, String)>,
    },
    /// Delete stored features that no run uses; answered by [`Event::FeaturesKept`].
    ClearFeatures,
    /// Stop at the next step and wait; predictions stay possible.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Stop at the next step, keep the best weights.
    Finish,
    /// Stop at the next step; the run folder stays as far as it came.
    Cancel,
    /// Freeze or thaw while training; answered by [`Event::FreezeChanged`].
    SetFreeze(FreezePlan),
    /// Replace what the run's plan changes in the epochs that come; answered by [`Event::TimelineChanged`].
    SetTimeline(Vec<FreezePhase>),
    /// Set the base learning rate while training.
    SetLr(f64),
    /// Sweep the learning rate over steps of a plan's first phase; answered by [`Event::SweepStarted`] or
    /// [`Event::Failed`]. Nothing is written, nothing stays changed.
    FindLr {
        /// Everything that would decide the run.
        plan: Box<Plan>,
        /// Which rates.
        sweep: LrSweep,
    },
    /// Say what the model sees in pictures, with the run's current weights or a finished run's best.
    Predict {
        /// Picture files.
        images: Vec<PathBuf>,
        /// A run folder or checkpoint to use instead of the current weights.
        from: Option<PathBuf>,
        /// How a model that tells a class for each pixel looks at large pictures.
        parts: Parts,
    },
    /// Get a picture ready for prompts: encode it, once for all; answered by [`Event::PromptReady`] or [`Event::Failed`].
    /// What was encoded is kept beside the weights and in memory; [`Command::Interrupt`] stops it between two blocks.
    OpenPrompt {
        /// A picture file.
        image: PathBuf,
        /// A run folder or checkpoint.
        from: PathBuf,
    },
    /// Write objects that a person accepted as a data set; answered by [`Event::DrawnSaved`].
    SaveDrawn {
        /// The pictures with their objects.
        pictures: Arc<Vec<Drawn>>,
        /// Names of the classes.
        classes: Vec<String>,
        /// How it is written.
        form: DrawnForm,
        /// The folder; where it is not empty, a new one in it.
        to: PathBuf,
    },
    /// Ask a promptable model about a picture; answered by [`Event::Masks`] or [`Event::Failed`]. Model and picture stay
    /// loaded for the next question.
    Ask {
        /// A picture file.
        image: PathBuf,
        /// A run folder or checkpoint.
        from: PathBuf,
        /// What is asked.
        question: MaskQuestion,
    },
    /// Write the boxes of predictions as pictures, YOLO text and COCO JSON; answered by [`Event::Saved`].
    SaveBoxes {
        /// The answers.
        predictions: Arc<Vec<Prediction>>,
        /// Which objects count; the detector's own choice without one.
        choice: Option<Choice>,
        /// The folder.
        to: PathBuf,
    },
    /// Write the masks of predictions as indexed PNG files, and pictures with the classes laid over them; answered by
    /// [`Event::Saved`].
    SaveMasks {
        /// The answers.
        predictions: Arc<Vec<Prediction>>,
        /// Least probability of the second of two classes; none for the likeliest class.
        least: Option<f32>,
        /// The folder.
        to: PathBuf,
    },
    /// Measure a run's best weights or a checkpoint on a data set; answered by [`Event::Evaluated`] or [`Event::Failed`].
    Evaluate {
        /// A run folder or checkpoint.
        from: PathBuf,
        /// The data set; none for the run's own, with the run's split.
        data: Option<DataSource>,
        /// Which of its pictures.
        which: Which,
    },
    /// Write a run's best weights or a checkpoint for elsewhere; answered by [`Event::Exported`].
    Export {
        /// A run folder or checkpoint.
        from: PathBuf,
        /// The file; its extension says the format ([`ExportFormat`]).
        to: PathBuf,
        /// What a detector's ONNX file gives.
        boxes: BoxOutput,
    },
    /// Do something about public weights; done beside everything else, also while a run trains.
    Weights(WeightsCommand),
    /// Stop what runs (opening, predicting): the same as [`Command::Cancel`] for everything but training.
    Interrupt,
}

/// The model that a checkpoint fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belongs {
    /// The checkpoint.
    pub file: PathBuf,
    /// The model's name in the registry.
    pub model: &'static str,
    /// Its name on screen.
    pub title: &'static str,
    /// Why the file does not fit the model that it was compared with, in a sentence.
    pub what: String,
}

/// What is asked about public weights. Each is answered by [`Event::Weights`].
#[derive(Clone, Debug)]
pub enum WeightsCommand {
    /// See which of a model's are on this machine.
    Look {
        /// The model's name in the registry.
        model: String,
    },
    /// Download them.
    Fetch {
        /// The model's name in the registry.
        model: String,
        /// The publisher's name of the entry.
        entry: String,
    },
    /// Stop that; what came is kept.
    Stop {
        /// The file's usual name.
        file: String,
    },
    /// Compare a file with what is published and put a copy into the weights folder.
    TakeIn {
        /// The file.
        path: PathBuf,
        /// The model's name in the registry.
        model: String,
        /// The publisher's name of the entry.
        entry: String,
    },
}

/// Where public weights stand.
#[derive(Clone, Debug, PartialEq)]
pub enum WeightsState {
    /// They are not on this machine.
    Absent,
    /// They are compared with what is published.
    Checking,
    /// They come.
    Fetching(Progress),
    /// They are here.
    Here {
        /// The file.
        path: PathBuf,
        /// What was compared with what, in words.
        proof: String,
    },
    /// One sentence: why there are none that can be used.
    Failed(String),
}

/// What the session says.
#[derive(Clone, Debug)]
pub enum Event {
    /// The device that computes.
    Device(DeviceInfo),
    /// Something that takes more than half a second; `total` 0 when unknown.
    Progress {
        /// What is being done.
        what: String,
        /// How much of it.
        done: usize,
        /// Of how much.
        total: usize,
    },
    /// What was announced by [`Event::Progress`] is over.
    Idle,
    /// A data set was read.
    DataReady(Arc<Dataset>),
    /// A checkpoint was compared with the model.
    CheckpointReady(Arc<LoadReport>),
    /// A checkpoint does not fit the model that it was compared with, but another one.
    CheckpointOfOther(Belongs),
    /// News of public weights.
    Weights {
        /// The file's usual name.
        file: String,
        /// Where they stand.
        state: WeightsState,
    },
    /// A run started.
    RunStarted(Arc<RunInfo>),
    /// A step was made. May be left out when the receiver is slow.
    Step(Box<StepNews>),
    /// An epoch ended.
    Epoch(Box<EpochNews>),
    /// What the model says of each validation picture after an epoch of the run.
    EpochEvaluated(Arc<Evaluation>),
    /// What the model says of the fixed validation pictures after this epoch.
    Samples {
        /// The epoch.
        epoch: u32,
        /// One entry for each fixed picture.
        samples: Arc<Vec<LiveSample>>,
    },
    /// A freeze plan took effect.
    FreezeChanged {
        /// After this step.
        step: u64,
        /// In this epoch, as a fraction.
        epoch: f64,
        /// The plan.
        plan: FreezePlan,
        /// Learnable values that train now.
        trainable: u64,
        /// In words: what changed, what starts fresh.
        note: String,
    },
    /// What the run's plan changes in later epochs was replaced, or stays as it was.
    TimelineChanged {
        /// After this step.
        step: u64,
        /// In this epoch, as a fraction.
        epoch: f64,
        /// The phases now.
        timeline: Vec<FreezePhase>,
        /// In words: what is planned, or why nothing changed.
        note: String,
    },
    /// The learning rate was set by hand.
    LrChanged {
        /// After this step.
        step: u64,
        /// In this epoch, as a fraction.
        epoch: f64,
        /// The new base learning rate.
        lr: f64,
    },
    /// A sweep of the learning rate started.
    SweepStarted {
        /// The plan that it is for.
        plan: Arc<Plan>,
        /// Which rates.
        sweep: LrSweep,
    },
    /// A step of the sweep was made.
    SweepPoint(LrPoint),
    /// The sweep ended.
    SweepDone {
        /// Rates to choose from.
        suggestions: LrSuggestions,
        /// Why it ended.
        end: SweepEnd,
    },
    /// Training waits.
    Paused,
    /// Training goes on.
    Resumed,
    /// A new best checkpoint was written.
    NewBest(Best),
    /// What a model says of pictures that a person gave.
    Predictions {
        /// The run's folder or the checkpoint that was asked; none for the network in training, or the one trained last.
        from: Option<PathBuf>,
        /// The answers.
        answers: Arc<Vec<Prediction>>,
    },
    /// A picture is ready for prompts.
    PromptReady(Arc<PromptOpened>),
    /// A data set of accepted objects was written.
    DrawnSaved(SavedSet),
    /// What a promptable model answers.
    Masks(Arc<MaskAnswer>),
    /// What a model is worth on a data set.
    Evaluated(Arc<Evaluation>),
    /// What became of an export.
    Exported(Arc<Exported>),
    /// A file was written.
    Saved {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// How much of features lies on disk.
    FeaturesKept(FeaturesKept),
    /// Memory that the device's pool holds, in bytes, where the backend knows.
    Memory {
        /// In use.
        used: u64,
    },
    /// A file that broke since it was checked, or something else that a person should know.
    Warning(Issue),
    /// A line for the console.
    Log(String),
    /// What was asked could not be done; the state before it holds.
    Failed {
        /// One sentence with the cause.
        what: String,
        /// Whether a run was stopped by it.
        run_stopped: bool,
    },
    /// A run ended.
    Done {
        /// How.
        ending: Ending,
        /// The best checkpoint, if an epoch was finished.
        best: Option<Best>,
        /// The checkpoint file that was kept as best.
        checkpoint: Option<PathBuf>,
    },
}
