//! Modules of `graph::blocks::levels`.

use super::init::Params;
use super::value::{Ctx, RunError, Value};
use crate::graph::blocks;
use burn::module::Module;

/// See [`blocks::Levels`].
#[derive(Module, Debug)]
pub struct Levels {}

impl Levels {
    #[expect(clippy::unnecessary_wraps, reason = "all blocks are made alike")]
    pub(crate) fn new(_: &blocks::Levels, _: &mut Params<'_>) -> Result<Self, RunError> {
        Ok(Self {})
    }

    #[expect(clippy::unused_self, reason = "all blocks run alike")]
    pub(crate) fn forward(&self, inputs: &[Value], _: &mut Ctx) -> Result<Value, RunError> {
        Ok(Value::Pyramid(inputs.iter().map(Value::map).collect::<Result<_, _>>()?))
    }
}
