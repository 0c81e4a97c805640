//! After the check: masks that do not fit their picture are left out, values become classes, and what is odd is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::meaning::{Kind, MaskRule, Meaning, hex, shares};
use super::objects::Told;
use crate::data::check::Checked;
use crate::data::formats::boxes::{Teller, compare_size};
use crate::data::formats::{Item, fold};
use crate::data::mask::facts::{Facts, Found};
use crate::data::{IGNORE_ID, Issue, MaskTarget, Severity, Shapes, Unnamed, ValueMap};

/// Pictures that are left, the classes of their masks, and what is to be said.
pub(crate) struct Settled {
    pub pictures: Vec<(Item, Checked)>,
    pub classes: Vec<String>,
    pub issues: Vec<Issue>,
    /// What needs a name before masks can be used.
    pub unnamed: Vec<Unnamed>,
    /// How values were read, where they were.
    pub meaning: Option<Meaning>,
}

/// A picture of which this part has values without a class cannot be what was meant.
const MOST_UNKNOWN: f64 = 0.5;

/// Gives each picture the classes of its mask; `given` is how the masks are read that are trained on, where these only
/// validate.
pub(crate) fn settle(root: &Path, pictures: Vec<(Item, Checked)>, rule: &MaskRule, given: Option<&Meaning>) -> Settled {
    let mut done = Settled {
        pictures: Vec::new(),
        classes: rule.classes.clone(),
        issues: Vec::new(),
        unnamed: Vec::new(),
        meaning: None,
    };
    let mut fitting: Vec<(Item, Checked, Facts)> = Vec::new();
    let mut told = Told::default();
    for (mut item, mut checked) in pictures {
        match checked.objects.take() {
            Some(Ok(objects)) => {
                item.target.mask = Some(MaskTarget::Shapes(Arc::new(objects.shapes.clone())));
                told.of(&item.path, objects);
            }
            Some(Err((file, why))) => {
                let name = item.path.file_name().unwrap_or_default().to_string_lossy();
                let what = format!("the mask of an object cannot be used: {why}; {name} is left out with its objects");
                done.issues.push(Issue::new(Severity::Error, file, what));
                continue;
            }
            None => {}
        }
        let file = mask_file(&item);
        match checked.mask.take() {
            Some(Ok(facts)) => match misfit(&facts, checked.size_px, &item.path) {
                None => fitting.push((item, checked, facts)),
                Some(what) => done.issues.push(Issue::new(Severity::Error, file, what)),
            },
            Some(Err(why)) => {
                let what = format!("the mask cannot be used: {why}; left out");
                done.issues.push(Issue::new(Severity::Error, file, what));
            }
            None => done.pictures.push((item, checked)),
        }
    }
    told.finish(root, &mut done.issues);
    if rule.kind == Kind::Shapes {
        drawn(root, fitting, &mut done);
        return done;
    }
    let facts: Vec<&Facts> = fitting.iter().map(|(_, _, facts)| facts).collect();
    match decide(root, rule, &facts, given, &mut done.issues) {
        Ok(meaning) => {
            read(root, fitting, &meaning, &mut done);
            done.meaning = Some(meaning);
        }
        Err(why) => {
            let what = format!(
                "{why}. Say what they mean in a file classes.csv in this folder, with a line name,r,g,b (or name,value) \
                 and a line for each class, as background,0,0,0; no mask is used"
            );
            done.issues.push(Issue::new(Severity::Error, root, what));
            done.unnamed = rule.unnamed(&facts);
        }
    }
    done
}

/// How masks are read: as those that are trained on, unless a table or the layout says otherwise; by themselves where that
/// gives the same classes and the other way does not fit. Where the two disagree it is said.
fn decide(
    root: &Path,
    rule: &MaskRule,
    facts: &[&Facts],
    given: Option<&Meaning>,
    issues: &mut Vec<Issue>,
) -> Result<Meaning, String> {
    let Some(given) = given.filter(|_| rule.speaks_by_values()) else { return rule.decide(facts) };
    let own = MaskRule { table: None, ..rule.clone() }.decide(facts);
    let counted: Vec<Counted> = facts.iter().map(|facts| Counted::of(facts, given)).collect();
    let fits = given.smeared || counted.iter().all(|one| one.unknown_px == 0);
    let mut say = |what: String| issues.push(Issue::new(Severity::Warning, root, what));
    match own {
        Ok(own) if fits && own.contradicts(given, facts) => {
            let (given, own) = (&given.said, &own.said);
            say(format!("the masks are read as those that are trained on ({given}); alone they would mean: {own}"));
        }
        Ok(own) if !fits && own.classes == given.classes => {
            let given = &given.said;
            say(format!("the masks have other values than those that are trained on ({given}), and the same classes"));
            return Ok(own);
        }
        Err(why) if !fits && given.is_of_values() && facts.iter().any(|facts| facts.has_colors()) => return Err(why),
        _ if !fits => {
            let mut unknown: BTreeMap<&str, u64> = BTreeMap::new();
            for (name, count) in counted.iter().flat_map(|one| &one.unknown) {
                *unknown.entry(name).or_default() += count;
            }
            let mut unknown: Vec<(String, u64)> = unknown.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
            unknown.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let told = shares(&unknown, counted.iter().map(|one| one.all).sum());
            say(format!(
                "the masks have values that are no class of those that are trained on ({}): {told}",
                given.said
            ));
        }
        _ => {}
    }
    Ok(given.clone())
}

fn mask_file(item: &Item) -> PathBuf {
    match &item.target.mask {
        Some(MaskTarget::File(path) | MaskTarget::Values { path, .. }) => path.clone(),
        _ => item.path.clone(),
    }
}

/// Why a mask does not lie on its picture.
fn misfit(facts: &Facts, picture_px: [u32; 2], picture: &Path) -> Option<String> {
    let ([w, h], [width, height]) = (facts.size_px, picture_px);
    if [w, h] == [width, height] {
        return None;
    }
    let turned = if [h, w] == [width, height] {
        " as its EXIF data turns it: the mask may have been drawn on the unturned picture"
    } else {
        ""
    };
    let name = picture.file_name().unwrap_or_default().to_string_lossy();
    Some(format!("the mask has {w}x{h} pixels, and {name} has {width}x{height}{turned}; both are left out"))
}

/// Masks drawn from outlines.
fn drawn(root: &Path, fitting: Vec<(Item, Checked, Facts)>, done: &mut Settled) {
    let (mut overlapping, mut lost, mut teller) = (0usize, Vec::new(), Teller::default());
    for (mut item, checked, facts) in fitting {
        let Found::Drawn { classes, areas } = facts.found else { continue };
        if let Some(MaskTarget::Shapes(shapes)) = &item.target.mask {
            overlapping += usize::from(overlap(shapes, &classes, &areas));
            let without = areas.iter().filter(|area| **area == 0).count();
            if without > 0 {
                lost.push(Issue::new(
                    Severity::Warning,
                    &item.path,
                    format!("{without} of {} outlines cover no pixel", areas.len()),
                ));
            }
            let origin = item.origin.take().unwrap_or_default();
            compare_size(&origin, &item.path, checked.size_px, &mut teller);
            // The check has placed them once, so that they fit.
            if let Ok(placed) = shapes.placed(checked.size_px, origin.relative) {
                item.target.mask = Some(MaskTarget::Shapes(Arc::new(placed)));
            }
        }
        item.target.mask_px = classes;
        done.pictures.push((item, checked));
    }
    if overlapping > 0 {
        let what =
            format!("objects of different classes overlap in {overlapping} pictures; the smaller one counts there");
        done.issues.push(Issue::new(Severity::Note, root, what));
    }
    done.issues.extend(lost);
    done.issues.extend(teller.finish());
    empty(root, &done.pictures, &done.classes, &mut done.issues);
}

/// Whether a class lost pixels to another one: objects of one class that only overlap among themselves do not count.
fn overlap(shapes: &Shapes, classes: &[u64], areas: &[u64]) -> bool {
    let mut alone = vec![0u64; classes.len()];
    let mut single = vec![0usize; classes.len()];
    for (shape, area) in shapes.shapes.iter().zip(areas) {
        if let (Some(sum), Some(n)) =
            (alone.get_mut(usize::from(shape.class)), single.get_mut(usize::from(shape.class)))
        {
            *sum += area;
            *n += 1;
        }
    }
    let lost = |class: usize| {
        let (sum, count) = (alone.get(class).copied().unwrap_or(0), classes.get(class).copied().unwrap_or(0));
        // One object that lost a pixel, or several that have fewer than the greatest of them alone.
        let largest =
            shapes.shapes.iter().zip(areas).filter(|(s, _)| usize::from(s.class) == class).map(|(_, a)| *a).max();
        count < largest.unwrap_or(0) || single.get(class) == Some(&1) && count < sum
    };
    single.iter().filter(|n| **n > 0).count() > 1 && (0..classes.len()).any(lost)
}

/// Masks in files.
fn read(root: &Path, fitting: Vec<(Item, Checked, Facts)>, meaning: &Meaning, done: &mut Settled) {
    done.issues.push(Issue::new(Severity::Note, root, format!("masks: {}", meaning.said)));
    done.classes.clone_from(&meaning.classes);
    let (mut smeared, mut lossy) = (Vec::new(), Vec::new());
    for (mut item, checked, facts) in fitting {
        let file = mask_file(&item);
        let counted = Counted::of(&facts, meaning);
        let unknown = shares(&counted.unknown, counted.all);
        let part = counted.unknown_px as f64 / counted.all.max(1) as f64;
        if part > MOST_UNKNOWN {
            let what = format!("most of the mask has values without a class: {unknown}; left out with its picture");
            done.issues.push(Issue::new(Severity::Error, file, what));
            continue;
        }
        if meaning.smeared && counted.unknown_px > 0 {
            smeared.push(file.clone());
        } else if facts.lossy && counted.unknown_px > 0 {
            lossy.push(file.clone());
        } else if counted.unknown_px > 0 {
            let what = format!(
                "{:.2} % of the mask has values without a class, and counts for nothing: {unknown}",
                100.0 * part
            );
            done.issues.push(Issue::new(Severity::Warning, &file, what));
        }
        item.target.mask_px = counted.classes;
        item.target.mask = Some(MaskTarget::Values { path: file, map: Arc::clone(&meaning.map) });
        done.pictures.push((item, checked));
    }
    let one = "the mask's border between background and foreground is smeared; those pixels count for nothing";
    fold(root, Severity::Warning, smeared, one, |n| format!("{n} masks: each: {one}"), &mut done.issues);
    let one = "a JPEG mask: colors near one of the table are taken as it, other pixels count for nothing";
    fold(root, Severity::Warning, lossy, one, |n| format!("{n} masks: each is {one}"), &mut done.issues);
    empty(root, &done.pictures, &done.classes, &mut done.issues);
}

/// Pixels of a mask by what becomes of them.
struct Counted {
    classes: Vec<u64>,
    /// Values or colors without a class that are not known to count for nothing.
    unknown: Vec<(String, u64)>,
    unknown_px: u64,
    all: u64,
}

impl Counted {
    fn of(facts: &Facts, meaning: &Meaning) -> Self {
        let [width, height] = facts.size_px;
        let mut counted = Self {
            classes: vec![0; meaning.classes.len()],
            unknown: Vec::new(),
            unknown_px: 0,
            all: u64::from(width) * u64::from(height),
        };
        match &facts.found {
            Found::Values { counts, palette, .. } => {
                for (value, count) in counts {
                    counted.value(*value, *count, palette.as_deref(), meaning, facts.lossy);
                }
                counted.unknown.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            }
            Found::Colors { counts, unnamed, known, ignored } => {
                counted.classes.clone_from(known);
                counted.unknown = counts.iter().map(|(color, count)| (hex(*color), *count)).collect();
                // Those of a row to be ignored are no mistake.
                counted.unknown_px = (*unnamed).min(*ignored);
            }
            Found::Drawn { classes, .. } => counted.classes.clone_from(classes),
        }
        counted
    }

    fn value(&mut self, value: u16, count: u64, palette: Option<&[[u8; 3]]>, meaning: &Meaning, lossy: bool) {
        let grey = u8::try_from(value).ok();
        let (id, named, name) = match &*meaning.map {
            ValueMap::Colors { classes, .. } => {
                let color = palette.and_then(|colors| colors.get(usize::from(value)).copied());
                let color = color.or(grey.map(|grey| [grey; 3])).unwrap_or_default();
                let named = classes.iter().any(|(known, _)| *known == color);
                (meaning.map.of_color(color, lossy), named, hex(color))
            }
            map => (map.of_value(value), meaning.ignored.contains(&value), value.to_string()),
        };
        match self.classes.get_mut(usize::from(id)) {
            Some(place) => *place += count,
            None if id == IGNORE_ID && named => {}
            None => {
                self.unknown.push((name, count));
                self.unknown_px += count;
            }
        }
    }
}

/// Tells of masks that show nothing but background, or nothing at all.
fn empty(root: &Path, pictures: &[(Item, Checked)], classes: &[String], issues: &mut Vec<Issue>) {
    let background = classes.first().filter(|name| super::is_background(name)).map(|_| 0);
    let (mut nothing, mut only) = (Vec::new(), Vec::new());
    for (item, _) in pictures.iter().filter(|(item, _)| item.target.mask.is_some()) {
        let mut shown = item.target.mask_px.iter().enumerate().filter(|(_, count)| **count > 0).map(|(class, _)| class);
        match (shown.next(), shown.next()) {
            (None, _) => nothing.push(item.path.clone()),
            (Some(class), None) if Some(class) == background => only.push(item.path.clone()),
            _ => {}
        }
    }
    let one = "every pixel of the mask counts for nothing: nothing is learned from the picture";
    fold(root, Severity::Warning, nothing, one, |n| format!("{n} pictures: of each {one}"), issues);
    let one = "the mask shows nothing but background";
    fold(root, Severity::Note, only, one, |n| format!("{n} pictures: of each {one}"), issues);
}
