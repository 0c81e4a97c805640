//! Performing what a person did.

use super::App;
use super::dialogs::Ask;
use crate::data::Severity;
use crate::session::{Belongs, BoxOutput, Command, Project, WeightsCommand, WeightsState, Which, find_model};
use crate::train::{DataSource, Plan, WeightsSource, starting_from_run, with_data};
use crate::ui::action::{Action, Page};
use crate::ui::context::Context;
use crate::ui::drops::{self, Kind};
use crate::ui::graph::{edit, fold_all};
use crate::ui::keys::Does;
use crate::ui::panels::dock::Tab;
use crate::ui::shell::topbar::project_name;
use crate::ui::theme::Theme;
use crate::ui::{folders, ready};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A learning rate is handed to the run when it has not changed for this time.
const LR_RESTS: Duration = Duration::from_millis(400);

impl App {
    pub(super) fn perform(&mut self, ctx: &egui::Context, action: Action) {
        match action {
            Action::Edit { name, plan } => {
                let before = self.project.plan.clone();
                if *plan != before {
                    self.history.push(&name, before);
                    self.set_plan(*plan);
                }
            }
            Action::Undo => match self.history.undo(&self.project.plan) {
                Some((name, plan)) => self.step_to(&format!("Undone: {name}"), plan),
                None => self.say(Severity::Note, "There is nothing to undo."),
            },
            Action::Redo => match self.history.redo(&self.project.plan) {
                Some((name, plan)) => self.step_to(&format!("Redone: {name}"), plan),
                None => self.say(Severity::Note, "There is nothing to redo."),
            },
            Action::Send(command) => self.send(command),
            Action::Start => self.start(),
            Action::FindLr => self.find_lr(),
            Action::Show(page) => self.show(page),
            Action::Select(name) => {
                if name.is_none() {
                    self.inspector_open = Some(true).filter(|_| self.inspector_open.is_some());
                }
                self.project.selected = name;
            }
            Action::Fold(stage) => self.canvas.toggle(&stage),
            Action::Open(paths) => self.open(&paths),
            Action::AskData => self.ask(ctx, Ask::Data),
            Action::AskWeights => self.ask(ctx, Ask::Weights),
            Action::AskEvaluate(run) => self.ask(ctx, Ask::Evaluate(run)),
            Action::PredictWith(run) => {
                self.panels.predict.from = Some(run);
                self.show(Page::Predict);
            }
            Action::ForgetRun(run) => self.forget_run(run),
            Action::AskRun => self.ask(ctx, Ask::Run),
            Action::StartFrom(run) => self.start_from(&run),
            Action::AskPictures => self.ask(ctx, Ask::Pictures),
            Action::AskSaveBoxes(choice) => self.ask(ctx, Ask::Boxes(choice)),
            Action::AskSaveMasks(least) => self.ask(ctx, Ask::Masks(least)),
            Action::AskSaveDrawn => self.ask(ctx, Ask::Drawn),
            Action::AskProject => self.ask(ctx, Ask::Project),
            Action::AskExport(format) => {
                let run = self.run_at_hand();
                let folder = run.as_ref().and_then(|run| run.file_name()).map(|name| name.to_string_lossy());
                let model = self.view.run.as_ref().map(|run| run.info.plan.model.as_str());
                let name = model.or(folder.as_deref()).unwrap_or("model");
                let ask = Ask::Export(format!("{name}.{}", format.extension()));
                self.ask(ctx, ask);
            }
            Action::Save { ask } => self.save(ctx, ask),
            Action::NewProject => self.replace_project(None, Project::sample()),
            Action::ShowImage(index) => self.panels.viewer.show(index),
            Action::ShowEvaluated { evaluation, head, index, order } => {
                self.panels.viewer.show_evaluated((evaluation, head), index, order);
            }
            Action::Say(text) => self.say(Severity::Note, text),
            Action::Reveal(folder) => {
                if let Err(problem) = super::reveal::reveal(&folder) {
                    ctx.copy_text(folder.display().to_string());
                    self.say(Severity::Warning, format!("{problem} The folder's path is on the clipboard."));
                }
            }
            Action::Copy(text) => ctx.copy_text(text),
            Action::ToggleTheme => {
                let theme = if self.theme.dark { Theme::light() } else { Theme::dark() };
                self.set_theme(ctx, theme);
            }
            Action::ToggleHelp => self.help = !self.help,
            Action::Quit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
        }
    }

    pub(super) fn show(&mut self, page: Page) {
        self.page = page;
        let name = crate::ui::shell::topbar::title(page).to_lowercase();
        self.project.page = name;
    }

    fn step_to(&mut self, note: &str, plan: Plan) {
        self.set_plan(plan);
        self.say(Severity::Note, note);
    }

    pub(super) fn send(&mut self, command: Command) {
        match command {
            Command::Pause => self.pause_wanted = Some(true),
            Command::Resume => self.pause_wanted = Some(false),
            _ => {}
        }
        if let Err(problem) = self.session.send(command) {
            self.say(Severity::Error, problem);
        }
    }

    /// Takes a plan over and tells the session what follows from it.
    fn set_plan(&mut self, plan: Plan) {
        let before = std::mem::replace(&mut self.project.plan, plan);
        let plan = &self.project.plan;
        // A set that has boxes and masks is read for the one or the other.
        let (read, wanted) = (self.view.data.as_ref().map(|data| data.task), plan.task());
        let task = plan.task() != before.task() && read != wanted && matches!(plan.data, DataSource::Path(_));
        let data = plan.data != before.data || plan.val != before.val || plan.seed != before.seed || task;
        let model = plan.model != before.model;
        let weights = plan.weights != before.weights || model || plan.head != before.head;
        let epoch = self.network.epoch;
        let now = plan.phase(epoch).freeze;
        let freeze = (now != before.phase(epoch).freeze).then(|| now.clone());
        let coming = |plan: &Plan| plan.timeline.iter().filter(|p| p.from_epoch > epoch).cloned().collect::<Vec<_>>();
        let timeline = (coming(plan) != coming(&before)).then(|| plan.timeline.clone());
        let lr = (plan.lr.to_bits() != before.lr.to_bits()).then_some(plan.lr);
        if data {
            self.open_data();
        }
        if model {
            self.look_for_weights();
        }
        if weights {
            self.inspect_weights();
        }
        if self.is_running_this() {
            if let Some(freeze) = freeze {
                self.send(Command::SetFreeze(freeze));
            }
            if let Some(timeline) = timeline {
                self.send(Command::SetTimeline(timeline));
            }
            if let Some(lr) = lr {
                self.pending_lr = Some((lr, Instant::now()));
            }
        }
    }

    /// Whether the run that is in progress trains the network of the plan.
    fn is_running_this(&self) -> bool {
        let run = self.view.run.as_ref().filter(|_| self.view.is_training());
        run.is_some_and(|run| self.network.is_of(&run.info.graph) && run.info.plan.model == self.project.plan.model)
    }

    pub(super) fn send_pending_lr(&mut self, ctx: &egui::Context) {
        let Some((lr, since)) = self.pending_lr else { return };
        if since.elapsed() < LR_RESTS {
            ctx.request_repaint_after(LR_RESTS);
            return;
        }
        self.pending_lr = None;
        if self.is_running_this() {
            self.send(Command::SetLr(lr));
        }
    }

    /// Opens what the project names.
    pub(super) fn open_sources(&mut self) {
        self.open_data();
        self.look_for_weights();
        self.inspect_weights();
    }

    /// Asks which public weights of the model are on this machine.
    fn look_for_weights(&mut self) {
        let model = self.project.plan.model.clone();
        if find_model(&model).is_ok_and(|variant| !variant.weights.is_empty()) {
            self.send(Command::Weights(WeightsCommand::Look { model }));
        }
    }

    fn open_data(&mut self) {
        let plan = &self.project.plan;
        let command = match &plan.data {
            DataSource::Sample => Command::OpenSample,
            DataSource::Path(path) => {
                Command::OpenData { path: path.clone(), val: plan.val.clone(), seed: plan.seed, task: plan.task() }
            }
        };
        self.send(command);
    }

    /// Asks how the checkpoint maps onto the model, as soon as the data says how many classes there are.
    pub(super) fn inspect_weights(&mut self) {
        let source = &self.project.plan.weights;
        let here = match ready::chosen_public(&self.project.plan.model, source) {
            Some(weights) => matches!(self.view.weights.get(weights.file), Some(WeightsState::Here { .. })),
            None => matches!(source, WeightsSource::File(_)),
        };
        if here && self.view.data.is_some() {
            self.send(Command::InspectWeights(Box::new(self.project.plan.clone())));
        }
    }

    /// A checkpoint that fits another model than the plan's brings its model along when it is opened. Afterwards (the
    /// switch was undone, the model was chosen by hand) the choice is the person's: the weights card offers it.
    pub(super) fn take_checkpoint_of_other(&mut self, belongs: &Belongs) {
        let opened = self.opened_weights.take().is_some_and(|path| path == belongs.file);
        match find_model(belongs.model) {
            Ok(variant) if opened && !self.view.is_training() => {
                let name = belongs.file.file_name().unwrap_or_default().to_string_lossy();
                self.edit(&format!("Choose {}", variant.title), |plan| plan.choose(&variant));
                let text =
                    format!("{name} is a {}, which is now the model. Undo brings the other one back.", variant.title);
                self.say(Severity::Note, text);
            }
            _ => self.say(Severity::Warning, format!("{}.", belongs.what)),
        }
    }

    fn start(&mut self) {
        if self.view.is_training() {
            return self.say(Severity::Warning, "A run is in progress already.");
        }
        let first = self.with_context(|ctx, _| ready::reasons(ctx).into_iter().next());
        if let Some(reason) = first {
            return self.say(Severity::Warning, format!("The run cannot start. {}", reason.text));
        }
        match folders::new_run(self.project_file.as_deref(), &self.project.plan.model) {
            Ok(out) => {
                let plan = Box::new(self.project.plan.clone());
                self.send(Command::Start { plan, out });
                self.show(Page::Train);
            }
            Err(problem) => self.say(Severity::Error, problem),
        }
    }

    /// Sweeps the learning rate for the plan, and shows it.
    fn find_lr(&mut self) {
        let busy = self.view.is_training().then(|| "A run is in progress; finish or cancel it first.".to_owned());
        let reason = self.with_context(|ctx, _| ready::reasons(ctx).into_iter().next());
        if let Some(problem) = busy.or(reason.map(|reason| reason.text)) {
            return self.say(Severity::Warning, format!("The learning rate cannot be swept. {problem}"));
        }
        let (plan, sweep) = (Box::new(self.project.plan.clone()), self.panels.dock.sweep);
        self.send(Command::FindLr { plan, sweep });
        self.panels.dock.tab = Tab::Finder;
        if !matches!(self.page, Page::Model | Page::Train) {
            self.show(Page::Train);
        }
    }

    fn ask(&mut self, ctx: &egui::Context, ask: Ask) {
        if let Err(problem) = self.dialogs.ask(ask, ctx) {
            self.say(Severity::Warning, problem);
        }
    }

    /// What a dialog returned.
    pub(super) fn chosen(&mut self, ask: &Ask, paths: Vec<PathBuf>) {
        let Some(first) = paths.first().cloned() else { return };
        match ask {
            Ask::Data => self.edit("Open data", |plan| *plan = with_data(plan, DataSource::Path(first))),
            Ask::Weights => self.open_weights("Open checkpoint", first),
            Ask::Evaluate(run) => {
                let data = Some(DataSource::Path(first));
                self.send(Command::Evaluate { from: run.clone(), data, which: Which::Auto });
            }
            Ask::Run => self.start_from(&first),
            Ask::Pictures => self.predict(paths),
            Ask::Boxes(choice) => {
                if let Some(predictions) = self.view.predictions.clone() {
                    self.send(Command::SaveBoxes { predictions, choice: *choice, to: first });
                }
            }
            Ask::Masks(least) => {
                if let Some(predictions) = self.view.predictions.clone() {
                    self.send(Command::SaveMasks { predictions, least: *least, to: first });
                }
            }
            Ask::Drawn => self.send(self.panels.predict.prompt.save_command(first)),
            Ask::Project => self.load_project(&first),
            Ask::SaveAs(_) => self.write_project(first),
            Ask::Export(_) => {
                if let Some(from) = self.run_at_hand() {
                    let boxes = BoxOutput { form: self.panels.export.boxes, ..BoxOutput::default() };
                    self.send(Command::Export { from, to: first, boxes });
                }
            }
        }
    }

    fn start_from(&mut self, run: &Path) {
        match starting_from_run(&self.project.plan, run) {
            Ok(plan) => {
                let name = run.file_name().unwrap_or_default().to_string_lossy();
                self.actions.push(Action::Edit { name: format!("Start from {name}"), plan: Box::new(plan) });
            }
            Err(problem) => self.say(Severity::Error, problem),
        }
    }

    fn edit(&mut self, name: &str, change: impl FnOnce(&mut Plan)) {
        let mut plan = self.project.plan.clone();
        change(&mut plan);
        self.actions.push(Action::Edit { name: name.to_owned(), plan: Box::new(plan) });
    }

    fn open_weights(&mut self, name: &str, path: PathBuf) {
        self.opened_weights = Some(path.clone());
        self.edit(name, |plan| plan.weights = WeightsSource::File(path));
    }

    /// Opens what was dropped.
    fn open(&mut self, paths: &[PathBuf]) {
        let pictures: Vec<PathBuf> = paths.iter().filter(|path| drops::kind(path) == Kind::Picture).cloned().collect();
        if !pictures.is_empty() {
            return self.predict(pictures);
        }
        let Some(path) = paths.first().cloned() else { return };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match drops::kind(&path) {
            Kind::Data => {
                self.edit(&format!("Open {name}"), |plan| *plan = with_data(plan, DataSource::Path(path)));
                self.show(Page::Data);
            }
            Kind::Weights if self.take_in(&path, &name) => self.show(Page::Model),
            Kind::Weights => {
                self.open_weights(&format!("Load {name}"), path);
                // Where the load report stands.
                self.show(Page::Model);
            }
            Kind::Project => self.load_project(&path),
            Kind::Run => {
                if let Err(problem) = self.run_sheet.ask(&path) {
                    self.say(Severity::Error, problem);
                }
            }
            Kind::Picture => {}
            Kind::Unknown => self.say(
                Severity::Warning,
                format!("{name} is not a data folder, a checkpoint, a picture, a project or a run."),
            ),
        }
    }

    /// Takes a run off the list; its folder stays.
    fn forget_run(&mut self, run: PathBuf) {
        self.project.runs.retain(|known| *known != run);
        self.say(Severity::Note, format!("Off the list; its files stay in {}", run.display()));
        self.project.hidden_runs.push(run);
    }

    /// A file that is named as public weights of the model are is compared with them and used as them.
    fn take_in(&mut self, path: &Path, name: &str) -> bool {
        let model = self.project.plan.model.clone();
        let variant = find_model(&model).ok();
        let found = variant.and_then(|variant| variant.weights.into_iter().find(|weights| weights.file == name));
        let Some(weights) = found else { return false };
        let entry = weights.name.to_owned();
        self.edit(&format!("Use {entry}"), |plan| plan.weights = WeightsSource::Public { entry: entry.clone() });
        self.send(Command::Weights(WeightsCommand::TakeIn { path: path.to_path_buf(), model, entry }));
        true
    }

    fn load_project(&mut self, path: &Path) {
        match Project::load(path) {
            Ok(project) => {
                self.replace_project(Some(path.to_path_buf()), project);
                self.remember(path);
            }
            Err(problem) => self.say(Severity::Error, problem),
        }
    }

    fn replace_project(&mut self, file: Option<PathBuf>, project: Project) {
        if self.view.is_training() {
            return self.say(Severity::Warning, "A run is in progress; finish or cancel it before another project.");
        }
        self.history.clear();
        self.panels.evaluate = crate::ui::panels::evaluate_page::EvaluateState::default();
        self.page = super::shot::page(&project.page).unwrap_or_default();
        self.saved = project.clone();
        self.project = project;
        self.project_file = file;
        self.network.update(&self.project.plan, &self.view, 1);
        self.canvas = crate::ui::graph::GraphState::with_folded(&self.network.graph, &self.project.folded);
        let stray = self.project.plan.retain_known(&self.network.graph);
        if !stray.is_empty() {
            let text = format!("The project froze nodes that the model does not have: {}.", stray.join(", "));
            self.say(Severity::Warning, text);
        }
        self.open_sources();
    }

    fn save(&mut self, ctx: &egui::Context, ask: bool) {
        match self.project_file.clone().filter(|_| !ask) {
            Some(path) => self.write_project(path),
            None => {
                let name = project_name(self.project_file.as_deref(), &self.project.plan);
                self.ask(ctx, Ask::SaveAs(format!("{name}.frostline.json")));
            }
        }
    }

    fn write_project(&mut self, mut path: PathBuf) {
        if path.extension().is_none() {
            path.set_extension("frostline.json");
        }
        self.project.folded = self.canvas.folded.iter().cloned().collect();
        match self.project.save(&path) {
            Ok(()) => {
                self.saved = self.project.clone();
                self.say(Severity::Note, format!("Saved {}", path.display()));
                self.remember(&path);
                self.project_file = Some(path);
            }
            Err(problem) => self.say(Severity::Error, problem),
        }
    }

    fn remember(&mut self, path: &Path) {
        if let Err(error) = self.recent.add(path) {
            self.say(Severity::Warning, format!("The list of recent projects could not be written: {error}."));
        }
    }

    /// Runs something over the context that panels get; what it pushes is performed with the next frame.
    pub(super) fn with_context<R>(
        &mut self,
        work: impl FnOnce(&mut Context<'_>, &mut crate::ui::graph::GraphState) -> R,
    ) -> R {
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
        work(&mut context, &mut self.canvas)
    }

    /// Whether the page shows the network.
    pub(super) fn has_graph(&self) -> bool {
        matches!(self.page, Page::Model | Page::Train)
    }

    /// Keys that work on the graph.
    pub(super) fn canvas_key(&mut self, does: Does) {
        if !self.has_graph() {
            return;
        }
        self.with_context(|ctx, canvas| match does {
            Does::ToggleFreeze => {
                let nodes = edit::selected(ctx, &canvas.range);
                let name = match (canvas.range.is_empty(), ctx.project.selected.clone()) {
                    (true, Some(name)) => name,
                    _ => crate::ui::format::plural(nodes.len(), "node"),
                };
                if nodes.is_empty() {
                    ctx.push(Action::Say("Select a node first, then F freezes or thaws it.".to_owned()));
                } else {
                    edit::toggle(ctx, &name, &nodes);
                }
            }
            Does::Invert => edit::invert(ctx),
            Does::Walk(direction) => canvas.walk(ctx, direction),
            Does::Fit => canvas.fit = true,
            Does::ZoomIn => canvas.zoom_next = 1.25,
            Does::ZoomOut => canvas.zoom_next = 0.8,
            Does::FoldAll => fold_all(ctx, canvas),
            Does::Find => canvas.open_find(),
            Does::Deselect => {
                canvas.range.clear();
                ctx.push(Action::Select(None));
            }
            _ => {}
        });
    }
}
