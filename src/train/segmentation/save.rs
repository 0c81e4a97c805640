//! The masks of predictions as files: indexed PNG, pictures with colors laid over them, run lengths in COCO's form.

use super::answer::Mask;
use super::overlay::{lay_over, write_mask};
use crate::data::{IGNORE_ID, ImageSource, image, pack, runs_of};
use crate::train::detection::{free_name, write_png, write_whole};
use crate::train::prediction::{Answer, Prediction};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A folder of masks, `NAME_mask.png`, of pictures with colors, `overlays/NAME.png`, and a data set of both in COCO's form,
/// `coco_masks.json`.
#[derive(Debug)]
pub struct MaskFolder {
    folder: PathBuf,
    masks: BTreeSet<PathBuf>,
    overlays: BTreeSet<PathBuf>,
    /// What was written of each picture.
    saved: BTreeMap<String, SavedMask>,
    set: CocoSet,
}

#[derive(Debug, Default, Serialize)]
struct CocoSet {
    images: Vec<CocoImage>,
    categories: Vec<CocoCategory>,
    annotations: Vec<CocoRegion>,
}

#[derive(Debug, Serialize)]
struct CocoImage {
    id: usize,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Debug, Serialize)]
struct CocoCategory {
    id: u32,
    name: String,
}

#[derive(Debug, Serialize)]
struct CocoRuns {
    /// Height, width.
    size: [u32; 2],
    counts: String,
}

#[derive(Debug, Serialize)]
struct CocoRegion {
    id: usize,
    image_id: usize,
    category_id: u32,
    segmentation: CocoRuns,
    area: u64,
    /// Left, top, width, height.
    bbox: [u32; 4],
    iscrowd: u8,
}

/// What was written of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMask {
    /// The mask.
    pub mask: PathBuf,
    /// The picture with colors.
    pub overlay: PathBuf,
}

/// The mask of a prediction, if it has one.
#[must_use]
pub fn mask_of(prediction: &Prediction) -> Option<&Mask> {
    prediction.heads.iter().find_map(|head| match &head.answer {
        Answer::Mask(mask) => Some(mask.as_ref()),
        Answer::Classes(_) | Answer::Boxes(_) => None,
    })
}

impl MaskFolder {
    /// Makes the folder, if it is not there yet.
    ///
    /// # Errors
    /// A sentence, when it cannot be made.
    pub fn new(folder: &Path) -> Result<Self, String> {
        let overlays = folder.join("overlays");
        std::fs::create_dir_all(&overlays).map_err(|error| format!("Cannot write {}: {error}.", overlays.display()))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            masks: BTreeSet::new(),
            overlays: BTreeSet::new(),
            saved: BTreeMap::new(),
            set: CocoSet::default(),
        })
    }

    /// Writes the mask of a prediction and lays it over the picture, which is read again; none of a prediction without one.
    /// A picture that was given twice is written once.
    ///
    /// # Errors
    /// A sentence, when a file cannot be written or the picture cannot be read any more.
    pub fn write(&mut self, prediction: &Prediction) -> Result<Option<SavedMask>, String> {
        let Some(mask) = mask_of(prediction) else { return Ok(None) };
        if let Some(saved) = self.saved.get(&prediction.image) {
            return Ok(Some(saved.clone()));
        }
        let picture = Path::new(&prediction.image);
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
        let name = free_name(Path::new(&format!("{stem}_mask.png")), &mut self.masks);
        let (to, over) =
            (self.folder.join(name), self.folder.join("overlays").join(free_name(picture, &mut self.overlays)));
        write_mask(mask, &to)?;
        let mut pixels = image::load(&ImageSource::File(picture.to_path_buf())).map_err(|error| format!("{error}."))?;
        lay_over(&mut pixels, mask);
        write_png(&pixels, &over)?;
        self.set.take(&prediction.image, mask);
        let saved = SavedMask { mask: to, overlay: over };
        self.saved.insert(prediction.image.clone(), saved.clone());
        Ok(Some(saved))
    }

    /// Writes `coco_masks.json`: a region for each class in each picture, but for the background. Categories are numbered from 1,
    /// the class with the id 0.
    ///
    /// # Errors
    /// A sentence, when the file cannot be written.
    pub fn finish(self) -> Result<PathBuf, String> {
        let to = self.folder.join("coco_masks.json");
        write_whole(&to, |out| serde_json::to_writer(&mut *out, &self.set).map_err(|error| error.to_string()))?;
        Ok(to)
    }
}

/// Whether a class is what lies behind everything.
fn is_background(name: &str) -> bool {
    matches!(name.to_lowercase().as_str(), "background" | "_background_")
}

impl CocoSet {
    fn take(&mut self, image: &str, mask: &Mask) {
        let known = (1..).zip(mask.classes.iter()).filter(|(_, name)| !is_background(name));
        if self.categories.is_empty() {
            self.categories = known.map(|(id, name)| CocoCategory { id, name: name.clone() }).collect();
        }
        let image_id = self.images.len() + 1;
        let [width, height] = mask.size_px;
        self.images.push(CocoImage { id: image_id, file_name: image.to_owned(), width, height });
        let ids = mask.ids();
        for (class, area) in mask.counts() {
            if class == IGNORE_ID || mask.classes.get(usize::from(class)).is_some_and(|name| is_background(name)) {
                continue;
            }
            let counts = pack(&runs_of(|at| ids.get(at) == Some(&class), mask.size_px));
            self.annotations.push(CocoRegion {
                id: self.annotations.len() + 1,
                image_id,
                category_id: u32::from(class) + 1,
                segmentation: CocoRuns { size: [height, width], counts },
                area,
                bbox: around(&ids, class, width as usize),
                iscrowd: 0,
            });
        }
    }
}

/// Left, top, width and height of the pixels of a class.
fn around(ids: &[u8], class: u8, width: usize) -> [u32; 4] {
    let (mut left, mut right, mut top, mut bottom) = (width, 0, usize::MAX, 0);
    for (y, row) in ids.chunks(width.max(1)).enumerate() {
        let Some(first) = row.iter().position(|&id| id == class) else { continue };
        let last = row.iter().rposition(|&id| id == class).unwrap_or(first);
        (left, right, top, bottom) = (left.min(first), right.max(last + 1), top.min(y), y + 1);
    }
    [left, top, right.saturating_sub(left), bottom.saturating_sub(top)].map(|px| u32::try_from(px).unwrap_or(0))
}
