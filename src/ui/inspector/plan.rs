//! The training plan, every field an undoable edit with its help on hover.

mod augment;
mod cache;
mod device;
mod heads;
mod phases;
mod prompts;
mod schedule;

use crate::data::Augment;
use crate::graph::{FreezePlan, HeadKind, Preset};
use crate::session::find_model;
use crate::train::Plan;
use crate::ui::context::Context;
use crate::ui::widgets;
use egui::{ComboBox, DragValue, Ui};

pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    presets(ui, ctx);
    heads::ui(ui, ctx);
    prompts::ui(ui, ctx);
    widgets::section(ui, ctx.theme, "Run");
    number(
        ui,
        ctx,
        &Number {
            name: "epochs",
            help: "Passes over the training pictures.",
            range: 1.0..=10_000.0,
            speed: 0.1,
            whole: true,
            get: |plan| f64::from(plan.epochs),
            set: |plan, value| plan.epochs = value as u32,
        },
    );
    number(
        ui,
        ctx,
        &Number {
            name: "batch",
            help: "Pictures that go through the network at once.",
            range: 1.0..=4096.0,
            speed: 0.2,
            whole: true,
            get: |plan| plan.batch as f64,
            set: |plan, value| plan.batch = value as usize,
        },
    );
    number(
        ui,
        ctx,
        &Number {
            name: "input size, px",
            help: "Side of the input in pixels. Smaller is faster; the model's own size is what its weights have seen.",
            range: 32.0..=4096.0,
            speed: 1.0,
            whole: true,
            get: |plan| f64::from(plan.size_px),
            set: |plan, value| {
                plan.size_px = value as u32;
                if !plan.augment.sizes.is_empty() {
                    plan.augment.sizes = Augment::sizes_around(plan.size_px);
                }
            },
        },
    );
    number(
        ui,
        ctx,
        &Number {
            name: "seed",
            help: "Decides the split, new weights, the order of pictures and the augmentation.",
            range: 0.0..=4_294_967_295.0,
            speed: 0.2,
            whole: true,
            get: |plan| plan.seed as f64,
            set: |plan, value| plan.seed = value as u64,
        },
    );
    device::ui(ui, ctx);
    schedule::ui(ui, ctx);
    cache::ui(ui, ctx);
    augment::ui(ui, ctx);
    ui.add_space(8.0);
}

fn presets(ui: &mut Ui, ctx: &mut Context<'_>) {
    widgets::section(ui, ctx.theme, "What trains");
    let presets = [
        (Preset::HeadOnly, "Head only", "Transfer learning: the backbone is frozen. Fast, and safe for small sets."),
        (Preset::LastStageAndHead, "Last stage", "Fine-tuning: the backbone's last stage and the head train."),
        (Preset::Everything, "Everything", "Nothing is frozen. Needs more pictures, memory and time."),
    ];
    let plans: Vec<Option<FreezePlan>> =
        presets.iter().map(|(preset, ..)| FreezePlan::preset(ctx.graph, preset).ok()).collect();
    let current = &ctx.plan().freeze.frozen;
    let same = |plan: &Option<FreezePlan>| plan.as_ref().is_some_and(|plan| plan.frozen == *current);
    let selected = plans.iter().position(same).filter(|_| ctx.plan().timeline.is_empty());
    let choices = presets.each_ref().map(|(_, name, help)| (*name, *help));
    let clicked = widgets::segmented(ui, ctx.theme, "What trains", &choices, selected, ctx.theme.accent);
    if let Some((freeze, (name, _))) =
        clicked.and_then(|i| plans.get(i).cloned().flatten().zip(choices.get(i).copied()))
    {
        ctx.edit(&format!("What trains: {}", name.to_lowercase()), |plan| {
            plan.freeze = freeze;
            plan.timeline.clear();
        });
    }
    phases::ui(ui, ctx);
}

/// A number of the plan.
pub struct Number {
    pub name: &'static str,
    pub help: &'static str,
    pub range: std::ops::RangeInclusive<f64>,
    pub speed: f64,
    pub whole: bool,
    pub get: fn(&Plan) -> f64,
    pub set: fn(&mut Plan, f64),
}

/// A field for a number.
pub fn number(ui: &mut Ui, ctx: &mut Context<'_>, number: &Number) {
    number_with(ui, ctx, number, |_| ());
}

/// A field for a number with something at its left.
pub fn number_with(ui: &mut Ui, ctx: &mut Context<'_>, number: &Number, beside: impl FnOnce(&mut Ui)) {
    let before = (number.get)(ctx.plan());
    let mut value = before;
    let field = |ui: &mut Ui| {
        // A value out of range stays as it is until a person changes it: the plan says what is wrong with it.
        let mut field =
            DragValue::new(&mut value).range(number.range.clone()).clamp_existing_to_range(false).speed(number.speed);
        if number.whole {
            field = field.max_decimals(0);
        } else {
            field = field
                .max_decimals(6)
                .custom_formatter(|value, _| widgets::rate(value))
                .custom_parser(widgets::parse_rate);
        }
        ui.add_sized([78.0, 22.0], field).on_hover_text(number.help);
    };
    widgets::row_with(ui, ctx.theme, number.name, number.help, field, beside);
    if (value - before).abs() > f64::EPSILON * before.abs() {
        let change = number.set;
        ctx.edit(&format!("Set {}", number.name), |plan| change(plan, value));
    }
}

/// A drop-down of a few choices, each with its help.
pub fn choice<T: PartialEq + Clone>(
    ui: &mut Ui,
    ctx: &mut Context<'_>,
    name: &str,
    help: &str,
    choices: &[(T, &str, &str)],
    get: impl Fn(&Plan) -> T,
    set: impl FnOnce(&mut Plan, T),
) {
    let current = get(ctx.plan());
    let shown = choices.iter().find(|choice| choice.0 == current).map_or("other", |choice| choice.1);
    let mut chosen = None;
    widgets::row(ui, ctx.theme, name, help, |ui| {
        ComboBox::from_id_salt(name).selected_text(shown).width(104.0).show_ui(ui, |ui| {
            for (value, text, help) in choices {
                let response = ui.selectable_label(*value == current, *text);
                if response.clicked() {
                    chosen = Some(value.clone());
                }
                if !help.is_empty() {
                    response.on_hover_text(*help);
                }
            }
        });
    });
    if let Some(value) = chosen {
        ctx.edit(&format!("Set {name}"), |plan| set(plan, value));
    }
}

/// A check box.
pub fn toggle(
    ui: &mut Ui,
    ctx: &mut Context<'_>,
    name: &str,
    help: &str,
    get: impl Fn(&Plan) -> bool,
    set: impl FnOnce(&mut Plan, bool),
) -> bool {
    let before = get(ctx.plan());
    let mut on = before;
    ui.checkbox(&mut on, name).on_hover_text(help);
    if on != before {
        let verb = if on { "on" } else { "off" };
        ctx.edit(&format!("Switch {name} {verb}"), |plan| set(plan, on));
    }
    on
}

/// Metrics that can pick the best checkpoint: those of the model's task.
pub fn metrics(ctx: &Context<'_>) -> Vec<(String, &'static str, &'static str)> {
    use crate::session::ModelTask;
    let several = matches!(ctx.graph.heads.first().map(|head| &head.kind), Some(HeadKind::MultiLabel { .. }));
    let task = find_model(&ctx.plan().model).map_or(ModelTask::Classify, |variant| variant.task);
    let own: &[(&str, &'static str, &'static str)] = match task {
        ModelTask::Classify if several => &[
            ("map", "mean AP", "Mean over classes of the average precision."),
            ("f1", "F1", "F1 score over all labels, each given from a probability of one half."),
            ("subset", "exact", "Share of pictures with exactly the right labels."),
            ("hamming", "wrong labels", "Share of wrong labels: less is better."),
        ],
        ModelTask::Classify => &[
            ("top1", "top-1", "Share of pictures whose best class is the true one."),
            ("top5", "top-5", "Share of pictures whose true class is among the best five."),
        ],
        ModelTask::Segment => &[
            ("miou", "mean IoU", "Mean over classes of intersection over union."),
            ("dice", "Dice", "Mean over classes of the Dice score."),
            ("pixel_accuracy", "pixels", "Share of pixels with the right class."),
        ],
        ModelTask::Detect => &[
            ("ap", "AP", "COCO's average precision over IoU 0.50 to 0.95."),
            ("ap50", "AP50", "Average precision at IoU 0.50."),
        ],
        ModelTask::Prompt => &[
            ("miou", "IoU of boxes", "Mean over objects of the IoU of the mask that their box gives."),
            ("point/miou", "IoU of points", "Mean over objects of the IoU of the mask that one click gives."),
        ],
    };
    let first = [(String::new(), "automatic", "The task's own metric.")];
    let loss = [("loss".to_owned(), "loss", "The lowest validation loss.")];
    let own = own.iter().map(|&(key, name, help)| (key.to_owned(), name, help));
    first.into_iter().chain(own).chain(loss).collect()
}
