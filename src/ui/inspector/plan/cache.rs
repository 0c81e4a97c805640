//! The feature cache: whether, how many fixed views, what it would keep and save, what lies on disk.

use super::{Number, choice, number, toggle};
use crate::data::Split;
use crate::graph::Cut;
use crate::session::Command;
use crate::train::{CacheMode, Plan};
use crate::ui::action::Action;
use crate::ui::context::Context;
use crate::ui::{format, widgets};
use egui::{RichText, Ui};

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    widgets::section(ui, ctx.theme, "Feature cache");
    let choices = [
        (CacheMode::Auto, "automatic", "Measured when the run starts: on where it saves time."),
        (CacheMode::On, "on", "On wherever something is computed before what trains."),
        (CacheMode::Off, "off", "Everything is computed anew in each epoch."),
    ];
    let help = "What the frozen part gives for a picture is computed once and kept; later epochs cost only what trains. The \
                result is the same to the bit.";
    choice(ui, ctx, "keep features", help, &choices, |plan| plan.cache.mode, |plan, mode| plan.cache.mode = mode);
    if ctx.plan().cache.mode != CacheMode::Off {
        if !ctx.plan().augment.is_none() {
            views(ui, ctx);
        }
        let help = "Half the room. Features are rounded to about three digits, which changes losses slightly.";
        let set = |plan: &mut Plan, on: bool| plan.cache.half = on;
        toggle(ui, ctx, "16-bit features", help, |plan| plan.cache.half, set);
        ui.label(RichText::new(outlook(ctx)).size(11.5).color(ctx.theme.weak));
    }
    stored(ui, ctx);
}

fn views(ui: &mut Ui, ctx: &mut Context<'_>) {
    number(
        ui,
        ctx,
        &Number {
            name: "fixed views",
            help: "How many random views of each training picture the epochs take in turn, so that they can be kept; 0 for \
                   new ones in each epoch, which cannot.",
            range: 0.0..=1000.0,
            speed: 0.05,
            whole: true,
            get: |plan| f64::from(plan.views),
            set: |plan, value| plan.views = value as u32,
        },
    );
}

/// What would be kept and saved, or why nothing is.
fn outlook(ctx: &Context<'_>) -> String {
    let Some(cut) = Cut::of(ctx.graph, ctx.facts, ctx.frontier) else {
        return "Nothing to keep: nothing is computed before what trains.".to_owned();
    };
    let plan = ctx.plan();
    let each = cut.values() as u64 * if plan.cache.half { 2 } else { 4 };
    let names = match cut.nodes.as_slice() {
        [one] => ctx.graph.node(*one).path.clone(),
        several => format::plural(several.len(), "node"),
    };
    let mut text = format!("{} a view at {names}", format::bytes(each));
    let views = match (plan.augment.is_none(), plan.views) {
        (true, _) => Some(1),
        (false, 0) => None,
        (false, views) => Some(u64::from(views)),
    };
    let data = ctx.view.data.as_ref();
    let count = |split| data.map_or(0, |data| data.indices(split).len() as u64);
    let all = each * (count(Split::Train) * views.unwrap_or(0) + count(Split::Val));
    if data.is_some() {
        text += &format!(", {} in all", format::bytes(all));
    }
    match views {
        None => text += ". New random views in each epoch: only validation is kept; fixed views keep the rest.",
        Some(_) => {
            let left = ctx.frontier.step_macs.saturating_sub(cut.macs) as f64 / ctx.frontier.step_macs.max(1) as f64;
            text += &format!(". A step from kept features has {:.2} % of its arithmetic.", 100.0 * left);
        }
    }
    text
}

/// What lies on disk, and a way to be rid of it.
fn stored(ui: &mut Ui, ctx: &mut Context<'_>) {
    let Some(kept) = ctx.view.features.filter(|kept| kept.files > 0) else { return };
    let text = format!("{} stored on disk", format::bytes(kept.bytes));
    ui.horizontal(|ui| {
        ui.label(RichText::new(text).size(11.5).color(ctx.theme.weak));
        let link = widgets::link(ui, ctx.theme, "Clear", ctx.theme.accent);
        if link
            .on_hover_text(
                "Deletes stored features and reduced pictures; they are computed again when they are needed.",
            )
            .clicked()
        {
            ctx.push(Action::Send(Command::ClearFeatures));
        }
    });
}
