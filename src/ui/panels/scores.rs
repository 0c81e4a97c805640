//! What a confusion matrix says of each class.

/// Scores of one class. `None` where they are not defined (nothing was predicted, or nothing is there).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Share of the pictures of the class that were found.
    pub recall: Option<f64>,
    /// Share of the pictures called this class that are of it.
    pub precision: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Pictures of the class.
    pub support: u64,
}

/// The scores of each class from counts `[truth][prediction]`.
#[must_use]
pub fn class_scores(confusion: &[Vec<u32>]) -> Vec<ClassScores> {
    let cell = |truth: usize, said: usize| {
        u64::from(confusion.get(truth).and_then(|row| row.get(said)).copied().unwrap_or_default())
    };
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    (0..confusion.len())
        .map(|class| {
            let hits = cell(class, class);
            let support: u64 = (0..confusion.len()).map(|said| cell(class, said)).sum();
            let called: u64 = (0..confusion.len()).map(|truth| cell(truth, class)).sum();
            let f1 = share(2 * hits, support + called).filter(|_| support > 0);
            ClassScores { recall: share(hits, support), precision: share(hits, called), f1, support }
        })
        .collect()
}

/// The most frequent mistakes, `(truth, prediction, count)`, most frequent first.
#[must_use]
pub fn worst_pairs(confusion: &[Vec<u32>], at_most: usize) -> Vec<(usize, usize, u32)> {
    // One pass with a short list: a matrix of 1000 classes has a million cells.
    let mut pairs: Vec<(usize, usize, u32)> = Vec::with_capacity(at_most + 1);
    for (truth, row) in confusion.iter().enumerate() {
        for (said, &count) in row.iter().enumerate() {
            let least = if pairs.len() < at_most { 0 } else { pairs.last().map_or(u32::MAX, |last| last.2) };
            if truth != said && count > least {
                let place = pairs.partition_point(|&(_, _, known)| known >= count);
                pairs.insert(place, (truth, said, count));
                pairs.truncate(at_most);
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_a_case_worked_by_hand() {
        // 10 ants: 8 found, 2 called bees. 5 bees: 4 found, 1 called ant. Wasps: none there, none called.
        let scores = class_scores(&[vec![8, 2, 0], vec![1, 4, 0], vec![0, 0, 0]]);
        let close = |value: Option<f64>, expected: f64| value.is_some_and(|value| (value - expected).abs() < 1e-12);
        assert!(close(scores[0].recall, 0.8) && close(scores[0].precision, 8.0 / 9.0));
        assert!(close(scores[0].f1, 16.0 / 19.0));
        assert!(close(scores[1].recall, 0.8) && close(scores[1].precision, 4.0 / 6.0));
        assert_eq!((scores[0].support, scores[1].support), (10, 5));
        assert_eq!(scores[2], ClassScores { recall: None, precision: None, f1: None, support: 0 });
    }

    #[test]
    fn the_most_frequent_mistake_comes_first() {
        assert_eq!(worst_pairs(&[vec![8, 2], vec![3, 4]], 5), [(1, 0, 3), (0, 1, 2)]);
        assert_eq!(worst_pairs(&[vec![8, 2, 5], vec![3, 4, 0], vec![9, 1, 0]], 2), [(2, 0, 9), (0, 2, 5)]);
        assert_eq!(worst_pairs(&[vec![8, 2]], 0), []);
    }
}
