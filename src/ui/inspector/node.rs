//! A node, or several: state, batch norm, learning rate, and its numbers.

use crate::graph::blocks::Describe as _;
use crate::graph::{BnPolicy, Facts, NodeId, NodeState};
use crate::ui::action::Action;
use crate::ui::context::Context;
use crate::ui::graph::{edit, explain};
use crate::ui::icons::Icon;
use crate::ui::{format, widgets};
use egui::{RichText, Slider, Ui};
use std::collections::BTreeSet;

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>, nodes: &[NodeId]) {
    let name = title(ctx, nodes);
    ui.horizontal(|ui| {
        ui.label(widgets::bold(&name, 16.0).color(ctx.theme.text));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if widgets::icon_button(ui, ctx.theme, Icon::Cross, "Back to the plan (Esc)").clicked() {
                ctx.push(Action::Select(None));
            }
        });
    });
    ui.label(RichText::new(subtitle(ctx, nodes)).color(ctx.theme.weak));
    let weighted: Vec<NodeId> = nodes.iter().copied().filter(|&id| !ctx.facts.node(id).tensors.is_empty()).collect();
    if weighted.is_empty() {
        ui.add_space(6.0);
        ui.label(RichText::new("No weights: there is nothing to freeze here.").color(ctx.theme.weak));
    } else {
        state(ui, ctx, &name, &weighted);
        batch_norm(ui, ctx, &name, &weighted);
        learning_rate(ui, ctx, nodes);
    }
    ui.add_space(6.0);
    numbers(ui, ctx, nodes);
    ui.add_space(4.0);
    layers(ui, ctx, nodes);
}

fn title(ctx: &Context<'_>, nodes: &[NodeId]) -> String {
    match nodes {
        [id] => ctx.graph.node(*id).path.clone(),
        _ => {
            let stages: BTreeSet<&str> = nodes.iter().map(|&id| ctx.graph.node(id).stage.as_str()).collect();
            match stages.into_iter().collect::<Vec<_>>().as_slice() {
                [stage] => (*stage).to_owned(),
                _ => format::plural(nodes.len(), "node"),
            }
        }
    }
}

fn subtitle(ctx: &Context<'_>, nodes: &[NodeId]) -> String {
    match nodes {
        [id] => ctx.graph.title(*id),
        _ => {
            let kinds: BTreeSet<&str> = nodes.iter().map(|&id| ctx.graph.node(id).block.kind()).collect();
            let parts: BTreeSet<String> = nodes.iter().map(|&id| ctx.graph.node(id).part.to_string()).collect();
            let join = |words: Vec<String>| words.join(", ");
            let kinds = join(kinds.into_iter().map(str::to_owned).collect());
            format!("{} × {kinds} · {}", nodes.len(), join(parts.into_iter().collect()))
        }
    }
}

fn state(ui: &mut Ui, ctx: &mut Context<'_>, name: &str, nodes: &[NodeId]) {
    widgets::section(ui, ctx.theme, "State (F)");
    let frozen = nodes.iter().filter(|&&id| ctx.freeze().is_frozen(&ctx.graph.node(id).path)).count();
    let selected = match frozen {
        0 => Some(1),
        n if n == nodes.len() => Some(0),
        _ => None,
    };
    let choices = [
        ("Frozen", "Its weights and batch norm statistics stay as they are; every epoch proves it."),
        ("Trains", "Its weights change."),
    ];
    let tint = if selected == Some(0) { ctx.theme.ice } else { ctx.theme.amber };
    if let Some(choice) = widgets::segmented(ui, ctx.theme, "State", &choices, selected, tint) {
        edit::set(ctx, name, nodes, choice == 0);
    }
    let text = explanation(ctx, nodes);
    ui.label(RichText::new(text).size(11.0).color(ctx.theme.weak));
}

fn explanation(ctx: &Context<'_>, nodes: &[NodeId]) -> String {
    let states: Vec<NodeState> = nodes.iter().map(|&id| ctx.frontier.state(id)).collect();
    if states.contains(&NodeState::Island) {
        return explain(true).to_owned();
    }
    if states.iter().all(|state| state.in_prefix()) {
        let verified = ctx.shown_run().and_then(|run| run.epochs.last()).filter(|epoch| epoch.frozen_verified);
        return match verified {
            Some(epoch) => format!("{} Verified unchanged after epoch {}.", explain(false), epoch.epoch),
            None => explain(false).to_owned(),
        };
    }
    if states.iter().any(|state| state.is_frozen()) {
        return "A part of the selection is frozen.".to_owned();
    }
    "Gradients reach its weights in every step.".to_owned()
}

fn batch_norm(ui: &mut Ui, ctx: &mut Context<'_>, name: &str, nodes: &[NodeId]) {
    let nodes: Vec<NodeId> = nodes.iter().copied().filter(|&id| ctx.facts.has_norm(id)).collect();
    if nodes.is_empty() {
        return;
    }
    widgets::section(ui, ctx.theme, "Batch norm");
    let policies: BTreeSet<String> =
        nodes.iter().map(|&id| ctx.freeze().bn_policy(&ctx.graph.node(id).path).to_string()).collect();
    let all = [BnPolicy::Stored, BnPolicy::Affine, BnPolicy::Train];
    let selected = all.iter().position(|policy| policies.len() == 1 && policies.contains(&policy.to_string()));
    let choices = [
        ("stored", "Use the stored statistics; scale and shift stay as they are."),
        ("affine", "Use the stored statistics; scale and shift train, unless the node is frozen."),
        ("train", "Use the batch's statistics and update the stored ones. In a frozen node its features then drift."),
    ];
    let tint = if selected == Some(0) { ctx.theme.ice } else { ctx.theme.amber };
    if let Some(policy) =
        widgets::segmented(ui, ctx.theme, "Batch norm", &choices, selected, tint).and_then(|i| all.get(i).copied())
    {
        let paths: Vec<String> = nodes.iter().map(|&id| ctx.graph.node(id).path.clone()).collect();
        let mut freeze = ctx.freeze().clone();
        for path in paths {
            freeze.bn.remove(&path);
            if freeze.bn_policy(&path) != policy {
                freeze.bn.insert(path, policy);
            }
        }
        ctx.edit_freeze(&format!("Batch norm of {name}: {policy}"), freeze);
    }
}

fn learning_rate(ui: &mut Ui, ctx: &mut Context<'_>, nodes: &[NodeId]) {
    let stages: BTreeSet<String> = nodes.iter().map(|&id| ctx.graph.node(id).stage.clone()).collect();
    let Some(first) = stages.iter().next() else { return };
    widgets::section(ui, ctx.theme, "Learning-rate factor");
    let before = ctx.plan().stage_lr.get(first).copied().unwrap_or(1.0);
    let mut factor = before;
    ui.horizontal(|ui| {
        ui.spacing_mut().slider_width = (ui.available_width() - 70.0).max(60.0);
        let slider = Slider::new(&mut factor, 0.01..=10.0)
            .clamping(egui::SliderClamping::Edits)
            .logarithmic(true)
            .max_decimals(2)
            .suffix(" ×");
        let response = ui.add(slider).accessible_name("Learning-rate factor");
        response.on_hover_text(format!("Multiplies the learning rate of the stage {}.", join(&stages)));
    });
    if (factor - before).abs() > 1e-9 {
        ctx.edit(&format!("Learning-rate factor of {}", join(&stages)), |plan| {
            for stage in &stages {
                if (factor - 1.0).abs() < 1e-9 {
                    plan.stage_lr.remove(stage);
                } else {
                    plan.stage_lr.insert(stage.clone(), factor);
                }
            }
        });
    }
    let own = ctx.plan().lr * factor;
    ui.label(RichText::new(format!("learning rate here {own:.2e}")).size(11.0).color(ctx.theme.weak));
}

fn join(stages: &BTreeSet<String>) -> String {
    stages.iter().cloned().collect::<Vec<_>>().join(", ")
}

fn numbers(ui: &mut Ui, ctx: &Context<'_>, nodes: &[NodeId]) {
    let facts: &Facts = ctx.facts;
    let sum = |value: &dyn Fn(NodeId) -> u64| nodes.iter().map(|&id| value(id)).sum::<u64>();
    let fact = |ui: &mut Ui, name: &str, value: String, help: &str| widgets::fact(ui, ctx.theme, name, value, help);
    fact(ui, "parameters", format::count(sum(&|id| facts.node(id).params)), "Learnable values.");
    let buffers = sum(&|id| facts.node(id).buffers);
    if buffers > 0 {
        fact(ui, "statistics", format::count(buffers), "Stored means and variances of batch norms.");
    }
    if let Some(&last) = nodes.last() {
        let output = &facts.node(last).output;
        let dims: Vec<String> = output.shape.dims().iter().map(ToString::to_string).collect();
        let text = if dims.is_empty() { output.shape.to_string() } else { dims.join(" × ") };
        fact(ui, "output", text, "Channels × height × width for one picture.");
        let batch = ctx.plan().batch;
        fact(ui, "MACs", format::short(sum(&|id| facts.node(id).macs)), "Multiply-accumulates of the forward pass.");
        let kept = format!("{} × {batch}", format::bytes(sum(&|id| facts.node(id).kept_bytes)));
        fact(
            ui,
            "activations",
            kept,
            "What a step keeps for the backward pass, per picture × batch, unless in the prefix.",
        );
        fact(
            ui,
            "receptive field",
            format!("{} px", format::count(output.receptive_px)),
            "Side of the square of input pixels that one output cell depends on.",
        );
        fact(ui, "stride", format!("{} px", output.stride_px), "Input pixels between neighboring output cells.");
    }
}

fn layers(ui: &mut Ui, ctx: &Context<'_>, nodes: &[NodeId]) {
    widgets::section(ui, ctx.theme, "Layers");
    ui.spacing_mut().interact_size.y = 14.0;
    ui.spacing_mut().item_spacing.y = 4.0;
    for &id in nodes.iter().take(8) {
        if nodes.len() > 1 {
            ui.label(widgets::bold(&ctx.graph.node(id).path, 11.5).color(ctx.theme.text));
        }
        for layer in &ctx.facts.node(id).layers {
            let op = layer.op.to_string();
            let (name, what) = if layer.name.is_empty() { (&op, "") } else { (&layer.name, op.as_str()) };
            ui.horizontal(|ui| {
                ui.label(RichText::new(name).size(11.5).color(ctx.theme.text));
                ui.label(RichText::new(what).size(11.0).color(ctx.theme.weak));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    let params = if layer.params > 0 { format::count(layer.params) } else { layer.output.to_string() };
                    ui.label(RichText::new(params).size(11.0).color(ctx.theme.weak));
                });
            });
        }
    }
    if nodes.len() > 8 {
        ui.label(RichText::new(format!("… and {} more nodes", nodes.len() - 8)).size(11.0).color(ctx.theme.weak));
    }
}
