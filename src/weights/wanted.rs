//! What a network wants from a checkpoint.

use std::sync::Arc;

/// One tensor that a network has, as a checkpoint would name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Name in the public checkpoints: `layer1.0.conv1.weight`.
    pub name: String,
    /// Shape in torch's layout.
    pub shape: Vec<usize>,
    /// Whether it belongs to a head that may be made anew when its shape differs.
    pub head: bool,
    /// `backbone`, `neck`, or `head NAME`.
    pub part: String,
    /// Names that other publishers give to it: the same publishers in the same order for all tensors of a network.
    pub also: Vec<Alias>,
}

/// Another publisher's name of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// Whose: `timm`.
    pub by: Arc<str>,
    /// What else differs in that publisher's network; empty where nothing does.
    pub note: Arc<str>,
}

/// A tensor outside any framework: name, shape (torch layout), row-major values.
pub type PlainTensor = (String, Vec<usize>, Vec<f32>);

/// Whether `name` is BatchNorm's step counter, which exists in some files only and is never needed.
pub(super) fn is_batch_counter(name: &str) -> bool {
    name == "num_batches_tracked" || name.ends_with(".num_batches_tracked")
}
