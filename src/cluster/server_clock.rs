//! The API server's time compared with our own (rule S41): a process with a wrong clock must not decide, because times
//! in a status are shared.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// How far our clock may be off.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);
/// A Date header has no fractions.
const GRAIN: SignedDuration = SignedDuration::from_secs(1);
/// One answer may have been held up by a proxy; so many in a row were not.
const IN_A_ROW: u32 = 3;

/// The offset of our clock from the server's, by the responses so far.
#[derive(Clone, Debug, Default)]
pub struct ServerClock {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    off: Option<SignedDuration>,
    in_a_row: u32,
}

impl ServerClock {
    /// An answer with this Date header came to a request of ours.
    pub fn said(&self, date: &str, sent: Timestamp, received: Timestamp) {
        let Ok(date) = jiff::fmt::rfc2822::parse(date) else { return };
        let off = off_by(date.timestamp(), sent, received).filter(|off| off.abs() > TOLERANCE);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_a_row = if off.is_some() { state.in_a_row + 1 } else { 0 };
        state.off = off;
    }

    /// By how much our clock is too early (negative) or too late by the last answer, if that is too much.
    pub fn off(&self) -> Option<SignedDuration> {
        self.read().off
    }

    /// The same, if several answers in a row agree.
    pub fn surely_off(&self) -> Option<SignedDuration> {
        let state = self.read();
        state.off.filter(|_| state.in_a_row >= IN_A_ROW)
    }

    fn read(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server wrote its time between our sending and our receiving: whatever lies between is no difference.
fn off_by(date: Timestamp, sent: Timestamp, received: Timestamp) -> Option<SignedDuration> {
    if received < date {
        return Some(received.duration_since(date));
    }
    let latest = date + GRAIN;
    (sent > latest).then(|| sent.duration_since(latest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn s41_a_slow_answer_is_no_difference_but_a_wrong_clock_is() {
        // The server's second, when we sent, when we received: what we are off by.
        let cases = [
            (100, 100, 100, None),
            (100, 60, 101, None),
            (100, 100, 190, None),
            (100, 108, 109, Some(7)),
            (100, 80, 90, Some(-10)),
            (100, 104, 105, None),
        ];
        for (date, sent, received, expected) in cases {
            let clock = ServerClock::default();
            let text = at(date).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            clock.said(&text, at(sent), at(received));
            assert!(jiff::fmt::rfc2822::parse(&text).is_ok(), "{text} is a Date header");
            assert_eq!(clock.off(), expected.map(SignedDuration::from_secs), "{date} {sent} {received}");
        }
    }

    #[test]
    fn s41_one_odd_answer_is_not_believed() {
        let clock = ServerClock::default();
        let say = |second: i64| {
            let text = at(second).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            clock.said(&text, at(100), at(100));
        };
        [50, 50, 100, 50, 50].into_iter().for_each(say);
        assert_eq!((clock.off().is_some(), clock.surely_off()), (true, None));
        say(50);
        assert_eq!(clock.surely_off(), Some(SignedDuration::from_secs(49)));
        say(100);
        assert_eq!(clock.surely_off(), None);
    }
}
