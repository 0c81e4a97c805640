//! Asking a promptable network: a picture is encoded once, then points and boxes are answered with masks (Kirillov et al.
//! 2023, arXiv:2304.02643).

mod everything;
mod kept;
mod network;

pub use crate::graph::{OFFERED, PromptEnds as Ends};
pub use everything::{Everything, Found, Grid};
pub use kept::{Features, Kept};
pub use network::{Embedding, Prompter};

use crate::data::runs_of;
use std::sync::Arc;

/// A point in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Right and down, in pixels of the EXIF-oriented picture.
    pub xy: [f32; 2],
    /// Whether it belongs to what is meant; else it does not.
    pub positive: bool,
}

/// What a person asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// Points.
    pub points: Vec<Point>,
    /// A box around it: left, top, right, bottom in pixels of the EXIF-oriented picture.
    pub xyxy: Option<[f32; 4]>,
    /// The mask that an earlier answer gave and that this prompt corrects.
    pub previous: Option<LowRes>,
}

impl Prompt {
    /// Whether it asks for something in a picture of this width and height.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn check(&self, size_px: [u32; 2]) -> Result<(), String> {
        let [width, height] = size_px.map(|n| n as f32);
        let inside = |[x, y]: [f32; 2]| (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
        if let Some(Point { xy: [x, y], .. }) = self.points.iter().find(|point| !inside(point.xy)) {
            return Err(format!("The point {x},{y} lies outside of the picture of {width}×{height} pixels."));
        }
        if let Some([left, top, right, bottom]) = self.xyxy {
            let named = format!("The box {left},{top},{right},{bottom}");
            if !inside([left, top]) || !inside([right, bottom]) {
                return Err(format!("{named} lies outside of the picture of {width}×{height} pixels."));
            }
            if left >= right || top >= bottom {
                return Err(format!("{named} is empty: it goes from the left top corner to the right bottom one."));
            }
        }
        if self.points.is_empty() && self.xyxy.is_none() && self.previous.is_none() {
            return Err("A prompt wants a point or a box.".to_owned());
        }
        Ok(())
    }
}

/// A mask as the network makes it: a logit for each cell of the padded input, above zero where something is.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRes {
    /// Height and width in cells.
    pub size: [usize; 2],
    /// Row-major.
    pub logits: Arc<Vec<f32>>,
}

/// One mask of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// How much it will overlap what was meant, in IoU, as the network thinks.
    pub iou: f32,
    /// IoU of the masks that a threshold one higher and one lower would give: 1 where borders are sharp.
    pub stability: f32,
    /// Left, top, right, bottom of its outermost pixels; none where it is empty.
    pub xyxy: Option<[u32; 4]>,
    /// Number of pixels.
    pub area: u64,
    /// 1 for each pixel of the picture that belongs to it, else 0; row-major.
    pub pixels: Arc<Vec<u8>>,
    /// What a next prompt can correct.
    pub low: LowRes,
}

impl Candidate {
    /// COCO's runs of a mask in a picture of this width and height.
    #[must_use]
    pub fn runs(&self, size_px: [u32; 2]) -> Vec<u32> {
        runs_of(|at| self.pixels.get(at).is_some_and(|&pixel| pixel > 0), size_px)
    }

    /// Makes one of the logits of all pixels of a picture of this width.
    fn of(logits: &[f32], width: usize, iou: f32, low: LowRes) -> Self {
        let (mut wide, mut narrow, mut area) = (0_u64, 0_u64, 0_u64);
        let mut xyxy: Option<[u32; 4]> = None;
        let mut pixels = Vec::with_capacity(logits.len());
        for (y, row) in (0_u32..).zip(logits.chunks(width.max(1))) {
            for (x, &logit) in (0_u32..).zip(row) {
                wide += u64::from(logit > -OFFSET);
                narrow += u64::from(logit > OFFSET);
                pixels.push(u8::from(logit > 0.0));
                if logit > 0.0 {
                    area += 1;
                    let [left, top, right, _] = xyxy.unwrap_or([x, y, x, y]);
                    xyxy = Some([left.min(x), top, right.max(x), y]);
                }
            }
        }
        // An empty mask is as empty with any threshold.
        let stability = if wide == 0 { 1.0 } else { narrow as f32 / wide as f32 };
        Self { iou, stability, xyxy, area, pixels: Arc::new(pixels), low }
    }
}

/// How far from zero the thresholds of the stability lie.
const OFFSET: f32 = 1.0;

/// What is answered to a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Width and height of the picture in pixels, EXIF-oriented.
    pub size_px: [u32; 2],
    /// Three masks: whole, part and subpart, in the network's order.
    pub candidates: Vec<Candidate>,
    /// The one with the greatest predicted IoU.
    pub best: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_that_ask_for_nothing_are_told() {
        let point = |x, y| Prompt { points: vec![Point { xy: [x, y], positive: true }], ..Prompt::default() };
        assert!(point(3.0, 4.0).check([10, 5]).is_ok());
        assert!(point(3.0, 6.0).check([10, 5]).unwrap_err().contains("3,6 lies outside"));
        assert!(point(f32::NAN, 0.0).check([10, 5]).is_err());
        let boxed = |xyxy| Prompt { xyxy: Some(xyxy), ..Prompt::default() };
        assert!(boxed([1.0, 1.0, 9.0, 4.0]).check([10, 5]).is_ok());
        assert!(boxed([9.0, 1.0, 1.0, 4.0]).check([10, 5]).unwrap_err().contains("is empty"));
        assert!(Prompt::default().check([10, 5]).unwrap_err().contains("a point or a box"));
    }

    #[test]
    fn a_mask_is_measured() {
        // 4×3: two pixels above one, one between zero and one, one between minus one and zero.
        let logits = [-9.0, -9.0, -9.0, -9.0, -9.0, 2.0, 0.5, -9.0, -9.0, 3.0, -0.5, -9.0];
        let low = LowRes { size: [1, 1], logits: Arc::new(vec![0.0]) };
        let mask = Candidate::of(&logits, 4, 0.9, low);
        assert_eq!((mask.area, mask.xyxy, mask.stability), (3, Some([1, 1, 2, 2]), 0.5));
        // Column by column: 0 of column 0 (3), column 1: 1 off, 2 on; column 2: off, on, off; column 3 off.
        assert_eq!(mask.runs([4, 3]), [4, 2, 1, 1, 4]);
    }
}
