//! Encoded pictures on disk: what took seconds once is read in milliseconds the next time, by the digest of the weights, the
//! preprocessing and the picture's bytes.

use crate::graph::Preprocess;
use crate::weights::{Checkpoint, SaveDtype, save_safetensors};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The tensor in each file.
const TENSOR: &str = "features";
/// Bytes that the folder may hold: 256 pictures of a network with 64×64 cells of 256 values.
const BUDGET_BYTES: u64 = 1 << 30;

/// A folder of encoded pictures.
#[derive(Clone, Debug)]
pub struct Kept {
    folder: PathBuf,
    weights: String,
    budget_bytes: u64,
}

/// The features of a picture as they lie on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// Row-major.
    pub values: Vec<f32>,
}

impl Kept {
    /// In a folder, for a file of weights whose pictures are prepared by `rule`.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn new(folder: PathBuf, weights: &Path, rule: &Preprocess) -> std::io::Result<Self> {
        let mut hash = Sha256::new();
        let mut file = fs::File::open(weights)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(buffer.get(..read).unwrap_or_default());
        }
        hash.update(format!("{rule:?}"));
        Ok(Self { folder, weights: hex(&hash.finalize()), budget_bytes: BUDGET_BYTES })
    }

    /// The file of a picture with these bytes.
    #[must_use]
    pub fn file(&self, picture: &[u8]) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(&self.weights);
        hash.update(picture);
        self.folder.join(format!("{}.safetensors", hex(&hash.finalize()).get(..32).unwrap_or_default()))
    }

    /// What is kept in a file; nothing where it is absent or damaged, so that the picture is encoded anew.
    #[must_use]
    pub fn read(&self, file: &Path) -> Option<Features> {
        let checkpoint = Checkpoint::open(file).ok()?;
        let shape = <[usize; 3]>::try_from(checkpoint.entries.get(TENSOR)?.shape.clone()).ok()?;
        let values = checkpoint.read_f32(TENSOR).ok()?;
        // What is used stays longest.
        let used = fs::File::options().append(true).open(file).and_then(|file| file.set_modified(SystemTime::now()));
        used.ok();
        values.iter().all(|value| value.is_finite()).then_some(Features { shape, values })
    }

    /// Keeps features; the longest unused files go when the folder grows too large.
    ///
    /// # Errors
    /// A sentence, when the file cannot be written: the disk may be full.
    pub fn write(&self, file: &Path, features: Features) -> Result<(), String> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| format!("Cannot write {}: {error}.", self.folder.display()))?;
        let tensor = (TENSOR.to_owned(), features.shape.to_vec(), features.values);
        save_safetensors(file, &[tensor], SaveDtype::F32, &BTreeMap::new()).map_err(|error| format!("{error}."))?;
        self.tidy(file);
        Ok(())
    }

    /// Removes the longest unused files beyond the budget, but not `newest`.
    fn tidy(&self, newest: &Path) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let about = entry.metadata().ok()?;
                let path = entry.path();
                let is_ours = path.extension().is_some_and(|end| end == "safetensors") && about.is_file();
                is_ours.then(|| (about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len(), path))
            })
            .collect();
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in files.iter().filter(|(_, _, path)| path != newest) {
            if bytes <= self.budget_bytes {
                return;
            }
            fs::remove_file(path).ok();
            bytes = bytes.saturating_sub(*size);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_come_back_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let weights = dir.path().join("model.pt");
        fs::write(&weights, b"weights").unwrap();
        let rule = Preprocess::imagenet(64);
        let at = |rule: &Preprocess| Kept::new(dir.path().join("embeddings"), &weights, rule).unwrap();
        let kept = Kept { budget_bytes: 500, ..at(&rule) };
        let features = Features { shape: [2, 1, 3], values: vec![0.5, -1.0, 2.0, 0.0, 7.5, -0.25] };
        let file = kept.file(b"a picture");
        assert_eq!(kept.read(&file), None);
        kept.write(&file, features.clone()).unwrap();
        assert_eq!(kept.read(&file), Some(features.clone()));
        // Other weights, another rule, another picture: another file.
        assert_ne!(kept.file(b"another picture"), file);
        assert_ne!(at(&Preprocess::imagenet(96)).file(b"a picture"), file);
        fs::write(&weights, b"others").unwrap();
        assert_ne!(at(&rule).file(b"a picture"), file);
        let large = Features { shape: [1, 1, 100], values: vec![1.0; 100] };
        kept.write(&kept.file(b"large"), large).unwrap();
        assert_eq!(kept.read(&file), None, "beyond the budget the longest unused goes");
        fs::write(&file, b"damaged").unwrap();
        assert_eq!(kept.read(&file), None);
    }
}
