//! SHA-256 of the pictures' files, computed again only where a file has changed.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::data::{DataError, ImageSource, image};

/// What tells that a file was written: length and time.
type Stamp = Option<(u64, Option<SystemTime>)>;

/// Digests of a data set's pictures by index.
#[derive(Debug, Default)]
pub struct PictureDigests {
    known: Mutex<HashMap<usize, (Stamp, [u8; 32])>>,
}

/// A picture's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureDigest {
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Whether its bytes are others than when it was asked for before.
    pub changed: bool,
}

impl PictureDigests {
    /// The digest of picture `index`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(&self, index: usize, source: &ImageSource) -> Result<PictureDigest, DataError> {
        let stamp = match source {
            ImageSource::File(path) => {
                let metadata = std::fs::metadata(path);
                let metadata = metadata.map_err(|source| DataError::Io { path: path.clone(), source })?;
                stamp(&metadata)
            }
            ImageSource::Memory { .. } => None,
        };
        let before = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&index).copied();
        if let Some((then, sha256)) = before
            && then == stamp
        {
            return Ok(PictureDigest { sha256, changed: false });
        }
        let sha256: [u8; 32] = match source {
            ImageSource::File(path) => Sha256::digest(image::read(path)?).into(),
            ImageSource::Memory { bytes, .. } => Sha256::digest(bytes).into(),
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(index, (stamp, sha256));
        Ok(PictureDigest { sha256, changed: before.is_some_and(|(_, then)| then != sha256) })
    }
}

/// When a file was written and how long it is, in a word that differs where the file does.
pub(super) fn stamp_of(path: &Path) -> String {
    std::fs::metadata(path).map_or_else(|_| String::new(), |metadata| format!("{:?}", stamp(&metadata)))
}

fn stamp(metadata: &Metadata) -> Stamp {
    Some((metadata.len(), metadata.modified().ok()))
}
