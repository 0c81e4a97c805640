//! Composes one scene: a ground, clutter, a main object of the asked class, now and then small ones beside it.

use super::canvas::{Coverage, Finish, Light, Picture, Placement};
use super::color::{ground_pair, object_pair};
use super::math::length;
use super::{World, abstracts, backdrop, nature};
use crate::rng::Rng;

/// Where the random words of every scene start (the first digits of pi), so that they are no other stream's.
const START: u64 = 0x243F_6A88_85A3_08D3;

/// One object of a scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Index into [`super::classes`].
    pub class: usize,
    /// Box `[x0, y0, x1, y1]` in pixels around the object's visible pixels: `x1` and `y1` are the far edges of the
    /// last pixels, so that `x1 - x0` is the width.
    pub xyxy: [f32; 4],
    /// Number of visible pixels.
    pub area_px: u32,
}

/// A generated picture and everything that is true about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Width and height in pixels.
    pub size_px: u32,
    /// RGB bytes, row by row: `size_px * size_px * 3`.
    pub pixels: Vec<u8>,
    /// The main object's class.
    pub class: usize,
    /// The visible objects, the main one first.
    pub objects: Vec<Object>,
    /// Class ids, row by row: 0 = background, `class + 1` elsewhere.
    pub mask: Vec<u8>,
    /// Object ids, row by row: 0 = background, index into `objects` + 1 elsewhere.
    pub instances: Vec<u8>,
}

/// Fewer visible pixels than this and a side object is not annotated.
const MIN_AREA_PX: u32 = 16;

/// Draws scene `index` of class `class` (taken modulo the number of classes) of a world.
///
/// The result depends on the arguments alone, on any machine: the same call gives the same bytes.
/// `size_px` is held to 16..=1024.
pub fn scene(world: World, class: usize, index: u64, seed: u64, size_px: u32) -> Scene {
    let count = super::classes(world).len();
    let class = class % count;
    let size_px = size_px.clamp(16, 1024);
    let mut rng = Rng::from_words(START, &[seed, world as u64, class as u64, index]);
    let mut stage = Stage::new(size_px as usize, &mut rng);

    for _ in 0..rng.below(4) {
        stage.clutter(&mut rng);
    }
    // Pretraining shows its objects larger and more often alone: 24 classes are learned from scratch there.
    let (low, high, none, at_most_one) = match world {
        World::Sample => (0.25, 0.43, 0.45, 0.8),
        World::Pretrain => (0.3, 0.47, 0.75, 0.95),
    };
    let radius = rng.range(low, high);
    let room = (0.5 - 0.88 * radius).max(0.0);
    let center = [0.5 + rng.range(-room, room), 0.5 + rng.range(-room, room)];
    let sides = match rng.unit() {
        u if u < none => 0,
        u if u < at_most_one => 1,
        _ => 2,
    };
    for _ in 0..sides {
        let other = rng.below(count);
        if let Some(at) = beside(&mut rng, center, radius) {
            stage.object(world, other, &at, &mut rng);
        }
    }
    let at = Placement::random(&mut rng, center, radius);
    stage.object(world, class, &at, &mut rng);
    if rng.chance(0.35) {
        stage.occluder(&mut rng, center, radius);
    }
    let pixels = stage.picture.develop(&mut rng);
    let (objects, mask, instances) = annotate(&stage, size_px as usize);
    Scene { size_px, pixels, class, objects, mask, instances }
}

/// A place for a small object next to the main one, if there is room.
fn beside(rng: &mut Rng, center: [f32; 2], radius: f32) -> Option<Placement> {
    for _ in 0..12 {
        let small = rng.range(0.09, 0.14);
        let at = [rng.range(small, 1.0 - small), rng.range(small, 1.0 - small)];
        if length(at[0] - center[0], at[1] - center[1]) > radius + 0.75 * small {
            return Some(Placement::random(rng, at, small));
        }
    }
    None
}

/// The scene while it is painted.
struct Stage {
    picture: Picture,
    light: Light,
    ground: [super::color::Rgb; 2],
    /// Per pixel: index into `classes` + 1 of the object that is seen there, 0 = none.
    owner: Vec<u8>,
    /// Class of each object, in the order of painting: the main one last.
    classes: Vec<usize>,
}

impl Stage {
    fn new(side_px: usize, rng: &mut Rng) -> Self {
        let ground = ground_pair(rng);
        let mut picture = Picture::new(side_px);
        backdrop::fill(&mut picture, ground, rng);
        let light = Light::random(rng);
        Self { picture, light, ground, owner: vec![0; side_px * side_px], classes: Vec::new() }
    }

    /// Paints an object and notes where it is seen.
    fn object(&mut self, world: World, class: usize, at: &Placement, rng: &mut Rng) {
        let form = match world {
            World::Sample => nature::specimen(class, rng),
            World::Pretrain => abstracts::specimen(class, rng),
        };
        let colors = object_pair(rng, self.ground);
        let finish = Finish { colors, gloss: rng.range(0.0, 0.3), shadow: rng.range(0.2, 0.6) };
        let coverage = self.picture.paint(&form, at, &finish, self.light);
        self.classes.push(class);
        self.claim(&coverage, u8::try_from(self.classes.len()).unwrap_or(u8::MAX));
    }

    /// Paints a pebble or twig somewhere on the ground.
    fn clutter(&mut self, rng: &mut Rng) {
        let center = [rng.unit(), rng.unit()];
        let radius = rng.range(0.05, 0.3);
        self.thing(rng, center, radius);
    }

    /// Paints a pebble or twig over the rim of the main object.
    fn occluder(&mut self, rng: &mut Rng, center: [f32; 2], radius: f32) {
        let angle = rng.range(0.0, super::math::TAU);
        let off = radius * rng.range(0.7, 1.05);
        let at = [center[0] + off * super::math::cos(angle), center[1] + off * super::math::sin(angle)];
        let size = radius * rng.range(0.3, 0.6);
        self.thing(rng, at, size);
    }

    fn thing(&mut self, rng: &mut Rng, center: [f32; 2], radius: f32) {
        let form = backdrop::clutter(rng);
        let finish = backdrop::clutter_finish(rng, self.ground);
        let at = Placement::random(rng, center, radius);
        let coverage = self.picture.paint(&form, &at, &finish, self.light);
        self.claim(&coverage, 0);
    }

    /// Gives the pixels that are at least half covered to `owner`.
    fn claim(&mut self, coverage: &Coverage, owner: u8) {
        for (slot, &covered) in self.owner.iter_mut().zip(coverage) {
            if covered >= 0.5 {
                *slot = owner;
            }
        }
    }
}

/// Boxes, class-id mask and object-id mask out of the owners, the main object first.
fn annotate(stage: &Stage, side: usize) -> (Vec<Object>, Vec<u8>, Vec<u8>) {
    let mut objects = Vec::new();
    let mut mask = vec![0; stage.owner.len()];
    let mut instances = vec![0; stage.owner.len()];
    for (painted, &class) in stage.classes.iter().enumerate().rev() {
        let main = painted + 1 == stage.classes.len();
        let (mut x0, mut y0, mut x1, mut y1, mut area_px) = (side, side, 0, 0, 0_u32);
        let seen = |&(_, &owner): &(usize, &u8)| usize::from(owner) == painted + 1;
        for (i, _) in stage.owner.iter().enumerate().filter(seen) {
            let (x, y) = (i % side, i / side);
            (x0, y0, x1, y1) = (x0.min(x), y0.min(y), x1.max(x + 1), y1.max(y + 1));
            area_px += 1;
        }
        if area_px == 0 || (!main && area_px < MIN_AREA_PX) {
            continue;
        }
        objects.push(Object { class, xyxy: [x0 as f32, y0 as f32, x1 as f32, y1 as f32], area_px });
        let (class_id, object_id) = (class as u8 + 1, objects.len() as u8);
        for (i, _) in stage.owner.iter().enumerate().filter(seen) {
            if let (Some(m), Some(o)) = (mask.get_mut(i), instances.get_mut(i)) {
                (*m, *o) = (class_id, object_id);
            }
        }
    }
    (objects, mask, instances)
}
