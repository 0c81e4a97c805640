//! U-Net (Ronneberger et al. 2015, arXiv:1505.04597) whose way down is a `ResNet`, under the names of
//! `segmentation_models.pytorch`: `encoder` is the backbone, `decoder` the neck, `segmentation_head` the head.
//!
//! A classifier's checkpoint from `ImageNet` fills the backbone, so that it can be frozen under a new decoder. Sides must be
//! multiples of 32 px, as there. Left out: attention in the decoder, other depths, other encoders.

use super::catalogue::{ModelTask, PublicWeights, Variant};
use super::resnet;
use crate::graph::blocks::{MapClassifier, SkipDecoder};
use crate::graph::{Builder, Graph, GraphError, HeadKind, Norm, Part, Preprocess, Resize};

/// Name, title, encoder.
const VARIANTS: [(&str, &str, &str); 3] = [
    ("unet_resnet18", "U-Net ResNet-18", "resnet18"),
    ("unet_resnet34", "U-Net ResNet-34", "resnet34"),
    ("unet_resnet50", "U-Net ResNet-50", "resnet50"),
];

/// Channels of the decoder's blocks.
const DECODER: [usize; 5] = [256, 128, 64, 32, 16];

/// How much smaller the encoder's last map is.
const MULTIPLE: usize = 32;

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    VARIANTS
        .iter()
        .map(|&(name, title, encoder)| Variant {
            name,
            title,
            family: "U-Net ResNet",
            task: ModelTask::Segment,
            preprocess: preprocess(),
            weights: encoders(encoder),
            built_in: false,
            note: None,
            build: graph,
        })
        .collect()
}

/// `ImageNet`'s mean and standard deviation, all of the picture.
fn preprocess() -> Preprocess {
    Preprocess { resize: Resize::Stretch, ..Preprocess::imagenet(256) }
}

/// The classifier's public weights, which fill the backbone.
fn encoders(encoder: &str) -> Vec<PublicWeights> {
    let of_backbone = |weights| PublicWeights { of_backbone: true, preprocess: preprocess(), ..weights };
    resnet::public(encoder).into_iter().map(of_backbone).collect()
}

fn graph(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let Some(&(_, _, encoder)) = VARIANTS.iter().find(|variant| variant.0 == name) else {
        return Err(GraphError::Structure(format!("there is no U-Net named {name}")));
    };
    if size_px == 0 || !size_px.is_multiple_of(MULTIPLE) {
        let fault =
            format!("the encoder halves its input five times and wants a multiple of {MULTIPLE} px, not {size_px}");
        return Err(GraphError::Structure(fault));
    }
    let mut b = Builder::new(name, size_px, size_px);
    let (stem, body) = resnet::body_with_stem(&mut b, encoder, "encoder", Norm::default())?;
    let [c1, c2, c3, c4] = body.channels;
    let [s1, s2, s3, mut x] = body.stages;
    b.part(Part::Neck);
    let mut inputs = c4;
    let skips = [Some((s3, c3)), Some((s2, c2)), Some((s1, c1)), Some(stem), None];
    for (i, (skip, outputs)) in skips.into_iter().zip(DECODER).enumerate() {
        let (sources, channels) = match skip {
            Some((skip, channels)) => (vec![x, skip], channels),
            None => (vec![x], 0),
        };
        let block = SkipDecoder { inputs: inputs + channels, outputs };
        x = b.named(&format!("decoder.{i}"), &format!("decoder.blocks.{i}"), block, &sources);
        inputs = outputs;
    }
    b.part(Part::Head("mask".to_owned()));
    let logits = b.node("segmentation_head", MapClassifier { inputs, classes, upsample: 1 }, &[x]);
    b.head("mask", logits, HeadKind::PixelClassify { classes });
    b.finish()
}
