//! Objects that a person drew become a data set on disk that opens here and elsewhere: COCO JSON with run lengths, or
//! class-id maps beside the pictures.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::formats::masks::is_background;
use super::{IndexedPng, MaskTarget, Region, Shape, Shapes, load_mask, pack};

/// Class-id maps have background as 0 and 255 for what counts for nothing.
const MOST_CLASSES: usize = 254;

/// A picture with what was drawn in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The picture's file.
    pub image: PathBuf,
    /// Its width and height in pixels, EXIF-oriented.
    pub size_px: [u32; 2],
    /// The objects.
    pub objects: Vec<DrawnObject>,
}

/// An object that was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnObject {
    /// Its class, an index into the names.
    pub class: usize,
    /// COCO's runs down the columns, the first counting zeros.
    pub runs: Vec<u32>,
}

/// How a set of drawn objects is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrawnForm {
    /// `annotations.json` (COCO, run lengths with box and area) and `images/`: tells objects apart.
    #[default]
    Coco,
    /// `images/`, `masks/` (indexed PNG, 0 = background) and `classes.txt`: a class for each pixel. Where objects overlap the
    /// smaller one is in front.
    Masks,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSet {
    /// The set's folder.
    pub folder: PathBuf,
    /// Pictures in it.
    pub pictures: usize,
    /// Objects in it.
    pub objects: usize,
}

#[derive(Serialize)]
struct CocoInfo {
    description: &'static str,
}

#[derive(Serialize)]
struct CocoImage {
    id: usize,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct CocoCategory<'a> {
    id: usize,
    name: &'a str,
}

#[derive(Serialize)]
struct CocoRuns {
    /// Height and width.
    size: [u32; 2],
    counts: String,
}

#[derive(Serialize)]
struct CocoAnnotation {
    id: usize,
    image_id: usize,
    category_id: usize,
    segmentation: CocoRuns,
    /// Left, top, width, height in pixels.
    bbox: [u32; 4],
    area: u64,
    iscrowd: u8,
}

#[derive(Serialize)]
struct CocoSet<'a> {
    info: CocoInfo,
    images: Vec<CocoImage>,
    categories: Vec<CocoCategory<'a>>,
    annotations: Vec<CocoAnnotation>,
}

/// Writes a data set of the pictures in which something was drawn, into `to` where that is empty or new, else into a new
/// folder in it: nothing is overwritten. `go_on` is told how many of how many pictures are done; none when it broke off.
///
/// # Errors
/// A sentence, when nothing was drawn, a class cannot be named so, or a file cannot be read or written.
pub fn save_drawn(
    pictures: &[Drawn],
    classes: &[String],
    form: DrawnForm,
    to: &Path,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Option<SavedSet>, String> {
    let pictures = once(pictures);
    let pictures: Vec<&Drawn> = pictures.iter().collect();
    check(&pictures, classes, form)?;
    // Empty or new, so whatever is in it after a failure is ours.
    let folder = free_folder(to);
    let saved = write_set(&pictures, classes, form, &folder, go_on);
    if !matches!(saved, Ok(Some(_))) {
        for part in ["images", "masks"] {
            fs::remove_dir_all(folder.join(part)).ok();
        }
    }
    saved
}

fn write_set(
    pictures: &[&Drawn],
    classes: &[String],
    form: DrawnForm,
    folder: &Path,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Option<SavedSet>, String> {
    let images = folder.join("images");
    fs::create_dir_all(&images).map_err(|error| cannot_write(&images, &error))?;
    let mut taken = BTreeSet::new();
    let mut set = CocoSet {
        info: CocoInfo { description: "Drawn with Frostline" },
        images: Vec::new(),
        categories: (1..).zip(classes).map(|(id, name)| CocoCategory { id, name }).collect(),
        annotations: Vec::new(),
    };
    for (done, picture) in pictures.iter().enumerate() {
        if !go_on(done, pictures.len()) {
            return Ok(None);
        }
        let (stem, file_name) = free_name(&picture.image, &mut taken);
        let copy = images.join(&file_name);
        fs::copy(&picture.image, &copy)
            .map_err(|error| format!("Cannot copy {} to {}: {error}.", picture.image.display(), copy.display()))?;
        if form == DrawnForm::Masks {
            let masks = folder.join("masks");
            fs::create_dir_all(&masks).map_err(|error| cannot_write(&masks, &error))?;
            let path = masks.join(format!("{stem}.png"));
            write(&path, &class_map(picture)?)?;
        }
        let [width, height] = picture.size_px;
        let image_id = done + 1;
        set.images.push(CocoImage { id: image_id, file_name, width, height });
        for object in &picture.objects {
            set.annotations.push(CocoAnnotation {
                id: set.annotations.len() + 1,
                image_id,
                category_id: object.class + 1,
                segmentation: CocoRuns { size: [height, width], counts: pack(&object.runs) },
                bbox: bbox(&object.runs, height),
                area: object.runs.iter().skip(1).step_by(2).map(|&run| u64::from(run)).sum(),
                iscrowd: 0,
            });
        }
    }
    match form {
        DrawnForm::Coco => {
            let path = folder.join("annotations.json");
            let text = serde_json::to_vec(&set).map_err(|error| cannot_write(&path, &error))?;
            write(&path, &text)?;
        }
        DrawnForm::Masks => {
            let lines: Vec<&str> = std::iter::once("background").chain(classes.iter().map(String::as_str)).collect();
            write(&folder.join("classes.txt"), (lines.join("\n") + "\n").as_bytes())?;
        }
    }
    Ok(Some(SavedSet { folder: folder.to_path_buf(), pictures: pictures.len(), objects: set.annotations.len() }))
}

/// The pictures with objects, each once and with each of its objects once.
fn once(pictures: &[Drawn]) -> Vec<Drawn> {
    let mut all: Vec<Drawn> = Vec::new();
    for picture in pictures.iter().filter(|picture| !picture.objects.is_empty()) {
        let at = all.iter().position(|known| known.image == picture.image && known.size_px == picture.size_px);
        let at = at.unwrap_or_else(|| {
            all.push(Drawn { objects: Vec::new(), ..picture.clone() });
            all.len() - 1
        });
        let Some(known) = all.get_mut(at) else { continue };
        for object in &picture.objects {
            if !known.objects.contains(object) {
                known.objects.push(object.clone());
            }
        }
    }
    all
}

fn check(pictures: &[&Drawn], classes: &[String], form: DrawnForm) -> Result<(), String> {
    if pictures.is_empty() {
        return Err("No object was accepted yet: there is nothing to save.".to_owned());
    }
    if form == DrawnForm::Masks && classes.len() > MOST_CLASSES {
        return Err(format!("There are {} classes; a set of masks has at most {MOST_CLASSES}.", classes.len()));
    }
    for (at, name) in classes.iter().enumerate() {
        if name.trim().is_empty() || name.contains(['\n', '\r']) {
            return Err(format!("Class {} has no name in one line.", at + 1));
        }
        if is_background(name) {
            return Err(format!("A class of objects cannot be called {name}: that is what belongs to no object."));
        }
        if classes.iter().take(at).any(|other| other == name) {
            return Err(format!("Two classes are called {name}."));
        }
    }
    for picture in pictures {
        let [width, height] = picture.size_px.map(u64::from);
        for object in &picture.objects {
            if object.class >= classes.len() {
                return Err(format!("{}: an object has a class without a name.", picture.image.display()));
            }
            if object.runs.iter().map(|&run| u64::from(run)).sum::<u64>() != width * height {
                let name = picture.image.display();
                return Err(format!(
                    "{name}: an object was drawn for a picture of another size than {width}×{height}."
                ));
            }
        }
    }
    Ok(())
}

/// `to`, or a folder in it that is not there yet.
fn free_folder(to: &Path) -> PathBuf {
    let free = |path: &Path| match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !path.exists(),
    };
    let numbered = (2..).map(|n| to.join(format!("drawn_{n}")));
    let mut all = [to.to_owned(), to.join("drawn")].into_iter().chain(numbered);
    all.find(|path| free(path)).unwrap_or_else(|| to.to_owned())
}

/// The stem and the name of a copy: masks find their pictures by stems, so that these are different, whatever the case.
fn free_name(image: &Path, taken: &mut BTreeSet<String>) -> (String, String) {
    let part = |part: Option<&OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let stem = part(image.file_stem()).unwrap_or_else(|| "picture".to_owned());
    let end = part(image.extension()).map_or_else(String::new, |end| format!(".{end}"));
    let numbered = (2..).map(|n| format!("{stem}_{n}"));
    let mut stems = std::iter::once(stem.clone()).chain(numbered);
    let stem = stems.find(|stem| taken.insert(stem.to_lowercase())).unwrap_or_default();
    let name = format!("{stem}{end}");
    (stem, name)
}

/// The class-id map as a PNG.
fn class_map(picture: &Drawn) -> Result<Vec<u8>, String> {
    let shape = |object: &DrawnObject| {
        let class = u8::try_from(object.class + 1).unwrap_or(super::IGNORE_ID);
        Shape { class, region: Region::Runs(object.runs.clone()), crowd: false }
    };
    let shapes = picture.objects.iter().map(shape).collect();
    let shapes = Shapes { size_px: picture.size_px, background: 0, shapes };
    let map = load_mask(&MaskTarget::Shapes(Arc::new(shapes))).map_err(|error| format!("{error}."))?;
    let mut file = IndexedPng::new(picture.size_px);
    for row in map.ids.chunks((picture.size_px[0] as usize).max(1)) {
        file.row(row);
    }
    Ok(file.finish())
}

/// Left, top, width and height of the outermost pixels of runs down columns of this height.
fn bbox(runs: &[u32], height: u32) -> [u32; 4] {
    let height = u64::from(height.max(1));
    let mut sides: Option<[u64; 4]> = None;
    let mut at = 0_u64;
    for (number, &run) in runs.iter().enumerate() {
        let end = at + u64::from(run);
        if number % 2 == 1 && run > 0 {
            let last = end - 1;
            let (left, right) = (at / height, last / height);
            // Over the end of a column it goes on at the top of the next.
            let (top, bottom) = if left == right { (at % height, last % height) } else { (0, height - 1) };
            let [l, t, r, b] = sides.unwrap_or([left, top, right, bottom]);
            sides = Some([l.min(left), t.min(top), r.max(right), b.max(bottom)]);
        }
        at = end;
    }
    let [left, top, right, bottom] = sides.unwrap_or([0, 0, 0, 0]);
    let width = if sides.is_some() { [right - left + 1, bottom - top + 1] } else { [0, 0] };
    [left, top, width[0], width[1]].map(|side| u32::try_from(side).unwrap_or(u32::MAX))
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let part = path.with_extension("part");
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, cause: &dyn std::fmt::Display) -> String {
    format!("Cannot write {}: {cause}.", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_those_of_pycocotools() {
        // 4×3, columns down: pixels (1,1), (1,2) and (2,1); then a run over the end of a column.
        assert_eq!(bbox(&[4, 2, 1, 1, 4], 3), [1, 1, 2, 2]);
        assert_eq!(bbox(&[5, 2, 5], 3), [1, 0, 2, 3]);
        assert_eq!(bbox(&[12], 3), [0, 0, 0, 0]);
    }

    #[test]
    fn copies_have_their_own_stems() {
        let mut taken = BTreeSet::new();
        let mut name = |path: &str| free_name(Path::new(path), &mut taken).1;
        assert_eq!(
            [name("x/a.png"), name("y/a.png"), name("z/A.jpg")],
            ["a.png", "a_2.png", "A_3.jpg"].map(str::to_owned)
        );
    }
}
