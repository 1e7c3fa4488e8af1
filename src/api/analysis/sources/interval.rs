//! The range before a measurement that a source is asked for.

use crate::api::common::HumanDuration;

/// The range unless a query says otherwise, in seconds.
const USUAL: i64 = 300;

/// The seconds of a range.
pub fn seconds(interval: Option<HumanDuration>) -> i64 {
    interval.map_or(USUAL, |interval| interval.get().as_secs().cast_signed()).max(1)
}
