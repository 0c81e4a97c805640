//! The frame around the canvas: top bar, models, status bar, toasts.

pub mod drop_overlay;
pub mod help;
pub mod models;
pub mod public;
pub mod status;
pub mod toasts;
pub mod topbar;
mod weights;
