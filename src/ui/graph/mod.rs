//! The graph canvas: the network as lanes of boxes, the frost line, and everything that a pointer does to them.

mod consequence;
mod cut;
mod draw;
pub mod edit;
mod find;
mod items;
mod layout;
mod look;
mod nav;
mod state;

pub use consequence::explain;
pub use layout::{Layout, Request, layout};
pub use nav::Walk;
pub use state::GraphState;

use super::action::Action;
use super::context::Context;
use super::format;
use super::icons::Icon;
use super::style::strong;
use super::widgets;
use crate::graph::NodeId;
use draw::{BoxFace, Card};
use egui::accesskit::Role;
use egui::{Align2, CursorIcon, Rect, Response, Sense, Ui, WidgetInfo, pos2, vec2};
use layout::{LANE_TITLE, Lane, Placed};
use look::Look;
use std::collections::BTreeSet;

/// Size of the column of zoom buttons.
const TOOLBAR: egui::Vec2 = vec2(34.0, 146.0);

/// A frame of the canvas.
struct Frame<'f> {
    canvas: Rect,
    layout: &'f Layout,
    zoom: f32,
}

/// Draws the canvas into the rest of the space and notes what a person does.
pub fn ui(ui: &mut Ui, ctx: &mut Context<'_>, state: &mut GraphState) {
    state.show(ctx.graph);
    let canvas = ui.available_rect_before_wrap();
    let background = ui.allocate_rect(canvas, Sense::click_and_drag());
    background.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, format!("Graph of {}", ctx.graph.name)));
    let painter = ui.painter_at(canvas);
    painter.rect_filled(canvas, 0.0, ctx.theme.canvas());
    let layout = state.layout(ctx.graph, ctx.facts, canvas.size());
    state.fit_if_due(layout.bounds(), canvas);
    let factor = std::mem::replace(&mut state.zoom_next, 1.0);
    if (factor - 1.0).abs() > 1e-3 {
        state.zoom_about(canvas, canvas.center(), factor);
    }
    if let Some(rect) = state.reveal_next.take() {
        state.reveal(canvas, rect);
    }
    move_view(ui, &background, canvas, state);
    let frame = Frame { canvas, layout: &layout, zoom: state.zoom() };
    lanes(&painter, ctx, state, &frame);
    let cold = cold_boxes(ctx, state, &layout);
    edges(&painter, ctx, state, &frame, &cold);
    let mut hover = None;
    stage_titles(ui, ctx, state, &frame);
    for (index, placed) in layout.boxes.iter().enumerate() {
        let rect = state.screen_rect(canvas, placed.rect);
        if rect.intersects(canvas) {
            let response = node(ui, ctx, state, &frame, index, rect);
            hover = response.or(hover);
        }
    }
    let line_card = frost_line(ui, ctx, state, &frame, &cold);
    phase_note(ui, ctx, canvas);
    toolbar(ui, ctx, state, canvas);
    find::ui(ui, ctx, state, &frame);
    if background.clicked() {
        state.range.clear();
        ctx.push(Action::Select(None));
    }
    if let Some(card) = line_card.or_else(|| hover.filter(|_| state.dragged_line.is_none())) {
        let boxes: Vec<Rect> = layout.boxes.iter().map(|placed| state.screen_rect(canvas, placed.rect)).collect();
        draw::card(&painter, ctx.theme, canvas, &card, &boxes);
    }
}

/// Which phase of the plan is shown, where it has several.
fn phase_note(ui: &Ui, ctx: &Context<'_>, canvas: Rect) {
    let plan = ctx.plan();
    if plan.timeline.is_empty() {
        return;
    }
    let phase = plan.phase(ctx.epoch);
    let holds = if ctx.running().is_some() { "changes hold until the next phase" } else { "changes hold from here on" };
    let text =
        format!("phase {} of {} · from epoch {} · {holds}", phase.number, plan.timeline.len() + 1, phase.from_epoch);
    let at = canvas.left_bottom() + vec2(14.0, -10.0);
    let shown = ui.painter_at(canvas).text(at, Align2::LEFT_BOTTOM, &text, strong(11.0), ctx.theme.weak);
    let response = ui.interact(shown, ui.scope_id().with("phase"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &text));
    response.on_hover_text("A click on an epoch of the freeze timeline, under the losses, shows what is frozen then.");
}

fn move_view(ui: &Ui, background: &Response, canvas: Rect, state: &mut GraphState) {
    if background.dragged() {
        state.pan(background.drag_delta());
        ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
    }
    let Some(pointer) = ui.input(|input| input.pointer.hover_pos()).filter(|&at| canvas.contains(at)) else { return };
    if !background.contains_pointer() && !ui.ui_contains_pointer() {
        return;
    }
    let (pinch, wheel) = ui.input(|input| (input.zoom_delta(), input.smooth_scroll_delta().y));
    let factor = pinch * (wheel * 0.0025).exp();
    if (factor - 1.0).abs() > 1e-4 {
        state.zoom_about(canvas, pointer, factor);
    }
}

fn lanes(painter: &egui::Painter, ctx: &Context<'_>, state: &GraphState, frame: &Frame<'_>) {
    for lane in &frame.layout.lanes {
        let mut rect = state.screen_rect(frame.canvas, lane.rect);
        rect.min.y -= state::title_excess(frame.zoom);
        draw::lane(painter, ctx.theme, rect, frame.zoom, lane, &lane_subtitle(ctx, lane));
    }
}

fn lane_subtitle(ctx: &Context<'_>, lane: &Lane) -> String {
    let weighted: Vec<NodeId> = lane.nodes.iter().copied().filter(|&id| look::has_weights(ctx, id)).collect();
    let params: u64 = weighted.iter().map(|&id| ctx.facts.node(id).params).sum();
    let frozen = weighted.iter().filter(|&&id| ctx.frontier.state(id).is_frozen()).count();
    let frozen = match frozen {
        0 => "trains".to_owned(),
        n if n == weighted.len() => "all frozen".to_owned(),
        n => format!("{n} of {} nodes frozen", weighted.len()),
    };
    let model = if lane.title == "Backbone" { format!("{} · ", ctx.graph.name) } else { String::new() };
    format!("{model}{} · {frozen}", format::short(params))
}

/// Boxes before the frost line: of the line that is dragged, else of the plan in force.
fn cold_boxes(ctx: &Context<'_>, state: &GraphState, layout: &Layout) -> BTreeSet<usize> {
    if let Some(dragged) = &state.dragged_line {
        return dragged.clone();
    }
    let boxes = layout.boxes.iter().enumerate();
    boxes.filter(|(_, placed)| look::in_prefix(ctx.frontier, placed)).map(|(index, _)| index).collect()
}

fn edges(painter: &egui::Painter, ctx: &Context<'_>, state: &GraphState, frame: &Frame<'_>, cold: &BTreeSet<usize>) {
    for edge in &frame.layout.edges {
        let points = draw::on_screen(edge, |at| state.screen_from_world(frame.canvas, at));
        let crosses = cold.contains(&edge.from) && !cold.contains(&edge.to);
        draw::edge(painter, ctx.theme, points, frame.zoom, crosses);
    }
}

fn stage_titles(ui: &Ui, ctx: &mut Context<'_>, state: &mut GraphState, frame: &Frame<'_>) {
    for stage in &frame.layout.stages {
        let rect = state.screen_rect(frame.canvas, stage.title);
        if frame.zoom < 0.45 || !rect.intersects(frame.canvas) {
            continue;
        }
        let response = ui.interact(rect, ui.scope_id().with(("fold", &stage.stage)), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Fold {}", stage.stage)));
        let color = if response.hovered() { ctx.theme.text } else { ctx.theme.weak };
        let painter = ui.painter_at(frame.canvas);
        let font = strong((11.0 * frame.zoom * 2.0).round() / 2.0);
        let text = painter.text(rect.left_center(), Align2::LEFT_CENTER, &stage.stage, font, color);
        Icon::Down.paint(&painter, text.right_center() + vec2(8.0, 0.0) * frame.zoom, 3.8 * frame.zoom, color);
        if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
            ctx.push(Action::Fold(stage.stage.clone()));
        }
    }
}

fn node(
    ui: &Ui,
    ctx: &mut Context<'_>,
    state: &mut GraphState,
    frame: &Frame<'_>,
    index: usize,
    rect: Rect,
) -> Option<Card> {
    let placed = frame.layout.boxes.get(index)?;
    let look = Look::of(ctx, placed);
    let name = look::name(ctx.graph, placed);
    let id = ui.scope_id().with(("node", &placed.stage, placed.nodes.first().map(|id| id.0)));
    let selected = is_selected(ctx, state, placed);
    let response = ui.interact(rect, id, Sense::click()).on_hover_cursor(CursorIcon::PointingHand);
    let spoken = look::spoken(ctx, placed, look);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, &spoken));
    let sign = (look != Look::Constant).then(|| {
        let toggle = ui.interact(draw::sign_rect(rect, frame.zoom), id.with("toggle"), Sense::click());
        let verb = if look.is_frozen() { "Thaw" } else { "Freeze" };
        toggle.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{verb} {name}")));
        toggle.on_hover_cursor(CursorIcon::PointingHand)
    });
    let sign_hovered = sign.as_ref().is_some_and(Response::hovered);
    let shape = look::shape(ctx, placed);
    let face = BoxFace {
        name: &name,
        shape: &shape,
        look,
        pending: look::pending(ctx, placed),
        selected,
        hovered: response.hovered() || sign_hovered,
        sign_hovered,
        dimmed: find::dims(state, &name),
    };
    draw::node(&ui.painter_at(frame.canvas), ctx.theme, rect, frame.zoom, &face);
    if sign.as_ref().is_some_and(Response::clicked) {
        edit::toggle(ctx, &name, &placed.nodes);
    } else if response.clicked() {
        select(ui, ctx, state, frame, index);
    } else if response.double_clicked() {
        fold(ctx, placed);
    }
    response.context_menu(|ui| context_menu(ui, ctx, placed, &name));
    let hovered = (response.hovered() || sign_hovered) && look != Look::Constant && !response.context_menu_opened();
    hovered.then(|| hover_card(ctx, placed, &name, rect))
}

fn fold(ctx: &mut Context<'_>, placed: &Placed) {
    let several = ctx.graph.nodes.iter().filter(|node| node.stage == placed.stage).count() > 1;
    if several {
        ctx.push(Action::Fold(placed.stage.clone()));
    }
}

fn is_selected(ctx: &Context<'_>, state: &GraphState, placed: &Placed) -> bool {
    let chosen = ctx.project.selected.as_deref().is_some_and(|name| {
        (placed.folded && name == placed.stage) || placed.nodes.iter().any(|&id| ctx.graph.node(id).path == name)
    });
    chosen || placed.nodes.iter().any(|id| state.range.contains(id))
}

fn select(ui: &Ui, ctx: &mut Context<'_>, state: &mut GraphState, frame: &Frame<'_>, index: usize) {
    let Some(placed) = frame.layout.boxes.get(index) else { return };
    if !ui.input(|input| input.modifiers.shift) {
        state.range.clear();
        ctx.push(Action::Select(Some(look::name(ctx.graph, placed))));
        return;
    }
    // A range runs in order of execution from the node that was selected first.
    let first = edit::selected(ctx, &BTreeSet::new()).first().copied();
    let from = first.or_else(|| placed.nodes.first().copied());
    let ends = from.into_iter().chain(placed.nodes.iter().copied()).map(|id| id.0);
    let (low, high) = ends.fold((usize::MAX, 0), |(low, high), id| (low.min(id), high.max(id)));
    state.range = ctx.graph.ids().filter(|id| (low..=high).contains(&id.0)).collect();
    if first.is_none() {
        ctx.push(Action::Select(Some(look::name(ctx.graph, placed))));
    }
}

fn hover_card(ctx: &Context<'_>, placed: &Placed, name: &str, rect: Rect) -> Card {
    let frozen = edit::all_frozen(ctx, &placed.nodes);
    let changed = edit::with_nodes(ctx, &placed.nodes, !frozen);
    let path = placed.nodes.last().map(|&id| ctx.graph.node(id).path.as_str());
    let title = consequence::title(ctx, name, frozen, &changed, path);
    let mut lines = consequence::lines(ctx, &changed);
    match Look::of(ctx, placed) {
        Look::Island => lines.push(explain(true).to_owned()),
        Look::Frozen { .. } => lines.push(explain(false).to_owned()),
        _ => {}
    }
    Card { near: rect, title, lines }
}

fn context_menu(ui: &mut Ui, ctx: &mut Context<'_>, placed: &Placed, name: &str) {
    let stage = placed.stage.clone();
    let of_stage = ctx.graph.select(&stage).unwrap_or_default();
    let frozen = edit::all_frozen(ctx, &of_stage);
    if ui.button("Freeze everything up to here").clicked() {
        edit::freeze_until(ctx, name, &placed.nodes);
        ui.close();
    }
    if ui.button(format!("Train only {name}")).clicked() {
        edit::train_only(ctx, name, &placed.nodes);
        ui.close();
    }
    let verb = if frozen { "Thaw" } else { "Freeze" };
    if ui.button(format!("{verb} stage {stage}")).clicked() {
        edit::set(ctx, &stage, &of_stage, !frozen);
        ui.close();
    }
    if ui.button("Invert what is frozen").clicked() {
        edit::invert(ctx);
        ui.close();
    }
    if of_stage.len() > 1 {
        ui.separator();
        let verb = if placed.folded { "Open" } else { "Fold" };
        if ui.button(format!("{verb} {stage}")).clicked() {
            fold(ctx, placed);
            ui.close();
        }
    }
}

/// Draws the line and its handle, and moves it; while it is dragged, returns the card of what that means.
fn frost_line(
    ui: &Ui,
    ctx: &mut Context<'_>,
    state: &mut GraphState,
    frame: &Frame<'_>,
    cold: &BTreeSet<usize>,
) -> Option<Card> {
    let bounds = frame.layout.bounds();
    let (top, bottom) = (bounds.top() + LANE_TITLE, bounds.bottom() - 22.0);
    let screen = |state: &GraphState, cold: &BTreeSet<usize>| -> Vec<egui::Pos2> {
        let line = cut::line(frame.layout, cold, top, bottom);
        line.into_iter().map(|at| state.screen_from_world(frame.canvas, at)).collect()
    };
    let points = screen(state, cold);
    let end = points.last().copied()?;
    let inner = frame.canvas.shrink2(vec2(54.0, 20.0));
    let right = (inner.right() - TOOLBAR.x - 22.0).max(inner.left());
    let at = pos2(end.x.clamp(inner.left(), right), end.y.clamp(inner.top(), inner.bottom()));
    let pill = Rect::from_center_size(at, vec2(92.0, 22.0));
    let response = ui.interact(pill.expand(3.0), ui.scope_id().with("frost line"), Sense::drag());
    response.widget_info(|| {
        WidgetInfo::labeled(Role::Splitter, true, "Frost line: drag to move what is frozen".to_owned())
    });
    let response = response.on_hover_cursor(CursorIcon::ResizeHorizontal);
    if response.dragged()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        let world = state.world_from_screen(frame.canvas, pointer);
        state.dragged_line = Some(cut::cold_side(frame.layout, world));
    }
    let painter = ui.painter_at(frame.canvas);
    let lively = response.hovered() || response.dragged();
    draw::frost_line(&painter, ctx.theme, &points, pill, lively, false);
    let dragged = state.dragged_line.clone()?;
    let frozen = cut::nodes(frame.layout, &dragged);
    let mut freeze = ctx.freeze().clone();
    freeze.frozen = frozen.iter().map(|&id| ctx.graph.node(id).path.clone()).collect();
    let last = dragged.iter().filter_map(|&i| frame.layout.boxes.get(i)).max_by_key(|placed| placed.order);
    let step = last.map_or_else(
        || "Freeze nothing".to_owned(),
        |placed| format!("Freeze up to {}", look::name(ctx.graph, placed)),
    );
    if response.drag_stopped() {
        state.dragged_line = None;
        ctx.edit_freeze(&step, freeze);
        return None;
    }
    Some(Card { near: pill, title: step, lines: consequence::lines(ctx, &freeze) })
}

/// Zoom and its companions, in a column at the right edge, where the frost line's handle hardly ever is.
fn toolbar(ui: &mut Ui, ctx: &mut Context<'_>, state: &mut GraphState, canvas: Rect) {
    let place = Rect::from_min_size(canvas.right_bottom() - TOOLBAR - vec2(22.0, 20.0), TOOLBAR);
    ui.painter_at(canvas).rect_filled(place, 6.0, ctx.theme.raised);
    ui.scope_builder(egui::UiBuilder::new().max_rect(place.shrink2(vec2(4.0, 3.0))), |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        let mut button = |icon: Icon, name: &str| widgets::icon_button(ui, ctx.theme, icon, name).clicked();
        if button(Icon::Lens, "Find a node (Ctrl+F)") {
            state.open_find();
        }
        if button(Icon::Layers, "Fold or open all stages (E)") {
            fold_all(ctx, state);
        }
        if button(Icon::Fit, "Fit the graph (0)") {
            state.fit = true;
        }
        if button(Icon::Plus, "Zoom in (+)") {
            state.zoom_about(canvas, canvas.center(), 1.25);
        }
        if button(Icon::Minus, "Zoom out (−)") {
            state.zoom_about(canvas, canvas.center(), 0.8);
        }
        let percent = egui::RichText::new(format!("{:.0} %", state.zoom() * 100.0)).size(9.5).color(ctx.theme.weak);
        ui.add_sized([26.0, 14.0], egui::Label::new(percent));
    });
}

/// Folds all stages, or opens them if all are folded.
pub fn fold_all(ctx: &Context<'_>, state: &mut GraphState) {
    let all = state::stages_of_several(ctx.graph);
    state.folded = if state.folded == all { BTreeSet::new() } else { all };
    state.forget();
}
