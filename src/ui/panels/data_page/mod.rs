//! The data page: what the set is on the left, its pictures in the middle, the pre-flight report on the right.

mod filter;
mod grid;
mod naming;
mod report;
mod side;

use super::kit;
use super::masks::MaskView;
use super::textures::Textures;
use crate::data::{Dataset, Severity, Split};
use crate::session::{Busy, Command};
use crate::ui::{Action, Context, Theme};
use egui::{Panel, RichText, Ui, vec2};
use std::sync::Arc;

pub use filter::Filter;

/// What the page remembers.
#[derive(Debug)]
pub struct DataState {
    /// Which pictures are shown.
    pub filter: Filter,
    /// Width of a picture in the grid, in points.
    pub tile: f32,
    /// Severities that the report leaves out.
    pub hidden: Vec<Severity>,
    /// Only issues with this text are listed.
    pub issue_search: String,
    /// How true masks are shown in the grid.
    pub masks: MaskView,
    /// Names that are being given to values of masks.
    pub naming: naming::Naming,
    known: Known,
}

impl Default for DataState {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            tile: 132.0,
            hidden: Vec::new(),
            issue_search: String::new(),
            masks: MaskView::default(),
            naming: naming::Naming::default(),
            known: Known::default(),
        }
    }
}

/// What is counted once for a data set and not in every frame.
#[derive(Debug, Default)]
struct Known {
    data: Option<Arc<Dataset>>,
    /// Pictures by class in train, val and test.
    counts: Vec<[usize; 3]>,
    /// Pictures in train, val and test.
    splits: [usize; 3],
    /// Issues by severity: notes, warnings, errors.
    issues: [usize; 3],
    filter: Option<Filter>,
    shown: Vec<usize>,
    issue_filter: Option<(Vec<Severity>, String)>,
    issues_shown: Vec<usize>,
}

/// The splits, in the order of [`Known::splits`].
const SPLITS: [Split; 3] = [Split::Train, Split::Val, Split::Test];

impl DataState {
    /// Indices of the pictures that are shown, in order: what the viewer steps through.
    #[must_use]
    pub fn shown(&self) -> &[usize] {
        &self.known.shown
    }

    /// Counts anew where the data set or a filter is another.
    fn refresh(&mut self, data: &Arc<Dataset>) {
        let known = &mut self.known;
        if known.data.as_ref().is_none_or(|before| !Arc::ptr_eq(before, data)) {
            // A class that the new set lacks must not hide everything.
            self.filter = Filter::default();
            let severity = |which| data.issues.iter().filter(|issue| issue.severity == which).count();
            *known = Known {
                splits: SPLITS.map(|split| data.samples.iter().filter(|sample| sample.split == split).count()),
                issues: [Severity::Note, Severity::Warning, Severity::Error].map(severity),
                data: Some(Arc::clone(data)),
                ..Known::default()
            };
        }
        if known.filter.as_ref().is_none_or(|before| before.column != self.filter.column) {
            let column = self.filter.column;
            let of_split =
                |split| if column == 0 { data.class_counts(split) } else { data.label_counts(column, split) };
            let counts = SPLITS.map(of_split);
            let of =
                |class: usize| [0, 1, 2].map(|i: usize| counts.get(i).and_then(|c| c.get(class)).copied().unwrap_or(0));
            known.counts = (0..class_names(data, column).len()).map(of).collect();
        }
        if known.filter.as_ref() != Some(&self.filter) {
            known.shown = self.filter.apply(data);
            known.filter = Some(self.filter.clone());
        }
        let wanted = (self.hidden.clone(), self.issue_search.to_lowercase());
        if known.issue_filter.as_ref() != Some(&wanted) {
            known.issues_shown = report::matching(data, &wanted.0, &wanted.1);
            known.issue_filter = Some(wanted);
        }
    }
}

/// Class names of a label column.
fn class_names(data: &Dataset, column: usize) -> &[String] {
    data.columns.get(column).map_or(&[], |column| column.classes.as_slice())
}

/// Draws the page over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut DataState, textures: &mut Textures) {
    let (view, theme) = (cx.view, cx.theme);
    if let Some(busy) = &view.busy {
        busy_bar(ui, cx, busy);
    }
    let Some(data) = &view.data else {
        if view.busy.is_none() {
            empty(ui, cx);
        }
        return;
    };
    state.refresh(data);
    Panel::left("data side").frame(kit::side(theme)).default_size(270.0).size_range(220.0..=420.0).show(ui, |ui| {
        side::ui(ui, cx, data, state);
    });
    if ui.available_width() > 760.0 {
        let panel = Panel::right("data report").frame(kit::side(theme));
        panel.default_size(310.0).size_range(240.0..=560.0).show(ui, |ui| report::ui(ui, cx, data, state));
    } else {
        let panel = Panel::bottom("data report below").frame(kit::side(theme));
        panel.default_size(170.0).size_range(90.0..=400.0).show(ui, |ui| report::ui(ui, cx, data, state));
    }
    let middle = egui::Frame::new().inner_margin(egui::Margin::symmetric(14, 10));
    egui::CentralPanel::no_frame().frame(middle).show(ui, |ui| {
        naming::ui(ui, cx, data, &mut state.naming);
        grid::ui(ui, cx, data, state, textures);
    });
}

/// What is being done, how far it is, and the way to stop it.
fn busy_bar(ui: &mut Ui, cx: &mut Context<'_>, busy: &Busy) {
    let theme = cx.theme;
    let frame = egui::Frame::new().fill(theme.raised).inner_margin(egui::Margin::symmetric(14, 8));
    Panel::top("data busy").frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            let known = busy.total > 0;
            let text = if known {
                format!("{} · {} of {}", busy.what, super::format::count(busy.done), super::format::count(busy.total))
            } else {
                format!("{} · {}", busy.what, super::format::count(busy.done))
            };
            ui.label(RichText::new(text).size(12.5).color(theme.text));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if ui.button("Cancel").clicked() {
                    cx.push(Action::Send(Command::Interrupt));
                }
                let share = if known { busy.done as f32 / busy.total as f32 } else { 1.0 };
                let bar = egui::ProgressBar::new(share).fill(theme.accent).desired_height(8.0).animate(!known);
                ui.add(bar);
            });
        });
    });
}

const LAYOUTS: [(&str, &str); 3] = [
    ("One folder per class", "flowers/\n├─ daisy/\n│  ├─ 001.jpg\n│  └─ 002.jpg\n└─ tulip/\n   └─ 003.jpg"),
    ("With a split", "flowers/\n├─ train/\n│  ├─ daisy/\n│  └─ tulip/\n└─ val/\n   ├─ daisy/\n   └─ tulip/"),
    ("With a test part", "flowers/\n├─ train/\n│  └─ daisy/ …\n├─ val/\n│  └─ daisy/ …\n└─ test/\n   └─ daisy/ …"),
];

/// What the page says before there are pictures: what can be dropped, and the two ways to begin.
fn empty(ui: &mut Ui, cx: &mut Context<'_>) {
    let theme = cx.theme;
    let rect = ui.available_rect_before_wrap();
    let width = 640.0_f32.min(rect.width() - 32.0);
    let area = egui::Rect::from_center_size(rect.center(), vec2(width, 322.0_f32.min(rect.height())));
    let border = egui::Stroke::new(1.5, theme.border);
    let outline = area.expand2(vec2(0.0, 8.0));
    let corners =
        [outline.left_top(), outline.right_top(), outline.right_bottom(), outline.left_bottom(), outline.left_top()];
    ui.painter().extend(egui::Shape::dashed_line(&corners, border, 7.0, 5.0));
    ui.scope_builder(egui::UiBuilder::new().max_rect(area.shrink(22.0)), |ui| {
        ui.vertical_centered(|ui| {
            ui.label(RichText::new("Drop a folder of pictures here").size(21.0).color(theme.text).strong());
            ui.add_space(2.0);
            kit::weak(ui, theme, "The names of its folders are the classes. Your files are only read, never changed.");
            ui.add_space(18.0);
        });
        layouts(ui, theme);
        ui.add_space(20.0);
        ui.horizontal(|ui| {
            ui.add_space((ui.available_width() - 286.0).max(0.0) / 2.0);
            if kit::primary_button(ui, theme, "Open folder…").clicked() {
                cx.push(Action::AskData);
            }
            ui.add_space(6.0);
            let sample =
                egui::Button::new(RichText::new("Use the built-in sample").size(13.5)).min_size(vec2(0.0, 30.0));
            if ui.add(sample).clicked() {
                cx.push(Action::Send(Command::OpenSample));
            }
        });
    });
}

fn layouts(ui: &mut Ui, theme: &Theme) {
    let width = (ui.available_width() - 24.0) / 3.0;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 12.0;
        for (title, tree) in LAYOUTS {
            kit::sheet(theme).show(ui, |ui| {
                ui.vertical(|ui| {
                    ui.set_width(width - 34.0);
                    ui.set_height(126.0);
                    ui.label(RichText::new(title).size(12.5).color(theme.text).strong());
                    ui.add_space(4.0);
                    ui.label(RichText::new(tree).font(egui::FontId::monospace(12.0)).color(theme.weak));
                });
            });
        }
    });
}
