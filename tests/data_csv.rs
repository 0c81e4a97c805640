//! Tables of pictures: what each form means, and what is said of each line that is not used.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use frostline::data::{Dataset, Issue, Label, OpenOptions, Quiet, Severity, Split, ValSource, open};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A small picture, another one for each `n`.
fn png(n: usize) -> Vec<u8> {
    let picture =
        image::RgbImage::from_fn(6, 5, |x, y| image::Rgb([(n % 251) as u8, (n / 251) as u8, (x * 40 + y) as u8]));
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A folder with `images/0.png`, `images/1.png`, … and a table.
fn set(pictures: usize, table: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..pictures {
        write(dir.path(), &format!("images/{n}.png"), &png(n));
    }
    write(dir.path(), "labels.csv", table.as_bytes());
    dir
}

fn open_at(path: &Path) -> Dataset {
    open(path, &OpenOptions::default(), &Quiet).unwrap()
}

fn error(path: &Path) -> String {
    open(path, &OpenOptions::default(), &Quiet).unwrap_err().to_string()
}

fn issue<'a>(set: &'a Dataset, line: usize, what: &str) -> &'a Issue {
    let found = set.issues.iter().find(|i| i.line == Some(line) && i.what.contains(what));
    found.unwrap_or_else(|| panic!("no issue of line {line} with '{what}' in {:#?}", set.issues))
}

fn note<'a>(set: &'a Dataset, what: &str) -> &'a Issue {
    let found = set.issues.iter().find(|i| i.what.contains(what));
    found.unwrap_or_else(|| panic!("no issue with '{what}' in {:#?}", set.issues))
}

/// What a column says of `images/n.png`.
fn told(set: &Dataset, column: usize, n: usize) -> Option<String> {
    let name = format!("{n}.png");
    let sample = set.samples.iter().find(|s| s.image.path().is_some_and(|p| p.ends_with(&name))).unwrap();
    set.columns[column].told(sample.target.label(column))
}

/// Rows for pictures `0..count`, each made by `row`.
fn rows(header: &str, count: usize, row: impl Fn(usize) -> String) -> String {
    let mut text = if header.is_empty() { String::new() } else { format!("{header}\n") };
    for n in 0..count {
        text += &format!("images/{n}.png{}\n", row(n));
    }
    text
}

#[test]
fn a_path_and_a_label_with_and_without_header_by_folder_and_by_file() {
    let row = |n: usize| format!(",{}", ["ant", "bee"][n % 2]);
    for (header, name) in [("file,kind", "kind"), ("", "cls")] {
        let dir = set(20, &rows(header, 20, row));
        for path in [dir.path().to_owned(), dir.path().join("labels.csv")] {
            let set = open_at(&path);
            assert_eq!(
                (set.columns.len(), set.columns[0].name.as_str(), set.classes()),
                (1, name, &["ant".into(), "bee".into()][..])
            );
            assert_eq!(set.format, "CSV (one class for a picture; labels.csv)");
            assert_eq!((set.found, set.used(), set.skipped(), set.suggested_split), (20, 20, 0, true));
            // A fifth of each class, drawn.
            assert_eq!((set.class_counts(Split::Train), set.class_counts(Split::Val)), (vec![8, 8], vec![2, 2]));
            assert!(set.issues.is_empty() && set.usable().is_ok(), "{:?}", set.issues);
            assert_eq!((told(&set, 0, 4).unwrap(), told(&set, 0, 7).unwrap()), ("ant".into(), "bee".into()));
        }
    }
}

#[test]
fn two_label_columns_with_unknown_cells_and_a_split() {
    let color = ["red", "green", "blue"];
    let split = |n: usize| {
        if n < 12 {
            "train"
        } else if n < 16 {
            "valid"
        } else {
            "Test"
        }
    };
    let row = |n: usize| {
        let shape = if n == 3 || n == 13 { "" } else { ["disc", "square"][n / 3 % 2] };
        format!(";{};{};{shape};{}", split(n), color[n % 3], 100 + n)
    };
    let dir = set(18, &rows("file;split;color;shape;age", 18, row));
    let set = open_at(dir.path());
    let names: Vec<&str> = set.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((names, set.columns[1].multi), (vec!["color", "shape"], false));
    assert_eq!(
        (set.classes().to_vec(), &set.columns[1].classes),
        (vec!["blue".to_owned(), "green".into(), "red".into()], &vec!["disc".to_owned(), "square".into()])
    );
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| set.indices(s).len()), [12, 4, 2]);
    assert!(!set.suggested_split);
    // Masked for the one head, used by the other.
    assert_eq!(
        (told(&set, 0, 3), told(&set, 1, 3), told(&set, 1, 4)),
        (Some("red".into()), None, Some("square".into()))
    );
    assert_eq!(set.label_counts(1, Split::Train).iter().sum::<usize>(), 11);
    assert_eq!(note(&set, "age has another value in every row").severity, Severity::Note);
    let chosen = set.with_columns(&set.find_columns(&["shape".to_owned()]).unwrap());
    assert_eq!(
        (chosen.classes(), chosen.samples[4].target.class()),
        (&["disc".to_owned(), "square".into()][..], Some(1))
    );
    assert!(set.find_columns(&["size".to_owned()]).unwrap_err().contains("it has color, shape"));
    assert!(set.find_columns(&["color".to_owned(), "color".to_owned()]).is_err());
}

#[test]
fn several_labels_in_a_cell() {
    for separator in [';', '|'] {
        let row = |n: usize| match n % 4 {
            0 => ",sea".to_owned(),
            1 => format!(",\"sun{separator} sea\""),
            2 => format!(",sun{separator}people{separator}sea"),
            _ => String::from(","),
        };
        let dir = set(16, &rows("image,tags", 16, row));
        let set = open_at(dir.path());
        assert!(set.columns[0].multi);
        assert_eq!(set.classes(), ["people", "sea", "sun"]);
        assert_eq!(
            (told(&set, 0, 1).unwrap(), told(&set, 0, 2).unwrap()),
            ("sea, sun".into(), "people, sea, sun".into())
        );
        // An empty cell says nothing; a picture of which no column knows anything is left out by line.
        assert_eq!((set.used(), set.skipped()), (12, 4));
        assert_eq!(issue(&set, 5, "3.png has no label; left out").severity, Severity::Warning);
        assert_eq!(set.format, "CSV (several labels for a picture; labels.csv)");
        // The rarest label of each picture decides where it goes: a fifth of the 4 with people, of 4 with sun, of 4.
        assert_eq!(set.indices(Split::Val).len(), 3);
        assert_eq!(set.label_counts(0, Split::Val), [1, 3, 2]);
    }
    // Words under a header of several recombine; names do not.
    let planet = rows("name,tags", 8, |n| {
        [",clear primary", ",primary", ",haze primary road", ",clear road", ",clear"][n % 5].to_owned()
    });
    assert_eq!(open_at(set(8, &planet).path()).classes(), ["clear", "haze", "primary", "road"]);
    let dogs = rows("name,label", 8, |n| [",golden retriever", ",german shepherd"][n % 2].to_owned());
    assert_eq!(open_at(set(8, &dogs).path()).classes(), ["german shepherd", "golden retriever"]);
    let odd = rows("name,label", 8, |n| [",a;b", ",c"][n % 2].to_owned());
    assert_eq!(open_at(set(8, &odd).path()).classes(), ["a;b", "c"].map(String::from));
}

#[test]
fn columns_of_0_and_1() {
    let row = |n: usize| match n {
        7 => ",,,".to_owned(),
        8 => ",1,,0".to_owned(),
        n => format!(",{},{},{}", n % 2, u8::from(n % 3 == 0), if n % 4 == 0 { "1.0" } else { "0" }),
    };
    let dir = set(20, &rows("file,sun,people,sea", 20, row));
    let set_ = open_at(dir.path());
    assert_eq!((set_.columns.len(), set_.columns[0].name.as_str(), set_.columns[0].multi), (1, "labels", true));
    assert_eq!(set_.classes(), ["people", "sea", "sun"]);
    assert_eq!((told(&set_, 0, 0).unwrap(), told(&set_, 0, 2).unwrap()), ("people, sea".to_owned(), "none".to_owned()));
    let known_none = set_.samples.iter().filter(|s| *s.target.label(0) == Label::Many([].into())).count();
    assert_eq!(known_none, 3); // 2, 10, 14
    issue(&set_, 9, "7.png has no label");
    issue(&set_, 10, "some of its 0/1 cells are empty");
    // Exactly one 1 in every row is one class for each picture.
    let one = rows("file,rust,scab,none", 12, |n| [",1,0,0", ",0,1,0", ",0,0,1"][n % 3].to_owned());
    let one = open_at(set(12, &one).path());
    assert_eq!((one.columns[0].multi, one.classes()), (false, &["none".to_owned(), "rust".into(), "scab".into()][..]));
    // A single column of 0 and 1 has two classes of these names.
    let bare = open_at(set(12, &rows("file,label", 12, |n| format!(",{}", n % 2))).path());
    assert_eq!((bare.columns[0].multi, bare.classes()), (false, &["0".to_owned(), "1".into()][..]));
}

#[test]
fn every_line_that_is_not_used_is_told() {
    let mut table = rows("file,label", 10, |n| format!(",{}", ["ant", "bee"][n % 2]));
    table +=
        "images/gone.png,ant\n../../etc/passwd,ant\n,ant\nimages/1.png,bee\nimages/2.png,bee\nimages/broken.png,bee\n";
    table += "images/3.png,bee,more\nimages/11.png\n";
    let dir = set(12, &table);
    write(dir.path(), "images/broken.png", b"\x89PNG\r\n\x1a\nnothing");
    let set = open_at(dir.path());
    assert_eq!(set.used(), 10);
    for (line, what, severity) in [
        (12, "images/gone.png does not exist; left out", Severity::Error),
        (13, "../../etc/passwd lies outside of the set's folder; left out", Severity::Error),
        (14, "names no picture; left out", Severity::Error),
        (15, "names the picture of line 3 again; the first counts", Severity::Note),
        (
            16,
            "names the picture of line 4 again, there with label ant and here bee; the first counts",
            Severity::Warning,
        ),
        (18, "3 cells where the table has 2; left out", Severity::Error),
        (19, "1 cells where the table has 2; the rest is unknown", Severity::Warning),
        (19, "11.png has no label; left out", Severity::Warning),
    ] {
        let found = issue(&set, line, what);
        assert!(found.file.ends_with("labels.csv") && found.severity == severity, "{found:?}");
    }
    assert!(set.issues.iter().any(|i| i.file.ends_with("broken.png") && i.severity == Severity::Error));
    assert!(set.issues.iter().any(|i| i.file.ends_with("10.png") && i.what.contains("not used by the table")));
    // Hundreds of lines of one kind end in a number.
    let many = rows("file,label", 300, |n| format!(",{}", ["ant", "bee"][n % 2]));
    let set_ = open_at(set_of(20, &many).path());
    assert_eq!(set_.issues.iter().filter(|i| i.what.ends_with("does not exist; left out")).count(), 100);
    note(&set_, "280 lines name pictures that do not exist; the first 100 are listed");
}

fn set_of(pictures: usize, table: &str) -> TempDir {
    set(pictures, table)
}

#[test]
fn tables_named_after_parts_are_one_set() {
    let dir = set(20, "");
    fs::remove_file(dir.path().join("labels.csv")).unwrap();
    let table = |from: usize, to: usize| {
        let row = |n: usize| format!("{n}.png,{}\n", ["ant", "bee"][n % 2]);
        format!("file,label\n{}", (from..to).map(row).collect::<String>())
    };
    write(dir.path(), "train.csv", table(0, 12).as_bytes());
    write(dir.path(), "val.csv", table(12, 20).as_bytes());
    write(dir.path(), "sample_submission.csv", b"file,score\n0.png,0.25\n1.png,0.5\n");
    let set = open_at(dir.path());
    assert_eq!([Split::Train, Split::Val].map(|s| set.indices(s).len()), [12, 8]);
    assert!(set.format.ends_with("train.csv, val.csv)"), "{}", set.format);
    note(&set, "another table of pictures; not read");
}

#[test]
fn beside_class_folders_a_table_of_a_few_is_only_noted_and_can_be_opened_itself() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..24 {
        write(dir.path(), &format!("{}/{n}.png", ["cat", "dog"][n % 2]), &png(n));
    }
    let table: String = (0..8).map(|n| format!("{n}.png,{}\n", ["old", "young"][n / 2 % 2])).collect();
    write(dir.path(), "age.csv", format!("file,age\n{table}").as_bytes());
    let folders = open_at(dir.path());
    assert_eq!(folders.classes(), ["cat", "dog"]);
    assert!(note(&folders, "drop the table itself").file.ends_with("age.csv"));
    let table = open_at(&dir.path().join("age.csv"));
    assert_eq!((table.classes(), table.used()), (&["old".to_owned(), "young".into()][..], 8));
}

#[test]
fn what_is_no_set_is_refused_with_the_reason() {
    let none = rows("file,caption,score", 30, |n| format!(",text {n},0.{n}5"));
    let dir = set(30, &none);
    let told = error(&dir.path().join("labels.csv"));
    assert!(
        told.contains("caption has 30 different values") && told.contains("score holds numbers with decimals"),
        "{told}"
    );
    let dir = set(2, "file,label\nx/7.png,a\nx/8.png,b\n");
    assert!(error(&dir.path().join("labels.csv")).contains("no picture that labels.csv names is there"));
    // Tables of other things leave a set alone.
    let dir = set(2, "name,value\na,x\nb,y\n");
    assert!(error(&dir.path().join("labels.csv")).contains("labels.csv has no column that names pictures"));
}

#[test]
fn another_set_validates_by_columns_of_the_same_name() {
    let train =
        set(12, &rows("file,color,shape", 12, |n| format!(",{},{}", ["r", "g"][n % 2], ["disc", "box"][n / 2 % 2])));
    let val =
        set(8, &rows("file,shape,color", 8, |n| format!(",{},{}", ["disc", "box"][n % 2], ["g", "r"][n / 2 % 2])));
    let options = OpenOptions { val: ValSource::Other(val.path().to_owned()), seed: 0, task: None };
    let set = open(train.path(), &options, &Quiet).unwrap();
    let (one, _) = (set.samples.iter().find(|s| s.split == Split::Val).unwrap(), ());
    assert_eq!(set.columns[0].told(one.target.label(0)).unwrap(), "g");
    assert_eq!(set.columns[1].told(one.target.label(1)).unwrap(), "disc");
    assert_eq!((set.label_counts(0, Split::Val), set.label_counts(1, Split::Val)), (vec![4, 4], vec![4, 4]));
}
