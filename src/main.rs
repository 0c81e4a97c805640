//! The `frostline` binary: the window without a subcommand, the command line with one.

use frostline::train::DeviceChoice;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    frostline::cli::run(std::env::args_os(), window)
}

/// Opens the window where this build has one.
fn window(_project: Option<PathBuf>, _device: DeviceChoice) -> anyhow::Result<()> {
    anyhow::bail!("This build has no window; frostline --help lists the commands.")
}
