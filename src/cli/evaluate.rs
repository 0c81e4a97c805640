//! `frostline eval`: measures a model on a data set.

use super::args::EvalArgs;
use super::drive::Driver;
use super::lines::{BoxClassLine, ClassLine, EvalLine, HeadLine, ImageLine, Line, MaskClassLine, MaskLine, NameScore};
use super::{Failure, Outcome, output, plan};
use crate::graph::HeadKind;
use crate::session::{Command, Evaluation, Event};
use crate::train::detection::{ClassMetrics, CocoMetrics, diagnose};
use crate::train::segmentation::ClassPixels;
use crate::train::{HeadResults, macro_average, reliability, weighted_average};

pub(super) fn evaluate(args: &EvalArgs) -> Outcome {
    if !args.source.exists() {
        return Err(Failure::Input(format!("{} does not exist.", args.source.display())));
    }
    let data = plan::data_source(&args.data)?;
    let mut driver = Driver::new(args.device.clone())?;
    driver.send(Command::Evaluate { from: args.source.clone(), data: Some(data), which: args.split })?;
    loop {
        match driver.next()? {
            Event::Evaluated(found) if args.json => return lines(&found, args, driver.device()),
            Event::Evaluated(found) => return show(&found),
            Event::Failed { what, .. } => return Err(driver.failed(what)),
            _ => {}
        }
    }
}

fn lines(found: &Evaluation, args: &EvalArgs, device: &str) -> Outcome {
    if args.per_image {
        found.heads.iter().try_for_each(|head| pictures(found, head))?;
    }
    let labels = |head: &&HeadResults| matches!(head.kind, HeadKind::Classify { .. } | HeadKind::MultiLabel { .. });
    let boxes = found.coco();
    let mut label_heads = found.heads.iter().filter(labels);
    output::json(&Line::Eval(EvalLine {
        metrics: &found.metrics,
        losses: &found.losses,
        images: found.images,
        model: &found.model,
        source: &args.source,
        data: &args.data,
        device,
        seconds: found.seconds,
        split: found.split.map_or("all".to_owned(), |split| split.to_string()),
        scores: label_heads.next().map(head_line),
        heads: label_heads.map(|head| (head.name.as_str(), head_line(head))).collect(),
        boxes: boxes.as_ref().map(|all| box_classes(found, all)).unwrap_or_default(),
        masks: mask_head(found).map(|head| mask_classes(head, &head.pixels())).unwrap_or_default(),
    }))
}

/// The first head that tells a class for each pixel.
fn mask_head(found: &Evaluation) -> Option<&HeadResults> {
    found.heads.iter().find(|head| matches!(head.kind, HeadKind::PixelClassify { .. }))
}

/// The numbers of a mask, class by class.
fn mask_classes<'a>(head: &'a HeadResults, pixels: &[ClassPixels]) -> Vec<MaskClassLine<'a>> {
    let line = |of: &ClassPixels| MaskClassLine {
        name: head.classes.get(of.class as usize).map_or("?", String::as_str),
        iou: of.iou(),
        dice: of.dice(),
        precision: of.precision(),
        recall: of.recall(),
        pixels: of.there,
    };
    pixels.iter().map(line).collect()
}

/// A row for each class of a mask, and the pictures that are told worst.
fn mask_table(found: &Evaluation, head: &HeadResults) -> Outcome {
    const WORST: usize = 5;
    let lines = mask_classes(head, &head.pixels());
    let longest = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).clamp(12, 32);
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let all: u64 = lines.iter().map(|line| line.pixels).sum();
    output::line("")?;
    let [a, b, c, d, e, f] = ["class", "IoU", "Dice", "precision", "recall", "pixels"];
    output::line(&format!("  {a:<longest$}  {b:>8}  {c:>8}  {d:>9}  {e:>8}  {f:>8}"))?;
    for line in &lines {
        let [b, c, d, e] = [line.iou, line.dice, line.precision, line.recall].map(number);
        let (name, f) = (line.name, format!("{:.1} %", line.pixels as f64 / all.max(1) as f64 * 100.0));
        output::line(&format!("  {name:<longest$}  {b:>8}  {c:>8}  {d:>9}  {e:>8}  {f:>8}"))?;
    }
    let absent: Vec<&str> = lines.iter().filter(|line| line.iou.is_none()).map(|line| line.name).collect();
    if !absent.is_empty() {
        output::line(&format!("\n  neither there nor said, left out of the means: {}", absent.join(", ")))?;
    }
    output::line("\n  least IoU")?;
    for picture in head.worst_first().into_iter().filter_map(|at| head.masks.get(at as usize)).take(WORST) {
        let name = found.set.samples.get(picture.index as usize).map_or_else(String::new, |sample| sample.image.name());
        output::line(&format!("  {:<8}  {name}", number(picture.iou())))?;
    }
    Ok(())
}

/// A detector's numbers, class by class.
fn box_classes<'a>(found: &'a Evaluation, all: &CocoMetrics) -> Vec<BoxClassLine<'a>> {
    let names = found.heads.first().map(|head| head.classes.as_slice()).unwrap_or_default();
    let line = |(name, of): (&'a String, &ClassMetrics)| BoxClassLine {
        name,
        objects: of.truths,
        found: of.detections,
        ap: of.ap,
        ap50: of.ap50,
        ap75: of.ap75,
    };
    names.iter().zip(&all.per_class).map(line).collect()
}

/// A row for each class of a detector, and why there is nothing right, if so.
fn box_table(found: &Evaluation, all: &CocoMetrics) -> Outcome {
    let lines = box_classes(found, all);
    let longest = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).clamp(12, 32);
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    output::line("")?;
    let [a, b, c, d, e, f] = ["class", "AP", "AP50", "AP75", "objects", "found"];
    output::line(&format!("  {a:<longest$}  {b:>8}  {c:>8}  {d:>8}  {e:>8}  {f:>8}"))?;
    for line in &lines {
        let [b, c, d] = [line.ap, line.ap50, line.ap75].map(number);
        let (name, e, f) = (line.name, line.objects, line.found);
        output::line(&format!("  {name:<longest$}  {b:>8}  {c:>8}  {d:>8}  {e:>8}  {f:>8}"))?;
    }
    let right = all.ap.is_some_and(|ap| ap > 0.0);
    let results = found.heads.first().map(|head| head.boxes.as_slice()).unwrap_or_default();
    match diagnose(results, &found.set).filter(|_| !right) {
        Some(diagnosis) => output::line(&format!("\n{diagnosis}.")),
        None => Ok(()),
    }
}

fn head_line(head: &HeadResults) -> HeadLine<'_> {
    let scores = head.scores();
    let calibration = reliability(&head.pictures);
    HeadLine {
        macro_average: macro_average(&scores),
        weighted_average: weighted_average(&scores),
        ece: calibration.as_ref().map(|found| found.ece),
        mce: calibration.as_ref().map(|found| found.mce),
        per_class: head
            .classes
            .iter()
            .zip(&scores)
            .map(|(name, of)| ClassLine {
                name,
                precision: of.precision,
                recall: of.recall,
                f1: of.f1,
                support: of.support,
            })
            .collect(),
    }
}

fn pictures(found: &Evaluation, head: &HeadResults) -> Outcome {
    let name = |class: u32| head.classes.get(class as usize).map_or("?", String::as_str);
    for picture in &head.pictures {
        let sample = found.set.samples.get(picture.index as usize);
        output::json(&Line::Image(ImageLine {
            image: sample.map_or_else(String::new, |sample| sample.image.name()),
            head: &head.name,
            truth: Some(name(picture.truth)),
            labels: None,
            correct: picture.is_right(),
            truth_score: Some(picture.truth_score),
            loss: picture.loss,
            classes: picture.top().iter().map(|&(class, score)| NameScore { name: name(class), score }).collect(),
        }))?;
    }
    for picture in head.worst_first().into_iter().filter_map(|at| head.masks.get(at as usize)) {
        let sample = found.set.samples.get(picture.index as usize);
        output::json(&Line::Mask(MaskLine {
            image: sample.map_or_else(String::new, |sample| sample.image.name()),
            head: &head.name,
            miou: picture.iou(),
            dice: picture.dice(),
            classes: mask_classes(head, &picture.classes),
        }))?;
    }
    for picture in &head.labelled {
        let sample = found.set.samples.get(picture.index as usize);
        let given = picture.told.iter().filter(|told| told.given);
        output::json(&Line::Image(ImageLine {
            image: sample.map_or_else(String::new, |sample| sample.image.name()),
            head: &head.name,
            truth: None,
            labels: Some(picture.told.iter().filter(|told| told.there).map(|told| name(told.class)).collect()),
            correct: picture.is_right(),
            truth_score: None,
            loss: picture.loss,
            classes: given.map(|told| NameScore { name: name(told.class), score: told.score }).collect(),
        }))?;
    }
    Ok(())
}

fn show(found: &Evaluation) -> Outcome {
    output::line(&format!("{} on {} pictures, {:.1} s", found.model, found.images, found.seconds))?;
    for (name, value) in &found.metrics {
        output::line(&format!("  {name:<16} {value:.4}"))?;
    }
    for (name, value) in &found.losses {
        output::line(&format!("  loss {name:<11} {value:.4}"))?;
    }
    if let Some(all) = found.coco() {
        return box_table(found, &all);
    }
    if let Some(head) = mask_head(found) {
        mask_table(found, head)?;
    }
    found.heads.iter().filter(|head| head.pictures.len() + head.labelled.len() > 0).try_for_each(table)
}

/// A row for each class, as scikit-learn's report has them.
fn table(head: &HeadResults) -> Outcome {
    let scores = head.scores();
    if let Some(calibration) = reliability(&head.pictures) {
        output::line(&format!("  calibration      ECE {:.4}, MCE {:.4}", calibration.ece, calibration.mce))?;
    }
    let longest = head.classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(12, 32);
    let row = |name: &str, values: [Option<f64>; 3], support: Option<u64>| {
        let [precision, recall, f1] = values.map(|value| value.map_or("-".to_owned(), |value| format!("{value:.4}")));
        let support = support.map_or(String::new(), |support| support.to_string());
        output::line(&format!("  {name:<longest$}  {precision:>9}  {recall:>9}  {f1:>9}  {support:>8}"))
    };
    output::line("")?;
    output::line(&format!(
        "  {:<longest$}  {:>9}  {:>9}  {:>9}  {:>8}",
        head.name, "precision", "recall", "F1", "pictures"
    ))?;
    for (name, of) in head.classes.iter().zip(&scores) {
        row(name, [of.precision, of.recall, of.f1], Some(of.support))?;
    }
    for (name, of) in [("macro mean", macro_average(&scores)), ("weighted mean", weighted_average(&scores))] {
        row(name, [of.map(|of| of.precision), of.map(|of| of.recall), of.map(|of| of.f1)], None)?;
    }
    Ok(())
}
