//! What the frozen part of a network gives for each view of a picture, kept from one epoch and one run to the next.
//!
//! A [`FeatureStore`] holds plain numbers by [`RecordKey`] (the picture's bytes and how it is seen) and belongs to one frozen
//! part, one preprocessing and one kind of number; its name says which. It holds what fits in memory and the rest, or all of
//! it, in a file that survives a crash: every record has a checksum. The file is read by position, not mapped into memory:
//! that needs no unsafe code, and the system's page cache does the same for both.

mod digests;
mod folder;
mod pictures;
mod record;
mod store;

pub use digests::PictureDigests;
pub use folder::{FeatureFolder, Kept};
pub use pictures::PictureFile;
pub use record::{Record, RecordKey, Seen, record_key};
pub use store::{Budget, FeatureStore, Usage};

use std::sync::Arc;

/// Where a loader looks for features before it decodes a picture.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The store of the cut that is wanted, then those of earlier cuts that it can be computed from.
    pub stores: Vec<Arc<FeatureStore>>,
    /// What the bytes of each picture are.
    pub digests: Arc<PictureDigests>,
}

/// Features that a loader found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Which of [`Lookup::stores`] had them.
    pub store: usize,
    /// All tensors of the cut, one after the other.
    pub values: Arc<[f32]>,
}
