//! A detector's network against the file that was written from it: cell by cell, or object by object.

use super::super::detection::{self, Candidates, filter};
use super::super::folder::RunFile;
use super::super::predict::boxes as answer;
use super::super::prediction::{Answer, Boxes, HeadPrediction};
use super::check::{failed, largest};
use super::{HeadCheck, class_names};
use crate::data::Placement;
use crate::graph::Detector;
use crate::models::Network;
use crate::nn::Value;
use crate::nn::nms::iou;
use crate::weights::{BoxForm, BoxOutput, MOST_OF_A_CLASS, OnnxOutput};
use burn::tensor::{Tensor, TensorData};
use std::sync::Arc;

/// What both were asked.
pub(super) struct Input<'a> {
    pub network: &'a Network,
    pub run: &'a RunFile,
    /// Width and height of the picture.
    pub size_px: [u32; 2],
    /// Where it lies in the input.
    pub placement: Placement,
}

/// The overlap from which two boxes are one.
const SAME: f32 = 0.99;

/// Compares what the network and the file say of a batch; the picture itself is the first of it.
///
/// # Errors
/// A sentence, when the file's outputs have other shapes.
pub(super) fn compare(
    input: &Input<'_>,
    detector: &Detector,
    asked: &BoxOutput,
    ours: &[Value],
    theirs: &[OnnxOutput],
) -> Result<Vec<HeadCheck>, String> {
    match asked.form {
        BoxForm::Raw | BoxForm::Decoded => by_cell(input, detector, asked.form, ours, theirs),
        BoxForm::Objects => by_object(input, detector, asked, ours, theirs),
    }
}

fn by_cell(
    input: &Input<'_>,
    detector: &Detector,
    form: BoxForm,
    ours: &[Value],
    theirs: &[OnnxOutput],
) -> Result<Vec<HeadCheck>, String> {
    let (raw, numbers) = match (form, detector) {
        (BoxForm::Raw, Detector::TaskAligned(method)) => (detection::raw(detector, ours), 4 * method.bins),
        (BoxForm::Raw, _) => (detection::raw(detector, ours), 4),
        _ => (detection::decoded(detector, ours), 4),
    };
    let ours = raw.map_err(|error| failed(&error))?.inner();
    let output = find(theirs, "output")?;
    if output.shape != ours.dims() {
        return Err(format!("The exported file's output {} has the shape {:?}.", output.name, output.shape));
    }
    let file = Tensor::<3>::from_data(TensorData::new(output.values.clone(), ours.dims()), &ours.device());
    let said = |x: &Tensor<3>| -> Result<HeadPrediction, String> {
        let decoded = match form {
            BoxForm::Raw => {
                let [height, width] = input.run.preprocess.size.map(|n| n as usize);
                detection::decode(detector, x, [height, width]).map_err(|error| failed(&error))?
            }
            _ => x.clone(),
        };
        let found = detection::candidates_in(detector, &decoded).map_err(|error| failed(&error))?.into_iter().next();
        Ok(told(input, detector, found.unwrap_or_default()))
    };
    let (program, written) = (said(&ours)?, said(&file)?);
    let same_top = same(&program, &written);
    let part = |head: &str, start: usize, end: usize| -> Result<HeadCheck, String> {
        let values = |x: &Tensor<3>| {
            let data = x.clone().narrow(2, start, end - start).into_data();
            data.try_to_vec::<f32>().map_err(|error| format!("The exported file cannot be compared: {error:?}."))
        };
        let (ours, theirs) = (values(&ours)?, values(&file)?);
        Ok(HeadCheck {
            head: head.to_owned(),
            max_abs_diff: largest(ours.iter().zip(&theirs).map(|(a, b)| a - b)),
            max_abs: largest(ours.iter().copied()),
            same_top,
            program: program.clone(),
            file: written.clone(),
        })
    };
    let [_, _, all] = ours.dims();
    Ok(vec![part("boxes", 0, numbers)?, part("probabilities", numbers, all)?])
}

/// Every object of the network needs one of the file that is the same, and the other way round.
fn by_object(
    input: &Input<'_>,
    detector: &Detector,
    asked: &BoxOutput,
    ours: &[Value],
    theirs: &[OnnxOutput],
) -> Result<Vec<HeadCheck>, String> {
    let decoded = detection::decoded(detector, ours).map_err(|error| failed(&error))?;
    let all = detection::candidates_in(detector, &decoded).map_err(|error| failed(&error))?;
    let confidence = asked.confidence.unwrap_or_else(|| detector.confidence());
    let overlap = asked.overlap.unwrap_or_else(|| detector.overlap());
    let ours: Vec<Candidates> = all.iter().map(|all| chosen(all, confidence, overlap)).collect();
    let file = objects(theirs, ours.len())?;
    let (mut box_diff, mut score_diff, mut most, mut same_top) = (0.0_f32, 0.0_f32, 0.0_f32, true);
    for (ours, file) in ours.iter().zip(&file) {
        most = most.max(largest(ours.boxes.iter().flatten().copied()));
        let Some(pairs) = pairs(ours, file, confidence) else {
            same_top = false;
            score_diff = f32::INFINITY;
            continue;
        };
        for (a, b) in pairs {
            box_diff = box_diff.max(largest(ours.boxes[a].iter().zip(&file.boxes[b]).map(|(a, b)| a - b)));
            score_diff = score_diff.max(largest(std::iter::once(ours.scores[a] - file.scores[b])));
        }
    }
    let first = |all: Vec<Candidates>| told(input, detector, all.into_iter().next().unwrap_or_default());
    let (program, file) = (first(ours), first(file));
    let head = |head: &str, max_abs_diff: f32, max_abs: f32| HeadCheck {
        head: head.to_owned(),
        max_abs_diff,
        max_abs,
        same_top,
        program: program.clone(),
        file: file.clone(),
    };
    Ok(vec![head("boxes", box_diff, most), head("scores", score_diff, 1.0)])
}

/// What suppression leaves, as the file does it.
fn chosen(all: &Candidates, confidence: f32, overlap: f32) -> Candidates {
    let mut left = Candidates::default();
    let mut counts = std::collections::HashMap::new();
    for at in filter(all, confidence, overlap, usize::MAX) {
        let count = counts.entry(all.classes[at]).or_insert(0);
        *count += 1;
        if *count <= MOST_OF_A_CLASS {
            left.boxes.push(all.boxes[at]);
            left.scores.push(all.scores[at]);
            left.classes.push(all.classes[at]);
        }
    }
    left
}

/// The objects of each picture of the batch in the file's outputs.
fn objects(theirs: &[OnnxOutput], pictures: usize) -> Result<Vec<Candidates>, String> {
    let column = |name: &str| find(theirs, name).map(|output| output.values.as_slice());
    let (boxes, scores, classes) = (column("boxes")?, column("scores")?, column("classes")?);
    let of = column("pictures")?;
    let mut found = vec![Candidates::default(); pictures];
    let (boxes, rest) = boxes.as_chunks::<4>();
    if !rest.is_empty() || [scores.len(), classes.len(), of.len()] != [boxes.len(); 3] {
        return Err("The exported file's outputs have different numbers of objects.".to_owned());
    }
    for (((xyxy, score), class), picture) in boxes.iter().zip(scores).zip(classes).zip(of) {
        let into = found.get_mut(*picture as usize);
        let into = into.ok_or_else(|| format!("The exported file finds an object in picture {picture}."))?;
        into.boxes.push(*xyxy);
        into.scores.push(*score);
        into.classes.push(*class as u32);
    }
    Ok(found.into_iter().map(|found| Candidates::sorted(&found.boxes, &found.scores, &found.classes)).collect())
}

/// Which objects are the same; none where one has no partner. An object that is just sure enough for one and not for the
/// other may stay alone.
fn pairs(ours: &Candidates, file: &Candidates, confidence: f32) -> Option<Vec<(usize, usize)>> {
    let mut free: Vec<usize> = (0..file.len()).collect();
    let mut pairs = Vec::new();
    let on_the_edge = |score: f32| score - confidence < 1e-5;
    for a in 0..ours.len() {
        let same = |&b: &usize| ours.classes[a] == file.classes[b] && iou(&ours.boxes[a], &file.boxes[b]) > SAME;
        match free.iter().position(same) {
            Some(at) => pairs.push((a, free.remove(at))),
            None if on_the_edge(ours.scores[a]) => {}
            None => return None,
        }
    }
    free.iter().all(|&b| on_the_edge(file.scores[b])).then_some(pairs)
}

/// Whether both show the same objects.
fn same(program: &HeadPrediction, file: &HeadPrediction) -> bool {
    let (Answer::Boxes(a), Answer::Boxes(b)) = (&program.answer, &file.answer) else { return false };
    let chosen = |boxes: &Boxes| self::chosen(&boxes.candidates, boxes.own.confidence, boxes.own.overlap);
    pairs(&chosen(a), &chosen(b), a.own.confidence).is_some()
}

fn told(input: &Input<'_>, detector: &Detector, mut found: Candidates) -> HeadPrediction {
    detection::to_picture(&mut found, &input.placement, input.size_px);
    answer(input.network.graph(), detector, found, &Arc::new(class_names(input.network, input.run, 0)))
}

fn find<'a>(outputs: &'a [OnnxOutput], name: &str) -> Result<&'a OnnxOutput, String> {
    outputs.iter().find(|output| output.name == name).ok_or_else(|| format!("The exported file has no output {name}."))
}
