//! What goes in and out of a session: small plain values, never a tensor.

use crate::data::{Dataset, Issue};
use crate::graph::{FreezePlan, Graph};
use crate::train::{Plan, Prediction, ValChoice};
use crate::weights::LoadReport;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

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
    },
    /// Open the built-in sample.
    OpenSample,
    /// Compare a checkpoint file with a model; answered by [`Event::CheckpointReady`] or [`Event::Failed`].
    InspectCheckpoint {
        /// The file.
        path: PathBuf,
        /// The model's name in the registry.
        model: String,
        /// Number of classes of the head to be.
        classes: usize,
    },
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
    /// Set the base learning rate while training.
    SetLr(f64),
    /// Say what the model sees in pictures, with the run's current weights or a finished run's best.
    Predict {
        /// Picture files.
        images: Vec<PathBuf>,
        /// A run folder or checkpoint to use instead of the current weights.
        from: Option<PathBuf>,
    },
    /// Write a checkpoint of the current weights under torch's names.
    Export {
        /// The `.safetensors` file.
        to: PathBuf,
    },
    /// Stop what runs (opening, predicting): the same as [`Command::Cancel`] for everything but training.
    Interrupt,
}

/// The device that a session computes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// The adapter's or processor's name.
    pub name: String,
    /// `cpu` or `wgpu`.
    pub kind: String,
    /// The graphics API of an adapter, such as Vulkan; empty for the processor.
    pub api: String,
    /// Whether the adapter is a software renderer (slow, shown in red).
    pub software: bool,
    /// Why this device was taken, where that needs saying.
    pub note: String,
}

/// What is known when a run starts.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// The run's folder.
    pub folder: PathBuf,
    /// What decides it.
    pub plan: Plan,
    /// The network.
    pub graph: Arc<Graph>,
    /// Class names.
    pub classes: Vec<String>,
    /// Pictures to train on.
    pub train_images: usize,
    /// Pictures to validate on.
    pub val_images: usize,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// Learnable values.
    pub params: u64,
    /// Learnable values that train.
    pub trainable: u64,
    /// The metric that picks the best checkpoint.
    pub best_by: String,
    /// How the weights were loaded, if a checkpoint was.
    pub load: Option<Arc<LoadReport>>,
    /// The first epoch of this execution: more than 0 for a resumed run.
    pub first_epoch: u32,
}

/// Where the time of a step went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StepTimes {
    /// Waiting for pictures.
    pub data: f64,
    /// Forward pass and losses.
    pub forward: f64,
    /// Gradients.
    pub backward: f64,
    /// New weights.
    pub optimizer: f64,
}

/// One training step.
#[derive(Clone, Debug, Serialize)]
pub struct StepNews {
    /// Steps since the start of the run, from 1.
    pub step: u64,
    /// Epoch, from 1.
    pub epoch: u32,
    /// `total` and each loss by name.
    pub losses: BTreeMap<String, f64>,
    /// Base learning rate of the step.
    pub lr: f64,
    /// Pictures in a second, smoothed.
    pub images_per_s: f64,
    /// Where the time went.
    pub ms: StepTimes,
    /// Global norm of the gradient before clipping, if it was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grad_norm: Option<f64>,
}

/// One epoch, validation included; epoch 0 is the state before training.
#[derive(Clone, Debug, Serialize, serde::Deserialize, PartialEq)]
pub struct EpochNews {
    /// Epoch, 0 before training.
    pub epoch: u32,
    /// Mean training losses by name; empty for epoch 0.
    pub train: BTreeMap<String, f64>,
    /// Validation losses by name.
    pub val: BTreeMap<String, f64>,
    /// Validation metrics: `top1`, `top5`, `miou`, …; those of further heads under `head/metric`.
    pub metrics: BTreeMap<String, f64>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Whether every frozen tensor was compared with its digest at the start and found unchanged.
    pub frozen_verified: bool,
    /// How many tensors that were.
    #[serde(default)]
    pub frozen_tensors: usize,
    /// Whether features came from the cache.
    pub cached: bool,
    /// Confusion counts of the first classification head, `[truth][prediction]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<u32>>,
    /// Paths of nodes that were frozen during the epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<String>,
}

/// What the model says of one fixed validation picture.
#[derive(Clone, Debug)]
pub struct LiveSample {
    /// Index in the data set's samples.
    pub index: usize,
    /// The true class, if there is one.
    pub truth: Option<u32>,
    /// What the model says.
    pub prediction: Prediction,
}

/// The best checkpoint so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// Its metric's name.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Its epoch.
    pub epoch: u32,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All epochs are done.
    Completed,
    /// No gain for as many epochs as the plan allows.
    EarlyStop,
    /// Finished by hand; the best weights are kept.
    Finished,
    /// Cancelled by hand.
    Cancelled,
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
    /// A run started.
    RunStarted(Arc<RunInfo>),
    /// A step was made. May be left out when the receiver is slow.
    Step(Box<StepNews>),
    /// An epoch ended.
    Epoch(Box<EpochNews>),
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
    /// The learning rate was set by hand.
    LrChanged {
        /// After this step.
        step: u64,
        /// In this epoch, as a fraction.
        epoch: f64,
        /// The new base learning rate.
        lr: f64,
    },
    /// Training waits.
    Paused,
    /// Training goes on.
    Resumed,
    /// A new best checkpoint was written.
    NewBest(Best),
    /// What the model says of pictures that a person gave.
    Predictions(Arc<Vec<Prediction>>),
    /// A file was written.
    Saved {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
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
