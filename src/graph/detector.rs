//! How the heads of a detector work together: what its raw outputs mean, and what trains them.

use super::two_stage::TwoStage;
use serde::{Deserialize, Serialize};

/// What a head of a detector tells of each candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tells {
    /// Its class.
    Class,
    /// Its box.
    Box,
    /// Whether there is an object at all.
    Objectness,
}

/// The method by which a network detects. Its heads stand in the graph in the order that each variant lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Detector {
    /// A candidate for each cell; ground truth is assigned by `SimOTA`.
    SimOta(SimOta),
    /// A candidate for each cell; ground truth is assigned by task alignment.
    TaskAligned(TaskAligned),
    /// Regions are proposed first and told apart after that.
    TwoStage(TwoStage),
}

/// The method of Ge et al. 2021 (arXiv:2107.08430). Heads: `class` `[classes, h, w]`, `box` `[4, h, w]` (offset of the
/// center in cells, logarithm of the size in cells), `objectness` `[1, h, w]`, each for every level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimOta {
    /// Number of classes.
    pub classes: usize,
    /// Side of a cell in input pixels, for each level, finest first.
    pub strides: Vec<usize>,
}

/// The method of Feng et al. 2021 (arXiv:2108.07755) with distances as distributions (Li et al. 2020, arXiv:2006.04388).
/// Heads: `class` `[classes, h, w]` and `box` `[4 * bins, h, w]` (distances to left, top, right, bottom in cells), each
/// for every level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAligned {
    /// Number of classes.
    pub classes: usize,
    /// Side of a cell in input pixels, for each level, finest first.
    pub strides: Vec<usize>,
    /// Values of the distribution of a distance: 0 to `bins - 1` cells.
    pub bins: usize,
}

impl Detector {
    /// Number of classes, without a background.
    #[must_use]
    pub fn classes(&self) -> usize {
        match self {
            Self::SimOta(method) => method.classes,
            Self::TaskAligned(method) => method.classes,
            Self::TwoStage(method) => method.classes,
        }
    }

    /// The least score of what is shown while nobody has chosen another.
    #[must_use]
    pub fn confidence(&self) -> f32 {
        0.3
    }

    /// The intersection over union from which the less likely of two boxes of one class goes, as published.
    #[must_use]
    pub fn overlap(&self) -> f32 {
        match self {
            Self::SimOta(_) => 0.65,
            Self::TaskAligned(_) => 0.7,
            Self::TwoStage(_) => 0.5,
        }
    }
}
