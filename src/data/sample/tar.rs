//! The USTAR archive that `assets/sample.tar` is: any `tar` opens it. Written with fixed times and owners, so that the
//! same entries give the same bytes. Regular files with names of at most 100 bytes: all that the sample needs.

use std::sync::Arc;

use super::{CarriedFiles, SampleError};

const BLOCK: usize = 512;

/// Packs the entries in their order.
pub(super) fn pack(entries: &[(String, Vec<u8>)]) -> Result<Vec<u8>, SampleError> {
    let mut archive = Vec::new();
    for (name, bytes) in entries {
        archive.extend_from_slice(&header(name, bytes.len())?);
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

/// The header block of one regular file (POSIX.1-1988, mode 0644, owner 0, time 0).
fn header(name: &str, length: usize) -> Result<[u8; BLOCK], SampleError> {
    let mut block = [0; BLOCK];
    if name.len() > 100 || length >= 1 << 33 {
        return Err(SampleError::Archive(format!("{name} does not fit a USTAR entry")));
    }
    let mut put = |at: usize, text: &[u8]| block.iter_mut().skip(at).zip(text).for_each(|(to, from)| *to = *from);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{length:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    let digits = format!("{sum:06o}\0 ");
    block.iter_mut().skip(148).zip(digits.as_bytes()).for_each(|(to, from)| *to = *from);
    Ok(block)
}

/// The archive's regular files in their order.
pub(super) fn unpack(archive: &[u8]) -> Result<CarriedFiles, SampleError> {
    let broken = |what: &str, at: usize| SampleError::Archive(format!("{what} at byte {at}"));
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some(block) = archive.get(at..at + BLOCK) {
        if block.iter().all(|&b| b == 0) {
            return Ok(entries);
        }
        let field = |from: usize, to: usize| -> String {
            let bytes = block.get(from..to).unwrap_or_default();
            bytes.iter().take_while(|&&b| b != 0).map(|&b| char::from(b)).collect()
        };
        let octal = |text: String| usize::from_str_radix(text.trim(), 8).ok();
        let sum: usize =
            block.iter().enumerate().map(|(i, &b)| if (148..156).contains(&i) { 32 } else { usize::from(b) }).sum();
        if octal(field(148, 156)) != Some(sum) {
            return Err(broken("a header with a wrong checksum", at));
        }
        let length = octal(field(124, 136)).ok_or_else(|| broken("a header without a length", at))?;
        let start = at + BLOCK;
        let bytes = start.checked_add(length).and_then(|end| archive.get(start..end));
        let bytes = bytes.ok_or_else(|| broken("an entry that is cut off", at))?;
        if matches!(block.get(156), Some(b'0' | 0)) {
            entries.push((field(0, 100), Arc::from(bytes)));
        }
        at = start + length.next_multiple_of(BLOCK);
    }
    Err(broken("no end mark", at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_byte_and_a_cut_are_refused() {
        let entries = vec![("a/b.txt".to_owned(), vec![7; 700]), ("c".to_owned(), Vec::new())];
        let archive = pack(&entries).unwrap();
        assert_eq!(archive.len(), 512 + 1024 + 512 + 1024);
        let read = unpack(&archive).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].0.as_str(), &read[0].1[..]), ("a/b.txt", &[7; 700][..]));
        let mut flipped = archive.clone();
        flipped[3] ^= 1;
        assert!(unpack(&flipped).is_err());
        assert!(unpack(&archive[..900]).is_err());
    }
}
