//! Joining maps of several levels.

use super::Describe;
use crate::graph::GraphError;
use crate::graph::signal::Signal;
use crate::graph::trace::Trace;
use serde::{Deserialize, Serialize};

/// Several maps as one value, finest first: where a head that has a convolution for each level ends. No tensors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {}

impl Describe for Levels {
    fn kind(&self) -> &'static str {
        "Levels"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        t.levels(inputs)
    }
}
