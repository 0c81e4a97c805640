//! Taking a file into the weights folder that a person fetched by other means.

use super::Source;
use super::check::{self, Verified, verify};
use super::part::failed;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Compares a file with what is published and puts a copy into `folder` under its usual name; one that lies there
/// already is used as it is. `None` when `go_on` said no.
///
/// # Errors
/// A sentence; the folder is as before.
pub fn take_in(
    path: &Path,
    source: &Source,
    folder: &Path,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<(PathBuf, Verified)>, String> {
    let Some(verified) = verify(path, source, go_on)? else { return Ok(None) };
    let to = folder.join(&source.file);
    if to.is_file() {
        let there = verify(&to, source, go_on)?;
        return Ok(there.map(|verified| (to, verified)));
    }
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let part = folder.join(format!("{}.part{}", source.file, std::process::id()));
    let copied = copy(path, &part, go_on);
    if !matches!(copied, Ok(true)) {
        std::fs::remove_file(&part).ok();
        return copied.map(|_| None);
    }
    std::fs::rename(&part, &to).map_err(|error| failed(&to, &error))?;
    let verified = check::noted(&to, verified);
    Ok(Some((to, verified)))
}

fn copy(from: &Path, to: &Path, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool, String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}.", from.display());
    let mut input = File::open(from).map_err(unreadable)?;
    let mut output = File::create(to).map_err(|error| failed(to, &error))?;
    let (mut buffer, mut done) = (vec![0; 1 << 20], 0);
    loop {
        let count = input.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            break;
        }
        output.write_all(buffer.get(..count).unwrap_or_default()).map_err(|error| failed(to, &error))?;
        done += count as u64;
        if !go_on(done) {
            return Ok(false);
        }
    }
    output.sync_all().map_err(|error| failed(to, &error))?;
    Ok(true)
}
