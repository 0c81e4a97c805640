//! `frostline models`: the zoo.

use super::args::ModelsArgs;
use super::lines::{Line, Model, ModelWeights};
use super::output::{self, Align};
use super::{Failure, Outcome};
use crate::session::{ModelTask, catalogue};

pub(super) fn models(args: &ModelsArgs) -> Outcome {
    let mut rows = Vec::new();
    for variant in catalogue() {
        let size = variant.preprocess.size[0];
        let facts = variant.published().and_then(|graph| graph.facts());
        let facts = facts.map_err(|error| Failure::Running(format!("{} cannot be built: {error}.", variant.name)))?;
        let weights: Vec<ModelWeights<'_>> = {
            let lines = variant.weights.iter().map(|public| ModelWeights {
                url: public.url,
                file: public.file,
                license: public.license,
                trained_on: public.trained_on,
                classes: public.classes,
            });
            lines.collect()
        };
        if !args.json {
            let (address, license) = weights.first().map_or(("none", ""), |first| (first.url, first.license));
            rows.push(vec![
                variant.name.to_owned(),
                task(variant.task).to_owned(),
                output::count(facts.params()),
                output::short(facts.macs()),
                format!("{size} px"),
                license.to_owned(),
                address.to_owned(),
            ]);
            continue;
        }
        output::json(&Line::Model(Model {
            name: variant.name,
            title: variant.title,
            family: variant.family,
            task: variant.task,
            params: facts.params(),
            macs: facts.macs(),
            size,
            weights,
        }))?;
    }
    if args.json {
        return Ok(());
    }
    let (left, right) = (Align::Left, Align::Right);
    let head = [
        ("model", left),
        ("task", left),
        ("parameters", right),
        ("MACs", right),
        ("input", right),
        ("license", left),
        ("public weights", left),
    ];
    output::table(&head, &rows).iter().try_for_each(|line| output::line(line))
}

/// The word for a task, as in JSON.
pub(super) fn task(task: ModelTask) -> &'static str {
    match task {
        ModelTask::Classify => "classify",
        ModelTask::Detect => "detect",
        ModelTask::Segment => "segment",
    }
}
