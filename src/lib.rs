//! Frostline: a native desktop workbench for transfer learning and fine-tuning of vision models.
//!
//! Who may know whom (an arrow reads "uses"; `tests/house_rules.rs` fails when one points up):
//!
//! ```text
//! ui ──► session ──► train ──► data      readers, pre-flight, decode, augment, loader
//! cli ─►    │          │  └──► weights   checkpoint files, load report
//!           │          └─────► models    families (each a description) and the Network that executes one
//!           │                    │
//!           │                    nn      blocks as typed burn modules, with torch semantics
//!           └──────────────────► graph   pure data: nodes, edges, parts, shapes, costs, freeze plan
//! ```

pub mod data;
pub mod format;
pub mod graph;
pub mod models;
pub mod nn;
pub mod rng;
pub mod session;
pub mod train;
pub mod weights;

pub mod cli;
#[cfg(feature = "gui")]
pub mod ui;
