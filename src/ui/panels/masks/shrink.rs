//! Which pixels of a picture stand for it where it is drawn smaller: the one in the middle of each part.

/// The pixel of the picture that each column and each row shows.
#[derive(Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// Of columns.
    pub columns: Vec<usize>,
    /// Of rows.
    pub rows: Vec<usize>,
}

impl Shrunk {
    /// Of a picture of this width and height, with `longest_px` pixels at most on the longer side.
    #[must_use]
    pub fn of(size_px: [u32; 2], longest_px: u32) -> Self {
        let [width, height] = size_px.map(|side| u64::from(side.max(1)));
        let longest = width.max(height);
        let most = u64::from(longest_px.max(1)).min(longest);
        let axis = |side: u64| -> Vec<usize> {
            let count = ((2 * side * most + longest) / (2 * longest)).max(1);
            (0..count).map(|at| ((2 * at + 1) * side / (2 * count)) as usize).collect()
        };
        Self { columns: axis(width), rows: axis(height) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_each_part_stands_for_it() {
        // 7 pixels in 3 columns: parts of 2 1/3 with their middles at 1.17, 3.5 and 5.83.
        assert_eq!(Shrunk::of([7, 3], 3), Shrunk { columns: vec![1, 3, 5], rows: vec![1] });
        assert_eq!(Shrunk::of([3, 2], 10), Shrunk { columns: vec![0, 1, 2], rows: vec![0, 1] });
        assert_eq!(Shrunk::of([0, 0], 0), Shrunk { columns: vec![0], rows: vec![0] });
    }
}
