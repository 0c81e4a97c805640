//! What ends an epoch: validation, the proof, the best epoch, checkpoints, patience.

use super::{CHECKPOINT_APART, CHECKPOINT_LATEST, Checked, Control, Observer, Trainer};
use crate::data::Split;
use crate::models::HostTensor;
use crate::nn::RunError;
use crate::train::detection::diagnose;
use crate::train::features::Counts;
use crate::train::metrics::higher_is_better;
use crate::train::news::{Best, Ending, EpochNews};
use crate::train::validate::{Pass, Validation, validate};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Beyond this many classes an epoch's record holds no counts: a million cells for a thousand classes, after each epoch. The
/// results of the last and the best epoch hold them picture by picture.
const COUNTED: usize = 200;

impl Trainer {
    pub(super) fn validate(&mut self, observer: &mut dyn Observer) -> Result<Checked, String> {
        let pass = Pass {
            dataset: &self.setup.dataset,
            split: Split::Val,
            rule: &self.setup.rule,
            batch: self.setup.plan.batch,
            cache: &self.cache,
            pinned: &self.pinned,
            options: &self.options,
            features: Some(&self.features),
        };
        let (network, run) = (&self.setup.network, &self.run);
        let mut held: Vec<Control> = Vec::new();
        let mut stopped = None;
        let mut waiting = false;
        let mut go_on = |done: usize, total: usize| {
            observer.progress("validating", done, total);
            loop {
                match observer.poll(network, run, waiting) {
                    Some(Control::Cancel) => stopped = Some(Ending::Cancelled),
                    Some(Control::Finish) => stopped = Some(Ending::Finished),
                    Some(pause @ (Control::Pause | Control::Resume)) => {
                        let wait = matches!(pause, Control::Pause);
                        if wait != waiting {
                            observer.paused(wait);
                        }
                        waiting = wait;
                    }
                    // Everything else takes effect at the next step.
                    Some(other) => held.push(other),
                    None if waiting => {}
                    None => break,
                }
                if stopped.is_some() {
                    break;
                }
            }
            stopped.is_none()
        };
        let found = validate(network, &pass, &mut go_on).map_err(|error| format!("Validation failed: {error}."))?;
        for control in held {
            self.apply(control, observer)?;
        }
        let Some(mut found) = found else {
            return Ok(Checked::Stopped(stopped.unwrap_or(Ending::Cancelled)));
        };
        self.features.take_notes().into_iter().for_each(|note| observer.log(format!("feature cache: {note}")));
        self.cache.take_note().into_iter().for_each(|note| observer.log(note));
        found.failed.drain(..).for_each(|issue| observer.warning(issue));
        Ok(Checked::Found(Box::new(found)))
    }

    pub(super) fn close_epoch(
        &mut self,
        observer: &mut dyn Observer,
        (train, counts): (BTreeMap<String, f64>, Counts),
        mut found: Validation,
        start: Instant,
    ) -> Result<(), String> {
        let epoch = self.position.epoch;
        // What is written is what is proved. (Those of the epoch before are not wanted any more, nor their memory.)
        self.unsaved = None;
        let tensors = self.setup.network.tensors().map_err(|error: RunError| error.to_string())?;
        unmoved(&self.position.proof.moved_among(&tensors), epoch)?;
        let evaluation = Arc::new(self.evaluation(&mut found, start.elapsed()));
        let metric = match self.best_by.as_str() {
            "loss" => found.losses.get("total").copied(),
            name => found.metrics.get(name).copied(),
        };
        let news = EpochNews {
            epoch,
            train,
            val: found.losses,
            metrics: found.metrics,
            seconds: start.elapsed().as_secs_f64(),
            frozen_verified: true,
            frozen_tensors: self.position.proof.digests.len(),
            cached: counts.hits > 0 && counts.misses == 0,
            confusion: if found.confusion.len() > COUNTED { Vec::new() } else { found.confusion },
            frozen: self.position.freeze.frozen.iter().cloned().collect(),
        };
        if news.metrics.get("ap") == Some(&0.0)
            && let Some(head) = evaluation.heads.first()
            && let Some(diagnosis) = diagnose(&head.boxes, &self.setup.dataset)
        {
            observer.log(format!("epoch {epoch}: {diagnosis}"));
        }
        self.tell_gain(counts, news.seconds, observer);
        self.folder.append(&news)?;
        observer.epoch(news);
        observer.evaluated(Arc::clone(&evaluation));
        observer.samples(epoch, found.samples);
        let Some(value) = metric else {
            return Err(format!("There is no metric named {} to pick the best epoch by.", self.best_by));
        };
        let is_best = self.is_best(value);
        if is_best {
            let best = Best { metric: self.best_by.clone(), value, epoch };
            self.folder.write_weights(&self.folder.best(), &tensors, &self.run)?;
            evaluation.save(&self.folder.evaluation())?;
            self.position.best = Some(best.clone());
            observer.best(best);
        }
        self.count_patience(value);
        let early =
            self.saved.is_some_and(|(at, took)| at.elapsed() < (10 * took).clamp(CHECKPOINT_APART, CHECKPOINT_LATEST));
        // The best weights belong to the position that names them.
        if early && !is_best {
            self.unsaved = Some(tensors);
            return Ok(());
        }
        self.unsaved = None;
        self.folder.write_weights(&self.folder.last(), &tensors, &self.run)?;
        self.write_resume(&tensors)
    }

    /// Writes what the last epoch gave, unless it is there already.
    pub(super) fn write_last(&mut self) -> Result<(), String> {
        let Some(tensors) = self.unsaved.take() else { return Ok(()) };
        self.folder.write_weights(&self.folder.last(), &tensors, &self.run)
    }

    /// Says once what the first epoch from kept features took beside the one that computed them.
    fn tell_gain(&mut self, counts: Counts, seconds: f64, observer: &mut dyn Observer) {
        if counts.misses > 0 {
            self.uncached_s = Some(seconds);
        } else if let Some(before) = self.uncached_s.take().filter(|_| counts.hits > 0) {
            let kept = self.features.usage().map_or(0, |usage| usage.ram_bytes.max(usage.disk_bytes));
            observer.log(format!(
                "feature cache: an epoch took {seconds:.1} s from kept features and {before:.1} s before; {} are kept",
                crate::format::bytes(kept)
            ));
        }
    }

    /// Compares everything that is frozen with its digest.
    pub(super) fn prove(&self, epoch: u32) -> Result<(), String> {
        unmoved(&self.position.proof.moved(&self.setup.network).map_err(|error| error.to_string())?, epoch)
    }

    fn is_best(&self, value: f64) -> bool {
        let better = |best: &Best| {
            if higher_is_better(&self.best_by) { value > best.value } else { value < best.value }
        };
        value.is_finite() && self.position.best.as_ref().is_none_or(better)
    }

    fn count_patience(&mut self, value: f64) {
        let min_gain = self.setup.plan.early_stop.map_or(0.0, |stop| stop.min_gain);
        let gain = |reference: f64| if higher_is_better(&self.best_by) { value - reference } else { reference - value };
        let gained = self.position.reference.is_none_or(|reference| gain(reference) > min_gain);
        if gained {
            self.position.reference = Some(value);
            self.position.waiting = 0;
        } else {
            self.position.waiting += 1;
        }
    }

    pub(super) fn out_of_patience(&self) -> bool {
        self.setup.plan.early_stop.is_some_and(|stop| self.position.waiting >= stop.patience.max(1))
    }

    /// A checkpoint of the run as it is now.
    pub(super) fn save_resume(&mut self) -> Result<(), String> {
        self.write_last()?;
        let tensors = self.setup.network.tensors().map_err(|error| error.to_string())?;
        self.write_resume(&tensors)
    }

    fn write_resume(&mut self, tensors: &[HostTensor]) -> Result<(), String> {
        let start = Instant::now();
        let state = self.optimizer.state().map_err(|error| error.to_string())?;
        self.folder.write_resume(tensors, &state, &self.position)?;
        self.saved = Some((Instant::now(), start.elapsed()));
        Ok(())
    }
}

fn unmoved(moved: &[String], epoch: u32) -> Result<(), String> {
    match moved.first() {
        None => Ok(()),
        Some(name) => Err(format!("The frozen tensor {name} has changed in epoch {epoch}; the run is stopped.")),
    }
}
