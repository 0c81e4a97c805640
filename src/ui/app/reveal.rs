//! Showing a folder in the system's file manager.

use std::path::Path;
use std::process::{Command, Stdio};

/// Opens a folder, which is made where there is none.
///
/// # Errors
/// A sentence, when it cannot be made or no file manager can be started.
pub(super) fn reveal(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("Cannot make {}: {error}.", folder.display()))?;
    let opener = match std::env::consts::OS {
        "windows" => "explorer",
        "macos" => "open",
        _ => "xdg-open",
    };
    let mut command = Command::new(opener);
    command.arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let fail = |error: std::io::Error| format!("No file manager can be started ({opener}: {error}).");
    let mut child = command.spawn().map_err(fail)?;
    // Somebody has to take its exit code.
    let thread = std::thread::Builder::new().name("frostline-reveal".to_owned());
    thread.spawn(move || child.wait().ok()).map(|_| ()).map_err(fail)
}
