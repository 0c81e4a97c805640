//! A finished model on a data set.

use super::super::losses::LossOptions;
use super::super::setup::open_model;
use super::super::validate::{Pass, validate};
use super::Evaluation;
use crate::data::{Dataset, IGNORE_ID, Label, LabelColumn, PixelCache, Split};
use crate::graph::Part;
use crate::weights::{self, SaveDtype};
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Pictures in a step.
const BATCH: usize = 16;

/// Which pictures of a set are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Its validation pictures, or all where the split was only suggested.
    #[default]
    Auto,
    /// All.
    All,
    /// Those of one part.
    Only(Split),
}

/// Measures a run's best weights or a checkpoint on a set. Classes are matched by name. None when `go_on` broke it off.
///
/// # Errors
/// A sentence with the cause.
pub fn evaluate(
    from: &Path,
    mut dataset: Arc<Dataset>,
    which: Which,
    device: &Device,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Option<Evaluation>, String> {
    let start = Instant::now();
    let (network, run) = open_model(from, device)?;
    let columns = run.columns();
    // Prompts are answered whatever the classes.
    if dataset.columns != columns && !network.graph().takes_prompts() {
        match_columns(Arc::make_mut(&mut dataset), &columns)?;
    }
    let own_split = !dataset.suggested_split && dataset.samples.iter().any(|sample| sample.split == Split::Val);
    let split = match which {
        Which::Only(split) => Some(split),
        Which::Auto if own_split => Some(Split::Val),
        Which::Auto | Which::All => None,
    };
    if let Some(split) = split.filter(|&split| dataset.indices(split).is_empty()) {
        return Err(format!("{} has no {split} pictures to measure.", dataset.name));
    }
    if split.is_none() {
        Arc::make_mut(&mut dataset).samples.iter_mut().for_each(|sample| sample.split = Split::Val);
    }
    let options = LossOptions::plain(run.plan.loss_weights.clone(), run.plan.mask_loss.clone());
    let pass = Pass {
        dataset: &dataset,
        split: split.unwrap_or(Split::Val),
        rule: &run.preprocess,
        batch: BATCH,
        cache: &Arc::new(PixelCache::new(0)),
        pinned: &[],
        options: &options,
        features: None,
    };
    let found = validate(&network, &pass, go_on).map_err(|error| format!("The evaluation failed: {error}."))?;
    Ok(found.map(|found| Evaluation {
        source: from.to_path_buf(),
        epoch: None,
        model: run.plan.model,
        set: dataset,
        split,
        metrics: found.metrics,
        losses: found.losses,
        images: found.images,
        heads: found.heads,
        seconds: start.elapsed().as_secs_f64(),
    }))
}

/// Gives the samples the model's columns and class ids. A head whose column the data does not have goes unmeasured; an
/// only column is the other's only one.
fn match_columns(dataset: &mut Dataset, columns: &[LabelColumn]) -> Result<(), String> {
    let alone = dataset.columns.len() == 1 && columns.len() == 1;
    let place = |column: &LabelColumn| dataset.columns.iter().position(|known| alone || known.name == column.name);
    let places: Vec<Option<usize>> = columns.iter().map(place).collect();
    if places.iter().all(Option::is_none) {
        let names = |of: &[LabelColumn]| of.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ");
        let (name, has, wants) = (&dataset.name, names(&dataset.columns), names(columns));
        return Err(format!("{name} has none of the columns that the model tells ({wants}); it has {has}."));
    }
    let mut numbers: Vec<Option<(usize, Vec<Option<u32>>)>> = Vec::new();
    for (column, place) in columns.iter().zip(places) {
        let Some((place, known)) = place.and_then(|place| Some((place, dataset.columns.get(place)?))) else {
            numbers.push(None);
            continue;
        };
        let id = |name: &String| column.classes.iter().position(|own| own == name);
        let ids: Vec<Option<u32>> =
            known.classes.iter().map(|name| id(name).and_then(|id| u32::try_from(id).ok())).collect();
        if let Some((unknown, _)) = known.classes.iter().zip(&ids).find(|(_, id)| id.is_none()) {
            return Err(format!(
                "The model does not know the class {unknown} of {}; it knows {}.",
                dataset.name,
                column.classes.join(", ")
            ));
        }
        if known.multi && !column.multi {
            return Err(format!("{} has several labels for a picture; the model tells one class.", dataset.name));
        }
        numbers.push(Some((place, ids)));
    }
    for sample in &mut dataset.samples {
        let of = |number: &Option<(usize, Vec<Option<u32>>)>| match number {
            None => Label::Unknown,
            Some((place, ids)) => {
                sample.target.label(*place).renumbered(|class| ids.get(class as usize).copied().flatten())
            }
        };
        sample.target.labels = numbers.iter().map(of).collect();
        // The first column names the classes of boxes and masks.
        if let (Some(boxes), Some(Some((_, ids)))) = (&mut sample.target.boxes, numbers.first()) {
            for one in boxes {
                one.class = ids.get(one.class as usize).copied().flatten().unwrap_or(one.class);
            }
        }
        if let (Some(mask), Some(Some((_, ids)))) = (&mut sample.target.mask, numbers.first()) {
            let new: Vec<u8> =
                ids.iter().map(|id| id.and_then(|id| u8::try_from(id).ok()).unwrap_or(IGNORE_ID)).collect();
            let same = new.iter().enumerate().all(|(old, new)| old == usize::from(*new));
            if !same {
                *mask = mask.renumbered(&new);
                let old = std::mem::take(&mut sample.target.mask_px);
                let count = |class: usize| {
                    new.iter().zip(&old).filter(|(id, _)| usize::from(**id) == class).map(|(_, n)| n).sum()
                };
                sample.target.mask_px =
                    columns.first().map_or(0..0, |column| 0..column.classes.len()).map(count).collect();
            }
        }
    }
    dataset.columns = columns.to_vec();
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
