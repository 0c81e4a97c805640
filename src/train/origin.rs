//! Where a run's weights come from: the file behind a plan's choice, and what it says of itself.

use super::folder::RunFolder;
use super::plan::{Plan, WeightsSource};
use super::public;
use super::recognize::{Misfit, Stranger, recognize};
use super::setup::{chosen, head_plans, wanted};
use crate::data::{Dataset, LabelColumn};
use crate::graph::{BlockSpec, Detector, Facts, Graph, Head, HeadKind, Preprocess, Tells};
use crate::models::{Variant, find, published_as};
use crate::weights::{
    self, Checkpoint, ClassNames, LoadReport, NewHead, RowLayout, class_names, coco_classes, imagenet_classes,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The tensors of a checkpoint: the file itself, or of a run's folder its best weights, else its last.
///
/// # Errors
/// A sentence, when the folder is not a run's or holds no weights yet.
pub fn weights_file(path: &Path) -> Result<PathBuf, String> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let (folder, _) = RunFolder::open(path)?;
    let files = [folder.best(), folder.last()];
    let found = files.into_iter().find(|file| file.is_file());
    found.ok_or_else(|| format!("{} holds no weights yet: no epoch of the run was finished.", path.display()))
}

/// Opens a checkpoint file, or the weights of a run's folder.
///
/// # Errors
/// A sentence with the file and the cause.
pub fn open_weights(path: &Path) -> Result<Checkpoint, String> {
    Checkpoint::open(&weights_file(path)?).map_err(|error| format!("{error}."))
}

/// What a checkpoint says of itself, for a plan that shall start from it.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// The model whose tensors it holds.
    pub model: String,
    /// What pictures went through when it was trained, where it says so.
    pub preprocess: Option<Preprocess>,
}

/// Asks a checkpoint file, or a run's folder, which model it is and what it was trained with.
///
/// # Errors
/// A sentence with the file and the cause: unreadable, or of no model of this program.
pub fn about_weights(path: &Path) -> Result<About, String> {
    let checkpoint = open_weights(path)?;
    let named = checkpoint.metadata.get("frostline.model").filter(|model| find(model).is_ok()).cloned();
    let model = named.map_or_else(|| recognize(&checkpoint).map(|found| found.variant.name.to_owned()), Ok);
    let model = model.map_err(|stranger: Stranger| stranger.to_string())?;
    Ok(About { model, preprocess: preprocess(&checkpoint)? })
}

/// A plan that starts from a run's weights: with the model that they belong to and the input size of that run.
///
/// # Errors
/// A sentence, when the folder is not a run's or holds no weights yet.
pub fn starting_from_run(plan: &Plan, run: &Path) -> Result<Plan, String> {
    let (_, file) = RunFolder::open(run)?;
    weights_file(run)?;
    let mut next = plan.clone();
    if file.plan.model != plan.model {
        next.choose(&find(&file.plan.model)?);
    }
    next.weights = WeightsSource::File(run.to_path_buf());
    next.head.rows.clear();
    next.size_px = file.preprocess.size[0];
    Ok(next)
}

/// Opens what a plan starts from; none for random weights.
///
/// # Errors
/// A sentence with the file and the cause.
pub(super) fn of_plan(plan: &Plan) -> Result<Option<Checkpoint>, String> {
    match &plan.weights {
        WeightsSource::Random => Ok(None),
        WeightsSource::BuiltIn => super::builtin::checkpoint(&plan.model).map(Some),
        WeightsSource::Public { entry } => {
            open_weights(&public::file(public::entry(&find(&plan.model)?, entry)?)?).map(Some)
        }
        WeightsSource::File(path) => open_weights(path).map(Some),
    }
}

/// The preprocessing that a checkpoint was trained with: as it says itself, or as is published for a file of its name.
///
/// # Errors
/// A sentence, when what the file says is damaged: another rule would silently give other answers.
pub(super) fn preprocess(checkpoint: &Checkpoint) -> Result<Option<Preprocess>, String> {
    if let Some(text) = checkpoint.metadata.get("frostline.preprocess") {
        let damaged = |error| format!("The preprocessing in {} is damaged: {error}.", checkpoint.path.display());
        return serde_json::from_str(text).map(Some).map_err(damaged);
    }
    let published = || published_as(&checkpoint.path.file_name()?.to_string_lossy());
    Ok(published().map(|weights| weights.preprocess))
}

/// What the rows of a checkpoint's head are called, if they are `count`: by the file, by one beside it, or as
/// ImageNet's or COCO's, where the model's public weights were trained on that and the count agrees.
#[must_use]
pub fn named_classes(checkpoint: &Checkpoint, variant: Option<&Variant>, count: usize) -> Option<ClassNames> {
    let own = class_names(checkpoint).into_iter().find(|names| names.names.len() == count);
    own.or_else(|| {
        let public = variant?.weights.iter().find(|public| !public.of_backbone && public.classes == count)?;
        if public.trained_on.starts_with("COCO 2017") {
            return coco_classes(count).map(|names| ClassNames { names, source: "COCO's order".to_owned() });
        }
        let names = imagenet_classes();
        (public.trained_on.starts_with("ImageNet-1k") && names.len() == count).then(|| ClassNames {
            names: names.into_iter().map(str::to_owned).collect(),
            source: "ImageNet-1k's order".to_owned(),
        })
    })
}

/// The heads of a graph with their classes, given in the order of heads.
fn new_heads(graph: &Graph, facts: &Facts, classes: &[Vec<String>]) -> Vec<NewHead> {
    // What a detector tells of each candidate besides the class is told of all classes alike.
    let by_class = |head: &Head| !matches!(head.kind, HeadKind::Detect { tells: Tells::Box | Tells::Objectness, .. });
    let heads = graph.heads.iter().zip(classes).filter(|(head, _)| by_class(head));
    let heads = heads.filter(|(head, classes)| head.kind.classes() == classes.len());
    let new = heads.map(|(head, classes)| {
        // Only where a row of a tensor is a class.
        let ends = std::iter::once(head.output).chain(graph.parents(head.output).filter(|_| joins(graph, head)));
        let own = ends.flat_map(|id| facts.node(id).tensors.iter());
        let mut layout = RowLayout::default();
        let tensors = match graph.detector {
            Some(Detector::TwoStage(_)) => {
                // Here the box is told of each class by itself.
                layout.background = true;
                let boxes = |head: &&Head| matches!(head.kind, HeadKind::Detect { tells: Tells::Box, .. });
                let ends = graph.heads.iter().filter(boxes).map(|head| facts.node(head.output));
                let boxes = ends.flat_map(|node| &node.tensors);
                let boxes = boxes.filter(|spec| spec.shape.first() == Some(&(4 * (classes.len() + 1))));
                layout.several = boxes.map(|spec| (spec.name.clone(), 4)).collect();
                own.map(|spec| spec.name.clone()).chain(layout.several.keys().cloned()).collect()
            }
            _ => {
                let own = own.filter(|spec| spec.shape.first() == Some(&classes.len()));
                own.map(|spec| spec.name.clone()).collect()
            }
        };
        NewHead { name: head.name.clone(), tensors, classes: classes.clone(), layout }
    });
    new.collect()
}

/// Whether a head ends where its layers for several levels are joined.
fn joins(graph: &Graph, head: &Head) -> bool {
    matches!(graph.node(head.output).block, BlockSpec::Levels(_))
}

/// The classes of a set for each head of a graph; a head for masks has the first column's.
fn classes_of(graph: &Graph, dataset: &Dataset) -> Vec<Vec<String>> {
    let column = |head: usize| dataset.columns.get(graph.label_column(head).unwrap_or_default());
    let classes = |head: usize| column(head).map(|column| column.classes.clone()).unwrap_or_default();
    (0..graph.heads.len()).map(classes).collect()
}

/// The class names of a head beyond the first, as a checkpoint of this program tells them.
fn names_of_head(checkpoint: &Checkpoint, head: &str, count: usize) -> Option<ClassNames> {
    let text = checkpoint.metadata.get("frostline.heads")?;
    let columns: Vec<LabelColumn> = serde_json::from_str(text).ok()?;
    let column = columns.into_iter().find(|column| column.head() == head && column.classes.len() == count)?;
    Some(ClassNames { names: column.classes, source: "frostline.heads in the file".to_owned() })
}

/// Decides what of a checkpoint goes where in the network of a plan for a data set.
///
/// # Errors
/// A sentence with the file and the cause.
pub(super) fn transfer(
    checkpoint: &Checkpoint,
    plan: &Plan,
    graph: &Graph,
    facts: &Facts,
    dataset: &Dataset,
) -> Result<LoadReport, Misfit> {
    let variant = find(&plan.model).ok();
    // The names in a file are those of its first head; this program's files tell the others apart.
    let first = graph.heads.first().map(|head| head.name.as_str());
    let mut names = |head: &str, count: usize| match Some(head) == first {
        true => named_classes(checkpoint, variant.as_ref(), count),
        false => names_of_head(checkpoint, head, count),
    };
    let heads = new_heads(graph, facts, &classes_of(graph, dataset));
    let report = weights::plan_heads(checkpoint, &wanted(graph, facts), &heads, &mut names, &plan.head);
    let mut report = report.map_err(|error| Misfit::new(checkpoint, &error))?;
    report.preprocess = preprocess(checkpoint)?;
    Ok(report)
}

/// What of the weights that a plan starts from would go where, without loading them; none for random weights.
///
/// # Errors
/// A sentence with the file and the cause, and the model that the file fits, where it is another.
pub fn inspect_weights(plan: &Plan, dataset: &Arc<Dataset>) -> Result<Option<LoadReport>, Misfit> {
    let variant = find(&plan.model)?;
    let Some(checkpoint) = of_plan(plan)? else { return Ok(None) };
    let dataset = &chosen(plan, Arc::clone(dataset))?;
    // No tensor depends on the size of the input.
    let graph = variant.graph_with(&head_plans(&dataset.columns), variant.preprocess.size[0] as usize);
    let graph = graph.map_err(|error| error.to_string())?;
    let facts = graph.facts().map_err(|error| error.to_string())?;
    transfer(&checkpoint, plan, &graph, &facts, dataset).map(Some)
}
