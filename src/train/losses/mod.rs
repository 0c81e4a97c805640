//! What each head is trained by: one named term for each.

use super::plan::{ClassWeights, Plan};
use crate::data::batch::{Batch, IGNORE};
use crate::graph::{Graph, Head, HeadKind};
use crate::nn::{RunError, Value, loss};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeMap;

/// What the losses need to know beside outputs and targets.
#[derive(Clone, Debug)]
pub struct LossOptions {
    /// Share of each target spread over all classes.
    pub smoothing: f64,
    /// Weight of each class, `[classes]`; for validation none.
    pub class_weights: Option<Tensor<1>>,
    /// Weights of the terms, by name.
    pub weights: BTreeMap<String, f64>,
}

impl LossOptions {
    /// The options of a plan; `counts` are the training pictures of each class.
    ///
    /// # Errors
    /// A sentence, when given class weights do not fit the classes.
    pub fn of(plan: &Plan, counts: &[usize], device: &Device) -> Result<Self, String> {
        let weights: Option<Vec<f32>> = match &plan.class_weights {
            ClassWeights::Equal => None,
            ClassWeights::Balanced => {
                let inverse: Vec<f32> = counts.iter().map(|&n| 1.0 / n.max(1) as f32).collect();
                let mean = inverse.iter().sum::<f32>() / inverse.len().max(1) as f32;
                Some(inverse.iter().map(|w| w / mean).collect())
            }
            ClassWeights::Given(given) if given.len() == counts.len() => Some(given.clone()),
            ClassWeights::Given(given) => {
                return Err(format!("{} class weights were given for {} classes.", given.len(), counts.len()));
            }
        };
        let class_weights = weights.map(|values| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        });
        Ok(Self { smoothing: plan.label_smoothing, class_weights, weights: plan.loss_weights.clone() })
    }

    /// The same for validation: no smoothing, no class weights, so that numbers compare between plans.
    #[must_use]
    pub fn for_validation(&self) -> Self {
        Self { smoothing: 0.0, class_weights: None, weights: self.weights.clone() }
    }
}

/// A loss for each head, `[1]`, in the graph's order.
///
/// # Errors
/// When a head's targets are missing or its output has the wrong kind.
pub fn losses(
    graph: &Graph,
    outputs: &[Value],
    batch: &Batch,
    options: &LossOptions,
) -> Result<Vec<Tensor<1>>, RunError> {
    graph.heads.iter().zip(outputs).map(|(head, output)| of_head(head, output, batch, options)).collect()
}

fn of_head(head: &Head, output: &Value, batch: &Batch, options: &LossOptions) -> Result<Tensor<1>, RunError> {
    let missing = |what: &str| RunError::Description(format!("the head {} needs {what} for every picture", head.name));
    match head.kind {
        HeadKind::Classify { .. } => {
            let targets = batch.classes.clone().ok_or_else(|| missing("a class"))?;
            Ok(loss::cross_entropy(output.vector()?, targets, options.class_weights.clone(), options.smoothing))
        }
        HeadKind::PixelClassify { .. } => {
            let targets = batch.masks.clone().ok_or_else(|| missing("a mask"))?;
            Ok(loss::pixel_cross_entropy(output.map()?, targets, IGNORE))
        }
    }
}

/// The sum of the terms by their weights, `[1]`.
#[must_use]
pub fn total(graph: &Graph, terms: &[Tensor<1>], options: &LossOptions) -> Option<Tensor<1>> {
    let weigh = |(head, term): (&Head, &Tensor<1>)| match options.weights.get(&head.name) {
        Some(&weight) => term.clone() * weight,
        None => term.clone(),
    };
    graph.heads.iter().zip(terms).map(weigh).reduce(|sum, term| sum + term)
}

/// The data that the heads need and the set does not have, in sentences.
#[must_use]
pub fn missing_targets(graph: &Graph, dataset: &crate::data::Dataset) -> Vec<String> {
    let mut missing = Vec::new();
    for head in &graph.heads {
        let (what, without) = match head.kind {
            HeadKind::Classify { .. } => {
                ("a class", dataset.samples.iter().filter(|s| s.target.class.is_none()).count())
            }
            HeadKind::PixelClassify { .. } => {
                ("a mask", dataset.samples.iter().filter(|s| s.target.mask.is_none()).count())
            }
        };
        if without > 0 {
            missing.push(format!(
                "The head {} needs {what} for every picture; {without} of {} in {} have none.",
                head.name,
                dataset.samples.len(),
                dataset.name
            ));
        }
    }
    missing
}
