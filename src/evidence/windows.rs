//! The clock grid: which windows are due, and the question that each asks. Times are unix seconds.

use jiff::Timestamp;

use crate::api::analysis::{AnalysisRunSpec, Counter};

use super::{
    defaults::Frozen,
    query::{IncrementsQuery, Scope},
};

/// Windows read in one step of a run: a controller that slept catches up in several.
const MOST_AT_ONCE: usize = 20;

/// The end of the first window that lies wholly after `start`.
pub fn first_end(start: Timestamp, window: i64) -> i64 {
    let whole = start.as_second() + i64::from(start.subsec_nanosecond() > 0);
    let over = whole.rem_euclid(window);
    let on_grid = if over == 0 { whole } else { whole + window - over };
    on_grid + window
}

/// The end of the window after the last one that was read; of the first that lies wholly after `start`, where none was.
pub fn next_end(through: Option<i64>, start: Timestamp, window: i64) -> i64 {
    through.map_or_else(|| first_end(start, window), |through| through + window)
}

/// When a bake that begins with a run can be over: whole windows as long, at least one, and the last is read late.
pub fn baked_at(frozen: &Frozen) -> i64 {
    let windows = frozen.bake_seconds.saturating_add(frozen.window - 1) / frozen.window;
    read_at(windows.max(1).saturating_mul(frozen.window), frozen)
}

/// When the window that ends at `end` is read: a window later, so that every series was scraped, plus the source's lag.
pub fn read_at(end: i64, frozen: &Frozen) -> i64 {
    end + frozen.window + frozen.delay
}

/// The ends, in order, of windows that are due from `next` on; and when to look again.
pub fn due(next: i64, frozen: &Frozen, now: Timestamp) -> (Vec<i64>, i64) {
    due_every(frozen.window, next, frozen, now)
}

/// The ends, in order, of windows of this length that are due from `next` on; and when to look again. They are read as late as
/// others.
pub fn due_every(length: i64, next: i64, frozen: &Frozen, now: Timestamp) -> (Vec<i64>, i64) {
    let mut ends = Vec::new();
    let mut end = next;
    while read_at(end, frozen) <= now.as_second() && ends.len() < MOST_AT_ONCE {
        ends.push(end);
        end += length;
    }
    (ends, read_at(end, frozen))
}

/// The same question about the whole service and so many seconds, in pieces that lie on their own grid: its end is at most a
/// piece earlier. Short pieces miss little of pods that come and go, long ones keep the query small.
pub fn of_service(question: IncrementsQuery, seconds: u64) -> IncrementsQuery {
    let piece = match seconds {
        ..=3_600 => 60,
        3_601..=259_200 => 300,
        _ => 3_600,
    };
    let end = question.end.as_second();
    IncrementsQuery {
        scope: Scope::Service,
        end: instant(end - end.rem_euclid(i64::from(piece))),
        window_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        piece_seconds: Some(piece),
        warm_up_seconds: 0,
        ..question
    }
}

/// How many events of the two counters each arm had in the window that ends at `end`.
pub fn question(spec: &AnalysisRunSpec, frozen: &Frozen, [bad, total]: [&Counter; 2], end: i64) -> IncrementsQuery {
    let seconds = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    IncrementsQuery {
        bad: bad.clone(),
        total: total.clone(),
        pack: frozen.pack,
        arms: spec.arms.clone(),
        scope: Scope::Arms,
        end: instant(end),
        window_seconds: seconds(frozen.window),
        piece_seconds: None,
        warm_up_seconds: seconds(frozen.warm_up),
        whole_pods: false,
        bad_comes_later: false,
    }
}

/// Unix seconds as a time, clamped to what can be written.
pub fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::analysis::Settings;

    #[test]
    fn windows_lie_on_one_grid_and_are_read_late() {
        for (start, first) in [("1000", 1020), ("1005", 1020), ("1005.1", 1035), ("1006", 1035)] {
            let start = Timestamp::from_millisecond((start.parse::<f64>().unwrap() * 1000.0) as i64).unwrap();
            assert_eq!(first_end(start, 15), first, "{start}");
        }
        let frozen = Frozen { delay: 60, ..Frozen::of(&Settings::default(), 1.0) };
        assert_eq!(due(1020, &frozen, instant(1094)), (vec![], 1095));
        assert_eq!(due(1020, &frozen, instant(1095)), (vec![1020], 1110));
        let (ends, again) = due(1020, &frozen, instant(100_000));
        assert_eq!((ends.len(), ends[19], again), (20, 1305, 1395));
    }
}
