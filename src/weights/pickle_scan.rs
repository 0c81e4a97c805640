//! Walks a pickle's instructions without executing them, to bound what parsing it can cost.
//!
//! One byte (`N`) makes the parser keep some hundred bytes, and one fetch from the memo copies what it fetches, so
//! that a small pickle could ask for any amount of memory. Counting first is cheap: instructions and the lengths of
//! their arguments are all that is looked at. Beside them runs a shadow of the parser's stack that knows only how
//! large each value can be.

use std::collections::HashMap;
use std::io::{self, BufRead};

/// Most instructions accepted. A checkpoint has about 40 per tensor; this is 25 000 tensors' worth.
pub(super) const MAX_INSTRUCTIONS: u64 = 1_000_000;
/// Most bytes that the memo may copy.
const MAX_COPIED: u64 = 256 << 20;
/// Bytes that any value takes beside its text, about.
const VALUE: u64 = 64;

/// How a scan ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// At `STOP`, after this many instructions; the reader stands behind it. Holds the last class named.
    Complete { instructions: u64, last_class: Option<String> },
    /// The data ended first.
    CutOff,
    /// More than the allowed number of instructions.
    TooMany,
    /// The memo copies more than [`MAX_COPIED`] bytes.
    TooLarge,
    /// A byte that is no instruction, or one that takes a value that is not there: the parser stops here, too.
    Unknown(u8),
}

/// Scans one pickle, stopping after `limit` instructions.
///
/// # Errors
/// Only the operating system's; an early end is [`Scan::CutOff`].
pub(super) fn scan(reader: &mut impl BufRead, limit: u64) -> io::Result<Scan> {
    match walk(reader, limit) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Scan::CutOff),
        other => other,
    }
}

/// The sizes of what the parser would hold.
#[derive(Default)]
struct Shadow {
    stack: Vec<u64>,
    marks: Vec<usize>,
    memo: HashMap<u32, u64>,
    copied: u64,
}

impl Shadow {
    /// Takes `count` values and leaves one as large as all of them.
    fn join(&mut self, count: usize) -> Option<()> {
        let at = self.stack.len().checked_sub(count)?;
        let sum: u64 = self.stack.drain(at..).sum();
        self.stack.push(sum + VALUE);
        Some(())
    }

    /// The same for all values above the last mark, and `below` values under it.
    fn join_marked(&mut self, below: usize) -> Option<()> {
        let mark = self.marks.pop()?;
        self.join(self.stack.len().checked_sub(mark)? + below)
    }

    fn pop(&mut self) -> Option<()> {
        // Of a mark with nothing above it, the mark goes.
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop().map(drop)
        } else {
            self.stack.pop().map(drop)
        }
    }

    fn put(&mut self, slot: u32) -> Option<()> {
        let size = *self.stack.last()?;
        self.copied += size;
        self.memo.insert(slot, size);
        Some(())
    }

    fn get(&mut self, slot: u32) -> Option<()> {
        let size = *self.memo.get(&slot)?;
        self.copied += size;
        self.stack.push(size);
        Some(())
    }

    /// Performs an instruction that takes no argument from the file, and those whose argument is `text` bytes long.
    fn perform(&mut self, op: u8, text: u64) -> Option<()> {
        match op {
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.pop()?,
            b'1' => {
                let mark = self.marks.pop()?;
                self.stack.truncate(mark);
            }
            b'2' => {
                let top = *self.stack.last()?;
                self.copied += top;
                self.stack.push(top);
            }
            // Calls, states and pairs keep all that they were given, at most. A state is copied to the memo again.
            b'R' | b'a' | 0x81 | 0x86 | 0x93 => self.join(2)?,
            b'b' => {
                self.join(2)?;
                self.copied += *self.stack.last()?;
            }
            b's' | 0x87 | 0x92 => self.join(3)?,
            b'Q' | 0x85 => self.join(1)?,
            b'd' | b'l' | b't' | 0x91 => self.join_marked(0)?,
            b'e' | b'u' | 0x90 => self.join_marked(1)?,
            0x94 => self.put(u32::try_from(self.memo.len()).ok()?)?,
            // Everything else pushes a value, but for the protocol's version and frames.
            0x80 | 0x95 => {}
            _ => self.stack.push(text + VALUE),
        }
        Some(())
    }
}

fn walk(reader: &mut impl BufRead, limit: u64) -> io::Result<Scan> {
    let mut last_class = None;
    let mut shadow = Shadow::default();
    for instructions in 1..=limit {
        let [op] = take::<1>(reader)?;
        let done = match op {
            b'.' => return Ok(Scan::Complete { instructions, last_class }),
            // No argument.
            b'('
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'R'
            | b'b'
            | b'd'
            | b'l'
            | b't'
            | b's'
            | b'a'
            | b')'
            | b']'
            | b'}'
            | b'e'
            | b'u'
            | b'Q'
            | 0x81
            | 0x85..=0x89
            | 0x8f..=0x94
            | 0x97
            | 0x98 => shadow.perform(op, 0),
            // A line, or two.
            b'I' | b'L' | b'F' | b'V' | b'P' => {
                let line = skip_line(reader, None)?;
                shadow.perform(op, line)
            }
            b'g' | b'p' => {
                let mut slot = String::new();
                if skip_line(reader, Some(&mut slot))? > 32 {
                    // Digits without end, whose value would not be known here.
                    return Ok(Scan::TooLarge);
                }
                match slot.trim_end().parse() {
                    Ok(slot) if op == b'g' => shadow.get(slot),
                    Ok(slot) => shadow.put(slot),
                    Err(_) => None,
                }
            }
            b'c' => {
                let mut name = String::new();
                let length = skip_line(reader, None)? + skip_line(reader, Some(&mut name))?;
                last_class = Some(name);
                shadow.perform(op, length)
            }
            // A fixed number of bytes.
            b'h' => shadow.get(u32::from(u8::from_le_bytes(take(reader)?))),
            b'q' => shadow.put(u32::from(u8::from_le_bytes(take(reader)?))),
            b'j' => shadow.get(u32::from_le_bytes(take(reader)?)),
            b'r' => shadow.put(u32::from_le_bytes(take(reader)?)),
            b'K' | 0x80 | 0x82 => skip(reader, 1).map(|()| shadow.perform(op, 0))?,
            b'M' | 0x83 => skip(reader, 2).map(|()| shadow.perform(op, 0))?,
            b'J' | 0x84 => skip(reader, 4).map(|()| shadow.perform(op, 0))?,
            b'G' | 0x95 => skip(reader, 8).map(|()| shadow.perform(op, 0))?,
            // A length, then as many bytes.
            b'U' | b'C' | 0x8a | 0x8c => {
                let [length] = take::<1>(reader)?;
                skip(reader, u64::from(length)).map(|()| shadow.perform(op, u64::from(length)))?
            }
            b'T' | b'X' | b'B' | 0x8b => {
                let length = u64::from(u32::from_le_bytes(take(reader)?));
                skip(reader, length).map(|()| shadow.perform(op, length))?
            }
            0x8d | 0x8e | 0x96 => {
                let length = u64::from_le_bytes(take(reader)?);
                skip(reader, length).map(|()| shadow.perform(op, length))?
            }
            _ => None,
        };
        if done.is_none() {
            return Ok(Scan::Unknown(op));
        }
        if shadow.copied > MAX_COPIED {
            return Ok(Scan::TooLarge);
        }
    }
    Ok(Scan::TooMany)
}

/// Reads `N` bytes.
pub(super) fn take<const N: usize>(reader: &mut impl BufRead) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Passes over `length` bytes.
pub(super) fn skip(reader: &mut impl BufRead, mut length: u64) -> io::Result<()> {
    while length > 0 {
        let available = reader.fill_buf()?.len();
        if available == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let step = usize::try_from(length).map_or(available, |length| length.min(available));
        reader.consume(step);
        length -= step as u64;
    }
    Ok(())
}

/// Passes over a line, keeping its first 64 bytes where asked to. Returns its length.
fn skip_line(reader: &mut impl BufRead, mut keep: Option<&mut String>) -> io::Result<u64> {
    let mut length = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let line = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        if let Some(text) = keep.as_deref_mut().filter(|text| text.len() < 64) {
            text.extend(line.iter().take(64).map(|&byte| char::from(byte)));
        }
        length += line.len() as u64;
        let used = line.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(length);
        }
    }
}
