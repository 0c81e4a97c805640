//! What the columns of a table are: the split, labels of one class or of several, or nothing to learn from.

use std::collections::{BTreeMap, BTreeSet};

use super::table::Table;
use crate::data::{DEFAULT_COLUMN, Label, LabelColumn, Split};

/// Headers of columns that are meant as labels; the first of them is the first head's.
pub(super) const LABEL_NAMES: [&str; 15] = [
    "label",
    "labels",
    "class",
    "classes",
    "class_name",
    "classname",
    "category",
    "categories",
    "target",
    "targets",
    "tag",
    "tags",
    "species",
    "breed",
    "y",
];
const SPLIT_NAMES: [&str; 9] = ["split", "set", "subset", "partition", "phase", "usage", "dataset", "data set", "fold"];
/// A column with no more different values than this may be one of labels however short the table is.
const FEW: usize = 20;

/// What the columns of a table say.
#[derive(Clone, Debug, Default)]
pub(super) struct Meaning {
    /// The column that says which part of the set a row belongs to.
    pub split: Option<usize>,
    /// Label columns, the first head's first, with what each says of each row.
    pub labels: Vec<(LabelColumn, Vec<Label>)>,
    /// Columns that are not used, and why.
    pub unused: Vec<(usize, String)>,
    /// Rows of which a group of 0/1 columns is filled in part only.
    pub partial: Vec<usize>,
}

/// The part of the set that a word means.
pub(in crate::data::formats) fn split_word(word: &str) -> Option<Split> {
    match word.to_lowercase().as_str() {
        "train" | "training" | "trn" => Some(Split::Train),
        "val" | "valid" | "validation" | "dev" => Some(Split::Val),
        "test" | "testing" | "tst" => Some(Split::Test),
        _ => None,
    }
}

/// The part of the set that a cell of the split column means; `header` tells what true means.
pub(super) fn split_of(header: &str, cell: &str) -> Option<Split> {
    match (split_word(cell), split_flag(header), bit(cell)) {
        (Some(split), _, _) => Some(split),
        (None, Some(split), Some(true)) => Some(split),
        (None, Some(_), Some(false)) => Some(Split::Train),
        _ => None,
    }
}

/// `is_valid` and the like.
fn split_flag(header: &str) -> Option<Split> {
    match header.to_lowercase().as_str() {
        "is_valid" | "is_val" | "is_validation" => Some(Split::Val),
        "is_test" => Some(Split::Test),
        _ => None,
    }
}

/// A cell of a 0/1 column.
fn bit(cell: &str) -> Option<bool> {
    match cell.to_lowercase().as_str() {
        "1" | "1.0" | "true" => Some(true),
        "0" | "0.0" | "false" => Some(false),
        _ => None,
    }
}

/// Whether a cell says nothing. `nan` is how pandas writes it.
fn is_unknown(cell: &str) -> bool {
    cell.is_empty() || cell.eq_ignore_ascii_case("nan")
}

/// Finds out what the columns are.
pub(super) fn meaning(table: &Table) -> Meaning {
    let mut found = Meaning { split: split_column(table), ..Meaning::default() };
    let rest: Vec<usize> =
        (0..table.width).filter(|&column| column != table.image && Some(column) != found.split).collect();
    let (bits, rest): (Vec<usize>, Vec<usize>) = rest.into_iter().partition(|&column| is_bits(table, column));
    let mut candidates: Vec<(u8, usize, LabelColumn, Vec<Label>)> = Vec::new();
    let single = match bits.as_slice() {
        [_, _, ..] => {
            let (column, labels) = one_hot(table, &bits, &mut found.partial);
            candidates.push((1, bits.first().copied().unwrap_or(0), column, labels));
            rest
        }
        _ => [rest, bits].concat(),
    };
    for column in single {
        match labels(table, column) {
            Ok((own, labels)) => {
                let named = LABEL_NAMES.contains(&table.name(column).to_lowercase().as_str());
                let number = own.classes.iter().all(|class| class.parse::<i64>().is_ok());
                candidates.push((if named { 0 } else { u8::from(number) + 1 }, column, own, labels));
            }
            Err(why) => found.unused.push((column, why)),
        }
    }
    candidates.sort_by_key(|&(rank, at, ..)| (rank, at));
    drop_copies(&mut candidates, &mut found.unused);
    if candidates.len() > 1 {
        candidates.retain(|(_, at, own, _)| {
            let constant = own.classes.len() < 2 && !own.multi;
            if constant {
                found.unused.push((*at, "has one value only".to_owned()));
            }
            !constant
        });
    }
    if table.header.is_none()
        && let [(_, _, only, _)] = candidates.as_mut_slice()
    {
        only.name = DEFAULT_COLUMN.to_owned();
    }
    found.labels = candidates.into_iter().map(|(_, _, column, labels)| (column, labels)).collect();
    found
}

fn values(table: &Table, column: usize) -> impl Iterator<Item = &str> {
    table.rows.iter().map(move |row| row.cell(column)).filter(|cell| !is_unknown(cell))
}

pub(super) fn split_column(table: &Table) -> Option<usize> {
    let is_split = |&column: &usize| {
        let name = table.name(column).to_lowercase();
        let all = |is: &dyn Fn(&str) -> bool| values(table, column).next().is_some() && values(table, column).all(is);
        let words = |cell: &str| split_word(cell).is_some();
        match split_flag(&name) {
            Some(_) => all(&|cell| bit(cell).is_some() || split_word(cell).is_some()),
            None if SPLIT_NAMES.contains(&name.as_str()) => values(table, column).any(words),
            None => all(&words),
        }
    };
    (0..table.width).filter(|&column| column != table.image).find(is_split)
}

/// Whether a column holds 0 and 1 only.
fn is_bits(table: &Table, column: usize) -> bool {
    values(table, column).next().is_some() && values(table, column).all(|cell| bit(cell).is_some())
}

/// A group of 0/1 columns whose headers are the classes. Where every row has exactly one 1, it is one class for each.
fn one_hot(table: &Table, columns: &[usize], partial: &mut Vec<usize>) -> (LabelColumn, Vec<Label>) {
    let mut order: Vec<(String, usize)> = columns.iter().map(|&column| (table.name(column), column)).collect();
    order.sort();
    let mut labels = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        let bits: Vec<Option<bool>> = order.iter().map(|(_, column)| bit(row.cell(*column))).collect();
        let known = bits.iter().filter(|bit| bit.is_some()).count();
        if known == bits.len() {
            let ones = (0u32..).zip(bits).filter(|(_, bit)| *bit == Some(true)).map(|(class, _)| class);
            labels.push(Label::Many(ones.collect()));
        } else {
            if known > 0 {
                partial.push(row.line);
            }
            labels.push(Label::Unknown);
        }
    }
    let exclusive = labels.iter().all(|label| !label.is_known() || label.classes().count() == 1);
    if exclusive {
        let only = |label: Label| label.classes().next().map_or(Label::Unknown, Label::One);
        labels = labels.into_iter().map(only).collect();
    }
    let classes = order.into_iter().map(|(name, _)| name).collect();
    (LabelColumn { name: "labels".to_owned(), classes, multi: !exclusive }, labels)
}

/// One column as labels, or why it is none.
fn labels(table: &Table, column: usize) -> Result<(LabelColumn, Vec<Label>), String> {
    let whole = whole_numbers(table, column)?;
    let separator = separator(table, column);
    let parts = |cell: &str| -> Vec<String> {
        let parts: Vec<&str> = match separator {
            Some(separator) => cell.split(separator).map(str::trim).filter(|part| !part.is_empty()).collect(),
            None => vec![cell],
        };
        let plain = |part: &str| {
            if whole { part.trim_end_matches('0').trim_end_matches('.').to_owned() } else { part.to_owned() }
        };
        parts.into_iter().map(plain).collect()
    };
    let known = values(table, column).count();
    let different: BTreeSet<String> = values(table, column).flat_map(&parts).collect();
    match different.len() {
        0 => return Err("is empty".to_owned()),
        n if n > FEW && 2 * n > known => return Err(format!("has {n} different values in {known} rows")),
        n if n == known && separator.is_none() && n > 1 => return Err("has another value in every row".to_owned()),
        _ => {}
    }
    let classes: Vec<String> = different.into_iter().collect();
    let id = |part: &String| classes.binary_search(part).ok().and_then(|id| u32::try_from(id).ok());
    let label = |cell: &str| {
        let mut ids = parts(cell).iter().filter_map(id).collect::<Vec<_>>().into_iter();
        match (is_unknown(cell), separator) {
            (true, _) => Label::Unknown,
            (false, Some(_)) => Label::Many(ids.collect()),
            (false, None) => ids.next().map_or(Label::Unknown, Label::One),
        }
    };
    let labels = table.rows.iter().map(|row| label(row.cell(column))).collect();
    Ok((LabelColumn { name: table.name(column), classes, multi: separator.is_some() }, labels))
}

/// Whether all values are whole numbers written with `.0`, as pandas writes a column with empty cells; an error for
/// numbers with decimals, which are measured and not told apart.
fn whole_numbers(table: &Table, column: usize) -> Result<bool, String> {
    let numbers: Option<Vec<f64>> = values(table, column).map(|cell| cell.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else { return Ok(false) };
    let dotted = values(table, column).all(|cell| cell.contains('.'));
    match numbers.iter().all(|number| number.fract() == 0.0) {
        true => Ok(dotted),
        false => Err("holds numbers with decimals".to_owned()),
    }
}

/// What parts several labels in the cells of a column. `;` and `|` do where a part of one cell stands in
/// another cell too.
/// A space does only under a header of several (`tags`, `labels`) whose words recombine; names such as *golden
/// retriever* do not.
fn separator(table: &Table, column: usize) -> Option<char> {
    let cells_of = |separator: char| {
        let mut cells: BTreeMap<&str, usize> = BTreeMap::new();
        for cell in values(table, column).collect::<BTreeSet<_>>() {
            for part in cell.split(separator).map(str::trim).filter(|part| !part.is_empty()).collect::<BTreeSet<_>>() {
                *cells.entry(part).or_default() += 1;
            }
        }
        cells
    };
    for separator in [';', '|'] {
        let joined = || values(table, column).filter(|cell| cell.contains(separator));
        if joined().next().is_some() {
            let cells = cells_of(separator);
            let shared = |part: &str| cells.get(part.trim()).is_some_and(|&count| count > 1);
            if joined().any(|cell| cell.split(separator).any(shared)) {
                return Some(separator);
            }
        }
    }
    let name = table.name(column).to_lowercase();
    let cells: BTreeSet<&str> = values(table, column).collect();
    let several = ["tags", "labels", "classes", "categories"].contains(&name.as_str());
    (several && cells.iter().any(|cell| cell.contains(' ')) && cells_of(' ').len() < cells.len()).then_some(' ')
}

/// Drops columns that say the same as an earlier one in other words, such as the number of a class beside its name.
fn drop_copies(candidates: &mut Vec<(u8, usize, LabelColumn, Vec<Label>)>, unused: &mut Vec<(usize, String)>) {
    let mut kept: Vec<(u8, usize, LabelColumn, Vec<Label>)> = Vec::new();
    for candidate in std::mem::take(candidates) {
        let same = |earlier: &&(u8, usize, LabelColumn, Vec<Label>)| {
            let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
            candidate.3.iter().zip(&earlier.3).all(|(own, other)| {
                *there.entry(own).or_insert(other) == other && *back.entry(other).or_insert(own) == own
            })
        };
        match kept.iter().find(same) {
            Some(earlier) if candidate.2.classes.len() > 1 => {
                unused.push((candidate.1, format!("says the same as {}", earlier.2.name)));
            }
            _ => kept.push(candidate),
        }
    }
    *candidates = kept;
}
