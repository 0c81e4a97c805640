//! One picture of the set at full size, over everything else: zoom, pan, next and previous.

use super::boxes::{self, BoxView, Layer};
use super::live::Show;
use super::masks::{self, MaskView, Over};
use super::textures::{Textures, Thumb};
use super::zoom::Zoom;
use super::{kit, samples};
use crate::data::{Dataset, Sample};
use crate::session::{Command, Evaluation};
use crate::train::segmentation::{Mask, Parts};
use crate::train::{Boxes, Prediction};
use crate::ui::{Action, Context, Theme};
use egui::{
    Align2, Color32, CursorIcon, Key, Modifiers, Rect, RichText, Role, Sense, Stroke, Ui, Vec2, WidgetInfo, pos2, vec2,
};
use std::sync::Arc;

/// What the viewer remembers.
#[derive(Debug)]
pub struct ViewerState {
    /// The picture that is shown, as [`Action::ShowImage`] said.
    shown: Option<usize>,
    zoom: Zoom,
    /// Where the picture belongs to a measurement and not to the set that is open.
    measured: Option<Measured>,
    /// What is shown of its objects, and which.
    show: Show,
    boxes: BoxView,
    masks: MaskView,
    /// Where the picture ends and its mask begins, as a share of the room's width; none for the mask over all of it.
    swipe: Option<f32>,
    /// What a detector says of the picture that is shown; told apart by that and by where it comes from.
    answer: Option<((usize, usize), Arc<Boxes>)>,
}

/// What was measured, the head that is looked at, and what the arrow keys step through.
#[derive(Clone, Debug)]
struct Measured {
    evaluation: Arc<Evaluation>,
    head: usize,
    order: Arc<Vec<usize>>,
}

impl Default for ViewerState {
    fn default() -> Self {
        let (show, boxes, masks) = (Show::default(), BoxView::default(), MaskView::default());
        Self { shown: None, zoom: Zoom::default(), measured: None, show, boxes, masks, swipe: None, answer: None }
    }
}

impl ViewerState {
    /// Performs [`Action::ShowImage`].
    pub fn show(&mut self, index: Option<usize>) {
        let measured = self.measured.take().filter(|_| index.is_some());
        self.turn_to(index, measured);
    }

    /// Shows a picture, fitted; what is shown of its objects stays.
    fn turn_to(&mut self, shown: Option<usize>, measured: Option<Measured>) {
        let (show, swipe) = (self.show, self.swipe);
        let (boxes, masks) = (std::mem::take(&mut self.boxes), std::mem::take(&mut self.masks));
        *self = Self { shown, measured, show, boxes, masks, swipe, ..Self::default() };
    }

    /// What a detector said of the picture: when it was measured, else after the newest epoch if it is a live one.
    fn answer(&mut self, cx: &Context<'_>, index: usize, sample: &Sample) -> Option<Arc<Boxes>> {
        let Some(measured) = &self.measured else {
            return boxes::of(live(cx, index, sample)?).cloned();
        };
        let key = (Arc::as_ptr(&measured.evaluation).addr(), index);
        if let Some((known, answer)) = &self.answer
            && *known == key
        {
            return Some(Arc::clone(answer));
        }
        let head = measured.evaluation.heads.get(measured.head)?;
        let answer = Arc::new(boxes::measured(head, index)?);
        self.answer = Some((key, Arc::clone(&answer)));
        Some(answer)
    }

    /// What a model said of the picture's pixels: the measured one if it was asked again, else the one in training after its
    /// newest epoch, if the picture is a live one.
    fn mask(&self, cx: &Context<'_>, index: usize, sample: &Sample) -> Option<Arc<Mask>> {
        if let Some(measured) = &self.measured {
            // What was measured is counted and not kept; the model can be asked for one picture again.
            // Another model's answer to the same picture is none of this one's.
            cx.view.predicted_by.as_ref().filter(|from| **from == measured.evaluation.source)?;
            let name = sample.image.name();
            let asked = cx.view.predictions.as_ref()?.iter().find(|prediction| prediction.image == name)?;
            return masks::of(asked).cloned();
        }
        masks::of(live(cx, index, sample)?).cloned()
    }

    /// Performs [`Action::ShowEvaluated`].
    pub fn show_evaluated(
        &mut self,
        (evaluation, head): (Arc<Evaluation>, usize),
        index: usize,
        order: Arc<Vec<usize>>,
    ) {
        let measured = Some(Measured { evaluation, head, order });
        self.turn_to(Some(index), measured);
    }

    /// The picture that is shown.
    #[must_use]
    pub fn shown(&self) -> Option<usize> {
        self.shown
    }
}

/// Draws the viewer over the window while a picture is shown; `order` is what the arrow keys step through (all
/// pictures where it lacks the one shown). Call it last.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut ViewerState, textures: &mut Textures, order: &[usize]) {
    let measured = state.measured.clone();
    let (data, order) = match &measured {
        Some(measured) => (Some(&measured.evaluation.set), measured.order.as_slice()),
        None => (cx.view.data.as_ref(), order),
    };
    let (Some(index), Some(data)) = (state.shown, data) else { return };
    let Some(sample) = data.samples.get(index) else { return };
    let theme = cx.theme;
    let window = ui.ctx().content_rect();
    let frame =
        egui::Frame::new().fill(theme.panel).corner_radius(8).stroke(Stroke::new(1.0, theme.border)).inner_margin(12);
    let modal = egui::Modal::new(egui::Id::unique("picture viewer"))
        .frame(frame)
        .backdrop_color(theme.background.gamma_multiply(0.85));
    let response = modal.show(ui.ctx(), |ui| {
        let size = window.size() * vec2(0.9, 0.92);
        ui.set_min_size(size);
        ui.set_max_size(size);
        head(ui, cx, data, sample, index, order);
        if let Some(measured) = &measured {
            said(ui, theme, measured, index);
        }
        let answer = state.answer(cx, index, sample);
        if answer.is_some() || sample.target.boxes.is_some() {
            ui.horizontal(|ui| tools(ui, theme, state, answer.as_ref()));
        }
        let (said, truth) = (state.mask(cx, index, sample), masks::truth(cx.thumbs, sample));
        if said.is_some() || sample.target.mask.is_some() {
            ui.horizontal(|ui| {
                mask_tools(ui, theme, state, said.as_deref(), data.classes());
                if let (Some(measured), None) = (&measured, &said) {
                    ask(ui, cx, measured, sample);
                }
            });
        }
        ui.add_space(6.0);
        let known = Known { data, sample, answer: answer.as_ref(), said: said.as_ref(), truth: truth.as_ref() };
        picture(ui, cx, state, textures, known);
    });
    let step = |by: isize| next(data.samples.len(), order, index, by);
    let keys = [(Key::ArrowRight, 1), (Key::ArrowLeft, -1), (Key::ArrowDown, 1), (Key::ArrowUp, -1)];
    for (key, by) in keys {
        if ui.input_mut(|input| input.consume_key(Modifiers::NONE, key)) {
            cx.push(Action::ShowImage(step(by)));
        }
    }
    if response.should_close() {
        cx.push(Action::ShowImage(None));
    }
}

/// What the network in training said of a picture last. The set that is open may be another than the run's.
fn live<'a>(cx: &Context<'a>, index: usize, sample: &Sample) -> Option<&'a Prediction> {
    let newest = cx.view.run.as_ref()?.samples.values().next_back()?;
    let live = newest.iter().find(|live| live.index == index)?;
    (live.prediction.image == sample.image.name()).then_some(&live.prediction)
}

/// The picture `by` steps away, around the ends.
fn next(len: usize, order: &[usize], index: usize, by: isize) -> Option<usize> {
    let around = |at: usize, len: usize| (at as isize + by).rem_euclid(len.max(1) as isize) as usize;
    match order.iter().position(|&known| known == index) {
        Some(at) => order.get(around(at, order.len())).copied(),
        None => (len > 0).then(|| around(index, len)),
    }
}

fn head(ui: &mut Ui, cx: &mut Context<'_>, data: &Dataset, sample: &Sample, index: usize, order: &[usize]) {
    let theme = cx.theme;
    let name = sample.image.name();
    ui.horizontal(|ui| {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.button("×").on_hover_text("Close (Esc)").clicked() {
                cx.push(Action::ShowImage(None));
            }
            for (text, hint, by) in [("▶", "Next (→)", 1), ("◀", "Previous (←)", -1)] {
                if ui.button(text).on_hover_text(hint).clicked() {
                    cx.push(Action::ShowImage(next(data.samples.len(), order, index, by)));
                }
            }
            if kit::link_button(ui, theme, "Copy path").clicked() {
                cx.push(Action::Copy(name.clone()));
            }
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                if let Some(class) = sample.target.class() {
                    let (dot, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
                    ui.painter().circle_filled(dot.center(), 5.0, samples::class_color(theme, class));
                }
                let labels = samples::labels(data, sample).join(" · ");
                if !labels.is_empty() {
                    ui.label(RichText::new(labels).size(14.0).color(theme.text).strong());
                }
                let [width, height] = sample.size_px;
                let text = format!("{} · {width} × {height} px · {}", super::format::file_name(&name), sample.split);
                ui.add(egui::Label::new(RichText::new(text).size(12.5).color(theme.weak)).truncate())
                    .on_hover_text(&name);
            });
        });
    });
}

/// What the model says of a measured picture.
fn said(ui: &mut Ui, theme: &Theme, measured: &Measured, index: usize) {
    let Some(head) = measured.evaluation.heads.get(measured.head) else { return };
    let name = |class: u32| head.classes.get(class as usize).map_or("?", String::as_str);
    if let Some(labels) = head.labels_of(index) {
        ui.horizontal_wrapped(|ui| {
            for told in &labels.told {
                let (sign, color, note) = match (told.given, told.there) {
                    (true, true) => ("✓", theme.good, ""),
                    (true, false) => ("✗", theme.bad, " is not true"),
                    (false, _) => ("✗", theme.bad, " is missed"),
                };
                let text = format!("{sign} {}{note} {:.1} %", name(told.class), told.score * 100.0);
                ui.label(RichText::new(text).size(12.5).color(color));
            }
            let text = format!("loss {}", super::format::number(f64::from(labels.loss)));
            ui.label(RichText::new(text).size(12.5).color(theme.weak));
        });
        return;
    }
    if let Some(picture) = head.mask_of(index) {
        ui.label(RichText::new(masks::sentence(picture, name)).size(12.5).color(theme.text));
        return;
    }
    let Some(result) = head.of(index) else { return };
    let (sign, color) = if result.is_right() { ("✓", theme.good) } else { ("✗", theme.bad) };
    ui.horizontal(|ui| {
        ui.label(RichText::new(format!("{sign} truth {}", name(result.truth))).size(13.0).color(color).strong());
        let loss = super::format::number(f64::from(result.loss));
        let text = format!("{:.1} %, loss {loss} · the model says", result.truth_score * 100.0);
        ui.label(RichText::new(text).size(12.5).color(theme.weak));
        for &(class, score) in result.top() {
            let color = if class == result.truth { theme.good } else { theme.text };
            let text = format!("{} {:.1} %", name(class), score * 100.0);
            ui.label(RichText::new(text).size(12.5).color(color));
        }
    });
}

/// What is shown of the objects, and the sliders where a detector said something.
fn tools(ui: &mut Ui, theme: &Theme, state: &mut ViewerState, answer: Option<&Arc<Boxes>>) {
    let Some(answer) = answer else { return };
    for (show, key, text) in Show::ALL {
        let pressed = ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if kit::chip(ui, theme, state.show == show, text).clicked() || pressed {
            state.show = show;
        }
    }
    ui.add_space(10.0);
    state.boxes.sliders(ui, theme, answer.own);
}

/// What is shown of the masks, and their controls.
fn mask_tools(ui: &mut Ui, theme: &Theme, state: &mut ViewerState, said: Option<&Mask>, classes: &[String]) {
    if said.is_some() {
        for (show, key, text) in Show::ALL {
            let pressed = ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
            if kit::chip(ui, theme, state.show == show, text).clicked() || pressed {
                state.show = show;
            }
        }
        ui.add_space(10.0);
    }
    state.masks.tools(ui, theme, said, classes);
    let chip = kit::chip(ui, theme, state.swipe.is_some(), "swipe");
    if chip.on_hover_text("The picture on the left of a line, its mask on the right; drag the line.").clicked() {
        state.swipe = if state.swipe.is_some() { None } else { Some(0.5) };
    }
    if said.is_some() {
        ui.add_space(8.0);
        masks::legend(ui, theme, state.show, classes.len());
    }
}

/// Asks the measured model for its mask of this picture: masks are counted when they are measured, and not kept.
fn ask(ui: &mut Ui, cx: &mut Context<'_>, measured: &Measured, sample: &Sample) {
    let crate::data::ImageSource::File(path) = &sample.image else { return };
    let idle = cx.view.busy.is_none() && !cx.view.is_training();
    ui.add_enabled_ui(idle, |ui| {
        let link = kit::link_button(ui, cx.theme, "Compare with the model…");
        let help = "Asks the model for its mask of this picture and shows where the two differ.";
        if link.on_hover_text(help).on_disabled_hover_text("Something else is being done; wait for it.").clicked() {
            let (images, from) = (vec![path.clone()], Some(measured.evaluation.source.clone()));
            cx.push(Action::Send(Command::Predict { images, from, parts: Parts::default() }));
        }
    });
}

/// What there is to draw over a picture.
#[derive(Clone, Copy)]
struct Known<'a> {
    data: &'a Dataset,
    sample: &'a Sample,
    answer: Option<&'a Arc<Boxes>>,
    said: Option<&'a Arc<Mask>>,
    truth: Option<&'a Arc<Mask>>,
}

/// Draws the masks over a picture that lies at `rect`, right of the line where there is one.
fn paint_masks(ui: &Ui, cx: &Context<'_>, state: &mut ViewerState, known: Known<'_>, area: Rect, rect: Rect) {
    let (theme, sample) = (cx.theme, known.sample);
    if known.said.is_none() && known.truth.is_none() {
        if let Some(Err(reason)) = sample.target.mask.as_ref().and_then(|mask| cx.thumbs.mask(mask)) {
            let at = area.left_bottom() + vec2(8.0, -8.0);
            kit::plate(&ui.painter_at(area), theme, at, Align2::LEFT_BOTTOM, &reason, theme.bad, area.width() - 16.0);
        }
        return;
    }
    let mut clip = area;
    let seen = rect.intersect(area);
    if let Some(share) = &mut state.swipe {
        let line = |share: f32| egui::lerp(seen.x_range(), share);
        let handle = Rect::from_center_size(pos2(line(*share), seen.center().y), vec2(18.0, seen.height()));
        let response = ui.interact(handle, ui.scope_id().with("swipe"), Sense::drag());
        let words = format!("Line between picture and mask at {:.0} %", *share * 100.0);
        response.widget_info(|| WidgetInfo::labeled(Role::Slider, true, &words));
        if let Some(at) = response.interact_pointer_pos().filter(|_| response.dragged()) {
            *share = ((at.x - seen.left()) / seen.width().max(1.0)).clamp(0.0, 1.0);
        }
        response.on_hover_and_drag_cursor(CursorIcon::ResizeHorizontal);
        clip.min.x = line(*share);
    }
    let show = if known.said.is_some() { state.show } else { Show::Truth };
    let over = Over { show, truth: known.truth, said: known.said, place: 0 };
    let worth = masks::words(state.masks.paint(&ui.painter_at(clip), theme, over, rect));
    let painter = ui.painter_at(area);
    if state.swipe.is_some() {
        painter.vline(clip.left(), seen.y_range(), Stroke::new(3.0, theme.background));
        painter.vline(clip.left(), seen.y_range(), Stroke::new(1.5, theme.text));
        let grip = Rect::from_center_size(pos2(clip.left(), seen.center().y), vec2(8.0, 26.0));
        painter.rect(grip, 4, theme.text, Stroke::new(1.5, theme.background), egui::StrokeKind::Outside);
    }
    if let Some(worth) = worth.filter(|_| show != Show::Truth) {
        let at = area.left_bottom() + vec2(8.0, -8.0);
        kit::plate(&painter, theme, at, Align2::LEFT_BOTTOM, &worth, theme.text, 200.0);
    }
}

fn picture(ui: &mut Ui, cx: &Context<'_>, state: &mut ViewerState, textures: &mut Textures, known: Known<'_>) {
    let theme = cx.theme;
    let Known { data, sample, answer, .. } = known;
    let (area, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    let name = sample.image.name();
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
    let painter = ui.painter_at(area);
    painter.rect_filled(area, 4, theme.background);
    let px = samples::decode_px(area.size().max_elem() * state.zoom.scale().min(2.0), ui.pixels_per_point());
    let mut thumb = textures.thumbnail(ui.ctx(), cx.thumbs, &sample.image, px);
    if matches!(thumb, Thumb::Waiting) {
        // The grid's picture stands in until the large one is there.
        thumb = textures.thumbnail(ui.ctx(), cx.thumbs, &sample.image, 192);
    }
    let size = vec2(sample.size_px[0].max(1) as f32, sample.size_px[1].max(1) as f32);
    let fitted = kit::fit(area.shrink(4.0), size);
    let moved = if response.dragged() { response.drag_delta() } else { Vec2::ZERO };
    state.zoom.follow(ui, &response, area, true, moved);
    if response.double_clicked() {
        state.zoom.fit();
    }
    let rect = state.zoom.rect(area, fitted);
    match thumb {
        Thumb::Ready(texture) => {
            let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(texture.id(), rect, uv, Color32::WHITE);
            let found = answer.map(|answer| state.boxes.chosen(answer)).unwrap_or_default();
            let truth = sample.target.boxes.as_deref();
            let show = if answer.is_some() { state.show } else { Show::Truth };
            let size_px = sample.size_px;
            let layer = Layer { show, truth, found: &found, classes: data.classes(), size_px, named: true };
            layer.paint(&painter, theme, rect);
            paint_masks(ui, cx, state, known, area, rect);
        }
        Thumb::Waiting => {
            kit::text_at(&painter, area.center(), Align2::CENTER_CENTER, "decoding…", 13.0, theme.weak, 300.0);
        }
        Thumb::Broken(reason) => {
            kit::text_at(&painter, area.center(), Align2::CENTER_CENTER, &reason, 13.0, theme.bad, area.width() - 20.0);
        }
    }
    let shown = rect.width() / size.x * ui.pixels_per_point() * 100.0;
    let at = area.right_bottom() - vec2(8.0, 8.0);
    let text = format!("{shown:.0} %  ·  wheel zooms, drag moves, double click fits");
    kit::plate(&painter, theme, at, Align2::RIGHT_BOTTOM, &text, theme.weak, 400.0);
    response.on_hover_cursor(CursorIcon::Grab);
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn steps_go_around_the_ends_of_what_is_shown() {
        assert_eq!(next(10, &[2, 5, 7], 7, 1), Some(2));
        assert_eq!(next(10, &[2, 5, 7], 2, -1), Some(7));
        assert_eq!(next(10, &[], 9, 1), Some(0));
        assert_eq!(next(0, &[], 0, 1), None);
    }
}
