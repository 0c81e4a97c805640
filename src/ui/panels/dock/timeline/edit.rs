//! The timeline as the editor of the plan: edges of lanes are dragged, moved with the arrow keys, or chosen in a menu.

use super::{Lane, LaneState, Story, in_words, is_on, lane, lanes, paint, relative_rate, row};
use crate::graph::{Frontier, Graph, NodeId};
use crate::train::{Plan, SchedulePreset};
use crate::ui::panels::dock::plot::Axis;
use crate::ui::panels::kit;
use crate::ui::{Action, Context, Theme, format};
use egui::accesskit::{Action as Asked, ActionData};
use egui::{Align2, CursorIcon, EventFilter, Id, Key, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

/// What the timeline remembers.
#[derive(Debug, Default)]
pub struct TimelineState {
    /// Whether the plan of the next run is shown, where the last run has ended.
    pub next: bool,
    /// The epoch looked at, from 1; 0 for the first. The graph shows what is frozen then.
    pub epoch: u32,
    drag: Option<Drag>,
    menu_epoch: u32,
    /// Which nodes have weights, with the graph that this was found for.
    weighs: Option<(String, Vec<bool>)>,
}

/// An edge on its way.
#[derive(Debug)]
struct Drag {
    id: Id,
    tried: Plan,
}

/// Where a lane changes, or could.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    /// The first epoch behind it.
    epoch: u32,
    before: LaneState,
    after: LaneState,
}

/// The lanes to draw, and those of the plan without the edge that is on its way.
#[derive(Debug)]
pub struct Shown<'a> {
    story: Story<'a>,
    /// As drawn.
    pub lanes: Vec<Lane>,
    still: Vec<Lane>,
}

impl Shown<'_> {
    /// Epochs that the axis needs.
    #[must_use]
    pub fn epochs(&self) -> u32 {
        self.story.plan.epochs.max(1)
    }
}

impl TimelineState {
    /// What is shown, in at most `max` lanes.
    #[must_use]
    pub fn shown<'a>(&mut self, cx: &Context<'a>, max: usize) -> Shown<'a> {
        // A run on its way shows itself, and so it does when it has just ended.
        self.next &= !cx.view.is_training();
        let still = Story::of(cx, self.next, None);
        let key = format!("{} {}", still.graph.name, still.graph.nodes.len());
        if self.weighs.as_ref().is_none_or(|(of, _)| *of != key) {
            // Without facts (a graph that cannot be traced) every stage gets a lane.
            let facts = still.graph.facts().ok();
            let weighs = |id| facts.as_ref().is_none_or(|facts| facts.node(id).params + facts.node(id).buffers > 0);
            self.weighs = Some((key, still.graph.ids().map(weighs).collect()));
        }
        let known = self.weighs.as_ref().map(|(_, known)| known.as_slice()).unwrap_or_default();
        let weighs = |id: NodeId| known.get(id.0).copied().unwrap_or(true);
        let still_lanes = lanes(still.graph, &weighs, &still.history, max);
        let Some(drag) = &self.drag else {
            return Shown { story: still, lanes: still_lanes.clone(), still: still_lanes };
        };
        let story = Story::of(cx, self.next, Some(&drag.tried));
        let tried = |old: &Lane| lane(story.graph, &weighs, old.stages.clone(), &story.history);
        Shown { lanes: still_lanes.iter().map(tried).collect(), story, still: still_lanes }
    }
}

/// Draws the lanes and takes what is done to them.
pub fn ui(ui: &mut Ui, cx: &mut Context<'_>, state: &mut TimelineState, axis: &Axis, rect: Rect, shown: &Shown<'_>) {
    let theme = cx.theme;
    let painter = ui.painter_at(rect.expand(1.0));
    cursor(ui, cx, state, axis, rect, shown);
    paint(&painter, theme, axis, rect, &shown.lanes, &shown.story);
    let whole = ui.interact(rect, ui.scope_id().with("timeline"), Sense::hover());
    let words = in_words(&shown.still);
    whole.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, format!("Freeze timeline. {words}")));
    for (index, lane) in shown.still.iter().enumerate() {
        let response = self::lane_ui(ui, cx, state, axis, row(rect, index), lane, &shown.story);
        let hint = shown.lanes.get(index).unwrap_or(lane);
        if state.drag.is_none() {
            hover(cx, &response, axis, hint, &shown.story);
        }
    }
}

/// The epoch looked at, where the plan has several phases.
fn cursor(ui: &Ui, cx: &Context<'_>, state: &mut TimelineState, axis: &Axis, rect: Rect, shown: &Shown<'_>) {
    state.epoch = state.epoch.min(cx.plan().epochs);
    if shown.story.running || shown.story.editable_from.is_none() || state.epoch == 0 || cx.plan().timeline.is_empty() {
        return;
    }
    let [left, right] = [state.epoch - 1, state.epoch].map(|epoch| axis.x(f64::from(epoch)));
    let band = Rect::from_x_y_ranges(left..=right, axis.frame.top()..=rect.bottom());
    let painter = ui.painter().with_clip_rect(axis.frame.union(rect));
    painter.rect_filled(band, 0, cx.theme.accent.gamma_multiply(0.10));
    let phase = cx.plan().phase(state.epoch);
    let text = format!("graph shows epoch {} · phase {}", state.epoch, phase.number);
    let (x, anchor) =
        if left > axis.frame.center().x { (right, Align2::RIGHT_BOTTOM) } else { (left, Align2::LEFT_BOTTOM) };
    let at = pos2(x, axis.frame.bottom() - 2.0);
    kit::plate(&painter, cx.theme, at, anchor, &text, cx.theme.accent, 200.0);
}

fn lane_ui(
    ui: &mut Ui,
    cx: &mut Context<'_>,
    state: &mut TimelineState,
    axis: &Axis,
    row: Rect,
    lane: &Lane,
    story: &Story<'_>,
) -> Response {
    let id = ui.scope_id().with(("lane", &lane.label));
    let edges = edges(lane, story);
    let sense = if story.editable_from.is_some() { Sense::click() } else { Sense::hover() };
    let response = ui.interact(row.expand2(vec2(0.0, 1.0)), id, sense);
    let main = edges.iter().find(|edge| edge.after != LaneState::Frozen).or(edges.first()).copied();
    let words = in_words(std::slice::from_ref(lane));
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Slider, main.is_some(), format!("Lane {words}"));
        info.value = main.map(|edge| f64::from(edge.epoch));
        info
    });
    kit::focus_ring(ui, cx.theme, &response);
    let last = story.plan.epochs + 1;
    let Some(from) = story.editable_from else { return response };
    if let Some(main) = main
        && let Some(to) = asked(ui, &response, main.epoch, from, last)
    {
        commit(cx, lane, main, to);
    }
    if let Some(at) = response.interact_pointer_pos().filter(|_| response.clicked() || response.secondary_clicked()) {
        let epoch = (axis.epoch_at(at.x).floor().max(0.0) as u32 + 1).clamp(1, story.plan.epochs);
        if response.clicked() {
            response.request_focus();
            state.epoch = epoch;
        } else {
            state.menu_epoch = epoch.max(from);
        }
    }
    response.context_menu(|ui| menu(ui, cx, lane, state.menu_epoch, from));
    for edge in edges {
        handle(ui, cx, state, axis, row, lane, edge, [from, last]);
    }
    response
}

/// Where an edge shall go, by keys or by an assistive technology.
fn asked(ui: &Ui, response: &Response, now: u32, from: u32, last: u32) -> Option<u32> {
    let id = response.id;
    ui.ctx().accesskit_node_builder(id, |node| {
        node.add_action(Asked::SetValue);
        node.set_min_numeric_value(f64::from(from));
        node.set_max_numeric_value(f64::from(last));
        node.set_numeric_value_step(1.0);
    });
    let set = ui.input(|input| {
        let values = input.accesskit_action_requests(id, Asked::SetValue).filter_map(|request| match request.data {
            Some(ActionData::NumericValue(value)) => Some(value),
            _ => None,
        });
        values.last()
    });
    let mut to = set.unwrap_or(f64::from(now));
    if response.has_focus() {
        let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
        let keys = |key| ui.input(|input| input.num_presses(key)) as f64;
        to += keys(Key::ArrowRight) - keys(Key::ArrowLeft);
    }
    let to = (to.round().max(0.0) as u32).clamp(from, last);
    (to != now).then_some(to)
}

/// An edge that can be dragged.
#[expect(clippy::too_many_arguments, reason = "one call")]
fn handle(
    ui: &mut Ui,
    cx: &mut Context<'_>,
    state: &mut TimelineState,
    axis: &Axis,
    row: Rect,
    lane: &Lane,
    edge: Edge,
    [from, last]: [u32; 2],
) {
    let id = ui.scope_id().with(("edge", &lane.label, edge.epoch));
    let own = state.drag.as_ref().is_some_and(|drag| drag.id == id);
    let x = axis.x(f64::from(edge.epoch - 1));
    if !(axis.frame.left() - 1.0..=axis.frame.right() + 9.0).contains(&x) || (state.drag.is_some() && !own) {
        return;
    }
    let grip = Rect::from_center_size(pos2(x, row.center().y), vec2(11.0, row.height() + 2.0));
    let response = ui.interact(grip, id, Sense::drag()).on_hover_and_drag_cursor(CursorIcon::ResizeHorizontal);
    if response.hovered() || own {
        let x = response.interact_pointer_pos().filter(|_| own).map_or(x, |at| snapped(axis, at.x, from, last).1);
        let line = [pos2(x, row.top() - 1.0), pos2(x, row.bottom() + 1.0)];
        ui.painter().line_segment(line, Stroke::new(2.5, cx.theme.text));
    }
    let Some(at) = response.interact_pointer_pos().filter(|_| response.dragged() || response.drag_stopped()) else {
        return;
    };
    let (to, x) = snapped(axis, at.x, from, last);
    if response.drag_stopped() {
        state.drag = None;
        commit(cx, lane, edge, to);
        return;
    }
    let mut tried = cx.plan().clone();
    moved(&mut tried, cx.graph, lane, edge, to);
    let what = format!("{} · {}", name(lane, edge, to, tried.epochs), consequence(cx, &tried, to));
    let anchor = if x > axis.frame.center().x { Align2::RIGHT_BOTTOM } else { Align2::LEFT_BOTTOM };
    let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Tooltip, id));
    kit::plate(&painter, cx.theme, pos2(x, row.top() - 4.0), anchor, &what, cx.theme.text, 420.0);
    state.drag = Some(Drag { id, tried });
}

/// The epoch whose start is nearest to a place, and where it starts.
fn snapped(axis: &Axis, x: f32, from: u32, last: u32) -> (u32, f32) {
    let epoch = (axis.epoch_at(x).round().max(0.0) as u32 + 1).clamp(from, last);
    (epoch, axis.x(f64::from(epoch - 1)))
}

/// Where a lane's state changes at the border of an epoch that can be changed; where it never does, the ends.
fn edges(lane: &Lane, story: &Story<'_>) -> Vec<Edge> {
    let Some(from) = story.editable_from else { return Vec::new() };
    let inner = lane.spans.windows(2).filter_map(|pair| match pair {
        [(_, before), (at, after)] => Some(Edge { epoch: at.round() as u32 + 1, before: *before, after: *after }),
        _ => None,
    });
    let mut edges: Vec<Edge> = inner.filter(|edge| edge.epoch >= from && edge.epoch <= story.plan.epochs).collect();
    let thaw = |epoch, after| Edge { epoch, before: LaneState::Frozen, after };
    match (lane.spans.first(), lane.spans.last()) {
        (Some((_, state)), _) if *state != LaneState::Frozen && from == 1 => edges.insert(0, thaw(1, *state)),
        (_, Some((_, LaneState::Frozen))) => edges.push(thaw(story.plan.epochs + 1, LaneState::Trains)),
        _ => {}
    }
    edges
}

/// Moves an edge: what it leaves behind becomes what lies on the other side.
fn moved(plan: &mut Plan, graph: &Graph, lane: &Lane, edge: Edge, to: u32) {
    // Behind the last epoch nothing changes back.
    let end = |epoch: u32| if epoch > plan.epochs { u32::MAX } else { epoch };
    let (epochs, state) =
        if to < edge.epoch { (to..end(edge.epoch), edge.after) } else { (edge.epoch..end(to), edge.before) };
    for stage in &lane.stages {
        plan.set_stage(graph, stage, epochs.clone(), state == LaneState::Frozen);
    }
}

fn commit(cx: &mut Context<'_>, lane: &Lane, edge: Edge, to: u32) {
    let (graph, epochs) = (cx.graph, cx.plan().epochs);
    let name = name(lane, edge, to, epochs);
    cx.edit(&name, |plan| moved(plan, graph, lane, edge, to));
}

/// The name of the step in the undo list.
fn name(lane: &Lane, edge: Edge, to: u32, epochs: u32) -> String {
    let label = &lane.label;
    match (edge.after == LaneState::Frozen, to) {
        (true, to) if to > epochs => format!("Train {label} to the end"),
        (true, to) => format!("Freeze {label} from epoch {to}"),
        (false, 1) => format!("Train {label} from the start"),
        (false, to) if to > epochs => format!("Keep {label} frozen"),
        (false, to) => format!("Thaw {label} from epoch {to}"),
    }
}

/// What trains from an epoch on.
fn consequence(cx: &Context<'_>, plan: &Plan, epoch: u32) -> String {
    if let Some(problem) = plan.idle_phase(cx.graph, cx.facts) {
        return problem;
    }
    let then = Frontier::of(cx.graph, cx.facts, plan.phase(epoch.min(plan.epochs)).freeze);
    format!("{} of {} parameters train then", format::short(then.trainable), format::short(then.params))
}

fn hover(cx: &Context<'_>, response: &Response, axis: &Axis, lane: &Lane, story: &Story<'_>) {
    let Some(at) = response.hover_pos() else { return };
    let time = axis.epoch_at(at.x).clamp(0.0, f64::from(story.plan.epochs));
    let epoch = (time as u32 + 1).min(story.plan.epochs);
    let state = lane.spans.iter().rev().find(|span| span.0 <= time).map_or(LaneState::Mixed, |span| span.1);
    let words = match state {
        LaneState::Frozen => "frozen".to_owned(),
        LaneState::Trains | LaneState::Mixed => {
            let rate = lane
                .stages
                .last()
                .map_or(1.0, |stage| relative_rate(&story.plan, stage, time.min(f64::from(epoch) - 1e-6)));
            let share = if state == LaneState::Mixed { "partly frozen, trains" } else { "trains" };
            format!("{share} at learning rate × {}", crate::ui::panels::format::number(rate))
        }
    };
    let then = (time >= story.now && story.editable_from.is_some()).then(|| consequence(cx, &story.plan, epoch));
    let how = story.editable_from.map(|_| "Drag an edge, use the arrow keys, or right-click.");
    let lines = [Some(format!("epoch {epoch} · {}: {words}", lane.label)), then, how.map(str::to_owned)];
    response.clone().on_hover_text_at_pointer(lines.into_iter().flatten().collect::<Vec<_>>().join("\n"));
}

fn menu(ui: &mut Ui, cx: &mut Context<'_>, lane: &Lane, epoch: u32, from: u32) {
    let (graph, label) = (cx.graph, &lane.label);
    let whole = if from == 1 { "throughout".to_owned() } else { format!("from epoch {from}") };
    let mut items = vec![
        (format!("Train {label} {whole}"), vec![(from..u32::MAX, false)]),
        (format!("Freeze {label} {whole}"), vec![(from..u32::MAX, true)]),
    ];
    if epoch > from {
        items.insert(
            0,
            (format!("Thaw {label} from epoch {epoch}"), vec![(from..epoch, true), (epoch..u32::MAX, false)]),
        );
        items.push((format!("Freeze {label} from epoch {epoch}"), vec![(epoch..u32::MAX, true)]));
    }
    for (name, spans) in items {
        if ui.button(&name).clicked() {
            cx.edit(&name, |plan| {
                for (stage, (epochs, frozen)) in
                    lane.stages.iter().flat_map(|stage| spans.iter().map(move |span| (stage, span)))
                {
                    plan.set_stage(graph, stage, epochs.clone(), *frozen);
                }
            });
            ui.close();
        }
    }
}

/// The usual schedules, in a menu.
pub fn presets(ui: &mut Ui, cx: &mut Context<'_>, state: &mut TimelineState) {
    let text = egui::RichText::new("Schedule…").size(11.5).color(cx.theme.accent);
    let busy = cx.view.is_training();
    let button = egui::Button::new(text).frame(false);
    let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
        if busy {
            kit::weak(ui, cx.theme, "For the next run; the one on its way is changed by its lanes.");
            return;
        }
        for preset in SchedulePreset::ALL {
            if ui.button(preset.to_string()).on_hover_text(about(preset)).clicked() {
                apply(cx, state, preset);
                ui.close();
            }
        }
    });
    response.on_hover_text("When what trains, and how fast: the usual ways to thaw a pretrained network");
}

fn apply(cx: &mut Context<'_>, state: &mut TimelineState, preset: SchedulePreset) {
    let mut plan = cx.plan().clone();
    match preset.apply(&mut plan, cx.graph, cx.facts) {
        Ok(()) => {
            let name = format!("Schedule: {}", preset.to_string().to_lowercase());
            cx.push(Action::Edit { name, plan: Box::new(plan) });
            (state.next, state.epoch) = (true, 0);
        }
        Err(problem) => cx.push(Action::Say(problem)),
    }
}

fn about(preset: SchedulePreset) -> &'static str {
    match preset {
        SchedulePreset::HeadOnly => "The heads train, the backbone stays as it is.",
        SchedulePreset::TwoPhases => {
            "The heads for a fifth of the epochs, then everything at half the rate, lower towards the input (fastai's fine_tune)."
        }
        SchedulePreset::Gradual => {
            "The heads first, then one more stage at a time from the end, at rates that fall towards the input."
        }
        SchedulePreset::Falling => {
            "Everything from the start, at rates that fall from the heads to a hundredth at the input."
        }
    }
}

/// Chooses between the run that has ended and the plan of the next one.
pub fn which_run(ui: &mut Ui, cx: &Context<'_>, theme: &Theme, state: &mut TimelineState) {
    if cx.view.run.as_ref().is_some_and(|run| !is_on(run)) {
        let hint = "Show the freeze timeline of the next run, which can be changed, in place of the last one's";
        if kit::chip(ui, theme, state.next, "Next run").on_hover_text(hint).clicked() {
            state.next = !state.next;
        }
    }
}
