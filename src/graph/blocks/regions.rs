//! Feature pyramids, and what proposes regions on them and pools them.

use super::{Activation, Describe, single};
use crate::graph::GraphError;
use crate::graph::signal::Signal;
use crate::graph::tensor::Init;
use crate::graph::trace::{Conv, Norm, Trace};
use crate::graph::two_stage::TwoStage;
use serde::{Deserialize, Serialize};

/// A convolution of a feature pyramid (Lin et al. 2017, arXiv:1612.03144), to which the coarser level is added where
/// there is a second input: repeated to the same size, nearest neighbour. Tensors `0` (convolution) and, with a norm, `1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PyramidConv {
    /// The convolution; with a bias where no norm follows.
    pub conv: Conv,
    /// The batch norm.
    pub norm: Option<Norm>,
}

impl Describe for PyramidConv {
    fn kind(&self) -> &'static str {
        if self.conv.kernel == 1 { "Lateral" } else { "Level" }
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let (x, above) = match inputs {
            [x] => (x, None),
            [x, above] => (x, Some(above)),
            _ => return Err(GraphError::Shape(format!("{} takes one or two maps", self.kind()))),
        };
        let mut y = t.conv("0", x, self.conv, Init::KaimingUniform)?;
        if let Some(norm) = self.norm {
            y = t.batch_norm("1", &y, norm)?;
        }
        match above {
            Some(above) => {
                let above = t.resize_nearest(above, &y)?;
                t.add(&y, &above)
            }
            None => Ok(y),
        }
    }
}

/// One convolution for all levels of a pyramid, with its activation. Tensors `weight`, `bias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharedConv {
    /// The convolution.
    pub conv: Conv,
    /// The activation.
    pub activation: Activation,
}

impl Describe for SharedConv {
    fn kind(&self) -> &'static str {
        "Conv on levels"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let x = t.conv_levels("", single(self.kind(), inputs)?, self.conv, Init::Normal(0.01))?;
        Ok(t.activation(self.activation, &x))
    }
}

/// Makes regions from objectness and boxes of a pyramid: the surest of each level, inside the picture, without those
/// that overlap surer ones. In a training step it adds the objects and draws what is learned from. No tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposals {
    /// The graph's method.
    pub method: TwoStage,
}

impl Describe for Proposals {
    fn kind(&self) -> &'static str {
        "Proposals"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        let [objectness, boxes] = inputs else {
            return Err(GraphError::Shape(format!("{} take objectness and boxes", self.kind())));
        };
        let anchors = &self.method.anchors;
        let [levels, of_boxes] = [objectness, boxes].map(|x| x.expect_pyramid(self.kind()));
        let (levels, of_boxes) = (levels?, of_boxes?);
        let fits = levels.len() == of_boxes.len()
            && levels.iter().zip(of_boxes).enumerate().all(|(level, (a, b))| {
                a[0] == anchors.of_cell(level) && b[0] == 4 * a[0] && (a[1], a[2]) == (b[1], b[2])
            });
        if !fits {
            return Err(GraphError::Shape(format!("{} fit neither the anchors nor each other", self.kind())));
        }
        t.propose(objectness, boxes, self.method.proposals.after_nms.infer)
    }
}

/// Pools each region from the level of a pyramid that its size belongs to (`RoIAlign`). The first input is the pyramid,
/// the second the regions. No tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionPool {
    /// Side of the result.
    pub side: usize,
    /// Samples of a cell along each axis.
    pub samples: usize,
    /// How many of the pyramid's levels it looks at, from the finest on.
    pub levels: usize,
}

impl Describe for RegionPool {
    fn kind(&self) -> &'static str {
        "Region pool"
    }

    fn trace(&self, t: &mut Trace, inputs: &[Signal]) -> Result<Signal, GraphError> {
        match inputs {
            [pyramid, regions] => t.region_pool(pyramid, regions, self.levels, self.side),
            _ => Err(GraphError::Shape(format!("{} takes a pyramid and regions", self.kind()))),
        }
    }
}
