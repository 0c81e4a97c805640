//! YOLO text files: a picture `images/…/a.jpg` has its boxes in `labels/…/a.txt`; `data.yaml` names the classes and the
//! parts of the set. Without it the folders do, and `classes.txt` (or `obj.names`) names the classes.
//!
//! Format: <https://docs.ultralytics.com/datasets/detect/>.

mod folders;
mod label;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::folders::Folders;
use self::yaml::{Held, Key};
use super::boxes::{Builder, Origin, Outline};
use super::known::files_named;
use super::{Draft, Reader, Recognition, Wish, split_in};
use crate::data::listing::{Folder, extension};
use crate::data::{BoxTarget, Issue, Region, Severity, Split, image};

const NAME: &str = "YOLO";
/// Files beside the labels that hold the names of classes, one a line.
const NAMES: [&str; 4] = ["classes.txt", "obj.names", "names.txt", "labels.txt"];

/// Reads YOLO text files, with or without `data.yaml`.
pub(crate) struct Yolo;

impl Reader for Yolo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognize(&self, root: &Folder, wish: &Wish) -> Recognition {
        let mut files: Vec<&Path> = files_named(root, &["yaml", "yml"]);
        files.retain(|path| is_data_yaml(path));
        let usual = |path: &Path| path.file_stem().is_some_and(|stem| stem == "data" || stem == "dataset");
        files.sort_by_key(|path| !usual(path));
        let mut why = "no .yaml file with the keys train and names".to_owned();
        if let Some((first, others)) = files.split_first() {
            match read(root, first, true, wish) {
                Ok(mut draft) => {
                    for path in others {
                        let what = "another description of the set; not read (drop it by itself to use it)";
                        draft.issues.push(Issue::new(Severity::Note, *path, what));
                    }
                    return Recognition::Read(Box::new(draft));
                }
                Err(reason) => why = format!("{} {reason}", first.display()),
            }
        }
        match without_yaml(root, wish) {
            Some(Ok(draft)) => Recognition::Read(Box::new(draft)),
            Some(Err(why)) => Recognition::No(why),
            None => Recognition::No(format!("{why}; no folders images and labels side by side")),
        }
    }
}

/// Whether a file has the keys of a description of a set.
pub(crate) fn is_data_yaml(path: &Path) -> bool {
    let Ok(text) = text(path) else { return false };
    let keys = yaml::read(&text);
    let has = |name: &str| keys.iter().any(|key| key.name == name && !matches!(key.held, Held::Map(_)));
    keys.iter().any(|key| key.name == "names") && (has("train") || has("val"))
}

/// The text of a file in UTF-8, or else in Latin-1.
fn text(path: &Path) -> Result<String, String> {
    /// Descriptions and labels are small.
    const MAX_BYTES: u64 = 64 << 20;
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_BYTES) {
        return Err(format!("is larger than {} MB", MAX_BYTES >> 20));
    }
    let bytes = image::read(path).map_err(|error| error.reason())?;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    Ok(std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_owned))
}

/// Reads a set by its description; `whole` says that the listing is the set.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn read(root: &Folder, path: &Path, whole: bool, wish: &Wish) -> Result<Draft, String> {
    let text = text(path)?;
    let keys = yaml::read(&text);
    let mut set = Set::new(root, wish);
    set.builder.read.insert(path.to_owned());
    set.names(path, &keys)?;
    let word = |name: &str| {
        keys.iter().find(|key| key.name == name).and_then(|key| match &key.held {
            Held::Word(word) if !word.is_empty() => Some(word.as_str()),
            _ => None,
        })
    };
    let folders = Folders::new(root, path, word("path"));
    for (name, split) in [("train", Split::Train), ("val", Split::Val), ("valid", Split::Val), ("test", Split::Test)] {
        let Some(key) = keys.iter().find(|key| key.name == name) else { continue };
        let entries = match &key.held {
            Held::Word(word) if word.is_empty() || word == "null" || word == "~" => continue,
            Held::Word(word) => vec![word.clone()],
            Held::List(all) => all.clone(),
            Held::Map(_) => {
                let what = format!("{name} is a map and not a folder; not read");
                set.say(Severity::Error, "keys", path, key.line, what);
                continue;
            }
        };
        for entry in entries {
            let found = folders.find(&entry);
            if let Some(what) = found.told {
                set.say(found.severity, "folders", path, key.line, format!("{name}: {what}"));
            }
            set.builder.read.extend(found.lists);
            for (list, line, what) in found.missing {
                set.say(Severity::Error, "pictures that are not there", &list, line, what);
            }
            for picture in found.pictures {
                set.picture(&picture, Some(split));
            }
        }
    }
    if set.count == 0 {
        return Err("names no folder with pictures".to_owned());
    }
    set.orphans();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    set.draft(format!("YOLO ({file})"), whole)
}

/// Reads a set of folders named images and labels that has no description.
fn without_yaml(root: &Folder, wish: &Wish) -> Option<Result<Draft, String>> {
    let mut set = Set::new(root, wish);
    let is_label = |path: &Path| extension(path) == "txt" && !is_names(path);
    let pairs: Vec<(&Folder, &Folder)> = root
        .all_folders()
        .into_iter()
        .filter_map(|folder| Some((folder.child("images")?, folder.child("labels")?)))
        .filter(|(images, labels)| images.has_images() && labels.all_files().iter().any(|f| is_label(&f.path)))
        .collect();
    if pairs.is_empty() {
        return None;
    }
    if let Some(file) = root.all_files().into_iter().find(|file| is_names(&file.path)) {
        let names = text(&file.path).unwrap_or_default();
        let names = names.lines().map(str::trim).filter(|name| !name.is_empty());
        set.ids = (0..).zip(names.map(str::to_owned)).collect();
        set.builder.read.insert(file.path.clone());
    } else {
        set.numbered = true;
        let what = "no data.yaml and no classes.txt: classes are called by their numbers";
        set.builder.issues.push(Issue::new(Severity::Warning, &root.path, what));
    }
    set.enter_names(&root.path, 0);
    for (images, _) in pairs {
        for file in images.images() {
            let inside = file.path.strip_prefix(&root.path).ok().and_then(Path::parent);
            let mut parts = inside.into_iter().flat_map(Path::components);
            let split = parts.find_map(|part| split_in(&part.as_os_str().to_string_lossy()));
            set.picture(&file.path, split);
        }
    }
    set.orphans();
    Some(set.draft("YOLO (folders images and labels)".to_owned(), true))
}

fn is_names(path: &Path) -> bool {
    path.file_name().is_some_and(|name| NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

struct Set<'a> {
    builder: Builder<'a>,
    root: &'a Folder,
    /// Class names by their numbers in the files.
    ids: BTreeMap<u64, String>,
    classes: BTreeMap<u64, u32>,
    /// Whether numbers without a name are classes all the same.
    numbered: bool,
    /// Label files of pictures, there or not.
    labels: BTreeSet<PathBuf>,
    count: usize,
    /// Whether masks are wanted, and not boxes.
    masks: bool,
}

impl<'a> Set<'a> {
    fn new(root: &'a Folder, wish: &Wish) -> Self {
        let masks = wish.is_segment();
        let (ids, classes, labels) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { builder: Builder::new(root), root, ids, classes, numbered: false, labels, count: 0, masks }
    }

    fn draft(self, format: String, whole: bool) -> Result<Draft, String> {
        if self.masks { self.builder.draft_of_masks(format, whole) } else { Ok(self.builder.draft(format, whole)) }
    }

    fn say(&mut self, severity: Severity, kind: &'static str, path: &Path, line: usize, what: String) {
        self.builder.teller.say(severity, kind, path, (line > 0).then_some(line), what);
    }

    fn names(&mut self, path: &Path, keys: &[Key]) -> Result<(), String> {
        let key = keys.iter().find(|key| key.name == "names").ok_or("has no names")?;
        let number = |text: &str| text.trim().parse::<u64>().ok();
        self.ids = match &key.held {
            Held::Word(word) => BTreeMap::from([(0, word.clone())]),
            Held::List(names) => (0..).zip(names.iter().cloned()).collect(),
            // Also written the other way round: name to number.
            Held::Map(pairs) => {
                let either = |(key, value): &(String, String)| match (number(key), number(value)) {
                    (Some(id), _) => Some((id, value.clone())),
                    (None, Some(id)) => Some((id, key.clone())),
                    (None, None) => None,
                };
                pairs.iter().filter_map(either).collect()
            }
        };
        if self.ids.is_empty() {
            return Err("has no names in it".to_owned());
        }
        if let Some(nc) = keys.iter().find(|key| key.name == "nc")
            && let Held::Word(word) = &nc.held
            && number(word) != u64::try_from(self.ids.len()).ok()
        {
            let what = format!("nc is {word}, but there are {} names; the names count", self.ids.len());
            self.say(Severity::Warning, "keys", path, nc.line, what);
        }
        self.enter_names(path, key.line);
        Ok(())
    }

    fn enter_names(&mut self, path: &Path, line: usize) {
        for (id, name) in self.ids.clone() {
            let class = self.builder.class(&name, Some(id));
            if self.classes.values().any(|known| *known == class) {
                let what = format!("{id} is another class named {name}; both are one class");
                self.say(Severity::Warning, "classes of one name", path, line, what);
            }
            self.classes.insert(id, class);
        }
    }

    fn picture(&mut self, picture: &Path, split: Option<Split>) {
        let labels = folders::label_file(&self.root.path, picture);
        self.labels.insert(labels.clone());
        let there = labels.is_file();
        let origin = Origin { file: labels.clone(), relative: true, ..Origin::default() };
        if !self.builder.picture(picture.to_owned(), split, Vec::new(), origin) {
            let what = format!("{} is in several parts of the set; the first counts", picture.display());
            return self.say(Severity::Warning, "pictures named again", &self.root.path, 0, what);
        }
        self.count += 1;
        if !there {
            self.builder.background.push(picture.to_owned());
            return;
        }
        self.builder.read.insert(labels.clone());
        match text(&labels) {
            Ok(text) => self.labels_of(picture, &labels, &text),
            Err(why) => self.say(Severity::Error, "label files", &labels, 0, format!("the file {why}; not used")),
        }
    }

    fn labels_of(&mut self, picture: &Path, file: &Path, text: &str) {
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            let read = match label::read(text) {
                Ok(read) => read,
                Err(why) => {
                    self.say(Severity::Error, "lines that cannot be used", file, line, format!("{why}; left out"));
                    continue;
                }
            };
            if let Some(odd) = read.odd {
                self.say(Severity::Warning, "odd lines", file, line, odd.to_owned());
            }
            if self.numbered && !self.classes.contains_key(&read.class) {
                let class = self.builder.class(&read.class.to_string(), Some(read.class));
                self.classes.insert(read.class, class);
            }
            let Some(&class) = self.classes.get(&read.class) else {
                let what = format!("class {} has no name; left out", read.class);
                self.say(Severity::Error, "classes without name", file, line, what);
                continue;
            };
            self.builder.outlines += usize::from(!read.corners.is_empty());
            if self.masks && read.corners.is_empty() {
                let what = "a box without an outline: its pixels count for nothing".to_owned();
                self.say(Severity::Warning, "boxes without outline", file, line, what);
                self.builder.add_outline(picture, Outline::unknown(read.xyxy, line));
                continue;
            }
            if self.masks {
                let region = Region::Polygons(vec![read.corners]);
                let outline = Outline { class: Some(class), region, runs_for: None, crowd: false, line };
                self.builder.add_outline(picture, outline);
                continue;
            }
            self.builder.add_box(picture, BoxTarget::new(class, read.xyxy), line);
        }
    }

    /// Label files beside the used ones that belong to no picture.
    fn orphans(&mut self) {
        let folders: BTreeSet<&Path> = self.labels.iter().filter_map(|path| path.parent()).collect();
        let mut orphans = Vec::new();
        for folder in self.root.all_folders().into_iter().filter(|folder| folders.contains(folder.path.as_path())) {
            // Where labels lie beside pictures, other texts may too.
            let labels = folder.files.iter().map(|file| &file.path).filter(|path| extension(path) == "txt");
            let own = labels.filter(|path| !self.labels.contains(*path) && !is_names(path));
            orphans.extend(own.filter(|_| !folder.has_own_images()).cloned());
        }
        for path in orphans {
            let what = "labels of a picture that is not there; left out".to_owned();
            self.say(Severity::Warning, "labels without picture", &path, 0, what);
            self.builder.read.insert(path);
        }
    }
}
