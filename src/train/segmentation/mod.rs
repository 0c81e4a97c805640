//! Segmentation: what trains a head that tells a class for each pixel, and how good it is.

mod borders;
mod choice;
mod confusion;
mod frequency;
mod losses;
mod lovasz;
mod pass;

pub use borders::{Borders, border_weights};
pub use choice::{MaskLoss, MaskTerm};
pub use confusion::{ClassPixels, MaskConfusion, MaskResult, mask_means, over_set};
pub use frequency::{median_frequency, pixel_counts};
pub use losses::{MaskBatch, MaskParts, dice, jaccard, loss};
pub use lovasz::{lovasz_gradient, lovasz_softmax};
pub use pass::said;
