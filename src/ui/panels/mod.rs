//! The dock under the graph and the pages beside it. They read a [`Context`](super::Context) and push actions.

pub mod confusion;
pub mod console;
pub mod curves;
pub mod dock;
pub mod format;
mod kit;
pub mod live;
pub mod samples;
pub mod scores;
pub mod textures;
