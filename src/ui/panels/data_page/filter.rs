//! Which pictures of a set are shown.

use crate::data::{Dataset, Sample, Split};
use std::collections::HashSet;
use std::path::Path;

/// What a picture must be to be shown; nothing set shows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The label column that classes are of.
    pub column: usize,
    /// Of this class.
    pub class: Option<u32>,
    /// In this part of the set.
    pub split: Option<Split>,
    /// Named in the pre-flight report.
    pub issues: bool,
    /// With this text in its path, whatever the case.
    pub search: String,
}

impl Filter {
    /// Whether everything is shown.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == self.opened()
    }

    /// The same column without anything that hides pictures.
    #[must_use]
    pub fn opened(&self) -> Self {
        Self { column: self.column, ..Self::default() }
    }

    /// Indices of the samples that are shown, in order.
    #[must_use]
    pub fn apply(&self, data: &Dataset) -> Vec<usize> {
        let search = self.search.trim().to_lowercase();
        let named: HashSet<&Path> =
            if self.issues { data.issues.iter().map(|issue| issue.file.as_path()).collect() } else { HashSet::new() };
        let keeps = |sample: &Sample| {
            self.split.is_none_or(|split| sample.split == split)
                && self.class.is_none_or(|class| is_of(sample, self.column, class))
                && (!self.issues || sample.image.path().is_some_and(|path| named.contains(path)))
                && (search.is_empty() || in_set(data, &sample.image.name()).to_lowercase().contains(&search))
        };
        data.samples.iter().enumerate().filter(|(_, sample)| keeps(sample)).map(|(index, _)| index).collect()
    }
}

fn is_of(sample: &Sample, column: usize, class: u32) -> bool {
    let target = &sample.target;
    target.label(column).has(class)
        || target.boxes.iter().flatten().any(|object| object.class == class)
        || target.mask_classes().any(|shown| shown == class)
}

/// A picture's path as seen from the set's folder, so that the way to the folder is not searched.
#[must_use]
pub fn in_set(data: &Dataset, name: &str) -> String {
    let inside = Path::new(name).strip_prefix(&data.root).ok();
    match inside {
        // The folder itself.
        Some(inside) if inside.as_os_str().is_empty() => data.name.clone(),
        Some(inside) => inside.display().to_string(),
        None => name.to_owned(),
    }
}
