//! How a controller ends. Asked to, it finishes what runs while it still leads. When leadership is lost, what runs is
//! aborted at once: a moment later another process may write.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{error::ControllerError, lease::Leadership};

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
        tracing::info!("shutting down: finishing running work");
        tokio::select! {
            biased;
            lost = lost(&mut leadership) => Err(lost),
            _ = tokio::time::timeout(GRACE, &mut work) => outcome,
        }
    }

    /// Why one of the parts has ended. None of them does in a process that is well.
    async fn died(&mut self) -> ControllerError {
        tokio::select! {
            biased;
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

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A process that leads and is well, with work that takes 5 s after it was asked to stop.
    struct Process {
        parts: Parts,
        leads: watch::Sender<Leadership>,
        stop: CancellationToken,
    }

    fn process() -> Process {
        let (leads, leadership) = watch::channel(Leadership::Leading);
        let server = AbortOnDropHandle::new(tokio::spawn(std::future::pending()));
        let mut watches = JoinSet::new();
        watches.spawn(std::future::pending());
        let parts = Parts { server, listen: ([127, 0, 0, 1], 0).into(), watches, leadership };
        Process { parts, leads, stop: CancellationToken::new() }
    }

    /// How it ended, after how long, and whether its work was finished.
    async fn end(process: Process) -> (Result<(), String>, Duration, bool) {
        let (work_stop, mut finished) = (CancellationToken::new(), false);
        let began = Instant::now();
        let work = async {
            work_stop.cancelled().await;
            sleep(s(5)).await;
            finished = true;
        };
        let outcome = process.parts.until_the_end(work, process.stop, work_stop.clone()).await;
        (outcome.map_err(|error| error.to_string()), began.elapsed(), finished)
    }

    #[tokio::test(start_paused = true)]
    async fn an_orderly_end_finishes_what_runs() {
        let process = process();
        process.stop.cancel();
        assert_eq!(end(process).await, (Ok(()), s(5), true));
    }

    #[tokio::test(start_paused = true)]
    async fn m3_a_lost_lease_drops_what_runs_at_once_also_during_an_orderly_end() {
        for stopped in [false, true] {
            let process = process();
            if stopped {
                process.stop.cancel();
            }
            let leads = process.leads.clone();
            tokio::spawn(async move {
                sleep(s(2)).await;
                leads.send_replace(Leadership::Lost("another replica holds the Lease"));
                std::future::pending::<()>().await;
            });
            let lost = "this process is no longer the leader: another replica holds the Lease".to_owned();
            assert_eq!(end(process).await, (Err(lost), s(2), false), "asked to stop: {stopped}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn l9_a_watch_that_dies_ends_the_process_with_a_reason() {
        let mut process = process();
        process.parts.watches.spawn(async { panic!("a bug") });
        let (outcome, _, finished) = end(process).await;
        let why = outcome.unwrap_err();
        assert!(why.starts_with("a watch ended unexpectedly: ") && why.contains("panicked"), "{why}");
        assert!(finished, "it still leads, so what runs is finished");
    }

    #[tokio::test(start_paused = true)]
    async fn an_election_that_dies_ends_the_process() {
        let process = process();
        let Process { parts, leads, stop } = process;
        drop(leads);
        let outcome = parts.until_the_end(std::future::pending(), stop, CancellationToken::new()).await;
        assert!(outcome.unwrap_err().to_string().starts_with("the leader election ended unexpectedly"));
    }
}
