//! The program's window: `logic` receives and performs, `ui` only draws.

mod close;
mod dialogs;
mod draw;
mod history;
mod network;
mod perform;
mod predict;
mod reveal;
mod run_sheet;
mod shot;

pub use shot::Shot;

use super::action::{Action, Page};
use super::graph::GraphState;
use super::keys::{self, Does, Holder};
use super::panels::Panels;
use super::ready;
use super::shell::toasts::Toasts;
use super::style;
use super::theme::Theme;
use crate::data::Severity;
use crate::graph::GraphError;
use crate::session::{Command, Event, Project, Recent, Session, Thumbnails, View, WeightsState};
use close::Close;
use dialogs::Dialogs;
use history::History;
use network::Network;
use run_sheet::RunSheet;
use shot::Camera;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of small pictures that are kept.
const THUMBNAILS: usize = 256 << 20;

/// Everything behind the window.
pub struct App {
    session: Session,
    view: View,
    project: Project,
    project_file: Option<PathBuf>,
    /// The project as it is on disk, or as it was new.
    saved: Project,
    recent: Recent,
    history: History,
    network: Network,
    theme: Theme,
    thumbs: Thumbnails,
    actions: Vec<Action>,
    page: Page,
    canvas: GraphState,
    panels: Panels,
    toasts: Toasts,
    dialogs: Dialogs,
    close: Close,
    run_sheet: RunSheet,
    help: bool,
    /// Whether the list and the inspector are open; none while that follows the window's width.
    list_open: Option<bool>,
    inspector_open: Option<bool>,
    camera: Option<Camera>,
    /// A learning rate that waits until it is not being dragged any more.
    pending_lr: Option<(f64, Instant)>,
    /// A checkpoint that was just opened and has not been compared yet: it may bring its model along.
    opened_weights: Option<PathBuf>,
    /// What was asked of the session and is not answered yet: to wait, or to go on.
    pause_wanted: Option<bool>,
    title: String,
    /// Events that the last frame took in.
    frame_events: usize,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("page", &self.page).field("project", &self.project_file).finish_non_exhaustive()
    }
}

impl App {
    /// The app over a session, with a new project or one that was read from `file`.
    ///
    /// # Errors
    /// When the registry holds no model that can be built.
    pub fn new(
        ctx: &egui::Context,
        session: Session,
        project: Project,
        file: Option<PathBuf>,
    ) -> Result<Self, GraphError> {
        let theme = Theme::dark();
        style::install_fonts(ctx);
        style::apply(ctx, &theme);
        let network = Network::new(&project.plan)?;
        let waker = ctx.clone();
        // (Without any delay egui draws twice.)
        let wake = Arc::new(move || waker.request_repaint_after(Duration::from_millis(1)));
        let mut canvas = GraphState::default();
        canvas.show(&network.graph);
        if file.is_some() {
            canvas = GraphState::with_folded(&network.graph, &project.folded);
        }
        let mut app = Self {
            session,
            view: View::default(),
            page: shot::page(&project.page).unwrap_or_default(),
            saved: project.clone(),
            project,
            project_file: file,
            recent: Recent::default(),
            history: History::default(),
            network,
            theme,
            thumbs: Thumbnails::new(THUMBNAILS, wake),
            actions: Vec::new(),
            canvas,
            panels: Panels::default(),
            toasts: Toasts::default(),
            dialogs: Dialogs::default(),
            close: Close::default(),
            run_sheet: RunSheet::default(),
            help: false,
            list_open: None,
            inspector_open: None,
            camera: None,
            pending_lr: None,
            opened_weights: None,
            pause_wanted: None,
            title: String::new(),
            frame_events: 0,
        };
        app.open_sources();
        Ok(app)
    }

    /// Takes the list of projects that were opened lately.
    pub fn set_recent(&mut self, recent: Recent) {
        self.recent = recent;
    }

    /// Draws the window into a file and closes it.
    pub fn set_shot(&mut self, ctx: &egui::Context, shot: Shot) {
        if shot.light {
            self.set_theme(ctx, Theme::light());
        }
        if let Some(page) = shot.page {
            self.page = page;
        }
        self.camera = Some(Camera::new(shot));
    }

    /// Switches the theme.
    pub fn set_theme(&mut self, ctx: &egui::Context, theme: Theme) {
        style::apply(ctx, &theme);
        self.theme = theme;
    }

    /// What is set up.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// What the session says.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The page that is open.
    #[must_use]
    pub fn page(&self) -> Page {
        self.page
    }

    /// Notes on screen.
    #[must_use]
    pub fn toasts(&self) -> Vec<&str> {
        self.toasts.texts()
    }

    /// Events that the last frame took in.
    #[must_use]
    pub fn frame_events(&self) -> usize {
        self.frame_events
    }

    /// Does what a person could do.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn receive(&mut self, ctx: &egui::Context) {
        let events = self.session.drain();
        self.frame_events = events.len();
        for event in events {
            let done = matches!(event, Event::Done { .. });
            match &event {
                Event::RunStarted(info) if self.project.runs.last() != Some(&info.folder) => {
                    self.project.runs.push(info.folder.clone());
                }
                Event::Failed { run_stopped: false, .. } => {
                    self.opened_weights = None;
                    self.give_up_pending();
                }
                Event::CheckpointReady(_) => self.opened_weights = None,
                Event::DataReady(_) => self.thumbs.clear(),
                Event::Paused | Event::Resumed | Event::Done { .. } => self.pause_wanted = None,
                _ => {}
            }
            let changed = match &event {
                Event::Evaluated(evaluation) => Some(evaluation.source.clone()),
                Event::Epoch(_) | Event::Done { .. } => self.view.run.as_ref().map(|run| run.info.folder.clone()),
                _ => None,
            };
            if let Some(run) = changed {
                self.panels.evaluate.forget(&run);
            }
            let data_came = matches!(event, Event::DataReady(_));
            let weights_came =
                matches!(&event, Event::Weights { file, state: WeightsState::Here { .. } } if self.is_chosen(file));
            let belongs = match &event {
                Event::CheckpointOfOther(belongs) => Some(belongs.clone()),
                _ => None,
            };
            self.view.fold(event);
            if let Some(belongs) = belongs {
                self.take_checkpoint_of_other(&belongs);
            }
            if data_came || weights_came {
                self.inspect_weights();
            }
            if done && self.close.closes_when_done() {
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            }
        }
        self.toasts.follow(&self.view);
    }

    /// Whether this is the file of the public weights that the plan names.
    fn is_chosen(&self, file: &str) -> bool {
        let plan = &self.project.plan;
        ready::chosen_public(&plan.model, &plan.weights).is_some_and(|weights| weights.file == file)
    }

    /// A change that the run refused is not wanted any more.
    fn give_up_pending(&mut self) {
        if let Some(run) =
            self.view.run.as_ref().filter(|run| self.view.is_training() && self.network.is_of(&run.info.graph))
        {
            self.project.plan.override_freeze(run.epoch(), run.freeze.clone());
        }
    }

    fn take_input(&mut self, ctx: &egui::Context) {
        let dropped = ctx.input(|input| input.raw.dropped_files.clone());
        if !dropped.is_empty() {
            self.actions.push(Action::Open(dropped.iter().map(|file| file.path().to_path_buf()).collect()));
        }
        let holder = self.keyboard_holder(ctx);
        for does in ctx.input_mut(|input| keys::pressed(input, holder, self.has_graph())) {
            self.key(does);
        }
        if let Some((ask, paths)) = self.dialogs.poll() {
            self.chosen(&ask, paths);
        }
        self.close.follow(ctx, &self.view, self.needs_saving());
    }

    fn keyboard_holder(&self, ctx: &egui::Context) -> Holder {
        if self.help || self.close.is_asking() || self.run_sheet.is_asking() || self.panels.viewer.shown().is_some() {
            Holder::Modal
        } else if self.canvas.find.is_some() || ctx.text_edit_focused() || egui::Popup::is_any_open(ctx) {
            Holder::Text
        } else if ctx.egui_wants_keyboard_input() {
            Holder::Control
        } else {
            Holder::Nobody
        }
    }

    fn key(&mut self, does: Does) {
        let action = match does {
            Does::Undo => Action::Undo,
            Does::Redo => Action::Redo,
            Does::New => Action::NewProject,
            Does::Open => Action::AskProject,
            Does::Save => Action::Save { ask: false },
            Does::SaveAs => Action::Save { ask: true },
            Does::Show(page) => Action::Show(page),
            Does::Start => Action::Start,
            Does::PauseResume => match self.view.run.as_ref().filter(|_| self.view.is_training()) {
                Some(run) => {
                    let paused = self.pause_wanted.unwrap_or(run.phase == crate::session::Phase::Paused);
                    Action::Send(if paused { Command::Resume } else { Command::Pause })
                }
                None => return,
            },
            Does::Theme => Action::ToggleTheme,
            Does::Help => Action::ToggleHelp,
            Does::Quit => Action::Quit,
            Does::Panel => return,
            Does::Deselect if self.page == Page::Predict => return self.panels.predict.prompt.clear(),
            _ => return self.canvas_key(does),
        };
        self.actions.push(action);
    }

    fn say(&mut self, severity: Severity, text: impl Into<String>) {
        let text = text.into();
        self.toasts.add(severity, text.clone());
        self.view.say(severity, text);
    }

    /// Whether the project's file is older than what is set up.
    fn needs_saving(&self) -> bool {
        self.project_file.is_some() && self.is_changed()
    }

    fn is_changed(&self) -> bool {
        self.project.plan != self.saved.plan
            || self.project.runs != self.saved.runs
            || self.project.hidden_runs != self.saved.hidden_runs
    }

    fn set_title(&mut self, ctx: &egui::Context) {
        let name = super::shell::topbar::project_name(self.project_file.as_deref(), &self.project.plan);
        let title = format!("{name}{} – Frostline", if self.is_changed() { " •" } else { "" });
        if title != self.title {
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.title = title;
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.receive(ctx);
        self.take_input(ctx);
        for action in std::mem::take(&mut self.actions) {
            self.perform(ctx, action);
        }
        self.send_pending_lr(ctx);
        if let Some(problem) =
            self.network.update(&self.project.plan, &self.view, self.panels.dock.losses.timeline.epoch)
        {
            self.say(Severity::Error, problem);
        }
        self.set_title(ctx);
        if self.camera.as_mut().is_some_and(|camera| camera.tick(ctx, &self.view)) {
            self.act(Action::Start);
        }
        if self.camera.as_ref().is_some_and(Camera::is_done) {
            self.close.agree();
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.draw(ui);
        if !self.actions.is_empty() {
            ui.ctx().request_repaint();
        }
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        self.theme.background.to_normalized_gamma_f32()
    }
}
