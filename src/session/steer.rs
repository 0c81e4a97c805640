//! Between a run and the session's channels: news become events, commands become controls.

use super::ask::write_drawn;
use super::message::{Command, Event};
use super::save::save_masks;
use super::worker::{Outbox, clear_features, export, predict_all, save_boxes};
use crate::data::Issue;
use crate::data::features::FeatureFolder;
use crate::graph::FreezePlan;
use crate::models::Network;
use crate::train::{
    Best, Control, EpochNews, Evaluation, FreezePhase, LiveSample, Observer, RunFile, RunInfo, StepNews,
};
use burn::tensor::Device;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// The observer of a session's run.
pub(super) struct Steer<'a> {
    inbox: &'a Receiver<Command>,
    outbox: &'a Outbox,
    stop: &'a Arc<AtomicBool>,
    device: &'a Device,
    features: &'a FeatureFolder,
    memory_at: Instant,
    progress_at: Instant,
}

impl<'a> Steer<'a> {
    pub(super) fn new(
        inbox: &'a Receiver<Command>,
        outbox: &'a Outbox,
        stop: &'a Arc<AtomicBool>,
        device: &'a Device,
        features: &'a FeatureFolder,
    ) -> Self {
        let now = Instant::now();
        Self { inbox, outbox, stop, device, features, memory_at: now, progress_at: now }
    }

    /// Does what a run need not know of, or hands the control on.
    fn take(&self, command: Command, network: &Network, run: &RunFile) -> Option<Control> {
        let answer = match command {
            Command::Pause => return Some(Control::Pause),
            Command::Resume => return Some(Control::Resume),
            Command::Finish => return Some(Control::Finish),
            Command::Cancel => return Some(Control::Cancel),
            Command::SetFreeze(plan) => return Some(Control::SetFreeze(plan)),
            Command::SetTimeline(timeline) => return Some(Control::SetTimeline(timeline)),
            Command::SetLr(lr) => return Some(Control::SetLr(lr)),
            Command::Interrupt | Command::Weights(_) => Ok(()),
            Command::Predict { images, from: None, parts } => {
                self.stop.store(false, Ordering::Relaxed);
                predict_all(&network.inference(), run, (&images, None), parts, self.outbox, self.stop)
            }
            Command::SaveBoxes { predictions, choice, to } => {
                self.stop.store(false, Ordering::Relaxed);
                save_boxes(&predictions, choice, &to, self.outbox, self.stop)
            }
            Command::SaveMasks { predictions, least, to } => {
                self.stop.store(false, Ordering::Relaxed);
                save_masks(&predictions, least, &to, self.outbox, self.stop)
            }
            Command::SaveDrawn { pictures, classes, form, to } => {
                self.stop.store(false, Ordering::Relaxed);
                write_drawn((&pictures, &classes, form), &to, self.outbox, self.stop)
            }
            Command::ClearFeatures => {
                clear_features(self.features, self.outbox);
                Ok(())
            }
            Command::Export { from, to, boxes } => {
                export(&from, &to, &boxes, self.device, self.outbox);
                Ok(())
            }
            Command::Predict { .. }
            | Command::Ask { .. }
            | Command::OpenPrompt { .. }
            | Command::Evaluate { .. }
            | Command::FindLr { .. }
            | Command::NameClasses { .. }
            | Command::OpenData { .. }
            | Command::OpenSample
            | Command::InspectWeights(_)
            | Command::Start { .. }
            | Command::ResumeRun { .. } => Err("A run is in progress; finish or cancel it first.".to_owned()),
        };
        if let Err(what) = answer {
            self.outbox.fail(what, false);
        }
        None
    }
}

/// Bytes that the process holds in memory, where the system tells.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

impl Observer for Steer<'_> {
    fn started(&mut self, info: RunInfo) {
        self.outbox.send(Event::RunStarted(Arc::new(info)));
    }

    fn step(&mut self, news: StepNews) {
        self.outbox.offer(Event::Step(Box::new(news)));
        if self.memory_at.elapsed() > Duration::from_secs(2) {
            self.memory_at = Instant::now();
            let used = self.device.memory_pool_usage().map(|pool| pool.bytes_reserved).or_else(resident_bytes);
            if let Some(used) = used {
                self.outbox.offer(Event::Memory { used });
            }
        }
    }

    fn epoch(&mut self, news: EpochNews) {
        self.outbox.report(Event::Idle);
        self.outbox.report(Event::Epoch(Box::new(news)));
    }

    fn evaluated(&mut self, evaluation: Arc<Evaluation>) {
        self.outbox.report(Event::EpochEvaluated(evaluation));
    }

    fn samples(&mut self, epoch: u32, samples: Vec<LiveSample>) {
        self.outbox.report(Event::Samples { epoch, samples: Arc::new(samples) });
    }

    fn best(&mut self, best: Best) {
        self.outbox.report(Event::NewBest(best));
    }

    fn frozen(&mut self, step: u64, epoch: f64, plan: &FreezePlan, trainable: u64, note: String) {
        self.outbox.send(Event::FreezeChanged { step, epoch, plan: plan.clone(), trainable, note });
    }

    fn timeline(&mut self, step: u64, epoch: f64, timeline: &[FreezePhase], note: String) {
        self.outbox.send(Event::TimelineChanged { step, epoch, timeline: timeline.to_vec(), note });
    }

    fn lr(&mut self, step: u64, epoch: f64, lr: f64) {
        self.outbox.send(Event::LrChanged { step, epoch, lr });
    }

    fn paused(&mut self, paused: bool) {
        self.outbox.send(if paused { Event::Paused } else { Event::Resumed });
    }

    fn progress(&mut self, what: &str, done: usize, total: usize) {
        if self.progress_at.elapsed() > Duration::from_millis(250) {
            self.progress_at = Instant::now();
            self.outbox.offer(Event::Progress { what: what.to_owned(), done, total });
        }
    }

    fn warning(&mut self, issue: Issue) {
        self.outbox.send(Event::Warning(issue));
    }

    fn log(&mut self, text: String) {
        self.outbox.report(Event::Log(text));
    }

    fn poll(&mut self, network: &Network, run: &RunFile, wait: bool) -> Option<Control> {
        loop {
            let received =
                if wait { self.inbox.recv().map_err(|_| TryRecvError::Disconnected) } else { self.inbox.try_recv() };
            match received {
                Ok(command) => {
                    let control = self.take(command, network, run);
                    if control.is_some() {
                        return control;
                    }
                }
                Err(TryRecvError::Empty) => return None,
                // The window is gone: keep what there is.
                Err(TryRecvError::Disconnected) => return Some(Control::Cancel),
            }
        }
    }
}
