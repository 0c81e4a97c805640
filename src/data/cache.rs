//! Decoded pictures and masks kept in memory from one epoch to the next, up to a number of bytes; pictures that are slow to
//! decode also in a file.
//!
//! What comes out of the loader is the same with and without it: it keeps only what the loader would compute again.
//! When it is full it keeps what it has. An epoch visits every picture once, so throwing out the oldest picture would
//! throw out the one that is needed next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::features::PictureFile;
use super::{InstancePixels, MaskPixels, Placement, Rgb8};

/// A picture on its way to the input, and where the original lies in it.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub image: Arc<Rgb8>,
    pub placement: Placement,
}

/// Decoded pictures of one data set, shared by its loaders.
#[derive(Debug)]
pub struct PixelCache {
    budget_bytes: usize,
    inner: Mutex<Inner>,
    /// Where pictures are that do not fit, or that another run decoded.
    file: Option<PictureFile>,
}

#[derive(Debug, Default)]
struct Inner {
    used_bytes: usize,
    stages: HashMap<(u64, usize), Stage>,
    masks: HashMap<usize, Arc<MaskPixels>>,
    objects: HashMap<usize, Arc<InstancePixels>>,
}

impl Default for PixelCache {
    /// 512 MiB.
    fn default() -> Self {
        Self::new(512 << 20)
    }
}

impl PixelCache {
    /// An empty cache for at most `budget_bytes` of pixels.
    #[must_use]
    pub fn new(budget_bytes: usize) -> Self {
        Self { budget_bytes, inner: Mutex::default(), file: None }
    }

    /// The same with a file for what does not fit, and for the next run.
    #[must_use]
    pub fn with_file(self, file: Option<PictureFile>) -> Self {
        Self { file, ..self }
    }

    /// What should be told of the file, once.
    #[must_use]
    pub fn take_note(&self) -> Option<String> {
        self.file.as_ref()?.take_note()
    }

    /// The file, where there is one.
    pub(crate) fn file(&self) -> Option<&PictureFile> {
        self.file.as_ref()
    }

    /// Bytes of pixels that it holds.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.lock().used_bytes
    }

    /// Pictures that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().stages.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything, for example because files changed.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// Forgets one picture, because its file changed.
    pub(crate) fn forget(&self, index: usize) {
        let mut inner = self.lock();
        let gone: Vec<(u64, usize)> = inner.stages.keys().filter(|(_, at)| *at == index).copied().collect();
        for key in gone {
            let bytes = inner.stages.remove(&key).map_or(0, |stage| stage.image.pixels.len());
            inner.used_bytes -= bytes;
        }
    }

    pub(crate) fn get(&self, kind: u64, index: usize) -> Option<Stage> {
        self.lock().stages.get(&(kind, index)).cloned()
    }

    pub(crate) fn put(&self, kind: u64, index: usize, stage: &Stage) {
        let bytes = stage.image.pixels.len();
        let mut inner = self.lock();
        if inner.used_bytes + bytes <= self.budget_bytes && !inner.stages.contains_key(&(kind, index)) {
            inner.used_bytes += bytes;
            inner.stages.insert((kind, index), stage.clone());
        }
    }

    pub(crate) fn mask(&self, index: usize) -> Option<Arc<MaskPixels>> {
        self.lock().masks.get(&index).cloned()
    }

    pub(crate) fn put_mask(&self, index: usize, mask: &Arc<MaskPixels>) {
        let bytes = mask.ids.len();
        let mut inner = self.lock();
        if inner.used_bytes + bytes <= self.budget_bytes && !inner.masks.contains_key(&index) {
            inner.used_bytes += bytes;
            inner.masks.insert(index, Arc::clone(mask));
        }
    }

    pub(crate) fn objects(&self, index: usize) -> Option<Arc<InstancePixels>> {
        self.lock().objects.get(&index).cloned()
    }

    pub(crate) fn put_objects(&self, index: usize, objects: &Arc<InstancePixels>) {
        let bytes = size_of_val(objects.ids.as_slice());
        let mut inner = self.lock();
        if inner.used_bytes + bytes <= self.budget_bytes && !inner.objects.contains_key(&index) {
            inner.used_bytes += bytes;
            inner.objects.insert(index, Arc::clone(objects));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_exceeds_its_budget() {
        let cache = PixelCache::new(3 * 300);
        let stage = Stage { image: Arc::new(Rgb8::filled(10, 10, 0)), placement: Placement::IDENTITY };
        for index in 0..5 {
            cache.put(1, index, &stage);
        }
        assert_eq!((cache.len(), cache.used_bytes()), (3, 900));
        assert!(cache.get(1, 2).is_some() && cache.get(1, 3).is_none() && cache.get(2, 2).is_none());
        cache.clear();
        assert!(cache.is_empty());
    }
}
