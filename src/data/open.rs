//! Opens a set: list, recognize, check, split, report.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::check::{Checked, Remark, check};
use super::formats::{Draft, Item, fold, recognize};
use super::listing::{Folder, extension, list};
use super::split::{Candidate, draw};
use super::{
    DataError, Dataset, ImageSource, Issue, OpenOptions, Progress, Sample, Severity, Split, Target, Task, ValSource,
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
    let mut set = Set::read(path, progress)?;
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
        ValSource::Other(other) => set.validate_on(Set::read(other, progress)?, other),
    }
    set.settle_classes(path, suggested_split);
    set.report_duplicates();
    Ok(set.into_dataset(path, suggested_split))
}

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
    task: Task,
    format: String,
    classes: Vec<String>,
    classes_from_pictures: bool,
    found: usize,
    pictures: Vec<Picture>,
    issues: Vec<Issue>,
}

impl Set {
    fn read(path: &Path, progress: &dyn Progress) -> Result<Self, DataError> {
        let mut issues = Vec::new();
        let draft = draft(path, progress, &mut issues)?;
        let Draft { task, format, classes, classes_from_pictures, items, found, issues: more } = draft;
        issues.extend(more);
        let results = check(&items, progress)?;
        let mut pictures = Vec::with_capacity(items.len());
        for (item, result) in items.into_iter().zip(results) {
            match result {
                Ok(checked) => pictures.push(Picture { item, checked }),
                Err(why) => issues.push(Issue::new(Severity::Error, item.path, format!("{why}; left out"))),
            }
        }
        remarks(path, &pictures, &mut issues);
        Ok(Self { task, format, classes, classes_from_pictures, found, pictures, issues })
    }

    fn has(&self, split: Split) -> bool {
        self.pictures.iter().any(|p| p.item.split == Some(split))
    }

    fn class_name(&self, picture: &Picture) -> Option<&str> {
        self.classes.get(picture.item.target.class? as usize).map(String::as_str)
    }

    /// Draws train and val anew from both; test stays.
    fn split_again(&mut self, fraction: f32, seed: u64) {
        let pool: Vec<usize> = (0..self.pictures.len())
            .filter(|i| self.pictures.get(*i).is_some_and(|p| p.item.split != Some(Split::Test)))
            .collect();
        let candidates: Vec<Candidate<'_>> = pool
            .iter()
            .filter_map(|i| self.pictures.get(*i))
            .map(|p| Candidate { class: self.class_name(p), digest: p.checked.digest })
            .collect();
        let val = draw(&candidates, fraction, seed);
        for (index, is_val) in pool.into_iter().zip(val) {
            if let Some(picture) = self.pictures.get_mut(index) {
                picture.item.split = Some(if is_val { Split::Val } else { Split::Train });
            }
        }
    }

    /// Everything here trains; `other` validates. Classes are matched by name.
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
        let Self { classes, pictures, issues, found, .. } = other;
        let ids: Vec<u32> = classes.iter().map(|class| self.class_id(class)).collect();
        self.found += found;
        self.issues.extend(issues);
        let before = pictures.len();
        let kept = pictures.into_iter().filter(|p| !only_val || p.item.split == Some(Split::Val)).map(|mut picture| {
            picture.item.split = Some(Split::Val);
            renumber(&mut picture.item.target, &ids);
            picture
        });
        let kept: Vec<Picture> = kept.collect();
        if kept.len() < before {
            let what = format!("{} pictures outside of its val are left out", before - kept.len());
            self.issues.push(Issue::new(Severity::Note, other_path, what));
        }
        self.pictures.extend(kept);
    }

    /// The id of a class name, which is added when it is new.
    fn class_id(&mut self, name: &str) -> u32 {
        let at = self.classes.iter().position(|class| class == name).unwrap_or_else(|| {
            self.classes.push(name.to_owned());
            self.classes.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Keeps the classes that can be learned, and says which others there were.
    fn settle_classes(&mut self, path: &Path, suggested_split: bool) {
        let counts = |split: Split| {
            let mut counts = vec![0usize; self.classes.len()];
            for picture in self.pictures.iter().filter(|p| p.split() == split) {
                if let Some(count) = picture.item.target.class.and_then(|id| counts.get_mut(id as usize)) {
                    *count += 1;
                }
            }
            counts
        };
        if !self.classes_from_pictures {
            return;
        }
        let (train, val, test) = (counts(Split::Train), counts(Split::Val), counts(Split::Test));
        let has_val = val.iter().any(|n| *n > 0);
        let mut kept = Vec::new();
        for (id, name) in self.classes.iter().enumerate() {
            let of = |counts: &[usize]| counts.get(id).copied().unwrap_or(0);
            let what = match (of(&train), of(&val) + of(&test)) {
                (0, 0) => format!("class {name} has no usable picture; left out"),
                (0, n) => format!(
                    "class {name} is in val or test, but has no picture to train on; its {n} pictures are left out"
                ),
                (1, _) if of(&val) == 0 => format!("class {name} has only 1 picture; none is left to validate on"),
                (_, _) if of(&val) == 0 && has_val && !suggested_split => {
                    format!("class {name} is in train, but has no picture in val")
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
        if kept.is_empty() {
            return; // nothing to train on at all: `usable` says so
        }
        // Byte-wise order again, where another set's classes were added at the end.
        kept.sort_by(|a, b| self.classes.get(*a).cmp(&self.classes.get(*b)));
        let new_id = |old: usize| kept.iter().position(|id| *id == old).and_then(|id| u32::try_from(id).ok());
        let ids: Vec<Option<u32>> = (0..self.classes.len()).map(new_id).collect();
        self.pictures.retain_mut(|picture| {
            let class = &mut picture.item.target.class;
            *class = class.and_then(|old| ids.get(old as usize).copied().flatten());
            class.is_some()
        });
        self.classes = kept.iter().filter_map(|id| self.classes.get(*id).cloned()).collect();
    }

    /// The same file twice: a warning where it makes a measurement wrong, a note otherwise.
    fn report_duplicates(&mut self) {
        /// The first picture of each class and split.
        type Firsts<'a> = BTreeMap<(Option<u32>, u8), &'a Picture>;
        let mut seen: HashMap<[u8; 32], Firsts<'_>> = HashMap::new();
        let mut issues = Vec::new();
        for picture in &self.pictures {
            let kind = (picture.item.target.class, picture.split());
            let same = seen.entry(picture.checked.digest).or_default();
            let other_class = same.values().find(|p| p.item.target.class != kind.0);
            let other_split = same.values().find(|p| p.split() != kind.1);
            if let Some(earlier) = other_class.or(other_split).or(same.values().next()) {
                issues.push(self.duplicate(picture, earlier));
            }
            same.entry((kind.0, kind.1 as u8)).or_insert(picture);
        }
        self.issues.extend(issues);
    }

    fn duplicate(&self, picture: &Picture, earlier: &Picture) -> Issue {
        let (class, split) = (self.class_name(picture), picture.split());
        let (earlier_class, earlier_split) = (self.class_name(earlier), earlier.split());
        let mut what = format!("the same file as {}", earlier.item.path.display());
        if split != earlier_split {
            what += &format!(", which is in {earlier_split} while this is in {split}: the measurement is too good");
        }
        if class != earlier_class {
            let name = |class: Option<&str>| class.unwrap_or("none").to_owned();
            what += &format!(", but its class is {} and that one's {}", name(class), name(earlier_class));
        }
        let harmless = split == earlier_split && class == earlier_class;
        let severity = if harmless { Severity::Note } else { Severity::Warning };
        Issue::new(severity, &picture.item.path, what)
    }

    fn into_dataset(self, path: &Path, suggested_split: bool) -> Dataset {
        let samples = self.pictures.into_iter().map(|picture| Sample {
            split: picture.split(),
            image: ImageSource::File(picture.item.path),
            size_px: picture.checked.size_px,
            target: picture.item.target,
        });
        Dataset {
            root: path.to_owned(),
            name: name(path),
            task: self.task,
            format: self.format,
            classes: self.classes,
            samples: samples.collect(),
            issues: self.issues,
            found: self.found,
            suggested_split,
        }
    }
}

fn draft(path: &Path, progress: &dyn Progress, issues: &mut Vec<Issue>) -> Result<Draft, DataError> {
    let meta = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => DataError::Missing(path.to_owned()),
        _ => DataError::Io { path: path.to_owned(), source },
    })?;
    if meta.is_dir() {
        return recognize(&list(path, progress, issues)?);
    }
    // A file: an annotation file gets the answer of its layout.
    let parent = path.parent().unwrap_or(Path::new("")).to_owned();
    let file = super::listing::File { path: path.to_owned(), kind: super::listing::Kind::Other };
    match recognize(&Folder { path: parent, files: vec![file], folders: Vec::new() }) {
        Err(DataError::NotReadYet { format, file, .. }) => {
            Err(DataError::NotReadYet { path: path.to_owned(), format, file })
        }
        _ => Err(DataError::NotAFolder { path: path.to_owned(), what: kind_of_file(path) }),
    }
}

fn kind_of_file(path: &Path) -> String {
    match extension(path).as_str() {
        "zip" | "tar" | "gz" | "tgz" | "7z" | "rar" | "xz" | "bz2" => "it is an archive; unpack it first".to_owned(),
        _ => "it is a file".to_owned(),
    }
}

fn name(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.file_name().unwrap_or(real.as_os_str()).to_string_lossy().into_owned()
}

fn renumber(target: &mut Target, ids: &[u32]) {
    let new = |old: u32| ids.get(old as usize).copied().unwrap_or(old);
    target.class = target.class.map(new);
    for one in target.boxes.iter_mut().flatten() {
        one.class = new(one.class);
    }
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
