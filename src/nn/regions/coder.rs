//! Boxes relative to other boxes.

/// The greatest logarithm of a change of size that is believed: a thousand pixels from sixteen.
const MAX_LOG: f32 = 4.135_166_6;

/// How a box is written relative to another: the offset of the centers in parts of the other's size, the logarithm of
/// the ratio of the sizes, each times its weight (Girshick et al. 2014, arXiv:1311.2524, appendix C).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coder {
    /// For x, y, width, height.
    pub weights: [f32; 4],
}

impl Coder {
    /// `truth` as seen from `from`, both left, top, right, bottom.
    #[must_use]
    pub fn encode(&self, from: &[f32; 4], truth: &[f32; 4]) -> [f32; 4] {
        let ([x, y, w, h], [tx, ty, tw, th]) = (centered(from), centered(truth));
        let [wx, wy, ww, wh] = self.weights;
        [wx * (tx - x) / w, wy * (ty - y) / h, ww * (tw / w).ln(), wh * (th / h).ln()]
    }

    /// The box that `deltas` say of `from`, left, top, right, bottom.
    #[must_use]
    pub fn decode(&self, from: &[f32; 4], deltas: &[f32; 4]) -> [f32; 4] {
        let [x, y, w, h] = centered(from);
        let [wx, wy, ww, wh] = self.weights;
        let (x, y) = (deltas[0] / wx * w + x, deltas[1] / wy * h + y);
        let half_width = (deltas[2] / ww).min(MAX_LOG).exp() * w * 0.5;
        let half_height = (deltas[3] / wh).min(MAX_LOG).exp() * h * 0.5;
        [x - half_width, y - half_height, x + half_width, y + half_height]
    }
}

/// Center and size.
fn centered(b: &[f32; 4]) -> [f32; 4] {
    let (w, h) = (b[2] - b[0], b[3] - b[1]);
    [b[0] + 0.5 * w, b[1] + 0.5 * h, w, h]
}

/// The part of a box inside a picture of this width and height.
#[must_use]
pub fn clip(b: &[f32; 4], [width, height]: [f32; 2]) -> [f32; 4] {
    [b[0].clamp(0.0, width), b[1].clamp(0.0, height), b[2].clamp(0.0, width), b[3].clamp(0.0, height)]
}

/// Whether both sides are at least so long.
#[must_use]
pub fn is_as_large(b: &[f32; 4], side: f32) -> bool {
    b[2] - b[0] >= side && b[3] - b[1] >= side
}
