//! The rules of the house, read from the sources: who may know whom, what is named where, how long things may get.
//! Each rule is shown to find a planted violation.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;

/// Folders of `src/` and the folders that each may name. `rng` and `format` are everybody's.
const ARROWS: [(&str, &[&str]); 9] = [
    ("graph", &[]),
    ("nn", &["graph"]),
    ("models", &["graph", "nn"]),
    ("weights", &["graph", "nn", "models"]),
    ("data", &["graph"]),
    ("train", &["graph", "nn", "models", "weights", "data"]),
    ("session", &["graph", "models", "weights", "data", "train"]),
    ("ui", &["graph", "weights", "data", "train", "session"]),
    ("cli", &["graph", "weights", "data", "train", "session"]),
];

/// Where no tensor library is named.
const PLAIN: [&str; 9] = [
    "graph/",
    "data/",
    "ui/",
    "cli/",
    "session/message.rs",
    "session/view.rs",
    "session/history.rs",
    "session/project.rs",
    "session/thumbs.rs",
];

/// Families, which only `models/` knows. (YOLO alone is also the name of a text format.)
const FAMILIES: [&str; 8] = ["resnet", "vgg", "mobilenet", "rcnn", "yolox", "yolov", "unet", "sam_"];

/// Where a family may be named nevertheless: the default plan, the model of the carried backbone, names of data layouts.
const FAMILY_EXCEPTIONS: [&str; 3] = ["train/plan.rs", "train/builtin.rs", "data/formats/"];

const MAX_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 100;

/// One source file.
struct Source {
    /// Below `src/`, with `/`.
    path: String,
    lines: usize,
    /// Without comments and the contents of literals.
    code: String,
    /// Without comments.
    text: String,
}

impl Source {
    fn new(path: &str, source: &str) -> Self {
        // Unit tests stand at a file's end; they may print and plant what they like.
        let body = source.split("#[cfg(test)]\nmod ").next().unwrap_or(source);
        Self { path: path.to_owned(), lines: source.lines().count(), code: strip(body, true), text: strip(body, false) }
    }

    fn folder(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    /// Lines of `haystack` that hold `needle` at the start of a word, as `path:line: what`.
    fn find(&self, haystack: &str, needle: &str, what: &str) -> Vec<String> {
        let hit = |line: &str| {
            line.match_indices(needle).any(|(at, _)| {
                let before = line.get(..at).and_then(|before| before.chars().next_back());
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            })
        };
        let lines = haystack.lines().enumerate().filter(|(_, line)| hit(line));
        lines.map(|(i, _)| format!("{}:{}: {what}", self.path, i + 1)).collect()
    }
}

/// Blanks comments, and the contents of literals if asked; line breaks stay.
fn strip(source: &str, literals: bool) -> String {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    let blank = |out: &mut String, from: usize, to: usize, hide: bool| {
        for j in from..to.min(chars.len()) {
            out.push(if hide && at(j) != '\n' { ' ' } else { at(j) });
        }
    };
    while i < chars.len() {
        let end = if at(i) == '/' && at(i + 1) == '/' {
            (i..chars.len()).find(|&j| at(j) == '\n').unwrap_or(chars.len())
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            let mut j = i;
            loop {
                match (at(j), at(j + 1)) {
                    ('/', '*') => (depth, j) = (depth + 1, j + 2),
                    ('*', '/') => (depth, j) = (depth - 1, j + 2),
                    _ => j += 1,
                }
                if depth == 0 || j >= chars.len() {
                    break j;
                }
            }
        } else {
            i
        };
        if end > i {
            blank(&mut out, i, end, true);
            i = end;
            continue;
        }
        let end = literal_end(&at, i, chars.len());
        if end > i + 1 {
            blank(&mut out, i, end, literals);
            i = end;
        } else {
            out.push(at(i));
            i += 1;
        }
    }
    out
}

/// The end of the string or character literal that starts at `i`; `i` where none does.
fn literal_end(at: &dyn Fn(usize) -> char, i: usize, len: usize) -> usize {
    let in_word = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
    let raw = at(i) == 'r' && !(in_word && at(i - 1) != 'b') && matches!(at(i + 1), '"' | '#');
    if raw {
        let hashes = (i + 1..len).take_while(|&j| at(j) == '#').count();
        if at(i + 1 + hashes) == '"' {
            let closes = |j: usize| at(j) == '"' && (1..=hashes).all(|k| at(j + k) == '#');
            return (i + 2 + hashes..len).find(|&j| closes(j)).map_or(len, |j| j + 1 + hashes);
        }
        return i;
    }
    let closing = |quote: char, from: usize| {
        let mut j = from;
        while j < len && at(j) != quote {
            j += if at(j) == '\\' { 2 } else { 1 };
        }
        j + 1
    };
    match at(i) {
        '"' => closing('"', i + 1),
        '\'' if at(i + 1) == '\\' => closing('\'', i + 1),
        '\'' if at(i + 2) == '\'' => i + 3, // anything else after a quote is a lifetime
        _ => i,
    }
}

/// Names of the crate's folders that a file uses: `crate::a`, `crate::{a, b::c}`.
fn names_of_folders(code: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
        let rest = code.get(at + "crate::".len()..).unwrap_or_default();
        let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let Some(list) = rest.strip_prefix('{') else {
            names.push((line, word(rest)));
            continue;
        };
        let mut depth = 1;
        let mut item = String::new();
        for c in list.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => names.push((line, word(std::mem::take(&mut item).trim()))),
                _ if depth == 1 => item.push(c),
                _ => {}
            }
            if depth == 0 {
                names.push((line, word(item.trim())));
                break;
            }
        }
    }
    names
}

fn arrows(source: &Source) -> Vec<String> {
    let folder = source.folder();
    let Some((_, may)) = ARROWS.iter().find(|(name, _)| *name == folder) else { return Vec::new() };
    let known = |name: &str| ARROWS.iter().any(|(folder, _)| *folder == name);
    let wrong = |name: &String| name != folder && known(name) && !may.contains(&name.as_str());
    let names = names_of_folders(&source.code);
    names
        .iter()
        .filter(|(_, name)| wrong(name))
        .map(|(line, name)| format!("{}:{line}: {folder} may not know {name}", source.path))
        .collect()
}

fn tensors(source: &Source) -> Vec<String> {
    let plain = source.is_in(&PLAIN) && source.path != "data/batch.rs";
    if plain { source.find(&source.code, "burn", "burn is named where no tensors are") } else { Vec::new() }
}

fn windows(source: &Source) -> Vec<String> {
    if source.folder() == "ui" {
        return Vec::new();
    }
    let find = |name| source.find(&source.code, name, &format!("{name} is named outside ui"));
    ["egui", "eframe", "rfd"].into_iter().flat_map(find).collect()
}

fn colors(source: &Source) -> Vec<String> {
    if source.path == "ui/theme.rs" {
        return Vec::new();
    }
    source.find(&source.code, "Color32::from_", "a color is mixed outside ui/theme.rs")
}

fn threads_and_channels(source: &Source) -> Vec<String> {
    let mut found = source.find(&source.code, "thread::spawn(", "a thread without a name");
    found.extend(source.find(&source.code, "mpsc::channel", "a channel without a bound"));
    found.extend(source.find(&source.code, "channel::<", "a channel without a bound"));
    found.extend(source.find(&source.code, "channel()", "a channel without a bound"));
    found
}

fn printing(source: &Source) -> Vec<String> {
    let macros = ["println!", "eprintln!", "print!", "eprint!", "dbg!"];
    macros.iter().flat_map(|name| source.find(&source.code, name, &format!("{name} in the program"))).collect()
}

fn families(source: &Source) -> Vec<String> {
    if source.folder() == "models" || source.is_in(&FAMILY_EXCEPTIONS) {
        return Vec::new();
    }
    let text = source.text.to_lowercase();
    let named = |family: &&str| source.find(&text, family, &format!("the family {family} is named outside models"));
    FAMILIES.iter().flat_map(named).collect()
}

fn lengths(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if source.lines > MAX_LINES {
        found.push(format!("{}: {} lines, of {MAX_LINES} allowed", source.path, source.lines));
    }
    for (at, _) in source.code.match_indices("fn ") {
        let before = source.code.get(..at).unwrap_or_default();
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = source.code.get(at..).unwrap_or_default();
        let length = function_lines(rest);
        if length > MAX_FUNCTION_LINES {
            let line = before.matches('\n').count() + 1;
            found.push(format!("{}:{line}: a function of {length} lines", source.path));
        }
    }
    found
}

/// Lines from `fn` to the brace that closes its body; 0 for a signature without one.
fn function_lines(text: &str) -> usize {
    let mut depth = 0;
    let mut lines = 1;
    let mut brackets = 0;
    for c in text.chars() {
        match c {
            '\n' => lines += 1,
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if depth == 0 && brackets == 0 => return 0,
            '{' => depth += 1,
            '}' if depth <= 1 => return lines,
            '}' => depth -= 1,
            _ => {}
        }
    }
    0
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, root: &Path, out: &mut Vec<Source>) {
        let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, root, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                out.push(Source::new(&below, &std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    walk(&root, &root, &mut out);
    out
}

/// What a rule finds in one file.
type Rule = fn(&Source) -> Vec<String>;

const RULES: [(&str, Rule); 8] = [
    ("arrows", arrows),
    ("tensors", tensors),
    ("windows", windows),
    ("colors", colors),
    ("threads and channels", threads_and_channels),
    ("printing", printing),
    ("families", families),
    ("lengths", lengths),
];

#[test]
fn the_sources_keep_the_rules() {
    let sources = sources();
    assert!(sources.len() > 50, "only {} files were read", sources.len());
    let found: Vec<String> = RULES
        .iter()
        .flat_map(|(name, rule)| sources.iter().flat_map(rule).map(move |what| format!("{name}: {what}")))
        .collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_folder_has_its_arrows() {
    let known: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).chain(["main", "lib", "rng", "format"]).collect();
    for source in sources() {
        assert!(known.contains(&source.folder()), "{} stands in no known folder", source.path);
    }
}

#[test]
fn planted_violations_are_found() {
    let long = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(MAX_FUNCTION_LINES));
    let cases: [(Rule, &str, &str); 16] = [
        (arrows, "graph/x.rs", "use crate::nn::Block;"),
        (arrows, "data/x.rs", "use crate::{graph::Shape, train::Plan};"),
        (arrows, "data/x.rs", "use crate::{\n    graph::{Shape, Signal},\n    weights,\n};"),
        (arrows, "train/x.rs", "fn f() { crate::session::View::default(); }"),
        (arrows, "session/x.rs", "use crate::ui::App;"),
        (arrows, "ui/x.rs", "use crate::models::find;"),
        (tensors, "session/message.rs", "use burn::tensor::Tensor;"),
        (tensors, "ui/x.rs", "use burn_wgpu::Device;"),
        (windows, "session/x.rs", "pub fn f(c: &egui::Context) {}"),
        (colors, "ui/panels/x.rs", "let ice = Color32::from_rgb(1, 2, 3);"),
        (threads_and_channels, "data/x.rs", "std::thread::spawn(|| ());"),
        (threads_and_channels, "data/x.rs", "let (a, b) = channel();"),
        (printing, "train/x.rs", "println!(\"loss\");"),
        (families, "ui/x.rs", "if name == \"resnet18\" {}"),
        (families, "train/x.rs", "use crate::models::Yolox;"),
        (lengths, "train/x.rs", &long),
    ];
    for (rule, path, source) in cases {
        assert_eq!(rule(&Source::new(path, source)).len(), 1, "{path}: {source}");
    }
    let many = "//\n".repeat(MAX_LINES + 1);
    assert_eq!(lengths(&Source::new("train/x.rs", &many)).len(), 1);
}

#[test]
fn what_is_allowed_is_not_found() {
    let fine: [(Rule, &str, &str); 10] = [
        (arrows, "train/x.rs", "use crate::{data::Dataset, graph::Graph, rng::Rng};"),
        (arrows, "graph/x.rs", "// use crate::nn\nlet x = \"crate::nn\";"),
        (tensors, "data/batch.rs", "use burn::tensor::Tensor;"),
        (tensors, "graph/x.rs", "/* burn /* and burn */ too */ let sunburn = r#\"burn \"\"#;"),
        (colors, "ui/theme.rs", "Color32::from_rgb(1, 2, 3)"),
        (threads_and_channels, "data/x.rs", "let (a, b) = mpsc::sync_channel(4);"),
        (printing, "data/x.rs", "writeln!(out, \"println!\");"),
        (printing, "data/x.rs", "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { println!(); } }"),
        (families, "models/resnet.rs", "\"resnet18\""),
        (families, "ui/x.rs", "let quote = '\"'; // resnet\nlet same_as: &'static str = \"\";"),
    ];
    for (rule, path, source) in fine {
        assert_eq!(rule(&Source::new(path, source)), Vec::<String>::new(), "{path}: {source}");
    }
    assert!(
        lengths(&Source::new("x.rs", "trait T {\n    fn f(&self, a: [u8; 3]);\n    fn g() { h(); }\n}")).is_empty()
    );
}
