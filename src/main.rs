//! The `frostline` binary: the window without a subcommand, the command line with one.

use frostline::train::DeviceChoice;
use std::path::PathBuf;
use std::process::ExitCode;

/// Keeps what a training step gives back for the next one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long, in milliseconds, the allocator keeps free memory before it goes back to the system. A step of a large network
/// takes seconds; with the allocator's one second it would get its memory anew each time, page by page (a fifth of the step).
#[cfg(unix)]
const KEEP: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "10000");

/// Starts the program once more with the allocator's setting, which is read from the environment before `main`.
#[cfg(unix)]
fn keep_memory() {
    use std::os::unix::process::CommandExt as _;
    if std::env::var_os(KEEP.0).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| program.clone().into());
        // It returns only where it failed; the program then goes on as it is.
        let _ = std::process::Command::new(program).arg0(name).args(arguments).env(KEEP.0, KEEP.1).exec();
    }
}

fn main() -> ExitCode {
    #[cfg(unix)]
    keep_memory();
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
