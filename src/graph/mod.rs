//! Pure data: what a network is made of, what it costs, what is frozen. No tensors, no device, no I/O.
//!
//! A family builds a [`Graph`] with a [`Builder`]; [`Graph::facts`] walks it symbolically; a [`FreezePlan`] says which
//! of its nodes stay as they are, and [`Frontier`] what follows from that.

pub mod blocks;
mod builder;
mod cut;
mod detector;
mod facts;
mod freeze;
mod heads;
mod network;
mod op;
mod preprocess;
mod prompted;
mod segments;
mod signal;
mod tensor;
mod trace;
mod two_stage;

pub use blocks::{BlockSpec, Describe};
pub use builder::Builder;
pub use cut::Cut;
pub use detector::{Detector, SimOta, TaskAligned, Tells};
pub use facts::{Facts, NodeFacts};
pub use freeze::{BnPolicy, FreezePlan, Frontier, NodeState, Preset};
pub use heads::HeadPlan;
pub use network::{Graph, Head, HeadKind, Input, Node, NodeId, Part, PromptTells, Source, Spelling};
pub use op::{Asked, Op, Positions, ValueId};
pub use preprocess::{Channels, Interpolation, Preprocess, Resize};
pub use prompted::{OFFERED, PromptEnds};
pub use segments::Segments;
pub use signal::{Shape, Signal};
pub use tensor::{Init, Role, TensorSpec};
pub use trace::{Conv, Layer, Norm, Trace};
pub use two_stage::{Anchors, Learning, PerMode, Proposing, Telling, TwoStage};

/// What can be wrong with a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Shapes that do not fit together.
    #[error("{0}")]
    Shape(String),
    /// A node of this graph with the reason.
    #[error("node {path}: {reason}")]
    Node {
        /// The node's path.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A name that the graph does not have.
    #[error("{model} has no node or stage named {name}; it has {known}")]
    Unknown {
        /// The graph's name.
        model: String,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A structure that cannot be executed.
    #[error("{0}")]
    Structure(String),
}
