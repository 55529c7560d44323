//! Repeatable random numbers for bootstraps and the order of trials: `SplitMix64` (Steele, Lea, Flood 2014). The same seed gives the same numbers on every machine.

/// A generator.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 when `n` is 0. The bias of the multiplication is below 2^-32 for lists of any length here.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_reference() {
        // From the public-domain reference by Vigna (prng.di.unimi.it/splitmix64.c), seed 1234567.
        let mut r = Random::new(1_234_567);
        assert_eq!(
            [r.next(), r.next(), r.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
        assert!((0..1000).map(|_| r.below(7)).all(|n| n < 7));
        assert_eq!(r.below(0), 0);
    }
}
