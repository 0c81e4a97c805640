//! One program at a time fetches a file.

use super::part::failed;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `FILE.lock`, held until it is dropped; then it goes away.
pub(super) struct Lock {
    path: PathBuf,
    /// None where the file system knows no locks.
    file: Option<File>,
}

impl Lock {
    /// Waits until nobody else holds it, asking `go_on` each `tick`; `None` when that said no.
    ///
    /// # Errors
    /// A sentence, when the folder cannot be written.
    pub(super) fn take(of: &Path, tick: Duration, go_on: &mut dyn FnMut() -> bool) -> Result<Option<Self>, String> {
        let mut name = of.file_name().unwrap_or_default().to_os_string();
        name.push(".lock");
        let path = of.with_file_name(name);
        loop {
            let file = File::create(&path).map_err(|error| failed(&path, &error))?;
            match file.try_lock() {
                // Whoever held it took its name away: this one is nobody else's sign any more.
                Ok(()) if !is_still(&file, &path) => {}
                Ok(()) => return Ok(Some(Self { path, file: Some(file) })),
                Err(TryLockError::Error(_)) => return Ok(Some(Self { path, file: None })),
                Err(TryLockError::WouldBlock) => {
                    if !go_on() {
                        return Ok(None);
                    }
                    std::thread::sleep(tick);
                }
            }
        }
    }

    /// Whether it keeps others away.
    pub(super) fn holds(&self) -> bool {
        self.file.is_some()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where a name can be taken away from under others, they notice; elsewhere the empty file stays.
        if cfg!(unix) && self.file.is_some() {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    matches!((&file.metadata(), &std::fs::metadata(path)), (Ok(a), Ok(b)) if same(a, b))
}

#[cfg(not(unix))]
fn is_still(_: &File, _: &Path) -> bool {
    true
}
