//! Opens a set: list, recognize, check, split, report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::check::{Checked, Remark, check};
use super::formats::boxes::{Teller, settle};
use super::formats::masks::{MaskRule, Meaning};
use super::formats::{Draft, Item, fold, masks};
use super::reading::{Home, read_draft};
use super::split::{Candidate, draw};
use super::{
    DEFAULT_COLUMN, DataError, Dataset, IGNORE_ID, ImageSource, Issue, Label, LabelColumn, OpenOptions, Progress,
    Sample, Severity, Split, Target, Task, Unnamed, ValSource,
};

/// Part of the pictures that validates where neither the set nor the user says which.
const DEFAULT_FRACTION: f32 = 0.2;

/// Opens a set and checks every file of it: each picture is decoded once. Files are only read.
///
/// Broken files do not fail the opening; they are issues of the set, which may then not be [`Dataset::usable`].
///
/// # Errors
/// [`DataError`] where there is no set to report on: the path is missing, empty, without pictures or in no layout that
/// is read; also [`DataError::Cancelled`].
pub fn open(path: &Path, options: &OpenOptions, progress: &dyn Progress) -> Result<Dataset, DataError> {
    if let ValSource::Fraction(part) = options.val
        && !(part > 0.0 && part < 1.0)
    {
        return Err(DataError::Option(format!("the part for validation must lie between 0 and 1, not at {part}")));
    }
    let mut set = Set::read(path, options.task, None, progress)?;
    let mut suggested_split = false;
    match &options.val {
        ValSource::FromSet => {
            if !set.has(Split::Val) {
                suggested_split = true;
                set.split_again(DEFAULT_FRACTION, options.seed);
            }
        }
        ValSource::Fraction(part) => {
            if set.has(Split::Val) {
                let what = "the set's own train and val are put together and split anew, as asked for";
                set.issues.push(Issue::new(Severity::Note, path, what));
            }
            set.split_again(*part, options.seed);
        }
        ValSource::Other(other) => {
            let theirs = Set::read(other, Some(set.task), Some(&set), progress)?;
            set.validate_on(theirs, other);
        }
    }
    set.settle_classes(path, suggested_split);
    set.settle_categories(path);
    set.report_masks(path);
    set.report_duplicates();
    Ok(set.into_dataset(suggested_split))
}

/// Which column of another set one of this set is, and the ids of that one's classes here.
type Matched = Option<(usize, Vec<u32>)>;

/// A picture that can be decoded.
struct Picture {
    item: Item,
    checked: Checked,
}

impl Picture {
    fn split(&self) -> Split {
        self.item.split.unwrap_or(Split::Train)
    }
}

/// A set while it is being opened.
struct Set {
    home: Home,
    task: Task,
    format: String,
    columns: Vec<LabelColumn>,
    category_ids: Vec<u64>,
    classes_from_pictures: bool,
    found: usize,
    pictures: Vec<Picture>,
    issues: Vec<Issue>,
    unnamed: Vec<Unnamed>,
    /// How the masks are read, where there are some.
    masks: Option<MaskRule>,
    meaning: Option<Meaning>,
}

impl Set {
    /// Reads a set; `like` is the one that is trained on, where this one only validates.
    fn read(path: &Path, task: Option<Task>, like: Option<&Self>, progress: &dyn Progress) -> Result<Self, DataError> {
        let mut issues = Vec::new();
        let (draft, home) = read_draft(path, task, progress, &mut issues)?;
        let Draft {
            task,
            format,
            mut columns,
            category_ids,
            classes_from_pictures,
            masks: mut rule,
            items,
            found,
            issues: more,
        } = draft;
        issues.extend(more);
        if let (Some(rule), Some(like)) = (&mut rule, like.and_then(|like| like.masks.as_ref())) {
            rule.borrow_table(like);
        }
        let results = check(&items, rule.as_ref(), progress)?;
        let mut pictures = Vec::with_capacity(items.len());
        let mut teller = Teller::default();
        let classes = columns.first().map_or(&[] as &[String], |column| column.classes.as_slice());
        for (mut item, result) in items.into_iter().zip(results) {
            match result {
                Ok(checked) => {
                    settle(&mut item, checked.size_px, classes, &mut teller);
                    pictures.push(Picture { item, checked });
                }
                Err(why) => issues.push(Issue::new(Severity::Error, item.path, format!("{why}; left out"))),
            }
        }
        issues.extend(teller.finish());
        let (mut unnamed, mut meaning) = (Vec::new(), None);
        if let Some(rule) = &rule {
            let checked = pictures.into_iter().map(|picture: Picture| (picture.item, picture.checked)).collect();
            let given = like.and_then(|like| like.meaning.as_ref());
            let settled = masks::settle(&home.root, checked, rule, given);
            pictures = settled.pictures.into_iter().map(|(item, checked)| Picture { item, checked }).collect();
            columns = vec![LabelColumn::single(settled.classes)];
            issues.extend(settled.issues);
            (unnamed, meaning) = (settled.unnamed, settled.meaning);
        }
        remarks(path, &pictures, &mut issues);
        if task == Task::Detect {
            let grey = pictures.iter().filter(|p| p.checked.grey).map(|p| p.item.path.clone()).collect();
            let one = "a picture without color; its grey becomes three equal channels";
            fold(path, Severity::Note, grey, one, |n| format!("{n} pictures: each is {one}"), &mut issues);
        }
        Ok(Self {
            home,
            task,
            format,
            columns,
            category_ids,
            classes_from_pictures,
            found,
            pictures,
            issues,
            unnamed,
            masks: rule,
            meaning,
        })
    }

    fn has(&self, split: Split) -> bool {
        self.pictures.iter().any(|p| p.item.split == Some(split))
    }

    /// What a picture counts as when a split is drawn: its class in the first column, or its rarest label.
    fn stratum(&self, picture: &Picture, counts: &[usize]) -> Option<&str> {
        let rarity = |class: &u32| counts.get(*class as usize).copied().unwrap_or(0);
        let class = picture.item.target.all_classes(0).min_by_key(rarity)?;
        self.columns.first()?.classes.get(class as usize).map(String::as_str)
    }

    /// Pictures per class of a column among those that `keep` chooses; for the first one, those with a box of it too.
    fn counts(&self, column: usize, keep: impl Fn(&Picture) -> bool) -> Vec<usize> {
        let mut counts = vec![0; self.columns.get(column).map_or(0, |column| column.classes.len())];
        for picture in self.pictures.iter().filter(|picture| keep(picture)) {
            for class in picture.item.target.all_classes(column).collect::<BTreeSet<u32>>() {
                if let Some(count) = counts.get_mut(class as usize) {
                    *count += 1;
                }
            }
        }
        counts
    }

    /// Draws train and val anew from both; test stays.
    fn split_again(&mut self, fraction: f32, seed: u64) {
        let pool: Vec<usize> = (0..self.pictures.len())
            .filter(|i| self.pictures.get(*i).is_some_and(|p| p.item.split != Some(Split::Test)))
            .collect();
        let counts = self.counts(0, |picture| picture.item.split != Some(Split::Test));
        let candidates: Vec<Candidate<'_>> = pool
            .iter()
            .filter_map(|i| self.pictures.get(*i))
            .map(|p| Candidate { class: self.stratum(p, &counts), digest: p.checked.digest })
            .collect();
        let val = draw(&candidates, fraction, seed);
        for (index, is_val) in pool.into_iter().zip(val) {
            if let Some(picture) = self.pictures.get_mut(index) {
                picture.item.split = Some(if is_val { Split::Val } else { Split::Train });
            }
        }
    }

    /// Everything here trains; `other` validates. Columns and classes are matched by name; an only column is the other's.
    fn validate_on(&mut self, other: Self, other_path: &Path) {
        let own_val = self.pictures.iter().filter(|p| p.item.split == Some(Split::Val)).count();
        if own_val > 0 {
            let what = format!(
                "{own_val} pictures of the set's own val are left out: validation is on {}",
                other_path.display()
            );
            self.issues.push(Issue::new(Severity::Note, other_path, what));
            self.pictures.retain(|p| p.item.split != Some(Split::Val));
        }
        let only_val = other.has(Split::Val);
        let Self { columns, pictures, issues, found, .. } = other;
        let matched = match self.task {
            Task::Segment => self.match_masks(&columns, other_path),
            Task::Classify | Task::Detect => self.match_columns(&columns, other_path),
        };
        let classes = self.columns.first().map_or(0, |column| column.classes.len());
        self.found += found;
        self.issues.extend(issues);
        let before = pictures.len();
        let kept = pictures.into_iter().filter(|p| !only_val || p.item.split == Some(Split::Val)).map(|mut picture| {
            picture.item.split = Some(Split::Val);
            renumber(&mut picture.item.target, &matched, classes);
            picture
        });
        let kept: Vec<Picture> = kept.collect();
        if kept.len() < before {
            let what = format!("{} pictures outside of its val are left out", before - kept.len());
            self.issues.push(Issue::new(Severity::Note, other_path, what));
        }
        self.pictures.extend(kept);
    }

    /// The classes of another set's masks, by name: what is not trained on counts for nothing, and it is said.
    fn match_masks(&mut self, others: &[LabelColumn], path: &Path) -> Vec<Matched> {
        let own = self.columns.first().map_or(&[] as &[String], |column| column.classes.as_slice());
        let other = others.first().map_or(&[] as &[String], |column| column.classes.as_slice());
        let matched = masks::match_classes(own, other);
        let of = |name: &String| own.iter().position(|own| own == name);
        let lost: Vec<&str> =
            other.iter().zip(&matched).filter(|(_, id)| id.is_none()).map(|(n, _)| n.as_str()).collect();
        let renamed = other.iter().zip(&matched).find(|(name, id)| id.is_some() && of(name).is_none());
        if !lost.is_empty() {
            let (lost, own) = (lost.join(", "), own.join(", "));
            let what = format!(
                "its masks have classes that are not trained on, whose pixels count for nothing: {lost} (trained on: {own})"
            );
            self.issues.push(Issue::new(Severity::Warning, path, what));
        } else if let Some((name, Some(id))) = renamed {
            let own = own.get(*id).map_or("", String::as_str);
            let what = format!("its class {name} is taken as {own}, the only one besides the background");
            self.issues.push(Issue::new(Severity::Note, path, what));
        }
        let id = |id: Option<usize>| id.and_then(|id| u32::try_from(id).ok()).unwrap_or(u32::MAX);
        vec![Some((0, matched.into_iter().map(id).collect()))]
    }

    /// For each column of this set: which of `others` it is there, and the ids of that one's classes here.
    fn match_columns(&mut self, others: &[LabelColumn], path: &Path) -> Vec<Matched> {
        let alone = self.columns.len() == 1 && others.len() == 1;
        let mut matched = Vec::new();
        for column in &mut self.columns {
            let at = others.iter().position(|other| alone || other.name == column.name);
            let other = at.and_then(|at| Some((at, others.get(at)?)));
            if other.is_none() {
                let what = format!("there is no column {} in it to validate on", column.name);
                self.issues.push(Issue::new(Severity::Warning, path, what));
            }
            matched
                .push(other.map(|(at, other)| (at, other.classes.iter().map(|name| class_id(column, name)).collect())));
        }
        matched
    }

    /// Keeps the classes that can be learned, and says which others there were.
    fn settle_classes(&mut self, path: &Path, suggested_split: bool) {
        if !self.classes_from_pictures {
            return;
        }
        let kept: Vec<Vec<usize>> =
            (0..self.columns.len()).map(|column| self.learnable(column, path, suggested_split)).collect();
        if kept.iter().all(Vec::is_empty) {
            return; // nothing to train on at all: `usable` says so
        }
        let new_id = |column: usize, old: u32| {
            let at = kept.get(column)?.iter().position(|id| *id == old as usize)?;
            u32::try_from(at).ok()
        };
        self.pictures.retain_mut(|picture| {
            let labels = std::mem::take(&mut picture.item.target.labels).into_iter().enumerate();
            let labels = labels.map(|(column, label)| (column, label.renumbered(|old| new_id(column, old))));
            let labels = labels.filter(|(column, _)| kept.get(*column).is_some_and(|kept| !kept.is_empty()));
            picture.item.target.labels = labels.map(|(_, label)| label).collect();
            picture.item.target.labels.iter().any(Label::is_known)
        });
        let columns = std::mem::take(&mut self.columns).into_iter().zip(&kept).filter(|(_, kept)| !kept.is_empty());
        let of = |(column, kept): (LabelColumn, &Vec<usize>)| LabelColumn {
            classes: kept.iter().filter_map(|id| column.classes.get(*id).cloned()).collect(),
            ..column
        };
        self.columns = columns.map(of).collect();
    }

    /// Classes of boxes in order of name, where another set's were added at the end, and what is said of those without.
    fn settle_categories(&mut self, path: &Path) {
        let (Task::Detect, Some(column)) = (self.task, self.columns.first_mut()) else { return };
        while self.category_ids.len() < column.classes.len() {
            self.category_ids.push(self.category_ids.iter().max().map_or(0, |most| most + 1));
        }
        let mut order: Vec<usize> = (0..column.classes.len()).collect();
        order.sort_by(|a, b| column.classes.get(*a).cmp(&column.classes.get(*b)));
        let new = |old: u32| order.iter().position(|at| *at == old as usize).and_then(|at| u32::try_from(at).ok());
        let all = self.pictures.iter_mut().flat_map(|picture| picture.item.target.boxes.iter_mut().flatten());
        all.for_each(|one| one.class = new(one.class).unwrap_or(one.class));
        column.classes = order.iter().filter_map(|at| column.classes.get(*at).cloned()).collect();
        self.category_ids = order.iter().filter_map(|at| self.category_ids.get(*at).copied()).collect();
        let counts = self.counts(0, |picture| picture.split() == Split::Train);
        let Some(column) = self.columns.first() else { return };
        let without =
            column.classes.iter().zip(&counts).filter(|(_, count)| **count == 0).map(|(name, _)| name.as_str());
        let without: Vec<&str> = without.collect();
        if !without.is_empty() && without.len() < counts.len() {
            let (n, all, names) = (without.len(), counts.len(), without.join(", "));
            let what = format!("{n} of {all} classes have no box to train on: {names}");
            self.issues.push(Issue::new(Severity::Warning, path, what));
        }
    }

    /// Says which classes of masks have no pixel to train on.
    fn report_masks(&mut self, path: &Path) {
        let (Task::Segment, Some(column)) = (self.task, self.columns.first()) else { return };
        let counts = self.counts(0, |picture| picture.split() == Split::Train);
        let without = column.classes.iter().zip(&counts).filter(|(_, count)| **count == 0);
        let without: Vec<&str> = without.map(|(name, _)| name.as_str()).collect();
        if !without.is_empty() && without.len() < counts.len() {
            let what = format!(
                "{} of {} classes have no pixel to train on: {}",
                without.len(),
                counts.len(),
                without.join(", ")
            );
            self.issues.push(Issue::new(Severity::Warning, path, what));
        }
    }

    /// The classes of a column that have a picture to train on, in order of name; the issues say which have not.
    fn learnable(&mut self, column: usize, path: &Path, suggested_split: bool) -> Vec<usize> {
        let counts = |split: Split| self.counts(column, |picture| picture.split() == split);
        let (train, val, test) = (counts(Split::Train), counts(Split::Val), counts(Split::Test));
        let Some(own) = self.columns.get(column) else { return Vec::new() };
        let has_val = val.iter().any(|n| *n > 0);
        let of_column = if self.columns.len() > 1 { format!(" of {}", own.name) } else { String::new() };
        let lost = if self.columns.len() > 1 || own.multi { "labels" } else { "pictures" };
        let mut kept = Vec::new();
        for (id, name) in own.classes.iter().enumerate() {
            let of = |counts: &[usize]| counts.get(id).copied().unwrap_or(0);
            let class = format!("class {name}{of_column}");
            let what = match (of(&train), of(&val) + of(&test)) {
                (0, 0) => format!("{class} has no usable picture; left out"),
                (0, n) => {
                    format!("{class} is in val or test, but has no picture to train on; its {n} {lost} are left out")
                }
                (1, _) if of(&val) == 0 => format!("{class} has only 1 picture; none is left to validate on"),
                (_, _) if of(&val) == 0 && has_val && !suggested_split => {
                    format!("{class} is in train, but has no picture in val")
                }
                _ => String::new(),
            };
            if !what.is_empty() {
                self.issues.push(Issue::new(Severity::Warning, path, what));
            }
            if of(&train) > 0 {
                kept.push(id);
            }
        }
        // Byte-wise order again, where another set's classes were added at the end.
        kept.sort_by(|a, b| own.classes.get(*a).cmp(&own.classes.get(*b)));
        kept
    }

    /// The same file twice: a warning where it makes a measurement wrong, a note otherwise.
    fn report_duplicates(&mut self) {
        /// The first picture of each class and split.
        type Firsts<'a> = BTreeMap<(&'a [Label], u8), &'a Picture>;
        let mut seen: HashMap<[u8; 32], Firsts<'_>> = HashMap::new();
        let mut issues = Vec::new();
        for picture in &self.pictures {
            let kind = (picture.item.target.labels.as_slice(), picture.split());
            let same = seen.entry(picture.checked.digest).or_default();
            let other_class = same.values().find(|p| p.item.target.labels != kind.0);
            let other_split = same.values().find(|p| p.split() != kind.1);
            if let Some(earlier) = other_class.or(other_split).or(same.values().next()) {
                issues.push(self.duplicate(picture, earlier));
            }
            same.entry((kind.0, kind.1 as u8)).or_insert(picture);
        }
        self.issues.extend(issues);
    }

    fn duplicate(&self, picture: &Picture, earlier: &Picture) -> Issue {
        let (labels, split) = (&picture.item.target.labels, picture.split());
        let (earlier_labels, earlier_split) = (&earlier.item.target.labels, earlier.split());
        let mut what = format!("the same file as {}", earlier.item.path.display());
        if split != earlier_split {
            what += &format!(", which is in {earlier_split} while this is in {split}: the measurement is too good");
        }
        for (at, column) in self.columns.iter().enumerate() {
            let name = |picture: &Picture| column.told(picture.item.target.label(at)).unwrap_or("unknown".to_owned());
            let (own, other) = (name(picture), name(earlier));
            let noun = if column.name == DEFAULT_COLUMN { "class" } else { column.name.as_str() };
            if own != other {
                what += &format!(", but its {noun} is {own} and that one's {other}");
            }
        }
        let harmless = split == earlier_split && labels == earlier_labels;
        let severity = if harmless { Severity::Note } else { Severity::Warning };
        Issue::new(severity, &picture.item.path, what)
    }

    fn into_dataset(self, suggested_split: bool) -> Dataset {
        let samples = self.pictures.into_iter().map(|picture| Sample {
            split: picture.split(),
            image: ImageSource::File(picture.item.path),
            size_px: picture.checked.size_px,
            target: picture.item.target,
        });
        Dataset {
            root: self.home.root,
            name: self.home.name,
            task: self.task,
            format: self.format,
            columns: self.columns,
            category_ids: self.category_ids,
            samples: samples.collect(),
            issues: self.issues,
            found: self.found,
            suggested_split,
            unnamed: self.unnamed,
        }
    }
}

/// The id of a class name, which is added when it is new.
fn class_id(column: &mut LabelColumn, name: &str) -> u32 {
    let at = column.classes.iter().position(|class| class == name).unwrap_or_else(|| {
        column.classes.push(name.to_owned());
        column.classes.len() - 1
    });
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Gives another set's target this set's columns and ids.
fn renumber(target: &mut Target, matched: &[Matched], classes: usize) {
    let new = |ids: &[u32], old: u32| ids.get(old as usize).copied();
    let of = |column: &Matched| {
        let (at, ids) = column.as_ref()?;
        Some(target.label(*at).renumbered(|old| new(ids, old)))
    };
    let labels = matched.iter().map(|column| of(column).unwrap_or_default()).collect();
    if let Some(Some((_, ids))) = matched.first() {
        for one in target.boxes.iter_mut().flatten() {
            one.class = new(ids, one.class).unwrap_or(one.class);
        }
        let small: Vec<u8> = ids.iter().map(|id| u8::try_from(*id).unwrap_or(IGNORE_ID)).collect();
        target.mask = target.mask.take().map(|mask| mask.renumbered(&small));
        let mut pixels = vec![0; classes];
        for (id, own) in ids.iter().zip(std::mem::take(&mut target.mask_px)) {
            if let Some(count) = pixels.get_mut(*id as usize) {
                *count += own;
            }
        }
        target.mask_px = if target.mask.is_some() { pixels } else { Vec::new() };
    }
    target.labels = labels;
}

fn remarks(root: &Path, pictures: &[Picture], issues: &mut Vec<Issue>) {
    let with = |remark| -> Vec<PathBuf> {
        pictures.iter().filter(|p| p.checked.remark == Some(remark)).map(|p| p.item.path.clone()).collect()
    };
    let one = "a GIF: its first frame is used";
    fold(
        root,
        Severity::Note,
        with(Remark::FirstFrame),
        one,
        |n| format!("{n} GIFs: the first frame of each is used"),
        issues,
    );
    let one = "a JPEG without its end marker, possibly cut off; the picture is used as far as it goes";
    fold(root, Severity::Warning, with(Remark::NoEnd), one, |n| format!("{n} files: each {one}"), issues);
}
