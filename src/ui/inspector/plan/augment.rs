//! How training pictures are varied.

use super::{Number, number, toggle};
use crate::data::{Augment, CropRange, Jitter};
use crate::session::{ModelTask, find_model};
use crate::train::Plan;
use crate::ui::context::Context;
use crate::ui::widgets;
use egui::Ui;

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    widgets::section(ui, ctx.theme, "Augmentation");
    if find_model(&ctx.plan().model).is_ok_and(|variant| variant.task == ModelTask::Detect) {
        boxes(ui, ctx);
        return;
    }
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

/// What moves boxes with their pictures.
fn boxes(ui: &mut Ui, ctx: &mut Context<'_>) {
    let usual = Augment::detection();
    let help = "Mirrors every second picture. Switch it off where left and right mean something.";
    let set = |plan: &mut Plan, on: bool| plan.augment.flip = if on { 0.5 } else { 0.0 };
    toggle(ui, ctx, "mirror left to right", help, |plan| plan.augment.flip > 0.0, set);
    let help = "Random size and place of the picture in the input. Teaches small and large objects.";
    let shift = usual.shift;
    let set = move |plan: &mut Plan, on: bool| plan.augment.shift = shift.filter(|_| on);
    toggle(ui, ctx, "vary size and place", help, |plan| plan.augment.shift.is_some(), set);
    let help = "Some pictures are cropped so that a part of an object stays.";
    let crop = usual.object_crop;
    let set = move |plan: &mut Plan, on: bool| plan.augment.object_crop = if on { crop } else { 0.0 };
    toggle(ui, ctx, "crops around objects", help, |plan| plan.augment.object_crop > 0.0, set);
    let help = "Some inputs are put together from four pictures; not in the last epochs, so that training ends on pictures \
                as they are.";
    let (mosaic, close) = (usual.mosaic, usual.close_mosaic);
    let set = move |plan: &mut Plan, on: bool| {
        (plan.augment.mosaic, plan.augment.close_mosaic) = if on { (mosaic, close) } else { (0.0, 0) };
    };
    toggle(ui, ctx, "mosaic of four", help, |plan| plan.augment.mosaic > 0.0, set);
    let help = "Random brightness, saturation and hue.";
    let jitter = usual.jitter;
    let set = move |plan: &mut Plan, on: bool| plan.augment.jitter = if on { jitter } else { Jitter::default() };
    toggle(ui, ctx, "vary colors", help, |plan| plan.augment.jitter != Jitter::default(), set);
    let sides = Augment::sizes_around(ctx.plan().size_px);
    let words = sides.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let help = format!(
        "Each batch has inputs of one of {words} pixels; the last epochs have the network's own. Slower and often better."
    );
    let set = move |plan: &mut Plan, on: bool| plan.augment.sizes = if on { sides } else { Vec::new() };
    toggle(ui, ctx, "several input sizes", &help, |plan| !plan.augment.sizes.is_empty(), set);
    let help = "Pictures with a class that fewer than a tenth of them show come several times in an epoch.";
    let set = |plan: &mut Plan, on: bool| plan.repeat_rare = on.then_some(0.1);
    toggle(ui, ctx, "repeat rare classes", help, |plan| plan.repeat_rare.is_some(), set);
}

/// Without the digits that a number of 32 bits does not have.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}
