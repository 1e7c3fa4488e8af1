//! When an object is looked at again after what came of the last look: one policy for the controller, the simulator and
//! local mode.

use std::time::Duration;

use jiff::Timestamp;

use crate::{engine::Decision, ports::WorldError};

/// Every Rollout is looked at this often, though nothing changed: a no-op at the fixed point.
pub const RESYNC: Duration = Duration::from_secs(600);
/// Nothing is looked at again sooner.
pub const SHORTEST: Duration = Duration::from_millis(20);
/// While the watches are not to be relied on nothing is decided, and every Rollout looks again this soon.
const NOT_READY: Duration = Duration::from_secs(1);

/// The first wait of a series, which doubles up to the last.
type Series = (Duration, Duration);
/// After an outage of the API server every release continues, or is taken back, within the longest.
const FAILED: Series = (Duration::from_secs(1), Duration::from_secs(60));
const SOON: Series = (SHORTEST, Duration::from_secs(2));

/// What a piece of work says when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It worked: look again after this long.
    After(Duration),
    /// It worked and left something to be seen, or another writer was first: look again soon, less soon the more often in a row.
    Soon,
    /// It failed: retry with backoff.
    Failed,
    /// It failed after a part of it was done: the backoff begins anew.
    Interrupted,
    /// Its object is gone.
    Forget,
}

impl Next {
    /// After a tick that decided this. What it has written triggers no further event.
    pub fn after_decision(decision: &Decision, now: Timestamp) -> Self {
        if !decision.actions.is_empty() {
            return Next::Soon;
        }
        let Some(wake) = &decision.wake else { return Next::After(RESYNC) };
        let wait = Duration::try_from(wake.at.duration_since(now)).unwrap_or(Duration::ZERO);
        Next::After(wait.clamp(SHORTEST, RESYNC))
    }

    /// After work that ended with this error.
    pub fn after_error(error: &WorldError) -> Self {
        match error {
            WorldError::NotReady(_) => Next::After(NOT_READY),
            WorldError::Conflict(_) => Next::Soon,
            WorldError::Interrupted(_) => Next::Interrupted,
            WorldError::Transient(_) | WorldError::Refused { .. } => Next::Failed,
        }
    }

    /// After a tick.
    pub fn after_tick(ticked: &Result<Option<Decision>, WorldError>, now: Timestamp) -> Self {
        match ticked {
            Ok(Some(decision)) => Next::after_decision(decision, now),
            Ok(None) => Next::Forget,
            Err(error) => Next::after_error(error),
        }
    }
}

/// How often in a row the work on one object failed, or was not done yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retries {
    failures: u32,
    soon: u32,
}

impl Retries {
    /// How often in a row it failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the last look left nothing to come back to.
    pub fn is_calm(&self) -> bool {
        (self.failures, self.soon) == (0, 0)
    }

    /// How long to wait; `None`: the object is gone.
    pub fn wait(&mut self, next: Next) -> Option<Duration> {
        let Retries { failures, soon } = *self;
        let (wait, counted) = match next {
            Next::Forget => return None,
            Next::After(wait) => (wait, Retries::default()),
            Next::Soon => (doubled(SOON, soon), Retries { failures: 0, soon: soon.saturating_add(1) }),
            Next::Interrupted => (doubled(FAILED, 0), Retries { failures: 1, soon: 0 }),
            Next::Failed => (doubled(FAILED, failures), Retries { failures: failures.saturating_add(1), soon: 0 }),
        };
        *self = counted;
        Some(wait)
    }
}

fn doubled((first, last): Series, times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times.min(20)).unwrap_or(u32::MAX)).min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_until_something_else_comes_of_it() {
        let mut retries = Retries::default();
        let mut waits = |next: Next, times: usize| -> Vec<u128> {
            (0..times).map(|_| retries.wait(next).unwrap().as_millis()).collect()
        };
        assert_eq!(waits(Next::Failed, 3), [1_000, 2_000, 4_000]);
        assert_eq!(waits(Next::Soon, 9), [20, 40, 80, 160, 320, 640, 1_280, 2_000, 2_000]);
        assert_eq!(waits(Next::Failed, 10).last(), Some(&60_000), "and begins anew");
        assert_eq!(waits(Next::Interrupted, 3), [1_000; 3], "a part of it was done");
        assert_eq!(waits(Next::Failed, 2), [2_000, 4_000]);
        assert_eq!(waits(Next::After(RESYNC), 2), [600_000, 600_000]);
        assert_eq!((waits(Next::Failed, 1), waits(Next::Soon, 1)), (vec![1_000], vec![20]));
        assert_eq!(retries.wait(Next::Forget), None);
    }

    #[test]
    fn an_error_says_how_soon_it_is_worth_another_try() {
        let text = || "text".to_owned();
        assert_eq!(Next::after_error(&WorldError::Conflict(text())), Next::Soon);
        assert_eq!(Next::after_error(&WorldError::Transient(text())), Next::Failed);
        assert_eq!(Next::after_error(&WorldError::Interrupted(text())), Next::Interrupted);
        assert_eq!(Next::after_error(&WorldError::NotReady(text())), Next::After(Duration::from_secs(1)));
    }
}
