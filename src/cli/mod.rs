//! The command line: the same commands as the window, from arguments.
