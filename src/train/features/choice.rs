//! Whether features are cached: what a person says, what it would cost, what it would save.

use super::{ALONE_MACS, rows};
use crate::data::batch::Batch;
use crate::data::features::{Budget, FeatureFolder};
use crate::data::{Loader, PixelCache, Split, View};
use crate::format;
use crate::graph::Cut;
use crate::models::Mode;
use crate::nn::{Ctx, RunError, Value};
use crate::train::detection;
use crate::train::setup::Setup;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Seconds for a picture from which one pass through the frozen part is enough to know its time.
const LONG_S: f64 = 1.0;
/// Seconds below which a cache is not worth its files.
const WORTH_S: f64 = 1.0;

/// Whether features are cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheMode {
    /// Where it is measured to save time.
    #[default]
    Auto,
    /// Wherever it is possible.
    On,
    /// Never.
    Off,
}

/// What a plan says of the feature cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheChoice {
    /// Whether.
    pub mode: CacheMode,
    /// Whether features are stored as 16-bit numbers: half the room, and rounded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub half: bool,
    /// Megabytes that they may take in memory; none for the usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ram_mb: Option<u32>,
    /// Megabytes that all stored features may take on disk; none for the usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_mb: Option<u32>,
}

impl CacheChoice {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The bytes that features may take.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let usual = FeatureFolder::usual_budget();
        let bytes = |mb: Option<u32>, usual: u64| mb.map_or(usual, |mb| u64::from(mb) << 20);
        Budget { ram: bytes(self.ram_mb, usual.ram), disk: bytes(self.disk_mb, usual.disk) }
    }
}

/// What the frozen part costs here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    /// Seconds for one picture.
    prefix_s: f64,
    /// Seconds to write and read the features of one picture on disk.
    disk_s: f64,
}

impl Measured {
    /// Runs the frozen part on a few pictures, a large one on one alone, and writes their features to `folder` and back.
    pub(super) fn of(setup: &Setup, cut: &Cut, folder: Option<&Path>) -> Result<Self, RunError> {
        let order = detection::known(setup.network.graph(), &setup.dataset, Split::Val);
        let few: Vec<usize> =
            order.into_iter().take(if cut.macs > ALONE_MACS { 1 } else { setup.plan.batch.min(4) }).collect();
        let view = View { rule: setup.rule.clone(), augment: None, seed: 0, epoch: 0 };
        let cache = Arc::new(PixelCache::new(0));
        let mut loader = Loader::start_cached(Arc::clone(&setup.dataset), few, setup.plan.batch, view, cache);
        let batch = loader.next_batch().and_then(|raw| Batch::upload(raw, setup.network.device()));
        let Some((batch, images)) = batch.and_then(|batch| batch.images.clone().map(|images| (batch, images))) else {
            return Ok(Self { prefix_s: 0.0, disk_s: 0.0 });
        };
        let run = || {
            let start = Instant::now();
            let mut ctx = Ctx { pictures: detection::pictures(&batch), ..Ctx::default() };
            let inputs = [Value::Map(images.clone())];
            let outputs = setup.network.run(&inputs, &super::Given::new(), &cut.nodes, Mode::Infer, &mut ctx)?;
            let rows = rows::split(&outputs, batch.len())?;
            Ok::<_, RunError>((start.elapsed().as_secs_f64() / batch.len() as f64, rows))
        };
        // The first pass prepares kernels and memory, which in a long one makes no difference.
        let mut measured = run()?;
        if measured.0 < LONG_S {
            measured = run()?;
        }
        let (prefix_s, rows) = measured;
        let disk_s = folder.zip(rows.first()).and_then(|(folder, row)| disk_seconds(folder, row));
        Ok(Self { prefix_s, disk_s: disk_s.unwrap_or(0.0) })
    }
}

/// Seconds to write numbers to a file in `folder` and read them back; none where that fails.
fn disk_seconds(folder: &Path, row: &[f32]) -> Option<f64> {
    use std::io::{Read as _, Seek as _, Write as _};
    let bytes: Vec<u8> = row.iter().take(4 << 20).flat_map(|value| value.to_le_bytes()).collect();
    std::fs::create_dir_all(folder).ok()?;
    let path = folder.join(format!("probe-{}", std::process::id()));
    let start = Instant::now();
    let probe = || {
        let mut file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all(&bytes)?;
        file.rewind()?;
        let mut back = Vec::with_capacity(bytes.len());
        file.read_to_end(&mut back)
    };
    let done = probe();
    let seconds = start.elapsed().as_secs_f64();
    std::fs::remove_file(&path).ok();
    done.ok().map(|_| seconds * row.len() as f64 / row.len().clamp(1, 4 << 20) as f64)
}

/// What was settled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Whether features of training pictures are cached.
    pub train: bool,
    /// Whether those of validation pictures are.
    pub val: bool,
    /// In words: what, how much, how much it saves, or why not.
    pub why: String,
    /// Bytes that all views take.
    pub bytes: u64,
    /// Seconds of an epoch that it is expected to save; none where nothing was measured.
    pub saves_s: Option<f64>,
}

impl Verdict {
    pub(super) fn off(why: &str) -> Self {
        Self { why: format!("off, {why}"), ..Self::default() }
    }

    pub(super) fn of(setup: &Setup, cut: &Cut, epochs_left: u32, budget: Budget, measured: Option<&Measured>) -> Self {
        let graph = setup.network.graph();
        let count = |split| detection::known(graph, &setup.dataset, split).len() as u64;
        let (train, val) = (count(Split::Train), count(Split::Val));
        let views = views(setup);
        let choice = &setup.plan.cache;
        let each = cut.values() as u64 * if choice.half { 2 } else { 4 };
        let fixed = views.as_ref().map_or(0, |views| u64::from(*views));
        let bytes = each * (train * fixed + val);
        let room = budget.ram.max(budget.disk);
        if room < each {
            return Self::off("no room is given to it");
        }
        // Passes over each picture that find its features there.
        let train_again = views.as_ref().map_or(0, |views| u64::from(epochs_left.saturating_sub(*views)));
        let val_again = u64::from(epochs_left.saturating_sub(1));
        let share = (room as f64 / bytes.max(1) as f64).min(1.0);
        let why = |head: &str| {
            let mut why = format!("{head} at {}, {} a view", cut.names(graph), format::bytes(each));
            why += &match &views {
                Ok(1) => format!(", {} in all", format::bytes(bytes)),
                Ok(views) => format!(", {views} fixed views of each training picture, {} in all", format::bytes(bytes)),
                Err(reason) => format!(", validation alone ({reason}), {} in all", format::bytes(bytes)),
            };
            if share < 1.0 {
                why += &format!("; {:.0} % of it fits, the rest is computed each time", share * 100.0);
            }
            why
        };
        let on = |why: String, saves_s: Option<f64>| Self { train: views.is_ok(), val: true, why, bytes, saves_s };
        let Some(Measured { prefix_s, disk_s }) = measured else { return on(why("on"), None) };
        let read_s = if bytes > budget.ram { *disk_s } else { 0.0 };
        let again = (prefix_s - read_s).max(0.0) * share;
        let saves = again * (train * train_again + val * val_again) as f64;
        let costs = disk_s * (train * fixed + val) as f64;
        let epoch = again * (if views.is_ok() { train + val } else { val }) as f64;
        if saves - costs < WORTH_S {
            let reason = match &views {
                Err(reason) if val_again > 0 => format!("it is not worth it: {reason}"),
                Ok(views) if epochs_left <= *views => "no view of a picture comes twice".to_owned(),
                _ => format!("it would save {:.1} s in all", (saves - costs).max(0.0)),
            };
            return Self { bytes, saves_s: Some(epoch), ..Self::off(&reason) };
        }
        on(format!("{}; saves about {epoch:.1} s of an epoch", why("on")), Some(epoch))
    }
}

/// How many views of each training picture there are, or why there is no end of them.
fn views(setup: &Setup) -> Result<u32, &'static str> {
    let (plan, augment) = (&setup.plan, &setup.plan.augment);
    if augment.is_none() {
        return Ok(1);
    }
    if augment.mosaic > 0.0 {
        return Err("a mosaic puts four pictures in one");
    }
    if !augment.sizes.is_empty() {
        return Err("the input size changes from batch to batch");
    }
    match plan.views {
        0 => Err("each epoch sees new random views; a fixed number of views can be cached"),
        views => Ok(views),
    }
}
