//! `frostline check`: the pre-flight report of a data set.

use super::args::CheckArgs;
use super::lines::{DatasetLine, Line};
use super::output::{self, Align};
use super::progress::StatusLine;
use super::{Failure, Outcome, interrupt};
use crate::data::{
    self, DEFAULT_COLUMN, DataError, Dataset, Issue, OpenOptions, Progress, Severity, Split, Task, ValSource,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub(super) fn check(args: &CheckArgs) -> Outcome {
    let options =
        OpenOptions { val: val_source(args.val.as_deref())?, seed: args.seed, task: args.task.map(Into::into) };
    let set = match open(&args.data, &options) {
        Ok(set) => set,
        Err(DataError::Cancelled) => return Err(Failure::Interrupted),
        Err(error) => {
            if args.json {
                no_set(&args.data, &error)?;
            }
            return Err(Failure::Input(format!("{error}.")));
        }
    };
    let reasons = set.usable().err().unwrap_or_default();
    if args.json {
        set.issues.iter().try_for_each(|issue| output::json(&Line::Issue(issue)))?;
        output::json(&Line::Dataset(dataset_line(&set, &reasons)))?;
    } else {
        show(&set)?;
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Failure::Input(format!("{} cannot be trained on: {}.", args.data.display(), reasons.join("; "))))
}

/// Opens a set with a progress line for people; Ctrl-C stops it.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    let watch = Watch(Mutex::new(StatusLine::default()));
    let result = data::open(path, options, &watch);
    watch.0.into_inner().unwrap_or_else(PoisonError::into_inner).clear();
    result
}

/// What `--val` means: a number is a share of the pictures, anything else a path.
pub(super) fn val_source(text: Option<&str>) -> Result<ValSource, Failure> {
    let Some(text) = text else { return Ok(ValSource::FromSet) };
    match text.parse::<f32>() {
        Ok(part) if part > 0.0 && part < 1.0 => Ok(ValSource::Fraction(part)),
        Ok(_) if !Path::new(text).exists() => {
            Err(Failure::Input(format!("--val {text}: the part for validation must lie between 0 and 1.")))
        }
        _ => Ok(ValSource::Other(PathBuf::from(text))),
    }
}

/// Progress on standard error.
struct Watch(Mutex<StatusLine>);

impl Progress for Watch {
    fn update(&self, done: usize, total: usize, what: &str) {
        // Whoever comes while another one writes has nothing newer to say.
        if let Ok(mut line) = self.0.try_lock() {
            line.show(|| format!("{what} {done}/{total}"));
        }
    }

    fn cancelled(&self) -> bool {
        interrupt::asked()
    }
}

fn no_set(path: &Path, error: &DataError) -> Outcome {
    output::json(&Line::Issue(&Issue::new(Severity::Error, path, error.to_string())))?;
    output::json(&Line::Dataset(DatasetLine {
        task: None,
        format: None,
        classes: &[],
        columns: &[],
        images: 0,
        used: 0,
        skipped: 0,
        usable: false,
        splits: BTreeMap::new(),
        pixels: BTreeMap::new(),
        reasons: vec![error.to_string()],
    }))
}

fn dataset_line<'a>(set: &'a Dataset, reasons: &[String]) -> DatasetLine<'a> {
    let splits = [("train", Split::Train), ("val", Split::Val), ("test", Split::Test)];
    DatasetLine {
        task: Some(set.task),
        format: Some(&set.format),
        classes: set.classes(),
        columns: &set.columns,
        images: set.found,
        used: set.used(),
        skipped: set.skipped(),
        usable: reasons.is_empty(),
        splits: splits.into_iter().map(|(name, split)| (name, set.indices(split).len())).collect(),
        pixels: match set.task {
            Task::Segment => splits.into_iter().map(|(name, split)| (name, set.pixel_counts(split))).collect(),
            Task::Classify | Task::Detect => BTreeMap::new(),
        },
        reasons: reasons.to_vec(),
    }
}

fn show(set: &Dataset) -> Outcome {
    for issue in &set.issues {
        let word = match issue.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        output::line(&format!("{word:<7}  {issue}"))?;
    }
    if !set.issues.is_empty() {
        output::line("")?;
    }
    output::line(&format!(
        "{}: {}, {}; {} images, {} used, {} skipped{}",
        set.name,
        set.format,
        set.task,
        set.found,
        set.used(),
        set.skipped(),
        if set.suggested_split { "; the split was drawn" } else { "" }
    ))?;
    (0..set.columns.len()).try_for_each(|column| show_column(set, column))
}

/// How many pictures each part of a set has of the classes of a column.
fn show_column(set: &Dataset, at: usize) -> Outcome {
    let Some(column) = set.columns.get(at) else { return Ok(()) };
    let splits = [Split::Train, Split::Val, Split::Test];
    let counts = splits.map(|split| if at == 0 { set.class_counts(split) } else { set.label_counts(at, split) });
    // Of masks also what part of the pixels to train on is of each class.
    let pixels = if at == 0 && set.task == Task::Segment { set.pixel_counts(Split::Train) } else { Vec::new() };
    let all = pixels.iter().sum::<u64>().max(1);
    let share = |id: usize| pixels.get(id).map(|count| format!("{:.2} %", 100.0 * *count as f64 / all as f64));
    let row = |(id, name): (usize, &String)| {
        let count = |split: &Vec<usize>| split.get(id).copied().unwrap_or(0).to_string();
        std::iter::once(name.clone()).chain(counts.iter().map(count)).chain(share(id)).collect()
    };
    let rows: Vec<Vec<String>> = column.classes.iter().enumerate().map(row).collect();
    let title = match column.name.as_str() {
        DEFAULT_COLUMN => "class",
        name => name,
    };
    let mut head = vec![(title, Align::Left), ("train", Align::Right), ("val", Align::Right), ("test", Align::Right)];
    if !pixels.is_empty() {
        head.push(("pixels", Align::Right));
    }
    output::table(&head, &rows).iter().try_for_each(|line| output::line(line))
}
