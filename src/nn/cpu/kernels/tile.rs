//! The inner loop of the convolutions: eight output channels by a few vectors of pixels, held in registers.

use pulp::{Simd, WithSimd};

/// Output channels of a tile.
pub const ROWS: usize = 8;

/// Vectors of pixels of a full tile. With 16 lanes (AVX-512) 24 of 32 registers sum, with 8 lanes (AVX2) the channels
/// are taken in two halves, so that 12 of 16 do.
const WIDE: usize = 3;

/// Products that are summed at once: few enough for small rounding errors.
pub const DEPTH: usize = 128;

/// `out[r][p] = Σ_k weights[k][r] · input[offsets[k] + p]` for the eight rows `r` and all pixels `p`.
pub struct Tiles<'a> {
    /// Values at which the pixels of all inputs and taps are found.
    pub input: &'a [f32],
    /// Where input `k` of pixel 0 is.
    pub offsets: &'a [u32],
    /// `[inputs, ROWS]`
    pub weights: &'a [f32],
    /// `[ROWS, pixels]`; `pixels` is a multiple of the vector's length.
    pub out: &'a mut [f32],
    /// Pixels.
    pub pixels: usize,
    /// Whether the sums are added to what `out` holds.
    pub adds: bool,
}

impl WithSimd for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Tiles { input, offsets, weights, out, pixels, adds } = self;
        let lanes = S::F32_LANES;
        let mut at = 0;
        while at < pixels {
            let input = input.get(at..).unwrap_or_default();
            match (pixels - at) / lanes {
                0 => return,
                1 => {
                    rows::<S, 1>(simd, input, offsets, weights, out, (at, pixels, adds));
                    at += lanes;
                }
                2 | 4 => {
                    rows::<S, 2>(simd, input, offsets, weights, out, (at, pixels, adds));
                    at += 2 * lanes;
                }
                _ => {
                    rows::<S, WIDE>(simd, input, offsets, weights, out, (at, pixels, adds));
                    at += WIDE * lanes;
                }
            }
        }
    }
}

/// All eight rows of one tile, in as many passes as the registers ask for.
#[inline(always)]
fn rows<S: Simd, const N: usize>(
    simd: S,
    input: &[f32],
    offsets: &[u32],
    weights: &[f32],
    out: &mut [f32],
    place: (usize, usize, bool),
) {
    if S::REGISTER_COUNT >= 32 {
        tile::<S, 8, N>(simd, input, offsets, weights, out, (0, place));
    } else {
        tile::<S, 4, N>(simd, input, offsets, weights, out, (0, place));
        tile::<S, 4, N>(simd, input, offsets, weights, out, (4, place));
    }
}

/// `M` rows from `first` on, `N` vectors of pixels from `at` on, of `pixels`; written, or added.
#[inline(always)]
fn tile<S: Simd, const M: usize, const N: usize>(
    simd: S,
    input: &[f32],
    offsets: &[u32],
    weights: &[f32],
    out: &mut [f32],
    (first, (at, pixels, adds)): (usize, (usize, usize, bool)),
) {
    let width = N * S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    let (weights, _) = pulp::as_arrays::<ROWS, f32>(weights);
    for (&offset, weight) in offsets.iter().zip(weights) {
        let offset = offset as usize;
        let (values, _) = S::as_simd_f32s(&input[offset..offset + width]);
        let mut x = [simd.splat_f32s(0.0); N];
        x.copy_from_slice(&values[..N]);
        for (sums, &weight) in sums.iter_mut().zip(&weight[first..first + M]) {
            let weight = simd.splat_f32s(weight);
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = simd.mul_add_f32s(weight, x, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let from = (first + r) * pixels + at;
        let (row, _) = S::as_mut_simd_f32s(&mut out[from..from + width]);
        if adds {
            for (out, sum) in row.iter_mut().zip(sums) {
                *out = simd.add_f32s(*out, *sum);
            }
        } else {
            row[..N].copy_from_slice(sums);
        }
    }
}
