//! Curves of a run: appended at any length, drawn by minimum and maximum of each pixel column.

/// One curve. `x` never falls.
#[derive(Clone, Debug, Default)]
pub struct Series {
    points: Vec<[f64; 2]>,
}

impl Series {
    /// Appends a point; one whose `x` falls behind the last is left out (a resumed run repeats steps).
    pub fn push(&mut self, x: f64, y: f64) {
        if self.points.last().is_none_or(|last| x >= last[0]) {
            self.points.push([x, y]);
        }
    }

    /// Drops all points at or behind `x`.
    pub fn truncate_from(&mut self, x: f64) {
        let keep = self.points.partition_point(|point| point[0] < x);
        self.points.truncate(keep);
    }

    /// All points.
    #[must_use]
    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    /// The last point.
    #[must_use]
    pub fn last(&self) -> Option<[f64; 2]> {
        self.points.last().copied()
    }

    /// At most `2 * columns + 2` points of the range `[from, to]` that look the same when drawn `columns` pixels wide:
    /// the lowest and the highest of each column, in order of `x`, and the neighbours outside the range.
    #[must_use]
    pub fn decimated(&self, from: f64, to: f64, columns: usize) -> Vec<[f64; 2]> {
        let start = self.points.partition_point(|point| point[0] < from).saturating_sub(1);
        let end = (self.points.partition_point(|point| point[0] <= to) + 1).min(self.points.len());
        let visible = self.points.get(start..end).unwrap_or_default();
        let columns = columns.max(1);
        if visible.len() <= 2 * columns {
            return visible.to_vec();
        }
        let width = ((to - from) / columns as f64).max(f64::MIN_POSITIVE);
        let mut out: Vec<[f64; 2]> = Vec::with_capacity(2 * columns + 2);
        let mut rest = visible;
        while let Some(first) = rest.first() {
            let column = ((first[0] - from) / width).floor();
            // The end of the column is looked for by halves: of a million points most are only compared.
            let len = rest.partition_point(|point| ((point[0] - from) / width).floor() <= column).max(1);
            let (group, tail) = rest.split_at(len);
            let (mut low, mut high) = (*first, *first);
            for point in group {
                // A step without a number must not hide its column.
                if point[1] < low[1] || low[1].is_nan() {
                    low = *point;
                }
                if point[1] > high[1] || high[1].is_nan() {
                    high = *point;
                }
            }
            let (a, b) = if low[0] <= high[0] { (low, high) } else { (high, low) };
            out.push(a);
            if b != a {
                out.push(b);
            }
            rest = tail;
        }
        out
    }

    /// An exponential moving average with this weight of the past (0 = none), without the start's bias.
    #[must_use]
    pub fn smoothed(points: &[[f64; 2]], past: f64) -> Vec<[f64; 2]> {
        let past = past.clamp(0.0, 0.999);
        let (mut mean, mut weight) = (0.0, 0.0);
        points
            .iter()
            .map(|&[x, y]| {
                mean = past * mean + (1.0 - past) * y;
                weight = past * weight + (1.0 - past);
                [x, mean / weight]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimation_keeps_the_extremes_of_every_column() {
        let mut series = Series::default();
        for i in 0..100_000_u32 {
            series.push(f64::from(i), if i == 54_321 { 9.0 } else { f64::from(i % 7) });
        }
        let drawn = series.decimated(0.0, 99_999.0, 500);
        assert!(drawn.len() <= 1002, "{} points", drawn.len());
        assert!(drawn.contains(&[54_321.0, 9.0]));
        assert!(drawn.windows(2).all(|pair| pair[0][0] <= pair[1][0]));
        assert_eq!(drawn.iter().filter(|point| point[1] == 0.0).count(), 500);
    }

    #[test]
    fn a_resumed_run_replaces_what_it_repeats() {
        let mut series = Series::default();
        (0..10).for_each(|i| series.push(f64::from(i), 1.0));
        series.truncate_from(5.0);
        series.push(5.0, 2.0);
        assert_eq!(series.points().len(), 6);
        assert_eq!(series.last(), Some([5.0, 2.0]));
    }

    #[test]
    fn smoothing_starts_without_bias() {
        let flat: Vec<[f64; 2]> = (0..5).map(|i| [f64::from(i), 3.0]).collect();
        assert!(Series::smoothed(&flat, 0.9).iter().all(|point| (point[1] - 3.0).abs() < 1e-12));
    }
}
