//! Painting of boxes, edges, lanes and the frost line. Screen coordinates throughout; `zoom` scales sizes.

use super::layout::{Edge, Lane};
use super::look::Look;
use crate::ui::icons::Icon;
use crate::ui::style::{regular, strong};
use crate::ui::theme::Theme;
use crate::ui::widgets::elided;
use egui::epaint::{CubicBezierShape, PathStroke};
use egui::{Align2, Color32, FontId, Galley, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2, pos2, vec2};
use std::sync::Arc;

/// Below this zoom a box shows its name only.
const NAMES_ONLY: f32 = 0.62;
/// Below this zoom a box shows its color and sign only.
const SIGNS_ONLY: f32 = 0.36;

/// What a box shows.
#[derive(Debug)]
pub struct BoxFace<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its output shape.
    pub shape: &'a str,
    /// Its state.
    pub look: Look,
    /// What waits for the next step.
    pub pending: Option<bool>,
    /// Whether it is selected.
    pub selected: bool,
    /// Whether the pointer is over it.
    pub hovered: bool,
    /// Whether the pointer is over its sign.
    pub sign_hovered: bool,
    /// Whether it is dimmed, since something else is searched for.
    pub dimmed: bool,
}

/// Border and fill of a state.
fn colors(theme: &Theme, look: Look) -> (Color32, Color32) {
    match look {
        Look::Frozen { .. } | Look::Island => (theme.ice, theme.ice_fill),
        Look::Trains => (theme.amber, theme.amber_fill),
        Look::Mixed { .. } => (theme.ice, theme.amber_fill),
        Look::Constant => (theme.border, theme.raised),
    }
}

/// Where the sign of a box stands, for clicks.
#[must_use]
pub fn sign_rect(rect: Rect, zoom: f32) -> Rect {
    let side = (26.0 * zoom).clamp(12.0, 40.0).min(rect.height());
    Rect::from_min_max(pos2(rect.right() - side, rect.top()), pos2(rect.right(), rect.top() + side))
}

/// Draws one box.
pub fn node(painter: &Painter, theme: &Theme, rect: Rect, zoom: f32, face: &BoxFace<'_>) {
    let mut painter = painter.clone();
    if face.dimmed {
        painter.multiply_opacity(0.3);
    }
    let (border, fill) = colors(theme, face.look);
    let radius = (7.0 * zoom).clamp(2.0, 10.0);
    let fill = if face.hovered { fill.lerp_to_gamma(border, 0.12) } else { fill };
    painter.rect_filled(rect, radius, fill);
    match face.look {
        Look::Frozen { .. } | Look::Island => hatch(&painter, rect, zoom, border.gamma_multiply(0.2)),
        Look::Mixed { .. } => {
            let lower = Rect::from_min_max(pos2(rect.left(), rect.center().y), rect.max);
            hatch(&painter, lower, zoom, border.gamma_multiply(0.28));
        }
        Look::Trains | Look::Constant => {}
    }
    let width = if matches!(face.look, Look::Constant) { 1.0 } else { 1.4 };
    let frame = Stroke::new(width, border);
    match (face.pending, face.look) {
        (Some(to_frozen), _) => {
            let color = if to_frozen { theme.ice } else { theme.amber };
            dashed_frame(&painter, rect, Stroke::new(2.0, color));
        }
        // A frozen island has a broken frame: it is cut off from the prefix.
        (None, Look::Island) => dashed_frame(&painter, rect, frame),
        (None, _) => {
            painter.rect_stroke(rect, radius, frame, StrokeKind::Inside);
        }
    }
    if face.selected {
        painter.rect_stroke(rect.expand(2.5), radius + 2.0, Stroke::new(2.0, theme.text), StrokeKind::Inside);
    }
    sign(&painter, theme, rect, zoom, face);
    if zoom >= SIGNS_ONLY {
        texts(&painter, theme, rect, zoom, face, border);
    }
}

fn texts(painter: &Painter, theme: &Theme, rect: Rect, zoom: f32, face: &BoxFace<'_>, color: Color32) {
    let clip = painter.with_clip_rect(rect.shrink(2.0).intersect(painter.clip_rect()));
    let left = rect.left() + 10.0 * zoom;
    let room = rect.right() - left - 4.0;
    if zoom < NAMES_ONLY {
        let size = (12.0 * zoom * 1.25).max(7.5);
        let galley = fitted(&clip, face.name, strong(round(size)), theme.text, room);
        clip.galley(pos2(left, rect.center().y - galley.size().y / 2.0), galley, theme.text);
        return;
    }
    let (name, small) = (strong(round(12.5 * zoom).max(10.0)), regular(round(10.5 * zoom).max(9.0)));
    let line = |y: f32, text: &str, font: FontId, color: Color32| {
        let galley = fitted(&clip, text, font, color, room);
        clip.galley(pos2(left, rect.top() + y * zoom), galley, color);
    };
    line(7.0, face.name, name, theme.text);
    line(24.0, face.shape, small.clone(), theme.weak);
    let words = match face.pending {
        Some(true) => "freezes at next step".to_owned(),
        Some(false) => "thaws at next step".to_owned(),
        None => face.look.words(),
    };
    if !matches!(face.look, Look::Constant) {
        line(39.0, &words, small, color);
    }
}

/// Text on one line, smaller where it is wider than `room`, and cut with an ellipsis where that is not enough: a path at
/// its start, since its end tells it from its neighbors.
fn fitted(painter: &Painter, text: &str, font: FontId, color: Color32, room: f32) -> Arc<Galley> {
    let galley = painter.layout_no_wrap(text.to_owned(), font.clone(), color);
    if galley.size().x <= room {
        return galley;
    }
    let size = round((font.size * room / galley.size().x - 0.25).max(6.5));
    let font = FontId { size, ..font };
    if text.contains('.') {
        let whole = painter.layout_no_wrap(text.to_owned(), font.clone(), color);
        let (width, count) = (whole.size().x, text.chars().count());
        if width <= room {
            return whole;
        }
        let kept = ((count as f32 * room / width.max(1.0)) as usize).saturating_sub(2).min(count);
        let end: String = text.chars().skip(count - kept).collect();
        return elided(painter, format!("…{}", end.trim_start_matches('.')), font, color, room);
    }
    elided(painter, text.to_owned(), font, color, room)
}

/// Half points keep the font atlas small while zooming.
fn round(size: f32) -> f32 {
    (size * 2.0).round() / 2.0
}

fn sign(painter: &Painter, theme: &Theme, rect: Rect, zoom: f32, face: &BoxFace<'_>) {
    let place = if zoom < SIGNS_ONLY { rect.center() } else { sign_rect(rect, zoom).center() + vec2(-1.0, 2.0) * zoom };
    let radius = if zoom < SIGNS_ONLY { rect.height() * 0.3 } else { 6.5 * zoom };
    if face.sign_hovered {
        painter.circle_filled(place, radius * 1.75, theme.text.gamma_multiply(0.16));
    }
    match face.look {
        Look::Frozen { .. } | Look::Island => Icon::Snowflake.paint(painter, place, radius, theme.ice),
        Look::Trains => Icon::Dot.paint(painter, place, radius, theme.amber),
        Look::Mixed { .. } => {
            Icon::Snowflake.paint(painter, place - vec2(radius * 0.9, 0.0), radius * 0.85, theme.ice);
            Icon::Dot.paint(painter, place + vec2(radius * 0.75, 0.0), radius * 0.8, theme.amber);
        }
        Look::Constant => {}
    }
}

/// Diagonal lines within a rectangle.
fn hatch(painter: &Painter, rect: Rect, zoom: f32, color: Color32) {
    let step = (8.0 * zoom).max(4.0);
    let (width, height) = (rect.width(), rect.height());
    let stroke = Stroke::new(1.0, color);
    let mut x = step;
    while x < width + height {
        // The line x + y = const, from the bottom or left edge to the top or right edge.
        let a = if x <= height { pos2(0.0, x) } else { pos2(x - height, height) };
        let b = if x <= width { pos2(x, 0.0) } else { pos2(width, x - width) };
        painter.line_segment([rect.min + a.to_vec2(), rect.min + b.to_vec2()], stroke);
        x += step;
    }
}

fn dashed_frame(painter: &Painter, rect: Rect, stroke: Stroke) {
    let rect = rect.shrink(stroke.width / 2.0);
    let corners = [rect.left_top(), rect.right_top(), rect.right_bottom(), rect.left_bottom(), rect.left_top()];
    painter.extend(Shape::dashed_line(&corners, stroke, 5.0, 3.0));
}

/// Draws a lane with its title.
pub fn lane(painter: &Painter, theme: &Theme, rect: Rect, zoom: f32, lane: &Lane, subtitle: &str) {
    let radius = (9.0 * zoom).clamp(3.0, 12.0);
    painter.rect(rect, radius, theme.lane(), Stroke::new(1.0, theme.border), StrokeKind::Inside);
    let clip = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let at = |y: f32| rect.min + vec2(14.0, y);
    clip.text(at(10.0), Align2::LEFT_TOP, &lane.title, strong(13.0), theme.text);
    clip.text(at(28.0), Align2::LEFT_TOP, subtitle, regular(11.0), theme.weak);
}

/// Draws an edge with its arrow head; `cold` edges carry frozen features across the frost line.
pub fn edge(painter: &Painter, theme: &Theme, points: [Pos2; 4], zoom: f32, cold: bool) {
    let color = if cold { theme.ice } else { theme.edge() };
    let stroke = Stroke::new(if cold { 1.7 } else { 1.3 } * zoom.clamp(0.6, 1.4), color);
    let [_, _, near, end] = points;
    let direction = (end - near).normalized();
    let size = 6.0 * zoom.clamp(0.5, 1.4);
    let mut line = points;
    line[3] = end - direction * size * 0.8;
    let path: PathStroke = stroke.into();
    painter.add(CubicBezierShape::from_points_stroke(line, false, Color32::TRANSPARENT, path));
    let side = direction.rot90() * size * 0.5;
    let back = end - direction * size;
    painter.add(Shape::convex_polygon(vec![end, back + side, back - side], color, Stroke::NONE));
}

/// The curve of an edge on the screen.
#[must_use]
pub fn on_screen(edge: &Edge, screen: impl Fn(Pos2) -> Pos2) -> [Pos2; 4] {
    edge.curve.map(screen)
}

/// Draws the frost line with its pill, and returns the pill's rectangle.
pub fn frost_line(painter: &Painter, theme: &Theme, points: &[Pos2], pill: Rect, lively: bool, ghost: bool) {
    let color = if ghost { theme.ice.gamma_multiply(0.4) } else { theme.ice };
    let width = if lively { 2.4 } else { 1.8 };
    painter.extend(Shape::dotted_line(points, color, 6.5, width / 2.0 + 0.35));
    if ghost {
        return;
    }
    let radius = pill.height() / 2.0;
    let fill = if lively { theme.ice } else { theme.ice_fill };
    let text = if lively { theme.on_accent() } else { theme.ice };
    painter.rect(pill, radius, fill, Stroke::new(1.4, theme.ice), StrokeKind::Inside);
    painter.text(pill.center(), Align2::CENTER_CENTER, "frost line", strong(11.0), text);
    for side in [-1.0, 1.0] {
        let tip = pill.center() + vec2(side * (pill.width() / 2.0 - 8.0), 0.0);
        let back = Vec2::new(side * 4.0, 0.0);
        let points = vec![tip, tip - back + vec2(0.0, 3.2), tip - back - vec2(0.0, 3.2)];
        painter.add(Shape::convex_polygon(points, text, Stroke::NONE));
    }
}

/// Draws a card of lines near a box and the line that ties them.
pub fn card(painter: &Painter, theme: &Theme, canvas: Rect, card: &Card, avoid: &[Rect]) {
    let Card { near, title, lines } = card;
    let near = *near;
    let title = painter.layout_no_wrap(title.clone(), strong(12.5), theme.ice);
    let lines: Vec<_> =
        lines.iter().map(|line| painter.layout(line.clone(), regular(11.5), theme.text, 300.0)).collect();
    let width = lines.iter().map(|line| line.size().x).fold(title.size().x, f32::max) + 24.0;
    let height = lines.iter().map(|line| line.size().y + 3.0).sum::<f32>() + title.size().y + 24.0;
    let rect = free_place(canvas.shrink(8.0), near, vec2(width, height), avoid);
    let start = if rect.bottom() <= near.top() {
        near.center_top()
    } else if rect.top() >= near.bottom() {
        near.center_bottom()
    } else if rect.center().x < near.center().x {
        near.left_center()
    } else {
        near.right_center()
    };
    let end = start.clamp(rect.min, rect.max);
    painter.line_segment([start, end], Stroke::new(1.2, theme.ice));
    painter.rect_filled(rect.expand(3.0), 10.0, theme.background.gamma_multiply(0.6));
    painter.rect(rect, 8.0, theme.panel, Stroke::new(1.2, theme.ice), StrokeKind::Inside);
    let mut at = rect.min + vec2(12.0, 10.0);
    let step = title.size().y + 6.0;
    painter.galley(at, title, theme.text);
    at.y += step;
    for line in lines {
        let step = line.size().y + 3.0;
        painter.galley(at, line, theme.text);
        at.y += step;
    }
}

/// What is said beside a box.
#[derive(Clone, Debug)]
pub struct Card {
    /// What it points to.
    pub near: Rect,
    /// Its title.
    pub title: String,
    /// Its lines.
    pub lines: Vec<String>,
}

/// Above, below or beside a box, where it covers the fewest other boxes.
fn free_place(room: Rect, near: Rect, size: Vec2, avoid: &[Rect]) -> Rect {
    let gap = 20.0;
    let (middle, half) = (near.center(), size / 2.0);
    let (left, right) = (near.left() - gap - half.x, near.right() + gap + half.x);
    let (above, below) = (near.top() - gap - half.y, near.bottom() + gap + half.y);
    let places = [
        pos2(middle.x, above),
        pos2(middle.x - half.x * 0.8, above),
        pos2(middle.x + half.x * 0.8, above),
        pos2(left, middle.y - half.y * 0.6),
        pos2(right, middle.y - half.y * 0.6),
        pos2(left, above + half.y * 0.5),
        pos2(middle.x, below),
        pos2(middle.x - half.x * 0.8, below),
        pos2(middle.x + half.x * 0.8, below),
        pos2(right, middle.y + half.y * 0.6),
        pos2(left, middle.y + half.y * 0.6),
    ];
    let inside = |center: Pos2| {
        let limit = room.shrink2(half);
        let held = if limit.is_positive() { center.clamp(limit.min, limit.max) } else { room.center() };
        (Rect::from_center_size(held, size), held.distance(center))
    };
    let cost = |(rect, moved): &(Rect, f32)| {
        let covered: f32 = avoid.iter().map(|other| area(rect.intersect(*other))).sum();
        covered + 40.0 * area(rect.intersect(near)) + 30.0 * moved
    };
    let best = places.into_iter().map(inside).min_by(|a, b| cost(a).total_cmp(&cost(b)));
    best.map_or(Rect::from_min_size(room.min, size), |(rect, _)| rect)
}

fn area(rect: Rect) -> f32 {
    if rect.is_positive() { rect.area() } else { 0.0 }
}
