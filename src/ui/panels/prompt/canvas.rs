//! The picture: where a person points, and what is offered and accepted there.

use super::layer::layer;
use super::{Mark, PromptState};
use crate::data::{ImageSource, Region, Shape as Object, Shapes};
use crate::train::segmentation::prompt::Point;
use crate::ui::panels::kit;
use crate::ui::panels::samples::{class_color, decode_px};
use crate::ui::panels::textures::{Textures, Thumb};
use crate::ui::{Context, Theme};
use egui::{
    Align2, Color32, CursorIcon, Key, PointerButton, Pos2, Rect, Role, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo,
    pos2, vec2,
};

/// A drag shorter than this many points on both sides is a click.
const LEAST_DRAG: f32 = 4.0;

const HELP: &str = "click: this · Alt-click or right click: not this · drag: a box · 1 2 3 choose · Enter accepts · Z takes back · Esc clears · wheel zooms, middle or Space-drag moves, 0 fits";
/// Two clicks within so many points are a double click, and no two prompts.
const SAME_PLACE: f32 = 6.0;

/// Draws the picture and takes what is pointed at; `missing` says why nothing can be asked.
pub(super) fn ui(
    ui: &mut Ui,
    cx: &Context<'_>,
    state: &mut PromptState,
    textures: &mut Textures,
    missing: Option<&String>,
) {
    let theme = cx.theme;
    let Some(work) = state.work.get(state.at).cloned() else { return };
    let area = ui.available_rect_before_wrap().shrink(14.0);
    let area = Rect::from_min_max(area.min, area.max - vec2(0.0, 22.0));
    let response = ui.allocate_rect(area, Sense::click_and_drag());
    let name = work.image.display().to_string();
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
    let painter = ui.painter_at(area.expand(2.0));
    let thumb = {
        let px = decode_px(area.size().max_elem() * state.zoom.scale().min(2.0), ui.pixels_per_point());
        textures.thumbnail(ui.ctx(), cx.thumbs, &ImageSource::File(work.image.clone()), px)
    };
    let size = match (work.size_px, &thumb) {
        (Some([width, height]), _) => vec2(width.max(1) as f32, height.max(1) as f32),
        (None, Thumb::Ready(texture)) => texture.size_vec2(),
        (None, _) => vec2(4.0, 3.0),
    };
    look(ui, state, &response, area);
    let rect = state.zoom.rect(area, kit::fit(area, size));
    let painter = painter.with_clip_rect(painter.clip_rect().intersect(area.expand(2.0)));
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    match thumb {
        Thumb::Ready(texture) => {
            painter.image(texture.id(), rect, whole, Color32::WHITE);
        }
        Thumb::Waiting => {
            painter.rect_filled(rect, kit::RADIUS, theme.raised);
            kit::text_at(&painter, rect.center(), Align2::CENTER_CENTER, "decoding…", 13.0, theme.weak, 200.0);
        }
        Thumb::Broken(reason) => {
            kit::text_at(&painter, area.center(), Align2::CENTER_CENTER, &reason, 13.0, theme.bad, area.width());
        }
    }
    painter.rect_stroke(rect, 2, Stroke::new(1.0, theme.border), StrokeKind::Outside);
    let view =
        Placed { rect, seen: rect.intersect(area), size_px: work.size_px.unwrap_or([size.x as u32, size.y as u32]) };
    masks(ui, theme, state, textures, &view);
    if work.size_px.is_some() && missing.is_none() {
        pointing(ui, state, &view, &response);
    }
    marks(&painter, theme, state, &view, response.interact_pointer_pos());
    let (text, color) = match (missing, cx.view.is_training()) {
        (Some(missing), _) => (missing.as_str(), theme.amber),
        (None, true) => ("A run is in progress: prompts are answered when it is done.", theme.amber),
        (None, false) if work.size_px.is_none() => {
            ("The picture is being encoded; then each click is answered.", theme.text)
        }
        (None, false) => (HELP, theme.weak),
    };
    let below = pos2(area.center().x, area.bottom() + 14.0);
    kit::text_at(ui.painter(), below, Align2::CENTER_CENTER, text, 11.5, color, area.width());
}

/// Where a picture lies.
struct Placed {
    rect: Rect,
    /// What of it is in sight.
    seen: Rect,
    size_px: [u32; 2],
}

impl Placed {
    fn scale(&self) -> egui::Vec2 {
        let [width, height] = self.size_px.map(|side| side.max(1) as f32);
        vec2(self.rect.width() / width, self.rect.height() / height)
    }

    fn on_screen(&self, [x, y]: [f32; 2]) -> Pos2 {
        self.rect.min + vec2(x, y) * self.scale()
    }

    /// In pixels of the picture, moved inside.
    fn in_picture(&self, at: Pos2) -> [f32; 2] {
        let [width, height] = self.size_px.map(|side| side as f32);
        let at = (at - self.rect.min) / self.scale();
        [at.x.clamp(0.0, width), at.y.clamp(0.0, height)]
    }

    fn rect_of(&self, [left, top, right, bottom]: [f32; 4]) -> Rect {
        Rect::from_min_max(self.on_screen([left, top]), self.on_screen([right, bottom]))
    }
}

/// Lays what was accepted and what is offered over the picture.
fn masks(ui: &Ui, theme: &Theme, state: &PromptState, textures: &mut Textures, view: &Placed) {
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    let longest = view.size_px[0].max(view.size_px[1]);
    let painter = ui.painter_at(view.seen);
    let Some(work) = state.work.get(state.at) else { return };
    if !work.objects.is_empty() {
        let make = || {
            let object = |runs: &[u32]| Object { class: 1, region: Region::Runs(runs.to_vec()), crowd: false };
            let shapes = work.objects.iter().map(|one| object(&one.runs)).collect();
            let ids = Shapes { size_px: view.size_px, background: 0, shapes }.paint_instances().ids;
            let class = |id: u16| work.objects.get(usize::from(id).wrapping_sub(1)).map_or(0, |one| one.class);
            layer(view.size_px, |at| ids.get(at).copied().unwrap_or(0), |id| color_of(theme, class(id)))
        };
        let key = format!("accepted {} {} {}", state.at, work.revision, theme.dark);
        if let Some(texture) = textures.image(ui.ctx(), &key, longest, make) {
            painter.image(texture.id(), view.rect, whole, Color32::WHITE);
        }
    }
    if let Some(candidate) = state.candidate() {
        let make = || layer(view.size_px, |at| candidate.pixels.get(at).map_or(0, |&set| set.into()), |_| theme.accent);
        let key = format!("offered {} {} {} {}", state.at, state.change, state.chosen, theme.dark);
        if let Some(texture) = textures.image(ui.ctx(), &key, longest, make) {
            painter.image(texture.id(), view.rect, whole, Color32::WHITE);
        }
    }
    if let Some(one) = state.pointed.and_then(|at| work.objects.get(at)) {
        let [left, top, right, bottom] = one.xyxy.map(|side| side as f32);
        let rect = view.rect_of([left, top, right + 1.0, bottom + 1.0]);
        painter.rect_stroke(rect, 1, Stroke::new(2.0, theme.text), StrokeKind::Outside);
    }
}

/// The color of a class of objects.
pub(super) fn color_of(theme: &Theme, class: usize) -> Color32 {
    // The first color of the series is that of offers.
    class_color(theme, u32::try_from(class + 1).unwrap_or(0))
}

/// Zooms and moves: by the wheel, by keys, by a drag with the middle button or with Space held.
fn look(ui: &Ui, state: &mut PromptState, response: &egui::Response, area: Rect) {
    let free = kit::keys_are_free(ui);
    let space = free && ui.input(|input| input.key_down(Key::Space));
    if response.drag_started() {
        state.panning = response.drag_started_by(PointerButton::Middle) || space;
    }
    let moved = if state.panning && response.dragged() { response.drag_delta() } else { Vec2::ZERO };
    state.zoom.follow(ui, response, area, free, moved);
    if state.panning || space && response.hovered() {
        ui.ctx().set_cursor_icon(CursorIcon::Grab);
    }
    if !response.dragged() && !response.drag_stopped() {
        state.panning = false;
    }
}

fn pointing(ui: &Ui, state: &mut PromptState, view: &Placed, response: &egui::Response) {
    if response.hover_pos().is_some_and(|at| view.seen.contains(at)) {
        ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
    }
    let at = response.interact_pointer_pos();
    let inside = at.filter(|at| view.seen.contains(*at));
    if state.panning {
        return;
    }
    let alt = ui.input(|input| input.modifiers.alt);
    if let Some(at) = inside.filter(|_| response.double_clicked() && state.zoom.scale() > 1.0) {
        // The first of the two clicks was taken for a prompt.
        if let Some(Mark::Point(point)) = state.marks.last()
            && view.on_screen(point.xy).distance(at) < SAME_PLACE
        {
            state.undo();
        }
        state.zoom.fit();
    } else if let Some(at) = inside.filter(|_| response.clicked() || response.secondary_clicked()) {
        let positive = response.clicked() && !alt;
        state.add(Mark::Point(Point { xy: view.in_picture(at), positive }));
    }
    if response.drag_started_by(PointerButton::Primary) {
        let from = ui.input(|input| input.pointer.press_origin()).filter(|at| view.seen.contains(*at));
        state.drag = from.map(|at| view.in_picture(at));
    }
    if response.drag_stopped_by(PointerButton::Primary)
        && let (Some(from), Some(at)) = (state.drag.take(), at)
    {
        let to = view.in_picture(at);
        let long = (view.on_screen(to) - view.on_screen(from)).abs();
        if long.x >= LEAST_DRAG && long.y >= LEAST_DRAG {
            state.add(Mark::Box(corners(from, to)));
        } else {
            state.add(Mark::Point(Point { xy: from, positive: !alt }));
        }
    }
}

fn corners(a: [f32; 2], b: [f32; 2]) -> [f32; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[0].max(b[0]), a[1].max(b[1])]
}

/// Points, the box, and the box that is being drawn.
fn marks(painter: &egui::Painter, theme: &Theme, state: &PromptState, view: &Placed, at: Option<Pos2>) {
    let frame = |xyxy: [f32; 4]| {
        painter.rect_stroke(view.rect_of(xyxy), 1, Stroke::new(3.0, theme.background), StrokeKind::Middle);
        painter.rect_stroke(view.rect_of(xyxy), 1, Stroke::new(1.5, theme.accent), StrokeKind::Middle);
    };
    for mark in &state.marks {
        match *mark {
            Mark::Box(xyxy) => frame(xyxy),
            Mark::Point(Point { xy, positive }) => {
                let (center, color) = (view.on_screen(xy), if positive { theme.good } else { theme.bad });
                painter.circle(center, 6.0, color, Stroke::new(1.5, Color32::WHITE));
                // A sign, for those who cannot tell the colors apart.
                let line = |from: egui::Vec2| {
                    painter.line_segment([center - from, center + from], Stroke::new(1.5, Color32::WHITE));
                };
                line(vec2(3.0, 0.0));
                if positive {
                    line(vec2(0.0, 3.0));
                }
            }
        }
    }
    if let (Some(from), Some(at)) = (state.drag, at) {
        frame(corners(from, view.in_picture(at)));
    }
    if let Some(candidate) = state.candidate() {
        let text = match candidate.xyxy {
            Some(_) => format!("mask {} · predicted IoU {:.2}", state.chosen + 1, candidate.iou),
            None => format!("mask {} is empty", state.chosen + 1),
        };
        let corner = view.seen.left_top() + vec2(8.0, 8.0);
        kit::plate(painter, theme, corner, Align2::LEFT_TOP, &text, theme.text, view.seen.width());
    } else if state.asked.as_ref().is_some_and(|asked| asked.change.is_some()) {
        let corner = view.seen.left_top() + vec2(8.0, 8.0);
        kit::plate(painter, theme, corner, Align2::LEFT_TOP, "asking…", theme.weak, view.seen.width());
    }
}
