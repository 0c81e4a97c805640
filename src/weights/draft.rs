//! A file that appears whole or not at all.

use super::error::WeightsError;
use std::fs::{self, File};
use std::io::{BufWriter, IntoInnerError};
use std::path::{Path, PathBuf};

/// A file under a temporary name in its target's folder. Dropped, it is gone and the target is as it was before.
#[derive(Debug)]
pub struct Draft {
    temporary: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// A draft of `target`; nothing is written yet.
    ///
    /// # Errors
    /// When `target` names no file.
    pub fn new(target: &Path) -> Result<Self, WeightsError> {
        let name = target.file_name().ok_or_else(|| WeightsError::save(target, "it names no file"))?;
        // The process id keeps two programs that write the same file apart.
        let temporary = format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id());
        Ok(Self { temporary: folder(target).join(temporary), target: target.to_path_buf() })
    }

    /// Where it lies now.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Why the target was not written.
    pub(super) fn failed(&self, what: impl Into<String>) -> WeightsError {
        WeightsError::save(&self.target, what)
    }

    /// Writes it and waits until it is on the disk.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn write(&self, fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<(), WeightsError> {
        let write = || {
            let mut out = BufWriter::with_capacity(1 << 20, File::create(&self.temporary)?);
            fill(&mut out)?;
            out.into_inner().map_err(IntoInnerError::into_error)?.sync_all()
        };
        write().map_err(|error| self.failed(error.to_string()))
    }

    /// Puts it in the target's place.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn publish(self) -> Result<(), WeightsError> {
        let target = self.target.clone();
        self.publish_as(&target)
    }

    /// Puts it in the place of another file.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn publish_as(self, other: &Path) -> Result<(), WeightsError> {
        fs::rename(&self.temporary, other).map_err(|error| WeightsError::save(other, error.to_string()))?;
        // Makes the rename itself survive a power cut. Folders cannot be opened on Windows; the file is there anyway.
        let _ = File::open(folder(other)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone after a rename, or never written: neither is worth a word.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
