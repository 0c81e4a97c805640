//! A small deterministic random generator (SplitMix64): the same numbers on every machine, for every thread count.

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64. Its whole state is one `u64`, so that it can be stored in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator whose state starts at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator for one thing, named by numbers: (seed, epoch, image), for example. It depends on nothing else.
    #[must_use]
    pub fn keyed(key: &[u64]) -> Self {
        let state =
            key.iter().fold(0, |state: u64, part| mix(state.wrapping_add(GAMMA) ^ mix(part.wrapping_add(GAMMA))));
        Self { state }
    }

    /// The state, to go on from later with [`Rng::new`].
    #[must_use]
    pub fn state(&self) -> u64 {
        self.state
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [0, 1), 24 bits.
    pub fn uniform_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in 0..n without bias (Lemire's multiplication with rejection); 0 for n = 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 {
            return 0;
        }
        let reject_under = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= reject_under {
                return (product >> 64) as usize;
            }
        }
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform_f32() < p
    }

    /// Standard normal (Box-Muller; uses two numbers and keeps none, so the state stays one `u64`).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Fisher-Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a of bytes, 64 bits: turns a name into a part of a key.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_rule_of_the_parity_fixtures() {
        // rule.json: integers_below_256_of_key_image_first_12, made by parity_rule.py.
        let mut rng = Rng::new(fnv1a(b"image"));
        let got: Vec<u64> = (0..12).map(|_| (rng.next_u64() >> 40) % 256).collect();
        assert_eq!(got, [143, 233, 230, 20, 4, 18, 160, 168, 226, 112, 183, 89]);
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut rng = Rng::new(1);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[rng.below(7)] += 1;
        }
        // 10,000 expected each, standard deviation 93.
        assert!(counts.iter().all(|c| c.abs_diff(10_000) < 400), "{counts:?}");
        assert_eq!((rng.below(0), rng.below(1)), (0, 0));
    }

    #[test]
    fn normal_has_mean_0_and_deviation_1() {
        let mut rng = Rng::new(2);
        let values: Vec<f64> = (0..100_000).map(|_| rng.normal()).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }

    #[test]
    fn keys_differ_in_every_part_and_their_order() {
        let first = |key: &[u64]| Rng::keyed(key).next_u64();
        assert_ne!(first(&[1, 2, 3]), first(&[2, 1, 3]));
        assert_ne!(first(&[0, 0]), first(&[0, 0, 0]));
        assert_ne!(first(&[7, 0, 1]), first(&[7, 1, 0]));
        assert_eq!(first(&[7, 1, 0]), first(&[7, 1, 0]));
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        Rng::new(3).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
