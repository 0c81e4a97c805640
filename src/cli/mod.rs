//! The command line: the same commands as the window's, from arguments.
//!
//! Standard output carries data only (tables for people, one JSON object a line with `--json`); progress, warnings and
//! errors go to standard error. Exit codes: 0 done, 1 failed while running, 2 bad input or usage, 130 interrupted.

mod args;
mod bench;
mod check;
mod drive;
mod evaluate;
mod export;
mod inspect;
mod interrupt;
mod lines;
mod lr;
mod models;
mod output;
mod plan;
mod predict;
mod progress;
mod prompt;
mod public;
mod recognize;
mod sample;
mod serve;
mod train;
mod values;

use crate::train::DeviceChoice;
use args::{Args, Command};
use clap::Parser as _;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command ended without being done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Bad input or usage, as one sentence: exit code 2.
    Input(String),
    /// It failed while running, as one sentence: exit code 1.
    Running(String),
    /// A person stopped it: exit code 130.
    Interrupted,
    /// Everything is said already; only the exit code is left.
    Said(u8),
}

/// Opens the window with a project, its session on a device; returns when it is closed.
pub type Window = fn(Option<PathBuf>, DeviceChoice) -> anyhow::Result<()>;

/// What a command gives.
pub(crate) type Outcome = Result<(), Failure>;

/// Parses the arguments, does what they ask and gives the exit code. Without a command it opens the window.
pub fn run(arguments: impl IntoIterator<Item = OsString>, open_window: Window) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come as "errors" that go to standard output with code 0.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let code = match dispatch(args, open_window) {
        Ok(()) => 0,
        Err(Failure::Input(what)) => {
            output::error(&what);
            2
        }
        Err(Failure::Running(what)) => {
            output::error(&what);
            1
        }
        Err(Failure::Interrupted) => {
            output::note("Interrupted.");
            130
        }
        Err(Failure::Said(code)) => code,
    };
    ExitCode::from(code)
}

fn dispatch(args: Args, open_window: Window) -> Outcome {
    let Some(command) = args.command else {
        return window(args.project, args.device, open_window);
    };
    interrupt::listen();
    match command {
        Command::Models(args) => models::models(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Check(args) => check::check(&args),
        Command::Train(args) => train::train(&args),
        Command::Lr(args) => lr::find(&args),
        Command::Resume(args) => train::resume(&args),
        Command::Eval(args) => evaluate::evaluate(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Export(args) => export::export(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Serve(args) => serve::serve(args),
        Command::Sample(args) => sample::sample(&args),
    }
}

fn window(project: Option<PathBuf>, device: DeviceChoice, open: Window) -> Outcome {
    if let Some(project) = project.as_ref().filter(|project| !project.exists()) {
        return Err(Failure::Input(format!(
            "There is neither a command nor a project file named {}; frostline --help lists the commands.",
            project.display()
        )));
    }
    open(project, device).map_err(|error| Failure::Running(format!("{error:#}")))
}
