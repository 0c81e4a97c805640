//! A model leaves the program: under the public names, or as ONNX that another engine was seen to run alike.

mod cells;
mod check;
mod prompted;

use super::folder::{RunFile, export};
use super::plan::{DataSource, WeightsSource};
use super::prediction::HeadPrediction;
use super::public;
use super::setup::open_model;
use crate::data::{ImageSource, specimen};
use crate::graph::{Detector, HeadKind, PromptTells};
use crate::models::{Network, find};
use crate::weights::{self, BoxForm, BoxOutput, Draft, ENGINE, MOST_OF_A_CLASS};
use burn::tensor::Device;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Largest difference that is taken for rounding, over the largest raw output (but at least 1).
const TOLERANCE: f32 = 1e-3;

/// What a model can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Tensors under the public names, for PyTorch and for this program.
    Safetensors,
    /// The same tensors as `torch.save` writes a state dict.
    Pth,
    /// The computation with its tensors, for other engines.
    Onnx,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Safetensors, Self::Pth, Self::Onnx];

    /// The extension of its files.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Pth => "pth",
            Self::Onnx => "onnx",
        }
    }

    /// The format that a file's name asks for.
    ///
    /// # Errors
    /// A sentence that names the formats.
    pub fn of(path: &Path) -> Result<Self, String> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let known = || Self::ALL.map(|format| format!(".{}", format.extension())).join(" or ");
        Self::ALL
            .into_iter()
            .find(|format| format.extension().eq_ignore_ascii_case(extension))
            .ok_or_else(|| format!("{}: the file must end in {}.", path.display(), known()))
    }
}

/// What became of an export.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The run's folder or the checkpoint that was to be written.
    pub from: PathBuf,
    /// The file that was asked for.
    pub to: PathBuf,
    /// What was written.
    pub file: Option<PathBuf>,
    /// A further file that belongs to it: of a network that takes prompts the decoder.
    pub beside: Option<PathBuf>,
    /// The size of all.
    pub bytes: u64,
    /// What another engine says of it.
    pub check: Option<ExportCheck>,
    /// Why the file that was asked for is not there.
    pub problem: Option<String>,
}

impl Exported {
    /// An export that wrote nothing.
    #[must_use]
    pub fn failed(from: &Path, to: &Path, problem: String) -> Self {
        let (from, to) = (from.to_path_buf(), to.to_path_buf());
        Self { from, to, file: None, beside: None, bytes: 0, check: None, problem: Some(problem) }
    }
}

/// One picture and its mirror image through the network and through the written file.
#[derive(Clone, Debug)]
pub struct ExportCheck {
    /// The engine that ran the file.
    pub engine: &'static str,
    /// The picture.
    pub picture: String,
    /// Pictures in the batch.
    pub batch: usize,
    /// One entry for each head.
    pub heads: Vec<HeadCheck>,
    /// Seconds that the engine took, reading included.
    pub seconds: f64,
}

/// One head in both engines.
#[derive(Clone, Debug)]
pub struct HeadCheck {
    /// The head's name.
    pub head: String,
    /// Greatest absolute difference of a raw output.
    pub max_abs_diff: f32,
    /// Greatest absolute raw output of the network.
    pub max_abs: f32,
    /// Whether the decoded answers name the same classes first.
    pub same_top: bool,
    /// What the network says of the picture.
    pub program: HeadPrediction,
    /// What the file says of it.
    pub file: HeadPrediction,
}

impl ExportCheck {
    /// The greatest absolute difference of all heads.
    #[must_use]
    pub fn max_abs_diff(&self) -> f32 {
        self.heads.iter().fold(0.0, |max, head| max.max(head.max_abs_diff))
    }

    /// Whether all heads name the same classes first.
    #[must_use]
    pub fn same_top(&self) -> bool {
        self.heads.iter().all(|head| head.same_top)
    }
}

impl HeadCheck {
    /// Whether the difference is no more than rounding; never where there is a value that is no number.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.max_abs_diff <= self.tolerance()
    }

    /// The difference that is taken for rounding.
    #[must_use]
    pub fn tolerance(&self) -> f32 {
        TOLERANCE * self.max_abs.max(1.0)
    }
}

/// Writes the best weights of a run, or a checkpoint, to a file whose extension says the format. An ONNX file appears
/// under its name only after another engine was seen to give the same answers; of a detector it goes as far as `boxes`
/// says.
///
/// # Errors
/// A sentence with the cause. A file that was written and gives other answers is no error but a problem of the answer.
pub fn export_model(
    from: &Path,
    to: &Path,
    boxes: &BoxOutput,
    device: &Device,
    progress: &mut dyn FnMut(&str),
) -> Result<Exported, String> {
    let format = ExportFormat::of(to)?;
    progress("reading the weights");
    let (network, run) = open_model(from, device)?;
    let network = network.inference();
    let cannot = |cause: String| format!("{} cannot be written: {cause}.", to.display());
    let tensors = network.tensors().map_err(|error| cannot(error.to_string()))?;
    progress(&format!("writing {}", to.display()));
    if format != ExportFormat::Onnx {
        match format {
            ExportFormat::Pth => weights::save_pth(to, &tensors).map_err(|error| error.to_string())?,
            _ => export(to, &tensors, &run)?,
        }
        return Ok(done(from, to, to, None, None));
    }
    if network.graph().takes_prompts() {
        return prompted::export(from, to, &network, &run, &tensors, progress);
    }
    let notes = notes(&network, &run, boxes).map_err(|error| cannot(error.to_string()))?;
    let draft = Draft::new(to).map_err(|error| error.to_string())?;
    weights::write_onnx(&draft, network.graph(), network.facts(), &tensors, boxes, &notes)
        .map_err(|error| error.to_string())?;
    drop(tensors);
    progress(&format!("comparing with {ENGINE}"));
    let source = picture(&run)?;
    let check = check::check(&network, &run, boxes, &source, draft.path())?;
    let Some(wrong) = check.heads.iter().find(|head| !head.passes()) else {
        draft.publish().map_err(|error| error.to_string())?;
        return Ok(done(from, to, to, Some(check), None));
    };
    let rejected = to.with_extension("rejected.onnx");
    let problem = format!(
        "{ENGINE} gives other answers than the network: head {} differs by up to {:.2e}, and {:.1e} would be rounding; \
         the file was kept as {} and not as {}.",
        wrong.head,
        wrong.max_abs_diff,
        wrong.tolerance(),
        rejected.display(),
        to.display()
    );
    draft.publish_as(&rejected).map_err(|error| error.to_string())?;
    Ok(done(from, to, &rejected, Some(check), Some(problem)))
}

/// A picture to compare with: of the run's set, where it is there.
fn picture(run: &RunFile) -> Result<ImageSource, String> {
    let set = match &run.plan.data {
        DataSource::Path(path) => Some(path.as_path()),
        DataSource::Sample => None,
    };
    specimen(set).map_err(|error| error.to_string())
}

fn done(from: &Path, to: &Path, file: &Path, check: Option<ExportCheck>, problem: Option<String>) -> Exported {
    let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
    let (from, to, file) = (from.to_path_buf(), to.to_path_buf(), Some(file.to_path_buf()));
    Exported { from, to, file, beside: None, bytes, check, problem }
}

/// The names of the classes that a head tells apart.
fn class_names(network: &Network, run: &RunFile, head: usize) -> Vec<String> {
    let column = network.graph().label_column(head).and_then(|column| run.columns().into_iter().nth(column));
    column.map_or_else(|| run.classes.clone(), |column| column.classes)
}

/// A head in the notes of a file.
#[derive(Serialize)]
struct HeadNote<'a> {
    /// Also the name of its output.
    name: &'a str,
    #[serde(flatten)]
    kind: &'a HeadKind,
    class_names: Vec<String>,
    output: &'static str,
}

/// What a file says of itself: model, classes, preprocessing, where the weights come from.
fn notes(network: &Network, run: &RunFile, boxes: &BoxOutput) -> serde_json::Result<Vec<(String, String)>> {
    let heads: Vec<HeadNote<'_>> = network
        .graph()
        .heads
        .iter()
        .enumerate()
        .map(|(i, head)| HeadNote {
            name: &head.name,
            kind: &head.kind,
            class_names: class_names(network, run, i),
            output: match head.kind {
                HeadKind::Classify { .. } => "logits, one for each class; softmax makes them probabilities",
                HeadKind::MultiLabel { .. } => "logits, one for each class; sigmoid makes each a probability by itself",
                HeadKind::PixelClassify { .. } => "logits, one for each class and pixel; softmax over axis 1",
                HeadKind::Detect { .. } => "part of what boxes describes",
                HeadKind::Prompted { tells: PromptTells::Mask, .. } => {
                    "masks and low_res_masks: logits of each mask that is offered; above 0 is the object"
                }
                HeadKind::Prompted { tells: PromptTells::Iou, .. } => {
                    "iou_predictions: how much each will overlap what was meant"
                }
            },
        })
        .collect();
    let weights = match &run.plan.weights {
        WeightsSource::Random => "trained from random weights".to_owned(),
        WeightsSource::Public { entry } => {
            let variant = find(&run.plan.model).ok();
            let known = variant.as_ref().and_then(|variant| public::entry(variant, entry).ok());
            let license = known.map_or_else(String::new, |weights| format!(" ({}, {})", weights.file, weights.license));
            format!("fine-tuned from the public weights {entry}{license}")
        }
        WeightsSource::BuiltIn => "fine-tuned from the backbone that comes with Frostline".to_owned(),
        WeightsSource::File(path) => {
            format!("fine-tuned from {}", path.file_name().unwrap_or_default().to_string_lossy())
        }
    };
    let boxes = network.graph().detector.as_ref().map(|detector| in_words(boxes, detector));
    let task = serde_json::to_value(heads.first().map(|head| head.kind))?;
    let all = [
        ("program", format!("Frostline {}", env!("CARGO_PKG_VERSION"))),
        ("model", network.graph().name.clone()),
        ("task", task["task"].as_str().unwrap_or_default().to_owned()),
        ("classes", serde_json::to_string(&run.classes)?),
        ("heads", serde_json::to_string(&heads)?),
        ("preprocess", serde_json::to_string(&run.preprocess)?),
        ("preprocess_in_words", run.preprocess.to_string()),
        ("license", format!("{weights}; the licenses of what it was trained from apply")),
    ];
    let all = all.into_iter().chain(boxes.map(|boxes| ("boxes", boxes)));
    Ok(all.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// What the outputs of a detector's file hold.
fn in_words(boxes: &BoxOutput, detector: &Detector) -> String {
    let probabilities = match detector {
        Detector::SimOta(_) => "the probability of an object, the probability of each class (a score is their product)",
        Detector::TaskAligned(_) | Detector::TwoStage(_) => "the probability of each class",
    };
    let raw = match detector {
        Detector::SimOta(_) => {
            "offset of the center from the cell's corner in cells, logarithm of width and height in cells"
        }
        Detector::TaskAligned(_) | Detector::TwoStage(_) => {
            "logits of the distances from the cell's center to left, top, right, bottom, a distribution over cells each"
        }
    };
    let cells = "[batch, cells, numbers], cells of the finest level first, row by row";
    match boxes.form {
        BoxForm::Raw => {
            format!("output: {cells}; {raw}; then {probabilities}; decoding and suppression are to be done")
        }
        BoxForm::Decoded => format!(
            "output: {cells}; center x, center y, width, height in input pixels; then {probabilities}; suppression is to \
             be done"
        ),
        BoxForm::Objects => format!(
            "boxes: [objects, 4], left, top, right, bottom in input pixels; scores, classes, pictures (place in the batch): \
             [objects]; at least {} sure, of a class none overlaps another by more than {}, {MOST_OF_A_CLASS} of a class \
             in a picture at most",
            boxes.confidence.unwrap_or_else(|| detector.confidence()),
            boxes.overlap.unwrap_or_else(|| detector.overlap())
        ),
    }
}
