//! The window: draws what the session says and sends commands. Never names burn.

mod action;
mod context;
pub mod panels;
mod theme;

pub use action::{Action, Page};
pub use context::Context;
pub use theme::Theme;
