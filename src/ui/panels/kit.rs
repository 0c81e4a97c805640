//! Small pieces that all panels are made of.

use crate::ui::Theme;
use egui::{
    Align2, Color32, CornerRadius, FontId, Frame, Margin, Painter, Pos2, Rect, Response, RichText, Role, Sense, Stroke,
    StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use std::sync::Arc;

/// Corner radius of cards, tiles and tabs.
pub const RADIUS: CornerRadius = CornerRadius::same(5);

/// A small heading in capitals over a group.
pub fn caps(ui: &mut Ui, theme: &Theme, text: &str) -> Response {
    ui.label(RichText::new(text.to_uppercase()).size(11.0).color(theme.weak))
}

/// A page's or panel's title.
pub fn title(ui: &mut Ui, theme: &Theme, text: impl Into<String>) -> Response {
    ui.label(RichText::new(text).size(17.0).color(theme.text).strong())
}

/// A line of less weight.
pub fn weak(ui: &mut Ui, theme: &Theme, text: impl Into<String>) -> Response {
    ui.label(RichText::new(text).size(12.0).color(theme.weak))
}

/// A card on a page.
pub fn sheet(theme: &Theme) -> Frame {
    let line = Stroke::new(1.0, theme.border);
    Frame::new().fill(theme.panel).stroke(line).corner_radius(RADIUS).inner_margin(Margin::symmetric(16, 12))
}

/// The frame of a side panel.
pub fn side(theme: &Theme) -> Frame {
    Frame::new().fill(theme.panel).inner_margin(Margin::symmetric(14, 12))
}

/// A name on the left and its value on the right, on one line.
pub fn key_value(ui: &mut Ui, theme: &Theme, key: &str, value: &str) -> Response {
    let row = ui.horizontal(|ui| {
        ui.label(RichText::new(key).size(12.0).color(theme.weak));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.add(egui::Label::new(RichText::new(value).size(12.0).color(theme.text)).truncate());
        });
    });
    row.response
}

/// A tab of a strip.
pub fn tab(ui: &mut Ui, theme: &Theme, selected: bool, text: &str) -> Response {
    let galley = ui.painter().layout_no_wrap(text.to_owned(), FontId::proportional(12.5), Color32::PLACEHOLDER);
    let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(18.0, 9.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, selected, text));
    let color = if selected || response.hovered() { theme.text } else { theme.weak };
    if selected {
        ui.painter().rect_filled(rect, RADIUS, theme.raised);
    }
    focus_ring(ui, theme, &response);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, color);
    response
}

/// A small rounded choice, with a border when it is on.
pub fn chip(ui: &mut Ui, theme: &Theme, selected: bool, text: &str) -> Response {
    let galley = ui.painter().layout_no_wrap(text.to_owned(), FontId::proportional(11.5), Color32::PLACEHOLDER);
    let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(14.0, 6.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, text));
    let color = if selected || response.hovered() { theme.text } else { theme.weak };
    let (fill, line) = if selected { (theme.raised, theme.accent) } else { (theme.panel, theme.border) };
    ui.painter().rect(rect, CornerRadius::same(10), fill, Stroke::new(1.0, line), StrokeKind::Inside);
    focus_ring(ui, theme, &response);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, color);
    response
}

/// The one button of a page that leads on.
pub fn primary_button(ui: &mut Ui, theme: &Theme, text: &str) -> Response {
    let label = RichText::new(text).size(13.5).color(theme.background).strong();
    ui.add(egui::Button::new(label).fill(theme.accent).corner_radius(RADIUS).min_size(vec2(0.0, 30.0)))
}

/// A small button without a frame, for copying and the like.
pub fn link_button(ui: &mut Ui, theme: &Theme, text: &str) -> Response {
    ui.add(egui::Button::new(RichText::new(text).size(11.5).color(theme.accent)).frame(false))
}

/// Shows where the keyboard is.
pub fn focus_ring(ui: &Ui, theme: &Theme, response: &Response) {
    if response.has_focus() {
        let stroke = Stroke::new(1.5, theme.accent);
        ui.painter().rect_stroke(response.rect.expand(1.0), RADIUS, stroke, StrokeKind::Outside);
    }
}

/// Text on one line, cut with an ellipsis where it is wider than `max_width`.
#[must_use]
pub fn elided(painter: &Painter, text: &str, size: f32, color: Color32, max_width: f32) -> Arc<egui::Galley> {
    crate::ui::widgets::elided(painter, text.to_owned(), FontId::proportional(size), color, max_width)
}

/// Draws text on one line, cut to `max_width`; returns where it lies.
pub fn text_at(
    painter: &Painter,
    at: Pos2,
    anchor: Align2,
    text: &str,
    size: f32,
    color: Color32,
    max_width: f32,
) -> Rect {
    let galley = elided(painter, text, size, color, max_width);
    let rect = anchor.anchor_size(at, galley.size());
    painter.galley(rect.min, galley, color);
    rect
}

/// Text on a dark or light plate, so that it can be read on a picture.
pub fn plate(
    painter: &Painter,
    theme: &Theme,
    at: Pos2,
    anchor: Align2,
    text: &str,
    color: Color32,
    max_width: f32,
) -> Rect {
    let galley = elided(painter, text, 11.0, color, max_width - 8.0);
    let rect = anchor.anchor_size(at, galley.size() + vec2(8.0, 3.0));
    painter.rect_filled(rect, CornerRadius::same(3), theme.panel.gamma_multiply(0.88));
    painter.galley(rect.min + vec2(4.0, 1.5), galley, color);
    rect
}

/// A bar that is filled from the left.
pub fn bar(painter: &Painter, rect: Rect, share: f32, fill: Color32, track: Color32) {
    let radius = CornerRadius::same((rect.height() / 2.0).min(3.0) as u8);
    painter.rect_filled(rect, radius, track);
    let width = rect.width() * share.clamp(0.0, 1.0);
    if width >= 1.0 {
        painter.rect_filled(Rect::from_min_size(rect.min, vec2(width, rect.height())), radius, fill);
    }
}

/// Diagonal lines: what is frozen is hatched, so that it can be told without color.
pub fn hatch(painter: &Painter, rect: Rect, color: Color32) {
    let painter = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let mut x = rect.left() - rect.height();
    while x < rect.right() {
        painter.line_segment([pos2(x, rect.bottom()), pos2(x + rect.height(), rect.top())], Stroke::new(1.0, color));
        x += 6.0;
    }
}

/// A texture that covers the whole of `rect`, cut where the proportions differ.
pub fn cover(painter: &Painter, texture: &egui::TextureHandle, rect: Rect, radius: CornerRadius) {
    let size = texture.size_vec2();
    let scale = (rect.width() / size.x).max(rect.height() / size.y).max(f32::MIN_POSITIVE);
    let seen = vec2(rect.width() / (size.x * scale), rect.height() / (size.y * scale));
    let uv = Rect::from_center_size(pos2(0.5, 0.5), seen);
    let mut shape = egui::epaint::RectShape::filled(rect, radius, Color32::WHITE);
    shape = shape.with_texture(texture.id(), uv);
    painter.add(shape);
}

/// The largest rectangle of these proportions in the middle of `rect`.
#[must_use]
pub fn fit(rect: Rect, size: egui::Vec2) -> Rect {
    let scale = (rect.width() / size.x.max(1.0)).min(rect.height() / size.y.max(1.0));
    Rect::from_center_size(rect.center(), size * scale)
}

/// Says in the middle of an empty area what will be there and how to get it.
pub fn empty(ui: &mut Ui, theme: &Theme, title: &str, body: &str) {
    let rect = ui.available_rect_before_wrap();
    let galley = |text: &str, size: f32, color: Color32| {
        let font = FontId::proportional(size);
        let mut job = egui::text::LayoutJob::simple(text.to_owned(), font, color, (rect.width() - 40.0).min(460.0));
        job.halign = egui::Align::Center;
        ui.painter().layout_job(job)
    };
    let (head, text) = (galley(title, 14.0, theme.text), galley(body, 12.0, theme.weak));
    let top = rect.center().y - (head.size().y + text.size().y + 6.0) / 2.0;
    let below = top + head.size().y + 6.0;
    ui.painter().galley(pos2(rect.center().x, top), head, theme.text);
    ui.painter().galley(pos2(rect.center().x, below), text, theme.weak);
    let response = ui.allocate_rect(rect, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{title}. {body}")));
}

/// Whether a plain key may be taken: nobody types into a field.
#[must_use]
pub fn keys_are_free(ui: &Ui) -> bool {
    !ui.ctx().text_edit_focused() && !ui.ctx().any_popup_open()
}

/// Text on at most `rows` lines, cut with an ellipsis.
#[must_use]
pub fn elided_rows(
    painter: &Painter,
    text: &str,
    size: f32,
    color: Color32,
    max_width: f32,
    rows: usize,
) -> Arc<egui::Galley> {
    let mut job = egui::text::LayoutJob::simple(text.to_owned(), FontId::proportional(size), color, max_width.max(1.0));
    job.wrap.max_rows = rows;
    painter.layout_job(job)
}

/// A cell of a table's row.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// Its color.
    pub color: Color32,
    /// Width in points; numbers stand at its right end.
    pub width: f32,
    /// Whether it is a name, at the left end.
    pub name: bool,
}

impl Cell {
    /// A name, at the left end of its column.
    #[must_use]
    pub fn name(text: impl Into<String>, color: Color32, width: f32) -> Self {
        Self { text: text.into(), color, width, name: true }
    }

    /// A number, at the right end of its column.
    #[must_use]
    pub fn number(text: impl Into<String>, color: Color32, width: f32) -> Self {
        Self { text: text.into(), color, width, name: false }
    }
}

/// Draws one row of a table into `rect`.
pub fn cells(painter: &Painter, rect: Rect, row: &[Cell]) {
    let mut left = rect.left();
    for cell in row {
        let (at, anchor) = if cell.name {
            (pos2(left + 6.0, rect.center().y), Align2::LEFT_CENTER)
        } else {
            (pos2(left + cell.width - 6.0, rect.center().y), Align2::RIGHT_CENTER)
        };
        text_at(painter, at, anchor, &cell.text, 12.0, cell.color, cell.width - 10.0);
        left += cell.width;
    }
}
