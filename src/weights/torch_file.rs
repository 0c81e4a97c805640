//! `.pth` files, through `pytorch-reader`.

use super::checkpoint::{Container, Entry, MAX_NAME, MAX_TENSORS};
use super::classes;
use super::error::{WeightsError, quote};
use super::guard;
use super::legacy_module::without_modules;
use pytorch_reader::{PickleError, PickleValue, PytorchError, PytorchReader};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest text value kept as metadata, and how many values.
const METADATA_TEXT: usize = 200;
const METADATA_VALUES: usize = 64;

/// What a PyTorch file holds.
pub(super) struct Contents {
    pub entries: BTreeMap<String, Entry>,
    pub metadata: BTreeMap<String, String>,
    /// Dotted paths of dictionaries that are nested in the root one, to three levels.
    pub dictionaries: BTreeSet<String>,
    /// Keeps the file that is really read, where that is a copy.
    pub copy: Option<ReadableCopy>,
}

/// A temporary copy of a file that the reader would misread, changed so that it does not. Removed when dropped.
#[derive(Debug)]
pub(super) struct ReadableCopy(PathBuf);

impl ReadableCopy {
    fn create() -> io::Result<(Self, File)> {
        static COPIES: AtomicU64 = AtomicU64::new(0);
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("frostline-{}-{number}.pth", std::process::id()));
        let out = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok((Self(path), out))
    }

    /// A zip whose count of entries makes the `zip` crate look for the zip64 record.
    fn of_zip(file: &File, end: u64) -> io::Result<Self> {
        let (copy, mut out) = Self::create()?;
        let mut source = file.try_clone()?;
        source.rewind()?;
        io::copy(&mut source, &mut out)?;
        // The 16-bit count of entries, all ones: "see the zip64 record".
        out.seek(SeekFrom::Start(end + 8))?;
        out.write_all(&[0xff; 4])?;
        Ok(copy)
    }

    /// A legacy file without the ids of its classes; none where it has none.
    fn of_whole_model(file: &File) -> io::Result<Option<Self>> {
        let (copy, out) = Self::create()?;
        let mut out = BufWriter::new(out);
        let found = without_modules(file, &mut out)?;
        out.flush()?;
        Ok(found.map(|()| copy))
    }
}

impl Drop for ReadableCopy {
    fn drop(&mut self) {
        // In the system's temporary folder: a leftover is removed by the system.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Opens `path`, whose first bytes announce `container`. Parses names and shapes; tensor bytes stay in the file.
pub(super) fn open(path: &Path, file: &File, file_len: u64, container: Container) -> Result<Contents, WeightsError> {
    let misread_end = guard::check(path, file, file_len, container)?;
    // The structure alone comes first: full names are only made where they are bounded.
    let structure = |readable: &Path| run(path, container, || PytorchReader::read_pickle_data(readable, None));
    let (root, copy) = match structure(path) {
        Ok(root) => (root, None),
        Err(error) => {
            let copy = match (container, misread_end) {
                (_, Some(end)) => ReadableCopy::of_zip(file, end).map(Some),
                (Container::Legacy, None) => ReadableCopy::of_whole_model(file),
                _ => Ok(None),
            };
            let Some(copy) = copy.map_err(|error| WeightsError::io(path, error))? else { return Err(error) };
            (structure(&copy.0)?, Some(copy))
        }
    };
    let (mut metadata, mut dictionaries) = (BTreeMap::new(), BTreeSet::new());
    if let PickleValue::Dict(root) = &root {
        let mut tensors = 0;
        check_names(root, 0, &mut tensors).map_err(|what| WeightsError::refused(path, what))?;
        metadata = plain_values(root);
        classes::keep_names(root, &mut metadata);
        note_dictionaries(root, "", 3, &mut dictionaries);
    }
    drop(root);
    let readable = copy.as_ref().map_or(path, |copy| copy.0.as_path());
    let limit = guard::tensor_limit(file_len);
    let mut entries = BTreeMap::new();
    for (name, tensor) in run(path, container, || PytorchReader::new(readable))?.into_tensors() {
        let bytes = tensor.byte_len() as u64;
        if bytes > limit {
            let what = format!("its tensor {} claims {bytes} bytes in a file of {file_len}", quote(&name));
            return Err(WeightsError::refused(path, what));
        }
        entries.insert(name, Entry::torch(tensor));
    }
    Ok(Contents { entries, metadata, dictionaries, copy })
}

/// Runs the reader behind the fence.
fn run<T>(
    path: &Path,
    container: Container,
    work: impl FnOnce() -> Result<T, PytorchError>,
) -> Result<T, WeightsError> {
    fenced(work)
        .ok_or_else(|| WeightsError::malformed(path, container.name(), "its structure is damaged"))?
        .map_err(|error| explain(path, container, &error))
}

/// Refuses more tensors than any network has, and names longer than any. A name is the keys on the way to a tensor:
/// a few long keys above many tensors would ask for far more memory than the file has bytes.
fn check_names(dict: &HashMap<String, PickleValue>, above: usize, tensors: &mut usize) -> Result<(), String> {
    dict.iter().try_for_each(|(key, value)| check_name(value, above + key.len() + 1, tensors))
}

fn check_name(value: &PickleValue, length: usize, tensors: &mut usize) -> Result<(), String> {
    match value {
        PickleValue::Dict(dict) => check_names(dict, length, tensors),
        // An index has a few digits.
        PickleValue::List(items) => items.iter().try_for_each(|item| check_name(item, length + 8, tensors)),
        PickleValue::Unsupported(kind) if kind == "torch.Tensor" => {
            *tensors += 1;
            if *tensors > MAX_TENSORS {
                Err(format!("it holds more than {MAX_TENSORS} tensors"))
            } else if length > MAX_NAME {
                Err(format!("the name of a tensor has {length} bytes"))
            } else {
                Ok(())
            }
        }
        _ => Ok(()),
    }
}

/// The bytes of one tensor, row-major, little-endian.
pub(super) fn bytes(
    path: &Path,
    container: Container,
    tensor: &pytorch_reader::Tensor,
) -> Result<Vec<u8>, WeightsError> {
    match fenced(|| tensor.read()) {
        Some(Ok(bytes)) => Ok(bytes),
        Some(Err(error)) => Err(explain(path, container, &PytorchError::Io(error))),
        None => Err(WeightsError::malformed(path, container.name(), format!("tensor {} is damaged", tensor.name))),
    }
}

/// The last fence: the reader is careful, but the file is anyone's, and a panic must not take the session down.
fn fenced<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Turns the reader's error into one sentence.
fn explain(path: &Path, container: Container, error: &PytorchError) -> WeightsError {
    let cut_off = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    match error {
        PytorchError::Io(inner) | PytorchError::Tar(inner) | PytorchError::Pickle(PickleError::Io(inner)) => {
            if inner.raw_os_error().is_some() {
                return WeightsError::io(path, io::Error::new(inner.kind(), inner.to_string()));
            }
            if cut_off(inner) {
                return WeightsError::truncated(path, inner.to_string());
            }
            WeightsError::malformed(path, container.name(), inner.to_string())
        }
        PytorchError::InvalidFormat(what) if what.contains("found ") && what.contains("dictionary at the root") => {
            let found = what.rsplit("found ").next().unwrap_or("something else");
            let what = format!("its root is {found}, not a dictionary of tensors; nothing in it was executed");
            WeightsError::not_a_checkpoint(path, format!("is not a checkpoint: {what}"))
        }
        PytorchError::InvalidFormat(what) if what.contains("beyond the end of the file") => {
            WeightsError::truncated(path, what)
        }
        PytorchError::Pickle(PickleError::UnsupportedType(kind)) => {
            WeightsError::malformed(path, container.name(), format!("it holds tensors as {kind}, which are not read"))
        }
        PytorchError::Pickle(PickleError::InvalidData(what)) => WeightsError::malformed(path, container.name(), what),
        other => WeightsError::malformed(path, container.name(), other.to_string()),
    }
}

/// The values beside the tensors that can be shown: epoch, architecture.
fn plain_values(root: &HashMap<String, PickleValue>) -> BTreeMap<String, String> {
    let values = root.iter().filter_map(|(key, value)| Some((key, scalar_text(value)?)));
    values.take(METADATA_VALUES).map(|(key, text)| (key.chars().take(METADATA_TEXT).collect(), text)).collect()
}

fn scalar_text(value: &PickleValue) -> Option<String> {
    match value {
        PickleValue::Bool(value) => Some(value.to_string()),
        PickleValue::Int(value) => Some(value.to_string()),
        PickleValue::Float(value) => Some(value.to_string()),
        PickleValue::String(value) => Some(value.chars().take(METADATA_TEXT).collect()),
        _ => None,
    }
}

fn note_dictionaries(dict: &HashMap<String, PickleValue>, prefix: &str, levels: usize, found: &mut BTreeSet<String>) {
    for (key, value) in dict {
        if let PickleValue::Dict(inner) = value
            && levels > 0
            && found.len() < 1000
            && key.len() <= MAX_NAME
        {
            let name = format!("{prefix}{key}");
            note_dictionaries(inner, &format!("{name}."), levels - 1, found);
            found.insert(name);
        }
    }
}
