//! One picture and its mirror image through the network and through the written file.

use super::super::folder::RunFile;
use super::super::predict::{decode, host};
use super::super::prediction::{Answer, HeadPrediction};
use super::cells::{self, Input};
use super::{ExportCheck, HeadCheck, class_names};
use crate::data::{ImageSource, Rgb8, image, transform};
use crate::models::{Mode, Network};
use crate::nn::{Ctx, Value};
use crate::weights::{self, BoxOutput, ENGINE, OnnxOutput};
use burn::tensor::{Tensor, TensorData};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// Runs the file at `path` and the network on one picture and its mirror image.
pub(super) fn check(
    network: &Network,
    run: &RunFile,
    boxes: &BoxOutput,
    source: &ImageSource,
    path: &Path,
) -> Result<ExportCheck, String> {
    let rule = &run.preprocess;
    let [height, width] = rule.size.map(|n| n as usize);
    let loaded = image::load(source).map_err(|error| error.to_string())?;
    let (input, placement) = transform::preprocess(&loaded, rule);
    let shape = [2, 3, height, width];
    let mut pixels = vec![0.0; shape.iter().product()];
    let (first, second) = pixels.split_at_mut(3 * height * width);
    transform::normalize(&input, rule, first);
    transform::normalize(&mirrored(&input), rule, second);
    let images = Tensor::from_data(TensorData::new(pixels.clone(), shape), network.device());
    let ours = network.forward(images, Mode::Infer, &mut Ctx::default()).map_err(|error| failed(&error))?;
    let start = Instant::now();
    let theirs = weights::run_onnx(path, shape, &pixels)?;
    let seconds = start.elapsed().as_secs_f64();
    let input = Input { network, run, size_px: [loaded.width, loaded.height], placement };
    let heads = match &network.graph().detector {
        Some(detector) => cells::compare(&input, detector, boxes, &ours, &theirs)?,
        None => compare(&input, &ours, &theirs)?,
    };
    Ok(ExportCheck { engine: ENGINE, picture: source.name(), batch: shape[0], heads, seconds })
}

pub(super) fn failed(error: &crate::nn::RunError) -> String {
    format!("The exported file cannot be compared: {error}.")
}

/// Head by head.
fn compare(input: &Input<'_>, ours: &[Value], theirs: &[OnnxOutput]) -> Result<Vec<HeadCheck>, String> {
    let mut heads = Vec::new();
    for (i, ((head, ours), theirs)) in input.network.graph().heads.iter().zip(ours).zip(theirs).enumerate() {
        let names = class_names(input.network, input.run, i);
        let numbers = host(ours).map_err(|error| failed(&error))?;
        if ours.dims() != std::slice::from_ref(&theirs.shape) || numbers.len() != theirs.values.len() {
            return Err(format!("The exported file's output {} has the shape {:?}.", theirs.name, theirs.shape));
        }
        let answer = |numbers: &[f32]| {
            decode(head, numbers, ours, 0, &names, input.size_px, &input.placement).map_err(|error| failed(&error))
        };
        let (program, file) = (answer(&numbers)?, answer(&theirs.values)?);
        heads.push(HeadCheck {
            head: head.name.clone(),
            max_abs_diff: largest(numbers.iter().zip(&theirs.values).map(|(a, b)| a - b)),
            max_abs: largest(numbers.iter().copied()),
            same_top: same_top(&program, &file),
            program,
            file,
        });
    }
    Ok(heads)
}

/// The greatest absolute value; NaN if there is one.
pub(super) fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.map(f32::abs).fold(0.0, |max, x| if x.is_nan() || x > max { x } else { max })
}

/// Whether both decide for the same classes, or for the same class in each pixel.
fn same_top(a: &HeadPrediction, b: &HeadPrediction) -> bool {
    let decided = |head: &HeadPrediction| head.decided().iter().map(|score| score.class).collect::<BTreeSet<u32>>();
    match (&a.answer, &b.answer) {
        (Answer::Mask(a), Answer::Mask(b)) => a.without_scores() == b.without_scores(),
        _ => decided(a) == decided(b),
    }
}

fn mirrored(picture: &Rgb8) -> Rgb8 {
    let row = picture.width as usize * 3;
    let turn = |row: &[u8]| row.chunks_exact(3).rev().flatten().copied().collect::<Vec<u8>>();
    Rgb8 { pixels: picture.pixels.chunks_exact(row.max(1)).flat_map(turn).collect(), ..*picture }
}
