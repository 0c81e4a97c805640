//! Values of masks that no table gives a class, and the table that a person makes of them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::DataError;

/// What a pixel of a mask holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MaskValue {
    /// A grey value or an index of a palette.
    Value(u16),
    /// A color.
    Color([u8; 3]),
}

/// A value of a set's masks that needs a name before they can be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unnamed {
    /// The value.
    pub value: MaskValue,
    /// The part of all pixels that hold it (0-1).
    pub share: f64,
}

/// Writes the table `classes.csv` into a set's folder: a line for each value with a name. Values without one are left out,
/// and count for nothing.
///
/// # Errors
/// [`DataError`] when there is such a file already, no value has a name, a name is used for a class and for nothing, or the
/// folder cannot be written.
pub fn name_classes(folder: &Path, names: &[(MaskValue, String)]) -> Result<PathBuf, DataError> {
    let path = folder.join("classes.csv");
    let named: Vec<(MaskValue, &str)> =
        names.iter().map(|(value, name)| (*value, name.trim())).filter(|(_, name)| !name.is_empty()).collect();
    if named.is_empty() {
        return Err(DataError::decode(&path.display().to_string(), "none of the values has a name"));
    }
    let mut text = match named.first() {
        Some((MaskValue::Color(_), _)) => "name,r,g,b\n".to_owned(),
        _ => "name,value\n".to_owned(),
    };
    for (value, name) in named {
        // The reader of tables splits lines at commas.
        let name: String = name.chars().map(|c| if matches!(c, ',' | ';' | '\t' | '"') { ' ' } else { c }).collect();
        text += &match value {
            MaskValue::Color([r, g, b]) => format!("{name},{r},{g},{b}\n"),
            MaskValue::Value(value) => format!("{name},{value}\n"),
        };
    }
    let io = |source| DataError::Io { path: path.clone(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    Ok(path)
}
