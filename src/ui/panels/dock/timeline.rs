//! The freeze timeline: which stages are frozen when, on the axis of the curves above it: what happened, and what is planned.

mod edit;

use super::super::kit;
use super::plot::Axis;
use crate::graph::{FreezePlan, Graph, NodeId};
use crate::session::{Phase, RunView};
use crate::train::{Plan, learning_rate};
use crate::ui::icons::Icon;
use crate::ui::{Context, Theme};
use egui::{Align2, FontId, Painter, Rect, Stroke, StrokeKind, pos2, vec2};

pub use edit::{TimelineState, presets, ui, which_run};

/// What a lane is over a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// All of its nodes are frozen.
    Frozen,
    /// None is.
    Trains,
    /// Some are.
    Mixed,
}

/// A stage, or several neighbors, over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// The stage, or the first and the last of several.
    pub label: String,
    /// The stages.
    pub stages: Vec<String>,
    /// `(from epoch, state)`; each lasts until the next.
    pub spans: Vec<(f64, LaneState)>,
}

impl Lane {
    /// The label and shorter forms of it, the longest first: `layer2 – layer4`, `layer2–4`, `layer2 +2`.
    fn forms(&self) -> Vec<String> {
        let [first, more @ .., last] = self.stages.as_slice() else { return vec![self.label.clone()] };
        let name = first.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = last.strip_prefix(name).filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        let span = number.filter(|_| !name.is_empty()).map(|number| format!("{first}–{number}"));
        let counted = format!("{first} +{}", more.len() + 1);
        [Some(self.label.clone()), span, Some(counted)].into_iter().flatten().collect()
    }
}

/// Freeze plans over time, `(from epoch, plan)`; an epoch's number is where it ends.
pub type History = Vec<(f64, FreezePlan)>;

/// What the lanes tell.
#[derive(Debug)]
pub struct Story<'a> {
    /// The network.
    pub graph: &'a Graph,
    /// What decides the learning rates, and what is changed.
    pub plan: Plan,
    /// What is frozen when.
    pub history: History,
    /// What lies before has happened.
    pub now: f64,
    /// The first epoch that can still be changed; none where all has happened.
    pub editable_from: Option<u32>,
    /// Whether a run is on its way.
    pub running: bool,
}

impl<'a> Story<'a> {
    /// The run that is shown with what is planned for it; without a run, or for the `next` one, the plan. `tried` stands
    /// for the plan while an edge is being dragged.
    #[must_use]
    pub fn of(cx: &Context<'a>, next: bool, tried: Option<&Plan>) -> Self {
        let plan = tried.unwrap_or(cx.plan());
        let run = cx.view.run.as_ref().filter(|run| !next || is_on(run));
        let Some(run) = run else {
            let (history, plan) = (planned(plan, 1), plan.clone());
            return Self { graph: cx.graph, plan, history, now: 0.0, editable_from: Some(1), running: false };
        };
        let mut history = past(run);
        let now = if is_on(run) { run.position() } else { f64::INFINITY };
        // When the last epoch is done and the run is about to end, nothing is left to be moved.
        let editable_from = cx.running().map(|run| run.epoch() + 1).filter(|from| *from <= plan.epochs + 1);
        if let Some(from) = editable_from {
            history.extend(planned(plan, from));
        }
        let plan = if editable_from.is_some() { plan } else { &run.info.plan };
        Self { graph: &run.info.graph, plan: plan.clone(), history, now, editable_from, running: is_on(run) }
    }
}

fn is_on(run: &RunView) -> bool {
    matches!(run.phase, Phase::Running | Phase::Paused)
}

/// The phases of a plan that begin in this epoch or later.
fn planned(plan: &Plan, from: u32) -> History {
    let phases = plan.phases().filter(|phase| phase.from_epoch >= from);
    phases.map(|phase| (f64::from(phase.from_epoch - 1), phase.freeze.clone())).collect()
}

/// What was frozen when; epochs before a run was resumed say it themselves.
fn past(run: &RunView) -> History {
    let before = run.epochs.iter().filter(|news| (1..=run.info.first_epoch).contains(&news.epoch));
    let told = before.filter(|news| !news.frozen.is_empty() || news.frozen_tensors == 0);
    let told = told.map(|news| {
        let frozen = news.frozen.iter().cloned().collect();
        (f64::from(news.epoch - 1), FreezePlan { frozen, ..FreezePlan::default() })
    });
    told.chain(run.freeze_history.iter().cloned()).collect()
}

/// The lanes, the heads first, at most `max` of them: neighbors with the same history are merged first, then the smallest.
#[must_use]
pub fn lanes(graph: &Graph, weighs: &dyn Fn(NodeId) -> bool, history: &[(f64, FreezePlan)], max: usize) -> Vec<Lane> {
    let mut groups: Vec<(Vec<String>, Vec<LaneState>)> = Vec::new();
    for stage in graph.stages() {
        if !nodes(graph, weighs, std::slice::from_ref(&stage)).is_empty() {
            let stages = vec![stage];
            let states = states(graph, weighs, &stages, history);
            groups.push((stages, states));
        }
    }
    while groups.len() > max.max(1) {
        let size = |stages: &[String]| nodes(graph, weighs, stages).len();
        let cost = |i: usize| {
            let (a, b) = (groups.get(i)?, groups.get(i + 1)?);
            Some((a.1 != b.1, size(&a.0) + size(&b.0), i))
        };
        let Some((_, _, at)) = (0..groups.len()).filter_map(cost).min() else { break };
        let upper = groups.remove(at + 1);
        if let Some(group) = groups.get_mut(at) {
            group.0.extend(upper.0);
            group.1 = states(graph, weighs, &group.0, history);
        }
    }
    groups.into_iter().rev().map(|(stages, _)| lane(graph, weighs, stages, history)).collect()
}

/// One lane of these stages.
#[must_use]
pub fn lane(
    graph: &Graph,
    weighs: &dyn Fn(NodeId) -> bool,
    stages: Vec<String>,
    history: &[(f64, FreezePlan)],
) -> Lane {
    let states = states(graph, weighs, &stages, history);
    let label = match stages.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first, .., last] => format!("{first} – {last}"),
    };
    let mut spans: Vec<(f64, LaneState)> = history.iter().map(|(epoch, _)| *epoch).zip(states).collect();
    spans.dedup_by_key(|(_, state)| *state);
    Lane { label, stages, spans }
}

fn nodes(graph: &Graph, weighs: &dyn Fn(NodeId) -> bool, stages: &[String]) -> Vec<NodeId> {
    graph.ids().filter(|&id| stages.contains(&graph.node(id).stage) && weighs(id)).collect()
}

fn states(
    graph: &Graph,
    weighs: &dyn Fn(NodeId) -> bool,
    stages: &[String],
    history: &[(f64, FreezePlan)],
) -> Vec<LaneState> {
    let nodes = nodes(graph, weighs, stages);
    let state = |plan: &FreezePlan| {
        let frozen = nodes.iter().filter(|&&id| plan.is_frozen(&graph.node(id).path)).count();
        match frozen {
            0 => LaneState::Trains,
            n if n == nodes.len() => LaneState::Frozen,
            _ => LaneState::Mixed,
        }
    };
    history.iter().map(|(_, plan)| state(plan)).collect()
}

/// Learning rate of a stage beside the plan's own, at a time in epochs.
#[must_use]
pub fn relative_rate(plan: &Plan, stage: &str, at: f64) -> f64 {
    const STEPS: f64 = 100.0; // enough for a line of some hundred points
    let phase = plan.phase(at as u32 + 1);
    let total = f64::from(plan.epochs) * STEPS;
    let shape = learning_rate(plan, (at * STEPS).min(total - 1.0) as u64, STEPS as usize, total as u64) / plan.lr;
    shape * phase.lr_factor * phase.stage_lr.get(stage).copied().unwrap_or(1.0)
}

/// Height of a lane with the gap below it, in points.
pub const LANE: f32 = 14.0;

/// The place of a lane.
fn row(rect: Rect, index: usize) -> Rect {
    Rect::from_min_size(pos2(rect.left(), rect.top() + index as f32 * LANE), vec2(rect.width(), LANE - 3.0))
}

/// Draws the lanes from the top of `rect`. While a run is on its way, what it has not reached is paler and dashed.
pub fn paint(painter: &Painter, theme: &Theme, axis: &Axis, rect: Rect, lanes: &[Lane], story: &Story<'_>) {
    let end = axis.epochs.max(f64::from(story.plan.epochs));
    for (i, lane) in lanes.iter().enumerate() {
        let row = row(rect, i);
        let label_width = axis.frame.left() - rect.left() - 8.0;
        let at = pos2(axis.frame.left() - 6.0, row.center().y);
        let width =
            |text: &str| painter.layout_no_wrap(text.to_owned(), FontId::proportional(10.0), theme.weak).size().x;
        let forms = lane.forms();
        let form = forms.iter().find(|form| width(form) <= label_width).or(forms.last());
        let label = form.unwrap_or(&lane.label);
        kit::text_at(painter, at, Align2::RIGHT_CENTER, label, 10.0, theme.weak, label_width);
        for (k, &(from, state)) in lane.spans.iter().enumerate() {
            let to = lane.spans.get(k + 1).map_or(end, |next| next.0);
            let border = if story.running { to.min(story.now.max(from)) } else { to };
            span(painter, theme, axis, row, [from, border], state, false);
            span(painter, theme, axis, row, [border, to], state, true);
            if state != LaneState::Frozen {
                rates(painter, theme, axis, row, lane, [from, to], &story.plan);
            }
        }
    }
}

fn span(painter: &Painter, theme: &Theme, axis: &Axis, row: Rect, range: [f64; 2], state: LaneState, planned: bool) {
    if range[1] <= range[0] {
        return;
    }
    let rect = Rect::from_x_y_ranges(axis.x(range[0])..=axis.x(range[1]), row.y_range());
    let seen = rect.intersect(Rect::from_x_y_ranges(axis.frame.x_range(), row.y_range()));
    if seen.width() <= 0.0 {
        return;
    }
    let opacity = if planned { 0.5 } else { 1.0 };
    let painter = painter.with_clip_rect(seen.expand2(vec2(0.0, 1.0)).intersect(painter.clip_rect()));
    let (frozen, trains) = match state {
        LaneState::Frozen => (Some(rect), None),
        LaneState::Trains => (None, Some(rect)),
        LaneState::Mixed => {
            let (top, bottom) = rect.split_top_bottom_at_fraction(0.5);
            (Some(bottom), Some(top))
        }
    };
    if let Some(part) = frozen {
        painter.rect_filled(part, 2, theme.ice_fill.gamma_multiply(opacity));
        kit::hatch(&painter, part, theme.ice.gamma_multiply(0.5 * opacity));
    }
    if let Some(part) = trains {
        painter.rect_filled(part, 2, theme.amber_fill.gamma_multiply(opacity));
    }
    let line = if state == LaneState::Frozen { theme.ice } else { theme.amber };
    let stroke = Stroke::new(1.0, line.gamma_multiply(if planned { 0.7 } else { 1.0 }));
    if planned {
        let inner = rect.shrink(0.5);
        let corners =
            [inner.left_top(), inner.right_top(), inner.right_bottom(), inner.left_bottom(), inner.left_top()];
        painter.extend(egui::Shape::dashed_line(&corners, stroke, 3.0, 3.0));
    } else {
        painter.rect_stroke(rect, 2, stroke, StrokeKind::Inside);
    }
    if state == LaneState::Frozen && seen.width() > 22.0 {
        let center = pos2(seen.left() + 9.0, row.center().y);
        painter.circle_filled(center, 6.0, theme.ice_fill);
        Icon::Snowflake.paint(&painter, center, 4.0, theme.ice);
    }
}

/// The learning rate as a thin line: the plan's own at the top, a thousandth of it at the bottom.
fn rates(painter: &Painter, theme: &Theme, axis: &Axis, row: Rect, lane: &Lane, range: [f64; 2], plan: &Plan) {
    let Some(stage) = lane.stages.last() else { return };
    let left = axis.x(range[0]).max(axis.frame.left());
    let right = axis.x(range[1]).min(axis.frame.right());
    let inner = row.shrink2(vec2(0.0, 2.5));
    let columns = ((right - left) / 3.0).max(1.0) as usize;
    let points = (0..=columns).map(|column| {
        let x = left + (right - left) * column as f32 / columns as f32;
        let rate = relative_rate(plan, stage, (axis.epoch_at(x)).clamp(range[0], range[1] - 1e-6));
        let height = (1.0 + rate.log10() / 3.0).clamp(0.0, 1.0) as f32;
        pos2(x, inner.bottom() - inner.height() * height)
    });
    if right > left {
        painter.line(points.collect(), Stroke::new(1.0, theme.amber.gamma_multiply(0.8)));
    }
}

/// The lanes in words, for people who do not see them.
#[must_use]
pub fn in_words(lanes: &[Lane]) -> String {
    let state = |state: LaneState| match state {
        LaneState::Frozen => "frozen",
        LaneState::Trains => "trains",
        LaneState::Mixed => "partly frozen",
    };
    let lane = |lane: &Lane| {
        // A span from 3.0 on is seen from the fourth epoch's first step; a change by hand lies between.
        let spans: Vec<String> =
            lane.spans.iter().map(|&(from, at)| format!("{} from epoch {from:.1}", state(at))).collect();
        format!("{}: {}", lane.label, spans.join(", then "))
    };
    lanes.iter().map(lane).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Preset;

    fn thawed_at_3() -> (Graph, Vec<(f64, FreezePlan)>) {
        let graph = crate::session::find_model("resnet18").unwrap().graph(2, 224).unwrap();
        let before = FreezePlan::preset(&graph, &Preset::HeadOnly).unwrap();
        let after = FreezePlan::preset(&graph, &Preset::LastStageAndHead).unwrap();
        (graph, vec![(0.0, before), (3.0, after)])
    }

    #[test]
    fn a_thaw_splits_the_lane_of_its_stage() {
        let (graph, history) = thawed_at_3();
        let facts = graph.facts().unwrap();
        let lanes = lanes(&graph, &|id| facts.node(id).params > 0, &history, 6);
        assert!(lanes.len() <= 6);
        assert_eq!(lanes[0].label, "fc");
        assert_eq!(lanes[0].spans, [(0.0, LaneState::Trains)]);
        assert_eq!(lanes[1].label, "layer4");
        assert_eq!(lanes[1].spans, [(0.0, LaneState::Frozen), (3.0, LaneState::Trains)]);
        assert!(lanes[2..].iter().all(|lane| lane.spans == [(0.0, LaneState::Frozen)]));
    }

    #[test]
    fn a_label_has_shorter_forms() {
        let forms = |stages: &[&str]| {
            let stages: Vec<String> = stages.iter().map(|&stage| stage.to_owned()).collect();
            let label = format!("{} – {}", stages[0], stages[stages.len() - 1]);
            Lane { label, stages, spans: Vec::new() }.forms()[1..].to_vec()
        };
        assert_eq!(forms(&["layer2", "layer3", "layer4"]), ["layer2–4", "layer2 +2"]);
        assert_eq!(forms(&["features.9", "features.10"]), ["features.9–10", "features.9 +1"]);
        assert_eq!(forms(&["stem", "layer1"]), ["stem +1"]);
        assert_eq!(Lane { label: "fc".to_owned(), stages: vec!["fc".to_owned()], spans: Vec::new() }.forms(), ["fc"]);
    }

    #[test]
    fn neighbors_with_the_same_history_are_merged_first() {
        let (graph, history) = thawed_at_3();
        let facts = graph.facts().unwrap();
        let lanes = lanes(&graph, &|id| facts.node(id).params > 0, &history, 3);
        let labels: Vec<&str> = lanes.iter().map(|lane| lane.label.as_str()).collect();
        assert_eq!(labels[..2], ["fc", "layer4"]);
        assert!(labels[2].ends_with("layer3"), "{labels:?}");
    }
}
