//! The file of a store: a line that says what it is, then records of which each can be checked by itself.
//!
//! ```text
//! {"frostline":"features","version":1,"store":KEY,"values":N,"half":false}\n
//! key 16 | length of seen u32 | crc32 of the rest u32 | seen | values
//! ```
//!
//! Records are only ever added. A crash leaves at most a part of the last one, which is cut off when the file is opened; a
//! record that is damaged later is found by its checksum when it is read and computed anew.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::record::{RecordKey, Seen};

/// Bytes before a record's seen.
const HEAD: u64 = 24;
/// No honest record has a longer seen: a mask of 8192 by 8192 pixels.
const MAX_SEEN: u32 = 1 << 26;

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    frostline: String,
    version: u32,
    store: String,
    values: usize,
    half: bool,
}

impl About {
    pub(super) fn new(store: &str, values: usize, half: bool) -> Self {
        Self { frostline: "features".to_owned(), version: 1, store: store.to_owned(), values, half }
    }

    fn bytes(&self) -> u64 {
        self.values as u64 * if self.half { 2 } else { 4 }
    }
}

/// An open file of features.
#[derive(Debug)]
pub(super) struct FeatureFile {
    file: File,
    about: About,
    /// Where each record begins, and the length of its seen.
    places: HashMap<RecordKey, (u64, u32)>,
    /// Where the next record goes.
    end: u64,
    writable: bool,
}

impl FeatureFile {
    /// Opens or makes the file; another program that has it open for writing keeps this one from writing.
    pub(super) fn open(path: &Path, about: About) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let writable = file.try_lock().is_ok();
        let mut this = Self { file, about, places: HashMap::new(), end: 0, writable };
        if !this.scan()? && writable {
            let line = serde_json::to_string(&this.about).map_err(io::Error::other)?;
            this.places.clear();
            this.file.set_len(0)?;
            this.file.seek(SeekFrom::Start(0))?;
            this.file.write_all(format!("{line}\n").as_bytes())?;
            this.end = line.len() as u64 + 1;
        }
        Ok(this)
    }

    /// Finds the records; false where the file holds something else, or nothing.
    fn scan(&mut self) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        reader.by_ref().take(4096).read_until(b'\n', &mut line)?;
        if serde_json::from_slice::<About>(&line).ok().as_ref() != Some(&self.about) {
            return Ok(false);
        }
        let mut at = line.len() as u64;
        loop {
            let mut head = [0; HEAD as usize];
            if reader.read_exact(&mut head).is_err() {
                break;
            }
            let (key, seen, _) = parse(&head);
            let next = at + HEAD + u64::from(seen) + self.about.bytes();
            if seen > MAX_SEEN || next > length {
                break;
            }
            self.places.insert(key, (at, seen));
            reader.seek_relative(i64::try_from(next - at - HEAD).unwrap_or(i64::MAX))?;
            at = next;
        }
        drop(reader);
        if at < length && self.writable {
            self.file.set_len(at)?;
        }
        self.end = at;
        Ok(true)
    }

    pub(super) fn contains(&self, key: &RecordKey) -> bool {
        self.places.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.end
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Bytes that a record takes.
    pub(super) fn record_bytes(&self, seen: &Seen) -> u64 {
        HEAD + seen.size() as u64 + self.about.bytes()
    }

    /// A record's seen and the bytes of its values; none where there is none, or it is damaged, and then it is forgotten.
    pub(super) fn read(&mut self, key: &RecordKey) -> io::Result<Option<(Seen, Vec<u8>)>> {
        let Some(&(at, seen_length)) = self.places.get(key) else { return Ok(None) };
        let mut bytes = vec![0; HEAD as usize + seen_length as usize];
        let values = usize::try_from(self.about.bytes()).map_err(io::Error::other)?;
        bytes.resize(bytes.len() + values, 0);
        self.file.seek(SeekFrom::Start(at))?;
        let whole = self.file.read_exact(&mut bytes);
        let (head, rest) = bytes.split_at(HEAD as usize);
        let sound =
            whole.is_ok() && head.first_chunk().is_some_and(|head| parse(head) == (*key, seen_length, crc(rest)));
        let seen = rest.get(..seen_length as usize).and_then(Seen::read).filter(|_| sound);
        let Some(seen) = seen else {
            self.places.remove(key);
            return Ok(None);
        };
        let values = rest.get(seen_length as usize..).unwrap_or_default().to_vec();
        Ok(Some((seen, values)))
    }

    /// Adds a record; after an error the file is as before.
    pub(super) fn append(&mut self, key: &RecordKey, seen: &Seen, values: &[u8]) -> io::Result<()> {
        let mut bytes = vec![0; HEAD as usize];
        seen.write(&mut bytes);
        let seen_length = bytes.len() as u32 - HEAD as u32;
        bytes.extend(values);
        let (head, rest) = bytes.split_at_mut(HEAD as usize);
        head[..16].copy_from_slice(key);
        head[16..20].copy_from_slice(&seen_length.to_le_bytes());
        head[20..].copy_from_slice(&crc(rest).to_le_bytes());
        self.file.seek(SeekFrom::Start(self.end))?;
        if let Err(error) = self.file.write_all(&bytes) {
            self.file.set_len(self.end).ok();
            return Err(error);
        }
        self.places.insert(*key, (self.end, seen_length));
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// Key, length of the seen, checksum.
fn parse(head: &[u8; HEAD as usize]) -> (RecordKey, u32, u32) {
    let mut key = RecordKey::default();
    key.copy_from_slice(&head[..16]);
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    (key, number(16), number(20))
}

fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}
