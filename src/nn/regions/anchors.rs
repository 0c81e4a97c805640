//! Boxes of a few sizes and shapes around each cell of a pyramid.

/// The boxes around a cell's origin: for each ratio of height to width each size, in pixels, with whole-numbered sides
/// as torchvision rounds them (half to even).
#[must_use]
pub fn of_cell(sizes: &[f32], ratios: &[f32]) -> Vec<[f32; 4]> {
    let mut anchors = Vec::with_capacity(sizes.len() * ratios.len());
    for ratio in ratios {
        let (height, width) = (ratio.sqrt(), 1.0 / ratio.sqrt());
        for size in sizes {
            let half = |side: f32| (side * size / 2.0).round_ties_even();
            let (w, h) = (half(width), half(height));
            // Minus first, so that the rounding is that of the corner itself.
            anchors.push([-w, -h, w, h]);
        }
    }
    anchors
}

/// The boxes of a level: for each cell, row by row, those of [`of_cell`], moved by whole cells. A cell's side is the
/// input's side in pixels over the grid's, rounded down, both `[height, width]`.
#[must_use]
pub fn of_level(cell: &[[f32; 4]], grid: [usize; 2], input: [usize; 2]) -> Vec<[f32; 4]> {
    let [rows, columns] = grid;
    let [dy, dx] = [input[0] / rows.max(1), input[1] / columns.max(1)];
    let mut anchors = Vec::with_capacity(rows * columns * cell.len());
    for row in 0..rows {
        for column in 0..columns {
            let (x, y) = ((column * dx) as f32, (row * dy) as f32);
            anchors.extend(cell.iter().map(|b| [b[0] + x, b[1] + y, b[2] + x, b[3] + y]));
        }
    }
    anchors
}
