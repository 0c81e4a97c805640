//! YOLOX nano, tiny, s and m (Ge et al. 2021, arXiv:2107.08430) under Megvii's names.
//!
//! A cross-stage partial Darknet, a path aggregation network on its last three stages, and for each of its levels a
//! branch for the class and one for box and objectness. Left out: l, x and the form on Darknet-53.

use super::catalogue::{Accuracy, ModelTask, PublicWeights, Variant};
use crate::graph::blocks::{CellPredictor, ConvUnit, CspLayer, Focus, Levels, SppBottleneck, Tower};
use crate::graph::{
    Builder, Channels, Detector, Graph, GraphError, HeadKind, Init, Interpolation, Part, Preprocess, Resize, SimOta,
    Source, Tells,
};

/// Name, title, depth and width in relation to the largest form's, separable convolutions, input side in pixels; of the
/// public weights: address, parameters, AP on COCO in percent.
type Row = (&'static str, &'static str, f64, f64, bool, u32, &'static str, u64, f64);

#[rustfmt::skip]
const VARIANTS: [Row; 4] = [
    ("yolox_nano", "YOLOX-nano", 0.33, 0.25, true, 416, "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.pth", 912_159, 25.8),
    ("yolox_tiny", "YOLOX-tiny", 0.33, 0.375, false, 416, "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_tiny.pth", 5_055_855, 32.8),
    ("yolox_s", "YOLOX-s", 0.33, 0.5, false, 640, "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_s.pth", 8_968_255, 40.5),
    ("yolox_m", "YOLOX-m", 0.67, 0.75, false, 640, "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_m.pth", 25_326_495, 46.9),
];

/// Side of a cell of each level in pixels.
const STRIDES: [usize; 3] = [8, 16, 32];

/// What class and objectness of a new head are worth at first: one in a hundred.
const PRIOR: f32 = 0.01;

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    VARIANTS
        .iter()
        .map(|&(name, title, _, _, _, size, url, params, box_ap)| Variant {
            name,
            title,
            family: "YOLOX",
            task: ModelTask::Detect,
            preprocess: preprocess(size),
            weights: vec![PublicWeights {
                name: "COCO",
                url,
                file: url.rsplit('/').next().unwrap_or(url),
                license: "Apache-2.0",
                of_backbone: false,
                trained_on: "COCO 2017",
                classes: 80,
                preprocess: preprocess(size),
                params,
                size_mib: None,
                accuracy: Accuracy::BoxAp(box_ap),
                sha256: None,
            }],
            built_in: false,
            note: None,
            build: graph,
        })
        .collect()
}

/// Megvii's rule since 0.1.1: blue first, 0 to 255, the picture in the upper left corner of a gray square. Megvii shrinks
/// with OpenCV, which passes over pixels; here all count, as Pillow has it.
fn preprocess(size: u32) -> Preprocess {
    Preprocess {
        size: [size, size],
        resize: Resize::LetterboxTopLeft { fill: 114 },
        interpolation: Interpolation::Bilinear,
        antialias: true,
        channels: Channels::Bgr,
        divide_by: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

/// What all parts share while the graph is written down.
struct Writer {
    b: Builder,
    /// Bottlenecks of the shortest stage.
    depth: usize,
    /// Channels of the stem.
    base: usize,
    separable: bool,
}

fn graph(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let Some(&(_, _, depth, width, separable, ..)) = VARIANTS.iter().find(|variant| variant.0 == name) else {
        return Err(GraphError::Structure(format!("there is no YOLOX named {name}")));
    };
    let depth = (3.0 * depth).round().max(1.0) as usize;
    let mut w = Writer { b: Builder::new(name, size_px, size_px), depth, base: (64.0 * width) as usize, separable };
    let features = w.backbone();
    let levels = w.neck(features);
    w.heads(levels, classes);
    w.b.detector(Detector::SimOta(SimOta { classes, strides: STRIDES.to_vec() }));
    w.b.finish()
}

impl Writer {
    /// A node whose tensors stand under `within`.
    fn node(&mut self, within: &str, path: &str, block: impl Into<crate::graph::BlockSpec>, from: &[Source]) -> Source {
        self.b.named(path, &format!("{within}.{path}"), block, from)
    }

    fn csp(&self, inputs: usize, outputs: usize, count: usize, shortcut: bool) -> CspLayer {
        CspLayer { upsample: 1, inputs, outputs, count, shortcut, separable: self.separable }
    }

    /// The stages at an eighth, a sixteenth and a thirty-second of the picture's size.
    fn backbone(&mut self) -> [Source; 3] {
        let within = "backbone.backbone";
        let image = self.b.image();
        let mut x = self.node(within, "stem", Focus { outputs: self.base }, &[image]);
        let mut stages = [x; 4];
        for (i, stage) in stages.iter_mut().enumerate() {
            let name = format!("dark{}", i + 2);
            self.b.stage(&name);
            let (inputs, outputs) = (self.base << i, self.base << (i + 1));
            let down = ConvUnit::new(inputs, outputs, 3, 2).separable(self.separable);
            x = self.node(within, &format!("{name}.0"), down, &[x]);
            let last = i == 3;
            if last {
                x = self.node(within, &format!("{name}.1"), SppBottleneck { inputs: outputs, outputs }, &[x]);
            }
            let count = if i == 1 || i == 2 { 3 * self.depth } else { self.depth };
            let layer = self.csp(outputs, outputs, count, !last);
            x = self.node(within, &format!("{name}.{}", if last { 2 } else { 1 }), layer, &[x]);
            *stage = x;
        }
        let [_, eighth, sixteenth, last] = stages;
        [eighth, sixteenth, last]
    }

    /// Down to the finest level and up again (Liu et al. 2018, arXiv:1803.01534), then each level in the heads' width.
    fn neck(&mut self, [eighth, sixteenth, last]: [Source; 3]) -> [Source; 3] {
        let within = "backbone";
        let [c3, c4, c5] = [4, 8, 16].map(|times| times * self.base);
        let (count, separable) = (self.depth, self.separable);
        let merge = |w: &Self, inputs, outputs| CspLayer { upsample: 2, ..w.csp(inputs, outputs, count, false) };
        self.b.part(Part::Neck);
        self.b.stage("top-down");
        let lateral = self.node(within, "lateral_conv0", ConvUnit::new(c5, c4, 1, 1), &[last]);
        let merged = merge(self, 2 * c4, c4);
        let p4 = self.node(within, "C3_p4", merged, &[lateral, sixteenth]);
        let reduced = self.node(within, "reduce_conv1", ConvUnit::new(c4, c3, 1, 1), &[p4]);
        let merged = merge(self, 2 * c3, c3);
        let p3 = self.node(within, "C3_p3", merged, &[reduced, eighth]);
        self.b.stage("bottom-up");
        let down = self.node(within, "bu_conv2", ConvUnit::new(c3, c3, 3, 2).separable(separable), &[p3]);
        let layer = self.csp(2 * c3, c4, count, false);
        let n3 = self.node(within, "C3_n3", layer, &[down, reduced]);
        let down = self.node(within, "bu_conv1", ConvUnit::new(c4, c4, 3, 2).separable(separable), &[n3]);
        let layer = self.csp(2 * c4, c5, count, false);
        let n4 = self.node(within, "C3_n4", layer, &[down, lateral]);
        self.b.stage("stems");
        let mut levels = [p3, n3, n4];
        for (i, (level, inputs)) in levels.iter_mut().zip([c3, c4, c5]).enumerate() {
            *level = self.node("head", &format!("stems.{i}"), ConvUnit::new(inputs, c3, 1, 1), &[*level]);
        }
        levels
    }

    /// A tower for the class and one for box and objectness on each level.
    fn heads(&mut self, levels: [Source; 3], classes: usize) {
        let prior = Init::Constant(-((1.0 - PRIOR) / PRIOR).ln());
        let bias = Init::UniformFanIn { fan_in: 4 * self.base };
        let of_class = self.head("class", Some("cls_convs"), levels);
        self.predict("class", "cls_preds", of_class, classes, prior, HeadKind::Detect { classes, tells: Tells::Class });
        let of_box = self.head("box", Some("reg_convs"), levels);
        self.predict("box", "reg_preds", of_box, 4, bias, HeadKind::Detect { classes, tells: Tells::Box });
        let shared = self.head("objectness", None, of_box);
        let kind = HeadKind::Detect { classes, tells: Tells::Objectness };
        self.predict("objectness", "obj_preds", shared, 1, prior, kind);
    }

    /// Begins a head with its towers, if it has some of its own.
    fn head(&mut self, name: &str, towers: Option<&str>, mut levels: [Source; 3]) -> [Source; 3] {
        self.b.part(Part::Head(name.to_owned()));
        self.b.stage(name);
        if let Some(towers) = towers {
            for (i, level) in levels.iter_mut().enumerate() {
                let channels = 4 * self.base;
                let tower = Tower { inputs: channels, channels, separable: self.separable, predictor: None };
                *level = self.node("head", &format!("{towers}.{i}"), tower, &[*level]);
            }
        }
        levels
    }

    /// Ends a head: raw outputs of each level.
    fn predict(&mut self, head: &str, name: &str, levels: [Source; 3], outputs: usize, bias: Init, kind: HeadKind) {
        let predictor = CellPredictor { inputs: 4 * self.base, outputs, bias };
        let mut maps = Vec::with_capacity(levels.len());
        for (i, level) in levels.iter().enumerate() {
            maps.push(self.node("head", &format!("{name}.{i}"), predictor, &[*level]));
        }
        let output = self.b.node(&format!("{head}.levels"), Levels {}, &maps);
        self.b.head(head, output, kind);
    }
}
