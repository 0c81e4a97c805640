//! What the canvas remembers between frames.

use super::layout::{LANE_TITLE, Layout, Request, layout};
use crate::graph::{Facts, Graph, NodeId};
use egui::{Pos2, Rect, Vec2};
use std::collections::BTreeSet;

/// Networks with more nodes start with folded stages.
const OPEN_NODES: usize = 14;
const ZOOM: std::ops::RangeInclusive<f32> = 0.15..=2.5;

/// Pan, zoom, folding, what is being dragged.
#[derive(Clone, Debug)]
pub struct GraphState {
    /// Stages that are folded.
    pub folded: BTreeSet<String>,
    /// Nodes chosen besides the selected one, by shift-click.
    pub range: BTreeSet<NodeId>,
    /// The text that is searched for; none while the field is closed.
    pub find: Option<String>,
    /// The field was just opened.
    pub find_focus: bool,
    /// Fits the graph into the canvas with the next frame.
    pub fit: bool,
    /// Boxes on the cold side of a frost line that is being dragged.
    pub dragged_line: Option<BTreeSet<usize>>,
    /// Brings this rectangle of the world into view with the next frame.
    pub reveal_next: Option<Rect>,
    /// Zooms by this factor about the middle with the next frame.
    pub zoom_next: f32,
    zoom: f32,
    offset: Vec2,
    /// Whether the view follows the canvas' size: until a person pans or zooms.
    follows: bool,
    fitted: Vec2,
    shown: String,
    /// Names of the heads that were placed.
    heads: Vec<String>,
    cached: Option<(Request, Layout)>,
}

impl Default for GraphState {
    fn default() -> Self {
        Self {
            folded: BTreeSet::new(),
            range: BTreeSet::new(),
            find: None,
            find_focus: false,
            fit: true,
            dragged_line: None,
            reveal_next: None,
            zoom_next: 1.0,
            zoom: 1.0,
            offset: Vec2::ZERO,
            follows: true,
            fitted: Vec2::ZERO,
            shown: String::new(),
            heads: Vec::new(),
            cached: None,
        }
    }
}

impl GraphState {
    /// A state with these stages folded, for this graph.
    #[must_use]
    pub fn with_folded(graph: &Graph, folded: &[String]) -> Self {
        Self { folded: folded.iter().cloned().collect(), shown: graph.name.clone(), ..Self::default() }
    }

    /// Takes note of the graph that is shown; another one is folded if it is large, and fitted. Other heads are placed.
    pub fn show(&mut self, graph: &Graph) {
        let heads: Vec<String> = graph.heads.iter().map(|head| head.name.clone()).collect();
        let other_heads = std::mem::replace(&mut self.heads, heads) != self.heads;
        if self.shown == graph.name {
            if other_heads {
                // A head came or went: its nodes have no place yet, or none any more.
                self.range.clear();
                self.forget();
            }
            return;
        }
        self.shown.clone_from(&graph.name);
        self.range.clear();
        self.folded = if graph.nodes.len() > OPEN_NODES { stages_of_several(graph) } else { BTreeSet::new() };
        self.forget();
    }

    /// Lays the graph out anew with the next frame.
    pub fn forget(&mut self) {
        self.cached = None;
        self.dragged_line = None;
        self.fit = true;
        self.follows = true;
    }

    /// Opens or folds a stage.
    pub fn toggle(&mut self, stage: &str) {
        if !self.folded.remove(stage) {
            self.folded.insert(stage.to_owned());
        }
        self.cached = None;
    }

    /// The layout for this space, computed when something changed.
    pub fn layout(&mut self, graph: &Graph, facts: &Facts, size: Vec2) -> Layout {
        let aspect_tenths = ((size.x / size.y.max(1.0)) * 10.0).round().clamp(5.0, 40.0) as u32;
        let request = Request { folded: self.folded.clone(), aspect_tenths };
        match &self.cached {
            Some((known, placed)) if *known == request => placed.clone(),
            _ => {
                let placed = layout(graph, facts, &request);
                self.cached = Some((request, placed.clone()));
                placed
            }
        }
    }

    /// The layout of the last frame.
    #[must_use]
    pub fn current(&self) -> Option<&Layout> {
        self.cached.as_ref().map(|(_, layout)| layout)
    }

    /// Fits the bounds into the canvas if that is due.
    pub fn fit_if_due(&mut self, bounds: Rect, canvas: Rect) {
        let resized = self.follows && (self.fitted - canvas.size()).length() > 0.5;
        if !self.fit && !resized {
            return;
        }
        let room = canvas.size() - Vec2::splat(20.0);
        let zoom = |height: f32| {
            let zoom = (room.x / bounds.width().max(1.0)).min(height / bounds.height().max(1.0));
            zoom.clamp(*ZOOM.start(), 1.15)
        };
        self.zoom = zoom(room.y - title_excess(zoom(room.y)));
        self.offset = canvas.size() / 2.0 - bounds.center().to_vec2() * self.zoom;
        self.offset.y += title_excess(self.zoom) / 2.0;
        self.fitted = canvas.size();
        self.fit = false;
        self.follows = true;
    }

    /// Moves the view by screen pixels.
    pub fn pan(&mut self, delta: Vec2) {
        self.offset += delta;
        self.follows = false;
    }

    /// Zooms by a factor about a point of the screen.
    pub fn zoom_about(&mut self, canvas: Rect, at: Pos2, factor: f32) {
        let world = self.world_from_screen(canvas, at);
        self.zoom = (self.zoom * factor).clamp(*ZOOM.start(), *ZOOM.end());
        self.offset = at - canvas.min - world.to_vec2() * self.zoom;
        self.follows = false;
    }

    /// Brings a rectangle of the world into view.
    pub fn reveal(&mut self, canvas: Rect, world: Rect) {
        let screen = self.screen_rect(canvas, world);
        let inner = canvas.shrink(24.0);
        if !inner.contains_rect(screen) {
            let back = inner.center() - screen.center();
            self.pan(back);
        }
    }

    /// Screen pixels for one world unit.
    #[must_use]
    pub fn zoom(&self) -> f32 {
        self.zoom
    }

    /// A point of the screen for a point of the world.
    #[must_use]
    pub fn screen_from_world(&self, canvas: Rect, at: Pos2) -> Pos2 {
        canvas.min + self.offset + at.to_vec2() * self.zoom
    }

    /// A point of the world for a point of the screen.
    #[must_use]
    pub fn world_from_screen(&self, canvas: Rect, at: Pos2) -> Pos2 {
        ((at - canvas.min - self.offset) / self.zoom).to_pos2()
    }

    /// A rectangle of the screen for one of the world.
    #[must_use]
    pub fn screen_rect(&self, canvas: Rect, world: Rect) -> Rect {
        Rect::from_min_max(self.screen_from_world(canvas, world.min), self.screen_from_world(canvas, world.max))
    }
}

/// Titles of lanes keep their size when the graph is small: the pixels by which they then reach above their lane.
#[must_use]
pub fn title_excess(zoom: f32) -> f32 {
    (LANE_TITLE * (1.0 - zoom)).max(0.0)
}

/// Stages that can be folded.
#[must_use]
pub fn stages_of_several(graph: &Graph) -> BTreeSet<String> {
    let several = |stage: &&String| graph.nodes.iter().filter(|node| node.stage == **stage).count() > 1;
    graph.stages().iter().filter(several).cloned().collect()
}
