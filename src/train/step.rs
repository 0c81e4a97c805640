//! One training step: forward, losses, gradients, new weights.

use super::detection;
use super::features::Given;
use super::losses::{self, LossOptions, Terms};
use super::news::StepTimes;
use super::optim::{Optimizer, global_norm};
use super::plan::Plan;
use super::predict::host;
use super::segmentation::prompt::Ends;
use super::segmentation::teach::{Lesson, teach};
use crate::data::batch::Batch;
use crate::graph::{Node, TensorSpec};
use crate::models::{Mode, Network, SeeTensors};
use crate::nn::{Ctx, RunError, Value};
use crate::rng::Rng;
use burn::module::Param;
use burn::tensor::{Gradients, Tensor};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a step gave.
#[derive(Clone, Debug)]
pub struct StepResult {
    /// `total` and each loss by name.
    pub losses: BTreeMap<String, f64>,
    /// Global norm of the gradient before clipping, if the plan clips.
    pub grad_norm: Option<f64>,
    /// Where the time went; the wait for pictures is not known here.
    pub ms: StepTimes,
}

/// Why a step failed.
#[derive(Clone, Debug)]
pub enum StepFailure {
    /// A loss or gradient is not finite; names the first bad tensor where one is found. The weights are as before.
    NotFinite {
        /// What is not finite.
        what: String,
    },
    /// The network could not be run.
    Run(RunError),
}

impl From<RunError> for StepFailure {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

/// The learning rates of a step.
#[derive(Clone, Copy, Debug)]
pub struct Rates<'a> {
    /// Of what has no factor.
    pub base: f64,
    /// Factors by stage.
    pub stages: &'a BTreeMap<String, f64>,
    /// Whether the epochs have begun in which a run closes: a detector's boxes are then drawn to exact places too.
    pub closing: bool,
}

/// Makes the step with this number (from 0, for dropout) on a batch, from what is given of it by a feature cache.
///
/// # Errors
/// When a loss or the clipped gradient is not finite, or the device fails.
pub fn train_step(
    network: &mut Network,
    optimizer: &mut Optimizer,
    (batch, given): (&Batch, &Given),
    options: &LossOptions,
    plan: &Plan,
    step: u64,
    rates: Rates<'_>,
) -> Result<StepResult, StepFailure> {
    let start = Instant::now();
    let graph = std::sync::Arc::clone(network.graph());
    let pictures = detection::pictures(batch);
    let mut ctx = Ctx { pictures, input: batch.size, ..Ctx::of_step(plan.seed, step) };
    ctx.pictures.closing = rates.closing;
    let Outcome { terms, total, backward: taken } = match Ends::of(&graph) {
        Some(ends) => asked(network, ends, (batch, given), options, plan, step, &mut ctx)?,
        None => looked(network, (batch, given), options, &mut ctx)?,
    };
    let losses = super::validate::named(&graph, &terms, options)?;
    let forward = start.elapsed().saturating_sub(taken);
    if let Some((name, _)) = losses.iter().find(|(_, value)| !value.is_finite()) {
        return Err(StepFailure::NotFinite { what: format!("the loss {name}") });
    }
    let grads = total.backward();
    drop((terms, total));
    let (scale, grad_norm) = match plan.clip_norm {
        Some(limit) => clip(network, &grads, limit)?,
        None => (None, None),
    };
    network.device().sync().map_err(|error| RunError::Device(format!("{error:?}")))?;
    let backward = start.elapsed() - forward;
    network.apply_statistics(ctx);
    let Rates { base, stages, .. } = rates;
    let factor = |node: &Node| stages.get(&node.stage).or_else(|| stages.get(&node.path)).copied();
    optimizer.step(network, grads, scale, &|node| base * factor(node).unwrap_or(1.0));
    network.device().sync().map_err(|error| RunError::Device(format!("{error:?}")))?;
    let all = start.elapsed();
    let ms = StepTimes {
        data: 0.0,
        forward: forward.as_secs_f64() * 1e3,
        backward: backward.as_secs_f64() * 1e3,
        optimizer: (all - forward - backward).as_secs_f64() * 1e3,
    };
    Ok(StepResult { losses, grad_norm, ms })
}

/// The losses of a step, and what its gradients come from.
struct Outcome {
    terms: Terms,
    total: Tensor<1>,
    /// Time that gradients took already.
    backward: Duration,
}

/// All heads on the pictures once.
fn looked(
    network: &Network,
    (batch, given): (&Batch, &Given),
    options: &LossOptions,
    ctx: &mut Ctx,
) -> Result<Outcome, RunError> {
    let graph = network.graph();
    let outputs = network.forward_from(batch.images.as_ref(), given, Mode::Train, ctx)?;
    let terms = losses::losses(graph, &outputs, batch, options, ctx)?;
    let none = || RunError::Description("the network has no head".to_owned());
    let total = losses::total(graph, &terms.heads, options).ok_or_else(none)?;
    Ok(Outcome { terms, total, backward: Duration::ZERO })
}

/// Prompts about the pictures.
fn asked(
    network: &Network,
    ends: Ends,
    seen: (&Batch, &Given),
    options: &LossOptions,
    plan: &Plan,
    step: u64,
    ctx: &mut Ctx,
) -> Result<Outcome, RunError> {
    let seed = Rng::keyed(Rng::from_words(plan.seed, &[step]).next_u64(), "prompts").next_u64();
    let Lesson { terms, total, backward } = teach(network, ends, seen, options, &plan.prompting, seed, ctx)?;
    Ok(Outcome { terms, total, backward })
}

/// torch's `clip_grad_norm_`: the factor `min(1, limit / (norm + 1e-6))`, and the norm.
fn clip(network: &Network, grads: &Gradients, limit: f64) -> Result<(Option<Tensor<1>>, Option<f64>), StepFailure> {
    let Some(norm) = global_norm(network, grads) else { return Ok((None, None)) };
    let value = host(&Value::Vector(norm.unsqueeze()))?.first().copied().map_or(0.0, f64::from);
    if !value.is_finite() {
        let what = first_not_finite(network, grads).unwrap_or_else(|| "the gradient's norm".to_owned());
        return Err(StepFailure::NotFinite { what });
    }
    let factor = limit / (value + 1e-6);
    let scale = (factor < 1.0).then(|| Tensor::<1>::from_floats([factor as f32], network.device()));
    Ok((scale, Some(value)))
}

fn first_not_finite(network: &Network, grads: &Gradients) -> Option<String> {
    let mut see = NotFinite { grads, found: None };
    network.see_tensors(&mut see);
    see.found
}

struct NotFinite<'a> {
    grads: &'a Gradients,
    found: Option<String>,
}

impl SeeTensors for NotFinite<'_> {
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>) {
        if self.found.is_some() {
            return;
        }
        let Some(grad) = param.val().grad(self.grads) else { return };
        let count = grad.shape().num_elements();
        if let Ok(values) = host(&Value::Vector(grad.reshape([1, count])))
            && values.iter().any(|value| !value.is_finite())
        {
            self.found = Some(format!("the gradient of {}", spec.name));
        }
    }
}
