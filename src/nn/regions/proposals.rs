//! From objectness and boxes of anchors to regions, on the host; and what a step learns from them.

use super::anchors;
use super::coder::{Coder, clip, is_as_large};
use super::matcher::{Match, Matcher, Sampler};
use crate::graph::{Anchors, Learning, PerMode, TwoStage};
use crate::nn::nms::sorted_nms;
use crate::nn::value::{Ctx, Object, RunError, Value};
use crate::rng::Rng;
use burn::tensor::{Tensor, TensorData};
use std::sync::Arc;

/// Regions of the pictures of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    /// Those of each picture; at least one each.
    pub pictures: Vec<PictureRegions>,
}

/// Regions of a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureRegions {
    /// Left, top, right, bottom in input pixels.
    pub boxes: Vec<[f32; 4]>,
    /// What is learned from each; empty where no loss is wanted.
    pub lessons: Vec<Lesson>,
}

/// What is learned from a region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lesson {
    /// That it holds nothing.
    Background,
    /// Its object's class and the object's box as seen from the region, coded.
    Object {
        /// The class, counted from 0.
        class: usize,
        /// Offset and size.
        target: [f32; 4],
    },
    /// Nothing.
    None,
}

impl Regions {
    /// All regions with the index of their picture, in order.
    pub fn all(&self) -> impl Iterator<Item = (usize, &[f32; 4])> {
        self.pictures.iter().enumerate().flat_map(|(i, picture)| picture.boxes.iter().map(move |b| (i, b)))
    }

    /// What is learned from each, in order.
    pub fn lessons(&self) -> impl Iterator<Item = &Lesson> {
        self.pictures.iter().flat_map(|picture| &picture.lessons)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pictures.iter().map(|picture| picture.boxes.len()).sum()
    }
}

/// The matcher that these numbers describe.
#[must_use]
pub fn matcher(learning: &Learning) -> Matcher {
    Matcher { high: learning.high_iou, low: learning.low_iou, low_quality: learning.closest_count }
}

/// The sampler that these numbers describe.
#[must_use]
pub fn sampler(learning: &Learning) -> Sampler {
    Sampler { count: learning.samples, positive: learning.positive }
}

/// The anchors of all levels, level by level, row by row; `grids` and `input` are `[height, width]` in cells and pixels.
#[must_use]
pub fn all_anchors(of: &Anchors, grids: &[[usize; 2]], input: [usize; 2]) -> Vec<Vec<[f32; 4]>> {
    let level = |(level, grid): (usize, &[usize; 2])| {
        let sizes = of.sizes.get(level).map_or(&[][..], Vec::as_slice);
        anchors::of_level(&anchors::of_cell(sizes, &of.ratios), *grid, input)
    };
    grids.iter().enumerate().map(level).collect()
}

/// Boxes and crowds of a picture's objects; objects without area teach nothing.
#[must_use]
pub fn split(objects: &[Object]) -> (Vec<Object>, Vec<[f32; 4]>) {
    let solid = |object: &&Object| object.xyxy[2] > object.xyxy[0] && object.xyxy[3] > object.xyxy[1];
    let (crowds, single): (Vec<&Object>, Vec<&Object>) = objects.iter().filter(solid).partition(|object| object.crowd);
    (single.into_iter().copied().collect(), crowds.into_iter().map(|crowd| crowd.xyxy).collect())
}

/// The values of several tensors, one after another.
#[must_use]
pub fn flat<const D: usize>(maps: &[Tensor<D>]) -> Tensor<1> {
    let flat = |map: &Tensor<D>| {
        let count = map.shape().num_elements();
        map.clone().reshape([count])
    };
    Tensor::cat(maps.iter().map(flat).collect(), 0)
}

/// The values of several tensors, one after another, in one trip to the host.
///
/// # Errors
/// When the device fails.
pub fn read<const D: usize>(maps: &[Tensor<D>]) -> Result<Vec<f32>, RunError> {
    let data: TensorData =
        flat(maps).inner().try_into_data().map_err(|error| RunError::Device(format!("{error:?}")))?;
    data.try_to_vec::<f32>().map_err(|error| RunError::Device(format!("{error:?}")))
}

/// A level's raw outputs on the host, in the order of the device: anchors, rows, columns.
struct Level<'a> {
    objectness: &'a [f32],
    deltas: &'a [f32],
    anchors: &'a [[f32; 4]],
    of_cell: usize,
}

impl Level<'_> {
    /// The surest `most` of a picture, as objectness and box, by falling objectness; equal ones in the anchors' order.
    fn surest(&self, picture: usize, most: usize) -> Vec<(f32, [f32; 4])> {
        let cells = self.anchors.len() / self.of_cell.max(1);
        let first = picture * self.anchors.len();
        // Anchor i is box i % of_cell of cell i / of_cell; on the device a cell's boxes stand in planes of their own.
        let place = |i: usize| (i % self.of_cell) * cells + i / self.of_cell;
        let score = |i: usize| self.objectness.get(first + place(i)).copied().unwrap_or(f32::NEG_INFINITY);
        let mut scored: Vec<(f32, usize)> = (0..self.anchors.len()).map(|i| (score(i), i)).collect();
        let surer = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if most < scored.len() {
            scored.select_nth_unstable_by(most, surer);
            scored.truncate(most);
        }
        scored.sort_unstable_by(surer);
        let coder = Coder { weights: [1.0; 4] };
        let decode = |(score, i): (f32, usize)| {
            let of_box = |k: usize| 4 * first + ((i % self.of_cell) * 4 + k) * cells + i / self.of_cell;
            let deltas = std::array::from_fn(|k| self.deltas.get(of_box(k)).copied().unwrap_or(0.0));
            (score, coder.decode(&self.anchors[i], &deltas))
        };
        scored.into_iter().map(decode).collect()
    }
}

/// Proposes regions from raw outputs; for each picture the surest.
fn propose(
    method: &TwoStage,
    objectness: &[Tensor<4>],
    boxes: &[Tensor<4>],
    ctx: &Ctx,
) -> Result<Vec<Vec<[f32; 4]>>, RunError> {
    let grids: Vec<[usize; 2]> = objectness.iter().map(|map| [map.dims()[2], map.dims()[3]]).collect();
    let batch = objectness.first().map_or(0, |map| map.dims()[0]);
    let anchors = all_anchors(&method.anchors, &grids, ctx.input);
    let maps: Vec<Tensor<4>> = objectness.iter().chain(boxes).cloned().collect();
    let values = read(&maps)?;
    let mut rest = values.as_slice();
    let mut parts = Vec::with_capacity(maps.len());
    for map in &maps {
        let (part, later) = rest.split_at(map.shape().num_elements().min(rest.len()));
        parts.push(part);
        rest = later;
    }
    let of_mode = |number: PerMode| if ctx.training { number.train } else { number.infer };
    let rule = &method.proposals;
    let mut all = Vec::with_capacity(batch);
    for picture in 0..batch {
        let size = ctx.size_of(picture);
        let (mut regions, mut scores, mut levels) = (Vec::new(), Vec::new(), Vec::new());
        for (i, anchors) in anchors.iter().enumerate() {
            let of_cell = method.anchors.of_cell(i);
            let level = Level { objectness: parts[i], deltas: parts[objectness.len() + i], anchors, of_cell };
            for (score, b) in level.surest(picture, of_mode(rule.before_nms)) {
                let b = clip(&b, size);
                if is_as_large(&b, rule.min_side_px) {
                    regions.push(b);
                    scores.push(score);
                    levels.push(i as u32);
                }
            }
        }
        // By raw objectness: its sigmoid is the same order, but for large ones it is 1 in f32.
        let mut order: Vec<usize> = (0..regions.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let keep = sorted_nms(&regions, &order, Some(&levels), rule.max_iou, of_mode(rule.after_nms));
        all.push(keep.into_iter().map(|i| regions[i]).collect());
    }
    Ok(all)
}

/// What is learned from the regions of a picture: in a training step from a drawn part of them and the objects
/// themselves, which alone come back then; otherwise from all.
fn teach(
    learning: &Learning,
    mut boxes: Vec<[f32; 4]>,
    objects: &[Object],
    training: bool,
    rng: Option<&mut Rng>,
) -> PictureRegions {
    let (objects, crowds) = split(objects);
    let truth: Vec<[f32; 4]> = objects.iter().map(|object| object.xyxy).collect();
    if training {
        boxes.extend(&truth);
    }
    let matches = matcher(learning).assign(&truth, &crowds, &boxes);
    let mut chosen: Vec<usize> = (0..boxes.len()).collect();
    if training {
        chosen = sampler(learning).choose(&matches, rng).concat();
        chosen.sort_unstable();
    }
    let coder = Coder { weights: learning.weights };
    let lesson = |&i: &usize| match matches[i] {
        Match::Object(object) => {
            Lesson::Object { class: objects[object].class, target: coder.encode(&boxes[i], &truth[object]) }
        }
        Match::Background => Lesson::Background,
        Match::Between => Lesson::None,
    };
    let lessons = chosen.iter().map(lesson).collect();
    PictureRegions { boxes: chosen.iter().map(|&i| boxes[i]).collect(), lessons }
}

/// The regions of a batch from the raw outputs of the proposing heads; with lessons where `ctx` holds objects. A picture
/// without any is one region, so that there is something to compute.
///
/// # Errors
/// When the outputs are no pyramids or the device fails.
pub fn regions(method: &TwoStage, objectness: &Value, boxes: &Value, ctx: &Ctx) -> Result<Arc<Regions>, RunError> {
    let proposed = propose(method, &objectness.pyramid()?, &boxes.pyramid()?, ctx)?;
    let mut rng = ctx.seed.map(|seed| Rng::keyed(seed, "regions"));
    let mut pictures = Vec::with_capacity(proposed.len());
    for (i, boxes) in proposed.into_iter().enumerate() {
        let objects = ctx.pictures.objects.as_ref().map(|objects| objects.get(i).map_or(&[][..], Vec::as_slice));
        let mut picture = match objects {
            Some(objects) => teach(&method.regions.learning, boxes, objects, ctx.training, rng.as_mut()),
            None => PictureRegions { boxes, lessons: Vec::new() },
        };
        if picture.boxes.is_empty() {
            let [width, height] = ctx.size_of(i);
            picture.boxes.push([0.0, 0.0, width, height]);
            picture.lessons.extend(objects.map(|_| Lesson::None));
        }
        pictures.push(picture);
    }
    Ok(Arc::new(Regions { pictures }))
}
