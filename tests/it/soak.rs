//! How many random histories are played, and how far they are: `make soak` plays a million.

use std::sync::atomic::{AtomicU64, Ordering};

/// A test that plays histories.
pub struct Soak {
    /// What is played.
    pub what: &'static str,
    /// The variable that sets another number.
    pub variable: &'static str,
    /// How many are played usually: in the time that CI has.
    pub usual: u32,
    /// Played so far.
    pub played: AtomicU64,
    /// Looks at the world that they took so far, each with every invariant checked.
    pub ticks: AtomicU64,
    /// The world's time that passed in them, in seconds.
    pub seconds: AtomicU64,
}

impl Soak {
    /// Nothing played yet.
    pub const fn new(what: &'static str, variable: &'static str, usual: u32) -> Soak {
        let (played, ticks, seconds) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Soak { what, variable, usual, played, ticks, seconds }
    }

    /// How many histories are to be played.
    pub fn histories(&self) -> u32 {
        std::env::var(self.variable).map_or(self.usual, |number| {
            number.parse().unwrap_or_else(|_| panic!("{}={number}: that is no number", self.variable))
        })
    }

    /// One more is played. Says every twentieth part of the way how far it is.
    pub fn count(&self, ticks: u64, seconds: u64) {
        let played = self.played.fetch_add(1, Ordering::Relaxed) + 1;
        let ticks = self.ticks.fetch_add(ticks, Ordering::Relaxed) + ticks;
        let seconds = self.seconds.fetch_add(seconds, Ordering::Relaxed) + seconds;
        let all = u64::from(self.histories());
        if played.is_multiple_of((all / 20).max(1)) {
            let hours = seconds / 3600;
            println!("{}: {played} of {all} histories, {ticks} ticks, {hours} hours of the world's time", self.what);
        }
    }
}
