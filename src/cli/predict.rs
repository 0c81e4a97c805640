//! `frostline predict`: what a model sees in pictures.

use super::args::PredictArgs;
use super::drive::Driver;
use super::lines::{Line, NameScore, PredictionLine};
use super::{Failure, Outcome, output};
use crate::graph::HeadKind;
use crate::session::{Command, Event};
use crate::train::detection::save_boxes;
use crate::train::segmentation::{Mask, MaskFolder, mask_of};
use crate::train::{Answer, BoxScore, Boxes, Choice, ClassScore, HeadPrediction, Prediction};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Classes that are told to people.
const TOP: usize = 5;

pub(super) fn predict(args: &PredictArgs) -> Outcome {
    if !args.source.exists() {
        return Err(Failure::Input(format!("{} does not exist.", args.source.display())));
    }
    if let Some(missing) = args.images.iter().find(|image| !image.is_file()) {
        return Err(Failure::Input(format!("{} is not a file.", missing.display())));
    }
    if let Some(question) = &args.prompt {
        return super::prompt::predict(args, question);
    }
    let choice = Chosen { confidence: args.confidence, overlap: args.iou };
    let predictions = ask(args)?;
    let mut files = args.out.as_deref().map(Files::open).transpose()?;
    let mut unreadable = 0;
    for prediction in predictions.iter() {
        let mask = match &mut files {
            Some(files) => files.mask(prediction)?,
            None => None,
        };
        let line = |top: usize| Line::Prediction(prediction_line(prediction, top, choice, mask.as_deref()));
        let all = line(args.top.unwrap_or(usize::MAX));
        if let Some(files) = &mut files {
            files.line(&all)?;
        }
        if args.json {
            output::json(&all)?;
        } else {
            show(prediction, args.top.unwrap_or(TOP), choice, mask.as_deref())?;
        }
        if let Some(why) = &prediction.error {
            output::note(why);
            unreadable += 1;
        }
    }
    if let Some(folder) = &args.out
        && predictions
            .iter()
            .flat_map(|prediction| &prediction.heads)
            .any(|head| matches!(head.answer, Answer::Boxes(_)))
    {
        let saved = save_boxes(&predictions, &|boxes| choice.of(boxes), folder, &mut |_, _| true);
        let saved = saved.map_err(Failure::Running)?.unwrap_or_default();
        let (overlays, objects) = (saved.overlays, saved.objects);
        output::note(&format!(
            "{objects} objects in {overlays} pictures: {0}/overlays, {0}/labels, {0}/coco_results.json, {0}/coco_dataset.json",
            folder.display()
        ));
    }
    if let Some(masks) = files.and_then(|files| files.masks) {
        let set = masks.finish().map_err(Failure::Running)?;
        let (folder, set) = (set.parent().unwrap_or(&set).display(), set.display());
        output::note(&format!("masks: {folder}/*_mask.png, {folder}/overlays, {set}"));
    }
    match unreadable {
        0 => Ok(()),
        n => Err(Failure::Input(format!("{n} of {} pictures could not be read.", predictions.len()))),
    }
}

fn ask(args: &PredictArgs) -> Result<Arc<Vec<Prediction>>, Failure> {
    let mut driver = Driver::new(args.device.clone())?;
    driver.send(Command::Predict { images: args.images.clone(), from: Some(args.source.clone()), parts: args.tile })?;
    loop {
        match driver.next()? {
            Event::Predictions { answers, .. } => return Ok(answers),
            Event::Failed { what, .. } => return Err(driver.failed(what)),
            _ => {}
        }
    }
}

fn prediction_line<'a>(
    prediction: &'a Prediction,
    top: usize,
    choice: Chosen,
    mask: Option<&Path>,
) -> PredictionLine<'a> {
    let scores = |scores: &'a [ClassScore]| scores.iter().take(top).map(NameScore::from).collect::<Vec<_>>();
    let mut lists = prediction.heads.iter().filter_map(|head| match &head.answer {
        Answer::Classes(list) => Some((head.head.as_str(), scores(list))),
        Answer::Mask(_) | Answer::Boxes(_) => None,
    });
    let boxes = prediction.heads.iter().find_map(|head| match &head.answer {
        Answer::Boxes(boxes) => Some(boxes.chosen(choice.of(boxes))),
        _ => None,
    });
    PredictionLine {
        image: &prediction.image,
        size: prediction.size_px,
        classes: lists.next().map(|(_, list)| list),
        boxes,
        mask: mask.map(|path| path.display().to_string()),
        heads: lists.collect::<BTreeMap<_, _>>(),
        prompted: None,
        error: prediction.error.as_deref(),
    }
}

fn show(prediction: &Prediction, top: usize, choice: Chosen, mask: Option<&Path>) -> Outcome {
    for head in &prediction.heads {
        let what = match (&head.answer, mask) {
            (Answer::Classes(scores), _) if matches!(head.kind, HeadKind::MultiLabel { .. }) => {
                labels(head, scores, top)
            }
            (Answer::Classes(scores), _) => {
                let each = scores.iter().take(top).map(|s| format!("{} {:.1} %", s.name, s.score * 100.0));
                each.collect::<Vec<_>>().join(", ")
            }
            (Answer::Boxes(boxes), _) => objects(&boxes.chosen(choice.of(boxes))),
            (Answer::Mask(mask), path) => pixels(mask, path),
        };
        let name = if prediction.heads.len() > 1 { format!("{}: ", head.head) } else { String::new() };
        output::line(&format!("{}  {name}{what}", prediction.image))?;
    }
    Ok(())
}

/// The classes of a mask in a line, most pixels first.
fn pixels(mask: &Mask, path: Option<&Path>) -> String {
    let mut counts: Vec<(u8, u64)> = mask.counts().into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let share = |(id, count): (u8, u64)| format!("{} {:.1} %", mask.name(id), count as f64 / all.max(1) as f64 * 100.0);
    let shares: Vec<String> = counts.into_iter().map(share).collect();
    let written = path.map_or_else(|| "--out DIR writes the mask".to_owned(), |path| path.display().to_string());
    format!("{} ({written})", shares.join(", "))
}

/// The objects of a picture in a line.
fn objects(found: &[BoxScore]) -> String {
    let each = found.iter().map(|one| {
        let [left, top, right, bottom] = one.xyxy.map(f32::round);
        format!("{} {:.1} % ({left} {top} {right} {bottom})", one.name, one.score * 100.0)
    });
    if found.is_empty() { "no object".to_owned() } else { each.collect::<Vec<_>>().join(", ") }
}

/// What the command line asks of a detector; the model's own where it says nothing.
#[derive(Clone, Copy)]
struct Chosen {
    confidence: Option<f32>,
    overlap: Option<f32>,
}

impl Chosen {
    fn of(self, boxes: &Boxes) -> Choice {
        Choice {
            confidence: self.confidence.unwrap_or(boxes.own.confidence),
            overlap: self.overlap.unwrap_or(boxes.own.overlap),
        }
    }
}

/// The labels that are present, or the likeliest where none is.
fn labels(head: &HeadPrediction, scores: &[ClassScore], top: usize) -> String {
    let told = |scores: &[ClassScore]| {
        let each = scores.iter().take(top).map(|s| format!("{} {:.1} %", s.name, s.score * 100.0));
        each.collect::<Vec<_>>().join(", ")
    };
    match head.decided() {
        [] => format!("no label (likeliest: {})", told(scores.get(..1).unwrap_or_default())),
        present => told(present),
    }
}

/// What `--out` writes.
pub(super) struct Files {
    pub(super) folder: PathBuf,
    lines: std::fs::File,
    masks: Option<MaskFolder>,
}

impl Files {
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("predictions.jsonl");
        let lines = std::fs::create_dir_all(folder).and_then(|()| std::fs::File::create(&path));
        let lines = lines.map_err(|cause| cannot_write(&path, &cause))?;
        Ok(Self { folder: folder.to_path_buf(), lines, masks: None })
    }

    pub(super) fn line(&mut self, line: &Line<'_>) -> Outcome {
        let text = serde_json::to_string(line).map_err(|cause| cannot_write(&self.folder, &cause))?;
        writeln!(self.lines, "{text}").map_err(|cause| cannot_write(&self.folder, &cause))
    }

    /// Writes the first mask as an indexed PNG, and the picture with its classes laid over it.
    fn mask(&mut self, prediction: &Prediction) -> Result<Option<PathBuf>, Failure> {
        if mask_of(prediction).is_none() {
            return Ok(None);
        }
        if self.masks.is_none() {
            self.masks = Some(MaskFolder::new(&self.folder).map_err(Failure::Running)?);
        }
        let written = self.masks.as_mut().map(|masks| masks.write(prediction)).transpose();
        Ok(written.map_err(Failure::Running)?.flatten().map(|written| written.mask))
    }
}

pub(super) fn cannot_write(path: &Path, cause: &dyn std::fmt::Display) -> Failure {
    Failure::Running(format!("{} cannot be written: {cause}.", path.display()))
}
