//! The folder of stored features, shared by all runs, and how much of the disk it may take.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::pictures::PictureFile;
use super::store::{Budget, FeatureStore};

/// Ending of the files.
const ENDING: &str = "features";
/// The folder in it for the encoded pictures of networks that take prompts, and the ending of its files.
const EMBEDDINGS: [&str; 2] = ["embeddings", "safetensors"];
/// The same for reduced pictures.
const PICTURES: [&str; 2] = ["pictures", "pixels"];
/// Names another folder.
const OWN: &str = "FROSTLINE_FEATURES";
/// Bytes that features may take in memory where nothing else is said.
const RAM_BYTES: u64 = 2 << 30;
/// Bytes that the folder may take where nothing else is said.
const DISK_BYTES: u64 = 16 << 30;
/// Bytes that reduced pictures may take.
const PICTURE_BYTES: u64 = 4 << 30;

/// How much the folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Files: one for each frozen part, one for each picture that was encoded for prompts, and one for the reduced pictures
    /// of each data set.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Stored features by the name of what they are of; one for a session, so that the next run finds what this one stored.
#[derive(Debug)]
pub struct FeatureFolder {
    path: Option<PathBuf>,
    open: Mutex<BTreeMap<String, Arc<FeatureStore>>>,
}

impl FeatureFolder {
    /// In this folder, or in memory alone.
    #[must_use]
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, open: Mutex::default() }
    }

    /// The user's own: `FROSTLINE_FEATURES`, or a folder of this program among what may be deleted at any time.
    #[must_use]
    pub fn usual() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || var("HOME").map(|home| home.join(".cache"));
        let caches = || var("XDG_CACHE_HOME").or_else(|| var("LOCALAPPDATA")).or_else(home);
        let own = var(OWN).map(|path| std::path::absolute(&path).unwrap_or(path));
        Self::new(own.or_else(|| caches().map(|caches| caches.join("frostline").join("features"))))
    }

    /// Where it is; none for memory alone.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The folder in it for pictures that were encoded for prompts.
    #[must_use]
    pub fn embeddings(&self) -> Option<PathBuf> {
        Some(self.path.as_deref()?.join(EMBEDDINGS[0]))
    }

    /// The reduced pictures of the data set at `root`; none without a folder. Those of data
    /// sets that were used longest ago go where they take more than half of the room.
    #[must_use]
    pub fn pictures(&self, root: &Path) -> Option<PictureFile> {
        let folder = self.path.as_deref()?.join(PICTURES[0]);
        let digest: [u8; 32] = Sha256::digest(root.as_os_str().as_encoded_bytes()).into();
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("{name}.{}", PICTURES[1]));
        let others = make_room(&folder, PICTURES[1], &path, PICTURE_BYTES / 2);
        Some(PictureFile::open(&path, PICTURE_BYTES.saturating_sub(others)))
    }

    /// All files, those of pictures included.
    fn all(&self) -> Vec<(SystemTime, u64, PathBuf)> {
        let mut all = self.path.as_deref().map(|path| files(path, ENDING)).unwrap_or_default();
        for [folder, ending] in [EMBEDDINGS, PICTURES] {
            all.extend(self.path.as_deref().map(|path| files(&path.join(folder), ending)).unwrap_or_default());
        }
        all
    }

    /// The budget where nothing else is said.
    #[must_use]
    pub fn usual_budget() -> Budget {
        Budget { ram: RAM_BYTES, disk: DISK_BYTES }
    }

    /// The store of this name with records of `values` numbers. Stores that no run uses give their memory back, and the
    /// files that were used longest ago go where `wanted_bytes` more would be too many.
    #[must_use]
    pub fn store(
        &self,
        name: &str,
        values: usize,
        half: bool,
        budget: Budget,
        wanted_bytes: u64,
    ) -> (Arc<FeatureStore>, Vec<String>) {
        let mut notes = Vec::new();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(name).filter(|store| store.values() == values && store.is_half() == half) {
            return (Arc::clone(store), notes);
        }
        // In memory alone a store is all that there is of its features.
        open.retain(|_, store| self.path.is_none() || Arc::strong_count(store) > 1);
        let held: u64 = open.values().map(|store| store.usage().ram_bytes).sum();
        let budget = Budget { ram: budget.ram.saturating_sub(held), ..budget };
        let store = match self.file(name, budget.disk, wanted_bytes) {
            Ok(Some((path, disk))) => FeatureStore::open(&path, name, values, half, Budget { disk, ..budget }),
            Ok(None) => FeatureStore::in_memory(values, half, budget.ram),
            Err(note) => {
                notes.push(note);
                FeatureStore::in_memory(values, half, budget.ram)
            }
        };
        notes.extend(store.take_notes());
        let store = Arc::new(store);
        open.insert(name.to_owned(), Arc::clone(&store));
        (store, notes)
    }

    /// The file of a store and the bytes that it may grow to; none without a folder or without room.
    fn file(&self, name: &str, budget: u64, wanted: u64) -> Result<Option<(PathBuf, u64)>, String> {
        let Some(folder) = self.path.as_deref().filter(|_| budget > 0) else { return Ok(None) };
        fs::create_dir_all(folder).map_err(|error| {
            format!("{} cannot be made ({error}); features are kept in memory alone", folder.display())
        })?;
        let path = folder.join(format!("{name}.{ENDING}"));
        let others = make_room(folder, ENDING, &path, budget.saturating_sub(wanted));
        Ok(Some((path, budget.saturating_sub(others))))
    }

    /// How much is on disk.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let all = self.all();
        Kept { files: all.len(), bytes: all.iter().map(|(_, bytes, _)| bytes).sum() }
    }

    /// Removes all files but those that a run writes to; gives what was removed.
    pub fn clear(&self) -> Kept {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, store| Arc::strong_count(store) > 1);
        let mut gone = Kept::default();
        for (_, bytes, path) in self.all() {
            if remove(&path) {
                gone = Kept { files: gone.files + 1, bytes: gone.bytes + bytes };
            }
        }
        gone
    }
}

/// Removes the files that were used longest ago, but not `own`, until the others have `most` bytes; gives how many they have.
fn make_room(folder: &Path, ending: &str, own: &Path, most: u64) -> u64 {
    let mut others = files(folder, ending);
    others.retain(|(.., other)| other != own);
    others.sort();
    let mut bytes: u64 = others.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, size, other) in &others {
        if bytes > most && remove(other) {
            bytes -= size;
        }
    }
    bytes
}

/// Removes a file of features unless a run has it open.
fn remove(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok()) && fs::remove_file(path).is_ok()
}

/// The files of features in a folder: when they were written last, their bytes.
fn files(folder: &Path, ending: &str) -> Vec<(SystemTime, u64, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter_map(|entry| {
        let (path, about) = (entry.path(), entry.metadata().ok()?);
        let is_ours = about.is_file() && path.extension().is_some_and(|end| end == ending);
        is_ours.then(|| (about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len(), path))
    });
    ours.collect()
}
