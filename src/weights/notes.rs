//! What was chosen or converted on the way from a file's tensors to a network's, in words.

use super::checkpoint::Checkpoint;
use super::error::quote;
use super::matching::Mapping;
use super::report::{Row, RowState};
use super::{Alias, Wanted};
use std::collections::BTreeSet;

/// What a person may want to know of the way from the file's tensors to the network's.
pub(super) fn notes(
    checkpoint: &Checkpoint,
    wanted: &[Wanted],
    mapping: &Mapping,
    copies: &[Mapping],
    rows: &[Row],
) -> Vec<String> {
    let mut notes = Vec::new();
    let place = |mapping: &Mapping| match mapping.strip.trim_end_matches('.') {
        "" => "the top level".to_owned(),
        strip => format!("`{}`", quote(strip)),
    };
    let others: BTreeSet<String> = copies.iter().map(place).collect();
    if !others.is_empty() {
        let others: Vec<String> = others.into_iter().collect();
        let kind = if mapping.is_average() { "the averaged weights" } else { "the weights" };
        notes.push(format!(
            "{} holds the weights more than once; {kind} under {} are taken, not those under {}",
            checkpoint.path.file_name().unwrap_or_default().to_string_lossy(),
            place(mapping),
            others.join(" and ")
        ));
    }
    let alias = mapping.spelling.and_then(|i| wanted.first()?.also.get(i));
    if let Some(Alias { by, note, .. }) = alias {
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        notes.push(format!("the tensors have {by}'s names{note}"));
    }
    let reshaped: Vec<&Row> = rows
        .iter()
        .filter(|row| row.state == RowState::Loaded && row.file_shape.as_ref().is_some_and(|shape| shape.len() > 1))
        .filter(|row| row.file_shape != row.wanted_shape)
        .collect();
    if let Some(first) = reshaped.first() {
        let more =
            if reshaped.len() > 1 { format!(", and {} more likewise", reshaped.len() - 1) } else { String::new() };
        notes.push(format!(
            "{} is {:?} in the file and {:?} here, with the same values{more}",
            first.name,
            first.file_shape.as_deref().unwrap_or_default(),
            first.wanted_shape.as_deref().unwrap_or_default()
        ));
    }
    notes
}
