//! The load report: what of a file goes where, decided before a byte of tensor data is read.

use super::checkpoint::{Checkpoint, Entry};
use super::classes::ClassNames;
use super::error::{WeightsError, quote};
use super::matching::{Best, Mapping, best_mapping, same_shape};
use super::notes::notes;
use super::surgery::{HeadPolicy, HeadReport, NewHead};
use super::{PlainTensor, Wanted, is_batch_counter};
use crate::graph::Preprocess;
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

/// Below this share of matching tensors, in either direction, a file belongs to another network. Neighbors of
/// one family contain each other (of ResNet-34's tensors ResNet-18 has 56 %, ResNet-152 in ResNet-101: 67 %),
/// while the partial files in circulation lack less (a ResNet-18 without its last blocks: 80 %).
const ENOUGH: f32 = 0.7;
/// Below this share of the backbone the report carries a warning.
const COMFORTABLE: f32 = 0.9;
/// Differences spelled out in an error.
const SHOWN: usize = 3;

/// What happens to one tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum RowState {
    /// It is read from the file.
    Loaded,
    /// Rows of it are read from the file, those of classes that go on; the others start anew.
    Rows {
        /// Rows from the file.
        kept: usize,
        /// Rows that start anew.
        made: usize,
    },
    /// It belongs to a head whose shape differs, and starts anew.
    Remade {
        /// Why, in words: `1000 classes in the file, 2 here`.
        reason: String,
    },
    /// The network has it, the file does not; it starts anew.
    Missing,
    /// The file has it, the network does not.
    Unused,
    /// BatchNorm's step counter, which is never needed.
    Ignored,
}

impl RowState {
    /// Whether something of it is read from the file.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Loaded | Self::Rows { .. })
    }
}

/// One tensor of the network or of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Name in the network, or for an unused tensor its full name in the file.
    pub name: String,
    /// What happens to it.
    #[serde(flatten)]
    pub state: RowState,
    /// Full name in the file, where it is there.
    pub file_name: Option<String>,
    /// Part of the network: `backbone`, `neck`, `head NAME`; none for an unused tensor.
    pub part: Option<String>,
    /// Shape in the network.
    pub wanted_shape: Option<Vec<usize>>,
    /// Shape in the file.
    pub file_shape: Option<Vec<usize>>,
    /// torch's name of the type in the file.
    pub dtype: Option<&'static str>,
}

impl Row {
    /// Why that happens to it, in words; empty where there is nothing to say.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.state {
            RowState::Loaded => String::new(),
            RowState::Rows { kept, made: 0 } => format!("all {kept} rows, in their new places"),
            RowState::Rows { kept, made } => format!("{kept} of {} rows kept, {made} made new", kept + made),
            RowState::Remade { reason } => reason.clone(),
            RowState::Missing => "not in the file; starts from random values".to_owned(),
            RowState::Unused => "no place in this network".to_owned(),
            RowState::Ignored => "a step counter, never needed".to_owned(),
        }
    }
}

/// Rows per state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the states of a row")]
pub struct Counts {
    pub loaded: usize,
    pub rows: usize,
    pub remade: usize,
    pub missing: usize,
    pub unused: usize,
    pub ignored: usize,
}

/// How a file maps onto a network, tensor by tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadReport {
    /// The checkpoint.
    pub file: PathBuf,
    /// How it is packed, in words: `PyTorch zip`.
    pub container: String,
    /// Dictionary inside the file that the weights were taken from: `state_dict`.
    pub nested_under: Option<String>,
    /// What was taken off the file's names: `module.`.
    pub stripped_prefix: Option<String>,
    /// What was put before the file's names, where the file is a part of this network: `encoder.`.
    pub added_prefix: Option<String>,
    /// The network's tensors in its order, then the file's unused and ignored ones.
    pub rows: Vec<Row>,
    /// Tensors of the file outside the dictionary that was used (optimizer state, a second copy of the model).
    pub outside: usize,
    /// Share of the backbone's tensors that load, by count, 0 to 1.
    pub backbone_matched: f32,
    /// What was chosen or converted on the way, in words: whose names, which of two copies, other shapes.
    pub notes: Vec<String>,
    /// Loaded tensors that hold NaN or infinity; filled by [`read`].
    pub non_finite: Vec<String>,
    /// How the classes of each head go over, where the classes to be are known.
    pub heads: Vec<HeadReport>,
    /// What pictures went through when the weights were trained, where the file says so.
    pub preprocess: Option<Preprocess>,
}

impl LoadReport {
    /// Rows per state.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in &self.rows {
            let count = match row.state {
                RowState::Loaded => &mut counts.loaded,
                RowState::Rows { .. } => &mut counts.rows,
                RowState::Remade { .. } => &mut counts.remade,
                RowState::Missing => &mut counts.missing,
                RowState::Unused => &mut counts.unused,
                RowState::Ignored => &mut counts.ignored,
            };
            *count += 1;
        }
        counts
    }

    /// The report in one line: `295 loaded, 4 re-made, 0 unused`, with missing tensors where there are any.
    pub fn summary(&self) -> String {
        let Counts { loaded, rows, remade, missing, unused, .. } = self.counts();
        let mut parts = vec![format!("{loaded} loaded")];
        parts.extend((rows > 0).then(|| format!("{rows} in part")));
        parts.extend((remade > 0).then(|| format!("{remade} re-made")));
        parts.extend((missing > 0).then(|| format!("{missing} missing")));
        parts.push(format!("{unused} unused"));
        let mut line = parts.join(", ");
        let origin: Vec<_> = [
            self.nested_under.as_ref().map(|key| format!("under `{key}`")),
            self.stripped_prefix.as_ref().map(|prefix| format!("without `{prefix}`")),
            self.added_prefix.as_ref().map(|prefix| format!("into `{prefix}`")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !origin.is_empty() {
            line = format!("{line} ({})", origin.join(", "));
        }
        line
    }

    /// What happens to the heads, a sentence each: which classes keep their weights, which will be forgotten.
    pub fn head_notes(&self) -> Vec<String> {
        self.heads.iter().flat_map(|head| std::iter::once(head.summary()).chain(head.concerns())).collect()
    }

    /// What should be looked at before training, in words: much of the backbone missing, values that are not numbers.
    pub fn warning(&self) -> Option<String> {
        let mut words = Vec::new();
        if self.backbone_matched < COMFORTABLE {
            let missing: Vec<&Row> = self.rows.iter().filter(|row| row.state == RowState::Missing).collect();
            let first = missing.first().map_or("", |row| row.name.as_str());
            words.push(format!(
                "only {:.0} % of the backbone loads, {} tensors (the first is {first}) are missing from the file and start from random values",
                self.backbone_matched * 100.0,
                missing.len()
            ));
        }
        match self.non_finite.as_slice() {
            [] => {}
            [only] => words.push(format!("{only} holds NaN or infinity")),
            [first, ..] => {
                words.push(format!("{} tensors hold NaN or infinity, the first is {first}", self.non_finite.len()));
            }
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// Decides for every tensor of the network and of the file what happens to it. Reads no tensor data.
///
/// # Errors
/// The file belongs to another architecture, or a tensor outside the heads has another shape or type; the
/// message names the first differences.
pub fn plan(checkpoint: &Checkpoint, wanted: &[Wanted]) -> Result<LoadReport, WeightsError> {
    plan_heads(checkpoint, wanted, &[], &mut |_, _| None, &HeadPolicy::default())
}

/// The same for a network whose heads' classes are known: rows of classes that go on are taken from the file, each to
/// its class's place. `names` is asked for what the file's classes are called, given the head and their number.
///
/// # Errors
/// As [`plan`].
pub fn plan_heads(
    checkpoint: &Checkpoint,
    wanted: &[Wanted],
    heads: &[NewHead],
    names: &mut dyn FnMut(&str, usize) -> Option<ClassNames>,
    policy: &HeadPolicy,
) -> Result<LoadReport, WeightsError> {
    let Best { mapping, copies, .. } = best_mapping(checkpoint, wanted);
    let mut taken = HashSet::new();
    let mut misfits = Vec::new();
    let mut rows = Vec::with_capacity(wanted.len());
    for tensor in wanted {
        let found = mapping.find(checkpoint, tensor);
        taken.extend(found.map(|(name, _)| name));
        rows.push(wanted_row(tensor, found, &mut misfits));
    }
    let heads = heads.iter().filter_map(|head| operate(&mut rows, head, names, policy)).collect();
    remake_whole_layers(&mut rows, wanted);
    let (nested_under, stripped_prefix) = split_nesting(checkpoint, &mapping.strip);
    let scope = nested_under.as_ref().map(|key| format!("{key}.")).unwrap_or_default();
    let (inside, outside): (Vec<_>, Vec<_>) = checkpoint.entries.iter().partition(|(name, _)| name.starts_with(&scope));
    rows.extend(
        inside.iter().filter(|(name, _)| !taken.contains(name.as_str())).map(|(name, entry)| unused_row(name, entry)),
    );

    let differences = differences(&rows, &misfits);
    let has_backbone = wanted.iter().any(|tensor| tensor.part == "backbone");
    let in_backbone = |row: &&Row| match row.part.as_deref() {
        _ if is_batch_counter(&row.name) => false,
        Some(part) if has_backbone => part == "backbone",
        Some(part) => !part.starts_with("head"),
        None => false,
    };
    let backbone: Vec<&Row> = rows.iter().filter(in_backbone).collect();
    let matched = backbone.iter().filter(|row| row.state == RowState::Loaded).count();
    let (used, held) = use_of_file(&rows, &mapping);
    let backbone_matched = if backbone.is_empty() { 1.0 } else { matched as f32 / backbone.len() as f32 };
    let loads = rows.iter().any(|row| row.state.is_read());
    if !loads || backbone_matched < ENOUGH || (used as f32) < ENOUGH * held as f32 {
        return Err(WeightsError::OtherArchitecture {
            path: checkpoint.path.clone(),
            part: if has_backbone { "backbone" } else { "network" },
            matched,
            wanted: backbone.len(),
            used,
            held,
            differences,
        });
    }
    if !misfits.is_empty() {
        return Err(WeightsError::Shape { path: checkpoint.path.clone(), differences });
    }
    let notes = notes(checkpoint, wanted, &mapping, &copies, &rows);
    Ok(LoadReport {
        file: checkpoint.path.clone(),
        container: checkpoint.format.name().to_owned(),
        nested_under,
        stripped_prefix,
        added_prefix: Some(mapping.add).filter(|add| !add.is_empty()),
        rows,
        outside: outside.len(),
        backbone_matched,
        notes,
        non_finite: Vec::new(),
        heads,
        preprocess: None,
    })
}

/// Reads all tensors that the report loads, before any is applied, so that a damaged file changes nothing.
/// Notes tensors that hold NaN or infinity in the report.
///
/// # Errors
/// A tensor's bytes are missing or damaged.
pub fn read(checkpoint: &Checkpoint, report: &mut LoadReport) -> Result<Vec<PlainTensor>, WeightsError> {
    read_onto(checkpoint, report, &|_| None)
}

/// The same where heads take over rows: `fresh` gives the values that a tensor starts anew with; the rows of classes that
/// go on are put in their places there.
///
/// # Errors
/// As [`read`].
pub fn read_onto(
    checkpoint: &Checkpoint,
    report: &mut LoadReport,
    fresh: &dyn Fn(&str) -> Option<Vec<f32>>,
) -> Result<Vec<PlainTensor>, WeightsError> {
    let mut tensors = Vec::new();
    report.non_finite.clear();
    for row in report.rows.iter().filter(|row| row.state.is_read()) {
        let (Some(file_name), Some(shape)) = (&row.file_name, &row.wanted_shape) else { continue };
        let mut values = checkpoint.read_f32(file_name)?;
        if row.state != RowState::Loaded {
            let head = report.heads.iter().find(|head| head.tensors.contains(&row.name));
            let (Some(head), Some(mut own)) = (head, fresh(&row.name)) else { continue };
            let width = shape.iter().skip(1).product::<usize>().max(1) * head.layout.rows(&row.name);
            // The background's rows go on as they are.
            let first = usize::from(head.layout.background);
            let background = (0..first).map(Some);
            let sources = background.chain(head.sources().map(|from| from.map(|id| id + first)));
            for (place, from) in own.chunks_exact_mut(width.max(1)).zip(sources) {
                if let Some(old) = from.and_then(|id| values.chunks_exact(width.max(1)).nth(id)) {
                    place.copy_from_slice(old);
                }
            }
            values = own;
        }
        if !values.iter().all(|value| value.is_finite()) {
            report.non_finite.push(row.name.clone());
        }
        tensors.push((row.name.clone(), shape.clone(), values));
    }
    Ok(tensors)
}

/// Decides class by class what a head takes over, and puts its tensors' states accordingly. Nothing where the file has
/// none of them.
fn operate(
    rows: &mut [Row],
    head: &NewHead,
    names: &mut dyn FnMut(&str, usize) -> Option<ClassNames>,
    policy: &HeadPolicy,
) -> Option<HeadReport> {
    let mut found: Vec<&mut Row> =
        rows.iter_mut().filter(|row| head.tensors.contains(&row.name) && row.file_shape.is_some()).collect();
    let counts = |row: &&mut Row| {
        let rows = row.file_shape.as_ref().and_then(|shape| shape.first().copied())?;
        head.layout.classes(&row.name, rows)
    };
    let old = found.first().map(counts)?.unwrap_or(0);
    let names = names(&head.name, old);
    let report = HeadReport::new(head, old, names.as_ref(), policy);
    let fits = |row: &&mut Row| {
        let rest = |shape: &Option<Vec<usize>>| shape.as_ref().and_then(|shape| shape.get(1..).map(<[usize]>::to_vec));
        let float = row.dtype.is_some_and(|dtype| dtype.contains("float"));
        float && counts(row) == Some(old) && rest(&row.file_shape) == rest(&row.wanted_shape)
    };
    if !found.iter().all(fits) {
        return Some(report.made_new());
    }
    let (kept, all) = (report.kept(), report.rows.len());
    let state = if report.is_whole() {
        RowState::Loaded
    } else if kept > 0 {
        RowState::Rows { kept, made: all - kept }
    } else {
        let counts = if old == all { String::new() } else { format!("{old} classes in the file, {all} here; ") };
        RowState::Remade { reason: format!("{counts}{}", report.why_new()) }
    };
    found.iter_mut().for_each(|row| row.state = state.clone());
    Some(report)
}

/// The row of one tensor of the network. What does not fit and may not be re-made goes to `misfits` in words.
fn wanted_row(tensor: &Wanted, found: Option<(&str, &Entry)>, misfits: &mut Vec<String>) -> Row {
    let Wanted { name, shape, head, part, .. } = tensor;
    let state = match found {
        _ if is_batch_counter(name) => RowState::Ignored,
        None => RowState::Missing,
        Some((_, entry)) if same_shape(&entry.shape, shape) && entry.dtype.is_float() => RowState::Loaded,
        Some((_, entry)) if *head => RowState::Remade { reason: head_difference(entry, shape, part) },
        Some((_, entry)) => {
            misfits.push(if entry.dtype.is_float() {
                format!("{name} is {:?} in the file and {shape:?} here", entry.shape)
            } else {
                format!("{name} is of {} in the file, not of a floating-point type", entry.dtype.name())
            });
            // Never seen by a caller: a misfit makes `plan` return an error.
            RowState::Missing
        }
    };
    Row {
        name: name.clone(),
        state,
        file_name: found.map(|(name, _)| name.to_owned()),
        part: Some(part.clone()),
        wanted_shape: Some(shape.clone()),
        file_shape: found.map(|(_, entry)| entry.shape.clone()),
        dtype: found.map(|(_, entry)| entry.dtype.name()),
    }
}

fn unused_row(name: &str, entry: &Entry) -> Row {
    Row {
        name: name.to_owned(),
        state: if is_batch_counter(name) { RowState::Ignored } else { RowState::Unused },
        file_name: Some(name.to_owned()),
        part: None,
        wanted_shape: None,
        file_shape: Some(entry.shape.clone()),
        dtype: Some(entry.dtype.name()),
    }
}

/// Why a head's tensor starts anew. The first axis of a head's tensors counts its outputs.
fn head_difference(entry: &Entry, here: &[usize], part: &str) -> String {
    match (entry.shape.split_first(), here.split_first()) {
        _ if !entry.dtype.is_float() => format!("of {} in the file", entry.dtype.name()),
        (Some((there, rest)), Some((here, same))) if rest == same => {
            let what = if part.contains("cls") { "classes" } else { "outputs" };
            format!("{there} {what} in the file, {here} here")
        }
        _ => format!("{:?} in the file, {here:?} here", entry.shape),
    }
}

/// A layer is re-made whole: a weight of its own with the file's bias would be neither.
fn remake_whole_layers(rows: &mut [Row], wanted: &[Wanted]) {
    let layer = |name: &str| name.rsplit_once('.').map(|(layer, _)| layer.to_owned());
    let remade: Vec<(String, String)> = rows
        .iter()
        .filter_map(|row| match &row.state {
            RowState::Remade { reason } => Some((layer(&row.name)?, reason.clone())),
            _ => None,
        })
        .collect();
    for (row, tensor) in
        rows.iter_mut().zip(wanted).filter(|(row, tensor)| tensor.head && row.state == RowState::Loaded)
    {
        let layer = layer(&tensor.name);
        if let Some((_, reason)) = remade.iter().find(|(remade, _)| Some(remade) == layer.as_ref()) {
            row.state = RowState::Remade { reason: format!("its layer is re-made: {reason}") };
        }
    }
}

/// Divides the prefix that came off into the dictionary and the rest.
fn split_nesting(checkpoint: &Checkpoint, strip: &str) -> (Option<String>, Option<String>) {
    let dictionary = strip
        .match_indices('.')
        .filter_map(|(at, _)| strip.get(..at))
        .take_while(|path| checkpoint.dictionaries.contains(*path))
        .last();
    let rest = dictionary.map_or(strip, |path| strip.get(path.len() + 1..).unwrap_or_default());
    (dictionary.map(str::to_owned), Some(rest.to_owned()).filter(|rest| !rest.is_empty()))
}

/// Of the file's tensors in modules that the network has too (`layer1`, `features`): how many have a place, and
/// how many there are. A deeper network of the same family has all of this one's names, and more.
fn use_of_file(rows: &[Row], mapping: &Mapping) -> (usize, usize) {
    fn module<'n>(name: &'n str, strip: &str) -> Option<&'n str> {
        name.strip_prefix(strip)?.split('.').next()
    }
    let names = |test: fn(&RowState) -> bool| {
        rows.iter()
            .filter(move |row| test(&row.state) && !is_batch_counter(&row.name))
            .filter_map(|row| module(row.file_name.as_deref()?, &mapping.strip))
    };
    let shared: BTreeSet<&str> = names(RowState::is_read).collect();
    let used = names(RowState::is_read).count();
    (used, used + names(|state| *state == RowState::Unused).filter(|module| shared.contains(module)).count())
}

/// The first few differences in words: shapes first, then missing tensors, then tensors without a place.
fn differences(rows: &[Row], misfits: &[String]) -> String {
    let of = |state: RowState| rows.iter().filter(move |row| row.state == state);
    let missing =
        of(RowState::Missing).filter(|row| row.file_name.is_none()).map(|row| format!("{} is missing", row.name));
    let unused = of(RowState::Unused).map(|row| format!("{} has no place here", quote(&row.name)));
    let all: Vec<String> = misfits.iter().cloned().chain(missing).chain(unused).collect();
    let mut words = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    if all.len() > SHOWN {
        words.push_str(&format!("; and {} more", all.len() - SHOWN));
    }
    words
}
