//! What each head is trained by: one named term for each. Pictures of which a column knows nothing do not count for its
//! head.

use super::detection;
use super::plan::{ClassWeights, Plan};
use super::segmentation::{self, MaskBatch, MaskLoss, MaskTerm};
use crate::data::batch::Batch;
use crate::data::{Dataset, Label, Sample, Split};
use crate::graph::{Graph, HeadKind};
use crate::nn::{Ctx, RunError, Value, loss};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeMap;

/// What the losses need to know beside outputs and targets.
#[derive(Clone, Debug)]
pub struct LossOptions {
    /// Share of each target spread over all classes; heads with several labels for a picture have none.
    pub smoothing: f64,
    /// Weight of each class, `[classes]`, for each head that has them; those of a head with several labels for a picture
    /// weigh the positive part (torch's `pos_weight`). For validation none.
    pub class_weights: Vec<Option<Tensor<1>>>,
    /// Weights of the terms, by name.
    pub weights: BTreeMap<String, f64>,
    /// What trains heads that tell a class for each pixel.
    pub mask_loss: MaskLoss,
}

/// The losses of a batch.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// One for each head, `[1]`, in the graph's order.
    pub heads: Vec<Tensor<1>>,
    /// What a head's loss is the sum of, without weights, where it is one: `[1]`, named `head/part`.
    pub parts: Vec<(String, Tensor<1>)>,
}

impl LossOptions {
    /// The options of a plan for a graph on a set's training pictures. Given class weights are the first head's. Balanced ones
    /// of pixels are by median frequency, for which all training masks are read.
    ///
    /// # Errors
    /// A sentence, when given class weights do not fit the classes.
    pub fn of(plan: &Plan, graph: &Graph, dataset: &Dataset, device: &Device) -> Result<Self, String> {
        let mut class_weights = Vec::with_capacity(graph.heads.len());
        for (at, head) in graph.heads.iter().enumerate() {
            let column = graph.label_column(at);
            let classes = head.kind.classes();
            let pixels = matches!(head.kind, HeadKind::PixelClassify { .. });
            let values = match (&plan.class_weights, column) {
                (ClassWeights::Balanced, Some(column)) => Some(balanced(&head.kind, dataset, column)),
                (ClassWeights::Balanced, None) if pixels => {
                    Some(segmentation::median_frequency(&segmentation::pixel_counts(dataset, classes)))
                }
                (ClassWeights::Given(given), _) if at == 0 && (pixels || column.is_some()) => {
                    if given.len() != classes {
                        return Err(format!("{} class weights were given for {classes} classes.", given.len()));
                    }
                    Some(given.clone())
                }
                (ClassWeights::Equal | ClassWeights::Balanced | ClassWeights::Given(_), _) => None,
            };
            class_weights.push(values.map(|values| {
                let count = values.len();
                Tensor::from_data(TensorData::new(values, [count]), device)
            }));
        }
        Ok(Self {
            smoothing: plan.label_smoothing,
            class_weights,
            weights: plan.loss_weights.clone(),
            mask_loss: plan.mask_loss.clone(),
        })
    }

    /// No smoothing, no class weights; terms weighed as given.
    #[must_use]
    pub fn plain(weights: BTreeMap<String, f64>, mask_loss: MaskLoss) -> Self {
        Self { smoothing: 0.0, class_weights: Vec::new(), weights, mask_loss }
    }

    /// The same for validation: no smoothing, no class weights, so that numbers compare between plans.
    #[must_use]
    pub fn for_validation(&self) -> Self {
        Self::plain(self.weights.clone(), self.mask_loss.clone())
    }

    /// The weight of a term.
    #[must_use]
    pub fn weight(&self, head: &str) -> f64 {
        self.weights.get(head).copied().unwrap_or(1.0)
    }
}

/// Inverse to the number of training pictures of the class, mean 1; where a picture can have several labels, pictures
/// without over pictures with it.
fn balanced(kind: &HeadKind, dataset: &Dataset, column: usize) -> Vec<f32> {
    let counts = dataset.label_counts(column, Split::Train);
    if matches!(kind, HeadKind::MultiLabel { .. }) {
        let known = known(dataset, column, Split::Train);
        return counts.iter().map(|&n| known.saturating_sub(n).max(1) as f32 / n.max(1) as f32).collect();
    }
    let inverse: Vec<f32> = counts.iter().map(|&n| 1.0 / n.max(1) as f32).collect();
    let mean = inverse.iter().sum::<f32>() / inverse.len().max(1) as f32;
    inverse.iter().map(|w| w / mean).collect()
}

/// Pictures of a split of which a column knows something.
fn known(dataset: &Dataset, column: usize, split: Split) -> usize {
    let known = |sample: &&Sample| sample.split == split && sample.target.label(column).is_known();
    dataset.samples.iter().filter(known).count()
}

/// The losses of a batch; zero where nothing is known for a head in it. `ctx` is that of the forward pass.
///
/// # Errors
/// When a head's targets are missing or its output has the wrong kind.
pub fn losses(
    graph: &Graph,
    outputs: &[Value],
    batch: &Batch,
    options: &LossOptions,
    ctx: &Ctx,
) -> Result<Terms, RunError> {
    if let Some(detector) = &graph.detector {
        return Ok(Terms { heads: detection::losses(detector, outputs, ctx)?, parts: Vec::new() });
    }
    let mut terms = Terms::default();
    for (at, (output, head)) in outputs.iter().zip(&graph.heads).enumerate() {
        if matches!(head.kind, HeadKind::PixelClassify { .. }) {
            let (sum, parts) = of_mask(at, &head.name, output, batch, options)?;
            terms.heads.push(sum);
            let named = parts.into_iter().map(|(term, part)| (format!("{}/{}", head.name, term.name()), part));
            terms.parts.extend(named);
        } else {
            terms.heads.push(of_head(graph, at, output, batch, options)?);
        }
    }
    Ok(terms)
}

/// The loss of a head that tells a class for each pixel, and what it is the sum of.
fn of_mask(
    at: usize,
    name: &str,
    output: &Value,
    batch: &Batch,
    options: &LossOptions,
) -> Result<(Tensor<1>, Vec<(MaskTerm, Tensor<1>)>), RunError> {
    let missing = || RunError::Description(format!("the head {name} needs a mask for every picture"));
    let targets = batch.masks.clone().ok_or_else(missing)?;
    let ids = batch.mask_ids.iter().map(|ids| ids.as_deref().unwrap_or_default()).collect();
    let weights = options.class_weights.get(at).and_then(Option::as_ref);
    segmentation::loss(output.map()?, &MaskBatch { targets, ids }, &options.mask_loss, weights, options.smoothing)
}

fn of_head(
    graph: &Graph,
    at: usize,
    output: &Value,
    batch: &Batch,
    options: &LossOptions,
) -> Result<Tensor<1>, RunError> {
    let missing = || RunError::Description("a head has no place in its graph".to_owned());
    let head = graph.heads.get(at).ok_or_else(missing)?;
    let column = graph.label_column(at).unwrap_or_default();
    let weights = options.class_weights.get(at).cloned().flatten();
    // Rows are picked only where some are unknown.
    let known = |logits: Tensor<2>, rows: Tensor<1, burn::tensor::Int>| match rows.dims()[0] {
        all if all == batch.len() => logits,
        _ => logits.select(0, rows),
    };
    Ok(match head.kind {
        HeadKind::Classify { .. } => {
            let logits = output.vector()?;
            match batch.classes(column) {
                None => logits.sum() * 0.0,
                Some((targets, rows)) => loss::cross_entropy(known(logits, rows), targets, weights, options.smoothing),
            }
        }
        HeadKind::MultiLabel { classes } => {
            let logits = output.vector()?;
            match batch.label_sets(column, classes) {
                None => logits.sum() * 0.0,
                Some((targets, rows)) => loss::binary_cross_entropy(known(logits, rows), targets, weights),
            }
        }
        HeadKind::PixelClassify { .. } | HeadKind::Detect { .. } | HeadKind::Prompted { .. } => {
            return Err(RunError::Description(format!("the head {} has no loss by itself", head.name)));
        }
    })
}

/// Pictures of a batch that count for each head, in the graph's order.
#[must_use]
pub fn counted(graph: &Graph, batch: &Batch) -> Vec<usize> {
    let of = |head: usize| match graph.label_column(head) {
        Some(column) => batch.column(column).filter(|label| label.is_known()).count(),
        None => batch.len(),
    };
    (0..graph.heads.len()).map(of).collect()
}

/// The sum of the terms by their weights, `[1]`.
#[must_use]
pub fn total(graph: &Graph, terms: &[Tensor<1>], options: &LossOptions) -> Option<Tensor<1>> {
    let weigh = |(head, term): (&crate::graph::Head, &Tensor<1>)| match options.weights.get(&head.name) {
        Some(&weight) => term.clone() * weight,
        None => term.clone(),
    };
    graph.heads.iter().zip(terms).map(weigh).reduce(|sum, term| sum + term)
}

/// The data that the heads need and the set does not have, in sentences.
#[must_use]
pub fn missing_targets(graph: &Graph, dataset: &Dataset) -> Vec<String> {
    if graph.detector.is_some() {
        return missing_boxes(graph, dataset);
    }
    if graph.takes_prompts() {
        return missing_objects(graph, dataset);
    }
    if let Some(misfit) = other_task(graph, dataset) {
        return vec![misfit];
    }
    let mut missing = Vec::new();
    for (at, head) in graph.heads.iter().enumerate() {
        let Some(column) = graph.label_column(at) else {
            let without = dataset.samples.iter().filter(|s| s.target.mask.is_none()).count();
            if without > 0 {
                let all = dataset.samples.len();
                missing.push(format!(
                    "The head {} needs a mask for every picture; {without} of {all} in {} have none.",
                    head.name, dataset.name
                ));
            }
            continue;
        };
        for (split, verb) in [(Split::Train, "train"), (Split::Val, "validate")] {
            if known(dataset, column, split) == 0 {
                missing.push(format!(
                    "The head {} has no picture with a known label to {verb} on in {}.",
                    head.name, dataset.name
                ));
            }
        }
        let several = |label: &Label| matches!(label, Label::Many(_));
        let multi = matches!(head.kind, HeadKind::MultiLabel { .. });
        if !multi && dataset.samples.iter().any(|sample| several(sample.target.label(column))) {
            let name = &head.name;
            missing
                .push(format!("The head {name} tells one class for a picture; some in {} have several.", dataset.name));
        }
    }
    missing
}

/// Whether the set teaches something else than what the model tells, in a sentence.
fn other_task(graph: &Graph, dataset: &Dataset) -> Option<String> {
    let any = |has: fn(&Sample) -> bool| dataset.samples.iter().any(has);
    let masks = any(|sample| sample.target.mask.is_some());
    let labels = any(|sample| sample.target.labels.iter().any(Label::is_known));
    let pixels = |head: &crate::graph::Head| matches!(head.kind, HeadKind::PixelClassify { .. });
    let (tells, lacks, has) = if graph.heads.iter().all(pixels) && !masks {
        ("a class for each pixel", "mask", labels.then_some("labels: choose a model for classification"))
    } else if !graph.heads.iter().any(pixels) && !labels {
        ("classes of pictures", "label", masks.then_some("masks: choose a model for segmentation"))
    } else {
        return None;
    };
    let boxes = any(|sample| sample.target.boxes.is_some()).then_some("boxes: choose a model for detection");
    let has = has.or(boxes)?;
    Some(format!("{} tells {tells}, and no picture in {} has a {lacks}; they have {has}.", graph.name, dataset.name))
}

/// What a promptable network lacks: pictures whose masks show an object to train and to validate on.
fn missing_objects(graph: &Graph, dataset: &Dataset) -> Vec<String> {
    let (name, set) = (&graph.name, &dataset.name);
    let any = |has: fn(&Sample) -> bool| dataset.samples.iter().any(has);
    if !any(|sample| sample.target.mask.is_some()) {
        let has = if any(|sample| sample.target.boxes.is_some()) {
            "; they have boxes: choose a model for detection"
        } else if any(|sample| sample.target.labels.iter().any(Label::is_known)) {
            "; they have labels: choose a model for classification"
        } else {
            ""
        };
        return vec![format!("{name} learns from masks of objects, and no picture in {set} has a mask{has}.")];
    }
    let without = |(split, verb): (Split, &str)| {
        let known = detection::known(graph, dataset, split);
        known.is_empty().then(|| format!("No picture in {set} has a mask with an object to {verb} {name} on."))
    };
    [(Split::Train, "train"), (Split::Val, "validate")].into_iter().filter_map(without).collect()
}

/// What a detector lacks: pictures with boxes to train and to validate on.
fn missing_boxes(graph: &Graph, dataset: &Dataset) -> Vec<String> {
    let without = |(split, verb): (Split, &str)| {
        let known = detection::known(graph, dataset, split);
        let some = known.iter().filter_map(|&at| dataset.samples.get(at)?.target.boxes.as_ref());
        let boxes: usize = some.map(Vec::len).sum();
        (boxes == 0).then(|| format!("{} has no picture with boxes to {verb} {} on.", dataset.name, graph.name))
    };
    [(Split::Train, "train"), (Split::Val, "validate")].into_iter().filter_map(without).collect()
}
