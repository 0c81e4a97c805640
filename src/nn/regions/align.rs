//! `RoIAlign` (He et al. 2017, arXiv:1703.06870): the features of regions as small maps of one size.
//!
//! Bilinear sampling and the mean over a bin's samples are the same sum of cells with weights, and the weights of rows and
//! columns separate. They are computed on the host; the device looks the cells up and adds. All regions of all levels are
//! one look-up (a few where it would be too large), so that the number of kernels does not depend on theirs, and the
//! gradient is that of the look-up: an addition to the cells.

use crate::nn::cpu;
use burn::tensor::{Int, Tensor, TensorData};

/// A region of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// The picture's index in the batch.
    pub picture: usize,
    /// The map that it is pooled from.
    pub level: usize,
    /// Left, top, right, bottom in input pixels.
    pub xyxy: [f32; 4],
}

/// The numbers of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Align {
    /// Height and width of the result.
    pub output: [usize; 2],
    /// Samples of a bin along each axis; 0 for as many as the bin has cells.
    pub samples: usize,
    /// Whether a pixel's center lies at one half (the pixel model of later releases) and not at the whole number.
    pub aligned: bool,
}

/// Values that one look-up may hold: 64 Mi, a quarter of a gigabyte.
const MAX_VALUES: usize = 1 << 26;

/// The level of a region on a pyramid: 224 px (the side of ImageNet's pictures) belong to the level of stride 16, each
/// doubling one up (Lin et al. 2017, arXiv:1612.03144, equation 1). `finest` is the logarithm of the first level's stride.
#[must_use]
pub fn level_of(xyxy: &[f32; 4], finest: usize, levels: usize) -> usize {
    let side = ((xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1])).sqrt();
    let level = (4.0 + (side / 224.0).log2() + 1e-6).floor();
    // An empty region has level minus infinity.
    (level.max(finest as f32) as usize - finest).min(levels.saturating_sub(1))
}

/// Pools regions from maps `[batch, channels, h, w]`, of which map i has cells of `1 / scales[i]` pixels: `[regions,
/// channels, output height, output width]` in the order of `regions`.
#[must_use]
pub fn roi_align(maps: &[Tensor<4>], scales: &[f32], regions: &[Region], align: Align) -> Option<Tensor<4>> {
    let [_, channels, ..] = maps.first()?.dims();
    let device = maps.first()?.device();
    let [rows, columns] = align.output;
    let bins = rows * columns;
    if regions.is_empty() {
        return Some(Tensor::zeros([0, channels, rows, columns], &device));
    }
    let mut sizes = Vec::with_capacity(maps.len());
    let mut flat = Vec::with_capacity(maps.len());
    let mut first = 0;
    for map in maps {
        let [batch, _, height, width] = map.dims();
        sizes.push(([height, width], first));
        first += batch * height * width;
        flat.push(map.clone().permute([0, 2, 3, 1]).reshape([batch * height * width, channels]));
    }
    let cells = Tensor::cat(flat, 0); // [all cells of all levels, channels]
    let taps: Vec<RegionTaps> = regions
        .iter()
        .map(|region| {
            let &([height, width], first) = &sizes[region.level];
            let origin = first + region.picture * height * width;
            RegionTaps::new(&region.xyxy, scales[region.level], [height, width], origin, align)
        })
        .collect();
    // [regions · bins, channels]
    let pooled = match cpu::sum_rows(&cells, || listed(&taps)) {
        Some(pooled) => pooled,
        None => looked_up(&cells, &taps, bins),
    };
    let pooled = pooled.reshape([regions.len(), bins, channels]).permute([0, 2, 1]);
    Some(pooled.reshape([regions.len(), channels, rows, columns]))
}

/// The taps of all bins, one after the other.
fn listed(regions: &[RegionTaps]) -> cpu::Taps {
    let mut taps = cpu::Taps::default();
    for region in regions {
        for y in &region.y.bins {
            for x in &region.x.bins {
                let cells = y.iter().flat_map(|y| x.iter().map(move |x| (region.cell(y.0, x.0) as u32, y.1 * x.1)));
                taps.push(cells);
            }
        }
    }
    taps
}

/// The same sums on any device, `[regions · bins, channels]`: cells are looked up, weighted and added.
fn looked_up(cells: &Tensor<2>, taps: &[RegionTaps], bins: usize) -> Tensor<2> {
    let [_, channels] = cells.dims();
    let device = cells.device();
    let mut pooled = Vec::new();
    let mut rest = taps;
    while !rest.is_empty() {
        // As many regions as a look-up may hold: all have as many taps as the one with most.
        let (mut count, mut most) = (0, [1, 1]);
        for taps in rest {
            let with = [most[0].max(taps.y.most()), most[1].max(taps.x.most())];
            if count > 0 && (count + 1) * bins * with[0] * with[1] * channels > MAX_VALUES {
                break;
            }
            (count, most) = (count + 1, with);
        }
        let (now, later) = rest.split_at(count);
        rest = later;
        let each = most[0] * most[1];
        let mut indices: Vec<i32> = Vec::with_capacity(count * bins * each);
        let mut weights: Vec<f32> = Vec::with_capacity(count * bins * each);
        now.iter().for_each(|taps| taps.write(most, &mut indices, &mut weights));
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [count * bins * each]), &device);
        let weights = Tensor::<3>::from_data(TensorData::new(weights, [count * bins, each, 1]), &device);
        let looked_up = cells.clone().select(0, indices).reshape([count * bins, each, channels]);
        pooled.push((looked_up * weights).sum_dim(1).reshape([count * bins, channels]));
    }
    Tensor::cat(pooled, 0)
}

/// For each bin along an axis the cells that its samples touch, with their weights.
struct AxisTaps {
    bins: Vec<Vec<(usize, f32)>>,
}

impl AxisTaps {
    /// A region from `start` on with bins of `size` cells, `samples` in each, on an axis of `cells`.
    fn new(start: f32, size: f32, bins: usize, samples: usize, cells: usize) -> Self {
        let share = 1.0 / samples.max(1) as f32;
        let last = cells.saturating_sub(1);
        let bins = (0..bins).map(|bin| {
            let mut taps: Vec<(usize, f32)> = Vec::with_capacity(4);
            let mut add = |cell: usize, weight: f32| match taps.iter_mut().find(|tap| tap.0 == cell) {
                Some(tap) => tap.1 += weight,
                None => taps.push((cell, weight)),
            };
            for sample in 0..samples {
                let at = start + bin as f32 * size + (sample as f32 + 0.5) * size / samples as f32;
                // Up to one cell outside counts as the border, more as nothing; so does what is not a number.
                if !(-1.0..=cells as f32).contains(&at) {
                    continue;
                }
                let at = at.max(0.0);
                let low = at as usize;
                if low >= last {
                    add(last, share);
                } else {
                    let part = at - low as f32;
                    add(low, share * (1.0 - part));
                    add(low + 1, share * part);
                }
            }
            taps
        });
        Self { bins: bins.collect() }
    }

    fn most(&self) -> usize {
        self.bins.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// The taps of a region along both axes, and where its picture's cells begin in the list of all.
struct RegionTaps {
    y: AxisTaps,
    x: AxisTaps,
    origin: usize,
    width: usize,
}

impl RegionTaps {
    fn new(xyxy: &[f32; 4], scale: f32, [height, width]: [usize; 2], origin: usize, align: Align) -> Self {
        let shift = if align.aligned { 0.5 } else { 0.0 };
        let axis = |low: f32, high: f32, bins: usize, cells: usize| {
            let start = low * scale - shift;
            let length = (high * scale - shift) - start;
            let length = if align.aligned { length } else { length.max(1.0) };
            let size = length / bins as f32;
            // As many samples as cells: none in a region turned inside out, as in torchvision.
            let samples = if align.samples > 0 { align.samples } else { size.ceil().max(0.0) as usize };
            AxisTaps::new(start, size, bins, samples, cells)
        };
        let y = axis(xyxy[1], xyxy[3], align.output[0], height);
        let x = axis(xyxy[0], xyxy[2], align.output[1], width);
        Self { y, x, origin, width }
    }

    /// The place of a cell in the list of all.
    fn cell(&self, y: usize, x: usize) -> usize {
        self.origin + y * self.width + x
    }

    /// Appends cells and weights of all bins, `rows` times `columns` for each, filled up with weightless ones.
    fn write(&self, [rows, columns]: [usize; 2], indices: &mut Vec<i32>, weights: &mut Vec<f32>) {
        for y in &self.y.bins {
            for x in &self.x.bins {
                for row in 0..rows {
                    let (cell_y, weight_y) = y.get(row).copied().unwrap_or((0, 0.0));
                    for column in 0..columns {
                        let (cell_x, weight_x) = x.get(column).copied().unwrap_or((0, 0.0));
                        indices.push(self.cell(cell_y, cell_x) as i32);
                        weights.push(weight_y * weight_x);
                    }
                }
            }
        }
    }
}
