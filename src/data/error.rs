//! Why a set cannot be opened or a picture cannot be decoded.

use std::path::PathBuf;

/// One sentence each, with the file and the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing at this path.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// The system refused to read.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file where a data set was expected.
    #[error("{} is not a folder of pictures: {what}", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// A table that teaches nothing.
    #[error("{} cannot be used: {why}", path.display())]
    NotATable {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A folder without anything in it.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// A folder without a single picture.
    #[error("{} contains no pictures ({seen} other files)", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
        /// Files of other kinds.
        seen: usize,
    },
    /// No reader recognizes the layout.
    #[error("{} is in no layout that this version reads: {}", path.display(), reasons(tried))]
    NotRecognized {
        /// The folder.
        path: PathBuf,
        /// Each layout that was tried, and why it is not that.
        tried: Vec<(String, String)>,
    },
    /// A picture that cannot be decoded.
    #[error("{name}: {why}")]
    Decode {
        /// The picture.
        name: String,
        /// The reason.
        why: String,
    },
    /// An option outside its range.
    #[error("{0}")]
    Option(String),
    /// Stopped on request.
    #[error("cancelled")]
    Cancelled,
}

impl DataError {
    pub(crate) fn decode(name: &str, why: impl Into<String>) -> Self {
        Self::Decode { name: name.to_owned(), why: why.into() }
    }

    /// The reason without the name of the picture, for a report that has a column for the name.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Decode { why, .. } => why.clone(),
            Self::Io { source, .. } => format!("cannot be read: {source}"),
            other => other.to_string(),
        }
    }
}

fn reasons(tried: &[(String, String)]) -> String {
    let each: Vec<String> = tried.iter().map(|(format, why)| format!("{format} ({why})")).collect();
    each.join("; ")
}
