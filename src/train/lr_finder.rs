//! The learning-rate range test (Smith 2017, arXiv:1506.01186) with the settings and suggestions of fastai's `lr_find`
//! (Howard & Gugger 2020, arXiv:2002.04688): a rate that grows from step to step until the loss explodes.

use super::features::Given;
use super::losses::LossOptions;
use super::optim::Optimizer;
use super::setup::Setup;
use super::step::{PendingStep, Rates, StepFailure};
use crate::data::batch::Batch;
use crate::data::{Loader, PixelCache};
use serde::Serialize;
use std::sync::Arc;

/// Weight of the past in the smoothed loss.
const BETA: f64 = 0.98;
/// The sweep ends when the smoothed loss exceeds the best so far by this factor.
const EXPLODED: f64 = 4.0;
/// Steps at the end that suggestions do not look at: there the loss explodes.
const TAIL: usize = 5;

/// What is swept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrSweep {
    /// The first learning rate.
    pub from: f64,
    /// Where the rates end; the last step stands just before it.
    pub to: f64,
    /// Steps; over several epochs where the training pictures are few.
    pub steps: usize,
}

impl Default for LrSweep {
    fn default() -> Self {
        Self { from: 1e-7, to: 10.0, steps: 100 }
    }
}

impl LrSweep {
    /// The rate of a step, from 0: equal ratios from step to step.
    #[must_use]
    pub fn rate(&self, step: usize) -> f64 {
        self.from * (self.to / self.from).powf(step as f64 / self.steps.max(1) as f64)
    }

    fn check(&self) -> Result<(), String> {
        if !(self.from.is_finite() && self.to.is_finite() && self.from > 0.0 && self.to > self.from) {
            return Err(format!("The rates must rise from a positive number, not from {} to {}.", self.from, self.to));
        }
        if !(2..=100_000).contains(&self.steps) {
            return Err(format!("The sweep needs 2 to 100 000 steps, not {}.", self.steps));
        }
        Ok(())
    }
}

/// One step of the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LrPoint {
    /// Its base learning rate.
    pub lr: f64,
    /// The total loss before the step, the mean over its batches.
    pub loss: f64,
    /// The moving average of the losses so far, without the start's bias.
    pub smoothed: f64,
}

/// Why a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepEnd {
    /// All steps were made.
    Completed,
    /// The loss exploded, as it should.
    Exploded,
    /// Somebody stopped it.
    Cancelled,
}

/// Learning rates that a sweep suggests; none where it has too few points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LrSuggestions {
    /// In the middle of the longest fall of the loss: the one to use.
    pub valley: Option<f64>,
    /// A tenth of the rate with the smallest loss.
    pub minimum: Option<f64>,
    /// Where the loss falls fastest.
    pub steepest: Option<f64>,
}

/// What a sweep found.
#[derive(Clone, Debug, PartialEq)]
pub struct LrFound {
    /// All steps in order.
    pub points: Vec<LrPoint>,
    /// Rates to choose from.
    pub suggestions: LrSuggestions,
    /// Why it ended.
    pub end: SweepEnd,
}

/// Sweeps the learning rate over training steps of the plan's first phase. `watch` sees each point and says whether to
/// go on. Weights, statistics and freeze plan are as before afterwards, to the bit, also after an error.
///
/// # Errors
/// A sentence with the cause.
pub fn find_lr(setup: &mut Setup, sweep: &LrSweep, watch: &mut dyn FnMut(&LrPoint) -> bool) -> Result<LrFound, String> {
    sweep.check()?;
    let before = setup.network.tensors().map_err(|error| error.to_string())?;
    let freeze = setup.network.plan().clone();
    setup.network.set_plan(&setup.plan.freeze);
    let swept = steps(setup, sweep, watch);
    let before = before.into_iter().map(|tensor| (tensor.spec.name, tensor.values)).collect();
    setup.network.assign(before).map_err(|error| format!("The weights cannot be put back: {error}."))?;
    setup.network.set_plan(&freeze);
    let (points, end) = swept?;
    let suggestions = suggest(&points, sweep.steps);
    Ok(LrFound { points, suggestions, end })
}

fn steps(
    setup: &mut Setup,
    sweep: &LrSweep,
    watch: &mut dyn FnMut(&LrPoint) -> bool,
) -> Result<(Vec<LrPoint>, SweepEnd), String> {
    let network = &setup.network;
    let options = LossOptions::of(&setup.plan, network.graph(), &setup.dataset, network.device())?;
    let mut optimizer = Optimizer::new(setup.plan.optimizer);
    let cache = Arc::new(PixelCache::default());
    let mut points: Vec<LrPoint> = Vec::with_capacity(sweep.steps);
    let mut smooth = Smooth::default();
    for epoch in 1.. {
        let (mut loader, trained) = (setup.loader(epoch, 0, &cache), points.len());
        loop {
            let lr = sweep.rate(points.len());
            let result = step(setup, &mut loader, &options, &mut optimizer, points.len() as u64, lr);
            let loss = match result {
                Ok(Some(loss)) => loss,
                Ok(None) => break,
                Err(StepFailure::NotFinite { .. }) => f64::NAN,
                Err(StepFailure::Run(error)) => return Err(format!("Step {} failed: {error}.", points.len() + 1)),
            };
            if !loss.is_finite() {
                return Ok((points, SweepEnd::Exploded));
            }
            let point = LrPoint { lr, loss, smoothed: smooth.push(loss) };
            points.push(point);
            if !watch(&point) {
                return Ok((points, SweepEnd::Cancelled));
            }
            if smooth.exploded() {
                return Ok((points, SweepEnd::Exploded));
            }
            if points.len() >= sweep.steps {
                return Ok((points, SweepEnd::Completed));
            }
        }
        if points.len() == trained {
            return Err("None of the training pictures could be read.".to_owned());
        }
    }
    Ok((points, SweepEnd::Completed))
}

/// A step on the batches that come next, as many as the plan accumulates: its loss; none where no pictures are left.
fn step(
    setup: &mut Setup,
    loader: &mut Loader,
    options: &LossOptions,
    optimizer: &mut Optimizer,
    number: u64,
    lr: f64,
) -> Result<Option<f64>, StepFailure> {
    let Setup { network, plan, .. } = setup;
    loop {
        let (mut pending, mut taken) = (PendingStep::default(), 0);
        while taken < plan.accumulate
            && let Some(raw) = loader.next_batch()
        {
            taken += 1;
            if let Some(batch) = Batch::upload(raw, network.device()) {
                pending.add(network, (&batch, &Given::new()), options, plan, number, false)?;
            }
        }
        if taken == 0 {
            return Ok(None);
        }
        if !pending.is_empty() {
            let rates = Rates { base: lr, stages: &plan.stage_lr };
            let result = pending.finish(network, optimizer, plan, rates)?;
            return Ok(Some(result.losses.get("total").copied().unwrap_or(f64::NAN)));
        }
    }
}

/// The smoothed loss with its best value so far.
#[derive(Debug)]
struct Smooth {
    mean: f64,
    weight: f64,
    best: f64,
    last: f64,
}

impl Default for Smooth {
    fn default() -> Self {
        Self { mean: 0.0, weight: 0.0, best: f64::INFINITY, last: 0.0 }
    }
}

impl Smooth {
    fn push(&mut self, loss: f64) -> f64 {
        self.mean = BETA * self.mean + (1.0 - BETA) * loss;
        self.weight = BETA * self.weight + (1.0 - BETA);
        self.last = self.mean / self.weight;
        self.best = self.best.min(self.last);
        self.last
    }

    fn exploded(&self) -> bool {
        self.last > EXPLODED * self.best
    }
}

/// What the points of a sweep of `steps` steps suggest. The first tenth, where the average still settles, and the last five
/// are left out.
#[must_use]
pub fn suggest(points: &[LrPoint], steps: usize) -> LrSuggestions {
    let end = points.len().saturating_sub(TAIL);
    let kept = points.get(steps / 10..end).unwrap_or_default();
    let lowest = kept.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed));
    let slope = |pair: &[LrPoint]| match pair {
        [a, b] => (b.smoothed - a.smoothed) / (b.lr / a.lr).ln(),
        _ => f64::INFINITY,
    };
    let steepest = kept.windows(2).min_by(|a, b| slope(a).total_cmp(&slope(b)));
    LrSuggestions {
        valley: valley(kept).map(|point| point.lr),
        minimum: lowest.map(|point| point.lr / 10.0),
        steepest: steepest.and_then(<[LrPoint]>::first).map(|point| point.lr),
    }
}

/// The middle of the longest fall: of the losses' longest decreasing subsequence fastai takes the last point, counts its
/// length back from there, and goes a third and half a third of it forward.
fn valley(points: &[LrPoint]) -> Option<LrPoint> {
    let mut lengths: Vec<usize> = Vec::with_capacity(points.len());
    let mut longest = (0, 0); // where it ends, its length
    for (i, point) in points.iter().enumerate() {
        let before = points.iter().zip(&lengths).filter(|(earlier, _)| point.smoothed < earlier.smoothed);
        let length = 1 + before.map(|(_, length)| *length).max().unwrap_or(0);
        if length > longest.1.max(1) {
            longest = (i, length);
        }
        lengths.push(length);
    }
    let third = longest.1 as f64 / 3.0;
    let at = longest.0 as i64 - longest.1 as i64 + third as i64 + (third / 2.0) as i64;
    points.get(usize::try_from(at).unwrap_or(0)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A curve like a classifier's, with a regular unrest; swept by the rules of `steps`.
    fn sweep(sweep: &LrSweep) -> Vec<LrPoint> {
        let mut smooth = Smooth::default();
        let mut points = Vec::new();
        for step in 0..sweep.steps {
            let lr = sweep.rate(step);
            let loss = 0.3 + 2.0 / (1.0 + (lr / 1e-2).powf(0.8)) + 30.0 * lr * lr + 0.05 * (1.7 * step as f64).sin();
            points.push(LrPoint { lr, loss, smoothed: smooth.push(loss) });
            if smooth.exploded() {
                break;
            }
        }
        points
    }

    #[test]
    fn rates_losses_and_suggestions_are_fastais() {
        // By numpy from the published definition: AvgSmoothLoss(0.98), SchedExp, valley, minimum and steep of fastai 2.
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} and not {b}");
        let default = LrSweep::default();
        let points = sweep(&default);
        assert_eq!(points.len(), 91, "stopped when the average was above four times its best");
        let wanted = [(0, 2.2998000199983), (1, 2.3248260260112836), (10, 2.2994737454180947), (50, 2.242092597887749)];
        wanted.iter().for_each(|&(step, smoothed)| near(points[step].smoothed, smoothed));
        near(points[90].smoothed, 6.875824863440039);
        let found = suggest(&points, default.steps);
        near(found.valley.unwrap(), 0.001202264434617413);
        near(found.minimum.unwrap(), 0.017378008287493762);
        near(found.steepest.unwrap(), 0.027542287033381692);
        let short = LrSweep { from: 1e-5, to: 1.0, steps: 40 };
        let points = sweep(&short);
        assert_eq!(points.len(), 40, "to its end");
        near(points[39].smoothed, 2.711298065121346);
        let found = suggest(&points, short.steps);
        near(found.valley.unwrap(), 0.001778279410038923);
        near(found.minimum.unwrap(), 0.017782794100389222);
        near(found.steepest.unwrap(), 0.03162277660168378);
    }

    #[test]
    fn the_valley_is_a_third_and_half_a_third_into_the_longest_fall() {
        let valley_of = |losses: &[f64]| {
            let points: Vec<LrPoint> =
                losses.iter().enumerate().map(|(i, &smoothed)| LrPoint { lr: i as f64, loss: 0.0, smoothed }).collect();
            valley(&points).map(|point| point.lr)
        };
        // 5 4 3 2 1 has 5 points and ends at 5: 5 - 5 + int(5/3) + int(5/6) = 1.
        assert_eq!(valley_of(&[5.0, 4.0, 6.0, 3.0, 2.0, 1.0]), Some(1.0));
        // 9 8 7 6 5 4 3 2 1 ends at 9: 9 - 9 + int(3) + int(1.5) = 4.
        assert_eq!(valley_of(&[9.0, 8.0, 7.0, 7.5, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 9.0]), Some(4.0));
        // Nothing falls.
        assert_eq!(valley_of(&[1.0, 2.0, 3.0]), Some(0.0));
        assert_eq!(valley_of(&[]), None);
    }

    #[test]
    fn too_few_points_suggest_nothing() {
        let points = sweep(&LrSweep::default());
        assert_eq!(suggest(&points[..15], 100), LrSuggestions::default());
        assert!(suggest(&points[..16], 100).valley.is_some());
        for (from, to, steps) in [(0.0, 1.0, 100), (1e-3, 1e-4, 100), (1e-7, f64::NAN, 100), (1e-7, 10.0, 1)] {
            assert!(LrSweep { from, to, steps }.check().is_err());
        }
    }
}
