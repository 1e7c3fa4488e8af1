//! One line on the terminal that says what is waited for, and goes away with the wait: a command that says nothing looks as
//! if it hung.

use std::{
    future::Future,
    io::{IsTerminal, Write},
    pin::pin,
    time::Duration,
};

use tokio::time::timeout;

use super::{printable::printable, redraw::Size};

/// A wait that is shorter needs no words.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// Waits for this. After a second the terminal says what is waited for, until it has come.
pub async fn while_waiting<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let mut wait = pin!(wait);
    if let Ok(come) = timeout(SILENCE, &mut wait).await {
        return come;
    }
    let mut line = WaitingLine::default();
    line.say(what);
    wait.await
}

/// The line, on standard error where that is a terminal. It is taken away when it is dropped.
#[derive(Debug, Default)]
pub struct WaitingLine {
    shown: usize,
}

impl WaitingLine {
    /// Shows this in place of what it showed before.
    pub fn say(&mut self, what: &str) {
        let error = std::io::stderr();
        if error.is_terminal() {
            let text = self.over(&printable(what), Size::now().columns);
            // The terminal may be closed by now.
            let _ = error.lock().write_all(text.as_bytes());
        }
    }

    /// Takes it away.
    pub fn clear(&mut self) {
        if self.shown > 0 {
            self.say("");
        }
    }

    /// The line over the one before, cut so that it stays one, with the cursor back at its start when it is empty.
    fn over(&mut self, what: &str, columns: usize) -> String {
        let line: String = what.chars().take(columns.saturating_sub(1)).collect();
        let length = line.chars().count();
        let blank = " ".repeat(self.shown.saturating_sub(length));
        self.shown = length;
        let back = if line.is_empty() { "\r" } else { "" };
        format!("\r{line}{blank}{back}")
    }
}

impl Drop for WaitingLine {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_and_leaves_nothing() {
        let mut line = WaitingLine::default();
        assert_eq!(line.over("waiting for it", 80), "\rwaiting for it");
        assert_eq!(line.over("waiting", 80), "\rwaiting       ", "what was longer is gone");
        assert_eq!(line.over("", 80), "\r       \r");
        assert_eq!(line.over("abcdef", 5), "\rabcd", "it never wraps");
        line.shown = 0;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_comes_all_the_same() {
        assert_eq!(while_waiting("waiting", async { 1 }).await, 1);
        let slow = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            2
        };
        assert_eq!(while_waiting("waiting", slow).await, 2);
    }
}
