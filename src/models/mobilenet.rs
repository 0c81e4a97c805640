//! MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) with five width multipliers and MobileNetV3 large and small
//! (Howard et al. 2019, arXiv:1905.02244) under torchvision's names.
//!
//! torchvision publishes weights of MobileNetV2 at width 1 only. Left out: V3's dilated and reduced forms.
//!
//! Stages are the resolutions: `stage1` works at half the picture's, `stage5` at a thirty-second. V3's linear layer
//! before the last belongs to its last stage, as in the paper; the head is the last linear layer.

use super::catalogue::{ModelTask, PublicWeights, Variant};
use crate::graph::blocks::{Activation, Classifier, ConvNormAct, Dense, GlobalAvgPool, InvertedResidual};
use crate::graph::{Builder, Conv, Graph, GraphError, HeadKind, Init, Norm, Part, Preprocess, Source};

/// Name, title, width multiplier of V2.
const V2: [(&str, &str, f64); 5] = [
    ("mobilenet_v2", "MobileNetV2", 1.0),
    ("mobilenet_v2_0.35", "MobileNetV2 ×0.35", 0.35),
    ("mobilenet_v2_0.5", "MobileNetV2 ×0.5", 0.5),
    ("mobilenet_v2_0.75", "MobileNetV2 ×0.75", 0.75),
    ("mobilenet_v2_1.4", "MobileNetV2 ×1.4", 1.4),
];

/// V2's groups of blocks: expansion, channels, blocks, stride of the first.
const V2_GROUPS: [[usize; 4]; 7] =
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

/// A block of V3: kernel, expanded channels, output channels, squeeze-excitation, hard swish (else ReLU), stride.
type Block = (usize, usize, usize, bool, bool, usize);

const V3_LARGE: [Block; 15] = [
    (3, 16, 16, false, false, 1),
    (3, 64, 24, false, false, 2),
    (3, 72, 24, false, false, 1),
    (5, 72, 40, true, false, 2),
    (5, 120, 40, true, false, 1),
    (5, 120, 40, true, false, 1),
    (3, 240, 80, false, true, 2),
    (3, 200, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 480, 112, true, true, 1),
    (3, 672, 112, true, true, 1),
    (5, 672, 160, true, true, 2),
    (5, 960, 160, true, true, 1),
    (5, 960, 160, true, true, 1),
];

const V3_SMALL: [Block; 11] = [
    (3, 16, 16, true, false, 2),
    (3, 72, 24, false, false, 2),
    (3, 88, 24, false, false, 1),
    (5, 96, 40, true, true, 2),
    (5, 240, 40, true, true, 1),
    (5, 240, 40, true, true, 1),
    (5, 120, 48, true, true, 1),
    (5, 144, 48, true, true, 1),
    (5, 288, 96, true, true, 2),
    (5, 576, 96, true, true, 1),
    (5, 576, 96, true, true, 1),
];

/// V3's batch norms differ from torch's default.
const V3_NORM: Norm = Norm { epsilon: 1e-3, momentum: 0.01, frozen: false };

/// What else timm's networks have otherwise.
const V3_TIMM: &str =
    "its batch norms add 1e-5 to the variance, these 1e-3, so that answers differ a little until trained";

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    let second = V2.iter().map(|&(name, title, _)| variant(name, title, v2));
    let third = [("mobilenet_v3_large", "MobileNetV3 large"), ("mobilenet_v3_small", "MobileNetV3 small")];
    second.chain(third.map(|(name, title)| variant(name, title, v3))).collect()
}

fn variant(
    name: &'static str,
    title: &'static str,
    build: fn(&str, usize, usize) -> Result<Graph, GraphError>,
) -> Variant {
    let weights = public(name);
    Variant {
        name,
        title,
        family: "MobileNet",
        task: ModelTask::Classify,
        preprocess: Preprocess::imagenet(224),
        weights,
        built_in: false,
        note: None,
        build,
    }
}

/// torchvision's entries.
#[rustfmt::skip]
fn public(name: &str) -> Vec<PublicWeights> {
    let row = PublicWeights::torchvision;
    let (v1, v2) = ("IMAGENET1K_V1", "IMAGENET1K_V2");
    match name {
        "mobilenet_v2" => vec![
            row(v1, "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth", 256, 3_504_872, 13.555, 71.878),
            row(v2, "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth", 232, 3_504_872, 13.598, 72.154),
        ],
        "mobilenet_v3_large" => vec![
            row(v1, "https://download.pytorch.org/models/mobilenet_v3_large-8738ca79.pth", 256, 5_483_032, 21.114, 74.042),
            row(v2, "https://download.pytorch.org/models/mobilenet_v3_large-5c1a4163.pth", 232, 5_483_032, 21.107, 75.274),
        ],
        "mobilenet_v3_small" => vec![
            row(v1, "https://download.pytorch.org/models/mobilenet_v3_small-047dcff4.pth", 256, 2_542_856, 9.829, 67.668),
        ],
        _ => Vec::new(),
    }
}

/// `channels * multiplier` as the nearest multiple of 8, at most a tenth less (torchvision's `_make_divisible`).
fn scaled(channels: usize, multiplier: f64) -> usize {
    let exact = channels as f64 * multiplier;
    let rounded = ((exact + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * exact { rounded + 8 } else { rounded }
}

/// What both versions share: a first convolution, blocks in stages of one resolution, a last convolution to `last`
/// channels. Nodes are `features.0`, `features.1`, ...
struct Features {
    b: Builder,
    x: Source,
    channels: usize,
    nodes: usize,
    stage: usize,
    activation: Activation,
    norm: Norm,
    /// timm's names of the modules: here, there.
    timm: Vec<(String, String)>,
}

impl Features {
    fn new(name: &str, size_px: usize, first: usize, activation: Activation, norm: Norm) -> Self {
        let b = Builder::new(name, size_px, size_px);
        let x = b.image();
        let mut features = Self { b, x, channels: 3, nodes: 0, stage: 0, activation, norm, timm: Vec::new() };
        features.conv(first, 3, 2, ["conv_stem", "bn1"]);
        features
    }

    /// Where a node of this stride goes: a larger stride than 1 begins a stage.
    fn place(&mut self, stride: usize) -> String {
        if stride > 1 {
            self.stage += 1;
            self.b.stage(&format!("stage{}", self.stage));
        }
        self.nodes += 1;
        format!("features.{}", self.nodes - 1)
    }

    fn conv(&mut self, outputs: usize, kernel: usize, stride: usize, timm: [&str; 2]) {
        let path = self.place(stride);
        self.timm.extend((0..).zip(timm).map(|(i, timm)| (format!("{path}.{i}"), timm.to_owned())));
        let conv = Conv::new(self.channels, outputs, kernel, stride);
        let block = ConvNormAct { conv, activation: self.activation, norm: self.norm };
        self.x = self.b.node(&path, block, &[self.x]);
        self.channels = outputs;
    }

    /// timm calls the block `blocks.GROUP.INDEX`.
    fn block(&mut self, sequential: &str, block: InvertedResidual, [group, index]: [usize; 2]) {
        let path = self.place(block.stride);
        let prefix = format!("{path}.{sequential}");
        let timm = |name: &str| format!("blocks.{group}.{index}.{name}");
        let convs: &[&str] =
            if block.hidden == block.inputs { &["conv_dw", "conv_pw"] } else { &["conv_pw", "conv_dw", "conv_pwl"] };
        let mut at = 0;
        for (i, conv) in convs.iter().enumerate() {
            let bare = !block.nested && i + 1 == convs.len();
            let [here, norm] =
                if bare { [format!("{at}"), format!("{}", at + 1)] } else { [0, 1].map(|k| format!("{at}.{k}")) };
            self.timm.push((format!("{prefix}.{here}"), timm(conv)));
            self.timm.push((format!("{prefix}.{norm}"), timm(&format!("bn{}", i + 1))));
            at += 1;
            if *conv == "conv_dw" && block.squeezed.is_some() {
                self.timm.push((format!("{prefix}.{at}.fc1"), timm("se.conv_reduce")));
                self.timm.push((format!("{prefix}.{at}.fc2"), timm("se.conv_expand")));
                at += 1;
            }
        }
        self.channels = block.outputs;
        self.x = self.b.named(&path, &prefix, block, &[self.x]);
    }

    fn head(mut self, path: &str, classes: usize, timm_note: &str) -> Result<Graph, GraphError> {
        self.timm.push((path.to_owned(), "classifier".to_owned()));
        self.b.spelling("timm", timm_note, std::mem::take(&mut self.timm));
        self.b.part(Part::Head("cls".to_owned()));
        let head = Classifier { dropout: 0.2, init: Init::Normal(0.01), ..Classifier::new(self.channels, classes) };
        let logits = self.b.node(path, head, &[self.x]);
        self.b.head("cls", logits, HeadKind::Classify { classes });
        self.b.finish()
    }
}

fn v2(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let Some(&(_, _, width)) = V2.iter().find(|variant| variant.0 == name) else {
        return Err(GraphError::Structure(format!("there is no MobileNetV2 named {name}")));
    };
    let norm = Norm::default();
    let mut f = Features::new(name, size_px, scaled(32, width), Activation::Relu6, norm);
    for (group, [expansion, channels, count, stride]) in V2_GROUPS.into_iter().enumerate() {
        for i in 0..count {
            let block = InvertedResidual {
                inputs: f.channels,
                hidden: f.channels * expansion,
                outputs: scaled(channels, width),
                kernel: 3,
                stride: if i == 0 { stride } else { 1 },
                squeezed: None,
                activation: Activation::Relu6,
                norm,
                nested: false,
            };
            f.block("conv", block, [group, i]);
        }
    }
    f.conv(scaled(1280, width.max(1.0)), 1, 1, ["conv_head", "bn2"]);
    f.b.part(Part::Backbone);
    f.x = f.b.node("avgpool", GlobalAvgPool {}, &[f.x]);
    f.head("classifier.1", classes, "")
}

fn v3(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let (blocks, dense): (&[Block], usize) = match name {
        "mobilenet_v3_large" => (&V3_LARGE, 1280),
        "mobilenet_v3_small" => (&V3_SMALL, 1024),
        _ => return Err(GraphError::Structure(format!("there is no MobileNetV3 named {name}"))),
    };
    let mut f = Features::new(name, size_px, 16, Activation::Hardswish, V3_NORM);
    let (mut group, mut index) = (0, 0);
    for &(kernel, hidden, outputs, squeezes, hard, stride) in blocks {
        let block = InvertedResidual {
            inputs: f.channels,
            hidden,
            outputs,
            kernel,
            stride,
            squeezed: squeezes.then(|| scaled(hidden / 4, 1.0)),
            activation: if hard { Activation::Hardswish } else { Activation::Relu },
            norm: V3_NORM,
            nested: true,
        };
        // The first convolution has as many channels as the first group.
        (group, index) = match f.nodes {
            1 => (0, 0),
            _ if outputs == f.channels => (group, index + 1),
            _ => (group + 1, 0),
        };
        f.block("block", block, [group, index]);
    }
    let [conv, norm] = ["conv", "bn1"].map(|name| format!("blocks.{}.0.{name}", group + 1));
    f.conv(6 * f.channels, 1, 1, [&conv, &norm]);
    f.timm.push(("classifier.0".to_owned(), "conv_head".to_owned()));
    f.x = f.b.node("avgpool", GlobalAvgPool {}, &[f.x]);
    let block = Dense {
        inputs: f.channels,
        outputs: dense,
        activation: Activation::Hardswish,
        dropout: 0.0,
        init: Dense::default_init(),
    };
    f.x = f.b.node("classifier.0", block, &[f.x]);
    f.channels = dense;
    f.head("classifier.3", classes, V3_TIMM)
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn channels_are_scaled_as_torchvision_scales_them() {
        // [_make_divisible(c * w, 8) for ...] of torchvision.models._utils.
        assert_eq!([32, 16, 24, 96, 320, 1280].map(|c| scaled(c, 0.35)), [16, 8, 8, 32, 112, 448]);
        assert_eq!([32, 16, 24, 96, 320, 1280].map(|c| scaled(c, 1.4)), [48, 24, 32, 136, 448, 1792]);
        assert_eq!(scaled(72 / 4, 1.0), 24);
    }
}
