//! Writes `.safetensors` under torch's names.
//!
//! `safetensors.torch.load_file` and `load_state_dict(strict=True)` accept the result: BatchNorm fills in
//! `num_batches_tracked` itself when a state dict carries no version, so the counters need not be written
//! (run with torch 2.15.0 on a ResNet-18 written by this code).

use super::PlainTensor;
use super::draft::Draft;
use super::error::WeightsError;
use half::f16;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::path::Path;

/// Type of the written values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveDtype {
    /// 4 bytes a value, exact.
    F32,
    /// 2 bytes a value, rounded to nearest even.
    F16,
}

/// Writes `tensors` (name, shape, row-major values) to `path`, whole or not at all: a temporary file in the same
/// folder is written, synced and renamed. `metadata` is stored as it is, with `format` = `pt` added where absent,
/// since transformers and timm refuse files without it. The same input gives the same bytes.
///
/// # Errors
/// A shape that does not agree with its values, a name given twice, a finite value beyond f16's range, or the
/// operating system's refusal. `path` is then as it was before.
pub fn save_safetensors(
    path: &Path,
    tensors: &[PlainTensor],
    dtype: SaveDtype,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let views: Vec<TensorView<'_>> =
        tensors.iter().map(|(name, shape, values)| TensorView { name, shape, values }).collect();
    save_views(path, &views, dtype, metadata)
}

/// A tensor that lies somewhere else.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
    /// Row-major values.
    pub values: &'a [f32],
}

/// [`save_safetensors`] without copies of the tensors.
///
/// # Errors
/// The same.
pub fn save_views(
    path: &Path,
    tensors: &[TensorView<'_>],
    dtype: SaveDtype,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let header = header(tensors, dtype, metadata).map_err(|what| WeightsError::save(path, what))?;
    let draft = Draft::new(path)?;
    draft.write(|out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        let mut bytes = Vec::new();
        for part in tensors.iter().flat_map(|tensor| tensor.values.chunks(PART)) {
            match dtype {
                SaveDtype::F32 => little_endian(part, &mut bytes, f32::to_le_bytes),
                SaveDtype::F16 => little_endian(part, &mut bytes, |value| f16::from_f32(value).to_le_bytes()),
            }
            out.write_all(&bytes)?;
        }
        Ok(())
    })?;
    draft.publish()
}

/// Values that are written at a time.
const PART: usize = 1 << 18;

/// Fills `bytes` with the values. (A loop over pieces of one length becomes a copy of memory.)
fn little_endian<const N: usize>(values: &[f32], bytes: &mut Vec<u8>, write: impl Fn(f32) -> [u8; N]) {
    bytes.resize(N * values.len(), 0);
    for (to, value) in bytes.chunks_exact_mut(N).zip(values) {
        to.copy_from_slice(&write(*value));
    }
}

/// The JSON header, padded with spaces so that the data begins at a multiple of eight.
fn header(
    tensors: &[TensorView<'_>],
    dtype: SaveDtype,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, String> {
    let mut seen = HashSet::new();
    for TensorView { name, shape, values } in tensors {
        if *name == "__metadata__" || !seen.insert(name) {
            return Err(format!("the name {name} is given twice or is reserved"));
        }
        if shape.iter().product::<usize>() != values.len() {
            return Err(format!("{name} has {} values, and its shape {shape:?} asks for others", values.len()));
        }
        let fits = |value: &f32| !value.is_finite() || f16::from_f32(*value).is_finite();
        if dtype == SaveDtype::F16 && !values.iter().all(fits) {
            return Err(format!("{name} holds a value beyond the range of f16 (65504)"));
        }
    }
    let mut metadata = metadata.clone();
    metadata.entry("format".to_owned()).or_insert_with(|| "pt".to_owned());
    let mut json = serde_json::to_vec(&Header { tensors, dtype, metadata }).map_err(|error| error.to_string())?;
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok(json)
}

struct Header<'a> {
    tensors: &'a [TensorView<'a>],
    dtype: SaveDtype,
    metadata: BTreeMap<String, String>,
}

#[derive(serde::Serialize)]
struct TensorHeader<'a> {
    dtype: &'static str,
    shape: &'a [usize],
    data_offsets: [usize; 2],
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (dtype, size) = match self.dtype {
            SaveDtype::F32 => ("F32", 4),
            SaveDtype::F16 => ("F16", 2),
        };
        let mut map = serializer.serialize_map(Some(self.tensors.len() + 1))?;
        map.serialize_entry("__metadata__", &self.metadata)?;
        let mut start = 0;
        for TensorView { name, shape, values } in self.tensors {
            let end = start + values.len() * size;
            map.serialize_entry(name, &TensorHeader { dtype, shape, data_offsets: [start, end] })?;
            start = end;
        }
        map.end()
    }
}
