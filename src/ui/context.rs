//! What a panel gets to draw from.

use super::action::Action;
use super::ready;
use super::theme::Theme;
use crate::graph::{Facts, FreezePlan, Frontier, Graph, Segments};
use crate::session::{Project, RunView, Thumbnails, View, WeightsState};
use crate::train::{Plan, WeightsSource};
use crate::weights::LoadReport;

/// What a panel reads, and where its actions go.
pub struct Context<'a> {
    /// What the session says.
    pub view: &'a View,
    /// What is set up; `project.plan` decides the next run.
    pub project: &'a Project,
    /// The network of the plan.
    pub graph: &'a Graph,
    /// Its costs.
    pub facts: &'a Facts,
    /// What the freeze plan in force (of the run while it trains, else of the plan) means for it.
    pub frontier: &'a Frontier,
    /// The epoch whose freeze plan the graph shows and changes: of the run while it trains this network, else the one
    /// looked at in the timeline, usually the first.
    pub epoch: u32,
    /// Colors and sizes.
    pub theme: &'a Theme,
    /// Small pictures.
    pub thumbs: &'a Thumbnails,
    /// Where actions go.
    pub actions: &'a mut Vec<Action>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("actions", &self.actions).finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// The plan of the next run.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.project.plan
    }

    /// Bytes (f32) of activations that a step of the plan keeps for one picture under a freeze plan.
    #[must_use]
    pub fn kept_bytes(&self, frontier: &Frontier) -> u64 {
        if self.plan().recompute {
            return Segments::of(self.graph, self.facts, frontier).kept_bytes;
        }
        frontier.kept_bytes
    }

    /// The freeze plan that is shown and changed.
    #[must_use]
    pub fn freeze(&self) -> &FreezePlan {
        self.plan().phase(self.epoch).freeze
    }

    /// Notes a change of the freeze plan that is shown: from its phase to the end of the run, or, while the run is in that
    /// phase, until the next one begins.
    pub fn edit_freeze(&mut self, name: &str, freeze: FreezePlan) {
        let (epoch, running) = (self.epoch, self.running().is_some());
        self.edit(
            name,
            |plan| if running { plan.override_freeze(epoch, freeze) } else { plan.set_freeze(epoch, &freeze) },
        );
    }

    /// Notes an action.
    pub fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Notes an undoable change of the plan.
    pub fn edit(&mut self, name: &str, change: impl FnOnce(&mut Plan)) {
        let mut plan = self.project.plan.clone();
        change(&mut plan);
        if plan != self.project.plan {
            self.actions.push(Action::Edit { name: name.to_owned(), plan: Box::new(plan) });
        }
    }
}

impl<'a> Context<'a> {
    /// How the checkpoint of the plan goes over, as far as it was compared with the model.
    #[must_use]
    pub fn load(&self) -> Option<&'a LoadReport> {
        let plan = &self.project.plan;
        let report = self.view.load.as_deref()?;
        let is_it = match &plan.weights {
            // A run's folder stands for its best weights.
            WeightsSource::File(path) => report.file.starts_with(path),
            source => ready::chosen_public(&plan.model, source).is_some_and(|public| {
                let state = self.view.weights.get(public.file);
                matches!(state, Some(WeightsState::Here { path, .. }) if *path == report.file)
            }),
        };
        is_it.then_some(report)
    }

    /// The last run, where it trains or trained the network that is shown.
    #[must_use]
    pub fn shown_run(&self) -> Option<&'a RunView> {
        let run = self.view.run.as_ref()?;
        let graph = &run.info.graph;
        let same = graph.name == self.graph.name && graph.nodes.len() == self.graph.nodes.len();
        (same && graph.heads == self.graph.heads).then_some(run)
    }

    /// The run that trains (or waits) now, where it trains the network that is shown.
    #[must_use]
    pub fn running(&self) -> Option<&'a RunView> {
        self.shown_run().filter(|_| self.view.is_training())
    }
}
