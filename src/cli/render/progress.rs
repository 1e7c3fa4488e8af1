//! How far a command is that computes for long: one line on the terminal, after a second of silence.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::waiting::{SILENCE, WaitingLine};

/// The line changes no more often than this.
const PACE: Duration = Duration::from_millis(200);

/// Counts what is done, on several threads. The line goes away with it.
#[derive(Debug)]
pub struct Progress(Mutex<Shown>);

#[derive(Debug)]
struct Shown {
    count: Count,
    line: WaitingLine,
}

impl Progress {
    /// Of something that begins now.
    pub fn begins() -> Self {
        Progress(Mutex::new(Shown { count: Count::begins(Instant::now()), line: WaitingLine::default() }))
    }

    /// The next part, which is done so many times.
    pub fn next(&self, what: impl Into<String>, all: u32) {
        self.change(|count| (count.what, count.done, count.all) = (what.into(), 0, all));
    }

    /// One more is done.
    pub fn one_done(&self) {
        self.change(|count| count.done = count.done.saturating_add(1));
    }

    fn change(&self, change: impl FnOnce(&mut Count)) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut shown.count);
        if let Some(text) = shown.count.due(Instant::now()) {
            shown.line.say(&text);
        }
    }
}

/// What is counted, and when it was last said.
#[derive(Debug)]
struct Count {
    began: Instant,
    said: Option<Instant>,
    what: String,
    done: u32,
    all: u32,
}

impl Count {
    fn begins(began: Instant) -> Self {
        Count { began, said: None, what: String::new(), done: 0, all: 0 }
    }

    /// What to say now, if it is time to say something.
    fn due(&mut self, now: Instant) -> Option<String> {
        let due = self.said.map_or(self.began + SILENCE, |said| said + PACE);
        if now < due {
            return None;
        }
        self.said = Some(now);
        Some(format!("{}: {} of {} runs", self.what, self.done, self.all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_silent_for_a_second_and_then_counts() {
        let began = Instant::now();
        let mut count = Count { what: "row 1 of 5, a good version".into(), all: 200, ..Count::begins(began) };
        let mut at = |millis: u64, done: u32| {
            count.done = done;
            count.due(began + Duration::from_millis(millis))
        };
        assert_eq!(at(999, 9), None, "what is quick needs no words");
        assert_eq!(at(1_000, 10).as_deref(), Some("row 1 of 5, a good version: 10 of 200 runs"));
        assert_eq!(at(1_100, 11), None, "it does not flicker");
        assert_eq!(at(1_200, 12).as_deref(), Some("row 1 of 5, a good version: 12 of 200 runs"));
    }
}
