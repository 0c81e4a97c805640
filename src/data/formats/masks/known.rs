//! Classes of public sets whose masks bear numbers and no names.

/// Cityscapes: label ids and the names of the 19 classes that are trained and measured, in the order of their train ids.
/// All other ids count for nothing (<https://github.com/mcordts/cityscapesScripts>, `labels.py`).
pub(super) const CITY: [(u16, &str); 19] = [
    (7, "road"),
    (8, "sidewalk"),
    (11, "building"),
    (12, "wall"),
    (13, "fence"),
    (17, "pole"),
    (19, "traffic light"),
    (20, "traffic sign"),
    (21, "vegetation"),
    (22, "terrain"),
    (23, "sky"),
    (24, "person"),
    (25, "rider"),
    (26, "car"),
    (27, "truck"),
    (28, "bus"),
    (31, "train"),
    (32, "motorcycle"),
    (33, "bicycle"),
];
/// The greatest label id of Cityscapes.
pub(super) const CITY_MOST: u16 = 33;
/// The least instance id of an object: its label id times 1000.
pub(super) const CITY_FIRST: u16 = 1000;

/// Pascal VOC's classes in the order of their indices.
pub(super) const VOC: [&str; 21] = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];
