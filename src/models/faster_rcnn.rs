//! Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) on a ResNet with a feature pyramid (Lin et al. 2017,
//! arXiv:1612.03144) under torchvision's names.
//!
//! `fasterrcnn_resnet50_fpn` is torchvision's first recipe: the backbone's norms never train and have no epsilon, as its
//! published weights were trained. `fasterrcnn_resnet50_fpn_v2` is its second (Li et al. 2021, arXiv:2111.11429): norms
//! that train, in the pyramid and the box head too, a proposing head of two convolutions, a box head of four. With
//! `ResNet`-18 below it is ours: torchvision publishes none. It looks at fewer regions. Left out: masks, keypoints.
//!
//! What several heads share (the proposing head's convolutions, the box head's layers) belongs to the neck; a head is
//! what tells one thing. So a frozen backbone leaves all of the detector to train, as one wants with a backbone from
//! `ImageNet`, and each of the four heads can be weighed by itself.

use super::catalogue::{Accuracy, ModelTask, PublicWeights, Variant};
use super::resnet;
use crate::graph::blocks::{
    Activation, Classifier, ConvNormAct, Dense, Levels, MaxPool, Proposals, PyramidConv, RegionPool, SharedConv,
};
use crate::graph::{
    Builder, Conv, Detector, Graph, GraphError, HeadKind, Init, Norm, Part, Preprocess, Resize, Source, Tells, TwoStage,
};

/// Name, title, backbone, whether it is the second recipe.
const VARIANTS: [(&str, &str, &str, bool); 3] = [
    ("fasterrcnn_resnet18_fpn", "Faster R-CNN ResNet-18 FPN", "resnet18", false),
    ("fasterrcnn_resnet50_fpn", "Faster R-CNN ResNet-50 FPN", "resnet50", false),
    ("fasterrcnn_resnet50_fpn_v2", "Faster R-CNN ResNet-50 FPN v2", "resnet50", true),
];

/// Channels of the pyramid.
const CHANNELS: usize = 256;
/// Side of a pooled region.
const SIDE: usize = 7;
/// Length of a region's feature vector.
const FEATURES: usize = 1024;

/// The family's rows.
#[must_use]
pub fn variants() -> Vec<Variant> {
    VARIANTS
        .iter()
        .map(|&(name, title, ..)| Variant {
            name,
            title,
            family: "Faster R-CNN",
            task: ModelTask::Detect,
            preprocess: preprocess(),
            weights: public(name),
            built_in: false,
            note: None,
            build: graph,
        })
        .collect()
}

/// torchvision's entries: ninety classes, ten of which (holes in COCO's ids) no picture has.
fn public(name: &str) -> Vec<PublicWeights> {
    let row = |url: &'static str, params, size_mib, box_ap| PublicWeights {
        name: "COCO_V1",
        url,
        file: url.rsplit('/').next().unwrap_or(url),
        license: "BSD-3-Clause",
        of_backbone: false,
        trained_on: "COCO 2017",
        classes: 90,
        preprocess: preprocess(),
        params,
        size_mib: Some(size_mib),
        accuracy: Accuracy::BoxAp(box_ap),
        sha256: None,
    };
    let [first, second] = [
        "https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        "https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
    ];
    match name {
        "fasterrcnn_resnet50_fpn" => vec![row(first, 41_755_286, 159.743, 37.0)],
        "fasterrcnn_resnet50_fpn_v2" => vec![row(second, 43_712_278, 167.104, 46.7)],
        _ => Vec::new(),
    }
}

/// torchvision resizes to a shorter side of 800 px, or less where the longer would exceed 1333, and pads right and below
/// after subtracting the mean. A square that the picture is fitted into is the same for square pictures.
fn preprocess() -> Preprocess {
    Preprocess { resize: Resize::LetterboxTopLeft { fill: 114 }, antialias: false, ..Preprocess::imagenet(800) }
}

/// The norms of the backbone: those of the first recipe stay as the checkpoint has them.
fn body_norm(backbone: &str, second: bool) -> Norm {
    match (second, backbone) {
        (true, _) => Norm::default(),
        // torchvision's published weights were trained without an epsilon.
        (false, "resnet50") => Norm { epsilon: 0.0, frozen: true, ..Norm::default() },
        (false, _) => Norm { frozen: true, ..Norm::default() },
    }
}

fn graph(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
    let Some(&(_, _, backbone, second)) = VARIANTS.iter().find(|variant| variant.0 == name) else {
        return Err(GraphError::Structure(format!("there is no Faster R-CNN named {name}")));
    };
    let mut method = TwoStage::new(classes);
    if backbone == "resnet18" {
        // For machines without a graphics card: the layers on regions cost more than the backbone. A picture's 128 learned
        // regions are those of Girshick 2015 (arXiv:1504.08083), its 300 told ones those of Ren et al. 2015.
        method.regions.learning.samples = 128;
        method.proposals.after_nms.infer = 300;
    }
    let mut b = Builder::new(name, size_px, size_px);
    let body = resnet::body(&mut b, backbone, "backbone.body", body_norm(backbone, second))?;
    b.part(Part::Neck);
    let pyramid = pyramid(&mut b, &body, second.then(Norm::default));
    let [objectness, rpn_box] = proposing(&mut b, pyramid, &method, if second { 2 } else { 1 });
    b.part(Part::Neck);
    let regions = b.node("proposals", Proposals { method: method.clone() }, &[objectness, rpn_box]);
    b.stage("box_head");
    let pooled = b.node("box_head.pool", RegionPool { side: SIDE, samples: 2, levels: 4 }, &[pyramid, regions]);
    let features = box_head(&mut b, pooled, second);
    let mut predict = |name: &str, layer: &str, outputs: usize| {
        b.part(Part::Head(name.to_owned()));
        b.named(layer, &format!("roi_heads.box_predictor.{layer}"), Classifier::new(FEATURES, outputs), &[features])
    };
    let class = predict("class", "cls_score", classes + 1);
    let bbox = predict("box", "bbox_pred", 4 * (classes + 1));
    for (name, output, tells) in [
        ("class", class, Tells::Class),
        ("box", bbox, Tells::Box),
        ("objectness", objectness, Tells::Objectness),
        ("rpn_box", rpn_box, Tells::Box),
    ] {
        b.head(name, output, HeadKind::Detect { classes, tells });
    }
    b.detector(Detector::TwoStage(method));
    b.finish()
}

/// The pyramid: for each stage a lateral convolution and what comes from above, then a convolution; a fifth level is
/// every second cell of the fourth.
fn pyramid(b: &mut Builder, body: &resnet::Body, norm: Option<Norm>) -> Source {
    let conv = |inputs, kernel| {
        let conv = Conv::new(inputs, CHANNELS, kernel, 1);
        PyramidConv { conv: if norm.is_some() { conv } else { conv.with_bias() }, norm }
    };
    b.stage("fpn");
    let mut above: Option<Source> = None;
    let mut levels = Vec::new();
    for i in (0..4).rev() {
        let inputs: Vec<Source> = std::iter::once(body.stages[i]).chain(above).collect();
        let under = |kind: &str| format!("backbone.fpn.{kind}_blocks.{i}");
        let inner = b.named(&format!("fpn.inner.{i}"), &under("inner"), conv(body.channels[i], 1), &inputs);
        levels.push(b.named(&format!("fpn.layer.{i}"), &under("layer"), conv(CHANNELS, 3), &[inner]));
        above = Some(inner);
    }
    levels.reverse();
    levels.push(b.node("fpn.pool", MaxPool::new(1, 2), &[levels[3]]));
    b.node("fpn.levels", Levels {}, &levels)
}

/// What proposes regions: objectness and boxes of the anchors.
fn proposing(b: &mut Builder, pyramid: Source, method: &TwoStage, depth: usize) -> [Source; 2] {
    b.stage("rpn");
    let mut x = pyramid;
    for i in 0..depth {
        let conv = Conv::new(CHANNELS, CHANNELS, 3, 1).with_bias();
        let shared = SharedConv { conv, activation: Activation::Relu };
        x = b.named(&format!("rpn.conv.{i}"), &format!("rpn.head.conv.{i}.0"), shared, &[x]);
    }
    let anchors = method.anchors.of_cell(0);
    let mut predict = |name: &str, layer: &str, outputs: usize| {
        b.part(Part::Head(name.to_owned()));
        let conv = Conv::new(CHANNELS, outputs, 1, 1).with_bias();
        let last = SharedConv { conv, activation: Activation::Identity };
        b.named(&format!("rpn.{layer}"), &format!("rpn.head.{layer}"), last, &[x])
    };
    [predict("objectness", "cls_logits", anchors), predict("rpn_box", "bbox_pred", 4 * anchors)]
}

/// From pooled regions to their feature vectors.
fn box_head(b: &mut Builder, pooled: Source, second: bool) -> Source {
    let flat = CHANNELS * SIDE * SIDE;
    let dense = |inputs| Dense {
        inputs,
        outputs: FEATURES,
        activation: Activation::Relu,
        dropout: 0.0,
        init: Init::UniformFanIn { fan_in: inputs },
    };
    let mut x = pooled;
    if !second {
        x = b.named("box_head.fc6", "roi_heads.box_head.fc6", dense(flat), &[x]);
        return b.named("box_head.fc7", "roi_heads.box_head.fc7", dense(FEATURES), &[x]);
    }
    for i in 0..4 {
        let conv = ConvNormAct::new(Conv::new(CHANNELS, CHANNELS, 3, 1), Activation::Relu);
        x = b.named(&format!("box_head.{i}"), &format!("roi_heads.box_head.{i}"), conv, &[x]);
    }
    // Position 4 is the flattening, which has no tensors.
    b.named("box_head.5", "roi_heads.box_head.5", dense(flat), &[x])
}
