//! Decoded and reduced pictures on disk: what a large photo is decoded for is a small copy of it, which is read a hundred
//! times faster than the photo is decoded. One file for each data set, next to the stored features.
//!
//! A picture is found by its file's path, length and time of writing and by how it was reduced. It is stored where decoding
//! it took longer than reading it back will.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::digests::stamp_of;
use crate::data::cache::Stage;
use crate::data::records::{Key, RecordFile};
use crate::data::{ImageSource, Placement, Rgb8};

/// The file's first line. Another version of this program that reduces in another way has another.
const LINE: &str = r#"{"frostline":"pictures","version":1}"#;
/// Bytes that a slow disk reads in a second.
const BYTES_PER_S: f64 = 100e6;
/// What is decoded faster than it is found is not worth its place, whatever its size.
const FOUND_IN_S: f64 = 2e-3;
/// Bytes of what is known beside the pixels: sides, then where the whole lies.
const ABOUT: usize = 2 * 4 + 4 * 8;

/// The reduced pictures of one data set.
#[derive(Debug)]
pub struct PictureFile {
    path: PathBuf,
    inner: Mutex<Inner>,
    budget_bytes: u64,
}

#[derive(Debug, Default)]
struct Inner {
    /// None where there is no file yet.
    file: Option<RecordFile>,
    /// Why nothing is written any more.
    failed: Option<String>,
    told: bool,
}

impl Inner {
    fn fail(&mut self, path: &Path, cause: &std::io::Error) {
        self.file = None;
        self.failed = Some(format!("reduced pictures are not kept in {}: {cause}", path.display()));
    }
}

impl PictureFile {
    /// Opens the file, which may grow to `budget_bytes`; where there is none it is made with the first picture. Where it cannot
    /// be used, a note says why and pictures are decoded each time.
    #[must_use]
    pub fn open(path: &Path, budget_bytes: u64) -> Self {
        let mut inner = Inner::default();
        if path.exists() {
            match RecordFile::open(path, LINE) {
                Ok(file) => inner.file = Some(file),
                Err(cause) => inner.fail(path, &cause),
            }
        }
        Self { path: path.to_owned(), inner: Mutex::new(inner), budget_bytes }
    }

    /// What should be told, once.
    #[must_use]
    pub fn take_note(&self) -> Option<String> {
        let mut inner = self.lock();
        let note = inner.failed.clone().filter(|_| !inner.told);
        inner.told |= note.is_some();
        note
    }

    /// Pictures in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().file.as_ref().map_or(0, RecordFile::len)
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the picture of a file, reduced by this `rule` of the loader's, is found by; none for one in memory.
    pub(crate) fn key(source: &ImageSource, rule: &str) -> Option<Key> {
        let ImageSource::File(path) = source else { return None };
        let stamp = stamp_of(path);
        if stamp.is_empty() {
            return None;
        }
        let mut hash = Sha256::new();
        for part in [path.as_os_str().as_encoded_bytes(), stamp.as_bytes(), rule.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        digest.first_chunk().copied()
    }

    /// A picture; none where there is none, or it is damaged.
    pub(crate) fn get(&self, key: &Key) -> Option<Stage> {
        let (about, pixels) = self.lock().file.as_mut()?.read(key).ok().flatten()?;
        let about: [u8; ABOUT] = about.try_into().ok()?;
        let (sides, parts) = about.split_at(8);
        let mut sides = sides.as_chunks().0.iter().map(|&four| u32::from_le_bytes(four));
        let (width, height) = (sides.next()?, sides.next()?);
        let mut placement = [0.0; 4];
        for (part, &eight) in placement.iter_mut().zip(parts.as_chunks().0) {
            *part = f64::from_le_bytes(eight);
        }
        let is_whole = pixels.len() as u64 == 3 * u64::from(width) * u64::from(height);
        let stage =
            || Stage { image: Arc::new(Rgb8 { width, height, pixels }), placement: Placement::from_parts(placement) };
        is_whole.then(stage)
    }

    /// Keeps a picture that took so long to decode, where that is worth it and there is room.
    pub(crate) fn put(&self, key: &Key, stage: &Stage, decoded_in: Duration) {
        let read_in_s = FOUND_IN_S + stage.image.pixels.len() as f64 / BYTES_PER_S;
        if decoded_in.as_secs_f64() < read_in_s {
            return;
        }
        let mut about = Vec::with_capacity(ABOUT);
        about.extend([stage.image.width, stage.image.height].into_iter().flat_map(u32::to_le_bytes));
        about.extend(stage.placement.parts().into_iter().flat_map(f64::to_le_bytes));
        let mut inner = self.lock();
        if inner.failed.is_some() {
            return;
        }
        if inner.file.is_none() {
            match self.make() {
                Ok(file) => inner.file = Some(file),
                Err(cause) => return inner.fail(&self.path, &cause),
            }
        }
        let Some(file) = inner.file.as_mut() else { return };
        let bytes = RecordFile::record_bytes(about.len(), stage.image.pixels.len() as u64);
        if file.is_writable()
            && !file.contains(key)
            && file.bytes() + bytes <= self.budget_bytes
            && let Err(cause) = file.append(key, &about, &stage.image.pixels)
        {
            inner.fail(&self.path, &cause);
        }
    }

    fn make(&self) -> std::io::Result<RecordFile> {
        self.path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        RecordFile::open(&self.path, LINE)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stage::reduction;
    use crate::data::{Loader, OpenOptions, PixelCache, Quiet, View, open};
    use crate::models::find;

    const LONG: Duration = Duration::from_secs(1);

    fn stage(value: u8) -> Stage {
        let mut image = Rgb8::filled(5, 3, value);
        image.pixels[7] = 9;
        Stage { image: Arc::new(image), placement: Placement::from_parts([0.5, 0.25, -3.0, 1e-9]) }
    }

    fn same(a: &Stage, b: &Stage) -> bool {
        a.image.pixels == b.image.pixels
            && [a.image.width, a.image.height] == [b.image.width, b.image.height]
            && a.placement == b.placement
    }

    #[test]
    fn a_picture_comes_back_as_it_was_also_for_the_next_program() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pixels");
        let file = PictureFile::open(&path, 1000);
        let keys: Vec<Key> = (0..9).map(|i| [i; 16]).collect();
        file.put(&keys[0], &stage(1), Duration::from_millis(1));
        assert!(file.is_empty(), "what is decoded in a millisecond is not kept");
        keys.iter().enumerate().for_each(|(i, key)| file.put(key, &stage(i as u8), LONG));
        // 37 bytes are the first line; each takes 28 and 40 and 45 more.
        assert_eq!((file.len(), std::fs::metadata(&path).unwrap().len()), (8, 37 + 8 * 113));
        drop(file);
        let file = PictureFile::open(&path, 1000);
        assert!((0..8).all(|i| same(&file.get(&keys[i]).unwrap(), &stage(i as u8))));
        assert!(file.get(&keys[8]).is_none(), "there was no room");
        drop(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[37 + 113 + 100] ^= 1;
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let file = PictureFile::open(&path, 1000);
        let known: Vec<bool> = keys.iter().map(|key| file.get(key).is_some()).collect();
        assert_eq!(known, [true, false, true, true, true, true, true, false, false], "one damaged, the last cut off");
    }

    #[test]
    fn what_keeps_it_from_writing_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("no folder"), "").unwrap();
        let file = PictureFile::open(&dir.path().join("no folder/a.pixels"), 1000);
        assert_eq!(file.take_note(), None, "nothing was to be written yet");
        file.put(&[1; 16], &stage(1), LONG);
        let note = file.take_note().unwrap();
        assert!(note.starts_with("reduced pictures are not kept in") && note.contains("a.pixels"), "{note}");
        file.put(&[2; 16], &stage(1), LONG);
        assert!(file.take_note().is_none() && file.is_empty());
    }

    #[test]
    fn another_file_or_another_rule_has_another_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let key = |rule| PictureFile::key(&ImageSource::File(path.clone()), rule);
        assert_eq!(key("x"), None, "there is no file yet");
        std::fs::write(&path, b"1").unwrap();
        let (x, y) = (key("x").unwrap(), key("y").unwrap());
        assert!(x != y && key("x") == Some(x));
        std::fs::write(&path, b"12").unwrap();
        assert_ne!(key("x"), Some(x));
    }

    /// What the file holds is what the loader gives, and the first time it gives what it gives without one.
    #[test]
    fn the_loader_takes_pictures_from_the_file() {
        let dir = tempfile::tempdir().unwrap();
        for class in ["a", "b"] {
            let folder = dir.path().join("set").join(class);
            std::fs::create_dir_all(&folder).unwrap();
            let picture = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 3, y as u8 * 5, 200]));
            picture.save(folder.join("1.png")).unwrap();
        }
        let dataset = Arc::new(open(&dir.path().join("set"), &OpenOptions::default(), &Quiet).unwrap());
        let rule = find("resnet18").unwrap().preprocess.with_size(32);
        let view = View { rule, augment: None, seed: 0, epoch: 0 };
        let pixels = |file: Option<PictureFile>| {
            let view = view.clone();
            let cache = Arc::new(PixelCache::new(0).with_file(file));
            let mut loader = Loader::start_cached(Arc::clone(&dataset), vec![0], 1, view, cache);
            loader.next_batch().unwrap().pixels
        };
        let wanted = pixels(None);
        let kept = dir.path().join("a.pixels");
        assert_eq!(pixels(Some(PictureFile::open(&kept, 1 << 20))), wanted);
        // A picture of one color in its place.
        let file = PictureFile::open(&dir.path().join("b.pixels"), 1 << 20);
        let key = PictureFile::key(&dataset.samples[0].image, &reduction(&view));
        let grey = Stage { image: Arc::new(Rgb8::filled(32, 32, 128)), placement: Placement::IDENTITY };
        file.put(&key.unwrap(), &grey, LONG);
        let found = pixels(Some(file));
        assert!(found.len() == wanted.len() && found.chunks(32 * 32).all(|plane| plane.iter().all(|v| *v == plane[0])));
    }
}
