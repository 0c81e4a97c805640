//! What changes while a run goes on: by hand between two steps (pause, freeze and thaw, learning rate), by plan at the
//! border of an epoch.

use super::{Control, Flow, Observer, Trainer};
use crate::graph::FreezePlan;
use crate::train::news::Ending;
use crate::train::proof::Proof;
use crate::train::timeline::FreezePhase;
use serde::Serialize;
use std::sync::Arc;

/// A line of `metrics.jsonl` that is no epoch.
#[derive(Serialize)]
struct Note<'a> {
    note: &'a str,
    step: u64,
    epoch: u32,
}

impl Trainer {
    /// Does what was asked for; waits while paused.
    pub(super) fn obey(&mut self, observer: &mut dyn Observer) -> Result<Flow, String> {
        let mut paused = false;
        loop {
            let held = self.held.pop_front();
            let Some(control) = held.or_else(|| observer.poll(&self.setup.network, &self.run, paused)) else {
                if paused {
                    continue;
                }
                return Ok(Flow::On);
            };
            match control {
                Control::Cancel => return Ok(Flow::Stop(Ending::Cancelled)),
                Control::Finish => return Ok(Flow::Stop(Ending::Finished)),
                Control::Pause if !paused => {
                    paused = true;
                    self.save_resume()?;
                    observer.paused(true);
                }
                Control::Pause => {}
                Control::Resume => {
                    if paused {
                        observer.paused(false);
                    }
                    paused = false;
                }
                other => self.apply(other, observer)?,
            }
        }
    }

    pub(super) fn apply(&mut self, control: Control, observer: &mut dyn Observer) -> Result<(), String> {
        match control {
            Control::SetFreeze(plan) => self.set_freeze(plan, &self.until(), observer),
            Control::SetTimeline(timeline) => self.set_timeline(timeline, observer),
            Control::SetLr(lr) if lr.is_finite() && lr > 0.0 => {
                self.position.lr = Some(lr);
                observer.lr(self.position.step, self.epoch_position(), lr);
                self.note(&format!("learning rate {lr:.3e}"))
            }
            Control::SetLr(lr) => {
                observer.log(format!("a learning rate of {lr} is impossible; the old one stays"));
                Ok(())
            }
            Control::Pause | Control::Resume | Control::Finish | Control::Cancel => Ok(()),
        }
    }

    /// At the start of an epoch: the phase that begins here, or has begun since the last one was entered.
    pub(super) fn enter_phase(&mut self, observer: &mut dyn Observer) -> Result<(), String> {
        let phase = self.setup.plan.phase(self.position.epoch + 1);
        if phase.from_epoch <= self.position.entered.max(1) {
            return Ok(());
        }
        let (freeze, from, number, factor) = (phase.freeze.clone(), phase.from_epoch, phase.number, phase.lr_factor);
        self.position.entered = from;
        let rate = if factor == 1.0 { String::new() } else { format!(", learning rate × {factor}") };
        self.set_freeze(freeze, &format!(" (phase {number}, from epoch {from}{rate})"), observer)
    }

    /// Settles what is cached under the freeze plan in force; the sentences say what and why.
    pub(super) fn settle_features(&mut self, observer: &mut dyn Observer) -> Result<Vec<String>, String> {
        observer.progress("measuring what is frozen", 0, 0);
        let (epoch, plan) = (self.position.epoch + 1, &self.setup.plan);
        let next = plan.timeline.iter().map(|phase| phase.from_epoch).find(|from| *from > epoch);
        let left = next.unwrap_or(u32::MAX).min(plan.epochs + 1).saturating_sub(epoch);
        let mut notes = Vec::new();
        let settled = self.features.settle(&self.setup, left, &mut notes);
        settled.map_err(|error| format!("The frozen part cannot be measured: {error}."))?;
        self.unsettled = false;
        self.uncached_s = None;
        Ok(notes)
    }

    /// How long a change by hand holds, in words.
    fn until(&self) -> String {
        let epoch = self.position.epoch + 1;
        let next = self.setup.plan.timeline.iter().find(|phase| phase.from_epoch > epoch);
        next.filter(|phase| phase.from_epoch <= self.setup.plan.epochs).map_or_else(String::new, |phase| {
            format!(" (by hand; the plan's next phase replaces it from epoch {} on)", phase.from_epoch)
        })
    }

    /// The phases that have begun stay; those that come are replaced.
    fn set_timeline(&mut self, new: Vec<FreezePhase>, observer: &mut dyn Observer) -> Result<(), String> {
        let epoch = self.position.epoch + 1;
        let mut plan = self.setup.plan.clone();
        plan.timeline.retain(|phase| phase.from_epoch <= epoch);
        plan.timeline.extend(new.into_iter().filter(|phase| phase.from_epoch > epoch));
        plan.retain_known(self.setup.network.graph());
        let idle = || plan.idle_phase(self.setup.network.graph(), self.setup.network.facts());
        let refused = plan.problems().into_iter().next().or_else(idle);
        let note = match refused {
            Some(problem) => format!("the planned phases stay as they were: {problem}"),
            None => {
                let coming = plan.timeline.iter().filter(|phase| phase.from_epoch > epoch);
                let coming: Vec<String> = coming.map(|phase| phase.from_epoch.to_string()).collect();
                self.setup.plan.timeline.clone_from(&plan.timeline);
                self.run.plan.timeline.clone_from(&plan.timeline);
                self.position.timeline = Some(plan.timeline);
                match coming.is_empty() {
                    true => "no further phase is planned".to_owned(),
                    false => format!("phases planned from epoch {} on", coming.join(", ")),
                }
            }
        };
        observer.timeline(self.position.step, self.epoch_position(), &self.setup.plan.timeline, note.clone());
        self.note(&note)
    }

    fn set_freeze(&mut self, mut plan: FreezePlan, why: &str, observer: &mut dyn Observer) -> Result<(), String> {
        let graph = Arc::clone(self.setup.network.graph());
        plan.retain_known(&graph);
        // What was frozen until now is compared once more before it may move.
        self.prove(self.position.epoch + 1)?;
        let old = self.position.freeze.clone();
        self.setup.network.set_plan(&plan);
        self.warm.clear();
        let frontier = self.setup.network.frontier();
        if frontier.trainable == 0 {
            self.setup.network.set_plan(&old);
            observer.log("that would freeze everything that trains; the old plan stays".to_owned());
            observer.frozen(
                self.position.step,
                self.epoch_position(),
                &old,
                self.setup.network.frontier().trainable,
                String::from("freeze plan kept: nothing would train"),
            );
            return Ok(());
        }
        // What thaws starts with a fresh optimizer, so whatever is frozen now is forgotten.
        let facts = Arc::clone(self.setup.network.facts());
        let frozen_now: std::collections::BTreeSet<&str> = graph
            .ids()
            .filter(|&id| plan.is_frozen(&graph.node(id).path))
            .flat_map(|id| facts.node(id).tensors.iter().map(|tensor| tensor.name.as_str()))
            .collect();
        self.unsettled = true;
        self.optimizer.retain(|name| !frozen_now.contains(name));
        self.position.proof = Proof::of(&self.setup.network).map_err(|error| error.to_string())?;
        let note = format!("{}{why}", describe(&graph, &old, &plan));
        self.position.freeze = plan.clone();
        self.run.plan.freeze = plan.clone();
        observer.frozen(self.position.step, self.epoch_position(), &plan, frontier.trainable, note.clone());
        self.note(&note)
    }

    pub(super) fn note(&self, note: &str) -> Result<(), String> {
        self.folder.append(&Note { note, step: self.position.step, epoch: self.position.epoch + 1 })
    }
}

/// In words: what froze, what thawed, what starts fresh.
fn describe(graph: &crate::graph::Graph, old: &FreezePlan, new: &FreezePlan) -> String {
    let names = |from: &FreezePlan, to: &FreezePlan| {
        let changed: Vec<&str> =
            graph.nodes.iter().map(|n| n.path.as_str()).filter(|p| from.is_frozen(p) && !to.is_frozen(p)).collect();
        // A stage that changed as a whole is named once.
        let mut short: Vec<String> = Vec::new();
        for stage in graph.stages() {
            let members: Vec<&str> = graph.nodes.iter().filter(|n| n.stage == stage).map(|n| n.path.as_str()).collect();
            if members.iter().all(|member| changed.contains(member)) {
                short.push(stage);
            } else {
                short.extend(members.into_iter().filter(|member| changed.contains(member)).map(str::to_owned));
            }
        }
        short.join(", ")
    };
    let (thawed, frozen) = (names(old, new), names(new, old));
    match (thawed.is_empty(), frozen.is_empty()) {
        (false, true) => format!("{thawed} thawed, starts with a fresh optimizer state"),
        (true, false) => format!("{frozen} frozen"),
        (false, false) => format!("{thawed} thawed (fresh optimizer state), {frozen} frozen"),
        (true, true) if old.bn == new.bn => "freeze plan unchanged".to_owned(),
        (true, true) => "batch-norm policy changed".to_owned(),
    }
}
