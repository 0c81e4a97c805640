//! From batches to steps of the optimizer, and what is told of a step.

use super::{Control, Observer, Trainer};
use crate::data::batch::Batch;
use crate::train::news::StepNews;
use crate::train::schedule::learning_rate;
use crate::train::setup::Setup;
use crate::train::step::{PendingStep, Rates, StepFailure, StepResult};
use burn::tensor::Tensor;
use std::time::Instant;

/// The step that is being made.
#[derive(Debug, Default)]
pub(super) struct Making {
    pending: PendingStep,
    /// Its pictures.
    names: Vec<String>,
    data_ms: f64,
    /// Before the forward passes.
    before_ms: f64,
    seconds: f64,
    pictures: usize,
    /// Whether one of its batches is the first of its shape.
    warm_up: bool,
}

impl Trainer {
    fn batches_per_epoch(&self) -> usize {
        self.epoch_len.div_ceil(self.setup.plan.batch)
    }

    /// Batches are taken together in their order from the start of the epoch; the last step of an epoch takes what is left.
    pub(super) fn steps_per_epoch(&self) -> usize {
        self.batches_per_epoch().div_ceil(self.setup.plan.accumulate)
    }

    pub(super) fn epoch_position(&self) -> f64 {
        let steps = self.position.batch_in_epoch.div_ceil(self.setup.plan.accumulate);
        f64::from(self.position.epoch) + steps as f64 / self.steps_per_epoch().max(1) as f64
    }

    /// Whether no step is half made.
    pub(super) fn is_between_steps(&self) -> bool {
        let taken = self.position.batch_in_epoch;
        taken.is_multiple_of(self.setup.plan.accumulate) || taken >= self.batches_per_epoch()
    }

    /// Between two batches of one step questions are answered; what changes the run is kept for the end of the step.
    pub(super) fn hold(&mut self, observer: &mut dyn Observer) {
        let ends = |control: &Control| matches!(control, Control::Cancel | Control::Finish);
        while !self.held.back().is_some_and(ends)
            && let Some(control) = observer.poll(&self.setup.network, &self.run, false)
        {
            self.held.push_back(control);
        }
    }

    /// Adds a batch to the step.
    pub(super) fn take_batch(
        &mut self,
        making: &mut Making,
        batch: &Batch,
        names: Vec<String>,
        data_ms: f64,
    ) -> Result<(), String> {
        let Setup { network, plan, .. } = &mut self.setup;
        making.names.extend(names);
        let start = Instant::now();
        let closing = plan.augment.is_closing(self.position.epoch, plan.epochs);
        let given = self.features.given(network, batch);
        making.before_ms += start.elapsed().as_secs_f64() * 1e3;
        let losses = given.map_err(StepFailure::from).and_then(|given| {
            making.pending.add(network, (batch, &given), &self.options, plan, self.position.step, closing)
        });
        let losses = losses.map_err(|failure| self.explain(failure, &making.names))?;
        making.data_ms += data_ms;
        making.seconds += start.elapsed().as_secs_f64() + data_ms / 1e3;
        making.pictures += batch.len();
        making.warm_up |= self.warm.insert((batch.len(), batch.images.as_ref().map(Tensor::dims)));
        for (name, value) in losses {
            *self.position.loss_sums.entry(name).or_default() += value;
        }
        Ok(())
    }

    /// Moves the weights and tells of it; without a readable batch nothing happens.
    pub(super) fn make_step(&mut self, making: Making, observer: &mut dyn Observer) -> Result<(), String> {
        let Making { pending, names, data_ms, before_ms, seconds, pictures, warm_up } = making;
        if pending.is_empty() {
            return Ok(());
        }
        let per_epoch = self.steps_per_epoch();
        let Setup { network, plan, .. } = &mut self.setup;
        let total = u64::from(plan.epochs) * per_epoch as u64;
        let phase = plan.phase(self.position.epoch + 1);
        let scheduled = learning_rate(plan, self.position.step, per_epoch, total) * phase.lr_factor;
        // A rate set by hand replaces the plan's base; the schedule's shape and the phase's factor stay.
        let lr = self.position.lr.map_or(scheduled, |own| scheduled / plan.lr * own);
        let start = Instant::now();
        let result = pending.finish(network, &mut self.optimizer, plan, Rates { base: lr, stages: phase.stage_lr });
        let StepResult { losses, grad_norm, mut ms } = result.map_err(|failure| self.explain(failure, &names))?;
        ms.data = data_ms;
        ms.forward += before_ms;
        let seconds = seconds + start.elapsed().as_secs_f64();
        let speed = pictures as f64 / seconds.max(1e-9);
        let images_per_s = match self.images_per_s {
            0.0 => speed,
            known if warm_up => known,
            known => 0.8 * known + 0.2 * speed,
        };
        if !warm_up {
            self.images_per_s = images_per_s;
        }
        self.position.step += 1;
        observer.step(StepNews {
            step: self.position.step,
            epoch: self.position.epoch + 1,
            losses,
            lr,
            images_per_s,
            ms,
            grad_norm,
            warm_up,
        });
        Ok(())
    }

    fn explain(&self, failure: StepFailure, names: &[String]) -> String {
        let step = self.position.step + 1;
        match failure {
            StepFailure::NotFinite { what } => format!(
                "Step {step} gave a number that is not finite ({what}); the pictures were {}. Lower the learning rate or \
                 clip the gradient, and resume the run from its last checkpoint.",
                names.join(", ")
            ),
            StepFailure::Run(error) => format!("Step {step} failed: {error}."),
        }
    }
}
