//! A folder per class, in three layouts: `{train,val[,test]}/<class>/*`, `<class>/{train,val}/*` and bare `<class>/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Draft, Item, Reader, Recognition, Wish, fold, note_other_files};
use crate::data::listing::{File, Folder, Kind};
use crate::data::{Issue, LabelColumn, Severity, Split, Target, Task};

const NAME: &str = "class folders";

/// Reads folders whose names are classes.
pub(crate) struct ClassFolders;

impl Reader for ClassFolders {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognize(&self, root: &Folder, _wish: &Wish) -> Recognition {
        match inner_root(root).and_then(|(inner, layout)| read(root, inner, layout)) {
            Ok(draft) => Recognition::Read(Box::new(draft)),
            Err(why) => Recognition::No(why),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    SplitThenClass,
    ClassThenSplit,
    Bare,
}

fn split_of(folder: &Folder) -> Option<Split> {
    match folder.name().to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" => Some(Split::Val),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// Whether a folder's name says what its pictures are for, and not what they show.
fn is_role(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("mask")
        || ["images", "image", "imgs", "labels", "annotations", "instances"].contains(&name.as_str())
}

/// Whether two or more folders with pictures stand under `train`, and the same names under another split.
pub(super) fn is_certain(root: &Folder) -> bool {
    let classes = |folder: &Folder| {
        let names = folder.folders.iter().filter(|f| f.has_images()).map(|f| f.name().to_owned());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let of = |split: Split| root.folders.iter().filter(move |f| split_of(f) == Some(split)).map(classes).next();
    match (of(Split::Train), of(Split::Val).or_else(|| of(Split::Test))) {
        (Some(train), Some(other)) => train.len() >= 2 && train == other && !train.iter().any(|name| is_role(name)),
        _ => false,
    }
}

fn has_class_folders(folder: &Folder) -> bool {
    folder.folders.iter().any(Folder::has_images)
}

fn layout_of(root: &Folder) -> Result<Layout, String> {
    if !root.has_images() {
        return Err("no pictures".to_owned());
    }
    let train = |folder: &&Folder| split_of(folder) == Some(Split::Train);
    if root.folders.iter().any(|f| train(&f) && has_class_folders(f)) {
        return Ok(Layout::SplitThenClass);
    }
    let with_images: Vec<&Folder> = root.folders.iter().filter(|f| f.has_images()).collect();
    if with_images.is_empty() {
        return Err("the pictures lie directly in the folder, none in a folder named after a class".to_owned());
    }
    if with_images.iter().all(|f| split_of(f).is_some()) {
        let name = with_images.first().map(|f| f.name()).unwrap_or_default();
        return Err(format!("the folder {name} has no class folders with pictures to train on in it"));
    }
    let split_inside = |f: &&Folder| f.folders.iter().any(|c| split_of(c) == Some(Split::Train) && c.has_images());
    if with_images.iter().any(split_inside) {
        return Ok(Layout::ClassThenSplit);
    }
    Ok(Layout::Bare)
}

/// The folder that the set starts in: archives are often unpacked into a folder of their own. A lone folder with `train`
/// in it is a set if there are classes in that, and a class otherwise.
fn inner_root(root: &Folder) -> Result<(&Folder, Layout), String> {
    let layout = layout_of(root)?;
    let mut with_images = root.folders.iter().filter(|f| f.has_images());
    let (only, more) = (with_images.next(), with_images.next());
    if let (Some(only), None) = (only, more)
        && layout != Layout::SplitThenClass
        && !root.has_own_images()
        && !only.has_own_images()
        && let Ok((inner, inside)) = inner_root(only)
        && (inside == Layout::SplitThenClass || layout == Layout::Bare)
        && (inside != Layout::Bare || inner.folders.iter().filter(|f| f.has_images()).count() > 1)
    {
        return Ok((inner, inside));
    }
    Ok((root, layout))
}

/// Collects the pictures of a set.
#[derive(Default)]
struct Collector {
    /// Class, split, picture.
    pictures: Vec<(String, Option<Split>, PathBuf)>,
    /// Pictures outside of any class folder, by the reason why they are left out.
    outside: BTreeMap<&'static str, Vec<PathBuf>>,
    /// Class folders without pictures.
    empty: Vec<(PathBuf, Option<Split>)>,
}

impl Collector {
    fn class(&mut self, folder: &Folder, class: &str, split: Option<Split>) {
        let images = folder.images();
        if images.is_empty() {
            self.empty.push((folder.path.clone(), split));
        }
        self.pictures.extend(images.into_iter().map(|file| (class.to_owned(), split, file.path.clone())));
    }

    fn leave_out<'a>(&mut self, files: impl IntoIterator<Item = &'a File>, why: &'static str) {
        let paths = files.into_iter().filter(|f| f.kind == Kind::Image).map(|f| f.path.clone());
        self.outside.entry(why).or_default().extend(paths);
    }
}

fn read(root: &Folder, inner: &Folder, layout: Layout) -> Result<Draft, String> {
    let mut collector = Collector::default();
    collector.leave_out(&inner.files, "lies outside of any class folder; left out");
    for folder in &inner.folders {
        match (layout, split_of(folder)) {
            (Layout::SplitThenClass, Some(split)) => {
                collector.leave_out(&folder.files, "lies outside of any class folder; left out");
                for class in &folder.folders {
                    collector.class(class, &class.name(), Some(split));
                }
            }
            (Layout::SplitThenClass, None) => {
                collector.leave_out(folder.images(), "lies neither in train, val nor test; left out");
            }
            (Layout::ClassThenSplit, _) => {
                collector.leave_out(&folder.files, "lies in a class, but neither in its train, val nor test; left out");
                for part in &folder.folders {
                    match split_of(part) {
                        Some(split) => collector.class(part, &folder.name(), Some(split)),
                        None => collector.leave_out(
                            part.images(),
                            "lies in a class, but neither in its train, val nor test; left out",
                        ),
                    }
                }
            }
            (Layout::Bare, _) => collector.class(folder, &folder.name(), None),
        }
    }
    if collector.pictures.is_empty() {
        return Err("no class folder has pictures".to_owned());
    }
    Ok(draft(root, inner, layout, collector))
}

fn draft(root: &Folder, inner: &Folder, layout: Layout, collector: Collector) -> Draft {
    let mut issues = Vec::new();
    if inner.path != root.path {
        issues.push(Issue::new(Severity::Note, &inner.path, "the set starts in this folder"));
    }
    for (path, split) in collector.empty {
        let part = split.map(|s| format!(" for {s}")).unwrap_or_default();
        issues.push(Issue::new(Severity::Warning, path, format!("class folder without pictures{part}")));
    }
    let mut found = collector.pictures.len();
    for (why, paths) in collector.outside {
        found += paths.len();
        fold(&root.path, Severity::Warning, paths, why, |n| format!("{n} pictures: each {why}"), &mut issues);
    }
    note_other_files(root, &mut issues);
    // A BTreeSet of strings is sorted byte-wise, as ImageFolder's classes are.
    let classes: Vec<String> =
        collector.pictures.iter().map(|(c, _, _)| c).collect::<BTreeSet<_>>().into_iter().cloned().collect();
    let id = |class: &String| classes.binary_search(class).ok().and_then(|id| u32::try_from(id).ok());
    let items = collector.pictures.iter().map(|(class, split, path)| Item {
        path: path.clone(),
        split: *split,
        target: Target::of_class(id(class)),
        origin: None,
        objects: Vec::new(),
    });
    let format = match layout {
        Layout::SplitThenClass => "class folders (train/val, then class)",
        Layout::ClassThenSplit => "class folders (class, then train/val)",
        Layout::Bare => "class folders",
    };
    Draft {
        task: Task::Classify,
        format: format.to_owned(),
        items: items.collect(),
        columns: vec![LabelColumn::single(classes)],
        masks: None,
        category_ids: Vec::new(),
        classes_from_pictures: true,
        found,
        issues,
    }
}
