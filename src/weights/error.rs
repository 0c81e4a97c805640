//! What can be wrong with a checkpoint file, each as one sentence.

use std::path::{Path, PathBuf};

/// Longest piece of foreign text quoted in a message. Names inside a hostile file can be megabytes long.
const QUOTE_LIMIT: usize = 240;

/// Why a checkpoint was not opened, read, mapped or written. Nothing has been changed when one is returned.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The operating system refused.
    #[error("{} could not be read: {source}", path.display())]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Not a checkpoint at all; `what` continues the sentence ("is a JPEG image, not a checkpoint").
    #[error("{} {what}", path.display())]
    NotACheckpoint {
        /// The file concerned.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// The file ends too early.
    #[error("{} is cut off ({what}); fetch it again", path.display())]
    Truncated {
        /// The file concerned.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// The container contradicts itself or holds something that cannot be represented.
    #[error("{} cannot be read as a {container} file: {what}", path.display())]
    Malformed {
        /// The file concerned.
        path: PathBuf,
        /// The container that the file's first bytes announce.
        container: &'static str,
        /// The contradiction.
        what: String,
    },
    /// The file asks for more memory or time than its size can justify.
    #[error("{} was refused: {what}", path.display())]
    Refused {
        /// The file concerned.
        path: PathBuf,
        /// What it asks for, and the limit.
        what: String,
    },
    /// A readable container without a single tensor.
    #[error("{} holds no tensors ({what})", path.display())]
    NoTensors {
        /// The file concerned.
        path: PathBuf,
        /// What it holds instead.
        what: String,
    },
    /// A tensor was asked for that the file does not have.
    #[error("{} has no tensor named {name}", path.display())]
    UnknownTensor {
        /// The file concerned.
        path: PathBuf,
        /// The name asked for.
        name: String,
    },
    /// The file belongs to another network.
    #[error(
        "{} belongs to another architecture: {matched} of the {wanted} {part} tensors expected here match by name and shape{}; {differences}",
        path.display(),
        placed(*used, *held)
    )]
    OtherArchitecture {
        /// The file concerned.
        path: PathBuf,
        /// Which tensors were compared: `backbone`, or `network` where nothing is called backbone.
        part: &'static str,
        /// Wanted tensors of that part found with the right shape.
        matched: usize,
        /// Wanted tensors of that part.
        wanted: usize,
        /// Tensors of the file that belong to modules found here and have a place.
        used: usize,
        /// Tensors of the file that belong to modules found here.
        held: usize,
        /// The first differences in words.
        differences: String,
    },
    /// The right architecture, with a tensor outside the heads that does not fit.
    #[error("{} does not fit: {differences}", path.display())]
    Shape {
        /// The file concerned.
        path: PathBuf,
        /// The first tensors that do not fit, in words.
        differences: String,
    },
    /// Writing failed; the destination is as it was before.
    #[error("{} could not be written: {what}", path.display())]
    Save {
        /// The file concerned.
        path: PathBuf,
        /// The cause.
        what: String,
    },
}

impl WeightsError {
    /// What differs, without the file's name, for a list of networks that a file was compared with.
    #[must_use]
    pub fn difference(&self) -> String {
        match self {
            Self::OtherArchitecture { part, matched, wanted, differences, .. } => {
                format!("{matched} of the {wanted} {part} tensors match; {differences}")
            }
            Self::Shape { differences, .. } => differences.clone(),
            other => other.to_string(),
        }
    }

    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    pub(super) fn not_a_checkpoint(path: &Path, what: impl Into<String>) -> Self {
        Self::NotACheckpoint { path: path.to_path_buf(), what: what.into() }
    }

    pub(super) fn truncated(path: &Path, what: impl AsRef<str>) -> Self {
        Self::Truncated { path: path.to_path_buf(), what: quote(what.as_ref()) }
    }

    pub(super) fn malformed(path: &Path, container: &'static str, what: impl AsRef<str>) -> Self {
        Self::Malformed { path: path.to_path_buf(), container, what: quote(what.as_ref()) }
    }

    pub(super) fn refused(path: &Path, what: impl AsRef<str>) -> Self {
        Self::Refused { path: path.to_path_buf(), what: quote(what.as_ref()) }
    }

    pub(super) fn save(path: &Path, what: impl Into<String>) -> Self {
        Self::Save { path: path.to_path_buf(), what: what.into() }
    }
}

/// Foreign text made fit for one sentence: the first sentence of it, no control characters, bounded length.
pub(super) fn quote(text: &str) -> String {
    let first = text.split(". ").next().unwrap_or(text).trim_end_matches('.');
    let mut out: String = first.chars().take(QUOTE_LIMIT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if first.chars().nth(QUOTE_LIMIT).is_some() {
        out.push('…');
    }
    out
}

/// How much of the file has a place, where any of it could.
fn placed(used: usize, held: usize) -> String {
    if held == 0 { String::new() } else { format!(", {used} of the {held} in the file find a place") }
}
