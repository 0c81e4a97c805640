//! Features in memory up to a number of bytes, and in a file up to another.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use half::f16;
use serde::Serialize;

use super::record::{Record, RecordKey, Seen};
use crate::data::records::RecordFile;

/// How much a store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes in memory.
    pub ram: u64,
    /// Bytes on disk.
    pub disk: u64,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Views of pictures.
    pub records: usize,
    /// Bytes in memory.
    pub ram_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
}

/// The first line of a store's file.
#[derive(Serialize)]
struct About<'a> {
    frostline: &'static str,
    version: u32,
    store: &'a str,
    values: usize,
    half: bool,
}

impl About<'_> {
    fn line(store: &str, values: usize, half: bool) -> String {
        let about = About { frostline: "features", version: 2, store, values, half };
        serde_json::to_string(&about).unwrap_or_default()
    }
}

/// Features of one cut of one network under one preprocessing.
#[derive(Debug)]
pub struct FeatureStore {
    values: usize,
    half: bool,
    budget: Budget,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    memory: HashMap<RecordKey, (Arc<Seen>, Numbers)>,
    ram_bytes: u64,
    file: Option<RecordFile>,
    notes: Vec<String>,
}

/// Numbers as they are kept.
#[derive(Clone, Debug)]
enum Numbers {
    Full(Arc<[f32]>),
    Half(Arc<[f16]>),
}

impl Numbers {
    fn of(values: &Arc<[f32]>, half: bool) -> Self {
        if half {
            Self::Half(values.iter().map(|&value| f16::from_f32(value)).collect())
        } else {
            Self::Full(Arc::clone(values))
        }
    }

    fn values(&self) -> Arc<[f32]> {
        match self {
            Self::Full(values) => Arc::clone(values),
            Self::Half(values) => values.iter().map(|value| value.to_f32()).collect(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Full(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Half(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    fn read(bytes: &[u8], half: bool) -> Self {
        if half {
            return Self::Half(bytes.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two)).collect());
        }
        Self::Full(bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect())
    }
}

impl FeatureStore {
    /// A store of records of `values` numbers each, in memory alone.
    #[must_use]
    pub fn in_memory(values: usize, half: bool, ram: u64) -> Self {
        Self { values, half, budget: Budget { ram, disk: 0 }, inner: Mutex::default() }
    }

    /// The same with the file at `path`; `name` says which frozen part and preprocessing its features are of. Where the file
    /// cannot be used, a note says why and the store works in memory alone.
    #[must_use]
    pub fn open(path: &Path, name: &str, values: usize, half: bool, budget: Budget) -> Self {
        let mut inner = Inner::default();
        match RecordFile::open(path, &About::line(name, values, half)) {
            Ok(file) => {
                if !file.is_writable() {
                    let what = "is in use by another run; new features are kept in memory alone";
                    inner.notes.push(format!("{} {what}", path.display()));
                }
                inner.file = Some(file);
            }
            Err(error) => {
                let what = format!("cannot be opened ({error}); features are kept in memory alone");
                inner.notes.push(format!("{} {what}", path.display()));
            }
        }
        Self { values, half, budget, inner: Mutex::new(inner) }
    }

    /// Bytes of a record's numbers.
    fn bytes(&self) -> u64 {
        self.values as u64 * if self.half { 2 } else { 4 }
    }

    /// Numbers in each record.
    #[must_use]
    pub fn values(&self) -> usize {
        self.values
    }

    /// Whether it keeps 16-bit numbers.
    #[must_use]
    pub fn is_half(&self) -> bool {
        self.half
    }

    /// How much it holds.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let inner = self.lock();
        let on_disk = inner.file.as_ref();
        let alone = |key: &&RecordKey| !on_disk.is_some_and(|file| file.contains(key));
        Usage {
            records: on_disk.map_or(0, RecordFile::len) + inner.memory.keys().filter(alone).count(),
            ram_bytes: inner.ram_bytes,
            disk_bytes: on_disk.map_or(0, RecordFile::bytes),
        }
    }

    /// Whether it has a record.
    #[must_use]
    pub fn contains(&self, key: &RecordKey) -> bool {
        let inner = self.lock();
        inner.memory.contains_key(key) || inner.file.as_ref().is_some_and(|file| file.contains(key))
    }

    /// A record; none where there is none or what is on disk is damaged.
    #[must_use]
    pub fn get(&self, key: &RecordKey) -> Option<Record> {
        let mut inner = self.lock();
        if let Some((seen, numbers)) = inner.memory.get(key) {
            return Some(Record { seen: Seen::clone(seen), values: numbers.values() });
        }
        let file = inner.file.as_mut()?;
        let had = file.contains(key);
        let found = file.read(key).ok().flatten().filter(|(_, bytes)| bytes.len() as u64 == self.bytes());
        let Some((seen, bytes)) = found.and_then(|(about, bytes)| Some((Seen::read(&about)?, bytes))) else {
            if had {
                inner.notes.push("a stored feature was damaged and is computed anew".to_owned());
            }
            return None;
        };
        let numbers = Numbers::read(&bytes, self.half);
        self.remember(&mut inner, *key, &seen, &numbers);
        Some(Record { seen, values: numbers.values() })
    }

    /// Keeps a record as far as there is room; false where there is none.
    pub fn put(&self, key: RecordKey, record: &Record) -> bool {
        if record.values.len() != self.values {
            return false;
        }
        let numbers = Numbers::of(&record.values, self.half);
        let mut inner = self.lock();
        let mut kept = self.remember(&mut inner, key, &record.seen, &numbers);
        let record_bytes = RecordFile::record_bytes(record.seen.size(), self.bytes());
        let room = |file: &RecordFile| file.bytes() + record_bytes <= self.budget.disk;
        if let Some(file) = inner.file.as_mut().filter(|file| file.is_writable() && !file.contains(&key) && room(file))
        {
            let mut about = Vec::new();
            record.seen.write(&mut about);
            match file.append(&key, &about, &numbers.bytes()) {
                Ok(()) => kept = true,
                Err(error) => {
                    inner.notes.push(format!("features are no longer written to disk: {error}"));
                    inner.file = None;
                }
            }
        }
        kept
    }

    /// What came out of the store is what [`FeatureStore::put`] would give back: the same for 32-bit numbers, rounded for
    /// 16-bit ones.
    #[must_use]
    pub fn as_kept(&self, values: &Arc<[f32]>) -> Arc<[f32]> {
        if self.half { Numbers::of(values, true).values() } else { Arc::clone(values) }
    }

    /// Gives the memory back; what is on disk stays.
    pub fn forget_memory(&self) {
        let mut inner = self.lock();
        inner.memory.clear();
        inner.ram_bytes = 0;
    }

    /// What should be told, once.
    #[must_use]
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().notes)
    }

    fn remember(&self, inner: &mut Inner, key: RecordKey, seen: &Seen, numbers: &Numbers) -> bool {
        if inner.memory.contains_key(&key) {
            return true;
        }
        let bytes = self.bytes() + seen.size() as u64;
        if inner.ram_bytes + bytes > self.budget.ram {
            return false;
        }
        inner.ram_bytes += bytes;
        inner.memory.insert(key, (Arc::new(seen.clone()), numbers.clone()));
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
