//! Until when this process may write, and in which term of leadership.
//!
//! Leader election moves it, every write to the API server passes it (`call.rs`). It counts by the monotonic clock, so
//! a process that was paused, or whose renewals hang, finds it closed when its time is over, regardless of other
//! processes.

use std::sync::Arc;

use tokio::{sync::watch, time::Instant};

/// One term of leadership. A later leader's is higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Term(pub u64);

/// Whether this process may write. Clones share one state.
#[derive(Clone, Debug)]
pub struct Fence {
    permit: Arc<watch::Sender<Permit>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permit {
    /// This process does not lead.
    Closed,
    /// It holds the Lease until then.
    Until(Term, Instant),
    /// It works without a Lease.
    Open,
}

impl Default for Fence {
    /// Closed.
    fn default() -> Self {
        Fence { permit: Arc::new(watch::Sender::new(Permit::Closed)) }
    }
}

impl Fence {
    /// This process leads in this term until then.
    pub fn hold(&self, term: Term, until: Instant) {
        self.permit.send_replace(Permit::Until(term, until));
    }

    /// This process works without a Lease.
    pub fn open(&self) {
        self.permit.send_replace(Permit::Open);
    }

    /// This process writes nothing any more: what is under way is dropped.
    pub fn close(&self) {
        self.permit.send_replace(Permit::Closed);
    }

    /// Whether this process may write now.
    pub fn is_open(&self) -> bool {
        match *self.permit.borrow() {
            Permit::Closed => false,
            Permit::Until(_, until) => Instant::now() < until,
            Permit::Open => true,
        }
    }

    /// The term of the Lease that this process holds. `None`: it holds none.
    pub fn term(&self) -> Option<Term> {
        match *self.permit.borrow() {
            Permit::Until(term, _) => Some(term),
            Permit::Closed | Permit::Open => None,
        }
    }

    /// Returns when this process may no longer write. A renewal of the Lease extends that moment.
    pub async fn closed(&self) {
        let mut permit = self.permit.subscribe();
        loop {
            let until = match *permit.borrow_and_update() {
                Permit::Closed => return,
                Permit::Until(_, until) if until <= Instant::now() => return,
                Permit::Until(_, until) => Some(until),
                Permit::Open => None,
            };
            let over = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = over => {}
                changed = permit.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn c6_a_process_that_was_paused_finds_the_fence_closed() {
        let fence = Fence::default();
        assert!(!fence.is_open(), "a process that never led");
        fence.hold(Term(3), Instant::now() + s(10));
        assert!(fence.is_open() && fence.term() == Some(Term(3)));
        tokio::time::advance(s(60)).await;
        assert!(!fence.is_open(), "no one had to close it");
    }

    #[tokio::test(start_paused = true)]
    async fn c6_what_waits_at_the_fence_learns_of_renewals_of_the_end_and_of_a_loss() {
        let fence = Fence::default();
        let began = Instant::now();
        fence.hold(Term(1), began + s(10));
        let (renewing, renewed) = (fence.clone(), async {
            tokio::time::sleep(s(8)).await;
            fence.hold(Term(1), began + s(18));
        });
        tokio::join!(renewing.closed(), renewed);
        assert_eq!(began.elapsed(), s(18), "the renewal counts, and nothing after it");

        fence.hold(Term(2), Instant::now() + s(10));
        let lost = Instant::now();
        tokio::join!(fence.closed(), async {
            tokio::time::sleep(s(1)).await;
            fence.close();
        });
        assert_eq!(lost.elapsed(), s(1), "a loss counts at once");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_lease_the_fence_stays_open() {
        let fence = Fence::default();
        fence.open();
        assert!(tokio::time::timeout(s(3600), fence.closed()).await.is_err());
        assert!(fence.is_open() && fence.term().is_none());
    }
}
