//! The one random number generator: SplitMix64 (Steele et al. 2014), small, seedable by name, the same on every
//! machine and for every thread count. What loops draw by the thousand is inlined always, so that it is compiled for the
//! vectors of the loop.

/// The step of the state (the golden ratio in 64 bits).
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64. Its whole state is one `u64`: no method keeps a number back for the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A stream of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream of its own for each seed and name (FNV-1a of the name).
    #[must_use]
    pub fn keyed(seed: u64, name: &str) -> Self {
        let mut rng = Self::new(seed ^ fnv1a(name.as_bytes()));
        rng.next_u64();
        Self::new(rng.next_u64())
    }

    /// A stream of its own for each sequence of words, (seed, epoch, picture) for example, and each `start`.
    #[must_use]
    pub fn from_words(start: u64, words: &[u64]) -> Self {
        Self::new(
            words.iter().fold(start, |state, word| mix(state.wrapping_add(GAMMA) ^ mix(word.wrapping_add(GAMMA)))),
        )
    }

    /// 64 random bits.
    #[inline(always)]
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// 32 random bits, to seed something small with.
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// Uniform in `[0, 1)`, 24 bits.
    #[inline(always)]
    pub fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / 16_777_216.0
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Uniform in `[low, high)`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `[low, high)`, 53 bits.
    pub fn range_f64(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit_f64()
    }

    /// True with probability `p`.
    #[inline(always)]
    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// Uniform in `0..n` without bias (Lemire 2019, multiplication with rejection); 0 for `n` = 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        let reject_under = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= reject_under {
                return (product >> 64) as usize;
            }
        }
    }

    /// Standard normal (Box & Muller 1958).
    pub fn normal(&mut self) -> f32 {
        let u = 1.0 - self.unit_f64();
        let angle = std::f64::consts::TAU * self.unit_f64();
        ((-2.0 * u.ln()).sqrt() * angle.cos()) as f32
    }

    /// Shuffles in place (Fisher & Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// SplitMix64's output function.
#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a of bytes, 64 bits: turns a name into a part of a key.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_values_are_those_of_the_reference_implementation() {
        // Vigna's splitmix64.c, seed 1234567, as quoted by Rosetta Code.
        let mut rng = Rng::new(1_234_567);
        let values: Vec<u64> = (0..5).map(|_| rng.next_u64()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(values, published);
    }

    #[test]
    fn normal_has_the_right_moments() {
        let mut rng = Rng::keyed(0, "x");
        let values: Vec<f64> = (0..100_000).map(|_| f64::from(rng.normal())).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.01 && (var - 1.0).abs() < 0.02, "mean {mean}, variance {var}");
    }

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
    fn word_streams_differ_in_every_part_and_their_order() {
        let first = |words: &[u64]| Rng::from_words(0, words).next_u64();
        assert_ne!(first(&[1, 2, 3]), first(&[2, 1, 3]));
        assert_ne!(first(&[0, 0]), first(&[0, 0, 0]));
        assert_ne!(first(&[7, 0, 1]), first(&[7, 1, 0]));
        assert_ne!(first(&[7, 1]), Rng::from_words(1, &[7, 1]).next_u64());
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
