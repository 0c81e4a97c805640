//! A finished model on a data set.

use super::losses::LossOptions;
use super::news::Evaluation;
use super::setup::open_model;
use super::validate::{Pass, validate};
use crate::data::{Dataset, PixelCache, Split};
use crate::graph::Part;
use crate::weights::{self, SaveDtype};
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Pictures in a step.
const BATCH: usize = 16;

/// Measures a run's best weights or a checkpoint on a set: its validation pictures, or all of them where the split was
/// only suggested. Classes are matched by name. None when `go_on` broke it off.
///
/// # Errors
/// A sentence with the cause.
pub fn evaluate(
    from: &Path,
    mut dataset: Dataset,
    device: &Device,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Option<Evaluation>, String> {
    let start = Instant::now();
    let (network, run) = open_model(from, device)?;
    match_classes(&mut dataset, &run.classes)?;
    let own_split = !dataset.suggested_split && dataset.samples.iter().any(|sample| sample.split == Split::Val);
    if !own_split {
        dataset.samples.iter_mut().for_each(|sample| sample.split = Split::Val);
    }
    let options = LossOptions { smoothing: 0.0, class_weights: None, weights: BTreeMap::new() };
    let pass = Pass {
        dataset: &Arc::new(dataset),
        split: Split::Val,
        rule: &run.preprocess,
        batch: BATCH,
        cache: &Arc::new(PixelCache::new(0)),
        pinned: &[],
        options: &options,
    };
    let found = validate(&network, &pass, go_on).map_err(|error| format!("The evaluation failed: {error}."))?;
    Ok(found.map(|found| Evaluation {
        model: run.plan.model,
        metrics: found.metrics,
        losses: found.losses,
        images: found.images,
        classes: run.classes,
        confusion: found.confusion,
        seconds: start.elapsed().as_secs_f64(),
    }))
}

/// Gives the samples the model's class ids.
fn match_classes(dataset: &mut Dataset, classes: &[String]) -> Result<(), String> {
    let id = |name: &String| classes.iter().position(|known| known == name).and_then(|id| u32::try_from(id).ok());
    let ids: Vec<Option<u32>> = dataset.classes.iter().map(id).collect();
    if let Some(unknown) = dataset.classes.iter().zip(&ids).find(|(_, id)| id.is_none()).map(|(name, _)| name) {
        return Err(format!(
            "The model does not know the class {unknown} of {}; it knows {}.",
            dataset.name,
            classes.join(", ")
        ));
    }
    for sample in &mut dataset.samples {
        sample.target.class = sample.target.class.and_then(|class| ids.get(class as usize).copied().flatten());
    }
    dataset.classes = classes.to_vec();
    Ok(())
}

/// Writes the best weights of a run without its heads, in half precision: a backbone for other classes.
///
/// # Errors
/// A sentence with the cause.
pub fn save_backbone(run: &Path, to: &Path) -> Result<(), String> {
    let (network, file) = open_model(run, &Device::flex())?;
    let graph = Arc::clone(network.graph());
    let tensors = network.tensors_where(|id, _| !matches!(graph.node(id).part, Part::Head(_)));
    let tensors = tensors.map_err(|error| error.to_string())?;
    let plain: Vec<_> = tensors.into_iter().map(|t| (t.spec.name, t.spec.shape, t.values)).collect();
    let metadata = BTreeMap::from([("frostline.backbone".to_owned(), file.plan.model)]);
    weights::save_safetensors(to, &plain, SaveDtype::F16, &metadata).map_err(|error| error.to_string())
}
