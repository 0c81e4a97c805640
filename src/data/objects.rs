//! Boxes as annotation files give them, and what becomes of them once the size of the picture is known: fractions become
//! pixels, what lies outside is cut, what has no area or stands there twice is left out. Each such box is an issue.

use std::path::{Path, PathBuf};

use super::formats::Told;
use super::{BoxTarget, Severity};

/// Cut parts up to this many pixels are rounding, and not worth a word.
const ROUNDING_PX: f64 = 1.5;

/// A box as a file gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RawBox {
    pub class: u32,
    /// Left, top, right, bottom: pixels or fractions of the picture's sides.
    pub xyxy: [f64; 4],
    pub crowd: bool,
    /// 1-based line in the annotation file.
    pub line: Option<usize>,
}

/// All boxes of a picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawBoxes {
    /// The annotation file.
    pub file: PathBuf,
    /// Coordinates are fractions of the picture's sides.
    pub fractions: bool,
    /// Width and height that the annotation file says, where it does.
    pub said_px: Option<[u32; 2]>,
    pub boxes: Vec<RawBox>,
}

/// What a picture's boxes come to. `classes` names them in issues.
pub(crate) fn settle(
    raw: &RawBoxes,
    size_px: [u32; 2],
    image: &Path,
    classes: &[String],
    told: &mut Told,
) -> Vec<BoxTarget> {
    compare_size(raw, size_px, image, told);
    let size = size_px.map(f64::from);
    let mut kept: Vec<BoxTarget> = Vec::with_capacity(raw.boxes.len());
    for one in &raw.boxes {
        let class = classes.get(one.class as usize).map_or("?", String::as_str);
        match placed(one, raw.fractions, size) {
            Ok((xyxy, remark)) => {
                let target = BoxTarget { class: one.class, xyxy: xyxy.map(|v| v as f32), crowd: one.crowd };
                if kept.contains(&target) {
                    let what = format!("the same box of {class} as before{}; used once", beside(raw, image));
                    told.say(Severity::Note, "boxes that stand there twice", &raw.file, one.line, what);
                    continue;
                }
                if let Some(remark) = remark {
                    let what = format!("a box of {class} {remark}{}", beside(raw, image));
                    told.say(Severity::Warning, "boxes that had to be cut or turned", &raw.file, one.line, what);
                }
                kept.push(target);
            }
            Err(why) => {
                let what = format!("a box of {class} {why}{}; left out", beside(raw, image));
                told.say(Severity::Warning, "boxes that are left out", &raw.file, one.line, what);
            }
        }
    }
    kept
}

/// Names the picture, where the annotation file does not by its own name.
fn beside(raw: &RawBoxes, image: &Path) -> String {
    if raw.file.file_stem() == image.file_stem() {
        return String::new();
    }
    format!(" (picture {})", image.file_name().unwrap_or_default().to_string_lossy())
}

/// A box in pixels inside the picture with a remark, or why it cannot be one.
fn placed(one: &RawBox, fractions: bool, [width, height]: [f64; 2]) -> Result<([f64; 4], Option<String>), String> {
    let told = |[l, t, r, b]: [f64; 4]| format!("({}, {}, {}, {})", plain(l), plain(t), plain(r), plain(b));
    if one.xyxy.iter().any(|v| !v.is_finite()) {
        return Err("has a coordinate that is no number".to_owned());
    }
    let scale = if fractions { [width, height, width, height] } else { [1.0; 4] };
    let mut whole = one.xyxy;
    whole.iter_mut().zip(scale).for_each(|(v, scale)| *v *= scale);
    let [l, t, r, b] = whole;
    if l == r || t == b {
        return Err(format!("has no area {}", told(whole)));
    }
    let turned = l > r || t > b;
    let whole = [l.min(r), t.min(b), l.max(r), t.max(b)];
    let [l, t, r, b] = whole;
    let cut = [l.clamp(0.0, width), t.clamp(0.0, height), r.clamp(0.0, width), b.clamp(0.0, height)];
    // What is left must still have an area as the 32-bit numbers that it becomes.
    if cut[2] as f32 <= cut[0] as f32 || cut[3] as f32 <= cut[1] as f32 {
        return Err(format!("lies outside of the picture of {width} x {height} pixels {}", told(whole)));
    }
    let lost = whole.iter().zip(cut).map(|(whole, cut)| (whole - cut).abs()).fold(0.0, f64::max);
    let remark = if turned {
        Some(format!("has left and right or top and bottom exchanged {}; turned round", told(one.xyxy)))
    } else if lost > ROUNDING_PX {
        Some(format!("reaches out of the picture of {width} x {height} pixels {}; cut off there", told(whole)))
    } else {
        None
    };
    Ok((cut, remark))
}

/// A coordinate with no more than two decimals.
fn plain(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Says where the file that holds the boxes was made for a picture of another size.
fn compare_size(raw: &RawBoxes, size_px: [u32; 2], image: &Path, told: &mut Told) {
    let Some([width, height]) = raw.said_px.filter(|said| *said != size_px) else { return };
    let [own_width, own_height] = size_px;
    let what = if width == 0 || height == 0 {
        format!("gives no size of the picture{}", beside(raw, image))
    } else if [height, width] == size_px {
        format!(
            "says {width} x {height} pixels, but the picture shows {own_width} x {own_height} as its EXIF data turns it{}: \
             the boxes may have been drawn on the unturned picture",
            beside(raw, image)
        )
    } else {
        format!(
            "says {width} x {height} pixels, but the picture has {own_width} x {own_height}{}; its boxes are taken as they are",
            beside(raw, image)
        )
    };
    let severity = if width == 0 || height == 0 { Severity::Note } else { Severity::Warning };
    told.say(severity, "sizes of pictures that are not as the annotations say", &raw.file, None, what);
}
