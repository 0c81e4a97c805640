//! An opened checkpoint: names, shapes and types, with the bytes still in the file.

use super::convert::Dtype;
use super::error::{WeightsError, quote};
use super::matching::known_prefix;
use super::sniff;
use super::torch_file::{self, ReadableCopy};
use safetensors::tensor::Metadata;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Longest safetensors header accepted; the largest published ones have about 1 MB.
const MAX_HEADER: u64 = 8 << 20;
/// Most tensors, bytes of a tensor's name and dimensions accepted: far more than any network has, and few enough that
/// comparing them with every model takes no time.
pub(super) const MAX_TENSORS: usize = 50_000;
pub(super) const MAX_NAME: usize = 1000;
const MAX_DIMENSIONS: usize = 64;

/// How the tensors are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// torch 1.6 and later.
    Zip,
    /// torch 0.1.10 to 1.5: pickles followed by raw storages.
    Legacy,
    /// torch before 0.1.10.
    Tar,
    /// A pickle alone, which cannot hold tensors of torch.
    Pickle,
    /// Hugging Face's safetensors.
    Safetensors,
}

impl Container {
    /// The name for people: `PyTorch zip`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zip => "PyTorch zip",
            Self::Legacy => "PyTorch legacy",
            Self::Tar => "PyTorch tar",
            Self::Pickle => "pickle",
            Self::Safetensors => "safetensors",
        }
    }
}

/// One tensor of a checkpoint.
#[derive(Debug)]
pub struct Entry {
    /// Shape in torch's layout; empty for a scalar.
    pub shape: Vec<usize>,
    /// Type in the file.
    pub dtype: Dtype,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Torch(pytorch_reader::Tensor),
    /// Bytes `start..start + len` of the file.
    Span {
        start: u64,
        len: usize,
    },
}

impl Entry {
    pub(super) fn torch(tensor: pytorch_reader::Tensor) -> Self {
        Self { shape: tensor.shape().to_vec(), dtype: tensor.dtype().into(), data: Data::Torch(tensor) }
    }
}

/// An opened checkpoint file. Opening reads names and shapes; [`Checkpoint::read_f32`] reads a tensor.
#[derive(Debug)]
pub struct Checkpoint {
    /// The file.
    pub path: PathBuf,
    /// How it is packed.
    pub format: Container,
    /// The dictionary inside the file that holds the weights (`state_dict`), as far as that can be told
    /// without a network; [`super::plan`] decides again with one.
    pub nested_under: Option<String>,
    /// The wrapper's prefix that all names share (`module.`), likewise.
    pub stripped_prefix: Option<String>,
    /// What the file says about itself: safetensors' `__metadata__`, or plain values beside the tensors (epoch, arch).
    pub metadata: BTreeMap<String, String>,
    /// The tensors, under their full names in the file (`state_dict.module.conv1.weight`).
    pub entries: BTreeMap<String, Entry>,
    /// Dotted paths of the dictionaries nested in the file.
    pub(super) dictionaries: BTreeSet<String>,
    /// Kept open, so that a file that is replaced meanwhile still reads as it was opened.
    file: Mutex<File>,
    /// After the entries, which read from it: fields are dropped in this order.
    _copy: Option<ReadableCopy>,
}

impl Checkpoint {
    /// Opens a checkpoint of any supported container, told by its bytes and not by its extension.
    ///
    /// # Errors
    /// One sentence with the file's name: missing, not a checkpoint (and what instead), cut off, damaged,
    /// refused for what it would cost, or without tensors.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let io = |error| WeightsError::io(path, error);
        let about = std::fs::metadata(path).map_err(io)?;
        if about.is_dir() {
            return Err(WeightsError::not_a_checkpoint(path, "is a folder, not a checkpoint file"));
        }
        if !about.is_file() {
            // Opening a pipe or a terminal would wait for a writer forever.
            return Err(WeightsError::not_a_checkpoint(path, "is not a regular file"));
        }
        let mut file = File::open(path).map_err(io)?;
        let file_len = file.metadata().map_err(io)?.len();
        let mut head = Vec::new();
        // What claims to be empty is not read: files of the system such as /proc/kmsg would block.
        let sniffed = if file_len == 0 { 0 } else { sniff::SNIFF_LEN as u64 };
        (&file).take(sniffed).read_to_end(&mut head).map_err(io)?;
        let format = sniff::container(path, &head)?;
        let (entries, metadata, dictionaries, copy) = if format == Container::Safetensors {
            let (entries, metadata) = open_safetensors(path, &mut file, file_len)?;
            (entries, metadata, BTreeSet::new(), None)
        } else {
            let contents = torch_file::open(path, &file, file_len, format)?;
            (contents.entries, contents.metadata, contents.dictionaries, contents.copy)
        };
        if entries.is_empty() {
            let keys: Vec<_> = metadata.keys().chain(&dictionaries).take(5).map(|key| quote(key)).collect();
            let what = if keys.is_empty() { "it is empty".to_owned() } else { format!("only {}", keys.join(", ")) };
            return Err(WeightsError::NoTensors { path: path.to_path_buf(), what });
        }
        if let Some(what) = absurd(&entries) {
            return Err(WeightsError::refused(path, what));
        }
        let (nested_under, stripped_prefix) = guess_nesting(&entries, &dictionaries);
        let path = path.to_path_buf();
        let file = Mutex::new(file);
        Ok(Self { path, format, nested_under, stripped_prefix, metadata, entries, dictionaries, file, _copy: copy })
    }

    /// The tensors' full names in the file, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Reads one tensor, row-major, converted to `f32` whatever its type (`bool` as 0 and 1).
    ///
    /// # Errors
    /// The tensor does not exist, its bytes are missing or damaged, or its type has no conversion.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| WeightsError::UnknownTensor { path: self.path.clone(), name: quote(name) })?;
        let bytes = match &entry.data {
            Data::Torch(tensor) => torch_file::bytes(&self.path, self.format, tensor)?,
            Data::Span { start, len } => self.span(*start, *len)?,
        };
        let values = entry.dtype.to_f32(&bytes).ok_or_else(|| {
            WeightsError::malformed(
                &self.path,
                self.format.name(),
                format!("tensor {name} is of {}", entry.dtype.name()),
            )
        })?;
        let expected: usize = entry.shape.iter().product();
        if values.len() == expected {
            Ok(values)
        } else {
            Err(WeightsError::malformed(
                &self.path,
                self.format.name(),
                format!("tensor {name} has {} values, and its shape asks for {expected}", values.len()),
            ))
        }
    }

    fn span(&self, start: u64, len: usize) -> Result<Vec<u8>, WeightsError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; len];
        file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes)).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::UnexpectedEof => WeightsError::truncated(&self.path, "it shrank while open"),
                _ => WeightsError::io(&self.path, error),
            }
        })?;
        Ok(bytes)
    }
}

/// What no network has, in words.
fn absurd(entries: &BTreeMap<String, Entry>) -> Option<String> {
    if entries.len() > MAX_TENSORS {
        return Some(format!("it holds more than {MAX_TENSORS} tensors"));
    }
    entries.iter().find_map(|(name, entry)| {
        if name.len() > MAX_NAME {
            Some(format!("the name of a tensor has {} bytes", name.len()))
        } else if entry.shape.len() > MAX_DIMENSIONS {
            Some(format!("its tensor {} has {} dimensions", quote(name), entry.shape.len()))
        } else {
            None
        }
    })
}

type SafetensorsContents = (BTreeMap<String, Entry>, BTreeMap<String, String>);

/// Reads a safetensors header: eight bytes of length, then JSON, then the tensors without gaps.
fn open_safetensors(path: &Path, file: &mut File, file_len: u64) -> Result<SafetensorsContents, WeightsError> {
    let io = |error| WeightsError::io(path, error);
    let bad = |what: String| WeightsError::malformed(path, "safetensors", what);
    let mut length = [0; 8];
    file.rewind().and_then(|()| file.read_exact(&mut length)).map_err(io)?;
    let header_len = u64::from_le_bytes(length);
    if header_len > MAX_HEADER {
        return Err(WeightsError::refused(path, format!("its safetensors header claims {header_len} bytes")));
    }
    if header_len > file_len - 8 {
        return Err(WeightsError::truncated(path, format!("its header has {header_len} bytes, the file {file_len}")));
    }
    let mut header = Vec::new();
    (&*file).take(header_len).read_to_end(&mut header).map_err(io)?;
    // Deserializing also checks that shapes, types and offsets agree and that the tensors follow without gaps.
    let header: Metadata =
        serde_json::from_slice(&header).map_err(|error| bad(format!("its header is damaged: {error}")))?;
    let data_start = 8 + header_len;
    let (held, claimed) = (file_len - data_start, header.data_len() as u64);
    if held < claimed {
        return Err(WeightsError::truncated(path, format!("{held} of {claimed} data bytes are there")));
    }
    if held > claimed {
        return Err(bad(format!("{} bytes follow the last tensor", held - claimed)));
    }
    let mut entries = BTreeMap::new();
    for (name, info) in header.tensors() {
        let (start, end) = info.data_offsets;
        let data = Data::Span { start: data_start + start as u64, len: end - start };
        entries.insert(name, Entry { shape: info.shape.clone(), dtype: info.dtype.into(), data });
    }
    let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok((entries, metadata))
}

/// Dictionary keys under which training scripts keep the weights, the averaged ones first.
const WEIGHT_KEYS: &[&str] = &[
    "ema",
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "params_ema",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "weights",
    "params",
];

/// Where the weights probably are, without a network to compare with.
fn guess_nesting(
    entries: &BTreeMap<String, Entry>,
    dictionaries: &BTreeSet<String>,
) -> (Option<String>, Option<String>) {
    let under = |prefix: &str| {
        entries.range(prefix.to_owned()..).take_while({
            let prefix = prefix.to_owned();
            move |(name, _)| name.starts_with(&prefix)
        })
    };
    let rank = |path: &str| {
        let key = path.rsplit('.').next().unwrap_or(path);
        let priority = WEIGHT_KEYS.iter().position(|known| *known == key)?;
        Some((path.matches('.').count(), priority))
    };
    let nested = dictionaries
        .iter()
        .filter_map(|path| Some((rank(path)?, path)))
        .filter(|(_, path)| under(&format!("{path}.")).next().is_some())
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, path)| path.clone());
    let base = nested.as_ref().map(|key| format!("{key}.")).unwrap_or_default();
    let mut stripped = String::new();
    loop {
        let start = format!("{base}{stripped}");
        let mut names = under(&base).map(|(name, _)| name.get(start.len()..).unwrap_or_default());
        let Some(prefix) = names.next().and_then(known_prefix) else { break };
        let all = under(&base).all(|(name, _)| name.get(start.len()..).is_some_and(|rest| rest.starts_with(prefix)));
        if !all || stripped.len() > 64 {
            break;
        }
        stripped.push_str(prefix);
    }
    (nested, Some(stripped).filter(|stripped| !stripped.is_empty()))
}
