//! Boxes and their labels drawn into a picture, and the picture as a PNG file.

use super::boxes::{Detection, Truth, falling};
use super::font::{can_draw, draw, fill, size_px};
use super::palette::{class_color, ink_on};
use super::write::whole;
use crate::data::Rgb8;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use std::io::Write as _;
use std::path::Path;

/// The shorter side of a picture for each step of thicker lines (of 2 pixels each) and of larger text.
const SIDE_PER_LINE_PX: u32 = 500;
const SIDE_PER_TEXT_PX: u32 = 240;

/// A box to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayBox {
    /// Left, top, width and height in pixels of the picture.
    pub xywh: [f64; 4],
    /// Of its line and behind its label.
    pub color: [u8; 3],
    /// Above it, or in its upper corner where there is no room; none when empty.
    pub label: String,
    /// Whether the line has gaps: what is there, beside what is said.
    pub dashed: bool,
}

impl OverlayBox {
    /// A detection in the color of its class, labelled with name and score (`cat 0.87`).
    #[must_use]
    pub fn said(detection: &Detection, classes: &[String]) -> Self {
        let label = format!("{} {:.2}", name_of(detection.class, classes), detection.score);
        Self { xywh: detection.xywh, color: class_color(detection.class), label, dashed: false }
    }

    /// A truth in the color of its class, dashed, labelled with its name.
    #[must_use]
    pub fn there(truth: &Truth, classes: &[String]) -> Self {
        let label = name_of(truth.class, classes);
        Self { xywh: truth.xywh, color: class_color(truth.class), label, dashed: true }
    }
}

/// The class's name where there is one that the font can draw, else its number.
fn name_of(class: u32, classes: &[String]) -> String {
    let name = classes.get(class as usize).filter(|name| !name.trim().is_empty() && can_draw(name));
    name.cloned().unwrap_or_else(|| format!("class {class}"))
}

/// The picture with truths and, over them, detections; the surest detection is on top.
#[must_use]
pub fn overlay(picture: &Rgb8, truths: &[Truth], detections: &[Detection], classes: &[String]) -> Rgb8 {
    let mut drawn = picture.clone();
    let mut said: Vec<&Detection> = detections.iter().collect();
    said.sort_by(|a, b| falling(b.score, a.score));
    let there = truths.iter().map(|truth| OverlayBox::there(truth, classes));
    let boxes: Vec<OverlayBox> = there.chain(said.into_iter().map(|d| OverlayBox::said(d, classes))).collect();
    draw_boxes(&mut drawn, &boxes);
    drawn
}

/// Draws boxes in their order, then all labels. A line is 2 pixels wide and lies inside its box, in large pictures a multiple of
/// that; what lies outside the picture is left out, as are boxes that are no numbers.
pub fn draw_boxes(picture: &mut Rgb8, boxes: &[OverlayBox]) {
    let shorter = picture.width.min(picture.height);
    let steps = |px: u32| ((shorter + px / 2) / px).max(1);
    let (line, text) = (i64::from(2 * steps(SIDE_PER_LINE_PX)), steps(SIDE_PER_TEXT_PX));
    let placed: Vec<(&OverlayBox, [i64; 4])> = boxes.iter().filter_map(|own| Some((own, corners(own)?))).collect();
    for (own, corners) in &placed {
        outline(picture, *corners, line, own);
    }
    for (own, [left, top, ..]) in &placed {
        if own.label.is_empty() {
            continue;
        }
        let (width, height) = size_px(&own.label, text);
        let (width, height) = (i64::from(width), i64::from(height));
        let x = (*left).min(i64::from(picture.width) - width).max(0);
        let y = if *top >= height { *top - height } else { (*top).max(0) };
        let y = y.min(i64::from(picture.height) - height).max(0);
        fill(picture, [x, y, x + width, y + height], own.color);
        draw(picture, &own.label, [x, y], text, ink_on(own.color));
    }
}

/// Left, top, right and bottom in whole pixels, at least one pixel wide and high; none without numbers.
fn corners(own: &OverlayBox) -> Option<[i64; 4]> {
    let [x, y, w, h] = own.xywh;
    let whole = |value: f64| value.round().clamp(-1e9, 1e9) as i64;
    let [left, top] = [x, y].map(whole);
    let numbers = own.xywh.iter().all(|value| value.is_finite());
    numbers.then(|| [left, top, whole(x + w).max(left + 1), whole(y + h).max(top + 1)])
}

/// The four sides of a box; dashes are four lines long.
fn outline(picture: &mut Rgb8, [left, top, right, bottom]: [i64; 4], line: i64, own: &OverlayBox) {
    let (inner_left, inner_top) = ((left + line).min(right), (top + line).min(bottom));
    let (inner_right, inner_bottom) = ((right - line).max(left), (bottom - line).max(top));
    let sides = [
        [left, top, right, inner_top],
        [left, inner_bottom, right, bottom],
        [left, top, inner_left, bottom],
        [inner_right, top, right, bottom],
    ];
    for (at, side) in sides.into_iter().enumerate() {
        if !own.dashed {
            fill(picture, side, own.color);
            continue;
        }
        // Dashes are counted from the box's own corner, as far as they lie in the picture.
        let axis = if at < 2 { 0 } else { 1 };
        let end = side[axis + 2].min(i64::from(if axis == 0 { picture.width } else { picture.height }));
        let first = (-side[axis]).max(0) / (8 * line);
        for dash in first.. {
            let from = side[axis] + dash * 8 * line;
            if from >= end {
                break;
            }
            let mut part = side;
            (part[axis], part[axis + 2]) = (from, (from + 4 * line).min(end));
            fill(picture, part, own.color);
        }
    }
}

/// A picture as PNG.
///
/// # Errors
/// A sentence, when it has no pixels.
pub fn png(picture: &Rgb8) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let Rgb8 { width, height, pixels } = picture;
    PngEncoder::new(&mut bytes)
        .write_image(pixels, *width, *height, ExtendedColorType::Rgb8)
        .map_err(|error| format!("A picture of {width}x{height} pixels cannot be encoded: {error}."))?;
    Ok(bytes)
}

/// Writes a picture as a PNG file, whole or not at all.
///
/// # Errors
/// A sentence: the file cannot be written, or as [`png`].
pub fn write_png(picture: &Rgb8, to: &Path) -> Result<(), String> {
    let bytes = png(picture)?;
    whole(to, |out| out.write_all(&bytes).map_err(|error| error.to_string()))
}
