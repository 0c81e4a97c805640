//! From pictures to predictions in pixels of the picture.

use super::detection::{self, Candidates};
use super::folder::RunFile;
use super::prediction::{Answer, Boxes, Choice, ClassScore, HeadPrediction, Prediction};
use super::segmentation::{Logits, Mask, Parts, fitted, in_tiles};
use crate::data::{DataError, ImageSource, LabelColumn, Placement, Rgb8, image, transform};
use crate::graph::{Detector, Graph, Head, HeadKind, Preprocess, Tells};
use crate::models::{Mode, Network};
use crate::nn::{Ctx, Pictures, RunError, Value, read};
use burn::tensor::{Tensor, TensorData};
use std::sync::Arc;

/// What `network` (in inference form) says of one picture; `columns` name the classes of its label heads in turn. A picture that cannot be read is said in the prediction.
///
/// # Errors
/// When the device fails.
pub fn predict(
    network: &Network,
    source: &ImageSource,
    rule: &Preprocess,
    columns: &[LabelColumn],
) -> Result<Prediction, RunError> {
    match image::load(source) {
        Ok(loaded) => of_picture(network, source, &loaded, rule, columns),
        Err(error) => Ok(unreadable(source, &error)),
    }
}

fn unreadable(source: &ImageSource, error: &DataError) -> Prediction {
    Prediction { image: source.name(), size_px: [0, 0], heads: Vec::new(), error: Some(error.to_string()) }
}

/// The same with a run's preprocessing and classes; where the model tells a class for each pixel, a picture is looked at in
/// parts as `parts` says. `go_on` is told how many of how many parts are done; none when it broke off.
///
/// # Errors
/// When the device fails.
pub fn predict_in_parts(
    network: &Network,
    source: &ImageSource,
    run: &RunFile,
    parts: Parts,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Option<Prediction>, RunError> {
    let loaded = match image::load(source) {
        Ok(loaded) => loaded,
        Err(error) => return Ok(Some(unreadable(source, &error))),
    };
    let (rule, size_px) = (&run.preprocess, [loaded.width, loaded.height]);
    let [height, width] = rule.size;
    let part_px = parts.part_px(size_px, run.picture_px, [width, height]);
    let graph = network.graph();
    if let ([head @ Head { kind: HeadKind::PixelClassify { .. }, .. }], Some(part_px)) =
        (graph.heads.as_slice(), part_px)
    {
        let classes = Arc::new(run.classes.clone());
        let Some(mask) = in_tiles(network, &loaded, rule, part_px, &classes, go_on)? else { return Ok(None) };
        let answer = Answer::Mask(Arc::new(mask));
        let heads = vec![HeadPrediction { head: head.name.clone(), kind: head.kind.clone(), answer }];
        return Ok(Some(Prediction { image: source.name(), size_px, heads, error: None }));
    }
    of_picture(network, source, &loaded, rule, &run.columns()).map(Some)
}

/// What `network` says of a picture as a whole.
fn of_picture(
    network: &Network,
    source: &ImageSource,
    loaded: &Rgb8,
    rule: &Preprocess,
    columns: &[LabelColumn],
) -> Result<Prediction, RunError> {
    let (input, placement) = transform::preprocess(loaded, rule);
    let [height, width] = rule.size.map(|n| n as usize);
    let mut pixels = vec![0.0; 3 * height * width];
    transform::normalize(&input, rule, &mut pixels);
    let size_px = [loaded.width, loaded.height];
    transform::clear_padding(rule, &placement, size_px, &mut pixels);
    let images = Tensor::from_data(TensorData::new(pixels, [1, 3, height, width]), network.device());
    let content = detection::content(&placement, size_px, [width, height]);
    let mut ctx = Ctx { pictures: Pictures { sizes: vec![content], ..Pictures::default() }, ..Ctx::default() };
    let outputs = network.forward(images, Mode::Infer, &mut ctx)?;
    let graph = network.graph();
    if let Some(detector) = &graph.detector {
        let found = detection::in_pictures(detector, &outputs, &ctx, &[(placement, size_px)])?;
        let classes = Arc::new(columns.first().map(|column| column.classes.clone()).unwrap_or_default());
        let heads = found.into_iter().map(|found| boxes(graph, detector, found, &classes)).collect();
        return Ok(Prediction { image: source.name(), size_px, heads, error: None });
    }
    let heads = graph.heads.iter().zip(&outputs).enumerate();
    let heads = heads
        .map(|(at, (head, output))| {
            let column = columns.get(graph.label_column(at).unwrap_or_default());
            let classes = column.map_or(&[][..], |column| column.classes.as_slice());
            let output = at_input(output, [height, width]);
            decode(head, &host(&output)?, &output, 0, classes, size_px, &placement)
        })
        .collect::<Result<_, RunError>>()?;
    Ok(Prediction { image: source.name(), size_px, heads, error: None })
}

/// Candidates that are kept of each picture for the sliders of a preview.
const KEPT: usize = 1000;

/// All heads of a detector give one answer together.
pub fn boxes(graph: &Graph, detector: &Detector, mut found: Candidates, classes: &Arc<Vec<String>>) -> HeadPrediction {
    found.truncate(KEPT);
    let own = Choice { confidence: detector.confidence(), overlap: detector.overlap() };
    let first = graph.heads.first();
    let kind = HeadKind::Detect { classes: detector.classes(), tells: Tells::Class };
    HeadPrediction {
        head: first.map_or_else(String::new, |head| head.name.clone()),
        kind: first.map_or(kind, |head| head.kind.clone()),
        answer: Answer::Boxes(Arc::new(Boxes { candidates: found, classes: Arc::clone(classes), own })),
    }
}

/// A map at the size of the input, everything else as it is.
pub(super) fn at_input(output: &Value, size: [usize; 2]) -> Value {
    match output {
        Value::Map(logits) => Value::Map(fitted(logits.clone(), size)),
        other => other.clone(),
    }
}

/// The numbers of a raw output.
///
/// # Errors
/// When the device fails or the output has no single tensor.
pub fn host(output: &Value) -> Result<Vec<f32>, RunError> {
    match output {
        Value::Map(x) => read(x.clone().inner()),
        Value::Vector(x) => read(x.clone().inner()),
        Value::Tokens(x) => read(x.clone().inner()),
        Value::Pyramid(_) | Value::Regions(_) | Value::Prompt(_) | Value::Asking(_) => {
            Err(RunError::Kind { wanted: "one tensor", got: "another number" })
        }
    }
}

/// Decodes picture `at` of a head's raw output (already on the host; a map at the size of the input) into an answer.
///
/// # Errors
/// When the output has another kind than the head says.
pub fn decode(
    head: &Head,
    numbers: &[f32],
    output: &Value,
    at: usize,
    classes: &[String],
    size_px: [u32; 2],
    placement: &Placement,
) -> Result<HeadPrediction, RunError> {
    let answer = match output {
        Value::Vector(x) => {
            let [_, count] = x.dims();
            let logits = numbers.get(at * count..(at + 1) * count).unwrap_or_default();
            Answer::Classes(scores(&head.kind, logits, classes))
        }
        Value::Map(x) => {
            let [_, count, height, width] = x.dims();
            let length = count * height * width;
            let numbers = numbers.get(at * length..(at + 1) * length).unwrap_or_default();
            let logits = Logits { numbers, size: [height, width], placement: *placement };
            Answer::Mask(Arc::new(Mask::of_logits(logits, size_px, Arc::new(classes.to_vec()))))
        }
        Value::Tokens(_) | Value::Pyramid(_) | Value::Regions(_) | Value::Prompt(_) | Value::Asking(_) => {
            return Err(RunError::Kind { wanted: "a decodable output", got: "another" });
        }
    };
    Ok(HeadPrediction { head: head.name.clone(), kind: head.kind.clone(), answer })
}

/// Scores of all classes, best first: softmax, or each class's own probability where a picture can have several.
fn scores(kind: &HeadKind, logits: &[f32], classes: &[String]) -> Vec<ClassScore> {
    let scores: Vec<f32> = if matches!(kind, HeadKind::MultiLabel { .. }) {
        logits.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect()
    } else {
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exps: Vec<f32> = logits.iter().map(|x| (x - top).exp()).collect();
        let sum: f32 = exps.iter().sum();
        exps.iter().map(|e| e / sum).collect()
    };
    let name = |i: usize| classes.get(i).cloned().unwrap_or_else(|| format!("class {i}"));
    let mut all: Vec<ClassScore> = scores
        .iter()
        .enumerate()
        .map(|(i, &score)| ClassScore { name: name(i), class: u32::try_from(i).unwrap_or(u32::MAX), score })
        .collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all
}
