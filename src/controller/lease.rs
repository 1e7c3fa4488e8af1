//! Leader election: the holder of the Lease is active, the others stand by with warm caches.
//!
//! `election.rs` decides (and says after which algorithm), `store.rs` reads and writes the Lease, and this file lets one
//! follow the other, cuts off a call at the moment at which leadership ends, and moves the [`Fence`] that every write of
//! this process passes.

mod clock_guard;
mod election;
mod record;
mod store;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

pub use store::{KubeLease, LeaseStore};

use crate::{
    cluster::{Fence, ServerClock, Term, repeated::Repeated},
    metrics::Metrics,
    ports::Clock,
};
use election::{Action, Event, Now, State, decide};
use store::StoreError;

/// No call takes longer: a leader has time for three of them before it must stop.
const CALL_DEADLINE: Duration = Duration::from_secs(3);

/// Whether this process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another one does, or none does yet.
    Standby,
    /// This process does.
    Leading,
    /// It did: the process must end, and why.
    Lost(&'static str),
}

/// A process that would lead.
pub struct Candidate {
    /// The Lease; without one this process leads at once.
    pub lease: Option<Arc<dyn LeaseStore>>,
    /// This process among its replicas.
    pub identity: String,
    /// The time that is written into the Lease.
    pub clock: Arc<dyn Clock>,
    /// What every write of this process passes.
    pub fence: Fence,
    /// Where the others in this process read whether it leads.
    pub leadership: watch::Sender<Leadership>,
    /// Where calls and changes of the Lease are counted.
    pub metrics: Metrics,
}

impl Candidate {
    /// Takes part until `stop`, then releases the Lease; or until leadership is lost. It begins when the API server's
    /// clock and ours agree, and a clock that goes wrong later ends leadership (rule S41).
    pub async fn run(self, client: Client, server: ServerClock, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = clock_guard::agrees(&client, &server) => {}
        }
        tokio::select! {
            biased;
            () = self.elect(&stop) => {}
            () = clock_guard::goes_wrong(&server) => {
                self.fence.close();
                self.metrics.leads(false);
                self.leadership.send_replace(Leadership::Lost(clock_guard::OFF));
            }
        }
    }

    async fn elect(&self, stop: &CancellationToken) {
        match &self.lease {
            Some(lease) => self.contend(lease.as_ref(), stop).await,
            None => {
                self.fence.open();
                self.metrics.leads(true);
                self.leadership.send_replace(Leadership::Leading);
                stop.cancelled().await;
                self.fence.close();
            }
        }
    }

    async fn contend(&self, lease: &dyn LeaseStore, stop: &CancellationToken) {
        let (mut state, mut event) = (State::begin(), Event::Woke);
        let (mut stopping, trouble) = (false, Repeated::default());
        loop {
            let now = Now { at: Instant::now(), wall: self.clock.now() };
            let (next, action) = decide(&self.identity, state, event, now);
            state = next;
            self.publish(&state);
            event = tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    Event::Stop
                }
                // Whatever a call does: a leader's time ends when it ends.
                () = time_is_up(&state) => Event::Woke,
                event = perform(lease, action, &trouble) => match event {
                    Some(event) => {
                        self.count(&event);
                        event
                    }
                    None => return,
                },
            };
        }
    }

    fn count(&self, event: &Event) {
        if let Event::Found(Some(stored)) | Event::Written(stored) = event {
            self.metrics.lease_seen(stored.record.transitions);
        }
        match event {
            Event::Found(_) | Event::Written(_) => self.metrics.lease_requested("OK"),
            Event::Refused => self.metrics.lease_requested("Conflict"),
            Event::Failed => self.metrics.lease_requested("Error"),
            Event::Woke | Event::Stop => {}
        }
    }

    /// The fence moves before anything else learns of the new state.
    fn publish(&self, state: &State) {
        let leadership = match state {
            State::Leading(leading) => {
                let term = u64::try_from(leading.stored.record.transitions).unwrap_or(0);
                self.fence.hold(Term(term), leading.until());
                Leadership::Leading
            }
            State::Standby(_) | State::Releasing { .. } | State::Ended => {
                self.fence.close();
                Leadership::Standby
            }
            State::Lost(why) => {
                self.fence.close();
                Leadership::Lost(why)
            }
        };
        self.metrics.leads(leadership == Leadership::Leading);
        self.leadership.send_if_modified(|known| std::mem::replace(known, leadership) != leadership);
    }
}

async fn time_is_up(state: &State) {
    match state {
        State::Leading(leading) => tokio::time::sleep_until(leading.until()).await,
        State::Releasing { until, .. } => tokio::time::sleep_until(*until).await,
        State::Standby(_) | State::Lost(_) | State::Ended => std::future::pending().await,
    }
}

/// Carries an action out. `None`: the election is over.
async fn perform(lease: &dyn LeaseStore, action: Action, trouble: &Repeated) -> Option<Event> {
    let failure = |error| failure(error, trouble);
    let event = match action {
        Action::End => return None,
        Action::Wait(until) => {
            tokio::time::sleep_until(until).await;
            Event::Woke
        }
        Action::Read => in_time(lease.read()).await.map_or_else(failure, Event::Found),
        Action::Create(record) => in_time(lease.create(&record)).await.map_or_else(failure, Event::Written),
        Action::Replace(stored, record) => {
            in_time(lease.replace(&stored, &record)).await.map_or_else(failure, Event::Written)
        }
    };
    if matches!(event, Event::Found(_) | Event::Written(_) | Event::Refused) {
        trouble.over();
    }
    Some(event)
}

async fn in_time<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| StoreError::Failed("no response from the API server within 3 s".into());
    tokio::time::timeout(CALL_DEADLINE, call).await.map_err(late)?
}

fn failure(error: StoreError, trouble: &Repeated) -> Event {
    match error {
        StoreError::Conflict => Event::Refused,
        StoreError::Failed(error) => {
            if trouble.is_due(false) {
                tracing::warn!(lease = store::NAME, %error, "cannot read or write the Lease; retrying");
            }
            Event::Failed
        }
    }
}
