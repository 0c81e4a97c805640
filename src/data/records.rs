//! A file of records of which each can be checked by itself: for what was computed and can be computed again.
//!
//! ```text
//! a line that says what the records are\n
//! key 16 | length of about u32 | length of body u32 | crc32 of the rest u32 | about | body
//! ```
//!
//! Records are only ever added. A crash leaves at most a part of the last one, which is cut off when the file is opened; a
//! record that is damaged later is found by its checksum when it is read, and forgotten.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// What a record is found by: half of a SHA-256.
pub(crate) type Key = [u8; 16];

/// Bytes before a record's about.
const HEAD: u64 = 28;
/// No honest record has a longer part: an about has a mask of 8192 by 8192 pixels at most, a body four bytes for each.
const MAX_ABOUT: u32 = 1 << 26;
const MAX_BODY: u32 = 1 << 30;

/// An open file of records.
#[derive(Debug)]
pub(crate) struct RecordFile {
    file: File,
    /// Where each record begins, and the lengths of its about and its body.
    places: HashMap<Key, (u64, [u32; 2])>,
    /// Where the next record goes.
    end: u64,
    writable: bool,
}

impl RecordFile {
    /// Opens or makes the file; what begins with another line is emptied. Another program that has it open for writing
    /// keeps this one from writing.
    pub(crate) fn open(path: &Path, line: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let writable = file.try_lock().is_ok();
        let mut this = Self { file, places: HashMap::new(), end: 0, writable };
        if !this.scan(line)? && writable {
            this.places.clear();
            this.file.set_len(0)?;
            this.file.seek(SeekFrom::Start(0))?;
            this.file.write_all(format!("{line}\n").as_bytes())?;
            this.end = line.len() as u64 + 1;
        }
        Ok(this)
    }

    /// Finds the records; false where the file holds something else, or nothing.
    fn scan(&mut self, line: &str) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        let mut reader = BufReader::new(&self.file);
        let mut first = Vec::new();
        reader.by_ref().take(4096).read_until(b'\n', &mut first)?;
        if first.strip_suffix(b"\n") != Some(line.as_bytes()) {
            return Ok(false);
        }
        let mut at = first.len() as u64;
        loop {
            let mut head = [0; HEAD as usize];
            if reader.read_exact(&mut head).is_err() {
                break;
            }
            let (key, lengths, _) = parse(&head);
            let [about, body] = lengths;
            let next = at + HEAD + u64::from(about) + u64::from(body);
            if about > MAX_ABOUT || body > MAX_BODY || next > length {
                break;
            }
            self.places.insert(key, (at, lengths));
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

    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.places.contains_key(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Bytes that a record takes.
    pub(crate) fn record_bytes(about: usize, body: u64) -> u64 {
        HEAD + about as u64 + body
    }

    /// A record's about and body; none where there is none, or it is damaged, and then it is forgotten.
    pub(crate) fn read(&mut self, key: &Key) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(&(at, lengths)) = self.places.get(key) else { return Ok(None) };
        let [about, body] = lengths.map(|length| length as usize);
        let mut bytes = vec![0; HEAD as usize + about + body];
        self.file.seek(SeekFrom::Start(at))?;
        let whole = self.file.read_exact(&mut bytes);
        let (head, rest) = bytes.split_at(HEAD as usize);
        let sound = whole.is_ok()
            && head.first_chunk().is_some_and(|head| parse(head) == (*key, lengths, crc32fast::hash(rest)));
        if !sound {
            self.places.remove(key);
            return Ok(None);
        }
        let body = bytes.split_off(HEAD as usize + about);
        Ok(Some((bytes.split_off(HEAD as usize), body)))
    }

    /// Adds a record; after an error the file is as before.
    pub(crate) fn append(&mut self, key: &Key, about: &[u8], body: &[u8]) -> io::Result<()> {
        let (Ok(about_length), Ok(body_length)) = (u32::try_from(about.len()), u32::try_from(body.len())) else {
            return Err(io::Error::other("a record is too long"));
        };
        let mut bytes = vec![0; HEAD as usize];
        bytes.extend(about);
        bytes.extend(body);
        let (head, rest) = bytes.split_at_mut(HEAD as usize);
        head[..16].copy_from_slice(key);
        head[16..20].copy_from_slice(&about_length.to_le_bytes());
        head[20..24].copy_from_slice(&body_length.to_le_bytes());
        head[24..].copy_from_slice(&crc32fast::hash(rest).to_le_bytes());
        self.file.seek(SeekFrom::Start(self.end))?;
        if let Err(error) = self.file.write_all(&bytes) {
            self.file.set_len(self.end).ok();
            return Err(error);
        }
        self.places.insert(*key, (self.end, [about_length, body_length]));
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// Key, lengths of about and body, checksum.
fn parse(head: &[u8; HEAD as usize]) -> (Key, [u32; 2], u32) {
    let mut key = Key::default();
    key.copy_from_slice(&head[..16]);
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    (key, [number(16), number(20)], number(24))
}
