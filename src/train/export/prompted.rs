//! The two ONNX files of a network that takes prompts, both run by another engine on a picture and on prompts of each kind before
//! they appear under their names.

use super::check::{failed, largest};
use super::{ExportCheck, Exported, HeadCheck, done, notes, picture};
use crate::data::{image, transform};
use crate::graph::{HeadKind, PromptEnds};
use crate::models::{HostTensor, Mode, Network};
use crate::nn::ask::{Marks, Point, Prompt};
use crate::nn::{Ctx, RunError, Value};
use crate::train::folder::RunFile;
use crate::train::predict::host;
use crate::train::prediction::{Answer, HeadPrediction};
use crate::weights::{self, BoxOutput, Draft, ENGINE, OnnxInput, OnnxOutput, PromptFile};
use burn::tensor::{Tensor, TensorData};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Outputs of the decoder that are compared. `masks` is the second at the picture's own size, which is not known before the file is
/// run: that part of the file the engine cannot prepare.
const COMPARED: [&str; 2] = ["low_res_masks", "iou_predictions"];

/// `x.onnx` as `x.encoder.onnx` and `x.decoder.onnx`.
fn file_of(to: &Path, which: PromptFile) -> PathBuf {
    to.with_extension(format!("{}.onnx", which.name()))
}

pub(super) fn export(
    from: &Path,
    to: &Path,
    network: &Network,
    run: &RunFile,
    tensors: &[HostTensor],
    progress: &mut dyn FnMut(&str),
) -> Result<Exported, String> {
    let cannot = |cause: String| format!("{} cannot be written: {cause}.", to.display());
    let notes = notes(network, run, &BoxOutput::default()).map_err(|error| cannot(error.to_string()))?;
    let mut drafts = Vec::with_capacity(2);
    for which in PromptFile::ALL {
        let file = file_of(to, which);
        progress(&format!("writing {}", file.display()));
        let draft = Draft::new(&file).map_err(|error| error.to_string())?;
        weights::write_onnx_prompted(&draft, network.graph(), network.facts(), tensors, which, &notes)
            .map_err(|error| error.to_string())?;
        drafts.push((file, draft));
    }
    let [(encoder, first), (decoder, second)] =
        <[_; 2]>::try_from(drafts).map_err(|_| cannot("a file is missing".to_owned()))?;
    progress(&format!("comparing with {ENGINE}"));
    let check = check(network, run, [first.path(), second.path()])?;
    let wrong = check.heads.iter().find(|head| !head.passes());
    let problem = wrong.map(|wrong| {
        let [encoder, decoder] = [&encoder, &decoder].map(|file| rejected(file));
        format!(
            "{ENGINE} gives other answers than the network: {} differs by up to {:.2e}, and {:.1e} would be rounding; the \
             files were kept as {} and {}.",
            wrong.head,
            wrong.max_abs_diff,
            wrong.tolerance(),
            encoder.display(),
            decoder.display()
        )
    });
    let mut files = Vec::with_capacity(2);
    for (file, draft) in [(encoder, first), (decoder, second)] {
        let file = if problem.is_some() { rejected(&file) } else { file };
        draft.publish_as(&file).map_err(|error| error.to_string())?;
        files.push(file);
    }
    let [encoder, decoder] = <[_; 2]>::try_from(files).map_err(|_| cannot("a file is missing".to_owned()))?;
    let bytes = std::fs::metadata(&decoder).map_or(0, |file| file.len());
    let exported = done(from, to, &encoder, Some(check), problem);
    Ok(Exported { bytes: exported.bytes + bytes, beside: Some(decoder), ..exported })
}

fn rejected(file: &Path) -> PathBuf {
    file.with_extension("rejected.onnx")
}

/// A prompt as both take it.
struct Case {
    marks: Marks,
    masks: Option<Tensor<4>>,
}

/// Both files beside the network: the features of a picture, then answers to a click, to a box, and to a click that corrects the
/// answer before.
fn check(network: &Network, run: &RunFile, [encoder, decoder]: [&Path; 2]) -> Result<ExportCheck, String> {
    let ends = PromptEnds::of(network.graph()).ok_or_else(|| format!("{} takes no prompts.", network.graph().name))?;
    let rule = &run.preprocess;
    let [height, width] = rule.size.map(|n| n as usize);
    let source = picture(run)?;
    let loaded = image::load(&source).map_err(|error| error.to_string())?;
    let (input, placement) = transform::preprocess(&loaded, rule);
    let shape = [1, 3, height, width];
    let mut pixels = vec![0.0; shape.iter().product()];
    transform::normalize(&input, rule, &mut pixels);
    transform::clear_padding(rule, &placement, [loaded.width, loaded.height], &mut pixels);
    let images = Value::Map(Tensor::from_data(TensorData::new(pixels.clone(), shape), network.device()));
    let ours = network.run(&[images], &BTreeMap::new(), &[ends.features], Mode::Infer, &mut Ctx::default());
    let ours = first(ours).map_err(|error| failed(&error))?;
    let mut seconds = 0.0;
    let mut timed = |path: &Path, inputs: &[OnnxInput], outputs: &[&str]| {
        let start = Instant::now();
        let found = weights::run_onnx_named(path, inputs, outputs);
        seconds += start.elapsed().as_secs_f64();
        found
    };
    let inputs = [OnnxInput { name: "images", shape: shape.to_vec(), values: pixels }];
    let theirs = timed(encoder, &inputs, &["image_embeddings"])?;
    let mut heads = theirs.iter().map(|theirs| compare(network, &ours, theirs)).collect::<Result<Vec<_>, _>>()?;

    let [w, h] = [width as f32, height as f32];
    let point = |x: f32, y: f32, positive: bool| Point { xy: [(x * w).floor(), (y * h).floor()], positive };
    let click = Marks { points: vec![point(0.5, 0.4, true)], xyxy: None };
    let boxed = Marks { points: Vec::new(), xyxy: Some([0.2, 0.2, 0.7, 0.6].map(|part| (part * w.min(h)).floor())) };
    let clicks = Marks { points: vec![point(0.5, 0.4, true), point(0.3, 0.6, false)], xyxy: None };
    let mut previous = None;
    for marks in [click, boxed, clicks] {
        let corrects = marks.points.len() > 1;
        let case = Case { marks, masks: previous.clone().filter(|_| corrects) };
        let (low, quality) = ask(network, ends, &ours, &case).map_err(|error| failed(&error))?;
        let inputs =
            inputs_of(&ours, &case, low.dims(), [loaded.width, loaded.height]).map_err(|error| failed(&error))?;
        let theirs = timed(decoder, &inputs, &COMPARED)?;
        let outputs = [Value::Map(low.clone()), Value::Vector(quality)];
        for (ours, theirs) in outputs.iter().zip(&theirs) {
            heads.push(compare(network, ours, theirs)?);
        }
        previous = Some(low.narrow(1, 1, 1));
    }
    // Of each output the prompt that differs most.
    let mut worst: Vec<HeadCheck> = Vec::new();
    for head in heads {
        let part = |head: &HeadCheck| head.max_abs_diff / head.tolerance();
        match worst.iter_mut().find(|known| known.head == head.head) {
            Some(known) if part(&head) > part(known) || !head.same_top => *known = head,
            Some(_) => {}
            None => worst.push(head),
        }
    }
    Ok(ExportCheck { engine: ENGINE, picture: source.name(), batch: 1, heads: worst, seconds })
}

fn first(found: Result<Vec<Value>, RunError>) -> Result<Value, RunError> {
    found?.into_iter().next().ok_or(RunError::Kind { wanted: "features", got: "none" })
}

/// Masks and quality, as the network gives them.
fn ask(network: &Network, ends: PromptEnds, features: &Value, case: &Case) -> Result<(Tensor<4>, Tensor<2>), RunError> {
    let given = BTreeMap::from([(ends.features, features.clone())]);
    let prompt = Prompt { marks: vec![case.marks.clone()], masks: case.masks.clone() };
    let prompt = Value::Prompt(Arc::new(prompt));
    let wanted = [ends.masks, ends.quality];
    let found = network.run(&[prompt.clone(), prompt], &given, &wanted, Mode::Infer, &mut Ctx::default())?;
    match found.as_slice() {
        [masks, quality] => Ok((masks.map()?, quality.vector()?)),
        _ => Err(RunError::Kind { wanted: "masks and their quality", got: "another number" }),
    }
}

/// What the decoder's file takes for a prompt.
fn inputs_of(
    features: &Value,
    case: &Case,
    [_, _, tall, wide]: [usize; 4],
    [width, height]: [u32; 2],
) -> Result<Vec<OnnxInput>, RunError> {
    let points = case.marks.points.iter().map(|point| (point.xy, if point.positive { 1.0 } else { 0.0 }));
    let rest = match case.marks.xyxy {
        Some([left, top, right, bottom]) => vec![([left, top], 2.0), ([right, bottom], 3.0)],
        None => vec![([0.0; 2], -1.0)],
    };
    let (places, labels): (Vec<[f32; 2]>, Vec<f32>) = points.chain(rest).unzip();
    let input = |name, shape: &[usize], values| OnnxInput { name, shape: shape.to_vec(), values };
    let mask = match &case.masks {
        Some(masks) => host(&Value::Map(masks.clone()))?,
        None => vec![0.0; tall * wide],
    };
    let axes = features.dims().concat();
    Ok(vec![
        input("image_embeddings", &axes, host(features)?),
        input("point_coords", &[1, labels.len(), 2], places.concat()),
        input("point_labels", &[1, labels.len()], labels),
        input("mask_input", &[1, 1, tall, wide], mask),
        input("has_mask_input", &[1], vec![if case.masks.is_some() { 1.0 } else { 0.0 }]),
        input("orig_im_size", &[2], vec![height as f32, width as f32]),
    ])
}

/// One output in both engines; masks are the same where each pixel is.
fn compare(network: &Network, ours: &Value, theirs: &OnnxOutput) -> Result<HeadCheck, String> {
    let numbers = host(ours).map_err(|error| failed(&error))?;
    if ours.dims() != std::slice::from_ref(&theirs.shape) || numbers.len() != theirs.values.len() {
        return Err(format!("The exported file's output {} has the shape {:?}.", theirs.name, theirs.shape));
    }
    let max_abs_diff = largest(numbers.iter().zip(&theirs.values).map(|(a, b)| a - b));
    // Within rounding of zero either is right.
    let far = |value: f32| value.abs() > max_abs_diff;
    let same = |(a, b): (&f32, &f32)| (*a > 0.0) == (*b > 0.0) || !far(*a);
    let same_top = theirs.name != COMPARED[0] || numbers.iter().zip(&theirs.values).all(same);
    let kind = network.graph().heads.first().map_or(HeadKind::PixelClassify { classes: 1 }, |head| head.kind.clone());
    let answer =
        || HeadPrediction { head: theirs.name.clone(), kind: kind.clone(), answer: Answer::Classes(Vec::new()) };
    let (program, file) = (answer(), answer());
    let max_abs = largest(numbers.iter().copied());
    Ok(HeadCheck { head: theirs.name.clone(), max_abs_diff, max_abs, same_top, program, file })
}
