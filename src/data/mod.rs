//! From a folder to plain buffers: readers, pre-flight report, decoding, augmentation, loader.
//!
//! ```text
//! open(path) ─ listing ─ formats (who recognizes it, and why not) ─ check (decode every file) ─ split ─► Dataset
//! Dataset ─ Loader (cache ─ image::load ─ augment or preprocess ─ normalize, on the decode pool) ─► RawBatch
//! ```
//!
//! One internal form for every layout and task: dense 0-based class ids, boxes in absolute pixels `xyxy` of the
//! EXIF-oriented picture, masks as class-id maps with 255 = ignore. Nothing is dropped silently: whatever is not used
//! is an [`Issue`]. The user's files are only ever read. No tensors here (`batch.rs` alone makes them).

pub mod augment;
pub mod batch;
mod builtin;
pub mod cache;
mod check;
pub mod color;
pub mod compose;
mod copy;
mod counts;
mod drawn;
mod error;
pub mod features;
mod formats;
pub mod image;
mod jpeg;
mod labels;
mod listing;
pub mod loader;
mod mask;
mod naming;
mod open;
mod png;
mod reading;
mod records;
pub mod sample;
pub mod sampling;
mod specimen;
mod split;
mod stage;
pub mod transform;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

pub use augment::{Augment, CropRange, Jitter, Shift};
pub use builtin::open_builtin;
pub use cache::PixelCache;
pub use drawn::{Drawn, DrawnForm, DrawnObject, SavedSet, save_drawn};
pub use error::DataError;
pub use image::Rgb8;
pub use labels::{DEFAULT_COLUMN, Label, LabelColumn};
pub use loader::{Loader, RawBatch, View};
pub use mask::{
    InstancePixels, Region, Shape, Shapes, VOID, ValueMap, components, load_instances, load_mask, load_objects, pack,
    polygon_runs, runs_of,
};
pub use naming::{MaskValue, Unnamed, name_classes};
pub use open::open;
pub use png::IndexedPng;
pub use reading::is_there;
pub use specimen::specimen;
pub use transform::Placement;

/// The class id of mask pixels that count for nothing.
pub const IGNORE_ID: u8 = 255;

/// What a data set teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One class per picture.
    Classify,
    /// Boxes with classes.
    Detect,
    /// A class per pixel.
    Segment,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classify => "classify",
            Self::Detect => "detect",
            Self::Segment => "segment",
        })
    }
}

/// Which part of the set a picture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Trained on.
    Train,
    /// Measured after every epoch.
    Val,
    /// Only measured when asked for.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        })
    }
}

/// How much an [`Issue`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know; nothing to do.
    Note,
    /// Used, or left out, in a way that may not be what was meant.
    Warning,
    /// This file cannot be used.
    Error,
}

/// One line of the pre-flight report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// How much it matters.
    pub severity: Severity,
    /// The file or folder that it is about.
    pub file: PathBuf,
    /// Line in the file, 1-based, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is the matter and what was done about it.
    pub what: String,
}

impl Issue {
    /// An issue about a whole file.
    pub fn new(severity: Severity, file: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self { severity, file: file.into(), line: None, what: what.into() }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.what),
            None => write!(f, "{}: {}", self.file.display(), self.what),
        }
    }
}

/// What is known about one picture. Several kinds may be present: several heads can train on one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// What each of [`Dataset::columns`] says of the whole picture, in their order; a missing one says nothing.
    pub labels: Vec<Label>,
    /// Objects; an empty list is a picture known to be without objects.
    pub boxes: Option<Vec<BoxTarget>>,
    /// A class per pixel.
    pub mask: Option<MaskTarget>,
    /// Of the mask: its pixels of each class, in the order of the first column's classes.
    pub mask_px: Vec<u64>,
}

impl Target {
    /// The target of a picture whose class in the only column is known, or not.
    #[must_use]
    pub fn of_class(class: Option<u32>) -> Self {
        Self { labels: vec![class.map_or(Label::Unknown, Label::One)], ..Self::default() }
    }

    /// What a column says.
    #[must_use]
    pub fn label(&self, column: usize) -> &Label {
        self.labels.get(column).unwrap_or(&Label::Unknown)
    }

    /// The classes that a column names, and those of boxes and mask for the first, each as often as it is there.
    pub(crate) fn all_classes(&self, column: usize) -> impl Iterator<Item = u32> + '_ {
        let boxes = self.boxes.iter().flatten().filter(move |_| column == 0).map(|one| one.class);
        self.label(column).classes().chain(boxes).chain(self.mask_classes().filter(move |_| column == 0))
    }

    /// The classes of which the mask has a pixel.
    pub(crate) fn mask_classes(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.mask_px).filter(|(_, count)| **count > 0).map(|(class, _)| class)
    }

    /// The class in the first column, where that gives one to each picture.
    #[must_use]
    pub fn class(&self) -> Option<u32> {
        self.label(0).class()
    }
}

/// One object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxTarget {
    /// Index into [`Dataset::classes`].
    pub class: u32,
    /// Left, top, right, bottom in pixels of the EXIF-oriented picture (of the input, in a [`RawBatch`]).
    pub xyxy: [f32; 4],
    /// Stands for a group of objects (COCO's `iscrowd`).
    pub crowd: bool,
    /// Learned, but finding it or not counts for nothing (Pascal VOC's `difficult`).
    pub difficult: bool,
    /// Square pixels of its mask in the picture, where the set tells them: they decide between small, medium and large.
    pub area_px: Option<f32>,
}

impl BoxTarget {
    /// An object of which nothing else is known.
    #[must_use]
    pub fn new(class: u32, xyxy: [f32; 4]) -> Self {
        Self { class, xyxy, crowd: false, difficult: false, area_px: None }
    }
}

/// Where a picture's mask comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum MaskTarget {
    /// A file whose pixel values (palette indices) are class ids.
    File(PathBuf),
    /// A file whose pixels mean classes by a rule.
    Values {
        /// The file.
        path: PathBuf,
        /// The class of each value or color; shared by the masks of a set.
        map: Arc<ValueMap>,
    },
    /// Outlines and runs of objects, drawn when they are needed.
    Shapes(Arc<Shapes>),
    /// Class ids in memory.
    Pixels(Arc<MaskPixels>),
}

/// A class-id map, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskPixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height` class ids, [`IGNORE_ID`] = ignore.
    pub ids: Vec<u8>,
}

/// One picture with its target.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The encoded picture.
    pub image: ImageSource,
    /// The part of the set it belongs to.
    pub split: Split,
    /// Width and height in pixels after EXIF orientation.
    pub size_px: [u32; 2],
    /// What is known about it.
    pub target: Target,
}

/// Where an encoded picture lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageSource {
    /// A file.
    File(PathBuf),
    /// An encoded file in memory.
    Memory {
        /// What to call it in messages.
        name: String,
        /// The whole encoded file.
        bytes: Arc<[u8]>,
    },
}

impl ImageSource {
    /// The path or the name, for people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Memory { name, .. } => name.clone(),
        }
    }

    /// The path of a file; `None` for a picture in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Memory { .. } => None,
        }
    }
}

/// A data set that was opened and checked.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder or file that was opened; for a folder of masks, that of the set around it.
    pub root: PathBuf,
    /// Name for people: the last part of `root`.
    pub name: String,
    /// What it teaches.
    pub task: Task,
    /// The layout that was recognized, for people.
    pub format: String,
    /// How pictures are labelled, one entry for each head that can be trained. The first names the classes of boxes and
    /// masks too. Class names are sorted byte-wise, but for
    /// masks: these have background first, or the order that their files give.
    pub columns: Vec<LabelColumn>,
    /// For sets of boxes: the number that each class has in the set's files (COCO's category id, YOLO's class), in the
    /// order of the first column's classes; empty elsewhere.
    pub category_ids: Vec<u64>,
    /// Every usable picture.
    pub samples: Vec<Sample>,
    /// The pre-flight report.
    pub issues: Vec<Issue>,
    /// Image files seen, usable or not.
    pub found: usize,
    /// The set had no split of its own for validation, so one was drawn.
    pub suggested_split: bool,
    /// Colors or values of masks that no table gives a class, the most frequent first: no mask is used before they have one.
    pub unnamed: Vec<Unnamed>,
}

impl Dataset {
    /// Class names of the first column; the position is the class id.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        self.columns.first().map_or(&[], |column| column.classes.as_slice())
    }

    /// The columns with these names (as they stand in the file, or as heads bear them), in their order; the first one
    /// where no name is given.
    ///
    /// # Errors
    /// A sentence, when a name is unknown or given twice.
    pub fn find_columns(&self, names: &[String]) -> Result<Vec<usize>, String> {
        if names.is_empty() {
            return Ok((0..self.columns.len().min(1)).collect());
        }
        let mut found: Vec<usize> = Vec::new();
        for name in names {
            let is = |column: &LabelColumn| column.name == *name || column.head() == *name;
            let Some(at) = self.columns.iter().position(is) else {
                let known: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                let known = known.join(", ");
                return Err(format!("{} has no label column {name} to train a head on; it has {known}.", self.name));
            };
            if found.contains(&at) {
                return Err(format!("Two heads cannot be trained on one label column, {name}."));
            }
            found.push(at);
        }
        Ok(found)
    }

    /// The same pictures with these columns, in this order.
    #[must_use]
    pub fn with_columns(&self, columns: &[usize]) -> Self {
        let mut set = self.clone();
        set.columns = columns.iter().filter_map(|at| self.columns.get(*at).cloned()).collect();
        for sample in &mut set.samples {
            sample.target.labels = columns.iter().map(|at| sample.target.label(*at).clone()).collect();
        }
        set
    }

    /// The class of mask pixels that belong to no object, where the set has one.
    #[must_use]
    pub fn background(&self) -> Option<u8> {
        self.classes().first().filter(|name| formats::masks::is_background(name)).map(|_| 0)
    }

    /// Whether the mask of a picture shows an object.
    #[must_use]
    pub fn shows_objects(&self, sample: &Sample) -> bool {
        let Some(mask) = &sample.target.mask else { return false };
        let is_object = |class: u32| Some(class) != self.background().map(u32::from);
        // Pixels are counted where a set is opened.
        match (sample.target.mask_px.is_empty(), mask) {
            (true, MaskTarget::Pixels(pixels)) => {
                pixels.ids.iter().any(|&id| id != IGNORE_ID && is_object(u32::from(id)))
            }
            (true, _) => true,
            (false, _) => sample.target.mask_classes().any(is_object),
        }
    }

    /// Indices into `samples` of one split, ascending.
    #[must_use]
    pub fn indices(&self, split: Split) -> Vec<usize> {
        self.samples.iter().enumerate().filter(|(_, s)| s.split == split).map(|(i, _)| i).collect()
    }

    /// Pictures that can be trained on, validated on or tested on.
    #[must_use]
    pub fn used(&self) -> usize {
        self.samples.len()
    }

    /// Image files that were left out; `issues` says why for each.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.found.saturating_sub(self.samples.len())
    }
}

/// How to open a set.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Where the validation pictures come from.
    pub val: ValSource,
    /// Seed of a split that has to be drawn.
    pub seed: u64,
    /// What the set should teach, where it could teach several things: a set with boxes and outlines gives boxes unless
    /// masks are asked for here.
    pub task: Option<Task>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { val: ValSource::FromSet, seed: 0, task: None }
    }
}

/// Where the validation pictures come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ValSource {
    /// The set's own split; a fifth of the training pictures where it has none.
    FromSet,
    /// This part of the pictures (0-1, exclusive), drawn anew; the set's own train and val are put together first.
    Fraction(f32),
    /// Another set; classes are matched by name.
    Other(PathBuf),
}

/// Told about long work, and asked whether to go on.
pub trait Progress: Sync {
    /// `done` of `total` steps of `what` are finished. Called from several threads.
    fn update(&self, done: usize, total: usize, what: &str);
    /// Whether to stop as soon as possible.
    fn cancelled(&self) -> bool;
}

/// Progress that nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn update(&self, _done: usize, _total: usize, _what: &str) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// Runs `work` on the decode pool. It is not rayon's global pool, which the CPU backend computes on: a training step
/// must not wait in the queue behind a 50-megapixel JPEG.
pub(crate) fn on_decode_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    let build = || rayon::ThreadPoolBuilder::new().thread_name(|i| format!("frostline-decode-{i}")).build().ok();
    match POOL.get_or_init(build) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}
