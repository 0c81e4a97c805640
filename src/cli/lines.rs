//! The JSON objects of `--json`, one a line: scripts depend on these names, so they only grow.

use crate::data::{Issue, LabelColumn, Task};
use crate::graph::Preprocess;
use crate::session::{Accuracy, Best, Ending, ModelTask, StepNews, StepTimes};
use crate::train::{Averages, BoxScore, ClassScore, LrPoint, LrSuggestions, SweepEnd};
use crate::weights::{Counts, Row};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line<'a> {
    /// `models`: one model of the zoo.
    Model(Model<'a>),
    /// `inspect`: a network in sum; its nodes follow.
    Graph(GraphLine<'a>),
    /// `inspect`: one node, in order of execution.
    Node(NodeLine<'a>),
    /// `inspect` of a file: what happens to one tensor.
    Tensor(&'a Row),
    /// `inspect` of a file: the load report in sum, after its tensors.
    Load(LoadLine<'a>),
    /// `inspect` of a file that fits no model: one of the nearest.
    Nearest {
        model: &'a str,
        /// Tensors in common over all that either has, 0 to 1.
        similarity: f32,
        what: String,
    },
    /// `check`: one line of the pre-flight report.
    Issue(&'a Issue),
    /// `check`: the report in sum.
    Dataset(DatasetLine<'a>),
    /// `train`, `resume`: a run starts.
    Start(StartLine<'a>),
    /// A training step.
    Step(&'a StepNews),
    /// An epoch, 0 before training.
    Epoch(EpochLine<'a>),
    /// The run's end.
    Done { best: Option<&'a Best>, checkpoint: Option<&'a Path>, ending: Ending, run: &'a Path },
    /// `eval --per-image`: one picture, before the result.
    Image(ImageLine<'a>),
    /// `eval --per-image` of a model that tells a class for each pixel.
    #[serde(rename = "image")]
    Mask(MaskLine<'a>),
    /// `eval`.
    Eval(EvalLine<'a>),
    /// `predict`: one picture.
    Prediction(PredictionLine<'a>),
    /// `lr`: one step of the sweep.
    LrPoint(&'a LrPoint),
    /// `lr`: the learning rates that the sweep suggests; `valley` is the one to use.
    Lr {
        #[serde(flatten)]
        suggestions: LrSuggestions,
        end: SweepEnd,
        steps: usize,
    },
    /// `export`, `sample`: a file or folder was written.
    Written {
        path: &'a Path,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        /// `export` to ONNX: what another engine says of the file.
        #[serde(skip_serializing_if = "Option::is_none")]
        check: Option<CheckLine<'a>>,
    },
    /// `serve`: it listens.
    Serving { address: SocketAddr, device: &'a str, kind: &'a str },
    /// `bench`: step times of one model.
    Bench(BenchLine<'a>),
}

#[derive(Debug, Serialize)]
pub(super) struct Model<'a> {
    pub name: &'a str,
    pub title: &'a str,
    pub family: &'a str,
    pub task: ModelTask,
    pub params: u64,
    pub macs: u64,
    /// Side of the input in pixels.
    pub size: u32,
    /// Classes of the first public weights.
    pub classes: Option<usize>,
    pub preprocess: &'a Preprocess,
    pub preprocess_words: String,
    /// Whether a backbone comes with the program.
    pub built_in: bool,
    /// What a person must know of weights from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'a str>,
    pub weights: Vec<ModelWeights<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ModelWeights<'a> {
    pub url: &'a str,
    pub file: &'a str,
    pub license: &'a str,
    /// Whether they fill the backbone only.
    pub of_backbone: bool,
    pub trained_on: &'a str,
    pub classes: usize,
    /// For `--weights public:NAME`.
    pub name: &'a str,
    pub params: u64,
    /// Size of the file, where it is published.
    pub size_mib: Option<f64>,
    /// `top1` or `box_ap`, in percent, as published.
    #[serde(flatten)]
    pub accuracy: Accuracy,
    /// The whole, where it is known for sure.
    pub sha256: Option<&'a str>,
    /// The published first digits.
    pub sha256_prefix: Option<&'a str>,
    /// What was recorded beside the file on this machine when it came.
    pub sha256_recorded: Option<String>,
    pub preprocess: &'a Preprocess,
    pub preprocess_words: String,
    /// The file on this machine.
    pub local: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
pub(super) struct GraphLine<'a> {
    pub model: &'a str,
    pub task: ModelTask,
    /// Classes of the first head.
    pub classes: usize,
    /// Channels, height, width.
    pub input_shape: Vec<usize>,
    pub params: u64,
    pub macs: u64,
    pub nodes: usize,
    pub heads: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct NodeLine<'a> {
    pub path: &'a str,
    pub part: String,
    pub stage: &'a str,
    pub block: &'a str,
    /// Paths of the nodes that it reads, or names of the network's inputs.
    pub inputs: Vec<&'a str>,
    pub output_shape: Vec<usize>,
    pub params: u64,
    pub macs: u64,
    pub tensors: Vec<TensorLine<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct TensorLine<'a> {
    pub name: &'a str,
    pub shape: &'a [usize],
}

#[derive(Debug, Serialize)]
pub(super) struct LoadLine<'a> {
    pub file: &'a Path,
    pub container: &'a str,
    pub model: &'a str,
    pub similarity: f32,
    #[serde(flatten)]
    pub counts: Counts,
    pub backbone_matched: f32,
    pub nested_under: Option<&'a str>,
    pub stripped_prefix: Option<&'a str>,
    pub added_prefix: Option<&'a str>,
    pub metadata: &'a BTreeMap<String, String>,
    /// Names of the head's classes in the order of ids, where something names them, and what does.
    pub class_names: Option<&'a [String]>,
    pub classes_named_by: Option<&'a str>,
    /// What was chosen or converted on the way, in words.
    pub notes: &'a [String],
    pub warning: Option<String>,
    pub summary: String,
}

#[derive(Debug, Serialize)]
pub(super) struct DatasetLine<'a> {
    pub task: Option<Task>,
    pub format: Option<&'a str>,
    /// Of the first label column.
    pub classes: &'a [String],
    /// What heads can be trained on.
    pub columns: &'a [LabelColumn],
    /// Image files seen, usable or not.
    pub images: usize,
    pub used: usize,
    pub skipped: usize,
    pub usable: bool,
    /// Usable pictures by split.
    pub splits: BTreeMap<&'static str, usize>,
    /// Pixels of each class by split, for sets of masks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pixels: BTreeMap<&'static str, Vec<u64>>,
    /// Why it is not usable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct StartLine<'a> {
    pub model: &'a str,
    pub device: &'a str,
    pub params: u64,
    pub trainable: u64,
    pub images: Images,
    pub cache: &'a str,
    pub run: &'a Path,
    /// Of the first head.
    pub classes: &'a [String],
    /// What each label head tells, in turn.
    pub heads: &'a [LabelColumn],
    pub epochs: u32,
    /// More than 0 for a resumed run.
    pub first_epoch: u32,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Images {
    pub train: usize,
    pub val: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct EpochLine<'a> {
    pub epoch: u32,
    pub train: &'a BTreeMap<String, f64>,
    pub val: &'a BTreeMap<String, f64>,
    pub metrics: &'a BTreeMap<String, f64>,
    pub seconds: f64,
    pub frozen_verified: bool,
    pub frozen_tensors: usize,
    pub cached: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct EvalLine<'a> {
    pub metrics: &'a BTreeMap<String, f64>,
    pub losses: &'a BTreeMap<String, f64>,
    pub images: usize,
    pub model: &'a str,
    pub source: &'a Path,
    pub data: &'a Path,
    pub device: &'a str,
    pub seconds: f64,
    /// train, val or test; all without one.
    pub split: String,
    /// Of the first head that labels pictures.
    #[serde(flatten)]
    pub scores: Option<HeadLine<'a>>,
    /// Of further such heads, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub heads: BTreeMap<&'a str, HeadLine<'a>>,
    /// Of a detector, class by class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<BoxClassLine<'a>>,
    /// Of a model that tells a class for each pixel, class by class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<MaskClassLine<'a>>,
}

/// What a mask is worth for one class.
#[derive(Debug, Serialize)]
pub(super) struct MaskClassLine<'a> {
    pub name: &'a str,
    /// None where the class is neither there nor said; the means leave it out.
    pub iou: Option<f64>,
    pub dice: Option<f64>,
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    /// Pixels that are of the class, at the size of the input.
    pub pixels: u64,
}

/// One picture's mask: means over the classes that are there or said.
#[derive(Debug, Serialize)]
pub(super) struct MaskLine<'a> {
    pub image: String,
    pub head: &'a str,
    pub miou: Option<f64>,
    pub dice: Option<f64>,
    pub classes: Vec<MaskClassLine<'a>>,
}

/// What a detector is worth for one class.
#[derive(Debug, Serialize)]
pub(super) struct BoxClassLine<'a> {
    pub name: &'a str,
    pub objects: usize,
    pub found: usize,
    /// None where there is no object of the class.
    pub ap: Option<f64>,
    pub ap50: Option<f64>,
    pub ap75: Option<f64>,
}

/// What a classification head is worth.
#[derive(Debug, Serialize)]
pub(super) struct HeadLine<'a> {
    pub per_class: Vec<ClassLine<'a>>,
    #[serde(rename = "macro")]
    pub macro_average: Option<Averages>,
    #[serde(rename = "weighted")]
    pub weighted_average: Option<Averages>,
    /// Expected calibration error, 15 bins.
    pub ece: Option<f64>,
    /// Maximum calibration error.
    pub mce: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct ClassLine<'a> {
    pub name: &'a str,
    /// None where nothing was predicted as the class.
    pub precision: Option<f64>,
    /// None where no picture is of the class.
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    pub support: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct ImageLine<'a> {
    pub image: String,
    pub head: &'a str,
    /// The true class, of a head that gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<&'a str>,
    /// The true labels, of a head that gives several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<&'a str>>,
    pub correct: bool,
    /// Probability of the true class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth_score: Option<f32>,
    pub loss: f32,
    /// The best five, or the labels that are given.
    pub classes: Vec<NameScore<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct PredictionLine<'a> {
    pub image: &'a str,
    /// Width and height in pixels, EXIF-oriented.
    pub size: [u32; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<NameScore<'a>>>,
    /// Objects, likeliest first, in pixels of the EXIF-oriented picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boxes: Option<Vec<BoxScore>>,
    /// The PNG with class ids as pixel values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// Answers of classification heads beyond the first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub heads: BTreeMap<&'a str, Vec<NameScore<'a>>>,
    /// What is answered to a prompt.
    #[serde(flatten)]
    pub prompted: Option<PromptedLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}

/// What is answered to a prompt.
#[derive(Debug, Serialize)]
pub(super) struct PromptedLine {
    /// The masks: three for a prompt, or all that were found.
    pub masks: Vec<PromptMaskLine>,
    /// Which of a prompt's masks has the greatest predicted IoU; `mask` is its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<usize>,
    pub ms: PromptTimes,
}

/// How long an answer took.
#[derive(Debug, Serialize)]
pub(super) struct PromptTimes {
    /// Encoding the picture.
    pub encode: Option<f64>,
    /// The answer itself.
    pub answer: f64,
}

/// One mask.
#[derive(Debug, Serialize)]
pub(super) struct PromptMaskLine {
    /// IoU with what was meant, as the network thinks.
    pub iou: f32,
    /// IoU of the masks of a higher and a lower threshold.
    pub stability: f32,
    pub area: u64,
    /// Left, top, right, bottom of its outermost pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xyxy: Option<[u32; 4]>,
    /// COCO's packed runs.
    pub segmentation: PackedRuns,
    /// The PNG with 255 where the mask is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// A mask as COCO packs it.
#[derive(Debug, Serialize)]
pub(super) struct PackedRuns {
    /// Height and width in pixels.
    pub size: [u32; 2],
    pub counts: String,
}

#[derive(Debug, Serialize)]
pub(super) struct CheckLine<'a> {
    pub engine: &'a str,
    pub image: &'a str,
    pub batch: usize,
    pub max_abs_diff: f32,
    pub same_top1: bool,
    pub seconds: f64,
    pub heads: Vec<HeadCheckLine<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct HeadCheckLine<'a> {
    pub head: &'a str,
    pub max_abs_diff: f32,
    /// What would be rounding.
    pub tolerance: f32,
    /// Greatest absolute raw output.
    pub max_abs: f32,
    pub same_top1: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<NameScore<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<NameScore<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct NameScore<'a> {
    pub name: &'a str,
    pub score: f32,
}

impl<'a> From<&'a ClassScore> for NameScore<'a> {
    fn from(score: &'a ClassScore) -> Self {
        Self { name: &score.name, score: score.score }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct BenchLine<'a> {
    pub model: &'a str,
    pub task: &'a str,
    pub device: &'a str,
    /// Side of the input in pixels.
    pub size: u32,
    pub batch: usize,
    pub freeze: &'a str,
    pub params: u64,
    pub trainable: u64,
    /// Steps that were measured.
    pub steps: usize,
    /// The median.
    pub images_per_s: f64,
    /// The slowest and the fastest step.
    pub images_per_s_range: [f64; 2],
    /// Medians.
    pub ms: StepTimes,
    /// Without the wait for pictures.
    pub first_step_ms: f64,
    /// From the start of the run to the end of its first step: reading the set, making the network, validating it once.
    pub start_s: f64,
    /// The most memory that the case's process had; null where the system does not tell.
    pub peak_mib: Option<f64>,
    /// With cached features: an epoch from the second on without its validation, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch_s: Option<f64>,
    /// With cached features: pictures of an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch_images: Option<usize>,
}
