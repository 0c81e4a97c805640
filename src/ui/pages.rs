//! The dock and the pages that other files draw, with what they remember between frames.

use super::action::Page;
use super::context::Context;
use egui::Ui;

/// What the panels remember.
#[derive(Debug, Default)]
pub struct Pages {
    image: Option<usize>,
}

impl Pages {
    /// Shows a picture of the data set at full size.
    pub fn show_image(&mut self, index: Option<usize>) {
        self.image = index;
    }

    /// Draws a page that is not the graph.
    pub fn page(&mut self, ui: &mut Ui, ctx: &mut Context<'_>, page: Page) {
        ui.label(format!("{page:?} {}", ctx.graph.name));
    }

    /// Draws the dock.
    pub fn dock(&mut self, ui: &mut Ui, ctx: &mut Context<'_>) {
        ui.label(format!("dock {}", ctx.graph.name));
    }
}
