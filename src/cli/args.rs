//! The arguments, word for word as scripts use them.

use super::values::{box_form, device, freeze_at, share, stage_lr, tile, which};
use crate::data::Task;
use crate::session::{BoxForm, MaskQuestion, Parts, Which};
use crate::train::DeviceChoice;
use crate::train::segmentation::MaskLoss;
use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A workbench for transfer learning and fine-tuning of vision models. Without a command it opens the window.
#[derive(Debug, Parser)]
#[command(name = "frostline", version, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    /// Project file to open in the window
    pub project: Option<PathBuf>,
    /// Device of the window's session: auto, cpu, wgpu, wgpu:N or remote:HOST:PORT
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: DeviceChoice,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the models: task, parameters, input size, public weights
    Models(ModelsArgs),
    /// Show a network node by node; of a checkpoint file, also how it maps
    Inspect(InspectArgs),
    /// Check a data set before training
    Check(CheckArgs),
    /// Train
    Train(Box<TrainArgs>),
    /// Find a learning rate: sweep it over steps of a plan (the options of train) and suggest one
    Lr(Box<LrArgs>),
    /// Go on with a run from its last checkpoint
    Resume(ResumeArgs),
    /// Measure a run's best checkpoint, or a checkpoint file, on a data set
    Eval(EvalArgs),
    /// Say what a run's best checkpoint, or a checkpoint file, sees in pictures
    Predict(PredictArgs),
    /// Write a run's best weights under the public names
    Export(ExportArgs),
    /// Measure training steps of the models on this machine
    Bench(BenchArgs),
    /// Let other machines compute on a device of this one
    Serve(super::serve::ServeArgs),
    /// Write the built-in sample, or make what the program carries
    Sample(SampleArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ModelsArgs {
    /// Everything about this model
    pub name: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct InspectArgs {
    /// A model's name, or a checkpoint file
    #[arg(value_name = "MODEL|FILE")]
    pub what: PathBuf,
    /// Classes of the head [default: those of the public weights, or of the file]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub classes: Option<u32>,
    /// Side of the input in pixels [default: the model's]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub size: Option<u32>,
    /// Model to compare the file with [default: the most similar]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// A folder or an annotation file
    pub data: PathBuf,
    /// Another set, or the share of the pictures, to validate on
    #[arg(long, value_name = "DATA|FRACTION")]
    pub val: Option<String>,
    /// Seed of a split that has to be drawn
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// What is wanted of a set that has boxes and masks
    #[arg(long)]
    pub task: Option<TaskName>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// What a set is to teach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TaskName {
    Classify,
    Detect,
    Segment,
}

impl From<TaskName> for Task {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Classify => Self::Classify,
            TaskName::Detect => Self::Detect,
            TaskName::Segment => Self::Segment,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    pub plan: PlanArgs,
    /// The run's folder, which must not hold a run yet
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// The feature cache: what the frozen part gives is computed once for each view of a picture.
#[derive(Debug, clap::Args)]
pub(super) struct CacheArgs {
    /// Keep what the frozen part gives: where that is measured to save time, wherever possible, or never
    #[arg(long, default_value = "auto")]
    pub cache: Cache,
    /// Vary each training picture in this many fixed ways, taken in turn by the epochs, so that they can be cached [default:
    /// new ones in each epoch]
    #[arg(long, value_name = "K", default_value = "0", hide_default_value = true)]
    pub views: u32,
    /// Store features as 16-bit numbers: half the room, rounded
    #[arg(long)]
    pub cache_half: bool,
    /// Megabytes that features may take in memory
    #[arg(long, value_name = "MB")]
    pub cache_ram: Option<u32>,
    /// Megabytes that all stored features may take on disk; 0 for none
    #[arg(long, value_name = "MB")]
    pub cache_disk: Option<u32>,
}

/// What decides a run.
#[derive(Debug, clap::Args)]
pub(super) struct PlanArgs {
    /// A folder or an annotation file, or `sample` for the built-in one
    #[arg(long)]
    pub data: PathBuf,
    /// A model's name (see frostline models) [default: that of the checkpoint given with --weights]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// A checkpoint file or another run's folder; `public` (or `public:ENTRY`), downloaded where it is not here yet;
    /// `builtin`; `none` for random weights
    #[arg(long, value_name = "FILE|RUN|public|builtin|none", default_value = "none")]
    pub weights: String,
    /// Whether classes that the checkpoint's head knows by the same name keep their weights, or the head is made new
    #[arg(long, default_value = "keep")]
    pub head: HeadName,
    /// What stays as it is: none, backbone, head-only, last-stage, until:PATH, or names of nodes and stages [default: backbone for
    /// models that are asked for masks, else none]
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub freeze: Vec<String>,
    /// What stays as it is from an epoch on, such as 4=until:layer2 or 6=none, in the words of --freeze (repeatable)
    #[arg(long, value_name = "EPOCH=WORDS", value_parser = freeze_at)]
    pub freeze_at: Vec<(u32, String)>,
    /// A usual freeze plan over all epochs with its learning rates, in place of --freeze
    #[arg(long, conflicts_with_all = ["freeze", "freeze_at", "stage_lr"])]
    pub schedule: Option<ScheduleName>,
    /// Label columns of the set to train a head on each, such as color,shape [default: the first]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub heads: Vec<String>,
    /// Passes over the training pictures
    #[arg(long, value_name = "N")]
    pub epochs: Option<u32>,
    /// Pictures that go through the network at once
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Learning rate [default: 0.01 for sgd, 0.001 for adamw]
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// Side of the input in pixels [default: the model's]
    #[arg(long, value_name = "PX")]
    pub size: Option<u32>,
    /// Decides split, new weights, order and augmentation
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Another set, or the share of the pictures, to validate on
    #[arg(long, value_name = "DATA|FRACTION")]
    pub val: Option<String>,
    /// auto, cpu, wgpu, wgpu:N or remote:HOST:PORT
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: DeviceChoice,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub recipe: Recipe,
}

/// How the weights move.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Recipe")]
pub(super) struct Recipe {
    #[arg(long, default_value = "sgd")]
    pub optimizer: OptimizerName,
    /// Of sgd [default: 0.9]
    #[arg(long, value_name = "X")]
    pub momentum: Option<f64>,
    /// [default: 0.0001 for sgd, 0.01 for adamw]
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Epochs over which the learning rate rises
    #[arg(long, value_name = "EPOCHS")]
    pub warmup: Option<f64>,
    /// How the learning rate moves after the warm-up
    #[arg(long)]
    pub decay: Option<DecayName>,
    /// Factor on the learning rate of a stage, such as layer4=0.1 (repeatable)
    #[arg(long, value_name = "STAGE=X", value_parser = stage_lr)]
    pub stage_lr: Vec<(String, f64)>,
    /// Share of each target that is spread over all classes
    #[arg(long, value_name = "X")]
    pub label_smoothing: Option<f64>,
    /// Weights of the classes in the loss
    #[arg(long, default_value = "equal")]
    pub class_weights: ClassWeightsName,
    /// Factor on a loss by its name, such as cls=0.5 (repeatable)
    #[arg(long, value_name = "LOSS=X", value_parser = stage_lr)]
    pub loss_weight: Vec<(String, f64)>,
    /// What trains masks: a sum of ce, dice, jaccard, focal, lovasz and border, such as ce+0.5*dice [default: ce+dice]
    #[arg(long, value_name = "SUM")]
    pub mask_loss: Option<MaskLoss>,
    /// Of models that are asked for masks: objects of a picture in a step at most [default: 4]
    #[arg(long, value_name = "N")]
    pub objects: Option<usize>,
    /// Of models that are asked for masks: corrective clicks after the first prompt [default: 2]
    #[arg(long, value_name = "N")]
    pub clicks: Option<usize>,
    /// Of models that are asked for masks: share of the first prompts that are boxes, the others are points [default: 0.5]
    #[arg(long, value_name = "PART")]
    pub boxes: Option<f32>,
    /// Global norm that gradients are clipped at
    #[arg(long, value_name = "NORM")]
    pub clip: Option<f64>,
    /// Batches whose mean gradient makes one step: the gradient of a larger batch in the memory of a small one [default: 1]
    #[arg(long, value_name = "N")]
    pub accumulate: Option<usize>,
    /// Keep few activations and compute the others again in the backward pass: less memory, a quarter to a half more time
    #[arg(long)]
    pub recompute: bool,
    /// How training pictures are varied [default: off for models that are asked for masks, else on]
    #[arg(long)]
    pub augment: Option<AugmentName>,
    /// Sides of the input in pixels, one of which is drawn for each batch, such as 320,416,512 [default: always the same]
    #[arg(long, value_name = "PX,…", value_delimiter = ',')]
    pub sizes: Vec<u32>,
    /// Show pictures of classes that fewer than this part of them have several times in an epoch
    #[arg(long, value_name = "PART")]
    pub repeat_rare: Option<f64>,
    /// Epochs without gain before the run ends
    #[arg(long, value_name = "EPOCHS")]
    pub patience: Option<u32>,
    /// Smallest change of the metric that counts as a gain
    #[arg(long, value_name = "X", requires = "patience", default_value_t = 0.0)]
    pub min_gain: f64,
    /// Metric that picks the best checkpoint: top1, loss, … [default: the task's own]
    #[arg(long, value_name = "METRIC")]
    pub best_by: Option<String>,
}

/// What becomes of a checkpoint's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum HeadName {
    Keep,
    New,
}

#[derive(Debug, clap::Args)]
pub(super) struct LrArgs {
    #[command(flatten)]
    pub plan: PlanArgs,
    /// The first learning rate
    #[arg(long, value_name = "X", default_value_t = 1e-7)]
    pub from: f64,
    /// Where the learning rates end, unless the loss explodes before
    #[arg(long, value_name = "X", default_value_t = 10.0)]
    pub to: f64,
    /// Steps of the sweep
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub steps: usize,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// The run's folder
    pub run: PathBuf,
    /// A new number of epochs
    #[arg(long, value_name = "N")]
    pub epochs: Option<u32>,
    /// auto, cpu, wgpu, wgpu:N or remote:HOST:PORT [default: the run's]
    #[arg(long, value_parser = device)]
    pub device: Option<DeviceChoice>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct EvalArgs {
    /// A run's folder or a checkpoint file
    #[arg(value_name = "RUN|FILE")]
    pub source: PathBuf,
    /// A folder or an annotation file, or `sample`; its val is measured where it has a split of its own, else all of it
    #[arg(long)]
    pub data: PathBuf,
    /// Which pictures: auto, all, train, val or test
    #[arg(long, default_value = "auto", value_parser = which)]
    pub split: Which,
    /// With --json: a line for each picture before the result
    #[arg(long, requires = "json")]
    pub per_image: bool,
    /// auto, cpu, wgpu, wgpu:N or remote:HOST:PORT
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: DeviceChoice,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct PredictArgs {
    /// A run's folder or a checkpoint file
    #[arg(value_name = "RUN|FILE")]
    pub source: PathBuf,
    /// Pictures
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// For promptable models, what is meant, in pixels: points (- for what is not meant) and a box, divided by spaces, or
    /// everything on a grid of N×N points: "point:X,Y[,+|-] … box:X0,Y0,X1,Y1" or "everything[:N]"
    #[arg(long, value_name = "PROMPT", value_parser = super::prompt::parse)]
    pub prompt: Option<MaskQuestion>,
    /// Least score of an object that is told [default: the model's own]
    #[arg(long, value_name = "SCORE", value_parser = share)]
    pub confidence: Option<f32>,
    /// Overlap (IoU) from which the less likely of two boxes of one class goes [default: the model's own]
    #[arg(long, value_name = "IOU", value_parser = share)]
    pub iou: Option<f32>,
    /// How a model that tells a class for each pixel looks at a picture: as a whole, in overlapping tiles of so many pixels, or in
    /// tiles only where a picture is clearly larger than those that it was trained on (auto)
    #[arg(long, value_name = "auto|whole|PX", default_value = "auto", value_parser = tile)]
    pub tile: Parts,
    /// Folder for predictions.jsonl, masks, pictures with boxes or masks, YOLO text and COCO JSON
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Classes to tell [default: 5, or all with --json]
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// auto, cpu, wgpu, wgpu:N or remote:HOST:PORT
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: DeviceChoice,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// A run's folder or a checkpoint file
    #[arg(value_name = "RUN|FILE")]
    pub source: PathBuf,
    /// The file to write: .safetensors or .pth for PyTorch, or .onnx
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// What a detector's .onnx gives: raw numbers of cells, decoded boxes, or the objects that suppression leaves
    #[arg(long, value_name = "raw|decoded|objects", default_value = "decoded", value_parser = box_form)]
    pub boxes: BoxForm,
    /// With --boxes objects: least score [default: the detector's own]
    #[arg(long, value_name = "SCORE", value_parser = share)]
    pub confidence: Option<f32>,
    /// With --boxes objects: overlap (IoU) from which the less likely of two boxes of one class goes [default: likewise]
    #[arg(long, value_name = "IOU", value_parser = share)]
    pub iou: Option<f32>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// Model to measure (repeatable) [default: the lightest of each family]
    #[arg(long, value_name = "NAME")]
    pub model: Vec<String>,
    /// Every model under every freeze plan: takes long
    #[arg(long, conflicts_with = "model")]
    pub all: bool,
    /// auto, cpu, wgpu, wgpu:N or remote:HOST:PORT
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: DeviceChoice,
    /// Pictures in one step [default: 16 to classify, 8 to detect (2 in two stages), 4 to segment]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch: Option<u16>,
    /// Side of the input in pixels [default: the model's, at most 224 to classify, 320 to detect, 256 to segment]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub size: Option<u32>,
    /// Steps to measure, after two that are not
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub steps: u16,
    /// What stays as it is: all (everything trains), last-stage, head-only, head-only-cached (epochs from the second on,
    /// with features from the cache), or as in train; give several to compare [default: all but last-stage; with --model or
    /// --all, all four]
    #[arg(long, num_args = 1.., value_name = "PLAN")]
    pub freeze: Vec<String>,
    /// Measure one case in this process, on this set, into this run's folder: how the program calls itself
    #[arg(long, hide = true, num_args = 2, value_names = ["DATA", "RUN"])]
    pub measure: Vec<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").required(true)))]
pub(super) struct SampleArgs {
    /// Unpack the built-in sample into this folder
    #[arg(long, value_name = "DIR", group = "what")]
    pub out: Option<PathBuf>,
    /// Draw the sample that the program carries, into the repository's assets folder
    #[arg(long, value_name = "DIR", group = "what")]
    pub assets: Option<PathBuf>,
    /// Train the backbone that the program carries, into the repository's assets folder
    #[arg(long, value_name = "DIR", group = "what")]
    pub pretrain: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Cache {
    Auto,
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ScheduleName {
    /// The heads train, the backbone stays as it is.
    HeadOnly,
    /// The heads for a fifth of the epochs, then everything at half the rate, lower towards the input.
    TwoPhases,
    /// The heads first, then one more stage at a time from the end, at rates that fall towards the input.
    Gradual,
    /// Everything from the start, at rates that fall towards the input.
    Falling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OptimizerName {
    Sgd,
    Adamw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DecayName {
    Constant,
    Cosine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ClassWeightsName {
    Equal,
    Balanced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AugmentName {
    /// Every view of a picture is the same.
    Off,
    /// Random crop and mirror.
    On,
    /// And random changes of color.
    Strong,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
