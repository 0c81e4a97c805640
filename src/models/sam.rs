//! Segment Anything with plain transformers as encoders (Kirillov et al. 2023, arXiv:2304.02643) under the names of
//! Meta's checkpoints: ViT-B, ViT-L and ViT-H by configuration.
//!
//! A picture is encoded once; prompts are answered from its features. The encoder is the backbone, the prompt encoder
//! the neck, the mask decoder the heads: one that tells masks, one that tells how well each will overlap.

use super::catalogue::{Accuracy, ModelTask, PublicWeights, Variant};
use crate::graph::blocks::{
    EncoderNeck, MapUpscaling, MaskProducts, MaskQuality, PatchEmbed, PromptEncoder, Question, TwoWayEnd, TwoWayLayer,
    VitBlock,
};
use crate::graph::{Builder, Graph, GraphError, HeadKind, Part, Preprocess, PromptTells, Resize, Shape, Source};

/// Name, title, channels of a cell, blocks, heads, the blocks of which attend all to all; of the public weights:
/// address, parameters.
type Row = (&'static str, &'static str, usize, usize, usize, [usize; 4], &'static str, u64);

#[rustfmt::skip]
const VARIANTS: [Row; 3] = [
    ("sam_vit_b", "SAM ViT-B", 768, 12, 12, [2, 5, 8, 11], "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth", 93_735_472),
    ("sam_vit_l", "SAM ViT-L", 1024, 24, 16, [5, 11, 17, 23], "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_l_0b3195.pth", 312_342_832),
    ("sam_vit_h", "SAM ViT-H", 1280, 32, 16, [7, 15, 23, 31], "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_h_4b8939.pth", 641_090_608),
];

/// Side of a square of the picture that becomes a cell, in pixels.
pub(super) const STRIDE: usize = 16;
/// Side of the published inputs in pixels.
const INPUT_PX: u32 = 1024;
/// Side of a window in cells.
const WINDOW: usize = 14;
/// Channels of the features, length of a token.
const WIDTH: usize = 256;
/// Masks that are offered: one for prompts that leave no choice, three for those that do.
const CANDIDATES: usize = 4;

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    VARIANTS
        .iter()
        .map(|&(name, title, .., url, params)| Variant {
            name,
            title,
            family: "SAM",
            task: ModelTask::Prompt,
            preprocess: preprocess(),
            weights: vec![public(url, params)],
            built_in: false,
            note: None,
            build: graph,
        })
        .collect()
}

/// An entry of public weights.
pub(super) fn public(url: &'static str, params: u64) -> PublicWeights {
    PublicWeights {
        name: "SA-1B",
        url,
        file: url.rsplit('/').next().unwrap_or(url),
        license: "Apache-2.0",
        trained_on: "SA-1B",
        classes: 1,
        of_backbone: false,
        preprocess: preprocess(),
        params,
        size_mib: None,
        accuracy: Accuracy::Unpublished,
        sha256: None,
    }
}

/// The longer side to the input's, zeros right and below.
pub(super) fn preprocess() -> Preprocess {
    let (mean, std) = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
    Preprocess { resize: Resize::FitTopLeft, divide_by: 1.0, mean, std, ..Preprocess::imagenet(INPUT_PX) }
}

fn graph(name: &str, _: usize, size_px: usize) -> Result<Graph, GraphError> {
    let Some(&(_, _, width, depth, heads, global, ..)) = VARIANTS.iter().find(|variant| variant.0 == name) else {
        return Err(GraphError::Structure(format!("there is no SAM named {name}")));
    };
    let table = INPUT_PX as usize / STRIDE;
    let mut b = Builder::new(name, size_px, size_px);
    let prompt = b.input("prompt", Shape::Prompt);
    let image = b.image();
    b.stage("image_encoder");
    let patches = PatchEmbed { patch_px: STRIDE, width, table };
    let mut x = b.named("image_encoder.patch_embed", "image_encoder", patches, &[image]);
    for i in 0..depth {
        let window = (!global.contains(&i)).then_some(WINDOW);
        let table = window.unwrap_or(table);
        // A stage ends with a block that attends all to all.
        let stage = global.iter().filter(|&&end| end < i).count();
        b.stage(&format!("image_encoder.{}", stage + 1));
        let block = VitBlock { width, heads, hidden: 4 * width, window, table, epsilon: 1e-6 };
        x = b.node(&format!("image_encoder.blocks.{i}"), block, &[x]);
    }
    b.stage("image_encoder.neck");
    let neck = EncoderNeck { inputs: width, outputs: WIDTH, unused_classes: None };
    let features = b.named("image_encoder.neck", "image_encoder", neck, &[x]);
    answer(&mut b, features, prompt);
    b.finish()
}

/// From features and prompt to masks and how well they will overlap.
pub(super) fn answer(b: &mut Builder, features: Source, prompt: Source) {
    let (heads, hidden, width) = (8, 2048, WIDTH);
    b.part(Part::Neck);
    let encoder = PromptEncoder { width, mask_channels: 16, stride: STRIDE };
    let asked = b.node("prompt_encoder", encoder, &[features, prompt]);
    b.part(Part::Head("mask".to_owned()));
    b.stage("mask_decoder.transformer");
    let question = Question { candidates: CANDIDATES };
    let mut x = b.named("mask_decoder.tokens", "mask_decoder", question, &[features, asked]);
    for i in 0..2 {
        let layer = TwoWayLayer { width, heads, hidden, first: i == 0 };
        x = b.node(&format!("mask_decoder.transformer.layers.{i}"), layer, &[x]);
    }
    let (path, prefix) = ("mask_decoder.transformer.final", "mask_decoder.transformer");
    let told = b.named(path, prefix, TwoWayEnd { width, heads }, &[x]);
    b.stage("mask_decoder.masks");
    let large = b.node("mask_decoder.output_upscaling", MapUpscaling { width }, &[told]);
    let products = MaskProducts { width, depth: width / 8, candidates: CANDIDATES };
    let masks = b.node("mask_decoder.output_hypernetworks_mlps", products, &[told, large]);
    b.part(Part::Head("iou".to_owned()));
    let quality = MaskQuality { width, hidden: WIDTH, candidates: CANDIDATES };
    let iou = b.node("mask_decoder.iou_prediction_head", quality, &[told]);
    b.head("mask", masks, HeadKind::Prompted { candidates: CANDIDATES, tells: PromptTells::Mask });
    b.head("iou", iou, HeadKind::Prompted { candidates: CANDIDATES, tells: PromptTells::Iou });
}
