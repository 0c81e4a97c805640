//! Segmentation: what trains a head that tells a class for each pixel, and how good it is.

mod answer;
mod borders;
mod choice;
mod confusion;
mod frequency;
mod losses;
mod lovasz;
mod overlay;
mod pass;
pub mod prompt;
mod save;
pub mod teach;
mod tiles;

pub use answer::{Logits, Mask};
pub use borders::{Borders, border_weights};
pub use choice::{MaskLoss, MaskTerm};
pub use confusion::{ClassPixels, MaskConfusion, MaskResult, mask_means, over_set};
pub use frequency::{median_frequency, pixel_counts};
pub use losses::{MaskBatch, MaskParts, dice, jaccard, loss};
pub use lovasz::{lovasz_gradient, lovasz_softmax};
pub use overlay::{lay_over, write_mask};
pub use pass::{fitted, said};
pub use save::{MaskFolder, SavedMask, mask_of};
pub use tiles::{Parts, TileAxis, in_tiles};
