//! Which model of the zoo a checkpoint file belongs to, told by names and shapes of its tensors.

use super::Failure;
use crate::graph::Graph;
use crate::session::{Variant, catalogue, find_model};
use crate::train::{Ranked, rank};
use crate::weights::{Checkpoint, LoadReport, RowState, WeightsError, plan};

/// Models that are tried and told of when none fits.
const NEAREST: usize = 3;

/// A model that a file fits.
pub(super) struct Recognized {
    /// With the file's classes, unless others were asked for.
    pub model: Ranked,
    pub report: LoadReport,
}

/// A model that a file does not fit.
pub(super) struct Near {
    pub model: &'static str,
    pub similarity: f32,
    pub error: WeightsError,
}

/// How to build the graph.
#[derive(Clone, Copy, Default)]
pub(super) struct Wish<'a> {
    pub classes: Option<usize>,
    pub size_px: Option<usize>,
    pub model: Option<&'a str>,
}

/// The most similar model that the file fits, or those that come nearest.
///
/// # Errors
/// An unknown model's name, or a size that the model does not take.
pub(super) fn recognize(checkpoint: &Checkpoint, wish: Wish<'_>) -> Result<Result<Recognized, Vec<Near>>, Failure> {
    let variants = match wish.model {
        Some(name) => vec![find_model(name).map_err(Failure::Input)?],
        None => catalogue(),
    };
    let models = variants.into_iter().map(|variant| build(&variant, wish, None).map(|graph| (variant, graph)));
    let ranked = rank(checkpoint, models.collect::<Result<_, _>>()?).map_err(Failure::Running)?;
    let mut near = Vec::new();
    for model in ranked.into_iter().take(NEAREST) {
        match plan(checkpoint, &model.wanted) {
            Ok(report) => return settle(checkpoint, wish, Recognized { model, report }).map(Ok),
            Err(error) => near.push(Near { model: model.variant.name, similarity: model.similarity, error }),
        }
    }
    Ok(Err(near))
}

/// Takes the file's number of classes where no other was asked for.
fn settle(checkpoint: &Checkpoint, wish: Wish<'_>, found: Recognized) -> Result<Recognized, Failure> {
    let Some(classes) = classes_in_file(&found.report).filter(|_| wish.classes.is_none()) else { return Ok(found) };
    let graph = build(&found.model.variant, wish, Some(classes))?;
    let model = Ranked::new(checkpoint, found.model.variant.clone(), graph).map_err(Failure::Running)?;
    Ok(match plan(checkpoint, &model.wanted) {
        Ok(report) => Recognized { model, report },
        Err(_) => found,
    })
}

fn build(variant: &Variant, wish: Wish<'_>, classes: Option<usize>) -> Result<Graph, Failure> {
    let published = variant.weights.first().map_or(1000, |weights| weights.classes);
    let classes = wish.classes.or(classes).unwrap_or(published);
    let size = wish.size_px.unwrap_or(variant.preprocess.size[0] as usize);
    variant.graph(classes, size).map_err(|error| Failure::Input(format!("{}: {error}.", variant.name)))
}

/// Outputs of the re-made head in the file, where all of its tensors agree.
fn classes_in_file(report: &LoadReport) -> Option<usize> {
    let mut counts = report.rows.iter().filter(|row| matches!(row.state, RowState::Remade { .. })).map(|row| {
        let (there, here) = (row.file_shape.as_deref()?, row.wanted_shape.as_deref()?);
        (there.get(1..) == here.get(1..)).then_some(*there.first()?)
    });
    let first = counts.next()??;
    counts.all(|count| count == Some(first)).then_some(first).filter(|&classes| classes > 0)
}
