//! Issues of many kinds: the first of each kind line by line, the rest as a number.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::{Issue, Severity};

/// Issues of one kind that are told line by line.
const TOLD: usize = 100;

/// Collects issues.
#[derive(Debug, Default)]
pub(crate) struct Told {
    issues: Vec<Issue>,
    kinds: BTreeMap<&'static str, (Severity, usize)>,
}

impl Told {
    /// Says something of a line of a file, or of the whole file. `kind` names what the many are called that are not told.
    pub fn say(&mut self, severity: Severity, kind: &'static str, file: &Path, line: Option<usize>, what: String) {
        let (_, count) = self.kinds.entry(kind).or_insert((severity, 0));
        *count += 1;
        if *count <= TOLD {
            self.issues.push(Issue { severity, file: file.to_owned(), line, what });
        }
    }

    /// Adds everything to `issues`; the rest of a kind is said of `root`.
    pub fn finish(self, root: &Path, issues: &mut Vec<Issue>) {
        issues.extend(self.issues);
        for (kind, (severity, count)) in self.kinds {
            if count > TOLD {
                issues.push(Issue::new(severity, root, format!("{} more: {kind}", count - TOLD)));
            }
        }
    }
}
