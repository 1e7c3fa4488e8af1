//! What stops a watch from outside: its time limit, Ctrl-C, and the key.

use super::asked::{Follow, Stopped, Until};
use crate::cli::{
    deadline::{Deadline, passed},
    exit::CliError,
    interrupt::Interrupts,
    keys::Keys,
};

/// What stops a watch from outside.
pub(super) struct Stops {
    deadline: Option<Deadline>,
    interrupts: Interrupts,
    keys: Option<Keys>,
}

impl Stops {
    /// Of a watch. Keys are read from now on.
    pub fn of(follow: &Follow) -> Result<Stops, CliError> {
        let keys = if follow.until == Until::Quit { Keys::read() } else { None };
        Ok(Stops { deadline: follow.deadline, interrupts: Interrupts::new()?, keys })
    }

    /// Whether a key ends it, which the screen then says.
    pub fn reads_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Waits for the first.
    pub async fn come(&mut self) -> Stopped {
        let quit = async {
            match &mut self.keys {
                Some(keys) => keys.quit().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.interrupts.come() => Stopped::Interrupted,
            () = quit => Stopped::Quit,
            () = passed(self.deadline) => Stopped::TimedOut,
        }
    }
}
