//! Batches of plain buffers, decoded ahead of the training step on the decode pool, in the order that was asked for.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use rayon::prelude::*;

use super::augment::{self, view_rng};
use super::cache::Stage;
use super::compose::{Tile, compose};
use super::features::{Hit, Lookup, PictureFile, Record, RecordKey, Seen, record_key};
use super::mask::{load_mask, load_objects, place_mask};
use super::stage::{reduction, stage};
use super::transform::{clear_padding, normalize};
use super::{
    Augment, BoxTarget, DataError, Dataset, InstancePixels, Issue, MaskPixels, MaskTarget, PixelCache, Placement,
    Sample, Severity, Split, Target, on_decode_pool,
};
use crate::graph::Preprocess;

/// Finished batches that wait for the training step.
const PREFETCH: usize = 2;
/// A box that is cut to less than this part of its area by a random crop is no longer a good example.
const MIN_VISIBLE: f32 = 0.1;

/// How pictures are turned into inputs.
#[derive(Clone, Debug)]
pub struct View {
    /// The network's preprocessing.
    pub rule: Preprocess,
    /// Random changes; `None` for validation.
    pub augment: Option<Augment>,
    /// Seed of the random changes.
    pub seed: u64,
    /// Epoch; each has its own random changes.
    pub epoch: u64,
}

/// What is wanted of pictures beside pixels and targets.
#[derive(Clone, Debug, Default)]
pub struct Wants {
    /// Where to look for features of pictures, which then need not be decoded.
    pub known: Option<Lookup>,
    /// Whether the objects of masks are wanted.
    pub objects: bool,
}

/// One batch, ready to become a tensor.
#[derive(Clone, Debug, Default)]
pub struct RawBatch {
    /// Indices into [`Dataset::samples`], in the order asked for, without those that failed; may be empty.
    pub indices: Vec<usize>,
    /// Height and width of the input in pixels.
    pub size_px: [u32; 2],
    /// Normalized pixels of the pictures whose features were not found: `[pictures without, 3, height, width]`.
    pub pixels: Vec<f32>,
    /// Per picture; boxes in input pixels. The mask, if there is one, is in `masks` instead.
    pub targets: Vec<Target>,
    /// Per picture: `[height, width]` class ids at input size, where the target has a mask.
    pub masks: Vec<Option<Vec<u8>>>,
    /// Per picture: `[height, width]` numbers of objects at input size ([`super::load_objects`]), where they were asked for
    /// and the target has a mask.
    pub objects: Vec<Option<Vec<u16>>>,
    /// Per picture: where it lies in the input.
    pub placements: Vec<Placement>,
    /// Per picture: its own width and height in pixels.
    pub images_px: Vec<[u32; 2]>,
    /// Per picture: its features, where they were found; empty where none were looked for.
    pub hits: Vec<Option<Hit>>,
    /// Per picture without features: what they can be stored under, and with which view; empty where none were looked for.
    pub views: Vec<Option<(RecordKey, Seen)>>,
    /// Files that broke since the check; they are left out of the batch.
    pub failed: Vec<Issue>,
}

/// A thread that keeps up to two batches ready.
#[derive(Debug)]
pub struct Loader {
    batches: Option<Receiver<RawBatch>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts to load `order` (indices into the samples) in batches of `batch`; the last one may be smaller.
    #[must_use]
    pub fn start(dataset: Arc<Dataset>, order: Vec<usize>, batch: usize, view: View) -> Self {
        Self::start_cached(dataset, order, batch, view, Arc::new(PixelCache::new(0)))
    }

    /// The same with decoded pictures kept in `cache`, which belongs to this data set.
    #[must_use]
    pub fn start_cached(
        dataset: Arc<Dataset>,
        order: Vec<usize>,
        batch: usize,
        view: View,
        cache: Arc<PixelCache>,
    ) -> Self {
        Self::start_with(dataset, order, batch, view, cache, Wants::default())
    }

    /// The same with what else is wanted; a picture whose features are known is not decoded.
    #[must_use]
    pub fn start_with(
        dataset: Arc<Dataset>,
        order: Vec<usize>,
        batch: usize,
        view: View,
        cache: Arc<PixelCache>,
        wants: Wants,
    ) -> Self {
        let (sender, batches) = sync_channel(PREFETCH);
        let stop = Arc::new(AtomicBool::new(false));
        let work = Work { wants, ..Work::new(dataset, view, cache, Arc::clone(&stop)) };
        let failures = sender.clone();
        let thread = std::thread::Builder::new()
            .name("frostline-loader".to_owned())
            .spawn(move || work.run(&order, batch.max(1), &sender));
        let thread = match thread {
            Ok(thread) => Some(thread),
            Err(error) => {
                // The channel is empty, so this cannot block.
                let _ = failures.try_send(RawBatch::broken(format!("the loader thread cannot start: {error}")));
                None
            }
        };
        Self { batches: Some(batches), stop, thread }
    }

    /// The next batch; waits for it. `None` after the last one.
    pub fn next_batch(&mut self) -> Option<RawBatch> {
        match self.batches.as_ref()?.recv() {
            Ok(batch) => Some(batch),
            Err(_) => {
                self.batches = None;
                let ended = self.thread.take()?.join();
                ended.is_err().then(|| RawBatch::broken("the loader thread failed (internal error)".to_owned()))
            }
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.batches = None; // a send that waits returns
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl RawBatch {
    /// Adds all of a picture but its pixels and its size; `before` where features were looked for.
    fn push(&mut self, index: usize, loaded: Loaded, before: Option<Before>) {
        self.indices.push(index);
        self.placements.push(loaded.seen.placement());
        self.targets.push(loaded.target);
        self.masks.push(loaded.mask);
        self.objects.push(loaded.objects);
        let Some(Before { key, found }) = before else { return };
        self.views
            .push(key.filter(|_| found.as_ref().is_none_or(|(store, _)| *store > 0)).map(|key| (key, loaded.seen)));
        self.hits.push(found.map(|(store, record)| Hit { store, values: record.values }));
    }

    fn broken(what: String) -> Self {
        Self { failed: vec![Issue::new(Severity::Error, "", what)], ..Self::default() }
    }
}

/// What the loader thread works with.
struct Work {
    dataset: Arc<Dataset>,
    view: View,
    cache: Arc<PixelCache>,
    stop: Arc<AtomicBool>,
    /// How pictures are reduced for this view.
    reduced: String,
    /// Names what the cache holds for this view.
    kind: u64,
    /// Pictures to train on whose boxes or masks are known: what a mosaic may take.
    partners: Vec<usize>,
    wants: Wants,
}

/// One picture of a batch but its pixels.
struct Loaded {
    target: Target,
    mask: Option<Vec<u8>>,
    objects: Option<Vec<u16>>,
    seen: Seen,
}

/// What is known of a picture before it is decoded.
#[derive(Default)]
struct Before {
    key: Option<RecordKey>,
    found: Option<(usize, Record)>,
}

/// What a picture brings to a view of several.
struct Part<'s> {
    stage: Stage,
    boxes: &'s [BoxTarget],
    mask: Option<Arc<MaskPixels>>,
    objects: Option<Arc<InstancePixels>>,
}

enum Outcome {
    Loaded(Box<Loaded>),
    Failed(Issue),
    Stopped,
}

impl Work {
    fn new(dataset: Arc<Dataset>, mut view: View, cache: Arc<PixelCache>, stop: Arc<AtomicBool>) -> Self {
        view.augment = view.augment.filter(|augment| !augment.is_none());
        let reduced = reduction(&view);
        let mut kind = DefaultHasher::new();
        (&dataset.root, dataset.samples.len(), &reduced).hash(&mut kind);
        let kind = kind.finish();
        let mosaic = view.augment.as_ref().is_some_and(|augment| augment.mosaic > 0.0);
        let known = |index: &usize| {
            dataset.samples.get(*index).is_some_and(|s| s.target.boxes.is_some() || s.target.mask.is_some())
        };
        let partners =
            if mosaic { dataset.indices(Split::Train).into_iter().filter(known).collect() } else { Vec::new() };
        Self { dataset, view, cache, wants: Wants::default(), stop, reduced, kind, partners }
    }

    fn run(&self, order: &[usize], batch: usize, batches: &SyncSender<RawBatch>) {
        for indices in order.chunks(batch) {
            let loaded = on_decode_pool(|| self.batch(indices));
            if self.stop.load(Ordering::Relaxed) || batches.send(loaded).is_err() {
                return;
            }
        }
    }

    /// The rule of one batch: with another size where several are drawn from. It hangs on the batch's first picture, so
    /// that a run that is taken up in the middle of an epoch sees the same.
    fn rule(&self, indices: &[usize]) -> Preprocess {
        let View { rule, augment, seed, epoch } = &self.view;
        let sizes = augment.as_ref().map_or(&[][..], |augment| augment.sizes.as_slice());
        let first = indices.first().copied().unwrap_or_default();
        // Not the numbers that the picture's own view is drawn from.
        let mut rng = view_rng(!*seed, *epoch, first);
        match sizes.get(rng.below(sizes.len().max(1))) {
            Some(&side) => rule.clone().with_size(side),
            None => rule.clone(),
        }
    }

    fn batch(&self, indices: &[usize]) -> RawBatch {
        let rule = self.rule(indices);
        let [height, width] = rule.size;
        let length = 3 * height as usize * width as usize;
        let mut before: Vec<Result<Before, Issue>> = match &self.wants.known {
            Some(known) => indices.par_iter().map(|&index| self.look_up(index, known)).collect(),
            None => indices.iter().map(|_| Ok(Before::default())).collect(),
        };
        let is_found = |before: &Result<Before, Issue>| before.as_ref().is_ok_and(|before| before.found.is_some());
        let without = before.iter().filter(|one| !is_found(one)).count();
        let mut pixels = vec![0.0; without * length];
        let mut room = pixels.chunks_mut(length.max(1));
        let rooms: Vec<&mut [f32]> = before
            .iter()
            .map(|one| if is_found(one) { Default::default() } else { room.next().unwrap_or_default() })
            .collect();
        let outcomes: Vec<Outcome> = rooms
            .into_par_iter()
            .zip(indices.par_iter().zip(&before))
            .map(|(out, (index, before))| self.one(*index, &rule, before, out))
            .collect();
        let mut batch = RawBatch { size_px: rule.size, ..RawBatch::default() };
        let (mut position, mut kept) = (0, 0);
        for ((index, outcome), before) in indices.iter().zip(outcomes).zip(&mut before) {
            let was_found = is_found(before);
            match outcome {
                Outcome::Loaded(loaded) => {
                    if !was_found {
                        let (from, to) = (position * length, kept * length);
                        if from != to {
                            pixels.copy_within(from..from + length, to);
                        }
                        kept += 1;
                    }
                    let before = before.as_mut().map(std::mem::take).unwrap_or_default();
                    batch.push(*index, *loaded, self.wants.known.is_some().then_some(before));
                    batch.images_px.push(self.dataset.samples.get(*index).map_or([0, 0], |sample| sample.size_px));
                }
                Outcome::Failed(issue) => batch.failed.push(issue),
                Outcome::Stopped => {}
            }
            position += usize::from(!was_found);
        }
        pixels.truncate(kept * length);
        batch.pixels = pixels;
        batch
    }

    /// What a picture's features are found by, and the features where there are some.
    fn look_up(&self, index: usize, known: &Lookup) -> Result<Before, Issue> {
        let Some(sample) = self.dataset.samples.get(index) else { return Ok(Before::default()) };
        let digest = known.digests.of(index, &sample.image);
        let digest = digest.map_err(|error| Issue::new(Severity::Error, sample.image.name(), error.reason()))?;
        if digest.changed {
            self.cache.forget(index);
        }
        let key = record_key(&digest.sha256, &self.view, index, &sample.target);
        let found = known.stores.iter().enumerate().find_map(|(at, store)| Some((at, store.get(&key)?)));
        Ok(Before { key: Some(key), found })
    }

    fn one(&self, index: usize, rule: &Preprocess, before: &Result<Before, Issue>, out: &mut [f32]) -> Outcome {
        if self.stop.load(Ordering::Relaxed) {
            return Outcome::Stopped;
        }
        let Some(sample) = self.dataset.samples.get(index) else {
            let what = format!("picture {index} does not exist ({} pictures)", self.dataset.samples.len());
            return Outcome::Failed(Issue::new(Severity::Error, &self.dataset.root, what));
        };
        let loaded = match before {
            Err(issue) => return Outcome::Failed(issue.clone()),
            Ok(Before { found: Some((_, record)), .. }) => self.seen_before(index, sample, rule, record.seen.clone()),
            Ok(_) => self.load(index, sample, rule, out),
        };
        match loaded {
            Ok(loaded) => Outcome::Loaded(Box::new(loaded)),
            Err(error) => Outcome::Failed(Issue::new(Severity::Error, sample.image.name(), error.reason())),
        }
    }

    /// The targets of a picture that was seen in this view before.
    fn seen_before(&self, index: usize, sample: &Sample, rule: &Preprocess, seen: Seen) -> Result<Loaded, DataError> {
        let (boxes, mask, objects) = match &seen {
            Seen::Placed { placement, window, min_visible } => {
                let mask = self.mask(index, sample)?;
                let mask = mask.map(|mask| place_mask((&*mask).into(), placement, rule.size, *window));
                let objects = self.objects(index, sample)?;
                let objects = objects.map(|objects| place_mask((&*objects).into(), placement, rule.size, *window));
                let place = |target| placement.place_box(target, rule.size, *min_visible);
                (sample.target.boxes.as_ref().map(|boxes| boxes.iter().filter_map(place).collect()), mask, objects)
            }
            Seen::Composed { boxes, mask, objects, .. } => (boxes.clone(), mask.clone(), objects.clone()),
        };
        let target = Target { labels: sample.target.labels.clone(), boxes, ..Target::default() };
        Ok(Loaded { target, mask, objects, seen })
    }

    fn staged(&self, index: usize, sample: &Sample) -> Result<Stage, DataError> {
        if let Some(stage) = self.cache.get(self.kind, index) {
            return Ok(stage);
        }
        let stored = self.cache.file().and_then(|file| Some((file, PictureFile::key(&sample.image, &self.reduced)?)));
        let stage = match stored.as_ref().and_then(|(file, key)| file.get(key)) {
            Some(stage) => stage,
            None => {
                let start = Instant::now();
                let stage = stage(&sample.image, &self.view)?;
                if let Some((file, key)) = stored {
                    file.put(&key, &stage, start.elapsed());
                }
                stage
            }
        };
        self.cache.put(self.kind, index, &stage);
        Ok(stage)
    }

    /// The class ids of a picture's mask; kept in the cache like its pixels.
    fn mask(&self, index: usize, sample: &Sample) -> Result<Option<Arc<MaskPixels>>, DataError> {
        let Some(target) = &sample.target.mask else { return Ok(None) };
        if let MaskTarget::Pixels(pixels) = target {
            return Ok(Some(Arc::clone(pixels)));
        }
        if let Some(mask) = self.cache.mask(index) {
            return Ok(Some(mask));
        }
        // The report names the picture, so the mask has to be named here.
        let its = |error: DataError| DataError::decode(&sample.image.name(), format!("its mask: {error}"));
        let mask = Arc::new(load_mask(target).map_err(its)?);
        self.cache.put_mask(index, &mask);
        Ok(Some(mask))
    }

    /// The objects of a picture's mask, where they are wanted; kept likewise.
    fn objects(&self, index: usize, sample: &Sample) -> Result<Option<Arc<InstancePixels>>, DataError> {
        let Some(target) = sample.target.mask.as_ref().filter(|_| self.wants.objects) else { return Ok(None) };
        if let Some(objects) = self.cache.objects(index) {
            return Ok(Some(objects));
        }
        let its = |error: DataError| DataError::decode(&sample.image.name(), format!("its mask: {error}"));
        let objects = Arc::new(load_objects(target, self.dataset.background()).map_err(its)?);
        self.cache.put_objects(index, &objects);
        Ok(Some(objects))
    }

    /// What a picture brings to a view of several.
    fn part<'s>(&self, index: usize, sample: &'s Sample) -> Result<Part<'s>, DataError> {
        let boxes = sample.target.boxes.as_deref().unwrap_or_default();
        let (mask, objects) = (self.mask(index, sample)?, self.objects(index, sample)?);
        Ok(Part { stage: self.staged(index, sample)?, boxes, mask, objects })
    }

    /// A random view of a picture with boxes or a mask, with three others in it where a mosaic is drawn.
    fn composed(
        &self,
        index: usize,
        sample: &Sample,
        rule: &Preprocess,
        augment: &Augment,
        out: &mut [f32],
    ) -> Result<Loaded, DataError> {
        let View { seed, epoch, .. } = &self.view;
        let mut rng = view_rng(*seed, *epoch, index);
        let mut parts = vec![self.part(index, sample)?];
        if rng.chance(augment.mosaic) && !self.partners.is_empty() {
            for _ in 0..3 {
                let partner = self.partners.get(rng.below(self.partners.len())).copied().unwrap_or(index);
                let other = self.dataset.samples.get(partner).unwrap_or(sample);
                // A file that broke is told of when its own turn comes; here this picture takes its place.
                let part = self.part(partner, other).or_else(|_| self.part(index, sample));
                parts.push(part?);
            }
        }
        let tile = |part| {
            let Part { stage, boxes, mask, objects }: &Part<'_> = part;
            let (mask, objects) = (mask.as_deref(), objects.as_deref());
            Tile { image: &stage.image, placement: stage.placement, boxes, mask, objects }
        };
        let tiles: Vec<Tile<'_>> = parts.iter().map(tile).collect();
        let composed = compose(&tiles, rule, augment, MIN_VISIBLE, &mut rng);
        normalize(&composed.input, rule, out);
        if tiles.len() == 1 {
            clear_padding(rule, &composed.placement, sample.size_px, out);
        }
        let boxes = sample.target.boxes.as_ref().map(|_| composed.boxes);
        let target = Target { labels: sample.target.labels.clone(), boxes, ..Target::default() };
        let (placement, mask, objects) = (composed.placement, composed.mask, composed.objects);
        let (boxes, ids) = (target.boxes.clone(), (mask.clone(), objects.clone()));
        let seen = Seen::Composed { placement, boxes, mask: ids.0, objects: ids.1 };
        Ok(Loaded { target, mask, objects, seen })
    }

    fn load(&self, index: usize, sample: &Sample, rule: &Preprocess, out: &mut [f32]) -> Result<Loaded, DataError> {
        if let Some(augment) = &self.view.augment
            && augment.composes()
            && (sample.target.boxes.is_some() || sample.target.mask.is_some())
        {
            return self.composed(index, sample, rule, augment, out);
        }
        let stage = self.staged(index, sample)?;
        let View { augment, seed, epoch, .. } = &self.view;
        let [height, width] = rule.size;
        let (placement, window, min_visible) = match augment {
            None => {
                normalize(&stage.image, rule, out);
                (stage.placement, [0, 0, width, height], 0.0)
            }
            Some(augment) => {
                let moved = augment::move_one(&stage.image, rule, augment, &mut view_rng(*seed, *epoch, index));
                normalize(&moved.input, rule, out);
                (stage.placement.then(&moved.placement), moved.window, MIN_VISIBLE)
            }
        };
        clear_padding(rule, &placement, sample.size_px, out);
        self.seen_before(index, sample, rule, Seen::Placed { placement, window, min_visible })
    }
}
