//! What methods that propose regions first are made of (Ren et al. 2015, arXiv:1506.01497): anchors, the coding of boxes,
//! the matching of boxes with objects, sampling, and the pooling of regions. As torchvision does each.

pub mod align;
pub mod anchors;
mod blocks;
pub mod coder;
pub mod matcher;
pub mod proposals;

pub use blocks::{Proposals, PyramidConv, RegionPool, SharedConv};
