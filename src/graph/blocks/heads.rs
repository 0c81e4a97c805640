//! Blocks that end in raw outputs.

use super::{Describe, single};
use crate::graph::GraphError;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Trace};
use serde::{Deserialize, Serialize};

/// A linear classifier on a feature vector, with dropout before it. Tensors `weight`, `bias`. Raw output: one logit per
/// class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// Length of the feature vector.
    pub inputs: usize,
    /// Number of classes.
    pub classes: usize,
    /// Share of the features that a training step drops.
    pub dropout: f32,
    /// How a new weight starts.
    pub init: Init,
}

impl Classifier {
    /// A classifier without dropout that starts as torch's linear layers do.
    #[must_use]
    pub fn new(inputs: usize, classes: usize) -> Self {
        Self { inputs, classes, dropout: 0.0, init: Init::UniformFanIn { fan_in: inputs } }
    }
}

impl Describe for Classifier {
    fn kind(&self) -> &'static str {
        "Linear"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = t.dropout(single(self.kind(), inputs)?, self.dropout);
        t.linear("", &x, [self.inputs, self.classes], self.init)
    }
}

/// A 1×1 convolution and a nearest-neighbour upsampling: one logit per class and pixel. Tensors `weight`, `bias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PixelClassifier {
    /// Input channels.
    pub inputs: usize,
    /// Number of classes, background included.
    pub classes: usize,
    /// Upsampling after the convolution.
    pub upsample: usize,
}

impl PixelClassifier {
    /// The numbers of its convolution.
    #[must_use]
    pub fn conv(&self) -> Conv {
        Conv::new(self.inputs, self.classes, 1, 1).with_bias()
    }
}

impl Describe for PixelClassifier {
    fn kind(&self) -> &'static str {
        "Pixel classifier"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = single(self.kind(), inputs)?;
        let x = t.conv("", x, self.conv(), Init::UniformFanIn { fan_in: 0 })?;
        if self.upsample > 1 { t.upsample(&x, self.upsample) } else { Ok(x) }
    }
}
