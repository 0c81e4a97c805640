//! Training and decoding with task alignment (Feng et al. 2021, arXiv:2108.07755): the cells in an object whose class and
//! box are best together answer for it. Distances to the box's sides are distributions (Li et al. 2020, arXiv:2006.04388).

use super::candidates::Candidates;
use super::cells::{Cells, Least, best_class, on, rows};
use crate::graph::TaskAligned;
use crate::nn::boxes::{Overlap, centered, corners, overlap};
use crate::nn::{Ctx, Object, RunError, Value, read};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use std::f64::consts::PI;

/// How many cells an object gets at most.
const CELLS: usize = 10;
/// The power of the class's probability in the measure of alignment; that of the overlap is the sixth.
const CLASS_POWER: f64 = 0.5;
const OVERLAP_POWER: i32 = 6;
/// Weights of the losses of overlap, class and distances.
const BOX_WEIGHT: f64 = 7.5;
const CLASS_WEIGHT: f64 = 0.5;
const DISTANCE_WEIGHT: f64 = 1.5;
/// Candidates below this score are left out.
const LEAST_SCORE: f32 = 0.001;

/// A cell that answers for an object.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Match {
    cell: usize,
    object: usize,
    /// What its class is to score.
    score: f32,
}

/// What the heads say of each cell.
struct Said {
    cells: Cells,
    /// Logits, `[batch, cells, classes]`
    class: Tensor<3>,
    /// Logits of the distributions, `[batch, cells, 4 * bins]`
    raw: Tensor<3>,
    /// Left, top, right, bottom in input pixels, `[batch, cells, 4]`
    boxes: Tensor<3>,
}

impl Said {
    fn new(method: &TaskAligned, outputs: &[Value]) -> Result<Self, RunError> {
        let [class, boxes] = outputs else {
            return Err(RunError::Kind { wanted: "two heads", got: "another number" });
        };
        let levels = method.strides.len();
        let (class, sizes) = rows(class, levels, method.classes)?;
        let (raw, _) = rows(boxes, levels, 4 * method.bins)?;
        let cells = Cells::of(&sizes, &method.strides);
        let boxes = corner_boxes(&raw, method.bins, &cells);
        Ok(Self { cells, class, raw, boxes })
    }
}

/// Left, top, right, bottom in input pixels, `[batch, cells, 4]`, from logits of distributions `[batch, cells, 4 * bins]`.
fn corner_boxes(raw: &Tensor<3>, bins: usize, cells: &Cells) -> Tensor<3> {
    let [batch, count, _] = raw.dims();
    let device = raw.device();
    let values: Vec<f32> = (0..bins).map(|bin| bin as f32).collect();
    let share = activation::softmax(raw.clone().reshape([batch, count, 4, bins]), 3);
    let distance = (share * on(values, [1, 1, 1, bins], &device)).sum_dim(3).reshape([batch, count, 4]);
    let (corner, side) = cells.tensors(&device);
    let center = corner + 0.5; // [1, cells, 2]
    let from = center.clone() - distance.clone().narrow(2, 0, 2);
    let to = center + distance.narrow(2, 2, 2);
    Tensor::cat(vec![from, to], 2) * side
}

/// The terms of class and box, `[1]` each: divided by the sum of the scores that are to be reached, and times the number
/// of pictures.
pub(super) fn losses(method: &TaskAligned, outputs: &[Value], ctx: &Ctx) -> Result<Vec<Tensor<1>>, RunError> {
    let said = Said::new(method, outputs)?;
    let [_, count, classes] = said.class.dims();
    let none = Vec::new();
    let objects = ctx.pictures.objects.as_ref().unwrap_or(&none);
    let guess = read(Tensor::cat(vec![said.boxes.clone(), activation::sigmoid(said.class.clone())], 2).inner())?;
    let mut targets = Targets::new(method);
    for (picture, guess) in guess.chunks_exact((count * (4 + classes)).max(1)).enumerate() {
        let objects: Vec<Object> = objects.get(picture).into_iter().flatten().filter(|o| !o.crowd).copied().collect();
        for matched in assign(&said.cells, &objects, guess, classes) {
            targets.add(picture * count, &said.cells, &objects[matched.object], matched);
        }
    }
    Ok(targets.losses(&said))
}

/// What the cells are to say.
struct Targets {
    classes: usize,
    bins: usize,
    /// Cells of the whole batch that answer for an object.
    answering: Vec<i64>,
    /// For each of them.
    score: Vec<f32>,
    xyxy: Vec<f32>,
    class: Vec<f32>,
    distance: Vec<f32>,
}

impl Targets {
    fn new(method: &TaskAligned) -> Self {
        let empty = Vec::new;
        let (classes, bins) = (method.classes, method.bins);
        Self { classes, bins, answering: Vec::new(), score: empty(), xyxy: empty(), class: empty(), distance: empty() }
    }

    fn add(&mut self, first: usize, cells: &Cells, object: &Object, Match { cell, score, .. }: Match) {
        self.answering.push((first + cell) as i64);
        self.score.push(score);
        self.xyxy.extend(object.xyxy);
        let mut class = vec![0.0; self.classes];
        if let Some(wanted) = class.get_mut(object.class) {
            *wanted = score;
        }
        self.class.extend(class);
        let [column, row, side] = cells.all[cell];
        let [left, top, right, bottom] = object.xyxy.map(|at| at / side);
        let (x, y) = (column + 0.5, row + 0.5);
        // A distance between two bins is shared by them; each side counts a quarter.
        for distance in [x - left, y - top, right - x, bottom - y] {
            let distance = distance.clamp(0.0, (self.bins - 1) as f32 - 0.01);
            let (below, above) = (distance.floor(), distance - distance.floor());
            let mut shares = vec![0.0; self.bins];
            shares[below as usize] = (1.0 - above) * score / 4.0;
            shares[below as usize + 1] = above * score / 4.0;
            self.distance.extend(shares);
        }
    }

    fn losses(self, said: &Said) -> Vec<Tensor<1>> {
        let device: Device = said.class.device();
        let [batch, count, classes] = said.class.dims();
        let (all, found) = (batch * count, self.answering.len());
        let sum: f64 = self.score.iter().map(|score| f64::from(*score)).sum();
        let share = batch as f64 / sum.max(1.0);
        // Binary cross-entropy of a logit x with a target t is log(1 + exp(x)) - t x, and t is nothing in most cells.
        let class = activation::log_sigmoid(said.class.clone().neg()).sum().neg();
        if found == 0 {
            return vec![class * (CLASS_WEIGHT * share), said.raw.clone().sum() * 0.0];
        }
        let answering = Tensor::<1, Int>::from_data(TensorData::new(self.answering, [found]), &device);
        let of = |x: &Tensor<3>, width: usize| x.clone().reshape([all, width]).select(0, answering.clone());
        let class = class - (of(&said.class, classes) * on(self.class, [found, classes], &device)).sum();
        let wanted = on(self.xyxy, [found, 4], &device);
        let miss = overlap(&of(&said.boxes, 4), &wanted, Overlap::Ciou, 1e-7).neg().add_scalar(1.0);
        let boxes = (miss * on(self.score, [found], &device)).sum();
        let bins = self.bins;
        let log_p = activation::log_softmax(of(&said.raw, 4 * bins).reshape([found * 4, bins]), 1);
        let distance = (log_p * on(self.distance, [found * 4, bins], &device)).sum().neg();
        vec![class * (CLASS_WEIGHT * share), boxes * (BOX_WEIGHT * share) + distance * (DISTANCE_WEIGHT * share)]
    }
}

/// Which cells of a picture answer for which object, in the order of cells. `guess` holds for each cell left, top, right,
/// bottom and the probabilities of the classes. Time grows with objects times cells, memory with cells.
fn assign(cells: &Cells, objects: &[Object], guess: &[f32], classes: usize) -> Vec<Match> {
    let count = cells.len();
    // For each cell the object that it overlaps most, and the objects that chose it.
    let mut best: Vec<(f64, usize)> = vec![(0.0, 0); count];
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, object) in objects.iter().enumerate() {
        let mut least = Least::of(CELLS);
        for (cell, guess) in inside(cells, object, guess, classes) {
            let overlap = complete_iou(guess, object.xyxy);
            if overlap > best[cell].0 {
                best[cell] = (overlap, index);
            }
            let alignment = alignment(guess, object, overlap);
            if alignment > 0.0 {
                least.offer(-alignment as f32, cell);
            }
        }
        for &(_, cell) in &least.kept {
            chosen[cell].push(index);
        }
    }
    let mut taken: Vec<Vec<usize>> = vec![Vec::new(); objects.len()];
    for (cell, chosen) in chosen.iter().enumerate() {
        match chosen.as_slice() {
            [] => {}
            [only] => taken[*only].push(cell),
            _ => taken[best[cell].1].push(cell),
        }
    }
    let mut matches = Vec::new();
    for (index, (object, taken)) in objects.iter().zip(taken).enumerate() {
        let of = |cell: usize| guess.get(cell * (4 + classes)..).unwrap_or_default();
        let values = taken.iter().map(|&cell| {
            let overlap = complete_iou(of(cell), object.xyxy);
            (cell, alignment(of(cell).get(..4 + classes).unwrap_or_default(), object, overlap), overlap)
        });
        let values: Vec<(usize, f64, f64)> = values.collect();
        let greatest = |of: fn(&(usize, f64, f64)) -> f64| values.iter().map(of).fold(0.0, f64::max);
        let scale = greatest(|value| value.2) / (greatest(|value| value.1) + 1e-9);
        matches.extend(values.iter().map(|&(cell, alignment, _)| Match {
            cell,
            object: index,
            score: (alignment * scale) as f32,
        }));
    }
    matches.sort_by_key(|matched| matched.cell);
    matches
}

/// The cells whose centers lie in an object, with what they say.
fn inside<'a>(
    cells: &'a Cells,
    object: &Object,
    guess: &'a [f32],
    classes: usize,
) -> impl Iterator<Item = (usize, &'a [f32])> {
    let [left, top, right, bottom] = object.xyxy;
    let lies = move |[column, row, side]: [f32; 3]| {
        let (x, y) = ((column + 0.5) * side, (row + 0.5) * side);
        (x - left).min(y - top).min(right - x).min(bottom - y) > 1e-9
    };
    let all = cells.all.iter().zip(guess.chunks_exact(4 + classes)).enumerate();
    all.filter(move |(_, (cell, _))| lies(**cell)).map(|(index, (_, guess))| (index, guess))
}

fn alignment(guess: &[f32], object: &Object, overlap: f64) -> f64 {
    let probability = guess.get(4 + object.class).map_or(0.0, |p| f64::from(*p));
    probability.powf(CLASS_POWER) * overlap.powi(OVERLAP_POWER)
}

/// [`Overlap::Ciou`] of what a cell says with an object's box, not below 0.
fn complete_iou(guess: &[f32], wanted: [f32; 4]) -> f64 {
    const EPS: f64 = 1e-7;
    let &[left, top, right, bottom, ..] = guess else { return 0.0 };
    let (a, b) = ([left, top, right, bottom].map(f64::from), wanted.map(f64::from));
    let size = |x: [f64; 4]| [x[2] - x[0], x[3] - x[1]];
    let ([aw, ah], [bw, bh]) = (size(a), size(b));
    let common = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let iou = common / (aw * ah + bw * bh - common + EPS);
    let (width, height) = (a[2].max(b[2]) - a[0].min(b[0]), a[3].max(b[3]) - a[1].min(b[1]));
    let (dx, dy) = ((a[0] + a[2] - b[0] - b[2]) / 2.0, (a[1] + a[3] - b[1] - b[3]) / 2.0);
    let v = ((bw / (bh + EPS)).atan() - (aw / (ah + EPS)).atan()).powi(2) * 4.0 / (PI * PI);
    let weight = v / (v - iou + 1.0 + EPS);
    let complete = iou - (dx * dx + dy * dy) / (width * width + height * height + EPS) - v * weight;
    complete.max(0.0)
}

/// The best class of each cell; its probability is the score.
pub(super) fn candidates(method: &TaskAligned, outputs: &[Value]) -> Result<Vec<Candidates>, RunError> {
    let said = Said::new(method, outputs)?;
    super::cells::candidates(said.boxes, best_class(activation::sigmoid(said.class)), LEAST_SCORE)
}

/// Center, size, probabilities of the classes, `[batch, cells, 4 + classes]`.
pub(super) fn decoded(method: &TaskAligned, outputs: &[Value]) -> Result<Tensor<3>, RunError> {
    let said = Said::new(method, outputs)?;
    Ok(Tensor::cat(vec![centered(said.boxes), activation::sigmoid(said.class)], 2))
}

/// Logits of the distances, probabilities of the classes, `[batch, cells, 4 * bins + classes]`.
pub(super) fn raw(method: &TaskAligned, outputs: &[Value]) -> Result<Tensor<3>, RunError> {
    let said = Said::new(method, outputs)?;
    Ok(Tensor::cat(vec![said.raw, activation::sigmoid(said.class)], 2))
}

/// What [`raw`] gives as [`decoded`] gives it.
pub(super) fn decode(method: &TaskAligned, raw: &Tensor<3>, cells: &Cells) -> Tensor<3> {
    let numbers = 4 * method.bins;
    let boxes = corner_boxes(&raw.clone().narrow(2, 0, numbers), method.bins, cells);
    Tensor::cat(vec![centered(boxes), raw.clone().slice_dim(2, numbers..)], 2)
}

/// The candidates in what [`decoded`] gives.
pub(super) fn candidates_in(decoded: &Tensor<3>) -> Result<Vec<Candidates>, RunError> {
    let scores = decoded.clone().slice_dim(2, 4..);
    super::cells::candidates(corners(decoded.clone().narrow(2, 0, 4)), best_class(scores), LEAST_SCORE)
}

#[cfg(test)]
#[path = "task_aligned_tests.rs"]
mod tests;
