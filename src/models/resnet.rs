//! ResNet 18, 34, 50, 101, 152 (He et al. 2016, arXiv:1512.03385) under torchvision's names.
//!
//! torchvision's form (v1.5): the stride of a bottleneck sits in its 3×3 convolution. Left out: grouped and wide variants.

use super::catalogue::{ModelTask, PublicWeights, Variant};
use crate::graph::blocks::{BasicBlock, Bottleneck, Classifier, GlobalAvgPool, MaxPool, Stem, StemConv};
use crate::graph::{BlockSpec, Builder, Graph, GraphError, HeadKind, Norm, Part, Preprocess, Source};

/// Name, title, whether it has bottlenecks, blocks in each stage.
const VARIANTS: [(&str, &str, bool, [usize; 4]); 6] = [
    ("resnet18", "ResNet-18", false, [2, 2, 2, 2]),
    ("resnet34", "ResNet-34", false, [3, 4, 6, 3]),
    ("resnet50", "ResNet-50", true, [3, 4, 6, 3]),
    ("resnet101", "ResNet-101", true, [3, 4, 23, 3]),
    ("resnet152", "ResNet-152", true, [3, 8, 36, 3]),
    // Ours: half of the channels, one block in each stage, for the built-in sample. No public weights.
    (MINI, "ResNet mini", false, [1, 1, 1, 1]),
];

const MINI: &str = "resnet_mini";

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    VARIANTS
        .iter()
        .map(|&(name, title, ..)| {
            let weights = public(name);
            let first = weights.first().map(|weights| weights.preprocess.clone());
            Variant {
                name,
                title,
                family: "ResNet",
                task: ModelTask::Classify,
                preprocess: first.unwrap_or_else(|| Preprocess::imagenet(96)),
                weights,
                built_in: name == MINI,
                note: None,
                build: graph,
            }
        })
        .collect()
}

/// torchvision's entries.
pub(super) fn public(name: &str) -> Vec<PublicWeights> {
    let row = PublicWeights::torchvision;
    let (v1, v2) = ("IMAGENET1K_V1", "IMAGENET1K_V2");
    match name {
        "resnet18" => {
            vec![row(v1, "https://download.pytorch.org/models/resnet18-f37072fd.pth", 256, 11_689_512, 44.661, 69.758)]
        }
        "resnet34" => {
            vec![row(v1, "https://download.pytorch.org/models/resnet34-b627a593.pth", 256, 21_797_672, 83.275, 73.314)]
        }
        "resnet50" => vec![
            row(v1, "https://download.pytorch.org/models/resnet50-0676ba61.pth", 256, 25_557_032, 97.781, 76.130),
            row(v2, "https://download.pytorch.org/models/resnet50-11ad3fa6.pth", 232, 25_557_032, 97.79, 80.858),
        ],
        "resnet101" => vec![
            row(v1, "https://download.pytorch.org/models/resnet101-63fe2227.pth", 256, 44_549_160, 170.511, 77.374),
            row(v2, "https://download.pytorch.org/models/resnet101-cd907fc2.pth", 232, 44_549_160, 170.53, 81.886),
        ],
        "resnet152" => vec![
            row(v1, "https://download.pytorch.org/models/resnet152-394f9c45.pth", 256, 60_192_808, 230.434, 78.312),
            row(v2, "https://download.pytorch.org/models/resnet152-f82ba261.pth", 232, 60_192_808, 230.474, 82.284),
        ],
        _ => Vec::new(),
    }
}

/// The stages of a network of this family, for one that stands on it.
pub(super) struct Body {
    /// The output of each stage.
    pub stages: [Source; 4],
    /// Channels of each.
    pub channels: [usize; 4],
}

/// Adds stem and stages of the network `name`; their tensors stand under `prefix`.
pub(super) fn body(b: &mut Builder, name: &str, prefix: &str, norm: Norm) -> Result<Body, GraphError> {
    let (image, base) = (b.image(), width(name));
    let stem = b.named("stem", prefix, Stem { inputs: 3, outputs: base, norm }, &[image]);
    stages(b, name, prefix, norm, stem)
}

/// The same with the stem's pooling as a node of its own; the stem's map before it with its channels.
pub(super) fn body_with_stem(
    b: &mut Builder,
    name: &str,
    prefix: &str,
    norm: Norm,
) -> Result<((Source, usize), Body), GraphError> {
    let (image, base) = (b.image(), width(name));
    let stem = b.named("stem", prefix, StemConv { inputs: 3, outputs: base, norm }, &[image]);
    let pool = MaxPool { kernel: 3, stride: 2, padding: 1 };
    let pooled = b.named("maxpool", &format!("{prefix}.maxpool"), pool, &[stem]);
    Ok(((stem, base), stages(b, name, prefix, norm, pooled)?))
}

/// Channels of the stem.
fn width(name: &str) -> usize {
    if name == MINI { 32 } else { 64 }
}

/// Adds the stages of the network `name` behind `x`, the stem's output.
fn stages(b: &mut Builder, name: &str, prefix: &str, norm: Norm, mut x: Source) -> Result<Body, GraphError> {
    let Some(&(_, _, bottleneck, blocks)) = VARIANTS.iter().find(|variant| variant.0 == name) else {
        return Err(GraphError::Structure(format!("there is no ResNet named {name}")));
    };
    let base = width(name);
    let mut body = Body { stages: [x; 4], channels: [base; 4] };
    let mut inputs = base;
    for (i, &count) in blocks.iter().enumerate() {
        let stage = format!("layer{}", i + 1);
        b.stage(&stage);
        let width = base << i;
        for j in 0..count {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            let outputs = if bottleneck { 4 * width } else { width };
            let block: BlockSpec = if bottleneck {
                Bottleneck { inputs, width, outputs, stride, norm }.into()
            } else {
                BasicBlock { inputs, outputs, stride, norm }.into()
            };
            let path = format!("{stage}.{j}");
            let under = if prefix.is_empty() { path.clone() } else { format!("{prefix}.{path}") };
            x = b.named(&path, &under, block, &[x]);
            inputs = outputs;
        }
        (body.stages[i], body.channels[i]) = (x, inputs);
    }
    Ok(body)
}

fn graph(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let mut b = Builder::new(name, size_px, size_px);
    let body = body(&mut b, name, "", Norm::default())?;
    b.part(Part::Backbone);
    let x = b.node("avgpool", GlobalAvgPool {}, &[body.stages[3]]);
    b.part(Part::Head("cls".to_owned()));
    let logits = b.node("fc", Classifier::new(body.channels[3], classes), &[x]);
    b.head("cls", logits, HeadKind::Classify { classes });
    b.finish()
}
