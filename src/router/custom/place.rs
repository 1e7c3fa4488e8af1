//! Where an object is, as messages name it.

use std::fmt;

/// Kind, namespace and name of an object.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// Whether it is in another namespace than the Rollout.
    pub(super) is_foreign: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}
