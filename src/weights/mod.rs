//! Checkpoint files: what is in them, how it maps onto a network, and writing them.
//!
//! ```text
//! open ──► Checkpoint (names, shapes, lazy bytes) ──► plan ──► LoadReport ──► read ──► plain f32 buffers
//! ```
//!
//! `.pth` in all of torch's containers (zip, legacy stream, tar, bare pickle) and `.safetensors`, under the
//! public (torchvision, timm, publisher's) names. A pickle is read as data: nothing in it is ever called.
//! Files are untrusted: every size that a file declares is checked against what the file holds before
//! memory is taken for it, and each refusal is one sentence with the file's name and the cause.
//!
//! `.onnx` is written from the graph's own record of its layers, and run by another engine (tract) to see that it says
//! the same.
//!
//! No tensor library here: the result is plain buffers, and nothing is applied before everything was read,
//! so that a broken file changes nothing.

mod checkpoint;
mod classes;
mod convert;
mod draft;
mod error;
mod guard;
pub mod hub;
mod legacy_module;
mod matching;
mod notes;
mod onnx;
mod pickle_scan;
mod pth;
mod report;
mod save;
mod sniff;
mod surgery;
mod torch_file;
mod wanted;

pub use checkpoint::{Checkpoint, Container, Entry};
pub use classes::{ClassNames, class_names, coco_classes, imagenet_classes};
pub use convert::Dtype;
pub use draft::Draft;
pub use error::WeightsError;
pub use matching::{likeness, similarity};
pub use onnx::{
    BoxForm, BoxOutput, ENGINE, MOST_OF_A_CLASS, OnnxInput, OnnxOutput, PromptFile, run_onnx, run_onnx_named,
    write_onnx, write_onnx_prompted,
};
pub use pth::save_pth;
pub use report::{Counts, LoadReport, Row, RowState, plan, plan_heads, read, read_onto};
pub use save::{SaveDtype, TensorView, save_safetensors, save_views};
pub use surgery::{ClassRow, HeadPolicy, HeadReport, NewHead, RowLayout, Why};
pub use wanted::{Alias, PlainTensor, Wanted};

use wanted::is_batch_counter;
