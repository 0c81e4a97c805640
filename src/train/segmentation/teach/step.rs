//! A training step: the picture's features once, then all prompts from there. Each pass of a few prompts is taken back by itself,
//! so that a step needs the memory of one pass, however many objects and clicks there are.

use super::Prompting;
use super::loss::{FOCAL_WEIGHT, Truths, best, picked, rows, told};
use super::objects::{TaughtObject, objects_of};
use super::simulate::{correction, first_prompt};
use crate::data::VOID;
use crate::data::batch::Batch;
use crate::graph::TensorSpec;
use crate::models::{Mode, Network, SeeTensors};
use crate::nn::ask::{Marks, Prompt};
use crate::nn::resize::{Corners, bilinear};
use crate::nn::{Ctx, RunError, Value};
use crate::rng::Rng;
use crate::train::features::Given;
use crate::train::losses::{LossOptions, Terms};
use crate::train::predict::host;
use crate::train::segmentation::prompt::Ends;
use burn::module::Param;
use burn::tensor::{Gradients, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Cells of features that are asked about at once: those of 8 prompts about a picture of 1024 pixels.
const CELLS: usize = 8 * 64 * 64;

/// What a step gave.
#[derive(Debug)]
pub struct Lesson {
    /// The losses: the mask's, then the quality's.
    pub terms: Terms,
    /// A number whose gradients are those of the losses; its value means nothing.
    pub total: Tensor<1>,
    /// Time that gradients took.
    pub backward: Duration,
}

/// What is asked of the pictures of a batch at once, and what the answers should be.
pub(super) struct Asked<'a> {
    pub batch: &'a Batch,
    /// The features of all pictures, `[pictures, channels, h, w]`
    pub features: Tensor<4>,
    /// Height and width of the input in pixels.
    pub size: [usize; 2],
}

/// A prompt about an object.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Place of the picture in the batch.
    pub row: usize,
    pub object: TaughtObject,
    pub marks: Marks,
    pub rng: Rng,
}

/// The features of a batch: where everything before them is frozen, one picture after the other, as no more is kept of it.
///
/// # Errors
/// When the device fails.
pub(super) fn features(
    network: &Network,
    ends: Ends,
    (batch, given): (&Batch, &Given),
    mode: Mode,
    ctx: &mut Ctx,
) -> Result<Tensor<4>, RunError> {
    let none = || RunError::Kind { wanted: "features", got: "none" };
    ctx.input = batch.size;
    let mut run = |inputs: &[Value], given: &Given| -> Result<Tensor<4>, RunError> {
        let found = network.run(inputs, given, &[ends.features], mode, ctx)?;
        found.first().ok_or_else(none)?.map()
    };
    // The images, or what is known behind them.
    let images = match &batch.images {
        Some(images) if given.is_empty() => vec![Value::Map(images.clone())],
        _ => Vec::new(),
    };
    let states = network.frontier().states;
    let is_prefix = states.get(ends.features.0).is_some_and(|state| state.in_prefix());
    if mode == Mode::Train && !is_prefix {
        return run(&images, given);
    }
    let each = (0..batch.len()).map(|row| {
        let own: Given = given.iter().map(|(&id, value)| (id, value.row(row))).collect();
        run(&images.iter().map(|images| images.row(row)).collect::<Vec<_>>(), &own)
    });
    Ok(Tensor::cat(each.collect::<Result<_, _>>()?, 0))
}

impl Asked<'_> {
    /// Prompts that fit at once.
    pub fn most(&self) -> usize {
        let [_, _, height, width] = self.features.dims();
        (CELLS / (height * width).max(1)).max(1)
    }

    /// The map of objects of a picture.
    pub fn numbers(&self, row: usize) -> &[u16] {
        self.batch.objects.get(row).and_then(Option::as_deref).unwrap_or_default()
    }

    /// What the answers should be.
    pub fn truths(&self, questions: &[Question]) -> Truths {
        let [height, width] = self.size;
        let mut truth = Vec::with_capacity(questions.len() * height * width);
        let mut counted = Vec::with_capacity(truth.capacity());
        for question in questions {
            let numbers = self.numbers(question.row);
            truth.extend(numbers.iter().map(|number| if *number == question.object.number { 1.0 } else { 0.0 }));
            counted.extend(numbers.iter().map(|number| if *number == VOID { 0.0 } else { 1.0 }));
        }
        Truths::new(truth, counted, self.size, &self.features.device().inner())
    }

    /// Masks `[n, candidates, h, w]` and their predicted quality `[n, candidates]`.
    pub fn ask(
        &self,
        network: &Network,
        ends: Ends,
        questions: &[Question],
        masks: Option<Tensor<4>>,
        mode: Mode,
        ctx: &mut Ctx,
    ) -> Result<(Tensor<4>, Tensor<2>), RunError> {
        let rows: Vec<usize> = questions.iter().map(|question| question.row).collect();
        let features = picked(self.features.clone(), &rows);
        let given = BTreeMap::from([(ends.features, Value::Map(features))]);
        let marks = questions.iter().map(|question| question.marks.clone()).collect();
        let prompt = Value::Prompt(Arc::new(Prompt { marks, masks }));
        // The picture's own place among the inputs is not read: the cut is behind it.
        let inputs = [prompt.clone(), prompt];
        match network.run(&inputs, &given, &[ends.masks, ends.quality], mode, ctx)?.as_slice() {
            [masks, quality] => Ok((masks.map()?, quality.vector()?)),
            _ => Err(RunError::Kind { wanted: "masks and their quality", got: "another number" }),
        }
    }
}

/// Asks for objects of a batch's pictures and learns from the answers; what is asked is drawn from `seed`.
///
/// # Errors
/// When the device fails.
pub fn teach(
    network: &Network,
    ends: Ends,
    seen: (&Batch, &Given),
    options: &LossOptions,
    prompting: &Prompting,
    seed: u64,
    ctx: &mut Ctx,
) -> Result<Lesson, RunError> {
    let (batch, _) = seen;
    let whole = features(network, ends, seen, Mode::Train, ctx)?;
    // The features' gradient is summed over the passes, then taken back through the encoder once.
    let own = if whole.is_tracked() { whole.clone().inner().autodiff().require_grad() } else { whole.clone() };
    let asked = Asked { batch, features: own.clone(), size: batch.size };
    let (boxed, pointed) = questions(&asked, prompting, seed);
    let count = boxed.len() + pointed.len();
    let mut sums = Sums { options, share: 1.0 / (count.max(1) * (prompting.clicks + 1)) as f64, ..Sums::new(options) };
    for kind in [boxed, pointed] {
        for questions in kind.chunks(asked.most()) {
            let mut lesson = Passes { network, ends, asked: &asked, sums: &mut sums, own: &own };
            lesson.run(questions.to_vec(), prompting.clicks, ctx)?;
        }
    }
    let total = sums.surrogate(network, &whole);
    let total = total.ok_or_else(|| RunError::Description("nothing of the network trains".to_owned()))?;
    let Sums { terms, backward, .. } = sums;
    let zero = || Tensor::<1>::zeros([1], network.device());
    let [focal, dice, quality] = terms.map(|term| term.unwrap_or_else(zero));
    let names = network.graph().heads.iter().map(|head| head.name.clone()).collect::<Vec<_>>();
    let mask = names.first().cloned().unwrap_or_default();
    let parts = vec![(format!("{mask}/focal"), focal.clone()), (format!("{mask}/dice"), dice.clone())];
    let terms = Terms { heads: vec![focal * FOCAL_WEIGHT + dice, quality], parts };
    Ok(Lesson { terms, total, backward })
}

/// What is asked first, boxes and points apart: each kind is asked together.
fn questions(asked: &Asked<'_>, prompting: &Prompting, seed: u64) -> (Vec<Question>, Vec<Question>) {
    let mut all = Vec::new();
    for (row, &index) in asked.batch.indices.iter().enumerate() {
        let numbers = asked.numbers(row);
        let mut objects = objects_of(numbers, asked.size[1]);
        Rng::from_words(seed, &[index as u64]).shuffle(&mut objects);
        for object in objects.into_iter().take(prompting.objects) {
            let mut rng = Rng::from_words(seed, &[index as u64, u64::from(object.number)]);
            let marks = first_prompt(&object, numbers, asked.size, prompting.boxes, &mut rng);
            all.push(Question { row, object, marks, rng });
        }
    }
    all.into_iter().partition(|question| question.marks.xyxy.is_some())
}

/// Sums over the passes of a step.
struct Sums<'a> {
    options: &'a LossOptions,
    /// Of one prompt in one pass.
    share: f64,
    /// Focal, Dice and quality.
    terms: [Option<Tensor<1>>; 3],
    /// By tensor name, flat.
    grads: HashMap<String, Tensor<1>>,
    /// Of the features.
    features: Option<Tensor<4>>,
    backward: Duration,
}

impl<'a> Sums<'a> {
    fn new(options: &'a LossOptions) -> Self {
        let (terms, grads) = (Default::default(), HashMap::new());
        Self { options, share: 1.0, terms, grads, features: None, backward: Duration::ZERO }
    }

    /// Takes a pass back: `terms` are its focal, Dice and quality losses, `own` the features that it started from.
    fn take(&mut self, network: &Network, own: &Tensor<4>, terms: [Tensor<1>; 3]) {
        let names: Vec<&str> = network.graph().heads.iter().map(|head| head.name.as_str()).collect();
        let weight = |at: usize| names.get(at).map_or(1.0, |name| self.options.weight(name));
        let [focal, dice, quality] = terms.map(|term| term * self.share);
        let mask = (focal.clone() * FOCAL_WEIGHT + dice.clone()) * weight(0);
        let total = mask + quality.clone() * weight(1);
        for (sum, term) in self.terms.iter_mut().zip([focal, dice, quality]) {
            let term = term.inner();
            *sum = Some(sum.take().map_or(term.clone(), |sum| sum + term));
        }
        if !total.is_tracked() {
            return;
        }
        let start = Instant::now();
        let grads = total.backward();
        network.see_tensors(&mut Take { grads: &grads, sums: &mut self.grads });
        if let Some(grad) = own.grad(&grads) {
            self.features = Some(self.features.take().map_or(grad.clone(), |sum| sum + grad));
        }
        self.backward += start.elapsed();
    }

    /// A number that has the summed gradients: that of each weight times itself; zero times a weight where no object was asked for.
    fn surrogate(&self, network: &Network, whole: &Tensor<4>) -> Option<Tensor<1>> {
        let mut put = Put { grads: &self.grads, total: None, idle: None };
        network.see_tensors(&mut put);
        let through = self.features.clone().map(|grad| (whole.clone() * grad).sum());
        match (put.total, through) {
            (Some(a), Some(b)) => Some(a + b),
            (one, other) => one.or(other).or(put.idle),
        }
    }
}

/// Adds gradients up.
struct Take<'a> {
    grads: &'a Gradients,
    sums: &'a mut HashMap<String, Tensor<1>>,
}

impl SeeTensors for Take<'_> {
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>) {
        let Some(grad) = param.val().grad(self.grads) else { return };
        let grad = grad.reshape([spec.numel() as usize]);
        let sum = self.sums.remove(&spec.name).map_or(grad.clone(), |sum| sum + grad);
        self.sums.insert(spec.name.clone(), sum);
    }
}

/// Multiplies weights with their gradients.
struct Put<'a> {
    grads: &'a HashMap<String, Tensor<1>>,
    total: Option<Tensor<1>>,
    idle: Option<Tensor<1>>,
}

impl SeeTensors for Put<'_> {
    fn see<const D: usize>(&mut self, spec: &TensorSpec, param: &Param<Tensor<D>>) {
        let flat = || param.val().reshape([spec.numel() as usize]);
        if let Some(grad) = self.grads.get(&spec.name) {
            let product = (flat() * grad.clone()).sum();
            self.total = Some(self.total.take().map_or(product.clone(), |total| total + product));
        } else if self.idle.is_none() && param.is_require_grad() {
            self.idle = Some(flat().sum() * 0.0);
        }
    }
}

/// The passes of a few prompts of one kind.
struct Passes<'a, 'b> {
    network: &'a Network,
    ends: Ends,
    asked: &'a Asked<'a>,
    sums: &'a mut Sums<'b>,
    own: &'a Tensor<4>,
}

impl Passes<'_, '_> {
    fn run(&mut self, mut questions: Vec<Question>, clicks: usize, ctx: &mut Ctx) -> Result<(), RunError> {
        let Self { network, ends, asked, .. } = *self;
        let truths = asked.truths(&questions);
        let mut previous = None;
        for pass in 0..=clicks {
            let (low, quality) = asked.ask(network, ends, &questions, previous.take(), Mode::Train, ctx)?;
            self.sums.take(network, self.own, told(&low, &quality, &truths, pass > 0)?);
            if pass == clicks {
                break;
            }
            let [n, candidates, height, width] = low.dims();
            let quality = rows(quality.inner())?;
            let better = |row: usize, at: usize| quality.get(row).and_then(|own| own.get(at)).copied().unwrap_or(0.0);
            let ids = best(n, |row, at| -f64::from(better(row, at)));
            let ids: Vec<usize> = ids.into_iter().enumerate().map(|(row, at)| row * candidates + at).collect();
            let masks = picked(low.inner().reshape([n * candidates, 1, height, width]), &ids);
            let logits = host(&Value::Map(bilinear(masks.clone(), asked.size, Corners::Edges)))?;
            let pixels = (asked.size[0] * asked.size[1]).max(1);
            for (question, logits) in questions.iter_mut().zip(logits.chunks(pixels)) {
                let numbers = asked.numbers(question.row);
                let click = correction(logits, &question.object, numbers, asked.size[1], &mut question.rng);
                question.marks.points.extend(click);
            }
            previous = Some(masks);
        }
        Ok(())
    }
}
