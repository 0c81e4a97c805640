//! Which classes a checkpoint's head tells apart, where the file or one beside it says so.

use super::checkpoint::Checkpoint;
use pytorch_reader::PickleValue;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Under which this program writes the names, as a JSON list.
pub(super) const OWN_KEY: &str = "frostline.classes";

/// Under which others keep names, the most telling keys first.
const KEYS: &[&str] = &[
    "class_names",
    "classes",
    "CLASSES",
    "idx_to_class",
    "class_to_idx",
    "id2label",
    "label2id",
    "label_names",
    "labels",
    "names",
];

/// Dictionaries of a pickle in which the names may stand, besides the root.
const NESTED: &[&str] = &["meta", "metadata", "hyper_parameters", "hparams", "args", "config", "dataset_meta"];

/// Files beside a checkpoint in which people keep names; `STEM.json` comes before them.
const BESIDE: &[&str] = &["class_names.json", "classes.json", "classes.txt", "labels.txt", "config.json"];

/// Most classes and most text in all that are taken for names; ImageNet-21k has 21 843 classes and 1 MB of synonyms.
const MAX_CLASSES: usize = 100_000;
const MAX_TEXT: usize = 8 << 20;

/// Names of classes in the order of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassNames {
    /// The names; some files give a class several, divided by commas.
    pub names: Vec<String>,
    /// Who says so, in words: `class_to_idx in the file`.
    pub source: String,
}

/// The names of ImageNet-1k's classes, as torchvision orders and spells them.
#[must_use]
pub fn imagenet_classes() -> Vec<&'static str> {
    let text = include_str!("../../assets/imagenet_classes.txt");
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

/// COCO's class names in the order of ids, for a head of `count` classes: the 80 that there are, or 90 with places for the
/// ids that none has (torchvision's detectors). None for another number.
#[must_use]
pub fn coco_classes(count: usize) -> Option<Vec<String>> {
    let text = include_str!("../../assets/coco_classes.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let known: BTreeMap<usize, &str> = lines.filter_map(|(id, name)| Some((id.parse().ok()?, name))).collect();
    match count {
        80 => Some(known.values().map(|name| (*name).to_owned()).collect()),
        90 => {
            Some((1..=90).map(|id| known.get(&id).map_or(format!("unused {id}"), |name| (*name).to_owned())).collect())
        }
        _ => None,
    }
}

/// All lists of class names in a file and beside it, the most trustworthy first. The caller knows how many there must be.
#[must_use]
pub fn class_names(checkpoint: &Checkpoint) -> Vec<ClassNames> {
    let own = checkpoint.metadata.get_key_value(OWN_KEY).into_iter();
    let others = KEYS.iter().flat_map(|key| {
        checkpoint.metadata.iter().filter(move |(name, _)| name.rsplit('.').next() == Some(key) && *name != OWN_KEY)
    });
    let inside = own.chain(others).filter_map(|(key, text)| {
        Some(ClassNames { names: names_in_text(text)?, source: format!("{key} in the file") })
    });
    inside.chain(beside(&checkpoint.path)).collect()
}

fn beside(checkpoint: &Path) -> Vec<ClassNames> {
    let Some(folder) = checkpoint.parent() else { return Vec::new() };
    let own = checkpoint.with_extension("json");
    let files = std::iter::once(own).chain(BESIDE.iter().map(|name| folder.join(name)));
    let read = |file: std::path::PathBuf| {
        let small = std::fs::metadata(&file).is_ok_and(|about| about.is_file() && about.len() <= MAX_TEXT as u64);
        let text = std::fs::read_to_string(&file).ok().filter(|_| small)?;
        let name = file.file_name()?.to_string_lossy().into_owned();
        let names = if name.ends_with(".txt") { lines(&text) } else { names_in_json_file(&text)? };
        (!names.is_empty()).then(|| ClassNames { names, source: format!("{name} beside it") })
    };
    files.filter_map(read).collect()
}

fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.take(MAX_CLASSES).map(str::to_owned).collect()
}

/// A list or dictionary of names, or an object that has one under a known key.
fn names_in_json_file(text: &str) -> Option<Vec<String>> {
    let json: Value = serde_json::from_str(text).ok()?;
    let known = KEYS.iter().find_map(|key| names_in(json.get(key)?));
    known.or_else(|| names_in(&json))
}

/// Names in a value of metadata: JSON, or a list or dictionary as Python prints it.
fn names_in_text(text: &str) -> Option<Vec<String>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    serde_json::from_str(text).map_or_else(|_| printed_by_python(text), |json| names_in(&json))
}

/// A list of names; a dictionary from ids to names or from names to ids, when the ids are 0, 1, … without a gap.
fn names_in(json: &Value) -> Option<Vec<String>> {
    let names: Vec<String> = match json {
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        Value::Object(pairs) => {
            let pair = |(key, value): (&String, &Value)| match value {
                Value::String(name) => Some((key.parse().ok()?, name.clone())),
                Value::Number(id) => Some((usize::try_from(id.as_u64()?).ok()?, key.clone())),
                // torchvision's tutorials and Keras: `{"0": ["n01440764", "tench"]}`.
                Value::Array(items) => Some((key.parse().ok()?, items.last()?.as_str()?.to_owned())),
                _ => None,
            };
            in_order(pairs.iter().map(pair).collect::<Option<_>>()?)?
        }
        _ => return None,
    };
    (!names.is_empty() && names.len() <= MAX_CLASSES).then_some(names)
}

fn in_order(pairs: Vec<(usize, String)>) -> Option<Vec<String>> {
    let count = pairs.len();
    let names: BTreeMap<usize, String> = pairs.into_iter().collect();
    (names.len() == count && names.last_key_value()?.0 + 1 == count).then(|| names.into_values().collect())
}

/// `['ant', 'bee']` or `{0: 'ant', 1: 'bee'}`, the form in which exporters write `names`.
fn printed_by_python(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let list = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let dict = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let mut rest = list.or(dict)?;
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    loop {
        rest = rest.trim_start_matches([' ', ',', ':', '\n', '(', ')']);
        let Some(first) = rest.chars().next() else { break };
        if first == '\'' || first == '"' {
            let (name, after) = rest.get(1..)?.split_once(first)?;
            names.push(name.to_owned());
            rest = after;
        } else {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            ids.push(rest.get(..end)?.parse().ok()?);
            rest = rest.get(end..)?;
        }
    }
    match (list.is_some(), ids.len()) {
        (true, 0) if !names.is_empty() => Some(names),
        (false, count) if count == names.len() => in_order(ids.into_iter().zip(names).collect()),
        _ => None,
    }
}

/// Keeps lists of names of a pickle's root, and of the dictionaries where they usually are, as JSON in the metadata.
pub(super) fn keep_names(root: &HashMap<String, PickleValue>, metadata: &mut BTreeMap<String, String>) {
    let mut keep = |prefix: &str, dictionary: &HashMap<String, PickleValue>| {
        for key in KEYS {
            if let Some(text) = dictionary.get(*key).and_then(names_as_json) {
                metadata.insert(format!("{prefix}{key}"), text);
            }
        }
    };
    keep("", root);
    for name in NESTED {
        if let Some(PickleValue::Dict(inner)) = root.get(*name) {
            keep(&format!("{name}."), inner);
        }
    }
}

fn names_as_json(value: &PickleValue) -> Option<String> {
    let json = match value {
        PickleValue::List(items) if items.len() <= MAX_CLASSES => {
            let name = |item: &PickleValue| match item {
                PickleValue::String(name) => Some(Value::from(name.as_str())),
                _ => None,
            };
            Value::Array(items.iter().map(name).collect::<Option<_>>()?)
        }
        PickleValue::Dict(pairs) if pairs.len() <= MAX_CLASSES => {
            let pair = |(key, value): (&String, &PickleValue)| match value {
                PickleValue::String(name) => Some((key.clone(), Value::from(name.as_str()))),
                PickleValue::Int(id) => Some((key.clone(), Value::from(*id))),
                _ => None,
            };
            Value::Object(pairs.iter().map(pair).collect::<Option<_>>()?)
        }
        _ => return None,
    };
    names_in(&json)?;
    serde_json::to_string(&json).ok().filter(|text| text.len() <= MAX_TEXT)
}

/// What to call each class: its name, with its id where several have the same name.
#[must_use]
pub fn labels(names: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&String> = names.iter().filter(|name| !seen.insert(*name)).collect();
    let label =
        |(id, name): (usize, &String)| if twice.contains(name) { format!("{name} #{id}") } else { name.clone() };
    names.iter().enumerate().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_form_that_is_about() {
        let expected = Some(vec!["ant".to_owned(), "bee".to_owned(), "wasp's nest".to_owned()]);
        for text in [
            r#"["ant", "bee", "wasp's nest"]"#,
            r#"{"0": "ant", "2": "wasp's nest", "1": "bee"}"#,
            r#"{"wasp's nest": 2, "ant": 0, "bee": 1}"#,
            r#"{"0": ["n1", "ant"], "1": ["n2", "bee"], "2": ["n3", "wasp's nest"]}"#,
            r#"['ant', 'bee', "wasp's nest"]"#,
            r#"{0: 'ant', 1: 'bee', 2: "wasp's nest"}"#,
        ] {
            assert_eq!(names_in_text(text), expected, "{text}");
        }
        // A gap, an id given twice, numbers alone, nothing, a word.
        for text in [r#"{"0": "ant", "2": "bee"}"#, r#"{"ant": 0, "bee": 0}"#, "[1, 2]", "[]", "{}", "ant", "['ant"] {
            assert_eq!(names_in_text(text), None, "{text}");
        }
    }

    #[test]
    fn coco_has_eighty_names_and_ten_gaps() {
        let (dense, sparse) = (coco_classes(80).unwrap(), coco_classes(90).unwrap());
        assert_eq!(
            (dense.len(), dense[0].as_str(), dense[16].as_str(), dense[79].as_str()),
            (80, "person", "dog", "toothbrush")
        );
        assert_eq!((sparse[17].as_str(), sparse[89].as_str(), sparse[11].as_str()), ("dog", "toothbrush", "unused 12"));
        assert_eq!(sparse.iter().filter(|name| name.starts_with("unused")).count(), 10);
        assert_eq!(coco_classes(81), None);
    }

    #[test]
    fn imagenet_has_a_thousand_names_in_the_order_of_ids() {
        let names = imagenet_classes();
        assert_eq!(names.len(), 1000);
        // Well-known ids; 310 and 309 are those of the hymenoptera of PyTorch's tutorial.
        for (id, name) in [(0, "tench"), (207, "golden retriever"), (309, "bee"), (310, "ant"), (999, "toilet tissue")]
        {
            assert_eq!(names[id], name);
        }
    }

    #[test]
    fn a_name_given_twice_is_told_apart_by_its_id() {
        let names = ["a", "crane", "b", "crane"].map(str::to_owned);
        assert_eq!(labels(&names), ["a", "crane #1", "b", "crane #3"]);
    }
}
