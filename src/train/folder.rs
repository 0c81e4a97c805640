//! A run's folder: written so that a kill at any instant loses at most the steps since the last checkpoint.
//!
//! ```text
//! run.json              plan, classes, preprocessing, model: written once at the start
//! metrics.jsonl         a line for each epoch, for each thing that a person did and for the end, appended
//! last.safetensors      the weights after the last epoch, under public names
//! best.safetensors      the weights after the best epoch
//! evaluation.jsonl      what they say of each validation picture
//! resume.safetensors    weights, optimizer, position: one file, so that they always belong together
//! ```

use super::news::{Best, Ended, Ending, EpochNews};
use super::optim::{OptimizerState, TensorState};
use super::plan::Plan;
use super::proof::Proof;
use super::timeline::FreezePhase;
use crate::data::{DEFAULT_COLUMN, LabelColumn};
use crate::graph::{FreezePlan, Preprocess};
use crate::models::HostTensor;
use crate::weights::{self, Checkpoint, SaveDtype, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What is fixed when a run starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// Version of the folder's form.
    pub version: u32,
    /// What decides the run.
    pub plan: Plan,
    /// Class names of the first head in the order of ids.
    pub classes: Vec<String>,
    /// What each label head tells, in turn; empty for a single head that tells one of `classes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<LabelColumn>,
    /// From picture to input.
    pub preprocess: Preprocess,
    /// Usual width and height in pixels of the training pictures (medians), where each pixel has a class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture_px: Option<[u32; 2]>,
}

impl RunFile {
    /// A file of this version.
    #[must_use]
    pub fn new(plan: Plan, columns: &[LabelColumn], preprocess: Preprocess) -> Self {
        let classes = columns.first().map(|column| column.classes.clone()).unwrap_or_default();
        let usual = matches!(columns, [LabelColumn { name, multi: false, .. }] if name == DEFAULT_COLUMN);
        let heads = if usual { Vec::new() } else { columns.to_vec() };
        Self { version: VERSION, plan, classes, heads, preprocess, picture_px: None }
    }

    /// What each label head tells, in turn.
    #[must_use]
    pub fn columns(&self) -> Vec<LabelColumn> {
        if self.heads.is_empty() { vec![LabelColumn::single(self.classes.clone())] } else { self.heads.clone() }
    }
}

/// Where a run stands; stored with the weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Epochs that are finished.
    pub epoch: u32,
    /// Batches taken in the epoch that is not finished; a run is stored between two steps of the optimizer only.
    #[serde(alias = "step_in_epoch")]
    pub batch_in_epoch: usize,
    /// Steps of the optimizer made in all.
    pub step: u64,
    /// Sums of the losses of the unfinished epoch, by name.
    pub loss_sums: BTreeMap<String, f64>,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// Epochs since the metric last rose by the smallest gain, with the value that has to be beaten.
    pub waiting: u32,
    /// The value that early stopping compares with.
    pub reference: Option<f64>,
    /// The freeze plan in force.
    pub freeze: FreezePlan,
    /// First epoch of the phase that was entered last; 0 for the plan's own.
    #[serde(default)]
    pub entered: u32,
    /// What changes in later epochs, if it was changed by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Vec<FreezePhase>>,
    /// The learning rate, if it was set by hand.
    pub lr: Option<f64>,
    /// Digests of what is frozen.
    pub proof: Proof,
}

/// Weights by name, the optimizer's memory, and where the run stood.
pub type Resumed = (Vec<(String, Vec<f32>)>, OptimizerState, Position);

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

const VERSION: u32 = 1;
const POSITION: &str = "frostline.position";

impl RunFolder {
    /// Makes the folder of a new run.
    ///
    /// # Errors
    /// A sentence, when the folder holds a run already or cannot be written.
    pub fn create(path: &Path, file: &RunFile) -> Result<Self, String> {
        let fail = |error: std::io::Error| format!("Cannot write the run folder {}: {error}.", path.display());
        if path.join("run.json").exists() {
            return Err(format!("{} holds a run already; choose another folder or resume it.", path.display()));
        }
        std::fs::create_dir_all(path).map_err(fail)?;
        let folder = Self { path: path.to_path_buf() };
        folder.write_run(file)?;
        Ok(folder)
    }

    /// Opens the folder of a run that was started before.
    ///
    /// # Errors
    /// A sentence, when there is no run or it cannot be read.
    pub fn open(path: &Path) -> Result<(Self, RunFile), String> {
        let file = path.join("run.json");
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{} is not a run folder: run.json: {error}.", path.display()))?;
        let run: RunFile =
            serde_json::from_str(&text).map_err(|error| format!("Cannot read {}: {error}.", file.display()))?;
        if run.version > VERSION {
            return Err(format!("{} was written by a newer version of Frostline.", path.display()));
        }
        Ok((Self { path: path.to_path_buf() }, run))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The best weights.
    #[must_use]
    pub fn best(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// The last weights.
    #[must_use]
    pub fn last(&self) -> PathBuf {
        self.path.join("last.safetensors")
    }

    /// What the best epoch says of each validation picture.
    #[must_use]
    pub fn evaluation(&self) -> PathBuf {
        self.path.join(super::evaluation::FILE)
    }

    fn resume_file(&self) -> PathBuf {
        self.path.join("resume.safetensors")
    }

    /// Writes `run.json` whole or not at all.
    ///
    /// # Errors
    /// A sentence, when it cannot be written.
    pub fn write_run(&self, file: &RunFile) -> Result<(), String> {
        let target = self.path.join("run.json");
        let fail = |error: std::io::Error| format!("Cannot write {}: {error}.", target.display());
        let text = serde_json::to_string_pretty(file).map_err(|error| format!("Cannot write run.json: {error}."))?;
        let part = self.path.join("run.json.part");
        let mut out = std::fs::File::create(&part).map_err(fail)?;
        out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(fail)?;
        std::fs::rename(&part, &target).map_err(fail)
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// A sentence, when it cannot be written.
    pub fn append(&self, line: &impl Serialize) -> Result<(), String> {
        let target = self.path.join("metrics.jsonl");
        let fail = |error: std::io::Error| format!("Cannot write {}: {error}.", target.display());
        let mut text = serde_json::to_string(line).map_err(|error| format!("Cannot write metrics: {error}."))?;
        text.push('\n');
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&target).map_err(fail)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(fail)
    }

    /// The epochs on record, the last record of each.
    #[must_use]
    pub fn epochs(&self) -> Vec<EpochNews> {
        let text = std::fs::read_to_string(self.path.join("metrics.jsonl")).unwrap_or_default();
        let epochs = text.lines().filter_map(|line| serde_json::from_str::<EpochNews>(line).ok());
        epochs.map(|epoch| (epoch.epoch, epoch)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// How the run ended, if that is the last thing on record.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        let text = std::fs::read_to_string(self.path.join("metrics.jsonl")).unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty())?;
        serde_json::from_str::<Ended>(last).ok().map(|ended| ended.ending)
    }

    /// Writes weights under public names.
    ///
    /// # Errors
    /// A sentence, when they cannot be written.
    pub fn write_weights(&self, to: &Path, tensors: &[HostTensor], run: &RunFile) -> Result<(), String> {
        export(to, tensors, run)
    }

    /// Writes everything that a resumed run needs, as one file.
    ///
    /// # Errors
    /// A sentence, when it cannot be written.
    pub fn write_resume(
        &self,
        tensors: &[HostTensor],
        optimizer: &OptimizerState,
        position: &Position,
    ) -> Result<(), String> {
        let memory = optimizer.iter().flat_map(|(name, state)| {
            let first = (format!("optimizer/first/{name}"), [state.first.len()], &state.first);
            let second =
                state.second.as_ref().map(|second| (format!("optimizer/second/{name}"), [second.len()], second));
            std::iter::once(first).chain(second)
        });
        let memory: Vec<_> = memory.collect();
        let mut all = views(tensors);
        all.extend(memory.iter().map(|(name, shape, values)| TensorView { name, shape, values }));
        let steps: BTreeMap<&String, i32> = optimizer.iter().map(|(name, state)| (name, state.step)).collect();
        let json =
            |value: serde_json::Result<String>| value.map_err(|error| format!("Cannot write the position: {error}."));
        let metadata = BTreeMap::from([
            (POSITION.to_owned(), json(serde_json::to_string(position))?),
            ("frostline.optimizer_steps".to_owned(), json(serde_json::to_string(&steps))?),
        ]);
        weights::save_views(&self.resume_file(), &all, SaveDtype::F32, &metadata).map_err(|error| error.to_string())
    }

    /// Where the run stood at its last checkpoint; only the file's description is read.
    ///
    /// # Errors
    /// A sentence, when it is missing or damaged.
    pub fn position(&self) -> Result<Position, String> {
        let path = self.resume_file();
        let checkpoint = Checkpoint::open(&path).map_err(|error| error.to_string())?;
        let text = checkpoint.metadata.get(POSITION).map(String::as_str).unwrap_or_default();
        serde_json::from_str(text).map_err(|error| format!("Cannot read {}: {error}.", path.display()))
    }

    /// Reads what [`RunFolder::write_resume`] wrote.
    ///
    /// # Errors
    /// A sentence, when it is missing or damaged.
    pub fn read_resume(&self) -> Result<Resumed, String> {
        let path = self.resume_file();
        let fail = |cause: String| format!("Cannot resume from {}: {cause}.", path.display());
        let checkpoint = Checkpoint::open(&path).map_err(|error| error.to_string())?;
        let meta = |key: &str| checkpoint.metadata.get(key).ok_or_else(|| fail(format!("{key} is missing")));
        let position: Position = serde_json::from_str(meta(POSITION)?).map_err(|error| fail(error.to_string()))?;
        let steps: BTreeMap<String, i32> =
            serde_json::from_str(meta("frostline.optimizer_steps")?).map_err(|error| fail(error.to_string()))?;
        let mut tensors = Vec::new();
        let mut optimizer: OptimizerState = steps
            .into_iter()
            .map(|(name, step)| (name, TensorState { step, first: Vec::new(), second: None }))
            .collect();
        let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
        for name in names {
            let values = checkpoint.read_f32(&name).map_err(|error| error.to_string())?;
            if let Some(of) = name.strip_prefix("optimizer/first/") {
                optimizer.entry(of.to_owned()).and_modify(|state| state.first = values);
            } else if let Some(of) = name.strip_prefix("optimizer/second/") {
                optimizer.entry(of.to_owned()).and_modify(|state| state.second = Some(values));
            } else {
                tensors.push((name, values));
            }
        }
        Ok((tensors, optimizer, position))
    }
}

fn views(tensors: &[HostTensor]) -> Vec<TensorView<'_>> {
    fn view(HostTensor { spec, values }: &HostTensor) -> TensorView<'_> {
        TensorView { name: &spec.name, shape: &spec.shape, values }
    }
    tensors.iter().map(view).collect()
}

/// Writes weights under public names with what is needed to use them: model, classes, preprocessing.
///
/// # Errors
/// A sentence, when the file cannot be written.
pub fn export(to: &Path, tensors: &[HostTensor], run: &RunFile) -> Result<(), String> {
    let json =
        |value: serde_json::Result<String>| value.map_err(|error| format!("Cannot write {}: {error}.", to.display()));
    let mut metadata = BTreeMap::from([
        ("frostline.model".to_owned(), run.plan.model.clone()),
        ("frostline.classes".to_owned(), json(serde_json::to_string(&run.classes))?),
        ("frostline.preprocess".to_owned(), json(serde_json::to_string(&run.preprocess))?),
        ("frostline.freeze".to_owned(), json(serde_json::to_string(&run.plan.freeze))?),
        ("frostline.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    if !run.heads.is_empty() {
        metadata.insert("frostline.heads".to_owned(), json(serde_json::to_string(&run.heads))?);
    }
    if let Some(picture_px) = run.picture_px {
        metadata.insert("frostline.picture_px".to_owned(), json(serde_json::to_string(&picture_px))?);
    }
    weights::save_views(to, &views(tensors), SaveDtype::F32, &metadata).map_err(|error| error.to_string())
}
