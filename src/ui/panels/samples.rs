//! What tiles and pages share about predicted pictures: where the picture is, what the answer looks like.

use super::kit;
use super::textures::{Textures, Thumb};
use crate::data::{Dataset, ImageSource, LabelColumn, Sample};
use crate::session::{LiveSample, View};
use crate::train::{Answer, ClassScore, Prediction};
use crate::ui::{Context, Theme};
use egui::{Align2, Color32, CornerRadius, Painter, Rect, pos2, vec2};
use std::path::{Path, PathBuf};

/// The picture of a live sample, if the data set that is open still holds it or it is a file.
#[must_use]
pub fn source(view: &View, sample: &LiveSample) -> Option<ImageSource> {
    known(view, sample).map(|known| known.image.clone()).or_else(|| file_source(&sample.prediction.image))
}

/// What the data set that is open knows of a live sample, if it still holds it.
#[must_use]
pub fn known<'a>(view: &'a View, sample: &LiveSample) -> Option<&'a Sample> {
    let known = view.data.as_ref().and_then(|data| data.samples.get(sample.index));
    known.filter(|known| known.image.name() == sample.prediction.image)
}

/// The picture of a file.
#[must_use]
pub fn file_source(name: &str) -> Option<ImageSource> {
    Path::new(name).is_absolute().then(|| ImageSource::File(PathBuf::from(name)))
}

/// Side to decode a picture at that is drawn `points` wide: few steps, so that a slider does not decode anew.
#[must_use]
pub fn decode_px(points: f32, pixels_per_point: f32) -> u32 {
    let wanted = points * pixels_per_point;
    [96_u16, 192, 384, 768, 1536, 3072].into_iter().find(|&px| f32::from(px) >= wanted).map_or(3072, u32::from)
}

/// Draws a picture over the whole of `rect`, or a plate that says why it is missing. Returns whether it is there.
pub fn paint_cover(
    painter: &Painter,
    cx: &Context<'_>,
    textures: &mut Textures,
    source: Option<&ImageSource>,
    rect: Rect,
    radius: CornerRadius,
) -> bool {
    let theme = cx.theme;
    let px = decode_px(rect.size().max_elem(), painter.pixels_per_point());
    let thumb = source.map(|source| textures.thumbnail(painter.ctx(), cx.thumbs, source, px));
    if let Some(Thumb::Ready(texture)) = &thumb {
        kit::cover(painter, texture, rect, radius);
        return true;
    }
    painter.rect_filled(rect, radius, theme.raised);
    let text = match &thumb {
        None => "picture not open",
        Some(Thumb::Broken(_)) if rect.width() < 70.0 => "✗",
        Some(Thumb::Broken(_)) => "unreadable",
        Some(_) => "",
    };
    kit::text_at(painter, rect.center(), Align2::CENTER_CENTER, text, 11.0, theme.weak, rect.width() - 8.0);
    false
}

/// The scores of the first classification head, best first.
#[must_use]
pub fn class_scores(prediction: &Prediction) -> Option<&[ClassScore]> {
    prediction.heads.iter().find_map(|head| match &head.answer {
        Answer::Classes(scores) => Some(scores.as_slice()),
        Answer::Mask(_) | Answer::Boxes(_) => None,
    })
}

/// Rows of class, bar and score, as many as fit into `rect`.
pub fn paint_scores(painter: &Painter, theme: &Theme, scores: &[ClassScore], truth: Option<u32>, rect: Rect, row: f32) {
    let rows = (rect.height() / row).floor() as usize;
    for (i, score) in scores.iter().take(rows).enumerate() {
        let line = Rect::from_min_size(pos2(rect.left(), rect.top() + i as f32 * row), vec2(rect.width(), row - 3.0));
        let fill = match truth {
            Some(truth) if truth == score.class => theme.good,
            Some(_) if i == 0 => theme.bad,
            Some(_) => theme.weak,
            None if i == 0 => theme.accent,
            None => theme.weak,
        };
        kit::bar(painter, line, score.score, fill.gamma_multiply(0.35), theme.raised);
        let size = (row * 0.68).clamp(9.0, 12.5);
        let left = line.left_center() + vec2(5.0, 0.0);
        kit::text_at(painter, left, Align2::LEFT_CENTER, &score.name, size, theme.text, line.width() - 48.0);
        let text = format!("{:.1} %", score.score * 100.0);
        kit::text_at(
            painter,
            line.right_center() - vec2(5.0, 0.0),
            Align2::RIGHT_CENTER,
            &text,
            size,
            theme.text,
            48.0,
        );
    }
}

/// The color of a class.
#[must_use]
pub fn class_color(theme: &Theme, class: u32) -> Color32 {
    theme.series.get(class as usize % theme.series.len()).copied().unwrap_or(theme.text)
}

/// What every column says of a picture, with the column's name where there are several.
#[must_use]
pub fn labels(data: &Dataset, sample: &Sample) -> Vec<String> {
    let several = data.columns.len() > 1;
    let told = |(at, column): (usize, &LabelColumn)| {
        let told = column.told(sample.target.label(at))?;
        Some(if several { format!("{} {told}", column.name) } else { told })
    };
    data.columns.iter().enumerate().filter_map(told).collect()
}
