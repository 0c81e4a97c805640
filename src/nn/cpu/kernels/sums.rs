//! Sums of weighted rows of a table, and back to the table: pooling of regions from the cells of maps.

use super::arch::{Arch, operation};
use rayon::prelude::*;

/// Sums that a thread takes at a time, at least.
const SUMS: usize = 32;

/// Which rows of a table each sum takes, with their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Taps {
    /// Where the taps of each sum begin, and where those of the last end.
    starts: Vec<usize>,
    rows: Vec<u32>,
    weights: Vec<f32>,
}

impl Default for Taps {
    fn default() -> Self {
        Self { starts: vec![0], rows: Vec::new(), weights: Vec::new() }
    }
}

impl Taps {
    /// Appends a sum of rows with weights; one without any is zero.
    pub fn push(&mut self, taps: impl IntoIterator<Item = (u32, f32)>) {
        for (row, weight) in taps {
            self.rows.push(row);
            self.weights.push(weight);
        }
        self.starts.push(self.rows.len());
    }

    /// How many sums there are.
    #[must_use]
    pub fn sums(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many rows the table must have.
    #[must_use]
    pub fn table(&self) -> usize {
        self.rows.iter().max().map_or(0, |row| *row as usize + 1)
    }

    /// For each of a table's rows the sums that it is in, in their order.
    fn turned(&self, rows: usize) -> Self {
        let mut starts = vec![0; rows + 1];
        self.rows.iter().for_each(|row| starts[*row as usize + 1] += 1);
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let (mut sums, mut weights) = (vec![0; self.rows.len()], vec![0.0; self.rows.len()]);
        for sum in 0..self.sums() {
            for tap in self.starts[sum]..self.starts[sum + 1] {
                let place = &mut next[self.rows[tap] as usize];
                (sums[*place], weights[*place]) = (sum as u32, self.weights[tap]);
                *place += 1;
            }
        }
        Self { starts, rows: sums, weights }
    }
}

operation!(<'a> Sum { rows: &'a [u32], weights: &'a [f32], table: &'a [f32], out: &'a mut [f32] } -> () {
    let width = out.len();
    for (row, weight) in rows.iter().zip(weights) {
        let row = &table[*row as usize * width..][..width];
        out.iter_mut().zip(row).for_each(|(out, value)| *out += weight * value);
    }
});

/// `[sums, width]` of a table `[rows, width]`.
#[must_use]
pub fn forward(taps: &Taps, table: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.0; taps.sums() * width];
    let arch = Arch::new();
    out.par_chunks_mut(width.max(1)).with_min_len(SUMS).enumerate().for_each(|(sum, out)| {
        let own = taps.starts[sum]..taps.starts[sum + 1];
        arch.dispatch(Sum { rows: &taps.rows[own.clone()], weights: &taps.weights[own], table, out });
    });
    out
}

/// Gradient of the table of so many rows, `[rows, width]`, from that of the sums.
#[must_use]
pub fn backward(taps: &Taps, grad: &[f32], rows: usize, width: usize) -> Vec<f32> {
    forward(&taps.turned(rows), grad, width)
}
