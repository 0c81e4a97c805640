//! Convolution of one group: output and the gradient of its input, as a matrix product whose right side is read from the
//! padded picture in place (no im2col): with rows of the padded picture one behind the other, a tap of the kernel is
//! the same distance away for all pixels of a block. The few sums over padding columns are thrown away.

use super::activation::{Activation, Function, with_function};
use super::arch::{Arch, lanes, operation};
use super::rows::{Window, resize};
use super::tile::{DEPTH, ROWS, Tiles};
pub use super::weight_grad::weight_grad;
use rayon::prelude::*;
use std::cell::RefCell;
use std::marker::PhantomData;

/// Floats of the input that a block of output pixels reads, so that they stay in a core's second cache.
const BLOCK: usize = 1 << 17;

/// Fewest output pixels of a block, where the picture has them.
const PIXELS: usize = 144;

/// A convolution's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Pictures.
    pub batch: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Height and width of the input.
    pub size: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride of rows and columns.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
    /// Distance of the kernel's taps.
    pub dilation: usize,
}

impl Conv {
    /// Height and width of the output.
    #[must_use]
    pub fn out_size(&self) -> [usize; 2] {
        [0, 1].map(|i| {
            let reach = self.dilation * (self.kernel[i] - 1) + 1;
            (self.size[i] + 2 * self.padding).saturating_sub(reach) / self.stride + 1
        })
    }

    /// Whether the input holds the kernel at least once.
    #[must_use]
    pub fn fits(&self) -> bool {
        (0..2).all(|i| self.size[i] + 2 * self.padding > self.dilation * (self.kernel[i] - 1))
    }
}

/// What happens to an output value before it is written: `f(value · scale + shift)`, by channel.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// `[outputs]`
    pub scale: Option<&'a [f32]>,
    /// `[outputs]`
    pub shift: Option<&'a [f32]>,
    /// Added before the function, as large as the output.
    pub residual: Option<&'a [f32]>,
    /// The function.
    pub activation: Activation,
}

impl Finish<'_> {
    /// The value as it is.
    pub const NONE: Self = Self { scale: None, shift: None, residual: None, activation: Activation::Identity };
}

/// Output pixels that have the same taps: all of them, or for the input's gradient those of one phase of the stride.
struct Phase {
    /// First output row and column; the next follow after `Plan::step`.
    first: [usize; 2],
    /// Slot, row and column of each tap.
    taps: Vec<[usize; 3]>,
    /// `[panels, inputs, taps, ROWS]`
    weights: Vec<f32>,
}

/// What is summed for which output pixel.
struct Plan {
    batch: usize,
    inputs: usize,
    outputs: usize,
    /// Of the input, without its rows and columns of a block.
    window: Window,
    /// How far taps reach, rows and columns of a slot.
    reach: [usize; 2],
    /// Height and width of the output.
    size: [usize; 2],
    /// Distance of output pixels of the same phase.
    step: usize,
    phases: Vec<Phase>,
}

/// `[batch, outputs, h', w']` of `x`: `[batch, inputs, h, w]`, and `weight`: `[outputs, inputs, kernel]`.
#[must_use]
pub fn forward(conv: &Conv, x: &[f32], weight: &[f32], finish: &Finish<'_>) -> Vec<f32> {
    let Conv { batch, inputs, outputs, size, kernel, stride, padding, dilation } = *conv;
    let mut slots: Vec<[usize; 2]> = Vec::new();
    let mut taps = Vec::new();
    for ky in 0..kernel[0] {
        for kx in 0..kernel[1] {
            let [y, x] = [ky * dilation, kx * dilation];
            let slot = slot(&mut slots, [y % stride, x % stride]);
            taps.push([slot, y / stride, x / stride]);
        }
    }
    let count = taps.len();
    let weights = panels(weight, outputs, inputs * count);
    let reach = [1, 2].map(|i| taps.iter().map(|tap| tap[i]).max().unwrap_or(0));
    let window = Window { size, step: stride, before: [padding; 2], slots, rows: 0, columns: 0 };
    let phases = vec![Phase { first: [0, 0], taps, weights }];
    run(&Plan { batch, inputs, outputs, window, reach, size: conv.out_size(), step: 1, phases }, x, finish)
}

/// Input pixels of one phase of the stride, and which output pixels they were summed into.
pub(crate) struct GradPhase {
    /// First row and column.
    pub first: [usize; 2],
    /// Slot 0, row and column of each tap.
    pub taps: Vec<[usize; 3]>,
    /// Which value of the kernel each tap is.
    pub values: Vec<usize>,
}

/// All phases, and how many rows and columns of zeros they read before the gradient.
pub(crate) struct GradPhases {
    pub phases: Vec<GradPhase>,
    pub before: [usize; 2],
}

impl Conv {
    pub(crate) fn grad_phases(&self) -> GradPhases {
        let Self { size, kernel, stride, padding, dilation, .. } = *self;
        // Input row y gets from output row (y + padding - tap · dilation) / stride, where that is whole.
        let source = |phase: usize, tap: usize| {
            let at = (phase + padding) as isize - (tap * dilation) as isize;
            (at.rem_euclid(stride as isize) == 0).then(|| at.div_euclid(stride as isize))
        };
        let before = [0, 1].map(|i| {
            let all = (0..stride).flat_map(|phase| (0..kernel[i]).filter_map(move |tap| source(phase, tap)));
            all.min().map_or(0, |least| least.min(0).unsigned_abs())
        });
        let mut phases = Vec::new();
        for py in 0..stride.min(size[0]) {
            for px in 0..stride.min(size[1]) {
                let (mut taps, mut values) = (Vec::new(), Vec::new());
                for ky in 0..kernel[0] {
                    for kx in 0..kernel[1] {
                        if let (Some(y), Some(x)) = (source(py, ky), source(px, kx)) {
                            taps.push([0, (y + before[0] as isize) as usize, (x + before[1] as isize) as usize]);
                            values.push(ky * kernel[1] + kx);
                        }
                    }
                }
                phases.push(GradPhase { first: [py, px], taps, values });
            }
        }
        GradPhases { phases, before }
    }
}

/// Gradient of the input, `[batch, inputs, h, w]`, from that of the output, `[batch, outputs, h', w']`.
#[must_use]
pub fn input_grad(conv: &Conv, weight: &[f32], grad: &[f32]) -> Vec<f32> {
    let Conv { batch, inputs, outputs, size, kernel, stride, .. } = *conv;
    let GradPhases { phases, before } = conv.grad_phases();
    let all = kernel[0] * kernel[1];
    let of = |GradPhase { first, taps, values }: GradPhase| {
        let weights = turned_panels(weight, [outputs, inputs, all], &values);
        Phase { first, taps, weights }
    };
    let phases: Vec<Phase> = phases.into_iter().map(of).collect();
    let reach = [1, 2].map(|i| phases.iter().flat_map(|p| p.taps.iter().map(move |tap| tap[i])).max().unwrap_or(0));
    let window = Window { size: conv.out_size(), step: 1, before, slots: vec![[0, 0]], rows: 0, columns: 0 };
    let plan = Plan { batch, inputs: outputs, outputs: inputs, window, reach, size, step: stride, phases };
    run(&plan, grad, &Finish::NONE)
}

/// The place of a phase among the slots.
pub(crate) fn slot(slots: &mut Vec<[usize; 2]>, phase: [usize; 2]) -> usize {
    slots.iter().position(|slot| *slot == phase).unwrap_or_else(|| {
        slots.push(phase);
        slots.len() - 1
    })
}

/// Weights in the order in which they are used: `[panels, k, ROWS]` of `rows` rows of `k` values, with zeros for missing
/// rows.
fn panels(weight: &[f32], rows: usize, k: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows.div_ceil(ROWS) * k * ROWS];
    out.par_chunks_mut(k * ROWS).zip(weight.par_chunks(k * ROWS)).for_each(|(out, rows)| {
        let (places, _) = pulp::as_arrays_mut::<ROWS, f32>(out);
        if rows.len() == k * ROWS {
            let rows: [&[f32]; ROWS] = std::array::from_fn(|r| &rows[r * k..(r + 1) * k]);
            for (i, place) in places.iter_mut().enumerate() {
                *place = std::array::from_fn(|r| rows[r][i]);
            }
        } else {
            for (r, row) in rows.chunks_exact(k).enumerate() {
                places.iter_mut().zip(row).for_each(|(place, value)| place[r] = *value);
            }
        }
    });
    out
}

/// The same for the input's gradient, whose rows are the inputs: `[panels, outputs, taps, ROWS]` of the `values` of each
/// kernel.
fn turned_panels(weight: &[f32], [outputs, inputs, kernel]: [usize; 3], values: &[usize]) -> Vec<f32> {
    let size = outputs * values.len() * ROWS;
    let mut out = vec![0.0; inputs.div_ceil(ROWS) * size];
    out.par_chunks_mut(size.max(1)).enumerate().for_each(|(panel, out)| {
        let count = ROWS.min(inputs - panel * ROWS);
        for (output, out) in out.chunks_exact_mut(values.len() * ROWS).enumerate() {
            let from = &weight[(output * inputs + panel * ROWS) * kernel..][..count * kernel];
            for (value, out) in values.iter().zip(out.chunks_exact_mut(ROWS)) {
                for (out, kernel) in out.iter_mut().zip(from.chunks_exact(kernel)) {
                    *out = kernel[*value];
                }
            }
        }
    });
    out
}

/// A block of output rows for some output channels of one picture.
struct Task<'a> {
    picture: usize,
    /// First output row.
    first: usize,
    /// Output rows.
    rows: usize,
    /// First panel of channels.
    panel: usize,
    /// The rows of each channel.
    out: Vec<&'a mut [f32]>,
}

fn run(plan: &Plan, x: &[f32], finish: &Finish<'_>) -> Vec<f32> {
    let Plan { batch, outputs, size: [height, width], .. } = *plan;
    let mut out = vec![0.0; batch * outputs * height * width];
    if out.is_empty() {
        return out;
    }
    let rows = block_rows(plan);
    let blocks = height.div_ceil(rows);
    let panels = outputs.div_ceil(ROWS);
    // Few blocks: their channels are shared out, so that no thread waits.
    let wanted = (4 * rayon::current_num_threads()).div_ceil(batch * blocks);
    let per_group = panels.div_ceil(wanted.min(panels));
    let groups = panels.div_ceil(per_group);
    let place = |picture: usize, block: usize, group: usize| (picture * blocks + block) * groups + group;
    let mut tasks: Vec<Task<'_>> = Vec::with_capacity(batch * blocks * groups);
    for i in 0..batch * blocks * groups {
        let (picture, block, group) = (i / groups / blocks, i / groups % blocks, i % groups);
        let first = block * rows;
        let rows = rows.min(height - first);
        let out = Vec::with_capacity(per_group * ROWS);
        tasks.push(Task { picture, first, rows, panel: group * per_group, out });
    }
    for (i, plane) in out.chunks_exact_mut(height * width).enumerate() {
        let (picture, channel) = (i / outputs, i % outputs);
        for (block, rows) in plane.chunks_mut(rows * width).enumerate() {
            if let Some(task) = tasks.get_mut(place(picture, block, channel / ROWS / per_group)) {
                task.out.push(rows);
            }
        }
    }
    tasks.into_par_iter().for_each(|task| BUFFERS.with_borrow_mut(|buffers| block(plan, x, finish, task, buffers)));
    out
}

thread_local! {
    /// The window of a block, and the sums of a panel.
    static BUFFERS: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Output rows of a block: a multiple of the step.
fn block_rows(plan: &Plan) -> usize {
    let grid = plan.size.map(|n| n.div_ceil(plan.step));
    let row = plan.inputs * plan.window.slots.len() * (grid[1] + plan.reach[1]);
    let fit = (BLOCK / row.max(1)).saturating_sub(plan.reach[0]).max(1);
    let enough = PIXELS.div_ceil(grid[1]);
    let rows = fit.max(enough).min(grid[0]);
    // Blocks of nearly the same size.
    let blocks = grid[0].div_ceil(rows);
    grid[0].div_ceil(blocks) * plan.step
}

fn block(plan: &Plan, x: &[f32], finish: &Finish<'_>, task: Task<'_>, buffers: &mut (Vec<f32>, Vec<f32>)) {
    let Task { picture, first, rows, panel, out } = task;
    let Plan { inputs, outputs, size: [height, width], step, ref phases, ref window, reach, .. } = *plan;
    let (arch, lanes) = (Arch::new(), lanes());
    let grid = [rows.div_ceil(step), width.div_ceil(step)];
    let window = Window { rows: grid[0] + reach[0], columns: grid[1] + reach[1], ..window.clone() };
    let (input, sums) = buffers;
    let channel = window.plane_len();
    // The last tile may read up to three vectors beyond the last pixel.
    resize(input, inputs * channel + 4 * 3 * lanes);
    let plane = window.size[0] * window.size[1];
    let picture_planes = x[picture * inputs * plane..(picture + 1) * inputs * plane].chunks_exact(plane);
    for (out, plane) in input.chunks_exact_mut(channel).zip(picture_planes) {
        window.copy(out, plane, first / step);
    }
    let mut out = out;
    for phase in phases {
        let offsets = offsets(phase, inputs, &window);
        let phase_rows = rows.saturating_sub(phase.first[0]).div_ceil(step);
        let phase_columns = width.saturating_sub(phase.first[1]).div_ceil(step);
        if phase_rows == 0 || phase_columns == 0 {
            continue;
        }
        let pixels = ((phase_rows - 1) * window.columns + phase_columns).next_multiple_of(lanes);
        resize(sums, ROWS * pixels);
        let sums = &mut sums[..ROWS * pixels];
        let k = offsets.len();
        for (i, rows_out) in out.chunks_mut(ROWS).enumerate() {
            let weights = &phase.weights[(panel + i) * k * ROWS..(panel + i + 1) * k * ROWS];
            if k == 0 {
                sums.fill(0.0);
            }
            for (i, (offsets, weights)) in offsets.chunks(DEPTH).zip(weights.chunks(DEPTH * ROWS)).enumerate() {
                arch.dispatch(Tiles { input, offsets, weights, out: sums, pixels, adds: i > 0 });
            }
            for (r, out) in rows_out.iter_mut().enumerate() {
                let channel = (panel + i) * ROWS + r;
                let at = ((picture * outputs + channel) * height + first) * width;
                let place = Place {
                    first: phase.first,
                    step,
                    columns: window.columns,
                    width,
                    count: phase_columns,
                    scale: finish.scale.map_or(1.0, |scale| scale[channel]),
                    shift: finish.shift.map_or(0.0, |shift| shift[channel]),
                    plain: finish.scale.is_none() && finish.shift.is_none(),
                };
                let sums = &sums[r * pixels..(r + 1) * pixels];
                let residual = finish.residual.map(|residual| &residual[at..at + out.len()]);
                with_function!(finish.activation, F => arch.dispatch(Write::<F> { place: &place, out, sums, residual, function: PhantomData }));
            }
        }
    }
}

fn offsets(phase: &Phase, inputs: usize, window: &Window) -> Vec<u32> {
    let (channel, slot) = (window.plane_len(), window.rows * window.columns);
    let taps: Vec<usize> = phase.taps.iter().map(|[s, y, x]| s * slot + y * window.columns + x).collect();
    (0..inputs).flat_map(|input| taps.iter().map(move |tap| (input * channel + tap) as u32)).collect()
}

/// Where the sums of a channel go.
pub(crate) struct Place {
    /// First row and column.
    pub first: [usize; 2],
    /// Distance of rows and columns.
    pub step: usize,
    /// Of a row of sums.
    pub columns: usize,
    /// Of an output row.
    pub width: usize,
    /// Columns that are written.
    pub count: usize,
    pub scale: f32,
    pub shift: f32,
    /// Whether scale and shift change nothing.
    pub plain: bool,
}

operation!(pub(crate) <'a, F> Write {
    place: &'a Place,
    out: &'a mut [f32],
    sums: &'a [f32],
    residual: Option<&'a [f32]>
} -> () { place.write::<F>(out, sums, residual); });

impl Place {
    #[inline(always)]
    fn write<F: Function>(&self, out: &mut [f32], sums: &[f32], residual: Option<&[f32]>) {
        let rows = out.chunks_exact_mut(self.width).enumerate().skip(self.first[0]).step_by(self.step);
        for ((y, out), sums) in rows.zip(sums.chunks(self.columns)) {
            let sums = &sums[..self.count];
            if self.step == 1 {
                let out = &mut out[..self.count];
                match residual {
                    None if self.plain => {
                        for (out, sum) in out.iter_mut().zip(sums) {
                            *out = F::value(*sum);
                        }
                    }
                    None => {
                        for (out, sum) in out.iter_mut().zip(sums) {
                            *out = F::value(sum.mul_add(self.scale, self.shift));
                        }
                    }
                    Some(residual) => {
                        let residual = &residual[y * self.width..][..self.count];
                        for ((out, sum), more) in out.iter_mut().zip(sums).zip(residual) {
                            *out = F::value(sum.mul_add(self.scale, self.shift) + more);
                        }
                    }
                }
            } else {
                for (out, sum) in out[self.first[1]..].iter_mut().step_by(self.step).zip(sums) {
                    *out = *sum;
                }
            }
        }
    }
}
