//! Steps that enlarge maps.

use super::{Conv, Trace};
use crate::graph::GraphError;
use crate::graph::op::Op;
use crate::graph::signal::{Shape, Signal};
use crate::graph::tensor::{Init, Role};

impl Trace {
    /// A transposed 2-d convolution (torch's `ConvTranspose2d`): each cell becomes a square of `kernel` cells, `stride`
    /// cells from its neighbours'. Tensors `weight` `[inputs, outputs, kernel, kernel]` and, with a bias, `bias`.
    ///
    /// # Errors
    /// When the input is not a map of the right depth, or for numbers that no network here has: groups, dilation.
    pub fn conv_transposed(&mut self, name: &str, x: &Signal, conv: Conv, init: Init) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map(name)?;
        if channels != conv.inputs {
            return Err(GraphError::Shape(format!("{name} wants {} channels and gets {channels}", conv.inputs)));
        }
        if conv.groups != 1 || conv.dilation != 1 || conv.stride == 0 {
            return Err(GraphError::Shape(format!("{name}: a transposed convolution has one group and no dilation")));
        }
        let side = |n: usize| (n.checked_sub(1)? * conv.stride + conv.kernel).checked_sub(2 * conv.padding);
        let (Some(h), Some(w)) = (side(height), side(width)) else {
            return Err(GraphError::Shape(format!("{name}: nothing is left of a {height}×{width} map")));
        };
        let area = conv.kernel * conv.kernel;
        self.tensor(name, "weight", vec![conv.inputs, conv.outputs, conv.kernel, conv.kernel], Role::Weight, init);
        if conv.bias {
            // torch takes the weight's second axis for the inputs of one value.
            let bias = match init {
                Init::UniformFanIn { .. } => Init::UniformFanIn { fan_in: conv.outputs * area },
                _ => Init::Constant(0.0),
            };
            self.tensor(name, "bias", vec![conv.outputs], Role::Bias, bias);
        }
        let macs = (height * width * conv.inputs * conv.outputs * area) as u64;
        self.kept += x.numel();
        let reach = (conv.kernel.div_ceil(conv.stride) - 1) as u64;
        let output = x.seen(Shape::map(conv.outputs, h, w), reach, 1).finer(conv.stride);
        Ok(self.layer(name, Op::ConvTransposed(conv), &[x], output, macs))
    }

    /// A map in another size, bilinear; `aligned` where the outermost cells' centers coincide (torch's `align_corners`),
    /// else their edges do.
    ///
    /// # Errors
    /// When the input is not a map.
    pub fn resize_bilinear(&mut self, x: &Signal, to: [usize; 2], aligned: bool) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("resize")?;
        let factor = (to[0] / height.max(1)).max(1);
        let output = x.seen(Shape::map(channels, to[0], to[1]), 1, 1).finer(factor);
        Ok(self.layer("", Op::ResizeBilinear { from: [height, width], to, aligned }, &[x], output, 0))
    }

    /// Zeros around a map up to the size `to`; of an odd number of rows or columns the greater half comes after the map.
    ///
    /// # Errors
    /// When the input is not a map or is larger.
    pub fn pad_to(&mut self, x: &Signal, to: [usize; 2]) -> Result<Signal, GraphError> {
        let [channels, height, width] = x.expect_map("padding")?;
        if [height, width] == to {
            return Ok(x.clone());
        }
        if height > to[0] || width > to[1] {
            return Err(GraphError::Shape(format!("a {height}×{width} map cannot be padded to {}×{}", to[0], to[1])));
        }
        let before = [(to[0] - height) / 2, (to[1] - width) / 2];
        let after = [to[0] - height - before[0], to[1] - width - before[1]];
        let output = Signal { shape: Shape::map(channels, to[0], to[1]), ..x.clone() };
        Ok(self.layer("", Op::Pad { before, after }, &[x], output, 0))
    }
}

impl Signal {
    /// The same with cells that stand `factor` times closer.
    fn finer(self, factor: usize) -> Self {
        Self { stride_px: (self.stride_px / factor.max(1) as u64).max(1), ..self }
    }
}
