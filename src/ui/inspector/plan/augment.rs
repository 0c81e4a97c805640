//! How training pictures are varied.

use super::{Number, number, toggle};
use crate::data::{Augment, CropRange, Jitter};
use crate::train::Plan;
use crate::ui::context::Context;
use crate::ui::widgets;
use egui::Ui;

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    widgets::section(ui, ctx.theme, "Augmentation");
    let help = "A crop of random size and shape, resized to the input. Teaches scale and position.";
    let set = |plan: &mut Plan, on: bool| {
        let usual = Augment::default().random_resized_crop;
        let fallback = CropRange { scale: [0.35, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] };
        plan.augment.random_resized_crop = on.then(|| usual.unwrap_or(fallback));
    };
    if toggle(ui, ctx, "random crops", help, |plan| plan.augment.random_resized_crop.is_some(), set) {
        number(
            ui,
            ctx,
            &Number {
                name: "smallest part",
                help: "Smallest part of the picture's area that a crop shows.",
                range: 0.05..=1.0,
                speed: 0.005,
                whole: false,
                get: |plan| plan.augment.random_resized_crop.map_or(1.0, |crop| rounded(crop.scale[0])),
                set: |plan, value| {
                    if let Some(crop) = &mut plan.augment.random_resized_crop {
                        crop.scale[0] = (value as f32).min(crop.scale[1]);
                    }
                },
            },
        );
    }
    let help = "Mirrors every second picture. Switch it off where left and right mean something.";
    let set = |plan: &mut Plan, on: bool| plan.augment.flip = if on { 0.5 } else { 0.0 };
    toggle(ui, ctx, "mirror left to right", help, |plan| plan.augment.flip > 0.0, set);
    let help = "Random brightness, contrast, saturation and hue.";
    let set = |plan: &mut Plan, on: bool| {
        let usual = Jitter { brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.02 };
        plan.augment.jitter = if on { usual } else { Jitter::default() };
    };
    toggle(ui, ctx, "vary colors", help, |plan| plan.augment.jitter != Jitter::default(), set);
}

/// Without the digits that a number of 32 bits does not have.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}
