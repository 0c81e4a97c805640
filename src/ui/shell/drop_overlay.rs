//! What is said while files hover over the window: what a drop would open.

use crate::ui::drops::{self, Kind};
use crate::ui::format;
use crate::ui::style::{regular, strong};
use crate::ui::theme::Theme;
use egui::{Align2, LayerId, Order, Shape, Stroke, Ui, vec2};
use std::path::PathBuf;

/// Draws the overlay if something hovers.
pub fn ui(ui: &Ui, theme: &Theme) {
    let hovered = ui.input(|input| input.raw.hovered_files.clone());
    if hovered.is_empty() {
        return;
    }
    let paths: Vec<PathBuf> = hovered.iter().filter_map(|file| file.path.clone()).collect();
    let (title, line) = describe(&paths);
    let painter = ui.ctx().layer_painter(LayerId::new(Order::Foreground, egui::Id::unique("drop")));
    let rect = ui.ctx().content_rect();
    painter.rect_filled(rect, 0.0, theme.background.gamma_multiply(0.86));
    let inner = rect.shrink(28.0);
    let corners = [inner.left_top(), inner.right_top(), inner.right_bottom(), inner.left_bottom(), inner.left_top()];
    painter.extend(Shape::dashed_line(&corners, Stroke::new(2.0, theme.accent), 9.0, 6.0));
    painter.text(inner.center() - vec2(0.0, 14.0), Align2::CENTER_CENTER, title, strong(24.0), theme.text);
    painter.text(inner.center() + vec2(0.0, 18.0), Align2::CENTER_CENTER, line, regular(14.0), theme.weak);
}

fn describe(paths: &[PathBuf]) -> (String, String) {
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(first) = paths.first() else {
        return ("Drop to open".to_owned(), "A data folder, a checkpoint, a picture, a project or a run".to_owned());
    };
    let pictures = paths.iter().filter(|path| drops::kind(path) == Kind::Picture).count();
    if pictures == paths.len() && pictures > 1 {
        return (format!("Predict on {}", format::plural(pictures, "picture")), name(first));
    }
    let title = match drops::kind(first) {
        Kind::Data => "Open as data set",
        Kind::Weights => "Load these weights",
        Kind::Picture => "Predict on this picture",
        Kind::Project => "Open this project",
        Kind::Run => "Resume this run",
        Kind::Unknown => "Frostline does not know this kind of file",
    };
    (title.to_owned(), name(first))
}
