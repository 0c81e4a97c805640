//! The feature cache: what is frozen runs once for each view of a picture, and never again while it stays as it is.
//!
//! [`Features`] belongs to a run. It chooses the cut at the frost line, looks a view's features up before the picture is
//! decoded, computes and keeps those that are not there, and starts the rest of the network from them. The numbers are those
//! that the whole network would have had; with 32-bit storage to the bit.

mod choice;
mod name;
mod rows;

pub use choice::{CacheChoice, CacheMode, Verdict};

use super::detection;
use super::setup::Setup;
use crate::data::Split;
use crate::data::batch::Batch;
use crate::data::features::{Budget, FeatureFolder, FeatureStore, Lookup, PictureDigests, Record, Usage};
use crate::graph::{Cut, NodeId};
use crate::models::{Mode, Network};
use crate::nn::{Ctx, RunError, Value};
use choice::Measured;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Multiply-accumulates of the frozen part beyond which pictures go through it one by one.
const ALONE_MACS: u64 = 30_000_000_000;

/// Where a network starts from: the outputs of the nodes of a cut, or nothing but the pictures.
pub type Given = BTreeMap<NodeId, Value>;

/// The feature cache of a run.
#[derive(Debug)]
pub struct Features {
    folder: Arc<FeatureFolder>,
    digests: Arc<PictureDigests>,
    active: Option<Active>,
    /// Cuts that were in use before, with the names of their stores.
    earlier: Vec<(Cut, String, Arc<FeatureStore>)>,
    counts: Cell<Counts>,
    rounding: Cell<Option<Rounding>>,
}

/// How far 16-bit numbers are from what was computed.
#[derive(Clone, Copy, Debug, Default)]
struct Rounding {
    /// Sum of the squares of the differences.
    error: f64,
    /// Sum of the squares of the numbers.
    size: f64,
    /// Numbers that are too large for 16 bits.
    lost: usize,
}

/// What is looked up now.
#[derive(Debug)]
struct Active {
    cut: Cut,
    name: String,
    store: Arc<FeatureStore>,
    /// Cuts that this one can be computed from.
    bases: Vec<(Cut, Arc<FeatureStore>)>,
    verdict: Verdict,
}

/// How features of an epoch were come by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Views that were found.
    pub hits: usize,
    /// Views that were computed.
    pub misses: usize,
    /// Seconds that computing them took.
    pub seconds: f64,
}

impl Features {
    /// Stores features in `folder`.
    #[must_use]
    pub fn new(folder: Arc<FeatureFolder>) -> Self {
        Self {
            folder,
            digests: Arc::default(),
            active: None,
            earlier: Vec::new(),
            counts: Cell::default(),
            rounding: Cell::default(),
        }
    }

    /// Settles what is cached from now on, for `epochs_left` more epochs under the freeze plan in force; the sentences say
    /// what and why. To be called whenever that plan changes.
    ///
    /// # Errors
    /// When the device fails while the frozen part is measured.
    pub fn settle(&mut self, setup: &Setup, epochs_left: u32, notes: &mut Vec<String>) -> Result<(), RunError> {
        let before = self.active.take();
        let network = &setup.network;
        let choice = &setup.plan.cache;
        let cut = Cut::of(network.graph(), network.facts(), &network.frontier());
        let verdict = match &cut {
            _ if choice.mode == CacheMode::Off => Verdict::off("it is switched off"),
            None => Verdict::off("nothing is computed before what trains"),
            Some(cut) => {
                let measured = match choice.mode {
                    CacheMode::Auto => Some(Measured::of(setup, cut, self.folder.path())?),
                    CacheMode::On | CacheMode::Off => None,
                };
                Verdict::of(setup, cut, epochs_left, self.budget(choice), measured.as_ref())
            }
        };
        if let Some(old) = before {
            self.earlier.retain(|(_, name, _)| *name != old.name);
            self.earlier.push((old.cut, old.name, old.store));
        }
        notes.push(format!("feature cache: {}", verdict.why));
        if let Some(cut) = cut.filter(|_| verdict.train || verdict.val) {
            self.activate(setup, cut, verdict, notes)?;
        }
        Ok(())
    }

    /// The bytes that features may take; none on disk where there is no folder.
    fn budget(&self, choice: &CacheChoice) -> Budget {
        let disk = self.folder.path().map_or(0, |_| choice.budget().disk);
        Budget { disk, ..choice.budget() }
    }

    fn activate(&mut self, setup: &Setup, cut: Cut, verdict: Verdict, notes: &mut Vec<String>) -> Result<(), RunError> {
        let (network, choice) = (&setup.network, &setup.plan.cache);
        let names = name::Names::of(network)?;
        let name = names.of_cut(&cut, &setup.rule, choice.half)?;
        let changed =
            |(old, old_name, _): &(Cut, String, Arc<FeatureStore>)| old.nodes == cut.nodes && *old_name != name;
        if self.earlier.iter().any(changed) {
            notes.push(
                "feature cache: what is frozen has changed since its features were stored; they are computed anew"
                    .to_owned(),
            );
        }
        let (store, told) = self.folder.store(&name, cut.values(), choice.half, self.budget(choice), verdict.bytes);
        notes.extend(told.into_iter().map(|note| format!("feature cache: {note}")));
        let found = store.usage().records;
        if found > 0 {
            notes.push(format!("feature cache: {found} stored views of this frozen part are there"));
        }
        let mut bases = Vec::new();
        for (earlier, earlier_name, store) in &self.earlier {
            // The same numbers as then: its frozen part is still what it was.
            let same = names.of_cut(earlier, &setup.rule, choice.half).is_ok_and(|now| now == *earlier_name);
            if same && *earlier_name != name && cut.continues(network.graph(), earlier) {
                bases.push((earlier.clone(), Arc::clone(store)));
            }
        }
        if !bases.is_empty() {
            notes.push("feature cache: computed on from what was stored at the frost line before".to_owned());
        }
        self.active = Some(Active { cut, name, store, bases, verdict });
        Ok(())
    }

    /// What a loader of this split looks up; none where nothing is cached for it.
    #[must_use]
    pub fn lookup(&self, split: Split) -> Option<Lookup> {
        let active = self.active.as_ref()?;
        let wanted = if split == Split::Train { active.verdict.train } else { active.verdict.val };
        let bases = active.bases.iter().map(|(_, store)| Arc::clone(store));
        let stores = std::iter::once(Arc::clone(&active.store)).chain(bases).collect();
        wanted.then(|| Lookup { stores, digests: Arc::clone(&self.digests) })
    }

    /// What the network starts from for a batch; nothing where its features were not looked for. What was not found is
    /// computed and kept.
    ///
    /// # Errors
    /// When the device fails.
    pub fn given(&self, network: &Network, batch: &Batch) -> Result<Given, RunError> {
        let Some(active) = self.active.as_ref().filter(|_| batch.hits.len() == batch.len()) else {
            return Ok(Given::new());
        };
        let start = Instant::now();
        let mut rows: Vec<Option<Arc<[f32]>>> = vec![None; batch.len()];
        let mut counts = self.counts.get();
        for (row, hit) in rows.iter_mut().zip(&batch.hits) {
            *row = hit.as_ref().filter(|hit| hit.store == 0).map(|hit| Arc::clone(&hit.values));
        }
        counts.hits += rows.iter().flatten().count();
        let missing = rows.iter().filter(|row| row.is_none()).count();
        if let Some(images) = &batch.images {
            let at: Vec<usize> = (0..batch.len()).filter(|&at| batch.hits[at].is_none()).collect();
            // A large encoder takes one picture after the other, so that the memory of one is enough.
            let at_once = if active.cut.macs > ALONE_MACS { 1 } else { at.len().max(1) };
            for (part, at) in at.chunks(at_once).enumerate() {
                let inputs = [Value::Map(images.clone().narrow(0, part * at_once, at.len()))];
                self.compute(network, &inputs, &Given::new(), batch, at, &mut rows)?;
            }
        }
        for (base, (cut, _)) in active.bases.iter().enumerate() {
            let hit = |at: &usize| batch.hits.get(*at).and_then(Option::as_ref).filter(|hit| hit.store == base + 1);
            let at: Vec<usize> = (0..batch.len()).filter(|at| hit(at).is_some()).collect();
            let found: Vec<&[f32]> = at.iter().filter_map(|at| Some(&*hit(at)?.values)).collect();
            if !found.is_empty() {
                let given = rows::join(cut, &found, network.device());
                self.compute(network, &[], &given, batch, &at, &mut rows)?;
            }
        }
        let rows: Vec<&[f32]> = rows.iter().flatten().map(|row| &**row).collect();
        if rows.len() != batch.len() {
            return Err(RunError::Description("the features of a picture are missing".to_owned()));
        }
        if missing > 0 {
            counts.misses += missing;
            counts.seconds += start.elapsed().as_secs_f64();
        }
        self.counts.set(counts);
        Ok(rows::join(&active.cut, &rows, network.device()))
    }

    /// Runs the frozen part for some pictures of a batch and keeps what comes out.
    fn compute(
        &self,
        network: &Network,
        inputs: &[Value],
        given: &Given,
        batch: &Batch,
        at: &[usize],
        rows: &mut [Option<Arc<[f32]>>],
    ) -> Result<(), RunError> {
        let Some(active) = &self.active else { return Ok(()) };
        let mut ctx = Ctx { pictures: detection::pictures(batch), input: batch.size, ..Ctx::default() };
        let outputs = network.run(inputs, given, &active.cut.nodes, Mode::Infer, &mut ctx)?;
        for (values, &at) in rows::split(&outputs, at.len())?.into_iter().zip(at) {
            let values: Arc<[f32]> = values.into();
            if let Some((key, seen)) = batch.views.get(at).and_then(Option::as_ref) {
                active.store.put(*key, &Record { seen: seen.clone(), values: Arc::clone(&values) });
            }
            // What a later epoch will read is what this one trains on.
            let kept = active.store.as_kept(&values);
            if active.store.is_half() {
                let mut rounding = self.rounding.get().unwrap_or_default();
                for (value, kept) in values.iter().zip(&*kept) {
                    rounding.error += f64::from(value - kept).powi(2);
                    rounding.size += f64::from(*value).powi(2);
                    rounding.lost += usize::from(!kept.is_finite());
                }
                self.rounding.set(Some(rounding));
            }
            if let Some(row) = rows.get_mut(at) {
                *row = Some(kept);
            }
        }
        Ok(())
    }

    /// What came of the look-ups since this was asked last.
    pub fn take_counts(&self) -> Counts {
        self.counts.take()
    }

    /// What should be told of the stores, once.
    #[must_use]
    pub fn take_notes(&self) -> Vec<String> {
        let mut notes = self.active.as_ref().map(|active| active.store.take_notes()).unwrap_or_default();
        if let Some(Rounding { error, size, lost }) = self.rounding.take() {
            let share = (error / size.max(f64::MIN_POSITIVE)).sqrt();
            notes.push(match lost {
                0 => format!("16-bit numbers are {share:.1e} from those computed (root mean square, relative)"),
                lost => format!("{lost} numbers are too large for 16 bits: store 32-bit features instead"),
            });
        }
        notes
    }

    /// What is cached now.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.active.as_ref().map(|active| &active.verdict)
    }

    /// How much the store in use holds.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.active.as_ref().map(|active| active.store.usage())
    }
}
