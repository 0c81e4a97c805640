//! From a plan to everything that a run needs: pictures, graph, weights.

use super::detection;
use super::folder::{Position, RunFile, RunFolder};
use super::losses;
use super::metrics::metric_names;
use super::origin;
use super::plan::{DataSource, Plan, ValChoice};
use super::public;
use super::recognize::{Found, Misfit, recognize};
use crate::data::features::Lookup;
use crate::data::loader::Wants;
use crate::data::{
    self, Dataset, LabelColumn, Loader, OpenOptions, PixelCache, Progress, Split, Task, ValSource, View, sampling,
};
use crate::graph::{Facts, Graph, Head, HeadKind, HeadPlan, Part, Preprocess, TensorSpec};
use crate::models::{Network, find};
use crate::nn::values;
use crate::rng::Rng;
use crate::weights::{self, Alias, Checkpoint, LoadReport, Wanted};
use burn::tensor::Device;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Setup {
    /// What decides it.
    pub plan: Plan,
    /// The pictures.
    pub dataset: Arc<Dataset>,
    /// The network, filled.
    pub network: Network,
    /// From picture to input.
    pub rule: Preprocess,
    /// How the weights were loaded, if a checkpoint was.
    pub load: Option<Arc<LoadReport>>,
}

/// The tensors of a graph as the loader wants to know them.
#[must_use]
pub fn wanted(graph: &Graph, facts: &Facts) -> Vec<Wanted> {
    let publishers: Vec<(Arc<str>, Arc<str>)> =
        graph.spellings.iter().map(|spelling| (spelling.by.as_str().into(), spelling.note.as_str().into())).collect();
    let also = |name: &str| {
        let spelled = graph.spellings.iter().map(|spelling| spelling.name(name));
        let aliases =
            spelled.zip(&publishers).map(|(name, (by, note))| Alias { name, by: by.clone(), note: note.clone() });
        aliases.collect()
    };
    let mut all = Vec::new();
    for id in graph.ids() {
        let part = &graph.node(id).part;
        all.extend(facts.node(id).tensors.iter().map(|spec| Wanted {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            head: matches!(part, Part::Head(_)),
            part: part.to_string(),
            also: also(&spec.name),
        }));
    }
    all
}

/// Opens the pictures of a plan; `task` says what is wanted of a set that has boxes and masks.
///
/// # Errors
/// A sentence with the cause.
pub fn open_data(
    source: &DataSource,
    val: &ValChoice,
    seed: u64,
    task: Option<Task>,
    progress: &dyn Progress,
) -> Result<Dataset, String> {
    match source {
        DataSource::Sample => data::open_builtin().map_err(|error| error.to_string()),
        DataSource::Path(path) => {
            let val = match val {
                ValChoice::Auto => ValSource::FromSet,
                ValChoice::Fraction(share) => ValSource::Fraction(*share),
                ValChoice::Path(path) => ValSource::Other(path.clone()),
            };
            data::open(path, &OpenOptions { val, seed, task }, progress).map_err(|error| error.to_string())
        }
    }
}

/// The heads that columns of labels ask for, in turn.
#[must_use]
pub fn head_plans(columns: &[LabelColumn]) -> Vec<HeadPlan> {
    let of = |column: &LabelColumn| HeadPlan {
        name: column.head(),
        classes: column.classes.len().max(1),
        multi: column.multi,
    };
    columns.iter().map(of).collect()
}

/// The graph of a plan for a set with the chosen columns.
pub(super) fn graph_of(plan: &Plan, dataset: &Dataset) -> Result<Graph, String> {
    let (variant, heads) = (find(&plan.model)?, head_plans(&dataset.columns));
    for &side in &plan.augment.sizes {
        let at = |error| format!("{} cannot train with inputs of {side} pixels: {error}", plan.model);
        variant.graph_with(&heads, side as usize).and_then(|graph| graph.facts().map(drop)).map_err(at)?;
    }
    variant.graph_with(&heads, plan.size_px as usize).map_err(|error| error.to_string())
}

/// The set with the columns that the plan trains heads on, in the plan's order.
pub(super) fn chosen(plan: &Plan, dataset: Arc<Dataset>) -> Result<Arc<Dataset>, String> {
    let columns = dataset.find_columns(&plan.heads)?;
    if columns.iter().copied().eq(0..dataset.columns.len()) {
        return Ok(dataset);
    }
    Ok(Arc::new(dataset.with_columns(&columns)))
}

/// Fills a network from a checkpoint of the same classes in the same order. Everything is read before anything changes.
///
/// # Errors
/// A sentence with the file and the cause; the network is as before.
pub fn load_into(network: &mut Network, checkpoint: &Checkpoint) -> Result<LoadReport, String> {
    let mut report = same_classes(network.graph(), network.facts(), checkpoint)?;
    let tensors = read_onto(checkpoint, &mut report, &|_| None)?;
    network.assign(tensors).map_err(|error| format!("Cannot load {}: {error}.", checkpoint.path.display()))?;
    Ok(report)
}

/// What a checkpoint of the same classes in the same order would fill.
fn same_classes(graph: &Graph, facts: &Facts, checkpoint: &Checkpoint) -> Result<LoadReport, String> {
    weights::plan(checkpoint, &wanted(graph, facts)).map_err(|error| Misfit::new(checkpoint, &error).what)
}

/// The tensors that a report takes from a checkpoint, by name. `fresh` gives what the rows of new classes start with.
fn read_onto(
    checkpoint: &Checkpoint,
    report: &mut LoadReport,
    fresh: &dyn Fn(&str) -> Option<Vec<f32>>,
) -> Result<Vec<(String, Vec<f32>)>, String> {
    let tensors = weights::read_onto(checkpoint, report, fresh).map_err(|error| format!("{error}."))?;
    Ok(tensors.into_iter().map(|(name, _, values)| (name, values)).collect())
}

/// A network with what a report takes from a checkpoint. Only the rest is drawn from `seed`, with the values that it has in
/// a network without a checkpoint: drawing all of a large one takes longer than reading it.
fn loaded(
    graph: Graph,
    facts: &Facts,
    seed: u64,
    checkpoint: &Checkpoint,
    report: &mut LoadReport,
    device: &Device,
) -> Result<Network, String> {
    let specs: HashMap<&str, &TensorSpec> = facts.tensors().map(|spec| (spec.name.as_str(), spec)).collect();
    let fresh = |name: &str| specs.get(name).map(|spec| values(spec, seed));
    let tensors = read_onto(checkpoint, report, &fresh)?;
    let misfit = tensors
        .iter()
        .find(|(name, values)| specs.get(name.as_str()).is_none_or(|spec| spec.numel() != values.len() as u64));
    if let Some((name, _)) = misfit {
        return Err(format!("Cannot load {}: {name} does not fit {}.", checkpoint.path.display(), graph.name));
    }
    let given = RefCell::new(tensors.into_iter().collect::<HashMap<_, _>>());
    let fill = |spec: &TensorSpec| given.borrow_mut().remove(&spec.name).unwrap_or_else(|| values(spec, seed));
    Network::filled(Arc::new(graph), &fill, device).map_err(|error| error.to_string())
}

impl Setup {
    /// Makes everything that `plan` asks for on `device`.
    ///
    /// # Errors
    /// A sentence with the cause.
    pub fn new(plan: Plan, dataset: Arc<Dataset>, device: &Device) -> Result<Self, String> {
        let variant = find(&plan.model)?;
        let checkpoint = origin::of_plan(&plan)?;
        // What the weights were trained with goes before what is usual for the model.
        let own = checkpoint.as_ref().map(origin::preprocess).transpose()?.flatten();
        let rule = public::rule(&variant, &plan.weights, own).with_size(plan.size_px);
        let dataset = chosen(&plan, dataset)?;
        let graph = graph_of(&plan, &dataset)?;
        Self::build(plan, dataset, graph, rule, checkpoint.as_ref(), device)
    }

    /// The same for a run that was started before: with its preprocessing, and without the weights that it started
    /// from, which may be gone.
    ///
    /// # Errors
    /// A sentence with the cause.
    pub fn again(run: RunFile, dataset: Arc<Dataset>, device: &Device) -> Result<Self, String> {
        let dataset = chosen(&run.plan, dataset)?;
        let now_and_then = dataset.columns.iter().zip(run.columns());
        if let Some((now, then)) = now_and_then.into_iter().find(|(now, then)| now.classes != then.classes) {
            return Err(format!(
                "The classes of {} are no longer those of the run ({} now, {} then); start a new run from its weights.",
                dataset.name,
                now.classes.join(", "),
                then.classes.join(", ")
            ));
        }
        let graph = graph_of(&run.plan, &dataset)?;
        Self::build(run.plan, dataset, graph, run.preprocess, None, device)
    }

    /// The same for a graph that no registry knows.
    ///
    /// # Errors
    /// A sentence with the cause.
    pub fn with_graph(
        plan: Plan,
        dataset: Arc<Dataset>,
        graph: Graph,
        rule: Preprocess,
        device: &Device,
    ) -> Result<Self, String> {
        let checkpoint = origin::of_plan(&plan)?;
        Self::build(plan, dataset, graph, rule, checkpoint.as_ref(), device)
    }

    fn build(
        mut plan: Plan,
        dataset: Arc<Dataset>,
        graph: Graph,
        rule: Preprocess,
        checkpoint: Option<&Checkpoint>,
        device: &Device,
    ) -> Result<Self, String> {
        if let Some(problem) = plan.problems().first() {
            return Err(problem.clone());
        }
        if let Err(reasons) = dataset.usable() {
            return Err(format!("{} cannot be trained on: {}.", dataset.name, reasons.join("; ")));
        }
        if let Some(missing) = losses::missing_targets(&graph, &dataset).first() {
            return Err(missing.clone());
        }
        if plan.recompute && graph.takes_prompts() {
            let why = "they run once for each prompt, and keep what one needs";
            return Err(format!("Activations of models that are asked for masks are not computed again ({why})."));
        }
        if let Some(name) = plan.loss_weights.keys().find(|name| graph.heads.iter().all(|head| head.name != **name)) {
            let known: Vec<&str> = graph.heads.iter().map(|head| head.name.as_str()).collect();
            return Err(format!("There is no loss named {name} to weigh; there are {}.", known.join(", ")));
        }
        let known = metric_names(&graph);
        if !plan.best_by.is_empty() && !known.contains(&plan.best_by) {
            let known = known.join(", ");
            return Err(format!(
                "There is no metric named {} to pick the best epoch by; there are {known}.",
                plan.best_by
            ));
        }
        let stray = plan.retain_known(&graph);
        if let Some(name) = stray.first() {
            return Err(format!("The freeze plan names {name}, which {} does not have.", graph.name));
        }
        let (mut network, load) = match checkpoint {
            None => (Network::new(Arc::new(graph), plan.seed, device).map_err(|error| error.to_string())?, None),
            Some(checkpoint) => {
                let facts = graph.facts().map_err(|error| error.to_string())?;
                let report = origin::transfer(checkpoint, &plan, &graph, &facts, &dataset);
                let mut report = report.map_err(|misfit| misfit.what)?;
                (loaded(graph, &facts, plan.seed, checkpoint, &mut report, device)?, Some(report))
            }
        };
        network.set_plan(&plan.freeze);
        if let Some(problem) = plan.idle_phase(network.graph(), network.facts()) {
            return Err(format!("{problem} Thaw at least one."));
        }
        Ok(Self { plan, dataset, network, rule, load: load.map(Arc::new) })
    }

    /// The training pictures of an epoch (from 1) in its own order: all that count, those with rare classes several times
    /// where the plan says so.
    fn order(&self, epoch: u32) -> Vec<usize> {
        let (plan, dataset) = (&self.plan, &self.dataset);
        let mut all = detection::known(self.network.graph(), dataset, Split::Train);
        let Some(threshold) = plan.repeat_rare else {
            Rng::keyed(plan.seed, &format!("order/{epoch}")).shuffle(&mut all);
            return all;
        };
        let classes: Vec<_> = all.iter().map(|&at| dataset.classes_of(at)).collect();
        let factors = sampling::repeat_factors(&classes, threshold);
        let mut order = sampling::epoch_order(&all, &factors, plan.seed, u64::from(epoch));
        // As many in each epoch: what chance gives too few is drawn again, from the start.
        let count = factors.iter().sum::<f64>().round() as usize;
        while order.len() < count && !order.is_empty() {
            order.extend_from_within(..order.len().min(count - order.len()));
        }
        order.truncate(count);
        order
    }

    /// Training pictures of an epoch.
    #[must_use]
    pub fn epoch_len(&self) -> usize {
        match self.plan.repeat_rare {
            None => detection::known(self.network.graph(), &self.dataset, Split::Train).len(),
            Some(_) => self.order(1).len(),
        }
    }

    /// The training pictures of an epoch (from 1) in its own order, varied as the plan says, without the first `skip`
    /// batches.
    #[must_use]
    pub fn loader(&self, epoch: u32, skip: usize, cache: &Arc<PixelCache>) -> Loader {
        self.loader_known(epoch, skip, cache, None)
    }

    /// The same; pictures whose features are known are not decoded.
    #[must_use]
    pub fn loader_known(&self, epoch: u32, skip: usize, cache: &Arc<PixelCache>, known: Option<Lookup>) -> Loader {
        let plan = &self.plan;
        let order = self.order(epoch);
        let rest = order.get((skip * plan.batch).min(order.len())..).unwrap_or_default().to_vec();
        let augment = plan.augment.at_epoch(epoch.saturating_sub(1), plan.epochs);
        let augment = (!augment.is_none()).then_some(augment);
        // Fixed views are taken in turn.
        let number = if plan.views == 0 { epoch } else { epoch.saturating_sub(1) % plan.views + 1 };
        let view = View { rule: self.rule.clone(), augment, seed: plan.seed, epoch: u64::from(number) };
        let wants = Wants { known, objects: self.network.graph().takes_prompts() };
        Loader::start_with(Arc::clone(&self.dataset), rest, plan.batch, view, Arc::clone(cache), wants)
    }

    /// The run's file.
    #[must_use]
    pub fn run_file(&self) -> RunFile {
        let file = RunFile::new(self.plan.clone(), &self.dataset.columns, self.rule.clone());
        let pixels = |head: &Head| matches!(head.kind, HeadKind::PixelClassify { .. });
        let picture_px = self.network.graph().heads.iter().any(pixels).then(|| self.usual_px()).flatten();
        RunFile { picture_px, ..file }
    }

    /// The medians of width and height of the training pictures.
    fn usual_px(&self) -> Option<[u32; 2]> {
        let train = self.dataset.samples.iter().filter(|sample| sample.split == Split::Train);
        let sizes: Vec<[u32; 2]> = train.map(|sample| sample.size_px).collect();
        let median = |axis: usize| {
            let mut all: Vec<u32> = sizes.iter().map(|size| size[axis]).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied()
        };
        Some([median(0)?, median(1)?])
    }
}

/// A finished or interrupted run's network, for evaluation and prediction.
///
/// # Errors
/// A sentence with the cause.
pub fn open_model(source: &Path, device: &Device) -> Result<(Network, RunFile), String> {
    let checkpoint = origin::open_weights(source)?;
    let run = if source.is_dir() { RunFolder::open(source)?.1 } else { run_of(&checkpoint)? };
    let variant = find(&run.plan.model)?;
    let size = run.preprocess.size[0] as usize;
    let graph = variant.graph_with(&head_plans(&run.columns()), size).map_err(|error| error.to_string())?;
    let facts = graph.facts().map_err(|error| error.to_string())?;
    let mut report = same_classes(&graph, &facts, &checkpoint)?;
    let counts = report.counts();
    if counts.missing + counts.remade > 0 {
        return Err(format!(
            "{} lacks {} tensors of {}, so its answers would be random; train it first.",
            checkpoint.path.display(),
            counts.missing + counts.remade,
            run.plan.model
        ));
    }
    Ok((loaded(graph, &facts, 0, &checkpoint, &mut report, device)?, run))
}

/// What a checkpoint of this program says of itself, or what its tensors say.
fn run_of(checkpoint: &Checkpoint) -> Result<RunFile, String> {
    let meta = |key: &str| checkpoint.metadata.get(&format!("frostline.{key}"));
    if let (Some(model), Some(classes), Some(rule)) = (meta("model"), meta("classes"), meta("preprocess")) {
        let damaged =
            |error: serde_json::Error| format!("The description in {} is damaged: {error}.", checkpoint.path.display());
        let classes: Vec<String> = serde_json::from_str(classes).map_err(damaged)?;
        let preprocess: Preprocess = serde_json::from_str(rule).map_err(damaged)?;
        let plan = Plan { model: model.clone(), size_px: preprocess.size[0], ..Plan::default() };
        let heads = meta("heads").map(|text| serde_json::from_str(text)).transpose().map_err(damaged)?;
        let picture_px = meta("picture_px").map(|text| serde_json::from_str(text)).transpose().map_err(damaged)?;
        return Ok(RunFile { version: 1, plan, classes, heads: heads.unwrap_or_default(), preprocess, picture_px });
    }
    let Found { variant, classes, .. } = recognize(checkpoint).map_err(|stranger| stranger.to_string())?;
    let count = classes.unwrap_or(0);
    let named = origin::named_classes(checkpoint, Some(&variant), count).map(|names| first_names(names.names));
    let classes = named.unwrap_or_else(|| (0..count).map(|i| format!("class {i}")).collect());
    let column = LabelColumn::single(classes);
    let rule = origin::preprocess(checkpoint)?.unwrap_or(variant.preprocess);
    let plan = Plan { model: variant.name.to_owned(), size_px: rule.size[0], ..Plan::default() };
    Ok(RunFile::new(plan, &[column], rule))
}

/// Of several names for one class, divided by commas, the first.
fn first_names(names: Vec<String>) -> Vec<String> {
    let first = |name: &String| name.split(',').next().unwrap_or_default().trim().to_owned();
    let short: Vec<String> = names.iter().map(first).collect();
    let distinct: std::collections::HashSet<&String> = short.iter().collect();
    if distinct.len() == names.len() { short } else { names }
}

/// The position at the start of a run.
#[must_use]
pub fn start_position(plan: &Plan) -> Position {
    Position { freeze: plan.freeze.clone(), ..Position::default() }
}
