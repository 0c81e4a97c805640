//! Drives a session from the command line: sends what was asked, tells what comes back, passes Ctrl-C on.

use super::lines::{EpochLine, Images, Line, StartLine};
use super::progress::{self, StatusLine};
use super::{Failure, Outcome, interrupt, output};
use crate::data::{Dataset, Severity};
use crate::format::plural;
use crate::session::{Command, DeviceInfo, Ending, Event, Session, View};
use crate::train::DeviceChoice;
use std::sync::Arc;
use std::time::Duration;

/// How often Ctrl-C is looked at while nothing comes.
const PATIENCE: Duration = Duration::from_millis(100);

/// Files that cannot be used of which each is told.
const TOLD: usize = 5;

/// A session with what it said so far.
pub(super) struct Driver {
    session: Session,
    /// Everything so far.
    pub view: View,
    line: StatusLine,
    cancelled: bool,
}

impl Driver {
    /// Starts a session on a device.
    pub(super) fn new(device: DeviceChoice) -> Result<Self, Failure> {
        let session = Session::spawn(device, Arc::new(|_| ()))
            .map_err(|cause| Failure::Running(format!("The session's thread cannot be started: {cause}.")))?;
        Ok(Self { session, view: View::default(), line: StatusLine::default(), cancelled: false })
    }

    pub(super) fn send(&self, command: Command) -> Outcome {
        self.session.send(command).map_err(|gone| {
            // A session without its device ends at once, and has said why.
            let why = self.session.drain().into_iter().find_map(|event| match event {
                Event::Failed { what, .. } => Some(what),
                _ => None,
            });
            why.map_or(Failure::Running(gone), Failure::Input)
        })
    }

    /// The next event, folded in already; warnings are told, progress is shown.
    pub(super) fn next(&mut self) -> Result<Event, Failure> {
        loop {
            if interrupt::asked() && !self.cancelled {
                self.cancelled = true;
                self.line.note("Finishing the step and saving; Ctrl-C again ends the program at once.");
                self.send(Command::Cancel)?;
            }
            let Some(event) = self.session.wait(PATIENCE).map_err(Failure::Running)? else {
                // A command that is stopped before a run has begun may have nothing to answer.
                if self.cancelled && self.view.busy.is_none() && !self.view.is_training() {
                    return Err(Failure::Interrupted);
                }
                continue;
            };
            self.tell(&event);
            self.view.fold(event.clone());
            match progress::status(&self.view) {
                Some(status) => self.line.show(|| status),
                None => self.line.clear(),
            }
            return Ok(event);
        }
    }

    /// The name of the device that computes.
    pub(super) fn device(&self) -> &str {
        self.view.device.as_ref().map_or("unknown", |device| device.name.as_str())
    }

    /// Why a command failed, as this program's exit code tells it.
    pub(super) fn failed(&mut self, what: String) -> Failure {
        self.line.clear();
        match &self.view.run {
            _ if self.cancelled => Failure::Interrupted,
            // Before the first step everything that can go wrong is in what was given.
            None => Failure::Input(what),
            Some(_) => Failure::Running(what),
        }
    }

    fn tell(&mut self, event: &Event) {
        match event {
            Event::Device(device) => self.tell_device(device),
            Event::DataReady(data) => self.tell_unused(data),
            Event::Warning(issue) if issue.severity != Severity::Note => self.line.note(&format!("warning: {issue}")),
            Event::CheckpointReady(report) => {
                self.line.note(&format!("{}: {}", report.file.display(), report.summary()));
                if let Some(warning) = report.warning() {
                    self.line.note(&format!("warning: {warning}."));
                }
            }
            Event::FreezeChanged { note, .. } | Event::TimelineChanged { note, .. } => self.line.note(note),
            Event::Log(text) => self.line.note(text),
            _ => {}
        }
    }

    /// Files of a data set that cannot be used: the first of them, and where all are told.
    fn tell_unused(&mut self, data: &Dataset) {
        let mut unused = data.issues.iter().filter(|issue| issue.severity == Severity::Error);
        unused.by_ref().take(TOLD).for_each(|issue| self.line.note(&format!("warning: {issue}")));
        let more = unused.count();
        if more > 0 {
            let what = plural(more, "more file");
            self.line
                .note(&format!("warning: {what} cannot be used; `frostline check {}` tells all.", data.root.display()));
        }
    }

    fn tell_device(&mut self, device: &DeviceInfo) {
        if !device.note.is_empty() {
            self.line.note(&device.note);
        }
        if device.software {
            self.line.note(&format!("warning: {} is a software renderer, which is slow.", device.name));
        }
    }

    /// Follows a run from its start to its end.
    pub(super) fn follow_run(&mut self, json: bool) -> Outcome {
        loop {
            match self.next()? {
                Event::RunStarted(_) => self.run_started(json)?,
                Event::Step(news) if json => output::json(&Line::Step(&news))?,
                Event::Epoch(news) => {
                    let info = self.view.run.as_ref().map(|run| (run.info.plan.epochs, run.info.first_epoch));
                    let (epochs, done_before) = info.unwrap_or_default();
                    // A resumed run tells its history for the plots; here it was told when it happened.
                    if done_before > 0 && news.epoch <= done_before {
                        continue;
                    }
                    self.line.note(&progress::epoch(&news, epochs));
                    if json {
                        output::json(&Line::Epoch(EpochLine {
                            epoch: news.epoch,
                            train: &news.train,
                            val: &news.val,
                            metrics: &news.metrics,
                            seconds: news.seconds,
                            frozen_verified: news.frozen_verified,
                            frozen_tensors: news.frozen_tensors,
                            cached: news.cached,
                        }))?;
                    }
                }
                Event::Failed { what, run_stopped } => {
                    if run_stopped || self.view.run.is_none() {
                        return Err(self.failed(what));
                    }
                    self.line.note(&what);
                }
                Event::Done { ending, .. } => return self.run_ended(ending, json),
                _ => {}
            }
        }
    }

    fn run_started(&mut self, json: bool) -> Outcome {
        self.line.clear();
        let device = self.view.device.as_ref().map_or("unknown", |device| device.name.as_str());
        let Some(run) = &self.view.run else { return Ok(()) };
        output::note(&progress::start(run, device));
        if let Some(load) = &run.info.load {
            output::note(&format!("weights from {}: {}", load.file.display(), load.summary()));
            load.head_notes().iter().for_each(|note| output::note(&format!("  {note}")));
            if let Some(warning) = load.warning() {
                output::note(&format!("warning: {warning}."));
            }
        }
        if !json {
            return Ok(());
        }
        let info = &run.info;
        output::json(&Line::Start(StartLine {
            model: &info.plan.model,
            device,
            params: info.params,
            trainable: info.trainable,
            images: Images { train: info.train_images, val: info.val_images },
            cache: if info.cache.is_some() { "on" } else { "off" },
            run: &info.folder,
            classes: &info.classes,
            heads: &info.columns,
            epochs: info.plan.epochs,
            first_epoch: info.first_epoch,
        }))
    }

    fn run_ended(&mut self, ending: Ending, json: bool) -> Outcome {
        self.line.clear();
        if let Some(run) = &self.view.run {
            let (best, checkpoint) = (run.best.as_ref(), run.checkpoint.as_deref());
            if json {
                output::json(&Line::Done { best, checkpoint, ending, run: &run.info.folder })?;
            }
            if let (Some(best), Some(checkpoint)) = (best, checkpoint) {
                let (metric, value, epoch) = (&best.metric, best.value, best.epoch);
                output::note(&format!("best {metric} {value:.4} at epoch {epoch}: {}", checkpoint.display()));
            }
            if ending == Ending::Cancelled {
                output::note(&format!("To go on: frostline resume {}", run.info.folder.display()));
            }
        }
        match ending {
            Ending::Cancelled => Err(Failure::Interrupted),
            Ending::Completed | Ending::EarlyStop | Ending::Finished => Ok(()),
        }
    }
}
