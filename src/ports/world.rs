//! The door to workloads, routes, commands and status.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    api::{Rollout, RolloutStatus, reason::Reason},
    engine::{Action, Decision, Input, Notice, Seen},
};

use super::deferred::Deferred;

/// Names one Rollout.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RolloutKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl RolloutKey {
    /// The key of this Rollout.
    pub fn of(rollout: &Rollout) -> Self {
        RolloutKey {
            namespace: rollout.metadata.namespace.clone().unwrap_or_default(),
            name: rollout.metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for RolloutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A Rollout and all that was observed around it at one moment.
#[derive(Clone, Debug)]
pub struct Observation<S = ()> {
    /// The object with its last status.
    pub rollout: Arc<Rollout>,
    /// What was observed.
    pub seen: Seen,
    /// What the world itself needs to carry out what is decided from this.
    pub snapshot: S,
}

/// Why the world did not do as asked.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum WorldError {
    /// Somebody else wrote first: observe again.
    #[error("resourceVersion conflict: {0}")]
    Conflict(String),
    /// It may work later: time-outs, throttling, an unreachable server.
    #[error("{0}")]
    Transient(String),
    /// The same, but what came before it was written: the world answers some of the time.
    #[error("{0}")]
    Interrupted(String),
    /// The observation cannot be relied on at this moment; this resolves without intervention.
    #[error("{0}")]
    NotReady(String),
    /// It will not work without a change from outside; the message says which.
    #[error("{message}")]
    Refused {
        /// A CamelCase reason for status and events.
        reason: Reason,
        /// What is wrong, where, and what to do.
        message: String,
    },
}

impl WorldError {
    /// It will not work without a change from outside; the message says which.
    pub fn refused(reason: Reason, message: impl Into<String>) -> Self {
        WorldError::Refused { reason, message: message.into() }
    }

    /// Another writer came first.
    pub fn changed(what: impl fmt::Display) -> Self {
        WorldError::Conflict(format!("{what} has changed in the meantime"))
    }

    /// The templates of an analysis and its arguments do not fit.
    pub fn invalid_analysis<E: fmt::Display>(errors: &[E]) -> Self {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        WorldError::refused(Reason::InvalidAnalysis, texts.join("; "))
    }
}

/// A cluster, as far as the engine is concerned.
#[async_trait]
pub trait World: Send + Sync {
    /// What the world remembers of an observation, such as the versions that its writes are conditional on.
    type Snapshot: Send + Sync;

    /// The Rollout with all that can be seen around it; `None` when it is gone.
    async fn observe(&self, key: &RolloutKey) -> Result<Option<Observation<Self::Snapshot>>, WorldError>;
    /// Makes one desired state so. Doing it twice changes nothing.
    async fn carry_out(&self, observation: &Observation<Self::Snapshot>, action: &Action) -> Result<(), WorldError>;
    /// Writes the status, on condition that the Rollout is still the one observed.
    async fn record(&self, observation: &Observation<Self::Snapshot>, status: &RolloutStatus)
    -> Result<(), WorldError>;
    /// Until when a status that differs only in counts and messages may be deferred, to be written together with what
    /// follows; `None`: it is written at once.
    fn defers_words_until(&self, _key: &RolloutKey) -> Option<Timestamp> {
        None
    }
    /// What the last tick of this process kept and did not record.
    fn take_deferred(&self, _key: &RolloutKey) -> Option<Deferred> {
        None
    }
    /// Keeps it until the next tick.
    fn defer(&self, _key: &RolloutKey, _deferred: Deferred) {}
    /// Whether what is deferred is found again by the next tick.
    fn keeps_deferred(&self) -> bool {
        false
    }
    /// Looks on while decisions are made: the simulator checks the invariants here.
    fn decided(&self, _input: &Input<'_>, _decision: &Decision) {}
    /// Publishes a transition. Failing to publish never fails a tick.
    async fn tell(&self, observation: &Observation<Self::Snapshot>, notice: &Notice);
}
