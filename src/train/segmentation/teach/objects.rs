//! The objects of a batch's pictures at the size of the input.

use crate::data::VOID;
use std::collections::BTreeMap;

/// Pixels of the input that an object needs: one cell of a mask as the network makes it. Smaller ones are not asked for, neither
/// in training nor in metrics.
pub const LEAST_PX: u64 = 16;

/// An object of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaughtObject {
    /// Its number in the map of objects.
    pub number: u16,
    /// Left, top, right, bottom of its outermost pixels, in input pixels.
    pub xyxy: [u32; 4],
    /// Number of its pixels.
    pub area: u64,
}

/// The objects in a map of this width that are large enough, by number.
#[must_use]
pub fn objects_of(numbers: &[u16], width: usize) -> Vec<TaughtObject> {
    let mut found: BTreeMap<u16, TaughtObject> = BTreeMap::new();
    for (y, row) in (0_u32..).zip(numbers.chunks(width.max(1))) {
        let mut x = 0_u32;
        for run in row.chunk_by(|a, b| a == b) {
            let length = run.len() as u32;
            if let Some(&number) = run.first().filter(|number| !matches!(**number, 0 | VOID)) {
                let fresh = TaughtObject { number, xyxy: [x, y, x, y], area: 0 };
                let object = found.entry(number).or_insert(fresh);
                let [left, top, right, _] = object.xyxy;
                object.xyxy = [left.min(x), top, right.max(x + length - 1), y];
                object.area += u64::from(length);
            }
            x += length;
        }
    }
    found.into_values().filter(|object| object.area >= LEAST_PX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_with_their_boxes() {
        // 6×4: object 2 of 18 pixels around a hole, object 1 of three pixels, which is too small.
        let rows = [[2, 2, 2, 2, 2, 1], [2, 2, 0, 2, 2, 1], [2, 2, 2, 2, 2, 1], [VOID, VOID, 2, 2, 2, 2]];
        let found = objects_of(&rows.concat(), 6);
        assert_eq!(found, [TaughtObject { number: 2, xyxy: [0, 0, 5, 3], area: 18 }]);
        assert!(objects_of(&[], 0).is_empty());
    }
}
