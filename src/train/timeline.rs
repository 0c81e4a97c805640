//! The freeze timeline: what is frozen, and how fast the rest learns, from which epoch on.
//!
//! A plan's own `freeze` and `stage_lr` hold from the first epoch; each [`FreezePhase`] of `timeline` replaces them from a
//! later one, until the next phase begins. The learning rate's schedule runs on over the whole run; a phase multiplies it.

use super::plan::Plan;
use crate::graph::{Facts, FreezePlan, Frontier, Graph};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// What changes at the border of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezePhase {
    /// The first epoch in which it holds, from 2 on.
    pub from_epoch: u32,
    /// Which nodes stay as they are.
    pub freeze: FreezePlan,
    /// Factor on the learning rate.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub lr_factor: f64,
    /// Factors on the learning rate by stage; the plan's own where none are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_lr: Option<BTreeMap<String, f64>>,
}

fn one() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_one(factor: &f64) -> bool {
    (factor - 1.0).abs() < f64::EPSILON
}

impl FreezePhase {
    /// From this epoch on, with the learning rates as they are.
    #[must_use]
    pub fn new(from_epoch: u32, freeze: FreezePlan) -> Self {
        Self { from_epoch, freeze, lr_factor: 1.0, stage_lr: None }
    }
}

/// What holds in an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InForce<'a> {
    /// Number of the phase, from 1.
    pub number: usize,
    /// Its first epoch.
    pub from_epoch: u32,
    /// Which nodes stay as they are.
    pub freeze: &'a FreezePlan,
    /// Factor on the learning rate.
    pub lr_factor: f64,
    /// Factors on the learning rate by stage.
    pub stage_lr: &'a BTreeMap<String, f64>,
}

impl Plan {
    fn first_phase(&self) -> InForce<'_> {
        InForce { number: 1, from_epoch: 1, freeze: &self.freeze, lr_factor: 1.0, stage_lr: &self.stage_lr }
    }

    /// The phases in order; the first is the plan's own.
    pub fn phases(&self) -> impl DoubleEndedIterator<Item = InForce<'_>> {
        let later = self.timeline.iter().enumerate().map(|(at, phase)| InForce {
            number: at + 2,
            from_epoch: phase.from_epoch,
            freeze: &phase.freeze,
            lr_factor: phase.lr_factor,
            stage_lr: phase.stage_lr.as_ref().unwrap_or(&self.stage_lr),
        });
        std::iter::once(self.first_phase()).chain(later)
    }

    /// What holds in this epoch (from 1).
    #[must_use]
    pub fn phase(&self, epoch: u32) -> InForce<'_> {
        self.phases().rev().find(|phase| phase.from_epoch <= epoch).unwrap_or_else(|| self.first_phase())
    }

    /// Why a phase could not train: the first one in which everything is frozen, in a sentence.
    #[must_use]
    pub fn idle_phase(&self, graph: &Graph, facts: &Facts) -> Option<String> {
        let idle = |phase: &InForce<'_>| Frontier::of(graph, facts, phase.freeze).trainable == 0;
        let phase = self.phases().find(idle)?;
        Some(if self.timeline.is_empty() {
            "Nothing would train: every node is frozen.".to_owned()
        } else {
            format!(
                "Nothing would train in phase {} (from epoch {}): every node is frozen.",
                phase.number, phase.from_epoch
            )
        })
    }

    /// Drops names that the graph does not have from all phases, and says which.
    pub fn retain_known(&mut self, graph: &Graph) -> Vec<String> {
        let mut stray = self.freeze.retain_known(graph);
        stray.extend(self.timeline.iter_mut().flat_map(|phase| phase.freeze.retain_known(graph)));
        stray
    }

    /// Replaces the freeze plan of this epoch. What differs from before changes from the phase of that epoch to the end of
    /// the run: who freezes a node means that it stays frozen, whatever was planned for later.
    pub fn set_freeze(&mut self, epoch: u32, new: &FreezePlan) {
        let from = self.phase(epoch).from_epoch;
        let old = self.phase(epoch).freeze.clone();
        self.change(from..u32::MAX, &|freeze| {
            for path in old.frozen.symmetric_difference(&new.frozen) {
                freeze.set(path, new.is_frozen(path));
            }
            for path in old.bn.keys().chain(new.bn.keys()).filter(|path| old.bn.get(*path) != new.bn.get(*path)) {
                match new.bn.get(path) {
                    Some(policy) => freeze.bn.insert(path.clone(), *policy),
                    None => freeze.bn.remove(path),
                };
            }
        });
    }

    /// Replaces the freeze plan of this epoch's phase only: a change by hand while the run is in it.
    pub fn override_freeze(&mut self, epoch: u32, new: FreezePlan) {
        match self.phase(epoch).number.checked_sub(2).and_then(|at| self.timeline.get_mut(at)) {
            Some(phase) => phase.freeze = new,
            None => self.freeze = new,
        }
    }

    /// Freezes or thaws a stage in these epochs (from 1), with new phases where it needs them.
    pub fn set_stage(&mut self, graph: &Graph, stage: &str, epochs: Range<u32>, frozen: bool) {
        self.split(epochs.start);
        self.split(epochs.end);
        self.change(epochs, &|freeze| freeze.set_stage(graph, stage, frozen));
    }

    /// Lets a phase begin in this epoch, the same as before.
    fn split(&mut self, epoch: u32) {
        let phase = self.phase(epoch);
        if epoch == u32::MAX || phase.from_epoch >= epoch {
            return;
        }
        let at = phase.number - 1;
        let mut copy = FreezePhase::new(epoch, self.freeze.clone());
        if let Some(before) = at.checked_sub(1).and_then(|before| self.timeline.get(before)) {
            copy = FreezePhase { from_epoch: epoch, ..before.clone() };
        }
        self.timeline.insert(at, copy);
    }

    /// Changes the freeze plans of the phases that begin in these epochs; phases that differ in nothing become one.
    fn change(&mut self, epochs: Range<u32>, change: &dyn Fn(&mut FreezePlan)) {
        if epochs.contains(&1) {
            change(&mut self.freeze);
        }
        for phase in self.timeline.iter_mut().filter(|phase| epochs.contains(&phase.from_epoch)) {
            change(&mut phase.freeze);
        }
        let mut before = FreezePhase::new(1, self.freeze.clone());
        self.timeline.retain(|phase| {
            before.from_epoch = phase.from_epoch;
            let differs = *phase != before;
            before.clone_from(phase);
            differs
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Preset;

    fn graph() -> Graph {
        crate::models::find("resnet18").unwrap().graph(3, 64).unwrap()
    }

    /// Epochs, and whether the stage is frozen in each.
    fn lane(plan: &Plan, graph: &Graph, stage: &str) -> String {
        let node = graph.nodes.iter().find(|node| node.stage == stage).unwrap();
        (1..=6).map(|epoch| if plan.phase(epoch).freeze.is_frozen(&node.path) { '*' } else { '-' }).collect()
    }

    #[test]
    fn stages_thaw_and_freeze_over_epochs() {
        let graph = graph();
        let freeze = FreezePlan::preset(&graph, &Preset::HeadOnly).unwrap();
        let mut plan = Plan { freeze, epochs: 6, ..Plan::default() };
        plan.set_stage(&graph, "layer4", 3..u32::MAX, false);
        plan.set_stage(&graph, "layer3", 5..u32::MAX, false);
        let lanes = |plan: &Plan| ["layer2", "layer3", "layer4", "fc"].map(|stage| lane(plan, &graph, stage));
        assert_eq!(lanes(&plan), ["******", "****--", "**----", "------"]);
        assert_eq!(plan.timeline.iter().map(|phase| phase.from_epoch).collect::<Vec<_>>(), [3, 5]);
        // The edge of layer4 goes to where layer3 thaws: one border is enough.
        plan.set_stage(&graph, "layer4", 3..5, true);
        assert_eq!(lanes(&plan), ["******", "****--", "****--", "------"]);
        assert_eq!(plan.timeline.len(), 1);
        // A span in the middle.
        plan.set_stage(&graph, "fc", 2..4, true);
        assert_eq!(lanes(&plan), ["******", "****--", "****--", "-**---"]);
        assert_eq!(plan.phase(4).number, 3);
    }

    #[test]
    fn a_click_holds_from_its_phase_to_the_end() {
        let graph = graph();
        let mut plan = Plan { freeze: FreezePlan::preset(&graph, &Preset::HeadOnly).unwrap(), ..Plan::default() };
        plan.set_stage(&graph, "layer4", 3..u32::MAX, false);
        let mut click = plan.freeze.clone();
        click.set("layer3.0", false);
        plan.set_freeze(1, &click);
        assert!(plan.phases().all(|phase| !phase.freeze.is_frozen("layer3.0")));
        assert!(plan.phase(1).freeze.is_frozen("layer4.0") && !plan.phase(3).freeze.is_frozen("layer4.0"));
        let mut click = plan.phase(5).freeze.clone();
        click.set("layer4.0", true);
        click.set("layer4.1", true);
        plan.set_freeze(5, &click);
        assert_eq!(plan.timeline, [], "both phases are the same now");
        plan.set_stage(&graph, "layer4", 3..u32::MAX, false);
        let before = plan.clone();
        plan.override_freeze(2, FreezePlan::default());
        assert_eq!((&plan.freeze, &plan.timeline), (&FreezePlan::default(), &before.timeline));
        plan.override_freeze(7, FreezePlan::default());
        assert_eq!(plan.timeline[0].freeze, FreezePlan::default());
    }

    #[test]
    fn an_idle_phase_is_named_and_old_plans_are_read() {
        let graph = graph();
        let facts = graph.facts().unwrap();
        let mut plan = Plan::default();
        assert_eq!(plan.idle_phase(&graph, &facts), None);
        plan.freeze.frozen = graph.nodes.iter().map(|node| node.path.clone()).collect();
        assert!(plan.idle_phase(&graph, &facts).unwrap().starts_with("Nothing would train: "));
        let all = std::mem::take(&mut plan.freeze);
        plan.timeline.push(FreezePhase::new(4, all));
        assert!(plan.idle_phase(&graph, &facts).unwrap().contains("in phase 2 (from epoch 4)"));
        let text = serde_json::to_string(&Plan::default()).unwrap();
        assert!(!text.contains("timeline"), "an unchanged plan is written as before");
        let old: Plan = serde_json::from_str(r#"{"model": "resnet50", "epochs": 3}"#).unwrap();
        assert_eq!((old.timeline.len(), old.phase(3).number), (0, 1));
        let phases = r#"{"timeline": [{"from_epoch": 2, "freeze": {"frozen": ["layer1.0"]}, "lr_factor": 0.5}]}"#;
        let new: Plan = serde_json::from_str(phases).unwrap();
        assert_eq!(new.phase(2).lr_factor, 0.5);
        assert_eq!(serde_json::from_str::<Plan>(&serde_json::to_string(&new).unwrap()).unwrap(), new);
    }
}
