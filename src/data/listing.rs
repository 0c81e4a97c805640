//! What lies in a folder: one walk that every reader looks at. Hidden things and loops are reported, not followed.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{DataError, Issue, Progress, Severity};

/// Deeper folders than this are not read.
const MAX_DEPTH: usize = 32;
/// More hidden files than this are reported as a number.
const FOLD_ABOVE: usize = 20;

/// Extensions of the formats that `image.rs` decodes.
pub(crate) const IMAGE_EXTENSIONS: [&str; 11] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "webp", "tif", "tiff", "gif", "dib"];
/// Extensions of picture formats that it does not decode.
const OTHER_PICTURES: [&str; 16] =
    ["heic", "heif", "avif", "jxl", "jp2", "svg", "psd", "tga", "ico", "raw", "cr2", "nef", "arw", "dng", "exr", "ppm"];

/// What a file seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Named as a picture, or starts as one.
    Image,
    /// A picture in a format that is not decoded.
    OtherPicture,
    /// Anything else.
    Other,
}

#[derive(Clone, Debug)]
pub(crate) struct File {
    pub path: PathBuf,
    pub kind: Kind,
}

/// A folder and everything visible in it, sorted byte-wise by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folder {
    pub path: PathBuf,
    pub files: Vec<File>,
    pub folders: Vec<Folder>,
}

impl Folder {
    /// The last part of the path; what is not UTF-8 in it is replaced.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn child(&self, name: &str) -> Option<&Self> {
        self.folders.iter().find(|f| f.name().eq_ignore_ascii_case(name))
    }

    /// Every file here and below.
    pub fn all_files(&self) -> Vec<&File> {
        let mut files: Vec<&File> = self.files.iter().collect();
        files.extend(self.folders.iter().flat_map(Self::all_files));
        files
    }

    pub fn images(&self) -> Vec<&File> {
        self.all_files().into_iter().filter(|f| f.kind == Kind::Image).collect()
    }

    pub fn has_images(&self) -> bool {
        self.has_own_images() || self.folders.iter().any(Self::has_images)
    }

    pub fn has_own_images(&self) -> bool {
        self.files.iter().any(|f| f.kind == Kind::Image)
    }

    /// This folder and every folder below.
    pub fn all_folders(&self) -> Vec<&Self> {
        let mut folders = vec![self];
        folders.extend(self.folders.iter().flat_map(Self::all_folders));
        folders
    }
}

/// Walks `root`. Issues found on the way (hidden, unreadable, loops) are added to `issues`.
pub(crate) fn list(root: &Path, progress: &dyn Progress, issues: &mut Vec<Issue>) -> Result<Folder, DataError> {
    list_parts(root, &|_| true, progress, issues)
}

/// The same, but of the folders that lie in `root` itself only those with a name that is `wanted`: what else lies beside
/// them may be a whole home.
pub(crate) fn list_parts(
    root: &Path,
    wanted: &dyn Fn(&str) -> bool,
    progress: &dyn Progress,
    issues: &mut Vec<Issue>,
) -> Result<Folder, DataError> {
    let mut walk = Walk { progress, issues, wanted, hidden_files: Vec::new(), seen: 0 };
    let mut above = Vec::new();
    let folder = walk.folder(root, &mut above)?;
    let hidden = walk.hidden_files;
    if hidden.len() > FOLD_ABOVE {
        issues.push(Issue::new(Severity::Note, root, format!("{} hidden files are not read", hidden.len())));
    } else {
        issues.extend(hidden.into_iter().map(|path| Issue::new(Severity::Note, path, "hidden file, not read")));
    }
    Ok(folder)
}

struct Walk<'a> {
    progress: &'a dyn Progress,
    issues: &'a mut Vec<Issue>,
    /// Of the folders in the first one.
    wanted: &'a dyn Fn(&str) -> bool,
    hidden_files: Vec<PathBuf>,
    seen: usize,
}

impl Walk<'_> {
    fn folder(&mut self, path: &Path, above: &mut Vec<PathBuf>) -> Result<Folder, DataError> {
        if self.progress.cancelled() {
            return Err(DataError::Cancelled);
        }
        let mut folder = Folder { path: path.to_owned(), ..Folder::default() };
        let mut entries: Vec<PathBuf> = match fs::read_dir(path) {
            Ok(entries) => entries.filter_map(|e| e.ok().map(|e| e.path())).collect(),
            Err(error) if !above.is_empty() => {
                self.warn(path, format!("the folder cannot be read: {error}"));
                return Ok(folder);
            }
            Err(source) => return Err(DataError::Io { path: path.to_owned(), source }),
        };
        entries.sort_by(|a, b| name_of(a).as_encoded_bytes().cmp(name_of(b).as_encoded_bytes()));
        above.push(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
        for entry in entries {
            self.entry(entry, &mut folder, above)?;
        }
        above.pop();
        Ok(folder)
    }

    fn entry(&mut self, path: PathBuf, folder: &mut Folder, above: &mut Vec<PathBuf>) -> Result<(), DataError> {
        self.seen += 1;
        if self.seen.is_multiple_of(256) {
            self.progress.update(self.seen, 0, "looking for files");
        }
        let meta = match fs::metadata(&path) {
            Ok(meta) => meta,
            Err(error) => {
                self.warn(&path, format!("cannot be read, left out: {error}"));
                return Ok(());
            }
        };
        if above.len() == 1 && meta.is_dir() && !(self.wanted)(&name_of(&path).to_string_lossy()) {
            return Ok(());
        }
        if is_hidden(name_of(&path)) {
            if meta.is_dir() {
                self.issues.push(Issue::new(Severity::Note, path, "hidden folder, not read"));
            } else {
                self.hidden_files.push(path);
            }
        } else if meta.is_dir() {
            if fs::canonicalize(&path).is_ok_and(|real| above.contains(&real)) {
                self.warn(&path, "a link back to a folder that it lies in; not followed");
            } else if above.len() >= MAX_DEPTH {
                self.warn(&path, format!("more than {MAX_DEPTH} folders deep; not read"));
            } else {
                let child = self.folder(&path, above)?;
                folder.folders.push(child);
            }
        } else if meta.is_file() {
            let kind = kind_of(&path);
            folder.files.push(File { path, kind });
        } else {
            self.warn(&path, "neither a file nor a folder; left out");
        }
        Ok(())
    }

    fn warn(&mut self, path: &Path, what: impl Into<String>) {
        self.issues.push(Issue::new(Severity::Warning, path, what));
    }
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// Names that the systems' file managers hide, or leave behind.
fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
        || ["__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir"].iter().any(|hidden| name.eq_ignore_ascii_case(hidden))
}

/// The extension in lower case, without the dot.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn kind_of(path: &Path) -> Kind {
    let extension = extension(path);
    if IMAGE_EXTENSIONS.contains(&extension.as_str()) {
        Kind::Image
    } else if OTHER_PICTURES.contains(&extension.as_str()) {
        Kind::OtherPicture
    } else if starts_as_image(path) {
        Kind::Image
    } else {
        Kind::Other
    }
}

/// Whether a file that is not named as a picture starts as one (downloads often lack an extension).
fn starts_as_image(path: &Path) -> bool {
    let mut head = [0; 12];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    let head = head.get(..read).unwrap_or_default();
    head.starts_with(&[0xFF, 0xD8, 0xFF])
        || head.starts_with(b"\x89PNG\r\n\x1a\n")
        || head.starts_with(b"GIF8")
        || (head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP"))
}
