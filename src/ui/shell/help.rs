//! The list of keys, made from the one table that also makes them work.

use crate::ui::keys;
use crate::ui::theme::Theme;
use crate::ui::widgets;
use egui::{Grid, Id, Modal, RichText, Ui};

/// Draws the list; returns whether it was closed.
pub fn ui(ui: &Ui, theme: &Theme) -> bool {
    let frame = egui::Frame::popup(ui.style()).inner_margin(egui::Margin::same(20)).corner_radius(10);
    let modal = Modal::new(Id::unique("keys")).frame(frame).show(ui.ctx(), |ui| {
        ui.set_width(740.0);
        ui.spacing_mut().interact_size.y = 16.0;
        ui.label(widgets::bold("Keys", 18.0).color(theme.text));
        ui.add_space(4.0);
        ui.columns(2, |columns| {
            let mut heights = [0, 0];
            for (index, group) in keys::groups().iter().enumerate() {
                let shorter = usize::from(heights[1] < heights[0]);
                heights[shorter] += keys::rows(group).len() + 2;
                if let Some(ui) = columns.get_mut(shorter) {
                    widgets::section(ui, theme, group);
                    Grid::new(("keys", index)).num_columns(2).spacing([16.0, 5.0]).min_col_width(120.0).show(ui, |ui| {
                        for (keys, what) in keys::rows(group) {
                            ui.label(widgets::bold(keys, 12.0).color(theme.accent));
                            ui.label(RichText::new(what).color(theme.text));
                            ui.end_row();
                        }
                    });
                }
            }
        });
        ui.add_space(8.0);
        let text = "Pointer: drag the canvas to move it, turn the wheel to zoom, click a snowflake or dot to freeze or thaw, \
                    shift-click for a range, double-click to fold, drag the frost line. Right-click for more.";
        ui.label(RichText::new(text).color(theme.weak));
        ui.add_space(6.0);
        ui.button("Close").clicked()
    });
    modal.inner || modal.should_close()
}
