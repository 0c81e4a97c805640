//! COCO JSON: pictures, categories and annotations by id. Files named after parts of a set (`instances_train2017.json`,
//! `train/_annotations.coco.json`) are one set; classes are matched by name.
//!
//! Format: <https://cocodataset.org/#format-data>.

mod file;
mod rle;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use self::file::{Annotation, File, Image};
use super::boxes::{Builder, Origin, Outline};
use super::known::{files_named, peek};
use super::paths::{Finder, Found};
use super::{Draft, Reader, Recognition, Wish, split_in};
use crate::data::listing::Folder;
use crate::data::{BoxTarget, Issue, Severity, Split, image};

const NAME: &str = "COCO";

/// Reads COCO JSON.
pub(crate) struct Coco;

impl Reader for Coco {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognize(&self, root: &Folder, wish: &Wish) -> Recognition {
        let json = files_named(root, &["json"]);
        let mut files: Vec<&Path> = json.iter().copied().filter(|path| is_coco(path)).collect();
        if files.is_empty() {
            let why = if json.is_empty() { "no .json file" } else { "no .json file with images and annotations" };
            return Recognition::No(why.to_owned());
        }
        let other: Vec<&Path> = choose(&mut files);
        match read(root, &files, true, wish) {
            Ok(mut draft) => {
                for path in other {
                    let what = "another file of annotations; not read (drop it by itself to use it)";
                    draft.issues.push(Issue::new(Severity::Note, path, what));
                }
                Recognition::Read(Box::new(draft))
            }
            Err(why) => Recognition::No(why),
        }
    }
}

/// Whether a file has the keys of the format, as far as its two ends show.
pub(crate) fn is_coco(path: &Path) -> bool {
    let text = peek(path);
    text.contains("\"images\"") && (text.contains("\"annotations\"") || text.contains("\"categories\""))
}

/// Keeps the files that belong together and gives back the others: those of objects before those of key points and
/// captions, those of parts of the set before one of everything.
fn choose<'a>(files: &mut Vec<&'a Path>) -> Vec<&'a Path> {
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut other = Vec::new();
    let mut prefer = |files: &mut Vec<&'a Path>, keep: &dyn Fn(&Path) -> bool| {
        if files.iter().any(|path| keep(path)) {
            let (kept, left): (Vec<&Path>, Vec<&Path>) = files.iter().partition(|path| keep(path));
            *files = kept;
            other.extend(left);
        }
    };
    prefer(files, &|path| {
        !["panoptic", "captions", "keypoints", "image_info", "stuff"].iter().any(|w| stem(path).contains(w))
    });
    prefer(files, &|path| stem(path).contains("instances"));
    prefer(files, &|path| split_of(path).is_some());
    other
}

fn split_of(path: &Path) -> Option<Split> {
    let name = |part: Option<&std::ffi::OsStr>| part.map(|name| name.to_string_lossy().into_owned());
    let stem = name(path.file_stem()).and_then(|stem| split_in(&stem));
    stem.or_else(|| name(path.parent().and_then(Path::file_name)).and_then(|folder| split_in(&folder)))
}

/// Reads files as one set; `whole` says that the listing is the set.
///
/// # Errors
/// Why none of them can be used.
pub(crate) fn read(root: &Folder, files: &[&Path], whole: bool, wish: &Wish) -> Result<Draft, String> {
    let mut set = Set { builder: Builder::new(root), root, several: files.len() > 1, masks: wish.is_segment() };
    let mut used = Vec::new();
    let mut why = String::new();
    for path in files {
        let read = if set.masks { set.file::<true>(path) } else { set.file::<false>(path) };
        match read {
            Ok(()) => used.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned()),
            Err(reason) => {
                let reason = format!("{} {reason}", path.display());
                if files.len() > 1 {
                    set.builder.issues.push(Issue::new(Severity::Error, *path, format!("{reason}; not used")));
                }
                why = reason;
            }
        }
    }
    if used.is_empty() {
        return Err(why);
    }
    let name = format!("COCO ({})", used.join(", "));
    if set.masks { set.builder.draft_of_masks(name, whole) } else { Ok(set.builder.draft(name, whole)) }
}

/// Where an image of a file is.
enum Place {
    At(PathBuf),
    LeftOut,
}

struct Set<'a> {
    builder: Builder<'a>,
    root: &'a Folder,
    /// Whether there are several files, so that each is a part of the set.
    several: bool,
    /// Whether masks are wanted, and not boxes.
    masks: bool,
}

impl Set<'_> {
    fn file<const MASKS: bool>(&mut self, path: &Path) -> Result<(), String> {
        let bytes = image::read(path).map_err(|error| error.reason())?;
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
        let file: File<MASKS> = serde_json::from_str(text).map_err(|error| format!("is no COCO file: {error}"))?;
        let annotations = file.annotations.ok_or("has no annotations: nothing is known of its pictures")?;
        if file.images.is_empty() || file.categories.is_empty() {
            return Err("lists no images or no categories".to_owned());
        }
        self.builder.read.insert(path.to_owned());
        let mut lines = file::lines(text);
        let mut lines = |key: &str| lines.remove(key).unwrap_or_default().into_iter().chain(std::iter::repeat(0));
        let mut classes: HashMap<String, u32> = HashMap::new();
        for (entry, line) in file.categories.into_iter().zip(lines("categories")) {
            match entry.0 {
                Ok(category) => {
                    let class = self.builder.class(&category.name, category.id.parse().ok());
                    if classes.values().any(|known| *known == class) {
                        let what = format!("another category named {}; both are one class", category.name);
                        self.say(Severity::Warning, "categories of one name", path, line, what);
                    }
                    if let Some(old) = classes.insert(category.id.clone(), class)
                        && old != class
                    {
                        let what = format!("two categories have the id {}; the last counts", category.id);
                        self.say(Severity::Error, "ids given twice", path, line, what);
                    }
                }
                Err(why) => self.broken(path, line, "category", &why),
            }
        }
        let split = split_of(path).filter(|_| self.several);
        let finder = Finder::new(&self.root.path, path.parent().unwrap_or(&self.root.path), Some(self.root));
        let beside = folders_of(self.root, path);
        let mut places: HashMap<String, Place> = HashMap::new();
        for (entry, line) in file.images.into_iter().zip(lines("images")) {
            match entry.0 {
                Ok(image) => {
                    if places.contains_key(&image.id) {
                        let what = format!("two images have the id {}; the first counts", image.id);
                        self.say(Severity::Error, "ids given twice", path, line, what);
                        continue;
                    }
                    let place = self.image(path, line, &image, split, &finder, &beside);
                    places.insert(image.id, place);
                }
                Err(why) => self.broken(path, line, "image", &why),
            }
        }
        let mut named = std::collections::HashSet::new();
        for (entry, line) in annotations.into_iter().zip(lines("annotations")) {
            match entry.0 {
                Ok(annotation) => {
                    if let Some(Place::At(file)) = self.annotation(path, line, annotation, &places, &classes) {
                        named.insert(file.clone());
                    }
                }
                Err(why) => self.broken(path, line, "annotation", &why),
            }
        }
        let mut empty: Vec<PathBuf> = places
            .into_values()
            .filter_map(|place| match place {
                Place::At(file) => Some(file),
                Place::LeftOut => None,
            })
            .filter(|file| !named.contains(file))
            .collect();
        empty.sort();
        empty.dedup();
        self.builder.background.extend(empty);
        Ok(())
    }

    fn say(&mut self, severity: Severity, kind: &'static str, path: &Path, line: usize, what: String) {
        self.builder.teller.say(severity, kind, path, (line > 0).then_some(line), what);
    }

    fn broken(&mut self, path: &Path, line: usize, of: &str, why: &str) {
        let what = format!("this {of} cannot be used: {why}; left out");
        self.say(Severity::Error, "entries that cannot be used", path, line, what);
    }

    fn image(
        &mut self,
        path: &Path,
        line: usize,
        image: &Image,
        split: Option<Split>,
        finder: &Finder<'_>,
        beside: &[&Path],
    ) -> Place {
        let name = &image.file_name;
        let found = match finder.find(name) {
            // The same name in several parts of the set: the one that the file is about.
            Found::Several(_) | Found::Missing => {
                let inside = !name.split(['/', '\\']).any(|part| part == "..") && !Path::new(name).is_absolute();
                let at = beside.iter().map(|folder| folder.join(name)).find(|path| inside && path.is_file());
                at.map_or_else(|| finder.find(name), Found::At)
            }
            found => found,
        };
        let what = match found {
            Found::At(file) => {
                let origin =
                    Origin { file: path.to_owned(), told_px: Some((image.size_px, line)), ..Origin::default() };
                if self.builder.picture(file.clone(), split, Vec::new(), origin) {
                    return Place::At(file);
                }
                let what = format!("{} is listed again; the first counts, with its annotations", file.display());
                self.say(Severity::Warning, "pictures listed again", path, line, what);
                return Place::LeftOut;
            }
            Found::Outside => format!("{name} lies outside of the set's folder; refused"),
            Found::Missing => format!("{name} does not exist; left out with its annotations"),
            Found::Several(count) => format!("{name} may be any of {count} files; left out with its annotations"),
        };
        self.say(Severity::Error, "images that cannot be used", path, line, what);
        Place::LeftOut
    }

    fn annotation<'p, const MASKS: bool>(
        &mut self,
        path: &Path,
        line: usize,
        annotation: Annotation<MASKS>,
        places: &'p HashMap<String, Place>,
        classes: &HashMap<String, u32>,
    ) -> Option<&'p Place> {
        let Some(place) = places.get(&annotation.image) else {
            let what = format!("an annotation of the image {}, which is not listed; left out", annotation.image);
            self.say(Severity::Warning, "annotations without image", path, line, what);
            return None;
        };
        let Place::At(file) = place else { return Some(place) };
        let Some(&class) = classes.get(&annotation.category) else {
            let what = format!("an annotation of the category {}, which is not listed; left out", annotation.category);
            self.say(Severity::Error, "annotations without category", path, line, what);
            return Some(place);
        };
        if let Err(why) = &annotation.mask {
            let rest = if MASKS { "the pixels of its box count for nothing" } else { "only the box is used" };
            let what = format!("its mask cannot be read: {why}; {rest}");
            self.say(Severity::Warning, "masks that cannot be read", path, line, what);
        }
        self.builder.outlines += usize::from(annotation.has_mask);
        if MASKS {
            match annotation.mask {
                Ok(Some(mask)) => {
                    let shape = Outline {
                        class: Some(class),
                        region: mask.region,
                        runs_for: mask.size,
                        crowd: annotation.crowd,
                        line,
                    };
                    self.builder.add_outline(file, shape);
                }
                Ok(None) => {
                    let what = "an annotation with a box and without a mask: its pixels count for nothing".to_owned();
                    self.say(Severity::Warning, "annotations without mask", path, line, what);
                    self.builder.add_outline(file, Outline::unknown(annotation.xyxy, line));
                }
                Err(_) => self.builder.add_outline(file, Outline::unknown(annotation.xyxy, line)),
            }
            return Some(place);
        }
        if annotation.crowd {
            let what = "a crowd (iscrowd): it is not learned, and what is found in it is not counted as wrong";
            self.say(Severity::Note, "crowds", path, line, what.to_owned());
        }
        let target = BoxTarget {
            crowd: annotation.crowd,
            area_px: annotation.area_px,
            ..BoxTarget::new(class, annotation.xyxy)
        };
        self.builder.add_box(file, target, line);
        Some(place)
    }
}

/// The folders whose name the file's own name contains (`train2017` of `instances_train2017.json`), or that are the same
/// part of the set.
fn folders_of<'a>(root: &'a Folder, file: &Path) -> Vec<&'a Path> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut folders: Vec<(bool, &Path)> = Vec::new();
    for folder in root.all_folders().into_iter().skip(1) {
        let name = folder.name().to_lowercase();
        let same = split_in(&name).is_some() && split_in(&name) == split_of(file);
        if folder.has_images() && (stem.contains(&name) || same) {
            folders.push((!stem.contains(&name), &folder.path));
        }
    }
    folders.sort();
    folders.into_iter().map(|(_, path)| path).collect()
}
