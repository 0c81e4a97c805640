//! YOLOv8 n and s, written from the published drawing of the architecture and the names of the tensors, for people who
//! bring weights of their own.
//!
//! A backbone of cross-stage partial layers, a path aggregation network, and on each of its levels a branch for the class
//! and one for distributions of the distances to the box's sides. No weights are offered here: the publisher's are under
//! AGPL-3.0. Left out: m, l and x.

use super::catalogue::{ModelTask, Variant};
use crate::graph::blocks::{C2f, ConvUnit, DistanceLevels, Levels, Sppf, Tower};
use crate::graph::{
    Builder, Channels, Detector, Graph, GraphError, HeadKind, Init, Interpolation, Part, Preprocess, Resize, Source,
    TaskAligned, Tells,
};

/// Name, title, channels of the stem.
const VARIANTS: [(&str, &str, usize); 2] = [("yolov8n", "YOLOv8-n", 16), ("yolov8s", "YOLOv8-s", 32)];

/// Side of a cell of each level in pixels.
const STRIDES: [usize; 3] = [8, 16, 32];

/// Values of the distribution of a distance.
const BINS: usize = 16;

const NOTE: &str = "no weights are offered here: bring your own .pt file; Ultralytics puts its yolov8 weights, and by its own \
                    reading what is trained from them, under AGPL-3.0 or a license to buy";

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    VARIANTS
        .iter()
        .map(|&(name, title, _)| Variant {
            name,
            title,
            family: "YOLOv8",
            task: ModelTask::Detect,
            preprocess: Preprocess {
                size: [640, 640],
                resize: Resize::LetterboxCentre { fill: 114 },
                interpolation: Interpolation::Bilinear,
                antialias: false,
                channels: Channels::Rgb,
                divide_by: 255.0,
                mean: [0.0; 3],
                std: [1.0; 3],
            },
            weights: Vec::new(),
            built_in: false,
            note: Some(NOTE),
            build: graph,
        })
        .collect()
}

fn graph(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let Some(&(_, _, base)) = VARIANTS.iter().find(|variant| variant.0 == name) else {
        return Err(GraphError::Structure(format!("there is no YOLOv8 named {name}")));
    };
    let mut b = Builder::new(name, size_px, size_px);
    let features = backbone(&mut b, base);
    let levels = neck(&mut b, base, features);
    heads(&mut b, base, levels, classes);
    b.detector(Detector::TaskAligned(TaskAligned { classes, strides: STRIDES.to_vec(), bins: BINS }));
    b.finish()
}

/// The stages at an eighth, a sixteenth and a thirty-second of the picture's size.
fn backbone(b: &mut Builder, base: usize) -> [Source; 3] {
    b.stage("stem");
    let image = b.image();
    let mut x = b.node("model.0", ConvUnit::new(3, base, 3, 2), &[image]);
    let mut stages = [x; 4];
    for (i, (stage, count)) in stages.iter_mut().zip([1, 2, 2, 1]).enumerate() {
        b.stage(&format!("stage{}", i + 1));
        let (inputs, outputs) = (base << i, base << (i + 1));
        x = b.node(&format!("model.{}", 2 * i + 1), ConvUnit::new(inputs, outputs, 3, 2), &[x]);
        let layer = C2f { upsample: 1, inputs: outputs, outputs, count, shortcut: true };
        x = b.node(&format!("model.{}", 2 * i + 2), layer, &[x]);
        *stage = x;
    }
    let [_, eighth, sixteenth, last] = stages;
    let last = b.node("model.9", Sppf { inputs: 16 * base, outputs: 16 * base }, &[last]);
    [eighth, sixteenth, last]
}

/// Down to the finest level and up again. The numbers between are joins and enlargements, which have no tensors.
fn neck(b: &mut Builder, base: usize, [eighth, sixteenth, last]: [Source; 3]) -> [Source; 3] {
    let [c3, c4, c5] = [4, 8, 16].map(|times| times * base);
    let layer = |upsample, inputs, outputs| C2f { upsample, inputs, outputs, count: 1, shortcut: false };
    b.part(Part::Neck);
    b.stage("top-down");
    let p4 = b.node("model.12", layer(2, c5 + c4, c4), &[last, sixteenth]);
    let p3 = b.node("model.15", layer(2, c4 + c3, c3), &[p4, eighth]);
    b.stage("bottom-up");
    let down = b.node("model.16", ConvUnit::new(c3, c3, 3, 2), &[p3]);
    let n4 = b.node("model.18", layer(1, c3 + c4, c4), &[down, p4]);
    let down = b.node("model.19", ConvUnit::new(c4, c4, 3, 2), &[n4]);
    let n5 = b.node("model.21", layer(1, c4 + c5, c5), &[down, last]);
    [p3, n4, n5]
}

/// A branch for the class and one for the distances to the sides on each level.
fn heads(b: &mut Builder, base: usize, levels: [Source; 3], classes: usize) {
    let inputs = [4, 8, 16].map(|times| times * base);
    let branches = |b: &mut Builder, name: &str, channels: usize, outputs: usize, bias: &dyn Fn(usize) -> f32| {
        let mut maps = Vec::with_capacity(levels.len());
        for (i, ((level, inputs), stride)) in levels.iter().zip(inputs).zip(STRIDES).enumerate() {
            let predictor = Some((outputs, Init::Constant(bias(stride))));
            let tower = Tower { inputs, channels, separable: false, predictor };
            maps.push(b.named(&format!("{name}.{i}"), &format!("model.22.{name}.{i}"), tower, &[*level]));
        }
        maps
    };
    b.part(Part::Head("class".to_owned()));
    b.stage("class");
    // At first as if a picture of 640 px had five objects.
    let prior = |stride: usize| (5.0 / classes.max(1) as f32 / (640.0 / stride as f32).powi(2)).ln();
    let maps = branches(b, "cv3", inputs[0].max(classes.min(100)), classes, &prior);
    let output = b.node("class.levels", Levels {}, &maps);
    b.head("class", output, HeadKind::Detect { classes, tells: Tells::Class });
    b.part(Part::Head("box".to_owned()));
    b.stage("box");
    let maps = branches(b, "cv2", (inputs[0] / 4).max(4 * BINS), 4 * BINS, &|_| 1.0);
    let output = b.named("box.levels", "model.22.dfl", DistanceLevels { bins: BINS }, &maps);
    b.head("box", output, HeadKind::Detect { classes, tells: Tells::Box });
}
