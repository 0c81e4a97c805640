//! Detection: what trains the heads together, what their raw outputs say, and how good that is.

mod boxes;
mod candidates;
mod cells;
mod coco;
mod confusion;
mod curves;
mod diagnosis;
mod font;
mod found;
mod marks;
mod nms;
mod overlay;
mod palette;
mod pass;
mod save;
mod sim_ota;
mod task_aligned;
mod two_stage;
mod write;

pub use boxes::{Detection, ImageBoxes, Truth, iou};
pub use candidates::Candidates;
pub use coco::{AREAS, ClassMetrics, CocoMetrics, LIMITS, RECALLS, THRESHOLDS, evaluate, threshold};
pub use confusion::{DetectionConfusion, Hit};
pub use curves::{Asked, PrCurve, PrPoint, Ranked, best_mean_f1, pr_curves};
pub use diagnosis::{Diagnosis, diagnose};
pub use found::{BoxResult, FoundBox, MOST_BOXES, boxes_of, judge, metrics};
pub use marks::{Blame, Mark, Marks, NEAR, TruthMark, marks};
pub use nms::filter;
pub use overlay::{OverlayBox, draw_boxes, overlay, png, write_png};
pub use palette::{class_color, ink_on};
pub use pass::{content, in_pictures, known, pictures};
pub use save::{SavedBoxes, save_boxes};
pub use write::{LabelFolder, label_lines, write_coco_results};

use crate::graph::Detector;
use crate::nn::{Ctx, RunError, Value};
use burn::tensor::Tensor;

/// A loss for each head, `[1]`, in the graph's order, from the raw outputs and the objects in `ctx.pictures`. Pictures
/// without objects count: everything in them is background.
///
/// # Errors
/// When an output has another form than the method says.
pub fn losses(detector: &Detector, outputs: &[Value], ctx: &Ctx) -> Result<Vec<Tensor<1>>, RunError> {
    match detector {
        Detector::SimOta(method) => sim_ota::losses(method, outputs, ctx),
        Detector::TaskAligned(method) => task_aligned::losses(method, outputs, ctx),
        Detector::TwoStage(method) => two_stage::losses(method, outputs, ctx),
    }
}

/// What the raw outputs say of each picture.
///
/// # Errors
/// When an output has another form than the method says, or the device fails.
pub fn candidates(detector: &Detector, outputs: &[Value], ctx: &Ctx) -> Result<Vec<Candidates>, RunError> {
    match detector {
        Detector::SimOta(method) => sim_ota::candidates(method, outputs),
        Detector::TaskAligned(method) => task_aligned::candidates(method, outputs),
        Detector::TwoStage(method) => two_stage::candidates(method, outputs, ctx),
    }
}

/// What a one-stage detector says of each cell, finest level first, `[batch, cells, 4 + ..]`: center and size of the box in
/// input pixels, then probabilities: of an object where a head tells it, and of each class.
///
/// # Errors
/// When an output has another form than the method says.
pub fn decoded(detector: &Detector, outputs: &[Value]) -> Result<Tensor<3>, RunError> {
    match detector {
        Detector::SimOta(method) => sim_ota::decoded(method, outputs),
        Detector::TaskAligned(method) => task_aligned::decoded(method, outputs),
        Detector::TwoStage(_) => Err(RunError::Description("the method has no cells".to_owned())),
    }
}
