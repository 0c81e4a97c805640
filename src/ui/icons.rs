//! Icons drawn with lines, so that no font has to have them.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, Vec2, pos2, vec2};

/// What can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// A snow crystal: frozen, and the program's sign.
    Snowflake,
    /// A filled dot: trains.
    Dot,
    /// Go on.
    Play,
    /// Wait.
    Pause,
    /// End.
    Stop,
    /// Take back.
    Undo,
    /// Make again.
    Redo,
    /// The light theme.
    Sun,
    /// The dark theme.
    Moon,
    /// The list of keys.
    Help,
    /// Take away.
    Cross,
    /// Opens downwards.
    Down,
    /// Opens to the side.
    Right,
    /// Show all.
    Fit,
    /// Nearer.
    Plus,
    /// Farther.
    Minus,
    /// Three sliders: settings of the run.
    Sliders,
    /// Stacked layers: models and weights.
    Layers,
    /// Find.
    Lens,
    /// Done, or chosen.
    Tick,
}

impl Icon {
    /// Draws the icon inside a circle of this radius.
    pub fn paint(self, painter: &Painter, center: Pos2, radius: f32, color: Color32) {
        let line = Stroke::new((radius * 0.22).clamp(1.0, 2.2), color);
        let at = |x: f32, y: f32| center + radius * vec2(x, y);
        let segment = |a: Pos2, b: Pos2| {
            painter.line_segment([a, b], line);
        };
        match self {
            Self::Snowflake => snowflake(painter, center, radius, color),
            Self::Dot => {
                painter.circle_filled(center, radius * 0.62, color);
            }
            Self::Play => {
                let points = vec![at(-0.55, -0.8), at(0.85, 0.0), at(-0.55, 0.8)];
                painter.add(Shape::convex_polygon(points, color, Stroke::NONE));
            }
            Self::Pause => {
                for x in [-0.42, 0.42] {
                    painter.rect_filled(Rect::from_center_size(at(x, 0.0), radius * vec2(0.42, 1.5)), 1.0, color);
                }
            }
            Self::Stop => {
                painter.rect_filled(Rect::from_center_size(center, Vec2::splat(radius * 1.4)), 1.5, color);
            }
            Self::Undo => turn(painter, center, radius, -1.0, line),
            Self::Redo => turn(painter, center, radius, 1.0, line),
            Self::Sun => sun(painter, center, radius, line),
            Self::Moon => moon(painter, center, radius, color),
            Self::Help => {
                let font = egui::FontId::proportional(radius * 1.9);
                painter.text(center, egui::Align2::CENTER_CENTER, "?", font, color);
            }
            Self::Cross => {
                segment(at(-0.6, -0.6), at(0.6, 0.6));
                segment(at(-0.6, 0.6), at(0.6, -0.6));
            }
            Self::Down => {
                let points = vec![at(-0.6, -0.3), at(0.6, -0.3), at(0.0, 0.5)];
                painter.add(Shape::convex_polygon(points, color, Stroke::NONE));
            }
            Self::Right => {
                let points = vec![at(-0.3, -0.6), at(0.5, 0.0), at(-0.3, 0.6)];
                painter.add(Shape::convex_polygon(points, color, Stroke::NONE));
            }
            Self::Fit => {
                for (x, y) in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)] {
                    segment(at(0.8 * x, 0.8 * y), at(0.3 * x, 0.8 * y));
                    segment(at(0.8 * x, 0.8 * y), at(0.8 * x, 0.3 * y));
                }
            }
            Self::Plus => {
                segment(at(-0.7, 0.0), at(0.7, 0.0));
                segment(at(0.0, -0.7), at(0.0, 0.7));
            }
            Self::Minus => segment(at(-0.7, 0.0), at(0.7, 0.0)),
            Self::Sliders => {
                for (y, x) in [(-0.6, 0.35), (0.0, -0.35), (0.6, 0.1)] {
                    segment(at(-0.9, y), at(0.9, y));
                    painter.circle_filled(at(x, y), radius * 0.24, color);
                }
            }
            Self::Layers => {
                for y in [-0.35, 0.1, 0.55] {
                    let points = vec![at(-0.9, y), at(0.0, y - 0.45), at(0.9, y), at(0.0, y + 0.45)];
                    painter.add(Shape::closed_line(points, line));
                }
            }
            Self::Lens => {
                painter.circle_stroke(at(-0.15, -0.15), radius * 0.6, line);
                segment(at(0.3, 0.3), at(0.85, 0.85));
            }
            Self::Tick => {
                let line = Stroke::new(line.width.max(1.7), color);
                painter.line(vec![at(-0.75, 0.05), at(-0.2, 0.6), at(0.75, -0.6)], line);
            }
        }
    }
}

fn snowflake(painter: &Painter, center: Pos2, radius: f32, color: Color32) {
    let line = Stroke::new((radius * 0.2).clamp(1.0, 2.4), color);
    for arm in 0..6 {
        let direction = Vec2::angled(std::f32::consts::FRAC_PI_3 * (arm as f32 + 0.5));
        painter.line_segment([center, center + radius * direction], line);
        if radius >= 5.0 {
            for side in [-1.0, 1.0] {
                let branch = Vec2::angled(direction.angle() + side * std::f32::consts::FRAC_PI_4);
                let from = center + 0.58 * radius * direction;
                painter.line_segment([from, from + 0.34 * radius * branch], line);
            }
        }
    }
}

fn turn(painter: &Painter, center: Pos2, radius: f32, side: f32, line: Stroke) {
    let at = |x: f32, y: f32| center + radius * vec2(-side * x, y);
    let arc: Vec<Pos2> = (0..=12)
        .map(|i| {
            let angle = -0.5 * std::f32::consts::PI + std::f32::consts::PI * i as f32 / 12.0;
            at(0.25 + 0.5 * angle.cos(), 0.2 + 0.55 * angle.sin())
        })
        .collect();
    painter.line(arc, line);
    painter.line_segment([at(0.25, 0.75), at(-0.25, 0.75)], line);
    painter.line_segment([at(0.3, -0.35), at(-0.75, -0.35)], line);
    painter.line_segment([at(-0.8, -0.35), at(-0.35, -0.75)], line);
    painter.line_segment([at(-0.8, -0.35), at(-0.35, 0.05)], line);
}

fn sun(painter: &Painter, center: Pos2, radius: f32, line: Stroke) {
    painter.circle_stroke(center, radius * 0.42, line);
    for ray in 0..8 {
        let direction = Vec2::angled(std::f32::consts::FRAC_PI_4 * ray as f32);
        painter.line_segment([center + 0.68 * radius * direction, center + radius * direction], line);
    }
}

fn moon(painter: &Painter, center: Pos2, radius: f32, color: Color32) {
    let line = Stroke::new((radius * 0.2).clamp(1.0, 2.0), color);
    let outer = (0..=20).map(|i| {
        let angle = 0.35 * std::f32::consts::PI + 1.35 * std::f32::consts::PI * i as f32 / 20.0;
        center + 0.85 * radius * Vec2::angled(angle - 0.9)
    });
    let mut points: Vec<Pos2> = outer.collect();
    if let (Some(&first), Some(&last)) = (points.first(), points.last()) {
        let middle = pos2((first.x + last.x) / 2.0, (first.y + last.y) / 2.0);
        let dent = middle + 0.45 * (center - middle) + vec2(-0.1, 0.1) * radius;
        points.push(dent);
    }
    painter.add(Shape::closed_line(points, line));
}
