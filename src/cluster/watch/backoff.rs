//! How long a stream waits after a failure: longer each time, and not as long as its neighbours.
//!
//! The spread comes from the stream's name and the number of the try, so that the same faults replay in the same way.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(30);
/// The same while all work waits for this stream.
const LONGEST_AWAITED: Duration = Duration::from_secs(5);

/// The waits of one stream.
#[derive(Debug)]
pub struct Backoff {
    name: String,
    /// Failures in a row.
    failures: u32,
    /// All draws so far.
    draws: u64,
}

impl Backoff {
    /// Of the stream with this name.
    pub fn new(name: &str) -> Self {
        Backoff { name: name.to_owned(), failures: 0, draws: 0 }
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure: 0.8 s, 1.6 s, ... 30 s, or 5 s while all work waits, give or take a quarter.
    pub fn wait(&mut self, awaited: bool) -> Duration {
        let longest = if awaited { LONGEST_AWAITED } else { LONGEST };
        let doubled = FIRST.saturating_mul(1 << self.failures.min(6)).min(longest);
        self.failures = self.failures.saturating_add(1);
        doubled * 3 / 4 + doubled * self.below(50) / 100
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.draws += 1;
        let mut hasher = DefaultHasher::new();
        (&self.name, self.draws).hash(&mut hasher);
        u32::try_from(hasher.finish() % u64::from(bound.max(1))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_differ_and_begin_anew() {
        let (mut pods, mut services) = (Backoff::new("Pod"), Backoff::new("Service"));
        let waits: Vec<Duration> = (0..9).map(|_| pods.wait(false)).collect();
        assert!(waits[0] >= FIRST * 3 / 4 && waits[0] <= FIRST * 5 / 4, "{waits:?}");
        assert!(waits[8] >= LONGEST * 3 / 4 && waits[8] <= LONGEST * 5 / 4, "{waits:?}");
        assert_ne!(waits, (0..9).map(|_| services.wait(false)).collect::<Vec<_>>());
        let awaited = pods.wait(true);
        assert!(awaited >= LONGEST_AWAITED * 3 / 4 && awaited <= LONGEST_AWAITED * 5 / 4, "{awaited:?}");
        pods.reset();
        assert!(pods.wait(false) <= FIRST * 5 / 4);
    }
}
