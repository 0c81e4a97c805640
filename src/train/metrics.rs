//! Metrics of a whole validation set, per head.

use super::multi_label::{self, LabelCounts};
use super::segmentation::{MaskConfusion, mask_means, teach};
use crate::data::Label;
use crate::graph::{Graph, Head, HeadKind, PromptTells};
use std::collections::BTreeMap;

/// Counts of one head over a set.
#[derive(Clone, Debug)]
pub struct HeadCounts {
    name: String,
    kind: HeadKind,
    /// `[truth][prediction]`
    confusion: Vec<Vec<u64>>,
    top5: u64,
    count: u64,
    /// Of a head with several labels for a picture.
    labels: LabelCounts,
    /// Of a head that tells a class for each pixel.
    pixels: MaskConfusion,
}

/// Counts of all heads over a set.
#[derive(Clone, Debug)]
pub struct Counts {
    heads: Vec<HeadCounts>,
}

impl Counts {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(graph: &Graph) -> Self {
        let of = |head: &Head| {
            let (one, many, pixels) = match head.kind {
                HeadKind::MultiLabel { classes } => (0, classes, 0),
                HeadKind::PixelClassify { classes } => (0, 0, classes),
                HeadKind::Classify { classes } => (classes, 0, 0),
                HeadKind::Detect { .. } | HeadKind::Prompted { .. } => (0, 0, 0),
            };
            HeadCounts {
                name: head.name.clone(),
                kind: head.kind.clone(),
                confusion: vec![vec![0; one]; one],
                top5: 0,
                count: 0,
                labels: LabelCounts::new(many),
                pixels: MaskConfusion::new(pixels),
            }
        };
        Self { heads: graph.heads.iter().map(of).collect() }
    }

    /// Takes the logits of one picture in for head `head`; a picture of which nothing is known does not count.
    pub fn labelled(&mut self, head: usize, logits: &[f32], truth: &Label) {
        match (self.heads.get_mut(head), truth) {
            (Some(HeadCounts { kind: HeadKind::MultiLabel { .. }, labels, .. }), truth) if truth.is_known() => {
                labels.add(logits, |class| truth.has(class));
            }
            (Some(_), Label::One(class)) => self.classified(head, logits, *class),
            _ => {}
        }
    }

    /// Takes the class logits of one picture in for head `head`.
    pub fn classified(&mut self, head: usize, logits: &[f32], truth: u32) {
        let Some(counts) = self.heads.get_mut(head) else { return };
        let Some(&own) = logits.get(truth as usize) else { return };
        // torch's topk: ties go to the lower class.
        let above = |(i, &x): (usize, &f32)| x > own || (x == own && i < truth as usize);
        let rank = logits.iter().enumerate().filter(|&pair| above(pair)).count();
        counts.count += 1;
        counts.top5 += u64::from(rank < 5);
        counts.add(truth as usize, argmax(logits.iter().copied()));
    }

    /// Takes the pixels of one picture in for head `head`.
    pub fn pixels(&mut self, head: usize, picture: &MaskConfusion) {
        if let Some(counts) = self.heads.get_mut(head) {
            counts.pixels.merge(picture);
        }
    }

    /// Confusion counts of the first classification head, `[truth][prediction]`; empty without one.
    #[must_use]
    pub fn confusion(&self) -> Vec<Vec<u32>> {
        let head = self.heads.iter().find(|head| matches!(head.kind, HeadKind::Classify { .. }));
        let narrow = |row: &Vec<u64>| row.iter().map(|&n| u32::try_from(n).unwrap_or(u32::MAX)).collect();
        head.map(|head| head.confusion.iter().map(narrow).collect()).unwrap_or_default()
    }

    /// All metrics; those of further heads stand under `head/metric`.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut all = BTreeMap::new();
        for (i, head) in self.heads.iter().enumerate() {
            for (name, value) in head.metrics() {
                let name = if i == 0 { name.to_owned() } else { format!("{}/{name}", head.name) };
                all.insert(name, value);
            }
        }
        all
    }
}

impl HeadCounts {
    fn add(&mut self, truth: usize, predicted: usize) {
        if let Some(cell) = self.confusion.get_mut(truth).and_then(|row| row.get_mut(predicted)) {
            *cell += 1;
        }
    }

    fn metrics(&self) -> Vec<(&'static str, f64)> {
        if let Some([miou, dice, accuracy]) = mask_means(&self.pixels.per_class()) {
            return vec![("miou", miou), ("dice", dice), ("pixel_accuracy", accuracy)];
        }
        if self.count == 0 {
            return self.labels.metrics();
        }
        let correct: u64 = self.confusion.iter().enumerate().filter_map(|(i, row)| row.get(i)).sum();
        let share = |n: u64| n as f64 / self.count as f64;
        match self.kind {
            HeadKind::Classify { classes } if classes > 5 => vec![("top1", share(correct)), ("top5", share(self.top5))],
            HeadKind::Classify { .. } => vec![("top1", share(correct))],
            HeadKind::MultiLabel { .. } => self.labels.metrics(),
            HeadKind::PixelClassify { .. } | HeadKind::Detect { .. } | HeadKind::Prompted { .. } => Vec::new(),
        }
    }
}

/// The names of the metrics that a graph's runs have, `loss` among them.
#[must_use]
pub fn metric_names(graph: &Graph) -> Vec<String> {
    let of = |(i, head): (usize, &Head)| {
        let names: &[&str] = match head.kind {
            HeadKind::Classify { classes } if classes > 5 => &["top1", "top5"],
            HeadKind::Classify { .. } => &["top1"],
            HeadKind::MultiLabel { .. } => &multi_label::NAMES,
            HeadKind::PixelClassify { .. } => &["miou", "dice", "pixel_accuracy"],
            HeadKind::Detect { .. } if i == 0 => &["ap", "ap50", "ap75", "ar100"],
            HeadKind::Prompted { tells: PromptTells::Mask, .. } => &teach::METRICS,
            HeadKind::Detect { .. } | HeadKind::Prompted { .. } => &[],
        };
        let prefix = if i == 0 { String::new() } else { format!("{}/", head.name) };
        names.iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>()
    };
    std::iter::once("loss".to_owned()).chain(graph.heads.iter().enumerate().flat_map(of)).collect()
}

/// Index of the largest value; the first of equal ones.
pub fn argmax(values: impl Iterator<Item = f32>) -> usize {
    let better = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    values.enumerate().reduce(better).map_or(0, |(i, _)| i)
}

/// Whether more of this metric is better.
#[must_use]
pub fn higher_is_better(metric: &str) -> bool {
    metric != "loss" && metric.rsplit('/').next() != Some("hamming")
}

/// The metric by which a graph's runs are compared when the plan names none.
#[must_use]
pub fn default_metric(graph: &Graph) -> &'static str {
    match graph.heads.first().map(|head| &head.kind) {
        Some(HeadKind::PixelClassify { .. } | HeadKind::Prompted { .. }) => "miou",
        Some(HeadKind::Detect { .. }) => "ap",
        Some(HeadKind::MultiLabel { .. }) => "map",
        _ => "top1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::NodeId;

    fn graph(kind: HeadKind) -> Graph {
        let heads = vec![Head { name: "a".to_owned(), output: NodeId(0), kind }];
        Graph {
            name: String::new(),
            inputs: Vec::new(),
            nodes: Vec::new(),
            heads,
            detector: None,
            spellings: Vec::new(),
        }
    }

    #[test]
    fn top1_and_top5_by_hand() {
        let mut counts = Counts::new(&graph(HeadKind::Classify { classes: 6 }));
        counts.classified(0, &[0.1, 0.9, 0.0, 0.0, 0.0, 0.0], 1); // right
        counts.classified(0, &[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 4); // fifth
        counts.classified(0, &[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 5); // sixth
        let metrics = counts.metrics();
        assert!((metrics["top1"] - 1.0 / 3.0).abs() < 1e-12);
        assert!((metrics["top5"] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(counts.confusion()[4][0], 1);
    }

    #[test]
    fn miou_and_dice_by_hand_with_an_absent_class_and_ignored_pixels() {
        let mut counts = Counts::new(&graph(HeadKind::PixelClassify { classes: 3 }));
        let mut picture = MaskConfusion::new(3);
        picture.add(&[0, 0, 0, 1, 1, 2], &[0, 0, 1, 1, 0, 255]);
        counts.pixels(0, &picture);
        // class 0: 2 hits, 3 true, 3 predicted: IoU 2/4, Dice 4/6; class 1: 1 hit, 2, 2: IoU 1/3, Dice 2/4; class 2 absent
        let metrics = counts.metrics();
        assert!((metrics["miou"] - (0.5 + 1.0 / 3.0) / 2.0).abs() < 1e-12);
        assert!((metrics["dice"] - (4.0 / 6.0 + 0.5) / 2.0).abs() < 1e-12);
        assert!((metrics["pixel_accuracy"] - 3.0 / 5.0).abs() < 1e-12);
    }
}
