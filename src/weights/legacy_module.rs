//! Whole models in the legacy container.
//!
//! There torch wrote every class of a model as a persistent id of four fields, `('module', class, file, source)`, where
//! `pytorch-reader` expects those of storages, which have more. The class itself stands in the memo: "resolve this id"
//! becomes "drop it, and fetch the class".

use super::pickle_scan::{MAX_INSTRUCTIONS, Scan, scan};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write};

/// Longest pickle that is rewritten; it holds the sources of a model's classes.
const MAX_PICKLE: u64 = 64 << 20;

/// Writes the file to `out` with the ids of classes taken out. `None` where it holds none, or is no such file.
pub(super) fn without_modules(file: &File, out: &mut impl Write) -> io::Result<Option<()>> {
    let mut reader = BufReader::new(file.try_clone()?);
    reader.rewind()?;
    let mut ends = VecDeque::new();
    // The magic number, the protocol, the system, then the model.
    for _ in 0..4 {
        let Scan::Complete { .. } = scan(&mut reader, MAX_INSTRUCTIONS)? else { return Ok(None) };
        ends.push_front(reader.stream_position()?);
    }
    let [end, start, ..] = *ends.make_contiguous() else { return Ok(None) };
    if end - start > MAX_PICKLE {
        return Ok(None);
    }
    reader.rewind()?;
    let mut head = Vec::new();
    (&mut reader).take(end).read_to_end(&mut head)?;
    let Some((head, pickle)) = usize::try_from(start).ok().and_then(|start| head.split_at_checked(start)) else {
        return Ok(None);
    };
    let Some(pickle) = rewrite(pickle) else { return Ok(None) };
    out.write_all(head)?;
    out.write_all(&pickle)?;
    reader.seek(SeekFrom::Start(end))?;
    io::copy(&mut reader, out)?;
    Ok(Some(()))
}

/// The pickle with each id of four fields replaced by its second field.
fn rewrite(pickle: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(pickle.len() + 1024);
    // Where the values above the last mark stand in the memo, as long as all of them are plain; of a tuple that was
    // just made of four, where its second is.
    let mut fields: Option<Vec<Option<u32>>> = None;
    let mut class = None;
    let (mut rest, mut changed) = (pickle, false);
    while let Some((&op, after)) = rest.split_first() {
        let length = argument(op, after)?;
        let (text, after) = after.split_at_checked(length)?;
        let slot = match op {
            b'q' | b'h' => text.first().map(|&slot| u32::from(slot)),
            b'r' | b'j' => text.first_chunk().map(|slot| u32::from_le_bytes(*slot)),
            _ => None,
        };
        match (op, class) {
            (b'Q', Some(slot)) => {
                out.extend(b"0j");
                out.extend(u32::to_le_bytes(slot));
                changed = true;
            }
            _ => out.extend(rest.get(..=length)?),
        }
        match op {
            b'(' => fields = Some(Vec::new()),
            b'X' | b'c' | b'N' | b'h' | b'j' => fields.iter_mut().for_each(|fields| fields.push(slot)),
            b'q' | b'r' => {
                if let Some(last) = fields.as_mut().and_then(|fields| fields.last_mut()) {
                    *last = slot;
                }
            }
            _ => {}
        }
        class = match (op, &fields) {
            (b't', Some(fields)) => {
                Some(fields).filter(|fields| fields.len() == 4).and_then(|fields| *fields.get(1)?)
            }
            (b'q' | b'r', None) => class,
            _ => None,
        };
        if !matches!(op, b'(' | b'X' | b'c' | b'N' | b'h' | b'j' | b'q' | b'r') {
            fields = None;
        }
        rest = after;
    }
    changed.then_some(out)
}

/// Bytes of an instruction's argument, of those that torch's pickles of protocol 2 hold.
fn argument(op: u8, after: &[u8]) -> Option<usize> {
    let line = |bytes: &[u8]| bytes.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
    Some(match op {
        b'K' | b'h' | b'q' | 0x80 => 1,
        b'M' => 2,
        b'J' | b'j' | b'r' => 4,
        b'G' => 8,
        b'c' => {
            let first = line(after)?;
            first + line(after.get(first..)?)?
        }
        b'U' | 0x8a => 1 + usize::from(*after.first()?),
        b'X' | b'T' | 0x8b => 4 + usize::try_from(u32::from_le_bytes(*after.first_chunk()?)).ok()?,
        b'('
        | b')'
        | b']'
        | b'}'
        | b'.'
        | b'0'
        | b'1'
        | b'2'
        | b'N'
        | b'Q'
        | b'R'
        | b'a'
        | b'b'
        | b'd'
        | b'e'
        | b'l'
        | b's'
        | b't'
        | b'u'
        | 0x81
        | 0x85..=0x89 => 0,
        _ => return None,
    })
}
