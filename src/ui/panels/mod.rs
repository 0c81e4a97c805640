//! The dock under the graph and the pages beside it. They read a [`Context`](super::Context) and push actions.
//!
//! Each is drawn by a function `ui(ui, cx, state, textures)` over all the room that `ui` has. [`Panels`] holds their
//! states together with the one texture cache.

pub mod boxes;
pub mod confusion;
pub mod console;
pub mod curves;
pub mod data_page;
pub mod dock;
pub mod evaluate_page;
pub mod export_check;
pub mod export_page;
pub mod format;
mod kit;
pub mod live;
pub mod masks;
pub mod predict_page;
pub mod prompt;
pub mod samples;
pub mod textures;
pub mod transfer;
pub mod viewer;
mod zoom;

/// What all panels remember.
#[derive(Debug, Default)]
pub struct Panels {
    /// The dock.
    pub dock: dock::DockState,
    /// The data page.
    pub data: data_page::DataState,
    /// The evaluate page.
    pub evaluate: evaluate_page::EvaluateState,
    /// The predict page.
    pub predict: predict_page::PredictState,
    /// The export page.
    pub export: export_page::ExportState,
    /// How the weights go over.
    pub transfer: transfer::TransferState,
    /// The viewer over everything.
    pub viewer: viewer::ViewerState,
    /// Pictures on the graphics card.
    pub textures: textures::Textures,
}

impl Panels {
    /// Draws the viewer, while a picture is shown; call it after everything else.
    pub fn viewer(&mut self, ui: &mut egui::Ui, cx: &mut super::Context<'_>) {
        viewer::ui(ui, cx, &mut self.viewer, &mut self.textures, self.data.shown());
    }
}
