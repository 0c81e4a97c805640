//! Walks a pickle's instructions without executing them, to bound what parsing it can cost.
//!
//! One byte (`N`) makes the parser keep some hundred bytes, so a pickle of 100 MB could ask for 10 GB.
//! Counting first is cheap: instructions and their argument lengths are all that is looked at.

use std::io::{self, BufRead};

/// Most instructions accepted. A checkpoint has about 40 per tensor; this is 50 000 tensors' worth.
pub(super) const MAX_INSTRUCTIONS: u64 = 2_000_000;

/// How a scan ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// At `STOP`, after this many instructions; the reader stands behind it. Holds the last class named.
    Complete { instructions: u64, last_class: Option<String> },
    /// The data ended first.
    CutOff,
    /// More than the allowed number of instructions.
    TooMany,
    /// A byte that is no instruction: not a pickle, or a damaged one.
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

fn walk(reader: &mut impl BufRead, limit: u64) -> io::Result<Scan> {
    let mut last_class = None;
    for instructions in 1..=limit {
        let [op] = take::<1>(reader)?;
        match op {
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
            | 0x98 => {}
            // A line, or two.
            b'I' | b'L' | b'F' | b'V' | b'g' | b'p' | b'P' => skip_line(reader, None)?,
            b'c' => {
                let mut name = String::new();
                skip_line(reader, None)?;
                skip_line(reader, Some(&mut name))?;
                last_class = Some(name);
            }
            // A fixed number of bytes.
            b'K' | b'h' | b'q' | 0x80 | 0x82 => skip(reader, 1)?,
            b'M' | 0x83 => skip(reader, 2)?,
            b'J' | b'j' | b'r' | 0x84 => skip(reader, 4)?,
            b'G' | 0x95 => skip(reader, 8)?,
            // A length, then as many bytes.
            b'U' | b'C' | 0x8a | 0x8c => {
                let [length] = take::<1>(reader)?;
                skip(reader, u64::from(length))?;
            }
            b'T' | b'X' | b'B' | 0x8b => {
                let length = u32::from_le_bytes(take(reader)?);
                skip(reader, u64::from(length))?;
            }
            0x8d | 0x8e | 0x96 => {
                let length = u64::from_le_bytes(take(reader)?);
                skip(reader, length)?;
            }
            other => return Ok(Scan::Unknown(other)),
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

/// Passes over a line, keeping its first 64 bytes where asked to.
fn skip_line(reader: &mut impl BufRead, mut keep: Option<&mut String>) -> io::Result<()> {
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
        let used = line.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}
