//! The CPU's vectors, and when a second thread pays.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// The CPU's vectors. (`pulp::Arch` knows AVX2 only with a cargo feature that would rebuild all that share the crate.)
#[derive(Clone, Copy, Debug)]
pub enum Arch {
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// What pulp finds.
    Other(pulp::Arch),
}

impl Arch {
    /// The widest vectors of the CPU at hand.
    #[inline]
    pub fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V4::try_new() {
            return Self::Avx512(simd);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return Self::Avx2(simd);
        }
        Self::Other(pulp::Arch::new())
    }

    /// Runs `op` compiled for these vectors.
    #[inline(always)]
    pub fn dispatch<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, op),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, op),
            Self::Other(arch) => arch.dispatch(op),
        }
    }
}

/// An operation that is compiled for the vectors that it is dispatched to: `(<'a> Name { fields } -> output body)`. With
/// `<'a, F>` it is generic over a function, and its last field is `function: PhantomData`.
///
/// (The compiler may leave the body of a closure out of line, and then compiles it for the least of all CPUs.)
macro_rules! operation {
    ($vis:vis <$a:lifetime, $F:ident> $name:ident { $($field:ident: $type:ty),* } -> $output:ty $body:block) => {
        $vis struct $name<$a, $F> {
            $($vis $field: $type,)*
            $vis function: std::marker::PhantomData<$F>,
        }
        impl<$a, $F: $crate::nn::cpu::kernels::activation::Function> pulp::WithSimd for $name<$a, $F> {
            type Output = $output;
            #[inline(always)]
            fn with_simd<S: pulp::Simd>(self, _: S) -> $output {
                let Self { $($field,)* .. } = self;
                $body
            }
        }
    };
    (<$a:lifetime> $name:ident { $($field:ident: $type:ty),* } -> $output:ty $body:block) => {
        struct $name<$a> {
            $($field: $type,)*
        }
        impl<$a> pulp::WithSimd for $name<$a> {
            type Output = $output;
            #[inline(always)]
            fn with_simd<S: pulp::Simd>(self, _: S) -> $output {
                let Self { $($field,)* } = self;
                $body
            }
        }
    };
}
pub(crate) use operation;

/// Floats that one thread takes at a time in passes over memory: small enough for its cache, large enough to pay.
pub const CHUNK: usize = 1 << 15;

/// Whether the CPU has vectors that these kernels are made for; without them another implementation is faster.
#[must_use]
pub fn available() -> bool {
    lanes() > 1
}

/// Floats in a vector of the CPU at hand.
pub fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    Arch::new().dispatch(Lanes)
}

/// Runs `of` on every part of a memory pass, on all threads: `of(first value's index, part)`.
pub fn pass(out: &mut [f32], of: impl Fn(usize, &mut [f32]) + Sync) {
    if out.len() <= CHUNK {
        of(0, out);
    } else {
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(i, part)| of(i * CHUNK, part));
    }
}
