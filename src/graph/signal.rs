//! What flows along an edge: its shape for one image, and how much of the image it sees.

use super::op::ValueId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Shape of one value, for one image (the batch axis is left out).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shape {
    /// A feature map, `[channels, height, width]`.
    Map {
        /// Number of channels.
        channels: usize,
        /// Height in cells.
        height: usize,
        /// Width in cells.
        width: usize,
    },
    /// A feature vector.
    Vector {
        /// Its length.
        features: usize,
    },
    /// A sequence of tokens, `[count, width]`.
    Tokens {
        /// How many tokens.
        count: usize,
        /// Length of each.
        width: usize,
    },
    /// Several maps of falling resolution, each `[channels, height, width]`.
    Pyramid {
        /// The maps, finest first.
        levels: Vec<[usize; 3]>,
    },
    /// Regions of a picture, `[count, 4]`.
    Regions {
        /// How many at most.
        count: usize,
    },
    /// Points and boxes given by a person: the second input of a promptable network.
    Prompt,
    /// Tokens that ask about a map, and the map.
    Asking {
        /// How many tokens, each as long as the map is deep.
        count: usize,
        /// The map, `[channels, height, width]`.
        map: [usize; 3],
    },
}

impl Shape {
    /// A feature map.
    #[must_use]
    pub fn map(channels: usize, height: usize, width: usize) -> Self {
        Self::Map { channels, height, width }
    }

    /// How many numbers this value holds for one image; 0 for a prompt.
    #[must_use]
    pub fn numel(&self) -> u64 {
        match self {
            Self::Map { channels, height, width } => (channels * height * width) as u64,
            Self::Vector { features } => *features as u64,
            Self::Tokens { count, width } => (count * width) as u64,
            Self::Pyramid { levels } => levels.iter().map(|[c, h, w]| (c * h * w) as u64).sum(),
            Self::Regions { count } => 4 * *count as u64,
            Self::Prompt => 0,
            Self::Asking { count, map: [c, h, w] } => (c * (count + h * w)) as u64,
        }
    }

    /// The axes as a list, empty where there is no single tensor.
    #[must_use]
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Self::Map { channels, height, width } => vec![*channels, *height, *width],
            Self::Vector { features } => vec![*features],
            Self::Tokens { count, width } => vec![*count, *width],
            Self::Regions { count } => vec![*count, 4],
            Self::Pyramid { .. } | Self::Prompt | Self::Asking { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { channels, height, width } if height == width => write!(f, "{channels} · {height}²"),
            Self::Map { channels, height, width } => write!(f, "{channels} · {height}×{width}"),
            Self::Vector { features } => write!(f, "{features}"),
            Self::Tokens { count, width } => write!(f, "{count} × {width}"),
            Self::Pyramid { levels } => write!(f, "{} levels", levels.len()),
            Self::Regions { count } => write!(f, "{count} regions"),
            Self::Prompt => f.write_str("prompt"),
            Self::Asking { count, map: [c, h, w] } => write!(f, "{count} × {c} on {h}×{w}"),
        }
    }
}

/// A value in the symbolic forward pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its shape.
    pub shape: Shape,
    /// Side of the square of input pixels that one cell depends on (receptive field, Araujo et al. 2019).
    pub receptive_px: u64,
    /// Distance of two neighbouring cells in input pixels.
    pub stride_px: u64,
    /// How many of this shape there are for one picture: as many as regions behind their pooling, else one.
    pub count: usize,
    /// Which value of the network it is.
    pub value: ValueId,
}

impl Signal {
    /// An input of the graph by its index: each pixel sees itself.
    #[must_use]
    pub fn input(index: usize, shape: Shape) -> Self {
        Self { shape, receptive_px: 1, stride_px: 1, count: 1, value: ValueId(index) }
    }

    /// How many numbers it holds for one picture.
    #[must_use]
    pub fn numel(&self) -> u64 {
        self.shape.numel() * self.count as u64
    }
}
