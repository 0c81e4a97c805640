//! Blocks as typed burn modules with torch's semantics. They know nothing of families.
//!
//! Field names are the public checkpoints' names. A name that Rust does not allow, such as torch's `0` in a `Sequential`,
//! is written `n0`; [`visit::local_name`] is the one place that turns it back.

pub mod ask;
pub mod attention;
mod basic;
pub mod boxes;
mod c2f;
pub mod cpu;
mod csp;
mod heads;
mod host;
mod init;
mod layers;
mod levels;
pub mod loss;
pub mod nms;
pub mod regions;
mod residual;
pub mod resize;
mod sequence;
mod skips;
mod tiny_vit;
mod towers;
mod value;
pub mod visit;
mod vit;

pub use ask::{MapUpscaling, MaskProducts, MaskQuality, PromptEncoder, Question, TwoWayEnd, TwoWayLayer};
pub use basic::{ConvNormAct, Dense, GlobalAvgPool, MaxPool, PoolFlatten, Stem, StemConv, activate};
pub use c2f::{C2f, DistanceLevels, Sppf};
pub use csp::{ConvUnit, CspLayer, Focus, SppBottleneck};
pub use heads::{Classifier, PixelClassifier};
pub use host::read;
pub use init::{Params, values};
pub use layers::{BatchNorm, Conv2d, ConvTranspose2d, Linear, NormMode, dropout};
pub use levels::Levels;
pub use regions::{Proposals, PyramidConv, RegionPool, SharedConv};
pub use residual::{BasicBlock, Bottleneck};
pub use sequence::{InvertedResidual, PlainConv};
pub use skips::{DoubleConv, DoubleConvDown, DoubleConvUp, MapClassifier, SkipDecoder};
pub use tiny_vit::{ConvPatches, MbConv, TinyVitBlock};
pub use towers::{CellPredictor, Tower};
pub use value::{Ctx, Object, Pictures, RunError, Value};
pub use vit::{EncoderNeck, PatchEmbed, VitBlock};

use crate::graph::BlockSpec;
use burn::module::Module;

macro_rules! blocks {
    ($($name:ident),* $(,)?) => {
        /// The module of one node.
        #[derive(Module, Debug)]
        #[expect(clippy::large_enum_variant, reason = "a network has a few hundred of them, 2 kB each, against megabytes of weights")]
        pub enum Block {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)*
        }

        impl Block {
            /// Makes the module that a description asks for.
            ///
            /// # Errors
            /// When the description lacks a tensor that the module needs.
            pub fn new(spec: &BlockSpec, params: &mut Params<'_>) -> Result<Self, RunError> {
                Ok(match spec { $(BlockSpec::$name(spec) => Self::$name($name::new(spec, params)?),)* })
            }

            /// Runs the block.
            ///
            /// # Errors
            /// When the inputs have another kind than the block takes.
            pub fn forward(&self, inputs: &[Value], ctx: &mut Ctx) -> Result<Value, RunError> {
                match self { $(Self::$name(block) => block.forward(inputs, ctx),)* }
            }
        }
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
