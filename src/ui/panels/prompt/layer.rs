//! Masks as pictures to lay over a picture: translucent, with an outline.

use super::super::masks::Shrunk;
use egui::{Color32, ColorImage};

/// The longest side of a layer in pixels: enough for an outline on a screen.
const LONGEST_PX: u32 = 1536;
/// How much of the color is left inside.
const INSIDE: f32 = 0.42;

/// Lays out a picture of this width and height. `id_at` tells what lies at a row-major position, 0 for nothing; `color` its color.
pub(super) fn layer(size_px: [u32; 2], id_at: impl Fn(usize) -> u16, color: impl Fn(u16) -> Color32) -> ColorImage {
    let width = size_px[0].max(1) as usize;
    let from = Shrunk::of(size_px, LONGEST_PX);
    let [columns, rows] = [from.columns.len(), from.rows.len()];
    let places = from.rows.iter().flat_map(|row| from.columns.iter().map(move |column| row * width + column));
    let ids: Vec<u16> = places.map(id_at).collect();
    let at = |x: usize, y: usize| ids.get(y * columns + x).copied().unwrap_or(0);
    let mut image = ColorImage::filled([columns, rows], Color32::TRANSPARENT);
    for (i, pixel) in image.pixels.iter_mut().enumerate() {
        let (x, y) = (i % columns, i / columns);
        let id = at(x, y);
        if id == 0 {
            continue;
        }
        let inner = (1..columns.saturating_sub(1)).contains(&x) && (1..rows.saturating_sub(1)).contains(&y);
        let is_edge = !inner || [at(x - 1, y), at(x + 1, y), at(x, y - 1), at(x, y + 1)].iter().any(|&next| next != id);
        *pixel = if is_edge { color(id) } else { color(id).gamma_multiply(INSIDE) };
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_is_translucent_and_the_outline_is_not() {
        // 5×4: an object of 3×3 pixels, of which one has all neighbors.
        let set = |at: usize| u16::from((1..4).contains(&(at % 5)) && (1..4).contains(&(at / 5)));
        let image = layer([5, 4], set, |_| Color32::RED);
        let pixel = |x: usize, y: usize| image.pixels[y * 5 + x];
        assert_eq!(image.size, [5, 4]);
        assert_eq!(
            (pixel(0, 0), pixel(1, 1), pixel(2, 2)),
            (Color32::TRANSPARENT, Color32::RED, Color32::RED.gamma_multiply(INSIDE))
        );
        assert_eq!(pixel(2, 3), Color32::RED, "at the border of the picture");
        assert_eq!(layer([6144, 3], |_| 1, |_| Color32::RED).size, [1536, 1]);
    }
}
