//! The key that ends a watch. The terminal stays as it is otherwise: Ctrl-C, Ctrl-Z and what is written work as before.

use std::io::{IsTerminal, Read};

use rustix::{
    process::getpgrp,
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Keys as they are pressed, without a line's end and without being shown.
pub struct Keys {
    pressed: UnboundedReceiver<u8>,
    /// Kept until the keys are no longer read.
    _mode: Mode,
}

impl Keys {
    /// Reads keys from now on. `None`: standard input is not a terminal that this process may read.
    pub fn read() -> Option<Keys> {
        let mode = Mode::single_keys()?;
        let (send, pressed) = unbounded_channel();
        // A thread of its own: a read of a terminal cannot be given up, and the process must not wait for it at its end.
        let reads = std::thread::Builder::new().spawn(move || {
            let keys = std::io::stdin().lock().bytes().map_while(Result::ok);
            keys.map(|key| send.send(key)).take_while(Result::is_ok).count()
        });
        reads.ok().map(|_| Keys { pressed, _mode: mode })
    }

    /// Waits until `q` is pressed.
    pub async fn quit(&mut self) {
        while let Some(key) = self.pressed.recv().await {
            if matches!(key, b'q' | b'Q') {
                return;
            }
        }
        std::future::pending().await
    }
}

/// How the terminal was, which it is again when this is dropped.
struct Mode {
    before: Termios,
}

impl Mode {
    fn single_keys() -> Option<Mode> {
        let input = std::io::stdin();
        // A job in the background would be stopped for changing its terminal.
        if !input.is_terminal() || tcgetpgrp(&input).ok()? != getpgrp() {
            return None;
        }
        let before = tcgetattr(&input).ok()?;
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Now, &keys).ok()?;
        Some(Mode { before })
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}
