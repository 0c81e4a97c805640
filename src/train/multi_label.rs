//! Metrics of heads that give a picture any number of labels, as scikit-learn defines them.

/// The logit from which a label is given: a probability of one half.
const THRESHOLD: f32 = 0.0;

/// Names of the metrics, in the order of [`LabelCounts::metrics`].
pub const NAMES: [&str; 5] = ["map", "f1", "f1_macro", "subset", "hamming"];

/// What was counted for one class.
#[derive(Clone, Debug, Default)]
struct Class {
    both: u64,
    predicted: u64,
    truth: u64,
    /// Logit of each picture, and whether it has the label.
    scores: Vec<(f32, bool)>,
}

/// Counts of a head over a set.
#[derive(Clone, Debug, Default)]
pub struct LabelCounts {
    classes: Vec<Class>,
    pictures: u64,
    exact: u64,
    wrong: u64,
}

impl LabelCounts {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { classes: vec![Class::default(); classes], ..Self::default() }
    }

    /// Takes one picture in.
    pub fn add(&mut self, logits: &[f32], has: impl Fn(u32) -> bool) {
        let mut wrong = 0;
        for (id, (class, &logit)) in (0u32..).zip(self.classes.iter_mut().zip(logits)) {
            let (predicted, truth) = (logit > THRESHOLD, has(id));
            class.predicted += u64::from(predicted);
            class.truth += u64::from(truth);
            class.both += u64::from(predicted && truth);
            class.scores.push((logit, truth));
            wrong += u64::from(predicted != truth);
        }
        self.pictures += 1;
        self.exact += u64::from(wrong == 0);
        self.wrong += wrong;
    }

    /// Mean average precision over the classes that occur; F1 over all labels and its mean over the classes (0 for a
    /// class without any); share of pictures with exactly the right labels; share of wrong labels. Empty without pictures.
    #[must_use]
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        if self.pictures == 0 || self.classes.is_empty() {
            return Vec::new();
        }
        let f1 = |both: u64, predicted: u64, truth: u64| match predicted + truth {
            0 => 0.0,
            all => 2.0 * both as f64 / all as f64,
        };
        let sum = |of: &dyn Fn(&Class) -> u64| self.classes.iter().map(of).sum::<u64>();
        let micro = f1(sum(&|c| c.both), sum(&|c| c.predicted), sum(&|c| c.truth));
        let classes = self.classes.len() as f64;
        let of_class = self.classes.iter().map(|c| f1(c.both, c.predicted, c.truth));
        let precision: Vec<f64> = self.classes.iter().filter_map(|c| average_precision(&c.scores)).collect();
        let pictures = self.pictures as f64;
        let values = [
            precision.iter().sum::<f64>() / precision.len().max(1) as f64,
            micro,
            of_class.sum::<f64>() / classes,
            self.exact as f64 / pictures,
            self.wrong as f64 / (pictures * classes),
        ];
        NAMES.into_iter().zip(values).collect()
    }
}

/// The area under precision over recall as a sum of steps, one for each different score; none without a positive.
fn average_precision(scores: &[(f32, bool)]) -> Option<f64> {
    let mut order = scores.to_vec();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = order.iter().filter(|(_, truth)| *truth).count() as f64;
    let (mut hits, mut seen, mut area) = (0.0, 0.0, 0.0);
    for equal in order.chunk_by(|a, b| a.0 == b.0) {
        let new = equal.iter().filter(|(_, truth)| *truth).count() as f64;
        hits += new;
        seen += equal.len() as f64;
        area += new / positives * hits / seen;
    }
    (positives > 0.0).then_some(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of scikit-learn 1.9: `average_precision_score(average=None)`, `f1_score`, `accuracy_score`, `hamming_loss`
    /// of the same table; the last class never occurs and is left out of the mean.
    #[test]
    fn as_scikit_learn_counts_with_ties_and_an_absent_class() {
        let logits: [[f32; 4]; 6] = [
            [2.0, -1.0, 0.5, -3.0],
            [0.5, 1.5, 0.5, -2.0],
            [-0.5, 0.25, -1.0, 1.0],
            [2.0, -2.0, 0.5, -1.0],
            [-1.5, 0.75, -0.25, -0.5],
            [1.0, -0.5, 2.0, -4.0],
        ];
        let truth = [[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]];
        let mut counts = LabelCounts::new(4);
        for (logits, truth) in logits.iter().zip(&truth) {
            counts.add(logits, |class| truth[class as usize] == 1);
        }
        let metrics: std::collections::BTreeMap<_, _> = counts.metrics().into_iter().collect();
        for (name, value) in NAMES.into_iter().zip([
            0.841_666_666_666_666_7,
            2.0 / 3.0,
            0.530_357_142_857_142_9,
            1.0 / 6.0,
            0.291_666_666_666_666_7,
        ]) {
            assert!((metrics[name] - value).abs() < 1e-9, "{name}: {} and {value}", metrics[name]);
        }
    }

    #[test]
    fn a_set_without_pictures_has_no_metrics() {
        assert!(LabelCounts::new(3).metrics().is_empty());
    }
}
