//! The unfinished file: what is there of it, how it goes on, and when it is whole.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What is remembered of the file that a part belongs to, so that nothing else is put behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub url: String,
    pub total: Option<u64>,
    pub etag: Option<String>,
    pub modified: Option<String>,
}

impl Origin {
    /// What `If-Range` may hold: a strong tag, or a date.
    pub(super) fn validator(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| tag.starts_with('"')).or(self.modified.as_deref())
    }
}

/// A file that is being downloaded.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    hash: Sha256,
    /// Bytes that are there.
    pub len: u64,
    pub origin: Origin,
}

impl Part {
    /// Opens what an earlier download left, or begins anew. `go_on` is asked while the bytes are read.
    ///
    /// # Errors
    /// A sentence; nothing where a person stopped it.
    pub(super) fn open(path: PathBuf, url: &str, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Option<Self>, String> {
        let options = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options.map_err(|error| failed(&path, &error))?;
        let origin: Option<Origin> =
            std::fs::read(origin_path(&path)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let fresh = Origin { url: url.to_owned(), ..Origin::default() };
        let mut part = Self { path, file, hash: Sha256::new(), len: 0, origin: fresh };
        match origin.filter(|origin| origin.url == url && (origin.total.is_some() || origin.validator().is_some())) {
            None => part.restart()?,
            Some(origin) => {
                part.origin = origin;
                if !part.read_again(go_on)? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(part))
    }

    fn read_again(&mut self, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool, String> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            match self.file.read(&mut buffer).map_err(|error| failed(&self.path, &error))? {
                0 => return Ok(true),
                count => {
                    self.hash.update(buffer.get(..count).unwrap_or_default());
                    self.len += count as u64;
                }
            }
            if !go_on(self.len) {
                return Ok(false);
            }
        }
    }

    /// Forgets what is there.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        use std::io::Seek as _;
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|error| failed(&self.path, &error))?;
        self.hash = Sha256::new();
        self.len = 0;
        self.origin = Origin { url: self.origin.url.clone(), ..Origin::default() };
        Ok(())
    }

    /// Remembers what the bytes that follow belong to.
    pub(super) fn belongs_to(&mut self, origin: Origin) -> Result<(), String> {
        let path = origin_path(&self.path);
        let text = serde_json::to_vec(&origin).map_err(|error| format!("Cannot write {}: {error}.", path.display()))?;
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
        self.origin = origin;
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.file.write_all(bytes).map_err(|error| failed(&self.path, &error))?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// The SHA-256 of what is there, as hexadecimal digits.
    pub(super) fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    /// Gives the whole file its name.
    pub(super) fn finish(self, to: &Path) -> Result<(), String> {
        self.file.sync_all().map_err(|error| failed(&self.path, &error))?;
        std::fs::rename(&self.path, to).map_err(|error| failed(to, &error))?;
        std::fs::remove_file(origin_path(&self.path)).ok();
        // The name lasts only when the folder is written too; some systems cannot open a folder, and then it follows.
        if let Some(folder) = to.parent().and_then(|folder| File::open(folder).ok()) {
            folder.sync_all().ok();
        }
        Ok(())
    }

    /// Takes a part away that holds nothing.
    pub(super) fn discard_empty(self) {
        if self.len == 0 {
            self.discard();
        }
    }

    /// Takes an unusable part away.
    pub(super) fn discard(self) {
        std::fs::remove_file(&self.path).ok();
        std::fs::remove_file(origin_path(&self.path)).ok();
    }
}

fn origin_path(part: &Path) -> PathBuf {
    let mut name = part.file_name().unwrap_or_default().to_os_string();
    name.push(".json");
    part.with_file_name(name)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the system says of a file, as one sentence.
pub(super) fn failed(path: &Path, error: &std::io::Error) -> String {
    let why = match error.kind() {
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        ErrorKind::QuotaExceeded => "your share of the disk is used up".to_owned(),
        ErrorKind::PermissionDenied => "you may not write there".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the disk is read-only".to_owned(),
        _ => error.to_string(),
    };
    format!("Cannot write {}: {why}.", path.display())
}
