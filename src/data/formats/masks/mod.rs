//! Pictures with masks: a folder of masks beside that of pictures, masks beside their pictures with an end to their
//! names, Pascal VOC's `SegmentationClass`, Cityscapes' `gtFine`.
//!
//! A mask is read as values. Which values mean which classes a table beside the masks says (`classes.csv` and others);
//! without one 0/255 and 0/1 are background and foreground, small numbers are class ids, and values of 16 bits are objects.
//! Colors need a table: nothing is guessed.

mod known;
mod meaning;
mod objects;
mod pairs;
mod roles;
mod settle;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::boxes::Teller;
use super::voc::lists::Lists;
use super::{Draft, Item, Reader, Recognition, Wish, fold, forget, note_other_files, split_in, split_of_path};
use crate::data::listing::Folder;
use crate::data::{Issue, LabelColumn, MaskTarget, Severity, Target, Task};

use self::pairs::{Pair, Pairs};

pub(crate) use self::meaning::{Kind, MaskRule, Meaning};
pub(crate) use self::settle::settle;

/// Reads pictures with masks.
pub(crate) struct Masks;

impl Reader for Masks {
    fn name(&self) -> &'static str {
        "segmentation masks"
    }

    fn recognize(&self, root: &Folder, _wish: &Wish) -> Recognition {
        match read(root, None) {
            Ok(draft) => Recognition::Read(Box::new(draft)),
            Err(why) => Recognition::No(why),
        }
    }
}

/// Whether a class name means what belongs to no object.
pub(crate) fn is_background(name: &str) -> bool {
    ["background", "_background_", "bg"].contains(&name.to_lowercase().as_str())
}

/// For each class of other masks which of one's own it is: by name, or as the only one beside the background where one of
/// the two is called foreground, which is no name.
pub(crate) fn match_classes(own: &[String], other: &[String]) -> Vec<Option<usize>> {
    if let ([ground, thing], [other_ground, other_thing]) = (own, other)
        && is_background(ground)
        && is_background(other_ground)
        && (thing == "foreground" || other_thing == "foreground")
    {
        return vec![Some(0), Some(1)];
    }
    other.iter().map(|name| own.iter().position(|own| own == name)).collect()
}

/// The folder of the set that a folder of masks belongs to, there or not, and the kind of these masks: `set/train/masks`
/// and `set/masks` mean the masks of all parts of `set`. None where there are no pictures beside it.
pub(crate) fn around(folder: &Path) -> Option<(PathBuf, String)> {
    let name = folder.file_name()?.to_string_lossy();
    let kind = roles::place(&Path::new(&*name).join("file")).kind?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_part = |path: &Path| path.file_name().is_some_and(|name| split_in(&name.to_string_lossy()).is_some());
    let above = parent.parent().filter(|above| is_part(parent) && !above.as_os_str().is_empty());
    // Only a look, so that a folder on the desktop does not read the desktop.
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let pictures = |path: &Path| folders(path).iter().any(|folder| is_of_pictures(folder));
    let is_set = |path: &Path| pictures(path) || folders(path).iter().any(|folder| is_part(folder) && pictures(folder));
    above.into_iter().chain([parent]).find(|root| is_set(root)).map(|root| (root.to_owned(), kind))
}

/// Whether a set, or a part of it, has a folder of a kind of masks.
pub(crate) fn has_kind(root: &Path, kind: &str) -> bool {
    let folders = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    folders(root).chain(folders(root).flat_map(|part| folders(&part).collect::<Vec<_>>())).any(|folder| {
        let name = folder.file_name().unwrap_or_default();
        let own = roles::place(&Path::new(name).join("file")).kind;
        // Cityscapes' kinds are ends of names in one folder.
        own.is_some_and(|own| {
            own.eq_ignore_ascii_case(kind) || kind.strip_prefix(&own).is_some_and(|end| end.starts_with('_'))
        })
    })
}

/// Whether a folder of this name, beside a folder of masks, is a part of one set with it: pictures, masks, a part of the
/// set, or lists.
pub(crate) fn is_part_of_set(name: &str) -> bool {
    let place = roles::place(&Path::new(name).join("file"));
    place.is_picture || place.kind.is_some() || split_in(name).is_some() || name.eq_ignore_ascii_case("ImageSets")
}

fn is_of_pictures(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    roles::place(&Path::new(name).join("file")).is_picture
}

/// Reads a set; `asked` is the kind of masks that is wanted among several.
///
/// # Errors
/// Why it is none.
pub(crate) fn read(root: &Folder, asked: Option<&str>) -> Result<Draft, String> {
    if let Some(draft) = objects::read(root).filter(|_| asked.is_none_or(|asked| asked.eq_ignore_ascii_case("masks"))) {
        return Ok(draft);
    }
    let pairs = pairs::pairs(root, asked)?;
    let mut issues = Vec::new();
    let table = table::find(root, &BTreeSet::new(), &mut issues);
    let kind = kind_of(root, &pairs.kind, pairs.pairs.first().map(|pair| pair.mask.as_path()));
    let format = match kind {
        Kind::Voc => "Pascal VOC masks (SegmentationClass)".to_owned(),
        Kind::CityIds | Kind::CityTrainIds => format!("Cityscapes ({})", pairs.kind),
        Kind::Instances | Kind::VocObjects | Kind::CityInstances => format!("instance maps ({})", pairs.kind),
        Kind::Files | Kind::Shapes => format!("pictures and masks ({})", pairs.kind),
    };
    let mut read: BTreeSet<PathBuf> = table.iter().map(|table| table.file.clone()).collect();
    let mut teller = Teller::default();
    let lists = Lists::new(root, "Segmentation", &mut read, &mut teller);
    let mut items = Vec::new();
    for Pair { picture, mask } in &pairs.pairs {
        match lists.split(picture) {
            Ok(split) => {
                let split = split.or_else(|| split_of_path(&root.path, picture));
                let target = Target { mask: Some(MaskTarget::File(mask.clone())), ..Target::default() };
                items.push(Item { path: picture.clone(), split, target, origin: None, objects: Vec::new() });
            }
            Err(what) => teller.say(Severity::Warning, "pictures in no list", picture, None, what),
        }
    }
    issues.extend(teller.finish());
    tell(root, &pairs, &mut issues);
    let mut others = root.clone();
    forget(&mut others, &read.iter().map(PathBuf::as_path).collect());
    note_other_files(&others, &mut issues);
    Ok(Draft {
        task: Task::Segment,
        format,
        columns: vec![LabelColumn::single(Vec::new())],
        category_ids: Vec::new(),
        classes_from_pictures: false,
        found: pairs.pairs.len() + pairs.without_mask.len() + pairs.unclear.len(),
        masks: Some(MaskRule::files(kind, table)),
        items,
        issues,
    })
}

/// How masks are read that a table of files names. `table` lies in the folder that may hold names of classes too;
/// `tables` are no names of classes.
pub(crate) fn rule_of_pairs(
    root: &Folder,
    table: &Path,
    pairs: &[(PathBuf, PathBuf)],
    tables: &BTreeSet<PathBuf>,
    issues: &mut Vec<Issue>,
) -> MaskRule {
    let inside = |mask: &Path| roles::place(mask.strip_prefix(&root.path).unwrap_or(mask)).kind;
    let first = pairs.first().map(|(_, mask)| mask.as_path());
    let kind = first.and_then(inside);
    let same = pairs.iter().all(|(_, mask)| inside(mask) == kind);
    let kind = kind_of(root, kind.as_deref().filter(|_| same).unwrap_or_default(), first);
    let names = table::find(root, tables, issues).or_else(|| {
        // The listing may be the table of files alone.
        let beside = table::beside(table.parent().unwrap_or(Path::new("")));
        table::find(&beside, tables, issues)
    });
    MaskRule::files(kind, names)
}

fn kind_of(root: &Folder, kind: &str, first: Option<&Path>) -> Kind {
    let kind = kind.to_lowercase();
    let of_voc = |mask: &Path| {
        let below = mask.strip_prefix(root.path.parent().unwrap_or(Path::new(""))).unwrap_or(mask);
        below.components().any(|part| part.as_os_str().to_string_lossy().to_lowercase().starts_with("voc"))
    };
    if kind.ends_with("_labelids") {
        Kind::CityIds
    } else if kind.ends_with("_labeltrainids") {
        Kind::CityTrainIds
    } else if kind.ends_with("_instanceids") {
        Kind::CityInstances
    } else if kind == "segmentationobject" {
        Kind::VocObjects
    } else if kind.starts_with("instance") {
        Kind::Instances
    } else if kind == "segmentationclass" && first.is_some_and(of_voc) {
        Kind::Voc
    } else {
        Kind::Files
    }
}

/// Says what is not used.
fn tell(root: &Folder, pairs: &Pairs, issues: &mut Vec<Issue>) {
    for (kind, count) in &pairs.others {
        let end = kind.strip_prefix('*');
        let how = match end {
            Some(_) => String::new(),
            None => format!(" (open {} to use them)", root.path.join(kind).display()),
        };
        let what = format!("{count} other masks ({kind}) are not used; {} are{how}", pairs.kind);
        issues.push(Issue::new(Severity::Note, &root.path, what));
    }
    issues.extend(pairs.unclear.iter().map(|(path, what)| Issue::new(Severity::Error, path, what.clone())));
    let one = "a picture without a mask: nothing is known of it; left out";
    let without = pairs.without_mask.clone();
    fold(&root.path, Severity::Warning, without, one, |n| format!("{n} pictures: each is {one}"), issues);
    let one = "a mask without a picture; left out";
    let without = pairs.without_picture.clone();
    fold(&root.path, Severity::Warning, without, one, |n| format!("{n} masks: each is {one}"), issues);
}
