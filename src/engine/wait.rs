//! What a tick waits for, as a value: why, in which words, and what ends it.

use jiff::Timestamp;

use crate::api::reason::Reason;

/// What a tick waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Why.
    pub reason: Reason,
    /// As users read it.
    pub message: String,
    /// What ends it.
    pub ends: Ends,
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// An event from outside, or this time.
    At(Option<Timestamp>),
    /// Progress, which is this far. Without any the deadline is missed (rule S38).
    Progress(u32),
    /// Nothing but our own time, such as `settle`. The deadline's clock is stopped meanwhile, and continues where it was if
    /// the wait before comes back (S38).
    OurTime(Timestamp),
}

impl Wait {
    /// For an event from outside; `until` is when it ends by itself.
    pub fn until(reason: Reason, message: impl Into<String>, until: Option<Timestamp>) -> Self {
        Wait { reason, message: message.into(), ends: Ends::At(until) }
    }

    /// For progress, which is this far.
    pub fn progress(reason: Reason, reached: u32, message: impl Into<String>) -> Self {
        Wait { reason, message: message.into(), ends: Ends::Progress(reached) }
    }

    /// For what is in place to settle, which is our own time; before it is in place, for progress.
    pub fn settling(settles_at: Option<Timestamp>, reason: Reason, reached: u32, message: impl Into<String>) -> Self {
        let ends = settles_at.map_or(Ends::Progress(reached), Ends::OurTime);
        Wait { reason, message: message.into(), ends }
    }

    /// When it ends by itself.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.ends {
            Ends::At(at) => at,
            Ends::OurTime(at) => Some(at),
            Ends::Progress(_) => None,
        }
    }
}
