//! What a confusion matrix says of each class and of all.

/// Scores of one class. `None` where they are not defined (nothing was predicted, or nothing is there).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Share of the pictures of the class that were found.
    pub recall: Option<f64>,
    /// Share of the pictures called this class that are of it.
    pub precision: Option<f64>,
    /// Harmonic mean of the two; none for a class that is neither there nor predicted.
    pub f1: Option<f64>,
    /// Pictures of the class.
    pub support: u64,
}

impl ClassScores {
    /// From how many were found, called so, and are there.
    #[must_use]
    pub fn of(hits: u64, called: u64, support: u64) -> Self {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let f1 = share(2 * hits, support + called);
        Self { recall: share(hits, support), precision: share(hits, called), f1, support }
    }
}

/// The scores of each class from counts `[truth][prediction]`.
#[must_use]
pub fn class_scores(confusion: &[Vec<u32>]) -> Vec<ClassScores> {
    let mut called = vec![0_u64; confusion.len()];
    for row in confusion {
        called.iter_mut().zip(row).for_each(|(sum, &count)| *sum += u64::from(count));
    }
    let of = |(class, (row, &called)): (usize, (&Vec<u32>, &u64))| {
        let hits = row.get(class).copied().map_or(0, u64::from);
        ClassScores::of(hits, called, row.iter().map(|&count| u64::from(count)).sum())
    };
    confusion.iter().zip(&called).enumerate().map(of).collect()
}

/// Scores averaged over classes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Averages {
    /// Mean precision.
    pub precision: f64,
    /// Mean recall.
    pub recall: f64,
    /// Mean F1.
    pub f1: f64,
}

/// Every class counts alike: those that occur in truth or prediction, an undefined score as 0, as in scikit-learn.
#[must_use]
pub fn macro_average(scores: &[ClassScores]) -> Option<Averages> {
    average(scores, |scores| f64::from(u8::from(scores.f1.is_some())))
}

/// Every picture counts alike: classes weigh by their pictures.
#[must_use]
pub fn weighted_average(scores: &[ClassScores]) -> Option<Averages> {
    average(scores, |scores| scores.support as f64)
}

fn average(scores: &[ClassScores], weight: impl Fn(&ClassScores) -> f64) -> Option<Averages> {
    let whole: f64 = scores.iter().map(&weight).sum();
    let mean = |of: fn(&ClassScores) -> Option<f64>| {
        scores.iter().map(|scores| weight(scores) * of(scores).unwrap_or(0.0)).sum::<f64>() / whole
    };
    (whole > 0.0).then(|| Averages { precision: mean(|s| s.precision), recall: mean(|s| s.recall), f1: mean(|s| s.f1) })
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

    fn close(value: Option<f64>, expected: f64) -> bool {
        value.is_some_and(|value| (value - expected).abs() < 1e-12)
    }

    #[test]
    fn scores_of_a_case_worked_by_hand() {
        // 10 ants: 8 found, 2 called bees. 5 bees: 4 found, 1 called ant. Wasps: none there, none called.
        let scores = class_scores(&[vec![8, 2, 0], vec![1, 4, 0], vec![0, 0, 0]]);
        assert!(close(scores[0].recall, 0.8) && close(scores[0].precision, 8.0 / 9.0));
        assert!(close(scores[0].f1, 16.0 / 19.0));
        assert!(close(scores[1].recall, 0.8) && close(scores[1].precision, 4.0 / 6.0));
        assert_eq!((scores[0].support, scores[1].support), (10, 5));
        assert_eq!(scores[2], ClassScores { recall: None, precision: None, f1: None, support: 0 });
    }

    /// `precision_recall_fscore_support` of scikit-learn 1.x with `zero_division=0`: class 3 occurs nowhere, class 4 is
    /// predicted and not there, class 5 is there and never predicted.
    #[test]
    fn averages_are_those_of_scikit_learn() {
        let counts = [
            vec![50, 3, 2, 0, 1, 0],
            vec![4, 30, 6, 0, 2, 0],
            vec![1, 8, 20, 0, 0, 0],
            vec![0; 6],
            vec![0; 6],
            vec![2, 0, 5, 0, 0, 0],
        ];
        let scores = class_scores(&counts);
        let precision = [0.8771929824561403, 0.7317073170731707, 0.6060606060606061];
        let recall = [0.8928571428571429, 0.7142857142857143, 0.6896551724137931];
        let f1 = [0.8849557522123894, 0.7228915662650602, 0.6451612903225806];
        for (class, own) in scores.iter().take(3).enumerate() {
            assert!(close(own.precision, precision[class]) && close(own.recall, recall[class]));
            assert!(close(own.f1, f1[class]));
        }
        assert_eq!((scores[4].precision, scores[4].recall, scores[4].f1), (Some(0.0), None, Some(0.0)));
        assert_eq!((scores[5].precision, scores[5].recall, scores[5].f1), (None, Some(0.0), Some(0.0)));
        let all = macro_average(&scores).unwrap();
        assert!(close(Some(all.precision), 0.4429921811179834) && close(Some(all.recall), 0.45935960591133007));
        assert!(close(Some(all.f1), 0.45060172176000607));
        let all = weighted_average(&scores).unwrap();
        assert!(close(Some(all.precision), 0.727091581420706) && close(Some(all.recall), 0.746268656716418));
        assert!(close(Some(all.f1), 0.736034666614785));
        assert_eq!(macro_average(&class_scores(&[vec![0, 0], vec![0, 0]])), None);
    }

    #[test]
    fn the_most_frequent_mistake_comes_first() {
        assert_eq!(worst_pairs(&[vec![8, 2], vec![3, 4]], 5), [(1, 0, 3), (0, 1, 2)]);
        assert_eq!(worst_pairs(&[vec![8, 2, 5], vec![3, 4, 0], vec![9, 1, 0]], 2), [(2, 0, 9), (0, 2, 5)]);
        assert_eq!(worst_pairs(&[vec![8, 2]], 0), []);
    }
}
