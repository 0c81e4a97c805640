//! The published weights of a model, as a plan names them.

use super::plan::WeightsSource;
use crate::graph::{Preprocess, Resize};
use crate::models::{ModelTask, PublicWeights, Variant};
use crate::weights::hub::{self, Source};
use std::path::PathBuf;

/// The entry of this name; the model's first where the name is empty.
///
/// # Errors
/// A sentence with the names that there are.
pub fn entry<'a>(variant: &'a Variant, name: &str) -> Result<&'a PublicWeights, String> {
    let Some(first) = variant.weights.first() else { return Err(format!("{} has no public weights.", variant.name)) };
    if name.is_empty() {
        return Ok(first);
    }
    let known = || variant.weights.iter().map(|weights| weights.name).collect::<Vec<_>>().join(", ");
    let found = variant.weights.iter().find(|weights| weights.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("{} has no public weights named {name}; there are {}.", variant.name, known()))
}

/// The file of an entry on this machine, compared with what is published of it.
///
/// # Errors
/// A sentence, when it is not there or another file bears its name.
pub fn file(weights: &PublicWeights) -> Result<PathBuf, String> {
    let Some(path) = hub::find(weights.file) else {
        return Err(format!("The public weights {} are not on this machine; download them first.", weights.file));
    };
    hub::verify(&path, &Source::from(weights), &mut |_| true)?;
    Ok(path)
}

/// From a picture to the input that these weights were trained for.
#[must_use]
pub fn preprocess(variant: &Variant, source: &WeightsSource) -> Preprocess {
    let public = match source {
        WeightsSource::Public { entry: name } => entry(variant, name).ok(),
        _ => None,
    };
    public.map_or_else(|| variant.preprocess.clone(), |weights| weights.preprocess.clone())
}

/// The same beside `own`, what a checkpoint's pictures went through: it goes before what is usual for the model. Where a
/// classifier's rule crops, only its colors do: boxes and masks want the whole picture.
#[must_use]
pub fn rule(variant: &Variant, source: &WeightsSource, own: Option<Preprocess>) -> Preprocess {
    let usual = preprocess(variant, source);
    let crops = |rule: &Preprocess| matches!(rule.resize, Resize::ShorterThenCrop { .. });
    match own {
        None => usual,
        Some(own) if crops(&own) && variant.task != ModelTask::Classify => {
            Preprocess { channels: own.channels, divide_by: own.divide_by, mean: own.mean, std: own.std, ..usual }
        }
        Some(own) => own,
    }
}
