//! Damaged and hostile files: each gives one sentence with the file's name, quickly, without taking memory for
//! what the file merely claims.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use frostline::weights::{Checkpoint, WeightsError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/files").join(name)
}

/// Opens the file and reads all of it.
fn open_and_read(path: &Path) -> Result<Vec<(String, Vec<f32>)>, WeightsError> {
    let checkpoint = Checkpoint::open(path)?;
    checkpoint.names().map(|name| Ok((name.to_owned(), checkpoint.read_f32(name)?))).collect()
}

/// Asserts that the file is refused with the words, within two seconds.
fn refused(dir: &Path, name: &str, bytes: &[u8], words: &str) {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    let start = Instant::now();
    let error = open_and_read(&path).expect_err(name).to_string();
    assert!(start.elapsed() < Duration::from_secs(2), "{name} took {:?}", start.elapsed());
    assert!(error.contains(name), "{error}");
    assert!(error.contains(words), "{error}");
    assert!(error.len() < 700 && !error.contains('\n') && !error.contains(". "), "not one sentence: {error}");
}

#[test]
fn other_files_are_named_for_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    refused(dir, "empty.pth", b"", "is empty");
    refused(dir, "photo.pth", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0", "JPEG image");
    refused(dir, "page.pth", b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title>", "web page");
    refused(dir, "keras.h5", b"\x89HDF\r\n\x1a\n\0\0\0\0", "HDF5");
    refused(dir, "model.onnx", b"\x08\x08\x12\x07pytorch\x1a\x05", "ONNX");
    refused(dir, "model.pth", b"\x08\x08\x12\x07pytorch\x1a\x05", "ONNX");
    refused(dir, "weights.tar.gz", b"\x1f\x8b\x08\0\0\0\0\0", "unpack it first");
    refused(dir, "index.json", b"{\n \"metadata\": {}, \"weight_map\": {\"a\": \"x.safetensors\"}}", "index");
    refused(dir, "noise.safetensors", &[7; 100], "safetensors");
    refused(dir, "noise.pth", &[7; 100], "not a checkpoint");
    refused(dir, "plain.zip", &stored_zip(&[("readme.txt", b"hello")]), "without data.pkl");
    refused(dir, "arrays.npz", &stored_zip(&[("x.npy", b"\x93NUMPY")]), "NumPy");
    refused(dir, "numbers.pkl", b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.", "holds no tensors (only a)");
    let folder = dir.join("folder.pth");
    std::fs::create_dir(&folder).unwrap();
    assert!(
        Checkpoint::open(&folder).unwrap_err().to_string().ends_with("folder.pth is a folder, not a checkpoint file")
    );
    let missing = Checkpoint::open(&dir.join("missing.pth")).unwrap_err().to_string();
    assert!(missing.contains("missing.pth could not be read"), "{missing}");
}

#[test]
fn a_truncated_file_of_any_container_is_an_error_or_still_complete() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "zip_state_dict.pth",
        "zip_checkpoint_nested.pth",
        "legacy_state_dict.pth",
        "tar_state_dict.pth",
        "dtypes.safetensors",
    ] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let whole = open_and_read(&fixture(name)).unwrap();
        let (mut errors, mut complete) = (0, 0);
        for length in (0..bytes.len()).step_by(37) {
            let path = dir.path().join(name);
            std::fs::write(&path, &bytes[..length]).unwrap();
            match open_and_read(&path) {
                Ok(tensors) => {
                    // A tar is padded with blocks of zeros that it does not need.
                    assert_eq!(tensors, whole, "{name} cut to {length}");
                    complete += 1;
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(name) && !text.contains(". ") && text.len() < 700, "{text}");
                    errors += 1;
                }
            }
        }
        assert!(
            errors > 20 && (complete == 0 || name.starts_with("tar")),
            "{name}: {errors} errors, {complete} complete"
        );
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_a_changed_value_but_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["zip_views.pth", "legacy_views.pth", "tar_state_dict.pth", "dtypes.safetensors"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for at in (0..bytes.len()).step_by(11) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let path = dir.path().join(name);
            std::fs::write(&path, &changed).unwrap();
            if let Err(error) = open_and_read(&path) {
                assert!(error.to_string().contains(name), "{error}");
            }
        }
    }
}

#[test]
fn hostile_safetensors_headers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let with = |header: &str, data: usize| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    };
    let mut huge = (1u64 << 60).to_le_bytes().to_vec();
    huge.extend_from_slice(b"{\"a\":1}");
    refused(dir, "huge_header.safetensors", &huge, "header claims");
    let mut longer = 1000u64.to_le_bytes().to_vec();
    longer.extend_from_slice(b"{\"a\":1}");
    refused(dir, "short.safetensors", &longer, "cut off");
    refused(dir, "no_json.safetensors", &with("{nonsense", 0), "damaged");
    refused(
        dir,
        "gib.safetensors",
        &with(r#"{"a":{"dtype":"F32","shape":[268435456],"data_offsets":[0,1073741824]}}"#, 64),
        "cut off",
    );
    let overlap = r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}"#;
    refused(dir, "overlap.safetensors", &with(overlap, 24), "offset");
    let overflow = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,16]}}"#;
    refused(dir, "overflow.safetensors", &with(overflow, 16), "overflow");
    refused(
        dir,
        "mismatch.safetensors",
        &with(r#"{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}"#, 16),
        "invalid shape",
    );
    refused(
        dir,
        "backward.safetensors",
        &with(r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}"#, 16),
        "offset",
    );
    refused(
        dir,
        "negative.safetensors",
        &with(r#"{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}"#, 16),
        "damaged",
    );
    refused(
        dir,
        "trailing.safetensors",
        &with(r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#, 99),
        "follow the last",
    );
    refused(dir, "deep.safetensors", &with(&format!("{{\"a\":{}", "[".repeat(10_000)), 0), "damaged");
    refused(dir, "none.safetensors", &with(r#"{"__metadata__":{"format":"pt"}}"#, 0), "holds no tensors");
    refused(
        dir,
        "float8.safetensors",
        &with(r#"{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#, 4),
        "unsupported type",
    );
}

/// A pickle of `{"w": _rebuild_tensor_v2(FloatStorage "0" of `numel`, offset 0, shape, strides)}`.
fn tensor_pickle(numel: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let int = |out: &mut Vec<u8>, value: i64| {
        out.extend_from_slice(b"\x8a\x08");
        out.extend_from_slice(&value.to_le_bytes());
    };
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(b'X');
        out.extend_from_slice(&u32::try_from(text.len()).unwrap().to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    let mut out = b"\x80\x02}".to_vec();
    text(&mut out, "w");
    out.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(&mut out, "storage");
    out.extend_from_slice(b"ctorch\nFloatStorage\n");
    text(&mut out, "0");
    text(&mut out, "cpu");
    int(&mut out, numel);
    out.extend_from_slice(b"tQK\x00(");
    shape.iter().for_each(|&n| int(&mut out, n));
    out.extend_from_slice(b"t(");
    strides.iter().for_each(|&n| int(&mut out, n));
    out.extend_from_slice(b"t\x89}tRs.");
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// An entry of a zip: name, method, bytes as stored, size claimed.
type Packed<'a> = (&'a str, u16, &'a [u8], u32);

fn zip(entries: &[Packed<'_>]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, method, bytes, size) in entries {
        let offset = u32::try_from(out.len()).unwrap();
        let mut common = vec![20, 0, 0, 0];
        common.extend_from_slice(&method.to_le_bytes());
        common.extend_from_slice(&[0; 4]);
        common.extend_from_slice(&(if *method == 0 { crc32(bytes) } else { 0 }).to_le_bytes());
        common.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
        common.extend_from_slice(&size.to_le_bytes());
        common.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&common);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(bytes);
        directory.extend_from_slice(b"PK\x01\x02\x14\0");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let offset = u32::try_from(out.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&count);
    out.extend_from_slice(&count);
    out.extend_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

fn stored_zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let entries: Vec<Packed<'_>> =
        entries.iter().map(|&(name, bytes)| (name, 0, bytes, u32::try_from(bytes.len()).unwrap())).collect();
    zip(&entries)
}

fn checkpoint_zip(pickle: &[u8], data: &[u8]) -> Vec<u8> {
    stored_zip(&[("m/data.pkl", pickle), ("m/byteorder", b"little"), ("m/data/0", data)])
}

#[test]
fn the_hand_made_archive_is_good_when_it_is_honest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("good.pth");
    let data: Vec<u8> = [1.5f32, -2.0, 3.0, 0.25].iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(&path, checkpoint_zip(&tensor_pickle(4, &[2, 2], &[1, 2]), &data)).unwrap();
    // Column-major strides: the transpose of the storage.
    assert_eq!(open_and_read(&path).unwrap(), [("w".to_owned(), vec![1.5, 3.0, -2.0, 0.25])]);
}

#[test]
fn hostile_tensors_in_a_zip_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let data = [0u8; 16];
    let max = i64::MAX;
    refused(dir, "gib.pth", &checkpoint_zip(&tensor_pickle(1 << 28, &[1 << 28], &[1]), &data), "claims");
    refused(dir, "expanded.pth", &checkpoint_zip(&tensor_pickle(4, &[1 << 30], &[0]), &data), "claims");
    refused(dir, "overflow.pth", &checkpoint_zip(&tensor_pickle(4, &[max, max, max], &[1, 1, 1]), &data), "overflow");
    refused(dir, "stride.pth", &checkpoint_zip(&tensor_pickle(4, &[4, 4], &[max, 1]), &data), "overflow");
    refused(dir, "beyond.pth", &checkpoint_zip(&tensor_pickle(4, &[5], &[1]), &data), "declares 4");
    refused(dir, "negative.pth", &checkpoint_zip(&tensor_pickle(4, &[-1], &[1]), &data), "non-negative");
    refused(dir, "liar.pth", &checkpoint_zip(&tensor_pickle(1000, &[1000], &[1]), &data), "cut off");
    refused(dir, "absent.pth", &stored_zip(&[("m/data.pkl", &tensor_pickle(4, &[4], &[1]))]), "not found");
    let mut wrong = checkpoint_zip(&tensor_pickle(4, &[4], &[1]), &data);
    let at = wrong.windows(8).position(|window| window == b"m/data/0").unwrap() + 8;
    wrong[at] ^= 1;
    refused(dir, "checksum.pth", &wrong, "checksum");
    let program = stored_zip(&[("m/data.pkl", b"N."), ("m/constants.pkl", b"N."), ("m/code/__torch__.py", b"x")]);
    refused(dir, "script.pt", &program, "TorchScript");
}

#[test]
fn bombs_are_refused_before_they_swell() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // 1 byte of deflate that claims 4 GB, and one whose pickle claims 90 MB.
    let pickle = tensor_pickle(4, &[4], &[1]);
    let size = u32::try_from(pickle.len()).unwrap();
    let bomb = zip(&[("m/data.pkl", 0, &pickle, size), ("m/data/0", 8, b"\x03\0", u32::MAX - 1)]);
    refused(dir, "bomb.pth", &bomb, "zip bomb");
    refused(dir, "pickle_bomb.pth", &zip(&[("m/data.pkl", 8, b"\x03\0", 60 << 20)]), "is compressed");
    // Stored, but claiming more than the file has.
    refused(dir, "lying.pth", &zip(&[("m/data.pkl", 0, b"N.", 3 << 20)]), "lying.pth");
    // 3 million instructions that each keep a value.
    let mut many = b"\x80\x02".to_vec();
    many.resize(3_000_000, b'N');
    many.push(b'.');
    refused(dir, "many.pth", &checkpoint_zip(&many, &[]), "instructions");
    refused(dir, "many.pkl", &many, "instructions");
    // Tens of doublings of a list through the memo.
    let mut doubling = b"\x80\x02]q\x00".to_vec();
    for slot in 0..60u8 {
        doubling.extend_from_slice(&[b'(', b'h', slot, b'h', slot, b't', b'q', slot + 1]);
    }
    doubling.push(b'.');
    refused(dir, "memo.pkl", &doubling, "memo bomb");
}

#[test]
fn ten_thousand_levels_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, wrap) in [("tuples", b"\x85".as_slice()), ("lists", b"l")] {
        let mut pickle = b"\x80\x02".to_vec();
        if name == "lists" {
            pickle.extend(std::iter::repeat_n(b'(', 10_001));
        }
        pickle.push(b'N');
        pickle.extend(wrap.repeat(10_000));
        pickle.push(b'.');
        refused(dir.path(), &format!("deep_{name}.pkl"), &pickle, "1000 levels");
        refused(dir.path(), &format!("deep_{name}.pth"), &checkpoint_zip(&pickle, &[]), "1000 levels");
    }
}

/// The tar with an extended header of this kind before its first member.
fn with_tar_header(tar: &[u8], kind: u8, body: &[u8]) -> Vec<u8> {
    let mut header = tar[..512].to_vec();
    header[..100].fill(0);
    header[..4].copy_from_slice(b"././");
    header[124..136].copy_from_slice(format!("{:011o}\0", body.len()).as_bytes());
    header[156] = kind;
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend_from_slice(body);
    header.resize(1024, 0);
    header.extend_from_slice(tar);
    header
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_opened() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    for (name, target, words) in [
        ("zero.pth", "/dev/zero", "is not a regular file"),
        ("random.safetensors", "/dev/urandom", "is not a regular file"),
        ("loop.pth", "loop.pth", "could not be read"),
        ("dangling.pth", "/nowhere/x.pth", "could not be read"),
        // Files of the system say that they are empty; reading some would wait forever.
        ("proc.pth", "/proc/self/stat", "is empty"),
    ] {
        if name == "proc.pth" && !Path::new(target).exists() {
            continue;
        }
        let path = dir.path().join(name);
        symlink(target, &path).unwrap();
        let error = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(words), "{error}");
    }
}

#[test]
fn an_archive_that_can_be_read_in_two_ways_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = checkpoint_zip(&tensor_pickle(4, &[4], &[1]), &[0; 16]);
    let end = good.windows(4).rposition(|window| window == b"PK\x05\x06").unwrap();
    // A second end record, in the comment of the first.
    let mut two = good.clone();
    two[end + 20] = 22;
    two.extend_from_slice(&good[end..]);
    refused(dir.path(), "two.pth", &two, "two directories");
    let compressed = zip(&[("m/data.pkl", 8, b"\x03\0", 0), ("m/data/0", 0, &[0; 16], 16)]);
    refused(dir.path(), "compressed.pth", &compressed, "m/data.pkl is compressed");
}

#[test]
fn a_legacy_stream_and_a_tar_are_checked_too() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let good = std::fs::read(fixture("legacy_state_dict.pth")).unwrap();
    let at = good.len() - 8 - 40;
    // The count before the last storage, one bit wrong.
    let mut count = good.clone();
    count[at] ^= 2;
    refused(dir, "count.pth", &count, "declares");
    let mut endless = good[..20].to_vec();
    endless.resize(3_000_000, b'N');
    refused(dir, "endless.pth", &endless, "instructions");
    let mut sparse = std::fs::read(fixture("tar_state_dict.pth")).unwrap();
    let member = (0..sparse.len()).step_by(512).find(|&at| sparse[at..].starts_with(b"storages\0")).unwrap();
    sparse[member + 156] = b'S';
    refused(dir, "holes.pth", &sparse, "holes");
    // Headers that give the member after them another name or size: what is checked would not be what is read.
    let good = std::fs::read(fixture("tar_state_dict.pth")).unwrap();
    refused(dir, "long_name.pth", &with_tar_header(&good, b'L', b"pickle\0"), "long names");
    refused(dir, "renamed.pth", &with_tar_header(&good, b'x', b"15 path=pickle\n"), "other names or sizes");
    refused(dir, "resized.pth", &with_tar_header(&good, b'x', b"16 size=1000000\n"), "other names or sizes");
    // Python writes one for a time of change with a fraction, as torch's own first files have.
    let path = dir.join("time.pth");
    std::fs::write(&path, with_tar_header(&good, b'x', b"20 mtime=1488.25001\n")).unwrap();
    assert_eq!(open_and_read(&path).unwrap(), open_and_read(&fixture("tar_state_dict.pth")).unwrap());
}

#[test]
fn a_pickle_runs_nothing() {
    // os.system("touch MARK"), as a root and beside a tensor.
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let command = format!("touch {}", mark.display());
    let mut call = b"cos\nsystem\nX".to_vec();
    call.extend_from_slice(&u32::try_from(command.len()).unwrap().to_le_bytes());
    call.extend_from_slice(command.as_bytes());
    call.extend_from_slice(b"\x85R");
    let root = [b"\x80\x02".as_slice(), &call, b"."].concat();
    refused(
        dir.path(),
        "call.pkl",
        &root,
        "its root is os.system, not a dictionary of tensors; nothing in it was executed",
    );
    let honest = tensor_pickle(4, &[4], &[1]);
    let body = honest.strip_suffix(b".").unwrap();
    let beside = [body, b"X\x01\0\0\0x", &call, b"s."].concat();
    let path = dir.path().join("beside.pth");
    std::fs::write(&path, checkpoint_zip(&beside, &[0; 16])).unwrap();
    assert_eq!(open_and_read(&path).unwrap(), [("w".to_owned(), vec![0.0; 4])]);
    assert!(!mark.exists());
}
