//! What differs between plans: only those settings, in words. It walks the plans as they are stored, so that a new
//! setting needs no edit here.

use crate::graph::{FreezePlan, Graph};
use crate::train::Plan;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name in words: `learning rate`, `optimizer weight decay`.
    pub name: String,
    /// Its value in each plan, in words.
    pub values: Vec<String>,
    /// More about it, where it has many parts.
    pub detail: String,
}

/// What stands where a plan has no such setting.
const NONE: &str = "–";

/// The settings that differ between plans, each with the graph of its model where it is known.
#[must_use]
pub fn differences(plans: &[(&Plan, Option<&Graph>)]) -> Vec<Difference> {
    let stored: Vec<Value> = plans.iter().map(|(plan, _)| serde_json::to_value(plan).unwrap_or(Value::Null)).collect();
    let graphs: Vec<Option<&Graph>> = plans.iter().map(|(_, graph)| *graph).collect();
    let mut found = Vec::new();
    walk(&stored.iter().map(Some).collect::<Vec<_>>(), &graphs, &mut Vec::new(), &mut found);
    found
}

fn walk(values: &[Option<&Value>], graphs: &[Option<&Graph>], path: &mut Vec<String>, found: &mut Vec<Difference>) {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    let objects: Vec<&Map<String, Value>> = values.iter().flatten().filter_map(|value| value.as_object()).collect();
    // A freeze plan is one thing, however many nodes it names.
    let whole = objects.iter().any(|object| object.get("frozen").is_some_and(Value::is_array));
    if objects.len() == values.iter().flatten().count() && !objects.is_empty() && !whole {
        let keys: BTreeSet<&String> = objects.iter().flat_map(|object| object.keys()).collect();
        for key in keys {
            let below: Vec<Option<&Value>> =
                values.iter().map(|value| value.and_then(|value| value.get(key))).collect();
            path.push(key.clone());
            walk(&below, graphs, path, found);
            path.pop();
        }
        return;
    }
    let word = |(value, graph): (&Option<&Value>, &Option<&Graph>)| match value {
        Some(value) => in_words(value, *graph),
        None => NONE.to_owned(),
    };
    let mut words: Vec<String> = values.iter().zip(graphs).map(word).collect();
    if words.windows(2).all(|pair| pair[0] == pair[1]) {
        // Numbers that differ behind the digits that are shown.
        words = values.iter().map(|value| value.map_or(NONE.to_owned(), Value::to_string)).collect();
    }
    found.push(Difference {
        name: name(path),
        values: words,
        detail: if whole { nodes(&objects) } else { String::new() },
    });
}

/// The nodes that not all of these freeze plans freeze.
fn nodes(plans: &[&Map<String, Value>]) -> String {
    let frozen = |plan: &&Map<String, Value>| -> BTreeSet<String> {
        let names = plan.get("frozen").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let sets: Vec<BTreeSet<String>> = plans.iter().map(frozen).collect();
    let all: BTreeSet<&String> = sets.iter().flatten().collect();
    let some: Vec<&str> =
        all.into_iter().filter(|name| !sets.iter().all(|set| set.contains(*name))).map(String::as_str).collect();
    if some.is_empty() { String::new() } else { format!("frozen in some only: {}", some.join(", ")) }
}

/// A setting's place as people say it.
fn name(path: &[String]) -> String {
    let word = |word: &str| match word {
        "lr" => "learning rate".to_owned(),
        "val" => "validation".to_owned(),
        "px" => "(px)".to_owned(),
        "bn" => "batch norm".to_owned(),
        "beta1" => "beta 1".to_owned(),
        "beta2" => "beta 2".to_owned(),
        other => other.to_owned(),
    };
    let mut words: Vec<String> = path.iter().flat_map(|key| key.split('_')).map(word).collect();
    if words.len() > 1 && words.last().is_some_and(|last| last == "name") {
        words.pop();
    }
    words.join(" ")
}

/// A stored value as people say it.
fn in_words(value: &Value, graph: Option<&Graph>) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(value)) => number_in_words(value),
            (None, None) => number.to_string(),
        },
        Value::String(text) if text.is_empty() => "the usual".to_owned(),
        // A path stays as it is; a variant's name becomes words.
        Value::String(text) if text.contains(['/', '\\', '.']) => text.clone(),
        Value::String(text) => text.replace('_', " "),
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) => {
            let gap = if all.iter().any(Value::is_object) { "; " } else { ", " };
            all.iter().map(|value| in_words(value, graph)).collect::<Vec<_>>().join(gap)
        }
        Value::Object(object) if object.is_empty() => "none".to_owned(),
        Value::Object(object) if object.get("frozen").is_some_and(Value::is_array) => {
            let plan: Option<FreezePlan> = serde_json::from_value(value.clone()).ok();
            plan.map_or_else(|| value.to_string(), |plan| freeze_in_words(&plan, graph))
        }
        Value::Object(object) => {
            let part = |(key, value): (&String, &Value)| {
                format!("{} {}", name(std::slice::from_ref(key)), in_words(value, graph))
            };
            object.iter().map(part).collect::<Vec<_>>().join(", ")
        }
    }
}

fn number_in_words(value: f64) -> String {
    // Stored as f32, a tenth has sixteen digits.
    let short = format!("{}", value as f32);
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:e}") } else { short }
}

/// What a freeze plan freezes: whole stages by name, `layer1–3`, the rest by node.
#[must_use]
pub fn freeze_in_words(plan: &FreezePlan, graph: Option<&Graph>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut left = plan.frozen.len();
    if let Some(graph) = graph {
        let mut whole: Vec<String> = Vec::new();
        let mut cut: Vec<String> = Vec::new();
        for stage in graph.stages() {
            let members = || graph.nodes.iter().filter(|node| node.stage == stage);
            let frozen = members().filter(|node| plan.is_frozen(&node.path)).count();
            left -= frozen.min(left);
            if frozen > 0 && frozen == members().count() {
                whole.push(stage);
            } else if frozen > 0 {
                cut.push(format!("{frozen} of {} nodes of {stage}", members().count()));
            }
        }
        parts.extend(ranges(&whole));
        parts.extend(cut);
    }
    if left > 0 {
        parts.push(crate::format::plural(left, "node"));
    }
    let mut text = if parts.is_empty() { "nothing frozen".to_owned() } else { format!("{} frozen", parts.join(", ")) };
    if !plan.bn.is_empty() {
        text.push_str(&format!(", batch norm set for {}", crate::format::plural(plan.bn.len(), "node")));
    }
    text
}

/// A name without its number, the first and the last number.
type Range = (String, u32, u32);

/// `layer1, layer2, layer3` becomes `layer1–3`.
fn ranges(stages: &[String]) -> Vec<String> {
    let split = |stage: &str| {
        let digits = stage.chars().rev().take_while(char::is_ascii_digit).count();
        let (base, number) = stage.split_at(stage.len() - digits);
        number.parse::<u32>().ok().map(|number| (base.to_owned(), number))
    };
    let mut out: Vec<(String, Option<Range>)> = Vec::new();
    for stage in stages {
        let own = split(stage);
        if let (Some((base, number)), Some((_, Some((known, _, to))))) = (&own, out.last_mut())
            && known == base
            && *number == *to + 1
        {
            *to = *number;
            continue;
        }
        out.push((stage.clone(), own.map(|(base, number)| (base, number, number))));
    }
    let text = |(stage, range): (String, Option<Range>)| match range {
        Some((base, from, to)) if to > from => format!("{base}{from}–{to}"),
        _ => stage,
    };
    out.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{DataSource, OptimizerChoice};

    fn rows(plans: &[&Plan], graph: Option<&Graph>) -> Vec<(String, Vec<String>)> {
        let plans: Vec<(&Plan, Option<&Graph>)> = plans.iter().map(|plan| (*plan, graph)).collect();
        differences(&plans).into_iter().map(|row| (row.name, row.values)).collect()
    }

    fn row(name: &str, values: &[&str]) -> (String, Vec<String>) {
        (name.to_owned(), values.iter().map(|&value| value.to_owned()).collect())
    }

    #[test]
    fn only_what_differs_is_named_in_words() {
        let first = Plan::default();
        let second = Plan { lr: 0.003, size_px: 128, clip_norm: Some(1.0), ..Plan::default() };
        let third =
            Plan { lr: 0.003, label_smoothing: 0.1, data: DataSource::Path("/data/ants".into()), ..Plan::default() };
        assert_eq!(rows(&[&first, &first.clone()], None), []);
        let expected = [
            row("clip norm", &["none", "1", "none"]),
            row("data", &["sample", "sample", "path /data/ants"]),
            row("label smoothing", &["0", "0", "0.1"]),
            row("learning rate", &["0.01", "0.003", "0.003"]),
            row("size (px)", &["224", "128", "224"]),
        ];
        assert_eq!(rows(&[&first, &second, &third], None), expected);
    }

    #[test]
    fn settings_that_one_optimizer_lacks_are_dashes() {
        let first = Plan::default();
        let second = Plan { optimizer: OptimizerChoice::ADAMW, ..Plan::default() };
        let expected = [
            row("optimizer beta 1", &["–", "0.9"]),
            row("optimizer beta 2", &["–", "0.999"]),
            row("optimizer epsilon", &["–", "1e-8"]),
            row("optimizer momentum", &["0.9", "–"]),
            row("optimizer", &["sgd", "adam w"]),
            row("optimizer weight decay", &["1e-4", "0.01"]),
        ];
        assert_eq!(rows(&[&first, &second], None), expected);
    }

    #[test]
    fn numbers_that_look_alike_are_shown_whole() {
        let (first, second) = (Plan { lr: 0.01, ..Plan::default() }, Plan { lr: 0.010_000_000_001, ..Plan::default() });
        assert_eq!(rows(&[&first, &second], None), [row("learning rate", &["0.01", "0.010000000001"])]);
    }

    #[test]
    fn freeze_plans_are_summarized_by_stage() {
        let graph = crate::models::find("resnet18").unwrap().graph(2, 224).unwrap();
        let mut plan = FreezePlan::default();
        assert_eq!(freeze_in_words(&plan, Some(&graph)), "nothing frozen");
        for stage in ["stem", "layer1", "layer2", "layer3"] {
            plan.set_stage(&graph, stage, true);
        }
        assert_eq!(freeze_in_words(&plan, Some(&graph)), "stem, layer1–3 frozen");
        plan.set("layer4.0", true);
        assert_eq!(freeze_in_words(&plan, Some(&graph)), "stem, layer1–3, 1 of 2 nodes of layer4 frozen");
        plan.set("elsewhere", true);
        assert!(freeze_in_words(&plan, Some(&graph)).ends_with("layer4, 1 node frozen"));
        let none = Plan::default();
        let some = Plan { freeze: plan, ..Plan::default() };
        let found = differences(&[(&none, Some(&graph)), (&some, Some(&graph))]);
        assert_eq!(found.len(), 1);
        assert!(found[0].detail.contains("layer4.0"), "{}", found[0].detail);
    }
}
