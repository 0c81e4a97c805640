//! Headless training: plan, loop, losses, metrics, checkpoints, proof, predictions.

mod builtin;
pub mod detection;
pub mod device;
mod evaluation;
mod export;
pub mod features;
mod folder;
pub mod losses;
mod lr_finder;
mod metrics;
mod multi_label;
mod news;
mod optim;
mod origin;
mod plan;
mod predict;
mod prediction;
mod presets;
mod proof;
pub mod public;
mod recognize;
mod recompute;
pub mod remote;
mod run;
mod schedule;
pub mod segmentation;
pub mod self_test;
mod setup;
mod step;
mod timeline;
mod validate;

pub use builtin::{sample_plan, with_data};
pub use device::DeviceInfo;
pub use evaluation::{
    Averages, BINS, Bin, ClassScores, Evaluation, HeadResults, LabelResult, PictureResult, Reliability, Told, Which,
    bin_of, class_scores, evaluate, macro_average, reliability, save_backbone, weighted_average, worst_pairs,
};
pub use export::{ExportCheck, ExportFormat, Exported, HeadCheck, export_model};
pub use features::{CacheChoice, CacheMode, Features};
pub use folder::{Position, RunFile, RunFolder, export};
pub use lr_finder::{LrFound, LrPoint, LrSuggestions, LrSweep, SweepEnd, find_lr, suggest};
pub use metrics::{Counts, default_metric, higher_is_better};
pub use news::{Best, Ending, EpochNews, LiveSample, RunInfo, StepNews, StepTimes};
pub use optim::{Optimizer, OptimizerState, TensorState, global_norm};
pub use origin::{About, about_weights, inspect_weights, named_classes, open_weights, starting_from_run, weights_file};
pub use plan::{
    ClassWeights, DataSource, Decay, DeviceChoice, EarlyStop, OptimizerChoice, Plan, ValChoice, WeightsSource,
};
pub use predict::{decode, host, predict, predict_in_parts};
pub use prediction::{Answer, BoxScore, Boxes, Choice, ClassScore, HeadPrediction, PRESENT, Prediction};
pub use presets::{MASK_LOSSES, SchedulePreset, backbone_stages, falling_rates};
pub use proof::Proof;
pub use recognize::{Found, Misfit, Near, Stranger, classes_in_file, recognize};
pub use run::{Control, Observer, Summary, Trainer};
pub use schedule::learning_rate;
pub use self_test::{Opened, SelfTest};
pub use setup::{Setup, head_plans, load_into, open_data, open_model, wanted};
pub use step::{PendingStep, Rates, StepFailure, StepResult};
pub use timeline::{FreezePhase, InForce};
pub use validate::{Pass, Validation, pinned, validate};
