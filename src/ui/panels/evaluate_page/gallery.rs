//! The pictures behind a number, the largest loss first.

use super::super::boxes::{self, Layer};
use super::super::live::Show;
use super::super::masks::{self, MaskView, Over};
use super::super::textures::Textures;
use super::super::{format, kit, samples};
use super::classes::grade;
use super::findings::{Findings, Item, Pick};
use super::{EvaluateState, head};
use crate::train::{Choice, Told};
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
                    if let Some(item) = findings.shown.get(at).and_then(|&at| findings.item(at)) {
                        tile(ui, cx, textures, (findings, &mut state.masks), item, size);
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
    (findings, view): (&Findings, &mut MaskView),
    item: Item<'_>,
    size: egui::Vec2,
) {
    let theme = cx.theme;
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let Some(evaluation) = &findings.evaluation else { return };
    let sample = evaluation.set.samples.get(item.index());
    let name = sample.map_or_else(String::new, |sample| sample.image.name());
    let words = format!("{}: {}", format::file_name(&name), sentence(findings, item));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &words));
    if !ui.is_rect_visible(rect) {
        return;
    }
    let image = rect.with_max_y(rect.bottom() - LINES);
    samples::paint_cover(ui.painter(), cx, textures, sample.map(|sample| &sample.image), image, kit::RADIUS);
    if let (Some(sample), Some(found), Some(results)) = (sample, &findings.detected, findings.results())
        && let Some(answer) = boxes::measured(results, item.index())
    {
        let own = Choice { confidence: found.confidence as f32, ..answer.own };
        let layer = Layer {
            show: Show::Difference,
            truth: sample.target.boxes.as_deref(),
            found: &answer.chosen(own),
            classes: &results.classes,
            size_px: sample.size_px,
            named: false,
        };
        layer.paint_cover(ui.painter(), theme, image);
    }
    if let (Item::Mask(_), Some(truth)) = (item, sample.and_then(|sample| masks::truth(cx.thumbs, sample))) {
        let over = Over { show: Show::Truth, truth: Some(&truth), said: None, place: item.index() as u64 };
        view.paint_cover(ui.painter(), theme, over, image);
    }
    let color = match item {
        Item::Mask(picture) => grade(theme, picture.iou().unwrap_or(0.0)),
        _ if item.is_right() => theme.good,
        _ => theme.bad,
    };
    let active = response.hovered() || response.has_focus();
    let stroke = Stroke::new(if active { 2.5 } else { 1.5 }, color);
    ui.painter().rect_stroke(image, kit::RADIUS, stroke, StrokeKind::Inside);
    let line = |y: f32, (text, number): (String, String), size: f32, color: egui::Color32| {
        let room = if number.is_empty() { 0.0 } else { 38.0 };
        let at = pos2(rect.left() + 2.0, y);
        kit::text_at(ui.painter(), at, Align2::LEFT_CENTER, &text, size, color, rect.width() - room - 4.0);
        let at = pos2(rect.right() - 2.0, y);
        kit::text_at(ui.painter(), at, Align2::RIGHT_CENTER, &number, size, color, room);
    };
    let [first, second] = lines(findings, item);
    line(image.bottom() + 10.0, first, 12.0, theme.text);
    line(image.bottom() + 24.0, second, 11.0, theme.weak);
    if response.clicked() {
        cx.push(Action::ShowEvaluated {
            evaluation: Arc::clone(evaluation),
            head: findings.head,
            index: item.index(),
            order: Arc::clone(&findings.order),
        });
    }
    response.on_hover_text(format!("{name}\n{}", sentence(findings, item))).on_hover_cursor(CursorIcon::PointingHand);
}

/// The two lines below a picture, each with a number at its end.
fn lines(findings: &Findings, item: Item<'_>) -> [(String, String); 2] {
    let sign = if item.is_right() { "✓" } else { "✗" };
    let percent = |share: f32| format!("{:.0} %", share * 100.0);
    let loss = ("loss".to_owned(), item.loss().map_or(String::new(), format::number));
    match item {
        Item::Boxes(picture) => {
            let [right, wrong, missed] = picture.counts(findings.background());
            let parts = [(missed, "missed"), (wrong, "wrong")].into_iter().filter(|(count, _)| *count > 0);
            let parts: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
            [(format!("{sign} {right} found"), String::new()), (parts.join(", "), String::new())]
        }
        Item::Mask(picture) => {
            let share = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{:.0} %", value * 100.0));
            let worst = picture.classes.iter().filter_map(|of| Some((of.iou()?, of.class)));
            let worst = worst.min_by(|a, b| a.0.total_cmp(&b.0));
            let second = worst.map(|(iou, class)| (findings.class(class).to_owned(), share(Some(iou))));
            [("mIoU".to_owned(), share(picture.iou())), second.unwrap_or_default()]
        }
        Item::Class(picture) => {
            let first = (format!("{sign} {}", findings.class(picture.said())), percent(picture.confidence()));
            let truth = (format!("is {}", findings.class(picture.truth)), percent(picture.truth_score));
            [first, if item.is_right() { loss } else { truth }]
        }
        Item::Labels(_) => {
            let missed = names(findings, item, |told| told.there && !told.given);
            let extra = names(findings, item, |told| told.given && !told.there);
            let right = names(findings, item, |told| told.given && told.there);
            let second = match (missed.is_empty(), extra.is_empty()) {
                (true, true) => loss,
                (false, true) => (format!("misses {missed}"), String::new()),
                (true, false) => (format!("not {extra}"), String::new()),
                (false, false) => (format!("misses {missed}, not {extra}"), String::new()),
            };
            let right = if right.is_empty() { "none".to_owned() } else { right };
            [(format!("{sign} {right}"), String::new()), second]
        }
    }
}

fn names(findings: &Findings, item: Item<'_>, holds: fn(&Told) -> bool) -> String {
    item.labels(holds).map(|told| findings.class(told.class)).collect::<Vec<_>>().join(", ")
}

/// What the model says of a picture, with its best classes.
fn sentence(findings: &Findings, item: Item<'_>) -> String {
    let loss = item.loss().map_or(String::new(), |loss| format!("loss {}", format::number(loss)));
    let one = |text: &str, class: u32, score: f32| format!("{text} {} {:.1} %", findings.class(class), score * 100.0);
    match item {
        Item::Boxes(picture) => {
            let [right, wrong, missed] = picture.counts(findings.background());
            format!("{right} found, {wrong} wrong, {missed} missed")
        }
        Item::Mask(picture) => super::super::masks::sentence(picture, |class| findings.class(class)),
        Item::Class(picture) => {
            let truth = one("truth", picture.truth, picture.truth_score);
            format!("{truth}, {}, {loss}", one("predicted", picture.said(), picture.confidence()))
        }
        Item::Labels(picture) => {
            let word = |told: &Told| match (told.given, told.there) {
                (true, true) => "rightly",
                (true, false) => "wrongly",
                (false, _) => "misses",
            };
            let parts: Vec<String> = picture.told.iter().map(|told| one(word(told), told.class, told.score)).collect();
            let parts = if parts.is_empty() { "no label".to_owned() } else { parts.join(", ") };
            format!("{parts}, {loss}")
        }
    }
}
