//! The export page: where the best weights are, what the file holds, and writing it elsewhere.

use super::{export_check, format, kit};
use crate::graph::{Detector, HeadKind};
use crate::session::{BoxForm, ExportFormat, RunView};
use crate::ui::{Action, Context, widgets};
use egui::{RichText, Ui, vec2};
use std::path::Path;

/// What the export page remembers.
#[derive(Debug, Default)]
pub struct ExportState {
    /// What a detector's ONNX file is to give.
    pub boxes: BoxForm,
}

/// Draws the page over all the room that `ui` has.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut ExportState) {
    let (view, theme) = (cx.view, cx.theme);
    let run = view.run.as_ref();
    // A project that was opened again has the runs of earlier sessions.
    let folder = run.map(|run| &run.info.folder).or_else(|| cx.project.runs.last());
    let Some(folder) = folder else {
        let text = "When a run has made its first epoch, its best weights can be written for PyTorch and as ONNX here.";
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
                kit::weak(ui, theme, "The best weights of the run, for PyTorch or for any engine that reads ONNX.");
                ui.add_space(14.0);
                checkpoint(ui, cx, state, run, folder);
                ui.add_space(10.0);
                export_check::ui(ui, cx);
                if let Some(run) = run {
                    holds(ui, cx, run);
                    ui.add_space(10.0);
                    code(ui, cx, "PyTorch", &pytorch(run));
                    ui.add_space(10.0);
                    if !proposes(run.info.graph.detector.as_ref()) {
                        code(ui, cx, "ONNX Runtime", &onnx_runtime(run, state.boxes));
                    }
                }
                ui.add_space(16.0);
            });
        });
    });
}

fn checkpoint(ui: &mut Ui, cx: &mut Context<'_>, state: &mut ExportState, run: Option<&RunView>, folder: &Path) {
    let theme = cx.theme;
    // Of an earlier session's run the project's model speaks.
    let detector = run.map_or(&cx.graph.detector, |run| &run.info.graph.detector).as_ref();
    kit::sheet(theme).show(ui, |ui| {
        ui.set_width(ui.available_width());
        kit::caps(ui, theme, "Best checkpoint");
        match run.map(|run| &run.best) {
            Some(Some(best)) => {
                let value = if best.metric.ends_with("loss") {
                    format::number(best.value)
                } else {
                    format::percent(best.value)
                };
                let text = format!("{} {value} at epoch {}", format::metric(&best.metric), best.epoch);
                ui.label(RichText::new(format!("★ {text}")).size(15.0).color(theme.good));
            }
            Some(None) => {
                ui.label(RichText::new("It is written after the first epoch.").size(13.0).color(theme.weak));
            }
            None => {
                ui.label(RichText::new("Of the project's last run.").size(13.0).color(theme.weak));
            }
        }
        if let Some(path) = run.and_then(|run| run.checkpoint.as_ref()) {
            path_row(ui, cx, "file", &path.display().to_string());
        }
        path_row(ui, cx, "run folder", &folder.display().to_string());
        let on = run.is_none_or(|run| run.best.is_some()) && export_check::running(cx).is_none();
        for format in ExportFormat::ALL {
            ui.add_space(8.0);
            let lost = format == ExportFormat::Onnx && proposes(detector);
            offer(ui, cx, format, on && !lost);
        }
        if detector.is_some() && !proposes(detector) {
            ui.add_space(8.0);
            box_form(ui, cx, state);
        }
    });
}

/// Whether it is a detector that proposes regions first: that is not written as ONNX.
fn proposes(detector: Option<&Detector>) -> bool {
    matches!(detector, Some(Detector::TwoStage(_)))
}

/// How far a detector's ONNX file goes.
fn box_form(ui: &mut Ui, cx: &Context<'_>, state: &mut ExportState) {
    let theme = cx.theme;
    ui.label(RichText::new("What the ONNX file of this detector gives").size(12.0).color(theme.weak));
    ui.add_space(2.0);
    let choices = [("raw numbers of cells", ""), ("decoded boxes", ""), ("objects", "")];
    let selected = BoxForm::ALL.iter().position(|form| *form == state.boxes);
    let clicked = widgets::segmented(ui, theme, "ONNX gives", &choices, selected, theme.accent);
    if let Some(form) = clicked.and_then(|at| BoxForm::ALL.get(at)) {
        state.boxes = *form;
    }
    let words = match state.boxes {
        BoxForm::Raw => {
            "Decoding and suppression of overlapping boxes are left to whoever runs it, as in the publishers' own files."
        }
        BoxForm::Decoded => {
            "A box in input pixels and its scores for each cell; suppression of overlapping boxes is left to whoever runs it."
        }
        BoxForm::Objects => {
            "Boxes, scores and classes of the objects that are left: decoding and suppression are inside, at the detector's own confidence and overlap."
        }
    };
    ui.add(egui::Label::new(RichText::new(words).size(12.0).color(theme.weak)).wrap());
}

/// A format with what a file of it holds and the button that writes one.
fn offer(ui: &mut Ui, cx: &mut Context<'_>, format: ExportFormat, on: bool) {
    let theme = cx.theme;
    let holds = match format {
        ExportFormat::Safetensors => {
            "Every tensor under its public name, as float32: PyTorch loads it strictly, and this program trains on from \
             it. Class names and preprocessing stand in its metadata."
        }
        ExportFormat::Pth => {
            "The same tensors as torch.save writes a state dict: torch.load reads it, weights_only=True included."
        }
        ExportFormat::Onnx => {
            "The whole computation, for ONNX Runtime, OpenVINO, TensorRT and others: any number of pictures at once, \
             raw outputs named as the heads, class names and preprocessing in its metadata. It gets its name after \
             another engine gave the same answers."
        }
    };
    ui.horizontal_top(|ui| {
        let label = RichText::new(format!("Write .{}…", format.extension())).size(13.0).color(theme.text);
        let button = egui::Button::new(label).fill(theme.raised).corner_radius(kit::RADIUS).min_size(vec2(150.0, 30.0));
        let middle = egui::Layout::left_to_right(egui::Align::Center);
        let added = ui.allocate_ui_with_layout(vec2(150.0, 30.0), middle, |ui| ui.add_enabled(on, button));
        if added.inner.clicked() {
            cx.push(Action::AskExport(format));
        }
        ui.add_space(6.0);
        ui.add(egui::Label::new(RichText::new(holds).size(12.0).color(theme.weak)).wrap());
    });
}

pub(super) fn path_row(ui: &mut Ui, cx: &mut Context<'_>, name: &str, path: &str) {
    let theme = cx.theme;
    ui.horizontal(|ui| {
        let (place, _) = ui.allocate_exact_size(vec2(76.0, 16.0), egui::Sense::hover());
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
        kit::caps(ui, theme, "What a file holds");
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

/// The lines of Python that load the tensors.
fn pytorch(run: &RunView) -> String {
    let graph = &run.info.graph;
    let name = &graph.name;
    let classes = run.info.classes.len();
    let published = crate::session::find_model(name).is_ok_and(|model| !model.weights.is_empty());
    if published && proposes(graph.detector.as_ref()) {
        // One class more: the background.
        return format!(
            "from safetensors.torch import load_file\nfrom torchvision.models.detection import {name}\n\n\
             model = {name}(weights_backbone=None, num_classes={})\n\
             model.load_state_dict(load_file(\"{name}.safetensors\"))\nmodel.eval()",
            classes + 1
        );
    }
    let classifies = graph.heads.iter().all(|head| matches!(head.kind, HeadKind::Classify { .. }));
    // Further heads are nothing that the published network has.
    if !published || !classifies || graph.heads.len() > 1 {
        return format!("from safetensors.torch import load_file\n\ntensors = load_file(\"{name}.safetensors\")");
    }
    format!(
        "from safetensors.torch import load_file\nfrom torchvision.models import {name}\n\n\
         model = {name}(num_classes={classes})\nmodel.load_state_dict(load_file(\"{name}.safetensors\"))\nmodel.eval()"
    )
}

/// The lines of Python that run the ONNX file.
fn onnx_runtime(run: &RunView, boxes: BoxForm) -> String {
    let graph = &run.info.graph;
    if graph.takes_prompts() {
        let name = &graph.name;
        return format!(
            "import numpy, onnxruntime\n\n\
             encoder = onnxruntime.InferenceSession(\"{name}.encoder.onnx\")\n\
             decoder = onnxruntime.InferenceSession(\"{name}.decoder.onnx\")\n\
             embeddings, = encoder.run(None, {{\"images\": picture}})  # float32 [1, 3, {size}, {size}]\n\
             masks, iou, low = decoder.run(None, {{\n    \
             \"image_embeddings\": embeddings, \"point_coords\": points, \"point_labels\": labels,\n    \
             \"mask_input\": mask, \"has_mask_input\": numpy.zeros(1, \"float32\"), \"orig_im_size\": height_width}})",
            size = run.info.plan.size_px
        );
    }
    let heads: Vec<&str> = match (&graph.detector, boxes) {
        (None, _) => graph.heads.iter().map(|head| head.name.as_str()).collect(),
        (Some(_), BoxForm::Objects) => vec!["boxes", "scores", "classes", "pictures"],
        (Some(_), BoxForm::Raw | BoxForm::Decoded) => vec!["output"],
    };
    let note = if graph.detector.is_some() { "boxes" } else { "preprocess_in_words" };
    let input = graph.inputs.first().map_or("image", |input| input.name.as_str());
    format!(
        "import onnxruntime\n\n\
         session = onnxruntime.InferenceSession(\"{}.onnx\")\n\
         print(session.get_modelmeta().custom_metadata_map[\"{note}\"])\n\
         {}, = session.run(None, {{\"{input}\": pictures}})  # float32 [batch, 3, {size}, {size}]",
        graph.name,
        heads.join(", "),
        size = run.info.plan.size_px
    )
}

fn code(ui: &mut Ui, cx: &mut Context<'_>, engine: &str, code: &str) {
    let theme = cx.theme;
    kit::sheet(theme).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            kit::caps(ui, theme, &format!("Load it in {engine}"));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let copy = kit::link_button(ui, theme, "Copy code");
                if copy.accessible_name(format!("Copy the code for {engine}")).clicked() {
                    cx.push(Action::Copy(code.to_owned()));
                }
            });
        });
        ui.label(RichText::new(code).monospace().size(12.5).color(theme.text));
    });
}
