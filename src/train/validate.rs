//! A pass over the validation pictures: losses, metrics, predictions on the fixed ones.

use super::losses::{self, LossOptions};
use super::metrics::{Counts, argmax};
use super::news::LiveSample;
use super::predict::{decode, host};
use super::prediction::Prediction;
use crate::data::batch::Batch;
use crate::data::{Dataset, Issue, Loader, PixelCache, RawBatch, Split, View};
use crate::graph::{Graph, Preprocess};
use crate::models::{Mode, Network};
use crate::nn::{Ctx, RunError, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a pass found.
#[derive(Clone, Debug)]
pub struct Validation {
    /// Mean losses by name, `total` among them.
    pub losses: BTreeMap<String, f64>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, f64>,
    /// Confusion counts of the first classification head.
    pub confusion: Vec<Vec<u32>>,
    /// Predictions on the fixed pictures.
    pub samples: Vec<LiveSample>,
    /// Pictures that broke since the check.
    pub failed: Vec<Issue>,
    /// Pictures that were looked at.
    pub images: usize,
}

/// What a pass looks at.
#[derive(Debug)]
pub struct Pass<'a> {
    /// The pictures.
    pub dataset: &'a Arc<Dataset>,
    /// Which part of them.
    pub split: Split,
    /// From picture to input.
    pub rule: &'a Preprocess,
    /// Pictures in a step.
    pub batch: usize,
    /// Decoded pictures.
    pub cache: &'a Arc<PixelCache>,
    /// Indices of the fixed pictures.
    pub pinned: &'a [usize],
    /// How losses are counted.
    pub options: &'a LossOptions,
}

/// Looks at all pictures of a split. `go_on` is asked before each step with the share done; a pass that was broken off
/// gives none.
///
/// # Errors
/// When the device fails.
pub fn validate(
    network: &Network,
    pass: &Pass<'_>,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Option<Validation>, RunError> {
    let network = network.inference();
    let graph = Arc::clone(network.graph());
    let order = pass.dataset.indices(pass.split);
    let count = order.len();
    let view = View { rule: pass.rule.clone(), augment: None, seed: 0, epoch: 0 };
    let mut loader = Loader::start_cached(Arc::clone(pass.dataset), order, pass.batch, view, Arc::clone(pass.cache));
    let mut counts = Counts::new(&graph);
    let mut found = Validation {
        losses: BTreeMap::new(),
        metrics: BTreeMap::new(),
        confusion: Vec::new(),
        samples: Vec::new(),
        failed: Vec::new(),
        images: 0,
    };
    let options = pass.options.for_validation();
    while let Some(mut raw) = loader.next_batch() {
        if !go_on(found.images, count) {
            return Ok(None);
        }
        found.failed.append(&mut raw.failed);
        let placements = std::mem::take(&mut raw.placements);
        let Some(batch) = Batch::upload(raw, network.device()) else { continue };
        let outputs = network.forward(batch.images.clone(), Mode::Infer, &mut Ctx::default())?;
        add_losses(&graph, &outputs, &batch, &options, &mut found.losses)?;
        found.images += batch.len();
        let numbers = outputs.iter().map(host).collect::<Result<Vec<_>, _>>()?;
        for (head, (numbers, output)) in numbers.iter().zip(&outputs).enumerate() {
            count_head(&mut counts, head, numbers, output, &batch);
        }
        for (at, &index) in batch.indices.iter().enumerate().filter(|(_, index)| pass.pinned.contains(index)) {
            let Some((sample, placement)) = pass.dataset.samples.get(index).zip(placements.get(at)) else { continue };
            let heads = graph.heads.iter().zip(numbers.iter().zip(&outputs));
            let heads = heads
                .map(|(head, (numbers, output))| {
                    decode(head, numbers, output, at, &pass.dataset.classes, sample.size_px, placement)
                })
                .collect::<Result<_, RunError>>()?;
            let prediction = Prediction { image: sample.image.name(), size_px: sample.size_px, heads, error: None };
            found.samples.push(LiveSample { index, truth: sample.target.class, prediction });
        }
    }
    for value in found.losses.values_mut() {
        *value /= found.images.max(1) as f64;
    }
    found.metrics = counts.metrics();
    found.confusion = counts.confusion();
    Ok(Some(found))
}

fn add_losses(
    graph: &Graph,
    outputs: &[Value],
    batch: &Batch,
    options: &LossOptions,
    sums: &mut BTreeMap<String, f64>,
) -> Result<(), RunError> {
    let terms = losses::losses(graph, outputs, batch, options)?;
    for (name, value) in named(graph, &terms, options)? {
        *sums.entry(name).or_default() += value * batch.len() as f64;
    }
    Ok(())
}

/// The losses as numbers, `total` among them.
///
/// # Errors
/// When the device fails.
pub fn named(
    graph: &Graph,
    terms: &[burn::tensor::Tensor<1>],
    options: &LossOptions,
) -> Result<BTreeMap<String, f64>, RunError> {
    let Some(total) = losses::total(graph, terms, options) else { return Ok(BTreeMap::new()) };
    // One small read-back for all of them.
    let mut all = vec![total.inner()];
    all.extend(terms.iter().map(|term| term.clone().inner()));
    let numbers = host(&Value::Vector(burn::tensor::Tensor::cat(all, 0).unsqueeze()))?;
    let names = std::iter::once("total".to_owned()).chain(graph.heads.iter().map(|head| head.name.clone()));
    Ok(names.zip(numbers.into_iter().map(f64::from)).collect())
}

fn count_head(counts: &mut Counts, head: usize, numbers: &[f32], output: &Value, batch: &Batch) {
    match output {
        Value::Vector(x) => {
            let [_, classes] = x.dims();
            for (logits, truth) in numbers.chunks(classes.max(1)).zip(&batch.class_ids) {
                if let Some(truth) = truth {
                    counts.classified(head, logits, *truth);
                }
            }
        }
        Value::Map(x) => {
            let [_, classes, height, width] = x.dims();
            let plane = height * width;
            for (own, mask) in numbers.chunks((classes * plane).max(1)).zip(&batch.mask_ids) {
                for (pixel, &truth) in mask.iter().flatten().enumerate() {
                    let at = |class: usize| own.get(class * plane + pixel).copied().unwrap_or(0.0);
                    counts.pixel(head, argmax((0..classes).map(at)), truth);
                }
            }
        }
        Value::Tokens(_) | Value::Pyramid(_) => {}
    }
}

/// Up to `count` validation pictures, spread over the classes in turn, the same for the same seed.
#[must_use]
pub fn pinned(dataset: &Dataset, count: usize, seed: u64) -> Vec<usize> {
    let mut order = dataset.indices(Split::Val);
    crate::rng::Rng::keyed(seed, "pinned").shuffle(&mut order);
    let mut by_class: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
    for index in order {
        let class = dataset.samples.get(index).and_then(|sample| sample.target.class);
        by_class.entry(class).or_default().push(index);
    }
    let mut chosen = Vec::new();
    for round in 0.. {
        let next: Vec<usize> = by_class.values().filter_map(|all| all.get(round).copied()).collect();
        if next.is_empty() || chosen.len() >= count {
            break;
        }
        chosen.extend(next);
    }
    chosen.truncate(count);
    chosen
}

/// Files of a batch, for an error sentence.
#[must_use]
pub fn files(dataset: &Dataset, raw: &RawBatch) -> Vec<String> {
    raw.indices.iter().filter_map(|&i| dataset.samples.get(i)).map(|sample| sample.image.name()).collect()
}
