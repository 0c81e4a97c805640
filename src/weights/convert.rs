//! Element types, and their conversion to `f32`.

use half::{bf16, f16};
use serde::Serialize;

/// Element type of a stored tensor, under torch's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the variants are torch's dtype names")]
pub enum Dtype {
    Float64,
    Float32,
    Float16,
    BFloat16,
    Int64,
    Int32,
    Int16,
    Int8,
    UInt64,
    UInt32,
    UInt16,
    UInt8,
    Bool,
    /// A type that exists in files but that nothing here computes with (float8, complex, sub-byte).
    Unsupported,
}

impl Dtype {
    /// torch's name: `float32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float64 => "float64",
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::BFloat16 => "bfloat16",
            Self::Int64 => "int64",
            Self::Int32 => "int32",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
            Self::UInt64 => "uint64",
            Self::UInt32 => "uint32",
            Self::UInt16 => "uint16",
            Self::UInt8 => "uint8",
            Self::Bool => "bool",
            Self::Unsupported => "an unsupported type",
        }
    }

    /// Whether weights can be of this type. Integers (step counters, quantized weights) are listed, not loaded.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float64 | Self::Float32 | Self::Float16 | Self::BFloat16)
    }

    /// Converts little-endian row-major bytes to `f32`, or `None` where the type has no conversion.
    /// A trailing partial element is dropped: callers have checked the length.
    pub(super) fn to_f32(self, bytes: &[u8]) -> Option<Vec<f32>> {
        fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
        }
        Some(match self {
            Self::Float64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::Float32 => each(bytes, f32::from_le_bytes),
            Self::Float16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Self::BFloat16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Self::Int64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
            Self::Int32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::Int16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
            Self::Int8 => each(bytes, |b| f32::from(i8::from_le_bytes(b))),
            Self::UInt64 => each(bytes, |b| u64::from_le_bytes(b) as f32),
            Self::UInt32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
            Self::UInt16 => each(bytes, |b| f32::from(u16::from_le_bytes(b))),
            Self::UInt8 => each(bytes, |[b]: [u8; 1]| f32::from(b)),
            Self::Bool => each(bytes, |[b]: [u8; 1]| f32::from(u8::from(b != 0))),
            Self::Unsupported => return None,
        })
    }
}

impl From<pytorch_reader::DType> for Dtype {
    fn from(dtype: pytorch_reader::DType) -> Self {
        use pytorch_reader::DType as Torch;
        match dtype {
            Torch::F64 => Self::Float64,
            Torch::F32 => Self::Float32,
            Torch::F16 => Self::Float16,
            Torch::BF16 => Self::BFloat16,
            Torch::I64 => Self::Int64,
            Torch::I32 => Self::Int32,
            Torch::I16 => Self::Int16,
            Torch::I8 => Self::Int8,
            Torch::U64 => Self::UInt64,
            Torch::U32 => Self::UInt32,
            Torch::U16 => Self::UInt16,
            Torch::U8 => Self::UInt8,
            Torch::Bool => Self::Bool,
        }
    }
}

impl From<safetensors::Dtype> for Dtype {
    fn from(dtype: safetensors::Dtype) -> Self {
        use safetensors::Dtype as Safe;
        match dtype {
            Safe::F64 => Self::Float64,
            Safe::F32 => Self::Float32,
            Safe::F16 => Self::Float16,
            Safe::BF16 => Self::BFloat16,
            Safe::I64 => Self::Int64,
            Safe::I32 => Self::Int32,
            Safe::I16 => Self::Int16,
            Safe::I8 => Self::Int8,
            Safe::U64 => Self::UInt64,
            Safe::U32 => Self::UInt32,
            Safe::U16 => Self::UInt16,
            Safe::U8 => Self::UInt8,
            Safe::BOOL => Self::Bool,
            _ => Self::Unsupported,
        }
    }
}
