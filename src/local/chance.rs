//! Seeded randomness that many tasks can draw from without a lock (SplitMix64: Steele, Lea, Flood, OOPSLA 2014).

use std::sync::atomic::{AtomicU64, Ordering};

const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of evenly spread numbers. The same seed gives the same numbers in the same order.
#[derive(Debug)]
pub struct Chance(AtomicU64);

impl Chance {
    /// A source that starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Chance(AtomicU64::new(seed))
    }

    /// The next number, from 0 up to but not 1.
    pub fn share(&self) -> f64 {
        let mut z = self.0.fetch_add(STRIDE, Ordering::Relaxed).wrapping_add(STRIDE);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_repeat_with_the_seed() {
        let (one, two) = (Chance::new(7), Chance::new(7));
        let numbers: Vec<f64> = (0..10_000).map(|_| one.share()).collect();
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n) && *n == two.share()));
        let low = numbers.iter().filter(|n| **n < 0.25).count();
        assert!((2_350..2_650).contains(&low), "{low} of 10,000 under a quarter");
    }
}
