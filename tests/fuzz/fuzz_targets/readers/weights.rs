//! `src/weights` without what talks to the network or to other folders.

#[path = "../../../../src/weights/checkpoint.rs"]
mod checkpoint;
#[path = "../../../../src/weights/classes.rs"]
mod classes;
#[path = "../../../../src/weights/convert.rs"]
mod convert;
#[path = "../../../../src/weights/error.rs"]
mod error;
#[path = "../../../../src/weights/guard.rs"]
mod guard;
#[path = "../../../../src/weights/legacy_module.rs"]
mod legacy_module;
#[path = "../../../../src/weights/matching.rs"]
mod matching;
#[path = "../../../../src/weights/notes.rs"]
mod notes;
#[path = "../../../../src/weights/pickle_scan.rs"]
mod pickle_scan;
#[path = "../../../../src/weights/report.rs"]
mod report;
#[path = "../../../../src/weights/sniff.rs"]
mod sniff;
#[path = "../../../../src/weights/surgery.rs"]
mod surgery;
#[path = "../../../../src/weights/torch_file.rs"]
mod torch_file;
#[path = "../../../../src/weights/wanted.rs"]
mod wanted;

pub use checkpoint::{Checkpoint, Container, Entry};
pub use convert::Dtype;
pub use error::WeightsError;
pub use matching::{likeness, similarity};
pub use report::{plan, read};
use wanted::is_batch_counter;
pub use wanted::{Alias, PlainTensor, Wanted};
