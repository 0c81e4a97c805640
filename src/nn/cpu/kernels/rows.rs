//! What a block of output pixels reads: padded rows of the input, split so that a stride becomes a step of one.

/// The part of a picture's planes that is copied for a block.
///
/// With stride `step`, input row `step · i + a - top` stands in row `i` of the slots with row phase `a`; columns alike.
/// An output pixel's neighbour is then at the same distance for all pixels, and rows lie one behind the other.
#[derive(Clone, Debug)]
pub struct Window {
    /// Height and width of an input plane.
    pub size: [usize; 2],
    /// Stride.
    pub step: usize,
    /// Rows and columns of zeros before the first.
    pub before: [usize; 2],
    /// Phases of row and column that are read.
    pub slots: Vec<[usize; 2]>,
    /// Rows of a slot.
    pub rows: usize,
    /// Columns of a slot.
    pub columns: usize,
}

impl Window {
    /// Values of a plane, all slots together.
    pub fn plane_len(&self) -> usize {
        self.slots.len() * self.rows * self.columns
    }

    /// Copies one plane, from row `first` of the slots on.
    pub fn copy(&self, out: &mut [f32], plane: &[f32], first: usize) {
        let [height, width] = self.size;
        let mut rows = out.chunks_exact_mut(self.columns);
        for &[a, b] in &self.slots {
            for i in 0..self.rows {
                let Some(out) = rows.next() else { return };
                let y = (first + i) * self.step + a;
                let row = y.checked_sub(self.before[0]).filter(|y| *y < height).map(|y| y * width);
                match row.and_then(|at| plane.get(at..at + width)) {
                    Some(row) if self.step == 1 => self.copy_row(out, row),
                    Some(row) => self.copy_steps(out, row, b),
                    None => out.fill(0.0),
                }
            }
        }
    }

    fn copy_row(&self, out: &mut [f32], row: &[f32]) {
        let left = self.before[1].min(out.len());
        let (zeros, rest) = out.split_at_mut(left);
        let count = row.len().min(rest.len());
        let (values, after) = rest.split_at_mut(count);
        zeros.fill(0.0);
        values.copy_from_slice(&row[..count]);
        after.fill(0.0);
    }

    fn copy_steps(&self, out: &mut [f32], row: &[f32], phase: usize) {
        let start = phase.abs_diff(self.before[1]);
        // The first column that is in the picture, and where in the picture it is.
        let (skip, from) = if phase >= self.before[1] {
            (0, start)
        } else {
            let skip = start.div_ceil(self.step);
            (skip, skip * self.step - start)
        };
        let (zeros, rest) = out.split_at_mut(skip.min(out.len()));
        zeros.fill(0.0);
        let row = row.get(from..).unwrap_or_default();
        let count = row.len().div_ceil(self.step).min(rest.len());
        let (values, after) = rest.split_at_mut(count);
        if self.step == 2 {
            let (pairs, last) = pulp::as_arrays::<2, f32>(row);
            for (out, pair) in values.iter_mut().zip(pairs.iter().map(|pair| pair[0]).chain(last.iter().copied())) {
                *out = pair;
            }
        } else {
            values.iter_mut().zip(row.iter().step_by(self.step)).for_each(|(out, x)| *out = *x);
        }
        after.fill(0.0);
    }
}

/// Sets a buffer's length without clearing what is written anyway.
pub fn resize(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
}
