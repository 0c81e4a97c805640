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
pub use pass::{content, in_pictures, known, pictures, to_picture};
pub(super) use save::free_name;
pub use save::{SavedBoxes, save_boxes};
pub(super) use write::whole as write_whole;
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
        Detector::TwoStage(_) => Err(no_cells()),
    }
}

/// The same with the heads' raw numbers in place of the box: what an exported file gives before decoding.
///
/// # Errors
/// As [`decoded`].
pub fn raw(detector: &Detector, outputs: &[Value]) -> Result<Tensor<3>, RunError> {
    match detector {
        Detector::SimOta(method) => sim_ota::raw(method, outputs),
        Detector::TaskAligned(method) => task_aligned::raw(method, outputs),
        Detector::TwoStage(_) => Err(no_cells()),
    }
}

/// What [`raw`] gives of an input of `[height, width]` pixels, as [`decoded`] gives it.
///
/// # Errors
/// When the method has no cells, or other ones.
pub fn decode(detector: &Detector, raw: &Tensor<3>, input_px: [usize; 2]) -> Result<Tensor<3>, RunError> {
    let cells = |strides: &[usize]| {
        let sizes: Vec<[usize; 2]> = strides.iter().map(|side| input_px.map(|n| n.div_ceil(*side))).collect();
        let cells = cells::Cells::of(&sizes, strides);
        if cells.len() == raw.dims()[1] { Ok(cells) } else { Err(no_cells()) }
    };
    match detector {
        Detector::SimOta(method) => Ok(sim_ota::decode(raw, &cells(&method.strides)?)),
        Detector::TaskAligned(method) => Ok(task_aligned::decode(method, raw, &cells(&method.strides)?)),
        Detector::TwoStage(_) => Err(no_cells()),
    }
}

/// The candidates in what [`decoded`] gives, in input pixels.
///
/// # Errors
/// When the method has no cells, or the device fails.
pub fn candidates_in(detector: &Detector, decoded: &Tensor<3>) -> Result<Vec<Candidates>, RunError> {
    match detector {
        Detector::SimOta(_) => sim_ota::candidates_in(decoded),
        Detector::TaskAligned(_) => task_aligned::candidates_in(decoded),
        Detector::TwoStage(_) => Err(no_cells()),
    }
}

fn no_cells() -> RunError {
    RunError::Description("the method does not have such cells".to_owned())
}
