//! What a detector says of a picture before a person chooses how sure it must be.

/// Boxes with class and score, by falling score, before overlapping ones are removed. What stands here is all that the
/// sliders of a preview need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates {
    /// Left, top, right, bottom in pixels: of the input as a network gives them, of the picture in a prediction.
    pub boxes: Vec<[f32; 4]>,
    /// Score of each, 0 to 1.
    pub scores: Vec<f32>,
    /// Class of each.
    pub classes: Vec<u32>,
}

impl Candidates {
    /// In the order of falling score; equal scores stay in the order given.
    #[must_use]
    pub fn sorted(boxes: &[[f32; 4]], scores: &[f32], classes: &[u32]) -> Self {
        let mut order: Vec<usize> = (0..boxes.len().min(scores.len()).min(classes.len())).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        Self {
            boxes: order.iter().map(|&i| boxes[i]).collect(),
            scores: order.iter().map(|&i| scores[i]).collect(),
            classes: order.iter().map(|&i| classes[i]).collect(),
        }
    }

    /// Keeps the first `limit`.
    pub fn truncate(&mut self, limit: usize) {
        self.boxes.truncate(limit);
        self.scores.truncate(limit);
        self.classes.truncate(limit);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.boxes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }
}
