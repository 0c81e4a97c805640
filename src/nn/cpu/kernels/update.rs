//! Steps of an optimizer: weights and memory are moved where they lie, in one pass.

use super::arch::{Arch, CHUNK, operation};
use rayon::prelude::*;

/// A step of stochastic gradient descent without memory: `w -= lr (scale g + decay w)`.
#[derive(Clone, Copy, Debug)]
pub struct Descent {
    /// What the gradient is multiplied by first.
    pub scale: f32,
    /// The L2 penalty's share of the weight.
    pub decay: f32,
    /// Learning rate.
    pub lr: f32,
}

/// A step of Adam (Kingma & Ba 2014, arXiv:1412.6980) with decoupled weight decay (Loshchilov & Hutter 2019,
/// arXiv:1711.05101).
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// What the gradient is multiplied by first.
    pub scale: f32,
    /// What is kept of the mean of the gradient, and what is new.
    pub mean: [f32; 2],
    /// What is kept of the mean of its square, and what is new.
    pub square: [f32; 2],
    /// Divides the root of the mean square: the correction for the mean's start at zero.
    pub root: f32,
    /// Added to the denominator.
    pub epsilon: f32,
    /// Learning rate, with the correction of the mean of the gradient.
    pub rate: f32,
    /// What the weight is multiplied by.
    pub shrink: f32,
}

operation!(<'a> Plain { weight: &'a mut [f32], grad: &'a [f32], rule: Descent } -> () {
    let Descent { scale, decay, lr } = rule;
    for (w, g) in weight.iter_mut().zip(grad) {
        *w -= (g * scale + *w * decay) * lr;
    }
});

operation!(<'a> Momentum { weight: &'a mut [f32], grad: &'a [f32], buffer: &'a mut [f32], rule: Descent, kept: f32 } -> () {
    let Descent { scale, decay, lr } = rule;
    for ((w, g), b) in weight.iter_mut().zip(grad).zip(buffer) {
        *b = *b * kept + (g * scale + *w * decay);
        *w -= *b * lr;
    }
});

operation!(<'a> Moments {
    weight: &'a mut [f32], grad: &'a [f32], mean: &'a mut [f32], square: &'a mut [f32], rule: Adam
} -> () {
    for (((w, g), m), v) in weight.iter_mut().zip(grad).zip(mean).zip(square) {
        let g = g * rule.scale;
        *m = *m * rule.mean[0] + g * rule.mean[1];
        *v = *v * rule.square[0] + g * g * rule.square[1];
        let change = *m / (v.sqrt() / rule.root + rule.epsilon) * rule.rate;
        *w = *w * rule.shrink - change;
    }
});

/// A step without memory.
pub fn descend(weight: &mut [f32], grad: &[f32], rule: Descent) {
    let arch = Arch::new();
    weight
        .par_chunks_mut(CHUNK)
        .zip(grad.par_chunks(CHUNK))
        .for_each(|(weight, grad)| arch.dispatch(Plain { weight, grad, rule }));
}

/// A step with momentum, as in torch without dampening: `b = kept b + scale g + decay w; w -= lr b`.
pub fn descend_with(weight: &mut [f32], grad: &[f32], buffer: &mut [f32], rule: Descent, kept: f32) {
    let arch = Arch::new();
    weight
        .par_chunks_mut(CHUNK)
        .zip(grad.par_chunks(CHUNK))
        .zip(buffer.par_chunks_mut(CHUNK))
        .for_each(|((weight, grad), buffer)| arch.dispatch(Momentum { weight, grad, buffer, rule, kept }));
}

/// A step of Adam; `mean` and `square` are its memory.
pub fn adam(weight: &mut [f32], grad: &[f32], mean: &mut [f32], square: &mut [f32], rule: Adam) {
    let arch = Arch::new();
    weight
        .par_chunks_mut(CHUNK)
        .zip(grad.par_chunks(CHUNK))
        .zip(mean.par_chunks_mut(CHUNK).zip(square.par_chunks_mut(CHUNK)))
        .for_each(|((weight, grad), (mean, square))| arch.dispatch(Moments { weight, grad, mean, square, rule }));
}
