//! What is asked of a picture, and the modules of `graph::blocks::ask` that answer it.

mod decoder;
mod encoder;

pub use decoder::{MapUpscaling, MaskProducts, MaskQuality, Question, TwoWayEnd, TwoWayLayer};
pub use encoder::PromptEncoder;

use burn::tensor::Tensor;

/// A point in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Right and down, in input pixels.
    pub xy: [f32; 2],
    /// Whether it belongs to what is meant; else it does not.
    pub positive: bool,
}

/// What is asked of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// Points in it.
    pub points: Vec<Point>,
    /// A box around it: left, top, right, bottom in input pixels.
    pub xyxy: Option<[f32; 4]>,
}

/// What is asked of a batch.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// One for each picture, or several for one picture; all with as many points, all or none with a box.
    pub marks: Vec<Marks>,
    /// Earlier masks of all: logits `[batch, 1, h, w]`, four times as large as the features.
    pub masks: Option<Tensor<4>>,
}

impl Prompt {
    /// Asks each of `count` pictures of `[height, width]` pixels for what lies in its middle.
    #[must_use]
    pub fn middle(count: usize, [height, width]: [usize; 2]) -> Self {
        let point = Point { xy: [width as f32 / 2.0, height as f32 / 2.0], positive: true };
        Self { marks: vec![Marks { points: vec![point], xyxy: None }; count], masks: None }
    }
}

/// Tokens that ask about a map, and the map.
#[derive(Clone, Debug)]
pub struct Asking {
    /// `[batch, count, width]`
    pub tokens: Tensor<3>,
    /// Codes of the tokens' positions, the same shape.
    pub token_codes: Tensor<3>,
    /// The map's cells row by row, `[batch, h · w, width]`
    pub cells: Tensor<3>,
    /// Codes of the cells' positions, `[1, h · w, width]`
    pub cell_codes: Tensor<3>,
    /// Height and width of the map.
    pub size: [usize; 2],
}

impl Asking {
    /// The axes of the tokens and of the map.
    #[must_use]
    pub fn dims(&self) -> Vec<Vec<usize>> {
        let [batch, _, width] = self.cells.dims();
        vec![self.tokens.dims().to_vec(), vec![batch, width, self.size[0], self.size[1]]]
    }

    /// Whether gradients can flow through it.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        self.tokens.is_tracked() || self.cells.is_tracked()
    }

    /// The map, `[batch, width, h, w]`.
    #[must_use]
    pub fn map(&self) -> Tensor<4> {
        let [batch, _, width] = self.cells.dims();
        self.cells.clone().swap_dims(1, 2).reshape([batch, width, self.size[0], self.size[1]])
    }

    /// The codes of the cells' positions as a map, `[1, width, h, w]`.
    #[must_use]
    pub fn map_codes(&self) -> Tensor<4> {
        let [batch, _, width] = self.cell_codes.dims();
        self.cell_codes.clone().swap_dims(1, 2).reshape([batch, width, self.size[0], self.size[1]])
    }
}

/// `[batch, width, h, w]` → `[batch, h · w, width]`
pub(super) fn cells(map: Tensor<4>) -> Tensor<3> {
    let [batch, width, height, columns] = map.dims();
    map.reshape([batch, width, height * columns]).swap_dims(1, 2)
}
