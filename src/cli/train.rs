//! `frostline train` and `frostline resume`.

use super::args::{ResumeArgs, TrainArgs};
use super::drive::Driver;
use super::{Failure, Outcome, plan, public};
use crate::session::Command;
use crate::train::{Plan, RunFolder};

pub(super) fn train(args: &TrainArgs) -> Outcome {
    let plan = Plan { cache: plan::cache(&args.cache), views: args.cache.views, ..plan::plan(&args.plan)? };
    public::bring(&plan)?;
    let mut driver = Driver::new(plan.device.clone())?;
    driver.send(Command::Start { plan: Box::new(plan), out: args.out.clone() })?;
    no_reader_no_run(driver.follow_run(args.plan.json))
}

pub(super) fn resume(args: &ResumeArgs) -> Outcome {
    if !args.run.is_dir() {
        return Err(Failure::Input(format!("{} is not a run's folder.", args.run.display())));
    }
    let (_, run) = RunFolder::open(&args.run).map_err(Failure::Input)?;
    let mut driver = Driver::new(args.device.clone().unwrap_or(run.plan.device))?;
    driver.send(Command::ResumeRun { run: args.run.clone(), epochs: args.epochs })?;
    no_reader_no_run(driver.follow_run(args.json))
}

/// A run whose reader went away was not done.
fn no_reader_no_run(outcome: Outcome) -> Outcome {
    outcome.map_err(|failure| match failure {
        Failure::Said(0) => Failure::Said(1),
        other => other,
    })
}
