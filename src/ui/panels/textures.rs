//! Pictures on the graphics card: few uploads in a frame, up to a budget, the longest unused go first.

use crate::data::ImageSource;
use crate::session::{Picture, Thumbnails};
use egui::{ColorImage, TextureHandle, TextureOptions};
use std::collections::HashMap;

/// Which picture, how large.
type Key = (String, u32);

/// Bytes uploaded in one frame, and at least one picture; the rest waits for the next, so that scrolling never stalls.
const UPLOAD_BYTES: usize = 2 << 20;
/// Bytes that [`Textures::default`] keeps.
const BUDGET_BYTES: usize = 256 << 20;

struct Entry {
    handle: TextureHandle,
    bytes: usize,
    used_in_pass: u64,
}

/// A bounded cache of textures.
pub struct Textures {
    entries: HashMap<Key, Entry>,
    bytes: usize,
    budget_bytes: usize,
    pass: u64,
    upload_left: usize,
}

/// A small picture, or why there is none.
#[derive(Clone)]
pub enum Thumb {
    /// It can be drawn.
    Ready(TextureHandle),
    /// It is being decoded or waits for its upload; a repaint comes by itself.
    Waiting,
    /// It cannot be decoded: the reason.
    Broken(String),
}

impl std::fmt::Debug for Thumb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(handle) => write!(f, "Ready({:?})", handle.id()),
            Self::Waiting => f.write_str("Waiting"),
            Self::Broken(reason) => write!(f, "Broken({reason})"),
        }
    }
}

impl std::fmt::Debug for Textures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Textures")
            .field("entries", &self.entries.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Default for Textures {
    fn default() -> Self {
        Self::new(BUDGET_BYTES)
    }
}

impl Textures {
    /// Keeps textures up to `budget_bytes` (those of the frame at hand always stay).
    #[must_use]
    pub fn new(budget_bytes: usize) -> Self {
        Self { entries: HashMap::new(), bytes: 0, budget_bytes, pass: 0, upload_left: UPLOAD_BYTES }
    }

    /// Bytes on the graphics card.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of textures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets everything, for another data set.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// The picture of a source at this longest side.
    pub fn thumbnail(
        &mut self,
        ctx: &egui::Context,
        thumbs: &Thumbnails,
        source: &ImageSource,
        longest_px: u32,
    ) -> Thumb {
        let key = (source.name(), longest_px);
        if let Some(handle) = self.known(ctx, &key) {
            return Thumb::Ready(handle);
        }
        match thumbs.get(source, longest_px) {
            None => Thumb::Waiting,
            Some(Err(reason)) => Thumb::Broken(reason),
            Some(Ok(picture)) => self
                .upload(ctx, key, TextureOptions::LINEAR, || color_image(&picture))
                .map_or(Thumb::Waiting, Thumb::Ready),
        }
    }

    /// The texture of something that is made here: a mask, a matrix. `None` until its turn comes.
    pub fn image(
        &mut self,
        ctx: &egui::Context,
        name: &str,
        size_px: u32,
        make: impl FnOnce() -> ColorImage,
    ) -> Option<TextureHandle> {
        let key = (name.to_owned(), size_px);
        // Class ids and counts have nothing between them: no smoothing.
        self.known(ctx, &key).or_else(|| self.upload(ctx, key, TextureOptions::NEAREST, make))
    }

    fn known(&mut self, ctx: &egui::Context, key: &Key) -> Option<TextureHandle> {
        let pass = ctx.cumulative_pass_nr();
        if pass != self.pass {
            self.pass = pass;
            self.upload_left = UPLOAD_BYTES;
        }
        let entry = self.entries.get_mut(key)?;
        entry.used_in_pass = pass;
        Some(entry.handle.clone())
    }

    fn upload(
        &mut self,
        ctx: &egui::Context,
        key: Key,
        options: TextureOptions,
        make: impl FnOnce() -> ColorImage,
    ) -> Option<TextureHandle> {
        if self.upload_left == 0 {
            ctx.request_repaint();
            return None;
        }
        let image = make();
        let bytes = image.pixels.len() * 4;
        self.upload_left = self.upload_left.saturating_sub(bytes);
        let handle = ctx.load_texture(key.0.clone(), image, options);
        self.bytes += bytes;
        self.entries.insert(key, Entry { handle: handle.clone(), bytes, used_in_pass: self.pass });
        self.evict();
        Some(handle)
    }

    fn evict(&mut self) {
        while self.bytes > self.budget_bytes {
            let old = self.entries.iter().filter(|(_, entry)| entry.used_in_pass < self.pass);
            let Some(key) = old.min_by_key(|(_, entry)| entry.used_in_pass).map(|(key, _)| key.clone()) else { return };
            self.bytes -= self.entries.remove(&key).map_or(0, |entry| entry.bytes);
        }
    }
}

fn color_image(picture: &Picture) -> ColorImage {
    let size = [picture.width as usize, picture.height as usize];
    if picture.rgb.len() == 3 * size[0] * size[1] && !picture.rgb.is_empty() {
        ColorImage::from_rgb(size, &picture.rgb)
    } else {
        ColorImage::filled([1, 1], egui::Color32::TRANSPARENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws `frames` of `names` textures of `side` x `side` pixels each.
    fn draw(textures: &mut Textures, frames: usize, names: std::ops::Range<usize>, side: u32) {
        let ctx = egui::Context::default();
        for _ in 0..frames {
            let output = ctx.run_ui(egui::RawInput::default(), |ui| {
                for name in names.clone() {
                    let make = || ColorImage::filled([side as usize; 2], egui::Color32::TRANSPARENT);
                    textures.image(ui.ctx(), &name.to_string(), side, make);
                }
            });
            output.drop_without_applying_deltas();
        }
    }

    #[test]
    fn uploads_are_spread_over_frames() {
        // (A picture of 256 pixels takes 256 KiB.)
        for (frames, side, wanted) in [(1, 256, 8), (2, 256, 16), (3, 256, 20), (1, 64, 20), (1, 1024, 1), (2, 1024, 2)]
        {
            let mut textures = Textures::new(usize::MAX);
            draw(&mut textures, frames, 0..20, side);
            let bytes = wanted * 4 * (side * side) as usize;
            assert_eq!((textures.len(), textures.bytes()), (wanted, bytes), "{frames} frames of {side} px");
        }
    }

    #[test]
    fn the_longest_unused_go_first_and_visible_ones_stay() {
        let mut textures = Textures::new(10 * 64 * 64 * 4);
        let ctx = egui::Context::default();
        for first in [0, 8, 16] {
            let output = ctx.run_ui(egui::RawInput::default(), |ui| {
                for name in first..first + 8 {
                    let make = || ColorImage::filled([64, 64], egui::Color32::TRANSPARENT);
                    textures.image(ui.ctx(), &name.to_string(), 64, make);
                }
            });
            output.drop_without_applying_deltas();
        }
        assert_eq!(textures.bytes(), 10 * 64 * 64 * 4);
        assert!((16..24).all(|name| textures.entries.contains_key(&(name.to_string(), 64))));
        assert!((0..8).all(|name| !textures.entries.contains_key(&(name.to_string(), 64))));
    }
}
