//! Headless training: plan, loop, losses, metrics, checkpoints, proof, predictions.

mod plan;
mod prediction;

pub use plan::{
    ClassWeights, DataSource, Decay, DeviceChoice, EarlyStop, OptimizerChoice, Plan, ValChoice, WeightsSource,
};
pub use prediction::{Answer, ClassScore, HeadPrediction, Prediction};
