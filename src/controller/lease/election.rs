//! The election, decided: from a state, an event and the time to the next state and one action. No I/O.
//!
//! The algorithm is that of client-go's `tools/leaderelection` (Apache-2.0): a Lease counts as expired when its record
//! has not been *seen to change* for the lease duration, by the monotonic clock of the process that watches it, so that
//! no two machines' clocks are ever compared; every write is a replace that is conditional on the resourceVersion which
//! was read. A leader stops leading [`RENEW_DEADLINE`] after the moment at which it *sent* its last successful renewal.
//! Another process saw the record change no earlier than that, and waits [`LEASE_DURATION`] from there. The difference is
//! what two monotonic clocks may drift apart.
//!
//! It differs from client-go in three points: a failed renewal is retried at once and under a deadline of its own; a
//! refused renewal is read again before it counts as lost, since our own earlier write may have taken effect without an
//! answer; and a Lease that was deleted under its holder is lost.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::record::{LEASE_DURATION, Record, Stored};

/// A leader stops so long after the moment at which it sent its last successful renewal.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often a leader renews, and how often the others look.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// A call that failed is repeated after so long.
const FAILED_RETRY: Duration = Duration::from_millis(500);
/// Releasing the Lease is tried for so long.
const RELEASE_DEADLINE: Duration = Duration::from_secs(5);

/// Why a leader had to stop.
pub const TAKEN: &str = "another replica holds the Lease";
/// The same.
pub const DELETED: &str = "the Lease was deleted";
/// The same.
pub const NOT_RENEWED: &str = "the Lease could not be renewed in time";

/// Where this process is in the election.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Another process leads, or none does yet.
    Standby(Standby),
    /// This process leads.
    Leading(Leading),
    /// This process led, was asked to end, and gives the Lease free.
    Releasing {
        /// The Lease as we wrote it last.
        stored: Stored,
        /// When it is left to expire instead.
        until: Instant,
    },
    /// This process led and must not write any more, and why.
    Lost(&'static str),
    /// This process ended without leading, or has released the Lease.
    Ended,
}

/// What a process knows that does not lead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standby {
    /// The record that was read last, and since when it has not been seen to change.
    seen: Option<(Record, Instant)>,
    /// What was written last to take the Lease, and when it was sent: it may have taken effect without an answer.
    attempt: Option<(Record, Instant)>,
}

/// What a leader knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Leading {
    /// The Lease as stored by our last successful write.
    pub stored: Stored,
    /// When that write was sent.
    renewed: Instant,
    /// When the renewal that is under way was sent.
    sent: Instant,
}

impl Leading {
    /// When this process stops leading unless a renewal succeeds.
    pub fn until(&self) -> Instant {
        self.renewed + RENEW_DEADLINE
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A wait is over: the one that was asked for, or a leader's time.
    Woke,
    /// A read was answered.
    Found(Option<Stored>),
    /// A write was answered: the Lease as it is stored now.
    Written(Stored),
    /// A write was refused, because the Lease is not the one that was read.
    Refused,
    /// A call failed, or was not answered in time. A write may have taken effect.
    Failed,
    /// The process is asked to end.
    Stop,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read the Lease.
    Read,
    /// Create it.
    Create(Record),
    /// Replace it on condition that it is still the one stored.
    Replace(Stored, Record),
    /// Do nothing until then.
    Wait(Instant),
    /// The election is over.
    End,
}

/// Both clocks: the monotonic one decides, the wall clock's time is written into the Lease.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic.
    pub at: Instant,
    /// Of the wall.
    pub wall: Timestamp,
}

impl State {
    /// Before anything was read.
    pub fn begin() -> Self {
        State::Standby(Standby::default())
    }
}

/// One step of the election for the process of this identity.
pub fn decide(identity: &str, state: State, event: Event, now: Now) -> (State, Action) {
    match state {
        State::Standby(standby) => stand_by(identity, standby, event, now),
        State::Leading(leading) => lead(leading, event, now),
        State::Releasing { stored, until } => release(stored, until, event, now),
        State::Lost(_) | State::Ended => (state, Action::End),
    }
}

fn stand_by(identity: &str, standby: Standby, event: Event, now: Now) -> (State, Action) {
    match event {
        Event::Stop => (State::Ended, Action::End),
        Event::Woke => (State::Standby(standby), Action::Read),
        Event::Refused | Event::Failed => (State::Standby(standby), Action::Wait(now.at + RETRY_PERIOD)),
        Event::Written(stored) => match standby.attempt {
            Some((_, sent)) if now.at < sent + RENEW_DEADLINE => begin_term(stored, sent),
            _ => (State::Standby(standby), Action::Read),
        },
        Event::Found(None) => {
            let record = Record::taken(identity, None, now.wall);
            (attempting(standby.seen, &record, now), Action::Create(record))
        }
        Event::Found(Some(stored)) => found(identity, standby, stored, now),
    }
}

/// Another process's Lease, a free one, or our own attempt whose answer was lost.
fn found(identity: &str, standby: Standby, stored: Stored, now: Now) -> (State, Action) {
    if let Some((record, sent)) = &standby.attempt
        && record.is_same_term(&stored.record)
        && now.at < *sent + RENEW_DEADLINE
    {
        return begin_term(stored, *sent);
    }
    let since = match &standby.seen {
        Some((record, since)) if *record == stored.record => *since,
        _ => now.at,
    };
    let seen = Some((stored.record.clone(), since));
    let expires = since + LEASE_DURATION;
    // A container that was restarted in its pod has the pod's name as before; the process that had it has ended.
    let ours = stored.record.holder.as_deref() == Some(identity);
    if stored.record.is_free() || ours || now.at >= expires {
        let record = Record::taken(identity, Some(&stored.record), now.wall);
        return (attempting(seen, &record, now), Action::Replace(stored, record));
    }
    let look = expires.min(now.at + RETRY_PERIOD);
    (State::Standby(Standby { seen, attempt: standby.attempt }), Action::Wait(look))
}

fn attempting(seen: Option<(Record, Instant)>, record: &Record, now: Now) -> State {
    State::Standby(Standby { seen, attempt: Some((record.clone(), now.at)) })
}

fn begin_term(stored: Stored, sent: Instant) -> (State, Action) {
    (State::Leading(Leading { stored, renewed: sent, sent }), Action::Wait(sent + RETRY_PERIOD))
}

fn lead(mut leading: Leading, event: Event, now: Now) -> (State, Action) {
    if let Event::Written(stored) = &event {
        leading.stored = stored.clone();
        leading.renewed = leading.sent;
    }
    match event {
        Event::Stop => {
            let until = now.at + RELEASE_DEADLINE;
            let action = Action::Replace(leading.stored.clone(), leading.stored.record.released());
            (State::Releasing { stored: leading.stored, until }, action)
        }
        Event::Found(None) => (State::Lost(DELETED), Action::End),
        Event::Found(Some(found)) if !found.record.is_same_term(&leading.stored.record) => {
            (State::Lost(TAKEN), Action::End)
        }
        _ if now.at >= leading.until() => (State::Lost(NOT_RENEWED), Action::End),
        Event::Written(_) => {
            let next = leading.sent + RETRY_PERIOD;
            (State::Leading(leading), Action::Wait(next))
        }
        Event::Found(Some(found)) => renew(Leading { stored: found, ..leading }, now),
        Event::Woke => renew(leading, now),
        Event::Refused => (State::Leading(leading), Action::Read),
        Event::Failed => (State::Leading(leading), Action::Wait(now.at + FAILED_RETRY)),
    }
}

fn renew(leading: Leading, now: Now) -> (State, Action) {
    let action = Action::Replace(leading.stored.clone(), leading.stored.record.renewed(now.wall));
    (State::Leading(Leading { sent: now.at, ..leading }), action)
}

/// A renewal in flight may have been stored before the release: then the release is rejected and retried. One that
/// arrives after the release is rejected itself.
fn release(stored: Stored, until: Instant, event: Event, now: Now) -> (State, Action) {
    if now.at >= until {
        return (State::Ended, Action::End);
    }
    match event {
        Event::Written(_) | Event::Found(None) => (State::Ended, Action::End),
        Event::Found(Some(found)) if !found.record.is_same_term(&stored.record) => (State::Ended, Action::End),
        Event::Refused => (State::Releasing { stored, until }, Action::Read),
        Event::Found(Some(found)) => {
            let action = Action::Replace(found.clone(), found.record.released());
            (State::Releasing { stored: found, until }, action)
        }
        Event::Woke => {
            let action = Action::Replace(stored.clone(), stored.record.released());
            (State::Releasing { stored, until }, action)
        }
        Event::Failed | Event::Stop => {
            (State::Releasing { stored, until }, Action::Wait(until.min(now.at + FAILED_RETRY)))
        }
    }
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
