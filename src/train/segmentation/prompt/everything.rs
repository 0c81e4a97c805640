//! Everything in a picture: a grid of points, whose masks are kept where they are good and new (Kirillov et al. 2023,
//! arXiv:2304.02643, appendix B; thresholds as published).

use super::{Embedding, Point, Prompt, Prompter};
use crate::nn::ask::Prompt as Question;
use crate::nn::{RunError, nms};
use burn::tensor::{Int, Tensor, TensorData};

/// How a picture is searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Points along each side.
    pub side: usize,
    /// Points that are asked at once.
    pub batch: usize,
    /// Least predicted IoU.
    pub iou: f32,
    /// Least stability.
    pub stability: f32,
    /// IoU of two masks' boxes from which the worse one goes.
    pub overlap: f32,
}

impl Default for Grid {
    /// As published, with a batch that fits a laptop's memory.
    fn default() -> Self {
        Self { side: 32, batch: 8, iou: 0.88, stability: 0.95, overlap: 0.7 }
    }
}

impl Grid {
    /// The points in a picture of this width and height: the middles of `side`² equal parts, row by row.
    #[must_use]
    pub fn points(&self, size_px: [u32; 2]) -> Vec<[f32; 2]> {
        let [width, height] = size_px.map(|n| n as f32);
        let middle = |i: usize| (i as f32 + 0.5) / self.side.max(1) as f32;
        (0..self.side * self.side).map(|i| [middle(i % self.side) * width, middle(i / self.side) * height]).collect()
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Everything {
    /// Width and height of the picture in pixels, EXIF-oriented.
    pub size_px: [u32; 2],
    /// The masks, those with the greatest predicted IoU first.
    pub found: Vec<Found>,
}

/// A mask that was found, packed: a large picture has hundreds.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// As a candidate's.
    pub iou: f32,
    /// As a candidate's.
    pub stability: f32,
    /// Left, top, right, bottom of its outermost pixels.
    pub xyxy: [u32; 4],
    /// Number of pixels.
    pub area: u64,
    /// COCO's runs.
    pub runs: Vec<u32>,
    /// The point that it was asked with, in pixels of the picture.
    pub point: [f32; 2],
}

/// Logits of pixels that are made at once.
const PIXELS: usize = 32 << 20;

impl Prompter {
    /// Everything in a picture. `progress` gets the points asked and their number, and ends the search by answering false:
    /// then nothing is returned.
    ///
    /// # Errors
    /// When the device fails.
    pub fn everything(
        &self,
        embedding: &Embedding,
        grid: &Grid,
        progress: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Option<Everything>, RunError> {
        let points = grid.points(embedding.size_px);
        let mut found: Vec<Found> = Vec::new();
        let pixels = embedding.size_px.iter().map(|&n| n as usize).product::<usize>();
        let mut asked = 0;
        for batch in points.chunks(grid.batch.max(1)) {
            if !progress(asked, points.len()) {
                return Ok(None);
            }
            let marks = batch.iter().map(|&xy| {
                let prompt = Prompt { points: vec![Point { xy, positive: true }], ..Prompt::default() };
                Self::marks(embedding, &prompt)
            });
            let raw = self.raw(embedding, Question { marks: marks.collect(), masks: None })?;
            let good: Vec<usize> = (0..raw.iou.len()).filter(|&i| raw.iou[i] > grid.iou).collect();
            asked += batch.len();
            if good.is_empty() {
                continue;
            }
            let [prompts, each, height, width] = raw.low.dims();
            let low = raw.low.reshape([prompts * each, 1, height, width]);
            for good in good.chunks((PIXELS / pixels.max(1)).max(1)) {
                let rows = good.iter().map(|&i| i32::try_from(i).unwrap_or(i32::MAX)).collect::<Vec<_>>();
                let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [good.len()]), &low.device());
                let iou: Vec<f32> = good.iter().map(|&i| raw.iou[i]).collect();
                let masks = self.candidates(embedding, low.clone().select(0, rows), &iou)?;
                let packed = masks.iter().zip(good).filter(|(mask, _)| mask.stability >= grid.stability);
                found.extend(packed.filter_map(|(mask, &i)| {
                    Some(Found {
                        iou: mask.iou,
                        stability: mask.stability,
                        xyxy: mask.xyxy?,
                        area: mask.area,
                        runs: mask.runs(embedding.size_px),
                        point: *batch.get(i / each)?,
                    })
                }));
            }
        }
        progress(points.len(), points.len());
        let boxes: Vec<[f32; 4]> = found.iter().map(|mask| mask.xyxy.map(|side| side as f32)).collect();
        let scores: Vec<f32> = found.iter().map(|mask| mask.iou).collect();
        let kept = nms::nms(&boxes, &scores, None, grid.overlap);
        let mut found: Vec<Option<Found>> = found.into_iter().map(Some).collect();
        let found = kept.into_iter().filter_map(|i| found.get_mut(i)?.take()).collect();
        Ok(Some(Everything { size_px: embedding.size_px, found }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_the_published_one() {
        // segment_anything.utils.amg.build_point_grid(2) in a picture of 40×20 pixels.
        let grid = Grid { side: 2, ..Grid::default() };
        assert_eq!(grid.points([40, 20]), [[10.0, 5.0], [30.0, 5.0], [10.0, 15.0], [30.0, 15.0]]);
    }
}
