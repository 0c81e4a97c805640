//! Finds which names of a file are which names of a network.
//!
//! A file may keep the weights under a dictionary (`state_dict.`), behind a wrapper (`module.`), or as part of
//! a larger model (`backbone.`); the network may hold the file's model as a part of itself (`encoder.`).
//! All of these are one prefix taken off the file's names and one put before them. The pair is not guessed
//! from a list but counted: the one under which most tensors match by name and shape wins, and plain names
//! win a tie.

use super::checkpoint::{Checkpoint, Entry};
use super::{Wanted, is_batch_counter};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Wrapper prefixes that are taken off every name when no network is there to compare with.
const WRAPPERS: &[&str] = &["module.", "_orig_mod.", "backbone.", "encoder."];

/// Candidate pairs that are scored in full.
const CANDIDATES: usize = 24;
/// Names of a file that take part in finding candidates; a file with more is sampled evenly.
const SAMPLED_NAMES: usize = 4096;

/// The wrapper that `name` starts with.
pub(super) fn known_prefix(name: &str) -> Option<&'static str> {
    WRAPPERS.iter().copied().find(|prefix| name.starts_with(prefix))
}

/// How the names of a file become names of the network: `strip` comes off, `add` goes before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Mapping {
    pub strip: String,
    pub add: String,
}

impl Mapping {
    /// The file's entry for a wanted tensor, with its full name, old spellings included.
    pub fn find<'c>(&self, checkpoint: &'c Checkpoint, wanted: &str) -> Option<(&'c str, &'c Entry)> {
        let local = wanted.strip_prefix(self.add.as_str())?;
        let get = |local: &str| {
            let (name, entry) = checkpoint.entries.get_key_value(format!("{}{local}", self.strip).as_str())?;
            Some((name.as_str(), entry))
        };
        get(local).or_else(|| former_name(local).and_then(|local| get(&local)))
    }
}

/// Whether two shapes are the same tensor. A scalar is `[]` or `[1]`, depending on who wrote the file.
pub(super) fn same_shape(a: &[usize], b: &[usize]) -> bool {
    a == b || (a.len() <= 1 && b.len() <= 1 && a.iter().product::<usize>() == 1 && b.iter().product::<usize>() == 1)
}

/// Chooses the mapping under which most wanted tensors are found with the right shape.
pub(super) fn best_mapping(checkpoint: &Checkpoint, wanted: &[Wanted]) -> Mapping {
    let score = |mapping: &Mapping| {
        let found = wanted.iter().filter(|w| !is_batch_counter(&w.name));
        found.filter(|w| mapping.find(checkpoint, &w.name).is_some_and(|(_, e)| same_shape(&e.shape, &w.shape))).count()
    };
    let mut best = (score(&Mapping::default()), Reverse((false, 0)), Mapping::default());
    for mapping in candidates(checkpoint, wanted) {
        // Among equals the averaged weights win, as their own tools choose, then the shorter change.
        let averaged =
            mapping.strip.split('.').any(|part| part == "ema" || part.ends_with("_ema") || part.starts_with("ema_"));
        let rank = Reverse((!averaged, mapping.strip.len() + mapping.add.len()));
        let matched = score(&mapping);
        if (matched, rank) > (best.0, best.1) {
            best = (matched, rank, mapping);
        }
    }
    best.2
}

/// The pairs of prefixes that would match most tensors, by counting common endings of names with equal shapes.
fn candidates(checkpoint: &Checkpoint, wanted: &[Wanted]) -> Vec<Mapping> {
    let mut endings: HashMap<&str, Vec<(&str, &[usize])>> = HashMap::new();
    for tensor in wanted.iter().filter(|tensor| !is_batch_counter(&tensor.name)) {
        // An ending of one word (`weight`) says nothing, unless it is the whole name.
        for (prefix, ending) in
            splits(&tensor.name).filter(|(prefix, ending)| prefix.is_empty() || ending.contains('.'))
        {
            endings.entry(ending).or_default().push((prefix, &tensor.shape));
        }
    }
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    let step = checkpoint.entries.len().div_ceil(SAMPLED_NAMES).max(1);
    for (name, entry) in checkpoint.entries.iter().step_by(step) {
        for (strip, ending) in splits(name) {
            for (add, shape) in endings.get(ending).into_iter().flatten() {
                if *shape == entry.shape.as_slice() {
                    *counts.entry((strip, add)).or_default() += 1;
                }
            }
        }
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_unstable_by_key(|&((strip, add), count)| (Reverse(count), strip.len() + add.len(), strip, add));
    ranked.truncate(CANDIDATES);
    ranked.into_iter().map(|((strip, add), _)| Mapping { strip: strip.to_owned(), add: add.to_owned() }).collect()
}

/// All ways to split a name after a dot: (`""`, name), (`"a."`, rest), ...
fn splits(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let after_dots = name.match_indices('.').map(|(at, _)| at + 1).take(12);
    std::iter::once(0).chain(after_dots).map(|at| name.split_at(at))
}

/// The name that older releases of torchvision gave to a tensor of its detectors; torchvision renames on load too.
fn former_name(name: &str) -> Option<String> {
    let (module, leaf) = name.rsplit_once('.')?;
    let (base, index) = module.strip_suffix(".0")?.rsplit_once('.')?;
    if base.ends_with("fpn.inner_blocks") || base.ends_with("fpn.layer_blocks") {
        return Some(format!("{base}.{index}.{leaf}"));
    }
    if base == "rpn.head.conv" && index == "0" {
        return Some(format!("rpn.head.conv.{leaf}"));
    }
    if base.ends_with("classification_head.conv") || base.ends_with("regression_head.conv") {
        // A flat Sequential of convolution and ReLU then, blocks of both now.
        let index: usize = index.parse().ok()?;
        return Some(format!("{base}.{}.{leaf}", index.checked_mul(2)?));
    }
    None
}

/// How much a file and a network have in common, 0 to 1: tensors that match by name and shape, over all that
/// either has (a file's optimizer state and step counters not counted). 1 means the same network; a smaller
/// network contained in the file, or a part of a file missing, both lower it.
pub fn similarity(checkpoint: &Checkpoint, wanted: &[Wanted]) -> f32 {
    let mapping = best_mapping(checkpoint, wanted);
    let relevant = wanted.iter().filter(|tensor| !is_batch_counter(&tensor.name));
    let (mut total, mut matched) = (0usize, 0usize);
    for tensor in relevant {
        total += 1;
        let found = mapping.find(checkpoint, &tensor.name);
        matched += usize::from(found.is_some_and(|(_, entry)| same_shape(&entry.shape, &tensor.shape)));
    }
    let held = checkpoint.names().filter(|name| name.starts_with(&mapping.strip) && !is_batch_counter(name)).count();
    matched as f32 / (total + held - matched.min(held)).max(1) as f32
}
