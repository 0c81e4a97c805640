//! The `frostline` binary: the window without a subcommand, the command line with one.

use frostline::train::DeviceChoice;
use std::path::PathBuf;
use std::process::ExitCode;

/// Keeps what a training step gives back for the next one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    frostline::cli::run(std::env::args_os(), window)
}

#[cfg(feature = "gui")]
fn window(project: Option<PathBuf>, device: DeviceChoice) -> anyhow::Result<()> {
    frostline::ui::run(project, device)
}

#[cfg(not(feature = "gui"))]
fn window(_project: Option<PathBuf>, _device: DeviceChoice) -> anyhow::Result<()> {
    anyhow::bail!("This build has no window; frostline --help lists the commands.")
}
