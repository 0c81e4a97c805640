//! What a leaf layer computes, with its numbers: the record that an exported file is written from.

use super::blocks::Activation;
use super::trace::{Conv, Norm};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Number of a value in a network: the inputs come first, then the outputs of the layers in order of execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValueId(pub usize);

/// The operation of a leaf layer as it runs outside of training. Displayed in a person's words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// 2-d convolution; tensors weight `[outputs, inputs / groups, kernel, kernel]` and, with a bias, bias `[outputs]`.
    Conv(Conv),
    /// Transposed 2-d convolution of one group; tensors weight `[inputs, outputs, kernel, kernel]` and, with a bias, bias
    /// `[outputs]`.
    ConvTransposed(Conv),
    /// Batch normalisation with the stored statistics; tensors scale, shift, mean, variance, each `[channels]`.
    BatchNorm(Norm),
    /// A function of each value.
    Activate {
        /// Which.
        function: Activation,
    },
    /// The greatest value of each square; what lies outside counts as minus infinity.
    MaxPool {
        /// Side of the square.
        kernel: usize,
        /// Step between squares.
        stride: usize,
        /// Cells added on each side.
        padding: usize,
    },
    /// The mean of each channel: a map becomes a vector.
    GlobalAvgPool,
    /// The mean over `side`² parts of a map (torch's `AdaptiveAvgPool2d`).
    AdaptiveAvgPool {
        /// Height and width of the map.
        from: [usize; 2],
        /// Parts along each side.
        side: usize,
    },
    /// A map written as a vector, channel by channel.
    Flatten,
    /// Each channel of a map times its value in a map of one cell.
    Scale,
    /// Nothing: it acts in training steps only.
    Dropout {
        /// Share of the values that a training step drops.
        share: f32,
    },
    /// Linear layer on a vector; tensors weight `[outputs, inputs]` and bias `[outputs]`.
    Linear,
    /// The sum of two values of one shape.
    Add,
    /// Several maps as one value, finest first.
    Levels,
    /// One 2-d convolution for all levels of a pyramid; tensors as [`Op::Conv`].
    ConvLevels(Conv),
    /// Nearest-neighbour resize of a map: cell i takes cell floor(i · from / to).
    ResizeNearest {
        /// Height and width before.
        from: [usize; 2],
        /// Height and width after.
        to: [usize; 2],
    },
    /// Bilinear resize of a map.
    ResizeBilinear {
        /// Height and width before.
        from: [usize; 2],
        /// Height and width after.
        to: [usize; 2],
        /// Whether the outermost cells' centers coincide, else their edges do.
        aligned: bool,
    },
    /// Zeros around a map.
    Pad {
        /// Rows above, columns to the left.
        before: [usize; 2],
        /// Rows below, columns to the right.
        after: [usize; 2],
    },
    /// Regions from objectness and boxes of anchors.
    Propose {
        /// How many at most.
        count: usize,
    },
    /// Regions of a pyramid as maps of one size.
    RegionPool {
        /// Side of the maps.
        side: usize,
    },
    /// Maps of one size, one after the other along the channels.
    Concat,
    /// Each square of 2×2 cells as one cell: upper left, lower left, upper right, lower right along the channels.
    SpaceToDepth {
        /// Channels of the input.
        channels: usize,
    },
    /// One of several equal parts of the channels.
    ChannelPart {
        /// Which, counted from 0.
        part: usize,
        /// How many there are.
        of: usize,
    },
    /// Nearest-neighbour upsampling of a map.
    Upsample {
        /// How many times larger.
        factor: usize,
    },
    /// The channels of each cell, or each token, to mean 0 and variance 1, then scale and shift; both `[channels]`.
    LayerNorm {
        /// Added to the variance before the root.
        epsilon: f64,
    },
    /// Linear layer on each cell of a map, or each token; tensors as [`Op::Linear`].
    LinearEach,
    /// A table of positions added to a map; tensor `[1, height, width, channels]`, resized where the map has another size.
    AddPositions {
        /// Height and width of the table.
        table: [usize; 2],
        /// Height and width of the map.
        map: [usize; 2],
    },
    /// Zeros below and to the right of a map.
    PadCells {
        /// Height and width after.
        to: [usize; 2],
    },
    /// The upper left part of a map.
    CropCells {
        /// Height and width after.
        to: [usize; 2],
    },
    /// Attention of the cells of a map, or of square windows of it, to each other. The input holds queries, keys and
    /// values; the tensors are those of `positions`.
    SelfAttention {
        /// Number of heads.
        heads: usize,
        /// Side of a window in cells; none where all cells attend to all.
        window: Option<usize>,
        /// What is added to the scores.
        positions: Positions,
    },
    /// Attention: for each query the mean of the values, weighed by softmax of the scaled products with the keys. Inputs
    /// queries, keys, values; each tokens or a map.
    Attention {
        /// Number of heads.
        heads: usize,
    },
    /// What a prompt's points and box look like as tokens: sines and cosines of random frequencies (Tancik et al. 2020,
    /// arXiv:2006.10739) of the places in the input, plus a vector for each kind of mark. Tensors frequencies `[2,
    /// width / 2]`, then the vectors of negative and positive points, upper left and lower right corners, no point.
    PromptTokens {
        /// How many tokens a prompt of one point has.
        count: usize,
    },
    /// The earlier mask of a prompt as a map of one channel; zeros where there is none.
    PromptMask,
    /// A map that is used where the prompt has a mask; elsewhere each cell is the vector, tensor `[1, channels]`.
    IfMasked,
    /// Tokens and a map as one value, with the codes of their positions.
    Ask,
    /// One part of such a value.
    Pick {
        /// Which.
        part: Asked,
    },
    /// Learned tokens before those of the input; tensors `[n, width]`.
    Prepend,
    /// One of several tokens as a vector.
    Token {
        /// Which, counted from 0.
        index: usize,
    },
    /// Products of several vectors with each cell of a map: one channel each. Inputs the vectors, then the map.
    Products,
}

/// What attention adds to its scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// The query's products with a vector for the distance along each axis (Li et al. 2022, arXiv:2112.01526); tensors
    /// `[2 · rows - 1, width]` for rows, then columns. Queries, keys and values are the thirds of the channels.
    Decomposed,
    /// A number for each head and absolute distance in a window (Graham et al. 2021, arXiv:2104.01136); tensor
    /// `[heads, window²]`. The channels of each head are its query, key and value.
    Distances,
}

/// A part of tokens and map as one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The tokens.
    Tokens,
    /// The codes of the tokens' positions.
    TokenCodes,
    /// The map.
    Map,
    /// The codes of the cells' positions.
    MapCodes,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conv(conv) => {
                let depthwise = if conv.groups == conv.inputs && conv.groups > 1 { "depthwise " } else { "" };
                write!(f, "{depthwise}conv {0}×{0}", conv.kernel)?;
                if conv.stride > 1 { write!(f, " / {}", conv.stride) } else { Ok(()) }
            }
            Self::ConvTransposed(conv) => write!(f, "transposed conv {0}×{0} × {1}", conv.kernel, conv.stride),
            Self::BatchNorm(_) => f.write_str("batch norm"),
            Self::Activate { function } => f.write_str(function.name()),
            Self::MaxPool { kernel, stride, .. } => write!(f, "max pool {kernel}×{kernel} / {stride}"),
            Self::GlobalAvgPool => f.write_str("average pool"),
            Self::AdaptiveAvgPool { side, .. } => write!(f, "average pool to {side}×{side}"),
            Self::Flatten => f.write_str("flatten"),
            Self::Scale => f.write_str("scale"),
            Self::Dropout { share } => write!(f, "dropout {share}"),
            Self::Linear => f.write_str("linear"),
            Self::Add => f.write_str("add"),
            Self::Levels => f.write_str("levels"),
            Self::ConvLevels(conv) => write!(f, "conv {0}×{0} on levels", conv.kernel),
            Self::ResizeNearest { to: [height, width], .. } => write!(f, "resize to {height}×{width}"),
            Self::ResizeBilinear { to: [height, width], .. } => write!(f, "resize to {height}×{width}, bilinear"),
            Self::Pad { .. } => f.write_str("pad"),
            Self::Propose { count } => write!(f, "{count} proposals"),
            Self::RegionPool { side } => write!(f, "region pool {side}×{side}"),
            Self::Concat => f.write_str("join"),
            Self::SpaceToDepth { .. } => f.write_str("squares to channels"),
            Self::ChannelPart { part, of } => write!(f, "part {} of {of}", part + 1),
            Self::Upsample { factor } => write!(f, "upsample ×{factor}"),
            Self::LayerNorm { .. } => f.write_str("layer norm"),
            Self::LinearEach => f.write_str("linear"),
            Self::AddPositions { .. } => f.write_str("add positions"),
            Self::PadCells { to: [height, width] } => write!(f, "pad to {height}×{width}"),
            Self::CropCells { to: [height, width] } => write!(f, "crop to {height}×{width}"),
            Self::SelfAttention { window: Some(side), .. } => write!(f, "attention in {side}×{side} windows"),
            Self::SelfAttention { window: None, .. } => f.write_str("attention of all to all"),
            Self::Attention { .. } => f.write_str("attention"),
            Self::PromptTokens { .. } => f.write_str("marks to tokens"),
            Self::PromptMask => f.write_str("earlier mask"),
            Self::IfMasked => f.write_str("if there is a mask"),
            Self::Ask => f.write_str("tokens and map"),
            Self::Pick { part: Asked::Tokens } => f.write_str("tokens"),
            Self::Pick { part: Asked::TokenCodes } => f.write_str("codes of tokens"),
            Self::Pick { part: Asked::Map } => f.write_str("map"),
            Self::Pick { part: Asked::MapCodes } => f.write_str("codes of cells"),
            Self::Prepend => f.write_str("learned tokens first"),
            Self::Token { index } => write!(f, "token {index}"),
            Self::Products => f.write_str("products with each cell"),
        }
    }
}
