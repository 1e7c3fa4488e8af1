//! How a controller ends. Asked to, it finishes what runs while it still leads. When leadership is lost, what runs is
//! aborted at once: a moment later another process may write.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{ControllerError, lease::Leadership};

/// Work that runs may take so long to finish.
const GRACE: Duration = Duration::from_secs(10);

/// What runs as long as the process.
pub struct Parts {
    /// The HTTP server.
    pub server: AbortOnDropHandle<std::io::Result<()>>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The watches.
    pub watches: JoinSet<()>,
    /// Whether this process leads.
    pub leadership: watch::Receiver<Leadership>,
}

impl Parts {
    /// Works until asked to stop, leadership is lost, or a part dies. Work that is left when this returns is aborted.
    pub async fn until_the_end(
        mut self,
        work: impl Future<Output = ()>,
        stop: CancellationToken,
        work_stop: CancellationToken,
    ) -> Result<(), ControllerError> {
        tokio::pin!(work);
        let mut leadership = self.leadership.clone();
        let outcome = tokio::select! {
            biased;
            lost = lost(&mut leadership) => return Err(lost),
            () = stop.cancelled() => Ok(()),
            died = self.died() => Err(died),
            () = &mut work => Ok(()),
        };
        work_stop.cancel();
        if *leadership.borrow() != Leadership::Leading {
            return outcome;
        }
        tracing::info!("shutting down: finishing what runs");
        tokio::select! {
            biased;
            lost = lost(&mut leadership) => Err(lost),
            _ = tokio::time::timeout(GRACE, &mut work) => outcome,
        }
    }

    /// Why one of the parts has ended. None of them does in a process that is well.
    async fn died(&mut self) -> ControllerError {
        tokio::select! {
            served = &mut self.server => match served {
                Ok(Err(error)) => ControllerError::Listen(self.listen, error),
                Ok(Ok(())) => ControllerError::Died("the HTTP server", String::new()),
                Err(error) => ControllerError::Died("the HTTP server", why(&error)),
            },
            ended = self.watches.join_next() => {
                let why = ended.and_then(Result::err).map(|error| why(&error));
                ControllerError::Died("a watch", why.unwrap_or_default())
            }
        }
    }
}

fn why(error: &JoinError) -> String {
    format!(": {error}")
}

/// Returns when this process has stopped leading, or when the election itself has died, which renews no Lease either.
async fn lost(leadership: &mut watch::Receiver<Leadership>) -> ControllerError {
    let lost = leadership.wait_for(|state| matches!(state, Leadership::Lost(_))).await.map(|state| *state);
    match lost {
        Ok(Leadership::Lost(why)) => ControllerError::LeaseLost(why),
        _ => ControllerError::Died("the leader election", String::new()),
    }
}
