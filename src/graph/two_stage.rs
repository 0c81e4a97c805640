//! The numbers of the method that proposes regions first, with torchvision's defaults.

use super::blocks::BlockSpec;
use super::detector::Detector;
use super::network::Graph;
use serde::{Deserialize, Serialize};

/// The method of Ren et al. 2015 (arXiv:1506.01497) on a pyramid (Lin et al. 2017, arXiv:1612.03144). Heads: `class`
/// `[regions, classes + 1]` (background first), `box` `[regions, 4 * (classes + 1)]`, `objectness` and `rpn_box`, for
/// every level `[anchors, h, w]` and `[4 * anchors, h, w]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwoStage {
    /// Number of classes without the background.
    pub classes: usize,
    /// The boxes around each cell.
    pub anchors: Anchors,
    /// How regions are proposed, and how that is learned.
    pub proposals: Proposing,
    /// How regions are told apart, and how that is learned.
    pub regions: Telling,
}

/// The boxes around each cell of a pyramid's levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anchors {
    /// For each level the sides of the squares, in pixels.
    pub sizes: Vec<Vec<f32>>,
    /// Ratios of height to width that each size comes in.
    pub ratios: Vec<f32>,
}

impl Anchors {
    /// Boxes around a cell of this level.
    #[must_use]
    pub fn of_cell(&self, level: usize) -> usize {
        self.sizes.get(level).map_or(0, Vec::len) * self.ratios.len()
    }
}

/// How a step draws the boxes that it learns from, and what they stand for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    /// From this overlap (intersection over union) on a box stands for an object.
    pub high_iou: f32,
    /// Below this overlap it stands for background.
    pub low_iou: f32,
    /// Whether an object's closest boxes stand for it however little they overlap it.
    pub closest_count: bool,
    /// How many boxes of a picture.
    pub samples: usize,
    /// At most this share of them stands for objects.
    pub positive: f32,
    /// Weights of a box's offset and size as they are predicted.
    pub weights: [f32; 4],
    /// Up to this distance the loss of a predicted number is a parabola.
    pub beta: f32,
}

/// Another number in a training step than otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerMode {
    /// In a training step.
    pub train: usize,
    /// Otherwise.
    pub infer: usize,
}

/// How regions are proposed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposing {
    /// The surest of each level that are looked at.
    pub before_nms: PerMode,
    /// The surest of all levels that stay.
    pub after_nms: PerMode,
    /// Of two that overlap by more than this, the surer stays.
    pub max_iou: f32,
    /// The shortest side in pixels.
    pub min_side_px: f32,
    /// How it is learned.
    pub learning: Learning,
}

/// How regions are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Telling {
    /// What scores less is not told.
    pub min_score: f32,
    /// The shortest side in pixels.
    pub min_side_px: f32,
    /// How it is learned.
    pub learning: Learning,
}

impl TwoStage {
    /// torchvision's numbers for five levels whose first has cells of four pixels.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        let beta = 1.0 / 9.0;
        Self {
            classes,
            anchors: Anchors {
                sizes: [32.0, 64.0, 128.0, 256.0, 512.0].map(|side| vec![side]).to_vec(),
                ratios: vec![0.5, 1.0, 2.0],
            },
            proposals: Proposing {
                before_nms: PerMode { train: 2000, infer: 1000 },
                after_nms: PerMode { train: 2000, infer: 1000 },
                max_iou: 0.7,
                min_side_px: 1e-3,
                learning: Learning {
                    high_iou: 0.7,
                    low_iou: 0.3,
                    closest_count: true,
                    samples: 256,
                    positive: 0.5,
                    weights: [1.0; 4],
                    beta,
                },
            },
            regions: Telling {
                min_score: 0.05,
                min_side_px: 1e-2,
                learning: Learning {
                    high_iou: 0.5,
                    low_iou: 0.5,
                    closest_count: false,
                    samples: 512,
                    positive: 0.25,
                    weights: [10.0, 10.0, 5.0, 5.0],
                    beta,
                },
            },
        }
    }
}

impl Graph {
    /// The same network with other numbers of the method, where it is of this method.
    #[must_use]
    pub fn with_two_stage(mut self, change: impl Fn(&mut TwoStage)) -> Self {
        if let Some(Detector::TwoStage(method)) = &mut self.detector {
            change(method);
        }
        for node in &mut self.nodes {
            if let BlockSpec::Proposals(proposals) = &mut node.block {
                change(&mut proposals.method);
            }
        }
        self
    }
}
