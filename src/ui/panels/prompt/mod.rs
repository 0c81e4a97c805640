//! Prompting: a person points at things in a picture, a promptable model offers masks, and those that are accepted become
//! the objects of a data set.
//!
//! ```text
//! pictures ─ opened (encoded once) ─► clicks ─► three masks ─ Enter ─► objects with classes ─► data set
//! ```
//!
//! One question is under way at a time. What is asked next is what the prompts are then: clicks in between cost nothing.

mod canvas;
mod layer;
mod sides;

use super::kit;
use super::textures::Textures;
use super::zoom::Zoom;
use crate::data::{Drawn, DrawnForm, DrawnObject};
use crate::graph::{Graph, Shape};
use crate::session::{Command, MaskAnswer, MaskQuestion, Masks, PromptOpened, WeightsState};
use crate::train::WeightsSource;
use crate::train::segmentation::prompt::{Answered, Candidate, Everything, Found, Grid, LowRes, Point, Prompt};
use crate::ui::{Action, Context, ready};
use egui::{Key, Modifiers, Panel, Ui};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing that a person said about a picture, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// Here, or not here.
    Point(Point),
    /// In here: left, top, right, bottom.
    Box([f32; 4]),
}

/// A mask that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Index into the names.
    pub class: usize,
    /// COCO's runs.
    pub runs: Vec<u32>,
    /// Left, top, right, bottom of its outermost pixels.
    pub xyxy: [u32; 4],
    /// Number of pixels.
    pub area: u64,
}

/// A picture with what was accepted in it.
#[derive(Clone, Debug)]
struct Work {
    image: PathBuf,
    size_px: Option<[u32; 2]>,
    objects: Vec<Accepted>,
    /// Changes with the objects.
    revision: u64,
}

/// What was asked and not yet answered.
#[derive(Debug)]
struct Asked {
    image: PathBuf,
    /// The prompts as they were counted then; none where the picture is only opened.
    change: Option<u64>,
    /// The count at the time, and the model.
    put: (u64, PathBuf),
    failures: u64,
    masks: Option<Arc<MaskAnswer>>,
    opened: Option<Arc<PromptOpened>>,
}

/// What the panel remembers.
#[derive(Debug)]
pub struct PromptState {
    work: Vec<Work>,
    at: usize,
    marks: Vec<Mark>,
    /// Everything is asked for, with this many points along each side.
    everything: Option<usize>,
    /// How many objects the last search found.
    found: Option<usize>,
    /// Where a drag began, in pixels of the picture.
    drag: Option<[f32; 2]>,
    /// How closely the picture is looked at.
    zoom: Zoom,
    /// The drag that is under way moves the picture.
    panning: bool,
    /// Counts changes of the picture and its prompts.
    change: u64,
    asked: Option<Asked>,
    /// What the prompts were answered with, once they are.
    answer: Option<Arc<MaskAnswer>>,
    /// The candidate that is shown.
    chosen: usize,
    /// The mask that the next answer corrects.
    previous: Option<LowRes>,
    /// The change whose question failed, and the model; it is not asked again.
    failed: Option<(u64, PathBuf)>,
    /// The model and the picture that were opened last.
    opened: Option<(PathBuf, PathBuf)>,
    encode_secs: Option<f64>,
    from_disk: bool,
    click_secs: Option<f64>,
    classes: Vec<String>,
    class: usize,
    typed: String,
    form: DrawnForm,
    /// The object that the pointer is on in the list.
    pointed: Option<usize>,
    revision: u64,
}

impl Default for PromptState {
    fn default() -> Self {
        Self {
            work: Vec::new(),
            at: 0,
            marks: Vec::new(),
            everything: None,
            found: None,
            drag: None,
            zoom: Zoom::default(),
            panning: false,
            change: 0,
            asked: None,
            answer: None,
            chosen: 0,
            previous: None,
            failed: None,
            opened: None,
            encode_secs: None,
            from_disk: false,
            click_secs: None,
            classes: vec!["object".to_owned()],
            class: 0,
            typed: String::new(),
            form: DrawnForm::default(),
            pointed: None,
            revision: 0,
        }
    }
}

/// Whether a network takes prompts.
#[must_use]
pub fn is_offered(graph: &Graph) -> bool {
    graph.inputs.iter().any(|input| input.shape == Shape::Prompt)
}

/// The file that answers, or why there is none.
fn weights(cx: &Context<'_>) -> Result<PathBuf, String> {
    let plan = cx.plan();
    let model = &plan.model;
    match &plan.weights {
        WeightsSource::File(path) => Ok(path.clone()),
        source @ WeightsSource::Public { .. } => {
            let public = ready::chosen_public(model, source);
            match public.and_then(|public| cx.view.weights.get(public.file)) {
                Some(WeightsState::Here { path, .. }) => Ok(path.clone()),
                _ => Err(format!("The public weights of {model} are not on this machine yet.")),
            }
        }
        WeightsSource::Random | WeightsSource::BuiltIn => {
            Err(format!("{model} has random weights: choose a checkpoint or public weights for it."))
        }
    }
}

impl PromptState {
    /// Puts pictures on the list and shows the first of them.
    pub fn open(&mut self, images: &[PathBuf]) {
        for image in images {
            if self.work.iter().all(|work| work.image != *image) {
                self.work.push(Work { image: image.clone(), size_px: None, objects: Vec::new(), revision: 0 });
            }
        }
        if let Some(at) = images.first().and_then(|first| self.work.iter().position(|work| work.image == *first)) {
            self.turn_to(at);
        }
    }

    /// The command that writes what was accepted as a data set.
    #[must_use]
    pub fn save_command(&self, to: PathBuf) -> Command {
        let drawn = |work: &Work| {
            let object = |one: &Accepted| DrawnObject { class: one.class, runs: one.runs.clone() };
            let objects = work.objects.iter().map(object).collect();
            Drawn { image: work.image.clone(), size_px: work.size_px.unwrap_or_default(), objects }
        };
        let pictures = self.work.iter().filter(|work| !work.objects.is_empty()).map(drawn).collect();
        Command::SaveDrawn { pictures: Arc::new(pictures), classes: self.classes.clone(), form: self.form, to }
    }

    /// Objects that were accepted in all pictures.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.work.iter().map(|work| work.objects.len()).sum()
    }

    /// What is shown of the answer.
    fn candidate(&self) -> Option<&Candidate> {
        self.answered()?.candidates.get(self.chosen)
    }

    fn answered(&self) -> Option<&Answered> {
        match &self.answer.as_ref()?.masks {
            Masks::Offered(answered) => Some(answered),
            Masks::Found(_) => None,
        }
    }

    fn turn_to(&mut self, at: usize) {
        self.at = at;
        self.zoom.fit();
        self.clear();
    }

    /// Forgets the prompts.
    pub fn clear(&mut self) {
        self.marks.clear();
        self.previous = None;
        self.drag = None;
        self.found = None;
        self.moved();
    }

    /// Asks for everything in the picture, with so many points along each side.
    fn find_everything(&mut self, side: usize) {
        self.clear();
        self.everything = Some(side);
    }

    /// The prompts are others: what was answered holds no longer.
    fn moved(&mut self) {
        self.change += 1;
        self.answer = None;
        self.everything = None;
    }

    fn add(&mut self, mark: Mark) {
        // The next answer corrects the mask that is shown. While one is under way, there is none that could be meant.
        self.previous = self.candidate().map(|candidate| candidate.low.clone());
        if matches!(mark, Mark::Box(_)) {
            self.marks.retain(|mark| matches!(mark, Mark::Point(_)));
            self.previous = None;
        }
        self.marks.push(mark);
        self.moved();
    }

    fn undo(&mut self) {
        if self.marks.pop().is_some() {
            self.previous = None;
            self.moved();
        }
    }

    /// Makes an object of the mask that is shown.
    fn accept(&mut self) {
        let Some(answered) = self.answered() else { return };
        let Some(candidate) = answered.candidates.get(self.chosen) else { return };
        let Some(xyxy) = candidate.xyxy else { return };
        let (size_px, area) = (answered.size_px, candidate.area);
        let object = Accepted { class: self.class, runs: candidate.runs(size_px), xyxy, area };
        self.revision += 1;
        if let Some(work) = self.work.get_mut(self.at) {
            work.size_px = Some(size_px);
            work.objects.push(object);
            work.revision = self.revision;
        }
        self.clear();
    }

    /// Makes objects of all masks that were found.
    fn accept_found(&mut self, found: &Everything) {
        self.revision += 1;
        self.everything = None;
        self.found = Some(found.found.len());
        let class = self.class;
        let object = |one: &Found| Accepted { class, runs: one.runs.clone(), xyxy: one.xyxy, area: one.area };
        if let Some(work) = self.work.get_mut(self.at) {
            work.size_px = Some(found.size_px);
            work.objects.extend(found.found.iter().map(object));
            work.revision = self.revision;
        }
    }

    fn delete(&mut self, object: usize) {
        self.revision += 1;
        if let Some(work) = self.work.get_mut(self.at)
            && object < work.objects.len()
        {
            work.objects.remove(object);
            work.revision = self.revision;
        }
    }

    /// Takes the name that was typed, as a new class or the one that bears it.
    fn name_class(&mut self) {
        let name = self.typed.trim().to_owned();
        self.typed.clear();
        if name.is_empty() {
            return;
        }
        let known = self.classes.iter().position(|class| *class == name);
        self.class = known.unwrap_or(self.classes.len());
        if known.is_none() {
            // The first name takes the place of the one that stood in for it.
            if self.classes == ["object"] && self.accepted() == 0 {
                (self.classes, self.class) = (vec![name], 0);
            } else {
                self.classes.push(name);
            }
        }
    }

    /// Takes in what the session said, and asks what is to be asked next.
    fn follow(&mut self, cx: &mut Context<'_>, from: &Path) {
        self.take(cx);
        let Some(work) = self.work.get(self.at) else { return };
        if self.asked.is_some() || self.has_failed(from) || cx.view.is_training() {
            return;
        }
        let image = work.image.clone();
        if self.opened.as_ref().is_some_and(|(model, _)| model != from) {
            // What another model answered, this one cannot correct.
            self.previous = None;
            self.click_secs = None;
            self.moved();
        }
        let is_open = self.opened.as_ref().is_some_and(|(model, known)| (model.as_path(), known) == (from, &image));
        let command = if !is_open {
            Command::OpenPrompt { image: image.clone(), from: from.to_path_buf() }
        } else if !self.marks.is_empty() && self.answer.is_none() {
            let question = MaskQuestion::Prompt(self.prompt());
            Command::Ask { image: image.clone(), from: from.to_path_buf(), question }
        } else if let Some(side) = self.everything {
            let question = MaskQuestion::Everything(Grid { side, ..Grid::default() });
            Command::Ask { image: image.clone(), from: from.to_path_buf(), question }
        } else {
            return;
        };
        self.asked = Some(Asked {
            change: is_open.then_some(self.change),
            put: (self.change, from.to_path_buf()),
            failures: cx.view.prompts.failures,
            masks: cx.view.masks.clone(),
            opened: cx.view.prompts.opened.clone(),
            image: image.clone(),
        });
        if !is_open {
            // Also when it fails: it is then tried again with the next change.
            self.opened = Some((from.to_path_buf(), image));
        }
        cx.push(Action::Send(command));
    }

    /// Whether what is asked now was asked of this model and failed.
    fn has_failed(&self, from: &Path) -> bool {
        self.failed.as_ref().is_some_and(|(change, model)| *change == self.change && model == from)
    }

    fn prompt(&self) -> Prompt {
        let mut prompt = Prompt { previous: self.previous.clone(), ..Prompt::default() };
        for mark in &self.marks {
            match *mark {
                Mark::Point(point) => prompt.points.push(point),
                Mark::Box(xyxy) => prompt.xyxy = Some(xyxy),
            }
        }
        prompt
    }

    fn take(&mut self, cx: &Context<'_>) {
        let Some(asked) = &self.asked else { return };
        let view = cx.view;
        if view.prompts.failures != asked.failures {
            self.failed = Some(asked.put.clone());
            if asked.change.is_none() {
                self.opened = None;
            }
            self.asked = None;
            return;
        }
        match (&view.prompts.opened, asked.change) {
            (Some(opened), None) if !asked.opened.as_ref().is_some_and(|before| Arc::ptr_eq(before, opened)) => {
                if let Some(work) = self.work.iter_mut().find(|work| work.image == opened.image) {
                    work.size_px = Some(opened.size_px);
                }
                (self.encode_secs, self.from_disk) = (opened.encode_secs, opened.from_disk);
                self.asked = None;
            }
            (_, Some(change)) => {
                let before = asked.masks.as_ref();
                let Some(masks) = view.masks.as_ref().filter(|now| !before.is_some_and(|old| Arc::ptr_eq(old, now)))
                else {
                    return;
                };
                self.click_secs = Some(masks.answer_secs);
                self.encode_secs = masks.encode_secs.or(self.encode_secs);
                let is_it = change == self.change && masks.image == asked.image;
                self.asked = None;
                match &masks.masks {
                    Masks::Found(found) if is_it => self.accept_found(found),
                    Masks::Offered(answered) if is_it => {
                        (self.answer, self.chosen) = (Some(Arc::clone(masks)), answered.best);
                    }
                    Masks::Found(_) | Masks::Offered(_) => {}
                }
            }
            _ => {}
        }
    }

    fn keys(&mut self, ui: &Ui) {
        // A question over the window has the keys.
        if !kit::keys_are_free(ui) || ui.memory(|memory| memory.top_modal_layer().is_some()) {
            return;
        }
        let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        for (index, key) in [Key::Num1, Key::Num2, Key::Num3].into_iter().enumerate() {
            if pressed(key) && self.answered().is_some_and(|answered| index < answered.candidates.len()) {
                self.chosen = index;
            }
        }
        if pressed(Key::Z) || pressed(Key::Backspace) {
            self.undo();
        }
        if pressed(Key::Escape) {
            self.clear();
        }
        // With a control in focus, Enter presses that.
        if ui.memory(|memory| memory.focused().is_none()) {
            if pressed(Key::Enter) {
                self.accept();
            }
            let by = isize::from(pressed(Key::ArrowDown)) - isize::from(pressed(Key::ArrowUp));
            let at = self.at.saturating_add_signed(by).min(self.work.len().saturating_sub(1));
            if at != self.at {
                self.turn_to(at);
            }
        }
    }
}

/// Draws the panel over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut PromptState, textures: &mut Textures) {
    let theme = cx.theme;
    if state.work.is_empty() {
        sides::empty(ui, cx);
        return;
    }
    let from = weights(cx);
    state.keys(ui);
    if let Ok(from) = &from {
        state.follow(cx, from);
    }
    let list = Panel::left("prompt list").frame(kit::side(theme)).default_size(220.0).size_range(160.0..=360.0);
    list.show(ui, |ui| sides::pictures(ui, cx, state, textures));
    let side = Panel::right("prompt side").frame(kit::side(theme)).default_size(280.0).size_range(230.0..=420.0);
    side.show(ui, |ui| sides::objects(ui, cx, state));
    canvas::ui(ui, cx, state, textures, from.as_ref().err());
}
