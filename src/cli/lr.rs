//! `frostline lr`: the sweep of the learning rate.

use super::args::LrArgs;
use super::drive::Driver;
use super::lines::Line;
use super::output::Align;
use super::{Failure, Outcome, output, plan, public};
use crate::session::{Command, Event};
use crate::train::{LrSuggestions, LrSweep, SweepEnd};

pub(super) fn find(args: &LrArgs) -> Outcome {
    let plan = plan::plan(&args.plan)?;
    let sweep = LrSweep { from: args.from, to: args.to, steps: args.steps };
    public::bring(&plan)?;
    let mut driver = Driver::new(plan.device.clone())?;
    driver.send(Command::FindLr { plan: Box::new(plan), sweep })?;
    loop {
        match driver.next()? {
            Event::SweepPoint(point) if args.plan.json => output::json(&Line::LrPoint(&point))?,
            Event::SweepDone { suggestions, end } => return tell(&mut driver, suggestions, end, args.plan.json),
            Event::Failed { what, .. } => return Err(driver.failed(what)),
            _ => {}
        }
    }
}

fn tell(driver: &mut Driver, suggestions: LrSuggestions, end: SweepEnd, json: bool) -> Outcome {
    let points = driver.view.sweep.as_ref().map(|sweep| sweep.points.as_slice()).unwrap_or_default();
    if end == SweepEnd::Cancelled {
        return Err(Failure::Interrupted);
    }
    if json {
        return output::json(&Line::Lr { suggestions, end, steps: points.len() });
    }
    let rate = |lr: Option<f64>| lr.map_or("–".to_owned(), |lr| format!("{lr:.2e}"));
    let rows = points.iter().map(|p| vec![rate(Some(p.lr)), format!("{:.4}", p.loss), format!("{:.4}", p.smoothed)]);
    let head = [("learning rate", Align::Right), ("loss", Align::Right), ("smoothed", Align::Right)];
    output::table(&head, &rows.collect::<Vec<_>>()).iter().try_for_each(|row| output::line(row))?;
    if suggestions.valley.is_none() {
        output::note("Too few steps for a suggestion: the loss exploded at once, or the sweep is short.");
    }
    let LrSuggestions { valley, minimum, steepest } = suggestions;
    output::line(&format!("valley {}   minimum/10 {}   steepest {}", rate(valley), rate(minimum), rate(steepest)))
}
