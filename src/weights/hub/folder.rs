//! Where weights lie on this machine.

use std::path::PathBuf;

/// Names another weights folder.
const OWN: &str = "FROSTLINE_WEIGHTS";

fn var(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folder for what this user's programs keep.
///
/// # Errors
/// When there is no home folder; the text is the beginning of a sentence.
pub fn data_folder() -> Result<PathBuf, &'static str> {
    let home = || var("HOME").map(|home| home.join(".local").join("share"));
    let found = var("XDG_DATA_HOME").or_else(|| var("LOCALAPPDATA")).or_else(home);
    found.ok_or("There is no home folder")
}

/// The folder for what this user's programs can make again.
///
/// # Errors
/// When there is no home folder; the text is the beginning of a sentence.
pub fn cache_folder() -> Result<PathBuf, &'static str> {
    let home = || var("HOME").map(|home| home.join(".cache"));
    let found = var("XDG_CACHE_HOME").or_else(|| var("LOCALAPPDATA")).or_else(home);
    found.ok_or("There is no home folder")
}

/// The folder that public weights are downloaded to and looked for in: `FROSTLINE_WEIGHTS`, or a folder of this program.
///
/// # Errors
/// A sentence, when there is no home folder.
pub fn weights_folder() -> Result<PathBuf, String> {
    let own = var(OWN).map(|folder| std::path::absolute(&folder).unwrap_or(folder));
    let usual = || data_folder().map(|folder| folder.join("frostline").join("weights"));
    own.map_or_else(usual, Ok).map_err(|none| format!("{none} for weights; set {OWN} to a folder."))
}

/// What torch's hub has fetched lies here.
fn torch_folder() -> Option<PathBuf> {
    let home = var("TORCH_HOME")
        .or_else(|| var("XDG_CACHE_HOME").map(|cache| cache.join("torch")))
        .or_else(|| var("HOME").map(|home| home.join(".cache").join("torch")));
    home.map(|home| home.join("hub").join("checkpoints"))
}

/// The file of this name in the weights folder, or among what torch's hub has fetched.
#[must_use]
pub fn find(file: &str) -> Option<PathBuf> {
    let folders = weights_folder().ok().into_iter().chain(torch_folder());
    folders.map(|folder| folder.join(file)).find(|path| path.is_file())
}
