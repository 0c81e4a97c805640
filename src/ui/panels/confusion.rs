//! The confusion matrix: truth downward, prediction across, shaded by the share of each row.

use super::textures::Textures;
use super::{format, kit};
use crate::train::worst_pairs;
use crate::ui::Theme;
use egui::{Align2, Color32, ColorImage, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};

/// A cell: `(truth, prediction)`.
pub type Cell = (u32, u32);

/// Beyond this many classes the matrix is one picture without numbers.
const CELLS_WITH_TEXT: usize = 40;

/// What to draw.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// Counts `[truth][prediction]`.
    pub counts: &'a [Vec<u32>],
    /// Class names.
    pub classes: &'a [String],
    /// The cell that is chosen.
    pub chosen: Option<Cell>,
    /// Distinguishes the matrix from others (of other epochs, runs and orders).
    pub key: String,
    /// Classes in the order of rows and columns; empty for that of the ids.
    pub order: &'a [u32],
    /// Shares of the row instead of counts.
    pub shares: bool,
}

impl Matrix<'_> {
    /// The class of a row or column.
    fn class(&self, place: usize) -> usize {
        self.order.get(place).map_or(place, |&class| class as usize)
    }

    fn name(&self, class: usize) -> &str {
        self.classes.get(class).map_or("?", String::as_str)
    }

    fn count(&self, truth: usize, said: usize) -> u32 {
        self.counts.get(truth).and_then(|row| row.get(said)).copied().unwrap_or_default()
    }

    fn row_sum(&self, truth: usize) -> u64 {
        self.counts.get(truth).map_or(0, |row| row.iter().map(|&count| u64::from(count)).sum())
    }

    fn share(&self, truth: usize, said: usize) -> f32 {
        let row = self.row_sum(truth);
        if row == 0 { 0.0 } else { self.count(truth, said) as f32 / row as f32 }
    }

    fn words(&self, (truth, said): Cell) -> String {
        let (truth, said) = (truth as usize, said as usize);
        let share = self.share(truth, said) * 100.0;
        let count = self.count(truth, said);
        format!("{} called {}: {count}, {share:.0} % of the row", self.name(truth), self.name(said))
    }
}

/// Draws the matrix as large as `rect` allows; a click on a cell returns it.
pub fn ui(ui: &mut Ui, theme: &Theme, textures: &mut Textures, matrix: &Matrix<'_>, rect: Rect) -> Option<Cell> {
    let classes = matrix.counts.len();
    if classes == 0 {
        return None;
    }
    let texts = classes <= CELLS_WITH_TEXT;
    let left = if texts { (rect.width() * 0.28).min(110.0) } else { 24.0 };
    // Names that do not fit over their columns stand upright.
    let upright = texts && (rect.width() - left) / (classes as f32) < 44.0;
    let gutter = vec2(left, if upright { 68.0 } else { 32.0 });
    let free = rect.size() - gutter;
    // Cells are wider than high where there is room: the dock is flat.
    let height = (free.y / classes as f32).clamp(0.5, 76.0);
    let width = (free.x / classes as f32).clamp(0.5, (height * 2.2).max(24.0)).min(130.0);
    let grid = Rect::from_min_size(rect.min + gutter, vec2(width, height) * classes as f32);
    labels(ui, theme, matrix, (grid, rect), vec2(width, height), upright);
    if texts {
        return cells(ui, theme, matrix, grid, vec2(width, height));
    }
    let response = ui.allocate_rect(grid, Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, format!("Confusion of {classes} classes")));
    let make = || picture(theme, matrix);
    if let Some(texture) = textures.image(ui.ctx(), &matrix.key, classes as u32, make) {
        let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter().image(texture.id(), grid, uv, Color32::WHITE);
    }
    ui.painter().rect_stroke(grid, 0, Stroke::new(1.0, theme.border), StrokeKind::Outside);
    pointed(&response, matrix, grid)
}

/// The most frequent mistakes as a list; a click on one returns its cell.
pub fn mistakes(ui: &mut Ui, theme: &Theme, matrix: &Matrix<'_>) -> Option<Cell> {
    kit::weak(ui, theme, "most frequent mistakes");
    let pairs = worst_pairs(matrix.counts, 8);
    if pairs.is_empty() {
        kit::weak(ui, theme, "none");
    }
    let mut clicked = None;
    for (truth, said, count) in pairs {
        let text = format!("{} × {} called {}", format::count(count as usize), matrix.name(truth), matrix.name(said));
        if kit::link_button(ui, theme, &text).clicked() {
            clicked = Some((truth as u32, said as u32));
        }
    }
    clicked
}

fn picture(theme: &Theme, matrix: &Matrix<'_>) -> ColorImage {
    let classes = matrix.counts.len();
    let mut image = ColorImage::filled([classes, classes], theme.raised);
    for (row, pixels) in image.pixels.chunks_mut(classes.max(1)).enumerate() {
        let truth = matrix.class(row);
        let whole = matrix.row_sum(truth).max(1) as f32;
        for (column, pixel) in pixels.iter_mut().enumerate() {
            let said = matrix.class(column);
            *pixel = shade(theme, truth == said, (matrix.count(truth, said) as f32 / whole).sqrt());
        }
    }
    image
}

fn pointed(response: &Response, matrix: &Matrix<'_>, grid: Rect) -> Option<Cell> {
    let classes = matrix.counts.len() as f32;
    let at = response.hover_pos().or(response.interact_pointer_pos())?;
    let index = |part: f32| matrix.class((part * classes).clamp(0.0, classes - 1.0) as usize) as u32;
    let inside = (at - grid.min) / grid.size();
    let cell = (index(inside.y), index(inside.x));
    response.clone().on_hover_text_at_pointer(matrix.words(cell));
    response.clicked().then_some(cell)
}

/// Hits toward the accent, mistakes toward red.
fn shade(theme: &Theme, hit: bool, strength: f32) -> Color32 {
    let toward = if hit { theme.accent } else { theme.bad };
    theme.raised.lerp_to_gamma(toward, 0.85 * strength)
}

fn cells(ui: &mut Ui, theme: &Theme, matrix: &Matrix<'_>, grid: Rect, size: egui::Vec2) -> Option<Cell> {
    let classes = matrix.counts.len();
    let mut clicked = None;
    for row in 0..classes {
        for column in 0..classes {
            let (truth, said) = (matrix.class(row), matrix.class(column));
            let min = grid.min + vec2(column as f32, row as f32) * size;
            let rect = Rect::from_min_size(min, size).shrink((size.min_elem() * 0.04).min(1.5));
            let cell = (truth as u32, said as u32);
            let response = ui.allocate_rect(rect, Sense::click());
            let chosen = matrix.chosen == Some(cell);
            response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, matrix.words(cell)));
            let share = matrix.share(truth, said);
            ui.painter().rect_filled(rect, 2, shade(theme, truth == said, share));
            if chosen || response.hovered() || response.has_focus() {
                let stroke = Stroke::new(if chosen { 2.0 } else { 1.0 }, theme.text);
                ui.painter().rect_stroke(rect, 2, stroke, StrokeKind::Inside);
            }
            numbers(ui, theme, matrix, (truth, said), rect, share);
            if response.on_hover_text(matrix.words(cell)).clicked() {
                clicked = Some(cell);
            }
        }
    }
    clicked
}

fn numbers(ui: &Ui, theme: &Theme, matrix: &Matrix<'_>, (truth, said): (usize, usize), rect: Rect, share: f32) {
    let count = matrix.count(truth, said);
    if count == 0 || rect.width() < 14.0 || rect.height() < 10.0 {
        return;
    }
    let color = if share > 0.55 { theme.background } else { theme.text };
    let two = rect.height() > 40.0 && rect.width() > 30.0;
    let size = (rect.height() * 0.45).clamp(9.0, 16.0);
    let at = rect.center() - vec2(0.0, if two { 7.0 } else { 0.0 });
    let percent = if rect.width() > 34.0 { format!("{:.0} %", share * 100.0) } else { format!("{:.0}", share * 100.0) };
    let (first, second) = if matrix.shares { (percent, count.to_string()) } else { (count.to_string(), percent) };
    kit::text_at(ui.painter(), at, Align2::CENTER_CENTER, &first, size, color, rect.width());
    if two {
        let at = rect.center() + vec2(0.0, 10.0);
        kit::text_at(ui.painter(), at, Align2::CENTER_CENTER, &second, 10.5, color, rect.width());
    }
}

fn labels(ui: &Ui, theme: &Theme, matrix: &Matrix<'_>, (grid, rect): (Rect, Rect), size: egui::Vec2, upright: bool) {
    let painter = ui.painter();
    let across = pos2(if upright { rect.left() } else { grid.left() }, rect.top());
    kit::text_at(painter, across, Align2::LEFT_TOP, "predicted →", 10.5, theme.weak, 80.0);
    let down = pos2(grid.left() - 8.0, if upright { grid.top() - 4.0 } else { rect.top() + 29.0 });
    kit::text_at(painter, down, Align2::RIGHT_BOTTOM, "truth ↓", 10.5, theme.weak, 60.0);
    for place in 0..matrix.counts.len() {
        let name = matrix.name(matrix.class(place));
        let center = (place as f32 + 0.5) * size;
        if size.y >= 10.0 {
            let at = pos2(grid.left() - 8.0, grid.top() + center.y);
            let width = grid.left() - rect.left() - 10.0;
            kit::text_at(painter, at, Align2::RIGHT_CENTER, name, 11.0, theme.text, width);
        }
        if upright && size.x >= 10.0 {
            let galley = kit::elided(painter, name, 11.0, theme.text, grid.top() - rect.top() - 6.0);
            let at = pos2(grid.left() + center.x - galley.size().y / 2.0, grid.top() - 4.0);
            let text = egui::epaint::TextShape::new(at, galley, theme.text);
            painter.add(text.with_angle(-std::f32::consts::FRAC_PI_2));
        } else if !upright && size.x >= 26.0 {
            let at = pos2(grid.left() + center.x, grid.top() - 3.0);
            kit::text_at(painter, at, Align2::CENTER_BOTTOM, name, 11.0, theme.text, size.x - 4.0);
        }
    }
}
