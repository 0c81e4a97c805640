//! The masks of predictions as files: indexed PNG, pictures with colors laid over them.

use super::answer::Mask;
use super::overlay::{lay_over, write_mask};
use crate::data::{ImageSource, image};
use crate::train::detection::{free_name, write_png};
use crate::train::prediction::{Answer, Prediction};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A folder of masks, `NAME_mask.png`, and of pictures with colors, `overlays/NAME.png`.
#[derive(Debug)]
pub struct MaskFolder {
    folder: PathBuf,
    masks: BTreeSet<PathBuf>,
    overlays: BTreeSet<PathBuf>,
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
        Ok(Self { folder: folder.to_path_buf(), masks: BTreeSet::new(), overlays: BTreeSet::new() })
    }

    /// Writes the mask of a prediction and lays it over the picture, which is read again; none of a prediction without one.
    ///
    /// # Errors
    /// A sentence, when a file cannot be written or the picture cannot be read any more.
    pub fn write(&mut self, prediction: &Prediction) -> Result<Option<SavedMask>, String> {
        let Some(mask) = mask_of(prediction) else { return Ok(None) };
        let picture = Path::new(&prediction.image);
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
        let name = free_name(Path::new(&format!("{stem}_mask.png")), &mut self.masks);
        let (to, over) =
            (self.folder.join(name), self.folder.join("overlays").join(free_name(picture, &mut self.overlays)));
        write_mask(mask, &to)?;
        let mut pixels = image::load(&ImageSource::File(picture.to_path_buf())).map_err(|error| format!("{error}."))?;
        lay_over(&mut pixels, mask);
        write_png(&pixels, &over)?;
        Ok(Some(SavedMask { mask: to, overlay: over }))
    }
}
