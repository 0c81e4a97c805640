//! The network behind the prompts.

use super::{Answered, Candidate, Ends, Features, LowRes, OFFERED, Prompt};
use crate::data::{Placement, Rgb8, transform};
use crate::graph::{NodeId, Preprocess, Shape, Source};
use crate::models::{Mode, Network};
use crate::nn::ask::{Marks, Point as Mark, Prompt as Question};
use crate::nn::{Ctx, RunError, Value, resize};
use crate::train::predict::host;
use burn::tensor::{Tensor, TensorData};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A picture that can be asked about.
#[derive(Clone, Debug)]
pub struct Embedding {
    features: Value,
    placement: Placement,
    /// Width and height of the picture in pixels, EXIF-oriented.
    pub size_px: [u32; 2],
    /// Height and width of the picture in the input.
    seen: [usize; 2],
}

/// A promptable network.
#[derive(Debug)]
pub struct Prompter {
    network: Network,
    rule: Preprocess,
    features: NodeId,
    masks: NodeId,
    quality: NodeId,
}

/// Masks and how well they will overlap, for a batch of prompts.
pub(super) struct Raw {
    /// Logits `[prompts, 3, h, w]`.
    pub low: Tensor<4>,
    /// Predicted IoU, `[prompts][3]` one after the other.
    pub iou: Vec<f32>,
}

impl Prompter {
    /// Asks `network`, whose pictures are prepared by `rule`.
    ///
    /// # Errors
    /// When it takes no prompts.
    pub fn new(network: &Network, rule: Preprocess) -> Result<Self, String> {
        let graph = network.graph();
        let ends = Ends::of(graph).ok_or_else(|| format!("{} takes no prompts.", graph.name))?;
        let Ends { features, masks, quality } = ends;
        Ok(Self { features, masks, quality, network: network.inference(), rule })
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Encodes a picture; this is what takes time.
    ///
    /// # Errors
    /// When the device fails.
    pub fn embed(&self, image: &Rgb8) -> Result<Embedding, RunError> {
        let embedding = self.embed_in_steps(image, &mut |_, _| true)?;
        embedding.ok_or(RunError::Kind { wanted: "features", got: "none" })
    }

    /// The same, step by step: `go_on` is told how many of how many are done, and ends it by answering false; then nothing is
    /// returned.
    ///
    /// # Errors
    /// When the device fails.
    pub fn embed_in_steps(
        &self,
        image: &Rgb8,
        go_on: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Option<Embedding>, RunError> {
        let rule = &self.rule;
        let (input, placement) = transform::preprocess(image, rule);
        let [height, width] = rule.size.map(|n| n as usize);
        let mut pixels = vec![0.0; 3 * height * width];
        transform::normalize(&input, rule, &mut pixels);
        transform::clear_padding(rule, &placement, [image.width, image.height], &mut pixels);
        let device = self.network.device();
        let inputs = [Value::Map(Tensor::from_data(TensorData::new(pixels, [1, 3, height, width]), device))];
        let mut given = BTreeMap::new();
        let cuts = self.cuts();
        for (done, &cut) in cuts.iter().enumerate() {
            if !go_on(done, cuts.len()) {
                return Ok(None);
            }
            let outputs = self.network.run(&inputs, &given, &[cut], Mode::Infer, &mut Ctx::default())?;
            // Waits for the device, so that a failure is told here and a step is done when it is said to be.
            device.sync().map_err(|error| RunError::Device(format!("{error:?}")))?;
            given = outputs.into_iter().map(|value| (cut, value)).collect();
        }
        let features = given.remove(&self.features).ok_or(RunError::Kind { wanted: "features", got: "none" })?;
        host(&features)?;
        Ok(Some(self.placed(image, placement, features)))
    }

    /// The nodes up to the features behind which nothing else is needed of what came before.
    fn cuts(&self) -> Vec<NodeId> {
        let graph = self.network.graph();
        let edges = graph.edges();
        let mut needed = BTreeSet::from([self.features]);
        for (from, to) in edges.iter().rev() {
            if needed.contains(to) {
                needed.insert(*from);
            }
        }
        let reads_input = |id: NodeId| graph.node(id).inputs.iter().any(|source| matches!(source, Source::Input(_)));
        let last_input = needed.iter().rev().copied().find(|id| reads_input(*id));
        let is_cut = |id: &NodeId| {
            let passes = |(from, to): &(NodeId, NodeId)| needed.contains(to) && from < id && to > id;
            last_input.is_none_or(|last| last <= *id) && !edges.iter().any(passes)
        };
        needed.iter().copied().filter(is_cut).collect()
    }

    fn placed(&self, image: &Rgb8, placement: Placement, features: Value) -> Embedding {
        let [height, width] = self.rule.size.map(|n| n as usize);
        let [sx, sy] = placement.scale();
        let side =
            |length: u32, scale: f64, limit: usize| ((f64::from(length) * scale).round() as usize).clamp(1, limit);
        let seen = [side(image.height, sy, height), side(image.width, sx, width)];
        Embedding { features, placement, size_px: [image.width, image.height], seen }
    }

    /// What is kept of an encoded picture.
    ///
    /// # Errors
    /// When the device fails.
    pub fn features(&self, embedding: &Embedding) -> Result<Features, RunError> {
        let [_, channels, height, width] = embedding.features.map()?.dims();
        Ok(Features { shape: [channels, height, width], values: host(&embedding.features)? })
    }

    /// A picture that was encoded earlier; none where the features are not of this network's shape.
    #[must_use]
    pub fn restore(&self, image: &Rgb8, features: Features) -> Option<Embedding> {
        let [channels, height, width] = features.shape;
        let facts = self.network.facts();
        if facts.node(self.features).output.shape != (Shape::Map { channels, height, width }) {
            return None;
        }
        let (_, placement) = transform::preprocess(image, &self.rule);
        let data = TensorData::new(features.values, [1, channels, height, width]);
        let features = Value::Map(Tensor::from_data(data, self.network.device()));
        Some(self.placed(image, placement, features))
    }

    /// What is asked, in pixels of the input.
    pub(super) fn marks(embedding: &Embedding, prompt: &Prompt) -> Marks {
        let place = |[x, y]: [f32; 2]| {
            let (x, y) = embedding.placement.input_from_image(x, y);
            [x, y]
        };
        let points = prompt.points.iter().map(|point| Mark { xy: place(point.xy), positive: point.positive });
        let xyxy = prompt.xyxy.map(|[left, top, right, bottom]| {
            let ([left, top], [right, bottom]) = (place([left, top]), place([right, bottom]));
            [left, top, right, bottom]
        });
        Marks { points: points.collect(), xyxy }
    }

    /// Asks several prompts of one kind at once.
    pub(super) fn raw(&self, embedding: &Embedding, question: Question) -> Result<Raw, RunError> {
        let given = BTreeMap::from([(self.features, embedding.features.clone())]);
        // The picture's own place among the inputs is not read: the cut is behind it.
        let prompt = Value::Prompt(Arc::new(question));
        let inputs = [prompt.clone(), prompt];
        let wanted = [self.masks, self.quality];
        let outputs = self.network.run(&inputs, &given, &wanted, Mode::Infer, &mut Ctx::default())?;
        let [masks, quality] = outputs.as_slice() else {
            return Err(RunError::Kind { wanted: "masks and their quality", got: "another number" });
        };
        let iou = host(&Value::Vector(quality.vector()?.narrow(1, 1, OFFERED)))?;
        Ok(Raw { low: masks.map()?.narrow(1, 1, OFFERED), iou })
    }

    /// The logits of masks for each pixel of the picture: enlarged to the input's size, cut to the picture, resized to it.
    pub(super) fn enlarged(&self, embedding: &Embedding, low: Tensor<4>) -> Tensor<4> {
        let [width, height] = embedding.size_px.map(|n| n as usize);
        resize::bilinear_part(low, self.rule.size.map(|n| n as usize), embedding.seen, [height, width])
    }

    /// Three masks for a prompt.
    ///
    /// # Errors
    /// When the prompt does not fit the picture or the device fails.
    pub fn answer(&self, embedding: &Embedding, prompt: &Prompt) -> Result<Answered, RunError> {
        prompt.check(embedding.size_px).map_err(RunError::Description)?;
        let device = self.network.device();
        let masks = prompt.previous.as_ref().map(|LowRes { size: [height, width], logits }| {
            Tensor::from_data(TensorData::new(logits.to_vec(), [1, 1, *height, *width]), device)
        });
        let marks = vec![Self::marks(embedding, prompt)];
        let Raw { low, iou } = self.raw(embedding, Question { marks, masks })?;
        let candidates = self.candidates(embedding, low, &iou)?;
        let best = (0..candidates.len()).max_by(|&a, &b| candidates[a].iou.total_cmp(&candidates[b].iou));
        Ok(Answered { size_px: embedding.size_px, best: best.unwrap_or(0), candidates })
    }

    /// The masks `[prompts, n, h, w]` with their predicted IoU in the same order.
    pub(super) fn candidates(
        &self,
        embedding: &Embedding,
        low: Tensor<4>,
        iou: &[f32],
    ) -> Result<Vec<Candidate>, RunError> {
        let [_, _, height, width] = low.dims();
        let logits = host(&Value::Map(self.enlarged(embedding, low.clone())))?;
        let low = host(&Value::Map(low))?;
        let [columns, rows] = embedding.size_px.map(|n| n as usize);
        let each = low.chunks(height * width).zip(logits.chunks((columns * rows).max(1))).zip(iou);
        let candidate = |((low, logits), &iou): ((&[f32], &[f32]), &f32)| {
            let low = LowRes { size: [height, width], logits: Arc::new(low.to_vec()) };
            Candidate::of(logits, columns, iou, low)
        };
        Ok(each.map(candidate).collect())
    }
}
