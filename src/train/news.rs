//! What a run tells: small plain values, never a tensor.

use super::features::Verdict;
use super::plan::Plan;
use super::prediction::{Answer, HeadPrediction, Prediction};
use crate::data::{BoxTarget, Label, LabelColumn, Target};
use crate::graph::Graph;
use crate::weights::LoadReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What is known when a run starts.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// The run's folder.
    pub folder: PathBuf,
    /// What decides it.
    pub plan: Plan,
    /// The network.
    pub graph: Arc<Graph>,
    /// Class names of the first head.
    pub classes: Vec<String>,
    /// What each label head tells, in turn.
    pub columns: Vec<LabelColumn>,
    /// Pictures to train on.
    pub train_images: usize,
    /// Pictures to validate on.
    pub val_images: usize,
    /// Steps of the optimizer in an epoch.
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
    /// What is cached of the frozen part; none where nothing is.
    pub cache: Option<Verdict>,
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

/// One step of the optimizer.
#[derive(Clone, Debug, Serialize)]
pub struct StepNews {
    /// Steps since the start of the run, from 1.
    pub step: u64,
    /// Epoch, from 1.
    pub epoch: u32,
    /// `total` and each loss by name: those of its batch, or their mean where it has several.
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
    /// Whether it was the first of its shape, which also prepares kernels and memory: left out of `images_per_s` and of
    /// the time that is left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub warm_up: bool,
}

/// One epoch, validation included; epoch 0 is the state before training.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
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
    /// Confusion counts of the first classification head, `[truth][prediction]`; empty beyond 200 classes.
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
    /// What is known of it, for each label head in turn.
    pub truth: Vec<Label>,
    /// The objects in it, in pixels of the picture, where they are known.
    pub objects: Option<Vec<BoxTarget>>,
    /// What the model says.
    pub prediction: Prediction,
}

impl LiveSample {
    /// Of sample `index` with this target.
    #[must_use]
    pub fn new(index: usize, target: &Target, prediction: Prediction) -> Self {
        Self { index, truth: target.labels.clone(), objects: target.boxes.clone(), prediction }
    }

    /// Bytes that its masks take, about.
    #[must_use]
    pub fn mask_bytes(&self) -> usize {
        let bytes = |head: &HeadPrediction| if let Answer::Mask(mask) = &head.answer { mask.bytes() } else { 0 };
        self.prediction.heads.iter().map(bytes).sum()
    }

    /// The same without the probabilities of masks: a past epoch shows its classes still.
    #[must_use]
    pub fn without_scores(&self) -> Self {
        let mut thin = self.clone();
        for head in &mut thin.prediction.heads {
            if let Answer::Mask(mask) = &mut head.answer {
                *mask = Arc::new(mask.without_scores());
            }
        }
        thin
    }

    /// The true class of the first label head, if there is one.
    #[must_use]
    pub fn class(&self) -> Option<u32> {
        self.truth.first().and_then(Label::class)
    }
}

/// The best checkpoint so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its metric's name.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Its epoch.
    pub epoch: u32,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The last line of a run's `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How it ended.
    pub ending: Ending,
}
