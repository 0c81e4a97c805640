//! The layers' own kernels on the CPU, with their gradients, put under burn's automatic differentiation.
//!
//! Each function answers `None` where its kernels do not apply (another device, another number format, a CPU without
//! vectors) or are switched off; the caller then composes burn's operations, which compute the same.

mod activation;
mod conv;
pub mod kernels;
mod norm;
mod record;

pub(super) use activation::{activate, add_activate};
pub(super) use conv::{Fused, conv2d, fused};
pub(super) use norm::{norm_batch, norm_stored};

use crate::graph::blocks::Activation;
use std::sync::atomic::{AtomicBool, Ordering};

/// Off until the gradients of whole networks agree with PyTorch's with them as they do with burn's operations: one of a U-Net's
/// does not yet (`tests/parity_unet.rs`, `decoder.blocks.0.conv1.0.weight` of `smp_unet_resnet34`). Unoptimised they are far slower
/// than burn's, which the dev profile optimises; so tests that use them are small.
static ON: AtomicBool = AtomicBool::new(false);

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
