//! The status bar: which device, how fast, how long, what is wrong.

use crate::session::{Command, Phase, RunView, StepTimes};
use crate::ui::action::{Action, Page};
use crate::ui::context::Context;
use crate::ui::icons::Icon;
use crate::ui::panels::format::metric as metric_name;
use crate::ui::{format, widgets};
use egui::{Align, Layout, RichText, Ui};

/// Draws the bar.
pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        let run = ctx.view.run.as_ref().filter(|_| ctx.view.is_training());
        match run {
            Some(run) => training(ui, ctx, run),
            None => idle(ui, ctx),
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 14.0;
            issues(ui, ctx);
            device(ui, ctx);
        });
    });
}

fn weak(ui: &mut Ui, ctx: &Context<'_>, text: impl Into<String>) -> egui::Response {
    ui.label(RichText::new(text).size(11.5).color(ctx.theme.weak))
}

fn training(ui: &mut Ui, ctx: &mut Context<'_>, run: &RunView) {
    let paused = run.phase == Phase::Paused;
    let (icon, name, command) = if paused {
        (Icon::Play, "Resume (Space)", Command::Resume)
    } else {
        (Icon::Pause, "Pause (Space)", Command::Pause)
    };
    if widgets::icon_button_tinted(ui, ctx.theme, icon, name, ctx.theme.amber, true).clicked() {
        ctx.push(Action::Send(command));
    }
    let stop = widgets::icon_button_tinted(ui, ctx.theme, Icon::Stop, "Stop…", ctx.theme.weak, true);
    egui::Popup::menu(&stop).show(|ui| {
        ui.set_min_width(230.0);
        let finish = ui.button("Finish, keep the best weights");
        if finish.on_hover_text("Stops at the next step; the best checkpoint so far is the result.").clicked() {
            ctx.push(Action::Send(Command::Finish));
            ui.close();
        }
        let cancel = ui.button(RichText::new("Cancel the run").color(ctx.theme.bad));
        if cancel.on_hover_text("Stops at the next step; the run's folder stays as far as it came.").clicked() {
            ctx.push(Action::Send(Command::Cancel));
            ui.close();
        }
    });
    let (epochs, per_epoch) = (run.info.plan.epochs, run.info.steps_per_epoch as u64);
    let (epoch, in_epoch) = match &run.step {
        Some(step) => (step.epoch, step.step.saturating_sub(u64::from(step.epoch.saturating_sub(1)) * per_epoch)),
        None => (run.info.first_epoch, 0),
    };
    let text = format!("epoch {epoch} / {epochs} · step {in_epoch} / {per_epoch}");
    ui.label(RichText::new(text).size(12.0).color(ctx.theme.text));
    let share = (run.position() / f64::from(epochs.max(1))) as f32;
    let compact = ui.available_width() < 1000.0;
    widgets::progress(ui, ctx.theme, if compact { 80.0 } else { 132.0 }, share, "Progress of the run");
    let eta = match (paused, run.eta) {
        (true, _) => "paused".to_owned(),
        (false, Some(eta)) => format!("ETA {}", format::clock(eta)),
        (false, None) => "ETA …".to_owned(),
    };
    weak(ui, ctx, eta).on_hover_text(format!("{} so far, pauses left out", format::clock(run.elapsed())));
    if let Some(step) = &run.step {
        let split = split(&step.ms);
        let rate = format!("{:.1} images/s", step.images_per_s);
        let text = if compact { rate } else { format!("{rate} · {split}") };
        weak(ui, ctx, text).on_hover_text(format!("Where the time of a step goes: {split}"));
    }
}

/// Shares of a step's time: `data 3 · forward 38 · backward 52 · optimizer 7 %`.
#[must_use]
pub fn split(ms: &StepTimes) -> String {
    let total = (ms.data + ms.forward + ms.backward + ms.optimizer).max(1e-9);
    let share = |part: f64| (100.0 * part / total).round();
    format!(
        "data {} · forward {} · backward {} · optimizer {} %",
        share(ms.data),
        share(ms.forward),
        share(ms.backward),
        share(ms.optimizer)
    )
}

fn idle(ui: &mut Ui, ctx: &mut Context<'_>) {
    let name = "Start training (Ctrl+Enter)";
    if widgets::icon_button_tinted(ui, ctx.theme, Icon::Play, name, ctx.theme.accent, true).clicked() {
        ctx.push(Action::Start);
    }
    if let Some(busy) = &ctx.view.busy {
        widgets::waiting(ui, ctx.theme);
        let amount = match busy.total {
            0 => String::new(),
            total => format!(" {} / {}", format::count(busy.done as u64), format::count(total as u64)),
        };
        ui.label(RichText::new(format!("{}{amount}", busy.what)).size(12.0).color(ctx.theme.text));
        if busy.total > 0 {
            widgets::progress(ui, ctx.theme, 132.0, busy.done as f32 / busy.total as f32, &busy.what);
        }
        if widgets::icon_button(ui, ctx.theme, Icon::Cross, "Interrupt").clicked() {
            ctx.push(Action::Send(Command::Interrupt));
        }
        return;
    }
    let text = match ctx.view.run.as_ref().map(|run| (run.phase, run)) {
        Some((Phase::Ended(ending), run)) => {
            let how = match ending {
                crate::session::Ending::Completed => "Run completed",
                crate::session::Ending::EarlyStop => "Run stopped early: no more gain",
                crate::session::Ending::Finished => "Run finished by hand",
                crate::session::Ending::Cancelled => "Run cancelled",
            };
            match &run.best {
                Some(best) => {
                    let metric = metric_name(&best.metric);
                    format!("{how} · best {metric} {:.3} after epoch {}", best.value, best.epoch)
                }
                None => how.to_owned(),
            }
        }
        Some((Phase::Failed, run)) => {
            let command = Command::ResumeRun { run: run.info.folder.clone(), epochs: None };
            let text = "The run was stopped by an error.";
            ui.label(RichText::new(text).size(12.0).color(ctx.theme.bad));
            if widgets::link(ui, ctx.theme, "Resume from its last checkpoint ›", ctx.theme.accent).clicked() {
                ctx.push(Action::Send(command));
            }
            return;
        }
        _ => "Idle".to_owned(),
    };
    weak(ui, ctx, text);
}

fn device(ui: &mut Ui, ctx: &mut Context<'_>) {
    let Some(device) = &ctx.view.device else {
        weak(ui, ctx, "looking for a device…");
        return;
    };
    let mut text = device.name.clone();
    if !device.api.is_empty() {
        text = format!("{text} ({})", device.api);
    }
    if let Some(memory) = ctx.view.memory {
        text = format!("{text} · {}", format::bytes(memory));
    }
    if device.software {
        text = format!("{text} · software renderer");
    }
    if !device.refused.is_empty() {
        text = format!("{text} · self-test of {} failed", device.refused);
    }
    let wrong = device.software || !device.refused.is_empty();
    let color = if wrong { ctx.theme.bad } else { ctx.theme.weak };
    let width = (ui.available_width() * 0.8).max(60.0);
    let response = ui
        .scope(|ui| {
            ui.set_max_width(width);
            ui.add(egui::Label::new(RichText::new(&text).size(11.5).color(color)).truncate())
        })
        .inner;
    let note = if device.note.is_empty() { "The device that trains" } else { &device.note };
    response.on_hover_text(format!("{text}\n{note}"));
}

fn issues(ui: &mut Ui, ctx: &mut Context<'_>) {
    let count = ctx.view.data.as_ref().map_or(0, |data| data.issues.len());
    if count == 0 {
        return;
    }
    let text = format!("{} in the data ›", format::plural(count, "note"));
    if widgets::link(ui, ctx.theme, &text, ctx.theme.amber).clicked() {
        ctx.push(Action::Show(Page::Data));
    }
}
