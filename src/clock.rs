//! The only real clock.

use jiff::Timestamp;

use crate::ports::Clock;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the only real clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
