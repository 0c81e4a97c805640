//! What is measured: models, freeze plans, sizes; and the generated pictures for it.

use super::super::args::BenchArgs;
use super::super::{Failure, plan};
use crate::data::sample::{self, World};
use crate::graph::{Detector, Graph};
use crate::session::{ModelTask, Variant, catalogue, find_model};
use std::path::{Path, PathBuf};

/// Nothing is frozen.
pub(super) const ALL: &str = "all";
/// The backbone is frozen and its features are cached: epochs from the second on.
pub(super) const CACHED: &str = "head-only-cached";
/// Freeze plans of a full comparison.
const FULL: [&str; 4] = [ALL, "last-stage", "head-only", CACHED];
/// Freeze plans of a short one.
const SHORT: [&str; 3] = [ALL, "head-only", CACHED];

/// One measurement to make.
pub(super) struct Case {
    pub(super) variant: Variant,
    /// The freeze plan, in the words of `train --freeze` and [`ALL`].
    pub(super) freeze: String,
    pub(super) batch: usize,
    pub(super) size_px: u32,
}

/// The cases that the arguments ask for; without any, the lightest model of each family under three plans.
pub(super) fn cases(args: &BenchArgs) -> Result<Vec<Case>, Failure> {
    let variants = match args.model.as_slice() {
        [] if args.all => trainable(),
        [] => lightest(trainable()),
        names => names.iter().map(|name| find_model(name)).collect::<Result<Vec<_>, _>>().map_err(Failure::Input)?,
    };
    let plans: Vec<String> = match args.freeze.as_slice() {
        [] if args.all || !args.model.is_empty() => FULL.map(str::to_owned).to_vec(),
        [] => SHORT.map(str::to_owned).to_vec(),
        given => given.to_vec(),
    };
    let mut cases = Vec::new();
    for variant in variants {
        let (batch, usual_px) = usual(&variant)?;
        let size_px = args.size.unwrap_or(usual_px);
        let graph = plan::graph(&variant, size_px, &[])?;
        for freeze in &plans {
            plan::freeze(&graph, &[words(freeze).to_owned()])?;
            let batch = args.batch.map_or(batch, usize::from);
            cases.push(Case { variant: variant.clone(), freeze: freeze.clone(), batch, size_px });
        }
    }
    Ok(cases)
}

/// A freeze plan in the words of `train --freeze`.
pub(super) fn words(freeze: &str) -> &str {
    match freeze {
        ALL => "none",
        CACHED => "head-only",
        other => other,
    }
}

fn trainable() -> Vec<Variant> {
    catalogue().into_iter().filter(|variant| variant.task != ModelTask::Prompt).collect()
}

/// The model of each family with the fewest multiply-adds.
fn lightest(all: Vec<Variant>) -> Vec<Variant> {
    let macs = |variant: &Variant| {
        let facts = variant.published().and_then(|graph| graph.facts());
        facts.map_or(u64::MAX, |facts| facts.macs())
    };
    let mut kept: Vec<(u64, Variant)> = Vec::new();
    for variant in all {
        let macs = macs(&variant);
        match kept.iter_mut().find(|(_, known)| known.family == variant.family) {
            Some(known) if macs < known.0 => *known = (macs, variant),
            Some(_) => {}
            None => kept.push((macs, variant)),
        }
    }
    kept.into_iter().map(|(_, variant)| variant).collect()
}

/// Batch and side of the input that fit two cores: those of the comparison with PyTorch in `tests/reference/bench_torch.py`.
fn usual(variant: &Variant) -> Result<(usize, u32), Failure> {
    let own = variant.preprocess.size[0];
    let graph = plan::graph(variant, own, &[])?;
    Ok(match variant.task {
        ModelTask::Classify => (16, own.min(224)),
        ModelTask::Detect if is_two_stage(&graph) => (2, own.min(320)),
        ModelTask::Detect => (8, own.min(320)),
        ModelTask::Segment => (4, own.min(256)),
        ModelTask::Prompt => (1, own),
    })
}

fn is_two_stage(graph: &Graph) -> bool {
    matches!(graph.detector, Some(Detector::TwoStage(_)))
}

/// A folder that goes away with the measurement, with the sets that were drawn so far.
pub(super) struct Scratch {
    pub(super) folder: PathBuf,
    drawn: Vec<(ModelTask, u32, usize, PathBuf)>,
}

impl Scratch {
    pub(super) fn new() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("frostline-bench-{}", std::process::id()));
        match std::fs::create_dir(&folder) {
            Ok(()) => Ok(Self { folder, drawn: Vec::new() }),
            Err(cause) => Err(Failure::Running(format!("{} cannot be made: {cause}.", folder.display()))),
        }
    }

    /// A set for a case with enough pictures for so many steps.
    pub(super) fn data(&mut self, case: &Case, steps: usize) -> Result<PathBuf, Failure> {
        /// The largest pictures that are drawn, in pixels.
        const LARGEST: u32 = 640;
        let (task, size_px) = (case.variant.task, case.size_px.min(LARGEST));
        // A quarter more, because the pictures for validation are drawn from them where the set is an annotation file.
        let each = (case.batch * steps * 5 / 4).div_ceil(sample::classes(World::Sample).len()) + 1;
        if let Some((.., known)) = self.drawn.iter().find(|(t, px, n, _)| (*t, *px, *n) == (task, size_px, each)) {
            return Ok(known.clone());
        }
        let root = self.folder.join(format!("set-{}", self.drawn.len()));
        sample::write_folder(World::Sample, &root, each, 1, size_px, 0, &|_, _| ())
            .map_err(|error| Failure::Running(format!("{error}.")))?;
        // The folder as it is can be read as a set of each kind.
        let set = match task {
            ModelTask::Classify => {
                ["annotations", "masks"].iter().try_for_each(|other| remove(&root.join(other)))?;
                root
            }
            ModelTask::Detect => root.join("annotations").join("train.json"),
            ModelTask::Segment | ModelTask::Prompt => root,
        };
        self.drawn.push((task, size_px, each, set.clone()));
        Ok(set)
    }
}

fn remove(folder: &Path) -> Result<(), Failure> {
    let said = |cause| Failure::Running(format!("{} cannot be removed: {cause}.", folder.display()));
    std::fs::remove_dir_all(folder).map_err(said)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_one_model_of_each_family() {
        let families = |all: &[Variant]| all.iter().map(|v| v.family).collect::<Vec<_>>();
        let all = trainable();
        let mut distinct = families(&all);
        distinct.dedup();
        assert_eq!(families(&lightest(all)), distinct);
    }
}
