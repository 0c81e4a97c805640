//! Assignment by hand, and at its limits.

use super::*;

fn object(class: usize, xyxy: [f32; 4]) -> Object {
    Object { class, xyxy, crowd: false }
}

/// Cells of one level of 4×4 cells of 8 px; each says a box of this size around its center with these logits.
fn level(size: f32, objectness: f32, class: &[f32]) -> (Cells, Vec<f32>) {
    let cells = Cells::of(&[[4, 4]], &[8]);
    let guess = cells.all.iter().flat_map(|[column, row, side]| {
        let center = [(column + 0.5) * side, (row + 0.5) * side];
        [&[center[0], center[1], size, size, objectness], class].concat()
    });
    let guess = guess.collect();
    (cells, guess)
}

#[test]
fn an_object_gets_as_many_cells_as_its_best_boxes_overlap_it() {
    // A box of 16 px whose center is the corner of four cells: each of the four overlaps it by 12² / (2 · 16² - 12²).
    let (cells, guess) = level(16.0, 0.0, &[0.0, 0.0]);
    let matches = assign(&cells, &[object(1, [8.0, 8.0, 24.0, 24.0])], &guess, 2);
    let nearest = 144.0 / 368.0_f32;
    // Four with 0.391, and of the eight with 4·12 / (512 - 48) = 0.103 six: 2.19 in sum, so two cells.
    assert_eq!(matches.len(), 2);
    assert_eq!(matches.iter().map(|m| m.cell).collect::<Vec<_>>(), [5, 6]);
    assert!(matches.iter().all(|m| m.object == 0 && (m.iou - nearest).abs() < 1e-6), "{matches:?}");
}

#[test]
fn a_cell_that_two_objects_want_goes_to_the_cheaper() {
    let (cells, guess) = level(8.0, 2.0, &[3.0, -3.0]);
    // Both lie on cell 0; the cell says class 0.
    let objects = [object(1, [0.0, 0.0, 8.0, 8.0]), object(0, [0.0, 0.0, 8.0, 8.0])];
    let matches = assign(&cells, &objects, &guess, 2);
    assert_eq!(matches, [Match { cell: 0, object: 1, iou: 1.0 }]);
}

#[test]
fn nothing_is_matched_where_there_is_nothing() {
    let (cells, guess) = level(8.0, 0.0, &[0.0]);
    assert_eq!(assign(&cells, &[], &guess, 1), []);
    // Far outside of the picture no cell is near.
    assert_eq!(assign(&cells, &[object(0, [500.0, 500.0, 510.0, 510.0])], &guess, 1), []);
    // What is no number is no reason to stop.
    let wrong = vec![f32::NAN; guess.len()];
    assign(&cells, &[object(0, [0.0, 0.0, 8.0, 8.0])], &wrong, 1);
}

#[test]
fn a_thousand_objects_are_assigned_in_bounded_time() {
    let cells = Cells::of(&[[80, 80], [40, 40], [20, 20]], &[8, 16, 32]);
    let classes = 20;
    let guess: Vec<f32> = cells
        .all
        .iter()
        .flat_map(|[column, row, side]| {
            let head = [(column + 0.5) * side, (row + 0.5) * side, 2.0 * side, 1.5 * side, 0.5];
            head.into_iter().chain((0..classes).map(move |class| (class as f32 - column) / 7.0))
        })
        .collect();
    let objects: Vec<Object> = (0..1000)
        .map(|i| {
            let (x, y) = ((i % 40) as f32 * 15.0, (i / 40) as f32 * 24.0);
            object(i % classes, [x, y, x + 10.0 + (i % 7) as f32 * 9.0, y + 12.0 + (i % 5) as f32 * 11.0])
        })
        .collect();
    let start = std::time::Instant::now();
    let matches = assign(&cells, &objects, &guess, classes);
    let took = start.elapsed();
    assert!(matches.len() > 500, "{}", matches.len());
    let mut answering: Vec<usize> = matches.iter().map(|m| m.cell).collect();
    answering.dedup();
    assert_eq!(answering.len(), matches.len(), "a cell answers for one object");
    // 8.4 million pairs; a second where this crate is optimized.
    assert!(took.as_secs_f64() < 20.0, "{took:?}");
}
