//! Training and decoding with `SimOTA` (Ge et al. 2021, arXiv:2107.08430, section 2.3), as in the paper's own program
//! (yolox 0.3.0): which cell answers for which object is decided anew in each step, by what the network says so far.

use super::candidates::Candidates;
use super::cells::{Cells, Least, best_class, on, rows};
use crate::graph::SimOta;
use crate::nn::boxes::{Overlap, corners, overlap};
use crate::nn::nms::iou;
use crate::nn::{Ctx, Object, RunError, Value, loss, read};
use burn::tensor::{Int, Tensor, TensorData, activation};

/// A cell may answer for an object when it lies within so many of its sides around the object's center.
const CENTER_RADIUS: f32 = 2.5;
/// How much a box that does not fit costs, against a wrong class.
const IOU_COST: f32 = 3.0;
/// What it costs to lie outside of the object or far from its center.
const OUTSIDE_COST: f32 = 100_000.0;
/// How many of the best boxes decide how many cells an object gets.
const BEST: usize = 10;
/// Weight of the boxes' loss.
const BOX_WEIGHT: f64 = 5.0;
/// Candidates below this score are left out.
const LEAST_SCORE: f32 = 0.001;

/// A cell that answers for an object.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Match {
    cell: usize,
    object: usize,
    /// How much the cell's box overlaps the object now.
    iou: f32,
}

/// What the heads say of each cell.
struct Said {
    cells: Cells,
    /// `[batch, cells, classes]`
    class: Tensor<3>,
    /// Offsets and logarithms of sizes in cells, `[batch, cells, 4]`
    raw: Tensor<3>,
    /// Center and size in input pixels, `[batch, cells, 4]`
    boxes: Tensor<3>,
    /// `[batch, cells, 1]`
    objectness: Tensor<3>,
}

impl Said {
    fn new(method: &SimOta, outputs: &[Value]) -> Result<Self, RunError> {
        let [class, boxes, objectness] = outputs else {
            return Err(RunError::Kind { wanted: "three heads", got: "another number" });
        };
        let levels = method.strides.len();
        let (class, sizes) = rows(class, levels, method.classes)?;
        let (raw, _) = rows(boxes, levels, 4)?;
        let (objectness, _) = rows(objectness, levels, 1)?;
        let cells = Cells::of(&sizes, &method.strides);
        let boxes = center_size(&raw, &cells);
        Ok(Self { cells, class, raw, boxes, objectness })
    }
}

/// Center and size in input pixels from the raw numbers of each cell, both `[batch, cells, 4]`.
fn center_size(raw: &Tensor<3>, cells: &Cells) -> Tensor<3> {
    let (at, side) = cells.tensors(&raw.device());
    let center = (raw.clone().narrow(2, 0, 2) + at) * side.clone();
    let size = raw.clone().narrow(2, 2, 2).exp() * side;
    Tensor::cat(vec![center, size], 2)
}

/// The terms of class, box and objectness, `[1]` each, divided by the number of cells that answer for an object.
pub(super) fn losses(method: &SimOta, outputs: &[Value], ctx: &Ctx) -> Result<Vec<Tensor<1>>, RunError> {
    let said = Said::new(method, outputs)?;
    let [batch, count, classes] = said.class.dims();
    let none = Vec::new();
    let objects = ctx.pictures.objects.as_ref().unwrap_or(&none);
    let guess = read(Tensor::cat(vec![said.boxes.clone(), said.objectness.clone(), said.class.clone()], 2).inner())?;
    let mut targets = Targets::new(batch * count, classes);
    for (picture, guess) in guess.chunks_exact((count * (5 + classes)).max(1)).enumerate() {
        let objects: Vec<Object> = objects.get(picture).into_iter().flatten().filter(|o| !o.crowd).copied().collect();
        for matched in assign(&said.cells, &objects, guess, classes) {
            targets.add(picture * count, &said.cells, &objects[matched.object], matched);
        }
    }
    Ok(targets.losses(&said, ctx.pictures.closing))
}

/// What the cells are to say.
struct Targets {
    classes: usize,
    /// Cells of the whole batch that answer for an object.
    answering: Vec<i64>,
    /// For each of them.
    xyxy: Vec<f32>,
    raw: Vec<f32>,
    class: Vec<f32>,
    /// For all cells.
    objectness: Vec<f32>,
}

impl Targets {
    fn new(cells: usize, classes: usize) -> Self {
        let empty = Vec::new;
        Self {
            classes,
            answering: Vec::new(),
            xyxy: empty(),
            raw: empty(),
            class: empty(),
            objectness: vec![0.0; cells],
        }
    }

    fn add(&mut self, first: usize, cells: &Cells, object: &Object, Match { cell, iou, .. }: Match) {
        self.answering.push((first + cell) as i64);
        self.objectness[first + cell] = 1.0;
        self.xyxy.extend(object.xyxy);
        let mut class = vec![0.0; self.classes];
        if let Some(share) = class.get_mut(object.class) {
            *share = iou;
        }
        self.class.extend(class);
        let [column, row, side] = cells.all[cell];
        let [x, y, width, height] = centered(object.xyxy);
        let size = |length: f32| (length / side + 1e-8).ln();
        self.raw.extend([x / side - column, y / side - row, size(width), size(height)]);
    }

    fn losses(self, said: &Said, closing: bool) -> Vec<Tensor<1>> {
        let device = said.class.device();
        let [batch, count, classes] = said.class.dims();
        let all = batch * count;
        let found = self.answering.len();
        let share = 1.0 / found.max(1) as f64;
        let objectness = on(self.objectness, [all, 1], &device);
        let objectness = loss::binary_cross_entropy_each(said.objectness.clone().reshape([all, 1]), objectness);
        let objectness = objectness.sum() * share;
        if found == 0 {
            return vec![said.class.clone().sum() * 0.0, said.raw.clone().sum() * 0.0, objectness];
        }
        let answering = Tensor::<1, Int>::from_data(TensorData::new(self.answering, [found]), &device);
        let of = |x: &Tensor<3>, width: usize| x.clone().reshape([all, width]).select(0, answering.clone());
        let class =
            loss::binary_cross_entropy_each(of(&said.class, classes), on(self.class, [found, classes], &device));
        let class = class.sum() * share;
        let wanted = on(self.xyxy, [found, 4], &device);
        let iou = overlap(&corners(of(&said.boxes, 4)), &wanted, Overlap::Iou, 1e-16);
        let mut boxes = (iou.clone() * iou).neg().add_scalar(1.0).sum() * (BOX_WEIGHT * share);
        if closing {
            let distance = of(&said.raw, 4) - on(self.raw, [found, 4], &device);
            boxes = boxes + distance.abs().sum() * share;
        }
        vec![class, boxes, objectness]
    }
}

fn centered([left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
    [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top]
}

/// Which cells of a picture answer for which object, by falling cell. `guess` holds for each cell center, size, and the
/// logits of objectness and classes. Time grows with objects times cells, memory with cells.
fn assign(cells: &Cells, objects: &[Object], guess: &[f32], classes: usize) -> Vec<Match> {
    let candidates = candidates_of(cells, objects, guess, classes);
    let mut best = vec![(f32::INFINITY, 0, 0.0); candidates.len()];
    let mut taken: Vec<Vec<usize>> = vec![Vec::new(); candidates.len()];
    for (index, object) in objects.iter().enumerate() {
        let mut ious = Least::of(BEST);
        let mut costs = Least::of(BEST);
        for (at, (candidate, best)) in candidates.iter().zip(&mut best).enumerate() {
            let iou = iou(&object.xyxy, &candidate.xyxy);
            let outside = if candidate.is_near(object) { 0.0 } else { OUTSIDE_COST };
            let cost = candidate.class_cost(object.class) - IOU_COST * (iou + 1e-8).ln() + outside;
            ious.offer(-iou, at);
            costs.offer(cost, at);
            if cost < best.0 {
                *best = (cost, index, iou);
            }
        }
        // As many cells as the best boxes overlap the object in sum.
        let sum: f32 = ious.kept.iter().map(|(negative, _)| -negative).sum();
        for &(_, at) in costs.kept.iter().take((sum as usize).max(1)) {
            taken[at].push(index);
        }
    }
    let mut matches = Vec::new();
    for ((candidate, taken), (_, cheapest, best_iou)) in candidates.iter().zip(taken).zip(best) {
        let (object, iou) = match taken.as_slice() {
            [] => continue,
            [only] => (*only, iou(&objects[*only].xyxy, &candidate.xyxy)),
            _ => (cheapest, best_iou),
        };
        matches.push(Match { cell: candidate.cell, object, iou });
    }
    matches
}

/// A cell that lies in an object or near its center, with what it says.
struct Candidate<'a> {
    cell: usize,
    center: [f32; 2],
    side: f32,
    xyxy: [f32; 4],
    /// Logits of the classes.
    class: &'a [f32],
    /// Probability that there is an object.
    objectness: f64,
    /// Cost of saying no to all classes.
    no_class: f64,
}

impl Candidate<'_> {
    /// Whether it lies in the object and near its center.
    fn is_near(&self, object: &Object) -> bool {
        in_box(self.center, object.xyxy) && in_center(self.center, self.side, object.xyxy)
    }

    /// Binary cross-entropy over all classes for an object of this class. A probability is the root of the product of
    /// class and objectness.
    fn class_cost(&self, class: usize) -> f32 {
        let p = self.class.get(class).map_or(0.0, |logit| probability(*logit, self.objectness));
        (self.no_class + not(p) - p.ln().max(-100.0)) as f32
    }
}

fn probability(logit: f32, objectness: f64) -> f64 {
    (objectness / (1.0 + (-f64::from(logit)).exp())).sqrt()
}

/// log(1 - p), as torch's `binary_cross_entropy` cuts it off.
fn not(p: f64) -> f64 {
    (1.0 - p).ln().max(-100.0)
}

fn in_box([x, y]: [f32; 2], [left, top, right, bottom]: [f32; 4]) -> bool {
    x > left && x < right && y > top && y < bottom
}

fn in_center([x, y]: [f32; 2], side: f32, xyxy: [f32; 4]) -> bool {
    let [center_x, center_y, ..] = centered(xyxy);
    let reach = CENTER_RADIUS * side;
    (x - center_x).abs() < reach && (y - center_y).abs() < reach
}

fn candidates_of<'a>(cells: &Cells, objects: &[Object], guess: &'a [f32], classes: usize) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for (cell, (&[column, row, side], guess)) in cells.all.iter().zip(guess.chunks_exact(5 + classes)).enumerate() {
        let center = [(column + 0.5) * side, (row + 0.5) * side];
        if !objects.iter().any(|object| in_box(center, object.xyxy) || in_center(center, side, object.xyxy)) {
            continue;
        }
        let [x, y, width, height, objectness] = [0, 1, 2, 3, 4].map(|i| guess[i]);
        let objectness = 1.0 / (1.0 + (-f64::from(objectness)).exp());
        let class = guess.get(5..).unwrap_or_default();
        candidates.push(Candidate {
            cell,
            center,
            side,
            xyxy: [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0],
            class,
            objectness,
            no_class: -class.iter().map(|logit| not(probability(*logit, objectness))).sum::<f64>(),
        });
    }
    candidates
}

/// The best class of each cell; its score is the product of the probabilities of class and objectness.
pub(super) fn candidates(method: &SimOta, outputs: &[Value]) -> Result<Vec<Candidates>, RunError> {
    let said = Said::new(method, outputs)?;
    let scores = activation::sigmoid(said.class) * activation::sigmoid(said.objectness);
    super::cells::candidates(corners(said.boxes), best_class(scores), LEAST_SCORE)
}

/// Center, size, probabilities of objectness and classes, `[batch, cells, 5 + classes]`.
pub(super) fn decoded(method: &SimOta, outputs: &[Value]) -> Result<Tensor<3>, RunError> {
    let said = Said::new(method, outputs)?;
    Ok(Tensor::cat(vec![said.boxes, activation::sigmoid(said.objectness), activation::sigmoid(said.class)], 2))
}

/// Raw numbers of the boxes, probabilities of objectness and classes, `[batch, cells, 5 + classes]`.
pub(super) fn raw(method: &SimOta, outputs: &[Value]) -> Result<Tensor<3>, RunError> {
    let said = Said::new(method, outputs)?;
    Ok(Tensor::cat(vec![said.raw, activation::sigmoid(said.objectness), activation::sigmoid(said.class)], 2))
}

/// What [`raw`] gives as [`decoded`] gives it.
pub(super) fn decode(raw: &Tensor<3>, cells: &Cells) -> Tensor<3> {
    let probabilities = raw.clone().slice_dim(2, 4..);
    Tensor::cat(vec![center_size(raw, cells), probabilities], 2)
}

/// The candidates in what [`decoded`] gives.
pub(super) fn candidates_in(decoded: &Tensor<3>) -> Result<Vec<Candidates>, RunError> {
    let objectness = decoded.clone().narrow(2, 4, 1);
    let scores = decoded.clone().slice_dim(2, 5..) * objectness;
    super::cells::candidates(corners(decoded.clone().narrow(2, 0, 4)), best_class(scores), LEAST_SCORE)
}

#[cfg(test)]
#[path = "sim_ota_tests.rs"]
mod tests;
