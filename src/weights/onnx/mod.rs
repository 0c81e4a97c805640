//! Writes `.onnx` from the graph's own record of its layers, and runs such a file.
//!
//! ```text
//! Facts::layers ─ lower ─► operations ─┐
//! tensors under their public names ────┴► write ─► Draft ─ run (tract) ─ the same answers? ─► the file
//! ```

mod asked;
mod boxes;
mod lower;
mod proto;
mod rows;
mod run;

pub use asked::PromptFile;
pub use boxes::{BoxForm, BoxOutput, MOST_OF_A_CLASS};
pub use run::{ENGINE, OnnxInput, OnnxOutput, run_onnx, run_onnx_named};

use super::draft::Draft;
use super::error::WeightsError;
use crate::graph::{Facts, Graph};
use crate::models::HostTensor;
use lower::Numbers;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use std::collections::HashSet;
use std::io::Write;

/// The operator set: 14 brought HardSwish, and every runtime of the last years knows 17.
const OPSET: i64 = 17;
/// The version of the file format that came with it.
const IR_VERSION: i64 = 8;
/// Protobuf readers refuse messages of 2 GiB and more.
const MAX_BYTES: u64 = 1 << 31;

/// Writes a network for inference into `draft`: batch normalisations with their stored statistics, the batch axis free,
/// the outputs named as the heads or, of a detector, what `boxes` asks for. `notes` become the file's `metadata_props`.
///
/// # Errors
/// What cannot be said in ONNX, a file that would be too large, or the operating system's refusal.
pub fn write_onnx(
    draft: &Draft,
    graph: &Graph,
    facts: &Facts,
    tensors: &[HostTensor],
    boxes: &BoxOutput,
    notes: &[(String, String)],
) -> Result<(), WeightsError> {
    let lowered = lower::lower(graph, facts, boxes).map_err(|what| draft.failed(what))?;
    write(draft, graph, &lowered, tensors, notes)
}

/// Writes one of the two files of a network that takes prompts, with the tensors that it needs: the names of inputs and outputs are
/// those of `segment_anything`'s own export.
///
/// # Errors
/// As [`write_onnx`]; also for a network that takes no prompts.
pub fn write_onnx_prompted(
    draft: &Draft,
    graph: &Graph,
    facts: &Facts,
    tensors: &[HostTensor],
    which: PromptFile,
    notes: &[(String, String)],
) -> Result<(), WeightsError> {
    let lowered = asked::lower(graph, facts, which).map_err(|what| draft.failed(what))?;
    let read: HashSet<&str> = lowered.graph.node.iter().flat_map(|node| &node.input).map(String::as_str).collect();
    let needed: Vec<HostTensor> =
        tensors.iter().filter(|tensor| read.contains(tensor.spec.name.as_str())).cloned().collect();
    write(draft, graph, &lowered, &needed, notes)
}

fn write(
    draft: &Draft,
    graph: &Graph,
    lowered: &lower::Lowered,
    tensors: &[HostTensor],
    notes: &[(String, String)],
) -> Result<(), WeightsError> {
    let mut initializers: Vec<Initializer<'_>> = Vec::with_capacity(tensors.len() + lowered.constants.len());
    for tensor in tensors {
        initializers.push(Initializer::new(&tensor.spec.name, &tensor.spec.shape, Values::Float(&tensor.values)));
    }
    for constant in &lowered.constants {
        let values = match &constant.values {
            Numbers::Float(values) => Values::Float(values),
            Numbers::Whole(values) => Values::Whole(values),
        };
        initializers.push(Initializer::new(&constant.name, &constant.shape, values));
    }
    let note = |(key, value): &(String, String)| proto::Entry { key: key.clone(), value: value.clone() };
    let model = proto::Model {
        ir_version: IR_VERSION,
        producer_name: "frostline".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: format!("{}, written by Frostline", graph.name),
        opset_import: vec![proto::Opset { domain: String::new(), version: OPSET }],
        metadata_props: notes.iter().map(note).collect(),
    };
    let field = |tag: u32, len: u64| key_len(tag) as u64 + encoded_len_varint(len) as u64 + len;
    let graph_len = lowered.graph.encoded_len() as u64
        + initializers.iter().map(|tensor| field(proto::GRAPH_INITIALIZER, tensor.len())).sum::<u64>();
    let total = model.encoded_len() as u64 + field(proto::MODEL_GRAPH, graph_len);
    if total >= MAX_BYTES {
        return Err(draft.failed(format!(
            "it would have {:.1} GB, and an ONNX file in one piece ends at 2 GB; write .safetensors instead",
            total as f64 / 1e9
        )));
    }
    draft.write(|out| {
        out.write_all(&model.encode_to_vec())?;
        begin(out, proto::MODEL_GRAPH, graph_len)?;
        out.write_all(&lowered.graph.encode_to_vec())?;
        for tensor in &initializers {
            begin(out, proto::GRAPH_INITIALIZER, tensor.len())?;
            out.write_all(&tensor.head)?;
            begin(out, proto::TENSOR_RAW_DATA, tensor.bytes())?;
            match tensor.values {
                Values::Float(values) => values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))?,
                Values::Whole(values) => values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))?,
            }
        }
        Ok(())
    })
}

/// Starts a field of `len` bytes.
fn begin(out: &mut impl Write, tag: u32, len: u64) -> std::io::Result<()> {
    let mut start = Vec::new();
    encode_key(tag, WireType::LengthDelimited, &mut start);
    encode_varint(len, &mut start);
    out.write_all(&start)
}

#[derive(Clone, Copy)]
enum Values<'a> {
    Float(&'a [f32]),
    Whole(&'a [i64]),
}

/// A tensor whose values are written straight from where they lie.
struct Initializer<'a> {
    head: Vec<u8>,
    values: Values<'a>,
}

impl<'a> Initializer<'a> {
    fn new(name: &str, shape: &[usize], values: Values<'a>) -> Self {
        let dims = shape.iter().map(|&n| n as i64).collect();
        let data_type = match values {
            Values::Float(_) => proto::FLOAT,
            Values::Whole(_) => proto::INT64,
        };
        let head = proto::Tensor { dims, data_type, name: name.to_owned() }.encode_to_vec();
        Self { head, values }
    }

    fn bytes(&self) -> u64 {
        match self.values {
            Values::Float(values) => size_of_val(values) as u64,
            Values::Whole(values) => size_of_val(values) as u64,
        }
    }

    fn len(&self) -> u64 {
        let bytes = self.bytes();
        self.head.len() as u64 + key_len(proto::TENSOR_RAW_DATA) as u64 + encoded_len_varint(bytes) as u64 + bytes
    }
}
