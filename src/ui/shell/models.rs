//! The left panel: the zoo by family, the weights, where to drop things.

use super::weights;
use crate::session::{ModelTask, Variant, catalogue};
use crate::ui::context::Context;
use crate::ui::style::{regular, strong};
use crate::ui::{format, widgets};
use egui::accesskit::Role;
use egui::{CursorIcon, RichText, ScrollArea, Sense, Shape, Stroke, StrokeKind, Ui, WidgetInfo, vec2};
use std::sync::OnceLock;

/// One row of the list.
struct Row {
    variant: Variant,
    params: u64,
}

/// The zoo does not change while the program runs.
fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let params = |variant: &Variant| {
            let facts = variant.published().and_then(|graph| graph.facts());
            facts.map_or(0, |facts| facts.params())
        };
        catalogue().into_iter().map(|variant| Row { params: params(&variant), variant }).collect()
    })
}

/// Draws the panel. The weights stay in sight however long the zoo gets.
pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>) {
    let (id, room) = (ui.scope_id().with("height of the weights"), ui.available_height());
    let wanted: f32 = ui.data(|data| data.get_temp(id)).unwrap_or(200.0);
    let height = wanted.min(room * 0.62);
    ScrollArea::vertical().id_salt("zoo").max_height(room - height - 12.0).auto_shrink([false, true]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 3.0;
        let mut family = "";
        for row in rows() {
            if row.variant.family != family {
                family = row.variant.family;
                widgets::section(ui, ctx.theme, family);
            }
            model(ui, ctx, row);
        }
    });
    ui.add_space(4.0);
    let below = ScrollArea::vertical().id_salt("weights").max_height(height).auto_shrink([false, true]);
    let shown = below.show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 6.0;
        weights::ui(ui, ctx);
        drop_hint(ui, ctx);
    });
    let now = shown.content_size.y;
    if (now - wanted).abs() > 0.5 {
        ui.data_mut(|data| data.insert_temp(id, now));
        ui.ctx().request_discard("the weights have another height");
    }
}

fn model(ui: &mut Ui, ctx: &mut Context<'_>, row: &Row) {
    let chosen = ctx.plan().model == row.variant.name;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 38.0), Sense::click());
    let verb = match row.variant.task {
        ModelTask::Classify => "classify",
        ModelTask::Detect => "detect",
        ModelTask::Segment => "segment",
        ModelTask::Prompt => "prompt",
    };
    let license = row.variant.weights.first().map_or(String::new(), |weights| format!(" · {}", weights.license));
    let line = format!("{verb} · {}{license}", format::short(row.params));
    let spoken = format!("{}, {line} parameters", row.variant.title);
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, chosen, &spoken));
    if chosen {
        bring_into_view(ui, &response, row.variant.name);
        let fill = ctx.theme.panel.lerp_to_gamma(ctx.theme.accent, 0.12);
        ui.painter().rect(rect, 6.0, fill, Stroke::new(1.2, ctx.theme.accent), StrokeKind::Inside);
    } else if response.hovered() {
        ui.painter().rect_filled(rect, 6.0, ctx.theme.raised);
    }
    widgets::focus_ring(ui, ctx.theme, &response);
    let font = if chosen { strong(12.5) } else { regular(12.5) };
    let painter = ui.painter();
    let at = rect.min + vec2(10.0, 5.0);
    let room = rect.right() - at.x - 4.0;
    let lines = [(row.variant.title.to_owned(), font, ctx.theme.text), (line, regular(10.5), ctx.theme.weak)];
    for (i, (text, font, color)) in (0_u8..).zip(lines) {
        let galley = widgets::elided(painter, text, font, color, room);
        painter.galley(at + vec2(0.0, 15.5 * f32::from(i)), galley, color);
    }
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    if response.clicked() && !chosen {
        let variant = &row.variant;
        ctx.edit(&format!("Choose {}", variant.title), |plan| plan.choose(variant));
    }
    response.on_hover_ui(|ui| about(ui, ctx, row));
}

/// Scrolls to the chosen model when the list appears, when another is chosen and when the list gets another height, not
/// against a person's own scrolling.
fn bring_into_view(ui: &Ui, response: &egui::Response, name: &'static str) {
    /// Until the height of the list has settled.
    const FRAMES: u64 = 4;
    let (id, now) = (egui::Id::unique("chosen model"), ui.ctx().cumulative_frame_nr());
    let height = ui.clip_rect().height().round() as u64;
    let seen: Option<([u64; 3], &'static str)> = ui.data(|data| data.get_temp(id));
    let same = |seen: &([u64; 3], &str)| seen.1 == name && now <= seen.0[1] + 1 && seen.0[2] == height;
    let since = seen.filter(same).map_or(now, |(seen, _)| seen[0]);
    ui.data_mut(|data| data.insert_temp(id, ([since, now, height], name)));
    if now - since < FRAMES {
        if !ui.clip_rect().contains_rect(response.rect) {
            response.scroll_to_me_animation(None, egui::style::ScrollAnimation::none());
        }
        ui.ctx().request_repaint();
    }
}

fn about(ui: &mut Ui, ctx: &Context<'_>, row: &Row) {
    ui.label(widgets::bold(row.variant.title, 13.0));
    ui.label(format!("{} parameters · {} px", format::count(row.params), row.variant.preprocess.size[0]));
    for weights in &row.variant.weights {
        let text = format!(
            "Public weights {}: {}, {}, license {}",
            weights.name, weights.file, weights.trained_on, weights.license
        );
        ui.label(RichText::new(text).size(11.5).color(ctx.theme.weak));
        ui.label(RichText::new(weights.url).size(11.0).color(ctx.theme.weak));
    }
    if let Some(note) = row.variant.note {
        ui.label(RichText::new(note).size(11.5).color(ctx.theme.weak));
    }
    if row.variant.built_in {
        ui.label(RichText::new("Weights come with the program.").size(11.5).color(ctx.theme.weak));
    }
}

fn drop_hint(ui: &mut Ui, ctx: &Context<'_>) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 50.0), Sense::hover());
    let rect = rect.shrink(1.0);
    let corners = [rect.left_top(), rect.right_top(), rect.right_bottom(), rect.left_bottom(), rect.left_top()];
    ui.painter().extend(Shape::dashed_line(&corners, Stroke::new(1.0, ctx.theme.border), 5.0, 4.0));
    let text = "drop a checkpoint, a folder\nor a picture anywhere";
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text.replace('\n', " ")));
    let mut job = egui::text::LayoutJob::simple(text.to_owned(), regular(11.5), ctx.theme.weak, rect.width());
    job.halign = egui::Align::Center;
    let galley = ui.painter().layout_job(job);
    let at = egui::pos2(rect.center().x, rect.center().y - galley.size().y / 2.0);
    ui.painter().galley(at, galley, ctx.theme.weak);
}
