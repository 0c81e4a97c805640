//! A pass over the validation pictures: losses, metrics, predictions on the fixed ones.

use super::detection::{self, BoxResult};
use super::evaluation::{HeadResults, LabelResult, PictureResult};
use super::features::{Features, Given};
use super::losses::{self, LossOptions};
use super::metrics::Counts;
use super::news::LiveSample;
use super::predict::{at_input, boxes, decode, host};
use super::prediction::Prediction;
use super::segmentation::prompt::Ends;
use super::segmentation::teach::Tally;
use super::segmentation::{self, MaskConfusion, MaskResult};
use crate::data::batch::Batch;
use crate::data::loader::Wants;
use crate::data::{Dataset, Issue, Label, Loader, PixelCache, RawBatch, Split, View};
use crate::graph::{Detector, Graph, Head, HeadKind, Preprocess};
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
    /// What each head says of each picture.
    pub heads: Vec<HeadResults>,
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
    /// What is known of the frozen part's outputs.
    pub features: Option<&'a Features>,
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
    let order = detection::known(network.graph(), pass.dataset, pass.split);
    let count = order.len();
    let view = View { rule: pass.rule.clone(), augment: None, seed: 0, epoch: 0 };
    let ends = Ends::of(&graph);
    let known = pass.features.and_then(|features| features.lookup(pass.split));
    let wants = Wants { known, objects: ends.is_some() };
    let (dataset, cache) = (Arc::clone(pass.dataset), Arc::clone(pass.cache));
    let mut loader = Loader::start_with(dataset, order, pass.batch, view, cache, wants);
    let mut tally = Tally::default();
    let mut counts = Counts::new(&graph);
    let mut found = Validation {
        losses: BTreeMap::new(),
        metrics: BTreeMap::new(),
        confusion: Vec::new(),
        heads: no_results(&graph, pass.dataset),
        samples: Vec::new(),
        failed: Vec::new(),
        images: 0,
    };
    let options = pass.options.for_validation();
    let mut sums = LossSums::default();
    while let Some(mut raw) = loader.next_batch() {
        if !go_on(found.images, count) {
            return Ok(None);
        }
        found.failed.append(&mut raw.failed);
        let Some(batch) = Batch::upload(raw, network.device()) else { continue };
        let given = pass.features.map(|features| features.given(&network, &batch)).transpose()?.unwrap_or_default();
        if let Some(ends) = ends {
            asked(&mut found, &mut tally, pass, &network, ends, (&batch, &given))?;
            continue;
        }
        let mut ctx = Ctx { pictures: detection::pictures(&batch), input: batch.size, ..Ctx::default() };
        let outputs = network.forward_from(batch.images.as_ref(), &given, Mode::Infer, &mut ctx)?;
        sums.add(&graph, &outputs, &batch, &options, &ctx)?;
        found.images += batch.len();
        if let Some(detector) = &graph.detector {
            detected(&mut found, pass, &graph, detector, &outputs, &batch, &ctx)?;
            continue;
        }
        // Maps stay on the device: of them only ids are read, and what the fixed pictures show.
        let read = |output: &Value| if matches!(output, Value::Map(_)) { Ok(Vec::new()) } else { host(output) };
        let numbers = outputs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for (head, (numbers, output)) in numbers.iter().zip(&outputs).enumerate() {
            let column = graph.label_column(head);
            count_head(&mut counts, head, column, numbers, output, &batch);
            let Some(results) = found.heads.get_mut(head) else { continue };
            if let Some(column) = column {
                keep_results(results, column, numbers, &batch);
            } else if let Value::Map(logits) = output {
                count_pixels(&mut counts, head, logits, &batch, results)?;
            }
        }
        for (at, &index) in batch.indices.iter().enumerate().filter(|(_, index)| pass.pinned.contains(index)) {
            let Some((sample, placement)) = pass.dataset.samples.get(index).zip(batch.placements.get(at)) else {
                continue;
            };
            let heads = graph.heads.iter().zip(numbers.iter().zip(&outputs)).enumerate();
            let heads = heads
                .map(|(i, (head, (numbers, output)))| {
                    let column = pass.dataset.columns.get(graph.label_column(i).unwrap_or_default());
                    let classes = column.map_or(&[][..], |column| column.classes.as_slice());
                    if let Value::Map(all) = output {
                        let own = at_input(&Value::Map(all.clone().narrow(0, at, 1)), batch.size);
                        return decode(head, &host(&own)?, &own, 0, classes, sample.size_px, placement);
                    }
                    decode(head, numbers, output, at, classes, sample.size_px, placement)
                })
                .collect::<Result<_, RunError>>()?;
            let prediction = Prediction { image: sample.image.name(), size_px: sample.size_px, heads, error: None };
            found.samples.push(LiveSample::new(index, &sample.target, prediction));
        }
    }
    found.losses = sums.means(&graph, &options);
    found.metrics = match &graph.detector {
        Some(detector) => {
            let results = found.heads.first().map_or(&[][..], |head| head.boxes.as_slice());
            detection::metrics(results, pass.dataset, detector.classes())
        }
        None => counts.metrics(),
    };
    if ends.is_some() {
        let name = |at: usize| graph.heads.get(at).map_or("", |head| head.name.as_str());
        (found.losses, found.metrics) = (tally.losses([name(0), name(1)], &options), tally.metrics());
    }
    found.confusion = counts.confusion();
    Ok(Some(found))
}

/// Takes in what is answered to prompts about a batch.
fn asked(
    found: &mut Validation,
    tally: &mut Tally,
    pass: &Pass<'_>,
    network: &Network,
    ends: Ends,
    (batch, given): (&Batch, &Given),
) -> Result<(), RunError> {
    found.images += batch.len();
    let all = tally.examine(network, ends, (batch, given), pass.dataset, pass.pinned)?;
    for (&index, (result, answer)) in batch.indices.iter().zip(all) {
        if let Some(results) = found.heads.first_mut() {
            results.masks.push(result);
        }
        let Some((sample, answer)) = pass.dataset.samples.get(index).zip(answer) else { continue };
        let (image, heads) = (sample.image.name(), vec![answer]);
        let prediction = Prediction { image, size_px: sample.size_px, heads, error: None };
        found.samples.push(LiveSample::new(index, &sample.target, prediction));
    }
    Ok(())
}

/// Takes in what a detector says of a batch.
fn detected(
    found: &mut Validation,
    pass: &Pass<'_>,
    graph: &Graph,
    detector: &Detector,
    outputs: &[Value],
    batch: &Batch,
    ctx: &Ctx,
) -> Result<(), RunError> {
    let places: Vec<_> = batch.placements.iter().copied().zip(batch.images_px.iter().copied()).collect();
    let all = detection::in_pictures(detector, outputs, ctx, &places)?;
    let classes = Arc::new(pass.dataset.classes().to_vec());
    for (&index, candidates) in batch.indices.iter().zip(all) {
        if let Some(results) = found.heads.first_mut() {
            results.boxes.push(BoxResult::of(index, &candidates, detector.overlap()));
        }
        let Some(sample) = pass.dataset.samples.get(index).filter(|_| pass.pinned.contains(&index)) else { continue };
        let heads = vec![boxes(graph, detector, candidates, &classes)];
        let prediction = Prediction { image: sample.image.name(), size_px: sample.size_px, heads, error: None };
        found.samples.push(LiveSample::new(index, &sample.target, prediction));
    }
    Ok(())
}

/// Sums of the losses of each head over the pictures that count for it.
#[derive(Default)]
struct LossSums(BTreeMap<String, (f64, usize)>);

impl LossSums {
    fn add(
        &mut self,
        graph: &Graph,
        outputs: &[Value],
        batch: &Batch,
        options: &LossOptions,
        ctx: &Ctx,
    ) -> Result<(), RunError> {
        let terms = losses::losses(graph, outputs, batch, options, ctx)?;
        let values = named(graph, &terms, options)?;
        for (head, counted) in graph.heads.iter().zip(losses::counted(graph, batch)) {
            let own = |name: &&String| name.split('/').next() == Some(head.name.as_str());
            for name in values.keys().filter(own) {
                let (sum, count) = self.0.entry(name.clone()).or_default();
                *sum += values.get(name).copied().unwrap_or_default() * counted as f64;
                *count += counted;
            }
        }
        Ok(())
    }

    /// The mean of each head's loss, and their sum by weight as `total`.
    fn means(self, graph: &Graph, options: &LossOptions) -> BTreeMap<String, f64> {
        let mean = |(name, (sum, count)): (String, (f64, usize))| (name, sum / count.max(1) as f64);
        let mut means: BTreeMap<String, f64> = self.0.into_iter().map(mean).collect();
        let weighed = |name: &str| options.weight(name) * means.get(name).copied().unwrap_or_default();
        let total = graph.heads.iter().map(|head| weighed(&head.name)).sum();
        means.insert("total".to_owned(), total);
        means
    }
}

/// The losses as numbers, `total` among them.
///
/// # Errors
/// When the device fails.
pub fn named(graph: &Graph, terms: &losses::Terms, options: &LossOptions) -> Result<BTreeMap<String, f64>, RunError> {
    let Some(total) = losses::total(graph, &terms.heads, options) else { return Ok(BTreeMap::new()) };
    // One small read-back for all of them.
    let mut all = vec![total.inner()];
    let parts = terms.parts.iter().map(|(_, part)| part);
    all.extend(terms.heads.iter().chain(parts).map(|term| term.clone().inner()));
    let numbers = host(&Value::Vector(burn::tensor::Tensor::cat(all, 0).unsqueeze()))?;
    let heads = graph.heads.iter().map(|head| head.name.clone());
    let parts = terms.parts.iter().map(|(name, _)| name.clone());
    let names = std::iter::once("total".to_owned()).chain(heads).chain(parts);
    Ok(names.zip(numbers.into_iter().map(f64::from)).collect())
}

/// Takes a head's raw output in; `column` holds what it should say.
fn count_head(counts: &mut Counts, head: usize, column: Option<usize>, numbers: &[f32], output: &Value, batch: &Batch) {
    let (Value::Vector(x), Some(column)) = (output, column) else { return };
    let [_, classes] = x.dims();
    for (logits, truth) in numbers.chunks(classes.max(1)).zip(batch.column(column)) {
        counts.labelled(head, logits, truth);
    }
}

/// Counts the pixels of a batch at the size of the input, to which masks were brought as in training; `counts` takes all of
/// them, `results` each picture's.
fn count_pixels(
    counts: &mut Counts,
    head: usize,
    logits: &burn::tensor::Tensor<4>,
    batch: &Batch,
    results: &mut HeadResults,
) -> Result<(), RunError> {
    let classes = results.kind.classes();
    let said = segmentation::said(logits.clone(), batch.size)?;
    for ((said, truth), &index) in said.iter().zip(&batch.mask_ids).zip(&batch.indices) {
        let Some(truth) = truth else { continue };
        let mut picture = MaskConfusion::new(classes);
        picture.add(said, truth);
        counts.pixels(head, &picture);
        results.masks.push(MaskResult::of(index, &picture));
    }
    Ok(())
}

/// Room for what each head says, with the names of what it tells apart.
fn no_results(graph: &Graph, dataset: &Dataset) -> Vec<HeadResults> {
    let classes = |head: usize| graph.label_column(head).and_then(|column| dataset.columns.get(column));
    let of = |(i, head): (usize, &Head)| HeadResults {
        name: head.name.clone(),
        kind: head.kind.clone(),
        classes: match head.kind {
            HeadKind::Detect { .. } | HeadKind::PixelClassify { .. } => dataset.classes().to_vec(),
            _ => classes(i).map(|column| column.classes.clone()).unwrap_or_default(),
        },
        ..HeadResults::new("", head.kind.clone(), Vec::new())
    };
    if graph.takes_prompts() {
        // Masks that are asked for are compared with the set's classes; what is told of their quality is in the losses.
        let kind = HeadKind::PixelClassify { classes: dataset.classes().len() };
        let mask = |head: &Head| HeadResults::new(&head.name, kind, dataset.classes().to_vec());
        return graph.heads.first().map(mask).into_iter().collect();
    }
    graph.heads.iter().enumerate().map(of).collect()
}

/// Keeps what a head that labels pictures says of each picture of a batch.
fn keep_results(results: &mut HeadResults, column: usize, numbers: &[f32], batch: &Batch) {
    let rows = numbers.chunks(results.kind.classes().max(1));
    let pictures = batch.indices.iter().copied().zip(rows).zip(batch.column(column));
    match results.kind {
        HeadKind::Classify { .. } => results.pictures.extend(
            pictures.filter_map(|((index, logits), truth)| PictureResult::of_logits(index, logits, truth.class()?)),
        ),
        HeadKind::MultiLabel { .. } => results.labelled.extend(
            pictures
                .filter(|(_, truth)| truth.is_known())
                .filter_map(|((index, logits), truth)| LabelResult::of_logits(index, logits, |class| truth.has(class))),
        ),
        HeadKind::PixelClassify { .. } | HeadKind::Detect { .. } | HeadKind::Prompted { .. } => {}
    }
}

/// Up to `count` validation pictures, spread over the first column's labels in turn, the same for the same seed.
#[must_use]
pub fn pinned(graph: &Graph, dataset: &Dataset, count: usize, seed: u64) -> Vec<usize> {
    let mut order = detection::known(graph, dataset, Split::Val);
    crate::rng::Rng::keyed(seed, "pinned").shuffle(&mut order);
    let mut by_class: BTreeMap<&Label, Vec<usize>> = BTreeMap::new();
    for index in order {
        let Some(sample) = dataset.samples.get(index) else { continue };
        by_class.entry(sample.target.label(0)).or_default().push(index);
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
