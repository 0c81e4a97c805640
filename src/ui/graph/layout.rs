//! Where everything stands: a pure function from a comparable request to rectangles and curves, in world units.
//!
//! Lanes stand side by side: backbone, neck, heads. Within a lane a column is a step of the computation; a row is a
//! resolution, fine at the bottom, coarse at the top, so that a backbone climbs and a pyramid's levels line up with
//! the stages that feed them. A network that comes back to the pixels stands the other way round, as the U that it is
//! known as: down on the left, up on the right, skips level across. The frost line can then be drawn from top to bottom.

use super::items::{Item, ItemKind, is_u, items};
use crate::graph::{Facts, Graph, NodeId, Part};
use egui::{Pos2, Rect, Vec2, pos2, vec2};
use std::collections::{BTreeMap, BTreeSet};

/// Size of a node's box.
pub const NODE: Vec2 = vec2(122.0, 58.0);
/// Size of the box of a node without weights.
const SMALL: Vec2 = vec2(92.0, 46.0);
/// Between boxes of a stack.
const STACK_GAP: f32 = 11.0;
/// Between columns.
const COLUMN_GAP: f32 = 30.0;
/// Between neighbors of different rows in one column.
const ROW_GAP: f32 = 22.0;
/// Title of an open stage.
pub const STAGE_TITLE: f32 = 19.0;
/// Boxes in one column of an open stage.
const STACK_HEIGHT: usize = 6;
/// Title of a lane.
pub const LANE_TITLE: f32 = 50.0;
const LANE_PADDING: f32 = 16.0;
/// Room for the frost line's handle under the boxes.
const PILL: f32 = 40.0;
const LANE_GAP: f32 = 12.0;

/// What a layout depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Stages that are folded.
    pub folded: BTreeSet<String>,
    /// Width over height of the space, in tenths.
    pub aspect_tenths: u32,
}

/// A box that can be clicked.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Where it stands.
    pub rect: Rect,
    /// Its nodes: one, or all of a folded stage.
    pub nodes: Vec<NodeId>,
    /// Its stage.
    pub stage: String,
    /// Whether it is a folded stage.
    pub folded: bool,
    /// Order among the boxes from left to right, then from bottom to top in a stack: where a cut can pass.
    pub order: usize,
}

/// An open stage of several nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenStage {
    /// Its name.
    pub stage: String,
    /// Its title's place.
    pub title: Rect,
    /// Around its boxes.
    pub rect: Rect,
}

/// One part of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Backbone, Neck, Head or Heads.
    pub title: String,
    /// Its nodes.
    pub nodes: Vec<NodeId>,
    /// Its place.
    pub rect: Rect,
}

/// A curve between two boxes.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Index of the box that it leaves.
    pub from: usize,
    /// Index of the box that it enters.
    pub to: usize,
    /// Control points of a cubic Bézier.
    pub curve: [Pos2; 4],
}

/// Everything placed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Boxes.
    pub boxes: Vec<Placed>,
    /// Open stages of several nodes.
    pub stages: Vec<OpenStage>,
    /// Lanes.
    pub lanes: Vec<Lane>,
    /// Curves.
    pub edges: Vec<Edge>,
    /// Around everything.
    pub bounds: Option<Rect>,
}

impl Layout {
    /// Index of the box that shows this node.
    #[must_use]
    pub fn box_of(&self, node: NodeId) -> Option<usize> {
        self.boxes.iter().position(|placed| placed.nodes.contains(&node))
    }

    /// Around everything; empty for an empty graph.
    #[must_use]
    pub fn bounds(&self) -> Rect {
        self.bounds.unwrap_or(Rect::from_min_size(Pos2::ZERO, vec2(1.0, 1.0)))
    }
}

/// Places a graph.
#[must_use]
pub fn layout(graph: &Graph, facts: &Facts, request: &Request) -> Layout {
    let items = items(graph, facts, &request.folded);
    let sizes: Vec<Vec2> = items.iter().map(size_of).collect();
    let mut out = Layout::default();
    let mut left = 0.0;
    let columns = place_columns(&items, &sizes, &mut left, &mut out.lanes);
    let width = left - LANE_GAP;
    let rows = place_rows(&items, &sizes, width, request.aspect_tenths as f32 / 10.0);
    let cells = cells(&items);
    let u = is_u(graph, facts);
    for (index, item) in items.iter().enumerate() {
        let mut center = pos2(columns[index], rows[item.row] + cell_offset(&cells, &items, &sizes, index));
        if u && item.kind == ItemKind::Stack {
            // A skip leaves from the stack's last node, and skips are level.
            center.y += sizes[index].y / 2.0 - STAGE_TITLE - NODE.y / 2.0 - below_top(item);
        }
        place_item(item, Rect::from_center_size(center, sizes[index]), &mut out);
    }
    let around = out.boxes.iter().map(|placed| placed.rect).chain(out.stages.iter().map(|stage| stage.title));
    let inner = around.reduce(Rect::union).unwrap_or(Rect::ZERO);
    let aspect = (request.aspect_tenths as f32 / 10.0).clamp(0.5, 4.0);
    let (top, bottom) = (inner.min.y - LANE_TITLE - LANE_PADDING, inner.max.y + LANE_PADDING + PILL);
    let spare = (width / aspect - (bottom - top)).max(0.0) / 2.0;
    for lane in &mut out.lanes {
        lane.rect.min.y = top - spare;
        lane.rect.max.y = bottom + spare;
    }
    out.bounds = out.lanes.iter().map(|lane| lane.rect).reduce(Rect::union);
    number_boxes(&mut out);
    out.edges = edges(graph, &out);
    out
}

fn size_of(item: &Item) -> Vec2 {
    match &item.kind {
        ItemKind::Box if item.constant => SMALL,
        ItemKind::Box => NODE,
        ItemKind::Stack => {
            let per_column = item.nodes.len().min(STACK_HEIGHT) as f32;
            let columns = item.nodes.len().div_ceil(STACK_HEIGHT) as f32;
            let height = per_column * (NODE.y + STACK_GAP) - STACK_GAP + STAGE_TITLE;
            vec2(columns * (NODE.x + COLUMN_GAP) - COLUMN_GAP, height)
        }
    }
}

/// Horizontal centers of all items; fills the lanes on the way.
fn place_columns(items: &[Item], sizes: &[Vec2], left: &mut f32, lanes: &mut Vec<Lane>) -> Vec<f32> {
    let mut centers = vec![0.0; items.len()];
    for lane in 0..3 {
        let members: Vec<usize> = (0..items.len()).filter(|&i| items[i].lane == lane).collect();
        if members.is_empty() {
            continue;
        }
        let start = *left;
        let mut x = start + LANE_PADDING;
        let columns: BTreeSet<usize> = members.iter().map(|&i| items[i].column).collect();
        for column in columns {
            let here: Vec<usize> = members.iter().copied().filter(|&i| items[i].column == column).collect();
            let width = here.iter().map(|&i| sizes[i].x).fold(0.0, f32::max);
            for i in here {
                centers[i] = x + width / 2.0;
            }
            x += width + COLUMN_GAP;
        }
        // A lane's title needs room too.
        let end = (x - COLUMN_GAP + LANE_PADDING).max(start + 150.0);
        let shift = (end - (x - COLUMN_GAP + LANE_PADDING)) / 2.0;
        for &i in &members {
            centers[i] += shift;
        }
        let nodes = members.iter().flat_map(|&i| items[i].nodes.clone()).collect();
        let heads = items.iter().filter(|item| item.lane == 2).map(|item| &item.part).collect::<BTreeSet<_>>().len();
        let title = ["Backbone", "Neck", if heads > 1 { "Heads" } else { "Head" }][lane].to_owned();
        lanes.push(Lane { title, nodes, rect: Rect::from_x_y_ranges(start..=end, 0.0..=1.0) });
        *left = end + LANE_GAP;
    }
    centers
}

/// Vertical centers of all rows: as close as the boxes allow, spread so that the whole fills the space.
fn place_rows(items: &[Item], sizes: &[Vec2], width: f32, aspect: f32) -> Vec<f32> {
    let count = items.iter().map(|item| item.row).max().map_or(0, |row| row + 1);
    let cells = cells(items);
    let height = |row: usize, lane: usize, column: usize| {
        cells.get(&(lane, column, row)).map_or(0.0, |cell| cell_height(cell, sizes))
    };
    let place = |step: f32| {
        let mut rows: Vec<f32> = Vec::with_capacity(count);
        for row in 0..count {
            let mut y = rows.last().map_or(0.0, |below| below - step);
            for &(lane, column, _) in cells.keys().filter(|key| key.2 == row) {
                for (below, center) in rows.iter().enumerate() {
                    let reach = height(below, lane, column);
                    if reach > 0.0 {
                        y = y.min(center - (reach + height(row, lane, column)) / 2.0 - ROW_GAP);
                    }
                }
            }
            rows.push(y);
        }
        rows
    };
    let extent = |rows: &[f32]| {
        let edge = |side: f32| {
            cells.iter().map(move |(key, cell)| side * rows[key.2] + cell_height(cell, sizes) / 2.0).fold(0.0, f32::max)
        };
        edge(1.0) + edge(-1.0)
    };
    let tight = place(26.0);
    let wanted = width / aspect.clamp(0.5, 4.0) - LANE_TITLE - 2.0 * LANE_PADDING - PILL;
    let room = wanted - extent(&tight);
    if count < 2 || room <= 0.0 {
        return tight;
    }
    place((26.0 + room / (count - 1) as f32).min(190.0))
}

type Cells = BTreeMap<(usize, usize, usize), Vec<usize>>;

/// Items by lane, column and row.
fn cells(items: &[Item]) -> Cells {
    let mut cells = Cells::new();
    for (index, item) in items.iter().enumerate() {
        cells.entry((item.lane, item.column, item.row)).or_default().push(index);
    }
    cells
}

fn cell_height(cell: &[usize], sizes: &[Vec2]) -> f32 {
    cell.iter().map(|&i| sizes[i].y + STACK_GAP).sum::<f32>() - STACK_GAP
}

fn cell_offset(cells: &Cells, items: &[Item], sizes: &[Vec2], index: usize) -> f32 {
    let item = &items[index];
    let Some(cell) = cells.get(&(item.lane, item.column, item.row)) else { return 0.0 };
    let above: f32 = cell.iter().take_while(|&&i| i != index).map(|&i| sizes[i].y + STACK_GAP).sum();
    above + sizes[index].y / 2.0 - cell_height(cell, sizes) / 2.0
}

/// How far the last node of a stack stands below the first place of its column.
fn below_top(item: &Item) -> f32 {
    let last = item.nodes.len().saturating_sub(1);
    let tallest = item.nodes.len().min(STACK_HEIGHT) - 1;
    (tallest - last % STACK_HEIGHT) as f32 * (NODE.y + STACK_GAP)
}

fn place_item(item: &Item, rect: Rect, out: &mut Layout) {
    let placed = |rect: Rect, nodes: Vec<NodeId>| Placed {
        rect,
        nodes,
        stage: item.stage.clone(),
        folded: item.folded,
        order: 0,
    };
    if item.kind == ItemKind::Box {
        out.boxes.push(placed(rect, item.nodes.clone()));
        return;
    }
    for (i, &node) in item.nodes.iter().enumerate() {
        let column = (i / STACK_HEIGHT) as f32;
        let level = (i % STACK_HEIGHT) as f32;
        let x = rect.left() + column * (NODE.x + COLUMN_GAP);
        let y = rect.bottom() - NODE.y - level * (NODE.y + STACK_GAP);
        out.boxes.push(placed(Rect::from_min_size(pos2(x, y), NODE), vec![node]));
    }
    let title = Rect::from_min_size(rect.min, vec2(NODE.x, STAGE_TITLE - 4.0));
    out.stages.push(OpenStage { stage: item.stage.clone(), title, rect });
}

/// Numbers the boxes in the order in which a cut can pass them.
fn number_boxes(out: &mut Layout) {
    let mut order: Vec<usize> = (0..out.boxes.len()).collect();
    let key = |i: usize| {
        let rect = out.boxes[i].rect;
        (rect.left().round() as i64, -rect.bottom().round() as i64)
    };
    order.sort_by_key(|&i| key(i));
    for (rank, i) in order.into_iter().enumerate() {
        out.boxes[i].order = rank;
    }
}

fn edges(graph: &Graph, placed: &Layout) -> Vec<Edge> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (from, to) in graph.edges() {
        if let (Some(a), Some(b)) = (placed.box_of(from), placed.box_of(to))
            && a != b
            && seen.insert((a, b))
        {
            out.push(Edge { from: a, to: b, curve: curve(placed.boxes[a].rect, placed.boxes[b].rect) });
        }
    }
    out
}

/// Leaves to the right where the target lies to the right, else by the nearest of top and bottom.
fn curve(from: Rect, to: Rect) -> [Pos2; 4] {
    let overlap = from.left() < to.right() && to.left() < from.right();
    if overlap {
        let up = to.center().y < from.center().y;
        let (a, b) = if up { (from.center_top(), to.center_bottom()) } else { (from.center_bottom(), to.center_top()) };
        let bend = vec2(0.0, (b.y - a.y) * 0.45);
        return [a, a + bend, b - bend, b];
    }
    let (a, b) = if to.left() >= from.right() {
        (from.right_center(), to.left_center())
    } else {
        (from.left_center(), to.right_center())
    };
    let bend = vec2((b.x - a.x) * 0.5, 0.0);
    [a, a + bend, b - bend, b]
}

/// The lane of a part.
#[must_use]
pub fn lane_of(part: &Part) -> usize {
    match part {
        Part::Backbone => 0,
        Part::Neck => 1,
        Part::Head(_) => 2,
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
