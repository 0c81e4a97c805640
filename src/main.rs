//! The `frostline` binary: the window without a subcommand, the command line with one.

fn main() {}
