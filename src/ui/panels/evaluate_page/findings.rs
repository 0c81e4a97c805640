//! What follows from an evaluation, computed once and not in every frame.

use super::detected::{BoxItem, Detected};
use crate::graph::HeadKind;
use crate::session::{EpochNews, Evaluation, RunView};
use crate::train::segmentation::{ClassPixels, MaskResult};
use crate::train::{
    Averages, ClassScores, HeadResults, LabelResult, PictureResult, Reliability, Told, bin_of, class_scores,
    macro_average, reliability, weighted_average, worst_pairs,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Pairs of classes that are listed.
const PAIRS: usize = 200;

/// Which pictures the gallery shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// All, the largest loss first.
    #[default]
    Worst,
    /// All that are wrong.
    Wrong,
    /// Those whose true class is not among the best five.
    BeyondFive,
    /// A cell of the matrix: truth and prediction.
    Cell(u32, u32),
    /// All of a class.
    Class(u32),
    /// Of a class, but called another.
    Misses(u32),
    /// Called a class, but of another.
    FalseAlarms(u32),
    /// Misses and false alarms of a class.
    Mistakes(u32),
    /// A bin of the reliability curve.
    Bin(usize),
}

/// What a head says of one picture.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// One class.
    Class(&'a PictureResult),
    /// Several labels.
    Labels(&'a LabelResult),
    /// Objects.
    Boxes(&'a BoxItem),
    /// Pixels.
    Mask(&'a MaskResult),
}

impl<'a> Item<'a> {
    /// The picture's index in the set.
    pub fn index(self) -> usize {
        match self {
            Self::Class(picture) => picture.index as usize,
            Self::Labels(picture) => picture.index as usize,
            Self::Boxes(picture) => picture.index,
            Self::Mask(picture) => picture.index as usize,
        }
    }

    /// Whether all is right.
    pub fn is_right(self) -> bool {
        match self {
            Self::Class(picture) => picture.is_right(),
            Self::Labels(picture) => picture.is_right(),
            Self::Boxes(picture) => picture.is_right(),
            Self::Mask(picture) => picture.classes.iter().all(|of| of.hits == of.said && of.hits == of.there),
        }
    }

    /// Its loss; none for objects, whose losses are those of the whole batch.
    pub fn loss(self) -> Option<f64> {
        match self {
            Self::Class(picture) => Some(f64::from(picture.loss)),
            Self::Labels(picture) => Some(f64::from(picture.loss)),
            Self::Boxes(_) | Self::Mask(_) => None,
        }
    }

    /// Of several labels those that hold.
    pub fn labels(self, holds: fn(&Told) -> bool) -> impl Iterator<Item = &'a Told> {
        let told = match self {
            Self::Class(_) | Self::Boxes(_) | Self::Mask(_) => &[],
            Self::Labels(picture) => picture.told.as_slice(),
        };
        told.iter().filter(move |told| holds(told))
    }
}

impl Pick {
    fn holds(self, item: Item<'_>) -> bool {
        match item {
            Item::Class(picture) => self.holds_class(picture),
            Item::Labels(picture) => {
                let told = |class: u32, holds: fn(&Told) -> bool| picture.of(class).is_some_and(holds);
                match self {
                    Self::Wrong => !picture.is_right(),
                    Self::Class(class) => told(class, |told| told.there),
                    Self::Misses(class) => told(class, |told| told.there && !told.given),
                    Self::FalseAlarms(class) => told(class, |told| told.given && !told.there),
                    Self::Mistakes(class) => told(class, |told| told.given != told.there),
                    Self::Worst | Self::BeyondFive | Self::Cell(..) | Self::Bin(_) => true,
                }
            }
            Item::Boxes(picture) => {
                let any = |holds: &dyn Fn(u32, u32) -> bool| picture.pairs.iter().any(|(t, s)| holds(*t, *s));
                match self {
                    Self::Wrong => !picture.is_right(),
                    Self::Cell(of, called) => any(&|truth, said| truth == of && said == called),
                    Self::Class(class) => any(&|truth, _| truth == class),
                    Self::Misses(class) => any(&|truth, said| truth == class && said != class),
                    Self::FalseAlarms(class) => any(&|truth, said| truth != class && said == class),
                    Self::Mistakes(class) => any(&|truth, said| (truth == class) != (said == class)),
                    Self::Worst | Self::BeyondFive | Self::Bin(_) => true,
                }
            }
            Item::Mask(picture) => self.holds_pixels(item, picture),
        }
    }

    fn holds_pixels(self, item: Item<'_>, picture: &MaskResult) -> bool {
        let of = |class: u32, holds: fn(&ClassPixels) -> bool| {
            picture.classes.iter().find(|of| of.class == class).is_some_and(holds)
        };
        match self {
            Self::Wrong => !item.is_right(),
            Self::Class(class) => of(class, |of| of.there > 0),
            Self::Misses(class) => of(class, |of| of.hits < of.there),
            Self::FalseAlarms(class) => of(class, |of| of.hits < of.said),
            Self::Mistakes(class) => of(class, |of| of.hits < of.said.max(of.there)),
            Self::Worst | Self::BeyondFive | Self::Cell(..) | Self::Bin(_) => true,
        }
    }

    fn holds_class(self, picture: &PictureResult) -> bool {
        let (truth, said) = (picture.truth, picture.said());
        match self {
            Self::Worst => true,
            Self::Wrong => !picture.is_right(),
            Self::BeyondFive => picture.rank >= 5,
            Self::Cell(of, called) => truth == of && said == called,
            Self::Class(class) => truth == class,
            Self::Misses(class) => truth == class && said != class,
            Self::FalseAlarms(class) => truth != class && said == class,
            Self::Mistakes(class) => (truth == class) != (said == class),
            Self::Bin(bin) => bin_of(picture.confidence()) == bin,
        }
    }

    /// In words.
    pub fn words(self, findings: &Findings) -> String {
        let name = |class: u32| findings.class(class);
        let nothing = findings.detected.as_ref().map(|found| found.counts.len().saturating_sub(1) as u32);
        match self {
            Self::Worst if findings.pixels => "Least overlap".to_owned(),
            Self::Worst if nothing.is_some() => "Most mistakes".to_owned(),
            Self::Cell(truth, said) if nothing == Some(truth) => format!("{} where nothing is", name(said)),
            Self::Cell(truth, said) if nothing == Some(said) => format!("{} not found", name(truth)),
            Self::Worst => "Top losses".to_owned(),
            Self::Wrong => "All mistakes".to_owned(),
            Self::BeyondFive => "True class not among the best five".to_owned(),
            Self::Cell(truth, said) if truth == said => format!("{} recognized", name(truth)),
            Self::Cell(truth, said) => format!("{} called {}", name(truth), name(said)),
            Self::Class(class) => format!("All {}", name(class)),
            Self::Misses(class) => format!("{} that were missed", name(class)),
            Self::FalseAlarms(class) => format!("Wrongly called {}", name(class)),
            Self::Mistakes(class) => format!("Mistakes about {}", name(class)),
            Self::Bin(bin) => {
                let width = 100.0 / crate::train::BINS as f32;
                format!("{:.0} to {:.0} % sure", bin as f32 * width, (bin + 1) as f32 * width)
            }
        }
    }
}

/// What is shown: an epoch of the run at hand, or something that was measured.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// An epoch, with its pictures where they are kept.
    Epoch(&'a RunView, &'a EpochNews, Option<&'a Arc<Evaluation>>),
    /// An evaluation.
    Measured(&'a Arc<Evaluation>),
}

/// Tells subjects apart.
pub type Key = (PathBuf, Option<u32>, usize, usize);

/// What a person chose to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// The head; none for the first that there is something to say of.
    pub head: Option<usize>,
    /// The pictures.
    pub pick: Pick,
    /// The least score of a detector's objects; none for the best.
    pub confidence: Option<f64>,
}

/// Of all metrics those of one head under their plain names: the first head's have no prefix, but for what masks are worth that a
/// point asked for.
pub fn metrics_of<'a>(all: &'a BTreeMap<String, f64>, name: &str, head: usize) -> Vec<(&'a str, f64)> {
    let own = |key: &'a str| match (head, key.rsplit_once('/')) {
        (0, None | Some(("point", _))) => Some(key),
        (0, Some(_)) | (_, None) => None,
        (_, Some((of, plain))) => (of == name).then_some(plain),
    };
    all.iter().filter_map(|(key, value)| Some((own(key)?, *value))).collect()
}

impl<'a> Subject<'a> {
    /// The evaluation, where there is one.
    pub fn evaluation(self) -> Option<&'a Arc<Evaluation>> {
        match self {
            Self::Epoch(_, _, evaluation) => evaluation,
            Self::Measured(evaluation) => Some(evaluation),
        }
    }

    /// The heads: their names, and what their outputs mean.
    pub fn heads(self) -> Vec<(&'a str, &'a HeadKind)> {
        match self {
            Self::Epoch(run, ..) => run.info.graph.heads.iter().map(|head| (head.name.as_str(), &head.kind)).collect(),
            Self::Measured(evaluation) => {
                evaluation.heads.iter().map(|head| (head.name.as_str(), &head.kind)).collect()
            }
        }
    }

    /// The metrics of a head under their plain names.
    pub fn metrics(self, head: usize) -> Vec<(&'a str, f64)> {
        let all = match self {
            Self::Epoch(_, news, _) => &news.metrics,
            Self::Measured(evaluation) => &evaluation.metrics,
        };
        metrics_of(all, self.heads().get(head).map_or("", |head| head.0), head)
    }

    fn key(self, head: usize) -> Key {
        let pointer = self.evaluation().map_or(0, |evaluation| Arc::as_ptr(evaluation) as usize);
        match self {
            Self::Epoch(run, news, _) => (run.info.folder.clone(), Some(news.epoch), pointer, head),
            Self::Measured(evaluation) => (evaluation.source.clone(), evaluation.epoch, pointer, head),
        }
    }
}

/// Everything that is drawn of a subject.
#[derive(Debug)]
pub struct Findings {
    /// Tells it apart from others.
    pub key: Key,
    /// Class names.
    pub classes: Vec<String>,
    /// Counts `[truth][prediction]`.
    pub confusion: Vec<Vec<u32>>,
    /// Scores of each class.
    pub scores: Vec<ClassScores>,
    /// Every class counts alike.
    pub macro_average: Option<Averages>,
    /// Every picture counts alike.
    pub weighted_average: Option<Averages>,
    /// The most frequent mistakes.
    pub pairs: Vec<(usize, usize, u32)>,
    /// Confidence against accuracy.
    pub reliability: Option<Reliability>,
    /// Whether it is pixels that are told apart.
    pub pixels: bool,
    /// What follows for a detector.
    pub detected: Option<Detected>,
    /// Where the pictures are, if they are kept.
    pub evaluation: Option<Arc<Evaluation>>,
    /// Which head it is about.
    pub head: usize,
    worst: Vec<u32>,
    confidence: Option<f64>,
    picked: Option<Pick>,
    /// Positions of the picked pictures, the largest loss first.
    pub shown: Vec<u32>,
    /// The same as indices in the set, for the viewer.
    pub order: Arc<Vec<usize>>,
}

impl Findings {
    /// Computes everything anew where the subject is another one, and picks.
    pub fn follow(known: &mut Option<Self>, subject: Subject<'_>, wish: Wish) {
        let Wish { head, pick, confidence } = wish;
        let heads = subject.heads();
        let first = heads.iter().position(|(_, kind)| !matches!(kind, HeadKind::PixelClassify { .. }));
        // A detector's heads have one answer together.
        let joint = matches!(heads.first(), Some((_, HeadKind::Detect { .. })));
        let head = head.filter(|&head| head < heads.len() && !joint).or(first).unwrap_or(0);
        let key = subject.key(head);
        let other = |known: &Self| known.key != key || (joint && known.confidence != confidence);
        if known.as_ref().is_none_or(other) {
            let same = known.take().filter(|known| known.key == key).and_then(|known| known.detected);
            *known = Some(Self { confidence, ..Self::of(subject, head, key, confidence, same.as_ref()) });
        }
        if let Some(findings) = known.as_mut().filter(|known| known.picked != Some(pick)) {
            findings.pick(pick);
        }
    }

    fn of(subject: Subject<'_>, head: usize, key: Key, confidence: Option<f64>, known: Option<&Detected>) -> Self {
        let evaluation = subject.evaluation().cloned();
        let results = evaluation.as_ref().and_then(|evaluation| evaluation.heads.get(head));
        let pixels = results.is_some_and(|results| matches!(results.kind, HeadKind::PixelClassify { .. }));
        let detected =
            evaluation.as_ref().zip(results).and_then(|(all, own)| Detected::of(all, own, confidence, known));
        let (confusion, classes) = match (results, subject) {
            (Some(results), _) if detected.is_some() => {
                let background = std::iter::once("background".to_owned());
                let classes = results.classes.iter().cloned().chain(background).collect();
                (detected.as_ref().map(|found| found.counts.clone()).unwrap_or_default(), classes)
            }
            (Some(results), _) if pixels || !results.labelled.is_empty() => (Vec::new(), results.classes.clone()),
            (Some(results), _) => (results.confusion(), results.classes.clone()),
            // The counts of an epoch are those of the first classifier.
            (None, Subject::Epoch(run, news, _)) => {
                let heads = &run.info.graph.heads;
                let first = heads.iter().position(|head| matches!(head.kind, HeadKind::Classify { .. }));
                let counts = if first == Some(head) { news.confusion.clone() } else { Vec::new() };
                let column = run.info.graph.label_column(head).and_then(|column| run.info.columns.get(column));
                (counts, column.map(|column| column.classes.clone()).unwrap_or_default())
            }
            (None, Subject::Measured(_)) => (Vec::new(), Vec::new()),
        };
        let scores = match &detected {
            Some(found) => found.scores.clone(),
            None if pixels => results.map(of_pixels).unwrap_or_default(),
            None => results.map_or_else(|| class_scores(&confusion), HeadResults::scores),
        };
        Self {
            key,
            macro_average: macro_average(&scores).filter(|_| !pixels),
            weighted_average: weighted_average(&scores).filter(|_| !pixels),
            pixels,
            pairs: worst_pairs(&confusion, PAIRS),
            reliability: results.and_then(|results| reliability(&results.pictures)),
            worst: match &detected {
                Some(found) => found.worst_first(),
                None => results.map(HeadResults::worst_first).unwrap_or_default(),
            },
            detected,
            confidence,
            scores,
            classes,
            confusion,
            head,
            evaluation,
            picked: None,
            shown: Vec::new(),
            order: Arc::default(),
        }
    }

    fn pick(&mut self, pick: Pick) {
        let held = |at: &u32| self.item(*at).is_some_and(|item| pick.holds(item));
        self.shown = self.worst.iter().copied().filter(held).collect();
        let index = |at: &u32| self.item(*at).map(Item::index);
        self.order = Arc::new(self.shown.iter().filter_map(index).collect());
        self.picked = Some(pick);
    }

    /// The head whose results are shown.
    pub fn results(&self) -> Option<&HeadResults> {
        self.evaluation.as_ref().and_then(|evaluation| evaluation.heads.get(self.head))
    }

    /// The result at a position.
    pub fn item(&self, at: u32) -> Option<Item<'_>> {
        let results = self.results()?;
        let class = results.pictures.get(at as usize).map(Item::Class);
        let boxes = || self.detected.as_ref()?.items.get(at as usize).map(Item::Boxes);
        let mask = || results.masks.get(at as usize).map(Item::Mask);
        class.or_else(|| results.labelled.get(at as usize).map(Item::Labels)).or_else(boxes).or_else(mask)
    }

    /// A detector's place for what is no object.
    pub fn background(&self) -> u32 {
        self.detected.as_ref().map_or(u32::MAX, |found| found.counts.len().saturating_sub(1) as u32)
    }

    /// The name of a class.
    pub fn class(&self, class: u32) -> &str {
        self.classes.get(class as usize).map_or("?", String::as_str)
    }
}

/// The scores of each class by its pixels; F1 is Dice.
fn of_pixels(results: &HeadResults) -> Vec<ClassScores> {
    results.pixels().into_iter().map(|of| ClassScores::of(of.hits, of.said, of.there)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_those_of_the_head() {
        let all = ["top1", "top5", "shape/top1", "size/top1"].map(|name| (name.to_owned(), 0.5)).into();
        let names = |name: &str, head: usize| -> Vec<&str> {
            metrics_of(&all, name, head).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("color", 0), ["top1", "top5"]);
        assert_eq!(names("shape", 1), ["top1"]);
        assert!(names("other", 3).is_empty());
    }
}
