//! The zoo as plain rows: what a front end lists and what the registry builds.

use crate::graph::{Graph, GraphError, HeadPlan, Preprocess, Resize, TensorSpec};
use serde::Serialize;

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelTask {
    /// One class for a picture.
    Classify,
    /// Boxes with classes.
    Detect,
    /// A class for each pixel.
    Segment,
    /// Masks of what a person points at.
    Prompt,
}

/// How good public weights are, as published, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Accuracy {
    /// Top-1 accuracy on ImageNet's validation set.
    Top1(f64),
    /// Average precision of boxes, IoU 0.5 to 0.95, on COCO's validation set of 2017.
    BoxAp(f64),
    /// The publisher gives no such number.
    Unpublished,
}

/// Public weights of a model, as their publisher states them.
#[derive(Clone, Debug, Serialize)]
pub struct PublicWeights {
    /// The publisher's name of the entry, such as `IMAGENET1K_V1`.
    pub name: &'static str,
    /// Address.
    pub url: &'static str,
    /// The file's usual name: the last part of the address.
    pub file: &'static str,
    /// License of the weights.
    pub license: &'static str,
    /// Whether they are those of a classifier on the model's backbone: the rest of the model starts anew.
    pub of_backbone: bool,
    /// What they were trained on.
    pub trained_on: &'static str,
    /// Classes of their head.
    pub classes: usize,
    /// From a picture to the input that they were trained for.
    pub preprocess: Preprocess,
    /// Learnable values.
    pub params: u64,
    /// Size of the file in MiB, to a thousandth, where it is published.
    pub size_mib: Option<f64>,
    /// How good they are.
    pub accuracy: Accuracy,
    /// SHA-256 of the file in hexadecimal, where it is known for sure.
    pub sha256: Option<&'static str>,
}

impl PublicWeights {
    /// An entry of torchvision: a classifier for ImageNet at 224 px, cropped after a resize to `shorter_px`.
    pub(super) fn torchvision(
        name: &'static str,
        url: &'static str,
        shorter_px: u32,
        params: u64,
        size_mib: f64,
        top1: f64,
    ) -> Self {
        let resize = Resize::ShorterThenCrop { shorter_px };
        Self {
            name,
            url,
            file: url.rsplit('/').next().unwrap_or(url),
            license: "BSD-3-Clause",
            of_backbone: false,
            trained_on: "ImageNet-1k",
            classes: 1000,
            preprocess: Preprocess { resize, ..Preprocess::imagenet(224) },
            params,
            size_mib: Some(size_mib),
            accuracy: Accuracy::Top1(top1),
            sha256: None,
        }
    }

    /// The first digits of the file's SHA-256, which torch's publishers put into its name (`resnet18-f37072fd.pth`):
    /// the rule of `torch.hub`.
    #[must_use]
    pub fn hash_prefix(&self) -> Option<&'static str> {
        let (_, end) = self.file.rsplit_once('-')?;
        let (digits, _) = end.split_once('.')?;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() >= 8 && digits.bytes().all(hex)).then_some(digits)
    }
}

/// A tensor whose first axis counts classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassTensor {
    /// Its full name.
    pub name: String,
    /// Rows for each class.
    pub each: usize,
    /// Rows beside them, of a background.
    pub more: usize,
}

/// One model of the zoo.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Name in commands and files.
    pub name: &'static str,
    /// Name on screen.
    pub title: &'static str,
    /// Family, for grouping: `ResNet`.
    pub family: &'static str,
    /// What it is for.
    pub task: ModelTask,
    /// Preprocessing of its first public weights; the default input size.
    pub preprocess: Preprocess,
    /// Public weights, the usual ones first (torchvision's V1: V2's recipe gains accuracy on ImageNet itself).
    pub weights: Vec<PublicWeights>,
    /// Whether the program carries weights for its backbone.
    pub built_in: bool,
    /// What a person must know before using weights from elsewhere: their license, where none are offered here.
    pub note: Option<&'static str>,
    /// Builds the graph for this many classes and this input size in pixels.
    pub build: fn(name: &str, classes: usize, size_px: usize) -> Result<Graph, GraphError>,
}

impl Variant {
    /// The graph for this many classes and square inputs of `size_px`.
    ///
    /// # Errors
    /// When the input is too small for the network.
    pub fn graph(&self, classes: usize, size_px: usize) -> Result<Graph, GraphError> {
        (self.build)(self.name, classes, size_px)
    }

    /// The graph with these heads on one backbone, each made after the family's own.
    ///
    /// # Errors
    /// As [`Variant::graph`]; also when there is no head or two have one name.
    pub fn graph_with(&self, heads: &[HeadPlan], size_px: usize) -> Result<Graph, GraphError> {
        let none = || GraphError::Structure(format!("{} was given no head", self.name));
        let (first, further) = heads.split_first().ok_or_else(none)?;
        let mut graph = self.graph(first.classes, size_px)?.with_first_head(first);
        for plan in further {
            graph.graft(&self.graph(plan.classes, size_px)?, plan)?;
        }
        Ok(graph)
    }

    /// The classes of its public weights; ImageNet's, COCO's or, with the background, Pascal VOC's where it has none of its
    /// own.
    #[must_use]
    pub fn usual_classes(&self) -> usize {
        let usual = match self.task {
            ModelTask::Classify => 1000,
            ModelTask::Detect => 80,
            ModelTask::Segment => 21,
            ModelTask::Prompt => 1,
        };
        self.weights.first().filter(|weights| !weights.of_backbone).map_or(usual, |weights| weights.classes)
    }

    /// The graph as published: its usual classes, its default size.
    ///
    /// # Errors
    /// Never for the variants of this program; `tests/graph.rs` builds them all.
    pub fn published(&self) -> Result<Graph, GraphError> {
        self.graph(self.usual_classes(), self.preprocess.size[0] as usize)
    }

    /// The tensors whose first axis counts classes.
    #[must_use]
    pub fn class_tensors(&self) -> Vec<ClassTensor> {
        // Two numbers of classes tell them apart from all others; no tensor depends on the size of the input.
        const FEW: usize = 7;
        let tensors = |classes| {
            let facts = self.graph(classes, self.preprocess.size[0] as usize).and_then(|graph| graph.facts()).ok();
            facts.map(|facts| facts.tensors().cloned().collect::<Vec<_>>()).unwrap_or_default()
        };
        let first = |spec: &TensorSpec| spec.shape.first().copied().unwrap_or(0);
        let pairs = tensors(FEW).into_iter().zip(tensors(FEW + 1));
        let counting = pairs.filter(|(few, more)| first(more) > first(few)).map(|(few, more)| {
            let each = first(&more) - first(&few);
            ClassTensor { name: few.name, each, more: (more.shape[0]).saturating_sub(each * (FEW + 1)) }
        });
        counting.collect()
    }

    /// The public weights with this file name.
    #[must_use]
    pub fn public(&self, file: &str) -> Option<&PublicWeights> {
        self.weights.iter().find(|weights| weights.file == file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_in_a_name_is_found_as_torch_hub_finds_it() {
        let prefix = |url| PublicWeights::torchvision("", url, 256, 0, 0.0, 0.0).hash_prefix();
        assert_eq!(prefix("https://h/models/resnet18-f37072fd.pth"), Some("f37072fd"));
        assert_eq!(prefix("https://h/vgg16_features-amdegroot-88682ab5.pth"), Some("88682ab5"));
        assert_eq!(prefix("https://h/some-model.pth"), None);
        assert_eq!(prefix("https://h/resnet18.pth"), None);
    }
}
