//! `frostline models`: the zoo, and everything about one model of it.

use super::args::ModelsArgs;
use super::lines::{Line, Model, ModelWeights};
use super::output::{self, Align};
use super::{Failure, Outcome};
use crate::format;
use crate::session::{Accuracy, ModelTask, Variant, catalogue, find_model};
use crate::weights::hub;

pub(super) fn models(args: &ModelsArgs) -> Outcome {
    let variants = match &args.name {
        None => catalogue(),
        Some(name) => vec![find_model(name).map_err(Failure::Input)?],
    };
    let models = variants.iter().map(model).collect::<Result<Vec<_>, _>>()?;
    if args.json {
        return models.into_iter().try_for_each(|model| output::json(&Line::Model(model)));
    }
    if args.name.is_some() {
        return models.iter().flat_map(about).try_for_each(|line| output::line(&line));
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
    let rows: Vec<Vec<String>> = models.iter().map(row).collect();
    output::table(&head, &rows).iter().try_for_each(|line| output::line(line))?;
    output::note("* is on this machine. Addresses, hashes and preprocessing: frostline models NAME.");
    Ok(())
}

/// Everything that is known of a model without a file of it.
fn model(variant: &Variant) -> Result<Model<'_>, Failure> {
    let facts = variant.published().and_then(|graph| graph.facts());
    let facts = facts.map_err(|error| Failure::Running(format!("{} cannot be built: {error}.", variant.name)))?;
    let weights = variant.weights.iter().map(|public| {
        let local = hub::find(public.file);
        let recorded = local.as_deref().and_then(hub::recorded);
        ModelWeights {
            name: public.name,
            url: public.url,
            file: public.file,
            license: public.license,
            of_backbone: public.of_backbone,
            trained_on: public.trained_on,
            classes: public.classes,
            params: public.params,
            size_mib: public.size_mib,
            accuracy: public.accuracy,
            sha256: public.sha256,
            sha256_prefix: public.hash_prefix(),
            sha256_recorded: recorded,
            preprocess: &public.preprocess,
            preprocess_words: public.preprocess.to_string(),
            local,
        }
    });
    Ok(Model {
        name: variant.name,
        title: variant.title,
        family: variant.family,
        task: variant.task,
        params: facts.params(),
        macs: facts.macs(),
        size: variant.preprocess.size[0],
        classes: variant.weights.first().filter(|public| !public.of_backbone).map(|public| public.classes),
        preprocess: &variant.preprocess,
        preprocess_words: variant.preprocess.to_string(),
        built_in: variant.built_in,
        note: variant.note,
        weights: weights.collect(),
    })
}

fn row(model: &Model<'_>) -> Vec<String> {
    let mut licenses: Vec<&str> = model.weights.iter().map(|public| public.license).collect();
    licenses.dedup();
    let entry = |public: &ModelWeights<'_>| {
        let here = if public.local.is_some() { "*" } else { "" };
        format!("{}{here}", public.name)
    };
    let entries: Vec<String> = model.weights.iter().map(entry).collect();
    let none = if model.built_in { "comes with the program" } else { "none" };
    vec![
        model.name.to_owned(),
        task(model.task).to_owned(),
        output::count(model.params),
        output::short(model.macs),
        format!("{} px", model.size),
        licenses.join(", "),
        match model.weights.first() {
            None => none.to_owned(),
            Some(public) if public.of_backbone => format!("backbone {}", entries.join(", ")),
            Some(_) => entries.join(", "),
        },
    ]
}

/// A model in full: a name and its value on each line.
fn about(model: &Model<'_>) -> Vec<String> {
    let mut lines = vec![format!("{} ({})", model.title, model.name)];
    let mut say = |name: &str, value: String| lines.push(format!("  {name:<14} {value}"));
    say("task", task(model.task).to_owned());
    say("parameters", output::count(model.params));
    say("MACs", format!("{} at {} px", output::short(model.macs), model.size));
    if model.weights.is_empty() {
        say("preprocessing", model.preprocess_words.clone());
        let text = if model.built_in { "a backbone comes with the program (--weights builtin)" } else { "none" };
        say("weights", text.to_owned());
    }
    if let Some(note) = model.note {
        say("note", note.to_owned());
    }
    for public in &model.weights {
        lines.push(String::new());
        lines.push(format!("public:{}", public.name));
        let mut say = |name: &str, value: String| lines.push(format!("  {name:<14} {value}"));
        say("trained on", format!("{}, {}", public.trained_on, format::plural(public.classes, "class")));
        if public.of_backbone {
            say("fills", "the backbone; the rest starts from random values".to_owned());
        }
        match public.accuracy {
            Accuracy::Top1(top1) => say("top-1", format!("{top1} % as published")),
            Accuracy::BoxAp(ap) => say("box AP", format!("{ap} % on COCO as published")),
            Accuracy::Unpublished => {}
        }
        say("parameters", output::count(public.params));
        say("preprocessing", public.preprocess_words.clone());
        say("license", public.license.to_owned());
        say("address", public.url.to_owned());
        let size = public.size_mib.map_or_else(String::new, |mib| format!(", {:.1} MB", mib * 1.048_576));
        say("file", format!("{}{size}", public.file));
        say("SHA-256", hash(public));
        say("here", here(public));
    }
    lines
}

/// What is known of the SHA-256, and where from.
fn hash(public: &ModelWeights<'_>) -> String {
    match (public.sha256, public.sha256_prefix, &public.sha256_recorded) {
        (Some(whole), ..) => format!("{whole}, as published"),
        (None, Some(prefix), Some(recorded)) => format!("{recorded}, recorded here; {prefix}… is published"),
        (None, Some(prefix), None) => {
            format!("{prefix}…: the published part; the rest is recorded when the file comes")
        }
        (None, None, Some(recorded)) => format!("{recorded}, recorded here; none is published"),
        (None, None, None) => "not published; recorded when the file comes".to_owned(),
    }
}

fn here(public: &ModelWeights<'_>) -> String {
    if let Some(path) = &public.local {
        return path.display().to_string();
    }
    let folder = hub::weights_folder().map_or_else(|problem| problem, |folder| folder.display().to_string());
    format!("no; --weights public:{} downloads it to {folder}", public.name)
}

/// The word for a task, as in JSON.
pub(super) fn task(task: ModelTask) -> &'static str {
    match task {
        ModelTask::Classify => "classify",
        ModelTask::Detect => "detect",
        ModelTask::Segment => "segment",
        ModelTask::Prompt => "prompt",
    }
}
