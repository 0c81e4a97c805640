//! The layers' own kernels on the CPU, with their gradients, put under burn's automatic differentiation.
//!
//! Each function answers `None` where its kernels do not apply (another device, another number format, a CPU without
//! vectors) or are switched off; the caller then composes burn's operations, which compute the same.

mod activation;
mod conv;
mod flush;
pub mod kernels;
mod norm;
mod pool;
mod record;
mod sums;
mod update;

pub(super) use activation::{activate, add_activate};
pub(super) use conv::{Fused, conv_transpose2d, conv2d, fused};
pub(super) use flush::flush_gradient;
pub(super) use norm::{norm_batch, norm_stored};
pub(super) use pool::max_pool;
pub(super) use sums::{Taps, sum_rows};
pub use update::{Adam, Descent, Moved, Moving, Rule, update};

use crate::graph::blocks::Activation;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// On in optimised builds: unoptimised they are far slower than burn's, which the dev profile optimises, so tests switch
/// them on for small networks. `FROSTLINE_KERNELS=0` or `1` chooses, also for the tests of parity (CONTRIBUTING.md).
static ON: LazyLock<AtomicBool> = LazyLock::new(|| {
    let chosen = std::env::var("FROSTLINE_KERNELS").ok();
    AtomicBool::new(chosen.map_or(!cfg!(debug_assertions), |value| value != "0"))
});

/// Switches the kernels of all layers on or off.
pub fn switch(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

/// Whether they are on. Numbers differ in their last digits between the two.
#[must_use]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

fn function(activation: Activation) -> kernels::Activation {
    match activation {
        Activation::Identity => kernels::Activation::Identity,
        Activation::Relu => kernels::Activation::Relu,
        Activation::Relu6 => kernels::Activation::Relu6,
        Activation::Silu => kernels::Activation::Silu,
        Activation::Hardswish => kernels::Activation::HardSwish,
        Activation::HardSigmoid => kernels::Activation::HardSigmoid,
        Activation::Gelu => kernels::Activation::Gelu,
    }
}
