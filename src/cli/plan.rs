//! From the arguments of `train` to a plan.

use super::args::{
    AugmentName, Cache, CacheArgs, ClassWeightsName, DecayName, HeadName, OptimizerName, PlanArgs, Recipe, ScheduleName,
};
use super::check::val_source;
use super::{Failure, Outcome};
use crate::data::{Augment, CropRange, Jitter, LabelColumn, ValSource};
use crate::graph::{FreezePlan, Graph};
use crate::session::{ModelTask, Variant, find_model};
use crate::train::segmentation::teach::Prompting;
use crate::train::{
    About, CacheChoice, CacheMode, ClassWeights, DataSource, Decay, EarlyStop, FreezePhase, OptimizerChoice, Plan,
    SchedulePreset, ValChoice, WeightsSource, about_weights, head_plans, public,
};
use crate::weights::HeadPolicy;
use std::path::{Path, PathBuf};

/// Learning rate of AdamW where none is given; the plan's own default is SGD's.
const ADAMW_LR: f64 = 1e-3;

/// The plan that the arguments describe.
///
/// # Errors
/// The first thing in them that cannot be.
pub(super) fn plan(args: &PlanArgs) -> Result<Plan, Failure> {
    let about = about(&args.weights, args.model.is_some())?;
    let model = args.model.as_ref().or(about.as_ref().map(|about| &about.model)).ok_or_else(|| {
        Failure::Input("--model is missing; it can be left out where --weights names a checkpoint.".to_owned())
    })?;
    let variant = find_model(model).map_err(Failure::Input)?;
    let default = Plan::default();
    let own = about.as_ref().and_then(|about| about.preprocess.as_ref());
    let size_px = args.size.unwrap_or(own.unwrap_or(&variant.preprocess).size[0]);
    let graph = graph(&variant, size_px, &args.heads)?;
    let mut plan = Plan {
        data: data_source(&args.data)?,
        val: val_choice(args.val.as_deref())?,
        model: model.clone(),
        weights: weights(&args.weights, &variant)?,
        heads: args.heads.clone(),
        head: HeadPolicy { keep: args.head == HeadName::Keep, ..HeadPolicy::default() },
        freeze: match args.freeze.as_slice() {
            [] => Plan::usual_freeze(&variant, size_px),
            words => freeze(&graph, words)?,
        },
        epochs: args.epochs.unwrap_or(default.epochs),
        batch: args.batch.unwrap_or(default.batch),
        size_px,
        seed: args.seed.unwrap_or(default.seed),
        device: args.device.clone(),
        lr: args.lr.unwrap_or(match args.recipe.optimizer {
            OptimizerName::Sgd => default.lr,
            OptimizerName::Adamw => ADAMW_LR,
        }),
        ..default
    };
    recipe(&mut plan, &args.recipe, &graph, variant.task)?;
    timeline(&mut plan, args, &graph)?;
    match plan.problems().first() {
        None => Ok(plan),
        Some(problem) => Err(Failure::Input(problem.clone())),
    }
}

/// What the arguments say of the feature cache.
pub(super) fn cache(args: &CacheArgs) -> CacheChoice {
    let mode = match args.cache {
        Cache::Auto => CacheMode::Auto,
        Cache::On => CacheMode::On,
        Cache::Off => CacheMode::Off,
    };
    CacheChoice { mode, half: args.cache_half, ram_mb: args.cache_ram, disk_mb: args.cache_disk }
}

/// A freeze plan from words; several names may be given apart or joined by commas.
pub(super) fn freeze(graph: &Graph, words: &[String]) -> Result<FreezePlan, Failure> {
    FreezePlan::parse(graph, &words.join(",")).map_err(|error| Failure::Input(format!("--freeze: {error}.")))
}

/// What changes in later epochs.
fn timeline(plan: &mut Plan, args: &PlanArgs, graph: &Graph) -> Outcome {
    for (from_epoch, words) in &args.freeze_at {
        let freeze = FreezePlan::parse(graph, words);
        let freeze = freeze.map_err(|error| Failure::Input(format!("--freeze-at {from_epoch}: {error}.")))?;
        if *from_epoch > plan.epochs {
            let epochs = plan.epochs;
            return Err(Failure::Input(format!("--freeze-at {from_epoch}: the run has only {epochs} epochs.")));
        }
        plan.timeline.push(FreezePhase::new(*from_epoch, freeze));
    }
    plan.timeline.sort_by_key(|phase| phase.from_epoch);
    let Some(name) = args.schedule else { return Ok(()) };
    let preset = match name {
        ScheduleName::HeadOnly => SchedulePreset::HeadOnly,
        ScheduleName::TwoPhases => SchedulePreset::TwoPhases,
        ScheduleName::Gradual => SchedulePreset::Gradual,
        ScheduleName::Falling => SchedulePreset::Falling,
    };
    let facts = graph.facts().map_err(|error| Failure::Input(format!("{}: {error}.", graph.name)))?;
    preset.apply(plan, graph, &facts).map_err(|cause| Failure::Input(format!("--schedule: {cause}")))
}

/// The graph that names in arguments are looked up in, with a head for each of these label columns; the number of classes
/// changes no name.
pub(super) fn graph(variant: &Variant, size_px: u32, columns: &[String]) -> Result<Graph, Failure> {
    let column = |name: &String| LabelColumn { name: name.clone(), ..LabelColumn::single(vec![String::new(); 2]) };
    let graph = match columns {
        [] => variant.graph(2, size_px as usize),
        names => variant.graph_with(&head_plans(&names.iter().map(column).collect::<Vec<_>>()), size_px as usize),
    };
    let graph = graph.and_then(|graph| graph.facts().map(|_| graph));
    graph.map_err(|error| Failure::Input(format!("{} at {size_px} px: {error}.", variant.name)))
}

/// The set that an argument names.
pub(super) fn data_source(path: &Path) -> Result<DataSource, Failure> {
    match crate::data::is_there(path) {
        true => Ok(DataSource::Path(path.to_path_buf())),
        false if path == Path::new("sample") => Ok(DataSource::Sample),
        false => Err(Failure::Input(format!("{} does not exist.", path.display()))),
    }
}

fn val_choice(text: Option<&str>) -> Result<ValChoice, Failure> {
    Ok(match val_source(text)? {
        ValSource::FromSet => ValChoice::Auto,
        ValSource::Fraction(part) => ValChoice::Fraction(part),
        ValSource::Other(path) if crate::data::is_there(&path) => ValChoice::Path(path),
        ValSource::Other(path) => {
            return Err(Failure::Input(format!("--val {}: there is nothing at this path.", path.display())));
        }
    })
}

/// What the checkpoint says of itself; where the model is given, one that says nothing is no error yet.
fn about(weights: &str, model_is_given: bool) -> Result<Option<About>, Failure> {
    let path = Path::new(weights);
    if matches!(weights, "none" | "builtin" | "public") || !path.exists() {
        return Ok(None);
    }
    match about_weights(path) {
        Ok(about) => Ok(Some(about)),
        Err(_) if model_is_given => Ok(None),
        Err(what) => Err(Failure::Input(what)),
    }
}

fn weights(text: &str, variant: &Variant) -> Result<WeightsSource, Failure> {
    match text {
        "none" => Ok(WeightsSource::Random),
        "builtin" => Ok(WeightsSource::BuiltIn),
        "public" => public_weights(variant, ""),
        text if text.starts_with("public:") => public_weights(variant, text.trim_start_matches("public:")),
        path if Path::new(path).exists() => Ok(WeightsSource::File(PathBuf::from(path))),
        path => Err(Failure::Input(format!("--weights {path}: there is no such file."))),
    }
}

fn public_weights(variant: &Variant, entry: &str) -> Result<WeightsSource, Failure> {
    let weights = public::entry(variant, entry).map_err(Failure::Input)?;
    Ok(WeightsSource::Public { entry: weights.name.to_owned() })
}

fn recipe(plan: &mut Plan, recipe: &Recipe, graph: &Graph, task: ModelTask) -> Result<(), Failure> {
    plan.optimizer = match (recipe.optimizer, OptimizerChoice::SGD, OptimizerChoice::ADAMW) {
        (OptimizerName::Sgd, OptimizerChoice::Sgd { momentum, weight_decay }, _) => OptimizerChoice::Sgd {
            momentum: recipe.momentum.unwrap_or(momentum),
            weight_decay: recipe.weight_decay.unwrap_or(weight_decay),
        },
        (_, _, OptimizerChoice::AdamW { beta1, beta2, epsilon, weight_decay }) => {
            OptimizerChoice::AdamW { beta1, beta2, epsilon, weight_decay: recipe.weight_decay.unwrap_or(weight_decay) }
        }
        (_, other, _) => other,
    };
    if recipe.optimizer == OptimizerName::Adamw && recipe.momentum.is_some() {
        return Err(Failure::Input("--momentum belongs to sgd, not to adamw.".to_owned()));
    }
    let in_range = |name: &str, value: Option<f64>, high: f64| match value {
        Some(value) if !(0.0..high).contains(&value) => {
            Err(Failure::Input(format!("--{name} {value} is out of range; it is 0 or more and below {high}.")))
        }
        _ => Ok(()),
    };
    in_range("momentum", recipe.momentum, 1.0)?;
    in_range("weight-decay", recipe.weight_decay, f64::INFINITY)?;
    for (stage, _) in &recipe.stage_lr {
        if !graph.stages().contains(stage) {
            let known = graph.stages().join(", ");
            return Err(Failure::Input(format!("--stage-lr: {} has no stage {stage}; it has {known}.", graph.name)));
        }
    }
    plan.stage_lr = recipe.stage_lr.iter().cloned().collect();
    plan.loss_weights = recipe.loss_weight.iter().cloned().collect();
    plan.warmup_epochs = recipe.warmup.unwrap_or(plan.warmup_epochs);
    plan.decay = match recipe.decay {
        None => plan.decay,
        Some(DecayName::Constant) => Decay::Constant,
        Some(DecayName::Cosine) => Decay::Cosine,
    };
    plan.label_smoothing = recipe.label_smoothing.unwrap_or(plan.label_smoothing);
    plan.class_weights = match recipe.class_weights {
        ClassWeightsName::Equal => ClassWeights::Equal,
        ClassWeightsName::Balanced => ClassWeights::Balanced,
    };
    plan.mask_loss = recipe.mask_loss.clone().unwrap_or_default();
    plan.clip_norm = recipe.clip;
    plan.recompute = recipe.recompute;
    plan.accumulate = recipe.accumulate.unwrap_or(plan.accumulate);
    let usual = Prompting::default();
    plan.prompting = Prompting {
        objects: recipe.objects.unwrap_or(usual.objects),
        clicks: recipe.clicks.unwrap_or(usual.clicks),
        boxes: recipe.boxes.unwrap_or(usual.boxes),
    };
    let prompted = [("objects", recipe.objects.is_some()), ("clicks", recipe.clicks.is_some())];
    let prompted = prompted.into_iter().chain([("boxes", recipe.boxes.is_some())]);
    if let Some((name, _)) = prompted.into_iter().find(|(_, given)| *given && task != ModelTask::Prompt) {
        return Err(Failure::Input(format!(
            "--{name} is of models that are asked for masks, which {} is not.",
            graph.name
        )));
    }
    plan.augment = match recipe.augment {
        None => Plan::usual_augment(task),
        Some(AugmentName::Off) => Augment::none(),
        Some(AugmentName::On) if task == ModelTask::Prompt => Augment::segmentation(),
        Some(AugmentName::On) => Plan::usual_augment(task),
        Some(AugmentName::Strong) if task == ModelTask::Detect => Augment { mosaic: 1.0, ..Augment::detection() },
        Some(AugmentName::Strong) => strong(),
    };
    plan.augment.sizes.clone_from(&recipe.sizes);
    plan.repeat_rare = recipe.repeat_rare;
    plan.early_stop = recipe.patience.map(|patience| EarlyStop { patience, min_gain: recipe.min_gain });
    plan.best_by = recipe.best_by.clone().unwrap_or_default();
    Ok(())
}

/// ImageNet's crop and the color changes of SimCLR's supervised baseline.
fn strong() -> Augment {
    Augment {
        random_resized_crop: Some(CropRange { scale: [0.08, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] }),
        jitter: Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
        ..Augment::default()
    }
}
