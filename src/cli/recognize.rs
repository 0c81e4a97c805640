//! How a checkpoint file maps onto a model: the one asked for, or the one whose tensors it holds.

use super::Failure;
use crate::graph::Graph;
use crate::session::{Variant, find_model};
use crate::train::{self, Stranger};
use crate::weights::{Checkpoint, LoadReport, WeightsError, plan, similarity};

/// A model that a file fits.
pub(super) struct Recognized {
    pub variant: Variant,
    /// With the file's classes, unless others were asked for.
    pub graph: Graph,
    /// Tensors in common over all that either has, 0 to 1.
    pub similarity: f32,
    pub report: LoadReport,
}

/// How to build the graph.
#[derive(Clone, Copy, Default)]
pub(super) struct Wish<'a> {
    pub classes: Option<usize>,
    pub size_px: Option<usize>,
    pub model: Option<&'a str>,
}

/// Why nothing was found.
pub(super) enum Unfit {
    Stranger(Stranger),
    /// The file belongs to another model than the one that was asked for.
    Other(String),
}

/// The model asked for, or the most similar one that the file fits.
///
/// # Errors
/// An unknown model's name, or a size that the model does not take.
pub(super) fn recognize(checkpoint: &Checkpoint, wish: Wish<'_>) -> Result<Result<Recognized, Unfit>, Failure> {
    let (variant, classes) = match wish.model {
        Some(name) => {
            let variant = find_model(name).map_err(Failure::Input)?;
            let published =
                variant.published().map_err(|error| Failure::Input(format!("{}: {error}.", variant.name)))?;
            match plan(checkpoint, &wanted(&published)?) {
                Ok(report) => {
                    let classes = train::classes_in_file(&variant, &report);
                    (variant, classes)
                }
                Err(error) => return Ok(Err(Unfit::Other(train::Misfit::new(checkpoint, &error).what))),
            }
        }
        None => match train::recognize(checkpoint) {
            Ok(found) => (found.variant, found.classes),
            Err(stranger) => return Ok(Err(Unfit::Stranger(stranger))),
        },
    };
    let published = variant.published().map_or(0, |graph| graph.heads.first().map_or(0, |head| head.kind.classes()));
    let classes = wish.classes.or(classes).unwrap_or(published);
    let size = wish.size_px.unwrap_or(variant.preprocess.size[0] as usize);
    let graph = variant.graph(classes, size).map_err(|error| Failure::Input(format!("{}: {error}.", variant.name)))?;
    let wanted = wanted(&graph)?;
    let mut report = plan(checkpoint, &wanted).map_err(|error: WeightsError| Failure::Input(format!("{error}.")))?;
    report.notes.extend(variant.note.map(str::to_owned));
    let similarity = similarity(checkpoint, &wanted);
    Ok(Ok(Recognized { variant, graph, similarity, report }))
}

fn wanted(graph: &Graph) -> Result<Vec<crate::weights::Wanted>, Failure> {
    let facts = graph.facts().map_err(|error| Failure::Running(format!("{} cannot be built: {error}.", graph.name)))?;
    Ok(train::wanted(graph, &facts))
}
