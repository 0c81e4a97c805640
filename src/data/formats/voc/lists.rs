//! Which part of the set a picture belongs to: `ImageSets/Main/{train,val,trainval,test}.txt`, or names of folders.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::pairs::{Pictures, stem};
use crate::data::formats::boxes::Teller;
use crate::data::formats::split_of_path;
use crate::data::listing::{Folder, IMAGE_EXTENSIONS, extension};
use crate::data::{Severity, Split};

/// One line of a list.
#[derive(Clone, Debug)]
struct Line {
    file: PathBuf,
    line: usize,
    split: Split,
}

/// The lists of one folder with `ImageSets`: names of pictures in lower case, and what lists say of them.
struct Place {
    /// The lists are about pictures below it.
    base: PathBuf,
    names: HashMap<String, Line>,
}

/// All lists of a set.
pub(in crate::data::formats) struct Lists {
    root: PathBuf,
    /// The folder of `ImageSets` that was read.
    folder: &'static str,
    places: Vec<Place>,
}

impl Lists {
    /// Reads the lists in this folder of `ImageSets`; files below that are known are added to `known`.
    pub fn new(root: &Folder, folder: &'static str, known: &mut BTreeSet<PathBuf>, teller: &mut Teller) -> Self {
        let mut places = Vec::new();
        for base in root.all_folders() {
            let Some(sets) = base.child("ImageSets") else { continue };
            known.extend(sets.all_files().iter().map(|file| file.path.clone()));
            let Some(main) = sets.child(folder) else { continue };
            let files = main.files.iter().map(|file| file.path.as_path());
            // val and test decide before train, and trainval is what is left: its pictures that are not in val.
            let mut by_part: BTreeMap<u8, (Split, &Path)> = BTreeMap::new();
            for path in files.filter(|path| extension(path) == "txt") {
                let part = match stem(path).as_str() {
                    "val" | "valid" => (0, Split::Val),
                    "test" => (1, Split::Test),
                    "train" => (2, Split::Train),
                    "trainval" => (3, Split::Train),
                    _ => continue, // lists of one class
                };
                by_part.insert(part.0, (part.1, path));
            }
            let mut names = HashMap::new();
            for (part, (split, path)) in by_part {
                read(path, split, part == 3, &mut names, teller);
            }
            if !names.is_empty() {
                places.push(Place { base: base.path.clone(), names });
            }
        }
        Self { root: root.path.clone(), folder, places }
    }

    /// The part that a picture belongs to; none where nothing says so, and an error where there are lists without it.
    pub fn split(&self, image: &Path) -> Result<Option<Split>, String> {
        let over = self.places.iter().filter(|place| image.starts_with(&place.base));
        let Some(place) = over.max_by_key(|place| place.base.components().count()) else {
            return Ok(split_of_path(&self.root, image));
        };
        match place.names.get(&stem(image)) {
            Some(line) => Ok(Some(line.split)),
            None => Err(format!("is in no list of ImageSets/{} (train, val, trainval, test); left out", self.folder)),
        }
    }

    /// Tells of lines whose pictures are not there, or have no annotation.
    pub(super) fn missing(&self, taken: &BTreeSet<PathBuf>, pictures: &Pictures<'_>, told: &mut Teller) {
        for place in &self.places {
            let mut lines: Vec<(&String, &Line)> = place.names.iter().collect();
            lines.sort_by(|a, b| (&a.1.file, a.1.line).cmp(&(&b.1.file, b.1.line)));
            for (name, line) in lines {
                let there: Vec<&&Path> =
                    pictures.named(name).iter().filter(|image| image.starts_with(&place.base)).collect();
                let what = match there.first() {
                    None => format!("{name} is listed, but there is no such picture"),
                    Some(image) if !taken.contains(**image) => {
                        format!("{name} is listed, but its picture has no annotation file")
                    }
                    Some(_) => continue,
                };
                told.say(Severity::Warning, "listed pictures that are missing", &line.file, Some(line.line), what);
            }
        }
    }
}

/// Adds the names of a list. `rest` for a list of train and val together, of which those of val are no news.
fn read(path: &Path, split: Split, rest: bool, names: &mut HashMap<String, Line>, told: &mut Teller) {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            told.say(Severity::Error, "lists that cannot be read", path, None, format!("cannot be read: {error}"));
            return;
        }
    };
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        // Names with spaces are whole lines; `name 1` and `name -1` are lists of one class.
        let name = line.trim();
        let name = match name.rsplit_once(char::is_whitespace) {
            Some((name, "1" | "-1" | "0")) => name.trim(),
            _ => name,
        };
        if name.is_empty() {
            continue;
        }
        let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let is_image = IMAGE_EXTENSIONS.contains(&extension(Path::new(base)).as_str());
        let key = if is_image { stem(Path::new(base)) } else { base.to_lowercase() };
        match names.get(&key) {
            Some(earlier) if earlier.split != split && !(rest && earlier.split == Split::Val) => {
                let what =
                    format!("{name} is in the list {} too; it counts as {}", file_name(&earlier.file), earlier.split);
                told.say(Severity::Warning, "pictures in two lists", path, Some(at + 1), what);
            }
            Some(_) => {}
            None => {
                names.insert(key, Line { file: path.to_owned(), line: at + 1, split });
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
