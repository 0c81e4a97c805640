//! The blocks that graphs are made of: each a few numbers and a symbolic forward pass.
//! `nn` holds the module of each under the same name; `tests/graph.rs` compares the two.

mod ask;
mod basic;
mod c2f;
mod csp;
mod heads;
mod levels;
mod regions;
mod residual;
mod sequence;
mod skips;
mod tiny_vit;
mod towers;
mod vit;

pub use ask::{
    MAP_EPSILON, MapUpscaling, MaskProducts, MaskQuality, PromptEncoder, Question, TOKEN_EPSILON, TwoWayEnd,
    TwoWayLayer,
};
pub use basic::{Activation, ConvNormAct, Dense, GlobalAvgPool, MaxPool, PoolFlatten, Stem, StemConv};
pub use c2f::{C2f, DistanceLevels, Sppf};
pub use csp::{ConvUnit, CspLayer, Focus, SppBottleneck};
pub use heads::{Classifier, PixelClassifier};
pub use levels::Levels;
pub use regions::{Proposals, PyramidConv, RegionPool, SharedConv};
pub use residual::{BasicBlock, Bottleneck};
pub use sequence::{InvertedResidual, PlainConv, SqueezeExcite, Step};
pub use skips::{DoubleConv, DoubleConvDown, DoubleConvUp, MapClassifier, SkipDecoder};
pub use tiny_vit::{ConvPatches, EPSILON as TINY_EPSILON, MbConv, TinyVitBlock};
pub use towers::{CellPredictor, Tower};
pub use vit::{EncoderNeck, PatchEmbed, VitBlock};

use super::GraphError;
use super::signal::Signal;
use super::trace::Trace;
use serde::{Deserialize, Serialize};

/// What every block says of itself.
pub trait Describe {
    /// The block's name for people.
    fn kind(&self) -> &'static str;

    /// The symbolic forward pass: output, tensors, costs.
    ///
    /// # Errors
    /// When the inputs do not fit.
    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError>;
}

macro_rules! blocks {
    ($($name:ident),* $(,)?) => {
        /// One block of a graph: which kind, with its numbers.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "block", rename_all = "snake_case")]
        pub enum BlockSpec {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)*
        }

        impl Describe for BlockSpec {
            fn kind(&self) -> &'static str {
                match self { $(Self::$name(block) => block.kind(),)* }
            }
            fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
                match self { $(Self::$name(block) => block.trace(t, inputs),)* }
            }
        }

        $(impl From<$name> for BlockSpec {
            fn from(block: $name) -> Self { Self::$name(block) }
        })*
    };
}

blocks!(
    Stem,
    ConvNormAct,
    PlainConv,
    BasicBlock,
    Bottleneck,
    InvertedResidual,
    MaxPool,
    GlobalAvgPool,
    PoolFlatten,
    Dense,
    Classifier,
    PixelClassifier,
    Levels,
    PyramidConv,
    SharedConv,
    Proposals,
    RegionPool,
    ConvUnit,
    Focus,
    CspLayer,
    SppBottleneck,
    CellPredictor,
    Tower,
    C2f,
    Sppf,
    DistanceLevels,
    StemConv,
    DoubleConv,
    DoubleConvDown,
    DoubleConvUp,
    SkipDecoder,
    MapClassifier,
    PromptEncoder,
    Question,
    TwoWayLayer,
    TwoWayEnd,
    MapUpscaling,
    MaskProducts,
    MaskQuality,
    PatchEmbed,
    VitBlock,
    EncoderNeck,
    ConvPatches,
    MbConv,
    TinyVitBlock,
);

/// The only input of a block that takes one.
pub(crate) fn single<'a>(kind: &str, inputs: &'a [Signal]) -> Result<&'a Signal, GraphError> {
    match inputs {
        [x] => Ok(x),
        _ => Err(GraphError::Shape(format!("{kind} takes one input and gets {}", inputs.len()))),
    }
}
