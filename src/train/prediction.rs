//! What a model says of a picture, in plain values and in pixels of the EXIF-oriented image.

use super::detection::{Candidates, MOST_BOXES, filter};
use super::segmentation::Mask;
use crate::graph::HeadKind;
use serde::Serialize;
use std::sync::Arc;

/// What the heads of a model say of one picture.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The picture's file or name.
    pub image: String,
    /// Width and height in pixels, EXIF-oriented; 0 when the picture could not be read.
    pub size_px: [u32; 2],
    /// One answer for each head, in the graph's order; empty when the picture could not be read.
    pub heads: Vec<HeadPrediction>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// A class with its score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScore {
    /// The class.
    pub name: String,
    /// Its id.
    pub class: u32,
    /// Probability: of this class against the others, or by itself where a picture can have several.
    pub score: f32,
}

/// What one head says.
#[derive(Clone, Debug)]
pub struct HeadPrediction {
    /// The head's name.
    pub head: String,
    /// What its raw output means.
    pub kind: HeadKind,
    /// The decoded answer.
    pub answer: Answer,
}

/// A decoded answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// All classes with their scores, best first.
    Classes(Vec<ClassScore>),
    /// Objects with their boxes, those included that are unlikely.
    Boxes(Arc<Boxes>),
    /// A class for each pixel of the picture.
    Mask(Arc<Mask>),
}

/// What a detector says of a picture: raw enough that a person can choose anew how sure it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Boxes {
    /// The likeliest candidates, in pixels of the picture.
    pub candidates: Candidates,
    /// Class names in the order of ids.
    pub classes: Arc<Vec<String>>,
    /// The detector's own choice.
    pub own: Choice,
}

/// Which candidates count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Least score.
    pub confidence: f32,
    /// The intersection over union from which the less likely of two boxes of one class goes.
    pub overlap: f32,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoxScore {
    /// Its class.
    pub name: String,
    /// The class's id.
    pub class: u32,
    /// How sure the detector is.
    pub score: f32,
    /// Left, top, right, bottom in pixels of the EXIF-oriented picture.
    pub xyxy: [f32; 4],
}

impl Boxes {
    /// The objects that `choice` leaves, likeliest first.
    #[must_use]
    pub fn chosen(&self, choice: Choice) -> Vec<BoxScore> {
        let all = &self.candidates;
        let kept = filter(all, choice.confidence, choice.overlap, MOST_BOXES);
        let of = |at: usize| {
            let class = *all.classes.get(at)?;
            let known = self.classes.get(class as usize).cloned();
            let name = known.unwrap_or_else(|| format!("class {class}"));
            Some(BoxScore { name, class, score: *all.scores.get(at)?, xyxy: *all.boxes.get(at)? })
        };
        kept.into_iter().filter_map(of).collect()
    }
}

/// The score from which a class counts as present where a picture can have several.
pub const PRESENT: f32 = 0.5;

impl HeadPrediction {
    /// What it decides for: the best class, or all that are present where a picture can have several; empty for a mask.
    #[must_use]
    pub fn decided(&self) -> &[ClassScore] {
        let Answer::Classes(scores) = &self.answer else { return &[] };
        let count = match self.kind {
            HeadKind::MultiLabel { .. } => scores.iter().take_while(|score| score.score > PRESENT).count(),
            _ => scores.len().min(1),
        };
        scores.get(..count).unwrap_or_default()
    }
}

impl Prediction {
    /// The best class of the first classification head.
    #[must_use]
    pub fn top(&self) -> Option<&ClassScore> {
        self.heads.iter().find_map(|head| match &head.answer {
            Answer::Classes(scores) => scores.first(),
            Answer::Mask(_) | Answer::Boxes(_) => None,
        })
    }
}
