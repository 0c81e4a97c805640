//! Tables of boxes: a row for each, with four corners (`xmin,ymin,xmax,ymax` and the like, or a cell `[x, y, w, h]`) and a
//! class; without a header as `path,x1,y1,x2,y2,class`. A row without corners is a picture known to be without objects.

use std::path::Path;

use super::columns::{LABEL_NAMES, meaning, split_of};
use super::table::{Row, Table};
use super::{name, split_of_name};
use crate::data::formats::Draft;
use crate::data::formats::boxes::{Builder, Origin};
use crate::data::formats::paths::{Finder, Found};
use crate::data::listing::Folder;
use crate::data::{BoxTarget, Issue, Severity, Split};

/// Which columns hold a box.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corners {
    at: At,
    /// The class; one for all where there is no such column.
    class: Option<usize>,
    /// Width and height of the picture.
    size: Option<[usize; 2]>,
}

#[derive(Clone, Copy, Debug)]
enum At {
    /// Left, top, right, bottom.
    Columns([usize; 4]),
    /// Left, top, width, height in one cell.
    Cell(usize),
}

/// The columns of boxes of a table: by its header, or four numbers beside each picture and a word after them.
pub(super) fn corners(table: &Table) -> Option<Corners> {
    const CORNERS: [[&str; 4]; 4] = [
        ["xmin", "ymin", "xmax", "ymax"],
        ["x1", "y1", "x2", "y2"],
        ["x_min", "y_min", "x_max", "y_max"],
        ["left", "top", "right", "bottom"],
    ];
    if let Some(header) = &table.header {
        let header: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
        let at = |name: &str| header.iter().position(|own| own == name);
        let columns = CORNERS.iter().find_map(|names| match names.map(at) {
            [Some(left), Some(top), Some(right), Some(bottom)] => Some(At::Columns([left, top, right, bottom])),
            _ => None,
        });
        let place = columns.or_else(|| at("bbox").map(At::Cell))?;
        let names = LABEL_NAMES.iter().copied().chain(["name"]);
        let class = names.into_iter().filter_map(at).find(|column| *column != table.image);
        let size = match (at("width"), at("height")) {
            (Some(width), Some(height)) => Some([width, height]),
            _ => None,
        };
        return Some(Corners { at: place, class, size });
    }
    let is_number = |column: usize| {
        let mut cells = table.rows.iter().map(|row| row.cell(column)).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok())
    };
    let first = table.image + 1;
    let fits = table.width == table.image + 6 && (first..first + 4).all(is_number) && !is_number(first + 4);
    let at = At::Columns([first, first + 1, first + 2, first + 3]);
    fits.then_some(Corners { at, class: Some(first + 4), size: None })
}

/// Puts tables of boxes together: the one with most rows, and others like it that are named after parts of a set.
pub(super) fn draft(root: &Folder, mut tables: Vec<(Table, Corners)>, whole: bool) -> Option<Draft> {
    let most = tables.iter().enumerate().rev().max_by_key(|(_, (table, _))| table.rows.len())?.0;
    let best = tables.swap_remove(most);
    let (mut set, others): (Vec<_>, Vec<_>) = tables.into_iter().partition(|(table, _)| {
        table.header == best.0.header && split_of_name(&table.path).is_some() && split_of_name(&best.0.path).is_some()
    });
    set.push(best);
    set.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    let mut builder = Builder::new(root);
    builder.rest = "is not named by the table; left out";
    for (table, _) in others {
        builder.issues.push(Issue::new(Severity::Note, &table.path, "another table of pictures; not read"));
    }
    let several = set.len() > 1;
    for (table, corners) in &set {
        builder.read.insert(table.path.clone());
        builder.issues.extend(table.issues.iter().cloned());
        if corners.class.is_none() {
            let what = "no column of classes: every box is an object";
            builder.issues.push(Issue::new(Severity::Note, &table.path, what));
        }
        rows(root, table, *corners, several, &mut builder);
    }
    let files: Vec<String> = set.iter().map(|(table, _)| name(&table.path)).collect();
    Some(builder.draft(format!("CSV with boxes ({})", files.join(", ")), whole))
}

fn rows(root: &Folder, table: &Table, corners: Corners, several: bool, builder: &mut Builder<'_>) {
    let finder = Finder::new(&root.path, table.path.parent().unwrap_or(&root.path), Some(root));
    let split_column = meaning(table).split;
    let of_name = split_of_name(&table.path).filter(|_| several);
    for row in &table.rows {
        let cell = row.cell(table.image);
        let line = Some(row.line);
        let mut fail = |what: String| {
            builder.teller.say(
                Severity::Error,
                "rows that cannot be used",
                &table.path,
                line,
                format!("{what}; left out"),
            );
        };
        let picture = match finder.find(cell) {
            Found::At(picture) => picture,
            Found::Outside => {
                fail(format!("{cell} lies outside of the set's folder"));
                continue;
            }
            Found::Several(n) => {
                fail(format!("{cell} may be any of {n} files"));
                continue;
            }
            Found::Missing if cell.is_empty() => {
                fail("names no picture".to_owned());
                continue;
            }
            Found::Missing => {
                fail(format!("{cell} does not exist"));
                continue;
            }
        };
        let split = split_column.and_then(|column| split_of(&table.name(column), row.cell(column)));
        let split = match split_column {
            Some(_) => split.or(Some(Split::Train)),
            None => of_name,
        };
        match read(row, corners) {
            Ok(None) => {
                builder.picture(picture, split, Vec::new(), origin(table, row, corners));
            }
            Ok(Some((xyxy, class))) => {
                let class = builder.class(class, None);
                builder.picture(picture.clone(), split, Vec::new(), origin(table, row, corners));
                builder.add_box(&picture, BoxTarget::new(class, xyxy), row.line);
            }
            Err(why) => fail(why),
        }
    }
}

fn origin(table: &Table, row: &Row, corners: Corners) -> Origin {
    let side = |column: usize| row.cell(column).parse::<f64>().map_or(0, |px| px.clamp(0.0, 1e9) as u32);
    let told_px = corners.size.map(|size| (size.map(side), row.line));
    Origin { file: table.path.clone(), told_px, ..Origin::default() }
}

/// The box of a row with its class; none for a picture without objects.
fn read(row: &Row, corners: Corners) -> Result<Option<([f32; 4], &str)>, String> {
    let number = |cell: &str| {
        let read = cell.trim().parse::<f32>().ok().filter(|number| number.is_finite());
        read.ok_or_else(|| format!("{:?} is no number", cell.trim()))
    };
    let class = corners.class.map(|column| row.cell(column));
    let xyxy = match corners.at {
        At::Columns(columns) => {
            let cells = columns.map(|column| row.cell(column));
            if cells.iter().all(|cell| cell.is_empty()) {
                return Ok(None);
            }
            let [left, top, right, bottom] = cells.map(number);
            [left?, top?, right?, bottom?]
        }
        At::Cell(column) => {
            let cell = row.cell(column).trim_matches(['[', ']', '(', ')']);
            if cell.is_empty() {
                return Ok(None);
            }
            let numbers: Result<Vec<f32>, String> = cell.split(',').map(number).collect();
            match numbers?.as_slice() {
                &[x, y, w, h] => [x, y, x + w, y + h],
                other => return Err(format!("bbox has {} numbers and not four", other.len())),
            }
        }
    };
    match class {
        Some("") => Err("a box without class".to_owned()),
        Some(class) => Ok(Some((xyxy, class))),
        None => Ok(Some((xyxy, "object"))),
    }
}

/// The path of a table for people.
pub(super) fn decided(tables: &[(Table, Corners)]) -> Option<&Path> {
    tables.first().map(|(table, _)| table.path.as_path())
}
