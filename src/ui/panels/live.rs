//! Live samples: what the model says of the fixed validation pictures, epoch by epoch.

use super::boxes::{self, BoxView, Layer};
use super::confusion::Cell;
use super::masks::{self, MaskView, Over};
use super::textures::Textures;
use super::{kit, samples};
use crate::data::Label;
use crate::session::{LiveSample, RunView};
use crate::train::segmentation::Mask;
use crate::train::{Answer, BoxScore, HeadPrediction};
use crate::ui::{Action, Context, Theme};
use egui::{
    Align2, CornerRadius, CursorIcon, FontId, Key, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo,
    pos2, vec2,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is shown on the pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Show {
    /// What is true.
    Truth,
    /// What the model says.
    Prediction,
    /// Where the two differ.
    #[default]
    Difference,
}

impl Show {
    pub(super) const ALL: [(Self, Key, &'static str); 3] = [
        (Self::Truth, Key::Num1, "1 truth"),
        (Self::Prediction, Key::Num2, "2 prediction"),
        (Self::Difference, Key::Num3, "3 difference"),
    ];
}

/// What the panel remembers.
#[derive(Debug, Default)]
pub struct LiveState {
    /// The epoch looked at; `None` follows the newest.
    pub epoch: Option<u32>,
    /// What is shown on the pictures.
    pub show: Show,
    /// Only pictures of this cell of the confusion matrix.
    pub cell: Option<Cell>,
    /// Which boxes of a detector are shown.
    pub boxes: BoxView,
    /// How masks are shown.
    pub masks: MaskView,
}

impl LiveState {
    /// The samples to show: of the epoch looked at or the last one before it.
    fn samples<'a>(&self, run: &'a RunView) -> Option<(u32, &'a [LiveSample])> {
        let until = self.epoch.unwrap_or(u32::MAX);
        run.samples.range(..=until).next_back().map(|(epoch, samples)| (*epoch, samples.as_slice()))
    }

    fn keeps(&self, sample: &LiveSample) -> bool {
        self.cell.is_none_or(|(truth, said)| {
            sample.class() == Some(truth) && sample.prediction.top().is_some_and(|top| top.class == said)
        })
    }
}

/// The row of the title: what is shown on the pictures, which of them.
pub fn header(ui: &mut Ui, cx: &mut Context<'_>, state: &mut LiveState, titled: bool) {
    let (view, theme) = (cx.view, cx.theme);
    if titled {
        ui.label(egui::RichText::new("Live samples").size(12.5).color(theme.text).strong());
        ui.add_space(8.0);
    }
    if kit::keys_are_free(ui) {
        for (show, key, _) in Show::ALL {
            if ui.input_mut(|input| input.consume_key(egui::Modifiers::NONE, key)) {
                state.show = show;
            }
        }
    }
    for (show, _, text) in Show::ALL {
        if kit::chip(ui, theme, state.show == show, text).clicked() {
            state.show = show;
        }
    }
    if let Some((truth, said)) = state.cell {
        let name = |class: u32| {
            let classes = view.run.as_ref().map(|run| &run.info.classes);
            classes.and_then(|classes| classes.get(class as usize)).map_or("?", String::as_str)
        };
        let text = format!("{} called {}  ✗", name(truth), name(said));
        if kit::chip(ui, theme, true, &text).on_hover_text("Show all pictures again").clicked() {
            state.cell = None;
        }
    }
    let Some(run) = &view.run else { return };
    if let Some((epoch, samples)) = state.samples(run) {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if let Some(boxes) = samples.iter().find_map(|sample| boxes::of(&sample.prediction)) {
                let own = boxes.own;
                // The scrubber below says the epoch; the sliders need the room.
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    ui.add_space(8.0);
                    state.boxes.sliders(ui, theme, own);
                });
                return;
            }
            if let Some(mask) = samples.iter().find_map(|sample| masks::of(&sample.prediction)) {
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    ui.add_space(8.0);
                    state.masks.tools(ui, theme, Some(mask), &mask.classes);
                    ui.add_space(6.0);
                    masks::legend(ui, theme, state.show, mask.classes.len());
                });
                return;
            }
            let judged = samples.iter().filter(|sample| is_right(sample).is_some()).count();
            let right = samples.iter().filter(|sample| is_right(sample) == Some(true)).count();
            if judged > 0 {
                let text = format!("epoch {epoch} · {right} of {judged} right");
                ui.label(egui::RichText::new(text).size(11.5).color(theme.weak));
            }
        });
    }
}

/// The label heads with what each should say.
fn label_heads(sample: &LiveSample) -> impl Iterator<Item = (&HeadPrediction, &Label)> {
    let heads = sample.prediction.heads.iter().filter(|head| matches!(head.answer, Answer::Classes(_)));
    heads.enumerate().map(|(at, head)| (head, sample.truth.get(at).unwrap_or(&Label::Unknown)))
}

/// Whether a head decided for exactly what is true; `None` where nothing is known.
fn head_is_right(head: &HeadPrediction, truth: &Label) -> Option<bool> {
    let said: BTreeSet<u32> = head.decided().iter().map(|score| score.class).collect();
    truth.is_known().then(|| said == truth.classes().collect())
}

/// Whether everything that is known of a picture was named right; `None` where there is nothing to compare.
#[must_use]
pub fn is_right(sample: &LiveSample) -> Option<bool> {
    let known = label_heads(sample).filter_map(|(head, truth)| head_is_right(head, truth));
    known.reduce(|all, right| all && right)
}

/// The pictures, and the scrubber below them.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut LiveState, textures: &mut Textures) {
    let (view, theme) = (cx.view, cx.theme);
    let Some(run) = &view.run else {
        let text = "A few validation pictures are asked again after every epoch, so that you see the model learn.";
        kit::empty(ui, theme, "Live samples appear here", text);
        return;
    };
    let Some((_, all)) = state.samples(run) else {
        kit::empty(ui, theme, "Waiting for epoch 0", "The model is asked once before training begins.");
        return;
    };
    let rect = ui.available_rect_before_wrap();
    let (tiles, foot) = rect.split_top_bottom_at_y((rect.bottom() - 38.0).max(rect.top()));
    let shown: Vec<&LiveSample> = all.iter().filter(|sample| state.keeps(sample)).collect();
    ui.scope_builder(egui::UiBuilder::new().max_rect(tiles), |ui| {
        if shown.is_empty() {
            let text = "The matrix counts all validation pictures; only a few of them are shown live.";
            kit::empty(ui, theme, "None of the live pictures is in this cell", text);
        } else {
            grid(ui, cx, state, textures, &shown);
        }
    });
    ui.scope_builder(egui::UiBuilder::new().max_rect(foot), |ui| scrubber(ui, theme, state, run));
}

/// Tiles in rows that use the height; what does not fit is reached by scrolling sideways.
fn grid(ui: &mut Ui, cx: &mut Context<'_>, state: &mut LiveState, textures: &mut Textures, shown: &[&LiveSample]) {
    const GAP: f32 = 8.0;
    let area = ui.available_size();
    let fitting = |rows: usize| {
        let height = (area.y - GAP * rows as f32) / rows as f32;
        let columns = shown.len().div_ceil(rows);
        let width = ((area.x - GAP * (columns - 1) as f32) / columns as f32).min(height * 1.25);
        (rows, vec2(width, height))
    };
    let legible = |size: egui::Vec2| size.x >= 112.0 && size.y >= 112.0;
    // The fewest rows that show all tiles, else one that scrolls.
    let found = (1..=shown.len()).map(fitting).find(|(_, size)| legible(*size));
    let (rows, size) = found.unwrap_or_else(|| {
        let height = (area.y - 14.0).max(60.0);
        (1, vec2((height * 1.05).clamp(112.0, 200.0), height))
    });
    let columns = shown.len().div_ceil(rows);
    // The plain wheel scrolls sideways: there is nothing to scroll down to.
    ui.style_mut().always_scroll_the_only_direction = true;
    egui::ScrollArea::horizontal().id_salt("live").show(ui, |ui| {
        let whole = vec2(columns as f32 * (size.x + GAP) - GAP, rows as f32 * (size.y + GAP) - GAP);
        let (rect, _) = ui.allocate_exact_size(whole, Sense::hover());
        for (i, sample) in shown.iter().enumerate() {
            let place = vec2((i % columns) as f32, (i / columns) as f32) * (size + vec2(GAP, GAP));
            let tile = Rect::from_min_size(rect.min + place, size);
            if ui.is_rect_visible(tile) {
                draw_tile(ui, cx, state, textures, sample, tile);
            }
        }
    });
}

/// One picture with what is true and what the model says; a click opens it.
fn draw_tile(
    ui: &mut Ui,
    cx: &mut Context<'_>,
    state: &mut LiveState,
    textures: &mut Textures,
    sample: &LiveSample,
    rect: Rect,
) {
    let theme = cx.theme;
    let found = boxes::of(&sample.prediction).map(|boxes| state.boxes.chosen(boxes));
    let said = masks::of(&sample.prediction);
    let painter = ui.painter_at(rect.expand(2.0));
    let scores = samples::class_scores(&sample.prediction).unwrap_or_default();
    let row = 15.0;
    let foot = if state.show == Show::Truth { 0 } else { scores.len().min(3) } as f32 * row;
    let (picture, below) = rect.split_top_bottom_at_y(rect.bottom() - foot.min(rect.height() * 0.45));
    let picture = if foot > 0.0 { picture.with_max_y(picture.bottom() - 3.0) } else { picture };
    let size_px = sample.prediction.size_px;
    // The whole picture, where something of it may lie at the border.
    let picture = if found.is_some() || said.is_some() {
        kit::fit(picture, vec2(size_px[0].max(1) as f32, size_px[1].max(1) as f32))
    } else {
        picture
    };
    let radius = CornerRadius::same(4);
    samples::paint_cover(&painter, cx, textures, samples::source(cx.view, sample).as_ref(), picture, radius);
    if let Some(found) = &found {
        let truth = sample.objects.as_deref();
        let classes = cx.view.run.as_ref().map(|run| run.info.classes.as_slice()).unwrap_or_default();
        let named = picture.width() >= 180.0;
        let layer = Layer { show: state.show, truth, found, classes, size_px, named };
        layer.paint(&painter.with_clip_rect(picture), theme, picture);
    }
    let worth = said.and_then(|said| mask(&painter, cx, state, sample, said, picture));
    let words = words(cx, sample, found.as_deref().map(Vec::as_slice), worth);
    let response = ui.interact(rect, ui.scope_id().with(("live", sample.index)), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &words));
    badge(&painter, theme, cx, state.show, sample, picture);
    samples::paint_scores(
        &painter,
        theme,
        scores,
        sample.class().filter(|_| state.show == Show::Difference),
        below,
        row,
    );
    let (line, width) = match is_right(sample).filter(|_| state.show == Show::Difference) {
        Some(true) => (theme.good, 2.0),
        Some(false) => (theme.bad, 2.0),
        None => (theme.border, 1.0),
    };
    painter.rect_stroke(picture, radius, Stroke::new(width, line), StrokeKind::Inside);
    focus(ui, theme, &response);
    if response.clicked() {
        cx.push(Action::ShowImage(Some(sample.index)));
    }
    response.on_hover_text(words).on_hover_cursor(CursorIcon::PointingHand);
}

/// Lays the masks of a picture over it and says what the model's is worth.
fn mask(
    painter: &egui::Painter,
    cx: &Context<'_>,
    state: &mut LiveState,
    sample: &LiveSample,
    said: &Arc<Mask>,
    picture: Rect,
) -> Option<String> {
    let truth = samples::known(cx.view, sample).and_then(|known| masks::truth(cx.thumbs, known));
    let over = Over { show: state.show, truth: truth.as_ref(), said: Some(said), place: sample.index as u64 };
    let clipped = painter.with_clip_rect(picture);
    let worth = masks::words(state.masks.paint(&clipped, cx.theme, over, picture));
    if let Some(worth) = worth.as_ref().filter(|_| state.show != Show::Truth && picture.width() > 60.0) {
        let at = picture.left_bottom() + vec2(4.0, -4.0);
        kit::plate(&clipped, cx.theme, at, Align2::LEFT_BOTTOM, worth, cx.theme.text, picture.width() - 8.0);
    }
    worth
}

fn focus(ui: &Ui, theme: &Theme, response: &Response) {
    if response.has_focus() || response.hovered() {
        let stroke = Stroke::new(1.0, theme.text);
        ui.painter().rect_stroke(response.rect, CornerRadius::same(4), stroke, StrokeKind::Outside);
    }
}

/// What a head says in words, with its name where there are several.
fn said(sample: &LiveSample, head: &HeadPrediction) -> String {
    let names: Vec<&str> = head.decided().iter().map(|score| score.name.as_str()).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    if label_heads(sample).count() > 1 { format!("{} {names}", head.head) } else { names }
}

/// What is true for a label head, by its place.
fn truth(cx: &Context<'_>, place: usize, label: &Label) -> Option<String> {
    let run = cx.view.run.as_ref()?;
    run.info.columns.get(place)?.told(label)
}

fn badge(painter: &egui::Painter, theme: &Theme, cx: &Context<'_>, show: Show, sample: &LiveSample, rect: Rect) {
    let mut lines: Vec<(String, egui::Color32)> = Vec::new();
    for (place, (head, label)) in label_heads(sample).enumerate() {
        let (said, truth) = (said(sample, head), truth(cx, place, label));
        match (show, head_is_right(head, label)) {
            (Show::Truth, _) => lines.extend(truth.map(|name| (name, theme.text))),
            (Show::Difference, Some(true)) => lines.push((format!("✓ {said}"), theme.good)),
            (Show::Difference, Some(false)) => {
                lines.push((format!("✗ {said}"), theme.bad));
                lines.push((format!("truth {}", truth.unwrap_or_default()), theme.text));
            }
            _ => lines.push((said, theme.text)),
        }
    }
    let mut at = rect.min + vec2(5.0, 5.0);
    for (text, color) in lines {
        let plate = kit::plate(painter, theme, at, Align2::LEFT_TOP, &text, color, rect.width() - 10.0);
        at.y = plate.bottom() + 2.0;
    }
    if let Some(error) = &sample.prediction.error {
        kit::plate(painter, theme, at, Align2::LEFT_TOP, error, theme.bad, rect.width() - 10.0);
    }
}

fn words(cx: &Context<'_>, sample: &LiveSample, found: Option<&[BoxScore]>, worth: Option<String>) -> String {
    let name = super::format::file_name(&sample.prediction.image);
    let told = |(place, (head, label)): (usize, (&HeadPrediction, &Label))| {
        let score = head.decided().first().map_or(String::new(), |best| format!(" {:.1} %", best.score * 100.0));
        let truth = truth(cx, place, label).map(|truth| format!("truth {truth}, ")).unwrap_or_default();
        format!("{truth}predicted {}{score}", said(sample, head))
    };
    let heads: Vec<String> = label_heads(sample).enumerate().map(told).collect();
    let heads = (!heads.is_empty()).then(|| heads.join(", "));
    let heads = heads.or_else(|| Some(boxes::words(sample.objects.as_deref(), found?))).or(worth);
    let verdict = is_right(sample).map(|right| if right { "right" } else { "wrong" }.to_owned());
    let parts = [Some(name.to_owned()), heads, verdict];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The slider over epochs: it follows the newest until it is dragged back.
fn scrubber(ui: &mut Ui, theme: &Theme, state: &mut LiveState, run: &RunView) {
    let newest = run.samples.keys().next_back().copied().unwrap_or_default();
    let end = run.info.plan.epochs.max(newest);
    let before = state.epoch.unwrap_or(newest).min(newest);
    let mut epoch = before;
    let rect = ui.available_rect_before_wrap();
    ui.spacing_mut().slider_width = rect.width();
    ui.spacing_mut().interact_size.y = 18.0;
    let slider = egui::Slider::new(&mut epoch, 0..=end.max(1)).show_value(false).trailing_fill(true);
    let response = ui.add(slider).accessible_name("Epoch of the live samples");
    if response.changed() && epoch != before {
        state.epoch = (epoch < newest).then_some(epoch);
    }
    let inside = response.rect.shrink2(vec2(9.0, 0.0));
    let y = response.rect.bottom() + 1.0;
    let x = egui::lerp(inside.x_range(), before.min(end) as f32 / end.max(1) as f32);
    let font = FontId::proportional(10.5);
    let painter = ui.painter();
    let now = if state.epoch.is_none() { format!("{before} · newest") } else { before.to_string() };
    let now = painter.layout_no_wrap(now, font.clone(), theme.accent);
    let half = now.size().x / 2.0;
    let x = x.clamp(rect.left() + half, (rect.right() - half).max(rect.left() + half));
    painter.galley(pos2(x - half, y), now, theme.accent);
    if x - half > rect.left() + 52.0 {
        painter.text(pos2(rect.left(), y), Align2::LEFT_TOP, "epoch 0", font.clone(), theme.weak);
    }
    if x + half < rect.right() - 28.0 {
        painter.text(pos2(rect.right(), y), Align2::RIGHT_TOP, end.to_string(), font, theme.weak);
    }
}
