//! What the values of a set's masks mean: decided once, from all of them, and said.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::known::{CITY, CITY_FIRST, CITY_MOST, VOC};
use super::table::{Row, Table};
use crate::data::mask::facts::{Facts, Found};
use crate::data::{IGNORE_ID, MaskValue, Unnamed, ValueMap};

/// What is known of the masks of a set before any is decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MaskRule {
    pub kind: Kind,
    /// Classes that a file beside the masks names.
    pub table: Option<Table>,
    /// Classes of masks that are drawn from outlines.
    pub classes: Vec<String>,
    /// The table lies beside other masks, those that are trained on.
    pub borrowed: bool,
}

/// Which kind of masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Files whose values say what they mean, or a table does.
    Files,
    /// Pascal VOC's files, in a folder that bears its name.
    Voc,
    /// Cityscapes' label ids.
    CityIds,
    /// Cityscapes' train ids.
    CityTrainIds,
    /// Files in which every value is an object.
    Instances,
    /// Pascal VOC's objects: 255 is the border between them.
    VocObjects,
    /// Cityscapes' instances: from 1000 on an object each, below the label ids of what has none.
    CityInstances,
    /// Outlines.
    Shapes,
}

/// How the values of a set's masks are read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meaning {
    pub classes: Vec<String>,
    pub map: Arc<ValueMap>,
    /// Said once of the set.
    pub said: String,
    /// Values that are known to count for nothing.
    pub ignored: Vec<u16>,
    /// Values between the two of a binary mask are no mistake: they are its smeared border.
    pub smeared: bool,
}

/// More values than this are no classes that a person names one by one.
const MOST_NAMED: usize = 64;
/// Values up to here may be class ids though not each of them is there.
const FEW: u16 = 63;
/// Values up to here are the background of a smeared binary mask; from 255 minus this they are its foreground.
const SURE: u16 = 63;

impl MaskRule {
    /// Masks in files.
    pub fn files(kind: Kind, table: Option<Table>) -> Self {
        Self { kind, table, classes: Vec::new(), borrowed: false }
    }

    /// Masks drawn from outlines, or from one file for each object.
    pub fn shapes(classes: Vec<String>) -> Self {
        Self { kind: Kind::Shapes, table: None, classes, borrowed: false }
    }

    /// Whether neither the layout nor a table of its own says what the masks mean.
    pub fn speaks_by_values(&self) -> bool {
        matches!(self.kind, Kind::Files | Kind::Voc) && (self.table.is_none() || self.borrowed)
    }

    /// The file of the table.
    pub fn table_file(&self) -> Option<&std::path::Path> {
        self.table.as_ref().map(|table| table.file.as_path())
    }

    /// Takes the table of the set that is trained on where there is none.
    pub fn borrow_table(&mut self, of: &Self) {
        if self.table.is_none() && of.table.is_some() {
            (self.table, self.borrowed) = (of.table.clone(), true);
        }
    }

    /// How colors are read, if the set says so.
    pub fn colors(&self) -> Option<ValueMap> {
        let table = self.table.as_ref().filter(|table| table.has_colors())?;
        let names = table.classes();
        let class = |name: &String| names.iter().position(|known| known == name).and_then(|at| u8::try_from(at).ok());
        let classes: Vec<([u8; 3], u8)> = table
            .rows
            .iter()
            .filter_map(|row| {
                let id = if row.is_ignored() { IGNORE_ID } else { class(&row.name)? };
                Some((row.color?, id))
            })
            .collect();
        // In a JPEG a color is certain within half of its way to the next.
        let apart = |a: &[u8; 3], b: &[u8; 3]| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
        let pairs =
            classes.iter().enumerate().flat_map(|(i, (a, _))| classes.iter().take(i).map(move |(b, _)| apart(a, b)));
        let near = pairs.min().map_or(0, |least| least.saturating_sub(1) / 2).min(40);
        Some(ValueMap::Colors { classes, near })
    }

    /// Number of classes that are known before masks are decoded.
    pub fn class_count(&self) -> usize {
        match (&self.table, self.kind) {
            (_, Kind::Shapes) => self.classes.len(),
            (Some(table), _) => table.classes().len(),
            (None, _) => 0,
        }
    }

    /// What of the masks needs a name, the most frequent first; nothing where a table is there already.
    pub fn unnamed(&self, facts: &[&Facts]) -> Vec<Unnamed> {
        let seen = Seen::of(facts);
        if self.table.is_some() || seen.is_lossy {
            return Vec::new();
        }
        let colors = seen.colors.iter().map(|(color, count)| (MaskValue::Color(*color), *count));
        let values = seen.counts.iter().map(|(value, count)| (MaskValue::Value(*value), *count));
        let mut all: Vec<(MaskValue, u64)> = if seen.has_colors { colors.collect() } else { values.collect() };
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let sum = all.iter().map(|(_, count)| count).sum::<u64>().max(1) as f64;
        all.truncate(MOST_NAMED);
        all.into_iter().map(|(value, count)| Unnamed { value, share: count as f64 / sum }).collect()
    }

    /// Decides how masks in files are read.
    ///
    /// # Errors
    /// What was found and cannot be read without a table.
    pub fn decide(&self, facts: &[&Facts]) -> Result<Meaning, String> {
        let seen = Seen::of(facts);
        match self.kind {
            Kind::CityIds => return Ok(city_ids()),
            Kind::CityTrainIds => {
                let ids = (0..CITY.len()).map(|id| id as u8).collect();
                let said = "Cityscapes' train ids; 255 counts for nothing";
                return Ok(Meaning::new(CITY.map(|(_, name)| name.to_owned()).to_vec(), ids, said, vec![IGNORE]));
            }
            Kind::Instances => return Ok(instances("a folder of instances", 1, None)),
            Kind::VocObjects => return Ok(instances("a folder of objects", 1, Some(IGNORE))),
            Kind::CityInstances => return Ok(instances("Cityscapes' instance ids", CITY_FIRST, None)),
            Kind::Files | Kind::Voc | Kind::Shapes => {}
        }
        if let (Some(table), Some(map)) = (&self.table, self.colors())
            && seen.speaks_in_colors(&map)
        {
            let said = format!("colors are classes, by {}", table.file.display());
            return Ok(Meaning {
                classes: table.classes(),
                map: Arc::new(map),
                said,
                ignored: Vec::new(),
                smeared: false,
            });
        }
        if seen.has_colors {
            return Err(seen.colors_told(self.table.as_ref()));
        }
        if let Some(table) = &self.table {
            return by_table(table, &seen);
        }
        if self.kind == Kind::Voc && seen.values().all(|value| usize::from(value) < VOC.len()) {
            let ids = (0..VOC.len()).map(|id| id as u8).collect();
            let said = "Pascal VOC's 21 classes by their indices; 255, the border of objects, counts for nothing";
            return Ok(Meaning::new(VOC.map(str::to_owned).to_vec(), ids, said, vec![IGNORE]));
        }
        seen.by_themselves()
    }
}

const IGNORE: u16 = IGNORE_ID as u16;

impl Meaning {
    fn new(classes: Vec<String>, ids: Vec<u8>, said: impl Into<String>, ignored: Vec<u16>) -> Self {
        Self { classes, map: Arc::new(ValueMap::Values(ids)), said: said.into(), ignored, smeared: false }
    }

    /// Whether values, and no colors, are classes.
    pub fn is_of_values(&self) -> bool {
        !matches!(*self.map, ValueMap::Colors { .. })
    }

    /// Whether a value that occurs is background, an object or nothing here, and another of these there.
    pub fn contradicts(&self, other: &Self, facts: &[&Facts]) -> bool {
        let kind = |meaning: &Self, value: u16| {
            let id = meaning.map.of_value(value);
            let name = meaning.classes.get(usize::from(id));
            (id == IGNORE_ID, name.is_some_and(|name| super::is_background(name)))
        };
        let comparable = self.is_of_values() && other.is_of_values();
        comparable && Seen::of(facts).counts.keys().any(|&value| kind(self, value) != kind(other, value))
    }

    fn binary(ids: Vec<u8>, said: &str, ignored: Vec<u16>) -> Self {
        Self::new(two(), ids, said, ignored)
    }
}

/// The classes of masks that name none.
pub(super) fn two() -> Vec<String> {
    vec!["background".to_owned(), "foreground".to_owned()]
}

fn city_ids() -> Meaning {
    let mut ids = vec![IGNORE_ID; usize::from(CITY_MOST) + 1];
    for (train, (id, _)) in (0u8..).zip(CITY) {
        if let Some(place) = ids.get_mut(usize::from(id)) {
            *place = train;
        }
    }
    let ignored = (0..=CITY_MOST).filter(|id| CITY.iter().all(|(known, _)| known != id)).chain([IGNORE]).collect();
    let said = "Cityscapes' label ids: its 19 classes of the benchmark; all other ids count for nothing";
    Meaning::new(CITY.map(|(_, name)| name.to_owned()).to_vec(), ids, said, ignored)
}

fn instances(why: &str, first: u16, void: Option<u16>) -> Meaning {
    let below = if first > 1 { format!("0 to {} are", first - 1) } else { "0 is".to_owned() };
    let rest = void.map_or_else(String::new, |void| format!(", {void} counts for nothing"));
    let said = format!("{why}: {below} background, every other value one object of the class foreground{rest}");
    let map = Arc::new(ValueMap::Instances { first, void });
    Meaning { classes: two(), map, said, ignored: void.into_iter().collect(), smeared: false }
}

/// Values by a table without colors that fit.
fn by_table(table: &Table, seen: &Seen) -> Result<Meaning, String> {
    let (mut names, file) = (table.classes(), table.file.display());
    let has_values = table.rows.iter().any(|row| row.value.is_some());
    let is_bit = table.rows.iter().all(|row| row.value.is_none_or(|value| value <= 1));
    let smeared = seen.is_smeared();
    if is_bit && (smeared || seen.is_binary()) && names.len() <= 2 && !table.rows.iter().any(Row::is_ignored) {
        if table.rows.first().is_some_and(|row| row.value == Some(1)) {
            names.reverse();
        }
        if let [only] = names.as_slice() {
            names = vec!["background".to_owned(), only.clone()];
        }
        let said = format!(
            "0 is {} and 255 is {}, by {file}",
            names.first().map_or("", |n| n),
            names.last().map_or("", |n| n)
        );
        return Ok(match smeared {
            true => Meaning { smeared, ..Meaning::new(names, smeared_ids(), said, Vec::new()) },
            false => Meaning::new(names, binary_ids(), said, Vec::new()),
        });
    }
    if seen.is_lossy {
        return Err(seen.lossy());
    }
    let mut ids = Vec::new();
    let mut ignored = Vec::new();
    for (number, row) in (0u16..).zip(&table.rows) {
        let value = row.value.unwrap_or(number);
        if ids.len() <= usize::from(value) {
            ids.resize(usize::from(value) + 1, IGNORE_ID);
        }
        let id = names.iter().position(|name| *name == row.name && !row.is_ignored());
        match (id.and_then(|id| u8::try_from(id).ok()), ids.get_mut(usize::from(value))) {
            (Some(id), Some(place)) => *place = id,
            _ => ignored.push(value),
        }
    }
    if !table.rows.iter().any(|row| row.value == Some(IGNORE)) {
        ignored.push(IGNORE);
    }
    let fits = seen.values().any(|value| ids.get(usize::from(value)).is_some_and(|id| *id != IGNORE_ID));
    if !fits {
        return Err(format!("{file} names no class for the values of the masks: {}", seen.told()));
    }
    let how = if has_values { "values are classes" } else { "values are the classes in turn, from 0" };
    Ok(Meaning::new(names, ids, format!("{how}, by {file}; 255 counts for nothing unless it is named"), ignored))
}

/// Two values that a lossy format smeared: what is near to one is that one, what is between counts for nothing.
fn smeared_ids() -> Vec<u8> {
    let id = |value: u16| match value {
        0..=SURE => 0,
        v if v >= 255 - SURE => 1,
        _ => IGNORE_ID,
    };
    (0..=255).map(id).collect()
}

fn binary_ids() -> Vec<u8> {
    let mut ids = vec![IGNORE_ID; 256];
    ids.first_mut().into_iter().for_each(|id| *id = 0);
    ids.last_mut().into_iter().for_each(|id| *id = 1);
    ids
}

/// Everything that the masks of a set hold.
struct Seen {
    /// Pixels of each value.
    counts: BTreeMap<u16, u64>,
    colors: BTreeMap<[u8; 3], u64>,
    has_colors: bool,
    is_lossy: bool,
    is_wide: bool,
    /// Colors of the indices that occur, where every file with values has a palette; else their grey.
    shown: Vec<[u8; 3]>,
}

impl Seen {
    fn of(facts: &[&Facts]) -> Self {
        let mut seen = Self {
            counts: BTreeMap::new(),
            colors: BTreeMap::new(),
            has_colors: false,
            is_lossy: false,
            is_wide: false,
            shown: Vec::new(),
        };
        for facts in facts {
            seen.is_lossy |= facts.lossy;
            match &facts.found {
                Found::Values { counts, wide, palette } => {
                    seen.is_wide |= wide;
                    for (value, count) in counts {
                        *seen.counts.entry(*value).or_insert(0) += count;
                        let grey = u8::try_from(*value).unwrap_or(u8::MAX);
                        let color = palette.as_ref().and_then(|colors| colors.get(usize::from(*value)).copied());
                        seen.shown.push(color.unwrap_or([grey; 3]));
                    }
                    seen.shown.sort_unstable();
                    seen.shown.dedup();
                }
                Found::Colors { counts, .. } => {
                    seen.has_colors = true;
                    for (color, count) in counts {
                        *seen.colors.entry(*color).or_insert(0) += count;
                    }
                }
                Found::Drawn { .. } => {}
            }
        }
        seen
    }

    /// Values but 255.
    fn values(&self) -> impl Iterator<Item = u16> + '_ {
        self.counts.keys().copied().filter(|value| *value != IGNORE)
    }

    fn count(&self, value: u16) -> u64 {
        self.counts.get(&value).copied().unwrap_or(0)
    }

    fn all(&self) -> u64 {
        self.counts.values().sum::<u64>().max(1)
    }

    fn is_binary(&self) -> bool {
        self.counts.keys().all(|value| matches!(value, 0 | 255)) && self.count(255) > 0
    }

    /// Whether masks are read by color: one is a picture of colors, or all that occurs is a color of the table.
    fn speaks_in_colors(&self, map: &ValueMap) -> bool {
        self.has_colors || self.shown.iter().all(|color| Self::named(map, *color))
    }

    fn named(map: &ValueMap, color: [u8; 3]) -> bool {
        matches!(map, ValueMap::Colors { classes, .. } if classes.iter().any(|(known, _)| *known == color))
    }

    /// Two values with others between them that only a lossy format, or a resize, makes.
    fn is_smeared(&self) -> bool {
        let (low, high): (u64, u64) = (self.count(0), self.count(255));
        let within = |from: u16, to: u16| self.counts.range(from..=to).map(|(_, count)| count).sum::<u64>();
        let sure = within(0, SURE) + within(255 - SURE, 255);
        let between = self.counts.range(1..255).count();
        let middle = self.counts.range(SURE + 1..255 - SURE).count();
        let is_wide = between >= 16 && middle > 0;
        let ends = if self.is_lossy { within(0, 15) + within(240, 255) } else { low + high };
        let is_smear = if self.is_lossy { between > 0 && within(16, 239) * 10 < self.all() } else { is_wide };
        within(255 - SURE, 255) > 0 && is_smear && ends * 10 >= self.all() * 9 && sure * 20 >= self.all() * 19
    }

    /// The meaning of values that no table explains.
    fn by_themselves(&self) -> Result<Meaning, String> {
        let most = self.values().max().unwrap_or(0);
        if self.is_wide && most > 255 {
            return Ok(instances("values of 16 bits", 1, None));
        }
        if self.is_smeared() {
            let said = format!(
                "two values, smeared by a lossy format or a resize: 0 to {SURE} is background, {} to 255 foreground, what is between counts for nothing",
                255 - SURE
            );
            return Ok(Meaning { smeared: true, ..Meaning::new(two(), smeared_ids(), said, Vec::new()) });
        }
        if self.is_binary() {
            return Ok(Meaning::binary(binary_ids(), "0 is background, 255 foreground", Vec::new()));
        }
        if most <= 1 {
            let said = if self.count(255) > 0 {
                "0 is background, 1 foreground; 255 counts for nothing"
            } else {
                "0 is background, 1 foreground"
            };
            return Ok(Meaning::binary(vec![0, 1], said, vec![IGNORE]));
        }
        if self.is_wide {
            return Ok(instances("values of 16 bits", 1, None));
        }
        let kinds = self.values().count();
        if most > FEW && kinds * 2 <= usize::from(most) {
            return Err(format!("the masks have the values {}", self.told()));
        }
        if self.is_lossy {
            return Err(self.lossy());
        }
        let mut ids = vec![IGNORE_ID; usize::from(most) + 1];
        let mut classes = Vec::new();
        for (id, value) in (0u8..).zip(self.values()) {
            classes.push(if value == 0 { "background".to_owned() } else { format!("class {value}") });
            if let Some(place) = ids.get_mut(usize::from(value)) {
                *place = id;
            }
        }
        let said = "values are class ids without names (a file classes.csv beside the masks names them: value,name); 255 counts for nothing";
        Ok(Meaning::new(classes, ids, said, vec![IGNORE]))
    }

    /// Why values of a lossy format cannot be told.
    fn lossy(&self) -> String {
        let told = self.told();
        format!("the masks are JPEG files, whose values are not those that were drawn: {told}; save them as PNG")
    }

    /// The values with their shares, the most frequent first.
    fn told(&self) -> String {
        let mut counts: Vec<(&u16, &u64)> = self.counts.iter().collect();
        counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let counts: Vec<(String, u64)> = counts.iter().map(|(value, count)| (value.to_string(), **count)).collect();
        shares(&counts, self.all())
    }

    /// The colors with their shares, and how to say what they mean.
    fn colors_told(&self, table: Option<&Table>) -> String {
        let mut counts: Vec<(&[u8; 3], &u64)> = self.colors.iter().collect();
        counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let all = self.colors.values().sum::<u64>().max(1);
        let counts: Vec<(String, u64)> = counts.iter().map(|(color, count)| (hex(**color), **count)).collect();
        let told = shares(&counts, all);
        match table {
            Some(table) => {
                format!("the masks have colors, and {} gives its classes none: {told}", table.file.display())
            }
            None => format!("the masks have colors, and no table says what they mean: {told}"),
        }
    }
}

/// A color as `#rrggbb`.
pub(super) fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The first of them with their shares of all pixels.
pub(super) fn shares(counts: &[(String, u64)], all: u64) -> String {
    const TOLD: usize = 12;
    let share = |count: u64| {
        let percent = 100.0 * count as f64 / all.max(1) as f64;
        if percent < 0.1 { "less than 0.1 %".to_owned() } else { format!("{percent:.1} %") }
    };
    let mut told: Vec<String> =
        counts.iter().take(TOLD).map(|(name, count)| format!("{name} ({})", share(*count))).collect();
    if counts.len() > TOLD {
        told.push(format!("and {} more", counts.len() - TOLD));
    }
    told.join(", ")
}
