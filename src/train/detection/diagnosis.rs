//! Why average precision is zero, when it is.

use super::boxes::iou;
use super::found::xywh;
use super::{BoxResult, FoundBox};
use crate::data::{BoxTarget, Dataset};
use std::fmt;

/// What is the matter with a detector that finds nothing right, in the order in which it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Diagnosis {
    /// No picture that was looked at has an object that counts.
    NothingToFind,
    /// No object is found at all.
    NothingFound,
    /// Objects are found, but none where one is.
    NoneOverlap {
        /// The greatest intersection over union with a true object.
        best: f64,
    },
    /// Found objects lie where true ones are, but never with their class.
    WrongClass {
        /// How many of the true objects are covered by another class.
        covered: usize,
        /// Of how many.
        objects: usize,
    },
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToFind => f.write_str(
                "AP is zero because the validation pictures have no labelled object; check the annotations of that part",
            ),
            Self::NothingFound => write!(
                f,
                "AP is zero because no object is found with a score above {}; the detector has not learned that there are \
                 objects yet: train longer, with a higher learning rate, or thaw more of the network",
                BoxResult::LEAST
            ),
            Self::NoneOverlap { best } => write!(
                f,
                "AP is zero because none of the found boxes overlaps a true one by half (the best IoU is {best:.2}); check \
                 that the annotations are in pixels of these pictures and that the input size is not too small"
            ),
            Self::WrongClass { covered, objects } => write!(
                f,
                "AP is zero because boxes are found where objects are ({covered} of {objects}) but with other classes; \
                 check the order of the class names"
            ),
        }
    }
}

/// What is the matter with results of which none is right; none where one is.
#[must_use]
pub fn diagnose(results: &[BoxResult], dataset: &Dataset) -> Option<Diagnosis> {
    let (mut objects, mut found, mut covered, mut best) = (0, 0, 0, 0.0_f64);
    for result in results {
        let sample = dataset.samples.get(result.index as usize);
        let truth = sample.and_then(|sample| sample.target.boxes.as_ref()).into_iter().flatten();
        found += result.found.len();
        for target in truth.filter(|target| !target.crowd) {
            objects += 1;
            let (iou, right) = nearest(target, &result.found);
            if right {
                return None;
            }
            best = best.max(iou);
            covered += usize::from(iou >= 0.5);
        }
    }
    Some(match (objects, found, covered) {
        (0, ..) => Diagnosis::NothingToFind,
        (_, 0, _) => Diagnosis::NothingFound,
        (_, _, 0) => Diagnosis::NoneOverlap { best },
        _ => Diagnosis::WrongClass { covered, objects },
    })
}

/// The greatest overlap of a true object with a found one, and whether one of its class overlaps it by half.
fn nearest(target: &BoxTarget, found: &[FoundBox]) -> (f64, bool) {
    found.iter().fold((0.0, false), |(best, right), one| {
        let iou = iou(&xywh(one.xyxy), &xywh(target.xyxy), target.crowd);
        (best.max(iou), right || (iou >= 0.5 && one.class == target.class))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageSource, LabelColumn, Sample, Split, Target, Task};
    use std::path::PathBuf;

    fn set(boxes: Vec<BoxTarget>) -> Dataset {
        let target = Target { boxes: Some(boxes), ..Target::default() };
        let image = ImageSource::File(PathBuf::from("a.png"));
        Dataset {
            root: PathBuf::new(),
            name: "set".to_owned(),
            task: Task::Detect,
            format: String::new(),
            columns: vec![LabelColumn::single(vec!["a".to_owned(), "b".to_owned()])],
            category_ids: Vec::new(),
            samples: vec![Sample { image, split: Split::Val, size_px: [100, 100], target }],
            issues: Vec::new(),
            found: 1,
            suggested_split: false,
            unnamed: Vec::new(),
        }
    }

    #[test]
    fn zero_has_a_reason() {
        let object = BoxTarget::new(0, [0.0, 0.0, 10.0, 10.0]);
        let group = BoxTarget { crowd: true, ..object };
        let found = |class, xyxy| vec![BoxResult { index: 0, found: vec![FoundBox { class, score: 0.5, xyxy }] }];
        let none = vec![BoxResult { index: 0, found: Vec::new() }];
        let at = [0.0, 0.0, 10.0, 10.0];
        assert_eq!(diagnose(&found(0, at), &set(vec![group])), Some(Diagnosis::NothingToFind));
        assert_eq!(diagnose(&none, &set(vec![object])), Some(Diagnosis::NothingFound));
        // 4 of 16 cells.
        let aside = diagnose(&found(0, [6.0, 0.0, 16.0, 10.0]), &set(vec![object]));
        assert_eq!(aside, Some(Diagnosis::NoneOverlap { best: 0.25 }));
        let other = diagnose(&found(1, at), &set(vec![object]));
        assert_eq!(other, Some(Diagnosis::WrongClass { covered: 1, objects: 1 }));
        assert_eq!(diagnose(&found(0, at), &set(vec![object])), None);
        assert!(other.unwrap().to_string().contains("1 of 1"));
    }
}
