//! Frostline's built-in sample data: pictures that the program draws itself, with classes, boxes and masks.
//!
//! Two worlds share the grounds, the light and the clutter, and no class: [`World::Sample`] is what the window opens,
//! [`World::Pretrain`] is what the small backbone in `assets/` was trained on. The skills carry over; the labels do not.

mod abstracts;
mod backdrop;
mod canvas;
mod coco;
mod color;
mod files;
mod math;
mod nature;
mod noise;
mod scene;
mod tar;

use std::path::PathBuf;

pub use files::{
    ASSET_SEED, ASSET_SIZE_PX, ASSET_TRAIN, ASSET_VAL, CarriedFiles, archive, embedded, embedded_annotations,
    unpack_embedded, write_assets, write_folder,
};
pub use scene::{Object, Scene, scene};

/// Which set of classes is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum World {
    /// Flowers, leaves, shells and snowflakes: the sample that the window opens.
    Sample = 0,
    /// Outlines and patterns without a class of the sample: what the backbone in `assets/` was pretrained on.
    Pretrain = 1,
}

/// The class names of a world, in the byte-wise order of their folders.
pub fn classes(world: World) -> &'static [&'static str] {
    match world {
        World::Sample => nature::CLASSES,
        World::Pretrain => abstracts::CLASSES,
    }
}

/// Why a sample set could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The target folder holds something already.
    #[error("{} is not an empty folder; choose another place for the sample", .0.display())]
    Occupied(PathBuf),
    /// A file could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture could not be encoded.
    #[error("cannot encode a sample picture as JPEG: {0}")]
    Encode(image::ImageError),
    /// The archive cannot be made or is damaged.
    #[error("the built-in sample archive is unusable: {0}")]
    Archive(String),
}
