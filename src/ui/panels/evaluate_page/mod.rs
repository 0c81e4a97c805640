//! The evaluate page: which run and which pictures on the left; what the model gets right and wrong in the middle, or
//! several runs beside each other. Every number opens its pictures.

mod chart;
mod classes;
mod compare;
mod curves;
mod detected;
mod figures;
mod findings;
mod gallery;
mod help;
mod matrix;
mod reliability;
mod runs;
mod side;

use super::masks::MaskView;
use super::textures::Textures;
use super::{format, kit};
use crate::session::{Evaluation, EvaluationAnswer, RunShelf, View};
use crate::ui::{Action, Context, Page, Theme};
use egui::{Panel, Rect, RichText, Ui, UiBuilder, pos2, vec2};
use findings::{Findings, Subject, Wish};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use classes::{Column, Sort};
pub use findings::Pick;
pub use matrix::{MatrixState, Order};
pub use side::Measure;

/// Whose results are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Chosen {
    /// The run at hand, else the newest of the project.
    #[default]
    Current,
    /// A run on disk.
    Run(PathBuf),
    /// What was measured last.
    Measured,
}

/// What the page remembers.
#[derive(Debug, Default)]
pub struct EvaluateState {
    /// Whose results are shown.
    pub chosen: Chosen,
    /// The epoch of the run at hand that is shown; `None` is the best one.
    pub epoch: Option<u32>,
    /// The head that is shown; none for the first classifier.
    pub head: Option<usize>,
    /// The least score of a detector's objects; none for the one with the best mean F1.
    pub confidence: Option<f64>,
    /// Which pictures the gallery shows.
    pub pick: Pick,
    /// How the table of classes is sorted.
    pub sort: Sort,
    /// How the matrix is drawn.
    pub matrix: MatrixState,
    /// Which pictures are measured next.
    pub measure: Measure,
    /// Whether runs are compared.
    pub compare: bool,
    /// The runs that are compared, in the order of their colors.
    pub checked: Vec<PathBuf>,
    /// What is drawn of them over epochs; none for the metric that picks the best.
    pub curve: Option<String>,
    /// Where new runs are written.
    pub home: Option<PathBuf>,
    /// How true masks are shown.
    pub masks: MaskView,
    diff: compare::Known,
    /// Runs on disk.
    shelf: Option<RunShelf>,
    findings: Option<Findings>,
    /// The last measurement that was seen.
    seen: usize,
}

impl EvaluateState {
    /// Forgets what was read of a run, because it has changed.
    pub fn forget(&self, run: &Path) {
        if let Some(shelf) = &self.shelf {
            shelf.forget(run);
        }
    }

    /// Turns to what was just measured.
    fn follow(&mut self, view: &View) {
        let now = view.evaluation.as_ref().map_or(0, |evaluation| Arc::as_ptr(evaluation) as usize);
        if now != self.seen {
            self.seen = now;
            self.chosen = Chosen::Measured;
            self.pick = Pick::Worst;
        }
    }

    /// The folder of the run that is shown.
    fn folder(&self, cx: &Context<'_>) -> Option<PathBuf> {
        match &self.chosen {
            Chosen::Run(folder) => Some(folder.clone()),
            Chosen::Measured => cx.view.evaluation.as_ref().map(|evaluation| evaluation.source.clone()),
            Chosen::Current => match &cx.view.run {
                Some(run) => Some(run.info.folder.clone()),
                None => cx.project.runs.last().cloned(),
            },
        }
    }

    /// What is on disk of the run that is shown, where it is not the run at hand.
    fn saved(&self, cx: &Context<'_>) -> Option<EvaluationAnswer> {
        let folder = self.folder(cx).filter(|_| self.chosen != Chosen::Measured)?;
        let at_hand = cx.view.run.as_ref().is_some_and(|run| run.info.folder == folder);
        self.shelf.as_ref().filter(|_| !at_hand)?.evaluation(&folder)
    }
}

/// The results to show.
fn subject<'a>(
    view: &'a View,
    state: &EvaluateState,
    saved: Option<&'a Arc<Evaluation>>,
    folder: Option<&Path>,
) -> Option<Subject<'a>> {
    if state.chosen == Chosen::Measured {
        return view.evaluation.as_ref().map(Subject::Measured);
    }
    if let Some(run) = view.run.as_ref().filter(|run| Some(run.info.folder.as_path()) == folder) {
        let wanted = state.epoch.or(run.best.as_ref().map(|best| best.epoch));
        let news = run.epochs.iter().find(|news| Some(news.epoch) == wanted).or(run.epochs.last())?;
        return Some(Subject::Epoch(run, news, run.evaluations.get(&news.epoch)));
    }
    saved.map(Subject::Measured)
}

/// Draws the page over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut EvaluateState, textures: &mut Textures) {
    let theme = cx.theme;
    let ctx = ui.ctx().clone();
    state.shelf.get_or_insert_with(|| RunShelf::new(Arc::new(move || ctx.request_repaint())));
    state.follow(cx.view);
    let folder = state.folder(cx);
    let saved = state.saved(cx);
    Panel::left("evaluate side").frame(kit::side(theme)).default_size(236.0).size_range(200.0..=400.0).show(ui, |ui| {
        side::ui(ui, cx, state, folder.as_deref());
    });
    if state.compare {
        compare::ui(ui, cx, state);
        return;
    }
    let found = saved.as_ref().and_then(|answer| answer.as_ref().ok()).and_then(Option::as_ref);
    let Some(subject) = subject(cx.view, state, found, folder.as_deref()) else {
        nothing(ui, cx, folder.as_deref(), saved.as_ref());
        return;
    };
    let wish = Wish { head: state.head, pick: state.pick, confidence: state.confidence };
    Findings::follow(&mut state.findings, subject, wish);
    let Some(findings) = state.findings.take() else { return };
    results(ui, cx, state, textures, subject, &findings);
    state.findings = Some(findings);
}

/// What the page says while there is nothing to show, and what to do about it.
fn nothing(ui: &mut Ui, cx: &mut Context<'_>, folder: Option<&Path>, saved: Option<&EvaluationAnswer>) {
    let theme = cx.theme;
    let name = folder.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let (title, text) = match (folder, saved) {
        (None, _) => (
            "Nothing is measured yet".to_owned(),
            "Train a model, and after each epoch this page shows what it gets right and wrong: the confusion matrix, the \
             worst pictures, each class, and whether its confidence can be trusted. Or choose an earlier run on the left."
                .to_owned(),
        ),
        (Some(_), None) if cx.view.run.is_some() => (
            "The first epoch is not measured yet".to_owned(),
            "Before the first step the model is measured as it is; its results come here.".to_owned(),
        ),
        (Some(_), None) => (format!("Reading {name}"), "It comes from the run's folder.".to_owned()),
        (Some(_), Some(Err(problem))) => ("The results cannot be read".to_owned(), problem.clone()),
        (Some(_), Some(Ok(_))) => (
            format!("The pictures of {name} are not measured yet"),
            "The run was made before results were kept with it. Press Evaluate on the left; it is kept from then on."
                .to_owned(),
        ),
    };
    let rect = ui.available_rect_before_wrap();
    kit::empty(ui, theme, &title, &text);
    if folder.is_none() {
        let at = Rect::from_center_size(rect.center() + vec2(0.0, 74.0), vec2(160.0, 32.0));
        ui.scope_builder(UiBuilder::new().max_rect(at), |ui| {
            ui.vertical_centered(|ui| {
                if kit::primary_button(ui, theme, "Go to training").clicked() {
                    cx.push(Action::Show(Page::Train));
                }
            });
        });
    }
}

/// Numbers on top; matrix, classes, pictures and reliability below.
fn results(
    ui: &mut Ui,
    cx: &mut Context<'_>,
    state: &mut EvaluateState,
    textures: &mut Textures,
    subject: Subject<'_>,
    findings: &Findings,
) {
    let theme = cx.theme;
    let rect = ui.available_rect_before_wrap().shrink2(vec2(12.0, 10.0));
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        heads(ui, theme, subject, findings, state);
        figures::ui(ui, theme, subject, findings, state);
        ui.add_space(4.0);
        let area = ui.available_rect_before_wrap();
        let gap = 10.0;
        let x = area.left() + area.width() * 0.56;
        let rows = findings.classes.len() as f32;
        // A matrix of many classes needs the height more than the pictures do.
        let most = area.height() * if (13.0..=24.0).contains(&rows) { 0.66 } else { 0.55 };
        let middle = area.top() + (116.0 + 34.0 * rows.max(4.0)).clamp(230.0_f32.min(most), most);
        let top_left = Rect::from_min_max(area.min, pos2(x, middle));
        let top_right = Rect::from_min_max(pos2(x + gap, area.top()), pos2(area.right(), middle));
        let low_left = Rect::from_min_max(pos2(area.left(), middle + gap), pos2(x, area.bottom()));
        let low_right = Rect::from_min_max(pos2(x + gap, middle + gap), area.max);
        part(ui, theme, top_left, "matrix", |ui| matrix::ui(ui, theme, textures, findings, state));
        part(ui, theme, top_right, "classes", |ui| classes::ui(ui, theme, findings, state));
        part(ui, theme, low_left, "pictures", |ui| gallery::ui(ui, cx, textures, findings, state));
        part(ui, theme, low_right, "reliability", |ui| match &findings.detected {
            Some(found) => curves::ui(ui, theme, findings, found, state),
            None => reliability::ui(ui, theme, findings, state),
        });
    });
}

/// The heads with their first metric, where there are several; a click shows one.
fn heads(ui: &mut Ui, theme: &Theme, subject: Subject<'_>, findings: &Findings, state: &mut EvaluateState) {
    let heads = subject.heads();
    if heads.len() < 2 || findings.detected.is_some() {
        return;
    }
    ui.horizontal_wrapped(|ui| {
        for (i, (name, _)) in heads.into_iter().enumerate() {
            let metrics = subject.metrics(i);
            let first = metrics.iter().find(|(key, _)| matches!(*key, "top1" | "map" | "miou")).or(metrics.first());
            let text = first.map_or(name.to_owned(), |(key, value)| {
                format!("{name} · {} {}", format::metric(key), format::percent(*value))
            });
            if kit::chip(ui, theme, findings.head == i, &text).clicked() {
                state.head = Some(i);
                state.pick = Pick::Worst;
            }
        }
    });
    ui.add_space(2.0);
}

/// A part of the page over `rect`.
fn part(ui: &mut Ui, theme: &Theme, rect: Rect, name: &str, add: impl FnOnce(&mut Ui)) {
    let frame = kit::sheet(theme).inner_margin(0);
    ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt(name), |ui| {
        ui.painter().add(frame.paint(rect));
        let inside = rect.shrink2(vec2(12.0, 8.0));
        ui.scope_builder(UiBuilder::new().max_rect(inside), |ui| {
            ui.set_clip_rect(inside.expand(2.0).intersect(ui.clip_rect()));
            add(ui);
        });
    });
}

/// A part's title, explained on hover, and its controls at the right.
fn head(ui: &mut Ui, theme: &Theme, title: &str, help: &str, add: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        let label = ui.label(RichText::new(title).size(13.5).color(theme.text).strong());
        if !help.is_empty() {
            label.on_hover_text(help);
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), add);
    });
}
