//! One line of progress on standard error, with the time since the process began: whoever waits sees what for.

use std::fmt::Display;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

static BEGAN: OnceLock<Instant> = OnceLock::new();

/// Prints `text` as one line.
pub fn say(text: impl Display) {
    let since = BEGAN.get_or_init(Instant::now).elapsed();
    eprintln!("[cluster {:6.1}s] {text}", since.as_secs_f64());
}

/// A duration as an operator says it: `45s`, `1m20s`.
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 60 {
        0 => format!("{seconds}s"),
        minutes => format!("{minutes}m{:02}s", seconds % 60),
    }
}
