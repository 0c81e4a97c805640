//! `frostline eval`: measures a model on a data set.

use super::args::EvalArgs;
use super::drive::Driver;
use super::lines::{EvalLine, Line};
use super::{Failure, Outcome, output};
use crate::session::{Command, Evaluation, Event};

pub(super) fn evaluate(args: &EvalArgs) -> Outcome {
    for path in [&args.source, &args.data] {
        if !path.exists() {
            return Err(Failure::Input(format!("{} does not exist.", path.display())));
        }
    }
    let mut driver = Driver::new(args.device)?;
    driver.send(Command::Evaluate { from: args.source.clone(), data: args.data.clone() })?;
    loop {
        match driver.next()? {
            Event::Evaluated(found) if args.json => {
                return output::json(&Line::Eval(EvalLine {
                    metrics: &found.metrics,
                    losses: &found.losses,
                    images: found.images,
                    model: &found.model,
                    source: &args.source,
                    data: &args.data,
                    device: driver.device(),
                    seconds: found.seconds,
                }));
            }
            Event::Evaluated(found) => return show(&found),
            Event::Failed { what, .. } => return Err(driver.failed(what)),
            _ => {}
        }
    }
}

fn show(found: &Evaluation) -> Outcome {
    output::line(&format!("{} on {} pictures, {:.1} s", found.model, found.images, found.seconds))?;
    for (name, value) in &found.metrics {
        output::line(&format!("  {name:<16} {value:.4}"))?;
    }
    for (name, value) in &found.losses {
        output::line(&format!("  loss {name:<11} {value:.4}"))?;
    }
    for (class, row) in found.classes.iter().zip(&found.confusion) {
        let right =
            found.classes.iter().position(|known| known == class).and_then(|i| row.get(i)).copied().unwrap_or(0);
        output::line(&format!("  {class:<16} {right} of {} right", row.iter().sum::<u32>()))?;
    }
    Ok(())
}
