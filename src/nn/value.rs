//! What flows between blocks at run time, and what a forward pass carries along.

use super::ask::{Asking, Prompt};
use super::cpu;
use super::layers::NormMode;
use super::regions::proposals::Regions;
use crate::rng::Rng;
use burn::module::ParamId;
use burn::tensor::Tensor;
use std::collections::HashMap;
use std::sync::Arc;

/// What can go wrong while a network is made or run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    /// A block got something else than it takes; a graph that was checked does not cause it.
    #[error("a block wants {wanted} and got {got}")]
    Kind {
        /// What it takes.
        wanted: &'static str,
        /// What it got.
        got: &'static str,
    },
    /// A description and its module disagree; the tests of `tests/graph.rs` rule it out.
    #[error("{0}")]
    Description(String),
    /// The device reported an error.
    #[error("the device failed: {0}")]
    Device(String),
}

/// A value on an edge, for a batch.
#[derive(Clone, Debug)]
pub enum Value {
    /// Feature map, `[batch, channels, height, width]`.
    Map(Tensor<4>),
    /// Feature vector, `[batch, features]`.
    Vector(Tensor<2>),
    /// Token sequence, `[batch, count, width]`.
    Tokens(Tensor<3>),
    /// Maps of falling resolution, each `[batch, channels, height, width]`.
    Pyramid(Vec<Tensor<4>>),
    /// Regions of the batch's pictures, on the host.
    Regions(Arc<Regions>),
    /// What is asked of the pictures, on the host.
    Prompt(Arc<Prompt>),
    /// Tokens that ask about a map, and the map.
    Asking(Box<Asking>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Map(_) => "a map",
            Self::Vector(_) => "a vector",
            Self::Tokens(_) => "tokens",
            Self::Pyramid(_) => "a pyramid",
            Self::Regions(_) => "regions",
            Self::Prompt(_) => "a prompt",
            Self::Asking(_) => "tokens with a map",
        }
    }

    /// The feature map.
    ///
    /// # Errors
    /// When it is something else.
    pub fn map(&self) -> Result<Tensor<4>, RunError> {
        match self {
            Self::Map(x) => Ok(x.clone()),
            other => Err(RunError::Kind { wanted: "a map", got: other.kind() }),
        }
    }

    /// The feature vector.
    ///
    /// # Errors
    /// When it is something else.
    pub fn vector(&self) -> Result<Tensor<2>, RunError> {
        match self {
            Self::Vector(x) => Ok(x.clone()),
            other => Err(RunError::Kind { wanted: "a vector", got: other.kind() }),
        }
    }

    /// The maps of a pyramid.
    ///
    /// # Errors
    /// When it is something else.
    pub fn pyramid(&self) -> Result<Vec<Tensor<4>>, RunError> {
        match self {
            Self::Pyramid(maps) => Ok(maps.clone()),
            other => Err(RunError::Kind { wanted: "a pyramid", got: other.kind() }),
        }
    }

    /// The regions.
    ///
    /// # Errors
    /// When it is something else.
    pub fn regions(&self) -> Result<&Arc<Regions>, RunError> {
        match self {
            Self::Regions(regions) => Ok(regions),
            other => Err(RunError::Kind { wanted: "regions", got: other.kind() }),
        }
    }

    /// The prompt.
    ///
    /// # Errors
    /// When it is something else.
    pub fn prompt(&self) -> Result<&Arc<Prompt>, RunError> {
        match self {
            Self::Prompt(prompt) => Ok(prompt),
            other => Err(RunError::Kind { wanted: "a prompt", got: other.kind() }),
        }
    }

    /// The tokens and the map that they ask about.
    ///
    /// # Errors
    /// When it is something else.
    pub fn asking(&self) -> Result<&Asking, RunError> {
        match self {
            Self::Asking(asking) => Ok(asking),
            other => Err(RunError::Kind { wanted: "tokens with a map", got: other.kind() }),
        }
    }

    /// The axes of each tensor, batch included.
    #[must_use]
    pub fn dims(&self) -> Vec<Vec<usize>> {
        match self {
            Self::Map(x) => vec![x.dims().to_vec()],
            Self::Vector(x) => vec![x.dims().to_vec()],
            Self::Tokens(x) => vec![x.dims().to_vec()],
            Self::Pyramid(maps) => maps.iter().map(|x| x.dims().to_vec()).collect(),
            Self::Regions(regions) => vec![vec![regions.count(), 4]],
            Self::Prompt(_) => Vec::new(),
            Self::Asking(asking) => asking.dims(),
        }
    }

    /// The value of one picture of the batch; what lies on the host stays as it is.
    #[must_use]
    pub fn row(&self, row: usize) -> Self {
        match self {
            Self::Map(x) => Self::Map(x.clone().narrow(0, row, 1)),
            Self::Vector(x) => Self::Vector(x.clone().narrow(0, row, 1)),
            Self::Tokens(x) => Self::Tokens(x.clone().narrow(0, row, 1)),
            Self::Pyramid(maps) => Self::Pyramid(maps.iter().map(|x| x.clone().narrow(0, row, 1)).collect()),
            Self::Regions(_) | Self::Prompt(_) | Self::Asking(_) => self.clone(),
        }
    }

    /// The same value, whose gradient is zero where it is too small to matter (below 1e-30): processors are very slow with
    /// such numbers. Tokens with a map, and what lies on the host, stay as they are.
    #[must_use]
    pub fn flush_gradient(self) -> Self {
        fn flushed<const D: usize>(x: Tensor<D>) -> Tensor<D> {
            if x.is_tracked() { cpu::flush_gradient(&x).unwrap_or(x) } else { x }
        }
        match self {
            Self::Map(x) => Self::Map(flushed(x)),
            Self::Vector(x) => Self::Vector(flushed(x)),
            Self::Tokens(x) => Self::Tokens(flushed(x)),
            Self::Pyramid(maps) => Self::Pyramid(maps.into_iter().map(flushed).collect()),
            Self::Regions(_) | Self::Prompt(_) | Self::Asking(_) => self,
        }
    }

    /// Whether gradients can flow through it.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        match self {
            Self::Map(x) => x.is_tracked(),
            Self::Vector(x) => x.is_tracked(),
            Self::Tokens(x) => x.is_tracked(),
            Self::Pyramid(maps) => maps.iter().any(Tensor::is_tracked),
            Self::Regions(_) | Self::Prompt(_) => false,
            Self::Asking(asking) => asking.is_tracked(),
        }
    }
}

/// The only input of a block that takes one.
pub(crate) fn single(inputs: &[Value]) -> Result<&Value, RunError> {
    match inputs {
        [x] => Ok(x),
        _ => Err(RunError::Kind { wanted: "one input", got: "another number" }),
    }
}

/// An object in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Object {
    /// Its class.
    pub class: usize,
    /// Left, top, right, bottom in input pixels.
    pub xyxy: [f32; 4],
    /// Stands for a group of objects: nothing is to be found there, and nothing is wrong.
    pub crowd: bool,
}

/// What a detector needs to know of the pictures of a batch.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// Width and height of each picture in the input, in input pixels; it lies in the upper left corner.
    pub sizes: Vec<[f32; 2]>,
    /// The objects in each, where a loss is wanted.
    pub objects: Option<Vec<Vec<Object>>>,
    /// Whether the last epochs of a training run: pictures are no longer put together, and losses that only then count do.
    pub closing: bool,
}

/// What a forward pass carries along: how batch norm and dropout behave in the node that runs, and new statistics.
#[derive(Debug, Default)]
pub struct Ctx {
    /// What this training step's dropout is drawn from; without it nothing is dropped.
    pub seed: Option<u64>,
    /// The stream of the node that runs; none where nothing is dropped. Set for each node.
    pub dropout: Option<Rng>,
    /// How batch norm behaves; set for each node.
    pub norm: NormMode,
    /// New running statistics of batch norms that ran in [`NormMode::Batch`], by parameter.
    pub statistics: HashMap<ParamId, Tensor<1>>,
    /// What is known of the pictures; only detectors look at it.
    pub pictures: Pictures,
    /// What is asked of the pictures; only promptable networks look at it, and ask for what lies in the middle where
    /// there is none.
    pub prompt: Option<Arc<Prompt>>,
    /// Whether this is a training step; set for each pass.
    pub training: bool,
    /// Height and width of the input in pixels; set for each pass.
    pub input: [usize; 2],
    /// The regions that the pass proposed, with what is learned from them.
    pub regions: Option<Arc<Regions>>,
}

impl Ctx {
    /// Width and height of a picture in the input, in pixels; the whole input where nothing is known.
    #[must_use]
    pub fn size_of(&self, picture: usize) -> [f32; 2] {
        let whole = [self.input[1] as f32, self.input[0] as f32];
        self.pictures.sizes.get(picture).copied().unwrap_or(whole)
    }

    /// For the training step with this number of a run with this seed.
    #[must_use]
    pub fn of_step(seed: u64, step: u64) -> Self {
        Self { seed: Some(Rng::from_words(seed, &[step]).next_u64()), ..Self::default() }
    }
}
