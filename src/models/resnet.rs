//! ResNet 18, 34, 50, 101, 152 (He et al. 2016, arXiv:1512.03385) under torchvision's names.
//!
//! torchvision's form (v1.5): the stride of a bottleneck sits in its 3×3 convolution. Left out: grouped and wide variants.

use super::catalogue::{ModelTask, PublicWeights, Variant};
use crate::graph::blocks::{BasicBlock, Bottleneck, Classifier, GlobalAvgPool, Stem};
use crate::graph::{BlockSpec, Builder, Graph, GraphError, HeadKind, Part, Preprocess};

/// Name, title, whether it has bottlenecks, blocks in each stage, file of the public weights.
const VARIANTS: [(&str, &str, bool, [usize; 4], &str); 6] = [
    ("resnet18", "ResNet-18", false, [2, 2, 2, 2], "resnet18-f37072fd.pth"),
    ("resnet34", "ResNet-34", false, [3, 4, 6, 3], "resnet34-b627a593.pth"),
    ("resnet50", "ResNet-50", true, [3, 4, 6, 3], "resnet50-0676ba61.pth"),
    ("resnet101", "ResNet-101", true, [3, 4, 23, 3], "resnet101-63fe2227.pth"),
    ("resnet152", "ResNet-152", true, [3, 8, 36, 3], "resnet152-394f9c45.pth"),
    // Ours: a quarter of the channels, for the built-in sample. No public weights.
    ("resnet_mini", "ResNet mini", false, [1, 1, 1, 1], ""),
];

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    VARIANTS
        .iter()
        .map(|&(name, title, _, _, file)| Variant {
            name,
            title,
            family: "ResNet",
            task: ModelTask::Classify,
            preprocess: Preprocess::imagenet(if file.is_empty() { 96 } else { 224 }),
            weights: public(file),
            built_in: file.is_empty(),
            build: graph,
        })
        .collect()
}

fn public(file: &'static str) -> Vec<PublicWeights> {
    let url = match file {
        "resnet18-f37072fd.pth" => "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        "resnet34-b627a593.pth" => "https://download.pytorch.org/models/resnet34-b627a593.pth",
        "resnet50-0676ba61.pth" => "https://download.pytorch.org/models/resnet50-0676ba61.pth",
        "resnet101-63fe2227.pth" => "https://download.pytorch.org/models/resnet101-63fe2227.pth",
        "resnet152-394f9c45.pth" => "https://download.pytorch.org/models/resnet152-394f9c45.pth",
        _ => return Vec::new(),
    };
    vec![PublicWeights { url, file, license: "BSD-3-Clause", trained_on: "ImageNet-1k", classes: 1000 }]
}

fn graph(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let Some(&(_, _, bottleneck, blocks, file)) = VARIANTS.iter().find(|variant| variant.0 == name) else {
        return Err(GraphError::Structure(format!("there is no ResNet named {name}")));
    };
    let base = if file.is_empty() { 32 } else { 64 };
    let mut b = Builder::new(name, size_px, size_px);
    let mut x = b.named("stem", "", Stem { inputs: 3, outputs: base }, &[b.image()]);
    let mut inputs = base;
    for (i, &count) in blocks.iter().enumerate() {
        let stage = format!("layer{}", i + 1);
        b.stage(&stage);
        let width = base << i;
        for j in 0..count {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            let outputs = if bottleneck { 4 * width } else { width };
            let block: BlockSpec = if bottleneck {
                Bottleneck { inputs, width, outputs, stride }.into()
            } else {
                BasicBlock { inputs, outputs, stride }.into()
            };
            x = b.node(&format!("{stage}.{j}"), block, &[x]);
            inputs = outputs;
        }
    }
    b.part(Part::Backbone);
    x = b.node("avgpool", GlobalAvgPool {}, &[x]);
    b.part(Part::Head("cls".to_owned()));
    let logits = b.node("fc", Classifier { inputs, classes }, &[x]);
    b.head("cls", logits, HeadKind::Classify { classes });
    b.finish()
}
