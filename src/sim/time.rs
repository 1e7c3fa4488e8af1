//! Virtual time: as a number, as a time of the calendar, and in words.

use crate::api::common::HumanDuration;

/// Virtual time: milliseconds since the start of the world.
pub type Millis = i64;

/// When a world begins: 2026-01-01 00:00:00 UTC, on the grid of all windows.
const BEGINNING: i64 = 1_767_225_600_000;

/// A moment of the world as a time.
pub fn instant(at: Millis) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(BEGINNING.saturating_add(at)).unwrap_or(jiff::Timestamp::MAX)
}

/// A time as a moment of the world, rounded up to the next millisecond.
pub fn moment(at: jiff::Timestamp) -> Millis {
    let whole = at.as_millisecond().saturating_sub(BEGINNING);
    whole + i64::from(at.subsec_nanosecond() % 1_000_000 > 0)
}

/// A moment so much later, rounded up to the next millisecond.
pub fn later(now: Millis, wait: std::time::Duration) -> Millis {
    now.saturating_add(i64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX))
}

/// A duration in milliseconds.
pub fn millis(duration: HumanDuration) -> Millis {
    i64::try_from(duration.get().as_millis()).unwrap_or(i64::MAX)
}

/// A span of virtual time: `1m30s`.
pub fn shown(span: Millis) -> String {
    let span = std::time::Duration::from_millis(span.unsigned_abs());
    HumanDuration::from(span).to_string()
}
