//! Everything that decides a run. The doc of a field is its help text on screen; [`Plan::default`] is the only default.

use super::features::CacheChoice;
use super::remote::Address;
use super::segmentation::MaskLoss;
use super::segmentation::teach::Prompting;
use super::timeline::FreezePhase;
use crate::data::{Augment, LabelColumn, Task};
use crate::graph::{FreezePlan, Preset};
use crate::models::{ModelTask, Variant, find};
use crate::weights::HeadPolicy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the pictures come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// The built-in sample.
    #[default]
    Sample,
    /// A folder or an annotation file.
    Path(PathBuf),
}

/// Where the pictures for validation come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValChoice {
    /// The set's own split, or a fifth of it.
    #[default]
    Auto,
    /// This share of the pictures, drawn from each class alike.
    Fraction(f32),
    /// Another set with the same classes.
    Path(PathBuf),
}

/// Where the weights come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightsSource {
    /// Random, as torchvision initialises; shown in red.
    #[default]
    Random,
    /// The small backbone that comes with the program.
    BuiltIn,
    /// Published weights of the model, wherever they lie on this machine; a run never fetches them by itself.
    Public {
        /// The publisher's name of the entry, such as `IMAGENET1K_V1`.
        entry: String,
    },
    /// A checkpoint file, or a run's folder: its best weights.
    File(PathBuf),
}

/// The optimizer and its settings, in torch's semantics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum OptimizerChoice {
    /// Stochastic gradient descent with momentum (dampening 0).
    Sgd {
        /// Share of the previous step that is kept.
        momentum: f64,
        /// L2 penalty added to the gradient.
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
    AdamW {
        /// Decay of the gradient's mean.
        beta1: f64,
        /// Decay of the gradient's square.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
        /// Shrinks weights by `lr * weight_decay` each step.
        weight_decay: f64,
    },
}

impl OptimizerChoice {
    /// SGD with momentum 0.9 and weight decay 1e-4.
    pub const SGD: Self = Self::Sgd { momentum: 0.9, weight_decay: 1e-4 };
    /// AdamW with torch's defaults.
    pub const ADAMW: Self = Self::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1e-2 };
}

/// How the learning rate moves after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// It stays.
    Constant,
    /// Half a cosine down to zero over the run (Loshchilov & Hutter 2017, arXiv:1608.03983).
    #[default]
    Cosine,
}

/// Weights of the classes in the loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All equal.
    #[default]
    Equal,
    /// Inverse to the number of training pictures of the class, mean 1; for pixels by median frequency.
    Balanced,
    /// Given, one for each class in the order of names.
    Given(Vec<f32>),
}

/// When to stop before the last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStop {
    /// Epochs without gain before the run ends.
    pub patience: u32,
    /// Smallest change of the metric that counts as a gain.
    pub min_gain: f64,
}

/// Which device trains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// A real GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The wgpu adapter with this index, software adapters included; the first without one.
    Wgpu(Option<usize>),
    /// The device of a `frostline serve` in the network.
    Remote(Address),
}

impl std::fmt::Display for DeviceChoice {
    /// As on the command line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu(None) => f.write_str("wgpu"),
            Self::Wgpu(Some(index)) => write!(f, "wgpu:{index}"),
            Self::Remote(address) => write!(f, "remote:{address}"),
        }
    }
}

/// Everything that decides a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// The pictures.
    pub data: DataSource,
    /// The pictures for validation.
    pub val: ValChoice,
    /// The model's name in the registry.
    pub model: String,
    /// The label columns that heads are trained on, the first head first; empty for the first column alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<String>,
    /// Where its weights come from.
    pub weights: WeightsSource,
    /// What of the checkpoint's head goes on.
    pub head: HeadPolicy,
    /// Which nodes stay as they are.
    pub freeze: FreezePlan,
    /// What changes in later epochs: freeze plans and factors on the learning rate, in order of their first epochs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<FreezePhase>,
    /// Passes over the training pictures.
    pub epochs: u32,
    /// Pictures that go through the network at once: one step, or a part of it where gradients are accumulated.
    pub batch: usize,
    /// Batches whose mean gradient makes one step of the optimizer; the last step of an epoch takes what is left.
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Whether most activations are computed again in the backward pass instead of being kept: less memory, more time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// Side of the input in pixels.
    pub size_px: u32,
    /// Decides the split, new weights, order of pictures and augmentation.
    pub seed: u64,
    /// The optimizer.
    pub optimizer: OptimizerChoice,
    /// Learning rate at the end of the warm-up.
    pub lr: f64,
    /// Factors on the learning rate by stage; 1 where none is given.
    pub stage_lr: BTreeMap<String, f64>,
    /// Epochs over which the learning rate rises linearly from nearly zero.
    pub warmup_epochs: f64,
    /// How the learning rate moves after the warm-up.
    pub decay: Decay,
    /// Share of each target that is spread over all classes (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// Weights of the classes in the loss.
    pub class_weights: ClassWeights,
    /// Weights of the losses, by name; 1 where none is given.
    pub loss_weights: BTreeMap<String, f64>,
    /// What trains heads that tell a class for each pixel: a sum of `ce`, `dice`, `jaccard`, `focal`, `lovasz` and `border`.
    #[serde(skip_serializing_if = "MaskLoss::is_default")]
    pub mask_loss: MaskLoss,
    /// How prompts are simulated for a model that is asked for masks.
    #[serde(skip_serializing_if = "Prompting::is_default")]
    pub prompting: Prompting,
    /// Gradients are scaled down to this global norm where they exceed it.
    pub clip_norm: Option<f64>,
    /// How training pictures are varied.
    pub augment: Augment,
    /// How many fixed views of a training picture the epochs take in turn, drawn from the seed; 0 for new ones in each epoch.
    #[serde(skip_serializing_if = "is_zero")]
    pub views: u32,
    /// Whether what the frozen part gives is kept from epoch to epoch.
    #[serde(skip_serializing_if = "CacheChoice::is_default")]
    pub cache: CacheChoice,
    /// Pictures with a class that fewer than this part (0-1) of them show come several times in an epoch (Gupta et al. 2019,
    /// arXiv:1908.03195: by the root of how much rarer it is); none for each picture once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_rare: Option<f64>,
    /// When to stop before the last epoch.
    pub early_stop: Option<EarlyStop>,
    /// The metric that picks the best checkpoint: `top1`, `miou`, …, or `loss`; empty for the task's own.
    pub best_by: String,
    /// Which device trains.
    pub device: DeviceChoice,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            data: DataSource::default(),
            val: ValChoice::default(),
            model: "resnet18".to_owned(),
            heads: Vec::new(),
            weights: WeightsSource::default(),
            head: HeadPolicy::default(),
            freeze: FreezePlan::default(),
            timeline: Vec::new(),
            epochs: 10,
            batch: 16,
            accumulate: 1,
            recompute: false,
            size_px: 224,
            seed: 0,
            optimizer: OptimizerChoice::SGD,
            lr: 0.01,
            stage_lr: BTreeMap::new(),
            warmup_epochs: 0.5,
            decay: Decay::Cosine,
            label_smoothing: 0.0,
            class_weights: ClassWeights::Equal,
            loss_weights: BTreeMap::new(),
            mask_loss: MaskLoss::default(),
            prompting: Prompting::default(),
            clip_norm: None,
            augment: Augment::default(),
            views: 0,
            cache: CacheChoice::default(),
            repeat_rare: None,
            early_stop: None,
            best_by: String::new(),
            device: DeviceChoice::Auto,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_one(number: &usize) -> bool {
    *number == 1
}

impl Plan {
    /// Trains a head on each of these label columns; what is said of heads that are gone goes too: weights of their
    /// losses, frozen nodes.
    pub fn set_heads(&mut self, columns: Vec<String>) {
        let of = |name: &String| LabelColumn { name: name.clone(), ..LabelColumn::single(Vec::new()) }.head();
        let heads: Vec<String> = columns.iter().map(of).collect();
        let there = |path: &String| match path.strip_prefix("heads.") {
            Some(rest) => heads.iter().skip(1).any(|head| rest.starts_with(&format!("{head}."))),
            None => true,
        };
        self.loss_weights.retain(|name, _| heads.contains(name));
        for freeze in std::iter::once(&mut self.freeze).chain(self.timeline.iter_mut().map(|phase| &mut phase.freeze)) {
            freeze.frozen.retain(there);
            freeze.bn.retain(|path, _| there(path));
        }
        self.heads = columns;
    }

    /// What the model needs from its pictures; none where the model is not known.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        find(&self.model).ok().map(|variant| match variant.task {
            ModelTask::Classify => Task::Classify,
            ModelTask::Detect => Task::Detect,
            ModelTask::Segment | ModelTask::Prompt => Task::Segment,
        })
    }

    /// How training pictures are varied for a task, if nobody says otherwise.
    #[must_use]
    pub fn usual_augment(task: ModelTask) -> Augment {
        match task {
            ModelTask::Detect => Augment::detection(),
            ModelTask::Segment => Augment::segmentation(),
            ModelTask::Classify => Augment::default(),
            // The features of pictures as they are have to be computed once only.
            ModelTask::Prompt => Augment::none(),
        }
    }

    /// What stays as it is, if nobody says otherwise: the encoder of a promptable model, as its features serve all prompts; else
    /// nothing.
    #[must_use]
    pub fn usual_freeze(variant: &Variant, size_px: u32) -> FreezePlan {
        if variant.task != ModelTask::Prompt {
            return FreezePlan::default();
        }
        let graph = variant.graph(variant.usual_classes(), size_px as usize);
        graph.and_then(|graph| FreezePlan::preset(&graph, &Preset::HeadOnly)).unwrap_or_default()
    }

    /// Takes another model, and with it what belongs to a model: input size, freezing over time, learning rates of stages;
    /// for another task also how pictures are varied.
    pub fn choose(&mut self, variant: &Variant) {
        let before = find(&self.model).map_or(variant.task, |before| before.task);
        if before != variant.task {
            self.augment = Self::usual_augment(variant.task);
            self.best_by.clear();
            self.repeat_rare = None;
        }
        variant.name.clone_into(&mut self.model);
        self.size_px = variant.preprocess.size[0];
        self.augment.sizes.clear();
        self.freeze = Self::usual_freeze(variant, self.size_px);
        self.timeline.clear();
        self.stage_lr.clear();
        let first = variant.weights.first().map(|public| public.name.to_owned());
        match (&self.weights, first) {
            (WeightsSource::Public { .. }, Some(entry)) => self.weights = WeightsSource::Public { entry },
            (WeightsSource::Public { .. } | WeightsSource::BuiltIn, _) => self.weights = WeightsSource::Random,
            _ => {}
        }
    }

    /// What is impossible in this plan, in sentences; empty when it can run.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, text: String| {
            if !ok {
                problems.push(text);
            }
        };
        check(self.epochs >= 1, "The number of epochs must be at least 1.".to_owned());
        check(self.batch >= 1, "The batch must hold at least 1 picture.".to_owned());
        check(self.accumulate >= 1, "A step must accumulate the gradients of at least 1 batch.".to_owned());
        check(
            (32..=4096).contains(&self.size_px),
            format!("The input size must lie between 32 and 4096 pixels, not {}.", self.size_px),
        );
        check(
            self.lr.is_finite() && self.lr > 0.0,
            format!("The learning rate must be a positive number, not {}.", self.lr),
        );
        check(
            (0.0..1.0).contains(&self.label_smoothing),
            format!("Label smoothing must lie between 0 and 1, not {}.", self.label_smoothing),
        );
        check(
            self.clip_norm.is_none_or(|norm| norm.is_finite() && norm > 0.0),
            "The gradient norm to clip at must be positive.".to_owned(),
        );
        if let Some(side) = self.augment.sizes.iter().find(|side| !(32..=4096).contains(*side)) {
            check(false, format!("Input sizes must lie between 32 and 4096 pixels, not {side}."));
        }
        check(
            self.repeat_rare.is_none_or(|part| part > 0.0 && part <= 1.0),
            "The part of the pictures below which a class is rare must lie between 0 and 1.".to_owned(),
        );
        check(
            self.warmup_epochs.is_finite() && self.warmup_epochs >= 0.0,
            "The warm-up cannot be negative.".to_owned(),
        );
        if let Some(problem) = self.prompting.problem() {
            check(false, problem);
        }
        let mut first = 1;
        for phase in &self.timeline {
            check(
                phase.from_epoch > first,
                format!("Phases must begin one after the other, from epoch 2 on, not in epoch {}.", phase.from_epoch),
            );
            check(
                phase.lr_factor.is_finite() && phase.lr_factor > 0.0,
                format!("The factor on the learning rate from epoch {} on must be positive.", phase.from_epoch),
            );
            first = first.max(phase.from_epoch);
        }
        problems
    }
}
