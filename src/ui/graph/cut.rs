//! The frost line: where it runs through a layout, and what dragging it freezes.

use super::layout::{Layout, Placed};
use crate::graph::NodeId;
use egui::{Pos2, pos2};
use std::collections::BTreeSet;

/// From a box to the line beside it.
const ASIDE: f32 = 15.0;

/// Boxes that a line at this place leaves on its cold side: those to the left; in the column of an open stage those
/// below, or, when the pointer is outside of the column's height, a share by the pointer's way through its width.
#[must_use]
pub fn cold_side(layout: &Layout, at: Pos2) -> BTreeSet<usize> {
    let is_cold = |(index, placed): (usize, &Placed)| {
        let rect = placed.rect;
        let cold = if rect.right() + ASIDE <= at.x {
            true
        } else if rect.left() - ASIDE >= at.x {
            false
        } else {
            match column_of(layout, placed) {
                Some(column) => {
                    let top = column.iter().map(|b| b.rect.top()).fold(f32::INFINITY, f32::min);
                    let bottom = column.iter().map(|b| b.rect.bottom()).fold(f32::NEG_INFINITY, f32::max);
                    if (top..bottom).contains(&at.y) {
                        rect.center().y > at.y
                    } else {
                        let way = (at.x - rect.left() + ASIDE) / (rect.width() + 2.0 * ASIDE);
                        let below = column.iter().filter(|b| b.rect.center().y > rect.center().y).count();
                        (below as f32) + 0.5 < way * column.len() as f32
                    }
                }
                None => rect.center().x < at.x,
            }
        };
        cold.then_some(index)
    };
    layout.boxes.iter().enumerate().filter_map(is_cold).collect()
}

/// The boxes of an open stage that stand above or below this one, itself included.
fn column_of<'a>(layout: &'a Layout, placed: &Placed) -> Option<Vec<&'a Placed>> {
    layout.stages.iter().find(|stage| stage.stage == placed.stage && stage.rect.contains(placed.rect.center()))?;
    let same = |other: &&Placed| other.stage == placed.stage && (other.rect.left() - placed.rect.left()).abs() < 1.0;
    let column: Vec<&Placed> = layout.boxes.iter().filter(same).collect();
    (column.len() > 1).then_some(column)
}

/// Nodes of these boxes.
#[must_use]
pub fn nodes(layout: &Layout, boxes: &BTreeSet<usize>) -> Vec<NodeId> {
    boxes.iter().filter_map(|&i| layout.boxes.get(i)).flat_map(|placed| placed.nodes.iter().copied()).collect()
}

/// The line that has these boxes on its cold side, from top to bottom, in world units.
#[must_use]
pub fn line(layout: &Layout, cold: &BTreeSet<usize>, top: f32, bottom: f32) -> Vec<Pos2> {
    let all = layout.boxes.iter().enumerate();
    let last = all.filter(|(i, _)| cold.contains(i)).max_by(|a, b| a.1.rect.right().total_cmp(&b.1.rect.right()));
    let Some((_, last)) = last else {
        let left = layout.boxes.iter().map(|placed| placed.rect.left()).fold(f32::INFINITY, f32::min);
        let x = if left.is_finite() { left - 9.0 } else { 0.0 };
        return vec![pos2(x, top), pos2(x, bottom)];
    };
    let right = last.rect.right() + ASIDE;
    let column = column_of(layout, last).unwrap_or_default();
    let index = |placed: &Placed| layout.boxes.iter().position(|other| other == placed);
    let (below, above): (Vec<&Placed>, Vec<&Placed>) =
        column.into_iter().partition(|placed| index(placed).is_some_and(|i| cold.contains(&i)));
    if above.is_empty() {
        return vec![pos2(right, top), pos2(right, bottom)];
    }
    let roof = below.iter().map(|placed| placed.rect.top()).fold(f32::INFINITY, f32::min);
    let floor =
        above.iter().map(|placed| placed.rect.bottom()).filter(|&y| y <= roof).fold(f32::NEG_INFINITY, f32::max);
    let y = if floor.is_finite() { (roof + floor) / 2.0 } else { roof };
    let left = last.rect.left() - ASIDE;
    vec![pos2(left, top), pos2(left, y), pos2(right, y), pos2(right, bottom)]
}
