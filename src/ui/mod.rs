//! The window: draws what the session says and sends commands. Never names burn.
//!
//! ```text
//! session ─events─► App::logic ─► View ─► panels draw from a Context and push Actions ─► App::logic ─commands─► session
//! ```

mod action;
mod app;
mod context;
pub mod drops;
mod folders;
pub mod graph;
pub mod icons;
mod inspector;
pub mod keys;
pub mod panels;
mod ready;
mod repaint;
mod run;
mod shell;
pub mod style;
mod theme;
pub mod widgets;

pub use crate::format;
pub use action::{Action, Page};
pub use app::{App, Shot};
pub use context::Context;
pub use run::run;
pub use theme::Theme;
