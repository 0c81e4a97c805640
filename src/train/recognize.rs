//! Which model of the zoo a checkpoint file belongs to, told by names and shapes of its tensors.

use super::setup::wanted;
use crate::graph::Graph;
use crate::models::{Variant, catalogue};
use crate::weights::{Checkpoint, Wanted, similarity};

/// Similarity from which a file counts as a model's.
const SIMILAR: f32 = 0.7;

/// A model beside a file.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The model.
    pub variant: Variant,
    /// Its graph.
    pub graph: Graph,
    /// The graph's tensors as a checkpoint would name them.
    pub wanted: Vec<Wanted>,
    /// How much of the model the file holds, 0 to 1.
    pub similarity: f32,
}

impl Ranked {
    /// Compares a file with one model.
    ///
    /// # Errors
    /// A sentence with the cause, where the graph does not fit together.
    pub fn new(checkpoint: &Checkpoint, variant: Variant, graph: Graph) -> Result<Self, String> {
        let facts = graph.facts().map_err(|error| format!("{} cannot be built: {error}.", graph.name))?;
        let wanted = wanted(&graph, &facts);
        let similarity = similarity(checkpoint, &wanted);
        Ok(Self { variant, graph, wanted, similarity })
    }
}

/// The models by their similarity to a file, the most similar first.
///
/// # Errors
/// As [`Ranked::new`].
pub fn rank(checkpoint: &Checkpoint, models: Vec<(Variant, Graph)>) -> Result<Vec<Ranked>, String> {
    let ranked = models.into_iter().map(|(variant, graph)| Ranked::new(checkpoint, variant, graph));
    let mut ranked = ranked.collect::<Result<Vec<_>, _>>()?;
    ranked.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
    Ok(ranked)
}

/// The model of the zoo whose tensors a checkpoint holds.
///
/// # Errors
/// A sentence that names the nearest models.
pub fn recognize(checkpoint: &Checkpoint) -> Result<Variant, String> {
    let published = |variant: Variant| variant.published().map(|graph| (variant, graph));
    let models = catalogue().into_iter().map(published).collect::<Result<Vec<_>, _>>();
    let ranked = rank(checkpoint, models.map_err(|error| error.to_string())?)?;
    let told = |model: &Ranked| format!("{} ({:.0} %)", model.variant.name, model.similarity * 100.0);
    let nearest: Vec<String> = ranked.iter().take(3).map(told).collect();
    let name = checkpoint.path.display();
    match ranked.into_iter().next() {
        Some(model) if model.similarity >= SIMILAR => Ok(model.variant),
        _ => Err(format!("{name} holds no model of this program; the nearest are {}.", nearest.join(", "))),
    }
}
