//! Head surgery: which classes of a checkpoint's head go on as which classes of a new one.
//!
//! A row of a classifier's weight and bias belongs to one class. Where both sides name their classes, names decide and
//! positions do not: a row moves to the place of its class. Without names, equal counts go over by position.

use super::classes::{ClassNames, labels};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What of a checkpoint's head goes on, by names of classes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadPolicy {
    /// Classes that the checkpoint's head knows under the same name keep their weights; without it the heads start anew.
    pub keep: bool,
    /// Chosen by hand, for each head by new class: the class of the checkpoint whose weights it starts from, or none to
    /// start anew.
    pub rows: BTreeMap<String, BTreeMap<String, Option<String>>>,
}

impl Default for HeadPolicy {
    fn default() -> Self {
        Self { keep: true, rows: BTreeMap::new() }
    }
}

impl HeadPolicy {
    /// What was chosen by hand for a class of a head, if something was.
    #[must_use]
    pub fn chosen(&self, head: &str, class: &str) -> Option<&Option<String>> {
        self.rows.get(head)?.get(class)
    }

    /// Chooses by hand, or goes back to what names say with `None`.
    pub fn choose(&mut self, head: &str, class: &str, choice: Option<Option<String>>) {
        let rows = self.rows.entry(head.to_owned()).or_default();
        match choice {
            Some(choice) => rows.insert(class.to_owned(), choice),
            None => rows.remove(class),
        };
        if rows.is_empty() {
            self.rows.remove(head);
        }
    }
}

/// A head of the network to be filled.
#[derive(Clone, Debug)]
pub struct NewHead {
    /// Its name: `cls`.
    pub name: String,
    /// Its tensors whose first axis counts the classes.
    pub tensors: Vec<String>,
    /// Its classes in the order of ids.
    pub classes: Vec<String>,
    /// How the classes lie in the tensors.
    pub layout: RowLayout,
}

/// How classes lie in the rows of a head's tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowLayout {
    /// Whether the first rows are those of the background, which every detector of the kind shares.
    pub background: bool,
    /// Tensors that have several rows for a class, with how many: four for a box.
    pub several: BTreeMap<String, usize>,
}

impl RowLayout {
    /// Rows of a class in a tensor.
    #[must_use]
    pub fn rows(&self, tensor: &str) -> usize {
        self.several.get(tensor).copied().unwrap_or(1)
    }

    /// How many classes a tensor with this many rows tells apart, where that is a whole number.
    #[must_use]
    pub fn classes(&self, tensor: &str, rows: usize) -> Option<usize> {
        let own = self.rows(tensor);
        (own > 0 && rows.is_multiple_of(own)).then(|| rows / own)?.checked_sub(usize::from(self.background))
    }

    /// Whether each class is one row and nothing else is there.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a class starts from which row, or anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// The same name on both sides.
    Name,
    /// Chosen by hand, to start anew too.
    Chosen,
    /// The file names no classes and has as many.
    Position,
    /// Several classes of the file have the name; one has to be chosen.
    Ambiguous {
        /// Their ids in the file.
        among: Vec<usize>,
    },
    /// No class of the file has the name.
    Unknown {
        /// Ids of classes whose names differ by a plural only: offered, not taken.
        similar: Vec<usize>,
    },
    /// What was chosen by hand is not among the file's classes.
    Lost {
        /// What was chosen.
        choice: String,
    },
    /// The plan makes the head anew.
    Off,
    /// The head's tensors do not fit, so that no row can be taken.
    Unfit,
}

/// What one class of the new head starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassRow {
    /// The class.
    pub class: String,
    /// Id in the file of the class whose weights it starts from; none where it starts anew.
    pub from: Option<usize>,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
}

impl ClassRow {
    /// Whether a person has to choose: several classes match, or the choice is gone.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.why, Why::Ambiguous { .. } | Why::Lost { .. })
    }
}

/// How the classes of one head go over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeadReport {
    /// The head's name.
    pub head: String,
    /// Its tensors whose first axis counts the classes.
    pub tensors: Vec<String>,
    /// What the file's classes are called, in the order of its ids; `class 3` where nothing names them.
    pub old: Vec<String>,
    /// Who names the file's classes, in words; none where nothing does.
    pub named_by: Option<String>,
    /// One entry for each class of the new head, in the order of ids.
    pub rows: Vec<ClassRow>,
    /// Classes of the file that no class of the new head starts from.
    pub dropped: Vec<usize>,
    /// How the classes lie in the tensors.
    #[serde(skip_serializing_if = "RowLayout::is_plain")]
    pub layout: RowLayout,
}

impl HeadReport {
    /// Decides for each class of `head` what it starts from. `old` counts the rows in the file; `names` of another
    /// number are no names of these rows.
    #[must_use]
    pub fn new(head: &NewHead, old: usize, names: Option<&ClassNames>, policy: &HeadPolicy) -> Self {
        let names = names.filter(|names| names.names.len() == old);
        let called = names.map_or_else(|| (0..old).map(|id| format!("class {id}")).collect(), |n| labels(&n.names));
        let index = names.map(|names| Index::new(&names.names));
        let row = |(id, class): (usize, &String)| {
            let (from, why) = match policy.chosen(&head.name, class) {
                _ if !policy.keep => (None, Why::Off),
                Some(None) => (None, Why::Chosen),
                Some(Some(choice)) => match called.iter().position(|label| label == choice) {
                    Some(from) => (Some(from), Why::Chosen),
                    None => (None, Why::Lost { choice: choice.clone() }),
                },
                None => match &index {
                    Some(index) => index.find(class),
                    None if old == head.classes.len() => (Some(id), Why::Position),
                    None => (None, Why::Unknown { similar: Vec::new() }),
                },
            };
            ClassRow { class: class.clone(), from, why }
        };
        let rows = head.classes.iter().enumerate().map(row).collect();
        let mut report = Self {
            head: head.name.clone(),
            tensors: head.tensors.clone(),
            old: called,
            named_by: names.map(|names| names.source.clone()),
            rows,
            dropped: Vec::new(),
            layout: head.layout.clone(),
        };
        report.note_dropped();
        report
    }

    /// The same with nothing taken from the file.
    pub(super) fn made_new(mut self) -> Self {
        for row in &mut self.rows {
            (row.from, row.why) = (None, Why::Unfit);
        }
        self.note_dropped();
        self
    }

    fn note_dropped(&mut self) {
        let taken: std::collections::HashSet<usize> = self.sources().flatten().collect();
        self.dropped = (0..self.old.len()).filter(|id| !taken.contains(id)).collect();
    }

    /// For each class of the new head the row of the file.
    pub fn sources(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.rows.iter().map(|row| row.from)
    }

    /// Classes that keep their weights.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.sources().flatten().count()
    }

    /// Whether the file's rows are taken as they stand.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.rows.len() == self.old.len() && self.sources().enumerate().all(|(id, from)| from == Some(id))
    }

    /// What a class of the file is called.
    #[must_use]
    pub fn label(&self, old: usize) -> &str {
        self.old.get(old).map_or("?", String::as_str)
    }

    /// Why a class starts from what it does, in a few words.
    #[must_use]
    pub fn words(&self, row: &ClassRow) -> String {
        let list = |ids: &[usize]| ids.iter().map(|&id| self.label(id)).collect::<Vec<_>>().join(", ");
        match &row.why {
            Why::Name => match row.from.map(|from| self.label(from)) {
                Some(label) if label != row.class => format!("the same as {label}"),
                _ => "same name".to_owned(),
            },
            Why::Chosen => "chosen by hand".to_owned(),
            Why::Position => "by position: the file names no classes".to_owned(),
            Why::Ambiguous { among } => format!("{} classes match: {}; choose one", among.len(), list(among)),
            Why::Unknown { similar } if !similar.is_empty() => format!("not in the file; similar: {}", list(similar)),
            Why::Unknown { .. } if self.named_by.is_none() => "the file names no classes".to_owned(),
            Why::Unknown { .. } => "not in the file".to_owned(),
            Why::Lost { choice } => format!("the file has no class {choice}"),
            Why::Off => "the plan makes the head new".to_owned(),
            Why::Unfit => "the head's tensors do not fit".to_owned(),
        }
    }

    /// Why no class keeps its weights.
    pub(super) fn why_new(&self) -> String {
        let all_are = |test: fn(&Why) -> bool| self.rows.iter().all(|row| test(&row.why));
        if all_are(|why| *why == Why::Off) {
            "the plan makes the head new".to_owned()
        } else if all_are(|why| *why == Why::Unfit) {
            "the head's tensors do not fit".to_owned()
        } else if self.named_by.is_none() {
            format!("the file does not name its {} classes", self.old.len())
        } else {
            "no class of the file goes on".to_owned()
        }
    }

    /// What happens to the head's rows, in a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let (kept, all) = (self.kept(), self.rows.len());
        let head = format!("head {}", self.head);
        if self.is_whole() {
            let how = self.named_by.as_ref().map_or("by position: the file names no classes", |_| "the same, in order");
            return format!("{head}: all {all} classes keep their weights ({how})");
        }
        if kept == 0 {
            return format!("{head}: all {all} classes are made new: {}", self.why_new());
        }
        let list = |keep: bool| {
            let names: Vec<&str> =
                self.rows.iter().filter(|row| row.from.is_some() == keep).map(|row| row.class.as_str()).collect();
            short_list(&names)
        };
        let moved = if kept == all { " and move to their places".to_owned() } else { String::new() };
        let new = if kept < all { format!(", {} made new ({})", all - kept, list(false)) } else { String::new() };
        format!("{head}: {kept} of {all} classes keep their weights{moved} ({}){new}", list(true))
    }

    /// What to look at: names that match several classes, choices that are gone, classes that will be forgotten.
    #[must_use]
    pub fn concerns(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .rows
            .iter()
            .filter(|row| row.is_open())
            .map(|row| format!("{}: {}", row.class, self.words(row)))
            .collect();
        if !self.dropped.is_empty() && self.named_by.is_some() {
            let names: Vec<&str> = self.dropped.iter().map(|&id| self.label(id)).collect();
            let list = short_list(&names);
            all.push(match names.len() {
                1 => format!("1 old class will be forgotten unless it is in the data ({list})"),
                n => format!("{n} old classes will be forgotten unless they are in the data ({list})"),
            });
        }
        all
    }
}

/// `a, b, c and 4 more`.
fn short_list(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let first = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{first} and {} more", names.len() - SHOWN) } else { first }
}

/// The file's classes by their spellings.
struct Index {
    exact: BTreeMap<String, Vec<usize>>,
    plain: BTreeMap<String, Vec<usize>>,
    /// By each of several names between commas.
    parts: BTreeMap<String, Vec<usize>>,
}

impl Index {
    fn new(names: &[String]) -> Self {
        let mut index = Self { exact: BTreeMap::new(), plain: BTreeMap::new(), parts: BTreeMap::new() };
        for (id, name) in names.iter().enumerate() {
            index.exact.entry(name.clone()).or_default().push(id);
            index.plain.entry(plain(name)).or_default().push(id);
            for part in name.split(',').map(plain).filter(|part| !part.is_empty()) {
                let ids = index.parts.entry(part).or_default();
                if ids.last() != Some(&id) {
                    ids.push(id);
                }
            }
        }
        index
    }

    /// The class with this name: spelled alike, else alike but for case, spaces, hyphens and underscores, else as one of
    /// several names. More than one at the first of these that has any is nobody's to guess.
    fn find(&self, class: &str) -> (Option<usize>, Why) {
        let same = plain(class);
        let found = self.exact.get(class).or_else(|| self.plain.get(&same)).or_else(|| self.parts.get(&same));
        match found.map(Vec::as_slice) {
            Some([only]) => (Some(*only), Why::Name),
            Some(several) => (None, Why::Ambiguous { among: several.to_vec() }),
            None => {
                let other = |name: String| self.parts.get(&name).into_iter().flatten().copied();
                let longer = ["s", "es"].map(|ending| format!("{same}{ending}")).into_iter();
                let shorter = ["s", "es"].iter().filter_map(|ending| same.strip_suffix(ending).map(str::to_owned));
                let mut similar: Vec<usize> = longer.chain(shorter).flat_map(other).collect();
                similar.sort_unstable();
                similar.dedup();
                (None, Why::Unknown { similar })
            }
        }
    }
}

/// A name without case and without what people put for a space.
fn plain(name: &str) -> String {
    let words = name.split(|c: char| c.is_whitespace() || c == '_' || c == '-').filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}
