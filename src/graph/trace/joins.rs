//! Steps that put maps together and take them apart.

use super::Trace;
use crate::graph::GraphError;
use crate::graph::op::Op;
use crate::graph::signal::{Shape, Signal};
use crate::graph::tensor::{Init, Role};

impl Trace {
    /// Maps of one size, one after the other along the channels.
    ///
    /// # Errors
    /// When one is no map, their sizes differ or there is none.
    pub fn concat(&mut self, maps: &[Signal]) -> Result<Signal, GraphError> {
        let none = || GraphError::Shape("nothing to join".to_owned());
        let mut output = maps.first().ok_or_else(none)?.clone();
        let [mut channels, height, width] = output.expect_map("a join")?;
        for map in maps.iter().skip(1) {
            let [more, h, w] = map.expect_map("a join")?;
            if [h, w] != [height, width] {
                return Err(GraphError::Shape(format!("cannot join {} and {}", output.shape, map.shape)));
            }
            channels += more;
            output.receptive_px = output.receptive_px.max(map.receptive_px);
            output.stride_px = output.stride_px.max(map.stride_px);
        }
        output.shape = Shape::map(channels, height, width);
        Ok(self.layer("", Op::Concat, &maps.iter().collect::<Vec<_>>(), output, 0))
    }

    /// The inputs of a block that takes several: the first is enlarged `upsample` times, then all are joined.
    ///
    /// # Errors
    /// As [`Trace::concat`].
    pub fn join(&mut self, inputs: &[Signal], upsample: usize) -> Result<Signal, GraphError> {
        let mut inputs = inputs.to_vec();
        if upsample > 1
            && let Some(first) = inputs.first_mut()
        {
            *first = self.upsample(first, upsample)?;
        }
        match inputs.as_slice() {
            [only] => Ok(only.clone()),
            several => self.concat(several),
        }
    }

    /// Each square of 2×2 cells as one cell: upper left, lower left, upper right, lower right along the channels.
    ///
    /// # Errors
    /// When the input is no map of even sides.
    pub fn space_to_depth(&mut self, x: &Signal) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("the stem")?;
        if !height.is_multiple_of(2) || !width.is_multiple_of(2) {
            return Err(GraphError::Shape(format!("the stem wants even sides and gets {height}×{width}")));
        }
        let output = x.seen(Shape::map(4 * channels, height / 2, width / 2), 1, 2);
        Ok(self.layer("", Op::SpaceToDepth { channels }, &[x], output, 0))
    }

    /// Names a constant that holds 0, 1, 2, … for the layer that follows: `{name}.weight`.
    pub fn counting(&mut self, name: &str, shape: Vec<usize>) {
        self.tensor(name, "weight", shape, Role::Constant, Init::Counting);
    }

    /// One of `of` equal parts of a map's channels, counted from 0.
    ///
    /// # Errors
    /// When the input is no map or its channels cannot be divided so.
    pub fn channel_part(&mut self, x: &Signal, part: usize, of: usize) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("a split")?;
        if of == 0 || part >= of || !channels.is_multiple_of(of) {
            return Err(GraphError::Shape(format!("{channels} channels have no part {part} of {of}")));
        }
        let shape = Shape::map(channels / of, height, width);
        Ok(self.layer("", Op::ChannelPart { part, of }, &[x], Signal { shape, ..x.clone() }, 0))
    }
}
