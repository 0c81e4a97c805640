//! The small backbone that comes with the program: pretrained by it on a generated set (`frostline sample --pretrain`).

use super::plan::{DataSource, Plan, WeightsSource};
use crate::graph::{FreezePlan, Preset};
use crate::models::{catalogue, find};
use crate::weights::Checkpoint;
use std::io::Write as _;
use std::path::PathBuf;

/// The file, part of the binary.
const BYTES: &[u8] = include_bytes!("../../assets/backbone.safetensors");

/// The plan for the built-in sample: the built-in backbone frozen, a new head, done in a minute or two on two cores.
#[must_use]
pub fn sample_plan() -> Plan {
    let Some(model) = catalogue().into_iter().find(|variant| variant.built_in) else { return Plan::default() };
    let size_px = model.preprocess.size[0];
    let graph = model.graph(2, size_px as usize);
    let freeze = graph.and_then(|graph| FreezePlan::preset(&graph, &Preset::HeadOnly)).unwrap_or_default();
    Plan {
        model: model.name.to_owned(),
        weights: WeightsSource::BuiltIn,
        freeze,
        size_px,
        epochs: 12,
        lr: 0.02,
        ..Plan::default()
    }
}

/// The plan after a data set was opened: a plan that is still the sample's as it came gives way to the usual start for
/// pictures of one's own; anything that a person set up stays.
#[must_use]
pub fn with_data(plan: &Plan, data: DataSource) -> Plan {
    let untouched = *plan == sample_plan();
    let base_data = plan.data.clone();
    let base = if untouched { Plan::default() } else { plan.clone() };
    let mut plan = Plan { data, ..base };
    if plan.data != base_data {
        plan.set_heads(Vec::new());
    }
    plan
}

/// Opens the built-in backbone for `model`.
///
/// # Errors
/// A sentence, when the model is another one or no temporary file can be written.
pub fn checkpoint(model: &str) -> Result<Checkpoint, String> {
    if !find(model)?.built_in {
        let fits: Vec<&str> =
            catalogue().iter().filter(|variant| variant.built_in).map(|variant| variant.name).collect();
        return Err(format!("The built-in weights fit {} only, not {model}.", fits.join(", ")));
    }
    let fail = |error: std::io::Error| format!("Cannot unpack the built-in weights: {error}.");
    let path = unpack_path();
    let current = std::fs::metadata(&path).is_ok_and(|file| file.len() == BYTES.len() as u64);
    if !current {
        let part = path.with_extension(format!("part{}", std::process::id()));
        let mut file = std::fs::File::create(&part).map_err(fail)?;
        file.write_all(BYTES).and_then(|()| file.sync_all()).map_err(fail)?;
        std::fs::rename(&part, &path).map_err(fail)?;
    }
    Checkpoint::open(&path).map_err(|error| error.to_string())
}

fn unpack_path() -> PathBuf {
    let user = std::env::var("USER").unwrap_or_default();
    std::env::temp_dir().join(format!("frostline-{user}-backbone-{}.safetensors", env!("CARGO_PKG_VERSION")))
}
