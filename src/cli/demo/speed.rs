//! A clock that runs faster than the machine's, so that a file with waits of minutes can be watched.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{clock::SystemClock, ports::Clock};

/// So many seconds pass in each second of the machine's time.
pub struct FastClock {
    real: Arc<dyn Clock>,
    began: Timestamp,
    speed: u32,
}

impl FastClock {
    /// Starts at the machine's time.
    pub fn new(speed: u32) -> Self {
        Self::over(Arc::new(SystemClock), speed)
    }

    fn over(real: Arc<dyn Clock>, speed: u32) -> Self {
        FastClock { began: real.now(), real, speed }
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let passed = self.real.now().duration_since(self.began);
        let passed = i32::try_from(self.speed).ok().and_then(|speed| passed.checked_mul(speed)).unwrap_or(passed);
        self.began.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
        }
    }

    #[test]
    fn an_hour_passes_in_a_minute() {
        let hand = Arc::new(Hand(AtomicI64::new(1_000)));
        let clock = FastClock::over(hand.clone(), 60);
        assert_eq!(clock.now().as_second(), 1_000);
        hand.0.store(1_060, Ordering::SeqCst);
        assert_eq!(clock.now().as_second(), 4_600);
    }
}
