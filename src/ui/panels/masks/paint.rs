//! A mask as pixels to be laid over its picture. Pure, and run in the background.

use super::super::live::Show;
use super::shrink::Shrunk;
use crate::data::{IGNORE_ID, components};
use crate::train::segmentation::{ClassPixels, Mask, MaskConfusion};
use crate::ui::Theme;
use egui::{Color32, ColorImage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What of a mask is shown, and how large; tells pictures of one mask apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    /// Truth, prediction, or where they differ.
    pub show: Show,
    /// Least probability of class 1 in percent; none for the likeliest class.
    pub least: Option<u8>,
    /// Classes that are not shown.
    pub hidden: BTreeSet<u8>,
    /// Whether each connected part has a color of its own instead of its class's.
    pub apart: bool,
    /// The class whose probability is shown instead of ids.
    pub heat: Option<u8>,
    /// The longest side in pixels at most.
    pub longest_px: u32,
    /// Whether the colors are those of the dark theme.
    pub dark: bool,
}

/// What a mask looks like, and how right it is.
#[derive(Debug)]
pub struct Painted {
    image: Mutex<ColorImage>,
    /// Pixels of each class against the truth, where both are known and of one size.
    pub classes: Vec<ClassPixels>,
    /// Pixels of each class of what is said.
    pub counts: Option<BTreeMap<u8, u64>>,
}

impl Painted {
    /// Takes the picture out, once. It is two, one above the other: what is filled (its opacity is chosen when it is drawn), then
    /// lines and mistakes.
    pub fn take(&self) -> ColorImage {
        std::mem::take(&mut *self.image.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a pixel stands to the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing is there and nothing said, or the truth is not known.
    Nothing,
    /// The class is right.
    Right,
    /// A class is there and nothing said.
    Missed,
    /// A class is said and nothing there.
    Extra,
    /// Another class is there.
    Other,
}

/// The color of a class: the one that saved overlays have.
#[must_use]
pub fn color(id: u8) -> Color32 {
    crate::ui::theme::of_file(crate::train::detection::class_color(u32::from(id)))
}

/// What is right but seen through, what was missed, said too much, and called another class.
#[must_use]
pub fn difference_colors(theme: &Theme) -> [(Color32, &'static str); 4] {
    [(theme.good, "right"), (theme.amber, "missed"), (theme.bad, "too much"), (theme.series[2], "other class")]
}

/// Paints what is known of a picture.
#[must_use]
pub fn paint(said: Option<&Mask>, truth: Option<&Mask>, look: &Look) -> Painted {
    let chosen = said.zip(look.least).map(|(said, least)| said.with_least(f32::from(least) / 100.0));
    let said_ids = chosen.as_ref().or(said);
    let counts = said_ids.map(Mask::counts);
    let both = said_ids.zip(truth).filter(|(said, truth)| said.size_px == truth.size_px);
    let classes = both.map(|(said, truth)| count(said, truth)).unwrap_or_default();
    let theme = if look.dark { Theme::dark() } else { Theme::light() };
    let heat = look.heat.filter(|_| look.show != Show::Truth).zip(said);
    let heat = heat.and_then(|(class, said)| Some((said, said.heat(class)?)));
    let shown = match look.show {
        Show::Truth => truth,
        Show::Prediction | Show::Difference => said_ids.or(truth),
    };
    let Some(shown) = shown else {
        return Painted { image: Mutex::new(ColorImage::filled([1, 2], Color32::TRANSPARENT)), classes, counts };
    };
    let small = |mask: &Mask| Small::of(mask, look.longest_px);
    let image = match (heat, both, look.show) {
        (Some((said, heat)), ..) => {
            let lines = small(said_ids.unwrap_or(said));
            lines.heat(&heat, said.size_px[0] as usize, &theme)
        }
        (None, Some((said, truth)), Show::Difference) => small(said).difference(&small(truth), &look.hidden, &theme),
        _ if look.apart => small(shown).parts(&look.hidden, &theme),
        _ => small(shown).classes(&look.hidden, &theme),
    };
    Painted { image: Mutex::new(image), classes, counts }
}

/// The pixels of each class that is there or said.
fn count(said: &Mask, truth: &Mask) -> Vec<ClassPixels> {
    let known = said.counts().into_keys().chain(truth.counts().into_keys()).filter(|id| *id != IGNORE_ID);
    let mut sum = MaskConfusion::new(known.max().map_or(0, |id| usize::from(id) + 1));
    said.rows().zip(truth.rows()).for_each(|(said, truth)| sum.add(&said, &truth));
    let mut classes = sum.per_class();
    classes.retain(|of| of.said + of.there > 0);
    classes
}

/// Class ids at the size at which they are drawn, the nearest pixel's.
struct Small {
    width: usize,
    height: usize,
    /// The pixel of the picture that each column and row shows.
    columns: Vec<usize>,
    rows: Vec<usize>,
    ids: Vec<u8>,
}

impl Small {
    fn of(mask: &Mask, longest_px: u32) -> Self {
        let Shrunk { columns, rows } = Shrunk::of(mask.size_px, longest_px);
        let mut ids = Vec::with_capacity(columns.len() * rows.len());
        let mut wanted = rows.iter().peekable();
        for (y, row) in mask.rows().enumerate() {
            if wanted.peek() == Some(&&y) {
                wanted.next();
                ids.extend(columns.iter().map(|&x| row.get(x).copied().unwrap_or(IGNORE_ID)));
            }
        }
        ids.resize(columns.len() * rows.len(), IGNORE_ID);
        Self { width: columns.len(), height: rows.len(), columns, rows, ids }
    }

    fn image(&self, of: impl Fn(usize) -> (Color32, Color32)) -> ColorImage {
        let len = self.width * self.height;
        let (fills, lines): (Vec<Color32>, Vec<Color32>) = (0..len).map(of).unzip();
        ColorImage::new([self.width, 2 * self.height], [fills, lines].concat())
    }

    /// Whether a pixel lies where `of` changes.
    fn edge<T: PartialEq>(&self, at: usize, of: impl Fn(usize) -> T) -> bool {
        let (x, y) = (at % self.width, at / self.width);
        let own = of(at);
        (x > 0 && of(at - 1) != own)
            || (x + 1 < self.width && of(at + 1) != own)
            || (y > 0 && of(at - self.width) != own)
            || (y + 1 < self.height && of(at + self.width) != own)
    }

    fn id(&self, at: usize) -> u8 {
        self.ids.get(at).copied().unwrap_or(IGNORE_ID)
    }

    /// Each class filled, with an outline; what is to be ignored in grey.
    fn classes(&self, hidden: &BTreeSet<u8>, theme: &Theme) -> ColorImage {
        let clear = Color32::TRANSPARENT;
        self.image(|at| match self.id(at) {
            0 => (clear, clear),
            IGNORE_ID => (theme.weak, clear),
            id if hidden.contains(&id) => (clear, clear),
            id => (color(id), if self.edge(at, |at| self.id(at)) { color(id) } else { clear }),
        })
    }

    /// Each connected part of a class filled with a color of its own, with an outline.
    fn parts(&self, hidden: &BTreeSet<u8>, theme: &Theme) -> ColorImage {
        let clear = Color32::TRANSPARENT;
        let is_shown = |id: u8| id != 0 && id != IGNORE_ID && !hidden.contains(&id);
        let parts = components(&self.ids, self.width, is_shown);
        let part = |at: usize| parts.get(at).copied().unwrap_or(0);
        self.image(|at| match (self.id(at), part(at)) {
            (IGNORE_ID, _) => (theme.weak, clear),
            (_, 0) => (clear, clear),
            (_, number) => {
                // Neighbors have neighboring numbers: steps that are prime to the number of colors keep them apart.
                let own = color((number * 7 % 251) as u8);
                (own, if self.edge(at, part) { own } else { clear })
            }
        })
    }

    /// What is right, seen through; what is wrong, by its kind.
    fn difference(&self, truth: &Self, hidden: &BTreeSet<u8>, theme: &Theme) -> ColorImage {
        let seen = |id: u8| if hidden.contains(&id) || id == IGNORE_ID { 0 } else { id };
        let kind = |at: usize| match (truth.id(at), seen(truth.id(at)), seen(self.id(at))) {
            (IGNORE_ID, ..) | (_, 0, 0) => Kind::Nothing,
            (_, there, said) if there == said => Kind::Right,
            (_, _, 0) => Kind::Missed,
            (_, 0, _) => Kind::Extra,
            _ => Kind::Other,
        };
        let clear = Color32::TRANSPARENT;
        let [right, missed, extra, other] = difference_colors(theme).map(|(color, _)| color);
        let strong = |color: Color32| (clear, color.gamma_multiply(0.85));
        self.image(|at| match kind(at) {
            Kind::Nothing => (clear, clear),
            Kind::Right => (right, clear),
            Kind::Missed => strong(missed),
            Kind::Extra => strong(extra),
            Kind::Other => strong(other),
        })
    }

    /// The probability of a class, with the outlines of what is said.
    fn heat(&self, heat: &[u8], width: usize, theme: &Theme) -> ColorImage {
        self.image(|at| {
            let (x, y) = (self.columns.get(at % self.width), self.rows.get(at / self.width));
            let score = x.zip(y).and_then(|(x, y)| heat.get(y * width + x)).copied().unwrap_or(0);
            let line = self.id(at) != 0 && self.edge(at, |at| self.id(at));
            (theme.heat(f32::from(score) / 255.0), if line { theme.text } else { Color32::TRANSPARENT })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn look(show: Show) -> Look {
        Look { show, least: None, hidden: BTreeSet::new(), apart: false, heat: None, longest_px: 64, dark: true }
    }

    fn mask(ids: [u8; 12]) -> Mask {
        Mask::new(&ids, [4, 3], Arc::new(["ground", "cell", "dust"].map(str::to_owned).to_vec()))
    }

    #[test]
    fn the_difference_names_every_kind_of_pixel() {
        let truth = mask([0, 1, 1, 255, 0, 1, 1, 0, 0, 0, 0, 0]);
        let said = mask([1, 1, 0, 1, 0, 2, 1, 0, 0, 0, 0, 0]);
        let painted = paint(Some(&said), Some(&truth), &look(Show::Difference));
        let image = painted.take();
        assert_eq!(image.size, [4, 6], "fills above lines");
        let theme = Theme::dark();
        let [right, missed, extra, other] = difference_colors(&theme).map(|(color, _)| color);
        let (fills, lines) = image.pixels.split_at(12);
        let right_at: Vec<usize> = (0..12).filter(|at| fills[*at] == right).collect();
        assert_eq!(right_at, [1, 6]);
        let strong = |color: Color32| (0..12).filter(|at| lines[*at] == color.gamma_multiply(0.85)).collect::<Vec<_>>();
        assert_eq!((strong(missed), strong(extra), strong(other)), (vec![2], vec![0], vec![5]));
        // Eleven pixels count. Ground: 7 there, 6 of them said so and one cell called so; cell: 2 of 4 there, 3 said.
        let counts: Vec<_> = painted.classes.iter().map(|of| (of.class, of.hits, of.said, of.there)).collect();
        assert_eq!(counts, [(0, 6, 7, 7), (1, 2, 3, 4), (2, 0, 1, 0)]);
    }

    #[test]
    fn hidden_classes_are_clear_and_outlines_lie_at_the_border() {
        let truth = mask([1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 2]);
        let all = paint(None, Some(&truth), &look(Show::Truth)).take();
        let (fills, lines) = all.pixels.split_at(12);
        assert!(
            fills
                .iter()
                .zip(truth.ids())
                .all(|(fill, id)| *fill == if id == 0 { Color32::TRANSPARENT } else { color(id) })
        );
        let lined: Vec<usize> = (0..12).filter(|at| lines[*at] != Color32::TRANSPARENT).collect();
        assert_eq!(lined, [2, 6, 10, 11]);
        let look = Look { hidden: BTreeSet::from([1]), ..look(Show::Truth) };
        let some = paint(None, Some(&truth), &look).take();
        assert_eq!(some.pixels.iter().filter(|pixel| **pixel != Color32::TRANSPARENT).count(), 2, "dust and its line");
    }

    #[test]
    fn parts_have_colors_of_their_own() {
        // Two parts of class 1, one of class 2 that touches the first of them.
        let truth = mask([1, 2, 0, 1, 1, 2, 0, 1, 0, 0, 0, 0]);
        let image = paint(None, Some(&truth), &Look { apart: true, ..look(Show::Truth) }).take();
        let fills = &image.pixels[..12];
        assert!(fills[0] == fills[4] && fills[1] == fills[5] && fills[3] == fills[7]);
        assert!(fills[0] != fills[1] && fills[0] != fills[3] && fills[1] != fills[3], "{fills:?}");
        assert_eq!(fills[2], Color32::TRANSPARENT);
    }

    #[test]
    fn large_masks_are_drawn_small_and_other_sizes_are_not_compared() {
        let (said, truth) = (Mask::new(&[1; 400 * 100], [400, 100], Arc::default()), mask([1; 12]));
        let painted = paint(Some(&said), Some(&truth), &Look { longest_px: 96, ..look(Show::Difference) });
        let image = painted.take();
        assert_eq!((image.size, painted.classes.len()), ([96, 48], 0));
        assert_eq!(image.pixels[0], color(1), "the prediction alone");
        let none = paint(None, None, &look(Show::Prediction));
        assert_eq!(none.take().size, [1, 2]);
    }
}
