//! One annotation file.

use std::path::Path;

use roxmltree::{Document, Node};

use crate::data::formats::paths::is_absolute;

/// No annotation of one picture is longer.
const MAX_BYTES: u64 = 64 << 20;

/// What a file says of its picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Annotation {
    /// The picture's name, as the file gives it.
    pub filename: Option<String>,
    /// Whether it gives a path that is not on this machine.
    pub is_foreign: bool,
    /// Width and height in pixels, as the file gives them.
    pub size_px: Option<[u32; 2]>,
    pub objects: Vec<Object>,
    /// Lines that cannot be used, and why.
    pub issues: Vec<(Option<usize>, String)>,
}

/// One object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub name: String,
    /// xmin, ymin, xmax, ymax as they stand there.
    pub bndbox: [f64; 4],
    pub difficult: bool,
    /// 1-based.
    pub line: usize,
}

/// Why a file says nothing.
#[derive(Clone, Debug)]
pub(super) enum NotOne {
    /// It is of another kind.
    Other(String),
    /// It cannot be read; the line where it breaks.
    Broken(Option<usize>, String),
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Annotation, NotOne> {
    let broken = |what: String| NotOne::Broken(None, format!("{what}; left out"));
    let length = std::fs::metadata(path).map_err(|error| broken(format!("cannot be read: {error}")))?.len();
    if length > MAX_BYTES {
        return Err(broken(format!("has {} MB, too much for the annotation of one picture", length >> 20)));
    }
    let bytes = std::fs::read(path).map_err(|error| broken(format!("cannot be read: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    let lossy = matches!(text, std::borrow::Cow::Owned(_));
    let mut annotation = parse(text.trim_start_matches('\u{feff}'))?;
    if lossy {
        annotation.issues.push((None, "is not UTF-8; letters that cannot be read are replaced".to_owned()));
    }
    Ok(annotation)
}

fn parse(text: &str) -> Result<Annotation, NotOne> {
    // Entities and document types are refused by default: they serve no annotation, and attacks.
    let document = Document::parse(text).map_err(|error| {
        let line = usize::try_from(error.pos().row).ok();
        NotOne::Broken(line, format!("is not valid XML ({error}); left out"))
    })?;
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        return Err(NotOne::Other(format!("an XML file of another kind (<{}>); left out", root.tag_name().name())));
    }
    let size = child(root, "size").and_then(|size| {
        let side = |name| child(size, name).and_then(number).map(|v| v as u32);
        Some([side("width")?, side("height")?])
    });
    let path = child(root, "path").and_then(text_of);
    let is_foreign = path.is_some_and(|path| is_absolute(&path.replace('\\', "/")) && !Path::new(&path).is_file());
    let mut annotation = Annotation {
        is_foreign,
        filename: child(root, "filename").and_then(text_of),
        size_px: size,
        ..Annotation::default()
    };
    for node in root.children().filter(|node| node.has_tag_name("object")) {
        let line = line_of(&document, node);
        match object(node, line) {
            Ok(object) => annotation.objects.push(object),
            Err(why) => annotation.issues.push((Some(line), format!("an object {why}; left out"))),
        }
    }
    Ok(annotation)
}

fn object(node: Node<'_, '_>, line: usize) -> Result<Object, String> {
    let name = child(node, "name").and_then(text_of).ok_or("without a name")?;
    let bndbox = child(node, "bndbox").ok_or_else(|| format!("of {name} without a <bndbox>"))?;
    let side = |tag: &str| match child(bndbox, tag) {
        None => Err(format!("of {name} without <{tag}>")),
        Some(node) => number(node).ok_or_else(|| {
            format!("of {name} whose <{tag}> is not a number ({})", text_of(node).unwrap_or("empty".to_owned()))
        }),
    };
    let bndbox = [side("xmin")?, side("ymin")?, side("xmax")?, side("ymax")?];
    let difficult = child(node, "difficult").and_then(number).is_some_and(|v| v != 0.0);
    Ok(Object { name, bndbox, difficult, line })
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn text_of(node: Node<'_, '_>) -> Option<String> {
    node.text().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn number(node: Node<'_, '_>) -> Option<f64> {
    text_of(node)?.parse().ok().filter(|value: &f64| value.is_finite())
}

fn line_of(document: &Document<'_>, node: Node<'_, '_>) -> usize {
    // Positions are counted from the start each time; annotation files are short.
    usize::try_from(document.text_pos_at(node.range().start).row).unwrap_or(0)
}
