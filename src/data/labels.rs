//! What is known of whole pictures: label columns, and what each says of a picture.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The name of the only column of a layout that names none, such as class folders.
pub const DEFAULT_COLUMN: &str = "cls";

/// One way in which pictures are labelled: what one head learns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelColumn {
    /// Its name: a CSV's header, else [`DEFAULT_COLUMN`].
    pub name: String,
    /// Class names; the position is the class id.
    pub classes: Vec<String>,
    /// Whether a picture can have several of them, or none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi: bool,
}

impl LabelColumn {
    /// The only column of a layout that names none.
    #[must_use]
    pub fn single(classes: Vec<String>) -> Self {
        Self { name: DEFAULT_COLUMN.to_owned(), classes, multi: false }
    }

    /// The name as a head, a loss and tensors can bear it: letters, digits, `_` and `-`, and none of the names that
    /// mean something else.
    #[must_use]
    pub fn head(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
        let name: String = self.name.trim().chars().map(plain).collect();
        match name.as_str() {
            "" => "labels".to_owned(),
            "total" | "loss" | "backbone" | "neck" | "head" => format!("{name}_"),
            _ => name,
        }
    }

    /// The name of a class, for people.
    #[must_use]
    pub fn class_name(&self, class: u32) -> &str {
        self.classes.get(class as usize).map_or("?", String::as_str)
    }

    /// What is known of a picture, for people; `None` where nothing is.
    #[must_use]
    pub fn told(&self, label: &Label) -> Option<String> {
        match label {
            Label::Unknown => None,
            Label::One(class) => Some(self.class_name(*class).to_owned()),
            Label::Many(classes) if classes.is_empty() => Some("none".to_owned()),
            Label::Many(classes) => {
                Some(classes.iter().map(|&class| self.class_name(class)).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// What one column says of a picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Nothing: the column's head is not trained on this picture.
    #[default]
    Unknown,
    /// Its class.
    One(u32),
    /// All of its classes; an empty set is a picture known to have none of them.
    Many(BTreeSet<u32>),
}

impl Label {
    /// Whether something is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        *self != Self::Unknown
    }

    /// The class of a column with one for each picture.
    #[must_use]
    pub fn class(&self) -> Option<u32> {
        match self {
            Self::One(class) => Some(*class),
            Self::Unknown | Self::Many(_) => None,
        }
    }

    /// All classes that it names, ascending.
    pub fn classes(&self) -> impl Iterator<Item = u32> + '_ {
        let many = match self {
            Self::Many(classes) => Some(classes.iter().copied()),
            Self::Unknown | Self::One(_) => None,
        };
        self.class().into_iter().chain(many.into_iter().flatten())
    }

    /// Whether it names this class.
    #[must_use]
    pub fn has(&self, class: u32) -> bool {
        match self {
            Self::Unknown => false,
            Self::One(own) => *own == class,
            Self::Many(classes) => classes.contains(&class),
        }
    }

    /// The same in another numbering: a class without a new id is unknown where it was the only one, and is dropped
    /// among several.
    #[must_use]
    pub fn renumbered(&self, new: impl Fn(u32) -> Option<u32>) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::One(class) => new(*class).map_or(Self::Unknown, Self::One),
            Self::Many(classes) => Self::Many(classes.iter().filter_map(|&class| new(class)).collect()),
        }
    }
}
