//! The `frostline` binary: the window without a subcommand, the command line with one.

use std::process::ExitCode;

fn main() -> ExitCode {
    frostline::cli::run(std::env::args_os())
}
