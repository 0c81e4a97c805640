//! Curves that stay quick at any length: thinned to pixel columns and smoothed, both only as far as they grew.

use crate::session::Series;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A series thinned to the pixel columns of a range.
#[derive(Debug, Default)]
struct Thinned {
    from: f64,
    to: f64,
    columns: usize,
    done: usize,
    points: Vec<[f64; 2]>,
}

impl Thinned {
    /// Follows the series. New points are appended as they are; once they have doubled the list it is thinned anew,
    /// so that the cost of a frame does not depend on the length of the series.
    fn follow(&mut self, series: &Series, from: f64, to: f64, columns: usize) -> &[[f64; 2]] {
        let all = series.points();
        let same = self.from == from && self.to == to && self.columns == columns && self.done <= all.len();
        let fresh = if same { all.get(self.done..).unwrap_or_default() } else { all };
        if same && self.points.len() + fresh.len() <= 4 * columns + 8 {
            self.points.extend(fresh.iter().filter(|point| point[0] <= to));
        } else {
            self.points = series.decimated(from, to, columns);
        }
        (self.from, self.to, self.columns, self.done) = (from, to, columns, all.len());
        &self.points
    }
}

/// An exponential moving average that grows with its series.
#[derive(Debug, Default)]
struct Smoothed {
    past: f64,
    done: usize,
    mean: f64,
    weight: f64,
    out: Series,
}

impl Smoothed {
    fn follow(&mut self, series: &Series, past: f64) -> &Series {
        let all = series.points();
        if self.past != past || self.done > all.len() {
            *self = Self { past, ..Self::default() };
        }
        for &[x, y] in all.get(self.done..).unwrap_or_default() {
            // A diverged step must not blank everything after it.
            if y.is_finite() {
                self.mean = past * self.mean + (1.0 - past) * y;
                self.weight = past * self.weight + (1.0 - past);
                self.out.push(x, self.mean / self.weight);
            }
        }
        self.done = all.len();
        &self.out
    }
}

/// What is kept of one series.
#[derive(Debug, Default)]
struct Curve {
    raw: Thinned,
    smoothed: Smoothed,
    line: Thinned,
}

/// The curves of one run, by name.
#[derive(Debug, Default)]
pub struct Curves {
    run: Option<(PathBuf, u32)>,
    curves: BTreeMap<String, Curve>,
}

/// What is drawn of a series: its points and their moving average.
#[derive(Debug)]
pub struct Drawn<'a> {
    /// The series, thinned.
    pub raw: &'a [[f64; 2]],
    /// Its moving average, thinned; empty without smoothing.
    pub smoothed: &'a [[f64; 2]],
}

impl Curves {
    /// Forgets the curves of another run.
    pub fn set_run(&mut self, folder: &std::path::Path, first_epoch: u32) {
        if self.run.as_ref().is_none_or(|(known, first)| known != folder || *first != first_epoch) {
            *self = Self { run: Some((folder.to_path_buf(), first_epoch)), curves: BTreeMap::new() };
        }
    }

    /// What to draw of a series in the range `[from, to]` that is `columns` pixels wide, smoothed over
    /// `window` points (0 or 1: plain).
    pub fn draw(&mut self, name: &str, series: &Series, range: [f64; 2], columns: usize, window: f64) -> Drawn<'_> {
        let curve = self.curves.entry(name.to_owned()).or_default();
        let raw = curve.raw.follow(series, range[0], range[1], columns);
        let smoothed = if window > 1.0 {
            let line = curve.smoothed.follow(series, 1.0 - 1.0 / window);
            curve.line.follow(line, range[0], range[1], columns)
        } else {
            &[]
        };
        Drawn { raw, smoothed }
    }

    /// The last value of a series' moving average, where it was drawn with one.
    #[must_use]
    pub fn smoothed_at(&self, name: &str, x: f64) -> Option<f64> {
        value_at(&self.curves.get(name)?.smoothed.out, x)
    }
}

/// The value of a series at `x`: that of the last point at or before it.
#[must_use]
pub fn value_at(series: &Series, x: f64) -> Option<f64> {
    let points = series.points();
    let index = points.partition_point(|point| point[0] <= x);
    points.get(index.saturating_sub(1)).map(|point| point[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(len: usize) -> Series {
        let mut series = Series::default();
        (0..len).for_each(|i| series.push(i as f64 / 1000.0, (i as f64 / 50.0).sin()));
        series
    }

    #[test]
    fn a_growing_curve_is_thinned_as_one_that_came_at_once() {
        let mut curves = Curves::default();
        let mut series = Series::default();
        for i in 0..100_000_usize {
            series.push(i as f64 / 1000.0, if i == 7_777 { 42.0 } else { (i as f64 / 50.0).sin() });
            if i % 97 == 0 {
                assert!(curves.draw("cls", &series, [0.0, 100.0], 300, 0.0).raw.len() <= 4 * 300 + 8);
            }
        }
        let drawn = curves.draw("cls", &series, [0.0, 100.0], 300, 0.0).raw;
        assert!(drawn.contains(&[7.777, 42.0]), "the peak is kept");
        assert!(drawn.windows(2).all(|pair| pair[0][0] <= pair[1][0]));
        assert_eq!(drawn.last(), series.points().last());
    }

    #[test]
    fn smoothing_grows_to_the_same_as_the_whole_at_once() {
        let whole = wave(5000);
        let expected = Series::smoothed(whole.points(), 0.9);
        let mut smoothed = Smoothed::default();
        let mut part = Series::default();
        for (i, &[x, y]) in whole.points().iter().enumerate() {
            part.push(x, y);
            if i % 700 == 0 {
                smoothed.follow(&part, 0.9);
            }
        }
        let grown = smoothed.follow(&part, 0.9);
        assert_eq!(grown.points().len(), expected.len());
        assert!(grown.points().iter().zip(&expected).all(|(a, b)| (a[1] - b[1]).abs() < 1e-12));
    }

    #[test]
    fn another_run_starts_afresh() {
        let mut curves = Curves::default();
        curves.set_run(std::path::Path::new("a"), 0);
        curves.draw("cls", &wave(100), [0.0, 1.0], 50, 5.0);
        assert!(curves.smoothed_at("cls", 0.05).is_some());
        curves.set_run(std::path::Path::new("b"), 0);
        assert_eq!(curves.smoothed_at("cls", 0.05), None);
    }

    #[test]
    fn values_are_read_from_the_point_before() {
        let mut series = Series::default();
        [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)].iter().for_each(|&(x, y)| series.push(x, y));
        assert_eq!(value_at(&series, 1.5), Some(2.0));
        assert_eq!(value_at(&series, 9.0), Some(3.0));
        assert_eq!(value_at(&Series::default(), 1.0), None);
    }
}
