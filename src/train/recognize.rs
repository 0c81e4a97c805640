//! Which model of the zoo a checkpoint file belongs to, told by names and shapes of its tensors.

use super::setup::wanted;
use crate::models::{Variant, catalogue};
use crate::weights::{self, Checkpoint, LoadReport, Wanted, WeightsError, likeness};
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Models that are tried, and told of when none fits.
const NEAREST: usize = 3;
/// Below this similarity a model is no more like the file than any other.
const NOTHING: f32 = 0.03;
/// From this similarity on a model may be the file's.
const ALIKE: f32 = 0.8;

/// A model with the tensors that it has as published.
struct Known {
    variant: Variant,
    wanted: Vec<Wanted>,
}

/// All models. Their graphs are built once: a window may be handed many files.
fn zoo() -> &'static [Known] {
    static ZOO: OnceLock<Vec<Known>> = OnceLock::new();
    // `tests/graph.rs` builds every variant, so that none is left out here.
    let known = |variant: Variant| {
        let graph = variant.published().ok()?;
        let wanted = wanted(&graph, &graph.facts().ok()?);
        Some(Known { variant, wanted })
    };
    ZOO.get_or_init(|| catalogue().into_iter().filter_map(known).collect())
}

/// The model that a file belongs to.
#[derive(Clone, Debug)]
pub struct Found {
    /// The model.
    pub variant: Variant,
    /// Tensors in common over all that either has, 0 to 1.
    pub similarity: f32,
    /// Outputs of the file's head; none where the file has no head, or one of another build.
    pub classes: Option<usize>,
}

/// A model that a file does not fit.
#[derive(Debug)]
pub struct Near {
    /// Its name.
    pub model: &'static str,
    /// Tensors in common over all that either has, 0 to 1.
    pub similarity: f32,
    /// What differs.
    pub error: WeightsError,
}

/// A file that fits no model.
#[derive(Debug)]
pub struct Stranger {
    /// The file.
    pub path: PathBuf,
    /// Its tensors.
    pub tensors: usize,
    /// The models that come nearest, the most similar first.
    pub nearest: Vec<Near>,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, tensors, nearest } = self;
        write!(f, "{} ({tensors} tensors) fits none of the models", path.display())?;
        match nearest.first() {
            Some(near) if near.similarity >= NOTHING => {
                let names: Vec<&str> = nearest.iter().map(|near| near.model).collect();
                write!(f, "; the nearest are {}; of {}, {}", names.join(", "), near.model, near.error.difference())
            }
            _ => write!(f, " and has next to nothing in common with any"),
        }
    }
}

/// The model of the zoo whose tensors a checkpoint holds: the most similar one that it fits.
///
/// # Errors
/// The models that come nearest, with what differs.
pub fn recognize(checkpoint: &Checkpoint) -> Result<Found, Stranger> {
    let mut ranked: Vec<([f32; 2], &Known)> =
        zoo().iter().map(|known| (likeness(checkpoint, &known.wanted), known)).collect();
    // Of those that nearly match, such as a detector and its backbone alone, the one that more of the file is.
    let key = |[part, whole]: [f32; 2]| if part >= ALIKE { 1.0 + part + whole } else { part };
    ranked.sort_by(|a, b| key(b.0).total_cmp(&key(a.0)));
    let mut nearest = Vec::new();
    for ([similarity, _], Known { variant, wanted }) in ranked.into_iter().take(NEAREST) {
        match weights::plan(checkpoint, wanted) {
            Ok(report) => {
                let classes = classes_in_file(variant, &report);
                return Ok(Found { variant: variant.clone(), similarity, classes });
            }
            Err(error) => nearest.push(Near { model: variant.name, similarity, error }),
        }
    }
    Err(Stranger { path: checkpoint.path.clone(), tensors: checkpoint.entries.len(), nearest })
}

/// How many classes the head of a model has in a file, where all its tensors that count them agree and have the shapes
/// that they have for so many.
#[must_use]
pub fn classes_in_file(variant: &Variant, report: &LoadReport) -> Option<usize> {
    let mut found = None;
    let mut counting = Vec::new();
    for tensor in variant.class_tensors() {
        let Some(row) = report.rows.iter().find(|row| row.name == tensor.name) else { continue };
        let Some(there) = &row.file_shape else { continue };
        let rows = there.first()?.checked_sub(tensor.more)?;
        let classes = (rows.is_multiple_of(tensor.each) && rows > 0).then_some(rows / tensor.each)?;
        if *found.get_or_insert(classes) != classes {
            return None;
        }
        counting.push((tensor.name, there.clone()));
    }
    let facts = variant.graph(found?, variant.preprocess.size[0] as usize).and_then(|graph| graph.facts()).ok()?;
    let is_so = |(name, shape): &(String, Vec<usize>)| facts.tensors().any(|t| t.name == *name && t.shape == *shape);
    found.filter(|_| counting.iter().all(is_so))
}

/// Why a file does not fit a model.
#[derive(Clone, Debug)]
pub struct Misfit {
    /// A sentence that names the model which the file does fit, if there is one.
    pub what: String,
    /// That model.
    pub fits: Option<Box<Found>>,
}

impl Misfit {
    /// Looks among all models for the one that the file fits.
    #[must_use]
    pub fn new(checkpoint: &Checkpoint, error: &WeightsError) -> Self {
        let other = matches!(error, WeightsError::OtherArchitecture { .. } | WeightsError::Shape { .. });
        match recognize(checkpoint) {
            Ok(found) if other => {
                Self { what: format!("{error}; it fits {}", found.variant.name), fits: Some(Box::new(found)) }
            }
            _ => error.to_string().into(),
        }
    }
}

impl From<String> for Misfit {
    fn from(what: String) -> Self {
        Self { what, fits: None }
    }
}
