//! The generator's random numbers: SplitMix64, so that a scene depends on its four arguments and on nothing else.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

/// One step of SplitMix64's output function.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// A stream that depends on all of `words`, in their order.
    pub(super) fn from_words(words: &[u64]) -> Self {
        Self(words.iter().fold(0x243F_6A88_85A3_08D3, |state, &word| {
            mix(state.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ mix(word.wrapping_add(0x9E37_79B9_7F4A_7C15)))
        }))
    }

    /// The next 64 bits.
    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in `[0, 1)`, with 24 bits.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / 16_777_216.0
    }

    /// Uniform in `[low, high)`.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..count` (0 when `count` is 0).
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next_u64()) * count as u128) >> 64) as usize
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A fresh 32-bit key for a noise field.
    pub(super) fn key(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published first outputs for state 1234567 (Vigna's splitmix64.c, as quoted by Rosetta Code).
    #[test]
    fn splitmix64_matches_the_published_outputs() {
        let mut rng = Rng(1_234_567);
        let got: Vec<u64> = (0..5).map(|_| rng.next_u64()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(got, published);
    }
}
