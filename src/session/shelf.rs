//! Public weights on this machine: looked for, compared, fetched and taken in on threads of their own, so that neither
//! a run nor a data check waits for them.

use super::message::{Event, WeightsCommand, WeightsState};
use super::worker::Outbox;
use crate::format;
use crate::models::{PublicWeights, find};
use crate::train::public;
use crate::weights::hub::{self, FetchError, Options, Source, Verified};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// News of a download are at least this far apart.
const PACE: Duration = Duration::from_millis(100);

/// The jobs that run, by file.
type Jobs = Arc<Mutex<BTreeMap<String, Arc<AtomicBool>>>>;

/// Where public weights lie, and how they come.
#[derive(Clone, Debug)]
pub struct WeightsPlace {
    /// The weights folder; `None` for the one of the environment.
    pub folder: Option<PathBuf>,
    /// How they are fetched.
    pub options: Options,
}

impl WeightsPlace {
    /// As the environment says.
    #[must_use]
    pub fn from_env() -> Self {
        Self { folder: None, options: Options::from_env() }
    }

    fn folder(&self) -> Result<PathBuf, String> {
        self.folder.clone().map_or_else(hub::weights_folder, Ok)
    }

    fn find(&self, file: &str) -> Option<PathBuf> {
        let own = self.folder.as_ref().map(|folder| folder.join(file)).filter(|path| path.is_file());
        own.or_else(|| hub::find(file))
    }
}

/// Does what is asked about public weights. Dropping it stops what runs.
pub(super) struct Shelf {
    place: WeightsPlace,
    outbox: Outbox,
    jobs: Jobs,
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if let Ok(jobs) = self.jobs.lock() {
            jobs.values().for_each(|stop| stop.store(true, Ordering::Relaxed));
        }
    }
}

impl Shelf {
    pub(super) fn new(place: WeightsPlace, outbox: Outbox) -> Self {
        Self { place, outbox, jobs: Jobs::default() }
    }

    pub(super) fn obey(&self, command: &WeightsCommand) -> Result<(), String> {
        match command {
            WeightsCommand::Look { model } => {
                for weights in find(model)?.weights {
                    self.start(weights, Work::Look)?;
                }
                Ok(())
            }
            WeightsCommand::Fetch { model, entry } => {
                self.start(public::entry(&find(model)?, entry)?.clone(), Work::Fetch)
            }
            WeightsCommand::TakeIn { path, model, entry } => {
                self.start(public::entry(&find(model)?, entry)?.clone(), Work::TakeIn(path.clone()))
            }
            WeightsCommand::Stop { file } => {
                if let Some(stop) = self.jobs.lock().ok().and_then(|jobs| jobs.get(file).cloned()) {
                    stop.store(true, Ordering::Relaxed);
                }
                Ok(())
            }
        }
    }

    /// Starts a job unless one for the same file runs.
    fn start(&self, weights: PublicWeights, work: Work) -> Result<(), String> {
        let stop = Arc::new(AtomicBool::new(false));
        {
            let Ok(mut jobs) = self.jobs.lock() else { return Ok(()) };
            if jobs.contains_key(weights.file) {
                return Ok(());
            }
            jobs.insert(weights.file.to_owned(), Arc::clone(&stop));
        }
        let job =
            Job { weights, stop, place: self.place.clone(), outbox: self.outbox.clone(), jobs: Arc::clone(&self.jobs) };
        let (file, jobs) = (job.weights.file, Arc::clone(&self.jobs));
        let thread = std::thread::Builder::new().name("frostline-weights".to_owned());
        let failed = thread.spawn(move || job.run(&work)).err();
        failed.map_or(Ok(()), |error| {
            jobs.lock().ok().and_then(|mut jobs| jobs.remove(file));
            Err(format!("No thread can be started for {file}: {error}."))
        })
    }
}

/// What is done with one file.
enum Work {
    Look,
    Fetch,
    TakeIn(PathBuf),
}

struct Job {
    weights: PublicWeights,
    stop: Arc<AtomicBool>,
    place: WeightsPlace,
    outbox: Outbox,
    jobs: Jobs,
}

impl Job {
    fn run(self, work: &Work) {
        let guarded = std::panic::AssertUnwindSafe(|| self.work(work));
        let internal = |_| WeightsState::Failed("The weights could not be looked at: an internal error.".to_owned());
        let state = std::panic::catch_unwind(guarded).unwrap_or_else(internal);
        // Before the news: whoever asks again on hearing them is not turned away.
        self.jobs.lock().ok().and_then(|mut jobs| jobs.remove(self.weights.file));
        self.say(state);
    }

    fn say(&self, state: WeightsState) {
        self.outbox.send(Event::Weights { file: self.weights.file.to_owned(), state });
    }

    fn work(&self, work: &Work) -> WeightsState {
        let source = Source::from(&self.weights);
        let mut go_on = |_| !self.stop.load(Ordering::Relaxed);
        let done = match work {
            Work::Look => match self.place.find(self.weights.file) {
                None => return WeightsState::Absent,
                Some(path) => {
                    self.say(WeightsState::Checking);
                    hub::verify(&path, &source, &mut go_on).map(|found| found.map(|verified| (path, verified)))
                }
            },
            Work::TakeIn(path) => {
                self.say(WeightsState::Checking);
                self.place.folder().and_then(|folder| hub::take_in(path, &source, &folder, &mut go_on))
            }
            Work::Fetch => self.fetch(&source),
        };
        match done {
            Ok(Some((path, verified))) => WeightsState::Here { path, proof: verified.words() },
            Ok(None) => WeightsState::Absent,
            Err(what) => WeightsState::Failed(what),
        }
    }

    fn fetch(&self, source: &Source) -> Result<Option<(PathBuf, Verified)>, String> {
        let folder = self.place.folder()?;
        let (begun, mut told) = (Instant::now(), None::<Instant>);
        let mut tell = |news: &hub::Progress| {
            if told.is_none_or(|at| at.elapsed() >= PACE) {
                told = Some(Instant::now());
                let state = WeightsState::Fetching(*news);
                self.outbox.offer(Event::Weights { file: self.weights.file.to_owned(), state });
            }
            !self.stop.load(Ordering::Relaxed)
        };
        match hub::fetch(source, &folder, &self.place.options, &mut tell) {
            Ok((path, verified)) => {
                self.outbox.send(Event::Log(fetched(&path, &verified, begun.elapsed())));
                Ok(Some((path, verified)))
            }
            Err(FetchError::Cancelled) => Ok(None),
            Err(FetchError::Failed(what)) => Err(what),
        }
    }
}

/// What is said of a file that came.
fn fetched(path: &Path, verified: &Verified, time: Duration) -> String {
    let len = std::fs::metadata(path).map_or(0, |file| file.len());
    format!("{} came in {}: {}; {}", path.display(), format::clock(time), format::bytes(len), verified.words())
}
