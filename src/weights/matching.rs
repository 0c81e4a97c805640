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
    /// Which of the other publishers' names the file uses; none for the network's own.
    pub spelling: Option<usize>,
}

impl Mapping {
    /// The file's entry for a wanted tensor, with its full name, old spellings included.
    pub fn find<'c>(&self, checkpoint: &'c Checkpoint, wanted: &Wanted) -> Option<(&'c str, &'c Entry)> {
        let local = spelled(wanted, self.spelling)?.strip_prefix(self.add.as_str())?;
        let get = |local: &str| {
            let (name, entry) = checkpoint.entries.get_key_value(format!("{}{local}", self.strip).as_str())?;
            Some((name.as_str(), entry))
        };
        get(local).or_else(|| former_name(local).and_then(|local| get(&local)))
    }

    /// Whether the file holds the tensor with the right shape.
    fn matches(&self, checkpoint: &Checkpoint, wanted: &Wanted) -> bool {
        self.find(checkpoint, wanted).is_some_and(|(_, entry)| same_shape(&entry.shape, &wanted.shape))
    }

    /// Whether the weights are a running average over training steps.
    pub fn is_average(&self) -> bool {
        let average = |part: &str| part == "ema" || part.ends_with("_ema") || part.starts_with("ema_");
        self.strip.split('.').any(average)
    }
}

/// A tensor's name as a publisher spells it.
fn spelled(wanted: &Wanted, spelling: Option<usize>) -> Option<&str> {
    match spelling {
        None => Some(&wanted.name),
        Some(i) => wanted.also.get(i).map(|alias| alias.name.as_str()),
    }
}

/// Whether two shapes hold the same values in the same order: equal, or a scalar as `[]` and as `[1]` (depending on
/// who wrote the file), or a linear layer's weight `[out, in]` stored as that of a convolution that sees its whole
/// input, `[out, channels, height, width]`.
pub(super) fn same_shape(a: &[usize], b: &[usize]) -> bool {
    match (a, b) {
        _ if a == b => true,
        ([] | [1], [] | [1]) => true,
        ([out, inputs], [n, rest @ ..]) | ([n, rest @ ..], [out, inputs]) if rest.len() == 3 => {
            out == n && rest.iter().try_fold(1usize, |total, &n| total.checked_mul(n)) == Some(*inputs)
        }
        _ => false,
    }
}

/// The mapping under which most wanted tensors are found with the right shape, and the other places in the file that
/// hold as many.
pub(super) struct Best {
    pub mapping: Mapping,
    pub copies: Vec<Mapping>,
    /// Tensors found.
    pub matched: usize,
}

/// Chooses the mapping under which most wanted tensors are found with the right shape.
pub(super) fn best_mapping(checkpoint: &Checkpoint, wanted: &[Wanted]) -> Best {
    let relevant: Vec<&Wanted> = wanted.iter().filter(|wanted| !is_batch_counter(&wanted.name)).collect();
    let score = |mapping: &Mapping| relevant.iter().filter(|wanted| mapping.matches(checkpoint, wanted)).count();
    let spellings = relevant.first().map_or(0, |wanted| wanted.also.len());
    let mut tried = vec![(score(&Mapping::default()), Mapping::default())];
    for spelling in std::iter::once(None).chain((0..spellings).map(Some)) {
        let found = candidates(checkpoint, &relevant, spelling);
        tried.extend(found.into_iter().map(|mapping| (score(&mapping), mapping)));
    }
    let matched = tried.iter().map(|(matched, _)| *matched).max().unwrap_or_default();
    tried.retain(|tried| tried.0 == matched);
    // Among equals plain names win, then the averaged weights, as their own tools choose, then the shorter change.
    tried.sort_by_key(|(_, mapping)| {
        let plain = *mapping == Mapping::default();
        (!plain && !mapping.is_average(), mapping.spelling, mapping.strip.len() + mapping.add.len())
    });
    let mut tried = tried.into_iter().map(|(_, mapping)| mapping);
    let mapping = tried.next().unwrap_or_default();
    // Of a copy, the tensors are others; the same tensors can also be reached in several ways.
    let first = relevant.iter().find(|wanted| mapping.matches(checkpoint, wanted));
    let place = |mapping: &Mapping| first.and_then(|wanted| mapping.find(checkpoint, wanted)).map(|(name, _)| name);
    let copies = tried.filter(|other| place(other).is_some() && place(other) != place(&mapping)).collect();
    Best { mapping, copies, matched }
}

/// The pairs of prefixes that would match most tensors, by counting common endings of names with equal shapes.
fn candidates(checkpoint: &Checkpoint, wanted: &[&Wanted], spelling: Option<usize>) -> Vec<Mapping> {
    let mut endings: HashMap<&str, Vec<(&str, &[usize])>> = HashMap::new();
    for tensor in wanted {
        let Some(name) = spelled(tensor, spelling) else { continue };
        // An ending of one word (`weight`) says nothing, unless it is the whole name.
        for (prefix, ending) in splits(name).filter(|(prefix, ending)| prefix.is_empty() || ending.contains('.')) {
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
    // The count is nearly the score: what has less than half of the most cannot win.
    let enough = ranked.first().map_or(0, |(_, most)| most / 2);
    ranked.retain(|(_, count)| *count >= enough);
    ranked.truncate(CANDIDATES);
    let mapping = |(strip, add): (&str, &str)| Mapping { strip: strip.to_owned(), add: add.to_owned(), spelling };
    ranked.into_iter().map(|(pair, _)| mapping(pair)).collect()
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
    likeness(checkpoint, wanted)[0]
}

/// The same, and beside it the same over all tensors of the file, also those outside the part that matches: a file of
/// a large network is its small part too, but more of it is the large one.
pub fn likeness(checkpoint: &Checkpoint, wanted: &[Wanted]) -> [f32; 2] {
    let Best { mapping, matched, .. } = best_mapping(checkpoint, wanted);
    let total = wanted.iter().filter(|tensor| !is_batch_counter(&tensor.name)).count();
    let part = |strip: &str| {
        let held = checkpoint.names().filter(|name| name.starts_with(strip) && !is_batch_counter(name)).count();
        matched as f32 / (total + held - matched.min(held)).max(1) as f32
    };
    [part(&mapping.strip), part("")]
}
