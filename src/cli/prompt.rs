//! `frostline predict --prompt`: masks of what a person points at.

use super::args::PredictArgs;
use super::drive::Driver;
use super::lines::{Line, PackedRuns, PredictionLine, PromptMaskLine, PromptTimes, PromptedLine};
use super::predict::{Files, cannot_write};
use super::{Failure, Outcome, output};
use crate::data::pack;
use crate::session::{Command, Event, MaskAnswer, MaskQuestion, Masks};
use crate::train::segmentation::prompt::{Answered, Candidate, Everything, Found, Grid, Point, Prompt};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most points along a side of a grid: beyond, neighbours are a few pixels apart in the network's input.
const MOST_POINTS: usize = 128;

/// Reads what `--prompt` says.
///
/// # Errors
/// A sentence that says what is wrong and what is right.
pub(super) fn parse(text: &str) -> Result<MaskQuestion, String> {
    let mut prompt = Prompt::default();
    for part in text.split(|c: char| c.is_whitespace() || c == ';').filter(|part| !part.is_empty()) {
        let (kind, rest) = part.split_once(':').unwrap_or((part, ""));
        match kind {
            "everything" if prompt == Prompt::default() && part == text.trim() => return everything(rest),
            "point" => prompt.points.push(point(rest)?),
            "box" if prompt.xyxy.is_some() => return Err("a prompt has one box".to_owned()),
            "box" => prompt.xyxy = Some(numbers(rest)?),
            _ => {
                return Err(format!(
                    "\"{part}\" is neither point:X,Y[,+|-] nor box:X0,Y0,X1,Y1 nor everything[:N] alone"
                ));
            }
        }
    }
    if prompt.points.is_empty() && prompt.xyxy.is_none() {
        return Err("it names neither a point nor a box".to_owned());
    }
    Ok(MaskQuestion::Prompt(prompt))
}

fn everything(side: &str) -> Result<MaskQuestion, String> {
    let mut grid = Grid::default();
    if !side.is_empty() {
        let wanted = || format!("\"{side}\" is no number of points along a side, 1 to {MOST_POINTS}");
        grid.side = side.parse().ok().filter(|side| (1..=MOST_POINTS).contains(side)).ok_or_else(wanted)?;
    }
    Ok(MaskQuestion::Everything(grid))
}

fn point(text: &str) -> Result<Point, String> {
    let (place, positive) = match text.rsplit_once(',') {
        Some((place, "+")) => (place, true),
        Some((place, "-")) => (place, false),
        _ => (text, true),
    };
    Ok(Point { xy: numbers(place)?, positive })
}

/// So many numbers, divided by commas.
fn numbers<const N: usize>(text: &str) -> Result<[f32; N], String> {
    let all: Option<Vec<f32>> =
        text.split(',').map(|number| number.trim().parse().ok().filter(|x: &f32| x.is_finite())).collect();
    let wanted = || format!("\"{text}\" is not {N} numbers divided by commas");
    all.and_then(|all| <[f32; N]>::try_from(all).ok()).ok_or_else(wanted)
}

/// Asks each picture and tells the answers.
pub(super) fn predict(args: &PredictArgs, question: &MaskQuestion) -> Outcome {
    let mut files = args.out.as_deref().map(Files::open).transpose()?;
    let mut driver = Driver::new(args.device.clone())?;
    for image in &args.images {
        let command = Command::Ask { image: image.clone(), from: args.source.clone(), question: question.clone() };
        driver.send(command)?;
        let answer = wait(&mut driver)?;
        let name = image.display().to_string();
        let told = tell(&answer, files.as_ref().map(|files| files.folder.as_path()))?;
        if let Some(path) = &told.mask {
            output::note(&format!("{name}: {}", path.display()));
        }
        let line = Line::Prediction(PredictionLine {
            image: &name,
            size: told.size,
            classes: None,
            boxes: None,
            mask: told.mask.as_ref().map(|path| path.display().to_string()),
            heads: BTreeMap::new(),
            prompted: Some(told.line),
            error: None,
        });
        if let Some(files) = &mut files {
            files.line(&line)?;
        }
        if args.json {
            output::json(&line)?;
        } else if let Line::Prediction(PredictionLine { prompted: Some(prompted), .. }) = &line {
            show(&name, prompted)?;
        }
    }
    Ok(())
}

fn wait(driver: &mut Driver) -> Result<Arc<MaskAnswer>, Failure> {
    loop {
        match driver.next()? {
            Event::Masks(answer) => return Ok(answer),
            Event::Failed { what, .. } => return Err(driver.failed(what)),
            _ => {}
        }
    }
}

/// An answer ready to be told.
struct Told {
    size: [u32; 2],
    mask: Option<PathBuf>,
    line: PromptedLine,
}

/// Puts an answer into words, and its masks into files where there is a folder.
fn tell(answer: &MaskAnswer, folder: Option<&Path>) -> Result<Told, Failure> {
    let stem = answer.image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ms = PromptTimes {
        encode: answer.encode_secs.map(|secs| (secs * 1e4).round() / 10.0),
        answer: (answer.answer_secs * 1e4).round() / 10.0,
    };
    match &answer.masks {
        Masks::Offered(answered) => {
            let Answered { size_px, candidates, best } = answered;
            let mut masks = Vec::with_capacity(candidates.len());
            for (i, candidate) in (1..).zip(candidates) {
                let path = folder.map(|folder| folder.join(format!("{stem}_mask_{i}.png")));
                if let Some(path) = &path {
                    write_mask(path, candidate, *size_px)?;
                }
                masks.push(mask_line(candidate, *size_px, path.as_deref()));
            }
            let mask = folder.map(|folder| folder.join(format!("{stem}_mask.png")));
            if let (Some(path), Some(candidate)) = (&mask, candidates.get(*best)) {
                write_mask(path, candidate, *size_px)?;
            }
            Ok(Told { size: *size_px, mask, line: PromptedLine { masks, best: Some(*best), ms } })
        }
        Masks::Found(everything) => {
            let Everything { size_px, found } = everything;
            let mask = folder.map(|folder| folder.join(format!("{stem}_mask.png")));
            if let Some(path) = &mask {
                write_instances(path, found, *size_px)?;
            }
            let of = |one: &Found| PromptMaskLine {
                iou: one.iou,
                stability: one.stability,
                area: one.area,
                xyxy: Some(one.xyxy),
                segmentation: packed(&one.runs, *size_px),
                file: None,
            };
            let masks = found.iter().map(of).collect();
            Ok(Told { size: *size_px, mask, line: PromptedLine { masks, best: None, ms } })
        }
    }
}

fn mask_line(candidate: &Candidate, size_px: [u32; 2], path: Option<&Path>) -> PromptMaskLine {
    PromptMaskLine {
        iou: candidate.iou,
        stability: candidate.stability,
        area: candidate.area,
        xyxy: candidate.xyxy,
        segmentation: packed(&candidate.runs(size_px), size_px),
        file: path.map(|path| path.display().to_string()),
    }
}

fn packed(runs: &[u32], [width, height]: [u32; 2]) -> PackedRuns {
    PackedRuns { size: [height, width], counts: pack(runs) }
}

/// A grey PNG with 255 where the mask is.
fn write_mask(path: &Path, candidate: &Candidate, [width, height]: [u32; 2]) -> Outcome {
    let pixels: Vec<u8> = candidate.pixels.iter().map(|&pixel| pixel * 255).collect();
    image::save_buffer(path, &pixels, width, height, image::ExtendedColorType::L8)
        .map_err(|cause| cannot_write(path, &cause))
}

/// A grey 16-bit PNG with the number of the mask that each pixel belongs to, from 1; small masks lie over large ones.
fn write_instances(path: &Path, found: &[Found], [width, height]: [u32; 2]) -> Outcome {
    let (columns, rows) = (width as usize, height as usize);
    let mut order: Vec<(u16, &Found)> = (1..=u16::MAX).zip(found).collect();
    order.sort_by_key(|(_, one)| std::cmp::Reverse(one.area));
    let mut ids = vec![0_u16; columns * rows];
    for (id, one) in order {
        let mut at = 0;
        for (i, &run) in one.runs.iter().enumerate() {
            // Runs go down the columns; every second one is set.
            for place in (at..at + run as usize).filter(|_| i % 2 == 1) {
                if let Some(pixel) = ids.get_mut(place % rows * columns + place / rows) {
                    *pixel = id;
                }
            }
            at += run as usize;
        }
    }
    let pixels: image::ImageBuffer<image::Luma<u16>, Vec<u16>> =
        image::ImageBuffer::from_raw(width, height, ids).ok_or_else(|| cannot_write(path, &"its size is wrong"))?;
    pixels.save(path).map_err(|cause| cannot_write(path, &cause))
}

/// The masks of a picture in lines.
fn show(image: &str, prompted: &PromptedLine) -> Outcome {
    for (i, mask) in prompted.masks.iter().enumerate() {
        let [left, top, right, bottom] = mask.xyxy.unwrap_or_default();
        let best = if prompted.best == Some(i) { ", the best" } else { "" };
        output::line(&format!(
            "{image}  mask {}: predicted IoU {:.3}, stability {:.3}, {} pixels in ({left} {top} {right} {bottom}){best}",
            i + 1,
            mask.iou,
            mask.stability,
            mask.area
        ))?;
    }
    if prompted.masks.is_empty() {
        output::line(&format!("{image}  nothing was found"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_read() {
        let prompt = |text: &str| match parse(text).unwrap() {
            MaskQuestion::Prompt(prompt) => prompt,
            MaskQuestion::Everything(_) => unreachable!(),
        };
        let both = prompt("point:10,20.5 point:3,4,-;box:1,2,30,40");
        assert_eq!(
            both.points,
            [Point { xy: [10.0, 20.5], positive: true }, Point { xy: [3.0, 4.0], positive: false }]
        );
        assert_eq!(both.xyxy, Some([1.0, 2.0, 30.0, 40.0]));
        assert!(prompt("point:1,2,+").points[0].positive);
        assert!(matches!(parse("everything:8"), Ok(MaskQuestion::Everything(Grid { side: 8, .. }))));
        for (text, told) in [
            ("", "neither a point nor a box"),
            ("point:1", "\"1\" is not 2 numbers"),
            ("point:1,2,3", "not 2 numbers"),
            ("point:nan,2", "not 2 numbers"),
            ("box:1,2,3", "not 4 numbers"),
            ("box:1,2,3,4 box:1,2,3,4", "one box"),
            ("everything:0", "no number of points"),
            ("everything point:1,2", "alone"),
            ("dog", "\"dog\" is neither"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
