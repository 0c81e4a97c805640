//! Steps of the symbolic forward pass on pyramids and regions.

use super::{Conv, Trace};
use crate::graph::GraphError;
use crate::graph::op::Op;
use crate::graph::signal::{Shape, Signal};
use crate::graph::tensor::Init;

impl Trace {
    /// One convolution for all levels of a pyramid; tensors `weight` and, with a bias, `bias`.
    ///
    /// # Errors
    /// When the input is no pyramid of the right depth or a level is smaller than the kernel.
    pub fn conv_levels(&mut self, name: &str, x: &Signal, conv: Conv, init: Init) -> Result<Signal, GraphError> {
        let who = "a convolution on levels";
        let mut levels = Vec::new();
        for &[channels, height, width] in x.expect_pyramid(who)? {
            if channels != conv.inputs {
                return Err(GraphError::Shape(format!("{who} wants {} channels and gets {channels}", conv.inputs)));
            }
            let Some([h, w]) = conv.output([height, width]) else {
                return Err(GraphError::Shape(format!("{who}: a {height}×{width} map is smaller than its kernel")));
            };
            levels.push([conv.outputs, h, w]);
        }
        let fan_in = self.conv_tensors(name, conv, [init, conv.usual_bias(init)]);
        self.kept += x.numel();
        let shape = Shape::Pyramid { levels };
        let macs = shape.numel() * fan_in as u64;
        let receptive_px = x.receptive_px + (conv.dilation * (conv.kernel - 1)) as u64 * x.stride_px;
        Ok(self.layer(name, Op::ConvLevels(conv), &[x], Signal { shape, receptive_px, ..x.clone() }, macs))
    }

    /// A map repeated to the size of another, nearest neighbour.
    ///
    /// # Errors
    /// When one of them is no map.
    pub fn resize_nearest(&mut self, x: &Signal, like: &Signal) -> Result<Signal, GraphError> {
        let [channels, from_height, from_width] = x.expect_map("resize")?;
        let [_, height, width] = like.expect_map("resize")?;
        let shape = Shape::map(channels, height, width);
        let op = Op::ResizeNearest { from: [from_height, from_width], to: [height, width] };
        Ok(self.layer("", op, &[x], Signal { shape, stride_px: like.stride_px, ..x.clone() }, 0))
    }

    /// At most `count` regions of each picture from objectness and boxes of anchors.
    ///
    /// # Errors
    /// When one of them is no pyramid.
    pub fn propose(&mut self, objectness: &Signal, boxes: &Signal, count: usize) -> Result<Signal, GraphError> {
        objectness.expect_pyramid("proposals")?;
        boxes.expect_pyramid("proposals")?;
        let shape = Shape::Regions { count };
        Ok(self.layer("", Op::Propose { count }, &[objectness, boxes], Signal { shape, ..objectness.clone() }, 0))
    }

    /// Each region of a pyramid as a map of `side`² cells.
    ///
    /// # Errors
    /// When the first is no pyramid of so many levels and equal depths, or the second no regions.
    pub fn region_pool(
        &mut self,
        pyramid: &Signal,
        regions: &Signal,
        levels: usize,
        side: usize,
    ) -> Result<Signal, GraphError> {
        let maps = pyramid.expect_pyramid("a region pool")?.get(..levels);
        let maps = maps.filter(|maps| !maps.is_empty() && maps.iter().all(|map| map[0] == maps[0][0]));
        let Some(maps) = maps else {
            return Err(GraphError::Shape(format!("a region pool wants {levels} levels of one depth")));
        };
        let Shape::Regions { count } = regions.shape else {
            return Err(GraphError::Shape(format!("a region pool wants regions and gets {}", regions.shape)));
        };
        let shape = Shape::map(maps[0][0], side, side);
        let output = Signal { shape, count, ..pyramid.clone() };
        Ok(self.layer("", Op::RegionPool { side }, &[pyramid, regions], output, 0))
    }
}

impl Signal {
    /// The maps of a pyramid, or an error that names who wanted one.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn expect_pyramid(&self, who: &str) -> Result<&[[usize; 3]], GraphError> {
        match &self.shape {
            Shape::Pyramid { levels } => Ok(levels),
            other => Err(GraphError::Shape(format!("{who} wants a pyramid and gets {other}"))),
        }
    }
}
