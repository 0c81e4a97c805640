//! Whether a run can start, and if not, why, and where each reason is mended.

use super::action::{Action, Page};
use super::context::Context;
use super::shell::public;
use crate::data::Task;
use crate::graph::{FreezePlan, Preset};
use crate::session::{Command, ModelTask, PublicWeights, WeightsCommand, WeightsState, find_model};
use crate::train::{Plan, WeightsSource};

/// Why a run cannot start.
#[derive(Clone, Debug)]
pub struct Reason {
    /// One sentence.
    pub text: String,
    /// What mends it, in a few words.
    pub mend: &'static str,
    /// What a click on it does.
    pub action: Action,
}

/// All reasons; empty when a run can start.
#[must_use]
pub fn reasons(ctx: &Context<'_>) -> Vec<Reason> {
    let mut out = Vec::new();
    let mut add = |text: String, mend: &'static str, action: Action| out.push(Reason { text, mend, action });
    let plan = ctx.plan();
    match &ctx.view.data {
        None => add("No data set is open.".to_owned(), "Choose a folder", Action::AskData),
        Some(data) => {
            for reason in data.usable().err().unwrap_or_default() {
                add(format!("{}: {reason}.", data.name), "See the data", Action::Show(Page::Data));
            }
            if let Err(problem) = data.find_columns(&plan.heads) {
                add(
                    problem,
                    "Train the first column",
                    edit(plan, "Train the first column", |p| p.set_heads(Vec::new())),
                );
            }
        }
    }
    match find_model(&plan.model) {
        Err(problem) => add(problem, "Choose a model", Action::Show(Page::Model)),
        Ok(variant) => {
            let task = ctx.view.data.as_ref().map(|data| data.task);
            let fits = match (task, variant.task) {
                (None, _) | (Some(Task::Classify), ModelTask::Classify) => true,
                (Some(Task::Segment), ModelTask::Segment) | (Some(Task::Detect), ModelTask::Detect) => true,
                (Some(_), _) => false,
            };
            if let (false, Some(task)) = (fits, task) {
                let text = format!("{} cannot learn from a data set for the task \"{task}\".", variant.title);
                add(text, "Choose a model", Action::Show(Page::Model));
            }
            if plan.weights == WeightsSource::BuiltIn && !built_in_fits(&variant) {
                let text = format!("The built-in weights do not belong to {}.", variant.title);
                add(
                    text,
                    "Use random weights",
                    edit(plan, "Use random weights", |p| p.weights = WeightsSource::Random),
                );
            }
        }
    }
    if let WeightsSource::Public { entry } = &plan.weights
        && chosen_public(&plan.model, &plan.weights).is_none()
    {
        let mend = edit(plan, "Use random weights", |plan| plan.weights = WeightsSource::Random);
        add(format!("{} has no public weights named {entry}.", plan.model), "Use random weights", mend);
    }
    if let Some((text, mend, action)) =
        chosen_public(&plan.model, &plan.weights).and_then(|weights| missing(ctx, &weights))
    {
        add(text, mend, action);
    }
    let problems = plan.problems();
    if problems.is_empty() && !is_shown(ctx) {
        let text = format!("{} cannot be built for pictures of {} px.", plan.model, plan.size_px);
        add(text, "Change the plan", Action::Select(None));
    }
    for problem in problems {
        add(problem, "Change the plan", Action::Select(None));
    }
    if let Some(idle) = plan.idle_phase(ctx.graph, ctx.facts) {
        let mend = FreezePlan::preset(ctx.graph, &Preset::HeadOnly).unwrap_or_default();
        let action = edit(plan, "Thaw the head", |plan| {
            plan.freeze = mend;
            plan.timeline.clear();
        });
        add(idle, "Thaw the head", action);
    }
    if let Some(busy) = &ctx.view.busy
        && !ctx.view.is_training()
    {
        add(format!("Please wait: {}.", busy.what), "Interrupt", Action::Send(Command::Interrupt));
    }
    out
}

/// The published weights that a plan names.
#[must_use]
pub fn chosen_public(model: &str, source: &WeightsSource) -> Option<PublicWeights> {
    let WeightsSource::Public { entry } = source else { return None };
    find_model(model).ok()?.weights.into_iter().find(|weights| weights.name == entry)
}

/// Why published weights cannot be used yet: a run never fetches anything by itself.
fn missing(ctx: &Context<'_>, weights: &PublicWeights) -> Option<(String, &'static str, Action)> {
    let (model, entry) = (ctx.plan().model.clone(), weights.name.to_owned());
    let fetch = Action::Send(Command::Weights(WeightsCommand::Fetch { model, entry }));
    let file = weights.file;
    Some(match ctx.view.weights.get(file) {
        Some(WeightsState::Here { .. }) => return None,
        Some(WeightsState::Absent) => {
            let size = public::size(weights).map_or_else(String::new, |size| format!(" ({size})"));
            let text = format!("The public weights {file} are not on this machine{size}.");
            (text, "Download them", fetch)
        }
        Some(WeightsState::Fetching(news)) => {
            let text = format!("The public weights come: {}.", public::progress(news).trim_end_matches('…'));
            (text, "Stop", Action::Send(Command::Weights(WeightsCommand::Stop { file: file.to_owned() })))
        }
        Some(WeightsState::Failed(what)) => (what.clone(), "Try again", fetch),
        None | Some(WeightsState::Checking) => {
            (format!("{file} is being compared with what is published."), "See the weights", Action::Show(Page::Model))
        }
    })
}

/// Whether the network on screen is the plan's: it is not when that one cannot be built.
fn is_shown(ctx: &Context<'_>) -> bool {
    let size = ctx.graph.inputs.first().and_then(|image| image.shape.dims().last().copied());
    ctx.graph.name == ctx.plan().model && size == Some(ctx.plan().size_px as usize)
}

/// Whether the weights that come with the program belong to this model: to ours, which nobody else publishes.
#[must_use]
pub fn built_in_fits(variant: &crate::session::Variant) -> bool {
    variant.built_in
}

fn edit(plan: &Plan, name: &str, change: impl FnOnce(&mut Plan)) -> Action {
    let mut plan = plan.clone();
    change(&mut plan);
    Action::Edit { name: name.to_owned(), plan: Box::new(plan) }
}
