//! The export page: where the best weights are, what the file holds, and writing it elsewhere.

use super::{format, kit};
use crate::session::RunView;
use crate::ui::{Action, Context};
use egui::{RichText, Ui, vec2};

/// Draws the page over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>) {
    let (view, theme) = (cx.view, cx.theme);
    let Some(run) = &view.run else {
        let text = "When a run has made its first epoch, its best weights can be written for PyTorch here.";
        kit::empty(ui, theme, "Nothing to export yet", text);
        return;
    };
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let width = 720.0_f32.min(ui.available_width() - 32.0);
        ui.horizontal_top(|ui| {
            ui.add_space(((ui.available_width() - width) / 2.0).max(16.0));
            ui.vertical(|ui| {
                ui.set_width(width);
                ui.add_space(24.0);
                kit::title(ui, theme, "Take the model with you");
                kit::weak(ui, theme, "The file holds every tensor under its torchvision name, as float32.");
                ui.add_space(14.0);
                checkpoint(ui, cx, run);
                ui.add_space(10.0);
                holds(ui, cx, run);
                ui.add_space(10.0);
                loading(ui, cx, run);
            });
        });
    });
}

fn checkpoint(ui: &mut Ui, cx: &mut Context<'_>, run: &RunView) {
    let theme = cx.theme;
    kit::sheet(theme).show(ui, |ui| {
        ui.set_width(ui.available_width());
        kit::caps(ui, theme, "Best checkpoint");
        match &run.best {
            Some(best) => {
                let value = if best.metric.ends_with("loss") {
                    format::number(best.value)
                } else {
                    format::percent(best.value)
                };
                let text = format!("{} {value} at epoch {}", format::metric(&best.metric), best.epoch);
                ui.label(RichText::new(format!("★ {text}")).size(15.0).color(theme.good));
            }
            None => {
                ui.label(RichText::new("It is written after the first epoch.").size(13.0).color(theme.weak));
            }
        }
        if let Some(path) = &run.checkpoint {
            path_row(ui, cx, "file", &path.display().to_string());
        }
        path_row(ui, cx, "run folder", &run.info.folder.display().to_string());
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            if kit::primary_button(ui, theme, "Write .safetensors…").clicked() {
                cx.push(Action::AskExport(crate::session::ExportFormat::Safetensors));
            }
            kit::weak(ui, theme, "a file that needs no Python to be read");
        });
    });
}

fn path_row(ui: &mut Ui, cx: &mut Context<'_>, name: &str, path: &str) {
    let theme = cx.theme;
    ui.horizontal(|ui| {
        let (place, _) = ui.allocate_exact_size(vec2(72.0, 16.0), egui::Sense::hover());
        kit::text_at(ui.painter(), place.left_center(), egui::Align2::LEFT_CENTER, name, 12.0, theme.weak, 72.0);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let copy = kit::link_button(ui, theme, "Copy").accessible_name(format!("Copy the path of the {name}"));
            if copy.clicked() {
                cx.push(Action::Copy(path.to_owned()));
            }
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                let text = RichText::new(path).monospace().size(12.0).color(theme.text);
                ui.add(egui::Label::new(text).truncate()).on_hover_text(path);
            });
        });
    });
}

fn holds(ui: &mut Ui, cx: &mut Context<'_>, run: &RunView) {
    let theme = cx.theme;
    let graph = &run.info.graph;
    kit::sheet(theme).show(ui, |ui| {
        ui.set_width(ui.available_width());
        kit::caps(ui, theme, "What the file holds");
        kit::key_value(ui, theme, "model", &graph.name);
        kit::key_value(ui, theme, "parameters", &format::count(usize::try_from(run.info.params).unwrap_or(usize::MAX)));
        let size = run.info.params as f64 * 4.0 / (1 << 20) as f64;
        kit::key_value(ui, theme, "size, about", &format!("{size:.1} MiB"));
        kit::key_value(ui, theme, "classes", &format::count(run.info.classes.len()));
        let shown = run.info.classes.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
        let more = run.info.classes.len().saturating_sub(12);
        let names = if more > 0 { format!("{shown} and {more} more") } else { shown };
        kit::key_value(ui, theme, "in this order", &names);
        kit::key_value(
            ui,
            theme,
            "input",
            &format!("{0} × {0} pixels, normalized as in training", run.info.plan.size_px),
        );
    });
}

/// The lines of Python that load the file.
fn python(run: &RunView) -> String {
    let name = &run.info.graph.name;
    let classes = run.info.classes.len();
    let published = crate::session::find_model(name).is_ok_and(|model| !model.weights.is_empty());
    if !published {
        return format!("from safetensors.torch import load_file\n\ntensors = load_file(\"{name}.safetensors\")");
    }
    format!(
        "from safetensors.torch import load_file\nfrom torchvision.models import {name}\n\n\
         model = {name}(num_classes={classes})\nmodel.load_state_dict(load_file(\"{name}.safetensors\"))\nmodel.eval()"
    )
}

fn loading(ui: &mut Ui, cx: &mut Context<'_>, run: &RunView) {
    let theme = cx.theme;
    let code = python(run);
    kit::sheet(theme).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            kit::caps(ui, theme, "Load it in PyTorch");
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if kit::link_button(ui, theme, "Copy code").clicked() {
                    cx.push(Action::Copy(code.clone()));
                }
            });
        });
        ui.label(RichText::new(&code).monospace().size(12.5).color(theme.text));
    });
}
