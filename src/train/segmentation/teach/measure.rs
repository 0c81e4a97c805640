//! How well a promptable network answers on validation pictures: each object is asked for once by its box, once by a point.

use super::loss::{FOCAL_WEIGHT, Worth, best, picked, rows};
use super::objects::{TaughtObject, objects_of};
use super::simulate::inmost;
use super::step::{Asked, Question, features};
use crate::data::batch::Batch;
use crate::data::{Dataset, IGNORE_ID, VOID};
use crate::graph::HeadKind;
use crate::models::{Mode, Network};
use crate::nn::ask::{Marks, Point};
use crate::nn::resize::{Corners, bilinear};
use crate::nn::{Ctx, RunError, Value};
use crate::rng::Rng;
use crate::train::features::Given;
use crate::train::losses::LossOptions;
use crate::train::predict::host;
use crate::train::prediction::{Answer, HeadPrediction};
use crate::train::segmentation::prompt::{Ends, OFFERED};
use crate::train::segmentation::{Logits, Mask, MaskConfusion, MaskResult};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects of a picture that are asked for at most; of more these are drawn, the same each time.
pub const MOST_MEASURED: usize = 16;

/// The metrics: mean intersection over union and Dice of the mask that the network thinks best, over the objects; for boxes, then
/// for points.
pub const METRICS: [&str; 4] = ["miou", "dice", "point/miou", "point/dice"];

/// Logits of what is no object and of classes that are not there, where objects compete for pixels.
const GROUND: f32 = 0.0;
const ABSENT: f32 = -1e4;

/// Sums over a set.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Prompts.
    count: u64,
    /// Focal, Dice and quality losses.
    losses: [f64; 3],
    /// IoU and Dice, for boxes and for points.
    overlaps: [[f64; 2]; 2],
}

impl Tally {
    /// Asks for the objects of a batch; what was said of each picture, in the order of the batch, with a picture of the masks where
    /// `pinned` wants one.
    ///
    /// # Errors
    /// When the device fails.
    pub fn examine(
        &mut self,
        network: &Network,
        ends: Ends,
        seen: (&Batch, &Given),
        dataset: &Dataset,
        pinned: &[usize],
    ) -> Result<Vec<(MaskResult, Option<HeadPrediction>)>, RunError> {
        let (batch, _) = seen;
        let features = features(network, ends, seen, Mode::Infer, &mut Ctx::default())?;
        let asked = Asked { batch, features, size: batch.size };
        let mut found = Vec::with_capacity(batch.len());
        for (row, &index) in batch.indices.iter().enumerate() {
            let questions = questions(&asked, row, index);
            let mut planes = Planes::new(&asked, row, dataset);
            for (kind, all) in questions.iter().enumerate() {
                for some in all.chunks(asked.most()) {
                    let logits = self.ask(network, ends, &asked, kind, some)?;
                    if kind == 0 {
                        some.iter().zip(logits).for_each(|(question, logits)| planes.take(question, &logits));
                    }
                }
            }
            let answer = pinned.contains(&index).then(|| planes.answer(network, row));
            found.push((planes.result(index), answer));
        }
        Ok(found)
    }

    /// Asks some prompts of one kind; the logits of the best masks at the size of the input.
    fn ask(
        &mut self,
        network: &Network,
        ends: Ends,
        asked: &Asked<'_>,
        kind: usize,
        questions: &[Question],
    ) -> Result<Vec<Vec<f32>>, RunError> {
        let truths = asked.truths(questions);
        let (low, quality) = asked.ask(network, ends, questions, None, Mode::Infer, &mut Ctx::default())?;
        let [n, candidates, h, w] = low.dims();
        let worth = Worth::of(&low, &truths)?;
        let quality = rows(quality)?;
        let of = |all: &[Vec<f32>], row: usize, at: usize| {
            f64::from(all.get(row).and_then(|own| own.get(at)).copied().unwrap_or(0.0))
        };
        let (least, said) = (best(n, |row, at| worth.loss(row, at)), best(n, |row, at| -of(&quality, row, at)));
        for (row, (&least, &said)) in least.iter().zip(&said).enumerate() {
            let squares = (1..=OFFERED).map(|at| (of(&quality, row, at) - of(&worth.overlap, row, at)).powi(2));
            let losses =
                [of(&worth.focal, row, least), of(&worth.dice, row, least), squares.sum::<f64>() / OFFERED as f64];
            self.losses.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += loss);
            let iou = of(&worth.overlap, row, said);
            let [ious, dices] = &mut self.overlaps[kind];
            *ious += iou;
            *dices += 2.0 * iou / (1.0 + iou);
            self.count += u64::from(kind == 0);
        }
        let ids: Vec<usize> = said.into_iter().enumerate().map(|(row, at)| row * candidates + at).collect();
        let masks = picked(low.reshape([n * candidates, 1, h, w]), &ids);
        let logits = host(&Value::Map(bilinear(masks, asked.size, Corners::Edges)))?;
        Ok(logits.chunks((asked.size[0] * asked.size[1]).max(1)).map(<[f32]>::to_vec).collect())
    }

    /// The losses of the first prompts, means over the prompts of both kinds, by the names of the mask's and the quality's head.
    #[must_use]
    pub fn losses(&self, names: [&str; 2], options: &LossOptions) -> BTreeMap<String, f64> {
        let [focal, dice, quality] = self.losses.map(|sum| sum / (2 * self.count).max(1) as f64);
        let mask = FOCAL_WEIGHT * focal + dice;
        let [of_mask, of_quality] = names;
        let total = options.weight(of_mask) * mask + options.weight(of_quality) * quality;
        BTreeMap::from([
            ("total".to_owned(), total),
            (of_mask.to_owned(), mask),
            (format!("{of_mask}/focal"), focal),
            (format!("{of_mask}/dice"), dice),
            (of_quality.to_owned(), quality),
        ])
    }

    /// See [`METRICS`]; 0 where there was no object.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let values = self.overlaps.iter().flatten().map(|sum| sum / self.count.max(1) as f64);
        METRICS.iter().map(|name| (*name).to_owned()).zip(values).collect()
    }
}

/// The objects of a picture by their boxes and by points inside.
fn questions(asked: &Asked<'_>, row: usize, index: usize) -> [Vec<Question>; 2] {
    let numbers = asked.numbers(row);
    let mut objects = objects_of(numbers, asked.size[1]);
    if objects.len() > MOST_MEASURED {
        Rng::from_words(0, &[index as u64]).shuffle(&mut objects);
        objects.truncate(MOST_MEASURED);
        objects.sort_by_key(|object| object.number);
    }
    let of = |marks: &dyn Fn(&TaughtObject) -> Marks| {
        let question =
            |object: &TaughtObject| Question { row, object: *object, marks: marks(object), rng: Rng::new(0) };
        objects.iter().map(question).collect::<Vec<_>>()
    };
    let boxed = of(&|object| Marks { points: Vec::new(), xyxy: Some(object.xyxy.map(|side| side as f32)) });
    let pointed = of(&|object| {
        let xy = inmost(object, numbers, asked.size[1]);
        Marks { points: vec![Point { xy, positive: true }], xyxy: None }
    });
    [boxed, pointed]
}

/// The masks of a picture's objects put together: for each class the logits of its objects.
struct Planes<'a> {
    asked: &'a Asked<'a>,
    row: usize,
    classes: Arc<Vec<String>>,
    background: Option<u8>,
    planes: BTreeMap<u8, Vec<f32>>,
    numbers: Vec<u16>,
}

impl<'a> Planes<'a> {
    fn new(asked: &'a Asked<'a>, row: usize, dataset: &Dataset) -> Self {
        let pixels = asked.size[0] * asked.size[1];
        let background = dataset.background();
        let planes = background.map(|class| (class, vec![GROUND; pixels])).into_iter().collect();
        let classes = Arc::new(dataset.classes().to_vec());
        Self { asked, row, classes, background, planes, numbers: Vec::new() }
    }

    fn ids(&self) -> &[u8] {
        self.asked.batch.mask_ids.get(self.row).and_then(Option::as_deref).unwrap_or_default()
    }

    fn take(&mut self, question: &Question, logits: &[f32]) {
        let number = question.object.number;
        let own = self.ids().iter().zip(self.asked.numbers(self.row)).filter(|(_, own)| **own == number);
        let mut counts = [0_u64; 256];
        own.for_each(|(id, _)| counts[usize::from(*id)] += 1);
        let class = (0..=u8::MAX).max_by_key(|class| (counts[usize::from(*class)], u8::MAX - class)).unwrap_or(0);
        let plane = self.planes.entry(class).or_insert_with(|| vec![ABSENT; logits.len()]);
        plane.iter_mut().zip(logits).for_each(|(best, logit)| *best = best.max(*logit));
        self.numbers.push(number);
    }

    /// The pixels of each class. Objects that were not asked for do not count, nor does anything where none was.
    fn result(&self, index: usize) -> MaskResult {
        let mut counts = MaskConfusion::new(self.classes.len());
        if !self.numbers.is_empty() {
            let numbers = self.asked.numbers(self.row).iter();
            let counts_for = |number: &u16| *number != VOID && (*number == 0 || self.numbers.contains(number));
            let truth =
                self.ids().iter().zip(numbers).map(|(id, number)| if counts_for(number) { *id } else { IGNORE_ID });
            counts.add(&self.said(), &truth.collect::<Vec<u8>>());
        }
        MaskResult::of(index, &counts)
    }

    /// The likeliest class of each pixel; of equal ones the lower.
    fn said(&self) -> Vec<u8> {
        let value = |plane: &[f32], at: usize| plane.get(at).copied().unwrap_or(ABSENT);
        let pixel = |at: usize| {
            let classes = self.planes.iter().map(|(class, plane)| (*class, value(plane, at)));
            classes.reduce(|best, next| if next.1 > best.1 { next } else { best }).map_or(IGNORE_ID, |best| best.0)
        };
        (0..self.asked.size[0] * self.asked.size[1]).map(pixel).collect()
    }

    /// What the window shows.
    fn answer(&self, network: &Network, row: usize) -> HeadPrediction {
        let batch = self.asked.batch;
        let pixels = self.asked.size[0] * self.asked.size[1];
        let last = self.planes.keys().next_back().copied().or(self.background).unwrap_or(0);
        let absent = vec![ABSENT; pixels];
        let numbers: Vec<f32> =
            (0..=last).flat_map(|class| self.planes.get(&class).unwrap_or(&absent).iter().copied()).collect();
        let placement = batch.placements.get(row).copied().unwrap_or(crate::data::Placement::IDENTITY);
        let logits = Logits { numbers: &numbers, size: self.asked.size, placement };
        let size_px = batch.images_px.get(row).copied().unwrap_or_default();
        let mask = Mask::of_logits(logits, size_px, Arc::clone(&self.classes));
        HeadPrediction {
            head: network.graph().heads.first().map(|head| head.name.clone()).unwrap_or_default(),
            kind: HeadKind::PixelClassify { classes: self.classes.len() },
            answer: Answer::Mask(Arc::new(mask)),
        }
    }
}
