//! Whether a file is the one that was published, as far as that is known.

use super::Source;
use super::folder::weights_folder;
use super::part::{failed, hex};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;

/// How sure it is that a file is the published one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its SHA-256 is the published one.
    Whole,
    /// Its SHA-256 begins with the published digits, which stand in its name.
    Prefix,
    /// Nothing is published; its SHA-256 is the one that was recorded when it came.
    Recorded,
    /// Nothing is published; its SHA-256 was recorded just now, for later comparisons.
    Noted,
    /// Nothing is published and nothing is recorded.
    Unknown,
}

/// A file whose SHA-256 is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// What that proves.
    pub proof: Proof,
}

impl Verified {
    /// What was compared with what.
    #[must_use]
    pub fn words(&self) -> String {
        let start: String = self.sha256.chars().take(8).collect();
        match self.proof {
            Proof::Whole => format!("verified: SHA-256 {start}… is the published one"),
            Proof::Prefix => format!("verified: SHA-256 begins with {start}, as published"),
            Proof::Recorded => format!("unchanged since it came: SHA-256 {start}…, recorded then; none is published"),
            Proof::Noted => format!("SHA-256 {start}… is recorded now; none is published"),
            Proof::Unknown => format!("SHA-256 {start}… is not recorded, and none is published"),
        }
    }
}

/// Compares a file with what is published of it, and with what was recorded beside it; the file is read once while it
/// does not change. `None` when `go_on` said no.
///
/// # Errors
/// A sentence, when it is another file or cannot be read.
pub fn verify(path: &Path, source: &Source, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Option<Verified>, String> {
    let Some(sha256) = digest(path, go_on)? else { return Ok(None) };
    let verified = judge(path, source, &sha256)?;
    let ours = weights_folder().ok();
    let here = verified.proof == Proof::Unknown && path.parent() == ours.as_deref();
    Ok(Some(if here { noted(path, verified) } else { verified }))
}

/// Writes the SHA-256 of a file that came beside it. Where that cannot be written only a comparison in the future misses
/// it, and the proof says so.
pub(super) fn noted(path: &Path, verified: Verified) -> Verified {
    let written = record(path, &verified.sha256).is_ok();
    let proof = if written && verified.proof == Proof::Unknown { Proof::Noted } else { verified.proof };
    Verified { proof, ..verified }
}

/// The same for a file whose SHA-256 is known already.
pub(super) fn judge(path: &Path, source: &Source, sha256: &str) -> Result<Verified, String> {
    let verified = |proof| Ok(Verified { sha256: sha256.to_owned(), proof });
    let other = |known: &str| {
        Err(format!(
            "{} is not the published file: its SHA-256 begins with {}, not with {known}; delete it and fetch it again.",
            path.display(),
            sha256.get(..known.len()).unwrap_or(sha256),
        ))
    };
    if let Some(whole) = &source.sha256 {
        return if sha256.eq_ignore_ascii_case(whole) { verified(Proof::Whole) } else { other(whole) };
    }
    if let Some(prefix) = &source.prefix {
        return if sha256.starts_with(prefix.as_str()) { verified(Proof::Prefix) } else { other(prefix) };
    }
    match recorded(path) {
        Some(then) if then == sha256 => verified(Proof::Recorded),
        Some(then) => Err(format!(
            "{} has changed since it came: its SHA-256 begins with {}, not with {}; delete it and its .sha256 and fetch it again.",
            path.display(),
            sha256.get(..8).unwrap_or(sha256),
            then.get(..8).unwrap_or(&then),
        )),
        None => verified(Proof::Unknown),
    }
}

/// Writes a file's SHA-256 beside it, as `sha256sum` does, so that `sha256sum -c` can read it.
fn record(path: &Path, sha256: &str) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = beside(path);
    std::fs::write(&beside, format!("{sha256}  {name}\n")).map_err(|error| failed(&beside, &error))
}

/// The SHA-256 that was written beside a file.
#[must_use]
pub fn recorded(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(beside(path)).ok()?;
    let digits = text.split_whitespace().next()?.to_lowercase();
    (digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".sha256");
    path.with_file_name(name)
}

/// What identifies the contents of a file without reading them.
type Stamp = (PathBuf, u64, Option<SystemTime>);

fn digest(path: &Path, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Option<String>, String> {
    static KNOWN: OnceLock<Mutex<HashMap<Stamp, String>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let fail = |error: std::io::Error| format!("{} cannot be read: {error}.", path.display());
    let meta = std::fs::metadata(path).map_err(fail)?;
    let stamp = (path.to_path_buf(), meta.len(), meta.modified().ok());
    if let Some(sha256) = known.lock().ok().and_then(|known| known.get(&stamp).cloned()) {
        return Ok(Some(sha256));
    }
    let mut file = std::fs::File::open(path).map_err(fail)?;
    let (mut hash, mut buffer, mut done) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer).map_err(fail)? {
            0 => break,
            count => {
                hash.update(buffer.get(..count).unwrap_or_default());
                done += count as u64;
            }
        }
        if !go_on(done) {
            return Ok(None);
        }
    }
    let sha256 = hex(&hash.finalize());
    if let Ok(mut known) = known.lock() {
        known.insert(stamp, sha256.clone());
    }
    Ok(Some(sha256))
}
