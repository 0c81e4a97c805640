//! The readers of the program, from its sources, and what a target does with a file.

use std::path::PathBuf;
use std::sync::OnceLock;
use weights::{Checkpoint, Wanted};

mod weights;

/// Opens the bytes as a file, maps it onto a network and reads all that it holds, as the program would.
pub fn read(bytes: &[u8]) {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let path = FILE.get_or_init(|| {
        // In memory, where there is such a folder: thousands of files a second are written.
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        folder.join(format!("frostline-fuzz-{}", std::process::id()))
    });
    std::fs::write(path, bytes).expect("the temporary file can be written");
    let checkpoint = match Checkpoint::open(path) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return sentence(&error),
    };
    // A view may be far larger than the file, within a limit; a thousand of them would only cost time here.
    let small = |name: &&str| checkpoint.entries[*name].shape.iter().product::<usize>() <= 1 << 16;
    for name in checkpoint.names().filter(small).take(1000) {
        if let Err(error) = checkpoint.read_f32(name) {
            sentence(&error);
        }
    }
    let wanted = |name: &str, shape: &[usize]| Wanted {
        name: name.to_owned(),
        shape: shape.to_owned(),
        head: name.starts_with("fc."),
        part: if name.starts_with("fc.") { "head cls" } else { "backbone" }.to_owned(),
        ..Wanted::default()
    };
    // The network of the fixture files.
    let wanted = [
        wanted("conv1.weight", &[4, 3, 3, 3]),
        wanted("bn1.weight", &[4]),
        wanted("bn1.running_var", &[4]),
        wanted("fc.weight", &[3, 5]),
    ];
    match weights::plan(&checkpoint, &wanted) {
        Ok(mut report) => {
            let _ = (report.summary(), report.warning());
            if let Err(error) = weights::read(&checkpoint, &mut report) {
                sentence(&error);
            }
        }
        Err(error) => sentence(&error),
    }
}

/// Every error is one bounded sentence.
fn sentence(error: &weights::WeightsError) {
    let text = error.to_string();
    assert!(text.len() < 2000 && !text.contains('\n'), "{text}");
}

/// A zip as torch writes it around this pickle, with one storage of 64 bytes and no checksums (0: none was computed).
pub fn archive(pickle: &[u8]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let entries: [(&str, &[u8]); 3] = [("m/data.pkl", pickle), ("m/byteorder", b"little"), ("m/data/0", &[1; 64])];
    for (name, bytes) in entries {
        let (offset, size) = (out.len() as u32, (bytes.len() as u32).to_le_bytes());
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend([size, size].concat());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(bytes);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let offset = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0\x03\0\x03\0");
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend([0, 0]);
    out
}
