//! Headless training: plan, loop, losses, metrics, checkpoints, proof, predictions.

mod news;
mod optim;
mod plan;
mod prediction;

pub use news::{Best, Ending, EpochNews, LiveSample, RunInfo, StepNews, StepTimes};
pub use optim::{Optimizer, OptimizerState, TensorState, global_norm};
pub use plan::{
    ClassWeights, DataSource, Decay, DeviceChoice, EarlyStop, OptimizerChoice, Plan, ValChoice, WeightsSource,
};
pub use prediction::{Answer, ClassScore, HeadPrediction, Prediction};
