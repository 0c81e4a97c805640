//! From pictures to predictions in pixels of the picture.

use super::detection::{self, Candidates};
use super::metrics::argmax;
use super::prediction::{Answer, Boxes, Choice, ClassScore, HeadPrediction, Prediction};
use crate::data::{ImageSource, LabelColumn, Placement, image, transform};
use crate::graph::{Detector, Graph, Head, HeadKind, Preprocess, Tells};
use crate::models::{Mode, Network};
use crate::nn::{Ctx, Pictures, RunError, Value};
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
    let loaded = match image::load(source) {
        Ok(loaded) => loaded,
        Err(error) => {
            let error = Some(error.to_string());
            return Ok(Prediction { image: source.name(), size_px: [0, 0], heads: Vec::new(), error });
        }
    };
    let (input, placement) = transform::preprocess(&loaded, rule);
    let [height, width] = rule.size.map(|n| n as usize);
    let mut pixels = vec![0.0; 3 * height * width];
    transform::normalize(&input, rule, &mut pixels);
    let images = Tensor::from_data(TensorData::new(pixels, [1, 3, height, width]), network.device());
    let size_px = [loaded.width, loaded.height];
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
            decode(head, &host(output)?, output, 0, classes, size_px, &placement)
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

/// The numbers of a raw output.
///
/// # Errors
/// When the device fails or the output has no single tensor.
pub fn host(output: &Value) -> Result<Vec<f32>, RunError> {
    let data = match output {
        Value::Map(x) => x.clone().inner().try_into_data(),
        Value::Vector(x) => x.clone().inner().try_into_data(),
        Value::Tokens(x) => x.clone().inner().try_into_data(),
        Value::Pyramid(_) | Value::Regions(_) => {
            return Err(RunError::Kind { wanted: "one tensor", got: "another number" });
        }
    };
    let data = data.map_err(|error| RunError::Device(format!("{error:?}")))?;
    data.try_to_vec::<f32>().map_err(|error| RunError::Device(format!("{error:?}")))
}

/// Decodes picture `at` of a head's raw output (already on the host) into an answer.
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
            let plane = height * width;
            let own = numbers.get(at * count * plane..(at + 1) * count * plane).unwrap_or_default();
            let cell = |y: usize, x: usize| {
                argmax((0..count).map(|c| own.get(c * plane + y * width + x).copied().unwrap_or(0.0)))
            };
            let mut ids = Vec::with_capacity((size_px[0] * size_px[1]) as usize);
            for y in 0..size_px[1] {
                for x in 0..size_px[0] {
                    let (u, v) = placement.input_from_image(x as f32 + 0.5, y as f32 + 0.5);
                    let inside = u >= 0.0 && v >= 0.0 && (u as usize) < width && (v as usize) < height;
                    ids.push(if inside { cell(v as usize, u as usize).min(254) as u8 } else { 255 });
                }
            }
            Answer::Mask { width: size_px[0], height: size_px[1], ids: Arc::new(ids) }
        }
        Value::Tokens(_) | Value::Pyramid(_) | Value::Regions(_) => {
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
