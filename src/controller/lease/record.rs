//! What a Lease says about the leader, and the Lease as the API server stores it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};

/// Another process takes the Lease when it has not seen it change for so long.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);

/// The fields of a Lease that the election reads and writes. Its times are for display and for distinguishing records:
/// they come from the clocks of different machines and are never compared with each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The leader's identity; `None` in a Lease that is free.
    pub holder: Option<String>,
    /// When the holder became the leader.
    pub acquired: Option<Timestamp>,
    /// When the holder renewed it last.
    pub renewed: Option<Timestamp>,
    /// How often the holder has changed.
    pub transitions: i32,
}

impl Record {
    /// The record of a new leader. `previous` is what it replaces.
    pub fn taken(identity: &str, previous: Option<&Record>, now: Timestamp) -> Self {
        let now = Some(as_stored(now));
        let transitions = previous.map_or(0, |previous| previous.transitions.saturating_add(1));
        Record { holder: Some(identity.to_owned()), acquired: now, renewed: now, transitions }
    }

    /// The same leader, still alive.
    pub fn renewed(&self, now: Timestamp) -> Self {
        Record { renewed: Some(as_stored(now)), ..self.clone() }
    }

    /// No leader: any replica that reads this may become the leader at once.
    pub fn released(&self) -> Self {
        Record { transitions: self.transitions, ..Record::default() }
    }

    /// Whether no one holds the Lease.
    pub fn is_free(&self) -> bool {
        self.holder.is_none()
    }

    /// Whether both are of one leader's one term, whenever it was renewed.
    pub fn is_same_term(&self, other: &Record) -> bool {
        (&self.holder, self.acquired, self.transitions) == (&other.holder, other.acquired, other.transitions)
    }
}

/// The API server keeps microseconds.
fn as_stored(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// A Lease as the API server answered it: replacing it is conditional on its resourceVersion, and keeps what others wrote
/// into it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    /// The whole object.
    lease: Box<Lease>,
    /// What it says.
    pub record: Record,
}

impl Stored {
    /// The object that replaces this one.
    pub fn with(&self, record: &Record) -> Lease {
        let mut lease = (*self.lease).clone();
        let spec = lease.spec.get_or_insert_default();
        // A Lease without a holder says nothing but how often it has changed hands.
        let held = record.holder.is_some();
        spec.holder_identity.clone_from(&record.holder);
        spec.acquire_time = record.acquired.map(MicroTime);
        spec.renew_time = record.renewed.map(MicroTime);
        spec.lease_duration_seconds = held.then(|| i32::try_from(LEASE_DURATION.as_secs()).unwrap_or(i32::MAX));
        spec.lease_transitions = Some(record.transitions);
        lease
    }
}

impl From<Lease> for Stored {
    fn from(lease: Lease) -> Self {
        let LeaseSpec { holder_identity, acquire_time, renew_time, lease_transitions, .. } =
            lease.spec.clone().unwrap_or_default();
        let record = Record {
            holder: holder_identity.filter(|holder| !holder.is_empty()),
            acquired: acquire_time.map(|time| time.0),
            renewed: renew_time.map(|time| time.0),
            transitions: lease_transitions.unwrap_or(0),
        };
        Stored { lease: Box::new(lease), record }
    }
}
