//! What a vision network computes most, for CPUs: convolution, batch normalisation, activations, max pooling and sums of
//! weighted rows (pooling of regions), forward and backward; what dropout draws; the optimizers' steps.
//!
//! Plain slices of f32 in torch's layout (`[batch, channels, height, width]`) go in and come out; no tensor library is
//! known here. Vectors are those of the CPU at hand (AVX-512, AVX2, NEON), work is split over rayon's threads, and there
//! is no unsafe code.
//!
//! Every output value is summed in an order that depends on its layer alone: not on the number of threads, not on
//! the other pictures of the batch.

pub mod activation;
mod arch;
pub mod conv;
pub mod depthwise;
pub mod dropout;
pub mod norm;
mod pointwise_grad;
pub mod pool;
mod rows;
pub mod sums;
mod tile;
pub mod update;
mod weight_grad;

pub use activation::Activation;
pub use arch::available;
