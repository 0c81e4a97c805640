//! `frostline bench`: what a training step costs on this machine, model by model.
//!
//! The steps are those of a real run on generated pictures, measured by the session that trains, so that the numbers
//! are what a person will see.

use super::args::BenchArgs;
use super::drive::Driver;
use super::lines::{BenchLine, Line};
use super::output::{self, Align};
use super::sample::class_folders;
use super::{Failure, Outcome, plan};
use crate::data::Augment;
use crate::data::sample::World;
use crate::session::{Command, Event, ModelTask, StepNews, StepTimes, Variant, catalogue, find_model};
use crate::train::{DataSource, Plan};
use std::path::{Path, PathBuf};

/// Steps before the measurement: the first ones prepare kernels and fill queues.
const WARM_UP: usize = 2;

pub(super) fn bench(args: &BenchArgs) -> Outcome {
    let variants = match args.model.as_slice() {
        [] => catalogue().into_iter().filter(|variant| variant.task == ModelTask::Classify).collect(),
        names => names.iter().map(|name| find_model(name)).collect::<Result<Vec<_>, _>>().map_err(Failure::Input)?,
    };
    let scratch = Scratch::new()?;
    let data = scratch.0.join("data");
    let batch = usize::from(args.batch);
    let wanted = batch * (WARM_UP + usize::from(args.steps));
    let classes = crate::data::sample::classes(World::Sample).len();
    class_folders(World::Sample, &data, (wanted.div_ceil(classes), 1), 0)?;
    let mut rows = Vec::new();
    for variant in &variants {
        for freeze in &args.freeze {
            let run = scratch.0.join(format!("{}-{}", variant.name, rows.len()));
            rows.push(measure(args, variant, freeze, &data, &run)?);
        }
    }
    if args.json {
        return Ok(());
    }
    let (left, right) = (Align::Left, Align::Right);
    let head = [
        ("model", left),
        ("freeze", left),
        ("input", right),
        ("batch", right),
        ("images/s", right),
        ("data ms", right),
        ("forward ms", right),
        ("backward ms", right),
        ("optimizer ms", right),
    ];
    output::table(&head, &rows).iter().try_for_each(|line| output::line(line))
}

/// One model under one freeze plan; gives the row for people.
fn measure(args: &BenchArgs, variant: &Variant, freeze: &str, data: &Path, run: &Path) -> Result<Vec<String>, Failure> {
    let size_px = args.size.unwrap_or(variant.preprocess.size[0]);
    let batch = usize::from(args.batch);
    let plan = Plan {
        data: DataSource::Path(data.to_path_buf()),
        model: variant.name.to_owned(),
        freeze: plan::freeze(&plan::graph(variant, size_px, &[])?, &[freeze.to_owned()])?,
        epochs: 1,
        batch,
        size_px,
        augment: Augment::none(),
        device: args.device,
        ..Plan::default()
    };
    let mut driver = Driver::new(args.device)?;
    driver.send(Command::Start { plan: Box::new(plan), out: run.to_path_buf() })?;
    let mut steps: Vec<StepNews> = Vec::new();
    while steps.len() < WARM_UP + usize::from(args.steps) {
        match driver.next()? {
            Event::Step(news) => steps.push(*news),
            Event::Failed { what, .. } => return Err(driver.failed(what)),
            Event::Done { .. } => break,
            _ => {}
        }
    }
    let measured: Vec<StepTimes> = steps.iter().skip(WARM_UP).map(|step| step.ms).collect();
    let ms = StepTimes {
        data: median(measured.iter().map(|ms| ms.data)),
        forward: median(measured.iter().map(|ms| ms.forward)),
        backward: median(measured.iter().map(|ms| ms.backward)),
        optimizer: median(measured.iter().map(|ms| ms.optimizer)),
    };
    let whole = median(measured.iter().map(|ms| ms.data + ms.forward + ms.backward + ms.optimizer));
    let images_per_s = if whole > 0.0 { batch as f64 * 1000.0 / whole } else { 0.0 };
    if args.json {
        output::json(&Line::Bench(BenchLine {
            model: variant.name,
            device: driver.device(),
            size: size_px,
            batch,
            freeze,
            steps: measured.len(),
            images_per_s,
            ms,
        }))?;
    }
    let number = |value: f64| format!("{value:.1}");
    let times = [images_per_s, ms.data, ms.forward, ms.backward, ms.optimizer].map(number);
    let first = [variant.name.to_owned(), freeze.to_owned(), format!("{size_px} px"), batch.to_string()];
    Ok(first.into_iter().chain(times).collect())
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

/// A folder that goes away with the measurement.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("frostline-bench-{}", std::process::id()));
        match std::fs::create_dir(&folder) {
            Ok(()) => Ok(Self(folder)),
            Err(cause) => Err(Failure::Running(format!("{} cannot be made: {cause}.", folder.display()))),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }
}
