//! Which device trains, and where a server is.

use super::choice;
use crate::train::DeviceChoice;
use crate::train::remote::Address;
use crate::ui::context::Context;
use crate::ui::widgets;
use egui::{RichText, TextEdit, Ui};

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    let remote = DeviceChoice::Remote(Address::default());
    let choices = [
        (DeviceChoice::Auto, "automatic", "A real GPU where there is one, else the processor."),
        (DeviceChoice::Cpu, "processor", "The processor: slower, and bit-for-bit the same on every run."),
        (DeviceChoice::Wgpu(None), "GPU", "The first adapter, a software renderer included."),
        (remote.clone(), "server", "Another machine, where frostline serve runs."),
    ];
    let help = "Which device trains the next run. The status bar shows the one in use.";
    let get = |plan: &crate::train::Plan| match &plan.device {
        DeviceChoice::Remote(_) => remote.clone(),
        other => other.clone(),
    };
    choice(ui, ctx, "device", help, &choices, get, |plan, device| plan.device = device);
    if let DeviceChoice::Remote(address) = &ctx.plan().device {
        server(ui, ctx, &address.to_string());
    }
}

/// A field for a server's host and port; what is no address stays in it, with the reason below.
fn server(ui: &mut Ui, ctx: &mut Context<'_>, address: &str) {
    let id = ui.scope_id().with("server");
    let mut text = ui.data(|data| data.get_temp::<String>(id)).unwrap_or_else(|| address.to_owned());
    let help = "HOST:PORT of frostline serve. Its token is read from FROSTLINE_TOKEN, or from the file that \
                FROSTLINE_TOKEN_FILE names. Nothing is encrypted: use the end of an SSH tunnel on this machine.";
    let mut left = false;
    widgets::row(ui, ctx.theme, "server", help, |ui| {
        let field = TextEdit::singleline(&mut text).desired_width(150.0);
        left = ui.add(field).lost_focus();
    });
    let parsed = text.trim().parse::<Address>();
    match parsed {
        Ok(typed) if left => {
            if typed.to_string() != address {
                ctx.edit("Set the server", |plan| plan.device = DeviceChoice::Remote(typed));
            }
            ui.data_mut(|data| data.remove::<String>(id));
            return;
        }
        Err(cause) => {
            ui.label(RichText::new(cause).size(11.5).color(ctx.theme.bad));
        }
        Ok(_) => {}
    }
    // As long as it is typed, the plan stays as it is.
    if text == address {
        ui.data_mut(|data| data.remove::<String>(id));
    } else {
        ui.data_mut(|data| data.insert_temp(id, text));
    }
}
