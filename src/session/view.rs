//! What a front end shows: events folded into one state. The only interpreter of events; the window and the command
//! line both read it.

use super::history::Series;
use super::message::{
    Belongs, Best, DeviceInfo, Ending, EpochNews, Evaluation, Event, Exported, FeaturesKept, LiveSample, MaskAnswer,
    PromptOpened, RunInfo, StepNews, WeightsState,
};
use super::pace::Pace;
use crate::data::{Dataset, Issue, SavedSet, Severity};
use crate::graph::FreezePlan;
use crate::train::{FreezePhase, LrPoint, LrSuggestions, LrSweep, Plan, Prediction, SweepEnd};
use crate::weights::LoadReport;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Something that takes a while.
#[derive(Clone, Debug)]
pub struct Busy {
    /// What is being done.
    pub what: String,
    /// How much of it.
    pub done: usize,
    /// Of how much; 0 when unknown.
    pub total: usize,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It makes steps or validates.
    Running,
    /// It waits for a person.
    Paused,
    /// It ended.
    Ended(Ending),
    /// It was stopped by an error; it can be resumed from its folder.
    Failed,
}

/// A line on the time axis: something a person did.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When, in epochs.
    pub epoch: f64,
    /// What, in words.
    pub text: String,
}

/// A run as it is shown.
#[derive(Clone, Debug)]
pub struct RunView {
    /// What is known since its start.
    pub info: Arc<RunInfo>,
    /// Where it stands.
    pub phase: Phase,
    /// The freeze plan in force.
    pub freeze: FreezePlan,
    /// Freeze plans over time, `(epoch, plan)`, the first at 0.
    pub freeze_history: Vec<(f64, FreezePlan)>,
    /// What the plan changes in later epochs, as it is now.
    pub timeline: Vec<FreezePhase>,
    /// Learnable values that train now.
    pub trainable: u64,
    /// The last step.
    pub step: Option<StepNews>,
    /// Training losses by name, over epochs, a point for each step.
    pub train_losses: BTreeMap<String, Series>,
    /// Validation losses by name, over epochs, a point for each epoch.
    pub val_losses: BTreeMap<String, Series>,
    /// Validation metrics by name, over epochs.
    pub metrics: BTreeMap<String, Series>,
    /// Learning rate over epochs.
    pub lr: Series,
    /// Epochs so far, epoch 0 first.
    pub epochs: Vec<EpochNews>,
    /// Predictions on the fixed validation pictures, by epoch.
    pub samples: BTreeMap<u32, Arc<Vec<LiveSample>>>,
    /// What the model says of each validation picture, by epoch: the best, the last, and others as far as they are small.
    pub evaluations: BTreeMap<u32, Arc<Evaluation>>,
    /// What a person did, on the time axis.
    pub marks: Vec<Mark>,
    /// The best checkpoint so far.
    pub best: Option<Best>,
    /// The checkpoint that was kept as best.
    pub checkpoint: Option<PathBuf>,
    /// Time that is likely left.
    pub eta: Option<Duration>,
    started: Instant,
    waited: Duration,
    paused_at: Option<Instant>,
    pace: Pace,
}

/// A sweep of the learning rate as it is shown.
#[derive(Clone, Debug)]
pub struct SweepView {
    /// The plan that it is for.
    pub plan: Arc<Plan>,
    /// Which rates.
    pub sweep: LrSweep,
    /// Steps so far.
    pub points: Vec<LrPoint>,
    /// Rates to choose from, at the end.
    pub suggestions: LrSuggestions,
    /// Why it ended; none while it goes on.
    pub end: Option<SweepEnd>,
}

/// Where prompting stands.
#[derive(Clone, Debug, Default)]
pub struct PromptView {
    /// The picture that was made ready last.
    pub opened: Option<Arc<PromptOpened>>,
    /// The data set of accepted objects that was written last.
    pub saved: Option<SavedSet>,
    /// Counts what failed, whatever it was: a question that was under way is then not answered any more.
    pub failures: u64,
    /// The last failure.
    pub failure: Option<String>,
}

/// A line of the console.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How serious it is.
    pub severity: Severity,
    /// What it says.
    pub text: String,
    /// When it came.
    pub at: Instant,
}

/// Everything that a front end shows.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The device that computes.
    pub device: Option<DeviceInfo>,
    /// What takes a while at this moment.
    pub busy: Option<Busy>,
    /// The data set that is open.
    pub data: Option<Arc<Dataset>>,
    /// The last comparison of a checkpoint with the model.
    pub load: Option<Arc<LoadReport>>,
    /// The model that the checkpoint fits, where the last comparison was with another.
    pub belongs: Option<Belongs>,
    /// Public weights by file name, as far as they were looked for.
    pub weights: BTreeMap<String, WeightsState>,
    /// The run, or the last one.
    pub run: Option<RunView>,
    /// The last sweep of the learning rate.
    pub sweep: Option<SweepView>,
    /// Answers to the last pictures that a person gave.
    pub predictions: Option<Arc<Vec<Prediction>>>,
    /// The run's folder or the checkpoint that gave them, where another was asked than the network at hand.
    pub predicted_by: Option<PathBuf>,
    /// What a promptable model answered last.
    pub masks: Option<Arc<MaskAnswer>>,
    /// Where prompting stands.
    pub prompts: PromptView,
    /// What became of the last export.
    pub exported: Option<Arc<Exported>>,
    /// What was measured last because a person asked for it.
    pub evaluation: Option<Arc<Evaluation>>,
    /// Bytes that the device's pool holds.
    pub memory: Option<u64>,
    /// How much of features lies on disk.
    pub features: Option<FeaturesKept>,
    /// The console, oldest first.
    pub notices: Vec<Notice>,
    /// Counts events, so that a front end can see that something is new.
    pub revision: u64,
}

/// Pictures whose results are kept of epochs that are neither the best nor the last: 12 MB.
const MAX_EVALUATED: usize = 200_000;
/// Memory that masks of the fixed pictures may take before those of past epochs lose their probabilities.
const MAX_MASK_BYTES: usize = 256 << 20;
/// Lines that the console keeps.
const MAX_NOTICES: usize = 2000;

impl View {
    /// Takes one event in.
    pub fn fold(&mut self, event: Event) {
        self.revision += 1;
        match event {
            Event::Device(info) => {
                if !info.refused.is_empty() {
                    self.say(Severity::Warning, info.note.clone());
                }
                self.device = Some(info);
            }
            Event::Progress { what, done, total } => self.busy = Some(Busy { what, done, total }),
            Event::Idle => self.busy = None,
            Event::DataReady(data) => {
                self.say(Severity::Note, format!("{}: {} of {} images used", data.name, data.used(), data.found));
                self.data = Some(data);
                self.busy = None;
            }
            Event::CheckpointReady(report) => {
                self.say(Severity::Note, report.summary());
                self.load = Some(report);
                self.belongs = None;
                self.busy = None;
            }
            Event::CheckpointOfOther(belongs) => {
                self.say(Severity::Note, belongs.what.clone());
                self.load = None;
                self.belongs = Some(belongs);
                self.busy = None;
            }
            Event::Weights { file, state } => {
                if let WeightsState::Failed(what) = &state {
                    self.say(Severity::Error, what.clone());
                }
                self.weights.insert(file, state);
            }
            Event::RunStarted(info) => {
                self.busy = None;
                self.load.clone_from(&info.load);
                self.run = Some(RunView::new(info));
            }
            Event::Predictions { from, answers } => {
                (self.predictions, self.predicted_by) = (Some(answers), from);
                self.busy = None;
            }
            Event::PromptReady(opened) => {
                self.prompts.opened = Some(opened);
                self.busy = None;
            }
            Event::DrawnSaved(saved) => self.prompts.saved = Some(saved),
            Event::Masks(answer) => {
                self.masks = Some(answer);
                self.busy = None;
            }
            Event::SweepStarted { plan, sweep } => {
                let (points, suggestions) = (Vec::with_capacity(sweep.steps.min(10_000)), LrSuggestions::default());
                self.sweep = Some(SweepView { plan, sweep, points, suggestions, end: None });
            }
            Event::SweepPoint(point) => self.sweep.iter_mut().for_each(|sweep| sweep.points.push(point)),
            Event::SweepDone { suggestions, end } => self.end_sweep(suggestions, end),
            Event::Evaluated(evaluation) => {
                self.evaluation = Some(evaluation);
                self.busy = None;
            }
            Event::Memory { used } => self.memory = Some(used),
            Event::FeaturesKept(kept) => self.features = Some(kept),
            Event::Exported(exported) => self.take_export(exported),
            Event::Saved { path, what } => self.say(Severity::Note, format!("{what} written to {}", path.display())),
            Event::Warning(issue) => self.say_issue(&issue),
            Event::Log(text) => self.say(Severity::Note, text),
            Event::Failed { what, run_stopped } => {
                self.prompts.failures += 1;
                self.prompts.failure = Some(what.clone());
                self.say(Severity::Error, what);
                self.busy = None;
                if let Some(sweep) = self.sweep.as_mut().filter(|sweep| sweep.end.is_none()) {
                    sweep.end = Some(SweepEnd::Cancelled);
                }
                if let (true, Some(run)) = (run_stopped, &mut self.run) {
                    run.phase = Phase::Failed;
                }
            }
            other => self.fold_run(other),
        }
    }

    fn end_sweep(&mut self, suggestions: LrSuggestions, end: SweepEnd) {
        self.busy = None;
        let Some(sweep) = &mut self.sweep else { return };
        (sweep.suggestions, sweep.end) = (suggestions, Some(end));
        let steps = sweep.points.len();
        let text = match (suggestions.valley, end) {
            (_, SweepEnd::Cancelled) => format!("learning-rate sweep stopped after {steps} steps"),
            (Some(lr), _) => format!("learning-rate sweep of {steps} steps: {lr:.1e} suggested"),
            (None, _) => format!("learning-rate sweep of {steps} steps: too few points for a suggestion"),
        };
        self.say(Severity::Note, text);
    }

    fn fold_run(&mut self, event: Event) {
        let Some(run) = &mut self.run else { return };
        let mut note = None;
        match event {
            Event::Step(news) => run.take_step(*news),
            Event::Epoch(news) => run.take_epoch(*news),
            Event::EpochEvaluated(evaluation) => run.take_evaluation(evaluation),
            Event::Samples { epoch, samples } => {
                run.samples.insert(epoch, samples);
                run.thin_samples(epoch);
            }
            Event::FreezeChanged { epoch, plan, trainable, note: text, .. } => {
                run.freeze = plan.clone();
                run.freeze_history.push((epoch, plan));
                run.trainable = trainable;
                run.pace = Pace::default();
                run.marks.push(Mark { epoch, text: text.clone() });
                note = Some(text);
            }
            Event::TimelineChanged { timeline, note: text, .. } => {
                run.timeline = timeline;
                note = Some(text);
            }
            Event::LrChanged { epoch, lr, .. } => {
                let text = format!("learning rate {lr:.2e}");
                run.marks.push(Mark { epoch, text: text.clone() });
                note = Some(text);
            }
            Event::Paused => {
                run.phase = Phase::Paused;
                run.paused_at = Some(Instant::now());
            }
            Event::Resumed => {
                run.phase = Phase::Running;
                run.waited += run.paused_at.take().map_or(Duration::ZERO, |at| at.elapsed());
                run.pace = Pace::default();
            }
            Event::NewBest(best) => run.best = Some(best),
            Event::Done { ending, best, checkpoint } => {
                run.phase = Phase::Ended(ending);
                run.best = best.or_else(|| run.best.take());
                run.checkpoint = checkpoint;
                run.eta = None;
                self.busy = None;
            }
            _ => {}
        }
        if let Some(text) = note {
            self.say(Severity::Note, text);
        }
    }

    fn take_export(&mut self, exported: Arc<Exported>) {
        self.busy = None;
        match &exported.problem {
            Some(problem) => self.say(Severity::Error, problem.clone()),
            None => self.say(Severity::Note, format!("exported to {}", exported.to.display())),
        }
        self.exported = Some(exported);
    }

    /// Appends a line to the console.
    pub fn say(&mut self, severity: Severity, text: String) {
        self.notices.push(Notice { severity, text, at: Instant::now() });
        if self.notices.len() > MAX_NOTICES {
            self.notices.drain(..MAX_NOTICES / 10);
        }
    }

    fn say_issue(&mut self, issue: &Issue) {
        let place = issue.line.map_or(String::new(), |line| format!(":{line}"));
        self.say(issue.severity, format!("{}{place}: {}", issue.file.display(), issue.what));
    }

    /// Whether a run is making steps or waits to go on.
    #[must_use]
    pub fn is_training(&self) -> bool {
        self.run.as_ref().is_some_and(|run| matches!(run.phase, Phase::Running | Phase::Paused))
    }
}

impl RunView {
    fn new(info: Arc<RunInfo>) -> Self {
        let freeze = info.plan.freeze.clone();
        Self {
            phase: Phase::Running,
            freeze_history: vec![(f64::from(info.first_epoch), freeze.clone())],
            freeze,
            timeline: info.plan.timeline.clone(),
            trainable: info.trainable,
            step: None,
            train_losses: BTreeMap::new(),
            val_losses: BTreeMap::new(),
            metrics: BTreeMap::new(),
            lr: Series::default(),
            epochs: Vec::new(),
            samples: BTreeMap::new(),
            evaluations: BTreeMap::new(),
            marks: Vec::new(),
            best: None,
            checkpoint: None,
            eta: None,
            started: Instant::now(),
            waited: Duration::ZERO,
            paused_at: None,
            pace: Pace::default(),
            info,
        }
    }

    /// Time since the start, pauses left out.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let waiting = self.paused_at.map_or(Duration::ZERO, |at| at.elapsed());
        self.started.elapsed().saturating_sub(self.waited + waiting)
    }

    /// The epoch that is on its way, validation included, from 1.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epochs.last().map_or(0, |news| news.epoch) + 1
    }

    /// The position on the time axis: epochs done, as a fraction.
    #[must_use]
    pub fn position(&self) -> f64 {
        let done = self.epochs.last().map_or(0.0, |epoch| f64::from(epoch.epoch));
        self.step.as_ref().map_or(done, |step| self.epoch_of(step.step).max(done))
    }

    fn epoch_of(&self, step: u64) -> f64 {
        step as f64 / self.info.steps_per_epoch.max(1) as f64
    }

    fn take_step(&mut self, news: StepNews) {
        let x = self.epoch_of(news.step);
        for (name, value) in &news.losses {
            self.train_losses.entry(name.clone()).or_default().push(x, *value);
        }
        self.lr.push(x, news.lr);
        let total = u64::from(self.info.plan.epochs) * self.info.steps_per_epoch as u64;
        let left = self.pace.step(&news, total.saturating_sub(news.step), Instant::now());
        self.eta = left.or(self.eta);
        self.step = Some(news);
    }

    fn take_evaluation(&mut self, evaluation: Arc<Evaluation>) {
        let Some(epoch) = evaluation.epoch else { return };
        self.evaluations.insert(epoch, evaluation);
        let best = self.best.as_ref().map(|best| best.epoch);
        let held = |all: &BTreeMap<u32, Arc<Evaluation>>| all.values().map(|one| one.images).sum::<usize>();
        while held(&self.evaluations) > MAX_EVALUATED {
            let oldest = self.evaluations.keys().copied().find(|&known| known != epoch && Some(known) != best);
            let Some(oldest) = oldest else { break };
            self.evaluations.remove(&oldest);
        }
    }

    /// Drops probabilities of masks of past epochs, the oldest first, as far as they take too much memory.
    fn thin_samples(&mut self, newest: u32) {
        let bytes = |samples: &Arc<Vec<LiveSample>>| samples.iter().map(LiveSample::mask_bytes).sum::<usize>();
        let mut held: usize = self.samples.values().map(bytes).sum();
        for (_, samples) in self.samples.iter_mut().filter(|(epoch, _)| **epoch != newest) {
            if held <= MAX_MASK_BYTES {
                return;
            }
            let thin = Arc::new(samples.iter().map(LiveSample::without_scores).collect());
            held = held.saturating_sub(bytes(samples)) + bytes(&thin);
            *samples = thin;
        }
    }

    fn take_epoch(&mut self, news: EpochNews) {
        let x = f64::from(news.epoch);
        for (name, value) in &news.val {
            self.val_losses.entry(name.clone()).or_default().push(x, *value);
        }
        for (name, value) in &news.metrics {
            self.metrics.entry(name.clone()).or_default().push(x, *value);
        }
        self.epochs.push(news);
    }
}
