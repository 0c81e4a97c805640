//! Writes `.pth` as `torch.save(state_dict)` does: an uncompressed zip with a pickle and one entry for each tensor.
//!
//! `torch.load(weights_only=True)` and `load_state_dict(strict=True)` accept the result (run with torch 2.15.0).

use super::draft::Draft;
use super::error::WeightsError;
use crate::models::HostTensor;
use std::io::Write;
use std::path::Path;

/// torch aligns each tensor's bytes to this, so that a file can be mapped.
const ALIGNMENT: u64 = 64;
/// What the oldest form of a zip can say.
const MAX_BYTES: u64 = u32::MAX as u64;

/// Writes tensors under their names to `path`, whole or not at all.
///
/// # Errors
/// More than 4 GB, or the operating system's refusal. `path` is then as it was before.
pub fn save_pth(path: &Path, tensors: &[HostTensor]) -> Result<(), WeightsError> {
    let draft = Draft::new(path)?;
    let bytes: u64 = tensors.iter().map(|tensor| tensor.values.len() as u64 * 4 + 1024).sum();
    if bytes >= MAX_BYTES || tensors.len() >= usize::from(u16::MAX) {
        return Err(draft.failed("it would have more than 4 GB; write .safetensors instead"));
    }
    draft.write(|out| {
        let mut zip = Zip { out, at: 0, central: Vec::new(), entries: 0 };
        zip.entry("data.pkl", &[&pickle(tensors)])?;
        zip.entry("byteorder", &[b"little"])?;
        for (i, tensor) in tensors.iter().enumerate() {
            let bytes: Vec<u8> = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            zip.entry(&format!("data/{i}"), &[&bytes])?;
        }
        zip.entry("version", &[b"3\n"])?;
        zip.finish()
    })?;
    draft.publish()
}

/// The pickle (protocol 2) of an ordered dictionary of tensors whose storages lie beside it.
fn pickle(tensors: &[HostTensor]) -> Vec<u8> {
    const DICTIONARY: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut p = b"\x80\x02".to_vec();
    p.extend(DICTIONARY);
    p.push(b'(');
    for (i, tensor) in tensors.iter().enumerate() {
        text(&mut p, &tensor.spec.name);
        p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut p, "storage");
        p.extend(b"ctorch\nFloatStorage\n");
        text(&mut p, &i.to_string());
        text(&mut p, "cpu");
        int(&mut p, tensor.values.len());
        p.extend(b"tQK\0("); // the storage by its key, offset 0
        tensor.spec.shape.iter().for_each(|&n| int(&mut p, n));
        p.extend(b"t(");
        for axis in 1..=tensor.spec.shape.len() {
            int(&mut p, tensor.spec.shape.iter().skip(axis).product()); // strides
        }
        p.extend(b"t\x89"); // no gradient
        p.extend(DICTIONARY);
        p.extend(b"tR");
    }
    p.extend(b"u.");
    p
}

fn text(p: &mut Vec<u8>, text: &str) {
    p.push(b'X');
    p.extend((text.len() as u32).to_le_bytes());
    p.extend(text.as_bytes());
}

fn int(p: &mut Vec<u8>, n: usize) {
    // Files of 4 GB hold fewer values than 31 bits count.
    p.push(b'J');
    p.extend((n as u32).to_le_bytes());
}

/// A zip without compression, written in one pass.
struct Zip<'a, W> {
    out: &'a mut W,
    at: u64,
    central: Vec<u8>,
    entries: u16,
}

impl<W: Write> Zip<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn entry(&mut self, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
        let name = format!("archive/{name}");
        let size = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
        // Version 2.0, no flags, stored, 1980-01-01; the same in both headers.
        let mut head = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        head.extend(crc32(parts).to_le_bytes());
        head.extend(size.to_le_bytes());
        head.extend(size.to_le_bytes());
        head.extend((name.len() as u16).to_le_bytes());
        let start = self.at + 30 + name.len() as u64 + 4;
        let padding = (start.next_multiple_of(ALIGNMENT) - start) as u16;
        self.central.extend(b"PK\x01\x02\x14\0");
        self.central.extend(&head);
        self.central.extend([0; 12]); // no extra, no comment, first disk, no attributes
        self.central.extend((self.at as u32).to_le_bytes());
        self.central.extend(name.as_bytes());
        self.entries += 1;
        self.put(b"PK\x03\x04")?;
        self.put(&head)?;
        // An extra field of torch's kind ("FB") fills up to the alignment.
        self.put(&(padding + 4).to_le_bytes())?;
        self.put(name.as_bytes())?;
        self.put(b"FB")?;
        self.put(&padding.to_le_bytes())?;
        self.put(&vec![b'Z'; usize::from(padding)])?;
        parts.iter().try_for_each(|part| self.put(part))
    }

    fn finish(mut self) -> std::io::Result<()> {
        let (start, central) = (self.at as u32, std::mem::take(&mut self.central));
        self.put(&central)?;
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend(self.entries.to_le_bytes());
        end.extend(self.entries.to_le_bytes());
        end.extend((central.len() as u32).to_le_bytes());
        end.extend(start.to_le_bytes());
        end.extend([0, 0]);
        self.put(&end)
    }
}

/// The check sum of zip (ISO 3309).
fn crc32(parts: &[&[u8]]) -> u32 {
    let step = |crc: u32, _: usize| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    let table: [u32; 256] = std::array::from_fn(|i| (0..8).fold(i as u32, step));
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(u32::MAX, |crc, byte| (crc >> 8) ^ table[usize::from(crc as u8 ^ byte)])
}
