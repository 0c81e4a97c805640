//! Progress for people, on standard error: one line that is replaced while things move.

use super::output;
use crate::format::clock;
use crate::session::{EpochNews, RunView, View};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// Changes of the line are at least this far apart.
const PACE: Duration = Duration::from_millis(100);

/// The line that is replaced. Where standard error is no terminal, it stays silent.
#[derive(Debug)]
pub(super) struct StatusLine {
    terminal: bool,
    shown: Option<Instant>,
}

impl Default for StatusLine {
    fn default() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: None }
    }
}

impl StatusLine {
    /// Replaces the line, unless it changed a moment ago.
    pub(super) fn show(&mut self, text: impl FnOnce() -> String) {
        if self.terminal && self.shown.is_none_or(|at| at.elapsed() >= PACE) {
            output::replace_line(&text());
            self.shown = Some(Instant::now());
        }
    }

    /// Takes the line away, so that something lasting can be written.
    pub(super) fn clear(&mut self) {
        if self.shown.take().is_some() {
            output::replace_line("");
        }
    }

    /// Writes a line that stays.
    pub(super) fn note(&mut self, text: &str) {
        self.clear();
        output::note(text);
    }
}

/// The line while something takes long or a run makes steps.
pub(super) fn status(view: &View) -> Option<String> {
    if let Some(busy) = &view.busy {
        return Some(match busy.total {
            0 => format!("{} …", busy.what),
            total => format!("{} {}/{total}", busy.what, busy.done),
        });
    }
    let run = view.run.as_ref()?;
    let step = run.step.as_ref()?;
    let per_epoch = run.info.steps_per_epoch.max(1) as u64;
    let loss = step.losses.get("total").copied().unwrap_or(f64::NAN);
    let left = run.eta.map_or(String::new(), |left| format!(" · {} left", clock(left)));
    Some(format!(
        "epoch {}/{} · step {}/{per_epoch} · loss {loss:.4} · {:.1} images/s{left}",
        step.epoch,
        run.info.plan.epochs,
        (step.step.max(1) - 1) % per_epoch + 1,
        step.images_per_s,
    ))
}

/// What a run is, once, at its start.
pub(super) fn start(run: &RunView, device: &str) -> String {
    let info = &run.info;
    let resumed = if info.first_epoch > 0 { format!(", from epoch {}", info.first_epoch) } else { String::new() };
    format!(
        "{} on {device}: {} of {} parameters train; {} images to train on, {} to validate on; {} {}{resumed}",
        info.plan.model,
        output::count(info.trainable),
        output::count(info.params),
        info.train_images,
        info.val_images,
        info.plan.epochs,
        if info.plan.epochs == 1 { "epoch" } else { "epochs" },
    )
}

/// A line for each epoch.
pub(super) fn epoch(news: &EpochNews, epochs: u32) -> String {
    let mut parts = Vec::new();
    parts.extend(news.train.get("total").map(|loss| format!("train {loss:.4}")));
    parts.extend(news.val.get("total").map(|loss| format!("val {loss:.4}")));
    parts.extend(news.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")));
    let width = epochs.to_string().len();
    let frozen = match (news.frozen_verified, news.frozen_tensors) {
        (_, 0) => String::new(),
        (true, n) => format!("  frozen verified ({n} tensors)"),
        (false, n) => format!("  {n} frozen tensors not verified"),
    };
    let cached = if news.cached { "  from kept features" } else { "" };
    format!("epoch {:>width$}/{epochs}  {}  {:.1} s{cached}{frozen}", news.epoch, parts.join("  "), news.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_reads_as_a_line() {
        let news = EpochNews {
            epoch: 3,
            train: [("total".to_owned(), 0.51239)].into(),
            val: [("total".to_owned(), 0.25)].into(),
            metrics: [("top1".to_owned(), 0.875)].into(),
            seconds: 12.34,
            frozen_verified: true,
            frozen_tensors: 60,
            cached: false,
            confusion: Vec::new(),
            frozen: Vec::new(),
        };
        assert_eq!(
            epoch(&news, 10),
            "epoch  3/10  train 0.5124  val 0.2500  top1 0.8750  12.3 s  frozen verified (60 tensors)"
        );
        assert_eq!(clock(Duration::from_secs(3725)), "1:02:05");
        assert_eq!(clock(Duration::from_secs(65)), "01:05");
    }
}
