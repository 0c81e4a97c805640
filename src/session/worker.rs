//! The session's thread: takes commands, runs them, never lets a panic out.

use super::ask::{Asker, write_drawn};
use super::devices::Devices;
use super::message::{Belongs, Command, Event};
use super::save::save_masks;
use super::steer::Steer;
use super::{Haste, Notify};
use crate::data::features::FeatureFolder;
use crate::data::{self, Dataset, ImageSource, MaskValue, Progress, Split, Task};
use crate::format::plural;
use crate::models::Network;
use crate::train::segmentation::Parts;
use crate::train::{
    self, Choice, DataSource, DeviceChoice, Ending, LrPoint, LrSweep, Misfit, Plan, Prediction, RunFile, RunFolder,
    Setup, Trainer, ValChoice, WeightsSource, Which,
};
use crate::weights::BoxOutput;
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where events go.
#[derive(Clone)]
pub(super) struct Outbox {
    sender: SyncSender<Event>,
    notify: Notify,
}

impl Outbox {
    pub(super) fn new(sender: SyncSender<Event>, notify: Notify) -> Self {
        Self { sender, notify }
    }

    /// Sends; waits for room. Nobody listening any more is no error: the session winds down.
    pub(super) fn send(&self, event: Event) {
        self.sender.send(event).ok();
        (self.notify)(Haste::Now);
    }

    /// Sends what nobody waits for and what comes with more of its kind, such as the news at the end of an epoch; waits for
    /// room.
    pub(super) fn report(&self, event: Event) {
        self.sender.send(event).ok();
        (self.notify)(Haste::Soon);
    }

    /// Sends unless there is no room: for steps and progress, where the next one says the same.
    pub(super) fn offer(&self, event: Event) {
        match self.sender.try_send(event) {
            Ok(()) => (self.notify)(Haste::Soon),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    pub(super) fn fail(&self, what: String, run_stopped: bool) {
        self.send(Event::Failed { what, run_stopped });
    }
}

/// Starts the thread.
pub(super) fn spawn(
    choice: DeviceChoice,
    features: FeatureFolder,
    inbox: Receiver<Command>,
    outbox: SyncSender<Event>,
    stop: Arc<AtomicBool>,
    notify: Notify,
) -> std::io::Result<JoinHandle<()>> {
    let outbox = Outbox::new(outbox, notify);
    let body = move || {
        let guarded = std::panic::AssertUnwindSafe(|| serve(choice, features, &inbox, &outbox, &stop));
        if let Err(panic) = std::panic::catch_unwind(guarded) {
            let what =
                format!("The session failed: {}. Restart the program; runs can be resumed.", panic_text(&*panic));
            outbox.fail(what, true);
        }
    };
    std::thread::Builder::new().name("frostline-session".to_owned()).stack_size(16 << 20).spawn(body)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("an internal error").lines().next().unwrap_or_default().to_owned()
}

struct Worker<'a> {
    /// The device that computes, with where it came from.
    at: Devices<'a>,
    inbox: &'a Receiver<Command>,
    outbox: &'a Outbox,
    stop: &'a Arc<AtomicBool>,
    /// The data set that was opened last, so that a run on it does not read it again.
    opened: Option<(DataSource, ValChoice, u64, Arc<Dataset>)>,
    /// The network of the last run or prediction with where it came from.
    model: Option<(PathBuf, Network, RunFile)>,
    /// The promptable network of the last prompt.
    asker: Asker,
    /// What frozen parts of networks gave, for the runs to come.
    features: Arc<FeatureFolder>,
}

fn serve(
    choice: DeviceChoice,
    features: FeatureFolder,
    inbox: &Receiver<Command>,
    outbox: &Outbox,
    stop: &Arc<AtomicBool>,
) {
    let at = match Devices::open(choice, outbox) {
        Ok(at) => at,
        Err(what) => return outbox.fail(what, false),
    };
    let features = Arc::new(features);
    outbox.send(Event::FeaturesKept(features.kept()));
    let asker = Asker::new(features.embeddings());
    let mut worker = Worker { at, inbox, outbox, stop, opened: None, model: None, asker, features };
    while let Ok(command) = worker.inbox.recv() {
        // A run that panics must not end the session: the next command starts afresh from the files on disk.
        let guarded = std::panic::AssertUnwindSafe(|| worker.obey(command));
        if let Err(panic) = std::panic::catch_unwind(guarded) {
            let what = worker.at.lost().unwrap_or_else(|| {
                let what = panic_text(&*panic);
                format!(
                    "The work was stopped by an internal error: {what}. A run can be resumed from its last checkpoint."
                )
            });
            outbox.fail(what, true);
        }
    }
}

/// Deletes stored features that no run uses.
pub(super) fn clear_features(features: &FeatureFolder, outbox: &Outbox) {
    let gone = features.clear();
    outbox.send(Event::Log(format!("{} of stored features deleted", crate::format::bytes(gone.bytes))));
    outbox.send(Event::FeaturesKept(features.kept()));
}

impl Worker<'_> {
    fn obey(&mut self, command: Command) {
        self.stop.store(false, Ordering::Relaxed);
        match self.at.prepare(&command) {
            Ok(false) => {}
            // What was kept is on the device before.
            Ok(true) => (self.model, self.asker) = (None, Asker::new(self.features.embeddings())),
            Err(what) => return self.outbox.fail(what, false),
        }
        let answer = match command {
            Command::OpenData { path, val, seed, task } => {
                self.open(&DataSource::Path(path), &val, seed, task).map(|_| ())
            }
            Command::OpenSample => self.open(&DataSource::Sample, &ValChoice::Auto, 0, None).map(|_| ()),
            Command::InspectWeights(plan) => self.inspect(&plan),
            Command::Start { plan, out } => return self.start(*plan, &out),
            Command::ResumeRun { run, epochs } => return self.resume(&run, epochs),
            Command::FindLr { plan, sweep } => self.find_lr(*plan, sweep),
            Command::Predict { images, from, parts } => self.predict(&images, from.as_deref(), parts),
            Command::OpenPrompt { image, from } => {
                self.asker.open(&image, &from, &self.at.device, self.outbox, self.stop)
            }
            Command::SaveDrawn { pictures, classes, form, to } => {
                write_drawn((&pictures, &classes, form), &to, self.outbox, self.stop)
            }
            Command::Ask { image, from, question } => {
                self.asker.answer((&image, &from, &question), &self.at.device, self.outbox, self.stop)
            }
            Command::SaveBoxes { predictions, choice, to } => {
                save_boxes(&predictions, choice, &to, self.outbox, self.stop)
            }
            Command::SaveMasks { predictions, least, to } => {
                save_masks(&predictions, least, &to, self.outbox, self.stop)
            }
            Command::Evaluate { from, data, which } => self.evaluate(&from, data, which),
            Command::NameClasses { folder, names } => self.name_classes(&folder, &names),
            Command::ClearFeatures => {
                clear_features(&self.features, self.outbox);
                Ok(())
            }
            Command::Export { from, to, boxes } => return export(&from, &to, &boxes, &self.at.device, self.outbox),
            // Without a run there is nothing to steer.
            Command::Pause
            | Command::Resume
            | Command::Finish
            | Command::Cancel
            | Command::SetFreeze(_)
            | Command::SetTimeline(_)
            | Command::SetLr(_)
            | Command::Weights(_)
            | Command::Interrupt => Ok(()),
        };
        if let Err(what) = answer {
            self.outbox.fail(what, false);
        }
    }

    fn open(
        &mut self,
        source: &DataSource,
        val: &ValChoice,
        seed: u64,
        task: Option<Task>,
    ) -> Result<Arc<Dataset>, String> {
        if let Some((known, known_val, known_seed, dataset)) = &self.opened
            && (known, known_val, *known_seed) == (source, val, seed)
            && *source == DataSource::Sample
        {
            self.outbox.send(Event::DataReady(Arc::clone(dataset)));
            return Ok(Arc::clone(dataset));
        }
        let dataset = Arc::new(train::open_data(source, val, seed, task, &self.progress())?);
        self.opened = Some((source.clone(), val.clone(), seed, Arc::clone(&dataset)));
        self.outbox.send(Event::DataReady(Arc::clone(&dataset)));
        Ok(dataset)
    }

    fn name_classes(&mut self, folder: &Path, names: &[(MaskValue, String)]) -> Result<(), String> {
        let path = data::name_classes(folder, names).map_err(|error| error.to_string())?;
        self.outbox.send(Event::Saved { path, what: "the classes of the masks were".to_owned() });
        let Some((source, val, seed, dataset)) = self.opened.clone() else { return Ok(()) };
        self.open(&source, &val, seed, Some(dataset.task)).map(drop)
    }

    fn progress(&self) -> Report<'_> {
        Report { outbox: self.outbox, stop: self.stop, last: std::sync::Mutex::new(Instant::now()) }
    }

    fn inspect(&mut self, plan: &Plan) -> Result<(), String> {
        let dataset = match &self.opened {
            Some((source, .., dataset)) if *source == plan.data => Arc::clone(dataset),
            _ => self.data_of(plan)?,
        };
        self.outbox.send(Event::Progress { what: "reading the weights".to_owned(), done: 0, total: 0 });
        self.outbox.send(match train::inspect_weights(plan, &dataset) {
            Ok(Some(report)) => Event::CheckpointReady(Arc::new(report)),
            Ok(None) => Event::Idle,
            Err(Misfit { what, fits: Some(found) }) => {
                let WeightsSource::File(file) = plan.weights.clone() else { return Err(what) };
                let (model, title) = (found.variant.name, found.variant.title);
                Event::CheckpointOfOther(Belongs { file, model, title, what })
            }
            Err(Misfit { what, fits: None }) => return Err(what),
        });
        Ok(())
    }

    fn start(&mut self, plan: Plan, out: &Path) {
        let prepared = self.prepare(plan).and_then(|setup| Trainer::new(setup, out));
        let prepared = prepared.map(|trainer| trainer.with_features(Arc::clone(&self.features)));
        self.train(prepared);
    }

    fn resume(&mut self, run: &Path, epochs: Option<u32>) {
        let prepared = RunFolder::open(run).and_then(|(folder, file)| {
            let mut plan = file.plan.clone();
            if let Some(epochs) = epochs {
                plan.epochs = epochs;
            }
            // Its weights come from the run's checkpoint.
            let dataset = self.data_of(&plan)?;
            Trainer::resume(Setup::again(RunFile { plan, ..file }, dataset, &self.at.device)?, folder)
        });
        let prepared = prepared.map(|trainer| trainer.with_features(Arc::clone(&self.features)));
        self.train(prepared);
    }

    fn prepare(&mut self, plan: Plan) -> Result<Setup, String> {
        let dataset = self.data_of(&plan)?;
        Setup::new(plan, dataset, &self.at.device)
    }

    fn known_data(&self, plan: &Plan) -> Option<Arc<Dataset>> {
        let (source, val, seed, dataset) = self.opened.as_ref()?;
        // A set of boxes may be one of masks too, and was read for one of them.
        let is_other = |task| dataset.task != task && dataset.task != Task::Classify && task != Task::Classify;
        let same = (source, val, *seed) == (&plan.data, &plan.val, plan.seed);
        (same && !plan.task().is_some_and(is_other)).then(|| Arc::clone(dataset))
    }

    fn data_of(&mut self, plan: &Plan) -> Result<Arc<Dataset>, String> {
        self.outbox.send(Event::Progress { what: "preparing the run".to_owned(), done: 0, total: 0 });
        match self.known_data(plan) {
            Some(dataset) => Ok(dataset),
            None => self.open(&plan.data, &plan.val, plan.seed, plan.task()),
        }
    }

    /// The set of a plan, without making it the one that is open.
    fn other_data(&self, plan: &Plan) -> Result<Arc<Dataset>, String> {
        match self.known_data(plan) {
            Some(dataset) => Ok(dataset),
            None => train::open_data(&plan.data, &plan.val, plan.seed, plan.task(), &self.progress()).map(Arc::new),
        }
    }

    fn find_lr(&mut self, plan: Plan, sweep: LrSweep) -> Result<(), String> {
        let mut setup = self.prepare(plan)?;
        self.outbox.send(Event::SweepStarted { plan: Arc::new(setup.plan.clone()), sweep });
        let mut done = 0;
        let mut watch = |point: &LrPoint| {
            done += 1;
            self.outbox.send(Event::SweepPoint(*point));
            let what = "finding the learning rate".to_owned();
            self.outbox.offer(Event::Progress { what, done, total: sweep.steps });
            !self.stop.load(Ordering::Relaxed)
        };
        let found = train::find_lr(&mut setup, &sweep, &mut watch)?;
        self.outbox.send(Event::SweepDone { suggestions: found.suggestions, end: found.end });
        Ok(())
    }

    fn train(&mut self, prepared: Result<Trainer, String>) {
        let mut trainer = match prepared {
            Ok(trainer) => trainer,
            Err(what) => {
                self.outbox.fail(what, false);
                return;
            }
        };
        let result = {
            let mut steer = Steer::new(self.inbox, self.outbox, self.stop, &self.at.device, &self.features);
            trainer.run(&mut steer)
        };
        self.outbox.send(Event::FeaturesKept(self.features.kept()));
        self.model = Some((trainer.folder().to_path_buf(), trainer.network().inference(), trainer.run_file().clone()));
        match result {
            Ok(summary) => {
                if summary.ending != Ending::Cancelled
                    && let Some(best) = &summary.checkpoint
                {
                    self.outbox.send(Event::Saved { path: best.clone(), what: "the best weights were".to_owned() });
                }
                self.outbox.send(Event::Done {
                    ending: summary.ending,
                    best: summary.best,
                    checkpoint: summary.checkpoint,
                });
            }
            Err(what) => self.outbox.fail(self.at.lost().unwrap_or(what), true),
        }
    }

    fn predict(&mut self, images: &[PathBuf], from: Option<&Path>, parts: Parts) -> Result<(), String> {
        if let Some(from) = from {
            let known = self.model.as_ref().is_some_and(|(path, ..)| path == from && !from.is_dir());
            if !known {
                let (network, run) = train::open_model(from, &self.at.device)?;
                self.model = Some((from.to_path_buf(), network.inference(), run));
            }
        }
        let Some((_, network, run)) = &self.model else {
            return Err("There is no trained model yet: train one, or choose a run to predict with.".to_owned());
        };
        predict_all(network, run, (images, from), parts, self.outbox, self.stop)
    }

    fn evaluate(&self, from: &Path, data: Option<DataSource>, which: Which) -> Result<(), String> {
        let own = data.is_none();
        let (dataset, which) = match data {
            Some(source) => {
                let task = RunFolder::open(from).ok().and_then(|(_, file)| file.plan.task());
                let opened = train::open_data(&source, &ValChoice::Auto, 0, task, &self.progress())?;
                (Arc::new(opened), which)
            }
            // The run's own set with the run's own split.
            None => {
                let (_, file) = RunFolder::open(from)?;
                let which = if which == Which::Auto { Which::Only(Split::Val) } else { which };
                (self.other_data(&file.plan)?, which)
            }
        };
        let mut go_on = |done: usize, total: usize| {
            self.outbox.offer(Event::Progress { what: "evaluating".to_owned(), done, total });
            !self.stop.load(Ordering::Relaxed)
        };
        let Some(mut found) = train::evaluate(from, dataset, which, &self.at.device, &mut go_on)? else {
            self.outbox.send(Event::Idle);
            return Ok(());
        };
        if own && found.split == Some(Split::Val) {
            // Kept with the run, so that it need not be measured again.
            let (folder, _) = RunFolder::open(from)?;
            found.epoch = folder.position().ok().and_then(|position| position.best).map(|best| best.epoch);
            found.save(&folder.evaluation())?;
        }
        self.outbox.send(Event::Evaluated(Arc::new(found)));
        Ok(())
    }
}

/// Predicts on picture files and sends the answers, with whom they are from.
pub(super) fn predict_all(
    network: &Network,
    run: &RunFile,
    (images, from): (&[PathBuf], Option<&Path>),
    parts: Parts,
    outbox: &Outbox,
    stop: &AtomicBool,
) -> Result<(), String> {
    let mut answers = Vec::with_capacity(images.len());
    for (done, image) in images.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        outbox.offer(Event::Progress { what: "predicting".to_owned(), done, total: images.len() });
        let source = ImageSource::File(image.clone());
        let mut go_on = |done: usize, total: usize| {
            let what = format!("predicting {}", image.file_name().unwrap_or_default().display());
            outbox.offer(Event::Progress { what, done, total });
            !stop.load(Ordering::Relaxed)
        };
        let answer = train::predict_in_parts(network, &source, run, parts, &mut go_on);
        let answer = answer.map_err(|error| format!("Prediction failed on {}: {error}.", image.display()))?;
        answers.extend(answer);
    }
    outbox.send(Event::Predictions { from: from.map(Path::to_path_buf), answers: Arc::new(answers) });
    Ok(())
}

/// Writes the boxes of predictions and says what became of them.
pub(super) fn save_boxes(
    predictions: &[Prediction],
    choice: Option<Choice>,
    to: &Path,
    outbox: &Outbox,
    stop: &AtomicBool,
) -> Result<(), String> {
    let mut go_on = |done: usize, total: usize| {
        outbox.offer(Event::Progress { what: "drawing boxes".to_owned(), done, total });
        !stop.load(Ordering::Relaxed)
    };
    let saved = train::detection::save_boxes(predictions, &|boxes| choice.unwrap_or(boxes.own), to, &mut go_on)?;
    outbox.send(Event::Idle);
    let Some(saved) = saved else { return Ok(()) };
    for failed in saved.failed {
        outbox.send(Event::Log(failed));
    }
    let what = format!("{} in {}", plural(saved.objects, "object"), plural(saved.overlays, "picture"));
    outbox.send(Event::Saved { path: to.to_path_buf(), what });
    Ok(())
}

/// Writes a run's best weights for elsewhere and says what became of it.
pub(super) fn export(from: &Path, to: &Path, boxes: &BoxOutput, device: &Device, outbox: &Outbox) {
    let mut progress =
        |what: &str| outbox.send(Event::Progress { what: format!("exporting: {what}"), done: 0, total: 0 });
    let exported = train::export_model(from, to, boxes, device, &mut progress);
    let exported = exported.unwrap_or_else(|problem| train::Exported::failed(from, to, problem));
    outbox.send(Event::Exported(Arc::new(exported)));
}

/// Progress of the data check as events, at most ten a second.
struct Report<'a> {
    outbox: &'a Outbox,
    stop: &'a AtomicBool,
    last: std::sync::Mutex<Instant>,
}

impl Progress for Report<'_> {
    fn update(&self, done: usize, total: usize, what: &str) {
        let Ok(mut last) = self.last.try_lock() else { return };
        if last.elapsed() > Duration::from_millis(100) || done == 0 {
            *last = Instant::now();
            self.outbox.offer(Event::Progress { what: what.to_owned(), done, total });
        }
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
