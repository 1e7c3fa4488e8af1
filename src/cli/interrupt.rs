//! Ctrl-C and SIGTERM: heard from the moment this is made, so that one that comes while something else is done is not lost.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::CliError;

/// What asks a program to end.
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Begins to listen.
    ///
    /// # Errors
    /// The system gives no place for a signal.
    pub fn new() -> Result<Interrupts, CliError> {
        let listen = |kind| signal(kind).map_err(|error| CliError::Failed(format!("cannot wait for signals: {error}")));
        Ok(Interrupts { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits until one comes, or has come since the last call.
    pub async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
