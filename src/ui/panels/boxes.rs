//! Boxes over pictures: what is true, what a detector says, where the two differ; and the sliders that choose how sure it
//! must be. They act on the candidates that came with each answer, so nothing is asked again.

use super::live::Show;
use super::{format, kit, samples};
use crate::data::BoxTarget;
use crate::train::detection::{Blame, Candidates, Mark, TruthMark, judge};
use crate::train::{Answer, BoxScore, Boxes, Choice, HeadResults, Prediction};
use crate::ui::Theme;
use egui::{Align2, Color32, Painter, Rect, RichText, Shape, Stroke, StrokeKind, Ui, pos2, vec2};
use std::collections::HashMap;
use std::sync::Arc;

/// The intersection over union from which a found box counts as the true one.
const HIT: f64 = 0.5;
/// Answers that are remembered for a choice: a few epochs of live pictures.
const REMEMBERED: usize = 256;

/// How boxes are chosen, and what the choice left of the answers that were drawn.
#[derive(Debug, Default)]
pub struct BoxView {
    /// What a person chose; the detector's own until then.
    pub choice: Option<Choice>,
    chosen: HashMap<usize, (Arc<Boxes>, Arc<Vec<BoxScore>>)>,
}

impl BoxView {
    /// The objects of an answer that the choice leaves.
    pub fn chosen(&mut self, boxes: &Arc<Boxes>) -> Arc<Vec<BoxScore>> {
        // The answer is held beside its result, so that no other can come to lie at its address.
        let key = Arc::as_ptr(boxes).addr();
        if let Some((_, kept)) = self.chosen.get(&key) {
            return Arc::clone(kept);
        }
        if self.chosen.len() >= REMEMBERED {
            self.chosen.clear();
        }
        let kept = Arc::new(boxes.chosen(self.choice.unwrap_or(boxes.own)));
        self.chosen.insert(key, (Arc::clone(boxes), Arc::clone(&kept)));
        kept
    }

    /// The two sliders; `own` is the detector's choice.
    pub fn sliders(&mut self, ui: &mut Ui, theme: &Theme, own: Choice) {
        let before = self.choice.unwrap_or(own);
        let mut choice = before;
        ui.spacing_mut().slider_width = 60.0;
        let slider = |ui: &mut Ui, value: &mut f32, least: f32, name: &str, help: &str| {
            ui.label(RichText::new(name).size(11.5).color(theme.weak));
            let slider = egui::Slider::new(value, least..=1.0).max_decimals(2).trailing_fill(true);
            ui.add(slider).accessible_name(name).on_hover_text(help);
        };
        slider(ui, &mut choice.confidence, 0.01, "confidence", "Objects that are less sure are not shown.");
        let help =
            "Of two boxes of one class that overlap more than this (intersection over union), the less sure one goes.";
        slider(ui, &mut choice.overlap, 0.05, "overlap", help);
        if choice != before {
            self.choice = (choice != own).then_some(choice);
            self.chosen.clear();
        }
        if self.choice.is_some() && kit::link_button(ui, theme, "Reset").clicked() {
            self.choice = None;
            self.chosen.clear();
        }
    }
}

/// The boxes in an answer.
#[must_use]
pub fn of(prediction: &Prediction) -> Option<&Arc<Boxes>> {
    prediction.heads.iter().find_map(|head| match &head.answer {
        Answer::Boxes(boxes) => Some(boxes),
        _ => None,
    })
}

/// What was kept of a measured picture, as an answer whose choice can be changed; the overlaps were removed when it was
/// measured.
#[must_use]
pub fn measured(head: &HeadResults, index: usize) -> Option<Boxes> {
    let at = head.boxes.binary_search_by_key(&u32::try_from(index).ok()?, |found| found.index).ok()?;
    let found = &head.boxes.get(at)?.found;
    let candidates = Candidates {
        boxes: found.iter().map(|one| one.xyxy).collect(),
        scores: found.iter().map(|one| one.score).collect(),
        classes: found.iter().map(|one| one.class).collect(),
    };
    let own = Choice { confidence: 0.3, overlap: 1.0 };
    Some(Boxes { candidates, classes: Arc::new(head.classes.clone()), own })
}

/// What is drawn over one picture.
#[derive(Debug)]
pub struct Layer<'a> {
    /// What of it.
    pub show: Show,
    /// True objects, where they are known.
    pub truth: Option<&'a [BoxTarget]>,
    /// Found objects.
    pub found: &'a [BoxScore],
    /// Class names in the order of ids.
    pub classes: &'a [String],
    /// Width and height of the picture in pixels.
    pub size_px: [u32; 2],
    /// Whether there is room for names.
    pub named: bool,
}

impl Layer<'_> {
    /// Draws the boxes; `rect` is where the whole picture lies.
    pub fn paint(&self, painter: &Painter, theme: &Theme, rect: Rect) {
        let place = |xyxy: [f32; 4]| {
            let [width, height] = self.size_px.map(|n| n.max(1) as f32);
            let at = |x: f32, y: f32| rect.min + vec2(x / width * rect.width(), y / height * rect.height());
            Rect::from_min_max(at(xyxy[0], xyxy[1]), at(xyxy[2], xyxy[3]))
        };
        let named = |class: u32| self.classes.get(class as usize).map_or("?", String::as_str);
        let truth = self.truth.unwrap_or_default();
        let sure = |one: &BoxScore| format!("{} {:.0}", one.name, one.score * 100.0);
        match self.show {
            Show::Truth => {
                for one in truth {
                    self.solid(painter, theme, place(one.xyxy), class_color(theme, one.class), named(one.class));
                }
            }
            Show::Prediction => {
                for one in self.found.iter().rev() {
                    self.solid(painter, theme, place(one.xyxy), class_color(theme, one.class), &sure(one));
                }
            }
            Show::Difference if self.truth.is_none() => {
                for one in self.found.iter().rev() {
                    self.solid(painter, theme, place(one.xyxy), class_color(theme, one.class), &sure(one));
                }
            }
            Show::Difference => {
                let marks = judge(truth, self.found, HIT);
                for (one, _) in truth.iter().zip(&marks.truths).filter(|(_, mark)| **mark == TruthMark::Missed) {
                    self.dashed(painter, theme, place(one.xyxy), &format!("missed {}", named(one.class)));
                }
                for (one, mark) in self.found.iter().zip(&marks.detections).rev() {
                    let (color, sign, why) = match mark {
                        Mark::Right(_) => (theme.good, "✓", String::new()),
                        Mark::Wrong(blame) => (theme.bad, "✗", self.why(*blame)),
                        Mark::Ignored(_) | Mark::Hidden => (theme.weak, "", String::new()),
                    };
                    self.solid(painter, theme, place(one.xyxy), color, &format!("{sign} {}{why}", sure(one)));
                }
            }
        }
    }

    /// Why a box is wrong, to stand behind its name.
    fn why(&self, blame: Blame) -> String {
        let there = |at: usize| self.truth.and_then(|truth| truth.get(at)).map_or(0, |one| one.class);
        match blame {
            Blame::Twice(_) => " twice".to_owned(),
            Blame::OtherClass(at) => {
                format!(" is {}", self.classes.get(there(at) as usize).map_or("another", String::as_str))
            }
            Blame::Loose(_) => " loose".to_owned(),
            Blame::Background => String::new(),
        }
    }

    /// The same over a picture that covers `tile` and is cut there.
    pub fn paint_cover(&self, painter: &Painter, theme: &Theme, tile: Rect) {
        let size = vec2(self.size_px[0].max(1) as f32, self.size_px[1].max(1) as f32);
        let scale = (tile.width() / size.x).max(tile.height() / size.y);
        let clipped = painter.with_clip_rect(tile.intersect(painter.clip_rect()));
        self.paint(&clipped, theme, Rect::from_center_size(tile.center(), size * scale));
    }

    fn solid(&self, painter: &Painter, theme: &Theme, rect: Rect, color: Color32, text: &str) {
        painter.rect_stroke(rect, 1, Stroke::new(if self.named { 2.0 } else { 1.5 }, color), StrokeKind::Middle);
        self.name(painter, theme, rect, color, text);
    }

    fn dashed(&self, painter: &Painter, theme: &Theme, rect: Rect, text: &str) {
        let corners = [rect.left_top(), rect.right_top(), rect.right_bottom(), rect.left_bottom(), rect.left_top()];
        painter.extend(Shape::dashed_line(&corners, Stroke::new(2.0, theme.amber), 5.0, 4.0));
        self.name(painter, theme, rect, theme.amber, text);
    }

    fn name(&self, painter: &Painter, theme: &Theme, rect: Rect, color: Color32, text: &str) {
        if !self.named || rect.width() < 6.0 {
            return;
        }
        // Over the box where there is room, else inside.
        let clip = painter.clip_rect();
        let (y, anchor) = if rect.top() - 15.0 >= clip.top() {
            (rect.top() - 1.0, Align2::LEFT_BOTTOM)
        } else {
            (rect.top().max(clip.top()) + 1.0, Align2::LEFT_TOP)
        };
        let at = pos2(rect.left().max(clip.left()), y);
        kit::plate(painter, theme, at, anchor, text, color, 170.0);
    }
}

/// What was found and missed, in a few words.
#[must_use]
pub fn words(truth: Option<&[BoxTarget]>, found: &[BoxScore]) -> String {
    let Some(truth) = truth else { return crate::format::plural(found.len(), "object") };
    let [right, wrong, missed] = judge(truth, found, HIT).counts();
    let parts = [(right, "found"), (missed, "missed"), (wrong, "wrong")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let text = parts.map(|(count, word)| format!("{} {word}", format::count(count))).collect::<Vec<_>>().join(", ");
    if text.is_empty() { "no objects".to_owned() } else { text }
}

fn class_color(theme: &Theme, class: u32) -> Color32 {
    samples::class_color(theme, class)
}
