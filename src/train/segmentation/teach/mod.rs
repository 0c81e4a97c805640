//! Teaching a promptable network by a person's masks: prompts are simulated as in the paper (Kirillov et al. 2023,
//! arXiv:2304.02643, appendix A, "Training algorithm").
//!
//! ```text
//! picture ─ features, once ─┬─ a point or a box of an object ─► three masks ─► the best one counts
//!                           └─ a click where it is wrong, the mask itself ─► masks ─► … as often as the plan says
//! ```

mod loss;
mod measure;
mod objects;
mod simulate;
mod step;

pub use loss::{FOCAL_WEIGHT, MaskLosses, Truths, Worth, mask_losses, overlaps, quality_loss, told};
pub use measure::{METRICS, MOST_MEASURED, Tally};
pub use objects::{LEAST_PX, TaughtObject, objects_of};
pub use simulate::{correction, first_prompt, inmost, noisy_box};
pub use step::{Lesson, teach};

use serde::{Deserialize, Serialize};

/// How prompts are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompting {
    /// Objects of a picture that a step asks for at most, drawn anew each time.
    pub objects: usize,
    /// Clicks after the first prompt, each where the mask before it is wrong (the paper: 8, and 2 passes without one).
    pub clicks: usize,
    /// Share of the objects (0-1) whose first prompt is a box; the others get a point.
    pub boxes: f32,
}

impl Default for Prompting {
    fn default() -> Self {
        Self { objects: 4, clicks: 2, boxes: 0.5 }
    }
}

impl Prompting {
    /// Whether it is what is used if nobody says otherwise.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is impossible, in a sentence.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if self.objects == 0 {
            return Some("Prompts must ask for at least 1 object of a picture.".to_owned());
        }
        if self.clicks > MOST_CLICKS {
            return Some(format!("There can be {MOST_CLICKS} corrective clicks at most, not {}.", self.clicks));
        }
        let is_share = (0.0..=1.0).contains(&self.boxes);
        (!is_share).then(|| format!("The share of boxes must lie between 0 and 1, not {}.", self.boxes))
    }
}

/// The paper found no gain beyond 8 and tried up to 16.
const MOST_CLICKS: usize = 16;
