//! Checks a PyTorch container's own claims against the file before it is parsed.
//!
//! `pytorch-reader` bounds most sizes itself; what it leaves open is looked at here: the number of pickle
//! instructions, how far compressed entries swell, tar entries with holes. All of it in one pass over
//! headers and pickles, never over tensor data.

use super::checkpoint::Container;
use super::error::{WeightsError, quote};
use super::pickle_scan::{MAX_INSTRUCTIONS, Scan, scan, skip, take};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Compressed entries may swell to this many times the file, plus [`SWELL_FLOOR`]. Weights barely compress.
const SWELL_FACTOR: u64 = 20;
/// Always allowed in memory, however small the file.
pub(super) const SWELL_FLOOR: u64 = 64 << 20;

/// Bytes that a tensor of a file of `file_len` bytes may take in memory. An expanded view (stride 0) or a
/// compressed entry may be larger than the file, within reason.
pub(super) fn tensor_limit(file_len: u64) -> u64 {
    file_len.saturating_mul(4).saturating_add(SWELL_FLOOR)
}

/// Refuses a file whose headers or pickles ask for more than the file can justify.
///
/// Returns where a zip's end record starts if the `zip` crate would misread the archive, see [`Directory`].
pub(super) fn check(
    path: &Path,
    file: &File,
    file_len: u64,
    container: Container,
) -> Result<Option<u64>, WeightsError> {
    let io = |error| WeightsError::io(path, error);
    let mut reader = BufReader::new(file.try_clone().map_err(io)?);
    reader.rewind().map_err(io)?;
    let outcome = match container {
        Container::Safetensors => Ok(None),
        Container::Zip => check_zip(&mut reader, file_len),
        Container::Legacy => pickles(&mut reader, 5).map(|()| None),
        Container::Pickle => pickles(&mut reader, 1).map(|()| None),
        Container::Tar => check_tar(&mut reader, file_len).map(|()| None),
    };
    outcome.map_err(|finding| match finding {
        Finding::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            WeightsError::truncated(path, "it ends inside a header")
        }
        Finding::Io(error) => io(error),
        Finding::CutOff(what) => WeightsError::truncated(path, what),
        Finding::Other(what) => WeightsError::not_a_checkpoint(path, what),
        Finding::Malformed(what) => WeightsError::malformed(path, container.name(), what),
        Finding::Refused(what) => WeightsError::refused(path, what),
    })
}

/// What a check found, before the file's name is put to it.
enum Finding {
    Io(io::Error),
    CutOff(&'static str),
    Other(String),
    Malformed(String),
    Refused(String),
}

impl From<io::Error> for Finding {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Scans `count` pickles in a row, all within one budget.
fn pickles(reader: &mut impl BufRead, count: usize) -> Result<(), Finding> {
    let mut left = MAX_INSTRUCTIONS;
    for _ in 0..count {
        match scan(reader, left)? {
            Scan::Complete { instructions, .. } => left = left.saturating_sub(instructions),
            Scan::CutOff => return Err(Finding::CutOff("its pickle has no end")),
            Scan::TooMany => return Err(too_many()),
            Scan::TooLarge => return Err(too_large()),
            // Whatever follows is not parsed either: the reader names the byte.
            Scan::Unknown(_) => return Ok(()),
        }
    }
    Ok(())
}

fn too_large() -> Finding {
    Finding::Refused("its pickle copies a few values into hundreds of megabytes (a memo bomb)".to_owned())
}

fn too_many() -> Finding {
    Finding::Refused(format!("its pickle has more than {MAX_INSTRUCTIONS} instructions, far more than any checkpoint"))
}

/// One row of a zip archive's central directory.
struct ZipEntry {
    name: String,
    method: u16,
    size: u64,
    header_offset: u64,
}

fn check_zip(reader: &mut BufReader<File>, file_len: u64) -> Result<Option<u64>, Finding> {
    let Directory { entries, misread_end } = zip_directory(reader, file_len)?;
    let ends = |suffix: &str| entries.iter().any(|entry| entry.name.ends_with(suffix));
    let is_pickle = |entry: &&ZipEntry| entry.name == "data.pkl" || entry.name.ends_with("/data.pkl");
    if !entries.iter().any(|entry| is_pickle(&entry)) {
        return Err(Finding::Other(
            if ends("saved_model.pb") || ends("model.weights.h5") {
                "is a zipped TensorFlow or Keras model; PyTorch .pth and .safetensors are read"
            } else if ends(".npy") {
                "is a NumPy archive (.npz), not a checkpoint"
            } else if ends(".pth") || ends(".pt") || ends(".safetensors") {
                "is a zip archive with a checkpoint inside; unpack it first"
            } else {
                "is a zip archive without data.pkl, so not a PyTorch checkpoint"
            }
            .to_owned(),
        ));
    }
    if ends("constants.pkl") && entries.iter().any(|entry| entry.name.contains("/code/")) {
        return Err(Finding::Other(
            "is a TorchScript program, not a checkpoint; save the model's state_dict() instead".to_owned(),
        ));
    }
    let total = entries.iter().fold(0u64, |total, entry| total.saturating_add(entry.size));
    let limit = file_len.saturating_mul(SWELL_FACTOR).saturating_add(SWELL_FLOOR);
    if total > limit {
        return Err(Finding::Refused(format!(
            "its entries unpack to {total} bytes, {} times the file (a zip bomb)",
            total / file_len.max(1)
        )));
    }
    // All of them: which one is read is up to the reader.
    for pickle in entries.iter().filter(is_pickle) {
        if pickle.method != 0 {
            return Err(Finding::Refused(format!(
                "its {} is compressed, which torch never does; pack the archive again without compression",
                quote(&pickle.name)
            )));
        }
        // The local header's name and extra field stand before the data.
        reader.seek(SeekFrom::Start(pickle.header_offset))?;
        skip(reader, 26)?;
        let name = u16::from_le_bytes(take(reader)?);
        let extra = u16::from_le_bytes(take(reader)?);
        skip(reader, u64::from(name) + u64::from(extra))?;
        pickles(&mut reader.take(pickle.size), 1)?;
    }
    Ok(misread_end)
}

/// A zip archive's central directory.
struct Directory {
    entries: Vec<ZipEntry>,
    /// Where the end record starts, if the `zip` crate (9.8.1) would misread this archive: it takes the directory
    /// to end right before the end record, but torch writes the zip64 records (76 bytes) between the two. Where the
    /// first row happens to be 76 bytes long (a root folder of 21 letters), the second is taken for the first.
    misread_end: Option<u64>,
}

/// Reads the central directory, in the 32-bit and the zip64 form.
fn zip_directory(reader: &mut BufReader<File>, file_len: u64) -> Result<Directory, Finding> {
    const NO_END: Finding = Finding::CutOff("the end of the zip archive is missing");
    // The end record is 22 bytes and may be followed by a comment of up to 65535.
    let tail_start = file_len.saturating_sub(22 + 65_535);
    reader.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    reader.take(22 + 65_535).read_to_end(&mut tail)?;
    let Some(at) = tail.windows(4).rposition(|window| window == b"PK\x05\x06").filter(|at| at + 22 <= tail.len())
    else {
        return Err(NO_END);
    };
    let end = tail.get(at..).unwrap_or_default();
    // A second end record would be a second directory, and which one counts would be up to the reader.
    let is_end = |window: &[u8]| window.starts_with(b"PK\x05\x06") && window.get(4..8) == Some(&[0; 4]);
    if tail.get(..at).unwrap_or_default().windows(8).any(is_end) {
        return Err(Finding::Malformed("it has two directories".to_owned()));
    }
    let (mut count, mut size, mut offset) =
        (u64::from(u16_at(end, 10)), u64::from(u32_at(end, 12)), u64::from(u32_at(end, 16)));
    let locator = at.checked_sub(20).and_then(|at| tail.get(at..)).filter(|locator| locator.starts_with(b"PK\x06\x07"));
    if let Some(locator) = locator {
        reader.seek(SeekFrom::Start(u64_at(locator, 8).min(file_len)))?;
        let record: [u8; 56] = take(reader)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err(NO_END);
        }
        (count, size, offset) = (u64_at(&record, 32), u64_at(&record, 40), u64_at(&record, 48));
    }
    if offset.checked_add(size).is_none_or(|end| end > file_len) {
        return Err(Finding::CutOff("the directory of the zip archive lies beyond its end"));
    }
    reader.seek(SeekFrom::Start(offset))?;
    let mut directory = Vec::new();
    reader.take(size).read_to_end(&mut directory)?;
    let mut entries = Vec::new();
    let mut rest = directory.as_slice();
    for _ in 0..count {
        let Some((entry, after)) = zip_entry(rest) else {
            return Err(Finding::Malformed("its zip directory is damaged".to_owned()));
        };
        entries.push(entry);
        rest = after;
    }
    let end_start = tail_start + at as u64;
    let presumed = end_start.checked_sub(size).filter(|&start| start != offset && locator.is_some());
    let row =
        presumed.and_then(|start| usize::try_from(start.checked_sub(offset)?).ok()).and_then(|at| directory.get(at..));
    let misread_end = row.filter(|row| row.starts_with(b"PK\x01\x02")).map(|_| end_start);
    Ok(Directory { entries, misread_end })
}

/// Parses one directory row off the front of `bytes`.
fn zip_entry(bytes: &[u8]) -> Option<(ZipEntry, &[u8])> {
    let fixed = bytes.get(..46).filter(|fixed| fixed.starts_with(b"PK\x01\x02"))?;
    let (name_len, extra_len, comment_len) = (u16_at(fixed, 28), u16_at(fixed, 30), u16_at(fixed, 32));
    let name_end = 46 + usize::from(name_len);
    let extra_end = name_end + usize::from(extra_len);
    let name = String::from_utf8_lossy(bytes.get(46..name_end)?).into_owned();
    let mut extra = bytes.get(name_end..extra_end)?;
    let after = bytes.get(extra_end + usize::from(comment_len)..)?;
    let (mut size, packed, mut header_offset) =
        (u64::from(u32_at(fixed, 24)), u32_at(fixed, 20), u64::from(u32_at(fixed, 42)));
    // zip64: the extra field 1 holds, in this order, those values that are all ones above.
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let body = extra.get(4..4 + length)?;
        // Another name in place of the one above; torch writes none.
        if id == 0x7075 {
            return None;
        }
        if id == 1 {
            let mut at = 0;
            for (short, value) in
                [(u32_at(fixed, 24), Some(&mut size)), (packed, None), (u32_at(fixed, 42), Some(&mut header_offset))]
            {
                if short == u32::MAX {
                    let long = u64_at(body, at);
                    at += 8;
                    if let Some(value) = value {
                        *value = long;
                    }
                }
            }
        }
        extra = extra.get(4 + length..)?;
    }
    Some((ZipEntry { name, method: u16_at(fixed, 10), size, header_offset }, after))
}

/// Walks a tar's headers: every member must lie within the file, without holes, and its pickles be small.
fn check_tar(reader: &mut BufReader<File>, file_len: u64) -> Result<(), Finding> {
    let mut at = 0u64;
    while at + 512 <= file_len {
        reader.seek(SeekFrom::Start(at))?;
        let header: [u8; 512] = take(reader)?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        let size = tar_size(&header).ok_or_else(|| Finding::Malformed("a tar header has no size".to_owned()))?;
        at += 512;
        if at.checked_add(size).is_none_or(|end| end > file_len) {
            return Err(Finding::CutOff("a member of the tar archive reaches beyond its end"));
        }
        match header.get(156) {
            Some(b'S') => return Err(Finding::Refused(format!("it is a tar archive with holes{TORCH_NEVER}"))),
            Some(b'L' | b'K') => {
                return Err(Finding::Refused(format!("it is a tar archive with long names{TORCH_NEVER}")));
            }
            Some(b'x' | b'g') => check_tar_extension(&mut reader.take(size))?,
            _ => check_tar_member(&mut reader.take(size), &header)?,
        }
        at += size.next_multiple_of(512);
    }
    Ok(())
}

const TORCH_NEVER: &str = ", which torch never writes";

/// A tar's extended header (Python writes one for a modification time with a fraction): it must not change what the
/// member after it is.
fn check_tar_extension(body: &mut impl io::Read) -> Result<(), Finding> {
    let mut text = Vec::new();
    body.take(64 << 10).read_to_end(&mut text)?;
    let holds = |key: &[u8]| text.windows(key.len()).any(|window| window == key);
    if text.len() == 64 << 10 || holds(b"path=") || holds(b"size=") || holds(b"GNU.") {
        return Err(Finding::Refused(format!("it is a tar archive with other names or sizes{TORCH_NEVER}")));
    }
    Ok(())
}

fn check_tar_member(member: &mut impl BufRead, header: &[u8; 512]) -> Result<(), Finding> {
    let name = header.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = name.strip_prefix(b"./").unwrap_or(name);
    if name.starts_with(b"./") {
        return Err(Finding::Refused(format!("it is a tar archive with names such as ././x{TORCH_NEVER}")));
    }
    match name {
        b"sys_info" | b"pickle" => pickles(member, 1),
        b"tensors" => check_tar_table(member, |member, _| {
            // rank, padding, sizes, strides, offset
            let rank = u32::from_le_bytes(take(member)?);
            skip(member, 4 + 16 * u64::from(rank) + 8)
        }),
        b"storages" => check_tar_table(member, |member, class| {
            let count = u64::from_le_bytes(take(member)?);
            let element: u64 = match class {
                "DoubleStorage" | "LongStorage" => 8,
                "HalfStorage" | "ShortStorage" | "BFloat16Storage" => 2,
                "CharStorage" | "ByteStorage" | "BoolStorage" => 1,
                _ => 4,
            };
            skip(member, count.saturating_mul(element))
        }),
        _ => Ok(()),
    }
}

/// A count, then rows of one small pickle and binary data each (`after` passes over those).
fn check_tar_table<R: BufRead>(member: &mut R, after: impl Fn(&mut R, &str) -> io::Result<()>) -> Result<(), Finding> {
    let mut left = MAX_INSTRUCTIONS;
    pickles(member, 1)?;
    while !member.fill_buf()?.is_empty() {
        match scan(member, left)? {
            Scan::Complete { instructions, last_class } => {
                left = left.saturating_sub(instructions);
                let Some(class) = last_class else {
                    // The list of views that closes the table of storages names no class.
                    continue;
                };
                after(member, &class)?;
            }
            Scan::TooMany => return Err(too_many()),
            Scan::TooLarge => return Err(too_large()),
            Scan::CutOff => return Err(Finding::CutOff("a table of the tar archive has no end")),
            Scan::Unknown(_) => return Ok(()),
        }
    }
    Ok(())
}

/// The size in a tar header: octal text, or binary where the first bit is set.
fn tar_size(header: &[u8; 512]) -> Option<u64> {
    let field = header.get(124..136)?;
    if field.first()? & 0x80 != 0 {
        return field.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
    }
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
