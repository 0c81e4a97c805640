//! What the names of folders and files say: picture or mask, which kind of mask, and which picture a mask belongs to.
//!
//! A file's key is its path without what says its role: `train/images/a.jpg`, `images/train/a.png`, `train/masks/a.png`,
//! `train_masks/a_mask.gif` and `trainannot/a.png` all have the key `train/a`.

use std::path::Path;

use crate::data::formats::csv::split_word;

/// Folders of masks.
const MASKS: [&str; 26] = [
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "annotation",
    "annots",
    "annot",
    "gt",
    "gts",
    "groundtruth",
    "ground_truth",
    "segmentation",
    "segmentations",
    "segmentationclass",
    "segmentationclassraw",
    "segmentationobject",
    "seg",
    "segs",
    "gtfine",
    "gtcoarse",
    "instances",
    "instance",
    "trimaps",
    "trimap",
    "mattes",
];
/// Folders of pictures.
const PICTURES: [&str; 12] = [
    "images",
    "image",
    "imgs",
    "img",
    "jpegimages",
    "pictures",
    "photos",
    "input",
    "inputs",
    "leftimg8bit",
    "rgb",
    "sat",
];
/// Ends of names of masks.
const MASK_ENDS: [&str; 13] = [
    "_mask",
    "-mask",
    "_masks",
    "_seg",
    "-seg",
    "_segmentation",
    "_label",
    "_labels",
    "_gt",
    "_groundtruth",
    "_matte",
    "_l",
    "_annotation",
];
/// Ends of names of pictures that stand beside them.
const PICTURE_ENDS: [&str; 5] = ["_leftimg8bit", "_image", "_img", "_rgb", "_sat"];
/// Kinds of masks that are taken first, and those that are taken last.
const FIRST: [&str; 9] = [
    "masks",
    "mask",
    "gtfine_labelids",
    "gtfine_labeltrainids",
    "gtcoarse_labelids",
    "segmentationclass",
    "labels",
    "label",
    "annotations",
];
const LAST: [&str; 6] = ["instance", "object", "color", "polygon", "trimap", "edge"];

/// What the name of a file says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Folders without those of roles, in lower case, with one word for each part of the set.
    pub folders: Vec<String>,
    /// Names without extension in lower case: as it is, and without an end that says the role.
    pub stems: Vec<String>,
    /// Of a mask: its kind, for people.
    pub kind: Option<String>,
    /// Whether a folder says that it is a picture.
    pub is_picture: bool,
}

/// What one folder's name says.
enum Role {
    Mask(String),
    Picture,
}

/// Reads the path of a file below the set's folder.
pub(super) fn place(inside: &Path) -> Place {
    let mut folders = Vec::new();
    let mut role = None;
    for part in inside.parent().into_iter().flat_map(Path::components) {
        let name = part.as_os_str().to_string_lossy();
        let (own, rest) = role_of(&name);
        role = own.or(role);
        folders.extend(rest);
    }
    let stem = inside.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut stems = vec![stem.clone()];
    let (mut kind, is_picture) = match role {
        Some(Role::Mask(kind)) => (Some(kind), false),
        Some(Role::Picture) => (None, true),
        None => (None, false),
    };
    if let Some(kind) = &mut kind {
        // Cityscapes: several kinds of mask side by side.
        let city = ["_gtfine_", "_gtcoarse_"].iter().find_map(|mark| stem.split_once(mark));
        if let Some((base, sub)) = city {
            let written = inside.file_stem().unwrap_or_default().to_string_lossy();
            *kind = format!("{kind}_{}", written.get(written.len() - sub.len()..).unwrap_or(sub));
            stems.push(base.to_owned());
        }
        stems.extend(without_end(&stem, &MASK_ENDS));
    } else {
        stems.extend(without_end(&stem, &PICTURE_ENDS));
    }
    Place { folders, stems, kind, is_picture }
}

/// For a file that no folder gives away: the kind of mask that its name's end says, and the name without it.
pub(super) fn mask_by_name(stem: &str) -> Option<(String, String)> {
    // `_l` is CamVid's, and the left one of two pictures elsewhere.
    let (base, end) =
        MASK_ENDS.iter().filter(|end| **end != "_l").find_map(|end| Some((stem.strip_suffix(end)?, end)))?;
    (!base.is_empty()).then(|| (format!("*{end}"), base.to_owned()))
}

fn without_end(stem: &str, ends: &[&str]) -> Option<String> {
    ends.iter().find_map(|end| stem.strip_suffix(end)).filter(|base| !base.is_empty()).map(str::to_owned)
}

/// The part of the set that a folder is named after, in one spelling.
fn split_name(name: &str) -> Option<String> {
    split_word(name.trim_end_matches(|c: char| c.is_ascii_digit())).map(|split| split.to_string())
}

/// The role that a folder's name says, and what else it says.
fn role_of(written: &str) -> (Option<Role>, Option<String>) {
    let name = written.to_lowercase();
    if MASKS.contains(&name.as_str()) {
        return (Some(Role::Mask(written.to_owned())), None);
    }
    if PICTURES.contains(&name.as_str()) {
        return (Some(Role::Picture), None);
    }
    let trimmed = |rest: &str| split_name(rest.trim_matches(['_', '-', ' ']));
    for (words, is_mask) in [(MASKS.as_slice(), true), (PICTURES.as_slice(), false)] {
        let with = |word: &&str| {
            // `train_masks`, `trainannot`, `masks-train`.
            let split =
                name.strip_suffix(*word).and_then(trimmed).or_else(|| name.strip_prefix(*word).and_then(trimmed));
            split.map(|split| (word.to_string(), split))
        };
        if let Some((word, split)) = words.iter().find_map(with) {
            let role = if is_mask { Role::Mask(word) } else { Role::Picture };
            return (Some(role), Some(split));
        }
    }
    // `masks_3class`; not `mask off`, which may be a class.
    let several = ["masks", "labels", "annotations", "instances", "segmentations", "gt", "gtfine", "gtcoarse"];
    let begins = |word: &&str| name.strip_prefix(*word).is_some_and(|rest| rest.starts_with(['_', '-']));
    if several.iter().any(begins) {
        return (Some(Role::Mask(written.to_owned())), None);
    }
    (None, Some(split_name(&name).unwrap_or(name)))
}

/// Kinds of masks, the one that is taken first at the front.
pub(super) fn in_order(mut kinds: Vec<String>) -> Vec<String> {
    kinds.sort_by_key(|kind| {
        let lower = kind.to_lowercase();
        let first = FIRST.iter().position(|word| *word == lower).unwrap_or(FIRST.len());
        (LAST.iter().any(|word| lower.contains(word)), first, lower)
    });
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> (String, Option<String>) {
        let place = place(Path::new(path));
        let stem = place.stems.last().unwrap().clone();
        (place.folders.into_iter().chain([stem]).collect::<Vec<_>>().join("/"), place.kind)
    }

    #[test]
    fn layouts_of_the_world_have_one_key() {
        for (path, want, kind) in [
            ("train/images/A.jpg", "train/a", None),
            ("images/train/a.png", "train/a", None),
            ("train/masks/a.png", "train/a", Some("masks")),
            ("masks/train/a.png", "train/a", Some("masks")),
            ("train/a.jpg", "train/a", None),
            ("train_masks/a_mask.gif", "train/a", Some("masks")),
            ("trainannot/a.png", "train/a", Some("annot")),
            ("images/training/a.jpg", "train/a", None),
            ("annotations/training/a.png", "train/a", Some("annotations")),
            ("annotations/trimaps/a.png", "a", Some("trimaps")),
            ("JPEGImages/a.jpg", "a", None),
            ("SegmentationClass/a.png", "a", Some("SegmentationClass")),
            ("train/masks_3class/a.png", "train/a", Some("masks_3class")),
            ("leftImg8bit/val/ulm/ulm_0_1_leftImg8bit.png", "val/ulm/ulm_0_1", None),
            ("gtFine/val/ulm/ulm_0_1_gtFine_labelIds.png", "val/ulm/ulm_0_1", Some("gtFine_labelIds")),
            ("with_mask/1.jpg", "with_mask/1", None),
            ("mask_worn/1.jpg", "mask_worn/1", None),
            ("segmentation/images/a.jpg", "a", None),
        ] {
            assert_eq!(key(path), (want.to_owned(), kind.map(str::to_owned)), "{path}");
        }
        assert_eq!(mask_by_name("a_mask"), Some(("*_mask".to_owned(), "a".to_owned())));
        assert_eq!((mask_by_name("mask"), mask_by_name("_mask")), (None, None));
        let kinds = ["instances", "masks_3class", "masks", "*_mask"].map(str::to_owned).to_vec();
        assert_eq!(in_order(kinds), ["masks", "*_mask", "masks_3class", "instances"]);
    }
}
