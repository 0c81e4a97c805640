//! The bar at the top: name and project, the pages with their numbers, undo, theme, help.

use crate::session::Phase;
use crate::train::{DataSource, Plan};
use crate::ui::action::{Action, Page};
use crate::ui::context::Context;
use crate::ui::icons::Icon;
use crate::ui::panels::format::metric as metric_name;
use crate::ui::style::{regular, strong};
use crate::ui::{format, widgets};
use egui::accesskit::Role;
use egui::{Align, CursorIcon, Layout, Rect, RichText, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};
use std::path::PathBuf;

/// What the bar needs besides the context.
#[derive(Debug)]
pub struct Bar<'a> {
    /// The page that is open.
    pub page: Page,
    /// Name of the project.
    pub project: String,
    /// Whether it has changes that are not on disk.
    pub changed: bool,
    /// Name of the step that undo takes back.
    pub undo: Option<&'a str>,
    /// Name of the step that redo makes again.
    pub redo: Option<&'a str>,
    /// Projects that were opened lately.
    pub recent: &'a [PathBuf],
}

/// Draws the bar.
pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>, bar: &Bar<'_>) {
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        logo(ui, ctx);
        project_menu(ui, ctx, bar);
        ui.add_space(18.0);
        for page in [Page::Data, Page::Model, Page::Train, Page::Evaluate, Page::Predict, Page::Export] {
            tab(ui, ctx, page, page == bar.page);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if widgets::icon_button(ui, ctx.theme, Icon::Help, "Keys and help (?)").clicked() {
                ctx.push(Action::ToggleHelp);
            }
            let (icon, name) = if ctx.theme.dark { (Icon::Sun, "Light theme") } else { (Icon::Moon, "Dark theme") };
            if widgets::icon_button(ui, ctx.theme, icon, name).clicked() {
                ctx.push(Action::ToggleTheme);
            }
            ui.add_space(8.0);
            step(ui, ctx, Icon::Redo, "Redo", bar.redo, Action::Redo);
            step(ui, ctx, Icon::Undo, "Undo", bar.undo, Action::Undo);
        });
    });
}

fn logo(ui: &mut Ui, ctx: &Context<'_>) {
    let (rect, _) = ui.allocate_exact_size(vec2(20.0, 20.0), Sense::hover());
    Icon::Snowflake.paint(ui.painter(), rect.center(), 8.5, ctx.theme.ice);
    ui.add_space(2.0);
    ui.label(RichText::new("Frostline").font(strong(15.0)).color(ctx.theme.text));
    ui.add_space(6.0);
}

fn project_menu(ui: &mut Ui, ctx: &mut Context<'_>, bar: &Bar<'_>) {
    let name = format!("{}{}", bar.project, if bar.changed { " •" } else { "" });
    let text = RichText::new(format!("{name}      ")).color(ctx.theme.weak);
    let button = egui::Button::new(text).frame_when_inactive(false);
    let response = ui.add(button).accessible_name(format!("Project {}", bar.project));
    let at = response.rect.right_center() - vec2(15.0, -1.0);
    Icon::Down.paint(ui.painter(), at, 4.0, ctx.theme.weak);
    let hint = if bar.changed { "Project with changes that are not saved" } else { "Project" };
    egui::Popup::menu(&response).show(|ui| {
        ui.set_min_width(220.0);
        for (text, keys, action) in [
            ("New project", "Ctrl+N", Action::NewProject),
            ("Open project…", "Ctrl+O", Action::AskProject),
            ("Save", "Ctrl+S", Action::Save { ask: false }),
            ("Save as…", "Ctrl+Shift+S", Action::Save { ask: true }),
        ] {
            if ui.add(egui::Button::new(text).shortcut_text(keys)).clicked() {
                ctx.push(action);
                ui.close();
            }
        }
        ui.separator();
        if ui.button("Open a data folder…").clicked() {
            ctx.push(Action::AskData);
            ui.close();
        }
        if ui.button("Open a checkpoint…").clicked() {
            ctx.push(Action::AskWeights);
            ui.close();
        }
        if !bar.recent.is_empty() {
            ui.separator();
            ui.label(RichText::new("Recent").size(11.0).color(ctx.theme.weak));
        }
        for path in bar.recent.iter().take(8) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let response = ui.button(name.trim_end_matches(".frostline.json").to_owned());
            if response.clicked() {
                ctx.push(Action::Open(vec![path.clone()]));
                ui.close();
            }
            response.on_hover_text(path.display().to_string());
        }
    });
    response.on_hover_text(hint);
}

fn step(ui: &mut Ui, ctx: &mut Context<'_>, icon: Icon, verb: &str, name: Option<&str>, action: Action) {
    let text =
        name.map_or_else(|| format!("{verb}: nothing to {}", verb.to_lowercase()), |name| format!("{verb}: {name}"));
    let response = widgets::icon_button_tinted(ui, ctx.theme, icon, &text, ctx.theme.weak, name.is_some());
    if response.clicked() {
        ctx.push(action);
    }
}

fn tab(ui: &mut Ui, ctx: &mut Context<'_>, page: Page, open: bool) {
    let (title, number) = (title(page), number(ctx, page));
    let color = if open { ctx.theme.text } else { ctx.theme.text.gamma_multiply(0.82) };
    let name = ui.painter().layout_no_wrap(title.to_owned(), strong(13.0), color);
    let weak = if open { ctx.theme.accent } else { ctx.theme.weak };
    let number = ui.painter().layout_no_wrap(number, regular(10.5), weak);
    let width = (name.size().x.max(number.size().x) + 24.0).max(72.0);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 42.0), Sense::click());
    let spoken = format!("{title}, {}", number.text());
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, open, &spoken));
    if open || response.hovered() {
        let fill = if open { ctx.theme.raised } else { ctx.theme.raised.gamma_multiply(0.6) };
        ui.painter().rect_filled(rect, 6.0, fill);
    }
    if open {
        let line = Rect::from_min_max(pos2(rect.left(), rect.bottom() - 2.0), rect.max);
        ui.painter().rect_filled(line, 1.0, ctx.theme.accent);
    }
    if response.has_focus() {
        ui.painter().rect_stroke(rect, 6.0, Stroke::new(1.5, ctx.theme.accent), egui::StrokeKind::Inside);
    }
    let left = rect.left() + 12.0;
    let two_lines = !number.text().is_empty();
    let y = if two_lines { rect.top() + 5.0 } else { rect.center().y - name.size().y / 2.0 };
    let below = y + name.size().y + 1.0;
    ui.painter().galley(pos2(left, y), name, color);
    ui.painter().galley(pos2(left, below), number, weak);
    if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
        ctx.push(Action::Show(page));
    }
}

/// A page's name.
#[must_use]
pub fn title(page: Page) -> &'static str {
    match page {
        Page::Data => "Data",
        Page::Model => "Model",
        Page::Train => "Train",
        Page::Evaluate => "Evaluate",
        Page::Predict => "Predict",
        Page::Export => "Export",
    }
}

/// The live number under a page's name.
fn number(ctx: &Context<'_>, page: Page) -> String {
    let run = ctx.view.run.as_ref();
    match page {
        Page::Data => match &ctx.view.data {
            None => "no data".to_owned(),
            Some(data) => {
                let images = format::plural(data.used(), "image").replacen(
                    &data.used().to_string(),
                    &format::count(data.used() as u64),
                    1,
                );
                match data.issues.len() {
                    0 => format!("{images} ✓"),
                    n => format!("{images} · {}", format::plural(n, "note")),
                }
            }
        },
        Page::Model => {
            let frontier = ctx.frontier;
            format!("{} · {} train", format::short(frontier.params), format::short(frontier.trainable))
        }
        Page::Train => match run {
            None => planned(ctx.plan()),
            Some(run) => {
                let total = run.info.plan.epochs;
                let at = run.step.as_ref().map_or(0, |step| step.epoch).max(run.epochs.last().map_or(0, |e| e.epoch));
                match run.phase {
                    Phase::Running => format!("epoch {at} / {total}"),
                    Phase::Paused => format!("paused, {at} / {total}"),
                    Phase::Ended(_) => format!("done, {at} / {total}"),
                    Phase::Failed => format!("stopped, {at} / {total}"),
                }
            }
        },
        Page::Evaluate => run
            .and_then(|run| run.best.as_ref())
            .map_or_else(String::new, |best| format!("{} {:.3}", metric_name(&best.metric), best.value)),
        Page::Predict => ctx
            .view
            .predictions
            .as_ref()
            .map_or_else(String::new, |predictions| format::plural(predictions.len(), "picture")),
        Page::Export => {
            run.and_then(|run| run.checkpoint.as_ref()).map_or_else(String::new, |_| "checkpoint ✓".to_owned())
        }
    }
}

fn planned(plan: &Plan) -> String {
    format!("{} planned", format::plural(plan.epochs as usize, "epoch"))
}

/// Name of a project: of its file, else of its data.
#[must_use]
pub fn project_name(file: Option<&std::path::Path>, plan: &Plan) -> String {
    if let Some(name) = file.and_then(|file| file.file_name()) {
        let name = name.to_string_lossy();
        return name.trim_end_matches(".json").trim_end_matches(".frostline").to_owned();
    }
    match &plan.data {
        DataSource::Sample => "sample".to_owned(),
        DataSource::Path(path) => path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
    }
}
