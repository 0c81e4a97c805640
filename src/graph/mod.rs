//! Pure data: what a network is made of, what it costs, what is frozen. No tensors, no device, no I/O.

mod preprocess;

pub use preprocess::{Channels, Interpolation, Preprocess, Resize};
