//! Tables of classes beside masks: names by line, names with values, names with colors. CSV with a header, CamVid's and
//! CVAT's texts, JSON in its usual forms.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::listing::{File, Folder, Kind, extension};
use crate::data::{Issue, Severity};

/// Files that may hold the classes of masks, without their extension.
const NAMES: [&str; 14] = [
    "classes",
    "class_dict",
    "class_names",
    "label_colors",
    "labelmap",
    "label_map",
    "colormap",
    "color_map",
    "palette",
    "labels",
    "names",
    "obj",
    "id2label",
    "colors",
];
const EXTENSIONS: [&str; 5] = ["csv", "txt", "json", "names", "tsv"];
/// Larger files are no tables of classes.
const MAX_BYTES: u64 = 1 << 20;
/// Names of what counts for nothing.
const IGNORED: [&str; 8] =
    ["void", "ignore", "ignored", "__ignore__", "ignore_label", "unlabeled", "unlabelled", "dontcare"];

/// One class of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub name: String,
    pub value: Option<u16>,
    pub color: Option<[u8; 3]>,
}

/// The classes that a file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub file: PathBuf,
    pub rows: Vec<Row>,
}

impl Row {
    /// Whether its pixels count for nothing.
    pub fn is_ignored(&self) -> bool {
        let name = self.name.to_lowercase();
        IGNORED.contains(&name.as_str())
    }
}

impl Table {
    /// Whether every class has a color.
    pub fn has_colors(&self) -> bool {
        self.rows.iter().all(|row| row.color.is_some())
    }

    /// Names of the classes that count, each once, in the order of the file.
    pub fn classes(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for row in self.rows.iter().filter(|row| !row.is_ignored()) {
            if !names.contains(&row.name) {
                names.push(row.name.clone());
            }
        }
        names
    }
}

/// The table of a set, the one nearest to its folder. Others, and files that are none, are told.
/// `except` are known to be something else.
pub(super) fn find(root: &Folder, except: &BTreeSet<PathBuf>, issues: &mut Vec<Issue>) -> Option<Table> {
    let mut files: Vec<&Path> = root.all_files().into_iter().map(|file| file.path.as_path()).collect();
    files.retain(|path| !except.contains(*path));
    let rank = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let at = NAMES.iter().position(|name| *name == stem)?;
        EXTENSIONS.contains(&extension(path).as_str()).then_some((path.components().count(), at))
    };
    files.retain(|path| rank(path).is_some());
    files.sort_by_key(|path| rank(path));
    let mut found: Option<Table> = None;
    for path in files {
        match (read(path), &found) {
            (Ok(_), Some(first)) => {
                let what = format!("another table of classes; {} is used", first.file.display());
                issues.push(Issue::new(Severity::Note, path, what));
            }
            (Ok(rows), None) => found = Some(Table { file: path.to_owned(), rows }),
            (Err(why), _) => {
                let what = format!("is no table of classes: {why}; not used");
                issues.push(Issue::new(Severity::Warning, path, what));
            }
        }
    }
    found
}

/// The files in a folder that may be tables of classes.
pub(super) fn beside(folder: &Path) -> Folder {
    let names = NAMES.iter().flat_map(|name| EXTENSIONS.iter().map(move |end| folder.join(format!("{name}.{end}"))));
    let files = names.filter(|path| path.is_file()).map(|path| File { path, kind: Kind::Other }).collect();
    Folder { path: folder.to_owned(), files, folders: Vec::new() }
}

/// Reads a table.
///
/// # Errors
/// Why it is none, with the line where there is one.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>, String> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_BYTES) {
        return Err(format!("it is larger than {} MB", MAX_BYTES >> 20));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let text = text.trim_start_matches('\u{feff}');
    let rows = if extension(path) == "json" { json(text)? } else { lines(text)? };
    if rows.is_empty() {
        return Err("it names no class".to_owned());
    }
    if rows.len() > 255 {
        return Err(format!("it names {} classes; masks of 8 bits have at most 255", rows.len()));
    }
    for (at, row) in rows.iter().enumerate() {
        let same = |other: &&Row| {
            other.name != row.name
                && (row.color.is_some() && other.color == row.color || row.value.is_some() && other.value == row.value)
        };
        if let Some(other) = rows.iter().take(at).find(same) {
            return Err(format!("{} and {} have one value or color", other.name, row.name));
        }
    }
    Ok(rows)
}

/// What a column of a table with a header holds.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    Name,
    Value,
    Channel(usize),
    Hex,
    Other,
}

fn header(cells: &[String]) -> Option<Vec<Column>> {
    let of = |cell: &String| match cell.to_lowercase().as_str() {
        "name" | "class" | "class_name" | "classname" | "label" | "category" | "# name" => Column::Name,
        "value" | "id" | "index" | "class_id" | "pixel" | "pixel_value" | "grey" | "gray" => Column::Value,
        "r" | "red" => Column::Channel(0),
        "g" | "green" => Column::Channel(1),
        "b" | "blue" => Column::Channel(2),
        "color" | "colour" | "hex" => Column::Hex,
        _ => Column::Other,
    };
    let columns: Vec<Column> = cells.iter().map(of).collect();
    let says = columns.iter().any(|column| !matches!(column, Column::Name | Column::Other));
    (columns.contains(&Column::Name) && says).then_some(columns)
}

fn lines(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut columns: Option<Vec<Column>> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with("# ") || line.starts_with("//") {
            continue;
        }
        let mark = if line.contains('\t') {
            '\t'
        } else if line.contains(';') {
            ';'
        } else {
            ','
        };
        let cells: Vec<String> = line.split(mark).map(|cell| cell.trim().trim_matches('"').to_owned()).collect();
        if rows.is_empty() && columns.is_none() {
            columns = header(&cells);
            if columns.is_some() {
                continue;
            }
        }
        let row = match &columns {
            Some(columns) => by_header(&cells, columns),
            None => free(line),
        };
        rows.push(row.map_err(|why| format!("line {number}: {why}"))?);
    }
    Ok(rows)
}

fn by_header(cells: &[String], columns: &[Column]) -> Result<Row, String> {
    let mut row = Row { name: String::new(), value: None, color: None };
    let mut channels = [None; 3];
    for (cell, column) in cells.iter().zip(columns) {
        match column {
            Column::Name => row.name.clone_from(cell),
            Column::Value => row.value = Some(cell.parse().map_err(|_| format!("{cell} is no value from 0 to 65535"))?),
            Column::Channel(at) => {
                let level = cell.parse::<u8>().map_err(|_| format!("{cell} is no level from 0 to 255"))?;
                if let Some(place) = channels.get_mut(*at) {
                    *place = Some(level);
                }
            }
            Column::Hex => row.color = Some(hex(cell).ok_or_else(|| format!("{cell} is no color like #80ff00"))?),
            Column::Other => {}
        }
    }
    if let [Some(r), Some(g), Some(b)] = channels {
        row.color = Some([r, g, b]);
    }
    if row.name.is_empty() { Err("it has no name".to_owned()) } else { Ok(row) }
}

fn hex(text: &str) -> Option<[u8; 3]> {
    let digits = text.trim().strip_prefix('#')?;
    let value = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 6)?;
    let [_, r, g, b] = value.to_be_bytes();
    Some([r, g, b])
}

/// A line without a header: `name`, `3 name`, `3: name`, `name,3`, `r g b name`, `name r g b`, `3 name r g b`, `#80ff00 name`
/// and CVAT's `name:r,g,b:parts:actions`.
fn free(line: &str) -> Result<Row, String> {
    if let Some((name, rest)) = line.split_once(':')
        && let Some(color) = rgb(&rest.split(':').next().unwrap_or_default().split(',').collect::<Vec<_>>())
    {
        return Ok(Row { name: name.trim().to_owned(), value: None, color: Some(color) });
    }
    let is_mark = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '=' | '"');
    let words: Vec<&str> = line.split(is_mark).filter(|word| !word.is_empty()).collect();
    let is_number = |word: &&&str| word.parse::<u16>().is_ok();
    let before = words.iter().take_while(is_number).count();
    let after = words.iter().rev().take_while(is_number).count();
    let color_at = |from: usize| words.get(from..from + 3).and_then(rgb);
    let value_at = |at: usize| words.get(at).and_then(|word| word.parse().ok());
    let named =
        |skip: usize, cut: usize| words.get(skip..words.len().saturating_sub(cut)).unwrap_or_default().join(" ");
    let end = words.len();
    let marked = line.contains([',', ';', ':', '=', '\t']);
    let (name, value, color) = if let Some(at) = words.iter().position(|word| hex(word).is_some()) {
        let name: Vec<&str> = words.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, word)| *word).collect();
        (name.join(" "), None, words.get(at).and_then(|word| hex(word)))
    } else if before == end {
        return Err(format!("{line} has numbers, but no name"));
    } else if before >= 3 {
        let value = if before > 3 { value_at(0) } else { None };
        (named(before, 0), value, color_at(before - 3))
    } else if after >= 3 {
        let value = if before > 0 {
            value_at(0)
        } else if after > 3 {
            value_at(end - after)
        } else {
            None
        };
        (named(before, after), value, color_at(end - 3))
    } else if before == 1 && after == 0 {
        (named(1, 0), value_at(0), None)
    } else if before == 0 && after == 1 && marked {
        (named(0, 1), value_at(end - 1), None)
    } else {
        (line.trim_matches('"').to_owned(), None, None)
    };
    if before >= 3 || after >= 3 {
        color.ok_or_else(|| format!("{line} has no color of three levels from 0 to 255"))?;
    }
    Ok(Row { name, value, color })
}

fn rgb(words: &[&str]) -> Option<[u8; 3]> {
    match words {
        [r, g, b] => Some([r.trim().parse().ok()?, g.trim().parse().ok()?, b.trim().parse().ok()?]),
        _ => None,
    }
}

fn json(text: &str) -> Result<Vec<Row>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    // `{"classes": [...]}` and the like.
    let inner = value.as_object().filter(|map| map.len() <= 3).and_then(|map| {
        ["classes", "labels", "names", "categories", "id2label", "items"].iter().find_map(|key| map.get(*key))
    });
    match inner.filter(|inner| inner.is_array() || inner.is_object()).unwrap_or(&value) {
        Value::Array(all) => all.iter().map(json_entry).collect(),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| match (value, key.trim().parse::<u16>()) {
                (Value::String(name), Ok(id)) => Ok(Row { name: name.clone(), value: Some(id), color: None }),
                (Value::Number(_), _) => {
                    let id = value.as_u64().and_then(|id| u16::try_from(id).ok());
                    let id = id.ok_or_else(|| format!("{key} has the value {value}, not one from 0 to 65535"))?;
                    Ok(Row { name: key.clone(), value: Some(id), color: None })
                }
                _ => {
                    let color = json_color(value).ok_or_else(|| format!("{key} is {value}, no value and no color"))?;
                    Ok(Row { name: key.clone(), value: None, color: Some(color) })
                }
            };
            let mut rows: Vec<Row> = map.iter().map(entry).collect::<Result<_, String>>()?;
            rows.sort_by_key(|row| row.value);
            Ok(rows)
        }
        _ => Err("it is no list and no map".to_owned()),
    }
}

fn json_entry(value: &Value) -> Result<Row, String> {
    let bad = || format!("{value} is no class with a name");
    match value {
        Value::String(name) => Ok(Row { name: name.clone(), value: None, color: None }),
        Value::Object(map) => {
            let first = |keys: &[&str]| keys.iter().find_map(|key| map.get(*key));
            let name = first(&["name", "title", "label", "class"]).and_then(Value::as_str).ok_or_else(bad)?;
            let id = first(&["value", "id", "index", "class_id"]).and_then(Value::as_u64);
            let color = first(&["color", "colour", "rgb", "hex"]).and_then(json_color);
            Ok(Row { name: name.to_owned(), value: id.and_then(|id| u16::try_from(id).ok()), color })
        }
        _ => Err(bad()),
    }
}

fn json_color(value: &Value) -> Option<[u8; 3]> {
    match value {
        Value::String(text) => hex(text),
        Value::Array(levels) => {
            let level = |value: &Value| value.as_u64().and_then(|level| u8::try_from(level).ok());
            let levels: Option<Vec<u8>> = levels.iter().take(3).map(level).collect();
            levels?.first_chunk::<3>().copied()
        }
        _ => None,
    }
}
