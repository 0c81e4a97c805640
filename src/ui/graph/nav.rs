//! Walking through the graph with the arrow keys, along its edges.

use super::layout::Placed;
use super::look;
use super::state::GraphState;
use crate::ui::action::Action;
use crate::ui::context::Context;
use crate::ui::graph::edit;
use egui::Vec2;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Towards the outputs.
    Right,
    /// Towards the image.
    Left,
    /// Up on the screen.
    Up,
    /// Down on the screen.
    Down,
}

impl GraphState {
    /// Selects the neighbor in this direction: the box at the other end of an edge that points most nearly there.
    /// Left and right follow the computation, whatever the edge's slope.
    pub fn walk(&mut self, ctx: &mut Context<'_>, direction: Walk) {
        let Some(layout) = self.current().cloned() else { return };
        let selected = edit::selected(ctx, &self.range);
        let current = selected.first().and_then(|&id| layout.box_of(id));
        let Some(current) = current else {
            let first = layout.boxes.iter().min_by_key(|placed| placed.order);
            self.go_to(ctx, first);
            return;
        };
        let center = |index: usize| layout.boxes.get(index).map_or(Vec2::ZERO, |placed| placed.rect.center().to_vec2());
        let forward = layout.edges.iter().filter(|edge| edge.from == current).map(|edge| (edge.to, true));
        let backward = layout.edges.iter().filter(|edge| edge.to == current).map(|edge| (edge.from, false));
        let score = |(index, ahead): (usize, bool)| {
            let way = (center(index) - center(current)).normalized();
            let score = match direction {
                Walk::Right => (if ahead { 2.0 } else { -2.0 }) - way.y.abs(),
                Walk::Left => (if ahead { -2.0 } else { 2.0 }) - way.y.abs(),
                Walk::Up => -way.y,
                Walk::Down => way.y,
            };
            (index, score)
        };
        let best = forward.chain(backward).map(score).filter(|(_, score)| *score > 0.05);
        let best = best.max_by(|a, b| a.1.total_cmp(&b.1)).and_then(|(index, _)| layout.boxes.get(index));
        self.go_to(ctx, best);
    }

    fn go_to(&mut self, ctx: &mut Context<'_>, placed: Option<&Placed>) {
        if let Some(placed) = placed {
            self.range.clear();
            self.reveal_next = Some(placed.rect);
            ctx.push(Action::Select(Some(look::name(ctx.graph, placed))));
        }
    }
}
