//! Frostline's built-in sample data: pictures that the program draws itself, with classes, boxes and masks.
//!
//! Two worlds share the grounds, the light and the clutter, and no class: [`World::Sample`] is what the window opens,
//! [`World::Pretrain`] is what the small backbone in `assets/` was trained on. The skills carry over; the labels do not.

mod abstracts;
mod backdrop;
mod canvas;
mod color;
mod math;
mod nature;
mod noise;
mod rng;
mod scene;

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
