//! What a step decides.

use jiff::Timestamp;

use crate::api::fault::FaultState;

/// What a step decides. The state is recorded first, and only then is anything written: so the end is the same after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is recorded.
    pub state: FaultState,
    /// What the objects of the mesh have to say.
    pub desired: Desired,
    /// When to look again, if nothing happens before.
    pub wake: Option<Timestamp>,
}

/// What the objects of the mesh have to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// No object of the fault.
    Nothing,
    /// The fault until this time.
    Until(Timestamp),
}
