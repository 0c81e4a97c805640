//! Where text goes: data to standard output, everything for people to standard error.

use super::Failure;
use super::lines::Line;
pub(super) use crate::format::short;
use std::io::{ErrorKind, Write as _};

/// Writes a line of data.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| stdout_failed(&error))
}

/// Writes one JSON object.
pub(super) fn json(value: &Line<'_>) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::Running(format!("The answer cannot be written as JSON: {error}.")))?;
    line(&text)
}

fn stdout_failed(error: &std::io::Error) -> Failure {
    match error.kind() {
        // Whoever read has seen enough, as with `| head`.
        ErrorKind::BrokenPipe => Failure::Said(0),
        _ => Failure::Running(format!("Standard output cannot be written: {error}.")),
    }
}

/// Writes a line for people. Where nobody can read it there is nobody to tell.
pub(super) fn note(text: &str) {
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// Writes the one sentence of an error, with its period.
pub(super) fn error(text: &str) {
    let end = if text.ends_with(['.', '!', '?', ':']) { "" } else { "." };
    note(&format!("error: {text}{end}"));
}

/// Puts `text` in place of the current line of the terminal.
pub(super) fn replace_line(text: &str) {
    let mut err = std::io::stderr().lock();
    write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush()).ok();
}

/// Which side a column of a table leans to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows of a table under a head, columns two spaces apart.
pub(super) fn table(head: &[(&str, Align)], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let title = head.get(column).map_or(0, |(title, _)| title.chars().count());
        cells.max().unwrap_or(0).max(title)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let format = |cells: Vec<&str>| {
        let padded = cells.into_iter().zip(head).zip(&widths).map(|((cell, (_, align)), &width)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let titles = format(head.iter().map(|(title, _)| *title).collect());
    std::iter::once(titles).chain(rows.iter().map(|row| format(row.iter().map(String::as_str).collect()))).collect()
}

/// A count for people: `11 689 512` with thin spaces between groups of three digits.
pub(super) fn count(value: u64) -> String {
    crate::format::grouped(value, '\u{202f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(count(11_689_512), "11\u{202f}689\u{202f}512");
        assert_eq!(count(512), "512");
        assert_eq!(count(1_000), "1\u{202f}000");
        assert_eq!(short(1_814_073_344), "1.81 G");
        assert_eq!(short(64), "64");
        assert_eq!(short(11_689_512), "11.7 M");
        assert_eq!(short(999_500), "1000 k");
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        let rows = vec![vec!["Blüte".to_owned(), "7".to_owned()], vec!["a".to_owned(), "1234".to_owned()]];
        let lines = table(&[("name", Align::Left), ("n", Align::Right)], &rows);
        assert_eq!(lines, ["name      n", "Blüte     7", "a      1234"]);
    }
}
