//! Files that ask for more memory than the machine has: the program refuses them in one sentence, under a limit of
//! 2 GB of address space, instead of being aborted by its allocator. Every one of them once was.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::process::Command;

/// `frostline inspect FILE` in a process of its own; its words, after it ended with the code for bad input.
fn inspect(file: &Path) -> String {
    let program = env!("CARGO_BIN_EXE_frostline");
    let limited = format!("ulimit -v 2000000; exec '{program}' inspect '{}'", file.display());
    let output = Command::new("sh").arg("-c").arg(limited).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{}: {words}", file.display());
    words
}

fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    [b"X".as_slice(), &length, text.as_bytes()].concat()
}

/// `_rebuild_tensor_v2` of four values under this key, with these dimensions, as a pickle pushes it.
fn tensor(key: &str, dimensions: usize) -> Vec<u8> {
    let ones = [b"(".as_slice(), &b"K\x01".repeat(dimensions), b"t"].concat();
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".as_slice(),
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text(key),
        &text("cpu"),
        b"K\x04tQK\x00",
        &ones,
        &ones,
        b"\x89}tR",
    ]
    .concat()
}

/// A dictionary with `value` in slot 0 of the memo, and a list of `copies` more of it.
fn copied(value: &[u8], copies: usize) -> Vec<u8> {
    [b"\x80\x02}X\x01\0\0\0a".as_slice(), value, b"q\0sX\x01\0\0\0b(", &b"h\0".repeat(copies), b"ls."].concat()
}

/// A zip as torch writes it, around this pickle and a storage of four values, without checksums.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in [("m/data.pkl", pickle), ("m/data/0", &[0; 16])] {
        let (offset, size) = (u32::try_from(out.len()).unwrap(), u32::try_from(bytes.len()).unwrap().to_le_bytes());
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend([size, size].concat());
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        out.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), bytes].concat());
        directory.extend(
            [b"PK\x01\x02\x14\0", common.as_slice(), &[0; 10], &offset.to_le_bytes(), name.as_bytes()].concat(),
        );
    }
    let (offset, size) = (u32::try_from(out.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    out.extend(
        [&directory, b"PK\x05\x06\0\0\0\0\x02\0\x02\0".as_slice(), &size.to_le_bytes(), &offset.to_le_bytes()].concat(),
    );
    out.extend([0, 0]);
    out
}

#[test]
fn nothing_makes_the_reader_take_memory_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, pickle: &[u8], words: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, archive(pickle)).unwrap();
        let said = inspect(&path);
        assert!(said.contains(name) && said.contains(words), "{said}");
        std::fs::remove_file(&path).unwrap();
    };
    let long = "m".repeat(1 << 20);
    // Copies through the memo of what the reader does not count: a class's name, a storage's key, a shape.
    check("class.pth", &copied(format!("c{long}\nx\n").as_bytes(), 20_000), "memo bomb");
    let storage =
        [b"(".as_slice(), &text("storage"), b"ctorch\nFloatStorage\n", &text(&long), &text("cpu"), b"K\x04tQ"];
    check("key.pth", &copied(&storage.concat(), 20_000), "memo bomb");
    check("shape.pth", &copied(&tensor("0", 100_000), 20_000), "memo bomb");
    // A digit of the memo's slot too many to be kept.
    let slot = format!("p{}1\n", "0".repeat(100));
    check("slot.pth", &[b"\x80\x02}", slot.as_bytes(), b"."].concat(), "memo bomb");
    // Every tensor's name is the keys above it: ten thousand under a path of a megabyte.
    let mut deep = b"\x80\x02}".to_vec();
    for level in 0..300 {
        deep.extend([text(&format!("{level:03}{}", "k".repeat(4000))), b"}".to_vec()].concat());
    }
    deep.extend([text("first"), tensor("0", 1), b"q\0s".to_vec()].concat());
    (0..10_000).for_each(|i| deep.extend([text(&format!("{i}")), b"h\0s".to_vec()].concat()));
    deep.extend(b"s".repeat(300));
    deep.push(b'.');
    check("names.pth", &deep, "the name of a tensor has 12");
    // The same for the dictionaries that are listed.
    let mut wide = [b"\x80\x02}".to_vec(), text(&long.repeat(4)), b"}".to_vec()].concat();
    (0..1000).for_each(|i| wide.extend([text(&format!("{i}")), b"}s".to_vec()].concat()));
    wide.extend(b"s.");
    check("dictionaries.pth", &wide, "holds no tensors");
    // More tensors than any network, and more dimensions.
    let mut many = [b"\x80\x02}".to_vec(), text("first"), tensor("0", 1), b"q\0s".to_vec()].concat();
    (0..60_000).for_each(|i| many.extend([text(&format!("{i}")), b"h\0s".to_vec()].concat()));
    many.push(b'.');
    check("many.pth", &many, "it holds more than 50000 tensors");
    check(
        "dimensions.pth",
        &[b"\x80\x02}".to_vec(), text("w"), tensor("0", 65), b"s.".to_vec()].concat(),
        "65 dimensions",
    );
}
