//! The two files of a network that takes prompts, with the names and axes of `segment_anything`'s own export: the encoder turns
//! `images` into `image_embeddings`; the decoder answers one prompt about them.
//!
//! | input of the decoder | |
//! |---|---|
//! | `image_embeddings` | `[1, channels, h, w]` |
//! | `point_coords` | `[1, num_points, 2]`, right and down in pixels of the input |
//! | `point_labels` | `[1, num_points]`: 1 and 0 for points, 2 and 3 for a box's corners, -1 for the point that fills up a prompt without a box |
//! | `mask_input` | `[1, 1, 4 h, 4 w]`, logits of an earlier answer |
//! | `has_mask_input` | `[1]`, 1 or 0 |
//! | `orig_im_size` | `[2]`, height and width of the picture |
//!
//! Its outputs are `masks` (logits at the picture's size, `[1, 4, height, width]`), `iou_predictions` `[1, 4]` and
//! `low_res_masks` `[1, 4, 4 h, 4 w]`; the first of the four is for prompts of several points.

use super::lower::{Lowered, Lowering, int, rows_info, value_info, word};
use super::proto::{Attribute, Dimension, FLOAT, INT64, ValueInfo};
use crate::graph::blocks::PromptEncoder;
use crate::graph::{Asked as Part, Facts, Graph, Layer, NodeId, Op, PromptEnds, Shape, ValueId};
use std::collections::{BTreeSet, HashMap};

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptFile {
    /// From a picture to its features.
    Encoder,
    /// From features and a prompt to masks.
    Decoder,
}

impl PromptFile {
    /// Both, in the order in which they are used.
    pub const ALL: [Self; 2] = [Self::Encoder, Self::Decoder];

    /// Its name, part of the file's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }
}

/// Tokens with a map, and the codes of both.
#[derive(Clone)]
struct Question {
    tokens: ValueId,
    map: ValueId,
    token_codes: String,
    /// `[1, h, w, width]`
    map_codes: String,
}

/// What is known of questions while a network is written down.
#[derive(Default)]
pub(super) struct Asked {
    questions: HashMap<ValueId, Question>,
    /// The question that the node at hand has read a part of, and whether codes were among them.
    read: Option<(ValueId, bool)>,
    /// The tensor of the frequencies.
    frequencies: String,
    /// Width and height of the input in pixels.
    input_px: [usize; 2],
}

impl Asked {
    pub fn enter(&mut self) {
        self.read = None;
    }
}

/// Writes one of the files down.
pub(super) fn lower(graph: &Graph, facts: &Facts, which: PromptFile) -> Result<Lowered, String> {
    let ends = PromptEnds::of(graph).ok_or_else(|| format!("{} takes no prompts", graph.name))?;
    let mut to = Lowering::of(facts);
    let image = graph.inputs.first().ok_or("the network takes no picture")?;
    let Shape::Map { height, width, .. } = image.shape else { return Err("the network takes no picture".to_owned()) };
    to.asked.input_px = [width, height];
    let features = facts.node(ends.features).output.clone();
    match which {
        PromptFile::Encoder => {
            let name = to.fresh("images");
            to.lowered.input.push(value_info(&name, &image.shape)?);
            to.names.insert(ValueId(0), name);
            to.shapes.insert(ValueId(0), image.shape.clone());
            let name = to.fresh("image_embeddings");
            to.lowered.output.push(value_info(&name, &features.shape)?);
            to.heads.insert(features.value, name);
            for id in graph.ancestors(&[ends.features]) {
                to.node(&graph.node(id).path, facts.node(id))?;
            }
            to.map("the end of the encoder", features.value)?;
        }
        PromptFile::Decoder => decoder(&mut to, graph, facts, ends)?,
    }
    Ok(to.finish(&format!("{} {}", graph.name, which.name())))
}

fn decoder(to: &mut Lowering, graph: &Graph, facts: &Facts, ends: PromptEnds) -> Result<(), String> {
    let features = facts.node(ends.features).output.clone();
    let Shape::Map { channels, height, width } = features.shape else { return Err("features are no map".to_owned()) };
    let (masks, quality) = (facts.node(ends.masks).output.clone(), facts.node(ends.quality).output.clone());
    let Shape::Map { channels: candidates, height: tall, width: wide } = masks.shape else {
        return Err("masks are no map".to_owned());
    };
    let [above, beside] = [height, width].map(|n| n * PromptEncoder::MASK_SCALE);
    to.lowered.input = vec![
        fixed("image_embeddings", &[1, channels, height, width]),
        free("point_coords", &[Ok(1), Err("num_points"), Ok(2)]),
        free("point_labels", &[Ok(1), Err("num_points")]),
        fixed("mask_input", &[1, 1, above, beside]),
        fixed("has_mask_input", &[1]),
        fixed("orig_im_size", &[2]),
    ];
    to.lowered.output = vec![
        free("masks", &[Ok(1), Ok(candidates), Err("height"), Err("width")]),
        fixed("iou_predictions", &[1, candidates]),
        fixed("low_res_masks", &[1, candidates, tall, wide]),
    ];
    let all = to.lowered.input.iter().chain(&to.lowered.output).map(|info| info.name.clone()).collect::<Vec<_>>();
    all.iter().for_each(|name| drop(to.fresh(name)));
    to.names.insert(features.value, "image_embeddings".to_owned());
    to.shapes.insert(features.value, features.shape.clone());
    to.heads.insert(masks.value, "low_res_masks".to_owned());
    to.heads.insert(quality.value, "iou_predictions".to_owned());
    for id in behind(graph, ends) {
        to.node(&graph.node(id).path, facts.node(id))?;
    }
    let low = to.map("the end of the decoder", masks.value)?;
    at_picture(to, &low, [candidates, tall, wide]);
    Ok(())
}

/// The nodes from the features to the answers.
fn behind(graph: &Graph, ends: PromptEnds) -> BTreeSet<NodeId> {
    let mut needed = BTreeSet::new();
    let mut open = vec![ends.masks, ends.quality];
    while let Some(id) = open.pop() {
        if id != ends.features && needed.insert(id) {
            open.extend(graph.parents(id));
        }
    }
    needed
}

/// Masks at the size of the input, cut to what the picture takes of it, at the size of the picture.
fn at_picture(to: &mut Lowering, low: &str, [candidates, tall, wide]: [usize; 3]) {
    let [width, height] = to.asked.input_px;
    let linear = || vec![word("mode", "linear"), word("coordinate_transformation_mode", "half_pixel")];
    let [down, across] = [[height, tall], [width, wide]].map(|[of, by]| of as f32 / by as f32);
    let scales = to.constant("constant/scales", vec![4], vec![1.0, 1.0, down, across]);
    let large = to.emit("Resize", vec![low.to_owned(), String::new(), scales], linear());
    // The longer side is the input's; halves are rounded up.
    let size = "orig_im_size".to_owned();
    let longest = to.emit("ReduceMax", vec![size.clone()], vec![int("keepdims", 0)]);
    let side = to.constant("constant/side", Vec::new(), vec![width.max(height) as f32]);
    let scale = to.both("Div", &side, &longest);
    let seen = to.both("Mul", &size, &scale);
    let half = to.constant("constant/number", Vec::new(), vec![0.5]);
    let seen = to.both("Add", &seen, &half);
    let seen = to.emit("Floor", vec![seen], Vec::new());
    let seen = cast(to, &seen, INT64);
    let [starts, axes] = [[0, 0], [2, 3]].map(|pair| to.whole("constant/part", pair.to_vec()));
    let cut = to.emit("Slice", vec![large, starts, seen, axes], Vec::new());
    let picture = cast(to, &size, INT64);
    let first = to.whole("constant/first", vec![1, candidates as i64]);
    let sizes = to.emit("Concat", vec![first, picture], vec![int("axis", 0)]);
    to.push("Resize", vec![cut, String::new(), String::new(), sizes], linear(), "masks");
}

fn cast(to: &mut Lowering, x: &str, kind: i32) -> String {
    let kind = usize::try_from(kind).unwrap_or_default();
    to.emit("Cast", vec![x.to_owned()], vec![int("to", kind)])
}

/// An input or output of these axes.
fn fixed(name: &str, dims: &[usize]) -> ValueInfo {
    free(name, &dims.iter().map(|&n| Ok(n)).collect::<Vec<_>>())
}

/// The same with names for axes of any length.
fn free(name: &str, dims: &[Result<usize, &str>]) -> ValueInfo {
    let mut info = rows_info(name, "", &[], FLOAT);
    let dim = dims.iter().map(|dim| match dim {
        Ok(n) => Dimension { dim_value: Some(*n as i64), dim_param: None },
        Err(any) => Dimension { dim_value: None, dim_param: Some((*any).to_owned()) },
    });
    if let Some(shape) = info.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut()?.shape.as_mut()) {
        shape.dim = dim.collect();
    }
    info
}

impl Lowering {
    /// Whether the layer is one of prompts; then it is written down.
    pub(super) fn of_prompts(&mut self, path: &str, layer: &Layer) -> Result<bool, String> {
        let input = |at: usize| layer.inputs.get(at).copied().ok_or_else(|| format!("{path} lacks an input"));
        let tensor = |at: usize| layer.tensors.get(at).cloned().ok_or_else(|| format!("{path} lacks a tensor"));
        match layer.op {
            Op::PromptTokens { .. } => self.tokens(path, layer)?,
            Op::PromptMask => drop(self.names.insert(layer.value, "mask_input".to_owned())),
            Op::IfMasked => {
                let (map, has) = (self.rows(path, input(0)?)?, "has_mask_input");
                let one = self.constant("constant/number", Vec::new(), vec![1.0]);
                let rest = self.both("Sub", &one, has);
                let without = self.both("Mul", &tensor(0)?, &rest); // [1, channels]
                let with = self.both("Mul", &map, has);
                let sum = self.both("Add", &with, &without);
                self.keep_rows(layer, sum);
            }
            Op::Ask => self.ask(path, layer, [input(0)?, input(1)?])?,
            Op::Pick { part } => self.pick(path, layer, input(0)?, part)?,
            Op::Prepend => {
                let tokens = self.map(path, input(0)?)?;
                let learned = self.emit("Concat", layer.tensors.clone(), vec![int("axis", 0)]);
                let learned = self.unsqueeze(&learned, 0);
                let all = self.emit("Concat", vec![learned, tokens], vec![int("axis", 1)]);
                self.names.insert(layer.value, all);
            }
            Op::Token { index } => {
                let tokens = self.map(path, input(0)?)?;
                let index = self.whole_one("constant/token", index);
                let token = self.emit("Gather", vec![tokens, index], vec![int("axis", 1)]);
                self.names.insert(layer.value, token);
            }
            Op::Products => {
                let (vectors, map) = layer.inputs.split_at(layer.inputs.len().saturating_sub(1));
                let map = *map.first().ok_or_else(|| format!("{path} lacks an input"))?;
                let [depth, height, width] = self.axes(path, map)?;
                let mut all = Vec::with_capacity(vectors.len());
                for id in vectors {
                    let vector = self.map(path, *id)?;
                    all.push(self.unsqueeze(&vector, 1));
                }
                let weights = self.emit("Concat", all, vec![int("axis", 1)]);
                let x = self.map(path, map)?;
                let x = self.reshape(&x, &[0, depth, height * width]);
                let x = self.both("MatMul", &weights, &x);
                let to = self.whole("constant/shape", [0, vectors.len(), height, width].map(|n| n as i64).to_vec());
                let name =
                    self.heads.get(&layer.value).cloned().unwrap_or_else(|| self.fresh(&format!("{path}/masks")));
                self.push("Reshape", vec![x, to], Vec::new(), &name);
                self.names.insert(layer.value, name);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Sines and cosines of places `[.., 2]` from 0 to 1 along the last axis, which is number `axis`.
    fn waves(&mut self, places: &str, axis: usize) -> String {
        let [two, one, turn] =
            [2.0, 1.0, std::f32::consts::TAU].map(|n| self.constant("constant/number", Vec::new(), vec![n]));
        let x = self.both("Mul", places, &two);
        let x = self.both("Sub", &x, &one);
        let frequencies = self.asked.frequencies.clone();
        let x = self.both("MatMul", &x, &frequencies);
        let x = self.both("Mul", &x, &turn);
        let none = Vec::<Attribute>::new;
        let sine = self.emit("Sin", vec![x.clone()], none());
        let cosine = self.emit("Cos", vec![x.clone()], none());
        self.emit("Concat", vec![sine, cosine], vec![int("axis", axis)])
    }

    /// The tokens of points and corners.
    fn tokens(&mut self, path: &str, layer: &Layer) -> Result<(), String> {
        let [frequencies, kinds @ .., nothing] = &layer.tensors[..] else {
            return Err(format!("{path} lacks a tensor"));
        };
        self.asked.frequencies.clone_from(frequencies);
        // The middle of the pixel.
        let half = self.constant("constant/number", Vec::new(), vec![0.5]);
        let sides = self.asked.input_px.map(|side| side as f32).to_vec();
        let sides = self.constant("constant/sides", vec![2], sides);
        let places = self.both("Add", "point_coords", &half);
        let places = self.both("Div", &places, &sides);
        let waves = self.waves(&places, 2);
        let labels = self.unsqueeze("point_labels", 2);
        let is = |to: &mut Self, label: f32| {
            let label = to.constant("constant/label", Vec::new(), vec![label]);
            let same = to.both("Equal", &labels, &label);
            cast(to, &same, FLOAT)
        };
        let none = is(self, -1.0);
        let one = self.constant("constant/number", Vec::new(), vec![1.0]);
        let some = self.both("Sub", &one, &none);
        let mut sum = self.both("Mul", &waves, &some);
        for (label, vector) in std::iter::once((-1.0, nothing)).chain([0.0, 1.0, 2.0, 3.0].into_iter().zip(kinds)) {
            let share = is(self, label);
            let own = self.both("Mul", &share, vector);
            sum = self.both("Add", &sum, &own);
        }
        self.names.insert(layer.value, sum);
        Ok(())
    }

    fn ask(&mut self, path: &str, layer: &Layer, [tokens, map]: [ValueId; 2]) -> Result<(), String> {
        let read = self.asked.read.and_then(|(id, codes)| Some((self.asked.questions.get(&id)?.clone(), codes)));
        let (token_codes, map_codes) = match read {
            Some((before, true)) => (before.token_codes, before.map_codes),
            Some((before, false)) => (self.map(path, tokens)?, before.map_codes),
            None => {
                let [_, height, width] = self.axes(path, map)?;
                let middle = |i: usize, of: usize| (i as f32 + 0.5) / of as f32;
                let places = (0..height * width).flat_map(|i| [middle(i % width, width), middle(i / width, height)]);
                let places = self.constant("constant/places", vec![height * width, 2], places.collect());
                let codes = self.waves(&places, 1);
                let length =
                    self.tensors.get(&self.asked.frequencies).map_or(0, |shape| 2 * shape.last().unwrap_or(&0));
                (self.map(path, tokens)?, self.reshape(&codes, &[1, height, width, length]))
            }
        };
        self.asked.questions.insert(layer.value, Question { tokens, map, token_codes, map_codes });
        Ok(())
    }

    fn pick(&mut self, path: &str, layer: &Layer, from: ValueId, part: Part) -> Result<(), String> {
        let question = self.asked.questions.get(&from).cloned();
        let question = question.ok_or_else(|| format!("{path} reads a question that nothing asked"))?;
        let codes = matches!(part, Part::TokenCodes | Part::MapCodes);
        let had = self.asked.read.is_some_and(|(_, codes)| codes);
        self.asked.read = Some((from, codes || had));
        match part {
            Part::Tokens => {
                let tokens = self.map(path, question.tokens)?;
                self.names.insert(layer.value, tokens);
            }
            Part::TokenCodes => drop(self.names.insert(layer.value, question.token_codes)),
            Part::Map => {
                let map = self.rows(path, question.map)?;
                self.cells.insert(layer.value, map);
            }
            Part::MapCodes => drop(self.cells.insert(layer.value, question.map_codes)),
        }
        Ok(())
    }
}
