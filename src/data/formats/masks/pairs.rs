//! Which mask belongs to which picture.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::roles::{Place, in_order, mask_by_name, place};
use crate::data::listing::Folder;

/// A picture with its mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub picture: PathBuf,
    pub mask: PathBuf,
}

/// All files of a set by their roles.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub pairs: Vec<Pair>,
    /// The kind of mask that is used.
    pub kind: String,
    /// Other kinds with a mask for some picture, and how many masks each has.
    pub others: Vec<(String, usize)>,
    pub without_mask: Vec<PathBuf>,
    pub without_picture: Vec<PathBuf>,
    /// Files that may belong to several others, with the reason.
    pub unclear: Vec<(PathBuf, String)>,
}

struct File<'a> {
    path: &'a Path,
    place: Place,
}

type Key = (Vec<String>, String);

/// Pairs the files of a set; `asked` is the kind of mask that is wanted.
///
/// # Errors
/// Why it is no set of pictures with masks.
pub(super) fn pairs(root: &Folder, asked: Option<&str>) -> Result<Pairs, String> {
    let (pictures, masks) = by_role(root);
    if masks.is_empty() {
        return Err("no folder of masks beside the pictures, and no files named like picture_mask".to_owned());
    }
    let mut by_kind: BTreeMap<String, Vec<File<'_>>> = BTreeMap::new();
    for file in masks {
        let kind = file.place.kind.clone().unwrap_or_default();
        by_kind.entry(kind).or_default().push(file);
    }
    let all: usize = by_kind.values().map(Vec::len).sum();
    let kinds = in_order(by_kind.keys().cloned().collect());
    let mut best: Option<Pairs> = None;
    let mut others = Vec::new();
    for kind in kinds {
        let Some(files) = by_kind.get(&kind) else { continue };
        let is_asked = asked.is_none_or(|asked| is_asked_for(&kind, asked));
        let made = pair(&pictures, files);
        if best.is_none() && is_asked && !made.pairs.is_empty() {
            best = Some(Pairs { kind, ..made });
        } else {
            others.push((kind, files.len()));
        }
    }
    let counts = || format!("{} pictures and {} masks, but no mask is named like a picture", pictures.len(), all);
    let best = best.ok_or_else(counts)?;
    let fewer = pictures.len().min(best.pairs.len() + best.without_picture.len());
    if best.pairs.len() * 2 < fewer.min(pictures.len()) {
        return Err(format!("of {} pictures only {} have a mask named like them", pictures.len(), best.pairs.len()));
    }
    Ok(Pairs { others, ..best })
}

/// Whether a kind of masks is the one that is asked for. Cityscapes' folders hold several kinds each, as ends of names.
fn is_asked_for(kind: &str, asked: &str) -> bool {
    let (kind, asked) = (kind.to_lowercase(), asked.to_lowercase());
    kind == asked || matches!(asked.as_str(), "gtfine" | "gtcoarse") && kind.starts_with(&format!("{asked}_"))
}

/// Pictures and masks.
fn by_role(root: &Folder) -> (Vec<File<'_>>, Vec<File<'_>>) {
    let of = |path| File { path, place: place(path_inside(&root.path, path)) };
    let files = root.images().into_iter().map(|file| of(file.path.as_path()));
    let (mut masks, mut pictures): (Vec<File<'_>>, Vec<File<'_>>) = files.partition(|file| file.place.kind.is_some());
    // Beside a picture of the same name without the end.
    let mut known: BTreeSet<Key> = BTreeSet::new();
    for file in &pictures {
        for stem in &file.place.stems {
            known.insert((file.place.folders.clone(), stem.clone()));
        }
    }
    let mut kept = Vec::new();
    for mut file in pictures.drain(..) {
        let named = file.place.stems.first().and_then(|stem| mask_by_name(stem));
        match named {
            Some((kind, base)) if known.contains(&(file.place.folders.clone(), base.clone())) => {
                file.place.kind = Some(kind);
                file.place.stems = vec![base];
                masks.push(file);
            }
            _ => kept.push(file),
        }
    }
    (kept, masks)
}

fn path_inside<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

/// Pairs pictures with the masks of one kind.
fn pair(pictures: &[File<'_>], masks: &[File<'_>]) -> Pairs {
    let mut made = Pairs::default();
    // The name as it is goes before one without an end; then a name that is there once, wherever it lies.
    let mut exact: HashMap<(&[String], &str), Vec<&Path>> = HashMap::new();
    let mut anywhere: HashMap<&str, Vec<&Path>> = HashMap::new();
    for file in masks {
        for stem in &file.place.stems {
            exact.entry((&file.place.folders, stem)).or_default().push(file.path);
            anywhere.entry(stem).or_default().push(file.path);
        }
    }
    let mut owner: HashMap<&Path, Vec<&Path>> = HashMap::new();
    let mut wants: Vec<(&Path, &Path)> = Vec::new();
    for file in pictures {
        let mut found: &[&Path] = &[];
        for stem in &file.place.stems {
            if let Some(here) = exact.get(&(file.place.folders.as_slice(), stem.as_str())) {
                found = here;
                break;
            }
        }
        if found.is_empty() && file.place.is_picture {
            let there = file.place.stems.iter().find_map(|stem| anywhere.get(stem.as_str()));
            found = there.filter(|there| there.len() == 1).map_or(&[], Vec::as_slice);
        }
        match found {
            [] => made.without_mask.push(file.path.to_owned()),
            [mask] => {
                owner.entry(mask).or_default().push(file.path);
                wants.push((file.path, mask));
            }
            [first, second, ..] => {
                let what = format!("its mask may be {} or {}; left out", first.display(), second.display());
                made.unclear.push((file.path.to_owned(), what));
                found.iter().for_each(|mask| owner.entry(mask).or_default().push(file.path));
            }
        }
    }
    for (picture, mask) in wants {
        let rivals = owner.get(mask).map_or(&[] as &[&Path], Vec::as_slice);
        match rivals.iter().find(|other| **other != picture) {
            None => made.pairs.push(Pair { picture: picture.to_owned(), mask: mask.to_owned() }),
            Some(other) => {
                let what = format!("the mask {} is named like {} too; left out", mask.display(), other.display());
                made.unclear.push((picture.to_owned(), what));
            }
        }
    }
    made.without_picture =
        masks.iter().filter(|file| !owner.contains_key(file.path)).map(|file| file.path.to_owned()).collect();
    made
}
