//! From the bytes of a table to rows with line numbers: encoding, delimiter, header.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::data::listing::extension;
use crate::data::{Issue, Severity};

/// Larger files are not read: a line for a picture has a hundred bytes.
const MAX_BYTES: u64 = 256 << 20;
/// Rows that decide about the delimiter and the column of pictures.
const PROBED: usize = 200;

/// One row that is not empty.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Line in the file, 1-based.
    pub line: usize,
    pub cells: Vec<String>,
}

impl Row {
    /// A cell without white space around it; empty where the row is too short.
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", |cell| cell.trim())
    }
}

/// A table in which one column names pictures.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub path: PathBuf,
    /// The names of the columns, where the first row holds them.
    pub header: Option<Vec<String>>,
    pub rows: Vec<Row>,
    /// Number of columns.
    pub width: usize,
    /// The column that names pictures.
    pub image: usize,
    /// What is odd about the file.
    pub issues: Vec<Issue>,
}

impl Table {
    /// Reads a file; `is_picture` tells whether a cell names one.
    ///
    /// # Errors
    /// Why it is no table of pictures.
    pub fn read(path: &Path, is_picture: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let mut issues = Vec::new();
        let mut text = read_text(path, &mut issues)?;
        if !text.contains('\n') {
            text = text.replace('\r', "\n");
        }
        let (text, first_line, delimiters) = delimiters(&text, path);
        let probe = delimiters.iter().map(|&delimiter| {
            let rows = parse(text, delimiter, first_line, PROBED);
            let (width, fitting) = usual_width(&rows);
            let (image, named) = image_column(&rows, width, is_picture);
            (named, if width > 1 { fitting } else { 0 }, delimiter, image)
        });
        // The first of equal ones.
        let best = probe.rev().max_by_key(|&(named, fitting, ..)| (named, fitting));
        let (named, _, delimiter, image) = best.ok_or("is empty")?;
        if named == 0 {
            return Err("has no column that names pictures".to_owned());
        }
        let mut rows = parse(text, delimiter, first_line, usize::MAX);
        let (width, _) = usual_width(&rows);
        let is_header = rows.len() > 1 && rows.first().is_some_and(|row| !is_picture(row.cell(image)));
        let header = is_header.then(|| rows.remove(0));
        check_shape(path, &mut rows, width, &mut issues);
        let header = header.map(|row| (0..width).map(|at| row.cell(at).to_owned()).collect());
        Ok(Self { path: path.to_owned(), header, rows, width, image, issues })
    }

    /// The name of a column for people.
    pub fn name(&self, column: usize) -> String {
        let named = self.header.as_ref().and_then(|header| header.get(column)).filter(|name| !name.is_empty());
        named.cloned().unwrap_or_else(|| format!("column {}", column + 1))
    }
}

/// The text of a file in UTF-8, UTF-16 with its mark, or Latin-1.
fn read_text(path: &Path, issues: &mut Vec<Issue>) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > MAX_BYTES {
        return Err(format!("has {} MB; tables of more than {} MB are not read", length >> 20, MAX_BYTES >> 20));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let wide = |from: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.get(2..).unwrap_or_default().as_chunks().0.iter().map(|pair| from(*pair)).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, ..] => return Ok(wide(u16::from_le_bytes)),
        [0xFE, 0xFF, ..] => return Ok(wide(u16::from_be_bytes)),
        _ => {}
    }
    if bytes.contains(&0) {
        return Err("is not text".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let what = "a byte that is not UTF-8; the file is read as Latin-1".to_owned();
            issues.push(Issue { severity: Severity::Warning, file: path.to_owned(), line: Some(line), what });
            Ok(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
    }
}

/// What may part the cells, likeliest first; Excel's first line `sep=;` says it and is taken off. Also the number of the
/// first line that is left.
fn delimiters<'a>(text: &'a str, path: &Path) -> (&'a str, usize, Vec<u8>) {
    if let Some(rest) = text.strip_prefix("sep=")
        && let Some((sign, rest)) = rest.split_once('\n')
        && let [sign] = sign.trim_end_matches('\r').as_bytes()
    {
        return (rest, 2, vec![*sign]);
    }
    let known = if extension(path) == "tsv" { *b"\t,;" } else { *b",;\t" };
    (text, 1, known.to_vec())
}

fn parse(text: &str, delimiter: u8, first_line: usize, limit: usize) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let bytes = text.as_bytes();
    let (mut at, mut line) = (0, first_line);
    // A record of valid UTF-8 in any shape is read, so that nothing is lost here.
    let records = reader.records().filter_map(Result::ok).take(limit);
    let rows = records.map(|record| {
        // The reader's own line is that of the empty lines before a record, and of its end before `\r\n`.
        let position = record.position().map_or(0, |at| usize::try_from(at.byte()).unwrap_or(usize::MAX));
        let rest = bytes.get(position..).unwrap_or_default();
        let start = position + rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        line += bytes.get(at..start).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
        at = start;
        Row { line, cells: record.iter().map(str::to_owned).collect() }
    });
    rows.filter(|row| row.cells.iter().any(|cell| !cell.trim().is_empty())).collect()
}

/// The most frequent number of cells, and how many rows have it.
fn usual_width(rows: &[Row]) -> (usize, usize) {
    let mut widths: BTreeMap<usize, usize> = BTreeMap::new();
    for row in rows {
        *widths.entry(row.cells.len()).or_default() += 1;
    }
    widths.into_iter().max_by_key(|&(_, count)| count).unwrap_or((0, 0))
}

/// The column of which most cells name pictures, and how many do.
fn image_column(rows: &[Row], width: usize, is_picture: &dyn Fn(&str) -> bool) -> (usize, usize) {
    let named = |column: usize| rows.iter().take(PROBED).filter(|row| is_picture(row.cell(column))).count();
    (0..width).map(|column| (column, named(column))).rev().max_by_key(|&(_, count)| count).unwrap_or((0, 0))
}

/// Reports rows of another shape: too short ones are filled up, too long ones left out.
fn check_shape(path: &Path, rows: &mut Vec<Row>, width: usize, issues: &mut Vec<Issue>) {
    let mut say = |severity, line, what: String| {
        issues.push(Issue { severity, file: path.to_owned(), line: Some(line), what });
    };
    rows.retain(|row| {
        let cells = row.cells.len();
        let lines = row.cells.iter().map(|cell| cell.matches('\n').count()).sum::<usize>();
        if lines > 0 {
            say(
                Severity::Warning,
                row.line,
                format!("a quoted cell goes over {} lines; a quote may be missing", lines + 1),
            );
        }
        if cells > width {
            say(Severity::Error, row.line, format!("{cells} cells where the table has {width}; left out"));
        } else if cells < width {
            say(Severity::Warning, row.line, format!("{cells} cells where the table has {width}; the rest is unknown"));
        }
        cells <= width
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, bytes: &[u8]) -> Table {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Table::read(&path, &|cell| cell.ends_with(".png")).unwrap()
    }

    fn cells(table: &Table) -> Vec<Vec<&str>> {
        table.rows.iter().map(|row| (0..table.width).map(|at| row.cell(at)).collect()).collect()
    }

    #[test]
    fn delimiters_headers_marks_and_line_ends() {
        let plain = table("a.csv", b"file,label\na.png,\"x, y\"\nb.png,\"say \"\"z\"\"\"\n");
        assert_eq!(cells(&plain), [["a.png", "x, y"], ["b.png", "say \"z\""]]);
        assert_eq!((plain.header.clone(), plain.rows[1].line), (Some(vec!["file".into(), "label".into()]), 3));
        let excel = table("a.csv", b"\xEF\xBB\xBFlabel;file\r\nx;a.png\r\n\r\ny;b.png\r\n");
        assert_eq!((cells(&excel), excel.image), (vec![vec!["x", "a.png"], vec!["y", "b.png"]], 1));
        assert_eq!((excel.name(0), excel.rows[1].line), ("label".to_owned(), 4));
        let bare = table("a.tsv", b"a.png\tx\nb.png\ty z");
        assert_eq!((cells(&bare), bare.header.is_none()), (vec![vec!["a.png", "x"], vec!["b.png", "y z"]], true));
        let told = table("a.csv", b"sep=;\na.png;1,5\nb.png;2,5\n");
        assert_eq!((cells(&told), told.rows[0].line), (vec![vec!["a.png", "1,5"], vec!["b.png", "2,5"]], 2));
        // Two labels in every row: the comma parts, the semicolon does not.
        assert_eq!(cells(&table("a.csv", b"a.png,x;y\nb.png,y;z\n")), [["a.png", "x;y"], ["b.png", "y;z"]]);
    }

    #[test]
    fn other_encodings_are_read_and_told() {
        let latin = table("a.csv", b"file,label\na.png,caf\xE9\nb.png,th\xE9\n");
        assert_eq!(cells(&latin), [["a.png", "café"], ["b.png", "thé"]]);
        assert!(latin.issues[0].line == Some(2) && latin.issues[0].what.contains("Latin-1"), "{:?}", latin.issues);
        let wide: Vec<u8> = "\u{FEFF}a.png,ж\nb.png,я\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(cells(&table("a.csv", &wide)), [["a.png", "ж"], ["b.png", "я"]]);
    }

    #[test]
    fn rows_of_another_shape_are_told_by_line() {
        let odd = table("a.csv", b"a.png,x,1\nb.png\nc.png,New York, NY,1\nd.png,\"x\ny\",0\n");
        assert_eq!(odd.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 2, 4]);
        let told: Vec<(Option<usize>, Severity)> = odd.issues.iter().map(|i| (i.line, i.severity)).collect();
        assert_eq!(
            told,
            [(Some(2), Severity::Warning), (Some(3), Severity::Error), (Some(4), Severity::Warning)],
            "{:?}",
            odd.issues
        );
    }
}
