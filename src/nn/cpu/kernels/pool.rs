//! Largest value of a window, with the place that it was found at for the gradient.

use super::arch::{Arch, operation};
use super::rows::resize;
use rayon::prelude::*;
use std::cell::RefCell;

/// Planes that a thread takes at a time, at least.
const PLANES: usize = 4;

/// Sizes of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Height and width of the input.
    pub size: [usize; 2],
    /// Height and width of the window.
    pub kernel: usize,
    /// Stride of rows and columns.
    pub stride: usize,
    /// Rows and columns around the input that are never the largest.
    pub padding: usize,
}

impl Pool {
    /// Height and width of the output.
    #[must_use]
    pub fn out_size(&self) -> [usize; 2] {
        self.size.map(|size| (size + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1)
    }

    /// Whether each window holds a value, and its places have numbers of eight bits.
    #[must_use]
    pub fn fits(&self) -> bool {
        let inside = self.size.iter().all(|size| size + 2 * self.padding >= self.kernel);
        inside && 2 * self.padding <= self.kernel && self.kernel * self.kernel <= 256 && self.stride > 0
    }

    /// Where in the input the window of output `at` has its place `tap`, along one side.
    fn source(&self, at: usize, tap: usize, size: usize) -> Option<usize> {
        (at * self.stride + tap).checked_sub(self.padding).filter(|source| *source < size)
    }

    /// Where the values of each column of the window are: phase of the stride, and by output column from the first to
    /// the last that has one, the first such value.
    fn columns(&self) -> Vec<Column> {
        let [_, width] = self.size;
        let [_, outputs] = self.out_size();
        let of = |tap| {
            let mut inside = (0..outputs).filter(|at| self.source(*at, tap, width).is_some());
            let (first, last) = (inside.clone().next()?, inside.next_back()?);
            let source = self.source(first, tap, width)?;
            Some(Column { tap, phase: source % self.stride, from: source / self.stride, first, last })
        };
        (0..self.kernel).filter_map(of).collect()
    }
}

/// One column of the window.
struct Column {
    tap: usize,
    phase: usize,
    from: usize,
    first: usize,
    last: usize,
}

thread_local! {
    /// A plane with its columns sorted by their phase of the stride.
    static PHASES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// `[planes, h', w']` of `x`: `[planes, h, w]`; with `places` also which of its window each value is, row by row.
/// A value that is not a number is the largest, as in torch.
#[must_use]
pub fn forward(pool: &Pool, x: &[f32], places: bool) -> (Vec<f32>, Vec<u8>) {
    let [height, width] = pool.out_size();
    let (plane, out_plane) = (pool.size[0] * pool.size[1], height * width);
    let planes = x.len() / plane.max(1);
    let mut out = vec![f32::NEG_INFINITY; planes * out_plane];
    let mut at = vec![0_u8; if places { out.len() } else { 0 }];
    let (arch, columns) = (Arch::new(), pool.columns());
    let of = |x: &[f32], out: &mut [f32], at: &mut [u8]| {
        PHASES.with_borrow_mut(|phases| {
            let columns = columns.as_slice();
            arch.dispatch(Plane { pool, columns, x, phases, out, at });
        });
    };
    let each = out.par_chunks_mut(out_plane).zip(x.par_chunks(plane)).with_min_len(PLANES);
    if places {
        each.zip(at.par_chunks_mut(out_plane)).for_each(|((out, x), at)| of(x, out, at));
    } else {
        each.for_each(|(out, x)| of(x, out, &mut []));
    }
    (out, at)
}

operation!(<'a> Plane {
    pool: &'a Pool,
    columns: &'a [Column],
    x: &'a [f32],
    phases: &'a mut Vec<f32>,
    out: &'a mut [f32],
    at: &'a mut [u8]
} -> () {
    let Pool { size: [height, width], kernel, stride, .. } = *pool;
    let [_, out_width] = pool.out_size();
    let row = width.div_ceil(stride);
    let x = if stride == 1 {
        x
    } else {
        resize(phases, stride * height * row);
        for (y, x) in x.chunks_exact(width).enumerate() {
            for phase in 0..stride.min(width) {
                let out = &mut phases[(phase * height + y) * row..][..row];
                if stride == 2 && width % 2 == 0 {
                    let (pairs, _) = pulp::as_arrays::<2, f32>(x);
                    out.iter_mut().zip(pairs).for_each(|(out, pair)| *out = pair[phase]);
                } else {
                    out.iter_mut().zip(x[phase..].iter().step_by(stride)).for_each(|(out, x)| *out = *x);
                }
            }
        }
        phases.as_slice()
    };
    for (oy, out) in out.chunks_exact_mut(out_width).enumerate() {
        for ky in 0..kernel {
            let Some(y) = pool.source(oy, ky, height) else { continue };
            for column in columns {
                let x = &x[(column.phase * height + y) * row + column.from..][..=column.last - column.first];
                let out = &mut out[column.first..=column.last];
                if at.is_empty() {
                    for (out, x) in out.iter_mut().zip(x) {
                        *out = if *x > *out || x.is_nan() { *x } else { *out };
                    }
                } else {
                    let place = (ky * kernel + column.tap) as u8;
                    let at = &mut at[oy * out_width + column.first..=oy * out_width + column.last];
                    for ((out, x), at) in out.iter_mut().zip(x).zip(at) {
                        let larger = *x > *out || x.is_nan();
                        *out = if larger { *x } else { *out };
                        *at = if larger { place } else { *at };
                    }
                }
            }
        }
    }
});

/// Gradient of the input, `[planes, h, w]`, from that of the output and the places of its values.
#[must_use]
pub fn backward(pool: &Pool, grad: &[f32], places: &[u8]) -> Vec<f32> {
    let [height, width] = pool.out_size();
    let (plane, out_plane) = (pool.size[0] * pool.size[1], height * width);
    let mut out = vec![0.0; grad.len() / out_plane.max(1) * plane];
    let grads = grad.par_chunks(out_plane).zip(places.par_chunks(out_plane));
    out.par_chunks_mut(plane).zip(grads).with_min_len(PLANES).for_each(|(out, (grad, places))| {
        let rows = grad.chunks_exact(width).zip(places.chunks_exact(width));
        for (oy, (grad, places)) in rows.enumerate() {
            for (ox, (grad, place)) in grad.iter().zip(places).enumerate() {
                let [ky, kx] = [usize::from(*place) / pool.kernel, usize::from(*place) % pool.kernel];
                let y = pool.source(oy, ky, pool.size[0]);
                if let (Some(y), Some(x)) = (y, pool.source(ox, kx, pool.size[1])) {
                    out[y * pool.size[1] + x] += grad;
                }
            }
        }
    });
    out
}
