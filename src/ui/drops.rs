//! What a dropped or chosen path is, by its name and, for folders, by one look at what they hold.

use std::path::Path;

/// Kinds of things that can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder or annotation file.
    Data,
    /// A checkpoint.
    Weights,
    /// A picture to predict on.
    Picture,
    /// A project file.
    Project,
    /// A run's folder.
    Run,
    /// None of these.
    Unknown,
}

/// Name of the file that marks a run's folder.
const RUN_PLAN: &str = "run.json";

/// The kind of a path.
#[must_use]
pub fn kind(path: &Path) -> Kind {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if name.ends_with(".frostline.json") {
        return Kind::Project;
    }
    match extension.as_str() {
        "pth" | "pt" | "safetensors" | "ckpt" | "tar" | "bin" => Kind::Weights,
        "png" | "jpg" | "jpeg" | "bmp" | "webp" | "tif" | "tiff" | "gif" => Kind::Picture,
        "json" | "yaml" | "yml" | "csv" | "txt" | "xml" => Kind::Data,
        _ if path.is_dir() => {
            if path.join(RUN_PLAN).is_file() {
                Kind::Run
            } else {
                Kind::Data
            }
        }
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_path_is() {
        let home = tempfile::tempdir().unwrap();
        for (name, expected) in [
            ("resnet18-f37072fd.pth", Kind::Weights),
            ("a.safetensors", Kind::Weights),
            ("Ünïcode 路径.JPG", Kind::Picture),
            ("cells.frostline.json", Kind::Project),
            ("instances_train.json", Kind::Data),
            ("song.mp3", Kind::Unknown),
        ] {
            assert_eq!(kind(&home.path().join(name)), expected, "{name}");
        }
        assert_eq!(kind(home.path()), Kind::Data);
        std::fs::write(home.path().join(RUN_PLAN), "{}").unwrap();
        assert_eq!(kind(home.path()), Kind::Run);
    }
}
