//! What one play may cost: scenarios come from strangers too, and virtual time is cheap only where little happens.

use super::time::{Millis, shown};

/// The most work of one play. A unit is a pod that is scraped once; a second does about ten million.
pub const MOST_WORK: u64 = 40_000_000;
/// The most samples that are kept at once, 40 bytes each.
const MOST_SAMPLES: u64 = 4_000_000;
/// The base cost of a tick of the engine, and the cost per object.
const TICK: u64 = 1_000;
const THING: u64 = 4;

/// What has been done so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    done: u64,
}

/// More than a play may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// Too many pods for too long.
    #[error(
        "{pods} pods, scraped every {}, for so long is more than is simulated; use fewer pods, a shorter time, or longer windows", shown(*scrape)
    )]
    Scrapes {
        /// How many pods there are.
        pods: u64,
        /// How often they are scraped.
        scrape: Millis,
    },
    /// Too many entries, releases or wake-ups.
    #[error("this is more than is simulated; use fewer entries, or a shorter time")]
    Ticks,
}

impl Work {
    /// Counts a leap of virtual time, before it is made.
    pub fn leap(&mut self, pods: u64, span: Millis, scrape: Millis, samples: u64) -> Result<(), TooMuch> {
        let scrapes = pods.saturating_mul(span.unsigned_abs() / scrape.unsigned_abs().max(1));
        self.done = self.done.saturating_add(pods).saturating_add(scrapes);
        let much = self.done > MOST_WORK || samples.saturating_add(scrapes) > MOST_SAMPLES;
        if much { Err(TooMuch::Scrapes { pods, scrape }) } else { Ok(()) }
    }

    /// Counts a tick of the engine that looks at so many things.
    pub fn tick(&mut self, things: u64) -> Result<(), TooMuch> {
        self.done = self.done.saturating_add(TICK).saturating_add(things.saturating_mul(THING));
        if self.done > MOST_WORK { Err(TooMuch::Ticks) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_play_has_an_end_however_it_spends_its_work() {
        let mut work = Work::default();
        let hour = 3_600_000;
        assert_eq!(work.leap(100, 24 * hour, 15_000, 0), Ok(()));
        assert_eq!(work.leap(100_000, hour, 15_000, 0), Err(TooMuch::Scrapes { pods: 100_000, scrape: 15_000 }));
        let mut ticks = Work::default();
        assert_eq!((0..1_000_000).find_map(|_| ticks.tick(10).err()), Some(TooMuch::Ticks));
        assert!(Work::default().leap(u64::MAX, i64::MAX, 0, u64::MAX).is_err(), "nothing overflows");
        let words = TooMuch::Scrapes { pods: 5, scrape: 15_000 }.to_string();
        assert!(words.starts_with("5 pods, scraped every 15s, for so long is more than is simulated"), "{words}");
    }
}
