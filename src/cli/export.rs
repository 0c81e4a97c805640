//! `frostline export`: a run's best weights or a checkpoint, under the public names or as ONNX.

use super::args::ExportArgs;
use super::drive::Driver;
use super::lines::{CheckLine, HeadCheckLine, Line, NameScore};
use super::{Failure, Outcome, output};
use crate::session::{BoxOutput, Command, Event, ExportCheck, ExportFormat, Exported, HeadCheck};
use crate::train::{Answer, ClassScore, DeviceChoice, HeadPrediction};

pub(super) fn export(args: &ExportArgs) -> Outcome {
    if !args.source.exists() {
        return Err(Failure::Input(format!("{} does not exist.", args.source.display())));
    }
    ExportFormat::of(&args.to).map_err(Failure::Input)?;
    // One picture at most is computed, and the processor's arithmetic is the reference.
    let mut driver = Driver::new(DeviceChoice::Cpu)?;
    let boxes = BoxOutput { form: args.boxes, confidence: args.confidence, overlap: args.iou };
    driver.send(Command::Export { from: args.source.clone(), to: args.to.clone(), boxes })?;
    loop {
        match driver.next()? {
            Event::Exported(found) => return tell(&found, args.json),
            Event::Failed { what, .. } => return Err(driver.failed(what)),
            _ => {}
        }
    }
}

fn tell(found: &Exported, json: bool) -> Outcome {
    if let Some(file) = &found.file {
        if json {
            let check = found.check.as_ref().map(line);
            output::json(&Line::Written { path: file, bytes: Some(found.bytes), check })?;
            if let Some(path) = &found.beside {
                output::json(&Line::Written { path, bytes: None, check: None })?;
            }
        } else {
            output::line(&file.display().to_string())?;
            found.beside.as_ref().map_or(Ok(()), |path| output::line(&path.display().to_string()))?;
            found.check.as_ref().map_or(Ok(()), show)?;
        }
    }
    match &found.problem {
        // Whatever fails before something was written lies in what was given.
        Some(problem) if found.file.is_none() => Err(Failure::Input(problem.clone())),
        Some(problem) => Err(Failure::Running(problem.clone())),
        None => Ok(()),
    }
}

fn line<'a>(check: &'a ExportCheck) -> CheckLine<'a> {
    let head = |head: &'a HeadCheck| HeadCheckLine {
        head: &head.head,
        max_abs_diff: head.max_abs_diff,
        tolerance: head.tolerance(),
        max_abs: head.max_abs,
        same_top1: head.same_top,
        program: top(&head.program).map(NameScore::from),
        file: top(&head.file).map(NameScore::from),
    };
    CheckLine {
        engine: check.engine,
        image: &check.picture,
        batch: check.batch,
        max_abs_diff: check.max_abs_diff(),
        same_top1: check.same_top(),
        seconds: check.seconds,
        heads: check.heads.iter().map(head).collect(),
    }
}

fn show(check: &ExportCheck) -> Outcome {
    output::line(&format!("checked with {} on {}, {:.1} s", check.engine, check.picture, check.seconds))?;
    for head in &check.heads {
        output::line(&format!("  {:<16} max difference {:.2e} of {:.3}", head.head, head.max_abs_diff, head.max_abs))?;
        if let (Answer::Boxes(program), Answer::Boxes(file)) = (&head.program.answer, &head.file.answer) {
            let [program, file] = [program, file].map(|boxes| boxes.chosen(boxes.own).len());
            let verdict = if head.same_top { "the same" } else { "NOT the same" };
            output::line(&format!("  {:<16} network: {program} objects, file: {file}, {verdict}", ""))?;
        }
        let (program, file) = (top(&head.program), top(&head.file));
        if let (Some(program), Some(file)) = (program, file) {
            let (name, other) = (&program.name, &file.name);
            output::line(&format!(
                "  {:<16} network: {name} {:.4}, file: {other} {:.4}",
                "", program.score, file.score
            ))?;
        }
    }
    Ok(())
}

/// The first class with its score, of a head that names classes.
fn top(prediction: &HeadPrediction) -> Option<&ClassScore> {
    match &prediction.answer {
        Answer::Classes(classes) => classes.first(),
        Answer::Mask(_) | Answer::Boxes(_) => None,
    }
}
