//! The method that proposes regions first: its four losses, and what its raw outputs say (Ren et al. 2015,
//! arXiv:1506.01497; sums and divisors as torchvision's).

use super::Candidates;
use crate::graph::TwoStage;
use crate::nn::regions::coder::{Coder, clip, is_as_large};
use crate::nn::regions::matcher::Match;
use crate::nn::regions::proposals::{Lesson, Regions, all_anchors, flat, matcher, read, sampler, split};
use crate::nn::{Ctx, RunError, Value, loss};
use crate::rng::Rng;
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::sync::Arc;

/// The losses of `class`, `box`, `objectness` and `rpn_box`, each `[1]`: cross-entropy of the drawn regions; smooth L1 of
/// the boxes of those that hold an object, over the number of all; the same two for the drawn anchors.
pub(super) fn losses(method: &TwoStage, outputs: &[Value], ctx: &Ctx) -> Result<Vec<Tensor<1>>, RunError> {
    let [class, bbox, objectness, rpn_box] = outputs else {
        return Err(RunError::Kind { wanted: "four outputs", got: "another number" });
    };
    let [class, bbox] = of_regions(method, &class.vector()?, &bbox.vector()?, regions(ctx)?.as_ref());
    let [objectness, rpn_box] = of_anchors(method, &objectness.pyramid()?, &rpn_box.pyramid()?, ctx)?;
    Ok(vec![class, bbox, objectness, rpn_box])
}

fn regions(ctx: &Ctx) -> Result<Arc<Regions>, RunError> {
    ctx.regions.clone().ok_or(RunError::Kind { wanted: "regions", got: "none" })
}

fn indices(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

fn rows(values: &[[f32; 4]], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.concat(), [values.len(), 4]), device)
}

/// Zero that still belongs to the outputs, where nothing is learned from them.
fn nothing<const D: usize>(x: &Tensor<D>) -> Tensor<1> {
    (x.clone() * 0.0).sum()
}

/// Losses of the regions' classes `[regions, classes + 1]` and boxes `[regions, 4 * (classes + 1)]`.
fn of_regions(method: &TwoStage, class: &Tensor<2>, bbox: &Tensor<2>, regions: &Regions) -> [Tensor<1>; 2] {
    let device = class.device();
    let columns = method.classes + 1;
    let (mut counted, mut labels, mut boxes, mut targets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (row, lesson) in regions.lessons().enumerate() {
        let label = match lesson {
            Lesson::None => continue,
            Lesson::Background => 0,
            Lesson::Object { class, target } => {
                boxes.push((row * columns + class + 1) as i32);
                targets.push(*target);
                class + 1
            }
        };
        counted.push(row as i32);
        labels.push(label as i32);
    }
    let count = labels.len();
    if count == 0 {
        return [nothing(class), nothing(bbox)];
    }
    let all = regions.count() == count;
    let logits = if all { class.clone() } else { class.clone().select(0, indices(counted, &device)) };
    let class = loss::cross_entropy(logits, indices(labels, &device), None, 0.0);
    if boxes.is_empty() {
        return [class, nothing(bbox)];
    }
    let [of_batch, _] = bbox.dims();
    let predicted = bbox.clone().reshape([of_batch * columns, 4]).select(0, indices(boxes, &device)); // [objects, 4]
    let beta = f64::from(method.regions.learning.beta);
    [class, loss::smooth_l1_sum(predicted, rows(&targets, &device), beta) / count as f64]
}

/// Losses of the anchors' objectness and boxes, for each level `[batch, anchors, h, w]` and `[batch, 4 * anchors, h, w]`.
fn of_anchors(
    method: &TwoStage,
    objectness: &[Tensor<4>],
    boxes: &[Tensor<4>],
    ctx: &Ctx,
) -> Result<[Tensor<1>; 2], RunError> {
    let none = RunError::Kind { wanted: "objects", got: "none" };
    let objects = ctx.pictures.objects.as_ref().ok_or(none)?;
    let grids: Vec<[usize; 2]> = objectness.iter().map(|map| [map.dims()[2], map.dims()[3]]).collect();
    let levels = all_anchors(&method.anchors, &grids, ctx.input);
    let anchors: Vec<[f32; 4]> = levels.concat();
    let learning = &method.proposals.learning;
    let coder = Coder { weights: learning.weights };
    let device = objectness.first().map(Tensor::device).unwrap_or_default();
    // A training step draws by its seed (without one it takes the first), any other pass always the same.
    let mut rng = if ctx.training { ctx.seed.map(|seed| Rng::keyed(seed, "anchors")) } else { Some(Rng::new(0)) };
    let (mut places, mut labels, mut box_places, mut targets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (picture, objects) in objects.iter().enumerate() {
        let (objects, crowds) = split(objects);
        let truth: Vec<[f32; 4]> = objects.iter().map(|object| object.xyxy).collect();
        let matches = matcher(learning).assign(&truth, &crowds, &anchors);
        let [positive, negative] = sampler(learning).choose(&matches, rng.as_mut());
        for &i in &positive {
            let Match::Object(object) = matches[i] else { continue };
            box_places.extend(place(method, &levels, objectness, picture, i).boxes);
            targets.push(coder.encode(&anchors[i], &truth[object]));
        }
        for (drawn, label) in [(positive, 1.0), (negative, 0.0)] {
            for i in drawn {
                places.push(place(method, &levels, objectness, picture, i).objectness);
                labels.push(label);
            }
        }
    }
    let (objectness, boxes) = (flat(objectness), flat(boxes));
    let count = places.len();
    if count == 0 {
        return Ok([nothing(&objectness), nothing(&boxes)]);
    }
    let logits = objectness.select(0, indices(places, &device)).reshape([count, 1]);
    let labels = Tensor::from_data(TensorData::new(labels, [count, 1]), &device);
    let objectness = loss::binary_cross_entropy(logits, labels, None);
    if targets.is_empty() {
        return Ok([objectness, nothing(&boxes)]);
    }
    let predicted = boxes.select(0, indices(box_places, &device)).reshape([targets.len(), 4]);
    let distance = loss::smooth_l1_sum(predicted, rows(&targets, &device), f64::from(learning.beta));
    Ok([objectness, distance / count as f64])
}

/// Where an anchor's outputs stand among those of all levels, pictures, anchors, rows and columns.
struct Place {
    objectness: i32,
    boxes: [i32; 4],
}

fn place(method: &TwoStage, levels: &[Vec<[f32; 4]>], maps: &[Tensor<4>], picture: usize, anchor: usize) -> Place {
    let (mut within, mut level, mut before) = (anchor, 0, 0);
    while level + 1 < levels.len() && within >= levels[level].len() {
        within -= levels[level].len();
        before += maps[level].shape().num_elements();
        level += 1;
    }
    let of_cell = method.anchors.of_cell(level).max(1);
    let cells = levels[level].len() / of_cell;
    let (cell, which) = (within / of_cell, within % of_cell);
    let first = before + picture * levels[level].len();
    let of_box = |k: usize| (4 * first + (which * 4 + k) * cells + cell) as i32;
    Place { objectness: (first + which * cells + cell) as i32, boxes: std::array::from_fn(of_box) }
}

/// What the raw outputs say of each picture's regions: for each class that is likely enough the region's box for it.
pub(super) fn candidates(method: &TwoStage, outputs: &[Value], ctx: &Ctx) -> Result<Vec<Candidates>, RunError> {
    let [class, bbox, ..] = outputs else {
        return Err(RunError::Kind { wanted: "four outputs", got: "another number" });
    };
    let regions = regions(ctx)?;
    let columns = method.classes + 1;
    let values = read(&[class.vector()?, bbox.vector()?])?;
    let (logits, deltas) = values.split_at((regions.count() * columns).min(values.len()));
    let mut outputs = logits.chunks(columns).zip(deltas.chunks(4 * columns));
    let coder = Coder { weights: method.regions.learning.weights };
    let mut all = Vec::with_capacity(regions.pictures.len());
    for (i, picture) in regions.pictures.iter().enumerate() {
        let size = ctx.size_of(i);
        let (mut boxes, mut scores, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for (region, (logits, deltas)) in picture.boxes.iter().zip(&mut outputs) {
            let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
            for (class, (logit, deltas)) in logits.iter().zip(deltas.chunks(4)).enumerate().skip(1) {
                let score = (logit - top).exp() / total;
                if score <= method.regions.min_score || score.is_nan() {
                    continue;
                }
                let deltas = std::array::from_fn(|k| deltas.get(k).copied().unwrap_or(0.0));
                let b = clip(&coder.decode(region, &deltas), size);
                if is_as_large(&b, method.regions.min_side_px) {
                    boxes.push(b);
                    scores.push(score);
                    classes.push((class - 1) as u32);
                }
            }
        }
        all.push(Candidates::sorted(&boxes, &scores, &classes));
    }
    Ok(all)
}
