//! One case, in this process: a run on generated pictures, the first steps left out, medians of the others.

use super::super::args::BenchArgs;
use super::super::drive::Driver;
use super::super::lines::{BenchLine, Line};
use super::super::{Failure, Outcome, models, output, plan};
use super::{WARM_UP, choice};
use crate::data::Augment;
use crate::session::{Command, Event, RunInfo, StepTimes, find_model};
use crate::train::{CacheChoice, CacheMode, DataSource, Plan};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Epochs of a run with cached features; the first one fills the cache.
const CACHED_EPOCHS: u32 = 4;

/// So low that new weights stay what they are: a detector that diverges proposes no regions, and its steps cost half.
const LR: f64 = 1e-6;

/// What a run said until enough steps were made.
#[derive(Default)]
struct Measured {
    info: Option<Arc<RunInfo>>,
    /// From the start of the run to the end of its first step, in seconds.
    start_s: f64,
    /// Epoch and times of each step.
    steps: Vec<(u32, StepTimes)>,
}

/// Measures the one case that the arguments name and prints its line.
pub(super) fn measure(args: &BenchArgs, data: &Path, out: &Path) -> Outcome {
    let ([model], [freeze], Some(size_px), Some(batch)) =
        (args.model.as_slice(), args.freeze.as_slice(), args.size, args.batch)
    else {
        return Err(Failure::Input("--measure wants one model, one freeze plan, a size and a batch.".to_owned()));
    };
    let (variant, batch) = (find_model(model).map_err(Failure::Input)?, usize::from(batch));
    let graph = plan::graph(&variant, size_px, &[])?;
    let cached = freeze == choice::CACHED;
    let plan = Plan {
        data: DataSource::Path(data.to_path_buf()),
        model: variant.name.to_owned(),
        freeze: plan::freeze(&graph, &[choice::words(freeze).to_owned()])?,
        epochs: if cached { CACHED_EPOCHS } else { 1 },
        cache: CacheChoice { mode: if cached { CacheMode::On } else { CacheMode::Off }, ..CacheChoice::default() },
        batch,
        size_px,
        lr: LR,
        augment: Augment::none(),
        device: args.device.clone(),
        ..Plan::default()
    };
    let mut driver = Driver::new(args.device.clone())?;
    // Without a cache an epoch is cut off where enough is known.
    let wanted = if cached { usize::MAX } else { WARM_UP + usize::from(args.steps) };
    let measured = run(&mut driver, plan, out, wanted)?;
    let first = measured.steps.first().map(|(_, ms)| *ms).unwrap_or_default();
    let counted: Vec<StepTimes> = if cached {
        measured.steps.iter().filter(|(epoch, _)| *epoch > 1).map(|(_, ms)| *ms).collect()
    } else {
        measured.steps.iter().skip(WARM_UP).map(|(_, ms)| *ms).collect()
    };
    let speeds: Vec<f64> = counted.iter().map(|ms| batch as f64 * 1e3 / whole(ms).max(1e-6)).collect();
    output::json(&Line::Bench(BenchLine {
        model: variant.name,
        task: models::task(variant.task),
        device: driver.device(),
        size: size_px,
        batch,
        freeze,
        params: measured.info.as_ref().map_or(0, |info| info.params),
        trainable: measured.info.as_ref().map_or(0, |info| info.trainable),
        steps: counted.len(),
        images_per_s: median(speeds.iter().copied()),
        images_per_s_range: [
            speeds.iter().copied().fold(f64::INFINITY, f64::min),
            speeds.iter().copied().fold(0.0, f64::max),
        ],
        ms: StepTimes {
            data: median(counted.iter().map(|ms| ms.data)),
            forward: median(counted.iter().map(|ms| ms.forward)),
            backward: median(counted.iter().map(|ms| ms.backward)),
            optimizer: median(counted.iter().map(|ms| ms.optimizer)),
        },
        first_step_ms: whole(&first) - first.data,
        start_s: measured.start_s,
        peak_mib: peak_mib(),
        epoch_s: cached.then(|| epoch_s(&measured.steps)),
        epoch_images: measured.info.as_ref().filter(|_| cached).map(|info| info.train_images),
    }))
}

fn run(driver: &mut Driver, plan: Plan, out: &Path, wanted: usize) -> Result<Measured, Failure> {
    let mut measured = Measured::default();
    let start = Instant::now();
    driver.send(Command::Start { plan: Box::new(plan), out: out.to_path_buf() })?;
    loop {
        match driver.next()? {
            Event::RunStarted(info) => measured.info = Some(info),
            Event::Step(news) => {
                if measured.steps.is_empty() {
                    measured.start_s = start.elapsed().as_secs_f64();
                }
                measured.steps.push((news.epoch, news.ms));
                if measured.steps.len() >= wanted {
                    return Ok(measured);
                }
            }
            Event::Failed { what, .. } => return Err(driver.failed(what)),
            Event::Done { .. } if wanted == usize::MAX => return Ok(measured),
            Event::Done { .. } => {
                let made = measured.steps.len();
                return Err(Failure::Running(format!("The run ended after {made} of {wanted} steps.")));
            }
            _ => {}
        }
    }
}

/// The median of the epochs from the second on, without validation.
fn epoch_s(steps: &[(u32, StepTimes)]) -> f64 {
    let of = |epoch: u32| steps.iter().filter(|(of, _)| *of == epoch).map(|(_, ms)| whole(ms)).sum::<f64>() / 1e3;
    median((2..=CACHED_EPOCHS).map(of))
}

/// The step without what the loop does beside it, in milliseconds.
fn whole(ms: &StepTimes) -> f64 {
    ms.data + ms.forward + ms.backward + ms.optimizer
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or(0.0);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => at(n / 2),
        n => f64::midpoint(at(n / 2 - 1), at(n / 2)),
    }
}

/// The most memory that this process ever had, where the system tells it (Linux).
fn peak_mib() -> Option<f64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }

    #[test]
    fn the_peak_is_read_from_the_system() {
        assert_eq!(peak_in("VmPeak:\t  9000 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n"), Some(2.0));
        assert_eq!(peak_in("VmRSS:\t  1024 kB\n"), None);
    }
}
