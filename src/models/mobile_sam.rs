//! `MobileSAM` (Zhang et al. 2023, arXiv:2306.14289): the prompts and masks of Segment Anything on a `TinyViT` encoder
//! (Wu et al. 2022, arXiv:2207.10666) under the names of its public checkpoint.
//!
//! The encoder was a classifier: the checkpoint keeps its `norm_head` and `head`, which nothing uses and the published
//! number of parameters counts.

use super::catalogue::{ModelTask, Variant};
use super::sam;
use crate::graph::blocks::{ConvPatches, EncoderNeck, MbConv, TinyVitBlock};
use crate::graph::{Builder, Graph, GraphError, Shape};

/// Of each stage: channels, blocks, heads, side of a window in cells.
const STAGES: [(usize, usize, usize, usize); 4] = [(64, 2, 2, 7), (128, 2, 4, 7), (160, 6, 5, 14), (320, 2, 10, 7)];

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    let url = "https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt";
    let mut weights = sam::public(url, 9_808_452);
    weights.trained_on = "1 % of SA-1B, taught by ViT-H";
    vec![Variant {
        name: "mobile_sam",
        title: "MobileSAM",
        family: "SAM",
        task: ModelTask::Prompt,
        preprocess: sam::preprocess(),
        weights: vec![weights],
        built_in: false,
        note: None,
        build: graph,
    }]
}

fn graph(name: &str, _: usize, size_px: usize) -> Result<Graph, GraphError> {
    let [(first, ..), .., (last, ..)] = STAGES;
    if !size_px.is_multiple_of(sam::STRIDE) {
        return Err(GraphError::Structure(format!("{name} takes sides that are multiples of {} px", sam::STRIDE)));
    }
    let mut b = Builder::new(name, size_px, size_px);
    let prompt = b.input("prompt", Shape::Prompt);
    let image = b.image();
    b.stage("image_encoder.patch_embed");
    let mut x = b.node("image_encoder.patch_embed", ConvPatches { outputs: first }, &[image]);
    for (i, (width, blocks, heads, window)) in STAGES.into_iter().enumerate() {
        let stage = format!("image_encoder.layers.{i}");
        b.stage(&stage);
        for j in 0..blocks {
            let path = format!("{stage}.blocks.{j}");
            x = if i == 0 {
                let block = MbConv { inputs: width, hidden: 4 * width, outputs: width, stride: 1, residual: true };
                b.node(&path, block, &[x])
            } else {
                b.node(&path, TinyVitBlock { width, heads, window, hidden: 4 * width }, &[x])
            };
        }
        if let Some(&(next, ..)) = STAGES.get(i + 1) {
            // The last stage keeps the size: features have a sixteenth of the picture's.
            let stride = if i < 2 { 2 } else { 1 };
            let merge = MbConv { inputs: width, hidden: next, outputs: next, stride, residual: false };
            x = b.node(&format!("{stage}.downsample"), merge, &[x]);
        }
    }
    b.stage("image_encoder.neck");
    let neck = EncoderNeck { inputs: last, outputs: 256, unused_classes: Some(1000) };
    let features = b.named("image_encoder.neck", "image_encoder", neck, &[x]);
    sam::answer(&mut b, features, prompt);
    b.finish()
}
