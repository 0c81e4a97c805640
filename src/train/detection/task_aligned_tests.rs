//! Assignment by hand, and at its limits.

use super::*;

fn object(class: usize, xyxy: [f32; 4]) -> Object {
    Object { class, xyxy, crowd: false }
}

/// Cells of one level of 4×4 cells of 8 px; each says a box of this size around its center with these probabilities.
fn level(size: f32, class: &[f32]) -> (Cells, Vec<f32>) {
    let cells = Cells::of(&[[4, 4]], &[8]);
    let guess = cells.all.iter().flat_map(|[column, row, side]| {
        let (x, y) = ((column + 0.5) * side, (row + 0.5) * side);
        [&[x - size / 2.0, y - size / 2.0, x + size / 2.0, y + size / 2.0], class].concat()
    });
    let guess = guess.collect();
    (cells, guess)
}

#[test]
fn the_best_cells_of_an_object_are_to_score_what_they_overlap() {
    // The cell in the middle of the object says just its box; the others around it lie on its border and not in it.
    let (cells, guess) = level(16.0, &[0.25, 0.5]);
    let matches = assign(&cells, &[object(0, [4.0, 4.0, 20.0, 20.0])], &guess, 2);
    assert_eq!(matches.len(), 1, "{matches:?}");
    assert_eq!((matches[0].cell, matches[0].object), (5, 0));
    assert!((matches[0].score - 1.0).abs() < 1e-6, "{matches:?}");
    // Four cells in the object overlap it alike: all are to score that overlap. IoU 144 / 368; the centers are 4 px apart
    // each way, the box around both has 20 px.
    let matches = assign(&cells, &[object(1, [8.0, 8.0, 24.0, 24.0])], &guess, 2);
    let overlap = 144.0 / 368.0 - 32.0 / 800.0_f32;
    assert_eq!(matches.iter().map(|m| m.cell).collect::<Vec<_>>(), [5, 6, 9, 10]);
    assert!(matches.iter().all(|m| (m.score - overlap).abs() < 1e-5), "{matches:?} and not {overlap}");
}

#[test]
fn a_cell_in_two_objects_goes_to_the_one_that_it_overlaps_more() {
    let (cells, guess) = level(8.0, &[0.5, 0.5]);
    let objects = [object(0, [-4.0, -4.0, 12.0, 12.0]), object(1, [0.0, 0.0, 8.0, 9.0])];
    let matches = assign(&cells, &objects, &guess, 2);
    let of_cell_0: Vec<usize> = matches.iter().filter(|m| m.cell == 0).map(|m| m.object).collect();
    assert_eq!(of_cell_0, [1]);
}

#[test]
fn nothing_is_matched_where_there_is_nothing() {
    let (cells, guess) = level(8.0, &[0.5]);
    assert_eq!(assign(&cells, &[], &guess, 1), []);
    assert_eq!(assign(&cells, &[object(0, [500.0, 500.0, 510.0, 510.0])], &guess, 1), []);
    // Smaller than a cell and not on a center.
    assert_eq!(assign(&cells, &[object(0, [0.0, 0.0, 2.0, 2.0])], &guess, 1), []);
    let wrong = vec![f32::NAN; guess.len()];
    assert_eq!(assign(&cells, &[object(0, [0.0, 0.0, 8.0, 8.0])], &wrong, 1), []);
}

#[test]
fn a_thousand_objects_are_assigned_in_bounded_time() {
    let cells = Cells::of(&[[80, 80], [40, 40], [20, 20]], &[8, 16, 32]);
    let classes = 20;
    let guess: Vec<f32> = cells
        .all
        .iter()
        .flat_map(|[column, row, side]| {
            let (x, y) = ((column + 0.5) * side, (row + 0.5) * side);
            let head = [x - side, y - 0.7 * side, x + side, y + 0.8 * side];
            head.into_iter().chain((0..classes).map(|class| 0.05 * class as f32))
        })
        .collect();
    let objects: Vec<Object> = (0..1000)
        .map(|i| {
            let (x, y) = ((i % 40) as f32 * 15.0, (i / 40) as f32 * 24.0);
            object(1 + i % 19, [x, y, x + 20.0 + (i % 7) as f32 * 9.0, y + 22.0 + (i % 5) as f32 * 11.0])
        })
        .collect();
    let start = std::time::Instant::now();
    let matches = assign(&cells, &objects, &guess, classes);
    let took = start.elapsed();
    assert!(matches.len() > 1000, "{}", matches.len());
    let mut answering: Vec<usize> = matches.iter().map(|m| m.cell).collect();
    answering.dedup();
    assert_eq!(answering.len(), matches.len(), "a cell answers for one object");
    assert!(took.as_secs_f64() < 20.0, "{took:?}");
}
