//! The heads on the backbone: which label columns they learn, what each counts in the loss, one more, one less.

use crate::data::LabelColumn;
use crate::ui::context::Context;
use crate::ui::widgets;
use egui::{DragValue, RichText, Ui};
use std::sync::Arc;

/// Shown where the set has several label columns.
pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    let Some(data) = ctx.view.data.as_ref().map(Arc::clone) else { return };
    if data.columns.len() < 2 {
        return;
    }
    widgets::section(ui, ctx.theme, "Heads");
    let chosen = data.find_columns(&ctx.plan().heads).unwrap_or_default();
    let names = |places: &[usize]| -> Vec<String> {
        places.iter().filter_map(|at| data.columns.get(*at)).map(|column| column.name.clone()).collect()
    };
    for (place, column) in chosen.iter().enumerate().filter_map(|(place, at)| Some((place, data.columns.get(*at)?))) {
        let mut rest = chosen.clone();
        rest.remove(place);
        if head(ui, ctx, column, chosen.len() > 1) {
            ctx.edit(&format!("Remove head {}", column.name), |plan| plan.set_heads(names(&rest)));
        }
    }
    let free: Vec<usize> = (0..data.columns.len()).filter(|at| !chosen.contains(at)).collect();
    if free.is_empty() {
        return;
    }
    let menu = ui.menu_button("Add head…", |ui| {
        for at in free {
            let Some(column) = data.columns.get(at) else { continue };
            if ui.button(format!("{} · {}", column.name, kind(column))).clicked() {
                let more: Vec<usize> = chosen.iter().copied().chain([at]).collect();
                ctx.edit(&format!("Add head {}", column.name), |plan| plan.set_heads(names(&more)));
                ui.close();
            }
        }
    });
    menu.response.on_hover_text("Another label column of the set, learned by a head of its own on the same backbone.");
}

/// What a column tells, in few words.
fn kind(column: &LabelColumn) -> String {
    match column.multi {
        true => format!("any of {}", column.classes.len()),
        false => format!("one of {}", column.classes.len()),
    }
}

/// One head: its name, the weight of its loss, and whether it shall go.
fn head(ui: &mut Ui, ctx: &mut Context<'_>, column: &LabelColumn, removable: bool) -> bool {
    let name = column.head();
    let before = ctx.plan().loss_weights.get(&name).copied().unwrap_or(1.0);
    let (mut weight, mut gone) = (before, false);
    let (theme, kind) = (ctx.theme, kind(column));
    let help = format!("Tells {kind} from the column {}. The number weighs its loss in the sum.", column.name);
    widgets::row(ui, theme, &column.name, &help, |ui| {
        if removable {
            let words = format!("Remove the head {}", column.name);
            gone = ui.small_button("×").accessible_name(&words).on_hover_text(&words).clicked();
        }
        let field = DragValue::new(&mut weight).range(0.0..=100.0).speed(0.01).max_decimals(3).prefix("× ");
        ui.add_sized([58.0, 22.0], field).on_hover_text(&help);
        ui.label(RichText::new(kind).size(11.0).color(theme.weak));
    });
    if (weight - before).abs() > f64::EPSILON {
        ctx.edit(&format!("Weigh the loss {name}"), |plan| {
            plan.loss_weights.insert(name.clone(), weight);
            plan.loss_weights.retain(|_, weight| (*weight - 1.0).abs() > f64::EPSILON);
        });
    }
    gone
}
