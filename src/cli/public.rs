//! Public weights on the command line: named, looked for, downloaded with progress.

use super::progress::StatusLine;
use super::{Failure, Outcome, interrupt};
use crate::format::{bytes, clock};
use crate::session::find_model;
use crate::train::{Plan, WeightsSource, public};
use crate::weights::hub::{self, FetchError, Options, Progress, Source, Stage};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// How often a line is written where standard error is no terminal.
const LINES: Duration = Duration::from_secs(5);

/// Sees to it that the public weights that a plan names are on this machine; downloads them where they are not.
pub(super) fn bring(plan: &Plan) -> Outcome {
    let WeightsSource::Public { entry } = &plan.weights else { return Ok(()) };
    let variant = find_model(&plan.model).map_err(Failure::Input)?;
    let weights = public::entry(&variant, entry).map_err(Failure::Input)?;
    let source = Source::from(weights);
    let mut line = StatusLine::default();
    if let Some(path) = hub::find(weights.file) {
        let checked = hub::verify(&path, &source, &mut |_| !interrupt::asked()).map_err(Failure::Input)?;
        let verified = checked.ok_or(Failure::Interrupted)?;
        line.note(&format!("{}: {}.", path.display(), verified.words()));
        return Ok(());
    }
    let folder = hub::weights_folder().map_err(Failure::Input)?;
    let (options, begun) = (Options::from_env(), Instant::now());
    let size = weights.size_mib.map_or_else(String::new, |mib| format!("{:.1} MB, ", mib * 1.048_576));
    line.note(&format!(
        "Downloading {} ({size}license {}) from {} to {}.",
        weights.file,
        weights.license,
        options.address(&source),
        folder.display()
    ));
    let terminal = std::io::stderr().is_terminal();
    let mut written = Instant::now();
    let mut tell = |news: &Progress| {
        line.show(|| status(weights.file, news));
        if !terminal && written.elapsed() >= LINES {
            written = Instant::now();
            line.note(&status(weights.file, news));
        }
        !interrupt::asked()
    };
    let done = hub::fetch(&source, &folder, &options, &mut tell);
    line.clear();
    match done {
        Ok((path, verified)) => {
            let len = std::fs::metadata(&path).map_or(0, |file| file.len());
            let text =
                format!("{}: {} in {}, {}.", path.display(), bytes(len), clock(begun.elapsed()), verified.words());
            line.note(&text);
            Ok(())
        }
        Err(FetchError::Cancelled) => {
            line.note("The download was stopped; what came is kept and goes on next time.");
            Err(Failure::Interrupted)
        }
        Err(FetchError::Failed(what)) => Err(Failure::Running(what)),
    }
}

/// One line about a download.
fn status(file: &str, news: &Progress) -> String {
    match (news.stage, news.total) {
        (Stage::Waiting, _) => format!("{file}: another program is downloading it …"),
        (Stage::Connecting, _) => format!("{file}: connecting …"),
        (Stage::Pausing, _) => format!("{file}: {} so far; the next try comes in a moment …", bytes(news.done)),
        (Stage::Receiving, Some(total)) => {
            let percent = 100.0 * news.done as f64 / total.max(1) as f64;
            format!("{file}: {percent:.0} % of {}, {}", bytes(total), speed(news))
        }
        (Stage::Receiving, None) => format!("{file}: {}, {}", bytes(news.done), speed(news)),
    }
}

fn speed(news: &Progress) -> String {
    format!("{:.1} MB/s", news.bytes_per_s / 1e6)
}
