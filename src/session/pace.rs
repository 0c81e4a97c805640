//! How long a run will still take, from the steps so far.

use crate::train::{StepNews, StepTimes};
use std::time::{Duration, Instant};

/// Steps and the time that they took. Steps that prepared kernels count neither as steps nor as time: there are few of
/// them, and on a graphics adapter one can take as long as a hundred others.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    since: Option<Instant>,
    steps: u64,
    aside: Duration,
}

impl Pace {
    /// Takes a step in that ended `now`; the time that `left` more will take, once two are known.
    pub(super) fn step(&mut self, news: &StepNews, left: u64, now: Instant) -> Option<Duration> {
        let Some(since) = self.since else {
            self.since = Some(now);
            return None;
        };
        if news.warm_up {
            let StepTimes { data, forward, backward, optimizer } = news.ms;
            self.aside += Duration::from_secs_f64((data + forward + backward + optimizer).max(0.0) / 1e3);
        } else {
            self.steps += 1;
        }
        if self.steps < 2 {
            return None;
        }
        let taken = now.saturating_duration_since(since).saturating_sub(self.aside);
        Some(taken.mul_f64(left as f64 / self.steps as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn news(seconds: f64, warm_up: bool) -> StepNews {
        let ms = StepTimes { forward: seconds * 1e3, ..StepTimes::default() };
        let losses = BTreeMap::new();
        StepNews { step: 1, epoch: 1, losses, lr: 0.1, images_per_s: 1.0, ms, grad_norm: None, warm_up }
    }

    #[test]
    fn tuning_kernels_does_not_count() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let mut at = start;
        let mut step = |seconds: f64, warm_up: bool| {
            at += Duration::from_secs_f64(seconds);
            pace.step(&news(seconds, warm_up), 10, at).map(|left| left.as_secs_f64())
        };
        assert_eq!(step(90.0, true), None, "the first step starts the clock");
        assert_eq!(step(2.0, false), None);
        assert_eq!(step(2.0, false), Some(20.0));
        // The smaller batch at the end of the epoch: a minute of tuning. Ten more steps are 20 seconds still.
        assert_eq!(step(60.0, true), Some(20.0));
        assert_eq!(step(2.0, false), Some(20.0));
    }
}
