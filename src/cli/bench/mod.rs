//! `frostline bench`: what training steps cost on this machine, model by model and freeze plan by freeze plan.
//!
//! Each case runs in a process of its own, this program again, so that its peak memory and its first step are its own.
//! The steps are those of a real run on generated pictures, made by the session that trains.

mod case;
mod choice;

use super::args::BenchArgs;
use super::output::{self, Align};
use super::{Failure, Outcome};
use choice::{Case, Scratch};
use serde_json::Value;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

/// Steps before the measurement: the first ones prepare kernels and fill queues.
const WARM_UP: usize = 2;

pub(super) fn bench(args: &BenchArgs) -> Outcome {
    if let [data, run] = args.measure.as_slice() {
        return case::measure(args, data, run);
    }
    let cases = choice::cases(args)?;
    let mut scratch = Scratch::new()?;
    let (mut rows, mut failed, mut told) = (Vec::new(), 0, HashSet::new());
    for (number, case) in cases.iter().enumerate() {
        let (model, freeze) = (case.variant.name, &case.freeze);
        output::note(&format!("{}/{} {model}, {freeze}", number + 1, cases.len()));
        let data = scratch.data(case, WARM_UP + usize::from(args.steps))?;
        let answer = alone(args, case, &data, &scratch.folder.join(format!("run-{number}")))?;
        match line_of(&answer, &mut told)? {
            Some(line) if args.json => output::line(&line.to_string())?,
            Some(line) => rows.push(row(&line)),
            None => failed += 1,
        }
    }
    if !args.json {
        output::table(&HEAD, &rows).iter().try_for_each(|line| output::line(line))?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Running(format!("{failed} of {} cases could not be measured.", cases.len()))),
    }
}

/// Measures one case in a process of its own.
fn alone(args: &BenchArgs, case: &Case, data: &Path, run: &Path) -> Result<Output, Failure> {
    let fail = |cause: std::io::Error| Failure::Running(format!("The process of a case cannot be started: {cause}."));
    let program = std::env::current_exe().map_err(fail)?;
    let words = [
        ("--model", case.variant.name.to_owned()),
        ("--freeze", case.freeze.clone()),
        ("--batch", case.batch.to_string()),
        ("--size", case.size_px.to_string()),
        ("--steps", args.steps.to_string()),
        ("--device", args.device.to_string()),
    ];
    let words = words.into_iter().flat_map(|(name, value)| [OsString::from(name), OsString::from(value)]);
    let mut command = Command::new(program);
    command.arg("bench").args(words).arg("--measure").args([data, run]);
    // What is cached is the case's own, and goes with it.
    command.env("FROSTLINE_FEATURES", run.with_extension("features"));
    command.output().map_err(fail)
}

/// The line of a case, if it could be measured. What its process says for people is said once, errors always.
fn line_of(answer: &Output, told: &mut HashSet<String>) -> Result<Option<Value>, Failure> {
    for line in String::from_utf8_lossy(&answer.stderr).lines() {
        if line.starts_with("error: ") || told.insert(line.to_owned()) {
            output::note(line);
        }
    }
    if super::interrupt::asked() {
        return Err(Failure::Interrupted);
    }
    let text = String::from_utf8_lossy(&answer.stdout);
    let line = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    Ok(line.filter(|_| answer.status.success()))
}

/// Columns of the table for people.
const HEAD: [(&str, Align); 12] = [
    ("model", Align::Left),
    ("freeze", Align::Left),
    ("input", Align::Right),
    ("batch", Align::Right),
    ("images/s", Align::Right),
    ("data ms", Align::Right),
    ("forward ms", Align::Right),
    ("backward ms", Align::Right),
    ("optimizer ms", Align::Right),
    ("first step ms", Align::Right),
    ("peak MiB", Align::Right),
    ("epoch s", Align::Right),
];

fn row(line: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let number = |value: &Value| value.as_f64().map_or("–".to_owned(), |value| format!("{value:.1}"));
    let whole = |value: &Value| value.as_f64().map_or("–".to_owned(), |value| format!("{value:.0}"));
    let ms = &line["ms"];
    vec![
        text(&line["model"]),
        text(&line["freeze"]),
        format!("{} px", text(&line["size"])),
        text(&line["batch"]),
        number(&line["images_per_s"]),
        number(&ms["data"]),
        number(&ms["forward"]),
        number(&ms["backward"]),
        number(&ms["optimizer"]),
        whole(&line["first_step_ms"]),
        whole(&line["peak_mib"]),
        line["epoch_s"].as_f64().map_or(String::new(), |seconds| format!("{seconds:.3}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_what_is_not_known_as_a_dash() {
        let line = serde_json::json!({
            "model": "m", "freeze": "all", "size": 64, "batch": 4, "images_per_s": 12.34, "first_step_ms": 80.6,
            "ms": {"data": 0.04, "forward": 100.0, "backward": 200.06, "optimizer": 3.0}, "peak_mib": null
        });
        let expected = ["m", "all", "64 px", "4", "12.3", "0.0", "100.0", "200.1", "3.0", "81", "–", ""];
        assert_eq!(row(&line), expected);
        assert_eq!(row(&line).len(), HEAD.len());
    }
}
