//! Boxes as annotation files give them, and what becomes of them once the real size of their picture is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::masks::{self, MaskRule};
use super::{Draft, Item, fold, forget, note_other_files};
use crate::data::listing::Folder;
use crate::data::{
    BoxTarget, IGNORE_ID, Issue, LabelColumn, MaskTarget, Region, Severity, Shape, Shapes, Split, Target, Task,
};

/// Issues of one kind that are told line by line; the rest is a number.
const TOLD: usize = 100;
/// Pixels by which a box may stand out of its picture by rounding alone.
const ROUNDING_PX: f32 = 1.0;
/// Boxes of one class that overlap by more than this (IoU) may be one object given twice.
const SAME: f32 = 0.9;

/// Where the boxes of a picture come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The annotation file.
    pub file: PathBuf,
    /// Width and height of the picture in pixels, where the file gives them, and its line that does.
    pub told_px: Option<([u32; 2], usize)>,
    /// Whether coordinates are parts (0-1) of the picture's width and height.
    pub relative: bool,
    /// For each box of the target: its line in `file`.
    pub lines: Vec<usize>,
}

/// Collects issues that stand in a line each; of many of a kind only the first are told.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    issues: Vec<Issue>,
    counts: BTreeMap<(PathBuf, &'static str), (Severity, usize)>,
}

impl Teller {
    /// Tells of a line; `kind` says in the plural what it is one of.
    pub fn say(&mut self, severity: Severity, kind: &'static str, file: &Path, line: Option<usize>, what: String) {
        let (_, count) = self.counts.entry((file.to_owned(), kind)).or_insert((severity, 0));
        *count += 1;
        if *count <= TOLD {
            self.issues.push(Issue { severity, file: file.to_owned(), line, what });
        }
    }

    /// Everything that was said, and how much was left unsaid.
    pub fn finish(mut self) -> Vec<Issue> {
        for ((file, kind), (severity, count)) in self.counts {
            if count > TOLD {
                let what = format!("{count} {kind}; the first {TOLD} are listed");
                self.issues.push(Issue::new(severity, file, what));
            }
        }
        self.issues
    }
}

/// Brings the boxes of a picture into its pixels and cuts them off at its borders, once its real size is known. Boxes
/// without area and second ones are left out. `classes` names them for people.
pub(crate) fn settle(item: &mut Item, size_px: [u32; 2], classes: &[String], teller: &mut Teller) {
    let Some(boxes) = item.target.boxes.as_mut() else { return };
    let Some(origin) = item.origin.take() else { return };
    // An annotation file of one picture bears its name.
    let of = match origin.file.file_stem() == item.path.file_stem() {
        true => String::new(),
        false => format!(" in {}", item.path.file_name().unwrap_or_default().to_string_lossy()),
    };
    compare_size(&origin, &item.path, size_px, teller);
    let (mut kept, mut kept_lines): (Vec<BoxTarget>, Vec<usize>) = (Vec::new(), Vec::new());
    for (target, line) in boxes.iter().zip(origin.lines.iter().copied().chain(std::iter::repeat(0))) {
        let name = classes.get(target.class as usize).map_or("?", String::as_str);
        let mut say = |severity, kind, what: String| {
            let what = format!("a box of {name}{of} {what}");
            teller.say(severity, kind, &origin.file, (line > 0).then_some(line), what);
        };
        let (xyxy, remark) = match place(target.xyxy, origin.relative, size_px) {
            Ok(placed) => placed,
            Err(why) => {
                say(Severity::Warning, "boxes without area in their picture", why + "; left out");
                continue;
            }
        };
        let one = BoxTarget { xyxy, ..*target };
        let earlier = || kept.iter().zip(&kept_lines);
        let as_line = |line: usize| if line > 0 { format!("the one in line {line}") } else { "another one".to_owned() };
        if let Some((_, first)) = earlier().find(|(other, _)| **other == one) {
            say(Severity::Note, "boxes given twice", format!("is the same as {}; used once", as_line(*first)));
            continue;
        }
        if let Some((_, first)) = earlier().find(|(other, _)| overlap(&one, other) > SAME) {
            let what = format!("is nearly the same as {}; both are used", as_line(*first));
            say(Severity::Note, "boxes that are nearly given twice", what);
        }
        if let Some(remark) = remark {
            say(Severity::Warning, "boxes that do not fit their picture", remark);
        }
        kept.push(one);
        kept_lines.push(line);
    }
    *boxes = kept;
}

/// Intersection over union of two boxes of one class; 0 for those of different ones and for crowds.
fn overlap(a: &BoxTarget, b: &BoxTarget) -> f32 {
    if a.class != b.class || a.crowd || b.crowd {
        return 0.0;
    }
    let area = |[left, top, right, bottom]: [f32; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let [a, b] = [a.xyxy, b.xyxy];
    let shared = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    shared / (area(a) + area(b) - shared).max(f32::MIN_POSITIVE)
}

/// A box in the pixels of its picture with what is odd about it, or why it is none.
fn place(given: [f32; 4], relative: bool, size_px: [u32; 2]) -> Result<([f32; 4], Option<String>), String> {
    let [width, height] = size_px.map(|px| px as f32);
    let limits = [width, height, width, height];
    let scale = if relative { limits } else { [1.0; 4] };
    let [left, top, right, bottom]: [f32; 4] = std::array::from_fn(|i| given[i] * scale[i]);
    let told = format!("({left}, {top}, {right}, {bottom})");
    if [left, top, right, bottom].iter().any(|side| !side.is_finite()) {
        return Err(format!("has a side that is no number {told}"));
    }
    if left == right || top == bottom {
        return Err(format!("has no area {told}"));
    }
    let whole = [left.min(right), top.min(bottom), left.max(right), top.max(bottom)];
    let cut: [f32; 4] = std::array::from_fn(|i| whole[i].clamp(0.0, limits[i]));
    if !(cut[2] > cut[0] && cut[3] > cut[1]) {
        return Err(format!("lies outside of the picture of {width}x{height} pixels {told}"));
    }
    let remark = if left > right || top > bottom {
        Some(format!("has its sides exchanged {told}; turned round"))
    } else if whole.iter().zip(cut).any(|(old, new)| (old - new).abs() > ROUNDING_PX) {
        Some(format!("reaches out of the picture of {width}x{height} pixels {told}; cut off there"))
    } else {
        None
    };
    Ok((cut, remark))
}

/// Says where the annotations were made for a picture of another size.
pub(in crate::data::formats) fn compare_size(origin: &Origin, picture: &Path, size_px: [u32; 2], teller: &mut Teller) {
    let Some((told, line)) = origin.told_px.filter(|(told, _)| *told != size_px) else { return };
    let [width, height] = size_px;
    let line = (line > 0).then_some(line);
    let name = picture.file_name().unwrap_or_default().to_string_lossy();
    if told.contains(&0) {
        let what = format!("gives no size of {name}");
        return teller.say(Severity::Note, "pictures without a size", &origin.file, line, what);
    }
    let turned = if told == [height, width] {
        " as its EXIF data turns it: the boxes may have been drawn on the unturned picture"
    } else {
        ""
    };
    let what = format!(
        "{name} has {width}x{height} pixels, and not {}x{}{turned}; its annotations are read as pixels of the picture as it is",
        told[0], told[1]
    );
    teller.say(Severity::Warning, "pictures of another size than told", &origin.file, line, what);
}

/// An object with its outline, as a file gives it.
#[derive(Debug)]
pub(super) struct Outline {
    /// As [`Builder::class`] gives it; none where its pixels are not told from those around them and count for nothing.
    pub class: Option<u32>,
    pub region: Region,
    /// Height and width in pixels of the picture that runs are for.
    pub runs_for: Option<[u64; 2]>,
    pub crowd: bool,
    pub line: usize,
}

/// Puts pictures with boxes or outlines together for a reader.
pub(super) struct Builder<'a> {
    root: &'a Folder,
    /// Class names with the numbers that the files give them; the position is the class of boxes in `items`.
    names: Vec<(String, u64)>,
    items: Vec<Item>,
    known: HashMap<PathBuf, usize>,
    /// Annotation files that were read.
    pub read: BTreeSet<PathBuf>,
    pub teller: Teller,
    pub issues: Vec<Issue>,
    /// Pictures that are known to be without objects because nothing is said of them.
    pub background: Vec<PathBuf>,
    /// What is said of pictures that are not used.
    pub rest: &'static str,
    /// Pictures that are not used for another reason, which was said.
    pub left_out: BTreeSet<PathBuf>,
    /// Objects that have an outline, used or not.
    pub outlines: usize,
    /// Outlines by the place of their picture in `items`.
    drawn: HashMap<usize, Vec<Outline>>,
}

impl Outline {
    /// The box of an object whose outline is not known.
    pub fn unknown([left, top, right, bottom]: [f32; 4], line: usize) -> Self {
        let corners = [left, top, right, top, right, bottom, left, bottom].map(f64::from).to_vec();
        Self { class: None, region: Region::Polygons(vec![corners]), runs_for: None, crowd: true, line }
    }
}

impl<'a> Builder<'a> {
    pub fn new(root: &'a Folder) -> Self {
        Self {
            root,
            names: Vec::new(),
            items: Vec::new(),
            known: HashMap::new(),
            read: BTreeSet::new(),
            teller: Teller::default(),
            issues: Vec::new(),
            background: Vec::new(),
            rest: "is not named by the annotations: nothing is known of it; left out",
            left_out: BTreeSet::new(),
            outlines: 0,
            drawn: HashMap::new(),
        }
    }

    /// The class of a name; a new one has this number in the file, or the next free one.
    pub fn class(&mut self, name: &str, number: Option<u64>) -> u32 {
        let at = self.names.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            let next = self.names.iter().map(|(_, number)| number + 1).max().unwrap_or(0);
            self.names.push((name.to_owned(), number.unwrap_or(next)));
            self.names.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Adds a picture; `false` where it is there already.
    pub fn picture(&mut self, path: PathBuf, split: Option<Split>, boxes: Vec<BoxTarget>, origin: Origin) -> bool {
        if self.known.contains_key(&path) {
            return false;
        }
        self.known.insert(path.clone(), self.items.len());
        let target = Target { boxes: Some(boxes), ..Target::default() };
        self.items.push(Item { path, split, target, origin: Some(origin), objects: Vec::new() });
        true
    }

    /// Adds a box to a picture that was added.
    pub fn add_box(&mut self, path: &Path, target: BoxTarget, line: usize) {
        if let Some(item) = self.known.get(path).and_then(|at| self.items.get_mut(*at)) {
            item.target.boxes.get_or_insert_default().push(target);
            item.origin.get_or_insert_default().lines.push(line);
        }
    }

    /// Adds an object to a picture that was added.
    pub fn add_outline(&mut self, path: &Path, outline: Outline) {
        let Some(&at) = self.known.get(path) else { return };
        let Some(item) = self.items.get_mut(at) else { return };
        let origin = item.origin.get_or_insert_default();
        if let (Some([height, width]), Some((told, _))) = (outline.runs_for, origin.told_px)
            && !told.contains(&0)
            && told.map(u64::from) != [width, height]
        {
            let [w, h] = told;
            let what = format!("its mask is one of {width}x{height} pixels, and its picture has {w}x{h}; left out");
            let (file, line) = (origin.file.clone(), Some(outline.line).filter(|line| *line > 0));
            return self.teller.say(Severity::Error, "masks of another size", &file, line, what);
        }
        origin.lines.push(outline.line);
        self.drawn.entry(at).or_default().push(outline);
    }

    /// The set as masks: background, then its classes in order of name.
    ///
    /// # Errors
    /// Where it has no outlines, or more classes than a mask can hold.
    pub fn draft_of_masks(mut self, format: String, whole: bool) -> Result<Draft, String> {
        if self.outlines == 0 {
            return Err("has boxes, but no outlines of objects to make masks of".to_owned());
        }
        let mut names: Vec<&str> = self.names.iter().map(|(name, _)| name.as_str()).collect();
        names.retain(|name| !masks::is_background(name));
        names.sort_unstable();
        let classes: Vec<String> = std::iter::once("background").chain(names).map(str::to_owned).collect();
        if classes.len() > usize::from(IGNORE_ID) {
            return Err(format!("has {} classes; a mask holds at most {IGNORE_ID}", classes.len()));
        }
        let id = |class: u32| {
            let name = self.names.get(class as usize).map(|(name, _)| name.as_str())?;
            u8::try_from(classes.iter().position(|known| known == name).unwrap_or(0)).ok()
        };
        for (at, item) in self.items.iter_mut().enumerate() {
            let mut shapes = Vec::new();
            for outline in self.drawn.remove(&at).unwrap_or_default() {
                let Outline { class, region, crowd, .. } = outline;
                let class = class.map_or(IGNORE_ID, |class| id(class).unwrap_or(0));
                shapes.push(Shape { class, region, crowd });
            }
            item.target.boxes = None;
            item.target.mask = Some(MaskTarget::Shapes(Arc::new(Shapes { size_px: [0, 0], background: 0, shapes })));
        }
        let masks = Some(MaskRule::shapes(classes));
        let draft = self.draft(format, whole);
        Ok(Draft {
            task: Task::Segment,
            category_ids: Vec::new(),
            columns: vec![LabelColumn::single(Vec::new())],
            masks,
            ..draft
        })
    }

    /// The set, with its classes in order of name; `whole` says that the listing is the set, so that what no annotation
    /// names is left out.
    pub fn draft(mut self, format: String, whole: bool) -> Draft {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by(|a, b| self.names.get(*a).cmp(&self.names.get(*b)));
        let mut new = vec![0; order.len()];
        for (to, from) in (0u32..).zip(&order) {
            if let Some(place) = new.get_mut(*from) {
                *place = to;
            }
        }
        for target in self.items.iter_mut().flat_map(|item| item.target.boxes.iter_mut().flatten()) {
            target.class = new.get(target.class as usize).copied().unwrap_or(target.class);
        }
        let named: Vec<(String, u64)> = order.iter().filter_map(|at| self.names.get(*at).cloned()).collect();
        let (classes, category_ids) = named.into_iter().unzip();
        let root = &self.root.path;
        let one = "no annotation: counts as background (known to be without objects)";
        let background = std::mem::take(&mut self.background);
        fold(root, Severity::Note, background, one, |n| format!("{n} pictures: each has {one}"), &mut self.issues);
        if self.outlines > 0 && !self.items.iter().any(|item| item.target.mask.is_some()) {
            let n = self.outlines;
            let what = format!("{n} objects have outlines too, which a segmentation model trains on (--task segment)");
            self.issues.push(Issue::new(Severity::Note, root, what));
        }
        let mut found = self.items.len();
        if whole {
            let rest = self.root.images().into_iter().map(|file| file.path.clone());
            let rest: Vec<PathBuf> = rest.filter(|path| !self.known.contains_key(path)).collect();
            found += rest.len();
            let rest = rest.into_iter().filter(|path| !self.left_out.contains(path)).collect();
            let one = self.rest;
            fold(root, Severity::Warning, rest, one, |n| format!("{n} pictures: each {one}"), &mut self.issues);
            let mut others = self.root.clone();
            forget(&mut others, &self.read.iter().map(PathBuf::as_path).collect());
            note_other_files(&others, &mut self.issues);
        }
        self.issues.extend(self.teller.finish());
        Draft {
            task: Task::Detect,
            format,
            columns: vec![LabelColumn::single(classes)],
            masks: None,
            category_ids,
            classes_from_pictures: false,
            items: self.items,
            found,
            issues: self.issues,
        }
    }
}
