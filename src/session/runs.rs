//! Runs on disk, read in the background: a window never waits for a disk.

use crate::graph::Graph;
use crate::train::{Best, Ending, EpochNews, Evaluation, Plan, RunFolder, head_plans, higher_is_better};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What is known of a run from its folder.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The folder.
    pub folder: PathBuf,
    /// What decided it.
    pub plan: Plan,
    /// Class names.
    pub classes: Vec<String>,
    /// The network of the plan, if this version can build it.
    pub graph: Option<Arc<Graph>>,
    /// Epochs on record, without their counts.
    pub epochs: Vec<EpochNews>,
    /// The best epoch.
    pub best: Option<Best>,
    /// How it ended; none while it runs, or when it was interrupted.
    pub ending: Option<Ending>,
    /// When the last line was written.
    pub changed: Option<SystemTime>,
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// All epochs are done, or it was stopped early or finished by hand.
    Finished(Ending),
    /// It can be resumed.
    Interrupted,
}

impl RunRecord {
    /// How far it came.
    #[must_use]
    pub fn state(&self) -> RunState {
        match self.ending {
            Some(ending) if ending != Ending::Cancelled => RunState::Finished(ending),
            // Runs of the first version did not write down how they ended.
            _ if self.last_epoch() >= self.plan.epochs => RunState::Finished(Ending::Completed),
            _ => RunState::Interrupted,
        }
    }

    /// Epochs that are done.
    #[must_use]
    pub fn last_epoch(&self) -> u32 {
        self.epochs.last().map_or(0, |news| news.epoch)
    }

    fn read(folder: &Path) -> Result<Self, String> {
        let (run, file) = RunFolder::open(folder)?;
        let mut epochs = run.epochs();
        epochs.iter_mut().for_each(|news| news.confusion = Vec::new());
        let graph = crate::models::find(&file.plan.model)
            .ok()
            .and_then(|variant| variant.graph_with(&head_plans(&file.columns()), file.plan.size_px as usize).ok());
        let best = run.position().ok().and_then(|position| position.best);
        let written = |name: &str| std::fs::metadata(folder.join(name)).and_then(|meta| meta.modified()).ok();
        Ok(Self {
            folder: folder.to_path_buf(),
            best: best.or_else(|| best_of(&epochs, &file.plan.best_by)),
            ending: run.ending(),
            changed: written("metrics.jsonl").or_else(|| written("run.json")),
            graph: graph.map(Arc::new),
            plan: file.plan,
            classes: file.classes,
            epochs,
        })
    }
}

/// The best epoch by its record.
fn best_of(epochs: &[EpochNews], by: &str) -> Option<Best> {
    let first = epochs.first()?;
    let usual = ["top1", "miou"].into_iter().find(|name| first.metrics.contains_key(*name));
    let metric = if by.is_empty() { usual.unwrap_or("loss") } else { by };
    let value = |news: &EpochNews| match metric {
        "loss" => news.val.get("total").copied(),
        name => news.metrics.get(name).copied(),
    };
    let better = |a: f64, b: f64| if higher_is_better(metric) { a > b } else { a < b };
    let all = epochs.iter().filter_map(|news| Some((value(news)?, news.epoch)));
    let (value, epoch) = all.reduce(|best, next| if better(next.0, best.0) { next } else { best })?;
    Some(Best { metric: metric.to_owned(), value, epoch })
}

/// A record or why there is none.
pub type RunAnswer = Result<Arc<RunRecord>, String>;
/// The results of a run's best epoch, none where they were not kept, or why they cannot be read.
pub type EvaluationAnswer = Result<Option<Arc<Evaluation>>, String>;

/// Answers by path; none while an answer is on its way.
type Answers<T> = HashMap<PathBuf, Option<T>>;

#[derive(Default)]
struct State {
    runs: Answers<RunAnswer>,
    evaluations: Answers<EvaluationAnswer>,
    below: Answers<Vec<PathBuf>>,
}

/// Evaluations that are kept.
const EVALUATIONS: usize = 4;
/// Run folders below a runs folder that are listed.
const LISTED: usize = 500;

/// Reads run folders on the rayon pool and keeps what was read.
pub struct RunShelf {
    state: Arc<Mutex<State>>,
    wake: super::Wake,
}

impl std::fmt::Debug for RunShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunShelf").finish_non_exhaustive()
    }
}

impl RunShelf {
    /// `wake` is called when something was read.
    #[must_use]
    pub fn new(wake: super::Wake) -> Self {
        Self { state: Arc::default(), wake }
    }

    /// What is known of a run; none while it is being read.
    #[must_use]
    pub fn run(&self, folder: &Path) -> Option<RunAnswer> {
        self.get(folder, |state| &mut state.runs, |folder| RunRecord::read(folder).map(Arc::new))
    }

    /// What a run's best epoch says of each validation picture; none while it is being read.
    #[must_use]
    pub fn evaluation(&self, run: &Path) -> Option<EvaluationAnswer> {
        let read = |run: &Path| Evaluation::read(run).map(|found| found.map(Arc::new));
        self.get(run, |state| &mut state.evaluations, read)
    }

    /// The run folders below a folder, newest name first; none while they are being looked for.
    #[must_use]
    pub fn below(&self, folder: &Path) -> Option<Vec<PathBuf>> {
        self.get(folder, |state| &mut state.below, run_folders)
    }

    /// Forgets what was read of a run, because it has changed, and which runs there are.
    pub fn forget(&self, run: &Path) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.runs.remove(run);
        state.evaluations.remove(run);
        state.below.clear();
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    fn get<T: Clone + 'static>(
        &self,
        path: &Path,
        answers: fn(&mut State) -> &mut Answers<T>,
        read: fn(&Path) -> T,
    ) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers(&mut state).get(path) {
            return answer.clone();
        }
        if state.evaluations.len() > EVALUATIONS {
            state.evaluations.clear();
        }
        answers(&mut state).insert(path.to_path_buf(), None);
        drop(state);
        let (shared, wake, path) = (Arc::clone(&self.state), Arc::clone(&self.wake), path.to_path_buf());
        rayon::spawn(move || {
            let answer = read(&path);
            answers(&mut shared.lock().unwrap_or_else(PoisonError::into_inner)).insert(path, Some(answer));
            wake();
        });
        None
    }
}

/// Folders that hold a `run.json`, directly below `folder`.
fn run_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.join("run.json").is_file()).collect();
    found.sort_by(|a, b| b.cmp(a));
    found.truncate(LISTED);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::RunFile;
    use std::time::{Duration, Instant};

    fn wait<T>(ask: impl Fn() -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(Instant::now() < end, "no answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn write_run(folder: &Path, lines: &str) {
        let plan = Plan { epochs: 2, ..Plan::default() };
        let rule = crate::graph::Preprocess::imagenet(224);
        let classes = crate::data::LabelColumn::single(vec!["a".to_owned(), "b".to_owned()]);
        RunFolder::create(folder, &RunFile::new(plan, &[classes], rule)).unwrap();
        std::fs::write(folder.join("metrics.jsonl"), lines).unwrap();
    }

    fn line(epoch: u32, top1: f64) -> String {
        format!(
            "{{\"epoch\":{epoch},\"train\":{{}},\"val\":{{\"total\":0.5}},\"metrics\":{{\"top1\":{top1}}},\"seconds\":1.0,\
             \"frozen_verified\":true,\"cached\":false,\"confusion\":[[1,0],[0,1]]}}\n"
        )
    }

    #[test]
    fn runs_are_read_with_how_far_they_came() {
        let home = tempfile::tempdir().unwrap();
        let (cut, whole, bad) = (home.path().join("1"), home.path().join("2"), home.path().join("3"));
        write_run(&cut, &[line(0, 0.5), line(1, 0.75)].concat());
        let stopped = "{\"ending\":\"finished\"}\n";
        write_run(
            &whole,
            &[&line(0, 0.5), &line(1, 0.75), "{\"note\":\"x\",\"step\":1,\"epoch\":1}\n", stopped].concat(),
        );
        std::fs::create_dir(&bad).unwrap();
        std::fs::write(bad.join("run.json"), "{").unwrap();
        let shelf = RunShelf::new(Arc::new(|| {}));
        assert_eq!(wait(|| shelf.below(home.path())), [bad.clone(), whole.clone(), cut.clone()]);
        let record = wait(|| shelf.run(&cut)).unwrap();
        assert_eq!((record.state(), record.last_epoch(), record.epochs.len()), (RunState::Interrupted, 1, 2));
        assert_eq!(record.best, Some(Best { metric: "top1".to_owned(), value: 0.75, epoch: 1 }));
        assert!(record.epochs[1].confusion.is_empty() && record.graph.is_some());
        assert_eq!(wait(|| shelf.run(&whole)).unwrap().state(), RunState::Finished(Ending::Finished));
        assert!(wait(|| shelf.run(&bad)).unwrap_err().contains("3/run.json"));
        assert!(wait(|| shelf.evaluation(&cut)).unwrap().is_none());
        // What was read stays until it is forgotten.
        std::fs::write(cut.join("metrics.jsonl"), [line(0, 0.5), line(1, 0.7), line(2, 0.8)].concat()).unwrap();
        assert_eq!(wait(|| shelf.run(&cut)).unwrap().last_epoch(), 1);
        shelf.forget(&cut);
        assert_eq!(wait(|| shelf.run(&cut)).unwrap().state(), RunState::Finished(Ending::Completed));
    }
}
