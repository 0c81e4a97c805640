//! The pictures behind a number, the largest loss first.

use super::super::textures::Textures;
use super::super::{format, kit, samples};
use super::findings::{Findings, Pick};
use super::{EvaluateState, head};
use crate::train::PictureResult;
use crate::ui::{Action, Context};
use egui::{Align2, CursorIcon, RichText, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};
use std::sync::Arc;

/// Between pictures, in points.
const GAP: f32 = 8.0;
/// Width that a tile has at least.
const TILE: f32 = 112.0;
/// Height of the two lines below a picture.
const LINES: f32 = 32.0;

/// Draws the gallery.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, textures: &mut Textures, findings: &Findings, state: &mut EvaluateState) {
    let theme = cx.theme;
    let title = state.pick.words(findings);
    let help =
        "The pictures behind the number that was clicked last, the largest loss first. Click one to see it large.";
    head(ui, theme, &title, help, |ui| {
        if state.pick != Pick::Worst && kit::link_button(ui, theme, "Show top losses").clicked() {
            state.pick = Pick::Worst;
        }
        if findings.results().is_some() {
            let count = crate::format::plural(findings.shown.len(), "picture");
            ui.label(RichText::new(count).size(11.0).color(theme.weak));
        }
    });
    if findings.results().is_none() {
        let text = "The pictures of the best and of the last epoch are kept, those of others as far as they are small.";
        kit::empty(ui, theme, "The pictures of this epoch are not kept", text);
        return;
    }
    if findings.shown.is_empty() {
        kit::empty(ui, theme, "No picture", "None of the measured pictures is like this.");
        return;
    }
    let width = ui.available_width() - ui.spacing().scroll.bar_width - 4.0;
    let columns = ((width + GAP) / (TILE + GAP)).floor().max(1.0) as usize;
    let side = (width - GAP * (columns - 1) as f32) / columns as f32;
    let size = vec2(side, side * 0.7 + LINES);
    ui.spacing_mut().item_spacing = vec2(GAP, GAP);
    let scroll = egui::ScrollArea::vertical().id_salt("evaluated pictures").auto_shrink(false);
    scroll.show_rows(ui, size.y, findings.shown.len().div_ceil(columns), |ui, rows| {
        for row in rows {
            ui.horizontal(|ui| {
                let first = row * columns;
                for at in first..(first + columns).min(findings.shown.len()) {
                    let picture = findings.shown.get(at).and_then(|&at| findings.picture(at));
                    if let Some(picture) = picture {
                        tile(ui, cx, textures, findings, picture, size);
                    }
                }
            });
        }
    });
}

fn tile(
    ui: &mut Ui,
    cx: &mut Context<'_>,
    textures: &mut Textures,
    findings: &Findings,
    picture: &PictureResult,
    size: egui::Vec2,
) {
    let theme = cx.theme;
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let Some(evaluation) = &findings.evaluation else { return };
    let sample = evaluation.set.samples.get(picture.index as usize);
    let name = sample.map_or_else(String::new, |sample| sample.image.name());
    let words = format!("{}: {}", format::file_name(&name), sentence(findings, picture));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &words));
    if !ui.is_rect_visible(rect) {
        return;
    }
    let image = rect.with_max_y(rect.bottom() - LINES);
    samples::paint_cover(ui.painter(), cx, textures, sample.map(|sample| &sample.image), image, kit::RADIUS);
    let right = picture.is_right();
    let (sign, color) = if right { ("✓", theme.good) } else { ("✗", theme.bad) };
    let active = response.hovered() || response.has_focus();
    let stroke = Stroke::new(if active { 2.5 } else { 1.5 }, color);
    ui.painter().rect_stroke(image, kit::RADIUS, stroke, StrokeKind::Inside);
    let said = findings.class(picture.said());
    let sure = format!("{:.0} %", picture.confidence() * 100.0);
    let (first, second) = (image.bottom() + 10.0, image.bottom() + 24.0);
    let line = |y: f32, text: &str, number: &str, size: f32, color: egui::Color32| {
        let room = 38.0;
        let at = pos2(rect.left() + 2.0, y);
        kit::text_at(ui.painter(), at, Align2::LEFT_CENTER, text, size, color, rect.width() - room - 4.0);
        let at = pos2(rect.right() - 2.0, y);
        kit::text_at(ui.painter(), at, Align2::RIGHT_CENTER, number, size, color, room);
    };
    line(first, &format!("{sign} {said}"), &sure, 12.0, theme.text);
    if right {
        line(second, "loss", &format::number(f64::from(picture.loss)), 11.0, theme.weak);
    } else {
        let own = format!("{:.0} %", picture.truth_score * 100.0);
        line(second, &format!("is {}", findings.class(picture.truth)), &own, 11.0, theme.weak);
    }
    if response.clicked() {
        cx.push(Action::ShowEvaluated {
            evaluation: Arc::clone(evaluation),
            head: findings.head,
            index: picture.index as usize,
            order: Arc::clone(&findings.order),
        });
    }
    response
        .on_hover_text(format!("{name}\n{}", sentence(findings, picture)))
        .on_hover_cursor(CursorIcon::PointingHand);
}

/// What the model says of a picture, with its best classes.
pub fn sentence(findings: &Findings, picture: &PictureResult) -> String {
    let name = |class: u32| findings.class(class);
    let truth = format!("truth {} {:.1} %", name(picture.truth), picture.truth_score * 100.0);
    let said = format!("predicted {} {:.1} %", name(picture.said()), picture.confidence() * 100.0);
    format!("{truth}, {said}, loss {}", format::number(f64::from(picture.loss)))
}
