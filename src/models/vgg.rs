//! VGG 11, 13, 16, 19 with and without batch normalisation (Simonyan & Zisserman 2015, arXiv:1409.1556) under
//! torchvision's names.
//!
//! Left out: the single-shot detector's weights of VGG-16, which lack the classifier.
//!
//! The head is the last linear layer, as in torchvision's tutorial on transfer learning. The two before it (a node each,
//! stage `fc`) are features that the public weights hold, so they belong to the backbone and stay frozen with it.

use super::catalogue::{ModelTask, PublicWeights, Variant};
use crate::graph::blocks::{Activation, Classifier, Dense, MaxPool, PlainConv, PoolFlatten};
use crate::graph::{Builder, Conv, Graph, GraphError, HeadKind, Init, Norm, Part, Preprocess};

/// Name, title, convolutions before each of the five pools, batch norm; of the public weights: address, parameters, MiB,
/// top-1 in percent.
type Row = (&'static str, &'static str, [usize; 5], bool, &'static str, u64, f64, f64);

#[rustfmt::skip]
const VARIANTS: [Row; 8] = [
    ("vgg11", "VGG-11", [1, 1, 2, 2, 2], false, "https://download.pytorch.org/models/vgg11-8a719046.pth", 132_863_336, 506.84, 69.020),
    ("vgg13", "VGG-13", [2, 2, 2, 2, 2], false, "https://download.pytorch.org/models/vgg13-19584684.pth", 133_047_848, 507.545, 69.928),
    ("vgg16", "VGG-16", [2, 2, 3, 3, 3], false, "https://download.pytorch.org/models/vgg16-397923af.pth", 138_357_544, 527.796, 71.592),
    ("vgg19", "VGG-19", [2, 2, 4, 4, 4], false, "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", 143_667_240, 548.051, 72.376),
    ("vgg11_bn", "VGG-11 BN", [1, 1, 2, 2, 2], true, "https://download.pytorch.org/models/vgg11_bn-6002323d.pth", 132_868_840, 506.881, 70.370),
    ("vgg13_bn", "VGG-13 BN", [2, 2, 2, 2, 2], true, "https://download.pytorch.org/models/vgg13_bn-abd245e5.pth", 133_053_736, 507.59, 71.586),
    ("vgg16_bn", "VGG-16 BN", [2, 2, 3, 3, 3], true, "https://download.pytorch.org/models/vgg16_bn-6c64b313.pth", 138_365_992, 527.866, 73.360),
    ("vgg19_bn", "VGG-19 BN", [2, 2, 4, 4, 4], true, "https://download.pytorch.org/models/vgg19_bn-c79401a0.pth", 143_678_248, 548.143, 74.218),
];

/// Channels before each of the five pools.
const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    VARIANTS
        .iter()
        .map(|&(name, title, _, _, url, params, size_mib, top1)| Variant {
            name,
            title,
            family: "VGG",
            task: ModelTask::Classify,
            preprocess: Preprocess::imagenet(224),
            weights: vec![PublicWeights::torchvision("IMAGENET1K_V1", url, 256, params, size_mib, top1)],
            built_in: false,
            note: None,
            build: graph,
        })
        .collect()
}

fn graph(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let Some(&(_, _, blocks, normed, ..)) = VARIANTS.iter().find(|variant| variant.0 == name) else {
        return Err(GraphError::Structure(format!("there is no VGG named {name}")));
    };
    let norm = normed.then(Norm::default);
    let mut b = Builder::new(name, size_px, size_px);
    let (mut x, mut inputs, mut at) = (b.image(), 3, 0);
    for (i, (&count, outputs)) in blocks.iter().zip(WIDTHS).enumerate() {
        b.stage(&format!("block{}", i + 1));
        for _ in 0..count {
            let block = PlainConv { at, conv: Conv::new(inputs, outputs, 3, 1).with_bias(), norm };
            at += block.steps().len();
            x = b.named(&format!("features.{}", block.at), "features", block, &[x]);
            inputs = outputs;
        }
        x = b.node(&format!("features.{at}"), MaxPool::new(2, 2), &[x]);
        at += 1;
    }
    b.part(Part::Backbone);
    x = b.node("avgpool", PoolFlatten { side: 7 }, &[x]);
    b.stage("fc");
    let dense = |inputs, dropout| Dense {
        inputs,
        outputs: 4096,
        activation: Activation::Relu,
        dropout,
        init: Dense::default_init(),
    };
    x = b.node("classifier.0", dense(7 * 7 * inputs, 0.0), &[x]);
    x = b.node("classifier.3", dense(4096, 0.5), &[x]);
    b.part(Part::Head("cls".to_owned()));
    let head = Classifier { dropout: 0.5, init: Init::Normal(0.01), ..Classifier::new(4096, classes) };
    let logits = b.node("classifier.6", head, &[x]);
    b.head("cls", logits, HeadKind::Classify { classes });
    let timm = [("classifier.0", "pre_logits.fc1"), ("classifier.3", "pre_logits.fc2"), ("classifier.6", "head.fc")];
    b.spelling("timm", "", timm.map(|(here, there)| (here.to_owned(), there.to_owned())).to_vec());
    b.finish()
}
