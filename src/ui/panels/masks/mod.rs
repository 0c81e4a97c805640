//! Masks over pictures: what is true, what a model says, where the two differ, how sure it is; and the controls that choose among
//! them. They act on the probabilities that came with each answer, so nothing is asked again.
//!
//! ```text
//! masks of a picture ─ paint ─► texture, kept as long as it is looked at ─► drawn with an opacity
//! ```
//!
//! Small ones are painted in the frame that wants them, as far as its time goes; the others in the background.

mod paint;
mod shrink;
mod tools;

use super::live::Show;
use super::samples;
use crate::data::{IGNORE_ID, Sample};
use crate::session::Thumbnails;
use crate::train::segmentation::{ClassPixels, Mask, MaskResult, mask_means};
use crate::train::{Answer, Prediction};
use crate::ui::Theme;
use egui::{Color32, Painter, Rect, TextureHandle, TextureOptions, pos2};
use paint::{Look, Painted};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

pub use paint::{color, difference_colors};
pub use shrink::Shrunk;
pub use tools::legend;

/// Bytes of textures of masks that are kept besides those in sight.
const BUDGET_BYTES: usize = 96 << 20;
/// Masks and places that are remembered before those out of sight go.
const MOST: usize = 4096;
/// The longest side that a mask is drawn at, in pixels.
const LARGEST_PX: u32 = 4096;
/// Pixels of a mask that is small.
const SMALL: u64 = 256 * 256;
/// Time that a frame takes for painting small ones.
const AT_ONCE: Duration = Duration::from_millis(4);
/// When a frame is drawn for what was made meanwhile. (Without any delay egui draws twice.)
const SOON: Duration = Duration::from_millis(1);

/// How masks are shown, and those that were drawn.
#[derive(Debug)]
pub struct MaskView {
    /// How much of a pixel's color is its class's.
    pub opacity: f32,
    /// Least probability of the second of two classes; none for the likelier one.
    pub least: Option<f32>,
    /// Classes that are not shown.
    pub hidden: BTreeSet<u8>,
    /// Whether each connected part has a color of its own.
    pub apart: bool,
    /// The class whose probability is shown.
    pub heat: Option<u8>,
    works: HashMap<Key, Work>,
    /// For each place what was drawn there last, and what is made for it.
    places: HashMap<u64, Place>,
    bytes: usize,
    /// The frame at hand, and the time that it took for painting.
    spent: (u64, Duration),
    /// Whether somebody asked for counts since the last frame for their sake.
    counted: Cell<bool>,
}

impl Default for MaskView {
    fn default() -> Self {
        Self {
            opacity: 0.45,
            least: None,
            hidden: BTreeSet::new(),
            apart: false,
            heat: None,
            works: HashMap::new(),
            places: HashMap::new(),
            bytes: 0,
            spent: (0, Duration::ZERO),
            counted: Cell::new(false),
        }
    }
}

/// Which masks, by address; how they are shown.
type Key = (usize, usize, Look);

/// A mask as it is drawn, once it is.
struct Work {
    /// Held so that no other mask can come to lie at the addresses.
    _held: [Option<Weak<Mask>>; 2],
    done: Arc<OnceLock<Painted>>,
    drawn: Option<Drawn>,
    used_in_pass: u64,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("drawn", &self.drawn.is_some()).finish_non_exhaustive()
    }
}

struct Drawn {
    texture: TextureHandle,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Place {
    last: Option<Key>,
    making: Option<Key>,
}

/// The masks of one picture.
#[derive(Clone, Copy, Debug)]
pub struct Over<'a> {
    /// What of them.
    pub show: Show,
    /// What is true, where it is known.
    pub truth: Option<&'a Arc<Mask>>,
    /// What a model says.
    pub said: Option<&'a Arc<Mask>>,
    /// Tells places of the window apart: what was drawn at one stays until what follows is ready.
    pub place: u64,
}

/// The mask in an answer.
#[must_use]
pub fn of(prediction: &Prediction) -> Option<&Arc<Mask>> {
    prediction.heads.iter().find_map(|head| match &head.answer {
        Answer::Mask(mask) => Some(mask),
        _ => None,
    })
}

/// The true mask of a picture, once it is read.
#[must_use]
pub fn truth(thumbs: &Thumbnails, sample: &Sample) -> Option<Arc<Mask>> {
    thumbs.mask(sample.target.mask.as_ref()?)?.ok()
}

/// What a mask shows most of besides the background, in a few words.
#[must_use]
pub fn shown(mask: &Mask) -> String {
    let counts = mask.counts();
    let all: u64 = counts.values().sum();
    let most = counts.iter().filter(|(id, _)| **id != 0 && **id != IGNORE_ID).max_by_key(|(_, count)| **count);
    most.map_or_else(
        || "background alone".to_owned(),
        |(id, count)| format!("{} {:.1} %", mask.name(*id), *count as f64 / all.max(1) as f64 * 100.0),
    )
}

/// How right a mask is, in a few words.
#[must_use]
pub fn words(classes: &[ClassPixels]) -> Option<String> {
    mask_means(classes).map(|[iou, ..]| format!("mIoU {:.1} %", iou * 100.0))
}

/// What is known of a measured picture's pixels: its means, then each class.
#[must_use]
pub fn sentence<'a>(picture: &MaskResult, name: impl Fn(u32) -> &'a str) -> String {
    let Some([iou, dice, accuracy]) = mask_means(&picture.classes) else { return "no pixel counts".to_owned() };
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let [iou, dice, accuracy] = [iou, dice, accuracy].map(percent);
    let each = picture.classes.iter().filter_map(|of| Some(format!("{} {}", name(of.class), percent(of.iou()?))));
    let each = each.collect::<Vec<_>>().join(", ");
    format!("mIoU {iou}, Dice {dice}, {accuracy} of the pixels right; IoU: {each}")
}

impl MaskView {
    /// Draws the masks; `rect` is where the whole picture lies. Returns what they are worth against the truth.
    pub fn paint(&mut self, painter: &Painter, theme: &Theme, over: Over<'_>, rect: Rect) -> &[ClassPixels] {
        let ctx = painter.ctx();
        let pass = ctx.cumulative_pass_nr();
        let largest = over.said.or(over.truth).map_or(1, |mask| mask.size_px[0].max(mask.size_px[1]));
        let limit = ctx.input(|input| input.max_texture_side) / 2;
        let limit = LARGEST_PX.min(u32::try_from(limit).unwrap_or(LARGEST_PX));
        let wanted = samples::decode_px(rect.size().max_elem(), ctx.pixels_per_point());
        let look = Look {
            show: over.show,
            least: self.least.map(|least| (least * 100.0).round() as u8),
            hidden: self.hidden.clone(),
            apart: self.apart,
            heat: self.heat,
            longest_px: wanted.min(largest).min(limit).max(1),
            dark: theme.dark,
        };
        let address = |mask: Option<&Arc<Mask>>| mask.map_or(0, |mask| Arc::as_ptr(mask).addr());
        let key = (address(over.said), address(over.truth), look);
        self.make(ctx, &key, over, pass);
        let ready = self.works.get(&key).is_some_and(|work| work.drawn.is_some());
        let place = self.places.entry(over.place).or_default();
        if ready {
            place.last = Some(key);
        }
        let Some(work) = place.last.as_ref().and_then(|last| self.works.get_mut(last)) else { return &[] };
        work.used_in_pass = pass;
        if let Some(drawn) = &work.drawn {
            let half = |from: f32| Rect::from_min_max(pos2(0.0, from), pos2(1.0, from + 0.5));
            let opacity = if self.heat.is_some() { self.opacity.max(0.3) } else { self.opacity };
            painter.image(drawn.texture.id(), rect, half(0.0), Color32::WHITE.gamma_multiply(opacity));
            painter.image(drawn.texture.id(), rect, half(0.5), Color32::WHITE);
        }
        work.done.get().map_or(&[], |painted| painted.classes.as_slice())
    }

    /// The same over a picture that covers `tile` and is cut there.
    pub fn paint_cover(&mut self, painter: &Painter, theme: &Theme, over: Over<'_>, tile: Rect) -> &[ClassPixels] {
        let size_px = over.said.or(over.truth).map_or([1, 1], |mask| mask.size_px);
        let size = egui::vec2(size_px[0].max(1) as f32, size_px[1].max(1) as f32);
        let scale = (tile.width() / size.x).max(tile.height() / size.y);
        let clipped = painter.with_clip_rect(tile.intersect(painter.clip_rect()));
        self.paint(&clipped, theme, over, Rect::from_center_size(tile.center(), size * scale))
    }

    /// The pixels of each class of what the model said, as it is drawn at a place.
    #[must_use]
    pub fn counts(&self, place: u64) -> Option<&BTreeMap<u8, u64>> {
        self.counted.set(true);
        let last = self.places.get(&place)?.last.as_ref()?;
        self.works.get(last)?.done.get()?.counts.as_ref()
    }

    /// Starts what is missing, one at a time for each place, and takes over what is done.
    fn make(&mut self, ctx: &egui::Context, key: &Key, over: Over<'_>, pass: u64) {
        let making = self.places.get(&over.place).and_then(|place| place.making.clone());
        // What is done meanwhile is shown, also where a control was moved on since.
        if let Some(made) = making.filter(|made| self.works.get(made).is_none_or(|work| work.done.get().is_some())) {
            let drawn = self.take_over(ctx, &made, pass);
            let place = self.places.entry(over.place).or_default();
            place.making = None;
            if drawn {
                place.last = Some(made);
            }
        }
        if !self.works.contains_key(key) {
            let place = self.places.entry(over.place).or_default();
            if place.making.is_some() {
                return;
            }
            let done = Arc::new(OnceLock::new());
            place.making = Some(key.clone());
            let held = [over.said.map(Arc::downgrade), over.truth.map(Arc::downgrade)];
            let work = Work { _held: held, done: Arc::clone(&done), drawn: None, used_in_pass: pass };
            self.works.insert(key.clone(), work);
            let (said, truth, look, ctx) = (over.said.cloned(), over.truth.cloned(), key.2.clone(), ctx.clone());
            let painting = move || done.set(paint::paint(said.as_deref(), truth.as_deref(), &look)).is_ok();
            if self.has_time(over, pass) {
                let start = Instant::now();
                painting();
                self.spent.1 += start.elapsed();
            } else {
                rayon::spawn(move || {
                    if painting() {
                        ctx.request_repaint_after(SOON);
                    }
                });
            }
        }
        self.take_over(ctx, key, pass);
    }

    /// Whether masks are painted in this frame still.
    fn has_time(&mut self, over: Over<'_>, pass: u64) -> bool {
        if self.spent.0 != pass {
            self.spent = (pass, Duration::ZERO);
        }
        let pixels = |mask: &Arc<Mask>| u64::from(mask.size_px[0]) * u64::from(mask.size_px[1]);
        [over.said, over.truth].into_iter().flatten().all(|mask| pixels(mask) <= SMALL) && self.spent.1 < AT_ONCE
    }

    /// Makes a texture of what is painted; whether there is one now.
    fn take_over(&mut self, ctx: &egui::Context, key: &Key, pass: u64) -> bool {
        let Some(work) = self.works.get_mut(key) else { return false };
        work.used_in_pass = pass;
        if work.drawn.is_none()
            && let Some(painted) = work.done.get()
        {
            let image = painted.take();
            let bytes = image.pixels.len() * 4;
            // Class ids have nothing between them: no smoothing.
            let texture = ctx.load_texture("mask", image, TextureOptions::NEAREST);
            work.drawn = Some(Drawn { texture, bytes });
            self.bytes += bytes;
            self.forget(pass);
            // What was drawn before this knows its numbers in the next frame.
            if self.counted.replace(false) {
                ctx.request_repaint_after(SOON);
            }
        }
        self.works.get(key).is_some_and(|work| work.drawn.is_some())
    }

    /// Lets the longest unused go, never what is in sight.
    fn forget(&mut self, pass: u64) {
        // Painted for a place that is out of sight by now: nobody fetches it.
        let waits = |work: &Work| work.drawn.is_none() && work.done.get().is_some();
        self.works.retain(|_, work| work.used_in_pass + 1 >= pass || !waits(work));
        if self.works.len() > MOST || self.places.len() > MOST {
            self.works.retain(|_, work| work.used_in_pass + 1 >= pass || work.drawn.is_some());
            self.places.retain(|_, place| place.last.as_ref().is_some_and(|last| self.works.contains_key(last)));
        }
        while self.bytes > BUDGET_BYTES {
            let old = self.works.iter().filter(|(_, work)| work.used_in_pass + 1 < pass);
            let Some(key) = old.min_by_key(|(_, work)| work.used_in_pass).map(|(key, _)| key.clone()) else { return };
            let freed = self.works.remove(&key).and_then(|work| work.drawn).map_or(0, |drawn| drawn.bytes);
            self.bytes -= freed;
        }
    }
}
