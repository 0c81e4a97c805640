//! The freeze timeline: which stages were frozen when, on the axis of the curves above it.

use super::super::kit;
use super::plot::Axis;
use crate::graph::{FreezePlan, Graph, NodeId};
use crate::ui::Theme;
use egui::{Align2, Painter, Rect, Stroke, StrokeKind, pos2};

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
    /// `(from epoch, state)`; each lasts until the next.
    pub spans: Vec<(f64, LaneState)>,
}

/// A lane while lanes are merged.
struct Group {
    first: String,
    last: String,
    nodes: Vec<NodeId>,
    states: Vec<LaneState>,
}

/// The lanes of a run, the heads first, at most `max` of them: neighbors with the same history are merged first, then
/// the smallest.
#[must_use]
pub fn lanes(graph: &Graph, weighs: &dyn Fn(NodeId) -> bool, history: &[(f64, FreezePlan)], max: usize) -> Vec<Lane> {
    let mut groups: Vec<Group> = Vec::new();
    for stage in graph.stages() {
        let nodes: Vec<NodeId> = graph.ids().filter(|&id| graph.node(id).stage == stage && weighs(id)).collect();
        if !nodes.is_empty() {
            let states = states(graph, &nodes, history);
            groups.push(Group { first: stage.clone(), last: stage, nodes, states });
        }
    }
    while groups.len() > max.max(1) {
        let cost = |i: usize| {
            let (a, b) = (groups.get(i)?, groups.get(i + 1)?);
            Some((a.states != b.states, a.nodes.len() + b.nodes.len(), i))
        };
        let Some((_, _, at)) = (0..groups.len()).filter_map(cost).min() else { break };
        let upper = groups.remove(at + 1);
        if let Some(group) = groups.get_mut(at) {
            group.last = upper.last;
            group.nodes.extend(upper.nodes);
            group.states = states(graph, &group.nodes, history);
        }
    }
    groups.into_iter().rev().map(|group| lane(group, history)).collect()
}

fn lane(group: Group, history: &[(f64, FreezePlan)]) -> Lane {
    let label = if group.first == group.last { group.first } else { format!("{} – {}", group.first, group.last) };
    let mut spans: Vec<(f64, LaneState)> = history.iter().map(|(epoch, _)| *epoch).zip(group.states).collect();
    spans.dedup_by_key(|(_, state)| *state);
    Lane { label, spans }
}

fn states(graph: &Graph, nodes: &[NodeId], history: &[(f64, FreezePlan)]) -> Vec<LaneState> {
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

/// Height of a lane with the gap below it, in points.
pub const LANE: f32 = 14.0;

/// Draws the lanes from the top of `rect`; what lies behind `now` is what will be if nothing changes.
pub fn paint(painter: &Painter, theme: &Theme, axis: &Axis, rect: Rect, lanes: &[Lane], now: f64) {
    let end = axis.epochs;
    for (i, lane) in lanes.iter().enumerate() {
        let row =
            Rect::from_min_size(pos2(rect.left(), rect.top() + i as f32 * LANE), egui::vec2(rect.width(), LANE - 3.0));
        let label_width = axis.frame.left() - rect.left() - 8.0;
        let at = pos2(axis.frame.left() - 6.0, row.center().y);
        kit::text_at(painter, at, Align2::RIGHT_CENTER, &lane.label, 10.0, theme.weak, label_width);
        for (k, &(from, state)) in lane.spans.iter().enumerate() {
            let to = lane.spans.get(k + 1).map_or(end, |next| next.0);
            let (done, planned) = (to.min(now.max(from)), to);
            span(painter, theme, axis, row, [from, done], state, 1.0);
            span(painter, theme, axis, row, [done, planned], state, 0.4);
        }
    }
}

fn span(painter: &Painter, theme: &Theme, axis: &Axis, row: Rect, range: [f64; 2], state: LaneState, opacity: f32) {
    if range[1] <= range[0] {
        return;
    }
    let rect = Rect::from_x_y_ranges(axis.x(range[0])..=axis.x(range[1]), row.y_range());
    let seen = rect.intersect(Rect::from_x_y_ranges(axis.frame.x_range(), row.y_range()));
    if seen.width() <= 0.0 {
        return;
    }
    let painter = painter.with_clip_rect(seen.expand2(egui::vec2(0.0, 1.0)).intersect(painter.clip_rect()));
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
    painter.rect_stroke(rect, 2, Stroke::new(1.0, line.gamma_multiply(opacity)), StrokeKind::Inside);
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
    fn neighbors_with_the_same_history_are_merged_first() {
        let (graph, history) = thawed_at_3();
        let facts = graph.facts().unwrap();
        let lanes = lanes(&graph, &|id| facts.node(id).params > 0, &history, 3);
        let labels: Vec<&str> = lanes.iter().map(|lane| lane.label.as_str()).collect();
        assert_eq!(labels[..2], ["fc", "layer4"]);
        assert!(labels[2].ends_with("layer3"), "{labels:?}");
    }
}
