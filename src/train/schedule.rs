//! The base learning rate over a run.

use super::plan::{Decay, Plan};

/// The base learning rate of step `step` (from 0) of `total`, with `per_epoch` steps in an epoch: a linear warm-up, whose
/// first step is one part of the ramp, then the plan's decay over the rest.
#[must_use]
pub fn learning_rate(plan: &Plan, step: u64, per_epoch: usize, total: u64) -> f64 {
    let warmup = (plan.warmup_epochs * per_epoch as f64).round();
    let step = step as f64;
    if step < warmup {
        return plan.lr * (step + 1.0) / (warmup + 1.0);
    }
    match plan.decay {
        Decay::Constant => plan.lr,
        Decay::Cosine => {
            let progress = (step - warmup) / (total as f64 - warmup).max(1.0);
            plan.lr * 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_in_equal_parts_and_the_cosine_halves_midway() {
        let plan = Plan { lr: 0.1, warmup_epochs: 1.0, ..Plan::default() };
        let lr = |step| learning_rate(&plan, step, 4, 24);
        for (step, want) in [(0, 0.02), (1, 0.04), (3, 0.08), (4, 0.1), (14, 0.05)] {
            assert!((lr(step) - want).abs() < 1e-12, "step {step}: {}", lr(step));
        }
        assert!(lr(23) > 0.0 && lr(23) < 0.001);
        let constant = Plan { decay: Decay::Constant, ..plan };
        assert!((learning_rate(&constant, 23, 4, 24) - 0.1).abs() < 1e-12);
    }
}
