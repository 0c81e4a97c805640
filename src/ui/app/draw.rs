//! Drawing the window: panels around the canvas or a page, then what lies above them.

use super::App;
use crate::ui::action::Page;
use crate::ui::context::Context;
use crate::ui::icons::Icon;
use crate::ui::panels::{self, Panels};
use crate::ui::shell::{drop_overlay, help, models, status, topbar};
use crate::ui::theme::Theme;
use crate::ui::{folders, graph, inspector, widgets};
use egui::{CentralPanel, Frame, Margin, Panel, Ui};

/// Below this width the list and the inspector start as rails of icons.
const ROOMY: f32 = 1240.0;
const RAIL: f32 = 40.0;

impl App {
    pub(super) fn draw(&mut self, ui: &mut Ui) {
        self.top(ui);
        self.bottom(ui);
        match self.page {
            Page::Model | Page::Train => self.workbench(ui),
            page => {
                if page == Page::Evaluate && self.panels.evaluate.home.is_none() {
                    self.panels.evaluate.home = folders::home(self.project_file.as_deref()).ok();
                }
                let frame = Frame::new().fill(self.theme.background);
                CentralPanel::default().frame(frame).show(ui, |ui| {
                    let (mut ctx, _, panels) = self.context();
                    other_page(ui, &mut ctx, panels, page);
                });
            }
        }
        self.above(ui);
    }

    /// The context that panels get, with the canvas and the panels' own states.
    fn context(&mut self) -> (Context<'_>, &mut graph::GraphState, &mut Panels) {
        let context = Context {
            view: &self.view,
            project: &self.project,
            graph: &self.network.graph,
            facts: &self.network.facts,
            frontier: &self.network.frontier,
            epoch: self.network.epoch,
            theme: &self.theme,
            thumbs: &self.thumbs,
            actions: &mut self.actions,
        };
        (context, &mut self.canvas, &mut self.panels)
    }

    fn top(&mut self, ui: &mut Ui) {
        let frame = bar(&self.theme).inner_margin(Margin { left: 14, right: 10, top: 1, bottom: 1 });
        let project = topbar::project_name(self.project_file.as_deref(), &self.project.plan);
        let changed = self.is_changed() && self.project_file.is_some();
        Panel::top("top").exact_size(46.0).frame(frame).show(ui, |ui| {
            let bar = topbar::Bar {
                page: self.page,
                project,
                changed,
                undo: self.history.undo_name(),
                redo: self.history.redo_name(),
                recent: &self.recent.projects,
            };
            let mut context = Context {
                view: &self.view,
                project: &self.project,
                graph: &self.network.graph,
                facts: &self.network.facts,
                frontier: &self.network.frontier,
                epoch: self.network.epoch,
                theme: &self.theme,
                thumbs: &self.thumbs,
                actions: &mut self.actions,
            };
            topbar::ui(ui, &mut context, &bar);
        });
    }

    fn bottom(&mut self, ui: &mut Ui) {
        let frame = bar(&self.theme).inner_margin(Margin::symmetric(12, 1));
        Panel::bottom("status").exact_size(30.0).frame(frame).show(ui, |ui| {
            let (mut ctx, ..) = self.context();
            status::ui(ui, &mut ctx);
        });
    }

    fn workbench(&mut self, ui: &mut Ui) {
        let roomy = ui.available_width() >= ROOMY;
        let side = bar(&self.theme).inner_margin(Margin { left: 10, right: 6, top: 8, bottom: 6 });
        if self.page == Page::Train {
            let frame = bar(&self.theme);
            let height = (ui.available_height() * 0.29).clamp(170.0, 260.0);
            Panel::bottom("dock").resizable(true).default_size(height).min_size(110.0).frame(frame).show(ui, |ui| {
                let (mut ctx, _, panels) = self.context();
                panels::dock::ui(ui, &mut ctx, &mut panels.dock, &mut panels.textures);
                ui.take_available_space();
            });
        }
        if self.page == Page::Model {
            self.transfer(ui);
        }
        if self.list_open.unwrap_or(roomy) {
            Panel::left("models").default_size(204.0).size_range(150.0..=340.0).frame(side).show(ui, |ui| {
                let hide = header(ui, &self.theme, "Model", "Hide the list");
                if hide {
                    self.list_open = Some(false);
                }
                let (mut ctx, ..) = self.context();
                models::ui(ui, &mut ctx);
            });
        } else if rail(ui, &self.theme, true, Icon::Layers, "Show models and weights") {
            self.list_open = Some(true);
        }
        let inspected = bar(&self.theme).inner_margin(Margin { left: 14, right: 8, top: 12, bottom: 6 });
        if self.inspector_open.unwrap_or(roomy) {
            Panel::right("inspector").default_size(262.0).size_range(220.0..=420.0).frame(inspected).show(ui, |ui| {
                let (mut ctx, canvas, _) = self.context();
                inspector::ui(ui, &mut ctx, canvas);
            });
            if !roomy && rail(ui, &self.theme, false, Icon::Right, "Hide the inspector") {
                self.inspector_open = Some(false);
            }
        } else if rail(ui, &self.theme, false, Icon::Sliders, "Show the inspector") {
            self.inspector_open = Some(true);
        }
        CentralPanel::default().frame(Frame::new().fill(self.theme.canvas())).show(ui, |ui| {
            let (mut ctx, canvas, _) = self.context();
            graph::ui(ui, &mut ctx, canvas);
        });
    }

    /// How the weights go over, once that is known.
    fn transfer(&mut self, ui: &mut Ui) {
        let frame = bar(&self.theme);
        let height = (ui.available_height() * 0.32).clamp(180.0, 290.0);
        let (mut ctx, _, panels) = self.context();
        let Some(report) = ctx.load() else { return };
        let panel = if panels.transfer.folded {
            Panel::bottom("transfer folded").exact_size(panels::transfer::TITLE)
        } else {
            Panel::bottom("transfer").resizable(true).default_size(height).min_size(110.0)
        };
        panel.frame(frame).show(ui, |ui| {
            panels::transfer::ui(ui, &mut ctx, &mut panels.transfer, report);
            ui.take_available_space();
        });
    }

    fn above(&mut self, ui: &mut Ui) {
        let (mut ctx, _, panels) = self.context();
        panels.viewer(ui, &mut ctx);
        self.toasts.ui(ui, &self.theme, &mut self.actions);
        self.close.ui(ui, &self.theme, &mut self.actions);
        self.run_sheet.ui(ui, &self.theme, &self.project.plan.data, &mut self.actions);
        if self.help && help::ui(ui, &self.theme) {
            self.help = false;
        }
        drop_overlay::ui(ui, &self.theme);
    }
}

fn other_page(ui: &mut Ui, ctx: &mut Context<'_>, panels: &mut Panels, page: Page) {
    let textures = &mut panels.textures;
    match page {
        Page::Data => panels::data_page::ui(ui, ctx, &mut panels.data, textures),
        Page::Evaluate => panels::evaluate_page::ui(ui, ctx, &mut panels.evaluate, textures),
        Page::Predict => panels::predict_page::ui(ui, ctx, &mut panels.predict, textures),
        Page::Export => panels::export_page::ui(ui, ctx, &mut panels.export),
        Page::Model | Page::Train => {}
    }
}

fn bar(theme: &Theme) -> Frame {
    Frame::new().fill(theme.panel)
}

fn header(ui: &mut Ui, theme: &Theme, title: &str, hide: &str) -> bool {
    let mut hidden = false;
    ui.horizontal(|ui| {
        ui.add_space(2.0);
        ui.label(widgets::bold(title.to_uppercase(), 10.5).color(theme.weak));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            hidden = widgets::icon_button(ui, theme, Icon::Minus, hide).clicked();
        });
    });
    hidden
}

fn rail(ui: &mut Ui, theme: &Theme, left: bool, icon: Icon, name: &str) -> bool {
    let panel = if left { Panel::left("left rail") } else { Panel::right("right rail") };
    let frame = bar(theme).inner_margin(Margin::symmetric(7, 10));
    panel
        .exact_size(RAIL)
        .resizable(false)
        .frame(frame)
        .show(ui, |ui| widgets::icon_button(ui, theme, icon, name).clicked())
        .inner
}
