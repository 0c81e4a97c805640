//! What dropout multiplies by.

use super::arch::{Arch, operation};
use crate::rng::Rng;

operation!(<'a> Mask { out: &'a mut [f32], rng: &'a mut Rng, share: f32, kept: f32 } -> () {
    // (Its state in a place of its own, which the numbers written cannot overwrite.)
    let mut own = rng.clone();
    for out in out.iter_mut() {
        *out = if own.chance(share) { 0.0 } else { kept };
    }
    *rng = own;
});

/// `count` numbers, each zero with probability `share` and 1 / (1 - `share`) else, drawn one after the other.
#[must_use]
pub fn mask(rng: &mut Rng, count: usize, share: f32) -> Vec<f32> {
    let mut out = vec![0.0; count];
    Arch::new().dispatch(Mask { out: &mut out, rng, share, kept: 1.0 / (1.0 - share) });
    out
}
