//! Measures of masks by hand: counts of pixels, means over the classes that occur, pictures by themselves, the file of results.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use burn::tensor::{Device, Tensor, TensorData};
use frostline::data::{Dataset, ImageSource, LabelColumn, MaskTarget, Sample, Split, Target, Task};
use frostline::graph::HeadKind;
use frostline::rng::Rng;
use frostline::train::segmentation::{ClassPixels, MaskConfusion, MaskResult, mask_means, over_set, said};
use frostline::train::{Evaluation, HeadResults};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn close(have: Option<f64>, want: f64) -> bool {
    have.is_some_and(|have| (have - want).abs() < 1e-12)
}

#[test]
fn a_case_worked_by_hand() {
    // Truth        0 0 0 1 1 2 255      class 0: 2 hits, 3 said, 3 there; IoU 2/4, Dice 4/6
    // Said         0 0 1 1 0 1 2        class 1: 1 hit, 3 said, 2 there; IoU 1/4, Dice 2/5
    let mut counts = MaskConfusion::new(4);
    counts.add(&[0, 0, 1, 1, 0, 1, 2], &[0, 0, 0, 1, 1, 2, 255]);
    let classes = counts.per_class();
    assert!(close(classes[0].iou(), 0.5) && close(classes[0].dice(), 2.0 / 3.0));
    assert!(close(classes[1].iou(), 0.25) && close(classes[1].dice(), 0.4));
    assert!(close(classes[1].precision(), 1.0 / 3.0) && close(classes[1].recall(), 0.5));
    // Class 2 is there and never said: 0. Class 3 is neither there nor said: left out of the means.
    assert!(close(classes[2].iou(), 0.0) && classes[2].precision().is_none());
    assert!(classes[3].iou().is_none() && classes[3].dice().is_none());
    let [iou, dice, right] = mask_means(&classes).unwrap();
    assert!(close(Some(iou), 0.75 / 3.0) && close(Some(dice), (2.0 / 3.0 + 0.4) / 3.0) && close(Some(right), 0.5));
    assert_eq!(counts.rows()[1], [1, 1, 0, 0]);
    assert_eq!(counts.pixels(), 6);
    assert!(mask_means(&MaskConfusion::new(3).per_class()).is_none());
}

#[test]
fn pictures_add_up_to_the_set() {
    let mut rng = Rng::new(4);
    let mut draw = |classes: usize| -> Vec<u8> { (0..500).map(|_| rng.below(classes) as u8).collect() };
    let mut whole = MaskConfusion::new(5);
    let mut pictures = Vec::new();
    for index in 0..20 {
        // Class 4 is never there; some pictures lack class 3 altogether.
        let (said, mut truth) = (draw(5), draw(3 + index % 2));
        truth[index * 7] = 255;
        let mut one = MaskConfusion::new(5);
        one.add(&said, &truth);
        whole.merge(&one);
        pictures.push(MaskResult::of(index, &one));
    }
    assert_eq!(over_set(&pictures, 5), whole.per_class());
    assert_eq!(whole.pixels(), 20 * 499);
    let mut head = HeadResults::new("mask", HeadKind::PixelClassify { classes: 5 }, Vec::new());
    head.masks = pictures;
    assert_eq!(head.pixels(), whole.per_class());
    let order = head.worst_first();
    let ious: Vec<f64> = order.iter().map(|&at| head.masks[at as usize].iou().unwrap()).collect();
    assert!(ious.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6), "{ious:?}");
    assert_eq!(head.mask_of(7).map(|picture| picture.index), Some(7));
}

#[test]
fn the_devices_choice_is_the_likeliest_class_at_the_size_of_the_mask() {
    let numbers = vec![0.0, 3.0, 1.0, 1.0, 2.0, 2.0, 1.0, -1.0];
    let logits = Tensor::<4>::from_data(TensorData::new(numbers, [1, 2, 2, 2]), &Device::flex());
    // Equal ones go to the lower class.
    assert_eq!(said(logits.clone(), [2, 2]).unwrap(), [[1, 0, 0, 0]]);
    // Twice the size: torch's bilinear resize, then the comparison. At the left edge the rows' values are 0 and 1 against 2
    // and 1 with shares 1, 3/4, 1/4, 0: 0 < 2, 0.25 < 1.75, 0.75 < 1.25, 1 = 1.
    let large = said(logits, [4, 4]).unwrap();
    assert_eq!([large[0][0], large[0][4], large[0][8], large[0][12]], [1, 1, 1, 0]);
}

#[test]
fn results_are_read_as_they_were_written() {
    let home = tempfile::tempdir().unwrap();
    let sample = |name: &str| Sample {
        image: ImageSource::File(home.path().join(name)),
        split: Split::Val,
        size_px: [40, 30],
        target: Target { mask: Some(MaskTarget::File(home.path().join("masks").join(name))), ..Target::default() },
    };
    let classes = ["ground".to_owned(), "cell".to_owned()].to_vec();
    let set = Dataset {
        root: home.path().to_path_buf(),
        name: "cells".to_owned(),
        task: Task::Segment,
        format: "test".to_owned(),
        columns: vec![LabelColumn::single(classes.clone())],
        category_ids: Vec::new(),
        samples: vec![sample("a.png"), sample("b.png")],
        issues: Vec::new(),
        found: 2,
        suggested_split: false,
        unnamed: Vec::new(),
    };
    let mut head = HeadResults::new("mask", HeadKind::PixelClassify { classes: 2 }, classes);
    for index in 0..2 {
        let mut counts = MaskConfusion::new(2);
        counts.add(&[0, 1, 1, 0], &[0, 1, index as u8, 255]);
        head.masks.push(MaskResult::of(index, &counts));
    }
    let written = Evaluation {
        source: home.path().to_path_buf(),
        epoch: Some(2),
        model: "m".to_owned(),
        set: Arc::new(set),
        split: Some(Split::Val),
        metrics: BTreeMap::from([("miou".to_owned(), 0.5)]),
        losses: BTreeMap::new(),
        images: 2,
        heads: vec![head],
        seconds: 1.0,
    };
    written.save(&home.path().join("evaluation.jsonl")).unwrap();
    let text = std::fs::read_to_string(home.path().join("evaluation.jsonl")).unwrap();
    assert!(text.contains("\"pixels\":[[0,1,1,2],[1,1,2,1]]"), "{text}");
    let read = Evaluation::read(home.path()).unwrap().unwrap();
    assert_eq!(read.heads, written.heads);
    assert_eq!(read.heads[0].masks[1].classes[1], ClassPixels { class: 1, hits: 2, said: 2, there: 2 });
    assert_eq!((read.set.task, read.set.samples[0].size_px), (Task::Segment, [40, 30]));
    let mask = |set: &Dataset| set.samples[1].target.mask.clone();
    assert_eq!(mask(&read.set), mask(&written.set));
    let path = home.path().join("evaluation.jsonl");
    std::fs::write(&path, text.replace("[1,1,2,1]", "[2,1,2,1]")).unwrap();
    let refused = Evaluation::read(Path::new(home.path())).unwrap_err();
    assert!(refused.contains("line 2") && refused.contains("a class that is not there"), "{refused}");
}
