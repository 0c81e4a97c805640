//! The loop: epochs, steps, validation, checkpoints, proof; pause, finish and live changes between steps.

mod closing;
mod evaluated;
mod live;
mod steps;

use super::detection;
use super::evaluation::Evaluation;
use super::features::Features;
use super::folder::{Position, RunFile, RunFolder};
use super::losses::LossOptions;
use super::metrics::default_metric;
use super::news::{Best, Ended, Ending, EpochNews, LiveSample, RunInfo, StepNews};
use super::optim::Optimizer;
use super::plan::Plan;
use super::proof::Proof;
use super::setup::{Setup, start_position};
use super::timeline::FreezePhase;
use super::validate::{Validation, files, pinned};
use crate::data::batch::Batch;
use crate::data::features::FeatureFolder;
use crate::data::{ImageSource, Issue, Loader, PixelCache, Split};
use crate::graph::FreezePlan;
use crate::models::{HostTensor, Network};
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steps::Making;

/// Fixed validation pictures that are shown after each epoch.
const PINNED: usize = 8;
/// Longest time between two resumable checkpoints inside an epoch.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(120);
/// Epochs that are shorter than this share checkpoints, and those shorter than ten times what writing one takes: with kept
/// features an epoch takes milliseconds, and the disk would take most of the time.
const CHECKPOINT_APART: Duration = Duration::from_secs(1);
/// The longest that whole epochs wait for a checkpoint.
const CHECKPOINT_LATEST: Duration = Duration::from_secs(10);

/// What a person asks of a run between two steps.
#[derive(Clone, Debug)]
pub enum Control {
    /// Wait.
    Pause,
    /// Go on.
    Resume,
    /// Stop and keep the best weights.
    Finish,
    /// Stop; the folder stays as far as it came.
    Cancel,
    /// Freeze or thaw, until the next phase begins.
    SetFreeze(FreezePlan),
    /// Replace what changes in the epochs that come.
    SetTimeline(Vec<FreezePhase>),
    /// Set the base learning rate.
    SetLr(f64),
}

/// Who watches and steers a run.
pub trait Observer {
    /// The run starts.
    fn started(&mut self, info: RunInfo);
    /// A step was made.
    fn step(&mut self, news: StepNews);
    /// An epoch ended.
    fn epoch(&mut self, news: EpochNews);
    /// What the model says of each validation picture after an epoch.
    fn evaluated(&mut self, _evaluation: Arc<Evaluation>) {}
    /// Predictions on the fixed pictures.
    fn samples(&mut self, epoch: u32, samples: Vec<LiveSample>);
    /// A new best checkpoint.
    fn best(&mut self, best: Best);
    /// A freeze plan took effect.
    fn frozen(&mut self, step: u64, epoch: f64, plan: &FreezePlan, trainable: u64, note: String);
    /// What changes in later epochs was set.
    fn timeline(&mut self, step: u64, epoch: f64, timeline: &[FreezePhase], note: String);
    /// The learning rate was set.
    fn lr(&mut self, step: u64, epoch: f64, lr: f64);
    /// Waiting began (`true`) or ended.
    fn paused(&mut self, paused: bool);
    /// Something takes more than half a second; `total` 0 when unknown.
    fn progress(&mut self, what: &str, done: usize, total: usize);
    /// A file that broke since the check, or something else that a person should know.
    fn warning(&mut self, issue: Issue);
    /// A line for the console.
    fn log(&mut self, text: String);
    /// Asked before each batch: what is wanted; what changes the run waits for the next step. With `wait` it may block until
    /// something is. `network` is the state now.
    fn poll(&mut self, network: &Network, run: &RunFile, wait: bool) -> Option<Control>;
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How.
    pub ending: Ending,
    /// The best epoch.
    pub best: Option<Best>,
    /// Its weights.
    pub checkpoint: Option<PathBuf>,
}

/// How a validation pass ended.
enum Checked {
    Found(Box<Validation>),
    Stopped(Ending),
}

/// A run in progress.
#[derive(Debug)]
pub struct Trainer {
    setup: Setup,
    run: RunFile,
    folder: RunFolder,
    optimizer: Optimizer,
    options: LossOptions,
    position: Position,
    first_epoch: u32,
    cache: Arc<PixelCache>,
    features: Features,
    /// Seconds of the last epoch whose features were computed, under the frost line in force.
    uncached_s: Option<f64>,
    /// Whether what is frozen has changed since it was settled what is cached.
    unsettled: bool,
    pinned: Vec<usize>,
    best_by: String,
    /// When the last checkpoint of this process was written, and how long that took.
    saved: Option<(Instant, Duration)>,
    /// The weights after the last epoch, until they are written.
    unsaved: Option<Vec<HostTensor>>,
    images_per_s: f64,
    /// Pictures, and the shape of those that were not cached, of the steps that were made under the freeze plan at hand.
    warm: HashSet<(usize, Option<[usize; 4]>)>,
    /// Training pictures of an epoch.
    epoch_len: usize,
    /// What was asked for between two batches of one step.
    held: VecDeque<Control>,
    history: Vec<EpochNews>,
}

enum Flow {
    On,
    Stop(Ending),
}

impl Trainer {
    /// A new run in a new folder.
    ///
    /// # Errors
    /// A sentence with the cause.
    pub fn new(setup: Setup, out: &std::path::Path) -> Result<Self, String> {
        let folder = RunFolder::create(out, &setup.run_file())?;
        let mut position = start_position(&setup.plan);
        position.proof = Proof::of(&setup.network).map_err(|error| error.to_string())?;
        let optimizer = Optimizer::new(setup.plan.optimizer);
        let run = setup.run_file();
        Self::assemble(setup, run, folder, optimizer, position)
    }

    /// Goes on with a run from its last checkpoint; `setup` was made from the run's plan.
    ///
    /// # Errors
    /// A sentence with the cause.
    pub fn resume(mut setup: Setup, folder: RunFolder) -> Result<Self, String> {
        let (tensors, optimizer_state, position) = folder.read_resume()?;
        setup.network.assign(tensors).map_err(|error| error.to_string())?;
        setup.network.set_plan(&position.freeze);
        if let Some(timeline) = &position.timeline {
            setup.plan.timeline.clone_from(timeline);
        }
        let mut optimizer = Optimizer::new(setup.plan.optimizer);
        optimizer.restore(optimizer_state, setup.network.device());
        let run = setup.run_file();
        folder.write_run(&run)?;
        let trainer = Self::assemble(setup, run, folder, optimizer, position)?;
        Ok(Self { saved: Some((Instant::now(), Duration::ZERO)), ..trainer })
    }

    fn assemble(
        setup: Setup,
        run: RunFile,
        folder: RunFolder,
        optimizer: Optimizer,
        position: Position,
    ) -> Result<Self, String> {
        let options = LossOptions::of(&setup.plan, setup.network.graph(), &setup.dataset, setup.network.device())?;
        let best_by = match setup.plan.best_by.as_str() {
            "" => default_metric(setup.network.graph()).to_owned(),
            name => name.to_owned(),
        };
        let pinned = pinned(setup.network.graph(), &setup.dataset, PINNED, setup.plan.seed);
        let epoch_len = setup.epoch_len();
        let history = folder.epochs().into_iter().filter(|news| news.epoch <= position.epoch).collect();
        Ok(Self {
            first_epoch: position.epoch,
            setup,
            run,
            folder,
            optimizer,
            options,
            position,
            cache: Arc::new(PixelCache::default()),
            features: Features::new(Arc::new(FeatureFolder::new(None))),
            uncached_s: None,
            unsettled: true,
            pinned,
            best_by,
            saved: None,
            unsaved: None,
            images_per_s: 0.0,
            warm: HashSet::new(),
            epoch_len,
            held: VecDeque::new(),
            history,
        })
    }

    /// Looks features and reduced pictures up, and stores them, in this folder instead of in memory alone.
    #[must_use]
    pub fn with_features(mut self, folder: Arc<FeatureFolder>) -> Self {
        let dataset = &self.setup.dataset;
        let in_files = dataset.samples.iter().any(|sample| matches!(sample.image, ImageSource::File(_)));
        let pictures = if in_files { folder.pictures(&dataset.root) } else { None };
        self.cache = Arc::new(PixelCache::default().with_file(pictures));
        self.features = Features::new(folder);
        self
    }

    /// Pictures of a split that count.
    fn known(&self, split: Split) -> usize {
        detection::known(self.setup.network.graph(), &self.setup.dataset, split).len()
    }

    /// Trains to the end of the plan, or until somebody stops it.
    ///
    /// # Errors
    /// A sentence with the cause; the folder is complete up to its last checkpoint.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Summary, String> {
        let notes = self.settle_features(observer)?;
        observer.started(self.info());
        notes.into_iter().for_each(|note| observer.log(note));
        for news in self.history.clone() {
            observer.epoch(news);
        }
        self.tell_best(observer);
        let ending = match self.epochs(observer) {
            Ok(Flow::On) => Ending::Completed,
            Ok(Flow::Stop(ending)) => ending,
            Err(what) => {
                // The position is that of the last checkpoint; what the last epoch gave is worth keeping all the same.
                return match self.write_last() {
                    Ok(()) => Err(what),
                    Err(besides) => Err(format!("{what} {besides}")),
                };
            }
        };
        if self.position.batch_in_epoch > 0 || self.unsaved.is_some() {
            self.save_resume()?;
        }
        self.folder.append(&Ended { ending })?;
        let checkpoint = self.folder.best().exists().then(|| self.folder.best());
        Ok(Summary { ending, best: self.position.best.clone(), checkpoint })
    }

    fn epochs(&mut self, observer: &mut dyn Observer) -> Result<Flow, String> {
        if self.history.is_empty() {
            let start = Instant::now();
            match self.validate(observer)? {
                Checked::Found(found) => self.close_epoch(observer, Default::default(), *found, start)?,
                Checked::Stopped(ending) => return Ok(Flow::Stop(ending)),
            }
        }
        while self.position.epoch < self.setup.plan.epochs {
            if let Flow::Stop(ending) = self.epoch(observer)? {
                return Ok(Flow::Stop(ending));
            }
            if self.out_of_patience() {
                observer
                    .log(format!("no gain in {} for {} epochs: stopped early", self.best_by, self.position.waiting));
                return Ok(Flow::Stop(Ending::EarlyStop));
            }
        }
        Ok(Flow::On)
    }

    fn epoch(&mut self, observer: &mut dyn Observer) -> Result<Flow, String> {
        let start = Instant::now();
        let epoch = self.position.epoch + 1;
        self.enter_phase(observer)?;
        self.features.take_counts();
        let mut loader: Option<Loader> = None;
        let mut making = Making::default();
        loop {
            if !self.is_between_steps() {
                self.hold(observer);
            } else if let Flow::Stop(ending) = self.obey(observer)? {
                return Ok(Flow::Stop(ending));
            }
            if self.unsettled {
                // What the old loader holds belongs to the old frost line.
                loader = None;
                self.settle_features(observer)?.into_iter().for_each(|note| observer.log(note));
            }
            let loader = loader.get_or_insert_with(|| {
                let known = self.features.lookup(Split::Train);
                self.setup.loader_known(epoch, self.position.batch_in_epoch, &self.cache, known)
            });
            let waiting = Instant::now();
            let Some(mut raw) = loader.next_batch() else { break };
            raw.failed.drain(..).for_each(|issue| observer.warning(issue));
            let names = files(&self.setup.dataset, &raw);
            let data_ms = waiting.elapsed().as_secs_f64() * 1e3;
            if let Some(batch) = Batch::upload(raw, self.setup.network.device()) {
                self.take_batch(&mut making, &batch, names, data_ms)?;
            }
            self.position.batch_in_epoch += 1;
            if self.is_between_steps() {
                self.make_step(std::mem::take(&mut making), observer)?;
                if self.saved.is_none_or(|(at, _)| at.elapsed() > CHECKPOINT_EVERY) {
                    self.save_resume()?;
                }
            }
        }
        self.make_step(making, observer)?;
        let counts = self.features.take_counts();
        let batches = self.position.batch_in_epoch.max(1) as f64;
        let train = self.position.loss_sums.iter().map(|(name, sum)| (name.clone(), sum / batches)).collect();
        let found = match self.validate(observer)? {
            Checked::Found(found) => found,
            Checked::Stopped(ending) => return Ok(Flow::Stop(ending)),
        };
        self.position.epoch = epoch;
        self.position.batch_in_epoch = 0;
        self.position.loss_sums.clear();
        self.close_epoch(observer, (train, counts), *found, start)?;
        Ok(Flow::On)
    }

    fn info(&self) -> RunInfo {
        let frontier = self.setup.network.frontier();
        RunInfo {
            folder: self.folder.path().to_path_buf(),
            plan: Plan { freeze: self.position.freeze.clone(), ..self.setup.plan.clone() },
            graph: Arc::clone(self.setup.network.graph()),
            classes: self.setup.dataset.classes().to_vec(),
            columns: self.setup.dataset.columns.clone(),
            train_images: self.known(Split::Train),
            val_images: self.known(Split::Val),
            steps_per_epoch: self.steps_per_epoch(),
            params: frontier.params,
            trainable: frontier.trainable,
            best_by: self.best_by.clone(),
            load: self.setup.load.clone(),
            first_epoch: self.first_epoch,
            cache: self.features.verdict().cloned(),
        }
    }

    /// The run's folder.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What the run is, for its checkpoints.
    #[must_use]
    pub fn run_file(&self) -> &RunFile {
        &self.run
    }

    /// The network as it is.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.setup.network
    }
}
