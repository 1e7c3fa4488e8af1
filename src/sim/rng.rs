//! The simulator's randomness: one seed, one exact replay. SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), and Poisson numbers
//! by multiplication (Knuth) or, for large means, by transformed rejection (PTRS: Hoermann 1993).

const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;
/// From this mean on the transformed rejection is the faster one; it is exact from 10 on.
const LARGE: f64 = 12.0;

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The random number generator of a seed. Different `purpose`s give unrelated numbers, so that one use does not
    /// shift another.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut dice = Rng(seed ^ purpose.wrapping_mul(0xd134_2543_de82_ef95));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STRIDE);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to but not 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number from 0 up to but not `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.share() * end as f64) as u64
    }

    /// Whether something of this probability happens. Nothing is drawn for the certain.
    pub fn happens(&mut self, probability: f64) -> bool {
        probability >= 1.0 || (probability > 0.0 && self.share() < probability)
    }

    /// Around 0 with a standard deviation of 1 (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let (radius, turn) = ((-2.0 * (1.0 - self.share()).ln()).sqrt(), std::f64::consts::TAU * self.share());
        radius * turn.cos()
    }

    /// How many events come when `mean` are expected.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            0
        } else if mean < LARGE {
            self.poisson_small(mean)
        } else {
            self.poisson_large(mean)
        }
    }

    fn poisson_small(&mut self, mean: f64) -> u64 {
        let limit = (-mean).exp();
        let (mut count, mut product) = (0, self.share());
        while product > limit {
            count += 1;
            product *= self.share();
        }
        count
    }

    fn poisson_large(&mut self, mean: f64) -> u64 {
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let (u, v) = (self.share() - 0.5, self.share());
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= v_r {
                return k as u64;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let accepted = v.ln() + inverse_alpha.ln() - (a / (us * us) + b).ln();
            if accepted <= k * mean.ln() - mean - ln_factorial(k) {
                return k as u64;
            }
        }
    }
}

/// ln(k!), by Stirling's series above 9.
fn ln_factorial(k: f64) -> f64 {
    if k < 10.0 {
        return (1..=k as u64).map(|n| (n as f64).ln()).sum();
    }
    let x = k + 1.0;
    (x - 0.5) * x.ln() - x + 0.918_938_533_204_672_7 + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_purposes_differ() {
        let draw = |seed, purpose| {
            let mut dice = Rng::new(seed, purpose);
            (0..100).map(|_| dice.share()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn poisson_numbers_have_the_mean_and_the_variance_they_should() {
        for mean in [0.02, 0.7, 5.0, 11.9, 12.1, 40.0, 750.0] {
            let mut dice = Rng::new(3, 0);
            let drawn: Vec<f64> = (0..200_000).map(|_| dice.poisson(mean) as f64).collect();
            let average = drawn.iter().sum::<f64>() / drawn.len() as f64;
            let variance = drawn.iter().map(|x| (x - average).powi(2)).sum::<f64>() / drawn.len() as f64;
            assert!((average / mean - 1.0).abs() < 0.05, "mean {mean}: {average}");
            assert!((variance / mean - 1.0).abs() < 0.05, "mean {mean}: variance {variance}");
        }
    }

    #[test]
    fn ln_factorial_is_exact_enough() {
        for (k, wanted) in [(0.0, 0.0), (1.0, 0.0), (5.0, 4.787_491_742_782_046), (20.0, 42.335_616_460_753_485)] {
            assert!((ln_factorial(k) - wanted).abs() < 1e-9, "{k}");
        }
    }
}
