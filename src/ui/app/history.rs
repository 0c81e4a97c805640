//! Undo and redo of the plan, in named steps.

use crate::train::Plan;
use std::time::{Duration, Instant};

/// Steps with one name within this time are one step: a slider being dragged.
const MERGES: Duration = Duration::from_secs(1);
/// Steps that are kept.
const DEPTH: usize = 500;

/// A step: its name and the plan on its other side.
type Step = (String, Plan);

/// The steps that can be taken back and made again.
#[derive(Debug, Default)]
pub struct History {
    undo: Vec<Step>,
    redo: Vec<Step>,
    last: Option<Instant>,
}

impl History {
    /// Notes a change from `before`.
    pub fn push(&mut self, name: &str, before: Plan) {
        let now = Instant::now();
        let recent = self.last.is_some_and(|last| now - last < MERGES);
        let continues = recent && self.redo.is_empty() && self.undo.last().is_some_and(|(known, _)| known == name);
        self.last = Some(now);
        if continues {
            return;
        }
        self.redo.clear();
        self.undo.push((name.to_owned(), before));
        if self.undo.len() > DEPTH {
            self.undo.remove(0);
        }
    }

    /// Takes the last step back: the plan before it.
    pub fn undo(&mut self, now: &Plan) -> Option<Step> {
        self.last = None;
        let (name, plan) = self.undo.pop()?;
        self.redo.push((name.clone(), now.clone()));
        Some((name, plan))
    }

    /// Makes the last undone step again: the plan after it.
    pub fn redo(&mut self, now: &Plan) -> Option<Step> {
        self.last = None;
        let (name, plan) = self.redo.pop()?;
        self.undo.push((name.clone(), now.clone()));
        Some((name, plan))
    }

    /// Name of the step that undo takes back.
    #[must_use]
    pub fn undo_name(&self) -> Option<&str> {
        self.undo.last().map(|(name, _)| name.as_str())
    }

    /// Name of the step that redo makes again.
    #[must_use]
    pub fn redo_name(&self) -> Option<&str> {
        self.redo.last().map(|(name, _)| name.as_str())
    }

    /// Forgets everything, for another project.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(epochs: u32) -> Plan {
        Plan { epochs, ..Plan::default() }
    }

    #[test]
    fn steps_go_back_and_forth_and_a_drag_is_one_step() {
        let mut history = History::default();
        history.push("Set epochs", plan(10));
        history.push("Set epochs", plan(11));
        history.push("Freeze layer1", plan(12));
        assert_eq!(history.undo_name(), Some("Freeze layer1"));
        assert_eq!(history.undo(&plan(13)).unwrap().1.epochs, 12);
        assert_eq!(history.undo(&plan(12)).unwrap().1.epochs, 10, "two changes within a second are one step");
        assert!(history.undo(&plan(10)).is_none());
        assert_eq!(history.redo(&plan(10)).unwrap().1.epochs, 12);
        history.push("Set batch", plan(12));
        assert!(history.redo_name().is_none(), "a new change forgets what was undone");
    }
}
