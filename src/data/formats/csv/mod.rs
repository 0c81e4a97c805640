//! Tables of pictures: `path,label`, several label columns, several labels in a cell (`a;b`, `a|b`) or as 0/1 columns, a
//! column for the split. Delimiter, header and the column of pictures are found by looking.
//!
//! Tables named after parts of a set (`train.csv`, `val.csv`) with the same header are one set.

mod boxes;
mod columns;
mod masks;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

pub(super) use self::columns::split_word;
use self::columns::{Meaning, meaning, split_of};
use self::masks::Masked;
use self::table::Table;
use super::class_folders::{self, ClassFolders};
use super::paths::{Finder, Found};
use super::{Draft, Item, Reader, Recognition, Wish, fold, forget, note_other_files};
use crate::data::listing::{Folder, extension};
use crate::data::{Issue, Label, LabelColumn, Severity, Split, Target, Task};

/// Extensions of tables.
pub(crate) const EXTENSIONS: [&str; 2] = ["csv", "tsv"];
/// Tables of one folder that are looked at.
const MAX_TABLES: usize = 50;
/// Issues of one kind that are told line by line; the rest is a number.
const TOLD: usize = 100;

/// Reads tables of pictures with labels.
pub(crate) struct Csv;

impl Reader for Csv {
    fn name(&self) -> &'static str {
        "CSV"
    }

    fn recognize(&self, root: &Folder, wish: &Wish) -> Recognition {
        let files = root.all_files().into_iter().filter(|file| EXTENSIONS.contains(&extension(&file.path).as_str()));
        let files: Vec<&Path> = files.map(|file| file.path.as_path()).take(MAX_TABLES).collect();
        match read(root, &files, wish, true) {
            Ok((table, draft)) if beaten(root, &draft) => Recognition::Beside(
                table,
                "a table that names pictures; the class folders are used, drop the table itself to use its columns",
            ),
            Ok((_, draft)) => Recognition::Read(draft),
            Err(why) => Recognition::No(why),
        }
    }
}

/// Whether the class folders of a set say more than a table beside them.
fn beaten(root: &Folder, draft: &Draft) -> bool {
    if draft.task == Task::Segment && 4 * draft.items.len() >= root.images().len() {
        return false; // a folder of pictures and one of masks are no classes
    }
    let named = 10 * draft.items.len() >= 9 * root.images().len();
    let folders = || match ClassFolders.recognize(root, &Wish::default()) {
        Recognition::Read(folders) => folders.columns.first().is_some_and(|column| column.classes.len() > 1),
        _ => false,
    };
    class_folders::is_certain(root) || (!named && folders())
}

/// Reads one table that was opened itself; `listing` holds its folder, or the table alone.
pub(crate) fn open(path: &Path, listing: &Folder, wish: &Wish) -> Recognition {
    match read(listing, &[path], wish, false) {
        Ok((_, draft)) => Recognition::Read(draft),
        Err(why) => Recognition::No(why),
    }
}

/// A table with where its cells point.
struct Read {
    table: Table,
    meaning: Meaning,
    /// For each row.
    files: Vec<Found>,
    /// The part of the set that the file's name means.
    split: Option<Split>,
}

impl Read {
    fn at(&self) -> usize {
        self.files.iter().filter(|found| matches!(found, Found::At(_))).count()
    }
}

/// Reads the tables that belong together: the one that finds most pictures, and others like it. `whole` says that the
/// listing is the set, so that what no table names is left out. Also the file that decided it.
fn read(root: &Folder, files: &[&Path], wish: &Wish, whole: bool) -> Result<(PathBuf, Box<Draft>), String> {
    if files.is_empty() {
        return Err("no .csv or .tsv file".to_owned());
    }
    let (mut tables, mut boxed, mut masked) = (Vec::new(), Vec::new(), Vec::new());
    let mut why = String::new();
    for path in files {
        let finder = Finder::new(&root.path, path.parent().unwrap_or(&root.path), Some(root));
        match Table::read(path, &|cell| finder.is_picture(cell)) {
            Ok(table) => {
                if let Some(corners) = boxes::corners(&table) {
                    boxed.push((table, corners));
                    continue;
                }
                let table = match Masked::of(table, &finder, wish) {
                    Ok(read) => {
                        masked.push(read);
                        continue;
                    }
                    Err(table) => table,
                };
                let files = table.rows.iter().map(|row| finder.find(row.cell(table.image))).collect();
                let split = split_of_name(&table.path);
                tables.push(Read { meaning: meaning(&table), files, split, table });
            }
            Err(reason) if why.is_empty() => why = format!("{} {reason}", name(path)),
            Err(_) => {}
        }
    }
    if let Some(decided) = boxes::decided(&boxed).map(Path::to_owned)
        && let Some(draft) = boxes::draft(root, boxed, whole)
    {
        return Ok((decided, Box::new(draft)));
    }
    if let Some(decided) = masks::decided(&masked).map(Path::to_owned) {
        let draft = masks::draft(root, masked, &decided, whole);
        return Ok((decided, Box::new(draft)));
    }
    let usable = |read: &&Read| !read.meaning.labels.is_empty() && read.at() > 0;
    let best = tables.iter().enumerate().rev().filter(|(_, read)| usable(read)).max_by_key(|(_, read)| read.at());
    let Some((best, _)) = best else {
        return Err(match tables.first() {
            None => why,
            Some(read) if read.at() == 0 => format!("no picture that {} names is there", name(&read.table.path)),
            Some(read) => {
                let reasons = read.meaning.unused.iter().map(|(at, why)| format!("{} {why}", read.table.name(*at)));
                let reasons: Vec<String> = reasons.collect();
                format!("{} has no column of labels ({})", name(&read.table.path), reasons.join("; "))
            }
        });
    };
    let best = tables.swap_remove(best);
    let like = |read: &Read| {
        best.split.is_some() && read.split.is_some() && read.table.header == best.table.header && read.at() > 0
    };
    let (mut set, others): (Vec<Read>, Vec<Read>) = tables.into_iter().partition(like);
    let decided = best.table.path.clone();
    set.push(best);
    set.sort_by(|a, b| a.table.path.cmp(&b.table.path));
    let mut collector = Collector::new(&set);
    for read in &others {
        collector.issues.push(Issue::new(Severity::Note, &read.table.path, "another table of pictures; not read"));
    }
    set.iter().for_each(|read| collector.table(read));
    Ok((decided, Box::new(collector.draft(root, &set, whole))))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `train.csv`, `val_labels.csv`, `labels-test.tsv`.
fn split_of_name(path: &Path) -> Option<Split> {
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    stem.split(|c: char| !c.is_alphanumeric()).find_map(split_word)
}

/// Puts tables together.
struct Collector {
    columns: Vec<LabelColumn>,
    items: Vec<Item>,
    issues: Vec<Issue>,
    /// The item of a file, with the line that named it first.
    known: HashMap<PathBuf, (usize, usize)>,
    told: BTreeMap<(PathBuf, &'static str), usize>,
}

impl Collector {
    /// The columns of all tables with their classes put together.
    fn new(set: &[Read]) -> Self {
        let mut columns: Vec<LabelColumn> = Vec::new();
        for (column, _) in set.iter().flat_map(|read| &read.meaning.labels) {
            match columns.iter_mut().find(|known| known.name == column.name) {
                Some(known) => {
                    let all: BTreeSet<&String> = known.classes.iter().chain(&column.classes).collect();
                    known.classes = all.into_iter().cloned().collect();
                    known.multi |= column.multi;
                }
                None => columns.push(column.clone()),
            }
        }
        Self { columns, items: Vec::new(), issues: Vec::new(), known: HashMap::new(), told: BTreeMap::new() }
    }

    /// An issue of a line; `kind` counts those of one kind.
    fn say(&mut self, severity: Severity, kind: &'static str, file: &Path, line: usize, what: String) {
        let count = self.told.entry((file.to_owned(), kind)).or_default();
        *count += 1;
        if *count <= TOLD {
            self.issues.push(Issue { severity, file: file.to_owned(), line: Some(line), what });
        }
    }

    fn table(&mut self, read: &Read) {
        let Read { table, meaning, files, split } = read;
        self.issues.extend(table.issues.iter().cloned());
        for (column, why) in &meaning.unused {
            let what = format!("{} {why}: no column of labels, not used", table.name(*column));
            self.issues.push(Issue::new(Severity::Note, &table.path, what));
        }
        for line in &meaning.partial {
            let what = "some of its 0/1 cells are empty; its labels count as unknown".to_owned();
            self.say(Severity::Warning, "partial", &table.path, *line, what);
        }
        for (at, (row, file)) in table.rows.iter().zip(files).enumerate() {
            let cell = row.cell(table.image);
            let file = match file {
                Found::At(file) => file,
                Found::Missing if cell.is_empty() => {
                    self.say(
                        Severity::Error,
                        "nothing",
                        &table.path,
                        row.line,
                        "names no picture; left out".to_owned(),
                    );
                    continue;
                }
                Found::Missing => {
                    let what = format!("{cell} does not exist; left out");
                    self.say(Severity::Error, "missing", &table.path, row.line, what);
                    continue;
                }
                Found::Outside => {
                    let what = format!("{cell} lies outside of the set's folder; left out");
                    self.say(Severity::Error, "outside", &table.path, row.line, what);
                    continue;
                }
                Found::Several(count) => {
                    let what = format!("{cell} may be any of {count} files; left out");
                    self.say(Severity::Error, "several", &table.path, row.line, what);
                    continue;
                }
            };
            let labels = self.labels(meaning, at);
            let split = match meaning.split {
                None => *split,
                Some(column) => self.split(table, column, at).or(*split),
            };
            self.item(table, row.line, file, labels, split);
        }
    }

    /// The labels of a row under the numbers of the whole set.
    fn labels(&self, meaning: &Meaning, row: usize) -> Vec<Label> {
        let of = |column: &LabelColumn| {
            let Some((own, labels)) = meaning.labels.iter().find(|(own, _)| own.name == column.name) else {
                return Label::Unknown;
            };
            let new = |old: u32| {
                let at = column.classes.binary_search(own.classes.get(old as usize)?).ok()?;
                u32::try_from(at).ok()
            };
            let label = labels.get(row).map(|label| label.renumbered(new)).unwrap_or_default();
            match label {
                Label::One(class) if column.multi => Label::Many(BTreeSet::from([class])),
                label => label,
            }
        };
        self.columns.iter().map(of).collect()
    }

    fn split(&mut self, table: &Table, column: usize, at: usize) -> Option<Split> {
        let row = table.rows.get(at)?;
        let cell = row.cell(column);
        let split = split_of(&table.name(column), cell);
        if split.is_none() {
            let what = match cell {
                "" => "no part of the set is given; used to train on".to_owned(),
                _ => format!("{cell} is neither train, val nor test; used to train on"),
            };
            self.say(Severity::Warning, "split", &table.path, row.line, what);
        }
        split.or(Some(Split::Train))
    }

    fn item(&mut self, table: &Table, line: usize, file: &Path, labels: Vec<Label>, split: Option<Split>) {
        if !labels.iter().any(Label::is_known) {
            let what = format!("{} has no label; left out", name(file));
            return self.say(Severity::Warning, "empty", &table.path, line, what);
        }
        if let Some(&(earlier, first)) = self.known.get(file) {
            let Some(known) = self.items.get(earlier) else { return };
            let mut what = format!("names the picture of line {first} again");
            let mut severity = Severity::Note;
            for (column, (own, other)) in self.columns.iter().zip(labels.iter().zip(&known.target.labels)) {
                if own != other {
                    let told = |label| column.told(label).unwrap_or("unknown".to_owned());
                    what += &format!(", there with {} {} and here {}", column.name, told(other), told(own));
                    severity = Severity::Warning;
                }
            }
            if split != known.split {
                what += ", in another part of the set";
                severity = Severity::Warning;
            }
            return self.say(severity, "again", &table.path, line, what + "; the first counts");
        }
        self.known.insert(file.to_owned(), (self.items.len(), line));
        self.items.push(Item {
            path: file.to_owned(),
            split,
            target: Target { labels, ..Target::default() },
            origin: None,
            objects: Vec::new(),
        });
    }

    fn draft(mut self, root: &Folder, set: &[Read], whole: bool) -> Draft {
        for ((file, kind), count) in std::mem::take(&mut self.told) {
            if count > TOLD {
                let what = match kind {
                    "missing" => "lines name pictures that do not exist",
                    "outside" => "lines name pictures outside of the set's folder",
                    "several" => "lines name pictures that there are several of",
                    "empty" => "lines have no label",
                    "again" => "lines name a picture again",
                    "split" => "lines say nothing known of the part of the set",
                    "partial" => "lines have empty 0/1 cells",
                    _ => "lines name no picture",
                };
                let severity = if ["again", "empty"].contains(&kind) { Severity::Warning } else { Severity::Error };
                self.issues.push(Issue::new(severity, file, format!("{count} {what}; the first {TOLD} are listed")));
            }
        }
        let mut found = self.items.len();
        if whole {
            let named: BTreeSet<&Path> = self.items.iter().map(|item| item.path.as_path()).collect();
            let rest = root.images().into_iter().filter(|file| !named.contains(file.path.as_path()));
            let rest: Vec<PathBuf> = rest.map(|file| file.path.clone()).collect();
            found += rest.len();
            let one = "is not used by the table; left out";
            fold(&root.path, Severity::Note, rest, one, |n| format!("{n} pictures: each {one}"), &mut self.issues);
            let mut others = root.clone();
            let tables: BTreeSet<&Path> = set.iter().map(|read| read.table.path.as_path()).collect();
            forget(&mut others, &tables);
            note_other_files(&others, &mut self.issues);
        }
        Draft {
            task: Task::Classify,
            format: format_name(set, &self.columns),
            columns: self.columns,
            masks: None,
            category_ids: Vec::new(),
            classes_from_pictures: true,
            items: self.items,
            found,
            issues: self.issues,
        }
    }
}

fn format_name(set: &[Read], columns: &[LabelColumn]) -> String {
    let several = columns.iter().any(|column| column.multi);
    let kind = match (columns.len(), several) {
        (1, false) => "one class for a picture".to_owned(),
        (1, true) => "several labels for a picture".to_owned(),
        (n, _) => format!("{n} label columns"),
    };
    let files: Vec<String> = set.iter().map(|read| name(&read.table.path)).collect();
    format!("CSV ({kind}; {})", files.join(", "))
}
