//! The classic U-Net (Ronneberger et al. 2015, arXiv:1505.04597) in the form of the common public implementation, under its
//! names: padded convolutions with batch norm, maps doubled by transposed convolutions or bilinear interpolation.
//!
//! Pictures may have any size: where a level's sides are odd, the map that comes up is padded to its skip. The way down is
//! the backbone, the way up the neck. Left out: the paper's unpadded convolutions, which crop their skips.

use super::catalogue::{ModelTask, Variant};
use crate::graph::blocks::{DoubleConv, DoubleConvDown, DoubleConvUp, PixelClassifier};
use crate::graph::{Builder, Channels, Graph, GraphError, HeadKind, Interpolation, Part, Preprocess, Resize, Source};

/// A form of the network.
#[derive(Clone, Copy)]
struct Form {
    name: &'static str,
    title: &'static str,
    /// Channels of the finest level; each level below has twice as many.
    base: usize,
    /// How many times the map is halved.
    depth: usize,
    /// Whether maps are doubled by interpolation.
    bilinear: bool,
}

const VARIANTS: [Form; 4] = [
    Form { name: "unet", title: "U-Net", base: 64, depth: 4, bilinear: false },
    Form { name: "unet_bilinear", title: "U-Net bilinear", base: 64, depth: 4, bilinear: true },
    // Ours, for machines without a graphics card: half and a quarter of the channels, one level less in the smaller.
    Form { name: "unet_small", title: "U-Net small", base: 32, depth: 4, bilinear: false },
    Form { name: "unet_mini", title: "U-Net mini", base: 16, depth: 3, bilinear: true },
];

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    VARIANTS
        .iter()
        .map(|form| Variant {
            name: form.name,
            title: form.title,
            family: "U-Net",
            task: ModelTask::Segment,
            preprocess: Preprocess {
                size: [256, 256],
                resize: Resize::Stretch,
                interpolation: Interpolation::Bilinear,
                antialias: true,
                channels: Channels::Rgb,
                divide_by: 255.0,
                mean: [0.0; 3],
                std: [1.0; 3],
            },
            weights: Vec::new(),
            built_in: false,
            note: None,
            build: graph,
        })
        .collect()
}

fn graph(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let Some(form) = VARIANTS.iter().find(|form| form.name == name) else {
        return Err(GraphError::Structure(format!("there is no U-Net named {name}")));
    };
    let least = 1 << form.depth;
    if size_px < least {
        let depth = form.depth;
        let fault = format!("the way down halves its input {depth} times and wants {least} px at least, not {size_px}");
        return Err(GraphError::Structure(fault));
    }
    form.graph(classes, size_px)
}

impl Form {
    /// Channels of the map that leaves a level, the finest first, on the way down.
    fn channels(self, level: usize) -> usize {
        // Interpolation keeps the number of channels, so the coarsest map has no more than its skip.
        let narrow = self.bilinear && level == self.depth;
        (self.base << level) >> usize::from(narrow)
    }

    fn graph(self, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
        let mut b = Builder::new(self.name, size_px, size_px);
        let (image, base) = (b.image(), self.base);
        let mut x = b.node("inc", DoubleConv { inputs: 3, middle: base, outputs: base }, &[image]);
        let mut skips: Vec<Source> = Vec::new();
        for level in 1..=self.depth {
            skips.push(x);
            let down = DoubleConvDown { inputs: self.channels(level - 1), outputs: self.channels(level) };
            x = b.node(&format!("down{level}"), down, &[x]);
        }
        b.part(Part::Neck);
        let mut inputs = self.channels(self.depth);
        for (level, skip) in skips.into_iter().enumerate().rev() {
            let outputs = if self.bilinear && level > 0 { (base << level) / 2 } else { base << level };
            let up = DoubleConvUp { inputs, skip: base << level, outputs, bilinear: self.bilinear };
            x = b.node(&format!("up{}", self.depth - level), up, &[x, skip]);
            inputs = outputs;
        }
        b.part(Part::Head("mask".to_owned()));
        let logits = b.named("outc", "outc.conv", PixelClassifier { inputs, classes, upsample: 1 }, &[x]);
        b.head("mask", logits, HeadKind::PixelClassify { classes });
        b.finish()
    }
}
