//! What a model is worth on a set: what it says of each picture, kept small, and everything that follows from that.
//!
//! ```text
//! validate ─ a PictureResult for each picture and head ─► Evaluation ─► scores, calibration, top losses: pure functions
//!                                                              └─► evaluation.jsonl in the run's folder
//! ```

mod calibration;
mod file;
mod measure;
mod results;
mod scores;

pub use calibration::{BINS, Bin, Reliability, bin_of, reliability};
pub use file::FILE;
pub use measure::{Which, evaluate, save_backbone};
pub use results::{HeadResults, LabelResult, PictureResult, TOP, Told};
pub use scores::{Averages, ClassScores, class_scores, macro_average, weighted_average, worst_pairs};

use super::detection::{self, CocoMetrics, ImageBoxes, boxes_of};
use crate::data::{Dataset, Split};
use crate::graph::HeadKind;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What a model is worth on a data set.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The run's folder or the checkpoint.
    pub source: PathBuf,
    /// The run's epoch, where it is known.
    pub epoch: Option<u32>,
    /// The model's name.
    pub model: String,
    /// The pictures; results name them by index.
    pub set: Arc<Dataset>,
    /// Which part of them; none for all.
    pub split: Option<Split>,
    /// Metrics by name; those of further heads under `head/metric`.
    pub metrics: BTreeMap<String, f64>,
    /// Mean losses by name.
    pub losses: BTreeMap<String, f64>,
    /// Pictures that were looked at.
    pub images: usize,
    /// What each head says, in the graph's order.
    pub heads: Vec<HeadResults>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Evaluation {
    /// The first head that gives each picture one class.
    #[must_use]
    pub fn classifier(&self) -> Option<&HeadResults> {
        self.heads.iter().find(|head| matches!(head.kind, HeadKind::Classify { .. }))
    }

    /// What a detector found in each picture, beside what is there; none of other models.
    #[must_use]
    pub fn boxes(&self) -> Option<Vec<ImageBoxes>> {
        let head = self.heads.first().filter(|head| matches!(head.kind, HeadKind::Detect { .. }))?;
        Some(head.boxes.iter().map(|found| boxes_of(found, &self.set)).collect())
    }

    /// COCO's measures of a detector; none of other models.
    #[must_use]
    pub fn coco(&self) -> Option<CocoMetrics> {
        Some(detection::evaluate(&self.boxes()?, self.heads.first()?.classes.len()))
    }
}
