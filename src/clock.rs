//! The only real clock.

use jiff::Timestamp;

use crate::ports::Clock;

/// The machine's time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the place that all others ask")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
