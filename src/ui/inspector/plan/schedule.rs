//! Optimizer, learning rate, losses, early stopping.

use super::{Number, choice, metrics, number, number_with, toggle};
use crate::graph::Segments;
use crate::train::{ClassWeights, Decay, EarlyStop, OptimizerChoice, Plan};
use crate::ui::action::Action;
use crate::ui::context::Context;
use crate::ui::{format, widgets};
use egui::Ui;

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    widgets::section(ui, ctx.theme, "Optimizer");
    optimizer(ui, ctx);
    let rate = Number {
        name: "learning rate",
        help: "Learning rate at the end of the warm-up.",
        range: 1e-7..=10.0,
        speed: 0.0005,
        whole: false,
        get: |plan| plan.lr,
        set: |plan, value| plan.lr = value,
    };
    let find =
        "Sweep the learning rate over some hundred steps and see where the loss falls; the weights are put back.";
    let mut wanted = false;
    number_with(ui, ctx, &rate, |ui| wanted = ui.button("Find…").on_hover_text(find).clicked());
    if wanted {
        ctx.push(Action::FindLr);
    }
    let decays = [
        (Decay::Cosine, "cosine", "Half a cosine down to zero over the run."),
        (Decay::Constant, "constant", "It stays."),
    ];
    let help = "How the learning rate moves after the warm-up.";
    choice(ui, ctx, "schedule", help, &decays, |plan| plan.decay, |plan, decay| plan.decay = decay);
    number(
        ui,
        ctx,
        &Number {
            name: "warm-up, epochs",
            help: "Epochs over which the learning rate rises linearly from nearly zero.",
            range: 0.0..=100.0,
            speed: 0.05,
            whole: false,
            get: |plan| plan.warmup_epochs,
            set: |plan, value| plan.warmup_epochs = value,
        },
    );
    number(
        ui,
        ctx,
        &Number {
            name: "batches in a step",
            help: "Batches whose mean gradient makes one step of the optimizer: with 4 batches of 8 pictures a step is as \
                   large as with a batch of 32, in the memory of 8. Batch norm sees each batch by itself; warm-up and \
                   schedule go by steps. The last step of an epoch takes the batches that are left.",
            range: 1.0..=1024.0,
            speed: 0.05,
            whole: true,
            get: |plan| plan.accumulate as f64,
            set: |plan, value| plan.accumulate = value as usize,
        },
    );
    recompute(ui, ctx);
    clip(ui, ctx);
    widgets::section(ui, ctx.theme, "Loss");
    number(
        ui,
        ctx,
        &Number {
            name: "label smoothing",
            help: "Share of each target that is spread over all classes.",
            range: 0.0..=0.99,
            speed: 0.005,
            whole: false,
            get: |plan| plan.label_smoothing,
            set: |plan, value| plan.label_smoothing = value,
        },
    );
    class_weights(ui, ctx);
    widgets::section(ui, ctx.theme, "Best checkpoint");
    let metrics = metrics(ctx);
    let help = "The metric that picks the best checkpoint.";
    choice(ui, ctx, "best by", help, &metrics, |plan| plan.best_by.clone(), |plan, key| plan.best_by = key);
    early_stop(ui, ctx);
}

/// Not for models that are asked for masks: they keep what one prompt needs.
fn recompute(ui: &mut Ui, ctx: &mut Context<'_>) {
    if ctx.graph.takes_prompts() && !ctx.plan().recompute {
        return;
    }
    let batch = ctx.plan().batch as u64;
    let few = Segments::of(ctx.graph, ctx.facts, ctx.frontier).kept_bytes;
    let [all, few] = [ctx.frontier.kept_bytes, few].map(|bytes| format::bytes(bytes * batch));
    let help = format!(
        "Of the activations only those are kept that cross a few boundaries of the network; the others are computed again \
         for the gradients. About {few} instead of {all} for a batch, and a step takes a quarter to a half longer."
    );
    toggle(ui, ctx, "recompute activations", &help, |plan| plan.recompute, |plan, on| plan.recompute = on);
}

fn optimizer(ui: &mut Ui, ctx: &mut Context<'_>) {
    let is_sgd = |plan: &Plan| matches!(plan.optimizer, OptimizerChoice::Sgd { .. });
    let choices = [
        (true, "SGD", "Stochastic gradient descent with momentum."),
        (false, "AdamW", "Adam with decoupled weight decay. Wants a learning rate 10 to 100 times smaller than SGD."),
    ];
    choice(ui, ctx, "optimizer", "The rule that changes the weights.", &choices, is_sgd, |plan, sgd| {
        plan.optimizer = if sgd { OptimizerChoice::SGD } else { OptimizerChoice::ADAMW };
    });
    if is_sgd(ctx.plan()) {
        number(
            ui,
            ctx,
            &Number {
                name: "momentum",
                help: "Share of the previous step that is kept.",
                range: 0.0..=0.999,
                speed: 0.005,
                whole: false,
                get: |plan| match plan.optimizer {
                    OptimizerChoice::Sgd { momentum, .. } => momentum,
                    OptimizerChoice::AdamW { .. } => 0.0,
                },
                set: |plan, value| {
                    if let OptimizerChoice::Sgd { momentum, .. } = &mut plan.optimizer {
                        *momentum = value;
                    }
                },
            },
        );
    }
    number(
        ui,
        ctx,
        &Number {
            name: "weight decay",
            help: "Pulls weights towards zero.",
            range: 0.0..=1.0,
            speed: 0.0002,
            whole: false,
            get: |plan| match plan.optimizer {
                OptimizerChoice::Sgd { weight_decay, .. } | OptimizerChoice::AdamW { weight_decay, .. } => weight_decay,
            },
            set: |plan, value| match &mut plan.optimizer {
                OptimizerChoice::Sgd { weight_decay, .. } | OptimizerChoice::AdamW { weight_decay, .. } => {
                    *weight_decay = value;
                }
            },
        },
    );
}

fn clip(ui: &mut Ui, ctx: &mut Context<'_>) {
    let help = "Gradients are scaled down to this global norm where they exceed it.";
    let set = |plan: &mut Plan, on: bool| plan.clip_norm = on.then_some(1.0);
    if toggle(ui, ctx, "clip gradients", help, |plan| plan.clip_norm.is_some(), set) {
        number(
            ui,
            ctx,
            &Number {
                name: "global norm",
                help: "Gradients are scaled down to this global norm where they exceed it.",
                range: 1e-3..=1e4,
                speed: 0.02,
                whole: false,
                get: |plan| plan.clip_norm.unwrap_or(1.0),
                set: |plan, value| {
                    if plan.clip_norm.is_some() {
                        plan.clip_norm = Some(value);
                    }
                },
            },
        );
    }
}

fn class_weights(ui: &mut Ui, ctx: &mut Context<'_>) {
    let mut choices = vec![
        (ClassWeights::Equal, "equal", "All classes count alike."),
        (ClassWeights::Balanced, "balanced", "Rare classes count more: inverse to their number of training pictures."),
    ];
    if let ClassWeights::Given(given) = &ctx.plan().class_weights {
        choices.push((ClassWeights::Given(given.clone()), "given", "As written in the project."));
    }
    let help = "Weights of the classes in the loss.";
    choice(
        ui,
        ctx,
        "class weights",
        help,
        &choices,
        |plan| plan.class_weights.clone(),
        |plan, weights| {
            plan.class_weights = weights;
        },
    );
}

fn early_stop(ui: &mut Ui, ctx: &mut Context<'_>) {
    let help = "Ends the run when the metric has not gained for some epochs.";
    let set = |plan: &mut Plan, on: bool| plan.early_stop = on.then_some(EarlyStop { patience: 5, min_gain: 0.0 });
    if !toggle(ui, ctx, "early stopping", help, |plan| plan.early_stop.is_some(), set) {
        return;
    }
    number(
        ui,
        ctx,
        &Number {
            name: "patience, epochs",
            help: "Epochs without gain before the run ends.",
            range: 1.0..=1000.0,
            speed: 0.05,
            whole: true,
            get: |plan| plan.early_stop.map_or(5.0, |stop| f64::from(stop.patience)),
            set: |plan, value| {
                if let Some(stop) = &mut plan.early_stop {
                    stop.patience = value as u32;
                }
            },
        },
    );
    number(
        ui,
        ctx,
        &Number {
            name: "minimum gain",
            help: "Smallest change of the metric that counts as a gain.",
            range: 0.0..=1.0,
            speed: 0.0005,
            whole: false,
            get: |plan| plan.early_stop.map_or(0.0, |stop| stop.min_gain),
            set: |plan, value| {
                if let Some(stop) = &mut plan.early_stop {
                    stop.min_gain = value;
                }
            },
        },
    );
}
