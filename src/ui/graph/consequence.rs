//! What a change of the freeze plan would cost or save, said before it is made.

use crate::graph::{FreezePlan, Frontier};
use crate::train::OptimizerChoice;
use crate::ui::context::Context;
use crate::ui::format;

/// The lines of the card that is shown before a change.
#[must_use]
pub fn lines(ctx: &Context<'_>, changed: &FreezePlan) -> Vec<String> {
    let now = ctx.frontier;
    let then = Frontier::of(ctx.graph, ctx.facts, changed);
    let mut lines = vec![
        format!("trainable {} → {}", format::short(now.trainable), format::short(then.trainable)),
        memory(ctx, now, &then),
        step_time(ctx, now, &then),
    ];
    if then.trainable == 0 {
        lines.push("nothing would train".to_owned());
    }
    lines
}

/// Activations for the backward pass, gradients and the optimizer's state; what the device allocates beyond that is
/// unknown, hence "≈".
fn memory(ctx: &Context<'_>, now: &Frontier, then: &Frontier) -> String {
    let plan = ctx.plan();
    let states = match plan.optimizer {
        OptimizerChoice::Sgd { momentum, .. } => u64::from(momentum != 0.0),
        OptimizerChoice::AdamW { .. } => 2,
    };
    // Gradients that wait for those of the next batch.
    let sums = u64::from(plan.accumulate > 1);
    let numbers = 1 + sums + states;
    let bytes = |frontier: &Frontier| ctx.kept_bytes(frontier) * plan.batch as u64 + frontier.trainable * 4 * numbers;
    format!("memory ≈ {} (estimate, batch {})", format::bytes_change(bytes(now), bytes(then)), plan.batch)
}

fn step_time(ctx: &Context<'_>, now: &Frontier, then: &Frontier) -> String {
    let ratio = then.step_macs as f64 / now.step_macs.max(1) as f64;
    match ctx.running().and_then(|run| run.step.as_ref()) {
        Some(step) => {
            let ms = step.ms;
            let before = ms.data + ms.forward + ms.backward + ms.optimizer;
            let after = ms.data + ms.optimizer + (ms.forward + ms.backward) * ratio;
            format!("step ≈ {} (estimate from {} measured)", format::millis(after), format::millis(before))
        }
        None => {
            let image = format::short(then.step_macs);
            format!("step ≈ ×{ratio:.2} ({image} MACs per picture, estimate)")
        }
    }
}

/// Title of the card: what a click does.
#[must_use]
pub fn title(ctx: &Context<'_>, name: &str, frozen: bool, changed: &FreezePlan, path: Option<&str>) -> String {
    if frozen {
        return format!("Click to thaw {name}");
    }
    let then = Frontier::of(ctx.graph, ctx.facts, changed);
    let island =
        path.and_then(|path| ctx.graph.find(path)).is_some_and(|id| then.state(id) == crate::graph::NodeState::Island);
    if island { format!("Click to freeze {name} as an island") } else { format!("Click to freeze {name}") }
}

/// What is special about a frozen island or prefix, in one line.
#[must_use]
pub fn explain(island: bool) -> &'static str {
    if island {
        "Frozen island: its weights stay, but gradients flow through it to what trains before it."
    } else {
        "Frozen prefix: nothing before it trains, so it runs without gradients and keeps no activations."
    }
}
