//! One training step: forward, losses, gradients of one batch or of several, new weights.

use super::detection;
use super::features::Given;
use super::losses::{self, LossOptions, Terms};
use super::news::StepTimes;
use super::optim::{Optimizer, global_norm};
use super::plan::Plan;
use super::predict::host;
use super::recompute::Kept;
use super::segmentation::prompt::Ends;
use super::segmentation::teach::{Lesson, teach};
use crate::data::batch::Batch;
use crate::graph::{Node, Segments, TensorSpec};
use crate::models::{Mode, Network, SeeTensors};
use crate::nn::{Ctx, RunError, Value};
use crate::rng::Rng;
use burn::module::Param;
use burn::tensor::{Gradients, Tensor};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// What a step gave.
#[derive(Clone, Debug)]
pub struct StepResult {
    /// `total` and each loss by name, the mean over the batches of the step.
    pub losses: BTreeMap<String, f64>,
    /// Global norm of the gradient before clipping, if the plan clips.
    pub grad_norm: Option<f64>,
    /// Where the time went; the wait for pictures is not known here.
    pub ms: StepTimes,
}

/// Why a step failed.
#[derive(Clone, Debug)]
pub enum StepFailure {
    /// A loss or gradient is not finite; names the first bad tensor where one is found. What trains is as before; running
    /// statistics of batch norm may have moved.
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
}

/// A step whose batches come one after the other: their gradients are summed, no graph is kept from batch to batch, and
/// the weights move at the end by the mean. Batch norm sees each batch by itself, and its running statistics move with each.
#[derive(Default)]
pub struct PendingStep {
    /// Sums by parameter.
    grads: Option<Gradients>,
    /// Sums by name.
    losses: BTreeMap<String, f64>,
    batches: usize,
    forward: Duration,
    backward: Duration,
}

impl fmt::Debug for PendingStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingStep")
            .field("batches", &self.batches)
            .field("losses", &self.losses)
            .finish_non_exhaustive()
    }
}

impl PendingStep {
    /// Whether no batch has come yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches == 0
    }

    /// Takes a batch in, from what is given of it by a feature cache, and tells its losses. `step` is the number of the
    /// step (from 0, for dropout); `closing` whether the epochs have begun in which a run closes: a detector's boxes are then
    /// drawn to exact places too.
    ///
    /// # Errors
    /// When a loss is not finite, or the device fails.
    pub fn add(
        &mut self,
        network: &mut Network,
        (batch, given): (&Batch, &Given),
        options: &LossOptions,
        plan: &Plan,
        step: u64,
        closing: bool,
    ) -> Result<BTreeMap<String, f64>, StepFailure> {
        let start = Instant::now();
        let graph = std::sync::Arc::clone(network.graph());
        let pictures = detection::pictures(batch);
        // Each batch of a run draws its own numbers.
        let number = step * plan.accumulate as u64 + self.batches as u64;
        let mut ctx = Ctx { pictures, input: batch.size, ..Ctx::of_step(plan.seed, number) };
        ctx.pictures.closing = closing;
        let Outcome { terms, total, kept, backward: taken } = match Ends::of(&graph) {
            Some(ends) => asked(network, ends, (batch, given), options, plan, number, &mut ctx)?,
            None => looked(network, (batch, given), options, plan.recompute, &mut ctx)?,
        };
        let losses = super::validate::named(&graph, &terms, options)?;
        let forward = start.elapsed().saturating_sub(taken);
        if let Some((name, _)) = losses.iter().find(|(_, value)| !value.is_finite()) {
            return Err(StepFailure::NotFinite { what: format!("the loss {name}") });
        }
        let mut grads = total.backward();
        drop((terms, total));
        let join = |before, grads: &mut Gradients| network.see_tensors(&mut AddUp { before, grads });
        if let Some(kept) = kept {
            grads = kept.backward(network, grads, &mut ctx, join)?;
        }
        if let Some(before) = self.grads.take() {
            join(before, &mut grads);
        }
        synced(network)?;
        network.apply_statistics(ctx);
        self.grads = Some(grads);
        self.batches += 1;
        for (name, value) in &losses {
            *self.losses.entry(name.clone()).or_default() += value;
        }
        self.forward += forward;
        self.backward += start.elapsed() - forward;
        Ok(losses)
    }

    /// Moves the weights by the mean of the gradients; without a batch nothing moves.
    ///
    /// # Errors
    /// When the clipped gradient is not finite, or the device fails.
    pub fn finish(
        self,
        network: &mut Network,
        optimizer: &mut Optimizer,
        plan: &Plan,
        rates: Rates<'_>,
    ) -> Result<StepResult, StepFailure> {
        let start = Instant::now();
        let Self { grads, mut losses, batches, forward, mut backward } = self;
        losses.values_mut().for_each(|sum| *sum /= batches.max(1) as f64);
        let mut grad_norm = None;
        let mut optimizing = Duration::ZERO;
        if let Some(grads) = grads {
            let share = 1.0 / batches.max(1) as f64;
            let mut factor = share;
            if let Some(limit) = plan.clip_norm
                && let Some(norm) = mean_norm(network, &grads, share)?
            {
                // torch's `clip_grad_norm_`
                factor *= (limit / (norm + 1e-6)).min(1.0);
                grad_norm = Some(norm);
            }
            let scale = (factor < 1.0).then_some(factor as f32);
            let clipped = start.elapsed();
            let Rates { base, stages } = rates;
            let of = |node: &Node| stages.get(&node.stage).or_else(|| stages.get(&node.path)).copied();
            optimizer.step(network, grads, scale, &|node| base * of(node).unwrap_or(1.0));
            synced(network)?;
            backward += clipped;
            optimizing = start.elapsed() - clipped;
        }
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let ms = StepTimes {
            data: 0.0,
            forward: millis(forward),
            backward: millis(backward),
            optimizer: millis(optimizing),
        };
        Ok(StepResult { losses, grad_norm, ms })
    }
}

fn synced(network: &Network) -> Result<(), RunError> {
    network.device().sync().map_err(|error| RunError::Device(format!("{error:?}")))
}

/// Adds the sums of the batches before to the gradients of a batch.
struct AddUp<'a> {
    before: Gradients,
    grads: &'a mut Gradients,
}

impl SeeTensors for AddUp<'_> {
    fn see<const D: usize>(&mut self, _: &TensorSpec, param: &Param<Tensor<D>>) {
        let value = param.val();
        let Some(before) = value.grad_remove(&mut self.before) else { return };
        // A batch may have no gradient for a weight, such as one without objects for the weights of boxes.
        let sum = match value.grad_remove(self.grads) {
            Some(grad) => before + grad,
            None => before,
        };
        value.grad_replace(self.grads, sum);
    }
}

/// The losses of a batch, and what its gradients come from.
struct Outcome {
    terms: Terms,
    total: Tensor<1>,
    /// What is to be run again for the other gradients.
    kept: Option<Kept>,
    /// Time that gradients took already.
    backward: Duration,
}

/// All heads on the pictures once.
fn looked(
    network: &Network,
    (batch, given): (&Batch, &Given),
    options: &LossOptions,
    recompute: bool,
    ctx: &mut Ctx,
) -> Result<Outcome, RunError> {
    let graph = network.graph();
    let images = batch.images.as_ref();
    let (kept, outputs) = if recompute {
        let segments = Segments::of(graph, network.facts(), &network.frontier());
        let (kept, outputs) = Kept::forward(network, images, given, &segments, ctx)?;
        (Some(kept), outputs)
    } else {
        (None, network.forward_from(images, given, Mode::Train, ctx)?)
    };
    let terms = losses::losses(graph, &outputs, batch, options, ctx)?;
    let none = || RunError::Description("the network has no head".to_owned());
    let total = losses::total(graph, &terms.heads, options).ok_or_else(none)?;
    Ok(Outcome { terms, total, kept, backward: Duration::ZERO })
}

/// Prompts about the pictures, drawn by the batch's number.
fn asked(
    network: &Network,
    ends: Ends,
    seen: (&Batch, &Given),
    options: &LossOptions,
    plan: &Plan,
    number: u64,
    ctx: &mut Ctx,
) -> Result<Outcome, RunError> {
    let seed = Rng::keyed(Rng::from_words(plan.seed, &[number]).next_u64(), "prompts").next_u64();
    let Lesson { terms, total, backward } = teach(network, ends, seen, options, &plan.prompting, seed, ctx)?;
    Ok(Outcome { terms, total, kept: None, backward })
}

/// The global norm of the gradient that is this share of the sums; none when nothing has a gradient.
fn mean_norm(network: &Network, sums: &Gradients, share: f64) -> Result<Option<f64>, StepFailure> {
    let Some(norm) = global_norm(network, sums) else { return Ok(None) };
    let value = host(&Value::Vector(norm.unsqueeze()))?.first().copied().map_or(0.0, f64::from);
    if !value.is_finite() {
        let what = first_not_finite(network, sums).unwrap_or_else(|| "the gradient's norm".to_owned());
        return Err(StepFailure::NotFinite { what });
    }
    Ok(Some(value * share))
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
